/* Nodes, the log, and what goes wrong (world.h).
 *
 * Faults: a node crashes between any two steps and comes back empty or from a snapshot; a connection drops with requests under way, which are
 * lost, or carried out with nobody listening, then or later; the store crashes and loses what was not synced; the store is full. */
#include "tests/sim/world.h"

#include <stdarg.h>
#include <stdio.h>

#include "adapter/file.h"
#include "tests/support/small_fold.h"

#define MILLISECOND INT64_C(1000000)
#define CLOCK_MAX_MS                                                                                                                       \
  610 /* by which a clock may be off that says 500: what a comparison may take, and what a step of the clock must have to be one */

void sim_fail(struct sim_world *world, const char *fmt, ...) {
  if (world->failed) return;
  world->failed = true;
  va_list args;
  va_start(args, fmt);
  vsnprintf(world->why, sizeof world->why, fmt, args);
  va_end(args);
}

/* ---- requests and mail ---- */

void sim_mail(struct sim_node *node, int channel, const struct tide_core_event *event) {
  if (node->mail_first[channel] == node->mail_count[channel]) node->mail_first[channel] = node->mail_count[channel] = 0;
  if (node->mail_count[channel] == node->mail_cap[channel]) {
    size_t cap = node->mail_cap[channel] ? node->mail_cap[channel] * 2 : 8;
    node->mail[channel] = tide_realloc(node->mail[channel], cap * sizeof **node->mail);
    memset(node->mail[channel] + node->mail_cap[channel], 0, (cap - node->mail_cap[channel]) * sizeof **node->mail);
    node->mail_cap[channel] = cap;
  }
  struct sim_mail *mail = &node->mail[channel][node->mail_count[channel]++];
  mail->event = *event;
  tide_buf_clear(&mail->bytes);
  tide_buf_put(&mail->bytes, event->bytes.ptr, event->bytes.len);
}

static bool mail_waits(const struct sim_node *node, int channel) { return node->mail_first[channel] < node->mail_count[channel]; }

static void mail_drop_all(struct sim_node *node) {
  for (int c = 0; c < SIM_CHANNELS; c++) node->mail_first[c] = node->mail_count[c] = 0;
}

static void node_deliver(struct sim_world *world, struct sim_node *node, int channel) {
  struct sim_mail *mail = &node->mail[channel][node->mail_first[channel]++];
  struct tide_core_event event = mail->event;
  event.bytes = tide_buf_span(&mail->bytes);
  sim_step(world, node, &event);
}

/* ---- the store ---- */

static void store_append(struct sim_world *world, struct sim_request *request, struct tide_core_event *ret) {
  struct tide_error error = {0};
  struct tide_span bytes = tide_buf_span(&request->bytes);
  const struct tide_core_action *action = &request->action;
  *ret = (struct tide_core_event){.kind = TIDE_CORE_APPENDED, .attempt = action->attempt};
  enum tide_err err;
  if (world->full) {
    err = TIDE_E_FULL;
    world->counts->full++;
  } else if (action->kind == TIDE_DO_OPEN) {
    err = world->journal->ops->open_epoch(world->journal, action->epoch, bytes, &ret->position, &error);
    if (err == TIDE_OK) world->counts->epochs++;
  } else {
    err = world->journal->ops->append(world->journal, action->epoch, bytes, &ret->position, &error);
  }
  if (err == TIDE_OK) {
    world->counts->entries++;
    return;
  }
  if (err == TIDE_E_STALE) world->counts->stale++;
  ret->kind = TIDE_CORE_APPEND_FAILED;
  ret->err = err;
}

static void store_fetch(struct sim_world *world, struct sim_node *node) {
  struct tide_buf bytes = TIDE_BUF_INIT;
  struct tide_error error = {0};
  struct tide_position from = node->request[SIM_FETCH].action.position;
  struct tide_core_event event = {.kind = TIDE_CORE_ENTRY};
  bool inclusive = node->request[SIM_FETCH].action.inclusive;
  while (world->journal->ops->read(world->journal, from, inclusive, &bytes, &event.position, &error) == TIDE_OK) {
    event.bytes = tide_buf_span(&bytes);
    sim_mail(node, SIM_FETCH, &event);
    from = event.position;
    inclusive = false;
  }
  sim_mail(node, SIM_FETCH, &(struct tide_core_event){.kind = TIDE_CORE_FETCH_END});
  tide_buf_release(&bytes);
}

