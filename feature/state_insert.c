/* Inserting an event in its entities, one kind after the other (state.h).
 *
 * What rows hold of an event is worked out once, into one array of values, and each kind takes its columns from there (plan->origin). The
 * primary's row keeps the answer and the event's number and rank in the others, so it comes last. */
#include "feature/state.h"

static uint64_t residual_pack(const struct tide_value *value) {
  uint64_t raw = 0;
  switch (value->type) {
    case TIDE_V_NUM: memcpy(&raw, &value->num, sizeof raw); return raw;
    case TIDE_V_TEXT: return value->code;
    case TIDE_V_BOOL: return value->yes;
    default: return TIDE_RESIDUAL_MISSING;
  }
}

static inline int64_t origin_value(const struct tide_state *state, const struct tide_origin *origin, const struct tide_txn *txn) {
  uint32_t ref = origin->ref;
  switch (origin->what) {
    case TIDE_COL_NUMBER: return txn->record->field[ref].kind == TIDE_D_INT ? txn->record->field[ref].num : TIDE_NULL_NUM;
    case TIDE_COL_CODE: {
      const struct tide_value *value = &txn->field[ref];
      return value->type == TIDE_V_TEXT ? (int64_t)value->code : value->type == TIDE_V_BOOL ? 1 + value->yes : 0;
    }
    case TIDE_COL_THING: return (int64_t)txn->thing[ref];
    case TIDE_COL_ENTITY:
      if (!txn->has_key[ref]) return 0;
      return (int64_t)(txn->number[ref] == TIDE_NO_ENTITY ? tide_key_code(txn->key[ref])
                                                          : tide_store_code(&state->store[ref], txn->number[ref]));
    case TIDE_COL_LAT:
    case TIDE_COL_LON: {
      const struct tide_datum *datum = &txn->record->field[ref];
      bool there = datum->kind == TIDE_D_INT && txn->field[ref].type != TIDE_V_NULL;
      return there ? (int64_t)(uint32_t)(int32_t)datum->num : (int64_t)UINT32_C(0x80000000);
    }
    case TIDE_COL_RESIDUAL: return (int64_t)residual_pack(&txn->field[state->plan->residual[ref]]);
    default: break;
  }
  TIDE_NEVER("origin of a column");
  return 0;
}

void tide_state_values(const struct tide_state *state, const struct tide_txn *txn, const struct tide_memory *memory, int64_t *ret) {
  const struct tide_plan *plan = state->plan;
  ret[TIDE_NO_ORIGIN] = 0;
  ret[TIDE_COL_TIME] = txn->time_ms;
  ret[TIDE_COL_TAG] = memory->tag;
  ret[TIDE_COL_AMOUNT] = memory->uncounted ? TIDE_NULL_NUM : txn->amount_now;
  ret[TIDE_COL_REQUESTED] = memory->uncounted ? TIDE_NULL_NUM : txn->requested;
  ret[TIDE_COL_ID] = (int64_t)memory->id;
  ret[TIDE_COL_DYN] = memory->uncounted ? (int64_t)TIDE_DYN_UNCOUNTED : 0;
  ret[TIDE_COL_REASON] = 0;
  ret[TIDE_COL_ATOMS] = (int64_t)txn->atoms;
  ret[TIDE_COL_FP_LOW] = (int64_t)(memory->fp_amount & UINT32_MAX);
  ret[TIDE_COL_FP_HIGH] = (int64_t)(memory->fp_amount >> 32);
  ret[TIDE_COL_FP_MERCHANT] = (int64_t)memory->fp_merchant;
  for (uint32_t i = 0; i < plan->origin_count; i++) ret[TIDE_ORIGINS_REF + i] = origin_value(state, &plan->origin[i], txn);
}

void tide_state_refer(const struct tide_state *state, const struct tide_txn *txn, const struct tide_memory *memory, int64_t *ret) {
  ret[TIDE_COL_EPOCH] = (int64_t)memory->epoch;
  ret[TIDE_COL_SEQ] = (int64_t)memory->seq;
  ret[TIDE_COL_INDEX] = memory->index;
  ret[TIDE_COL_VERDICT] = (int64_t)memory->verdict;
  ret[TIDE_COL_VERDICT2] = memory->verdict2;
  ret[TIDE_COL_SCORE] = memory->score;
  ret[TIDE_COL_TRUTH] = (int64_t)memory->truth;
  for (uint32_t e = 1, count = state->plan->spec->entity_count; e < count; e++) {
    ret[TIDE_ORIGINS_NUMBER + e] = memory->uncounted ? TIDE_NO_ENTITY : txn->number[e];
    ret[TIDE_ORIGINS_RANK + e] = memory->uncounted ? 0 : txn->rank[e];
  }
}

uint32_t tide_state_rank(const struct tide_state *state, uint32_t e, const struct tide_txn *txn) {
  if (state->plan->kind[0].rank_col[e] == 0xff || txn->number[e] == TIDE_NO_ENTITY) return 0;
  return tide_ent_rank(&state->plan->kind[e], tide_store_ent(&state->store[e], txn->number[e]), txn->time_ms);
}

/* First and last times of the entity, which outlive its events; they stand behind it (entity.h). */
static void note_first(const struct tide_kind *kind, struct tide_ent *ent, const struct tide_txn *txn) {
  struct tide_first *first = (struct tide_first *)(void *)(ent + 1);
  if (first->last_ms != INT64_MIN && first->last_ms <= txn->watermark_ms - kind->forget_ms)
    *first = (struct tide_first){INT64_MAX, INT64_MIN};
  if ((txn->conds & kind->score_bit) && txn->time_ms < first->first_ms) first->first_ms = txn->time_ms;
  if (txn->time_ms > first->last_ms) first->last_ms = txn->time_ms;
}

static inline void insert_at(struct tide_state *state, uint32_t e, struct tide_ent *ent, const struct tide_txn *txn, bool uncounted,
                             const int64_t *value) {
  const struct tide_kind *kind = &state->plan->kind[e];
  if (!uncounted) {
    if (kind->has_first) note_first(kind, ent, txn);
    if (kind->fact_count) tide_state_keep_facts(state, e, txn->number[e], txn->time_ms, txn->watermark_ms);
  }
  if (txn->time_ms <= txn->watermark_ms - kind->keep_ms) return; /* older than anything that can be asked for */
  struct tide_row row = {value, uncounted ? 0 : tide_kind_mask(kind, txn->conds)};
  if (tide_ent_insert(kind, ent, &row, txn->watermark_ms)) __atomic_fetch_add(&state->tile_use.late, 1, __ATOMIC_RELAXED);
}

void tide_state_insert_in(struct tide_state *state, uint32_t e, const struct tide_txn *txn, const struct tide_memory *memory,
                          const int64_t *value) {
  insert_at(state, e, tide_store_ent(&state->store[e], txn->number[e]), txn, memory->uncounted, value);
}

void tide_state_count(struct tide_state *state, uint32_t e, struct tide_txn *txn, const struct tide_memory *memory, const int64_t *value) {
  if (txn->has_key[e] && txn->number[e] == TIDE_NO_ENTITY) txn->number[e] = tide_store_add(&state->store[e], txn->key[e]);
  txn->rank[e] = 0;
  if (txn->number[e] == TIDE_NO_ENTITY) return;
  struct tide_ent *ent = tide_store_ent(&state->store[e], txn->number[e]);
  if (ent->log && state->plan->kind[0].rank_col[e] != 0xff) txn->rank[e] = tide_ent_rank(&state->plan->kind[e], ent, txn->time_ms);
  insert_at(state, e, ent, txn, memory->uncounted, value);
}
