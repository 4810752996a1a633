/* The model of Kafka at work: what producers write, what becomes of it, and of the letters of nodes (kafka.h).
 *
 * Everything moves on its own: a message lands above the high watermark and is committed later, or vanishes with the leader that had taken it; a letter that was written is
 * reported
 * at some time, rightly or, to be on the safe side, as lost. After the faults everything that can arrive does. */
#include "tests/sim/world.h"

#define ANY(world, n) ((unsigned)or_below(&(world)->rng, (int)(n)))

int sim_kafka_find(const struct sim_world *world, uint16_t source, uint16_t number) {
  for (int p = 0; p < KAFKA_PARTITIONS; p++)
    if (world->kafka->partition[p].source == source && world->kafka->partition[p].number == number) return p;
  return -1;
}

void sim_kafka_new(struct sim_world *world) {
  struct kafka *kafka = world->kafka = tide_alloc(sizeof *kafka);
  unsigned first = 1 + ANY(world, KAFKA_PARTITIONS - 1); /* so many partitions of events are there from the beginning */
  for (unsigned p = 0; p < KAFKA_PARTITIONS; p++) {
    bool outcomes = p == KAFKA_PARTITIONS - 1;
    kafka->partition[p].source = outcomes ? KAFKA_OUTCOMES : KAFKA_AUTHS;
    kafka->partition[p].number = (uint16_t)(outcomes ? 0 : p);
    kafka->partition[p].there = outcomes || p < first;
  }
}

void sim_kafka_free(struct sim_world *world) {
  if (!world->kafka) return;
  tide_free(world->kafka->letter);
  tide_free(world->kafka->score);
  tide_free(world->kafka);
}

/* By card, over the partitions that are there: so a card moves when one appears. */
static struct kafka_partition *partition_for(struct sim_world *world, unsigned card) {
  unsigned there = 0;
  while (there < KAFKA_PARTITIONS - 1 && world->kafka->partition[there].there) there++;
  return &world->kafka->partition[card % there];
}

static bool put(struct sim_world *world, struct kafka_partition *partition, struct kafka_message message) {
  if (partition->count == KAFKA_MESSAGES) return false;
  message.append_ms = world->wall_ms;
  message.acked = world->vouches;
  partition->message[partition->count++] = message;
  return true;
}

void sim_kafka_produce(struct sim_world *world) {
  struct kafka_message message = {.kind = KAFKA_EVENT, .txn = (uint16_t)sim_pick_txn(world)};
  unsigned what = ANY(world, 100);
  struct kafka_partition *partition = partition_for(world, world->txn[message.txn].card);
  if (what < 20) {
    message.kind = KAFKA_OUTCOME;
    partition = &world->kafka->partition[KAFKA_PARTITIONS - 1];
  } else if (what < 25) message.kind = KAFKA_BAD;
  else if (what < 30) message.kind = KAFKA_MARKER;
  if (message.kind == KAFKA_OUTCOME || what > 80) message.result = (uint8_t)(1 + ANY(world, 3));
  world->counts->produced += put(world, partition, message);
}

struct kafka_letter *sim_kafka_letter(struct sim_world *world) {
  struct kafka *kafka = world->kafka;
  for (size_t i = 0; i < kafka->letters; i++)
    if (kafka->letter[i].state == KAFKA_FREE) return &kafka->letter[i];
  if (kafka->letters == kafka->letter_cap) {
    kafka->letter_cap = kafka->letter_cap ? kafka->letter_cap * 2 : 64;
    kafka->letter = tide_realloc(kafka->letter, kafka->letter_cap * sizeof *kafka->letter);
  }
  return &kafka->letter[kafka->letters++];
}

/* ---- letters ---- */

/* Two decisions on one message. The same position: the same bytes. Another: a history was lost between the two, and the one that was let go in the later epoch says that it
 * supersedes. They may arrive in either order, since a letter of the lost history may have been on its way for long. */
static void compare(struct sim_world *world, const struct kafka_letter *a, const struct kafka_letter *b) {
  const struct kafka_letter *later = a->epoch < b->epoch ? b : a;
  if (tide_position_cmp(a->position, b->position) == 0 && a->index == b->index && a->hash == b->hash) return;
  world->counts->changed++;
  if (!world->split || a->epoch == b->epoch)
    sim_fail(world, "two decisions on message %u:%u have left, of %llu-%llu.%u and %llu-%llu.%u", a->partition, a->offset,
             (unsigned long long)a->position.epoch, (unsigned long long)a->position.seq, a->index, (unsigned long long)b->position.epoch,
             (unsigned long long)b->position.seq, b->index);
  else if (!later->superseded)
    sim_fail(world, "a second decision on message %u:%u, of %llu-%llu.%u, does not say that it supersedes one", a->partition, a->offset,
             (unsigned long long)later->position.epoch, (unsigned long long)later->position.seq, later->index);
}

