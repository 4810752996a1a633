/* What the threads around a core do for its sources, in the simulator (world.h): read ahead, offer, ask for ends, let answers leave, write copies.
 *
 * Each of these is done in its own turn, so that everything can happen between any two of them. A node that was stopped goes on with what it had read and what it was told;
 * letters that it sent fly on without it. Where the log may lose what was acknowledged, decisions on all that is in the sources when an epoch opens may have left. */
#include "core/control.h"
#include "tests/sim/world.h"

#include <string.h>

#include "base/hash.h"

#define ANY(world, n) ((unsigned)or_below(&(world)->rng, (int)(n)))
#define READ_AHEAD 12

/* ---- what the core asks for ---- */

static void begin(struct sim_world *world, struct sim_node *node, const struct tide_core_action *action) {
  struct sim_reader *reader = &node->reader;
  reader->on = true;
  reader->reread = false;
  reader->turn = action->turn;
  if (reader->emit_turn != action->emit_turn) { /* else what was given out is still on its way */
    reader->emit_turn = action->emit_turn;
    reader->emits = reader->lefts = 0;
    reader->last = action->number;
  }
  if (reader->last < action->number) reader->last = action->number;
  memset(reader->place, 0, sizeof reader->place);
  for (uint32_t i = 0; i < action->place_count; i++) {
    int p = sim_kafka_find(world, action->place[i].source, action->place[i].partition);
    if (p < 0) {
      sim_fail(world, "node %u is to read a partition that does not exist", node->number);
      return;
    }
    reader->place[p].begun = action->place[i].started;
    reader->place[p].at = reader->place[p].offered = action->place[i].cursor;
    reader->place[p].seen = reader->place[p].drained = INT64_MIN;
    world->counts->read_again += action->place[i].cursor > 0;
  }
  world->counts->ingests++;
}

static void emit(struct sim_world *world, struct sim_node *node, const struct tide_core_action *action) {
  struct sim_reader *reader = &node->reader;
  const struct tide_outgoing *out = &action->outgoing;
  int p = sim_kafka_find(world, out->source, out->partition);
  world->counts->emits++;
  if (!reader->on || action->turn != reader->emit_turn || out->number <= reader->last || p < 0 ||
      out->offset >= world->kafka->partition[p].hwm || node->shadow->opening || out->number <= node->shadow->emitted) {
    sim_fail(world, "node %u lets answer %llu leave, behind %llu, in turn %llu of %llu%s", node->number, (unsigned long long)out->number,
             (unsigned long long)reader->last, (unsigned long long)action->turn, (unsigned long long)reader->emit_turn,
             node->shadow->opening ? ", while the epoch is not open" : "");
    return;
  }
  reader->last = out->number;
  if (reader->emits == reader->emit_cap) {
    reader->emit_cap = reader->emit_cap ? reader->emit_cap * 2 : 64;
    reader->emit = tide_realloc(reader->emit, reader->emit_cap * sizeof *reader->emit);
  }
  reader->emit[reader->emits].number = out->number;
  reader->emit[reader->emits++].arrived = false;
  const struct kafka_partition *partition = &world->kafka->partition[p];
  struct kafka_letter *letter = sim_kafka_letter(world);
  uint64_t place[3] = {out->position.epoch, out->position.seq, out->index};
  uint64_t hash = tide_hash64(place, sizeof place, 1);
  hash = tide_hash64(out->id.ptr, out->id.len, hash);
  hash = tide_hash64(out->model.ptr, out->model.len, hash);
  *letter = (struct kafka_letter){.state = KAFKA_SENT,
                                  .score = true,
                                  .life = node->life,
                                  .turn = action->turn,
                                  .number = out->number,
                                  .partition = (unsigned)p,
                                  .offset = (unsigned)out->offset,
                                  .position = out->position,
                                  .index = out->index,
                                  .superseded = out->superseded,
                                  .epoch = out->epoch,
                                  .hash = tide_hash64(out->json.ptr, out->json.len, hash)};
  sim_must_count(world, node, partition->message[out->offset].acked);
  sim_vouch(world, true, (unsigned)p, (unsigned)out->offset);
}

