/* See redis_model.h: connections to the model, and what may go wrong on them.
 *
 * Commands wait at the client until a reply is asked for; then all of them are with the server, which carries them out in order up to a WAIT that blocks. What is still
 * under way when a client closes is not taken back: it arrives when the node thaws or at redis_model_deliver, as bytes in a socket's buffer do. */
#include "redis_model.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct call {
  struct tide_buf bytes; /* all words, one behind the other */
  struct redis_words words;
};

struct redis_conn {
  struct redis_conn *next;
  struct redis_model *model;
  struct redis_client *client; /* NULL: closed */
  uint32_t node;               /* REDIS_NOBODY: a sentinel */
  uint64_t life;
  int64_t timeout_ms;
  bool broken;
  bool closing; /* by the server, behind the replies that are there */
  size_t wrote; /* offset behind its last accepted write: what its WAIT means */
  struct call *call;
  size_t call_count, call_cap, call_next; /* call[call_next] is carried out next */
  size_t sent;                            /* calls before it are with the server */
  bool blocked;                           /* call[call_next] is a WAIT that waits */
  int64_t blocked_until_ms;
  redisReply **reply;
  uint64_t *made; /* [reply_cap] model->replies of each */
  size_t reply_count, reply_cap, reply_next;
};

const char *redis_fault_name(enum redis_fault fault) {
  static const char *const name[] = {
#define X(name) #name,
      REDIS_FAULTS(X)
#undef X
  };
  return name[fault];
}

/* Replies as hiredis makes them: parsed from bytes. */
static redisReply *parse(struct tide_span bytes) {
  redisReader *reader = redisReaderCreate();
  void *reply = NULL;
  TIDE_CHECK(reader && redisReaderFeed(reader, bytes.ptr, bytes.len) == REDIS_OK && redisReaderGetReply(reader, &reply) == REDIS_OK &&
             reply);
  redisReaderFree(reader);
  return reply;
}

static void add_reply(struct redis_conn *conn, struct tide_span bytes) {
  if (conn->reply_count == conn->reply_cap) {
    conn->reply_cap = conn->reply_cap ? conn->reply_cap * 2 : 8;
    conn->reply = tide_realloc(conn->reply, conn->reply_cap * sizeof *conn->reply);
    conn->made = tide_realloc(conn->made, conn->reply_cap * sizeof *conn->made);
  }
  conn->made[conn->reply_count] = ++conn->model->replies;
  conn->reply[conn->reply_count++] = parse(bytes);
}

/* The server's side */

static const struct redis_node *node_of(const struct redis_conn *conn) { return &conn->model->node[conn->node]; }
static bool alive(const struct redis_conn *conn) {
  return conn->node == REDIS_NOBODY || (node_of(conn)->up && node_of(conn)->life == conn->life);
}
static bool word_is(const struct call *call, int index, const char *text) {
  struct tide_span word = index < call->words.count ? call->words.word[index] : (struct tide_span){0};
  return word.len == strlen(text) && strncasecmp(word.ptr, text, word.len) == 0;
}
static int64_t number_at(const struct call *call, int index) {
  char text[24] = "";
  struct tide_span word = index < call->words.count ? call->words.word[index] : (struct tide_span){0};
  if (word.len < sizeof text) memcpy(text, word.ptr, word.len);
  return strtoll(text, NULL, 10);
}

static void answer_sentinel(struct redis_conn *conn, const struct call *call, struct tide_buf *out) {
  const struct redis_model *model = conn->model;
  uint32_t announced = conn->client && conn->client->misled ? conn->client->announced : model->announced;
  if (!word_is(call, 0, "SENTINEL")) tide_buf_str(out, "-ERR unknown command\r\n");
  else if (announced == REDIS_NOBODY) tide_buf_str(out, "*-1\r\n");
  else tide_buf_printf(out, "*2\r\n$9\r\n127.0.0.1\r\n$4\r\n%u\r\n", REDIS_PORT + announced);
}

/* False: it blocks. */
static bool answer_wait(struct redis_conn *conn, const struct call *call, struct tide_buf *out) {
  if (!node_of(conn)->primary) {
    tide_buf_str(out,
                 "-ERR WAIT cannot be used with replica instances. Please also note that since Redis 4.0 if a replica is configured to be "
                 "writable (which is not the default) writes to replicas are just local and are not propagated.\r\n");
    return true;
  }
  unsigned count = redis_model_acknowledged(conn->model, conn->node, conn->wrote);
  if (!conn->blocked) conn->blocked_until_ms = conn->model->now_ms + number_at(call, 2);
  conn->blocked = count < number_at(call, 1) && conn->model->now_ms < conn->blocked_until_ms;
  if (!conn->blocked) tide_buf_printf(out, ":%u\r\n", count);
  return !conn->blocked;
}

