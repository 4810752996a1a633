/* The Redis journal on real servers that freeze, are killed, come back empty or old, are promoted and demoted.
 *
 * What unit/63_journal_redis.c tries before a model in every order happens here once each with the thing itself: a rule of the protocol that rested on a mistaken idea of
 * Redis would fail here. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "../support/journal_dir.h"
#include "../support/redis_server.h"
#include "adapter/journal_redis.h"

enum { NODES = 3, TRIES = 8000 };

struct cell {
  struct test_redis node[NODES], sentinel;
  struct tide_redis_options options;
  struct tide_journal *journal;
  struct tide_session session;
  struct tide_buf out, entry;
  struct tide_error error;
};

/* No PING in between: a replica that has one more than the other would need a full resync where a partial one is meant. */
static const char *const plain[] = {"--repl-backlog-ttl", "0", "--repl-ping-replica-period", "3600", NULL};

static void nap_ms(long ms) { nanosleep(&(struct timespec){ms / 1000, ms % 1000 * 1000000}, NULL); }
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

static void reopen(struct cell *cell) {
  if (cell->journal) cell->journal->ops->close(cell->journal);
  assert_err(cell, tide_journal_redis_open(&cell->options, &cell->journal, &cell->error), TIDE_OK);
}

/* A primary with `replicas` behind it and the empty stream of a new cell; nothing has begun. */
static struct cell *cell_new(uint32_t replicas, uint32_t quorum) {
  struct cell *cell = tide_alloc(sizeof *cell);
  for (uint32_t i = 0; i <= replicas; i++) {
    test_redis_start(&cell->node[i], plain);
    if (i > 0) test_redis_follow(&cell->node[i], &cell->node[0], i);
  }
  cell->options = (struct tide_redis_options){
      .target = {.address = {{.host = "127.0.0.1", .port = cell->node[0].port}}, .address_count = 1},
      .cell = "eu",
      .engine_id = 1,
      .replicas = replicas,
      .quorum = quorum,
      .wait_ms = 2000,
      .timeout_ms = 10000,
      .clock_skew_max_ms = 60000,
      .memory_percent = 60,
  };
  assert_err(cell, tide_journal_redis_init(&cell->options, &cell->error), TIDE_OK);
  reopen(cell);
  return cell;
}
static void cell_free(struct cell *cell) {
  cell->journal->ops->close(cell->journal);
  test_redis_stop(&cell->sentinel);
  for (uint32_t i = 0; i < NODES; i++) test_redis_stop(&cell->node[i]);
  tide_buf_release(&cell->out);
  tide_buf_release(&cell->entry);
  tide_free(cell);
}

static enum tide_err begin(struct cell *cell) { return cell->journal->ops->begin(cell->journal, &cell->session, &cell->error); }
static enum tide_err append(struct cell *cell, uint64_t epoch, uint64_t number, struct tide_position *ret) {
  test_entry(number, 40, &cell->entry);
  return cell->journal->ops->append(cell->journal, epoch, tide_buf_span(&cell->entry), ret, &cell->error);
}
static enum tide_err open_epoch(struct cell *cell, uint64_t epoch, struct tide_position *ret) {
  return cell->journal->ops->open_epoch(cell->journal, epoch, (struct tide_span){"fence", 5}, ret, &cell->error);
}
static enum tide_err sync_to(struct cell *cell, struct tide_position *ret) {
  return cell->journal->ops->sync(cell->journal, ret, &cell->error);
}

