/* Avro messages into records: what each type becomes, and every way in which bytes can lie.
 *
 * That a message gives what the equal JSON message gives is 47_avro_as_json.c. Here are the bytes that no library would write. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>

#include "adapter/decode.h"
#include "base/utf8.h"
#include "tests/support/avro_bytes.h"
#include "tests/support/journal_dir.h"
#include "tests/support/mini_spec.h"

static char *dir;
static struct tide_spec *spec;
static struct tide_secret_key key;
static struct tide_schemas *schemas;
static struct tide_decoder *decoder;
static uint32_t last_id;

static struct tide_record record[2];
static int count;
static struct tide_error error;

static struct tide_decoder *open_decoder(struct tide_decode_options options) {
  struct tide_decoder *d;
  options.format = TIDE_FORMAT_AVRO;
  options.spec = spec;
  options.key = &key;
  options.schemas = schemas;
  if (tide_decoder_new(&options, &d, &error)) fail_msg("%s", error.text);
  return d;
}

static int open_all(void **state) {
  (void)state;
  dir = test_dir("avro");
  spec = mini_cards();
  key = mini_key(7);
  schemas = wire_open(dir);
  decoder = open_decoder((struct tide_decode_options){0});
  return 0;
}

static int close_all(void **state) {
  (void)state;
  tide_decoder_free(decoder);
  tide_schemas_close(schemas);
  mini_free(spec);
  test_dir_remove(dir);
  tide_free(dir);
  return 0;
}

#define FIELD(name, type) "{\"name\":\"" name "\",\"type\":" type "}"
#define RECORD(name, fields) "{\"type\":\"record\",\"name\":\"" name "\",\"fields\":[" fields "]}"
#define DECIMAL "{\"type\":\"bytes\",\"logicalType\":\"decimal\",\"precision\":30,\"scale\":2}"
/* What every event needs; `more` follows. */
#define EVENT(more)                                                                                                                        \
  RECORD("Auth",                                                                                                                           \
         FIELD("id", "\"string\"") "," FIELD("transmitted_at", "{\"type\":\"long\",\"logicalType\":\"timestamp-millis\"}") "," FIELD(      \
             "card", RECORD("Card", FIELD("number", "\"string\""))) more)
#define TIME_MS INT64_C(1772359200250)

/* A schema of its own for the message that follows. */
static void begin(struct tide_buf *m, const char *schema) {
  wire_store(dir, ++last_id, schema);
  wire_frame(m, last_id);
}
static void begin_event(struct tide_buf *m, const char *schema) {
  begin(m, schema);
  wire_text(m, "a1");
  wire_long(m, TIME_MS);
  wire_text(m, " 4111111111111111 ");
}

/* In a heap block of exactly its size, so that the address sanitizer sees a byte too much. */
static enum tide_err decode_with(struct tide_decoder *d, struct tide_span bytes) {
  static char *copy;
  free(copy);
  copy = malloc(bytes.len ? bytes.len : 1);
  if (bytes.len) memcpy(copy, bytes.ptr, bytes.len);
  memset(&error, 0, sizeof error);
  memset(record, 0xAA, sizeof record);
  count = -1;
  enum tide_err err = tide_decode(d, (struct tide_span){copy, bytes.len}, record, &count, &error);
  if (err) {
    assert_int_equal(count, -1); /* nothing is written on error */
    assert_int_equal(record[0].type, 0xAA);
    assert_int_equal(error.code, err);
    assert_true(tide_utf8_valid(tide_span_of(error.text)));
    assert_true(error.text[0] != 0);
  }
  return err;
}
static void ok(struct tide_buf *m) {
  if (decode_with(decoder, tide_buf_span(m))) fail_msg("%s", error.text);
  tide_buf_release(m);
}
static void refused(struct tide_buf *m, enum tide_err code, const char *field, const char *why) {
  enum tide_err err = decode_with(decoder, tide_buf_span(m));
  if (err != code) fail_msg("got %s (%s), want %s (%s)", tide_err_name(err), err ? error.text : "", tide_err_name(code), why);
  assert_string_equal(error.field, field);
  if (!strstr(error.text, why)) fail_msg("got \"%s\", want \"%s\"", error.text, why);
  assert_null(strstr(error.text, "4111"));
  tide_buf_release(m);
}