static void write_copy(struct sim_world *world, struct sim_node *node, const struct tide_core_action *action) {
  uintptr_t attempt = (uintptr_t)action->offer->ctx;
  if (attempt >= world->attempts || !action->offer->log || action->offer->kind != TIDE_OFFER_COMMIT) {
    sim_fail(world, "node %u writes a copy of what is no request to be copied", node->number);
    return;
  }
  world->counts->logs++;
  *sim_kafka_letter(world) =
      (struct kafka_letter){.state = KAFKA_SENT, .life = node->life, .number = action->number, .attempt = (uint16_t)attempt};
}

static void ends_on(struct sim_world *world, struct sim_node *node) {
  struct sim_reader *reader = &node->reader;
  if (!reader->ends_asked) return;
  if (reader->ends_there) {
    reader->ends_asked = false;
    world->counts->epochs_passed += reader->ends_epoch > node->shadowed.epoch;
    sim_step(world, node,
             &(struct tide_core_event){.kind = TIDE_CORE_ENDS,
                                       .turn = reader->ends_turn,
                                       .number = reader->ends_epoch,
                                       .target = reader->target,
                                       .target_count = reader->targets});
    return;
  }
  reader->ends_there = true;
  reader->ends_epoch = world->registry;
  reader->targets = 0;
  for (unsigned p = 0; p < KAFKA_PARTITIONS; p++) {
    const struct kafka_partition *partition = &world->kafka->partition[p];
    if (!partition->there) continue;
    reader->target[reader->targets++] = (struct tide_target){.source = partition->source,
                                                             .partition = partition->number,
                                                             .end = partition->hwm,
                                                             .delivered = world->split ? tide_target_delivered(partition->hwm) : 0};
  }
}

void sim_ingest_action(struct sim_world *world, struct sim_node *node, const struct tide_core_action *action) {
  if (!world->kafka || (!node->ingests && action->kind != TIDE_DO_LOG)) {
    sim_fail(world, "node %u, which does not read sources, is asked for action %d", node->number, (int)action->kind);
    return;
  }
  switch (action->kind) {
    case TIDE_DO_INGEST: begin(world, node, action); break;
    case TIDE_DO_INGEST_STOP:
      node->reader.on = false;
      world->counts->ingest_stops++;
      break;
    case TIDE_DO_ENDS:
      node->reader.ends_asked = true;
      node->reader.ends_there = false;
      node->reader.ends_turn = action->turn;
      world->counts->ends++;
      if (or_percent(&world->rng, 30)) ends_on(world, node); /* asked at once; told later */
      break;
    case TIDE_DO_EMIT: emit(world, node, action); break;
    default: write_copy(world, node, action); break;
  }
}

/* ---- what comes of it ---- */

static struct sim_node *node_of(struct sim_world *world, unsigned life) {
  for (unsigned n = 0; n < world->nodes; n++)
    if (world->node[n].core && world->node[n].life == life) return &world->node[n];
  return NULL;
}

void sim_ingest_report(struct sim_world *world, struct kafka_letter *letter) {
  struct sim_node *node = node_of(world, letter->life);
  struct kafka_letter told = *letter;
  if (node && node->paused) return;
  letter->state = KAFKA_FREE;
  if (!node) return;
  if (told.score) {
    struct sim_reader *reader = &node->reader;
    for (size_t i = reader->lefts; i < reader->emits && told.turn == reader->emit_turn; i++)
      reader->emit[i].arrived |= reader->emit[i].number == told.number;
    return;
  }
  bool arrived = told.state == KAFKA_ARRIVED;
  world->counts->logged += arrived;
  world->counts->log_failed += !arrived;
  sim_step(world, node, &(struct tide_core_event){.kind = TIDE_CORE_LOGGED, .number = told.number, .err = arrived ? TIDE_OK : TIDE_E_IO});
}

void sim_ingest_released(struct sim_world *world, struct sim_node *node, const struct tide_offer *offer) {
  if (offer->kind == TIDE_OFFER_MESSAGE) return;
  unsigned p = (unsigned)(uintptr_t)offer->ctx;
  if (offer->turn != node->reader.turn) return;
  node->reader.place[p].starting = false;
  if (offer->end == TIDE_END_done) node->reader.reread = true; /* from where the log says it begins */
  world->counts->starts += offer->end == TIDE_END_done;
}

