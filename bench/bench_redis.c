/* The replicated commit against what else is built on Redis, side by side on the same three servers: a primary and two replicas, AOF everysec.
 *
 *   bench_redis [--quick]      (starts its servers with tests/support/with_redis.py and ends them)
 *
 * Every row commits transactions of four entities (card, account, merchant, terminal) and waits until both replicas have them (WAIT 2). The
 * rivals count one window per entity and keep nothing else; the journal rows write the whole record of the shipped feature file, with its 170
 * values computed from it elsewhere (bench_fold). So the comparison favours the rivals.
 *
 *   naive    a sorted set per entity: MULTI, ZADD, ZREMRANGEBYSCORE, ZCARD, PEXPIRE each, EXEC; WAIT per transaction
 *   tuned    the same sorted sets, only ZADD and ZCOUNT, many transactions in one pipeline and one WAIT; old members leave every 16th time
 *   lua      a script that adds to a counter per minute in a hash per entity and sums ten minutes
 *   append   24 bytes appended to a log key per entity, nothing read
 *   journal  one stream entry per batch, encoded from decoded records, then WAIT, INFO and TIME as the engine asks (journal_redis)
 *
 * Rows run in turn, A B C A B C, on an emptied server; the median of each is printed with its ratio to the better row of the tuned sorted
 * sets. The latency of a transaction is that of its batch. --quick does a little of each and prints hashes of what the server answered and
 * kept: two runs must print the same. */
#include <hiredis/hiredis.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "adapter/decode.h"
#include "base/clock.h"
#include "base/num.h"
#include "core/batch.h"

enum { DISTINCT = 512, ENTITIES = 4, CONNECTIONS_MAX = 64, RUNS_MAX = 5, WINDOW_MS = 600000, CARDS = 50000 };

static _Noreturn void die(const char *what, const char *why) {
  fprintf(stderr, "bench_redis: %s: %s\n", what, why);
  exit(4);
}

static uint64_t mix(uint64_t x) {
  x += UINT64_C(0x9e3779b97f4a7c15);
  x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
  x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
  return x ^ (x >> 31);
}

/* ---- the transactions ---- */

struct txn {
  char key[ENTITIES][32], member[32], score[24], oldest[24];
};

static int64_t time_of(uint64_t n) { return INT64_C(1767225600000) + (int64_t)n; }

/* Transaction n as the rivals see it. Merchants are skewed as in bench_fold. */
static void make_txn(uint64_t n, struct txn *ret) {
  uint64_t r = mix(n), s = mix(r), merchants = CARDS / 8;
  uint64_t merchant = (s % merchants) * ((s >> 32) % merchants) / merchants;
  snprintf(ret->key[0], sizeof ret->key[0], "card:%llu", (unsigned long long)(r % CARDS));
  snprintf(ret->key[1], sizeof ret->key[1], "account:%llu", (unsigned long long)(r % CARDS / 2));
  snprintf(ret->key[2], sizeof ret->key[2], "merchant:%llu", (unsigned long long)merchant);
  snprintf(ret->key[3], sizeof ret->key[3], "terminal:%llu", (unsigned long long)(merchant * 2 + (s >> 50) % 2));
  snprintf(ret->member, sizeof ret->member, "%llu:%llu", (unsigned long long)n, (unsigned long long)(100 + (s >> 8) % 90000));
  snprintf(ret->score, sizeof ret->score, "%lld", (long long)time_of(n));
  snprintf(ret->oldest, sizeof ret->oldest, "(%lld", (long long)(time_of(n) - WINDOW_MS));
}

static struct tide_spec *spec;
static struct tide_record *records;