/* Epoch 1 with `entries` entries, durable. */
static void working(struct cell *cell, uint64_t entries) {
  struct tide_position p, durable;
  assert_err(cell, begin(cell), TIDE_OK);
  assert_err(cell, open_epoch(cell, 1, &p), TIDE_OK);
  for (uint64_t i = 1; i <= entries; i++) assert_err(cell, append(cell, 1, i, &p), TIDE_OK);
  assert_err(cell, sync_to(cell, &durable), TIDE_OK);
  assert_at(durable, 1, entries);
}
/* Begins as soon as it is possible. */
static void begin_again(struct cell *cell) {
  enum tide_err err = TIDE_E_AGAIN;
  for (int i = 0; i < TRIES && err == TIDE_E_AGAIN; i++) {
    err = begin(cell);
    if (err == TIDE_E_AGAIN) nap_ms(10);
  }
  assert_err(cell, err, TIDE_OK);
}
/* With a short WAIT on a busy machine this may take some. */
static void sync_until(struct cell *cell, struct tide_position target) {
  struct tide_position durable = at(0, 0);
  for (int i = 0; i < TRIES && tide_position_cmp(durable, target) != 0; i++) {
    if (sync_to(cell, &durable) != TIDE_OK) begin_again(cell);
  }
  assert_at(durable, target.epoch, target.seq);
}
static void assert_stands(struct cell *cell, uint64_t from, uint64_t to) {
  struct tide_position found;
  for (uint64_t i = from; i <= to; i++) {
    assert_err(cell, cell->journal->ops->read(cell->journal, at(1, i), true, &cell->out, &found, &cell->error), TIDE_OK);
    assert_at(found, 1, i);
    assert_true(test_entry_is(tide_buf_span(&cell->out), i));
  }
}
static struct tide_position last_of(struct cell *cell) {
  struct tide_position first, last;
  assert_err(cell, cell->journal->ops->range(cell->journal, &first, &last, &cell->error), TIDE_OK);
  return last;
}

static void what_a_session_cannot_begin_with(void **state) {
  (void)state;
  struct cell *cell = cell_new(1, 1);
  assert_err(cell, begin(cell), TIDE_OK);
  test_redis_run(&cell->node[0], "CONFIG SET maxmemory-policy allkeys-lru");
  assert_err(cell, begin(cell), TIDE_E_CONFIG);
  test_redis_run(&cell->node[0], "CONFIG SET maxmemory-policy noeviction");
  test_redis_run(&cell->node[0], "CONFIG SET repl-backlog-ttl 3600");
  assert_err(cell, begin(cell), TIDE_E_CONFIG);
  assert_non_null(strstr(cell->error.text, "repl-backlog-ttl"));
  test_redis_run(&cell->node[0], "CONFIG SET repl-backlog-ttl 0");
  assert_err(cell, begin(cell), TIDE_OK);
  cell->options.target.address[0].port = cell->node[1].port;
  reopen(cell);
  assert_err(cell, begin(cell), TIDE_E_AGAIN);
  assert_non_null(strstr(cell->error.text, "replica"));
  cell->options.target.address[0].port = cell->node[0].port;
  test_redis_start(&cell->node[2], plain);
  test_redis_follow(&cell->node[2], &cell->node[0], 2);
  reopen(cell);
  assert_err(cell, begin(cell), TIDE_E_AGAIN);
  assert_non_null(strstr(cell->error.text, "at most 1"));
  test_redis_kill(&cell->node[1]);
  test_redis_kill(&cell->node[2]);
  for (int i = 0; i < TRIES && test_redis_info(&cell->node[0], "connected_slaves") > 0; i++) nap_ms(5);
  assert_err(cell, begin(cell), TIDE_E_AGAIN);
  assert_non_null(strstr(cell->error.text, "0 replicas are online"));
  test_redis_kill(&cell->node[0]);
  assert_err(cell, begin(cell), TIDE_E_AGAIN);
  cell_free(cell);
}

static void frozen_replicas_make_nothing_durable(void **state) {
  (void)state;
  struct cell *cell = cell_new(2, 2);
  struct tide_position p, durable;
  working(cell, 2);
  cell->options.wait_ms = 50;
  reopen(cell);
  assert_err(cell, begin(cell), TIDE_OK);
  sync_until(cell, at(1, 2));
  test_redis_freeze(&cell->node[2]);
  assert_err(cell, append(cell, 1, 3, &p), TIDE_OK);
  for (int i = 0; i < 2; i++) {
    assert_err(cell, sync_to(cell, &durable), TIDE_OK);
    assert_at(durable, 1, 2);
  }
  assert_err(cell, sync_to(cell, &durable), TIDE_E_IO);
  assert_at(durable, 1, 2);
  /* A session on fresh connections, and a WAIT that has nothing of its own to wait for. */
  assert_err(cell, begin(cell), TIDE_OK);
  assert_err(cell, sync_to(cell, &durable), TIDE_OK);
  assert_at(durable, 0, 0);
  test_redis_thaw(&cell->node[2]);
  sync_until(cell, at(1, 3));
  assert_stands(cell, 1, 3);
  cell_free(cell);
}

