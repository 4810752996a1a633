/* What a Redis deployment must be for the journal's promise, checked from outside (journal_redis_doctor.h).
 *
 * serve refuses what makes the promise void (role, version, eviction, replicas, backlog, clock). The rest shows only on the bad day: a node without AOF comes
 * back empty and wipes the others, sentinels without a majority promote nobody, a replica with less memory than its primary stops there. All of it
 * can be read off the running servers, so it is read here, on each node, with what to change. */
#include "adapter/journal_redis_doctor.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "adapter/journal_redis_facts.h"
#include "base/buf.h"

struct exam {
  const struct tide_redis_options *options;
  const struct tide_redis_link_ops *ops;
  tide_redis_finding_fn fn;
  void *ctx;
};

/* A node under examination. */
struct patient {
  struct tide_redis_link *link;
  struct tide_redis_address address;
  const char *what; /* redis, replica, sentinel */
  struct tide_buf info;
};

static void tell(const struct exam *exam, enum tide_redis_finding level, const struct patient *patient, const char *fmt, ...)
    TIDE_PRINTF(4, 5);
static void tell(const struct exam *exam, enum tide_redis_finding level, const struct patient *patient, const char *fmt, ...) {
  struct tide_buf text = TIDE_BUF_INIT;
  char said[400];
  va_list args;
  va_start(args, fmt);
  vsnprintf(said, sizeof said, fmt, args);
  va_end(args);
  if (patient->address.port) tide_buf_printf(&text, "%s:%u: %s", patient->address.host, patient->address.port, said);
  else tide_buf_printf(&text, "%s: %s", patient->address.host, said);
  exam->fn(exam->ctx, level, patient->what, tide_buf_cstr(&text));
  tide_buf_release(&text);
}

/* ---- asking ---- */

/* The reply to a command of words; NULL, and told, when the connection is over. */
static redisReply *ask(const struct exam *exam, struct patient *patient, int argc, const char *const *argv) {
  size_t len[8];
  redisReply *reply = NULL;
  struct tide_error error = {0};
  TIDE_CHECK(argc <= 8);
  if (!patient->link) return NULL;
  for (int i = 0; i < argc; i++) len[i] = strlen(argv[i]);
  exam->ops->send(patient->link, argc, argv, len);
  if (exam->ops->receive(patient->link, &reply, &error) == TIDE_OK) return reply;
  tell(exam, TIDE_REDIS_FIX, patient, "%s", error.text);
  exam->ops->close(patient->link);
  patient->link = NULL;
  return NULL;
}
#define ASK(patient, ...) ask(exam, patient, sizeof((const char *[]){__VA_ARGS__}) / sizeof(char *), (const char *const[]){__VA_ARGS__})

static bool text_of(const redisReply *reply, char *out, size_t size) {
  if (!reply || reply->type != REDIS_REPLY_STRING || (size_t)reply->len >= size) return false;
  memcpy(out, reply->str, (size_t)reply->len);
  out[reply->len] = 0;
  return true;
}

/* Connects and authenticates; false, and told, when that fails. `with_password`: sentinels have users of their own. */
static bool meet(const struct exam *exam, struct patient *patient, bool with_password, enum tide_redis_finding level) {
  const struct tide_redis_target *target = &exam->options->target;
  struct tide_error error = {0};
  if (exam->ops->connect(exam->options->link_ctx, &patient->address, exam->options->timeout_ms, &patient->link, &error) != TIDE_OK) {
    tell(exam, level, patient, "%s%s", error.text, level == TIDE_REDIS_NOTE ? ": look at it from a machine that reaches it" : "");
    return false;
  }
  if (!with_password || !target->password[0]) return true;
  redisReply *reply = target->user[0] ? ASK(patient, "AUTH", target->user, target->password) : ASK(patient, "AUTH", target->password);
  bool good = reply && reply->type == REDIS_REPLY_STATUS;
  if (reply && !good)
    tell(exam, TIDE_REDIS_FIX, patient,
         "does not take this user and password: users stand in each node's own ACL file, replication does not carry them");
  if (reply) freeReplyObject(reply);
  return good;
}

