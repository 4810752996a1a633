/* Who waits for whom in the merge, and for how long (merge.h has the rules and why they end).
 *
 * A partition that has nothing to give stands in one of four heaps. Those without a head are ordered by `clear`, the number of arrivals
 * up to which they are drained: if the least of them is clear of x, all are. Those held are ordered by the time of the head behind the
 * held item: if the least of them comes behind x, all do. So whether x may go is read off four roots. A partition that is given up moves
 * from OWING to LIVE (HELD to PASSED) and comes back when it gives again: once for each time it gives, hence O(log P) a message in all.
 * The heads that may go stand in two more heaps: by event time, whose root is x, and by arrival, whose root is the one that waits
 * longest. */
#include "core/merge_state.h"

enum { NS_PER_MS = 1000000 };
static const uint32_t NOBODY = UINT32_MAX;

int64_t tide_merge_attended(const struct tide_merge *merge, struct tide_mono now) {
  int64_t pause_ns = now.ns - merge->taken_ns;
  if (pause_ns < 0) pause_ns = 0;
  return merge->attended_ns + (pause_ns < merge->pause_ns ? pause_ns : merge->pause_ns);
}

void tide_merge_ends_reached(struct tide_merge_partition *p) {
  while (p->put_ends < p->pending_count && p->pending[p->put_ends].end <= p->reached) {
    p->clear = p->pending[p->put_ends++].arrivals;
  }
  if (!tide_merge_owes(p)) p->caught = true;
  unsigned given = 0;
  while (given < p->put_ends && p->pending[given].end <= p->given) {
    p->clear_given = p->pending[given].arrivals;
    if (p->drained_ms < p->pending[given].wall_ms) p->drained_ms = p->pending[given].wall_ms;
    given++;
  }
  if (given == 0) return;
  for (unsigned i = given; i < p->pending_count; i++) p->pending[i - given] = p->pending[i];
  p->pending_count -= given;
  p->put_ends -= given;
}

/* ---- standing ---- */

static enum tide_merge_standing standing_of(const struct tide_merge *merge, const struct tide_merge_partition *p) {
  bool held = p->head < p->tail && tide_merge_holds(merge, tide_merge_at(p, p->head)->item.hold);
  bool waited_for = p->gates && !p->stopped && !merge->options.by_arrival;
  if (p->timed < p->tail && !held) return TIDE_STAND_HEAD;
  if (!waited_for) return TIDE_STAND_NOWHERE;
  if (p->timed < p->tail) return p->lost ? TIDE_STAND_PASSED : TIDE_STAND_HELD;
  return tide_merge_owes(p) && !p->lost ? TIDE_STAND_OWING : TIDE_STAND_LIVE;
}

static void leave(struct tide_merge *merge, uint32_t index, enum tide_merge_standing standing) {
  switch (standing) {
    case TIDE_STAND_NOWHERE: break;
    case TIDE_STAND_HEAD:
      tide_heap_remove(&merge->heap[TIDE_HEAP_HEAD], index);
      tide_heap_remove(&merge->heap[TIDE_HEAP_OLDEST], index);
      break;
    case TIDE_STAND_LIVE: tide_heap_remove(&merge->heap[TIDE_HEAP_LIVE], index); break;
    case TIDE_STAND_OWING: tide_heap_remove(&merge->heap[TIDE_HEAP_OWING], index); break;
    case TIDE_STAND_HELD: tide_heap_remove(&merge->heap[TIDE_HEAP_HELD], index); break;
    case TIDE_STAND_PASSED: tide_heap_remove(&merge->heap[TIDE_HEAP_PASSED], index); break;
  }
}

static void enter(struct tide_merge *merge, uint32_t index, const struct tide_merge_partition *p) {
  uint32_t tie = tide_merge_tie(p);
  const struct tide_merge_queued *head = p->timed < p->tail ? tide_merge_at(p, p->timed) : NULL;
  switch ((enum tide_merge_standing)p->standing) {
    case TIDE_STAND_NOWHERE: break;
    case TIDE_STAND_HEAD:
      tide_heap_put(&merge->heap[TIDE_HEAP_HEAD], index, merge->options.by_arrival ? (int64_t)head->arrival : head->item.time_ms, tie);
      tide_heap_put(&merge->heap[TIDE_HEAP_OLDEST], index, (int64_t)head->arrival, tie);
      break;
    case TIDE_STAND_LIVE: tide_heap_put(&merge->heap[TIDE_HEAP_LIVE], index, (int64_t)p->clear, tie); break;
    case TIDE_STAND_OWING: tide_heap_put(&merge->heap[TIDE_HEAP_OWING], index, (int64_t)p->clear, tie); break;
    case TIDE_STAND_HELD: tide_heap_put(&merge->heap[TIDE_HEAP_HELD], index, head->item.time_ms, tie); break;
    case TIDE_STAND_PASSED: tide_heap_put(&merge->heap[TIDE_HEAP_PASSED], index, head->item.time_ms, tie); break;
  }
}

