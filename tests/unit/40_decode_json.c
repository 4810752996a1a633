/* JSON lines into records: what is read, what is refused, and that the refusal names field and reason. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "adapter/decode.h"
#include "tests/support/mini_spec.h"

#include "base/num.h"
#include "base/utf8.h"

#define FULL                                                                                                                               \
  "{\"id\":\"a1\",\"transmitted_at\":\"2026-03-01T10:00:00.250Z\",\"billing\":{\"amount\":12.30,\"currency\":\"EUR\"},"                    \
  "\"card\":{\"number\":\" 4111111111111111 \",\"x\":[1,{\"number\":2}]},\"merchant\":{\"id\":\"M\\u00e9-7\",\"mcc\":5411},"               \
  "\"place\":[52.370216,4.89],\"chip\":true,\"ip\":\"203.0.113.77\",\"email\":\" Jo.Doe+shop@GoogleMail.com \",\"unread\":null"

struct fixture {
  struct tide_spec *spec;
  struct tide_secret_key key, old;
  struct tide_decoder *decoder;
};

static int open_fixture(void **state) {
  struct fixture *f = calloc(1, sizeof *f);
  f->spec = mini_cards();
  f->key = mini_key(7);
  f->old = mini_key(8);
  struct tide_error error;
  struct tide_decode_options options = {.spec = f->spec, .key = &f->key};
  assert_int_equal(tide_decoder_new(&options, &f->decoder, &error), TIDE_OK);
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

static struct tide_record record[2];
static int count;
static struct tide_error error;

/* The line lives in a heap block of exactly its size, so that the address sanitizer sees a byte too much. */
static enum tide_err decode_span(struct fixture *f, struct tide_span line) {
  static char *copy;
  free(copy);
  copy = malloc(line.len ? line.len : 1);
  memcpy(copy, line.ptr, line.len);
  memset(&error, 0, sizeof error);
  memset(record, 0xAA, sizeof record);
  count = -1;
  enum tide_err err = tide_decode(f->decoder, (struct tide_span){copy, line.len}, record, &count, &error);
  if (err) {
    assert_int_equal(count, -1); /* nothing is written on error */
    assert_int_equal(record[0].type, 0xAA);
    assert_int_equal(error.code, err);
    assert_true(tide_utf8_valid(tide_span_of(error.text)));
    assert_true(error.text[0] != 0);
  }
  return err;
}
static enum tide_err decode(struct fixture *f, const char *line) { return decode_span(f, tide_span_of(line)); }

static void ok(struct fixture *f, const char *line) {
  enum tide_err err = decode(f, line);
  if (err) fail_msg("%s: %s", line, error.text);
}
static void refused(struct fixture *f, const char *line, enum tide_err code, const char *field) {
  enum tide_err err = decode(f, line);
  if (err != code) fail_msg("%s: got %d (%s), want %d", line, (int)err, err ? error.text : "ok", (int)code);
  assert_string_equal(error.field, field);
}

static struct tide_datum at(const struct fixture *f, const char *name) { return record[0].field[mini_index(f->spec, name)]; }
static void text_is(const struct fixture *f, const char *name, const char *want) {
  struct tide_datum d = at(f, name);
  if (!want) {
    assert_int_equal(d.kind, TIDE_D_NONE);
    return;
  }
  assert_int_equal(d.kind, TIDE_D_TEXT);
  if (!tide_span_is(d.text, want)) fail_msg("%s: got %.*s, want %s", name, TIDE_SPAN_FMT(d.text), want);
}
static void num_is(const struct fixture *f, const char *name, int64_t want) {
  assert_int_equal(at(f, name).kind, TIDE_D_INT);
  assert_true(at(f, name).num == want);
}

