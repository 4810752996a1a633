/* The Kafka source under load, on librdkafka's mock cluster. Questions beside the reading: one thread reads, seeks and stops, another asks for partitions, ends and
 * what stands before places, as the ingester does; neither disturbs the other. And a backlog that nobody reads yet: memory stays bounded. (Not under
 * ThreadSanitizer: librdkafka starts its threads with C11's thrd_create, which that does not know and dies of.) */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <time.h>
#include <pthread.h>
#include <cmocka.h>

#include "adapter/source_kafka.h"
#include "base/clock.h"
#include "tests/support/kafka_cluster.h"

enum { SOURCE = 7, PARTITIONS = 4, MESSAGES = 4000, ROUNDS = 30, PATIENCE_MS = 60000 };

struct asker {
  struct tide_source *source;
  int rounds;
  const char *wrong; /* NULL: every answer was right */
};

static void *ask(void *arg) {
  struct asker *asker = arg;
  struct tide_source *source = asker->source;
  struct tide_error error;
  for (; asker->rounds < ROUNDS && !asker->wrong; asker->rounds++) {
    struct tide_place *place;
    size_t count;
    if (source->ops->places(source, &place, &count, &error) || count != PARTITIONS) {
      asker->wrong = "places";
      break;
    }
    if (source->ops->ends(source, place, count, &error)) asker->wrong = "ends";
    for (size_t i = 0; i < count && !asker->wrong; i++)
      if (place[i].cursor != MESSAGES / PARTITIONS) asker->wrong = "an end";
    struct tide_buf out = TIDE_BUF_INIT;
    uint64_t cursor = (uint64_t)(asker->rounds * 31 % (MESSAGES / PARTITIONS) + 1);
    char want[32];
    snprintf(want, sizeof want, "%d %llu", asker->rounds % PARTITIONS, (unsigned long long)(cursor - 1));
    if (source->ops->before(source, (struct tide_place){SOURCE, (uint16_t)(asker->rounds % PARTITIONS), cursor}, &out, &error))
      asker->wrong = "before";
    else if (!tide_span_is(tide_buf_span(&out), want)) asker->wrong = "what stands before";
    tide_buf_release(&out);
    tide_free(place);
  }
  return NULL;
}

static void questions_beside_the_reading(void **state) {
  (void)state;
  struct test_kafka kafka;
  test_kafka_open(&kafka, TEST_KAFKA_MOCK);
  char topic[64], text[32];
  test_kafka_topic(&kafka, PARTITIONS, NULL, topic);
  for (int i = 0; i < MESSAGES; i++) {
    snprintf(text, sizeof text, "%d %d", i % PARTITIONS, i / PARTITIONS);
    test_kafka_put(&kafka, topic, i % PARTITIONS, tide_span_of(text), 0, NULL);
  }
  test_kafka_flush(&kafka);
  const struct tide_kafka_setting setting[] = {{"bootstrap.servers", kafka.brokers}, {"log_level", "2"}, {"group.id", topic}};
  struct tide_source_kafka_options options = {
      .topic = &(struct tide_kafka_topic){SOURCE, topic}, .topic_count = 1, .setting = setting, .setting_count = 3, .poll_ms = 5};
  struct tide_error error;
  struct asker asker = {0};
  if (tide_source_kafka_open(&options, &asker.source, &error)) fail_msg("%s", error.text);
  struct tide_source *source = asker.source;
  pthread_t thread;
  assert_int_equal(pthread_create(&thread, NULL, ask, &asker), 0);
  int64_t until_ns = tide_mono_now().ns + INT64_C(1000000) * PATIENCE_MS;
  for (int round = 0; round < 5; round++) {
    uint64_t at[PARTITIONS] = {0};
    for (uint16_t p = 0; p < PARTITIONS; p++)
      if (source->ops->seek(source, SOURCE, p, at[p] = (uint64_t)(round * 10), &error)) fail_msg("%s", error.text);
    for (size_t done = 0; done < PARTITIONS;) {
      struct tide_message m;
      if (tide_mono_now().ns > until_ns) fail_msg("nothing comes");
      if (source->ops->next(source, &m, &error) == TIDE_E_END) continue;
      if (m.kind == TIDE_MESSAGE_TROUBLE) fail_msg("%s", m.trouble->text);
      if (m.kind == TIDE_MESSAGE_END) continue;
      snprintf(text, sizeof text, "%u %llu", m.partition, (unsigned long long)at[m.partition]);
      if (!tide_span_is(m.bytes, text)) fail_msg("want %s, got %.*s", text, TIDE_SPAN_FMT(m.bytes));
      if (++at[m.partition] == MESSAGES / PARTITIONS) done++;
      tide_source_kafka_commit(source, &(struct tide_place){SOURCE, m.partition, at[m.partition]}, m.offset % 100 == 0);
      if (m.offset == 500 && m.partition == 2) { /* one of them again from here */
        source->ops->stop(source, SOURCE, 2);
        if (source->ops->seek(source, SOURCE, 2, at[2], &error)) fail_msg("%s", error.text);
      }
    }
  }
  assert_int_equal(pthread_join(thread, NULL), 0);
  if (asker.wrong) fail_msg("%s in round %d", asker.wrong, asker.rounds);
  source->ops->close(source);
  test_kafka_close(&kafka);
}

