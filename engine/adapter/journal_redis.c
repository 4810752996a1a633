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
 *   - the clocks agree (TIME): one reply that took too long to tell is asked for again.
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

#include "adapter/journal_redis_state.h"

#define SHORT_MAX 3
#define PAGE_FIRST 16
#define PAGE_BYTES (4u << 20)
#define MEMORY_EVERY_MS 200
#define COVER_MS "60000"

static struct tide_redis_journal *self_of(struct tide_journal *journal) { return (struct tide_redis_journal *)(void *)journal; }

/* ---- committing ---- */

static enum tide_err no_session(const struct tide_redis_journal *self, struct tide_error *error) {
  return tide_fail(error, TIDE_E_IO, "redis: there is no session with %s", self->where.host[0] ? self->where.host : "any node");
}

/* Behind a write, on the same connection. */
static void send_proof(struct tide_redis_journal *self) {
  char quorum[16], wait[24];
  snprintf(quorum, sizeof quorum, "%u", self->options.quorum);
  snprintf(wait, sizeof wait, "%" PRId64, self->options.wait_ms);
  if (self->options.quorum) SEND(self->write, "WAIT", quorum, wait);
  bool memory = !self->pressed_at.ns || self->asked_at.mono.ns - self->pressed_at.ns >= MEMORY_EVERY_MS * INT64_C(1000000);
  if (memory) self->pressed_at = self->asked_at.mono;
  if (memory) SEND(self->write, "INFO", "replication", "stats", "memory");
  else SEND(self->write, "INFO", "replication", "stats");
  SEND(self->write, "TIME");
  self->outstanding = true;
}

static void note_memory(struct tide_redis_journal *self, struct tide_span info) {
  uint64_t used, max;
  struct tide_error ignored; /* most commits do not ask for that section */
  if (tide_redis_memory_parse(info, &used, &max, &ignored) != TIDE_OK) return;
  self->pressed = max > 0 && used / 100 >= max / 10000 * self->options.memory_percent;
}

/* What came of the write before: *ret_enough of WAIT; an error if the session does not hold. */
static enum tide_err receive_proof(struct tide_redis_journal *self, bool *ret_enough, struct tide_error *error) {
  redisReply *reply;
  struct tide_redis_facts facts;
  enum tide_err err = TIDE_OK;
  long long acknowledged = 0;
  self->outstanding = false;
  if (self->options.quorum) {
    err = tide_redis_receive(self, self->write, REDIS_REPLY_INTEGER, "WAIT", &reply, error);
    if (err != TIDE_OK) return err;
    acknowledged = reply->integer;
    freeReplyObject(reply);
  }
  err = tide_redis_receive(self, self->write, REDIS_REPLY_STRING, "INFO", &reply, error);
  if (err != TIDE_OK) return err;
  err = tide_redis_facts_parse(tide_redis_info_of(reply), &self->options, &facts, error);
  if (err == TIDE_OK) self->online = facts.online;
  note_memory(self, tide_redis_info_of(reply));
  freeReplyObject(reply);
  if (err == TIDE_OK) err = tide_redis_compare_clocks(self, self->write, error);
  if (err == TIDE_OK) err = tide_redis_holds(&self->options, &self->facts, &facts, error);
  if (err == TIDE_OK) *ret_enough = acknowledged >= (long long)self->options.quorum;
  return err;
}

/* Takes the proof that is on its way. */
static enum tide_err settle(struct tide_redis_journal *self, struct tide_error *error) {
  bool enough = false;
  enum tide_err err = receive_proof(self, &enough, error);
  if (err != TIDE_OK) return err;
  self->unproven = !enough;
  if (enough) {
    self->shorts = 0;
    if (tide_position_cmp(self->sent, self->durable) > 0) self->durable = self->sent;
    return TIDE_OK;
  }
  self->all_shorts++;
  if (++self->shorts < SHORT_MAX) return TIDE_OK;
  return tide_fail(error, TIDE_E_IO, "redis %s:%u: %u times in a row fewer than %u replicas acknowledged within %lld ms", self->where.host,
                   self->where.port, self->shorts, self->options.quorum, (long long)self->options.wait_ms);
}

