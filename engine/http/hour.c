/* GET /budget: what the last hour looked like, by group: ages against the budget, states of the values that decisions read, refusals by cause (parts.h).
 *
 * A thread of its own looks once a second how each entity's features would stand for a card never seen (as the metric freshness_age_seconds does) and keeps the
 * last 3600 looks; once a minute it keeps the counters, so that their difference over the hour can be told. Quantiles are those of the looks, exact. It is
 * this engine's hour: one that was started ten minutes ago has ten minutes, and says since when. Nothing is kept beyond the process; for longer times there is Prometheus. */
#include "base/json_out.h"
#include "base/json_page.h"
#include "http/parts.h"

#include <stdlib.h>

#define LOOKS 3600    /* one a second */
#define MINUTES 61    /* as many ends of minutes as an hour has, and its beginning */
#define AGE_NONE (-1) /* nothing is known to be complete */

struct counts {
  int64_t at_ms, scored, refused, late;
  int64_t cause[TIDE_C_COUNT];
  int64_t value[TIDE_ENTITIES_MAX][TIDE_S_COUNT];
};

struct tide_hour {
  pthread_mutex_t mutex;
  pthread_cond_t quit_set;
  pthread_t thread;
  bool quit;
  const struct tide_spec *spec;             /* what the looks are about: with another feature file they begin anew */
  uint32_t looks, next;                     /* kept; where the next goes */
  int32_t age_ms[TIDE_ENTITIES_MAX][LOOKS]; /* AGE_NONE: infinitely stale */
  int64_t since_ms;                         /* of the first look ever */
  struct counts minute[MINUTES];
  uint32_t minutes, next_minute;
};

static int64_t value_of(const struct tide_http *http, enum tide_meter_row row, size_t a, size_t b, size_t c) {
  return tide_meters_value(http->meters, row, (struct tide_meter_at){(uint32_t)a, (uint32_t)b, (uint32_t)c});
}

static void count(const struct tide_http *http, const struct tide_spec *spec, struct counts *ret) {
  *ret = (struct counts){.at_ms = tide_wall_now().ms, .late = value_of(http, TIDE_METER_ROW_engine_late_total, 0, 0, 0)};
  for (uint32_t i = 0; i < spec->decision_count; i++) {
    uint32_t d;
    if (!tide_meters_place(http->meters, TIDE_AXIS_decision, spec->decision[i], &d)) continue;
    ret->scored += value_of(http, TIDE_METER_ROW_answers_total, TIDE_STATUS_SCORED, d, 0);
    ret->refused += value_of(http, TIDE_METER_ROW_answers_total, TIDE_STATUS_REFUSED, d, 0);
  }
  for (int c = 0; c < TIDE_C_COUNT; c++) ret->cause[c] = tide_http_answers_by_cause(http->meters, (enum tide_cause)c);
  for (uint32_t e = 0; e < spec->entity_count; e++) {
    uint32_t at;
    if (!tide_meters_place(http->meters, TIDE_AXIS_entity, spec->entity[e].name, &at)) continue;
    for (int s = 0; s < TIDE_S_COUNT; s++) ret->value[e][s] = value_of(http, TIDE_METER_ROW_feature_values_total, at, (size_t)s, 0);
  }
}