static struct tide_datum at(const char *name) { return record[0].field[mini_index(spec, name)]; }
static void text_is(const char *name, const char *want) {
  struct tide_datum d = at(name);
  assert_int_equal(d.kind, TIDE_D_TEXT);
  if (!tide_span_is(d.text, want)) fail_msg("%s: got %.*s, want %s", name, TIDE_SPAN_FMT(d.text), want);
}
static void num_is(const char *name, int64_t want) {
  assert_int_equal(at(name).kind, TIDE_D_INT);
  if (at(name).num != want) fail_msg("%s: got %" PRId64 ", want %" PRId64, name, at(name).num, want);
}

static void test_whole_event(void **state) {
  (void)state;
  struct tide_buf m = TIDE_BUF_INIT;
  begin_event(
      &m, EVENT("," FIELD("type", "{\"type\":\"enum\",\"name\":\"T\",\"symbols\":[\"advice\",\"auth\"]}") "," FIELD(
              "billing", RECORD("B", FIELD("amount", DECIMAL) "," FIELD("currency", "{\"type\":\"fixed\",\"name\":\"C\",\"size\":3}"))) //
                "," FIELD("merchant", "[\"null\"," RECORD("M", FIELD("id", "\"bytes\"") "," FIELD("mcc", "\"int\"")) "]")               //
                "," FIELD("place", "{\"type\":\"array\",\"items\":\"double\"}") "," FIELD("chip", "\"boolean\"")                        //
                "," FIELD("unread", "{\"type\":\"map\",\"values\":[\"null\",\"float\"]}") "," FIELD("ip", "[\"string\",\"null\"]")));
  wire_long(&m, 1);
  wire_run(&m, "\x04\xCE", 2); /* 12.30 */
  size_t currency = m.len;
  tide_buf_str(&m, "JPY");
  wire_long(&m, 1);
  wire_text(&m, "M\xc3\xa9-7");
  wire_long(&m, 5411);
  wire_long(&m, -1); /* a block that says its bytes, and one that does not */
  wire_long(&m, 8);
  wire_double(&m, 52.370216);
  wire_long(&m, 1);
  wire_double(&m, 4.89);
  wire_long(&m, 0);
  tide_buf_char(&m, 1);
  wire_long(&m, 2);
  wire_text(&m, "x");
  wire_long(&m, 0);
  wire_text(&m, "y");
  wire_long(&m, 1);
  wire_float(&m, 1.5f);
  wire_long(&m, 0);
  wire_long(&m, 1);
  struct tide_buf yen = TIDE_BUF_INIT;
  tide_buf_put(&yen, m.ptr, m.len);
  refused(&yen, TIDE_E_DECIMALS, "amount", "JPY");
  memcpy(m.ptr + currency, "EUR", 3);
  ok(&m);
  assert_int_equal(count, 1);
  assert_int_equal(record[0].type, TIDE_REC_EVENT);
  assert_int_equal(record[0].flags, 0);
  assert_true(record[0].time.ms == TIME_MS);
  text_is("id", "a1");
  text_is("kind", "auth");
  text_is("merchant", "M\xc3\xa9-7");
  text_is("low", "m\xc3\xa9-7");
  text_is("bin", "41111111");
  num_is("amount", 1230);
  assert_string_equal(at("amount").currency, "EUR");
  num_is("mcc", 5411);
  num_is("lat", 52370216);
  num_is("chip", 1);
  assert_int_equal(at("ip").kind, TIDE_D_NONE);
  assert_true(tide_u128_eq(at("pan").key, tide_secret_hash(&key, TIDE_SPAN("4111111111111111"))));
}

/* ---- framing ---- */

