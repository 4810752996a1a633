/* One configuration: every option's value and where it came from, as an immutable snapshot.
 *
 * Values come from four places, each over the one before: the table's default, the operator's YAML file (one mapping per section), the
 * environment (TIDEMARK_HTTP_PORT) and the command line (--set http.port=8081). All mistakes are found at once, none is corrected silently:
 * an unknown name is an error with the nearest one, also in the environment, where a misspelt variable would otherwise do nothing.
 *
 * Beside the options stand two sections that are maps: `sources:`, from names to keys (source.h), and `kafka:`, settings of the Kafka client (kafka.h).
 *
 * A loaded configuration never changes. A running engine that reloads loads a second one, asks tide_config_diff whether the difference is one it can
 * take while running, and then hands the pointer on; the old one is freed when its last reader is done. Secrets are not in it, but for settings
 * of the Kafka client from the environment: a key is named by the path of its file. */
#ifndef TIDE_CONFIG_H
#define TIDE_CONFIG_H

#include "base/arena.h"
#include "config/kafka.h"
#include "config/option.h"
#include "config/source.h"

/* Allowed in the environment though it is no option: the key for secret fields, read by who needs it and by nobody here. */
#define TIDE_CONFIG_ENV_KEY "TIDEMARK_HASH_KEY"

/* http_port, http_max_body_bytes, http_idle_timeout_ms, journal_kind (enum tide_journal_kind), log_level (enum tide_log_level) ... */
struct tide_config {
#define X(section, name, type, ...) TIDE_CONFIG_##type(section##_##name);
  TIDE_OPTIONS(X)
#undef X
  struct tide_config_origin origin[TIDE_OPTION_COUNT]; /* by enum tide_option_row */
  struct tide_config_source source[TIDE_SOURCES_MAX];  /* by name */
  size_t source_count;
  struct tide_config_kafka kafka[TIDE_KAFKA_SETTINGS_MAX]; /* by name; tide_kafka_settings_read gives all values */
  size_t kafka_count;
  const char *path;                                    /* of the file; NULL: none */
  struct tide_arena arena;                             /* owns the texts */
};

struct tide_config_input {
  const char *path;            /* the operator's file; NULL: none */
  const char *const *environ;  /* "NAME=value", ended by NULL; NULL: none. Only names that begin with TIDEMARK_ are looked at */
  const char *const *set;      /* "http.port=8081" */
  size_t set_count;
};

/* Loads and checks. Free with tide_config_free. error[0..error_max) takes the first mistakes in the order of file, environment, --set and
 * checks between options; *ret_errors (may be NULL) tells how many there are. Those of the file have line and column. Returns the first one's code:
 * NOT_FOUND, IO (the file), SYNTAX, UTF8, DUPLICATE_KEY, TYPE, LIMIT, TRAILING (YAML), UNKNOWN_NAME, SYNTAX, RANGE (values), CONFIG (options that
 * contradict each other). No message quotes a value of the environment, or one that is a path or a text. */
enum tide_err tide_config_load(const struct tide_config_input *input, struct tide_config **ret, struct tide_error *error, size_t error_max,
                               size_t *ret_errors) TIDE_WARN_UNUSED;
/* The same with the file's text in memory; input->path only names it. */
enum tide_err tide_config_parse(struct tide_span text, const struct tide_config_input *input, struct tide_config **ret, struct tide_error *error,
                                size_t error_max, size_t *ret_errors) TIDE_WARN_UNUSED;
void tide_config_free(struct tide_config *config);
/* The journal may lose to a failover what it has acknowledged: fewer replicas must have it than there are. */
bool tide_config_lossy(const struct tide_config *config);

/* A value by its row, for code that treats all rows alike. Texts are borrowed from the configuration. */
struct tide_option_value tide_config_value(const struct tide_config *config, enum tide_option_row row);

/* Appends the effective configuration as YAML: every row, its value, and in a comment where that came from. It reads back to the same values, except
 * that a secret of the environment stands as a comment that says it is set.
 * describe: with each row's description, bounds, and whether it can be reloaded. */
void tide_config_print(const struct tide_config *config, bool describe, struct tide_buf *out);

/* What differs between two configurations: rows in table order, then sources and settings of Kafka, which no reload takes. */
#define TIDE_CONFIG_NAME_BYTES 128
struct tide_config_diff {
  uint8_t row[TIDE_OPTION_COUNT]; /* enum tide_option_row */
  size_t row_count;
  size_t count;                   /* all differences: rows, keys of sources, settings */
  size_t fixed_count;             /* of them: not reloadable */
  char first_other[TIDE_CONFIG_NAME_BYTES]; /* "sources.auths.topic", "kafka.linger.ms": the first that is no row; "" */
};
/* Calls `each` for every key of a source, source and setting that differs: its name, and what it was and is, NULL where there is none. Of secrets the texts are
 * "set". */
void tide_config_diff_others(const struct tide_config *from, const struct tide_config *to,
                             void (*each)(void *ctx, const char *name, const char *was, const char *is), void *ctx);
struct tide_config_diff tide_config_diff(const struct tide_config *from, const struct tide_config *to);
/* OK when a running engine can take the difference. Otherwise CONFIG, naming every option that needs a start: then nothing of it is taken, because
 * half of a change is a state nobody wrote down. */
enum tide_err tide_config_diff_check(const struct tide_config_diff *diff, struct tide_error *error) TIDE_WARN_UNUSED;

#endif
