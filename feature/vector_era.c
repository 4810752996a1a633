/* Eras (vector_era.h): left edges on borders of hops, and the marks of windows that begin before history.
 *
 * Each edge tells how long what was found for it stays as it is; the era is what all of them have in common. Its ends are multiples of hops or of days, so making one is
 * rare beside the events that use it, also where events come out of order. */
#include "feature/vector_era.h"

/* The era ends where this does. */
static void within(struct tide_era *era, int64_t from_ms, int64_t until_ms) {
  if (from_ms > era->from_ms) era->from_ms = from_ms;
  if (until_ms < era->until_ms) era->until_ms = until_ms;
}

static int64_t border_before(int64_t ms, int64_t hop_ms) {
  int64_t rest = ms % hop_ms;
  return ms - (rest < 0 ? rest + hop_ms : rest);
}

static void mark(const struct tide_kind *kind, const struct tide_edge *edge, struct tide_value *nothing) {
  for (uint32_t i = 0; i < edge->slot_count; i++) {
    struct tide_value *value = &nothing[kind->edge_slot[edge->first_at + i]];
    value->state = TIDE_S_warming;
    if (value->type != TIDE_V_NULL) value->cause = TIDE_C_warming; /* else it keeps its own */
  }
}

void tide_era_make(const struct tide_plan *plan, int64_t t_ms, int64_t history_ms, struct tide_era *era) {
  size_t bytes = plan->spec->slot_count * sizeof *era->nothing;
  if (!era->nothing) {
    era->nothing = tide_alloc(bytes + sizeof *era->nothing);
    era->lone = tide_alloc(bytes + sizeof *era->lone);
    era->left_ms = tide_alloc((plan->border_count + 1u) * sizeof *era->left_ms);
  }
  memcpy(era->nothing, plan->nothing, bytes);
  era->from_ms = INT64_MIN;
  era->until_ms = INT64_MAX;
  era->history_ms = history_ms;
  memset(era->lone_known, 0, sizeof era->lone_known);
  for (uint32_t e = 0; e < plan->spec->entity_count; e++) {
    const struct tide_kind *kind = &plan->kind[e];
    for (unsigned i = 0; i < kind->edge_count; i++) {
      const struct tide_edge *edge = &kind->edge[i];
      int64_t left_ms = t_ms - edge->back_ms, grown_ms;
      if (edge->hop_ms) {
        left_ms = era->left_ms[edge->border] = border_before(left_ms, edge->hop_ms);
        within(era, left_ms + edge->back_ms, left_ms + edge->back_ms + edge->hop_ms);
      } else if (!__builtin_add_overflow(history_ms, edge->back_ms, &grown_ms)) {
        if (left_ms < history_ms) within(era, INT64_MIN, grown_ms);
        else within(era, grown_ms, INT64_MAX);
      }
      if (left_ms < history_ms && kind->warming_marks) mark(kind, edge, era->nothing);
    }
  }
}

void tide_era_make_lone(const struct tide_kind *kind, uint64_t lines, struct tide_era *era) {
  for (const struct tide_slots *slots = kind->slots; slots->count; slots++)
    memcpy(era->lone + slots->first, era->nothing + slots->first, slots->count * sizeof *era->lone);
  for (const struct tide_spot *spot = kind->spot, *end = spot + kind->other_at; spot < end; spot++)
    if (spot->word >= TIDE_CONDS_MAX && (lines >> (spot->word - TIDE_CONDS_MAX)) & 1) era->lone[spot->slot].num = 1;
  era->lone_lines[kind->entity] = lines;
  era->lone_known[kind->entity] = true;
}

void tide_era_release(struct tide_era *era) {
  tide_free(era->nothing);
  tide_free(era->lone);
  tide_free(era->left_ms);
  *era = (struct tide_era){0};
}
