/* Any bytes as a receipt: refused with a sentence, or one that names a place and differs from another by nameable members.
 *
 * Its seal is put right first, or nothing would get behind it. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/hash.h"
#include "cli/receipt.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void seal(struct tide_buf *text) {
  uint8_t hash[TIDE_SHA256_BYTES];
  tide_sha256(tide_buf_span(text), hash);
  tide_buf_str(text, ",\"checksum\":\"");
  for (unsigned i = 0; i < TIDE_SHA256_BYTES; i++) tide_buf_printf(text, "%02x", hash[i]);
  tide_buf_str(text, "\"}");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static const char other[] = "{\"tidemark_receipt\":1,\"position\":\"1-2.3\",\"answer\":{\"a\":1},\"checksum\":\"\"}";
  struct tide_receipt receipt = {.text = TIDE_BUF_INIT};
  struct tide_error error = {0};
  struct tide_buf told = TIDE_BUF_INIT;
  tide_buf_put(&receipt.text, data, size);
  if (size && data[0] == '{') seal(&receipt.text);
  enum tide_err err = tide_receipt_parse("fuzzed", &receipt, &error);
  if (err != TIDE_OK && error.text[0] == '\0') abort();
  if (err == TIDE_OK) {
    size_t count = tide_receipt_compare(tide_buf_span(&receipt.text), tide_span_of(other), 5, &told);
    if ((count == 0) != (told.len == 0) || tide_receipt_compare(tide_buf_span(&receipt.text), tide_buf_span(&receipt.text), 5, &told))
      abort();
  }
  tide_buf_release(&told);
  tide_receipt_release(&receipt);
  return 0;
}