static void look(struct tide_http *http) {
  struct tide_hour *hour = http->hour;
  struct tide_standing standing[TIDE_ENTITIES_MAX];
  struct tide_sources_look *seen = tide_http_sources_look(http);
  const struct tide_spec *spec = tide_http_standings(seen, standing);
  int64_t now_ms = seen->now_ms;
  tide_http_sources_free(seen);
  TIDE_CHECK(pthread_mutex_lock(&hour->mutex) == 0);
  if (hour->spec != spec) hour->looks = hour->next = hour->minutes = hour->next_minute = 0;
  hour->spec = spec;
  for (uint32_t e = 0; e < spec->entity_count; e++) {
    int64_t age_ms = standing[e].age_ms;
    hour->age_ms[e][hour->next] = age_ms == TIDE_AGE_UNKNOWN ? AGE_NONE : age_ms < INT32_MAX ? (int32_t)age_ms : INT32_MAX;
  }
  if (hour->looks == 0) hour->since_ms = now_ms;
  if (hour->looks < LOOKS) hour->looks++;
  hour->next = (hour->next + 1) % LOOKS;
  const struct counts *last = &hour->minute[(hour->next_minute + MINUTES - 1) % MINUTES];
  if (hour->minutes == 0 || now_ms - last->at_ms >= 60000 || now_ms < last->at_ms) {
    count(http, spec, &hour->minute[hour->next_minute]);
    hour->next_minute = (hour->next_minute + 1) % MINUTES;
    if (hour->minutes < MINUTES) hour->minutes++;
  }
  TIDE_CHECK(pthread_mutex_unlock(&hour->mutex) == 0);
}

static void *hour_main(void *arg) {
  struct tide_http *http = arg;
  struct tide_hour *hour = http->hour;
  struct tide_mono next = tide_mono_now();
  (void)pthread_setname_np(pthread_self(), "tide-hour");
  for (bool quit = false; !quit;) {
    look(http);
    next.ns += INT64_C(1000000000);
    if (tide_mono_now().ns > next.ns) next = tide_mono_now(); /* stopped meanwhile: what was not seen is not made up */
    struct timespec when = {.tv_sec = next.ns / 1000000000, .tv_nsec = next.ns % 1000000000};
    TIDE_CHECK(pthread_mutex_lock(&hour->mutex) == 0);
    while (!hour->quit && tide_mono_now().ns < next.ns) (void)pthread_cond_timedwait(&hour->quit_set, &hour->mutex, &when);
    quit = hour->quit;
    TIDE_CHECK(pthread_mutex_unlock(&hour->mutex) == 0);
  }
  return NULL;
}

void tide_hour_start(struct tide_http *http) {
  struct tide_hour *hour = http->hour = tide_alloc(sizeof *hour);
  pthread_condattr_t attr;
  TIDE_CHECK(pthread_mutex_init(&hour->mutex, NULL) == 0 && pthread_condattr_init(&attr) == 0);
  TIDE_CHECK(pthread_condattr_setclock(&attr, CLOCK_MONOTONIC) == 0 && pthread_cond_init(&hour->quit_set, &attr) == 0);
  (void)pthread_condattr_destroy(&attr);
  TIDE_CHECK(pthread_create(&hour->thread, NULL, hour_main, http) == 0);
}

void tide_hour_stop(struct tide_http *http) {
  struct tide_hour *hour = http->hour;
  TIDE_CHECK(pthread_mutex_lock(&hour->mutex) == 0);
  hour->quit = true;
  (void)pthread_cond_signal(&hour->quit_set);
  TIDE_CHECK(pthread_mutex_unlock(&hour->mutex) == 0);
  TIDE_CHECK(pthread_join(hour->thread, NULL) == 0);
  (void)pthread_mutex_destroy(&hour->mutex);
  (void)pthread_cond_destroy(&hour->quit_set);
  tide_free(hour);
}

/* ---- the page ---- */

/* Unknown is older than any number. */
static int by_age(const void *a, const void *b) {
  uint32_t x, y;
  memcpy(&x, a, sizeof x);
  memcpy(&y, b, sizeof y);
  return x < y ? -1 : x > y;
}

static void put_age(struct tide_buf *out, const char *key, int32_t age_ms) {
  tide_json_key(out, key);
  if (age_ms == AGE_NONE) tide_json_null(out);
  else tide_json_int(out, age_ms);
}