static void publish(struct sim_world *world, const struct kafka_letter *letter) {
  struct kafka *kafka = world->kafka;
  bool again = false;
  for (size_t i = kafka->scores; i-- > 0 && !world->failed;) {
    if (kafka->score[i].partition != letter->partition || kafka->score[i].offset != letter->offset) continue;
    again = true;
    compare(world, &kafka->score[i], letter);
  }
  world->counts->scores++;
  world->counts->scores_again += again;
  world->counts->superseded += letter->superseded;
  if (kafka->scores == kafka->score_cap) {
    kafka->score_cap = kafka->score_cap ? kafka->score_cap * 2 : 64;
    kafka->score = tide_realloc(kafka->score, kafka->score_cap * sizeof *kafka->score);
  }
  kafka->score[kafka->scores++] = *letter;
}

static void append_copy(struct sim_world *world, struct kafka_letter *letter) {
  const struct sim_attempt *attempt = &world->attempt[letter->attempt];
  struct kafka_partition *partition = partition_for(world, world->txn[attempt->txn].card);
  struct kafka_message copy = {.kind = KAFKA_COPY, .txn = attempt->txn, .attempt = letter->attempt, .result = attempt->result};
  letter->partition = (unsigned)(partition - world->kafka->partition);
  letter->offset = partition->count;
  letter->state = put(world, partition, copy) ? KAFKA_APPENDED : KAFKA_FAILED;
  if (or_percent(&world->rng, 5)) (void)put(world, partition, copy); /* a retry of the producer, and both have landed */
}

static void move_letter(struct sim_world *world, struct kafka_letter *letter) {
  bool faults = world->faults;
  switch ((enum kafka_letter_state)letter->state) {
    case KAFKA_FREE: return;
    case KAFKA_SENT:
      if (letter->score) {
        publish(world, letter);
        letter->state = faults && or_percent(&world->rng, 5) ? KAFKA_SENT : KAFKA_ARRIVED; /* or once more */
      } else if (faults && or_percent(&world->rng, 8)) {
        letter->state = KAFKA_FAILED;
      } else {
        append_copy(world, letter);
      }
      return;
    case KAFKA_APPENDED:
      if (world->kafka->partition[letter->partition].hwm <= letter->offset) return;
      letter->state = faults && or_percent(&world->rng, 8) ? KAFKA_FAILED : KAFKA_ARRIVED;
      return;
    case KAFKA_ARRIVED:
    case KAFKA_FAILED: sim_ingest_report(world, letter); return;
  }
}

/* The leader of a partition is deposed: what it had not replicated is gone. */
static void depose(struct sim_world *world, unsigned p) {
  struct kafka_partition *partition = &world->kafka->partition[p];
  if (partition->count == partition->hwm) return;
  partition->count = partition->hwm;
  world->counts->deposed++;
  for (size_t i = 0; i < world->kafka->letters; i++) {
    struct kafka_letter *letter = &world->kafka->letter[i];
    if (letter->state == KAFKA_APPENDED && letter->partition == p && letter->offset >= partition->hwm) letter->state = KAFKA_FAILED;
  }
}

void sim_kafka_move(struct sim_world *world) {
  struct kafka *kafka = world->kafka;
  struct kafka_partition *partition = &kafka->partition[ANY(world, KAFKA_PARTITIONS)];
  if (partition->hwm < partition->count && or_percent(&world->rng, 40)) partition->hwm += 1 + ANY(world, partition->count - partition->hwm);
  if (!world->faults) partition->hwm = partition->count;
  if (partition->stuck && (!world->faults || or_below(&world->rng, 200) == 0)) partition->stuck = false;
  for (int i = 0; i < 2 && kafka->letters > 0; i++) move_letter(world, &kafka->letter[ANY(world, kafka->letters)]);
}

void sim_kafka_fault(struct sim_world *world) {
  unsigned p = ANY(world, KAFKA_PARTITIONS);
  struct kafka_partition *partition = &world->kafka->partition[p];
  switch (ANY(world, 8)) {
    case 0:
    case 1: depose(world, p); break;
    case 2:
      partition->stuck = true;
      world->counts->stuck++;
      break;
    case 3:
      for (p = 0; world->kafka->partition[p].there && p < KAFKA_PARTITIONS - 1;) p++;
      if (p == KAFKA_PARTITIONS - 1) break;
      world->kafka->partition[p].there = true;
      world->counts->appeared++;
      break;
    case 4: /* what was acknowledged is never let go where a promotion may lose it */
    case 5:
      if (world->split || partition->hwm < 5 || partition->hwm == partition->begin) break;
      partition->begin += ANY(world, partition->hwm - partition->begin + 1);
      world->counts->gaps++;
      break;
    default: break;
  }
}

void sim_kafka_heal(struct sim_world *world) {
  for (unsigned p = 0; p < KAFKA_PARTITIONS; p++) world->kafka->partition[p].there = true;
}
