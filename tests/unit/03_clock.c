/* Times, durations and zones.
 *
 * Days are recounted one by one over more than eight centuries; zones are compared with the C library's own reading of the same files
 * (localtime_r under TZ), hour by hour around every edge of daylight saving time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include <inttypes.h>
#include <stdio.h>
#include <time.h>

#include "base/calendar.h"
#include "base/clock.h"

static int64_t ms_of(const char *text) {
  struct tide_etime t = {42};
  if (tide_time_parse(tide_span_of(text), TIDE_TIME_RFC3339, &t) != TIDE_OK) {
    fail_msg("%s was refused", text);
  }
  return t.ms;
}

static void dates_agree_with_counting(void **state) {
  (void)state;
  int64_t days = tide_days_of(1599, 12, 31);
  int weekday = tide_weekday_of(days);
  assert_int_equal(tide_days_of(1970, 1, 1), 0);
  assert_int_equal(tide_weekday_of(0), 4);
  for (int year = 1600; year <= 2450; year++) {
    for (int month = 1; month <= 12; month++) {
      for (int day = 1; day <= tide_month_days(year, month); day++) {
        int y, m, d;
        days++;
        weekday = weekday % 7 + 1;
        assert_true(tide_days_of(year, month, day) == days);
        tide_date_of(days, &y, &m, &d);
        assert_true(y == year && m == month && d == day);
        assert_int_equal(tide_weekday_of(days), weekday);
      }
    }
  }
  assert_true(tide_days_of(1, 1, 1) * 86400000 == TIDE_TIME_MIN_MS);
  assert_true(tide_days_of(10000, 1, 1) * 86400000 - 1 == TIDE_TIME_MAX_MS);
}

static void rfc3339_is_read_exactly(void **state) {
  (void)state;
  static const struct {
    const char *text;
    int64_t ms;
  } cases[] = {
      {"1970-01-01T00:00:00Z", 0},
      {"1970-01-01t00:00:00z", 0},
      {"1970-01-01 00:00:00Z", 0},
      {"1970-01-01T00:00:00+00:00", 0},
      {"1970-01-01T00:00:00-00:00", 0},
      {"1969-12-31T23:59:59.999Z", -1},
      {"2000-02-29T00:00:00Z", INT64_C(951782400000)},
      {"2024-02-29T12:34:56.789Z", INT64_C(1709210096789)},
      {"2026-11-21T09:58:51.1Z", INT64_C(1795255131100)},
      {"2026-11-21T09:58:51.12Z", INT64_C(1795255131120)},
      {"2026-11-21T09:58:51.1239999999999999999999Z", INT64_C(1795255131123)}, /* cut, not rounded */
      {"2026-11-21T09:58:51.0009Z", INT64_C(1795255131000)},
      {"2026-11-21T10:58:51.123+01:00", INT64_C(1795255131123)},
      {"2026-11-21T04:28:51.123-05:30", INT64_C(1795255131123)},
      {"2026-11-22T09:57:51.123+23:59", INT64_C(1795255131123)},
      {"0001-01-01T00:00:00Z", TIDE_TIME_MIN_MS},
      {"9999-12-31T23:59:59.999Z", TIDE_TIME_MAX_MS},
      {"9999-12-31T23:59:59.9999Z", TIDE_TIME_MAX_MS},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    if (ms_of(cases[i].text) != cases[i].ms) {
      fail_msg("%s gave %" PRId64, cases[i].text, ms_of(cases[i].text));
    }
  }
}

