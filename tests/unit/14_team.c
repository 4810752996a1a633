/* Teams: every job of every row is run once, rows follow one another, and what one row wrote the next one sees. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/team.h"

#define JOBS 500
#define ROWS 200

struct sums {
  uint64_t cell[JOBS];
};

/* Each row writes to other cells than it reads, without a lock: the end of a row is all that orders them. */
static void add_neighbour(void *ctx, size_t index) {
  struct sums *sums = ctx;
  sums[1].cell[index] = sums[0].cell[index] + sums[0].cell[(index + 1) % JOBS];
}

static void take_over(void *ctx, size_t index) {
  struct sums *sums = ctx;
  sums[0].cell[index] = sums[1].cell[index] % 1000003;
}

static void rows_follow_one_another(void **state) {
  (void)state;
  static const unsigned threads[] = {1, 2, 4, 9};
  static struct sums want[2], got[2];
  for (size_t t = 0; t < 4; t++) {
    struct tide_team *team = tide_team_new(threads[t]);
    struct sums *sums = t ? got : want;
    assert_true(tide_team_size(team) >= 1 && tide_team_size(team) <= threads[t]);
    for (size_t i = 0; i < JOBS; i++) sums[0].cell[i] = i * i;
    for (int row = 0; row < ROWS; row++) {
      tide_team_run(team, JOBS, add_neighbour, sums);
      tide_team_run(team, JOBS, take_over, sums);
    }
    if (t) assert_memory_equal(want[0].cell, got[0].cell, sizeof want[0].cell);
    tide_team_free(team);
  }
}

static void few_jobs_and_none(void **state) {
  (void)state;
  struct tide_team *team = tide_team_new(4);
  static struct sums sums[2];
  for (size_t count = 0; count < 4; count++)
    for (int row = 0; row < ROWS; row++) {
      for (size_t i = 0; i < JOBS; i++) sums[0].cell[i] = i + 1, sums[1].cell[i] = 0;
      tide_team_run(team, count, add_neighbour, sums);
      for (size_t i = 0; i < JOBS; i++) assert_int_equal(sums[1].cell[i], i < count ? 2 * i + 3 : 0);
    }
  tide_team_free(team);
  tide_team_free(NULL);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(rows_follow_one_another), cmocka_unit_test(few_jobs_and_none)};
  return cmocka_run_group_tests_name("team", tests, NULL, NULL);
}
