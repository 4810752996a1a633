/* Identity, duplicates and conflicts in the fold, where a mistake lets a second purchase pass as the first (rulings 12, 22, 23, 38, 39).
 *
 * Each case runs without a seed and under two seeds: the hashes of identities are keyed per journal, and what is a duplicate must not depend on the key. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "base/num.h"
#include "core/fold.h"

#define DAY INT64_C(86400000)

static const char features[] = "tidemark: 1\n"
                               "name: identity\n"
                               "event: {id: [rrn, stan], time: time, amount: amount in EUR}\n"
                               "inputs:\n"
                               "  default:\n"
                               "    rrn: rrn\n"
                               "    stan: stan\n"
                               "    time: {at: time, as: epoch_ms}\n"
                               "    amount: {at: amount, currency: currency, optional: true}\n"
                               "    card: card\n"
                               "    merchant: {at: merchant, optional: true}\n"
                               "entities: {card: card}\n"
                               "features: {card: {n: count over 1h, spend: sum of amount over 1h}}\n"
                               "policy: {decisions: [approve, decline], rules: [else: approve], fallback: [else: decline]}\n";

/* The same with a secret card number, and with values that outcomes change in an entity beside the card. */
static const char rotating[] = "tidemark: 1\n"
                               "name: rotating\n"
                               "event: {id: [rrn, stan], time: time, amount: amount in EUR, key: card}\n"
                               "inputs:\n"
                               "  default:\n"
                               "    rrn: rrn\n"
                               "    stan: stan\n"
                               "    time: {at: time, as: epoch_ms}\n"
                               "    amount: {at: amount, currency: currency, optional: true}\n"
                               "    card: card\n"
                               "    merchant: {at: merchant, optional: true}\n"
                               "entities: {account: card, pair: [account, merchant]}\n"
                               "features:\n"
                               "  account: {n: count over 1d}\n"
                               "  pair: {declined: count over 1d where result = declined}\n";

struct heard {
  unsigned answers;
  double first_value, second_value; /* of the file's features, when they are known */
  bool counted, duplicate, conflict;
  enum tide_cause cause;
  uint64_t seq, first_seq;
};

struct bench {
  struct tide_spec *spec;
  struct tide_fold *fold;
  struct tide_buf entry;
  struct tide_position at;
  int64_t commit_ms;
  struct heard heard;
};

static void hear(void *ctx, const struct tide_answer *answer) {
  struct heard *heard = ctx;
  *heard = (struct heard){.answers = heard->answers + 1,
                          .counted = answer->counted,
                          .duplicate = answer->duplicate,
                          .conflict = answer->id_conflict,
                          .cause = (enum tide_cause)answer->verdict.cause,
                          .seq = answer->position.seq,
                          .first_seq = answer->first_position.seq,
                          .first_value = answer->features_known ? answer->slot[0].num : -1,
                          .second_value = answer->features_known ? answer->slot[1].num : -1};
}

static void fold_it(struct bench *b, struct tide_batch *batch) {
  struct tide_error error = {0};
  tide_batch_end(batch);
  if (tide_fold_entry(b->fold, b->at, tide_buf_span(&b->entry), hear, &b->heard, &error)) fail_msg("%s", error.text);
  b->at.seq++;
}

static void begin_with(struct bench *b, const char *file, int64_t seed) {
  struct tide_error error = {0};
  size_t errors;
  *b = (struct bench){.fold = tide_fold_new(), .at = {1, 0}};
  if (tide_spec_parse("test", tide_span_of(file), &b->spec, &error, 1, &errors)) fail_msg("line %d: %s", error.line, error.text);
  struct tide_settings settings = tide_settings_default();
  settings.lateness_ms = DAY;
  settings.duplicates_for_ms = 3 * DAY;
  settings.history_from_ms = 0;
  settings.hash_seed = seed;
  struct tide_fence fence = {.nonce = 7, .epoch = 1};
  struct tide_batch batch;
  tide_batch_begin(&batch, &b->entry, &(struct tide_entry_header){.fence_nonce = 7}, NULL, 0);
  assert_int_equal(tide_batch_add_fence(&batch, &fence), TIDE_OK);
  assert_int_equal(tide_batch_add_config(&batch, &settings, tide_span_of(file)), TIDE_OK);
  fold_it(b, &batch);
}

