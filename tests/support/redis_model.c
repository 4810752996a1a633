/* See redis_model.h: nodes, their data, and what replication, promotion and crashes do to them.
 *
 * The invariant that everything rests on: nodes with the same replid, and those that meet at replid2 below second_offset, have lists of which one is a prefix of the
 * other. So a partial resync only ever appends; it is checked at each. */
#include "redis_model.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "journal_dir.h"

/* Data: a list of writes */

static void op_unref(struct redis_op *op) {
  if (--op->refs == 0) {
    tide_free(op->bytes);
    tide_free(op);
  }
}

static void data_apply(struct redis_data *data, struct redis_op *op) {
  if (data->count == data->cap) {
    data->cap = data->cap ? data->cap * 2 : 64;
    data->op = tide_realloc(data->op, data->cap * sizeof *data->op);
  }
  data->op[data->count++] = op;
  op->refs++;
  switch (op->kind) {
    case REDIS_OP_CREATE: data->exists = true; break;
    case REDIS_OP_ADD:
      TIDE_CHECK(data->exists && tide_position_cmp(op->at, data->generated) > 0);
      if (data->entries == data->entry_cap) {
        data->entry_cap = data->entry_cap ? data->entry_cap * 2 : 64;
        data->entry = tide_realloc(data->entry, data->entry_cap * sizeof *data->entry);
      }
      data->entry[data->entries++] = op;
      data->generated = op->at;
      data->added++;
      break;
    case REDIS_OP_TRIM:
      while (data->first < data->entries && tide_position_cmp(data->entry[data->first]->at, op->at) < 0) data->first++;
      break;
    case REDIS_OP_REMOVE:
      data->exists = false;
      data->generated = (struct tide_position){0, 0};
      data->first = data->entries = data->added = 0;
      break;
    case REDIS_OP_SET: break;
  }
}

static void data_release(struct redis_data *data) {
  for (size_t i = 0; i < data->count; i++) op_unref(data->op[i]);
  tide_free(data->op);
  tide_free(data->entry);
  *data = (struct redis_data){0};
}

/* The first `count` writes of `from`. */
static void data_copy(struct redis_data *to, const struct redis_data *from, size_t count) {
  struct redis_data copy = {0};
  for (size_t i = 0; i < count && i < from->count; i++) data_apply(&copy, from->op[i]);
  data_release(to);
  *to = copy;
}

const struct redis_op *redis_model_entry(const struct redis_model *model, uint32_t node, struct tide_position at) {
  const struct redis_data *data = &model->node[node].data;
  size_t low = data->first, high = data->entries;
  while (low < high) {
    size_t middle = low + (high - low) / 2;
    if (tide_position_cmp(data->entry[middle]->at, at) < 0) low = middle + 1;
    else high = middle;
  }
  return low < data->entries && tide_position_cmp(data->entry[low]->at, at) == 0 ? data->entry[low] : NULL;
}

unsigned redis_model_holders(const struct redis_model *model, struct tide_position at, struct tide_span bytes, uint32_t except) {
  unsigned holders = 0;
  for (uint32_t i = 0; i < model->nodes; i++) {
    const struct redis_op *entry = i == except ? NULL : redis_model_entry(model, i, at);
    holders += entry && tide_span_eq((struct tide_span){entry->bytes, entry->len}, bytes);
  }
  return holders;
}

/* Nodes */

static void new_name(struct redis_model *model, char out[41]) {
  for (int i = 0; i < 40; i++) out[i] = "0123456789abcdef"[test_random(&model->seed) % 16];
  out[40] = 0;
}

static void forget_second(struct redis_node *node) {
  memset(node->replid2, '0', 40);
  node->replid2[40] = 0;
  node->second_offset = 0;
}

static void start(struct redis_model *model, struct redis_node *node) {
  node->up = true;
  node->life++;
  node->sync_full = node->sync_partial = 0;
  new_name(model, node->run_id);
  new_name(model, node->replid);
  forget_second(node);
}