static void rfc3339_refuses(void **state) {
  (void)state;
  static const struct {
    const char *text;
    enum tide_err want;
  } cases[] = {
      {"", TIDE_E_SYNTAX},
      {"2026", TIDE_E_SYNTAX},
      {"2026-11-21", TIDE_E_SYNTAX},
      {"2026-11-21T09:58:51", TIDE_E_SYNTAX},
      {"2026-11-21T09:58Z", TIDE_E_SYNTAX},
      {"2026-11-21T09:58:51.Z", TIDE_E_SYNTAX},
      {"2026-11-21T09:58:51,5Z", TIDE_E_SYNTAX},
      {"2026-11-21T09:58:51Z ", TIDE_E_SYNTAX},
      {" 2026-11-21T09:58:51Z", TIDE_E_SYNTAX},
      {"2026-11-21T09:58:51+0100", TIDE_E_SYNTAX},
      {"2026-11-21T09:58:51+01", TIDE_E_SYNTAX},
      {"2026-11-21T09:58:51+1:00", TIDE_E_SYNTAX},
      {"2026-11-21T9:58:51Z", TIDE_E_SYNTAX},
      {"2026-1-21T09:58:51Z", TIDE_E_SYNTAX},
      {"26-11-21T09:58:51Z", TIDE_E_SYNTAX},
      {"+2026-11-21T09:58:51Z", TIDE_E_SYNTAX},
      {"2026/11/21T09:58:51Z", TIDE_E_SYNTAX},
      {"2026-11-21_09:58:51Z", TIDE_E_SYNTAX},
      {"2026-11-21T09:58:51ZZ", TIDE_E_SYNTAX},
      {"2026-11-21T-9:58:51Z", TIDE_E_SYNTAX},
      {"2026-13-01T00:00:00Z", TIDE_E_RANGE},
      {"2026-00-01T00:00:00Z", TIDE_E_RANGE},
      {"2026-11-00T00:00:00Z", TIDE_E_RANGE},
      {"2026-11-31T00:00:00Z", TIDE_E_RANGE},
      {"2026-02-29T00:00:00Z", TIDE_E_RANGE},
      {"1900-02-29T00:00:00Z", TIDE_E_RANGE},
      {"2100-02-29T00:00:00Z", TIDE_E_RANGE},
      {"2026-11-21T24:00:00Z", TIDE_E_RANGE},
      {"2026-11-21T23:60:00Z", TIDE_E_RANGE},
      {"2016-12-31T23:59:60Z", TIDE_E_RANGE}, /* a leap second does not exist in POSIX time */
      {"2026-11-21T09:58:51+24:00", TIDE_E_RANGE},
      {"2026-11-21T09:58:51+01:60", TIDE_E_RANGE},
      {"0000-06-01T00:00:00Z", TIDE_E_RANGE},
      {"0001-01-01T00:00:00+00:01", TIDE_E_RANGE},
      {"9999-12-31T23:59:59-00:01", TIDE_E_RANGE},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct tide_etime t = {42};
    enum tide_err err = tide_time_parse(tide_span_of(cases[i].text), TIDE_TIME_RFC3339, &t);
    if (err != cases[i].want || t.ms != 42) {
      fail_msg("%s gave %s", cases[i].text, tide_err_name(err));
    }
  }
  /* No prefix of a good time is good, and nothing is read behind its end. */
  static const char good[] = "2026-11-21T09:58:51.123+01:00";
  for (size_t len = 0; len < sizeof good - 1; len++) {
    char *part = malloc(len ? len : 1);
    memcpy(part, good, len);
    struct tide_etime t = {42};
    assert_int_equal(tide_time_parse((struct tide_span){part, len}, TIDE_TIME_RFC3339, &t), TIDE_E_SYNTAX);
    free(part);
  }
}