/* DISTINCT messages of the same transactions, decoded through the shipped feature file. */
static void make_records(void) {
  static struct tide_secret_key key = {.bytes = "a key of a benchmark"};
  struct tide_error error = {0};
  size_t errors = 0;
  if (tide_spec_load("config/defaults/features.yaml", &spec, &error, 1, &errors) != TIDE_OK) die("the shipped feature file", error.text);
  tide_secret_key_seal(&key);
  records = tide_alloc((DISTINCT + 1) * sizeof *records); /* a message may give two */
  struct tide_decode_options options = {.spec = spec, .key = &key};
  struct tide_decoder *decoder;
  struct tide_buf line = TIDE_BUF_INIT;
  if (tide_decoder_new(&options, &decoder, &error)) die("decoding", error.text);
  for (uint64_t n = 0; n < DISTINCT; n++) {
    struct txn txn;
    int got;
    make_txn(n, &txn);
    tide_buf_clear(&line);
    tide_buf_printf(
        &line,
        "{\"type\":\"auth\",\"at\":\"2026-01-01T00:00:00.%03uZ\",\"rrn\":\"%012llu\",\"stan\":\"000001\",\"acquirer\":\"900001\","
        "\"card\":{\"number\":\"4%015llu\"},\"account\":\"%s\",\"amount\":{\"value\":%llu.%02llu,\"currency\":\"EUR\"},\"merchant\":{\"id\":\"%s\","
        "\"mcc\":\"5411\",\"country\":\"NL\"},\"terminal\":{\"id\":\"%s\",\"lat\":52.1,\"lon\":4.3},\"entry\":\"chip\"}",
        (unsigned)n, (unsigned long long)n, (unsigned long long)(mix(n) % CARDS), txn.key[1], (unsigned long long)(1 + n % 900),
        (unsigned long long)(n % 100), txn.key[2], txn.key[3]);
    if (tide_decode(decoder, tide_buf_span(&line), &records[n], &got, &error)) die("decoding", error.text);
    records[n].offset = n;
    for (uint32_t f = 0; f < spec->field_count; f++) { /* texts are good until the next message: keep copies */
      struct tide_datum *datum = &records[n].field[f];
      if (datum->kind == TIDE_D_TEXT) datum->text.ptr = tide_strndup(datum->text.ptr, datum->text.len);
    }
  }
  tide_decoder_free(decoder);
  tide_buf_release(&line);
}

/* ---- the servers ---- */

static redisContext *connections[CONNECTIONS_MAX];
static char hosts[3][64];
static int ports[3];
static char password[128];

static redisContext *connect_to(const char *host, int port) {
  struct timeval limit = {10, 0};
  redisContext *c = redisConnectWithTimeout(host, port, limit);
  if (!c || c->err) die("connecting", c ? c->errstr : "out of memory");
  redisSetTimeout(c, limit);
  redisReply *reply = redisCommand(c, "AUTH admin %s", password);
  if (!reply || reply->type == REDIS_REPLY_ERROR) die("AUTH", reply ? reply->str : c->errstr);
  freeReplyObject(reply);
  return c;
}

static void find_servers(void) {
  const char *url = getenv("TIDE_REDIS_ADMIN_URL"), *nodes = getenv("TIDE_REDIS_NODES");
  if (!url || !nodes || sscanf(url, "redis://admin:%127[^@]@", password) != 1)
    die("TIDE_REDIS_ADMIN_URL", "is not what with_redis.py sets");
  for (int i = 0; i < 3; i++) {
    int used = 0;
    if (sscanf(nodes, "%63[^:]:%d%n", hosts[i], &ports[i], &used) != 2) die("TIDE_REDIS_NODES", "does not name three servers");
    nodes += used + (nodes[used] == ' ');
    redisContext *c = connect_to(hosts[i], ports[i]);
    /* A rewrite of the AOF would fall into one row or another by chance. */
    redisReply *reply = redisCommand(c, "CONFIG SET auto-aof-rewrite-percentage 0");
    if (!reply || reply->type == REDIS_REPLY_ERROR) die("CONFIG SET", reply ? reply->str : c->errstr);
    freeReplyObject(reply);
    redisFree(c);
  }
  for (int i = 0; i < CONNECTIONS_MAX; i++) connections[i] = connect_to(hosts[0], ports[0]);
}

/* ---- replies ---- */

static uint64_t answers; /* hash over all replies of a run that do not depend on time */

static redisReply *reply_of(redisContext *c) {
  redisReply *reply;
  if (redisGetReply(c, (void **)&reply) != REDIS_OK) die("the connection", c->errstr);
  if (reply->type == REDIS_REPLY_ERROR) die("the server says", reply->str);
  return reply;
}

static void take(redisContext *c) {
  redisReply *reply = reply_of(c);
  if (reply->type == REDIS_REPLY_ARRAY) {
    for (size_t i = 0; i < reply->elements; i++) {
      if (reply->element[i]->type == REDIS_REPLY_ERROR) die("the server says", reply->element[i]->str);
      answers += mix((uint64_t)reply->element[i]->integer + i);
    }
  } else {
    answers += mix((uint64_t)reply->integer);
  }
  freeReplyObject(reply);
}

static void take_wait(redisContext *c) {
  redisReply *reply = reply_of(c);
  if (reply->type != REDIS_REPLY_INTEGER || reply->integer < 2) die("WAIT 2", "came back short: the machine is too slow for its replicas");
  freeReplyObject(reply);
}

