/* Live metrics of a serving engine: counters, gauges and histograms with labels, written by several threads and read by another without a lock.
 *
 * One row per metric in TIDE_METERS; labels are axes whose values are fixed at start (the rules of this feature file, the routes of this server), so
 * every cell has its place in one array; only values that come later (rules of another policy) are looked up by name. Each writing thread has a shard of its own and is its
 * only writer: adding is a relaxed load and store, no locked instruction, no shared cache line. The reader adds the shards up. What it sees of one word is
 * never torn and never goes back; words of one moment may differ by what was being written, which the exposition allows for: the count of a histogram is
 * the sum of the buckets that were read, so buckets and count always agree.
 *
 * The fold's own counters (metric.h) stay plain integers of its thread, because it runs a million times a second; their thread copies them into its shard
 * after each step (tide_meter_publish).
 *
 * Latencies have fixed buckets at 1, 1.5, 2, 3, 5, 7 of every decade from 10 us to 10 s: log-spaced, so a quantile read from them is off by less than the
 * distance of two bounds (a factor of 1.67 at most), and the limits people set (1, 5, 15, 100 ms) are bounds themselves. Sizes have powers of two, shares have
 * twenty steps of 0.05. */
#ifndef TIDE_METER_H
#define TIDE_METER_H

#include "base/err.h"
#include "base/metric.h"

/* X(axis, name of the label). Two axes may share a name: no metric has both. */
#define TIDE_METER_AXES(X)                                                                                                             \
  X(none, "") X(route, "route") X(code, "code") X(problem, "type") X(limit, "limit") X(status, "status") X(decision, "decision")        \
  X(rule, "rule") X(cause, "cause") X(entity, "entity") X(state, "state") X(engine_state, "state")        \
  X(source, "source") X(partition, "partition") X(reason, "reason") X(letter, "letter") X(result, "result") \
  X(input, "input") X(window, "window") X(label, "label") X(match, "result") X(verdict, "verdict")
enum tide_meter_axis {
#define X(name, label) TIDE_AXIS_##name,
  TIDE_METER_AXES(X)
#undef X
      TIDE_AXIS_COUNT
};

/* LEVEL: a gauge whose cells are there only while they are set, zero included; of one writing shard. AGE: the same in nanoseconds, shown as seconds. RATIO: the same in
 * billionths, shown as a number. The last three: histograms. */
enum tide_meter_type {
  TIDE_METER_COUNTER, TIDE_METER_GAUGE, TIDE_METER_LEVEL, TIDE_METER_AGE, TIDE_METER_RATIO, TIDE_METER_SECONDS, TIDE_METER_RECORDS, TIDE_METER_SHARE
};

