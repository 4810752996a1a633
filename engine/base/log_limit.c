/* Counting log lines per event and second (log_limit.h).
 *
 * A search over at most 128 short names per line: a line costs a system call anyway, and a line that is left out must only be cheaper than that. */
#include "base/log_limit.h"

#define SECOND_NS INT64_C(1000000000)

static struct tide_log_event *find(struct tide_log_limit *limit, const char *event, struct tide_mono now) {
  size_t len = strlen(event);
  if (len == 0 || len >= TIDE_LOG_EVENT_BYTES) return NULL;
  for (int i = 0; i < TIDE_LOG_EVENTS_MAX; i++) {
    struct tide_log_event *at = &limit->event[i];
    if (strcmp(at->name, event) == 0) return at;
    if (at->name[0]) continue;
    *at = (struct tide_log_event){.since = now};
    memcpy(at->name, event, len + 1);
    return at;
  }
  return NULL;
}

bool tide_log_limit_pass(struct tide_log_limit *limit, const char *event, struct tide_mono now, uint32_t per_s, uint64_t *ret_suppressed) {
  TIDE_CHECK(per_s >= 1);
  *ret_suppressed = 0;
  struct tide_log_event *at = find(limit, event, now);
  if (!at) return true;
  if (now.ns - at->since.ns >= SECOND_NS) {
    at->since = now;
    at->written = 0;
  }
  if (at->written >= per_s) {
    at->suppressed++;
    return false;
  }
  at->written++;
  *ret_suppressed = at->suppressed;
  at->suppressed = 0;
  return true;
}

const char *tide_log_limit_untold(struct tide_log_limit *limit, uint64_t *ret_suppressed) {
  for (int i = 0; i < TIDE_LOG_EVENTS_MAX; i++) {
    if (limit->event[i].suppressed == 0) continue;
    *ret_suppressed = limit->event[i].suppressed;
    limit->event[i].suppressed = 0;
    return limit->event[i].name;
  }
  return NULL;
}
