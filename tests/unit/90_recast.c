/* From one feature file to the next: each kind of change is judged, and old records stand in the shape of the new file.
 *
 * A base file is changed by replacing one piece of its text; what is refused must say which name and why, what is admitted must say what becomes of each value. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "feature/recast.h"

static const char base[] = "tidemark: 1\n"
                           "name: base\n"
                           "event:\n"
                           "  id: [rrn, stan]\n"
                           "  time: time\n"
                           "  amount: amount in EUR\n"
                           "  score: kind in (auth, advice)\n"
                           "  key: pan\n"
                           "  derive: {bin: \"prefix(pan, 8)\", big: \"units > 3\"}\n"
                           "inputs:\n"
                           "  default:\n"
                           "    rrn: /rrn\n"
                           "    stan: /stan\n"
                           "    kind: {at: /kind, default: auth}\n"
                           "    time: {at: /time, as: epoch_ms}\n"
                           "    amount: {at: /amount, currency: /currency}\n"
                           "    pan: /pan\n"
                           "    merchant: {at: /merchant, optional: true}\n"
                           "    device: {at: /device, optional: true}\n"
                           "    units: {at: /units, as: int, optional: true}\n"
                           "entities:\n"
                           "  card: pan\n"
                           "  shop: merchant\n"
                           "  pair: [card, shop]\n"
                           "windows: {short: \"10m, 1h\"}\n"
                           "features:\n"
                           "  card:\n"
                           "    attempts: count over short with current\n"
                           "    spend: sum of amount over 1h where result in (approved, pending)\n"
                           "    devices: distinct of device over 24h\n"
                           "    idle: time since previous\n"
                           "  shop:\n"
                           "    cards: distinct of card over 1h\n"
                           "policy:\n"
                           "  decisions: [approve, decline]\n"
                           "  lists: [blocked, gone]\n"
                           "  rules:\n"
                           "    - R1: decline when card in blocked\n"
                           "    - R2: decline when device in gone\n"
                           "    - R3: decline when card.attempts_10m > 4\n"
                           "    - else: approve\n"
                           "  fallback:\n"
                           "    - else: approve\n";

static struct tide_spec *parse(const char *text) {
  struct tide_error error = {0};
  struct tide_spec *spec = NULL;
  size_t count = 0;
  if (tide_spec_parse("test", tide_span_of(text), &spec, &error, 1, &count) != TIDE_OK)
    fail_msg("line %d: %s\n%s", error.line, error.text, text);
  return spec;
}

/* The base file with the first `was` replaced; several pairs, ended by NULL. */
static struct tide_spec *changed(const char *const *pair) {
  char *text = strdup(base);
  for (; pair && *pair; pair += 2) {
    char *at = strstr(text, pair[0]);
    if (!at) fail_msg("the base file has no \"%s\"", pair[0]);
    struct tide_buf out = TIDE_BUF_INIT;
    tide_buf_printf(&out, "%.*s%s%s", (int)(at - text), text, pair[1], at + strlen(pair[0]));
    free(text);
    text = strdup(tide_buf_cstr(&out));
    tide_buf_release(&out);
  }
  struct tide_spec *spec = parse(text);
  free(text);
  return spec;
}

struct refused {
  const char *pair[5];
  const char *says;
};