static void test_frame(void **state) {
  (void)state;
  struct tide_buf m = TIDE_BUF_INIT;
  refused(&m, TIDE_E_SYNTAX, "", "0 bytes");
  tide_buf_put(&m, "\0\0\0\0", 4);
  refused(&m, TIDE_E_SYNTAX, "", "4 bytes");
  tide_buf_str(&m, "{\"id\":\"a1\"}");
  refused(&m, TIDE_E_SYNTAX, "", "0x7b");
  tide_buf_put(&m, "\1\0\0\0\1\0", 6);
  refused(&m, TIDE_E_SYNTAX, "", "0x01");
  wire_frame(&m, 0xFFFFFFFF);
  refused(&m, TIDE_E_UNKNOWN_NAME, "", "4294967295");
  wire_frame(&m, 4000000);
  wire_store(dir, 4000000, "{");
  refused(&m, TIDE_E_AGAIN, "", "4000000.avsc");
}

static void test_schemas_are_needed(void **state) {
  (void)state;
  struct tide_decoder *d;
  struct tide_decode_options options = {.spec = spec, .key = &key, .format = TIDE_FORMAT_AVRO};
  assert_int_equal(tide_decoder_new(&options, &d, &error), TIDE_E_CONFIG);
  assert_string_equal(error.field, "schemas");
}

static void test_names_of_formats(void **state) {
  (void)state;
  enum tide_format format;
  for (unsigned i = 0; i < TIDE_FORMAT_COUNT; i++) {
    assert_true(tide_format_named(tide_span_of(tide_format_name((enum tide_format)i)), &format));
    assert_int_equal(format, i);
  }
  assert_false(tide_format_named(TIDE_SPAN("xml"), &format));
}

/* Every prefix ends too early, whatever stands there; a byte more is one too many. */
static void test_cut_at_every_byte(void **state) {
  (void)state;
  struct tide_buf m = TIDE_BUF_INIT;
  begin_event(
      &m,
      EVENT("," FIELD("a", "\"int\"") "," FIELD("b", "\"float\"") "," FIELD("c", "{\"type\":\"map\",\"values\":\"double\"}") "," FIELD(
          "d", "{\"type\":\"fixed\",\"name\":\"F\",\"size\":3}") "," FIELD("e", "{\"type\":\"array\",\"items\":[\"null\",\"boolean\"]}")));
  wire_long(&m, -70000);
  wire_float(&m, 0.1f);
  wire_long(&m, 1);
  wire_text(&m, "key");
  wire_double(&m, 1e300);
  wire_long(&m, 0);
  tide_buf_str(&m, "abc");
  wire_long(&m, 2);
  wire_long(&m, 0);
  wire_long(&m, 1);
  tide_buf_char(&m, 1);
  wire_long(&m, 0);
  for (size_t len = 0; len < m.len; len++) {
    enum tide_err err = decode_with(decoder, (struct tide_span){m.ptr, len});
    if (err != TIDE_E_SYNTAX) fail_msg("%zu of %zu bytes: %s (%s)", len, m.len, tide_err_name(err), err ? error.text : "");
  }
  struct tide_buf longer = TIDE_BUF_INIT;
  tide_buf_put(&longer, m.ptr, m.len);
  tide_buf_char(&longer, 0);
  refused(&longer, TIDE_E_TRAILING, "", "behind the value");
  ok(&m);
}

/* ---- bytes that lie ---- */

static void one(const char *type, const void *bytes, size_t len, enum tide_err code, const char *field, const char *why) {
  struct tide_buf schema = TIDE_BUF_INIT, m = TIDE_BUF_INIT;
  tide_buf_printf(&schema, EVENT("," FIELD("email", "%s")), type);
  begin_event(&m, tide_buf_cstr(&schema));
  tide_buf_put(&m, bytes, len);
  if (code) refused(&m, code, field, why);
  else ok(&m);
  tide_buf_release(&schema);
}
#define ONE(type, bytes, code, why) one(type, bytes, sizeof(bytes) - 1, code, "", why)

