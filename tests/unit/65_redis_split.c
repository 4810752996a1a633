/* Several engines, three Redis nodes, and operators who promote, demote, restart and cut off at random: there is never more than one session that acknowledges.
 *
 * Small engines open an epoch in each session and append; each asks another sentinel, and these disagree about the primary, so engines sit on both sides of a split.
 * Between any two steps, and while a WAIT waits, the nodes attach, fill, replicate and acknowledge piece by piece. After every acknowledgement:
 *   - it belongs to the session whose fence was acknowledged last: a session that was followed by another acknowledges nothing any more;
 *   - the entry stands on the primary and on a quorum of replicas;
 *   - where the quorum is all replicas and no node comes back old, a new session's fence stands behind everything that was acknowledged before.
 * A seed is a run. */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../support/journal_dir.h"
#include "../support/redis_model_ops.h"
#include "adapter/journal_redis.h"

enum { NODES = 3, ENGINES = 3, STEPS = 2500, ACKS_MAX = 2000, SESSIONS_MAX = 600 };

struct engine {
  struct redis_client client;
  struct tide_journal *journal;
  bool begun, fenced;
  struct tide_u128 session;
  uint64_t epoch;
};
struct world {
  uint64_t seed, rng;
  uint32_t quorum;
  bool rdb; /* nodes also come back from an RDB file */
  struct redis_model *model;
  struct engine engine[ENGINES];
  struct {
    struct tide_position at;
    uint64_t number;
  } ack[ACKS_MAX];
  size_t acks;
  struct tide_u128 session[SESSIONS_MAX]; /* in the order of their fences' acknowledgement; the last one lives */
  size_t sessions;
  uint64_t number;
  struct tide_buf entry;
  struct tide_error error;
};
struct totals {
  uint64_t acks, sessions, begins, refused, fulls, partials, crashes, promotions, ended_by_sync_full, ended_by_replid, shorts;
};
static struct totals totals;

static uint64_t dice(struct world *world, uint64_t sides) { return test_random(&world->rng) % sides; }
#define VIOLATION(world, ...)                                                                                                              \
  do {                                                                                                                                     \
    print_error("seed %" PRIu64 ", quorum %u: ", (world)->seed, (world)->quorum);                                                          \
    fail_msg(__VA_ARGS__);                                                                                                                 \
  } while (0)

/* The nodes: one random step */

/* What an operator, or a sentinel that sees everything, does in a failover. */
static void reconfigure(struct world *world, uint32_t primary) {
  if (!world->model->node[primary].up) return;
  if (!world->model->node[primary].primary) redis_model_promote(world->model, primary);
  for (uint32_t i = 0; i < NODES; i++)
    if (i != primary && world->model->node[i].up) redis_model_follow(world->model, i, primary);
}

static void node_step(struct world *world) {
  struct redis_model *model = world->model;
  uint32_t n = (uint32_t)dice(world, NODES), other = (n + 1 + (uint32_t)dice(world, NODES - 1)) % NODES;
  struct redis_node *node = &model->node[n];
  uint64_t what = dice(world, 1000);
  if (!node->up) {
    if (what < 700) return;
    bool replica = dice(world, 4) > 0, from_rdb = world->rdb && dice(world, 4) > 0;
    redis_model_restart(model, n, SIZE_MAX, from_rdb, replica ? REDIS_AS_REPLICA : REDIS_AS_PRIMARY);
    if (replica) node->follows = other;
    (void)redis_model_attach(model, n);
  } else if (node->frozen && what < 500) {
    redis_model_thaw(model, n);
  } else if (what < 200) {
    (void)redis_model_attach(model, n);
  } else if (what < 400) {
    (void)redis_model_fill(model, n);
  } else if (what < 600) {
    (void)redis_model_replicate(model, n, 1 + dice(world, 3));
  } else if (what < 800) {
    (void)redis_model_ack(model, n);
  } else if (what < 803 && world->rdb) {
    redis_model_save(model, n);
  } else if (what < 850) {
    redis_model_settle(model);
  } else if (what < 900) {
    model->cut[n][other] = dice(world, 6) == 0;
  } else if (what < 920) {
    redis_model_advance(model, (int64_t)dice(world, 30));
  } else if (what < 930) {
    redis_model_freeze(model, n);
  } else if (what < 940) {
    if (node->primary) return;
    redis_model_promote(model, n);
    totals.promotions++;
  } else if (what < 970) {
    redis_model_follow(model, n, model->node[other].primary ? other : n == 0 ? 1 : 0);
  } else if (what < 985) {
    reconfigure(world, n);
  } else if (world->rdb && !node->primary && node->saved_replid[0] && what < 998) {
    redis_model_crash(model, n); /* it comes back old, with the name of a history that somebody may still go on with */
    redis_model_restart(model, n, SIZE_MAX, true, REDIS_AS_REPLICA);
    node->follows = other;
    (void)redis_model_attach(model, n);
  } else if (what >= 993) {
    redis_model_crash(model, n);
    totals.crashes++;
  }
}

