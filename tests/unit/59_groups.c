/* Events folded kind by kind in groups, against the same log folded record by record (core/fold_stretch.c): what leaves, what is told, what is counted and every byte of the state.
 *
 * A log of all sorts of records is drawn: few cards, so that events of one stand side by side, late ones, repetitions, increments, outcomes before and behind their events, lists, rates, keys that rotate,
 * facts, partitions that nobody knew, kinds that fill up. How many records a group holds must change nothing. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/fold_state.h"
#include "tests/oracle/rng.h"
#include "tests/support/by_hand.h"

#define T0 INT64_C(1700000000000)
#define MINUTE INT64_C(60000)

static const char file_of_all_sorts[] = "tidemark: 1\n"
                                        "name: groups\n"
                                        "event:\n"
                                        "  id: id\n"
                                        "  parent: original\n"
                                        "  time: time\n"
                                        "  amount: amount in EUR\n"
                                        "  merchant: shop\n"
                                        "  score: kind in (auth, advice)\n"
                                        "  advise: kind = advice\n"
                                        "  key: pan\n"
                                        "inputs:\n"
                                        "  default:\n"
                                        "    id: /id\n"
                                        "    original: {at: /original, optional: true}\n"
                                        "    kind: {at: /kind, default: auth}\n"
                                        "    time: {at: /time, as: epoch_ms}\n"
                                        "    amount: {at: /amount, currency: /currency, optional: true}\n"
                                        "    pan: {at: /pan, optional: true}\n"
                                        "    shop: {at: /shop, optional: true}\n"
                                        "    account: {at: /account, optional: true}\n"
                                        "    country: {at: /country, optional: true}\n"
                                        "%s"
                                        "entities:\n"
                                        "  card: {key: pan%s}\n"
                                        "  shop: {key: shop%s}\n"
                                        "  account: account\n"
                                        "  pair: [card, shop]\n"
                                        "features:\n"
                                        "  card:\n"
                                        "    attempts: count over 10m, 1h, 3h with current\n"
                                        "    spend: sum of amount over 1h, 3h where result in (approved, pending)\n"
                                        "    shops: distinct of shop over 1h, 3h\n"
                                        "    accounts: distinct of account over 3h cap 3\n"
                                        "    idle: time since previous\n"
                                        "    first: time since first\n"
                                        "    place: last country\n"
                                        "%s"
                                        "  shop:\n"
                                        "    cards: distinct of card over 10m, 3h where result != declined\n"
                                        "    declined: sum of amount over 3h where result = declined hop 10m\n"
                                        "    burst: max_count of 1m over 1h\n"
                                        "    mean: mean of amount over 3h\n"
                                        "%s"
                                        "  account:\n"
                                        "    cards: distinct of card over 3h\n"
                                        "    streak: streak over 3h where result = declined\n"
                                        "  pair:\n"
                                        "    seen: count over 1h with current\n"
                                        "    age: time since first\n"
                                        "freshness:\n"
                                        "  default: {budget: 20s, warming: mark}\n"
                                        "  shop: {budget: 60s, stale: mark}\n"
                                        "policy:\n"
                                        "  decisions: [approve, review, decline]\n"
                                        "  lists: [blocked]\n"
                                        "  rules:\n"
                                        "    - L1: decline when card in blocked\n"
                                        "    - V1: review when card.attempts_10m > 3 and hour(time, \"UTC\") < 23\n"
                                        "    - V2: decline when shop.cards_10m > 6 or pair.seen_1h > 2\n"
                                        "    - else: approve\n"
                                        "  fallback:\n"
                                        "    - F1: approve when amount < 20\n"
                                        "    - else: decline\n";

struct sort {
  const char *name;
  int records;
  int cards, shops;
  const char *card_max, *shop_max; /* "" or ", max: N" or what else is said of the kind */
  bool sources, facts, card_facts, outcomes, plain;
  bool traced;
  int step_ms; /* between events, at most; 0: 4 s */
};

/* ---- the log ---- */

static void put(const struct hand *h, struct tide_record *record, const char *field, char *text, int number) {
  snprintf(text, 24, "%s%d", field, number);
  record->field[tide_spec_field(h->spec, field)] = (struct tide_datum){.kind = TIDE_D_TEXT, .text = tide_span_of(text)};
}

