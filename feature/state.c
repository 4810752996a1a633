/* Resolving events, inserting them, applying outcomes (state.h).
 *
 * One event stands in several entities; the primary's copy knows where the others are (slot numbers) and how to find the event there
 * (time, and its rank among those of that time). A slot that was given to another entity meanwhile does not hold that event, so a stale reference finds nothing. */
#include "feature/state.h"

#include "base/num.h"
#include "feature/fields.h"
#include "feature/recast.h"
#include "feature/tile.h"

void tide_state_init(struct tide_state *state, const struct tide_plan *plan) {
  *state = (struct tide_state){.plan = plan, .watermark_ms = INT64_MIN, .history_from_ms = plan->settings.history_from_ms};
  for (uint32_t e = 0; e < plan->spec->entity_count; e++) tide_store_init(&state->store[e], &plan->kind[e]);
}

void tide_state_release(struct tide_state *state) {
  for (uint32_t e = 0; state->plan && e < state->plan->spec->entity_count; e++) tide_store_release(&state->store[e]);
  tide_valueset_release(&state->scratch);
  tide_free(state->field_from_ms);
  tide_free(state->slot_from_ms);
}

void tide_state_fields_from(struct tide_state *state, const int64_t *from_ms) {
  const struct tide_spec *spec = state->plan->spec;
  bool any = false;
  for (uint32_t f = 0; f < spec->field_count; f++) any |= from_ms[f] != INT64_MIN;
  tide_free(state->field_from_ms);
  tide_free(state->slot_from_ms);
  state->field_from_ms = state->slot_from_ms = NULL;
  if (!any) return;
  state->field_from_ms = tide_alloc(spec->field_count * sizeof *state->field_from_ms);
  memcpy(state->field_from_ms, from_ms, spec->field_count * sizeof *from_ms);
  state->slot_from_ms = tide_alloc((spec->slot_count + 1) * sizeof *state->slot_from_ms);
  for (uint32_t s = 0; s < spec->slot_count; s++) {
    uint64_t fields = tide_slot_fields(spec, s);
    state->slot_from_ms[s] = INT64_MIN;
    for (uint32_t f = 0; f < spec->field_count; f++)
      if ((fields >> f & 1) && from_ms[f] > state->slot_from_ms[s]) state->slot_from_ms[s] = from_ms[f];
  }
}

/* ---- keys ---- */

/* `seed`: of this journal (settings.h), so that nobody outside can choose texts that fall together. *rotates: some part has a hash under the previous secret key. */
static inline bool part_key(uint64_t seed, const struct tide_record *record, const struct tide_txn *txn, const struct tide_key_part *part,
                            bool previous, bool *rotates, struct tide_u128 *ret) {
  if (part->is_entity) {
    if (!txn->has_key[part->ref]) return false;
    struct tide_u128 alt = txn->alt[part->ref];
    *rotates |= (alt.lo | alt.hi) != 0;
    *ret = previous && (alt.lo || alt.hi) ? alt : txn->key[part->ref];
    return true;
  }
  const struct tide_datum *datum = &record->field[part->ref];
  switch ((enum tide_datum_kind)datum->kind) {
    case TIDE_D_NONE: return false;
    case TIDE_D_TEXT: *ret = tide_hash128(datum->text.ptr, datum->text.len, seed); return true;
    case TIDE_D_INT: *ret = tide_hash128(&datum->num, sizeof datum->num, seed + 1); return true;
    case TIDE_D_KEY:
      *rotates |= (datum->alt.lo | datum->alt.hi) != 0;
      *ret = previous && (datum->alt.lo || datum->alt.hi) ? datum->alt : datum->key;
      return true;
  }
  return false;
}

static bool entity_key(uint64_t seed, const struct tide_entity *entity, const struct tide_record *record, const struct tide_txn *txn,
                       bool previous, bool *rotates, struct tide_u128 *ret) {
  struct tide_u128 part[TIDE_TUPLE_MAX];
  for (uint32_t i = 0; i < entity->part_count; i++) {
    bool there = part_key(seed, record, txn, &entity->part[i], previous, rotates, &part[i]);
    if (entity->first_of && there) {
      *ret = part[i];
      return true;
    }
    if (!entity->first_of && !there) return false;
  }
  if (entity->first_of) return false;
  *ret = entity->part_count == 1 ? part[0] : tide_hash128(part, entity->part_count * sizeof *part, seed + 2);
  return true;
}

