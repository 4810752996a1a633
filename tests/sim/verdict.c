/* The verdict: the log as it stands at the end, folded once more from nothing, against everything that was said on the way (world.h).
 *
 *   - what was acknowledged is in the log, where it was said to be, with the answer that was given, bit for bit;
 *   - what was refused is not in the log;
 *   - no attempt is in it twice, and of each transaction exactly one record counted, however often it was sent;
 *   - at every position every node had the state that the fold from nothing has;
 *   - every message of the sources counted exactly once, and its answer, the one of this history, has left.
 *
 * Where a promotion may lose what was acknowledged, and every request was copied to the sources, an acknowledged attempt stands in the log itself or as its copy; only where the
 * entry is still the one that was acknowledged must the answer be the same. */
#include "tests/sim/world.h"

#include <stdio.h>
#include <string.h>

/* Where history was destroyed, a node that had not folded what is gone cannot know of it and goes on; but no node ever has two histories of its own. */
void sim_digest(struct sim_world *world, struct tide_position position, struct tide_digest digest, unsigned nodes, const char *who) {
  for (size_t i = world->seen_count; i-- > 0;) {
    if (tide_position_cmp(world->seen[i].position, position) != 0) continue;
    const struct tide_digest *other = &world->seen[i].digest;
    bool same =
        other->decisions == digest.decisions && tide_u128_eq(other->digest, digest.digest) && other->state_hash == digest.state_hash;
    if (same) {
      world->seen[i].nodes |= nodes;
      return;
    }
    if (!world->ruined || (world->seen[i].nodes & nodes))
      sim_fail(world, "two states at %llu-%llu: %llu decisions, %016llx and %s with %llu decisions, %016llx",
               (unsigned long long)position.epoch, (unsigned long long)position.seq, (unsigned long long)other->decisions,
               (unsigned long long)other->state_hash, who, (unsigned long long)digest.decisions, (unsigned long long)digest.state_hash);
    if (world->failed) return;
  }
  if (world->seen_count == world->seen_cap) {
    world->seen_cap = world->seen_cap ? world->seen_cap * 2 : 256;
    world->seen = tide_realloc(world->seen, world->seen_cap * sizeof *world->seen);
  }
  world->seen[world->seen_count].position = position;
  world->seen[world->seen_count].nodes = nodes;
  world->seen[world->seen_count++].digest = digest;
}

/* What a promotion leaves behind may have been acknowledged before; nothing of it may be proven once the fence is. The order is that in which the servers spoke: a reply
 * may lie unread for any time, and who reads it then tells what was true when it was made. */
static void check_order(struct sim_world *world, unsigned f, struct tide_position position, uint64_t when) {
  if (world->fence[f].epoch <= position.epoch || tide_position_cmp(world->fence[f].behind, position) >= 0) return;
  if (when < world->fence[f].when) return;
  sim_fail(world, "%llu-%llu was proven after epoch %llu had been opened behind %llu-%llu", (unsigned long long)position.epoch,
           (unsigned long long)position.seq, (unsigned long long)world->fence[f].epoch, (unsigned long long)world->fence[f].behind.epoch,
           (unsigned long long)world->fence[f].behind.seq);
}

void sim_fenced(struct sim_world *world, struct tide_position fence, struct tide_position behind, uint64_t when) {
  if (world->fences == sizeof world->fence / sizeof world->fence[0]) return;
  unsigned f = world->fences++;
  world->fence[f].epoch = fence.epoch;
  world->fence[f].behind = behind;
  world->fence[f].when = when;
  for (size_t i = 0; i < world->acked_count; i++) check_order(world, f, world->acked[i].position, world->acked[i].when);
}

void sim_acked(struct sim_world *world, struct tide_position position, struct tide_entry_mark mark, uint64_t when) {
  if (tide_position_cmp(position, world->acked_last) > 0) world->acked_last = position;
  for (unsigned f = 0; f < world->fences; f++) check_order(world, f, position, when);
  for (size_t i = world->acked_count; i-- > 0;) {
    if (tide_position_cmp(world->acked[i].position, position) != 0) continue;
    if (!tide_entry_mark_eq(world->acked[i].mark, mark))
      sim_fail(world, "two entries were acknowledged at %llu-%llu", (unsigned long long)position.epoch, (unsigned long long)position.seq);
    if (when > world->acked[i].when) world->acked[i].when = when;
    return;
  }
  if (world->acked_count == world->acked_cap) {
    world->acked_cap = world->acked_cap ? world->acked_cap * 2 : 256;
    world->acked = tide_realloc(world->acked, world->acked_cap * sizeof *world->acked);
  }
  world->acked[world->acked_count].position = position;
  world->acked[world->acked_count].when = when;
  world->acked[world->acked_count++].mark = mark;
}

