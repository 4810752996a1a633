/* Facts about entities: the array that keeps them, what becomes of a profile's shape, and the rulings P1 to P7 on journals written by hand.
 *
 * Random profiles are the oracle's (tests/oracle); here stand the consequences one by one, what answers say of them, and bytes that are broken. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/fold_state.h"
#include "feature/budget.h"
#include "model/definition.h"
#include "tests/oracle/rng.h"
#include "tests/support/by_hand.h"

#define NOW INT64_C(1795255131000) /* 2026-11-21T09:58:51Z */
#define DAY INT64_C(86400000)

/* ---- the array ---- */

/* The same with everything that was ever told. */
struct told {
  unsigned fact;
  int64_t time_ms;
  uint64_t value;
};
static const struct told *look(const struct told *told, int count, unsigned fact, int64_t at_ms) {
  int64_t latest = INT64_MIN, second = INT64_MIN;
  for (int i = 0; i < count; i++) {
    if (told[i].fact != fact || told[i].time_ms == latest) continue;
    if (told[i].time_ms > latest) second = latest, latest = told[i].time_ms;
    else if (told[i].time_ms > second) second = told[i].time_ms;
  }
  int64_t time_ms = latest <= at_ms ? latest : second <= at_ms ? second : INT64_MIN;
  const struct told *found = NULL;
  for (int i = 0; i < count; i++)
    if (told[i].fact == fact && told[i].time_ms == time_ms && time_ms != INT64_MIN) found = &told[i];
  return found;
}

static void the_two_latest_times_are_kept(void **state) {
  (void)state;
  struct or_rng rng = {90};
  for (int round = 0; round < 300; round++) {
    struct tide_facts *facts = NULL;
    struct told told[60];
    int64_t zero = or_percent(&rng, 50) ? NOW : -NOW; /* before 1970 as well */
    for (int n = 0; n < 60; n++) {
      told[n] = (struct told){(unsigned)or_below(&rng, 4) * 85, zero + or_below(&rng, 9), or_next(&rng)};
      (void)tide_facts_tell(&facts, told[n].fact, told[n].time_ms, told[n].value);
      for (unsigned fact = 0; fact < 256; fact += 85)
        for (int at = -1; at < 10; at++) {
          const struct told *want = look(told, n + 1, fact, zero + at);
          const struct tide_fact_row *got = tide_facts_at(facts, fact, zero + at);
          assert_int_equal(got != NULL, want != NULL);
          if (want) assert_true(got->value == want->value && tide_fact_time_ms(got) == want->time_ms);
        }
    }
    assert_true(facts->count <= 4 * TIDE_FACTS_KEPT);
    assert_int_equal(tide_facts_bytes(facts), sizeof *facts + facts->count * sizeof facts->row[0]);
    tide_facts_release(&facts);
    assert_null(facts);
  }
}

static bool loads(struct tide_span bytes, unsigned fact_count, struct tide_facts **ret) {
  struct tide_reader reader = tide_reader_of(bytes);
  *ret = NULL;
  return tide_facts_load(ret, fact_count, &reader) && reader.ptr == reader.end;
}

static void broken_bytes_are_no_facts(void **state) {
  (void)state;
  struct tide_facts *facts = NULL, *again;
  struct tide_buf bytes = TIDE_BUF_INIT;
  for (unsigned i = 0; i < 6; i++) (void)tide_facts_tell(&facts, i / 2, NOW + i, i * 7);
  facts->last_ms = NOW;
  tide_facts_save(facts, &bytes);
  assert_true(loads(tide_buf_span(&bytes), 3, &again));
  assert_int_equal(again->last_ms, NOW);
  assert_memory_equal(again->row, facts->row, facts->count * sizeof facts->row[0]);
  tide_facts_release(&again);
  assert_false(loads(tide_buf_span(&bytes), 2, &again)); /* a fact too many */
  tide_facts_release(&again);
  for (size_t len = 0; len < bytes.len; len++) {
    assert_false(loads((struct tide_span){bytes.ptr, len}, 3, &again));
    tide_facts_release(&again);
  }
  for (size_t row = 1; row < 6; row++) { /* the order of two rows changed: not sorted, or three of one fact */
    struct tide_buf turned = TIDE_BUF_INIT;
    tide_buf_put(&turned, bytes.ptr, bytes.len);
    size_t at = 1 + 8 + (row - 1) * 16;
    char one[16];
    memcpy(one, turned.ptr + at, 16);
    memcpy(turned.ptr + at, turned.ptr + at + 16, 16);
    memcpy(turned.ptr + at + 16, one, 16);
    assert_false(loads(tide_buf_span(&turned), 3, &again));
    tide_facts_release(&again);
    tide_buf_release(&turned);
  }
  tide_buf_clear(&bytes);
  tide_facts_save(NULL, &bytes);
  assert_true(loads(tide_buf_span(&bytes), 3, &again));
  assert_null(again);
  tide_buf_release(&bytes);
  tide_facts_release(&facts);
}

