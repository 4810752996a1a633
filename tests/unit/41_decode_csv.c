/* CSV rows into records: the header, quoting, counts, and that a broken row never shows a secret. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>

#include "adapter/decode.h"
#include "tests/support/mini_spec.h"

#define HEADER "id,ts,pan,minor,merchant,chip,result,label,unread"

struct fixture {
  struct tide_spec *spec;
  struct tide_secret_key key;
  struct tide_decoder *decoder;
};

static struct tide_record record[2];
static int count;
static struct tide_error error;

static struct tide_decoder *open_decoder(struct fixture *f, const char *shape) {
  struct tide_decoder *d;
  struct tide_decode_options options = {.spec = f->spec, .key = &f->key, .shape = shape, .format = TIDE_FORMAT_CSV};
  assert_int_equal(tide_decoder_new(&options, &d, &error), TIDE_OK);
  return d;
}

static int open_fixture(void **state) {
  struct fixture *f = calloc(1, sizeof *f);
  f->spec = mini_cards();
  f->key = mini_key(7);
  f->decoder = open_decoder(f, "flat");
  *state = f;
  return 0;
}

static int close_fixture(void **state) {
  struct fixture *f = *state;
  tide_decoder_free(f->decoder);
  mini_free(f->spec);
  free(f);
  return 0;
}

static void header(struct fixture *f, const char *line, enum tide_err want) {
  tide_decoder_free(f->decoder);
  f->decoder = open_decoder(f, "flat");
  char *copy = strdup(line); /* the header line does not outlive the call */
  memset(&error, 0, sizeof error);
  enum tide_err err = tide_decode_header(f->decoder, tide_span_of(copy), &error);
  free(copy);
  if (err != want) fail_msg("%s: got %d (%s), want %d", line, (int)err, error.text, (int)want);
}

static enum tide_err decode(struct fixture *f, const char *line) {
  static char *copy;
  free(copy);
  size_t len = strlen(line);
  copy = malloc(len ? len : 1);
  memcpy(copy, line, len);
  memset(&error, 0, sizeof error);
  return tide_decode(f->decoder, (struct tide_span){copy, len}, record, &count, &error);
}
static void ok(struct fixture *f, const char *line) {
  if (decode(f, line)) fail_msg("%s: %s", line, error.text);
}
static void refused(struct fixture *f, const char *line, enum tide_err code, const char *field) {
  enum tide_err err = decode(f, line);
  if (err != code) fail_msg("%s: got %d (%s), want %d", line, (int)err, error.text, (int)code);
  assert_string_equal(error.field, field);
}
static struct tide_datum at(const struct fixture *f, const char *name) { return record[0].field[mini_index(f->spec, name)]; }
static void text_is(const struct fixture *f, const char *name, const char *want) {
  assert_int_equal(at(f, name).kind, want ? TIDE_D_TEXT : TIDE_D_NONE);
  if (want && !tide_span_is(at(f, name).text, want)) fail_msg("%s: got %.*s", name, TIDE_SPAN_FMT(at(f, name).text));
}

static void test_row(void **state) {
  struct fixture *f = *state;
  header(f, HEADER, TIDE_OK);
  ok(f, "a1,1772359200250,4111111111111111,1230,Shop,yes,,,x");
  assert_int_equal(count, 1);
  assert_true(record[0].time.ms == INT64_C(1772359200250));
  text_is(f, "id", "a1");
  text_is(f, "kind", "auth"); /* its column is not there, the default is */
  text_is(f, "bin", "41111111");
  assert_true(at(f, "amount").num == 1230);
  assert_true(at(f, "chip").num == 1);
  assert_true(tide_u128_eq(at(f, "pan").key, tide_secret_hash(&f->key, TIDE_SPAN("4111111111111111"))));
  ok(f, "a1,1772359200250,4111111111111111,,,,declined,fraud,");
  assert_int_equal(count, 2);
  assert_int_equal(record[1].outcome.set, 1u << TIDE_DYN_result | 1u << TIDE_DYN_label);
  text_is(f, "merchant", NULL);
  assert_int_equal(at(f, "amount").kind, TIDE_D_NONE);
  ok(f, "a1,1772359200250,4111111111111111,,,,pending,,");
  assert_int_equal(count, 2);
  assert_int_equal(record[1].outcome.set, 1u << TIDE_DYN_result);
}

