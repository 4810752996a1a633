/* Looking at a Redis deployment as an operator would, and saying what to change (journal_redis_doctor.c).
 *
 * It only reads: INFO, TIME, CONFIG GET, XINFO and the sentinels' tables, on every node that can be reached from here. */
#ifndef TIDE_JOURNAL_REDIS_DOCTOR_H
#define TIDE_JOURNAL_REDIS_DOCTOR_H

#include "adapter/journal_redis.h"

enum tide_redis_finding { TIDE_REDIS_GOOD, TIDE_REDIS_NOTE, TIDE_REDIS_FIX };
/* `what`: redis, replica or sentinel; text: what was seen and what to do, valid during the call. */
typedef void (*tide_redis_finding_fn)(void *ctx, enum tide_redis_finding level, const char *what, const char *text);

/* Examines sentinels (where the URL names some), primary and replicas. Everything is told through `fn`, also what cannot be reached. */
void tide_journal_redis_examine(const struct tide_redis_options *options, tide_redis_finding_fn fn, void *ctx);

#endif
