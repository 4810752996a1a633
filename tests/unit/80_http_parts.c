/* The parts of the HTTP layer that need no socket: addresses and limits, routes, problems, positions, options, the splitter of batches, the
 * decision without the engine, and the page of metrics. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "http/parts.h"

#include <stdio.h>
#include <stdlib.h>

/* ---- addresses, limits ---- */

static void addresses(void **state) {
  (void)state;
  struct tide_http_address address;
  struct tide_error error = {0};
  assert_int_equal(tide_http_address_parse("127.0.0.1:8080", &address, &error), TIDE_OK);
  assert_string_equal(address.host, "127.0.0.1");
  assert_int_equal(address.port, 8080);
  assert_int_equal(tide_http_address_parse("localhost:0", &address, &error), TIDE_OK);
  assert_string_equal(address.host, "127.0.0.1");
  assert_int_equal(address.port, 0);
  assert_int_equal(tide_http_address_parse("[::1]:65535", &address, &error), TIDE_OK);
  assert_string_equal(address.host, "::1");
  assert_int_equal(address.port, 65535);
  static const char *const bad[] = {
      "",       ":",       "8080",  "127.0.0.1", "127.0.0.1:",  ":8080", "127.0.0.1:65536", "127.0.0.1:-1", "127.0.0.1:8x",
      "host:1", "1.2.3:1", "[::1]", "[]:1",      "127.0.0.1: 1"};
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    error = (struct tide_error){0};
    assert_int_equal(tide_http_address_parse(bad[i], &address, &error), TIDE_E_USAGE);
    assert_int_equal(address.port, 65535); /* as before */
    assert_non_null(strstr(error.text, bad[i]));
  }
}

