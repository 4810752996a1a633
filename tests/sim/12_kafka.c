/* The simulator with sources (kafka.h, ingest.c): claims, cursors, the barrier of an epoch, answers that leave and copies of requests, over the log in memory, over Redis, and over
 * Redis with a quorum below the number of replicas, where a promotion loses acknowledged entries and Kafka gives them back.
 *
 * TIDE_CASES, TIDE_SEED and TIDE_STEPS as in 10_sim.c (make sim); TIDE_ONLY=kafka, kafka_redis or kafka_split: one campaign alone, for the mutants. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/world.h"

#define SEEDS_DEFAULT 200
#define STEPS_DEFAULT 5000

static uint64_t number_from(const char *name, uint64_t otherwise) {
  const char *text = getenv(name);
  return text && *text ? strtoull(text, NULL, 0) : otherwise;
}

static bool run_seed(enum sim_kind kind, uint64_t seed, unsigned steps, struct sim_counts *counts) {
  struct sim_world *world = sim_new(kind, seed, counts);
  bool good = sim_run(world, steps);
  if (!good)
    fprintf(stderr, "seed %llu: %s\n  again with: make sim CASES=1 SEED=%llu\n", (unsigned long long)seed, world->why,
            (unsigned long long)seed);
  sim_free(world);
  return good;
}

static struct sim_counts campaign(enum sim_kind kind) {
  const char *only = getenv("TIDE_ONLY"), *name = kind == SIM_KAFKA ? "kafka" : kind == SIM_KAFKA_REDIS ? "kafka_redis" : "kafka_split";
  if (only && strcmp(only, name) != 0) skip();
  uint64_t seeds = number_from("TIDE_CASES", SEEDS_DEFAULT), first = number_from("TIDE_SEED", 1);
  unsigned steps = (unsigned)number_from("TIDE_STEPS", STEPS_DEFAULT);
  struct sim_counts counts = {0};
  uint64_t failed = 0;
  uint64_t enough = number_from("TIDE_FAILURES", 3);
  printf("# %s\n", name);
  for (uint64_t i = 0; i < seeds && failed < enough; i++) failed += !run_seed(kind, first + i, steps, &counts);
#define X(name) printf("# %s: %llu\n", #name, (unsigned long long)counts.name);
  SIM_COUNTS(X)
#undef X
  assert_int_equal(failed, 0);
  return counts;
}

static void each_message_counts_once(void **state) {
  (void)state;
  (void)campaign(SIM_KAFKA);
}
static void and_over_redis(void **state) {
  (void)state;
  (void)campaign(SIM_KAFKA_REDIS);
}
static void what_a_promotion_loses_comes_back(void **state) {
  (void)state;
  (void)campaign(SIM_KAFKA_SPLIT);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(each_message_counts_once), cmocka_unit_test(and_over_redis),
                                     cmocka_unit_test(what_a_promotion_loses_comes_back)};
  return cmocka_run_group_tests_name("sim with sources", tests, NULL, NULL);
}
