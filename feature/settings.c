/* The settings table as code: defaults, ranges, and the text that goes into the journal.
 *
 * The text is one "name: value" line per row in table order. It is part of the journal's configuration record, so it must read back
 * exactly: every row must be there once, no other, and the values pass the same checks as an operator's. */
#include "feature/settings.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/num.h"
#include "base/utf8.h"

static const struct {
  const char *name;
  size_t offset;
  int64_t dflt, lo, hi;
} rows[] = {
#define X(name, dflt, lo, hi, help) {#name, offsetof(struct tide_settings, name), dflt, lo, hi},
    TIDE_SETTINGS(X)
#undef X
};
enum { ROW_COUNT = sizeof rows / sizeof rows[0] };
_Static_assert(sizeof(struct tide_settings) == ROW_COUNT * sizeof(int64_t), "one int64 per row");

static int64_t value_get(const struct tide_settings *settings, int row) {
  int64_t v;
  memcpy(&v, (const char *)settings + rows[row].offset, sizeof v);
  return v;
}

static void value_set(struct tide_settings *settings, int row, int64_t v) { memcpy((char *)settings + rows[row].offset, &v, sizeof v); }

struct tide_settings tide_settings_default(void) {
  struct tide_settings settings;
  for (int i = 0; i < ROW_COUNT; i++) {
    value_set(&settings, i, rows[i].dflt);
  }
  return settings;
}

/* Mistakes are told in the words of people, who write `--lateness 8d` and know no milliseconds. */
static bool is_duration(int row) {
  size_t len = strlen(rows[row].name);
  return rows[row].lo >= 0 && len > 3 && strcmp(rows[row].name + len - 3, "_ms") == 0;
}

static int shown_len(int row) { return (int)strlen(rows[row].name) - (is_duration(row) ? 3 : 0); }

static const char *shown(int row, int64_t v, char out[TIDE_TIME_TEXT]) {
  if (is_duration(row) && v >= 0) return tide_duration_format(v, out);
  (void)snprintf(out, TIDE_TIME_TEXT, "%" PRId64, v);
  return out;
}

enum tide_err tide_settings_check(const struct tide_settings *settings, struct tide_error *error) {
  char text[3][TIDE_TIME_TEXT];
  for (int i = 0; i < ROW_COUNT; i++) {
    int64_t v = value_get(settings, i);
    if (v < rows[i].lo || v > rows[i].hi) {
      return tide_fail_at(error, TIDE_E_CONFIG, 0, 0, rows[i].name, "%.*s is %s, it must lie between %s and %s", shown_len(i), rows[i].name,
                          shown(i, v, text[0]), shown(i, rows[i].lo, text[1]), shown(i, rows[i].hi, text[2]));
    }
  }
  if (settings->lateness_ms > settings->duplicates_for_ms) {
    return tide_fail_at(
        error, TIDE_E_CONFIG, 0, 0, "lateness_ms",
        "lateness is %s, longer than duplicates_for, %s: a late event could be counted twice, raise duplicates_for or lower lateness",
        tide_duration_format(settings->lateness_ms, text[0]), tide_duration_format(settings->duplicates_for_ms, text[1]));
  }
  return TIDE_OK;
}

void tide_settings_write(const struct tide_settings *settings, struct tide_buf *out) {
  for (int i = 0; i < ROW_COUNT; i++) {
    tide_buf_printf(out, "%s: %" PRId64 "\n", rows[i].name, value_get(settings, i));
  }
}

static int row_find(struct tide_span name) {
  for (int i = 0; i < ROW_COUNT; i++) {
    if (tide_span_is(name, rows[i].name)) {
      return i;
    }
  }
  return -1;
}

static enum tide_err unknown_name(struct tide_span name, int line, struct tide_error *error) {
  const char *names[ROW_COUNT];
  for (int i = 0; i < ROW_COUNT; i++) {
    names[i] = rows[i].name;
  }
  const char *near = tide_nearest(name, names, ROW_COUNT);
  int shown = name.len < 60 ? (int)name.len : 60;
  return tide_fail_at(error, TIDE_E_UNKNOWN_NAME, line, 1, NULL, "no setting is called \"%.*s\"%s%s%s", shown, name.len ? name.ptr : "",
                      near ? ", did you mean \"" : "", near ? near : "", near ? "\"?" : "");
}

/* One line without its newline. */
static enum tide_err read_line(struct tide_span text, int line, struct tide_settings *settings, bool seen[ROW_COUNT],
                               struct tide_error *error) {
  const char *colon = text.len ? memchr(text.ptr, ':', text.len) : NULL;
  size_t name_len = colon ? (size_t)(colon - text.ptr) : 0;
  if (!colon || name_len + 2 > text.len || colon[1] != ' ') {
    return tide_fail_at(error, TIDE_E_SYNTAX, line, 1, NULL, "settings line %d is not \"name: value\"", line);
  }
  struct tide_span name = {text.ptr, name_len}, value = {colon + 2, text.len - name_len - 2};
  int row = row_find(name);
  if (row < 0) {
    return unknown_name(name, line, error);
  }
  if (seen[row]) {
    return tide_fail_at(error, TIDE_E_DUPLICATE_KEY, line, 1, rows[row].name, "the setting %s is there twice", rows[row].name);
  }
  int64_t v;
  enum tide_err err = tide_int_parse(value, &v);
  if (err != TIDE_OK) {
    return tide_fail_at(error, err, line, (int)name_len + 3, rows[row].name, "the value of %s is not a 64-bit integer", rows[row].name);
  }
  seen[row] = true;
  value_set(settings, row, v);
  return TIDE_OK;
}

enum tide_err tide_settings_read(struct tide_span text, struct tide_settings *ret, struct tide_error *error) {
  struct tide_settings settings = tide_settings_default();
  bool seen[ROW_COUNT] = {false};
  int line = 0;
  for (size_t at = 0; at < text.len;) {
    const char *newline = memchr(text.ptr + at, '\n', text.len - at);
    size_t len = newline ? (size_t)(newline - text.ptr) - at : text.len - at;
    enum tide_err err = read_line((struct tide_span){text.ptr + at, len}, ++line, &settings, seen, error);
    if (err != TIDE_OK) {
      return err;
    }
    at += len + 1;
  }
  for (int i = 0; i < ROW_COUNT; i++) {
    if (!seen[i]) {
      return tide_fail_at(error, TIDE_E_MISSING, line, 0, rows[i].name, "the setting %s is missing", rows[i].name);
    }
  }
  enum tide_err err = tide_settings_check(&settings, error);
  if (err == TIDE_OK) {
    *ret = settings;
  }
  return err;
}
