/* Writing JSON, the same bytes for the same values.
 *
 * No state beside the buffer: a value needs a comma unless the byte before it opens something (`{ [ : ,`), ends a line, or is not there.
 * Our own strings end in a quote and numbers in a digit, so the last byte tells. Doubles: 15 digits always suffice to print what
 * a person typed, 17 always suffice to read the same double back (IEEE 754, section 5.12.2); the first of 15, 16, 17 that reads back is
 * written, and from one digit up for subnormal numbers, which have fewer. */
#include "base/json_out.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EXACT_MAX 9007199254740992.0 /* 2^53 */

static void comma(struct tide_buf *out) {
  if (!tide_json_first(out)) tide_buf_char(out, ',');
}

/* Something to escape among eight bytes: a control character, quote or backslash. A byte that the subtractions borrow from can only make a false alarm (Warren,
 * Hacker's Delight, 6-1). */
static uint64_t suspects(uint64_t x) {
  const uint64_t each = UINT64_C(0x0101010101010101), high = UINT64_C(0x8080808080808080);
  uint64_t quote = x ^ (each * '"'), slash = x ^ (each * '\\');
  return (((x - each * 0x20) & ~x) | ((quote - each) & ~quote) | ((slash - each) & ~slash)) & high;
}

/* Nothing to escape. Eight bytes at a time; the last eight, or both halves of fewer, may overlap what was looked at. */
static bool is_plain(struct tide_span s) {
  uint64_t x = 0, found = 0;
  if (s.len >= 8) {
    for (size_t i = 0; i + 8 <= s.len; i += 8) {
      memcpy(&x, s.ptr + i, 8);
      found |= suspects(x);
    }
    memcpy(&x, s.ptr + s.len - 8, 8);
    return !(found | suspects(x));
  }
  if (s.len >= 4) {
    uint32_t head, tail;
    memcpy(&head, s.ptr, 4);
    memcpy(&tail, s.ptr + s.len - 4, 4);
    return !suspects((uint64_t)head << 32 | tail);
  }
  for (size_t i = 0; i < s.len; i++) {
    unsigned char c = (unsigned char)s.ptr[i];
    if (c < 0x20 || c == '"' || c == '\\') return false;
  }
  return true;
}

static void put_quoted(struct tide_buf *out, struct tide_span s) {
  tide_buf_reserve(out, s.len + 2);
  char *at = out->ptr + out->len;
  *at = '"';
  memcpy(at + 1, s.ptr, s.len);
  at[s.len + 1] = '"';
  out->len += s.len + 2;
}

static void put_escaped(struct tide_buf *out, struct tide_span s) {
  static const char hex[] = "0123456789abcdef";
  if (s.len && is_plain(s)) {
    put_quoted(out, s);
    return;
  }
  tide_buf_char(out, '"');
  size_t from = 0;
  for (size_t i = 0; i < s.len; i++) {
    unsigned char c = (unsigned char)s.ptr[i];
    if (c >= 0x20 && c != '"' && c != '\\') {
      continue;
    }
    tide_buf_put(out, s.ptr + from, i - from);
    from = i + 1;
    static const char named[] = "\"\"\\\\\bb\ff\nn\rr\tt";
    const char *as = NULL;
    for (size_t k = 0; k + 1 < sizeof named && !as; k += 2) {
      if ((unsigned char)named[k] == c) {
        as = named + k + 1;
      }
    }
    if (as) {
      tide_buf_char(out, '\\');
      tide_buf_char(out, *as);
    } else {
      char code[6] = {'\\', 'u', '0', '0', hex[c >> 4], hex[c & 15]};
      tide_buf_put(out, code, sizeof code);
    }
  }
  tide_buf_put(out, s.len > from ? s.ptr + from : NULL, s.len - from);
  tide_buf_char(out, '"');
}

void tide_json_key(struct tide_buf *out, const char *key) {
  comma(out);
  put_escaped(out, tide_span_of(key)); /* names come from feature files too */
  tide_buf_char(out, ':');
}

void tide_json_str(struct tide_buf *out, struct tide_span s) {
  comma(out);
  put_escaped(out, s);
}

void tide_json_cstr(struct tide_buf *out, const char *s) { tide_json_str(out, tide_span_of(s)); }