static void while_blocked(void *ctx) {
  struct world *world = ctx;
  for (uint64_t i = dice(world, 40); i > 0 && redis_model_blocked(world->model); i--) node_step(world);
}

/* The engines */

static bool is_current(const struct world *world, struct tide_u128 session) {
  return world->sessions > 0 && tide_u128_eq(world->session[world->sessions - 1], session);
}

static void acknowledged(struct world *world, struct engine *engine, struct tide_position at, bool fence) {
  uint32_t primary = engine->client.announced;
  struct tide_span bytes = tide_buf_span(&world->entry);
  const struct redis_op *entry = redis_model_entry(world->model, primary, at);
  if (!entry || !tide_span_eq((struct tide_span){entry->bytes, entry->len}, bytes))
    VIOLATION(world, "%" PRIu64 "-%" PRIu64 " is acknowledged and does not stand on its primary", at.epoch, at.seq);
  if (redis_model_holders(world->model, at, bytes, primary) < world->quorum)
    VIOLATION(world, "%" PRIu64 "-%" PRIu64 " is acknowledged and does not stand on a quorum", at.epoch, at.seq);
  if (!is_current(world, engine->session)) {
    for (size_t i = 0; i < world->sessions; i++)
      if (tide_u128_eq(world->session[i], engine->session))
        VIOLATION(world, "session %zu of %zu acknowledges %" PRIu64 "-%" PRIu64, i, world->sessions, at.epoch, at.seq);
    if (!fence) VIOLATION(world, "a session without an acknowledged fence acknowledges an entry");
    assert_true(world->sessions < SESSIONS_MAX);
    world->session[world->sessions++] = engine->session;
    totals.sessions++;
    for (size_t i = 0; world->quorum == NODES - 1 && !world->rdb && i < world->acks; i++) {
      const struct redis_op *old = redis_model_entry(world->model, primary, world->ack[i].at);
      if (!old || !test_entry_is((struct tide_span){old->bytes, old->len}, world->ack[i].number))
        VIOLATION(world, "%" PRIu64 "-%" PRIu64 " was acknowledged and the new session does not have it", world->ack[i].at.epoch,
                  world->ack[i].at.seq);
    }
  }
  assert_true(world->acks < ACKS_MAX);
  world->ack[world->acks].at = at;
  world->ack[world->acks++].number = world->number;
  totals.acks++;
}

static void ended(struct world *world, struct engine *engine) {
  engine->begun = engine->fenced = false;
  totals.ended_by_sync_full += strstr(world->error.text, "sync_full") != NULL;
  totals.ended_by_replid += strstr(world->error.text, "another history") != NULL;
}

static void engine_step(struct world *world, struct engine *engine) {
  const struct tide_journal_ops *ops = engine->journal->ops;
  struct tide_position at, durable;
  if (!engine->begun || dice(world, 200) == 0) {
    struct tide_session session;
    uint32_t to = (uint32_t)dice(world, NODES);
    for (int i = 0; i < NODES && !world->model->node[to].primary; i++) to = (to + 1) % NODES;
    engine->client.announced = to;
    engine->begun = engine->fenced = false;
    totals.begins++;
    enum tide_err err = ops->begin(engine->journal, &session, &world->error);
    if (err) {
      assert_true(err == TIDE_E_AGAIN || err == TIDE_E_IO || err == TIDE_E_CONFIG);
      totals.refused++;
      return;
    }
    engine->begun = true;
    engine->session = session.id;
    if (session.epoch_min > engine->epoch) engine->epoch = session.epoch_min;
    return;
  }
  test_entry(++world->number, 24, &world->entry);
  bool fence = !engine->fenced;
  enum tide_err err = fence ? ops->open_epoch(engine->journal, ++engine->epoch, tide_buf_span(&world->entry), &at, &world->error)
                            : ops->append(engine->journal, engine->epoch, tide_buf_span(&world->entry), &at, &world->error);
  if (err == TIDE_E_STALE) {
    engine->fenced = false; /* open a later one */
    return;
  }
  if (err) {
    ended(world, engine);
    return;
  }
  for (int tries = 0; tries < 3; tries++) {
    err = ops->sync(engine->journal, &durable, &world->error);
    if (err) {
      ended(world, engine);
      return;
    }
    if (tide_position_cmp(durable, at) >= 0) {
      acknowledged(world, engine, at, fence);
      engine->fenced = true;
      return;
    }
    totals.shorts++;
  }
}

