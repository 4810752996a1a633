/* What a server asks of the decoder beyond replay: a time that may be missing, questions in which everything may be, a member beside the message, and
 * where a field stands in the message. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "adapter/decode.h"
#include "tests/support/small_fold.h"

static struct tide_decoder *decoder_of(const struct tide_spec *spec, bool time_optional, bool all_optional) {
  struct tide_decode_options options = {.spec = spec, .time_optional = time_optional, .all_optional = all_optional, .beside = "/options"};
  struct tide_decoder *decoder;
  struct tide_error error = {0};
  assert_int_equal(tide_decoder_new(&options, &decoder, &error), TIDE_OK);
  return decoder;
}

static void time_may_be_missing(void **state) {
  (void)state;
  struct tide_spec *spec = small_spec();
  struct tide_record record[2];
  struct tide_error error = {0};
  int count;
  static const char message[] = "{\"id\":\"a\",\"amount\":\"1.00\",\"currency\":\"EUR\",\"card\":\"c\"}";
  struct tide_decoder *strict = decoder_of(spec, false, false), *stamped = decoder_of(spec, true, false);
  assert_int_equal(tide_decode(strict, tide_span_of(message), record, &count, &error), TIDE_E_MISSING);
  assert_string_equal(error.field, "time");
  assert_int_equal(tide_decode(stamped, tide_span_of(message), record, &count, &error), TIDE_OK);
  assert_true(record[0].flags & TIDE_REC_STAMPED);
  assert_int_equal(tide_decode(stamped, TIDE_SPAN("{\"id\":\"a\",\"time\":5,\"amount\":\"1.00\",\"currency\":\"EUR\",\"card\":\"c\"}"),
                               record, &count, &error),
                   TIDE_OK);
  assert_false(record[0].flags & TIDE_REC_STAMPED);
  assert_int_equal(record[0].time.ms, 5);
  /* only the time */
  assert_int_equal(tide_decode(stamped, TIDE_SPAN("{\"id\":\"a\"}"), record, &count, &error), TIDE_E_MISSING);
  tide_decoder_free(strict);
  tide_decoder_free(stamped);
  tide_spec_free(spec);
}

static void questions_need_nothing(void **state) {
  (void)state;
  struct tide_spec *spec = small_spec();
  struct tide_record record[2];
  struct tide_error error = {0};
  int count;
  struct tide_decoder *decoder = decoder_of(spec, true, true);
  assert_int_equal(tide_decode(decoder, TIDE_SPAN("{}"), record, &count, &error), TIDE_OK);
  assert_int_equal(tide_decode(decoder, TIDE_SPAN("{\"card\":\"c\"}"), record, &count, &error), TIDE_OK);
  assert_int_equal(record[0].field[tide_spec_field(spec, "card")].kind, TIDE_D_TEXT);
  assert_int_equal(record[0].field[tide_spec_field(spec, "id")].kind, TIDE_D_NONE);
  /* what is there must still be right */
  assert_int_equal(tide_decode(decoder, TIDE_SPAN("{\"amount\":\"1.005\",\"currency\":\"EUR\"}"), record, &count, &error), TIDE_E_DECIMALS);
  tide_decoder_free(decoder);
  tide_spec_free(spec);
}

static void beside_and_place(void **state) {
  (void)state;
  struct tide_spec *spec = small_spec();
  struct tide_record record[2];
  struct tide_error error = {0};
  int count;
  struct tide_decoder *decoder = decoder_of(spec, true, true);
  assert_false(tide_decode_beside(decoder));
  assert_null(tide_decode_place(decoder, "card")); /* nothing decoded yet */
  static const char *const with[] = {"{\"options\":{}}", "{\"options\":[1]}", "{\"options\":1}", "{\"options\":null}",
                                     "{\"o\\u0070tions\":\"x\"}"};
  for (size_t i = 0; i < sizeof with / sizeof with[0]; i++) {
    assert_int_equal(tide_decode(decoder, tide_span_of(with[i]), record, &count, &error), TIDE_OK);
    assert_true(tide_decode_beside(decoder));
    assert_int_equal(tide_decode(decoder, TIDE_SPAN("{\"card\":{\"options\":1}}"), record, &count, &error), TIDE_E_TYPE);
    assert_false(tide_decode_beside(decoder));
  }
  assert_string_equal(tide_decode_place(decoder, "card"), "/card");
  assert_string_equal(tide_decode_place(decoder, "amount"), "/amount");
  assert_null(tide_decode_place(decoder, "nothing"));
  assert_int_equal(tide_decode(decoder, TIDE_SPAN("{"), record, &count, &error), TIDE_E_SYNTAX);
  assert_null(tide_decode_place(decoder, "card")); /* no shape was found */
  tide_decoder_free(decoder);
  tide_spec_free(spec);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(time_may_be_missing),
      cmocka_unit_test(questions_need_nothing),
      cmocka_unit_test(beside_and_place),
  };
  return cmocka_run_group_tests_name("decode_request", tests, NULL, NULL);
}
