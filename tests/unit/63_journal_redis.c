/* The Redis journal's judgement, rule by rule, before a model of the servers: what it refuses to begin with, what it does not call durable, when it says that the
 * session is over.
 *
 * Each case is one of the ways in which WAIT succeeds and the entry is lost all the same, or one of the deployments in which it could be. What is called durable is compared
 * with what the nodes hold. */
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

struct cell {
  struct redis_model *model;
  struct redis_client client[2];
  struct tide_redis_options options;
  struct tide_journal *journal, *other; /* two engines; the second is opened by other_begins */
  struct tide_session session;
  uint64_t number;
  struct tide_buf entry, out;
  struct tide_error error;
};

static struct tide_position at(uint64_t epoch, uint64_t seq) { return (struct tide_position){epoch, seq}; }
#define assert_err(cell, call, want)                                                                                                       \
  do {                                                                                                                                     \
    enum tide_err err_ = (call);                                                                                                           \
    if (err_ != (want)) fail_msg("line %d: %s instead of %s: %s", __LINE__, tide_err_name(err_), tide_err_name(want), (cell)->error.text); \
  } while (0)
#define assert_at(position, epoch_, seq_)                                                                                                  \
  do {                                                                                                                                     \
    assert_int_equal((position).epoch, epoch_);                                                                                            \
    assert_int_equal((position).seq, seq_);                                                                                                \
  } while (0)

/* Three nodes, a stream, an engine that has not begun; a quorum of `quorum` of 2. */
static struct cell *cell_new(uint32_t quorum) {
  struct cell *cell = tide_alloc(sizeof *cell);
  cell->model = redis_model_new(3, "eu", 5);
  redis_model_write(cell->model, 0, REDIS_OP_CREATE, at(0, 0), (struct tide_span){0});
  redis_model_settle(cell->model);
  cell->client[0].model = cell->client[1].model = cell->model;
  cell->options = redis_model_options(&cell->client[0], 2, quorum, 1);
  assert_err(cell, tide_journal_redis_open(&cell->options, &cell->journal, &cell->error), TIDE_OK);
  return cell;
}
static void cell_free(struct cell *cell) {
  cell->journal->ops->close(cell->journal);
  if (cell->other) cell->other->ops->close(cell->other);
  redis_model_free(cell->model);
  tide_buf_release(&cell->entry);
  tide_buf_release(&cell->out);
  tide_free(cell);
}

static enum tide_err begin(struct cell *cell) { return cell->journal->ops->begin(cell->journal, &cell->session, &cell->error); }
static enum tide_err put(struct cell *cell, struct tide_journal *journal, uint64_t epoch, bool fence, struct tide_position *ret) {
  test_entry(++cell->number, 40, &cell->entry);
  return fence ? journal->ops->open_epoch(journal, epoch, tide_buf_span(&cell->entry), ret, &cell->error)
               : journal->ops->append(journal, epoch, tide_buf_span(&cell->entry), ret, &cell->error);
}
static enum tide_err sync_to(struct cell *cell, struct tide_position *ret) {
  return cell->journal->ops->sync(cell->journal, ret, &cell->error);
}
static enum tide_err read_at(struct cell *cell, struct tide_position from, struct tide_position *ret) {
  return cell->journal->ops->read(cell->journal, from, false, &cell->out, ret, &cell->error);
}
static struct redis_node *node(struct cell *cell, uint32_t number) { return &cell->model->node[number]; }
static void freeze_replicas(struct cell *cell, bool frozen) {
  for (uint32_t i = 1; i < 3; i++) {
    if (frozen) redis_model_freeze(cell->model, i);
    else redis_model_thaw(cell->model, i);
  }
}
/* Epoch 1 is open and durable, with `entries` entries. */
static void working(struct cell *cell, unsigned entries) {
  struct tide_position p, durable;
  assert_err(cell, begin(cell), TIDE_OK);
  assert_err(cell, put(cell, cell->journal, 1, true, &p), TIDE_OK);
  for (unsigned i = 0; i < entries; i++) assert_err(cell, put(cell, cell->journal, 1, false, &p), TIDE_OK);
  assert_err(cell, sync_to(cell, &durable), TIDE_OK);
  assert_at(durable, 1, entries);
}
static void other_begins(struct cell *cell) {
  struct tide_session session;
  struct tide_redis_options options = redis_model_options(&cell->client[1], 2, cell->options.quorum, 2);
  assert_err(cell, tide_journal_redis_open(&options, &cell->other, &cell->error), TIDE_OK);
  assert_err(cell, cell->other->ops->begin(cell->other, &session, &cell->error), TIDE_OK);
}
static void assert_over(struct cell *cell) {
  struct tide_position p = at(7, 7);
  assert_err(cell, sync_to(cell, &p), TIDE_E_IO);
  assert_err(cell, put(cell, cell->journal, 1, false, &p), TIDE_E_IO);
  assert_at(p, 7, 7);
}

