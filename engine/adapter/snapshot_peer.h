/* Fetching a snapshot from another engine, over its admin listener (GET /snapshot), or from a directory that both can read.
 *
 * What comes is checked chunk by chunk as it is written (snapshot_file.h). Whether it fits the journal is for `wanted` to say, before a byte of it is kept. */
#ifndef TIDE_ADAPTER_SNAPSHOT_PEER_H
#define TIDE_ADAPTER_SNAPSHOT_PEER_H

#include "adapter/admin_access.h"
#include "adapter/snapshot_file.h"

/* `address` is HOST:PORT; waits for a connection at most timeout_ms, and as long for bytes to come. Errors: AGAIN (not there, or it has no snapshot), CORRUPT, FULL,
 * IO, or what `wanted` said. */
enum tide_err tide_snapshot_fetch(const char *address, const struct tide_admin_access *access, int64_t timeout_ms, const char *dir, tide_snapshot_wanted_fn wanted, void *ctx,
                                  struct tide_error *error) TIDE_WARN_UNUSED;

/* The snapshot at `position` of the directory `from`. Errors as above; NOT_FOUND: it went away. */
enum tide_err tide_snapshot_copy(const char *from, struct tide_position position, const char *dir, tide_snapshot_wanted_fn wanted, void *ctx,
                                 struct tide_error *error) TIDE_WARN_UNUSED;

#endif
