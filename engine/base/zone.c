/* Time zones from the system's tzdata, without the C library's global TZ state.
 *
 * A TZif file (RFC 8536) is: a version 1 block with 32-bit times, which we skip by its counts; a version 2+ block with 64-bit times; a
 * footer with a POSIX TZ string for all times after the last transition:
 *
 *   "TZif" version reserved[15]  isutcnt isstdcnt leapcnt timecnt typecnt charcnt (six 32-bit big-endian)
 *   times[timecnt] (8 bytes)  type_of[timecnt] (1)  types[typecnt] {utoff 4, isdst 1, abbr 1}  chars  leaps (12 each)  isstd  isut
 *   "\n" TZ "\n"
 *
 * Before the first transition type 0 holds. Zones are immutable once made, so only the list of them is behind a lock. A file is input: a
 * damaged one is an error with its name, never an assertion. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/calendar.h"
#include "base/clock.h"

enum { FILE_MAX = 1 << 20, NAME_MAX_BYTES = 64, OFFSET_MAX_S = 26 * 3600, HINT_BITS = 23, HINTS = 256 }; /* 97 days, until 2038 */
#define ZONE_ROOT "/usr/share/zoneinfo"

/* One edge of daylight saving time: Mm.w.d (month form), Jn (1-365, no leap day) or n (0-365); then seconds of that local day. */
struct rule {
  enum { RULE_MONTH, RULE_JULIAN, RULE_DAY } form;
  int month, week, day, at_s;
};

struct footer {
  bool there, dst;
  int32_t std_s, dst_s; /* seconds east of UTC */
  struct rule from, to;
};

struct tide_zone {
  char name[NAME_MAX_BYTES];
  size_t count;
  int64_t *times;           /* seconds, strictly ascending */
  int32_t *offsets;         /* from times[i] on, seconds east of UTC */
  int32_t before_s;         /* until times[0] */
  uint32_t hint[HINTS + 1]; /* from 1970 on: index of the last of times when each stretch of 2^HINT_BITS seconds begins */
  struct footer footer;
  struct tide_zone *next;
};

static struct tide_zone *zones;
static pthread_mutex_t zones_lock = PTHREAD_MUTEX_INITIALIZER;

/* The footer's TZ string, POSIX.1-2017 section 8.3 with the extensions of RFC 8536 section 3.3.1 */

static bool tz_name(const char **p) {
  const char *from = *p;
  if (**p == '<') {
    const char *close = strchr(*p, '>');
    if (!close) {
      return false;
    }
    *p = close + 1;
    return close - from > 3;
  }
  while ((**p >= 'A' && **p <= 'Z') || (**p >= 'a' && **p <= 'z')) {
    (*p)++;
  }
  return *p - from >= 3;
}

static bool tz_number(const char **p, int max, int *ret) {
  int v = 0;
  const char *from = *p;
  while (**p >= '0' && **p <= '9' && *p - from < 4) {
    v = v * 10 + (*(*p)++ - '0');
  }
  *ret = v;
  return *p > from && v <= max;
}

/* [+-]hh[:mm[:ss]] in seconds */
static bool tz_time(const char **p, int hours_max, int *ret_s) {
  int sign = 1, part[3] = {0, 0, 0};
  if (**p == '+' || **p == '-') {
    sign = *(*p)++ == '-' ? -1 : 1;
  }
  if (!tz_number(p, hours_max, &part[0])) {
    return false;
  }
  for (int i = 1; i < 3 && **p == ':'; i++) {
    (*p)++;
    if (!tz_number(p, 59, &part[i])) {
      return false;
    }
  }
  *ret_s = sign * (part[0] * 3600 + part[1] * 60 + part[2]);
  return true;
}

