/* What the HTTP layer measures: how its things (routes, statuses, problems, answers) map to the rows and labels of the live metrics (base/meter.h).
 *
 * The table of rows, the shards and the page are meter's. Labels come from tables (routes, problems, causes) and from the feature file (decisions, rule
 * codes, entities); nothing that a client sends ever becomes a label. The core's thread has a shard of its own; the library's threads share one. */
#ifndef TIDE_HTTP_METRICS_H
#define TIDE_HTTP_METRICS_H

#include "base/meter.h"
#include "core/offer.h"
#include "http/problem.h"
#include "http/routes.h"

/* Statuses that this layer gives; any other is counted as "other". */
#define TIDE_HTTP_CODES(X) X(200) X(303) X(400) X(401) X(403) X(404) X(405) X(409) X(413) X(415) X(422) X(429) X(431) X(503) X(504)

/* Why a connection was cut. */
#define TIDE_HTTP_CUTS(X) X(request_timeout) X(idle_timeout) X(write_timeout) X(body_too_large) X(gave_up)
enum tide_http_cut {
#define X(name) TIDE_CUT_##name,
  TIDE_HTTP_CUTS(X)
#undef X
};

/* A source of the configuration: as its metrics are labelled, and as /sources shows it. Borrowed. */
struct tide_http_source { uint16_t number; const char *name, *topic; };
/* The metrics of a service with this feature file and these sources (at most TIDE_SOURCES_MAX): one shard, the core thread's (tide_http_core_meter), and the shared
 * one. Error: LIMIT. */
enum tide_err tide_http_meters_new(const struct tide_spec *spec, const struct tide_http_source *source, size_t sources, struct tide_meters **ret,
                                   struct tide_error *error) TIDE_WARN_UNUSED;
struct tide_meter *tide_http_core_meter(struct tide_meters *meters);

/* Any thread, into the shared shard. */
void tide_http_count(struct tide_meters *meters, enum tide_meter_row row); /* one more, a row without labels */
void tide_http_count_cut(struct tide_meters *meters, enum tide_http_cut cut);
void tide_http_count_problem(struct tide_meters *meters, enum tide_problem problem);
/* route NULL: the path was none of ours. */
void tide_http_count_request(struct tide_meters *meters, const struct tide_route *route, unsigned status);
void tide_http_measure_total(struct tide_meters *meters, const struct tide_route *route, int64_t ns);
/* An answer that was given: by status, decision, rule, cause. Nothing where none was. */
void tide_http_count_answer(struct tide_meters *meters, const struct tide_told *told);

/* The same of a message of a source; the core's thread, into its shard. */
void tide_http_count_message(struct tide_meters *meters, const struct tide_told *told);

/* Where the time of an offer went that ended; the core's thread, into its shard. Stages that it did not come to are left out. */
void tide_http_measure_offer(struct tide_meters *meters, const struct tide_offer *offer);

/* Answers over HTTP so far that the fallback, or its model, gave for this cause, whatever rule it was. decisions: how many words the policies have. */
int64_t tide_http_answers_by_cause(const struct tide_meters *meters, enum tide_cause cause);

#endif
