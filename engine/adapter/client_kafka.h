/* What the Kafka source and the Kafka outlet share: settings that pass through to librdkafka, and its errors as ours.
 *
 * Every setting of librdkafka can be given by its own name ("bootstrap.servers", "sasl.mechanism", "ssl.ca.location" ...), except those on which a guarantee of
 * Tidemark rests: they are refused by name with the reason. Defaults of ours that differ from librdkafka's stand in a table and give way to what is
 * configured. Nothing is connected and no thread is started before every setting has been taken. */
#ifndef TIDE_ADAPTER_CLIENT_KAFKA_H
#define TIDE_ADAPTER_CLIENT_KAFKA_H

#include "base/err.h"
#include "base/span.h"
#include "config/kafka.h"

/* Lines of librdkafka's own log, from any of its threads at any time. level: 3 error, 4 warning, 5 notice, 6 information, 7 debug (as syslog). Secrets are not in it. */
struct tide_kafka_log {
  void (*line)(void *ctx, int level, const char *what, const char *text); /* NULL: dropped */
  void *ctx;
};

/* Hands a line on. Left out: that a producer ignores the settings of consumers and the other way round, because both are given the same. */
void tide_kafka_log_line(const struct tide_kafka_log *log, int level, const char *what, const char *text);

/* A setting that Tidemark decides. value NULL: it has none; why: for people, "Tidemark ..." */
struct tide_kafka_owned { const char *name, *value, *why; };

struct rd_kafka_conf_s;
/* The configuration of one client: owned values, then defaults, then what is configured. `what`: "consumer" or "producer", for errors. *ret: the caller's to destroy or to give to
 * rd_kafka_new. Errors: CONFIG, naming the setting: owned, unknown to librdkafka, a value that it does not take, no brokers. */
enum tide_err tide_kafka_configure(const char *what, const struct tide_kafka_owned *owned, size_t owned_count, const struct tide_kafka_setting *standard,
                                   size_t standard_count, const struct tide_kafka_setting *setting, size_t setting_count, struct rd_kafka_conf_s **ret,
                                   struct tide_error *error) TIDE_WARN_UNUSED;

/* One setting by itself, for who looks at a configuration without starting a client: does librdkafka know it, and does it take the value? value NULL: only the first.
 * Errors: CONFIG, with the setting in error->field; the message may quote the value. */
enum tide_err tide_kafka_check(const char *name, const char *value, struct tide_error *error) TIDE_WARN_UNUSED;

/* librdkafka's error (rd_kafka_resp_err_t) as ours: NOT_FOUND unknown topic or partition; CONFIG not authorized, not authenticated; MISMATCH the offset is not in the log;
 * LIMIT too long; CORRUPT a bad checksum; AGAIN a full queue; else IO. */
enum tide_err tide_kafka_err(int resp_err);
/* Does asking again soon help? (A leader that moves, a connection that broke.) */
bool tide_kafka_passes(int resp_err);

#endif
