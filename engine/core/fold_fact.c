/* Profiles: what somebody told about an entity (rulings P1 to P7).
 *
 * A profile counts nowhere and asks for nothing. It makes the entity where there is room, and leaves its facts there, from its own position on. What no feature
 * reads is not kept. Told twice is told once, so profiles need no identity; what is not kept has its metric. */
#include "core/fold_state.h"

/* The value as the state has it; false: an amount without a rate. */
static bool value_of(const struct tide_fold *fold, const struct tide_field *field, const struct tide_datum *datum, uint64_t *ret) {
  int64_t minor;
  if (datum->kind == TIDE_D_TEXT) {
    *ret = tide_text_code(datum->text);
  } else if (field->type == TIDE_F_MONEY) {
    if (!tide_fold_convert(fold, datum->num, datum->currency, datum->exponent, &minor)) return false;
    *ret = (uint64_t)minor;
  } else {
    *ret = (uint64_t)datum->num;
  }
  return true;
}

/* The entity's number, made if it must be; TIDE_NO_ENTITY: the profile does not carry its key, or there is no room. */
static uint32_t entity_of(struct tide_fold *fold, struct tide_txn *txn, uint32_t e) {
  if (!txn->has_key[e] || txn->number[e] != TIDE_NO_ENTITY) return txn->number[e];
  txn->number[e] = tide_store_make(&fold->state.store[e], txn->key[e]);
  fold->metrics.value[TIDE_M_entities_dropped_total] += txn->number[e] == TIDE_NO_ENTITY;
  return txn->number[e];
}

void tide_fold_profile(struct tide_fold *fold, struct tide_group_item *item) {
  const struct tide_record *record = &item->record;
  int64_t time_ms = tide_fold_stamp(fold, record);
  tide_fold_look_up(fold, &item->txn);
  for (uint32_t e = 0; e < fold->spec->entity_count; e++) {
    const struct tide_kind *kind = &fold->plan->kind[e];
    for (unsigned fact = 0; fact < kind->fact_count; fact++) {
      const struct tide_datum *datum = &record->field[kind->fact[fact]];
      uint64_t value;
      if (datum->kind == TIDE_D_NONE) continue;
      bool kept = value_of(fold, &fold->spec->field[kind->fact[fact]], datum, &value) && entity_of(fold, &item->txn, e) != TIDE_NO_ENTITY &&
                  tide_state_tell(&fold->state, e, item->txn.number[e], fact, time_ms, value);
      fold->metrics.value[kept ? TIDE_M_facts_told_total : TIDE_M_facts_dropped_total]++;
    }
  }
}
