/* What the two halves of the Kafka source share: source_kafka.c reads, source_ask_kafka.c asks the brokers. Only these include it.
 *
 * `reader`, the queue, the batch and everything that follows from them belong to the thread of `next`. `side` and `timeout_ms` are used by whoever asks; librdkafka's handles
 * may be used by several threads. */
#ifndef TIDE_SOURCE_KAFKA_STATE_H
#define TIDE_SOURCE_KAFKA_STATE_H

#include <stdatomic.h>

#include "adapter/source_kafka.h"

enum { TIDE_SOURCE_KAFKA_BATCH = 1024, TIDE_SOURCE_KAFKA_GLOBALS = 4 };

struct rd_kafka_s;
struct rd_kafka_queue_s;
struct rd_kafka_topic_s;
struct rd_kafka_message_s;

struct tide_source_kafka_part {
  bool on;
  bool silent;     /* started, and nothing came yet: perhaps there is no such partition */
  int lost;        /* rd_kafka_resp_err_t that stops it and is to be told */
  int64_t cursor;  /* nothing below it is given */
  int64_t told_ns; /* when a passing trouble was last told */
};

struct tide_source_kafka_topic {
  uint16_t source;
  char *name;
  struct rd_kafka_topic_s *reader, *side;
  struct tide_source_kafka_part *part; /* by number; grows with what is sought */
  size_t part_count;
  bool lost;              /* it did not exist or could not be read when last looked at */
  _Atomic uint32_t known; /* partitions that it had at least when last looked at; 0: never seen. `places` may run in another thread */
};

/* Troubles of the whole client: from the error callback until `next` gives them. */
struct tide_source_kafka_global {
  int resp_err;
  bool pending;
  int64_t told_ns;
  char text[256];
};

struct tide_source_kafka {
  struct tide_source base;
  struct rd_kafka_s *reader, *side;
  struct rd_kafka_queue_s *queue, *before_queue;
  struct tide_source_kafka_topic *topic;
  size_t topic_count;
  bool group;
  int poll_ms, timeout_ms, watch_ms;
  struct tide_kafka_log log;
  struct rd_kafka_message_s *batch[TIDE_SOURCE_KAFKA_BATCH];
  size_t at, count;
  struct rd_kafka_message_s *current; /* what the last call gave */
  bool gave;                          /* something since the last END */
  struct tide_source_kafka_global global[TIDE_SOURCE_KAFKA_GLOBALS];
  bool look;     /* librdkafka has said that some topic or partition does not exist, or is not allowed; not which */
  size_t silent; /* partitions that are */
  int64_t looked_ns;
  struct tide_error trouble;
  struct tide_source_kafka_stats stats;
  uint64_t commits_open;
};

struct tide_source_kafka_topic *tide_source_kafka_topic(const struct tide_source_kafka *s, uint16_t source); /* NULL: none of this number */
enum tide_err tide_source_kafka_no_topic(uint16_t source, struct tide_error *error);                         /* NOT_FOUND */

/* One that marks_kafka.h wrote. What has a value is a message, whatever its headers say. */
bool tide_source_kafka_is_mark(const struct rd_kafka_message_s *m);

/* The port's questions. */
enum tide_err tide_source_kafka_places(struct tide_source *source, struct tide_place **ret, size_t *ret_count, struct tide_error *error) TIDE_WARN_UNUSED;
enum tide_err tide_source_kafka_ends(struct tide_source *source, struct tide_place *place, size_t count, struct tide_error *error) TIDE_WARN_UNUSED;
enum tide_err tide_source_kafka_before(struct tide_source *source, struct tide_place place, struct tide_buf *out, struct tide_error *error) TIDE_WARN_UNUSED;

#endif
