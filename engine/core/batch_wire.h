/* The inlined half of the byte encodings in base/buf.h: what runs once per field of every record.
 *
 * Writers advance a raw pointer; the caller has made room (batch.c reserves one entry and the largest fixed part of a record at the
 * start of a batch, so only texts are checked against the limit). Readers follow struct tide_reader's promise: the first read past
 * the end sets `bad` and everything after gives zero. The bytes are those of tide_put_* and tide_get_*; a test compares them. */
#ifndef TIDE_BATCH_WIRE_H
#define TIDE_BATCH_WIRE_H

#include <endian.h>

#include "base/buf.h"
#include "base/copy.h"

static inline uint8_t *wire_put_u32(uint8_t *p, uint32_t v) {
  v = htole32(v);
  memcpy(p, &v, sizeof v);
  return p + sizeof v;
}

static inline uint8_t *wire_put_u64(uint8_t *p, uint64_t v) {
  v = htole64(v);
  memcpy(p, &v, sizeof v);
  return p + sizeof v;
}

static inline uint8_t *wire_put_u16(uint8_t *p, uint16_t v) {
  p[0] = (uint8_t)v;
  p[1] = (uint8_t)(v >> 8);
  return p + 2;
}

static inline uint8_t *wire_put_varint(uint8_t *p, uint64_t v) {
  while (v >= 0x80u) {
    *p++ = (uint8_t)(v | 0x80u);
    v >>= 7;
  }
  *p++ = (uint8_t)v;
  return p;
}

static inline uint8_t *wire_put_zigzag(uint8_t *p, int64_t v) {
  uint64_t u = (uint64_t)v;
  return wire_put_varint(p, (u << 1) ^ (v < 0 ? UINT64_MAX : 0));
}

/* A text: nearly all are shorter than a call. */
static inline uint8_t *wire_put_short(uint8_t *p, const void *ptr, size_t len) {
  tide_copy_few((char *)p, ptr, len);
  return p + len;
}

static inline uint8_t *wire_put_bytes(uint8_t *p, const void *ptr, size_t len) {
  if (len > 0) {
    memcpy(p, ptr, len);
  }
  return p + len;
}

static inline bool wire_has(struct tide_reader *r, size_t len) {
  if (TIDE_UNLIKELY(r->bad || (size_t)(r->end - r->ptr) < len)) {
    r->bad = true;
    return false;
  }
  return true;
}

static inline uint8_t wire_u8(struct tide_reader *r) {
  return wire_has(r, 1) ? *r->ptr++ : 0;
}

static inline uint32_t wire_u32(struct tide_reader *r) {
  if (!wire_has(r, 4)) {
    return 0;
  }
  uint32_t v;
  memcpy(&v, r->ptr, sizeof v);
  r->ptr += sizeof v;
  return le32toh(v);
}

static inline uint64_t wire_u64(struct tide_reader *r) {
  if (!wire_has(r, 8)) {
    return 0;
  }
  uint64_t v;
  memcpy(&v, r->ptr, sizeof v);
  r->ptr += sizeof v;
  return le64toh(v);
}

/* What stands behind the varint at `at`, of up to eight bytes taken with one look; NULL: one for base, which takes the rest and makes the refusals. */
static inline const uint8_t *wire_quick_varint(const uint8_t *at, const uint8_t *end, uint64_t *ret) {
  uint64_t bytes;
  if (TIDE_UNLIKELY((size_t)(end - at) < sizeof bytes)) {
    *ret = at < end ? *at : 0;
    return at < end && *at < 0x80u ? at + 1 : NULL;
  }
  memcpy(&bytes, at, sizeof bytes);
  bytes = le64toh(bytes);
  if (!(bytes & 0x80u)) {
    *ret = bytes & 0x7fu;
    return at + 1;
  }
  uint64_t ends = ~bytes & UINT64_C(0x8080808080808080); /* bytes without the bit that says that another follows */
  unsigned last = (unsigned)__builtin_ctzll(ends | UINT64_C(1) << 63) / 8;
  if (TIDE_UNLIKELY(ends == 0 || at[last] == 0)) return NULL; /* longer than this, or than it has to be: base says what to make of it */
  bytes &= ends ^ (ends - 1);                            /* up to the bit that ends it */
  bytes &= UINT64_C(0x7f7f7f7f7f7f7f7f);                 /* then sevens of bits are moved together, two by two */
  bytes = (bytes & UINT64_C(0x007f007f007f007f)) | (bytes & UINT64_C(0x7f007f007f007f00)) >> 1;
  bytes = (bytes & UINT64_C(0x00003fff00003fff)) | (bytes & UINT64_C(0x3fff00003fff0000)) >> 2;
  *ret = (bytes & UINT64_C(0x000000000fffffff)) | (bytes & UINT64_C(0x0fffffff00000000)) >> 4;
  return at + last + 1;
}

static inline uint64_t wire_varint(struct tide_reader *r) {
  uint64_t v;
  const uint8_t *at = TIDE_LIKELY(!r->bad) ? wire_quick_varint(r->ptr, r->end, &v) : NULL;
  if (TIDE_UNLIKELY(!at)) {
    return tide_get_varint(r);
  }
  r->ptr = at;
  return v;
}

static inline int64_t wire_unzigzag(uint64_t u) {
  uint64_t v = (u >> 1) ^ (0 - (u & 1));
  int64_t out;
  memcpy(&out, &v, sizeof out);
  return out;
}

static inline int64_t wire_zigzag(struct tide_reader *r) {
  return wire_unzigzag(wire_varint(r));
}

/* `len` borrowed bytes, or NULL and `bad`. */
static inline const uint8_t *wire_bytes(struct tide_reader *r, size_t len) {
  if (!wire_has(r, len)) {
    return NULL;
  }
  const uint8_t *at = r->ptr;
  r->ptr += len;
  return at;
}

#endif
