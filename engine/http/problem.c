/* The table of problems, and the document that one makes (problem.h).
 *
 * Errors of the decoder have their own codes; the switch below is the only place where they become HTTP statuses. 400 means that the bytes are not
 * a message at all, 422 that they are one that cannot be used. */
#include "http/problem.h"

#include "base/json_out.h"
#include "base/utf8.h"

#include <stdarg.h>
#include <stdio.h>

static const struct {
  const char *slug, *title;
  unsigned status;
} row[TIDE_PROBLEM_COUNT] = {
#define X(name, slug, status, title) {slug, title, status},
    TIDE_PROBLEMS(X)
#undef X
};

unsigned tide_problem_status(enum tide_problem problem) {
  TIDE_CHECK(problem > TIDE_PROBLEM_none && problem < TIDE_PROBLEM_COUNT);
  return row[problem].status;
}
const char *tide_problem_type(enum tide_problem problem) {
  TIDE_CHECK(problem < TIDE_PROBLEM_COUNT);
  return row[problem].slug;
}
const char *tide_problem_title(enum tide_problem problem) {
  TIDE_CHECK(problem < TIDE_PROBLEM_COUNT);
  return row[problem].title;
}

bool tide_trouble_set(struct tide_trouble *trouble, enum tide_problem problem, const char *fmt, ...) {
  va_list args;
  va_start(args, fmt);
  trouble->problem = problem;
  vsnprintf(trouble->detail, sizeof trouble->detail, fmt, args);
  va_end(args);
  return false;
}

/* A detail may quote the client's bytes, and may have been cut inside a character: what is not UTF-8 is not repeated. */
static struct tide_span printable(const char *text) {
  struct tide_span span = tide_span_of(text);
  while (span.len && !tide_utf8_valid(span)) span.len--;
  return span;
}

void tide_trouble_json(const struct tide_trouble *trouble, struct tide_buf *out) {
  char type[96];
  snprintf(type, sizeof type, TIDE_PROBLEM_URN "%s", tide_problem_type(trouble->problem));
  tide_json_open(out, '{');
  tide_json_key(out, "type");
  tide_json_cstr(out, type);
  tide_json_key(out, "title");
  tide_json_cstr(out, tide_problem_title(trouble->problem));
  tide_json_key(out, "status");
  tide_json_int(out, tide_problem_status(trouble->problem));
  tide_json_key(out, "detail");
  tide_json_str(out, printable(trouble->detail));
  if (trouble->pointer[0]) {
    tide_json_key(out, "pointer");
    tide_json_str(out, printable(trouble->pointer));
  }
  if (trouble->counted) {
    tide_json_key(out, "counted");
    if (strcmp(trouble->counted, "maybe") == 0) tide_json_cstr(out, trouble->counted);
    else tide_json_bool(out, false);
  }
  tide_json_close(out, '}');
}

void tide_trouble_point(struct tide_trouble *trouble, const char *prefix, const char *place) {
  size_t room = sizeof trouble->pointer - 1, len = 0;
  for (const char *p = prefix; *p && len < room; p++) trouble->pointer[len++] = *p;
  if (place && place[0] != '/' && len < room) trouble->pointer[len++] = '/';
  bool bare = place && place[0] != '/';
  for (const char *p = place; p && *p && len + 1 < room; p++) {
    bool escaped = bare && (*p == '/' || *p == '~');
    if (escaped) trouble->pointer[len++] = '~';
    trouble->pointer[len++] = !escaped ? *p : *p == '~' ? '0' : '1';
  }
  trouble->pointer[len] = '\0';
}

void tide_trouble_of_error(struct tide_trouble *trouble, const struct tide_error *error, const char *place, const char *prefix) {
  enum tide_problem problem = TIDE_PROBLEM_invalid_field;
  switch (error->code) {
    case TIDE_E_SYNTAX:
    case TIDE_E_UTF8:
    case TIDE_E_DUPLICATE_KEY:
    case TIDE_E_TRAILING:
    case TIDE_E_TYPE:
      if (!error->field[0]) problem = TIDE_PROBLEM_malformed;
      break;
    case TIDE_E_UNKNOWN_NAME:
      if (!error->field[0]) problem = TIDE_PROBLEM_wrong_record;
      break;
    case TIDE_E_MISSING: problem = TIDE_PROBLEM_missing_field; break;
    case TIDE_E_FUTURE: problem = TIDE_PROBLEM_future; break;
    default: break;
  }
  tide_trouble_set(trouble, problem, "%s", error->text);
  if (place || prefix[0]) tide_trouble_point(trouble, prefix, place);
}
