/* Outcomes: results, reversals, disputes and labels that come after their event, or before it (rulings 26-29).
 *
 * An outcome finds its event by the identity it names at the card, changes it in all entities from its own position on, and is idempotent. One that
 * finds nothing waits as a stub for its event until lateness; nothing is lost silently, every case has its metric. */
#include "core/fold_state.h"

static bool outcome_amount(const struct tide_fold *fold, const struct tide_outcome *outcome, int64_t *ret) {
  if (!(outcome->set & (1u << TIDE_DYN_amount_now)) || fold->spec->f_amount == TIDE_NONE) return false;
  return tide_fold_convert(fold, outcome->amount_now, outcome->currency, outcome->exponent, ret);
}

static uint64_t watched_key(struct tide_u128 card, uint64_t id) {
  uint64_t word[3] = {card.lo, card.hi, id};
  return tide_hash64(word, sizeof word, 80);
}

struct tide_watched tide_fold_watched(const struct tide_txn *txn, bool has_identity, uint64_t id, uint64_t print) {
  if (!has_identity) return (struct tide_watched){.print = 1};
  bool has_alt = txn->alt[0].lo || txn->alt[0].hi;
  return (struct tide_watched){
      .known = true, .key = watched_key(txn->key[0], id), .alt = has_alt ? watched_key(txn->alt[0], id) : 0, .print = print};
}

static void tell_label(const struct tide_fold *fold, const struct tide_txn *txn, uint64_t id, uint64_t print,
                       const struct tide_outcome *outcome, bool again) {
  if (!fold->watch.labelled || !(outcome->set & (1u << TIDE_DYN_label))) return;
  struct tide_watched watched = tide_fold_watched(txn, true, id, print);
  fold->watch.labelled(fold->watch.ctx, &watched, outcome->label, again);
}

bool tide_outcome_come(struct tide_fold *fold, struct tide_group_item *item) {
  const struct tide_outcome *outcome = &item->record.outcome;
  struct tide_came *came = &item->came;
  item->txn.watermark_ms = fold->state.watermark_ms;
  if (!came->has_identity) {
    fold->metrics.value[TIDE_M_outcomes_dropped_total]++;
    return false;
  }
  came->no_rate = !outcome_amount(fold, outcome, &came->requested);
  if (came->no_rate) came->requested = TIDE_NULL_NUM;
  if (came->no_rate && outcome->set & (1u << TIDE_DYN_amount_now))
    fold->metrics.value[TIDE_M_outcomes_unpriced_total]++; /* the other columns are set (ruling 26) */
  return true;
}

bool tide_outcome_find(const struct tide_fold *fold, const struct tide_group_item *item, struct tide_at *ret_at) {
  uint32_t number = item->txn.number[0];
  const struct tide_memory *memory = &item->came.memory;
  int64_t watermark_ms = item->txn.watermark_ms;
  int64_t after_ms = watermark_ms == INT64_MIN ? INT64_MIN : watermark_ms - fold->plan->outcome_ms;
  if (number == TIDE_NO_ENTITY) return false;
  bool names_amount = memory->fp_amount != 1;
  return (names_amount && tide_find_identity(fold, number, memory->id, after_ms, memory->fp_amount, false, ret_at)) ||
         tide_find_identity(fold, number, memory->id, after_ms, 0, false, ret_at);
}

void tide_outcome_stub(struct tide_fold *fold, const struct tide_group_item *item) {
  struct tide_stub stub = {.card = item->txn.key[0],
                           .id = item->came.memory.id,
                           .born_ms = item->txn.watermark_ms,
                           .outcome = item->record.outcome,
                           .amount_now = item->came.requested,
                           .sets_amount = !item->came.no_rate};
  fold->metrics.value[tide_stubs_put(&fold->stubs, &stub) ? TIDE_M_outcomes_stubbed_total : TIDE_M_outcomes_dropped_total]++;
}

void tide_fold_outcome(struct tide_fold *fold, struct tide_group_item *item) {
  const struct tide_record *record = &item->record;
  struct tide_txn *txn = &item->txn;
  const struct tide_came *came = &item->came;
  tide_event_identify(fold, item);
  if (!tide_outcome_come(fold, item)) return;
  tide_fold_look_up(fold, txn);
  /* Whether or not the fold still remembers the event: who watches may. */
  tell_label(fold, txn, came->memory.id, came->memory.fp_amount, &record->outcome, false);
  struct tide_at at;
  if (!tide_outcome_find(fold, item, &at)) {
    tide_outcome_stub(fold, item);
    return;
  }
  struct tide_view view;
  tide_view_of(&fold->plan->kind[0], tide_store_ent(&fold->state.store[0], txn->number[0]), &view);
  tide_stale_watch_came(fold->stale_watch, txn, tide_block_time(&fold->plan->kind[0], view.chunk[at.chunk].block, at.i));
  tide_state_outcome(&fold->state, txn->number[0], at, &record->outcome, came->requested, !came->no_rate);
  fold->metrics.value[TIDE_M_outcomes_applied_total]++;
}

bool tide_stub_find(const struct tide_fold *fold, const struct tide_txn *txn, uint64_t id, struct tide_at *ret_at) {
  return tide_find_identity(fold, txn->number[0], id, txn->watermark_ms - fold->plan->outcome_ms, 0, true, ret_at);
}

void tide_fold_stubs(struct tide_fold *fold, const struct tide_txn *txn, uint64_t id) {
  struct tide_stub stub;
  while (tide_stubs_take(&fold->stubs, txn->key[0], txn->alt[0], id, &stub)) {
    struct tide_at at;
    if (!tide_stub_find(fold, txn, id, &at)) {
      fold->metrics.value[TIDE_M_outcomes_dropped_total]++; /* an advice so old that it was not kept */
      continue;
    }
    tide_state_outcome(&fold->state, txn->number[0], at, &stub.outcome, stub.amount_now, stub.sets_amount);
    tell_label(fold, txn, id, 1, &stub.outcome, true);
    fold->metrics.value[TIDE_M_outcomes_applied_total]++;
  }
}