struct verdict {
  struct sim_world *world;
  struct tide_position position;
  struct tide_entry_mark mark;      /* of the entry under way */
  uint64_t nonce;                   /* of the last fence */
  const struct tide_record *record; /* of the answer under way */
  struct sim_shadow shadow;
  struct kafka_letter *answer; /* [answers] to messages */
  size_t answers, answer_cap;
  unsigned counted[SIM_TXNS], there[SIM_TXNS];
  uint64_t in_force[256];                   /* by record of the entry: the rollout */
  char policy[SIM_TXNS][TIDE_POLICY_LABEL]; /* that first decided it */
};

/* A repetition is the first answer's, whatever is in force by then. */
static void rollout_answer(struct verdict *v, const struct tide_answer *answer, const struct sim_txn *txn) {
  struct sim_world *world = v->world;
  char *first = v->policy[txn - world->txn];
  if (!answer->duplicate) {
    sim_rollout_answer(world, answer, v->in_force[answer->index % 256], txn->card);
    if (answer->counted) snprintf(first, TIDE_POLICY_LABEL, "%s", answer->policy->label);
  } else if (strcmp(first, answer->policy->label) != 0) {
    sim_fail(world, "transaction %u was decided by %s, and its repetition says %s", txn->id, first, answer->policy->label);
  }
}

static void message_answer(struct verdict *v, const struct tide_answer *answer) {
  const struct tide_record *record = answer->record;
  if (v->answers == v->answer_cap) {
    v->answer_cap = v->answer_cap ? v->answer_cap * 2 : 256;
    v->answer = tide_realloc(v->answer, v->answer_cap * sizeof *v->answer);
  }
  int p = v->world->kafka ? sim_kafka_find(v->world, record->source, record->partition) : -1;
  if (p < 0) {
    sim_fail(v->world, "the log holds a message of a partition that does not exist");
    return;
  }
  v->answer[v->answers++] =
      (struct kafka_letter){.partition = (unsigned)p, .offset = (unsigned)record->offset, .position = v->position, .index = answer->index};
  unsigned txn = v->world->kafka->partition[p].message[record->offset].txn;
  if (!answer->duplicate && answer->counted) v->counted[txn]++;
  if (v->world->versions) rollout_answer(v, answer, &v->world->txn[txn]);
}

static bool still_there(const struct verdict *v, const struct sim_attempt *attempt) {
  return attempt->status == SIM_DONE &&
         (!v->world->split || (tide_position_cmp(attempt->position, v->position) == 0 && tide_entry_mark_eq(attempt->mark, v->mark)));
}

static void on_answer(void *ctx, const struct tide_answer *answer) {
  struct verdict *v = ctx;
  struct sim_world *world = v->world;
  if (answer->record->source) {
    message_answer(v, answer);
    return;
  }
  if (answer->record->offset >= world->attempts) {
    sim_fail(world, "the log holds an attempt that nobody made");
    return;
  }
  struct sim_attempt *attempt = &world->attempt[answer->record->offset];
  if (!answer->duplicate && answer->counted) v->counted[attempt->txn]++;
  if (world->versions) rollout_answer(v, answer, &world->txn[attempt->txn]);
  if (!still_there(v, attempt)) return;
  if (attempt->late) { /* what was decided was good at its position, and told to nobody */
    if (answer->status != TIDE_STATUS_SCORED) sim_fail(world, "what was refused at release had been refused before");
    return;
  }
  char by[sizeof attempt->by];
  snprintf(by, sizeof by, "%s %s", answer->model ? answer->model->id : "", answer->policy->label);
  if (strcmp(by, attempt->by) != 0)
    sim_fail(world, "the answer at %llu-%llu.%u was decided by %s and is by %s", (unsigned long long)v->position.epoch,
             (unsigned long long)v->position.seq, answer->index, attempt->by, by);
  struct tide_buf json = TIDE_BUF_INIT;
  tide_answer_json(answer, 0, &json);
  if (strcmp(tide_buf_cstr(&json), attempt->answer) != 0)
    sim_fail(world, "the answer at %llu-%llu.%u was\n  %s\nand is\n  %s", (unsigned long long)v->position.epoch,
             (unsigned long long)v->position.seq, answer->index, attempt->answer, tide_buf_cstr(&json));
  tide_buf_release(&json);
}