struct redis_model *redis_model_new(uint32_t nodes, const char *cell, uint64_t seed) {
  TIDE_CHECK(nodes > 0 && nodes <= REDIS_NODES_MAX);
  struct redis_model *model = tide_alloc(sizeof *model);
  struct tide_buf key = TIDE_BUF_INIT;
  tide_buf_printf(&key, "tidemark:{%s}:journal", cell);
  *model = (struct redis_model){.seed = seed, .nodes = nodes, .automatic = true, .now_ms = INT64_C(1790000000000)};
  model->journal_key = tide_buf_take(&key);
  for (uint32_t i = 0; i < nodes; i++) {
    struct redis_node *node = &model->node[i];
    *node = (struct redis_node){.primary = i == 0, .policy = "noeviction", .version = "7.0.15", .memory_used = 1 << 20};
    start(model, node);
    if (i > 0) redis_model_follow(model, i, 0);
  }
  redis_model_settle(model);
  return model;
}

void redis_model_free(struct redis_model *model) {
  redis_model_deliver(model);
  TIDE_CHECK(!model->conns); /* somebody did not close */
  for (uint32_t i = 0; i < model->nodes; i++) {
    data_release(&model->node[i].data);
    data_release(&model->node[i].filling);
  }
  tide_free((char *)(uintptr_t)model->journal_key);
  tide_free(model);
}

void redis_model_write(struct redis_model *model, uint32_t node, enum redis_op_kind kind, struct tide_position at, struct tide_span bytes) {
  struct redis_op *op = tide_alloc(sizeof *op);
  *op = (struct redis_op){.kind = kind, .at = at, .bytes = tide_strndup(bytes.len ? bytes.ptr : "", bytes.len), .len = bytes.len};
  data_apply(&model->node[node].data, op);
}

/* Replication */

static bool in_list(const struct redis_model *model, uint32_t replica, uint32_t primary) {
  const struct redis_node *node = &model->node[replica];
  return node->up && !node->primary && node->follows == primary && node->link != REDIS_LINK_DOWN;
}

unsigned redis_model_replicas(const struct redis_model *model, uint32_t node, unsigned *ret_online) {
  unsigned count = 0, online = 0;
  for (uint32_t i = 0; i < model->nodes; i++) {
    count += in_list(model, i, node);
    online += in_list(model, i, node) && model->node[i].link == REDIS_LINK_ONLINE;
  }
  *ret_online = online;
  return count;
}

unsigned redis_model_acknowledged(const struct redis_model *model, uint32_t node, size_t offset) {
  unsigned count = 0;
  for (uint32_t i = 0; i < model->nodes; i++)
    count += in_list(model, i, node) && model->node[i].link == REDIS_LINK_ONLINE && model->node[i].acked >= offset;
  return count;
}

/* Its primary, NULL where nothing can pass between them now. */
static struct redis_node *primary_of(struct redis_model *model, uint32_t replica) {
  struct redis_node *node = &model->node[replica];
  if (!node->up || node->frozen || node->primary || node->follows >= model->nodes) return NULL;
  struct redis_node *primary = &model->node[node->follows];
  bool cut = model->cut[replica][node->follows] || model->cut[node->follows][replica];
  return primary->up && !primary->frozen && primary->primary && !primary->loading && !cut ? primary : NULL;
}

static void unlink_replica(struct redis_node *node) {
  node->link = REDIS_LINK_DOWN;
  node->acked = 0;
  data_release(&node->filling);
}

bool redis_model_attach(struct redis_model *model, uint32_t replica) {
  struct redis_node *node = &model->node[replica], *primary = primary_of(model, replica);
  if (!primary || node->link != REDIS_LINK_DOWN) return false;
  size_t have = node->data.count;
  bool same = strcmp(node->replid, primary->replid) == 0 && have <= primary->data.count;
  bool before = strcmp(node->replid, primary->replid2) == 0 && have < primary->second_offset;
  node->acked = 0;
  if (!same && !before) {
    primary->sync_full++;
    node->link = REDIS_LINK_FILLING;
    data_copy(&node->filling, &primary->data, SIZE_MAX);
    return true;
  }
  TIDE_CHECK(have <= primary->data.count && (have == 0 || node->data.op[have - 1] == primary->data.op[have - 1]));
  primary->sync_partial++;
  if (!same) {
    memcpy(node->replid2, node->replid, sizeof node->replid2);
    node->second_offset = have + 1;
    memcpy(node->replid, primary->replid, sizeof node->replid);
  }
  node->link = REDIS_LINK_ONLINE;
  return true;
}

bool redis_model_fill(struct redis_model *model, uint32_t replica) {
  struct redis_node *node = &model->node[replica], *primary = primary_of(model, replica);
  if (!primary || node->link != REDIS_LINK_FILLING) return false;
  data_release(&node->data);
  node->data = node->filling;
  node->filling = (struct redis_data){0};
  memcpy(node->replid, primary->replid, sizeof node->replid);
  forget_second(node);
  if (node->saved_replid[0]) redis_model_save(model, replica); /* what arrived is its RDB file now */
  node->link = REDIS_LINK_ONLINE;
  return true;
}