static void test_lies(void **state) {
  (void)state;
  ONE("\"boolean\"", "\2", TIDE_E_SYNTAX, "neither 0 nor 1");
  ONE("\"int\"", "\x80\x80\x80\x80\x10", TIDE_E_SYNTAX, "32 bits");         /* 2^31 */
  ONE("\"int\"", "\x81\x80\x80\x80\x10", TIDE_E_SYNTAX, "32 bits");         /* -2^31 - 1 */
  ONE("\"int\"", "\xFF\xFF\xFF\xFF\x0F", TIDE_OK, "");                      /* -2^31 */
  ONE("\"long\"", "\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x01", TIDE_OK, ""); /* -2^63 */
  text_is("email", "-9223372036854775808");
  ONE("\"long\"", "\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x02", TIDE_E_SYNTAX, "64 bits");
  ONE("\"long\"", "\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01", TIDE_E_SYNTAX, "64 bits");
  ONE("\"string\"", "\x01", TIDE_E_SYNTAX, "negative length");
  ONE("\"string\"", "\xFE\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x01", TIDE_E_SYNTAX, "beyond the end"); /* 2^63 - 1 */
  ONE("\"bytes\"",
      "\x06"
      "ab",
      TIDE_E_SYNTAX, "beyond the end");
  ONE("\"string\"",
      "\x04"
      "\xc3\x28",
      TIDE_E_UTF8, "/email");
  ONE("\"string\"",
      "\x06"
      "a\0b",
      TIDE_E_SYNTAX, "U+0000");
  ONE("{\"type\":\"map\",\"values\":\"null\"}", "\x02\x02\xFF\x00", TIDE_E_UTF8, "/email/*");
  ONE("{\"type\":\"map\",\"values\":\"null\"}",
      "\x06\x02"
      "b\x02"
      "a\x02"
      "b\x00",
      TIDE_E_DUPLICATE_KEY, "twice");
  ONE("{\"type\":\"map\",\"values\":\"null\"}",
      "\x02\x02"
      "b\x02\x02"
      "b\x00",
      TIDE_E_DUPLICATE_KEY, "twice");
  ONE("{\"type\":\"enum\",\"name\":\"E\",\"symbols\":[\"A\"]}", "\2", TIDE_E_SYNTAX, "symbol");
  ONE("{\"type\":\"enum\",\"name\":\"E\",\"symbols\":[\"A\"]}", "\1", TIDE_E_SYNTAX, "symbol");
  ONE("[\"null\"]", "\2", TIDE_E_SYNTAX, "branch");
  ONE("[\"null\"]", "\1", TIDE_E_SYNTAX, "branch");
  ONE("{\"type\":\"array\",\"items\":\"int\"}", "\x01\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x01", TIDE_E_SYNTAX, "longer than the message");
  ONE("{\"type\":\"array\",\"items\":\"int\"}", "\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x01", TIDE_E_SYNTAX, "2^63");
  ONE("{\"type\":\"array\",\"items\":\"int\"}", "\x01\x04\x02\x00", TIDE_E_SYNTAX, "as long as it says");
  ONE("{\"type\":\"array\",\"items\":\"int\"}", "\x01\x01\x02\x00", TIDE_E_SYNTAX, "longer than the message");
  ONE("{\"type\":\"array\",\"items\":\"int\"}", "\xFE\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x01\x02", TIDE_E_SYNTAX,
      "too early"); /* 2^63 - 1 items */
}

/* Values that take no bytes could be promised without end. */
static void test_values_of_no_bytes(void **state) {
  (void)state;
  ONE("{\"type\":\"array\",\"items\":\"null\"}", "\xFE\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x01\x00", TIDE_E_SYNTAX, "take no bytes");
  ONE("{\"type\":\"array\",\"items\":{\"type\":\"fixed\",\"name\":\"Z\",\"size\":0}}", "\xFE\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x01\x00",
      TIDE_E_SYNTAX, "take no bytes");
  one("{\"type\":\"array\",\"items\":\"null\"}", "\xA0\x9C\x01\x00", 4, TIDE_E_TYPE, "email", "object or array"); /* 10,000 are read */
}

/* JSON's depth: 32 objects in each other are read, 33 are not. */
static void test_depth(void **state) {
  (void)state;
  for (int depth = 31; depth <= 34; depth++) {
    struct tide_buf m = TIDE_BUF_INIT;
    begin_event(&m, EVENT("," FIELD("next", "[\"null\"," RECORD("N", FIELD("next", "[\"null\",\"N\"]")) "]")));
    for (int i = 1; i < depth; i++) wire_long(&m, 1);
    wire_long(&m, 0);
    if (depth <= 32) ok(&m);
    else refused(&m, TIDE_E_SYNTAX, "", "deeper than 32");
  }
}

