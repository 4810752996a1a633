/* Live metrics: what is written comes out in the text format, checked by a strict parser of its own; buckets hold what they say; shards add up; the labels
 * of a file may hold anything; and writing and reading at once is clean under SAN=thread and never goes back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <ctype.h>
#include <inttypes.h>
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/meter.h"

#define R(name) TIDE_METER_ROW_##name

static const char *const routes[] = {"score", "odd \"quoted\" back\\slash\nline"};
static const char *const codes[] = {"200", "400", "503"};
static const char *const one[] = {"one"};
static const char *const decisions[] = {"approve", "decline"};
static const char *const rules[] = {"V01", "M01", "else"};
static const char *const causes[] = {"", "stale"};
static const char *const entities[] = {"card"};
static const char *const states[] = {"fresh", "stale"};
static const struct tide_meter_values axes[TIDE_AXIS_COUNT] = {
    [TIDE_AXIS_route] = {routes, 2},        [TIDE_AXIS_code] = {codes, 3},     [TIDE_AXIS_decision] = {decisions, 2},
    [TIDE_AXIS_problem] = {one, 1},         [TIDE_AXIS_limit] = {one, 1},      [TIDE_AXIS_status] = {one, 1},
    [TIDE_AXIS_engine_state] = {states, 2}, [TIDE_AXIS_rule] = {rules, 3},     [TIDE_AXIS_cause] = {causes, 2},
    [TIDE_AXIS_entity] = {entities, 1},     [TIDE_AXIS_state] = {states, 2},   [TIDE_AXIS_source] = {one, 1},
    [TIDE_AXIS_partition] = {codes, 3},     [TIDE_AXIS_reason] = {one, 1},     [TIDE_AXIS_letter] = {one, 1},
    [TIDE_AXIS_result] = {one, 1},          [TIDE_AXIS_verdict] = {states, 2},
};

static struct tide_meters *meters_new(unsigned shards) {
  struct tide_meters *meters = NULL;
  struct tide_error error;
  assert_int_equal(tide_meters_new(axes, shards, &meters, &error), TIDE_OK);
  return meters;
}

/* ---- a strict parser of the exposition format 0.0.4 ---- */

enum { SAMPLES = 4096, TEXT = 512 };
struct sample {
  char name[TEXT], labels[TEXT], le[32]; /* labels without le, as written */
  double value;
};
struct parsed {
  struct sample sample[SAMPLES];
  size_t count, families;
};

static const char *name_read(const char *at, char *out, bool colon) {
  size_t n = 0;
  if (!isalpha((unsigned char)*at) && *at != '_') fail_msg("not a name: %.40s", at);
  while (isalnum((unsigned char)*at) || *at == '_' || (colon && *at == ':')) {
    assert_true(n + 1 < TEXT);
    out[n++] = *at++;
  }
  out[n] = '\0';
  return at;
}

static void put(char *to, size_t cap, const char *from, size_t len) {
  size_t at = strlen(to);
  assert_true(at + len < cap);
  memcpy(to + at, from, len);
  to[at + len] = '\0';
}

/* {a="b",c="d"}; escapes are \\ \" and \n only, and no raw line feed. */
static const char *labels_read(const char *at, struct sample *s) {
  if (*at != '{') return at;
  do {
    char name[TEXT];
    const char *from = ++at;
    at = name_read(at, name, false);
    if (*at++ != '=' || *at++ != '"') fail_msg("a label: %.40s", from);
    const char *value = at;
    for (; *at != '"'; at++) {
      if (*at == '\\' && !strchr("\\\"n", *++at)) fail_msg("an escape: %.40s", value);
      if (*at == '\n' || *at == '\0') fail_msg("an open label: %.40s", from);
    }
    if (strcmp(name, "le") == 0) put(s->le, sizeof s->le, value, (size_t)(at - value));
    else put(s->labels, sizeof s->labels, from, (size_t)(at - from) + 1), put(s->labels, sizeof s->labels, ",", 1);
    at++;
  } while (*at == ',');
  if (*at != '}') fail_msg("labels end with }: %.40s", at);
  return at + 1;
}