static void put_group(const struct tide_spec *spec, uint32_t entity, int32_t *age, uint32_t looks, const struct counts *from,
                      const struct counts *to, struct tide_buf *out) {
  int64_t budget_ms = spec->group[spec->entity[entity].group].budget_ms;
  uint32_t beyond = 0;
  int32_t now_ms = age[looks - 1];
  for (uint32_t i = 0; i < looks; i++) beyond += age[i] == AGE_NONE || age[i] > budget_ms;
  qsort(age, looks, sizeof *age, by_age);
  tide_json_open(out, '{');
  tide_json_key(out, "entity");
  tide_json_cstr(out, spec->entity[entity].name);
  tide_page_int(out, "budget_ms", budget_ms);
  tide_json_key(out, "age_ms");
  tide_json_open(out, '{');
  put_age(out, "now", now_ms);
  put_age(out, "p50", age[(looks - 1) / 2]);
  put_age(out, "p99", age[(uint32_t)((uint64_t)(looks - 1) * 99 / 100)]);
  put_age(out, "max", age[looks - 1]);
  tide_json_close(out, '}');
  tide_page_int(out, "beyond", beyond);
  tide_json_key(out, "values");
  tide_json_open(out, '{');
  for (int s = 0; s < TIDE_S_COUNT; s++)
    tide_page_int(out, tide_vstate_name((enum tide_vstate)s), to->value[entity][s] - from->value[entity][s]);
  tide_json_close(out, '}');
  tide_json_close(out, '}');
}

static void put_answers(const struct counts *from, const struct counts *to, struct tide_buf *out) {
  tide_json_key(out, "answers");
  tide_json_open(out, '{');
  tide_page_int(out, "scored", to->scored - from->scored);
  tide_page_int(out, "refused", to->refused - from->refused);
  tide_page_int(out, "late", to->late - from->late);
  tide_json_key(out, "causes");
  tide_json_open(out, '{');
  for (int c = 0; c < TIDE_C_COUNT; c++)
    if (c != TIDE_C_none && to->cause[c] > from->cause[c])
      tide_page_int(out, tide_cause_name((enum tide_cause)c), to->cause[c] - from->cause[c]);
  tide_json_close(out, '}');
  tide_json_close(out, '}');
}

void tide_hour_put(struct tide_http *http, struct tide_buf *out) {
  struct tide_hour *hour = http->hour;
  struct counts to, from;
  char text[TIDE_TIME_TEXT], file[TIDE_VERSION_TEXT];
  int32_t(*age)[LOOKS] = tide_alloc(sizeof hour->age_ms);
  TIDE_CHECK(pthread_mutex_lock(&hour->mutex) == 0);
  const struct tide_spec *spec = hour->spec ? hour->spec : atomic_load(&http->spec);
  uint32_t looks = hour->looks, first = (hour->next + LOOKS - looks) % LOOKS;
  for (uint32_t e = 0; e < spec->entity_count; e++)
    for (uint32_t i = 0; i < looks; i++) age[e][i] = hour->age_ms[e][(first + i) % LOOKS];
  count(http, spec, &to);
  from = hour->minute[(hour->next_minute + MINUTES - hour->minutes) % MINUTES];
  int64_t since_ms = hour->since_ms;
  TIDE_CHECK(pthread_mutex_unlock(&hour->mutex) == 0);
  if (to.at_ms - since_ms > LOOKS * INT64_C(1000)) since_ms = to.at_ms - LOOKS * INT64_C(1000);
  tide_json_open(out, '{');
  tide_page_int(out, "engine", http->options.engine_id);
  tide_json_key(out, "features");
  tide_version_text(tide_span_of(spec->name), tide_content_hash((struct tide_span){spec->text, spec->text_len}), file);
  tide_json_cstr(out, file);
  const struct tide_policy_version *policy = tide_engine_policy(http->engine);
  tide_json_key(out, "policy");
  tide_json_cstr(out, policy && policy->label[0] ? policy->label : file);
  tide_json_key(out, "since");
  tide_json_cstr(out, tide_time_format((struct tide_etime){since_ms}, text));
  tide_page_int(out, "looks", looks);
  put_answers(&from, &to, out);
  tide_json_key(out, "groups");
  tide_json_open(out, '[');
  for (uint32_t e = 0; e < spec->entity_count && looks > 0; e++) put_group(spec, e, age[e], looks, &from, &to, out);
  tide_json_close(out, ']');
  tide_json_close(out, '}');
  tide_free(age);
}