static void carry_out(struct sim_world *world, struct sim_node *node, int channel) {
  if (world->model) {
    sim_redis_carry_out(world, node, channel);
    return;
  }
  struct sim_request *request = &node->request[channel];
  request->on = false;
  struct tide_core_event event = {0};
  struct tide_error error = {0};
  switch (channel) {
    case SIM_APPEND:
      store_append(world, request, &event);
      sim_mail(node, channel, &event);
      break;
    case SIM_SYNC:
      event.kind = TIDE_CORE_DURABLE;
      if (world->journal->ops->sync(world->journal, &event.position, &error) != TIDE_OK) sim_fail(world, "the log in memory cannot sync");
      world->durable = event.position;
      sim_mail(node, channel, &event);
      break;
    default: store_fetch(world, node); break;
  }
}

static void bury(struct sim_world *world, struct sim_request *request) {
  if (!request->on) return;
  request->on = false;
  if (world->model) return; /* it was not sent; what was sent and not heard is the model's */
  if (request->action.kind != TIDE_DO_APPEND && request->action.kind != TIDE_DO_OPEN) return;
  struct sim_request *zombie = &world->zombie[or_below(&world->rng, 8)];
  if (zombie->on || or_percent(&world->rng, 30)) return; /* never arrives */
  zombie->on = true;
  zombie->action = request->action;
  tide_buf_clear(&zombie->bytes);
  tide_buf_put(&zombie->bytes, request->bytes.ptr, request->bytes.len);
}

static void drop_session(struct sim_world *world, struct sim_node *node) {
  for (int c = 0; c < SIM_CHANNELS; c++) bury(world, &node->request[c]);
  mail_drop_all(node);
  node->needs_session = true;
}

static void store_crash(struct sim_world *world) {
  struct tide_position first, before, after;
  world->journal->ops->range(world->journal, &first, &before, NULL);
  tide_journal_memory_crash(world->journal);
  world->journal->ops->range(world->journal, &first, &after, NULL);
  world->counts->store_crashes++;
  world->counts->lost_entries += tide_position_cmp(before, after) > 0;
  for (unsigned n = 0; n < world->nodes; n++)
    if (world->node[n].core) drop_session(world, &world->node[n]);
  for (int z = 0; z < 8; z++) world->zombie[z].on = false;
}

/* ---- nodes ---- */

static void node_crash(struct sim_world *world, struct sim_node *node);

/* Between two steps of an opener much may happen elsewhere. */
static void linger(struct sim_world *world, struct sim_node *node) {
  if (!world->kafka || !world->faults || or_percent(&world->rng, 85)) return;
  node->paused = 20 + (unsigned)or_below(&world->rng, 250);
  world->counts->pauses++;
}