static bool tz_rule(const char **p, struct rule *rule) {
  *rule = (struct rule){.form = RULE_DAY, .at_s = 7200};
  bool ok;
  if (*(*p)++ != ',') {
    return false;
  }
  if (**p == 'M') {
    (*p)++;
    rule->form = RULE_MONTH;
    ok = tz_number(p, 12, &rule->month) && rule->month >= 1 && *(*p)++ == '.' && tz_number(p, 5, &rule->week) && rule->week >= 1 &&
         *(*p)++ == '.' && tz_number(p, 6, &rule->day);
  } else if (**p == 'J') {
    (*p)++;
    rule->form = RULE_JULIAN;
    ok = tz_number(p, 365, &rule->day) && rule->day >= 1;
  } else {
    ok = tz_number(p, 365, &rule->day);
  }
  if (ok && **p == '/') {
    (*p)++;
    ok = tz_time(p, 167, &rule->at_s);
  }
  return ok;
}

static bool footer_parse(const char *text, struct footer *ret) {
  struct footer f = {.there = true};
  const char *p = text;
  int west;
  if (!tz_name(&p) || !tz_time(&p, 24, &west)) {
    return false;
  }
  f.std_s = -west;
  if (*p) {
    f.dst = true;
    f.dst_s = f.std_s + 3600;
    if (!tz_name(&p)) {
      return false;
    }
    if (*p != ',') {
      if (!tz_time(&p, 24, &west)) {
        return false;
      }
      f.dst_s = -west;
    }
    if (!tz_rule(&p, &f.from) || !tz_rule(&p, &f.to)) {
      return false;
    }
  }
  *ret = f;
  return *p == '\0';
}

/* The local second (days * 86400 + seconds) at which a rule falls in a year. */
static int64_t rule_local(const struct rule *rule, int year) {
  int64_t days = tide_days_of(year, 1, 1);
  switch (rule->form) {
    case RULE_MONTH: {
      int64_t first = tide_days_of(year, rule->month, 1);
      int weekday = tide_weekday_of(first) % 7; /* Sunday = 0, as POSIX counts */
      int day = 1 + (rule->day - weekday + 7) % 7 + 7 * (rule->week - 1);
      while (day > tide_month_days(year, rule->month)) {
        day -= 7; /* week 5 means the last one */
      }
      days = first + day - 1;
      break;
    }
    case RULE_JULIAN: days += rule->day - 1 + (rule->day >= 60 && tide_year_leap(year)); break;
    case RULE_DAY: days += rule->day; break;
  }
  return days * 86400 + rule->at_s;
}

static int32_t footer_offset(const struct footer *f, int64_t t_s) {
  if (!f->dst) {
    return f->std_s;
  }
  int year, month, day;
  tide_date_of(tide_floor_div(t_s + f->std_s, 86400), &year, &month, &day);
  int64_t from = rule_local(&f->from, year) - f->std_s, to = rule_local(&f->to, year) - f->dst_s;
  bool inside = from < to ? t_s >= from && t_s < to : t_s >= from || t_s < to;
  return inside ? f->dst_s : f->std_s;
}

/* The file */

static uint64_t get_big(struct tide_reader *r, size_t bytes) {
  struct tide_span s = tide_get_bytes(r, bytes);
  uint64_t v = 0;
  for (size_t i = 0; i < s.len; i++) {
    v = v << 8 | (uint8_t)s.ptr[i];
  }
  return v;
}

struct header {
  uint8_t version;
  uint32_t isut, isstd, leap, time, type, chars;
};

static struct header header_get(struct tide_reader *r) {
  struct tide_span magic = tide_get_bytes(r, 4);
  r->bad = r->bad || !tide_span_is(magic, "TZif");
  struct header h = {.version = tide_get_u8(r)};
  tide_get_bytes(r, 15);
  uint32_t *const fields[] = {&h.isut, &h.isstd, &h.leap, &h.time, &h.type, &h.chars};
  for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
    *fields[i] = (uint32_t)get_big(r, 4);
    r->bad = r->bad || *fields[i] > FILE_MAX;
  }
  return h;
}

