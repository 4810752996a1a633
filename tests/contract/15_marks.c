/* Marks in Kafka topics (adapter/marks_kafka.h): ends of logs that were written and not asked for, and the source that reads them. The same cases on librdkafka's mock cluster and
 * on a real broker; what only the mock can be told to do (refuse a write) is a case of its own. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "adapter/marks_kafka.h"
#include "base/clock.h"
#include "tests/support/kafka_cluster.h"

enum { SOURCE = 7, OTHER = 9, PATIENCE_MS = 60000, PRODUCE = 0 };

struct world {
  enum test_kafka_kind kind;
  struct test_kafka kafka;
  char topic[64];
  struct tide_kafka_topic topics[1];
  struct tide_kafka_setting setting[3];
  struct tide_source_kafka_options options;
  struct tide_source *source;
  struct tide_kafka_marks *marks;
};
static struct world worlds[] = {{.kind = TEST_KAFKA_MOCK}, {.kind = TEST_KAFKA_REAL}};
static struct tide_error error;

static bool is_missing(const struct world *w) { return w->kind == TEST_KAFKA_REAL && test_kafka_missing(); }

static int setup(void **state) {
  struct world *w = *state;
  if (w->kind == TEST_KAFKA_REAL && !getenv("TIDE_KAFKA_BROKERS")) return 0; /* the test says so */
  test_kafka_open(&w->kafka, w->kind);
  test_kafka_topic(&w->kafka, 2, NULL, w->topic);
  w->topics[0] = (struct tide_kafka_topic){SOURCE, w->topic};
  w->setting[0] = (struct tide_kafka_setting){"bootstrap.servers", w->kafka.brokers};
  w->setting[1] = (struct tide_kafka_setting){"log_level", "2"};
  w->options = (struct tide_source_kafka_options){
      .topic = w->topics, .topic_count = 1, .setting = w->setting, .setting_count = 2, .poll_ms = 50, .timeout_ms = 3000, .watch_ms = 1000};
  if (tide_source_kafka_open(&w->options, &w->source, &error) || tide_kafka_marks_open(&w->options, &w->marks, &error)) return -1;
  return 0;
}

static int teardown(void **state) {
  struct world *w = *state;
  tide_kafka_marks_close(w->marks);
  if (w->source) w->source->ops->close(w->source);
  w->marks = NULL;
  w->source = NULL;
  test_kafka_close(&w->kafka);
  return 0;
}

static void put(struct world *w, const char *text, const struct test_kafka_header *header) {
  test_kafka_put(&w->kafka, w->topic, 0, text ? tide_span_of(text) : (struct tide_span){NULL, 0}, 0, header);
  test_kafka_flush(&w->kafka);
}

static uint64_t end_of(const struct world *w, uint16_t partition) {
  struct tide_place place = {SOURCE, partition, 0};
  if (w->source->ops->ends(w->source, &place, 1, &error)) fail_msg("%s", error.text);
  return place.cursor;
}

/* The next message, whatever ends come before it: the log is read as it grows. */
static void next(const struct world *w, struct tide_message *m) {
  int64_t until_ns = tide_mono_now().ns + PATIENCE_MS * INT64_C(1000000);
  do
    if (tide_mono_now().ns > until_ns) fail_msg("nothing came");
  while (w->source->ops->next(w->source, m, &error) != TIDE_OK || m->kind == TIDE_MESSAGE_END);
  assert_int_equal(m->kind, TIDE_MESSAGE_DATA);
}

static void expect_before(const struct world *w, uint16_t partition, uint64_t cursor, const char *want) {
  struct tide_buf bytes = TIDE_BUF_INIT;
  enum tide_err err = w->source->ops->before(w->source, (struct tide_place){SOURCE, partition, cursor}, &bytes, &error);
  assert_int_equal(err, want ? TIDE_OK : TIDE_E_END);
  if (want) assert_true(tide_span_is(tide_buf_span(&bytes), want));
  tide_buf_release(&bytes);
}

static void marks_are_ends(void **state) {
  struct world *w = *state;
  if (is_missing(w)) skip();
  put(w, "a", NULL);
  put(w, "b", NULL);
  struct tide_place place[2] = {{SOURCE, 0, 0}, {SOURCE, 1, 0}};
  if (tide_kafka_marks_put(w->marks, place, 2, &error)) fail_msg("%s", error.text);
  assert_true(place[0].cursor == 3 && place[1].cursor == 1);
  assert_true(end_of(w, 0) == 3 && end_of(w, 1) == 1);
  if (tide_kafka_marks_put(w->marks, place, 1, &error)) fail_msg("%s", error.text); /* another epoch */
  assert_true(place[0].cursor == 4 && place[1].cursor == 1);
}

