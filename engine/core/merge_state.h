/* Inside of the merge (merge.h), shared by its files: merge.c (calls and queues), merge_wait.c (who waits for whom), merge_facts.c (what
 * is told of a partition).
 *
 * Invariant after each call: `standing` of each partition and its places in the heaps follow from its queue, its flags and its
 * observations (tide_merge_settle); reached >= given, and the queue's items lead from the one to the other without a hole. */
#ifndef TIDE_MERGE_STATE_H
#define TIDE_MERGE_STATE_H

#include "core/merge.h"
#include "core/merge_delay.h"
#include "core/merge_heap.h"

#define TIDE_UNKNOWN_MS INT64_MIN
enum { TIDE_MERGE_ENDS_KEPT = 4 };

struct tide_merge_queued {
  struct tide_merge_item item;
  uint64_t arrival; /* numbers all puts, from 1 */
  int64_t put_ns;   /* by the clock */
  int64_t from_ns;  /* by the time attended: waiting counts from here */
};

/* An end that was told and is not given yet. */
struct tide_merge_end { uint64_t arrivals, end; int64_t wall_ms; };

enum tide_merge_standing {
  TIDE_STAND_NOWHERE, /* nobody waits for it and it has nothing to give */
  TIDE_STAND_HEAD,    /* its head may be given in its turn */
  TIDE_STAND_LIVE,    /* no head: drained or soon to be, or given up: waited for merge_wait */
  TIDE_STAND_OWING,   /* no head, but its log goes on */
  TIDE_STAND_HELD,    /* its head stands behind a held item */
  TIDE_STAND_PASSED   /* the same, and nobody waits for it any more as for one that owes */
};

enum tide_merge_heap {
  TIDE_HEAP_HEAD,    /* HEAD by event time (by_arrival: by arrival) */
  TIDE_HEAP_OLDEST,  /* HEAD by arrival of the head */
  TIDE_HEAP_LIVE,    /* LIVE by `clear` */
  TIDE_HEAP_OWING,   /* OWING by `clear` */
  TIDE_HEAP_HELD,    /* HELD by event time of the head */
  TIDE_HEAP_PASSED,  /* PASSED by event time of the head */
  TIDE_HEAP_COUNT
};

struct tide_merge_partition {
  uint16_t source, partition;
  bool gates, stopped;
  uint8_t standing;  /* enum tide_merge_standing */
  bool in_ready, in_facts; /* stands in that line */
  bool observed, caught, lost, slow, shrunk; /* observed: an end was told since it was begun; the others: struct tide_merge_view */

  /* the queue: items head..tail - 1, item i at ring[i % room] */
  struct tide_merge_queued *ring;
  size_t room;       /* a power of two, or 0 */
  uint64_t head, tail;
  uint64_t timed;    /* the first that has a time, the partition's head; tail: none */
  uint64_t reached, given;

  /* ends of its log */
  uint64_t end;      /* as last told */
  uint64_t asked_at; /* `reached` when the question under way was asked */
  uint64_t clear;    /* arrivals up to which it is drained by what was put: the latest question whose answer is put */
  uint64_t clear_given; /* the same by what was given */
  struct tide_merge_end pending[TIDE_MERGE_ENDS_KEPT]; /* told, not given; the first `put_ends` of them are put */
  unsigned pending_count, put_ends;

  /* catching up */
  int64_t begun_ns;    /* attended */
  int64_t progress_ns; /* attended: since when it owes the next message */
  int64_t waited_ns;   /* attended: how long the order has waited for it since `paid_ms` */
  int64_t append_ms, paid_ms; /* of the last message put; when waited_ns was 0. TIDE_UNKNOWN_MS */

  /* facts */
  int64_t seen_ms, drained_ms, told_ms; /* told: `drained` as last given with a part */
  int64_t log_ms;      /* how far its log's time has come */
  int64_t recalled_ms, recalled_until_ms; /* delay is at least the first while log_ms is before the second */
  struct tide_delay delay;
};

