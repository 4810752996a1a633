/* The simulator over a Redis group (redis.c): the core, and the journal's protocol with its servers, under every failure that leaves what was acknowledged on some
 * node, and under those that destroy it.
 *
 * TIDE_CASES, TIDE_SEED and TIDE_STEPS as in 10_sim.c (make sim). */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/sim/campaign_case.h"

static const struct sim_program program = {.campaigns = 3, .seeds = 300, .steps = 5000};

static void nothing_acknowledged_is_lost(void **state) {
  (void)state;
  struct sim_counts c = sim_case(&program, SIM_REDIS, "redis");
  const uint64_t must[] = {c.done,       c.refused,  c.maybe,       c.duplicates,  c.crashes, c.server_crashes, c.server_restarts,
                           c.promotions, c.freezes,  c.cuts,        c.conn_faults, c.refills, c.stale,          c.sessions_lost,
                           c.no_session, c.verified, c.foreign,     c.epochs,      c.settled, c.skewed,         c.pressed,
                           c.questions,  c.checked,  c.clock_steps, c.clock_asked};
  sim_assert_all(&program, must, sizeof must / sizeof must[0]);
}

static void one_entry_is_acknowledged_at_a_position(void **state) {
  (void)state;
  struct sim_counts c = sim_case(&program, SIM_SPLIT, "split");
  const uint64_t must[] = {c.done, c.promotions, c.history_lost, c.stale, c.epochs, c.refills};
  sim_assert_all(&program, must, sizeof must / sizeof must[0]);
}

static void nobody_goes_on_from_destroyed_history(void **state) {
  (void)state;
  struct sim_counts c = sim_case(&program, SIM_RUIN, "ruin");
  const uint64_t must[] = {c.done, c.wipes, c.history_lost, c.no_session};
  sim_assert_all(&program, must, sizeof must / sizeof must[0]);
}

static void a_seed_is_a_run(void **state) {
  (void)state;
  sim_assert_repeats(SIM_RUIN, 5);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(nothing_acknowledged_is_lost),
                                     cmocka_unit_test(nobody_goes_on_from_destroyed_history),
                                     cmocka_unit_test(one_entry_is_acknowledged_at_a_position), cmocka_unit_test(a_seed_is_a_run)};
  return cmocka_run_group_tests_name("sim on redis", tests, NULL, NULL);
}