static void leave(const struct exam *exam, struct patient *patient) {
  if (patient->link) exam->ops->close(patient->link);
  patient->link = NULL;
  tide_buf_release(&patient->info);
}

/* All of INFO that is looked at; false when there is none. */
static bool read_info(const struct exam *exam, struct patient *patient) {
  redisReply *reply = ASK(patient, "INFO", "everything");
  bool good = reply && reply->type == REDIS_REPLY_STRING;
  if (good) {
    tide_buf_clear(&patient->info);
    tide_buf_put(&patient->info, reply->str, (size_t)reply->len);
  } else if (reply) {
    tell(exam, TIDE_REDIS_FIX, patient, "INFO: %.200s", reply->type == REDIS_REPLY_ERROR ? reply->str : "no text");
  }
  if (reply) freeReplyObject(reply);
  return good;
}

static const char *info_of(const struct patient *patient, const char *name, char *out, size_t size) {
  if (!tide_redis_info_text(tide_buf_span(&patient->info), name, out, size)) snprintf(out, size, "?");
  return out;
}

/* CONFIG GET name; false when the user may not ask. */
static bool config_of(const struct exam *exam, struct patient *patient, const char *name, char *out, size_t size) {
  redisReply *reply = ASK(patient, "CONFIG", "GET", name);
  bool known = reply && reply->type == REDIS_REPLY_ARRAY && reply->elements == 2 && text_of(reply->element[1], out, size);
  if (reply) freeReplyObject(reply);
  return known;
}

/* ---- every node ---- */

static void check_memory(const struct exam *exam, const struct patient *patient) {
  uint64_t used = 0, max = 0;
  char policy[32];
  struct tide_error ignored;
  if (strcmp(info_of(patient, "maxmemory_policy", policy, sizeof policy), "noeviction") != 0)
    tell(exam, TIDE_REDIS_FIX, patient, "maxmemory-policy is %s, which may throw the journal away: set noeviction on every node", policy);
  if (tide_redis_memory_parse(tide_buf_span(&patient->info), &used, &max, &ignored) != TIDE_OK) return;
  if (max == 0) {
    tell(exam, TIDE_REDIS_FIX, patient,
         "maxmemory is not set, so the journal grows until the machine kills the server: set it to about half of the machine's memory");
  } else if (used / 100 >= max / 10000 * exam->options->memory_percent) {
    tell(exam, TIDE_REDIS_FIX, patient,
         "%" PRIu64 " of %" PRIu64
         " MiB are used, more than %u percent: new transactions get the fallback. Raise maxmemory, or see why nothing is trimmed",
         used >> 20, max >> 20, exam->options->memory_percent);
  } else {
    tell(exam, TIDE_REDIS_GOOD, patient, "%" PRIu64 " of %" PRIu64 " MiB of memory used", used >> 20, max >> 20);
  }
}

static void check_persistence(const struct exam *exam, struct patient *patient) {
  char on[8], status[16], fsync[16] = "", rewrite[16];
  if (exam->options->replicas == 0) {
    tell(exam, TIDE_REDIS_NOTE, patient, "journal.replicas is 0: for development; what is answered is lost with this server");
    return;
  }
  if (strcmp(info_of(patient, "aof_enabled", on, sizeof on), "1") != 0) {
    tell(
        exam, TIDE_REDIS_FIX, patient,
        "appendonly is off: this node comes back empty, or with an old dump, and takes the others with it. CONFIG SET appendonly yes, and in its file");
    return;
  }
  if (strcmp(info_of(patient, "aof_last_write_status", status, sizeof status), "ok") != 0 ||
      strcmp(info_of(patient, "aof_last_bgrewrite_status", rewrite, sizeof rewrite), "ok") != 0)
    tell(exam, TIDE_REDIS_FIX, patient,
         "its append-only file could not be written (last write %s, last rewrite %s): look at disk space and its log", status, rewrite);
  if (!config_of(exam, patient, "appendfsync", fsync, sizeof fsync))
    tell(exam, TIDE_REDIS_NOTE, patient,
         "appendonly is on; this user may not read appendfsync (+config|get): it should be everysec or always");
  else if (strcmp(fsync, "no") == 0)
    tell(exam, TIDE_REDIS_FIX, patient,
         "appendfsync is no: after a power cut up to half a minute is missing, on every node in the same rack. Set everysec, or always");
  else tell(exam, TIDE_REDIS_GOOD, patient, "appendonly is on, appendfsync %s", fsync);
}

