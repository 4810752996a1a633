/* One suite for every backend of the source port: a file, librdkafka's mock cluster, a real Kafka broker. The same cases with the same results; what a
 * backend cannot have (a file has one partition, the mock cannot cut a log) is skipped by name. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>

#include "adapter/file.h"
#include "adapter/source_kafka.h"
#include "base/clock.h"
#include "tests/support/kafka_cluster.h"

enum backend { FILES, MOCK, REAL, BACKENDS };
static const char *const backend_name[BACKENDS] = {"file", "mock", "real"};
enum { SOURCE = 7, OTHER = 9, PATIENCE_MS = 60000 };

struct world {
  enum backend backend;
  struct test_kafka kafka;
  char topic[64];
  char path[64];
  int timeout_ms; /* of questions; 0: 5 s */
  struct tide_source *source;
};
static struct tide_error error;

static struct test_kafka *kafka_of(struct world *w) { return &w->kafka; }

/* Opens one source with a partition count; a file has one. */
static void open_topics(struct world *w, const struct tide_kafka_topic *topic, size_t count) {
  const struct tide_kafka_setting setting[] = {{"bootstrap.servers", w->kafka.brokers},
                                               {"log_level", "2"},
                                               {"group.id", w->topic},
                                               {"topic.metadata.propagation.max.ms", "500"},
                                               {"reconnect.backoff.max.ms", "500"}};
  struct tide_source_kafka_options options = {.topic = topic,
                                              .topic_count = count,
                                              .setting = setting,
                                              .setting_count = sizeof setting / sizeof setting[0],
                                              .poll_ms = 50,
                                              .timeout_ms = w->timeout_ms ? w->timeout_ms : 5000,
                                              .watch_ms = 1000};
  if (tide_source_kafka_open(&options, &w->source, &error)) fail_msg("%s", error.text);
}
static void open_source(struct world *w, int partitions) {
  if (w->backend == FILES) {
    strcpy(w->path, "/tmp/tide_source_XXXXXX");
    int fd = mkstemp(w->path);
    assert_true(fd >= 0);
    close(fd);
    return;
  }
  test_kafka_topic(kafka_of(w), partitions, NULL, w->topic);
  open_topics(w, &(struct tide_kafka_topic){SOURCE, w->topic}, 1);
}

/* A file is opened when its lines are there. */
static struct tide_source *source_of(struct world *w) {
  const char *path = w->path;
  if (!w->source && tide_source_file_open(&path, 1, SOURCE, &w->source, &error)) fail_msg("%s", error.text);
  return w->source;
}

/* Until when what must come may come; machines differ. */
static int64_t patience_ns(void) { return tide_mono_now().ns + INT64_C(1000000) * PATIENCE_MS; }

static void put(struct world *w, int partition, const char *text) {
  if (w->backend == FILES) {
    FILE *f = fopen(w->path, "ab");
    assert_non_null(f);
    fprintf(f, "%s\n", text);
    assert_int_equal(fclose(f), 0);
  } else {
    test_kafka_put(kafka_of(w), w->topic, partition, tide_span_of(text), 0, NULL);
  }
}
static void flush(struct world *w) {
  if (w->backend != FILES) test_kafka_flush(kafka_of(w));
}

static void seek(struct world *w, uint16_t partition, uint64_t cursor) {
  if (source_of(w)->ops->seek(w->source, SOURCE, partition, cursor, &error)) fail_msg("%s", error.text);
}

/* The next message of any kind; a live source may take its time. False after PATIENCE_MS. */
static bool next_within(struct world *w, struct tide_message *m, int64_t ms) {
  int64_t until_ns = tide_mono_now().ns + ms * 1000000;
  do {
    enum tide_err err = source_of(w)->ops->next(w->source, m, &error);
    if (err == TIDE_OK) return true;
    if (err != TIDE_E_END) fail_msg("%s", error.text);
  } while (w->backend != FILES && tide_mono_now().ns < until_ns);
  return false;
}
static void next(struct world *w, struct tide_message *m) {
  if (!next_within(w, m, PATIENCE_MS)) fail_msg("nothing came");
  if (m->kind == TIDE_MESSAGE_TROUBLE) fail_msg("trouble: %s", m->trouble->text);
}

