/* What moves the watermark: events, heartbeats, and, behind the records of their entry, facts of partitions that are read to their ends (ruling 11, 56).
 *
 * The watermark never falls, so what was dropped behind it is never asked for again. It is the least over many partitions, and is worked out anew only when the
 * partition that moved could have been the least: one that was ahead of it before cannot. */
#include "core/fold_slice.h"

static void raise_to(struct tide_fold *fold, int64_t least_ms) {
  if (least_ms == INT64_MIN || least_ms <= fold->state.watermark_ms) return;
  if (fold->state.watermark_ms == INT64_MIN) tide_stubs_begin(&fold->stubs, least_ms); /* born before there was time */
  if (fold->state.watermark_ms == INT64_MIN) tide_state_begin(&fold->state, least_ms);
  fold->state.watermark_ms = least_ms;
  if (!tide_slices_coming(fold->slices)) tide_fold_expire(fold, least_ms);
}

void tide_fold_expire(struct tide_fold *fold, int64_t watermark_ms) {
  fold->metrics.value[TIDE_M_outcomes_dropped_total] += (int64_t)tide_stubs_expire(&fold->stubs, watermark_ms - fold->settings.lateness_ms);
}

int64_t tide_fold_stamp(struct tide_fold *fold, const struct tide_record *record) {
  if (!(record->flags & TIDE_REC_STAMPED)) return record->time.ms;
  if (fold->commit_ms > fold->stamp_ms) fold->stamp_ms = fold->commit_ms;
  return fold->stamp_ms;
}

void tide_fold_facts(struct tide_fold *fold) {
  if (fold->spec && fold->ledger.gating) raise_to(fold, tide_ledger_watermark(&fold->ledger, fold->commit_ms));
}

uint32_t tide_fold_pass(struct tide_fold *fold, const struct tide_record *record, int64_t time_ms) {
  struct tide_ledger *ledger = &fold->ledger;
  uint32_t known = ledger->partition_count;
  struct tide_partition *partition = tide_ledger_partition(ledger, record->source, record->partition);
  TIDE_CHECK(partition); /* parts of more partitions were refused */
  if (ledger->partition_count != known) tide_gate_change(&fold->gate);
  int64_t passed_ms = time_ms < fold->commit_ms ? time_ms : fold->commit_ms, before_ms = partition->watermark_ms;
  if (passed_ms > before_ms) partition->watermark_ms = passed_ms;
  if (!ledger->gating || before_ms <= fold->state.watermark_ms) raise_to(fold, tide_ledger_watermark(ledger, fold->commit_ms));
  if (fold->state.watermark_ms == INT64_MIN) raise_to(fold, passed_ms); /* a gating partition has not spoken yet, and time must begin */
  return (uint32_t)(partition - ledger->partition);
}

void tide_fold_heartbeat(struct tide_fold *fold, const struct tide_record *record) {
  tide_ledger_heard(&fold->ledger, record->source, fold->commit_ms);
  tide_gate_change(&fold->gate);
  (void)tide_fold_pass(fold, record, record->time.ms);
  tide_fold_facts(fold); /* what was silent counts again, all of it */
}
