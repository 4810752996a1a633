/* History by phases where the oracle's streams (tests/oracle/15_slices.c) are too short: crowds at one shop in one second, cards at their limit, many entries.
 *
 * Each stream is folded plainly and on one, two and four threads; all chunks of the snapshot must be equal. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>

#include "tests/support/slice_folds.h"

#define T0 INT64_C(1700000000000)

static const char features_head[] = "tidemark: 1\n"
                                    "name: slices\n"
                                    "event:\n"
                                    "  id: id\n"
                                    "  parent: original\n"
                                    "  time: time\n"
                                    "  amount: amount in EUR\n"
                                    "inputs:\n"
                                    "  default:\n"
                                    "    id: /id\n"
                                    "    original: {at: /original, optional: true}\n"
                                    "    time: {at: /time, as: epoch_ms}\n"
                                    "    amount: {at: /amount, currency: /currency}\n"
                                    "    card: /card\n"
                                    "    shop: {at: /shop, optional: true}\n"
                                    "entities:\n";
static const char features_tail[] = "  shop: shop\n"
                                    "  pair: [card, shop]\n"
                                    "windows: {short: \"10m, 1h\"}\n"
                                    "features:\n"
                                    "  card:\n"
                                    "    attempts: count over short with current\n"
                                    "    spend: sum of amount over short where result in (approved, pending)\n"
                                    "    shops: distinct of shop over 1h\n"
                                    "    first: time since first\n"
                                    "  shop:\n"
                                    "    cards: distinct of card over 1h where result != declined\n"
                                    "    declined: sum of amount over 1d where result = declined hop 1h\n"
                                    "  pair:\n"
                                    "    seen: count over 1h\n";

struct stream {
  const char *name, *card; /* how cards are declared */
  uint32_t events, cards, shops, per_second;
  bool whole_seconds;
};

static uint64_t next(uint64_t *seed) { /* xorshift64 (Marsaglia 2003) */
  *seed ^= *seed << 13;
  *seed ^= *seed >> 7;
  *seed ^= *seed << 17;
  return *seed;
}

static void put_text(const struct tide_spec *spec, struct tide_record *record, const char *field, struct tide_span text) {
  record->field[tide_spec_field(spec, field)] = (struct tide_datum){.kind = TIDE_D_TEXT, .text = text};
}

/* Event n, or an outcome of event n. All texts stand in `text`. */
static void make(const struct stream *s, const struct tide_spec *spec, uint32_t n, uint64_t dice, char text[4][24],
                 struct tide_record *ret) {
  *ret = (struct tide_record){.type = TIDE_REC_EVENT};
  uint64_t own = (uint64_t)n * UINT64_C(0x9e3779b97f4a7c15) >> 20;
  int64_t at = (int64_t)n * 1000 / s->per_second;
  if (dice % 31 == 0) at -= (int64_t)(own % 5000000); /* up to 83 minutes late */
  if (s->whole_seconds) at -= at % 1000;
  ret->time.ms = T0 + at;
  snprintf(text[0], sizeof text[0], "t%u", n);
  snprintf(text[1], sizeof text[1], "c%llu", (unsigned long long)(own % s->cards));
  snprintf(text[2], sizeof text[2], "s%llu", (unsigned long long)(own & 1 ? 0 : own / 7 % s->shops)); /* half of all at one */
  snprintf(text[3], sizeof text[3], "t%llu", (unsigned long long)(n - own % 50));
  put_text(spec, ret, "id", tide_span_of(text[0]));
  put_text(spec, ret, "card", tide_span_of(text[1]));
  if (own % 9) put_text(spec, ret, "shop", tide_span_of(text[2]));
  if (own % 17 == 0) put_text(spec, ret, "original", tide_span_of(text[3]));
  struct tide_datum *amount = &ret->field[spec->f_amount];
  *amount = (struct tide_datum){.kind = TIDE_D_INT, .exponent = 2, .num = 100 + (int64_t)(own % 90000)};
  memcpy(amount->currency, own % 23 ? "EUR" : "USD", 4);
}