static bool on_earth(struct tide_value degrees, double limit) {
  return degrees.type == TIDE_V_NUM && degrees.num >= -limit && degrees.num <= limit;
}

#define SHORT_TEXT 7 /* tide_text_code holds these exactly */

static uint64_t thing_of(const struct tide_plan *plan, const struct tide_txn *txn, uint32_t field) {
  const struct tide_value *value = &txn->field[field];
  const struct tide_datum *datum = &txn->record->field[field];
  if (value->type != TIDE_V_TEXT) return 0;
  if (datum->kind != TIDE_D_TEXT || datum->text.len <= SHORT_TEXT) return value->code; /* a secret one is hashed under its key already */
  return tide_keyed_hash64(datum->text.ptr, datum->text.len, (uint64_t)plan->settings.hash_seed) | UINT64_C(1) << 63;
}

void tide_txn_resolve(const struct tide_plan *plan, const struct tide_record *record, struct tide_txn *txn) {
  const struct tide_spec *spec = plan->spec;
  uint64_t seed = (uint64_t)plan->settings.hash_seed;
  txn->record = record;
  txn->time_ms = record->time.ms;
  txn->lead_ms = 0;
  tide_fields_values(spec, record->field, txn->field);
  if (spec->f_lat != TIDE_NONE && (!on_earth(txn->field[spec->f_lat], 90) || !on_earth(txn->field[spec->f_lon], 180)))
    txn->field[spec->f_lat] = txn->field[spec->f_lon] = tide_null(TIDE_S_absent, TIDE_C_absent);
  for (uint32_t i = 0; i < plan->thing_count; i++) txn->thing[plan->thing[i]] = thing_of(plan, txn, plan->thing[i]);
  for (uint32_t e = 0; e < spec->entity_count; e++) {
    txn->number[e] = TIDE_NO_ENTITY;
    txn->alt[e] = (struct tide_u128){0, 0};
    bool rotates = false;
    txn->has_key[e] = entity_key(seed, &spec->entity[e], record, txn, false, &rotates, &txn->key[e]);
    if (!txn->has_key[e] || !rotates) continue;
    struct tide_u128 alt;
    if (entity_key(seed, &spec->entity[e], record, txn, true, &rotates, &alt) && !tide_u128_eq(alt, txn->key[e])) txn->alt[e] = alt;
  }
}

/* ---- entities ---- */

void tide_state_lookup(struct tide_state *state, struct tide_txn *txn) {
  for (uint32_t e = 0; e < state->plan->spec->entity_count; e++) {
    if (!txn->has_key[e]) continue;
    txn->number[e] = tide_store_find(&state->store[e], txn->key[e]);
    if (txn->number[e] != TIDE_NO_ENTITY || (!txn->alt[e].lo && !txn->alt[e].hi)) continue;
    uint32_t old = tide_store_find(&state->store[e], txn->alt[e]);
    if (old != TIDE_NO_ENTITY) txn->number[e] = tide_store_rekey(&state->store[e], old, txn->key[e]);
  }
}

bool tide_txn_capacity(const struct tide_state *state, const struct tide_txn *txn, uint32_t entity) {
  const struct tide_store *store = &state->store[entity];
  return txn->has_key[entity] && txn->number[entity] == TIDE_NO_ENTITY && store->live >= store->kind->max_entities;
}

/* tide_txn.atoms, one of them. */
static struct tide_value atom_unpack(unsigned two) {
  if (two == 3) return tide_null(TIDE_S_empty, TIDE_C_empty);
  return two ? tide_bool(two == 1) : tide_null(TIDE_S_absent, TIDE_C_absent);
}

static uint64_t residual_pack(const struct tide_value *value) {
  uint64_t raw = 0;
  switch (value->type) {
    case TIDE_V_NUM: memcpy(&raw, &value->num, sizeof raw); return raw;
    case TIDE_V_TEXT: return value->code;
    case TIDE_V_BOOL: return value->yes;
    default: return UINT64_C(0x7ff8dead00000000); /* a NaN no arithmetic of ours makes: missing */
  }
}

static struct tide_value residual_unpack(const struct tide_plan *plan, uint32_t residual, uint64_t raw) {
  if (raw == UINT64_C(0x7ff8dead00000000)) return tide_null(TIDE_S_absent, TIDE_C_absent);
  switch ((enum tide_ftype)plan->spec->field[plan->residual[residual]].type) {
    case TIDE_F_TEXT: return tide_text(raw);
    case TIDE_F_BOOL: return tide_bool(raw != 0);
    default: {
      double num;
      memcpy(&num, &raw, sizeof num);
      return tide_num(num);
    }
  }
}

