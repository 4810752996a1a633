/* What the merge tells of a partition, by hand: seen, drained, delay, parts without a message; and the estimator of the delay against
 * sorting (83 compares all in random worlds). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>

#include "core/merge_delay.h"
#include "core/merge_heap.h"
#include "tests/oracle/rng.h"
#include "tests/support/merge_rig.h"

static const struct tide_merge_options usual = {.merge_wait_ms = 500, .catch_wait_ms = 10000, .facts_every_ms = 200};
#define T RIG_BEGIN_MS
#define NONE INT64_MIN

/* ---- the estimator ---- */

static void test_edges_are_never_below_and_less_than_an_eighth_above(void **state) {
  (void)state;
  int64_t last = 0;
  for (int64_t d = 0; d < 100000; d++) {
    int64_t edge = tide_delay_edge_ms(d);
    assert_true(edge >= d && edge >= last && (edge - d) * 8 < (d ? d : 1));
    last = edge;
  }
  for (int bit = 16; bit < 36; bit++)
    for (int64_t d = (INT64_C(1) << bit) - 1; d <= (INT64_C(1) << bit) + 1; d++) {
      assert_true(tide_delay_edge_ms(d) >= d);
      assert_true((tide_delay_edge_ms(d) - d) * 8 < d);
    }
  assert_true(tide_delay_edge_ms(INT64_C(1) << 36) == INT64_C(1) << 36);
  assert_true(tide_delay_edge_ms((INT64_C(1) << 36) + 1) == TIDE_DELAY_BEYOND_MS);
  assert_true(tide_delay_edge_ms(INT64_MAX) == TIDE_DELAY_BEYOND_MS);
  assert_true(tide_delay_edge_ms(-5) == 0 && tide_delay_edge_ms(INT64_MIN) == 0);
}

static void test_stragglers_come_singly_and_a_queue_in_crowds(void **state) {
  (void)state;
  struct tide_delay delay = {0};
  for (int i = 0; i < 2; i++) tide_delay_add(&delay, T, 5400000);
  assert_int_equal(tide_delay_ms(&delay), 0);
  tide_delay_add(&delay, T, 8);
  assert_int_equal(tide_delay_ms(&delay), 8);
  tide_delay_add(&delay, T + 1000, 3000000);
  assert_int_equal(tide_delay_ms(&delay), tide_delay_edge_ms(3000000));
  for (int i = 0; i < 996; i++) tide_delay_add(&delay, T + 2000, 4);
  for (int i = 0; i < 7; i++) tide_delay_add(&delay, T + 2000, 7000000);
  assert_int_equal(tide_delay_ms(&delay), 8); /* ten of 1007 exceed it */
  tide_delay_add(&delay, T + 2000, 100);
  assert_int_equal(tide_delay_ms(&delay), tide_delay_edge_ms(100));
  tide_delay_advance(&delay, T + 62000);
  assert_int_equal(tide_delay_ms(&delay), tide_delay_edge_ms(7000000)); /* those of the last second still exceed, and make no more room */
  tide_delay_advance(&delay, T + 62999);
  assert_int_equal(tide_delay_ms(&delay), tide_delay_edge_ms(7000000));
  tide_delay_advance(&delay, T + 63000);
  assert_int_equal(tide_delay_ms(&delay), 0);
  assert_true(delay.count == 0 && delay.above == 0);
  tide_delay_release(&delay);
}

static int ascending(const void *a, const void *b) {
  return *(const int64_t *)a < *(const int64_t *)b ? -1 : *(const int64_t *)a > *(const int64_t *)b;
}

/* 60 s exactly, all delays sorted: the definition. */
static int64_t sorted_delay(const int64_t *log_ms, const int64_t *delay_ms, int count, int64_t now_ms, int64_t window_ms, int64_t full_ms) {
  static int64_t in[20000];
  int n = 0, full = 0;
  for (int i = 0; i < count; i++) {
    if (log_ms[i] > now_ms - window_ms) in[n++] = delay_ms[i] > 0 ? delay_ms[i] : 0;
    full += log_ms[i] > now_ms - full_ms;
  }
  int allowed = full / 100 > 2 ? full / 100 : 2;
  if (n <= allowed) return 0;
  qsort(in, (size_t)n, sizeof *in, ascending);
  return in[n - 1 - allowed];
}

