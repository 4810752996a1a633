/* Base64 with padding, RFC 4648 section 4: bytes inside of JSON, as etcd's gateway and our own files write them.
 *
 * Decoding is strict (no line breaks, whole groups, zero bits at the end), so that equal bytes have one text only. */
#ifndef TIDE_BASE64_H
#define TIDE_BASE64_H

#include "base/buf.h"

/* Appends the text of the bytes. */
void tide_base64_put(struct tide_buf *out, struct tide_span bytes);
/* Appends the bytes of the text; false, and out as before, when it is no base64. */
bool tide_base64_get(struct tide_span text, struct tide_buf *out);

#endif
