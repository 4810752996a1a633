/* The log in a Redis group (world.h): real protocol code, modelled servers.
 *
 * A node's request is carried out by the journal's adapter in one go, but the servers move on before each of its replies: replicas receive and acknowledge, nodes
 * die, freeze, change roles, come back. What a closed connection had sent arrives late or never. In ruinous worlds acknowledged data may be destroyed
 * (a node restarted empty or from an old copy, and taken for the primary); in the others at most the quorum rules are tried, and nothing
 * acknowledged may be lost. */
#include "adapter/journal_redis.h"
#include "tests/sim/world.h"
#include "tests/support/redis_model_ops.h"

#define MEMORY (UINT64_C(1) << 30)
#define ANY(world, n) ((uint32_t)or_below(&(world)->rng, (int)(n)))

static bool is_up(const struct sim_world *world, uint32_t n) { return world->model->node[n].up; }

/* ---- the servers ---- */

static void restart(struct sim_world *world, uint32_t n) {
  struct redis_model *model = world->model;
  bool ruin = world->ruinous && world->faults && or_percent(&world->rng, 40);
  if (ruin && or_percent(&world->rng, 60)) { /* what was acknowledged may be gone: nothing is left of it, or a part */
    size_t had = model->node[n].data.count, ops = or_percent(&world->rng, 50) ? 0 : ANY(world, had + 1);
    redis_model_restart(model, n, ops, or_percent(&world->rng, 50), REDIS_AS_PRIMARY);
    model->announced = n;
    world->ruined = true;
    world->counts->wipes++;
    return;
  }
  redis_model_restart(model, n, SIZE_MAX, or_percent(&world->rng, 50), REDIS_AS_REPLICA);
  if (model->announced != REDIS_NOBODY && model->announced != n) redis_model_follow(model, n, model->announced);
  world->counts->server_restarts++;
}

static void promote(struct sim_world *world) {
  uint32_t n = ANY(world, world->model->nodes);
  if (!is_up(world, n)) return;
  if (!world->model->node[n].primary) redis_model_promote(world->model, n);
  world->model->announced = n;
  world->counts->promotions++;
  if (world->split && or_percent(&world->rng, 50)) world->torn = 300 + ANY(world, 600);
}

/* Two primaries, each announced to some, and a replica that follows now the one and now the other: what a partition and its end can make of a group. */
static void tear(struct sim_world *world) {
  struct redis_model *model = world->model;
  uint32_t replica = ANY(world, model->nodes), to = ANY(world, model->nodes);
  model->announced = ANY(world, model->nodes);
  if (!model->node[model->announced].primary) model->announced = to;
  if (model->node[replica].primary || !model->node[to].primary || !is_up(world, replica) || !is_up(world, to)) return;
  redis_model_follow(model, replica, to);
  (void)redis_model_attach(model, replica);
  world->counts->refills += redis_model_fill(model, replica);
  world->counts->flaps++;
}

/* What Sentinel does sooner or later: everybody who runs follows whom it announces. */
static void reconfigure(struct sim_world *world) {
  struct redis_model *model = world->model;
  uint32_t n = ANY(world, model->nodes);
  if (world->torn > 0) return;
  if (model->announced == REDIS_NOBODY || !is_up(world, model->announced)) {
    promote(world);
    return;
  }
  const struct redis_node *node = &model->node[n];
  if (n == model->announced) {
    if (!node->primary) redis_model_promote(model, n);
  } else if (node->up && (node->primary || node->follows != model->announced)) {
    redis_model_follow(model, n, model->announced);
  }
}

