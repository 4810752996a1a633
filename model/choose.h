/* Choosing the penalty by folds in order of time.
 *
 * Training rows are cut by time into folds + 1 blocks of equal size. Fold k fits everything (transforms, medians, means, coefficients) to the first k blocks and
 * measures on block k + 1: forward chaining, so that no fold knows its future, as random folds of cross-validation would. Measured is the loss that is
 * minimised, per row and without the penalty (log loss; weighted where classes are), because it judges the scores themselves and not only their order.
 *
 * The one-standard-error rule (Breiman, Friedman, Olshen and Stone 1984, section 3.4.3): of all candidates that are not worse than the best by more than one
 * standard error, the strongest penalty. Folds differ in their fraud far more than candidates within a fold, so the error is that of the paired
 * differences to the best, stddev over folds / sqrt(folds). */
#ifndef TIDE_CHOOSE_H
#define TIDE_CHOOSE_H

#include "model/train.h"

#define TIDE_CHOOSE_MAX 32 /* candidates */
#define TIDE_CHOOSE_FOLDS_MAX 20

struct tide_choice {
  uint32_t count, folds;
  struct {
    double c;           /* 1 / l2 */
    double loss[TIDE_CHOOSE_FOLDS_MAX];
    double mean;        /* of the folds' losses */
    double behind;      /* mean difference to the best, >= 0 */
    double error;       /* standard error of that difference; 0 for the best */
  } candidate[TIDE_CHOOSE_MAX]; /* by rising c */
  struct { size_t train, fraud, test, test_fraud; int64_t from_ms, to_ms; } fold[TIDE_CHOOSE_FOLDS_MAX]; /* rows; time of the tested ones */
  uint32_t best, chosen;
};

struct tide_choose_how {
  const double *c;      /* candidates > 0, sorted and different */
  uint32_t c_count, folds;
  int64_t gap_ms;       /* rows so long before a tested block are not fitted to */
  struct tide_train_how fit; /* l2 does not count */
};

/* Chooses among how->c on rows [0, count), which are sorted by time. `model` has features, given transforms and imputations as for tide_train and stays as it
 * is; given[i]: the transform of input i is not to be chosen. Errors: RANGE (a fold without fraud to learn from, or without rows), LIMIT (a fit failed). */
enum tide_err tide_choose(const struct tide_model *model, const struct tide_rows *rows, size_t count, const bool *given,
                          const struct tide_choose_how *how, struct tide_choice *ret, struct tide_error *error) TIDE_WARN_UNUSED;

#endif
