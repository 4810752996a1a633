/* Exact numbers: what is accepted, to which integer it goes, and where each limit lies.
 *
 * Every rounding claim is checked against integers worked out by hand or by a second way (a recount digit by digit), never against a
 * double. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include <inttypes.h>
#include <math.h>
#include <stdio.h>

#include "base/num.h"

static struct tide_span S(const char *s) {
  return tide_span_of(s);
}

static void
decimals_are_exact(void **state) {
  (void)state;
  static const struct {
    const char *text;
    int decimals;
    int64_t want;
  } cases[] = {
      {"0", 2, 0},
      {"-0", 2, 0},
      {"-0.000", 0, 0},
      {"0e99", 2, 0},
      {"0.000e-99999999999999999999", 0, 0},
      {"50", 2, 5000},
      {"50.0", 2, 5000},
      {"50.00", 2, 5000},
      {"50.0000000000000000000000", 2, 5000},
      {"0.07", 2, 7},
      {"1.1", 1, 11},
      {"-12.50", 2, -1250},
      {"1e2", 0, 100},
      {"1E+2", 0, 100},
      {"1.5e1", 0, 15},
      {"1500e-2", 0, 15},
      {"1500e-2", 2, 1500},
      {"100000e-5", 0, 1},
      {"0.000001e6", 0, 1},
      {"0.1", 9, 100000000},
      {"0.123456789", 9, 123456789},
      {"9223372036854775807", 0, INT64_MAX},
      {"-9223372036854775808", 0, INT64_MIN},
      {"92233720368547758.07", 2, INT64_MAX},
      {"-92233720368547758.08", 2, INT64_MIN},
      {"922337203685477580.7e1", 0, INT64_MAX},
      {"1e18", 0, INT64_C(1000000000000000000)},
      {"1e9", 9, INT64_C(1000000000000000000)},
      {"0.0000000000000000000000000000000001e34", 0, 1},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    int64_t v = 42;
    if (tide_decimal_parse(S(cases[i].text), cases[i].decimals, &v) != TIDE_OK || v != cases[i].want) {
      fail_msg("%s with %d decimals gave %" PRId64, cases[i].text, cases[i].decimals, v);
    }
  }
}

static void decimals_say_why_not(void **state) {
  (void)state;
  static const struct {
    const char *text;
    int decimals;
    enum tide_err want;
  } cases[] = {
      {"0.001", 2, TIDE_E_DECIMALS},
      {"1.005", 2, TIDE_E_DECIMALS},
      {"1e-3", 2, TIDE_E_DECIMALS},
      {"1e-99999999999999999999", 9, TIDE_E_DECIMALS},
      {"10.01", 1, TIDE_E_DECIMALS},
      {"0.5", 0, TIDE_E_DECIMALS},
      {"9223372036854775808", 0, TIDE_E_RANGE},
      {"-9223372036854775809", 0, TIDE_E_RANGE},
      {"92233720368547758.08", 2, TIDE_E_RANGE},
      {"10000000000000000000", 0, TIDE_E_RANGE},
      {"18446744073709551617", 0, TIDE_E_RANGE},
      {"1e19", 0, TIDE_E_RANGE},
      {"1e10", 9, TIDE_E_RANGE},
      {"1e99999999999999999999", 0, TIDE_E_RANGE},
      {"99999999999999999999999999999999999999999", 0, TIDE_E_RANGE},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    int64_t v = 42;
    assert_int_equal(tide_decimal_parse(S(cases[i].text), cases[i].decimals, &v), cases[i].want);
    assert_int_equal(v, 42); /* written only on success */
  }
}

static const char *const not_numbers[] = {"",     "-",     "+1",    "01",  "-01",  "00",  ".5",  "5.",  "1.e2", "1e",      "1e+",
                                          "1e-",  " 1",    "1 ",    "1,5", "0x10", "NaN", "nan", "inf", "-inf", "--1",     "1-",
                                          "1..2", "1e2e3", "1e1.5", "1_0", "١",    "1\n", "1a",  "e5",  "-.5",  "Infinity"};