static void check_version(const struct exam *exam, const struct patient *patient, const char *primary) {
  char version[32];
  info_of(patient, "redis_version", version, sizeof version);
  if (strtoul(version, NULL, 10) < 7)
    tell(exam, TIDE_REDIS_FIX, patient, "version %s, and 7.0 is needed: older ones do not know XADD with an epoch of its own", version);
  else if (primary && strcmp(primary, version) != 0)
    tell(exam, TIDE_REDIS_NOTE, patient, "version %s, and the primary has %s: finish the upgrade, the oldest last to be primary", version,
         primary);
  else tell(exam, TIDE_REDIS_GOOD, patient, "version %s", version);
}

static void check_clock(const struct exam *exam, struct patient *patient) {
  int64_t before = exam->ops->now(exam->options->link_ctx).wall.ms;
  redisReply *reply = ASK(patient, "TIME");
  int64_t after = exam->ops->now(exam->options->link_ctx).wall.ms;
  char seconds[32], micros[32];
  if (reply && reply->type == REDIS_REPLY_ARRAY && reply->elements == 2 && text_of(reply->element[0], seconds, sizeof seconds) &&
      text_of(reply->element[1], micros, sizeof micros)) {
    int64_t there = strtoll(seconds, NULL, 10) * 1000 + strtoll(micros, NULL, 10) / 1000;
    int64_t off = there > after ? there - after : there < before ? there - before : 0;
    if (llabs(off) > exam->options->clock_skew_max_ms)
      tell(exam, TIDE_REDIS_FIX, patient,
           "its clock is %lld ms %s this machine's, and journal.max_clock_skew is %lld ms: see to NTP on both", llabs(off),
           off > 0 ? "ahead of" : "behind", (long long)exam->options->clock_skew_max_ms);
    else tell(exam, TIDE_REDIS_GOOD, patient, "its clock agrees with this machine's to %lld ms", (long long)(llabs(off) + after - before));
  }
  if (reply) freeReplyObject(reply);
}

static void check_backlog(const struct exam *exam, struct patient *patient) {
  char ttl[24];
  if (exam->options->replicas == 0) return;
  if (!config_of(exam, patient, "repl-backlog-ttl", ttl, sizeof ttl))
    tell(exam, TIDE_REDIS_NOTE, patient, "this user may not read repl-backlog-ttl (+config|get): it must be 0");
  else if (strcmp(ttl, "0") != 0)
    tell(exam, TIDE_REDIS_FIX, patient,
         "repl-backlog-ttl is %s: a primary without replicas forgets its history's name. Set it to 0 on every node", ttl);
}

static void check_min_replicas(const struct exam *exam, struct patient *patient) {
  char text[24];
  uint32_t replicas = exam->options->replicas;
  if (replicas == 0) return;
  if (!config_of(exam, patient, "min-replicas-to-write", text, sizeof text)) return;
  unsigned long least = strtoul(text, NULL, 10);
  if (least == 0)
    tell(
        exam, TIDE_REDIS_NOTE, patient,
        "min-replicas-to-write is 0: a primary that is cut off takes entries that nobody will acknowledge and that it throws away later. Set it to 1");
  else if (least > exam->options->quorum)
    tell(exam, TIDE_REDIS_FIX, patient,
         "min-replicas-to-write is %lu and journal.quorum %u: it refuses writes that would be acknowledged. Set it to at most %u", least,
         exam->options->quorum, exam->options->quorum);
  else tell(exam, TIDE_REDIS_GOOD, patient, "refuses writes with fewer than %lu replicas", least);
}

