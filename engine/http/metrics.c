/* HTTP things as rows and labels of the live metrics (metrics.h).
 *
  * The place of a value on an axis is its place in the table that it comes from; where a table has no row for something (a path that is none of
  * ours, a status that we do not give), the axis has one value more at its end. Rules and fallback rules share an axis; those of other policies
  * than the feature file's take their places when they first decide. */
#include "http/metrics.h"

#include "core/core.h"
#include "model/drift.h"
#include "run/ingest.h"

#include <stdio.h>

#define STRING(text) #text

static const char *const code_names[] = {
#define X(code) STRING(code),
    TIDE_HTTP_CODES(X)
#undef X
        "other"};
static const unsigned codes[] = {
#define X(code) code,
    TIDE_HTTP_CODES(X)
#undef X
};
static const char *const cut_names[] = {
#define X(name) #name,
    TIDE_HTTP_CUTS(X)
#undef X
};
static const char *const route_names[] = {
#define X(name, listener, method, path, scope, text) #name,
    TIDE_HTTP_ROUTES(X)
#undef X
        "none"};
static const char *const problem_names[] = {
#define X(name, slug, status, title) slug,
    TIDE_PROBLEMS(X)
#undef X
};
static const char *const status_names[] = {[TIDE_STATUS_SCORED] = "scored", [TIDE_STATUS_REFUSED] = "refused"};
static const char *const cause_names[] = {
#define X(name, text, counted, then) #name,
    TIDE_CAUSES(X)
#undef X
};
static const char *const value_state_names[] = {
#define X(name) #name,
    TIDE_VSTATES(X)
#undef X
};
static const char *const engine_state_names[] = {
#define X(name, text) #name,
    TIDE_CORE_STATES(X)
#undef X
};
static const char *const window_names[] = {"short", "long"};
_Static_assert(sizeof window_names / sizeof window_names[0] == TIDE_DRIFT_WINDOWS, "one name per window");
static const char *const label_names[] = {"fraud", "genuine"};
static const char *const letter_names[] = {[TIDE_LETTER_SCORE] = "score", [TIDE_LETTER_DEAD] = "dead", [TIDE_LETTER_COPY] = "copy"};
static const char *const letter_result_names[] = {
#define X(name) #name,
    TIDE_INGEST_RESULTS(X)
#undef X
};
static const char *const verdict_names[] = {"right", "false", "unknown"}; /* of core/stale_watch.h, in this order */
/* Rules by their codes, whatever policy they stand in: totals go on where a policy keeps a rule. Behind so many different ones: "(other)". */
enum { RULE_OTHER = 0, RULE_PLACES = 4 * TIDE_RULES_MAX };
/* Words of decisions, names of entities and of what a model may read, of this feature file and those that follow it in one process; of what finds no place any more no series is
 * kept. */
#define INPUTS_MAX (TIDE_SLOTS_MAX + TIDE_DERIVED_MAX + TIDE_FIELDS_MAX + 2)
enum { DECISION_PLACES = 12, ENTITY_PLACES = 2 * TIDE_ENTITIES_MAX, INPUT_PLACES = 2 * INPUTS_MAX };
static const char *const match_names[] = {"matched", "unmatched", "outside_sample"};
#define COUNT(array) (sizeof(array) / sizeof(array)[0])
#define VALUES(array)                                                                                                                      \
  { array, COUNT(array) }

/* What a model can read, by name: the values of the label `input`. A feature file or a model that comes later brings its own. */
static void name_inputs(const struct tide_spec *spec, const char *name[INPUT_PLACES]) {
  uint32_t count = 0;
  name[count++] = "score";
  name[count++] = "requested";
  for (uint32_t i = 0; i < spec->slot_count; i++) name[count++] = spec->slot[i].name;
  for (uint32_t i = 0; i < spec->derived_count; i++) name[count++] = spec->derived[i].name;
  for (uint32_t i = 0; i < spec->field_count; i++) name[count++] = spec->field[i].name;
  TIDE_CHECK(count <= INPUTS_MAX);
}

