/* Training and measuring on rows small enough to know the answer: a closed form, rows that are moved and dropped, measures counted by hand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>

#include "model/evaluate.h"
#include "model/logistic.h"
#include "model/train.h"

static struct tide_model *model_of(uint32_t inputs) {
  static const char *const name[] = {"a", "b", "c", "d"};
  struct tide_model *model = tide_alloc(sizeof *model);
  model->name = model->version = model->features = "t";
  model->input = tide_arena_alloc(&model->arena, (inputs + 1) * sizeof *model->input);
  model->input_count = inputs;
  for (uint32_t i = 0; i < inputs; i++)
    model->input[i] = (struct tide_model_input){.feature = name[i], .definition = name[i], .code = name[i], .text = ""};
  return model;
}

static void row(struct tide_rows *rows, int64_t time_ms, bool fraud, double a, double b) {
  size_t r = tide_rows_add(rows);
  const double x[] = {a, b};
  for (uint32_t i = 0; i < rows->inputs; i++) {
    rows->cause[r * rows->inputs + i] = (uint8_t)(isnan(x[i]) ? TIDE_C_absent : TIDE_C_none);
    rows->x[r * rows->inputs + i] = isnan(x[i]) ? 0 : x[i];
  }
  rows->fraud[r] = fraud;
  rows->time_ms[r] = time_ms;
  rows->card[r] = (uint64_t)time_ms;
}

/* One two-valued input, hardly any penalty: the fitted probabilities are the observed shares. */
static void a_table_has_a_closed_form(void **state) {
  (void)state;
  struct tide_model *model = model_of(1);
  struct tide_rows rows;
  struct tide_error error = {0};
  struct tide_train_result result;
  tide_rows_init(&rows, 1);
  for (int i = 0; i < 400; i++) row(&rows, i, i % 10 == 0, 0, 0);     /* 10 % */
  for (int i = 0; i < 100; i++) row(&rows, 400 + i, i % 5 < 2, 1, 0); /* 40 % */
  assert_int_equal(tide_train(model, &rows, rows.count, &(struct tide_train_how){.l2 = 1e-9, .fraud_weight = 1}, &result, &error), TIDE_OK);
  double x0 = 0, x1 = 1;
  uint8_t cause = TIDE_C_none;
  assert_true(tide_score_of_logit(tide_model_logit(model, &x0, &cause)) == 0.1);
  assert_true(tide_score_of_logit(tide_model_logit(model, &x1, &cause)) == 0.4);
  assert_true(model->input[0].median == 0 && model->input[0].mean == 0.2 && model->input[0].scale == 0.4);
  assert_int_equal(model->rows, 500);
  assert_int_equal(model->fraud, 80);
  assert_true(model->from_ms == 0 && model->to_ms == 499);
  assert_true(model->score_quantile[0] == 0.1 && model->score_quantile[TIDE_QUANTILES - 1] == 0.4);
  assert_true(model->has_shares && model->input[0].share[0] == 0.8 && model->input[0].share[TIDE_QUANTILES - 1] == 1);
  assert_true(model->score_share[0] == 0.8 && model->score_share[TIDE_QUANTILES - 1] == 1);
  tide_rows_release(&rows);
  tide_model_free(model);
}

