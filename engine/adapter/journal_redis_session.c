/* Beginning a session with a Redis node (journal_redis.c has the whole): who is the primary, may a journal live there, which session is it.
 *
 * Everything is asked on the connection that will write, so that the answers are those of that process; the reading connection must lead to the same one. A node that
 * cannot be used says why in words that an operator can act on. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "adapter/journal_redis_state.h"

static struct tide_redis_journal *self_of(struct tide_journal *journal) { return (struct tide_redis_journal *)(void *)journal; }

/* ---- commands and replies ---- */

void tide_redis_send(const struct tide_redis_journal *self, struct tide_redis_link *link, int argc, const char *const *argv) {
  size_t len[16];
  TIDE_CHECK(argc <= 16);
  for (int i = 0; i < argc; i++) len[i] = strlen(argv[i]);
  self->ops->send(link, argc, argv, len);
}

void tide_redis_end_session(struct tide_redis_journal *self) {
  if (self->write) self->ops->close(self->write);
  if (self->read) self->ops->close(self->read);
  self->write = self->read = NULL;
  self->outstanding = self->unproven = false;
  self->page_count = self->page_next = 0;
}

/* Ends the session with an error that was already told. */
enum tide_err tide_redis_over(struct tide_redis_journal *self, enum tide_err err) {
  tide_redis_end_session(self);
  return err;
}

bool tide_redis_is_error(const redisReply *reply, const char *with) {
  return reply->type == REDIS_REPLY_ERROR && (size_t)reply->len >= strlen(with) && memcmp(reply->str, with, strlen(with)) == 0;
}

/* What a server says when it will not do something now, in words of ours. */
enum tide_err tide_redis_refused(const struct tide_redis_journal *self, const char *what, const redisReply *reply,
                                 struct tide_error *error) {
  static const struct {
    const char *with, *why;
    enum tide_err code;
  } known[] = {
      {"NOREPLICAS", "too few replicas are connected (min-replicas-to-write)", TIDE_E_AGAIN},
      {"READONLY", "the node is a replica", TIDE_E_AGAIN},
      {"LOADING", "the node is loading its data", TIDE_E_AGAIN},
      {"MASTERDOWN", "the node is a replica without its primary", TIDE_E_AGAIN},
      {"BUSY", "the node runs a script that does not end", TIDE_E_AGAIN},
      {"MISCONF", "the node cannot save to its disk and takes no writes", TIDE_E_AGAIN},
      {"NOAUTH", "the node asks for a password: journal.password_file", TIDE_E_CONFIG},
      {"WRONGPASS", "the node does not know this user with this password", TIDE_E_CONFIG},
      {"NOPERM", "the user may not do this: see the ACL example", TIDE_E_CONFIG},
      {"ERR The user executing the script", "the user may not do this from a script: see the ACL example", TIDE_E_CONFIG},
      {"WRONGTYPE", "the key is something other than a stream", TIDE_E_CONFIG},
  };
  const char *said = reply->type == REDIS_REPLY_ERROR ? reply->str : "";
  int len = reply->type == REDIS_REPLY_ERROR ? (int)(reply->len < 160 ? reply->len : 160) : 0;
  for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
    if (tide_redis_is_error(reply, known[i].with))
      return tide_fail(error, known[i].code, "redis %s:%u, %s: %s (%.*s)", self->where.host, self->where.port, what, known[i].why, len,
                       said);
  if (len) return tide_fail(error, TIDE_E_IO, "redis %s:%u, %s: %.*s", self->where.host, self->where.port, what, len, said);
  return tide_fail(error, TIDE_E_IO, "redis %s:%u, %s: a reply of type %d that this command does not have", self->where.host,
                   self->where.port, what, reply->type);
}

/* The next reply, which must be of `type`. On error nothing is to be freed. */
enum tide_err tide_redis_receive(const struct tide_redis_journal *self, struct tide_redis_link *link, int type, const char *what,
                                 redisReply **ret, struct tide_error *error) {
  redisReply *reply;
  enum tide_err err = self->ops->receive(link, &reply, error);
  if (err != TIDE_OK) return err;
  if (reply->type == type) {
    *ret = reply;
    return TIDE_OK;
  }
  err = tide_redis_refused(self, what, reply, error);
  freeReplyObject(reply);
  return err;
}

