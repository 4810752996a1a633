/* Training beside scikit-learn: the same rows, the same transforms; median, mean, scale, coefficients, scores and measures must agree.
 *
 * The golden files are made by tests/golden/sklearn_parity.py; its opening comment has the command. Scores may differ by 1e-6, of which half is
 * our rounding; coefficients by 1e-4 relative, of which nearly all is scikit-learn's tolerance. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <zlib.h>

#include "model/evaluate.h"
#include "model/logistic.h"
#include "model/train.h"

#define DIR "tests/golden/model/"
#define LINE 4096

struct golden {
  json_t *json;
  struct tide_model *model;
  struct tide_rows rows;
  double *sklearn;
};

static double number(const json_t *object, const char *key) {
  const json_t *value = json_object_get(object, key);
  assert_true(json_is_number(value));
  return json_number_value(value);
}

static const json_t *golden_input(const struct golden *g, size_t i) { return json_array_get(json_object_get(g->json, "inputs"), i); }

/* fraud, the inputs (empty: missing), scikit-learn's score */
static void read_row(struct golden *g, char *line) {
  size_t r = tide_rows_add(&g->rows), cap = g->rows.cap;
  g->sklearn = tide_realloc(g->sklearn, cap * sizeof *g->sklearn);
  char *at = line;
  g->rows.time_ms[r] = (int64_t)r;
  for (uint32_t column = 0; column < g->rows.inputs + 2; column++) {
    char *end = at + strcspn(at, ",\n");
    bool there = end > at;
    *end = '\0';
    double value = there ? strtod(at, NULL) : 0;
    if (column == 0) g->rows.fraud[r] = value > 0;
    else if (column > g->rows.inputs) g->sklearn[r] = value;
    else {
      g->rows.x[r * g->rows.inputs + column - 1] = value;
      g->rows.cause[r * g->rows.inputs + column - 1] = (uint8_t)(there ? TIDE_C_none : TIDE_C_absent);
    }
    at = end + 1;
  }
}

static int setup(void **state) {
  struct golden *g = tide_alloc(sizeof *g);
  json_error_t why;
  g->json = json_load_file(DIR "sklearn.json", 0, &why);
  if (!g->json) fail_msg("%s", why.text);
  size_t n = json_array_size(json_object_get(g->json, "inputs"));
  tide_rows_init(&g->rows, (uint32_t)n);
  g->model = tide_alloc(sizeof *g->model);
  g->model->name = g->model->version = g->model->features = "golden";
  g->model->input = tide_arena_alloc(&g->model->arena, n * sizeof *g->model->input);
  g->model->input_count = (uint32_t)n;
  for (size_t i = 0; i < n; i++) {
    const json_t *input = golden_input(g, i), *transform = json_object_get(input, "transform");
    const char *kind = json_string_value(json_object_get(transform, "kind"));
    struct tide_model_input *to = &g->model->input[i];
    to->feature = json_string_value(json_object_get(input, "feature"));
    while (strcmp(kind, tide_transform_name((enum tide_transform)to->transform)) != 0) to->transform++;
    if (to->transform == TIDE_TRANSFORM_CLIP) to->lo = number(transform, "lo"), to->hi = number(transform, "hi");
  }
  gzFile file = gzopen(DIR "rows.csv.gz", "rb");
  assert_non_null(file);
  char line[LINE];
  assert_non_null(gzgets(file, line, LINE));
  while (gzgets(file, line, LINE)) read_row(g, line);
  gzclose(file);
  assert_true(g->rows.count > 2000);
  struct tide_error error = {0};
  struct tide_train_result result;
  if (tide_train(g->model, &g->rows, g->rows.count, &(struct tide_train_how){.l2 = number(g->json, "l2"), .fraud_weight = 1}, &result,
                 &error))
    fail_msg("%s", error.text);
  *state = g;
  return 0;
}

static int teardown(void **state) {
  struct golden *g = *state;
  tide_model_free(g->model);
  tide_rows_release(&g->rows);
  tide_free(g->sklearn);
  json_decref(g->json);
  tide_free(g);
  return 0;
}

static void near(const char *what, double ours, double theirs, double relative) {
  if (!(fabs(ours - theirs) <= relative * fabs(theirs))) fail_msg("%s: %.12g, scikit-learn has %.12g", what, ours, theirs);
}

static void preprocessing_agrees(void **state) {
  const struct golden *g = *state;
  for (uint32_t i = 0; i < g->model->input_count; i++) {
    const struct tide_model_input *input = &g->model->input[i];
    assert_true(input->median == number(golden_input(g, i), "median"));
    near(input->feature, input->mean, number(golden_input(g, i), "mean"), 1e-9);
    near(input->feature, input->scale, number(golden_input(g, i), "scale"), 1e-9);
  }
}

static void coefficients_agree(void **state) {
  const struct golden *g = *state;
  for (uint32_t i = 0; i < g->model->input_count; i++)
    near(g->model->input[i].feature, g->model->input[i].coefficient, number(golden_input(g, i), "coefficient"), 1e-4);
  near("intercept", g->model->intercept, number(g->json, "intercept"), 1e-4);
}

static void scores_agree(void **state) {
  const struct golden *g = *state;
  double *score = tide_alloc(g->rows.count * sizeof *score), most = 0;
  for (size_t r = 0; r < g->rows.count; r++) {
    score[r] = tide_score_of_logit(tide_model_logit(g->model, &g->rows.x[r * g->rows.inputs], &g->rows.cause[r * g->rows.inputs]));
    if (!(fabs(score[r] - g->sklearn[r]) <= 1e-6)) fail_msg("row %zu: %.9f, scikit-learn has %.9f", r, score[r], g->sklearn[r]);
    if (score[r] > most) most = score[r];
  }
  assert_true(most > 0.1); /* rows that are told apart */
  near("ROC AUC", tide_roc_auc(g->sklearn, g->rows.fraud, g->rows.count), number(g->json, "roc_auc"), 1e-12);
  near("average precision", tide_average_precision(g->sklearn, g->rows.fraud, g->rows.count), number(g->json, "average_precision"), 1e-12);
  tide_free(score);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(preprocessing_agrees),
      cmocka_unit_test(coefficients_agree),
      cmocka_unit_test(scores_agree),
  };
  return cmocka_run_group_tests_name("sklearn", tests, setup, teardown);
}
