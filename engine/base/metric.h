/* What the fold counts: plain integers of its thread, because it runs a million times a second. Replay prints them at its end; a serving engine copies
 * them into its live metrics once a tick (meter.h), which also shows them.
 *
 * One row per counter in TIDE_METRICS; the exposition (Prometheus text 0.0.4), the report of replay and the reference page are made of the rows. */
#ifndef TIDE_METRIC_H
#define TIDE_METRIC_H

#include "base/buf.h"

/* X(name without tidemark_, help) */
#define TIDE_METRICS(X)                                                                                   \
  X(events_counted_total, "Events counted in at least the primary entity") \
  X(events_uncounted_total, "Events scored without counting (count: false)") \
  X(events_duplicate_total, "Events recognised as duplicates") \
  X(events_conflict_total, "Events whose id is remembered with another amount or merchant") \
  X(events_late_total, "Events behind the watermark by more than lateness") \
  X(events_reordered_total, "Events behind the watermark but within lateness") \
  X(events_rejected_total, "Messages that could not be decoded or converted") \
  X(events_incremental_total, "Incremental authorizations added to their parent") \
  X(outcomes_applied_total, "Outcomes applied to an event") \
  X(outcomes_stubbed_total, "Outcomes that came before their event") \
  X(outcomes_dropped_total, "Outcomes whose event never came, or is forgotten") \
  X(outcomes_unpriced_total, "Amounts of outcomes that were left out: no rate for their currency") \
  X(facts_told_total, "Facts about entities that were kept") \
  X(facts_dropped_total, "Facts that were not kept: two newer ones are known, no key, no room for the entity, or no rate") \
  X(decisions_total, "Decisions made") \
  X(decisions_refused_total, "Decisions by fallback") \
  X(decisions_canary_total, "Decisions with the score of a canary model") \
  X(decisions_fallback_model_total, "Decisions by a rule with the score of the fallback model") \
  X(shadow_scores_total, "Scores of shadow models") \
  X(shadow_scores_refused_total, "The same, refused for features that cannot be trusted") \
  X(shadow_decisions_total, "Decisions by the shadow policy") \
  X(shadow_decisions_other_total, "The same, where the policy in force decided otherwise") \
  X(artifacts_total, "Versions of models, policies and feature files that the journal has brought, repeated ones included") \
  X(rollouts_total, "Rollouts that took effect") \
  X(rollouts_past_total, "Rollouts that were passed over because one with their number or a later one is in force") \
  X(rollouts_void_total, "Rollouts that could not take effect: something they name is missing or does not fit") \
  X(entities_dropped_total, "Entities not created because their kind was at its limit") \
  X(journal_entries_total, "Entries folded") \
  X(journal_bytes_total, "Bytes of entries folded") \
  X(journal_void_total, "Entries that changed nothing (another fence, cursor gap)") \
  X(journal_checked_total, "Positions at which an engine said what it had decided, and this one had decided the same") \
  X(journal_diverged_total, "The same, and this one had decided otherwise: one of the two is wrong")

enum tide_metric {
#define X(name, help) TIDE_M_##name,
  TIDE_METRICS(X)
#undef X
      TIDE_METRIC_COUNT
};

struct tide_metrics { int64_t value[TIDE_METRIC_COUNT]; };

/* Appends all of them as Prometheus text. */
void tide_metrics_expose(const struct tide_metrics *metrics, struct tide_buf *out);
/* Appends their rows of the table on the reference page (tide_meters_document). */
void tide_metrics_document(struct tide_buf *out);

#endif
