/* The Redis journal when the Nth reply is wrong, for every N of a whole working life and every kind of wrong.
 *
 * A small engine opens an epoch, appends, syncs, follows another writer, lives through replicas that are cut off for a while, reads everything, trims. In each run one
 * reply (or one connection) fails: an error in its place, nothing, half of it, another type, an end of the connection with the commands lost, carried out or still on
 * their way, or silence. Behind the protocol stands a model of the servers, so what is true is known at every moment:
 *   - what is called durable stands on the primary and on a quorum of replicas, with its bytes;
 *   - what was refused as STALE is in no log, then and later;
 *   - what is read is the log, entry for entry;
 *   - every run ends, having asked for a bounded number of replies, with all its work done. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "../support/journal_dir.h"
#include "../support/redis_model_ops.h"
#include "adapter/journal_redis.h"

enum { TRIES_MAX = 40, NUMBERS_MAX = 200, RECEIVES_FACTOR = 6 };

struct run {
  uint32_t quorum;
  struct redis_model *model;
  struct redis_client client, other_client;
  struct tide_journal *journal, *other;
  bool session, other_session;
  struct tide_position durable;
  uint64_t epoch, number; /* the last number used: every attempt has its own bytes */
  struct tide_position read_at;
  uint64_t refused[NUMBERS_MAX];
  size_t refused_count;
  struct tide_buf entry, out;
  struct tide_error error;
  unsigned sessions, stale;
  char what[96]; /* the fault of this run, for messages */
};

