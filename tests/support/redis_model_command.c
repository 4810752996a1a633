/* See redis_model.h: what a node answers to a command, in the bytes of the protocol.
 *
 * Only what the journal sends, with the texts of Redis 7.0.15. A command or form that is not known here is an error reply as of an unknown command, so that a new one in
 * the adapter is noticed. The trim script is recognised by what it calls and carried out in C. */
#include "redis_model.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static void put_error(struct tide_buf *out, const char *text) { tide_buf_printf(out, "-%s\r\n", text); }
static void put_integer(struct tide_buf *out, long long value) { tide_buf_printf(out, ":%lld\r\n", value); }
static void put_array(struct tide_buf *out, size_t count) { tide_buf_printf(out, "*%zu\r\n", count); }
static void put_nil(struct tide_buf *out) { tide_buf_str(out, "$-1\r\n"); }
static void put_bulk(struct tide_buf *out, const void *ptr, size_t len) {
  tide_buf_printf(out, "$%zu\r\n", len);
  tide_buf_put(out, ptr, len);
  tide_buf_str(out, "\r\n");
}
static void put_text(struct tide_buf *out, const char *text) { put_bulk(out, text, strlen(text)); }
static void put_id(struct tide_buf *out, struct tide_position at) {
  char text[48];
  snprintf(text, sizeof text, "%" PRIu64 "-%" PRIu64, at.epoch, at.seq);
  put_text(out, text);
}

static bool is(struct tide_span word, const char *text) { return word.len == strlen(text) && strncasecmp(word.ptr, text, word.len) == 0; }
static struct tide_span word(const struct redis_words *words, int index) {
  return index < words->count ? words->word[index] : (struct tide_span){0};
}

/* "7-3", "7-*" (*ret_auto) or "7" (the rest is `seq`). */
static bool parse_id(struct tide_span text, uint64_t seq, struct tide_position *ret, bool *ret_auto) {
  char copy[48], *end;
  if (text.len == 0 || text.len >= sizeof copy || text.ptr[0] < '0' || text.ptr[0] > '9') return false;
  memcpy(copy, text.ptr, text.len);
  copy[text.len] = 0;
  *ret = (struct tide_position){strtoull(copy, &end, 10), seq};
  *ret_auto = strcmp(end, "-*") == 0;
  if (*end == 0 || *ret_auto) return true;
  if (end[0] != '-' || end[1] < '0' || end[1] > '9') return false;
  ret->seq = strtoull(end + 1, &end, 10);
  return *end == 0;
}

/* INFO */

static bool asks(const struct redis_words *words, const char *section) {
  for (int i = 1; i < words->count; i++)
    if (is(words->word[i], section)) return true;
  return words->count == 1;
}

static void info_replication(const struct redis_model *model, uint32_t number, struct tide_buf *text) {
  const struct redis_node *node = &model->node[number];
  unsigned online, index = 0;
  tide_buf_printf(text, "# Replication\r\nrole:%s\r\n", node->primary ? "master" : "slave");
  if (!node->primary) {
    tide_buf_printf(text, "master_host:127.0.0.1\r\nmaster_port:%u\r\nmaster_link_status:%s\r\n", REDIS_PORT + node->follows,
                    node->link == REDIS_LINK_ONLINE ? "up" : "down");
  }
  tide_buf_printf(text, "connected_slaves:%u\r\n", redis_model_replicas(model, number, &online));
  for (uint32_t i = 0; i < model->nodes; i++) {
    const struct redis_node *other = &model->node[i];
    if (!other->up || other->primary || other->follows != number || other->link == REDIS_LINK_DOWN) continue;
    tide_buf_printf(text, "slave%u:ip=127.0.0.1,port=%u,state=%s,offset=%zu,lag=0\r\n", index++, REDIS_PORT + i,
                    other->link == REDIS_LINK_ONLINE ? "online" : "send_bulk", other->acked);
  }
  tide_buf_printf(text, "master_failover_state:no-failover\r\nmaster_replid:%s\r\nmaster_replid2:%s\r\nmaster_repl_offset:%zu\r\n",
                  node->replid, node->replid2, node->data.count);
  tide_buf_printf(text, "second_repl_offset:%lld\r\n", node->second_offset ? (long long)node->second_offset : -1LL);
}

