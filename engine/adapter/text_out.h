/* Text into a file, compressed by the file's name: .gz (RFC 1952), .zst (RFC 8878), anything else plain; "-" is standard output.
 *
 * The counterpart of source_file, which tells compression by content. Writes are gathered; close tells whether everything arrived, so its
 * result matters as much as that of every put. */
#ifndef TIDE_TEXT_OUT_H
#define TIDE_TEXT_OUT_H

#include "base/err.h"
#include "base/span.h"

struct tide_text_out;
/* Truncates the file. Error: IO. */
enum tide_err tide_text_out_open(const char *path, struct tide_text_out **ret, struct tide_error *error) TIDE_WARN_UNUSED;
/* Errors: IO, FULL. */
enum tide_err tide_text_out_put(struct tide_text_out *out, struct tide_span bytes, struct tide_error *error) TIDE_WARN_UNUSED;
/* Ends the compressed stream, writes what is gathered, closes and frees, also after an error. */
enum tide_err tide_text_out_close(struct tide_text_out *out, struct tide_error *error) TIDE_WARN_UNUSED;

#endif
