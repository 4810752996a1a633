/* See kafka_cluster.h. Requests of an administrator go through the producer's handle; a topic's name carries the process, so that programs do not meet. */
#include "kafka_cluster.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

enum { WAIT_MS = 60000 };

void test_kafka_exec(char **argv) {
  if (getenv("TIDE_KAFKA_BROKERS") || getenv("TIDE_KAFKA_MISSING")) return;
  const char *tmp = getenv("TIDE_TMP");
  char *words[16] = {"python3", "tests/support/with_kafka.py", tide_strdup(tmp && tmp[0] ? tmp : "/tmp")};
  for (size_t i = 0; argv[i] && i < 12; i++) words[3 + i] = argv[i];
  execvp(words[0], words);
  fprintf(stderr, "python3 tests/support/with_kafka.py cannot be started; run this from the project's top folder\n");
  exit(1);
}

const char *test_kafka_missing(void) {
  const char *why = getenv("TIDE_KAFKA_BROKERS") ? NULL : getenv("TIDE_KAFKA_MISSING");
  const char *ci = getenv("CI");
  if (why && ci && strcmp(ci, "true") == 0) fail_msg("no real Kafka broker, which CI requires: %s", why);
  return why;
}

static void reported(rd_kafka_t *rk, const rd_kafka_message_t *m, void *opaque) {
  (void)rk;
  (void)opaque;
  if (m->err) fprintf(stderr, "a message of the test did not arrive: %s\n", rd_kafka_err2str(m->err));
  if (m->err) abort(); /* no test can be judged then, and this is no place to fail one */
}

/* A broker out of reach shows in the messages that do not arrive. */
static void failed(rd_kafka_t *rk, int err, const char *why, void *opaque) {
  (void)rk;
  (void)err;
  (void)why;
  (void)opaque;
}

void test_kafka_open(struct test_kafka *kafka, enum test_kafka_kind kind) {
  *kafka = (struct test_kafka){.kind = kind};
  char why[256];
  rd_kafka_conf_t *conf = rd_kafka_conf_new();
  rd_kafka_conf_set_dr_msg_cb(conf, reported);
  rd_kafka_conf_set_log_cb(conf, NULL); /* brokers that go down are the test's doing */
  rd_kafka_conf_set_error_cb(conf, failed);
  static const char *const setting[][2] = {
      {"linger.ms", "2"},
      {"max.in.flight", "1"}, /* a leader that is not ready for its new partition refuses the first: order stays */
      {"message.max.bytes", "4000000"},
      {"message.timeout.ms", "60000"},
      {"log_level", "3"},
      {"reconnect.backoff.max.ms", "500"}, /* brokers that come back are found at once */
      {"queue.buffering.max.messages", "1000000"}};
  for (size_t i = 0; i < sizeof setting / sizeof setting[0]; i++)
    if (rd_kafka_conf_set(conf, setting[i][0], setting[i][1], why, sizeof why) != RD_KAFKA_CONF_OK) fail_msg("%s", why);
  const char *brokers = getenv("TIDE_KAFKA_BROKERS");
  if (kind == TEST_KAFKA_MOCK) {
    assert_int_equal(rd_kafka_conf_set(conf, "test.mock.num.brokers", "3", why, sizeof why), RD_KAFKA_CONF_OK);
  } else {
    assert_non_null(brokers);
    assert_int_equal(rd_kafka_conf_set(conf, "bootstrap.servers", brokers, why, sizeof why), RD_KAFKA_CONF_OK);
  }
  kafka->handle = rd_kafka_new(RD_KAFKA_PRODUCER, conf, why, sizeof why);
  if (!kafka->handle) fail_msg("%s", why);
  if (kind == TEST_KAFKA_MOCK) kafka->mock = rd_kafka_handle_mock_cluster(kafka->handle);
  snprintf(kafka->brokers, sizeof kafka->brokers, "%s", kafka->mock ? rd_kafka_mock_cluster_bootstraps(kafka->mock) : brokers);
}

