/* Any bytes as what was kept of drift and feedback: refused and empty, or something that goes on without a bad access and writes the same bytes as it is read from.
 *
 * The checksum that stands around them in a file is left out: behind it the loaders must believe nothing. The first byte chooses which one. */
#include <stdint.h>
#include <stdlib.h>

#include "model/drift.h"
#include "model/feedback.h"
#include "tests/support/model_fixture.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void fuzz_feedback(struct tide_reader *reader) {
  const struct tide_feedback_options options = {.rows_max = 64, .keep_ms = 1000000, .mature_ms = 1000};
  struct tide_feedback *feedback = tide_feedback_new(&options), *again = tide_feedback_new(&options);
  struct tide_feedback_look look;
  struct tide_buf bytes = TIDE_BUF_INIT, same = TIDE_BUF_INIT;
  bool good = tide_feedback_load(feedback, reader);
  tide_feedback_look(feedback, &look);
  if (!good && (look.rows || look.decisions || look.model_count)) abort();
  tide_feedback_save(feedback, &bytes);
  struct tide_reader copy = tide_reader_of(tide_buf_span(&bytes));
  if (!tide_feedback_load(again, &copy)) abort();
  tide_feedback_save(again, &same);
  if (!tide_span_eq(tide_buf_span(&bytes), tide_buf_span(&same))) abort();
  for (uint64_t i = 0; i < 200; i++) {
    struct tide_feedback_row row = {.key = i << 20, .print = 1, .time_ms = (int64_t)i * 20000, .rule = TIDE_FEEDBACK_NO_RULE};
    struct tide_feedback_said said[] = {{{i % 11, 1}, "m", 500000}, {{i % 5, 2}, "n", 1000}};
    tide_feedback_add(feedback, &row, said, 1 + i % 2, row.time_ms);
    tide_feedback_label(feedback, i << 20, 0, 1, (uint8_t)(i % 3), false);
  }
  tide_feedback_look(feedback, &look);
  if (look.rows > 64) abort();
  tide_buf_release(&bytes);
  tide_buf_release(&same);
  tide_feedback_free(feedback);
  tide_feedback_free(again);
}

static void fuzz_drift(struct tide_reader *reader) {
  const struct tide_drift_options options = {.window_ms = {3600000, 86400000}, .rows_max = 100};
  struct tide_drift_measure measure[TIDE_MODEL_INPUTS_MAX + 1];
  struct tide_drift *drift = tide_drift_load(&options, reader);
  if (!drift) return;
  struct tide_buf bytes = TIDE_BUF_INIT, same = TIDE_BUF_INIT;
  for (unsigned w = 0; w < TIDE_DRIFT_WINDOWS; w++) (void)tide_drift_look(drift, w, measure);
  tide_drift_save(drift, &bytes);
  struct tide_reader copy = tide_reader_of(tide_buf_span(&bytes));
  struct tide_drift *again = tide_drift_load(&options, &copy);
  if (!again) abort();
  tide_drift_save(again, &same);
  if (!tide_span_eq(tide_buf_span(&bytes), tide_buf_span(&same))) abort();
  static struct tide_spec *spec;
  static struct tide_model *model;
  if (!spec) spec = model_spec_of(model_features);
  if (!model) model = model_small(spec);
  struct tide_value value[TIDE_SLOTS_MAX];
  for (unsigned i = 0; i < TIDE_SLOTS_MAX; i++) value[i] = tide_num(1);
  struct tide_env env = {.field = value, .dyn = value, .slot = value, .derived = value};
  for (int i = 0; i < 50 && tide_u128_eq(tide_drift_model(drift), model->checksum) && tide_drift_inputs(drift) == model->input_count; i++) {
    tide_drift_add(drift, model, &env, tide_num(0.5), INT64_C(1700000000000) + i * INT64_C(700000), (uint64_t)i);
    for (unsigned w = 0; w < TIDE_DRIFT_WINDOWS; w++) (void)tide_drift_look(drift, w, measure);
  }
  tide_buf_release(&bytes);
  tide_buf_release(&same);
  tide_drift_free(drift);
  tide_drift_free(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (size < 1) return 0;
  struct tide_reader reader = tide_reader_of((struct tide_span){(const char *)data + 1, size - 1});
  if (data[0] & 1) fuzz_drift(&reader);
  else fuzz_feedback(&reader);
  return 0;
}