/* Carries out what has arrived, as far as it goes. */
static void serve(struct redis_conn *conn) {
  struct tide_buf out = TIDE_BUF_INIT;
  while (conn->call_next < conn->sent && !conn->closing && alive(conn) && (conn->node == REDIS_NOBODY || !node_of(conn)->frozen)) {
    struct call *call = &conn->call[conn->call_next];
    bool wrote = false;
    tide_buf_clear(&out);
    if (conn->node == REDIS_NOBODY) {
      answer_sentinel(conn, call, &out);
    } else if (word_is(call, 0, "WAIT")) {
      if (!answer_wait(conn, call, &out)) break;
    } else {
      redis_model_command(conn->model, conn->node, &call->words, &out, &wrote);
    }
    if (wrote) conn->wrote = node_of(conn)->data.count;
    conn->call_next++;
    add_reply(conn, tide_buf_span(&out));
  }
  tide_buf_release(&out);
}

void redis_model_wake(struct redis_model *model, uint32_t node, bool kicked) {
  for (struct redis_conn *conn = model->conns; conn; conn = conn->next) {
    if (conn->node != node || !alive(conn)) continue;
    if (kicked && conn->blocked) {
      static const char unblocked[] = "-UNBLOCKED force unblock from blocking operation, instance state changed (master -> replica?)\r\n";
      conn->blocked = false;
      conn->closing = true;
      add_reply(conn, (struct tide_span){unblocked, sizeof unblocked - 1});
    }
    serve(conn);
  }
}

bool redis_model_blocked(const struct redis_model *model) {
  for (const struct redis_conn *conn = model->conns; conn; conn = conn->next)
    if (conn->client && conn->blocked) return true;
  return false;
}

void redis_model_advance(struct redis_model *model, int64_t ms) {
  model->now_ms += ms;
  for (uint32_t i = 0; i < model->nodes; i++) redis_model_wake(model, i, false);
}

/* The client's side */

static void release(struct redis_conn *conn) {
  for (size_t i = 0; i < conn->call_count; i++) tide_buf_release(&conn->call[i].bytes);
  for (size_t i = conn->reply_next; i < conn->reply_count; i++) freeReplyObject(conn->reply[i]);
  tide_free(conn->call);
  tide_free(conn->reply);
  tide_free(conn->made);
  tide_free(conn);
}

/* Frees closed connections on which nothing is under way any more. */
static void sweep(struct redis_model *model, bool all) {
  for (struct redis_conn **at = &model->conns; *at;) {
    struct redis_conn *conn = *at;
    bool done = conn->call_next == conn->sent || conn->blocked || conn->closing || !alive(conn);
    if (conn->client || !(done || all)) {
      at = &conn->next;
      continue;
    }
    *at = conn->next;
    release(conn);
  }
}

void redis_model_deliver(struct redis_model *model) {
  for (struct redis_conn *conn = model->conns; conn; conn = conn->next)
    if (!conn->client) serve(conn);
  sweep(model, true);
}

enum tide_err redis_conn_open(struct redis_client *client, uint16_t port, int64_t timeout_ms, struct redis_conn **ret,
                              struct tide_error *error) {
  struct redis_model *model = client->model;
  bool sentinel = port == REDIS_SENTINEL_PORT;
  uint32_t node = sentinel ? REDIS_NOBODY : (uint32_t)port - REDIS_PORT;
  client->connects++;
  if (client->connects == client->divert_at) node = client->divert_to;
  TIDE_CHECK(sentinel || node < model->nodes);
  bool silent = !sentinel && model->node[node].up && (client->cut[node] || model->node[node].frozen);
  if (silent) redis_model_advance(model, timeout_ms);
  if (client->connects == client->connect_fault_at || silent || (!sentinel && !model->node[node].up))
    return tide_fail(error, TIDE_E_AGAIN, "model: port %u cannot be reached: %s", port, silent ? "timed out" : "refused");
  struct redis_conn *conn = tide_alloc(sizeof *conn);
  *conn = (struct redis_conn){.next = model->conns, .model = model, .client = client, .node = node, .timeout_ms = timeout_ms};
  if (!sentinel) conn->life = model->node[node].life;
  model->conns = conn;
  *ret = conn;
  return TIDE_OK;
}

