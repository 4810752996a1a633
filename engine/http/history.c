/* The ring of samples and what is read out of it (history.h).
 *
 * A sample keeps the counters as they stood, so that any span is one difference, beside the values that are shown. Counters of a running process do not
 * fall, but two samples may be far apart (a stopped process): times are kept with each. */
#include "http/history.h"

#include "base/json_out.h"

#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

struct tide_history {
  const struct tide_spec *spec;
  const struct tide_meters *meters;
  uint32_t decisions, causes, entities, rules, buckets, width;
  /* where in a sample: shown values, then counters */
  uint32_t at_decision, at_cause, at_age, at_rule_count, at_cause_count, at_score_count;
  pthread_mutex_t mutex; /* over what follows */
  int64_t *at_ms;        /* [TIDE_HISTORY_SAMPLES] */
  double *value;         /* [TIDE_HISTORY_SAMPLES][width] */
  uint32_t count, next;
  /* the sampler's own: as it stood before */
  int64_t last_ms;
  int64_t *last; /* counters: fixed ones, then per decision */
  int64_t latency[TIDE_METER_BUCKETS_MAX], commit[TIDE_METER_BUCKETS_MAX];
};

/* Counters whose rates are shown. */
enum counter { C_ANSWERS, C_MESSAGES, C_REFUSED, C_SHORTS, C_MAYBE, C_EPOCHS, C_FIXED };

static void lock(struct tide_history *history) { TIDE_CHECK(pthread_mutex_lock(&history->mutex) == 0); }
static void unlock(struct tide_history *history) { TIDE_CHECK(pthread_mutex_unlock(&history->mutex) == 0); }

struct tide_history *tide_history_new(const struct tide_spec *spec, const struct tide_meters *meters) {
  struct tide_history *history = tide_alloc(sizeof *history);
  history->spec = spec;
  history->meters = meters;
  history->decisions = tide_meters_count(meters, TIDE_AXIS_decision);
  history->causes = tide_meters_count(meters, TIDE_AXIS_cause);
  history->entities = tide_meters_count(meters, TIDE_AXIS_entity);
  history->rules = tide_meters_count(meters, TIDE_AXIS_rule);
  int64_t bucket[TIDE_METER_BUCKETS_MAX];
  const int64_t *bound;
  history->buckets = tide_meters_buckets(meters, TIDE_METER_ROW_scores, TIDE_METER_PLAIN, bucket, &bound) - 1;
  uint32_t at = TIDE_H_COUNT;
  history->at_decision = at, at += history->decisions;
  history->at_cause = at, at += history->causes;
  history->at_age = at, at += history->entities;
  history->at_rule_count = at, at += history->rules;
  history->at_cause_count = at, at += history->causes;
  history->at_score_count = at, at += history->buckets;
  history->width = at;
  history->at_ms = tide_alloc(TIDE_HISTORY_SAMPLES * sizeof *history->at_ms);
  history->value = tide_alloc((size_t)TIDE_HISTORY_SAMPLES * at * sizeof *history->value);
  history->last = tide_alloc((C_FIXED + history->decisions) * sizeof *history->last);
  TIDE_CHECK(pthread_mutex_init(&history->mutex, NULL) == 0);
  return history;
}

void tide_history_free(struct tide_history *history) {
  if (!history) return;
  (void)pthread_mutex_destroy(&history->mutex);
  tide_free(history->at_ms);
  tide_free(history->value);
  tide_free(history->last);
  tide_free(history);
}

/* ---- taking one ---- */

static int64_t get(const struct tide_history *history, enum tide_meter_row row, uint32_t a, uint32_t b, uint32_t c) {
  int64_t value = 0;
  (void)tide_meters_get(history->meters, row, (struct tide_meter_at){a, b, c}, &value);
  return value;
}

static double known(const struct tide_history *history, enum tide_meter_row row, uint32_t a, double unit) {
  int64_t value;
  return tide_meters_get(history->meters, row, (struct tide_meter_at){.a = a}, &value) ? (double)value / unit : NAN;
}

