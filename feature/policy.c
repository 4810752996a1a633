/* Deciding by rules (policy.h; rulings 30-33).
 *
 * The walk: the first true rule decides, unless an earlier rule could not be answered and would have been stricter; then nobody knows, and the
 * fallback decides. So a known decline stands even while other groups are stale, and an approval never slips past an unanswered decline. */
#include "feature/policy.h"

#include "base/buf.h"
#include "feature/program.h"

/* Descends from an unknown node to the first operand, left to right, that made it so: its cause, and its feature slot if it is one.
 * Asking each part for its value keeps to the parts that mattered: in `a > 1 and b > 2` a stale b is innocent where a > 1 is false. */
static void blame(const struct tide_spec *spec, const struct tide_expr *expr, const struct tide_env *env, struct tide_verdict *verdict) {
  switch ((enum tide_op)expr->op) {
    case TIDE_X_FEATURE: {
      const struct tide_value *slot = &env->slot[expr->ref];
      verdict->cause = slot->unknown ? slot->cause : TIDE_C_saturated;
      verdict->cause_slot = expr->ref;
      return;
    }
    case TIDE_X_DERIVED: {
      struct tide_env inside = *env;
      inside.rule = false; /* as it was evaluated */
      verdict->cause = env->derived[expr->ref].cause;
      blame(spec, spec->derived[expr->ref].expr, &inside, verdict);
      return;
    }
    case TIDE_X_SCORE:
      verdict->cause = TIDE_C_score;
      if (env->score_blame) verdict->cause_slot = env->score_blame - 1;
      return;
    case TIDE_X_IN_LIST: return; /* always known */
    default: break;
  }
  const struct tide_value value = tide_expr_eval(expr, env);
  if (value.unknown) verdict->cause = value.cause;
  const struct tide_expr *part[3] = {expr->a, expr->b, expr->c};
  if (expr->op == TIDE_X_IF) { /* only the branch that was taken */
    const struct tide_value condition = tide_expr_eval(expr->a, env);
    if (condition.unknown) part[1] = part[2] = NULL;
    else part[0] = NULL, part[condition.type == TIDE_V_BOOL && condition.yes ? 2 : 1] = NULL;
  }
  bool calculates = expr->op >= TIDE_X_ADD && expr->op <= TIDE_X_MAX; /* a bound is no number to calculate with: unknown like any other */
  for (int pass = 0; pass < 2; pass++) /* first what is unknown by itself, then a bound that could not decide a comparison */
    for (int i = 0; i < 3; i++) {
      if (!part[i]) continue;
      const struct tide_value operand = tide_expr_eval(part[i], env);
      bool bound = operand.state == TIDE_S_saturated && operand.type != TIDE_V_NULL;
      if (pass == 0 ? !operand.unknown && !(calculates && bound) : !bound) continue;
      blame(spec, part[i], env, verdict);
      return;
    }
}

static enum tide_truth truth_of(const struct tide_rule *rule, const struct tide_env *env) {
  if (!rule->when) return TIDE_TRUE;
  struct tide_value value = tide_expr_eval(rule->when, env);
  if (value.unknown) return TIDE_UNKNOWN;
  return value.type == TIDE_V_BOOL && value.yes ? TIDE_TRUE : TIDE_FALSE; /* a bare bool that is not there is false like its comparison */
}

static void mark_derived(const struct tide_expr *expr, bool needed[TIDE_DERIVED_MAX]) {
  if (!expr) return;
  if (expr->op == TIDE_X_DERIVED) needed[expr->ref] = true;
  mark_derived(expr->a, needed);
  mark_derived(expr->b, needed);
  mark_derived(expr->c, needed);
}

/* Computes the marked derived values, and what they read, for an event that came to no features (ruling 33: none is needed). Each reads only
 * earlier ones: marking goes down, computing goes up. */
static void derive_marked(const struct tide_spec *spec, const struct tide_env *given, bool needed[TIDE_DERIVED_MAX],
                          struct tide_value value[TIDE_DERIVED_MAX]) {
  TIDE_CHECK(spec->derived_count <= TIDE_DERIVED_MAX);
  for (uint32_t d = spec->derived_count; d-- > 0;)
    if (needed[d]) mark_derived(spec->derived[d].expr, needed);
  struct tide_env env = *given;
  env.rule = false;
  env.derived = value;
  for (uint32_t d = 0; d < spec->derived_count; d++)
    if (needed[d]) value[d] = tide_expr_eval(spec->derived[d].expr, &env);
}