/* At the minimum the gradient of the written-down loss is 0, whatever code found it. */
static void the_minimum_is_one(void **state) {
  (void)state;
  struct tide_model *model = model_of(2);
  struct tide_rows rows;
  struct tide_error error = {0};
  struct tide_train_result result;
  tide_rows_init(&rows, 2);
  uint64_t seed = 1;
  for (int i = 0; i < 1000; i++) {
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    double a = (double)(seed >> 40) / 1e6, b = a * 3 + (double)(seed >> 30 & 1023) / 100; /* nearly one follows from the other */
    row(&rows, i, (seed >> 20 & 7) == 0 || a > 15, a, i % 9 ? b : (double)NAN);
  }
  model->input[0].transform = TIDE_TRANSFORM_LOG1P;
  const double l2 = 0.5;
  assert_int_equal(tide_train(model, &rows, rows.count, &(struct tide_train_how){.l2 = l2, .fraud_weight = 1}, &result, &error), TIDE_OK);
  assert_true(result.gradient < 1e-12 && result.lbfgs_steps > 0 && result.newton_steps > 0);
  double gradient[3] = {l2 * model->input[0].coefficient, l2 * model->input[1].coefficient, 0};
  for (size_t r = 0; r < rows.count; r++) {
    double off = 1 / (1 + exp(-tide_model_logit(model, &rows.x[r * 2], &rows.cause[r * 2]))) - rows.fraud[r];
    double z0 = (log1p(rows.x[r * 2]) - model->input[0].mean) / model->input[0].scale;
    double raw = rows.cause[r * 2 + 1] ? model->input[1].median : rows.x[r * 2 + 1];
    double z1 = (raw - model->input[1].mean) / model->input[1].scale;
    gradient[0] += off * z0;
    gradient[1] += off * z1;
    gradient[2] += off;
  }
  for (int i = 0; i < 3; i++) assert_true(fabs(gradient[i]) < 1e-5); /* of 1000 rows; the rest is the rounding to 9 digits */
  assert_true(model->input[1].missing == 0.112);
  tide_rows_release(&rows);
  tide_model_free(model);
}

static void what_cannot_be_fitted_is_said(void **state) {
  (void)state;
  struct tide_model *model = model_of(1);
  struct tide_rows rows;
  struct tide_error error = {0};
  struct tide_train_result result;
  tide_rows_init(&rows, 1);
  for (int i = 0; i < 10; i++) row(&rows, i, false, i, 0);
  assert_int_equal(tide_train(model, &rows, 10, &(struct tide_train_how){.l2 = 1, .fraud_weight = 1}, &result, &error), TIDE_E_RANGE);
  assert_non_null(strstr(error.text, "0 of 10"));
  for (int i = 0; i < 10; i++) rows.fraud[i] = 1;
  assert_int_equal(tide_train(model, &rows, 10, &(struct tide_train_how){.l2 = 1, .fraud_weight = 1}, &result, &error), TIDE_E_RANGE);
  for (int i = 0; i < 10; i++) rows.fraud[i] = (uint8_t)(i & 1), rows.x[i] = 4;
  assert_int_equal(tide_train(model, &rows, 10, &(struct tide_train_how){.l2 = 1, .fraud_weight = 1}, &result, &error), TIDE_E_RANGE);
  assert_non_null(strstr(error.text, "a does not vary"));
  tide_rows_release(&rows);
  tide_model_free(model);
}

static void rows_are_sorted_and_dropped(void **state) {
  (void)state;
  struct tide_model *model = model_of(2);
  struct tide_rows rows;
  tide_rows_init(&rows, 2);
  for (int i = 0; i < 3000; i++) row(&rows, (i * 7919) % 100, i % 3 == 0, i, -1);
  tide_rows_sort(&rows);
  for (size_t r = 1; r < rows.count; r++) {
    assert_true(rows.time_ms[r] >= rows.time_ms[r - 1]);
    if (rows.time_ms[r] == rows.time_ms[r - 1]) assert_true(rows.x[r * 2] > rows.x[(r - 1) * 2]); /* as they were added */
    int i = (int)rows.x[r * 2];
    assert_true(rows.time_ms[r] == (i * 7919) % 100 && rows.fraud[r] == (i % 3 == 0) && rows.x[r * 2 + 1] == -1);
  }
  assert_false(tide_rows_constant(&rows, 0, rows.count));
  assert_true(tide_rows_constant(&rows, 1, rows.count));
  assert_true(tide_rows_constant(&rows, 0, 1));
  double first = rows.x[0];
  tide_rows_drop(&rows, model, 0);
  assert_int_equal(rows.inputs, 1);
  assert_int_equal(model->input_count, 1);
  assert_string_equal(model->input[0].feature, "b");
  assert_true(rows.x[0] == -1 && rows.x[2999] == -1 && first != -1);
  tide_rows_release(&rows);
  tide_model_free(model);
}

