/* Loading a configuration (config.h): defaults, file, environment, --set, then the checks between options.
 *
 * Each place is read to its end although it has mistakes (config_load.h). Fields are reached through an offset per row
 * and the type's size, so a row needs no code here. */
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include "base/utf8.h"
#include "config/config_load.h"

static const size_t offsets[TIDE_OPTION_COUNT] = {
#define X(section, name, type, ...) offsetof(struct tide_config, TIDE_MEMBER_##type(section##_##name)),
    TIDE_OPTIONS(X)
#undef X
};

#define ENV_PREFIX "TIDEMARK_"

struct tide_option_value tide_config_value(const struct tide_config *config, enum tide_option_row row) {
  TIDE_CHECK((unsigned)row < TIDE_OPTION_COUNT);
  return tide_option_load((enum tide_option_type)tide_options[row].type, (const char *)config + offsets[row]);
}

static void value_put(struct tide_config *config, int row, struct tide_option_value value) {
  tide_option_store((enum tide_option_type)tide_options[row].type, (char *)config + offsets[row], value, &config->arena);
}

void tide_load_keep(struct tide_load *load, const struct tide_error *error) {
  if (load->count == 0) load->first = error->code;
  if (load->count < load->error_max) load->error[load->count] = *error;
  load->count++;
}

void tide_load_mistake(struct tide_load *load, enum tide_err code, int line, int column, const char *field, const char *fmt, ...) {
  char text[sizeof load->error->text];
  va_list ap;
  va_start(ap, fmt);
  int len = vsnprintf(text, sizeof text, fmt, ap);
  va_end(ap);
  TIDE_CHECK(len >= 0);
  struct tide_error error;
  (void)tide_fail_at(&error, code, line, column, field, "%s", text);
  tide_load_keep(load, &error);
}

static void put_default(struct tide_load *load, int row) {
  struct tide_option_value value;
  struct tide_error error;
  TIDE_CHECK(tide_option_parse(&tide_options[row], tide_span_of(tide_options[row].dflt), &value, &error) == TIDE_OK);
  value_put(load->config, row, value);
}

/* The nearest option, section or variable; " did you mean ...?" or nothing. */
static const char *nearest_option(struct tide_span name) {
  const char *names[TIDE_OPTION_COUNT];
  for (int i = 0; i < TIDE_OPTION_COUNT; i++) names[i] = tide_options[i].name;
  return tide_nearest(name, names, TIDE_OPTION_COUNT);
}

static void unknown_option(struct tide_load *load, struct tide_span name, int line, int column, const char *where) {
  const char *nearest = nearest_option(name);
  tide_load_mistake(load, TIDE_E_UNKNOWN_NAME, line, column, NULL, "%sthere is no option %.*s%s%s%s", where, tide_load_shown(name),
                    name.len ? name.ptr : "", nearest ? ": did you mean " : "; config/REFERENCE.md lists them all", nearest ? nearest : "",
                    nearest ? "?" : "");
}

/* ---- the file ---- */

bool tide_load_node(struct tide_load *load, const struct tide_option *option, const struct tide_yaml_node *node,
                    struct tide_option_value *ret) {
  const char *form = tide_option_type_form((enum tide_option_type)option->type), *kind = tide_yaml_kind_name(node);
  struct tide_error error;
  if (node->kind == TIDE_YAML_SCALAR && !tide_yaml_is_null(node)) {
    if (tide_option_parse(option, node->text, ret, &error) == TIDE_OK) return true;
    error.line = node->line;
    error.column = node->text_column;
    tide_load_keep(load, &error);
  } else if (option->dflt) {
    tide_load_mistake(load, TIDE_E_TYPE, node->line, node->column, option->name,
                      "%s takes %s, not %s; leave the line out for the default, %s", option->name, form, kind,
                      option->dflt[0] ? option->dflt : "\"\"");
  } else {
    tide_load_mistake(load, TIDE_E_TYPE, node->line, node->column, option->name, "%s takes %s, not %s", option->name, form, kind);
  }
  return false;
}

static void take_node(struct tide_load *load, int row, const struct tide_yaml_node *node) {
  struct tide_option_value value;
  if (!tide_load_node(load, &tide_options[row], node, &value)) return;
  value_put(load->config, row, value);
  load->config->origin[row] = (struct tide_config_origin){TIDE_FROM_FILE, node->line, node->column};
}

static bool is_section(const char *name) {
  for (int i = 0; i < TIDE_OPTION_COUNT; i++)
    if (strcmp(tide_options[i].section, name) == 0) return true;
  return false;
}