static void test_the_message_is_a_record(void **state) {
  (void)state;
  struct tide_buf m = TIDE_BUF_INIT;
  begin(&m, "\"string\"");
  wire_text(&m, "a1");
  refused(&m, TIDE_E_TYPE, "", "must be a record");
  begin(&m, "{\"type\":\"array\",\"items\":\"string\"}");
  wire_long(&m, 0);
  refused(&m, TIDE_E_TYPE, "", "must be a record");
  begin(&m, "[\"null\",{\"type\":\"map\",\"values\":\"string\"}]");
  wire_long(&m, 0);
  struct tide_buf map = TIDE_BUF_INIT;
  tide_buf_put(&map, m.ptr, m.len - 1);
  refused(&m, TIDE_E_TYPE, "", "must be a record");
  wire_long(&map, 1);
  wire_long(&map, 1);
  wire_text(&map, "type");
  wire_text(&map, "heartbeat");
  wire_long(&map, 1);
  wire_text(&map, "at");
  wire_text(&map, "2026-03-01T10:00:00Z");
  wire_long(&map, 0);
  ok(&map);
  assert_int_equal(record[0].type, TIDE_REC_HEARTBEAT);
}

/* ---- what types become ---- */

static void test_decimals(void **state) {
  (void)state;
  static const struct {
    const char *bytes;
    size_t len;
    enum tide_err code;
    int64_t minor;
  } cases[] = {{"\x00", 1, TIDE_OK, 0},
               {"\x7F", 1, TIDE_OK, 127},
               {"\x00\x80", 2, TIDE_OK, 128},
               {"\xFF", 1, TIDE_E_RANGE, 0}, /* -0.01 */
               {"\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x04\xCE", 20, TIDE_OK, 1230},
               {"\x7F\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF", 16, TIDE_E_RANGE, 0},
               {"\x80\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00", 16, TIDE_E_RANGE, 0},
               {"\xE8\xD4\xA5\x10\x00", 5, TIDE_E_RANGE, 0},
               {"\x00\xE8\xD4\xA5\x10\x00", 6, TIDE_OK, INT64_C(1000000000000)},
               {"\x00\xE8\xD4\xA5\x10\x01", 6, TIDE_E_RANGE, 0}};
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct tide_buf m = TIDE_BUF_INIT;
    begin_event(&m, EVENT("," FIELD("billing", RECORD("B", FIELD("amount", DECIMAL) "," FIELD("currency", "\"string\"")))));
    wire_run(&m, cases[i].bytes, cases[i].len);
    wire_text(&m, "EUR");
    if (cases[i].code) {
      refused(&m, cases[i].code, "amount", "amount");
      continue;
    }
    ok(&m);
    num_is("amount", cases[i].minor);
  }
  ONE(DECIMAL, "\0", TIDE_E_SYNTAX, "no bytes");
  ONE(DECIMAL, "\x22\x01\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", TIDE_E_RANGE, "128 bits");
  ONE(DECIMAL, "\x22\x00\x80\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", TIDE_E_RANGE, "128 bits"); /* 2^127: the zero is its sign */
  ONE("{\"type\":\"fixed\",\"name\":\"F\",\"size\":2,\"logicalType\":\"decimal\",\"precision\":4,\"scale\":3}", "\xFF\xFF", TIDE_OK, "");
  text_is("email", "-0.001");
  ONE(DECIMAL, "\x20\x80\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", TIDE_OK, "");
  text_is("email", "-1701411834604692317316873037158841057.28");
}

