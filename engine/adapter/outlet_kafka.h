/* The outlet port into Kafka topics (port/outlet.h is the contract).
 *
 * An idempotent producer with acks=all: a letter that is reported as arrived is on every in-sync replica, once, and letters of one partition arrive in the order in
 * which they were sent as long as none of them is given up. A letter is given up after delivery.timeout.ms (30 s unless configured). */
#ifndef TIDE_OUTLET_KAFKA_H
#define TIDE_OUTLET_KAFKA_H

#include "adapter/client_kafka.h"
#include "port/outlet.h"

struct tide_outlet_kafka_options {
  const char *topic[TIDE_LETTER_KIND_COUNT]; /* NULL: no letters of that kind; two kinds may share one */
  const struct tide_kafka_setting *setting;  /* for librdkafka */
  size_t setting_count;
  struct tide_kafka_log log;
};

/* Checks the options and starts the producer; no broker is asked. Strings are copied. Error: CONFIG, a setting that is refused. */
enum tide_err tide_outlet_kafka_open(const struct tide_outlet_kafka_options *options, struct tide_outlet **ret, struct tide_error *error) TIDE_WARN_UNUSED;

#endif