/* The command waits in the socket of a server that is stopped, and is carried out when everybody has given up. */
static void a_frozen_primary_may_have_taken_the_entry(void **state) {
  (void)state;
  struct cell *cell = cell_new(1, 1);
  struct tide_position p = at(7, 7);
  working(cell, 2);
  cell->options.wait_ms = 50;
  cell->options.timeout_ms = 300;
  reopen(cell);
  assert_err(cell, begin(cell), TIDE_OK);
  test_redis_freeze(&cell->node[0]);
  enum tide_err err = append(cell, 1, 3, &p);
  assert_true(err == TIDE_E_IO || err == TIDE_E_INDETERMINATE);
  assert_at(p, 7, 7);
  assert_err(cell, begin(cell), TIDE_E_AGAIN);
  test_redis_thaw(&cell->node[0]);
  cell->options.timeout_ms = 10000;
  reopen(cell);
  begin_again(cell);
  for (int i = 0; i < TRIES && tide_position_cmp(last_of(cell), at(1, 3)) < 0; i++) nap_ms(5);
  assert_stands(cell, 1, 3);
  cell_free(cell);
}

static void a_wiped_primary_is_not_begun_again(void **state) {
  (void)state;
  struct cell *cell = cell_new(2, 2);
  struct tide_position p = at(7, 7);
  working(cell, 3);
  test_redis_kill(&cell->node[0]);
  test_redis_restart(&cell->node[0], plain);
  for (int i = 0; i < TRIES && test_redis_info(&cell->node[0], "connected_slaves") < 2; i++) nap_ms(5);
  assert_err(cell, append(cell, 1, 4, &p), TIDE_E_IO);
  enum tide_err err = TIDE_E_AGAIN;
  for (int i = 0; i < TRIES && err == TIDE_E_AGAIN; i++) {
    err = begin(cell);
    if (err == TIDE_E_AGAIN) nap_ms(10);
  }
  assert_int_equal(err, TIDE_E_CONFIG);
  assert_non_null(strstr(cell->error.text, "lost"));
  for (uint32_t i = 0; i < NODES; i++) { /* WAIT 2 had succeeded, and all three are empty */
    redisReply *reply = test_redis_do(&cell->node[i], "EXISTS tidemark:{eu}:journal");
    assert_int_equal(reply->integer, 0);
    freeReplyObject(reply);
  }
  cell_free(cell);
}

static void an_old_rdb_is_another_session(void **state) {
  (void)state;
  struct cell *cell = cell_new(2, 2);
  struct tide_position p, durable;
  working(cell, 2);
  struct tide_u128 before = cell->session.id;
  test_redis_run(&cell->node[0], "SAVE");
  for (uint64_t i = 3; i <= 6; i++) assert_err(cell, append(cell, 1, i, &p), TIDE_OK);
  assert_err(cell, sync_to(cell, &durable), TIDE_OK);
  assert_at(durable, 1, 6);
  test_redis_kill(&cell->node[0]);
  test_redis_restart(&cell->node[0], plain);
  assert_err(cell, append(cell, 1, 7, &p), TIDE_E_IO);
  begin_again(cell);
  assert_false(tide_u128_eq(before, cell->session.id));
  assert_int_equal(cell->session.epoch_min, 1);
  p = last_of(cell); /* all three rolled back: who knows 1-6 sees it now */
  assert_at(p, 1, 2);
  cell_free(cell);
}

/* WAIT 1 was answered by a replica that had acknowledged another primary's fence in between. */
static void a_replica_that_was_with_another_primary_ends_the_session(void **state) {
  (void)state;
  struct cell *cell = cell_new(2, 1);
  struct tide_position p, durable = at(7, 7);
  working(cell, 2);
  struct tide_u128 before = cell->session.id;
  test_redis_run(&cell->node[1], "REPLICAOF NO ONE");
  test_redis_follow(&cell->node[2], &cell->node[1], 1);
  test_redis_run(&cell->node[1], "XADD tidemark:{eu}:journal NOMKSTREAM 2-0 b fence");
  test_redis_follow(&cell->node[2], &cell->node[0], 1);
  assert_err(cell, append(cell, 1, 3, &p), TIDE_OK);
  assert_err(cell, sync_to(cell, &durable), TIDE_E_IO);
  assert_non_null(strstr(cell->error.text, "sync_full"));
  assert_at(durable, 7, 7);
  begin_again(cell);
  assert_false(tide_u128_eq(before, cell->session.id));
  cell_free(cell);
}