static void unknown_section(struct tide_load *load, const struct tide_yaml_pair *pair) {
  int row = tide_option_find(tide_span_of(pair->key));
  if (row >= 0) {
    const struct tide_option *option = &tide_options[row];
    tide_load_mistake(load, TIDE_E_UNKNOWN_NAME, pair->line, pair->column, option->name,
                      "write `%s:` with `%s:` indented below it, not %s in one word", option->section,
                      option->name + strlen(option->section) + 1, option->name);
    return;
  }
  const char *names[TIDE_OPTION_COUNT + 2] = {"sources", "kafka"};
  for (int i = 0; i < TIDE_OPTION_COUNT; i++) names[i + 2] = tide_options[i].section;
  const char *nearest = tide_nearest(tide_span_of(pair->key), names, TIDE_OPTION_COUNT + 2);
  tide_load_mistake(load, TIDE_E_UNKNOWN_NAME, pair->line, pair->column, NULL, "there is no section %.60s%s%s%s", pair->key,
                    nearest ? ": did you mean " : "; config/REFERENCE.md lists all options", nearest ? nearest : "", nearest ? "?" : "");
}

static void take_section(struct tide_load *load, const struct tide_yaml_pair *section) {
  if (strcmp(section->key, "sources") == 0) {
    tide_load_sources(load, section->value);
    return;
  }
  if (strcmp(section->key, "kafka") == 0) {
    tide_load_kafka(load, section->value);
    return;
  }
  if (!is_section(section->key)) {
    unknown_section(load, section);
    return;
  }
  if (tide_yaml_is_null(section->value)) return; /* every line of it is commented out */
  if (section->value->kind != TIDE_YAML_MAP) {
    tide_load_mistake(load, TIDE_E_TYPE, section->value->line, section->value->column, section->key,
                      "%s is a section: its options stand indented below it", section->key);
    return;
  }
  for (uint32_t i = 0; i < section->value->count; i++) {
    const struct tide_yaml_pair *pair = &section->value->pair[i];
    char name[160];
    int len = snprintf(name, sizeof name, "%s.%.100s", section->key, pair->key);
    struct tide_span span = {name, (size_t)len};
    int row = tide_option_find(span);
    if (row < 0) unknown_option(load, span, pair->line, pair->column, "");
    else take_node(load, row, pair->value);
  }
}

static void take_file(struct tide_load *load, struct tide_span text) {
  struct tide_yaml_node *root;
  struct tide_error error = {0};
  if (tide_yaml_parse(text, &load->scratch, &root, &error) != TIDE_OK) {
    tide_load_keep(load, &error);
    return;
  }
  if (root->kind != TIDE_YAML_MAP) {
    tide_load_mistake(load, TIDE_E_TYPE, root->line, root->column, NULL, "the file must be a mapping of sections, like `http:`, not %s",
                      tide_yaml_kind_name(root));
    return;
  }
  for (uint32_t i = 0; i < root->count; i++) take_section(load, &root->pair[i]);
}

/* ---- environment and command line ---- */

bool tide_load_text(struct tide_load *load, const struct tide_option *option, struct tide_span text, enum tide_config_from from,
                    const char *where, struct tide_option_value *ret) {
  struct tide_error error;
  enum tide_err err = tide_option_parse(option, text, ret, &error);
  if (err == TIDE_OK) return true;
  /* A variable's value is not repeated: whoever exports a secret under a wrong name must not find it in a log. */
  if (from == TIDE_FROM_ENVIRONMENT) {
    struct tide_buf bounds = TIDE_BUF_INIT;
    tide_option_bounds(option, &bounds);
    tide_load_mistake(load, err, 0, 0, option->name, "%s: its value does not fit %s, which takes %s%s%s", where, option->name,
                      tide_option_type_form((enum tide_option_type)option->type), bounds.len ? ": " : "", tide_buf_cstr(&bounds));
    tide_buf_release(&bounds);
  } else {
    tide_load_mistake(load, err, 0, 0, option->name, "%s%s", where, error.text);
  }
  return false;
}

static void take_text(struct tide_load *load, int row, struct tide_span text, enum tide_config_from from, const char *where) {
  struct tide_option_value value;
  if (!tide_load_text(load, &tide_options[row], text, from, where, &value)) return;
  value_put(load->config, row, value);
  load->config->origin[row] = (struct tide_config_origin){.from = (uint8_t)from};
}

static void unknown_variable(struct tide_load *load, struct tide_span name) {
  const char *names[TIDE_OPTION_COUNT + 1];
  for (int i = 0; i < TIDE_OPTION_COUNT; i++)
    names[i] = tide_option_env_name(&tide_options[i], tide_arena_alloc(&load->scratch, TIDE_OPTION_ENV_BYTES));
  names[TIDE_OPTION_COUNT] = TIDE_CONFIG_ENV_KEY;
  const char *nearest = tide_nearest(name, names, TIDE_OPTION_COUNT + 1);
  tide_load_mistake(load, TIDE_E_UNKNOWN_NAME, 0, 0, NULL, "environment %.*s: no option has this name%s%s%s", tide_load_shown(name),
                    name.ptr, nearest ? "; did you mean " : "; unset it, or see config/REFERENCE.md", nearest ? nearest : "",
                    nearest ? "?" : "");
}

