/* What labels say of decisions: sides, corrections, maturity, AUC against the exact one, samples that stay unbiased. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>

#include "base/buf.h"
#include "model/evaluate.h"
#include "model/feedback.h"

static const struct tide_feedback_options options = {.rows_max = 1024, .keep_ms = 1000000, .mature_ms = 10000};
static const struct tide_u128 model_a = {1, 2}, model_b = {3, 4}, no_model = {0, 0};

static uint64_t random_state;
static uint64_t draw(void) {
  random_state ^= random_state << 13, random_state ^= random_state >> 7, random_state ^= random_state << 17;
  return random_state * UINT64_C(0x9e3779b97f4a7c15);
}

static void decide(struct tide_feedback *feedback, uint64_t key, int64_t time_ms, uint32_t score, uint64_t truth, uint8_t rule,
                   bool stopped, struct tide_u128 model) {
  struct tide_feedback_row row = {.key = key, .print = 1, .time_ms = time_ms, .truth = truth, .rule = rule, .stopped = stopped};
  struct tide_feedback_said said = {model, model.lo == 1 ? "a@1" : "b@3", score};
  tide_feedback_add(feedback, &row, &said, model.lo ? 1 : 0, time_ms);
}

static struct tide_feedback_look look_at(const struct tide_feedback *feedback) {
  struct tide_feedback_look look;
  tide_feedback_look(feedback, &look);
  return look;
}

static void a_label_may_be_corrected_and_taken_back(void **state) {
  (void)state;
  struct tide_feedback *feedback = tide_feedback_new(&options);
  decide(feedback, 100, 0, 900000, 5, 2, true, model_a);
  decide(feedback, 200, 0, 100000, 1, TIDE_FEEDBACK_NO_RULE, false, no_model);
  struct tide_feedback_look look = look_at(feedback);
  assert_true(look.all.fraud == 0 && look.all.genuine == 0 && look.rows == 2 && look.decisions == 2);
  tide_feedback_label(feedback, 100, 0, 1, TIDE_LABEL_fraud, false);
  tide_feedback_label(feedback, 100, 0, 1, TIDE_LABEL_fraud, false); /* said twice */
  look = look_at(feedback);
  assert_true(look.all.fraud == 1 && look.stopped.fraud == 1 && look.corrected == 0 && look.labels == 2);
  assert_true(look.rule[0].truth.fraud == 1 && look.rule[2].truth.fraud == 1 && look.rule[2].decided.fraud == 1);
  assert_true(look.rule[1].truth.fraud == 0 && look.rule[0].decided.fraud == 0);
  tide_feedback_label(feedback, 100, 0, 1, TIDE_LABEL_genuine, false);
  look = look_at(feedback);
  assert_true(look.all.fraud == 0 && look.all.genuine == 1 && look.corrected == 1 && look.rule[2].decided.genuine == 1);
  tide_feedback_label(feedback, 100, 0, 1, TIDE_LABEL_unknown, false);
  look = look_at(feedback);
  assert_true(look.all.genuine == 0 && look.rule[2].truth.genuine == 0);
  tide_feedback_label(feedback, 300, 0, 1, TIDE_LABEL_fraud, false);
  assert_int_equal(look_at(feedback).unmatched, 1);
  tide_feedback_label(feedback, 301, 200, 1, TIDE_LABEL_fraud, false); /* known under the key before a rotation */
  assert_true(look_at(feedback).all.fraud == 1);
  tide_feedback_free(feedback);
}

/* Rule 0 became rule 3, rule 2 became rule 0, rule 1 is gone. */
static void rules_move_with_the_policy(void **state) {
  (void)state;
  struct tide_feedback *feedback = tide_feedback_new(&options);
  decide(feedback, 1024, 0, 900000, 7, 1, true, model_a);
  decide(feedback, 2048, 0, 900000, 4, 2, true, model_a);
  tide_feedback_label(feedback, 1024, 0, 1, TIDE_LABEL_fraud, false);
  uint8_t to[TIDE_RULES_MAX] = {3, TIDE_FEEDBACK_NO_RULE, 0};
  tide_feedback_map_rules(feedback, to);
  tide_feedback_label(feedback, 2048, 0, 1, TIDE_LABEL_genuine, false);
  struct tide_feedback_look look = look_at(feedback);
  assert_true(look.rule[3].truth.fraud == 1 && look.rule[0].truth.fraud == 1 && look.rule[0].truth.genuine == 1);
  assert_true(look.rule[1].truth.fraud == 0 && look.rule[2].truth.fraud == 0 && look.rule[1].decided.fraud == 0);
  assert_true(look.rule[0].decided.genuine == 1 && look.all.fraud == 1 && look.all.genuine == 1);
  tide_feedback_free(feedback);
}

