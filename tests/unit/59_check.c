/* CHECK records: engines tell each other what they have decided up to a position, and a difference is counted. Bytes there and back, every cut refused; agreement,
 * difference, and positions that are not remembered; and none of it decides anything. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "tests/support/small_fold.h"

static struct tide_cursor_part part[TIDE_PARTS_MAX];

static void entry_of(const struct tide_check_point *point, struct tide_buf *out) {
  struct tide_batch batch;
  tide_batch_begin(&batch, out, &(struct tide_entry_header){.fence_nonce = 7, .attempt_nonce = 5}, NULL, 0);
  assert_int_equal(tide_batch_add_check(&batch, point), TIDE_OK);
  tide_batch_end(&batch);
}

static void bytes_there_and_back(void **state) {
  (void)state;
  const struct tide_check_point point = {{3, UINT64_MAX}, 12345678901, {1, UINT64_MAX}};
  struct tide_buf entry = TIDE_BUF_INIT;
  struct tide_entry_reader reader;
  struct tide_raw_record raw;
  struct tide_check_point back;
  entry_of(&point, &entry);
  assert_int_equal(tide_entry_open(&reader, tide_buf_span(&entry), part, NULL), TIDE_OK);
  assert_int_equal(tide_entry_next(&reader, &raw, NULL), TIDE_OK);
  assert_int_equal(raw.type, TIDE_REC_CHECK);
  assert_int_equal(tide_check_decode(&raw, &back, NULL), TIDE_OK);
  assert_true(tide_position_cmp(back.position, point.position) == 0 && back.decisions == point.decisions &&
              tide_u128_eq(back.digest, point.digest));
  for (size_t len = 0; len < raw.payload.len; len++) {
    struct tide_raw_record cut = {raw.type, 0, {raw.payload.ptr, len}};
    assert_int_equal(tide_check_decode(&cut, &back, NULL), TIDE_E_CORRUPT);
  }
  raw.flags = 1;
  assert_int_equal(tide_check_decode(&raw, &back, NULL), TIDE_E_VERSION);
  tide_buf_release(&entry);
}

static void ignore(void *ctx, const struct tide_answer *answer) { (void)ctx, (void)answer; }

/* Folds an entry with this point in it and gives what the fold has counted. */
static void tell(struct tide_fold *fold, const struct tide_check_point *point, int64_t checked, int64_t diverged) {
  struct tide_buf entry = TIDE_BUF_INIT;
  struct tide_position at = tide_fold_position(fold);
  at.seq++;
  entry_of(point, &entry);
  struct tide_check_point before = tide_fold_point(fold), after;
  assert_int_equal(tide_fold_entry(fold, at, tide_buf_span(&entry), ignore, NULL, NULL), TIDE_OK);
  assert_int_equal(tide_fold_metrics(fold)->value[TIDE_M_journal_checked_total], checked);
  assert_int_equal(tide_fold_metrics(fold)->value[TIDE_M_journal_diverged_total], diverged);
  after = tide_fold_point(fold);
  assert_true(after.decisions == before.decisions && tide_u128_eq(after.digest, before.digest));
  tide_buf_release(&entry);
}

static void a_difference_is_counted(void **state) {
  (void)state;
  struct tide_spec *spec = small_spec();
  struct tide_fold *fold = tide_fold_new();
  small_fold_on(fold, spec, 0, 100, ignore, NULL);
  struct tide_check_point early = tide_fold_point(fold);
  small_fold_on(fold, spec, 100, 100, ignore, NULL);
  struct tide_check_point late = tide_fold_point(fold);
  assert_true(late.decisions > early.decisions);
  tell(fold, &early, 1, 0); /* an engine that is behind */
  tell(fold, &late, 2, 0);
  struct tide_check_point wrong = late;
  wrong.digest.lo ^= 1;
  tell(fold, &wrong, 2, 1);
  wrong = early;
  wrong.decisions++;
  tell(fold, &wrong, 2, 2);
  tell(fold, &(struct tide_check_point){{9, 3}, 1, {1, 1}}, 2, 2); /* not this log's, or not yet there: nothing to compare with */
  tide_fold_free(fold);
  tide_spec_free(spec);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(bytes_there_and_back), cmocka_unit_test(a_difference_is_counted)};
  return cmocka_run_group_tests_name("check", tests, NULL, NULL);
}