void sim_step(struct sim_world *world, struct sim_node *node, const struct tide_core_event *event) {
  if (world->failed) return;
  const struct tide_core_action *action;
  size_t count;
  struct tide_error error = {0};
  node->knew_spec = tide_fold_spec(tide_core_fold(node->core));
  struct tide_core_now now = {.wall = {world->wall_ms + node->skew_ms}, .mono = {world->mono_ns}};
  enum tide_err err = tide_core_step(node->core, now, event, &action, &count, &error);
  if (err == TIDE_E_HISTORY && world->ruined) {
    sim_lost_history(world, node);
    return;
  }
  if (err != TIDE_OK) {
    sim_fail(world, "node %u ended: %s", node->number, error.text);
    return;
  }
  sim_shadow_step(world, node);
  for (size_t i = 0; i < count && !world->failed; i++) {
    int channel = -1;
    switch (action[i].kind) {
      case TIDE_DO_APPEND:
      case TIDE_DO_OPEN: channel = SIM_APPEND; break;
      case TIDE_DO_SYNC: channel = SIM_SYNC; break;
      case TIDE_DO_FETCH: channel = SIM_FETCH; break;
      case TIDE_DO_RELEASE: sim_released(world, node, action[i].offer); break;
      case TIDE_DO_SESSION: node->needs_session = true; break;
      case TIDE_DO_STOPPED: break;
      case TIDE_DO_INGEST:
      case TIDE_DO_INGEST_STOP:
      case TIDE_DO_ENDS:
      case TIDE_DO_EMIT:
      case TIDE_DO_LOG: sim_ingest_action(world, node, &action[i]); break;
    }
    if (channel < 0) continue;
    struct sim_request *request = &node->request[channel];
    if (request->on || mail_waits(node, channel)) {
      sim_fail(world, "node %u asks for two things of kind %d at a time, in state %s", node->number, channel,
               tide_core_state_name(tide_core_state(node->core)));
      return;
    }
    request->on = true;
    if (channel == SIM_APPEND && world->model && (node->skew_ms > CLOCK_MAX_MS || node->skew_ms < -CLOCK_MAX_MS))
      sim_fail(world, "node %u writes an entry, and its clock is off by %lld ms", node->number, (long long)node->skew_ms);
    if (action[i].kind == TIDE_DO_OPEN) linger(world, node);
    request->action = action[i];
    tide_buf_clear(&request->bytes);
    tide_buf_put(&request->bytes, action[i].bytes.ptr, action[i].bytes.len);
  }
  struct tide_fold *fold = tide_core_fold(node->core);
  struct tide_position position = tide_fold_position(fold);
  if ((node->met || !world->model) &&
      tide_position_cmp(position, node->disk.position) > 0) { /* a node that begins anew folds what it has folded before */
    node->disk.position = position;
    node->disk.mark = tide_fold_mark(fold);
  }
  if (!world->model && tide_position_cmp(position, world->durable) > 0)
    sim_fail(world, "node %u folded %llu-%llu, which is not durable", node->number, (unsigned long long)position.epoch,
             (unsigned long long)position.seq);
  if (tide_position_cmp(position, node->reached) != 0) {
    if (position.seq == 0 && tide_position_cmp(position, node->reached) > 0)
      sim_fenced(world, position, node->reached, sim_proven(world, node, position));
    node->reached = position;
  }
  if (tide_position_cmp(position, node->digested) == 0 || tide_fold_waits(fold))
    return; /* what it waits for is the state at its position */
  node->digested = position;
  sim_digest(world, position, tide_fold_digest(fold), node->bit, "a node");
}

void sim_lost_history(struct sim_world *world, struct sim_node *node) {
  world->counts->history_lost++;
  if (node->core) node_crash(world, node);
  if (world->split) { /* an operator takes note of the loss; a new engine with no memory */
    node->disk.position = (struct tide_position){0, 0};
    world->snapshot.there = false; /* it may be of what is lost */
  } else {
    node->ended = true; /* as it must: it decides nothing more */
  }
}

static const struct tide_sources the_sources = {
    .scores = true,
    .count = 2,
    .source = {{.number = KAFKA_AUTHS, .name = "auths", .gates = true, .keyed = true, .out_of_orderness_ms = 2000, .silence_ms = 30000},
               {.number = KAFKA_OUTCOMES, .name = "outcomes", .out_of_orderness_ms = 2000, .silence_ms = 30000}}};

static void shadow_start(struct sim_world *world, struct sim_node *node, bool from_snapshot) {
  if (!node->shadow) node->shadow = tide_alloc(sizeof *node->shadow);
  memset(node->shadow, 0, sizeof *node->shadow);
  if (from_snapshot) *node->shadow = *world->snapshot.shadow;
  node->shadowed = from_snapshot ? world->snapshot.position : (struct tide_position){0, 0};
  node->folded_count = 0;
  node->vouched = 0;
  node->life = ++world->starts;
  node->paused = 0;
  node->met = false;
  node->proofs = 0;
  node->reader.on = node->reader.reread = node->reader.ends_asked = false;
  node->reader.turn = node->reader.emit_turn = 0;
  node->reader.emits = node->reader.lefts = 0;
  node->news.offering = false;
}