static const char *const types[] = {"counter", "gauge", "histogram"};

static bool has_ending(const char *text, const char *ending) {
  size_t a = strlen(text), b = strlen(ending);
  return a >= b && strcmp(text + a - b, ending) == 0;
}

static void check_name(const char *family, const char *type, const char *name) {
  size_t len = strlen(family);
  assert_int_equal(strncmp(name, family, len), 0);
  const char *suffix = name + len;
  if (strcmp(type, "histogram") == 0)
    assert_true(strcmp(suffix, "_bucket") == 0 || strcmp(suffix, "_sum") == 0 || strcmp(suffix, "_count") == 0);
  else assert_string_equal(suffix, "");
  assert_int_equal(has_ending(family, "_total"), strcmp(type, "counter") == 0);
}

/* The buckets of one histogram: bounds rise, counts do not fall, +Inf is there and is the count, the sum comes between. */
static void check_histogram(const struct parsed *p, size_t from, size_t to) {
  double bound = -1, count = 0;
  for (size_t i = from; i + 2 < to; i++) {
    const struct sample *s = &p->sample[i];
    assert_true(has_ending(s->name, "_bucket") && s->le[0]);
    double le = strcmp(s->le, "+Inf") == 0 ? INFINITY : strtod(s->le, NULL);
    assert_true(le > bound && s->value >= count);
    bound = le;
    count = s->value;
  }
  assert_true(isinf(bound));
  assert_true(has_ending(p->sample[to - 2].name, "_sum") && has_ending(p->sample[to - 1].name, "_count"));
  assert_true(p->sample[to - 1].value == count);
}

static struct parsed *parse(const struct tide_buf *text) {
  struct parsed *p = calloc(1, sizeof *p);
  char *copy = tide_strndup(text->ptr, text->len), seen[200][TEXT];
  const char *at = copy;
  assert_true(text->len > 0 && copy[text->len - 1] == '\n' && strlen(copy) == text->len);
  while (*at) { /* one family: HELP, TYPE, samples */
    char family[TEXT], again[TEXT], type[16];
    if (strncmp(at, "# HELP ", 7) != 0) fail_msg("HELP expected: %.60s", at);
    at = name_read(at + 7, family, true);
    assert_int_equal(strncmp(family, "tidemark_", 9), 0);
    assert_true(*at == ' ' && at[1] > ' ');
    for (; *at != '\n'; at++)
      if (*at == '\\') assert_true(*++at == '\\' || *at == 'n');
    if (strncmp(++at, "# TYPE ", 7) != 0) fail_msg("TYPE expected: %.60s", at);
    at = name_read(at + 7, again, true);
    assert_string_equal(again, family);
    assert_int_equal(sscanf(at, " %15[a-z]", type), 1);
    at += 1 + strlen(type);
    assert_true(strcmp(type, types[0]) == 0 || strcmp(type, types[1]) == 0 || strcmp(type, types[2]) == 0);
    assert_true(*at++ == '\n');
    for (size_t i = 0; i < p->families; i++) assert_string_not_equal(seen[i], family);
    assert_true(p->families < 200);
    memcpy(seen[p->families++], family, sizeof family);
    size_t first = p->count, group = p->count;
    while (*at && *at != '#') {
      assert_true(p->count < SAMPLES);
      struct sample *s = &p->sample[p->count++];
      at = labels_read(name_read(at, s->name, true), s);
      check_name(family, type, s->name);
      assert_int_equal(s->le[0] != '\0', has_ending(s->name, "_bucket"));
      assert_true(*at++ == ' ');
      char *end;
      assert_true(isdigit((unsigned char)*at) || *at == '-');
      s->value = strtod(at, &end);
      assert_true(*end == '\n');
      at = end + 1;
      for (size_t i = first; i + 1 < p->count; i++)
        if (strcmp(p->sample[i].name, s->name) == 0 && strcmp(p->sample[i].labels, s->labels) == 0 && strcmp(p->sample[i].le, s->le) == 0)
          fail_msg("twice: %s{%s}", s->name, s->labels);
      if (strcmp(type, "histogram") == 0 && has_ending(s->name, "_count")) {
        for (size_t i = group; i < p->count; i++) assert_string_equal(p->sample[i].labels, s->labels);
        check_histogram(p, group, p->count);
        group = p->count;
      }
    }
    if (strcmp(type, "histogram") == 0) assert_int_equal(group, p->count);
  }
  tide_free(copy);
  return p;
}

