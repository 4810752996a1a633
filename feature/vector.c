/* All features of one event as the state stands (rulings 7-21 of README.md).
 *
 * Per entity: find the log, then make all values of its windows at once, in one of three ways: nothing stands before the event, the log is small, it is large. What
 * a value is without any event is known from the plan and copied first. A value is judged in a fixed order: key missing, entity not admitted, window begins before
 * retention, window begins before history, then the number itself; the two about windows are judged once an edge and written over the values in the end. */
#include "feature/vector.h"

/* ---- states ---- */

/* Which edges begin before what is kept: as a rule none does. */
static uint64_t late_edges(const struct tide_look *look) {
  const struct tide_kind *kind = look->kind;
  int64_t t_ms = look->txn->time_ms, watermark_ms = look->txn->watermark_ms;
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

/* Windows that begin before history does, those that reach back longest, of a kind whose policy is not to mark them. */
static __attribute__((noinline)) void say_young(const struct tide_look *look, struct tide_value *ret) {
  const struct tide_kind *kind = look->kind;
  int64_t history_ms = look->state->history_from_ms, t_ms = look->txn->time_ms;
  for (unsigned i = 0; i < kind->edge_count && t_ms - kind->reach_ms[i] < history_ms; i++) {
    const struct tide_edge *edge = &kind->edge[kind->oldest[i]];
    if (tide_look_left_ms(look, edge) >= history_ms || tide_look_late(look, kind->oldest[i])) continue;
    const uint16_t *slot = &kind->edge_slot[edge->first_at], *end = slot + edge->slot_count;
    for (; slot < end; slot++) warm(group_of(look), &ret[*slot]);
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

static inline void copy(const struct tide_kind *kind, const struct tide_value *from, struct tide_value *ret) {
  for (const struct tide_slots *slots = kind->slots; slots->count; slots++) /* as a rule one run */
    memcpy(ret + slots->first, from + slots->first, slots->count * sizeof *ret);
}

/* The lines that count the event itself, a bit each; of distinct counts if it has a value. */
static inline uint64_t lone_lines(const struct tide_look *look) {
  const struct tide_kind *kind = look->kind;
  const struct tide_txn *txn = look->txn;
  uint64_t lines = 0;
  for (unsigned l = 0; l < kind->line_count; l++) {
    const struct tide_line *line = &kind->line[l];
    uint64_t counts = (txn->conds >> line->cond) & 1;
    if (l >= kind->distinct_line) counts &= tide_look_has_operand(look, &kind->step[line->step]);
    lines |= counts << l;
  }
  return lines;
}

/* As tide_view_of does; nearly always the log is a block. */
static inline void view(const struct tide_store *store, uint32_t number, struct tide_view *ret) {
  const struct tide_ent *ent = number == TIDE_NO_ENTITY ? NULL : tide_store_ent(store, number);
  const struct tide_block *block = ent && !(ent->log & 3) ? (const struct tide_block *)ent->log : NULL;
  if (!block || !block->n) {
    tide_view_of(store->kind, ent, ret);
    return;
  }
  ret->kind = store->kind;
  ret->count = 1;
  ret->chunk = &ret->one;
  ret->big = NULL;
  ret->tiles = NULL;
  ret->one = (struct tide_chunk){.block = (struct tide_block *)ent->log, .last_ms = tide_block_time(store->kind, block, block->n - 1u)};
}

void tide_vector_kind(struct tide_state *state, const struct tide_txn *txn, uint32_t e, struct tide_value *ret) {
  const struct tide_plan *plan = state->plan;
  const struct tide_kind *kind = &plan->kind[e];
  struct tide_look look;
  if (!txn->has_key[e] || (txn->number[e] == TIDE_NO_ENTITY && tide_txn_capacity(state, txn, e))) {
    copy(kind, txn->has_key[e] ? plan->refused : plan->absent, ret);
    return;
  }
  struct tide_era *era = tide_era_at(plan, txn->time_ms, state->history_from_ms, &state->era);
  look.state = state;
  look.txn = txn;
  look.kind = kind;
  look.far_at = (struct tide_at){UINT32_MAX, 0};
  look.late = late_edges(&look);
  view(&state->store[e], txn->number[e], &look.view);
  look.small = true;
  if (!look.view.count && !look.view.tiles) {
    uint64_t lines = lone_lines(&look);
    if (TIDE_UNLIKELY(!era->lone_known[e] || lines != era->lone_lines[e])) tide_era_make_lone(kind, lines, era);
    copy(kind, era->lone, ret);
    if (TIDE_UNLIKELY(kind->other_at < kind->sum_at)) tide_lone_others(&look, ret);
  } else {
    copy(kind, era->nothing, ret);
    look.small = !look.view.big && (!look.view.count || look.view.one.block->n <= TIDE_SMALL_EVENTS);
    if (look.small) tide_small_values(&look, ret);
    else tide_large_values(&look, ret);
  }
  for (const struct tide_step *step = kind->windowless, *end = kind->last; step < end; step++) {
    if (step->agg == TIDE_AGG_FACT) ret[step->slot] = tide_fact_value(state, txn, kind, step);
    else if (step->agg == TIDE_AGG_SINCE_FIRST || step->agg == TIDE_AGG_NEW) ret[step->slot] = tide_value_first(&look, step);
    else ret[step->slot] = tide_value_previous(&look, step);
  }
  if (TIDE_UNLIKELY(look.late)) say_late(&look, ret);
  if (TIDE_UNLIKELY(!kind->warming_marks)) say_young(&look, ret);
  if (TIDE_UNLIKELY(state->slot_from_ms != NULL)) say_new_fields(&look, ret);
}

void tide_vector_eval(struct tide_state *state, const struct tide_txn *txn, struct tide_value *ret) {
  for (uint32_t e = 0; e < state->plan->spec->entity_count; e++) tide_vector_kind(state, txn, e, ret);
}
