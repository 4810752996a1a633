/* The merge by hand: order, who waits for whom and for how long, held messages, stops and resumes, questions for ends. Times are
 * simulated milliseconds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/support/merge_rig.h"

static const struct tide_merge_options usual = {.merge_wait_ms = 500, .catch_wait_ms = 10000, .facts_every_ms = 200};
#define T RIG_BEGIN_MS
#define NO_TIME INT64_MIN

/* All partitions are known to be read up to what was put. */
static void all_read(struct rig *rig, int parts) {
  uint64_t end[RIG_PARTS];
  for (int p = 0; p < parts; p++) end[p] = rig->next[p];
  rig_ends(rig, end, parts);
}

static void test_order_is_time_then_source_then_partition(void **state) {
  (void)state;
  struct rig rig;
  rig_open(&rig, usual, 6);
  for (int p = 5; p >= 0; p--) rig_put(&rig, p, T + 10);
  for (int p = 0; p < 6; p++) rig_put(&rig, p, p == 4 ? T + 5 : T + 20 - p);
  /* the message behind its time stays behind its predecessor */
  int expected[] = {0, 1000, 2000, 3000, 4000, 4001, 5000, 5001, 3001, 2001, 1001, 1};
  for (int i = 0; i < 6; i++) assert_int_equal(rig_take(&rig), expected[i]);
  assert_int_equal(rig_take(&rig), -1); /* partition 4 is empty, not known to be read */
  all_read(&rig, 6);
  for (int i = 6; i < 12; i++) assert_int_equal(rig_take(&rig), expected[i]);
  assert_int_equal(rig_take(&rig), -1);
  assert_int_equal(tide_merge_held(rig.merge), 0);
  rig_close(&rig);
}

static void test_a_read_partition_is_waited_for_until_asked_again(void **state) {
  (void)state;
  struct rig rig;
  struct tide_merge_ask ask;
  rig_open(&rig, usual, 2);
  all_read(&rig, 2);
  rig.now_ms += 1;
  rig_put(&rig, 0, rig.now_ms);
  assert_int_equal(rig_take(&rig), -1); /* the question was older than the message */
  assert_true(rig_look(&rig, 1).holds);
  assert_true(rig_ask(&rig, &ask));
  rig_put(&rig, 0, rig.now_ms); /* behind the question */
  rig_answer(&rig, &ask, (uint64_t[]){1, 0}, 2);
  assert_int_equal(rig_take(&rig), 0);
  assert_int_equal(rig_take(&rig), -1);
  /* nobody answers: merge_wait */
  int64_t begin_ms = rig.now_ms;
  assert_true(rig_ask(&rig, &ask));
  assert_false(rig_ask(&rig, &ask));
  assert_int_equal(rig_wait(&rig, 5000), 1);
  assert_int_equal(rig.now_ms - begin_ms, 500);
  rig_close(&rig);
}

static void test_a_partition_that_catches_up_is_waited_for_while_it_gives(void **state) {
  (void)state;
  struct rig rig;
  rig_open(&rig, usual, 2);
  rig_ends(&rig, (uint64_t[]){1, 1000}, 2);
  rig_put(&rig, 0, T + 1000000);
  for (int i = 0; i < 50; i++) { /* 250 s, a message every 5 s that leads 6 s further */
    rig_put(&rig, 1, T + i * 6000);
    assert_int_equal(rig_take(&rig), 1000 + i);
    assert_int_equal(rig_wait(&rig, 4999), -1);
    assert_false(rig_look(&rig, 1).lost);
  }
  rig_close(&rig);
}

