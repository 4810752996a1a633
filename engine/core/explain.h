/* A decision as a document: the answer, the message, every rule, value, contribution and window, and the past events behind them.
 *
 * `tidemark explain` makes it while it folds the journal again, so that everything is as it was; a running engine makes it of its live state
 * (TIDE_ASK_EXPLAIN), where the verdict is the stored one and the rest is what the state shows now. One writer for both, so that a page which draws the
 * one can draw the other. */
#ifndef TIDE_EXPLAIN_H
#define TIDE_EXPLAIN_H

#include "core/fold.h"

/* One thing that the trace told; slots are at slot_first of the same explain's slots. */
struct tide_explain_past {
  const char *entity; /* of the feature file */
  int64_t time_ms, amount_minor;
  bool has_amount, has_result;
  uint8_t result;  /* enum tide_result */
  uint64_t summed; /* so many events in a tile that ends at time_ms; 0: one event */
  uint32_t slot_first, slot_count;
};
struct tide_explain {
  struct tide_explain_past *past;
  size_t past_count, past_cap;
  uint32_t *slot; /* of all past events, one behind the other */
  size_t slot_count, slot_cap;
  uint64_t rollout;   /* that was in force; 0: none */
  int64_t events_max; /* of one entity in the document, the newest */
};

struct tide_explain *tide_explain_new(int64_t events_max);
void tide_explain_free(struct tide_explain *explain);
/* A tide_trace_fn; ctx is the explain. */
void tide_explain_note(void *ctx, const struct tide_trace_event *event);
/* What was told so far was another event's. */
void tide_explain_clear(struct tide_explain *explain);
/* First of the newest events_max past events of the entity that begins at `from`; *ret_end is behind its last. */
size_t tide_explain_newest(const struct tide_explain *explain, size_t from, size_t *ret_end);

#define TIDE_EXPLAIN_MASKED 1 /* keyed hashes in the message as their first 8 digits */
#define TIDE_EXPLAIN_AGAIN 2  /* values are of the state now, the verdict is the stored one: "again" holds the score that comes out now */
/* Appends one JSON object without newline: answer, model, policy, rollout, message, rules, rule_details, definitions, windows, contributions, events. */
void tide_explain_json(const struct tide_explain *explain, const struct tide_answer *answer, unsigned flags, struct tide_buf *out);

#endif
