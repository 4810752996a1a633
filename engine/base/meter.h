/* Live metrics of a serving engine: counters, gauges and histograms with labels, written by several threads and read by another without a lock.
 *
 * One row per metric in TIDE_METERS; labels are axes whose values are fixed at start (the rules of this feature file, the routes of this server), so
 * every cell has its place in one array and nothing is allocated or looked up by name afterwards. Each writing thread has a shard of its own and is its
 * only writer: adding is a relaxed load and store, no locked instruction, no shared cache line. The reader adds the shards up. What it sees of one word is
 * never torn and never goes back; words of one moment may differ by what was being written, which the exposition allows for: the count of a histogram is
 * the sum of the buckets that were read, so buckets and count always agree.
 *
 * The fold's own counters (metric.h) stay plain integers of its thread, because it runs a million times a second; their thread copies them into its shard
 * after each step (tide_meter_publish).
 *
 * Latencies have fixed buckets at 1, 1.5, 2, 3, 5, 7 of every decade from 10 us to 10 s: log-spaced, so a quantile read from them is off by less than the
 * distance of two bounds (a factor of 1.67 at most), and the limits people set (1, 5, 15, 100 ms) are bounds themselves. Sizes have powers of two. */
#ifndef TIDE_METER_H
#define TIDE_METER_H

#include "base/err.h"
#include "base/metric.h"

/* The names of labels. */
#define TIDE_METER_AXES(X) X(none) X(route) X(status) X(decision) X(rule) X(cause) X(entity) X(state)
enum tide_meter_axis {
#define X(name) TIDE_AXIS_##name,
  TIDE_METER_AXES(X)
#undef X
      TIDE_AXIS_COUNT
};

enum tide_meter_type { TIDE_METER_COUNTER, TIDE_METER_GAUGE, TIDE_METER_SECONDS, TIDE_METER_RECORDS }; /* the latter two: histograms */

/* X(name without tidemark_, type, up to three labels, help) */
#define TIDE_METERS(X)                                                                                                                             \
  X(queue_seconds, SECONDS, none, none, none, "From the arrival of a request until the core takes it")                                             \
  X(commit_seconds, SECONDS, none, none, none, "From the append of an entry until it is durable")                                                  \
  X(fold_seconds, SECONDS, none, none, none, "Folding one entry and deciding its requests")                                                        \
  X(total_seconds, SECONDS, none, none, none, "From the arrival of a scoring request to its answer")                                               \
  X(commit_batch_records, RECORDS, none, none, none, "Records in an entry of the journal")                                                         \
  X(http_request_seconds, SECONDS, route, status, none, "From the first byte of a request to the last of its answer, by route and class of status") \
  X(http_connections, GAUGE, none, none, none, "Open connections")                                                                                 \
  X(queue_requests, GAUGE, none, none, none, "Requests that wait for the core")                                                                    \
  X(queue_refused_total, COUNTER, none, none, none, "Requests that found the queue full")                                                          \
  X(decisions_by_rule_total, COUNTER, decision, rule, cause, "Decisions by what decided; cause: why the fallback did")                             \
  X(feature_values_total, COUNTER, entity, state, none, "Feature values read for decisions, by their state")                                       \
  X(log_suppressed_total, COUNTER, none, none, none, "Log lines left out because their event came too often")

enum tide_meter_row {
#define X(name, type, a, b, c, help) TIDE_METER_ROW_##name,
  TIDE_METERS(X)
#undef X
      TIDE_METER_ROW_COUNT
};

/* The values of one label, by index. The strings are copied; they may hold anything but must be UTF-8. An axis that has none here makes its metrics
 * empty. */
struct tide_meter_values {
  const char *const *value;
  uint32_t count;
};

#define TIDE_METER_CELLS_MAX (1u << 20) /* words in a shard */

struct tide_meters; /* all of them */
struct tide_meter;  /* one thread's shard */

/* values: by enum tide_meter_axis; TIDE_AXIS_none is not looked at. Error: LIMIT when the labels multiply to more than TIDE_METER_CELLS_MAX words. */
enum tide_err tide_meters_new(const struct tide_meter_values values[TIDE_AXIS_COUNT], unsigned shards, struct tide_meters **ret,
                              struct tide_error *error) TIDE_WARN_UNUSED;
void tide_meters_free(struct tide_meters *meters);
/* The shard of one thread; it lives as long as meters. Two threads must never write to it. */
struct tide_meter *tide_meters_shard(struct tide_meters *meters, unsigned shard);

/* Which cell: the index of the value of each of the row's labels, in the row's order. */
struct tide_meter_at { uint32_t a, b, c; };
#define TIDE_METER_PLAIN ((struct tide_meter_at){0, 0, 0})

/* One more shard, for threads that have none of their own (those of a library): any number of them may add to it at once, at the price of a locked
 * instruction each; tide_meter_set and tide_meter_publish still need one writer per cell. */
struct tide_meter *tide_meters_shared(struct tide_meters *meters);

/* All of these: only on the shard's thread; a row of another type or an index beyond its axis is our bug. */
void tide_meter_add(struct tide_meter *meter, enum tide_meter_row row, struct tide_meter_at at, int64_t n); /* COUNTER (n >= 0), GAUGE */
void tide_meter_set(struct tide_meter *meter, enum tide_meter_row row, struct tide_meter_at at, int64_t n); /* GAUGE; the shards are added up */
void tide_meter_seconds(struct tide_meter *meter, enum tide_meter_row row, struct tide_meter_at at, int64_t ns); /* below 0 counts as 0 */
void tide_meter_records(struct tide_meter *meter, enum tide_meter_row row, struct tide_meter_at at, int64_t n);
void tide_meter_publish(struct tide_meter *meter, const struct tide_metrics *metrics);

/* Any thread. Appends everything, the fold's metrics first, in the Prometheus text format 0.0.4 (Content-Type: text/plain; version=0.0.4). Cells with
 * labels appear once they were written to. */
void tide_meters_expose(const struct tide_meters *meters, struct tide_buf *out);
/* Appends the Markdown table for the reference page. */
void tide_meters_document(struct tide_buf *out);

#endif