static void zone_hint(struct tide_zone *zone) {
  uint32_t last = 0;
  for (uint32_t i = 0; i <= HINTS; i++) {
    while (last + 1 < zone->count && zone->times[last + 1] <= (int64_t)i << HINT_BITS) last++;
    zone->hint[i] = last;
  }
}

/* Fills the tables; false for anything that RFC 8536 does not allow. The caller frees times and offsets in either case. */
static bool zone_parse(struct tide_span file, struct tide_zone *zone) {
  struct tide_reader r = tide_reader_of(file);
  struct header h = header_get(&r);
  if (r.bad || h.version < '2') {
    return false;
  }
  tide_get_bytes(&r, (size_t)h.time * 5 + (size_t)h.type * 6 + h.chars + (size_t)h.leap * 8 + h.isstd + h.isut);
  h = header_get(&r);
  struct tide_span times = tide_get_bytes(&r, (size_t)h.time * 8), type_of = tide_get_bytes(&r, h.time);
  struct tide_span types = tide_get_bytes(&r, (size_t)h.type * 6);
  tide_get_bytes(&r, h.chars + (size_t)h.leap * 12 + h.isstd + h.isut);
  if (r.bad || h.type == 0 || tide_get_u8(&r) != '\n') {
    return false;
  }
  int32_t offsets[256];
  struct tide_reader in_types = tide_reader_of(types), in_times = tide_reader_of(times);
  for (uint32_t i = 0; i < h.type && i < 256; i++) {
    int64_t offset = (int64_t)(get_big(&in_types, 4) ^ 0x80000000u) - INT64_C(0x80000000);
    if (offset > OFFSET_MAX_S || offset < -OFFSET_MAX_S) {
      return false;
    }
    offsets[i] = (int32_t)offset;
    tide_get_bytes(&in_types, 2);
  }
  zone->before_s = offsets[0];
  zone->count = h.time;
  zone->times = tide_alloc(h.time * sizeof *zone->times);
  zone->offsets = tide_alloc(h.time * sizeof *zone->offsets);
  for (uint32_t i = 0; i < h.time; i++) {
    uint64_t bits = get_big(&in_times, 8);
    memcpy(&zone->times[i], &bits, sizeof bits);
    uint8_t type = (uint8_t)type_of.ptr[i];
    if (type >= h.type || (i > 0 && zone->times[i] <= zone->times[i - 1])) {
      return false;
    }
    zone->offsets[i] = offsets[type];
  }
  zone_hint(zone);
  struct tide_span rest = tide_get_bytes(&r, (size_t)(r.end - r.ptr));
  const char *newline = rest.len ? memchr(rest.ptr, '\n', rest.len) : NULL;
  if (!newline) {
    return false;
  }
  char tz[128];
  size_t len = (size_t)(newline - rest.ptr);
  if (len == 0) {
    return true; /* no rule: the last transition holds for ever */
  }
  if (len >= sizeof tz) {
    return false;
  }
  memcpy(tz, rest.ptr, len);
  tz[len] = '\0';
  return footer_parse(tz, &zone->footer);
}

static enum tide_err zone_load(const char *name, struct tide_zone *zone, struct tide_error *error) {
  char path[sizeof ZONE_ROOT + NAME_MAX_BYTES + 1];
  snprintf(path, sizeof path, ZONE_ROOT "/%s", name);
  FILE *file = fopen(path, "rbe");
  struct tide_buf bytes = TIDE_BUF_INIT;
  if (file) {
    tide_buf_reserve(&bytes, FILE_MAX);
    bytes.len = fread(bytes.ptr, 1, FILE_MAX, file); /* a directory reads as nothing */
    fclose(file);
  }
  enum tide_err err = TIDE_OK;
  if (bytes.len == 0) {
    FILE *other = fopen(ZONE_ROOT "/Europe/Amsterdam", "rbe");
    if (other) {
      fclose(other);
      err = tide_fail(error, TIDE_E_NOT_FOUND, "no time zone \"%s\": write an IANA name such as \"Europe/Amsterdam\" or \"UTC\"", name);
    } else {
      err = tide_fail(error, TIDE_E_NOT_FOUND,
                      "no time zone \"%s\", because there is no time zone data in " ZONE_ROOT ": install the package tzdata", name);
    }
  } else if (!zone_parse(tide_buf_span(&bytes), zone)) {
    err = tide_fail(error, TIDE_E_CORRUPT, "%s is not a time zone file (TZif version 2 or later): reinstall the package tzdata", path);
  }
  tide_buf_release(&bytes);
  return err;
}

