/* Fitting (train.h): columns one by one, then the regression.
 *
 * The matrix of standardised numbers is made with preprocess.c, the very code that scores. Sums run over rows in order, so the same rows give
 * the same bits; the loss uses our own exp and log1p. */
#include "model/train.h"

#include <lbfgs.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "model/arith.h"
#include "model/logistic.h"
#include "model/preprocess.h"

/* ---- columns ---- */

static int by_value(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return x < y ? -1 : x > y;
}

/* To `digits` significant digits: what is kept does not hang on the last bits of a sum. */
static double rounded(double x, int digits) {
  char text[40];
  snprintf(text, sizeof text, "%.*g", digits, x);
  double out = strtod(text, NULL);
  return out == 0 ? 0 : out; /* no minus zero */
}

/* The quantile of sorted values, linear between two (type 7 of Hyndman and Fan 1996, numpy's default). */
static double quantile(const double *sorted, size_t count, double at) {
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
  if (n) qsort(out, n, sizeof *out, by_value);
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
      double lo = rounded(quantile(column, n, 0.005), 6), hi = rounded(quantile(column, n, 0.995), 6);
      if (!(lo < hi)) continue;
      input->transform = TIDE_TRANSFORM_CLIP;
      input->lo = lo;
      input->hi = hi;
    }
  }
  tide_free(column);
}

/* The share of sorted values at or below each quantile, as it was rounded. */
static void fit_shares(const double *sorted, size_t count, const double *at, double *ret) {
  size_t below = 0;
  for (unsigned q = 0; q < TIDE_QUANTILES; q++) {
    while (below < count && sorted[below] <= at[q]) below++;
    ret[q] = count ? rounded((double)below / (double)count, 9) : tide_quantile_at[q];
  }
}

static void fit_column(struct tide_model_input *input, const struct tide_rows *rows, size_t count, uint32_t index, double *column) {
  size_t n = sorted_column(rows, count, index, column);
  input->missing = rounded((double)(count - n) / (double)count, 6);
  for (unsigned q = 0; q < TIDE_QUANTILES; q++) input->quantile[q] = n ? rounded(quantile(column, n, tide_quantile_at[q]), 12) : 0;
  for (unsigned q = 1; q < TIDE_QUANTILES; q++)
    if (input->quantile[q] < input->quantile[q - 1]) input->quantile[q] = input->quantile[q - 1];
  fit_shares(column, n, input->quantile, input->share);
  input->median = n ? quantile(column, n, 0.5) : 0;
  if (!input->has_absent) input->absent = input->median;
  if (!input->has_empty) input->empty = input->median;
}

/* Fills z's column with transformed values and standardises it (population deviation, like StandardScaler). False when it does not vary. */
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
  input->mean = rounded(mean, 12);
  input->scale = rounded(sqrt(squares / (double)count), 12);
  if (!(input->scale >= 1e-9)) return false;
  for (size_t r = 0; r < count; r++) z[r * d + index] = (z[r * d + index] - input->mean) / input->scale;
  return true;
}

/* ---- the regression ---- */

struct problem {
  const double *z; /* count * d */
  const uint8_t *fraud;
  size_t count;
  uint32_t d; /* weights; the intercept is number d */
  double l2;
  unsigned steps; /* of L-BFGS */
};

/* The loss per row and its gradient at w[d + 1]. */
static double loss(const struct problem *p, const double *w, double *gradient) {
  double sum = 0, punish = 0;
  for (uint32_t i = 0; i <= p->d; i++) gradient[i] = 0;
  for (size_t r = 0; r < p->count; r++) {
    const double *z = &p->z[r * p->d];
    double logit = w[p->d];
    for (uint32_t i = 0; i < p->d; i++) logit += w[i] * z[i];
    sum += tide_softplus(p->fraud[r] ? -logit : logit);
    double off = tide_logistic(logit) - (double)p->fraud[r];
    for (uint32_t i = 0; i < p->d; i++) gradient[i] += off * z[i];
    gradient[p->d] += off;
  }
  for (uint32_t i = 0; i < p->d; i++) {
    punish += w[i] * w[i];
    gradient[i] += p->l2 * w[i];
  }
  for (uint32_t i = 0; i <= p->d; i++) gradient[i] /= (double)p->count;
  return (sum + p->l2 / 2 * punish) / (double)p->count;
}

static lbfgsfloatval_t evaluate(void *instance, const lbfgsfloatval_t *w, lbfgsfloatval_t *gradient, int n, lbfgsfloatval_t step) {
  (void)n;
  (void)step;
  return loss(instance, w, gradient);
}

