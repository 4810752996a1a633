/* Scoring (logistic.h).
 *
 * One pass over the inputs in the artifact's order: that order is part of the model, so the sum has one value. A refused input ends the pass: half a
 * score is none. */
#include "model/logistic.h"

#include "model/arith.h"
#include "model/preprocess.h"

double tide_score_of_logit(double logit) {
  double millionths = tide_logistic(logit) * 1e6 + 0.5;
  return (double)(int64_t)millionths / 1e6;
}

double tide_model_logit(const struct tide_model *model, const double *x, const uint8_t *cause) {
  double logit = model->intercept;
  for (uint32_t i = 0; i < model->input_count; i++) {
    const struct tide_model_input *input = &model->input[i];
    double raw = cause[i] ? tide_input_impute(input, (enum tide_cause)cause[i]) : x[i];
    logit += input->coefficient * tide_input_standardise(input, raw);
  }
  return logit;
}

/* The first slot below the expression whose value is not to be trusted. */
static uint32_t blame(const struct tide_spec *spec, const struct tide_expr *expr, const struct tide_env *env) {
  if (!expr) return TIDE_NONE;
  if (expr->op == TIDE_X_FEATURE) {
    const struct tide_value *value = &env->slot[expr->ref];
    return value->unknown || value->state == TIDE_S_saturated ? expr->ref : TIDE_NONE;
  }
  if (expr->op == TIDE_X_DERIVED) return blame(spec, spec->derived[expr->ref].expr, env);
  const struct tide_expr *part[3] = {expr->a, expr->b, expr->c};
  uint32_t slot = TIDE_NONE;
  for (int i = 0; i < 3 && slot == TIDE_NONE; i++) slot = blame(spec, part[i], env);
  return slot;
}

static void refuse(const struct tide_spec *spec, const struct tide_env *env, const struct tide_model_input *input, uint32_t index,
                   enum tide_cause cause, struct tide_score *ret) {
  ret->value = tide_null(TIDE_S_absent, TIDE_C_score);
  ret->value.unknown = true;
  ret->refused_by = index;
  ret->refused_slot = blame(spec, &input->leaf, env);
  ret->refused_cause = cause;
  ret->reason_count = 0;
}

/* Keeps the largest, in order; an equal one stays behind those before it. Most inputs are none and leave with the first comparison. */
static inline void note(struct tide_score *score, uint32_t input, double contribution) {
  uint32_t count = score->reason_count;
  double least = count < TIDE_SCORE_REASONS_MAX ? 0 : score->reason[TIDE_SCORE_REASONS_MAX - 1].contribution;
  if (!(contribution > least)) return;
  uint32_t at = count < TIDE_SCORE_REASONS_MAX ? score->reason_count++ : TIDE_SCORE_REASONS_MAX - 1;
  for (; at > 0 && score->reason[at - 1].contribution < contribution; at--) {
    score->reason[at].contribution = score->reason[at - 1].contribution;
    score->reason[at].input = score->reason[at - 1].input;
  }
  score->reason[at].contribution = contribution;
  score->reason[at].input = input;
}

void tide_model_score(const struct tide_model *model, const struct tide_spec *spec, const struct tide_env *given, struct tide_score *ret) {
  TIDE_CHECK(model->bound);
  struct tide_env env = *given;
  env.rule = false; /* conditions that are not there are missing, not false: they are imputed */
  ret->refused_by = ret->refused_slot = TIDE_NONE;
  ret->refused_cause = TIDE_C_none;
  ret->reason_count = 0;
  double logit = model->intercept;
  for (uint32_t i = 0; i < model->input_count; i++) {
    const struct tide_model_input *input = &model->input[i];
    double x = 0;
    enum tide_cause cause;
    enum tide_reading reading = tide_input_read(input, &env, &x, &cause);
    if (reading == TIDE_READ_REFUSED) {
      refuse(spec, &env, input, i, cause, ret);
      return;
    }
    if (reading == TIDE_READ_MISSING) x = tide_input_impute(input, cause);
    double contribution = input->coefficient * tide_input_standardise(input, x);
    logit += contribution;
    note(ret, i, contribution);
  }
  for (uint32_t r = 0; r < ret->reason_count; r++) ret->reason[r].value = tide_expr_eval(&model->input[ret->reason[r].input].leaf, &env);
  ret->logit = logit;
  ret->value = tide_num(tide_score_of_logit(logit));
}

bool tide_model_contributions(const struct tide_model *model, const struct tide_env *given, struct tide_score_reason *ret) {
  TIDE_CHECK(model->bound);
  struct tide_env env = *given;
  env.rule = false;
  for (uint32_t i = 0; i < model->input_count; i++) {
    const struct tide_model_input *input = &model->input[i];
    double x = 0;
    enum tide_cause cause;
    enum tide_reading reading = tide_input_read(input, &env, &x, &cause);
    if (reading == TIDE_READ_REFUSED) return false;
    if (reading == TIDE_READ_MISSING) x = tide_input_impute(input, cause);
    ret[i] = (struct tide_score_reason){
        .input = i, .contribution = input->coefficient * tide_input_standardise(input, x), .value = tide_expr_eval(&input->leaf, &env)};
  }
  return true;
}

static void put_value(const struct tide_spec *spec, const struct tide_expr *leaf, struct tide_value value, struct tide_buf *out) {
  if (value.type == TIDE_V_NULL) {
    tide_buf_str(out, "unknown");
  } else if (value.type == TIDE_V_BOOL) {
    tide_buf_str(out, value.yes ? "yes" : "no");
  } else {
    bool money = (leaf->op == TIDE_X_FEATURE && spec->slot[leaf->ref].money) || leaf->op == TIDE_X_DYN ||
                 (leaf->op == TIDE_X_FIELD && leaf->ref == spec->f_amount);
    if (value.state == TIDE_S_saturated) tide_buf_str(out, "more than ");
    if (money) tide_buf_printf(out, "%.*f", spec->exponent, value.num);
    else tide_buf_printf(out, "%.6g", value.num);
  }
}

void tide_score_say(const struct tide_model *model, const struct tide_spec *spec, const struct tide_score_reason *reason,
                    struct tide_buf *out) {
  static const char place[] = "{value}";
  const struct tide_model_input *input = &model->input[reason->input];
  for (const char *text = input->text; *text;) {
    if (strncmp(text, place, sizeof place - 1) == 0) {
      put_value(spec, &input->leaf, reason->value, out);
      text += sizeof place - 1;
    } else {
      tide_buf_char(out, *text++);
    }
  }
}
