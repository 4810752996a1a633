/* The last hour in short: some of the live metrics, every five seconds, for the console and for whoever comes to an incident late.
 *
 *   sample k:  at_ms | value of each series          720 samples in a ring, float each; a value that was not known is NaN
 *
 * Rates are per second over the time between two samples, quantiles are of what came between them. The ring is bounded by the number of series, which
 * the feature file fixes at start (decisions, causes, entities, rules); a restart forgets it: Prometheus is where metrics are kept. */
#ifndef TIDE_HISTORY_H
#define TIDE_HISTORY_H

#include "base/meter.h"
#include "feature/spec.h"

#define TIDE_HISTORY_STEP_MS 5000
#define TIDE_HISTORY_SAMPLES 720

/* X(name, what it is) */
#define TIDE_HISTORY_SERIES(X)                                                                            \
  X(answers, "decisions given over HTTP, per second")                                                     \
  X(messages, "decisions on messages of sources, per second")                                             \
  X(refused, "decisions of the fallback, per second, both ways")                                          \
  X(p50_ms, "time of POST /v1/score, milliseconds: half of the requests took at most so long")            \
  X(p99_ms, "the same of 99 %")                                                                           \
  X(p999_ms, "the same of 99.9 %")                                                                        \
  X(commit_p99_ms, "time until an entry is durable, 99 %")                                                \
  X(lag, "messages between the cursors and the ends of all logs that this engine reads")                  \
  X(behind_s, "seconds since the moment up to which the least complete partition is complete")            \
  X(online, "replicas that can acknowledge")                                                              \
  X(shorts, "WAITs that came back short, per second")                                                     \
  X(maybe, "messages whose result was indeterminate, per second")                                         \
  X(epochs, "changes of the epoch")
enum tide_history_series {
#define X(name, text) TIDE_H_##name,
  TIDE_HISTORY_SERIES(X)
#undef X
      TIDE_H_COUNT
};

struct tide_history;
/* spec and meters are borrowed. */
struct tide_history *tide_history_new(const struct tide_spec *spec, const struct tide_meters *meters);
void tide_history_free(struct tide_history *history);
/* One more sample, from what the meters hold now: one thread. Times do not fall. */
void tide_history_sample(struct tide_history *history, int64_t now_ms);

/* Any thread. Appends {"step_ms", "at": [ms, ...], "series": {...}, "decisions": {name: [...]}, "refusals": {cause: [...]}, "age_s": {entity: [...]}};
 * series that were zero or not known all the time are left out, null is what was not known. */
void tide_history_put(struct tide_history *history, struct tide_buf *out);
/* Any thread. How often the rule (index as on the meters' axis) was true, or decided if it is one of the fallback, in the last span_ms. */
double tide_history_rule(struct tide_history *history, uint32_t rule, int64_t span_ms);
/* The same for decisions of the fallback with this cause. */
double tide_history_cause(struct tide_history *history, uint32_t cause, int64_t span_ms);
/* Scores given in the hour by bucket: ret[TIDE_METER_BUCKETS_MAX]; how many buckets there are, without the one above all. */
uint32_t tide_history_scores(struct tide_history *history, int64_t *ret);
/* The last value of a series; NaN: not known. */
double tide_history_last(struct tide_history *history, enum tide_history_series series);

#endif