static void the_grammar_is_that_of_json(void **state) {
  (void)state;
  for (size_t i = 0; i < sizeof not_numbers / sizeof not_numbers[0]; i++) {
    int64_t v = 42;
    double d = 42;
    assert_int_equal(tide_decimal_parse(S(not_numbers[i]), 2, &v), TIDE_E_SYNTAX);
    assert_int_equal(tide_int_parse(S(not_numbers[i]), &v), TIDE_E_SYNTAX);
    assert_int_equal(tide_double_parse(S(not_numbers[i]), &d), TIDE_E_SYNTAX);
    assert_int_equal(v, 42);
    assert_true(d == 42);
  }
  int64_t v;
  assert_int_equal(tide_int_parse((struct tide_span){"1\0", 2}, &v), TIDE_E_SYNTAX);
  assert_int_equal(tide_int_parse((struct tide_span){NULL, 0}, &v), TIDE_E_SYNTAX);
}

static void integers_are_plain(void **state) {
  (void)state;
  int64_t v = 42;
  assert_int_equal(tide_int_parse(S("1.0"), &v), TIDE_E_SYNTAX);
  assert_int_equal(tide_int_parse(S("1e3"), &v), TIDE_E_SYNTAX);
  assert_int_equal(tide_int_parse(S("9223372036854775808"), &v), TIDE_E_RANGE);
  assert_int_equal(v, 42);
  assert_int_equal(tide_int_parse(S("-9223372036854775808"), &v), TIDE_OK);
  assert_true(v == INT64_MIN);
  assert_int_equal(tide_int_parse(S("-0"), &v), TIDE_OK);
  assert_true(v == 0);
}

/* Every value of a range, printed and read: nothing is off by one anywhere near the powers of ten. */
static void every_small_amount_round_trips(void **state) {
  (void)state;
  for (int64_t minor = -12000; minor <= 12000; minor++) {
    char text[32];
    int64_t abs = minor < 0 ? -minor : minor, v;
    snprintf(text, sizeof text, "%s%" PRId64 ".%02" PRId64, minor < 0 ? "-" : "", abs / 100, abs % 100);
    assert_int_equal(tide_decimal_parse(S(text), 2, &v), TIDE_OK);
    assert_true(v == minor);
  }
}

static void doubles_are_correctly_rounded(void **state) {
  (void)state;
  static const char *const texts[] = {"0",
                                      "1",
                                      "0.1",
                                      "-0.3",
                                      "1e22",
                                      "1e23",
                                      "123456789012345e22",
                                      "123456789012345678",
                                      "9007199254740993",
                                      "1e-22",
                                      "1e-23",
                                      "4.9e-324",
                                      "2.2250738585072011e-308",
                                      "2.2250738585072014e-308",
                                      "1.7976931348623157e308",
                                      "52.370216",
                                      "4.895168",
                                      "-73.985130",
                                      "0.30000000000000004",
                                      "179769313486231570000000000000000000000000000000000000000000000000000000000000000000000e221",
                                      "1e-400"};
  for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
    double v = 42;
    assert_int_equal(tide_double_parse(S(texts[i]), &v), TIDE_OK);
    assert_true(v == strtod(texts[i], NULL));
  }
  double v = 42;
  assert_int_equal(tide_double_parse(S("1e309"), &v), TIDE_E_RANGE);
  assert_int_equal(tide_double_parse(S("-1e99999999999999999999"), &v), TIDE_E_RANGE);
  assert_true(v == 42);
  assert_int_equal(tide_double_parse((struct tide_span){"1.5999", 3}, &v), TIDE_OK);
  assert_true(v == 1.5);
}