/* The second derivatives per row, lower triangle of (d + 1) x (d + 1). */
static void hessian(const struct problem *p, const double *w, double *h) {
  uint32_t m = p->d + 1;
  for (uint32_t i = 0; i < m * m; i++) h[i] = 0;
  for (size_t r = 0; r < p->count; r++) {
    const double *z = &p->z[r * p->d];
    double logit = w[p->d];
    for (uint32_t i = 0; i < p->d; i++) logit += w[i] * z[i];
    double q = tide_logistic(logit), weight = q * (1 - q);
    for (uint32_t i = 0; i < p->d; i++) {
      double at = weight * z[i];
      for (uint32_t k = 0; k <= i; k++) h[i * m + k] += at * z[k];
      h[p->d * m + i] += at;
    }
    h[p->d * m + p->d] += weight;
  }
  for (uint32_t i = 0; i < p->d; i++) h[i * m + i] += p->l2;
  for (uint32_t i = 0; i < m * m; i++) h[i] /= (double)p->count;
}

/* Solves h x = b in place (Cholesky; Golub and Van Loan, algorithm 4.2.1). False when h is not positive definite. */
static bool solve(double *h, double *b, uint32_t m) {
  for (uint32_t i = 0; i < m; i++) {
    for (uint32_t k = 0; k <= i; k++) {
      double sum = h[i * m + k];
      for (uint32_t j = 0; j < k; j++) sum -= h[i * m + j] * h[k * m + j];
      if (i != k) h[i * m + k] = sum / h[k * m + k];
      else if (sum > 0) h[i * m + i] = sqrt(sum);
      else return false;
    }
  }
  for (uint32_t i = 0; i < m; i++) {
    for (uint32_t j = 0; j < i; j++) b[i] -= h[i * m + j] * b[j];
    b[i] /= h[i * m + i];
  }
  for (uint32_t i = m; i-- > 0;) {
    for (uint32_t j = i + 1; j < m; j++) b[i] -= h[j * m + i] * b[j];
    b[i] /= h[i * m + i];
  }
  return true;
}

static double largest(const double *v, uint32_t m) {
  double most = 0;
  for (uint32_t i = 0; i < m; i++)
    if (fabs(v[i]) > most) most = fabs(v[i]);
  return most;
}

#define NEWTON_MAX 30
/* Newton steps for as long as they make the gradient smaller: near the minimum each doubles the digits. Returns the gradient, or -1 when the second
 * derivatives do not allow a step. */
static double newton(const struct problem *p, double *w, unsigned *ret_steps) {
  uint32_t m = p->d + 1;
  double *h = tide_alloc((size_t)m * m * sizeof *h), *step = tide_alloc(m * sizeof *step), *tried = tide_alloc(m * sizeof *tried),
         *gradient = tide_alloc(m * sizeof *gradient);
  (void)loss(p, w, gradient);
  double now = largest(gradient, m);
  for (*ret_steps = 0; *ret_steps < NEWTON_MAX && now > 0; ++*ret_steps) {
    hessian(p, w, h);
    memcpy(step, gradient, m * sizeof *step);
    if (!solve(h, step, m)) {
      now = -1;
      break;
    }
    for (uint32_t i = 0; i < m; i++) tried[i] = w[i] - step[i];
    (void)loss(p, tried, gradient);
    double then = largest(gradient, m);
    if (!(then < now)) break;
    memcpy(w, tried, m * sizeof *w);
    now = then;
  }
  tide_free(h);
  tide_free(step);
  tide_free(tried);
  tide_free(gradient);
  return now;
}

static int count_step(void *instance, const lbfgsfloatval_t *x, const lbfgsfloatval_t *g, const lbfgsfloatval_t fx,
                      const lbfgsfloatval_t xnorm, const lbfgsfloatval_t gnorm, const lbfgsfloatval_t step, int n, int k, int ls) {
  (void)x, (void)g, (void)fx, (void)xnorm, (void)gnorm, (void)step, (void)n, (void)ls;
  ((struct problem *)instance)->steps = (unsigned)k;
  return 0;
}

#define GRADIENT_MAX 1e-9 /* per row; a minimum is known to about this over l2 / rows */