static void test_whole_event(void **state) {
  struct fixture *f = *state;
  ok(f, FULL "}");
  assert_int_equal(count, 1);
  assert_int_equal(record[0].type, TIDE_REC_EVENT);
  assert_int_equal(record[0].flags, 0);
  assert_true(record[0].time.ms == INT64_C(1772359200250));
  text_is(f, "id", "a1");
  text_is(f, "kind", "auth");
  text_is(f, "merchant", "M\xc3\xa9-7");
  text_is(f, "low", "m\xc3\xa9-7");
  text_is(f, "net", "203.0.113.0/24");
  text_is(f, "mail", "jodoe@gmail.com");
  text_is(f, "bin", "41111111");
  num_is(f, "amount", 1230);
  assert_string_equal(at(f, "amount").currency, "EUR");
  assert_int_equal(at(f, "amount").exponent, 2);
  num_is(f, "mcc", 5411);
  num_is(f, "lat", 52370216);
  num_is(f, "chip", 1);
  num_is(f, "time", INT64_C(1772359200250));
  struct tide_datum pan = at(f, "pan");
  assert_int_equal(pan.kind, TIDE_D_KEY);
  assert_true(tide_u128_eq(pan.key, tide_secret_hash(&f->key, TIDE_SPAN("4111111111111111"))));
  assert_true(tide_u128_eq(pan.alt, (struct tide_u128){0, 0}));
  assert_int_equal(record[0].key_id, f->key.id);
}

static void test_numbers_as_texts_and_back(void **state) {
  struct fixture *f = *state;
  ok(f, "{\"id\":123456789012345678901234567890,\"transmitted_at\":\"2026-03-01T10:00:00Z\",\"card\":{\"number\":4111111111111111},"
        "\"billing\":{\"amount\":\"0.10\",\"currency\":978},\"merchant\":{\"mcc\":\"5411\"},\"chip\":\"no\"}");
  text_is(f, "id", "123456789012345678901234567890");
  num_is(f, "amount", 10);
  assert_string_equal(at(f, "amount").currency, "EUR");
  num_is(f, "mcc", 5411);
  num_is(f, "chip", 0);
  assert_true(tide_u128_eq(at(f, "pan").key, tide_secret_hash(&f->key, TIDE_SPAN("4111111111111111"))));
}

#define BASE "{\"id\":\"a\",\"transmitted_at\":\"2026-03-01T10:00:00Z\",\"card\":{\"number\":\"4111\"}"

static void test_missing(void **state) {
  struct fixture *f = *state;
  ok(f, BASE ",\"merchant\":{\"id\":\"\",\"mcc\":null},\"type\":\"\",\"billing\":{\"amount\":\"\"}}");
  text_is(f, "merchant", NULL);
  text_is(f, "low", NULL);
  text_is(f, "bin", NULL); /* shorter than 8 */
  text_is(f, "kind", "auth");
  assert_int_equal(at(f, "mcc").kind, TIDE_D_NONE);
  assert_int_equal(at(f, "amount").kind, TIDE_D_NONE);
  refused(f, "{}", TIDE_E_MISSING, "id");
  refused(f, "{\"id\":\"\"}", TIDE_E_MISSING, "id");
  refused(f, "{\"id\":null}", TIDE_E_MISSING, "id");
  refused(f, "{\"id\":1,\"transmitted_at\":\"2026-03-01T10:00:00Z\",\"card\":{\"number\":\"   \"}}", TIDE_E_MISSING, "pan");
  refused(f, "{\"id\":1,\"transmitted_at\":\"2026-03-01T10:00:00Z\",\"card\":7}", TIDE_E_MISSING, "pan");
  refused(f, "{\"id\":1,\"card\":{\"number\":\"1\"}}", TIDE_E_MISSING, "time");
  refused(f, BASE ",\"billing\":{\"amount\":1}}", TIDE_E_MISSING, "amount"); /* its currency */
}

static void test_stamped_when_the_time_is_optional(void **state) {
  struct fixture *f = *state;
  f->spec->shape[0].field[1].optional = true;
  tide_decoder_free(f->decoder);
  assert_int_equal(tide_decoder_new(&(struct tide_decode_options){.spec = f->spec, .key = &f->key}, &f->decoder, &error), TIDE_OK);
  ok(f, "{\"id\":1,\"card\":{\"number\":\"1\"}}");
  assert_int_equal(record[0].flags, TIDE_REC_STAMPED);
  assert_true(record[0].time.ms == 0);
  ok(f, BASE "}");
  assert_int_equal(record[0].flags, 0);
}

