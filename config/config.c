/* Loading a configuration (config.h): defaults, file, environment, --set, then the checks between options.
 *
 * Each place is read to its end although it has mistakes, so that one run tells all of them. A value that does not pass leaves the one from
 * before in its place; that is safe because a configuration with a mistake is never handed out. Fields are reached through an offset per row
 * and the type's size, so a row needs no code here. */
#include "config/config.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include "base/utf8.h"
#include "config/yaml.h"

#define AT_BOOL(name) offsetof(struct tide_config, name)
#define AT_INT(name) offsetof(struct tide_config, name)
#define AT_SIZE(name) offsetof(struct tide_config, name##_bytes)
#define AT_DURATION(name) offsetof(struct tide_config, name##_ms)
#define AT_TIME(name) offsetof(struct tide_config, name##_ms)
#define AT_CHOICE(name) offsetof(struct tide_config, name)
#define AT_NAME(name) offsetof(struct tide_config, name)
#define AT_PATH(name) offsetof(struct tide_config, name)
#define AT_ADDRESS(name) offsetof(struct tide_config, name)

static const size_t offsets[TIDE_OPTION_COUNT] = {
#define X(section, name, type, ...) AT_##type(section##_##name),
    TIDE_OPTIONS(X)
#undef X
};

#define ENV_PREFIX "TIDEMARK_"

struct load {
  struct tide_config *config;
  struct tide_arena scratch; /* the YAML tree */
  struct tide_error *error;
  size_t error_max, count;
  enum tide_err first;
};

struct tide_option_value tide_config_value(const struct tide_config *config, enum tide_option_row row) {
  TIDE_CHECK((unsigned)row < TIDE_OPTION_COUNT);
  const char *at = (const char *)config + offsets[row];
  struct tide_option_value value = {0};
  switch ((enum tide_option_type)tide_options[row].type) {
    case TIDE_OPTION_BOOL: {
      bool on;
      memcpy(&on, at, sizeof on);
      value.number = on;
      break;
    }
    case TIDE_OPTION_CHOICE: {
      int index;
      memcpy(&index, at, sizeof index);
      value.number = index;
      break;
    }
    case TIDE_OPTION_INT:
    case TIDE_OPTION_SIZE:
    case TIDE_OPTION_DURATION:
    case TIDE_OPTION_TIME: memcpy(&value.number, at, sizeof value.number); break;
    case TIDE_OPTION_NAME:
    case TIDE_OPTION_PATH:
    case TIDE_OPTION_ADDRESS: {
      const char *text;
      memcpy(&text, at, sizeof text);
      value.text = tide_span_of(text);
      break;
    }
    case TIDE_OPTION_TYPE_COUNT: TIDE_NEVER("not a type");
  }
  return value;
}

static void value_put(struct tide_config *config, int row, struct tide_option_value value) {
  char *at = (char *)config + offsets[row];
  switch ((enum tide_option_type)tide_options[row].type) {
    case TIDE_OPTION_BOOL: {
      bool on = value.number != 0;
      memcpy(at, &on, sizeof on);
      break;
    }
    case TIDE_OPTION_CHOICE: {
      int index = (int)value.number;
      memcpy(at, &index, sizeof index);
      break;
    }
    case TIDE_OPTION_INT:
    case TIDE_OPTION_SIZE:
    case TIDE_OPTION_DURATION:
    case TIDE_OPTION_TIME: memcpy(at, &value.number, sizeof value.number); break;
    case TIDE_OPTION_NAME:
    case TIDE_OPTION_PATH:
    case TIDE_OPTION_ADDRESS: {
      const char *text = tide_arena_strdup(&config->arena, value.text);
      memcpy(at, &text, sizeof text);
      break;
    }
    case TIDE_OPTION_TYPE_COUNT: TIDE_NEVER("not a type");
  }
}

static void keep(struct load *load, const struct tide_error *error) {
  if (load->count == 0) load->first = error->code;
  if (load->count < load->error_max) load->error[load->count] = *error;
  load->count++;
}

