/* Structured logs: one line per event on stderr, as logfmt (ts=... level=... event=... key=value, values quoted where needed) or as one JSON object.
 *
 * Only main, cli, http and run log; libraries return errors. Secrets are never passed here. Level, form and limit can be changed at any time from any
 * thread. With a limit, an event that comes too often is left out and counted; the next line of it that is written says suppressed=N, so a broken disk
 * fills neither the log nor the reader's patience, and nothing is hidden. */
#ifndef TIDE_LOG_H
#define TIDE_LOG_H

#include "base/check.h"

#include <stdint.h>

enum tide_log_level { TIDE_LOG_DEBUG, TIDE_LOG_INFO, TIDE_LOG_WARN, TIDE_LOG_ERROR };
enum tide_log_format { TIDE_LOG_LOGFMT, TIDE_LOG_JSON }; /* values are strings in both: a key that is sometimes a number breaks what reads it */

void tide_log_level_set(enum tide_log_level level);
/* "info" -> level; false if there is no such level. */
_Bool tide_log_level_parse(const char *name, enum tide_log_level *ret);
void tide_log_format_set(enum tide_log_format format);
/* At most so many lines per event and second; 0 (the default): all. */
void tide_log_limit_set(uint32_t lines_per_s);

/* tide_log(TIDE_LOG_INFO, "journal_open", "dir=%s entries=%llu", dir, n): the event name is a stable snake_case word. */
void tide_log(enum tide_log_level level, const char *event, const char *fmt, ...) TIDE_PRINTF(3, 4);

/* Writes a line event=log_suppressed of=NAME suppressed=N for each event whose last lines were left out: now and then, and at the end. */
void tide_log_flush(void);
/* Lines left out since the start, for metrics. */
uint64_t tide_log_suppressed(void);

#endif