void test_kafka_close(struct test_kafka *kafka) {
  if (!kafka->handle) return;
  rd_kafka_purge(kafka->handle, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
  rd_kafka_destroy(kafka->handle);
  *kafka = (struct test_kafka){0};
}

/* The result of an administrator's request, which must be a success for each thing asked. */
static rd_kafka_event_t *result_of(rd_kafka_queue_t *queue) {
  rd_kafka_event_t *event = rd_kafka_queue_poll(queue, WAIT_MS);
  if (!event) fail_msg("the broker does not answer");
  if (rd_kafka_event_error(event)) fail_msg("%s", rd_kafka_event_error_string(event));
  return event;
}

static void check_topics(const rd_kafka_topic_result_t **result, size_t count) {
  for (size_t i = 0; i < count; i++)
    if (rd_kafka_topic_result_error(result[i]))
      fail_msg("%s: %s", rd_kafka_topic_result_name(result[i]), rd_kafka_topic_result_error_string(result[i]));
}

/* librdkafka would look at a new topic by itself, up to a second after the first message to it. */
static void refresh(struct test_kafka *kafka, const char *topic) {
  rd_kafka_topic_t *handle = rd_kafka_topic_new(kafka->handle, topic, NULL);
  const struct rd_kafka_metadata *metadata;
  if (rd_kafka_metadata(kafka->handle, 0, handle, &metadata, WAIT_MS) == RD_KAFKA_RESP_ERR_NO_ERROR) rd_kafka_metadata_destroy(metadata);
  rd_kafka_topic_destroy(handle);
}

void test_kafka_topic(struct test_kafka *kafka, int partitions, const char *const *setting, char name[64]) {
  static unsigned turn;
  snprintf(name, 64, "test-%d-%u", (int)getpid(), turn++);
  if (kafka->mock) {
    assert_int_equal(rd_kafka_mock_topic_create(kafka->mock, name, partitions, 1), RD_KAFKA_RESP_ERR_NO_ERROR);
    refresh(kafka, name);
    return;
  }
  char why[256];
  rd_kafka_NewTopic_t *topic = rd_kafka_NewTopic_new(name, partitions, 1, why, sizeof why);
  if (!topic) fail_msg("%s", why);
  for (; setting && setting[0]; setting += 2)
    assert_int_equal(rd_kafka_NewTopic_set_config(topic, setting[0], setting[1]), RD_KAFKA_RESP_ERR_NO_ERROR);
  rd_kafka_queue_t *queue = rd_kafka_queue_new(kafka->handle);
  rd_kafka_CreateTopics(kafka->handle, &topic, 1, NULL, queue);
  rd_kafka_event_t *event = result_of(queue);
  size_t count;
  const rd_kafka_topic_result_t **result = rd_kafka_CreateTopics_result_topics(rd_kafka_event_CreateTopics_result(event), &count);
  check_topics(result, count);
  rd_kafka_event_destroy(event);
  rd_kafka_NewTopic_destroy(topic);
  rd_kafka_queue_destroy(queue);
  refresh(kafka, name);
}

void test_kafka_grow(struct test_kafka *kafka, const char *name, int partitions) {
  assert_null(kafka->mock);
  char why[256];
  rd_kafka_NewPartitions_t *more = rd_kafka_NewPartitions_new(name, (size_t)partitions, why, sizeof why);
  if (!more) fail_msg("%s", why);
  rd_kafka_queue_t *queue = rd_kafka_queue_new(kafka->handle);
  rd_kafka_CreatePartitions(kafka->handle, &more, 1, NULL, queue);
  rd_kafka_event_t *event = result_of(queue);
  size_t count;
  const rd_kafka_topic_result_t **result = rd_kafka_CreatePartitions_result_topics(rd_kafka_event_CreatePartitions_result(event), &count);
  check_topics(result, count);
  rd_kafka_event_destroy(event);
  rd_kafka_NewPartitions_destroy(more);
  rd_kafka_queue_destroy(queue);
}

void test_kafka_drop(struct test_kafka *kafka, const char *name) {
  assert_null(kafka->mock);
  rd_kafka_DeleteTopic_t *drop = rd_kafka_DeleteTopic_new(name);
  rd_kafka_queue_t *queue = rd_kafka_queue_new(kafka->handle);
  rd_kafka_DeleteTopics(kafka->handle, &drop, 1, NULL, queue);
  rd_kafka_event_t *event = result_of(queue);
  size_t count;
  const rd_kafka_topic_result_t **result = rd_kafka_DeleteTopics_result_topics(rd_kafka_event_DeleteTopics_result(event), &count);
  check_topics(result, count);
  rd_kafka_event_destroy(event);
  rd_kafka_DeleteTopic_destroy(drop);
  rd_kafka_queue_destroy(queue);
}

void test_kafka_cut(struct test_kafka *kafka, const char *name, int partition, int64_t before) {
  assert_null(kafka->mock);
  rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
  rd_kafka_topic_partition_list_add(list, name, partition)->offset = before;
  rd_kafka_DeleteRecords_t *cut = rd_kafka_DeleteRecords_new(list);
  rd_kafka_queue_t *queue = rd_kafka_queue_new(kafka->handle);
  rd_kafka_DeleteRecords(kafka->handle, &cut, 1, NULL, queue);
  rd_kafka_event_t *event = result_of(queue);
  const rd_kafka_topic_partition_list_t *done = rd_kafka_DeleteRecords_result_offsets(rd_kafka_event_DeleteRecords_result(event));
  assert_int_equal(done->cnt, 1);
  if (done->elems[0].err) fail_msg("%s", rd_kafka_err2str(done->elems[0].err));
  rd_kafka_event_destroy(event);
  rd_kafka_DeleteRecords_destroy(cut);
  rd_kafka_topic_partition_list_destroy(list);
  rd_kafka_queue_destroy(queue);
}

void test_kafka_put(struct test_kafka *kafka, const char *topic, int partition, struct tide_span value, int64_t time_ms,
                    const struct test_kafka_header *header) {
  int tries = 0;
  rd_kafka_headers_t *headers = rd_kafka_headers_new(4);
  for (; header && header->name; header++) rd_kafka_header_add(headers, header->name, -1, header->value, -1);
  for (;;) {
    rd_kafka_poll(kafka->handle, 0);
    rd_kafka_resp_err_t err =
        rd_kafka_producev(kafka->handle, RD_KAFKA_V_TOPIC(topic), RD_KAFKA_V_PARTITION(partition), RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
                          RD_KAFKA_V_VALUE((void *)(uintptr_t)value.ptr, value.len), RD_KAFKA_V_TIMESTAMP(time_ms),
                          RD_KAFKA_V_HEADERS(headers), RD_KAFKA_V_END);
    if (err == RD_KAFKA_RESP_ERR_NO_ERROR) return; /* the headers went with it */
    bool waits = err == RD_KAFKA_RESP_ERR__QUEUE_FULL || (err == RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION && tries++ < 100);
    if (!waits) fail_msg("%s", rd_kafka_err2str(err));
    if (err == RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION) refresh(kafka, topic); /* a new one */
    rd_kafka_poll(kafka->handle, 10);
  }
}

void test_kafka_flush(struct test_kafka *kafka) { assert_int_equal(rd_kafka_flush(kafka->handle, WAIT_MS), RD_KAFKA_RESP_ERR_NO_ERROR); }

void test_kafka_read(struct test_kafka *kafka, const char *name, int partitions, void (*take)(void *ctx, const rd_kafka_message_t *m),
                     void *ctx) {
  char why[256];
  rd_kafka_conf_t *conf = rd_kafka_conf_new();
  assert_int_equal(rd_kafka_conf_set(conf, "bootstrap.servers", kafka->brokers, why, sizeof why), RD_KAFKA_CONF_OK);
  assert_int_equal(rd_kafka_conf_set(conf, "enable.partition.eof", "true", why, sizeof why), RD_KAFKA_CONF_OK);
  rd_kafka_t *rk = rd_kafka_new(RD_KAFKA_CONSUMER, conf, why, sizeof why);
  if (!rk) fail_msg("%s", why);
  rd_kafka_queue_t *queue = rd_kafka_queue_new(rk);
  rd_kafka_topic_t *topic = rd_kafka_topic_new(rk, name, NULL);
  for (int p = 0; p < partitions; p++) assert_int_equal(rd_kafka_consume_start_queue(topic, p, RD_KAFKA_OFFSET_BEGINNING, queue), 0);
  for (int ends = 0; ends < partitions;) {
    rd_kafka_message_t *m = rd_kafka_consume_queue(queue, WAIT_MS);
    if (!m) fail_msg("topic %s cannot be read", name);
    if (m->err == RD_KAFKA_RESP_ERR__PARTITION_EOF) ends++;
    else if (m->err) fail_msg("%s", rd_kafka_message_errstr(m));
    else take(ctx, m);
    rd_kafka_message_destroy(m);
  }
  for (int p = 0; p < partitions; p++) rd_kafka_consume_stop(topic, p);
  rd_kafka_topic_destroy(topic);
  rd_kafka_queue_destroy(queue);
  rd_kafka_destroy(rk);
}
