/* Aggregates over a range of one log: pure functions of the events between two places.
 *
 * A range is [from, to) in (time, position) order. Small logs are scanned; whole blocks of big logs come from their cached sums. Counting is
 * on mask bits, sums are exact in 128 bits, so neither order nor machine matters. */
#ifndef TIDE_WINDOW_H
#define TIDE_WINDOW_H

#include "feature/entity.h"

struct tide_acc {
  uint64_t count, count2; /* events with the main bit; RATE: with bit2 */
  __int128 sum, squares;
  int64_t min, max;       /* INT64_MAX, INT64_MIN when empty */
};
#define TIDE_ACC_EMPTY ((struct tide_acc){.min = INT64_MAX, .max = INT64_MIN})

/* Adds the events of the range that satisfy the step's bits to acc: counts for COUNT RATE and DISTINCT (latest bits), sums for the others. */
void tide_window_add(const struct tide_view *view, const struct tide_step *step, struct tide_at from, struct tide_at to, struct tide_acc *acc);
/* Adds one value (the current event). */
static inline void tide_window_add_one(struct tide_acc *acc, int64_t x) {
  acc->count++;
  acc->sum += x;
  acc->squares += (__int128)x * x;
  if (x < acc->min) acc->min = x;
  if (x > acc->max) acc->max = x;
}

/* A reusable set of 64-bit values, for recounts. */
struct tide_valueset { uint64_t *cell; uint32_t *stamp; uint32_t cap, used, now; };
void tide_valueset_clear(struct tide_valueset *set);
/* True if the value was new. */
bool tide_valueset_add(struct tide_valueset *set, uint64_t value);
void tide_valueset_release(struct tide_valueset *set);

/* Adds the values of the step's column in the range to the set (distinct of a window that does not end at the log's end). */
void tide_window_values(const struct tide_view *view, const struct tide_step *step, struct tide_at from, struct tide_at to, struct tide_valueset *set);
/* Different values of the step's column (DISTINCT) in the range, in which so many latest bits stand, and of `current`, or NULL; false if more events than a few
 * stand behind the range: latest bits say too little then, and one counts anew. */
bool tide_window_distinct(const struct tide_view *view, const struct tide_step *step, struct tide_at from, struct tide_at to, uint64_t latest,
                          const int64_t *current, uint64_t *ret);
/* HyperLogLog estimate (Flajolet et al. 2007, p = 12, linear counting below 2.5 m) of the values in the range; `current` is one more value, or NULL. */
double tide_window_approx(const struct tide_view *view, const struct tide_step *step, struct tide_at from, struct tide_at to, const int64_t *current);
/* Largest number of events in any window (u - inner, u], u in (t - outer, t]; from begins at t - outer - inner. `current` is the time of one more event there, or NULL. */
uint64_t tide_window_max_count(const struct tide_view *view, const struct tide_step *step, struct tide_at from, struct tide_at to, int64_t t_ms,
                               int64_t outer_ms, const int64_t *current);
/* Consecutive events before `to` and not before `from` that satisfy bit2 and bit; stops at the first with bit2 and without bit. */
uint64_t tide_window_streak(const struct tide_view *view, const struct tide_step *step, struct tide_at from, struct tide_at to);
/* The latest event before `to`, not before `from`, with the step's bit; false if there is none. */
bool tide_window_previous(const struct tide_view *view, const struct tide_step *step, struct tide_at from, struct tide_at to, struct tide_at *ret);

#endif
