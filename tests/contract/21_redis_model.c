/* The model of Redis (tests/support/redis_model.h) against real servers: the same commands, the same answers.
 *
 * Random commands of the journal go to both and every reply is compared, whole. Then one story of replication, promotion and return, in which the counters that sessions
 * rest on (replid changes, sync_full, sync_partial_ok, connected replicas) and WAIT are compared after every step. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../support/journal_dir.h"
#include "../support/redis_model.h"
#include "../support/redis_server.h"
#include "adapter/journal_redis.h"

#define KEY "tidemark:{eu}:journal"
enum { COMMANDS = 4000, NODES = 3 };

static const char trim_script[] = "local e = redis.call('XRANGE', KEYS[1], ARGV[1], ARGV[1])\n"
                                  "if #e == 0 and #redis.call('XRANGE', KEYS[1], '-', ARGV[1], 'COUNT', 1) == 0 then return 0 end\n"
                                  "if #e == 0 then return -1 end\n"
                                  "if ARGV[2] ~= '' and e[1][2][2] ~= ARGV[2] then return -2 end\n"
                                  "return redis.call('XTRIM', KEYS[1], 'MINID', ARGV[1])";

struct pair {
  struct redis_model *model;
  struct redis_client client;
  struct test_redis server[NODES];
  uint32_t nodes;
};

static void pair_open(struct pair *pair, uint32_t nodes) {
  /* No PING in between: it would move offsets. */
  static const char *const option[] = {"--repl-ping-replica-period", "3600", "--repl-backlog-ttl", "0", NULL};
  *pair = (struct pair){.nodes = nodes};
  pair->model = redis_model_new(nodes, "eu", 11);
  pair->client.model = pair->model;
  for (uint32_t i = 0; i < nodes; i++) {
    test_redis_start(&pair->server[i], option);
    if (i > 0) test_redis_follow(&pair->server[i], &pair->server[0], i);
  }
}
static void pair_close(struct pair *pair) {
  redis_model_free(pair->model);
  for (uint32_t i = 0; i < pair->nodes; i++) test_redis_stop(&pair->server[i]);
}

/* A reply as text; what depends on the server's inner life is left out. */
static void write_reply(const redisReply *reply, struct tide_buf *out) {
  switch (reply->type) {
    case REDIS_REPLY_STRING:
    case REDIS_REPLY_STATUS:
    case REDIS_REPLY_ERROR:
      tide_buf_printf(out, "%d:%zu:", reply->type, (size_t)reply->len);
      tide_buf_put(out, reply->str, (size_t)reply->len);
      break;
    case REDIS_REPLY_INTEGER: tide_buf_printf(out, ":%lld", reply->integer); break;
    case REDIS_REPLY_NIL: tide_buf_str(out, "nil"); break;
    case REDIS_REPLY_ARRAY:
      tide_buf_char(out, '[');
      for (size_t i = 0; i < reply->elements; i++) {
        const redisReply *name = i > 0 ? reply->element[i - 1] : NULL;
        bool inner = name && name->type == REDIS_REPLY_STRING && strncmp(name->str, "radix-tree-", 11) == 0;
        if (inner) tide_buf_str(out, "inner");
        else write_reply(reply->element[i], out);
        tide_buf_char(out, ' ');
      }
      tide_buf_char(out, ']');
      break;
    default: fail_msg("a reply of type %d", reply->type);
  }
}

/* One connection of each kind, over which the same goes. */
struct wire {
  struct redis_conn *model;
  redisContext *real;
  struct tide_buf model_text, real_text;
};
static void wire_open(struct pair *pair, uint32_t node, struct wire *ret) {
  struct tide_error error;
  *ret = (struct wire){.real = test_redis_connect(&pair->server[node])};
  assert_int_equal(redis_conn_open(&pair->client, (uint16_t)(REDIS_PORT + node), 1000, &ret->model, &error), TIDE_OK);
}
static void wire_close(struct wire *wire) {
  redis_conn_close(wire->model);
  redisFree(wire->real);
  tide_buf_release(&wire->model_text);
  tide_buf_release(&wire->real_text);
}

/* Sends the words to both and compares. Gives the integer of an integer reply. */
static long long both(struct wire *wire, int count, const char *const *word) {
  size_t len[16];
  redisReply *reply;
  struct tide_error error;
  const char *copy[16];
  for (int i = 0; i < count; i++) {
    len[i] = strlen(word[i]);
    copy[i] = word[i];
  }
  redis_conn_send(wire->model, count, word, len);
  tide_buf_clear(&wire->model_text);
  tide_buf_clear(&wire->real_text);
  assert_int_equal(redis_conn_receive(wire->model, &reply, &error), TIDE_OK);
  write_reply(reply, &wire->model_text);
  freeReplyObject(reply);
  reply = redisCommandArgv(wire->real, count, copy, len);
  assert_non_null(reply);
  write_reply(reply, &wire->real_text);
  long long value = reply->type == REDIS_REPLY_INTEGER ? reply->integer : -1;
  freeReplyObject(reply);
  if (strcmp(tide_buf_cstr(&wire->model_text), tide_buf_cstr(&wire->real_text)) != 0)
    fail_msg("%s %s %s %s:\nmodel %s\nreal  %s", word[0], count > 1 ? word[1] : "", count > 2 ? word[2] : "", count > 3 ? word[3] : "",
             wire->model_text.ptr, wire->real_text.ptr);
  return value;
}
#define BOTH(wire, ...) both(wire, sizeof((const char *[]){__VA_ARGS__}) / sizeof(char *), (const char *const[]){__VA_ARGS__})

