/* The page at /metrics, Prometheus text 0.0.4 (metrics.h).
 *
 * A family is written even where all its counters are zero, except that of (route, code) and (decision, rule, cause), whose rows appear when they are first
 * counted: their product is large and mostly impossible. */
#include "http/metrics.h"

#include <inttypes.h>

static const int64_t bucket_us[TIDE_BUCKETS] = {100,   250,   500,    1000,   2500,    5000,    10000,
                                                25000, 50000, 100000, 250000, 1000000, 5000000, 10000000};
static const unsigned code_of[TIDE_HTTP_CODE_ROWS] = {
#define X(code) code,
    TIDE_HTTP_CODES(X)
#undef X
        0};

static uint64_t get(const atomic_uint_fast64_t *counter) { return atomic_load_explicit(counter, memory_order_relaxed); }

void tide_http_count_request(struct tide_http_metrics *metrics, const struct tide_route *route, unsigned status) {
  size_t code = 0;
  while (code < TIDE_HTTP_CODE_ROWS - 1 && code_of[code] != status) code++;
  tide_http_count(&metrics->request[route ? route->id : TIDE_ROUTE_COUNT][code]);
}

void tide_http_count_answer(struct tide_http_metrics *metrics, const struct tide_told *told) {
  if (!told->given) return;
  if (told->duplicate) tide_http_count(&metrics->duplicates);
  if (told->by == TIDE_BY_NONE) return;
  tide_http_count(&metrics->answer[told->status == TIDE_STATUS_SCORED ? 0 : 1][told->decision & 0xff]);
  TIDE_CHECK(told->rule < TIDE_RULES_MAX);
  tide_http_count(told->by == TIDE_BY_RULE ? &metrics->rule[told->rule] : &metrics->fallback[told->rule]);
  if (told->by == TIDE_BY_FALLBACK) tide_http_count(&metrics->cause[told->cause < TIDE_C_COUNT ? told->cause : 0]);
}

void tide_http_measure(struct tide_http_metrics *metrics, enum tide_http_stage stage, int64_t ns) {
  struct tide_histogram *histogram = &metrics->stage[stage];
  int64_t us = ns > 0 ? ns / 1000 : 0;
  size_t b = 0;
  while (b < TIDE_BUCKETS && us > bucket_us[b]) b++;
  tide_http_count(&histogram->bucket[b]);
  atomic_fetch_add_explicit(&histogram->sum_us, (uint64_t)us, memory_order_relaxed);
}

static void family(struct tide_buf *out, const char *name, const char *type, const char *help) {
  tide_buf_printf(out, "# HELP tidemark_%s %s\n# TYPE tidemark_%s %s\n", name, help, name, type);
}

static void expose_requests(const struct tide_http_metrics *metrics, struct tide_buf *out) {
  family(out, "http_requests_total", "counter", "Requests answered, by route and status");
  for (size_t r = 0; r <= TIDE_ROUTE_COUNT; r++)
    for (size_t c = 0; c < TIDE_HTTP_CODE_ROWS; c++) {
      uint64_t n = get(&metrics->request[r][c]);
      if (n == 0) continue;
      tide_buf_printf(out, "tidemark_http_requests_total{route=\"%s\",code=\"", r < TIDE_ROUTE_COUNT ? tide_routes[r].name : "none");
      if (code_of[c]) tide_buf_printf(out, "%u", code_of[c]);
      else tide_buf_str(out, "other");
      tide_buf_printf(out, "\"} %" PRIu64 "\n", n);
    }
  family(out, "http_problems_total", "counter", "Problem documents given, by type; those of a batch's items as well");
  for (int p = 1; p < TIDE_PROBLEM_COUNT; p++)
    tide_buf_printf(out, "tidemark_http_problems_total{type=\"%s\"} %" PRIu64 "\n", tide_problem_type((enum tide_problem)p),
                    get(&metrics->problem[p]));
}

