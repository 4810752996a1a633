/* The score of one event, and why: the logit of standardised inputs.
 *
 *   logit = intercept + sum over inputs in order of coefficient * z        score = 1 / (1 + exp(-logit)), rounded to 1e-6
 *
 * A pure function of the model and the values. Rounding: the score is what answers print, rules compare and duplicates repeat (a remembered answer holds it as
 * a 32-bit count of millionths), so it must be the same number in all three. */
#ifndef TIDE_LOGISTIC_H
#define TIDE_LOGISTIC_H

#include "model/artifact.h"

#define TIDE_SCORE_REASONS_MAX 3

struct tide_score_reason {
  uint32_t input;      /* index into model->input */
  double contribution; /* coefficient * z, > 0 */
  struct tide_value value; /* as it was read, before imputation */
};

struct tide_score {
  struct tide_value value;  /* NUM in [0, 1]; or NULL, `unknown`, cause score: refused */
  double logit;             /* undefined when refused */
  uint32_t refused_by;      /* the first input that refused; TIDE_NONE when scored */
  uint32_t refused_slot;    /* its feature slot, of a derived value the first refused slot below it; TIDE_NONE: none */
  enum tide_cause refused_cause;
  uint32_t reason_count;    /* the largest contributions that raise the score, largest first; equal ones in order of input */
  struct tide_score_reason reason[TIDE_SCORE_REASONS_MAX];
};

/* Scores what stands in env under a bound model. */
void tide_model_score(const struct tide_model *model, const struct tide_spec *spec, const struct tide_env *env, struct tide_score *ret);

/* What every input adds to the logit of that score, those that lower it too: ret[model->input_count], in the model's order. False, and nothing is written beyond what came
 * before it, when an input refuses. */
bool tide_model_contributions(const struct tide_model *model, const struct tide_env *env, struct tide_score_reason *ret);

/* The logit of one row of raw numbers: x and cause have input_count elements; where cause is not TIDE_C_none the value is missing for it. Training
 * evaluates with it. */
double tide_model_logit(const struct tide_model *model, const double *x, const uint8_t *cause);
/* The score of a logit, rounded to 1e-6 (half up). */
double tide_score_of_logit(double logit);

/* The reason's text with "{value}" filled in: numbers as %.6g, conditions as yes or no, what is missing as "unknown"; money with its decimals. */
void tide_score_say(const struct tide_model *model, const struct tide_spec *spec, const struct tide_score_reason *reason, struct tide_buf *out);

#endif