/* The same, but the replica comes back from an RDB file of the time before: by a partial resync, which sync_full does not count. */
static void a_replica_that_came_back_old_ends_the_session(void **state) {
  (void)state;
  struct cell *cell = cell_new(2, 1);
  struct tide_position p, durable = at(7, 7);
  char primary[16];
  working(cell, 2);
  long long written = test_redis_info(&cell->node[0], "master_repl_offset");
  for (uint32_t n = 1; n < NODES; n++) { /* a quorum of one says nothing of the other */
    for (int i = 0; i < TRIES && test_redis_info(&cell->node[n], "master_repl_offset") < written; i++) nap_ms(5);
  }
  test_redis_run(&cell->node[2], "SAVE");
  struct tide_u128 before = cell->session.id;
  long long full = test_redis_info(&cell->node[0], "sync_full");
  test_redis_run(&cell->node[1], "REPLICAOF NO ONE");
  test_redis_follow(&cell->node[2], &cell->node[1], 1);
  test_redis_run(&cell->node[1], "XADD tidemark:{eu}:journal NOMKSTREAM 2-0 b fence");
  test_redis_kill(&cell->node[2]);
  snprintf(primary, sizeof primary, "%u", (unsigned)cell->node[0].port);
  const char *option[] = {plain[0], plain[1], plain[2], plain[3], "--replicaof", "127.0.0.1", primary, NULL};
  test_redis_restart(&cell->node[2], option);
  test_redis_follow(&cell->node[2], &cell->node[0], 1);
  assert_int_equal(test_redis_info(&cell->node[0], "sync_full"), full);
  assert_err(cell, append(cell, 1, 3, &p), TIDE_OK);
  assert_err(cell, sync_to(cell, &durable), TIDE_E_IO);
  assert_non_null(strstr(cell->error.text, "sync_partial_ok"));
  assert_at(durable, 7, 7);
  begin_again(cell);
  assert_false(tide_u128_eq(before, cell->session.id));
  cell_free(cell);
}

static void a_demoted_primary_ends_the_session(void **state) {
  (void)state;
  for (int what = 0; what < 3; what++) {
    struct cell *cell = cell_new(1, 1);
    struct tide_position p = at(7, 7);
    working(cell, 2);
    test_redis_run(&cell->node[1], "REPLICAOF NO ONE");
    test_redis_follow(&cell->node[0], &cell->node[1], 1);
    enum tide_err err = TIDE_OK;
    if (what == 0) err = append(cell, 1, 3, &p);
    if (what == 1) err = sync_to(cell, &p);
    if (what == 2) err = cell->journal->ops->read(cell->journal, at(1, 1), false, &cell->out, &p, &cell->error);
    assert_true(err == TIDE_E_INDETERMINATE || err == TIDE_E_IO);
    assert_at(p, 7, 7);
    assert_err(cell, begin(cell), TIDE_E_AGAIN);
    cell_free(cell);
  }
}

static void trimming_compares_on_the_server(void **state) {
  (void)state;
  struct cell *cell = cell_new(0, 0);
  struct tide_span none = {0};
  const struct tide_journal_ops *ops = cell->journal->ops;
  working(cell, 9);
  assert_err(cell, ops->trim(cell->journal, at(1, 5), (struct tide_span){"else", 4}, &cell->error), TIDE_E_MISMATCH);
  assert_stands(cell, 1, 9);
  test_entry(5, 40, &cell->entry);
  assert_err(cell, ops->trim(cell->journal, at(1, 5), tide_buf_span(&cell->entry), &cell->error), TIDE_OK);
  assert_err(cell, ops->trim(cell->journal, at(1, 5), tide_buf_span(&cell->entry), &cell->error), TIDE_OK);
  assert_err(cell, ops->trim(cell->journal, at(1, 2), none, &cell->error), TIDE_OK);
  redisReply *reply = test_redis_do(&cell->node[0], "XLEN tidemark:{eu}:journal");
  assert_int_equal(reply->integer, 5);
  freeReplyObject(reply);
  assert_stands(cell, 5, 9);
  assert_err(cell, tide_journal_redis_init(&cell->options, &cell->error), TIDE_E_EXISTS);
  assert_stands(cell, 5, 9);
  cell_free(cell);
}