static void test_types(void **state) {
  struct fixture *f = *state;
  refused(f, "{\"id\":[1]}", TIDE_E_TYPE, "id");
  refused(f, "{\"id\":{}}", TIDE_E_TYPE, "id");
  refused(f, "{\"id\":true}", TIDE_E_TYPE, "id");
  refused(f, BASE ",\"chip\":\"maybe\"}", TIDE_E_TYPE, "chip");
  refused(f, BASE ",\"chip\":2}", TIDE_E_TYPE, "chip");
  refused(f, BASE ",\"merchant\":{\"mcc\":\"x\"}}", TIDE_E_SYNTAX, "mcc");
  refused(f, BASE ",\"merchant\":{\"mcc\":1.5}}", TIDE_E_DECIMALS, "mcc");
  refused(f, BASE ",\"merchant\":{\"mcc\":true}}", TIDE_E_TYPE, "mcc");
  refused(f, BASE ",\"merchant\":{\"mcc\":\"NaN\"}}", TIDE_E_SYNTAX, "mcc");
  refused(f, BASE ",\"merchant\":{\"mcc\":9223372036854775808}}", TIDE_E_RANGE, "mcc");
  refused(f, BASE ",\"merchant\":{\"mcc\":-1000000000000001}}", TIDE_E_RANGE, "mcc"); /* sums of squares must fit */
  ok(f, BASE ",\"merchant\":{\"mcc\":-1000000000000000}}");
  refused(f, BASE ",\"place\":[1.1234567]}", TIDE_E_DECIMALS, "lat");
  ok(f, BASE ",\"place\":[1.1234560000]}");
  refused(f, "{\"id\":1,\"transmitted_at\":\"yesterday\",\"card\":{\"number\":1}}", TIDE_E_SYNTAX, "time");
}

static void test_amounts_are_exact(void **state) {
  struct fixture *f = *state;
  static const struct {
    const char *amount, *currency;
    enum tide_err err;
    int64_t minor;
    int exponent;
  } cases[] = {
      {"0.1", "EUR", TIDE_OK, 10, 2},
      {"0", "EUR", TIDE_OK, 0, 2},
      {"-0", "EUR", TIDE_OK, 0, 2},
      {"1e3", "EUR", TIDE_OK, 100000, 2},
      {"9007199254.74", "EUR", TIDE_OK, INT64_C(900719925474), 2},
      {"10000000000.00", "EUR", TIDE_OK, TIDE_AMOUNT_MAX, 2},
      {"10000000000.01", "EUR", TIDE_E_RANGE, 0, 0},
      {"-0.01", "EUR", TIDE_E_RANGE, 0, 0},
      {"0.005", "EUR", TIDE_E_DECIMALS, 0, 0},
      {"1.100", "EUR", TIDE_OK, 110, 2},
      {"7", "JPY", TIDE_OK, 7, 0},
      {"7.5", "JPY", TIDE_E_DECIMALS, 0, 0},
      {"1.234", "KWD", TIDE_OK, 1234, 3},
      {"1", "eur", TIDE_E_CURRENCY, 0, 0},
      {"1", "XQZ", TIDE_E_CURRENCY, 0, 0},
      {"99999999999999999999", "EUR", TIDE_E_RANGE, 0, 0},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    for (int quoted = 0; quoted < 2; quoted++) {
      char line[512];
      const char *q = quoted ? "\"" : "";
      snprintf(line, sizeof line, BASE ",\"billing\":{\"amount\":%s%s%s,\"currency\":\"%s\"}}", q, cases[i].amount, q, cases[i].currency);
      if (cases[i].err) {
        refused(f, line, cases[i].err, "amount");
        continue;
      }
      ok(f, line);
      num_is(f, "amount", cases[i].minor);
      assert_int_equal(at(f, "amount").exponent, cases[i].exponent);
      assert_string_equal(at(f, "amount").currency, cases[i].currency);
    }
  }
  refused(f, BASE ",\"billing\":{\"amount\":1,\"currency\":true}}", TIDE_E_TYPE, "amount");
}

