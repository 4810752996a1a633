/* Admission: which requests are worked on, which wait, and which are too late to begin with. A pure policy: it is told the time, starts nothing and locks
 * nothing; server.c keeps one per listener under a mutex, tests/unit/81_admit.c runs it against simulated clients.
 *
 * A request that has come in enters with a ticket. It is worked on (decoded, offered, answered) while fewer than `limit` are; otherwise it waits, undecoded.
 *
 *   limit    follows the queueing delay of those that are worked on, as TCP's window does (additive increase while somebody waits, multiplicative decrease):
 *            above `target` it shrinks. What counts is delay that more work in hand only lengthens: the wait for the commit before and the commit itself are
 *            left out, or a slow disk would shrink the batches that make up for it. (The idea of a target for the standing queue: Nichols and Jacobson, CoDel, 2012.)
 *   order    first come first served while the line can be worked off in time; beyond that the newest first, because the oldest will be late whatever is done
 *            and would make everyone behind them late too (adaptive LIFO: Maurer, "Fail at Scale", 2015). High priority always before low.
 *   hopeless what could not be answered before its deadline any more is not begun: it gets the fallback, while that is still in time.
 *   credit   a refusal costs about half of what an answer does, and brings the next request of the same connection. While answers are given, refusals are
 *            at most one for every two of them; the rest wait, and their connections with them: the pace of clients that do not wait is set here. Nobody
 *            waits longer than TIDE_ADMIT_HOLD_NS beyond the deadline. Where nothing is answered there is nothing to protect, and no limit.
 *
 * So an answer to a refused request may come after its deadline, where more comes in than even refusals could keep up with. Times are monotonic nanoseconds. */
#ifndef TIDE_ADMIT_H
#define TIDE_ADMIT_H

#include <stdbool.h>
#include <stdint.h>

#include "core/offer.h"

#define TIDE_ADMIT_HOLD_NS INT64_C(400000000) /* longer holds more connections of clients that are gone, shorter brings them back sooner */

enum tide_admit_state {
  TIDE_ADMIT_OUT,     /* not entered, left, or to be refused */
  TIDE_ADMIT_WORKING, /* to be answered; tide_admit_leave is due */
  TIDE_ADMIT_WAITING
};
/* A request's place. The owner's memory; untouched by the owner while it waits. */
struct tide_ticket {
  void *owner;      /* the owner's */
  uint8_t state;    /* enum tide_admit_state */
  uint8_t priority; /* enum tide_priority; the owner's */
  bool crowded_out; /* to be refused because the line was full */
  int64_t deadline_ns; /* the owner's */
  int64_t begun_ns; /* when work began */
  struct tide_ticket *older, *newer;
};

struct tide_ticket_list {
  struct tide_ticket *oldest, *newest;
  uint32_t count;
};

struct tide_admit {
  int64_t target_ns;     /* of the queueing delay */
  uint32_t limit_max;    /* of `limit`, and of those that wait */
  uint32_t limit, working;
  bool open;             /* everything is let in: the listener is stopping */
  struct tide_ticket_list line[TIDE_PRIORITY_COUNT], hopeless;
  int64_t service_ns;    /* mean time from the beginning of work to the answer, of late */
  /* this interval: limit and service_ns change at its end */
  int64_t since_ns, delay_sum_ns, service_sum_ns;
  uint32_t finished;
  int64_t best;          /* answers in target_ns, when that was best of late */
  bool pressed;          /* somebody had to wait */
  /* refusals */
  int64_t answered_ns;   /* the last answer */
  uint32_t credit;       /* in halves of a refusal */
};

/* target_ns of queueing delay: a third of the default deadline leaves one for the line and one for the way out. queue_max: how many may be worked on, and how many
 * may wait with hope; the hopeless are bounded by the number of connections. */
struct tide_admit tide_admit_new(int64_t target_ns, uint32_t queue_max, int64_t now_ns);
/* A request has come in. State afterwards: WORKING or WAITING. Where too many wait, the oldest of the least priority is crowded out and will be refused. */
enum tide_admit_state tide_admit_enter(struct tide_admit *admit, struct tide_ticket *ticket, int64_t now_ns);
/* A working one is answered. delay_ns: the part of its time that was queueing; negative counts as 0. */
void tide_admit_leave(struct tide_admit *admit, struct tide_ticket *ticket, int64_t delay_ns, int64_t now_ns);
/* The next to work on, WORKING now, or NULL. To be called until NULL after each leave and each refusal. */
struct tide_ticket *tide_admit_next(struct tide_admit *admit, int64_t now_ns);
/* The next to refuse, OUT now, or NULL. To be called until NULL every few milliseconds while anything waits. */
struct tide_ticket *tide_admit_refuse(struct tide_admit *admit, int64_t now_ns);
/* Takes one of `hopeless` out, whose client is gone: that costs next to nothing and needs no credit. */
void tide_admit_drop(struct tide_admit *admit, struct tide_ticket *ticket);
/* Looks for hopeless ones among those that wait; before a round of tide_admit_refuse. */
void tide_admit_sift(struct tide_admit *admit, int64_t now_ns);
uint32_t tide_admit_waiting(const struct tide_admit *admit);

#endif