static void append(redisContext *c, int argc, const char **argv) {
  if (redisAppendCommandArgv(c, argc, argv, NULL) != REDIS_OK) die("a command", c->errstr);
}
#define APPEND(c, ...)                                                                                                                     \
  do {                                                                                                                                     \
    const char *argv_[] = {__VA_ARGS__};                                                                                                   \
    append(c, (int)(sizeof argv_ / sizeof argv_[0]), argv_);                                                                               \
  } while (0)

static void ask_wait(redisContext *c) { APPEND(c, "WAIT", "2", "10000"); }

/* ---- the rows: send puts one batch of transactions n.. on a connection, receive takes its replies ---- */

static void naive_send(redisContext *c, uint64_t n, unsigned batch) {
  struct txn txn;
  for (unsigned i = 0; i < batch; i++) {
    make_txn(n + i, &txn);
    APPEND(c, "MULTI");
    for (int e = 0; e < ENTITIES; e++) {
      APPEND(c, "ZADD", txn.key[e], txn.score, txn.member);
      APPEND(c, "ZREMRANGEBYSCORE", txn.key[e], "-inf", txn.oldest);
      APPEND(c, "ZCARD", txn.key[e]);
      APPEND(c, "PEXPIRE", txn.key[e], "600000");
    }
    APPEND(c, "EXEC");
  }
  ask_wait(c);
}

static void naive_receive(redisContext *c, uint64_t n, unsigned batch) {
  (void)n;
  for (unsigned i = 0; i < batch * (ENTITIES * 4 + 2); i++) take(c);
  take_wait(c);
}

static void tuned_send(redisContext *c, uint64_t n, unsigned batch) {
  struct txn txn;
  for (unsigned i = 0; i < batch; i++) {
    make_txn(n + i, &txn);
    for (int e = 0; e < ENTITIES; e++) {
      APPEND(c, "ZADD", txn.key[e], txn.score, txn.member);
      APPEND(c, "ZCOUNT", txn.key[e], txn.oldest, "+inf");
      if ((n + i) % 16 == 0) APPEND(c, "ZREMRANGEBYSCORE", txn.key[e], "-inf", txn.oldest);
    }
  }
  ask_wait(c);
}

static void tuned_receive(redisContext *c, uint64_t n, unsigned batch) {
  for (unsigned i = 0; i < batch; i++)
    for (int k = 0; k < ENTITIES * ((n + i) % 16 == 0 ? 3 : 2); k++) take(c);
  take_wait(c);
}

static char script_sha[64];
static const char script[] =
    "local minute, sums = math.floor(tonumber(ARGV[1]) / 60000), {} "
    "for i, key in ipairs(KEYS) do "
    "  redis.call('HINCRBY', key, minute, 1) redis.call('PEXPIRE', key, 660000) "
    "  local names = {} for m = minute - 9, minute do names[#names + 1] = m end "
    "  local sum = 0 for _, count in ipairs(redis.call('HMGET', key, unpack(names))) do sum = sum + (tonumber(count) or 0) end "
    "  sums[i] = sum "
    "end return sums";

static void lua_send(redisContext *c, uint64_t n, unsigned batch) {
  struct txn txn;
  for (unsigned i = 0; i < batch; i++) {
    make_txn(n + i, &txn);
    APPEND(c, "EVALSHA", script_sha, "4", txn.key[0], txn.key[1], txn.key[2], txn.key[3], txn.score);
  }
  ask_wait(c);
}

static void lua_receive(redisContext *c, uint64_t n, unsigned batch) {
  (void)n;
  for (unsigned i = 0; i < batch; i++) take(c);
  take_wait(c);
}

static void append_send(redisContext *c, uint64_t n, unsigned batch) {
  struct txn txn;
  for (unsigned i = 0; i < batch; i++) {
    make_txn(n + i, &txn);
    for (int e = 0; e < ENTITIES; e++) APPEND(c, "APPEND", txn.key[e], "24 bytes of one event...");
  }
  ask_wait(c);
}

static void append_receive(redisContext *c, uint64_t n, unsigned batch) {
  (void)n;
  for (unsigned i = 0; i < batch * ENTITIES; i++) take(c);
  take_wait(c);
}

static struct tide_buf entry = TIDE_BUF_INIT;

