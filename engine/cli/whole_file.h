/* Files that are read and written whole: models, lists of inputs, pages.
 *
 * What is written stands beside its place until it is complete and is moved there then, so nobody ever reads half of one. */
#ifndef TIDE_WHOLE_FILE_H
#define TIDE_WHOLE_FILE_H

#include "model/artifact.h"

/* Appends the content. Errors: NOT_FOUND, IO, TOO_LONG (more than `max` bytes). */
enum tide_err tide_file_read(const char *path, size_t max, struct tide_buf *out, struct tide_error *error) TIDE_WARN_UNUSED;
/* Error: IO. */
enum tide_err tide_file_replace(const char *path, struct tide_span content, struct tide_error *error) TIDE_WARN_UNUSED;
/* Errors: LIMIT (longer than TIDE_MODEL_BYTES_MAX), IO. */
enum tide_err tide_model_save(const char *path, const struct tide_model *model, struct tide_error *error) TIDE_WARN_UNUSED;

#endif
