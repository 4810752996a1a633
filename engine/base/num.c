/* Exact numbers from text and exact currency conversion.
 *
 * One scanner for the number grammar of RFC 8259 section 6; decimals are then scaled as digit strings (no double in between), doubles go
 * through Clinger's fast path (1990: at most 15 digits and a power of ten up to 10^22 are one correctly rounded operation) or strtod.
 * Invariant: a result is either exact (decimal, integer) or correctly rounded (double, money to half even). */
#include "base/num.h"

#include <math.h>
#include <stdlib.h>

#include "base/buf.h"

#define EXPONENT_CAP INT64_C(1000000000000000) /* far beyond any text length, so sums with lengths stay in int64 */

/* clang-format off */
const int64_t tide_pow10[19] = {
    1, 10, 100, 1000, 10000, 100000, 1000000, 10000000, 100000000, 1000000000, 10000000000, 100000000000, 1000000000000,
    10000000000000, 100000000000000, 1000000000000000, 10000000000000000, 100000000000000000, 1000000000000000000,
};
/* clang-format on */

/* -12.50e3: whole = "12", fraction = "50", exponent = 3 (capped), negative. */
struct number {
  bool negative, plain; /* plain: neither fraction nor exponent */
  struct tide_span whole, fraction;
  int64_t exponent;
};

static size_t count_digits(const char *p, const char *end) {
  const char *from = p;
  while (p < end && *p >= '0' && *p <= '9') {
    p++;
  }
  return (size_t)(p - from);
}

static bool scan(struct tide_span text, struct number *ret) {
  struct number n = {.plain = true};
  if (text.len == 0) {
    return false;
  }
  const char *p = text.ptr, *end = text.ptr + text.len;
  if (*p == '-') {
    n.negative = true;
    p++;
  }
  n.whole = (struct tide_span){p, count_digits(p, end)};
  if (n.whole.len == 0 || (n.whole.len > 1 && *p == '0')) {
    return false;
  }
  p += n.whole.len;
  if (p < end && *p == '.') {
    p++;
    n.plain = false;
    n.fraction = (struct tide_span){p, count_digits(p, end)};
    if (n.fraction.len == 0) {
      return false;
    }
    p += n.fraction.len;
  }
  if (p < end && (*p == 'e' || *p == 'E')) {
    p++;
    n.plain = false;
    bool down = p < end && *p == '-';
    if (p < end && (*p == '-' || *p == '+')) {
      p++;
    }
    size_t len = count_digits(p, end);
    if (len == 0) {
      return false;
    }
    for (size_t i = 0; i < len && n.exponent < EXPONENT_CAP; i++) {
      n.exponent = n.exponent * 10 + (p[i] - '0');
    }
    if (n.exponent > EXPONENT_CAP) {
      n.exponent = EXPONENT_CAP;
    }
    n.exponent = down ? -n.exponent : n.exponent;
    p += len;
  }
  *ret = n;
  return p == end;
}

/* Digit i of whole and fraction read as one string. */
static unsigned digit_at(const struct number *n, size_t i) {
  char c = i < n->whole.len ? n->whole.ptr[i] : n->fraction.ptr[i - n->whole.len];
  return (unsigned)(c - '0');
}

static enum tide_err signed_of(uint64_t magnitude, bool negative, int64_t *ret) {
  if (magnitude > (uint64_t)INT64_MAX + negative) {
    return TIDE_E_RANGE;
  }
  *ret = !negative ? (int64_t)magnitude : magnitude == 0 ? 0 : -(int64_t)(magnitude - 1) - 1;
  return TIDE_OK;
}

static enum tide_err scale(const struct number *n, int decimals, int64_t *ret) {
  size_t len = n->whole.len + n->fraction.len, first = 0, last = len;
  while (first < len && digit_at(n, first) == 0) {
    first++;
  }
  if (first == len) {
    *ret = 0;
    return TIDE_OK;
  }
  while (digit_at(n, last - 1) == 0) {
    last--;
  }
  /* value * 10^decimals = digits[first..last) * 10^shift */
  int64_t shift = n->exponent - (int64_t)n->fraction.len + (int64_t)(len - last) + decimals;
  if (shift < 0) {
    return TIDE_E_DECIMALS;
  }
  if ((int64_t)(last - first) + shift > 19) {
    return TIDE_E_RANGE;
  }
  uint64_t magnitude = 0; /* at most 19 digits: below 10^19 < 2^64 */
  for (size_t i = first; i < last; i++) {
    magnitude = magnitude * 10 + digit_at(n, i);
  }
  magnitude *= (uint64_t)tide_pow10[shift]; /* shift <= 18, because there is at least one digit */
  return signed_of(magnitude, n->negative, ret);
}

