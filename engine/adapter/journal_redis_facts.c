/* Facts of a Redis node (journal_redis_facts.h).
 *
 * A session is (run_id, replid, sync_full, sync_partial_ok). run_id is one life of the process, and belongs to the connection: when the process ends, so does the connection.
 * replid is one history: it changes when a replica is promoted and when a primary takes over another's data. sync_full counts the full
 * resyncs that the node has given: a replica that acknowledged another primary can come back to this one by such a resync, and nothing
 * else of this one changes by it. It can also come back by a partial one: restarted from an RDB file of the time before, which names this history
 * (seen on 7.0.15: both primaries acknowledged). So whoever comes back in whatever way ends the session; a replica whose connection broke for a moment
 * does too, and costs one fence. Equal facts before and after mean that everything acknowledged in between was acknowledged to this
 * history by replicas that had been with nobody else. */
#include "adapter/journal_redis_facts.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"

/* The value of "name:value\r\n", at the beginning of a line. */
static bool find(struct tide_span info, const char *name, struct tide_span *ret) {
  size_t len = strlen(name);
  const char *at = info.ptr, *end = info.ptr + info.len;
  while (at < end) {
    const char *eol = memchr(at, '\n', (size_t)(end - at));
    const char *stop = eol ? eol : end;
    if ((size_t)(stop - at) > len && memcmp(at, name, len) == 0 && at[len] == ':') {
      const char *value = at + len + 1;
      while (stop > value && stop[-1] == '\r') stop--;
      *ret = (struct tide_span){value, (size_t)(stop - value)};
      return true;
    }
    if (!eol) break;
    at = eol + 1;
  }
  return false;
}

static enum tide_err text_of(struct tide_span info, const char *name, char *out, size_t size, struct tide_error *error) {
  struct tide_span value;
  if (!find(info, name, &value)) return tide_fail(error, TIDE_E_CORRUPT, "the node's INFO has no %s: is it Redis 7.0 or newer?", name);
  if (value.len >= size) return tide_fail(error, TIDE_E_CORRUPT, "the node's INFO says %s:%.*s, which is too long", name, 60, value.ptr);
  memcpy(out, value.ptr, value.len);
  out[value.len] = 0;
  return TIDE_OK;
}

static enum tide_err number_of(struct tide_span info, const char *name, uint64_t *ret, struct tide_error *error) {
  char text[32], *end;
  enum tide_err err = text_of(info, name, text, sizeof text, error);
  if (err != TIDE_OK) return err;
  unsigned long long value = strtoull(text, &end, 10);
  if (!text[0] || *end || text[0] == '-')
    return tide_fail(error, TIDE_E_CORRUPT, "the node's INFO says %s:%s, which is no number", name, text);
  *ret = value;
  return TIDE_OK;
}

/* slave0:ip=127.0.0.1,port=7001,state=online,offset=14,lag=0 */
static bool part_of(struct tide_span line, const char *name, char *out, size_t size) {
  size_t len = strlen(name);
  for (size_t i = 0; i + len + 1 < line.len; i++) {
    if ((i > 0 && line.ptr[i - 1] != ',') || memcmp(line.ptr + i, name, len) != 0 || line.ptr[i + len] != '=') continue;
    size_t from = i + len + 1, to = from;
    while (to < line.len && line.ptr[to] != ',') to++;
    if (to - from >= size) return false;
    memcpy(out, line.ptr + from, to - from);
    out[to - from] = 0;
    return true;
  }
  return false;
}

static bool is_configured(const struct tide_redis_options *options, const char *host, const char *port) {
  for (uint32_t i = 0; i < options->node_count; i++)
    if (strcmp(options->node[i].host, host) == 0 && options->node[i].port == strtoul(port, NULL, 10)) return true;
  return options->node_count == 0;
}

enum tide_err tide_redis_facts_parse(struct tide_span info, const struct tide_redis_options *options, struct tide_redis_facts *ret,
                                     struct tide_error *error) {
  struct tide_redis_facts facts = {0};
  char role[16];
  uint64_t replicas = 0;
  enum tide_err err = text_of(info, "role", role, sizeof role, error);
  if (err == TIDE_OK) err = text_of(info, "master_replid", facts.replid, sizeof facts.replid, error);
  if (err == TIDE_OK) err = number_of(info, "sync_full", &facts.sync_full, error);
  if (err == TIDE_OK) err = number_of(info, "sync_partial_ok", &facts.sync_partial, error);
  if (err == TIDE_OK) err = number_of(info, "connected_slaves", &replicas, error);
  if (err != TIDE_OK) return err;
  facts.primary = strcmp(role, "master") == 0;
  facts.replicas = replicas > UINT32_MAX ? UINT32_MAX : (uint32_t)replicas;
  for (uint32_t i = 0; i < facts.replicas; i++) {
    char name[24], host[256], port[8], state[24];
    struct tide_span line;
    snprintf(name, sizeof name, "slave%u", i);
    if (!find(info, name, &line)) break; /* more than N of them are refused by their number */
    if (!part_of(line, "ip", host, sizeof host) || !part_of(line, "port", port, sizeof port) ||
        !part_of(line, "state", state, sizeof state))
      return tide_fail(error, TIDE_E_CORRUPT, "the node's INFO says %s:%.*s, which is not understood", name,
                       (int)(line.len < 120 ? line.len : 120), line.ptr);
    if (strcmp(state, "online") == 0) facts.online++;
    if (is_configured(options, host, port) || facts.strangers) continue;
    facts.strangers = true;
    snprintf(facts.stranger, sizeof facts.stranger, "%s:%s", host, port);
  }
  *ret = facts;
  return TIDE_OK;
}

