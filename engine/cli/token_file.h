/* The token of the admin listener: one line in a file, sent as `Authorization: Bearer TOKEN` by whoever may write there.
 *
 * Serving and the operator's verb read the same file, so there is one way of writing it. The token is never printed, and no error quotes it. */
#ifndef TIDE_TOKEN_FILE_H
#define TIDE_TOKEN_FILE_H

#include "base/err.h"

#define TIDE_TOKEN_LEAST 16
#define TIDE_TOKEN_BYTES 257 /* with the zero byte */

/* A line break at the end of the file is no part of the token. Errors: CONFIG: missing or unreadable, shorter than TIDE_TOKEN_LEAST, too long, or with other characters
 * than those that a bearer token may have (RFC 6750: letters, digits, -._~+/=). */
enum tide_err tide_token_read(const char *path, char ret[TIDE_TOKEN_BYTES], struct tide_error *error) TIDE_WARN_UNUSED;

#endif
