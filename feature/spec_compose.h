/* A policy of its own, put into a feature file: the text of both as one feature file again.
 *
 * Risk teams change rules weekly, features change quarterly, so a policy is a version for itself: a file with `policy:` and its `tests:`. It is
 * applied by replacing the lines of the feature file's own. The result is an ordinary feature file, so that parsing, the journal and audit
 * know nothing of where its lines came from; who reports a mistake in it can ask from which file a line is. */
#ifndef TIDE_SPEC_COMPOSE_H
#define TIDE_SPEC_COMPOSE_H

#include "base/buf.h"
#include "feature/spec.h"

/* Lines first .. first + count - 1 of the composed text are lines policy_first .. of the policy; they stand for `removed` lines of the feature file. */
struct tide_composed_piece { int first, count, policy_first, removed; };
#define TIDE_COMPOSED_PIECES 2 /* `policy:` and `tests:`, in order of the composed text */
struct tide_composed { struct tide_composed_piece piece[TIDE_COMPOSED_PIECES]; };

/* Appends the feature file with the sections `policy:` and `tests:` of `policy` in place of its own (at its end, where it has none) to out. Tests speak of rules and
 * decisions, so those of the feature file go with its policy, also where the new one brings none. Besides the two the policy may hold `tidemark: 1` and `name:`, which say
 * nothing here. Errors, with line and column in the file that the text names first ("policy: ..." or "feature file: ..."): those of tide_yaml_parse, UNKNOWN_NAME (another
 * section), MISSING (no `policy:`), TYPE (not a mapping in block style whose keys begin their lines), VERSION (another format). Nothing is appended then. */
enum tide_err tide_spec_compose(struct tide_span features, struct tide_span policy, struct tide_buf *out, struct tide_composed *ret,
                                struct tide_error *error) TIDE_WARN_UNUSED;

/* Turns the place of a mistake in the composed text into the place in its own file, and says first in the text which that is. */
void tide_composed_place(const struct tide_composed *composed, struct tide_error *error);

/* Both steps and tide_spec_parse. The lines of tests are those of the policy. Errors: of either, places as above. */
enum tide_err tide_spec_parse_composed(struct tide_span features, struct tide_span policy, struct tide_spec **ret, struct tide_error *error,
                                       size_t error_max, size_t *ret_errors) TIDE_WARN_UNUSED;

/* The name that a policy calls itself, appended to out; nothing where it has none. The whole file is checked as tide_spec_compose does it, except for what only
 * a feature file can tell. Errors: as there. */
enum tide_err tide_policy_name(struct tide_span policy, struct tide_buf *out, struct tide_error *error) TIDE_WARN_UNUSED;

#endif