static void journal_send(redisContext *c, uint64_t n, unsigned batch) {
  struct tide_entry_header header = {.engine_id = 1, .fence_nonce = 7, .attempt_nonce = mix(n), .commit_ms = time_of(n)};
  struct tide_batch made;
  tide_batch_begin(&made, &entry, &header, NULL, 0);
  for (unsigned i = 0; i < batch; i++) {
    enum tide_err err = tide_batch_add(&made, spec, &records[(n + i) % DISTINCT]);
    TIDE_CHECK(err == TIDE_OK);
  }
  tide_batch_end(&made);
  const char *argv[] = {"XADD", "tidemark:bench:journal", "NOMKSTREAM", "1-*", "b", entry.ptr};
  size_t len[] = {4, 22, 10, 3, 1, entry.len};
  if (redisAppendCommandArgv(c, 6, argv, len) != REDIS_OK) die("XADD", c->errstr);
  ask_wait(c);
  APPEND(c, "INFO", "replication", "stats");
  APPEND(c, "TIME");
}

static void journal_receive(redisContext *c, uint64_t n, unsigned batch) {
  (void)n, (void)batch;
  redisReply *reply = reply_of(c);
  if (reply->type != REDIS_REPLY_STRING && reply->type != REDIS_REPLY_STATUS) die("XADD", "gave no position: the stream is not there");
  freeReplyObject(reply);
  take_wait(c);
  for (int i = 0; i < 2; i++) freeReplyObject(reply_of(c));
}

struct row {
  const char *name;
  unsigned batch, conns;
  uint64_t txns, quick;
  void (*send)(redisContext *, uint64_t, unsigned);
  void (*receive)(redisContext *, uint64_t, unsigned);
};

static const struct row rows[] = {
    {"naive, one at a time", 1, 1, 4000, 200, naive_send, naive_receive},
    {"naive, 64 clients", 1, 64, 16000, 640, naive_send, naive_receive},
    {"tuned, 64 per WAIT", 64, 1, 40000, 1280, tuned_send, tuned_receive},
    {"tuned, 128 per WAIT", 128, 1, 40000, 1280, tuned_send, tuned_receive},
    {"lua, one at a time", 1, 1, 6000, 200, lua_send, lua_receive},
    {"lua, 128 per WAIT", 128, 1, 40000, 1280, lua_send, lua_receive},
    {"append, 128 per WAIT", 128, 1, 80000, 1280, append_send, append_receive},
    {"journal, batch 1", 1, 1, 6000, 200, journal_send, journal_receive},
    {"journal, batch 16", 16, 1, 80000, 1280, journal_send, journal_receive},
    {"journal, batch 128", 128, 1, 200000, 1280, journal_send, journal_receive},
    {"journal, batch 512", 512, 1, 400000, 5120, journal_send, journal_receive},
};
enum { ROWS = sizeof rows / sizeof rows[0], TUNED = 2 };

/* ---- a run ---- */

struct result {
  double rate, p50_ms, p99_ms, p999_ms;
  uint64_t hash;
};