enum tide_err tide_redis_memory_parse(struct tide_span info, uint64_t *ret_used, uint64_t *ret_max, struct tide_error *error) {
  uint64_t used;
  enum tide_err err = number_of(info, "used_memory", &used, error);
  if (err == TIDE_OK) err = number_of(info, "maxmemory", ret_max, error);
  if (err == TIDE_OK) *ret_used = used;
  return err;
}

enum tide_err tide_redis_node_parse(struct tide_span info, struct tide_redis_node *ret, struct tide_error *error) {
  struct tide_redis_node node = {0};
  uint64_t loading = 0;
  enum tide_err err = text_of(info, "run_id", node.run_id, sizeof node.run_id, error);
  if (err == TIDE_OK) err = text_of(info, "redis_version", node.version, sizeof node.version, error);
  if (err == TIDE_OK) err = text_of(info, "maxmemory_policy", node.policy, sizeof node.policy, error);
  if (err == TIDE_OK) err = number_of(info, "loading", &loading, error);
  if (err == TIDE_OK) err = tide_redis_memory_parse(info, &node.memory_used, &node.memory_max, error);
  if (err != TIDE_OK) return err;
  char *dot;
  node.major = (uint32_t)strtoul(node.version, &dot, 10);
  node.minor = *dot == '.' ? (uint32_t)strtoul(dot + 1, NULL, 10) : 0;
  node.loading = loading != 0;
  *ret = node;
  return TIDE_OK;
}

static enum tide_err check_replicas(const struct tide_redis_options *options, const struct tide_redis_facts *facts, enum tide_err code,
                                    struct tide_error *error) {
  if (facts->replicas > options->replicas)
    return tide_fail(error, code,
                     "redis: %u replicas follow the primary and journal.replicas says at most %u: a quorum of %u would prove nothing",
                     facts->replicas, options->replicas, options->quorum);
  if (facts->strangers)
    return tide_fail(error, code, "redis: a replica at %s follows the primary and is not in journal.nodes", facts->stranger);
  return TIDE_OK;
}

enum tide_err tide_redis_admit(const struct tide_redis_options *options, const struct tide_redis_node *node,
                               const struct tide_redis_facts *facts, struct tide_error *error) {
  if (node->major < 7)
    return tide_fail(error, TIDE_E_CONFIG,
                     "redis is version %s and 7.0 is needed: XADD with an epoch of its own (\"7-*\") is not in older ones", node->version);
  if (strcmp(node->policy, "noeviction") != 0)
    return tide_fail(error, TIDE_E_CONFIG, "redis has maxmemory-policy %s, which may throw the journal away: set noeviction on every node",
                     node->policy);
  if (node->loading) return tide_fail(error, TIDE_E_AGAIN, "redis is loading its data");
  if (!facts->primary) return tide_fail(error, TIDE_E_AGAIN, "this redis node is a replica, not the primary");
  enum tide_err err = check_replicas(options, facts, TIDE_E_AGAIN, error);
  if (err != TIDE_OK) return err;
  if (facts->online < options->quorum)
    return tide_fail(error, TIDE_E_AGAIN, "redis: %u replicas are online and a commit needs %u", facts->online, options->quorum);
  return TIDE_OK;
}

enum tide_err tide_redis_holds(const struct tide_redis_options *options, const struct tide_redis_facts *begun,
                               const struct tide_redis_facts *now, struct tide_error *error) {
  if (!now->primary) return tide_fail(error, TIDE_E_IO, "redis: the node is not the primary any more");
  if (strcmp(begun->replid, now->replid) != 0)
    return tide_fail(error, TIDE_E_IO, "redis: the node has another history now (replid %.12s, was %.12s)", now->replid, begun->replid);
  if (begun->sync_full != now->sync_full)
    return tide_fail(error, TIDE_E_IO,
                     "redis: a replica was filled anew (sync_full %llu, was %llu): it may have acknowledged another primary",
                     (unsigned long long)now->sync_full, (unsigned long long)begun->sync_full);
  if (begun->sync_partial != now->sync_partial)
    return tide_fail(error, TIDE_E_IO,
                     "redis: a replica came back (sync_partial_ok %llu, was %llu): it may have acknowledged another primary",
                     (unsigned long long)now->sync_partial, (unsigned long long)begun->sync_partial);
  return check_replicas(options, now, TIDE_E_IO, error);
}

struct tide_u128 tide_redis_session_id(const struct tide_redis_node *node, const struct tide_redis_facts *facts) {
  char text[160];
  int len = snprintf(text, sizeof text, "%s %s %llu %llu", node->run_id, facts->replid, (unsigned long long)facts->sync_full,
                     (unsigned long long)facts->sync_partial);
  return tide_hash128(text, (size_t)len, 0);
}