static void test_a_stuck_partition_delays_the_others_no_more_than_twice(void **state) {
  (void)state;
  struct rig rig;
  rig_open(&rig, usual, 2);
  rig_ends(&rig, (uint64_t[]){1, 1000}, 2);
  int64_t begin_ms = rig.now_ms;
  for (int i = 0; i < 20; i++) rig_put(&rig, 0, begin_ms + i);
  assert_int_equal(rig_wait(&rig, 60000), 0);
  assert_int_equal(rig.now_ms - begin_ms, usual.catch_wait_ms);
  assert_true(rig_look(&rig, 1).lost);
  for (int i = 1; i < 20; i++) assert_int_equal(rig_take(&rig), i); /* they have waited */
  begin_ms = rig.now_ms;
  rig_put(&rig, 0, begin_ms);
  assert_int_equal(rig_wait(&rig, 60000), 20);
  assert_int_equal(rig.now_ms - begin_ms, usual.merge_wait_ms);
  /* it gives again: waited for again, and its message goes first although it is late */
  rig_put(&rig, 0, rig.now_ms);
  rig_put(&rig, 1, T);
  assert_false(rig_look(&rig, 1).lost);
  assert_int_equal(rig_take(&rig), 1000);
  begin_ms = rig.now_ms;
  assert_int_equal(rig_wait(&rig, 60000), 21);
  assert_int_equal(rig.now_ms - begin_ms, usual.catch_wait_ms);
  /* a message for ten seconds of waiting: that does not pay */
  rig_put(&rig, 0, rig.now_ms);
  rig_put(&rig, 1, T + 1);
  assert_int_equal(rig_take(&rig), 1001);
  begin_ms = rig.now_ms;
  assert_int_equal(rig_wait(&rig, 60000), 22);
  assert_in_range(rig.now_ms - begin_ms, 500, 700);
  assert_true(rig_look(&rig, 1).slow);
  rig_close(&rig);
}

static void test_once_caught_up_patience_is_the_age_of_what_waits(void **state) {
  (void)state;
  const int64_t age_ms[] = {-3000, 0, 400, 700, 3000, 20000, 7200000}, wait_ms[] = {500, 500, 500, 700, 3000, 10000, 10000};
  for (int i = 0; i < 7; i++) {
    struct rig rig;
    rig_open(&rig, usual, 2);
    all_read(&rig, 2);
    assert_true(rig_look(&rig, 1).caught);
    rig.now_ms += 1000000;
    rig_ends(&rig, (uint64_t[]){1, 3}, 2);
    int64_t begin_ms = rig.now_ms;
    rig_put(&rig, 0, begin_ms - age_ms[i]);
    assert_int_equal(rig_wait(&rig, 60000), 0);
    assert_int_equal(rig.now_ms - begin_ms, wait_ms[i]);
    rig_close(&rig);
  }
}

/* One message a second, each half a second later in its log than the one before: its log grows faster than it gives. */
static void test_a_partition_that_falls_behind_is_given_up(void **state) {
  (void)state;
  for (int gains = 0; gains < 2; gains++) {
    struct rig rig;
    rig_open(&rig, usual, 2);
    rig_ends(&rig, (uint64_t[]){1000, 100000}, 2);
    rig_put(&rig, 0, T + 900000000);
    int64_t begin_ms = rig.now_ms;
    int got = -1, given = 0;
    while (got != 0 && rig.now_ms < begin_ms + 100000) {
      rig_put(&rig, 1, T + given++ * (gains ? 1500 : 500));
      assert_int_equal(rig_take(&rig), 1000 + given - 1);
      got = rig_wait(&rig, 1000);
    }
    assert_int_equal(got, gains ? -1 : 0);
    assert_int_equal(rig_look(&rig, 1).slow, !gains);
    if (!gains) {
      assert_in_range(rig.now_ms - begin_ms, 10000, 12000);
      rig_put(&rig, 1, T + 1000000);
      assert_true(rig_look(&rig, 1).lost); /* a message more does not change that */
      rig_ends(&rig, (uint64_t[]){1000, rig.next[1]}, 2);
      assert_false(rig_look(&rig, 1).slow); /* having caught up does */
    }
    rig_close(&rig);
  }
}