/* Ends may be told between messages when the log is read faster than it is written; they are passed over. */
static uint64_t expect(struct world *w, uint16_t partition, const char *text) {
  struct tide_message m;
  do next(w, &m);
  while (m.kind == TIDE_MESSAGE_END);
  assert_int_equal(m.kind, TIDE_MESSAGE_DATA);
  assert_int_equal(m.source, SOURCE);
  assert_int_equal(m.partition, partition);
  if (!tide_span_is(m.bytes, text)) fail_msg("want %s, got %.*s", text, TIDE_SPAN_FMT(m.bytes));
  return m.next;
}
static void expect_end(struct world *w, uint16_t partition, uint64_t cursor) {
  struct tide_message m;
  do next(w, &m);
  while (m.kind == TIDE_MESSAGE_END && m.next < cursor);
  if (m.kind != TIDE_MESSAGE_END) fail_msg("want the end, got %.*s", TIDE_SPAN_FMT(m.bytes));
  assert_int_equal(m.source, SOURCE);
  assert_int_equal(m.partition, partition);
  assert_int_equal(m.next, cursor);
}
static void expect_nothing(struct world *w) {
  struct tide_message m;
  for (int i = 0; i < 8; i++) assert_int_equal(source_of(w)->ops->next(w->source, &m, &error), TIDE_E_END);
}
/* Trouble of one partition, which is stopped by it. */
static struct tide_error stopping_trouble(struct world *w, uint16_t partition) {
  struct tide_message m;
  do
    if (!next_within(w, &m, PATIENCE_MS)) fail_msg("no trouble came");
  while (m.kind == TIDE_MESSAGE_END || (m.kind == TIDE_MESSAGE_TROUBLE && m.source == 0));
  assert_int_equal(m.kind, TIDE_MESSAGE_TROUBLE);
  assert_int_equal(m.source, SOURCE);
  assert_int_equal(m.partition, partition);
  assert_true(m.stopped);
  return *m.trouble;
}
static void expect_trouble(struct world *w, uint16_t partition, enum tide_err code, const char *word) {
  struct tide_error trouble = stopping_trouble(w, partition);
  assert_int_equal(trouble.code, code);
  if (!strstr(trouble.text, word)) fail_msg("want %s in: %s", word, trouble.text);
}
static uint64_t end_of(struct world *w, uint16_t partition) {
  struct tide_place place = {SOURCE, partition, 0};
  if (source_of(w)->ops->ends(w->source, &place, 1, &error)) fail_msg("%s", error.text);
  return place.cursor;
}
static void expect_before(struct world *w, uint16_t partition, uint64_t cursor, const char *want) {
  struct tide_buf out = TIDE_BUF_INIT;
  enum tide_err err = source_of(w)->ops->before(w->source, (struct tide_place){SOURCE, partition, cursor}, &out, &error);
  if (err) fail_msg("before %llu: %s", (unsigned long long)cursor, error.text);
  if (!tide_span_is(tide_buf_span(&out), want)) fail_msg("want %s, got %.*s", want, TIDE_SPAN_FMT(tide_buf_span(&out)));
  tide_buf_release(&out);
}
static enum tide_err before(struct world *w, uint16_t partition, uint64_t cursor) {
  struct tide_buf out = TIDE_BUF_INIT;
  enum tide_err err = source_of(w)->ops->before(w->source, (struct tide_place){SOURCE, partition, cursor}, &out, &error);
  tide_buf_release(&out);
  return err;
}

/* --- cases for all backends */

static void nothing_before_a_seek(struct world *w) {
  open_source(w, 1);
  put(w, 0, "a");
  flush(w);
  expect_nothing(w);
  seek(w, 0, 0);
  uint64_t next = expect(w, 0, "a");
  expect_end(w, 0, next);
}

static void order_and_seeks(struct world *w) {
  open_source(w, 1);
  enum { N = 2000 };
  static uint64_t cursor[N + 1];
  char text[32];
  for (int i = 0; i < N; i++) {
    snprintf(text, sizeof text, "m%d", i);
    put(w, 0, text);
  }
  flush(w);
  seek(w, 0, 0);
  for (int i = 0; i < N; i++) {
    snprintf(text, sizeof text, "m%d", i);
    cursor[i + 1] = expect(w, 0, text);
  }
  expect_end(w, 0, cursor[N]);
  /* back, forth, to the end, in the middle of what was read ahead */
  static const int to[] = {0, N - 1, 5, 1000, N, 999, 0, 1, N / 2};
  for (size_t k = 0; k < sizeof to / sizeof to[0]; k++) {
    seek(w, 0, cursor[to[k]]);
    for (int i = to[k]; i < N && i < to[k] + 300; i++) {
      snprintf(text, sizeof text, "m%d", i);
      assert_true(expect(w, 0, text) == cursor[i + 1]);
    }
    if (to[k] == N) expect_end(w, 0, cursor[N]);
  }
}

