/* Reading an artifact: strict, so that what scores is exactly what was trained (artifact.h has the format).
 *
 * jansson refuses what is not JSON (also NaN, numbers beyond a double, keys twice). Here every object is held against the list of its keys, every number
 * must be finite and in its range, and at the end the canonical bytes of what was understood must have the checksum that the file names: a key
 * that was misread or ignored cannot go unnoticed. */
#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "model/artifact.h"

struct reading {
  struct tide_model *model;
  struct tide_error *error;
  enum tide_err err;                     /* the first */
  char where[TIDE_MODEL_NAME_MAX + 160]; /* "inputs[3] card.idle" */
};

static void fail(struct reading *r, enum tide_err code, const char *key, const char *what) {
  if (r->err) return;
  r->err = tide_fail_at(r->error, code, 0, 0, key, "the model%s%s: \"%.60s\" %s", r->where[0] ? ", " : "", r->where, key, what);
}

/* Every key of the object is one of the list (a NULL ends it); those that are needed are asked for one by one. */
static bool only(struct reading *r, const json_t *object, const char *name, const char *const *keys) {
  if (r->err) return false;
  if (!json_is_object(object)) {
    fail(r, object ? TIDE_E_TYPE : TIDE_E_MISSING, name, object ? "must be an object" : "is missing");
    return false;
  }
  const char *key;
  json_t *value;
  json_object_foreach((json_t *)object, key, value) {
    bool known = false;
    for (const char *const *k = keys; *k && !known; k++) known = strcmp(*k, key) == 0;
    if (!known) fail(r, TIDE_E_UNKNOWN_NAME, key, "is not a key of a model");
  }
  return r->err == TIDE_OK;
}

static const char *text(struct reading *r, const json_t *object, const char *key, size_t max) {
  const json_t *value = json_object_get(object, key);
  if (!json_is_string(value)) {
    fail(r, value ? TIDE_E_TYPE : TIDE_E_MISSING, key, value ? "must be a text" : "is missing");
    return "";
  }
  size_t len = json_string_length(value);
  if (len > max) {
    fail(r, TIDE_E_TOO_LONG, key, "is too long");
    return "";
  }
  return tide_arena_strdup(&r->model->arena, (struct tide_span){json_string_value(value), len});
}

static double number_of(struct reading *r, const json_t *value, const char *key, double lo, double hi) {
  if (!json_is_number(value)) {
    fail(r, value ? TIDE_E_TYPE : TIDE_E_MISSING, key, value ? "must be a number" : "is missing");
    return 0;
  }
  double number = json_number_value(value);
  if (!isfinite(number) || number < lo || number > hi) {
    char what[96];
    snprintf(what, sizeof what, "is %.6g; it must be from %.6g to %.6g", number, lo, hi);
    fail(r, TIDE_E_RANGE, key, what);
    return 0;
  }
  return number == 0 ? 0 : number; /* no minus zero: its canonical form is 0 */
}

/* Bounds that keep every product and sum of scoring finite: see README.md. */
#define ANY 1e15
static double number(struct reading *r, const json_t *object, const char *key) {
  return number_of(r, json_object_get(object, key), key, -ANY, ANY);
}

static uint64_t count(struct reading *r, const json_t *object, const char *key) {
  const json_t *value = json_object_get(object, key);
  if (!json_is_integer(value) || json_integer_value(value) < 0 || json_integer_value(value) > INT64_C(1) << 53) {
    fail(r, value ? TIDE_E_TYPE : TIDE_E_MISSING, key, value ? "must be a count" : "is missing");
    return 0;
  }
  return (uint64_t)json_integer_value(value);
}

/* A number of [0, 1], or null for what is not defined. */
static double measure(struct reading *r, const json_t *object, const char *key) {
  const json_t *value = json_object_get(object, key);
  return json_is_null(value) ? (double)NAN : number_of(r, value, key, 0, 1);
}

static int64_t time_of(struct reading *r, const json_t *object, const char *key) {
  const char *written = text(r, object, key, 40);
  struct tide_etime time = {0};
  char again[TIDE_TIME_TEXT];
  if (r->err) return 0;
  if (tide_time_parse(tide_span_of(written), TIDE_TIME_RFC3339, &time) || strcmp(tide_time_format(time, again), written) != 0)
    fail(r, TIDE_E_TYPE, key, "must be a time like 2026-01-05T00:00:00.000Z");
  return time.ms;
}

