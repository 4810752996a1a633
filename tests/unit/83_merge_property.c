/* The merge over random logs in simulated time: one order whatever the reading was like, nothing lost or twice, facts as their
 * definitions say, nobody blocked for ever.
 *
 * A world is some logs, filled in causal order by one global sequence of messages, and a reader that gets them in chunks after random
 * delays, asks for ends with random round trips, frees dead letters late, pauses, and restarts from the parts it took. Everything
 * follows from the seed: TIDE_SEED=n runs one, TIDE_CASES=n many. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "tests/oracle/rng.h"
#include "tests/support/merge_rig.h"

enum { PARTS_MAX = 12, MESSAGES_MAX = 3000, TOLD_MAX = MESSAGES_MAX + 1 };
#define NO_TIME INT64_MIN

struct message {
  int part;
  uint64_t offset;
  int64_t key_ms; /* largest time of the partition so far: its place in the order */
  int64_t time_ms, append_ms;
  int64_t put_ms, log_ms; /* of the present claim; when it was given: how far its log had come */
  uint64_t hold;
  int64_t free_ms;
};

enum fault { FINE, STUCK, TRICKLES, STOPPED, HELD };
struct told {
  int64_t wall_ms;
  uint64_t end;
};
struct partition {
  int log[MESSAGES_MAX]; /* indices of messages; an offset is an index in here */
  int count;
  uint64_t cursor;  /* by the parts taken */
  uint64_t fetched; /* put into the merge in this claim */
  int64_t next_fetch_ms;
  int fault;        /* enum fault */
  int64_t fault_ms; /* from here on */
  /* naive facts of this claim */
  struct told told[TOLD_MAX];
  int told_count;
  uint64_t begun_at;
  int64_t drained_ms, told_ms, log_ms; /* told: drained of the last part */
};

struct world {
  struct or_rng rng;
  struct rig rig;
  int parts, count, taken;
  struct message message[MESSAGES_MAX]; /* in the order they were appended, which is the order of the merge */
  struct partition partition[PARTS_MAX];
  int order[MESSAGES_MAX];
  uint64_t holds, claim;
  bool asking;
  struct tide_merge_ask ask;
  struct tide_place end[PARTS_MAX];
  int64_t answer_ms;
  int64_t gap_ms,
      delay_ms; /* between chunks of a partition when behind (less than merge_wait once it had caught up); from append to being read when not */
  int64_t wait_ms_max; /* the longest that a message of a fine partition waited, from settle_ms on */
  int64_t settle_ms;
  unsigned ask_fails_pct, parts_checked, facts_only;
};

static int64_t at_most(struct world *w, int64_t ms) { return (int64_t)(or_next(&w->rng) % (uint64_t)(ms + 1)); }

/* ---- logs ---- */

static void append(struct world *w, int part, int64_t time_ms, int64_t append_ms, bool bad) {
  if (w->count == MESSAGES_MAX) return;
  struct partition *p = &w->partition[part];
  struct message *m = &w->message[w->count];
  int64_t last_ms = p->count ? w->message[p->log[p->count - 1]].key_ms : INT64_MIN;
  *m = (struct message){.part = part, .offset = (uint64_t)p->count, .append_ms = append_ms};
  m->time_ms = bad ? NO_TIME : time_ms;
  m->key_ms = bad || time_ms < last_ms ? last_ms : time_ms;
  p->log[p->count++] = w->count++;
}

/* Events of one moment after the other. Each partition gets bursts: one on time, then some that are late in their own partition,
 * rejected, or of the same millisecond. */
static void fill(struct world *w, int64_t begin_ms, int64_t step_ms, int upstream_pct, bool quiet) {
  int weight[PARTS_MAX];
  for (int p = 0; p < w->parts; p++) weight[p] = OR_PICK(&w->rng, ((int[]){1, 5, 30, 60}));
  int64_t now_ms = begin_ms;
  int target = 200 + or_below(&w->rng, MESSAGES_MAX - 200);
  while (w->count < target) {
    now_ms += 1 + at_most(w, step_ms);
    if (quiet && or_below(&w->rng, 40) == 0) now_ms += step_ms * 200; /* a quiet time */
    for (int p = 0; p < w->parts; p++) {
      if (!or_percent(&w->rng, weight[p])) continue;
      append(w, p, now_ms, now_ms, false);
      while (or_percent(&w->rng, 30)) {
        bool bad = or_percent(&w->rng, 30);
        int64_t late_ms = or_percent(&w->rng, upstream_pct) ? at_most(w, 7200000) : 0;
        append(w, p, now_ms - late_ms, now_ms, bad);
      }
    }
  }
}