/* X(name without tidemark_, type, up to three labels, help) */
#define TIDE_METERS(X) \
  X(queue_seconds, SECONDS, none, none, none, "From a message being decoded until it is put into an entry of the journal") \
  X(commit_seconds, SECONDS, none, none, none, "From a message being put into an entry until the entry is durable") \
  X(fold_seconds, SECONDS, none, none, none, "From an entry being durable until it is folded and the answers to its messages are there") \
  X(total_seconds, SECONDS, route, none, none, "From the first look at a request until its answer is written") \
  X(commit_batch_records, RECORDS, none, none, none, "Records of messages in one entry of the journal; entries without any are left out") \
  X(engine_state, GAUGE, engine_state, none, none, "1 for the state that the engine is in") \
  X(engine_entries_own_total, COUNTER, none, none, none, "Entries of this engine") \
  X(engine_entries_foreign_total, COUNTER, none, none, none, "Entries read that others wrote, or this engine before it started") \
  X(engine_records_total, COUNTER, none, none, none, "Records of messages put into entries") \
  X(engine_sessions_total, COUNTER, none, none, none, "Sessions to the journal begun") \
  X(engine_verified_total, COUNTER, none, none, none, "Times that a session was seen to hold the entry folded last") \
  X(engine_rolled_back_total, COUNTER, none, none, none, "Times that the journal had lost entries that were not yet acknowledged") \
  X(engine_syncs_total, COUNTER, none, none, none, "Group commits asked for") \
  X(engine_clock_steps_total, COUNTER, none, none, none, "Times that the wall clock was stepped: nothing is written behind one before the journal's clock was compared") \
  X(engine_refused_total, COUNTER, none, none, none, "Messages refused by the core: nothing of them was journaled") \
  X(engine_maybe_total, COUNTER, none, none, none, "Messages that ended before their entry was known to be durable: indeterminate results") \
  X(engine_recomputed_total, COUNTER, none, none, none, "Requests that waited for fresher facts, as `stale: recompute` asks") \
  X(engine_recomputed_fresh_total, COUNTER, none, none, none, "Of these, those whose features were fresh by then") \
  X(engine_late_total, COUNTER, none, none, none, "Scores refused at their release: beyond a budget by the time they were acknowledged; the journal keeps them") \
  X(engine_retried_total, COUNTER, none, none, none, "Messages put into a second entry because the first was void") \
  X(engine_queued, GAUGE, none, none, none, "Messages that wait for an entry") \
  X(engine_in_flight, GAUGE, none, none, none, "Messages whose entry is under way") \
  X(journal_epoch, GAUGE, none, none, none, "The epoch of the entry folded last") \
  X(journal_epoch_changes_total, COUNTER, none, none, none, "Times that the folded epoch became another one") \
  X(journal_replicas, LEVEL, none, none, none, "Replicas that the journal's primary should have; absent: the store has none") \
  X(journal_replicas_online, LEVEL, none, none, none, "Replicas that the primary said it has, up to date enough to acknowledge; absent: there is no session") \
  X(journal_quorum, LEVEL, none, none, none, "Replicas that must have a commit before it is acknowledged") \
  X(journal_wait_short_total, COUNTER, none, none, none, "Times that fewer replicas than the quorum acknowledged within the time of one WAIT") \
  X(archive_pruned_total, COUNTER, none, none, none, "Files of the mirror's archive that were removed because they were older than journal.archive_keep") \
  X(inbox_refused_total, COUNTER, none, none, none, "Messages that the engine did not take, because its inbox was full or it had ended") \
  X(entities, GAUGE, entity, none, none, "Entities in memory, by kind") \
  X(feature_values_total, COUNTER, entity, state, none, "Feature values read for decisions, by the kind of entity and their state") \
  X(rule_hits_total, COUNTER, rule, none, none, "Decisions of the cell for which a rule was true, shadow rules included; fallback rules are not counted here") \
  X(judged_total, COUNTER, none, none, none, "Decisions of the cell whose features were computed") \
  X(stale_reads_total, COUNTER, entity, none, none, "Of them those that read features beyond the budget of their group, by the kind of entity") \
  X(stale_verdicts_total, COUNTER, verdict, none, none, "What a refusal for staleness turned out to be: right (something relevant came later), false (nothing did), unknown") \
  X(stale_watched, GAUGE, none, none, none, "Refusals for staleness whose groups are not complete yet") \
  X(scores, SHARE, none, none, none, "Scores of the model in decisions given, over HTTP and on messages of sources") \
  X(rollout_number, GAUGE, none, none, none, "Number of the rollout in force; 0: there was none") \
  X(rollout_void, GAUGE, none, none, none, "1 while the journal holds a later rollout that could not take effect; /healthz says why") \
  X(answers_total, COUNTER, status, decision, none, "Decisions given over HTTP, retries included") \
  X(answers_by_rule_total, COUNTER, decision, rule, cause, "The same by what decided; cause: why the fallback did, or none") \
  X(ingest_decisions_total, COUNTER, decision, rule, cause, "Decisions on messages of sources by what decided, on the engine that reads; cause: why the fallback did, or none") \
  X(answers_duplicate_total, COUNTER, none, none, none, "Answers to a transaction that was known") \
  X(http_requests_total, COUNTER, route, code, none, "Requests answered, by route and status") \
  X(http_problems_total, COUNTER, problem, none, none, "Problem documents given, by type; those of the messages of a batch as well") \
  X(http_connections, GAUGE, none, none, none, "Open connections, both listeners") \
  X(http_connections_total, COUNTER, none, none, none, "Connections accepted") \
  X(http_connections_cut_total, COUNTER, limit, none, none, "Connections closed by this side because of a limit") \
  X(http_in_flight, GAUGE, none, none, none, "Requests that wait for the engine") \
  X(http_line_waiting, GAUGE, none, none, none, "Requests that wait until fewer are worked on") \
  X(http_line_working, GAUGE, none, none, none, "Requests that are worked on") \
  X(http_line_limit, GAUGE, none, none, none, "Requests that may be worked on at once, as the queueing delay allows") \
  X(http_traceparent_invalid_total, COUNTER, none, none, none, "traceparent headers that were not understood and left out") \
  X(http_protocol_errors_total, COUNTER, none, none, none, "Complaints of the HTTP library: broken requests, peers that went away") \
  X(ingest_active, GAUGE, none, none, none, "1 while this engine reads the sources") \
  X(ingest_unanswered, GAUGE, none, none, none, "1 while a question to the brokers (partitions, ends of logs) has no answer; /readyz says which") \
  X(ingest_opening_partitions, GAUGE, none, none, none, "Partitions that the epoch waits for before it is open") \
  X(ingest_messages_total, COUNTER, none, none, none, "Messages of sources put into entries by this engine, rejected ones included") \
  X(ingest_rejected_total, COUNTER, source, reason, none, "Messages that could not be used, by the reason in their dead letter") \
  X(ingest_marks_total, COUNTER, none, none, none, "Marks read that an engine had written to find the ends of logs (ingest.barrier: marker); they are no messages") \
  X(ingest_letters_total, COUNTER, letter, result, none, "Letters by what became of an attempt to send one; failed ones of scores and dead letters are sent again") \
  X(ingest_unsent_answers, GAUGE, none, none, none, "Answers to messages that are not known to have left") \
  X(ingest_held_messages, GAUGE, none, none, none, "Messages that wait for other partitions or for their dead letter") \
  X(ingest_claims_total, COUNTER, none, none, none, "Times that this engine became the one that reads") \
  X(ingest_rereads_total, COUNTER, none, none, none, "Times that the sources were read again from the cursors of the journal") \
  X(ingest_emitted_total, COUNTER, none, none, none, "Answers to messages handed to the outlet, those of takeovers again included") \
  X(ingest_unlogged_total, COUNTER, none, none, none, "Requests that ended `maybe` because their copy did not reach the log") \
  X(source_lag_messages, LEVEL, source, partition, none, "Messages between the cursor and the end of the log as last told; on the engine that reads") \
  X(source_delay_seconds, AGE, source, partition, none, "How long after their own time messages come into the log (a queue before it shows here)") \
  X(source_seen_age_seconds, AGE, source, partition, none, "Time since the newest moment that a message of the partition has spoken of") \
  X(source_complete_age_seconds, AGE, source, partition, none, "Time since the moment up to which the partition is complete; freshness is judged by it") \
  X(source_stopped, LEVEL, source, partition, none, "1 when the partition stands still; on the engine that reads. /sources says why") \
  X(source_waived, LEVEL, source, partition, none, "1 while an operator has waived the partition") \
  X(source_silent, LEVEL, source, none, none, "1 when nothing was heard of the source for longer than its `silence`") \
  X(freshness_age_seconds, AGE, entity, none, none, "How stale the features of a card never seen would be, were it asked for now; absent: nothing says") \
  X(freshness_budget_seconds, AGE, entity, none, none, "How stale they may be") \
  X(freshness_stale, LEVEL, entity, none, none, "1 when they are staler than that") \
  X(registry_up, LEVEL, none, none, none, "1 while the registry answers, 0 while it does not; absent: there is none") \
  X(registry_age_seconds, AGE, none, none, none, "Time since the registry answered last") \
  X(registry_revision, LEVEL, none, none, none, "Revision of etcd as last heard") \
  X(registry_rollout, LEVEL, none, none, none, "Number of the rollout that the registry asks for") \
  X(registry_errors_total, COUNTER, none, none, none, "Questions to the registry that ended with an error, and values in it that cannot be used") \
  X(registry_offers_total, COUNTER, none, none, none, "Records of versions and rollouts that this engine brought into the journal") \
  X(drift_psi, RATIO, window, input, none, "Population stability index of a model input, or of the score, against its training; of the model that scored last") \
  X(drift_ks, RATIO, window, input, none, "Greatest difference of the two distributions (Kolmogorov and Smirnov) of the same") \
  X(drift_severity, LEVEL, window, input, none, "0 none, 1 moderate (index from 0.1), 2 severe (from 0.25); 0 where chance explains it") \
  X(drift_rows, LEVEL, window, none, none, "Decisions in the window of event time") \
  X(feedback_auc, RATIO, none, none, none, "ROC AUC of the model that scored last, by the labels that have come") \
  X(feedback_rule_precision, RATIO, rule, none, none, "Share of fraud among the labelled transactions for which the rule was true") \
  X(feedback_precision, RATIO, none, none, none, "Share of fraud among the labelled transactions that were decided otherwise than most mildly") \
  X(feedback_recall, RATIO, none, none, none, "Share of the labelled frauds that were decided so") \
  X(feedback_weight, LEVEL, label, none, none, "Decisions that the labelled ones in the sample stand for") \
  X(feedback_labels, LEVEL, match, none, none, "Labels that came, by whether their decision is kept") \
  X(log_suppressed_total, COUNTER, none, none, none, "Log lines left out because their event came too often")