/* Rows are looked at many bytes at a time: what a cell ends at, and what makes a row another one, may stand at any place of such a piece, and behind several. */
static void test_places(void **state) {
  struct fixture *f = *state;
  header(f, "id,ts,pan,merchant,unread", TIDE_OK);
  char id[200], line[512], want[512];
  for (int n = 1; n < 150; n++) {
    memset(id, 'i', sizeof id);
    id[n] = '\0';
    static const char *const merchant[] = {"Shop", "Caf\xC3\xA9", "\"a,b\"", "\"\"", "x"};
    static const char *const text[] = {"Shop", "Caf\xC3\xA9", "a,b", NULL, "x"};
    for (int m = 0; m < 5; m++) {
      snprintf(line, sizeof line, "%s,1772359200250,4111111111111111,%s,%s", id, merchant[m], m == 4 ? "" : "x");
      ok(f, line);
      text_is(f, "id", id);
      text_is(f, "merchant", text[m]);
      assert_true(tide_u128_eq(at(f, "pan").key, tide_secret_hash(&f->key, TIDE_SPAN("4111111111111111"))));
    }
    snprintf(line, sizeof line, "%s,1772359200250,4111111111111111,\xC3,x", id);
    refused(f, line, TIDE_E_UTF8, "");
    snprintf(line, sizeof line, "%s,1772359200250,4111111111111111,a\"b,x", id);
    refused(f, line, TIDE_E_SYNTAX, "");
    snprintf(line, sizeof line, "%s,1772359200250,4111111111111111,,,", id);
    refused(f, line, TIDE_E_SYNTAX, "");
    snprintf(want, sizeof want, "%s,1772359200250,4111111111111111,", id);
    refused(f, want, TIDE_E_SYNTAX, "");
    size_t len = strlen(want);
    want[len++] = '\0'; /* a byte that no text may have, last but one */
    want[len++] = ',';
    memset(&error, 0, sizeof error);
    assert_int_equal(tide_decode(f->decoder, (struct tide_span){want, len}, record, &count, &error), TIDE_E_SYNTAX);
    assert_non_null(strstr(error.text, "zero byte"));
  }
}

static void test_quotes(void **state) {
  struct fixture *f = *state;
  header(f, "\xEF\xBB\xBFid,\"ts\",pan,merchant", TIDE_OK);
  ok(f, "\"a,1\",\"1772359200250\",1,\"say \"\"hi\"\", \"\"\"");
  text_is(f, "id", "a,1");
  text_is(f, "merchant", "say \"hi\", \"");
  ok(f, "a,1,1,\"\"");
  text_is(f, "merchant", NULL);
  ok(f, "a,1,1, x ");
  text_is(f, "merchant", " x ");
  ok(f, "a,1, 1 ,x");
  assert_true(tide_u128_eq(at(f, "pan").key, tide_secret_hash(&f->key, TIDE_SPAN("1"))));
  refused(f, "a,1,1,\"open", TIDE_E_SYNTAX, "");
  assert_non_null(strstr(error.text, "not closed"));
  refused(f, "a,1,1,\"open\"\"", TIDE_E_SYNTAX, "");
  refused(f, "a,1,1,\"", TIDE_E_SYNTAX, "");
  refused(f, "a,1,1,\"x\"y", TIDE_E_SYNTAX, "");
  refused(f, "a,1,1,x\"y\"", TIDE_E_SYNTAX, "");
  refused(f, "a,1,1,\xff", TIDE_E_UTF8, "");
}

static void test_counts(void **state) {
  struct fixture *f = *state;
  header(f, "id,ts,pan", TIDE_OK);
  refused(f, "a,1", TIDE_E_SYNTAX, "");
  assert_non_null(strstr(error.text, "2 cells"));
  assert_non_null(strstr(error.text, "3 columns"));
  refused(f, "a,1,2,3", TIDE_E_SYNTAX, "");
  refused(f, "a,1,2,", TIDE_E_SYNTAX, "");
  refused(f, "", TIDE_E_SYNTAX, "");
  refused(f, "a,1,", TIDE_E_MISSING, "pan");
  refused(f, ",1,2", TIDE_E_MISSING, "id");
  refused(f, "a,1.5,2", TIDE_E_SYNTAX, "time");
  ok(f, "a,1,2");
}

static void test_header(void **state) {
  struct fixture *f = *state;
  header(f, "id,ts,pan,id", TIDE_E_DUPLICATE_KEY);
  assert_non_null(strstr(error.text, "\"id\""));
  header(f, "id,ts,\"pan\",\"pan\"", TIDE_E_DUPLICATE_KEY);
  header(f, "a1,4111111111111111,4111111111111111", TIDE_E_DUPLICATE_KEY); /* no header at all */
  assert_null(strstr(error.text, "4111"));
  assert_non_null(strstr(error.text, "columns 2 and 3"));
  header(f, "id,,pan", TIDE_E_SYNTAX);
  header(f, "", TIDE_E_SYNTAX);
  header(f, "id,ts,\"pan", TIDE_E_SYNTAX);
  header(f, "id,ts,pam", TIDE_E_MISSING);
  assert_string_equal(error.field, "pan");
  assert_non_null(strstr(error.text, "did you mean \"pam\""));
  header(f, "id,pan", TIDE_E_MISSING);
  assert_string_equal(error.field, "time");
  /* a row before the header */
  tide_decoder_free(f->decoder);
  f->decoder = open_decoder(f, "flat");
  refused(f, "a,1,2", TIDE_E_CONFIG, "");
}

