/* Any bytes as a JSON message. The decoder lives on from input to input, so that one message spoiling the next would show.
 *
 * What decodes must be sound: texts non-empty, valid UTF-8, amounts in range. What decodes must decode again after masking, with the secret
 * replaced: so masking breaks nothing and misses nothing. */
#include <stdint.h>
#include <stdlib.h>

#include "adapter/decode.h"
#include "base/num.h"
#include "base/utf8.h"
#include "tests/support/mini_spec.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const struct tide_spec *spec, const struct tide_record *r) {
  for (uint32_t i = 0; i < spec->field_count; i++) {
    const struct tide_datum *d = &r->field[i];
    if (d->kind == TIDE_D_TEXT) TIDE_CHECK(!spec->field[i].secret && d->text.len > 0 && d->text.len <= 65535 && tide_utf8_valid(d->text));
    if (d->kind == TIDE_D_TEXT) TIDE_CHECK(memchr(d->text.ptr, 0, d->text.len) == NULL);
    if (d->kind == TIDE_D_INT && spec->field[i].type == TIDE_F_MONEY) TIDE_CHECK(d->num >= 0 && d->num <= TIDE_AMOUNT_MAX);
    if (d->kind == TIDE_D_KEY) TIDE_CHECK(spec->field[i].secret && r->key_id != 0);
  }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static struct tide_spec *spec;
  static struct tide_decoder *decoder;
  static struct tide_secret_key key;
  static struct tide_record record[2];
  struct tide_error error;
  if (!spec) {
    spec = mini_cards();
    key = mini_key(5);
    struct tide_decode_options options = {.spec = spec, .key = &key};
    TIDE_CHECK(tide_decoder_new(&options, &decoder, &error) == TIDE_OK);
  }
  int count = 0;
  uint32_t pan = mini_index(spec, "pan");
  struct tide_span line = {(const char *)data, size};
  enum tide_err err = tide_decode(decoder, line, record, &count, &error);
  if (err) TIDE_CHECK(error.code == err && tide_utf8_valid(tide_span_of(error.text)));
  for (int i = 0; i < count; i++) check(spec, &record[i]);
  bool secret = !err && record[0].field[pan].kind == TIDE_D_KEY;
  struct tide_buf masked = TIDE_BUF_INIT;
  tide_decode_mask(decoder, line, &masked);
  TIDE_CHECK(tide_utf8_valid(tide_buf_span(&masked)));
  if (!err) {
    TIDE_CHECK(tide_decode(decoder, tide_buf_span(&masked), record, &count, &error) == TIDE_OK);
    if (secret) TIDE_CHECK(tide_u128_eq(record[0].field[pan].key, tide_secret_hash(&key, TIDE_SPAN("***"))));
  }
  tide_buf_release(&masked);
  return 0;
}