static void test_structure(void **state) {
  struct fixture *f = *state;
  static const struct {
    const char *line;
    enum tide_err err;
  } cases[] = {
      {"", TIDE_E_SYNTAX},
      {"   ", TIDE_E_SYNTAX},
      {"{", TIDE_E_SYNTAX},
      {BASE, TIDE_E_SYNTAX},
      {BASE "}}", TIDE_E_TRAILING},
      {BASE "} {}", TIDE_E_TRAILING},
      {BASE "} 1", TIDE_E_TRAILING},
      {BASE "}1", TIDE_E_TRAILING},
      {BASE "}\"", TIDE_E_TRAILING},
      {BASE "}tru", TIDE_E_TRAILING},
      {BASE "}\"}", TIDE_E_TRAILING},
      {BASE "},", TIDE_E_TRAILING},
      {BASE "}/", TIDE_E_TRAILING},
      {BASE "} /* c */", TIDE_E_TRAILING},
      {"[]", TIDE_E_TYPE},
      {"1", TIDE_E_TYPE},
      {"\"x\"", TIDE_E_TYPE},
      {"null", TIDE_E_TYPE},
      {"{\"a\":1,}", TIDE_E_SYNTAX},
      {"{\"a\":01}", TIDE_E_SYNTAX},
      {"{\"a\":+1}", TIDE_E_SYNTAX},
      {"{\"a\":.5}", TIDE_E_SYNTAX},
      {"{\"a\":1.}", TIDE_E_SYNTAX},
      {"{\"a\":-01}", TIDE_E_SYNTAX},
      {"{\"a\":-}", TIDE_E_SYNTAX},
      {"{\"a\":1e}", TIDE_E_SYNTAX},
      {"{\"a\":\v1}", TIDE_E_SYNTAX},
      {"{\"a\":1\f}", TIDE_E_SYNTAX},
      {"{\"a\"\xc2\xa0:1}", TIDE_E_SYNTAX},
      {"{\"a\":NaN}", TIDE_E_SYNTAX},
      {"{\"a\":Infinity}", TIDE_E_SYNTAX},
      {"{a:1}", TIDE_E_SYNTAX},
      {"{'a':1}", TIDE_E_SYNTAX},
      {"{\"a\":\"\t\"}", TIDE_E_SYNTAX},
      {"{\"a\":\"\\x\"}", TIDE_E_SYNTAX},
      {"{\"a\":\"\\u00\"}", TIDE_E_SYNTAX},
      {"{\"a\":\"\\u0000\"}", TIDE_E_SYNTAX},
      {"{\"a\\u0000\":1}", TIDE_E_SYNTAX},
      {"{\"a\":\"\\ud800\"}", TIDE_E_SYNTAX},
      {"{\"a\":\"\\ud800x\"}", TIDE_E_SYNTAX},
      {"{\"a\":\"\\udc00\\ud800\"}", TIDE_E_SYNTAX},
      {"{\"a\":\"\xff\"}", TIDE_E_UTF8},
      {"{\"a\":\"\xed\xa0\x80\"}", TIDE_E_UTF8},
      {"{\"a\":\"\xc0\xaf\"}", TIDE_E_UTF8},
      {"{\"a\":1,\"a\":2}", TIDE_E_DUPLICATE_KEY},
      {"{\"a\":1,\"\\u0061\":2}", TIDE_E_DUPLICATE_KEY},
      {"{\"b\":{\"c\":[{\"x\":1,\"y\":2,\"x\":3}]}}", TIDE_E_DUPLICATE_KEY},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    refused(f, cases[i].line, cases[i].err, "");
    ok(f, BASE "}"); /* and the next message is not touched by it */
    text_is(f, "id", "a");
  }
  static const char *const unfinished[] = {"{\"a\":\"x", "{\"a\":tru", "{\"a\":1", "{\"a\":1e", "{\"a", "{\"a\":\"\\", BASE};
  for (size_t i = 0; i < sizeof unfinished / sizeof unfinished[0]; i++) {
    refused(f, unfinished[i], TIDE_E_SYNTAX, "");
    assert_string_equal(error.text, "the message ends before its object does");
    assert_int_equal(error.column, strlen(unfinished[i]));
  }
  decode(f, "{\"twice\":1,\"twice\":2}");
  assert_non_null(strstr(error.text, "twice"));
  static const char *const cut[] = {BASE, BASE ",\"currency\":\"EU", BASE ",\"not", BASE ",\"a\":tru", BASE ",\"a\":-", BASE ",\"a\":[1,"};
  for (size_t i = 0; i < sizeof cut / sizeof cut[0]; i++) {
    refused(f, cut[i], TIDE_E_SYNTAX, "");
    assert_string_equal(error.text, "the message ends before its object does"); /* not "byte 0", whatever it was cut in */
  }
  ok(f, BASE ",\"a\":{\"id\":1},\"b\":{\"id\":1},\"c\":[{\"id\":1},{\"id\":1}]} \r\n\t ");
  assert_int_equal(decode_span(f, (struct tide_span){"{\"a\":\"\0\"}", 9}), TIDE_E_SYNTAX);
  ok(f, BASE ",\"merchant\":{\"id\":\"\\ud83d\\ude00 \\\\u0000 \\\"\"}}");
  text_is(f, "merchant", "\xf0\x9f\x98\x80 \\u0000 \"");
}

