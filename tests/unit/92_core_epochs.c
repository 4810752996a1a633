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

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_teardown(without_a_register, close_rig), cmocka_unit_test_teardown(a_number_that_is_taken, close_rig),
      cmocka_unit_test_teardown(an_epoch_that_was_passed, close_rig), cmocka_unit_test_teardown(an_epoch_that_this_engine_has_seen, close_rig)};
  return cmocka_run_group_tests_name("core epochs", tests, NULL, NULL);
}