static void places_and_ends(struct world *w) {
  int count = w->backend == FILES ? 1 : 3;
  open_source(w, count);
  put(w, 0, "a");
  put(w, 0, "b");
  if (count > 1) put(w, 2, "c");
  flush(w);
  struct tide_place *place;
  size_t places;
  if (source_of(w)->ops->places(w->source, &place, &places, &error)) fail_msg("%s", error.text);
  assert_int_equal(places, count);
  for (size_t i = 0; i < places; i++) {
    assert_int_equal(place[i].source, SOURCE);
    assert_int_equal(place[i].partition, i);
    assert_true(place[i].cursor == 0);
  }
  if (w->source->ops->ends(w->source, place, places, &error)) fail_msg("%s", error.text);
  seek(w, 0, 0);
  expect(w, 0, "a");
  uint64_t end = expect(w, 0, "b");
  assert_true(place[0].cursor == end);
  if (count > 1) {
    assert_true(place[1].cursor == 0);
    assert_true(place[2].cursor == 1);
  }
  /* never from memory */
  for (int i = 0; i < 3; i++) {
    put(w, 0, "x");
    flush(w);
    uint64_t now = end_of(w, 0);
    assert_true(now > end);
    end = now;
  }
  struct tide_place other[] = {{SOURCE, 0, 77}, {OTHER, 0, 78}};
  assert_int_equal(w->source->ops->ends(w->source, other, 2, &error), TIDE_E_NOT_FOUND);
  assert_true(other[0].cursor == 77 && other[1].cursor == 78);
  assert_int_equal(w->source->ops->ends(w->source, NULL, 0, &error), TIDE_OK);
  struct tide_place beyond = {SOURCE, 5, 79};
  assert_int_equal(w->source->ops->ends(w->source, &beyond, 1, &error), TIDE_E_NOT_FOUND);
  assert_true(beyond.cursor == 79);
  assert_int_equal(w->source->ops->seek(w->source, OTHER, 0, 0, &error), TIDE_E_NOT_FOUND);
  tide_free(place);
}

static void before_a_place(struct world *w) {
  open_source(w, 1);
  put(w, 0, "one");
  put(w, 0, "two");
  put(w, 0, "three");
  flush(w);
  seek(w, 0, 0);
  uint64_t a = expect(w, 0, "one");
  expect_before(w, 0, a, "one");
  uint64_t b = expect(w, 0, "two"); /* the reading goes on where it was */
  expect_before(w, 0, a, "one");
  expect_before(w, 0, b, "two");
  uint64_t c = expect(w, 0, "three");
  expect_before(w, 0, c, "three");
  assert_int_equal(before(w, 0, 0), TIDE_E_END);
  assert_int_equal(before(w, 0, c + 1), TIDE_E_MISMATCH);
  assert_int_equal(source_of(w)->ops->before(w->source, (struct tide_place){OTHER, 0, 1}, &(struct tide_buf){0}, &error), TIDE_E_NOT_FOUND);
  expect_end(w, 0, c);
}

static void a_stopped_partition_is_silent(struct world *w) {
  open_source(w, 1);
  for (int i = 0; i < 50; i++) put(w, 0, "s");
  flush(w);
  seek(w, 0, 0);
  uint64_t at = expect(w, 0, "s");
  w->source->ops->stop(w->source, SOURCE, 0);
  expect_nothing(w);
  w->source->ops->stop(w->source, SOURCE, 0);
  w->source->ops->stop(w->source, SOURCE, 4);
  w->source->ops->stop(w->source, OTHER, 0);
  seek(w, 0, at);
  for (int i = 1; i < 50; i++) expect(w, 0, "s");
}

static void long_messages_are_passed_over(struct world *w) {
  if (w->backend == REAL) { /* the broker's default is less than our limit */
    static const char *const setting[] = {"max.message.bytes", "4000000", NULL};
    test_kafka_topic(kafka_of(w), 1, setting, w->topic);
    open_topics(w, &(struct tide_kafka_topic){SOURCE, w->topic}, 1);
  } else {
    open_source(w, 1);
  }
  static const size_t len[] = {TIDE_MESSAGE_BYTES_MAX, TIDE_MESSAGE_BYTES_MAX + 1};
  for (int i = 0; i < 2; i++) {
    char *text = tide_alloc(len[i] + 1);
    memset(text, 'x', len[i]);
    put(w, 0, text);
    tide_free(text);
  }
  put(w, 0, "b");
  flush(w);
  seek(w, 0, 0);
  struct tide_message m;
  next(w, &m);
  assert_int_equal(m.bytes.len, TIDE_MESSAGE_BYTES_MAX);
  uint64_t first = m.next;
  enum tide_err err;
  for (int64_t until_ns = patience_ns();
       (err = source_of(w)->ops->next(w->source, &m, &error)) == TIDE_E_END && tide_mono_now().ns < until_ns;)
    continue;
  assert_int_equal(err, TIDE_E_LIMIT);
  assert_true(m.next > first);
  assert_int_equal(m.bytes.len, 0);
  uint64_t second = m.next;
  expect(w, 0, "b");
  expect_before(w, 0, second, "");
}

