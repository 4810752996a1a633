/* The consistency budget: what each entity's features may be behind, and what the decision does when they are further behind than that (contract 6, 7).
 *
 * Worked out, not described: the policy is evaluated, by the same code that decides, on an event of which nothing is known (no field, counts of zero, nothing on a
 * list) whose values of one entity are beyond their budget. A rule that this leaves unknown cannot be answered without the entity; one that reads the entity and is settled by
 * the rest of its condition is unknown only where that holds. What follows for the others comes from the order of the rules (ruling 32). */
#ifndef TIDE_BUDGET_H
#define TIDE_BUDGET_H

#include "base/buf.h"
#include "feature/policy.h"

enum tide_without {
  TIDE_WITHOUT_decides,    /* it does not need the entity, and no stricter rule before it does: it decides as always */
  TIDE_WITHOUT_gives_way,  /* it does not need the entity, but a stricter rule before it does: where that cannot be answered the fallback decides */
  TIDE_WITHOUT_depends,    /* it reads the entity, and cannot be answered where the rest of its condition leaves it open */
  TIDE_WITHOUT_unanswered, /* it cannot be answered */
  TIDE_WITHOUT_used        /* it reads the entity, whose policy lets what is stale be used (mark, default) */
};

struct tide_budget {
  uint8_t rule[TIDE_RULES_MAX];         /* enum tide_without, by spec->rule */
  uint16_t blocked_by[TIDE_RULES_MAX];  /* gives_way: the first stricter rule before it that needs the entity */
  struct tide_verdict quiet;            /* what is decided on an event with nothing else against it */
  bool refuses;                         /* and that is the fallback */
};

/* Without the features of one entity, index into spec->entity. score_reads: bit per entity that the model's inputs read; all ones where the model is not known. */
void tide_budget_of(const struct tide_spec *spec, uint32_t score_reads, uint32_t entity, struct tide_budget *ret);
/* What the fallback decides on an event of which nothing is known. */
void tide_budget_fallback(const struct tide_spec *spec, struct tide_verdict *ret);

/* Appends one group's part of the document as lines of text: budget, level, action, and what the decision does without it. */
void tide_budget_say(const struct tide_spec *spec, uint32_t entity, const struct tide_budget *budget, struct tide_buf *out);
/* Appends the same as members of an open JSON object. */
void tide_budget_json(const struct tide_spec *spec, uint32_t entity, const struct tide_budget *budget, struct tide_buf *out);
/* Appends the fallback's rules in order and what they come to: text; an array of objects. */
void tide_budget_fallback_say(const struct tide_spec *spec, struct tide_buf *out);
void tide_budget_fallback_json(const struct tide_spec *spec, struct tide_buf *out);

#endif