enum tide_err tide_http_meters_new(const struct tide_spec *spec, const struct tide_http_source *source, size_t sources,
                                   struct tide_meters **ret, struct tide_error *error) {
  const char **input = tide_alloc(INPUT_PLACES * sizeof *input);
  char number[TIDE_PARTITIONS_MAX][8];
  const char *partition[TIDE_PARTITIONS_MAX], *source_name[TIDE_SOURCES_MAX], *reason[TIDE_ERR_COUNT];
  TIDE_CHECK(sources <= TIDE_SOURCES_MAX);
  for (size_t i = 0; i < sources; i++) source_name[i] = source[i].name;
  for (unsigned i = 0; i < TIDE_PARTITIONS_MAX; i++) {
    snprintf(number[i], sizeof number[i], "%u", i);
    partition[i] = number[i];
  }
  for (unsigned i = 0; i < TIDE_ERR_COUNT; i++) reason[i] = tide_err_name((enum tide_err)i);
  const char *rule[RULE_PLACES] = {NULL}, *entity[ENTITY_PLACES] = {NULL},
             *decision[DECISION_PLACES] = {NULL}; /* room for those of other files */
  uint32_t rules = 1;
  rule[RULE_OTHER] = "(other)";
  TIDE_CHECK(spec->rule_count + spec->fallback_count < COUNT(rule) && spec->entity_count <= COUNT(entity));
  for (uint32_t i = 0; i < spec->rule_count; i++) rule[rules++] = spec->rule[i].code;
  for (uint32_t i = 0; i < spec->fallback_count; i++) {
    struct tide_verdict verdict = {.by = TIDE_BY_FALLBACK, .rule = (uint16_t)i};
    rule[rules++] = tide_verdict_by(spec, &verdict);
  }
  for (uint32_t i = 0; i < spec->entity_count; i++) entity[i] = spec->entity[i].name;
  for (uint32_t i = 0; i < spec->decision_count && i < DECISION_PLACES; i++) decision[i] = spec->decision[i];
  name_inputs(spec, input);
  const struct tide_meter_values values[TIDE_AXIS_COUNT] = {
      [TIDE_AXIS_route] = VALUES(route_names),
      [TIDE_AXIS_code] = VALUES(code_names),
      [TIDE_AXIS_problem] = {problem_names + 1, COUNT(problem_names) - 1}, /* without none */
      [TIDE_AXIS_limit] = VALUES(cut_names),
      [TIDE_AXIS_status] = VALUES(status_names),
      [TIDE_AXIS_decision] = {decision, spec->decision_count ? DECISION_PLACES : 0},
      [TIDE_AXIS_rule] = {rule, spec->decision_count ? RULE_PLACES : 0},
      [TIDE_AXIS_cause] = VALUES(cause_names),
      [TIDE_AXIS_entity] = {entity, ENTITY_PLACES},
      [TIDE_AXIS_state] = VALUES(value_state_names),
      [TIDE_AXIS_engine_state] = VALUES(engine_state_names),
      [TIDE_AXIS_source] = {source_name, (uint32_t)sources},
      [TIDE_AXIS_partition] = {partition, sources ? TIDE_PARTITIONS_MAX : 0},
      [TIDE_AXIS_reason] = {reason, TIDE_ERR_COUNT},
      [TIDE_AXIS_letter] = VALUES(letter_names),
      [TIDE_AXIS_result] = VALUES(letter_result_names),
      [TIDE_AXIS_verdict] = VALUES(verdict_names),
      [TIDE_AXIS_match] = VALUES(match_names),
      [TIDE_AXIS_window] = VALUES(window_names),
      [TIDE_AXIS_label] = VALUES(label_names),
      [TIDE_AXIS_input] = {input, INPUT_PLACES},
  };
  enum tide_err err = tide_meters_new(values, 1, ret, error);
  tide_free(input);
  return err;
}

struct tide_meter *tide_http_core_meter(struct tide_meters *meters) {
  return tide_meters_shard(meters, 0);
}

static void count_at(struct tide_meters *meters, enum tide_meter_row row, size_t a, size_t b, size_t c) {
  tide_meter_add(tide_meters_shared(meters), row, (struct tide_meter_at){(uint32_t)a, (uint32_t)b, (uint32_t)c}, 1);
}

void tide_http_count(struct tide_meters *meters, enum tide_meter_row row) { count_at(meters, row, 0, 0, 0); }

