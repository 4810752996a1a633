/* Is a model the one that made these rows' scores, and is its preprocessing that of its training rows?
 *
 * Two questions that a checksum cannot answer: an artifact that was made with a wrong mean is whole, and wrong. Rows come from `export` or `train --export`, or
 * from another program that scored them. Scores are compared row by row. Where the rows are those that the model was fitted to (as many between its first
 * and last time, with as many frauds) medians, means, scales, quantiles and shares of missing values are computed again by the code that fits, and each that differs is
 * named: a mean is off by itself, a clip or an imputation shows in the mean and scale of what it makes. */
#ifndef TIDE_PARITY_H
#define TIDE_PARITY_H

#include "model/train.h"

struct tide_parity {
  size_t scored, different; /* rows with a score; of them beyond the tolerance */
  size_t worst;             /* the row that differs most */
  double most;              /* by how much */
  bool fitted;              /* the training rows are among the rows, and preprocessing was computed again */
  size_t between;           /* rows between the model's first and last time */
  uint32_t parameters;      /* that differ */
};

/* Appends a line for each parameter that differs. score[r] NaN: the row has none. Scores may differ by `tolerance`, parameters by 1e-9 relative. */
void tide_parity_check(const struct tide_model *model, const struct tide_rows *rows, const double *score, double tolerance, struct tide_buf *out,
                       struct tide_parity *ret);

#endif
