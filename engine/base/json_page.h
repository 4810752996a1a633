/* Members of a page of facts: a key with a value, null where the value is not known. Beside json_out.h, for pages whose every member may lack its fact. */
#ifndef TIDE_JSON_PAGE_H
#define TIDE_JSON_PAGE_H

#include "base/buf.h"

void tide_page_int(struct tide_buf *out, const char *key, int64_t value);
void tide_page_bool(struct tide_buf *out, const char *key, bool value);
/* NULL and "": null. */
void tide_page_text(struct tide_buf *out, const char *key, const char *value);
/* Milliseconds since 1970 as RFC 3339; what is no time (TIDE_TIME_MIN_MS to TIDE_TIME_MAX_MS): null. */
void tide_page_time(struct tide_buf *out, const char *key, int64_t ms);
/* NaN: null. */
void tide_page_number(struct tide_buf *out, const char *key, double value);

#endif
