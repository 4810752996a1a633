/* When a row of history became known: every form of time that `known_at` may have, as JSON text and number and as a CSV cell; named by the shape, inherited by
 * a shape that extends it, or by the command line; and what is refused. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "adapter/decode.h"
#include "feature/spec.h"

/* known_at: and what follows stand where %s is. */
static const char features[] = "tidemark: 1\n"
                               "name: known\n"
                               "event: {id: id, time: time, amount: amount in EUR}\n"
                               "inputs:\n"
                               "  default:\n"
                               "    id: id\n"
                               "    time: {at: time, as: epoch_ms}\n"
                               "    amount: {at: amount, optional: true}\n"
                               "    card: card\n"
                               "    %s\n"
                               "  later:\n"
                               "    extends: default\n"
                               "    when: {sort: later}\n"
                               "  other:\n"
                               "    when: {sort: other}\n"
                               "    id: id\n"
                               "    time: {at: time, as: epoch_ms}\n"
                               "    card: card\n"
                               "entities: {card: card}\n"
                               "features: {card: {attempts: \"count over 1h\"}}\n"
                               "policy: {decisions: [approve, decline], rules: [{else: approve}], fallback: [{else: decline}]}\n";

static struct tide_error error;

static struct tide_spec *spec_with(const char *known_at) {
  char text[2048];
  struct tide_spec *spec;
  struct tide_error why[2];
  size_t errors;
  int len = snprintf(text, sizeof text, features, known_at);
  assert_in_range(len, 1, sizeof text - 1);
  enum tide_err err = tide_spec_parse("known", (struct tide_span){text, (size_t)len}, &spec, why, 2, &errors);
  if (err) fail_msg("line %d: %s", why[0].line, why[0].text);
  return spec;
}

/* Decodes one message, which must be good but for its known_at; returns what tide_decode_known_at says. */
static enum tide_err known(const char *known_at, const char *place, const char *header, const char *message, int64_t *ret_ms) {
  struct tide_spec *spec = spec_with(known_at);
  struct tide_decode_options options = {
      .spec = spec, .known_at = true, .known_at_place = place, .format = header ? TIDE_FORMAT_CSV : TIDE_FORMAT_JSON};
  struct tide_decoder *decoder;
  struct tide_record record[2];
  struct tide_etime ret = {-7};
  int count = 0;
  memset(&error, 0, sizeof error);
  if (tide_decoder_new(&options, &decoder, &error)) fail_msg("%s", error.text);
  if (header && tide_decode_header(decoder, tide_span_of(header), &error)) fail_msg("%s", error.text);
  if (tide_decode(decoder, tide_span_of(message), record, &count, &error)) fail_msg("%s: %s", message, error.text);
  assert_true(record[0].time.ms == 5000); /* known_at is not the event's time */
  enum tide_err err = tide_decode_known_at(decoder, &ret, &error);
  if (err) assert_true(ret.ms == -7 && error.code == err && error.text[0]); /* nothing is written on error */
  *ret_ms = ret.ms;
  tide_decoder_free(decoder);
  tide_spec_free(spec);
  return err;
}

static const struct form {
  const char *as, *json, *cell;
  int64_t ms;
} forms[] = {
    {"rfc3339", "\"2026-03-01T10:00:00.250Z\"", "2026-03-01T10:00:00.250Z", INT64_C(1772359200250)},
    {"rfc3339", "\"2026-03-01T11:00:00+01:00\"", "2026-03-01T11:00:00+01:00", INT64_C(1772359200000)},
    {"epoch_s", "1772359200", "1772359200", INT64_C(1772359200000)},
    {"epoch_s", "\"1772359200\"", "1772359200", INT64_C(1772359200000)},
    {"epoch_ms", "1772359200250", "1772359200250", INT64_C(1772359200250)},
    {"epoch_ms", "\"1772359200250\"", "\"1772359200250\"", INT64_C(1772359200250)},
    {"epoch_us", "1772359200250999", "1772359200250999", INT64_C(1772359200250)},
};

static void every_form(void **state) {
  (void)state;
  for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
    char declared[64], message[256];
    int64_t ms;
    snprintf(declared, sizeof declared, "known_at: {at: seen, as: %s}", forms[i].as);
    snprintf(message, sizeof message, "{\"id\":\"a\",\"time\":5000,\"card\":\"c\",\"seen\":%s}", forms[i].json);
    if (known(declared, NULL, NULL, message, &ms)) fail_msg("%s: %s", message, error.text);
    if (ms != forms[i].ms) fail_msg("%s as %s is %lld", forms[i].json, forms[i].as, (long long)ms);
    snprintf(message, sizeof message, "a,5000,c,%s,", forms[i].cell);
    if (known(declared, NULL, "id,time,card,seen,sort", message, &ms)) fail_msg("%s: %s", message, error.text);
    if (ms != forms[i].ms) fail_msg("cell %s as %s is %lld", forms[i].cell, forms[i].as, (long long)ms);
  }
}

