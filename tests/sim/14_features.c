/* The simulator with feature files that follow one another (features.c): two files take turns, brought by several engines at once, and each engine goes over when it has
 * folded the log under the next, some at once and some late, through crashes in between and restarts from snapshots of before, behind and amid. Checked in the verdict:
 * one state at every
 * position, the same answers from the fold from nothing, no repetition with another answer than the first, nothing counted twice or lost.
 *
 * TIDE_CASES, TIDE_SEED and TIDE_STEPS as in 10_sim.c (make sim). */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/sim/campaign_case.h"

static const struct sim_program program = {.campaigns = 1, .seeds = 100, .steps = 5000};

static void files_follow_one_another(void **state) {
  (void)state;
  struct sim_counts c = sim_case(&program, SIM_FEATURES, "features");
  const uint64_t must[] = {c.done, c.duplicates, c.crashes, c.store_crashes, c.from_snapshot, c.switches, c.switches_early, c.settled};
  sim_assert_all(&program, must, sizeof must / sizeof must[0]);
}

static void a_seed_is_a_run(void **state) {
  (void)state;
  sim_assert_repeats(SIM_FEATURES, 3);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(files_follow_one_another), cmocka_unit_test(a_seed_is_a_run)};
  return cmocka_run_group_tests_name("sim of feature files", tests, NULL, NULL);
}