static void of_events_with_one_id_the_named_amount_is_meant(void **state) {
  (void)state;
  struct tide_feedback *feedback = tide_feedback_new(&options);
  for (uint64_t print = 7; print < 10; print++) {
    struct tide_feedback_row row = {.key = 100, .print = print, .rule = (uint8_t)print};
    tide_feedback_add(feedback, &row, NULL, 0, 0);
  }
  tide_feedback_label(feedback, 100, 0, 8, TIDE_LABEL_fraud, false);
  assert_true(look_at(feedback).rule[8].decided.fraud == 1);
  tide_feedback_label(feedback, 100, 0, 77, TIDE_LABEL_fraud, false); /* an amount that none has: the latest */
  tide_feedback_label(feedback, 100, 0, 1, TIDE_LABEL_fraud, false);  /* none named: the latest */
  assert_true(look_at(feedback).rule[9].decided.fraud == 1 && look_at(feedback).rule[7].decided.fraud == 0);
  tide_feedback_free(feedback);
}

static void what_is_not_labelled_matures_and_leaves(void **state) {
  (void)state;
  struct tide_feedback *feedback = tide_feedback_new(&options);
  decide(feedback, 100, 0, 500000, 0, 0, false, model_a);
  decide(feedback, 200, 9999, 500000, 0, 0, false, model_a);
  assert_true(look_at(feedback).all.genuine == 0);
  decide(feedback, 300, 10000, 500000, 0, 0, false, model_a);
  assert_true(look_at(feedback).all.genuine == 1);
  tide_feedback_label(feedback, 100, 0, 1, TIDE_LABEL_fraud, false); /* it changes sides */
  struct tide_feedback_look look = look_at(feedback);
  assert_true(look.all.genuine == 0 && look.all.fraud == 1 && look.corrected == 0);
  tide_feedback_label(feedback, 100, 0, 1, TIDE_LABEL_unknown, false);
  assert_true(look_at(feedback).all.genuine == 1);
  decide(feedback, 400, 1000001, 500000, 0, 0, false, model_a); /* the first is too old now */
  look = look_at(feedback);
  assert_true(look.rows == 3 && look.all.genuine == 2 && look.model[0].rows == 3);
  tide_feedback_label(feedback, 100, 0, 1, TIDE_LABEL_fraud, false);
  assert_int_equal(look_at(feedback).unmatched, 1);
  tide_feedback_free(feedback);
}

static void auc_is_the_exact_one_within_its_bound(void **state) {
  (void)state;
  const struct tide_feedback_options roomy = {.rows_max = 4096, .keep_ms = 1000000, .mature_ms = 10000};
  struct tide_feedback *feedback = tide_feedback_new(&roomy);
  double score[1000];
  uint8_t fraud[1000];
  random_state = 42;
  for (unsigned i = 0; i < 1000; i++) {
    fraud[i] = draw() % 10 == 0;
    uint32_t millionths = (uint32_t)(fraud[i] ? 300000 + draw() % 700000 : draw() % 800000);
    score[i] = millionths / 1e6;
    decide(feedback, (i + 1) * 1024, 0, millionths, 0, 0, false, model_a);
    tide_feedback_label(feedback, (i + 1) * 1024, 0, 1, fraud[i] ? TIDE_LABEL_fraud : TIDE_LABEL_genuine, false);
  }
  struct tide_feedback_model model = look_at(feedback).model[0];
  assert_string_equal(model.id, "a@1");
  assert_true(model.auc_error > 0 && model.auc_error < 0.002);
  assert_true(fabs(model.auc - tide_roc_auc(score, fraud, 1000)) <= model.auc_error);
  assert_true(model.auc != tide_roc_auc(score, fraud, 1000)); /* or this shows nothing */
  tide_feedback_free(feedback);
}

