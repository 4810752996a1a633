/* Which names an expression may use, what they mean, and which one was probably meant.
 *
 * Order, where a name could be two things: score, derived value, `requested`, the amount, the event time, field, outcome column; a name with a dot
 * is a feature. Lists and entities have names of their own, used only beside `in`. */
#ifndef TIDE_EXPR_NAMES_H
#define TIDE_EXPR_NAMES_H

#include "feature/expr_parse.h"

struct tide_name {
  enum tide_op op;
  enum tide_vtype type;
  uint32_t ref;
};

/* What `name` reads under scope->allow; false if it names nothing that may be read here. */
bool tide_name_find(const struct tide_scope *scope, struct tide_span name, struct tide_name *ret);
/* If the name exists but may not be read here: what it is ("a feature", ...). NULL if there is no such name. */
const char *tide_name_elsewhere(const struct tide_scope *scope, struct tide_span name);
/* The nearest name that may be read here, or NULL. Lists and entities are candidates where lists are allowed. */
const char *tide_name_nearest(const struct tide_scope *scope, struct tide_span name);

/* Indices by name, or TIDE_NONE. */
uint32_t tide_name_list(const struct tide_spec *spec, struct tide_span name);
uint32_t tide_name_entity(const struct tide_spec *spec, struct tide_span name);

#endif