static void check_node(const struct exam *exam, struct patient *patient, const char *primary_version) {
  check_version(exam, patient, primary_version);
  check_memory(exam, patient);
  check_persistence(exam, patient);
  check_backlog(exam, patient);
  check_min_replicas(exam, patient);
}

/* A value of a reply of name, value, name, value... as a number; -1 when it is not there. */
static long long row_number(const redisReply *reply, const char *name) {
  char key[64], value[64];
  for (size_t i = 0; i + 1 < reply->elements; i += 2) {
    if (!text_of(reply->element[i], key, sizeof key) || strcmp(key, name) != 0) continue;
    if (reply->element[i + 1]->type == REDIS_REPLY_INTEGER) return reply->element[i + 1]->integer;
    if (text_of(reply->element[i + 1], value, sizeof value)) return strtoll(value, NULL, 10);
  }
  return -1;
}

/* ---- primary and replicas ---- */

static void check_stream(const struct exam *exam, struct patient *patient) {
  struct tide_buf key = TIDE_BUF_INIT;
  tide_buf_printf(&key, "tidemark:{%s}:journal", exam->options->cell);
  redisReply *reply = ASK(patient, "XINFO", "STREAM", tide_buf_cstr(&key)); /* what an engine's user may ask */
  bool refused = reply && reply->type == REDIS_REPLY_ERROR;
  if (refused && strncmp(reply->str, "ERR no such key", 15) == 0)
    tell(
        exam, TIDE_REDIS_NOTE, patient,
        "there is no journal of cell %s: a new cell begins with `tidemark init`; one with a history has lost it here, see to the other nodes or `tidemark "
        "restore`",
        exam->options->cell);
  else if (reply && reply->type == REDIS_REPLY_ARRAY)
    tell(exam, TIDE_REDIS_GOOD, patient, "the journal of cell %s has %lld entries here", exam->options->cell, row_number(reply, "length"));
  else if (reply)
    tell(exam, TIDE_REDIS_FIX, patient, "the journal of cell %s cannot be looked at: %.200s", exam->options->cell,
         refused ? reply->str : "no table");
  if (reply) freeReplyObject(reply);
  tide_buf_release(&key);
}

static void check_replica(const struct exam *exam, const struct tide_redis_address *address, const char *state, const char *primary_version,
                          uint64_t primary_max) {
  struct patient patient = {.address = *address, .what = "replica", .info = TIDE_BUF_INIT};
  char role[16], linked[16];
  uint64_t used, max;
  struct tide_error ignored;
  if (strcmp(state, "online") != 0)
    tell(exam, TIDE_REDIS_FIX, &patient, "is in state %s and acknowledges nothing: wait until it has loaded, or look at its log", state);
  if (meet(exam, &patient, true, TIDE_REDIS_NOTE) && read_info(exam, &patient)) {
    info_of(&patient, "role", role, sizeof role);
    info_of(&patient, "master_link_status", linked, sizeof linked);
    if (strcmp(role, "slave") != 0 || strcmp(linked, "up") != 0)
      tell(exam, TIDE_REDIS_FIX, &patient,
           "says that it is a %s with its link %s: another server than the primary's replica answers at this address", role, linked);
    check_node(exam, &patient, primary_version);
    if (tide_redis_memory_parse(tide_buf_span(&patient.info), &used, &max, &ignored) == TIDE_OK && max && max < primary_max)
      tell(exam, TIDE_REDIS_FIX, &patient,
           "maxmemory is %" PRIu64 " MiB and the primary's %" PRIu64 " MiB: as a primary it would be full at once. Make them equal",
           max >> 20, primary_max >> 20);
  }
  leave(exam, &patient);
}