/* What a session does not begin with */

static void options_that_prove_nothing_are_refused(void **state) {
  (void)state;
  static const struct {
    uint32_t replicas, quorum;
    bool good;
  } row[] = {{0, 0, true},  {1, 0, false}, {1, 1, true}, {2, 0, false}, {2, 1, true}, {2, 2, true},
             {2, 3, false}, {3, 1, false}, {3, 2, true}, {4, 1, false}, {4, 2, true}, {0, 1, false}};
  struct redis_client client = {0};
  struct tide_error error;
  for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
    struct tide_redis_options options = redis_model_options(&client, row[i].replicas, row[i].quorum, 1);
    struct tide_journal *journal = NULL;
    enum tide_err err = tide_journal_redis_open(&options, &journal, &error);
    if ((err == TIDE_OK) != row[i].good) fail_msg("%u of %u: %s", row[i].quorum, row[i].replicas, tide_err_name(err));
    if (err == TIDE_OK) journal->ops->close(journal);
    else assert_int_equal(err, TIDE_E_CONFIG);
  }
}

static void breaks_version(struct cell *cell) { node(cell, 0)->version = "6.2.14"; }
static void breaks_policy(struct cell *cell) { node(cell, 0)->policy = "allkeys-lru"; }
static void breaks_key(struct cell *cell) { redis_model_remove(cell->model, 0); }
static void breaks_loading(struct cell *cell) { node(cell, 0)->loading = true; }
static void breaks_role(struct cell *cell) {
  redis_model_promote(cell->model, 1);
  redis_model_follow(cell->model, 0, 1);
}
static void breaks_replicas(struct cell *cell) {
  for (uint32_t i = 1; i < 3; i++) redis_model_crash(cell->model, i);
}
static void breaks_filling(struct cell *cell) {
  for (uint32_t i = 1; i < 3; i++) node(cell, i)->link = REDIS_LINK_FILLING;
}
static void breaks_clock_ahead(struct cell *cell) { cell->client[0].skew_ms = 600; }
static void breaks_clock_behind(struct cell *cell) { node(cell, 0)->skew_ms = 600; }
static void breaks_process(struct cell *cell) { redis_model_crash(cell->model, 0); }
static void breaks_network(struct cell *cell) { cell->client[0].cut[0] = true; }

static void what_a_session_cannot_begin_with(void **state) {
  (void)state;
  static const struct {
    const char *name;
    void (*breaks)(struct cell *cell);
    enum tide_err want;
    const char *says;
  } row[] = {
      {"version", breaks_version, TIDE_E_CONFIG, "6.2.14"},
      {"policy", breaks_policy, TIDE_E_CONFIG, "noeviction"},
      {"no key", breaks_key, TIDE_E_CONFIG, "tidemark init"},
      {"loading", breaks_loading, TIDE_E_AGAIN, "loading"},
      {"replica", breaks_role, TIDE_E_AGAIN, "replica"},
      {"too few replicas", breaks_replicas, TIDE_E_AGAIN, "0 replicas are online"},
      {"replicas not filled yet", breaks_filling, TIDE_E_AGAIN, "0 replicas are online"},
      {"clock ahead", breaks_clock_ahead, TIDE_E_AGAIN, "600 ms ahead"},
      {"clock behind", breaks_clock_behind, TIDE_E_AGAIN, "600 ms behind"},
      {"process", breaks_process, TIDE_E_AGAIN, ""},
      {"network", breaks_network, TIDE_E_AGAIN, ""},
  };
  for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
    struct cell *cell = cell_new(1);
    cell->session.epoch_min = 77;
    row[i].breaks(cell);
    enum tide_err err = begin(cell);
    if (err != row[i].want || !strstr(cell->error.text, row[i].says))
      fail_msg("%s: %s: %s", row[i].name, tide_err_name(err), cell->error.text);
    assert_int_equal(cell->session.epoch_min, 77);
    assert_over(cell);
    cell_free(cell);
  }
}