static void test_pauses_of_the_caller_are_not_waiting(void **state) {
  (void)state;
  struct rig rig;
  rig_open(&rig, usual, 2);
  all_read(&rig, 2);
  rig_put(&rig, 0, T);
  assert_int_equal(rig_take(&rig), -1);
  rig.now_ms += 100000; /* the journal was slow; the other partition's message lies in the client */
  assert_int_equal(rig_take(&rig), -1);
  rig_put(&rig, 1, T - 1);
  assert_int_equal(rig_take(&rig), 1000);
  assert_int_equal(rig_wait(&rig, 374), -1);
  assert_int_equal(rig_wait(&rig, 1), 0); /* 125 of the pause, and 375 */
  rig_close(&rig);
}

static void test_a_message_without_time_follows_its_predecessor(void **state) {
  (void)state;
  struct rig rig;
  rig_open(&rig, usual, 2);
  rig_put(&rig, 0, NO_TIME); /* its predecessor was given by somebody else */
  rig_put(&rig, 0, T + 5);
  rig_put(&rig, 0, NO_TIME);
  rig_put(&rig, 0, NO_TIME);
  rig_put(&rig, 0, T + 7);
  rig_put(&rig, 1, T + 6);
  int expected[] = {0, 1, 2, 3, 1000};
  for (int i = 0; i < 5; i++) assert_int_equal(rig_take(&rig), expected[i]);
  assert_int_equal(rig_take(&rig), -1);
  rig_put(&rig, 1, T + 8);
  assert_int_equal(rig_take(&rig), 4);
  rig_close(&rig);
}

static void test_a_held_message_holds_what_is_behind_it(void **state) {
  (void)state;
  struct rig rig;
  rig_open(&rig, usual, 2);
  rig_put_full(&rig, 0, NO_TIME, T, 77);
  rig_put_full(&rig, 0, NO_TIME, T, 78);
  rig_put(&rig, 0, T + 10);
  rig_put(&rig, 1, T + 9);
  rig_put(&rig, 1, T + 11);
  assert_int_equal(rig_take(&rig), 1000); /* before all that is behind the held one */
  assert_int_equal(rig_take(&rig), -1);
  assert_true(rig_look(&rig, 0).holds);
  tide_merge_free_hold(rig.merge, 78, rig_mono(&rig)); /* the second letter arrived first */
  tide_merge_free_hold(rig.merge, 12345, rig_mono(&rig));
  assert_int_equal(rig_take(&rig), -1);
  tide_merge_free_hold(rig.merge, 77, rig_mono(&rig));
  assert_int_equal(rig_take(&rig), 0);
  assert_int_equal(rig_take(&rig), 1);
  assert_int_equal(rig_take(&rig), 2);
  assert_int_equal(rig_take(&rig), -1);
  rig_close(&rig);
}

static void test_others_pass_a_held_message_in_the_end(void **state) {
  (void)state;
  struct rig rig;
  rig_open(&rig, usual, 2);
  all_read(&rig, 2);
  rig_put_full(&rig, 0, rig.now_ms, rig.now_ms, 5); /* with a time, too */
  rig_put(&rig, 0, rig.now_ms + 1);
  rig_put(&rig, 1, rig.now_ms + 2);
  rig_put(&rig, 1, rig.now_ms + 3);
  int64_t begin_ms = rig.now_ms;
  assert_int_equal(rig_wait(&rig, 60000), 1000);
  assert_int_equal(rig.now_ms - begin_ms, 500);
  assert_int_equal(rig_take(&rig), 1001);
  rig_put(&rig, 0, rig.now_ms); /* more of the partition does not begin the wait again */
  rig_put(&rig, 1, rig.now_ms);
  begin_ms = rig.now_ms;
  assert_int_equal(rig_wait(&rig, 60000), 1002);
  assert_int_equal(rig.now_ms - begin_ms, 500);
  assert_int_equal(rig_wait(&rig, 60000), -1); /* never passed by its own */
  tide_merge_free_hold(rig.merge, 5, rig_mono(&rig));
  for (int i = 0; i < 2; i++) assert_int_equal(rig_take(&rig), i);
  assert_int_equal(rig_take(&rig), 2); /* waited long enough for partition 1 */
  assert_false(rig_look(&rig, 0).lost);
  rig_close(&rig);
}