static void node_start(struct sim_world *world, struct sim_node *node) {
  struct tide_fold *fold = tide_fold_new();
  bool from_snapshot = false;
  if (world->snapshot.there && or_percent(&world->rng, 50)) {
    struct tide_error error = {0};
    enum tide_err err = tide_fold_load(fold, TIDE_SHARDS, tide_buf_span(&world->snapshot.chunk[TIDE_SHARDS]), &error);
    for (unsigned c = 0; c < TIDE_SHARDS && err == TIDE_OK; c++)
      err = tide_fold_load(fold, c, tide_buf_span(&world->snapshot.chunk[c]), &error);
    if (err != TIDE_OK) sim_fail(world, "a snapshot does not load: %s", error.text);
    world->counts->from_snapshot++;
    from_snapshot = true;
  }
  struct tide_core_options options = {.engine_id = node->number + 1,
                                      .seed = or_next(&world->rng),
                                      .settings = tide_settings_default(),
                                      .features = {world->spec->text, world->spec->text_len},
                                      .batch_records_max = 2 + (uint32_t)or_below(&world->rng, 12),
                                      .queue_max = 3 + (uint32_t)or_below(&world->rng, 20),
                                      .heartbeat_ms = or_percent(&world->rng, 50) ? 50 : 0,
                                      .epoch_seen = node->disk.position.epoch,
                                      .shared = true,
                                      .compares_clocks = world->model != NULL};
  if (world->kafka) {
    options.sources = the_sources;
    options.ingests = node->ingests = node->number == 0 || or_percent(&world->rng, 80);
    options.heartbeat_ms = 80; /* who reads must be heard of within its claim's time */
    options.claim_timeout_ms = 200 + or_below(&world->rng, 200);
    options.outbox_max = or_percent(&world->rng, 40) ? 1 + (uint32_t)or_below(&world->rng, 8) : 0;
  }
  node->core = tide_core_new(&options, fold);
  node->skew_ms = or_below(&world->rng, 400) - 200;
  if (world->model && world->faults && or_percent(&world->rng, 5)) { /* nothing may come of what it says */
    node->skew_ms = or_percent(&world->rng, 50) ? 2000 : -2000;
    world->counts->skewed++;
  }
  node->client.skew_ms = node->skew_ms;
  node->bit = world->split ? 1u << (world->starts % 32) : 1u << node->number;
  shadow_start(world, node, from_snapshot);
  node->needs_session = true;
  node->digested = (struct tide_position){0, 0};
  node->reached = node->shadowed; /* what a snapshot stands on was not folded here */
}

static void node_crash(struct sim_world *world, struct sim_node *node) {
  drop_session(world, node);
  sim_node_gone(world, node);
  tide_core_free(node->core);
  node->core = NULL;
  world->counts->crashes++;
}

static void take_snapshot(struct sim_world *world, struct sim_node *node) {
  struct tide_fold *fold = tide_core_fold(node->core);
  if (!tide_fold_spec(fold)) return;
  for (unsigned c = 0; c < TIDE_CHUNKS; c++) {
    tide_buf_clear(&world->snapshot.chunk[c]);
    tide_fold_save(fold, c, &world->snapshot.chunk[c]);
  }
  if (!world->snapshot.shadow) world->snapshot.shadow = tide_alloc(sizeof *world->snapshot.shadow);
  *world->snapshot.shadow = *node->shadow;
  world->snapshot.position = tide_fold_position(fold);
  world->snapshot.there = true;
}

/* ---- one turn of the world ---- */

static void zombie_turn(struct sim_world *world) {
  if (world->model) {
    if (or_percent(&world->rng, 15)) sim_redis_fault(world);
    return;
  }
  struct sim_request *zombie = &world->zombie[or_below(&world->rng, 8)];
  if (!zombie->on) return;
  zombie->on = false;
  struct tide_core_event unheard;
  store_append(world, zombie, &unheard);
  world->counts->zombies++;
}

/* Time passes, and nobody does anything. */
void sim_leap(struct sim_world *world) {
  int64_t ms = 100 + or_below(&world->rng, 1200);
  world->mono_ns += ms * MILLISECOND;
  world->wall_ms += ms;
  if (world->model) redis_model_advance(world->model, ms);
  world->counts->leaps++;
}

/* Long enough for a claim to be passed over, or for an epoch's opener to be taken for dead. */
static void pause_or_leap(struct sim_world *world, struct sim_node *node) {
  if (or_percent(&world->rng, 60)) {
    node->paused = 50 + (unsigned)or_below(&world->rng, 400);
    world->counts->pauses++;
    return;
  }
  sim_leap(world);
}

void sim_step_clock(struct sim_world *world, struct sim_node *node) {
  bool off = node->skew_ms > CLOCK_MAX_MS || node->skew_ms < -CLOCK_MAX_MS;
  int64_t by_ms = or_percent(&world->rng, 50) ? 620 + or_below(&world->rng, 700) : 1000 + or_below(&world->rng, 4000);
  node->skew_ms = off ? or_below(&world->rng, 400) - 200 : or_percent(&world->rng, 50) ? by_ms : -by_ms;
  node->client.skew_ms = node->skew_ms;
  world->counts->clock_steps++;
}