/* ---- the file ---- */

static const struct tide_input_field *column_of(const struct tide_spec *spec, const char *shape, uint32_t field) {
  for (uint32_t i = 0; i < spec->shape_count; i++)
    for (uint32_t k = 0; strcmp(spec->shape[i].name, shape) == 0 && k < spec->shape[i].field_count; k++)
      if (spec->shape[i].field[k].field == field) return &spec->shape[i].field[k];
  return NULL;
}

static void shapes_of_profiles(void **state) {
  (void)state;
  struct tide_spec *spec = NULL;
  struct tide_error error = {0};
  assert_int_equal(tide_spec_load("tests/golden/features/facts.yaml", &spec, &error, 1, NULL), TIDE_OK);
  uint32_t card = tide_spec_entity(spec, "card"), merchant = tide_spec_entity(spec, "merchant"),
           pair = tide_spec_entity(spec, "card_merchant");
  uint32_t limit = tide_spec_fact(spec, card, "credit_limit"), segment = tide_spec_fact(spec, card, "segment");
  assert_int_equal(spec->fact_count, 10);
  assert_int_equal(tide_spec_field(spec, "credit_limit"), TIDE_NONE); /* no field of events */
  assert_int_not_equal(tide_spec_field(spec, "segment"), TIDE_NONE);
  assert_int_not_equal(tide_spec_field(spec, "segment"), segment);
  assert_int_not_equal(segment, tide_spec_fact(spec, merchant, "segment"));
  assert_int_equal(tide_spec_fact(spec, merchant, "credit_limit"), TIDE_NONE);
  assert_int_equal(spec->field[limit].type, TIDE_F_MONEY);
  assert_int_equal(spec->field[tide_spec_fact(spec, card, "risk")].decimals, 2);
  assert_true(limit > tide_spec_field(spec, "net")); /* facts stand behind all fields */
  /* what a shape does not say of key and time comes from default, of its parent only what it needs */
  assert_string_equal(column_of(spec, "limits", tide_spec_field(spec, "pan"))->at, "/card/number");
  assert_string_equal(column_of(spec, "limits", spec->f_time)->at, "/time");
  assert_string_equal(column_of(spec, "shops", spec->f_time)->at, "/since");
  assert_string_equal(column_of(spec, "shops", tide_spec_field(spec, "merchant"))->at, "/shop/id");
  assert_string_equal(column_of(spec, "networks", tide_spec_field(spec, "ip"))->at, "/ip"); /* the net is derived of it */
  assert_non_null(column_of(spec, "pairs", tide_spec_field(spec, "pan")));
  assert_non_null(column_of(spec, "pairs", tide_spec_field(spec, "merchant")));
  assert_null(column_of(spec, "limits", tide_spec_field(spec, "merchant")));
  assert_null(column_of(spec, "limits", spec->f_amount));
  assert_string_equal(column_of(spec, "limits", limit)->currency, "/currency");
  assert_string_equal(column_of(spec, "gold_limits", limit)->at, "/limit");
  assert_string_equal(column_of(spec, "gold_limits", segment)->at, "/tier");
  assert_null(column_of(spec, "gold_limits", tide_spec_fact(spec, card, "cash_limit")));
  assert_int_equal(spec->shape[spec->shape_count - 1].entity, pair);
  /* values: texts are texts, all else are numbers; the group's age */
  assert_int_equal(spec->slot[tide_spec_slot(spec, "card.segment")].type, TIDE_V_TEXT);
  assert_int_equal(spec->slot[tide_spec_slot(spec, "card.staff")].type, TIDE_V_NUM);
  assert_true(spec->slot[tide_spec_slot(spec, "card.limit")].money);
  assert_false(spec->slot[tide_spec_slot(spec, "card.risk")].money);
  assert_int_equal(spec->group[spec->entity[card].group].facts_ms, 90 * DAY);
  assert_int_equal(spec->group[spec->entity[merchant].group].facts_ms, 800 * DAY);
  tide_spec_free(spec);
}

