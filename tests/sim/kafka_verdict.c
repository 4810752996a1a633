/* The verdict on the sources (world.h, verdict.c): each message counted exactly once, each answer left, and the one that was let go in the highest epoch is of
 * the history that stands.
 *
 * Given the whole log as shadow.c counts it, and the answers that a fold from nothing gives to messages. What retention took before it was read, and an operator
 * then gave up, is counted nowhere and answered by nobody. */
#include "tests/sim/world.h"

static bool is_event(const struct sim_world *world, const struct kafka_message *message) {
  return message->kind == KAFKA_EVENT || (message->kind == KAFKA_COPY && world->attempt[message->attempt].event);
}

static void judge_message(struct sim_world *world, const struct sim_shadow *shadow, unsigned p, unsigned o, unsigned answers,
                          const struct kafka_letter *answer) {
  const struct kafka_message *message = &world->kafka->partition[p].message[o];
  bool counts = message->kind == KAFKA_EVENT || message->kind == KAFKA_OUTCOME || message->kind == KAFKA_COPY;
  bool given_up = shadow->accepted[p][o] & SIM_JUMPED;
  unsigned accepted = shadow->accepted[p][o] & ~SIM_JUMPED & 0xff;
  if (accepted != (counts && !given_up)) sim_fail(world, "message %u:%u counts %u times", p, o, accepted);
  unsigned wanted = accepted && is_event(world, message);
  if (answers != wanted) sim_fail(world, "message %u:%u has %u answers and not %u", p, o, answers, wanted);
  if (!wanted || world->failed) return;
  const struct kafka_letter *last = NULL;
  for (size_t i = 0; i < world->kafka->scores; i++) {
    const struct kafka_letter *score = &world->kafka->score[i];
    if (score->partition != p || score->offset != o) continue;
    if (!last || score->epoch > last->epoch) last = score;
  }
  if (!last) sim_fail(world, "the answer to message %u:%u has never left", p, o);
  else if (tide_position_cmp(last->position, answer->position) != 0 || last->index != answer->index)
    sim_fail(world, "the answer to message %u:%u that was let go last is of %llu-%llu.%u, and the log has it at %llu-%llu.%u", p, o,
             (unsigned long long)last->position.epoch, (unsigned long long)last->position.seq, last->index,
             (unsigned long long)answer->position.epoch, (unsigned long long)answer->position.seq, answer->index);
}

void sim_kafka_verdict(struct sim_world *world, const struct sim_shadow *shadow, const struct kafka_letter *answer, size_t answers) {
  static unsigned times[KAFKA_PARTITIONS][KAFKA_MESSAGES];
  static const struct kafka_letter *which[KAFKA_PARTITIONS][KAFKA_MESSAGES];
  memset(times, 0, sizeof times);
  for (size_t i = 0; i < answers; i++) {
    times[answer[i].partition][answer[i].offset]++;
    which[answer[i].partition][answer[i].offset] = &answer[i];
  }
  for (unsigned p = 0; p < KAFKA_PARTITIONS; p++)
    for (unsigned o = 0; o < world->kafka->partition[p].count && !world->failed; o++)
      judge_message(world, shadow, p, o, times[p][o], which[p][o]);
}
