/* The table of coefficients (model_table.h).
 *
 * Numbers are rounded for reading here and nowhere else; the artifact has all their digits. */
#include "cli/model_table.h"

#include <math.h>
#include <stdlib.h>

#include "base/json_out.h"

static int by_weight(const void *a, const void *b) {
  const struct tide_model_input *const *x = a, *const *y = b;
  double p = fabs((*x)->coefficient), q = fabs((*y)->coefficient);
  if (p != q) return p > q ? -1 : 1;
  return *x < *y ? -1 : *x > *y;
}

const struct tide_model_input **tide_model_by_weight(const struct tide_model *model) {
  const struct tide_model_input **order = tide_alloc((model->input_count + 1) * sizeof *order);
  for (uint32_t i = 0; i < model->input_count; i++) order[i] = &model->input[i];
  qsort(order, model->input_count, sizeof *order, by_weight);
  return order;
}

const char *tide_transform_text(const struct tide_model_input *input, char out[TIDE_TRANSFORM_TEXT]) {
  if (input->transform == TIDE_TRANSFORM_CLIP) snprintf(out, TIDE_TRANSFORM_TEXT, "clip %.6g..%.6g", input->lo, input->hi);
  else snprintf(out, TIDE_TRANSFORM_TEXT, "%s", tide_transform_name((enum tide_transform)input->transform));
  return out;
}

void tide_model_table_print(const struct tide_model *model, FILE *out) {
  char text[TIDE_TRANSFORM_TEXT];
  fprintf(out, "%-28s %9s %8s  %-18s %10s %10s %10s  %s\n", "Input", "coeff.", "odds", "transform", "mean", "scale", "missing", "imputed");
  const struct tide_model_input **order = tide_model_by_weight(model);
  for (uint32_t i = 0; i < model->input_count; i++) {
    const struct tide_model_input *input = order[i];
    fprintf(out, "%-28s %+9.4f %8.3g  %-18s %10.6g %10.6g %8.2f %%  %.6g", input->feature, input->coefficient, exp(input->coefficient),
            tide_transform_text(input, text), input->mean, input->scale, 100 * input->missing, input->median);
    if (input->has_absent) fprintf(out, ", absent %.6g", input->absent);
    if (input->has_empty) fprintf(out, ", empty %.6g", input->empty);
    fprintf(out, "\n");
  }
  tide_free(order);
}

static void key_double(struct tide_buf *out, const char *key, double value) {
  tide_json_key(out, key);
  tide_json_double(out, value);
}

void tide_model_table_json(const struct tide_model *model, struct tide_buf *out) {
  char text[TIDE_TRANSFORM_TEXT];
  const struct tide_model_input **order = tide_model_by_weight(model);
  tide_json_key(out, "coefficients");
  tide_json_open(out, '[');
  for (uint32_t i = 0; i < model->input_count; i++) {
    const struct tide_model_input *input = order[i];
    tide_json_open(out, '{');
    tide_json_key(out, "feature");
    tide_json_cstr(out, input->feature);
    key_double(out, "coefficient", input->coefficient);
    key_double(out, "odds", exp(input->coefficient < 700 ? input->coefficient : 700));
    tide_json_key(out, "transform");
    tide_json_cstr(out, tide_transform_text(input, text));
    key_double(out, "mean", input->mean);
    key_double(out, "scale", input->scale);
    key_double(out, "median", input->median);
    key_double(out, "missing", input->missing);
    tide_json_close(out, '}');
  }
  tide_json_close(out, ']');
  key_double(out, "intercept", model->intercept);
  tide_free(order);
}