static void doubles_match_the_library_on_random_texts(void **state) {
  (void)state;
  uint64_t seed = 7;
  for (int i = 0; i < 50000; i++) {
    seed = seed * UINT64_C(6364136223846793005) + 1442695040888963407u;
    char text[64];
    snprintf(text, sizeof text, "%s%" PRIu64 ".%0*" PRIu64 "e%d", seed & 1 ? "-" : "", (seed >> 40) % 100000, (int)(1 + (seed >> 8) % 9),
             (seed >> 20) % 10, (int)((seed >> 4) % 60) - 30);
    double v;
    assert_int_equal(tide_double_parse(S(text), &v), TIDE_OK);
    assert_true(v == strtod(text, NULL));
  }
}

static void currencies_by_letters_and_number(void **state) {
  (void)state;
  static const struct {
    const char *text, *code;
    int exponent;
  } cases[] = {{"EUR", "EUR", 2}, {"978", "EUR", 2}, {"USD", "USD", 2}, {"840", "USD", 2}, {"JPY", "JPY", 0}, {"392", "JPY", 0},
               {"KWD", "KWD", 3}, {"414", "KWD", 3}, {"BHD", "BHD", 3}, {"048", "BHD", 3}, {"ALL", "ALL", 2}, {"008", "ALL", 2},
               {"AED", "AED", 2}, {"ZWL", "ZWL", 2}, {"CLF", "CLF", 4}, {"532", "XCG", 2}, {"ANG", "ANG", 2}, {"ISK", "ISK", 2},
               {"352", "ISK", 2}, {"TND", "TND", 3}, {"VND", "VND", 0}};
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    char code[4] = "";
    int exponent = -1;
    assert_int_equal(tide_currency_get(S(cases[i].text), code, &exponent), TIDE_OK);
    assert_string_equal(code, cases[i].code);
    assert_int_equal(exponent, cases[i].exponent);
  }
  static const char *const none[] = {"",    "EU",  "EURO", "eur",  "Eur", "XXX", "XTS", "XAU",
                                     "000", "999", "97",   "0978", "9 8", "ZZZ", "AAA", " EUR"};
  for (size_t i = 0; i < sizeof none / sizeof none[0]; i++) {
    char code[4] = "was";
    int exponent = -1;
    assert_int_equal(tide_currency_get(S(none[i]), code, &exponent), TIDE_E_CURRENCY);
    assert_string_equal(code, "was");
    assert_int_equal(exponent, -1);
  }
}

/* Every letter code that is known is found by its number again, and the table holds what a year's traffic holds. */
static void every_currency_is_reachable(void **state) {
  (void)state;
  int letters = 0, numbers = 0;
  for (char a = 'A'; a <= 'Z'; a++) {
    for (char b = 'A'; b <= 'Z'; b++) {
      for (char c = 'A'; c <= 'Z'; c++) {
        char text[3] = {a, b, c}, code[4];
        int exponent;
        if (tide_currency_get((struct tide_span){text, 3}, code, &exponent) == TIDE_OK) {
          letters++;
          assert_memory_equal(code, text, 3);
          assert_in_range(exponent, 0, 4);
        }
      }
    }
  }
  for (int n = 0; n < 1000; n++) {
    char text[8], code[4], again[4];
    int exponent, other;
    snprintf(text, sizeof text, "%03d", n);
    if (tide_currency_get(S(text), code, &exponent) == TIDE_OK) {
      numbers++;
      assert_int_equal(tide_currency_get(S(code), again, &other), TIDE_OK);
      assert_string_equal(code, again);
      assert_int_equal(exponent, other);
    }
  }
  assert_true(letters > 150);
  assert_int_equal(numbers, letters - 1); /* ANG and XCG share 532 */
}

