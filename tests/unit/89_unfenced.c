/* An epoch that begins without a fence: what a server makes of a late entry after it was rolled back behind the fence (fold.h).
 *
 * Nothing of it may count, whatever nonce its entries bear, the fold must go on, and the next fence must make everything good. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/support/small_fold.h"

static void count_answer(void *ctx, const struct tide_answer *answer) {
  (void)answer;
  ++*(unsigned *)ctx;
}

/* One entry of one event, or a fence, at `at` under `nonce`. */
static unsigned fold_one(struct tide_fold *fold, const struct tide_spec *spec, struct tide_position at, uint64_t nonce, bool fence) {
  static unsigned number = 5000;
  struct tide_buf entry = TIDE_BUF_INIT;
  struct tide_batch batch;
  struct tide_error error = {0};
  unsigned answers = 0;
  char id[24];
  tide_batch_begin(&batch, &entry, &(struct tide_entry_header){.fence_nonce = nonce, .commit_ms = 1700000500000}, NULL, 0);
  if (fence) {
    assert_int_equal(
        tide_batch_add_fence(&batch, &(struct tide_fence){.nonce = nonce, .epoch = at.epoch, .engine_id = 1, .session = {5, 5}}), TIDE_OK);
  } else {
    struct tide_record *record = tide_alloc(sizeof *record);
    record->type = TIDE_REC_EVENT;
    record->offset = number;
    record->time.ms = 1700000400000;
    snprintf(id, sizeof id, "u%u", number++);
    small_text(spec, record, "id", id);
    small_text(spec, record, "card", "c1");
    assert_int_equal(tide_batch_add(&batch, spec, record), TIDE_OK);
    tide_free(record);
  }
  tide_batch_end(&batch);
  assert_int_equal(tide_fold_entry(fold, at, tide_buf_span(&entry), count_answer, &answers, &error), TIDE_OK);
  tide_buf_release(&entry);
  return answers;
}

static void nothing_of_it_counts(void **state) {
  (void)state;
  struct tide_spec *spec = small_spec();
  struct tide_fold *fold = tide_fold_new();
  unsigned answers = 0;
  small_fold_on(fold, spec, 0, 20, count_answer, &answers);
  assert_int_not_equal(answers, 0);
  assert_int_equal(fold_one(fold, spec, (struct tide_position){1, 3}, 7, false), 1);
  uint64_t decisions = tide_fold_point(fold).decisions;
  assert_int_equal(fold_one(fold, spec, (struct tide_position){2, 0}, 9, false), 0); /* the fence with nonce 9 is gone */
  assert_int_equal(tide_fold_nonce(fold), 0);
  assert_true(tide_fold_session(fold).lo == 0 && tide_fold_session(fold).hi == 0); /* of nobody: whoever reads it opens another */
  assert_int_equal(fold_one(fold, spec, (struct tide_position){2, 1}, 9, false), 0);
  assert_int_equal(fold_one(fold, spec, (struct tide_position){2, 2}, 7, false), 0);
  assert_int_equal(tide_fold_point(fold).decisions, decisions);
  assert_int_equal(fold_one(fold, spec, (struct tide_position){3, 0}, 11, true), 0);
  assert_int_equal(tide_fold_nonce(fold), 11);
  assert_int_equal(fold_one(fold, spec, (struct tide_position){3, 1}, 9, false), 0);
  assert_int_equal(fold_one(fold, spec, (struct tide_position){3, 2}, 11, false), 1);
  assert_int_equal(tide_fold_point(fold).decisions, decisions + 1);
  tide_fold_free(fold);
  tide_spec_free(spec);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(nothing_of_it_counts)};
  return cmocka_run_group_tests_name("unfenced", tests, NULL, NULL);
}