static double value_of(const struct parsed *p, const char *name, const char *labels, const char *le) {
  for (size_t i = 0; i < p->count; i++)
    if (strcmp(p->sample[i].name, name) == 0 && strcmp(p->sample[i].labels, labels) == 0 && strcmp(p->sample[i].le, le) == 0)
      return p->sample[i].value;
  return -1e9; /* not there */
}
#define ABSENT -1e9

static struct parsed *expose(const struct tide_meters *meters) {
  struct tide_buf text = TIDE_BUF_INIT;
  tide_meters_expose(meters, &text);
  struct parsed *p = parse(&text);
  tide_buf_release(&text);
  return p;
}

/* ---- the tests ---- */

static void an_untouched_engine_has_all_families(void **state) {
  (void)state;
  struct tide_meters *meters = meters_new(2);
  struct parsed *p = expose(meters);
  assert_int_equal(p->families, TIDE_METRIC_COUNT + TIDE_METER_ROW_COUNT);
  assert_true(value_of(p, "tidemark_queue_seconds_count", "", "") == 0);
  assert_true(value_of(p, "tidemark_http_connections", "", "") == 0);
  assert_true(value_of(p, "tidemark_answers_by_rule_total", "decision=\"approve\",rule=\"V01\",cause=\"\",", "") == ABSENT);
  assert_true(value_of(p, "tidemark_total_seconds_count", "route=\"score\",", "") == ABSENT);
  assert_true(value_of(p, "tidemark_http_problems_total", "type=\"one\",", "") == 0); /* one label: there from the start */
  assert_true(value_of(p, "tidemark_engine_state", "state=\"stale\",", "") == 0);
  free(p);
  tide_meters_free(meters);
  tide_meters_free(NULL);
}

