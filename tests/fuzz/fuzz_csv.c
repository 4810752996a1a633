/* Any bytes as a CSV file: the first line is the header, the others are rows. The same soundness as fuzz_json.c. */
#include <stdint.h>
#include <stdlib.h>

#include "adapter/decode.h"
#include "base/num.h"
#include "base/utf8.h"
#include "tests/support/mini_spec.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct tide_span next_line(struct tide_span *rest) {
  const char *end = rest->len ? memchr(rest->ptr, '\n', rest->len) : NULL;
  struct tide_span line = {rest->ptr, end ? (size_t)(end - rest->ptr) : rest->len};
  size_t used = line.len + (end ? 1 : 0);
  *rest = (struct tide_span){rest->ptr + used, rest->len - used};
  return line;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static struct tide_spec *spec;
  static struct tide_secret_key key;
  static struct tide_record record[2];
  struct tide_error error;
  if (!spec) {
    spec = mini_cards();
    key = mini_key(5);
  }
  struct tide_decode_options options = {.spec = spec, .key = &key, .shape = "flat", .format = TIDE_FORMAT_CSV};
  struct tide_decoder *decoder;
  TIDE_CHECK(tide_decoder_new(&options, &decoder, &error) == TIDE_OK);
  struct tide_span rest = {(const char *)data, size};
  uint32_t pan = mini_index(spec, "pan");
  enum tide_err err = tide_decode_header(decoder, next_line(&rest), &error);
  if (err) TIDE_CHECK(error.code == err && tide_utf8_valid(tide_span_of(error.text)));
  while (!err && rest.len) {
    struct tide_span line = next_line(&rest);
    int count = 0;
    enum tide_err bad = tide_decode(decoder, line, record, &count, &error);
    if (bad) TIDE_CHECK(error.code == bad && tide_utf8_valid(tide_span_of(error.text)));
    for (int k = 0; k < count; k++) {
      for (uint32_t i = 0; i < spec->field_count; i++) {
        const struct tide_datum *d = &record[k].field[i];
        if (d->kind == TIDE_D_TEXT) TIDE_CHECK(!spec->field[i].secret && d->text.len > 0 && tide_utf8_valid(d->text));
        if (d->kind == TIDE_D_INT && spec->field[i].type == TIDE_F_MONEY) TIDE_CHECK(d->num >= 0 && d->num <= TIDE_AMOUNT_MAX);
      }
    }
    bool secret = !bad && record[0].field[pan].kind == TIDE_D_KEY;
    struct tide_buf masked = TIDE_BUF_INIT;
    tide_decode_mask(decoder, line, &masked);
    if (secret) {
      TIDE_CHECK(tide_decode(decoder, tide_buf_span(&masked), record, &count, &error) == TIDE_OK);
      TIDE_CHECK(tide_u128_eq(record[0].field[pan].key, tide_secret_hash(&key, TIDE_SPAN("***"))));
    }
    tide_buf_release(&masked);
  }
  tide_decoder_free(decoder);
  return 0;
}