void tide_policy_fallback(const struct tide_spec *spec, const struct tide_env *given, enum tide_cause cause, struct tide_verdict *ret) {
  struct tide_value derived[TIDE_DERIVED_MAX];
  struct tide_env env = *given;
  env.rule = true;
  if (!env.derived) {
    bool needed[TIDE_DERIVED_MAX] = {false};
    for (uint32_t r = 0; r < spec->fallback_count; r++) mark_derived(spec->fallback[r].when, needed);
    derive_marked(spec, given, needed, derived);
    env.derived = derived;
  }
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

void tide_policy_compile(struct tide_spec *spec, struct tide_arena *arena) {
  static const struct tide_expr no = {.op = TIDE_X_FALSE, .type = TIDE_V_BOOL};
  const struct tide_expr *const ask[] = {spec->score, spec->advise ? spec->advise : &no}, *root[TIDE_DERIVED_MAX];
  spec->asking = tide_program_conditions(arena, ask, 2, false, NULL);
  _Static_assert(TIDE_DERIVED_MAX <= TIDE_PROGRAM_ROOTS && TIDE_RULES_MAX <= 64 && TIDE_RULES_MAX <= TIDE_DERIVED_MAX,
                 "they fit one program");
  for (uint32_t d = 0; d < spec->derived_count; d++) root[d] = spec->derived[d].expr;
  spec->deriving = tide_program_values(arena, root, spec->derived_count);
  spec->live_rules = 0;
  for (uint32_t r = 0; r < spec->rule_count; r++) {
    root[r] = spec->rule[r].when;
    spec->live_rules |= (uint64_t)!spec->rule[r].shadow << r;
  }
  spec->deciding = tide_program_conditions(arena, root, spec->rule_count, true, NULL);
}

void tide_policy_asks(const struct tide_spec *spec, const struct tide_env *env, bool *ret_asks, bool *ret_advised) {
  struct tide_truths truths;
  tide_program_test(spec->asking, env, &truths);
  *ret_asks = truths.yes[0] & 1;
  *ret_advised = truths.yes[0] >> 1 & 1;
}

void tide_policy_derive(const struct tide_spec *spec, const struct tide_env *env, struct tide_value *ret) {
  tide_program_derive(spec->deriving, env, ret);
}

/* The first rule that is true and counts, or TIDE_NONE. */
static uint32_t first_true(const struct tide_spec *spec, uint64_t yes) {
  yes &= spec->live_rules;
  return yes ? (uint32_t)__builtin_ctzll(yes) : TIDE_NONE;
}

/* The first unknown rule before `decider` that would have been stricter; without a decider the first unknown rule. */
static uint32_t first_blocker(const struct tide_spec *spec, uint64_t unknown, uint32_t decider) {
  for (uint64_t left = unknown & spec->live_rules; left; left &= left - 1) {
    uint32_t r = (uint32_t)__builtin_ctzll(left);
    if (decider == TIDE_NONE) return r;
    if (r > decider) break;
    if (spec->rule[r].decision > spec->rule[decider].decision) return r;
  }
  return TIDE_NONE;
}

void tide_policy_decide(const struct tide_spec *spec, const struct tide_env *given, struct tide_verdict *ret) {
  struct tide_env env = *given;
  struct tide_truths truths;
  env.rule = true;
  tide_program_test(spec->deciding, &env, &truths);
  *ret = (struct tide_verdict){
      .by = TIDE_BY_NONE, .blocked_by = UINT16_MAX, .cause_slot = TIDE_NONE, .yes = truths.yes[0], .unknown = truths.neither[0]};
  if (!spec->decision_count) return;

  uint32_t decider = first_true(spec, ret->yes), blocker = first_blocker(spec, ret->unknown, decider);
  if (decider != TIDE_NONE && blocker == TIDE_NONE) {
    ret->by = TIDE_BY_RULE;
    ret->rule = (uint16_t)decider;
    ret->decision = (uint16_t)spec->rule[decider].decision;
    return;
  }
  if (blocker != TIDE_NONE) {
    ret->blocked_by = (uint16_t)blocker;
    blame(spec, spec->rule[blocker].when, &env, ret);
  }
  struct tide_verdict fallback;
  tide_policy_fallback(spec, given, (enum tide_cause)ret->cause, &fallback);
  ret->by = fallback.by;
  ret->rule = fallback.rule;
  ret->decision = fallback.decision;
}

bool tide_policy_decide_with(const struct tide_spec *spec, const struct tide_env *given, struct tide_value score,
                             struct tide_verdict *verdict) {
  struct tide_env env = *given;
  struct tide_verdict again;
  env.score = score;
  env.score_blame = 0;
  tide_policy_decide(spec, &env, &again);
  if (again.by != TIDE_BY_RULE) return false;
  again.by = TIDE_BY_FALLBACK_MODEL;
  again.cause = verdict->cause;
  again.cause_slot = verdict->cause_slot;
  again.blocked_by = verdict->blocked_by;
  *verdict = again;
  return true;
}

const char *tide_verdict_by(const struct tide_spec *spec, const struct tide_verdict *verdict) {
  switch ((enum tide_by)verdict->by) {
    case TIDE_BY_RULE:
    case TIDE_BY_FALLBACK_MODEL: return spec->rule[verdict->rule].code;
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
                   (expr->op == TIDE_X_FIELD && spec->field[expr->ref].type == TIDE_F_MONEY) ||
                   (expr->op == TIDE_X_DYN && expr->ref == TIDE_DYN_amount_now);
      if (money) tide_buf_printf(out, "%.*f", spec->exponent, value.num);
      else tide_buf_printf(out, "%.6g", value.num);
      break;
    }
  }
}

void tide_policy_say(const struct tide_spec *spec, const struct tide_rule *rule, const struct tide_env *given, struct tide_buf *out) {
  struct tide_value derived[TIDE_DERIVED_MAX];
  struct tide_env env = *given;
  if (!env.derived) {
    bool needed[TIDE_DERIVED_MAX] = {false};
    for (uint32_t p = 0; p < rule->say_count; p++) mark_derived(rule->parts[p].value, needed);
    derive_marked(spec, given, needed, derived);
    env.derived = derived;
  }
  for (uint32_t p = 0; p < rule->say_count; p++) {
    const struct tide_expr *value = rule->parts[p].value;
    if (rule->parts[p].literal) tide_buf_str(out, rule->parts[p].literal);
    else if (!env.in_list && tide_expr_reads(value, TIDE_X_IN_LIST))
      tide_buf_str(out, "unknown"); /* told again, when the lists have moved on */
    else say_value(spec, value, tide_expr_eval(value, &env), out);
  }
}
