/* Folding a whole log offline, through every change of its feature file.
 *
 * Where a rollout changes the file, the log up to there is read once more from its first entry and folded under the next one (core/fold.h, followers). So an audit of a log
 * with K changes reads up to K + 1 times, and holds two states at a time, whatever K is. */
#ifndef TIDE_FOLLOW_H
#define TIDE_FOLLOW_H

#include "core/fold.h"

/* tide_fold_entry; and if the fold waits behind this entry, its follower takes over. `dir` is where the log is read from again (scan.h). Errors: those of the fold and
 * of reading, and
 * NOT_FOUND: the log there does not begin with its first entry. */
enum tide_err tide_follow_entry(const char *dir, struct tide_fold *fold, struct tide_position position, struct tide_span entry, tide_emit_fn emit,
                                void *ctx, struct tide_error *error) TIDE_WARN_UNUSED;

#endif
