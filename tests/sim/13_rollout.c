/* The simulator with a registry (rollout.h): rollouts, canary weights, policies and rollbacks, brought by several engines at once, by some
 * late and by some never, over the log in memory with all its faults. Checked in the verdict: no decision by a version that was not in force
 * at its position, no card with two models under one rollout, no card moved by a weight that is not its own, no repetition with another answer
 * than the first, and one state at every position.
 *
 * TIDE_CASES, TIDE_SEED and TIDE_STEPS as in 10_sim.c (make sim). */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/campaign.h"

#define SEEDS_DEFAULT 120
#define STEPS_DEFAULT 5000

/* TIDE_ONLY=rollout or kafka_rollout: one campaign alone, for the mutants. TIDE_CASES is for both together, unless one was chosen. */
static uint64_t seeds_each(void) {
  uint64_t all = sim_number("TIDE_CASES", 2 * SEEDS_DEFAULT);
  return getenv("TIDE_ONLY") ? all : (all + 1) / 2;
}

static struct sim_counts campaign(enum sim_kind kind) {
  const char *only = getenv("TIDE_ONLY"), *name = kind == SIM_ROLLOUT ? "rollout" : "kafka_rollout";
  if (only && strcmp(only, name) != 0) skip();
  struct sim_counts counts = {0};
  printf("# %s\n", name);
  uint64_t failed = sim_campaign(kind, seeds_each(), STEPS_DEFAULT, &counts);
  assert_int_equal(failed, 0);
  return counts;
}

static void assert_all(const uint64_t *must, size_t count) {
  if (seeds_each() < 100) return;
  for (size_t i = 0; i < count; i++) assert_int_not_equal(must[i], 0);
}

static void who_is_in_force_decides(void **state) {
  (void)state;
  struct sim_counts c = campaign(SIM_ROLLOUT);
  const uint64_t must[] = {c.done,          c.duplicates,    c.crashes,       c.store_crashes,  c.from_snapshot, c.rollouts,
                           c.rollouts_past, c.rollouts_void, c.rollouts_deaf, c.rollouts_moved, c.canaries,      c.settled};
  assert_all(must, sizeof must / sizeof must[0]);
}

static void also_of_messages(void **state) {
  (void)state;
  struct sim_counts c = campaign(SIM_KAFKA_ROLLOUT);
  const uint64_t must[] = {c.done,     c.duplicates,    c.produced,      c.scores_again,  c.claims,   c.openings, c.from_snapshot,
                           c.rollouts, c.rollouts_past, c.rollouts_void, c.rollouts_deaf, c.canaries, c.settled};
  assert_all(must, sizeof must / sizeof must[0]);
}

/* The same seed is the same run: everything counted is equal, twice. */
static void a_seed_is_a_run(void **state) {
  (void)state;
  for (uint64_t seed = 7001; seed < 7004; seed++) {
    struct sim_counts one = {0}, two = {0};
    assert_true(sim_seed(SIM_KAFKA_ROLLOUT, seed, 3000, &one));
    assert_true(sim_seed(SIM_KAFKA_ROLLOUT, seed, 3000, &two));
    assert_memory_equal(&one, &two, sizeof one);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(who_is_in_force_decides), cmocka_unit_test(also_of_messages),
                                     cmocka_unit_test(a_seed_is_a_run)};
  return cmocka_run_group_tests_name("sim of rollouts", tests, NULL, NULL);
}
