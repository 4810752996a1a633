/* Threads that stay, for work that comes in many short rows of jobs: the phases of a fold of history (core/fold_slice.c), a millisecond each.
 *
 * tide_parallel (parallel.h) starts threads for each row, which costs as much as such a row does. Here they wait for the next one. A row is done when all its
 * jobs are; whoever comes to it too late finds nothing to do and keeps nobody waiting. What a job wrote, every job of the next row sees. Jobs of one row share nothing
 * that any of them writes, so the result does not depend on the number of threads. */
#ifndef TIDE_TEAM_H
#define TIDE_TEAM_H

#include "base/parallel.h"

struct tide_team;
/* threads 1 to TIDE_THREADS_MAX, the caller's among them; one that the system refuses is done without. */
struct tide_team *tide_team_new(unsigned threads);
void tide_team_free(struct tide_team *team); /* NULL: nothing */
/* How many there are, the caller among them. */
unsigned tide_team_size(const struct tide_team *team);
/* Runs job(ctx, 0) to job(ctx, count - 1), in order of index where there is one thread, and returns when all are done. Only one caller at a time. */
typedef void (*tide_team_fn)(void *ctx, size_t index);
void tide_team_run(struct tide_team *team, size_t count, tide_team_fn job, void *ctx);

#endif