/* A bare name takes the form of the shape's event time; a shape that extends another knows it the same way. */
static void named_shortly_and_inherited(void **state) {
  (void)state;
  int64_t ms;
  assert_int_equal(known("known_at: seen", NULL, NULL, "{\"id\":\"a\",\"time\":5000,\"card\":\"c\",\"seen\":9000}", &ms), TIDE_OK);
  assert_int_equal(ms, 9000);
  assert_int_equal(known("known_at: {at: seen, as: epoch_s}", NULL, NULL,
                         "{\"sort\":\"later\",\"id\":\"a\",\"time\":5000,\"card\":\"c\",\"seen\":9}", &ms),
                   TIDE_OK);
  assert_int_equal(ms, 9000);
}

/* The command line's place goes before the shape's, for every shape, also one that has none; the form stays the shape's. */
static void another_place(void **state) {
  (void)state;
  int64_t ms;
  static const char message[] = "{\"id\":\"a\",\"time\":5000,\"card\":\"c\",\"seen\":9,\"in\":{\"at\":8}}";
  assert_int_equal(known("known_at: {at: seen, as: epoch_s}", "/in/at", NULL, message, &ms), TIDE_OK);
  assert_int_equal(ms, 8000);
  static const char other[] = "{\"sort\":\"other\",\"id\":\"a\",\"time\":5000,\"card\":\"c\",\"in\":{\"at\":8}}";
  assert_int_equal(known("known_at: {at: seen, as: epoch_s}", "/in/at", NULL, other, &ms), TIDE_OK);
  assert_int_equal(ms, 8);
}

static void refused(void **state) {
  (void)state;
  static const struct {
    const char *as, *member;
    enum tide_err err;
  } rows[] = {
      {"epoch_ms", "", TIDE_E_MISSING},
      {"epoch_ms", ",\"seen\":null", TIDE_E_MISSING},
      {"epoch_ms", ",\"seen\":true", TIDE_E_MISSING},
      {"epoch_ms", ",\"seen\":\"yesterday\"", TIDE_E_SYNTAX},
      {"epoch_ms", ",\"seen\":1.5", TIDE_E_SYNTAX},
      {"rfc3339", ",\"seen\":1772359200", TIDE_E_SYNTAX},
      {"rfc3339", ",\"seen\":\"2026-02-30T00:00:00Z\"", TIDE_E_RANGE},
      {"epoch_s", ",\"seen\":9223372036854775807", TIDE_E_RANGE},
  };
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    char declared[64], message[256];
    int64_t ms;
    snprintf(declared, sizeof declared, "known_at: {at: seen, as: %s}", rows[i].as);
    snprintf(message, sizeof message, "{\"id\":\"a\",\"time\":5000,\"card\":\"c\"%s}", rows[i].member);
    enum tide_err err = known(declared, NULL, NULL, message, &ms);
    if (err != rows[i].err) fail_msg("%s as %s: %s", message, rows[i].as, err ? error.text : "accepted");
    assert_string_equal(error.field, "known_at");
  }
}

/* An empty cell is a value that is missing, not a text that is no time (ruling 1); so is a cell with nothing between its quotes. */
static void an_empty_cell_is_missing(void **state) {
  (void)state;
  static const char *const rows[] = {"a,5000,c,,", "a,5000,c,\"\","};
  for (size_t i = 0; i < 2; i++) {
    int64_t ms;
    assert_int_equal(known("known_at: {at: seen, as: epoch_ms}", NULL, "id,time,card,seen,sort", rows[i], &ms), TIDE_E_MISSING);
    assert_string_equal(error.field, "known_at");
  }
}

static void not_declared(void **state) {
  (void)state;
  int64_t ms;
  assert_int_equal(known("known_at: seen", NULL, NULL, "{\"sort\":\"other\",\"id\":\"a\",\"time\":5000,\"card\":\"c\",\"seen\":9}", &ms),
                   TIDE_E_CONFIG);
  assert_non_null(strstr(error.text, "\"other\""));
  assert_true(error.line > 0);
}

/* In CSV a header without the column is refused at once, not row by row. */
static void the_column_is_required(void **state) {
  (void)state;
  struct tide_spec *spec = spec_with("known_at: seen");
  for (int asked = 0; asked < 2; asked++) {
    struct tide_decode_options options = {.spec = spec, .known_at = asked, .format = TIDE_FORMAT_CSV};
    struct tide_decoder *decoder;
    assert_int_equal(tide_decoder_new(&options, &decoder, &error), TIDE_OK);
    assert_int_equal(tide_decode_header(decoder, TIDE_SPAN("id,time,card,sort"), &error), asked ? TIDE_E_MISSING : TIDE_OK);
    if (asked) assert_non_null(strstr(error.text, "seen"));
    tide_decoder_free(decoder);
  }
  tide_spec_free(spec);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(every_form),
                                     cmocka_unit_test(named_shortly_and_inherited),
                                     cmocka_unit_test(another_place),
                                     cmocka_unit_test(refused),
                                     cmocka_unit_test(an_empty_cell_is_missing),
                                     cmocka_unit_test(not_declared),
                                     cmocka_unit_test(the_column_is_required)};
  return cmocka_run_group_tests_name("decode_known_at", tests, NULL, NULL);
}
