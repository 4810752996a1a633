/* The error table of err.h as arrays, and the three ways to fill a struct tide_error.
 *
 * Names for metrics and headers are the enumerators without TIDE_E_, in lower case. They are made once from the same rows, so a new row
 * needs no second place. */
#include "base/err.h"

#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

enum { NAME_BYTES = 24 };

static const struct {
  const char *name, *text;
  enum tide_err_class class;
} rows[] = {
#define X(name, class, text) {#name, text, TIDE_CLASS_##class},
    TIDE_ERRS(X)
#undef X
};
_Static_assert(sizeof rows / sizeof rows[0] == TIDE_ERR_COUNT, "one row per error");

static char names[TIDE_ERR_COUNT][NAME_BYTES];
static pthread_once_t names_once = PTHREAD_ONCE_INIT;

static void names_make(void) {
  for (int i = 0; i < TIDE_ERR_COUNT; i++) {
    const char *from = rows[i].name;
    if (from[0] == 'E' && from[1] == '_') {
      from += 2;
    }
    size_t len = strlen(from);
    TIDE_CHECK(len < NAME_BYTES);
    for (size_t k = 0; k < len; k++) {
      names[i][k] = (char)(from[k] >= 'A' && from[k] <= 'Z' ? from[k] - 'A' + 'a' : from[k]);
    }
  }
}

static bool known(enum tide_err err) { return (unsigned)err < TIDE_ERR_COUNT; }

const char *tide_err_text(enum tide_err err) {
  TIDE_CHECK(known(err));
  return rows[err].text;
}

const char *tide_err_name(enum tide_err err) {
  TIDE_CHECK(known(err));
  pthread_once(&names_once, names_make);
  return names[err];
}

enum tide_err_class tide_err_class(enum tide_err err) {
  TIDE_CHECK(known(err));
  return rows[err].class;
}

/* Copies a string of any length into a fixed field, cut at a whole UTF-8 character. */
static void put_cut(char *to, size_t cap, const char *from) {
  size_t len = strlen(from);
  if (len >= cap) {
    len = cap - 1;
    while (len > 0 && ((unsigned char)from[len] & 0xc0u) == 0x80u) {
      len--;
    }
  }
  memcpy(to, from, len);
  to[len] = '\0';
}

static enum tide_err fill(struct tide_error *error, enum tide_err code, int line, int column, const char *field, const char *fmt,
                          va_list ap) {
  TIDE_CHECK(known(code) && code != TIDE_OK);
  if (error) {
    char text[2 * sizeof error->text];
    int len = vsnprintf(text, sizeof text, fmt, ap); /* may quote *error itself, so not directly into it */
    TIDE_CHECK(len >= 0);
    char place[sizeof error->field];
    put_cut(place, sizeof place, field ? field : "");
    *error = (struct tide_error){.code = code, .line = line, .column = column};
    memcpy(error->field, place, sizeof place);
    put_cut(error->text, sizeof error->text, text);
  }
  return code;
}

enum tide_err tide_fail(struct tide_error *error, enum tide_err code, const char *fmt, ...) {
  va_list ap;
  va_start(ap, fmt);
  fill(error, code, 0, 0, NULL, fmt, ap);
  va_end(ap);
  return code;
}

enum tide_err tide_fail_at(struct tide_error *error, enum tide_err code, int line, int column, const char *field, const char *fmt, ...) {
  va_list ap;
  va_start(ap, fmt);
  fill(error, code, line, column, field, fmt, ap);
  va_end(ap);
  return code;
}

enum tide_err tide_fail_errno(struct tide_error *error, enum tide_err code, const char *fmt, ...) {
  int saved = errno;
  va_list ap;
  va_start(ap, fmt);
  fill(error, code, 0, 0, NULL, fmt, ap);
  va_end(ap);
  if (error) {
    char reason[128];
    const char *why = strerror_r(saved, reason, sizeof reason); /* the GNU form: returns the text */
    size_t len = strlen(error->text);
    snprintf(error->text + len, sizeof error->text - len, ": %s", why);
  }
  errno = saved;
  return code;
}
