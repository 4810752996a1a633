/* All features of one event as the state stands (rulings 7-21 of README.md).
 *
 * Per entity: find the log, turn each distinct pair of window edges into places in it and judge once whether it begins before what is kept or before history, then
 * run the features. Windows of one feature follow each other from short to long and share an accumulator, so the cost is that of the longest one. A value is judged
 * in a fixed order: key missing, entity not admitted, window begins before retention, window begins before history, then the number itself. */
#include "feature/vector.h"

/* ---- windows of large logs ---- */

static void find_places(struct tide_look *look) {
  const struct tide_kind *kind = look->kind;
  look->now = tide_view_after(&look->view, look->txn->time_ms + look->txn->lead_ms);
  for (unsigned e = 0; e < kind->edge_count; e++) {
    const struct tide_edge *edge = &kind->edge[e];
    look->from[e] = tide_view_after(&look->view, tide_look_left_ms(look, edge));
    look->to[e] = edge->delayed_ms ? tide_view_after(&look->view, tide_look_right_ms(look, edge)) : look->now;
  }
}

void tide_look_tiles(const struct tide_look *look, const struct tide_step *step, int64_t *tiled_ms, struct tide_acc *acc) {
  int64_t left_ms = tide_look_left_ms(look, &look->kind->edge[step->edge]);
  if (left_ms >= *tiled_ms) return;
  tide_tiles_sum(look->kind, look->view.tiles, step, left_ms, *tiled_ms, acc);
  *tiled_ms = left_ms;
  look->state->tile_use.read++;
}

static struct tide_value distinct_value(const struct tide_look *look, const struct tide_step *step, const int64_t *current,
                                        uint64_t latest) {
  struct tide_at from = look->from[step->edge], to = look->to[step->edge], holder;
  if (!tide_at_eq(to, tide_view_end(&look->view))) /* the log goes on behind the window: latest bits say nothing, so count again */
    return tide_value_recounted(look, step, from, to, current);
  unsigned group = step->latest - look->kind->cond_count;
  bool held = current && tide_view_latest(&look->view, group, (uint64_t)*current, &holder) && !tide_at_less(holder, from);
  return tide_value_distinct(step, latest + (current && !held));
}

/* acc holds what the window holds of additive aggregations. */
static struct tide_value window_value(const struct tide_look *look, const struct tide_step *step, const struct tide_acc *acc,
                                      const int64_t *operand) {
  uint8_t e = step->edge;
  const struct tide_edge *edge = &look->kind->edge[e];
  bool with = step->with_current && tide_look_satisfies(look, step->bit);
  switch ((enum tide_agg)step->agg) {
    case TIDE_AGG_COUNT: return tide_num((double)(acc->count + with));
    case TIDE_AGG_RATE:
      return tide_value_rate(acc->count + with, acc->count2 + (step->with_current && tide_look_satisfies(look, step->bit2)));
    case TIDE_AGG_DISTINCT: return distinct_value(look, step, operand, acc->count);
    case TIDE_AGG_APPROX_DISTINCT: return tide_value_recounted(look, step, look->from[e], look->to[e], operand);
    case TIDE_AGG_MAX_COUNT: {
      int64_t right_ms = tide_look_right_ms(look, edge);
      return tide_num((double)tide_window_max_count(&look->view, step, look->from[e], look->to[e], right_ms,
                                                    right_ms - tide_look_left_ms(look, edge) - step->inner_ms,
                                                    with ? &look->txn->time_ms : NULL));
    }
    case TIDE_AGG_STREAK: return tide_num((double)tide_window_streak(&look->view, step, look->from[e], look->to[e]));
    default: return tide_value_of_sum(step, acc);
  }
}

static bool is_sum(const struct tide_step *step) {
  return step->agg == TIDE_AGG_SUM || step->agg == TIDE_AGG_MEAN || step->agg == TIDE_AGG_STDDEV || step->agg == TIDE_AGG_MIN ||
         step->agg == TIDE_AGG_MAX;
}

