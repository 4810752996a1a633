/* GET /status: everything that the console shows, as one document of now (parts.h); and the thread that samples the last hour (history.h).
 *
 * It is put together of what the engine publishes (status, sources), of the live metrics, and of the feature file: the same tables as /metrics and
 * /sources, so the page, the alerts and the verbs cannot tell different stories. Nothing here asks the core. Nothing of a message is in it: names of the
 * feature file and of the configuration, numbers, times. */
#include "base/json_out.h"
#include "base/json_page.h"
#include "core/gate.h"
#include "http/parts.h"

#include <math.h>
#include <stdio.h>

#define RECENT_MS INT64_C(300000)

static int64_t meter(const struct tide_http *http, enum tide_meter_row row, uint32_t a) {
  int64_t value = 0;
  (void)tide_meters_get(http->meters, row, (struct tide_meter_at){.a = a}, &value);
  return value;
}

static void put_engine(struct tide_http *http, const struct tide_engine_status *status, struct tide_buf *out) {
  char text[TIDE_POSITION_TEXT];
  snprintf(text, sizeof text, "%llu-%llu", (unsigned long long)status->folded.epoch, (unsigned long long)status->folded.seq);
  tide_json_key(out, "engine");
  tide_json_open(out, '{');
  tide_page_int(out, "id", http->options.engine_id);
  tide_page_text(out, "state", tide_core_state_name(status->state));
  tide_page_text(out, "does", tide_core_state_text(status->state));
  tide_page_bool(out, "live", tide_http_is_live(status));
  tide_page_bool(out, "ready", tide_http_is_ready(http, status));
  tide_http_put_why(http, status, out);
  tide_page_time(out, "started", http->started_ms);
  tide_page_text(out, "folded", text);
  tide_page_time(out, "watermark", status->watermark_ms);
  tide_page_int(out, "queued", status->stats.queued);
  tide_page_int(out, "in_flight", status->stats.in_flight);
  tide_page_int(out, "connections", meter(http, TIDE_METER_ROW_http_connections, 0));
  tide_page_bool(out, "ingests", status->ingests);
  tide_json_close(out, '}');
}

static void put_journal(struct tide_http *http, const struct tide_engine_status *status, struct tide_buf *out) {
  const struct tide_journal_health *health = &status->health;
  tide_json_key(out, "journal");
  tide_json_open(out, '{');
  tide_page_text(out, "durability", http->options.durability);
  tide_page_int(out, "epoch", (int64_t)status->folded.epoch);
  tide_page_int(out, "epoch_changes", meter(http, TIDE_METER_ROW_journal_epoch_changes_total, 0));
  tide_page_int(out, "sessions", (int64_t)status->stats.sessions);
  tide_page_bool(out, "replicated", health->replicas > 0);
  tide_page_bool(out, "session", health->known || health->replicas == 0);
  tide_page_int(out, "replicas", health->replicas);
  tide_page_int(out, "online", health->online);
  tide_page_int(out, "quorum", health->quorum);
  tide_page_int(out, "wait_short", (int64_t)health->shorts);
  tide_page_int(out, "indeterminate", (int64_t)status->stats.maybe);
  tide_page_int(out, "rolled_back", (int64_t)status->stats.rolled_back);
  tide_page_int(out, "diverged", (int64_t)status->diverged);
  tide_page_int(out, "conflicts", tide_meters_fold(http->meters, TIDE_M_events_conflict_total));
  tide_page_int(out, "late", tide_meters_fold(http->meters, TIDE_M_events_late_total));
  tide_json_close(out, '}');
}

static const char *stale_word(const struct tide_group *group) {
  static const char *const word[] = {"fallback", "mark", "default", "recompute"};
  return word[group->stale];
}

static bool has_features(const struct tide_spec *spec, uint32_t entity) {
  for (uint32_t f = 0; f < spec->feature_count; f++)
    if (spec->feature[f].entity == entity) return true;
  return false;
}

