/* Memory, growable buffers and the byte encodings of every format of ours.
 *
 * Allocation never fails for the caller: what is let in is bounded by its owner (entry size, file size, entity limits), so running out
 * of memory means that a limit is set wrongly, and the journal brings us back. Without jemalloc a size that is told in freeing is of no use,
 * so builds for sanitizers look whether it is right. Varints are LEB128, little end first, and canonical: a
 * reader refuses an encoding with needless bytes, so equal values have equal bytes and checksums. */
#include "base/buf.h"

#include <endian.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#ifdef TIDE_JEMALLOC
#include <jemalloc/jemalloc.h>
#else
#include <malloc.h>
#endif

enum { BUF_FIRST = 64, VARINT_BYTES = 10 };

void *tide_alloc(size_t bytes) {
  void *ptr = calloc(1, bytes ? bytes : 1);
  TIDE_CHECK(ptr && "out of memory");
  return ptr;
}

void *tide_alloc_bare(size_t bytes) {
  void *ptr = malloc(bytes ? bytes : 1);
  TIDE_CHECK(ptr && "out of memory");
  return ptr;
}

void *tide_realloc(void *ptr, size_t bytes) {
  void *grown = realloc(ptr, bytes ? bytes : 1);
  TIDE_CHECK(grown && "out of memory");
  return grown;
}

char *tide_strndup(const char *ptr, size_t len) {
  TIDE_CHECK(len < SIZE_MAX);
  char *copy = tide_alloc(len + 1);
  if (len > 0) {
    memcpy(copy, ptr, len);
  }
  return copy;
}

char *tide_strdup(const char *str) { return str ? tide_strndup(str, strlen(str)) : NULL; }

void tide_free(void *ptr) { free(ptr); }

void tide_free_sized(void *ptr, size_t bytes) {
#ifdef TIDE_JEMALLOC
  if (ptr) sdallocx(ptr, bytes ? bytes : 1, 0);
#else
#ifdef __SANITIZE_ADDRESS__ /* there it is what was asked for */
  TIDE_CHECK(!ptr || malloc_usable_size(ptr) == (bytes ? bytes : 1));
#else
  TIDE_CHECK(!ptr || malloc_usable_size(ptr) >= bytes);
#endif
  free(ptr);
#endif
}

void tide_buf_release(struct tide_buf *buf) {
  free(buf->ptr);
  *buf = TIDE_BUF_INIT;
}

void tide_buf_grow(struct tide_buf *buf, size_t more) {
  TIDE_CHECK(buf->len <= buf->cap);
  TIDE_CHECK(more <= SIZE_MAX / 4 && buf->len <= SIZE_MAX / 4);
  size_t need = buf->len + more, cap = buf->cap ? buf->cap : BUF_FIRST;
  while (cap < need) {
    cap += cap;
  }
  buf->ptr = tide_realloc(buf->ptr, cap);
  buf->cap = cap;
}

void tide_buf_str(struct tide_buf *buf, const char *str) { tide_buf_put(buf, str, strlen(str)); }

void tide_buf_printf(struct tide_buf *buf, const char *fmt, ...) {
  va_list ap, again;
  va_start(ap, fmt);
  va_copy(again, ap);
  tide_buf_reserve(buf, BUF_FIRST);
  int len = vsnprintf(buf->ptr + buf->len, buf->cap - buf->len, fmt, ap);
  TIDE_CHECK(len >= 0);
  if ((size_t)len >= buf->cap - buf->len) {
    tide_buf_reserve(buf, (size_t)len + 1);
    int rest = vsnprintf(buf->ptr + buf->len, buf->cap - buf->len, fmt, again);
    TIDE_CHECK(rest == len);
  }
  buf->len += (size_t)len;
  va_end(again);
  va_end(ap);
}

const char *tide_buf_cstr(struct tide_buf *buf) {
  tide_buf_reserve(buf, 1);
  buf->ptr[buf->len] = '\0';
  return buf->ptr;
}

char *tide_buf_take(struct tide_buf *buf) {
  tide_buf_cstr(buf);
  char *ptr = buf->ptr;
  *buf = TIDE_BUF_INIT;
  return ptr;
}

