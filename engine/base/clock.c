/* Clocks, and times and durations as text.
 *
 * Calendar arithmetic is the proleptic Gregorian calendar in whole days since 1970-01-01, counted in eras of 400 years that begin on
 * 1 March, so that the leap day is the last of its year (the method of Hinnant, "chrono-compatible low-level date algorithms").
 * Everything finer than a millisecond is cut: the digits beyond the third are dropped, never rounded, so a time never moves ahead. */
#include "base/clock.h"

#include <stdio.h>
#include <time.h>

#include "base/calendar.h"
#include "base/num.h"

enum { MINUTE_MS = 60000, HOUR_MS = 3600000, DAY_MS = 86400000 };
#define DURATION_MAX_MS (INT64_C(3650) * DAY_MS)

struct tide_wall tide_wall_now(void) {
  struct timespec ts;
  clock_gettime(CLOCK_REALTIME, &ts);
  return (struct tide_wall){(int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000};
}

struct tide_mono tide_mono_now(void) {
  struct timespec ts;
  clock_gettime(CLOCK_MONOTONIC, &ts);
  return (struct tide_mono){(int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec};
}

void tide_clocks_now(struct tide_wall *ret_wall, struct tide_mono *ret_mono) {
  for (int turn = 0; turn < 4; turn++) {
    int64_t before_ns = tide_mono_now().ns;
    *ret_wall = tide_wall_now();
    *ret_mono = tide_mono_now();
    if (ret_mono->ns - before_ns < 1000000) break;
  }
}

int64_t tide_days_of(int year, int month, int day) {
  int64_t y = month <= 2 ? year - 1 : year;
  int64_t era = (y >= 0 ? y : y - 399) / 400, of_era = y - era * 400;
  int64_t of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
  return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

void tide_date_of(int64_t days, int *ret_year, int *ret_month, int *ret_day) {
  int64_t z = days + 719468;
  int64_t era = (z >= 0 ? z : z - 146096) / 146097, of_era = z - era * 146097;
  int64_t y = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
  int64_t of_year = of_era - (365 * y + y / 4 - y / 100), m = (5 * of_year + 2) / 153;
  int month = (int)(m < 10 ? m + 3 : m - 9);
  *ret_day = (int)(of_year - (153 * m + 2) / 5 + 1);
  *ret_month = month;
  *ret_year = (int)(y + era * 400 + (month <= 2));
}

bool tide_year_leap(int year) { return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0; }

int tide_month_days(int year, int month) {
  static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  TIDE_CHECK(month >= 1 && month <= 12);
  return days[month - 1] + (month == 2 && tide_year_leap(year));
}

/* Reading */

/* A number of exactly `width` digits at *p, or -1. Moves *p. */
static int fixed(const char **p, const char *end, int width) {
  int v = 0;
  for (int i = 0; i < width; i++, (*p)++) {
    if (*p >= end || **p < '0' || **p > '9') {
      return -1;
    }
    v = v * 10 + (**p - '0');
  }
  return v;
}

static bool literal(const char **p, const char *end, char c) {
  if (*p >= end || **p != c) {
    return false;
  }
  (*p)++;
  return true;
}

/* ".123456" cut to ms; nothing there is 0; "." without a digit is -1. */
static int fraction_ms(const char **p, const char *end) {
  if (!literal(p, end, '.')) {
    return 0;
  }
  int ms = 0, count = 0;
  for (; *p < end && **p >= '0' && **p <= '9'; (*p)++, count++) {
    if (count < 3) {
      ms = ms * 10 + (**p - '0');
    }
  }
  for (int i = count; i < 3; i++) {
    ms *= 10;
  }
  return count > 0 ? ms : -1;
}

static enum tide_err in_range(int64_t ms, struct tide_etime *ret) {
  if (ms < TIDE_TIME_MIN_MS || ms > TIDE_TIME_MAX_MS) {
    return TIDE_E_RANGE;
  }
  ret->ms = ms;
  return TIDE_OK;
}

static enum tide_err parse_rfc3339(struct tide_span text, struct tide_etime *ret) {
  const char *p = text.ptr, *end = text.ptr + text.len;
  int year = fixed(&p, end, 4);
  bool ok = year >= 0 && literal(&p, end, '-');
  int month = ok ? fixed(&p, end, 2) : -1;
  ok = month >= 0 && literal(&p, end, '-');
  int day = ok ? fixed(&p, end, 2) : -1;
  ok = day >= 0 && p < end && (*p == 'T' || *p == 't' || *p == ' ');
  p += ok;
  int hour = ok ? fixed(&p, end, 2) : -1;
  ok = hour >= 0 && literal(&p, end, ':');
  int minute = ok ? fixed(&p, end, 2) : -1;
  ok = minute >= 0 && literal(&p, end, ':');
  int second = ok ? fixed(&p, end, 2) : -1;
  int ms = second >= 0 ? fraction_ms(&p, end) : -1;
  if (ms < 0 || p >= end) {
    return TIDE_E_SYNTAX;
  }
  int sign = *p == '+' ? 1 : *p == '-' ? -1 : 0, offset_hour = 0, offset_minute = 0;
  if (sign == 0 && *p != 'Z' && *p != 'z') {
    return TIDE_E_SYNTAX;
  }
  p++;
  if (sign != 0) {
    offset_hour = fixed(&p, end, 2);
    ok = offset_hour >= 0 && literal(&p, end, ':');
    offset_minute = ok ? fixed(&p, end, 2) : -1;
    if (offset_minute < 0) {
      return TIDE_E_SYNTAX;
    }
  }
  if (p != end) {
    return TIDE_E_SYNTAX;
  }
  if (month < 1 || month > 12 || day < 1 || day > tide_month_days(year, month) || hour > 23 || minute > 59 || second > 59 ||
      offset_hour > 23 || offset_minute > 59) {
    return TIDE_E_RANGE;
  }
  int64_t local = tide_days_of(year, month, day) * DAY_MS + hour * (int64_t)HOUR_MS + minute * MINUTE_MS + second * 1000 + ms;
  return in_range(local - sign * (offset_hour * (int64_t)HOUR_MS + offset_minute * (int64_t)MINUTE_MS), ret);
}

/* Seconds with an optional fraction: "1763719131", "1763719131.1239", "-0.5". */
static enum tide_err parse_epoch_s(struct tide_span text, struct tide_etime *ret) {
  const char *dot = memchr(text.ptr, '.', text.len);
  struct tide_span whole = {text.ptr, dot ? (size_t)(dot - text.ptr) : text.len};
  int64_t seconds;
  enum tide_err err = tide_int_parse(whole, &seconds);
  if (err != TIDE_OK && err != TIDE_E_RANGE) {
    return err;
  }
  int ms = 0;
  if (dot) {
    const char *p = dot, *end = text.ptr + text.len;
    ms = fraction_ms(&p, end);
    if (ms < 0 || p != end) {
      return TIDE_E_SYNTAX;
    }
  }
  if (err != TIDE_OK || seconds < TIDE_TIME_MIN_MS / 1000 - 1 || seconds > TIDE_TIME_MAX_MS / 1000 + 1) {
    return TIDE_E_RANGE;
  }
  return in_range(seconds * 1000 + (text.ptr[0] == '-' ? -ms : ms), ret);
}

enum tide_err tide_time_parse(struct tide_span text, enum tide_time_form form, struct tide_etime *ret) {
  if (text.len == 0) {
    return TIDE_E_SYNTAX;
  }
  if (form == TIDE_TIME_RFC3339) {
    return parse_rfc3339(text, ret);
  }
  if (form == TIDE_TIME_EPOCH_S) {
    return parse_epoch_s(text, ret);
  }
  TIDE_CHECK(form == TIDE_TIME_EPOCH_MS || form == TIDE_TIME_EPOCH_US);
  int64_t v;
  enum tide_err err = tide_int_parse(text, &v);
  if (err != TIDE_OK) {
    return err;
  }
  return in_range(form == TIDE_TIME_EPOCH_MS ? v : v / 1000, ret);
}

/* Writing */

static void put_two(char *at, unsigned v) {
  at[0] = (char)('0' + v / 10);
  at[1] = (char)('0' + v % 10);
}

const char *tide_time_format(struct tide_etime t, char out[TIDE_TIME_TEXT]) {
  TIDE_CHECK(t.ms >= TIDE_TIME_MIN_MS && t.ms <= TIDE_TIME_MAX_MS);
  int64_t days = tide_floor_div(t.ms, DAY_MS);
  unsigned of_day = (unsigned)(t.ms - days * DAY_MS), seconds = of_day / 1000, ms = of_day % 1000;
  int year, month, day;
  tide_date_of(days, &year, &month, &day);
  memcpy(out, "0000-00-00T00:00:00.000Z", TIDE_TIME_LEN + 1);
  put_two(out, (unsigned)year / 100);
  put_two(out + 2, (unsigned)year % 100);
  put_two(out + 5, (unsigned)month);
  put_two(out + 8, (unsigned)day);
  put_two(out + 11, seconds / 3600);
  put_two(out + 14, seconds / 60 % 60);
  put_two(out + 17, seconds % 60);
  out[20] = (char)('0' + ms / 100);
  put_two(out + 21, ms % 100);
  return out;
}

/* Durations */

static const struct {
  const char *name;
  int64_t ms;
} units[] = {{"d", DAY_MS}, {"h", HOUR_MS}, {"m", MINUTE_MS}, {"s", 1000}, {"ms", 1}};
enum { UNIT_COUNT = sizeof units / sizeof units[0] };

enum tide_err tide_duration_parse(struct tide_span text, int64_t *ret_ms) {
  size_t digits = 0;
  while (digits < text.len && text.ptr[digits] >= '0' && text.ptr[digits] <= '9') {
    digits++;
  }
  struct tide_span unit = {text.len ? text.ptr + digits : NULL, text.len - digits};
  int64_t count, scale = 0;
  for (int i = 0; i < UNIT_COUNT; i++) {
    if (tide_span_is(unit, units[i].name)) {
      scale = units[i].ms;
    }
  }
  enum tide_err err = tide_int_parse((struct tide_span){text.ptr, digits}, &count);
  if (scale == 0 || err == TIDE_E_SYNTAX) {
    return TIDE_E_SYNTAX;
  }
  if (err != TIDE_OK || count > DURATION_MAX_MS / scale) {
    return TIDE_E_RANGE;
  }
  *ret_ms = count * scale;
  return TIDE_OK;
}

const char *tide_duration_format(int64_t ms, char out[TIDE_TIME_TEXT]) {
  int i = 0;
  while (ms % units[i].ms != 0) {
    i++; /* ends at the latest with ms, which divides everything */
  }
  if (ms == 0) {
    memcpy(out, "0s", 3);
  } else {
    snprintf(out, TIDE_TIME_TEXT, "%lld%s", (long long)(ms / units[i].ms), units[i].name);
  }
  return out;
}
