/* What the windows of a big log hold, carried from one event to the next.
 *
 *   struct tide_running {known} | a place per post | counts | sums; which belong to which post says the plan (kind->post)
 *
 * A post is a place in the log and what stands before it, from some place on that is the same for all posts: how many events with this bit, which sum. There is one
 * for the left edge of each window, and one for the right edge of each delay, so a window holds the difference of two. Between two events of a busy shop a post
 * passes an event or two, and nothing else is looked at. Posts can go either way, and a change of an event that stands before a post takes it out
 * and puts it in again. Integers all of them, so differences are what a recount gives. It is a cache of the blocks like their sums: not saved,
 * and dropped where blocks change places. */
#ifndef TIDE_RUNNING_H
#define TIDE_RUNNING_H

#include "feature/entity.h"

struct tide_running_sum { __int128 sum, squares; };
struct tide_running {
  bool known;
  struct tide_at *place;         /* by post; the log's end is the end of its last block */
  int64_t *count;                /* by kind->post_bit */
  struct tide_running_sum sum[]; /* by kind->post_pair */
};

/* Of a big log, made when first asked for; owned by it. All its posts stand somewhere, near oldest_ms where they were not known. */
struct tide_running *tide_running_of(const struct tide_view *view, int64_t oldest_ms);
/* Moves a post before the first event with time > ms; that place as tide_view_after has it. */
struct tide_at tide_running_move(const struct tide_view *view, struct tide_running *running, unsigned post, int64_t ms);

/* An event is about to change its conditions or numbers, and has done so. */
void tide_running_leave(const struct tide_kind *kind, struct tide_big *big, struct tide_at at);
void tide_running_enter(const struct tide_kind *kind, struct tide_big *big, struct tide_at at);
/* An event was put at this place. */
void tide_running_inserted(const struct tide_kind *kind, struct tide_big *big, struct tide_at at);
/* Blocks change places or lose columns: nothing is known any more. */
static inline void tide_running_drop(struct tide_big *big) {
  if (big->running) big->running->known = false;
}
uint64_t tide_running_bytes(const struct tide_kind *kind);

#endif
