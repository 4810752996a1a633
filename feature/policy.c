/* Deciding by rules (policy.h; rulings 30-33).
 *
 * The walk: the first true rule decides, unless an earlier rule could not be answered and would have been stricter; then nobody knows, and the
 * fallback decides. So a known decline stands even while other groups are stale, and an approval never slips past an unanswered decline. */
#include "feature/policy.h"

#include "base/buf.h"

/* The first operand, left to right, that must not be trusted: its cause, and the feature slot if it is one. */
static bool blame(const struct tide_spec *spec, const struct tide_expr *expr, const struct tide_env *env, struct tide_verdict *verdict) {
  if (!expr) return false;
  const struct tide_value *value = NULL;
  if (expr->op == TIDE_X_DERIVED) {
    if (!env->derived[expr->ref].unknown) return false;
    if (blame(spec, spec->derived[expr->ref].expr, env, verdict)) return true;
    value = &env->derived[expr->ref];
  } else if (expr->op == TIDE_X_FEATURE) {
    value = &env->slot[expr->ref];
    if (!value->unknown &&
        value->state == TIDE_S_saturated) { /* undecided only where the bound cannot tell: the rule being unknown says so */
      verdict->cause = TIDE_C_saturated;
      verdict->cause_slot = expr->ref;
      return true;
    }
    if (value->unknown) verdict->cause_slot = expr->ref;
  } else if (expr->op == TIDE_X_SCORE) {
    value = &env->score;
  }
  if (value && value->unknown) {
    verdict->cause = value->cause;
    return true;
  }
  return blame(spec, expr->a, env, verdict) || blame(spec, expr->b, env, verdict) || blame(spec, expr->c, env, verdict);
}

static enum tide_truth truth_of(const struct tide_rule *rule, const struct tide_env *env) {
  if (!rule->when) return TIDE_TRUE;
  struct tide_value value = tide_expr_eval(rule->when, env);
  if (value.unknown) return TIDE_UNKNOWN;
  return value.type == TIDE_V_BOOL && value.yes ? TIDE_TRUE : TIDE_FALSE; /* a bare bool that is not there is false like its comparison */
}

void tide_policy_fallback(const struct tide_spec *spec, const struct tide_env *given, enum tide_cause cause, struct tide_verdict *ret) {
  struct tide_env env = *given;
  env.rule = true;
  *ret = (struct tide_verdict){.by = TIDE_BY_NONE, .cause = (uint8_t)cause, .blocked_by = UINT16_MAX, .cause_slot = TIDE_NONE};
  for (uint32_t r = 0; r < spec->fallback_count; r++) {
    if (truth_of(&spec->fallback[r], &env) != TIDE_TRUE) continue;
    ret->by = TIDE_BY_FALLBACK;
    ret->rule = (uint16_t)r;
    ret->decision = (uint16_t)spec->fallback[r].decision;
    return;
  }
  TIDE_CHECK(spec->fallback_count == 0); /* the last fallback rule is always else */
}

void tide_policy_decide(const struct tide_spec *spec, const struct tide_env *given, struct tide_verdict *ret) {
  struct tide_env env = *given;
  env.rule = true;
  struct tide_verdict verdict = {.by = TIDE_BY_NONE, .blocked_by = UINT16_MAX, .cause_slot = TIDE_NONE};
  uint32_t decider = TIDE_NONE, first_unknown = TIDE_NONE;
  for (uint32_t r = 0; r < spec->rule_count; r++) {
    verdict.truth[r] = (uint8_t)truth_of(&spec->rule[r], &env);
    if (spec->rule[r].shadow || decider != TIDE_NONE) continue;
    if (verdict.truth[r] == TIDE_TRUE) decider = r;
    else if (verdict.truth[r] == TIDE_UNKNOWN && first_unknown == TIDE_NONE) first_unknown = r;
  }
  if (!spec->decision_count) {
    *ret = verdict;
    return;
  }
  uint32_t blocker = decider == TIDE_NONE ? first_unknown : TIDE_NONE;
  for (uint32_t r = 0; decider != TIDE_NONE && r < decider && blocker == TIDE_NONE; r++)
    if (!spec->rule[r].shadow && verdict.truth[r] == TIDE_UNKNOWN && spec->rule[r].decision > spec->rule[decider].decision) blocker = r;
  if (decider != TIDE_NONE && blocker == TIDE_NONE) {
    verdict.by = TIDE_BY_RULE;
    verdict.rule = (uint16_t)decider;
    verdict.decision = (uint16_t)spec->rule[decider].decision;
    *ret = verdict;
    return;
  }
  struct tide_verdict fallback;
  if (blocker != TIDE_NONE) {
    verdict.blocked_by = (uint16_t)blocker;
    blame(spec, spec->rule[blocker].when, &env, &verdict);
  }
  tide_policy_fallback(spec, given, (enum tide_cause)verdict.cause, &fallback);
  verdict.by = fallback.by;
  verdict.rule = fallback.rule;
  verdict.decision = fallback.decision;
  *ret = verdict;
}

const char *tide_verdict_by(const struct tide_spec *spec, const struct tide_verdict *verdict) {
  switch ((enum tide_by)verdict->by) {
    case TIDE_BY_RULE: return spec->rule[verdict->rule].code;
    case TIDE_BY_FALLBACK: return spec->fallback[verdict->rule].when ? spec->fallback[verdict->rule].code : "fallback.else";
    case TIDE_BY_NONE: return "none";
  }
  return "none";
}

static void say_value(const struct tide_spec *spec, const struct tide_expr *expr, struct tide_value value, struct tide_buf *out) {
  char text[8];
  switch ((enum tide_vtype)value.type) {
    case TIDE_V_NULL: tide_buf_str(out, "unknown"); break;
    case TIDE_V_BOOL: tide_buf_str(out, value.yes ? "yes" : "no"); break;
    case TIDE_V_TEXT: {
      size_t len = tide_text_of_code(value.code, text);
      if (len) tide_buf_put(out, text, len);
      else tide_buf_str(out, "(long text)");
      break;
    }
    case TIDE_V_NUM: {
      bool money = (expr->op == TIDE_X_FEATURE && spec->slot[expr->ref].money) ||
                   (expr->op == TIDE_X_FIELD && spec->field[expr->ref].type == TIDE_F_MONEY);
      if (money) tide_buf_printf(out, "%.*f", spec->exponent, value.num);
      else tide_buf_printf(out, "%.6g", value.num);
      break;
    }
  }
}

void tide_policy_say(const struct tide_spec *spec, const struct tide_rule *rule, const struct tide_env *env, struct tide_buf *out) {
  for (uint32_t p = 0; p < rule->say_count; p++) {
    if (rule->parts[p].literal) tide_buf_str(out, rule->parts[p].literal);
    else say_value(spec, rule->parts[p].value, tide_expr_eval(rule->parts[p].value, env), out);
  }
}