static void what_comes_later_is_given(struct world *w) {
  open_source(w, 1);
  put(w, 0, "a");
  flush(w);
  seek(w, 0, 0);
  uint64_t at = expect(w, 0, "a");
  expect_end(w, 0, at);
  for (int i = 0; i < 3; i++) {
    put(w, 0, "later");
    flush(w);
    if (w->backend == FILES) seek(w, 0, at); /* a file's end is final until it is sought */
    at = expect(w, 0, "later");
    expect_end(w, 0, at);
  }
  expect_nothing(w);
}

/* --- cases of live logs */

static void order_within_each_partition(struct world *w) {
  enum { P = 4, N = 3000 };
  open_source(w, P);
  char text[32];
  for (int i = 0; i < N; i++) {
    snprintf(text, sizeof text, "%d", i);
    put(w, i % P, text);
  }
  flush(w);
  for (uint16_t p = 0; p < P; p++) seek(w, p, 0);
  int at[P] = {0, 1, 2, 3}, ends = 0, seen = 0;
  while (seen < N || ends < P) {
    struct tide_message m;
    next(w, &m);
    assert_true(m.partition < P);
    if (m.kind == TIDE_MESSAGE_END) {
      if (m.next == N / P) ends++;
      continue;
    }
    snprintf(text, sizeof text, "%d", at[m.partition]);
    if (!tide_span_is(m.bytes, text)) fail_msg("partition %u: want %s, got %.*s", m.partition, text, TIDE_SPAN_FMT(m.bytes));
    assert_true(m.next == m.offset + 1);
    assert_true(m.offset == (uint64_t)(at[m.partition] / P));
    at[m.partition] += P;
    seen++;
    if (seen == N / 3) w->source->ops->stop(w->source, SOURCE, 1); /* one of them in the middle, and again from where it was */
    if (seen == N / 2) seek(w, 1, (uint64_t)(at[1] / P));
  }
}

static void headers_and_times_come_along(struct world *w) {
  open_source(w, 1);
  static const struct test_kafka_header both[] = {
      {"other", "x"}, {"traceparent", "00-old"}, {"traceparent", "00-new"}, {"tidemark-copy", "1"}, {NULL, NULL}};
  test_kafka_put(kafka_of(w), w->topic, 0, TIDE_SPAN("a"), 1234567890123, both);
  test_kafka_put(kafka_of(w), w->topic, 0, TIDE_SPAN("b"), 1234567890124, NULL);
  test_kafka_put(kafka_of(w), w->topic, 0, (struct tide_span){NULL, 0}, 1234567890125, NULL); /* a tombstone */
  flush(w);
  seek(w, 0, 0);
  struct tide_message m;
  next(w, &m);
  assert_true(tide_span_is(m.trace, "00-new"));
  assert_true(m.copy);
  assert_true(m.append_ms == 1234567890123);
  next(w, &m);
  assert_int_equal(m.trace.len, 0);
  assert_false(m.copy);
  assert_true(m.append_ms == 1234567890124);
  next(w, &m);
  assert_int_equal(m.kind, TIDE_MESSAGE_DATA);
  assert_int_equal(m.bytes.len, 0);
  expect_before(w, 0, 2, "b");
  expect_before(w, 0, 3, "");
}

static void places_by_time(struct world *w) {
  open_source(w, 2);
  for (int i = 0; i < 10; i++) test_kafka_put(kafka_of(w), w->topic, 0, TIDE_SPAN("t"), 1700000000000 + i * 1000, NULL);
  flush(w);
  struct tide_place place[] = {{SOURCE, 1, 0}, {SOURCE, 0, 0}};
  if (tide_source_kafka_at_time(w->source, 1700000003500, place, 2, &error)) fail_msg("%s", error.text);
  assert_true(place[0].cursor == 0 && place[1].cursor == 4);
  if (tide_source_kafka_at_time(w->source, 1700000009001, place, 2, &error)) fail_msg("%s", error.text);
  assert_true(place[0].cursor == 0 && place[1].cursor == 10);
  place[0].source = OTHER;
  assert_int_equal(tide_source_kafka_at_time(w->source, 1700000003500, place, 2, &error), TIDE_E_NOT_FOUND);
  assert_int_equal(tide_source_kafka_at_time(w->source, -1, place, 2, &error), TIDE_E_RANGE);
}

