/* Snapshots of a fold: the chunks of core/fold.h in the files of adapter/snapshot_file.h.
 *
 * A snapshot is only a shortcut: the state at position P is what folding the journal up to P gives, so any doubt about one (a damaged file, an entry
 * at P that is not the one it was taken after, an output that lacks decisions it takes as given) is answered by the older generation,
 * and in the end by folding from the beginning. The answers are the same, only later. */
#ifndef TIDE_CLI_SNAPSHOT_H
#define TIDE_CLI_SNAPSHOT_H

#include "adapter/snapshot_file.h"
#include "core/fold.h"

/* The last decision that an output has; {0,0} and 0: none. */
struct tide_released { struct tide_position position; uint32_t index; };

/* Saves the fold at its position. `entry` is the journal entry there (empty in epoch 0); `released` is with the sink already. Errors: IO, FULL. */
enum tide_err tide_snapshot_save(const char *dir, struct tide_fold *fold, struct tide_span entry, struct tide_released released,
                                 struct tide_error *error) TIDE_WARN_UNUSED;
/* The same on several threads (1 to TIDE_THREADS_MAX), with the same bytes; the fold must stand still meanwhile. */
enum tide_err tide_snapshot_save_on(unsigned threads, const char *dir, struct tide_fold *fold, struct tide_span entry, struct tide_released released,
                                    struct tide_error *error) TIDE_WARN_UNUSED;

/* The newest valid one, else NULL in *ret_fold: begin with the beginning. What is passed over is logged with its reason. `journal` may be NULL for a
 * snapshot of history (epoch 0). `have` is what the output holds, NULL: there is no output. Error: IO (the directory cannot be listed). */
enum tide_err tide_snapshot_load(const char *dir, struct tide_journal *journal, const struct tide_released *have, struct tide_fold **ret_fold,
                                 struct tide_released *ret_released, struct tide_error *error) TIDE_WARN_UNUSED;

/* The same, of those whose position is before `before` only. */
enum tide_err tide_snapshot_load_before(const char *dir, struct tide_journal *journal, struct tide_position before, struct tide_fold **ret_fold,
                                        struct tide_error *error) TIDE_WARN_UNUSED;

/* Does the journal hold the very entry that this snapshot was taken after? MISMATCH. */
enum tide_err tide_snapshot_fits(const struct tide_snapshot_manifest *manifest, struct tide_journal *journal, struct tide_error *error) TIDE_WARN_UNUSED;

/* The fold that a journal begins with: that of a back-fill in `start_from` (NULL: an empty one). CORRUPT when there is no usable snapshot there. */
enum tide_err tide_base_load(const char *start_from, struct tide_fold **ret_fold, struct tide_error *error) TIDE_WARN_UNUSED;

#endif
