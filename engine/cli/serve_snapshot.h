/* Snapshots of a serving engine, written by a child process: the engine stands still for the fork only.
 *
 * The child has the state at one position, frozen by copy on write, and all the time it needs; the parent goes on answering. What that costs is
 * the copying of the page tables (milliseconds for a gigabyte) and one copy of each page that changes meanwhile. The child touches nothing but
 * memory and the snapshot's files, and ends without running exit handlers. */
#ifndef TIDE_SERVE_SNAPSHOT_H
#define TIDE_SERVE_SNAPSHOT_H

#include "cli/snapshot.h"

struct tide_snapshotter;
/* Snapshots into `dir` (copied). Nothing is written before tide_snapshotter_turn says so. */
struct tide_snapshotter *tide_snapshotter_new(const char *dir);
/* On the thread that owns the fold, between two steps: looks after a child that ended, and starts one when `every_ms` have passed since the last was
 * started and the fold has moved, or when it has another feature file. every_ms 0: never. `entry` is the journal entry at the fold's position. */
void tide_snapshotter_turn(struct tide_snapshotter *snapshotter, struct tide_fold *fold, struct tide_span entry, int64_t every_ms);
/* Called in the child behind a snapshot that was written, with its directory and position: keeps what belongs beside it. An error fails nothing but itself: it is
 * told like a snapshot that could not be written. */
typedef enum tide_err (*tide_beside_fn)(void *ctx, const char *dir, struct tide_position position, struct tide_error *error);
void tide_snapshotter_beside(struct tide_snapshotter *snapshotter, tide_beside_fn beside, void *ctx);
/* Waits for a child that is under way. Then the fold may be written by the caller. */
void tide_snapshotter_end(struct tide_snapshotter *snapshotter);
void tide_snapshotter_free(struct tide_snapshotter *snapshotter);

#endif
