/* What stands behind the console without a socket: the ring of the last hour (rates, gaps, what is left out, its bound) and sessions (who is let in,
 * until when, and for how many there is room). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <jansson.h>
#include <math.h>

#include "http/history.h"
#include "http/metrics.h"
#include "http/session.h"
#include "tests/support/small_fold.h"

#define BEGIN_MS INT64_C(1795255200000)

struct world {
  struct tide_spec *spec;
  struct tide_meters *meters;
  struct tide_meter *core;
  struct tide_history *history;
};

static int setup(void **state) {
  struct world *w = tide_alloc(sizeof *w);
  w->spec = small_spec();
  assert_int_equal(tide_http_meters_new(w->spec, NULL, 0, &w->meters, NULL), TIDE_OK);
  w->core = tide_http_core_meter(w->meters);
  w->history = tide_history_new(w->spec, w->meters);
  *state = w;
  return 0;
}

static int teardown(void **state) {
  struct world *w = *state;
  tide_history_free(w->history);
  tide_meters_free(w->meters);
  tide_spec_free(w->spec);
  tide_free(w);
  return 0;
}

static json_t *document(struct world *w) {
  struct tide_buf text = TIDE_BUF_INIT;
  tide_history_put(w->history, &text);
  json_t *document = json_loadb(text.ptr, text.len, JSON_REJECT_DUPLICATES, NULL);
  if (!document) fail_msg("not JSON: %s", tide_buf_cstr(&text));
  tide_buf_release(&text);
  return document;
}

/* The k-th value of a series; -1: null; -2: the series is not there. */
static double at(const json_t *document, const char *group, const char *name, size_t k) {
  const json_t *list = json_object_get(json_object_get(document, group), name), *value = json_array_get(list, k);
  return !list ? -2 : json_is_null(value) ? -1 : json_number_value(value);
}

static struct tide_told told(enum tide_by by, enum tide_cause cause, const char *code, uint16_t decision) {
  struct tide_told told = {.given = true, .by = (uint8_t)by, .cause = (uint8_t)cause, .decision = decision, .score_e6 = 930000};
  told.status = by == TIDE_BY_FALLBACK ? TIDE_STATUS_REFUSED : TIDE_STATUS_SCORED;
  snprintf(told.code, sizeof told.code, "%s", code);
  snprintf(told.word, sizeof told.word, "%s", decision ? "decline" : "approve");
  return told;
}

static void rates_are_differences_over_time(void **state) {
  struct world *w = *state;
  struct tide_told scored = told(TIDE_BY_RULE, TIDE_C_none, "R1", 1), refused = told(TIDE_BY_FALLBACK, TIDE_C_stale, "fallback.else", 0);
  for (int i = 0; i < 30; i++) tide_http_count_answer(w->meters, &scored); /* before the first look: nobody knows since when */
  tide_history_sample(w->history, BEGIN_MS);
  for (int i = 0; i < 20; i++) tide_http_count_answer(w->meters, &scored);
  for (int i = 0; i < 5; i++) tide_http_count_message(w->meters, &refused);
  tide_http_measure_total(w->meters, &tide_routes[TIDE_ROUTE_score], 4000000);
  tide_history_sample(w->history, BEGIN_MS + 5000);
  tide_history_sample(w->history, BEGIN_MS + 10000);
  tide_http_count_message(w->meters, &refused);
  tide_history_sample(w->history, BEGIN_MS + 30000); /* the process was stopped for a while */
  json_t *d = document(w);
  assert_int_equal(json_array_size(json_object_get(d, "at")), 4);
  static const double answers[] = {0, 4, 0, 0}, messages[] = {0, 1, 0, 0.05};
  for (size_t k = 0; k < 4; k++) {
    assert_true(at(d, "series", "answers", k) == answers[k]);
    assert_true(at(d, "series", "messages", k) == messages[k]);
    assert_true(at(d, "series", "refused", k) == messages[k]);
    assert_true(at(d, "decisions", "decline", k) == answers[k]);
    assert_true(at(d, "decisions", "approve", k) == messages[k]);
    assert_true(at(d, "refusals", "stale", k) == messages[k]);
    assert_true(at(d, "series", "p99_ms", k) == (k == 1 ? 5 : -1)); /* between requests there is no latency, not one of zero */
  }
  assert_true(at(d, "refusals", "late", 0) == -2); /* never: left out */
  assert_true(at(d, "series", "online", 0) == -2);
  json_decref(d);
  assert_true(tide_history_last(w->history, TIDE_H_messages) == 0.05);
  assert_true(tide_history_cause(w->history, TIDE_C_stale, 3600000) == 6);
  assert_true(tide_history_cause(w->history, TIDE_C_stale, 20000) == 1);
  int64_t score[TIDE_METER_BUCKETS_MAX];
  assert_int_equal(tide_history_scores(w->history, score), 20);
  assert_int_equal(score[18], 26);
}

static void rules_are_found_by_their_code(void **state) {
  struct world *w = *state;
  struct tide_told refused = told(TIDE_BY_FALLBACK, TIDE_C_stale, "fallback.else", 0);
  uint32_t rule = 0, fallback = 0;
  assert_true(tide_meters_place(w->meters, TIDE_AXIS_rule, "R1", &rule));
  assert_true(tide_meters_place(w->meters, TIDE_AXIS_rule, "fallback.else", &fallback));
  tide_history_sample(w->history, BEGIN_MS);
  tide_meter_add(w->core, TIDE_METER_ROW_rule_hits_total, (struct tide_meter_at){.a = rule}, 9);
  tide_http_count_answer(w->meters, &refused);
  tide_history_sample(w->history, BEGIN_MS + 5000);
  assert_true(tide_history_rule(w->history, rule, 60000) == 9); /* true, whoever decided */
  assert_true(tide_history_rule(w->history, fallback, 60000) == 1);
}

