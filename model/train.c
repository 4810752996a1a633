/* The regression (train.h), on the matrix that columns.c makes.
 *
 * Sums run over rows in order, so the same rows give the same bits; the loss uses our own exp and log1p. L-BFGS from zero to the
 * neighbourhood of the minimum, Newton from there. */
#include <lbfgs.h>
#include <math.h>

#include "model/arith.h"
#include "model/logistic.h"
#include "model/train_parts.h"

struct problem {
  const struct tide_matrix *m; /* d weights; the intercept is number d */
  double l2;
  unsigned steps; /* of L-BFGS */
};

/* The loss per row and its gradient at w[d + 1]. */
static double loss(const struct problem *p, const double *w, double *gradient) {
  double sum = 0, punish = 0;
  for (uint32_t i = 0; i <= p->m->d; i++) gradient[i] = 0;
  for (size_t r = 0; r < p->m->count; r++) {
    const double *z = &p->m->z[r * p->m->d];
    double logit = w[p->m->d];
    for (uint32_t i = 0; i < p->m->d; i++) logit += w[i] * z[i];
    double weight = p->m->weight[p->m->fraud[r]];
    sum += weight * tide_softplus(p->m->fraud[r] ? -logit : logit);
    double off = weight * (tide_logistic(logit) - (double)p->m->fraud[r]);
    for (uint32_t i = 0; i < p->m->d; i++) gradient[i] += off * z[i];
    gradient[p->m->d] += off;
  }
  for (uint32_t i = 0; i < p->m->d; i++) {
    punish += w[i] * w[i];
    gradient[i] += p->l2 * w[i];
  }
  for (uint32_t i = 0; i <= p->m->d; i++) gradient[i] /= (double)p->m->count;
  return (sum + p->l2 / 2 * punish) / (double)p->m->count;
}

static lbfgsfloatval_t evaluate(void *instance, const lbfgsfloatval_t *w, lbfgsfloatval_t *gradient, int n, lbfgsfloatval_t step) {
  (void)n;
  (void)step;
  return loss(instance, w, gradient);
}

#define AT_ONCE 4 /* rows: the matrix is larger than the nearest cache, so it is passed over once for all of them */

/* Adds the second derivatives of up to AT_ONCE rows from r on; each element is summed row after row, as if they came one by one. */
static void add_rows(const struct problem *p, const double *w, size_t r, size_t count, double *h) {
  uint32_t d = p->m->d, m = d + 1;
  const double *z[AT_ONCE];
  double weight[AT_ONCE];
  for (size_t k = 0; k < AT_ONCE; k++) {
    z[k] = &p->m->z[(k < count ? r + k : r) * d];
    double logit = w[d];
    for (uint32_t i = 0; i < d; i++) logit += w[i] * z[k][i];
    double q = tide_logistic(logit);
    weight[k] = k < count ? p->m->weight[p->m->fraud[r + k]] * q * (1 - q) : 0;
  }
  const double *a = z[0], *b = z[1], *c = z[2], *e = z[3];
  for (uint32_t i = 0; i < d; i++) {
    double wa = weight[0] * a[i], wb = weight[1] * b[i], wc = weight[2] * c[i], we = weight[3] * e[i], *row = &h[i * m];
    for (uint32_t k = 0; k <= i; k++) row[k] = row[k] + wa * a[k] + wb * b[k] + wc * c[k] + we * e[k];
    h[d * m + i] = h[d * m + i] + wa + wb + wc + we;
  }
  h[d * m + d] = h[d * m + d] + weight[0] + weight[1] + weight[2] + weight[3];
}

