/* Which values a model reads: a list in a file, or everything there is.
 *
 *   # a comment
 *   card.attempts_10m                                  the reason is made of the name
 *   card.idle absent=0 empty=86400 transform=log1p {value} s since the last attempt
 *   amount_z transform=clip:-10:20 an amount {value} deviations from the usual
 *
 * One input per line: a name, then settings NAME=VALUE (absent, empty: imputation for that cause; transform: none, log1p, clip:LO:HI), then the text of its reason with
 * "{value}" for the value. */
#ifndef TIDE_TRAIN_INPUTS_H
#define TIDE_TRAIN_INPUTS_H

#include "model/artifact.h"

/* Fills model->input (feature, definition, leaf, own imputations, transform, code, text) from the file, or with path NULL from every number and condition among
 * features and derived values. ret_chosen[i] tells that the transform was given. A capped distinct count without one gets the clip 0..cap+1, under which "more than
 * cap" still is a number (preprocess.h). Errors: IO, NOT_FOUND, and with line: UNKNOWN_NAME, TYPE, DUPLICATE_KEY, RANGE, LIMIT. */
enum tide_err tide_train_inputs(const char *path, const struct tide_spec *spec, struct tide_model *model, bool ret_chosen[TIDE_MODEL_INPUTS_MAX],
                                struct tide_error *error) TIDE_WARN_UNUSED;

#endif