#define CHECK(run, condition)                                                                                                              \
  do {                                                                                                                                     \
    if (!(condition)) fail_msg("%s, line %d: %s (%s)", (run)->what, __LINE__, #condition, (run)->error.text);                              \
  } while (0)

/* What is true */

static const struct redis_op *true_entry(const struct run *run, struct tide_position at) { return redis_model_entry(run->model, 0, at); }

static void check_durable(struct run *run, struct tide_position durable) {
  CHECK(run, tide_position_cmp(durable, run->durable) >= 0);
  if (tide_position_cmp(durable, run->durable) == 0) return;
  const struct redis_op *entry = true_entry(run, durable);
  CHECK(run, entry != NULL);
  CHECK(run, redis_model_holders(run->model, durable, (struct tide_span){entry->bytes, entry->len}, 0) >= run->quorum);
  run->durable = durable;
}

static void check_refused(struct run *run) {
  const struct redis_data *data = &run->model->node[0].data;
  for (size_t i = 0; i < data->count; i++) {
    if (data->op[i]->kind != REDIS_OP_ADD) continue;
    uint64_t number = test_entry_number((struct tide_span){data->op[i]->bytes, data->op[i]->len});
    for (size_t k = 0; k < run->refused_count; k++) CHECK(run, number != run->refused[k]);
  }
}

/* The engine: each piece tries until it is done */

static void begin(struct run *run) {
  struct tide_session session;
  for (int tries = 0; !run->session; tries++) {
    CHECK(run, tries < TRIES_MAX);
    enum tide_err err = run->journal->ops->begin(run->journal, &session, &run->error);
    if (err) {
      CHECK(run, err == TIDE_E_AGAIN || err == TIDE_E_IO || (run->client.fault_at && (err == TIDE_E_CONFIG || err == TIDE_E_CORRUPT)));
      redis_model_advance(run->model, 10);
      continue;
    }
    CHECK(run, session.id.hi != 0 || session.id.lo != 0);
    run->session = true;
    run->sessions++;
    run->durable = (struct tide_position){0, 0}; /* of this session */
    if (session.epoch_min > run->epoch) run->epoch = session.epoch_min;
  }
}

/* After an error that ends a session nothing works without a new one. */
static void session_over(struct run *run) {
  struct tide_position p = {7, 7}, q = {7, 7};
  struct tide_error error;
  uint64_t receives = run->client.receives;
  run->session = false;
  assert_int_equal(run->journal->ops->append(run->journal, run->epoch, (struct tide_span){"x", 1}, &p, &error), TIDE_E_IO);
  assert_int_equal(run->journal->ops->open_epoch(run->journal, run->epoch + 9, (struct tide_span){"x", 1}, &p, &error), TIDE_E_IO);
  assert_int_equal(run->journal->ops->sync(run->journal, &p, &error), TIDE_E_IO);
  assert_int_equal(run->journal->ops->read(run->journal, run->read_at, false, &run->out, &p, &error), TIDE_E_IO);
  assert_int_equal(run->journal->ops->range(run->journal, &p, &q, &error), TIDE_E_IO);
  assert_int_equal(run->journal->ops->trim(run->journal, run->read_at, (struct tide_span){0}, &error), TIDE_E_IO);
  CHECK(run, p.epoch == 7 && q.epoch == 7 && run->client.receives == receives);
}

/* What an error of append or open_epoch means. True: the session goes on. */
static bool after_put(struct run *run, enum tide_err err) {
  CHECK(run, err != TIDE_E_LIMIT && err != TIDE_E_FULL && err != TIDE_E_AGAIN && err != TIDE_E_CONFIG);
  if (err != TIDE_E_STALE) {
    session_over(run);
    return false;
  }
  CHECK(run, run->refused_count < NUMBERS_MAX);
  run->refused[run->refused_count++] = run->number;
  run->stale++;
  check_refused(run);
  return true;
}

static void open_epoch(struct run *run) {
  struct tide_position at;
  for (int tries = 0;; tries++) {
    CHECK(run, tries < TRIES_MAX);
    begin(run);
    uint64_t epoch = run->epoch + 1;
    test_entry(++run->number, 40, &run->entry);
    enum tide_err err = run->journal->ops->open_epoch(run->journal, epoch, tide_buf_span(&run->entry), &at, &run->error);
    run->epoch = epoch; /* won, lost or unknown: it is not opened again */
    if (err == TIDE_OK) break;
    (void)after_put(run, err);
  }
  CHECK(run, at.epoch == run->epoch && at.seq == 0);
  CHECK(run, test_entry_is((struct tide_span){true_entry(run, at)->bytes, true_entry(run, at)->len}, run->number));
}

static void append(struct run *run) {
  struct tide_position at;
  for (int tries = 0;; tries++) {
    CHECK(run, tries < TRIES_MAX);
    if (!run->session) {
      begin(run);
      open_epoch(run); /* another session needs another fence */
    }
    test_entry(++run->number, 60, &run->entry);
    enum tide_err err = run->journal->ops->append(run->journal, run->epoch, tide_buf_span(&run->entry), &at, &run->error);
    if (err == TIDE_OK) break;
    if (after_put(run, err)) open_epoch(run);
  }
  CHECK(run, at.epoch == run->epoch && at.seq > 0);
  CHECK(run, test_entry_is((struct tide_span){true_entry(run, at)->bytes, true_entry(run, at)->len}, run->number));
}

/* False: the session is over, and with it what it had not made durable. */
static bool sync_once(struct run *run) {
  struct tide_position durable = {7, 7};
  if (!run->session) return false;
  enum tide_err err = run->journal->ops->sync(run->journal, &durable, &run->error);
  if (err == TIDE_OK) {
    check_durable(run, durable);
    return true;
  }
  CHECK(run, durable.epoch == 7 && durable.seq == 7);
  session_over(run);
  return false;
}

/* Until the last of the log is durable. */
static void sync_all(struct run *run) {
  for (int tries = 0;; tries++) {
    CHECK(run, tries < TRIES_MAX);
    begin(run);
    const struct redis_data *data = &run->model->node[0].data;
    if (!sync_once(run)) continue;
    if (data->entries == data->first || tide_position_cmp(run->durable, data->entry[data->entries - 1]->at) == 0) return;
    /* Durable without having been read: read on, and a cover will do. */
    struct tide_position found;
    while (run->session) {
      enum tide_err err = run->journal->ops->read(run->journal, run->read_at, false, &run->out, &found, &run->error);
      if (err == TIDE_E_END) break;
      if (err) session_over(run);
      else run->read_at = found;
    }
  }
}

static void read_everything(struct run *run) {
  struct tide_position at = {0, 0}, found;
  const struct redis_data *data = &run->model->node[0].data;
  size_t index = data->first;
  for (int tries = 0; tries < TRIES_MAX;) {
    begin(run);
    enum tide_err err = run->journal->ops->read(run->journal, at, false, &run->out, &found, &run->error);
    if (err == TIDE_E_END && index == data->entries) return;
    if (err == TIDE_E_END) { /* a page with its end cut off looks like the end; the next look is a fresh one */
      CHECK(run, run->client.fault == REDIS_FAULT_SHORT);
      tries++;
      continue;
    }
    if (err) {
      CHECK(run, err == TIDE_E_IO || err == TIDE_E_CORRUPT || err == TIDE_E_AGAIN);
      session_over(run);
      tries++;
      continue;
    }
    CHECK(run, index < data->entries && tide_position_cmp(found, data->entry[index]->at) == 0);
    CHECK(run, tide_span_eq(tide_buf_span(&run->out), (struct tide_span){data->entry[index]->bytes, data->entry[index]->len}));
    index++;
    at = found;
  }
  fail_msg("%s: reading does not come to its end", run->what);
}

static void check_range(struct run *run) {
  struct tide_position first, last;
  const struct redis_data *data = &run->model->node[0].data;
  for (int tries = 0;; tries++) {
    CHECK(run, tries < TRIES_MAX);
    begin(run);
    enum tide_err err = run->journal->ops->range(run->journal, &first, &last, &run->error);
    if (err == TIDE_OK) break;
    session_over(run);
  }
  CHECK(run, tide_position_cmp(first, data->entry[data->first]->at) == 0);
  CHECK(run, tide_position_cmp(last, data->entry[data->entries - 1]->at) == 0);
}

static void trim(struct run *run) {
  const struct redis_data *data = &run->model->node[0].data;
  for (int tries = 0;; tries++) {
    CHECK(run, tries < TRIES_MAX);
    sync_all(run);
    const struct redis_op *keep = data->entry[data->first + 1 < data->entries ? data->first + 1 : data->first];
    size_t before = data->first;
    struct tide_span bytes = {keep->bytes, keep->len}, wrong = {"another", 7};
    enum tide_err err = run->journal->ops->trim(run->journal, keep->at, wrong, &run->error);
    CHECK(run, err != TIDE_OK || run->client.fault == REDIS_FAULT_SHORT || run->client.fault == REDIS_FAULT_WRONG_TYPE);
    CHECK(run, data->first == before); /* whatever was answered */
    if (err != TIDE_OK && err != TIDE_E_MISMATCH) {
      session_over(run);
      continue;
    }
    err = run->journal->ops->trim(run->journal, keep->at, bytes, &run->error);
    CHECK(run, err != TIDE_E_MISMATCH);
    if (err == TIDE_OK) {
      CHECK(run, data->entry[data->first] == keep);
      return;
    }
    session_over(run);
  }
}

/* Another engine, to which nothing bad happens: it appends behind what is there. */
static void somebody_else(struct run *run, unsigned entries) {
  struct tide_session session;
  struct tide_position at;
  if (!run->other_session) assert_int_equal(run->other->ops->begin(run->other, &session, &run->error), TIDE_OK);
  run->other_session = true;
  uint64_t epoch = run->model->node[0].data.generated.epoch;
  for (unsigned i = 0; i < entries; i++) {
    test_entry(++run->number, 50, &run->entry);
    struct tide_position seen = run->model->node[0].data.generated, found;
    assert_int_equal(run->other->ops->read(run->other, seen, true, &run->out, &found, &run->error), TIDE_OK);
    assert_int_equal(run->other->ops->append(run->other, epoch, tide_buf_span(&run->entry), &at, &run->error), TIDE_OK);
  }
}

static void cut_replicas(struct run *run, bool cut) {
  for (uint32_t i = 1; i < run->model->nodes; i++) run->model->cut[0][i] = cut;
}

/* One commit: without a fault it is durable after one sync. */
static void commit(struct run *run) {
  append(run);
  struct tide_position last = run->model->node[0].data.generated;
  (void)sync_once(run);
  CHECK(run, run->client.fault_at || run->client.connect_fault_at || tide_position_cmp(run->durable, last) == 0);
}

static void work(struct run *run) {
  open_epoch(run);
  (void)sync_once(run);
  commit(run);
  commit(run);
  append(run);
  append(run);
  sync_all(run);
  somebody_else(run, 3);
  sync_all(run);
  cut_replicas(run, true);
  append(run);
  (void)sync_once(run);
  (void)sync_once(run);
  cut_replicas(run, false);
  sync_all(run);
  read_everything(run);
  check_range(run);
  trim(run);
  append(run);
  sync_all(run);
  read_everything(run);
}

static void run_open(struct run *run, uint32_t quorum) {
  *run = (struct run){.quorum = quorum};
  run->model = redis_model_new(3, "eu", 7);
  redis_model_write(run->model, 0, REDIS_OP_CREATE, (struct tide_position){0, 0}, (struct tide_span){0});
  redis_model_settle(run->model);
  run->client.model = run->other_client.model = run->model;
  struct tide_redis_options mine = redis_model_options(&run->client, 2, quorum, 1);
  struct tide_redis_options theirs = redis_model_options(&run->other_client, 2, quorum, 2);
  assert_int_equal(tide_journal_redis_open(&mine, &run->journal, &run->error), TIDE_OK);
  assert_int_equal(tide_journal_redis_open(&theirs, &run->other, &run->error), TIDE_OK);
}

static void run_close(struct run *run) {
  redis_model_deliver(run->model); /* what was late arrives at last */
  check_refused(run);
  run->journal->ops->close(run->journal);
  run->other->ops->close(run->other);
  redis_model_free(run->model);
  tide_buf_release(&run->entry);
  tide_buf_release(&run->out);
}

static void every_reply_may_fail(void **state) {
  uint32_t quorum = *(const uint32_t *)*state;
  struct run run;
  run_open(&run, quorum);
  snprintf(run.what, sizeof run.what, "no fault");
  work(&run);
  uint64_t replies = run.client.receives, connects = run.client.connects;
  assert_int_equal(run.sessions, 1);
  assert_int_equal(run.stale, 0);
  assert_int_equal(connects, 2);
  run_close(&run);
  unsigned runs = 0, again = 0;
  for (uint64_t n = 1; n <= replies; n++) {
    for (enum redis_fault fault = REDIS_FAULT_ERROR; fault < REDIS_FAULT_COUNT; fault++) {
      run_open(&run, quorum);
      snprintf(run.what, sizeof run.what, "%s at reply %llu, quorum %u", redis_fault_name(fault), (unsigned long long)n, quorum);
      run.client.fault_at = n;
      run.client.fault = fault;
      work(&run);
      CHECK(&run, run.client.receives >= n);
      CHECK(&run, run.client.receives < replies * RECEIVES_FACTOR);
      again += run.sessions > 1;
      runs++;
      run_close(&run);
    }
  }
  for (uint64_t n = 1; n <= connects; n++) {
    run_open(&run, quorum);
    snprintf(run.what, sizeof run.what, "connection %llu, quorum %u", (unsigned long long)n, quorum);
    run.client.connect_fault_at = n;
    work(&run);
    run_close(&run);
  }
  assert_true(replies > 60);
  assert_true(again > runs / 2); /* faults were felt */
}

/* Two connections that fail in a row, at random places of the life. */
static void faults_may_follow_each_other(void **state) {
  uint32_t quorum = *(const uint32_t *)*state;
  uint64_t seed = 4711;
  for (int i = 0; i < 300; i++) {
    struct run run;
    run_open(&run, quorum);
    run.client.fault = REDIS_FAULT_ERROR + (enum redis_fault)(test_random(&seed) % (REDIS_FAULT_COUNT - 1));
    run.client.fault_at = 1 + test_random(&seed) % 40;
    run.client.connect_fault_at = 3 + test_random(&seed) % 2;
    snprintf(run.what, sizeof run.what, "pair %d: %s at %llu", i, redis_fault_name(run.client.fault),
             (unsigned long long)run.client.fault_at);
    work(&run);
    if (run.client.fault_at < run.client.receives) run.client.fault_at = run.client.receives + 1 + test_random(&seed) % 20;
    work(&run);
    run_close(&run);
  }
}

int main(void) {
  static uint32_t one = 1, two = 2;
  static const struct CMUnitTest tests[] = {
      {"every_reply_may_fail, a quorum of 1 of 2", every_reply_may_fail, NULL, NULL, &one},
      {"every_reply_may_fail, a quorum of 2 of 2", every_reply_may_fail, NULL, NULL, &two},
      {"faults_may_follow_each_other, a quorum of 2 of 2", faults_may_follow_each_other, NULL, NULL, &two},
  };
  return cmocka_run_group_tests_name("redis faults", tests, NULL, NULL);
}