static int by_value(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

/* What the server keeps of a journal row, read back and decoded: the number and the hash of all records. */
static uint64_t read_back(redisContext *c, uint64_t *ret_records) {
  char from[64] = "-";
  uint64_t hash = 0, count = 0;
  static struct tide_cursor_part part[TIDE_PARTS_MAX];
  struct tide_record *record = tide_alloc(sizeof *record);
  for (;;) {
    redisReply *page = redisCommand(c, "XRANGE tidemark:bench:journal %s + COUNT 64", from);
    if (!page || page->type != REDIS_REPLY_ARRAY) die("XRANGE", page ? "no list" : c->errstr);
    for (size_t i = 0; i < page->elements; i++) {
      redisReply *bytes = page->element[i]->element[1]->element[1];
      struct tide_entry_reader reader;
      struct tide_raw_record raw;
      struct tide_error error = {0};
      enum tide_err err = tide_entry_open(&reader, (struct tide_span){bytes->str, bytes->len}, part, &error);
      while (!err && (err = tide_entry_next(&reader, &raw, &error)) == TIDE_OK) {
        err = tide_record_decode(spec, &raw, record, &error);
        hash = mix(hash + record->offset);
        count++;
      }
      if (err != TIDE_E_END) die("what the server kept", error.text);
      snprintf(from, sizeof from, "(%s", page->element[i]->element[0]->str);
    }
    size_t got = page->elements;
    freeReplyObject(page);
    if (got == 0) break;
  }
  tide_free(record);
  *ret_records = count;
  return hash;
}

static struct result run(const struct row *row, uint64_t txns) {
  uint64_t batches = txns / row->batch, rounds = batches / row->conns;
  double *latency = tide_alloc(rounds * row->conns * sizeof *latency);
  redisContext *c = connections[0];
  freeReplyObject(redisCommand(c, "FLUSHALL SYNC"));
  redisReply *made = redisCommand(c, "XGROUP CREATE tidemark:bench:journal g $ MKSTREAM");
  if (!made || made->type == REDIS_REPLY_ERROR) die("XGROUP CREATE", made ? made->str : c->errstr);
  freeReplyObject(made);
  ask_wait(c);
  take_wait(c);
  answers = 0;
  size_t latencies = 0;
  struct tide_mono begin = tide_mono_now(), sent[CONNECTIONS_MAX];
  for (uint64_t r = 0; r < rounds; r++) {
    for (unsigned k = 0; k < row->conns; k++) {
      int done = 0;
      sent[k] = tide_mono_now();
      row->send(connections[k], (r * row->conns + k) * row->batch, row->batch);
      while (!done)
        if (redisBufferWrite(connections[k], &done) != REDIS_OK) die("sending", connections[k]->errstr);
    }
    for (unsigned k = 0; k < row->conns; k++) {
      row->receive(connections[k], (r * row->conns + k) * row->batch, row->batch);
      latency[latencies++] = (double)(tide_mono_now().ns - sent[k].ns) / 1e6;
    }
  }
  double took = (double)(tide_mono_now().ns - begin.ns) / 1e9;
  uint64_t done = latencies * row->batch;
  struct result result = {.rate = (double)done / took, .hash = answers};
  if (row->send == journal_send) {
    uint64_t kept;
    result.hash = read_back(c, &kept);
    if (kept != done) die(row->name, "the server does not hold every record that was acknowledged");
  }
  qsort(latency, latencies, sizeof *latency, by_value);
  result.p50_ms = latency[latencies / 2];
  result.p99_ms = latency[latencies * 99 / 100];
  result.p999_ms = latency[latencies * 999 / 1000];
  tide_free(latency);
  return result;
}

static int by_rate(const void *a, const void *b) { return by_value(&((const struct result *)a)->rate, &((const struct result *)b)->rate); }

int main(int argc, char **argv) {
  bool quick = argc > 1 && strcmp(argv[1], "--quick") == 0;
  if (argc > 2 || (argc == 2 && !quick)) {
    fprintf(stderr, "usage: bench_redis [--quick]\n");
    return 2;
  }
  if (!getenv("TIDE_REDIS_NODES")) {
    const char *tmp = getenv("TIDE_TMP");
    char *words[] = {"python3", "tests/support/with_redis.py", tide_strdup(tmp && tmp[0] ? tmp : "/tmp"), "2", argv[0], argv[1], NULL};
    execvp(words[0], words);
    die("python3 tests/support/with_redis.py", "cannot be started");
  }
  make_records();
  find_servers();
  redisReply *loaded = redisCommand(connections[0], "SCRIPT LOAD %s", script);
  if (!loaded || loaded->type != REDIS_REPLY_STRING) die("SCRIPT LOAD", loaded ? loaded->str : connections[0]->errstr);
  snprintf(script_sha, sizeof script_sha, "%s", loaded->str);
  freeReplyObject(loaded);
  unsigned runs = quick ? 1 : 3;
  struct result result[ROWS][RUNS_MAX];
  for (unsigned k = 0; k < runs; k++)
    for (unsigned i = 0; i < ROWS; i++) result[i][k] = run(&rows[i], quick ? rows[i].quick : rows[i].txns);
  for (unsigned i = 0; i < ROWS; i++) qsort(result[i], runs, sizeof result[i][0], by_rate);
  double tuned = fmax(result[TUNED][runs / 2].rate, result[TUNED + 1][runs / 2].rate);
  for (unsigned i = 0; i < ROWS; i++) {
    const struct result *r = &result[i][runs / 2];
    if (quick) printf("%-22s hash %016llx\n", rows[i].name, (unsigned long long)r->hash);
    else
      printf("%-22s %9.0f txn/s  %6.2fx  p50 %7.3f  p99 %7.3f  p99.9 %7.3f ms  hash %016llx\n", rows[i].name, r->rate, r->rate / tuned,
             r->p50_ms, r->p99_ms, r->p999_ms, (unsigned long long)r->hash);
  }
  for (int i = 0; i < CONNECTIONS_MAX; i++) redisFree(connections[i]);
  return 0;
}