bool tide_redis_parse_id(const char *text, size_t len, struct tide_position *ret) {
  char copy[48], *end;
  if (len == 0 || len >= sizeof copy || *text < '0' || *text > '9') return false;
  memcpy(copy, text, len);
  copy[len] = 0;
  struct tide_position at = {.epoch = strtoull(copy, &end, 10)};
  if (*end != '-' || end[1] < '0' || end[1] > '9') return false;
  at.seq = strtoull(end + 1, &end, 10);
  if (*end) return false;
  *ret = at;
  return true;
}

struct tide_span tide_redis_info_of(const redisReply *reply) {
  return (struct tide_span){reply->str, (size_t)reply->len};
}

/* ---- beginning a session ---- */

static enum tide_err authenticate(struct tide_redis_journal *self, struct tide_redis_link *link, struct tide_error *error) {
  const struct tide_redis_target *target = &self->options.target;
  redisReply *reply;
  if (!target->password[0]) return TIDE_OK;
  if (target->user[0]) SEND(link, "AUTH", target->user, target->password);
  else SEND(link, "AUTH", target->password);
  enum tide_err err = tide_redis_receive(self, link, REDIS_REPLY_STATUS, "AUTH", &reply, error);
  if (err == TIDE_OK) freeReplyObject(reply);
  return err;
}

/* What one sentinel says where the primary is. */
static enum tide_err ask_sentinel(struct tide_redis_journal *self, const struct tide_redis_address *sentinel, struct tide_error *error) {
  struct tide_redis_link *link;
  redisReply *reply;
  const struct tide_redis_target *target = &self->options.target;
  enum tide_err err = self->ops->connect(self->options.link_ctx, sentinel, self->options.timeout_ms, &link, error);
  if (err != TIDE_OK) return err;
  SEND(link, "SENTINEL", "get-master-addr-by-name", target->name);
  err = self->ops->receive(link, &reply, error);
  if (err == TIDE_OK) {
    bool good = reply->type == REDIS_REPLY_ARRAY && reply->elements == 2 && reply->element[0]->type == REDIS_REPLY_STRING &&
                reply->element[1]->type == REDIS_REPLY_STRING && (size_t)reply->element[0]->len < sizeof self->where.host;
    unsigned long port = good ? strtoul(reply->element[1]->str, NULL, 10) : 0;
    if (good && port > 0 && port <= 65535) {
      snprintf(self->where.host, sizeof self->where.host, "%s", reply->element[0]->str);
      self->where.port = (uint16_t)port;
    } else if (reply->type == REDIS_REPLY_NIL) {
      err = tide_fail(error, TIDE_E_AGAIN, "sentinel %s:%u does not know a primary by the name %s", sentinel->host, sentinel->port,
                      target->name);
    } else {
      err = tide_fail(error, TIDE_E_AGAIN, "sentinel %s:%u gives no address of %s: %.*s", sentinel->host, sentinel->port, target->name,
                      reply->type == REDIS_REPLY_ERROR ? (int)reply->len : 0, reply->type == REDIS_REPLY_ERROR ? reply->str : "");
    }
    freeReplyObject(reply);
  }
  self->ops->close(link);
  return err;
}

enum tide_err tide_redis_find_primary(struct tide_redis_journal *self, struct tide_error *error) {
  const struct tide_redis_target *target = &self->options.target;
  if (!target->sentinel) {
    self->where = target->address[0];
    return TIDE_OK;
  }
  enum tide_err err = TIDE_E_AGAIN;
  for (uint32_t i = 0; i < target->address_count && err != TIDE_OK; i++)
    err = ask_sentinel(self, &target->address[(self->sentinel + i) % target->address_count], error);
  return err;
}