static void test_the_delay_is_never_understated_and_not_by_much_over(void **state) {
  (void)state;
  static int64_t log_ms[20000], delay_ms[20000];
  for (uint64_t seed = 1; seed <= 6; seed++) {
    struct or_rng rng = {seed};
    struct tide_delay delay = {0};
    int64_t now_ms = seed % 2 ? T : -70000; /* before 1970 as well */
    int spread = OR_PICK(&rng, ((int[]){1, 20, 500}));
    for (int i = 0; i < 20000; i++) {
      now_ms += or_below(&rng, spread + 1) + (or_below(&rng, 3000) == 0 ? or_below(&rng, 100000) : 0);
      log_ms[i] = now_ms;
      delay_ms[i] = or_percent(&rng, 97) ? or_below(&rng, 300) - 50 : (int64_t)(or_next(&rng) % (UINT64_C(1) << or_below(&rng, 40)));
      tide_delay_add(&delay, now_ms, delay_ms[i]);
      if (i % 97 != 0) continue;
      int64_t told_ms = tide_delay_ms(&delay);
      assert_true(told_ms >= sorted_delay(log_ms, delay_ms, i + 1, now_ms, 60000, 60000));
      assert_true(told_ms <= tide_delay_edge_ms(sorted_delay(log_ms, delay_ms, i + 1, now_ms, 61000, 59000)));
    }
    tide_delay_release(&delay);
  }
}

/* ---- the heap, against a scan ---- */

static void test_the_heap_knows_its_least(void **state) {
  (void)state;
  enum { N = 60 };
  struct tide_heap heap = {0};
  int64_t key[N];
  bool inside[N] = {0};
  struct or_rng rng = {5};
  tide_heap_reserve(&heap, 10);
  tide_heap_reserve(&heap, N);
  for (int step = 0; step < 20000; step++) {
    int i = or_below(&rng, N), least = -1;
    if (or_percent(&rng, 60)) {
      key[i] = or_below(&rng, 40);
      inside[i] = true;
      tide_heap_put(&heap, (uint32_t)i, key[i], (uint32_t)(N - i));
    } else {
      inside[i] = false;
      tide_heap_remove(&heap, (uint32_t)i);
    }
    if (step % 5000 == 4999) {
      tide_heap_clear(&heap);
      for (int k = 0; k < N; k++) inside[k] = false;
    }
    uint32_t count = 0;
    for (int k = 0; k < N; k++) {
      count += inside[k];
      if (inside[k] && (least < 0 || key[k] < key[least] || (key[k] == key[least] && k > least))) least = k;
    }
    assert_int_equal(heap.count, count);
    if (count) assert_int_equal(heap.at[0].index, least);
  }
  tide_heap_release(&heap);
}

/* ---- facts of a partition ---- */

/* Takes the next part, message or not; false: none. */
static bool next_part(struct rig *rig) { return tide_merge_take(rig->merge, rig_wall(rig), rig_mono(rig), &rig->item, &rig->part); }

static void test_seen_is_bounded_by_append_time(void **state) {
  (void)state;
  struct rig rig;
  rig_open(&rig, usual, 1);
  rig_put_full(&rig, 0, NONE, T - 5, 0);
  rig_put_full(&rig, 0, T + 50000, T - 4, 0);     /* stamped ahead */
  rig_put_full(&rig, 0, T - 9000, T - 3, 0);      /* late */
  rig_put_full(&rig, 0, T + 70000, NONE, 0);      /* the log does not tell: the wall clock */
  rig_put_full(&rig, 0, T + 70000, INT64_MAX, 0); /* nor that */
  const int64_t seen[] = {NONE, T - 4, T - 4, T, T};
  for (int i = 0; i < 5; i++) {
    assert_int_equal(rig_take(&rig), i);
    assert_true(rig.part.seen == seen[i]);
    assert_int_equal(rig.part.checksum, (uint64_t)(i + 1) * 1000);
  }
  rig_close(&rig);
}

