/* A configuration as text, and the difference between two (config.h).
 *
 * What is printed can be put into a file and loaded again: values stand in their one written form, texts that YAML could take for something else
 * in quotes with JSON's escapes, which YAML reads the same. Where a value came from stands behind it in a comment. */
#include "config/config.h"

#include <stdio.h>

#include "base/json_out.h"

/* Words that need no quotes: nothing that YAML gives a meaning to, at any place of the word. */
static bool is_plain(struct tide_span text) {
  if (text.len == 0 || tide_span_is(text, "null")) return false;
  for (size_t i = 0; i < text.len; i++) {
    char c = text.ptr[i];
    bool word = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '/' || c == '.' || c == '_';
    if (!word && (i == 0 || c != '-')) return false;
  }
  return true;
}

static void put_text(struct tide_span text, struct tide_buf *out) {
  if (is_plain(text)) {
    tide_buf_put(out, text.ptr, text.len);
    return;
  }
  struct tide_buf quoted = TIDE_BUF_INIT;
  tide_json_str(&quoted, text);
  tide_buf_put(out, quoted.ptr, quoted.len);
  tide_buf_release(&quoted);
}

static void put_value(const struct tide_option *option, struct tide_option_value value, struct tide_buf *out) {
  if (tide_option_is_text((enum tide_option_type)option->type)) put_text(value.text, out);
  else tide_option_format(option, value, out);
}

/* A path in a comment: a line break would end it. */
static void put_path(const char *path, struct tide_buf *out) {
  for (; *path; path++) tide_buf_char(out, (unsigned char)*path < 0x20 || (unsigned char)*path >= 0x7f ? '?' : *path);
}

/* variable: its name, where the value came from the environment. */
static void put_origin(const struct tide_config *config, const struct tide_config_origin *origin, const char *variable,
                       struct tide_buf *out) {
  switch ((enum tide_config_from)origin->from) {
    case TIDE_FROM_DEFAULT: tide_buf_str(out, "default"); break;
    case TIDE_FROM_FILE:
      put_path(config->path ? config->path : "file", out);
      tide_buf_printf(out, ":%d", origin->line);
      break;
    case TIDE_FROM_ENVIRONMENT: tide_buf_printf(out, "environment %s", variable); break;
    case TIDE_FROM_SET: tide_buf_str(out, "--set"); break;
  }
}

/* The comments stand below each other; `line` is where the line began. */
static void put_gap(size_t line, struct tide_buf *out) {
  size_t width = out->len - line;
  tide_buf_printf(out, "%*s # ", (int)(width < 40 ? 40 - width : 0), "");
}

static void put_description(const struct tide_option *option, const char *indent, struct tide_buf *out) {
  tide_buf_printf(out, "%s# %s.\n%s# %s", indent, option->help, indent, tide_option_type_name((enum tide_option_type)option->type));
  size_t before = out->len;
  tide_buf_str(out, ": ");
  tide_option_bounds(option, out);
  if (out->len == before + 2) out->len = before;
  tide_buf_printf(out, "; %s\n", option->reloadable ? "can be reloaded" : "needs a restart");
}

static void put_rows(const struct tide_config *config, bool describe, struct tide_buf *out) {
  const char *section = "";
  char env[TIDE_OPTION_ENV_BYTES];
  for (int row = 0; row < TIDE_OPTION_COUNT; row++) {
    const struct tide_option *option = &tide_options[row];
    if (strcmp(section, option->section) != 0) tide_buf_printf(out, "%s%s:\n", row ? "\n" : "", option->section);
    section = option->section;
    if (describe) put_description(option, "  ", out);
    size_t line = out->len;
    tide_buf_printf(out, "  %s: ", option->name + strlen(section) + 1);
    put_value(option, tide_config_value(config, (enum tide_option_row)row), out);
    put_gap(line, out);
    put_origin(config, &config->origin[row], tide_option_env_name(option, env), out);
    tide_buf_char(out, '\n');
  }
}

static void put_source(const struct tide_config *config, const struct tide_config_source *source, bool describe, struct tide_buf *out) {
  char env[TIDE_SOURCE_ENV_BYTES];
  tide_buf_str(out, "  ");
  put_text(tide_span_of(source->name), out);
  tide_buf_str(out, ":\n");
  for (int key = 0; key < TIDE_SOURCE_KEY_COUNT; key++) {
    const struct tide_option *option = &tide_source_keys[key];
    if (describe) put_description(option, "    ", out);
    size_t line = out->len;
    tide_buf_printf(out, "    %s: ", option->name);
    put_value(option, tide_source_value(source, (enum tide_source_key)key), out);
    put_gap(line, out);
    bool inherited = source->origin[key].from == TIDE_FROM_DEFAULT && tide_source_key_inherits((enum tide_source_key)key) >= 0;
    if (inherited) tide_buf_str(out, option->dflt);
    else put_origin(config, &source->origin[key], tide_source_env_name(source->name, (enum tide_source_key)key, env), out);
    tide_buf_char(out, '\n');
  }
}

static void put_setting(const struct tide_config *config, const struct tide_config_kafka *setting, struct tide_buf *out) {
  char env[TIDE_KAFKA_ENV_BYTES];
  size_t line = out->len;
  bool hidden = setting->secret && !setting->file;
  tide_buf_printf(out, "  %s%s%s: ", hidden ? "# " : "", setting->name, setting->file ? "_file" : "");
  if (hidden) tide_buf_str(out, "set");
  else put_text(tide_span_of(setting->file ? setting->file : setting->value), out);
  put_gap(line, out);
  put_origin(config, &setting->origin, tide_kafka_env_name(setting, env), out);
  tide_buf_str(out, hidden ? "; a secret is not printed\n" : "\n");
}