/* ---- the reader ---- */

static uint64_t end_of(const struct world *w, int part) { /* as the log stands now */
  const struct partition *p = &w->partition[part];
  int low = 0, high = p->count;
  while (low < high) {
    int middle = (low + high) / 2;
    if (w->message[p->log[middle]].append_ms <= w->rig.now_ms) low = middle + 1;
    else high = middle;
  }
  return (uint64_t)low;
}

static void begin(struct world *w) {
  struct tide_place place[PARTS_MAX];
  bool gates[PARTS_MAX];
  for (int i = 0; i < w->parts; i++) {
    struct partition *p = &w->partition[i];
    place[i] = rig_place(i, p->cursor);
    gates[i] = true;
    p->fetched = p->begun_at = p->cursor;
    p->next_fetch_ms = end_of(w, i) > p->cursor ? w->rig.now_ms + at_most(w, w->gap_ms) : 0;
    p->told_count = 0;
    p->drained_ms = p->told_ms = p->log_ms = INT64_MIN;
  }
  w->claim++;
  tide_merge_begin(w->rig.merge, place, gates, (size_t)w->parts, rig_mono(&w->rig), rig_drop);
}

static void put(struct world *w, struct message *m) {
  if (m->time_ms == NO_TIME) {
    m->hold = ++w->holds;
    m->free_ms = w->rig.now_ms + at_most(w, 100);
    if (w->partition[m->part].fault == HELD && w->rig.now_ms >= w->partition[m->part].fault_ms) m->free_ms = INT64_MAX;
  }
  m->put_ms = w->rig.now_ms;
  w->rig.next[m->part] = m->offset;
  rig_put_full(&w->rig, m->part, m->time_ms, m->append_ms, m->hold);
}

static void fetch(struct world *w) {
  for (int i = 0; i < w->parts; i++) {
    struct partition *p = &w->partition[i];
    bool fault = p->fault != FINE && w->rig.now_ms >= p->fault_ms;
    if (fault && p->fault == STOPPED) tide_merge_stop(w->rig.merge, rig_source(i), rig_partition(i), rig_mono(&w->rig));
    if (fault && (p->fault == STUCK || p->fault == STOPPED)) continue;
    uint64_t end = end_of(w, i);
    if (p->fetched == end) continue;
    if (p->next_fetch_ms == 0)
      p->next_fetch_ms = w->message[p->log[p->fetched]].append_ms + at_most(w, w->delay_ms); /* it was on its way, also while we paused */
    if (w->rig.now_ms < p->next_fetch_ms) continue;
    bool trickles = fault && p->fault == TRICKLES, caught = rig_look(&w->rig, i).caught;
    uint64_t chunk = trickles ? 1 : caught ? UINT64_MAX : 1 + (uint64_t)or_below(&w->rng, 60);
    while (chunk-- > 0 && p->fetched < end) put(w, &w->message[p->log[p->fetched++]]);
    caught = rig_look(&w->rig, i).caught;
    p->next_fetch_ms = trickles ? w->rig.now_ms + 3000 : p->fetched < end && !caught ? w->rig.now_ms + at_most(w, w->gap_ms) : 0;
  }
}

static void letters(struct world *w) {
  for (int i = 0; i < w->parts; i++) {
    const struct partition *p = &w->partition[i];
    for (uint64_t o = p->cursor; o < p->fetched; o++) {
      struct message *m = &w->message[p->log[o]];
      if (m->hold && w->rig.now_ms >= m->free_ms) {
        tide_merge_free_hold(w->rig.merge, m->hold, rig_mono(&w->rig));
        m->hold = 0;
      }
    }
  }
}

/* ---- facts by their definitions ---- */