static void put_little(struct tide_buf *buf, uint64_t v, unsigned bytes) {
  tide_buf_reserve(buf, sizeof v); /* all eight are written, what is behind `bytes` counts for nothing */
  v = htole64(v);
  memcpy(buf->ptr + buf->len, &v, sizeof v);
  buf->len += bytes;
}

void tide_put_u8(struct tide_buf *buf, uint8_t v) { put_little(buf, v, 1); }
void tide_put_u16(struct tide_buf *buf, uint16_t v) { put_little(buf, v, 2); }
void tide_put_u32(struct tide_buf *buf, uint32_t v) { put_little(buf, v, 4); }
void tide_put_u64(struct tide_buf *buf, uint64_t v) { put_little(buf, v, 8); }

void tide_put_varint(struct tide_buf *buf, uint64_t v) {
  tide_buf_reserve(buf, VARINT_BYTES);
  while (v >= 0x80u) {
    buf->ptr[buf->len++] = (char)(uint8_t)(v | 0x80u);
    v >>= 7;
  }
  buf->ptr[buf->len++] = (char)(uint8_t)v;
}

/* Small magnitudes of either sign become small numbers: 0, -1, 1, -2 -> 0, 1, 2, 3. */
void tide_put_zigzag(struct tide_buf *buf, int64_t v) {
  uint64_t u = (uint64_t)v;
  tide_put_varint(buf, (u << 1) ^ (v < 0 ? UINT64_MAX : 0));
}

void tide_put_span(struct tide_buf *buf, struct tide_span s) {
  tide_put_varint(buf, s.len);
  tide_buf_put(buf, s.ptr, s.len);
}

/* The next `len` bytes, or NULL and `bad`. */
static const uint8_t *take(struct tide_reader *r, size_t len) {
  if (r->bad || (size_t)(r->end - r->ptr) < len) {
    r->bad = true;
    return NULL;
  }
  const uint8_t *at = r->ptr;
  if (len > 0) {
    r->ptr += len;
  }
  return at;
}

static uint64_t get_little(struct tide_reader *r, unsigned bytes) {
  const uint8_t *at = take(r, bytes);
  uint64_t v = 0;
  if (at) memcpy(&v, at, bytes);
  return le64toh(v);
}

uint8_t tide_get_u8(struct tide_reader *r) { return (uint8_t)get_little(r, 1); }
uint16_t tide_get_u16(struct tide_reader *r) { return (uint16_t)get_little(r, 2); }
uint32_t tide_get_u32(struct tide_reader *r) { return (uint32_t)get_little(r, 4); }
uint64_t tide_get_u64(struct tide_reader *r) { return get_little(r, 8); }

uint64_t tide_get_varint(struct tide_reader *r) {
  uint64_t v = 0;
  for (unsigned shift = 0; shift < 7 * VARINT_BYTES; shift += 7) {
    const uint8_t *at = take(r, 1);
    if (!at) {
      return 0;
    }
    bool last = *at < 0x80u;
    /* The tenth byte holds bit 63 only; a last byte of zero after others is a needless one. */
    if ((shift == 63 && *at > 1) || (last && *at == 0 && shift > 0)) {
      break;
    }
    v |= (uint64_t)(*at & 0x7fu) << shift;
    if (last) {
      return v;
    }
  }
  r->bad = true;
  return 0;
}

int64_t tide_get_zigzag(struct tide_reader *r) {
  uint64_t u = tide_get_varint(r);
  uint64_t v = (u >> 1) ^ (u & 1 ? UINT64_MAX : 0);
  int64_t out;
  memcpy(&out, &v, sizeof out);
  return out;
}

struct tide_span tide_get_bytes(struct tide_reader *r, size_t len) {
  const uint8_t *at = take(r, len);
  return at ? (struct tide_span){(const char *)at, len} : (struct tide_span){NULL, 0};
}

struct tide_span tide_get_span(struct tide_reader *r) {
  _Static_assert(sizeof(size_t) == sizeof(uint64_t), "a 64-bit machine");
  return tide_get_bytes(r, tide_get_varint(r));
}
