/* A row of independent jobs on several threads, for work that is cut into parts by its format (the chunks of a snapshot).
 *
 * Jobs are taken in order of their index by whoever is free; the caller works as well, so one thread means a plain loop. The result must not depend on who did
 * what: jobs share nothing that any of them writes. */
#ifndef TIDE_PARALLEL_H
#define TIDE_PARALLEL_H

#include "base/err.h"

#include <stddef.h>

#define TIDE_THREADS_MAX 64

/* Job `index` of the row. Called from several threads at once. */
typedef enum tide_err (*tide_job_fn)(void *ctx, size_t index, struct tide_error *error);
/* Runs jobs 0 to count-1 on `threads` threads (1 to TIDE_THREADS_MAX, the caller's among them) and returns when none is running. After a failure no further job
 * is begun; the error is that of the lowest index that failed. A thread that the system refuses is done without. */
enum tide_err tide_parallel(unsigned threads, size_t count, tide_job_fn job, void *ctx, struct tide_error *error) TIDE_WARN_UNUSED;

#endif
