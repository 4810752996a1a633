/* An external merge sort of history by the time at which each message became known.
 *
 * History comes in files by event time, by merchant, by whatever a warehouse found handy; a fold must see it in the order in which it became
 * known, or features would know what nobody knew yet. Messages are kept as encoded records. Runs of at most `memory_bytes` are sorted and
 * written to files without a name in `dir`; then all runs are merged. Equal times keep the order of input, so the result does not depend on how much
 * memory there was. */
#ifndef TIDE_HISTORY_SORT_H
#define TIDE_HISTORY_SORT_H

#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"

/* One message. `records` is borrowed. */
struct tide_history_item {
  struct tide_etime known_at;
  int64_t event_ms;  /* largest event time in it; INT64_MIN: it has none */
  uint8_t count;     /* of records */
  struct tide_span records;
};

struct tide_history_sort;
struct tide_history_sort *tide_history_sort_new(const char *dir, size_t memory_bytes);
/* Errors: IO, FULL (writing a run). */
enum tide_err tide_history_sort_put(struct tide_history_sort *sort, const struct tide_history_item *item, struct tide_error *error) TIDE_WARN_UNUSED;
/* The next in order; the first call ends the input. Valid until the next call. END behind the last. Errors: IO. */
enum tide_err tide_history_sort_next(struct tide_history_sort *sort, struct tide_history_item *ret, struct tide_error *error) TIDE_WARN_UNUSED;
/* Runs written so far; 0 while everything fits into memory. */
size_t tide_history_sort_runs(const struct tide_history_sort *sort);
void tide_history_sort_free(struct tide_history_sort *sort);

#endif
