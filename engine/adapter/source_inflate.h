/* One input file as a stream of plain bytes: plain, gzip (RFC 1952, any number of members) or zstd (RFC 8878, any number of frames), told
 * apart by its first bytes. A compressed stream that ends too early is corrupt, never simply short. Used by source_file.c only. */
#ifndef TIDE_SOURCE_INFLATE_H
#define TIDE_SOURCE_INFLATE_H

#include "base/buf.h"
#include "base/err.h"

struct tide_inflate;

/* Opens path ("-": standard input). Errors: NOT_FOUND, IO, with what to try. */
enum tide_err tide_inflate_open(const char *path, struct tide_inflate **ret, struct tide_error *error) TIDE_WARN_UNUSED;
void tide_inflate_close(struct tide_inflate *in);
/* Up to `room` (> 0) plain bytes; *ret_len 0 only at the end of the file. Errors: IO, CORRUPT (naming file and offset in it). */
enum tide_err tide_inflate_read(struct tide_inflate *in, char *out, size_t room, size_t *ret_len,
                                struct tide_error *error) TIDE_WARN_UNUSED;
uint64_t tide_inflate_consumed(const struct tide_inflate *in); /* bytes read from the file itself */

#endif