static void test_depth(void **state) {
  struct fixture *f = *state;
  for (int depth = 30; depth <= 34; depth++) {
    char line[512] = BASE ",\"deep\":";
    for (int i = 1; i < depth; i++) strcat(line, "[");
    for (int i = 1; i < depth; i++) strcat(line, "]");
    strcat(line, "}");
    if (depth <= 32) ok(f, line);
    else refused(f, line, TIDE_E_SYNTAX, "");
  }
}

static void test_many_keys(void **state) {
  struct fixture *f = *state;
  struct tide_buf line = TIDE_BUF_INIT;
  for (int dup = 0; dup < 2; dup++) {
    tide_buf_clear(&line);
    tide_buf_str(&line, BASE);
    for (int i = 0; i < 20000; i++) tide_buf_printf(&line, ",\"k%d\":%d", i, i);
    if (dup) tide_buf_str(&line, ",\"k7\":0");
    tide_buf_char(&line, '}');
    assert_int_equal(decode_span(f, tide_buf_span(&line)), dup ? TIDE_E_DUPLICATE_KEY : TIDE_OK);
  }
  tide_buf_release(&line);
}

static void test_long_texts(void **state) {
  struct fixture *f = *state;
  struct tide_buf line = TIDE_BUF_INIT;
  for (int len = 65534; len <= 65536; len++) {
    tide_buf_clear(&line);
    tide_buf_str(&line, BASE ",\"merchant\":{\"id\":\"");
    for (int i = 0; i < len; i++) tide_buf_char(&line, 'x');
    tide_buf_str(&line, "\"}}");
    enum tide_err err = decode_span(f, tide_buf_span(&line));
    assert_int_equal(err, len > 65535 ? TIDE_E_TOO_LONG : TIDE_OK);
    if (err) assert_string_equal(error.field, "merchant");
  }
  tide_buf_release(&line);
}

static void test_row_outcome(void **state) {
  struct fixture *f = *state;
  ok(f, BASE ",\"response_code\":\"51\",\"reason\":\"51\"}");
  assert_int_equal(count, 2);
  assert_int_equal(record[0].type, TIDE_REC_EVENT);
  assert_int_equal(record[0].outcome.set, 0);
  assert_int_equal(record[1].type, TIDE_REC_OUTCOME);
  assert_int_equal(record[1].flags, TIDE_REC_SAME_ROW);
  assert_int_equal(record[1].outcome.set, 1u << TIDE_DYN_result | 1u << TIDE_DYN_reason);
  assert_int_equal(record[1].outcome.result, TIDE_RESULT_declined);
  assert_memory_equal(record[1].outcome.reason, "51\0\0\0\0\0\0", 8);
  uint32_t id = mini_index(f->spec, "id"), pan = mini_index(f->spec, "pan");
  assert_true(tide_span_is(record[1].field[id].text, "a"));
  assert_true(tide_u128_eq(record[1].field[pan].key, record[0].field[pan].key));
  assert_int_equal(record[1].key_id, f->key.id);
  assert_true(record[1].time.ms == record[0].time.ms);
  ok(f, BASE ",\"response_code\":\"\",\"disputed\":null}");
  assert_int_equal(count, 1);
  ok(f, BASE ",\"disputed\":false}");
  assert_int_equal(count, 2);
  assert_int_equal(record[1].outcome.set, 1u << TIDE_DYN_disputed);
  refused(f, BASE ",\"response_code\":\"99\"}", TIDE_E_TYPE, "result");
  assert_non_null(strstr(error.text, "99"));
  refused(f, BASE ",\"reason\":\"123456789\"}", TIDE_E_TOO_LONG, "reason");
}