static void random_commands_have_the_same_answers(void **state) {
  (void)state;
  struct pair pair;
  struct wire wire;
  uint64_t seed = 99, epoch = 1, highest = 0;
  pair_open(&pair, 1);
  wire_open(&pair, 0, &wire);
  for (int i = 0; i < COMMANDS; i++) {
    char id[64], bytes[32];
    const struct redis_data *data = &pair.model->node[0].data;
    uint64_t some = epoch > 2 ? epoch - test_random(&seed) % 3 : epoch, seq = test_random(&seed) % (data->generated.seq + 3);
    snprintf(bytes, sizeof bytes, "entry %llu", (unsigned long long)(test_random(&seed) % 1000));
    switch (test_random(&seed) % 20) {
      case 0:
        snprintf(id, sizeof id, "%llu-0", (unsigned long long)(some + test_random(&seed) % 2));
        BOTH(&wire, "XADD", KEY, "NOMKSTREAM", id, "b", bytes);
        break;
      case 1: BOTH(&wire, "XINFO", "STREAM", KEY); break;
      case 2: BOTH(&wire, "XRANGE", KEY, "-", "+", "COUNT", "5"); break;
      case 3:
      case 4:
        snprintf(id, sizeof id, "(%llu-%llu", (unsigned long long)some, (unsigned long long)seq);
        BOTH(&wire, "XRANGE", KEY, id, "+", "COUNT", "7");
        break;
      case 5:
        snprintf(id, sizeof id, "%llu-%llu", (unsigned long long)some, (unsigned long long)seq);
        BOTH(&wire, "XRANGE", KEY, id, id);
        break;
      case 6: {
        const struct redis_op *entry = redis_model_entry(pair.model, 0, (struct tide_position){some, seq});
        snprintf(id, sizeof id, "%llu-%llu", (unsigned long long)some, (unsigned long long)seq);
        char *there = entry ? tide_strndup(entry->bytes, entry->len) : tide_strdup("x");
        long long removed = BOTH(&wire, "EVAL", trim_script, "1", KEY, id, test_random(&seed) % 3 == 0 ? "wrong" : there);
        assert_true(removed >= -2);
        tide_free(there);
        break;
      }
      case 7: BOTH(&wire, "SET", "tidemark:{eu}:cover:1", bytes, "PX", "60000"); break;
      case 8: BOTH(&wire, "WAIT", "0", "5"); break;
      case 9: BOTH(&wire, "EXISTS", KEY); break;
      case 10:
        if (i % 7 == 0) BOTH(&wire, "XADD", KEY, "NOMKSTREAM", "0-0", "b", bytes);
        else BOTH(&wire, "PING");
        break;
      case 11:
        if (i > COMMANDS / 10 && !data->exists) { /* not at once: a key that is not there has answers too */
          BOTH(&wire, "XGROUP", "CREATE", KEY, "init", "$", "MKSTREAM");
          BOTH(&wire, "XGROUP", "DESTROY", KEY, "init");
        }
        break;
      default: snprintf(id, sizeof id, "%llu-*", (unsigned long long)some); BOTH(&wire, "XADD", KEY, "NOMKSTREAM", id, "b", bytes);
    }
    if (data->generated.epoch >= epoch) epoch = data->generated.epoch + (test_random(&seed) % 100 == 0);
    if (data->entries > highest) highest = data->entries;
  }
  assert_true(highest > 500 && epoch > 5);
  wire_close(&wire);
  pair_close(&pair);
}

/* The facts of a node on both sides. */
static void same_facts(struct pair *pair, uint32_t node, const char *step) {
  static const char *const name[] = {"sync_full:", "sync_partial_ok:", "connected_slaves:", "role:"};
  struct tide_buf out = TIDE_BUF_INIT;
  bool ignored;
  struct redis_words words = {1, {{"INFO", 4}}};
  redis_model_command(pair->model, node, &words, &out, &ignored);
  redisReply *real = test_redis_do(&pair->server[node], "INFO");
  for (size_t i = 0; i < sizeof name / sizeof name[0]; i++) {
    const char *a = strstr(tide_buf_cstr(&out), name[i]), *b = strstr(real->str, name[i]);
    assert_non_null(a);
    assert_non_null(b);
    size_t len = strcspn(a, "\r\n");
    if (len != strcspn(b, "\r\n") || memcmp(a, b, len) != 0)
      fail_msg("%s, node %u: model %.*s, real %.*s", step, node, (int)len, a, (int)strcspn(b, "\r\n"), b);
  }
  freeReplyObject(real);
  tide_buf_release(&out);
}