static void expose_connections(const struct tide_http_metrics *metrics, struct tide_buf *out) {
  static const char *const cut[] = {
#define X(name) #name,
      TIDE_HTTP_CUTS(X)
#undef X
  };
  family(out, "http_connections", "gauge", "Open connections, both listeners");
  tide_buf_printf(out, "tidemark_http_connections %" PRIdFAST64 "\n", atomic_load_explicit(&metrics->connections, memory_order_relaxed));
  family(out, "http_connections_total", "counter", "Connections accepted");
  tide_buf_printf(out, "tidemark_http_connections_total %" PRIu64 "\n", get(&metrics->accepted));
  family(out, "http_connections_cut_total", "counter", "Connections closed by this side because of a limit");
  for (int c = 0; c < TIDE_CUT_COUNT; c++)
    tide_buf_printf(out, "tidemark_http_connections_cut_total{limit=\"%s\"} %" PRIu64 "\n", cut[c], get(&metrics->cut[c]));
  family(out, "http_in_flight", "gauge", "Requests that wait for the engine");
  tide_buf_printf(out, "tidemark_http_in_flight %" PRIdFAST64 "\n", atomic_load_explicit(&metrics->in_flight, memory_order_relaxed));
  static const char *const gauge[][2] = {{"http_line_waiting", "Requests that wait until fewer are worked on"},
                                         {"http_line_working", "Requests that are worked on"},
                                         {"http_line_limit", "Requests that may be worked on at once, as the queueing delay allows"}};
  const atomic_int_fast64_t *value[] = {&metrics->line_waiting, &metrics->line_working, &metrics->line_limit};
  for (int g = 0; g < 3; g++) {
    family(out, gauge[g][0], "gauge", gauge[g][1]);
    tide_buf_printf(out, "tidemark_%s %" PRIdFAST64 "\n", gauge[g][0], atomic_load_explicit(value[g], memory_order_relaxed));
  }
  family(out, "http_traceparent_invalid_total", "counter", "traceparent headers that were not understood and left out");
  tide_buf_printf(out, "tidemark_http_traceparent_invalid_total %" PRIu64 "\n", get(&metrics->bad_traceparent));
  family(out, "http_protocol_errors_total", "counter", "Things the HTTP library complained of: broken requests, peers that went away");
  tide_buf_printf(out, "tidemark_http_protocol_errors_total %" PRIu64 "\n", get(&metrics->complaints));
}

static void expose_answers(const struct tide_http_metrics *metrics, const struct tide_spec *spec, struct tide_buf *out) {
  static const char *const status[] = {"scored", "refused"};
  family(out, "answers_total", "counter", "Decisions given over HTTP, retries included");
  for (int s = 0; s < 2; s++)
    for (uint32_t d = 0; d < spec->decision_count && d < 256; d++)
      if (get(&metrics->answer[s][d]))
        tide_buf_printf(out, "tidemark_answers_total{status=\"%s\",decision=\"%s\"} %" PRIu64 "\n", status[s], spec->decision[d],
                        get(&metrics->answer[s][d]));
  family(out, "answers_by_total", "counter", "Decisions given over HTTP, by the rule that decided");
  for (uint32_t r = 0; r < spec->rule_count; r++)
    if (get(&metrics->rule[r]))
      tide_buf_printf(out, "tidemark_answers_by_total{by=\"%s\"} %" PRIu64 "\n", spec->rule[r].code, get(&metrics->rule[r]));
  for (uint32_t r = 0; r < spec->fallback_count; r++)
    if (get(&metrics->fallback[r]))
      tide_buf_printf(out, "tidemark_answers_by_total{by=\"%s\"} %" PRIu64 "\n",
                      spec->fallback[r].when ? spec->fallback[r].code : "fallback.else", get(&metrics->fallback[r]));
  family(out, "answers_fallback_total", "counter", "Decisions given over HTTP by fallback, by cause");
  for (int c = 0; c < TIDE_C_COUNT; c++)
    if (get(&metrics->cause[c]))
      tide_buf_printf(out, "tidemark_answers_fallback_total{cause=\"%s\"} %" PRIu64 "\n", tide_cause_name((enum tide_cause)c),
                      get(&metrics->cause[c]));
  family(out, "answers_duplicate_total", "counter", "Answers to a transaction that was known");
  tide_buf_printf(out, "tidemark_answers_duplicate_total %" PRIu64 "\n", get(&metrics->duplicates));
}

