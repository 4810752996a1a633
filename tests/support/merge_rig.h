/* A merge under a simulated clock, for its unit tests: put and take by partition number and offset, with the clock in milliseconds.
 *
 * Partition p of the tests is (source 1 + p / 4, partition p % 4), so that the order of numbers is the order of (source, partition).
 * Wall and monotonic clock go together; `now_ms` is both, beginning at RIG_BEGIN_MS. */
#ifndef TIDE_TESTS_MERGE_RIG_H
#define TIDE_TESTS_MERGE_RIG_H

#include "core/merge.h"

#define RIG_BEGIN_MS INT64_C(1000000000)
enum { RIG_PARTS = 16 };

struct rig {
  struct tide_merge *merge;
  int64_t now_ms;
  uint64_t next[RIG_PARTS]; /* offset of the next message put */
  struct tide_merge_item item; /* last taken */
  struct tide_cursor_part part;
  int dropped;
};

static struct rig *rig_dropping; /* drop gets no context of its own */
static inline void rig_drop(void *ctx) {
  (void)ctx;
  if (rig_dropping) rig_dropping->dropped++;
}

static inline struct tide_mono rig_mono(const struct rig *rig) { return (struct tide_mono){rig->now_ms * 1000000}; }
static inline struct tide_wall rig_wall(const struct rig *rig) { return (struct tide_wall){rig->now_ms}; }
static inline uint16_t rig_source(int p) { return (uint16_t)(1 + p / 4); }
static inline uint16_t rig_partition(int p) { return (uint16_t)(p % 4); }
static inline struct tide_place rig_place(int p, uint64_t cursor) { return (struct tide_place){rig_source(p), rig_partition(p), cursor}; }
static inline int rig_number(uint16_t source, uint16_t partition) { return (source - 1) * 4 + partition; }

static inline void rig_open(struct rig *rig, struct tide_merge_options options, int parts) {
  *rig = (struct rig){.merge = tide_merge_new(&options), .now_ms = RIG_BEGIN_MS};
  struct tide_place place[RIG_PARTS];
  bool gates[RIG_PARTS];
  for (int p = 0; p < parts; p++) {
    place[p] = rig_place(p, 0);
    gates[p] = true;
  }
  rig_dropping = rig;
  tide_merge_begin(rig->merge, place, gates, (size_t)parts, rig_mono(rig), rig_drop);
}

static inline void rig_close(struct rig *rig) {
  rig_dropping = rig;
  tide_merge_free(rig->merge, rig_drop);
}

static inline void rig_put_full(struct rig *rig, int p, int64_t time_ms, int64_t append_ms, uint64_t hold) {
  static int ctx;
  struct tide_merge_item item = {.source = rig_source(p), .partition = rig_partition(p), .offset = rig->next[p], .next = rig->next[p] + 1};
  item.time_ms = time_ms;
  item.append_ms = append_ms;
  item.checksum = item.next * 1000 + (uint64_t)p;
  item.hold = hold;
  item.ctx = &ctx;
  rig->next[p]++;
  tide_merge_put(rig->merge, &item, rig_mono(rig));
}
/* Appended when it happened. */
static inline void rig_put(struct rig *rig, int p, int64_t time_ms) { rig_put_full(rig, p, time_ms, time_ms, 0); }

/* Takes the next message, passing over parts without one; -1: none now, else partition * 1000 + offset. */
static inline int rig_take(struct rig *rig) {
  while (tide_merge_take(rig->merge, rig_wall(rig), rig_mono(rig), &rig->item, &rig->part))
    if (rig->item.ctx) return rig_number(rig->item.source, rig->item.partition) * 1000 + (int)rig->item.offset;
  return -1;
}

/* Lets time pass in steps as a caller that attends, taking nothing else than nothing. Returns what came, or -1 at the end. */
static inline int rig_wait(struct rig *rig, int64_t ms) {
  int64_t until_ms = rig->now_ms + ms;
  for (;;) {
    int got = rig_take(rig);
    if (got >= 0 || rig->now_ms >= until_ms) return got;
    int64_t due_ms = (tide_merge_due(rig->merge, rig_mono(rig)).ns + 999999) / 1000000;
    if (due_ms <= rig->now_ms) due_ms = rig->now_ms + 1;
    rig->now_ms = due_ms < until_ms ? due_ms : until_ms;
  }
}

static inline bool rig_ask(struct rig *rig, struct tide_merge_ask *ret) { return tide_merge_ask(rig->merge, rig_wall(rig), rig_mono(rig), ret); }
/* Answers with one end per partition from 0 on. */
static inline void rig_answer(struct rig *rig, const struct tide_merge_ask *ask, const uint64_t *end, int parts) {
  struct tide_place place[RIG_PARTS];
  for (int p = 0; p < parts; p++) place[p] = rig_place(p, end[p]);
  tide_merge_ends(rig->merge, ask, place, (size_t)parts, rig_mono(rig));
}
/* Asks, whether it is wanted already or when it will be, and answers at once. */
static inline void rig_ends(struct rig *rig, const uint64_t *end, int parts) {
  struct tide_merge_ask ask;
  while (!rig_ask(rig, &ask)) rig->now_ms++;
  rig_answer(rig, &ask, end, parts);
}

static inline struct tide_merge_view rig_look(const struct rig *rig, int p) {
  struct tide_merge_view view[RIG_PARTS];
  tide_merge_look(rig->merge, view, RIG_PARTS);
  return view[p];
}

#endif
