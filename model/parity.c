/* Scores and preprocessing against rows (parity.h).
 *
 * The training rows are taken out of the others by time, and their columns fitted with a copy of the model's inputs: what fits is columns.c, what scores is logistic.c, the
 * same as everywhere. */
#include "model/parity.h"

#include <math.h>
#include <stdio.h>

#include "model/logistic.h"
#include "model/train_parts.h"

static void compare_scores(const struct tide_model *model, const struct tide_rows *rows, const double *score, double tolerance,
                           struct tide_parity *ret) {
  for (size_t r = 0; r < rows->count; r++) {
    if (isnan(score[r])) continue;
    double ours = tide_score_of_logit(tide_model_logit(model, &rows->x[r * rows->inputs], &rows->cause[r * rows->inputs]));
    double off = fabs(ours - score[r]);
    ret->scored++;
    ret->different += !(off <= tolerance);
    if (!(off <= ret->most)) ret->most = off, ret->worst = r;
  }
}

static bool near(double a, double b) { return fabs(a - b) <= 1e-9 * fmax(fabs(a), fabs(b)) + 1e-12; }

static void compare(const struct tide_model_input *input, const char *what, double has, double rows, struct tide_buf *out,
                    struct tide_parity *ret) {
  if (near(has, rows)) return;
  ret->parameters++;
  tide_buf_printf(out, "%s: %s is %.12g, the training rows give %.12g\n", input->feature, what, has, rows);
}

static void compare_input(const struct tide_model_input *has, const struct tide_model_input *fitted, bool shares, struct tide_buf *out,
                          struct tide_parity *ret) {
  char what[96];
  compare(has, "median", has->median, fitted->median, out, ret);
  snprintf(what, sizeof what, "mean (of what imputation%s make)", has->transform == TIDE_TRANSFORM_NONE ? "s" : " and transform");
  compare(has, what, has->mean, fitted->mean, out, ret);
  snprintf(what, sizeof what, "scale (of what imputation%s make)", has->transform == TIDE_TRANSFORM_NONE ? "s" : " and transform");
  compare(has, what, has->scale, fitted->scale, out, ret);
  compare(has, "share of missing values", tide_rounded(has->missing, 6), fitted->missing, out, ret);
  for (unsigned q = 0; q < TIDE_QUANTILES; q++) {
    snprintf(what, sizeof what, "quantile %g", tide_quantile_at[q]);
    compare(has, what, has->quantile[q], fitted->quantile[q], out, ret);
    snprintf(what, sizeof what, "share at quantile %g", tide_quantile_at[q]);
    if (shares) compare(has, what, has->share[q], fitted->share[q], out, ret);
  }
}

static void compare_columns(const struct tide_model *model, const struct tide_rows *rows, struct tide_buf *out, struct tide_parity *ret) {
  struct tide_rows trained;
  size_t frauds = 0;
  tide_rows_init(&trained, rows->inputs);
  for (size_t r = 0; r < rows->count; r++) {
    if (rows->time_ms[r] < model->from_ms || rows->time_ms[r] > model->to_ms) continue;
    tide_rows_copy(&trained, tide_rows_add(&trained), rows, r);
    frauds += rows->fraud[r];
  }
  ret->between = trained.count;
  ret->fitted = trained.count == model->rows && frauds == model->fraud && frauds > 0 && frauds < trained.count;
  if (ret->fitted) {
    struct tide_model again = *model;
    size_t bytes = model->input_count * sizeof *again.input;
    again.input = tide_alloc(bytes + 1);
    if (bytes) memcpy(again.input, model->input, bytes);
    struct tide_matrix matrix;
    struct tide_train_how how = {.l2 = 1, .constant = true};
    struct tide_error error = {0};
    enum tide_err err = tide_matrix_fit(&again, &trained, trained.count, &how, &matrix, &error);
    TIDE_CHECK(!err); /* both classes are there and constant inputs allowed */
    tide_matrix_release(&matrix);
    for (uint32_t i = 0; i < model->input_count; i++) compare_input(&model->input[i], &again.input[i], model->has_shares, out, ret);
    tide_free(again.input);
  }
  tide_rows_release(&trained);
}

void tide_parity_check(const struct tide_model *model, const struct tide_rows *rows, const double *score, double tolerance,
                       struct tide_buf *out, struct tide_parity *ret) {
  *ret = (struct tide_parity){0};
  compare_scores(model, rows, score, tolerance, ret);
  compare_columns(model, rows, out, ret);
}