/* As they would stand for a request of now whose card was never seen: the least fresh that any card can be. */
static void put_groups(const struct tide_sources_look *look, struct tide_buf *out) {
  const struct tide_spec *spec = atomic_load(&look->http->spec);
  struct tide_gate *gate = tide_alloc(sizeof *gate);
  struct tide_standing standing[TIDE_ENTITIES_MAX];
  struct tide_buf text = TIDE_BUF_INIT;
  static const char *const consistency[] = {"strong", "quorum", "eventual"};
  tide_gate_judge(gate, &look->known.ledger, spec, look->known.commit_ms, look->now_ms, TIDE_NONE, standing);
  tide_json_key(out, "groups");
  tide_json_open(out, '[');
  for (uint32_t e = 0; e < spec->entity_count; e++) {
    const struct tide_group *group = &spec->group[spec->entity[e].group];
    const struct tide_standing *one = &standing[e];
    if (!has_features(spec, e)) continue;
    tide_json_open(out, '{');
    tide_page_text(out, "entity", spec->entity[e].name);
    tide_page_text(out, "state", tide_vstate_name((enum tide_vstate)one->state));
    tide_page_int(out, "budget_ms", group->budget_ms);
    tide_json_key(out, "age_ms");
    if (one->age_ms == TIDE_AGE_UNKNOWN) tide_json_null(out);
    else tide_json_int(out, one->age_ms);
    tide_buf_clear(&text);
    if (one->source) tide_standing_source(one, &text);
    tide_page_text(out, "source", tide_buf_cstr(&text));
    tide_page_time(out, "complete", one->complete_ms);
    tide_page_text(out, "stale", stale_word(group));
    tide_page_text(out, "consistency", consistency[group->consistency]);
    uint32_t place;
    bool known = tide_meters_place(look->http->meters, TIDE_AXIS_entity, spec->entity[e].name, &place);
    tide_page_int(out, "entities", known ? meter(look->http, TIDE_METER_ROW_entities, place) : 0);
    tide_json_close(out, '}');
  }
  tide_json_close(out, ']');
  tide_buf_release(&text);
  tide_free(gate);
}

/* Those of the policy in force, in its order; the fallback's behind the others, where a hit is a decision. */
static void put_rules(struct tide_http *http, struct tide_buf *out) {
  const struct tide_policy_version *policy = tide_engine_policy(http->engine);
  const struct tide_spec *spec = policy ? policy->spec : atomic_load(&http->spec);
  tide_json_key(out, "rules");
  tide_json_open(out, '[');
  for (uint32_t r = 0; r < spec->rule_count + spec->fallback_count; r++) {
    bool fallback = r >= spec->rule_count;
    const struct tide_rule *rule = fallback ? &spec->fallback[r - spec->rule_count] : &spec->rule[r];
    struct tide_verdict verdict = {.by = fallback ? TIDE_BY_FALLBACK : TIDE_BY_RULE,
                                   .rule = (uint16_t)(fallback ? r - spec->rule_count : r)};
    const char *code = tide_verdict_by(spec, &verdict);
    uint32_t place;
    bool known = tide_meters_place(http->meters, TIDE_AXIS_rule, code, &place);
    tide_json_open(out, '{');
    tide_page_text(out, "code", code);
    tide_page_text(out, "decision", spec->decision[rule->decision]);
    tide_page_text(out, "say", rule->say);
    tide_page_bool(out, "shadow", rule->shadow);
    tide_page_bool(out, "fallback", fallback);
    tide_page_number(out, "recent", known ? tide_history_rule(http->history, place, RECENT_MS) : NAN);
    tide_page_number(out, "hour", known ? tide_history_rule(http->history, place, INT64_C(3600000)) : NAN);
    tide_json_close(out, '}');
  }
  tide_json_close(out, ']');
}