/* The reply to XADD. What is certainly not in the log is told by STALE and FULL; the proof behind it is then worth nothing and is read away. */
static enum tide_err judge(struct tide_redis_journal *self, const redisReply *reply, uint64_t epoch, bool fence, struct tide_position *ret,
                           struct tide_error *error) {
  struct tide_position at;
  if (reply->type == REDIS_REPLY_NIL)
    return tide_fail(error, TIDE_E_INDETERMINATE, "redis %s:%u has lost the journal %s", self->where.host, self->where.port, self->key);
  if (tide_redis_is_error(reply, "ERR The ID specified in XADD"))
    return tide_fail(error, TIDE_E_STALE, "redis: epoch %" PRIu64 " is over, there is a newer one", epoch);
  if (tide_redis_is_error(reply, "OOM"))
    return tide_fail(error, TIDE_E_FULL, "redis %s:%u is at its maxmemory: raise it, or trim the journal", self->where.host,
                     self->where.port);
  if (reply->type != REDIS_REPLY_STRING) {
    (void)tide_redis_refused(self, "XADD", reply, error);
    return TIDE_E_INDETERMINATE;
  }
  if (!tide_redis_parse_id(reply->str, (size_t)reply->len, &at) || at.epoch != epoch || (at.seq == 0) != fence ||
      tide_position_cmp(at, self->seen) <= 0)
    return tide_fail(error, TIDE_E_INDETERMINATE,
                     "redis %s:%u put an entry of epoch %" PRIu64 " at %.40s, behind %" PRIu64 "-%" PRIu64
                     " that stood there already: it was rolled back",
                     self->where.host, self->where.port, epoch, reply->str, self->seen.epoch, self->seen.seq);
  *ret = at;
  return TIDE_OK;
}

static enum tide_err put(struct tide_redis_journal *self, uint64_t epoch, bool fence, struct tide_span entry, struct tide_position *ret,
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
    if (err != TIDE_OK) return tide_redis_over(self, err);
  }
  char id[48];
  snprintf(id, sizeof id, fence ? "%" PRIu64 "-0" : "%" PRIu64 "-*", epoch);
  const char *argv[] = {"XADD", self->key, "NOMKSTREAM", id, "b", entry.ptr};
  const size_t len[] = {4, strlen(self->key), 10, strlen(id), 1, entry.len};
  self->asked_at = self->ops->now(self->options.link_ctx);
  self->ops->send(self->write, 6, argv, len);
  send_proof(self);
  redisReply *reply;
  enum tide_err err = self->ops->receive(self->write, &reply, error);
  if (err != TIDE_OK) return tide_redis_over(self, err);
  err = judge(self, reply, epoch, fence, ret, error);
  freeReplyObject(reply);
  if (err == TIDE_OK) {
    self->seen = self->sent = *ret;
    self->unproven = true;
    return TIDE_OK;
  }
  if (err != TIDE_E_STALE && err != TIDE_E_FULL) return tide_redis_over(self, err);
  bool vacuous;
  struct tide_error why;
  if (receive_proof(self, &vacuous, &why) != TIDE_OK)
    tide_redis_end_session(self); /* refused all the same; the next call says that the session is over */
  return err;
}

enum tide_err tide_journal_redis_put(struct tide_journal *journal, const struct tide_redis_entry *entry, size_t count,
                                     struct tide_error *error) {
  struct tide_redis_journal *self = self_of(journal);
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
    if (err != TIDE_OK) return tide_redis_over(self, err);
    if (failed == TIDE_OK) failed = judge(self, reply, entry[i].at.epoch, entry[i].at.seq == 0, &at, error);
    freeReplyObject(reply);
    if (failed == TIDE_OK) self->seen = self->sent = at;
  }
  self->unproven = true;
  return failed;
}