/* Returns how many records were folded by phases, of each fold that has threads. */
static uint64_t run(const struct stream *s) {
  struct tide_buf file = TIDE_BUF_INIT, entry = TIDE_BUF_INIT;
  struct tide_error error = {0};
  struct tide_spec *spec;
  struct tide_batch batch;
  struct tide_record *record = tide_alloc(sizeof *record);
  struct tide_settings settings = tide_settings_default();
  struct all all;
  char text[4][24];
  size_t errors;
  uint64_t seed = 88172645463325252;
  tide_buf_printf(&file, "%s  card: %s\n%s", features_head, s->card, features_tail);
  if (tide_spec_parse("slices", tide_buf_span(&file), &spec, &error, 1, &errors)) fail_msg("line %d: %s", error.line, error.text);
  settings.lateness_ms = 3600000;
  settings.duplicates_for_ms = 3600000;
  begin_all(&all, 0);
  struct tide_position position = {0, 0};
  for (uint32_t n = 0; n < s->events;) {
    tide_batch_begin(&batch, &entry, &(struct tide_entry_header){.commit_ms = T0 + (int64_t)(n + TIDE_SLICE) * 1000 / s->per_second}, NULL,
                     0);
    if (position.seq == 0) assert_int_equal(tide_batch_add_config(&batch, &settings, tide_buf_span(&file)), TIDE_OK);
    if (position.seq == 3) {
      *record = (struct tide_record){.type = TIDE_REC_RATE, .rate = {"USD", 9000000000}};
      assert_int_equal(tide_batch_add(&batch, spec, record), TIDE_OK);
    }
    for (uint32_t in = 0; in < TIDE_SLICE / 2 && n < s->events; in++, n++) {
      uint64_t dice = next(&seed);
      make(s, spec, n, dice, text, record);
      if (dice % 41 == 0 && n) make(s, spec, n - 1, dice, text, record); /* again, maybe at another time */
      if (dice % 43 == 0) record->field[spec->f_amount].num++;           /* under an id that may be there */
      assert_int_equal(tide_batch_add(&batch, spec, record), TIDE_OK);
      if (dice % 3 == 0) continue;
      make(s, spec, n + (uint32_t)(dice >> 8 & 3), dice, text, record); /* some come before their event */
      record->type = TIDE_REC_OUTCOME;
      record->outcome = (struct tide_outcome){.set = 1u << TIDE_DYN_result, .result = (uint8_t)(dice >> 16 & 3)};
      assert_int_equal(tide_batch_add(&batch, spec, record), TIDE_OK);
    }
    position.seq++;
    tide_batch_end(&batch);
    fold_all(&all, s->name, position, &entry);
  }
  assert_same(&all, s->name, position);
  struct tide_slice_use use = {0};
  end_all(&all, &use);
  tide_free(record);
  tide_spec_free(spec);
  tide_buf_release(&file);
  tide_buf_release(&entry);
  return use.records / (FOLDS - 1);
}

/* Ranks of more than a byte: a block turns wide by them. */
static void a_crowd_in_one_second(void **state) {
  (void)state;
  assert_true(run(&(struct stream){"crowd", "card", 20000, 400, 5, 3000, true}) > 15000);
}

static void many_entities(void **state) {
  (void)state;
  assert_true(run(&(struct stream){"many", "card", 20000, 15000, 900, 5, false}) > 15000);
}

/* The kind fills up on the way: from then on nobody is admitted by phases. */
static void cards_at_their_limit(void **state) {
  (void)state;
  uint64_t records = run(&(struct stream){"limit", "{key: card, max: 3000}", 20000, 15000, 900, 5, false});
  assert_true(records > 0 && records < 15000);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(a_crowd_in_one_second), cmocka_unit_test(many_entities),
                                     cmocka_unit_test(cards_at_their_limit)};
  return cmocka_run_group_tests_name("slices", tests, NULL, NULL);
}
