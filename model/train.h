/* Fitting a model to rows: imputation, transform, standardisation, L2 logistic regression.
 *
 *   minimise over w, b:   sum over rows of v ln(1 + exp(-s (w z + b)))  +  l2 / 2 * |w|^2
 *   s = 1 for fraud, -1 otherwise; v the weight of the row's class; b is not punished
 *
 * which is scikit-learn's LogisticRegression with C = 1 / l2 and class_weight behind SimpleImputer(median) and StandardScaler; a golden test holds the two together. L-BFGS
 * (liblbfgs; Nocedal 1980) comes near the minimum, then Newton steps go to it, as far as doubles reach: L-BFGS alone stops where the function does not
 * change any more, which is half of the digits. What is kept is rounded to 9 significant digits, so the last bits of a machine do not show. */
#ifndef TIDE_TRAIN_H
#define TIDE_TRAIN_H

#include "model/artifact.h"

/* Rows as they were read (preprocess.h): row r has x[r * inputs + i]; where cause[...] is not TIDE_C_none the value is missing for it. Owned by the struct. */
struct tide_rows {
  uint32_t inputs;
  size_t count, cap;
  double *x;
  uint8_t *cause;
  uint8_t *fraud;
  int64_t *time_ms;
  uint64_t *card;   /* 0: none */
  uint32_t *number; /* the caller's, for what it keeps elsewhere; travels with the row */
  uint8_t *state;   /* enum tide_vstate of each x; NULL unless asked for */
};

void tide_rows_init(struct tide_rows *rows, uint32_t inputs);
/* The same, with states. */
void tide_rows_init_states(struct tide_rows *rows, uint32_t inputs);
void tide_rows_release(struct tide_rows *rows);
/* Appends an empty row and returns its number; the caller fills it. */
size_t tide_rows_add(struct tide_rows *rows);
/* Row `to` becomes row `from` of the other, which has as many inputs and states if `to` has them. */
void tide_rows_copy(struct tide_rows *rows, size_t to, const struct tide_rows *other, size_t from);
/* Sorts by time, rows of the same time in the order in which they were added. */
void tide_rows_sort(struct tide_rows *rows);
/* Takes out input `index` of the rows and of the model. */
void tide_rows_drop(struct tide_rows *rows, struct tide_model *model, uint32_t index);
/* True when the input has at most one different value in rows [0, count): nothing can be learnt of it. */
bool tide_rows_constant(const struct tide_rows *rows, uint32_t index, size_t count);

/* Chooses the transform of inputs [i] that have none yet (transform NONE and !chosen[i]): log1p where no value is negative and the largest is above 10; clip to the
 * quantiles 0.005 and 0.995 where values are negative and the largest magnitude is above 10; none otherwise. */
void tide_train_transforms(struct tide_model *model, const struct tide_rows *rows, size_t count, const bool *chosen);

struct tide_train_how {
  double l2;            /* > 0; scikit-learn's C is 1 / l2 */
  double fraud_weight;  /* what a fraud weighs against a genuine row, 0 as 1: the same; TIDE_TRAIN_BALANCED */
  bool constant;        /* take inputs that do not vary, with a coefficient of 0, instead of refusing */
};
/* Both classes weigh half of all rows: n / (2 n_class) each, as scikit-learn's class_weight="balanced". */
#define TIDE_TRAIN_BALANCED (-1.0)

struct tide_train_result { unsigned lbfgs_steps, newton_steps; double gradient; }; /* largest component, per row */

/* Fits all numbers of the model to rows [0, count): median, quantiles, mean, scale, coefficients, intercept, class weights, rows, fraud, from, to, score
 * quantiles. The inputs' features, transforms and own imputations stand in it already. Weights count in the loss only, as in scikit-learn: medians and means
 * are those of the rows. Errors: RANGE (no fraud or only fraud, an input that does not vary), LIMIT (no minimum was found). */
enum tide_err tide_train(struct tide_model *model, const struct tide_rows *rows, size_t count, const struct tide_train_how *how,
                         struct tide_train_result *ret, struct tide_error *error) TIDE_WARN_UNUSED;

#endif