static void numbers_among_them_feed_a_model(void **state) {
  (void)state;
  struct tide_spec *spec = NULL;
  struct tide_expr leaf;
  struct tide_error error = {0};
  struct tide_buf text = TIDE_BUF_INIT;
  assert_int_equal(tide_spec_load("tests/golden/features/facts.yaml", &spec, &error, 1, NULL), TIDE_OK);
  assert_int_equal(tide_input_find(spec, "card.limit", &leaf, &error), TIDE_OK);
  tide_input_define(spec, &leaf, &text);
  assert_string_equal(tide_buf_cstr(&text),
                      "card.limit = fact credit_limit, amount forgotten after 500d; card: first_of(par, pan); in EUR");
  tide_buf_clear(&text);
  assert_int_equal(tide_input_find(spec, "young", &leaf, &error), TIDE_OK);
  tide_input_define(spec, &leaf, &text);
  assert_non_null(strstr(tide_buf_cstr(&text), "card.opened = fact opened, seconds forgotten after 500d"));
  assert_int_equal(tide_input_find(spec, "card.segment", &leaf, &error), TIDE_E_TYPE);
  assert_int_equal(tide_input_find(spec, "credit_limit", &leaf, &error), TIDE_E_UNKNOWN_NAME);
  tide_buf_release(&text);
  tide_spec_free(spec);
}

static void the_budget_says_how_old_they_may_be(void **state) {
  (void)state;
  struct tide_spec *spec = NULL;
  struct tide_error error = {0};
  struct tide_buf text = TIDE_BUF_INIT;
  struct tide_budget budget;
  assert_int_equal(tide_spec_load("tests/golden/features/facts.yaml", &spec, &error, 1, NULL), TIDE_OK);
  uint32_t net = tide_spec_entity(spec, "net");
  tide_budget_of(spec, 0, net, &budget);
  tide_budget_say(spec, net, &budget, &text);
  assert_non_null(strstr(tide_buf_cstr(&text), "\n  facts         at most 1d old by their own times: kind\n"));
  tide_buf_release(&text);
  tide_spec_free(spec);
}

/* ---- journals by hand ---- */

static const char features[] = "tidemark: 1\n"
                               "name: facts\n"
                               "event: {id: id, time: time, amount: amount in EUR}\n"
                               "inputs:\n"
                               "  default:\n"
                               "    id: /id\n"
                               "    time: {at: /time, as: epoch_ms}\n"
                               "    amount: {at: /amount, optional: true}\n"
                               "    card: {at: /card, optional: true}\n"
                               "    shop: {at: /shop, optional: true}\n"
                               "  cards:\n"
                               "    type: profile\n"
                               "    when: {/t: card}\n"
                               "    facts: {limit: {at: /l, as: amount}, segment: /s, unread: {at: /u, as: int}}\n"
                               "  shops: {type: profile, when: {/t: shop}, entity: shop, facts: {kind: /k, rank: {at: /r, as: int}}}\n"
                               "entities:\n"
                               "  card: {key: card, keep: 1d, forget_after: 30d}\n"
                               "  shop: {key: shop, keep: 1d, max: 2}\n"
                               "features:\n"
                               "  card: {limit: fact limit, segment: fact segment, n: count over 1h}\n"
                               "  shop: {kind: fact kind, rank: fact rank}\n"
                               "freshness:\n"
                               "  card: {facts: 10d}\n"
                               "  shop: {facts: 5d, stale: default 7}\n"
                               "policy:\n"
                               "  decisions: [approve, decline]\n"
                               "  rules:\n"
                               "    - R1: decline when card.limit < 100\n"
                               "    - else: approve\n"
                               "  fallback:\n"
                               "    - else: decline\n";
enum { LIMIT, SEGMENT, COUNT, KIND, RANK };
enum { CARD, SHOP };
static struct hand h;

static int open_hand(void **state) {
  (void)state;
  hand_open(&h, features);
  return 0;
}
static int close_hand(void **state) {
  (void)state;
  hand_close(&h);
  return 0;
}

