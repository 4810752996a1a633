/* A span is a borrowed run of bytes: pointer and length, not zero-terminated, never owned.
 *
 * An empty span may have a NULL pointer; nothing may do arithmetic on it. Equality is by content. */
#ifndef TIDE_SPAN_H
#define TIDE_SPAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct tide_span {
  const char *ptr;
  size_t len;
};

#define TIDE_SPAN(literal) ((struct tide_span){(literal), sizeof(literal) - 1})
#define TIDE_SPAN_FMT(s) (int)(s).len, (s).ptr /* for "%.*s" */

static inline struct tide_span tide_span_of(const char *str) {
  return (struct tide_span){str, str ? strlen(str) : 0};
}
static inline bool tide_span_eq(struct tide_span a, struct tide_span b) {
  return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}
static inline bool tide_span_is(struct tide_span a, const char *str) {
  return tide_span_eq(a, tide_span_of(str));
}

#endif