static void test_many_holds(void **state) {
  (void)state;
  struct rig rig;
  rig_open(&rig, usual, 1);
  enum { N = 700 };
  for (uint64_t i = 0; i < N; i++) rig_put_full(&rig, 0, T, T, 1 + i * UINT64_C(0x1000000000));
  for (uint64_t i = N; i-- > 1;) {
    tide_merge_free_hold(rig.merge, 1 + i * UINT64_C(0x1000000000), rig_mono(&rig));
    if (i % 50 == 0) assert_int_equal(rig_take(&rig), -1);
  }
  tide_merge_free_hold(rig.merge, 1, rig_mono(&rig));
  for (int i = 0; i < N; i++) assert_int_equal(rig_take(&rig), i);
  rig_close(&rig);
}

static void test_a_stopped_partition_holds_nobody(void **state) {
  (void)state;
  struct rig rig;
  rig_open(&rig, usual, 2);
  rig_ends(&rig, (uint64_t[]){9, 9}, 2);
  rig_put(&rig, 0, T);
  rig_put(&rig, 1, T + 1);
  rig_put(&rig, 1, T + 2);
  assert_int_equal(rig_take(&rig), 0);
  assert_int_equal(rig_take(&rig), -1);
  tide_merge_stop(rig.merge, rig_source(0), rig_partition(0), rig_mono(&rig));
  assert_int_equal(rig_take(&rig), 1000);
  assert_int_equal(rig_take(&rig), 1001);
  /* an operator goes on behind a gap */
  tide_merge_resume(rig.merge, rig_place(0, 500), rig_mono(&rig), rig_drop);
  rig.next[0] = 500;
  rig_put(&rig, 1, T + 3);
  assert_int_equal(rig_take(&rig), -1);
  rig_put(&rig, 0, T + 3);
  assert_int_equal(rig_take(&rig), 500);
  assert_int_equal(rig.part.from, 500);
  assert_int_equal(rig.part.next, 501);
  rig_close(&rig);
}

static void test_resumed_elsewhere_drops_and_resumed_there_keeps(void **state) {
  (void)state;
  for (int back = 0; back < 2; back++) {
    struct rig rig;
    rig_open(&rig, usual, 1);
    rig_put_full(&rig, 0, T, T, 9);
    rig_put(&rig, 0, NO_TIME);
    rig_put(&rig, 0, T);
    tide_merge_stop(rig.merge, rig_source(0), rig_partition(0), rig_mono(&rig));
    tide_merge_resume(rig.merge, rig_place(0, back ? 1 : 3), rig_mono(&rig), rig_drop);
    assert_int_equal(rig.dropped, back ? 3 : 0);
    tide_merge_free_hold(rig.merge, 9, rig_mono(&rig));
    rig.next[0] = back ? 1 : 3;
    if (back) rig_put(&rig, 0, T);
    for (int i = back; i < (back ? 2 : 3); i++) {
      assert_int_equal(rig_take(&rig), i);
      assert_int_equal(rig.part.from, i);
    }
    assert_int_equal(rig_take(&rig), -1);
    rig_close(&rig);
    assert_int_equal(rig.dropped, back ? 3 : 0);
  }
}

