/* What the windows of a big log hold, carried from one event to the next.
 *
 *   struct tide_running {known} | a window per edge: two places | counts | sums; which belong to which edge says the plan (kind->carried)
 *
 * Between two events of a busy shop a window gains and loses an event or two, so their bits and numbers are added and taken away and nothing else is looked at. A
 * window is what stands between its two places in the log, whatever their times: moving a place adds or takes away what it passes, in either direction, and a
 * change inside takes the event out before and puts it in again after. Integers all of them, so what is carried is what a recount gives. It is a cache of the
 * blocks like their sums: not saved, and dropped where blocks change places. */
#ifndef TIDE_RUNNING_H
#define TIDE_RUNNING_H

#include "feature/entity.h"

struct tide_carried_sum { __int128 sum, squares; };
struct tide_running {
  uint64_t known;          /* edges whose window it holds: a bit each */
  struct tide_span_at { struct tide_at from, to; } *window; /* by edge, [from, to); the log's end is the end of its last block */
  int64_t *count;          /* by kind->carry_bit */
  struct tide_carried_sum sum[]; /* by kind->carry_pair */
};

/* Of a big log, made when first asked for; owned by it. */
struct tide_running *tide_running_of(const struct tide_kind *kind, struct tide_big *big);
/* Moves the window of an edge to the events with time in (left_ms, right_ms]; its places as tide_view_after has them. */
void tide_running_move(const struct tide_view *view, struct tide_running *running, unsigned edge, int64_t left_ms, int64_t right_ms,
                     struct tide_at *ret_from, struct tide_at *ret_to);

/* An event is about to change its conditions or numbers, and has done so. */
void tide_running_leave(const struct tide_kind *kind, struct tide_big *big, struct tide_at at);
void tide_running_enter(const struct tide_kind *kind, struct tide_big *big, struct tide_at at);
/* An event was put at this place. */
void tide_running_inserted(const struct tide_kind *kind, struct tide_big *big, struct tide_at at);
/* Blocks change places or lose columns: nothing is known any more. */
static inline void tide_running_drop(struct tide_big *big) {
  if (big->running) big->running->known = 0;
}
uint64_t tide_running_bytes(const struct tide_kind *kind);

#endif