static void a_foreign_entry_is_no_entry(void **state) {
  (void)state;
  struct cell *cell = cell_new(0, 0);
  struct tide_position p;
  working(cell, 1);
  test_redis_run(&cell->node[0], "XADD tidemark:{eu}:journal 1-2 b x c y");
  assert_err(cell, cell->journal->ops->read(cell->journal, at(1, 1), false, &cell->out, &p, &cell->error), TIDE_E_CORRUPT);
  cell_free(cell);
}

static void a_full_server_refuses_and_the_session_stands(void **state) {
  (void)state;
  struct cell *cell = cell_new(0, 0);
  struct tide_position p, durable;
  working(cell, 1);
  test_redis_run(&cell->node[0], "CONFIG SET maxmemory 1");
  assert_err(cell, append(cell, 1, 2, &p), TIDE_E_FULL);
  assert_err(cell, open_epoch(cell, 2, &p), TIDE_E_FULL);
  test_redis_run(&cell->node[0], "CONFIG SET maxmemory 0");
  assert_err(cell, append(cell, 1, 2, &p), TIDE_OK);
  assert_err(cell, sync_to(cell, &durable), TIDE_OK);
  assert_at(durable, 1, 2);
  cell_free(cell);
}

static void sentinel_leads_to_the_new_primary(void **state) {
  (void)state;
  struct cell *cell = cell_new(2, 2);
  struct tide_position p, durable;
  char *dir = test_dir("sentinel"), *path = test_path(dir, "sentinel.conf");
  FILE *file = fopen(path, "w");
  assert_non_null(file);
  fprintf(file, "sentinel monitor eu 127.0.0.1 %u 1\nsentinel down-after-milliseconds eu 2000\nsentinel failover-timeout eu 3000\n",
          (unsigned)cell->node[0].port);
  assert_int_equal(fclose(file), 0);
  const char *option[] = {path, "--sentinel", NULL};
  test_redis_start(&cell->sentinel, option);
  uint16_t nobody = cell->node[0].port; /* an address where no sentinel answers sensibly: the next one is asked */
  cell->options.target = (struct tide_redis_target){
      .sentinel = true, .address = {{"127.0.0.1", nobody}, {"127.0.0.1", cell->sentinel.port}}, .address_count = 2, .name = "eu"};
  reopen(cell);
  working(cell, 3);
  /* It has to know both replicas before it can promote one. */
  for (int i = 0; i < TRIES; i++) {
    redisReply *reply = test_redis_do(&cell->sentinel, "SENTINEL replicas eu");
    size_t known = reply->elements;
    freeReplyObject(reply);
    if (known == 2) break;
    nap_ms(10);
  }
  struct tide_u128 before = cell->session.id;
  test_redis_kill(&cell->node[0]);
  cell->options.quorum = 1; /* one of the two is left to acknowledge */
  assert_err(cell, append(cell, 1, 4, &p), TIDE_E_IO);
  reopen(cell);
  begin_again(cell);
  assert_false(tide_u128_eq(before, cell->session.id));
  assert_int_equal(cell->session.epoch_min, 1);
  assert_stands(cell, 1, 3);
  assert_err(cell, open_epoch(cell, 2, &p), TIDE_OK);
  assert_err(cell, sync_to(cell, &durable), TIDE_OK);
  assert_at(durable, 2, 0);
  test_dir_remove(dir);
  tide_free(path);
  tide_free(dir);
  cell_free(cell);
}

int main(void) {
  static const struct CMUnitTest tests[] = {
      cmocka_unit_test(what_a_session_cannot_begin_with),
      cmocka_unit_test(frozen_replicas_make_nothing_durable),
      cmocka_unit_test(a_frozen_primary_may_have_taken_the_entry),
      cmocka_unit_test(a_wiped_primary_is_not_begun_again),
      cmocka_unit_test(an_old_rdb_is_another_session),
      cmocka_unit_test(a_replica_that_was_with_another_primary_ends_the_session),
      cmocka_unit_test(a_replica_that_came_back_old_ends_the_session),
      cmocka_unit_test(a_demoted_primary_ends_the_session),
      cmocka_unit_test(trimming_compares_on_the_server),
      cmocka_unit_test(a_foreign_entry_is_no_entry),
      cmocka_unit_test(a_full_server_refuses_and_the_session_stands),
      cmocka_unit_test(sentinel_leads_to_the_new_primary),
  };
  return cmocka_run_group_tests_name("redis journal on servers", tests, NULL, NULL);
}
