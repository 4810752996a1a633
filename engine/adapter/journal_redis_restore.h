/* Writing a journal back into Redis from a mirror of it, at its own positions: for a cell whose every node has lost it, or came back with an old copy
 * (journal_redis_restore.c). */
#ifndef TIDE_JOURNAL_REDIS_RESTORE_H
#define TIDE_JOURNAL_REDIS_RESTORE_H

#include "adapter/journal_redis.h"

struct tide_redis_restored {
  uint64_t entries;                 /* in the journal now */
  uint64_t written;                 /* of them by this run */
  struct tide_position first, last;
  bool was_whole;                   /* the journal held all of it already, and was left as it is */
};
/* Told as it goes on; what: reading, writing, verifying. NULL: not told. */
typedef void (*tide_redis_progress_fn)(void *ctx, const char *what, uint64_t entries);

/* Puts the entries of `from`, beginning with the one at `begin` ({0,0}: the first), into the cell's journal at their own positions. A journal that is
 * there must be a beginning of them, else EXISTS and it is left as it is. Goes on where an earlier run was stopped. Errors: EXISTS, NOT_FOUND (`from` is empty, or has
 * nothing at begin), STALE (somebody wrote meanwhile), FULL, MISMATCH (what was read back is not what was written), and those of begin(). */
enum tide_err tide_journal_redis_restore(const struct tide_redis_options *options, struct tide_journal *from, struct tide_position begin,
                                         tide_redis_progress_fn progress, void *ctx, struct tide_redis_restored *ret, struct tide_error *error)
    TIDE_WARN_UNUSED;

#endif