static const struct hand_answer *event_at(int64_t time_ms, const char *card, const char *shop) {
  hand_event(&h, NULL, 0, time_ms, card, shop);
  hand_fold(&h, NOW);
  assert_int_equal(h.answers, 1);
  return &h.answer[0];
}
static void told(int64_t time_ms, const char *card, int64_t cents) {
  hand_tell(&h, time_ms, "card", card, "limit", NULL, cents);
  hand_fold(&h, NOW);
}
static void is_limit(const struct hand_answer *answer, double limit) {
  assert_int_equal(answer->slot[LIMIT].type, TIDE_V_NUM);
  if (answer->slot[LIMIT].num != limit || answer->slot[LIMIT].state != TIDE_S_fresh)
    fail_msg("%s", tide_buf_cstr(&((struct hand_answer *)answer)->json));
}
static void is_absent(const struct hand_answer *answer, unsigned slot) {
  assert_int_equal(answer->slot[slot].type, TIDE_V_NULL);
  assert_int_equal(answer->slot[slot].state, TIDE_S_absent);
  assert_int_equal(answer->slot[slot].cause, TIDE_C_absent);
  assert_false(answer->slot[slot].unknown);
}
static void says(const struct hand_answer *answer, const char *what, bool expected) {
  const char *json = tide_buf_cstr(&((struct hand_answer *)answer)->json);
  if ((strstr(json, what) != NULL) != expected) fail_msg("%s \"%s\" in %s", expected ? "no" : "there is", what, json);
}
static int64_t metric(enum tide_metric m) { return tide_fold_metrics(h.fold)->value[m]; }

static void an_event_reads_what_was_true_at_its_time(void **state) { /* P2, P3 */
  (void)state;
  is_absent(event_at(NOW, "a", NULL), LIMIT);
  told(NOW, "a", 100000);
  is_limit(event_at(NOW, "a", NULL), 1000); /* from its very moment on */
  is_absent(event_at(NOW - 1, "a", NULL), LIMIT);
  told(NOW + 1000, "a", 200000);
  is_limit(event_at(NOW + 999, "a", NULL), 1000);
  is_limit(event_at(NOW + 1000, "a", NULL), 2000);
  told(NOW + 1000, "a", 250000); /* of one time, what was told last */
  is_limit(event_at(NOW + 1001, "a", NULL), 2500);
  is_limit(event_at(NOW + 1, "a", NULL), 1000);
  told(NOW + 2000, "a", 300000); /* a third: the first is gone */
  is_absent(event_at(NOW + 999, "a", NULL), LIMIT);
  is_limit(event_at(NOW + 1999, "a", NULL), 2500);
  int64_t dropped = metric(TIDE_M_facts_dropped_total);
  told(NOW + 500, "a", 1); /* older than both */
  is_absent(event_at(NOW + 999, "a", NULL), LIMIT);
  assert_int_equal(metric(TIDE_M_facts_dropped_total), dropped + 1);
  is_absent(event_at(NOW + 5000, "b", NULL), LIMIT); /* somebody else */
}

static void a_profile_is_no_event(void **state) { /* P1 */
  (void)state;
  (void)event_at(NOW, "a", NULL);
  int64_t watermark_ms = tide_fold_watermark(h.fold), decisions = metric(TIDE_M_decisions_total),
          counted = metric(TIDE_M_events_counted_total);
  told(NOW + 3 * DAY, "a", 100); /* moves nothing */
  hand_tell(&h, NOW - 1000 * DAY, "card", "a", "segment", "gold", 0);
  hand_fold(&h, NOW);
  assert_int_equal(h.answers, 0);
  assert_int_equal(tide_fold_watermark(h.fold), watermark_ms);
  assert_int_equal(metric(TIDE_M_decisions_total), decisions);
  assert_int_equal(metric(TIDE_M_events_counted_total), counted);
  const struct hand_answer *answer = event_at(NOW, "a", NULL);
  assert_true(answer->slot[COUNT].num == 1);
  assert_int_equal(answer->slot[SEGMENT].state, TIDE_S_stale);
}

