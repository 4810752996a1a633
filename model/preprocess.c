/* Preprocessing one value (preprocess.h).
 *
 * Only + - * / and comparisons, in this order, without contraction: the same bits everywhere. What refuses a score is decided here and nowhere
 * else, so that training leaves out exactly the rows that scoring would refuse. */
#include "model/preprocess.h"

#include "model/arith.h"

static double clamp(double x, double lo, double hi) { return x < lo ? lo : x > hi ? hi : x; }

enum tide_reading tide_input_read(const struct tide_model_input *input, const struct tide_env *env, double *ret_num,
                                  enum tide_cause *ret_cause) {
  const struct tide_value value = tide_expr_eval(&input->leaf, env);
  TIDE_CHECK(value.type != TIDE_V_TEXT); /* binding refuses texts */
  if (value.unknown) {
    *ret_cause = (enum tide_cause)value.cause;
    return TIDE_READ_REFUSED;
  }
  if (value.type == TIDE_V_NULL) {
    *ret_cause = value.cause == TIDE_C_empty ? TIDE_C_empty : TIDE_C_absent;
    return TIDE_READ_MISSING;
  }
  double x = value.type == TIDE_V_BOOL ? (value.yes ? 1.0 : 0.0) : clamp(value.num, -TIDE_VALUE_MAX, TIDE_VALUE_MAX);
  if (value.state == TIDE_S_saturated) {
    if (input->transform != TIDE_TRANSFORM_CLIP || input->hi > x + 1) {
      *ret_cause = TIDE_C_saturated;
      return TIDE_READ_REFUSED;
    }
    x = x + 1; /* the least it can be; the clip makes all of them the same */
  }
  *ret_num = x;
  return TIDE_READ_NUMBER;
}

double tide_input_impute(const struct tide_model_input *input, enum tide_cause cause) {
  return cause == TIDE_C_absent ? input->absent : input->empty;
}

double tide_input_transform(const struct tide_model_input *input, double x) {
  switch ((enum tide_transform)input->transform) {
    case TIDE_TRANSFORM_NONE: return x;
    case TIDE_TRANSFORM_LOG1P: return tide_log1p(x > 0 ? x : 0.0);
    case TIDE_TRANSFORM_CLIP: return clamp(x, input->lo, input->hi);
    case TIDE_TRANSFORM_COUNT: break;
  }
  TIDE_NEVER("reading and training admit no other transform");
}

double tide_input_standardise(const struct tide_model_input *input, double x) {
  return (tide_input_transform(input, x) - input->mean) / input->scale;
}