static void epochs_are_read_exactly(void **state) {
  (void)state;
  static const struct {
    const char *text;
    enum tide_time_form form;
    enum tide_err err;
    int64_t ms;
  } cases[] = {
      {"0", TIDE_TIME_EPOCH_S, TIDE_OK, 0},
      {"1795255131", TIDE_TIME_EPOCH_S, TIDE_OK, INT64_C(1795255131000)},
      {"1795255131.1", TIDE_TIME_EPOCH_S, TIDE_OK, INT64_C(1795255131100)},
      {"1795255131.1239999", TIDE_TIME_EPOCH_S, TIDE_OK, INT64_C(1795255131123)},
      {"-1.5", TIDE_TIME_EPOCH_S, TIDE_OK, -1500},
      {"-0.5", TIDE_TIME_EPOCH_S, TIDE_OK, -500},
      {"253402300799.999", TIDE_TIME_EPOCH_S, TIDE_OK, TIDE_TIME_MAX_MS},
      {"253402300800", TIDE_TIME_EPOCH_S, TIDE_E_RANGE, 0},
      {"-62135596800", TIDE_TIME_EPOCH_S, TIDE_OK, TIDE_TIME_MIN_MS},
      {"-62135596800.001", TIDE_TIME_EPOCH_S, TIDE_E_RANGE, 0},
      {"99999999999999999999", TIDE_TIME_EPOCH_S, TIDE_E_RANGE, 0},
      {"9223372036854775807", TIDE_TIME_EPOCH_S, TIDE_E_RANGE, 0},
      {"1.", TIDE_TIME_EPOCH_S, TIDE_E_SYNTAX, 0},
      {"1.2.3", TIDE_TIME_EPOCH_S, TIDE_E_SYNTAX, 0},
      {".5", TIDE_TIME_EPOCH_S, TIDE_E_SYNTAX, 0},
      {"1e9", TIDE_TIME_EPOCH_S, TIDE_E_SYNTAX, 0},
      {"1.5e9", TIDE_TIME_EPOCH_S, TIDE_E_SYNTAX, 0},
      {"", TIDE_TIME_EPOCH_S, TIDE_E_SYNTAX, 0},
      {"+1", TIDE_TIME_EPOCH_S, TIDE_E_SYNTAX, 0},
      {"1795255131123", TIDE_TIME_EPOCH_MS, TIDE_OK, INT64_C(1795255131123)},
      {"1795255131123.5", TIDE_TIME_EPOCH_MS, TIDE_E_SYNTAX, 0},
      {"253402300800000", TIDE_TIME_EPOCH_MS, TIDE_E_RANGE, 0},
      {"-62135596800001", TIDE_TIME_EPOCH_MS, TIDE_E_RANGE, 0},
      {"1795255131123999", TIDE_TIME_EPOCH_US, TIDE_OK, INT64_C(1795255131123)},
      {"1795255131123999000", TIDE_TIME_EPOCH_US, TIDE_E_RANGE, 0},
      {"x", TIDE_TIME_EPOCH_US, TIDE_E_SYNTAX, 0},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct tide_etime t = {42};
    enum tide_err err = tide_time_parse(tide_span_of(cases[i].text), cases[i].form, &t);
    if (err != cases[i].err || t.ms != (err == TIDE_OK ? cases[i].ms : 42)) {
      fail_msg("%s gave %s %" PRId64, cases[i].text, tide_err_name(err), t.ms);
    }
  }
  struct tide_etime t;
  assert_int_equal(tide_time_parse((struct tide_span){NULL, 0}, TIDE_TIME_EPOCH_S, &t), TIDE_E_SYNTAX);
  assert_int_equal(tide_time_parse((struct tide_span){NULL, 0}, TIDE_TIME_RFC3339, &t), TIDE_E_SYNTAX);
}

static void what_is_written_reads_back(void **state) {
  (void)state;
  static const int64_t fixed[] = {0, -1, 1, TIDE_TIME_MIN_MS, TIDE_TIME_MAX_MS, INT64_C(951782399999), INT64_C(-2203891200000)};
  char out[TIDE_TIME_TEXT];
  for (size_t i = 0; i < sizeof fixed / sizeof fixed[0]; i++) {
    assert_true(ms_of(tide_time_format((struct tide_etime){fixed[i]}, out)) == fixed[i]);
    assert_int_equal(strlen(out), 24);
  }
  uint64_t seed = 3;
  for (int i = 0; i < 100000; i++) {
    seed = seed * UINT64_C(6364136223846793005) + 1442695040888963407u;
    int64_t ms = TIDE_TIME_MIN_MS + (int64_t)((seed >> 1) % (uint64_t)(TIDE_TIME_MAX_MS - TIDE_TIME_MIN_MS + 1));
    assert_true(ms_of(tide_time_format((struct tide_etime){ms}, out)) == ms);
  }
  assert_string_equal(tide_time_format((struct tide_etime){INT64_C(1795255131123)}, out), "2026-11-21T09:58:51.123Z");
}

