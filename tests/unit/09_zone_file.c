/* Damaged time zone files: refused or read, never a crash, never a read outside.
 *
 * The parser works on bytes and is private to zone.c, so that file is included here. Every truncation and every flipped byte of a real
 * file goes through it, from memory of exactly the right size, so that AddressSanitizer sees a single byte too far. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/zone.c"

static struct tide_buf file_of(const char *name) {
  char path[200];
  snprintf(path, sizeof path, ZONE_ROOT "/%s", name);
  FILE *file = fopen(path, "rbe");
  assert_non_null(file);
  struct tide_buf bytes = TIDE_BUF_INIT;
  for (int c; (c = fgetc(file)) != EOF;) tide_buf_char(&bytes, (char)c);
  fclose(file);
  return bytes;
}

/* Parses a copy in memory of exactly that size; looks up some times if it was accepted. */
static bool parses(const char *ptr, size_t len) {
  char *exact = malloc(len ? len : 1);
  if (len) memcpy(exact, ptr, len);
  struct tide_zone zone = {.name = "test"};
  bool ok = zone_parse((struct tide_span){exact, len}, &zone);
  for (int64_t ms = TIDE_TIME_MIN_MS; ok && ms < TIDE_TIME_MAX_MS; ms += INT64_C(9999999999999)) {
    assert_in_range(tide_zone_hour(&zone, (struct tide_etime){ms}), 0, 23);
    assert_in_range(tide_zone_weekday(&zone, (struct tide_etime){ms}), 1, 7);
  }
  tide_free(zone.times);
  tide_free(zone.offsets);
  free(exact);
  return ok;
}

static void every_truncation_is_refused(void **state) {
  (void)state;
  struct tide_buf file = file_of("Europe/Amsterdam");
  assert_true(parses(file.ptr, file.len));
  for (size_t len = 0; len < file.len; len++) assert_false(parses(file.ptr, len));
  tide_buf_release(&file);
}

static void every_flipped_byte_is_survived(void **state) {
  (void)state;
  struct tide_buf file = file_of("Europe/Amsterdam");
  static const uint8_t flips[] = {0x01, 0x80, 0xff};
  size_t refused = 0;
  for (size_t i = 0; i < file.len; i++) {
    for (size_t k = 0; k < sizeof flips; k++) {
      file.ptr[i] = (char)((uint8_t)file.ptr[i] ^ flips[k]);
      refused += !parses(file.ptr, file.len);
      file.ptr[i] = (char)((uint8_t)file.ptr[i] ^ flips[k]);
    }
  }
  assert_true(refused > 100); /* counts, order, types, footer: most of the structure is checked */
  tide_buf_release(&file);
}

static void footers_are_read_strictly(void **state) {
  (void)state;
  static const char *const good[] = {"UTC0",
                                     "CET-1CEST,M3.5.0,M10.5.0/3",
                                     "EST5EDT,M3.2.0,M11.1.0",
                                     "<+0545>-5:45",
                                     "<-03>3<-02>,M3.5.0/-2,M10.5.0/-1",
                                     "IST-1GMT0,M10.5.0,M3.5.0/1",
                                     "AAA-1BBB-2,J60,J300/3:30:15",
                                     "AAA-1BBB,0/0,J365/25",
                                     "LHST-10:30LHDT-11,M10.1.0,M4.1.0"};
  static const char *const bad[] = {"",
                                    "U0",
                                    "UTC",
                                    "UTC+",
                                    "UTC25",
                                    "UTC0:60",
                                    "<UTC0",
                                    "<>0",
                                    "CET-1CEST",
                                    "CET-1CEST,M3.5.0",
                                    "CET-1CEST,M13.5.0,M10.5.0",
                                    "CET-1CEST,M0.5.0,M10.5.0",
                                    "CET-1CEST,M3.6.0,M10.5.0",
                                    "CET-1CEST,M3.0.0,M10.5.0",
                                    "CET-1CEST,M3.5.7,M10.5.0",
                                    "CET-1CEST,J0,J10",
                                    "CET-1CEST,J366,J10",
                                    "CET-1CEST,366,10",
                                    "CET-1CEST,M3.5.0/168,M10.5.0",
                                    "CET-1CEST,M3.5.0,M10.5.0x",
                                    "CET-1CEST,M3.5.0,M10.5.0,",
                                    "CET-1CEST;M3.5.0;M10.5.0",
                                    "CET-1C,M3.5.0,M10.5.0",
                                    "CET-1CEST,M3,M10",
                                    "CET-1CEST,",
                                    "CET-1CEST,M"};
  struct footer f;
  for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
    if (!footer_parse(good[i], &f)) fail_msg("%s was refused", good[i]);
  }
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    if (footer_parse(bad[i], &f)) fail_msg("%s was accepted", bad[i]);
  }
}

static void julian_days_skip_the_leap_day(void **state) {
  (void)state;
  struct rule julian = {.form = RULE_JULIAN, .day = 60}, counted = {.form = RULE_DAY, .day = 59};
  assert_true(rule_local(&julian, 2023) == tide_days_of(2023, 3, 1) * 86400); /* J60 is 1 March in every year */
  assert_true(rule_local(&julian, 2024) == tide_days_of(2024, 3, 1) * 86400);
  assert_true(rule_local(&counted, 2023) == tide_days_of(2023, 3, 1) * 86400); /* day 59 counted from 0 is not */
  assert_true(rule_local(&counted, 2024) == tide_days_of(2024, 2, 29) * 86400);
  struct rule last = {.form = RULE_MONTH, .month = 2, .week = 5, .day = 4, .at_s = 7200};
  assert_true(rule_local(&last, 2024) == tide_days_of(2024, 2, 29) * 86400 + 7200); /* the last Thursday */
  assert_true(rule_local(&last, 2023) == tide_days_of(2023, 2, 23) * 86400 + 7200);
}

static void summer_may_lie_around_new_year(void **state) {
  (void)state;
  struct footer f;
  assert_true(footer_parse("AEST-10AEDT,M10.1.0,M4.1.0/3", &f));
  assert_int_equal(footer_offset(&f, tide_days_of(2050, 1, 1) * 86400), 39600);
  assert_int_equal(footer_offset(&f, tide_days_of(2050, 7, 1) * 86400), 36000);
  assert_int_equal(footer_offset(&f, tide_days_of(2050, 12, 31) * 86400 + 86399), 39600);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(every_truncation_is_refused),    cmocka_unit_test(every_flipped_byte_is_survived),
      cmocka_unit_test(footers_are_read_strictly),      cmocka_unit_test(julian_days_skip_the_leap_day),
      cmocka_unit_test(summer_may_lie_around_new_year),
  };
  return cmocka_run_group_tests_name("zone_file", tests, NULL, NULL);
}