static void test_outcome(void **state) {
  struct fixture *f = *state;
  ok(f, "{\"type\":\"outcome\",\"id\":\"a\",\"card\":{\"number\":\"4111\"},\"label\":\"fraud\",\"amount_now\":\"700\"}");
  assert_int_equal(count, 1);
  assert_int_equal(record[0].type, TIDE_REC_OUTCOME);
  assert_int_equal(record[0].flags, 0);
  assert_int_equal(record[0].outcome.label, TIDE_LABEL_fraud);
  assert_true(record[0].outcome.amount_now == 700 && record[0].outcome.exponent == 0);
  assert_string_equal(record[0].outcome.currency, "JPY");
  refused(f, "{\"type\":\"outcome\",\"id\":\"a\",\"card\":{\"number\":\"4111\"},\"label\":\"froud\"}", TIDE_E_UNKNOWN_NAME, "label");
  assert_non_null(strstr(error.text, "fraud"));
  refused(f, "{\"type\":\"outcome\",\"id\":\"a\",\"card\":{\"number\":\"4111\"}}", TIDE_E_MISSING, "result");
}

static void test_rates(void **state) {
  struct fixture *f = *state;
  static const struct {
    const char *rate;
    enum tide_err err;
    int64_t e10;
  } cases[] = {{"1", TIDE_OK, INT64_C(10000000000)},
               {"0.0000000001", TIDE_OK, 1},
               {"1.2345678901", TIDE_OK, INT64_C(12345678901)},
               {"6.25E-3", TIDE_OK, 62500000},
               {"6.25e+1", TIDE_OK, INT64_C(625000000000)},
               {"0.00000000001", TIDE_E_DECIMALS, 0},
               {"0", TIDE_E_RANGE, 0},
               {"-1", TIDE_E_RANGE, 0},
               {"1e30", TIDE_E_RANGE, 0},
               {"\"1e\"", TIDE_E_SYNTAX, 0},
               {"\"x\"", TIDE_E_SYNTAX, 0},
               {"null", TIDE_E_MISSING, 0}};
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    char line[256];
    snprintf(line, sizeof line, "{\"type\":\"rate\",\"currency\":\"USD\",\"rate\":%s,\"at\":\"2026-03-01T10:00:00Z\"}", cases[i].rate);
    if (cases[i].err) {
      refused(f, line, cases[i].err, "rate");
      continue;
    }
    ok(f, line);
    assert_int_equal(record[0].type, TIDE_REC_RATE);
    assert_string_equal(record[0].rate.currency, "USD");
    assert_true(record[0].rate.rate_e10 == cases[i].e10);
  }
  refused(f, "{\"type\":\"rate\",\"currency\":\"DOLLAR\",\"rate\":1}", TIDE_E_CURRENCY, "currency");
}

static void test_lists_and_heartbeats(void **state) {
  struct fixture *f = *state;
  ok(f, "{\"type\":\"list\",\"list\":\"blocked_cards\",\"card\":{\"number\":\"4111\"},\"expires\":1772359200000}");
  assert_int_equal(record[0].type, TIDE_REC_LIST);
  assert_int_equal(record[0].list.list, 0);
  assert_true(record[0].list.expires_ms == INT64_C(1772359200000));
  assert_false(record[0].list.remove);
  assert_int_equal(at(f, "pan").kind, TIDE_D_KEY);
  ok(f, "{\"type\":\"list\",\"list\":\"trusted_merchants\",\"merchant\":{\"id\":\"M\"},\"remove\":true}");
  assert_int_equal(record[0].list.list, 1);
  assert_true(record[0].list.remove);
  assert_int_equal(record[0].key_id, 0);
  refused(f, "{\"type\":\"list\",\"list\":\"blocked_cards\",\"merchant\":{\"id\":\"M\"}}", TIDE_E_MISSING, "card");
  refused(f, "{\"type\":\"list\",\"list\":\"trusted_merchants\",\"card\":{\"number\":\"4\"}}", TIDE_E_MISSING, "merchant");
  refused(f, "{\"type\":\"list\",\"list\":\"blocked_card\",\"card\":{\"number\":\"4\"}}", TIDE_E_UNKNOWN_NAME, "list");
  assert_non_null(strstr(error.text, "blocked_cards"));
  ok(f, "{\"type\":\"heartbeat\",\"at\":\"2026-03-01T10:00:00Z\"}");
  assert_int_equal(record[0].type, TIDE_REC_HEARTBEAT);
  assert_true(record[0].time.ms == INT64_C(1772359200000));
  refused(f, "{\"type\":\"heartbeat\"}", TIDE_E_MISSING, "time");
}