static void durations_as_people_write_them(void **state) {
  (void)state;
  static const struct {
    const char *text;
    int64_t ms;
    const char *shortest;
  } cases[] = {{"500ms", 500, "500ms"},   {"1500ms", 1500, "1500ms"},   {"1000ms", 1000, "1s"},  {"0s", 0, "0s"},
               {"0d", 0, "0s"},           {"90s", 90000, "90s"},        {"10m", 600000, "10m"},  {"60m", 3600000, "1h"},
               {"90m", 5400000, "90m"},   {"24h", 86400000, "1d"},      {"7d", 604800000, "7d"}, {"3650d", INT64_C(315360000000), "3650d"},
               {"36h", 129600000, "36h"}, {"61001ms", 61001, "61001ms"}};
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    int64_t ms = 42;
    char out[TIDE_TIME_TEXT];
    assert_int_equal(tide_duration_parse(tide_span_of(cases[i].text), &ms), TIDE_OK);
    assert_true(ms == cases[i].ms);
    assert_string_equal(tide_duration_format(ms, out), cases[i].shortest);
  }
  static const char *const bad[] = {"",   "10",    "m",     "10 m", "-1m", "+1m",  "1.5h", "1w",
                                    "1M", "10min", "1h30m", "05m",  "ms",  "1e3s", " 1s",  "1s "};
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    int64_t ms = 42;
    assert_int_equal(tide_duration_parse(tide_span_of(bad[i]), &ms), TIDE_E_SYNTAX);
    assert_true(ms == 42);
  }
  static const char *const far[] = {"3651d", "87601h", "315360000001ms", "99999999999999999999d", "9223372036854775807d"};
  for (size_t i = 0; i < sizeof far / sizeof far[0]; i++) {
    int64_t ms = 42;
    assert_int_equal(tide_duration_parse(tide_span_of(far[i]), &ms), TIDE_E_RANGE);
    assert_true(ms == 42);
  }
}

static const struct tide_zone *zone_of(const char *name) {
  const struct tide_zone *zone = NULL;
  struct tide_error error = {0};
  if (tide_zone_get(name, &zone, &error) != TIDE_OK) {
    fail_msg("%s", error.text);
  }
  return zone;
}

static void amsterdam_changes_its_clocks(void **state) {
  (void)state;
  static const struct {
    const char *utc;
    int hour, weekday;
  } cases[] = {
      {"2026-03-29T00:59:59.999Z", 1, 7},  {"2026-03-29T01:00:00Z", 3, 7}, /* spring: 02:xx does not exist */
      {"2026-10-25T00:59:59.999Z", 2, 7},  {"2026-10-25T01:00:00Z", 2, 7}, /* autumn: 02:xx happens twice */
      {"2026-10-25T02:00:00Z", 3, 7},      {"2026-11-21T23:00:00Z", 0, 7}, {"2026-11-21T22:59:59.999Z", 23, 6},
      {"2026-07-01T21:59:59.999Z", 23, 3}, {"2026-07-01T22:00:00Z", 0, 4}, {"2099-07-01T22:00:00Z", 0, 4}, /* by the footer's rule */
      {"2099-03-29T00:59:59.999Z", 1, 7},  {"2099-03-29T01:00:00Z", 3, 7},
  };
  const struct tide_zone *zone = zone_of("Europe/Amsterdam");
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct tide_etime t = {ms_of(cases[i].utc)};
    if (tide_zone_hour(zone, t) != cases[i].hour || tide_zone_weekday(zone, t) != cases[i].weekday) {
      fail_msg("%s gave hour %d weekday %d", cases[i].utc, tide_zone_hour(zone, t), tide_zone_weekday(zone, t));
    }
  }
}