enum tide_err tide_journal_redis_command(struct tide_journal *journal, int argc, const char *const *argv, long long *ret,
                                         struct tide_error *error) {
  struct tide_redis_journal *self = self_of(journal);
  redisReply *reply;
  if (!self->write) return no_session(self, error);
  TIDE_CHECK(!self->outstanding);
  tide_redis_send(self, self->write, argc, argv);
  enum tide_err err = tide_redis_receive(self, self->write, REDIS_REPLY_INTEGER, argv[0], &reply, error);
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
static enum tide_err send_cover(struct tide_redis_journal *self, struct tide_error *error) {
  char value[32];
  redisReply *reply;
  snprintf(value, sizeof value, "%" PRIu64, ++self->covers);
  self->sent = self->seen;
  SEND(self->write, "SET", self->cover, value, "PX", COVER_MS);
  send_proof(self);
  enum tide_err err = tide_redis_receive(self, self->write, REDIS_REPLY_STATUS, "SET", &reply, error);
  if (err == TIDE_OK) freeReplyObject(reply);
  return err;
}

static enum tide_err redis_sync(struct tide_journal *journal, struct tide_position *ret_durable, struct tide_error *error) {
  struct tide_redis_journal *self = self_of(journal);
  enum tide_err err = TIDE_OK;
  if (!self->write) return no_session(self, error);
  if (!self->outstanding) {
    self->asked_at = self->ops->now(self->options.link_ctx);
    if (self->unproven) send_proof(self); /* WAIT once more for the write that stands there */
    else err = send_cover(self, error);
  }
  if (err == TIDE_OK) err = settle(self, error);
  if (err != TIDE_OK) return tide_redis_over(self, err == TIDE_E_AGAIN ? TIDE_E_IO : err);
  *ret_durable = self->durable;
  return TIDE_OK;
}

/* ---- reading ---- */

/* One entry of XRANGE: [id, [b, bytes]]. */
static bool take_entry(struct tide_redis_journal *self, const redisReply *entry) {
  struct tide_redis_page_entry *to = &self->page[self->page_count];
  if (entry->type != REDIS_REPLY_ARRAY || entry->elements != 2 || entry->element[0]->type != REDIS_REPLY_STRING) return false;
  const redisReply *fields = entry->element[1];
  if (fields->type != REDIS_REPLY_ARRAY || fields->elements != 2 || fields->element[0]->type != REDIS_REPLY_STRING ||
      fields->element[1]->type != REDIS_REPLY_STRING || strcmp(fields->element[0]->str, "b") != 0 ||
      (size_t)fields->element[1]->len > TIDE_ENTRY_MAX ||
      !tide_redis_parse_id(entry->element[0]->str, (size_t)entry->element[0]->len, &to->at))
    return false;
  to->from = self->page_bytes.len;
  to->len = (size_t)fields->element[1]->len;
  tide_buf_put(&self->page_bytes, fields->element[1]->str, to->len);
  self->page_count++;
  return true;
}

static enum tide_err load_page(struct tide_redis_journal *self, struct tide_position from, bool inclusive, struct tide_error *error) {
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
  enum tide_err err = tide_redis_receive(self, self->read, REDIS_REPLY_ARRAY, "XRANGE", &reply, error);
  if (err != TIDE_OK) return err;
  for (size_t i = 0; i < reply->elements && err == TIDE_OK; i++)
    if (self->page_count == TIDE_REDIS_PAGE_MAX || !take_entry(self, reply->element[i]))
      err = tide_fail(error, TIDE_E_CORRUPT, "redis %s:%u: %s holds an entry that is none of a journal", self->where.host, self->where.port,
                      self->key);
  freeReplyObject(reply);
  if (err == TIDE_OK) err = tide_redis_receive_facts(self, self->read, &facts, error);
  if (err == TIDE_OK) err = tide_redis_holds(&self->options, &self->facts, &facts, error);
  self->page_from = from;
  if (self->page_bytes.len > PAGE_BYTES && self->page_size > 1) self->page_size /= 2;
  else if (self->page_count == self->page_size && self->page_size < TIDE_REDIS_PAGE_MAX) self->page_size *= 2;
  return err;
}

static enum tide_err redis_read(struct tide_journal *journal, struct tide_position from, bool inclusive, struct tide_buf *out,
                                struct tide_position *ret, struct tide_error *error) {
  struct tide_redis_journal *self = self_of(journal);
  if (!self->read) return no_session(self, error);
  if (inclusive || self->page_next == self->page_count || tide_position_cmp(self->page_from, from) != 0) {
    enum tide_err err = load_page(self, from, inclusive, error);
    if (err != TIDE_OK) return tide_redis_over(self, err);
  }
  if (self->page_next == self->page_count) return TIDE_E_END;
  const struct tide_redis_page_entry *entry = &self->page[self->page_next++];
  tide_buf_clear(out);
  tide_buf_put(out, self->page_bytes.ptr + entry->from, entry->len);
  self->page_from = *ret = entry->at;
  if (tide_position_cmp(entry->at, self->seen) > 0) self->seen = entry->at;
  return TIDE_OK;
}

static enum tide_err redis_range(struct tide_journal *journal, struct tide_position *ret_first, struct tide_position *ret_last,
                                 struct tide_error *error) {
  struct tide_redis_journal *self = self_of(journal);
  struct tide_position generated;
  if (!self->read) return no_session(self, error);
  SEND(self->read, "XINFO", "STREAM", self->key);
  enum tide_err err = tide_redis_receive_stream(self, self->read, &generated, ret_first, ret_last, error);
  return err == TIDE_OK ? TIDE_OK : tide_redis_over(self, err);
}

/* Removes what stands before KEYS[1]'s entry ARGV[1], if that entry is the one that the caller means. Where nothing stands up to it, that was done before. */
static const char trim_script[] = "local e = redis.call('XRANGE', KEYS[1], ARGV[1], ARGV[1])\n"
                                  "if #e == 0 and #redis.call('XRANGE', KEYS[1], '-', ARGV[1], 'COUNT', 1) == 0 then return 0 end\n"
                                  "if #e == 0 then return -1 end\n"
                                  "if ARGV[2] ~= '' and e[1][2][2] ~= ARGV[2] then return -2 end\n"
                                  "return redis.call('XTRIM', KEYS[1], 'MINID', ARGV[1])";

static enum tide_err redis_trim(struct tide_journal *journal, struct tide_position keep, struct tide_span entry, struct tide_error *error) {
  struct tide_redis_journal *self = self_of(journal);
  char id[48];
  redisReply *reply;
  if (!self->read) return no_session(self, error);
  if (tide_position_cmp(keep, self->durable) > 0) return TIDE_OK; /* not known to be durable in this session: everything stays for now */
  snprintf(id, sizeof id, "%" PRIu64 "-%" PRIu64, keep.epoch, keep.seq);
  const char *argv[] = {"EVAL", trim_script, "1", self->key, id, entry.len ? entry.ptr : ""};
  const size_t len[] = {4, sizeof trim_script - 1, 1, strlen(self->key), strlen(id), entry.len};
  self->ops->send(self->read, 6, argv, len);
  enum tide_err err = tide_redis_receive(self, self->read, REDIS_REPLY_INTEGER, "EVAL (trim)", &reply, error);
  if (err != TIDE_OK) return tide_redis_over(self, err);
  long long removed = reply->integer;
  freeReplyObject(reply);
  self->page_count = self->page_next = 0;
  if (removed >= 0) return TIDE_OK;
  return tide_fail(error, TIDE_E_MISMATCH, "journal in redis: %s stands at %s: nothing was trimmed",
                   removed == -1 ? "nothing" : "another entry", id);
}

/* ---- outside ---- */

static void redis_close(struct tide_journal *journal) {
  struct tide_redis_journal *self = self_of(journal);
  tide_redis_end_session(self);
  explicit_bzero(&self->options.target, sizeof self->options.target);
  tide_redis_tls_close(self->tls);
  tide_buf_release(&self->page_bytes);
  tide_free(self->key);
  tide_free(self->cover);
  tide_free(self);
}

static const struct tide_journal_ops redis_ops = {.name = "redis",
                                                  .begin = tide_redis_begin,
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
  struct tide_redis_tls *tls = NULL;
  if (err == TIDE_OK && options->target.tls && !options->link) err = tide_redis_tls_open(&options->tls, &tls, error);
  if (err != TIDE_OK) return err;
  struct tide_redis_journal *self = tide_alloc(sizeof *self);
  self->tls = tls;
  self->base.ops = &redis_ops;
  self->options = *options;
  self->options.tls = (struct tide_redis_tls_options){0};
  self->ops = options->link ? options->link : &tide_redis_link_hiredis;
  if (!options->link) self->options.link_ctx = tls;
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
static enum tide_err create(struct tide_redis_journal *self, struct tide_error *error) {
  redisReply *reply;
  SEND(self->write, "EXISTS", self->key);
  enum tide_err err = tide_redis_receive(self, self->write, REDIS_REPLY_INTEGER, "EXISTS", &reply, error);
  if (err != TIDE_OK) return err;
  bool there = reply->integer != 0;
  freeReplyObject(reply);
  if (there)
    return tide_fail(error, TIDE_E_EXISTS, "redis %s:%u has a journal %s already; it was left as it is", self->where.host, self->where.port,
                     self->key);
  SEND(self->write, "XGROUP", "CREATE", self->key, "init", "$", "MKSTREAM");
  SEND(self->write, "XGROUP", "DESTROY", self->key, "init");
  err = tide_redis_receive(self, self->write, REDIS_REPLY_STATUS, "XGROUP CREATE", &reply, error);
  if (err != TIDE_OK) return err;
  freeReplyObject(reply);
  err = tide_redis_receive(self, self->write, REDIS_REPLY_INTEGER, "XGROUP DESTROY", &reply, error);
  if (err == TIDE_OK) freeReplyObject(reply);
  return err;
}

enum tide_err tide_journal_redis_init(const struct tide_redis_options *options, struct tide_error *error) {
  struct tide_journal *journal;
  struct tide_session session;
  enum tide_err err = tide_journal_redis_open(options, &journal, error);
  if (err != TIDE_OK) return err;
  struct tide_redis_journal *self = self_of(journal);
  err = tide_redis_find_primary(self, error);
  if (err == TIDE_OK) err = tide_redis_connect_to(self, &self->write, error);
  if (err == TIDE_OK) err = create(self, error);
  if (err == TIDE_OK) err = tide_redis_begin(journal, &session, error); /* it must be a place where a session can begin, and say so now */
  journal->ops->close(journal);
  return err;
}

bool tide_journal_redis_pressed(const struct tide_journal *journal) {
  TIDE_CHECK(journal->ops == &redis_ops);
  return ((const struct tide_redis_journal *)(const void *)journal)->pressed;
}

int64_t tide_journal_redis_clock(const struct tide_journal *journal) {
  TIDE_CHECK(journal->ops == &redis_ops);
  return ((const struct tide_redis_journal *)(const void *)journal)->clock_ms;
}

void tide_journal_redis_health(const struct tide_journal *journal, struct tide_journal_health *ret) {
  TIDE_CHECK(journal->ops == &redis_ops);
  const struct tide_redis_journal *self = (const struct tide_redis_journal *)(const void *)journal;
  *ret = (struct tide_journal_health){.known = self->write != NULL,
                                      .replicas = self->options.replicas,
                                      .quorum = self->options.quorum,
                                      .online = self->online,
                                      .shorts = self->all_shorts};
}

void tide_journal_redis_describe(const struct tide_journal *journal, struct tide_buf *out) {
  TIDE_CHECK(journal->ops == &redis_ops);
  const struct tide_redis_journal *self = (const struct tide_redis_journal *)(const void *)journal;
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