static void test_secrets_never_show(void **state) {
  struct fixture *f = *state;
  uint32_t pan = mini_index(f->spec, "pan");
  static const char *const from[] = {"no"}, *const to[] = {"yes"};
  struct tide_input_field *in = NULL;
  for (uint32_t i = 0; i < f->spec->shape[0].field_count; i++)
    if (f->spec->shape[0].field[i].field == pan) in = &f->spec->shape[0].field[i];
  assert_non_null(in);
  in->map_from = from;
  in->map_to = to;
  in->map_count = 1;
  refused(f, "{\"id\":1,\"transmitted_at\":\"2026-03-01T10:00:00Z\",\"card\":{\"number\":\"4111222233334444\"}}", TIDE_E_TYPE, "pan");
  assert_null(strstr(error.text, "4111"));
  in->map_count = 0;
  /* a harmless field that reads the same place as a secret must not quote it either */
  struct tide_shape *d = &f->spec->shape[0];
  mini_opt(mini_in(f->spec, d, "mcc", "/card/number"));
  struct tide_decode_options options = {.spec = f->spec, .key = &f->key};
  struct tide_decoder *other;
  assert_int_equal(tide_decoder_new(&options, &other, &error), TIDE_OK);
  struct tide_span line = TIDE_SPAN("{\"id\":1,\"transmitted_at\":\"2026-03-01T10:00:00Z\",\"card\":{\"number\":\"4111222233334444x\"}}");
  assert_int_equal(tide_decode(other, line, record, &count, &error), TIDE_E_SYNTAX);
  assert_string_equal(error.field, "mcc");
  assert_null(strstr(error.text, "4111"));
  tide_decoder_free(other);
}

static void test_rotation_and_missing_key(void **state) {
  struct fixture *f = *state;
  struct tide_decode_options options = {.spec = f->spec, .key = &f->key, .key_alt = &f->old};
  struct tide_decoder *other;
  assert_int_equal(tide_decoder_new(&options, &other, &error), TIDE_OK);
  struct tide_span line = TIDE_SPAN(BASE "}");
  assert_int_equal(tide_decode(other, line, record, &count, &error), TIDE_OK);
  struct tide_datum pan = at(f, "pan");
  assert_true(tide_u128_eq(pan.key, tide_secret_hash(&f->key, TIDE_SPAN("4111"))));
  assert_true(tide_u128_eq(pan.alt, tide_secret_hash(&f->old, TIDE_SPAN("4111"))));
  tide_decoder_free(other);
  options.key = NULL;
  assert_int_equal(tide_decoder_new(&options, &other, &error), TIDE_E_CONFIG);
  assert_string_equal(error.field, "pan");
  options.key = &f->key;
  options.shape = "defualt";
  assert_int_equal(tide_decoder_new(&options, &other, &error), TIDE_E_CONFIG);
  assert_non_null(strstr(error.text, "default"));
}

