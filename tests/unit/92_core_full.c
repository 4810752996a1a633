/* A journal on this machine whose disk is full, and one in Redis that is at its maxmemory: what requests are told, and that both go on when there is room.
 *
 * In files nobody can be asked to see to replicas, so the cause is `unavailable`, whether the entry certainly is not in the log (refused) or may be (maybe); the session is
 * over, which is what /readyz shows. Redis goes on with what needs no room, so the session stands and the cause is its memory. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/support/core_rig.h"
#include "tests/support/small_fold.h"

static struct rig rig;

static int close_rig(void **state) {
  (void)state;
  rig_close(&rig);
  return 0;
}

static void ask_one(void) {
  rig_offer(&rig, rig_request(&rig, NULL, "c", 0));
  rig_settle(&rig);
}

static void assert_end(enum tide_offer_end end, enum tide_cause cause) {
  assert_int_equal(rig.last->end, end);
  assert_int_equal(rig.last->cause, cause);
  if (end != TIDE_END_done) assert_non_null(strstr(tide_buf_cstr(&rig.last->answer), "\"status\":\"refused\""));
}

static void make_room(void) {
  rig.full = false;
  assert_true(rig.session_waits);
  rig_act(&rig, &(struct tide_core_action){.kind = TIDE_DO_SESSION});
  rig_settle(&rig);
  assert_int_equal(tide_core_state(rig.core), TIDE_CORE_open);
  ask_one();
  assert_end(TIDE_END_done, TIDE_C_none);
}

static void an_append_without_room(void **state) {
  (void)state;
  rig_open_on(&rig, small_features, false, false);
  ask_one();
  assert_end(TIDE_END_done, TIDE_C_none);
  rig.full = true;
  ask_one();
  assert_end(TIDE_END_refused, TIDE_C_unavailable);
  assert_int_equal(tide_core_state(rig.core), TIDE_CORE_lost);
  rig_pass(&rig, 300);
  ask_one(); /* at once: nobody waits for room */
  assert_end(TIDE_END_refused, TIDE_C_unavailable);
  make_room();
}

/* The entry is in memory and goes in when there is room: then it counts. */
static void a_sync_without_room(void **state) {
  (void)state;
  rig_open_on(&rig, small_features, false, false);
  rig.slow = true;
  ask_one();
  assert_null(rig.last);
  rig.full = true;
  rig_step(&rig, &(struct tide_core_event){.kind = TIDE_CORE_SESSION_OVER, .err = TIDE_E_FULL});
  assert_end(TIDE_END_maybe, TIDE_C_unavailable);
  assert_non_null(strstr(tide_buf_cstr(&rig.last->answer), "\"counted\":\"maybe\""));
  assert_int_equal(tide_core_state(rig.core), TIDE_CORE_lost);
  rig.slow = false;
  make_room();
}

static void redis_at_its_maxmemory(void **state) {
  (void)state;
  rig_open(&rig, small_features, false);
  rig.full = true;
  ask_one();
  assert_end(TIDE_END_refused, TIDE_C_journal_full);
  assert_int_equal(tide_core_state(rig.core), TIDE_CORE_open);
  rig.full = false;
  ask_one();
  assert_end(TIDE_END_done, TIDE_C_none);
}

/* Nobody refuses a message: it is read again, although none comes behind it that would not connect. */
static void a_message_without_room_is_read_again(void **state) {
  (void)state;
  rig_open(&rig, small_features, true);
  rig_message(&rig);
  uint64_t cursor = rig.cursor, turn = rig.turn;
  rig.full = true;
  rig_message(&rig);
  rig.full = false;
  rig_pass(&rig, 1000);
  assert_true(rig.turn > turn);
  assert_int_equal(tide_fold_cursor(tide_core_fold(rig.core), rig.source, 0), cursor);
  rig.cursor = cursor; /* from where the log stands */
  rig_message(&rig);
  assert_int_equal(tide_fold_cursor(tide_core_fold(rig.core), rig.source, 0), cursor + 1);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test_teardown(an_append_without_room, close_rig),
                                     cmocka_unit_test_teardown(a_sync_without_room, close_rig),
                                     cmocka_unit_test_teardown(redis_at_its_maxmemory, close_rig),
                                     cmocka_unit_test_teardown(a_message_without_room_is_read_again, close_rig)};
  return cmocka_run_group_tests_name("core full", tests, NULL, NULL);
}