static bool is_additive(const struct tide_step *step) {
  return step->agg == TIDE_AGG_COUNT || step->agg == TIDE_AGG_RATE || step->agg == TIDE_AGG_DISTINCT || is_sum(step);
}

static void large_windows(const struct tide_look *look, const struct tide_step *step, struct tide_value *ret) {
  struct tide_acc acc = TIDE_ACC_EMPTY;
  struct tide_at done = look->to[step->edge];
  int64_t current, tiled_ms = look->view.tiles ? look->view.tiles->until_ms : INT64_MIN;
  bool with = tide_look_current(look, step, &current);
  if (with && is_sum(step)) tide_window_add_one(&acc, current);
  for (const struct tide_step *end = step + step->windows; step < end; step++) {
    if (tide_look_late(look, step->edge)) continue;
    if (look->view.tiles) tide_look_tiles(look, step, &tiled_ms, &acc);
    if (is_additive(step)) tide_window_add(&look->view, step, look->from[step->edge], done, &acc);
    done = look->from[step->edge];
    ret[step->slot] = window_value(look, step, &acc, with ? &current : NULL);
  }
}

static void large_values(struct tide_look *look, struct tide_value *ret) {
  const struct tide_kind *kind = look->kind;
  find_places(look);
  for (uint32_t s = 0; s < kind->windowless_at; s += kind->step[s].windows) large_windows(look, &kind->step[s], ret);
}

/* ---- states ---- */

/* Which edges begin before what is kept: as a rule none does. */
static uint64_t late_edges(const struct tide_look *look) {
  const struct tide_kind *kind = look->kind;
  int64_t t_ms = look->txn->time_ms, watermark_ms = look->state->watermark_ms;
  uint64_t late = 0;
  if (TIDE_LIKELY(watermark_ms <= t_ms || watermark_ms - t_ms <= kind->spare_ms)) return 0;
  for (unsigned e = 0; e < kind->edge_count; e++)
    late |= (uint64_t)(tide_look_left_ms(look, &kind->edge[e]) < watermark_ms - kind->edge[e].keep_ms) << e;
  return late;
}

static const struct tide_group *group_of(const struct tide_look *look) {
  const struct tide_spec *spec = look->state->plan->spec;
  return &spec->group[spec->entity[look->kind->entity].group];
}

static void warm(const struct tide_group *group, struct tide_value *value) {
  if (group->warming == TIDE_STALE_DEFAULT) {
    *value = tide_num(group->warming_default);
    value->state = TIDE_S_defaulted;
  } else {
    value->state = TIDE_S_warming;
    if (group->warming == TIDE_STALE_MARK && value->type == TIDE_V_NULL) return; /* keeps its own cause */
    value->unknown = group->warming == TIDE_STALE_FALLBACK;
  }
  value->cause = TIDE_C_warming;
}

static void say_late(const struct tide_look *look, struct tide_value *ret) {
  struct tide_value value = tide_null(TIDE_S_stale, TIDE_C_too_late);
  value.unknown = true;
  for (uint64_t edges = look->late; edges; edges &= edges - 1) {
    const struct tide_edge *edge = &look->kind->edge[__builtin_ctzll(edges)];
    for (uint32_t i = 0; i < edge->slot_count; i++) ret[look->kind->edge_slot[edge->first_at + i]] = value;
  }
}