static void fault_turn(struct sim_world *world, struct sim_node *node) {
  if (world->model && or_percent(&world->rng, 15)) {
    sim_step_clock(world, node);
    return;
  }
  if (world->kafka && or_percent(&world->rng, 35)) {
    if (world->split && or_percent(&world->rng, 40)) {
      sim_redis_lose(world);
      unsigned hear = or_percent(&world->rng, 50) ? 0 : (unsigned)or_below(&world->rng, (int)world->nodes);
      for (unsigned n = 0; n < world->nodes; n++) /* one hears of it, the others go on with the one before */
        if (world->node[n].core && n + 1 == hear) drop_session(world, &world->node[n]);
    } else if (or_percent(&world->rng, 50)) pause_or_leap(world, node);
    else sim_kafka_fault(world);
    return;
  }
  switch (or_below(&world->rng, 6)) {
    case 0:
      if (node->core) node_crash(world, node);
      break;
    case 1:
      if (world->model) sim_redis_fault(world);
      else store_crash(world);
      break;
    case 4:
      if (world->model) {
        sim_redis_fault(world);
        break;
      }
      tide_journal_memory_new_session(world->journal); /* nobody is told */
      world->counts->sessions++;
      break;
    case 2:
    case 3:
      if (node->core) {
        drop_session(world, node);
        world->counts->drops++;
      }
      break;
    default:
      if (world->model) sim_redis_fault(world);
      else world->full = !world->full && or_percent(&world->rng, 30);
      break;
  }
}

static void node_turn(struct sim_world *world, struct sim_node *node) {
  if (node->ended) return;
  if (node->paused > 0) {
    node->paused--;
    return;
  }
  if (!node->core) {
    if (or_percent(&world->rng, world->faults ? 10 : 100)) {
      node_start(world, node);
      world->counts->restarts++;
    }
    return;
  }
  if (node->needs_session) {
    if (world->faults && or_percent(&world->rng, 60)) return;
    drop_session(world, node); /* what was asked for meanwhile went nowhere */
    node->needs_session = false;
    if (world->model) {
      if (!sim_redis_begin(world, node)) node->needs_session = true;
      return;
    }
    struct tide_core_event session = {.kind = TIDE_CORE_SESSION};
    struct tide_error error = {0};
    if (world->journal->ops->begin(world->journal, &session.session, &error) != TIDE_OK)
      sim_fail(world, "the log in memory gives no session");
    sim_step(world, node, &session);
    return;
  }
  if (world->kafka && or_percent(&world->rng, 40)) {
    sim_ingest_turn(world, node);
    return;
  }
  if (world->versions && or_percent(&world->rng, 10)) {
    sim_rollout_turn(world, node);
    return;
  }
  if (world->files && tide_fold_waits(tide_core_fold(node->core)) && or_percent(&world->rng, 10)) {
    sim_files_wait(world, node);
    return;
  }
  if (world->files && or_percent(&world->rng, 10)) {
    sim_files_turn(world, node);
    return;
  }
  int channel = or_below(&world->rng, SIM_CHANNELS);
  if (node->request[channel].on && or_percent(&world->rng, 50)) {
    bool opens = channel == SIM_APPEND && node->request[channel].action.kind == TIDE_DO_OPEN;
    carry_out(world, node, channel);
    if (opens) linger(world, node);
  } else if (mail_waits(node, channel)) node_deliver(world, node, channel);
  else if (tide_core_busy(node->core)) sim_step(world, node, &(struct tide_core_event){.kind = TIDE_CORE_GO_ON});
  else if (or_percent(&world->rng, 20)) sim_step(world, node, &(struct tide_core_event){.kind = TIDE_CORE_TICK});
}