static int64_t column_value(const struct tide_state *state, const struct tide_kind *kind, const struct tide_column *column,
                            const struct tide_txn *txn, const struct tide_memory *memory, uint64_t mask) {
  const struct tide_plan *plan = state->plan;
  switch ((enum tide_column_what)column->what) {
    case TIDE_COL_TIME: return txn->time_ms;
    case TIDE_COL_MASK: return (int64_t)mask;
    case TIDE_COL_TAG: return memory->tag;
    case TIDE_COL_AMOUNT: return memory->uncounted ? TIDE_NULL_NUM : txn->amount_now;
    case TIDE_COL_REQUESTED: return memory->uncounted ? TIDE_NULL_NUM : txn->requested;
    case TIDE_COL_NUMBER: return txn->record->field[column->ref].kind == TIDE_D_INT ? txn->record->field[column->ref].num : TIDE_NULL_NUM;
    case TIDE_COL_CODE: {
      const struct tide_value *value = &txn->field[column->ref];
      return value->type == TIDE_V_TEXT ? (int64_t)value->code : value->type == TIDE_V_BOOL ? 1 + value->yes : 0;
    }
    case TIDE_COL_THING: return (int64_t)txn->thing[column->ref];
    case TIDE_COL_ENTITY:
      if (!txn->has_key[column->ref]) return 0;
      return (int64_t)(txn->number[column->ref] == TIDE_NO_ENTITY ? tide_key_code(txn->key[column->ref])
                                                                  : tide_store_code(&state->store[column->ref], txn->number[column->ref]));
    case TIDE_COL_LAT:
    case TIDE_COL_LON: {
      const struct tide_datum *datum = &txn->record->field[column->ref];
      bool there = datum->kind == TIDE_D_INT && txn->field[column->ref].type != TIDE_V_NULL;
      return there ? (int64_t)(uint32_t)(int32_t)datum->num : (int64_t)UINT32_C(0x80000000);
    }
    case TIDE_COL_ID: return (int64_t)memory->id;
    case TIDE_COL_DYN: return memory->uncounted ? (int64_t)TIDE_DYN_UNCOUNTED : 0;
    case TIDE_COL_REASON: return 0;
    case TIDE_COL_ATOMS: return (int64_t)txn->atoms;
    case TIDE_COL_RESIDUAL: return (int64_t)residual_pack(&txn->field[plan->residual[column->ref]]);
    case TIDE_COL_REF: return memory->uncounted ? TIDE_NO_ENTITY : txn->number[column->ref];
    case TIDE_COL_RANK: return memory->uncounted ? 0 : (int64_t)txn->rank[column->ref];
    case TIDE_COL_FP_LOW: return (int64_t)(memory->fp_amount & UINT32_MAX);
    case TIDE_COL_FP_HIGH: return (int64_t)(memory->fp_amount >> 32);
    case TIDE_COL_FP_MERCHANT: return (int64_t)memory->fp_merchant;
    case TIDE_COL_EPOCH: return (int64_t)memory->epoch;
    case TIDE_COL_SEQ: return (int64_t)memory->seq;
    case TIDE_COL_INDEX: return memory->index;
    case TIDE_COL_VERDICT: return (int64_t)memory->verdict;
    case TIDE_COL_VERDICT2: return memory->verdict2;
    case TIDE_COL_SCORE: return memory->score;
    case TIDE_COL_TRUTH: return (int64_t)memory->truth;
  }
  (void)kind;
  TIDE_NEVER("column");
  return 0;
}

