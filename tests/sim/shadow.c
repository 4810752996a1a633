/* What the entries say of the sources, counted without the fold (world.h): which message counted, which request stands in the log, whether the epoch was open.
 *
 * The rules, from the contract: an entry under another fence is nothing; a part counts where it connects, and from the cursor on; a START begins a partition once, a jump
 * moves its cursor; an epoch is open when every cursor has reached the ends that the first TARGETS behind its fence name. A node is held to it after each of its steps: what anyone
 * was told stands in whatever is acknowledged for a request that was made later. */
#include "core/control.h"
#include "tests/sim/world.h"

static struct tide_cursor_part part[TIDE_PARTS_MAX];
static struct tide_target target[TIDE_PARTITIONS_MAX];

static void settle(struct sim_shadow *shadow) {
  if (!shadow->opening || !shadow->targeted) return;
  for (unsigned p = 0; p < KAFKA_PARTITIONS; p++)
    if (shadow->place[p].cursor < shadow->place[p].target) return;
  shadow->opening = false;
}

static void fence(struct sim_world *world, struct sim_shadow *shadow, uint64_t nonce) {
  shadow->nonce = nonce;
  shadow->opening = shadow->declared;
  shadow->targeted = false;
  for (unsigned p = 0; p < KAFKA_PARTITIONS; p++) shadow->place[p].target = 0;
  world->counts->openings += shadow->opening;
}

/* On return part[i].from and .next are what counts of it: [from, next). */
static void take_parts(struct sim_world *world, struct sim_shadow *shadow, unsigned parts) {
  for (unsigned i = 0; i < parts; i++) {
    int p = sim_kafka_find(world, part[i].source, part[i].partition);
    if (p < 0) {
      sim_fail(world, "the log holds a part of a partition that does not exist");
      return;
    }
    uint64_t cursor = shadow->place[p].cursor;
    world->counts->parts++;
    if (part[i].from > cursor || !shadow->place[p].started) {
      world->counts->parts_gap++;
      part[i].from = part[i].next = 0;
    } else if (part[i].next <= cursor) {
      world->counts->parts_passed += part[i].next > part[i].from;
      part[i].from = part[i].next = 0;
    } else {
      world->counts->parts_overlap += part[i].from < cursor;
      part[i].from = cursor;
      shadow->place[p].cursor = part[i].next;
    }
  }
}

static void take_record(struct sim_world *world, struct sim_shadow *shadow, unsigned parts, uint64_t *last) {
  const struct tide_record *record = world->record;
  if (record->source == 0) {
    if (record->offset < world->attempts) shadow->stands[record->offset] = 1;
    else sim_fail(world, "the log holds an attempt that nobody made");
    return;
  }
  uint64_t name = (uint64_t)record->source << 48 | (uint64_t)record->partition << 32 | record->offset;
  for (unsigned i = 0; i < parts; i++) {
    if (part[i].source != record->source || part[i].partition != record->partition) continue;
    if (record->offset < part[i].from || record->offset >= part[i].next || name == *last) return;
    int p = sim_kafka_find(world, record->source, record->partition);
    const struct kafka_message *message = &world->kafka->partition[p].message[record->offset];
    *last = name; /* its outcome is of the same message */
    world->counts->messages++;
    if (shadow->accepted[p][record->offset]++ > 0)
      sim_fail(world, "message %u/%u:%llu counts twice", record->source, record->partition, (unsigned long long)record->offset);
    if (message->kind == KAFKA_COPY) shadow->stands[message->attempt] = 1;
    return;
  }
  sim_fail(world, "the log holds a message without its part");
}

static void take_start(struct sim_world *world, struct sim_shadow *shadow, const struct tide_raw_record *raw) {
  struct tide_start start;
  struct tide_error error = {0};
  if (tide_start_decode(raw, &start, &error) != TIDE_OK) sim_fail(world, "a START does not decode: %s", error.text);
  int p = world->failed ? -1 : sim_kafka_find(world, start.source, start.partition);
  if (p < 0 || (shadow->place[p].started && !start.jump)) return;
  if (start.jump && start.from != shadow->place[p].cursor) { /* it has gone on meanwhile */
    world->counts->jumps_late++;
    return;
  }
  for (uint64_t o = shadow->place[p].cursor; o < start.cursor; o++) shadow->accepted[p][o] |= SIM_JUMPED;
  world->counts->jumps += start.jump;
  shadow->place[p].started = true;
  shadow->place[p].cursor = start.cursor;
}

static void take_targets(struct sim_world *world, struct sim_shadow *shadow, const struct tide_raw_record *raw) {
  uint32_t count;
  struct tide_error error = {0};
  if (tide_targets_decode(raw, target, &count, &error) != TIDE_OK) sim_fail(world, "TARGETS do not decode: %s", error.text);
  if (world->failed || !shadow->opening || shadow->targeted) {
    world->counts->targets_late++;
    return;
  }
  world->counts->targets++;
  shadow->targeted = true;
  for (uint32_t i = 0; i < count; i++) {
    int p = sim_kafka_find(world, target[i].source, target[i].partition);
    if (target[i].delivered > 0 && shadow->emitted > 0) { /* all that this model can have are kept, and leave again */
      shadow->emitted = 0;
      world->counts->let_go_again++;
    }
    if (p >= 0) shadow->place[p].target = target[i].end;
  }
}