static void info(const struct redis_model *model, uint32_t number, const struct redis_words *words, struct tide_buf *out) {
  const struct redis_node *node = &model->node[number];
  struct tide_buf text = TIDE_BUF_INIT;
  if (asks(words, "server"))
    tide_buf_printf(&text, "# Server\r\nredis_version:%s\r\nredis_mode:standalone\r\nrun_id:%s\r\ntcp_port:%u\r\n\r\n", node->version,
                    node->run_id, REDIS_PORT + number);
  if (asks(words, "memory"))
    tide_buf_printf(&text, "# Memory\r\nused_memory:%" PRIu64 "\r\nmaxmemory:%" PRIu64 "\r\nmaxmemory_policy:%s\r\n\r\n", node->memory_used,
                    node->memory_max, node->policy);
  if (asks(words, "persistence")) tide_buf_printf(&text, "# Persistence\r\nloading:%d\r\nasync_loading:0\r\n\r\n", node->loading);
  if (asks(words, "stats"))
    tide_buf_printf(&text, "# Stats\r\nsync_full:%" PRIu64 "\r\nsync_partial_ok:%" PRIu64 "\r\nsync_partial_err:0\r\n\r\n", node->sync_full,
                    node->sync_partial);
  if (asks(words, "replication")) info_replication(model, number, &text);
  put_bulk(out, text.ptr, text.len);
  tide_buf_release(&text);
}

static void role(const struct redis_model *model, uint32_t number, struct tide_buf *out) {
  const struct redis_node *node = &model->node[number];
  char text[24];
  if (!node->primary) {
    static const char *const state[] = {"connect", "sync", "connected"};
    put_array(out, 5);
    put_text(out, "slave");
    put_text(out, "127.0.0.1");
    put_integer(out, REDIS_PORT + node->follows);
    put_text(out, state[node->link]);
    put_integer(out, (long long)node->data.count);
    return;
  }
  unsigned online;
  (void)redis_model_replicas(model, number, &online);
  put_array(out, 3);
  put_text(out, "master");
  put_integer(out, (long long)node->data.count);
  put_array(out, online);
  for (uint32_t i = 0; i < model->nodes; i++) {
    const struct redis_node *other = &model->node[i];
    if (!other->up || other->primary || other->follows != number || other->link != REDIS_LINK_ONLINE) continue;
    put_array(out, 3);
    put_text(out, "127.0.0.1");
    snprintf(text, sizeof text, "%u", REDIS_PORT + i);
    put_text(out, text);
    snprintf(text, sizeof text, "%zu", other->acked);
    put_text(out, text);
  }
}

/* The stream */

static bool xadd(struct redis_model *model, uint32_t number, const struct redis_words *words, struct tide_buf *out) {
  struct redis_data *data = &model->node[number].data;
  struct tide_position at, last = data->generated;
  bool automatic;
  if (words->count != 6 || !is(word(words, 2), "NOMKSTREAM") || !parse_id(word(words, 3), 0, &at, &automatic)) {
    put_error(out, "ERR Invalid stream ID specified as stream command argument");
    return false;
  }
  if (!automatic && at.epoch == 0 && at.seq == 0) {
    put_error(out, "ERR The ID specified in XADD must be greater than 0-0");
    return false;
  }
  if (!data->exists) {
    put_nil(out);
    return false;
  }
  if (automatic) at.seq = at.epoch == last.epoch ? last.seq + 1 : 0;
  if (tide_position_cmp(at, last) <= 0) {
    put_error(out, "ERR The ID specified in XADD is equal or smaller than the target stream top item");
    return false;
  }
  redis_model_write(model, number, REDIS_OP_ADD, at, word(words, 5));
  put_id(out, at);
  return true;
}

static void put_entry(struct tide_buf *out, const struct redis_op *entry) {
  put_array(out, 2);
  put_id(out, entry->at);
  put_array(out, 2);
  put_text(out, "b");
  put_bulk(out, entry->bytes, entry->len);
}

