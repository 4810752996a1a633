/* Metrics: each module owns an X-macro table of rows (name, type, unit, help); the registry composes them.
 *
 * A metric is a row in TIDE_METRICS below plus an index into a plain array of counters, so the hot path adds to an int. Labelled
 * families (rule, cause) are arrays sized at start. Exposition is the Prometheus text format 0.0.4. */
#ifndef TIDE_METRIC_H
#define TIDE_METRIC_H

#include "base/buf.h"

enum tide_metric_type { TIDE_METRIC_COUNTER, TIDE_METRIC_GAUGE };

/* name (without the tidemark_ prefix), type, help */
#define TIDE_METRICS(X)                                                                                   \
  X(events_counted_total, COUNTER, "Events counted in at least the primary entity")                       \
  X(events_uncounted_total, COUNTER, "Events scored without counting (count: false)")                     \
  X(events_duplicate_total, COUNTER, "Events recognised as duplicates")                                   \
  X(events_conflict_total, COUNTER, "Events whose id is remembered with another amount or merchant")      \
  X(events_late_total, COUNTER, "Events behind the watermark by more than lateness")                      \
  X(events_reordered_total, COUNTER, "Events behind the watermark but within lateness")                   \
  X(events_rejected_total, COUNTER, "Messages that could not be decoded or converted")                    \
  X(events_incremental_total, COUNTER, "Incremental authorizations added to their parent")                \
  X(outcomes_applied_total, COUNTER, "Outcomes applied to an event")                                      \
  X(outcomes_stubbed_total, COUNTER, "Outcomes that came before their event")                             \
  X(outcomes_dropped_total, COUNTER, "Outcomes whose event never came, or is forgotten")                  \
  X(outcomes_unpriced_total, COUNTER, "Amounts of outcomes that were left out: no rate for their currency") \
  X(decisions_total, COUNTER, "Decisions made")                                                           \
  X(decisions_refused_total, COUNTER, "Decisions by fallback")                                            \
  X(entities_dropped_total, COUNTER, "Entities not created because their kind was at its limit")          \
  X(entities, GAUGE, "Entities in memory")                                                                \
  X(state_bytes, GAUGE, "Bytes of entity state")                                                          \
  X(journal_entries_total, COUNTER, "Entries folded")                                                     \
  X(journal_bytes_total, COUNTER, "Bytes of entries folded")                                              \
  X(journal_syncs_total, COUNTER, "Group commits made durable")                                           \
  X(journal_void_total, COUNTER, "Entries that changed nothing (another fence, cursor gap)")

enum tide_metric {
#define X(name, type, help) TIDE_M_##name,
  TIDE_METRICS(X)
#undef X
      TIDE_METRIC_COUNT
};

struct tide_metrics { int64_t value[TIDE_METRIC_COUNT]; };

/* Appends all metrics as Prometheus text. */
void tide_metrics_expose(const struct tide_metrics *metrics, struct tide_buf *out);
/* Appends the Markdown table for the reference page. */
void tide_metrics_document(struct tide_buf *out);

#endif
