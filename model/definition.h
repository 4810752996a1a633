/* What an input of a model is, exactly, as one line of text: the thing that must be the same where it was trained and where it scores.
 *
 * The line is written from the parsed feature file, not from its letters: spaces, comments, line numbers, aliases of windows and the order of
 * the file do not show; whatever can change a value does: aggregation, operand, window, conditions, key of the entity, the kinds that count, the
 * currency, `derive` of the fields it reads, and for a derived value all that it is calculated from. Not in it: `inputs:` (where a message keeps a
 * field) and `freshness:` (which values are trusted, not what they are). */
#ifndef TIDE_DEFINITION_H
#define TIDE_DEFINITION_H

#include "base/buf.h"
#include "feature/spec.h"

/* Finds a number or a condition by name: a feature value, a derived value, `amount` (as it is judged), `requested`, or a field. *ret_expr is a leaf that
 * tide_expr_eval reads. Errors: UNKNOWN_NAME with the nearest name, TYPE for a text. */
enum tide_err tide_input_find(const struct tide_spec *spec, const char *name, struct tide_expr *ret_expr, struct tide_error *error)
    TIDE_WARN_UNUSED;

/* Appends the definition of what the leaf reads. */
void tide_input_define(const struct tide_spec *spec, const struct tide_expr *leaf, struct tide_buf *out);

/* The largest value that the input's cap lets it show, plus one: what "more than N" is at least (ruling 31). 0: it has no cap. */
double tide_input_bound(const struct tide_spec *spec, const struct tide_expr *leaf);

#endif
