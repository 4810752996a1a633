/* Any bytes as a pipeline: refused with a sentence, or a model that is bound, sealed, and the same after being written and read again.
 *
 * What other programs write comes in here, so the document may have anything in any place: lists for numbers, keys twice, inputs that are no objects. */
#include <math.h>
#include <stdint.h>
#include <stdlib.h>

#include "model/import.h"
#include "model/logistic.h"
#include "tests/support/model_fixture.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static struct tide_spec *spec;
  if (!spec) spec = model_spec_of(model_features);
  struct tide_model *model = NULL, *again = NULL;
  struct tide_error error = {0};
  if (tide_model_import((struct tide_span){(const char *)data, size}, spec, &model, &error)) {
    if (model || error.text[0] == '\0') abort();
    return 0;
  }
  struct tide_buf bytes = TIDE_BUF_INIT;
  tide_model_write_lines(model, &bytes);
  if (!model->bound || tide_model_parse(tide_buf_span(&bytes), &again, &error) || !tide_u128_eq(model->checksum, again->checksum)) abort();
  double x[TIDE_MODEL_INPUTS_MAX] = {0};
  uint8_t cause[TIDE_MODEL_INPUTS_MAX] = {0};
  if (!isfinite(tide_model_logit(model, x, cause))) abort();
  tide_buf_release(&bytes);
  tide_model_free(model);
  tide_model_free(again);
  return 0;
}