static struct tide_u128 hash_of(struct reading *r, const json_t *object, const char *key) {
  const char *hex = text(r, object, key, 32);
  struct tide_u128 hash = {0, 0};
  size_t i = 0;
  for (; hex[i]; i++) {
    char c = hex[i];
    uint64_t digit = c >= '0' && c <= '9' ? (uint64_t)(c - '0') : c >= 'a' && c <= 'f' ? (uint64_t)(c - 'a' + 10) : 16;
    if (digit == 16) break;
    if (i < 16) hash.hi = hash.hi << 4 | digit;
    else hash.lo = hash.lo << 4 | digit;
  }
  if (!r->err && (i != 32 || hex[i])) fail(r, TIDE_E_TYPE, key, "must be 32 hexadecimal digits");
  return hash;
}

static void quantiles(struct reading *r, const json_t *object, const char *key, double lo, double hi, double ret[TIDE_QUANTILES]) {
  const json_t *list = json_object_get(object, key);
  if (!json_is_array(list) || json_array_size(list) != TIDE_QUANTILES) {
    fail(r, list ? TIDE_E_TYPE : TIDE_E_MISSING, key, list ? "must be a list of 11 numbers" : "is missing");
    return;
  }
  for (size_t i = 0; i < TIDE_QUANTILES; i++) {
    ret[i] = number_of(r, json_array_get(list, i), key, lo, hi);
    if (i > 0 && ret[i] < ret[i - 1]) fail(r, TIDE_E_RANGE, key, "must not fall");
  }
}

/* All lists of a model or none: that of the score tells. */
static void shares(struct reading *r, const json_t *object, const char *key, const double *quantile, double ret[TIDE_QUANTILES]) {
  if (r->err) return;
  if (!r->model->has_shares && !json_object_get(object, key)) tide_quantile_shares(quantile, ret);
  else if (!r->model->has_shares)
    fail(r, TIDE_E_UNKNOWN_NAME, key, "stands beside quantiles without shares: a model has all of them or none");
  else quantiles(r, object, key, 0, 1, ret);
}

static void read_impute(struct reading *r, const json_t *object, struct tide_model_input *input) {
  static const char *const keys[] = {"median", "absent", "empty", NULL};
  const json_t *impute = json_object_get(object, "impute");
  if (!only(r, impute, "impute", keys)) return;
  input->median = input->absent = input->empty = number(r, impute, "median");
  input->has_absent = json_object_get(impute, "absent") != NULL;
  input->has_empty = json_object_get(impute, "empty") != NULL;
  if (input->has_absent) input->absent = number(r, impute, "absent");
  if (input->has_empty) input->empty = number(r, impute, "empty");
}

static void read_transform(struct reading *r, const json_t *object, struct tide_model_input *input) {
  static const char *const keys[] = {"kind", "lo", "hi", NULL}, *const no_keys[] = {"kind", NULL};
  const json_t *transform = json_object_get(object, "transform");
  if (!only(r, transform, "transform", keys)) return;
  const char *kind = text(r, transform, "kind", 16);
  unsigned t = 0;
  while (t < TIDE_TRANSFORM_COUNT && strcmp(kind, tide_transform_name((enum tide_transform)t)) != 0) t++;
  if (t == TIDE_TRANSFORM_COUNT) {
    fail(r, TIDE_E_UNKNOWN_NAME, "kind", "must be none, log1p or clip");
    return;
  }
  input->transform = (uint8_t)t;
  if (t != TIDE_TRANSFORM_CLIP) {
    (void)only(r, transform, "transform", no_keys);
    return;
  }
  input->lo = number(r, transform, "lo");
  input->hi = number(r, transform, "hi");
  if (input->lo > input->hi) fail(r, TIDE_E_RANGE, "lo", "is above \"hi\"");
}