void tide_merge_settle(struct tide_merge *merge, uint32_t index) {
  struct tide_merge_partition *p = &merge->partition[index];
  enum tide_merge_standing standing = standing_of(merge, p);
  if (standing != p->standing) leave(merge, index, p->standing);
  p->standing = (uint8_t)standing;
  enter(merge, index, p);
  if (p->head < p->timed && !tide_merge_holds(merge, tide_merge_at(p, p->head)->item.hold))
    tide_merge_line_up(merge, &merge->ready, index, &p->in_ready);
}

void tide_merge_progress(struct tide_merge *merge, uint32_t index, struct tide_mono now) {
  struct tide_merge_partition *p = &merge->partition[index];
  p->progress_ns = tide_merge_attended(merge, now);
  if (!tide_merge_owes(p)) {
    p->slow = false;
    p->waited_ns = 0;
    p->paid_ms = p->append_ms;
  }
  bool unknown =
      !p->observed && p->progress_ns >= p->begun_ns + merge->options.catch_wait_ms * NS_PER_MS; /* nobody can say that it catches up */
  p->lost = p->slow || (p->lost && unknown);
}

/* ---- may x go? ---- */

struct look {
  struct tide_merge *merge;
  const struct tide_merge_queued *x, *oldest; /* the least head, and the one that waits longest */
  struct tide_heap_entry least;               /* of x */
  int64_t now_ns, wait_ns, catch_ns;          /* now: attended */
  int64_t age_ms;                             /* how old the oldest was, by its log, when it came */
};

static bool waits(struct look *look, uint32_t index, int64_t until_ns) {
  look->merge->waits_for = index;
  look->merge->wait_until_ns = until_ns;
  return true;
}

/* How long the head that waits longest waits for a partition that owes. */
static int64_t patience_ns(const struct look *look, const struct tide_merge_partition *p) {
  bool begins = p->observed ? !p->caught : look->now_ns < p->begun_ns + look->catch_ns;
  if (begins || look->age_ms >= look->catch_ns / NS_PER_MS) return look->catch_ns;
  return look->age_ms * NS_PER_MS > look->wait_ns ? look->age_ms * NS_PER_MS : look->wait_ns;
}

static int64_t owed_until_ns(const struct look *look, const struct tide_merge_partition *p) {
  int64_t since_ns = p->progress_ns > look->oldest->from_ns ? p->progress_ns : look->oldest->from_ns;
  return since_ns + patience_ns(look, p);
}

static void give_up(struct look *look, uint32_t index) {
  look->merge->partition[index].lost = true;
  tide_merge_settle(look->merge, index);
}

/* Waiting for p goes on since the last take. Does it pay: has its log moved on by more than we waited? By twice as much, if it is not
 * even known to have anything: one that is idle and whose end nobody tells moves on as fast as we wait. */
static bool pays(struct look *look, uint32_t index) {
  struct tide_merge_partition *p = &look->merge->partition[index];
  if (look->merge->waits_for == index) p->waited_ns += look->now_ns - look->merge->attended_ns;
  if (p->waited_ns <= look->catch_ns || p->paid_ms == TIDE_UNKNOWN_MS) return true;
  p->slow = p->append_ms - p->paid_ms < p->waited_ns / NS_PER_MS * (p->observed ? 1 : 2);
  p->waited_ns = 0;
  p->paid_ms = p->append_ms;
  return !p->slow;
}

static bool owing_blocks(struct look *look) {
  struct tide_heap *owing = &look->merge->heap[TIDE_HEAP_OWING];
  while (owing->count > 0 && owing->at[0].key < (int64_t)look->x->arrival) {
    uint32_t index = owing->at[0].index;
    int64_t until_ns = owed_until_ns(look, &look->merge->partition[index]);
    if (pays(look, index) && until_ns > look->now_ns) return waits(look, index, until_ns);
    give_up(look, index);
  }
  return false;
}

static bool comes_first(struct tide_heap_entry a, struct tide_heap_entry b) { return a.key != b.key ? a.key < b.key : a.tie < b.tie; }

