/* The JSON writer: exact bytes for each kind of value,
 * and a foreign parser that reads the same values back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>

#include "base/json_out.h"

static struct tide_buf out;

static const char *written(void) { return tide_buf_cstr(&out); }

static int fresh(void **state) {
  (void)state;
  tide_buf_release(&out);
  return 0;
}

static void commas_stand_between_values(void **state) {
  (void)state;
  tide_json_open(&out, '{');
  tide_json_key(&out, "a");
  tide_json_int(&out, 1);
  tide_json_key(&out, "b");
  tide_json_open(&out, '[');
  tide_json_bool(&out, true);
  tide_json_bool(&out, false);
  tide_json_null(&out);
  tide_json_open(&out, '[');
  tide_json_close(&out, ']');
  tide_json_open(&out, '{');
  tide_json_close(&out, '}');
  tide_json_raw(&out, TIDE_SPAN("{\"x\":1}"));
  tide_json_cstr(&out, "");
  tide_json_cstr(&out, ",");
  tide_json_double(&out, 0.5);
  tide_json_money(&out, 5, 2);
  tide_json_close(&out, ']');
  tide_json_key(&out, "c");
  tide_json_cstr(&out, "[");
  tide_json_close(&out, '}');
  tide_buf_char(&out, '\n');
  tide_json_open(&out, '{');
  tide_json_close(&out, '}');
  assert_string_equal(written(), "{\"a\":1,\"b\":[true,false,null,[],{},{\"x\":1},\"\",\",\",0.5,0.05],\"c\":\"[\"}\n{}");
}

static void strings_are_escaped(void **state) {
  (void)state;
  tide_json_str(&out, TIDE_SPAN("a\"b\\c\b\f\n\r\t\x01\x1f\0/\x7f\xc3\xa9\xf0\x9f\x8c\x8a"));
  assert_string_equal(written(), "\"a\\\"b\\\\c\\b\\f\\n\\r\\t\\u0001\\u001f\\u0000/\x7f\xc3\xa9\xf0\x9f\x8c\x8a\"");
  tide_buf_clear(&out);
  tide_json_str(&out, (struct tide_span){NULL, 0});
  assert_string_equal(written(), "\"\"");
}

static void every_byte_survives_a_foreign_parser(void **state) {
  (void)state;
  char all[128];
  for (int i = 0; i < 128; i++) {
    all[i] = (char)i;
  }
  tide_json_open(&out, '[');
  tide_json_str(&out, (struct tide_span){all, sizeof all});
  tide_json_close(&out, ']');
  json_error_t error;
  json_t *json = json_loadb(out.ptr, out.len, JSON_ALLOW_NUL, &error);
  assert_non_null(json);
  json_t *s = json_array_get(json, 0);
  assert_int_equal(json_string_length(s), sizeof all);
  assert_memory_equal(json_string_value(s), all, sizeof all);
  json_decref(json);
}

static void integers_are_plain(void **state) {
  (void)state;
  static const int64_t cases[] = {0, 1, -1, 9, 10, -10, 99, INT64_MAX, INT64_MIN, INT64_C(1000000000000000000)};
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    char want[32];
    snprintf(want, sizeof want, "%" PRId64, cases[i]);
    tide_buf_clear(&out);
    tide_json_int(&out, cases[i]);
    assert_string_equal(written(), want);
  }
}

static void doubles_are_short(void **state) {
  (void)state;
  static const struct {
    double v;
    const char *text;
  } cases[] = {
      {0.0, "0"},
      {-0.0, "0"},
      {1.0, "1"},
      {-7.0, "-7"},
      {0.1, "0.1"},
      {0.1 + 0.2, "0.30000000000000004"},
      {1.0 / 3.0, "0.3333333333333333"},
      {2.0 / 3.0, "0.6666666666666666"},
      {123456.789, "123456.789"},
      {50.25, "50.25"},
      {1e15, "1000000000000000"},
      {9007199254740992.0, "9007199254740992"},
      {-9007199254740992.0, "-9007199254740992"},
      {9007199254740994.0, "9007199254740994"},
      {1e16, "1e+16"},
      {1e22, "1e+22"},
      {1e300, "1e+300"},
      {1.5e-7, "1.5e-07"},
      {5e-324, "5e-324"},
      {1.7976931348623157e308, "1.7976931348623157e+308"},
      {0.931, "0.931"},
      {1e-6, "1e-06"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    tide_buf_clear(&out);
    tide_json_double(&out, cases[i].v);
    assert_string_equal(written(), cases[i].text);
  }
}

/* Whole thousandths, and the doubles beside them, as the first of 15, 16 and 17 digits that reads back the same. */
static void thousandths_are_like_all_others(void **state) {
  (void)state;
  uint64_t seed = 5;
  for (int i = 0; i < 60000; i++) {
    seed = seed * UINT64_C(6364136223846793005) + 1442695040888963407u;
    double exact = (double)(int64_t)(seed >> (14 + i % 50)) / 1000;
    const double tried[] = {exact, -exact, nextafter(exact, 1e300), nextafter(exact, 0)};
    for (int k = 0; k < 4; k++) {
      char text[40] = "";
      double v = tried[k];
      if (!isnormal(v) || trunc(v) == v) continue;
      for (int digits = 15; digits <= 17 && strtod(text, NULL) != v; digits++) snprintf(text, sizeof text, "%.*g", digits, v);
      tide_buf_clear(&out);
      tide_json_double(&out, v);
      assert_string_equal(written(), text);
    }
  }
}

