/* Campaigns as cases of a test program: what the programs 10 to 14 share. They include cmocka.h and what it needs before this.
 *
 * A clean campaign in which some rule never fired proves little, so each says what must have been seen; a few seeds alone may miss it. */
#ifndef TIDE_SIM_CAMPAIGN_CASE_H
#define TIDE_SIM_CAMPAIGN_CASE_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/campaign.h"

#define SIM_SEEDS_TO_SEE_ALL 100

/* Of a program: how many campaigns it has, the seeds of each and their length unless the environment says otherwise. */
struct sim_program {
  unsigned campaigns, seeds, steps;
};

/* TIDE_CASES is for all campaigns together, unless one was chosen. */
static inline uint64_t sim_seeds_each(const struct sim_program *program) {
  uint64_t all = sim_number("TIDE_CASES", (uint64_t)program->campaigns * program->seeds);
  return getenv("TIDE_ONLY") ? all : (all + program->campaigns - 1) / program->campaigns;
}

/* The campaign of this name (TIDE_ONLY); skipped where another was chosen. */
static inline struct sim_counts sim_case(const struct sim_program *program, enum sim_kind kind, const char *name) {
  const char *only = getenv("TIDE_ONLY");
  if (only && strcmp(only, name) != 0) skip();
  struct sim_counts counts = {0};
  printf("# %s\n", name);
  uint64_t failed = sim_campaign(kind, sim_seeds_each(program), program->steps, &counts);
  assert_int_equal(failed, 0);
  return counts;
}

static inline void sim_assert_all(const struct sim_program *program, const uint64_t *must, size_t count) {
  if (sim_seeds_each(program) < SIM_SEEDS_TO_SEE_ALL) return;
  for (size_t i = 0; i < count; i++) assert_int_not_equal(must[i], 0);
}

/* The same seed is the same run: everything counted is equal, twice. */
static inline void sim_assert_repeats(enum sim_kind kind, unsigned seeds) {
  for (uint64_t seed = 7001; seed < 7001 + seeds; seed++) {
    struct sim_counts one = {0}, two = {0};
    assert_true(sim_seed(kind, seed, 3000, &one));
    assert_true(sim_seed(kind, seed, 3000, &two));
    assert_memory_equal(&one, &two, sizeof one);
  }
}

#endif
