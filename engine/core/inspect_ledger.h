/* The records of control.h as members of a JSON object, for `inspect`.
 *
 * Of its own, because there are as many of them as of all other control records together. */
#ifndef TIDE_INSPECT_LEDGER_H
#define TIDE_INSPECT_LEDGER_H

#include "core/batch.h"

/* Appends the members to an object that is open. Errors: CORRUPT, VERSION (a type that is not known); what was appended by then stands. */
enum tide_err tide_inspect_ledger(const struct tide_raw_record *raw, struct tide_buf *out, struct tide_error *error) TIDE_WARN_UNUSED;

#endif