static void test_times(void **state) {
  (void)state;
  struct tide_buf m = TIDE_BUF_INIT;
  begin(&m, RECORD("H", FIELD("type", "\"string\"") "," FIELD("at", "{\"type\":\"long\",\"logicalType\":\"timestamp-micros\"}")));
  wire_text(&m, "heartbeat");
  wire_long(&m, TIME_MS * 1000 + 999);
  ok(&m);
  assert_true(record[0].time.ms == TIME_MS);
  begin(&m, RECORD("H", FIELD("type", "\"string\"") "," FIELD("at", "\"long\""))); /* says nothing of itself: rfc3339 is asked for */
  wire_text(&m, "heartbeat");
  wire_long(&m, TIME_MS);
  refused(&m, TIDE_E_SYNTAX, "time", "a time like");
  begin(&m, RECORD("H", FIELD("type", "\"string\"") "," FIELD("at", "{\"type\":\"long\",\"logicalType\":\"timestamp-millis\"}")));
  wire_text(&m, "heartbeat");
  wire_long(&m, INT64_MAX);
  refused(&m, TIDE_E_RANGE, "time", "milliseconds");
  /* `as: epoch_ms` of `expires`, and a message that says microseconds */
  begin(&m, RECORD("L", FIELD("type", "\"string\"") "," FIELD("list", "\"string\"") "," FIELD(
                            "expires",
                            "{\"type\":\"long\",\"logicalType\":\"timestamp-micros\"}") "," FIELD("merchant",
                                                                                                  RECORD("M", FIELD("id", "\"string\"")))));
  wire_text(&m, "list");
  wire_text(&m, "trusted_merchants");
  wire_long(&m, TIME_MS * 1000);
  wire_text(&m, "M1");
  ok(&m);
  assert_true(record[0].list.expires_ms == TIME_MS);
}

static void test_known_at(void **state) {
  (void)state;
  struct tide_decoder *d = open_decoder((struct tide_decode_options){.known_at = true, .known_at_place = "/known", .beside = "/options"});
  struct tide_buf m = TIDE_BUF_INIT;
  struct tide_etime known;
  begin_event(&m, EVENT("," FIELD("known", "{\"type\":\"long\",\"logicalType\":\"timestamp-micros\"}") "," FIELD("options", "\"null\"")));
  wire_long(&m, TIME_MS * 1000);
  if (decode_with(d, tide_buf_span(&m))) fail_msg("%s", error.text);
  assert_int_equal(tide_decode_known_at(d, &known, &error), TIDE_OK);
  assert_true(known.ms == TIME_MS);
  assert_true(tide_decode_beside(d));
  assert_string_equal(tide_decode_place(d, "pan"), "/card/number");
  tide_decoder_free(d);
  tide_buf_release(&m);
}

/* A pointer means an element by its index as RFC 6901 writes it. */
static void test_indices(void **state) {
  (void)state;
  static const struct {
    const char *at;
    bool there;
  } cases[] = {{"/place/0", true},  {"/place/1", true},   {"/place/00", false}, {"/place/01", false},
               {"/place/2", false}, {"/place/-1", false}, {"/place/", false}};
  struct tide_buf m = TIDE_BUF_INIT;
  begin_event(&m, EVENT("," FIELD("place", "{\"type\":\"array\",\"items\":\"int\"}")));
  wire_long(&m, 2);
  wire_long(&m, 52);
  wire_long(&m, 4);
  wire_long(&m, 0);
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct tide_decoder *d = open_decoder((struct tide_decode_options){.beside = cases[i].at});
    if (decode_with(d, tide_buf_span(&m))) fail_msg("%s", error.text);
    if (tide_decode_beside(d) != cases[i].there) fail_msg("%s", cases[i].at);
    tide_decoder_free(d);
  }
  tide_buf_release(&m);
}

