/* The sources of a cell: what is read from Kafka, one entry of the operator's `sources:` each, and every key of such an entry one row.
 *
 * A row is made like those of option.h and read by the same code: `sources.auths.topic` is `topic:` under `auths:` under `sources:` in the file, the same
 * word for --set, TIDEMARK_SOURCES_AUTHS_TOPIC in the environment, config->source[i].topic in C. A source is known by its name; the journal holds the
 * number made of it (base/source_number.h), so a source that is renamed is another source, which begins at its `start`. */
#ifndef TIDE_SOURCE_CONFIG_H
#define TIDE_SOURCE_CONFIG_H

#include "config/option.h"

#define TIDE_SOURCES_MAX 32
#define TIDE_SOURCE_NAME_MAX 48

/* In C: TIDE_SOURCE_FORMAT_json, TIDE_SOURCE_KEY_card. */
#define TIDE_SOURCE_FORMATS(X) X(json) X(avro)
#define TIDE_SOURCE_KEYINGS(X) X(none) X(card)
enum tide_source_format {
#define X(word) TIDE_SOURCE_FORMAT_##word,
  TIDE_SOURCE_FORMATS(X)
#undef X
};
enum tide_source_keying {
#define X(word) TIDE_SOURCE_KEY_##word,
  TIDE_SOURCE_KEYINGS(X)
#undef X
};

/* X(name, TYPE, default, least, most, words of a CHOICE or NULL, description)
 * The default is as in an option's row; or NULL: it must be given; or the name of an option: the source takes that one's value. */
#define TIDE_SOURCE_KEYS(X)                                                                                                                \
  X(topic, TOPIC, NULL, 1, 249, NULL, "Topic that is read, all its partitions, those that appear later too")                              \
  X(input, NAME, "default", 1, 63, NULL, "Shape of the feature file's `inputs` for messages that no `when` picks")                         \
  X(format, CHOICE, "json", 0, 0, TIDE_SOURCE_FORMATS(TIDE_OPTION_WORD), "How a message is written; avro: with the five bytes of a schema registry before it") \
  X(schemas, PATH, "", 0, 1024, NULL, "With avro: directory of the schemas (ID.avsc), or http://HOST:PORT of a registry")                   \
  X(gates, BOOL, "true", 0, 0, NULL,                                                                                                       \
    "Decisions need this source to be complete up to their time (within the budget); false for what comes in its own time: settlement, chargebacks, labels, advices") \
  X(key, CHOICE, "none", 0, 0, TIDE_SOURCE_KEYINGS(TIDE_OPTION_WORD),                                                                      \
    "card: all messages of one card are in one partition, so that a partition that stands still makes only its own cards stale; none: all cards") \
  X(out_of_orderness, DURATION, "fold.out_of_orderness", 0, TIDE_HOURS(1), NULL, "How far its events arrive out of order; freshness only")   \
  X(silence, DURATION, "30s", TIDE_SECONDS(1), TIDE_DAYS(1), NULL,                                                                         \
    "Without a message or heartbeat record for so long the source counts as broken and grows stale")                                       \
  X(start, START, "first", 0, 0, NULL,                                                                                                     \
    "Where a partition that was never read begins: first or last in its log, or the first message that the log took at this time or later")

enum tide_source_key {
#define X(name, ...) TIDE_SOURCE_ROW_##name,
  TIDE_SOURCE_KEYS(X)
#undef X
      TIDE_SOURCE_KEY_COUNT
};
/* name: "topic"; section: "sources"; none is reloadable. */
extern const struct tide_option tide_source_keys[TIDE_SOURCE_KEY_COUNT];

/* name, number, topic, input, format (enum tide_source_format), schemas, gates, key (enum tide_source_keying), out_of_orderness_ms, silence_ms,
 * start_ms (TIDE_START_FIRST, TIDE_START_LAST or a time of the log). */
struct tide_config_source {
  const char *name;
  uint16_t number; /* tide_source_number(name) */
#define X(name, type, ...) TIDE_CONFIG_##type(name);
  TIDE_SOURCE_KEYS(X)
#undef X
  struct tide_config_origin origin[TIDE_SOURCE_KEY_COUNT]; /* by enum tide_source_key */
  int line, column;                                        /* of its name in the file; 0: given by --set alone */
};

/* A value by its row. */
struct tide_option_value tide_source_value(const struct tide_config_source *source, enum tide_source_key key);
void tide_source_value_put(struct tide_config_source *source, enum tide_source_key key, struct tide_option_value value, struct tide_arena *arena);
/* The row of "topic"; -1 when there is none. */
int tide_source_key_find(struct tide_span name);
/* The option whose value the key takes when it is not given (enum tide_option_row); -1: the key has a default of its own, or none. */
int tide_source_key_inherits(enum tide_source_key key);
/* "eu-auths", topic -> "TIDEMARK_SOURCES_EU_AUTHS_TOPIC". */
#define TIDE_SOURCE_ENV_BYTES 128
const char *tide_source_env_name(const char *source, enum tide_source_key key, char out[TIDE_SOURCE_ENV_BYTES]);
/* Appends the Markdown of the reference page: how sources are written, and the table of keys. */
void tide_sources_document(struct tide_buf *out);

#endif