/* 4 x 4 MB wait, 1 MB may be read ahead for all partitions together and one answer for each partition (0.7 MB from the mock) may come on top. Then all of it is read. */
static void a_backlog_is_not_read_into_memory(void **state) {
  (void)state;
  enum { EACH = 400, BYTES = 10000, SOME = 100 };
  struct test_kafka kafka;
  test_kafka_open(&kafka, TEST_KAFKA_MOCK);
  char topic[64];
  test_kafka_topic(&kafka, PARTITIONS, NULL, topic);
  char *text = tide_alloc(BYTES);
  memset(text, 'x', BYTES);
  for (int i = 0; i < EACH * PARTITIONS; i++) test_kafka_put(&kafka, topic, i % PARTITIONS, (struct tide_span){text, BYTES}, 0, NULL);
  test_kafka_flush(&kafka);
  const struct tide_kafka_setting setting[] = {
      {"bootstrap.servers", kafka.brokers}, {"queued.max.messages.kbytes", "1000"}, {"fetch.message.max.bytes", "100000"}};
  struct tide_source_kafka_options options = {
      .topic = &(struct tide_kafka_topic){SOURCE, topic}, .topic_count = 1, .setting = setting, .setting_count = 3, .poll_ms = 5};
  struct tide_error error;
  struct tide_source *source;
  if (tide_source_kafka_open(&options, &source, &error)) fail_msg("%s", error.text);
  for (uint16_t p = 0; p < PARTITIONS; p++)
    if (source->ops->seek(source, SOURCE, p, 0, &error)) fail_msg("%s", error.text);
  size_t most = 0, same = 0;
  for (int i = 0; i < 400 && same < 40; i++) { /* until it does not grow any more */
    struct tide_source_kafka_stats stats;
    tide_source_kafka_stats(source, &stats);
    same = stats.queued > most || most <= SOME ? 0 : same + 1;
    if (stats.queued > most) most = stats.queued;
    nanosleep(&(struct timespec){0, 25000000}, NULL);
  }
  assert_true(most > SOME);
  if (most * BYTES > 5000000) fail_msg("%zu messages were read ahead", most);
  for (int seen = 0; seen < EACH * PARTITIONS;) {
    struct tide_message m;
    if (source->ops->next(source, &m, &error) == TIDE_E_END) continue;
    if (m.kind == TIDE_MESSAGE_TROUBLE) fail_msg("%s", m.trouble->text);
    seen += m.kind == TIDE_MESSAGE_DATA;
  }
  source->ops->close(source);
  tide_free(text);
  test_kafka_close(&kafka);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(questions_beside_the_reading), cmocka_unit_test(a_backlog_is_not_read_into_memory)};
  return cmocka_run_group_tests_name("source_load", tests, NULL, NULL);
}
