/* Facts in the state: told, kept while somebody cares, read by features, with ages of their own (state.h; rulings P1 to P7).
 *
 * A fact is neither an event nor in a window, so nothing here looks at a log. What an event reads depends on what stands before it in the journal and on its own
 * time: so the same journal gives the same values in replay, training and live. Forgetting is judged where facts are read and told, by the watermark; the
 * sweep only gives back memory that nobody can see any more. */
#include "feature/freshness.h"
#include "feature/state.h"

static int64_t horizon_of(const struct tide_kind *kind, int64_t watermark_ms) {
  return watermark_ms == INT64_MIN ? INT64_MIN : watermark_ms - kind->forget_ms;
}

/* What was forgotten does not come back because something new is told. */
static struct tide_facts **alive(struct tide_state *state, uint32_t entity, uint32_t number, int64_t watermark_ms) {
  struct tide_facts **facts = tide_store_facts_at(&state->store[entity], number);
  if (*facts && tide_facts_forgotten(*facts, horizon_of(&state->plan->kind[entity], watermark_ms))) tide_facts_release(facts);
  return facts;
}

bool tide_state_tell(struct tide_state *state, uint32_t entity, uint32_t number, unsigned fact, int64_t time_ms, uint64_t value) {
  struct tide_facts **facts = alive(state, entity, number, state->watermark_ms);
  bool kept = tide_facts_tell(facts, fact, time_ms, value);
  if (state->watermark_ms > (*facts)->last_ms) (*facts)->last_ms = state->watermark_ms;
  return kept;
}

void tide_state_keep_facts(struct tide_state *state, uint32_t entity, uint32_t number, int64_t time_ms, int64_t watermark_ms) {
  struct tide_facts **facts = alive(state, entity, number, watermark_ms);
  if (*facts && time_ms > (*facts)->last_ms) (*facts)->last_ms = time_ms;
}

void tide_state_begin(struct tide_state *state, int64_t watermark_ms) {
  for (uint32_t e = 0; state->plan && state->plan->keeps_facts && e < state->plan->spec->entity_count; e++)
    if (state->plan->kind[e].fact_count) tide_store_begin(&state->store[e], watermark_ms);
}

/* The row that the event reads; NULL: it was never told, or is forgotten, or became true later. */
static const struct tide_fact_row *row_of(const struct tide_state *state, const struct tide_txn *txn, const struct tide_kind *kind,
                                          const struct tide_step *step) {
  uint32_t number = txn->number[kind->entity];
  if (number == TIDE_NO_ENTITY) return NULL;
  const struct tide_facts *facts = *tide_store_facts_at(&state->store[kind->entity], number);
  if (!facts || tide_facts_forgotten(facts, horizon_of(kind, txn->watermark_ms))) return NULL;
  return tide_facts_at(facts, step->column, txn->time_ms);
}

struct tide_value tide_fact_value(const struct tide_state *state, const struct tide_txn *txn, const struct tide_kind *kind,
                                  const struct tide_step *step) {
  const struct tide_spec *spec = state->plan->spec;
  const struct tide_fact_row *row = row_of(state, txn, kind, step);
  if (!row) return tide_null(TIDE_S_absent, TIDE_C_absent);
  bool text = spec->field[step->operand_field].type == TIDE_F_TEXT;
  struct tide_value value = text ? tide_text(row->value) : tide_num((double)(int64_t)row->value / step->scale);
  const struct tide_group *group = &spec->group[step->group];
  if (txn->time_ms - tide_fact_time_ms(row) > group->facts_ms) tide_freshness_make_stale(spec, group, step->slot, &value);
  return value;
}

void tide_facts_stand(const struct tide_state *state, const struct tide_txn *txn, struct tide_standing *standing) {
  if (!state->plan->keeps_facts) return;
  for (uint32_t e = 0; e < state->plan->spec->entity_count; e++) {
    const struct tide_kind *kind = &state->plan->kind[e];
    standing[e].has_facts = false;
    if (!kind->fact_count || !txn->has_key[e]) continue;
    for (uint32_t s = 0; s < kind->step_count; s++) {
      const struct tide_fact_row *row = kind->step[s].agg == TIDE_AGG_FACT ? row_of(state, txn, kind, &kind->step[s]) : NULL;
      if (!row) continue;
      int64_t age_ms = txn->time_ms - tide_fact_time_ms(row);
      if (!standing[e].has_facts || age_ms > standing[e].facts_age_ms) standing[e].facts_age_ms = age_ms;
      standing[e].has_facts = true;
    }
  }
}