static void check_count(const struct exam *exam, const struct patient *patient, const struct tide_redis_facts *facts) {
  const struct tide_redis_options *options = exam->options;
  if (facts->replicas > options->replicas)
    tell(exam, TIDE_REDIS_FIX, patient,
         "%u replicas follow it and journal.replicas says at most %u: a quorum of %u proves nothing. Remove one, or raise both",
         facts->replicas, options->replicas, options->quorum);
  else if (facts->online < options->quorum)
    tell(exam, TIDE_REDIS_FIX, patient,
         "%u replicas are online and a commit needs %u (journal.quorum): nothing is acknowledged. Bring them back", facts->online,
         options->quorum);
  else if (facts->online < options->replicas)
    tell(exam, TIDE_REDIS_FIX, patient, "%u of %u replicas are online: the next failure stops commits. Bring the others back",
         facts->online, options->replicas);
  else tell(exam, TIDE_REDIS_GOOD, patient, "primary with %u replicas online, quorum %u", facts->online, options->quorum);
  if (facts->strangers)
    tell(exam, TIDE_REDIS_FIX, patient, "a replica at %s follows it and is not in journal.nodes: add it there, or take it away",
         facts->stranger);
}

static void examine_primary(const struct exam *exam, const struct tide_redis_address *address) {
  struct patient patient = {.address = *address, .what = "redis", .info = TIDE_BUF_INIT};
  struct tide_redis_facts facts;
  struct tide_error error = {0};
  char version[32], state[24];
  uint64_t used = 0, max = 0;
  if (meet(exam, &patient, true, TIDE_REDIS_FIX) && read_info(exam, &patient)) {
    if (tide_redis_facts_parse(tide_buf_span(&patient.info), exam->options, &facts, &error) != TIDE_OK) {
      tell(exam, TIDE_REDIS_FIX, &patient, "%s", error.text);
    } else if (!facts.primary) {
      tell(exam, TIDE_REDIS_FIX, &patient,
           "is a replica, not the primary: name the primary in journal.url, or the sentinels (redis+sentinel://...), which follow it");
    } else {
      check_count(exam, &patient, &facts);
    }
    info_of(&patient, "redis_version", version, sizeof version);
    if (tide_redis_memory_parse(tide_buf_span(&patient.info), &used, &max, &error) != TIDE_OK) max = 0;
    check_node(exam, &patient, NULL);
    check_clock(exam, &patient);
    check_stream(exam, &patient);
    struct tide_redis_address replica;
    for (uint32_t i = 0;
         i < TIDE_REDIS_ADDRESSES_MAX && tide_redis_info_replica(tide_buf_span(&patient.info), i, &replica, state, sizeof state); i++)
      check_replica(exam, &replica, state, version, max);
  }
  leave(exam, &patient);
}

/* ---- sentinels ---- */

static void check_sentinel_row(const struct exam *exam, const struct patient *patient, const redisReply *row) {
  long long quorum = row_number(row, "quorum"), others = row_number(row, "num-other-sentinels"),
            down_ms = row_number(row, "down-after-milliseconds"), replicas = row_number(row, "num-slaves"), all = others + 1;
  if (all < 3)
    tell(exam, TIDE_REDIS_FIX, patient,
         "knows %lld sentinels in all: a majority must be left when one machine goes. Run three, on three machines", all);
  else if (quorum > all)
    tell(exam, TIDE_REDIS_FIX, patient, "its quorum is %lld of %lld sentinels: no failover can ever begin. Set it to %lld", quorum, all,
         all / 2 + 1);
  else if (quorum * 2 <= all)
    tell(exam, TIDE_REDIS_NOTE, patient, "its quorum is %lld of %lld sentinels: a minority may call the primary dead. %lld is usual",
         quorum, all, all / 2 + 1);
  else tell(exam, TIDE_REDIS_GOOD, patient, "quorum %lld of %lld sentinels", quorum, all);
  if (down_ms < 500 || down_ms > 30000)
    tell(exam, TIDE_REDIS_FIX, patient, "down-after-milliseconds is %lld: %s. Between 1000 and 10000 is usual", down_ms,
         down_ms < 500 ? "a pause of the machine is taken for a failure" : "that long nothing is acknowledged when the primary dies");
  else tell(exam, TIDE_REDIS_GOOD, patient, "takes a primary for dead after %lld ms", down_ms);
  if (replicas < (long long)exam->options->replicas)
    tell(exam, TIDE_REDIS_FIX, patient, "knows %lld replicas and journal.replicas is %u: it could not promote one that it does not know",
         replicas, exam->options->replicas);
}

