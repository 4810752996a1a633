/* Any bytes as a model: refused with a sentence, or a model that is the same after being written and read again, and that scores finite numbers.
 *
 * Bytes with a wrong checksum never get far, so the checksum of what parses as JSON is put right first: the parser behind it is what is to be
 * fuzzed. */
#include <math.h>
#include <stdint.h>
#include <stdlib.h>

#include "model/logistic.h"
#include "tests/support/model_fixture.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void score(struct tide_model *model) {
  static struct tide_spec *spec;
  if (!spec) spec = model_spec_of(model_features);
  struct tide_error error = {0};
  struct tide_buf report = TIDE_BUF_INIT;
  uint32_t count = tide_model_differences(model, spec, &report);
  enum tide_err err = tide_model_bind(model, spec, &error);
  if ((err == TIDE_OK) != (count == 0) || (err && error.text[0] == '\0')) abort();
  tide_buf_release(&report);
  if (err) return;
  static const double number[] = {0, 1, -1, 3, 1e300, -1e300, 0.5};
  for (unsigned n = 0; n < sizeof number / sizeof *number + 2; n++) {
    struct tide_value slot[TIDE_SLOTS_MAX], derived[TIDE_DERIVED_MAX], field[TIDE_FIELDS_MAX], dyn[TIDE_DYN_COUNT];
    struct tide_value value = n < 7    ? tide_num(number[n])
                              : n == 7 ? tide_null(TIDE_S_empty, TIDE_C_empty)
                                       : tide_null(TIDE_S_absent, TIDE_C_absent);
    for (unsigned i = 0; i < TIDE_SLOTS_MAX; i++) slot[i] = value;
    for (unsigned i = 0; i < TIDE_DERIVED_MAX; i++) derived[i] = value;
    for (unsigned i = 0; i < TIDE_FIELDS_MAX; i++) field[i] = value;
    for (unsigned i = 0; i < TIDE_DYN_COUNT; i++) dyn[i] = value;
    struct tide_env env = {.field = field, .dyn = dyn, .slot = slot, .derived = derived};
    struct tide_score out;
    tide_model_score(model, spec, &env, &out);
    if (out.value.type != TIDE_V_NUM || !(out.value.num >= 0 && out.value.num <= 1) || !isfinite(out.logit)) abort();
    struct tide_buf text = TIDE_BUF_INIT;
    for (uint32_t r = 0; r < out.reason_count; r++) tide_score_say(model, spec, &out.reason[r], &text);
    tide_buf_release(&text);
  }
}

static void same_again(const struct tide_model *model) {
  struct tide_buf bytes = TIDE_BUF_INIT, again = TIDE_BUF_INIT;
  struct tide_model *other = NULL;
  tide_model_write(model, &bytes);
  if (tide_model_parse(tide_buf_span(&bytes), &other, NULL)) abort();
  tide_model_write(other, &again);
  if (!tide_span_eq(tide_buf_span(&bytes), tide_buf_span(&again))) abort();
  tide_model_free(other);
  tide_buf_release(&bytes);
  tide_buf_release(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  struct tide_span text = {(const char *)data, size};
  struct tide_error error = {0};
  struct tide_model *model = NULL;
  enum tide_err err = tide_model_parse_unsealed(text, &model, &error);
  if (err) {
    if (model || error.text[0] == '\0' || error.code != err) abort();
    return 0;
  }
  struct tide_model *strict = NULL;
  if (tide_model_parse(text, &strict, NULL) == TIDE_OK) {
    if (strcmp(strict->id, model->id) != 0) abort();
    tide_model_free(strict);
  }
  same_again(model);
  score(model);
  tide_model_free(model);
  return 0;
}