static void put_refusals(struct tide_http *http, struct tide_buf *out) {
  tide_json_key(out, "refusals");
  tide_json_open(out, '[');
  for (uint32_t c = 1; c < tide_meters_count(http->meters, TIDE_AXIS_cause); c++) {
    double hour = tide_history_cause(http->history, c, INT64_C(3600000));
    if (!(hour > 0)) continue;
    tide_json_open(out, '{');
    tide_page_text(out, "cause", tide_cause_name((enum tide_cause)c));
    tide_page_text(out, "text", tide_cause_text((enum tide_cause)c));
    tide_page_number(out, "recent", tide_history_cause(http->history, c, RECENT_MS));
    tide_page_number(out, "hour", hour);
    tide_json_close(out, '}');
  }
  tide_json_close(out, ']');
}

static void put_numbers(struct tide_http *http, struct tide_buf *out) {
  int64_t bucket[TIDE_METER_BUCKETS_MAX];
  tide_json_key(out, "now");
  tide_json_open(out, '{');
  tide_page_number(out, "answers", tide_history_last(http->history, TIDE_H_answers));
  tide_page_number(out, "messages", tide_history_last(http->history, TIDE_H_messages));
  tide_page_number(out, "refused", tide_history_last(http->history, TIDE_H_refused));
  tide_page_number(out, "p50_ms", tide_history_last(http->history, TIDE_H_p50_ms));
  tide_page_number(out, "p99_ms", tide_history_last(http->history, TIDE_H_p99_ms));
  tide_page_number(out, "p999_ms", tide_history_last(http->history, TIDE_H_p999_ms));
  tide_page_int(out, "deadline_ms", http->limits.deadline_ms);
  tide_json_close(out, '}');
  tide_json_key(out, "scores");
  tide_json_open(out, '[');
  uint32_t buckets = tide_history_scores(http->history, bucket);
  for (uint32_t b = 0; b < buckets; b++) tide_json_int(out, bucket[b]);
  tide_json_close(out, ']');
  tide_json_key(out, "staleness");
  tide_json_open(out, '{');
  tide_page_int(out, "judged", meter(http, TIDE_METER_ROW_judged_total, 0));
  tide_page_int(out, "right", meter(http, TIDE_METER_ROW_stale_verdicts_total, 0));
  tide_page_int(out, "false", meter(http, TIDE_METER_ROW_stale_verdicts_total, 1));
  tide_page_int(out, "unknown", meter(http, TIDE_METER_ROW_stale_verdicts_total, 2));
  tide_json_close(out, '}');
}

/* Where the members of a message stand that a lookup needs: the id, and the keys that may lead to the entity which remembers it. */
static void put_field(const struct tide_spec *spec, uint32_t field, bool optional, struct tide_buf *out) {
  const struct tide_shape *shape = &spec->shape[0];
  for (uint32_t i = 0; i < shape->field_count; i++) {
    if (shape->field[i].field != field || shape->field[i].at[0] != '/') continue;
    tide_json_open(out, '{');
    tide_page_text(out, "name", spec->field[field].name);
    tide_page_text(out, "at", shape->field[i].at);
    tide_page_bool(out, "secret", spec->field[field].secret);
    tide_page_bool(out, "optional", optional);
    tide_json_close(out, '}');
    return;
  }
}

static void put_lookup(const struct tide_spec *spec, struct tide_buf *out) {
  const struct tide_entity *primary = &spec->entity[0];
  tide_json_key(out, "lookup");
  tide_json_open(out, '[');
  for (uint32_t i = 0; i < spec->id_count; i++) put_field(spec, spec->id[i], false, out);
  for (uint32_t i = 0; i < primary->part_count; i++)
    put_field(spec, primary->part[i].ref, primary->first_of && primary->part_count > 1, out);
  tide_json_close(out, ']');
}

