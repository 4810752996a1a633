/* The columns of the rows, one by one: transform, imputation, standardisation (train.h, train_parts.h).
 *
 * The matrix of standardised numbers is made with preprocess.c, the very code that scores. Sums run over rows in order, so the same rows give
 * the same bits, and what is kept of them is rounded, so that it does not hang on the last ones. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "model/preprocess.h"
#include "model/train_parts.h"

static int by_value(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return x < y ? -1 : x > y;
}

double tide_rounded(double x, int digits) {
  char text[40];
  snprintf(text, sizeof text, "%.*g", digits, x);
  double out = strtod(text, NULL);
  return out == 0 ? 0 : out; /* no minus zero */
}

void tide_sort_doubles(double *value, size_t count) {
  if (count) qsort(value, count, sizeof *value, by_value);
}

double tide_quantile(const double *sorted, size_t count, double at) {
  double place = at * (double)(count - 1);
  size_t below = (size_t)place;
  if (below + 1 >= count) return sorted[count - 1];
  if (at == 0.5) return count % 2 ? sorted[below] : (sorted[below] + sorted[below + 1]) / 2;
  return sorted[below] + (sorted[below + 1] - sorted[below]) * (place - (double)below);
}

/* The values of a column that are there, sorted; returns how many. */
static size_t sorted_column(const struct tide_rows *rows, size_t count, uint32_t index, double *out) {
  size_t n = 0;
  for (size_t r = 0; r < count; r++)
    if (!rows->cause[r * rows->inputs + index]) out[n++] = rows->x[r * rows->inputs + index];
  tide_sort_doubles(out, n);
  return n;
}

void tide_train_transforms(struct tide_model *model, const struct tide_rows *rows, size_t count, const bool *chosen) {
  double *column = tide_alloc((count + 1) * sizeof *column);
  for (uint32_t i = 0; i < model->input_count; i++) {
    struct tide_model_input *input = &model->input[i];
    if (chosen[i] || input->transform != TIDE_TRANSFORM_NONE) continue;
    size_t n = sorted_column(rows, count, i, column);
    if (!n) continue;
    double least = column[0], largest = column[n - 1];
    if (least >= 0 && largest > 10) {
      input->transform = TIDE_TRANSFORM_LOG1P;
    } else if (largest > 10 || least < -10) {
      double lo = tide_rounded(tide_quantile(column, n, 0.005), 6), hi = tide_rounded(tide_quantile(column, n, 0.995), 6);
      if (!(lo < hi)) continue;
      input->transform = TIDE_TRANSFORM_CLIP;
      input->lo = lo;
      input->hi = hi;
    }
  }
  tide_free(column);
}

void tide_fit_shares(const double *sorted, size_t count, const double *at, double *ret) {
  size_t below = 0;
  for (unsigned q = 0; q < TIDE_QUANTILES; q++) {
    while (below < count && sorted[below] <= at[q]) below++;
    ret[q] = count ? tide_rounded((double)below / (double)count, 9) : tide_quantile_at[q];
  }
}

static void fit_column(struct tide_model_input *input, const struct tide_rows *rows, size_t count, uint32_t index, double *column) {
  size_t n = sorted_column(rows, count, index, column);
  input->missing = tide_rounded((double)(count - n) / (double)count, 6);
  for (unsigned q = 0; q < TIDE_QUANTILES; q++)
    input->quantile[q] = n ? tide_rounded(tide_quantile(column, n, tide_quantile_at[q]), 12) : 0;
  for (unsigned q = 1; q < TIDE_QUANTILES; q++)
    if (input->quantile[q] < input->quantile[q - 1]) input->quantile[q] = input->quantile[q - 1];
  tide_fit_shares(column, n, input->quantile, input->share);
  input->median = n ? tide_quantile(column, n, 0.5) : 0;
  if (!input->has_absent) input->absent = input->median;
  if (!input->has_empty) input->empty = input->median;
}

/* Fills z's column with transformed values and standardises it (population deviation, like StandardScaler). False when it does not vary: then z
 * is 0. */
static bool standardise(struct tide_model_input *input, const struct tide_rows *rows, size_t count, uint32_t index, double *z) {
  uint32_t d = rows->inputs;
  double sum = 0, squares = 0;
  for (size_t r = 0; r < count; r++) {
    size_t at = r * d + index;
    double x = rows->cause[at] ? tide_input_impute(input, (enum tide_cause)rows->cause[at]) : rows->x[at];
    z[at] = tide_input_transform(input, x);
    sum += z[at];
  }
  double mean = sum / (double)count;
  for (size_t r = 0; r < count; r++) squares += (z[r * d + index] - mean) * (z[r * d + index] - mean);
  input->mean = tide_rounded(mean, 12);
  input->scale = tide_rounded(sqrt(squares / (double)count), 12);
  bool varies = input->scale >= 1e-9;
  if (!varies) input->scale = 1;
  for (size_t r = 0; r < count; r++) z[r * d + index] = varies ? (z[r * d + index] - input->mean) / input->scale : 0;
  return varies;
}

enum tide_err tide_matrix_fit(struct tide_model *model, const struct tide_rows *rows, size_t count, const struct tide_train_how *how,
                              struct tide_matrix *ret, struct tide_error *error) {
  uint32_t d = rows->inputs;
  TIDE_CHECK(d == model->input_count && d <= TIDE_MODEL_INPUTS_MAX && count <= rows->count);
  size_t frauds = 0;
  for (size_t r = 0; r < count; r++) frauds += rows->fraud[r];
  *ret = (struct tide_matrix){.fraud = rows->fraud, .count = count, .frauds = frauds, .d = d};
  if (frauds == 0 || frauds == count)
    return tide_fail(error, TIDE_E_RANGE, "%zu of %zu training rows are fraud: there is nothing to tell apart", frauds, count);
  ret->z = tide_alloc((count * d + 1) * sizeof *ret->z);
  double *column = tide_alloc(count * sizeof *column);
  enum tide_err err = TIDE_OK;
  for (uint32_t i = 0; i < d && !err; i++) {
    fit_column(&model->input[i], rows, count, i, column);
    if (!standardise(&model->input[i], rows, count, i, ret->z) && !how->constant)
      err = tide_fail_at(error, TIDE_E_RANGE, 0, 0, model->input[i].feature, "%s does not vary in the training rows; leave it out",
                         model->input[i].feature);
  }
  tide_free(column);
  bool balanced = how->fraud_weight < 0;
  ret->weight[0] = balanced ? (double)count / (2 * (double)(count - frauds)) : 1;
  ret->weight[1] = balanced ? (double)count / (2 * (double)frauds) : how->fraud_weight > 0 ? how->fraud_weight : 1;
  model->weighted = ret->weight[0] != 1 || ret->weight[1] != 1;
  model->genuine_weight = tide_rounded(ret->weight[0], 9);
  model->fraud_weight = tide_rounded(ret->weight[1], 9);
  model->rows = count;
  model->fraud = frauds;
  return err;
}

void tide_matrix_release(struct tide_matrix *matrix) {
  tide_free(matrix->z);
  matrix->z = NULL;
}