size_t tide_json_text_begin(struct tide_buf *out) {
  tide_json_piece(out, "\"", 1);
  return out->len;
}

void tide_json_text_end(struct tide_buf *out, size_t from) {
  struct tide_span text = {out->ptr + from, out->len - from};
  if (is_plain(text)) {
    tide_buf_char(out, '"');
    return;
  }
  char *copy = tide_strndup(text.ptr, text.len);
  out->len = from - 1;
  put_escaped(out, (struct tide_span){copy, text.len});
  tide_free(copy);
}

/* Decimal digits of v, at least `width` of them, into the end of text; returns where they begin. */
static char *digits(unsigned __int128 v, int width, char *end) {
  do {
    *--end = (char)('0' + (int)(v % 10));
    v /= 10;
    width--;
  } while (v > 0 || width > 0);
  return end;
}

void tide_json_int(struct tide_buf *out, int64_t v) {
  comma(out);
  uint64_t left = v < 0 ? (uint64_t)0 - (uint64_t)v : (uint64_t)v;
  tide_buf_reserve(out, 21);
  char *at = out->ptr + out->len;
  if (v < 0) *at++ = '-';
  out->len = (size_t)(tide_digits(at, left) - out->ptr);
}

/* Money, seconds, shares: most numbers are whole thousandths, and for those the shortest form needs no search. k / 1000 is rounded once, so it is the double that the
 * decimal reads back as; below 10^15 no other decimal of 15 digits does. */
static bool put_thousandths(struct tide_buf *out, double v) {
  double thousandths = fabs(v) * 1000;
  if (!(thousandths >= 1 && thousandths < 1e15)) return false;
  uint64_t k = (uint64_t)(thousandths + 0.5);
  if ((double)k / 1000 != fabs(v)) return false;
  char text[24], *end = text + sizeof text, *at = end;
  unsigned below = (unsigned)(k % 1000);
  for (int digits = 3; digits > 0; digits--, below /= 10)
    if (at < end || below % 10) *--at = (char)('0' + below % 10);
  *--at = '.';
  k /= 1000;
  do *--at = (char)('0' + k % 10);
  while (k /= 10);
  if (v < 0) *--at = '-';
  tide_buf_put(out, at, (size_t)(end - at));
  return true;
}

void tide_json_double(struct tide_buf *out, double v) {
  TIDE_CHECK(isfinite(v));
  if (fabs(v) <= EXACT_MAX && trunc(v) == v) {
    tide_json_int(out, (int64_t)v); /* -0.0 comes out as 0: equal values, equal bytes */
    return;
  }
  comma(out);
  if (put_thousandths(out, v)) return;
  char text[40];
  int len = 0;
  for (int precision = isnormal(v) ? 15 : 1; precision <= 17; precision++) {
    len = snprintf(text, sizeof text, "%.*g", precision, v);
    if (strtod(text, NULL) == v) {
      break;
    }
  }
  tide_buf_put(out, text, (size_t)len);
}

void tide_json_money(struct tide_buf *out, __int128 minor, int exponent) {
  TIDE_CHECK(exponent >= 0 && exponent <= 18);
  comma(out);
  char text[64], *end = text + sizeof text;
  unsigned __int128 v = minor < 0 ? -(unsigned __int128)minor : (unsigned __int128)minor;
  char *from = digits(v, exponent + 1, end); /* at least one digit before the point */
  if (minor < 0) {
    tide_buf_char(out, '-');
  }
  size_t len = (size_t)(end - from), whole = len - (size_t)exponent;
  tide_buf_put(out, from, whole);
  if (exponent > 0) {
    tide_buf_char(out, '.');
    tide_buf_put(out, from + whole, (size_t)exponent);
  }
}

void tide_json_bool(struct tide_buf *out, bool v) {
  comma(out);
  if (v) tide_buf_put(out, "true", 4);
  else tide_buf_put(out, "false", 5);
}

void tide_json_null(struct tide_buf *out) { tide_json_piece(out, "null", 4); }

void tide_json_raw(struct tide_buf *out, struct tide_span json) {
  TIDE_CHECK(json.len > 0);
  comma(out);
  tide_buf_put(out, json.ptr, json.len);
}