static void test_what_does_not_gate_is_ordered_and_waited_for_by_nobody(void **state) {
  (void)state;
  struct rig rig;
  rig_open(&rig, usual, 1);
  tide_merge_add(rig.merge, rig_place(1, 40), false, rig_mono(&rig));
  rig.next[1] = 40;
  rig_put(&rig, 0, T + 5);
  assert_int_equal(rig_take(&rig), 0);
  rig_put(&rig, 1, T + 6);
  assert_int_equal(rig_take(&rig), -1); /* it waits for the one that gates */
  rig_put(&rig, 0, T + 7);
  assert_int_equal(rig_take(&rig), 1040);
  assert_int_equal(rig_take(&rig), 1);
  /* one that gates and appears later is waited for */
  tide_merge_add(rig.merge, rig_place(9, 0), true, rig_mono(&rig));
  rig_put(&rig, 0, T + 8);
  assert_int_equal(rig_take(&rig), -1);
  rig_put(&rig, 9, T + 8);
  assert_int_equal(rig_take(&rig), 2);
  rig_close(&rig);
}

static void test_by_arrival(void **state) {
  (void)state;
  struct rig rig;
  struct tide_merge_options options = usual;
  options.by_arrival = true;
  rig_open(&rig, options, 3);
  rig_put(&rig, 1, T + 9);
  rig_put(&rig, 0, T + 5);
  rig_put_full(&rig, 2, NO_TIME, T, 4);
  rig_put(&rig, 2, T + 1);
  rig_put(&rig, 1, NO_TIME);
  rig_put(&rig, 1, T);
  int expected[] = {1000, 0, 1001, 1002};
  for (int i = 0; i < 4; i++) assert_int_equal(rig_take(&rig), expected[i]);
  assert_int_equal(rig_take(&rig), -1);
  tide_merge_free_hold(rig.merge, 4, rig_mono(&rig));
  assert_int_equal(rig_take(&rig), 2000);
  assert_int_equal(rig_take(&rig), 2001);
  rig_close(&rig);
}

/* A message stamped a minute ahead waits merge_wait, though another partition always has an earlier one; and the earlier ones do not go unasked
 * because of it. A held message that is before it is waited for in its own right. */
static void test_ahead_of_time_beside_late_ones_without_end(void **state) {
  (void)state;
  for (int held = 0; held < 2; held++) {
    struct rig rig;
    rig_open(&rig, usual, 4);
    all_read(&rig, 4);
    rig_put(&rig, 0, T + 60000);
    int64_t begin_ms = rig.now_ms;
    bool is_held = false;
    int got = -1;
    for (int i = 0; got != 0 && i < 2000; i++) {
      struct tide_merge_ask ask;
      if (held && !is_held && rig.now_ms >= begin_ms + 400) {
        rig_put_full(&rig, 3, T + 30000, T, 5);
        is_held = true;
      }
      rig_put_full(&rig, 1, T - 5000000 + i, rig.now_ms, 0);
      assert_true((got = rig_take(&rig)) == -1 || got == 0);
      if (got == 0) break;
      if (rig_ask(&rig, &ask)) {
        uint64_t end[] = {rig.next[0], rig.next[1] + 1, rig.next[2], rig.next[3]}; /* the next one is in the log already */
        rig.now_ms++;
        rig_put_full(&rig, 1, T - 5000000 + i, rig.now_ms, 0);
        rig_answer(&rig, &ask, end, 4);
      }
      while ((got = rig_take(&rig)) > 0) {}
      rig.now_ms++;
    }
    assert_int_equal(got, 0);
    assert_in_range(rig.now_ms - begin_ms, held ? 900 : 500, held ? 910 : 510);
    rig_close(&rig);
  }
}