static void test_drained_is_when_an_end_was_asked_for_that_is_given(void **state) {
  (void)state;
  struct rig rig;
  struct tide_merge_ask ask;
  rig_open(&rig, usual, 1);
  assert_true(rig_ask(&rig, &ask));
  int64_t asked_ms = rig.now_ms;
  rig.now_ms += 30;
  rig_put_full(&rig, 0, T, NONE, 0);
  rig_put_full(&rig, 0, T, NONE, 7);
  rig_put_full(&rig, 0, T, NONE, 0);
  rig_answer(&rig, &ask, (uint64_t[]){2}, 1);
  assert_int_equal(rig_take(&rig), 0);
  assert_true(rig.part.drained == NONE);
  assert_int_equal(rig_take(&rig), -1); /* put, and not given while it is held */
  tide_merge_free_hold(rig.merge, 7, rig_mono(&rig));
  assert_int_equal(rig_take(&rig), 1);
  assert_int_equal(rig.part.drained, asked_ms);
  assert_false(rig_look(&rig, 0).drained == false);
  assert_int_equal(rig_take(&rig), 2);
  assert_int_equal(rig.part.drained, asked_ms);
  rig_close(&rig);
}

static void test_a_quiet_partition_stays_drained(void **state) {
  (void)state;
  struct rig rig;
  rig_open(&rig, usual, 2);
  rig.next[1] = 0;
  int parts = 0;
  int64_t last_ms = NONE;
  for (; rig.now_ms < T + 10000; rig.now_ms++) {
    struct tide_merge_ask ask;
    if (rig_ask(&rig, &ask)) rig_answer(&rig, &ask, (uint64_t[]){rig.next[0], 0}, 2);
    if (rig.now_ms % 10 == 0) rig_put(&rig, 0, rig.now_ms); /* the other is busy */
    while (next_part(&rig)) {
      if (rig_number(rig.part.source, rig.part.partition) != 1) continue;
      assert_null(rig.item.ctx);
      assert_true(rig.part.from == 0 && rig.part.next == 0 && rig.part.seen == NONE);
      assert_true(last_ms == NONE || rig.part.drained - last_ms >= 200);
      last_ms = rig.part.drained;
      parts++;
    }
    assert_true(rig.now_ms == T || rig.now_ms - last_ms <= 215);
  }
  assert_in_range(parts, 45, 51);
  rig_close(&rig);
}

/* Partition 1 is idle for an hour in the middle of a backlog. What is given of partition 0 meanwhile must find it fresh. */
static void test_idle_in_the_middle_of_a_backlog(void **state) {
  (void)state;
  struct rig rig;
  rig_open(&rig, usual, 2);
  rig.now_ms = T + 10000000;
  rig_ends(&rig, (uint64_t[]){100, 100}, 2);
  rig_put(&rig, 1, T);
  for (int i = 0; i < 10; i++) rig_put(&rig, 0, T + 1 + i * 100000);
  assert_int_equal(rig_take(&rig), 1000);
  assert_int_equal(rig.part.drained, T - 1); /* what comes next is not known */
  assert_int_equal(rig_take(&rig), -1);
  rig_put(&rig, 1, T + 3600000);
  assert_true(next_part(&rig)); /* told before anything that could be judged by it */
  assert_null(rig.item.ctx);
  assert_int_equal(rig_number(rig.part.source, rig.part.partition), 1);
  assert_int_equal(rig.part.drained, T + 3599999);
  assert_int_equal(rig.part.seen, T);
  for (int i = 0; i < 9; i++) {
    assert_int_equal(rig_take(&rig), i);
    assert_int_equal(rig.part.drained, T + (i + 1) * 100000); /* just before the next one was appended */
  }
  rig_close(&rig);
}

static void test_a_stamp_of_a_broken_clock_drains_nothing_ahead_of_the_wall_clock(void **state) {
  (void)state;
  struct rig rig;
  rig_open(&rig, usual, 1);
  rig_put_full(&rig, 0, T, T, 0);
  rig_put_full(&rig, 0, T, T + 1000000, 9);
  assert_int_equal(rig_take(&rig), 0);
  assert_int_equal(rig.part.drained, T);
  rig_close(&rig);
}

static void test_delay_sees_a_queue_before_the_log_and_not_one_behind_it(void **state) {
  (void)state;
  struct rig rig;
  rig_open(&rig, usual, 2);
  rig.now_ms = T + 5400000;
  for (int i = 0; i < 100; i++) {
    rig_put_full(&rig, 0, T + i, T + i, 0);                /* punctual, read 90 minutes later */
    rig_put_full(&rig, 1, T + i, rig.now_ms - 100 + i, 0); /* 90 minutes before it came to the log */
  }
  for (int got; (got = rig_take(&rig)) >= 0;)
    if (got % 1000 > 2) assert_int_equal(rig.part.delay, got < 1000 ? 0 : tide_delay_edge_ms(5399900));
  /* 60 s of a log without a message, by the ends told, and it is over */
  rig_ends(&rig, (uint64_t[]){100, 100}, 2);
  while (next_part(&rig)) {}
  assert_int_equal(rig_look(&rig, 1).delay_ms, tide_delay_edge_ms(5399900));
  rig.now_ms += 61000;
  rig_ends(&rig, (uint64_t[]){100, 100}, 2);
  int parts = 0;
  for (; next_part(&rig); parts++) assert_int_equal(rig.part.delay, 0);
  assert_int_equal(parts, 2);
  rig_close(&rig);
}

