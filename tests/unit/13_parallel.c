/* Rows of jobs on several threads: each is run once whatever the number of threads, and the error is the one a plain loop would meet. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdatomic.h>
#include <string.h>

#include "base/parallel.h"

#define JOBS 300

struct seen {
  atomic_uint times[JOBS];
  size_t bad_from; /* every job from here on fails */
};

static enum tide_err job(void *ctx, size_t index, struct tide_error *error) {
  struct seen *seen = ctx;
  atomic_fetch_add(&seen->times[index], 1);
  return index < seen->bad_from ? TIDE_OK : tide_fail(error, TIDE_E_IO, "job %zu", index);
}

static void each_job_runs_once(void **state) {
  (void)state;
  static const unsigned threads[] = {1, 2, 4, TIDE_THREADS_MAX};
  for (size_t t = 0; t < 4; t++) {
    struct seen seen = {.bad_from = JOBS};
    struct tide_error error = {0};
    assert_int_equal(tide_parallel(threads[t], JOBS, job, &seen, &error), TIDE_OK);
    for (size_t i = 0; i < JOBS; i++) assert_int_equal(atomic_load(&seen.times[i]), 1);
    assert_int_equal(tide_parallel(threads[t], 0, job, &seen, &error), TIDE_OK);
    assert_int_equal(atomic_load(&seen.times[0]), 1);
  }
}

static void the_lowest_failure_is_told(void **state) {
  (void)state;
  for (unsigned threads = 1; threads <= 8; threads++) {
    struct seen seen = {.bad_from = 100};
    struct tide_error error = {0};
    assert_int_equal(tide_parallel(threads, JOBS, job, &seen, &error), TIDE_E_IO);
    assert_string_equal(error.text, "job 100");
    unsigned failed = 0;
    for (size_t i = 0; i < JOBS; i++) {
      unsigned times = atomic_load(&seen.times[i]);
      if (i <= 100) assert_int_equal(times, 1);
      assert_true(times <= 1);
      failed += i >= 100 ? times : 0;
    }
    assert_in_range(failed, 1, threads); /* nobody begins another after a failure */
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(each_job_runs_once), cmocka_unit_test(the_lowest_failure_is_told)};
  return cmocka_run_group_tests_name("parallel", tests, NULL, NULL);
}