static void what_cannot_follow_is_refused_with_the_reason(void **state) {
  (void)state;
  static const struct refused row[] = {
      {{"id: [rrn, stan]", "id: [stan, rrn]"}, "event.id names other fields"},
      {{"id: [rrn, stan]", "id: rrn"}, "event.id names other fields"},
      {{"  key: pan\n", "  key: pan\n  alias: [device, stan]\n"}, "event.alias names other fields"},
      {{"  key: pan\n", "  key: pan\n  parent: [device, stan]\n"}, "event.parent names other fields"},
      {{"amount in EUR", "amount in USD"}, "counted in EUR and would be in USD"},
      {{"  key: pan\n", "  key: pan\n  merchant: device\n"}, "event.merchant was `merchant` and would be `device`"},
      {{"/units, as: int", "/units, as: decimal(2)"}, "field `units` has 0 decimals and would have 2"},
      {{"/device, optional", "/device, as: bool, optional", "    - R2: decline when device in gone\n", ""},
       "field `device` was a text and would be a bool"},
      {{"key: pan", "key: [pan, device]"}, "field `device` would become secret"},
      {{"prefix(pan, 8)", "prefix(pan, 6)"}, "field `bin` is derived otherwise"},
      {{"units > 3", "units > 4"}, "field `big` is derived otherwise"},
      {{"  card: pan\n  shop: merchant\n", "  shop: merchant\n  card: pan\n"},
       "the primary entity (the first) was `card` and would be `shop`"},
      {{"  shop: merchant\n", "  shop: device\n"}, "entity `shop` has another key"},
      {{"  pair: [card, shop]", "  pair: [shop, card]"}, "entity `pair` has another key"},
      {{"  pair: [card, shop]", "  pair: first_of(card, shop)"}, "entity `pair` has another key"},
      {{"  card: pan\n", "  card: device\n"}, "entity `card` has another key: give it another name, which for the primary"},
      {{"card in blocked", "shop in blocked"}, "list `blocked` holds something else"},
  };
  struct tide_spec *from = parse(base);
  for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
    struct tide_spec *to = changed(row[i].pair);
    struct tide_error error[4] = {{0}};
    struct tide_recast *recast = (struct tide_recast *)&error; /* a value that must stay */
    size_t count = 0;
    enum tide_err err = tide_recast_new(from, to, &recast, error, 4, &count);
    if (err != TIDE_E_CONFIG || count != 1 || !strstr(error[0].text, row[i].says))
      fail_msg("\"%s\": %d, %zu reasons, \"%s\"", row[i].pair[1], err, count, error[0].text);
    assert_ptr_equal(recast, &error);
    size_t again = 0; /* without anybody to tell */
    assert_int_equal(tide_recast_new(from, to, &recast, NULL, 0, &again), TIDE_E_CONFIG);
    assert_int_equal(again, count);
    tide_spec_free(to);
  }
  tide_spec_free(from);
}

static void every_reason_is_told(void **state) {
  (void)state;
  struct tide_spec *from = parse(base);
  struct tide_spec *to = changed((const char *const[]){"id: [rrn, stan]", "id: rrn", "amount in EUR", "amount in USD", NULL});
  struct tide_error error[8];
  struct tide_recast *recast;
  size_t count = 0;
  assert_int_equal(tide_recast_new(from, to, &recast, error, 8, &count), TIDE_E_CONFIG);
  assert_int_equal(count, 2);
  assert_non_null(strstr(error[0].text, "event.id"));
  assert_non_null(strstr(error[1].text, "USD"));
  tide_spec_free(to);
  tide_spec_free(from);
}

static struct tide_recast *recast_of(const struct tide_spec *from, const struct tide_spec *to) {
  struct tide_error error = {0};
  struct tide_recast *recast = NULL;
  size_t count = 0;
  if (tide_recast_new(from, to, &recast, &error, 1, &count) != TIDE_OK) fail_msg("%s", error.text);
  return recast;
}

static enum tide_carry carry_of(const struct tide_recast *recast, const char *slot) {
  uint32_t at = tide_spec_slot(recast->to, slot);
  if (at == TIDE_NONE) fail_msg("no value %s", slot);
  return tide_recast_slot(recast, at);
}

struct carry {
  const char *pair[7];
  const char *slot;
  enum tide_carry carry;
};

