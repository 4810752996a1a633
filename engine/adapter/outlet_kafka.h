/* The outlet port over Kafka topics (port/outlet.h is the contract): one idempotent producer, acks=all.
 *
 * A letter that is reported as arrived is on all in-sync replicas of its partition. Letters of one key keep their order (the producer is idempotent and partitions by key), also
 * over retries. A letter that fails is reported once, after delivery.timeout.ms; whether it arrived is then not known. */
#ifndef TIDE_OUTLET_KAFKA_H
#define TIDE_OUTLET_KAFKA_H

#include "adapter/client_kafka.h"
#include "port/outlet.h"

struct tide_outlet_kafka_options {
  const char *topic[TIDE_LETTER_KIND_COUNT]; /* NULL: letters of that kind are refused */
  const struct tide_kafka_setting *setting;  /* for librdkafka */
  size_t setting_count;
  int close_ms; /* how long close waits for what is under way; 0: 5 s */
  struct tide_kafka_log log;
};

/* Checks the options and starts the client; no broker is asked. Strings are copied. Error: CONFIG, a setting that is refused. */
enum tide_err tide_outlet_kafka_open(const struct tide_outlet_kafka_options *options, struct tide_outlet **ret, struct tide_error *error) TIDE_WARN_UNUSED;

#endif
