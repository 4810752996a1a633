/* Class weights and the choice of the penalty: a closed form with weights, losses of folds worked out again by hand, and that no fold knows its future. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>

#include "model/choose.h"
#include "model/logistic.h"

enum { INPUTS = 2 };

static struct tide_model *model_of(void) {
  static const char *const name[INPUTS] = {"a", "b"};
  struct tide_model *model = tide_alloc(sizeof *model);
  model->name = model->version = model->features = "t";
  model->input = tide_arena_alloc(&model->arena, INPUTS * sizeof *model->input);
  model->input_count = INPUTS;
  for (uint32_t i = 0; i < INPUTS; i++)
    model->input[i] = (struct tide_model_input){.feature = name[i], .definition = name[i], .code = name[i], .text = ""};
  return model;
}

static uint64_t random_of(uint64_t *seed) {
  *seed = *seed * 6364136223846793005u + 1442695040888963407u;
  return *seed >> 33;
}

/* b says something of fraud, a nothing; b is constant at first and missing now and then. */
static void fill(struct tide_rows *rows, size_t count) {
  uint64_t seed = 7;
  tide_rows_init(rows, INPUTS);
  for (size_t k = 0; k < count; k++) {
    size_t r = tide_rows_add(rows);
    double a = (double)(random_of(&seed) % 1000) / 10, b = k < count / 8 ? 3 : (double)(random_of(&seed) % 500) / 100;
    rows->x[r * INPUTS] = a;
    rows->x[r * INPUTS + 1] = b;
    rows->cause[r * INPUTS] = TIDE_C_none;
    rows->cause[r * INPUTS + 1] = (uint8_t)(k % 11 == 5 ? TIDE_C_empty : TIDE_C_none);
    rows->time_ms[r] = (int64_t)(k / 3) * 1000; /* three of a moment */
    rows->fraud[r] = (double)(random_of(&seed) % 1000) < 20 + b * 60;
  }
}

static void a_weight_moves_the_shares(void **state) {
  (void)state;
  struct tide_rows rows;
  struct tide_train_result result;
  struct tide_error error = {0};
  tide_rows_init(&rows, INPUTS);
  for (int i = 0; i < 500; i++) { /* 10 % fraud where a is 0, 40 % where it is 1 */
    size_t r = tide_rows_add(&rows);
    bool one = i >= 400;
    rows.x[r * INPUTS] = one;
    rows.x[r * INPUTS + 1] = i % 2;
    rows.cause[r * INPUTS] = rows.cause[r * INPUTS + 1] = TIDE_C_none;
    rows.fraud[r] = one ? i % 20 < 8 : i % 20 < 2; /* as often with b as without */
  }
  struct tide_model *model = model_of();
  struct tide_train_how how = {.l2 = 1e-9, .fraud_weight = 9};
  uint8_t cause[INPUTS] = {TIDE_C_none, TIDE_C_none};
  assert_int_equal(tide_train(model, &rows, rows.count, &how, &result, &error), TIDE_OK);
  assert_true(model->weighted && model->genuine_weight == 1 && model->fraud_weight == 9);
  assert_true(tide_score_of_logit(tide_model_logit(model, (double[]){0, 0}, cause)) == 0.5);      /* 9 * 0.1 / (9 * 0.1 + 0.9) */
  assert_true(tide_score_of_logit(tide_model_logit(model, (double[]){1, 0}, cause)) == 0.857143); /* 9 * 0.4 / (9 * 0.4 + 0.6) */
  how.fraud_weight = TIDE_TRAIN_BALANCED; /* 80 of 500: a fraud weighs 420 / 80 of a genuine one */
  assert_int_equal(tide_train(model, &rows, rows.count, &how, &result, &error), TIDE_OK);
  assert_true(model->genuine_weight == 0.595238095 && model->fraud_weight == 3.125);
  assert_true(tide_score_of_logit(tide_model_logit(model, (double[]){0, 0}, cause)) == 0.368421); /* 5.25 * 0.1 / (5.25 * 0.1 + 0.9) */
  how.fraud_weight = 0;
  assert_int_equal(tide_train(model, &rows, rows.count, &how, &result, &error), TIDE_OK);
  assert_false(model->weighted);
  assert_true(tide_score_of_logit(tide_model_logit(model, (double[]){0, 0}, cause)) == 0.1);
  tide_rows_release(&rows);
  tide_model_free(model);
}

static double log_loss(const struct tide_model *model, const struct tide_rows *rows, size_t from, size_t to) {
  double sum = 0;
  for (size_t r = from; r < to; r++) {
    double p = 1 / (1 + exp(-tide_model_logit(model, &rows->x[r * INPUTS], &rows->cause[r * INPUTS])));
    sum -= log(rows->fraud[r] ? p : 1 - p);
  }
  return sum / (double)(to - from);
}

static const bool none[INPUTS] = {false, false};
static const double candidates[] = {0.0001, 0.01, 1, 100};
static const struct tide_choose_how four = {.c = candidates, .c_count = 4, .folds = 4};

