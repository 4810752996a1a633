/* Policies that change on the way, for a part of the cases: rollouts between the records, each of a policy made of the file's own rules.
 *
 * Policy 0 is the file's. The others have its rules in another order, with other decisions and other shadows: what differs is what a policy version may change, and every condition
 * keeps its meaning. It has random numbers of its own and comes last, so that a seed without rollouts is the case it always was. */
#include <string.h>

#include "tests/oracle/random.h"

struct or_rule or_policy_rule(const struct or_case *c, int policy, bool fallback, int r) {
  const struct or_rule *rules = fallback ? c->fallback : c->rule;
  int count = fallback ? c->fallback_count : c->rule_count;
  int movable = count > 0 && !rules[count - 1].when ? count - 1 : count; /* else stays the last */
  if (policy == 0) return rules[r];
  struct or_rule rule = rules[r < movable ? policy == 1 ? movable - 1 - r : (r + 1) % movable : r];
  rule.decision = policy == 1 ? c->decision_count - 1 - rule.decision : (rule.decision + 1) % c->decision_count;
  if (rule.when && !fallback && policy == 2) rule.shadow = !rule.shadow;
  return rule;
}

void or_make_rollouts(struct or_case *c) {
  static struct or_record out[OR_RECORDS_MAX];
  struct or_rng rng = {c->seed * UINT64_C(0x9fb21c651e98df25) + 3};
  if (!c->decision_count || c->replay || c->json || !or_percent(&rng, 30)) return;
  int count = 0, often = 1 + or_below(&rng, 12);
  for (int i = 0; i < c->record_count; i++) {
    const struct or_record *r = &c->record[i];
    bool room = count + c->record_count - i < OR_RECORDS_MAX - 1;
    if (i > 0 && room && !r->same_row && or_percent(&rng, often)) {
      out[count] = (struct or_record){.type = OR_ROLLOUT, .policy = or_below(&rng, OR_POLICIES)};
      if (c->reload_at >= count) c->reload_at++;
      count++;
      c->rolls = true;
    }
    out[count++] = *r;
  }
  memcpy(c->record, out, sizeof *out * (size_t)count);
  c->record_count = count;
}
