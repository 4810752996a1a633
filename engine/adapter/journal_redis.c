/* The journal in a Redis stream: one entry per group commit, fenced by its id, durable when a quorum of replicas has it.
 *
 *   key    tidemark:{CELL}:journal            entry <epoch>-<seq>, one field `b` with the bytes
 *   append XADD key NOMKSTREAM <epoch>-* b .. the server gives the sequence number; a later epoch in the stream makes it refuse
 *   open   XADD key NOMKSTREAM <epoch>-0 ..   exactly one opener wins
 *
 * Behind each of them, on the same connection and in one write: WAIT q t, INFO, TIME. append() takes the first reply, sync() the others. What WAIT
 * returns counts only if
 *   - the XADD before it was accepted: after a refused one, as on a fresh connection, WAIT succeeds at once and proves nothing;
 *   - INFO, read after it, shows the very facts that the session began with (journal_redis_facts.h): else the replicas may have acknowledged
 *     another history;
 *   - the clocks agree (TIME).
 * A WAIT that comes back short is asked again on this connection, where it still means the entry; after three the session is over.
 *
 * What others wrote is durable too once a write of ours behind it is. sync() without an entry of ours writes a small key for that and WAITs for it: the
 * replication stream is one sequence, so a replica that has our write has everything that we had read before it was sent. A
 * bare WAIT would prove nothing.
 *
 * Reading goes over a second connection to the same process (its run_id is compared), by pages, each with INFO behind it: a page that was read from
 * another history, because the node was demoted and filled anew, is thrown away.
 *
 * Numbers fence only servers that have them. NOMKSTREAM keeps an emptied server from starting a history of its own, and a reply that is not above
 * everything seen in its epoch proves a rollback; either ends the session. */
#include "adapter/journal_redis.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "adapter/journal_redis_facts.h"
#include "base/buf.h"

#define SHORT_MAX 3
#define PAGE_FIRST 16
#define PAGE_MAX 256
#define PAGE_BYTES (4u << 20)
#define MEMORY_EVERY_MS 200
#define COVER_MS "60000"

struct page_entry {
  struct tide_position at;
  size_t from, len; /* in page_bytes */
};

struct redis_journal {
  struct tide_journal base;
  struct tide_redis_options options;
  const struct tide_redis_link_ops *ops;
  char *key, *cover;
  struct tide_redis_link *write, *read; /* NULL: no session */
  struct tide_redis_address where;
  uint32_t
      sentinel; /* that is asked first. Two failovers at once may leave one that names a replica for ever: after a failure another is asked */
  struct tide_redis_node node;
  struct tide_redis_facts facts;
  struct tide_position seen; /* the last entry that is known to stand in this session: read, or appended by us */
  struct tide_position sent; /* what the WAIT under way, or the next one, covers */
  struct tide_position durable;
  bool outstanding; /* WAIT, INFO and TIME have been sent and not been read */
  bool unproven;    /* a write of ours stands behind `sent` on the write connection, and its WAIT came back short */
  unsigned shorts;
  uint64_t covers;
  struct tide_wall asked_at;
  bool pressed; /* memory above the share, when it was last looked at: */
  struct tide_wall pressed_at;
  /* pages of the reader */
  struct page_entry page[PAGE_MAX];
  struct tide_buf page_bytes;
  size_t page_count, page_next;
  struct tide_position page_from; /* what page_next follows */
  unsigned page_size;
};

static struct redis_journal *self_of(struct tide_journal *journal) { return (struct redis_journal *)(void *)journal; }

/* ---- commands and replies ---- */

static void send_words(const struct redis_journal *self, struct tide_redis_link *link, int argc, const char *const *argv) {
  size_t len[16];
  TIDE_CHECK(argc <= 16);
  for (int i = 0; i < argc; i++) len[i] = strlen(argv[i]);
  self->ops->send(link, argc, argv, len);
}
#define SEND(link, ...) send_words(self, link, sizeof((const char *[]){__VA_ARGS__}) / sizeof(char *), (const char *const[]){__VA_ARGS__})

static void end_session(struct redis_journal *self) {
  if (self->write) self->ops->close(self->write);
  if (self->read) self->ops->close(self->read);
  self->write = self->read = NULL;
  self->outstanding = self->unproven = false;
  self->page_count = self->page_next = 0;
}

/* Ends the session with an error that was already told. */
static enum tide_err over(struct redis_journal *self, enum tide_err err) {
  end_session(self);
  return err;
}

static bool is_error(const redisReply *reply, const char *with) {
  return reply->type == REDIS_REPLY_ERROR && (size_t)reply->len >= strlen(with) && memcmp(reply->str, with, strlen(with)) == 0;
}

