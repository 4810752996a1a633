/* tidemark model check | describe.
 *
 * check: is the file whole, and does it fit a feature file; every difference is printed with both definitions. describe: what the model reads
 * and how much each input weighs, for those who have to answer for it. */
#include "cli/verbs.h"

#include <math.h>
#include <stdlib.h>

#include "cli/spec_file.h"

static const struct tide_positional file[] = {{"FILE", "The model", false, false}};

static const struct tide_opt check_options[] = {
    {"features", "FILE", NULL, "The feature file that it must fit; left out: only the model itself is checked", TIDE_OPT_TEXT, 0, 0, 0,
     NULL},
};

static int check(const struct tide_args *args) {
  struct tide_error error = {0};
  struct tide_model *model = NULL;
  struct tide_spec *spec = NULL;
  const char *features = tide_args_text(args, "features");
  int exit = TIDE_EXIT_OK;
  if (features && !tide_spec_open(features, &spec, &exit)) return exit;
  enum tide_err err = tide_model_load(tide_args_at(args, 0), &model, &error);
  uint32_t count = 0;
  if (!err && spec) {
    struct tide_buf text = TIDE_BUF_INIT;
    count = tide_model_differences(model, spec, &text);
    printf("%.*s", (int)text.len, text.ptr ? text.ptr : "");
    tide_buf_release(&text);
  }
  if (!err && count)
    printf("%s does not fit %s: %u of its %u inputs are defined otherwise\n", model->id, features, count, model->input_count);
  else if (!err)
    printf("%s, version %s: %u inputs%s%s\n", model->id, model->version, model->input_count, spec ? ", fits " : "", spec ? features : "");
  exit = err ? tide_exit_report(&error) : count ? TIDE_EXIT_DIFFERENT : TIDE_EXIT_OK;
  tide_model_free(model);
  tide_spec_free(spec);
  return exit;
}

const struct tide_verb tide_verb_model_check = {
    .name = "model check",
    .summary = "Check a model file, and that a feature file defines its inputs as in training",
    .about =
        "A model that does not fit is printed input by input with both definitions (exit code 1); a file that is no model exits with 2 to 5.",
    .example = "tidemark model check config/defaults/model.json --features config/defaults/features.yaml",
    .opt = check_options,
    .opt_count = sizeof check_options / sizeof check_options[0],
    .positional = file,
    .positional_count = 1,
    .run = check};

/* ---- describe ---- */

static int by_weight(const void *a, const void *b) {
  const struct tide_model_input *const *x = a, *const *y = b;
  double p = fabs((*x)->coefficient), q = fabs((*y)->coefficient);
  if (p != q) return p > q ? -1 : 1;
  return *x < *y ? -1 : *x > *y;
}

static void describe_input(const struct tide_model_input *input) {
  char text[64];
  if (input->transform == TIDE_TRANSFORM_CLIP) snprintf(text, sizeof text, "clip %.6g..%.6g", input->lo, input->hi);
  else snprintf(text, sizeof text, "%s", tide_transform_name((enum tide_transform)input->transform));
  printf("%-28s %+9.4f  %-18s %10.6g %10.6g %8.2f %%  %.6g", input->feature, input->coefficient, text, input->mean, input->scale,
         100 * input->missing, input->median);
  if (input->has_absent) printf(", absent %.6g", input->absent);
  if (input->has_empty) printf(", empty %.6g", input->empty);
  printf("\n");
}

static void describe_measure(const char *what, double value) {
  if (isnan(value)) printf("%s -", what);
  else printf("%s %.4f", what, value);
}

static void describe_model(const struct tide_model *m) {
  char from[TIDE_TIME_TEXT], to[TIDE_TIME_TEXT];
  printf("%s, version %s, for %s\n", m->id, m->version, m->features);
  printf("trained on %llu rows, %llu of them fraud, %s to %s, l2 %.6g\n", (unsigned long long)m->rows, (unsigned long long)m->fraud,
         tide_time_format((struct tide_etime){m->from_ms}, from), tide_time_format((struct tide_etime){m->to_ms}, to), m->l2);
  printf("tested on %llu rows, %llu of them fraud:", (unsigned long long)m->test_rows, (unsigned long long)m->test_fraud);
  describe_measure(" ROC AUC", m->roc_auc);
  describe_measure(", average precision", m->average_precision);
  printf(", card precision@%u", m->card_precision_k);
  describe_measure("", m->card_precision);
  printf("\n\nscore = 1 / (1 + exp(-(%.6g + sum of coefficient * (transform(value) - mean) / scale)))\n\n", m->intercept);
  printf("%-28s %9s  %-18s %10s %10s %10s  %s\n", "Input", "coeff.", "transform", "mean", "scale", "missing", "imputed");
  const struct tide_model_input **order = tide_alloc((m->input_count + 1) * sizeof *order);
  for (uint32_t i = 0; i < m->input_count; i++) order[i] = &m->input[i];
  qsort(order, m->input_count, sizeof *order, by_weight);
  for (uint32_t i = 0; i < m->input_count; i++) describe_input(order[i]);
  printf("\nDefinitions\n");
  for (uint32_t i = 0; i < m->input_count; i++)
    printf("  %s\n    reason %s: %s\n", m->input[i].definition, m->input[i].code, m->input[i].text);
  tide_free(order);
}

static int describe(const struct tide_args *args) {
  struct tide_error error = {0};
  struct tide_model *model;
  if (tide_model_load(tide_args_at(args, 0), &model, &error)) return tide_exit_report(&error);
  describe_model(model);
  tide_model_free(model);
  return fflush(stdout) == 0 ? TIDE_EXIT_OK : TIDE_EXIT_IO;
}

const struct tide_verb tide_verb_model_describe = {.name = "model describe",
                                                   .summary = "Print what a model reads, how it weighs it and how good it was",
                                                   .example = "tidemark model describe config/defaults/model.json",
                                                   .positional = file,
                                                   .positional_count = 1,
                                                   .run = describe};