static void what_is_written_can_be_read(void **state) {
  (void)state;
  struct tide_meters *meters = meters_new(2);
  struct tide_meter *a = tide_meters_shard(meters, 0), *b = tide_meters_shared(meters);
  int64_t value = -7, bucket[TIDE_METER_BUCKETS_MAX];
  const int64_t *bound;
  assert_true(tide_meters_get(meters, R(engine_queued), TIDE_METER_PLAIN, &value));
  assert_int_equal(value, 0);
  assert_false(tide_meters_get(meters, R(journal_replicas_online), TIDE_METER_PLAIN, &value)); /* not there */
  tide_meter_set(a, R(journal_replicas_online), TIDE_METER_PLAIN, 0);
  assert_true(tide_meters_get(meters, R(journal_replicas_online), TIDE_METER_PLAIN, &value));
  assert_int_equal(value, 0);
  tide_meter_add(a, R(answers_total), (struct tide_meter_at){0, 1, 0}, 5);
  tide_meter_add(b, R(answers_total), (struct tide_meter_at){0, 1, 0}, 6);
  assert_true(tide_meters_get(meters, R(answers_total), (struct tide_meter_at){0, 1, 0}, &value));
  assert_int_equal(value, 11);
  tide_meter_share(a, R(scores), TIDE_METER_PLAIN, 0);
  tide_meter_share(b, R(scores), TIDE_METER_PLAIN, 50000);
  tide_meter_share(b, R(scores), TIDE_METER_PLAIN, 50001);
  tide_meter_share(b, R(scores), TIDE_METER_PLAIN, 1000000);
  uint32_t count = tide_meters_buckets(meters, R(scores), TIDE_METER_PLAIN, bucket, &bound);
  assert_int_equal(count, 21);
  assert_int_equal(bound[0], 50000);
  assert_int_equal(bucket[0], 2); /* a bound belongs to what is below it */
  assert_int_equal(bucket[1], 1);
  assert_int_equal(bucket[19], 1);
  assert_int_equal(bucket[20], 0);
  assert_int_equal(tide_meter_quantile(bucket, bound, count, 0.5), 50000);
  assert_int_equal(tide_meter_quantile(bucket, bound, count, 0.75), 100000);
  assert_int_equal(tide_meter_quantile(bucket, bound, count, 0.76), 1000000);
  memset(bucket, 0, sizeof bucket);
  assert_int_equal(tide_meter_quantile(bucket, bound, count, 0.5), -1);
  bucket[20] = 1; /* above all bounds */
  assert_int_equal(tide_meter_quantile(bucket, bound, count, 0.5), 1000000);
  assert_string_equal(tide_meters_name(meters, TIDE_AXIS_rule, 1), "M01");
  assert_int_equal(tide_meters_count(meters, TIDE_AXIS_rule), 3);
  struct parsed *p = expose(meters);
  assert_true(value_of(p, "tidemark_scores_bucket", "", "0.05") == 2);
  assert_true(value_of(p, "tidemark_scores_sum", "", "") == 1.100001);
  free(p);
  tide_meters_free(meters);
}

static void what_is_written_comes_out(void **state) {
  (void)state;
  struct tide_meters *meters = meters_new(3);
  struct tide_meter *a = tide_meters_shard(meters, 0), *b = tide_meters_shard(meters, 2);
  tide_meter_add(a, R(answers_by_rule_total), (struct tide_meter_at){1, 2, 1}, 5);
  tide_meter_add(b, R(answers_by_rule_total), (struct tide_meter_at){1, 2, 1}, 2);
  tide_meter_add(b, R(answers_by_rule_total), (struct tide_meter_at){0, 0, 0}, 1);
  tide_meter_add(a, R(http_connections), TIDE_METER_PLAIN, 7);
  tide_meter_add(b, R(http_connections), TIDE_METER_PLAIN, -3);
  tide_meter_set(a, R(engine_queued), TIDE_METER_PLAIN, 12);
  tide_meter_set(a, R(engine_queued), TIDE_METER_PLAIN, 11);
  tide_meter_set(b, R(engine_syncs_total), TIDE_METER_PLAIN, 5); /* a counter that is kept elsewhere */
  tide_meter_set(b, R(engine_syncs_total), TIDE_METER_PLAIN, 8);
  tide_meter_seconds(a, R(total_seconds), (struct tide_meter_at){1, 0, 0}, 1500000);
  tide_meter_seconds(b, R(total_seconds), (struct tide_meter_at){1, 0, 0}, 20000000001);
  tide_meter_records(a, R(commit_batch_records), TIDE_METER_PLAIN, 512);
  struct tide_metrics fold = {{0}};
  fold.value[TIDE_M_journal_void_total] = 3;
  fold.value[TIDE_M_decisions_total] = 9;
  tide_meter_publish(a, &fold);
  fold.value[TIDE_M_decisions_total] = 10;
  tide_meter_publish(a, &fold); /* replaces */
  struct parsed *p = expose(meters);
  static const char label[] = "route=\"odd \\\"quoted\\\" back\\\\slash\\nline\",";
  assert_true(value_of(p, "tidemark_answers_by_rule_total", "decision=\"decline\",rule=\"else\",cause=\"stale\",", "") == 7);
  assert_true(value_of(p, "tidemark_answers_by_rule_total", "decision=\"approve\",rule=\"V01\",cause=\"\",", "") == 1);
  assert_true(value_of(p, "tidemark_answers_by_rule_total", "decision=\"decline\",rule=\"V01\",cause=\"\",", "") == ABSENT);
  assert_true(value_of(p, "tidemark_http_connections", "", "") == 4);
  assert_true(value_of(p, "tidemark_engine_queued", "", "") == 11);
  assert_true(value_of(p, "tidemark_engine_syncs_total", "", "") == 8);
  assert_true(value_of(p, "tidemark_total_seconds_bucket", label, "0.001") == 0);
  assert_true(value_of(p, "tidemark_total_seconds_bucket", label, "0.0015") == 1);
  assert_true(value_of(p, "tidemark_total_seconds_bucket", label, "10") == 1);
  assert_true(value_of(p, "tidemark_total_seconds_bucket", label, "+Inf") == 2);
  assert_true(value_of(p, "tidemark_total_seconds_count", label, "") == 2);
  assert_true(fabs(value_of(p, "tidemark_total_seconds_sum", label, "") - 20.001500001) < 1e-12);
  assert_true(value_of(p, "tidemark_total_seconds_count", "route=\"score\",", "") == ABSENT);
  assert_true(value_of(p, "tidemark_commit_batch_records_bucket", "", "256") == 0);
  assert_true(value_of(p, "tidemark_commit_batch_records_bucket", "", "512") == 1);
  assert_true(value_of(p, "tidemark_commit_batch_records_sum", "", "") == 512);
  assert_true(value_of(p, "tidemark_journal_void_total", "", "") == 3);
  assert_true(value_of(p, "tidemark_decisions_total", "", "") == 10);
  free(p);
  tide_meters_free(meters);
}