void tide_http_status_put(struct tide_http *http, const char *client, struct tide_buf *out) {
  struct tide_sources_look *look = tide_http_sources_look(http);
  const struct tide_spec *spec = atomic_load(&http->spec);
  tide_json_open(out, '{');
  tide_page_time(out, "time", look->now_ms);
  tide_page_text(out, "cell", http->options.cell);
  tide_page_text(out, "client", client);
  tide_http_put_rollout(http, out);
  put_engine(http, &look->status, out);
  put_journal(http, &look->status, out);
  put_groups(look, out);
  tide_json_key(out, "sources");
  if (http->options.source_count || look->known.ledger.source_count) tide_http_sources_put(look, out);
  else tide_json_null(out);
  tide_json_key(out, "decisions");
  tide_json_open(out, '[');
  for (uint32_t d = 0; d < spec->decision_count; d++) tide_json_cstr(out, spec->decision[d]);
  tide_json_close(out, ']');
  put_rules(http, out);
  put_refusals(http, out);
  put_numbers(http, out);
  put_lookup(spec, out);
  tide_json_close(out, '}');
  tide_http_sources_free(look);
}

/* ---- the sampler ---- */

static void *sampler_main(void *arg) {
  struct tide_http *http = arg;
  struct tide_sampler *sampler = &http->sampler;
  int64_t due_ns = tide_mono_now().ns;
  TIDE_CHECK(pthread_mutex_lock(&sampler->mutex) == 0);
  while (!sampler->quit) {
    struct timespec when = {.tv_sec = due_ns / 1000000000, .tv_nsec = due_ns % 1000000000};
    if (tide_mono_now().ns < due_ns) {
      (void)pthread_cond_timedwait(&sampler->changed, &sampler->mutex, &when);
      continue;
    }
    TIDE_CHECK(pthread_mutex_unlock(&sampler->mutex) == 0);
    tide_http_gauges(http);
    tide_history_sample(http->history, tide_wall_now().ms);
    due_ns += TIDE_HISTORY_STEP_MS * INT64_C(1000000);
    if (due_ns < tide_mono_now().ns) due_ns = tide_mono_now().ns + TIDE_HISTORY_STEP_MS * INT64_C(1000000); /* the process was stopped */
    TIDE_CHECK(pthread_mutex_lock(&sampler->mutex) == 0);
  }
  TIDE_CHECK(pthread_mutex_unlock(&sampler->mutex) == 0);
  return NULL;
}

void tide_sampler_start(struct tide_http *http) {
  struct tide_sampler *sampler = &http->sampler;
  pthread_condattr_t attr;
  http->history = tide_history_new(http->spec, http->meters);
  TIDE_CHECK(pthread_mutex_init(&sampler->mutex, NULL) == 0 && pthread_mutex_init(&http->gauges, NULL) == 0);
  TIDE_CHECK(pthread_condattr_init(&attr) == 0 && pthread_condattr_setclock(&attr, CLOCK_MONOTONIC) == 0);
  TIDE_CHECK(pthread_cond_init(&sampler->changed, &attr) == 0);
  (void)pthread_condattr_destroy(&attr);
  TIDE_CHECK(pthread_create(&sampler->thread, NULL, sampler_main, http) == 0);
}

void tide_sampler_stop(struct tide_http *http) {
  struct tide_sampler *sampler = &http->sampler;
  TIDE_CHECK(pthread_mutex_lock(&sampler->mutex) == 0);
  sampler->quit = true;
  (void)pthread_cond_signal(&sampler->changed);
  TIDE_CHECK(pthread_mutex_unlock(&sampler->mutex) == 0);
  TIDE_CHECK(pthread_join(sampler->thread, NULL) == 0);
}

void tide_sampler_free(struct tide_http *http) {
  (void)pthread_mutex_destroy(&http->sampler.mutex);
  (void)pthread_cond_destroy(&http->sampler.changed);
  (void)pthread_mutex_destroy(&http->gauges);
  tide_history_free(http->history);
}