static void turn(struct sim_world *world) {
  world->counts->steps++;
  if (world->model && or_percent(&world->rng, 40)) sim_redis_move(world);
  if (world->kafka && or_percent(&world->rng, 30)) sim_kafka_move(world);
  if (or_percent(&world->rng, 30)) {
    int64_t ns = or_percent(&world->rng, 3) ? or_below(&world->rng, 40) * MILLISECOND : or_below(&world->rng, 400) * 1000;
    int64_t before = world->mono_ns / MILLISECOND;
    world->mono_ns += ns;
    int64_t passed = world->mono_ns / MILLISECOND - before;
    world->wall_ms += passed;
    if (world->model) redis_model_advance(world->model, passed);
  }
  struct sim_node *node = &world->node[or_below(&world->rng, (int)world->nodes)];
  if (world->faults && or_below(&world->rng, 400) == 0) fault_turn(world, node);
  else if (world->faults && or_below(&world->rng, 100) == 0) zombie_turn(world);
  else if (world->faults && world->versions && or_below(&world->rng, 120) == 0) sim_rollout_make(world);
  else if (world->faults && world->kafka && or_percent(&world->rng, 2)) sim_kafka_produce(world);
  else if (world->faults && node->core && !node->paused && or_percent(&world->rng, world->kafka ? 6 : 12)) sim_offer(world, node);
  else if (world->faults && node->core && or_below(&world->rng, 500) == 0) take_snapshot(world, node);
  else node_turn(world, node);
}

static bool is_settled(const struct sim_world *world) {
  struct tide_position first, last = {0, 0};
  if (world->journal) world->journal->ops->range(world->journal, &first, &last, NULL);
  else if (world->model->announced != REDIS_NOBODY && world->model->node[world->model->announced].data.entries > 0) {
    const struct redis_data *data = &world->model->node[world->model->announced].data;
    last = data->entry[data->entries - 1]->at;
  }
  if (world->pending > 0) return false;
  for (unsigned n = 0; n < world->nodes; n++) {
    const struct sim_node *node = &world->node[n];
    if (node->ended) continue;
    if (!node->core || tide_core_state(node->core) != TIDE_CORE_open || !sim_rollout_settled(world, node) ||
        !sim_files_settled(world, node))
      return false;
    struct tide_core_stats stats = tide_core_stats(node->core);
    if (stats.queued || stats.in_flight || tide_position_cmp(node->digested, last) != 0) return false;
  }
  return sim_ingest_settled(world);
}

#define SETTLE_STEPS 60000

static void not_settled(struct sim_world *world) {
  char text[400] = "";
  size_t len = 0;
  for (unsigned n = 0; n < world->nodes && len < sizeof text; n++) {
    const struct sim_node *node = &world->node[n];
    const struct tide_ledger *ledger = node->core ? tide_fold_ledger(tide_core_fold(node->core)) : NULL;
    len += (size_t)snprintf(text + len, sizeof text - len, "; %u %s at %llu-%llu", n,
                            node->ended       ? "ended"
                            : !node->core     ? "down"
                            : node->reader.on ? "reads"
                                              : tide_core_state_name(tide_core_state(node->core)),
                            (unsigned long long)node->shadowed.epoch, (unsigned long long)node->shadowed.seq);
    for (unsigned p = 0; ledger && world->kafka && p < KAFKA_PARTITIONS && len < sizeof text; p++)
      len += (size_t)snprintf(text + len, sizeof text - len, " %llu/%u", (unsigned long long)node->shadow->place[p].cursor,
                              world->kafka->partition[p].hwm);
    if (ledger && len < sizeof text)
      len += (size_t)snprintf(text + len, sizeof text - len, " %llu/%llu", (unsigned long long)ledger->emitted,
                              (unsigned long long)ledger->answers);
  }
  sim_fail(world, "faults stopped and %d steps later not every node is open and level%s", SETTLE_STEPS, text);
}

bool sim_run(struct sim_world *world, unsigned steps) {
  world->faults = true;
  for (unsigned i = 0; i < steps && !world->failed; i++) turn(world);
  world->faults = world->full = false;
  if (world->model) sim_redis_heal(world);
  if (world->kafka) sim_kafka_heal(world);
  for (unsigned n = 0; n < world->nodes; n++) world->node[n].paused = 0;
  for (unsigned n = 0; n < world->nodes; n++)
    if (world->node[n].skew_ms > 500 || world->node[n].skew_ms < -500) world->node[n].client.skew_ms = world->node[n].skew_ms = 0;
  for (int z = 0; z < 8; z++) world->zombie[z].on = false;
  unsigned left = world->ruined && !world->kafka ? SETTLE_STEPS / 6 : SETTLE_STEPS;
  while (!world->failed && !is_settled(world) && left-- > 0) turn(world);
  bool dead = world->ruined && !world->kafka && !is_settled(world); /* nothing goes on where history was destroyed; that is the promise */
  if (!world->failed && !dead && !is_settled(world)) not_settled(world);
  bool ended = dead || (world->split && !world->kafka); /* what a lossy promotion loses has no verdict */
  for (unsigned n = 0; n < world->nodes; n++) ended = ended || world->node[n].ended;
  if (!world->failed && !ended) {
    world->counts->settled++;
    if (world->model && !sim_redis_reader(world)) sim_fail(world, "faults stopped and no session can be had");
    if (!world->failed) sim_verdict(world);
  }
  sim_dig_up(world);
  return !world->failed;
}