/* Bytes are texts where a text is asked for, and nothing else. */
static void test_bytes(void **state) {
  (void)state;
  one("\"bytes\"",
      "\x06"
      "abc",
      4, TIDE_OK, "", "");
  text_is("email", "abc");
  one("\"bytes\"", "\x04\xc3\x28", 3, TIDE_E_UTF8, "email", "UTF-8");
  one("\"bytes\"",
      "\x06"
      "a\0b",
      4, TIDE_E_SYNTAX, "email", "zero byte");
  one("\"bytes\"", "\0", 1, TIDE_OK, "", "");
  assert_int_equal(at("email").kind, TIDE_D_NONE); /* empty is missing */
  struct tide_buf m = TIDE_BUF_INIT;
  begin_event(&m, EVENT("," FIELD("chip", "\"bytes\"")));
  wire_text(&m, "true");
  refused(&m, TIDE_E_TYPE, "chip", "4 bytes");
  begin_event(&m, EVENT("," FIELD("billing", RECORD("B", FIELD("amount", "\"bytes\"") "," FIELD("currency", "\"string\"")))));
  wire_text(&m, "12.30");
  wire_text(&m, "EUR");
  refused(&m, TIDE_E_TYPE, "amount", "logical type");
  begin_event(&m, EVENT("," FIELD("billing", RECORD("B", FIELD("amount", "\"int\"") "," FIELD("currency", "\"bytes\"")))));
  wire_long(&m, 12);
  wire_run(&m, "\xFF\xFE", 2);
  refused(&m, TIDE_E_UTF8, "amount", "currency");
  begin_event(&m, EVENT("," FIELD("response_code", "{\"type\":\"fixed\",\"name\":\"F\",\"size\":2}")));
  tide_buf_str(&m, "51");
  ok(&m);
  assert_int_equal(count, 2);
  assert_int_equal(record[1].outcome.set, 1u << TIDE_DYN_result);
}

static void double_is(double v, bool single, enum tide_err code, int64_t lat) {
  struct tide_buf m = TIDE_BUF_INIT;
  begin_event(&m, single ? EVENT("," FIELD("place", "{\"type\":\"array\",\"items\":\"float\"}"))
                         : EVENT("," FIELD("place", "{\"type\":\"array\",\"items\":\"double\"}")));
  wire_long(&m, 1);
  if (single) wire_float(&m, (float)v);
  else wire_double(&m, v);
  wire_long(&m, 0);
  if (code) {
    refused(&m, code, "lat", "lat");
    return;
  }
  ok(&m);
  num_is("lat", lat);
}

/* The shortest digits that read back the same: what a JSON writer would have written. */
static void test_floats(void **state) {
  (void)state;
  double_is(0.1, false, TIDE_OK, 100000);
  double_is(52.370216, false, TIDE_OK, 52370216);
  double_is(0.1, true, TIDE_OK, 100000); /* not 0.100000001490116 */
  double_is(-33.5, true, TIDE_OK, -33500000);
  double_is(-0.0, false, TIDE_OK, 0);
  double_is(1e9, false, TIDE_OK, INT64_C(1000000000000000));
  double_is(1e12, false, TIDE_E_RANGE, 0);
  double_is(1.0 / 3, false, TIDE_E_DECIMALS, 0);
  double_is(1e300, false, TIDE_E_RANGE, 0);
  double_is(1e-300, false, TIDE_E_DECIMALS, 0);
  double_is((double)NAN, false, TIDE_E_SYNTAX, 0);
  double_is((double)-INFINITY, true, TIDE_E_SYNTAX, 0);
}

/* Several schemas, asked for in any order, each message by its own. */
static void test_many_schemas(void **state) {
  (void)state;
  enum { MANY = 60 };
  struct tide_buf m[MANY] = {{0}};
  char schema[400];
  for (int i = 0; i < MANY; i++) {
    snprintf(schema, sizeof schema, EVENT("," FIELD("f%d", "\"long\"") "," FIELD("email", "\"string\"")), i);
    begin_event(&m[i], schema);
    wire_long(&m[i], 1);
    wire_text(&m[i], i % 2 ? "odd" : "even");
  }
  for (int i = 0; i < 3 * MANY; i++) {
    struct tide_buf *message = &m[i * 37 % MANY];
    if (decode_with(decoder, tide_buf_span(message))) fail_msg("%s", error.text);
    text_is("email", i * 37 % MANY % 2 ? "odd" : "even");
  }
  for (int i = 0; i < MANY; i++) tide_buf_release(&m[i]);
}

/* ---- masking ---- */

static void mask_is(struct tide_buf *m, const char *want) {
  struct tide_buf out = TIDE_BUF_INIT;
  tide_buf_str(&out, "> ");
  tide_decode_mask(decoder, tide_buf_span(m), &out);
  assert_string_equal(tide_buf_cstr(&out) + 2, want);
  tide_buf_release(&out);
  tide_buf_release(m);
}

