/* tidemark model check | describe.
 *
 * check: is the file whole, and does it fit a feature file; every difference is printed with both definitions. describe: what the model reads
 * and how much each input weighs, for those who have to answer for it. */
#include "cli/verbs.h"

#include <math.h>

#include "cli/model_table.h"
#include "cli/parity_say.h"
#include "cli/spec_file.h"

static const struct tide_positional file[] = {{"FILE", "The model", false, false}};

static const struct tide_opt check_options[] = {
    {"features", "FILE", NULL, "The feature file that it must fit; left out: only the model itself is checked", TIDE_OPT_TEXT, 0, 0, 0,
     NULL},
    TIDE_PARITY_OPTIONS,
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
  if (!err) err = tide_parity_from_args(args, model, &count, &error);
  exit = err ? tide_exit_report(&error) : count ? TIDE_EXIT_DIFFERENT : TIDE_EXIT_OK;
  tide_model_free(model);
  tide_spec_free(spec);
  return exit;
}

const struct tide_verb tide_verb_model_check = {
    .name = "model check",
    .summary = "Check a model file, and that a feature file defines its inputs as in training",
    .about =
        "A model that does not fit is printed input by input with both definitions (exit code 1); a file that is no model exits with 2 to 5. With --rows its "
        "scores are compared with those in a CSV of export or train --export, row by row, and if the rows it was fitted to are among them its medians, means, "
        "scales and quantiles are computed again; what differs is named (exit code 1).",
    .example = "tidemark model check config/defaults/model.json --features config/defaults/features.yaml\n"
               "tidemark model check model.json --rows rows.csv",
    .opt = check_options,
    .opt_count = sizeof check_options / sizeof check_options[0],
    .positional = file,
    .positional_count = 1,
    .run = check};

/* ---- describe ---- */

static void describe_measure(const char *what, double value) {
  if (isnan(value)) printf("%s -", what);
  else printf("%s %.4f", what, value);
}

static void describe_model(const struct tide_model *m) {
  char from[TIDE_TIME_TEXT], to[TIDE_TIME_TEXT];
  printf("%s, version %s, for %s\n", m->id, m->version, m->features);
  printf("trained on %llu rows, %llu of them fraud, %s to %s, l2 %.6g\n", (unsigned long long)m->rows, (unsigned long long)m->fraud,
         tide_time_format((struct tide_etime){m->from_ms}, from), tide_time_format((struct tide_etime){m->to_ms}, to), m->l2);
  if (m->weighted)
    printf("classes were weighed, genuine %.6g, fraud %.6g: a score is no share of fraud\n", m->genuine_weight, m->fraud_weight);
  printf("tested on %llu rows, %llu of them fraud:", (unsigned long long)m->test_rows, (unsigned long long)m->test_fraud);
  describe_measure(" ROC AUC", m->roc_auc);
  describe_measure(", average precision", m->average_precision);
  printf(", card precision@%u", m->card_precision_k);
  describe_measure("", m->card_precision);
  printf("\n\nscore = 1 / (1 + exp(-(%.6g + sum of coefficient * (transform(value) - mean) / scale)))\n\n", m->intercept);
  tide_model_table_print(m, stdout);
  printf("\nDefinitions\n");
  for (uint32_t i = 0; i < m->input_count; i++)
    printf("  %s\n    reason %s: %s\n", m->input[i].definition, m->input[i].code, m->input[i].text);
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