void sim_redis_lose(struct sim_world *world) {
  struct redis_model *model = world->model;
  uint32_t n = world->laggard;
  uint32_t was = model->announced;
  world->laggard =
      was != REDIS_NOBODY && or_percent(&world->rng, 50) ? was : ANY(world, model->nodes); /* or back again, with what it had */
  if (n == REDIS_NOBODY || !is_up(world, n) || n == was) return;
  if (!model->node[n].primary) redis_model_promote(model, n); /* the primary of before may not know that it is none any more */
  model->announced = n;
  if (was != REDIS_NOBODY && was != n && is_up(world, was) && or_percent(&world->rng, 50)) redis_model_follow(model, was, n);
  if (or_percent(&world->rng, 50)) world->torn = 300 + ANY(world, 600);
  world->counts->losses++;
}

void sim_redis_move(struct sim_world *world) {
  struct redis_model *model = world->model;
  uint32_t n = ANY(world, model->nodes);
  if (n == world->laggard && world->faults && or_percent(&world->rng, 90)) return;
  switch (or_below(&world->rng, 8)) {
    case 0: (void)redis_model_attach(model, n); break;
    case 1: world->counts->refills += redis_model_fill(model, n); break;
    case 2:
    case 3: (void)redis_model_replicate(model, n, 1 + ANY(world, 3)); break;
    case 4:
    case 5: (void)redis_model_ack(model, n); break;
    case 6:
      if (or_percent(&world->rng, 20)) reconfigure(world);
      break;
    default:
      if (or_percent(&world->rng, 10)) redis_model_deliver(model);
      break;
  }
  if (world->torn > 0 && --world->torn > 0 && or_below(&world->rng, 25) == 0) tear(world);
  if (or_percent(&world->rng, 95)) return; /* what is broken is mended, in time */
  uint32_t m = ANY(world, model->nodes);
  model->node[n].memory_used = MEMORY / 10;
  model->node[n].out_of_memory = false;
  model->cut[n][m] = model->cut[m][n] = world->node[ANY(world, world->nodes)].client.cut[n] = false;
  if (model->node[n].frozen) redis_model_thaw(model, n);
  if (!is_up(world, n)) restart(world, n);
  reconfigure(world);
}

void sim_redis_fault(struct sim_world *world) {
  struct redis_model *model = world->model;
  uint32_t n = ANY(world, model->nodes), m = ANY(world, model->nodes);
  struct sim_node *node = &world->node[ANY(world, world->nodes)];
  switch (or_below(&world->rng, 11)) {
    case 0:
    case 1:
      if (!is_up(world, n)) break;
      redis_model_crash(model, n);
      world->counts->server_crashes++;
      break;
    case 2: promote(world); break;
    case 3:
      redis_model_freeze(model, n);
      world->counts->freezes++;
      break;
    case 4:
      model->cut[n][m] = model->cut[m][n] = n != m && !model->cut[n][m];
      world->counts->cuts++;
      break;
    case 5:
      node->client.cut[n] = !node->client.cut[n];
      world->counts->cuts++;
      break;
    case 6: {
      static const enum redis_fault kinds[] = {REDIS_FAULT_CUT_BEFORE, REDIS_FAULT_CUT_AFTER, REDIS_FAULT_CUT_LATE, REDIS_FAULT_STALL};
      node->client.fault = kinds[ANY(world, 4)];
      node->client.fault_at = node->client.receives + 1 + ANY(world, 12);
      world->counts->conn_faults++;
      break;
    }
    case 8:
      if (!is_up(world, n) || n == m || model->node[n].primary) break;
      redis_model_follow(model, n, m); /* a replica that is sent back and forth between two */
      world->counts->flaps++;
      break;
    case 9: model->node[n].out_of_memory = true; break;
    case 7:
      model->announced = n; /* an old view of things, or an early one */
      break;
    default:
      if (or_percent(&world->rng, 30)) model->node[n].memory_used = MEMORY / 10 * 9;
      else if (world->ruinous && or_percent(&world->rng, 5) && is_up(world, n) && model->node[n].primary) {
        redis_model_remove(model, n);
        world->ruined = true;
        world->counts->wipes++;
      }
      break;
  }
}

