/* Writing JSON into a tide_buf, deterministically: same values, same bytes. Commas are the writer's business: it looks at the last
 * byte written. Strings are escaped (RFC 8259) and must be UTF-8. Doubles use the shortest form that reads back the same (17 digits at most,
 * never NaN or infinity: TIDE_CHECK), integers without exponent up to 2^53, minus zero as 0. */
#ifndef TIDE_JSON_OUT_H
#define TIDE_JSON_OUT_H

#include "base/buf.h"

void tide_json_open(struct tide_buf *out, char bracket);  /* '{' or '[', with a comma before it where needed */
void tide_json_close(struct tide_buf *out, char bracket); /* '}' or ']' */
void tide_json_key(struct tide_buf *out, const char *key);
void tide_json_str(struct tide_buf *out, struct tide_span s);
void tide_json_cstr(struct tide_buf *out, const char *s);
void tide_json_int(struct tide_buf *out, int64_t v);
void tide_json_double(struct tide_buf *out, double v);
void tide_json_money(struct tide_buf *out, __int128 minor, int exponent); /* 50.00 as a number, exact */
void tide_json_bool(struct tide_buf *out, bool v);
void tide_json_null(struct tide_buf *out);
void tide_json_raw(struct tide_buf *out, struct tide_span json); /* an already encoded value */

#endif
