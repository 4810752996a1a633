/* What differs between two versions, in the words of those who wrote them: inputs and coefficients of models, definitions of features, lines of files.
 *
 * Definitions are compared as models compare them (model/definition.h): a renamed window or another order of the file is no difference there, but is one of lines. */
#ifndef TIDE_REGISTRY_DIFF_H
#define TIDE_REGISTRY_DIFF_H

#include "base/buf.h"
#include "base/err.h"
#include "feature/spec.h"
#include "model/artifact.h"

/* Append what differs, a line each, and return how many lines. `-` is the first, `+` the second. */
uint32_t tide_diff_models(const struct tide_model *a, const struct tide_model *b, struct tide_buf *out);
uint32_t tide_diff_definitions(const struct tide_spec *a, const struct tide_spec *b, struct tide_buf *out);
uint32_t tide_diff_lines(struct tide_span a, struct tide_span b, struct tide_buf *out);

#endif
