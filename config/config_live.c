/* The two sections that are maps, `sources:` and `kafka:`, from each place a value comes from (config_load.h).
 *
 * A key of a source is parsed like an option, under the name sources.NAME.KEY. The environment cannot make a source, because a variable's name is in
 * capitals and `-` and `.` are `_` in it: it changes those of the file. Values of Kafka settings are never part of a message: a password under a wrong
 * name must not end up in a log. */
#include <stdio.h>
#include <stdlib.h>

#include "base/source_number.h"
#include "base/utf8.h"
#include "config/config_load.h"

#define SOURCES "sources."
#define KAFKA "kafka."
#define ENV_SOURCES "TIDEMARK_SOURCES_"
#define ENV_KAFKA "TIDEMARK_KAFKA_"
#define FILE_SUFFIX "_file"
#define ENV_FILE_SUFFIX "_FILE"

static bool starts(struct tide_span text, const char *prefix) {
  size_t len = strlen(prefix);
  return text.len >= len && memcmp(text.ptr, prefix, len) == 0;
}

static bool ends(struct tide_span text, const char *suffix) {
  size_t len = strlen(suffix);
  return text.len >= len && memcmp(text.ptr + text.len - len, suffix, len) == 0;
}

static struct tide_span behind(struct tide_span text, size_t len) { return (struct tide_span){text.ptr + len, text.len - len}; }

/* ---- sources ---- */

static struct tide_config_source *source_find(struct tide_config *config, struct tide_span name) {
  for (size_t i = 0; i < config->source_count; i++)
    if (tide_span_is(name, config->source[i].name)) return &config->source[i];
  return NULL;
}

/* The row under the whole name, for messages. */
static struct tide_option option_of(struct tide_load *load, const char *source, int key) {
  struct tide_option option = tide_source_keys[key];
  struct tide_buf name = TIDE_BUF_INIT;
  tide_buf_printf(&name, SOURCES "%s.%s", source, option.name);
  option.name = tide_arena_strdup(&load->scratch, tide_buf_span(&name));
  tide_buf_release(&name);
  return option;
}

static struct tide_config_source *source_add(struct tide_load *load, struct tide_span name, int line, int column, const char *where) {
  static const struct tide_option row = {
      .section = "sources", .name = "the name of a source", .lo = 1, .hi = TIDE_SOURCE_NAME_MAX, .type = TIDE_OPTION_NAME};
  struct tide_config *config = load->config;
  struct tide_option_value value;
  struct tide_error error;
  enum tide_err err = tide_option_parse(&row, name, &value, &error);
  if (err != TIDE_OK) {
    tide_load_mistake(load, err, line, column, "sources", "%s%s", where, error.text);
    return NULL;
  }
  if (config->source_count == TIDE_SOURCES_MAX) {
    tide_load_mistake(load, TIDE_E_LIMIT, line, column, "sources", "%sthere are more than %d sources", where, TIDE_SOURCES_MAX);
    return NULL;
  }
  struct tide_config_source *source = &config->source[config->source_count++];
  source->name = tide_arena_strdup(&config->arena, name);
  source->number = tide_source_number(name);
  source->line = line;
  source->column = column;
  for (int key = 0; key < TIDE_SOURCE_KEY_COUNT; key++) {
    const struct tide_option *option = &tide_source_keys[key];
    bool own = option->dflt && tide_source_key_inherits((enum tide_source_key)key) < 0;
    value = (struct tide_option_value){0};
    if (own) TIDE_CHECK(tide_option_parse(option, tide_span_of(option->dflt), &value, &error) == TIDE_OK);
    tide_source_value_put(source, (enum tide_source_key)key, value, &config->arena);
  }
  return source;
}

static void source_put(struct tide_load *load, struct tide_config_source *source, int key, struct tide_option_value value,
                       struct tide_config_origin origin) {
  tide_source_value_put(source, (enum tide_source_key)key, value, &load->config->arena);
  source->origin[key] = origin;
}

static void unknown_key(struct tide_load *load, const char *source, struct tide_span key, int line, int column, const char *where) {
  const char *names[TIDE_SOURCE_KEY_COUNT];
  for (int i = 0; i < TIDE_SOURCE_KEY_COUNT; i++) names[i] = tide_source_keys[i].name;
  const char *nearest = tide_nearest(key, names, TIDE_SOURCE_KEY_COUNT);
  tide_load_mistake(load, TIDE_E_UNKNOWN_NAME, line, column, "sources", "%sa source has no key %.*s (sources.%s)%s%s%s", where,
                    tide_load_shown(key), key.len ? key.ptr : "", source, nearest ? ": did you mean " : "; config/REFERENCE.md lists them",
                    nearest ? nearest : "", nearest ? "?" : "");
}