/* However long a reply takes: what the clock showed before it was set agrees with the server's, and so does what it shows now, at some moment in between. */
static void a_clock_that_is_set_while_it_is_compared(void **state) {
  (void)state;
  for (int64_t set_ms = -800; set_ms <= 800; set_ms += 1600) {
    struct cell *cell = cell_new(1);
    struct tide_position p;
    working(cell, 1);
    assert_err(cell, put(cell, cell->journal, 1, false, &p), TIDE_OK);
    redis_model_advance(cell->model, 400);
    cell->client[0].skew_ms = set_ms;
    redis_model_advance(cell->model, 600);
    assert_err(cell, sync_to(cell, &p), TIDE_E_IO);
    assert_non_null(strstr(cell->error.text, "the clock of this machine"));
    assert_over(cell);
    cell_free(cell);
  }
}

static void a_slow_reply_is_no_clock_that_was_set(void **state) {
  (void)state;
  struct cell *cell = cell_new(1);
  struct tide_position p;
  working(cell, 1);
  cell->client[0].skew_ms = 400;
  assert_err(cell, put(cell, cell->journal, 1, false, &p), TIDE_OK);
  redis_model_advance(cell->model, 5000);
  assert_err(cell, sync_to(cell, &p), TIDE_OK);
  cell_free(cell);
}

/* A second and more between the write and the reply: a clock that is off by as much would agree with some moment of it. So TIME is asked for again, alone. */
static void a_slow_reply_hides_no_wrong_clock(void **state) {
  (void)state;
  for (int64_t off_ms = -900; off_ms <= 900; off_ms += 1800) {
    struct cell *cell = cell_new(1);
    struct tide_position p;
    working(cell, 1);
    cell->client[0].skew_ms = off_ms;
    assert_err(cell, put(cell, cell->journal, 1, false, &p), TIDE_OK);
    redis_model_advance(cell->model, 1000);
    assert_err(cell, sync_to(cell, &p), TIDE_E_IO);
    assert_non_null(strstr(cell->error.text, off_ms < 0 ? "900 ms behind" : "900 ms ahead"));
    assert_over(cell);
    cell_free(cell);
  }
}

static void takes_its_time(void *ctx, uint64_t receive) {
  (void)receive;
  redis_model_advance(ctx, 450);
}

static void clocks_that_cannot_be_compared(void **state) {
  (void)state;
  struct cell *cell = cell_new(1);
  struct tide_position p;
  working(cell, 1);
  int64_t right = tide_journal_redis_clock(cell->journal);
  cell->client[0].before = takes_its_time;
  cell->client[0].before_ctx = cell->model;
  cell->client[0].skew_ms = 40; /* and 450: within what may be */
  assert_err(cell, put(cell, cell->journal, 1, false, &p), TIDE_OK);
  assert_err(cell, sync_to(cell, &p), TIDE_OK);
  assert_int_equal(tide_journal_redis_clock(cell->journal), right + 40);
  cell->client[0].skew_ms = 600; /* but 450, or more: nobody can tell */
  assert_err(cell, put(cell, cell->journal, 1, false, &p), TIDE_OK);
  assert_err(cell, sync_to(cell, &p), TIDE_E_IO);
  assert_non_null(strstr(cell->error.text, "too long to tell"));
  assert_int_equal(tide_journal_redis_clock(cell->journal), right + 40);
  assert_over(cell);
  cell_free(cell);
}

static void replicas_beyond_the_configured_prove_nothing(void **state) {
  (void)state;
  struct cell *cell = cell_new(1);
  struct tide_redis_options options = cell->options;
  options.replicas = 1; /* two follow */
  cell->journal->ops->close(cell->journal);
  assert_err(cell, tide_journal_redis_open(&options, &cell->journal, &cell->error), TIDE_OK);
  assert_err(cell, begin(cell), TIDE_E_AGAIN);
  assert_non_null(strstr(cell->error.text, "at most 1"));
  options = cell->options;
  options.node_count = 2;
  options.node[0] = (struct tide_redis_address){"127.0.0.1", REDIS_PORT + 1};
  options.node[1] = (struct tide_redis_address){"127.0.0.1", REDIS_PORT + 9};
  cell->journal->ops->close(cell->journal);
  assert_err(cell, tide_journal_redis_open(&options, &cell->journal, &cell->error), TIDE_OK);
  assert_err(cell, begin(cell), TIDE_E_AGAIN);
  assert_non_null(strstr(cell->error.text, "127.0.0.1:7002"));
  cell_free(cell);
}

