/* What expressions and decisions read, by entity (reads.h).
 *
 * Derived values read each other, earlier ones only; each is followed once per question, so a file that sums a value with itself two hundred times over costs no more
 * than its length. */
#include "feature/reads.h"

struct walk {
  const struct tide_spec *spec;
  struct tide_reads reads;
  bool seen[TIDE_DERIVED_MAX];
};

/* As deep as the parser admits an expression, and once through each derived value. */
static void follow(struct walk *walk, const struct tide_expr *expr) {
  if (!expr) return;
  const struct tide_spec *spec = walk->spec;
  switch ((enum tide_op)expr->op) {
    case TIDE_X_FEATURE: walk->reads.entities |= UINT32_C(1) << spec->feature[spec->slot[expr->ref].feature].entity; return;
    case TIDE_X_SCORE: walk->reads.score = true; return;
    case TIDE_X_DERIVED:
      if (walk->seen[expr->ref]) return;
      walk->seen[expr->ref] = true;
      follow(walk, spec->derived[expr->ref].expr);
      return;
    default: break;
  }
  follow(walk, expr->a);
  follow(walk, expr->b);
  follow(walk, expr->c);
}

struct tide_reads tide_expr_entities(const struct tide_spec *spec, const struct tide_expr *expr) {
  struct walk walk = {.spec = spec};
  follow(&walk, expr);
  return walk.reads;
}

struct tide_reads tide_decision_entities(const struct tide_spec *spec, const struct tide_verdict *verdict) {
  struct walk walk = {.spec = spec};
  if (!tide_verdict_is_rule(verdict)) return walk.reads;
  for (uint32_t r = 0; r <= verdict->rule; r++) {
    const struct tide_rule *rule = &spec->rule[r];
    if (r == verdict->rule || (!rule->shadow && rule->decision > verdict->decision)) follow(&walk, rule->when);
  }
  return walk.reads;
}