/* A line of partitions, each at most once. */
struct tide_merge_line { uint32_t *at; uint32_t first, count; };

struct tide_merge {
  struct tide_merge_options options;
  int64_t pause_ns; /* the longest pause that counts as waiting */
  struct tide_merge_partition *partition;
  uint32_t count, room;
  uint32_t *place;  /* open addressing by (source, partition): index + 1; 0: free */
  uint32_t place_mask;
  struct tide_heap heap[TIDE_HEAP_COUNT];
  struct tide_merge_line ready; /* partitions whose first item has no time and is not held */
  struct tide_merge_line facts; /* partitions that may have to tell something without a message */
  struct tide_merge_hold { uint64_t hold; uint32_t index; } *hold; /* open addressing; hold 0: free */
  size_t hold_count, hold_room;
  size_t held;      /* items inside */
  uint64_t claim, arrivals;

  int64_t attended_ns, taken_ns; /* time attended up to the last take, which was then by the clock */
  uint32_t waits_for;            /* the partition because of which the last take gave nothing, or UINT32_MAX */
  int64_t wait_until_ns;         /* attended: when that is up */
  bool wants_end;                /* and a newer end of logs would help */

  bool asking;      /* a question is under way */
  bool failed;      /* the last one was not answered */
  int64_t ask_ns;   /* by the clock: the last question; after a failure its answer */
  uint64_t asked_arrivals; /* of the last question */
  bool begun;       /* a partition was begun since the last question */
  uint32_t running; /* partitions that are not stopped */
};

static inline struct tide_merge_queued *tide_merge_at(const struct tide_merge_partition *p, uint64_t i) { return &p->ring[i & (p->room - 1)]; }
static inline uint32_t tide_merge_tie(const struct tide_merge_partition *p) { return (uint32_t)p->source << 16 | p->partition; }
static inline bool tide_merge_owes(const struct tide_merge_partition *p) { return !p->observed || p->end > p->reached; }

/* merge.c */
/* The number of a partition that was begun. */
uint32_t tide_merge_index(const struct tide_merge *merge, uint16_t source, uint16_t partition);
bool tide_merge_holds(const struct tide_merge *merge, uint64_t hold);
/* Appends a partition to a line unless it stands there. */
void tide_merge_line_up(const struct tide_merge *merge, struct tide_merge_line *line, uint32_t index, bool *stands);

/* merge_wait.c */
int64_t tide_merge_attended(const struct tide_merge *merge, struct tide_mono now);
/* Brings standing, heaps and the ready line in step with the partition. */
void tide_merge_settle(struct tide_merge *merge, uint32_t index);
/* The partition gave something, or began. */
void tide_merge_progress(struct tide_merge *merge, uint32_t index, struct tide_mono now);
/* Which partition's head may be given now; UINT32_MAX: none, and waits_for, wait_until_ns, wants_end tell why. */
uint32_t tide_merge_choose(struct tide_merge *merge, struct tide_wall wall, struct tide_mono now);
/* Moves the ends that were told on to what is put and given now. */
void tide_merge_ends_reached(struct tide_merge_partition *p);

/* merge_facts.c */
void tide_merge_facts_begin(struct tide_merge_partition *p);
/* What was given may not count: seen and drained are unknown again. The delay stays, its messages were in the log whoever gave them. */
void tide_merge_facts_forget(struct tide_merge_partition *p);
/* An item was given; `given` stands behind it already. */
void tide_merge_facts_item(struct tide_merge_partition *p, const struct tide_merge_item *item, struct tide_wall wall);
/* `drained` as known now. */
int64_t tide_merge_facts_drained(const struct tide_merge_partition *p, struct tide_wall wall);
/* Puts the partition into the line of those with something to tell, if it has. */
void tide_merge_facts_line(struct tide_merge *merge, uint32_t index);
/* Fills the facts of a part and notes them as told. */
void tide_merge_facts_tell(struct tide_merge_partition *p, struct tide_wall wall, struct tide_cursor_part *part);
int64_t tide_merge_facts_delay(const struct tide_merge_partition *p);

#endif