static void begin(struct bench *b, int64_t seed) { begin_with(b, features, seed); }

static void end(struct bench *b) {
  tide_fold_free(b->fold);
  tide_spec_free(b->spec);
  tide_buf_release(&b->entry);
}

struct message {
  int64_t time_ms;
  const char *rrn, *stan, *merchant;
  int64_t minor;
  const char *currency;
};

static struct tide_record make(const struct bench *b, const struct message *m) {
  struct tide_record record;
  memset(&record, 0, sizeof record);
  record.type = TIDE_REC_EVENT;
  record.time.ms = m->time_ms;
  record.field[b->spec->f_time] = (struct tide_datum){.kind = TIDE_D_INT, .num = m->time_ms};
  const struct { const char *field, *text; } texts[] = {{"rrn", m->rrn}, {"stan", m->stan}, {"merchant", m->merchant}, {"card", "c"}};
  for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
    if (texts[i].text)
      record.field[tide_spec_field(b->spec, texts[i].field)] =
          (struct tide_datum){.kind = TIDE_D_TEXT, .text = tide_span_of(texts[i].text)};
  struct tide_datum *amount = &record.field[b->spec->f_amount];
  if (m->currency) {
    *amount = (struct tide_datum){.kind = TIDE_D_INT, .num = m->minor, .exponent = 2};
    memcpy(amount->currency, m->currency, 4);
  }
  return record;
}

static const struct heard *fold_record(struct bench *b, const struct tide_record *record, int64_t commit_ms) {
  struct tide_batch batch;
  if (commit_ms > b->commit_ms) b->commit_ms = commit_ms;
  tide_batch_begin(&batch, &b->entry, &(struct tide_entry_header){.fence_nonce = 7, .commit_ms = b->commit_ms}, NULL, 0);
  assert_int_equal(tide_batch_add(&batch, b->spec, record), TIDE_OK);
  fold_it(b, &batch);
  return &b->heard;
}

static const struct heard *event(struct bench *b, struct message m) {
  struct tide_record record = make(b, &m);
  return fold_record(b, &record, m.time_ms);
}

static const int64_t seeds[] = {0, 1, INT64_MAX - 12345};
#define EACH_SEED(b) for (size_t seed_at = 0; seed_at < 3 && (begin(b, seeds[seed_at]), true); end(b), seed_at++)

static void test_each_part_of_what_a_duplicate_is(void **state) {
  (void)state;
  struct bench b;
  static const char long_a[] = "0123456789012345678901234567890123456789012345678901234567890123456789-a",
                    long_b[] = "0123456789012345678901234567890123456789012345678901234567890123456789-b";
  EACH_SEED(&b) {
    const struct heard *h;
    assert_true(event(&b, (struct message){DAY, "ab", "c", "m", 100, "EUR"})->counted);
    h = event(&b, (struct message){DAY + 9, "ab", "c", "m", 100, "EUR"}); /* another time: whatever the time says */
    assert_true(h->duplicate && !h->counted && h->first_seq == 1);
    h = event(&b, (struct message){DAY, "a", "bc", "m", 100, "EUR"}); /* the same letters, cut elsewhere */
    assert_true(!h->duplicate && !h->conflict && h->counted);
    const struct message others[] = {
        {DAY, "ab", "c", "m", 101, "EUR"}, {DAY, "ab", "c", "m", 100, "USD"}, /* no rate: an identity that is remembered, all the same */
        {DAY, "ab", "c", "n", 100, "EUR"}, {DAY, "ab", "c", NULL, 100, "EUR"},
        {DAY, "ab", "c", "m", 0, NULL},    {DAY, "ab", "c", "m", TIDE_AMOUNT_MAX, "EUR"}};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
      h = event(&b, others[i]);
      assert_true(h->conflict && !h->duplicate);
      assert_int_equal(h->cause, i == 1 ? TIDE_C_no_rate : TIDE_C_none);
      h = event(&b, others[i]);
      assert_int_equal(h->duplicate, i != 1);
    }
    assert_true(event(&b, (struct message){DAY, long_a, long_a, long_a, 100, "EUR"})->counted);
    h = event(&b, (struct message){DAY, long_a, long_b, long_a, 100, "EUR"});
    assert_true(!h->conflict && !h->duplicate);
    h = event(&b, (struct message){DAY, long_a, long_a, long_b, 100, "EUR"});
    assert_true(h->conflict && !h->duplicate);
    assert_true(event(&b, (struct message){DAY, long_a, long_a, long_a, 100, "EUR"})->duplicate);
  }
}

