/* The merge: messages of many partitions in one order, and what is known of each partition (sans I/O).
 *
 * Order is (event time, source, partition), and within a partition that of its log; so the merge compares the partitions' first timed
 * messages only, their heads. A message without a time (rejected) goes directly behind its predecessor. The least head x is given when
 * no partition that gates and runs can still bring an earlier one, or the time for that is up. A partition B without a head of its own
 *   - is *drained* for x when an end of its log, asked for after x had come, turned out to be put already: what it brings later was
 *     appended later than x;
 *   - *owes* when the last end that was told lies beyond what was put of it, or none was told yet. Its next message exists and may be
 *     earlier than x: it is waited for without limit while it gives something, which is what catching up is. It is given up (`lost`)
 *     when it gave nothing for a time after x came: for catch_wait_ms until it has once been read to the end last told since it was begun
 *     (if none is told, in the first catch_wait_ms); later for as long as the head waiting was old when it came, at least merge_wait_ms and
 *     at most catch_wait_ms (a message that is an hour late may well wait some seconds for order, a fresh one may not). It is also given
 *     up when waiting for it does not pay: when the order has waited catch_wait_ms for it in all and its log moved on by less than that:
 *     it is falling behind, not catching up;
 *   - else, and when it was given up, x waits for it merge_wait_ms from when x came, and so does everything before x.
 * A head behind a held message (its dead letter is under way) may not be passed by later ones of its partition. Others that come behind
 * it in the order wait for it as for one that owes. A held message without a time holds back nothing but what stands behind it.
 *
 * Why one order: let logs be filled in causal order (a message is appended after every message that precedes it in the order). Whatever
 * a drained partition brings later then comes later in the order, so x was least of all that were left, in every run, however late it
 * was read. Two things end that: a message whose place in the order is before one that was in another log before it (events of two
 * partitions within milliseconds, read live), and a wait that was up.
 * Why nobody is blocked for ever: every wait above ends by itself. A silent network tells no ends, so each message waits merge_wait_ms; a
 * partition that is stuck with messages in its log delays the others once (catch_wait_ms at most), then merge_wait_ms each, until it
 * gives again; one that gives a little now and then does so until its waits have been found not to pay. Its facts stand still meanwhile,
 * and that is what the gate sees. Live, a message waits merge_wait_ms for its own sake and at most as long again for the sake of those
 * before it.
 *
 * Waiting is measured while the caller attends: a pause between two calls of tide_merge_take (the journal was slow, the process had no
 * processor) counts as at most a quarter of merge_wait_ms (25..250 ms). Else everything waiting would be up when the pause ends, though
 * the others' messages lie ready to be read. So: poll the source, put, take until there is nothing, ask, sleep no longer than
 * tide_merge_due. Limits on memory must stop reading *one* partition (tide_merge_held_of), never all: the one waited for may be among
 * them.
 *
 * The facts that the journal carries per partition (contract 6), in each part:
 *   seen     the latest min(event time, append time) of messages given; where the log does not tell an append time the wall clock is
 *            taken for it.
 *   drained  the last moment up to which the log is known to be given whole: when an end was asked for that is given by now, or just
 *            before the append time of the first message that is not given (the wall clock at most). The second makes a partition that
 *            was idle in the middle of a backlog as fresh there as it was when it was idle.
 *   delay    merge_delay.h.
 * `complete` is the greater of what `seen` and `drained` say. INT64_MIN: nothing known in this claim (the fold keeps what it had;
 * tide_merge_recall goes on from it). A part without a message tells that `drained` moved by facts_every_ms or more and no message of
 * the partition was there to tell it; it comes before any message that is given after that was known.
 *
 * Time comes in as arguments. The items belong to the merge from put to take; it never looks into `ctx`. One thread. O(log P) per
 * message, memory for what is inside. */
#ifndef TIDE_MERGE_H
#define TIDE_MERGE_H

#include "base/clock.h"
#include "core/batch.h"
#include "port/source.h"

struct tide_merge_options {
  int64_t merge_wait_ms;  /* 500; 0..60,000 */
  int64_t catch_wait_ms;  /* 10,000; at least merge_wait_ms (less counts as that) */
  bool by_arrival;        /* order: arrival: give everything as it comes */
  int64_t facts_every_ms; /* 200; from 1 on: parts without a message at most so often per partition, ends asked for at least so often */
};

/* One message, or (ctx NULL) only a move of the cursor. */
struct tide_merge_item {
  uint16_t source, partition;
  uint64_t offset, from, next; /* from: set by the merge, the cursor before it. next: beyond that of the message before */
  int64_t time_ms;             /* event time; INT64_MIN: it has none (rejected): goes with its predecessor */
  int64_t append_ms;           /* INT64_MIN: unknown */
  uint64_t checksum;           /* of the message's bytes; 0: none */
  uint64_t hold;               /* not 0: not given before tide_merge_free_hold of it (its dead letter is under way). A number is used once */
  void *ctx;
};