static void each_value_is_told_what_becomes_of_it(void **state) {
  (void)state;
  static const struct carry row[] = {
      {{NULL}, "card.attempts_1h", TIDE_CARRY_carried},
      {{"name: base", "name: other"}, "card.spend_1h", TIDE_CARRY_carried},
      {{"card.attempts_10m > 4", "card.attempts_10m > 5"}, "card.attempts_10m", TIDE_CARRY_carried},
      {{"10m, 1h", "10m, 2h"}, "card.attempts_2h", TIDE_CARRY_backfilled},
      {{"10m, 1h", "10m, 2h"}, "card.attempts_10m", TIDE_CARRY_carried},
      {{"(approved, pending)", "(approved)"}, "card.spend_1h", TIDE_CARRY_backfilled},
      {{" with current", ""}, "card.attempts_10m", TIDE_CARRY_backfilled},
      {{"distinct of device over 24h", "distinct of device over 24h cap 10"}, "card.devices_24h", TIDE_CARRY_backfilled},
      {{"(auth, advice)", "(auth)"}, "card.attempts_10m", TIDE_CARRY_backfilled},
      {{"(auth, advice)", "(auth)"}, "card.idle", TIDE_CARRY_backfilled},
      {{"  pair: [card, shop]\n", "  pair: [card, shop]\n  dev: device\n", "  shop:\n    cards",
        "  dev:\n    cards: distinct of card over 1h\n  shop:\n    cards"},
       "dev.cards_1h",
       TIDE_CARRY_backfilled},
      {{"    units:", "    ip: {at: /ip, optional: true}\n    units:", "    idle:", "    ips: distinct of ip over 1h\n    idle:"},
       "card.ips_1h",
       TIDE_CARRY_warming},
      {{"    units:", "    ip: {at: /ip, optional: true}\n    units:", "    idle:", "    odd: count over 1h where ip = \"1\"\n    idle:"},
       "card.odd_1h",
       TIDE_CARRY_warming},
      {{"    units:", "    ip: {at: /ip, optional: true}\n    units:", "    idle:", "    odd: rate of ip = \"1\" over 1h\n    idle:"},
       "card.odd_1h",
       TIDE_CARRY_warming},
      {{"    units:", "    ip: {at: /ip, optional: true}\n    units:", "  pair: [card, shop]\n", "  pair: [card, shop]\n  ip: ip\n",
        "  shop:\n    cards", "  ip:\n    seen: count over 1h\n  shop:\n    cards"},
       "ip.seen_1h",
       TIDE_CARRY_warming},
      {{"    units:", "    ip: {at: /ip, optional: true}\n    units:", "  pair: [card, shop]\n",
        "  pair: [card, shop]\n  ip: ip\n  both: [ip, card]\n", "    idle:", "    boths: distinct of both over 1h\n    idle:"},
       "card.boths_1h",
       TIDE_CARRY_warming},
      {{"    units:", "    ip: {at: /ip, optional: true}\n    units:"}, "card.devices_24h", TIDE_CARRY_carried},
      {{"(auth, advice)", "(auth, advice) and zone = \"a\"", "    units:", "    zone: {at: /zone, optional: true}\n    units:"},
       "card.attempts_1h",
       TIDE_CARRY_warming},
  };
  struct tide_spec *from = parse(base);
  for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
    struct tide_spec *to = changed(row[i].pair);
    struct tide_recast *recast = recast_of(from, to);
    if (carry_of(recast, row[i].slot) != row[i].carry)
      fail_msg("%zu, %s: %s", i, row[i].slot, tide_carry_name(carry_of(recast, row[i].slot)));
    tide_recast_free(recast);
    tide_spec_free(to);
  }
  tide_spec_free(from);
}

static void a_reach_is_how_far_a_value_looks_back(void **state) {
  (void)state;
  struct tide_spec *to =
      changed((const char *const[]){"    idle:", "    slow: rate of result = declined over 2h delayed 1h hop 1h\n    idle:", NULL});
  assert_int_equal(tide_slot_reach(to, tide_spec_slot(to, "card.slow_2h")), 4 * 3600000);
  assert_int_equal(tide_slot_reach(to, tide_spec_slot(to, "card.devices_24h")), 24 * 3600000);
  assert_int_equal(tide_slot_reach(to, tide_spec_slot(to, "card.idle")), 0);
  tide_spec_free(to);
}

/* ---- records ---- */

static void set(const struct tide_spec *spec, struct tide_record *record, const char *field, const char *text) {
  struct tide_datum *datum = &record->field[tide_spec_field(spec, field)];
  *datum = (struct tide_datum){.kind = TIDE_D_TEXT, .text = tide_span_of(text)};
}