void tide_config_print(const struct tide_config *config, bool describe, struct tide_buf *out) {
  put_rows(config, describe, out);
  if (config->source_count) tide_buf_str(out, "\nsources:\n");
  for (size_t i = 0; i < config->source_count; i++) put_source(config, &config->source[i], describe && i == 0, out);
  if (config->kafka_count) tide_buf_str(out, "\nkafka:\n");
  for (size_t i = 0; i < config->kafka_count; i++) put_setting(config, &config->kafka[i], out);
}

/* ---- the difference of two ---- */

struct others {
  void (*each)(void *ctx, const char *name, const char *was, const char *is);
  void *ctx;
};

static void tell_source(const struct others *others, const struct tide_config_source *was, const struct tide_config_source *is) {
  char name[TIDE_CONFIG_NAME_BYTES];
  snprintf(name, sizeof name, "sources.%s", was ? was->name : is->name);
  if (!was || !is) {
    others->each(others->ctx, name, was ? was->topic : NULL, is ? is->topic : NULL);
    return;
  }
  for (int key = 0; key < TIDE_SOURCE_KEY_COUNT; key++) {
    struct tide_option_value a = tide_source_value(was, (enum tide_source_key)key), b = tide_source_value(is, (enum tide_source_key)key);
    if (a.number == b.number && tide_span_eq(a.text, b.text)) continue;
    struct tide_buf before = TIDE_BUF_INIT, after = TIDE_BUF_INIT;
    tide_option_format(&tide_source_keys[key], a, &before);
    tide_option_format(&tide_source_keys[key], b, &after);
    snprintf(name, sizeof name, "sources.%s.%s", was->name, tide_source_keys[key].name);
    others->each(others->ctx, name, tide_buf_cstr(&before), tide_buf_cstr(&after));
    tide_buf_release(&before);
    tide_buf_release(&after);
  }
}

static const char *shown_value(const struct tide_config_kafka *setting) {
  if (!setting) return NULL;
  return setting->file ? setting->file : setting->secret ? "set" : setting->value;
}

static bool same_text(const char *a, const char *b) { return a == b || (a && b && strcmp(a, b) == 0); }

static void tell_setting(const struct others *others, const struct tide_config_kafka *was, const struct tide_config_kafka *is) {
  if (was && is && same_text(was->value, is->value) && same_text(was->file, is->file)) return;
  char name[TIDE_CONFIG_NAME_BYTES];
  snprintf(name, sizeof name, "kafka.%s", was ? was->name : is->name);
  others->each(others->ctx, name, shown_value(was), shown_value(is));
}

void tide_config_diff_others(const struct tide_config *from, const struct tide_config *to,
                             void (*each)(void *ctx, const char *name, const char *was, const char *is), void *ctx) {
  struct others others = {each, ctx};
  for (size_t i = 0, k = 0; i < from->source_count || k < to->source_count;) { /* both are sorted */
    int order = i == from->source_count ? 1 : k == to->source_count ? -1 : strcmp(from->source[i].name, to->source[k].name);
    tell_source(&others, order <= 0 ? &from->source[i] : NULL, order >= 0 ? &to->source[k] : NULL);
    i += order <= 0;
    k += order >= 0;
  }
  for (size_t i = 0, k = 0; i < from->kafka_count || k < to->kafka_count;) {
    int order = i == from->kafka_count ? 1 : k == to->kafka_count ? -1 : strcmp(from->kafka[i].name, to->kafka[k].name);
    tell_setting(&others, order <= 0 ? &from->kafka[i] : NULL, order >= 0 ? &to->kafka[k] : NULL);
    i += order <= 0;
    k += order >= 0;
  }
}

static void count_other(void *ctx, const char *name, const char *was, const char *is) {
  struct tide_config_diff *diff = ctx;
  (void)was;
  (void)is;
  if (!diff->first_other[0]) snprintf(diff->first_other, sizeof diff->first_other, "%s", name);
  diff->count++;
  diff->fixed_count++;
}

struct tide_config_diff tide_config_diff(const struct tide_config *from, const struct tide_config *to) {
  struct tide_config_diff diff = {.count = 0};
  for (int row = 0; row < TIDE_OPTION_COUNT; row++) {
    struct tide_option_value a = tide_config_value(from, (enum tide_option_row)row), b = tide_config_value(to, (enum tide_option_row)row);
    if (a.number == b.number && tide_span_eq(a.text, b.text)) continue;
    diff.row[diff.row_count++] = (uint8_t)row;
    diff.fixed_count += !tide_options[row].reloadable;
  }
  diff.count = diff.row_count;
  tide_config_diff_others(from, to, count_other, &diff);
  return diff;
}
_Static_assert(TIDE_OPTION_COUNT <= UINT8_MAX, "a row's index fits diff.row");

enum tide_err tide_config_diff_check(const struct tide_config_diff *diff, struct tide_error *error) {
  if (diff->fixed_count == 0) return TIDE_OK;
  struct tide_buf names = TIDE_BUF_INIT;
  const char *first = NULL;
  for (size_t i = 0; i < diff->row_count; i++) {
    const struct tide_option *option = &tide_options[diff->row[i]];
    if (option->reloadable) continue;
    tide_buf_printf(&names, "%s%s", first ? ", " : "", option->name);
    if (!first) first = option->name;
  }
  if (diff->first_other[0]) tide_buf_printf(&names, "%s%s", first ? ", " : "", diff->first_other);
  if (!first) first = diff->first_other;
  (void)tide_fail_at(error, TIDE_E_CONFIG, 0, 0, first, "nothing was reloaded, because this needs a restart: %s", tide_buf_cstr(&names));
  tide_buf_release(&names);
  return TIDE_E_CONFIG;
}