/* An address behind which there are two. */
static void both_connections_lead_to_one_process(void **state) {
  (void)state;
  struct cell *cell = cell_new(1);
  cell->client[0].divert_at = 2;
  cell->client[0].divert_to = 1;
  assert_err(cell, begin(cell), TIDE_E_AGAIN);
  assert_non_null(strstr(cell->error.text, "two servers"));
  assert_err(cell, begin(cell), TIDE_OK);
  cell_free(cell);
}

static void init_creates_once(void **state) {
  (void)state;
  struct cell *cell = cell_new(1);
  struct tide_position p;
  assert_err(cell, tide_journal_redis_init(&cell->options, &cell->error), TIDE_E_EXISTS);
  redis_model_remove(cell->model, 0);
  assert_err(cell, begin(cell), TIDE_E_CONFIG);
  assert_err(cell, tide_journal_redis_init(&cell->options, &cell->error), TIDE_OK);
  working(cell, 2);
  assert_err(cell, tide_journal_redis_init(&cell->options, &cell->error), TIDE_E_EXISTS);
  assert_err(cell, read_at(cell, at(1, 1), &p), TIDE_OK); /* left as it was */
  cell_free(cell);
}

static void the_sentinels_say_where(void **state) {
  (void)state;
  struct cell *cell = cell_new(1);
  struct tide_redis_options options = cell->options;
  options.target =
      (struct tide_redis_target){.sentinel = true, .address = {{"127.0.0.1", REDIS_SENTINEL_PORT}}, .address_count = 1, .name = "eu"};
  cell->journal->ops->close(cell->journal);
  assert_err(cell, tide_journal_redis_open(&options, &cell->journal, &cell->error), TIDE_OK);
  working(cell, 1);
  struct tide_u128 before = cell->session.id;
  redis_model_promote(cell->model, 1);
  redis_model_follow(cell->model, 0, 1);
  redis_model_follow(cell->model, 2, 1);
  redis_model_settle(cell->model);
  assert_err(cell, begin(cell), TIDE_E_AGAIN); /* they still name the old one, which is a replica now */
  cell->model->announced = REDIS_NOBODY;
  assert_err(cell, begin(cell), TIDE_E_AGAIN);
  cell->model->announced = 1;
  assert_err(cell, begin(cell), TIDE_OK);
  assert_false(tide_u128_eq(before, cell->session.id));
  assert_int_equal(cell->session.epoch_min, 1);
  cell_free(cell);
}

/* What is not durable */

static void a_short_wait_is_asked_again(void **state) {
  (void)state;
  struct cell *cell = cell_new(2);
  struct tide_position p, durable;
  working(cell, 1);
  freeze_replicas(cell, true);
  assert_err(cell, put(cell, cell->journal, 1, false, &p), TIDE_OK);
  for (int i = 0; i < 2; i++) {
    assert_err(cell, sync_to(cell, &durable), TIDE_OK);
    assert_at(durable, 1, 1);
  }
  freeze_replicas(cell, false);
  assert_err(cell, sync_to(cell, &durable), TIDE_OK);
  assert_at(durable, 1, 2);
  freeze_replicas(cell, true);
  assert_err(cell, put(cell, cell->journal, 1, false, &p), TIDE_OK);
  for (int i = 0; i < 2; i++) assert_err(cell, sync_to(cell, &durable), TIDE_OK);
  assert_err(cell, sync_to(cell, &durable), TIDE_E_IO); /* the third in a row */
  assert_at(durable, 1, 2);
  assert_over(cell);
  cell_free(cell);
}

/* One of two is not a quorum of two. */
static void fewer_than_the_quorum_are_not_enough(void **state) {
  (void)state;
  struct cell *cell = cell_new(2);
  struct tide_position p, durable;
  working(cell, 1);
  redis_model_freeze(cell->model, 2);
  assert_err(cell, put(cell, cell->journal, 1, false, &p), TIDE_OK);
  assert_err(cell, sync_to(cell, &durable), TIDE_OK);
  assert_at(durable, 1, 1);
  cell_free(cell);
}

/* A WAIT on a connection that wrote nothing succeeds at once. What another engine wrote, and no replica has, must not become durable by it. */
static void nothing_is_durable_by_a_wait_for_nothing(void **state) {
  (void)state;
  struct cell *cell = cell_new(1);
  struct tide_position p, durable;
  working(cell, 1);
  other_begins(cell);
  freeze_replicas(cell, true);
  assert_err(cell, put(cell, cell->other, 1, false, &p), TIDE_OK);
  assert_at(p, 1, 2);
  assert_err(cell, begin(cell), TIDE_OK); /* connections without a past */
  assert_err(cell, read_at(cell, at(1, 1), &p), TIDE_OK);
  assert_err(cell, sync_to(cell, &durable), TIDE_OK);
  assert_at(durable, 0, 0);
  freeze_replicas(cell, false);
  assert_err(cell, sync_to(cell, &durable), TIDE_OK);
  assert_at(durable, 1, 2);
  assert_int_equal(redis_model_holders(cell->model, at(1, 2), tide_buf_span(&cell->entry), 0), 2);
  cell_free(cell);
}