static void read_input(struct reading *r, const json_t *object, size_t index) {
  static const char *const keys[] = {"feature", "definition",  "impute", "transform", "mean",
                                     "scale",   "coefficient", "reason", "training",  NULL};
  static const char *const reason_keys[] = {"code", "text", NULL}, *const training_keys[] = {"missing", "quantiles", "shares", NULL};
  struct tide_model_input *input = &r->model->input[index];
  snprintf(r->where, sizeof r->where, "input %zu", index + 1);
  if (!only(r, object, "inputs", keys)) return;
  input->feature = text(r, object, "feature", 150);
  snprintf(r->where, sizeof r->where, "input %zu (%s)", index + 1, input->feature);
  for (size_t i = 0; i < index && !r->err; i++)
    if (strcmp(r->model->input[i].feature, input->feature) == 0) fail(r, TIDE_E_DUPLICATE_KEY, "feature", "stands there twice");
  input->definition = text(r, object, "definition", 65536);
  read_impute(r, object, input);
  read_transform(r, object, input);
  input->mean = number(r, object, "mean");
  input->scale = number_of(r, json_object_get(object, "scale"), "scale", 1e-9, ANY);
  input->coefficient = number_of(r, json_object_get(object, "coefficient"), "coefficient", -1e6, 1e6);
  const json_t *reason = json_object_get(object, "reason"), *training = json_object_get(object, "training");
  if (only(r, reason, "reason", reason_keys)) {
    input->code = text(r, reason, "code", 150);
    input->text = text(r, reason, "text", 1000);
  }
  if (only(r, training, "training", training_keys)) {
    input->missing = number_of(r, json_object_get(training, "missing"), "missing", 0, 1);
    quantiles(r, training, "quantiles", -ANY, ANY, input->quantile);
    shares(r, training, "shares", input->quantile, input->share);
  }
}

static void read_training(struct reading *r, const json_t *root) {
  static const char *const keys[] = {"rows", "fraud", "from", "to", "l2", "class_weight", "score_quantiles", "score_shares", NULL};
  static const char *const weight_keys[] = {"genuine", "fraud", NULL};
  static const char *const metric_keys[] = {"rows", "fraud", "roc_auc", "average_precision", "card_precision_k", "card_precision", NULL};
  struct tide_model *m = r->model;
  const json_t *training = json_object_get(root, "training"), *metrics = json_object_get(root, "metrics");
  if (only(r, training, "training", keys)) {
    m->rows = count(r, training, "rows");
    m->fraud = count(r, training, "fraud");
    m->from_ms = time_of(r, training, "from");
    m->to_ms = time_of(r, training, "to");
    m->l2 = number_of(r, json_object_get(training, "l2"), "l2", 0, ANY);
    m->genuine_weight = m->fraud_weight = 1;
    const json_t *weight = json_object_get(training, "class_weight");
    if (weight && only(r, weight, "class_weight", weight_keys)) {
      m->weighted = true;
      m->genuine_weight = number_of(r, json_object_get(weight, "genuine"), "genuine", 0, ANY);
      m->fraud_weight = number_of(r, json_object_get(weight, "fraud"), "fraud", 0, ANY);
    }
    quantiles(r, training, "score_quantiles", 0, 1, m->score_quantile);
    shares(r, training, "score_shares", m->score_quantile, m->score_share);
  }
  if (only(r, metrics, "metrics", metric_keys)) {
    m->test_rows = count(r, metrics, "rows");
    m->test_fraud = count(r, metrics, "fraud");
    m->roc_auc = measure(r, metrics, "roc_auc");
    m->average_precision = measure(r, metrics, "average_precision");
    uint64_t k = count(r, metrics, "card_precision_k");
    if (k > UINT32_MAX) fail(r, TIDE_E_RANGE, "card_precision_k", "is too large");
    m->card_precision_k = (uint32_t)k;
    m->card_precision = measure(r, metrics, "card_precision");
  }
}

static void read_inputs(struct reading *r, const json_t *root) {
  const json_t *inputs = json_object_get(root, "inputs");
  if (!json_is_array(inputs)) {
    fail(r, inputs ? TIDE_E_TYPE : TIDE_E_MISSING, "inputs", inputs ? "must be a list" : "is missing");
    return;
  }
  size_t n = json_array_size(inputs);
  if (n > TIDE_MODEL_INPUTS_MAX) {
    fail(r, TIDE_E_RANGE, "inputs", "has more than 256 inputs");
    return;
  }
  r->model->input = tide_arena_alloc(&r->model->arena, (n + 1) * sizeof *r->model->input);
  for (size_t i = 0; i < n && !r->err; i++) read_input(r, json_array_get(inputs, i), i);
  r->model->input_count = (uint32_t)n;
  r->where[0] = '\0';
}

