/* A growable byte buffer. Growth failure is our own limit reached and panics: buffers are bounded by what their owner lets in.
 *
 * init/release own the memory; `clear` keeps the capacity; `take` hands the memory to the caller (free with tide_free). */
#ifndef TIDE_BUF_H
#define TIDE_BUF_H

#include "base/check.h"
#include "base/span.h"

struct tide_buf {
  char *ptr;
  size_t len, cap;
};

#define TIDE_BUF_INIT ((struct tide_buf){0})

void *tide_alloc(size_t bytes);                     /* zeroed; panics when memory is exhausted */
void *tide_alloc_bare(size_t bytes);                /* the same with anything in it: the caller writes what it reads */
void *tide_realloc(void *ptr, size_t bytes);        /* panics when memory is exhausted */
char *tide_strdup(const char *str);                 /* NULL stays NULL */
char *tide_strndup(const char *ptr, size_t len);    /* adds the zero byte */
void tide_free(void *ptr);
/* The same for who knows that just so many bytes were asked for: an allocator that is told need not look it up, which is a wait for memory. */
void tide_free_sized(void *ptr, size_t bytes);

void tide_buf_release(struct tide_buf *buf);
static inline void tide_buf_clear(struct tide_buf *buf) { buf->len = 0; }
void tide_buf_grow(struct tide_buf *buf, size_t more);
static inline void tide_buf_reserve(struct tide_buf *buf, size_t more) { /* room for `more` bytes behind len */
  if (TIDE_UNLIKELY(buf->cap - buf->len < more)) tide_buf_grow(buf, more);
}
static inline void tide_buf_put(struct tide_buf *buf, const void *ptr, size_t len) {
  if (len == 0) return;
  tide_buf_reserve(buf, len);
  memcpy(buf->ptr + buf->len, ptr, len);
  buf->len += len;
}
#define TIDE_BUF_LITERAL(buf, text) tide_buf_put(buf, text, sizeof(text) - 1)
void tide_buf_str(struct tide_buf *buf, const char *str);
static inline void tide_buf_char(struct tide_buf *buf, char c) {
  tide_buf_reserve(buf, 1);
  buf->ptr[buf->len++] = c;
}
/* The decimal digits of v (20 at most), written where they stand; returns the place behind them. */
static inline char *tide_digits(char *at, uint64_t v) {
  size_t count = 1;
  for (uint64_t left = v; left >= 10; left /= 10) count++;
  char *end = at + count;
  for (at = end; count > 0; count--, v /= 10) *--at = (char)('0' + v % 10);
  return end;
}
void tide_buf_printf(struct tide_buf *buf, const char *fmt, ...) TIDE_PRINTF(2, 3);
const char *tide_buf_cstr(struct tide_buf *buf);    /* adds a zero byte behind len (not counted) and returns ptr */
char *tide_buf_take(struct tide_buf *buf);          /* cstr, ownership to the caller, buf empty */
static inline struct tide_span tide_buf_span(const struct tide_buf *buf) {
  return (struct tide_span){buf->ptr, buf->len};
}

/* Fixed-width little-endian and LEB128 varints, for every byte format of ours. */
void tide_put_u8(struct tide_buf *buf, uint8_t v);
void tide_put_u16(struct tide_buf *buf, uint16_t v);
void tide_put_u32(struct tide_buf *buf, uint32_t v);
void tide_put_u64(struct tide_buf *buf, uint64_t v);
void tide_put_varint(struct tide_buf *buf, uint64_t v);
void tide_put_zigzag(struct tide_buf *buf, int64_t v);
void tide_put_span(struct tide_buf *buf, struct tide_span s); /* varint length, then the bytes */

/* A reader over borrowed bytes. The first read past the end (or an overlong varint) sets `bad` and every later read gives 0 or an
 * empty span, so a decoder checks once at the end. */
struct tide_reader {
  const uint8_t *ptr, *end;
  bool bad;
};

static inline struct tide_reader tide_reader_of(struct tide_span s) {
  const uint8_t *ptr = (const uint8_t *)s.ptr;
  return (struct tide_reader){ptr, s.len ? ptr + s.len : ptr, false}; /* no arithmetic on the NULL of an empty span */
}
uint8_t tide_get_u8(struct tide_reader *r);
uint16_t tide_get_u16(struct tide_reader *r);
uint32_t tide_get_u32(struct tide_reader *r);
uint64_t tide_get_u64(struct tide_reader *r);
uint64_t tide_get_varint(struct tide_reader *r);
int64_t tide_get_zigzag(struct tide_reader *r);
struct tide_span tide_get_bytes(struct tide_reader *r, size_t len); /* borrowed */
struct tide_span tide_get_span(struct tide_reader *r);

#endif