/* Decisions by decision, rule and cause, of both ways in, added up along each. */
static void count_decisions(const struct tide_history *history, int64_t *ret_decision, int64_t *ret_cause, int64_t *ret_rule,
                            int64_t *ret_messages) {
  for (uint32_t d = 0; d < history->decisions; d++)
    for (uint32_t r = 0; r < history->rules; r++)
      for (uint32_t c = 0; c < history->causes; c++) {
        int64_t messages = get(history, TIDE_METER_ROW_ingest_decisions_total, d, r, c);
        int64_t n = get(history, TIDE_METER_ROW_answers_by_rule_total, d, r, c) + messages;
        *ret_messages += messages;
        ret_decision[d] += n;
        ret_cause[c] += n;
        ret_rule[r] += n;
      }
}

static void quantile(const struct tide_history *history, enum tide_meter_row row, uint32_t a, int64_t *before, const double *q,
                     size_t count, double *ret_ms) {
  int64_t now[TIDE_METER_BUCKETS_MAX], between[TIDE_METER_BUCKETS_MAX];
  const int64_t *bound;
  uint32_t buckets = tide_meters_buckets(history->meters, row, (struct tide_meter_at){.a = a}, now, &bound);
  for (uint32_t i = 0; i < buckets; i++) {
    between[i] = now[i] - before[i];
    before[i] = now[i];
  }
  for (size_t i = 0; i < count; i++) {
    int64_t ns = tide_meter_quantile(between, bound, buckets, q[i]);
    ret_ms[i] = ns < 0 ? NAN : (double)ns / 1e6;
  }
}

static uint32_t route_of(const struct tide_history *history, const char *name) {
  for (uint32_t i = 0; i < tide_meters_count(history->meters, TIDE_AXIS_route); i++)
    if (strcmp(tide_meters_name(history->meters, TIDE_AXIS_route, i), name) == 0) return i;
  TIDE_NEVER("the route of decisions has a name");
}

static void worst_partition(const struct tide_history *history, double *ret_lag, double *ret_behind_s) {
  uint32_t sources = tide_meters_count(history->meters, TIDE_AXIS_source);
  uint32_t partitions = tide_meters_count(history->meters, TIDE_AXIS_partition);
  *ret_lag = *ret_behind_s = NAN;
  for (uint32_t s = 0; s < sources; s++)
    for (uint32_t p = 0; p < partitions; p++) {
      int64_t value;
      struct tide_meter_at at = {s, p, 0};
      if (tide_meters_get(history->meters, TIDE_METER_ROW_source_lag_messages, at, &value))
        *ret_lag = (isnan(*ret_lag) ? 0 : *ret_lag) + (double)value;
      if (tide_meters_get(history->meters, TIDE_METER_ROW_source_complete_age_seconds, at, &value))
        *ret_behind_s = fmax(isnan(*ret_behind_s) ? 0 : *ret_behind_s, (double)value / 1e9);
    }
}