bool tide_model_name_fits(const char *name) {
  if (!*name || strlen(name) > TIDE_MODEL_NAME_MAX) return false;
  for (const char *c = name; *c; c++)
    if (!((*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') || (*c >= '0' && *c <= '9') || strchr("._-", *c))) return false;
  return true;
}

static void read_model(struct reading *r, const json_t *root, bool sealed) {
  static const char *const keys[] = {"tidemark_model", "name",     "version", "features", "inputs",
                                     "intercept",      "training", "metrics", "checksum", NULL};
  static const char *const feature_keys[] = {"name", "definitions", NULL};
  struct tide_model *m = r->model;
  const json_t *format = json_object_get(root, "tidemark_model");
  if (!json_is_integer(format)) fail(r, TIDE_E_MISSING, "tidemark_model", "is missing: this is not a model");
  else if (json_integer_value(format) != TIDE_MODEL_FORMAT)
    fail(r, TIDE_E_VERSION, "tidemark_model", "is of a format that this program does not know");
  if (!only(r, root, "model", keys)) return;
  m->name = text(r, root, "name", TIDE_MODEL_NAME_MAX);
  if (!r->err && !tide_model_name_fits(m->name))
    fail(r, TIDE_E_TYPE, "name", "must be made of letters, digits, dots, dashes and underscores");
  m->version = text(r, root, "version", TIDE_MODEL_NAME_MAX);
  const json_t *features = json_object_get(root, "features");
  struct tide_u128 definitions = {0, 0}, checksum;
  if (only(r, features, "features", feature_keys)) {
    m->features = text(r, features, "name", 150);
    definitions = hash_of(r, features, "definitions");
  }
  m->has_shares = json_object_get(json_object_get(root, "training"), "score_shares") != NULL;
  read_inputs(r, root);
  m->intercept = number_of(r, json_object_get(root, "intercept"), "intercept", -1e6, 1e6);
  read_training(r, root);
  checksum = hash_of(r, root, "checksum");
  if (r->err) return;
  tide_model_seal(m);
  if (!sealed) return;
  if (!tide_u128_eq(m->definitions, definitions))
    fail(r, TIDE_E_CORRUPT, "definitions", "is not the hash of the definitions of its inputs: the file was changed");
  else if (!tide_u128_eq(m->checksum, checksum))
    fail(r, TIDE_E_CORRUPT, "checksum",
         "does not fit the content: the file was changed or is damaged; a model is made by train, not by hand");
}

static enum tide_err parse(struct tide_span bytes, bool sealed, struct tide_model **ret, struct tide_error *error) {
  if (bytes.len > TIDE_MODEL_BYTES_MAX) return tide_fail(error, TIDE_E_TOO_LONG, "the model is longer than %u bytes", TIDE_MODEL_BYTES_MAX);
  json_error_t why;
  json_t *root = json_loadb(bytes.len ? bytes.ptr : "", bytes.len, JSON_REJECT_DUPLICATES, &why);
  if (!root) {
    enum tide_err code = json_error_code(&why) == json_error_duplicate_key ? TIDE_E_DUPLICATE_KEY : TIDE_E_SYNTAX;
    return tide_fail_at(error, code, why.line > 0 ? why.line : 0, why.column > 0 ? why.column : 0, "", "the model is not JSON: %.200s",
                        why.text);
  }
  struct reading r = {.model = tide_alloc(sizeof *r.model), .error = error};
  read_model(&r, root, sealed);
  json_decref(root);
  if (r.err) {
    tide_model_free(r.model);
    return r.err;
  }
  *ret = r.model;
  return TIDE_OK;
}

enum tide_err tide_model_parse(struct tide_span bytes, struct tide_model **ret, struct tide_error *error) {
  return parse(bytes, true, ret, error);
}

enum tide_err tide_model_parse_unsealed(struct tide_span bytes, struct tide_model **ret, struct tide_error *error) {
  return parse(bytes, false, ret, error);
}

enum tide_err tide_model_load(const char *path, struct tide_model **ret, struct tide_error *error) {
  FILE *file = fopen(path, "re");
  if (!file) return tide_fail_errno(error, errno == ENOENT ? TIDE_E_NOT_FOUND : TIDE_E_IO, "cannot read the model %.200s", path);
  struct tide_buf bytes = TIDE_BUF_INIT;
  size_t n;
  do {
    tide_buf_reserve(&bytes, 65536);
    n = fread(bytes.ptr + bytes.len, 1, 65536, file);
    bytes.len += n;
  } while (n > 0 && bytes.len <= TIDE_MODEL_BYTES_MAX);
  enum tide_err err = ferror(file) ? tide_fail_errno(error, TIDE_E_IO, "cannot read the model %.200s", path) : TIDE_OK;
  fclose(file);
  if (!err) {
    struct tide_error why = {0};
    err = tide_model_parse(tide_buf_span(&bytes), ret, &why);
    if (err) (void)tide_fail_at(error, err, why.line, why.column, why.field, "%.100s: %.270s", path, why.text);
  }
  tide_buf_release(&bytes);
  return err;
}