static void models_are_told_apart_and_the_oldest_gives_way(void **state) {
  (void)state;
  struct tide_feedback *feedback = tide_feedback_new(&options);
  decide(feedback, 1024, 0, 900000, 0, 0, true, model_a);
  decide(feedback, 2048, 0, 100000, 0, 0, false, model_b);
  tide_feedback_label(feedback, 1024, 0, 1, TIDE_LABEL_fraud, false);
  tide_feedback_label(feedback, 2048, 0, 1, TIDE_LABEL_genuine, false);
  struct tide_feedback_look look = look_at(feedback);
  assert_int_equal(look.model_count, 2);
  assert_true(look.model[0].scored.fraud == 1 && look.model[0].stopped.fraud == 1 && look.model[1].scored.genuine == 1);
  assert_true(isnan(look.model[0].auc) && isnan(look.model[1].auc));
  for (uint64_t m = 10; m < 10 + TIDE_FEEDBACK_MODELS; m++) decide(feedback, m * 1024, 0, 500000, 0, 0, false, (struct tide_u128){m, m});
  look = look_at(feedback);
  assert_int_equal(look.model_count, TIDE_FEEDBACK_MODELS);
  assert_true(look.all.fraud == 1 && look.all.genuine == 1); /* the decisions themselves are not forgotten */
  for (uint32_t i = 0; i < look.model_count; i++) assert_true(look.model[i].checksum.lo >= 10 && look.model[i].rows == 1);
  tide_feedback_label(feedback, 1024, 0, 1, TIDE_LABEL_unknown, false);
  assert_true(look_at(feedback).all.fraud == 0);
  tide_feedback_free(feedback);
}

/* A shadow is measured on the same decisions, and decides none. */
static void shadows_have_an_auc_of_their_own(void **state) {
  (void)state;
  struct tide_feedback *feedback = tide_feedback_new(&options);
  for (uint64_t i = 1; i <= 20; i++) {
    bool fraud = i % 4 == 0;
    struct tide_feedback_row row = {.key = i << 20, .print = 1, .rule = 0, .stopped = fraud};
    struct tide_feedback_said said[] = {{model_a, "a@1", 500000}, {model_b, "b@3", fraud ? 900000 : 100000}};
    tide_feedback_add(feedback, &row, said, 2, 0);
    tide_feedback_label(feedback, i << 20, 0, 1, fraud ? TIDE_LABEL_fraud : TIDE_LABEL_genuine, false);
  }
  struct tide_feedback_look look = look_at(feedback);
  assert_int_equal(look.model_count, 2);
  assert_true(look.model[0].auc == 0.5 && look.model[0].auc_error == 0.5 && look.model[1].auc == 1 && look.model[1].auc_error == 0);
  assert_true(look.model[0].decided.fraud == 5 && look.model[0].stopped.fraud == 5 && look.model[1].decided.fraud == 0);
  assert_true(look.model[1].scored.fraud == 5 && look.model[1].stopped.genuine == 0 && look.all.fraud == 5);
  tide_feedback_free(feedback);
}

/* Fifty times as many decisions as rows: what is kept stands for all, and labels of the rest are known to be outside. */
static void a_sample_stands_for_all(void **state) {
  (void)state;
  struct tide_feedback_options big = {.rows_max = 4096, .keep_ms = INT64_C(1) << 40, .mature_ms = INT64_C(1) << 39};
  struct tide_feedback *feedback = tide_feedback_new(&big);
  random_state = 7;
  double fraud = 0, decisions = 200000;
  for (int i = 0; i < (int)decisions; i++) {
    uint64_t key = draw();
    bool is_fraud = draw() % 20 == 0;
    fraud += is_fraud;
    decide(feedback, key, i, 500000, 1, 0, is_fraud, model_a);
    tide_feedback_label(feedback, key, 0, 1, is_fraud ? TIDE_LABEL_fraud : TIDE_LABEL_genuine, false);
  }
  struct tide_feedback_look look = look_at(feedback);
  assert_true(look.rows <= 4096 && look.rows > 1000 && look.level >= 5);
  assert_true(look.unmatched == 0 && look.outside > 100000);
  double n = look.all.fraud + look.all.genuine;
  assert_true(fabs(n / decisions - 1) < 0.1);
  assert_true(fabs(look.all.fraud / n - fraud / decisions) < 0.02);
  assert_true(look.stopped.fraud == look.all.fraud && look.stopped.genuine == 0 && look.rule[0].truth.fraud == look.all.fraud);
  tide_feedback_free(feedback);
}