static void take_environment(struct tide_load *load, const char *const *environment) {
  for (; environment && *environment; environment++) {
    const char *equals = strchr(*environment, '=');
    if (!equals || strncmp(*environment, ENV_PREFIX, sizeof ENV_PREFIX - 1) != 0) continue;
    struct tide_span name = {*environment, (size_t)(equals - *environment)};
    if (tide_span_is(name, TIDE_CONFIG_ENV_KEY) || tide_load_live_env(load, name, tide_span_of(equals + 1))) continue;
    int row = 0;
    char env[TIDE_OPTION_ENV_BYTES];
    while (row < TIDE_OPTION_COUNT && !tide_span_is(name, tide_option_env_name(&tide_options[row], env))) row++;
    if (row == TIDE_OPTION_COUNT) {
      unknown_variable(load, name);
      continue;
    }
    char where[TIDE_OPTION_ENV_BYTES + 16];
    snprintf(where, sizeof where, "environment %s", env);
    take_text(load, row, tide_span_of(equals + 1), TIDE_FROM_ENVIRONMENT, where);
  }
}

static void take_set(struct tide_load *load, const char *text) {
  const char *equals = strchr(text, '=');
  if (!equals) {
    tide_load_mistake(load, TIDE_E_SYNTAX, 0, 0, NULL, "--set takes NAME=VALUE, as in --set http.port=8081");
    return;
  }
  struct tide_span name = {text, (size_t)(equals - text)};
  if (tide_load_live_set(load, name, tide_span_of(equals + 1))) return;
  int row = tide_option_find(name);
  if (row < 0) unknown_option(load, name, 0, 0, "--set: ");
  else if (load->config->origin[row].from == TIDE_FROM_SET)
    tide_load_mistake(load, TIDE_E_DUPLICATE_KEY, 0, 0, tide_options[row].name, "--set %s is given twice; keep one of them",
                      tide_options[row].name);
  else take_text(load, row, tide_span_of(equals + 1), TIDE_FROM_SET, "--set: ");
}

/* ---- all of it ---- */

static enum tide_err finish(struct tide_load *load, struct tide_config **ret, size_t *ret_errors) {
  tide_arena_release(&load->scratch);
  if (ret_errors) *ret_errors = load->count;
  if (load->count > 0) {
    tide_config_free(load->config);
    return load->first;
  }
  *ret = load->config;
  return TIDE_OK;
}

enum tide_err tide_config_parse(struct tide_span text, const struct tide_config_input *input, struct tide_config **ret,
                                struct tide_error *error, size_t error_max, size_t *ret_errors) {
  struct tide_load load = {.config = tide_alloc(sizeof *load.config), .error = error, .error_max = error_max};
  if (input->path) load.config->path = tide_arena_strdup(&load.config->arena, tide_span_of(input->path));
  for (int row = 0; row < TIDE_OPTION_COUNT; row++) put_default(&load, row);
  take_file(&load, text);
  take_environment(&load, input->environ);
  for (size_t i = 0; i < input->set_count; i++) take_set(&load, input->set[i]);
  tide_load_live_end(&load);
  if (load.count == 0) tide_load_check(&load);
  return finish(&load, ret, ret_errors);
}

enum tide_err tide_config_load(const struct tide_config_input *input, struct tide_config **ret, struct tide_error *error, size_t error_max,
                               size_t *ret_errors) {
  struct tide_buf text = TIDE_BUF_INIT;
  struct tide_error here = {0};
  enum tide_err err = input->path ? tide_yaml_read(input->path, "configuration", &text, &here) : TIDE_OK;
  if (err) {
    if (error_max > 0) error[0] = here;
    if (ret_errors) *ret_errors = 1;
  } else {
    err = tide_config_parse(tide_buf_span(&text), input, ret, error, error_max, ret_errors);
  }
  tide_buf_release(&text);
  return err;
}

void tide_config_free(struct tide_config *config) {
  if (!config) return;
  for (size_t i = 0; i < config->kafka_count; i++) {
    char *value = (char *)(uintptr_t)config->kafka[i].value; /* the arena's, which this owns */
    if (value && config->kafka[i].secret) explicit_bzero(value, strlen(value));
  }
  tide_arena_release(&config->arena);
  tide_free(config);
}