enum tide_meter_row {
#define X(name, type, a, b, c, help) TIDE_METER_ROW_##name,
  TIDE_METERS(X)
#undef X
      TIDE_METER_ROW_COUNT
};

/* The values of one label, by index. The strings are copied; they may hold anything but must be UTF-8. NULL, only at the end: a place that gets its name later
 * (tide_meters_place) and is not shown before. An axis that has none here makes its metrics
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
/* Where the value of a label stands, by its name; one that is not there takes the next place without a name. Any thread. False: there is none. */
bool tide_meters_place(struct tide_meters *meters, enum tide_meter_axis axis, const char *name, uint32_t *ret);
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
/* GAUGE, LEVEL, AGE, RATIO (n >= 0), or a COUNTER that is kept elsewhere and copied here; the shards are added up. */
void tide_meter_set(struct tide_meter *meter, enum tide_meter_row row, struct tide_meter_at at, int64_t n);
/* LEVEL, AGE, RATIO: the cell is not there any more. */
void tide_meter_unset(struct tide_meter *meter, enum tide_meter_row row, struct tide_meter_at at);
void tide_meter_seconds(struct tide_meter *meter, enum tide_meter_row row, struct tide_meter_at at, int64_t ns); /* below 0 counts as 0 */
void tide_meter_records(struct tide_meter *meter, enum tide_meter_row row, struct tide_meter_at at, int64_t n);
void tide_meter_share(struct tide_meter *meter, enum tide_meter_row row, struct tide_meter_at at, int64_t millionths); /* 0..1000000 */
void tide_meter_publish(struct tide_meter *meter, const struct tide_metrics *metrics);