/* Every row that leaves takes away exactly what it brought. */
static void nothing_is_left_when_all_have_left(void **state) {
  (void)state;
  struct tide_feedback_options small = {.rows_max = 64, .keep_ms = 1000, .mature_ms = 300};
  struct tide_feedback *feedback = tide_feedback_new(&small);
  random_state = 3;
  int64_t now = 0;
  uint8_t turned[TIDE_RULES_MAX], gone[TIDE_RULES_MAX];
  for (uint8_t r = 0; r < TIDE_RULES_MAX; r++) turned[r] = (uint8_t)((r + 1) % TIDE_RULES_MAX), gone[r] = TIDE_FEEDBACK_NO_RULE;
  for (int i = 0; i < 20000; i++) {
    now += (int64_t)(draw() % 40);
    decide(feedback, draw() % 300 * 1031, now - (int64_t)(draw() % 100), (uint32_t)(draw() % 1000001), draw() % 8, (uint8_t)(draw() % 3),
           draw() % 2, draw() % 2 ? model_a : model_b);
    tide_feedback_label(feedback, draw() % 300 * 1031, 0, 1, (uint8_t)(draw() % 3), false);
    if (i % 5000 == 4999) tide_feedback_map_rules(feedback, i % 2 ? turned : gone);
  }
  decide(feedback, 0, now + 100000, UINT32_MAX, 0, TIDE_FEEDBACK_NO_RULE, false, no_model);
  struct tide_feedback_look look = look_at(feedback);
  assert_int_equal(look.rows, 1);
  assert_true(look.all.fraud == 0 && look.all.genuine == 0 && look.stopped.fraud == 0 && look.stopped.genuine == 0);
  for (unsigned r = 0; r < TIDE_RULES_MAX; r++)
    assert_true(look.rule[r].truth.fraud == 0 && look.rule[r].truth.genuine == 0 && look.rule[r].decided.fraud == 0);
  for (uint32_t m = 0; m < look.model_count; m++)
    assert_true(look.model[m].rows == 0 && look.model[m].scored.fraud == 0 && look.model[m].scored.genuine == 0 &&
                isnan(look.model[m].auc));
  tide_feedback_free(feedback);
}

static void it_comes_back_from_bytes(void **state) {
  (void)state;
  struct tide_feedback *feedback = tide_feedback_new(&options), *other = tide_feedback_new(&options);
  random_state = 11;
  for (int i = 0; i < 5000; i++) {
    decide(feedback, draw(), i * 7, (uint32_t)(draw() % 1000001), draw() % 8, (uint8_t)(draw() % 3), draw() % 2,
           draw() % 2 ? model_a : model_b);
    if (i % 3 == 0) tide_feedback_label(feedback, random_state, 0, 1, TIDE_LABEL_fraud, false);
  }
  struct tide_buf bytes = TIDE_BUF_INIT, again = TIDE_BUF_INIT;
  tide_feedback_save(feedback, &bytes);
  struct tide_reader reader = tide_reader_of(tide_buf_span(&bytes));
  assert_true(tide_feedback_load(other, &reader));
  tide_feedback_save(other, &again);
  assert_true(tide_span_eq(tide_buf_span(&bytes), tide_buf_span(&again)));
  struct tide_feedback_look was = look_at(feedback), is = look_at(other);
  assert_memory_equal(&was, &is, sizeof was);
  decide(feedback, 1 << 20, 40000, 1, 0, 0, false, model_a);
  decide(other, 1 << 20, 40000, 1, 0, 0, false, model_a); /* and goes on alike */
  was = look_at(feedback), is = look_at(other);
  assert_memory_equal(&was, &is, sizeof was);
  for (size_t len = 0; len < bytes.len; len += len < 64 ? 1 : 211) {
    struct tide_feedback *cut = tide_feedback_new(&options);
    struct tide_reader part = tide_reader_of((struct tide_span){bytes.ptr, len});
    assert_false(tide_feedback_load(cut, &part));
    assert_int_equal(look_at(cut).rows, 0);
    tide_feedback_free(cut);
  }
  struct tide_feedback_options half = {.rows_max = 100, .keep_ms = 1000000, .mature_ms = 10000};
  struct tide_feedback *smaller = tide_feedback_new(&half);
  reader = tide_reader_of(tide_buf_span(&bytes));
  assert_true(tide_feedback_load(smaller, &reader));
  assert_in_range(look_at(smaller).rows, 20, 100);
  tide_feedback_free(smaller);
  tide_buf_release(&bytes);
  tide_buf_release(&again);
  tide_feedback_free(feedback);
  tide_feedback_free(other);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(a_label_may_be_corrected_and_taken_back),
                                     cmocka_unit_test(rules_move_with_the_policy),
                                     cmocka_unit_test(of_events_with_one_id_the_named_amount_is_meant),
                                     cmocka_unit_test(what_is_not_labelled_matures_and_leaves),
                                     cmocka_unit_test(auc_is_the_exact_one_within_its_bound),
                                     cmocka_unit_test(models_are_told_apart_and_the_oldest_gives_way),
                                     cmocka_unit_test(shadows_have_an_auc_of_their_own),
                                     cmocka_unit_test(a_sample_stands_for_all),
                                     cmocka_unit_test(nothing_is_left_when_all_have_left),
                                     cmocka_unit_test(it_comes_back_from_bytes)};
  return cmocka_run_group_tests_name("feedback", tests, NULL, NULL);
}
