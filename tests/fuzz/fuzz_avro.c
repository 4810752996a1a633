/* Any bytes as an Avro message of one of five schemas. The decoder lives on from input to input, so that one message spoiling the next would show.
 *
 * The first byte picks the schema, the rest is the value; 0xFF: the rest is the whole message, frame and all. What decodes must be sound, as in
 * fuzz_json.c. Masking gives JSON; where the schema says nothing that JSON cannot say (times), that JSON decodes as well, with the secret replaced. */
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#include "adapter/decode.h"
#include "base/num.h"
#include "base/utf8.h"
#include "tests/support/avro_bytes.h"
#include "tests/support/mini_spec.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define FIELD(name, type) "{\"name\":\"" name "\",\"type\":" type "}"
#define RECORD(name, fields) "{\"type\":\"record\",\"name\":\"" name "\",\"fields\":[" fields "]}"
#define CARD FIELD("card", RECORD("Card", FIELD("number", "[\"string\",\"long\"]")))
static const char *const schema[] = {
    RECORD(
        "Auth",
        FIELD("id", "\"string\"") "," FIELD(
            "transmitted_at",
            "\"string\"") "," CARD
                          "," FIELD("type", "{\"type\":\"enum\",\"name\":\"T\",\"symbols\":[\"auth\",\"outcome\",\"rate\",\"list\",\"heartbeat\"]}") "," FIELD(
                              "billing", "[\"null\"," RECORD("B", FIELD("amount", "\"double\"") "," FIELD("currency", "\"bytes\"")) "]")),
    RECORD(
        "Tree",
        FIELD("id", "\"int\"") "," FIELD(
            "transmitted_at",
            "\"string\"") "," CARD
                          "," FIELD("left", "[\"null\",\"Tree\"]") "," FIELD("place", "{\"type\":\"array\",\"items\":\"float\"}") "," FIELD(
                              "more", "{\"type\":\"map\",\"values\":{\"type\":\"array\",\"items\":[\"null\",\"Tree\"]}}")),
    RECORD(
        "Logical",
        FIELD("id", "\"string\"") "," FIELD("transmitted_at", "{\"type\":\"long\",\"logicalType\":\"timestamp-micros\"}") "," CARD "," FIELD(
            "billing",
            RECORD("B", FIELD("amount", "{\"type\":\"bytes\",\"logicalType\":\"decimal\",\"precision\":20,\"scale\":2}") "," FIELD(
                            "currency", "{\"type\":\"fixed\",\"name\":\"C\",\"size\":3}")))),
    "{\"type\":\"map\",\"values\":[\"null\",\"string\",\"long\",\"double\",\"boolean\",\"bytes\",{\"type\":\"map\",\"values\":\"string\"}]}",
    "[\"null\"," RECORD("Outcome",
                        FIELD("type", "\"string\"") "," FIELD("id", "\"bytes\"") "," CARD "," FIELD("label", "\"string\"") "," FIELD(
                            "amount_now", "[\"null\",\"long\"]")) ",{\"type\":\"array\",\"items\":\"null\"}]",
};
enum { SCHEMAS = sizeof schema / sizeof schema[0], LOGICAL = 3 };

static struct tide_spec *spec;
static struct tide_decoder *avro, *json;
static struct tide_secret_key key;

static void set_up(void) {
  struct tide_error error;
  char dir[] = "/tmp/fuzz-avro-XXXXXX";
  TIDE_CHECK(mkdtemp(dir));
  for (uint32_t id = 1; id <= SCHEMAS; id++) wire_store(dir, id, schema[id - 1]);
  spec = mini_cards();
  key = mini_key(5);
  struct tide_decode_options options = {.spec = spec, .key = &key};
  TIDE_CHECK(tide_decoder_new(&options, &json, &error) == TIDE_OK);
  options.format = TIDE_FORMAT_AVRO;
  options.schemas = wire_open(dir);
  TIDE_CHECK(tide_decoder_new(&options, &avro, &error) == TIDE_OK);
  for (uint32_t id = 1; id <= SCHEMAS; id++) {
    char path[64];
    snprintf(path, sizeof path, "%s/%u.avsc", dir, id);
    TIDE_CHECK(unlink(path) == 0);
  }
  TIDE_CHECK(rmdir(dir) == 0); /* so another schema is one that cannot be had now: AGAIN */
}

static void check(const struct tide_record *r) {
  for (uint32_t i = 0; i < spec->field_count; i++) {
    const struct tide_datum *d = &r->field[i];
    if (d->kind == TIDE_D_TEXT) TIDE_CHECK(!spec->field[i].secret && d->text.len > 0 && d->text.len <= 65535 && tide_utf8_valid(d->text));
    if (d->kind == TIDE_D_TEXT) TIDE_CHECK(memchr(d->text.ptr, 0, d->text.len) == NULL);
    if (d->kind == TIDE_D_INT && spec->field[i].type == TIDE_F_MONEY) TIDE_CHECK(d->num >= 0 && d->num <= TIDE_AMOUNT_MAX);
    if (d->kind == TIDE_D_KEY) TIDE_CHECK(spec->field[i].secret && r->key_id != 0);
  }
}

static void check_masked(struct tide_span masked, bool decoded, bool secret) {
  static struct tide_record record[2];
  struct tide_error error;
  int count = 0;
  TIDE_CHECK(tide_utf8_valid(masked));
  if (!decoded) return;
  TIDE_CHECK(tide_decode(json, masked, record, &count, &error) == TIDE_OK);
  if (secret) TIDE_CHECK(tide_u128_eq(record[0].field[mini_index(spec, "pan")].key, tide_secret_hash(&key, TIDE_SPAN("***"))));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static struct tide_record record[2];
  struct tide_error error;
  struct tide_buf message = TIDE_BUF_INIT, masked = TIDE_BUF_INIT;
  int count = 0;
  if (!avro) set_up();
  if (size == 0) return 0;
  uint32_t id = data[0] % SCHEMAS + 1;
  if (data[0] != 0xFF) wire_frame(&message, id);
  tide_buf_put(&message, data + 1, size - 1);
  tide_buf_reserve(&message, 1); /* never NULL */
  enum tide_err err = tide_decode(avro, tide_buf_span(&message), record, &count, &error);
  if (err) TIDE_CHECK(error.code == err && tide_utf8_valid(tide_span_of(error.text)));
  TIDE_CHECK(tide_err_class(err) == (err ? TIDE_CLASS_INPUT : TIDE_CLASS_NONE) || (err == TIDE_E_AGAIN && data[0] == 0xFF));
  for (int i = 0; i < count; i++) check(&record[i]);
  bool secret = !err && record[0].field[mini_index(spec, "pan")].kind == TIDE_D_KEY;
  tide_decode_mask(avro, tide_buf_span(&message), &masked);
  check_masked(tide_buf_span(&masked), !err && data[0] != 0xFF && id != LOGICAL, secret);
  tide_buf_release(&masked);
  tide_buf_release(&message);
  return 0;
}