static void take_source(struct tide_load *load, const struct tide_yaml_pair *pair) {
  struct tide_config_source *source = source_add(load, tide_span_of(pair->key), pair->line, pair->column, "");
  const struct tide_yaml_node *keys = pair->value;
  if (!source || tide_yaml_is_null(keys)) return;
  if (keys->kind != TIDE_YAML_MAP) {
    tide_load_mistake(load, TIDE_E_TYPE, keys->line, keys->column, "sources",
                      "sources.%s must be a mapping of its keys, like {topic: NAME, input: SHAPE}, not %s", source->name,
                      tide_yaml_kind_name(keys));
    return;
  }
  for (uint32_t i = 0; i < keys->count; i++) {
    const struct tide_yaml_pair *one = &keys->pair[i];
    int key = tide_source_key_find(tide_span_of(one->key));
    if (key < 0) {
      unknown_key(load, source->name, tide_span_of(one->key), one->line, one->column, "");
      continue;
    }
    struct tide_option option = option_of(load, source->name, key);
    struct tide_option_value value;
    if (tide_load_node(load, &option, one->value, &value))
      source_put(load, source, key, value, (struct tide_config_origin){TIDE_FROM_FILE, one->value->line, one->value->column});
  }
}

static bool is_map(struct tide_load *load, const struct tide_yaml_node *section, const char *name, const char *holds) {
  if (tide_yaml_is_null(section)) return false; /* every line of it is commented out */
  if (section->kind == TIDE_YAML_MAP) return true;
  tide_load_mistake(load, TIDE_E_TYPE, section->line, section->column, name, "%s is a section: %s stand indented below it", name, holds);
  return false;
}

void tide_load_sources(struct tide_load *load, const struct tide_yaml_node *section) {
  if (!is_map(load, section, "sources", "the names of sources, like `auths:`,")) return;
  for (uint32_t i = 0; i < section->count; i++) take_source(load, &section->pair[i]);
}

static void set_source(struct tide_load *load, struct tide_span name, struct tide_span text) {
  struct tide_span rest = behind(name, sizeof SOURCES - 1);
  size_t dot = rest.len;
  while (dot > 0 && rest.ptr[dot - 1] != '.') dot--; /* keys have no dot, names may */
  if (dot == 0) {
    tide_load_mistake(load, TIDE_E_SYNTAX, 0, 0, "sources", "--set takes sources.NAME.KEY=VALUE, as in --set sources.auths.topic=auths");
    return;
  }
  struct tide_span of = {rest.ptr, dot - 1}, word = behind(rest, dot);
  struct tide_config_source *source = source_find(load->config, of);
  if (!source) source = source_add(load, of, 0, 0, "--set: ");
  if (!source) return;
  int key = tide_source_key_find(word);
  if (key < 0) {
    unknown_key(load, source->name, word, 0, 0, "--set: ");
    return;
  }
  struct tide_option option = option_of(load, source->name, key);
  struct tide_option_value value;
  if (source->origin[key].from == TIDE_FROM_SET)
    tide_load_mistake(load, TIDE_E_DUPLICATE_KEY, 0, 0, option.name, "--set %s is given twice; keep one of them", option.name);
  else if (tide_load_text(load, &option, text, TIDE_FROM_SET, "--set: ", &value))
    source_put(load, source, key, value, (struct tide_config_origin){.from = TIDE_FROM_SET});
}

static void env_source(struct tide_load *load, struct tide_span variable, struct tide_span text) {
  struct tide_config *config = load->config;
  struct tide_config_source *found = NULL;
  int key = 0;
  char env[TIDE_SOURCE_ENV_BYTES];
  for (size_t i = 0; i < config->source_count; i++) {
    for (int k = 0; k < TIDE_SOURCE_KEY_COUNT; k++) {
      if (!tide_span_is(variable, tide_source_env_name(config->source[i].name, (enum tide_source_key)k, env))) continue;
      if (found) {
        tide_load_mistake(load, TIDE_E_CONFIG, 0, 0, "sources", "environment %s could mean sources.%s.%s and sources.%s.%s: use --set", env,
                          found->name, tide_source_keys[key].name, config->source[i].name, tide_source_keys[k].name);
        return;
      }
      found = &config->source[i];
      key = k;
    }
  }
  if (!found) {
    tide_load_mistake(load, TIDE_E_UNKNOWN_NAME, 0, 0, "sources",
                      "environment %.*s: no source of the file has this name and key; unset it, or see config/REFERENCE.md",
                      tide_load_shown(variable), variable.ptr);
    return;
  }
  struct tide_option option = option_of(load, found->name, key);
  struct tide_option_value value;
  char where[TIDE_SOURCE_ENV_BYTES + 16];
  snprintf(where, sizeof where, "environment %s", tide_source_env_name(found->name, (enum tide_source_key)key, env));
  if (tide_load_text(load, &option, text, TIDE_FROM_ENVIRONMENT, where, &value))
    source_put(load, found, key, value, (struct tide_config_origin){.from = TIDE_FROM_ENVIRONMENT});
}

