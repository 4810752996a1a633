/* From a value with its state to a standardised number: read -> impute -> transform -> standardise. The one implementation that train,
 * replay, serve and audit share.
 *
 * Which values may enter follows the rules of the policy (rulings 30 and 31 of feature/README.md), because a score stands in for them:
 *
 *   number, fresh, marked (stale, warming), waived, defaulted   enters as it is; a condition as 0 or 1
 *   legitimately not there: absent, empty                       imputed: the value for its cause if the artifact has one, else the median
 *   not to be trusted (`unknown`): stale, warming under         refuses the score: a refused group is not imputed, or an outage would look
 *     `fallback`, too_late, capacity, made of a bound           like a customer without history
 *   saturated, "more than N"                                    enters where the transform is a clip whose upper end is at most N + 1: then
 *                                                               every number it can stand for gives that end. Anywhere else it refuses */
#ifndef TIDE_PREPROCESS_H
#define TIDE_PREPROCESS_H

#include "model/artifact.h"

/* Magnitudes beyond this count as this, so that every product and sum below stays finite. */
#define TIDE_VALUE_MAX 1e15

enum tide_reading { TIDE_READ_NUMBER, TIDE_READ_MISSING, TIDE_READ_REFUSED };

/* What the input reads in `env` (fields, dyn, slots, derived as the rules see them), as a number before imputation. MISSING: *ret_cause is absent or
 * empty. REFUSED: *ret_cause says why. *ret_num is written for NUMBER only. The input must be bound. */
enum tide_reading tide_input_read(const struct tide_model_input *input, const struct tide_env *env, double *ret_num, enum tide_cause *ret_cause);

/* What stands in for a value that is missing for this cause. */
double tide_input_impute(const struct tide_model_input *input, enum tide_cause cause);

/* none: x. clip: min(max(x, lo), hi). log1p: ln(1 + max(x, 0)). */
double tide_input_transform(const struct tide_model_input *input, double x);

/* (transform(x) - mean) / scale. */
double tide_input_standardise(const struct tide_model_input *input, double x);

#endif