/* What nearly every number is: up to 18 digits with their decimals, none too many, and no exponent. False: something else, perhaps nothing that is a number. */
static bool plain(struct tide_span text, int decimals, int64_t *ret) {
  if (text.len == 0 || text.len > 18) return false;
  const char *p = text.ptr, *end = p + text.len;
  bool negative = *p == '-';
  p += negative;
  const char *whole = p;
  int64_t magnitude = 0;
  for (; p < end && (unsigned)(*p - '0') < 10; p++) magnitude = magnitude * 10 + (*p - '0');
  if (p == whole || (*whole == '0' && p - whole > 1)) return false;
  if (p < end) {
    if (*p++ != '.' || p == end || end - p > decimals) return false;
    decimals -= (int)(end - p);
    for (; p < end && (unsigned)(*p - '0') < 10; p++) magnitude = magnitude * 10 + (*p - '0');
    if (p < end) return false;
  }
  if (text.len + (size_t)decimals > 18) return false;
  magnitude *= tide_pow10[decimals];
  *ret = negative ? -magnitude : magnitude;
  return true;
}

bool tide_bool_parse(struct tide_span text, bool *ret) {
  *ret = tide_span_is(text, "true") || tide_span_is(text, "1") || tide_span_is(text, "yes");
  return *ret || tide_span_is(text, "false") || tide_span_is(text, "0") || tide_span_is(text, "no");
}

enum tide_err tide_decimal_parse(struct tide_span text, int decimals, int64_t *ret) {
  TIDE_CHECK(decimals >= 0 && decimals <= 9);
  struct number n;
  if (plain(text, decimals, ret)) {
    return TIDE_OK;
  }
  if (!scan(text, &n)) {
    return TIDE_E_SYNTAX;
  }
  return scale(&n, decimals, ret);
}

enum tide_err tide_int_parse(struct tide_span text, int64_t *ret) {
  struct number n;
  if (plain(text, 0, ret)) {
    return TIDE_OK;
  }
  if (!scan(text, &n) || !n.plain) {
    return TIDE_E_SYNTAX;
  }
  return scale(&n, 0, ret);
}

/* Clinger's case: both the digits and the power of ten are exact doubles, so one operation rounds once. */
static bool fast_double(const struct number *n, double *ret) {
  static const double pow10[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
                                 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
  size_t len = n->whole.len + n->fraction.len;
  int64_t power = n->exponent - (int64_t)n->fraction.len;
  if (len > 15 || power < -22 || power > 22) {
    return false;
  }
  int64_t mantissa = 0;
  for (size_t i = 0; i < len; i++) {
    mantissa = mantissa * 10 + digit_at(n, i);
  }
  double v = (double)mantissa;
  v = power < 0 ? v / pow10[-power] : v * pow10[power];
  *ret = n->negative ? -v : v;
  return true;
}

enum tide_err tide_double_parse(struct tide_span text, double *ret) {
  struct number n;
  if (!scan(text, &n)) {
    return TIDE_E_SYNTAX;
  }
  double v;
  if (!fast_double(&n, &v)) {
    char local[64];
    char *copy = text.len < sizeof local ? local : tide_alloc(text.len + 1);
    memcpy(copy, text.ptr, text.len);
    copy[text.len] = '\0';
    v = strtod(copy, NULL);
    if (copy != local) {
      tide_free(copy);
    }
    if (!isfinite(v)) {
      return TIDE_E_RANGE;
    }
  }
  *ret = v;
  return TIDE_OK;
}

enum tide_err tide_money_convert(int64_t minor, int exponent, int64_t rate_e10, int exponent_target, int64_t *ret) {
  TIDE_CHECK(exponent >= 0 && exponent <= 9 && exponent_target >= 0 && exponent_target <= 9);
  if (rate_e10 <= 0) {
    return TIDE_E_RANGE;
  }
  bool negative = minor < 0;
  unsigned __int128 num = negative ? -(unsigned __int128)minor : (unsigned __int128)minor;
  unsigned __int128 den = (unsigned __int128)tide_pow10[10];
  num *= (unsigned __int128)rate_e10; /* at most 2^63 * 2^63 */
  int diff = exponent_target - exponent;
  if (diff < 0) {
    den *= (unsigned __int128)tide_pow10[-diff];
  } else {
    unsigned __int128 factor = (unsigned __int128)tide_pow10[diff];
    if (num > ~(unsigned __int128)0 / factor) {
      return TIDE_E_RANGE; /* above 10^38 / 10^10, far beyond any amount */
    }
    num *= factor;
  }
  unsigned __int128 whole = num / den, rest = num % den;
  if (rest * 2 > den || (rest * 2 == den && (whole & 1))) {
    whole++;
  }
  if (whole > (unsigned __int128)TIDE_AMOUNT_MAX) {
    return TIDE_E_RANGE;
  }
  *ret = negative ? -(int64_t)whole : (int64_t)whole;
  return TIDE_OK;
}