static void before_receive(void *ctx, uint64_t receive) {
  struct sim_world *world = ctx;
  (void)receive;
  if (!world->faults) return;
  while (or_percent(&world->rng, 50)) sim_redis_move(world);
  if (or_below(&world->rng, 1500) == 0) sim_redis_fault(world);
}

static void on_block(void *ctx) {
  struct sim_world *world = ctx;
  for (int i = or_below(&world->rng, world->faults ? 12 : 60); i > 0; i--) sim_redis_move(world);
  if (world->stalls) sim_leap(world); /* what is proven by now is looked at later */
  world->stalls = false;
}

void sim_redis_heal(struct sim_world *world) {
  struct redis_model *model = world->model;
  world->torn = 0;
  redis_model_deliver(model);
  for (uint32_t n = 0; n < model->nodes; n++) {
    model->node[n].memory_used = MEMORY / 10;
    model->node[n].out_of_memory = false;
    if (model->node[n].frozen) redis_model_thaw(model, n);
    for (uint32_t m = 0; m < model->nodes; m++) model->cut[n][m] = false;
    if (!is_up(world, n)) restart(world, n);
  }
  if (model->announced == REDIS_NOBODY) model->announced = 0;
  if (!model->node[model->announced].primary) redis_model_promote(model, model->announced);
  for (uint32_t n = 0; n < model->nodes; n++)
    if (n != model->announced) redis_model_follow(model, n, model->announced);
  for (unsigned i = 0; i < world->nodes; i++) {
    struct redis_client *client = &world->node[i].client;
    client->fault_at = 0;
    for (uint32_t n = 0; n < model->nodes; n++) client->cut[n] = false;
  }
  model->automatic = true;
  redis_model_settle(model);
}

/* ---- the nodes ---- */

static struct tide_journal *open_journal(struct sim_world *world, struct redis_client *client, uint32_t engine) {
  struct tide_redis_options options = {.cell = "sim",
                                       .engine_id = engine,
                                       .replicas = world->replicas,
                                       .quorum = world->quorum,
                                       .wait_ms = 5,
                                       .timeout_ms = 20,
                                       .clock_skew_max_ms = 500,
                                       .memory_percent = 60,
                                       .link = &redis_model_ops,
                                       .link_ctx = client};
  struct tide_journal *journal;
  struct tide_error error = {0};
  enum tide_err err = tide_redis_target_parse("redis+sentinel://127.0.0.1:26379/sim", &options.target, &error);
  if (err == TIDE_OK) err = tide_journal_redis_open(&options, &journal, &error);
  if (err == TIDE_OK) return journal;
  sim_fail(world, "the journal does not open: %s", error.text);
  abort();
}

void sim_redis_new(struct sim_world *world) {
  world->quorum = world->replicas = or_percent(&world->rng, 75) ? 2 : 1;
  if (world->split) world->quorum = 1, world->replicas = 2;
  struct redis_model *model = redis_model_new(world->replicas + 1, "sim", world->seed);
  world->model = model;
  world->laggard = world->split && world->kafka && or_percent(&world->rng, 40) ? ANY(world, model->nodes) : REDIS_NOBODY;
  model->announced = 0;
  for (uint32_t n = 0; n < model->nodes; n++) model->node[n].memory_max = MEMORY;
  struct redis_client client = {.model = model};
  struct tide_redis_options options = {.cell = "sim",
                                       .replicas = world->replicas,
                                       .quorum = world->quorum,
                                       .wait_ms = 5,
                                       .timeout_ms = 20,
                                       .clock_skew_max_ms = 500,
                                       .memory_percent = 60,
                                       .link = &redis_model_ops,
                                       .link_ctx = &client};
  struct tide_error error = {0};
  if (tide_redis_target_parse("redis://127.0.0.1:7000", &options.target, &error) != TIDE_OK ||
      tide_journal_redis_init(&options, &error) != TIDE_OK)
    sim_fail(world, "no journal can be made: %s", error.text);
  redis_model_settle(model);
  model->automatic = false;
  model->on_block = on_block;
  model->on_block_ctx = world;
  world->wall_ms = model->now_ms;
  world->mono_ns = model->now_ms * 1000000; /* one monotonic clock for the core and its connections */
  for (unsigned n = 0; n < world->nodes; n++) {
    struct sim_node *node = &world->node[n];
    node->client = (struct redis_client){.model = model, .before = before_receive, .before_ctx = world};
    node->journal = open_journal(world, &node->client, n + 1);
  }
}