static void losses_are_those_of_later_rows(void **state) {
  (void)state;
  struct tide_rows rows;
  struct tide_choice choice;
  struct tide_error error = {0};
  struct tide_train_result result;
  struct tide_model *model = model_of();
  fill(&rows, 3000);
  assert_int_equal(tide_choose(model, &rows, rows.count, none, &four, &choice, &error), TIDE_OK);
  assert_true(model->input[0].scale == 0 && model->input[0].transform == TIDE_TRANSFORM_NONE); /* untouched */
  for (uint32_t f = 0; f < 4; f++) {
    size_t from = 600 * (f + 1), to = from + 600;
    assert_true(choice.fold[f].train == from && choice.fold[f].test == to - from);
    for (uint32_t k = 0; k < 4; k++) {
      struct tide_model *by_hand = model_of();
      struct tide_train_how how = {.l2 = 1 / candidates[k], .constant = true};
      tide_train_transforms(by_hand, &rows, from, none);
      assert_int_equal(tide_train(by_hand, &rows, from, &how, &result, &error), TIDE_OK);
      assert_true(fabs(choice.candidate[k].loss[f] - log_loss(by_hand, &rows, from, to)) < 1e-12);
      tide_model_free(by_hand);
    }
  }
  tide_rows_release(&rows);
  tide_model_free(model);
}

static void the_rule_takes_the_strongest_penalty_within_an_error(void **state) {
  (void)state;
  struct tide_rows rows;
  struct tide_choice choice;
  struct tide_error error = {0};
  struct tide_model *model = model_of();
  fill(&rows, 3000);
  assert_int_equal(tide_choose(model, &rows, rows.count, none, &four, &choice, &error), TIDE_OK);
  for (uint32_t k = 0; k < 4; k++) {
    double mean = 0, squares = 0;
    for (int f = 0; f < 4; f++) mean += (choice.candidate[k].loss[f] - choice.candidate[choice.best].loss[f]) / 4;
    for (int f = 0; f < 4; f++) squares += pow(choice.candidate[k].loss[f] - choice.candidate[choice.best].loss[f] - mean, 2);
    assert_true(mean >= 0 && fabs(choice.candidate[k].behind - mean) < 1e-12);
    assert_true(fabs(choice.candidate[k].error - sqrt(squares / 3 / 4)) < 1e-12);
    if (k < choice.chosen) assert_true(choice.candidate[k].behind > choice.candidate[k].error);
  }
  assert_true(choice.candidate[choice.chosen].behind <= choice.candidate[choice.chosen].error);
  assert_true(choice.chosen > 0 && choice.chosen < 3); /* 1e-4 learns nothing of these rows, 100 nothing more than 1 */
  tide_rows_release(&rows);
  tide_model_free(model);
}

static void no_fold_knows_its_future(void **state) {
  (void)state;
  struct tide_rows rows;
  struct tide_choice before, after;
  struct tide_error error = {0};
  struct tide_model *model = model_of();
  fill(&rows, 3000);
  assert_int_equal(tide_choose(model, &rows, rows.count, none, &four, &before, &error), TIDE_OK);
  for (size_t r = 1800; r < 3000; r++) { /* the blocks behind those that fold 2 of 4 sees */
    rows.x[r * INPUTS] = -1e6;
    rows.fraud[r] = !rows.fraud[r];
  }
  assert_int_equal(tide_choose(model, &rows, rows.count, none, &four, &after, &error), TIDE_OK);
  for (uint32_t k = 0; k < 4; k++) {
    assert_true(before.candidate[k].loss[0] == after.candidate[k].loss[0] && before.candidate[k].loss[1] == after.candidate[k].loss[1]);
    assert_true(before.candidate[k].loss[2] != after.candidate[k].loss[2]);
  }
  struct tide_choose_how gap = four;
  gap.gap_ms = 50000; /* 50 moments of three rows */
  assert_int_equal(tide_choose(model, &rows, rows.count, none, &gap, &after, &error), TIDE_OK);
  assert_int_equal(after.fold[0].train, 600 - 150);
  assert_int_equal(after.fold[0].test, 600);
  tide_rows_release(&rows);
  tide_model_free(model);
}

static void folds_without_fraud_are_said(void **state) {
  (void)state;
  struct tide_rows rows;
  struct tide_choice choice;
  struct tide_error error = {0};
  struct tide_model *model = model_of();
  fill(&rows, 3000);
  for (size_t r = 0; r < 700; r++) rows.fraud[r] = 0;
  assert_int_equal(tide_choose(model, &rows, rows.count, none, &four, &choice, &error), TIDE_E_RANGE);
  assert_non_null(strstr(error.text, "fold 1 of 4 has 600 rows to learn from, 0 of them fraud"));
  tide_rows_release(&rows);
  tide_model_free(model);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_weight_moves_the_shares),
      cmocka_unit_test(losses_are_those_of_later_rows),
      cmocka_unit_test(the_rule_takes_the_strongest_penalty_within_an_error),
      cmocka_unit_test(no_fold_knows_its_future),
      cmocka_unit_test(folds_without_fraud_are_said),
  };
  return cmocka_run_group_tests_name("choose", tests, NULL, NULL);
}