static void a_fact_has_an_age(void **state) { /* P4 */
  (void)state;
  told(NOW, "a", 100000);
  hand_tell(&h, NOW + DAY, "card", "a", "segment", "gold", 0);
  hand_tell(&h, NOW, "shop", "s", "rank", NULL, 3);
  hand_tell(&h, NOW, "shop", "s", "kind", "bar", 0);
  hand_fold(&h, NOW);
  const struct hand_answer *answer = event_at(NOW + 5 * DAY, "a", "s");
  is_limit(answer, 1000);
  assert_true(answer->standing[CARD].has_facts && answer->standing[CARD].facts_age_ms == 5 * DAY); /* the oldest of them */
  assert_true(answer->slot[RANK].num == 3 && answer->slot[RANK].state == TIDE_S_fresh);
  says(answer, "\"card\":{\"state\":\"fresh\",\"age_ms\":0,\"facts_age_ms\":432000000}", true);
  answer = event_at(NOW + 5 * DAY + 1, "a", "s"); /* default 7: a text has none */
  assert_true(answer->slot[RANK].num == 7 && answer->slot[RANK].state == TIDE_S_defaulted && answer->slot[RANK].cause == TIDE_C_stale);
  assert_true(answer->slot[KIND].state == TIDE_S_stale && answer->slot[KIND].unknown);
  answer = event_at(NOW + 10 * DAY, "a", NULL);
  is_limit(answer, 1000); /* just so much is within it */
  assert_true(tide_standing_within(h.spec, CARD, &answer->standing[CARD]));
  assert_false(answer->standing[SHOP].has_facts);
  answer = event_at(NOW + 10 * DAY + 1, "a", NULL);
  assert_true(answer->slot[LIMIT].state == TIDE_S_stale && answer->slot[LIMIT].unknown && answer->slot[LIMIT].num == 1000);
  assert_false(tide_standing_within(h.spec, CARD, &answer->standing[CARD])); /* what a fallback model may not read */
  assert_int_equal(answer->slot[SEGMENT].state, TIDE_S_fresh);
  assert_true(answer->refused && answer->cause == TIDE_C_stale);
  assert_string_equal(answer->decision, "decline");
  says(
      answer,
      "\"detail\":\"card.limit: features or facts are staler than their budget (what was told is older than 10d, budget for facts of card); rule R1",
      true);
  says(answer, "\"card\":{\"state\":\"stale\",\"age_ms\":0,\"facts_age_ms\":864000001}", true);
  told(NOW + 10 * DAY, "a", 5000); /* told anew: 50 is less than 100 */
  answer = event_at(NOW + 10 * DAY + 2, "a", NULL);
  assert_true(!answer->refused && strcmp(answer->decision, "decline") == 0);
  says(event_at(NOW + 10 * DAY, "nobody", NULL), "facts_age_ms", false);
}

static void what_was_known_is_forgotten(void **state) { /* P5 */
  (void)state;
  told(NOW - 400 * DAY, "a", 100000); /* before there is time: told when it begins, whatever its own says */
  told(NOW - DAY, "b", 100000);
  (void)event_at(NOW, "c", NULL);
  assert_int_equal(tide_fold_entities(h.fold, CARD), 3);
  assert_int_equal(event_at(NOW, "a", NULL)->slot[LIMIT].state, TIDE_S_stale); /* known, and old */
  hand_fold(&h, NOW + 30 * DAY);
  hand_event(&h, NULL, 0, NOW + 30 * DAY - 1, "c", NULL);
  hand_fold(&h, NOW + 30 * DAY);
  assert_int_equal(tide_fold_watermark(h.fold), NOW + 30 * DAY - 1);
  hand_event(&h, NULL, 0, NOW + 30 * DAY - 1, "b", NULL); /* its last sign of life is 30d old but for a millisecond */
  hand_fold(&h, NOW + 30 * DAY);
  assert_int_equal(h.answer[0].slot[LIMIT].state, TIDE_S_stale);
  hand_event(&h, NULL, 0, NOW + 31 * DAY, "c", NULL);
  hand_fold(&h, NOW + 31 * DAY);
  hand_event(&h, NULL, 0, NOW + 31 * DAY, "a", NULL); /* nothing for 31d */
  hand_event(&h, NULL, 0, NOW + 31 * DAY, "b", NULL); /* the event of yesterday kept it */
  hand_fold(&h, NOW + 31 * DAY);
  is_absent(&h.answer[0], LIMIT);
  assert_int_equal(h.answer[1].slot[LIMIT].state, TIDE_S_stale);
  hand_tell(&h, NOW + 31 * DAY, "card", "a", "segment", "new", 0);
  hand_event(&h, NULL, 0, NOW + 31 * DAY, "a", NULL);
  hand_fold(&h, NOW + 31 * DAY);
  is_absent(&h.answer[0], LIMIT); /* does not come back with another fact */
  assert_int_equal(h.answer[0].slot[SEGMENT].state, TIDE_S_fresh);
}