static void put_card(const struct hand *h, struct tide_record *record, int card, int rotated) {
  struct tide_datum *pan = &record->field[tide_spec_field(h->spec, "pan")];
  *pan = (struct tide_datum){.kind = TIDE_D_KEY, .key = tide_hash128(&card, sizeof card, 1)};
  record->key_id = 1;
  if (!rotated) return;
  struct tide_u128 old = pan->key;
  pan->key = tide_hash128(&card, sizeof card, 2);
  if (rotated == 1) pan->alt = old; /* 2: from somebody who knows the new key alone */
}

static void put_amount(struct tide_record *record, uint32_t field, int64_t minor, bool foreign) {
  record->field[field] = (struct tide_datum){.kind = TIDE_D_INT, .exponent = 2, .num = minor};
  memcpy(record->field[field].currency, foreign ? "USD" : "EUR", 4);
}

static void add(struct hand *h, struct tide_record *record, const char *source, uint16_t partition) {
  record->source = source ? hand_number(source) : 0;
  record->partition = partition;
  for (uint16_t i = 0; source && i < h->parts; i++)
    if (h->part[i].source == record->source && h->part[i].partition == partition) record->offset = h->part[i].next - 1;
  assert_int_equal(tide_record_encode(h->spec, record, &h->records), TIDE_OK);
  h->count++;
}

/* The event with this number, always the same. */
static void event(const struct hand *h, const struct sort *sort, int n, int64_t now_ms, char text[4][24], struct tide_record *ret) {
  struct or_rng own = {(uint64_t)n * 77 + 5};
  *ret = (struct tide_record){.type = TIDE_REC_EVENT, .time.ms = now_ms - (or_percent(&own, 10) ? or_below(&own, 90) * MINUTE : 0)};
  put(h, ret, "id", text[0], n);
  if (or_percent(&own, 97)) put_card(h, ret, or_below(&own, sort->cards), 0);
  if (or_percent(&own, 85)) put(h, ret, "shop", text[1], or_percent(&own, 40) ? 0 : or_below(&own, sort->shops));
  if (or_percent(&own, 60)) put(h, ret, "account", text[2], or_below(&own, sort->cards / 2 + 1));
  if (or_percent(&own, 90)) put_amount(ret, h->spec->f_amount, 100 + or_below(&own, 9000), !sort->plain && or_percent(&own, 5));
  const char *country = OR_PICK(&own, ((const char *[]){"NL", "DE", "FR"}));
  ret->field[tide_spec_field(h->spec, "country")] = (struct tide_datum){.kind = TIDE_D_TEXT, .text = tide_span_of(country)};
  const char *kind = sort->plain || or_percent(&own, 85) ? "auth" : OR_PICK(&own, ((const char *[]){"advice", "login"}));
  ret->field[tide_spec_field(h->spec, "kind")] = (struct tide_datum){.kind = TIDE_D_TEXT, .text = tide_span_of(kind)};
}

static void other(struct hand *h, const struct sort *sort, struct or_rng *rng, int n, int64_t now_ms) {
  static struct tide_record record;
  char text[4][24];
  int what = or_below(rng, 10);
  record = (struct tide_record){.type = TIDE_REC_RATE, .rate = {"USD", 9000000000 + or_below(rng, 1000000)}};
  if (what < 6 && sort->outcomes) { /* of an event before it or, one in four, behind it */
    event(h, sort, or_percent(rng, 75) ? n - or_below(rng, 30) : n + 1 + or_below(rng, 10), now_ms, text, &record);
    record.type = TIDE_REC_OUTCOME;
    record.time.ms = 0;
    record.outcome = (struct tide_outcome){.set = 1u << TIDE_DYN_result, .result = (uint8_t)or_below(rng, 4)};
  } else if (what < 7) {
    record = (struct tide_record){.type = TIDE_REC_LIST, .list = {.list = 0, .remove = or_percent(rng, 50)}};
    put_card(h, &record, or_below(rng, sort->cards), 0);
  } else if (sort->facts) {
    char key[24];
    snprintf(key, sizeof key, "shop%d", or_below(rng, sort->shops));
    if (!sort->card_facts) {
      hand_tell(h, now_ms - or_below(rng, 100) * MINUTE, "shop", key, "risk", NULL, or_below(rng, 100));
      return;
    }
    record = (struct tide_record){.type = TIDE_REC_PROFILE, .time.ms = now_ms - or_below(rng, 100) * MINUTE};
    put_card(h, &record, or_below(rng, sort->cards), 0);
    uint32_t risk = tide_spec_fact(h->spec, tide_spec_entity(h->spec, "card"), "risk");
    record.field[risk] = (struct tide_datum){.kind = TIDE_D_INT, .num = or_below(rng, 100)};
  }
  add(h, &record, NULL, 0);
}

