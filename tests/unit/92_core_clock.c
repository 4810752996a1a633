/* A wall clock that is stepped, before anything is written with it (core_clock.c): the store's clock is compared first, so that no entry of a wrong clock stands in the journal.
 *
 * The core is driven by hand (tests/support/core_rig.h); what it wrote is read from the log. The simulator steps clocks between any two events (tests/sim), and
 * tests/e2e/77_incident_redis.py does it to a running engine. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/support/core_rig.h"
#include "tests/support/small_fold.h"

static struct rig rig;

static int open_rig(void **state) {
  (void)state;
  rig_open(&rig, small_features, false);
  return 0;
}
static int close_rig(void **state) {
  (void)state;
  rig_close(&rig);
  return 0;
}

/* The largest commit time in the log. */
static int64_t last_commit_ms(void) {
  struct tide_buf bytes = TIDE_BUF_INIT;
  struct tide_position at = {0, 0};
  struct tide_cursor_part part[TIDE_PARTS_MAX];
  struct tide_entry_reader reader;
  struct tide_error error = {0};
  int64_t last_ms = INT64_MIN;
  while (rig.journal->ops->read(rig.journal, at, false, &bytes, &at, &error) == TIDE_OK) {
    assert_int_equal(tide_entry_open(&reader, tide_buf_span(&bytes), part, &error), TIDE_OK);
    if (reader.header.commit_ms > last_ms) last_ms = reader.header.commit_ms;
  }
  tide_buf_release(&bytes);
  return last_ms;
}

/* A request that is carried out to its end at this moment. */
static void ask_one(void) {
  rig_offer(&rig, rig_request(&rig, NULL, "c", 0));
  rig_settle(&rig);
}

static void set_right_again(void) {
  rig.off_ms = 0;
  assert_true(rig.session_waits);
  rig_act(&rig, &(struct tide_core_action){.kind = TIDE_DO_SESSION});
  rig_settle(&rig);
}

static void nothing_is_written_by_a_stepped_clock(void **state) {
  (void)state;
  for (int turn = 0; turn < 4; turn++) {
    ask_one();
    assert_int_equal(rig.last->end, TIDE_END_done);
    unsigned appends = rig.appends, back = rig.back;
    rig.off_ms = turn % 2 ? -3000 : 3000;
    ask_one();
    assert_int_equal(tide_core_state(rig.core), TIDE_CORE_lost); /* the SYNC that was asked first has found it */
    rig_pass(&rig, 300);
    assert_int_equal(rig.back, back + 1);
    assert_int_equal(rig.last->end, TIDE_END_refused); /* and not maybe */
    assert_int_equal(rig.last->cause, TIDE_C_unavailable);
    assert_int_equal(rig.appends, appends);
    assert_in_range(last_commit_ms(), RIG_NOW, rig.wall_ms);
    assert_int_equal(tide_core_stats(rig.core).clock_steps, (uint64_t)turn + 1);
    assert_int_equal(tide_core_stats(rig.core).clock_step_ms, rig.off_ms);
    set_right_again();
    ask_one();
    assert_int_equal(rig.last->end, TIDE_END_done);
    assert_in_range(last_commit_ms(), RIG_NOW, rig.wall_ms);
  }
}

/* The machine was set right, or by little: the store agrees, so what waits goes on. */
static void a_step_that_the_store_agrees_with_costs_one_sync(void **state) {
  (void)state;
  ask_one();
  uint64_t syncs = tide_core_stats(rig.core).syncs;
  unsigned appends = rig.appends;
  rig.off_ms = 300;
  rig.slow = true;
  ask_one();
  assert_true(rig.sync_waits);
  assert_int_equal(rig.appends, appends); /* it waits for the comparison */
  rig.slow = false;
  rig_sync(&rig);
  rig_settle(&rig);
  assert_int_equal(rig.last->end, TIDE_END_done);
  assert_int_equal(rig.appends, appends + 1);
  assert_int_equal(tide_core_stats(rig.core).syncs, syncs + 2);
  ask_one();
  assert_int_equal(tide_core_stats(rig.core).syncs, syncs + 3); /* and no more for the next */
}

/* The SYNC under way comes back and finds a wrong clock: who waits is refused and nothing is written, until the clock is right. */
static void refused_until_set_right(unsigned appends) {
  rig_sync(&rig);
  rig_pass(&rig, 300);
  assert_int_equal(rig.last->end, TIDE_END_refused);
  assert_int_equal(rig.appends, appends);
  rig.slow = false;
  set_right_again();
  ask_one();
  assert_int_equal(rig.last->end, TIDE_END_done);
}

/* A SYNC that was on its way when the clock was stepped has compared the one or the other, and tells which. */
static void a_sync_across_the_step_says_nothing(void **state) {
  (void)state;
  ask_one();
  rig.slow = true;
  rig_offer(&rig, rig_request(&rig, NULL, "c", 0));
  unsigned appends = rig.appends;
  assert_true(rig.sync_waits);
  rig.off_ms = -400;
  rig.compared_ms = 400; /* the one before the step */
  rig_sync(&rig);        /* the entry is durable; its clock was right */
  rig_settle(&rig);
  assert_int_equal(rig.last->end, TIDE_END_done);
  rig_offer(&rig, rig_request(&rig, NULL, "c", 0));
  rig_settle(&rig);
  assert_true(rig.sync_waits);
  assert_int_equal(rig.appends, appends);
  rig.off_ms = -3000; /* set once more, while it was asked for */
  refused_until_set_right(appends);
}

/* The clock is wrong when the SYNC is asked for and when it has come back, and was right in between, when it was compared. */
static void a_clock_that_was_right_for_a_moment(void **state) {
  (void)state;
  ask_one();
  unsigned appends = rig.appends;
  rig.slow = true;
  rig.off_ms = -3000;
  rig_offer(&rig, rig_request(&rig, NULL, "c", 0));
  assert_true(rig.sync_waits);
  rig.compared_ms = 3000;
  rig_sync(&rig);
  rig_settle(&rig);
  assert_int_equal(rig.appends, appends);
  assert_true(rig.sync_waits); /* it asks for the clock that it has */
  refused_until_set_right(appends);
}

/* Without requests too: a heartbeat would write an entry. */
static void an_idle_engine_notices(void **state) {
  (void)state;
  unsigned appends = rig.appends;
  rig.off_ms = 60000;
  rig_pass(&rig, 20);
  assert_int_equal(tide_core_state(rig.core), TIDE_CORE_lost);
  assert_int_equal(rig.appends, appends);
  set_right_again();
  assert_int_equal(tide_core_state(rig.core), TIDE_CORE_open);
}

/* Time that passes, and a process that stands still, are no step. */
static void time_passes_on_both_clocks(void **state) {
  (void)state;
  for (int i = 0; i < 50; i++) {
    rig_pass(&rig, 10);
    if (i % 10 == 9) rig_stand_still(&rig, 40000);
    ask_one();
    assert_int_equal(rig.last->end, TIDE_END_done);
  }
  assert_int_equal(tide_core_stats(rig.core).clock_steps, 0);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, open_rig, close_rig)
  const struct CMUnitTest tests[] = {TEST(nothing_is_written_by_a_stepped_clock),
                                     TEST(a_step_that_the_store_agrees_with_costs_one_sync),
                                     TEST(a_sync_across_the_step_says_nothing),
                                     TEST(a_clock_that_was_right_for_a_moment),
                                     TEST(an_idle_engine_notices),
                                     TEST(time_passes_on_both_clocks)};
  return cmocka_run_group_tests_name("core clock", tests, NULL, NULL);
}
