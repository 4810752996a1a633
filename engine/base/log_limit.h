/* How often an event may be logged: a count per event name and second, without a clock of its own.
 *
 * Fixed windows of one second, beginning with the first line after the one before: simple to explain ("ten a second"), and what is left out is counted, so
 * nothing depends on being fair within a second. A fixed table: names are words of the source, not of messages, so they are few; when there is no
 * room, an event has no limit. Not thread-safe: log.c holds its lock. */
#ifndef TIDE_LOG_LIMIT_H
#define TIDE_LOG_LIMIT_H

#include "base/clock.h"

enum { TIDE_LOG_EVENTS_MAX = 128, TIDE_LOG_EVENT_BYTES = 48 };

struct tide_log_limit {
  struct tide_log_event {
    char name[TIDE_LOG_EVENT_BYTES]; /* "": free, and so is everything behind */
    struct tide_mono since;          /* when its second began */
    uint32_t written;                /* lines in that second */
    uint64_t suppressed;             /* lines left out since the last one that was written */
  } event[TIDE_LOG_EVENTS_MAX];
};

/* May this event be logged now? *ret_suppressed: how many were left out before it, to be told with this one; then they count as told. per_s >= 1. */
bool tide_log_limit_pass(struct tide_log_limit *limit, const char *event, struct tide_mono now, uint32_t per_s, uint64_t *ret_suppressed);
/* The next event with lines left out that were not told, which then count as told; NULL when there is none. The name lives as long as limit. */
const char *tide_log_limit_untold(struct tide_log_limit *limit, uint64_t *ret_suppressed);

#endif