static void draw_entry(struct hand *h, const struct sort *sort, struct or_rng *rng, int *n, int64_t *now_ms) {
  static struct tide_record record;
  char text[4][24], own_id[24];
  int count = 1 + or_below(rng, 60);
  for (uint16_t p = 0; sort->sources && p < 3; p++)
    if (or_percent(rng, 70)) hand_facts(h, "auths", p, 100, *now_ms, or_percent(rng, 80) ? *now_ms : INT64_MIN, 100);
  for (int i = 0; i < count; i++) {
    *now_ms += or_below(rng, sort->step_ms ? sort->step_ms : 4000);
    if (!sort->plain && or_percent(rng, sort->outcomes ? 25 : sort->facts ? 12 : 4)) other(h, sort, rng, *n, *now_ms);
    bool again = !sort->plain && or_percent(rng, 5);
    int number = again ? *n - or_below(rng, 40) : ++*n;
    event(h, sort, number, *now_ms, text, &record);
    if (again && or_percent(rng, 30) && record.field[h->spec->f_amount].kind == TIDE_D_INT) record.field[h->spec->f_amount].num++;
    if (!sort->plain && !again && or_percent(rng, 4)) { /* of the same card */
      event(h, sort, *n - 1 - or_below(rng, 30), *now_ms, text, &record);
      record.field[tide_spec_field(h->spec, "original")] = record.field[tide_spec_field(h->spec, "id")];
      put(h, &record, "id", own_id, number);
    }
    if (!sort->plain && or_percent(rng, 4)) record.flags = TIDE_REC_NOCOUNT;
    if (!sort->plain && or_percent(rng, 3)) record.time.ms -= 5 * 24 * 60 * MINUTE; /* too late */
    if (*n > sort->records / 2 && or_percent(rng, 10) && record.field[tide_spec_field(h->spec, "pan")].kind == TIDE_D_KEY) {
      put_card(h, &record, or_below(rng, sort->cards), 1 + or_percent(rng, 30));
    }
    const char *source = sort->sources && or_percent(rng, 80) ? "auths" : NULL;
    uint16_t partition = source ? (uint16_t)or_below(rng, 3) : 0;
    if (source && or_percent(rng, 1)) partition = (uint16_t)(3 + or_below(rng, 20)); /* nobody has told of it */
    if (sort->sources && !source) record.flags |= TIDE_REC_STAMPED, record.time.ms = 0;
    add(h, &record, source, partition);
    if (sort->sources && or_percent(rng, 3)) hand_heartbeat(h, "auths", (uint16_t)or_below(rng, 3), *now_ms);
  }
  hand_fold(h, *now_ms);
}

/* ---- folding it ---- */

struct folded {
  struct tide_fold *fold;
  struct tide_buf said; /* all that was told to somebody */
};

static void hear(void *ctx, const struct tide_answer *answer) {
  struct folded *folded = ctx;
  tide_buf_printf(&folded->said, "%llu.%u ", (unsigned long long)answer->position.seq, answer->index);
  tide_answer_json(answer, TIDE_ANSWER_FRESHNESS | TIDE_ANSWER_FEATURES, &folded->said);
  tide_buf_str(&folded->said, "\n");
}

static void on_decided(void *ctx, const struct tide_answer *answer, const struct tide_watched *watched, int64_t watermark_ms) {
  struct folded *folded = ctx;
  tide_buf_printf(&folded->said, "decided %u %llx %llx at %lld\n", answer->index, (unsigned long long)watched->key,
                  (unsigned long long)watched->alt, (long long)watermark_ms);
}