/* A level of zero is a value; one that is not known is no line at all, so that nobody takes an old one for today's. */
static void levels_come_and_go(void **state) {
  (void)state;
  struct tide_meters *meters = meters_new(1);
  struct tide_meter *m = tide_meters_shared(meters);
  struct tide_meter_at at = {.a = 0, .b = 1};
  static const char labels[] = "source=\"one\",partition=\"400\",";
  tide_meter_set(m, R(source_lag_messages), at, 0);
  tide_meter_set(m, R(source_seen_age_seconds), at, 1500000000);
  tide_meter_set(m, R(source_silent), TIDE_METER_PLAIN, 1);
  struct parsed *p = expose(meters);
  assert_true(value_of(p, "tidemark_source_lag_messages", labels, "") == 0);
  assert_true(value_of(p, "tidemark_source_seen_age_seconds", labels, "") == 1.5);
  assert_true(value_of(p, "tidemark_source_silent", "source=\"one\",", "") == 1);
  assert_true(value_of(p, "tidemark_source_lag_messages", "source=\"one\",partition=\"200\",", "") == ABSENT);
  assert_true(value_of(p, "tidemark_freshness_stale", "entity=\"card\",", "") == ABSENT); /* also with one label */
  free(p);
  tide_meter_set(m, R(source_lag_messages), at, 7);
  tide_meter_unset(m, R(source_seen_age_seconds), at);
  tide_meter_unset(m, R(source_silent), TIDE_METER_PLAIN);
  p = expose(meters);
  assert_true(value_of(p, "tidemark_source_lag_messages", labels, "") == 7);
  assert_true(value_of(p, "tidemark_source_seen_age_seconds", labels, "") == ABSENT);
  assert_true(value_of(p, "tidemark_source_silent", "source=\"one\",", "") == ABSENT);
  free(p);
  tide_meters_free(meters);
}

