/* Resolving events: fields, keys, conditions, entities (state.h).
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
  tide_era_release(&state->era);
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

/* `seed`: of this journal (settings.h), so that nobody outside can choose texts that fall together. `previous`: under the previous secret key where there is
 * one. *rotates: some part has a hash under that as well. */
static inline bool part_key(uint64_t seed, const struct tide_txn *txn, const struct tide_key_part *part, bool previous, bool *rotates,
                            struct tide_u128 *ret) {
  if (part->is_entity) {
    if (!txn->has_key[part->ref]) return false;
    struct tide_u128 alt = txn->alt[part->ref];
    *ret = previous && (alt.lo || alt.hi) ? alt : txn->key[part->ref];
    return true;
  }
  const struct tide_datum *datum = &txn->record->field[part->ref];
  switch ((enum tide_datum_kind)datum->kind) {
    case TIDE_D_NONE: return false;
    case TIDE_D_TEXT: *ret = tide_hash128(datum->text.ptr, datum->text.len, seed); return true;
    case TIDE_D_INT: *ret = tide_hash128(&datum->num, sizeof datum->num, seed + 1); return true;
    case TIDE_D_KEY: {
      bool alt = (datum->alt.lo | datum->alt.hi) != 0;
      *rotates |= alt;
      *ret = previous && alt ? datum->alt : datum->key;
      return true;
    }
  }
  return false;
}

static inline bool entity_key(uint64_t seed, const struct tide_entity *entity, const struct tide_txn *txn, bool previous, bool *rotates,
                              struct tide_u128 *ret) {
  uint32_t i = 0;
  if (entity->first_of || entity->part_count == 1) {
    while (i < entity->part_count && !part_key(seed, txn, &entity->part[i], previous, rotates, ret)) i++;
    return i < entity->part_count;
  }
  struct tide_u128 part[TIDE_TUPLE_MAX];
  while (i < entity->part_count && part_key(seed, txn, &entity->part[i], previous, rotates, &part[i])) i++;
  if (i < entity->part_count) return false;
  *ret = tide_hash128(part, entity->part_count * sizeof *part, seed + 2);
  return true;
}

/* While keys rotate: the keys as they were, of the entities that have others now. */
static __attribute__((noinline)) void previous_keys(const struct tide_spec *spec, uint64_t seed, struct tide_txn *txn) {
  for (uint32_t e = 0; e < spec->entity_count; e++) {
    struct tide_u128 alt;
    bool rotates = false;
    if (!txn->has_key[e] || !entity_key(seed, &spec->entity[e], txn, true, &rotates, &alt) || tide_u128_eq(alt, txn->key[e])) continue;
    txn->alt[e] = alt;
    txn->rotates |= (alt.lo | alt.hi) != 0;
  }
}

static void keys(const struct tide_spec *spec, uint64_t seed, struct tide_txn *txn) {
  uint32_t count = spec->entity_count;
  bool rotates = false;
  _Static_assert(TIDE_NO_ENTITY == UINT32_MAX, "all bytes of it are ones");
  memset(txn->number, 0xff, count * sizeof *txn->number);
  memset(txn->alt, 0, count * sizeof *txn->alt);
  txn->rotates = false;
  for (uint32_t e = 0; e < count; e++) txn->has_key[e] = entity_key(seed, &spec->entity[e], txn, false, &rotates, &txn->key[e]);
  if (rotates) previous_keys(spec, seed, txn);
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
  txn->record = record;
  txn->time_ms = record->time.ms;
  txn->lead_ms = 0;
  tide_fields_present(spec, record->field, record->present, txn->field);
  if (spec->f_lat != TIDE_NONE && (!on_earth(txn->field[spec->f_lat], 90) || !on_earth(txn->field[spec->f_lon], 180)))
    txn->field[spec->f_lat] = txn->field[spec->f_lon] = tide_null(TIDE_S_absent, TIDE_C_absent);
  for (uint32_t i = 0; i < plan->thing_count; i++) txn->thing[plan->thing[i]] = thing_of(plan, txn, plan->thing[i]);
  keys(spec, (uint64_t)plan->settings.hash_seed, txn);
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