static void entities_without_events_are_swept(void **state) {
  (void)state;
  char card[16];
  for (int i = 0; i < 200; i++) {
    (void)snprintf(card, sizeof card, "card%d", i);
    hand_tell(&h, NOW, "card", card, "limit", NULL, i);
  }
  hand_fold(&h, NOW);
  (void)event_at(NOW, "x", NULL);
  assert_int_equal(tide_fold_entities(h.fold, CARD), 201);
  uint64_t bytes = tide_fold_usage(h.fold, CARD).bytes;
  for (int n = 0; n < 700; n++) { /* the sweep looks at two or so in each entry */
    hand_event(&h, NULL, 0, NOW + 40 * DAY, "y", NULL);
    hand_fold(&h, NOW + 40 * DAY);
  }
  assert_int_equal(tide_fold_entities(h.fold, CARD), 1);
  assert_true(tide_fold_usage(h.fold, CARD).bytes + 200 * sizeof(struct tide_facts) < bytes + 64 * 1024);
}

static void there_may_be_no_room(void **state) { /* P5, 45 */
  (void)state;
  (void)event_at(NOW, "a", "s1");
  hand_tell(&h, NOW, "shop", "s2", "rank", NULL, 2);
  hand_tell(&h, NOW, "shop", "s3", "rank", NULL, 3); /* the third of two */
  hand_fold(&h, NOW);
  assert_int_equal(metric(TIDE_M_entities_dropped_total), 1);
  assert_int_equal(metric(TIDE_M_facts_told_total), 1);
  assert_int_equal(metric(TIDE_M_facts_dropped_total), 1);
  assert_true(event_at(NOW, "a", "s2")->slot[RANK].num == 2);
  const struct hand_answer *answer = event_at(NOW, "a", "s3");
  assert_true(answer->slot[RANK].unknown && answer->slot[RANK].cause == TIDE_C_capacity);
}

static void what_nobody_reads_is_not_kept(void **state) {
  (void)state;
  hand_tell(&h, NOW, "card", "a", "unread", NULL, 1);
  hand_tell(&h, NOW, "card", NULL, "limit", NULL, 1); /* about nobody: a decoder refuses it, a journal can hold it */
  hand_fold(&h, NOW);
  assert_int_equal(tide_fold_entities(h.fold, CARD), 0);
  assert_int_equal(metric(TIDE_M_facts_told_total), 0);
  assert_int_equal(metric(TIDE_M_facts_dropped_total), 1);
}

static void stamps_do_not_decrease(void **state) {
  (void)state;
  hand_tell(&h, INT64_MIN, "card", "a", "limit", NULL, 100000);
  hand_fold(&h, NOW);
  hand_tell(&h, INT64_MIN, "card", "a", "limit", NULL, 200000);
  hand_fold(&h, NOW - 5000); /* a writer whose clock is behind */
  is_limit(event_at(NOW, "a", NULL), 2000);
  is_absent(event_at(NOW - 1, "a", NULL), LIMIT);
}

static void a_question_reads_them_too(void **state) {
  (void)state;
  struct tide_error error = {0};
  told(NOW, "a", 100000); /* before any event */
  hand_event(&h, NULL, 0, NOW + 1, "a", NULL);
  struct tide_buf question = h.records;
  h.records = (struct tide_buf)TIDE_BUF_INIT;
  h.count = 0;
  h.answers = 0;
  assert_int_equal(tide_fold_ask(h.fold, TIDE_ASK_FEATURES, 0, tide_buf_span(&question), TIDE_C_none, hand_hear, &h, &error), TIDE_OK);
  assert_int_equal(h.answers, 1);
  is_limit(&h.answer[0], 1000);
  assert_int_equal(h.answer[0].standing[CARD].facts_age_ms, 1);
  h.answers = 0; /* and a lookup of a card that has no event finds nothing */
  assert_int_equal(tide_fold_ask(h.fold, TIDE_ASK_LOOKUP, 0, tide_buf_span(&question), TIDE_C_none, hand_hear, &h, &error), TIDE_OK);
  assert_int_equal(h.answers, 0);
  tide_buf_release(&question);
}