static void insert_one(struct tide_state *state, uint32_t e, const struct tide_txn *txn, const struct tide_memory *memory) {
  const struct tide_kind *kind = &state->plan->kind[e];
  struct tide_store *store = &state->store[e];
  uint32_t number = txn->number[e];
  uint64_t conds = memory->uncounted ? 0 : txn->conds;
  if (kind->has_first && !memory->uncounted) {
    struct tide_first *first = tide_store_first(store, number);
    if (first->last_ms != INT64_MIN && first->last_ms <= state->watermark_ms - kind->forget_ms)
      *first = (struct tide_first){INT64_MAX, INT64_MIN};
    if ((conds & kind->score_bit) && txn->time_ms < first->first_ms) first->first_ms = txn->time_ms;
    if (txn->time_ms > first->last_ms) first->last_ms = txn->time_ms;
  }
  if (kind->fact_count && !memory->uncounted) tide_state_keep_facts(state, e, number, txn->time_ms);
  if (txn->time_ms <= state->watermark_ms - kind->keep_ms) return; /* older than anything that can be asked for */
  uint64_t mask = tide_kind_mask(kind, conds);
  struct tide_row row;
  for (unsigned c = 0; c < kind->column_count; c++) row.value[c] = column_value(state, kind, &kind->column[c], txn, memory, mask);
  state->tile_use.late += tide_ent_insert(kind, tide_store_ent(store, number), &row, state->watermark_ms);
}

/* How many events of the same time the entity holds: they all stand before this one. Events of one time are dropped together, so the rank stays true
 * as long as an outcome finds anything there. */
static uint32_t rank_in(const struct tide_state *state, uint32_t e, const struct tide_txn *txn) {
  const struct tide_kind *kind = &state->plan->kind[e];
  if (txn->number[e] == TIDE_NO_ENTITY) return 0;
  struct tide_view view;
  tide_view_of(kind, tide_store_ent(&state->store[e], txn->number[e]), &view);
  struct tide_at at = tide_view_after(&view, txn->time_ms);
  uint32_t rank = 0;
  while (tide_view_back(&view, &at) && tide_block_time(kind, view.chunk[at.chunk].block, at.i) == txn->time_ms) rank++;
  return rank;
}

void tide_state_insert(struct tide_state *state, struct tide_txn *txn, const struct tide_memory *memory) {
  uint32_t entities = memory->uncounted ? 1 : state->plan->spec->entity_count;
  for (uint32_t e = 0; e < entities; e++) /* all numbers first: rows refer to other entities */
    if (txn->has_key[e] && txn->number[e] == TIDE_NO_ENTITY) txn->number[e] = tide_store_make(&state->store[e], txn->key[e]);
  for (uint32_t e = 1; e < entities; e++) txn->rank[e] = state->plan->kind[0].rank_col[e] == 0xff ? 0 : rank_in(state, e, txn);
  for (uint32_t e = 0; e < entities; e++)
    if (txn->number[e] != TIDE_NO_ENTITY) insert_one(state, e, txn, memory);
}

/* ---- outcomes ---- */

/* What an outcome makes of an event: its dynamic conditions and its amount, before and after. */
struct change {
  int64_t time_ms;
  uint64_t old_conds, conds;
  int64_t old_amount, amount;
};

static void secondary_outcome(struct tide_state *state, uint32_t e, uint32_t number, uint32_t rank, const struct change *change) {
  const struct tide_kind *kind = &state->plan->kind[e];
  number = tide_store_follow(&state->store[e], number);
  if (number == TIDE_NO_ENTITY) return;
  struct tide_ent *ent = tide_store_ent(&state->store[e], number);
  /* What is kept cannot have lost its slot to another entity: that happens after all its events are older than keep, and whoever has the slot then
   * takes only newer ones. What is older than keep nobody can ask for. */
  if (change->time_ms <= state->watermark_ms - kind->keep_ms) return;
  struct tide_view view;
  tide_view_of(kind, ent, &view);
  if (view.tiles && change->time_ms <= view.tiles->until_ms) {
    tide_ent_mend_tile(kind, ent, change->time_ms, tide_kind_mask(kind, change->old_conds), change->old_amount,
                       tide_kind_mask(kind, change->conds), change->amount);
    state->tile_use.mended++;
    return;
  }
  struct tide_at at;
  if (!tide_view_find(&view, change->time_ms, rank, &at)) return; /* never kept: it was older than that when it came */
  uint8_t column = kind->col_of[TIDE_COL_AMOUNT];
  if (column != 0xff) tide_ent_set_num(kind, ent, at, column, change->amount);
  tide_ent_set_bits(kind, ent, at, tide_kind_mask(kind, change->conds));
}