/* ---- settings of Kafka ---- */

static struct tide_config_kafka *setting_of(struct tide_config *config, struct tide_span name) {
  for (size_t i = 0; i < config->kafka_count; i++)
    if (tide_span_is(name, config->kafka[i].name)) return &config->kafka[i];
  return NULL;
}

static bool is_text(struct tide_span text) {
  for (size_t i = 0; i < text.len; i++) {
    unsigned char c = (unsigned char)text.ptr[i];
    if ((c < 0x20 && c != '\n' && c != '\r' && c != '\t') || c == 0x7f) return false; /* certificates have lines */
  }
  return tide_utf8_valid(text);
}

static enum tide_err value_check(struct tide_span name, bool file, struct tide_span value, struct tide_error *error) {
  int shown = tide_load_shown(name);
  size_t most = file ? 1024 : TIDE_KAFKA_VALUE_MAX;
  if (value.len == 0 || value.len > most)
    return tide_fail(error, TIDE_E_RANGE, "kafka.%.*s%s has %zu bytes and must have 1 to %zu; leave it out for the client's default", shown,
                     name.ptr, file ? FILE_SUFFIX : "", value.len, most);
  if (is_text(value)) return TIDE_OK;
  return tide_fail(error, TIDE_E_SYNTAX, "kafka.%.*s%s must be UTF-8 without control characters", shown, name.ptr, file ? FILE_SUFFIX : "");
}

/* Takes a setting from one place. `name` is without `_file`, which `file` tells. `at`: of the value; where: before the message. */
static void take_setting(struct tide_load *load, struct tide_span name, bool file, struct tide_span value, struct tide_config_origin at,
                         const char *where) {
  struct tide_config *config = load->config;
  int shown = tide_load_shown(name);
  struct tide_error error;
  if (!tide_kafka_is_name(name)) {
    tide_load_mistake(load, TIDE_E_SYNTAX, at.line, at.column, "kafka",
                      "%sthe name of a Kafka setting has at most %d small letters, digits and . _ -, as in bootstrap.servers", where,
                      TIDE_KAFKA_NAME_MAX);
    return;
  }
  bool secret = tide_kafka_is_secret(name);
  if (secret && !file && at.from != TIDE_FROM_ENVIRONMENT) {
    tide_load_mistake(
        load, TIDE_E_CONFIG, at.line, at.column, "kafka",
        "%skafka.%.*s is a secret: write it to a file that only the engine's user can read, and its path as kafka.%.*s" FILE_SUFFIX
        "; or take it from the environment",
        where, shown, name.ptr, shown, name.ptr);
    return;
  }
  enum tide_err err = value_check(name, file, value, &error);
  if (err != TIDE_OK) {
    tide_load_mistake(load, err, at.line, at.column, "kafka", "%s%s", where, error.text);
    return;
  }
  struct tide_config_kafka *setting = setting_of(config, name);
  if (setting && setting->origin.from == at.from) {
    tide_load_mistake(load, TIDE_E_DUPLICATE_KEY, at.line, at.column, "kafka",
                      "%skafka.%s is given twice (with or without " FILE_SUFFIX "); keep one of them", where, setting->name);
    return;
  }
  if (!setting && config->kafka_count == TIDE_KAFKA_SETTINGS_MAX) {
    tide_load_mistake(load, TIDE_E_LIMIT, at.line, at.column, "kafka", "%sthere are more than %d settings of Kafka", where,
                      TIDE_KAFKA_SETTINGS_MAX);
    return;
  }
  if (!setting) setting = &config->kafka[config->kafka_count++];
  const char *text = tide_arena_strdup(&config->arena, value);
  *setting = (struct tide_config_kafka){.name = tide_arena_strdup(&config->arena, name),
                                        .value = file ? NULL : text,
                                        .file = file ? text : NULL,
                                        .secret = secret,
                                        .origin = at};
}

