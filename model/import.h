/* A pipeline that was fitted elsewhere, as a model: scikit-learn's SimpleImputer, StandardScaler and LogisticRegression compute what this folder
 * computes, so their numbers can be taken over.
 *
 *   {"tidemark_pipeline":1, "name":"cards", "version":"2026-11",
 *    "inputs":[{"feature":"card.idle", "impute":{"median":86400, "absent":0, "empty":0}, "transform":{"kind":"log1p"},
 *               "mean":10.8, "scale":2.4, "coefficient":0.1,
 *               "reason":{"code":"R01", "text":"{value} s since the last attempt"},          may be left out
 *               "training":{"missing":0.03, "quantiles":[11 numbers], "shares":[11 numbers]}}, ...],
 *    "intercept":-6.1,
 *    "training":{"rows":N, "fraud":N, "from":TIME, "to":TIME, "l2":1, "class_weight":{...},
 *                "score_quantiles":[11 numbers], "score_shares":[11 numbers]},
 *    "metrics":{...}}                                                                        may be left out
 *
 * It is an artifact (artifact.h) without what only Tidemark can say of it: the definitions of its inputs, which come from the feature file, and the checksum. All
 * else is read by the artifact's own reader, as strictly. "median" is that of the training rows; a pipeline that imputes another constant names it as absent and
 * empty. model/sklearn_export.py writes such a file. */
#ifndef TIDE_IMPORT_H
#define TIDE_IMPORT_H

#include "model/artifact.h"

/* *ret is sealed and bound to `spec`. Errors: those of tide_model_parse, UNKNOWN_NAME (a feature that the feature file has not), VERSION (no pipeline file). */
enum tide_err tide_model_import(struct tide_span text, const struct tide_spec *spec, struct tide_model **ret, struct tide_error *error)
    TIDE_WARN_UNUSED;

#endif