void tide_history_sample(struct tide_history *history, int64_t now_ms) {
  static const double q[] = {0.5, 0.99, 0.999}, q99[] = {0.99};
  int64_t *decision = tide_alloc(((size_t)history->decisions + history->causes + history->rules + 1) * sizeof *decision);
  int64_t *cause = decision + history->decisions, *rule = cause + history->causes, now[C_FIXED] = {0};
  double *value = tide_alloc(history->width * sizeof *value);
  count_decisions(history, decision, cause, rule, &now[C_MESSAGES]);
  for (uint32_t s = 0; s < tide_meters_count(history->meters, TIDE_AXIS_status); s++)
    for (uint32_t d = 0; d < history->decisions; d++) now[C_ANSWERS] += get(history, TIDE_METER_ROW_answers_total, s, d, 0);
  for (uint32_t c = 1; c < history->causes; c++) now[C_REFUSED] += cause[c]; /* the first is none */
  now[C_SHORTS] = get(history, TIDE_METER_ROW_journal_wait_short_total, 0, 0, 0);
  now[C_MAYBE] = get(history, TIDE_METER_ROW_engine_maybe_total, 0, 0, 0);
  now[C_EPOCHS] = get(history, TIDE_METER_ROW_journal_epoch_changes_total, 0, 0, 0);
  bool first = history->last_ms == 0;
  double seconds = first ? 1 : (double)(now_ms > history->last_ms ? now_ms - history->last_ms : 1) / 1000;
#define RATE(counter) (first ? 0 : (double)(now[counter] - history->last[counter]) / seconds)
  value[TIDE_H_answers] = RATE(C_ANSWERS);
  value[TIDE_H_messages] = RATE(C_MESSAGES);
  value[TIDE_H_refused] = RATE(C_REFUSED);
  value[TIDE_H_shorts] = RATE(C_SHORTS);
  value[TIDE_H_maybe] = RATE(C_MAYBE);
  value[TIDE_H_epochs] = RATE(C_EPOCHS) * seconds;
#undef RATE
  quantile(history, TIDE_METER_ROW_total_seconds, route_of(history, "score"), history->latency, q, 3, &value[TIDE_H_p50_ms]);
  quantile(history, TIDE_METER_ROW_commit_seconds, 0, history->commit, q99, 1, &value[TIDE_H_commit_p99_ms]);
  worst_partition(history, &value[TIDE_H_lag], &value[TIDE_H_behind_s]);
  value[TIDE_H_online] = known(history, TIDE_METER_ROW_journal_replicas_online, 0, 1);
  for (uint32_t d = 0; d < history->decisions; d++) {
    value[history->at_decision + d] = first ? 0 : (double)(decision[d] - history->last[C_FIXED + d]) / seconds;
    history->last[C_FIXED + d] = decision[d];
  }
  memcpy(history->last, now, sizeof now);
  history->last_ms = now_ms;
  for (uint32_t e = 0; e < history->entities; e++)
    value[history->at_age + e] = known(history, TIDE_METER_ROW_freshness_age_seconds, e, 1e9);
  for (uint32_t r = 0; r < history->rules; r++) { /* a rule is also true where another decided; the fallback's only decide */
    int64_t hits = get(history, TIDE_METER_ROW_rule_hits_total, r, 0, 0);
    value[history->at_rule_count + r] = (double)(hits ? hits : rule[r]);
  }
  for (uint32_t c = 0; c < history->causes; c++) value[history->at_cause_count + c] = (double)cause[c];
  int64_t bucket[TIDE_METER_BUCKETS_MAX];
  const int64_t *bound;
  (void)tide_meters_buckets(history->meters, TIDE_METER_ROW_scores, TIDE_METER_PLAIN, bucket, &bound);
  for (uint32_t b = 0; b < history->buckets; b++) value[history->at_score_count + b] = (double)bucket[b];
  lock(history);
  const double *before = history->count
                             ? history->value + (size_t)((history->next + TIDE_HISTORY_SAMPLES - 1) % TIDE_HISTORY_SAMPLES) * history->width
                             : value;
  for (uint32_t c = 0; c < history->causes; c++)
    value[history->at_cause + c] = (value[history->at_cause_count + c] - before[history->at_cause_count + c]) / seconds;
  memcpy(history->value + (size_t)history->next * history->width, value, history->width * sizeof *value);
  history->at_ms[history->next] = now_ms;
  history->next = (history->next + 1) % TIDE_HISTORY_SAMPLES;
  if (history->count < TIDE_HISTORY_SAMPLES) history->count++;
  unlock(history);
  tide_free(decision);
  tide_free(value);
}

/* ---- reading: with the lock ---- */

/* The k-th sample of those that are there, the oldest first. */
static uint32_t nth(const struct tide_history *history, uint32_t k) {
  return (history->next + TIDE_HISTORY_SAMPLES - history->count + k) % TIDE_HISTORY_SAMPLES;
}
static double value_of(const struct tide_history *history, uint32_t k, uint32_t series) {
  return history->value[(size_t)nth(history, k) * history->width + series];
}

static bool says_something(const struct tide_history *history, uint32_t series) {
  for (uint32_t k = 0; k < history->count; k++) {
    double value = value_of(history, k, series);
    if (!isnan(value) && value != 0) return true;
  }
  return false;
}