/* The same behind a write that was refused. */
static void nothing_is_durable_by_a_refused_write(void **state) {
  (void)state;
  struct cell *cell = cell_new(1);
  struct tide_position p, durable;
  working(cell, 1);
  other_begins(cell);
  freeze_replicas(cell, true);
  assert_err(cell, put(cell, cell->other, 2, true, &p), TIDE_OK);
  assert_err(cell, put(cell, cell->journal, 1, false, &p), TIDE_E_STALE);
  assert_err(cell, put(cell, cell->journal, 2, true, &p), TIDE_E_STALE);
  assert_err(cell, read_at(cell, at(1, 1), &p), TIDE_OK);
  assert_at(p, 2, 0);
  assert_err(cell, sync_to(cell, &durable), TIDE_OK);
  assert_at(durable, 1, 1);
  cell_free(cell);
}

static void what_others_wrote_is_covered_by_a_write_of_ours(void **state) {
  (void)state;
  struct cell *cell = cell_new(2);
  struct tide_position p, durable;
  working(cell, 1);
  other_begins(cell);
  assert_err(cell, put(cell, cell->other, 1, false, &p), TIDE_OK);
  assert_err(cell, sync_to(cell, &durable), TIDE_OK);
  assert_at(durable, 1, 1); /* nobody has read it here yet */
  assert_err(cell, read_at(cell, at(1, 1), &p), TIDE_OK);
  assert_err(cell, sync_to(cell, &durable), TIDE_OK);
  assert_at(durable, 1, 2);
  assert_int_equal(redis_model_holders(cell->model, at(1, 2), tide_buf_span(&cell->entry), 0), 2);
  cell_free(cell);
}

/* When a session is over */

/* The replica acknowledged another primary's fence and comes back by a full resync: nothing else of this node changes. */
static void a_replica_that_was_with_another_primary_ends_it(void **state) {
  (void)state;
  struct cell *cell = cell_new(1);
  struct tide_position p, durable = at(7, 7);
  working(cell, 1);
  redis_model_promote(cell->model, 1);
  redis_model_follow(cell->model, 2, 1);
  redis_model_settle(cell->model);
  redis_model_write(cell->model, 1, REDIS_OP_ADD, at(2, 0), (struct tide_span){"fence", 5});
  redis_model_settle(cell->model);
  assert_int_equal(redis_model_acknowledged(cell->model, 1, node(cell, 1)->data.count), 1);
  redis_model_follow(cell->model, 2, 0);
  redis_model_settle(cell->model);
  assert_err(cell, put(cell, cell->journal, 1, false, &p), TIDE_OK);
  assert_err(cell, sync_to(cell, &durable), TIDE_E_IO);
  assert_non_null(strstr(cell->error.text, "sync_full"));
  assert_at(durable, 7, 7);
  assert_over(cell);
  struct tide_u128 before = cell->session.id;
  assert_err(cell, begin(cell), TIDE_OK);
  assert_false(tide_u128_eq(before, cell->session.id));
  cell_free(cell);
}

/* The same replica, restarted from an RDB file of before: its file says this node's history, so a partial resync is enough, and sync_full does not move. */
static void a_replica_that_came_back_old_ends_it(void **state) {
  (void)state;
  struct cell *cell = cell_new(1);
  struct tide_position p, durable = at(7, 7);
  working(cell, 1);
  redis_model_save(cell->model, 2);
  redis_model_promote(cell->model, 1);
  redis_model_follow(cell->model, 2, 1);
  redis_model_settle(cell->model);
  redis_model_write(cell->model, 1, REDIS_OP_ADD, at(2, 0), (struct tide_span){"fence", 5});
  redis_model_settle(cell->model);
  assert_int_equal(redis_model_acknowledged(cell->model, 1, node(cell, 1)->data.count), 1); /* the other primary's epoch is acknowledged */
  uint64_t full = node(cell, 0)->sync_full;
  redis_model_crash(cell->model, 2);
  redis_model_restart(cell->model, 2, SIZE_MAX, true, REDIS_AS_REPLICA);
  node(cell, 2)->follows = 0;
  redis_model_settle(cell->model);
  assert_int_equal(node(cell, 0)->sync_full, full);
  struct tide_u128 before = cell->session.id;
  assert_err(cell, put(cell, cell->journal, 1, false, &p), TIDE_OK);
  assert_err(cell, sync_to(cell, &durable), TIDE_E_IO);
  assert_non_null(strstr(cell->error.text, "sync_partial_ok"));
  assert_at(durable, 7, 7);
  assert_err(cell, begin(cell), TIDE_OK);
  assert_false(tide_u128_eq(before, cell->session.id)); /* or the fence of before would do */
  cell_free(cell);
}

