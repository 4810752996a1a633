/* Writing a model to its file.
 *
 * It is written beside its place and moved there when it is whole, so a model file is never half of one; reading is model/artifact.h's. */
#ifndef TIDE_MODEL_FILE_H
#define TIDE_MODEL_FILE_H

#include "model/artifact.h"

/* Errors: LIMIT (longer than TIDE_MODEL_BYTES_MAX), IO. */
enum tide_err tide_model_save(const char *path, const struct tide_model *model, struct tide_error *error) TIDE_WARN_UNUSED;

/* The same for any file: beside its place, then moved. Error: IO. */
enum tide_err tide_file_replace(const char *path, struct tide_span content, struct tide_error *error) TIDE_WARN_UNUSED;

#endif
