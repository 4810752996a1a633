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

#include "tests/sim/campaign_case.h"

static const struct sim_program program = {.campaigns = 2, .seeds = 120, .steps = 5000};

static void who_is_in_force_decides(void **state) {
  (void)state;
  struct sim_counts c = sim_case(&program, SIM_ROLLOUT, "rollout");
  const uint64_t must[] = {c.done,          c.duplicates,    c.crashes,       c.store_crashes,  c.from_snapshot, c.rollouts,
                           c.rollouts_past, c.rollouts_void, c.rollouts_deaf, c.rollouts_moved, c.canaries,      c.settled};
  sim_assert_all(&program, must, sizeof must / sizeof must[0]);
}

static void also_of_messages(void **state) {
  (void)state;
  struct sim_counts c = sim_case(&program, SIM_KAFKA_ROLLOUT, "kafka_rollout");
  const uint64_t must[] = {c.done,     c.duplicates,    c.produced,      c.scores_again,  c.claims,   c.openings, c.from_snapshot,
                           c.rollouts, c.rollouts_past, c.rollouts_void, c.rollouts_deaf, c.canaries, c.settled};
  sim_assert_all(&program, must, sizeof must / sizeof must[0]);
}

static void a_seed_is_a_run(void **state) {
  (void)state;
  sim_assert_repeats(SIM_KAFKA_ROLLOUT, 3);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(who_is_in_force_decides), cmocka_unit_test(also_of_messages),
                                     cmocka_unit_test(a_seed_is_a_run)};
  return cmocka_run_group_tests_name("sim of rollouts", tests, NULL, NULL);
}
