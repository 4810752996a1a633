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

static void put_value(const struct tide_config *config, int row, struct tide_buf *out) {
  struct tide_option_value value = tide_config_value(config, (enum tide_option_row)row);
  bool text = tide_options[row].type == TIDE_OPTION_NAME || tide_options[row].type == TIDE_OPTION_PATH ||
              tide_options[row].type == TIDE_OPTION_ADDRESS;
  if (!text || is_plain(value.text)) {
    tide_option_format(&tide_options[row], value, out);
    return;
  }
  struct tide_buf quoted = TIDE_BUF_INIT;
  tide_json_str(&quoted, value.text);
  tide_buf_put(out, quoted.ptr, quoted.len);
  tide_buf_release(&quoted);
}

/* A path in a comment: a line break would end it. */
static void put_path(const char *path, struct tide_buf *out) {
  for (; *path; path++) tide_buf_char(out, (unsigned char)*path < 0x20 || (unsigned char)*path >= 0x7f ? '?' : *path);
}

static void put_origin(const struct tide_config *config, int row, struct tide_buf *out) {
  const struct tide_config_origin *origin = &config->origin[row];
  char env[TIDE_OPTION_ENV_BYTES];
  switch ((enum tide_config_from)origin->from) {
    case TIDE_FROM_DEFAULT: tide_buf_str(out, "default"); break;
    case TIDE_FROM_FILE:
      put_path(config->path ? config->path : "file", out);
      tide_buf_printf(out, ":%d", origin->line);
      break;
    case TIDE_FROM_ENVIRONMENT: tide_buf_printf(out, "environment %s", tide_option_env_name(&tide_options[row], env)); break;
    case TIDE_FROM_SET: tide_buf_str(out, "--set"); break;
  }
}

static void put_description(const struct tide_option *option, struct tide_buf *out) {
  tide_buf_printf(out, "  # %s.\n  # %s", option->help, tide_option_type_name((enum tide_option_type)option->type));
  size_t before = out->len;
  tide_buf_str(out, ": ");
  tide_option_bounds(option, out);
  if (out->len == before + 2) out->len = before;
  tide_buf_printf(out, "; %s\n", option->reloadable ? "can be reloaded" : "needs a restart");
}

void tide_config_print(const struct tide_config *config, bool describe, struct tide_buf *out) {
  const char *section = "";
  for (int row = 0; row < TIDE_OPTION_COUNT; row++) {
    const struct tide_option *option = &tide_options[row];
    if (strcmp(section, option->section) != 0) tide_buf_printf(out, "%s%s:\n", row ? "\n" : "", option->section);
    section = option->section;
    if (describe) put_description(option, out);
    size_t line = out->len;
    tide_buf_printf(out, "  %s: ", option->name + strlen(section) + 1);
    put_value(config, row, out);
    size_t width = out->len - line;
    tide_buf_printf(out, "%*s # ", (int)(width < 40 ? 40 - width : 0), "");
    put_origin(config, row, out);
    tide_buf_char(out, '\n');
  }
}

struct tide_config_diff tide_config_diff(const struct tide_config *from, const struct tide_config *to) {
  struct tide_config_diff diff = {.count = 0};
  for (int row = 0; row < TIDE_OPTION_COUNT; row++) {
    struct tide_option_value a = tide_config_value(from, (enum tide_option_row)row), b = tide_config_value(to, (enum tide_option_row)row);
    if (a.number == b.number && tide_span_eq(a.text, b.text)) continue;
    diff.row[diff.count++] = (uint8_t)row;
    diff.fixed_count += !tide_options[row].reloadable;
  }
  return diff;
}
_Static_assert(TIDE_OPTION_COUNT <= UINT8_MAX, "a row's index fits diff.row");

enum tide_err tide_config_diff_check(const struct tide_config_diff *diff, struct tide_error *error) {
  if (diff->fixed_count == 0) return TIDE_OK;
  struct tide_buf names = TIDE_BUF_INIT;
  const char *first = NULL;
  for (size_t i = 0; i < diff->count; i++) {
    const struct tide_option *option = &tide_options[diff->row[i]];
    if (option->reloadable) continue;
    tide_buf_printf(&names, "%s%s", first ? ", " : "", option->name);
    if (!first) first = option->name;
  }
  (void)tide_fail_at(error, TIDE_E_CONFIG, 0, 0, first, "nothing was reloaded, because this needs a restart: %s", tide_buf_cstr(&names));
  tide_buf_release(&names);
  return TIDE_E_CONFIG;
}
