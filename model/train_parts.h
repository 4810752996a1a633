/* What the files of training share: the matrix of standardised numbers, and the regression on it.
 *
 * Preparing costs a sort for each column, the regression a pass over the matrix for each step; choosing the penalty prepares each fold once and fits it
 * for each candidate, which is why the two stand apart. */
#ifndef TIDE_TRAIN_PARTS_H
#define TIDE_TRAIN_PARTS_H

#include "model/train.h"

struct tide_matrix {
  double *z;            /* count * d, row after row */
  const uint8_t *fraud; /* borrowed from the rows */
  size_t count, frauds;
  uint32_t d;
  double weight[2];     /* of a genuine row, of a fraud */
};

/* Fits the columns of rows [0, count) (median, quantiles, mean, scale go into the model) and fills *ret; release it also after an error. Errors: RANGE as
 * tide_train. */
enum tide_err tide_matrix_fit(struct tide_model *model, const struct tide_rows *rows, size_t count, const struct tide_train_how *how,
                              struct tide_matrix *ret, struct tide_error *error) TIDE_WARN_UNUSED;
void tide_matrix_release(struct tide_matrix *matrix);

/* The minimum: ret_w[d + 1], the intercept last. Errors: LIMIT as tide_train. */
enum tide_err tide_regress(const struct tide_matrix *matrix, double l2, double *ret_w, struct tide_train_result *ret, struct tide_error *error)
    TIDE_WARN_UNUSED;
/* Puts the weights into the model, as they are kept. */
void tide_regress_keep(struct tide_model *model, const double *w);

/* To `digits` significant digits: what is kept does not hang on the last bits of a sum. */
double tide_rounded(double x, int digits);
/* The quantile of sorted values, linear between two (type 7 of Hyndman and Fan 1996, numpy's default). */
double tide_quantile(const double *sorted, size_t count, double at);
/* The share of sorted values at or below each of TIDE_QUANTILES numbers. */
void tide_fit_shares(const double *sorted, size_t count, const double *at, double *ret);
void tide_sort_doubles(double *value, size_t count);

#endif