void redis_conn_send(struct redis_conn *conn, int argc, const char *const *argv, const size_t *len) {
  TIDE_CHECK(argc > 0 && argc <= REDIS_WIRE_ARGS);
  if (conn->call_count == conn->call_cap) {
    conn->call_cap = conn->call_cap ? conn->call_cap * 2 : 8;
    conn->call = tide_realloc(conn->call, conn->call_cap * sizeof *conn->call);
  }
  struct call *call = &conn->call[conn->call_count++];
  *call = (struct call){.words.count = argc};
  for (int i = 0; i < argc; i++) tide_buf_put(&call->bytes, argv[i], len[i]);
  size_t at = 0;
  for (int i = 0; i < argc; i++) {
    call->words.word[i] = (struct tide_span){call->bytes.ptr ? call->bytes.ptr + at : "", len[i]};
    at += len[i];
  }
}

static enum tide_err broken(struct redis_conn *conn, const char *why, struct tide_error *error) {
  conn->broken = true;
  return tide_fail(error, TIDE_E_IO, "model: the connection is over: %s", why);
}

/* The reply that comes instead. */
static redisReply *replace(redisReply *reply, enum redis_fault fault) {
  const char *bytes = NULL;
  if (fault == REDIS_FAULT_ERROR) bytes = "-ERR injected\r\n";
  if (fault == REDIS_FAULT_NIL) bytes = "$-1\r\n";
  if (fault == REDIS_FAULT_WRONG_TYPE) bytes = reply->type == REDIS_REPLY_INTEGER ? "+OK\r\n" : ":7\r\n";
  if (bytes) {
    freeReplyObject(reply);
    return parse((struct tide_span){bytes, strlen(bytes)});
  }
  /* SHORT: half of it. */
  if (reply->type == REDIS_REPLY_ARRAY) {
    for (size_t i = reply->elements / 2; i < reply->elements; i++) freeReplyObject(reply->element[i]);
    reply->elements /= 2;
  } else if (reply->type == REDIS_REPLY_INTEGER) {
    reply->integer /= 2;
  } else if (reply->str) {
    reply->len /= 2;
    reply->str[reply->len] = 0;
  }
  return reply;
}

/* Lets time pass until the head of the queue is answered: at most until its WAIT runs out. */
static void wait_for_reply(struct redis_conn *conn) {
  struct redis_model *model = conn->model;
  serve(conn);
  if (conn->reply_next < conn->reply_count || !conn->blocked) return;
  if (model->on_block) model->on_block(model->on_block_ctx);
  else if (model->automatic) redis_model_settle(model);
  if (conn->reply_next == conn->reply_count && conn->blocked && alive(conn) && !node_of(conn)->frozen &&
      conn->blocked_until_ms - model->now_ms < conn->timeout_ms)
    redis_model_advance(model, conn->blocked_until_ms - model->now_ms);
}

enum tide_err redis_conn_receive(struct redis_conn *conn, redisReply **ret, struct tide_error *error) {
  struct redis_client *client = conn->client;
  struct redis_model *model = conn->model;
  client->receives++;
  if (client->before) client->before(client->before_ctx, client->receives);
  bool faulty = client->receives == client->fault_at;
  enum redis_fault fault = faulty ? client->fault : REDIS_FAULT_NONE;
  if (conn->broken) return broken(conn, "it was before", error);
  if (fault == REDIS_FAULT_CUT_BEFORE) return broken(conn, "reset", error);
  conn->sent = conn->call_count;
  if (fault == REDIS_FAULT_CUT_LATE) return broken(conn, "reset", error);
  if (fault == REDIS_FAULT_CUT_AFTER || fault == REDIS_FAULT_STALL) {
    wait_for_reply(conn);
    if (fault == REDIS_FAULT_STALL) redis_model_advance(model, conn->timeout_ms);
    return broken(conn, fault == REDIS_FAULT_STALL ? "timed out" : "reset", error);
  }
  if (!alive(conn)) return broken(conn, "the server has gone", error);
  bool unreached = conn->node != REDIS_NOBODY && client->cut[conn->node];
  if (!unreached) wait_for_reply(conn);
  if (conn->reply_next == conn->reply_count || unreached) {
    TIDE_CHECK(conn->reply_next < conn->call_count); /* a reply was asked for that no command has */
    if (!alive(conn) || conn->closing) return broken(conn, "the server has gone", error);
    redis_model_advance(model, conn->timeout_ms);
    return broken(conn, "timed out", error);
  }
  size_t taken = conn->reply_next++;
  redisReply *reply = conn->reply[taken];
  const struct call *call = &conn->call[taken]; /* each has one reply, but for the last of a connection that the server ends */
  if (word_is(call, 0, "WAIT") && reply->type == REDIS_REPLY_INTEGER && reply->integer >= number_at(call, 1))
    client->proven = conn->made[taken];
  *ret = fault == REDIS_FAULT_NONE ? reply : replace(reply, fault);
  return TIDE_OK;
}

void redis_conn_close(struct redis_conn *conn) {
  struct redis_model *model = conn->model;
  conn->client = NULL;
  sweep(model, false);
}
