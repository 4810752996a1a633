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

#include <stdio.h>
#include <stdlib.h>

#include "tests/sim/campaign.h"

#define SEEDS_DEFAULT 100
#define STEPS_DEFAULT 5000

static void files_follow_one_another(void **state) {
  (void)state;
  uint64_t seeds = sim_number("TIDE_CASES", SEEDS_DEFAULT);
  struct sim_counts counts = {0};
  uint64_t failed = sim_campaign(SIM_FEATURES, seeds, STEPS_DEFAULT, &counts);
  assert_int_equal(failed, 0);
  if (seeds < 100) return;
  const uint64_t must[] = {counts.done,          counts.duplicates, counts.crashes,        counts.store_crashes,
                           counts.from_snapshot, counts.switches,   counts.switches_early, counts.settled};
  for (size_t i = 0; i < sizeof must / sizeof must[0]; i++) assert_int_not_equal(must[i], 0);
}

/* The same seed is the same run: everything counted is equal, twice. */
static void a_seed_is_a_run(void **state) {
  (void)state;
  for (uint64_t seed = 7001; seed < 7004; seed++) {
    struct sim_counts one = {0}, two = {0};
    assert_true(sim_seed(SIM_FEATURES, seed, 3000, &one));
    assert_true(sim_seed(SIM_FEATURES, seed, 3000, &two));
    assert_memory_equal(&one, &two, sizeof one);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(files_follow_one_another), cmocka_unit_test(a_seed_is_a_run)};
  return cmocka_run_group_tests_name("sim of feature files", tests, NULL, NULL);
}