/* What a server says when it will not do something now, in words of ours. */
static enum tide_err refused(const struct redis_journal *self, const char *what, const redisReply *reply, struct tide_error *error) {
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
    if (is_error(reply, known[i].with))
      return tide_fail(error, known[i].code, "redis %s:%u, %s: %s (%.*s)", self->where.host, self->where.port, what, known[i].why, len,
                       said);
  if (len) return tide_fail(error, TIDE_E_IO, "redis %s:%u, %s: %.*s", self->where.host, self->where.port, what, len, said);
  return tide_fail(error, TIDE_E_IO, "redis %s:%u, %s: a reply of type %d that this command does not have", self->where.host,
                   self->where.port, what, reply->type);
}

/* The next reply, which must be of `type`. On error nothing is to be freed. */
static enum tide_err receive(const struct redis_journal *self, struct tide_redis_link *link, int type, const char *what, redisReply **ret,
                             struct tide_error *error) {
  redisReply *reply;
  enum tide_err err = self->ops->receive(link, &reply, error);
  if (err != TIDE_OK) return err;
  if (reply->type == type) {
    *ret = reply;
    return TIDE_OK;
  }
  err = refused(self, what, reply, error);
  freeReplyObject(reply);
  return err;
}

static bool parse_id(const char *text, size_t len, struct tide_position *ret) {
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

static struct tide_span info_of(const redisReply *reply) { return (struct tide_span){reply->str, (size_t)reply->len}; }

/* ---- beginning a session ---- */

static enum tide_err authenticate(struct redis_journal *self, struct tide_redis_link *link, struct tide_error *error) {
  const struct tide_redis_target *target = &self->options.target;
  redisReply *reply;
  if (!target->password[0]) return TIDE_OK;
  if (target->user[0]) SEND(link, "AUTH", target->user, target->password);
  else SEND(link, "AUTH", target->password);
  enum tide_err err = receive(self, link, REDIS_REPLY_STATUS, "AUTH", &reply, error);
  if (err == TIDE_OK) freeReplyObject(reply);
  return err;
}

/* What one sentinel says where the primary is. */
static enum tide_err ask_sentinel(struct redis_journal *self, const struct tide_redis_address *sentinel, struct tide_error *error) {
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

static enum tide_err find_primary(struct redis_journal *self, struct tide_error *error) {
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

static enum tide_err connect_to(struct redis_journal *self, struct tide_redis_link **ret, struct tide_error *error) {
  struct tide_redis_link *link;
  enum tide_err err = self->ops->connect(self->options.link_ctx, &self->where, self->options.timeout_ms, &link, error);
  if (err != TIDE_OK) return err;
  err = authenticate(self, link, error);
  if (err != TIDE_OK) self->ops->close(link);
  else *ret = link;
  return err;
}

/* The facts of now, from an INFO replication stats that was sent on the link. */
static enum tide_err receive_facts(struct redis_journal *self, struct tide_redis_link *link, struct tide_redis_facts *ret,
                                   struct tide_error *error) {
  redisReply *reply;
  enum tide_err err = receive(self, link, REDIS_REPLY_STRING, "INFO", &reply, error);
  if (err != TIDE_OK) return err;
  err = tide_redis_facts_parse(info_of(reply), &self->options, ret, error);
  freeReplyObject(reply);
  return err;
}

/* TIME, sent not before asked_at: the server looked at its clock between then and now. */
static enum tide_err receive_time(struct redis_journal *self, struct tide_redis_link *link, struct tide_error *error) {
  redisReply *reply;
  enum tide_err err = receive(self, link, REDIS_REPLY_ARRAY, "TIME", &reply, error);
  if (err != TIDE_OK) return err;
  int64_t latest = self->ops->wall_now(self->options.link_ctx).ms, earliest = self->asked_at.ms, max = self->options.clock_skew_max_ms;
  if (reply->elements != 2 || reply->element[0]->type != REDIS_REPLY_STRING || reply->element[1]->type != REDIS_REPLY_STRING) {
    err = tide_fail(error, TIDE_E_IO, "redis %s:%u: TIME gave no two numbers", self->where.host, self->where.port);
  } else {
    int64_t server = strtoll(reply->element[0]->str, NULL, 10) * 1000 + strtoll(reply->element[1]->str, NULL, 10) / 1000;
    int64_t ahead = server > latest ? server - latest : 0, behind = server < earliest ? earliest - server : 0;
    if (ahead > max || behind > max)
      err =
          tide_fail(error, TIDE_E_AGAIN, "the clock of this machine is %lld ms %s that of redis %s:%u and may be %lld: see to NTP on both",
                    (long long)(ahead + behind), ahead ? "behind" : "ahead of", self->where.host, self->where.port, (long long)max);
  }
  freeReplyObject(reply);
  return err;
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
      known = value->type == REDIS_REPLY_STRING && parse_id(value->str, (size_t)value->len, &generated);
    if (is_first || is_last) ends[is_last] = true;
    if ((!is_first && !is_last) || value->type == REDIS_REPLY_NIL) continue;
    if (value->type != REDIS_REPLY_ARRAY || value->elements != 2 || value->element[0]->type != REDIS_REPLY_STRING ||
        !parse_id(value->element[0]->str, (size_t)value->element[0]->len, is_first ? &first : &last))
      return false;
  }
  if (!known || !ends[0] || !ends[1]) return false;
  *ret_generated = generated;
  *ret_first = first;
  *ret_last = last;
  return true;
}

static enum tide_err receive_stream(struct redis_journal *self, struct tide_redis_link *link, struct tide_position *ret_generated,
                                    struct tide_position *ret_first, struct tide_position *ret_last, struct tide_error *error) {
  redisReply *reply;
  enum tide_err err = self->ops->receive(link, &reply, error);
  if (err != TIDE_OK) return err;
  if (is_error(reply, "ERR no such key"))
    err = tide_fail(
        error, TIDE_E_CONFIG,
        "redis %s:%u has no journal %s: a new cell is begun with `tidemark init`; if this cell has a history, this node has lost it, and nothing may "
        "be decided from here: see to the other nodes, or `tidemark restore`",
        self->where.host, self->where.port, self->key);
  else if (reply->type != REDIS_REPLY_ARRAY) err = refused(self, "XINFO STREAM", reply, error);
  else if (!stream_ids(reply, ret_generated, ret_first, ret_last))
    err = tide_fail(error, TIDE_E_CORRUPT, "redis %s:%u: XINFO STREAM %s is not understood", self->where.host, self->where.port, self->key);
  freeReplyObject(reply);
  return err;
}

/* A value of CONFIG GET; *ret_known false where the user may not ask. */
static enum tide_err receive_config(struct redis_journal *self, struct tide_redis_link *link, char *out, size_t size, bool *ret_known,
                                    struct tide_error *error) {
  redisReply *reply;
  enum tide_err err = self->ops->receive(link, &reply, error);
  if (err != TIDE_OK) return err;
  *ret_known = reply->type == REDIS_REPLY_ARRAY && reply->elements == 2 && reply->element[1]->type == REDIS_REPLY_STRING;
  if (*ret_known) snprintf(out, size, "%s", reply->element[1]->str);
  freeReplyObject(reply);
  return TIDE_OK;
}

static enum tide_err look(struct redis_journal *self, uint64_t *ret_epoch, struct tide_error *error) {
  struct tide_redis_node node = {0};
  struct tide_redis_facts facts = {0};
  struct tide_position generated = {0}, first = {0}, last = {0};
  redisReply *reply;
  char ttl[32] = "";
  bool ttl_known = false;
  self->asked_at = self->ops->wall_now(self->options.link_ctx);
  SEND(self->write, "INFO", "server", "memory", "persistence");
  SEND(self->write, "INFO", "replication", "stats");
  SEND(self->write, "TIME");
  SEND(self->write, "CONFIG", "GET", "repl-backlog-ttl");
  enum tide_err err = receive(self, self->write, REDIS_REPLY_STRING, "INFO", &reply, error);
  if (err != TIDE_OK) return err;
  err = tide_redis_node_parse(info_of(reply), &node, error);
  freeReplyObject(reply);
  if (err == TIDE_OK) err = receive_facts(self, self->write, &facts, error);
  if (err == TIDE_OK) err = receive_time(self, self->write, error);
  if (err == TIDE_OK) err = receive_config(self, self->write, ttl, sizeof ttl, &ttl_known, error);
  if (err == TIDE_OK) err = tide_redis_admit(&self->options, &node, &facts, error);
  if (err == TIDE_OK && ttl_known && self->options.replicas > 0 && strcmp(ttl, "0") != 0)
    err =
        tide_fail(error, TIDE_E_CONFIG,
                  "redis has repl-backlog-ttl %s: a primary without replicas forgets its backlog and its history's name; set it to 0", ttl);
  if (err != TIDE_OK) return err;
  SEND(self->write, "XINFO", "STREAM", self->key); /* refused while it loads, so not before */
  err = receive_stream(self, self->write, &generated, &first, &last, error);
  if (err != TIDE_OK) return err;
  self->node = node;
  self->facts = facts;
  self->seen = self->sent = last;
  *ret_epoch = generated.epoch;
  return TIDE_OK;
}

/* The reader speaks with the same process as the writer. */
static enum tide_err check_reader(struct redis_journal *self, struct tide_error *error) {
  redisReply *reply;
  struct tide_redis_node node;
  SEND(self->read, "INFO", "server", "memory", "persistence");
  enum tide_err err = receive(self, self->read, REDIS_REPLY_STRING, "INFO", &reply, error);
  if (err != TIDE_OK) return err;
  err = tide_redis_node_parse(info_of(reply), &node, error);
  freeReplyObject(reply);
  if (err == TIDE_OK && strcmp(node.run_id, self->node.run_id) != 0)
    err = tide_fail(error, TIDE_E_AGAIN, "redis %s:%u: two connections lead to two servers", self->where.host, self->where.port);
  return err;
}

static enum tide_err redis_begin(struct tide_journal *journal, struct tide_session *ret, struct tide_error *error) {
  struct redis_journal *self = self_of(journal);
  uint64_t epoch = 0;
  end_session(self);
  self->durable = (struct tide_position){0, 0};
  self->shorts = 0;
  self->pressed_at.ms = 0;
  self->pressed = false;
  enum tide_err err = find_primary(self, error);
  if (err == TIDE_OK) err = connect_to(self, &self->write, error);
  if (err == TIDE_OK) err = connect_to(self, &self->read, error);
  if (err == TIDE_OK) err = look(self, &epoch, error);
  if (err == TIDE_OK) err = check_reader(self, error);
  if (err != TIDE_OK) {
    self->sentinel++;
    return over(self, err == TIDE_E_IO ? TIDE_E_AGAIN : err);
  }
  *ret = (struct tide_session){.id = tide_redis_session_id(&self->node, &self->facts), .epoch_min = epoch};
  return TIDE_OK;
}

/* ---- committing ---- */

static enum tide_err no_session(const struct redis_journal *self, struct tide_error *error) {
  return tide_fail(error, TIDE_E_IO, "redis: there is no session with %s", self->where.host[0] ? self->where.host : "any node");
}

/* Behind a write, on the same connection. */
static void send_proof(struct redis_journal *self) {
  char quorum[16], wait[24];
  snprintf(quorum, sizeof quorum, "%u", self->options.quorum);
  snprintf(wait, sizeof wait, "%" PRId64, self->options.wait_ms);
  if (self->options.quorum) SEND(self->write, "WAIT", quorum, wait);
  bool memory = self->asked_at.ms >= self->pressed_at.ms + MEMORY_EVERY_MS || self->asked_at.ms < self->pressed_at.ms;
  if (memory) self->pressed_at = self->asked_at;
  if (memory) SEND(self->write, "INFO", "replication", "stats", "memory");
  else SEND(self->write, "INFO", "replication", "stats");
  SEND(self->write, "TIME");
  self->outstanding = true;
}

static void note_memory(struct redis_journal *self, struct tide_span info) {
  uint64_t used, max;
  struct tide_error ignored; /* most commits do not ask for that section */
  if (tide_redis_memory_parse(info, &used, &max, &ignored) != TIDE_OK) return;
  self->pressed = max > 0 && used / 100 >= max / 10000 * self->options.memory_percent;
}

/* What came of the write before: *ret_enough of WAIT; an error if the session does not hold. */
static enum tide_err receive_proof(struct redis_journal *self, bool *ret_enough, struct tide_error *error) {
  redisReply *reply;
  struct tide_redis_facts facts;
  enum tide_err err = TIDE_OK;
  long long acknowledged = 0;
  self->outstanding = false;
  if (self->options.quorum) {
    err = receive(self, self->write, REDIS_REPLY_INTEGER, "WAIT", &reply, error);
    if (err != TIDE_OK) return err;
    acknowledged = reply->integer;
    freeReplyObject(reply);
  }
  err = receive(self, self->write, REDIS_REPLY_STRING, "INFO", &reply, error);
  if (err != TIDE_OK) return err;
  err = tide_redis_facts_parse(info_of(reply), &self->options, &facts, error);
  note_memory(self, info_of(reply));
  freeReplyObject(reply);
  if (err == TIDE_OK) err = receive_time(self, self->write, error);
  if (err == TIDE_OK) err = tide_redis_holds(&self->options, &self->facts, &facts, error);
  if (err == TIDE_OK) *ret_enough = acknowledged >= (long long)self->options.quorum;
  return err;
}

/* Takes the proof that is on its way. */
static enum tide_err settle(struct redis_journal *self, struct tide_error *error) {
  bool enough = false;
  enum tide_err err = receive_proof(self, &enough, error);
  if (err != TIDE_OK) return err;
  self->unproven = !enough;
  if (enough) {
    self->shorts = 0;
    if (tide_position_cmp(self->sent, self->durable) > 0) self->durable = self->sent;
    return TIDE_OK;
  }
  if (++self->shorts < SHORT_MAX) return TIDE_OK;
  return tide_fail(error, TIDE_E_IO, "redis %s:%u: %u times in a row fewer than %u replicas acknowledged within %lld ms", self->where.host,
                   self->where.port, self->shorts, self->options.quorum, (long long)self->options.wait_ms);
}

/* The reply to XADD. What is certainly not in the log is told by STALE and FULL; the proof behind it is then worth nothing and is read away. */
static enum tide_err judge(struct redis_journal *self, const redisReply *reply, uint64_t epoch, bool fence, struct tide_position *ret,
                           struct tide_error *error) {
  struct tide_position at;
  if (reply->type == REDIS_REPLY_NIL)
    return tide_fail(error, TIDE_E_INDETERMINATE, "redis %s:%u has lost the journal %s", self->where.host, self->where.port, self->key);
  if (is_error(reply, "ERR The ID specified in XADD"))
    return tide_fail(error, TIDE_E_STALE, "redis: epoch %" PRIu64 " is over, there is a newer one", epoch);
  if (is_error(reply, "OOM"))
    return tide_fail(error, TIDE_E_FULL, "redis %s:%u is at its maxmemory: raise it, or trim the journal", self->where.host,
                     self->where.port);
  if (reply->type != REDIS_REPLY_STRING) {
    (void)refused(self, "XADD", reply, error);
    return TIDE_E_INDETERMINATE;
  }
  if (!parse_id(reply->str, (size_t)reply->len, &at) || at.epoch != epoch || (at.seq == 0) != fence ||
      tide_position_cmp(at, self->seen) <= 0)
    return tide_fail(error, TIDE_E_INDETERMINATE,
                     "redis %s:%u put an entry of epoch %" PRIu64 " at %.40s, behind %" PRIu64 "-%" PRIu64
                     " that stood there already: it was rolled back",
                     self->where.host, self->where.port, epoch, reply->str, self->seen.epoch, self->seen.seq);
  *ret = at;
  return TIDE_OK;
}

static enum tide_err put(struct redis_journal *self, uint64_t epoch, bool fence, struct tide_span entry, struct tide_position *ret,
                         struct tide_error *error) {
  if (entry.len > TIDE_ENTRY_MAX)
    return tide_fail(error, TIDE_E_LIMIT, "journal in redis: an entry of %zu bytes is above the limit of %u; split the batch", entry.len,
                     TIDE_ENTRY_MAX);
  if (!self->write) return no_session(self, error);
  /* The server would take it and begin that epoch without a fence; whoever has read or opened a fence has seen it here. */
  if (!fence && (epoch == 0 || epoch > self->seen.epoch))
    return tide_fail(error, TIDE_E_STALE, "redis: epoch %" PRIu64 " has not been opened, the last one seen is %" PRIu64, epoch,
                     self->seen.epoch);
  if (self->outstanding) {
    enum tide_err err = settle(self, error);
    if (err != TIDE_OK) return over(self, err);
  }
  char id[48];
  snprintf(id, sizeof id, fence ? "%" PRIu64 "-0" : "%" PRIu64 "-*", epoch);
  const char *argv[] = {"XADD", self->key, "NOMKSTREAM", id, "b", entry.ptr};
  const size_t len[] = {4, strlen(self->key), 10, strlen(id), 1, entry.len};
  self->asked_at = self->ops->wall_now(self->options.link_ctx);
  self->ops->send(self->write, 6, argv, len);
  send_proof(self);
  redisReply *reply;
  enum tide_err err = self->ops->receive(self->write, &reply, error);
  if (err != TIDE_OK) return over(self, err);
  err = judge(self, reply, epoch, fence, ret, error);
  freeReplyObject(reply);
  if (err == TIDE_OK) {
    self->seen = self->sent = *ret;
    self->unproven = true;
    return TIDE_OK;
  }
  if (err != TIDE_E_STALE && err != TIDE_E_FULL) return over(self, err);
  bool vacuous;
  struct tide_error why;
  if (receive_proof(self, &vacuous, &why) != TIDE_OK)
    end_session(self); /* refused all the same; the next call says that the session is over */
  return err;
}

enum tide_err tide_journal_redis_put(struct tide_journal *journal, const struct tide_redis_entry *entry, size_t count,
                                     struct tide_error *error) {
  struct redis_journal *self = self_of(journal);
  if (!self->write) return no_session(self, error);
  TIDE_CHECK(!self->outstanding);
  for (size_t i = 0; i < count; i++) {
    char id[48];
    snprintf(id, sizeof id, "%" PRIu64 "-%" PRIu64, entry[i].at.epoch, entry[i].at.seq);
    const char *argv[] = {"XADD", self->key, "NOMKSTREAM", id, "b", entry[i].bytes.ptr};
    const size_t len[] = {4, strlen(self->key), 10, strlen(id), 1, entry[i].bytes.len};
    self->ops->send(self->write, 6, argv, len);
  }
  enum tide_err failed = TIDE_OK;
  for (size_t i = 0; i < count; i++) { /* all replies are taken; the first that is wrong is told */
    redisReply *reply;
    struct tide_position at = {0};
    enum tide_err err = self->ops->receive(self->write, &reply, failed == TIDE_OK ? error : NULL);
    if (err != TIDE_OK) return over(self, err);
    if (failed == TIDE_OK) failed = judge(self, reply, entry[i].at.epoch, entry[i].at.seq == 0, &at, error);
    freeReplyObject(reply);
    if (failed == TIDE_OK) self->seen = self->sent = at;
  }
  self->unproven = true;
  return failed;
}

enum tide_err tide_journal_redis_command(struct tide_journal *journal, int argc, const char *const *argv, long long *ret,
                                         struct tide_error *error) {
  struct redis_journal *self = self_of(journal);
  redisReply *reply;
  if (!self->write) return no_session(self, error);
  TIDE_CHECK(!self->outstanding);
  send_words(self, self->write, argc, argv);
  enum tide_err err = receive(self, self->write, REDIS_REPLY_INTEGER, argv[0], &reply, error);
  if (err != TIDE_OK) return err;
  *ret = reply->integer;
  freeReplyObject(reply);
  self->unproven = true;                        /* if it wrote, the next sync is for that, */
  self->durable = (struct tide_position){0, 0}; /* and nothing counts as durable before */
  return TIDE_OK;
}

static enum tide_err redis_append(struct tide_journal *journal, uint64_t epoch, struct tide_span entry, struct tide_position *ret,
                                  struct tide_error *error) {
  return put(self_of(journal), epoch, false, entry, ret, error);
}

static enum tide_err redis_open_epoch(struct tide_journal *journal, uint64_t epoch, struct tide_span fence, struct tide_position *ret,
                                      struct tide_error *error) {
  return put(self_of(journal), epoch, true, fence, ret, error);
}

/* A write of our own behind everything that we have seen. */
static enum tide_err send_cover(struct redis_journal *self, struct tide_error *error) {
  char value[32];
  redisReply *reply;
  snprintf(value, sizeof value, "%" PRIu64, ++self->covers);
  self->sent = self->seen;
  SEND(self->write, "SET", self->cover, value, "PX", COVER_MS);
  send_proof(self);
  enum tide_err err = receive(self, self->write, REDIS_REPLY_STATUS, "SET", &reply, error);
  if (err == TIDE_OK) freeReplyObject(reply);
  return err;
}

static enum tide_err redis_sync(struct tide_journal *journal, struct tide_position *ret_durable, struct tide_error *error) {
  struct redis_journal *self = self_of(journal);
  enum tide_err err = TIDE_OK;
  if (!self->write) return no_session(self, error);
  if (!self->outstanding) {
    self->asked_at = self->ops->wall_now(self->options.link_ctx);
    if (self->unproven) send_proof(self); /* WAIT once more for the write that stands there */
    else err = send_cover(self, error);
  }
  if (err == TIDE_OK) err = settle(self, error);
  if (err != TIDE_OK) return over(self, err == TIDE_E_AGAIN ? TIDE_E_IO : err);
  *ret_durable = self->durable;
  return TIDE_OK;
}

/* ---- reading ---- */

/* One entry of XRANGE: [id, [b, bytes]]. */
static bool take_entry(struct redis_journal *self, const redisReply *entry) {
  struct page_entry *to = &self->page[self->page_count];
  if (entry->type != REDIS_REPLY_ARRAY || entry->elements != 2 || entry->element[0]->type != REDIS_REPLY_STRING) return false;
  const redisReply *fields = entry->element[1];
  if (fields->type != REDIS_REPLY_ARRAY || fields->elements != 2 || fields->element[0]->type != REDIS_REPLY_STRING ||
      fields->element[1]->type != REDIS_REPLY_STRING || strcmp(fields->element[0]->str, "b") != 0 ||
      (size_t)fields->element[1]->len > TIDE_ENTRY_MAX || !parse_id(entry->element[0]->str, (size_t)entry->element[0]->len, &to->at))
    return false;
  to->from = self->page_bytes.len;
  to->len = (size_t)fields->element[1]->len;
  tide_buf_put(&self->page_bytes, fields->element[1]->str, to->len);
  self->page_count++;
  return true;
}

static enum tide_err load_page(struct redis_journal *self, struct tide_position from, bool inclusive, struct tide_error *error) {
  char start[50], count[16];
  redisReply *reply;
  struct tide_redis_facts facts;
  if (from.epoch == 0 && from.seq == 0) snprintf(start, sizeof start, "-");
  else snprintf(start, sizeof start, "%s%" PRIu64 "-%" PRIu64, inclusive ? "" : "(", from.epoch, from.seq);
  snprintf(count, sizeof count, "%u", self->page_size);
  SEND(self->read, "XRANGE", self->key, start, "+", "COUNT", count);
  SEND(self->read, "INFO", "replication", "stats");
  self->page_count = self->page_next = 0;
  tide_buf_clear(&self->page_bytes);
  enum tide_err err = receive(self, self->read, REDIS_REPLY_ARRAY, "XRANGE", &reply, error);
  if (err != TIDE_OK) return err;
  for (size_t i = 0; i < reply->elements && err == TIDE_OK; i++)
    if (self->page_count == PAGE_MAX || !take_entry(self, reply->element[i]))
      err = tide_fail(error, TIDE_E_CORRUPT, "redis %s:%u: %s holds an entry that is none of a journal", self->where.host, self->where.port,
                      self->key);
  freeReplyObject(reply);
  if (err == TIDE_OK) err = receive_facts(self, self->read, &facts, error);
  if (err == TIDE_OK) err = tide_redis_holds(&self->options, &self->facts, &facts, error);
  self->page_from = from;
  if (self->page_bytes.len > PAGE_BYTES && self->page_size > 1) self->page_size /= 2;
  else if (self->page_count == self->page_size && self->page_size < PAGE_MAX) self->page_size *= 2;
  return err;
}

static enum tide_err redis_read(struct tide_journal *journal, struct tide_position from, bool inclusive, struct tide_buf *out,
                                struct tide_position *ret, struct tide_error *error) {
  struct redis_journal *self = self_of(journal);
  if (!self->read) return no_session(self, error);
  if (inclusive || self->page_next == self->page_count || tide_position_cmp(self->page_from, from) != 0) {
    enum tide_err err = load_page(self, from, inclusive, error);
    if (err != TIDE_OK) return over(self, err);
  }
  if (self->page_next == self->page_count) return TIDE_E_END;
  const struct page_entry *entry = &self->page[self->page_next++];
  tide_buf_clear(out);
  tide_buf_put(out, self->page_bytes.ptr + entry->from, entry->len);
  self->page_from = *ret = entry->at;
  if (tide_position_cmp(entry->at, self->seen) > 0) self->seen = entry->at;
  return TIDE_OK;
}

static enum tide_err redis_range(struct tide_journal *journal, struct tide_position *ret_first, struct tide_position *ret_last,
                                 struct tide_error *error) {
  struct redis_journal *self = self_of(journal);
  struct tide_position generated;
  if (!self->read) return no_session(self, error);
  SEND(self->read, "XINFO", "STREAM", self->key);
  enum tide_err err = receive_stream(self, self->read, &generated, ret_first, ret_last, error);
  return err == TIDE_OK ? TIDE_OK : over(self, err);
}

/* Removes what stands before KEYS[1]'s entry ARGV[1], if that entry is the one that the caller means. Where nothing stands up to it, that was done before. */
static const char trim_script[] = "local e = redis.call('XRANGE', KEYS[1], ARGV[1], ARGV[1])\n"
                                  "if #e == 0 and #redis.call('XRANGE', KEYS[1], '-', ARGV[1], 'COUNT', 1) == 0 then return 0 end\n"
                                  "if #e == 0 then return -1 end\n"
                                  "if ARGV[2] ~= '' and e[1][2][2] ~= ARGV[2] then return -2 end\n"
                                  "return redis.call('XTRIM', KEYS[1], 'MINID', ARGV[1])";

static enum tide_err redis_trim(struct tide_journal *journal, struct tide_position keep, struct tide_span entry, struct tide_error *error) {
  struct redis_journal *self = self_of(journal);
  char id[48];
  redisReply *reply;
  if (!self->read) return no_session(self, error);
  if (tide_position_cmp(keep, self->durable) > 0) return TIDE_OK; /* not known to be durable in this session: everything stays for now */
  snprintf(id, sizeof id, "%" PRIu64 "-%" PRIu64, keep.epoch, keep.seq);
  const char *argv[] = {"EVAL", trim_script, "1", self->key, id, entry.len ? entry.ptr : ""};
  const size_t len[] = {4, sizeof trim_script - 1, 1, strlen(self->key), strlen(id), entry.len};
  self->ops->send(self->read, 6, argv, len);
  enum tide_err err = receive(self, self->read, REDIS_REPLY_INTEGER, "EVAL (trim)", &reply, error);
  if (err != TIDE_OK) return over(self, err);
  long long removed = reply->integer;
  freeReplyObject(reply);
  self->page_count = self->page_next = 0;
  if (removed >= 0) return TIDE_OK;
  return tide_fail(error, TIDE_E_MISMATCH, "journal in redis: %s stands at %s: nothing was trimmed",
                   removed == -1 ? "nothing" : "another entry", id);
}

/* ---- outside ---- */

static void redis_close(struct tide_journal *journal) {
  struct redis_journal *self = self_of(journal);
  end_session(self);
  explicit_bzero(&self->options.target, sizeof self->options.target);
  tide_buf_release(&self->page_bytes);
  tide_free(self->key);
  tide_free(self->cover);
  tide_free(self);
}

static const struct tide_journal_ops redis_ops = {.name = "redis",
                                                  .begin = redis_begin,
                                                  .append = redis_append,
                                                  .open_epoch = redis_open_epoch,
                                                  .sync = redis_sync,
                                                  .read = redis_read,
                                                  .range = redis_range,
                                                  .trim = redis_trim,
                                                  .close = redis_close};

static enum tide_err check_options(const struct tide_redis_options *options, struct tide_error *error) {
  uint32_t n = options->replicas, q = options->quorum;
  if ((n > 0 || q > 0) && (q > n || 2 * (q + 1) <= n + 1))
    return tide_fail(
        error, TIDE_E_CONFIG,
        "a quorum of %u with %u replicas proves nothing: primary and quorum together must be more than half of all nodes, so 2 x (%u + 1) > %u + 1 and at "
        "most %u",
        q, n, q, n, n);
  if (options->wait_ms < 1 || options->timeout_ms <= options->wait_ms)
    return tide_fail(error, TIDE_E_CONFIG,
                     "the redis time-out (%lld ms) must be above the time that WAIT may take (%lld ms), and that above 0",
                     (long long)options->timeout_ms, (long long)options->wait_ms);
  return TIDE_OK;
}

static char *key_of(const char *cell, const char *what, uint32_t number, bool numbered) {
  struct tide_buf text = TIDE_BUF_INIT;
  tide_buf_printf(&text, "tidemark:{%s}:%s", cell, what);
  if (numbered) tide_buf_printf(&text, ":%u", number);
  char *key = tide_strdup(tide_buf_cstr(&text));
  tide_buf_release(&text);
  return key;
}

enum tide_err tide_journal_redis_open(const struct tide_redis_options *options, struct tide_journal **ret, struct tide_error *error) {
  enum tide_err err = check_options(options, error);
  if (err != TIDE_OK) return err;
  struct redis_journal *self = tide_alloc(sizeof *self);
  self->base.ops = &redis_ops;
  self->options = *options;
  self->ops = options->link ? options->link : &tide_redis_link_hiredis;
  struct tide_buf name = TIDE_BUF_INIT;
  tide_buf_printf(&name, "journal%s%s", options->part ? ":" : "", options->part ? options->part : "");
  self->key = key_of(options->cell, tide_buf_cstr(&name), 0, false);
  tide_buf_release(&name);
  self->cover = key_of(options->cell, "cover", options->engine_id, true);
  self->options.cell = self->options.part = NULL; /* the caller's */
  self->page_size = PAGE_FIRST;
  *ret = &self->base;
  return TIDE_OK;
}

/* An empty stream is what a group leaves behind that was made with MKSTREAM and taken away again. */
static enum tide_err create(struct redis_journal *self, struct tide_error *error) {
  redisReply *reply;
  SEND(self->write, "EXISTS", self->key);
  enum tide_err err = receive(self, self->write, REDIS_REPLY_INTEGER, "EXISTS", &reply, error);
  if (err != TIDE_OK) return err;
  bool there = reply->integer != 0;
  freeReplyObject(reply);
  if (there)
    return tide_fail(error, TIDE_E_EXISTS, "redis %s:%u has a journal %s already; it was left as it is", self->where.host, self->where.port,
                     self->key);
  SEND(self->write, "XGROUP", "CREATE", self->key, "init", "$", "MKSTREAM");
  SEND(self->write, "XGROUP", "DESTROY", self->key, "init");
  err = receive(self, self->write, REDIS_REPLY_STATUS, "XGROUP CREATE", &reply, error);
  if (err != TIDE_OK) return err;
  freeReplyObject(reply);
  err = receive(self, self->write, REDIS_REPLY_INTEGER, "XGROUP DESTROY", &reply, error);
  if (err == TIDE_OK) freeReplyObject(reply);
  return err;
}

enum tide_err tide_journal_redis_init(const struct tide_redis_options *options, struct tide_error *error) {
  struct tide_journal *journal;
  struct tide_session session;
  enum tide_err err = tide_journal_redis_open(options, &journal, error);
  if (err != TIDE_OK) return err;
  struct redis_journal *self = self_of(journal);
  err = find_primary(self, error);
  if (err == TIDE_OK) err = connect_to(self, &self->write, error);
  if (err == TIDE_OK) err = create(self, error);
  if (err == TIDE_OK) err = redis_begin(journal, &session, error); /* it must be a place where a session can begin, and say so now */
  journal->ops->close(journal);
  return err;
}

bool tide_journal_redis_pressed(const struct tide_journal *journal) {
  TIDE_CHECK(journal->ops == &redis_ops);
  return ((const struct redis_journal *)(const void *)journal)->pressed;
}

void tide_journal_redis_describe(const struct tide_journal *journal, struct tide_buf *out) {
  TIDE_CHECK(journal->ops == &redis_ops);
  const struct redis_journal *self = (const struct redis_journal *)(const void *)journal;
  if (!self->write) {
    tide_buf_printf(out, "no session\n");
    return;
  }
  tide_buf_printf(out, "node %s:%u, redis %s, run id %.12s, history %.12s, %u full resyncs\n", self->where.host, self->where.port,
                  self->node.version, self->node.run_id, self->facts.replid, (unsigned)self->facts.sync_full);
  tide_buf_printf(out, "%u replicas connected, %u online; quorum %u of %u\n", self->facts.replicas, self->facts.online,
                  self->options.quorum, self->options.replicas);
  tide_buf_printf(out, "memory %" PRIu64 " of %" PRIu64 " bytes\n", self->node.memory_used, self->node.memory_max);
}
