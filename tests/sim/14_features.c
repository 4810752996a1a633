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

#include "tests/sim/world.h"

#define SEEDS_DEFAULT 100
#define STEPS_DEFAULT 5000

static uint64_t number_from(const char *name, uint64_t otherwise) {
  const char *text = getenv(name);
  return text && *text ? strtoull(text, NULL, 0) : otherwise;
}

static bool run_seed(uint64_t seed, unsigned steps, struct sim_counts *counts) {
  struct sim_world *world = sim_new(SIM_FEATURES, seed, counts);
  bool good = sim_run(world, steps);
  if (!good)
    fprintf(stderr, "seed %llu: %s\n  again with: make sim CASES=1 SEED=%llu\n", (unsigned long long)seed, world->why,
            (unsigned long long)seed);
  sim_free(world);
  return good;
}

static void files_follow_one_another(void **state) {
  (void)state;
  uint64_t seeds = number_from("TIDE_CASES", SEEDS_DEFAULT), first = number_from("TIDE_SEED", 1);
  unsigned steps = (unsigned)number_from("TIDE_STEPS", STEPS_DEFAULT);
  struct sim_counts counts = {0};
  uint64_t failed = 0, enough = number_from("TIDE_FAILURES", 3);
  for (uint64_t i = 0; i < seeds && failed < enough; i++) failed += !run_seed(first + i, steps, &counts);
#define X(name) printf("# %s: %llu\n", #name, (unsigned long long)counts.name);
  SIM_COUNTS(X)
#undef X
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
    assert_true(run_seed(seed, 3000, &one));
    assert_true(run_seed(seed, 3000, &two));
    assert_memory_equal(&one, &two, sizeof one);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(files_follow_one_another), cmocka_unit_test(a_seed_is_a_run)};
  return cmocka_run_group_tests_name("sim of feature files", tests, NULL, NULL);
}