static void doubles_read_back_the_same(void **state) {
  (void)state;
  uint64_t seed = 11;
  for (int i = 0; i < 50000; i++) {
    seed = seed * UINT64_C(6364136223846793005) + 1442695040888963407u;
    uint64_t bits = seed ^ (seed >> 31);
    double v;
    if (i % 2 == 0) {
      memcpy(&v, &bits, sizeof v);
    } else {
      v = (double)(int64_t)(bits >> 30) / 100.0;
    }
    if (!isfinite(v)) {
      continue;
    }
    tide_buf_clear(&out);
    tide_json_double(&out, v);
    assert_true(strtod(written(), NULL) == v);
    for (int shorter = 1; shorter < 15 && i % 2; shorter++) { /* nothing shorter would have done */
      char text[64];
      snprintf(text, sizeof text, "%.*g", shorter, v);
      if (strtod(text, NULL) == v && !strchr(text, 'e')) {
        assert_true(strlen(written()) <= strlen(text));
        break;
      }
    }
  }
}

static void money_is_exact(void **state) {
  (void)state;
  __int128 huge = (__int128)INT64_MAX * 1000000000;
  static const struct {
    int64_t minor;
    int exponent;
    const char *text;
  } cases[] = {{5000, 2, "50.00"},
               {0, 2, "0.00"},
               {7, 2, "0.07"},
               {-7, 2, "-0.07"},
               {-1250, 2, "-12.50"},
               {1500, 0, "1500"},
               {0, 0, "0"},
               {-3, 0, "-3"},
               {1, 3, "0.001"},
               {12345, 4, "1.2345"},
               {INT64_MIN, 2, "-92233720368547758.08"},
               {1, 9, "0.000000001"}};
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    tide_buf_clear(&out);
    tide_json_money(&out, cases[i].minor, cases[i].exponent);
    assert_string_equal(written(), cases[i].text);
  }
  tide_buf_clear(&out);
  tide_json_money(&out, huge, 2);
  assert_string_equal(written(), "92233720368547758070000000.00");
  tide_buf_clear(&out);
  tide_json_open(&out, '[');
  tide_json_money(&out, 1, 2);
  tide_json_money(&out, -1, 2);
  assert_string_equal(written(), "[0.01,-0.01");
}

static void literals_and_texts_in_place(void **state) {
  (void)state;
  tide_json_open(&out, '{');
  TIDE_JSON_KEY(&out, "a");
  size_t text = tide_json_text_begin(&out);
  tide_buf_str(&out, "say \"");
  tide_buf_str(&out, "no\"\n{");
  tide_json_text_end(&out, text);
  TIDE_JSON_NEXT(&out, "b");
  TIDE_JSON_WORD(&out, "word");
  TIDE_JSON_KEY(&out, "c");
  tide_json_open(&out, '[');
  TIDE_JSON_WORD(&out, "x");
  text = tide_json_text_begin(&out);
  tide_json_text_end(&out, text);
  tide_json_piece(&out, "{\"y\":1}", 7);
  tide_json_close(&out, ']');
  tide_json_close(&out, '}');
  assert_string_equal(written(), "{\"a\":\"say \\\"no\\\"\\n{\",\"b\":\"word\",\"c\":[\"x\",\"\",{\"y\":1}]}");
}

/* Texts are looked at eight and four bytes at a time: none may hide behind the length of its text. */
static void nothing_escapes_escaping(void **state) {
  (void)state;
  for (size_t len = 1; len <= 26; len++)
    for (size_t at = 0; at < len; at++)
      for (const char *bad = "\"\\\n\x1f"; *bad; bad++) {
        char text[32];
        memset(text, 'a', len);
        text[len / 2] = '\x7f';
        text[len - 1 - len / 3] = (char)0xc3;
        text[at] = *bad;
        tide_buf_clear(&out);
        tide_json_str(&out, (struct tide_span){text, len});
        size_t more = *bad == 0x1f ? 5 : 1;
        assert_int_equal(out.len, len + 2 + more);
        assert_int_equal(out.ptr[1 + at], '\\');
        tide_buf_clear(&out);
        size_t from = tide_json_text_begin(&out);
        tide_buf_put(&out, text, len);
        tide_json_text_end(&out, from);
        assert_int_equal(out.len, len + 2 + more);
      }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_teardown(commas_stand_between_values, fresh),
      cmocka_unit_test_teardown(strings_are_escaped, fresh),
      cmocka_unit_test_teardown(literals_and_texts_in_place, fresh),
      cmocka_unit_test_teardown(nothing_escapes_escaping, fresh),
      cmocka_unit_test_teardown(every_byte_survives_a_foreign_parser, fresh),
      cmocka_unit_test_teardown(integers_are_plain, fresh),
      cmocka_unit_test_teardown(doubles_are_short, fresh),
      cmocka_unit_test_teardown(thousandths_are_like_all_others, fresh),
      cmocka_unit_test_teardown(doubles_read_back_the_same, fresh),
      cmocka_unit_test_teardown(money_is_exact, fresh),
  };
  return cmocka_run_group_tests_name("json_out", tests, NULL, NULL);
}