/* From the messages given and the ends told: O(messages) each time. */
static void check_facts(struct world *w, int part, const struct tide_cursor_part *got) {
  struct partition *p = &w->partition[part];
  int64_t seen_ms = INT64_MIN, drained_ms = p->drained_ms, least_ms = p->drained_ms;
  for (uint64_t o = p->begun_at; o < got->next; o++) {
    const struct message *m = &w->message[p->log[o]];
    if (m->time_ms == NO_TIME) continue;
    int64_t ms = m->time_ms < m->append_ms ? m->time_ms : m->append_ms;
    if (ms > seen_ms) seen_ms = ms;
  }
  for (int i = 0; i < p->told_count; i++)
    if (p->told[i].end <= got->next && p->told[i].wall_ms > drained_ms) drained_ms = p->told[i].wall_ms;
  if (got->next < p->fetched) {
    int64_t append_ms = w->message[p->log[got->next]].append_ms - 1;
    if (append_ms > w->rig.now_ms) append_ms = w->rig.now_ms;
    if (append_ms > drained_ms) drained_ms = append_ms;
    if (append_ms > least_ms) least_ms = append_ms;
  }
  assert_true(got->seen == seen_ms);
  /* Of the ends that were told and are not reached only four are kept, so while there are more it may be less than it could be. */
  if (got->drained != drained_ms) {
    assert_true(p->told_count > 0 && got->next < p->told[p->told_count - 1].end);
    assert_true(got->drained >= least_ms && got->drained < drained_ms);
  }
  p->drained_ms = got->drained;
  int left = 0;
  for (int i = 0; i < p->told_count; i++)
    if (p->told[i].end > got->next) p->told[left++] = p->told[i];
  p->told_count = left;
  if (got->drained > p->log_ms) p->log_ms = got->drained;
  /* the smallest d that few enough exceed, by the exact 60 s at least and by one second more and the bucket at most */
  static int64_t delay[MESSAGES_MAX];
  int exact = 0, more = 0;
  for (uint64_t o = p->begun_at; o < got->next; o++) {
    const struct message *m = &w->message[p->log[o]];
    if (m->time_ms == NO_TIME || m->log_ms <= p->log_ms - 61000) continue;
    more++;
    exact += m->log_ms > p->log_ms - 60000;
    delay[more - 1] = m->append_ms - m->time_ms;
  }
  int over = 0, over_exact = 0, whole = 0;
  int64_t second = p->log_ms / 1000 - 60; /* outside of the seconds that are whole */
  for (uint64_t o = p->begun_at; o < got->next; o++) {
    const struct message *m = &w->message[p->log[o]];
    if (m->time_ms == NO_TIME) continue;
    whole += m->log_ms / 1000 > second;
    over_exact += m->log_ms > p->log_ms - 60000 && m->append_ms - m->time_ms > got->delay;
  }
  int allowed = exact / 100 > 2 ? exact / 100 : 2;
  assert_true(over_exact <= allowed); /* never understated */
  if (got->delay > 0) {               /* and the next smaller one would be: not more than needed */
    int64_t less_ms = got->delay - got->delay / 8 - 1;
    for (int i = 0; i < more; i++) over += delay[i] > less_ms;
    assert_true(over > (whole / 100 > 2 ? whole / 100 : 2));
  }
  w->parts_checked++;
}

/* ---- running ---- */

static void take(struct world *w) {
  while (tide_merge_take(w->rig.merge, rig_wall(&w->rig), rig_mono(&w->rig), &w->rig.item, &w->rig.part)) {
    const struct tide_cursor_part *part = &w->rig.part;
    int i = rig_number(part->source, part->partition);
    struct partition *p = &w->partition[i];
    assert_int_equal(part->from, p->cursor); /* parts connect: nothing lost, nothing twice */
    assert_true(part->next <= p->fetched);
    p->cursor = part->next;
    if (w->rig.item.ctx) {
      assert_int_equal(part->next, part->from + 1);
      struct message *m = &w->message[p->log[part->from]];
      assert_int_equal(m->hold, 0);
      assert_int_equal(w->rig.item.offset, m->offset);
      int64_t stamp_ms = m->append_ms < w->rig.now_ms ? m->append_ms : w->rig.now_ms;
      if (stamp_ms > p->log_ms) p->log_ms = stamp_ms;
      m->log_ms = p->log_ms;
      w->order[w->taken++] = (int)(m - w->message);
      int64_t wait_ms = w->rig.now_ms - m->put_ms;
      if (p->fault == FINE && w->rig.now_ms >= w->settle_ms && m->put_ms >= w->settle_ms && wait_ms > w->wait_ms_max)
        w->wait_ms_max = wait_ms;
    } else {
      assert_int_equal(part->from, part->next);
      assert_true(p->told_ms == INT64_MIN || part->drained - p->told_ms >= 200);
      w->facts_only++;
    }
    check_facts(w, i, part);
    p->told_ms = part->drained;
  }
}

