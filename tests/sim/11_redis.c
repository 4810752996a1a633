/* The simulator over a Redis group (redis.c): the core, and the journal's protocol with its servers, under every failure that leaves what was acknowledged on some
 * node, and under those that destroy it.
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

#define SEEDS_DEFAULT 300
#define STEPS_DEFAULT 5000

/* TIDE_CASES is for all campaigns together, unless one was chosen. */
static uint64_t seeds_each(void) {
  uint64_t all = sim_number("TIDE_CASES", 3 * SEEDS_DEFAULT);
  return getenv("TIDE_ONLY") ? all : (all + 2) / 3;
}

/* TIDE_ONLY=redis, ruin or split: one campaign alone, for the mutants. */
static struct sim_counts campaign(enum sim_kind kind) {
  const char *only = getenv("TIDE_ONLY"), *name = kind == SIM_RUIN ? "ruin" : kind == SIM_SPLIT ? "split" : "redis";
  if (only && strcmp(only, name) != 0) skip();
  struct sim_counts counts = {0};
  uint64_t failed = sim_campaign(kind, seeds_each(), STEPS_DEFAULT, &counts);
  assert_int_equal(failed, 0);
  return counts;
}

static void assert_all(const uint64_t *must, size_t count) {
  if (seeds_each() < 100) return;
  for (size_t i = 0; i < count; i++) assert_int_not_equal(must[i], 0);
}

static void nothing_acknowledged_is_lost(void **state) {
  (void)state;
  struct sim_counts c = campaign(SIM_REDIS);
  const uint64_t must[] = {c.done,       c.refused,  c.maybe,       c.duplicates,  c.crashes, c.server_crashes, c.server_restarts,
                           c.promotions, c.freezes,  c.cuts,        c.conn_faults, c.refills, c.stale,          c.sessions_lost,
                           c.no_session, c.verified, c.foreign,     c.epochs,      c.settled, c.skewed,         c.pressed,
                           c.questions,  c.checked,  c.clock_steps, c.clock_asked};
  assert_all(must, sizeof must / sizeof must[0]);
}

static void one_entry_is_acknowledged_at_a_position(void **state) {
  (void)state;
  struct sim_counts c = campaign(SIM_SPLIT);
  const uint64_t must[] = {c.done, c.promotions, c.history_lost, c.stale, c.epochs, c.refills};
  assert_all(must, sizeof must / sizeof must[0]);
}

static void nobody_goes_on_from_destroyed_history(void **state) {
  (void)state;
  struct sim_counts c = campaign(SIM_RUIN);
  const uint64_t must[] = {c.done, c.wipes, c.history_lost, c.no_session};
  assert_all(must, sizeof must / sizeof must[0]);
}

/* The same seed is the same run: everything counted is equal, twice. */
static void a_seed_is_a_run(void **state) {
  (void)state;
  for (uint64_t seed = 7001; seed < 7006; seed++) {
    struct sim_counts one = {0}, two = {0};
    assert_true(sim_seed(SIM_RUIN, seed, 3000, &one));
    assert_true(sim_seed(SIM_RUIN, seed, 3000, &two));
    assert_memory_equal(&one, &two, sizeof one);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(nothing_acknowledged_is_lost),
                                     cmocka_unit_test(nobody_goes_on_from_destroyed_history),
                                     cmocka_unit_test(one_entry_is_acknowledged_at_a_position), cmocka_unit_test(a_seed_is_a_run)};
  return cmocka_run_group_tests_name("sim on redis", tests, NULL, NULL);
}