static void xrange(const struct redis_model *model, uint32_t number, const struct redis_words *words, struct tide_buf *out) {
  const struct redis_data *data = &model->node[number].data;
  struct tide_span from = word(words, 2), to = word(words, 3), limit = word(words, 5);
  char count[12] = "";
  struct tide_position low = {0, 0}, high = {UINT64_MAX, UINT64_MAX};
  bool exclusive = from.len > 0 && from.ptr[0] == '(', automatic = false;
  if (exclusive) from = (struct tide_span){from.ptr + 1, from.len - 1};
  bool good = words->count == 4 || (words->count == 6 && is(word(words, 4), "COUNT"));
  if (!is(from, "-")) good = good && parse_id(from, 0, &low, &automatic) && !automatic;
  if (!is(to, "+")) good = good && parse_id(to, UINT64_MAX, &high, &automatic) && !automatic;
  if (!good) {
    put_error(out, "ERR Invalid stream ID specified as stream command argument");
    return;
  }
  if (limit.len < sizeof count && limit.len > 0) memcpy(count, limit.ptr, limit.len); /* words have no zero byte behind them */
  size_t max = words->count == 6 ? (size_t)strtoul(count, NULL, 10) : SIZE_MAX, found = 0, begin = data->entries;
  for (size_t i = data->first; data->exists && i < data->entries && found < max; i++) {
    int order = tide_position_cmp(data->entry[i]->at, low);
    if (order < 0 || (order == 0 && exclusive)) continue;
    if (tide_position_cmp(data->entry[i]->at, high) > 0) break;
    if (found++ == 0) begin = i;
  }
  put_array(out, found);
  for (size_t i = 0; i < found; i++) put_entry(out, data->entry[begin + i]);
}

static void xinfo(const struct redis_model *model, uint32_t number, struct tide_buf *out) {
  const struct redis_data *data = &model->node[number].data;
  bool any = data->first < data->entries;
  if (!data->exists) {
    put_error(out, "ERR no such key");
    return;
  }
  put_array(out, 20);
  put_text(out, "length");
  put_integer(out, (long long)(data->entries - data->first));
  put_text(out, "radix-tree-keys");
  put_integer(out, any);
  put_text(out, "radix-tree-nodes");
  put_integer(out, 1 + any);
  put_text(out, "last-generated-id");
  put_id(out, data->generated);
  put_text(out, "max-deleted-entry-id");
  put_id(out, (struct tide_position){0, 0});
  put_text(out, "entries-added");
  put_integer(out, (long long)data->added);
  put_text(out, "recorded-first-entry-id");
  put_id(out, any ? data->entry[data->first]->at : (struct tide_position){0, 0});
  put_text(out, "groups");
  put_integer(out, 0);
  put_text(out, "first-entry");
  if (any) put_entry(out, data->entry[data->first]);
  else put_nil(out);
  put_text(out, "last-entry");
  if (any) put_entry(out, data->entry[data->entries - 1]);
  else put_nil(out);
}

/* The trim script: KEYS[1], position, bytes of the entry there ("": any). -1: nothing stands there, -2: something else, else how many were removed;
 * 0 also where nothing stands up to there. */
static bool eval(struct redis_model *model, uint32_t number, const struct redis_words *words, struct tide_buf *out) {
  struct tide_span script = word(words, 1), bytes = word(words, 5);
  struct tide_position keep;
  bool automatic;
  if (words->count != 6 || !memmem(script.ptr, script.len, "'XTRIM', KEYS[1], 'MINID'", 25) ||
      !parse_id(word(words, 4), 0, &keep, &automatic) || automatic) {
    put_error(out, "ERR the model knows no other script than the one that trims");
    return false;
  }
  struct redis_data *data = &model->node[number].data;
  const struct redis_op *entry = redis_model_entry(model, number, keep);
  if (data->first == data->entries || tide_position_cmp(data->entry[data->first]->at, keep) > 0) {
    put_integer(out, 0);
    return false;
  }
  if (!entry || (bytes.len > 0 && !tide_span_eq((struct tide_span){entry->bytes, entry->len}, bytes))) {
    put_integer(out, entry ? -2 : -1);
    return false;
  }
  size_t before = data->first;
  if (tide_position_cmp(data->entry[data->first]->at, keep) < 0)
    redis_model_write(model, number, REDIS_OP_TRIM, keep, (struct tide_span){0});
  put_integer(out, (long long)(data->first - before));
  return data->first > before;
}

