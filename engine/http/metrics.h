/* What the HTTP layer counts, and how everything is shown at /metrics.
 *
 * Counters are relaxed atomics: threads add, the admin listener reads whatever is there. Labels come from tables (routes, problems, causes) and from the feature
 * file (decisions, rule codes); nothing that a client sends ever becomes a label. */
#ifndef TIDE_HTTP_METRICS_H
#define TIDE_HTTP_METRICS_H

#include "http/problem.h"
#include "http/routes.h"
#include "run/engine.h"

#include <stdatomic.h>

/* Statuses that this layer gives; the last row is for any other. */
#define TIDE_HTTP_CODES(X) X(200) X(400) X(404) X(405) X(413) X(415) X(422) X(431) X(501) X(503) X(504)
enum { TIDE_HTTP_CODE_ROWS = 12 };

/* X(name, what it measures) */
#define TIDE_HTTP_STAGES(X)                                           \
  X(queue, "from being decoded to being put into an entry")           \
  X(commit, "from there to the entry being durable")                  \
  X(fold, "from there to the answer being there")                     \
  X(total, "from the first byte of the request that was looked at to the answer being written")
enum tide_http_stage {
#define X(name, text) TIDE_STAGE_##name,
  TIDE_HTTP_STAGES(X)
#undef X
      TIDE_STAGE_COUNT
};

/* Why a connection was cut. */
#define TIDE_HTTP_CUTS(X) X(request_timeout) X(idle_timeout) X(write_timeout) X(body_too_large) X(gave_up)
enum tide_http_cut {
#define X(name) TIDE_CUT_##name,
  TIDE_HTTP_CUTS(X)
#undef X
      TIDE_CUT_COUNT
};

#define TIDE_BUCKETS 14
struct tide_histogram {
  atomic_uint_fast64_t bucket[TIDE_BUCKETS + 1]; /* the last: beyond */
  atomic_uint_fast64_t sum_us;
};

struct tide_http_metrics {
  atomic_uint_fast64_t request[TIDE_ROUTE_COUNT + 1][TIDE_HTTP_CODE_ROWS]; /* the last route: none */
  atomic_uint_fast64_t problem[TIDE_PROBLEM_COUNT];
  atomic_uint_fast64_t answer[2][256];                     /* by status and decision */
  atomic_uint_fast64_t rule[TIDE_RULES_MAX], fallback[TIDE_RULES_MAX];
  atomic_uint_fast64_t cause[TIDE_C_COUNT];
  atomic_uint_fast64_t duplicates, bad_traceparent, complaints;
  atomic_uint_fast64_t accepted, cut[TIDE_CUT_COUNT];
  atomic_int_fast64_t connections, in_flight;
  atomic_int_fast64_t line_waiting, line_working, line_limit; /* admission, as of its last change */
  struct tide_histogram stage[TIDE_STAGE_COUNT];
};

static inline void tide_http_count(atomic_uint_fast64_t *counter) { atomic_fetch_add_explicit(counter, 1, memory_order_relaxed); }
/* route NULL: the path was none of ours. */
void tide_http_count_request(struct tide_http_metrics *metrics, const struct tide_route *route, unsigned status);
/* An answer that was given: by decision, by rule, by cause. */
void tide_http_count_answer(struct tide_http_metrics *metrics, const struct tide_told *told);
/* Negative durations (a clock read in another order) count as zero. */
void tide_http_measure(struct tide_http_metrics *metrics, enum tide_http_stage stage, int64_t ns);
/* The whole page: the fold's metrics, the core's, and these. */
void tide_http_expose(const struct tide_http_metrics *metrics, const struct tide_spec *spec, const struct tide_engine_status *status, struct tide_buf *out);

#endif