static void run(uint64_t seed, uint32_t quorum, bool rdb) {
  struct world *world = tide_alloc(sizeof *world);
  *world = (struct world){.seed = seed, .rng = seed * 7919 + quorum, .quorum = quorum, .rdb = rdb};
  world->model = redis_model_new(NODES, "eu", seed);
  redis_model_write(world->model, 0, REDIS_OP_CREATE, (struct tide_position){0, 0}, (struct tide_span){0});
  redis_model_settle(world->model);
  world->model->automatic = false;
  world->model->on_block = while_blocked;
  world->model->on_block_ctx = world;
  for (uint32_t i = 0; i < ENGINES; i++) {
    struct engine *engine = &world->engine[i];
    engine->client = (struct redis_client){.model = world->model, .misled = true};
    struct tide_redis_options options = redis_model_options(&engine->client, NODES - 1, quorum, i);
    options.clock_skew_max_ms = INT64_C(1) << 40;
    options.target =
        (struct tide_redis_target){.sentinel = true, .address = {{"127.0.0.1", REDIS_SENTINEL_PORT}}, .address_count = 1, .name = "eu"};
    assert_int_equal(tide_journal_redis_open(&options, &engine->journal, &world->error), TIDE_OK);
  }
  for (int i = 0; i < STEPS; i++) {
    struct engine *engine = &world->engine[dice(world, ENGINES)];
    if (dice(world, engine->begun ? 2 : 10) == 0) engine_step(world, engine);
    else node_step(world);
    if (dice(world, 200) == 0) redis_model_deliver(world->model);
  }
  for (uint32_t i = 0; i < NODES; i++) {
    totals.fulls += world->model->node[i].sync_full;
    totals.partials += world->model->node[i].sync_partial;
  }
  for (uint32_t i = 0; i < ENGINES; i++) world->engine[i].journal->ops->close(world->engine[i].journal);
  redis_model_free(world->model);
  tide_buf_release(&world->entry);
  tide_free(world);
}

struct campaign {
  uint32_t quorum;
  bool rdb;
};
static void one_session_at_a_time(void **state) {
  const struct campaign *campaign = *state;
  const char *given = getenv("TIDE_SEED"), *cases = getenv("TIDE_CASES");
  uint64_t count = cases && cases[0] ? strtoull(cases, NULL, 10) : 100;
  totals = (struct totals){0};
  if (given && given[0]) {
    run(strtoull(given, NULL, 10), campaign->quorum, campaign->rdb);
    return;
  }
  for (uint64_t seed = 1; seed <= count; seed++) run(seed, campaign->quorum, campaign->rdb);
  print_message("acknowledged %" PRIu64 ", sessions %" PRIu64 ", begun %" PRIu64 " (refused %" PRIu64 "), full resyncs %" PRIu64
                ", partial %" PRIu64 ", crashes %" PRIu64 ", promotions %" PRIu64 ", ended by sync_full %" PRIu64
                ", by another history %" PRIu64 ", short %" PRIu64 "\n",
                totals.acks, totals.sessions, totals.begins, totals.refused, totals.fulls, totals.partials, totals.crashes,
                totals.promotions, totals.ended_by_sync_full, totals.ended_by_replid, totals.shorts);
  /* A campaign in which nothing happened proves nothing. */
  assert_true(totals.acks > 5 * count && totals.sessions > 2 * count && totals.ended_by_sync_full > count / 4 &&
              totals.ended_by_replid > 0);
  assert_true(totals.fulls > count && totals.partials > count && totals.promotions > count && totals.shorts > count);
}

int main(void) {
  static struct campaign one = {1, false}, two = {2, false}, one_rdb = {1, true}, two_rdb = {2, true};
  static const struct CMUnitTest tests[] = {
      {"one_session_at_a_time, a quorum of 1 of 2", one_session_at_a_time, NULL, NULL, &one},
      {"one_session_at_a_time, a quorum of 2 of 2", one_session_at_a_time, NULL, NULL, &two},
      {"one_session_at_a_time, a quorum of 1 of 2, with RDB files", one_session_at_a_time, NULL, NULL, &one_rdb},
      {"one_session_at_a_time, a quorum of 2 of 2, with RDB files", one_session_at_a_time, NULL, NULL, &two_rdb},
  };
  return cmocka_run_group_tests_name("redis split", tests, NULL, NULL);
}
