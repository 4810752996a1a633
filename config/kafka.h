/* Settings of the Kafka client (librdkafka), passed through under their own names, and how those that are secrets stay secret.
 *
 * Under `kafka:` stand the client's settings verbatim: `kafka: {bootstrap.servers: "k1:9092,k2:9092", security.protocol: SASL_SSL}`; on the command line
 * --set kafka.linger.ms=5; in the environment TIDEMARK_KAFKA_LINGER_MS=5, every `_` a dot. What a setting means, and whether it exists, is the client's
 * business: it is told when it is opened. `NAME_file: PATH` takes the value from a file, at the start of the engine.
 *
 * A setting whose name says password, secret or key (tide_kafka_is_secret) is taken from a file or the environment only: not from the operator's file, which
 * is printed and kept in repositories, nor from a command line, which every user of the machine can read. It is never printed. */
#ifndef TIDE_KAFKA_CONFIG_H
#define TIDE_KAFKA_CONFIG_H

#include "base/arena.h"
#include "config/option.h"

#define TIDE_KAFKA_SETTINGS_MAX 128
#define TIDE_KAFKA_NAME_MAX 64
#define TIDE_KAFKA_VALUE_MAX 65536

struct tide_config_kafka {
  const char *name;  /* "sasl.password" */
  const char *value; /* NULL: the content of `file` */
  const char *file;  /* NULL: the value was given */
  bool secret;
  struct tide_config_origin origin;
};

bool tide_kafka_is_secret(struct tide_span name);
/* Small letters, digits, `.`, `_` and `-`, at most TIDE_KAFKA_NAME_MAX. */
bool tide_kafka_is_name(struct tide_span name);

/* "sasl.password" -> "TIDEMARK_KAFKA_SASL_PASSWORD", with _FILE behind it where the setting names a file. */
#define TIDE_KAFKA_ENV_BYTES (TIDE_KAFKA_NAME_MAX + 32)
const char *tide_kafka_env_name(const struct tide_config_kafka *setting, char out[TIDE_KAFKA_ENV_BYTES]);

/* The settings with all their values, for the client. */
struct tide_kafka_setting { const char *name, *value; };
struct tide_kafka_settings {
  struct tide_kafka_setting setting[TIDE_KAFKA_SETTINGS_MAX]; /* by name */
  size_t count;
  struct tide_arena arena; /* owns the texts */
};
/* Reads the files of settings that name one; a line break at a file's end is no part of the value. Release with tide_kafka_settings_release, which
 * wipes the values. Errors: CONFIG (file missing, unreadable, empty, too long, with a zero byte), naming setting and file. */
enum tide_err tide_kafka_settings_read(const struct tide_config_kafka *kafka, size_t count, struct tide_kafka_settings *ret,
                                       struct tide_error *error) TIDE_WARN_UNUSED;
void tide_kafka_settings_release(struct tide_kafka_settings *settings);
/* Appends the paragraph of the reference page. */
void tide_kafka_document(struct tide_buf *out);

#endif