/* Of a file hashes are kept for a while: more texts than are kept, of lengths up to and beyond what is, in runs and in turn. */
static void test_repeated_secrets(void **state) {
  struct fixture *f = *state;
  struct tide_decode_options options = {.spec = f->spec, .key = &f->key, .key_alt = &f->old, .repeats = true};
  struct tide_decoder *other;
  assert_int_equal(tide_decoder_new(&options, &other, &error), TIDE_OK);
  for (unsigned i = 0; i < 3000; i++) {
    char pan[40], line[200];
    unsigned which = i < 1000 ? i / 3 : i * 7 % 430;
    int len = snprintf(pan, sizeof pan, "%0*u", 1 + (int)(which % 27), which);
    snprintf(line, sizeof line, "{\"id\":1,\"transmitted_at\":\"2026-03-01T10:00:00Z\",\"card\":{\"number\":\"%s\"}}", pan);
    assert_int_equal(tide_decode(other, tide_span_of(line), record, &count, &error), TIDE_OK);
    struct tide_datum got = at(f, "pan");
    assert_true(tide_u128_eq(got.key, tide_secret_hash(&f->key, (struct tide_span){pan, (size_t)len})));
    assert_true(tide_u128_eq(got.alt, tide_secret_hash(&f->old, (struct tide_span){pan, (size_t)len})));
  }
  tide_decoder_free(other);
}

static void masks(struct fixture *f, const char *line, const char *want) {
  struct tide_buf out = TIDE_BUF_INIT;
  tide_decode_mask(f->decoder, tide_span_of(line), &out);
  assert_string_equal(tide_buf_cstr(&out), want);
  tide_buf_release(&out);
}

static void test_mask(void **state) {
  struct fixture *f = *state;
  masks(f, "{\"card\": {\"number\" : \"4111\", \"x\":\"4\"}, \"number\":\"5\"}",
        "{\"card\": {\"number\" : \"***\", \"x\":\"4\"}, \"number\":\"5\"}");
  masks(f, "{\"card\":{\"number\":4111}}", "{\"card\":{\"number\":\"***\"}}");
  masks(f, "{\"card\":{\"number\":\"\\u0034111\\n\"},\"b\":1}", "{\"card\":{\"number\":\"***\"},\"b\":1}");
  masks(f, "{\"card\":{\"number\":{\"a\":[1,\"4111\"],\"number\":\"4111\"} ,\"z\":[]}}", "{\"card\":{\"number\":\"***\" ,\"z\":[]}}");
  masks(f, "{\"card\":{\"number\":[ 4, 1 ]}}", "{\"card\":{\"number\":\"***\"}}");
  masks(f, "{\"card\":{\"number\":null}}", "{\"card\":{\"number\":null}}");
  masks(f, "{\"card\":{\"number\":1,\"number\":2}}", "{\"card\":{\"number\":\"***\",\"number\":\"***\"}}");
  masks(f, "{\"card\":{\"n\\u0075mber\":1}}", "{\"card\":{\"n\\u0075mber\":\"***\"}}");
  /* the object around the secret is something else */
  masks(f, "{\"card\":\"4111\",\"b\":1}", "{\"card\":\"***\",\"b\":1}");
  masks(f, "{\"card\": 4111 }", "{\"card\": \"***\" }");
  masks(f, "{\"card\":[\"4111\", {\"number\":\"4111\"},[4111],null]}", "{\"card\":[\"***\", \"***\",\"***\",null]}");
  masks(f, "{\"card\":null,\"b\":[1]}", "{\"card\":null,\"b\":[1]}");
  masks(f, "{\"card\":{\"number\":\"4111\"}", "{\"masked\":\"25 bytes, not well-formed\"}");
  masks(f, "4111", "{\"masked\":\"4 bytes, not well-formed\"}");
  masks(f, "", "{\"masked\":\"0 bytes, not well-formed\"}");
  ok(f, BASE "}"); /* masking leaves the decoder usable */
}

int main(void) {
#define T(name) cmocka_unit_test_setup_teardown(name, open_fixture, close_fixture)
  const struct CMUnitTest tests[] = {
      T(test_whole_event),
      T(test_numbers_as_texts_and_back),
      T(test_missing),
      T(test_stamped_when_the_time_is_optional),
      T(test_types),
      T(test_amounts_are_exact),
      T(test_structure),
      T(test_depth),
      T(test_many_keys),
      T(test_long_texts),
      T(test_row_outcome),
      T(test_outcome),
      T(test_rates),
      T(test_lists_and_heartbeats),
      T(test_secrets_never_show),
      T(test_rotation_and_missing_key),
      T(test_repeated_secrets),
      T(test_mask),
  };
  return cmocka_run_group_tests_name("decode_json", tests, NULL, NULL);
}
