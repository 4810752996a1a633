/* The operator's limits that decide values.
 *
 * They are journaled with the feature file (TIDE_REC_CONFIG), because a fold that does not know
 * them cannot reproduce a decision. One row each: name, default, min, max, what it means. All in milliseconds unless the name says else. */
#ifndef TIDE_SETTINGS_H
#define TIDE_SETTINGS_H

#include "base/buf.h"
#include "base/err.h"

#define TIDE_D(n) (INT64_C(n) * 86400000)
#define TIDE_HISTORY_FIRST INT64_MIN /* history_from: the first event tells */

/* X(name, default, min, max, help) */
#define TIDE_SETTINGS(X)                                                                                                          \
  X(lateness_ms, TIDE_D(7), 0, TIDE_D(400), "An event older than the watermark by more is counted nowhere; never above duplicates_for") \
  X(duplicates_for_ms, TIDE_D(7), 0, TIDE_D(400), "How long an identity and its decision are remembered")                         \
  X(grace_ms, 3600000, 0, TIDE_D(30), "Retention beyond the longest window")                                                     \
  X(out_of_orderness_ms, 2000, 0, 3600000, "How far events of one source arrive out of order; freshness only")                   \
  X(max_future_skew_ms, 60000, 0, TIDE_D(1), "A message further ahead of the commit time is rejected")                           \
  X(lead_ms, 0, 0, 10000, "Windows of requests with their own time end this much later")                                          \
  X(history_from_ms, TIDE_HISTORY_FIRST, INT64_MIN, INT64_MAX, "Event time from which the history is complete")                  \
  X(max_entities, 20000000, 1, 60000000, "Entities per kind, unless the feature file says `max`")                                \
  X(hash_seed, 0, 0, INT64_MAX, "Seed of the hashes of identities and keys, derived from the key for secret fields; 0 without one")    \
  X(replay, 0, 0, 1, "The log is its own clock: commit time is the largest event time so far")

struct tide_settings {
#define X(name, dflt, lo, hi, help) int64_t name;
  TIDE_SETTINGS(X)
#undef X
};

struct tide_settings tide_settings_default(void);
/* Checks ranges and lateness <= duplicates_for. */
enum tide_err tide_settings_check(const struct tide_settings *settings, struct tide_error *error) TIDE_WARN_UNUSED;
/* "name: value" lines, every row, in table order; and back (unknown or missing names are errors). */
void tide_settings_write(const struct tide_settings *settings, struct tide_buf *out);
enum tide_err tide_settings_read(struct tide_span text, struct tide_settings *ret, struct tide_error *error) TIDE_WARN_UNUSED;

#endif
