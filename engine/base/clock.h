/* Three times that must not be mixed, each a struct of its own so that subtracting one from another does not compile.
 *
 * Event time: milliseconds since 1970-01-01 UTC, from the message. Wall time: the machine's clock, same unit, only for commit times and
 * logs. Monotonic time: nanoseconds, only for measuring and time-outs. Calendar: proleptic Gregorian, no leap seconds (POSIX). */
#ifndef TIDE_CLOCK_H
#define TIDE_CLOCK_H

#include "base/err.h"
#include "base/span.h"

struct tide_etime { int64_t ms; };
struct tide_wall { int64_t ms; };
struct tide_mono { int64_t ns; };

#define TIDE_TIME_MIN_MS INT64_C(-62135596800000) /* 0001-01-01T00:00:00Z */
#define TIDE_TIME_MAX_MS INT64_C(253402300799999) /* 9999-12-31T23:59:59.999Z */

struct tide_wall tide_wall_now(void);
struct tide_mono tide_mono_now(void);
/* Both of one moment: a thread that was put aside between the two readings would look like a clock that was set. */
void tide_clocks_now(struct tide_wall *ret_wall, struct tide_mono *ret_mono);
/* What the wall clock shows above the monotonic one, read at the same moment, in ms. Only differences mean anything: it stays as it is until somebody sets the wall clock. */
static inline int64_t tide_clock_offset_ms(struct tide_wall wall, struct tide_mono mono) { return wall.ms - mono.ns / 1000000; }

enum tide_time_form { TIDE_TIME_RFC3339, TIDE_TIME_EPOCH_S, TIDE_TIME_EPOCH_MS, TIDE_TIME_EPOCH_US };

/* Strict. RFC 3339 date-time (offset or Z required, 'T' or 't' or ' ' between; second 60 refused) or a decimal integer (epoch_s may carry
 * a fraction). A fraction may be of any length; digits beyond the millisecond are dropped, not rounded (-1.0009 s is -1000 ms). Writes
 * *ret only on success. Errors: TIDE_E_SYNTAX, TIDE_E_RANGE (outside TIDE_TIME_MIN/MAX_MS, no such day). */
enum tide_err tide_time_parse(struct tide_span text, enum tide_time_form form, struct tide_etime *ret) TIDE_WARN_UNUSED;

#define TIDE_TIME_TEXT 32
#define TIDE_TIME_LEN 24
/* Writes 2026-11-21T09:58:51.123Z (always TIDE_TIME_LEN characters and a zero byte) and returns out. */
const char *tide_time_format(struct tide_etime t, char out[TIDE_TIME_TEXT]);

/* Durations as people write them: 500ms 10m 1h 7d, an integer and one of ms s m h d. Errors: SYNTAX, RANGE (above 10 years). */
enum tide_err tide_duration_parse(struct tide_span text, int64_t *ret_ms) TIDE_WARN_UNUSED;
/* The shortest exact form: 90m, 7d, 1500ms. Returns out. */
const char *tide_duration_format(int64_t ms, char out[TIDE_TIME_TEXT]);

/* Hour 0-23 and ISO weekday 1-7 (Monday = 1) of t in an IANA zone, from the system's tzdata, cached, thread-safe. */
struct tide_zone;
/* Finds "Europe/Amsterdam" or "UTC". Zones live as long as the process; do not free. Errors: TIDE_E_NOT_FOUND with what to install or write. */
enum tide_err tide_zone_get(const char *name, const struct tide_zone **ret, struct tide_error *error) TIDE_WARN_UNUSED;
int tide_zone_hour(const struct tide_zone *zone, struct tide_etime t);
int tide_zone_weekday(const struct tide_zone *zone, struct tide_etime t);
/* What the clocks of the zone say at t, as seconds since they said 1970-01-01 00:00: calendar.h makes hour and weekday of it. */
int64_t tide_zone_local_s(const struct tide_zone *zone, struct tide_etime t);

#endif