static void questions(struct world *w) {
  if (w->asking && w->rig.now_ms >= w->answer_ms) {
    w->asking = false;
    bool fails = or_percent(&w->rng, (int)w->ask_fails_pct);
    for (int i = 0; !fails && w->ask.claim == w->claim && i < w->parts; i++) {
      struct partition *p = &w->partition[i];
      if (rig_look(&w->rig, i).stopped) continue;
      if (p->told_count > 0 && p->told[p->told_count - 1].end == w->end[i].cursor) p->told_count--; /* told again, later */
      assert_true(p->told_count < TOLD_MAX);
      p->told[p->told_count++] = (struct told){w->ask.wall_ms, w->end[i].cursor};
    }
    tide_merge_ends(w->rig.merge, &w->ask, w->end, fails ? 0 : (size_t)w->parts, rig_mono(&w->rig));
  }
  if (!w->asking && rig_ask(&w->rig, &w->ask)) {
    w->asking = true;
    w->answer_ms = w->rig.now_ms + 1 + at_most(w, 40);
    for (int i = 0; i < w->parts; i++) w->end[i] = rig_place(i, end_of(w, i));
  }
}

static struct world *world_new(uint64_t seed, int parts) {
  static struct world world; /* large, and one at a time */
  struct world *w = &world;
  memset(w, 0, sizeof *w);
  w->rng.state = seed;
  w->parts = parts;
  struct tide_merge_options options = {.merge_wait_ms = 500, .catch_wait_ms = 10000, .facts_every_ms = 200};
  w->rig.merge = tide_merge_new(&options);
  w->rig.now_ms = RIG_BEGIN_MS;
  w->settle_ms = INT64_MAX;
  rig_dropping = &w->rig;
  return w;
}

static void world_free(struct world *w) { rig_close(&w->rig); }

static void step(struct world *w, bool pauses) {
  fetch(w);
  letters(w);
  take(w);
  questions(w);
  take(w);
  w->rig.now_ms += pauses && or_below(&w->rng, 400) == 0 ? at_most(w, 3000) : 1 + at_most(w, 8);
}

/* ---- one order ---- */

static void check_order(struct world *w) {
  int timed = 0;
  for (int i = 0; i < w->taken; i++) {
    const struct message *m = &w->message[w->order[i]];
    if (m->time_ms == NO_TIME) continue;
    while (w->message[timed].time_ms == NO_TIME) timed++;
    assert_int_equal(w->order[i], timed); /* messages stand in the order they were appended, which must be the offline sort */
    timed++;
  }
  assert_int_equal(w->taken, w->count);
}

static int compare(const void *a, const void *b) {
  const struct message *const *x = a, *const *y = b;
  if ((*x)->key_ms != (*y)->key_ms) return (*x)->key_ms < (*y)->key_ms ? -1 : 1;
  if ((*x)->part != (*y)->part) return (*x)->part < (*y)->part ? -1 : 1;
  return (*x)->offset < (*y)->offset ? -1 : 1;
}

/* The logs are what they should be: appended in the order of an offline sort, where each partition's messages but timeless first ones
 * have a place. */
static void check_logs_are_causal(const struct world *w) {
  static const struct message *sorted[MESSAGES_MAX];
  int n = 0;
  for (int i = 0; i < w->count; i++)
    if (w->message[i].key_ms != INT64_MIN) sorted[n++] = &w->message[i];
  qsort(sorted, (size_t)n, sizeof *sorted, compare);
  for (int i = 1; i < n; i++) assert_true(sorted[i] > sorted[i - 1]);
}