/* ---- turns ---- */

static void start(struct sim_world *world, struct sim_node *node, unsigned p, bool jump) {
  const struct kafka_partition *partition = &world->kafka->partition[p];
  struct tide_start record = {.source = partition->source,
                              .partition = partition->number,
                              .cursor = partition->begin,
                              .jump = jump,
                              .from = jump ? node->reader.place[p].offered : 0};
  struct tide_offer *offer = tide_offer_new();
  tide_start_encode(&record, &offer->records);
  offer->record_count = 1;
  offer->kind = TIDE_OFFER_CONTROL;
  offer->ctx = (void *)(uintptr_t)p;
  offer->turn = node->reader.turn;
  node->reader.place[p].starting = true;
  sim_step(world, node, &(struct tide_core_event){.kind = TIDE_CORE_OFFER, .offer = offer});
}

/* From p on, the first partition of which something is to be read, or to be offered; else p. */
static unsigned with_work(const struct sim_world *world, const struct sim_node *node, unsigned p, bool offered) {
  const struct sim_reader *reader = &node->reader;
  for (unsigned i = 0; i < KAFKA_PARTITIONS; i++) {
    unsigned q = (p + i) % KAFKA_PARTITIONS;
    const struct kafka_partition *partition = &world->kafka->partition[q];
    if (!partition->there || (!offered && partition->stuck)) continue;
    if (offered ? reader->place[q].offered < reader->place[q].at : !reader->place[q].begun || reader->place[q].at < partition->hwm)
      return q;
  }
  return p;
}

static void read_on(struct sim_world *world, struct sim_node *node, unsigned p) {
  const struct kafka_partition *partition = &world->kafka->partition[p];
  struct sim_reader *reader = &node->reader;
  if (!partition->there || partition->stuck || reader->place[p].starting) return;
  if (!reader->place[p].begun) {
    start(world, node, p, false);
    return;
  }
  if (reader->place[p].at < partition->begin) { /* retention has passed us by: an operator must say so */
    if (reader->place[p].offered == reader->place[p].at && or_percent(&world->rng, 20)) start(world, node, p, true);
    return;
  }
  if (reader->place[p].at < partition->hwm && reader->place[p].at - reader->place[p].offered < READ_AHEAD) {
    const struct kafka_message *message = &partition->message[reader->place[p].at++];
    if (message->append_ms > reader->place[p].seen) reader->place[p].seen = message->append_ms;
  } else if (reader->place[p].at == partition->hwm && reader->place[p].offered == reader->place[p].at) {
    reader->place[p].drained = world->wall_ms;
  }
}

static struct tide_offer *message_offer(struct sim_world *world, struct sim_node *node, unsigned p) {
  const struct kafka_partition *partition = &world->kafka->partition[p];
  struct sim_reader *reader = &node->reader;
  uint64_t offset = reader->place[p].offered++;
  const struct kafka_message *message = &partition->message[offset];
  struct tide_offer *offer = tide_offer_new();
  offer->kind = TIDE_OFFER_MESSAGE;
  offer->turn = reader->turn;
  offer->ctx = (void *)UINTPTR_MAX;
  offer->part = (struct tide_cursor_part){.source = partition->source,
                                          .partition = partition->number,
                                          .from = offset,
                                          .next = offset + 1,
                                          .seen = reader->place[p].seen,
                                          .drained = reader->place[p].drained,
                                          .checksum = message->kind == KAFKA_MARKER ? 0 : offset + 1000};
  if (message->kind == KAFKA_MARKER || message->kind == KAFKA_BAD) return offer; /* only the cursor moves */
  bool event = message->kind == KAFKA_EVENT || (message->kind == KAFKA_COPY && world->attempt[message->attempt].event);
  sim_records(world, offer, message->txn, event, message->result, partition->source, partition->number, offset);
  return offer;
}