enum tide_err tide_redis_connect_to(struct tide_redis_journal *self, struct tide_redis_link **ret, struct tide_error *error) {
  struct tide_redis_link *link;
  enum tide_err err = self->ops->connect(self->options.link_ctx, &self->where, self->options.timeout_ms, &link, error);
  if (err != TIDE_OK) return err;
  err = authenticate(self, link, error);
  if (err != TIDE_OK) self->ops->close(link);
  else *ret = link;
  return err;
}

/* The facts of now, from an INFO replication stats that was sent on the link. */
enum tide_err tide_redis_receive_facts(struct tide_redis_journal *self, struct tide_redis_link *link, struct tide_redis_facts *ret,
                                       struct tide_error *error) {
  redisReply *reply;
  enum tide_err err = tide_redis_receive(self, link, REDIS_REPLY_STRING, "INFO", &reply, error);
  if (err != TIDE_OK) return err;
  err = tide_redis_facts_parse(tide_redis_info_of(reply), &self->options, ret, error);
  freeReplyObject(reply);
  if (err == TIDE_OK) self->online = ret->online;
  return err;
}

/* By how much this machine's clock, that showed from_ms to to_ms while the server looked at its own, is certainly ahead of it; negative: behind. */
static int64_t ahead_ms(int64_t from_ms, int64_t to_ms, int64_t server_ms) {
  return server_ms < from_ms ? from_ms - server_ms : server_ms > to_ms ? to_ms - server_ms : 0;
}

/* A comparison that took no longer is taken as it is; of a longer one the clock must be right wherever in between the server looked. */
#define CLEAR_MS 100
#define COMPARE_MAX 3

/* The server looked at its clock between asked_at and now. Where this machine's was set meanwhile it showed one thing then, which an entry may have been stamped with, and
 * another now: both must agree with the server's, and with one another. */
static enum tide_err compare(struct tide_redis_journal *self, const redisReply *reply, bool *ret_clear, struct tide_error *error) {
  struct tide_redis_now asked = self->asked_at, now = self->ops->now(self->options.link_ctx);
  int64_t took_ms = (now.mono.ns - asked.mono.ns) / 1000000, max_ms = self->options.clock_skew_max_ms;
  int64_t set_ms = now.wall.ms - asked.wall.ms - took_ms;
  if (reply->elements != 2 || reply->element[0]->type != REDIS_REPLY_STRING || reply->element[1]->type != REDIS_REPLY_STRING)
    return tide_fail(error, TIDE_E_IO, "redis %s:%u: TIME gave no two numbers", self->where.host, self->where.port);
  int64_t server = strtoll(reply->element[0]->str, NULL, 10) * 1000 + strtoll(reply->element[1]->str, NULL, 10) / 1000;
  int64_t then_ms = ahead_ms(asked.wall.ms, asked.wall.ms + took_ms, server), off_ms = ahead_ms(now.wall.ms - took_ms, now.wall.ms, server);
  if (llabs(then_ms) > llabs(off_ms)) off_ms = then_ms;
  if (llabs(off_ms) > max_ms)
    return tide_fail(error, TIDE_E_AGAIN, "the clock of this machine is %lld ms %s that of redis %s:%u and may be %lld: see to NTP on both",
                     llabs(off_ms), off_ms < 0 ? "behind" : "ahead of", self->where.host, self->where.port, (long long)max_ms);
  if (llabs(set_ms) > max_ms)
    return tide_fail(error, TIDE_E_AGAIN,
                     "the clock of this machine was set by %lld ms while that of redis %s:%u was asked for: see to NTP", (long long)set_ms,
                     self->where.host, self->where.port);
  *ret_clear = took_ms <= CLEAR_MS || llabs(off_ms) + took_ms <= max_ms;
  if (*ret_clear) self->clock_ms = tide_clock_offset_ms(now.wall, now.mono);
  return TIDE_OK;
}