/* Those before it keep a message as long again as merge_wait, and no longer. */
static void test_those_before_do_not_keep_it_for_ever(void **state) {
  (void)state;
  struct rig rig;
  struct tide_merge_ask ask;
  struct tide_place end = rig_place(2, 0);
  rig_open(&rig, usual, 3);
  all_read(&rig, 3);
  rig_put(&rig, 0, T + 60000);
  int64_t begin_ms = rig.now_ms;
  assert_int_equal(rig_take(&rig), -1);
  assert_true(rig_ask(&rig, &ask));
  tide_merge_ends(rig.merge, &ask, &end, 1, rig_mono(&rig)); /* partition 2 holds nothing back from it, of 1 nothing was told */
  assert_int_equal(rig_wait(&rig, 400), -1);
  rig_put(&rig, 1, T);
  assert_int_equal(rig_take(&rig), -1);
  while (!rig_ask(&rig, &ask)) rig.now_ms++; /* never answered: for this one partition 2 may have something */
  assert_int_equal(rig_wait(&rig, begin_ms + 899 - rig.now_ms), -1);
  rig_put(&rig, 1, T + 1);
  assert_int_equal(rig_wait(&rig, 5000), 1000);
  assert_int_equal(rig.now_ms - begin_ms, 900);
  assert_int_equal(rig_wait(&rig, 5000), 1001);
  assert_int_equal(rig_wait(&rig, 5000), 0);
  assert_int_equal(rig.now_ms - begin_ms, 1000);
  rig_close(&rig);
}

/* A partition that had something to give all the time did not keep silent: patience begins when its last message was given. */
static void test_patience_begins_when_the_last_one_was_given(void **state) {
  (void)state;
  struct rig rig;
  rig_open(&rig, usual, 3);
  rig_ends(&rig, (uint64_t[]){100, 100, 100}, 3);
  rig_put(&rig, 0, T + 1000000);
  rig_put(&rig, 1, T);
  rig_put(&rig, 1, T + 5);
  rig_put(&rig, 2, T + 1);
  assert_int_equal(rig_take(&rig), 1000);
  assert_int_equal(rig_take(&rig), 2000);
  assert_int_equal(rig_wait(&rig, 9000), -1); /* for partition 2 */
  rig_put(&rig, 2, T + 900000);
  assert_int_equal(rig_take(&rig), 1001);
  assert_int_equal(rig_wait(&rig, 9999), -1); /* for partition 1 */
  assert_int_equal(rig_wait(&rig, 1), 2001);
  rig_close(&rig);
}

/* What was waited for a partition before it had caught up does not count when it is behind again. */
static void test_catching_up_begins_anew(void **state) {
  (void)state;
  struct rig rig;
  rig_open(&rig, usual, 2);
  for (int round = 0; round < 5; round++) {
    rig_ends(&rig, (uint64_t[]){rig.next[0] + 1, rig.next[1] + 2}, 2);
    rig_put(&rig, 1, T + 10 * round);
    rig_put_full(&rig, 0, T + 1000000 * (round + 1), T - 1000000, 0);
    assert_int_equal(rig_take(&rig), 1000 + 2 * round);
    assert_int_equal(rig_wait(&rig, 6000), -1);
    rig_put(&rig, 1, T + 10 * round + 1);
    assert_int_equal(rig_take(&rig), 1001 + 2 * round);
    all_read(&rig, 2);
    assert_int_equal(rig_take(&rig), round);
  }
  rig_close(&rig);
}

/* No end is ever told, and one partition has a message every five seconds: it is not behind, and it is not waited for as if it were. */
static void test_idle_and_nobody_tells(void **state) {
  (void)state;
  struct rig rig;
  struct tide_merge_ask ask;
  rig_open(&rig, usual, 2);
  assert_true(rig_ask(&rig, &ask));
  rig_put_full(&rig, 0, T + 90000000, T - 1000000, 0); /* old: it could wait ten seconds */
  int got = -1;
  for (int i = 0; i < 12 && got != 0; i++) {
    rig_put(&rig, 1, T + 6000 * i); /* its stamps even run a little ahead */
    assert_int_equal(rig_take(&rig), 1000 + i);
    got = rig_wait(&rig, 5000);
  }
  assert_int_equal(got, 0);
  assert_in_range(rig.now_ms - T, 10000, 20000);
  assert_true(rig_look(&rig, 1).slow);
  rig_close(&rig);
}

