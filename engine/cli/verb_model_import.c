/* tidemark model import: a pipeline that scikit-learn fitted becomes a model.
 *
 * The numbers are taken over as they are (model/import.h), the definitions of the inputs come from the feature file. With rows that the pipeline has scored nothing is written
 * unless every score is the same here. */
#include "cli/verbs.h"

#include "cli/parity_say.h"
#include "cli/spec_file.h"
#include "cli/whole_file.h"
#include "model/import.h"

static const struct tide_positional file[] = {{"FILE", "The pipeline as JSON, as model/sklearn_export.py writes it", false, false}};

static const struct tide_opt options[] = {
    {"features", "FILE", NULL, "The feature file whose values it was fitted to", TIDE_OPT_TEXT, TIDE_OPT_REQUIRED, 0, 0, NULL},
    {"output", "FILE", NULL, "Where the model goes", TIDE_OPT_TEXT, TIDE_OPT_REQUIRED | TIDE_OPT_WRITTEN, 0, 0, NULL},
    TIDE_PARITY_OPTIONS,
};

static int import(const struct tide_args *args, const struct tide_spec *spec) {
  struct tide_error error = {0}, why = {0};
  struct tide_model *model = NULL;
  struct tide_buf text = TIDE_BUF_INIT;
  uint32_t different = 0;
  const char *path = tide_args_at(args, 0);
  enum tide_err err = tide_file_read(path, TIDE_MODEL_BYTES_MAX, &text, &error);
  if (!err) {
    err = tide_model_import(tide_buf_span(&text), spec, &model, &why);
    if (err) (void)tide_fail_at(&error, err, why.line, why.column, why.field, "%.100s: %.270s", path, why.text);
  }
  if (!err) err = tide_parity_from_args(args, model, &different, &error);
  if (!err && !different) err = tide_model_save(tide_args_text(args, "output"), model, &error);
  if (!err && different) printf("%s is not what made these rows' scores; nothing was written\n", model->id);
  else if (!err)
    printf("%s, version %s: %u inputs, %llu training rows\n", model->id, model->version, model->input_count,
           (unsigned long long)model->rows);
  tide_buf_release(&text);
  tide_model_free(model);
  return err ? tide_exit_report(&error) : different ? TIDE_EXIT_DIFFERENT : TIDE_EXIT_OK;
}

static int run(const struct tide_args *args) {
  struct tide_spec *spec;
  int exit;
  if (!tide_spec_open(tide_args_text(args, "features"), &spec, &exit)) return exit;
  exit = import(args, spec);
  tide_spec_free(spec);
  return exit;
}

const struct tide_verb tide_verb_model_import = {
    .name = "model import",
    .summary = "Make a model of a pipeline that scikit-learn fitted to exported rows",
    .about =
        "The pipeline is SimpleImputer, StandardScaler and LogisticRegression, written by model/sklearn_export.py; the format is in model/import.h. With --rows, a CSV with the "
        "values and the pipeline's score of each row, every score is computed here as well, and unless all agree nothing is written (exit code 1).",
    .example = "tidemark model import pipeline.json --features config/defaults/features.yaml --rows scored.csv --output model.json",
    .opt = options,
    .opt_count = sizeof options / sizeof options[0],
    .positional = file,
    .positional_count = 1,
    .run = run};