static void on_labelled(void *ctx, const struct tide_watched *watched, uint8_t label, bool again) {
  struct folded *folded = ctx;
  tide_buf_printf(&folded->said, "label %llx %u %d\n", (unsigned long long)watched->key, label, again);
}

static void on_trace(void *ctx, const struct tide_trace_event *event) {
  struct folded *folded = ctx;
  tide_buf_printf(&folded->said, "%s %lld %u\n", event->entity, (long long)event->time_ms, event->slot_count);
}

static void fold_log(const struct sort *sort, struct tide_span log, uint32_t group, bool quiet, struct folded *ret) {
  struct tide_reader reader = tide_reader_of(log);
  *ret = (struct folded){.fold = tide_fold_new()};
  ret->fold->group_max = group;
  tide_fold_quiet(ret->fold, quiet);
  tide_fold_watch(ret->fold, &(struct tide_fold_watch){on_decided, on_labelled, ret});
  if (sort->traced) tide_fold_trace(ret->fold, on_trace, ret);
  while (reader.ptr != reader.end) {
    struct tide_error error = {0};
    struct tide_position at = {.epoch = tide_get_u64(&reader)};
    at.seq = tide_get_u64(&reader);
    if (tide_fold_entry(ret->fold, at, tide_get_span(&reader), hear, ret, &error)) fail_msg("%s: %s", sort->name, error.text);
  }
}

static void release(struct folded *folded) {
  tide_fold_free(folded->fold);
  tide_buf_release(&folded->said);
}

static void assert_same(const struct sort *sort, const struct folded *want, const struct folded *got, uint32_t group) {
  struct tide_span a = tide_buf_span(&want->said), b = tide_buf_span(&got->said);
  if (!tide_span_eq(a, b)) {
    size_t i = 0, line = 0;
    for (; i < a.len && i < b.len && a.ptr[i] == b.ptr[i]; i++)
      if (a.ptr[i] == '\n') line = i + 1;
    fail_msg("%s, groups of %u: said\n%.1500s\nnot\n%.1500s", sort->name, group, (const char *)b.ptr + line, (const char *)a.ptr + line);
  }
  assert_memory_equal(&want->fold->metrics, &got->fold->metrics, sizeof want->fold->metrics);
  assert_memory_equal(want->fold->rule_hits, got->fold->rule_hits, sizeof want->fold->rule_hits);
  assert_memory_equal(tide_fold_stale_stats(want->fold), tide_fold_stale_stats(got->fold), sizeof(struct tide_stale_stats));
  struct tide_digest x = tide_fold_digest(want->fold), y = tide_fold_digest(got->fold);
  assert_true(x.decisions == y.decisions && tide_u128_eq(x.digest, y.digest) && x.state_hash == y.state_hash);
  struct tide_buf one = TIDE_BUF_INIT, other_one = TIDE_BUF_INIT;
  for (unsigned chunk = 0; chunk < TIDE_CHUNKS; chunk++) {
    tide_buf_clear(&one);
    tide_buf_clear(&other_one);
    tide_fold_save(want->fold, chunk, &one);
    tide_fold_save(got->fold, chunk, &other_one);
    if (!tide_span_eq(tide_buf_span(&one), tide_buf_span(&other_one))) fail_msg("%s, groups of %u: chunk %u", sort->name, group, chunk);
  }
  tide_buf_release(&one);
  tide_buf_release(&other_one);
}

