/* Writing JSON into a tide_buf, deterministically: same values, same bytes. Commas are the writer's business: it looks at the last
 * byte written. Strings are escaped (RFC 8259) and must be UTF-8. Doubles use the shortest form that reads back the same (17 digits at most,
 * never NaN or infinity: TIDE_CHECK), integers without exponent up to 2^53, minus zero as 0. */
#ifndef TIDE_JSON_OUT_H
#define TIDE_JSON_OUT_H

#include "base/buf.h"

/* What is written next stands first: nothing before it, or an opening byte or a line's end. */
static inline bool tide_json_first(const struct tide_buf *out) {
  if (out->len == 0) return true;
  switch (out->ptr[out->len - 1]) {
    case '{':
    case '[':
    case ':':
    case ',':
    case '\n': return true;
    default: return false;
  }
}
/* A piece of JSON without the comma before it, which is written where needed. */
static inline void tide_json_piece(struct tide_buf *out, const char *piece, size_t len) {
  tide_buf_reserve(out, len + 1);
  char *at = out->ptr + out->len;
  bool more = !tide_json_first(out);
  if (more) *at++ = ',';
  memcpy(at, piece, len);
  out->len += len + more;
}
/* Literals without anything to escape, their length known when the program is built: `"name":`, and a text. */
#define TIDE_JSON_KEY(out, name) tide_json_piece(out, "\"" name "\":", sizeof("\"" name "\":") - 1)
#define TIDE_JSON_WORD(out, text) tide_json_piece(out, "\"" text "\"", sizeof("\"" text "\"") - 1)

/* The same behind another member of the object, which needs no look: `,"name":`; and any literal that is known to fit where it comes. */
#define TIDE_JSON_NEXT(out, name) TIDE_BUF_LITERAL(out, ",\"" name "\":")

/* '{' or '[', with a comma before it where needed. */
static inline void tide_json_open(struct tide_buf *out, char bracket) { tide_json_piece(out, &bracket, 1); }
/* '}' or ']'. */
static inline void tide_json_close(struct tide_buf *out, char bracket) { tide_buf_char(out, bracket); }
void tide_json_key(struct tide_buf *out, const char *key);
void tide_json_str(struct tide_buf *out, struct tide_span s);
void tide_json_cstr(struct tide_buf *out, const char *s);
/* A text that is put together where it stands: what is appended between the two as it is (tide_buf_*) is escaped by the second, which takes what the first gave. */
size_t tide_json_text_begin(struct tide_buf *out);
void tide_json_text_end(struct tide_buf *out, size_t from);
void tide_json_int(struct tide_buf *out, int64_t v);
void tide_json_double(struct tide_buf *out, double v);
void tide_json_money(struct tide_buf *out, __int128 minor, int exponent); /* 50.00 as a number, exact */
void tide_json_bool(struct tide_buf *out, bool v);
void tide_json_null(struct tide_buf *out);
void tide_json_raw(struct tide_buf *out, struct tide_span json); /* an already encoded value */

#endif
