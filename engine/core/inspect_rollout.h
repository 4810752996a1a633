/* The records of rollout.h as members of a JSON object, for `inspect`.
 *
 * Of its own because they share nothing with those of sources: hashes and people's words instead of cursors. */
#ifndef TIDE_INSPECT_ROLLOUT_H
#define TIDE_INSPECT_ROLLOUT_H

#include "core/rollout.h"

/* Appends what a rollout says to an object that is open; also for others that show one. */
void tide_rollout_json(const struct tide_rollout *rollout, struct tide_buf *out);
/* Appends the members of an ARTIFACT or ROLLOUT to an object that is open. Errors: CORRUPT, VERSION. */
enum tide_err tide_inspect_rollout(const struct tide_raw_record *raw, struct tide_buf *out, struct tide_error *error) TIDE_WARN_UNUSED;

#endif