static void it_is_an_hour_and_no_more(void **state) {
  struct world *w = *state;
  struct tide_told scored = told(TIDE_BY_RULE, TIDE_C_none, "R1", 1);
  assert_true(isnan(tide_history_last(w->history, TIDE_H_answers)));
  json_t *d = document(w);
  assert_int_equal(json_array_size(json_object_get(d, "at")), 0);
  json_decref(d);
  for (int k = 0; k < TIDE_HISTORY_SAMPLES + 50; k++) {
    tide_http_count_answer(w->meters, &scored);
    tide_history_sample(w->history, BEGIN_MS + (int64_t)k * TIDE_HISTORY_STEP_MS);
  }
  d = document(w);
  const json_t *times = json_object_get(d, "at");
  assert_int_equal(json_array_size(times), TIDE_HISTORY_SAMPLES);
  assert_int_equal(json_integer_value(json_array_get(times, 0)), BEGIN_MS + 50 * TIDE_HISTORY_STEP_MS);
  for (size_t k = 1; k < TIDE_HISTORY_SAMPLES; k++)
    assert_true(json_integer_value(json_array_get(times, k)) > json_integer_value(json_array_get(times, k - 1)));
  assert_true(at(d, "series", "answers", TIDE_HISTORY_SAMPLES - 1) == 0.2);
  json_decref(d);
  int64_t score[TIDE_METER_BUCKETS_MAX];
  (void)tide_history_scores(w->history, score);
  assert_int_equal(score[18], TIDE_HISTORY_SAMPLES - 1); /* what came before the oldest sample is past */
}

/* ---- sessions ---- */

static struct tide_mono after_ms(int64_t ms) { return (struct tide_mono){INT64_C(1000000000) + ms * 1000000}; }
static struct tide_span span(const char *text) { return (struct tide_span){text, strlen(text)}; }

static void a_session_ends_by_itself(void **state) {
  (void)state;
  struct tide_sessions *sessions = tide_alloc(sizeof *sessions);
  tide_sessions_init(sessions);
  uint8_t token[TIDE_SHA256_BYTES] = {7}, found[TIDE_SHA256_BYTES] = {0};
  char text[TIDE_SESSION_TEXT], other[TIDE_SESSION_TEXT];
  tide_sessions_open(sessions, token, after_ms(0), text);
  tide_sessions_open(sessions, token, after_ms(0), other);
  assert_int_equal(strlen(text), TIDE_SESSION_TEXT - 1);
  assert_string_not_equal(text, other);
  assert_true(tide_sessions_find(sessions, span(text), after_ms(TIDE_SESSION_IDLE_MS), found)); /* used just in time */
  assert_memory_equal(found, token, sizeof token);
  assert_false(tide_sessions_find(sessions, span(other), after_ms(TIDE_SESSION_IDLE_MS + 1), found)); /* idle for too long */
  int64_t at_ms = TIDE_SESSION_IDLE_MS;
  while (at_ms + TIDE_SESSION_IDLE_MS <= TIDE_SESSION_MAX_MS)
    assert_true(tide_sessions_find(sessions, span(text), after_ms(at_ms += TIDE_SESSION_IDLE_MS), found));
  assert_true(tide_sessions_find(sessions, span(text), after_ms(TIDE_SESSION_MAX_MS), found));
  assert_false(tide_sessions_find(sessions, span(text), after_ms(TIDE_SESSION_MAX_MS + 1), found)); /* however busy */
  assert_false(tide_sessions_find(sessions, span(""), after_ms(0), found));                         /* a row that is free is nobody's */
  tide_sessions_release(sessions);
  tide_free(sessions);
}

static void there_is_room_for_so_many(void **state) {
  (void)state;
  struct tide_sessions *sessions = tide_alloc(sizeof *sessions);
  static char text[TIDE_SESSIONS_MAX + 1][TIDE_SESSION_TEXT];
  uint8_t token[TIDE_SHA256_BYTES] = {7}, found[TIDE_SHA256_BYTES];
  tide_sessions_init(sessions);
  for (int i = 0; i < TIDE_SESSIONS_MAX; i++) tide_sessions_open(sessions, token, after_ms(i), text[i]);
  assert_true(tide_sessions_find(sessions, span(text[0]), after_ms(500), found));
  tide_sessions_open(sessions, token, after_ms(501), text[TIDE_SESSIONS_MAX]);
  assert_false(tide_sessions_find(sessions, span(text[1]), after_ms(502), found)); /* used longest ago */
  for (int i = 0; i <= TIDE_SESSIONS_MAX; i++)
    if (i != 1) assert_true(tide_sessions_find(sessions, span(text[i]), after_ms(502), found));
  tide_sessions_close(sessions, span(text[5]));
  assert_false(tide_sessions_find(sessions, span(text[5]), after_ms(503), found));
  tide_sessions_release(sessions);
  tide_free(sessions);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(rates_are_differences_over_time, setup, teardown),
      cmocka_unit_test_setup_teardown(rules_are_found_by_their_code, setup, teardown),
      cmocka_unit_test_setup_teardown(it_is_an_hour_and_no_more, setup, teardown),
      cmocka_unit_test(a_session_ends_by_itself),
      cmocka_unit_test(there_is_room_for_so_many),
  };
  return cmocka_run_group_tests_name("console", tests, NULL, NULL);
}