static void mistake(struct load *load, enum tide_err code, int line, int column, const char *field, const char *fmt, ...) TIDE_PRINTF(6, 7);
static void mistake(struct load *load, enum tide_err code, int line, int column, const char *field, const char *fmt, ...) {
  char text[sizeof load->error->text];
  va_list ap;
  va_start(ap, fmt);
  int len = vsnprintf(text, sizeof text, fmt, ap);
  va_end(ap);
  TIDE_CHECK(len >= 0);
  struct tide_error error;
  (void)tide_fail_at(&error, code, line, column, field, "%s", text);
  keep(load, &error);
}

static void put_default(struct load *load, int row) {
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

static int shown(struct tide_span text) { return text.len < 60 ? (int)text.len : 60; }

static void unknown_option(struct load *load, struct tide_span name, int line, int column, const char *where) {
  const char *nearest = nearest_option(name);
  mistake(load, TIDE_E_UNKNOWN_NAME, line, column, NULL, "%sthere is no option %.*s%s%s%s", where, shown(name), name.len ? name.ptr : "",
          nearest ? ": did you mean " : "; config/REFERENCE.md lists them all", nearest ? nearest : "", nearest ? "?" : "");
}

/* ---- the file ---- */

static void take_node(struct load *load, int row, const struct tide_yaml_node *node) {
  const struct tide_option *option = &tide_options[row];
  if (node->kind != TIDE_YAML_SCALAR || tide_yaml_is_null(node)) {
    mistake(load, TIDE_E_TYPE, node->line, node->column, option->name, "%s takes %s, not %s; leave the line out for the default, %s",
            option->name, tide_option_type_form((enum tide_option_type)option->type), tide_yaml_kind_name(node),
            option->dflt[0] ? option->dflt : "\"\"");
    return;
  }
  struct tide_option_value value;
  struct tide_error error;
  if (tide_option_parse(option, node->text, &value, &error) != TIDE_OK) {
    error.line = node->line;
    error.column = node->text_column;
    keep(load, &error);
    return;
  }
  value_put(load->config, row, value);
  load->config->origin[row] = (struct tide_config_origin){TIDE_FROM_FILE, node->line, node->column};
}

static bool is_section(const char *name) {
  for (int i = 0; i < TIDE_OPTION_COUNT; i++)
    if (strcmp(tide_options[i].section, name) == 0) return true;
  return false;
}

static void unknown_section(struct load *load, const struct tide_yaml_pair *pair) {
  int row = tide_option_find(tide_span_of(pair->key));
  if (row >= 0) {
    const struct tide_option *option = &tide_options[row];
    mistake(load, TIDE_E_UNKNOWN_NAME, pair->line, pair->column, option->name,
            "write `%s:` with `%s:` indented below it, not %s in one word", option->section, option->name + strlen(option->section) + 1,
            option->name);
    return;
  }
  const char *names[TIDE_OPTION_COUNT];
  for (int i = 0; i < TIDE_OPTION_COUNT; i++) names[i] = tide_options[i].section;
  const char *nearest = tide_nearest(tide_span_of(pair->key), names, TIDE_OPTION_COUNT);
  mistake(load, TIDE_E_UNKNOWN_NAME, pair->line, pair->column, NULL, "there is no section %.60s%s%s%s", pair->key,
          nearest ? ": did you mean " : "; config/REFERENCE.md lists all options", nearest ? nearest : "", nearest ? "?" : "");
}

static void take_section(struct load *load, const struct tide_yaml_pair *section) {
  if (!is_section(section->key)) {
    unknown_section(load, section);
    return;
  }
  if (tide_yaml_is_null(section->value)) return; /* every line of it is commented out */
  if (section->value->kind != TIDE_YAML_MAP) {
    mistake(load, TIDE_E_TYPE, section->value->line, section->value->column, section->key,
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

static void take_file(struct load *load, struct tide_span text) {
  struct tide_yaml_node *root;
  struct tide_error error = {0};
  if (tide_yaml_parse(text, &load->scratch, &root, &error) != TIDE_OK) {
    keep(load, &error);
    return;
  }
  if (root->kind != TIDE_YAML_MAP) {
    mistake(load, TIDE_E_TYPE, root->line, root->column, NULL, "the file must be a mapping of sections, like `http:`, not %s",
            tide_yaml_kind_name(root));
    return;
  }
  for (uint32_t i = 0; i < root->count; i++) take_section(load, &root->pair[i]);
}

/* ---- environment and command line ---- */

static void take_text(struct load *load, int row, struct tide_span text, enum tide_config_from from, const char *where) {
  const struct tide_option *option = &tide_options[row];
  struct tide_option_value value;
  struct tide_error error;
  enum tide_err err = tide_option_parse(option, text, &value, &error);
  if (err != TIDE_OK) {
    /* A variable's value is not repeated: whoever exports a secret under a wrong name must not find it in a log. */
    if (from == TIDE_FROM_ENVIRONMENT) {
      struct tide_buf bounds = TIDE_BUF_INIT;
      tide_option_bounds(option, &bounds);
      mistake(load, err, 0, 0, option->name, "%s: its value does not fit %s, which takes %s%s%s", where, option->name,
              tide_option_type_form((enum tide_option_type)option->type), bounds.len ? ": " : "", tide_buf_cstr(&bounds));
      tide_buf_release(&bounds);
    } else {
      mistake(load, err, 0, 0, option->name, "%s%s", where, error.text);
    }
    return;
  }
  value_put(load->config, row, value);
  load->config->origin[row] = (struct tide_config_origin){.from = (uint8_t)from};
}

static void unknown_variable(struct load *load, struct tide_span name) {
  const char *names[TIDE_OPTION_COUNT + 1];
  for (int i = 0; i < TIDE_OPTION_COUNT; i++)
    names[i] = tide_option_env_name(&tide_options[i], tide_arena_alloc(&load->scratch, TIDE_OPTION_ENV_BYTES));
  names[TIDE_OPTION_COUNT] = TIDE_CONFIG_ENV_KEY;
  const char *nearest = tide_nearest(name, names, TIDE_OPTION_COUNT + 1);
  mistake(load, TIDE_E_UNKNOWN_NAME, 0, 0, NULL, "environment %.*s: no option has this name%s%s%s", shown(name), name.ptr,
          nearest ? "; did you mean " : "; unset it, or see config/REFERENCE.md", nearest ? nearest : "", nearest ? "?" : "");
}

static void take_environment(struct load *load, const char *const *environment) {
  for (; environment && *environment; environment++) {
    const char *equals = strchr(*environment, '=');
    if (!equals || strncmp(*environment, ENV_PREFIX, sizeof ENV_PREFIX - 1) != 0) continue;
    struct tide_span name = {*environment, (size_t)(equals - *environment)};
    if (tide_span_is(name, TIDE_CONFIG_ENV_KEY)) continue;
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

static void take_set(struct load *load, const char *text) {
  const char *equals = strchr(text, '=');
  if (!equals) {
    mistake(load, TIDE_E_SYNTAX, 0, 0, NULL, "--set takes NAME=VALUE, as in --set http.port=8081");
    return;
  }
  struct tide_span name = {text, (size_t)(equals - text)};
  int row = tide_option_find(name);
  if (row < 0) unknown_option(load, name, 0, 0, "--set: ");
  else if (load->config->origin[row].from == TIDE_FROM_SET)
    mistake(load, TIDE_E_DUPLICATE_KEY, 0, 0, tide_options[row].name, "--set %s is given twice; keep one of them", tide_options[row].name);
  else take_text(load, row, tide_span_of(equals + 1), TIDE_FROM_SET, "--set: ");
}

/* ---- options that must agree ---- */

/* At the place of the row that is the likelier mistake: the one that was written. */
static void contradiction(struct load *load, enum tide_option_row a, enum tide_option_row b, const char *text) {
  const struct tide_config_origin *origin = load->config->origin;
  enum tide_option_row row = origin[a].from >= origin[b].from ? a : b;
  mistake(load, TIDE_E_CONFIG, origin[row].line, origin[row].column, tide_options[row].name, "%s", text);
}

static bool is_wildcard(const char *address) { return strcmp(address, "0.0.0.0") == 0 || strcmp(address, "::") == 0; }

#define ROW(name) TIDE_OPTION_ROW_##name
static void check_together(struct load *load) {
  const struct tide_config *c = load->config;
  if (c->http_default_deadline_ms > c->http_max_deadline_ms)
    contradiction(load, ROW(http_default_deadline), ROW(http_max_deadline),
                  "http.default_deadline is longer than http.max_deadline: lower the one or raise the other");
  if (c->http_batch_deadline_ms > c->http_max_deadline_ms)
    contradiction(load, ROW(http_batch_deadline), ROW(http_max_deadline),
                  "http.batch_deadline is longer than http.max_deadline: lower the one or raise the other");
  if (c->http_max_body_bytes > c->http_max_batch_body_bytes)
    contradiction(load, ROW(http_max_body), ROW(http_max_batch_body),
                  "http.max_body is above http.max_batch_body: a batch could not hold the message that is allowed alone");
  if (c->fold_lateness_ms > c->fold_duplicates_for_ms)
    contradiction(load, ROW(fold_lateness), ROW(fold_duplicates_for),
                  "fold.lateness is longer than fold.duplicates_for: a late event could be counted twice");
  bool same_address = strcmp(c->http_listen, c->http_admin_listen) == 0 || is_wildcard(c->http_listen) || is_wildcard(c->http_admin_listen);
  if (c->http_port != 0 && c->http_port == c->http_admin_port && same_address)
    contradiction(load, ROW(http_port), ROW(http_admin_port),
                  "http.port and http.admin_port are the same: two listeners cannot share one port");
  if (c->keys_development && c->keys_file[0])
    contradiction(load, ROW(keys_development), ROW(keys_file), "keys.file and keys.development are both set: keep one of them");
  if (c->keys_file_previous[0] && strcmp(c->keys_file_previous, c->keys_file) == 0)
    contradiction(load, ROW(keys_file), ROW(keys_file_previous), "keys.file and keys.file_previous are the same file");
  bool redis = c->journal_kind == TIDE_JOURNAL_KIND_redis;
  if (redis && c->journal_timeout_ms <= c->journal_wait_ms)
    contradiction(load, ROW(journal_timeout), ROW(journal_wait),
                  "journal.timeout is not above journal.wait: every wait that is used up would look like a dead node");
  if (redis && c->journal_quorum > c->journal_replicas)
    contradiction(load, ROW(journal_quorum), ROW(journal_replicas),
                  "journal.quorum is above journal.replicas: no commit could ever be acknowledged");
  if (redis && c->engine_heartbeat_ms == 0)
    contradiction(load, ROW(engine_heartbeat), ROW(journal_kind),
                  "engine.heartbeat is 0s: an engine on a shared journal must tell that it is there");
  if (strcmp(c->journal_dir, c->snapshot_dir) == 0)
    contradiction(load, ROW(journal_dir), ROW(snapshot_dir), "journal.dir and snapshot.dir are the same: give each a directory of its own");
}

static enum tide_err finish(struct load *load, struct tide_config **ret, size_t *ret_errors) {
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
  struct load load = {.config = tide_alloc(sizeof *load.config), .error = error, .error_max = error_max};
  if (input->path) load.config->path = tide_arena_strdup(&load.config->arena, tide_span_of(input->path));
  for (int row = 0; row < TIDE_OPTION_COUNT; row++) put_default(&load, row);
  take_file(&load, text);
  take_environment(&load, input->environ);
  for (size_t i = 0; i < input->set_count; i++) take_set(&load, input->set[i]);
  if (load.count == 0) check_together(&load);
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
  tide_arena_release(&config->arena);
  tide_free(config);
}