static void test_what_the_journal_said_goes_on(void **state) {
  (void)state;
  struct rig rig;
  rig_open(&rig, usual, 2);
  struct tide_cursor_part last = {
      .source = rig_source(1), .partition = rig_partition(1), .seen = T - 700, .drained = T - 500, .delay = 5000000};
  tide_merge_recall(rig.merge, &last);
  rig_ends(&rig, (uint64_t[]){0, 0}, 2);
  for (int i = 0; i < 2; i++) {
    assert_true(next_part(&rig));
    int p = rig_number(rig.part.source, rig.part.partition);
    assert_true(rig.part.seen == (p ? T - 700 : NONE) && rig.part.delay == (p ? 5000000 : 0) && rig.part.checksum == 0);
    assert_int_equal(rig.part.drained, T);
  }
  assert_false(next_part(&rig));
  rig_put_full(&rig, 1, T - 2000, T - 400, 0);
  rig_ends(&rig, (uint64_t[]){0, 1}, 2);
  while (next_part(&rig)) {}
  assert_int_equal(rig_look(&rig, 1).seen_ms, T - 700); /* it never falls */
  for (; rig.now_ms < T + 59500; rig.now_ms += 1000) {
    rig_ends(&rig, (uint64_t[]){0, 1}, 2);
    while (next_part(&rig)) {}
    assert_int_equal(rig_look(&rig, 1).delay_ms, rig.now_ms < T - 500 + 60000 ? 5000000 : 0);
  }
  rig.now_ms += 1000;
  rig_ends(&rig, (uint64_t[]){0, 1}, 2);
  while (next_part(&rig)) {}
  assert_int_equal(rig_look(&rig, 1).delay_ms, 0);
  rig_close(&rig);
}

/* What was told of messages that the journal did not take is not told again. */
static void test_sought_back_it_is_not_drained_any_more(void **state) {
  (void)state;
  for (int back = 0; back < 2; back++) {
    struct rig rig;
    rig_open(&rig, usual, 1);
    for (int i = 0; i < 3; i++) rig_put_full(&rig, 0, T + i, NONE, 0);
    for (int i = 0; i < 3; i++) assert_int_equal(rig_take(&rig), i);
    rig_ends(&rig, (uint64_t[]){3}, 1);
    assert_true(next_part(&rig) && rig.part.drained != NONE && rig.part.seen == T);
    tide_merge_resume(rig.merge, rig_place(0, back ? 1 : 3), rig_mono(&rig), rig_drop);
    rig.next[0] = back ? 1 : 3;
    rig_put_full(&rig, 0, T - 50, NONE, 0);
    assert_int_equal(rig_take(&rig), back ? 1 : 3);
    assert_true(rig.part.drained == (back ? NONE : rig.now_ms) && rig.part.seen == (back ? T - 50 : T));
    rig_close(&rig);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_edges_are_never_below_and_less_than_an_eighth_above),
      cmocka_unit_test(test_stragglers_come_singly_and_a_queue_in_crowds),
      cmocka_unit_test(test_the_delay_is_never_understated_and_not_by_much_over),
      cmocka_unit_test(test_the_heap_knows_its_least),
      cmocka_unit_test(test_seen_is_bounded_by_append_time),
      cmocka_unit_test(test_drained_is_when_an_end_was_asked_for_that_is_given),
      cmocka_unit_test(test_a_quiet_partition_stays_drained),
      cmocka_unit_test(test_idle_in_the_middle_of_a_backlog),
      cmocka_unit_test(test_a_stamp_of_a_broken_clock_drains_nothing_ahead_of_the_wall_clock),
      cmocka_unit_test(test_delay_sees_a_queue_before_the_log_and_not_one_behind_it),
      cmocka_unit_test(test_what_the_journal_said_goes_on),
      cmocka_unit_test(test_sought_back_it_is_not_drained_any_more),
  };
  return cmocka_run_group_tests_name("merge_facts", tests, NULL, NULL);
}