static void demote(void *ctx) {
  struct cell *cell = ctx;
  cell->model->on_block = NULL;
  cell->model->automatic = false;
  redis_model_promote(cell->model, 1);
  redis_model_follow(cell->model, 0, 1);
}
static void a_demotion_under_the_wait_ends_it(void **state) {
  (void)state;
  struct cell *cell = cell_new(1);
  struct tide_position p, durable = at(7, 7);
  working(cell, 1);
  cell->model->on_block = demote;
  cell->model->on_block_ctx = cell;
  assert_err(cell, put(cell, cell->journal, 1, false, &p), TIDE_OK);
  assert_err(cell, sync_to(cell, &durable), TIDE_E_IO);
  assert_at(durable, 7, 7);
  assert_over(cell);
  cell_free(cell);
}

static void a_demoted_node_is_not_read(void **state) {
  (void)state;
  struct cell *cell = cell_new(1);
  struct tide_position p = at(7, 7);
  working(cell, 2);
  redis_model_promote(cell->model, 1);
  redis_model_follow(cell->model, 0, 1); /* its data and its history's name are as before, until it reaches the new primary */
  assert_err(cell, read_at(cell, at(1, 0), &p), TIDE_E_IO);
  assert_non_null(strstr(cell->error.text, "not the primary"));
  assert_at(p, 7, 7);
  cell_free(cell);
}

/* Demoted, filled with another history and promoted again: the connections stood all the time. */
static void another_history_under_the_same_connection_ends_it(void **state) {
  (void)state;
  for (int what = 0; what < 4; what++) {
    struct cell *cell = cell_new(1);
    struct tide_position p = at(7, 7), q = at(7, 7);
    working(cell, 3);
    redis_model_promote(cell->model, 1);
    redis_model_follow(cell->model, 2, 1);
    freeze_replicas(cell, false);
    /* node 1 has lost the last entries: it begins again with the fence only */
    redis_model_crash(cell->model, 1);
    redis_model_restart(cell->model, 1, 2, false, REDIS_AS_PRIMARY);
    redis_model_follow(cell->model, 0, 1);
    redis_model_settle(cell->model);
    redis_model_promote(cell->model, 0);
    redis_model_follow(cell->model, 1, 0);
    redis_model_follow(cell->model, 2, 0);
    redis_model_settle(cell->model);
    assert_at(node(cell, 0)->data.generated, 1, 0);
    enum tide_err err = TIDE_OK;
    if (what == 0) err = put(cell, cell->journal, 1, false, &p); /* lands at 1-1, where an entry stood */
    if (what == 1) err = sync_to(cell, &p);
    if (what == 2) err = read_at(cell, at(1, 3), &p);
    if (what == 3) {
      err = put(cell, cell->journal, 2, true, &p); /* the number is free, so it is accepted; and not durable */
      assert_err(cell, err, TIDE_OK);
      p = at(7, 7);
      err = sync_to(cell, &p);
    }
    assert_true(err == TIDE_E_INDETERMINATE || err == TIDE_E_IO);
    assert_at(p, 7, 7);
    assert_err(cell, cell->journal->ops->range(cell->journal, &p, &q, &cell->error), TIDE_E_IO);
    cell_free(cell);
  }
}

static void a_wiped_server_has_no_history(void **state) {
  (void)state;
  struct cell *cell = cell_new(2);
  struct tide_position p = at(7, 7);
  working(cell, 3);
  redis_model_crash(cell->model, 0);
  redis_model_restart(cell->model, 0, 0, false, REDIS_AS_PRIMARY);
  redis_model_settle(cell->model);
  assert_int_equal(redis_model_holders(cell->model, at(1, 3), tide_buf_span(&cell->entry), REDIS_NOBODY), 0); /* all three are empty */
  assert_err(cell, put(cell, cell->journal, 1, false, &p), TIDE_E_IO);
  assert_err(cell, begin(cell), TIDE_E_CONFIG);
  assert_false(node(cell, 0)->data.exists); /* and it was not begun again */
  cell_free(cell);
}

