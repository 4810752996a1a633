/* Which entities' features a decision was made of (contract 6, 7).
 *
 * What a decision reads is more than what its rule names: a derived value, the model's score, and the stricter rules that were walked past before it and had to be
 * answered `no`. Rules that are milder or stand behind the one that decided cannot change it, known or not (ruling 32), so they are not read. */
#ifndef TIDE_READS_H
#define TIDE_READS_H

#include "feature/policy.h"

/* Bit per index into spec->entity. */
struct tide_reads {
  uint32_t entities;
  bool score; /* the model's score as well: whatever that is made of */
};
_Static_assert(TIDE_ENTITIES_MAX <= 32, "entities are bits of a word");

/* Of one expression; NULL reads nothing. Derived values are followed. An entity whose key is only looked up in a list is not read. */
struct tide_reads tide_expr_entities(const struct tide_spec *spec, const struct tide_expr *expr);
/* Of a decision by a rule: its own and those of stricter rules before it. A fallback reads none. */
struct tide_reads tide_decision_entities(const struct tide_spec *spec, const struct tide_verdict *verdict);

#endif