/* One value at each bound, one below and one above: each bucket takes what is not above its bound and above the one before. */
static void every_bound_is_inclusive(void **state) {
  (void)state;
  struct tide_meters *meters = meters_new(1);
  struct tide_meter *m = tide_meters_shard(meters, 0);
  struct parsed *p = expose(meters);
  double bounds[64];
  size_t count = 0;
  for (size_t i = 0; i < p->count; i++)
    if (strcmp(p->sample[i].name, "tidemark_queue_seconds_bucket") == 0 && strcmp(p->sample[i].le, "+Inf") != 0)
      bounds[count++] = strtod(p->sample[i].le, NULL);
  free(p);
  assert_int_equal(count, 37);
  assert_true(bounds[0] == 0.00001 && bounds[count - 1] == 10);
  static const double wanted[] = {0.001, 0.0015, 0.005, 0.015, 0.1};
  for (size_t w = 0; w < sizeof wanted / sizeof wanted[0]; w++) {
    bool found = false;
    for (size_t i = 0; i < count; i++) found = found || bounds[i] == wanted[w];
    assert_true(found);
  }
  int64_t sum = INT64_C(3600) * 1000000000;
  for (size_t i = 0; i < count; i++) {
    if (i > 0) assert_true(bounds[i] / bounds[i - 1] < 1.67 && bounds[i] / bounds[i - 1] > 1.3);
    int64_t ns = (int64_t)llround(bounds[i] * 1e9);
    for (int64_t step = -1; step <= 1; step++) tide_meter_seconds(m, R(queue_seconds), TIDE_METER_PLAIN, ns + step);
    sum += 3 * ns;
  }
  tide_meter_seconds(m, R(queue_seconds), TIDE_METER_PLAIN, -50000);
  tide_meter_seconds(m, R(queue_seconds), TIDE_METER_PLAIN, INT64_C(3600) * 1000000000);
  p = expose(meters);
  size_t i = 0;
  for (size_t k = 0; k < p->count; k++) {
    if (strcmp(p->sample[k].name, "tidemark_queue_seconds_bucket") != 0) continue;
    double want =
        i < count ? 3 * (double)i + 3 : 3 * (double)count + 2; /* those of the bounds before, two of this one, and the one below 0 */
    if (p->sample[k].value != want) fail_msg("le %s: %f, not %f", p->sample[k].le, p->sample[k].value, want);
    i++;
  }
  assert_int_equal(llround(value_of(p, "tidemark_queue_seconds_sum", "", "") * 1e9), sum); /* below 0 counts as 0 */
  free(p);
  tide_meters_free(meters);
}

static void too_many_labels_are_refused(void **state) {
  (void)state;
  enum { MANY = 4000 };
  const char **names = calloc(MANY, sizeof *names);
  for (int i = 0; i < MANY; i++) names[i] = "x";
  struct tide_meter_values big[TIDE_AXIS_COUNT];
  memcpy(big, axes, sizeof big);
  big[TIDE_AXIS_rule] = (struct tide_meter_values){names, MANY};
  big[TIDE_AXIS_cause] = (struct tide_meter_values){names, MANY};
  struct tide_meters *meters = NULL;
  struct tide_error error = {0};
  assert_int_equal(tide_meters_new(big, 1, &meters, &error), TIDE_E_LIMIT);
  assert_null(meters);
  assert_non_null(strstr(error.text, "tidemark_answers_by_rule_total"));
  big[TIDE_AXIS_rule] = big[TIDE_AXIS_cause] = (struct tide_meter_values){NULL, 0}; /* no rules: the metric is empty */
  assert_int_equal(tide_meters_new(big, 1, &meters, &error), TIDE_OK);
  struct parsed *p = expose(meters);
  assert_int_equal(p->families, TIDE_METRIC_COUNT + TIDE_METER_ROW_COUNT);
  free(p);
  tide_meters_free(meters);
  free(names);
}

enum { WRITERS = 3, ROUND = 3000, SCRAPES = 30 };
struct writer {
  pthread_t thread;
  struct tide_meter *meter, *shared;
  int64_t rounds;
};
static atomic_int scrapes;