static void a_deleted_stream_is_not_begun_again(void **state) {
  (void)state;
  for (int fence = 0; fence < 2; fence++) {
    struct cell *cell = cell_new(1);
    struct tide_position p = at(7, 7);
    working(cell, 3);
    redis_model_remove(cell->model, 0);
    assert_err(cell, put(cell, cell->journal, 1 + (uint64_t)fence, fence, &p), TIDE_E_INDETERMINATE);
    assert_false(node(cell, 0)->data.exists);
    assert_over(cell);
    assert_err(cell, begin(cell), TIDE_E_CONFIG);
    cell_free(cell);
  }
}

static void an_old_rdb_is_another_session(void **state) {
  (void)state;
  struct cell *cell = cell_new(2);
  struct tide_position first, last;
  working(cell, 3);
  struct tide_u128 before = cell->session.id;
  redis_model_crash(cell->model, 0);
  redis_model_restart(cell->model, 0, 3, true, REDIS_AS_PRIMARY);
  redis_model_settle(cell->model);
  assert_err(cell, begin(cell), TIDE_OK);
  assert_false(tide_u128_eq(before, cell->session.id));
  assert_err(cell, cell->journal->ops->range(cell->journal, &first, &last, &cell->error), TIDE_OK);
  assert_true(tide_position_cmp(last, at(1, 3)) < 0);
  cell_free(cell);
}

static void facts_are_read_again_with_every_commit(void **state) {
  (void)state;
  struct cell *cell = cell_new(1);
  struct tide_position p, durable = at(7, 7);
  working(cell, 1);
  assert_err(cell, put(cell, cell->journal, 1, false, &p), TIDE_OK);
  cell->client[0].skew_ms = -700;
  assert_err(cell, sync_to(cell, &durable), TIDE_E_IO);
  assert_at(durable, 7, 7);
  assert_over(cell);
  cell_free(cell);
  /* A replica too many comes while the session stands. */
  cell = cell_new(1);
  redis_model_crash(cell->model, 2);
  struct tide_redis_options options = cell->options;
  options.replicas = 1;
  cell->journal->ops->close(cell->journal);
  assert_err(cell, tide_journal_redis_open(&options, &cell->journal, &cell->error), TIDE_OK);
  working(cell, 1);
  redis_model_restart(cell->model, 2, SIZE_MAX, true, REDIS_AS_REPLICA);
  redis_model_settle(cell->model);
  assert_err(cell, put(cell, cell->journal, 1, false, &p), TIDE_OK);
  durable = at(7, 7);
  assert_err(cell, sync_to(cell, &durable), TIDE_E_IO);
  assert_at(durable, 7, 7);
  cell_free(cell);
}

/* What goes on */

static void a_full_server_refuses_and_the_session_stands(void **state) {
  (void)state;
  struct cell *cell = cell_new(1);
  struct tide_position p = at(7, 7), durable;
  working(cell, 1);
  node(cell, 0)->out_of_memory = true;
  assert_err(cell, put(cell, cell->journal, 1, false, &p), TIDE_E_FULL);
  assert_err(cell, put(cell, cell->journal, 2, true, &p), TIDE_E_FULL);
  assert_at(p, 7, 7);
  node(cell, 0)->out_of_memory = false;
  assert_err(cell, put(cell, cell->journal, 1, false, &p), TIDE_OK);
  assert_err(cell, sync_to(cell, &durable), TIDE_OK);
  assert_at(durable, 1, 2);
  cell_free(cell);
}

static void an_epoch_that_nobody_opened_is_stale(void **state) {
  (void)state;
  struct cell *cell = cell_new(1);
  struct tide_position p = at(7, 7);
  working(cell, 1);
  size_t before = node(cell, 0)->data.count;
  assert_err(cell, put(cell, cell->journal, 2, false, &p), TIDE_E_STALE);
  assert_err(cell, put(cell, cell->journal, 0, false, &p), TIDE_E_STALE);
  assert_at(p, 7, 7);
  assert_int_equal(node(cell, 0)->data.count, before);
  cell_free(cell);
}

