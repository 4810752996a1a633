/* A Kafka cluster for tests: librdkafka's mock inside this process, or the real broker that with_kafka.py has started.
 *
 * Topics get names of their own, so that many tests can use one broker. Everything here fails the test when it does not succeed. */
#ifndef TEST_KAFKA_CLUSTER_H
#define TEST_KAFKA_CLUSTER_H

#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>

#include "base/buf.h"

enum test_kafka_kind { TEST_KAFKA_MOCK, TEST_KAFKA_REAL };
struct test_kafka {
  enum test_kafka_kind kind;
  rd_kafka_t *handle; /* the producer of what tests put into topics */
  rd_kafka_mock_cluster_t *mock;
  char brokers[256]; /* bootstrap.servers */
};

/* For main(): runs this program again under with_kafka.py unless there is a broker or it is known to be missing. */
void test_kafka_exec(char **argv);
/* Why there is no real broker, NULL if there is one. With CI=true a missing one fails the test that asks. */
const char *test_kafka_missing(void);

void test_kafka_open(struct test_kafka *kafka, enum test_kafka_kind kind);
void test_kafka_close(struct test_kafka *kafka);
/* A new topic; its name goes to `name`. `setting`: pairs of topic configuration that end with NULL (real only), or NULL. */
void test_kafka_topic(struct test_kafka *kafka, int partitions, const char *const *setting, char name[64]);
/* More partitions for a topic (real only). */
void test_kafka_grow(struct test_kafka *kafka, const char *topic, int partitions);
/* Deletes a topic (real only). */
void test_kafka_drop(struct test_kafka *kafka, const char *topic);
/* Removes what stands before an offset, as retention does (real only). */
void test_kafka_cut(struct test_kafka *kafka, const char *topic, int partition, int64_t before);

struct test_kafka_header { const char *name, *value; };
/* Hands a message to the producer; value.ptr NULL: a tombstone. time_ms 0: now. `header` ends with a NULL name, or is NULL. */
void test_kafka_put(struct test_kafka *kafka, const char *topic, int partition, struct tide_span value, int64_t time_ms,
                    const struct test_kafka_header *header);
/* What stands in partitions 0 .. partitions-1 of a topic, each from its begin to its end: `take` is called for each message. */
void test_kafka_read(struct test_kafka *kafka, const char *topic, int partitions, void (*take)(void *ctx, const rd_kafka_message_t *m), void *ctx);
/* Waits until everything put has arrived. */
void test_kafka_flush(struct test_kafka *kafka);

#endif
