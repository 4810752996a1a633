/* What a model reads and how it weighs it, as a table for people and as JSON: `model describe` and `train` show the same one.
 *
 * Inputs stand by falling weight. A coefficient is per standard deviation of the transformed value, so coefficients can be compared with one
 * another; exp of it is the factor by which one deviation more multiplies the odds of fraud. */
#ifndef TIDE_MODEL_TABLE_H
#define TIDE_MODEL_TABLE_H

#include "model/artifact.h"

#include <stdio.h>

/* The inputs by falling |coefficient|, equal ones in the model's order. The caller frees the list. */
const struct tide_model_input **tide_model_by_weight(const struct tide_model *model);
void tide_model_table_print(const struct tide_model *model, FILE *out);
/* Member "coefficients": a list of {feature, coefficient, odds, transform, mean, scale, median, missing} into an open object, then "intercept". */
void tide_model_table_json(const struct tide_model *model, struct tide_buf *out);
/* "log1p", "clip 0..201": how a value is transformed. Returns out. */
#define TIDE_TRANSFORM_TEXT 64
const char *tide_transform_text(const struct tide_model_input *input, char out[TIDE_TRANSFORM_TEXT]);

#endif
