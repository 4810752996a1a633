/* Avro's binary encoding by hand, and schemas in a directory: so that tests can write what no library would.
 *
 * Written from the specification (1.11, "Binary Encoding"), apart from the decoder. */
#ifndef TEST_AVRO_BYTES_H
#define TEST_AVRO_BYTES_H

#include "adapter/schemas.h"
#include "base/buf.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/* zigzag, then 7 bits a byte from the low end. */
static inline void wire_long(struct tide_buf *out, int64_t v) {
  uint64_t bits = v < 0 ? ~((uint64_t)v << 1) : (uint64_t)v << 1;
  for (; bits > 0x7F; bits >>= 7) tide_buf_char(out, (char)(uint8_t)(bits | 0x80));
  tide_buf_char(out, (char)(uint8_t)bits);
}
static inline void wire_run(struct tide_buf *out, const void *bytes, size_t len) {
  wire_long(out, (int64_t)len);
  tide_buf_put(out, bytes, len);
}
static inline void wire_text(struct tide_buf *out, const char *text) { wire_run(out, text, strlen(text)); }
static inline void wire_double(struct tide_buf *out, double v) {
  uint64_t bits;
  memcpy(&bits, &v, sizeof bits);
  tide_put_u64(out, bits);
}
static inline void wire_float(struct tide_buf *out, float v) {
  uint32_t bits;
  memcpy(&bits, &v, sizeof bits);
  tide_put_u32(out, bits);
}
/* Big-endian two's complement of `len` bytes, 1..16. */
static inline void wire_unscaled(uint8_t *out, size_t len, __int128 v) {
  unsigned __int128 bits = (unsigned __int128)v;
  for (size_t i = len; i > 0; i--, bits >>= 8) out[i - 1] = (uint8_t)bits;
}
/* The frame of the Schema Registry: begins a message. */
static inline void wire_frame(struct tide_buf *out, uint32_t id) {
  const uint8_t frame[5] = {0, (uint8_t)(id >> 24), (uint8_t)(id >> 16), (uint8_t)(id >> 8), (uint8_t)id};
  tide_buf_clear(out);
  tide_buf_put(out, frame, sizeof frame);
}

/* Writes DIR/ID.avsc. */
static inline void wire_store(const char *dir, uint32_t id, const char *schema) {
  struct tide_buf path = TIDE_BUF_INIT;
  tide_buf_printf(&path, "%s/%" PRIu32 ".avsc", dir, id);
  FILE *file = fopen(tide_buf_cstr(&path), "w");
  if (!file || fwrite(schema, 1, strlen(schema), file) != strlen(schema) || fclose(file) != 0) abort();
  tide_buf_release(&path);
}
static inline struct tide_schemas *wire_open(const char *dir) {
  struct tide_schemas *schemas;
  struct tide_error error;
  struct tide_schemas_options options = {.from = dir};
  if (tide_schemas_open(&options, &schemas, &error) != TIDE_OK) {
    fprintf(stderr, "%s\n", error.text);
    abort();
  }
  return schemas;
}

#endif