/* The small file with budgets that are over within a few steps. */
static struct tide_spec *tight_spec(void) {
  struct tide_buf text = TIDE_BUF_INIT;
  struct tide_error error = {0};
  struct tide_spec *spec = NULL;
  size_t count = 0;
  tide_buf_printf(&text, "%sfreshness: {default: {budget: %dms, stale: recompute, warming: mark}}\n", small_features, SIM_BUDGET_MS);
  TIDE_CHECK(tide_spec_parse("tight", tide_buf_span(&text), &spec, &error, 1, &count) == TIDE_OK);
  tide_buf_release(&text);
  return spec;
}

struct sim_world *sim_new(enum sim_kind kind, uint64_t seed, struct sim_counts *counts) {
  struct sim_world *world = tide_alloc(sizeof *world);
  world->rng.state = seed; /* the generator mixes it: what it draws for one seed it does not draw for the next, one step later */
  world->seed = seed;
  world->counts = counts;
  world->nodes = 2 + (unsigned)or_below(&world->rng, SIM_NODES - 1);
  world->wall_ms = 1700000000000;
  world->mono_ns = 1;
  bool rollouts = kind == SIM_ROLLOUT || kind == SIM_KAFKA_ROLLOUT; /* with a feature file of their own, whose budget is long */
  world->tight = seed % 4 == 0 && !rollouts;
  world->spec = world->tight ? tight_spec() : small_spec();
  world->record = tide_alloc(sizeof *world->record);
  world->ruinous = kind == SIM_RUIN;
  world->split = world->ruined = kind == SIM_SPLIT || kind == SIM_KAFKA_SPLIT;
  if (kind >= SIM_KAFKA) sim_kafka_new(world);
  if (rollouts) {
    tide_spec_free(world->spec);
    world->spec = sim_rollout_spec();
    sim_rollout_new(world);
  }
  if (kind == SIM_MEMORY || kind == SIM_KAFKA || rollouts || kind == SIM_FEATURES) world->journal = tide_journal_memory_new();
  else sim_redis_new(world);
  if (kind == SIM_FEATURES) sim_files_new(world);
  world->began_ms = world->wall_ms;
  for (unsigned n = 0; n < world->nodes; n++) {
    world->node[n].number = n;
    node_start(world, &world->node[n]);
  }
  return world;
}

void sim_free(struct sim_world *world) {
  for (unsigned n = 0; n < world->nodes; n++) {
    struct sim_node *node = &world->node[n];
    if (node->core) {
      sim_node_gone(world, node);
      tide_core_free(node->core);
    }
    for (int c = 0; c < SIM_CHANNELS; c++) {
      for (size_t i = 0; i < node->mail_cap[c]; i++) tide_buf_release(&node->mail[c][i].bytes);
      tide_free(node->mail[c]);
      tide_buf_release(&node->request[c].bytes);
    }
    tide_free(node->reader.emit);
    tide_free(node->shadow);
    tide_free(node->folded);
    tide_free(node->proof);
  }
  for (int z = 0; z < 8; z++) tide_buf_release(&world->zombie[z].bytes);
  for (unsigned c = 0; c < TIDE_CHUNKS; c++) tide_buf_release(&world->snapshot.chunk[c]);
  for (unsigned a = 0; a < world->attempts; a++) tide_free(world->attempt[a].answer);
  sim_dig_up(world);
  if (world->model) sim_redis_free(world);
  else world->journal->ops->close(world->journal);
  sim_kafka_free(world);
  sim_rollout_free(world);
  sim_files_free(world);
  tide_spec_free(world->spec);
  tide_free(world->snapshot.shadow);
  tide_free(world->vouch);
  tide_free(world->seen);
  tide_free(world->acked);
  tide_free(world->record);
  tide_free(world);
}