bool redis_model_replicate(struct redis_model *model, uint32_t replica, size_t max) {
  struct redis_node *node = &model->node[replica], *primary = primary_of(model, replica);
  if (!primary || node->link != REDIS_LINK_ONLINE || node->data.count >= primary->data.count || max == 0) return false;
  for (; max > 0 && node->data.count < primary->data.count; max--) data_apply(&node->data, primary->data.op[node->data.count]);
  return true;
}

bool redis_model_ack(struct redis_model *model, uint32_t replica) {
  struct redis_node *node = &model->node[replica], *primary = primary_of(model, replica);
  if (!primary || node->link != REDIS_LINK_ONLINE || node->acked == node->data.count) return false;
  node->acked = node->data.count;
  redis_model_wake(model, node->follows, false);
  return true;
}

void redis_model_settle(struct redis_model *model) {
  for (bool moved = true; moved;) {
    moved = false;
    for (uint32_t i = 0; i < model->nodes; i++) {
      moved |= redis_model_attach(model, i);
      moved |= redis_model_fill(model, i);
      moved |= redis_model_replicate(model, i, SIZE_MAX);
      moved |= redis_model_ack(model, i);
    }
  }
}

/* Operators and failures */

static void lose_replicas(struct redis_model *model, uint32_t primary) {
  for (uint32_t i = 0; i < model->nodes; i++)
    if (in_list(model, i, primary)) unlink_replica(&model->node[i]);
}

void redis_model_promote(struct redis_model *model, uint32_t number) {
  struct redis_node *node = &model->node[number];
  TIDE_CHECK(node->up && !node->primary);
  unlink_replica(node);
  node->primary = true;
  memcpy(node->replid2, node->replid, sizeof node->replid2);
  node->second_offset = node->data.count + 1;
  new_name(model, node->replid);
}

void redis_model_follow(struct redis_model *model, uint32_t number, uint32_t primary) {
  struct redis_node *node = &model->node[number];
  TIDE_CHECK(node->up && number != primary && primary < model->nodes);
  bool was_primary = node->primary;
  if (!was_primary && node->follows == primary) return; /* "already connected to specified master" */
  unlink_replica(node);
  node->primary = false;
  node->follows = primary;
  lose_replicas(model, number);
  if (was_primary) redis_model_wake(model, number, true);
}

void redis_model_crash(struct redis_model *model, uint32_t number) {
  struct redis_node *node = &model->node[number];
  TIDE_CHECK(node->up);
  unlink_replica(node);
  lose_replicas(model, number);
  node->up = node->frozen = false;
  node->life++;
}

void redis_model_save(struct redis_model *model, uint32_t number) {
  struct redis_node *node = &model->node[number];
  TIDE_CHECK(node->up);
  node->saved_ops = node->data.count;
  memcpy(node->saved_replid, node->replid, sizeof node->saved_replid);
}

void redis_model_restart(struct redis_model *model, uint32_t number, size_t ops, bool from_rdb, enum redis_restart as) {
  struct redis_node *node = &model->node[number];
  TIDE_CHECK(!node->up);
  char history[41];
  bool saved = from_rdb && node->saved_replid[0];
  memcpy(history, saved ? node->saved_replid : node->replid, sizeof history);
  if (saved && ops > node->saved_ops) ops = node->saved_ops;
  struct redis_data kept = {0};
  data_copy(&kept, &node->data, ops);
  data_release(&node->data);
  node->data = kept;
  start(model, node);
  node->primary = as == REDIS_AS_PRIMARY;
  if (!from_rdb || ops == 0) return;
  if (node->primary) {
    memcpy(node->replid2, history, sizeof history);
    node->second_offset = node->data.count + 1;
  } else {
    memcpy(node->replid, history, sizeof history);
  }
}

void redis_model_freeze(struct redis_model *model, uint32_t node) { model->node[node].frozen = true; }

void redis_model_thaw(struct redis_model *model, uint32_t node) {
  model->node[node].frozen = false;
  redis_model_wake(model, node, false);
}

void redis_model_remove(struct redis_model *model, uint32_t node) {
  redis_model_write(model, node, REDIS_OP_REMOVE, (struct tide_position){0, 0}, (struct tide_span){0});
}