static void run_order(uint64_t seed) {
  struct world *w = world_new(seed, 1);
  w->parts = 1 + or_below(&w->rng, PARTS_MAX);
  int backlog_pct = OR_PICK(&w->rng, ((int[]){0, 50, 100}));
  int64_t step_ms = OR_PICK(&w->rng, ((int64_t[]){2, 20, 300}));
  fill(w, RIG_BEGIN_MS, step_ms, OR_PICK(&w->rng, ((int[]){0, 20, 90})), true);
  check_logs_are_causal(w);
  int64_t last_ms = w->message[w->count - 1].append_ms;
  w->rig.now_ms = RIG_BEGIN_MS + (last_ms - RIG_BEGIN_MS) / 100 * backlog_pct + (backlog_pct == 100 ? 5000000 : 0);
  w->gap_ms = 1 + at_most(w, step_ms == 300 ? 2000 : 200);
  w->delay_ms = at_most(w, 300);
  begin(w);
  int restarts = or_below(&w->rng, 4);
  int64_t until_ms = w->rig.now_ms + (last_ms - RIG_BEGIN_MS) + 2000000;
  while (w->taken < w->count && w->rig.now_ms < until_ms) {
    step(w, true);
    if (restarts > 0 && or_below(&w->rng, w->count) < 2) {
      restarts--;
      begin(w);
    }
  }
  check_order(w);
  world_free(w);
}

static uint64_t seed_running;

static int cases(int usual) {
  const char *text = getenv("TIDE_CASES");
  return text && *text ? atoi(text) : usual;
}

static void for_seeds(void (*run)(uint64_t seed), int usual) {
  const char *text = getenv("TIDE_SEED");
  uint64_t first = text && *text ? strtoull(text, NULL, 10) : 1;
  int count = text && *text ? 1 : cases(usual);
  for (int i = 0; i < count; i++) {
    seed_running = first + (uint64_t)i;
    run(seed_running);
  }
  seed_running = 0;
}

static int tell_seed(void **state) { /* of a case that ended in the middle */
  (void)state;
  if (seed_running) print_message("TIDE_SEED=%llu runs this one alone\n", (unsigned long long)seed_running);
  return 0;
}

static void test_one_order_whatever_the_reading_was_like(void **state) {
  (void)state;
  for_seeds(run_order, 40);
}

/* ---- nobody blocked for ever ---- */

/* Logs grow in real time while partitions get stuck, trickle, are stopped, have a dead letter that never arrives, and ends are told
 * seldom. What was put of the others after some time has gone by waits no longer than merge_wait and a round trip. */
static void run_faults(uint64_t seed) {
  struct world *w = world_new(seed, 1);
  w->parts = 2 + or_below(&w->rng, PARTS_MAX - 1);
  fill(w, RIG_BEGIN_MS, 300, 10, false); /* quiet times would let those that trickle catch up, and be waited for again */
  for (int i = 1; i < w->parts; i++) {   /* partition 0 is fine */
    w->partition[i].fault = OR_PICK(&w->rng, ((int[]){FINE, FINE, STUCK, TRICKLES, STOPPED, HELD}));
    w->partition[i].fault_ms = RIG_BEGIN_MS + at_most(w, 20000);
  }
  int64_t limit_ms = 1100; /* for its own sake and for that of what is before it; */
  for (int i = 1; i < w->parts; i++)
    limit_ms += w->partition[i].fault == TRICKLES ? 500 : 0; /* and whenever one gives again that was given up; */
  if (limit_ms > 1600)
    limit_ms += 10000; /* two of those are behind together, and waited for by each other, until that is found not to pay */
  w->ask_fails_pct = (unsigned)OR_PICK(&w->rng, ((int[]){0, 50, 95, 100}));
  w->gap_ms = 100;
  w->delay_ms = 300;
  int64_t last_ms = w->message[w->count - 1].append_ms;
  begin(w);
  w->settle_ms = RIG_BEGIN_MS + 20000 + w->parts * 25000;
  int64_t end_ms = (last_ms > w->settle_ms ? last_ms : w->settle_ms) + 1000 + limit_ms;
  while (w->rig.now_ms < end_ms) step(w, false);
  assert_true(w->wait_ms_max <= limit_ms);
  for (int i = 0; i < w->parts; i++)
    if (w->partition[i].fault == FINE) assert_int_equal(w->partition[i].cursor, w->partition[i].count);
  assert_int_equal(w->partition[0].cursor, w->partition[0].count);
  world_free(w);
}

static void test_no_fault_of_others_blocks_for_ever(void **state) {
  (void)state;
  for_seeds(run_faults, 40);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_teardown(test_one_order_whatever_the_reading_was_like, tell_seed),
      cmocka_unit_test_teardown(test_no_fault_of_others_blocks_for_ever, tell_seed),
  };
  return cmocka_run_group_tests_name("merge_property", tests, NULL, NULL);
}
