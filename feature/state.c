/* Resolving events, applying outcomes (state.h).
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
    bool found = txn->number[e] != TIDE_NO_ENTITY && tide_store_holds(&state->store[e], txn->number[e], txn->key[e]);
    if (!found) txn->number[e] = tide_store_find(&state->store[e], txn->key[e]);
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

static struct tide_value residual_unpack(const struct tide_plan *plan, uint32_t residual, uint64_t raw) {
  if (raw == TIDE_RESIDUAL_MISSING) return tide_null(TIDE_S_absent, TIDE_C_absent);
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

/* ---- outcomes ---- */

void tide_state_change_in(struct tide_state *state, uint32_t e, int64_t watermark_ms, const struct tide_change *change) {
  const struct tide_kind *kind = &state->plan->kind[e];
  uint32_t number = tide_store_follow(&state->store[e], change->number[e]);
  if (number == TIDE_NO_ENTITY) return;
  struct tide_ent *ent = tide_store_ent(&state->store[e], number);
  /* What is kept cannot have lost its slot to another entity: that happens after all its events are older than keep, and whoever has the slot then
   * takes only newer ones. What is older than keep nobody can ask for. */
  if (change->time_ms <= watermark_ms - kind->keep_ms) return;
  struct tide_view view;
  tide_view_of(kind, ent, &view);
  if (view.tiles && change->time_ms <= view.tiles->until_ms) {
    tide_ent_mend_tile(kind, ent, change->time_ms, tide_kind_mask(kind, change->old_conds), change->old_amount,
                       tide_kind_mask(kind, change->conds), change->amount);
    __atomic_fetch_add(&state->tile_use.mended, 1, __ATOMIC_RELAXED);
    return;
  }
  struct tide_at at;
  if (!tide_view_find(&view, change->time_ms, change->rank[e], &at)) return; /* never kept: it was older than that when it came */
  uint8_t column = kind->col_of[TIDE_COL_AMOUNT];
  if (column != 0xff) tide_ent_set_num(kind, ent, at, column, change->amount);
  tide_ent_set_bits(kind, ent, at, tide_kind_mask(kind, change->conds));
}

bool tide_state_change(struct tide_state *state, uint32_t number, struct tide_at at, const struct tide_outcome *outcome, int64_t amount_now,
                       bool sets_amount, struct tide_change *ret) {
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
  if (packed & TIDE_DYN_UNCOUNTED) return false; /* remembered only: it has no bits and stands nowhere else */
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
  struct tide_change change = {
      .time_ms = tide_block_time(kind, block, at.i), .conds = tide_txn_dynamic(plan, dyn, 0), .old_amount = old_amount, .amount = amount};
  if (plan->mends_tiles) { /* a tile does not know its events: what this one had brought is worked out again */
    tide_dyn_values(plan, packed, old_reason, old_amount, dyn);
    change.old_conds = tide_txn_dynamic(plan, dyn, 0);
  }
  for (uint32_t e = 0; e < plan->spec->entity_count; e++) {
    change.number[e] = TIDE_NO_ENTITY;
    if (!e || kind->ref_col[e] == 0xff) continue;
    change.number[e] = (uint32_t)tide_block_get(kind, block, kind->ref_col[e], at.i);
    change.rank[e] = (uint32_t)tide_block_get(kind, block, kind->rank_col[e], at.i);
  }
  tide_ent_set_bits(kind, ent, at, tide_kind_mask(kind, change.conds));
  *ret = change;
  return true;
}

void tide_state_outcome(struct tide_state *state, uint32_t number, struct tide_at at, const struct tide_outcome *outcome,
                        int64_t amount_now, bool sets_amount) {
  struct tide_change change;
  if (!tide_state_change(state, number, at, outcome, amount_now, sets_amount, &change)) return;
  for (uint32_t e = 1; e < state->plan->spec->entity_count; e++)
    if (change.number[e] != TIDE_NO_ENTITY) tide_state_change_in(state, e, state->watermark_ms, &change);
}