static void a_source_of_profiles_that_is_behind(void **state) { /* P4 */
  (void)state;
  struct tide_source_info source = hand_source("limits", true, false);
  hand_declare(&h, &source, 1);
  hand_start(&h, "limits", 0);
  hand_fold(&h, NOW);
  hand_facts(&h, "limits", 0, 0, INT64_MIN, NOW, 100);
  hand_tell(&h, NOW - DAY, "card", "a", "limit", NULL, 100000);
  hand_fold(&h, NOW);
  is_limit(hand_ask(&h, NOW + 1000, "a", NULL), 1000); /* a day old, and complete up to now */
  const struct hand_answer *answer = hand_ask(&h, NOW + 20000, "a", NULL);
  assert_true(answer->slot[LIMIT].state == TIDE_S_stale && answer->slot[LIMIT].unknown); /* who knows what it would tell */
  says(answer, "limits/0 complete as of", true);
  assert_true(answer->standing[CARD].has_facts);
}

static void reload(struct tide_fold **ret) {
  struct tide_buf chunk = TIDE_BUF_INIT;
  struct tide_error error = {0};
  *ret = tide_fold_new();
  for (unsigned i = 0; i < TIDE_CHUNKS; i++) {
    unsigned number = i == 0 ? TIDE_SHARDS : i - 1;
    tide_buf_clear(&chunk);
    tide_fold_save(h.fold, number, &chunk);
    assert_int_equal(tide_fold_load(*ret, number, tide_buf_span(&chunk), &error), TIDE_OK);
  }
  tide_buf_release(&chunk);
}

static void snapshots_carry_them(void **state) {
  (void)state;
  (void)event_at(NOW, "a", "s");
  told(NOW, "a", 100000);
  struct tide_digest before = tide_fold_digest(h.fold);
  told(NOW, "a", 200000);
  struct tide_digest after = tide_fold_digest(h.fold);
  assert_true(before.state_hash != after.state_hash); /* a fact is state */
  struct tide_fold *again;
  reload(&again);
  assert_true(tide_fold_digest(again).state_hash == after.state_hash);
  tide_fold_free(h.fold);
  h.fold = again;
  is_limit(event_at(NOW + 1, "a", NULL), 2000);
  /* any byte of it turned: refused, or something else is kept; never a crash */
  struct tide_buf chunk = TIDE_BUF_INIT, turned = TIDE_BUF_INIT;
  int refused = 0;
  for (unsigned shard = 0; shard < TIDE_SHARDS; shard++) {
    tide_buf_clear(&chunk);
    tide_fold_save(h.fold, shard, &chunk);
    for (size_t i = 0; i < chunk.len && chunk.len > 8; i++) {
      struct tide_error error = {0};
      struct tide_fold *fold = tide_fold_new();
      tide_buf_clear(&turned);
      tide_fold_save(h.fold, TIDE_SHARDS, &turned);
      assert_int_equal(tide_fold_load(fold, TIDE_SHARDS, tide_buf_span(&turned), &error), TIDE_OK);
      tide_buf_clear(&turned);
      tide_buf_put(&turned, chunk.ptr, chunk.len);
      turned.ptr[i] ^= 0x41;
      refused += tide_fold_load(fold, shard, tide_buf_span(&turned), &error) != TIDE_OK;
      tide_fold_free(fold);
    }
  }
  assert_true(refused > 10);
  tide_buf_release(&chunk);
  tide_buf_release(&turned);
}

int main(void) {
#define BY_HAND(test) cmocka_unit_test_setup_teardown(test, open_hand, close_hand)
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(the_two_latest_times_are_kept),
      cmocka_unit_test(broken_bytes_are_no_facts),
      cmocka_unit_test(shapes_of_profiles),
      cmocka_unit_test(numbers_among_them_feed_a_model),
      cmocka_unit_test(the_budget_says_how_old_they_may_be),
      BY_HAND(an_event_reads_what_was_true_at_its_time),
      BY_HAND(a_profile_is_no_event),
      BY_HAND(a_fact_has_an_age),
      BY_HAND(what_was_known_is_forgotten),
      BY_HAND(entities_without_events_are_swept),
      BY_HAND(there_may_be_no_room),
      BY_HAND(what_nobody_reads_is_not_kept),
      BY_HAND(stamps_do_not_decrease),
      BY_HAND(a_question_reads_them_too),
      BY_HAND(a_source_of_profiles_that_is_behind),
      BY_HAND(snapshots_carry_them),
  };
  return cmocka_run_group_tests_name("facts", tests, NULL, NULL);
}