/* Three digits are more than a picture shows, and keep the document small. */
static void put_short(double value, struct tide_buf *out) {
  char text[32];
  if (isnan(value)) {
    tide_json_null(out);
    return;
  }
  int len = snprintf(text, sizeof text, "%.4g", value);
  tide_json_double(out, len > 0 ? strtod(text, NULL) : 0);
}

static void put_series(const struct tide_history *history, const char *name, uint32_t series, bool always, struct tide_buf *out) {
  if (!always && !says_something(history, series)) return;
  tide_json_key(out, name);
  tide_json_open(out, '[');
  for (uint32_t k = 0; k < history->count; k++) put_short(value_of(history, k, series), out);
  tide_json_close(out, ']');
}

static void put_axis(const struct tide_history *history, const char *key, enum tide_meter_axis axis, uint32_t first, struct tide_buf *out) {
  tide_json_key(out, key);
  tide_json_open(out, '{');
  for (uint32_t i = 0; i < tide_meters_count(history->meters, axis); i++)
    if (tide_meters_name(history->meters, axis, i)) put_series(history, tide_meters_name(history->meters, axis, i), first + i, false, out);
  tide_json_close(out, '}');
}

void tide_history_put(struct tide_history *history, struct tide_buf *out) {
  static const char *const names[] = {
#define X(name, text) #name,
      TIDE_HISTORY_SERIES(X)
#undef X
  };
  lock(history);
  tide_json_open(out, '{');
  tide_json_key(out, "step_ms");
  tide_json_int(out, TIDE_HISTORY_STEP_MS);
  tide_json_key(out, "at");
  tide_json_open(out, '[');
  for (uint32_t k = 0; k < history->count; k++) tide_json_int(out, history->at_ms[nth(history, k)]);
  tide_json_close(out, ']');
  tide_json_key(out, "series");
  tide_json_open(out, '{');
  for (uint32_t s = 0; s < TIDE_H_COUNT; s++) put_series(history, names[s], s, s <= TIDE_H_refused, out);
  tide_json_close(out, '}');
  put_axis(history, "decisions", TIDE_AXIS_decision, history->at_decision, out);
  tide_json_key(out, "refusals");
  tide_json_open(out, '{');
  for (uint32_t c = 1; c < history->causes; c++) /* the first is none */
    put_series(history, tide_meters_name(history->meters, TIDE_AXIS_cause, c), history->at_cause + c, false, out);
  tide_json_close(out, '}');
  put_axis(history, "age_s", TIDE_AXIS_entity, history->at_age, out);
  tide_json_close(out, '}');
  unlock(history);
}

static double grown(struct tide_history *history, uint32_t series, int64_t span_ms) {
  double result = 0;
  lock(history);
  if (history->count > 1) {
    uint32_t last = history->count - 1, k = last;
    int64_t from_ms = history->at_ms[nth(history, last)] - span_ms;
    while (k > 0 && history->at_ms[nth(history, k)] > from_ms) k--;
    result = value_of(history, last, series) - value_of(history, k, series);
  }
  unlock(history);
  return result;
}

double tide_history_rule(struct tide_history *history, uint32_t rule, int64_t span_ms) {
  TIDE_CHECK(rule < history->rules);
  return grown(history, history->at_rule_count + rule, span_ms);
}

double tide_history_cause(struct tide_history *history, uint32_t cause, int64_t span_ms) {
  TIDE_CHECK(cause < history->causes);
  return grown(history, history->at_cause_count + cause, span_ms);
}

uint32_t tide_history_scores(struct tide_history *history, int64_t *ret) {
  for (uint32_t b = 0; b < history->buckets; b++) ret[b] = (int64_t)grown(history, history->at_score_count + b, INT64_C(3600000));
  return history->buckets;
}

double tide_history_last(struct tide_history *history, enum tide_history_series series) {
  lock(history);
  double value = history->count ? value_of(history, history->count - 1, series) : NAN;
  unlock(history);
  return value;
}