void tide_http_count_cut(struct tide_meters *meters, enum tide_http_cut cut) {
  count_at(meters, TIDE_METER_ROW_http_connections_cut_total, cut, 0, 0);
}

void tide_http_count_problem(struct tide_meters *meters, enum tide_problem problem) {
  TIDE_CHECK(problem != TIDE_PROBLEM_none);
  count_at(meters, TIDE_METER_ROW_http_problems_total, (size_t)problem - 1, 0, 0);
}

static size_t route_at(const struct tide_route *route) { return route ? route->id : TIDE_ROUTE_COUNT; }

void tide_http_count_request(struct tide_meters *meters, const struct tide_route *route, unsigned status) {
  size_t code = 0;
  while (code < COUNT(codes) && codes[code] != status) code++;
  count_at(meters, TIDE_METER_ROW_http_requests_total, route_at(route), code, 0);
}

void tide_http_measure_total(struct tide_meters *meters, const struct tide_route *route, int64_t ns) {
  struct tide_meter_at at = {.a = (uint32_t)route_at(route)};
  tide_meter_seconds(tide_meters_shared(meters), TIDE_METER_ROW_total_seconds, at, ns);
}

static size_t rule_at(struct tide_meters *meters, const struct tide_told *told) {
  uint32_t rule = RULE_OTHER;
  (void)tide_meters_place(meters, TIDE_AXIS_rule, told->code, &rule);
  return rule;
}

static size_t cause_at(const struct tide_told *told) {
  return told->by == TIDE_BY_FALLBACK || told->by == TIDE_BY_FALLBACK_MODEL ? told->cause : TIDE_C_none;
}

void tide_http_count_message(struct tide_meters *meters, const struct tide_told *told) {
  if (!told->given || told->by == TIDE_BY_NONE) return;
  struct tide_meter *meter = tide_http_core_meter(meters);
  struct tide_meter_at at = {told->decision, (uint32_t)rule_at(meters, told), (uint32_t)cause_at(told)};
  tide_meter_add(meter, TIDE_METER_ROW_ingest_decisions_total, at, 1);
  if (told->score_e6 != TIDE_NO_SCORE) tide_meter_share(meter, TIDE_METER_ROW_scores, TIDE_METER_PLAIN, told->score_e6);
}

void tide_http_count_answer(struct tide_meters *meters, const struct tide_told *told) {
  if (!told->given) return;
  if (told->duplicate) tide_http_count(meters, TIDE_METER_ROW_answers_duplicate_total);
  if (told->by == TIDE_BY_NONE) return;
  uint32_t decision;
  if (!tide_meters_place(meters, TIDE_AXIS_decision, told->word, &decision)) return;
  count_at(meters, TIDE_METER_ROW_answers_total, told->status, decision, 0);
  count_at(meters, TIDE_METER_ROW_answers_by_rule_total, decision, rule_at(meters, told), cause_at(told));
  if (told->score_e6 != TIDE_NO_SCORE)
    tide_meter_share(tide_meters_shared(meters), TIDE_METER_ROW_scores, TIDE_METER_PLAIN, told->score_e6);
}

void tide_http_measure_offer(struct tide_meters *meters, const struct tide_offer *offer) {
  struct tide_meter *meter = tide_http_core_meter(meters);
  int64_t begun = offer->begun.ns, durable = offer->durable.ns, folded = offer->folded.ns;
  if (begun) tide_meter_seconds(meter, TIDE_METER_ROW_queue_seconds, TIDE_METER_PLAIN, begun - offer->offered.ns);
  if (begun && durable) tide_meter_seconds(meter, TIDE_METER_ROW_commit_seconds, TIDE_METER_PLAIN, durable - begun);
  if (durable && folded) tide_meter_seconds(meter, TIDE_METER_ROW_fold_seconds, TIDE_METER_PLAIN, folded - durable);
}

int64_t tide_http_answers_by_cause(const struct tide_meters *meters, enum tide_cause cause) {
  int64_t sum = 0;
  for (uint32_t d = 0; d < tide_meters_count(meters, TIDE_AXIS_decision); d++)
    for (uint32_t r = 0; r < RULE_PLACES; r++)
      sum += tide_meters_value(meters, TIDE_METER_ROW_answers_by_rule_total, (struct tide_meter_at){d, r, (uint32_t)cause});
  return sum;
}