static void new_york_changes_its_clocks(void **state) {
  (void)state;
  static const struct {
    const char *utc;
    int hour;
  } cases[] = {{"2026-03-08T06:59:59.999Z", 1}, {"2026-03-08T07:00:00Z", 3}, {"2026-11-01T05:59:59.999Z", 1},
               {"2026-11-01T06:00:00Z", 1},     {"2026-11-01T07:00:00Z", 2}, {"2150-03-08T06:59:59.999Z", 1},
               {"2150-03-08T07:00:00Z", 3}};
  const struct tide_zone *zone = zone_of("America/New_York");
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    assert_int_equal(tide_zone_hour(zone, (struct tide_etime){ms_of(cases[i].utc)}), cases[i].hour);
  }
}

/* The C library reads the same files with code of its own. Steps of 29.5 hours walk through all hours and find every rule. */
static void zones_agree_with_the_c_library(void **state) {
  (void)state;
  static const char *const names[] = {"Europe/Amsterdam",    "America/New_York",
                                      "Europe/Dublin",       "Asia/Kathmandu",
                                      "Australia/Lord_Howe", "America/St_Johns",
                                      "America/Sao_Paulo",   "Africa/Casablanca",
                                      "Asia/Gaza",           "Pacific/Apia",
                                      "Pacific/Kiritimati",  "America/Nuuk",
                                      "Asia/Tehran",         "UTC",
                                      "Etc/GMT+12",          "Antarctica/Troll",
                                      "Africa/Cairo",        "America/Santiago"};
  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
    const struct tide_zone *zone = zone_of(names[i]);
    assert_ptr_equal(zone, zone_of(names[i])); /* cached */
    assert_int_equal(setenv("TZ", names[i], 1), 0);
    tzset();
    for (int64_t s = INT64_C(-2500000000); s < INT64_C(5600000000); s += 106200) {
      time_t at = (time_t)s;
      struct tm tm;
      localtime_r(&at, &tm);
      struct tide_etime t = {s * 1000 + (s & 1 ? 999 : 0)};
      if (tide_zone_hour(zone, t) != tm.tm_hour || tide_zone_weekday(zone, t) != (tm.tm_wday + 6) % 7 + 1) {
        fail_msg("%s at %" PRId64 ": hour %d, the C library says %d", names[i], s, tide_zone_hour(zone, t), tm.tm_hour);
      }
    }
  }
  unsetenv("TZ");
  tzset();
}

static void unknown_zones_say_what_to_write(void **state) {
  (void)state;
  static const char *const names[] = {
      "",
      "Europe/Amsterdamm",
      "Mars/Olympus",
      "../../../etc/passwd",
      "/etc/localtime",
      "Europe/../UTC",
      "Europe",
      "Europe/",
      "zone.tab",
      "tzdata.zi",
      "Europe//Amsterdam",
      "a b",
      "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"};
  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
    const struct tide_zone *zone = NULL;
    struct tide_error error = {0};
    assert_int_equal(tide_zone_get(names[i], &zone, &error), TIDE_E_NOT_FOUND);
    assert_null(zone);
    assert_non_null(strstr(error.text, "Europe/Amsterdam"));
    assert_int_equal(tide_zone_get(names[i], &zone, NULL), TIDE_E_NOT_FOUND);
  }
}

static void clocks_go_forward(void **state) {
  (void)state;
  struct tide_mono before = tide_mono_now();
  struct tide_wall wall = tide_wall_now();
  struct tide_mono after = tide_mono_now();
  assert_true(after.ns >= before.ns);
  assert_true(wall.ms > INT64_C(1700000000000) && wall.ms < TIDE_TIME_MAX_MS);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(dates_agree_with_counting),
      cmocka_unit_test(rfc3339_is_read_exactly),
      cmocka_unit_test(rfc3339_refuses),
      cmocka_unit_test(epochs_are_read_exactly),
      cmocka_unit_test(what_is_written_reads_back),
      cmocka_unit_test(durations_as_people_write_them),
      cmocka_unit_test(amsterdam_changes_its_clocks),
      cmocka_unit_test(new_york_changes_its_clocks),
      cmocka_unit_test(zones_agree_with_the_c_library),
      cmocka_unit_test(unknown_zones_say_what_to_write),
      cmocka_unit_test(clocks_go_forward),
  };
  return cmocka_run_group_tests_name("clock", tests, NULL, NULL);
}