static void replid(struct pair *pair, uint32_t node, char real[41], char model[41]) {
  redisReply *info = test_redis_do(&pair->server[node], "INFO replication");
  const char *at = strstr(info->str, "master_replid:");
  assert_non_null(at);
  snprintf(real, 41, "%s", at + strlen("master_replid:"));
  freeReplyObject(info);
  memcpy(model, pair->model->node[node].replid, 41);
}

static void follow(struct pair *pair, uint32_t node, uint32_t primary, unsigned replicas) {
  test_redis_follow(&pair->server[node], &pair->server[primary], replicas);
  redis_model_follow(pair->model, node, primary);
  redis_model_settle(pair->model);
}
static void promote(struct pair *pair, uint32_t node) {
  char real[2][41], model[2][41];
  replid(pair, node, real[0], model[0]);
  test_redis_run(&pair->server[node], "REPLICAOF NO ONE");
  redis_model_promote(pair->model, node);
  replid(pair, node, real[1], model[1]);
  assert_string_not_equal(real[0], real[1]);
  assert_string_not_equal(model[0], model[1]);
}

static void replication_keeps_the_same_books(void **state) {
  (void)state;
  struct pair pair;
  struct wire at[NODES];
  pair_open(&pair, NODES);
  for (uint32_t i = 0; i < NODES; i++) wire_open(&pair, i, &at[i]);
  same_facts(&pair, 0, "begin");
  BOTH(&at[0], "XGROUP", "CREATE", KEY, "init", "$", "MKSTREAM");
  BOTH(&at[0], "XGROUP", "DESTROY", KEY, "init");
  BOTH(&at[0], "XADD", KEY, "NOMKSTREAM", "1-0", "b", "fence");
  assert_int_equal(BOTH(&at[0], "WAIT", "2", "10000"), 2);
  BOTH(&at[1], "XRANGE", KEY, "-", "+");
  BOTH(&at[1], "XADD", KEY, "NOMKSTREAM", "1-*", "b", "on a replica");
  BOTH(&at[1], "WAIT", "1", "10");

  /* Frozen replicas acknowledge nothing; a connection that has written nothing does not notice. */
  for (uint32_t i = 1; i < NODES; i++) {
    test_redis_freeze(&pair.server[i]);
    redis_model_freeze(pair.model, i);
  }
  BOTH(&at[0], "XADD", KEY, "NOMKSTREAM", "1-*", "b", "not yet");
  assert_int_equal(BOTH(&at[0], "WAIT", "1", "50"), 0);
  struct wire fresh;
  wire_open(&pair, 0, &fresh);
  assert_int_equal(BOTH(&fresh, "WAIT", "2", "50"), 2);
  wire_close(&fresh);
  for (uint32_t i = 1; i < NODES; i++) {
    test_redis_thaw(&pair.server[i]);
    redis_model_thaw(pair.model, i);
  }
  assert_int_equal(BOTH(&at[0], "WAIT", "2", "10000"), 2);
  same_facts(&pair, 0, "thawed");

  /* A failover in order: all come over by a partial resync. */
  promote(&pair, 1);
  follow(&pair, 2, 1, 1);
  same_facts(&pair, 1, "2 follows 1");
  follow(&pair, 0, 1, 2);
  same_facts(&pair, 1, "0 follows 1");
  BOTH(&at[1], "XADD", KEY, "NOMKSTREAM", "2-0", "b", "fence");
  assert_int_equal(BOTH(&at[1], "WAIT", "2", "10000"), 2);
  BOTH(&at[0], "XINFO", "STREAM", KEY);

  /* A split: 0 is promoted, both take a write, 2 goes over and comes back. Each time by a full resync, and 1 keeps its replid. */
  char before[2][41], after[2][41];
  replid(&pair, 1, before[0], before[1]);
  promote(&pair, 0);
  BOTH(&at[0], "XADD", KEY, "NOMKSTREAM", "3-0", "b", "fence of 0");
  BOTH(&at[1], "XADD", KEY, "NOMKSTREAM", "2-*", "b", "of 1");
  assert_int_equal(BOTH(&at[1], "WAIT", "1", "10000"), 1);
  follow(&pair, 2, 0, 1);
  same_facts(&pair, 0, "2 goes over");
  BOTH(&at[2], "XRANGE", KEY, "-", "+");
  follow(&pair, 2, 1, 1);
  same_facts(&pair, 1, "2 comes back");
  BOTH(&at[2], "XRANGE", KEY, "-", "+");
  replid(&pair, 1, after[0], after[1]);
  assert_string_equal(before[0], after[0]);
  assert_string_equal(before[1], after[1]);
  for (uint32_t i = 0; i < NODES; i++) wire_close(&at[i]);
  pair_close(&pair);
}

int main(void) {
  static const struct CMUnitTest tests[] = {
      cmocka_unit_test(random_commands_have_the_same_answers),
      cmocka_unit_test(replication_keeps_the_same_books),
  };
  return cmocka_run_group_tests_name("redis model", tests, NULL, NULL);
}