/* Windows that begin before history does: those that reach back longest. */
static void say_young(const struct tide_look *look, struct tide_value *ret) {
  const struct tide_kind *kind = look->kind;
  int64_t history_ms = look->state->history_from_ms, t_ms = look->txn->time_ms;
  for (unsigned i = 0; i < kind->edge_count; i++) {
    const struct tide_edge *edge = &kind->edge[kind->oldest[i]];
    if (t_ms - edge->back_ms - edge->hop_ms >= history_ms) return;
    if (tide_look_left_ms(look, edge) >= history_ms || tide_look_late(look, kind->oldest[i])) continue;
    const struct tide_group *group = group_of(look);
    const uint16_t *slot = &kind->edge_slot[edge->first_at], *end = slot + edge->slot_count;
    for (; slot < end && group->warming != TIDE_STALE_FALLBACK; slot++) warm(group, &ret[*slot]);
    for (; slot < end; slot++) { /* the same, for the usual policy */
      struct tide_value *value = &ret[*slot];
      value->state = TIDE_S_warming;
      value->cause = TIDE_C_warming;
      value->unknown = true;
    }
  }
}

/* Windows that begin before a field did which their values read (they are no worse for having been warmed already). */
static void say_new_fields(const struct tide_look *look, struct tide_value *ret) {
  const struct tide_kind *kind = look->kind;
  for (unsigned e = 0; e < kind->edge_count; e++) {
    const struct tide_edge *edge = &kind->edge[e];
    int64_t left_ms = tide_look_left_ms(look, edge);
    if (tide_look_late(look, (uint8_t)e)) continue;
    const uint16_t *slot = &kind->edge_slot[edge->first_at], *end = slot + edge->slot_count;
    for (; slot < end; slot++)
      if (left_ms < look->state->slot_from_ms[*slot]) warm(group_of(look), &ret[*slot]);
  }
}

/* ---- one entity ---- */

static void fill(const struct tide_kind *kind, const struct tide_value *value, struct tide_value *ret) {
  for (uint32_t i = 0; i < kind->slots_count; i++)
    for (struct tide_value *at = ret + kind->slots[i].first, *end = at + kind->slots[i].count; at < end; at++)
      memcpy(at, value, sizeof *value);
}

static void eval_kind(struct tide_state *state, const struct tide_txn *txn, const struct tide_kind *kind, struct tide_value *ret) {
  uint32_t e = kind->entity;
  struct tide_look look;
  look.state = state;
  look.txn = txn;
  look.kind = kind;
  look.far_at = (struct tide_at){UINT32_MAX, 0};
  tide_view_of(kind, txn->number[e] == TIDE_NO_ENTITY ? NULL : tide_store_ent(&state->store[e], txn->number[e]), &look.view);
  look.small = !look.view.big && (!look.view.count || look.view.chunk[0].block->n <= TIDE_SMALL_EVENTS);
  look.late = late_edges(&look);
  if (look.small) tide_small_values(&look, ret);
  else large_values(&look, ret);
  for (uint32_t s = kind->windowless_at; s < kind->step_count; s++) {
    const struct tide_step *step = &kind->step[s];
    bool first = step->agg == TIDE_AGG_SINCE_FIRST || step->agg == TIDE_AGG_NEW;
    if (step->agg == TIDE_AGG_FACT) ret[step->slot] = tide_fact_value(state, txn, kind, step);
    else ret[step->slot] = first ? tide_value_first(&look, step) : tide_value_previous(&look, step);
  }
  if (look.late) say_late(&look, ret);
  say_young(&look, ret);
  if (state->slot_from_ms) say_new_fields(&look, ret);
}

void tide_vector_eval(struct tide_state *state, const struct tide_txn *txn, struct tide_value *ret) {
  static const struct tide_value absent = {.type = TIDE_V_NULL, .state = TIDE_S_absent, .cause = TIDE_C_absent},
                                 refused = {.type = TIDE_V_NULL, .state = TIDE_S_absent, .cause = TIDE_C_capacity, .unknown = true};
  for (uint32_t e = 0; e < state->plan->spec->entity_count; e++) {
    const struct tide_kind *kind = &state->plan->kind[e];
    if (!txn->has_key[e]) fill(kind, &absent, ret);
    else if (txn->number[e] == TIDE_NO_ENTITY && tide_txn_capacity(state, txn, e)) fill(kind, &refused, ret);
    else eval_kind(state, txn, kind, ret);
  }
}