static void run(const struct sort *sort) {
  struct tide_buf file = TIDE_BUF_INIT;
  const char *shape = !sort->facts       ? ""
                      : sort->card_facts ? "  told: {type: profile, when: {/type: told}, facts: {risk: {at: /risk, as: decimal(2)}}}\n"
                                         : "  told:\n    type: profile\n    when: {/type: told}\n    entity: shop\n"
                                           "    facts: {risk: {at: /risk, as: decimal(2)}}\n";
  const char *fact = "    risk: fact risk\n";
  tide_buf_printf(&file, file_of_all_sorts, shape, sort->card_max, sort->shop_max, sort->facts && sort->card_facts ? fact : "",
                  sort->facts && !sort->card_facts ? fact : "");
  struct hand h;
  struct or_rng rng = {(uint64_t)sort->records};
  int n = 100;
  int64_t now_ms = T0;
  hand_open(&h, tide_buf_cstr(&file));
  h.settings.lateness_ms = h.settings.duplicates_for_ms = 24 * 60 * MINUTE;
  h.settings.history_from_ms = TIDE_HISTORY_FIRST;
  h.fold->group_max = 1;
  if (sort->sources) {
    struct tide_source_info source = hand_source("auths", true, true);
    hand_declare(&h, &source, 1);
    for (uint16_t p = 0; p < 3; p++) hand_start(&h, "auths", p);
    hand_fold(&h, now_ms);
  }
  while (n < sort->records) draw_entry(&h, sort, &rng, &n, &now_ms);
  for (int quiet = 0; quiet < 2; quiet++) {
    static const uint32_t group[] = {2, 3, 7, TIDE_GROUP};
    struct folded want, got;
    fold_log(sort, tide_buf_span(&h.log), 1, quiet, &want);
    assert_int_equal(want.said.len == 0, quiet);
    for (unsigned g = 0; g < sizeof group / sizeof *group; g++) {
      fold_log(sort, tide_buf_span(&h.log), group[g], quiet, &got);
      assert_same(sort, &want, &got, group[g]);
      release(&got);
    }
    const int64_t *value = want.fold->metrics.value;
    if (!sort->plain) {
      assert_true(value[TIDE_M_events_duplicate_total] > 0 && value[TIDE_M_events_late_total] > 0);
      assert_true(value[TIDE_M_events_incremental_total] > 0 && value[TIDE_M_events_uncounted_total] > 0);
    }
    if (sort->outcomes) assert_true(value[TIDE_M_outcomes_applied_total] > 50 && value[TIDE_M_outcomes_stubbed_total] > 10);
    if (strstr(sort->card_max, "max") || strstr(sort->shop_max, "max")) assert_true(value[TIDE_M_entities_dropped_total] > 0);
    release(&want);
  }
  hand_close(&h);
  tide_buf_release(&file);
}

/* Many cards and little else: whole groups are one stretch. */
static void plain_traffic(void **state) {
  (void)state;
  run(&(struct sort){.name = "plain", .records = 4000, .cards = 500, .shops = 8, .card_max = "", .shop_max = "", .plain = true});
}

static void all_sorts(void **state) {
  (void)state;
  run(&(struct sort){.name = "all sorts", .records = 4001, .cards = 60, .shops = 12, .card_max = "", .shop_max = ""});
}

static void outcomes_before_and_behind(void **state) {
  (void)state;
  run(&(struct sort){.name = "outcomes", .records = 4002, .cards = 150, .shops = 5, .card_max = "", .shop_max = "", .outcomes = true});
}

static void one_card(void **state) {
  (void)state;
  run(&(struct sort){.name = "one card", .records = 800, .cards = 2, .shops = 2, .card_max = "", .shop_max = "", .outcomes = true});
}

static void kinds_that_fill_up(void **state) {
  (void)state;
  run(&(struct sort){
      .name = "new cards", .records = 700, .cards = 9000, .shops = 4, .card_max = ", max: 100", .shop_max = "", .plain = true});
  run(&(struct sort){.name = "cards", .records = 3000, .cards = 400, .shops = 40, .card_max = ", max: 150", .shop_max = ""});
  run(&(struct sort){.name = "shops", .records = 3001, .cards = 400, .shops = 40, .card_max = "", .shop_max = ", max: 9"});
}

static void sources_that_gate(void **state) {
  (void)state;
  run(&(struct sort){
      .name = "sources", .records = 4003, .cards = 200, .shops = 10, .card_max = "", .shop_max = "", .outcomes = true, .sources = true});
}

/* Shops are forgotten after a while: by the watermark of each event. */
static void facts_of_shops_and_cards(void **state) {
  (void)state;
  struct sort sort = {.name = "shop facts", .records = 3002, .cards = 200, .shops = 300, .card_max = "", .facts = true, .step_ms = 40000};
  sort.shop_max = ", forget_after: 4h";
  run(&sort);
  sort = (struct sort){.name = "card facts", .records = 3003, .cards = 300, .shops = 9, .shop_max = "", .facts = true, .step_ms = 40000};
  sort.card_max = "";
  sort.card_facts = true;
  run(&sort);
}

