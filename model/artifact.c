/* Writing, sealing and binding models (artifact.h has the format; artifact_read.c reads it).
 *
 * The checksum is over the canonical bytes of the model as it is in memory, not over the bytes of a file: what is written, read and written again
 * is the same model with the same checksum, whatever the line breaks were. */
#include "model/artifact.h"

#include "feature/reads.h"

#include <math.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/json_out.h"
#include "model/definition.h"

const double tide_quantile_at[TIDE_QUANTILES] = {0, 0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 1};

const char *tide_transform_name(enum tide_transform transform) {
  static const char *const name[] = {"none", "log1p", "clip"};
  TIDE_CHECK(transform < TIDE_TRANSFORM_COUNT);
  return name[transform];
}

static void key_cstr(struct tide_buf *out, const char *key, const char *value) {
  tide_json_key(out, key);
  tide_json_cstr(out, value);
}

static void key_double(struct tide_buf *out, const char *key, double value) {
  tide_json_key(out, key);
  if (isnan(value)) tide_json_null(out);
  else tide_json_double(out, value);
}

static void key_count(struct tide_buf *out, const char *key, uint64_t value) {
  tide_json_key(out, key);
  tide_json_int(out, (int64_t)value);
}

static void key_hash(struct tide_buf *out, const char *key, struct tide_u128 hash) {
  char text[40];
  snprintf(text, sizeof text, "%016llx%016llx", (unsigned long long)hash.hi, (unsigned long long)hash.lo);
  key_cstr(out, key, text);
}

static void key_quantiles(struct tide_buf *out, const char *key, const double *quantile) {
  tide_json_key(out, key);
  tide_json_open(out, '[');
  for (unsigned i = 0; i < TIDE_QUANTILES; i++) tide_json_double(out, quantile[i]);
  tide_json_close(out, ']');
}

static void put_input(const struct tide_model_input *input, bool shares, struct tide_buf *out) {
  tide_json_open(out, '{');
  key_cstr(out, "feature", input->feature);
  key_cstr(out, "definition", input->definition);
  tide_json_key(out, "impute");
  tide_json_open(out, '{');
  key_double(out, "median", input->median);
  if (input->has_absent) key_double(out, "absent", input->absent);
  if (input->has_empty) key_double(out, "empty", input->empty);
  tide_json_close(out, '}');
  tide_json_key(out, "transform");
  tide_json_open(out, '{');
  key_cstr(out, "kind", tide_transform_name((enum tide_transform)input->transform));
  if (input->transform == TIDE_TRANSFORM_CLIP) {
    key_double(out, "lo", input->lo);
    key_double(out, "hi", input->hi);
  }
  tide_json_close(out, '}');
  key_double(out, "mean", input->mean);
  key_double(out, "scale", input->scale);
  key_double(out, "coefficient", input->coefficient);
  tide_json_key(out, "reason");
  tide_json_open(out, '{');
  key_cstr(out, "code", input->code);
  key_cstr(out, "text", input->text);
  tide_json_close(out, '}');
  tide_json_key(out, "training");
  tide_json_open(out, '{');
  key_double(out, "missing", input->missing);
  key_quantiles(out, "quantiles", input->quantile);
  if (shares) key_quantiles(out, "shares", input->share);
  tide_json_close(out, '}');
  tide_json_close(out, '}');
}

static void put_training(const struct tide_model *model, struct tide_buf *out) {
  char time[TIDE_TIME_TEXT];
  tide_json_key(out, "training");
  tide_json_open(out, '{');
  key_count(out, "rows", model->rows);
  key_count(out, "fraud", model->fraud);
  key_cstr(out, "from", tide_time_format((struct tide_etime){model->from_ms}, time));
  key_cstr(out, "to", tide_time_format((struct tide_etime){model->to_ms}, time));
  key_double(out, "l2", model->l2);
  if (model->weighted) {
    tide_json_key(out, "class_weight");
    tide_json_open(out, '{');
    key_double(out, "genuine", model->genuine_weight);
    key_double(out, "fraud", model->fraud_weight);
    tide_json_close(out, '}');
  }
  key_quantiles(out, "score_quantiles", model->score_quantile);
  if (model->has_shares) key_quantiles(out, "score_shares", model->score_share);
  tide_json_close(out, '}');
  tide_json_key(out, "metrics");
  tide_json_open(out, '{');
  key_count(out, "rows", model->test_rows);
  key_count(out, "fraud", model->test_fraud);
  key_double(out, "roc_auc", model->roc_auc);
  key_double(out, "average_precision", model->average_precision);
  key_count(out, "card_precision_k", model->card_precision_k);
  key_double(out, "card_precision", model->card_precision);
  tide_json_close(out, '}');
}

/* All but the checksum and the last brace. */
static void put_body(const struct tide_model *model, struct tide_buf *out) {
  tide_json_open(out, '{');
  key_count(out, "tidemark_model", TIDE_MODEL_FORMAT);
  key_cstr(out, "name", model->name);
  key_cstr(out, "version", model->version);
  tide_json_key(out, "features");
  tide_json_open(out, '{');
  key_cstr(out, "name", model->features);
  key_hash(out, "definitions", model->definitions);
  tide_json_close(out, '}');
  tide_json_key(out, "inputs");
  tide_json_open(out, '[');
  for (uint32_t i = 0; i < model->input_count; i++) put_input(&model->input[i], model->has_shares, out);
  tide_json_close(out, ']');
  key_double(out, "intercept", model->intercept);
  put_training(model, out);
}