/* A part may hold the very byte that tells the kind of the next one: only lengths keep ("a", "b.c") and ("a.b", "c") apart. */
static void test_parts_are_told_apart_by_their_lengths(void **state) {
  (void)state;
  struct bench b;
  const char left[] = {'a', TIDE_D_TEXT, 'b', 0}, right[] = {'b', TIDE_D_TEXT, 'c', 0};
  EACH_SEED(&b) {
    assert_true(event(&b, (struct message){DAY, "a", right, "m", 100, "EUR"})->counted);
    const struct heard *h = event(&b, (struct message){DAY, left, "c", "m", 100, "EUR"});
    assert_true(h->counted && !h->duplicate && !h->conflict);
  }
}

static void test_a_late_repetition_is_a_duplicate(void **state) {
  (void)state;
  struct bench b;
  EACH_SEED(&b) {
    const struct heard *h;
    event(&b, (struct message){DAY, "1", "1", "m", 100, "EUR"});
    event(&b, (struct message){DAY * 3, "2", "1", "m", 100, "EUR"});
    h = event(&b, (struct message){DAY, "1", "1", "m", 100, "EUR"}); /* two days behind: older than lateness, remembered for three */
    assert_true(h->duplicate);
    assert_int_equal(h->first_seq, 1);
    h = event(&b, (struct message){DAY, "1", "1", "m", 200, "EUR"});
    assert_true(h->conflict && !h->counted);
    assert_int_equal(h->cause, TIDE_C_late);
    h = event(&b, (struct message){DAY, "3", "1", "m", 200, "EUR"});
    assert_true(!h->conflict && h->cause == TIDE_C_late);
    event(&b, (struct message){DAY * 4, "4", "1", "m", 100, "EUR"});
    assert_true(event(&b, (struct message){DAY, "1", "1", "m", 100, "EUR"})->duplicate); /* three days to the millisecond */
    event(&b, (struct message){DAY * 4 + 1, "5", "1", "m", 100, "EUR"});
    h = event(&b, (struct message){DAY, "1", "1", "m", 100, "EUR"});
    assert_true(!h->duplicate && h->cause == TIDE_C_late);
    assert_int_equal(tide_fold_metrics(b.fold)->value[TIDE_M_events_duplicate_total], 2);
    assert_int_equal(tide_fold_metrics(b.fold)->value[TIDE_M_events_late_total], 3);
  }
}