static bool xgroup(struct redis_model *model, uint32_t number, const struct redis_words *words, struct tide_buf *out) {
  struct redis_data *data = &model->node[number].data;
  if (is(word(words, 1), "CREATE") && words->count == 6 && is(word(words, 5), "MKSTREAM")) {
    if (!data->exists) redis_model_write(model, number, REDIS_OP_CREATE, (struct tide_position){0, 0}, (struct tide_span){0});
    tide_buf_str(out, "+OK\r\n");
    return true;
  }
  if (is(word(words, 1), "DESTROY") && words->count == 4) {
    put_integer(out, data->exists);
    return data->exists;
  }
  put_error(out, "ERR the model knows XGROUP CREATE ... MKSTREAM and XGROUP DESTROY only");
  return false;
}

/* Dispatch */

/* Refused before it is looked at, as by the server's own order of checks. */
static bool refused(const struct redis_model *model, uint32_t number, bool writes, bool needs_memory, struct tide_buf *out) {
  const struct redis_node *node = &model->node[number];
  unsigned online;
  (void)redis_model_replicas(model, number, &online);
  const char *why = NULL;
  if (node->loading) why = "LOADING Redis is loading the dataset in memory";
  else if (needs_memory && node->out_of_memory) why = "OOM command not allowed when used memory > 'maxmemory'.";
  else if (writes && node->primary && online < node->min_replicas) why = "NOREPLICAS Not enough good replicas to write.";
  else if (writes && !node->primary) why = "READONLY You can't write against a read only replica.";
  if (why) put_error(out, why);
  return why != NULL;
}

void redis_model_command(struct redis_model *model, uint32_t number, const struct redis_words *words, struct tide_buf *out,
                         bool *ret_wrote) {
  struct tide_span name = word(words, 0), key = word(words, 1);
  const struct redis_node *node = &model->node[number];
  bool wrote = false;
  bool adds = is(name, "XADD"), sets = is(name, "SET"), trims = is(name, "EVAL"), groups = is(name, "XGROUP");
  if (is(name, "XGROUP") || (is(name, "XINFO"))) key = word(words, 2);
  if (trims) key = word(words, 3);
  if (is(name, "INFO")) {
    info(model, number, words, out);
  } else if (is(name, "TIME")) {
    char text[32];
    int64_t now_us = (model->now_ms + node->skew_ms) * 1000;
    put_array(out, 2);
    snprintf(text, sizeof text, "%" PRId64, now_us / 1000000);
    put_text(out, text);
    snprintf(text, sizeof text, "%" PRId64, now_us % 1000000);
    put_text(out, text);
  } else if (is(name, "ROLE")) {
    role(model, number, out);
  } else if (is(name, "AUTH")) {
    tide_buf_str(out, "+OK\r\n");
  } else if (is(name, "CONFIG")) {
    put_error(out, "NOPERM this user has no permissions to run the 'config|get' command");
  } else if (is(name, "PING")) {
    if (!refused(model, number, false, false, out)) tide_buf_str(out, "+PONG\r\n");
  } else if (!sets && !is(key, model->journal_key)) {
    put_error(out, "ERR unknown command, or a key that the model does not have");
  } else if (refused(model, number, adds || sets || trims || groups, adds || sets || groups, out)) {
    wrote = false;
  } else if (adds) {
    wrote = xadd(model, number, words, out);
  } else if (sets) {
    redis_model_write(model, number, REDIS_OP_SET, (struct tide_position){0, 0}, (struct tide_span){0});
    tide_buf_str(out, "+OK\r\n");
    wrote = true;
  } else if (trims) {
    wrote = eval(model, number, words, out);
  } else if (groups) {
    wrote = xgroup(model, number, words, out);
  } else if (is(name, "XRANGE")) {
    xrange(model, number, words, out);
  } else if (is(name, "XINFO") && is(word(words, 1), "STREAM")) {
    xinfo(model, number, out);
  } else if (is(name, "EXISTS")) {
    put_integer(out, node->data.exists);
  } else {
    put_error(out, "ERR unknown command");
  }
  *ret_wrote = wrote;
}
