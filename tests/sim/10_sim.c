/* The simulator: many seeds, and the promise checked after each (world.h says what is simulated, verdict.c what is checked).
 *
 * TIDE_CASES=n, TIDE_SEED=s (make sim CASES=n SEED=s) choose how many seeds and the first; TIDE_STEPS their length. A failing seed prints the one
 * command that shows it again. A clean campaign in which some rule never fired proves little, so the counts are printed and those that must
 * not be zero are checked. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "tests/sim/campaign.h"

#define SEEDS_DEFAULT 250
#define STEPS_DEFAULT 4000

static void the_promise_holds(void **state) {
  (void)state;
  uint64_t seeds = sim_number("TIDE_CASES", SEEDS_DEFAULT);
  struct sim_counts counts = {0};
  uint64_t failed = sim_campaign(SIM_MEMORY, seeds, STEPS_DEFAULT, &counts);
  assert_int_equal(failed, 0);
  if (seeds < 100) return;
  const uint64_t must[] = {counts.done,      counts.refused,       counts.maybe,         counts.answered,     counts.duplicates,
                           counts.conflicts, counts.crashes,       counts.store_crashes, counts.lost_entries, counts.drops,
                           counts.zombies,   counts.from_snapshot, counts.full,          counts.stale,        counts.foreign,
                           counts.epochs,    counts.sessions,      counts.verified,      counts.retried,      counts.expired,
                           counts.overloads, counts.afters,        counts.late};
  for (size_t i = 0; i < sizeof must / sizeof must[0]; i++) assert_int_not_equal(must[i], 0);
}

/* The same seed is the same run: everything counted is equal, twice. */
static void a_seed_is_a_run(void **state) {
  (void)state;
  for (uint64_t seed = 7001; seed < 7006; seed++) {
    struct sim_counts one = {0}, two = {0};
    assert_true(sim_seed(SIM_MEMORY, seed, 3000, &one));
    assert_true(sim_seed(SIM_MEMORY, seed, 3000, &two));
    assert_memory_equal(&one, &two, sizeof one);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(the_promise_holds), cmocka_unit_test(a_seed_is_a_run)};
  return cmocka_run_group_tests_name("sim", tests, NULL, NULL);
}