static void test_an_unpriced_amount_is_left_out_and_metered(void **state) {
  (void)state;
  struct bench b;
  begin(&b, 5);
  event(&b, (struct message){DAY, "1", "1", "m", 100, "EUR"});
  struct tide_record outcome = make(&b, &(struct message){DAY, "1", "1", "m", 100, "EUR"});
  outcome.type = TIDE_REC_OUTCOME;
  outcome.outcome = (struct tide_outcome){.set = 1u << TIDE_DYN_amount_now | 1u << TIDE_DYN_result,
                                          .result = TIDE_RESULT_declined,
                                          .amount_now = 7,
                                          .currency = "USD",
                                          .exponent = 2};
  (void)fold_record(&b, &outcome, DAY);
  const struct tide_metrics *metrics = tide_fold_metrics(b.fold);
  assert_int_equal(metrics->value[TIDE_M_outcomes_unpriced_total], 1);
  assert_int_equal(metrics->value[TIDE_M_outcomes_applied_total], 1);
  memcpy(outcome.outcome.currency, "EUR", 4);
  (void)fold_record(&b, &outcome, DAY);
  assert_int_equal(metrics->value[TIDE_M_outcomes_unpriced_total], 1);
  end(&b);
}

/* A card number under the key before (1), the key after (2), or under both. */
enum hashes { BEFORE = 1, AFTER = 2, BOTH = 3 };
static void set_card(const struct bench *b, struct tide_record *record, enum hashes hashes) {
  struct tide_u128 before = {1, 2}, after = {UINT64_C(3) << 40, UINT64_C(4) << 60};
  struct tide_datum *card = &record->field[tide_spec_field(b->spec, "card")];
  *card = (struct tide_datum){.kind = TIDE_D_KEY, .key = hashes == BEFORE ? before : after};
  if (hashes == BOTH) card->alt = before;
  record->key_id = hashes == BEFORE ? 1 : 2;
}

static const struct heard *card_event(struct bench *b, int64_t time_ms, const char *rrn, enum hashes hashes) {
  struct tide_record record = make(b, &(struct message){time_ms, rrn, "1", "shop", 100, "EUR"});
  set_card(b, &record, hashes);
  return fold_record(b, &record, time_ms);
}

static void decline(struct bench *b, const char *rrn, enum hashes hashes) {
  struct tide_record record = make(b, &(struct message){DAY, rrn, "1", NULL, 0, NULL});
  record.type = TIDE_REC_OUTCOME;
  record.outcome = (struct tide_outcome){.set = 1u << TIDE_DYN_result, .result = TIDE_RESULT_declined};
  set_card(b, &record, hashes);
  (void)fold_record(b, &record, DAY);
}

static void test_a_rotation_in_steps_loses_nothing(void **state) {
  (void)state;
  for (int seed = 0; seed < 3; seed++) {
    struct bench b;
    begin_with(&b, rotating, seed);
    decline(&b, "4", BEFORE); /* waits for its event */
    (void)card_event(&b, DAY, "1", BEFORE);
    const struct heard *h = card_event(&b, DAY, "2", BOTH); /* moves */
    assert_true(h->first_value == 1 && h->second_value == 0);
    h = card_event(&b, DAY, "3", BEFORE); /* from an engine that does not know of the rotation yet */
    assert_true(h->first_value == 2);
    h = card_event(&b, DAY, "2", BEFORE); /* a repetition under the other hash */
    assert_true(h->duplicate);
    (void)card_event(&b, DAY, "4", BOTH);
    decline(&b, "1", AFTER); /* of an event from before: in its pair as well, which has moved */
    decline(&b, "3", BOTH);
    h = card_event(&b, DAY, "5", AFTER);
    assert_true(h->first_value == 4);
    assert_true(h->second_value == 3); /* 1, 3 and 4 */
    end(&b);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_each_part_of_what_a_duplicate_is),  cmocka_unit_test(test_parts_are_told_apart_by_their_lengths),
      cmocka_unit_test(test_a_late_repetition_is_a_duplicate),  cmocka_unit_test(test_an_unpriced_amount_is_left_out_and_metered),
      cmocka_unit_test(test_a_rotation_in_steps_loses_nothing),
  };
  return cmocka_run_group_tests_name("identity", tests, NULL, NULL);
}