static void a_trim_looks_at_what_it_keeps(void **state) {
  (void)state;
  struct cell *cell = cell_new(1);
  struct tide_position p;
  struct tide_span none = {0};
  const struct redis_data *data = &node(cell, 0)->data;
  working(cell, 9);
  const struct redis_op *keep = redis_model_entry(cell->model, 0, at(1, 5));
  struct tide_span there = {keep->bytes, keep->len};
  const struct tide_journal_ops *ops = cell->journal->ops;
  assert_err(cell, ops->trim(cell->journal, at(1, 5), (struct tide_span){"else", 4}, &cell->error), TIDE_E_MISMATCH);
  assert_err(cell, ops->trim(cell->journal, at(0, 7), none, &cell->error), TIDE_OK); /* nothing stands up to there */
  assert_int_equal(data->entries - data->first, 10);
  assert_err(cell, ops->trim(cell->journal, at(1, 5), there, &cell->error), TIDE_OK);
  assert_err(cell, ops->trim(cell->journal, at(1, 5), there, &cell->error), TIDE_OK);
  assert_err(cell, ops->trim(cell->journal, at(1, 3), none, &cell->error), TIDE_OK);
  assert_int_equal(data->entries - data->first, 5);
  /* What is not known to be durable keeps everything. */
  assert_err(cell, put(cell, cell->journal, 1, false, &p), TIDE_OK);
  assert_err(cell, ops->trim(cell->journal, p, none, &cell->error), TIDE_OK);
  assert_int_equal(data->entries - data->first, 6);
  cell_free(cell);
}

static void following_costs_a_round_trip_per_page(void **state) {
  (void)state;
  struct cell *cell = cell_new(1);
  struct tide_position p = at(0, 0);
  working(cell, 2000);
  uint64_t before = cell->client[0].receives;
  for (uint64_t i = 0; i <= 2000; i++) {
    assert_err(cell, read_at(cell, p, &p), TIDE_OK);
    assert_at(p, 1, i);
    assert_true(test_entry_is(tide_buf_span(&cell->out), i + 1));
  }
  assert_err(cell, read_at(cell, p, &p), TIDE_E_END);
  assert_true(cell->client[0].receives - before < 60); /* two replies a page */
  cell_free(cell);
}

static void pressure_is_told(void **state) {
  (void)state;
  struct cell *cell = cell_new(1);
  struct tide_position p, durable;
  node(cell, 0)->memory_max = 100 << 20;
  working(cell, 1);
  assert_false(tide_journal_redis_pressed(cell->journal));
  for (int i = 0; i < 4; i++) { /* up and down, and up and down again */
    node(cell, 0)->memory_used = (uint64_t)(i % 2 == 0 ? 61 : 59) << 20;
    redis_model_advance(cell->model, 1000);
    assert_err(cell, put(cell, cell->journal, 1, false, &p), TIDE_OK);
    assert_err(cell, sync_to(cell, &durable), TIDE_OK);
    assert_int_equal(tide_journal_redis_pressed(cell->journal), i % 2 == 0);
  }
  cell_free(cell);
}

int main(void) {
#define T(name) cmocka_unit_test(name)
  static const struct CMUnitTest tests[] = {
      T(options_that_prove_nothing_are_refused),
      T(what_a_session_cannot_begin_with),
      T(a_clock_that_is_set_while_it_is_compared),
      T(a_slow_reply_is_no_clock_that_was_set),
      T(a_slow_reply_hides_no_wrong_clock),
      T(clocks_that_cannot_be_compared),
      T(replicas_beyond_the_configured_prove_nothing),
      T(both_connections_lead_to_one_process),
      T(init_creates_once),
      T(the_sentinels_say_where),
      T(a_short_wait_is_asked_again),
      T(fewer_than_the_quorum_are_not_enough),
      T(nothing_is_durable_by_a_wait_for_nothing),
      T(nothing_is_durable_by_a_refused_write),
      T(what_others_wrote_is_covered_by_a_write_of_ours),
      T(a_replica_that_was_with_another_primary_ends_it),
      T(a_replica_that_came_back_old_ends_it),
      T(a_demotion_under_the_wait_ends_it),
      T(a_demoted_node_is_not_read),
      T(another_history_under_the_same_connection_ends_it),
      T(a_wiped_server_has_no_history),
      T(a_deleted_stream_is_not_begun_again),
      T(an_old_rdb_is_another_session),
      T(facts_are_read_again_with_every_commit),
      T(a_full_server_refuses_and_the_session_stands),
      T(an_epoch_that_nobody_opened_is_stale),
      T(a_trim_looks_at_what_it_keeps),
      T(following_costs_a_round_trip_per_page),
      T(pressure_is_told),
  };
  return cmocka_run_group_tests_name("redis journal", tests, NULL, NULL);
}
