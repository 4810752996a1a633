/* Decisions from rules: three-valued, in order, the stricter unknown never slipped past (rulings 30-33 of README.md).
 *
 * A pure function of one event's values: it looks at no clock and keeps nothing, so a decision is reproduced from its journal position. */
#ifndef TIDE_POLICY_H
#define TIDE_POLICY_H

#include "feature/spec.h"

enum tide_truth { TIDE_FALSE, TIDE_TRUE, TIDE_UNKNOWN };
static inline const char *tide_truth_name(enum tide_truth truth) { return truth == TIDE_TRUE ? "true" : truth == TIDE_FALSE ? "false" : "unknown"; }

enum tide_by {
  TIDE_BY_RULE,
  TIDE_BY_FALLBACK,
  TIDE_BY_NONE,          /* no policy declared: features only */
  TIDE_BY_FALLBACK_MODEL /* a rule, by the score of the fallback model; cause as of the fallback that it stands for */
};

struct tide_verdict {
  uint8_t by;              /* enum tide_by */
  uint8_t cause;           /* enum tide_cause: why the fallback (or its model) decided; none otherwise */
  uint16_t rule;           /* index into spec->rule, or of FALLBACK into spec->fallback */
  uint16_t decision;       /* index into spec->decision */
  uint16_t blocked_by;     /* the rule that was unknown and stricter (no rule true: the first unknown one), UINT16_MAX if none */
  uint32_t cause_slot;     /* feature slot that made it unknown, TIDE_NONE if none */
  uint64_t yes, unknown;   /* rules of spec->rule that are true, that nobody can answer: bits by index; in neither: false */
};
_Static_assert(TIDE_RULES_MAX <= 64, "rules are bits of a word");

static inline enum tide_truth tide_verdict_truth(const struct tide_verdict *verdict, uint32_t rule) {
  return verdict->yes >> rule & 1 ? TIDE_TRUE : verdict->unknown >> rule & 1 ? TIDE_UNKNOWN : TIDE_FALSE;
}

/* A rule of spec->rule decided, with whatever score. */
static inline bool tide_verdict_is_rule(const struct tide_verdict *verdict) {
  return verdict->by == TIDE_BY_RULE || verdict->by == TIDE_BY_FALLBACK_MODEL;
}
/* The features, or what else the decision takes, could not be had: something stands for it. */
static inline bool tide_verdict_is_refusal(const struct tide_verdict *verdict) {
  return verdict->by == TIDE_BY_FALLBACK || verdict->by == TIDE_BY_FALLBACK_MODEL;
}

/* Compiles what is evaluated for every event into the arena, score and advise, derived values and rules: spec->asking, deriving, deciding, live_rules. Part of parsing;
 * whoever builds or changes rules by hand asks for it himself. */
void tide_policy_compile(struct tide_spec *spec, struct tide_arena *arena);
/* Does the event in env ask for a decision (event.score), has another made one (event.advise)? */
void tide_policy_asks(const struct tide_spec *spec, const struct tide_env *env, bool *ret_asks, bool *ret_advised);
/* The derived values of the event in env, whose `derived` is ret[spec->derived_count]. */
void tide_policy_derive(const struct tide_spec *spec, const struct tide_env *env, struct tide_value *ret);
/* Judges the event in env (fields, dyn, slots, derived, score). env->rule is set by the callee. */
void tide_policy_decide(const struct tide_spec *spec, const struct tide_env *env, struct tide_verdict *ret);
/* The fallback's decision for a given cause, without looking at rules: late events, lost quorum, deadline. Fields, lists, time; env->slot may be
 * NULL, and so may env->derived: derived values that fallback rules read need no feature (ruling 33) and are computed here. */
void tide_policy_fallback(const struct tide_spec *spec, const struct tide_env *env, enum tide_cause cause, struct tide_verdict *ret);
/* The rules once more, for a verdict that the fallback gave, with `score` in place of the one that was refused (contract 7.3). True where a rule decides now: then *verdict is
 * by FALLBACK_MODEL, with the cause, the feature to blame and the blocked rule of before. False, and nothing changed: it is still unknown. */
bool tide_policy_decide_with(const struct tide_spec *spec, const struct tide_env *env, struct tide_value score, struct tide_verdict *verdict);
/* Code of the deciding rule ("V01", "F02", "else", "fallback.else"), never NULL. */
const char *tide_verdict_by(const struct tide_spec *spec, const struct tide_verdict *verdict);
/* The reason text of a rule with its values filled in. Numbers as %.6g, money with its decimals, null as "unknown". For a fallback rule env->slot,
 * env->derived and env->in_list may be NULL; what stands on a list is then "unknown". */
struct tide_buf;
void tide_policy_say(const struct tide_spec *spec, const struct tide_rule *rule, const struct tide_env *env, struct tide_buf *out);

#endif
