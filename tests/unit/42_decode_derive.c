/* Derived fields: what the functions give, what they refuse to guess, and expressions over fields. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "adapter/decode.h"
#include "base/num.h"
#include "feature/fields.h"
#include "tests/support/mini_spec.h"

static struct tide_record record[2];
static struct tide_error error;

/* Decodes {"x": text} with x -> derived y and gives y; memory lives until the next call. */
static struct tide_datum derived(enum tide_derive_fn fn, int arg0, int arg1, const char *text, bool secret) {
  static struct tide_spec *spec;
  static struct tide_decoder *decoder;
  static struct tide_secret_key key;
  if (decoder) tide_decoder_free(decoder);
  if (spec) mini_free(spec);
  decoder = NULL;
  spec = mini_new();
  key = mini_key(3);
  mini_field(spec, "x", TIDE_F_TEXT)->secret = true; /* derive sees the text of a secret */
  spec->f_time = 1;
  mini_field(spec, "time", TIDE_F_TIME);
  mini_derive(spec, "y", fn, "x", arg0, arg1);
  spec->field[2].secret = secret;
  struct tide_shape *d = mini_shape(spec, "default", TIDE_REC_EVENT);
  mini_opt(mini_in(spec, d, "x", "x"));
  struct tide_decode_options options = {.spec = spec, .key = &key, .format = TIDE_FORMAT_CSV};
  assert_int_equal(tide_decoder_new(&options, &decoder, &error), TIDE_OK);
  assert_int_equal(tide_decode_header(decoder, TIDE_SPAN("x,z"), &error), TIDE_OK);
  static struct tide_buf line;
  tide_buf_clear(&line);
  tide_buf_printf(&line, "%s,", text);
  int count;
  if (tide_decode(decoder, tide_buf_span(&line), record, &count, &error)) fail_msg("%s", error.text);
  return record[0].field[2];
}

static void gives(enum tide_derive_fn fn, int arg0, int arg1, const char *text, const char *want) {
  struct tide_datum d = derived(fn, arg0, arg1, text, false);
  if (!want) {
    if (d.kind != TIDE_D_NONE) fail_msg("%s: got %.*s, want nothing", text, TIDE_SPAN_FMT(d.text));
    return;
  }
  if (d.kind != TIDE_D_TEXT || !tide_span_is(d.text, want))
    fail_msg("%s: got %.*s, want %s", text, d.kind == TIDE_D_TEXT ? (int)d.text.len : 0, d.text.ptr, want);
}

static void test_prefix(void **state) {
  (void)state;
  gives(TIDE_DERIVE_PREFIX, 6, 0, "4111112222", "411111");
  gives(TIDE_DERIVE_PREFIX, 6, 0, "411111", "411111");
  gives(TIDE_DERIVE_PREFIX, 6, 0, "41111", NULL);
  gives(TIDE_DERIVE_PREFIX, 6, 0, "", NULL);
  gives(TIDE_DERIVE_PREFIX, 2, 0, "a\xc3\xa9x", NULL); /* would cut the e acute */
  gives(TIDE_DERIVE_PREFIX, 3, 0, "a\xc3\xa9x", "a\xc3\xa9");
}

static void test_ip_prefix(void **state) {
  (void)state;
  gives(TIDE_DERIVE_IP_PREFIX, 24, 56, "203.0.113.77", "203.0.113.0/24");
  gives(TIDE_DERIVE_IP_PREFIX, 20, 56, "203.0.113.77", "203.0.112.0/20");
  gives(TIDE_DERIVE_IP_PREFIX, 32, 56, "203.0.113.77", "203.0.113.77/32");
  gives(TIDE_DERIVE_IP_PREFIX, 0, 56, "203.0.113.77", "0.0.0.0/0");
  gives(TIDE_DERIVE_IP_PREFIX, 24, 56, "2001:db8:1:2345:6:7:8:9", "2001:db8:1:2300::/56");
  gives(TIDE_DERIVE_IP_PREFIX, 24, 128, "2001:DB8::1", "2001:db8::1/128");
  gives(TIDE_DERIVE_IP_PREFIX, 24, 0, "2001:db8::1", "::/0");
  gives(TIDE_DERIVE_IP_PREFIX, 24, 56, "::ffff:203.0.113.77", "203.0.113.0/24");
  gives(TIDE_DERIVE_IP_PREFIX, 24, 56, "203.0.113", NULL);
  gives(TIDE_DERIVE_IP_PREFIX, 24, 56, "203.0.113.256", NULL);
  gives(TIDE_DERIVE_IP_PREFIX, 24, 56, "host", NULL);
  gives(TIDE_DERIVE_IP_PREFIX, 24, 56, "1234567890123456789012345678901234567890123456789012345678901234", NULL);
}

