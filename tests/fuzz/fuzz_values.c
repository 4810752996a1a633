/* Fuzzes every parser of a single value: times, durations, decimals, doubles, currencies, UTF-8, settings.
 *
 * The first byte picks the parser. Beyond not crashing, what is accepted must obey its law: a time and the settings read back from what
 * is written of them, a double is the C library's, an output stays untouched on failure. */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/json_out.h"
#include "base/num.h"
#include "base/utf8.h"
#include "feature/settings.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void fuzz_time(struct tide_span text, enum tide_time_form form) {
  struct tide_etime t = {42}, again;
  char out[TIDE_TIME_TEXT];
  if (tide_time_parse(text, form, &t) != TIDE_OK) {
    TIDE_CHECK(t.ms == 42);
    return;
  }
  TIDE_CHECK(tide_time_parse(tide_span_of(tide_time_format(t, out)), TIDE_TIME_RFC3339, &again) == TIDE_OK && again.ms == t.ms);
}

static void fuzz_duration(struct tide_span text) {
  int64_t ms, again;
  char out[TIDE_TIME_TEXT];
  if (tide_duration_parse(text, &ms) == TIDE_OK) {
    TIDE_CHECK(tide_duration_parse(tide_span_of(tide_duration_format(ms, out)), &again) == TIDE_OK && again == ms);
    TIDE_CHECK(strlen(out) <= text.len || ms == 0);
  }
}

/* What is accepted with few decimals is accepted with more, and is that many powers of ten larger. */
static void fuzz_decimal(struct tide_span text) {
  int64_t v, finer;
  double real;
  for (int decimals = 0; decimals < 9; decimals++) {
    if (tide_decimal_parse(text, decimals, &v) == TIDE_OK) {
      enum tide_err err = tide_decimal_parse(text, decimals + 1, &finer);
      TIDE_CHECK(err == TIDE_OK ? finer / 10 == v && finer % 10 == 0 : err == TIDE_E_RANGE);
      TIDE_CHECK(tide_double_parse(text, &real) == TIDE_OK);
    }
  }
}

static void fuzz_double(struct tide_span text) {
  double v;
  if (tide_double_parse(text, &v) != TIDE_OK) {
    return;
  }
  char *copy = tide_strndup(text.ptr, text.len);
  TIDE_CHECK(v == strtod(copy, NULL));
  tide_free(copy);
  struct tide_buf out = TIDE_BUF_INIT;
  double again;
  tide_json_double(&out, v);
  TIDE_CHECK(tide_double_parse(tide_buf_span(&out), &again) == TIDE_OK && again == v);
  tide_buf_release(&out);
}

static void fuzz_settings(struct tide_span text) {
  struct tide_settings settings, again;
  struct tide_error error = {0};
  if (tide_settings_read(text, &settings, &error) != TIDE_OK) {
    TIDE_CHECK(error.code != TIDE_OK && error.text[0] != '\0');
    return;
  }
  struct tide_buf out = TIDE_BUF_INIT;
  tide_settings_write(&settings, &out);
  TIDE_CHECK(tide_settings_read(tide_buf_span(&out), &again, NULL) == TIDE_OK && memcmp(&settings, &again, sizeof again) == 0);
  tide_buf_release(&out);
}

static void fuzz_reader(struct tide_span bytes) {
  struct tide_reader r = tide_reader_of(bytes);
  struct tide_buf out = TIDE_BUF_INIT;
  while (!r.bad && r.ptr < r.end) {
    const uint8_t *from = r.ptr;
    uint64_t v = tide_get_varint(&r);
    if (!r.bad) { /* canonical: the same bytes come out again */
      tide_buf_clear(&out);
      tide_put_varint(&out, v);
      TIDE_CHECK(out.len == (size_t)(r.ptr - from) && memcmp(out.ptr, from, out.len) == 0);
    }
    tide_get_span(&r);
  }
  tide_buf_release(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (size == 0) return 0;
  struct tide_span text = {(const char *)data + 1, size - 1};
  char code[4];
  int exponent;
  switch (data[0] % 10) {
    case 0: fuzz_time(text, TIDE_TIME_RFC3339); break;
    case 1: fuzz_time(text, TIDE_TIME_EPOCH_S); break;
    case 2: fuzz_time(text, TIDE_TIME_EPOCH_MS); break;
    case 3: fuzz_time(text, TIDE_TIME_EPOCH_US); break;
    case 4: fuzz_duration(text); break;
    case 5: fuzz_decimal(text); break;
    case 6: fuzz_double(text); break;
    case 7: fuzz_settings(text); break;
    case 8: fuzz_reader(text); break;
    default:
      if (tide_currency_get(text, code, &exponent) == TIDE_OK) TIDE_CHECK(tide_utf8_valid(text) && text.len == 3);
      (void)tide_utf8_valid(text);
  }
  return 0;
}
