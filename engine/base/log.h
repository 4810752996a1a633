/* Structured logs: one line per event on stderr, logfmt (ts level event key=value ...), values quoted where needed.
 *
 * Only main, cli and http log; libraries return errors. Secrets are never passed here. Levels: debug info warn error. */
#ifndef TIDE_LOG_H
#define TIDE_LOG_H

#include "base/check.h"

enum tide_log_level { TIDE_LOG_DEBUG, TIDE_LOG_INFO, TIDE_LOG_WARN, TIDE_LOG_ERROR };

void tide_log_level_set(enum tide_log_level level);
/* "info" -> level; false if there is no such level. */
_Bool tide_log_level_parse(const char *name, enum tide_log_level *ret);
/* tide_log(TIDE_LOG_INFO, "journal_open", "dir=%s entries=%llu", dir, n): the event name is a stable snake_case word. */
void tide_log(enum tide_log_level level, const char *event, const char *fmt, ...) TIDE_PRINTF(3, 4);

#endif