static void limits(void **state) {
  (void)state;
  struct tide_error error = {0};
  struct tide_http_limits good = tide_http_limits_default();
  assert_int_equal(tide_http_limits_check(&good, &error), TIDE_OK);
#define X(name, dflt, lo, hi, help)                                                                                                        \
  {                                                                                                                                        \
    struct tide_http_limits bad = good;                                                                                                    \
    bad.name = (int64_t)(lo)-1;                                                                                                            \
    assert_int_equal(tide_http_limits_check(&bad, &error), TIDE_E_CONFIG);                                                                 \
    assert_string_equal(error.field, #name);                                                                                               \
    bad.name = (int64_t)(hi) + 1;                                                                                                          \
    assert_int_equal(tide_http_limits_check(&bad, &error), TIDE_E_CONFIG);                                                                 \
    assert_string_equal(error.field, #name);                                                                                               \
  }
  TIDE_HTTP_LIMITS(X)
#undef X
  good.deadline_max_ms = 50; /* below the default deadline */
  assert_int_equal(tide_http_limits_check(&good, &error), TIDE_E_CONFIG);
  assert_string_equal(error.field, "deadline_max_ms");
}

/* ---- routes ---- */

static void routes(void **state) {
  (void)state;
  for (size_t i = 0; i < TIDE_ROUTE_COUNT; i++) {
    const struct tide_route *route = &tide_routes[i];
    assert_int_equal(route->id, i);
    assert_ptr_equal(tide_route_find(route->listener, route->path), route);
    assert_null(tide_route_find(route->listener == TIDE_LISTENER_api ? TIDE_LISTENER_admin : TIDE_LISTENER_api, route->path));
    assert_true(tide_route_takes(route, route->method));
    assert_false(tide_route_takes(route, "DELETE"));
    assert_int_equal(tide_route_takes(route, "HEAD"), strcmp(route->method, "GET") == 0);
    assert_ptr_equal(strstr(tide_route_allow(route), route->method), tide_route_allow(route));
  }
  assert_null(tide_route_find(TIDE_LISTENER_api, "/v1/scor"));
  assert_null(tide_route_find(TIDE_LISTENER_api, "/v1/score/"));
  assert_null(tide_route_find(TIDE_LISTENER_api, ""));
}

/* ---- problems ---- */

static void problem_text(const struct tide_trouble *trouble, char *out, size_t room) {
  struct tide_buf json = TIDE_BUF_INIT;
  tide_trouble_json(trouble, &json);
  snprintf(out, room, "%.*s", (int)json.len, json.ptr);
  tide_buf_release(&json);
}

static void problems(void **state) {
  (void)state;
  char text[1024];
  struct tide_trouble trouble = {0};
  assert_false(tide_trouble_set(&trouble, TIDE_PROBLEM_missing_field, "no %s", "pan"));
  tide_trouble_point(&trouble, "/3", "/card/number");
  trouble.counted = "maybe";
  problem_text(&trouble, text, sizeof text);
  assert_string_equal(
      text,
      "{\"type\":\"urn:tidemark:problem:missing-field\",\"title\":\"A required field is missing\",\"status\":422,\"detail\":\"no pan\","
      "\"pointer\":\"/3/card/number\",\"counted\":\"maybe\"}");
  tide_trouble_point(&trouble, "", "a/b~c");
  assert_string_equal(trouble.pointer, "/a~1b~0c");
  char longer[400];
  memset(longer, '/', sizeof longer - 1);
  longer[sizeof longer - 1] = '\0';
  tide_trouble_point(&trouble, "/1", longer + 1);
  assert_true(strlen(trouble.pointer) < sizeof trouble.pointer);
  /* A text that was cut inside a character is not repeated whole. */
  trouble = (struct tide_trouble){0};
  tide_trouble_set(&trouble, TIDE_PROBLEM_malformed, "abc\xe2\x82");
  problem_text(&trouble, text, sizeof text);
  assert_non_null(strstr(text, "\"detail\":\"abc\""));
}

static void problems_of_the_decoder(void **state) {
  (void)state;
  static const struct {
    enum tide_err err;
    const char *field;
    enum tide_problem problem;
  } row[] = {
      {TIDE_E_SYNTAX, "", TIDE_PROBLEM_malformed},
      {TIDE_E_UTF8, "", TIDE_PROBLEM_malformed},
      {TIDE_E_DUPLICATE_KEY, "", TIDE_PROBLEM_malformed},
      {TIDE_E_TRAILING, "", TIDE_PROBLEM_malformed},
      {TIDE_E_TYPE, "", TIDE_PROBLEM_malformed},
      {TIDE_E_TYPE, "amount", TIDE_PROBLEM_invalid_field},
      {TIDE_E_SYNTAX, "time", TIDE_PROBLEM_invalid_field},
      {TIDE_E_MISSING, "pan", TIDE_PROBLEM_missing_field},
      {TIDE_E_RANGE, "amount", TIDE_PROBLEM_invalid_field},
      {TIDE_E_DECIMALS, "amount", TIDE_PROBLEM_invalid_field},
      {TIDE_E_UNKNOWN_NAME, "", TIDE_PROBLEM_wrong_record},
      {TIDE_E_UNKNOWN_NAME, "list", TIDE_PROBLEM_invalid_field},
  };
  for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
    struct tide_trouble trouble = {0};
    struct tide_error error = {.code = row[i].err};
    snprintf(error.field, sizeof error.field, "%s", row[i].field);
    tide_trouble_of_error(&trouble, &error, row[i].field[0] ? "/x" : NULL, "");
    assert_int_equal(trouble.problem, row[i].problem);
    assert_string_equal(trouble.pointer, row[i].field[0] ? "/x" : "");
  }
}

/* ---- positions, options ---- */

static void positions(void **state) {
  (void)state;
  struct tide_position at = {1, 2};
  assert_true(tide_http_position_parse(TIDE_SPAN("7-48100"), &at));
  assert_true(at.epoch == 7 && at.seq == 48100);
  assert_true(tide_http_position_parse(TIDE_SPAN("18446744073709551615-0.5"), &at));
  assert_true(at.epoch == UINT64_MAX && at.seq == 0);
  static const char *const bad[] = {
      "", "7", "7-", "-7", "7-1.", "7-1.2.3", "7.1", "7-1-2", "a-1", "7-1 ", " 7-1", "18446744073709551616-0", "7--1", "+7-1"};
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) assert_false(tide_http_position_parse(tide_span_of(bad[i]), &at));
  assert_true(at.epoch == UINT64_MAX); /* as before */
}

static enum tide_problem options_of(enum tide_route_id route, const char *message, struct tide_http_ask *ask,
                                    struct tide_trouble *trouble) {
  *ask = (struct tide_http_ask){.count = true};
  *trouble = (struct tide_trouble){0};
  bool good = tide_http_options_read(&tide_routes[route], tide_span_of(message), ask, trouble, "");
  assert_int_equal(good, trouble->problem == TIDE_PROBLEM_none);
  return trouble->problem;
}