static void two_topics_are_two_sources(struct world *w) {
  char other[64];
  test_kafka_topic(kafka_of(w), 2, NULL, w->topic);
  test_kafka_topic(kafka_of(w), 1, NULL, other);
  const struct tide_kafka_topic topic[] = {{SOURCE, w->topic}, {OTHER, other}};
  open_topics(w, topic, 2);
  put(w, 1, "mine");
  test_kafka_put(kafka_of(w), other, 0, TIDE_SPAN("other"), 0, NULL);
  flush(w);
  struct tide_place *place;
  size_t count;
  if (w->source->ops->places(w->source, &place, &count, &error)) fail_msg("%s", error.text);
  assert_int_equal(count, 3);
  assert_int_equal(place[0].source, SOURCE);
  assert_int_equal(place[2].source, OTHER);
  if (w->source->ops->ends(w->source, place, count, &error)) fail_msg("%s", error.text);
  assert_true(place[0].cursor == 0 && place[1].cursor == 1 && place[2].cursor == 1);
  tide_free(place);
  assert_int_equal(w->source->ops->seek(w->source, OTHER, 0, 0, &error), TIDE_OK);
  struct tide_message m;
  next(w, &m);
  assert_int_equal(m.source, OTHER);
  assert_true(tide_span_is(m.bytes, "other"));
  seek(w, 1, 0);
  do next(w, &m);
  while (m.kind == TIDE_MESSAGE_END);
  assert_int_equal(m.source, SOURCE);
}

static void a_cursor_behind_the_end_is_a_gap(struct world *w) {
  open_source(w, 2);
  put(w, 0, "a");
  put(w, 1, "b");
  flush(w);
  seek(w, 0, 10);
  seek(w, 1, 0);
  bool gap = false, other = false;
  while (!gap || !other) {
    struct tide_message m;
    if (!next_within(w, &m, PATIENCE_MS)) fail_msg("nothing came");
    if (m.kind == TIDE_MESSAGE_DATA) {
      assert_int_equal(m.partition, 1);
      other = true;
    } else if (m.kind == TIDE_MESSAGE_TROUBLE) {
      assert_int_equal(m.partition, 0);
      assert_true(m.stopped);
      assert_int_equal(m.trouble->code, TIDE_E_MISMATCH);
      assert_non_null(strstr(m.trouble->text, "cursor is 10"));
      assert_non_null(strstr(m.trouble->text, "ends at 1"));
      gap = true;
    }
  }
  for (int i = 0; i < 9; i++) put(w, 0, "later"); /* offset 10 comes into being, and is not taken up by itself */
  put(w, 0, "eleventh");
  flush(w);
  struct tide_message m;
  for (int i = 0; i < 20; i++)
    if (next_within(w, &m, 100)) assert_int_equal(m.partition, 1);
  seek(w, 0, 10);
  expect(w, 0, "eleventh");
}

static void what_retention_took_is_a_gap(struct world *w) {
  open_source(w, 1);
  for (int i = 0; i < 20; i++) put(w, 0, "old");
  flush(w);
  test_kafka_cut(kafka_of(w), w->topic, 0, 12);
  seek(w, 0, 3);
  expect_trouble(w, 0, TIDE_E_MISMATCH, "a gap of 9 offsets: the cursor is 3, the log begins at 12 (end 20)");
  expect_nothing(w);
  struct tide_place *place;
  size_t count;
  if (w->source->ops->places(w->source, &place, &count, &error)) fail_msg("%s", error.text);
  assert_true(place[0].cursor == 12);
  seek(w, 0, place[0].cursor);
  for (int i = 12; i < 20; i++) expect(w, 0, "old");
  assert_int_equal(before(w, 0, 12), TIDE_E_END);
  assert_int_equal(before(w, 0, 5), TIDE_E_MISMATCH);
  expect_before(w, 0, 13, "old");
  tide_free(place);
}

static void partitions_that_appear_later(struct world *w) {
  open_source(w, 1);
  put(w, 0, "a");
  flush(w);
  seek(w, 0, 0);
  expect(w, 0, "a");
  test_kafka_grow(kafka_of(w), w->topic, 3);
  struct tide_place *place = NULL;
  size_t count = 0;
  for (int64_t until_ns = patience_ns(); count != 3 && tide_mono_now().ns < until_ns;) {
    tide_free(place);
    if (w->source->ops->places(w->source, &place, &count, &error)) fail_msg("%s", error.text);
  }
  assert_int_equal(count, 3);
  tide_free(place);
  put(w, 2, "new");
  flush(w);
  seek(w, 2, 0);
  struct tide_message m;
  do next(w, &m);
  while (m.kind == TIDE_MESSAGE_END);
  assert_int_equal(m.partition, 2);
  assert_true(tide_span_is(m.bytes, "new"));
}

