/* Structured logs in logfmt, one write(2) per line so that lines of several threads do not mix.
 *
 * The caller's format is "key=%s key=%d": spaces of the *format* separate pairs, spaces of the *values* do not. To tell them apart the
 * format's spaces become unit separators (0x1f) before formatting; afterwards each pair is cut at its first '=' and its value quoted if
 * it is empty or has a space, a quote, '=' or a control character. */
#include "base/log.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"

enum { SEPARATOR = 0x1f };

static const char *const level_names[] = {"debug", "info", "warn", "error"};
static atomic_int level_least = TIDE_LOG_INFO;

void tide_log_level_set(enum tide_log_level level) { atomic_store_explicit(&level_least, (int)level, memory_order_relaxed); }

_Bool tide_log_level_parse(const char *name, enum tide_log_level *ret) {
  for (int i = TIDE_LOG_DEBUG; i <= TIDE_LOG_ERROR; i++) {
    if (strcmp(name, level_names[i]) == 0) {
      *ret = (enum tide_log_level)i;
      return 1;
    }
  }
  return 0;
}

static void put_value(struct tide_buf *line, struct tide_span v) {
  bool plain = v.len > 0;
  for (size_t i = 0; i < v.len && plain; i++) {
    unsigned char c = (unsigned char)v.ptr[i];
    plain = c > ' ' && c != '"' && c != '=' && c != '\\' && c != 0x7f;
  }
  if (plain) {
    tide_buf_put(line, v.ptr, v.len);
    return;
  }
  tide_buf_char(line, '"');
  for (size_t i = 0; i < v.len; i++) {
    unsigned char c = (unsigned char)v.ptr[i];
    if (c == '"' || c == '\\') {
      tide_buf_char(line, '\\');
      tide_buf_char(line, (char)c);
    } else if (c == '\n') {
      tide_buf_str(line, "\\n");
    } else if (c < ' ' || c == 0x7f) {
      tide_buf_printf(line, "\\x%02x", c);
    } else {
      tide_buf_char(line, (char)c);
    }
  }
  tide_buf_char(line, '"');
}

static void put_pairs(struct tide_buf *line, const char *text) {
  while (*text) {
    size_t len = strcspn(text, (const char[]){SEPARATOR, 0});
    const char *equals = memchr(text, '=', len);
    if (len > 0) {
      tide_buf_char(line, ' ');
      size_t key = equals ? (size_t)(equals - text) + 1 : 0;
      tide_buf_put(line, text, key);
      put_value(line, (struct tide_span){text + key, len - key});
    }
    text += len + (text[len] != '\0');
  }
}

void tide_log(enum tide_log_level level, const char *event, const char *fmt, ...) {
  if ((int)level < atomic_load_explicit(&level_least, memory_order_relaxed)) {
    return;
  }
  char form[512], text[4096], ts[TIDE_TIME_TEXT];
  size_t len = strlen(fmt);
  TIDE_CHECK(len < sizeof form);
  for (size_t i = 0; i <= len; i++) {
    form[i] = fmt[i] == ' ' ? (char)SEPARATOR : fmt[i];
  }
  va_list ap;
  va_start(ap, fmt);
  int written = vsnprintf(text, sizeof text, form, ap);
  va_end(ap);
  TIDE_CHECK(written >= 0);
  struct tide_buf line = TIDE_BUF_INIT;
  struct tide_etime now = {tide_wall_now().ms};
  tide_buf_printf(&line, "ts=%s level=%s event=%s", tide_time_format(now, ts), level_names[level], event);
  put_pairs(&line, text);
  tide_buf_char(&line, '\n');
  for (size_t at = 0; at < line.len;) {
    ssize_t n = write(STDERR_FILENO, line.ptr + at, line.len - at);
    if (n <= 0) {
      break; /* nobody can be told that stderr is gone */
    }
    at += (size_t)n;
  }
  tide_buf_release(&line);
}