struct tide_merge;
struct tide_merge *tide_merge_new(const struct tide_merge_options *options);
/* `drop`, here and below, gets the ctx of every item that is inside and will not be given (not NULL ones). */
void tide_merge_free(struct tide_merge *merge, void (*drop)(void *ctx));
/* Forgets everything and begins at these cursors. gates[i]: partition i holds others back. No place may stand there twice. */
void tide_merge_begin(struct tide_merge *merge, const struct tide_place *place, const bool *gates, size_t count, struct tide_mono now,
                      void (*drop)(void *ctx));
/* A partition that appeared later. */
void tide_merge_add(struct tide_merge *merge, struct tide_place place, bool gates, struct tide_mono now);
/* What the journal last said of a partition, after it was begun, added or resumed elsewhere: seen and drained go on from there, and for 60 s of
 * the log's time delay is at least what it was, because the messages that showed it were given by somebody else. from and next are not
 * read. */
void tide_merge_recall(struct tide_merge *merge, const struct tide_cursor_part *last);
/* A message of a partition begun, behind all earlier ones of it. `from` is not read. */
void tide_merge_put(struct tide_merge *merge, const struct tide_merge_item *item, struct tide_mono now);
/* A number that is not inside (any more) is passed over: its item was dropped before the report came. */
void tide_merge_free_hold(struct tide_merge *merge, uint64_t hold, struct tide_mono now);
/* TIDE_MESSAGE_END: nothing stands between the last item of the partition and `next`. */
void tide_merge_at_end(struct tide_merge *merge, uint16_t source, uint16_t partition, uint64_t next, struct tide_mono now);
/* A stopped partition holds nobody back and its facts stand still (what depends on it grows stale). What is inside is still given. */
void tide_merge_stop(struct tide_merge *merge, uint16_t source, uint16_t partition, struct tide_mono now);
/* The partition, stopped or not, goes on at place.cursor: directly if that is what it had been put to (the view's `reached`); else what is
 * inside of it is dropped, the next part begins there, and seen and drained are unknown again (it was sought back because the
 * journal did not take a part, or an operator went on behind a gap; tide_merge_recall tells what the journal has). */
void tide_merge_resume(struct tide_merge *merge, struct tide_place place, struct tide_mono now, void (*drop)(void *ctx));

/* "Where do the logs end?": true when an answer to a question sent from now on would let something go, or when the last one is
 * facts_every_ms old. Then the question counts as being under way, and none is wanted until it is answered, however long that takes.
 * *ret is for the answer. */
struct tide_merge_ask { uint64_t claim, arrivals; int64_t wall_ms; };
bool tide_merge_ask(struct tide_merge *merge, struct tide_wall wall, struct tide_mono now, struct tide_merge_ask *ret);
/* The answer: ends of logs, of all partitions or some; the logs must have been asked after tide_merge_ask returned. count 0: it failed;
 * the next question is wanted facts_every_ms later. An answer to a question from before tide_merge_begin is passed over. An end before
 * what had been put when it was asked is not believed (view: shrunk). */
void tide_merge_ends(struct tide_merge *merge, const struct tide_merge_ask *ask, const struct tide_place *end, size_t count, struct tide_mono now);

/* The next item in order, if one may be given now. *ret_part: its cursor part: source, partition, from, next, checksum and the facts as
 * of this item. Also gives parts without a message: item.ctx NULL, checksum 0 (the ledger keeps that of the last message, and has not
 * heard of the source), and from == next (facts), or a move over markers. False: nothing now. */
bool tide_merge_take(struct tide_merge *merge, struct tide_wall wall, struct tide_mono now, struct tide_merge_item *ret, struct tide_cursor_part *ret_part);
/* When to come again if nothing else happens before: to take (after one that gave nothing) or to ask. INT64_MAX: never. */
struct tide_mono tide_merge_due(const struct tide_merge *merge, struct tide_mono now);
/* Items inside, all and of one partition: what bounds memory, with the caller's limits. */
size_t tide_merge_held(const struct tide_merge *merge);
size_t tide_merge_held_of(const struct tide_merge *merge, uint16_t source, uint16_t partition);

/* For metrics and /readyz: each partition's state. Times INT64_MIN: not known. */
struct tide_merge_view {
  uint16_t source, partition;
  uint64_t cursor;  /* given */
  uint64_t reached; /* put */
  uint64_t end;     /* as last told; 0: never */
  bool gates, stopped;
  bool drained;     /* everything up to the end last told is given */
  bool caught;      /* since it was begun it was read to the end last told */
  bool lost;        /* it owes and gave nothing for so long that nobody waits for it as for one that catches up */
  bool slow;        /* lost because it falls behind; until it has caught up */
  bool shrunk;      /* the end last told lies before what had been put */
  bool holds;       /* the last take gave nothing because of it */
  int64_t seen_ms, drained_ms, delay_ms;
  size_t held;
};
/* The first `cap` partitions in the order they were begun; returns how many there are. */
size_t tide_merge_look(const struct tide_merge *merge, struct tide_merge_view *ret, size_t cap);

#endif
