/* The merge: messages of many partitions in one order, and what is known of each partition (sans I/O).
 *
 * Order is (event time, source, partition, offset); within a partition messages keep their own order, so the merge compares the partitions' first messages only.
 * A message is given when every partition that gates has a later one, or is drained (nothing was in its log when the log's end was asked, after the
 * message had come), or is stopped, or when the message has waited `merge_wait_ms`; while a partition is catching up (its log's end, asked at the beginning of the claim or
 * later, lies far ahead) it is waited for without limit. So two runs over the same logs give the same order whenever the logs were filled in causal order, however late.
 *
 * It also keeps the facts that the journal carries per partition (contract 6): `seen`, `drained`, `delay`. Time comes in as arguments. The items belong to the
 * merge from put to take; it never looks into `ctx`. One thread. */
#ifndef TIDE_MERGE_H
#define TIDE_MERGE_H

#include "base/clock.h"
#include "base/err.h"
#include "core/batch.h"
#include "port/source.h"

struct tide_merge_options {
  int64_t merge_wait_ms;   /* 500 */
  bool by_arrival;         /* order: arrival: give everything as it comes */
  int64_t facts_every_ms;  /* facts without a message are given at most so often per partition; 200 */
};

/* One message, or (ctx NULL) only a move of the cursor. */
struct tide_merge_item {
  uint16_t source, partition;
  uint64_t offset, from, next; /* from: set by the merge, the cursor before it */
  int64_t time_ms;             /* event time; INT64_MIN: it has none (rejected): goes with its predecessor */
  int64_t append_ms;           /* INT64_MIN: unknown */
  uint64_t checksum;           /* of the message's bytes */
  uint64_t hold;               /* not 0: may not be given before tide_merge_free_hold of this number (its dead letter is under way) */
  void *ctx;
};

struct tide_merge;
struct tide_merge *tide_merge_new(const struct tide_merge_options *options);
/* `drop` gets the ctx of every item still inside. */
void tide_merge_free(struct tide_merge *merge, void (*drop)(void *ctx));
/* Forgets everything and begins at these cursors. gates[i]: partition i holds others back. */
void tide_merge_begin(struct tide_merge *merge, const struct tide_place *place, const bool *gates, size_t count, struct tide_mono now,
                      void (*drop)(void *ctx));
/* A partition that appeared later. */
void tide_merge_add(struct tide_merge *merge, struct tide_place place, bool gates, struct tide_mono now);
/* A message of a partition begun, behind all earlier ones of it. `from` is not read. */
void tide_merge_put(struct tide_merge *merge, const struct tide_merge_item *item, struct tide_mono now);
void tide_merge_free_hold(struct tide_merge *merge, uint64_t hold);
/* TIDE_MESSAGE_END: nothing stands between the last item of the partition and `next`. */
void tide_merge_at_end(struct tide_merge *merge, uint16_t source, uint16_t partition, uint64_t next, struct tide_mono now);
/* The ends of the logs, asked after asked_wall / asked_mono. */
void tide_merge_ends(struct tide_merge *merge, struct tide_wall asked_wall, struct tide_mono asked_mono, const struct tide_place *end, size_t count);
/* A stopped partition holds nobody back (what depends on it grows stale) until it is begun again by tide_merge_resume at its cursor. */
void tide_merge_stop(struct tide_merge *merge, uint16_t source, uint16_t partition);
void tide_merge_resume(struct tide_merge *merge, uint16_t source, uint16_t partition);

/* The next item in order, if one may be given now. *ret_part: its cursor part: source, partition, from, next, checksum and the facts as of this item. Also
 * gives parts without a message (item.ctx NULL, from == next or a move over markers) when the facts moved. False: nothing now. */
bool tide_merge_take(struct tide_merge *merge, struct tide_wall wall, struct tide_mono now, struct tide_merge_item *ret, struct tide_cursor_part *ret_part);
/* An answer to "where do the logs end" asked from now on would let something go: ask. */
bool tide_merge_wants_ends(const struct tide_merge *merge);
/* When take may succeed without a further event; INT64_MAX: never. */
struct tide_mono tide_merge_due(const struct tide_merge *merge);
/* Items inside, all and of one partition: what bounds memory, with the caller's limits. */
size_t tide_merge_held(const struct tide_merge *merge);
size_t tide_merge_held_of(const struct tide_merge *merge, uint16_t source, uint16_t partition);
/* For metrics and /readyz: each partition's state. */
struct tide_merge_view { uint16_t source, partition; uint64_t cursor, end; bool gates, stopped, drained; int64_t seen_ms, drained_ms, delay_ms; size_t held; };
size_t tide_merge_look(const struct tide_merge *merge, struct tide_merge_view *ret, size_t cap);

#endif