/* Writes until the reader has looked SCRAPES times, so the two do overlap on any machine. */
static void *write_much(void *arg) {
  struct writer *w = arg;
  struct tide_metrics fold = {{0}};
  while (w->rounds == 0 || atomic_load(&scrapes) < SCRAPES) {
    for (int i = 1; i <= ROUND; i++) {
      tide_meter_seconds(w->meter, R(fold_seconds), TIDE_METER_PLAIN, (int64_t)i * 1000);
      tide_meter_add(w->meter, R(answers_by_rule_total), (struct tide_meter_at){0, (uint32_t)i % 3, 0}, 1);
      tide_meter_add(w->shared, R(inbox_refused_total), TIDE_METER_PLAIN, 1);
      tide_meter_records(w->shared, R(commit_batch_records), TIDE_METER_PLAIN, 4);
      fold.value[TIDE_M_decisions_total]++;
      tide_meter_publish(w->meter, &fold);
    }
    w->rounds++;
  }
  return NULL;
}

static void reading_while_writing_never_goes_back(void **state) {
  (void)state;
  struct tide_meters *meters = meters_new(WRITERS);
  struct writer writer[WRITERS];
  atomic_store(&scrapes, 0);
  for (unsigned i = 0; i < WRITERS; i++) {
    writer[i] = (struct writer){.meter = tide_meters_shard(meters, i), .shared = tide_meters_shared(meters)};
    assert_int_equal(pthread_create(&writer[i].thread, NULL, write_much, &writer[i]), 0);
  }
  double count = 0, decided = 0, rounds = 0;
  for (int i = 0; i < SCRAPES; i++) {
    struct parsed *p = expose(meters); /* checks that the buckets and the count agree, every time */
    double now = value_of(p, "tidemark_fold_seconds_count", "", ""), made = value_of(p, "tidemark_decisions_total", "", "");
    assert_true(now >= count && made >= decided);
    count = now;
    decided = made;
    free(p);
    atomic_fetch_add(&scrapes, 1);
  }
  for (unsigned i = 0; i < WRITERS; i++) {
    assert_int_equal(pthread_join(writer[i].thread, NULL), 0);
    rounds += (double)writer[i].rounds;
  }
  struct parsed *p = expose(meters);
  assert_true(value_of(p, "tidemark_fold_seconds_count", "", "") == rounds * ROUND);
  assert_true(value_of(p, "tidemark_decisions_total", "", "") == rounds * ROUND);
  assert_true(value_of(p, "tidemark_answers_by_rule_total", "decision=\"approve\",rule=\"M01\",cause=\"\",", "") == rounds * ROUND / 3);
  assert_true(value_of(p, "tidemark_inbox_refused_total", "", "") == rounds * ROUND);
  assert_true(value_of(p, "tidemark_commit_batch_records_bucket", "", "2") == 0);
  assert_true(value_of(p, "tidemark_commit_batch_records_count", "", "") == rounds * ROUND);
  assert_true(value_of(p, "tidemark_commit_batch_records_sum", "", "") == 4 * rounds * ROUND);
  double sum = rounds * 1e-6 * ROUND * (ROUND + 1) / 2;
  assert_true(fabs(value_of(p, "tidemark_fold_seconds_sum", "", "") - sum) < sum * 1e-9);
  free(p);
  tide_meters_free(meters);
}

enum { HAMMERS = 3, BLOWS = 1000000 };
static atomic_int ready;

static void *hammer(void *arg) {
  struct tide_meters *meters = arg;
  atomic_fetch_add(&ready, 1);
  while (atomic_load(&ready) < HAMMERS) continue; /* all at once, or the first is done before the last begins */
  for (int i = 0; i < BLOWS; i++) tide_meter_add(tide_meters_shared(meters), R(inbox_refused_total), TIDE_METER_PLAIN, 1);
  return NULL;
}

static void the_shared_shard_loses_nothing(void **state) {
  (void)state;
  struct tide_meters *meters = meters_new(1);
  pthread_t thread[HAMMERS];
  atomic_store(&ready, 0);
  for (int i = 0; i < HAMMERS; i++) assert_int_equal(pthread_create(&thread[i], NULL, hammer, meters), 0);
  for (int i = 0; i < HAMMERS; i++) assert_int_equal(pthread_join(thread[i], NULL), 0);
  struct parsed *p = expose(meters);
  assert_true(value_of(p, "tidemark_inbox_refused_total", "", "") == (double)HAMMERS * BLOWS);
  free(p);
  tide_meters_free(meters);
}