static void expose_latency(const struct tide_http_metrics *metrics, struct tide_buf *out) {
  static const char *const name[] = {
#define X(name, text) #name,
      TIDE_HTTP_STAGES(X)
#undef X
  };
  family(out, "http_stage_seconds", "histogram",
         "Where the time of a request goes: queue (decoded, until in an entry), commit (until durable), fold (until answered), total");
  for (int s = 0; s < TIDE_STAGE_COUNT; s++) {
    const struct tide_histogram *histogram = &metrics->stage[s];
    uint64_t sum = 0;
    for (int b = 0; b < TIDE_BUCKETS; b++) {
      sum += get(&histogram->bucket[b]);
      tide_buf_printf(out, "tidemark_http_stage_seconds_bucket{stage=\"%s\",le=\"%g\"} %" PRIu64 "\n", name[s], (double)bucket_us[b] / 1e6,
                      sum);
    }
    sum += get(&histogram->bucket[TIDE_BUCKETS]);
    tide_buf_printf(out,
                    "tidemark_http_stage_seconds_bucket{stage=\"%s\",le=\"+Inf\"} %" PRIu64 "\n"
                    "tidemark_http_stage_seconds_sum{stage=\"%s\"} %.6f\ntidemark_http_stage_seconds_count{stage=\"%s\"} %" PRIu64 "\n",
                    name[s], sum, name[s], (double)get(&histogram->sum_us) / 1e6, name[s], sum);
  }
}

static void expose_engine(const struct tide_engine_status *status, struct tide_buf *out) {
  static const char *const state[] = {
#define X(name, text) #name,
      TIDE_CORE_STATES(X)
#undef X
  };
  family(out, "engine_state", "gauge", "1 for the state that the engine is in");
  for (size_t s = 0; s < sizeof state / sizeof state[0]; s++)
    tide_buf_printf(out, "tidemark_engine_state{state=\"%s\"} %d\n", state[s], (size_t)status->state == s);
  const struct {
    const char *name, *type, *help;
    uint64_t value;
  } row[] = {
      {"engine_entries_own_total", "counter", "Entries of this engine", status->stats.entries_own},
      {"engine_entries_foreign_total", "counter", "Entries read that others wrote, or this engine before it started",
       status->stats.entries_foreign},
      {"engine_records_total", "counter", "Records of offers put into entries", status->stats.records},
      {"engine_syncs_total", "counter", "Group commits asked for", status->stats.syncs},
      {"engine_refused_total", "counter", "Offers refused: nothing of them was journaled", status->stats.refused},
      {"engine_maybe_total", "counter", "Offers that ended before their entry was known to be durable", status->stats.maybe},
      {"engine_retried_total", "counter", "Offers put into a second entry because the first was void", status->stats.retried},
      {"engine_queued", "gauge", "Offers that wait for an entry", status->stats.queued},
      {"engine_in_flight", "gauge", "Offers whose entry is under way", status->stats.in_flight},
  };
  for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
    family(out, row[i].name, row[i].type, row[i].help);
    tide_buf_printf(out, "tidemark_%s %" PRIu64 "\n", row[i].name, row[i].value);
  }
}

void tide_http_expose(const struct tide_http_metrics *metrics, const struct tide_spec *spec, const struct tide_engine_status *status,
                      struct tide_buf *out) {
  tide_metrics_expose(&status->metrics, out);
  expose_engine(status, out);
  expose_requests(metrics, out);
  expose_connections(metrics, out);
  expose_answers(metrics, spec, out);
  expose_latency(metrics, out);
}