static void offer_on(struct sim_world *world, struct sim_node *node, unsigned p) {
  struct sim_reader *reader = &node->reader;
  struct tide_offer *first = NULL, *last = NULL;
  if (reader->late) {
    first = reader->late;
    reader->late = NULL;
    world->counts->offered_late += first->turn != reader->turn || !reader->on;
    sim_step(world, node, &(struct tide_core_event){.kind = TIDE_CORE_OFFER, .offer = first});
    return;
  }
  if (!reader->on || reader->place[p].starting || !reader->place[p].begun) return;
  for (unsigned i = 1 + ANY(world, 8); i > 0 && reader->place[p].offered < reader->place[p].at; i--) {
    struct tide_offer *offer = message_offer(world, node, p);
    if (last) last->next = offer;
    else first = offer;
    last = offer;
  }
  if (first && or_percent(&world->rng, 30)) reader->late = first;
  else if (first) sim_step(world, node, &(struct tide_core_event){.kind = TIDE_CORE_OFFER, .offer = first});
}

static void left_on(struct sim_world *world, struct sim_node *node) {
  struct sim_reader *reader = &node->reader;
  size_t before = reader->lefts;
  while (reader->lefts < reader->emits && reader->emit[reader->lefts].arrived) reader->lefts++;
  if (reader->lefts == before) return;
  world->counts->lefts++;
  sim_step(world, node,
           &(struct tide_core_event){.kind = TIDE_CORE_LEFT, .turn = reader->emit_turn, .number = reader->emit[reader->lefts - 1].number});
}

void sim_ingest_turn(struct sim_world *world, struct sim_node *node) {
  struct sim_reader *reader = &node->reader;
  unsigned p = ANY(world, KAFKA_PARTITIONS);
  switch (ANY(world, 7)) {
    case 0: ends_on(world, node); return;
    case 1: left_on(world, node); return;
    case 2:
      if (!reader->on || (!reader->reread && !(world->faults && or_below(&world->rng, 100) == 0))) return;
      reader->reread = false;
      sim_step(world, node, &(struct tide_core_event){.kind = TIDE_CORE_REREAD, .turn = reader->turn});
      return;
    case 3:
    case 4:
      if (or_percent(&world->rng, 80)) p = with_work(world, node, p, false);
      for (unsigned i = 1 + ANY(world, 8); reader->on && i > 0 && !world->failed; i--) read_on(world, node, p);
      return;
    default:
      p = with_work(world, node, p, true);
      offer_on(world, node, p);
      return;
  }
}

void sim_ingest_gone(struct sim_world *world, struct sim_node *node) {
  for (size_t i = 0; i < world->kafka->letters; i++) { /* what had not left the process yet, never does */
    struct kafka_letter *letter = &world->kafka->letter[i];
    if (letter->life == node->life && letter->state == KAFKA_SENT && or_percent(&world->rng, 50)) letter->state = KAFKA_FREE;
  }
  for (struct tide_offer *offer = node->reader.late, *next; offer; offer = next) {
    next = offer->next;
    tide_offer_free(offer);
  }
  node->reader.late = NULL;
}

/* Somebody reads, has offered everything, and every answer has left. */
bool sim_ingest_settled(const struct sim_world *world) {
  if (!world->kafka) return true;
  for (size_t i = 0; i < world->kafka->letters; i++)
    if (world->kafka->letter[i].state != KAFKA_FREE) return false;
  for (unsigned n = 0; n < world->nodes; n++) {
    const struct sim_node *node = &world->node[n];
    if (!node->core || node->ended || !node->reader.on || !tide_core_ingests(node->core)) continue;
    for (unsigned p = 0; p < KAFKA_PARTITIONS; p++) {
      const struct kafka_partition *partition = &world->kafka->partition[p];
      if (!node->shadow->place[p].started || node->shadow->place[p].cursor < partition->hwm || partition->hwm < partition->count)
        return false;
    }
    const struct tide_ledger *ledger = tide_fold_ledger(tide_core_fold(node->core));
    return node->reader.lefts == node->reader.emits && (node->reader.last == ledger->answers || ledger->emitted == ledger->answers);
  }
  return false;
}