enum tide_err tide_redis_compare_clocks(struct tide_redis_journal *self, struct tide_redis_link *link, struct tide_error *error) {
  for (int turn = 1;; turn++) {
    redisReply *reply;
    bool clear = false;
    enum tide_err err = tide_redis_receive(self, link, REDIS_REPLY_ARRAY, "TIME", &reply, error);
    if (err != TIDE_OK) return err;
    err = compare(self, reply, &clear, error);
    freeReplyObject(reply);
    if (err != TIDE_OK || clear) return err;
    if (turn == COMPARE_MAX)
      return tide_fail(error, TIDE_E_AGAIN,
                       "redis %s:%u: %d times in a row TIME took too long to tell whether this machine's clock is within %lld ms of it",
                       self->where.host, self->where.port, turn, (long long)self->options.clock_skew_max_ms);
    self->asked_at = self->ops->now(self->options.link_ctx);
    SEND(link, "TIME");
  }
}

/* first-entry and last-entry of XINFO STREAM, whose shape is name, value, name, value... */
static bool stream_ids(const redisReply *reply, struct tide_position *ret_generated, struct tide_position *ret_first,
                       struct tide_position *ret_last) {
  struct tide_position generated = {0}, first = {0}, last = {0};
  bool known = false, ends[2] = {false, false}; /* a reply without them must not pass for that of an empty stream */
  for (size_t i = 0; i + 1 < reply->elements; i += 2) {
    const redisReply *name = reply->element[i], *value = reply->element[i + 1];
    if (name->type != REDIS_REPLY_STRING) return false;
    bool is_first = strcmp(name->str, "first-entry") == 0, is_last = strcmp(name->str, "last-entry") == 0;
    if (strcmp(name->str, "last-generated-id") == 0)
      known = value->type == REDIS_REPLY_STRING && tide_redis_parse_id(value->str, (size_t)value->len, &generated);
    if (is_first || is_last) ends[is_last] = true;
    if ((!is_first && !is_last) || value->type == REDIS_REPLY_NIL) continue;
    if (value->type != REDIS_REPLY_ARRAY || value->elements != 2 || value->element[0]->type != REDIS_REPLY_STRING ||
        !tide_redis_parse_id(value->element[0]->str, (size_t)value->element[0]->len, is_first ? &first : &last))
      return false;
  }
  if (!known || !ends[0] || !ends[1]) return false;
  *ret_generated = generated;
  *ret_first = first;
  *ret_last = last;
  return true;
}

enum tide_err tide_redis_receive_stream(struct tide_redis_journal *self, struct tide_redis_link *link, struct tide_position *ret_generated,
                                        struct tide_position *ret_first, struct tide_position *ret_last, struct tide_error *error) {
  redisReply *reply;
  enum tide_err err = self->ops->receive(link, &reply, error);
  if (err != TIDE_OK) return err;
  if (tide_redis_is_error(reply, "ERR no such key"))
    err = tide_fail(
        error, TIDE_E_CONFIG,
        "redis %s:%u has no journal %s: a new cell is begun with `tidemark init`; if this cell has a history, this node has lost it, and nothing may "
        "be decided from here: see to the other nodes, or `tidemark restore`",
        self->where.host, self->where.port, self->key);
  else if (reply->type != REDIS_REPLY_ARRAY) err = tide_redis_refused(self, "XINFO STREAM", reply, error);
  else if (!stream_ids(reply, ret_generated, ret_first, ret_last))
    err = tide_fail(error, TIDE_E_CORRUPT, "redis %s:%u: XINFO STREAM %s is not understood", self->where.host, self->where.port, self->key);
  freeReplyObject(reply);
  return err;
}

/* A value of CONFIG GET; *ret_known false where the user may not ask. */
static enum tide_err receive_config(struct tide_redis_journal *self, struct tide_redis_link *link, char *out, size_t size, bool *ret_known,
                                    struct tide_error *error) {
  redisReply *reply;
  enum tide_err err = self->ops->receive(link, &reply, error);
  if (err != TIDE_OK) return err;
  *ret_known = reply->type == REDIS_REPLY_ARRAY && reply->elements == 2 && reply->element[1]->type == REDIS_REPLY_STRING;
  if (*ret_known) snprintf(out, size, "%s", reply->element[1]->str);
  freeReplyObject(reply);
  return TIDE_OK;
}