void sim_redis_free(struct sim_world *world) {
  for (unsigned n = 0; n < world->nodes; n++) world->node[n].journal->ops->close(world->node[n].journal);
  if (world->journal) world->journal->ops->close(world->journal);
  redis_model_free(world->model);
}

static void over(struct sim_world *world, struct sim_node *node, int channel, enum tide_err err) {
  world->counts->sessions_lost++;
  sim_mail(node, channel, &(struct tide_core_event){.kind = TIDE_CORE_SESSION_OVER, .err = err});
}

/* The adapter's time-outs let time pass in the model. */
static void catch_up(struct sim_world *world) {
  if (world->model->now_ms <= world->wall_ms) return;
  world->mono_ns += (world->model->now_ms - world->wall_ms) * 1000000;
  world->wall_ms = world->model->now_ms;
}

/* A number is used once, also on servers that know nothing of each other: who is too late is told the highest. Much may happen between taking it and using it. False: not now. */
static bool reserve(struct sim_world *world, struct sim_node *node) {
  struct sim_request *request = &node->request[SIM_APPEND];
  uint64_t epoch = request->action.epoch;
  if (node->reserved == request->action.attempt) return true;
  if (epoch <= world->registry) {
    request->on = false;
    sim_mail(node, SIM_APPEND,
             &(struct tide_core_event){
                 .kind = TIDE_CORE_APPEND_FAILED, .attempt = request->action.attempt, .err = TIDE_E_STALE, .number = world->registry});
    world->counts->epochs_taken++;
    return false;
  }
  world->registry = epoch;
  node->reserved = request->action.attempt;
  if (!world->faults || or_percent(&world->rng, 70)) return true;
  node->paused = (unsigned)or_below(&world->rng, 200);
  return false;
}

static void note_proof(struct sim_node *node, struct tide_position durable) {
  if (node->proofs > 0 && tide_position_cmp(durable, node->proof[node->proofs - 1].position) <= 0) return;
  if (node->proofs == node->proof_cap) {
    node->proof_cap = node->proof_cap ? node->proof_cap * 2 : 64;
    node->proof = tide_realloc(node->proof, node->proof_cap * sizeof *node->proof);
  }
  node->proof[node->proofs++] = (struct sim_proof){.position = durable, .when = node->client.proven};
}

uint64_t sim_proven(struct sim_world *world, const struct sim_node *node, struct tide_position position) {
  if (!world->model) return ++world->said;
  for (size_t i = 0; i < node->proofs; i++)
    if (tide_position_cmp(node->proof[i].position, position) >= 0) return node->proof[i].when;
  sim_fail(world, "node %u goes by %llu-%llu, which nothing has proven", node->number, (unsigned long long)position.epoch,
           (unsigned long long)position.seq);
  return 0;
}