/* Whether a held message before `own` is still waited for. */
static bool held_blocks(struct look *look, struct tide_heap_entry own) {
  struct tide_heap *held = &look->merge->heap[TIDE_HEAP_HELD];
  const struct tide_heap *passed = &look->merge->heap[TIDE_HEAP_PASSED];
  while (held->count > 0 && comes_first(held->at[0], own)) {
    uint32_t index = held->at[0].index;
    int64_t until_ns = owed_until_ns(look, &look->merge->partition[index]);
    if (pays(look, index) && until_ns > look->now_ns) return waits(look, index, until_ns);
    give_up(look, index);
  }
  int64_t until_ns = look->oldest->from_ns + look->wait_ns;
  return passed->count > 0 && comes_first(passed->at[0], own) && until_ns > look->now_ns && waits(look, passed->at[0].index, until_ns);
}

static bool live_blocks(struct look *look) {
  const struct tide_heap *live = &look->merge->heap[TIDE_HEAP_LIVE];
  if (live->count == 0 || live->at[0].key >= (int64_t)look->x->arrival) return false;
  int64_t oldest_ns = look->oldest->from_ns + look->wait_ns,
          until_ns = oldest_ns;                            /* what is before the oldest waits no longer than it for the same partition */
  if (live->at[0].key >= (int64_t)look->oldest->arrival) { /* which does not wait for this one: x does, but does not keep it for ever */
    until_ns = look->x->from_ns + look->wait_ns;
    if (until_ns > oldest_ns + look->wait_ns) until_ns = oldest_ns + look->wait_ns;
  }
  if (until_ns <= look->now_ns) return false;
  look->merge->wants_end = !look->merge->partition[live->at[0].index].lost && look->merge->asked_arrivals < look->x->arrival;
  return waits(look, live->at[0].index, until_ns);
}

/* x waits for a live partition that the oldest head need not wait for, and the oldest is up: it goes ahead of x, and of all heads before
 * it, if each of those was put after its partition had been read, and given, beyond what stood in its log when the oldest came. Else a
 * partition whose messages come late without end (their clock is behind, or a queue before the log) would let a message wait for as long
 * as each of them has to be certified. O(P), when something waited merge_wait only. */
static uint32_t oldest_ahead(struct look *look) {
  const struct tide_merge *merge = look->merge;
  const struct tide_heap *heads = &merge->heap[TIDE_HEAP_HEAD];
  uint32_t index = merge->heap[TIDE_HEAP_OLDEST].at[0].index;
  if (look->oldest->from_ns + look->wait_ns > look->now_ns || look->age_ms >= look->catch_ns / NS_PER_MS) return NOBODY;
  struct tide_heap_entry own = heads->at[heads->slot[index]];
  for (uint32_t i = 0; i < heads->count; i++)
    if (comes_first(heads->at[i], own) && merge->partition[heads->at[i].index].clear_given < look->oldest->arrival) return NOBODY;
  uint32_t waits_for = merge->waits_for;
  int64_t until_ns = merge->wait_until_ns;
  if (!held_blocks(look, own)) return index;
  if (merge->wait_until_ns > until_ns) waits(look, waits_for, until_ns); /* whichever is up first */
  return NOBODY;
}

uint32_t tide_merge_choose(struct tide_merge *merge, struct tide_wall wall, struct tide_mono now) {
  const struct tide_heap *heads = &merge->heap[TIDE_HEAP_HEAD];
  uint32_t waited_for = merge->waits_for;
  merge->waits_for = NOBODY;
  merge->wait_until_ns = INT64_MAX;
  merge->wants_end = false;
  if (heads->count == 0) return NOBODY;
  if (merge->options.by_arrival) return heads->at[0].index;
  const struct tide_merge_partition *first = &merge->partition[heads->at[0].index];
  const struct tide_merge_partition *longest = &merge->partition[merge->heap[TIDE_HEAP_OLDEST].at[0].index];
  struct look look = {.merge = merge, .x = tide_merge_at(first, first->timed), .oldest = tide_merge_at(longest, longest->timed)};
  look.least = heads->at[0];
  look.now_ns = tide_merge_attended(merge, now);
  look.wait_ns = merge->options.merge_wait_ms * NS_PER_MS;
  look.catch_ns = merge->options.catch_wait_ms * NS_PER_MS;
  const struct tide_merge_item *item = &look.oldest->item;
  look.age_ms =
      wall.ms - (item->append_ms != TIDE_UNKNOWN_MS ? item->append_ms : item->time_ms) - (now.ns - look.oldest->put_ns) / NS_PER_MS;
  merge->waits_for = waited_for; /* for `pays` */
  if (owing_blocks(&look) || held_blocks(&look, look.least)) return NOBODY;
  merge->waits_for = NOBODY;
  uint32_t chosen = live_blocks(&look) ? oldest_ahead(&look) : look.least.index;
  if (chosen != NOBODY) merge->waits_for = NOBODY;
  return chosen;
}