/* A mark is given as one and is no message; what has a value is a message, and a tombstone of somebody is none of our marks. */
static void marks_are_no_messages(void **state) {
  struct world *w = *state;
  if (is_missing(w)) skip();
  const struct test_kafka_header header[] = {{TIDE_KAFKA_MARK, "1"}, {NULL, NULL}};
  struct tide_place place[2] = {{SOURCE, 0, 0}, {SOURCE, 1, 0}};
  put(w, "a", NULL);
  if (tide_kafka_marks_put(w->marks, place, 2, &error) || tide_kafka_marks_put(w->marks, place, 1, &error)) fail_msg("%s", error.text);
  put(w, "c", header);
  put(w, NULL, NULL);
  static const bool mark[] = {false, true, true, false, false};
  struct tide_message m;
  if (w->source->ops->seek(w->source, SOURCE, 0, 0, &error)) fail_msg("%s", error.text);
  for (uint64_t i = 0; i < 5; i++) {
    next(w, &m);
    assert_true(m.offset == i && m.next == i + 1 && m.mark == mark[i]);
    assert_int_equal(m.bytes.len, i == 0 || i == 3);
  }
  if (w->source->ops->seek(w->source, SOURCE, 1, 0, &error)) fail_msg("%s", error.text);
  next(w, &m);
  assert_true(m.mark && m.partition == 1 && m.offset == 0);
  expect_before(w, 0, 1, "a");
  expect_before(w, 0, 2, "a");
  expect_before(w, 0, 3, "a");
  expect_before(w, 0, 4, "c");
  expect_before(w, 1, 1, NULL);
}

static void what_cannot_be(void **state) {
  struct world *w = *state;
  if (is_missing(w)) skip();
  struct tide_place unknown = {OTHER, 0, 77};
  assert_int_equal(tide_kafka_marks_put(w->marks, &unknown, 1, &error), TIDE_E_NOT_FOUND);
  struct tide_place beyond[2] = {{SOURCE, 0, 77}, {SOURCE, 5, 77}};
  assert_int_equal(tide_kafka_marks_put(w->marks, beyond, 2, &error), TIDE_E_NOT_FOUND);
  assert_true(unknown.cursor == 77 && beyond[0].cursor == 77 && beyond[1].cursor == 77);
  struct tide_kafka_marks *marks;
  w->setting[2] = (struct tide_kafka_setting){"acks", "1"};
  w->options.setting_count = 3;
  assert_int_equal(tide_kafka_marks_open(&w->options, &marks, &error), TIDE_E_CONFIG);
  assert_non_null(strstr(error.text, "acks"));
}

/* Whoever may not write is told so, with the topic and what to do; no cursor moves. */
static void what_may_not_be_written(void **state) {
  struct world *w = *state;
  struct tide_place place = {SOURCE, 0, 77};
  rd_kafka_mock_push_request_errors(w->kafka.mock, PRODUCE, 1, RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED);
  assert_int_equal(tide_kafka_marks_put(w->marks, &place, 1, &error), TIDE_E_CONFIG);
  assert_true(place.cursor == 77);
  assert_non_null(strstr(error.text, w->topic));
  assert_non_null(strstr(error.text, "ingest.barrier: log_end"));
  for (int i = 0; i < 64; i++) /* acks=all, and one of them is missing */
    rd_kafka_mock_push_request_errors(w->kafka.mock, PRODUCE, 1, RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS);
  assert_int_equal(tide_kafka_marks_put(w->marks, &place, 1, &error), TIDE_E_IO);
  assert_true(place.cursor == 77);
  rd_kafka_mock_clear_request_errors(w->kafka.mock, PRODUCE);
  if (tide_kafka_marks_put(w->marks, &place, 1, &error)) fail_msg("%s", error.text);
  assert_true(place.cursor >= 1 && place.cursor == end_of(w, 0));
}

#define BOTH(test)                                                                                                                         \
  {#test ", mock", test, setup, teardown, &worlds[0]}, { #test ", real", test, setup, teardown, &worlds[1] }

int main(int argc, char **argv) {
  (void)argc;
  test_kafka_exec(argv);
  const struct CMUnitTest tests[] = {BOTH(marks_are_ends),
                                     BOTH(marks_are_no_messages),
                                     BOTH(what_cannot_be),
                                     {"what_may_not_be_written, mock", what_may_not_be_written, setup, teardown, &worlds[0]}};
  return cmocka_run_group_tests_name("marks", tests, NULL, NULL);
}