static void unknown_topics_and_partitions(struct world *w) {
  open_source(w, 1);
  put(w, 0, "a");
  flush(w);
  seek(w, 0, 0);
  expect(w, 0, "a");
  assert_int_equal(w->source->ops->seek(w->source, SOURCE, 6, 0, &error), TIDE_E_NOT_FOUND);
  assert_non_null(strstr(error.text, "no partition 6"));
  put(w, 0, "b"); /* the others go on */
  flush(w);
  expect(w, 0, "b");
  w->source->ops->close(w->source);
  w->source = NULL;
  open_topics(w, &(struct tide_kafka_topic){SOURCE, w->topic}, 1);
  seek(w, 6, 0); /* nothing is known of the topic yet */
  expect_trouble(w, 6, TIDE_E_NOT_FOUND, "number of partitions");
  w->source->ops->close(w->source);
  w->source = NULL;
  if (w->backend == MOCK) return; /* which makes every topic that is asked for */
  open_topics(w, &(struct tide_kafka_topic){SOURCE, "no-such-topic"}, 1);
  struct tide_place *place;
  size_t count;
  assert_int_equal(w->source->ops->places(w->source, &place, &count, &error), TIDE_E_NOT_FOUND);
  assert_non_null(strstr(error.text, "no-such-topic"));
  struct tide_place end = {SOURCE, 0, 5};
  assert_int_equal(w->source->ops->ends(w->source, &end, 1, &error), TIDE_E_NOT_FOUND);
  assert_true(end.cursor == 5);
  assert_int_equal(before(w, 0, 1), TIDE_E_NOT_FOUND);
  seek(w, 0, 0);
  expect_trouble(w, 0, TIDE_E_NOT_FOUND, "topic no-such-topic");
}

static void a_topic_that_is_deleted(struct world *w) {
  open_source(w, 2);
  put(w, 0, "a");
  put(w, 1, "b");
  flush(w);
  seek(w, 0, 0);
  expect(w, 0, "a");
  test_kafka_drop(kafka_of(w), w->topic);
  struct tide_error trouble = stopping_trouble(w, 0); /* or a fetch met the log while it was being taken away */
  bool told = trouble.code == TIDE_E_NOT_FOUND && strstr(trouble.text, "check the topic's name");
  if (!told && trouble.code != TIDE_E_MISMATCH) fail_msg("%s", trouble.text);
  expect_nothing(w);
}

static void group_offsets(struct world *w) {
  open_source(w, 2);
  struct tide_place place[] = {{SOURCE, 0, 0}, {SOURCE, 1, 0}};
  if (tide_source_kafka_committed(w->source, place, 2, &error)) fail_msg("%s", error.text);
  assert_true(place[0].cursor == UINT64_MAX && place[1].cursor == UINT64_MAX);
  for (int i = 0; i < 5; i++) put(w, 0, "a");
  flush(w);
  tide_source_kafka_commit(w->source, (struct tide_place[]){{SOURCE, 0, 3}, {OTHER, 0, 4}}, 2);
  for (int64_t until_ns = patience_ns(); place[0].cursor != 3 && tide_mono_now().ns < until_ns;)
    if (tide_source_kafka_committed(w->source, place, 2, &error)) fail_msg("%s", error.text);
  assert_true(place[0].cursor == 3 && place[1].cursor == UINT64_MAX);
  struct tide_source_kafka_stats stats;
  tide_source_kafka_stats(w->source, &stats);
  assert_int_equal(stats.commits, 1);
  assert_int_equal(stats.commits_failed, 0);
}

/* --- cases of the broker's markers, real only */

static void markers_are_passed_over(struct world *w) {
  open_source(w, 1);
  char why[256];
  for (int turn = 0; turn < 2; turn++) {
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    assert_int_equal(rd_kafka_conf_set(conf, "bootstrap.servers", w->kafka.brokers, why, sizeof why), RD_KAFKA_CONF_OK);
    assert_int_equal(rd_kafka_conf_set(conf, "transactional.id", w->topic, why, sizeof why), RD_KAFKA_CONF_OK);
    rd_kafka_t *rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, why, sizeof why);
    if (!rk) fail_msg("%s", why);
    assert_null(rd_kafka_init_transactions(rk, PATIENCE_MS));
    assert_null(rd_kafka_begin_transaction(rk));
    for (int i = 0; i < 3; i++)
      assert_int_equal(rd_kafka_producev(rk, RD_KAFKA_V_TOPIC(w->topic), RD_KAFKA_V_PARTITION(0), RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
                                         RD_KAFKA_V_VALUE((void *)(uintptr_t) "t", 1), RD_KAFKA_V_END),
                       RD_KAFKA_RESP_ERR_NO_ERROR);
    if (turn == 1) assert_int_equal(rd_kafka_flush(rk, PATIENCE_MS), RD_KAFKA_RESP_ERR_NO_ERROR); /* in the log, and then aborted */
    assert_null(turn == 0 ? rd_kafka_commit_transaction(rk, PATIENCE_MS) : rd_kafka_abort_transaction(rk, PATIENCE_MS));
    rd_kafka_destroy(rk);
  }
  /* 0 1 2 t, 3 marker, 4 5 6 aborted, 7 marker */
  seek(w, 0, 0);
  for (int i = 0; i < 3; i++) expect(w, 0, "t");
  expect_end(w, 0, 8);
  assert_true(end_of(w, 0) == 8);
  expect_before(w, 0, 8, "t");
  expect_before(w, 0, 4, "t");
  put(w, 0, "after");
  flush(w);
  assert_true(expect(w, 0, "after") == 9);
  seek(w, 0, 8);
  expect(w, 0, "after");
}

