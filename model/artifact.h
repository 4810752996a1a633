/* A model as a file: everything that a score depends on, in one JSON document, immutable and known by its content.
 *
 *   {"tidemark_model":1, "name":"cards", "version":"2026-11",
 *    "features":{"name":"eu-issuing", "definitions":"<hash of all definitions below, 32 hex digits>"},
 *    "inputs":[{"feature":"card.attempts_10m", "definition":"card.attempts_10m = count over 10m ...",
 *               "impute":{"median":1, "absent":0},                      absent, empty: only where they differ from the median
 *               "transform":{"kind":"clip", "lo":0, "hi":101},          kind: none, log1p, clip
 *               "mean":1.2, "scale":0.4, "coefficient":0.31,
 *               "reason":{"code":"R01", "text":"{value} attempts in 10 minutes"},
 *               "training":{"missing":0.01, "quantiles":[11 numbers], "shares":[11 numbers]}}, ...],
 *    "intercept":-6.1,
 *    "training":{"rows":N, "fraud":N, "from":TIME, "to":TIME, "l2":1,
 *                "class_weight":{"genuine":1, "fraud":20},                only where classes weigh otherwise than 1: then a score is no share of fraud
 *                "score_quantiles":[11 numbers], "score_shares":[11 numbers]},
 *    "metrics":{"rows":N, "fraud":N, "roc_auc":x, "average_precision":x, "card_precision_k":100, "card_precision":x},   null: not defined
 *    "checksum":"<hash of the canonical bytes of all before, 32 hex digits>"}
 *
 * Canonical bytes: members in this order, shortest numbers that read back the same (base/json_out.h), no spaces. White space of a file does not count; everything else
 * does: an artifact that was touched by hand is refused. Thresholds are policy and not in it.
 *
 * Quantiles alone do not tell how much of a count that is mostly 0 is 0 (somewhere from .95 to .99, if these two quantiles differ), and drift would be judged by the
 * gap. So "shares" says for each quantile what share of the values are at or below it, exactly. Artifacts made before there were any lack both "shares". */
#ifndef TIDE_ARTIFACT_H
#define TIDE_ARTIFACT_H

#include "base/arena.h"
#include "base/buf.h"
#include "feature/spec.h"

#define TIDE_MODEL_FORMAT 1
#define TIDE_MODEL_INPUTS_MAX 256
#define TIDE_MODEL_BYTES_MAX (640u * 1024) /* fits a journal entry beside the feature file */
#define TIDE_MODEL_NAME_MAX 64
#define TIDE_MODEL_ID 112                  /* "name@1f2e3d4c" and its zero byte; a registry's name for it may be longer than its own */

/* Quantiles of the sketches: of training values before imputation and transform, and of the training scores. */
#define TIDE_QUANTILES 11
extern const double tide_quantile_at[TIDE_QUANTILES]; /* 0, .01, .05, .1, .25, .5, .75, .9, .95, .99, 1 */

enum tide_transform { TIDE_TRANSFORM_NONE, TIDE_TRANSFORM_LOG1P, TIDE_TRANSFORM_CLIP, TIDE_TRANSFORM_COUNT };
const char *tide_transform_name(enum tide_transform transform);

struct tide_model_input {
  const char *feature;
  const char *definition;
  double median, absent, empty; /* imputation by cause; absent and empty are the median unless given */
  bool has_absent, has_empty;
  uint8_t transform;            /* enum tide_transform */
  double lo, hi;                /* CLIP */
  double mean, scale;           /* of the transformed value; scale > 0 */
  double coefficient;
  const char *code, *text;      /* reason: "{value}" in the text stands for the value */
  double missing;               /* share of training rows without a value, 0..1 */
  double quantile[TIDE_QUANTILES];
  double share[TIDE_QUANTILES]; /* of the training values that are at or below the quantile */
  struct tide_expr leaf;        /* what it reads, once bound (tide_model_bind) */
};

struct tide_model {
  struct tide_arena arena;      /* of all texts and inputs */
  const char *name, *version;
  const char *features;         /* name of the feature file it was trained with: for people */
  struct tide_u128 definitions; /* hash of the inputs' definitions */
  struct tide_model_input *input;
  uint32_t input_count;
  double intercept;
  /* training */
  uint64_t rows, fraud;
  int64_t from_ms, to_ms;       /* event time of the first and last training row */
  double l2;
  bool weighted;                /* classes weighed otherwise than 1 */
  double genuine_weight, fraud_weight;
  double score_quantile[TIDE_QUANTILES], score_share[TIDE_QUANTILES];
  bool has_shares;              /* false: an old artifact; the shares are what its quantiles prove at least */
  /* metrics on the rows behind the split; NaN: not defined (null in the file) */
  uint64_t test_rows, test_fraud;
  double roc_auc, average_precision, card_precision;
  uint32_t card_precision_k;
  struct tide_u128 checksum;
  char id[TIDE_MODEL_ID];       /* what answers carry: "name@" and the first 8 digits of the checksum, or the name of the version that was rolled out */
  bool bound;
};

/* Parses an artifact strictly. Errors: SYNTAX, DUPLICATE_KEY (not JSON, with line and column), MISSING, UNKNOWN_NAME (keys; error->field is the key), TYPE, RANGE
 * (not finite, scale not positive, lo above hi, too many inputs), TOO_LONG, VERSION, CORRUPT (checksum). */
enum tide_err tide_model_parse(struct tide_span text, struct tide_model **ret, struct tide_error *error) TIDE_WARN_UNUSED;
/* The same but for the two hashes, which are computed anew: for the fuzzer, whose bytes would get no further than the checksum. */
enum tide_err tide_model_parse_unsealed(struct tide_span text, struct tide_model **ret, struct tide_error *error) TIDE_WARN_UNUSED;
/* The same from a file; errors name it. */
enum tide_err tide_model_load(const char *path, struct tide_model **ret, struct tide_error *error) TIDE_WARN_UNUSED;
void tide_model_free(struct tide_model *model);
/* A name is 1..TIDE_MODEL_NAME_MAX letters, digits, dots, dashes, underscores: it stands in "name@hash". */
bool tide_model_name_fits(const char *name);

/* Gives it the id of its own name and checksum. */
void tide_model_name(struct tide_model *model);
/* Computes definitions, checksum and id of a model that was put together (by training). */
void tide_model_seal(struct tide_model *model);
/* What 11 quantiles prove of the shares: the value of quantile i is not exceeded by at least the largest tide_quantile_at whose quantile is the same. For artifacts
 * without shares. */
void tide_quantile_shares(const double quantile[TIDE_QUANTILES], double ret[TIDE_QUANTILES]);
/* Appends the canonical bytes, with the checksum. */
void tide_model_write(const struct tide_model *model, struct tide_buf *out);
/* Appends the same document with line breaks, as files have it. */
void tide_model_write_lines(const struct tide_model *model, struct tide_buf *out);

/* Entities whose features a bound model reads: bit per index into spec->entity. */
uint32_t tide_model_entities(const struct tide_model *model, const struct tide_spec *spec);
/* Makes the inputs read values of `spec`. MISMATCH when a feature is not there or is defined otherwise; the text names all of them, as far as it
 * has room for (tide_model_differences has room for all). */
enum tide_err tide_model_bind(struct tide_model *model, const struct tide_spec *spec, struct tide_error *error) TIDE_WARN_UNUSED;
/* Appends for each input that `spec` has not or defines otherwise: its name, what it was trained on and what stands there now. Returns how many. */
uint32_t tide_model_differences(const struct tide_model *model, const struct tide_spec *spec, struct tide_buf *out);

#endif