static enum tide_err minimise(struct problem *p, double *w, struct tide_train_result *ret, struct tide_error *error) {
  lbfgs_parameter_t parameter;
  lbfgs_parameter_init(&parameter);
  parameter.epsilon = 1e-6;
  parameter.max_iterations = 1000;
  lbfgsfloatval_t *x = lbfgs_malloc((int)p->d + 1);
  TIDE_CHECK(x);
  for (uint32_t i = 0; i <= p->d; i++) x[i] = 0;
  int status = lbfgs((int)p->d + 1, x, NULL, evaluate, count_step, p, &parameter);
  memcpy(w, x, (p->d + 1) * sizeof *w);
  lbfgs_free(x);
  ret->lbfgs_steps = p->steps;
  /* Its line search gives up where rounding hides the descent: that is the end of its road, not an error; whether it is the minimum is asked below. */
  bool usable = status >= 0 || status == LBFGSERR_ROUNDING_ERROR || status == LBFGSERR_MAXIMUMLINESEARCH ||
                status == LBFGSERR_MINIMUMSTEP || status == LBFGSERR_WIDTHTOOSMALL || status == LBFGSERR_MAXIMUMITERATION;
  if (!usable) return tide_fail(error, TIDE_E_LIMIT, "the regression failed (liblbfgs says %d); try a larger --l2", status);
  ret->gradient = newton(p, w, &ret->newton_steps);
  if (ret->gradient < 0)
    return tide_fail(error, TIDE_E_LIMIT, "some inputs follow from others, so the best coefficients are not determined; use a larger --l2");
  if (ret->gradient > GRADIENT_MAX)
    return tide_fail(error, TIDE_E_LIMIT, "the regression did not reach its minimum (gradient %.2g per row); use a larger --l2",
                     ret->gradient);
  return TIDE_OK;
}

/* Quantiles of the scores that the finished model gives its training rows. */
static void fit_scores(struct tide_model *model, const struct tide_rows *rows, size_t count, double *score) {
  for (size_t r = 0; r < count; r++)
    score[r] = tide_score_of_logit(tide_model_logit(model, &rows->x[r * rows->inputs], &rows->cause[r * rows->inputs]));
  qsort(score, count, sizeof *score, by_value);
  for (unsigned q = 0; q < TIDE_QUANTILES; q++) model->score_quantile[q] = rounded(quantile(score, count, tide_quantile_at[q]), 6);
  for (unsigned q = 1; q < TIDE_QUANTILES; q++)
    if (model->score_quantile[q] < model->score_quantile[q - 1]) model->score_quantile[q] = model->score_quantile[q - 1];
  fit_shares(score, count, model->score_quantile, model->score_share);
  model->has_shares = true;
}

enum tide_err tide_train(struct tide_model *model, const struct tide_rows *rows, size_t count, double l2, struct tide_train_result *ret,
                         struct tide_error *error) {
  uint32_t d = rows->inputs;
  TIDE_CHECK(d == model->input_count && d <= TIDE_MODEL_INPUTS_MAX && count <= rows->count && l2 > 0);
  size_t fraud = 0;
  for (size_t r = 0; r < count; r++) fraud += rows->fraud[r];
  if (fraud == 0 || fraud == count)
    return tide_fail(error, TIDE_E_RANGE, "%zu of %zu training rows are fraud: there is nothing to tell apart", fraud, count);
  double *z = tide_alloc((count * d + 1) * sizeof *z), *column = tide_alloc(count * sizeof *column), *w = tide_alloc((d + 1) * sizeof *w);
  struct tide_train_result result = {0};
  enum tide_err err = TIDE_OK;
  for (uint32_t i = 0; i < d && !err; i++) {
    fit_column(&model->input[i], rows, count, i, column);
    if (!standardise(&model->input[i], rows, count, i, z))
      err = tide_fail_at(error, TIDE_E_RANGE, 0, 0, model->input[i].feature, "%s does not vary in the training rows; leave it out",
                         model->input[i].feature);
  }
  struct problem problem = {.z = z, .fraud = rows->fraud, .count = count, .d = d, .l2 = l2};
  if (!err) err = minimise(&problem, w, &result, error);
  if (!err) {
    for (uint32_t i = 0; i < d; i++) model->input[i].coefficient = rounded(w[i], 9);
    model->intercept = rounded(w[d], 9);
    model->rows = count;
    model->fraud = fraud;
    model->from_ms = rows->time_ms[0];
    model->to_ms = rows->time_ms[count - 1];
    model->l2 = l2;
    fit_scores(model, rows, count, column);
    *ret = result;
  }
  tide_free(z);
  tide_free(column);
  tide_free(w);
  return err;
}