static void conversion_rounds_half_to_even(void **state) {
  (void)state;
  static const int64_t one = INT64_C(10000000000);
  static const struct {
    int64_t minor;
    int exponent;
    int64_t rate;
    int target;
    int64_t want;
  } cases[] = {
      {5000, 2, INT64_C(10000000000), 2, 5000},
      {1, 2, INT64_C(5000000000), 2, 0}, /* 0.5 -> 0 */
      {3, 2, INT64_C(5000000000), 2, 2}, /* 1.5 -> 2 */
      {5, 2, INT64_C(5000000000), 2, 2}, /* 2.5 -> 2 */
      {7, 2, INT64_C(5000000000), 2, 4}, /* 3.5 -> 4 */
      {-5, 2, INT64_C(5000000000), 2, -2},
      {-7, 2, INT64_C(5000000000), 2, -4},
      {1, 2, INT64_C(5000000001), 2, 1}, /* just above the half */
      {1, 2, INT64_C(4999999999), 2, 0},
      {1000, 0, INT64_C(61000000), 2, 610},      /* 1000 JPY at 0.0061 EUR = 6.10 */
      {12345, 3, INT64_C(30000000000), 2, 3704}, /* 12.345 KWD at 3.0 = 37.035 -> 3703.5 -> even 3704 */
      {12355, 3, INT64_C(30000000000), 2, 3706}, /* 37.065 -> 3706.5 -> even 3706 */
      {150, 2, INT64_C(10000000000), 0, 2},      /* 1.50 -> 2 */
      {250, 2, INT64_C(10000000000), 0, 2},
      {0, 2, INT64_C(10000000000), 0, 0},
      {1, 9, INT64_C(10000000000), 0, 0},
      {TIDE_AMOUNT_MAX, 2, INT64_C(10000000000), 2, TIDE_AMOUNT_MAX},
      {-TIDE_AMOUNT_MAX, 2, INT64_C(10000000000), 2, -TIDE_AMOUNT_MAX},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    int64_t v = 42;
    assert_int_equal(tide_money_convert(cases[i].minor, cases[i].exponent, cases[i].rate, cases[i].target, &v), TIDE_OK);
    if (v != cases[i].want) {
      fail_msg("case %zu gave %" PRId64, i, v);
    }
  }
  int64_t v = 42;
  assert_int_equal(tide_money_convert(TIDE_AMOUNT_MAX + 1, 2, one, 2, &v), TIDE_E_RANGE);
  assert_int_equal(tide_money_convert(TIDE_AMOUNT_MAX, 2, one + 1, 2, &v), TIDE_E_RANGE);
  assert_int_equal(tide_money_convert(TIDE_AMOUNT_MAX, 0, one, 3, &v), TIDE_E_RANGE);
  assert_int_equal(tide_money_convert(INT64_MAX, 0, INT64_MAX, 9, &v), TIDE_E_RANGE); /* no silent overflow of 128 bits */
  assert_int_equal(tide_money_convert(INT64_MIN, 0, INT64_MAX, 9, &v), TIDE_E_RANGE);
  assert_int_equal(tide_money_convert(1, 2, 0, 2, &v), TIDE_E_RANGE);
  assert_int_equal(tide_money_convert(1, 2, -one, 2, &v), TIDE_E_RANGE);
  assert_int_equal(v, 42);
}

static void powers_of_ten(void **state) {
  (void)state;
  int64_t p = 1;
  for (int i = 0; i < 19; i++, p = i < 19 ? p * 10 : p) {
    assert_true(tide_pow10[i] == p);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(decimals_are_exact),
      cmocka_unit_test(decimals_say_why_not),
      cmocka_unit_test(the_grammar_is_that_of_json),
      cmocka_unit_test(integers_are_plain),
      cmocka_unit_test(every_small_amount_round_trips),
      cmocka_unit_test(doubles_are_correctly_rounded),
      cmocka_unit_test(doubles_match_the_library_on_random_texts),
      cmocka_unit_test(currencies_by_letters_and_number),
      cmocka_unit_test(every_currency_is_reachable),
      cmocka_unit_test(conversion_rounds_half_to_even),
      cmocka_unit_test(powers_of_ten),
  };
  return cmocka_run_group_tests_name("num", tests, NULL, NULL);
}
