/* Parsing expressions and reason texts against a scope: which names mean what.
 *
 * The grammar is in expr.h. The parser of the feature file (spec_*.c) fills a spec section by section and calls this with the names known so far. */
#ifndef TIDE_EXPR_PARSE_H
#define TIDE_EXPR_PARSE_H

#include "feature/spec.h"

#define TIDE_ALLOW_FIELDS 0x01   /* event fields, `amount`/`requested` */
#define TIDE_ALLOW_DYN 0x02      /* result, reason, reversed, refunded, disputed, label (and amount as amount_now) */
#define TIDE_ALLOW_FEATURES 0x04 /* entity.feature_window */
#define TIDE_ALLOW_DERIVED 0x08  /* names of `derived:` parsed so far */
#define TIDE_ALLOW_SCORE 0x10    /* score */
#define TIDE_ALLOW_LISTS 0x20    /* `in LIST`; sets the list's operand in spec->list on first use, refuses a second kind of operand */
#define TIDE_ALLOW_TIME 0x40     /* hour(time, "Zone"), weekday(time, "Zone") */

struct tide_yaml_node;
struct tide_scope {
  struct tide_spec *spec; /* tables filled so far; nodes are allocated in spec->arena */
  unsigned allow;
  const struct tide_yaml_node *derived; /* the mapping of `derived:`, for who reads one that is not there yet, or not here; NULL: there is none */
};

/* Parses all of text, which stands at (line, column) in the file, so errors carry the exact place: column plus the bytes before the mistake (column 0:
 * unknown, and stays so). `want` is the type the result must have
 * (TIDE_V_NULL: any). `amount` gives a TIDE_X_DYN amount_now node where ALLOW_DYN is set, else the amount FIELD; `requested` the amount FIELD. Digits
 * beside a text are a text (mcc = 6011). The event time's name gives TIDE_X_EVENT_TIME and needs ALLOW_TIME. Enumerated outcome columns refuse unknown words (result = declned:
 * did you mean declined). Sets are sorted by value, `text` of their node keeps the order of the file. At most 4096 bytes, nesting 64, 128 levels of
 * the tree, 1000 values in a set. Errors: CONFIG with line, column, suggestion. */
enum tide_err tide_expr_parse(const struct tide_scope *scope, struct tide_span text, int line, int column, enum tide_vtype want,
                              const struct tide_expr **ret, struct tide_error *error) TIDE_WARN_UNUSED;

/* Splits "{card.declines_10m} declines" into literals and expressions; "{{" and "}}" are braces. */
enum tide_err tide_say_parse(const struct tide_scope *scope, struct tide_span text, int line, int column, const struct tide_say **ret,
                             uint32_t *ret_count, struct tide_error *error) TIDE_WARN_UNUSED;

#endif