static void fields_go_by_name(void **state) {
  (void)state;
  struct tide_spec *from = parse(base);
  struct tide_spec *to = changed((const char *const[]){
      "    rrn: /rrn\n", "    ip: {at: /ip, optional: true}\n    rrn: /rrn\n", "    device: {at: /device, optional: true}\n", "",
      "    - R2: decline when device in gone\n", "", "    devices: distinct of device over 24h\n", "", NULL});
  struct tide_recast *recast = recast_of(from, to);
  assert_false(recast->same);
  assert_int_equal(recast->added, UINT64_C(1) << tide_spec_field(to, "ip"));
  struct tide_record *record = tide_alloc(sizeof *record);
  memset(record->field, 0xee, sizeof record->field); /* what is not declared is not decoded */
  for (uint32_t f = 0; f < from->field_count; f++) record->field[f] = (struct tide_datum){.kind = TIDE_D_NONE};
  record->type = TIDE_REC_EVENT;
  record->time.ms = 77;
  record->key_id = 5;
  set(from, record, "rrn", "r");
  set(from, record, "stan", "s");
  set(from, record, "device", "d");
  record->field[tide_spec_field(from, "pan")] = (struct tide_datum){.kind = TIDE_D_KEY, .key = {1, 2}, .alt = {3, 4}};
  record->field[tide_spec_field(from, "units")] = (struct tide_datum){.kind = TIDE_D_INT, .num = 9};
  assert_true(tide_recast_record(recast, record));
  assert_int_equal(record->time.ms, 77);
  assert_int_equal(record->key_id, 5);
  unsigned there = 0;
  for (uint32_t f = 0; f < to->field_count; f++) {
    there += record->field[f].kind != TIDE_D_NONE;
    assert_int_equal(record->present >> f & 1, record->field[f].kind != TIDE_D_NONE);
  }
  assert_int_equal(there, 4);
  assert_true(tide_span_is(record->field[tide_spec_field(to, "rrn")].text, "r"));
  assert_true(tide_span_is(record->field[tide_spec_field(to, "stan")].text, "s"));
  assert_int_equal(record->field[tide_spec_field(to, "units")].num, 9);
  assert_int_equal(record->field[tide_spec_field(to, "pan")].alt.hi, 4);
  tide_free(record);
  tide_recast_free(recast);
  tide_spec_free(to);
  tide_spec_free(from);
}

static void lists_go_by_name(void **state) {
  (void)state;
  struct tide_spec *from = parse(base);
  struct tide_spec *to = changed((const char *const[]){"[blocked, gone]", "[fresh, blocked]", "    - R2: decline when device in gone\n",
                                                       "    - R2: decline when device in fresh\n", NULL});
  struct tide_recast *recast = recast_of(from, to);
  struct tide_record *record = tide_alloc(sizeof *record);
  record->type = TIDE_REC_LIST;
  record->list.list = 0;
  assert_true(tide_recast_record(recast, record));
  assert_int_equal(record->list.list, 1);
  record->list.list = 1; /* gone */
  assert_false(tide_recast_record(recast, record));
  tide_free(record);
  tide_recast_free(recast);
  tide_spec_free(to);
  tide_spec_free(from);
}

static void what_stays_where_it_was_is_not_moved(void **state) {
  (void)state;
  struct tide_spec *from = parse(base);
  struct tide_spec *to =
      changed((const char *const[]){"    units: {at: /units, as: int, optional: true}\n",
                                    "    units: {at: /units, as: int, optional: true}\n    zone: {at: /zone, optional: true}\n", NULL});
  struct tide_recast *recast = recast_of(from, to);
  struct tide_record *record = tide_alloc(sizeof *record);
  memset(record->field, 0xee, sizeof record->field);
  for (uint32_t f = 0; f < from->field_count; f++) record->field[f] = (struct tide_datum){.kind = TIDE_D_NONE};
  record->type = TIDE_REC_EVENT;
  set(from, record, "device", "d");
  assert_true(tide_recast_record(recast, record));
  assert_true(tide_span_is(record->field[tide_spec_field(to, "device")].text, "d"));
  assert_int_equal(record->field[tide_spec_field(to, "zone")].kind, TIDE_D_NONE);
  assert_int_equal(record->field[tide_spec_field(to, "big")].kind, TIDE_D_NONE);
  tide_free(record);
  tide_recast_free(recast);
  tide_spec_free(to);
  tide_spec_free(from);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(what_cannot_follow_is_refused_with_the_reason),
                                     cmocka_unit_test(every_reason_is_told),
                                     cmocka_unit_test(each_value_is_told_what_becomes_of_it),
                                     cmocka_unit_test(a_reach_is_how_far_a_value_looks_back),
                                     cmocka_unit_test(fields_go_by_name),
                                     cmocka_unit_test(lists_go_by_name),
                                     cmocka_unit_test(what_stays_where_it_was_is_not_moved)};
  return cmocka_run_group_tests_name("recast", tests, NULL, NULL);
}