/* The partition's only item is held, so it has no head; a second question with the same answer lets the others go. */
static void test_an_end_told_again_counts_from_the_later_question(void **state) {
  (void)state;
  struct rig rig;
  rig_open(&rig, usual, 2);
  rig_put_full(&rig, 1, NO_TIME, T, 3);
  for (int i = 0; i < 3; i++) {
    rig_put(&rig, 0, T + i);
    assert_int_equal(rig_take(&rig), -1);
    all_read(&rig, 2);
    assert_int_equal(rig_take(&rig), i);
  }
  rig_close(&rig);
  assert_int_equal(rig.dropped, 1);
}

static void test_questions(void **state) {
  (void)state;
  struct rig rig;
  struct tide_merge_ask first, ask;
  rig_open(&rig, usual, 2);
  assert_true(tide_merge_due(rig.merge, rig_mono(&rig)).ns == rig.now_ms * 1000000);
  assert_true(rig_ask(&rig, &first)); /* where do we begin? */
  assert_false(rig_ask(&rig, &ask));
  rig.now_ms += 150;
  rig_answer(&rig, &first, NULL, 0); /* failed: not again at once, whatever waits */
  rig_put(&rig, 0, T);
  assert_int_equal(rig_take(&rig), -1);
  assert_false(rig_ask(&rig, &ask));
  rig.now_ms += 199;
  assert_false(rig_ask(&rig, &ask));
  assert_true(tide_merge_due(rig.merge, rig_mono(&rig)).ns == (rig.now_ms + 1) * 1000000);
  rig.now_ms += 1;
  assert_true(rig_ask(&rig, &first));
  struct tide_place place = rig_place(0, 0);
  tide_merge_begin(rig.merge, &place, (bool[]){true}, 1, rig_mono(&rig), rig_drop);
  assert_int_equal(rig.dropped, 1);
  rig.next[0] = 0;
  assert_true(rig_ask(&rig, &ask));
  rig_answer(&rig, &first, (uint64_t[]){7}, 1); /* an answer to the former claim */
  assert_int_equal(rig_look(&rig, 0).end, 0);
  rig_answer(&rig, &ask, (uint64_t[]){3}, 1);
  assert_int_equal(rig_look(&rig, 0).end, 3);
  /* catching up, no question helps; only the facts want one now and then */
  tide_merge_add(rig.merge, rig_place(1, 0), true, rig_mono(&rig));
  rig_ends(&rig, (uint64_t[]){3, 3}, 2);
  int questions = 0;
  for (int i = 0; i < 1000; i++) {
    if (i % 10 == 0) rig_put(&rig, 0, T + i);
    rig_take(&rig);
    if (rig_ask(&rig, &ask)) {
      rig_answer(&rig, &ask, (uint64_t[]){500, 500}, 2);
      questions++;
    }
    rig.now_ms++;
  }
  assert_in_range(questions, 4, 5);
  for (int p = 0; p < 2; p++) tide_merge_stop(rig.merge, rig_source(p), rig_partition(p), rig_mono(&rig));
  rig.now_ms += 1000;
  assert_false(rig_ask(&rig, &ask));
  rig_close(&rig);
}