static void test_email_key(void **state) {
  (void)state;
  gives(TIDE_DERIVE_EMAIL_KEY, 0, 0, "Jo.Doe+shop@Gmail.com", "jodoe@gmail.com");
  gives(TIDE_DERIVE_EMAIL_KEY, 0, 0, " jodoe@googlemail.com ", "jodoe@gmail.com");
  gives(TIDE_DERIVE_EMAIL_KEY, 0, 0, "Jo.Doe+a+b@Example.org", "jo.doe@example.org");
  gives(TIDE_DERIVE_EMAIL_KEY, 0, 0, "nobody", NULL);
  gives(TIDE_DERIVE_EMAIL_KEY, 0, 0, "@example.org", NULL);
  gives(TIDE_DERIVE_EMAIL_KEY, 0, 0, "+tag@example.org", NULL); /* else all of them would be one mailbox */
  gives(TIDE_DERIVE_EMAIL_KEY, 0, 0, "a@", NULL);
}

static void test_lower(void **state) {
  (void)state;
  gives(TIDE_DERIVE_LOWER, 0, 0, "MiXed \xc3\x89 9", "mixed \xc3\x89 9");
  gives(TIDE_DERIVE_LOWER, 0, 0, "", NULL);
}

static void test_secret_derived(void **state) {
  (void)state;
  struct tide_secret_key key = mini_key(3);
  struct tide_datum d = derived(TIDE_DERIVE_LOWER, 0, 0, "ABC", true);
  assert_int_equal(d.kind, TIDE_D_KEY);
  assert_true(tide_u128_eq(d.key, tide_secret_hash(&key, TIDE_SPAN("abc"))));
}

