/* What a run did, in words people understand, or as JSON.
 *
 * Computed from decisions and labels alone (tally.h), so a summary of a resumed run is that of the whole log, not of its last
 * part. */
#ifndef TIDE_SUMMARY_H
#define TIDE_SUMMARY_H

#include "cli/replay_run.h"
#include "cli/tally.h"

#include <stdio.h>

void tide_summary_print(const struct tide_spec *spec, const struct tide_replay_stats *stats, const struct tide_effects *effects, FILE *out);
/* One JSON object without newline. */
void tide_summary_json(const struct tide_spec *spec, const struct tide_replay_stats *stats, const struct tide_effects *effects, struct tide_buf *out);

/* Helpers shared with other reports. 1234567 -> "1,234,567"; minor units -> "12,345.67". Both return out. */
#define TIDE_AMOUNT_TEXT 48
const char *tide_count_text(uint64_t count, char out[TIDE_AMOUNT_TEXT]);
const char *tide_money_text(int64_t minor, int exponent, char out[TIDE_AMOUNT_TEXT]);
/* Members hits, value, fraud, fraud_value, genuine, customers, false_positive_ratio into an open object. */
void tide_effect_json(const struct tide_spec *spec, const struct tide_effect *effect, struct tide_buf *out);

#endif
