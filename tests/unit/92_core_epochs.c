/* Numbers of epochs: one that somebody else has taken is not opened, and an epoch below one that was taken is not gone on with, before anything is acknowledged in it.
 *
 * The register is the rig's: another opener, on a server that this one knows nothing of, is a number that appears in it. */
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

static uint64_t epoch_of(void) { return tide_fold_position(tide_core_fold(rig.core)).epoch; }

/* Another life of the server: the next session needs an epoch of its own. */
static void fail_over(void) {
  tide_journal_memory_new_session(rig.journal);
  rig_step(&rig, &(struct tide_core_event){.kind = TIDE_CORE_SESSION_OVER, .err = TIDE_E_IO});
  rig_settle(&rig);
  rig_pass(&rig, 100);
}

static void assert_answers(void) {
  assert_int_equal(tide_core_state(rig.core), TIDE_CORE_open);
  rig_offer(&rig, rig_request(&rig, NULL, "c", 0));
  rig_settle(&rig);
  assert_int_equal(rig.last->end, TIDE_END_done);
  assert_int_equal(rig.last->position.epoch, epoch_of());
}

static void without_a_register(void **state) {
  (void)state;
  rig_open(&rig, small_features, true);
  assert_int_equal(epoch_of(), 1);
  fail_over();
  assert_int_equal(epoch_of(), 2);
  assert_answers();
}

static void a_number_that_is_taken(void **state) {
  (void)state;
  rig_open(&rig, small_features, true);
  rig.registered = true;
  rig.epoch_taken = 5;
  fail_over();
  assert_int_equal(epoch_of(), 6);
  assert_answers();
}

/* Taken by somebody else between the opening here and the question for the ends. */
static void an_epoch_that_was_passed(void **state) {
  (void)state;
  rig_open(&rig, small_features, true);
  rig.registered = true;
  rig.passed_by = 9;
  fail_over();
  assert_int_equal(epoch_of(), 10);
  assert_int_equal(rig.epoch_taken, 10);
  assert_answers();
}

/* What a disk remembers of a history that is lost. */
static void an_epoch_that_this_engine_has_seen(void **state) {
  (void)state;
  rig_open(&rig, small_features, true);
  struct tide_core_options options = {.engine_id = 2,
                                      .seed = 8,
                                      .settings = tide_settings_default(),
                                      .features = {rig.spec->text, rig.spec->text_len},
                                      .batch_records_max = 64,
                                      .queue_max = 64,
                                      .epoch_seen = 30,
                                      .shared = true};
  options.settings.history_from_ms = 0;
  tide_core_free(rig.core);
  rig.core = tide_core_new(&options, tide_fold_new());
  rig_settle(&rig);
  assert_int_equal(epoch_of(), 31); /* in the same session: the fence that stands is not good enough */
}

static void arrived(uint64_t number) {
  rig_step(&rig, &(struct tide_core_event){.kind = TIDE_CORE_LEFT, .turn = rig.emit_turn, .number = number});
}

static void assert_left(unsigned which, uint64_t number, uint64_t epoch, bool superseded) {
  assert_true(which < rig.emits);
  assert_true(rig.left[which].number == number && rig.left[which].epoch == epoch && rig.left[which].superseded == superseded);
}

/* What this history had let go may have been told otherwise in another one, should it have been left behind. */
static void answers_leave_again(void **state) {
  (void)state;
  rig_open_with(&rig, small_features, true, true, true);
  rig_message(&rig);
  assert_left(0, 1, 1, false);
  arrived(1);
  rig_message(&rig);
  assert_left(1, 2, 1, false);
  fail_over(); /* nothing can be lost: what has not arrived leaves once more as it was */
  assert_int_equal(rig.emits, 3);
  assert_left(2, 2, 1, false);
  rig.delivered = 2;
  fail_over();
  assert_int_equal(rig.emits, 4);
  assert_left(3, 2, 3, true);
  arrived(2);
  rig_message(&rig);
  assert_left(4, 3, 3, false);
  arrived(3);
  rig_message(&rig); /* with it the log knows that they have left */
  assert_left(5, 4, 3, false);
  const struct tide_ledger *ledger = tide_fold_ledger(tide_core_fold(rig.core));
  assert_true(ledger->emitted == 3 && ledger->answers == 4);
  fail_over();
  assert_int_equal(rig.emits, 9); /* and all of them leave again */
  for (unsigned i = 0; i < 3; i++) assert_left(6 + i, 2 + i, 4, true);
  assert_true(tide_ledger_supersedes(ledger, tide_fold_position(tide_core_fold(rig.core)))); /* the last entry of the opening */
  assert_answers();
  assert_false(tide_ledger_supersedes(ledger, rig.last->position));
}

/* A session that ends, and the next is of the same servers: a new turn begins, and nothing that was given out is given out again. */
static void answers_leave_once_in_an_epoch(void **state) {
  (void)state;
  rig_open_with(&rig, small_features, true, true, true);
  rig_message(&rig);
  rig_message(&rig);
  uint64_t turn = rig.turn, epoch = epoch_of();
  arrived(1);
  rig_step(&rig, &(struct tide_core_event){.kind = TIDE_CORE_SESSION_OVER, .err = TIDE_E_IO});
  arrived(2); /* while there is no session */
  rig_settle(&rig);
  assert_true(rig.turn > turn && epoch_of() == epoch);
  assert_int_equal(rig.emits, 2);
  const struct tide_ledger *ledger = tide_fold_ledger(tide_core_fold(rig.core));
  assert_int_equal(ledger->emitted, 0); /* what stands in the log does not know it */
  rig_message(&rig);
  rig_message(&rig);
  assert_int_equal(rig.emits, 4);
  assert_left(2, 3, 1, false);
  assert_left(3, 4, 1, false);
  assert_int_equal(ledger->emitted, 2);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test_teardown(without_a_register, close_rig),
                                     cmocka_unit_test_teardown(a_number_that_is_taken, close_rig),
                                     cmocka_unit_test_teardown(an_epoch_that_was_passed, close_rig),
                                     cmocka_unit_test_teardown(an_epoch_that_this_engine_has_seen, close_rig),
                                     cmocka_unit_test_teardown(answers_leave_again, close_rig),
                                     cmocka_unit_test_teardown(answers_leave_once_in_an_epoch, close_rig)};
  return cmocka_run_group_tests_name("core epochs", tests, NULL, NULL);
}