static void look_for_attempts(struct verdict *v, struct tide_span entry) {
  struct sim_world *world = v->world;
  static struct tide_cursor_part part[TIDE_PARTS_MAX];
  struct tide_entry_reader reader;
  struct tide_raw_record raw;
  struct tide_error error = {0};
  uint64_t previous = UINT64_MAX;
  if (tide_entry_open(&reader, entry, part, &error) != TIDE_OK) {
    sim_fail(world, "the log holds an entry that does not open: %s", error.text);
    return;
  }
  v->mark = tide_entry_mark_of(entry, &reader.header);
  v->nonce = sim_fence_of(v->position, reader, v->nonce);
  if (reader.header.fence_nonce != v->nonce) return; /* void: nothing stands in it */
  while (tide_entry_next(&reader, &raw, &error) == TIDE_OK) {
    if (world->versions && (raw.type == TIDE_REC_ARTIFACT || raw.type == TIDE_REC_ROLLOUT)) sim_rollout_record(world, &raw);
    if (world->versions) v->in_force[reader.index % 256] = world->versions->now;
    if (raw.type != TIDE_REC_EVENT && raw.type != TIDE_REC_OUTCOME) continue;
    if (tide_record_decode(world->spec, &raw, world->record, &error) != TIDE_OK) {
      sim_fail(world, "the log holds a record that does not decode: %s", error.text);
      return;
    }
    if (world->record->source) continue;
    uint64_t number = world->record->offset;
    struct sim_attempt *attempt = &world->attempt[number];
    if (number == previous) continue; /* event and outcome of one row */
    previous = number;
    if (attempt->records++ > 0) sim_fail(world, "attempt %llu is in the log twice", (unsigned long long)number);
    if (raw.type == TIDE_REC_EVENT) v->there[attempt->txn]++;
    bool elsewhere = tide_position_cmp(attempt->position, v->position) != 0 || attempt->index != reader.index;
    if (attempt->status == SIM_DONE && elsewhere && !world->split)
      sim_fail(world, "attempt %llu stands at %llu-%llu.%u, not where it was said to be", (unsigned long long)number,
               (unsigned long long)v->position.epoch, (unsigned long long)v->position.seq, reader.index);
  }
}

static void judge_attempts(const struct verdict *v) {
  struct sim_world *world = v->world;
  for (unsigned a = 0; a < world->attempts && !world->failed; a++) {
    const struct sim_attempt *attempt = &world->attempt[a];
    bool stands = world->kafka ? v->shadow.stands[a] > 0 : attempt->records > 0;
    if (attempt->status == SIM_PENDING) sim_fail(world, "attempt %u was never ended", a);
    if (attempt->status == SIM_REFUSED && stands) sim_fail(world, "attempt %u was refused and is in the log", a);
    if (attempt->status == SIM_DONE && !stands) sim_fail(world, "attempt %u was acknowledged and is not in the log", a);
    if (attempt->status == SIM_DONE && attempt->records == 0) {
      if (!world->split) sim_fail(world, "attempt %u was acknowledged and only a copy of it is in the log", a);
      world->counts->recounted++;
    }
  }
}

void sim_verdict(struct sim_world *world) {
  struct verdict *v = tide_alloc(sizeof *v);
  struct tide_fold *fold = tide_fold_new();
  struct tide_buf bytes = TIDE_BUF_INIT;
  struct tide_error error = {0};
  struct tide_position at = {0, 0};
  bool open;
  v->world = world;
  while (!world->failed && world->journal->ops->read(world->journal, at, false, &bytes, &at, &error) == TIDE_OK) {
    v->position = at;
    if (world->kafka) sim_shadow_entry(world, &v->shadow, at, tide_buf_span(&bytes), &open);
    look_for_attempts(v, tide_buf_span(&bytes));
    if (world->failed) break;
    if (tide_fold_entry(fold, at, tide_buf_span(&bytes), on_answer, v, &error) != TIDE_OK)
      sim_fail(world, "the log does not fold: %s", error.text);
    struct tide_fold *follower = tide_fold_waits(fold) ? sim_follower(world, fold, false) : NULL;
    if (follower && tide_fold_switch(fold, follower, &error) != TIDE_OK)
      sim_fail(world, "the fold from nothing takes no follower: %s", error.text);
    if (!world->failed) sim_digest(world, at, tide_fold_digest(fold), 0, "the fold from nothing");
  }
  judge_attempts(v);
  if (world->versions && !world->failed) sim_rollout_verdict(world);
  if (world->kafka && !world->failed) {
    sim_kafka_verdict(world, &v->shadow, v->answer, v->answers);
    for (unsigned p = 0; p < KAFKA_PARTITIONS; p++)
      for (unsigned o = 0; o < world->kafka->partition[p].count; o++) {
        const struct kafka_message *message = &world->kafka->partition[p].message[o];
        bool event = message->kind == KAFKA_EVENT || (message->kind == KAFKA_COPY && world->attempt[message->attempt].event);
        v->there[message->txn] += event && v->shadow.accepted[p][o] == 1;
      }
  }
  for (unsigned t = 0; t < world->txns && !world->failed; t++)
    if (v->counted[t] != (v->there[t] > 0))
      sim_fail(world, "transaction %u stands %u times in the log and counted %u times", t, v->there[t], v->counted[t]);
  tide_buf_release(&bytes);
  tide_fold_free(fold);
  tide_free(v->answer);
  tide_free(v);
}