/* --- faults, mock only */

static void errors_that_pass(struct world *w) {
  open_source(w, 1);
  put(w, 0, "a");
  flush(w);
  seek(w, 0, 0);
  expect(w, 0, "a");
  enum { FETCH = 1, LIST_OFFSETS = 2 };
  rd_kafka_mock_push_request_errors(w->kafka.mock, FETCH, 3, RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION,
                                    RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT, RD_KAFKA_RESP_ERR__TRANSPORT);
  put(w, 0, "b");
  flush(w);
  struct tide_message m;
  for (int troubles = 0;;) { /* told or not, they stop nothing */
    if (!next_within(w, &m, PATIENCE_MS)) fail_msg("nothing came");
    if (m.kind == TIDE_MESSAGE_DATA) break;
    if (m.kind == TIDE_MESSAGE_TROUBLE) assert_false(m.stopped);
    assert_true(++troubles < 20);
  }
  assert_true(tide_span_is(m.bytes, "b"));
  rd_kafka_mock_push_request_errors(w->kafka.mock, LIST_OFFSETS, 2, RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION,
                                    RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE);
  assert_true(end_of(w, 0) == 2);
  /* the leader moves */
  for (int broker = 1; broker <= 3; broker++) {
    assert_int_equal(rd_kafka_mock_partition_set_leader(w->kafka.mock, w->topic, 0, broker), RD_KAFKA_RESP_ERR_NO_ERROR);
    put(w, 0, "moved");
    flush(w);
    do
      if (!next_within(w, &m, PATIENCE_MS)) fail_msg("nothing came");
    while (m.kind != TIDE_MESSAGE_DATA);
    assert_true(tide_span_is(m.bytes, "moved"));
    assert_true(end_of(w, 0) == (uint64_t)(2 + broker));
  }
}

static void a_long_way_to_the_broker(struct world *w) {
  open_source(w, 2);
  put(w, 0, "a");
  put(w, 1, "b");
  flush(w);
  assert_int_equal(rd_kafka_mock_broker_set_rtt(w->kafka.mock, -1, 300), RD_KAFKA_RESP_ERR_NO_ERROR);
  seek(w, 0, 0);
  expect(w, 0, "a");
  assert_true(end_of(w, 1) == 1);
  expect_before(w, 1, 1, "b");
}

static void a_broker_that_is_down_and_comes_back(struct world *w) {
  w->timeout_ms = 1000; /* two questions wait for it */
  open_source(w, 1);
  put(w, 0, "a");
  flush(w);
  seek(w, 0, 0);
  uint64_t at = expect(w, 0, "a");
  assert_int_equal(rd_kafka_mock_broker_set_down(w->kafka.mock, -1), RD_KAFKA_RESP_ERR_NO_ERROR);
  struct tide_message m;
  int all = 0;
  int64_t until_ns = tide_mono_now().ns + INT64_C(4000) * 1000000, patient_ns = patience_ns();
  while (tide_mono_now().ns < until_ns || (all == 0 && tide_mono_now().ns < patient_ns)) {
    if (!next_within(w, &m, 100)) continue;
    if (m.kind == TIDE_MESSAGE_END) continue;
    assert_int_equal(m.kind, TIDE_MESSAGE_TROUBLE);
    assert_false(m.stopped);
    assert_int_equal(m.trouble->code, TIDE_E_IO);
    assert_int_equal(m.source, 0);
    all++;
  }
  assert_true(all >= 1 && all <= 4); /* said, and not again and again */
  struct tide_place place = {SOURCE, 0, 5};
  assert_int_equal(w->source->ops->ends(w->source, &place, 1, &error), TIDE_E_IO);
  assert_true(place.cursor == 5);
  assert_int_equal(before(w, 0, 1), TIDE_E_IO);
  assert_int_equal(rd_kafka_mock_broker_set_up(w->kafka.mock, -1), RD_KAFKA_RESP_ERR_NO_ERROR);
  put(w, 0, "b");
  flush(w);
  do
    if (!next_within(w, &m, PATIENCE_MS)) fail_msg("nothing came");
  while (m.kind != TIDE_MESSAGE_DATA);
  assert_true(m.offset == at);
  assert_true(end_of(w, 0) == 2);
}

