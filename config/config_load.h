/* Loading a configuration: what its files share (config.c takes rows, config_live.c sources and Kafka settings, config_check.c what must agree).
 *
 * A load goes on after a mistake, so that one run tells all of them; a value that does not pass leaves the one from before, which is safe
 * because a configuration with a mistake is never handed out. Private to config/. */
#ifndef TIDE_CONFIG_LOAD_H
#define TIDE_CONFIG_LOAD_H

#include "config/config.h"
#include "config/yaml.h"

struct tide_load {
  struct tide_config *config;
  struct tide_arena scratch; /* the YAML tree, names of options for messages */
  struct tide_error *error;
  size_t error_max, count;
  enum tide_err first;
};

/* A mistake with its place (0: none). */
void tide_load_keep(struct tide_load *load, const struct tide_error *error);
void tide_load_mistake(struct tide_load *load, enum tide_err code, int line, int column, const char *field, const char *fmt, ...) TIDE_PRINTF(6, 7);
/* A value of the file, or of the environment or --set; false: a mistake, kept. `where` begins the message: "environment TIDEMARK_HTTP_PORT", "--set: ". */
bool tide_load_node(struct tide_load *load, const struct tide_option *option, const struct tide_yaml_node *node, struct tide_option_value *ret);
bool tide_load_text(struct tide_load *load, const struct tide_option *option, struct tide_span text, enum tide_config_from from, const char *where,
                    struct tide_option_value *ret);
/* How much of a name a message shows. */
static inline int tide_load_shown(struct tide_span text) { return text.len < 60 ? (int)text.len : 60; }

/* The sections `sources:` and `kafka:` of the file. */
void tide_load_sources(struct tide_load *load, const struct tide_yaml_node *section);
void tide_load_kafka(struct tide_load *load, const struct tide_yaml_node *section);
/* The same from --set (name: "sources.auths.topic") and the environment ("TIDEMARK_KAFKA_LINGER_MS"). False: the name belongs to neither. */
bool tide_load_live_set(struct tide_load *load, struct tide_span name, struct tide_span value);
bool tide_load_live_env(struct tide_load *load, struct tide_span name, struct tide_span value);
/* Behind all places: values that are inherited, keys that are missing, numbers; sorts both by name. */
void tide_load_live_end(struct tide_load *load);

/* What must agree. Only with a configuration that has no mistake. */
void tide_load_check(struct tide_load *load);

#endif