/* The second derivatives per row, lower triangle of (d + 1) x (d + 1). */
static void hessian(const struct problem *p, const double *w, double *h) {
  uint32_t m = p->m->d + 1;
  for (uint32_t i = 0; i < m * m; i++) h[i] = 0;
  for (size_t r = 0; r < p->m->count; r += AT_ONCE) add_rows(p, w, r, p->m->count - r < AT_ONCE ? p->m->count - r : AT_ONCE, h);
  for (uint32_t i = 0; i < p->m->d; i++) h[i * m + i] += p->l2;
  for (uint32_t i = 0; i < m * m; i++) h[i] /= (double)p->m->count;
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

#define NEWTON_MAX 50
#define HALVINGS_MAX 30
#define NEAR 1e-7 /* gradient per row below which full steps double the digits */
/* Newton steps for as long as they make the gradient smaller: near the minimum each doubles the digits. Farther off a step is halved until it makes the
 * loss smaller (Nocedal and Wright, algorithm 3.2). Returns the gradient, or -1 when the second derivatives do not allow a step. */
static double newton(const struct problem *p, double *w, unsigned *ret_steps) {
  uint32_t m = p->m->d + 1;
  double *h = tide_alloc((size_t)m * m * sizeof *h), *step = tide_alloc(m * sizeof *step), *tried = tide_alloc(m * sizeof *tried),
         *gradient = tide_alloc(m * sizeof *gradient);
  double here = loss(p, w, gradient), now = largest(gradient, m);
  for (*ret_steps = 0; *ret_steps < NEWTON_MAX && now > 0; ++*ret_steps) {
    hessian(p, w, h);
    memcpy(step, gradient, m * sizeof *step);
    if (!solve(h, step, m)) {
      now = -1;
      break;
    }
    bool better = false;
    double there = here, then = now;
    for (unsigned halved = 0; halved < HALVINGS_MAX && !better; halved++) {
      for (uint32_t i = 0; i < m; i++) tried[i] = w[i] - step[i], step[i] /= 2;
      there = loss(p, tried, gradient);
      then = largest(gradient, m);
      better = now < NEAR ? then < now : there < here; /* near it rounding decides which loss is the smaller one */
      if (now < NEAR) break;
    }
    if (!better) break;
    memcpy(w, tried, m * sizeof *w);
    here = there;
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

enum tide_err tide_regress(const struct tide_matrix *matrix, double l2, double *ret_w, struct tide_train_result *ret,
                           struct tide_error *error) {
  TIDE_CHECK(l2 > 0);
  struct problem problem = {.m = matrix, .l2 = l2}, *p = &problem;
  lbfgs_parameter_t parameter;
  lbfgs_parameter_init(&parameter);
  parameter.epsilon = 1e-3; /* the neighbourhood; Newton does the rest */
  parameter.max_iterations = 1000;
  lbfgsfloatval_t *x = lbfgs_malloc((int)p->m->d + 1);
  TIDE_CHECK(x);
  for (uint32_t i = 0; i <= p->m->d; i++) x[i] = 0;
  int status = lbfgs((int)p->m->d + 1, x, NULL, evaluate, count_step, p, &parameter);
  memcpy(ret_w, x, (p->m->d + 1) * sizeof *ret_w);
  lbfgs_free(x);
  ret->lbfgs_steps = p->steps;
  /* Its line search gives up where rounding hides the descent: that is the end of its road, not an error; whether it is the minimum is asked below. */
  bool usable = status >= 0 || status == LBFGSERR_ROUNDING_ERROR || status == LBFGSERR_MAXIMUMLINESEARCH ||
                status == LBFGSERR_MINIMUMSTEP || status == LBFGSERR_WIDTHTOOSMALL || status == LBFGSERR_MAXIMUMITERATION;
  if (!usable) return tide_fail(error, TIDE_E_LIMIT, "the regression failed (liblbfgs says %d); try a larger --l2", status);
  ret->gradient = newton(p, ret_w, &ret->newton_steps);
  if (ret->gradient < 0)
    return tide_fail(error, TIDE_E_LIMIT, "some inputs follow from others, so the best coefficients are not determined; use a larger --l2");
  if (ret->gradient > GRADIENT_MAX)
    return tide_fail(error, TIDE_E_LIMIT, "the regression did not reach its minimum (gradient %.2g per row); use a larger --l2",
                     ret->gradient);
  return TIDE_OK;
}

void tide_regress_keep(struct tide_model *model, const double *w) {
  for (uint32_t i = 0; i < model->input_count; i++) model->input[i].coefficient = tide_rounded(w[i], 9);
  model->intercept = tide_rounded(w[model->input_count], 9);
}

/* ---- both ---- */

/* Quantiles of the scores that the finished model gives its training rows. */
static void fit_scores(struct tide_model *model, const struct tide_rows *rows, size_t count) {
  double *score = tide_alloc(count * sizeof *score);
  for (size_t r = 0; r < count; r++)
    score[r] = tide_score_of_logit(tide_model_logit(model, &rows->x[r * rows->inputs], &rows->cause[r * rows->inputs]));
  tide_sort_doubles(score, count);
  for (unsigned q = 0; q < TIDE_QUANTILES; q++)
    model->score_quantile[q] = tide_rounded(tide_quantile(score, count, tide_quantile_at[q]), 6);
  for (unsigned q = 1; q < TIDE_QUANTILES; q++)
    if (model->score_quantile[q] < model->score_quantile[q - 1]) model->score_quantile[q] = model->score_quantile[q - 1];
  tide_fit_shares(score, count, model->score_quantile, model->score_share);
  model->has_shares = true;
  tide_free(score);
}

enum tide_err tide_train(struct tide_model *model, const struct tide_rows *rows, size_t count, const struct tide_train_how *how,
                         struct tide_train_result *ret, struct tide_error *error) {
  struct tide_matrix matrix;
  struct tide_train_result result = {0};
  double w[TIDE_MODEL_INPUTS_MAX + 1];
  enum tide_err err = tide_matrix_fit(model, rows, count, how, &matrix, error);
  if (!err) err = tide_regress(&matrix, how->l2, w, &result, error);
  tide_matrix_release(&matrix);
  if (err) return err;
  tide_regress_keep(model, w);
  model->from_ms = rows->time_ms[0];
  model->to_ms = rows->time_ms[count - 1];
  model->l2 = how->l2;
  fit_scores(model, rows, count);
  *ret = result;
  return TIDE_OK;
}