static void take_control(struct sim_world *world, struct sim_shadow *shadow, const struct tide_raw_record *raw) {
  uint64_t number;
  struct tide_error error = {0};
  switch (raw->type) {
    case TIDE_REC_SOURCES:
      if (!shadow->declared) { /* whether anything was acknowledged before, in a history that had them, cannot be told */
        shadow->opening = true;
        shadow->targeted = false;
      }
      shadow->declared = true;
      break;
    case TIDE_REC_START: take_start(world, shadow, raw); break;
    case TIDE_REC_TARGETS: take_targets(world, shadow, raw); break;
    case TIDE_REC_EMITTED:
      world->counts->emitted_records++;
      if (tide_emitted_decode(raw, &number, &error) == TIDE_OK && number > shadow->emitted) shadow->emitted = number;
      break;
    default: break;
  }
}

uint64_t sim_fence_of(struct tide_position position, struct tide_entry_reader reader, uint64_t before) {
  struct tide_raw_record raw;
  struct tide_error error = {0};
  if (position.seq != 0) return before;
  bool fence = tide_entry_next(&reader, &raw, &error) == TIDE_OK && raw.type == TIDE_REC_FENCE;
  return fence ? reader.header.fence_nonce : 0;
}

void sim_shadow_entry(struct sim_world *world, struct sim_shadow *shadow, struct tide_position position, struct tide_span entry,
                      bool *ret_open) {
  struct tide_entry_reader reader;
  struct tide_raw_record raw;
  struct tide_error error = {0};
  uint64_t last = UINT64_MAX;
  *ret_open = false;
  if (tide_entry_open(&reader, entry, part, &error) != TIDE_OK) {
    sim_fail(world, "the log holds an entry that does not open: %s", error.text);
    return;
  }
  if (position.seq == 0) fence(world, shadow, sim_fence_of(position, reader, 0));
  world->counts->unfenced += shadow->nonce == 0;
  if (reader.header.fence_nonce != shadow->nonce) return;
  *ret_open = !shadow->opening;
  take_parts(world, shadow, reader.header.cursor_count);
  while (!world->failed && tide_entry_next(&reader, &raw, &error) == TIDE_OK) {
    if (raw.type >= TIDE_REC_CONFIG) {
      take_control(world, shadow, &raw);
      continue;
    }
    if (tide_record_decode(world->spec, &raw, world->record, &error) != TIDE_OK)
      sim_fail(world, "the log holds a record that does not decode: %s", error.text);
    else take_record(world, shadow, reader.header.cursor_count, &last);
  }
  settle(shadow);
}

const struct sim_folded *sim_folded_at(const struct sim_node *node, struct tide_position position) {
  for (size_t i = node->folded_count; i-- > 0;)
    if (tide_position_cmp(node->folded[i].position, position) == 0) return &node->folded[i];
  return NULL;
}

void sim_shadow_step(struct sim_world *world, struct sim_node *node) {
  struct tide_fold *fold = tide_core_fold(node->core);
  struct tide_position position = tide_fold_position(fold);
  if (tide_position_cmp(position, node->shadowed) == 0) return;
  node->shadowed = position;
  if (node->folded_count == node->folded_cap) {
    node->folded_cap = node->folded_cap ? node->folded_cap * 2 : 256;
    node->folded = tide_realloc(node->folded, node->folded_cap * sizeof *node->folded);
  }
  struct sim_folded *folded = &node->folded[node->folded_count++];
  *folded = (struct sim_folded){.position = position, .mark = tide_fold_mark(fold)};
  if (!world->kafka) return;
  sim_shadow_entry(world, node->shadow, position, tide_core_entry(node->core), &folded->open);
  if (world->failed) return;
  if (tide_fold_is_open(fold) == node->shadow->opening)
    sim_fail(world, "node %u takes the epoch for %s at %llu-%llu, and it is not", node->number,
             tide_fold_is_open(fold) ? "open" : "opening", (unsigned long long)position.epoch, (unsigned long long)position.seq);
  for (unsigned p = 0; p < KAFKA_PARTITIONS; p++) {
    const struct kafka_partition *of = &world->kafka->partition[p];
    if (tide_fold_cursor(fold, of->source, of->number) != node->shadow->place[p].cursor)
      sim_fail(world, "node %u has cursor %llu of %u/%u at %llu-%llu, and it is %llu", node->number,
               (unsigned long long)tide_fold_cursor(fold, of->source, of->number), of->source, of->number,
               (unsigned long long)position.epoch, (unsigned long long)position.seq, (unsigned long long)node->shadow->place[p].cursor);
  }
}

void sim_vouch(struct sim_world *world, bool message, unsigned partition, unsigned number) {
  if (world->vouches == world->vouch_cap) {
    world->vouch_cap = world->vouch_cap ? world->vouch_cap * 2 : 256;
    world->vouch = tide_realloc(world->vouch, world->vouch_cap * sizeof *world->vouch);
  }
  world->vouch[world->vouches].message = message;
  world->vouch[world->vouches].partition = partition;
  world->vouch[world->vouches++].number = number;
}

void sim_must_count(struct sim_world *world, struct sim_node *node, unsigned vouches) {
  if (!world->kafka) return;
  for (; node->vouched < vouches && !world->failed; node->vouched++) {
    bool message = world->vouch[node->vouched].message;
    unsigned p = world->vouch[node->vouched].partition, number = world->vouch[node->vouched].number;
    const struct sim_shadow *shadow = node->shadow;
    if (message ? shadow->accepted[p][number] == 0 : shadow->stands[number] == 0)
      sim_fail(world, "node %u answers as of %llu-%llu without %s %u, which was acknowledged before the request was made", node->number,
               (unsigned long long)node->shadowed.epoch, (unsigned long long)node->shadowed.seq, message ? "message" : "attempt", number);
    world->counts->vouched++;
  }
}