static void test_mask(void **state) {
  (void)state;
  struct tide_buf m = TIDE_BUF_INIT;
  begin_event(&m, EVENT("," FIELD("a", "[\"null\",{\"type\":\"array\",\"items\":" DECIMAL "}]") "," FIELD(
                      "b", "{\"type\":\"map\",\"values\":\"bytes\"}") "," FIELD("c", RECORD("Empty", "")) "," FIELD("d", "\"double\"")));
  wire_long(&m, 1);
  wire_long(&m, 2);
  wire_run(&m, "\xFF", 1);
  wire_run(&m, "\x01\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 17);
  wire_long(&m, 0);
  wire_long(&m, 2);
  wire_text(&m, "\"");
  wire_run(&m, "\xFF\x00", 2);
  wire_text(&m, "t");
  wire_text(&m, "text");
  wire_long(&m, 0);
  wire_double(&m, (double)INFINITY);
  mask_is(
      &m,
      "{\"id\":\"a1\",\"transmitted_at\":1772359200250,\"card\":{\"number\":\"***\"},\"a\":[-0.01,\"0x0100000000000000000000000000000000\"],"
      "\"b\":{\"\\\"\":\"0xff00\",\"t\":\"text\"},\"c\":{},\"d\":\"Infinity\"}");
  /* a secret that is a number, a container, null */
  begin(&m, RECORD("R", FIELD("card", RECORD("C", FIELD("number", "[\"null\",\"long\",{\"type\":\"map\",\"values\":\"string\"}]")))));
  wire_long(&m, 1);
  wire_long(&m, 4111);
  mask_is(&m, "{\"card\":{\"number\":\"***\"}}");
  wire_frame(&m, last_id);
  wire_long(&m, 2);
  wire_long(&m, 1);
  wire_text(&m, "digits");
  wire_text(&m, "4111");
  wire_long(&m, 0);
  mask_is(&m, "{\"card\":{\"number\":\"***\"}}");
  wire_frame(&m, last_id);
  wire_long(&m, 0);
  mask_is(&m, "{\"card\":{\"number\":null}}");
  wire_frame(&m, last_id);
  wire_long(&m, 1);
  mask_is(&m, "{\"masked\":\"6 bytes, not well-formed\"}");
  /* the record around the secret is something else */
  begin(&m, RECORD("R",
                   FIELD("card", "[\"null\",\"string\",\"long\",{\"type\":\"array\",\"items\":\"string\"}]") "," FIELD("b", "\"string\"")));
  wire_long(&m, 1);
  wire_text(&m, "4111");
  wire_text(&m, "b");
  mask_is(&m, "{\"card\":\"***\",\"b\":\"b\"}");
  wire_frame(&m, last_id);
  wire_long(&m, 2);
  wire_long(&m, 4111);
  wire_text(&m, "b");
  mask_is(&m, "{\"card\":\"***\",\"b\":\"b\"}");
  wire_frame(&m, last_id);
  wire_long(&m, 3);
  wire_long(&m, 1);
  wire_text(&m, "4111");
  wire_long(&m, 0);
  wire_text(&m, "b");
  mask_is(&m, "{\"card\":\"***\",\"b\":\"b\"}");
  wire_frame(&m, 77777777);
  tide_buf_str(&m, "4111");
  mask_is(&m, "{\"masked\":\"9 bytes, not well-formed\"}");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_whole_event),
      cmocka_unit_test(test_frame),
      cmocka_unit_test(test_schemas_are_needed),
      cmocka_unit_test(test_names_of_formats),
      cmocka_unit_test(test_cut_at_every_byte),
      cmocka_unit_test(test_lies),
      cmocka_unit_test(test_values_of_no_bytes),
      cmocka_unit_test(test_depth),
      cmocka_unit_test(test_the_message_is_a_record),
      cmocka_unit_test(test_decimals),
      cmocka_unit_test(test_times),
      cmocka_unit_test(test_known_at),
      cmocka_unit_test(test_indices),
      cmocka_unit_test(test_bytes),
      cmocka_unit_test(test_floats),
      cmocka_unit_test(test_many_schemas),
      cmocka_unit_test(test_mask),
  };
  return cmocka_run_group_tests_name("decode_avro", tests, open_all, close_all);
}