void tide_load_kafka(struct tide_load *load, const struct tide_yaml_node *section) {
  if (!is_map(load, section, "kafka", "settings of the client, like `bootstrap.servers: HOST:PORT`,")) return;
  for (uint32_t i = 0; i < section->count; i++) {
    const struct tide_yaml_pair *pair = &section->pair[i];
    struct tide_span name = tide_span_of(pair->key);
    if (pair->value->kind != TIDE_YAML_SCALAR || tide_yaml_is_null(pair->value)) {
      tide_load_mistake(load, TIDE_E_TYPE, pair->value->line, pair->value->column, "kafka",
                        "kafka.%.*s takes a text, not %s; names of settings have dots and stand in one word, like `bootstrap.servers:`",
                        tide_load_shown(name), name.ptr, tide_yaml_kind_name(pair->value));
      continue;
    }
    bool file = ends(name, FILE_SUFFIX);
    if (file) name.len -= sizeof FILE_SUFFIX - 1;
    take_setting(load, name, file, pair->value->text, (struct tide_config_origin){TIDE_FROM_FILE, pair->value->line, pair->value->column},
                 "");
  }
}

static void set_kafka(struct tide_load *load, struct tide_span whole, struct tide_span value) {
  struct tide_span name = behind(whole, sizeof KAFKA - 1);
  bool file = ends(name, FILE_SUFFIX);
  if (file) name.len -= sizeof FILE_SUFFIX - 1;
  take_setting(load, name, file, value, (struct tide_config_origin){.from = TIDE_FROM_SET}, "--set: ");
}

static void env_kafka(struct tide_load *load, struct tide_span variable, struct tide_span value) {
  struct tide_span rest = behind(variable, sizeof ENV_KAFKA - 1);
  bool file = ends(rest, ENV_FILE_SUFFIX);
  if (file) rest.len -= sizeof ENV_FILE_SUFFIX - 1;
  char *name = tide_arena_strdup(&load->scratch, rest), where[128];
  for (char *c = name; *c; c++) {
    if (*c == '_') *c = '.';
    else if (*c >= 'A' && *c <= 'Z') *c = (char)(*c - 'A' + 'a');
    else if (*c >= 'a' && *c <= 'z') *c = '?'; /* two variables must not mean one setting */
  }
  snprintf(where, sizeof where, "environment %.*s: ", tide_load_shown(variable), variable.ptr);
  take_setting(load, tide_span_of(name), file, value, (struct tide_config_origin){.from = TIDE_FROM_ENVIRONMENT}, where);
}

/* ---- both ---- */

bool tide_load_live_set(struct tide_load *load, struct tide_span name, struct tide_span value) {
  if (starts(name, SOURCES)) set_source(load, name, value);
  else if (starts(name, KAFKA)) set_kafka(load, name, value);
  else return false;
  return true;
}

bool tide_load_live_env(struct tide_load *load, struct tide_span name, struct tide_span value) {
  if (starts(name, ENV_SOURCES)) env_source(load, name, value);
  else if (starts(name, ENV_KAFKA)) env_kafka(load, name, value);
  else return false;
  return true;
}

static int by_source_name(const void *a, const void *b) {
  const struct tide_config_source *x = a, *y = b;
  return strcmp(x->name, y->name);
}

static int by_setting_name(const void *a, const void *b) {
  const struct tide_config_kafka *x = a, *y = b;
  return strcmp(x->name, y->name);
}

void tide_load_live_end(struct tide_load *load) {
  struct tide_config *config = load->config;
  for (size_t i = 0; i < config->source_count; i++) {
    struct tide_config_source *source = &config->source[i];
    for (int key = 0; key < TIDE_SOURCE_KEY_COUNT; key++) {
      int row = tide_source_key_inherits((enum tide_source_key)key);
      if (source->origin[key].from != TIDE_FROM_DEFAULT) continue;
      if (row >= 0)
        tide_source_value_put(source, (enum tide_source_key)key, tide_config_value(config, (enum tide_option_row)row), &config->arena);
      else if (!tide_source_keys[key].dflt && load->count == 0)
        tide_load_mistake(load, TIDE_E_CONFIG, source->line, source->column, "sources", "sources.%s needs `%s:`: it has no default",
                          source->name, tide_source_keys[key].name);
    }
  }
  qsort(config->source, config->source_count, sizeof config->source[0], by_source_name);
  qsort(config->kafka, config->kafka_count, sizeof config->kafka[0], by_setting_name);
}