static void every_row_is_documented_and_well_named(void **state) {
  (void)state;
  struct tide_buf page = TIDE_BUF_INIT;
  tide_meters_document(&page);
  tide_buf_cstr(&page);
#define X(name, type, a, b, c, help)                                                                                                       \
  assert_non_null(strstr(page.ptr, "| `tidemark_" #name "` | "));                                                                          \
  assert_non_null(strstr(page.ptr, help " |\n"));                                                                                          \
  assert_null(strpbrk(help, "\\\n|"));                                                                                                     \
  assert_int_equal(TIDE_METER_##type == TIDE_METER_SECONDS || TIDE_METER_##type == TIDE_METER_AGE,                                         \
                   has_ending(#name, "_seconds") && TIDE_METER_##type != TIDE_METER_GAUGE); /* a gauge may count whole ones */             \
  assert_int_equal(TIDE_METER_##type == TIDE_METER_COUNTER, has_ending(#name, "_total"));
  TIDE_METERS(X)
#undef X
  assert_non_null(strstr(page.ptr, "| `route`, `code` |"));
  tide_buf_release(&page);
}

/* A place without a name is not shown, gets the first name that asks for it, and is then found again; when there is none left, the caller is told. */
static void values_that_come_later(void **state) {
  (void)state;
  static const char *const later[] = {"V01", NULL, NULL};
  struct tide_meter_values values[TIDE_AXIS_COUNT];
  memcpy(values, axes, sizeof values);
  values[TIDE_AXIS_rule] = (struct tide_meter_values){later, 3};
  struct tide_meters *meters = NULL;
  assert_int_equal(tide_meters_new(values, 1, &meters, NULL), TIDE_OK);
  uint32_t place[3];
  assert_true(tide_meters_place(meters, TIDE_AXIS_rule, "V01", &place[0]) && place[0] == 0);
  assert_true(tide_meters_place(meters, TIDE_AXIS_rule, "N1", &place[1]) && place[1] == 1);
  struct tide_meter_at at = {1, place[1], 1};
  tide_meter_add(tide_meters_shared(meters), R(answers_by_rule_total), at, 3);
  assert_true(tide_meters_place(meters, TIDE_AXIS_rule, "N2", &place[2]) && place[2] == 2);
  assert_true(tide_meters_place(meters, TIDE_AXIS_rule, "N1", &place[2]) && place[2] == 1);
  assert_false(tide_meters_place(meters, TIDE_AXIS_rule, "N3", &place[2]));
  struct tide_buf text = TIDE_BUF_INIT;
  tide_meters_expose(meters, &text);
  assert_non_null(strstr(tide_buf_cstr(&text), "tidemark_answers_by_rule_total{decision=\"decline\",rule=\"N1\",cause=\"stale\"} 3\n"));
  assert_null(strstr(text.ptr, ",rule=\"N2\"")); /* named, and nothing counted */
  tide_buf_release(&text);
  tide_meters_free(meters);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(values_that_come_later),
      cmocka_unit_test(an_untouched_engine_has_all_families),
      cmocka_unit_test(what_is_written_can_be_read),
      cmocka_unit_test(what_is_written_comes_out),
      cmocka_unit_test(levels_come_and_go),
      cmocka_unit_test(every_bound_is_inclusive),
      cmocka_unit_test(too_many_labels_are_refused),
      cmocka_unit_test(reading_while_writing_never_goes_back),
      cmocka_unit_test(the_shared_shard_loses_nothing),
      cmocka_unit_test(every_row_is_documented_and_well_named),
  };
  return cmocka_run_group_tests_name("meter", tests, NULL, NULL);
}
