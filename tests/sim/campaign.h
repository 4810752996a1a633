/* A campaign: many seeds of one kind of world, until enough of them have failed; what the programs 10 to 14 share.
 *
 * TIDE_CASES, TIDE_SEED, TIDE_STEPS and TIDE_FAILURES (3) choose how many, from which on, how long, and when it is enough (make sim); TIDE_ONLY one campaign alone. */
#ifndef TIDE_SIM_CAMPAIGN_H
#define TIDE_SIM_CAMPAIGN_H

#include "tests/sim/world.h"

/* The environment's number, or `otherwise`. */
uint64_t sim_number(const char *name, uint64_t otherwise);
/* One seed; a failure is printed with the command that shows it again. */
bool sim_seed(enum sim_kind kind, uint64_t seed, unsigned steps, struct sim_counts *counts);
/* So many seeds; prints what was counted, adds it to `counts`, returns how many failed. */
uint64_t sim_campaign(enum sim_kind kind, uint64_t seeds, unsigned steps_default, struct sim_counts *counts);

#endif