void sim_redis_carry_out(struct sim_world *world, struct sim_node *node, int channel) {
  struct sim_request *request = &node->request[channel];
  const struct tide_journal_ops *ops = node->journal->ops;
  struct tide_core_event event = {.attempt = request->action.attempt};
  struct tide_error error = {0};
  enum tide_err err;
  if (channel == SIM_APPEND && request->action.kind == TIDE_DO_OPEN && !reserve(world, node)) return;
  request->on = false;
  if (channel == SIM_APPEND) {
    struct tide_span bytes = tide_buf_span(&request->bytes);
    world->stalls = world->faults && or_below(&world->rng, 100) == 0;
    if (world->stalls) sim_step_clock(world, node);
    err = request->action.kind == TIDE_DO_OPEN ? ops->open_epoch(node->journal, request->action.epoch, bytes, &event.position, &error)
                                               : ops->append(node->journal, request->action.epoch, bytes, &event.position, &error);
    event.kind = err == TIDE_OK ? TIDE_CORE_APPENDED : TIDE_CORE_APPEND_FAILED;
    event.err = err;
    world->counts->entries += err == TIDE_OK;
    world->counts->stale += err == TIDE_E_STALE;
    world->counts->full += err == TIDE_E_FULL;
    world->counts->epochs += err == TIDE_OK && request->action.kind == TIDE_DO_OPEN;
    sim_mail(node, channel, &event);
  } else if (channel == SIM_SYNC) {
    event.kind = TIDE_CORE_DURABLE;
    err = ops->sync(node->journal, &event.position, &error);
    event.pressed = err == TIDE_OK && tide_journal_redis_pressed(node->journal);
    event.clock_ms = tide_journal_redis_clock(node->journal);
    if (err == TIDE_OK) note_proof(node, event.position);
    world->counts->pressed += event.pressed;
    if (err == TIDE_OK) sim_mail(node, channel, &event);
    else over(world, node, channel, err);
  } else {
    struct tide_buf bytes = TIDE_BUF_INIT;
    struct tide_position from = request->action.position;
    bool inclusive = request->action.inclusive;
    event.kind = TIDE_CORE_ENTRY;
    while ((err = ops->read(node->journal, from, inclusive, &bytes, &event.position, &error)) == TIDE_OK) {
      event.bytes = tide_buf_span(&bytes);
      sim_mail(node, channel, &event);
      from = event.position;
      inclusive = false;
    }
    if (err == TIDE_E_END) sim_mail(node, channel, &(struct tide_core_event){.kind = TIDE_CORE_FETCH_END});
    else over(world, node, channel, err);
    tide_buf_release(&bytes);
  }
  catch_up(world);
}

bool sim_redis_remembers(struct sim_world *world, struct sim_node *node) {
  if (node->disk.position.epoch == 0) return true;
  static struct tide_cursor_part part[TIDE_PARTS_MAX];
  struct tide_buf bytes = TIDE_BUF_INIT;
  struct tide_entry_reader reader;
  struct tide_position at;
  struct tide_error error = {0};
  enum tide_err err = node->journal->ops->read(node->journal, node->disk.position, true, &bytes, &at, &error);
  bool there = err == TIDE_OK && tide_position_cmp(at, node->disk.position) == 0 &&
               tide_entry_open(&reader, tide_buf_span(&bytes), part, &error) == TIDE_OK &&
               tide_entry_mark_eq(tide_entry_mark_of(tide_buf_span(&bytes), &reader.header), node->disk.mark);
  bool known = err == TIDE_OK || err == TIDE_E_END;
  tide_buf_release(&bytes);
  catch_up(world);
  if (known && !there) {
    sim_lost_history(world, node);
    if (!world->ruined) sim_fail(world, "node %u finds its history gone, and nothing has destroyed it", node->number);
  }
  return known && there;
}

bool sim_redis_begin(struct sim_world *world, struct sim_node *node) {
  struct tide_core_event session = {.kind = TIDE_CORE_SESSION};
  struct tide_error error = {0};
  bool begun = node->journal->ops->begin(node->journal, &session.session, &error) == TIDE_OK;
  catch_up(world);
  world->counts->no_session += !begun;
  if (begun && !sim_redis_remembers(world, node)) begun = false;
  if (begun) {
    node->met = true;
    sim_step(world, node, &session);
  }
  return begun;
}

bool sim_redis_reader(struct sim_world *world) {
  static struct redis_client client;
  struct tide_session session;
  struct tide_error error = {0};
  client = (struct redis_client){.model = world->model};
  world->journal = open_journal(world, &client, 1000);
  return world->journal->ops->begin(world->journal, &session, &error) == TIDE_OK;
}
