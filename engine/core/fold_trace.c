/* Which events of the past the windows of an event hold, one by one, for whoever explains a decision (fold.h).
 *
 * The same edges as the vector computes with, but walked the slow way, event by event: nothing of this runs while nobody asks. How many events of one
 * entity are looked at is bounded where a live engine is asked, because a merchant may have millions of them; then the newest are shown. */
#include "core/fold_state.h"
#include "feature/tile.h"

/* The left edge of a step's window at an event; *ret_right the other one. */
static int64_t edges_of(const struct tide_kind *kind, const struct tide_step *step, const struct tide_txn *txn, int64_t *ret_right) {
  const struct tide_edge *edge = &kind->edge[step->edge];
  int64_t end = txn->time_ms - edge->delayed_ms, left = end - edge->window_ms - edge->inner_ms;
  *ret_right = edge->delayed_ms ? end : end + txn->lead_ms;
  return edge->hop_ms ? left - ((left % edge->hop_ms) + edge->hop_ms) % edge->hop_ms : left;
}

/* Per tile and condition: how many events of it the windows hold. */
static void trace_tiles(struct tide_fold *fold, const char *entity, const struct tide_kind *kind, const struct tide_tiles *tiles,
                        const struct tide_txn *txn) {
  uint32_t slots[TIDE_SLOTS_MAX];
  for (unsigned i = 0; i < tiles->n; i++) {
    for (uint8_t cell = 1; cell < kind->tile_cells; cell++) {
      struct tide_trace_event event = {.entity = entity, .time_ms = tide_tiles_end_ms(kind, tiles, i), .slot = slots};
      for (uint32_t s = 0; s < kind->step_count; s++) {
        const struct tide_step *step = &kind->step[s];
        int64_t right;
        if (step->tile_count != cell || edges_of(kind, step, txn, &right) > event.time_ms - kind->tile_ms) continue;
        event.summed = tide_tiles_count(tiles, step, i);
        slots[event.slot_count++] = step->slot;
      }
      if (event.slot_count && event.summed && fold->trace.fn) fold->trace.fn(fold->trace.ctx, &event);
    }
  }
}

/* Which of the entity's events is the first to be told. */
static struct tide_at first_of(const struct tide_view *view, uint32_t newest) {
  uint32_t c = view->count;
  uint64_t left = newest;
  while (c > 0 && view->chunk[c - 1].block->n <= left) left -= view->chunk[--c].block->n;
  if (c == 0) return (struct tide_at){0, 0};
  return (struct tide_at){c - 1, view->chunk[c - 1].block->n - (unsigned)left};
}

static void trace_event(struct tide_fold *fold, const struct tide_txn *txn, uint32_t e, const struct tide_block *block, unsigned i) {
  const struct tide_kind *kind = &fold->plan->kind[e];
  uint32_t slots[TIDE_SLOTS_MAX];
  struct tide_trace_event event = {.entity = fold->spec->entity[e].name, .time_ms = tide_block_time(kind, block, i), .slot = slots};
  uint64_t mask = tide_block_mask(kind, block, i);
  for (uint32_t s = 0; s < kind->step_count; s++) {
    const struct tide_step *step = &kind->step[s];
    if (step->edge == 0xff || !((mask >> step->bit) & 1)) continue;
    int64_t right, left = edges_of(kind, step, txn, &right);
    if (event.time_ms > left && event.time_ms <= right) slots[event.slot_count++] = step->slot;
  }
  if (!event.slot_count) return;
  uint8_t amount = kind->col_of[TIDE_COL_AMOUNT], dyn = kind->col_of[TIDE_COL_DYN];
  if (amount != 0xff && (!kind->column[amount].young || tide_block_is_young(block, i))) {
    event.amount_minor = tide_block_num(kind, block, amount, i);
    event.has_amount = event.amount_minor != TIDE_NULL_NUM;
  }
  if (e == 0 && dyn != 0xff) { /* only the first entity keeps them all as they came */
    event.has_result = true;
    event.result = (uint8_t)(tide_block_get(kind, block, dyn, i) & 3);
  }
  fold->trace.fn(fold->trace.ctx, &event);
}

void tide_fold_trace_txn(struct tide_fold *fold, const struct tide_txn *txn, uint32_t newest) {
  const struct tide_spec *spec = fold->spec;
  TIDE_CHECK(fold->trace.fn);
  for (uint32_t e = 0; e < spec->entity_count; e++) {
    const struct tide_kind *kind = &fold->plan->kind[e];
    if (txn->number[e] == TIDE_NO_ENTITY) continue;
    struct tide_view view;
    tide_view_of(kind, tide_store_ent(&fold->state.store[e], txn->number[e]), &view);
    if (view.tiles) trace_tiles(fold, spec->entity[e].name, kind, view.tiles, txn);
    struct tide_at from = first_of(&view, newest);
    for (uint32_t c = from.chunk; c < view.count; c++)
      for (unsigned i = c == from.chunk ? from.i : 0; i < view.chunk[c].block->n; i++) trace_event(fold, txn, e, view.chunk[c].block, i);
  }
}