static void a_topic_that_may_not_be_read(struct world *w) {
  open_source(w, 1);
  put(w, 0, "a");
  flush(w);
  seek(w, 0, 0);
  expect(w, 0, "a");
  rd_kafka_mock_topic_set_error(w->kafka.mock, w->topic, RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED);
  struct tide_message m;
  for (int broker = 1; broker <= 2; broker++) { /* a leader that moves makes the client look at the cluster again */
    assert_int_equal(rd_kafka_mock_partition_set_leader(w->kafka.mock, w->topic, 0, broker), RD_KAFKA_RESP_ERR_NO_ERROR);
    usleep(300000);
  }
  expect_trouble(w, 0, TIDE_E_CONFIG, "allow the user");
  rd_kafka_mock_topic_set_error(w->kafka.mock, w->topic, RD_KAFKA_RESP_ERR_NO_ERROR);
  put(w, 0, "b");
  flush(w);
  for (int i = 0; i < 20; i++)
    if (next_within(w, &m, 50)) assert_int_not_equal(m.kind, TIDE_MESSAGE_DATA);
  seek(w, 0, 1); /* until somebody tries again */
  expect(w, 0, "b");
}

/* --- the table */

struct test_case {
  const char *name;
  void (*run)(struct world *);
  bool on[BACKENDS];
};
#define ALL                                                                                                                                \
  { true, true, true }
#define LIVE                                                                                                                               \
  { false, true, true }
#define ONLY_REAL                                                                                                                          \
  { false, false, true }
#define ONLY_MOCK                                                                                                                          \
  { false, true, false }
static const struct test_case cases[] = {
    {"nothing_before_a_seek", nothing_before_a_seek, ALL},
    {"order_and_seeks", order_and_seeks, ALL},
    {"places_and_ends", places_and_ends, ALL},
    {"before_a_place", before_a_place, ALL},
    {"a_stopped_partition_is_silent", a_stopped_partition_is_silent, ALL},
    {"long_messages_are_passed_over", long_messages_are_passed_over, ALL},
    {"what_comes_later_is_given", what_comes_later_is_given, ALL},
    {"order_within_each_partition", order_within_each_partition, LIVE},
    {"headers_and_times_come_along", headers_and_times_come_along, LIVE},
    {"two_topics_are_two_sources", two_topics_are_two_sources, LIVE},
    {"a_cursor_behind_the_end_is_a_gap", a_cursor_behind_the_end_is_a_gap, LIVE},
    {"unknown_topics_and_partitions", unknown_topics_and_partitions, LIVE},
    {"group_offsets", group_offsets, LIVE},
    {"places_by_time", places_by_time, ONLY_REAL},
    {"what_retention_took_is_a_gap", what_retention_took_is_a_gap, ONLY_REAL},
    {"partitions_that_appear_later", partitions_that_appear_later, ONLY_REAL},
    {"markers_are_passed_over", markers_are_passed_over, ONLY_REAL},
    {"a_topic_that_is_deleted", a_topic_that_is_deleted, ONLY_REAL},
    {"errors_that_pass", errors_that_pass, ONLY_MOCK},
    {"a_long_way_to_the_broker", a_long_way_to_the_broker, ONLY_MOCK},
    {"a_broker_that_is_down_and_comes_back", a_broker_that_is_down_and_comes_back, ONLY_MOCK},
    {"a_topic_that_may_not_be_read", a_topic_that_may_not_be_read, ONLY_MOCK},
};
enum { CASES = sizeof cases / sizeof cases[0] };
struct row {
  const struct test_case *test;
  struct world world;
};

static int setup(void **state) {
  struct row *row = *state;
  struct world *w = &row->world;
  if (w->backend == REAL && !getenv("TIDE_KAFKA_BROKERS")) return 0; /* the test says so */
  if (w->backend != FILES) test_kafka_open(&w->kafka, w->backend == MOCK ? TEST_KAFKA_MOCK : TEST_KAFKA_REAL);
  return 0;
}
static int teardown(void **state) {
  struct world *w = &((struct row *)*state)->world;
  if (w->source) w->source->ops->close(w->source);
  if (w->path[0]) unlink(w->path);
  test_kafka_close(&w->kafka);
  return 0;
}
static void run(void **state) {
  struct row *row = *state;
  if (row->world.backend == REAL && test_kafka_missing()) skip();
  row->test->run(&row->world);
}

int main(int argc, char **argv) {
  test_kafka_exec(argv);
  static struct row row[CASES * BACKENDS];
  static struct CMUnitTest tests[CASES * BACKENDS];
  static char name[CASES * BACKENDS][80];
  size_t count = 0;
  if (argc > 1) cmocka_set_test_filter(argv[1]);
  for (int b = 0; b < BACKENDS; b++)
    for (size_t i = 0; i < CASES; i++) {
      if (!cases[i].on[b]) continue;
      row[count] = (struct row){.test = &cases[i], .world = {.backend = (enum backend)b}};
      snprintf(name[count], sizeof name[count], "%s_%s", backend_name[b], cases[i].name);
      tests[count] = (struct CMUnitTest){name[count], run, setup, teardown, &row[count]};
      count++;
    }
  return _cmocka_run_group_tests("source", tests, count, NULL, NULL);
}
