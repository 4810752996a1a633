/* Importing a pipeline (import.h): what is missing is put into the document, then it is read as an artifact.
 *
 * So there is one reader of numbers and ranges, and what it accepts is what scores. Hashes stand there as zeros; reading unsealed computes them. */
#include "model/import.h"

#include <jansson.h>
#include <stdlib.h>

#include "model/definition.h"

#define NO_HASH "00000000000000000000000000000000"

static enum tide_err complete_input(json_t *input, size_t index, const struct tide_spec *spec, struct tide_error *error) {
  const char *feature = json_string_value(json_object_get(input, "feature"));
  if (!feature) return tide_fail_at(error, TIDE_E_MISSING, 0, 0, "feature", "input %zu of the pipeline has no \"feature\"", index + 1);
  if (json_object_get(input, "definition"))
    return tide_fail_at(error, TIDE_E_UNKNOWN_NAME, 0, 0, "definition",
                        "input %zu (%.100s) of the pipeline has a definition: that is the feature file's to say", index + 1, feature);
  struct tide_expr leaf;
  enum tide_err err = tide_input_find(spec, feature, &leaf, error);
  if (err) return err;
  struct tide_buf text = TIDE_BUF_INIT;
  tide_input_define(spec, &leaf, &text);
  bool set = json_object_set_new(input, "definition", json_stringn(text.ptr, text.len)) == 0;
  if (!json_object_get(input, "reason")) {
    tide_buf_clear(&text);
    tide_buf_printf(&text, "%s is {value}", feature);
    set = set && json_object_set_new(input, "reason", json_pack("{s:s, s:s#}", "code", feature, "text", text.ptr, (int)text.len)) == 0;
  }
  tide_buf_release(&text);
  return set ? TIDE_OK : tide_fail(error, TIDE_E_UTF8, "the definition of %.100s is not UTF-8", feature);
}

static enum tide_err complete(json_t *root, const struct tide_spec *spec, struct tide_error *error) {
  json_t *format = json_object_get(root, "tidemark_pipeline"), *inputs = json_object_get(root, "inputs"), *input;
  size_t i;
  if (!json_is_integer(format) || json_integer_value(format) != 1)
    return tide_fail_at(error, TIDE_E_VERSION, 0, 0, "tidemark_pipeline",
                        "this is no pipeline: \"tidemark_pipeline\": 1 is missing; model/sklearn_export.py writes one");
  enum tide_err err = TIDE_OK;
  json_array_foreach(inputs, i, input) {
    err = complete_input(input, i, spec, error);
    if (err) return err;
  }
  (void)json_object_del(root, "tidemark_pipeline");
  bool set =
      json_object_set_new(root, "tidemark_model", json_integer(TIDE_MODEL_FORMAT)) == 0 &&
      json_object_set_new(root, "features", json_pack("{s:s, s:s}", "name", spec->name ? spec->name : "", "definitions", NO_HASH)) == 0 &&
      json_object_set_new(root, "checksum", json_string(NO_HASH)) == 0;
  if (!json_object_get(root, "metrics"))
    set = set && json_object_set_new(root, "metrics",
                                     json_pack("{s:i, s:i, s:n, s:n, s:i, s:n}", "rows", 0, "fraud", 0, "roc_auc", "average_precision",
                                               "card_precision_k", 1, "card_precision")) == 0;
  TIDE_CHECK(set);
  return TIDE_OK;
}

enum tide_err tide_model_import(struct tide_span text, const struct tide_spec *spec, struct tide_model **ret, struct tide_error *error) {
  json_error_t why;
  json_t *root = json_loadb(text.len ? text.ptr : "", text.len, JSON_REJECT_DUPLICATES, &why);
  if (!root)
    return tide_fail_at(error, TIDE_E_SYNTAX, why.line > 0 ? why.line : 0, why.column > 0 ? why.column : 0, "",
                        "the pipeline is not JSON: %.200s", why.text);
  enum tide_err err = complete(root, spec, error);
  char *document = err ? NULL : json_dumps(root, JSON_COMPACT | JSON_REAL_PRECISION(17));
  json_decref(root);
  if (err) return err;
  TIDE_CHECK(document);
  struct tide_model *model;
  err = tide_model_parse_unsealed(tide_span_of(document), &model, error);
  free(document);
  if (err) return err;
  err = tide_model_bind(model, spec, error);
  if (err) tide_model_free(model);
  else *ret = model;
  return err;
}