static void options(void **state) {
  (void)state;
  struct tide_http_ask ask;
  struct tide_trouble trouble;
  assert_int_equal(options_of(TIDE_ROUTE_score, "{\"options\":{\"count\":false,\"explain\":\"full\",\"after\":\"7-1\"}}", &ask, &trouble),
                   0);
  assert_true(!ask.count && ask.explain == TIDE_EXPLAIN_full && ask.after.epoch == 7);
  assert_int_equal(
      options_of(TIDE_ROUTE_features, "{\"options\":{\"at\":\"2026-11-21T00:00:00Z\",\"consistency\":\"strong\"}}", &ask, &trouble), 0);
  assert_true(ask.has_at && ask.at_ms == INT64_C(1795219200000) && ask.consistency == TIDE_CONSISTENCY_STRONG);
  assert_int_equal(options_of(TIDE_ROUTE_features, "{\"options\":{\"at\":-62135596800001}}", &ask, &trouble), TIDE_PROBLEM_bad_options);
  static const struct {
    enum tide_route_id route;
    const char *message, *pointer;
  } bad[] = {
      {TIDE_ROUTE_score, "{\"options\":[]}", "/options"},
      {TIDE_ROUTE_score, "{\"options\":null}", "/options"},
      {TIDE_ROUTE_score, "{\"options\":{\"count\":\"no\"}}", "/options/count"},
      {TIDE_ROUTE_score, "{\"options\":{\"cuont\":false}}", "/options/cuont"},
      {TIDE_ROUTE_score, "{\"options\":{\"at\":1}}", "/options/at"},
      {TIDE_ROUTE_score, "{\"options\":{\"explain\":true}}", "/options/explain"},
      {TIDE_ROUTE_outcomes, "{\"options\":{\"count\":false}}", "/options/count"},
      {TIDE_ROUTE_events, "{\"options\":{\"count\":false}}", "/options/count"},
      {TIDE_ROUTE_features, "{\"options\":{\"consistency\":\"sloppy\"}}", "/options/consistency"},
      {TIDE_ROUTE_lookup, "{\"options\":{\"after\":7}}", "/options/after"},
  };
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    assert_int_equal(options_of(bad[i].route, bad[i].message, &ask, &trouble), TIDE_PROBLEM_bad_options);
    assert_string_equal(trouble.pointer, bad[i].pointer);
  }
}

/* ---- batches ---- */

static void batches(void **state) {
  (void)state;
  struct tide_span item[4];
  struct tide_trouble trouble = {0};
  uint32_t count = 77;
  assert_true(tide_http_split(TIDE_SPAN(" [ {\"a\":\"}]\\\"{\"} ,{\"b\":[1,{}]},{} ] \n"), 3, item, &count, &trouble));
  assert_int_equal(count, 3);
  assert_true(tide_span_is(item[0], "{\"a\":\"}]\\\"{\"}") && tide_span_is(item[1], "{\"b\":[1,{}]}") && tide_span_is(item[2], "{}"));
  static const struct {
    const char *body;
    enum tide_problem problem;
  } bad[] = {{"", TIDE_PROBLEM_malformed},      {"[]", TIDE_PROBLEM_batch_size},        {"[{},{},{},{}]", TIDE_PROBLEM_batch_size},
             {"{}", TIDE_PROBLEM_malformed},    {"[{}", TIDE_PROBLEM_malformed},        {"[{}{}]", TIDE_PROBLEM_malformed},
             {"[{},]", TIDE_PROBLEM_malformed}, {"[,{}]", TIDE_PROBLEM_malformed},      {"[1]", TIDE_PROBLEM_malformed},
             {"[{}]]", TIDE_PROBLEM_malformed}, {"[{\"a\":\"", TIDE_PROBLEM_malformed}, {"[{\"a\":\"\\", TIDE_PROBLEM_malformed},
             {"[", TIDE_PROBLEM_malformed},     {"[{[[[", TIDE_PROBLEM_malformed}};
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    count = 77;
    assert_false(tide_http_split(tide_span_of(bad[i].body), 3, item, &count, &trouble));
    assert_int_equal(trouble.problem, bad[i].problem);
    assert_int_equal(count, 77);
  }
}

/* ---- without the engine ---- */

