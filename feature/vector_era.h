/* What is the same for all events of a time: an era.
 *
 *   struct tide_era {[from_ms, until_ms) of event time, under one history_from} | by slot: what a value is before anything was counted | by hop: a left edge
 *
 * The left edge of a window with a hop stands still until the next border, and a window begins before history until a certain time. Between two such times nothing of it
 * changes, so it is worked out once and not for every event: an era ends with a hop or when a window has left the beginning of history behind. It is a cache of the plan and
 * of history_from: not saved, and made anew for whoever asks at another time. */
#ifndef TIDE_VECTOR_ERA_H
#define TIDE_VECTOR_ERA_H

#include "feature/plan.h"

struct tide_era {
  int64_t from_ms, until_ms; /* both 0: none yet */
  int64_t history_ms;
  struct tide_value *nothing; /* plan->nothing, marked where the window begins before history and the kind's policy is to mark */
  struct tide_value *lone;    /* the same where the event is the first of its entity, as it was last: where of a kind these lines counted it */
  uint64_t lone_lines[TIDE_ENTITIES_MAX];
  bool lone_known[TIDE_ENTITIES_MAX];
  int64_t *left_ms;           /* by tide_edge.border */
};

/* Makes the one that holds t_ms, where windows begin before history until history_ms. */
void tide_era_make(const struct tide_plan *plan, int64_t t_ms, int64_t history_ms, struct tide_era *era);
/* Makes era->lone of a kind, where these lines (bits) count the event. */
void tide_era_make_lone(const struct tide_kind *kind, uint64_t lines, struct tide_era *era);
void tide_era_release(struct tide_era *era);

static inline struct tide_era *tide_era_at(const struct tide_plan *plan, int64_t t_ms, int64_t history_ms, struct tide_era *era) {
  if (TIDE_UNLIKELY(t_ms < era->from_ms || t_ms >= era->until_ms || history_ms != era->history_ms)) tide_era_make(plan, t_ms, history_ms, era);
  return era;
}

#endif
