/* Running many seeds of one kind of world (campaign.h): the loop, what is printed of a failure and of the counts, for all programs alike. */
#include "tests/sim/campaign.h"

#include <stdio.h>
#include <stdlib.h>

uint64_t sim_number(const char *name, uint64_t otherwise) {
  const char *text = getenv(name);
  return text && *text ? strtoull(text, NULL, 0) : otherwise;
}

bool sim_seed(enum sim_kind kind, uint64_t seed, unsigned steps, struct sim_counts *counts) {
  struct sim_world *world = sim_new(kind, seed, counts);
  bool good = sim_run(world, steps);
  if (!good)
    fprintf(stderr, "seed %llu: %s\n  again with: make sim CASES=1 SEED=%llu\n", (unsigned long long)seed, world->why,
            (unsigned long long)seed);
  sim_free(world);
  return good;
}

uint64_t sim_campaign(enum sim_kind kind, uint64_t seeds, unsigned steps_default, struct sim_counts *counts) {
  uint64_t first = sim_number("TIDE_SEED", 1), enough = sim_number("TIDE_FAILURES", 3), failed = 0;
  unsigned steps = (unsigned)sim_number("TIDE_STEPS", steps_default);
  for (uint64_t i = 0; i < seeds && failed < enough; i++) failed += !sim_seed(kind, first + i, steps, counts);
#define X(name) printf("# %s: %llu\n", #name, (unsigned long long)counts->name);
  SIM_COUNTS(X)
#undef X
  return failed;
}