/* All that the shard is one of. */
struct tide_meters *tide_meter_all(struct tide_meter *meter);

/* Any thread. The value of one cell, all shards added up; of a LEVEL or AGE false when it is not there. Not of a histogram. */
bool tide_meters_get(const struct tide_meters *meters, enum tide_meter_row row, struct tide_meter_at at, int64_t *ret);
/* Any thread. What the buckets of a histogram's cell hold, not summed: ret[TIDE_METER_BUCKETS_MAX], the last is what is above all bounds. Returns how many there are; *ret_bound
 * are the bounds of all but the last, in nanoseconds, records or millionths. */
#define TIDE_METER_BUCKETS_MAX 40
uint32_t tide_meters_buckets(const struct tide_meters *meters, enum tide_meter_row row, struct tide_meter_at at, int64_t *ret, const int64_t **ret_bound);
/* The bound below which the share q (0..1) of counted values lies, read from such buckets: the upper bound of the bucket that holds it; the last bound where it lies above all.
 * -1: nothing was counted. */
int64_t tide_meter_quantile(const int64_t *bucket, const int64_t *bound, uint32_t count, double q);
/* Any thread. One counter of the fold (base/metric.h), as published last. */
int64_t tide_meters_fold(const struct tide_meters *meters, enum tide_metric metric);
/* How many places an axis has, and the name of one; NULL: it has none yet. */
uint32_t tide_meters_count(const struct tide_meters *meters, enum tide_meter_axis axis);
const char *tide_meters_name(const struct tide_meters *meters, enum tide_meter_axis axis, uint32_t index);

/* Any thread. One cell's value, of a COUNTER or GAUGE. */
int64_t tide_meters_value(const struct tide_meters *meters, enum tide_meter_row row, struct tide_meter_at at);
/* Any thread. Appends everything, the fold's metrics first, in the Prometheus text format 0.0.4 (Content-Type: text/plain; version=0.0.4). Counters
 * and gauges with one label are shown for each of its values, so that a rate sees the first step too; cells with more labels, and histograms with any,
 * appear once they were written to: most of their product never happens. LEVEL, AGE and RATIO: those that are set. */
void tide_meters_expose(const struct tide_meters *meters, struct tide_buf *out);
/* Appends the Markdown table for the reference page, in the order of the exposition. */
void tide_meters_document(struct tide_buf *out);

#endif