static void transforms_are_chosen(void **state) {
  (void)state;
  struct tide_model *model = model_of(2);
  struct tide_rows rows;
  const bool none[2] = {false, false}, both[2] = {true, true};
  tide_rows_init(&rows, 2);
  for (int i = 0; i <= 1000; i++) row(&rows, i, false, i, i - 500);
  tide_train_transforms(model, &rows, rows.count, both);
  assert_true(model->input[0].transform == TIDE_TRANSFORM_NONE);
  tide_train_transforms(model, &rows, rows.count, none);
  assert_true(model->input[0].transform == TIDE_TRANSFORM_LOG1P);
  assert_true(model->input[1].transform == TIDE_TRANSFORM_CLIP && model->input[1].lo == -495 && model->input[1].hi == 495);
  model->input[0].transform = model->input[1].transform = TIDE_TRANSFORM_NONE;
  tide_train_transforms(model, &rows, 5, none); /* 0..4 and -500..-496 */
  assert_true(model->input[0].transform == TIDE_TRANSFORM_NONE && model->input[1].transform == TIDE_TRANSFORM_CLIP);
  tide_rows_release(&rows);
  tide_model_free(model);
}

static void ranking_is_measured(void **state) {
  (void)state;
  const double score[] = {0.9, 0.8, 0.8, 0.4, 0.2, 0.1};
  const uint8_t fraud[] = {1, 1, 0, 0, 1, 0}, none[6] = {0}, all[] = {1, 1, 1, 1, 1, 1};
  /* pairs fraud above genuine: 3 for 0.9; 2.5 for 0.8; 1 for 0.2: 6.5 of 9 */
  assert_true(tide_roc_auc(score, fraud, 6) == 6.5 / 9);
  /* thresholds 0.9: 1/1; 0.8: 2/3; 0.4, 0.2: 3/5 */
  assert_true(fabs(tide_average_precision(score, fraud, 6) - (1.0 / 3 * 1 + 1.0 / 3 * 2 / 3 + 1.0 / 3 * 3 / 5)) < 1e-15);
  assert_true(isnan(tide_roc_auc(score, none, 6)) && isnan(tide_roc_auc(score, all, 6)) && isnan(tide_roc_auc(score, fraud, 0)));
  assert_true(isnan(tide_average_precision(score, none, 6)) && fabs(tide_average_precision(score, all, 6) - 1) < 1e-12);
  const double same[] = {0.5, 0.5, 0.5, 0.5};
  const uint8_t half[] = {0, 1, 1, 0};
  assert_true(tide_roc_auc(same, half, 4) == 0.5 && tide_average_precision(same, half, 4) == 0.5);
}

static void cards_are_measured(void **state) {
  (void)state;
  enum { D = 86400000 };
  /*                        day 0: card 1 (0.9, its fraud at 0.1), 2, 3        day 1: 1 again (known), 4 fraud, 2, row without card */
  const double score[] = {0.9, 0.1, 0.8, 0.7, 0.95, 0.6, 0.5, 0.99};
  const uint8_t fraud[] = {0, 1, 0, 1, 1, 1, 0, 1};
  const uint64_t card[] = {1, 1, 2, 3, 1, 4, 2, 0};
  const int64_t time[] = {1, 2, 3, D - 1, D, D + 1, 2 * D - 1, D + 5};
  unsigned days;
  double best;
  /* k = 2, day 0: cards 1 and 2: one fraud; best 1 and 3. Day 1: card 1 is known; 4 and 2: one; best one */
  assert_true(tide_card_precision(score, fraud, card, time, 8, 2, &days, &best) == 0.5);
  assert_int_equal(days, 2);
  assert_true(best == 0.75);
  assert_true(tide_card_precision(score, fraud, card, time, 8, 1, NULL, NULL) == 1);
  assert_true(fabs(tide_card_precision(score, fraud, card, time, 8, 10, NULL, NULL) - (0.2 + 0.1) / 2) < 1e-15);
  assert_true(isnan(tide_card_precision(score, fraud, card, time, 0, 1, &days, &best)));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_table_has_a_closed_form),
      cmocka_unit_test(the_minimum_is_one),
      cmocka_unit_test(what_cannot_be_fitted_is_said),
      cmocka_unit_test(rows_are_sorted_and_dropped),
      cmocka_unit_test(transforms_are_chosen),
      cmocka_unit_test(ranking_is_measured),
      cmocka_unit_test(cards_are_measured),
  };
  return cmocka_run_group_tests_name("train", tests, NULL, NULL);
}