static const char listed[] =
    "tidemark: 1\nname: listed\n"
    "event:\n  id: id\n  time: time\n"
    "inputs:\n  default:\n    id: /id\n    time: {at: /time, as: epoch_ms}\n    card: /card\n    n: {at: /n, as: int, optional: true}\n"
    "entities:\n  card: card\n"
    "features:\n  card:\n    attempts: count over 1h\n"
    "policy:\n  decisions: [approve, challenge, decline]\n  lists: [good, bad]\n"
    "  rules:\n    - else: approve\n"
    "  fallback:\n    - F1: decline when card in bad and n > 5\n    - F2: approve when card in good\n    - F3: challenge when n > 1\n    - else: approve\n";

static void decides_without_the_engine(void **state) {
  (void)state;
  struct tide_error error = {0};
  struct tide_spec *spec = NULL;
  size_t errors;
  if (tide_spec_parse("listed", (struct tide_span){listed, sizeof listed - 1}, &spec, &error, 1, &errors) != TIDE_OK)
    fail_msg("%d: %s", error.line, error.text);
  struct tide_http *http = tide_alloc(sizeof *http);
  http->spec = spec;
  struct tide_decode_options options = {.spec = spec};
  struct tide_decoder *decoder;
  assert_int_equal(tide_decoder_new(&options, &decoder, &error), TIDE_OK);
  static const struct {
    const char *message, *decision, *by;
  } row[] = {
      /* F1 could be true: it is the stricter of what could be */
      {"{\"id\":\"a\",\"time\":1,\"card\":\"c\",\"n\":6}", "decline", "F1"},
      /* as if listed F2 approves, as if not F3 challenges: the stricter */
      {"{\"id\":\"a\",\"time\":1,\"card\":\"c\",\"n\":2}", "challenge", "F3"},
      {"{\"id\":\"a\",\"time\":1,\"card\":\"c\",\"n\":1}", "approve", "fallback.else"},
  };
  for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
    struct tide_record record[2];
    int count;
    assert_int_equal(tide_decode(decoder, tide_span_of(row[i].message), record, &count, &error), TIDE_OK);
    record[0].source = record[0].partition = 0;
    record[0].offset = 0;
    struct tide_http_item item = {.spec = spec};
    struct tide_offer *offer = tide_offer_new();
    offer->ctx = &item;
    assert_int_equal(tide_record_encode(spec, &record[0], &offer->records), TIDE_OK);
    tide_http_decide_locally(http, offer, TIDE_END_refused, TIDE_C_overload);
    char expected[160];
    snprintf(expected, sizeof expected, "\"status\":\"refused\",\"decision\":\"%s\",\"by\":\"%s\",\"score\":null,\"cause\":\"overload\"",
             row[i].decision, row[i].by);
    const char *answer = tide_buf_cstr(&offer->answer);
    if (!strstr(answer, expected)) fail_msg("%s does not have %s", answer, expected);
    assert_non_null(strstr(answer, "\"counted\":false,\"duplicate\":false,\"position\":null"));
    assert_true(offer->told.given && offer->told.cause == TIDE_C_overload);
    tide_http_decide_locally(http, offer, TIDE_END_maybe, TIDE_C_unavailable);
    assert_non_null(strstr(tide_buf_cstr(&offer->answer), "\"counted\":\"maybe\""));
    tide_offer_free(offer);
  }
  tide_decoder_free(decoder);
  tide_free(http);
  tide_spec_free(spec);
}

/* ---- metrics ---- */