void tide_quantile_shares(const double quantile[TIDE_QUANTILES], double ret[TIDE_QUANTILES]) {
  for (unsigned i = TIDE_QUANTILES; i-- > 0;)
    ret[i] = i + 1 < TIDE_QUANTILES && quantile[i + 1] <= quantile[i] ? ret[i + 1] : tide_quantile_at[i];
}

void tide_model_name(struct tide_model *model) {
  snprintf(model->id, sizeof model->id, "%s@%08x", model->name, (unsigned)(model->checksum.hi >> 32));
}

void tide_model_seal(struct tide_model *model) {
  TIDE_CHECK(strlen(model->name) <= TIDE_MODEL_NAME_MAX);
  struct tide_buf bytes = TIDE_BUF_INIT;
  for (uint32_t i = 0; i < model->input_count; i++) {
    tide_buf_str(&bytes, model->input[i].definition);
    tide_buf_char(&bytes, '\n');
  }
  model->definitions = tide_hash128(bytes.ptr, bytes.len, 0);
  tide_buf_clear(&bytes);
  put_body(model, &bytes);
  model->checksum = tide_hash128(bytes.ptr, bytes.len, 0);
  tide_buf_release(&bytes);
  tide_model_name(model);
}

void tide_model_write(const struct tide_model *model, struct tide_buf *out) {
  struct tide_buf body = TIDE_BUF_INIT;
  put_body(model, &body);
  key_hash(&body, "checksum", model->checksum);
  tide_json_close(&body, '}');
  tide_buf_put(out, body.ptr, body.len);
  tide_buf_release(&body);
}

/* A line per member of the document and per input: a difference of two models can be read. */
void tide_model_write_lines(const struct tide_model *model, struct tide_buf *out) {
  struct tide_buf body = TIDE_BUF_INIT;
  tide_model_write(model, &body);
  int depth = 0;
  bool quoted = false;
  for (size_t i = 0; i < body.len; i++) {
    char c = body.ptr[i];
    tide_buf_char(out, c);
    if (c == '\\') { /* only inside of strings */
      tide_buf_char(out, body.ptr[++i]);
      continue;
    }
    if (c == '"') quoted = !quoted;
    if (quoted) continue;
    depth += (c == '{' || c == '[') - (c == '}' || c == ']');
    bool next_object = i + 1 < body.len && body.ptr[i + 1] == '{';
    if ((c == ',' && (depth == 1 || next_object)) || (c == '[' && next_object)) tide_buf_char(out, '\n');
  }
  tide_buf_char(out, '\n');
  tide_buf_release(&body);
}

void tide_model_free(struct tide_model *model) {
  if (!model) return;
  tide_arena_release(&model->arena);
  tide_free(model);
}

/* ---- binding ---- */

/* The definition of the input's feature in this file; false when there is none. */
static bool define(const struct tide_spec *spec, const struct tide_model_input *input, struct tide_expr *ret_leaf, struct tide_buf *out,
                   struct tide_error *error) {
  tide_buf_clear(out);
  if (tide_input_find(spec, input->feature, ret_leaf, error)) return false;
  tide_input_define(spec, ret_leaf, out);
  return true;
}

uint32_t tide_model_differences(const struct tide_model *model, const struct tide_spec *spec, struct tide_buf *out) {
  struct tide_buf now = TIDE_BUF_INIT;
  uint32_t count = 0;
  for (uint32_t i = 0; i < model->input_count; i++) {
    const struct tide_model_input *input = &model->input[i];
    struct tide_error error = {0};
    struct tide_expr leaf;
    bool there = define(spec, input, &leaf, &now, &error);
    if (there && tide_span_is(tide_buf_span(&now), input->definition)) continue;
    count++;
    tide_buf_printf(out, "%s\n  trained on: %s\n", input->feature, input->definition);
    if (there) tide_buf_printf(out, "  now:        %.*s\n", (int)now.len, now.ptr);
    else tide_buf_printf(out, "  now:        %s\n", error.text);
  }
  tide_buf_release(&now);
  return count;
}

enum tide_err tide_model_bind(struct tide_model *model, const struct tide_spec *spec, struct tide_error *error) {
  struct tide_buf now = TIDE_BUF_INIT, names = TIDE_BUF_INIT;
  uint32_t count = 0, unsaid = 0;
  for (uint32_t i = 0; i < model->input_count; i++) {
    struct tide_model_input *input = &model->input[i];
    struct tide_expr leaf;
    if (define(spec, input, &leaf, &now, NULL) && tide_span_is(tide_buf_span(&now), input->definition)) {
      input->leaf = leaf;
      continue;
    }
    count++;
    if (names.len + strlen(input->feature) > 200) unsaid++;
    else tide_buf_printf(&names, "%s%s", names.len ? ", " : "", input->feature);
  }
  model->bound = count == 0;
  enum tide_err err = TIDE_OK;
  if (count) {
    if (unsaid) tide_buf_printf(&names, " and %u more", unsaid);
    err = tide_fail(error, TIDE_E_MISMATCH,
                    "the model %s was trained on other definitions of %u of its features: %.*s; `model check` shows both, train it again",
                    model->id, count, (int)names.len, names.ptr ? names.ptr : "");
  }
  tide_buf_release(&now);
  tide_buf_release(&names);
  return err;
}

uint32_t tide_model_entities(const struct tide_model *model, const struct tide_spec *spec) {
  uint32_t entities = 0;
  TIDE_CHECK(model->bound);
  for (uint32_t i = 0; i < model->input_count; i++) entities |= tide_expr_entities(spec, &model->input[i].leaf).entities;
  return entities;
}
