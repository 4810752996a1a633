/* Structured logs, one write(2) per line so that lines of several threads do not mix.
 *
 * The caller's format is "key=%s key=%d": spaces of the *format* separate pairs, spaces of the *values* do not. To tell them apart the
 * format's spaces become unit separators (0x1f) before formatting; afterwards each pair is cut at its first '=' and its value quoted if
 * it is empty or has a space, a quote, '=' or a control character. As JSON every value is a string, and what is not UTF-8 becomes `?`. */
#include "base/log.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/json_out.h"
#include "base/log_limit.h"
#include "base/utf8.h"

enum { SEPARATOR = 0x1f };

static const char *const level_names[] = {"debug", "info", "warn", "error"};
static atomic_int level_least = TIDE_LOG_INFO;
static atomic_int format_now = TIDE_LOG_LOGFMT;
static atomic_uint limit_per_s;
static atomic_uint_fast64_t suppressed_total;
static pthread_mutex_t limit_lock = PTHREAD_MUTEX_INITIALIZER;
static struct tide_log_limit limit; /* under limit_lock */

void tide_log_level_set(enum tide_log_level level) { atomic_store_explicit(&level_least, (int)level, memory_order_relaxed); }
void tide_log_format_set(enum tide_log_format format) { atomic_store_explicit(&format_now, (int)format, memory_order_relaxed); }
void tide_log_limit_set(uint32_t lines_per_s) { atomic_store_explicit(&limit_per_s, lines_per_s, memory_order_relaxed); }
uint64_t tide_log_suppressed(void) { return atomic_load_explicit(&suppressed_total, memory_order_relaxed); }

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

static void put_json(struct tide_buf *line, const char *key, struct tide_span v) {
  struct tide_buf clean = TIDE_BUF_INIT;
  for (size_t i = 0; i < v.len;) {
    size_t n = 1;
    while (n <= 4 && i + n <= v.len && !tide_utf8_valid((struct tide_span){v.ptr + i, n})) n++;
    bool whole = n <= 4 && i + n <= v.len;
    if (whole) tide_buf_put(&clean, v.ptr + i, n);
    else tide_buf_char(&clean, '?');
    i += whole ? n : 1;
  }
  tide_json_key(line, key);
  tide_json_str(line, tide_buf_span(&clean));
  tide_buf_release(&clean);
}

/* One pair; key may be empty. */
static void put_pair(struct tide_buf *line, bool json, struct tide_span key, struct tide_span value) {
  if (json) {
    char name[64] = "text";
    if (key.len > 0) snprintf(name, sizeof name, "%.*s", (int)(key.len < 60 ? key.len : 60), key.ptr);
    put_json(line, name, value);
    return;
  }
  tide_buf_char(line, ' ');
  tide_buf_put(line, key.ptr, key.len);
  if (key.len > 0) tide_buf_char(line, '=');
  put_value(line, value);
}

static void put_pairs(struct tide_buf *line, bool json, const char *text) {
  while (*text) {
    size_t len = strcspn(text, (const char[]){SEPARATOR, 0});
    const char *equals = memchr(text, '=', len);
    size_t key = equals ? (size_t)(equals - text) : 0, value = equals ? key + 1 : 0;
    if (len > 0) put_pair(line, json, (struct tide_span){text, key}, (struct tide_span){text + value, len - value});
    text += len + (text[len] != '\0');
  }
}

static void line_write(enum tide_log_level level, const char *event, const char *text, uint64_t suppressed) {
  char ts[TIDE_TIME_TEXT], count[32];
  bool json = atomic_load_explicit(&format_now, memory_order_relaxed) == TIDE_LOG_JSON;
  struct tide_buf line = TIDE_BUF_INIT;
  tide_time_format((struct tide_etime){tide_wall_now().ms}, ts);
  if (json) {
    tide_json_open(&line, '{');
    put_json(&line, "ts", tide_span_of(ts));
    put_json(&line, "level", tide_span_of(level_names[level]));
    put_json(&line, "event", tide_span_of(event));
  } else {
    tide_buf_printf(&line, "ts=%s level=%s event=%s", ts, level_names[level], event);
  }
  put_pairs(&line, json, text);
  snprintf(count, sizeof count, "%llu", (unsigned long long)suppressed);
  if (suppressed > 0) put_pair(&line, json, TIDE_SPAN("suppressed"), tide_span_of(count));
  if (json) tide_json_close(&line, '}');
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

void tide_log(enum tide_log_level level, const char *event, const char *fmt, ...) {
  if ((int)level < atomic_load_explicit(&level_least, memory_order_relaxed)) {
    return;
  }
  uint32_t per_s = atomic_load_explicit(&limit_per_s, memory_order_relaxed);
  uint64_t suppressed = 0;
  if (per_s > 0) {
    pthread_mutex_lock(&limit_lock);
    bool pass = tide_log_limit_pass(&limit, event, tide_mono_now(), per_s, &suppressed);
    pthread_mutex_unlock(&limit_lock);
    if (!pass) {
      atomic_fetch_add_explicit(&suppressed_total, 1, memory_order_relaxed);
      return;
    }
  }
  char form[512], text[4096];
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
  line_write(level, event, text, suppressed);
}

void tide_log_flush(void) {
  for (;;) {
    uint64_t suppressed = 0;
    char text[TIDE_LOG_EVENT_BYTES + 8] = "";
    pthread_mutex_lock(&limit_lock);
    const char *event = tide_log_limit_untold(&limit, &suppressed);
    if (event) snprintf(text, sizeof text, "of=%s", event);
    pthread_mutex_unlock(&limit_lock);
    if (!event) return;
    line_write(TIDE_LOG_WARN, "log_suppressed", text, suppressed);
  }
}