static void metrics_page(void **state) {
  (void)state;
  struct tide_error error = {0};
  struct tide_spec *spec = NULL;
  size_t errors;
  assert_int_equal(tide_spec_parse("listed", (struct tide_span){listed, sizeof listed - 1}, &spec, &error, 1, &errors), TIDE_OK);
  struct tide_meters *meters;
  assert_int_equal(tide_http_meters_new(spec, NULL, 0, &meters, &error), TIDE_OK);
  tide_http_count_request(meters, &tide_routes[TIDE_ROUTE_score], 200);
  tide_http_count_request(meters, NULL, 404);
  tide_http_count_request(meters, NULL, 418);
  tide_http_measure_total(meters, &tide_routes[TIDE_ROUTE_lookup], 250000);
  tide_http_measure_total(meters, NULL, 1);
  tide_http_count_answer(meters, &(struct tide_told){.given = true,
                                                     .by = TIDE_BY_FALLBACK,
                                                     .rule = 3,
                                                     .decision = 2,
                                                     .cause = TIDE_C_late,
                                                     .status = TIDE_STATUS_REFUSED,
                                                     .word = "decline",
                                                     .code = "fallback.else"});
  tide_http_count_answer(
      meters, &(struct tide_told){
                  .given = true, .by = TIDE_BY_FALLBACK_MODEL, .decision = 1, .cause = TIDE_C_stale, .word = "challenge", .code = "N1"});
  tide_http_count_answer(
      meters,
      &(struct tide_told){.given = true, .by = TIDE_BY_RULE, .decision = 1, .word = "challenge", .code = "N1"}); /* of another policy */
  struct tide_told first = {
      .given = true, .duplicate = true, .by = TIDE_BY_RULE, .cause = TIDE_C_late, .word = "approve"}; /* a rule has no cause */
  snprintf(first.code, sizeof first.code, "%s", spec->rule[0].code);
  tide_http_count_answer(meters, &first);
  tide_http_count_answer(meters, &(struct tide_told){.by = TIDE_BY_RULE});                /* no answer */
  tide_http_count_answer(meters, &(struct tide_told){.given = true, .by = TIDE_BY_NONE}); /* no decision */
  tide_http_count_problem(meters, TIDE_PROBLEM_deadline);
  tide_http_count_cut(meters, TIDE_CUT_idle_timeout);
  tide_http_measure_offer(meters, &(struct tide_offer){.offered = {10}, .begun = {1010}, .durable = {3010}, .folded = {6010}});
  tide_http_measure_offer(meters, &(struct tide_offer){.offered = {10}, .begun = {1010}});
  tide_http_measure_offer(meters, &(struct tide_offer){.offered = {10}});
  struct tide_buf page = TIDE_BUF_INIT;
  tide_meters_expose(meters, &page);
  char rule[200];
  snprintf(rule, sizeof rule, "tidemark_answers_by_rule_total{decision=\"%s\",rule=\"%s\",cause=\"none\"} 1\n", spec->decision[0],
           spec->rule[0].code);
  const char *const lines[] = {"tidemark_http_requests_total{route=\"score\",code=\"200\"} 1\n",
                               "tidemark_http_requests_total{route=\"none\",code=\"404\"} 1\n",
                               "tidemark_http_requests_total{route=\"none\",code=\"other\"} 1\n",
                               "tidemark_total_seconds_bucket{route=\"lookup\",le=\"0.0002\"} 0\n",
                               "tidemark_total_seconds_bucket{route=\"lookup\",le=\"0.0003\"} 1\n",
                               "tidemark_total_seconds_count{route=\"none\"} 1\n",
                               "tidemark_queue_seconds_sum 0.000002\ntidemark_queue_seconds_count 2\n",
                               "tidemark_commit_seconds_sum 0.000002\ntidemark_commit_seconds_count 1\n",
                               "tidemark_fold_seconds_sum 0.000003\ntidemark_fold_seconds_count 1\n",
                               "tidemark_answers_total{status=\"scored\",decision=\"approve\"} 1\n",
                               "tidemark_answers_total{status=\"refused\",decision=\"decline\"} 1\n",
                               "tidemark_answers_by_rule_total{decision=\"decline\",rule=\"fallback.else\",cause=\"late\"} 1\n",
                               "tidemark_answers_by_rule_total{decision=\"challenge\",rule=\"N1\",cause=\"stale\"} 1\n",
                               "tidemark_answers_by_rule_total{decision=\"challenge\",rule=\"N1\",cause=\"none\"} 1\n",
                               "tidemark_answers_duplicate_total 1\n",
                               "tidemark_http_problems_total{type=\"deadline\"} 1\n",
                               "tidemark_http_problems_total{type=\"malformed\"} 0\n",
                               "tidemark_http_connections_cut_total{limit=\"idle_timeout\"} 1\n",
                               "tidemark_engine_state{state=\"lost\"} 0\n",
                               rule};
  const char *text = tide_buf_cstr(&page);
  for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++)
    if (!strstr(text, lines[i])) fail_msg("the page lacks %s", lines[i]);
  tide_buf_release(&page);
  tide_meters_free(meters);
  tide_spec_free(spec);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(addresses),
      cmocka_unit_test(limits),
      cmocka_unit_test(routes),
      cmocka_unit_test(problems),
      cmocka_unit_test(problems_of_the_decoder),
      cmocka_unit_test(positions),
      cmocka_unit_test(options),
      cmocka_unit_test(batches),
      cmocka_unit_test(decides_without_the_engine),
      cmocka_unit_test(metrics_page),
  };
  return cmocka_run_group_tests_name("http_parts", tests, NULL, NULL);
}
