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

void tide_fold_outcome(struct tide_fold *fold, struct tide_group_item *item) {
  const struct tide_record *record = &item->record;
  struct tide_txn *txn = &item->txn;
  uint64_t id;
  if (!txn->has_key[0] || !tide_record_identity(fold, record, &id)) {
    fold->metrics.value[TIDE_M_outcomes_dropped_total]++;
    return;
  }
  int64_t amount_now = TIDE_NULL_NUM;
  bool sets_amount = outcome_amount(fold, &record->outcome, &amount_now);
  bool names_new_amount = record->outcome.set & (1u << TIDE_DYN_amount_now);
  if (names_new_amount && !sets_amount) fold->metrics.value[TIDE_M_outcomes_unpriced_total]++; /* the other columns are set (ruling 26) */
  tide_state_lookup(&fold->state, txn);
  struct tide_at at;
  int64_t after_ms = fold->state.watermark_ms == INT64_MIN ? INT64_MIN : fold->state.watermark_ms - fold->plan->outcome_ms;
  uint64_t fp = tide_amount_fingerprint(fold, record);
  bool names_amount = fp != 1;
  tell_label(fold, txn, id, fp, &record->outcome, false); /* whether or not the fold still remembers the event: who watches may */
  uint32_t number = txn->number[0];
  if (number != TIDE_NO_ENTITY && ((names_amount && tide_find_identity(fold, number, id, after_ms, fp, false, &at)) ||
                                   tide_find_identity(fold, number, id, after_ms, 0, false, &at))) {
    struct tide_view view;
    tide_view_of(&fold->plan->kind[0], tide_store_ent(&fold->state.store[0], number), &view);
    tide_stale_watch_came(fold->stale_watch, txn, tide_block_time(&fold->plan->kind[0], view.chunk[at.chunk].block, at.i));
    tide_state_outcome(&fold->state, number, at, &record->outcome, amount_now, sets_amount);
    fold->metrics.value[TIDE_M_outcomes_applied_total]++;
    return;
  }
  struct tide_stub stub = {.card = txn->key[0],
                           .id = id,
                           .born_ms = fold->state.watermark_ms,
                           .outcome = record->outcome,
                           .amount_now = amount_now,
                           .sets_amount = sets_amount};
  fold->metrics.value[tide_stubs_put(&fold->stubs, &stub) ? TIDE_M_outcomes_stubbed_total : TIDE_M_outcomes_dropped_total]++;
}

void tide_fold_stubs(struct tide_fold *fold, const struct tide_txn *txn, uint64_t id) {
  uint32_t number = txn->number[0];
  struct tide_stub stub;
  while (tide_stubs_take(&fold->stubs, txn->key[0], txn->alt[0], id, &stub)) {
    struct tide_at at;
    int64_t after_ms = fold->state.watermark_ms - fold->plan->outcome_ms;
    if (!tide_find_identity(fold, number, id, after_ms, 0, true, &at)) {
      fold->metrics.value[TIDE_M_outcomes_dropped_total]++; /* an advice so old that it was not kept */
      continue;
    }
    tide_state_outcome(&fold->state, number, at, &stub.outcome, stub.amount_now, stub.sets_amount);
    tell_label(fold, txn, id, 1, &stub.outcome, true);
    fold->metrics.value[TIDE_M_outcomes_applied_total]++;
  }
}