void tide_state_outcome(struct tide_state *state, uint32_t number, struct tide_at at, const struct tide_outcome *outcome,
                        int64_t amount_now, bool sets_amount) {
  const struct tide_plan *plan = state->plan;
  const struct tide_kind *kind = &plan->kind[0];
  struct tide_ent *ent = tide_store_ent(&state->store[0], number);
  struct tide_view view;
  tide_view_of(kind, ent, &view);
  struct tide_block *block = view.chunk[at.chunk].block;
  uint16_t packed = (uint16_t)tide_block_get(kind, block, kind->col_of[TIDE_COL_DYN], at.i);
  uint16_t changed = packed;
#define SETS(name) (outcome->set & (1u << TIDE_DYN_##name))
  if (SETS(result)) changed = (uint16_t)((changed & ~0x3u) | outcome->result);
  if (SETS(reversed)) changed = (uint16_t)((changed & ~0xcu) | (unsigned)outcome->reversed << 2);
  if (SETS(refunded)) changed = (uint16_t)((changed & ~0x30u) | (unsigned)outcome->refunded << 4);
  if (SETS(disputed)) changed = (uint16_t)((changed & ~0x40u) | (unsigned)outcome->disputed << 6);
  if (SETS(label)) changed = (uint16_t)((changed & ~0x180u) | (unsigned)outcome->label << 7);
  tide_ent_set(kind, ent, at, kind->col_of[TIDE_COL_DYN], changed);
  uint64_t reason = 0, old_reason = 0;
  if (kind->col_of[TIDE_COL_REASON] != 0xff) {
    tide_view_of(kind, ent, &view); /* setting may move the block */
    block = view.chunk[at.chunk].block;
    old_reason = reason = tide_block_get(kind, block, kind->col_of[TIDE_COL_REASON], at.i);
    if (SETS(reason)) {
      size_t len = strnlen(outcome->reason, sizeof outcome->reason);
      reason = tide_text_code((struct tide_span){outcome->reason, len});
      tide_ent_set(kind, ent, at, kind->col_of[TIDE_COL_REASON], reason);
    }
  }
  tide_view_of(kind, ent, &view);
  block = view.chunk[at.chunk].block;
#undef SETS
  if (packed & TIDE_DYN_UNCOUNTED) return; /* remembered only: it has no bits and stands nowhere else */
  uint8_t amount_column = kind->col_of[TIDE_COL_AMOUNT];
  int64_t amount = TIDE_NULL_NUM, old_amount = TIDE_NULL_NUM;
  if (amount_column != 0xff) {
    bool young = kind->column[amount_column].young;
    if (!young || tide_block_is_young(block, at.i)) old_amount = amount = tide_block_num(kind, block, amount_column, at.i);
    if (sets_amount) {
      amount = amount_now;
      tide_ent_set_num(kind, ent, at, amount_column, amount);
      tide_view_of(kind, ent, &view);
      block = view.chunk[at.chunk].block;
    }
  }
  struct tide_value dyn[TIDE_DYNENV];
  tide_dyn_values(plan, changed, reason, amount, dyn);
  uint64_t atoms = plan->atom_count ? tide_block_get(kind, block, kind->col_of[TIDE_COL_ATOMS], at.i) : 0;
  for (uint32_t a = 0; a < plan->atom_count; a++) dyn[TIDE_DYN_COUNT + a] = atom_unpack((unsigned)(atoms >> (2 * a)) & 3);
  for (unsigned c = 0; c < kind->column_count; c++)
    if (kind->column[c].what == TIDE_COL_RESIDUAL)
      dyn[TIDE_DYN_COUNT + TIDE_ATOMS_MAX + kind->column[c].ref] =
          residual_unpack(plan, kind->column[c].ref, tide_block_get(kind, block, c, at.i));
  struct change change = {
      .time_ms = tide_block_time(kind, block, at.i), .conds = tide_txn_dynamic(plan, dyn, 0), .old_amount = old_amount, .amount = amount};
  if (plan->mends_tiles) { /* a tile does not know its events: what this one had brought is worked out again */
    tide_dyn_values(plan, packed, old_reason, old_amount, dyn);
    change.old_conds = tide_txn_dynamic(plan, dyn, 0);
  }
  for (uint32_t e = 1; e < plan->spec->entity_count; e++) {
    if (kind->ref_col[e] == 0xff) continue;
    uint32_t other = (uint32_t)tide_block_get(kind, block, kind->ref_col[e], at.i);
    uint32_t rank = (uint32_t)tide_block_get(kind, block, kind->rank_col[e], at.i);
    if (other != TIDE_NO_ENTITY) secondary_outcome(state, e, other, rank, &change);
  }
  tide_ent_set_bits(kind, ent, at, tide_kind_mask(kind, change.conds));
}