static void test_a_log_that_shrank_is_not_drained(void **state) {
  (void)state;
  struct rig rig;
  rig_open(&rig, usual, 1);
  for (int i = 0; i < 3; i++) {
    rig_put(&rig, 0, T);
    assert_int_equal(rig_take(&rig), i);
  }
  rig_ends(&rig, (uint64_t[]){3}, 1);
  int64_t drained_ms = rig.now_ms;
  rig_take(&rig);
  rig.now_ms += 1000;
  rig_ends(&rig, (uint64_t[]){2}, 1);
  assert_int_equal(rig_take(&rig), -1);
  struct tide_merge_view view = rig_look(&rig, 0);
  assert_true(view.shrunk);
  assert_int_equal(view.end, 3);
  assert_int_equal(view.drained_ms, drained_ms);
  /* what waits for it does not ask again and again: the same would be told */
  struct tide_merge_ask ask;
  tide_merge_add(rig.merge, rig_place(1, 0), true, rig_mono(&rig));
  rig_ends(&rig, (uint64_t[]){3, 0}, 2);
  rig_put(&rig, 1, T);
  assert_int_equal(rig_take(&rig), -1);
  assert_true(rig_ask(&rig, &ask));
  rig_answer(&rig, &ask, (uint64_t[]){2, 1}, 2);
  assert_int_equal(rig_take(&rig), -1);
  assert_false(rig_ask(&rig, &ask));
  rig_close(&rig);
}

static void test_the_cursor_moves_over_markers(void **state) {
  (void)state;
  struct rig rig;
  rig_open(&rig, usual, 2);
  rig_put(&rig, 0, T);
  tide_merge_at_end(rig.merge, rig_source(0), rig_partition(0), 1, rig_mono(&rig));
  tide_merge_at_end(rig.merge, rig_source(0), rig_partition(0), 4, rig_mono(&rig));
  rig.next[0] = 4;
  rig_put(&rig, 1, T + 1);
  assert_int_equal(rig_take(&rig), 0);
  assert_int_equal(rig.part.next, 1);
  assert_true(tide_merge_take(rig.merge, rig_wall(&rig), rig_mono(&rig), &rig.item, &rig.part));
  assert_null(rig.item.ctx);
  assert_int_equal(rig.part.from, 1);
  assert_int_equal(rig.part.next, 4);
  assert_int_equal(rig.part.checksum, 0); /* no message */
  assert_int_equal(rig_take(&rig), -1);
  rig_ends(&rig, (uint64_t[]){4, 1}, 2);
  assert_int_equal(rig_take(&rig), 1000);
  rig_close(&rig);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_order_is_time_then_source_then_partition),
      cmocka_unit_test(test_a_read_partition_is_waited_for_until_asked_again),
      cmocka_unit_test(test_a_partition_that_catches_up_is_waited_for_while_it_gives),
      cmocka_unit_test(test_a_stuck_partition_delays_the_others_no_more_than_twice),
      cmocka_unit_test(test_once_caught_up_patience_is_the_age_of_what_waits),
      cmocka_unit_test(test_a_partition_that_falls_behind_is_given_up),
      cmocka_unit_test(test_pauses_of_the_caller_are_not_waiting),
      cmocka_unit_test(test_a_message_without_time_follows_its_predecessor),
      cmocka_unit_test(test_a_held_message_holds_what_is_behind_it),
      cmocka_unit_test(test_others_pass_a_held_message_in_the_end),
      cmocka_unit_test(test_many_holds),
      cmocka_unit_test(test_a_stopped_partition_holds_nobody),
      cmocka_unit_test(test_resumed_elsewhere_drops_and_resumed_there_keeps),
      cmocka_unit_test(test_what_does_not_gate_is_ordered_and_waited_for_by_nobody),
      cmocka_unit_test(test_by_arrival),
      cmocka_unit_test(test_ahead_of_time_beside_late_ones_without_end),
      cmocka_unit_test(test_those_before_do_not_keep_it_for_ever),
      cmocka_unit_test(test_patience_begins_when_the_last_one_was_given),
      cmocka_unit_test(test_catching_up_begins_anew),
      cmocka_unit_test(test_idle_and_nobody_tells),
      cmocka_unit_test(test_an_end_told_again_counts_from_the_later_question),
      cmocka_unit_test(test_questions),
      cmocka_unit_test(test_a_log_that_shrank_is_not_drained),
      cmocka_unit_test(test_the_cursor_moves_over_markers),
  };
  return cmocka_run_group_tests_name("merge", tests, NULL, NULL);
}