static enum tide_err look(struct tide_redis_journal *self, uint64_t *ret_epoch, struct tide_error *error) {
  struct tide_redis_node node = {0};
  struct tide_redis_facts facts = {0};
  struct tide_position generated = {0}, first = {0}, last = {0};
  redisReply *reply;
  char ttl[32] = "";
  bool ttl_known = false;
  self->asked_at = self->ops->now(self->options.link_ctx);
  SEND(self->write, "INFO", "server", "memory", "persistence");
  SEND(self->write, "INFO", "replication", "stats");
  SEND(self->write, "CONFIG", "GET", "repl-backlog-ttl");
  SEND(self->write, "TIME");
  enum tide_err err = tide_redis_receive(self, self->write, REDIS_REPLY_STRING, "INFO", &reply, error);
  if (err != TIDE_OK) return err;
  err = tide_redis_node_parse(tide_redis_info_of(reply), &node, error);
  freeReplyObject(reply);
  if (err == TIDE_OK) err = tide_redis_receive_facts(self, self->write, &facts, error);
  if (err == TIDE_OK) err = receive_config(self, self->write, ttl, sizeof ttl, &ttl_known, error);
  if (err == TIDE_OK) err = tide_redis_compare_clocks(self, self->write, error);
  if (err == TIDE_OK) err = tide_redis_admit(&self->options, &node, &facts, error);
  if (err == TIDE_OK && ttl_known && self->options.replicas > 0 && strcmp(ttl, "0") != 0)
    err =
        tide_fail(error, TIDE_E_CONFIG,
                  "redis has repl-backlog-ttl %s: a primary without replicas forgets its backlog and its history's name; set it to 0", ttl);
  if (err != TIDE_OK) return err;
  SEND(self->write, "XINFO", "STREAM", self->key); /* refused while it loads, so not before */
  err = tide_redis_receive_stream(self, self->write, &generated, &first, &last, error);
  if (err != TIDE_OK) return err;
  self->node = node;
  self->facts = facts;
  self->seen = self->sent = last;
  *ret_epoch = generated.epoch;
  return TIDE_OK;
}

/* The reader speaks with the same process as the writer. */
static enum tide_err check_reader(struct tide_redis_journal *self, struct tide_error *error) {
  redisReply *reply;
  struct tide_redis_node node;
  SEND(self->read, "INFO", "server", "memory", "persistence");
  enum tide_err err = tide_redis_receive(self, self->read, REDIS_REPLY_STRING, "INFO", &reply, error);
  if (err != TIDE_OK) return err;
  err = tide_redis_node_parse(tide_redis_info_of(reply), &node, error);
  freeReplyObject(reply);
  if (err == TIDE_OK && strcmp(node.run_id, self->node.run_id) != 0)
    err = tide_fail(error, TIDE_E_AGAIN, "redis %s:%u: two connections lead to two servers", self->where.host, self->where.port);
  return err;
}

enum tide_err tide_redis_begin(struct tide_journal *journal, struct tide_session *ret, struct tide_error *error) {
  struct tide_redis_journal *self = self_of(journal);
  uint64_t epoch = 0;
  tide_redis_end_session(self);
  self->durable = (struct tide_position){0, 0};
  self->shorts = 0;
  self->pressed_at.ns = 0;
  self->pressed = false;
  enum tide_err err = tide_redis_find_primary(self, error);
  if (err == TIDE_OK) err = tide_redis_connect_to(self, &self->write, error);
  if (err == TIDE_OK) err = tide_redis_connect_to(self, &self->read, error);
  if (err == TIDE_OK) err = look(self, &epoch, error);
  if (err == TIDE_OK) err = check_reader(self, error);
  if (err != TIDE_OK) {
    self->sentinel++;
    return tide_redis_over(self, err == TIDE_E_IO ? TIDE_E_AGAIN : err);
  }
  *ret = (struct tide_session){.id = tide_redis_session_id(&self->node, &self->facts), .epoch_min = epoch};
  return TIDE_OK;
}