/* A shape with pointers below the top level cannot be read from columns, and says so at once; other shapes that rows cannot take
 * do not matter. */
static void test_deep_pointers(void **state) {
  struct fixture *f = *state;
  tide_decoder_free(f->decoder);
  f->decoder = open_decoder(f, "default");
  assert_int_equal(tide_decode_header(f->decoder, TIDE_SPAN("id,transmitted_at,number"), &error), TIDE_E_CONFIG);
  assert_string_equal(error.field, "amount");
  assert_non_null(strstr(error.text, "default"));
  header(f, "id,ts,pan,type", TIDE_E_CONFIG); /* `type` makes the other shapes reachable */
  assert_non_null(strstr(error.text, "outcomes"));
}

static void test_shape_by_column(void **state) {
  struct fixture *f = *state;
  for (uint32_t i = 0; i < f->spec->shape_count; i++) /* only the flat shapes take part */
    f->spec->shape[i].when_at = NULL;
  struct tide_shape *o = mini_shape(f->spec, "labels", TIDE_REC_OUTCOME);
  o->when_at = "what";
  o->when_value = "label";
  mini_in(f->spec, o, "id", "id");
  mini_in(f->spec, o, "pan", "pan");
  mini_dyn(o, TIDE_DYN_label, "label");
  header(f, "what,id,ts,pan,label", TIDE_OK);
  ok(f, "label,a,,1,genuine");
  assert_int_equal(record[0].type, TIDE_REC_OUTCOME);
  assert_int_equal(record[0].outcome.label, TIDE_LABEL_genuine);
  ok(f, "sale,a,5,1,");
  assert_int_equal(record[0].type, TIDE_REC_EVENT);
  refused(f, "label,a,,1,", TIDE_E_MISSING, "label");
}

/* An optional amount whose column is there needs the column of its currency; without the amount's column nothing is missed. */
static void test_currency_column(void **state) {
  struct fixture *f = *state;
  struct tide_shape *flat = &f->spec->shape[f->spec->shape_count - 1];
  struct tide_input_field *amount = NULL;
  for (uint32_t i = 0; i < flat->field_count; i++)
    if (flat->field[i].field == f->spec->f_amount) amount = &flat->field[i];
  assert_non_null(amount);
  amount->currency = "ccy";
  header(f, "id,ts,pan,minor", TIDE_E_MISSING);
  assert_non_null(strstr(error.text, "ccy"));
  header(f, "id,ts,pan", TIDE_OK);
  header(f, "id,ts,pan,minor,ccy", TIDE_OK);
  ok(f, "a,1,2,700,JPY");
  assert_true(at(f, "amount").num == 700 && at(f, "amount").exponent == 0);
  ok(f, "a,1,2,,");
  refused(f, "a,1,2,700,", TIDE_E_MISSING, "amount");
}

static void masks(struct fixture *f, const char *line, const char *want) {
  struct tide_buf out = TIDE_BUF_INIT;
  tide_decode_mask(f->decoder, tide_span_of(line), &out);
  assert_string_equal(tide_buf_cstr(&out), want);
  tide_buf_release(&out);
}

static void test_mask(void **state) {
  struct fixture *f = *state;
  masks(f, "a,1,4111", "{\"masked\":\"8 bytes, not well-formed\"}"); /* no header yet: nobody knows which cell it is */
  header(f, "id,ts,pan,merchant", TIDE_OK);
  masks(f, "a,1,4111,x", "a,1,***,x");
  masks(f, "\"a \"\"b\",1,\"41\"\"11\",\"x\"", "\"a \"\"b\",1,***,\"x\"");
  masks(f, "a,1,,x", "a,1,,x");
  masks(f, "a,4111,x", "{\"masked\":\"8 bytes, not well-formed\"}");
  masks(f, "a,1,x,4111,y", "{\"masked\":\"12 bytes, not well-formed\"}");
  masks(f, "a,1,\"4111", "{\"masked\":\"9 bytes, not well-formed\"}");
}

int main(void) {
#define T(name) cmocka_unit_test_setup_teardown(name, open_fixture, close_fixture)
  const struct CMUnitTest tests[] = {T(test_row),    T(test_places),        T(test_quotes),          T(test_counts),
                                     T(test_header), T(test_deep_pointers), T(test_shape_by_column), T(test_currency_column),
                                     T(test_mask)};
  return cmocka_run_group_tests_name("decode_csv", tests, NULL, NULL);
}
