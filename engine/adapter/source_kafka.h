/* The source port over Kafka topics (source_kafka.c says how; port/source.h is the contract).
 *
 * One client reads every partition of every configured topic that was sought, into one queue. The cursor of a message is its offset + 1. A message without a value (a
 * tombstone) has empty bytes. append_ms is the broker's clock where the topic has message.timestamp.type=LogAppendTime; with CreateTime it is what the
 * producer wrote, and "how late does the log get its messages" then means "how late did the producer send them". */
#ifndef TIDE_SOURCE_KAFKA_H
#define TIDE_SOURCE_KAFKA_H

#include "adapter/client_kafka.h"
#include "port/source.h"

struct tide_kafka_topic { uint16_t source; const char *topic; }; /* source: tide_source_number of its name */

struct tide_source_kafka_options {
  const struct tide_kafka_topic *topic;
  size_t topic_count;
  const struct tide_kafka_setting *setting; /* for librdkafka; group.id: the group whose offsets are committed, nothing else uses it */
  size_t setting_count;
  int poll_ms;     /* how long `next` waits */
  int timeout_ms;  /* of places, ends and before; 0: 10 s */
  int watch_ms;    /* how often `next` asks whether what it reads still exists and may be read; 0: 10 s. With no broker in reach that takes up to 2 s */
  struct tide_kafka_log log;
};

/* Checks the options and starts the client; no broker is asked. Strings are copied. Errors: CONFIG: no topic, two sources with one number or one topic, a
 * setting that is refused. */
enum tide_err tide_source_kafka_open(const struct tide_source_kafka_options *options, struct tide_source **ret, struct tide_error *error) TIDE_WARN_UNUSED;

/* Tells the group's offsets to the cluster, for lag dashboards and for a new ingester; returns at once. Of the thread of `next`. Failures are counted only: nothing depends on
 * them. Nothing happens without group.id. Places of unknown sources are left out. */
void tide_source_kafka_commit(struct tide_source *source, const struct tide_place *place, size_t count);
/* Sets each cursor to what the group has committed, UINT64_MAX where it has nothing (always without group.id). Errors: IO, CONFIG (not authorized), NOT_FOUND. */
enum tide_err tide_source_kafka_committed(struct tide_source *source, struct tide_place *place, size_t count, struct tide_error *error) TIDE_WARN_UNUSED;

/* Sets each cursor to the first message that the log took at `ms` (UTC) or later, by the log's timestamps; the end where there is none. Any thread. Errors: as `ends`; RANGE. */
enum tide_err tide_source_kafka_at_time(struct tide_source *source, int64_t ms, struct tide_place *place, size_t count, struct tide_error *error)
    TIDE_WARN_UNUSED;

struct tide_source_kafka_stats {
  uint64_t messages, bytes;      /* given */
  uint64_t outdated;             /* read ahead of a seek or stop and dropped */
  uint64_t troubles;
  uint64_t commits, commits_failed;
  size_t queued;                 /* read ahead now */
};
/* Of the thread of `next`. */
void tide_source_kafka_stats(struct tide_source *source, struct tide_source_kafka_stats *ret);

#endif