static const char file_of_facts[] = "tidemark: 1\n"
                                    "name: forgotten\n"
                                    "event: {id: id, time: time}\n"
                                    "inputs:\n"
                                    "  default:\n"
                                    "    id: /id\n"
                                    "    time: {at: /time, as: epoch_ms}\n"
                                    "    card: {at: /card, optional: true}\n"
                                    "    shop: {at: /shop, optional: true}\n"
                                    "  cards: {type: profile, when: {/type: card}, facts: {risk: {at: /risk, as: int}}}\n"
                                    "  shops: {type: profile, when: {/type: shop}, entity: shop, facts: {risk: {at: /risk, as: int}}}\n"
                                    "entities:\n"
                                    "  card: {key: card, forget_after: 3h}\n"
                                    "  shop: {key: shop, forget_after: 3h}\n"
                                    "features:\n"
                                    "  card: {n: count over 10m%s}\n"
                                    "  shop: {n: count over 10m%s}\n"
                                    "policy:\n"
                                    "  decisions: [approve]\n"
                                    "  rules: [else: approve]\n"
                                    "  fallback: [else: approve]\n";

/* What the first of two events reads is forgotten by the watermark of the second. */
static void facts_that_are_forgotten_between_two(bool of_shops) {
  struct sort sort = {.name = of_shops ? "a shop's fact" : "a card's fact"};
  struct tide_buf file = TIDE_BUF_INIT;
  struct folded one, two;
  static struct tide_record record;
  struct hand h;
  tide_buf_printf(&file, file_of_facts, of_shops ? "" : ", risk: fact risk", of_shops ? ", risk: fact risk" : "");
  hand_open(&h, tide_buf_cstr(&file));
  hand_event(&h, NULL, 0, T0, "somebody", "somewhere");
  hand_tell(&h, T0, of_shops ? "shop" : "card", "this", "risk", NULL, 7);
  hand_fold(&h, T0);
  record = (struct tide_record){.type = TIDE_REC_EVENT, .flags = TIDE_REC_NOCOUNT, .time.ms = T0 + 180 * MINUTE - 1};
  hand_put(&h, "id", "asked", &record);
  hand_put(&h, "card", "this", &record);
  hand_put(&h, "shop", "this", &record);
  add(&h, &record, NULL, 0);
  hand_event(&h, NULL, 0, T0 + 180 * MINUTE, "another", "this");
  hand_fold(&h, T0 + 180 * MINUTE);
  assert_int_equal(h.answers, 2);
  assert_non_null(strstr(tide_buf_cstr(&h.answer[0].json), of_shops ? "\"shop.risk\":7" : "\"card.risk\":7"));
  fold_log(&sort, tide_buf_span(&h.log), 1, false, &one);
  fold_log(&sort, tide_buf_span(&h.log), TIDE_GROUP, false, &two);
  assert_same(&sort, &one, &two, TIDE_GROUP);
  release(&one);
  release(&two);
  hand_close(&h);
  tide_buf_release(&file);
}

static void forgotten_facts(void **state) {
  (void)state;
  facts_that_are_forgotten_between_two(false);
  facts_that_are_forgotten_between_two(true);
}

static void traced_events(void **state) {
  (void)state;
  run(&(struct sort){.name = "traced", .records = 700, .cards = 60, .shops = 10, .card_max = "", .shop_max = "", .traced = true});
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(plain_traffic),
                                     cmocka_unit_test(all_sorts),
                                     cmocka_unit_test(outcomes_before_and_behind),
                                     cmocka_unit_test(one_card),
                                     cmocka_unit_test(kinds_that_fill_up),
                                     cmocka_unit_test(sources_that_gate),
                                     cmocka_unit_test(facts_of_shops_and_cards),
                                     cmocka_unit_test(forgotten_facts),
                                     cmocka_unit_test(traced_events)};
  return cmocka_run_group_tests_name("groups", tests, NULL, NULL);
}
