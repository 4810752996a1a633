/* What is pending in the made-up world, by time: a binary heap of small keys over nodes that do not move.
 *
 * Ties go to whoever came first, so the order is total and the log the same everywhere. Slots of taken nodes are used again: the memory
 * is that of the most that was ever pending at once. */
#include "cli/generate_parts.h"

static bool before(const struct tide_gen_queue *q, uint32_t a, uint32_t b) {
  return q->key[a].time != q->key[b].time ? q->key[a].time < q->key[b].time : q->key[a].tie < q->key[b].tie;
}

static void swap(struct tide_gen_queue *q, uint32_t a, uint32_t b) {
  __typeof__(q->key[0]) t = q->key[a];
  q->key[a] = q->key[b];
  q->key[b] = t;
}

void tide_gen_queue_put(struct tide_gen_queue *q, int64_t time, const struct tide_gen_node *node) {
  uint32_t slot;
  if (q->free_count) {
    slot = q->free[--q->free_count];
  } else {
    if (q->node_count == q->node_cap) {
      q->node_cap = q->node_cap ? q->node_cap * 2 : 1024;
      q->node = tide_realloc(q->node, q->node_cap * sizeof *q->node);
      q->free = tide_realloc(q->free, q->node_cap * sizeof *q->free);
    }
    slot = q->node_count++;
  }
  q->node[slot] = *node;
  if (q->count == q->cap) {
    q->cap = q->cap ? q->cap * 2 : 1024;
    q->key = tide_realloc(q->key, q->cap * sizeof *q->key);
  }
  uint32_t i = q->count++;
  q->key[i].time = time;
  q->key[i].tie = q->ties++;
  q->key[i].slot = slot;
  for (; i && before(q, i, (i - 1) / 2); i = (i - 1) / 2) swap(q, i, (i - 1) / 2);
}

bool tide_gen_queue_next(const struct tide_gen_queue *q, int64_t *ret_time) {
  if (!q->count) return false;
  *ret_time = q->key[0].time;
  return true;
}

struct tide_gen_node tide_gen_queue_take(struct tide_gen_queue *q) {
  TIDE_CHECK(q->count > 0);
  uint32_t slot = q->key[0].slot;
  q->free[q->free_count++] = slot;
  q->key[0] = q->key[--q->count];
  for (uint32_t i = 0;;) {
    uint32_t least = i, left = 2 * i + 1;
    if (left < q->count && before(q, left, least)) least = left;
    if (left + 1 < q->count && before(q, left + 1, least)) least = left + 1;
    if (least == i) break;
    swap(q, i, least);
    i = least;
  }
  return q->node[slot];
}

void tide_gen_queue_release(struct tide_gen_queue *q) {
  for (uint32_t i = 0; i < q->count; i++) {
    struct tide_gen_node *node = &q->node[q->key[i].slot];
    if (node->action == GEN_LINE) tide_free(node->line.text);
  }
  tide_free(q->key);
  tide_free(q->node);
  tide_free(q->free);
  *q = (struct tide_gen_queue){0};
}
