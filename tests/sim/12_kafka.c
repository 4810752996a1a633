/* The simulator with sources (kafka.h, ingest.c): claims, cursors, the barrier of an epoch, answers that leave and copies of requests, over the log in memory, over Redis, and over
 * Redis with a quorum below the number of replicas, where a promotion loses acknowledged entries and Kafka gives them back.
 *
 * TIDE_CASES, TIDE_SEED and TIDE_STEPS as in 10_sim.c (make sim); TIDE_ONLY=kafka, kafka_redis or kafka_split: one campaign alone, for the mutants. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/sim/campaign_case.h"

static const struct sim_program program = {.campaigns = 3, .seeds = 200, .steps = 5000};

/* Rules that a campaign must have seen at work: else it proves little. */
static void each_message_counts_once(void **state) {
  (void)state;
  struct sim_counts c = sim_case(&program, SIM_KAFKA, "kafka");
  const uint64_t must[] = {c.done,
                           c.refused,
                           c.maybe,
                           c.duplicates,
                           c.crashes,
                           c.store_crashes,
                           c.from_snapshot,
                           c.stale,
                           c.produced,
                           c.deposed,
                           c.gaps,
                           c.appeared,
                           c.stuck,
                           c.pauses,
                           c.leaps,
                           c.ingests,
                           c.ingest_stops,
                           c.claims,
                           c.rereads,
                           c.starts,
                           c.jumps,
                           c.jumps_late,
                           c.ends,
                           c.targets,
                           c.targets_late,
                           c.openings,
                           c.parts_overlap,
                           c.parts_passed,
                           c.read_again,
                           c.offered_late,
                           c.scores_again,
                           c.lefts,
                           c.emitted_records,
                           c.logged,
                           c.log_failed,
                           c.unlogged,
                           c.vouched,
                           c.questions,
                           c.late,
                           c.recomputed,
                           c.recomputed_fresh,
                           c.settled};
  sim_assert_all(&program, must, sizeof must / sizeof must[0]);
}

static void and_over_redis(void **state) {
  (void)state;
  struct sim_counts c = sim_case(&program, SIM_KAFKA_REDIS, "kafka_redis");
  const uint64_t must[] = {c.done,         c.promotions,   c.server_crashes, c.sessions_lost, c.stale,        c.claims,
                           c.targets,      c.targets_late, c.gaps,           c.parts_overlap, c.parts_passed, c.jumps,
                           c.scores_again, c.vouched,      c.unlogged,       c.settled};
  sim_assert_all(&program, must, sizeof must / sizeof must[0]);
}

static void what_a_promotion_loses_comes_back(void **state) {
  (void)state;
  struct sim_counts c = sim_case(&program, SIM_KAFKA_SPLIT, "kafka_split");
  const uint64_t must[] = {c.done,    c.losses,       c.history_lost,  c.recounted,    c.superseded,
                           c.changed, c.vouched,      c.targets,       c.targets_late, c.openings,
                           c.logged,  c.epochs_taken, c.epochs_passed, c.let_go_again, c.settled};
  sim_assert_all(&program, must, sizeof must / sizeof must[0]);
}

static void a_seed_is_a_run(void **state) {
  (void)state;
  sim_assert_repeats(SIM_KAFKA_SPLIT, 5);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(each_message_counts_once), cmocka_unit_test(and_over_redis),
                                     cmocka_unit_test(what_a_promotion_loses_comes_back), cmocka_unit_test(a_seed_is_a_run)};
  return cmocka_run_group_tests_name("sim with sources", tests, NULL, NULL);
}