/* One sentinel. *primary is where the first that answered says the primary is. */
static bool check_sentinel(const struct exam *exam, const struct tide_redis_address *address, struct tide_redis_address *primary,
                           bool *found) {
  struct patient patient = {.address = *address, .what = "sentinel", .info = TIDE_BUF_INIT};
  const char *name = exam->options->target.name;
  struct tide_redis_address said = {0};
  char port[8];
  if (!meet(exam, &patient, false, TIDE_REDIS_FIX)) return false;
  redisReply *reply = ASK(&patient, "SENTINEL", "get-master-addr-by-name", name);
  bool good = reply && reply->type == REDIS_REPLY_ARRAY && reply->elements == 2 &&
              text_of(reply->element[0], said.host, sizeof said.host) && text_of(reply->element[1], port, sizeof port);
  if (reply && !good)
    tell(exam, TIDE_REDIS_FIX, &patient,
         "does not know a primary by the name %s: SENTINEL MONITOR it there, or write the name that the sentinels have into journal.url",
         name);
  if (reply) freeReplyObject(reply);
  if (good) {
    said.port = (uint16_t)strtoul(port, NULL, 10);
    if (!*found) *primary = said;
    if (*found && (strcmp(primary->host, said.host) != 0 || primary->port != said.port))
      tell(exam, TIDE_REDIS_FIX, &patient,
           "names %s:%u as the primary, and another sentinel %s:%u: a failover is under way, or they watch different groups", said.host,
           said.port, primary->host, primary->port);
    *found = true;
    reply = ASK(&patient, "SENTINEL", "master", name);
    if (reply && reply->type == REDIS_REPLY_ARRAY) check_sentinel_row(exam, &patient, reply);
    if (reply) freeReplyObject(reply);
  }
  leave(exam, &patient);
  return true;
}

void tide_journal_redis_examine(const struct tide_redis_options *options, tide_redis_finding_fn fn, void *ctx) {
  struct tide_redis_options with = *options;
  struct exam exam = {.options = &with, .ops = options->link ? options->link : &tide_redis_link_hiredis, .fn = fn, .ctx = ctx};
  const struct tide_redis_target *target = &options->target;
  struct tide_redis_address primary = target->address[0];
  bool found = !target->sentinel;
  struct patient cell = {.what = "redis"};
  struct tide_redis_tls *tls = NULL;
  struct tide_error error = {0};
  snprintf(cell.address.host, sizeof cell.address.host, "settings");
  if (target->tls && !options->link) {
    if (tide_redis_tls_open(&options->tls, &tls, &error) != TIDE_OK) {
      tell(&exam, TIDE_REDIS_FIX, &cell, "%s", error.text);
      explicit_bzero(&with.target, sizeof with.target);
      return;
    }
    with.link_ctx = tls;
  }
  for (uint32_t i = 0; target->sentinel && i < target->address_count; i++)
    (void)check_sentinel(&exam, &target->address[i], &primary, &found);
  if (target->sentinel && target->address_count < 3)
    tell(&exam, TIDE_REDIS_NOTE, &cell, "journal.url names %u sentinels: name all of them, so that one can be away at a start",
         target->address_count);
  if (found) examine_primary(&exam, &primary);
  tide_redis_tls_close(tls);
  explicit_bzero(&with.target, sizeof with.target);
}
