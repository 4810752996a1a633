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

#include "tests/sim/campaign_case.h"

static const struct sim_program program = {.campaigns = 1, .seeds = 250, .steps = 4000};

static void the_promise_holds(void **state) {
  (void)state;
  struct sim_counts c = sim_case(&program, SIM_MEMORY, "memory");
  const uint64_t must[] = {c.done,         c.refused,  c.maybe,   c.answered,      c.duplicates, c.conflicts, c.crashes, c.store_crashes,
                           c.lost_entries, c.drops,    c.zombies, c.from_snapshot, c.full,       c.stale,     c.foreign, c.epochs,
                           c.sessions,     c.verified, c.retried, c.expired,       c.overloads,  c.afters,    c.late};
  sim_assert_all(&program, must, sizeof must / sizeof must[0]);
}

static void a_seed_is_a_run(void **state) {
  (void)state;
  sim_assert_repeats(SIM_MEMORY, 5);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(the_promise_holds), cmocka_unit_test(a_seed_is_a_run)};
  return cmocka_run_group_tests_name("sim", tests, NULL, NULL);
}