/* Letters, digits, _ + - and single slashes inside: nothing that leaves the directory. */
static bool name_valid(const char *name) {
  size_t len = strlen(name);
  if (len == 0 || len >= NAME_MAX_BYTES || name[0] == '/' || name[len - 1] == '/' || strstr(name, "//")) {
    return false;
  }
  return strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_+-/") == len;
}

static enum tide_err zone_new(const char *name, struct tide_zone **ret, struct tide_error *error) {
  struct tide_zone *zone = tide_alloc(sizeof *zone);
  memcpy(zone->name, name, strlen(name) + 1);
  if (strcmp(name, "UTC") != 0) { /* UTC needs no file */
    enum tide_err err = zone_load(name, zone, error);
    if (err != TIDE_OK) {
      tide_free(zone->times);
      tide_free(zone->offsets);
      tide_free(zone);
      return err;
    }
  }
  *ret = zone;
  return TIDE_OK;
}

enum tide_err tide_zone_get(const char *name, const struct tide_zone **ret, struct tide_error *error) {
  if (!name_valid(name)) {
    return tide_fail(error, TIDE_E_NOT_FOUND,
                     "\"%.80s\" is not the name of a time zone: write an IANA name such as \"Europe/Amsterdam\" or \"UTC\"", name);
  }
  enum tide_err err = TIDE_OK;
  pthread_mutex_lock(&zones_lock);
  struct tide_zone *zone = zones;
  while (zone && strcmp(zone->name, name) != 0) {
    zone = zone->next;
  }
  if (!zone) {
    err = zone_new(name, &zone, error);
    if (err == TIDE_OK) {
      zone->next = zones;
      zones = zone;
    }
  }
  pthread_mutex_unlock(&zones_lock);
  if (err == TIDE_OK) {
    *ret = zone;
  }
  return err;
}

int64_t tide_zone_local_s(const struct tide_zone *zone, struct tide_etime t) {
  int64_t t_s = tide_floor_div(t.ms, 1000);
  if (zone->count == 0 || t_s < zone->times[0]) {
    return t_s + (zone->count == 0 && zone->footer.there ? footer_offset(&zone->footer, t_s) : zone->before_s);
  }
  if (t_s >= zone->times[zone->count - 1] && zone->footer.there) {
    return t_s + footer_offset(&zone->footer, t_s);
  }
  size_t lo = 0, hi = zone->count, stretch = (size_t)(t_s >> HINT_BITS); /* times[lo] <= t_s < times[hi] */
  if (t_s >= 0 && stretch < HINTS) lo = zone->hint[stretch], hi = zone->hint[stretch + 1] + 1;
  while (hi - lo > 1) {
    size_t mid = lo + (hi - lo) / 2;
    if (zone->times[mid] <= t_s) {
      lo = mid;
    } else {
      hi = mid;
    }
  }
  return t_s + zone->offsets[lo];
}

int tide_zone_hour(const struct tide_zone *zone, struct tide_etime t) { return tide_hour_of(tide_zone_local_s(zone, t)); }

int tide_zone_weekday(const struct tide_zone *zone, struct tide_etime t) {
  return tide_weekday_of(tide_floor_div(tide_zone_local_s(zone, t), 86400));
}
