/* Members of a page of facts (json_page.h). One rule in one place: what is not known is null, never a zero, an empty text or a time of the year 1. */
#include "base/json_page.h"

#include <math.h>

#include "base/clock.h"
#include "base/json_out.h"

void tide_page_int(struct tide_buf *out, const char *key, int64_t value) {
  tide_json_key(out, key);
  tide_json_int(out, value);
}

void tide_page_bool(struct tide_buf *out, const char *key, bool value) {
  tide_json_key(out, key);
  tide_json_bool(out, value);
}

void tide_page_text(struct tide_buf *out, const char *key, const char *value) {
  tide_json_key(out, key);
  if (value && value[0]) tide_json_cstr(out, value);
  else tide_json_null(out);
}

void tide_page_time(struct tide_buf *out, const char *key, int64_t ms) {
  char text[TIDE_TIME_TEXT];
  bool known = ms >= TIDE_TIME_MIN_MS && ms <= TIDE_TIME_MAX_MS;
  tide_page_text(out, key, known ? tide_time_format((struct tide_etime){ms}, text) : NULL);
}

void tide_page_number(struct tide_buf *out, const char *key, double value) {
  tide_json_key(out, key);
  if (isnan(value)) tide_json_null(out);
  else tide_json_double(out, value);
}