/* cnp = entry in (ecom, moto); half = mcc * 0.5 (decimal 1); where = if(cnp, "a long word from the file", entry) */
static void test_expressions(void **state) {
  (void)state;
  struct tide_spec *spec = mini_new();
  mini_field(spec, "entry", TIDE_F_TEXT);
  spec->f_time = 1;
  mini_field(spec, "time", TIDE_F_TIME);
  mini_field(spec, "mcc", TIDE_F_NUMBER);
  union tide_literal set[2] = {{.code = tide_text_code(TIDE_SPAN("ecom"))}, {.code = tide_text_code(TIDE_SPAN("moto"))}};
  struct tide_expr entry = {.op = TIDE_X_FIELD, .type = TIDE_V_TEXT, .ref = 0}, mcc = {.op = TIDE_X_FIELD, .type = TIDE_V_NUM, .ref = 2};
  struct tide_expr in = {.op = TIDE_X_IN, .type = TIDE_V_BOOL, .a = &entry, .set = set, .set_count = 2};
  struct tide_expr half = {.op = TIDE_X_NUM, .type = TIDE_V_NUM, .num = 0.5};
  struct tide_expr mul = {.op = TIDE_X_MUL, .type = TIDE_V_NUM, .a = &mcc, .b = &half};
  struct tide_expr cnp = {.op = TIDE_X_FIELD, .type = TIDE_V_BOOL, .ref = 3};
  struct tide_expr word = {.op = TIDE_X_TEXT,
                           .type = TIDE_V_TEXT,
                           .code = tide_text_code(TIDE_SPAN("a long word from the file")),
                           .text = "a long word from the file"};
  struct tide_expr choice = {.op = TIDE_X_IF, .type = TIDE_V_TEXT, .a = &cnp, .b = &word, .c = &entry};
  static const char *const name[] = {"cnp", "half", "where"};
  const struct tide_expr *expr[] = {&in, &mul, &choice};
  static const enum tide_ftype type[] = {TIDE_F_BOOL, TIDE_F_NUMBER, TIDE_F_TEXT};
  for (int i = 0; i < 3; i++) {
    struct tide_field *f = mini_field(spec, name[i], type[i]);
    f->derived = true;
    f->derive_fn = TIDE_DERIVE_EXPR;
    f->derive = expr[i];
    f->decimals = 1;
  }
  struct tide_shape *d = mini_shape(spec, "default", TIDE_REC_EVENT);
  mini_opt(mini_in(spec, d, "entry", "entry"));
  mini_opt(mini_in(spec, d, "mcc", "mcc"));
  struct tide_decoder *decoder;
  struct tide_decode_options options = {.spec = spec};
  assert_int_equal(tide_decoder_new(&options, &decoder, &error), TIDE_OK);
  int count;
  assert_int_equal(tide_decode(decoder, TIDE_SPAN("{\"entry\":\"moto\",\"mcc\":5411}"), record, &count, &error), TIDE_OK);
  assert_int_equal(record[0].field[3].kind, TIDE_D_INT);
  assert_true(record[0].field[3].num == 1);
  assert_true(record[0].field[4].num == 27055);
  assert_true(tide_span_is(record[0].field[5].text, "a long word from the file"));
  assert_int_equal(tide_decode(decoder, TIDE_SPAN("{\"entry\":\"a chip read at the till\"}"), record, &count, &error), TIDE_OK);
  assert_true(record[0].field[3].kind == TIDE_D_INT && record[0].field[3].num == 0);
  assert_int_equal(record[0].field[4].kind, TIDE_D_NONE);
  assert_true(tide_span_is(record[0].field[5].text, "a chip read at the till"));
  assert_int_equal(tide_decode(decoder, TIDE_SPAN("{\"mcc\":1}"), record, &count, &error), TIDE_OK);
  assert_int_equal(record[0].field[3].kind, TIDE_D_NONE);
  assert_int_equal(record[0].field[5].kind, TIDE_D_NONE);
  /* no larger than a number of a message may be */
  assert_int_equal(tide_decode(decoder, TIDE_SPAN("{\"mcc\":200000000000000}"), record, &count, &error), TIDE_OK);
  assert_true(record[0].field[4].num == TIDE_NUMBER_MAX);
  assert_int_equal(tide_decode(decoder, TIDE_SPAN("{\"mcc\":200000000000002}"), record, &count, &error), TIDE_OK);
  assert_int_equal(record[0].field[4].kind, TIDE_D_NONE);
  tide_decoder_free(decoder);
  mini_free(spec);
}

static void test_values(void **state) {
  (void)state;
  struct tide_field text = {.type = TIDE_F_TEXT}, number = {.type = TIDE_F_NUMBER, .decimals = 3}, money = {.type = TIDE_F_MONEY},
                    time = {.type = TIDE_F_TIME}, yes = {.type = TIDE_F_BOOL};
  struct tide_datum d = {.kind = TIDE_D_TEXT, .text = TIDE_SPAN("NL")};
  struct tide_value v = tide_field_value(&text, &d);
  assert_true(v.type == TIDE_V_TEXT && v.code == tide_text_code(TIDE_SPAN("NL")));
  d = (struct tide_datum){.kind = TIDE_D_KEY, .key = {.lo = 5, .hi = 9}};
  v = tide_field_value(&text, &d);
  assert_true(v.type == TIDE_V_TEXT && v.code == (UINT64_C(1) << 63 | 5));
  d = (struct tide_datum){.kind = TIDE_D_INT, .num = 1234, .exponent = 2};
  assert_true(tide_field_value(&number, &d).num == 1.234);
  assert_true(tide_field_value(&money, &d).num == 12.34);
  assert_true(tide_field_value(&time, &d).num == 1.234);
  v = tide_field_value(&yes, &d);
  assert_true(v.type == TIDE_V_BOOL && v.yes);
  d.kind = TIDE_D_NONE;
  v = tide_field_value(&number, &d);
  assert_true(v.type == TIDE_V_NULL && v.state == TIDE_S_absent && v.cause == TIDE_C_absent && !v.unknown);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_prefix),         cmocka_unit_test(test_ip_prefix),
                                     cmocka_unit_test(test_email_key),      cmocka_unit_test(test_lower),
                                     cmocka_unit_test(test_secret_derived), cmocka_unit_test(test_expressions),
                                     cmocka_unit_test(test_values)};
  return cmocka_run_group_tests_name("decode_derive", tests, NULL, NULL);
}
