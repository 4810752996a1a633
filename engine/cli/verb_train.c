/* tidemark train: a log with labels in, a model out.
 *
 * The work is train_run.c's and what is said of it train_say.c's; here are its options and the order in which files are written: the model last, so
 * that it is there only when everything else is. */
#include "cli/verbs.h"

#include "base/num.h"
#include "cli/rows_csv.h"
#include "cli/spec_file.h"
#include "cli/train_report.h"
#include "cli/train_say.h"
#include "cli/whole_file.h"

static const struct tide_opt options[] = {
    TIDE_ROWS_OPTIONS,
    {"output", "FILE", NULL, "Where the model goes", TIDE_OPT_TEXT, TIDE_OPT_REQUIRED, 0, 0, NULL},
    {"name", "NAME", NULL, "Name of the model; left out: that of the feature file", TIDE_OPT_TEXT, 0, 0, 0, NULL},
    {"model-version", "TEXT", "1", "Its version", TIDE_OPT_TEXT, 0, 0, 0, NULL},
    {"l2", "X", "1", "Strength of the penalty on coefficients (scikit-learn's C is 1 / X)", TIDE_OPT_PERCENT, 0, 0, 1000000000, NULL},
    {"c", "LIST", NULL,
     "Choose the penalty instead among these values of C = 1 / l2, say 0.01,0.1,1,10: folds in order of time, one-standard-error rule",
     TIDE_OPT_TEXT, 0, 0, 0, NULL},
    {"folds", "N", "5", "How many folds for that", TIDE_OPT_INT, 0, 2, TIDE_CHOOSE_FOLDS_MAX, NULL},
    {"class-weight", "W", NULL,
     "What a fraud weighs against a genuine row, or balanced: both classes weigh the same. A score is then no share of fraud; left out: 1",
     TIDE_OPT_TEXT, 0, 0, 0, NULL},
    {"split", "SHARE", "0.8", "Share of the rows, from the earliest on, to fit to; the rest measures. 1: fit to all", TIDE_OPT_PERCENT, 0,
     0, 1, NULL},
    {"gap", "DURATION", "0s", "Leave out the rows so long before the split: labels that were not known then", TIDE_OPT_DURATION, 0, 0, 0,
     NULL},
    {"top-cards", "K", "100", "K of card precision@k: how many cards a day can be looked at", TIDE_OPT_INT, 0, 1, 1000000, NULL},
    {"report", "FILE", NULL, "A page with plots and tables, one HTML file without anything from elsewhere", TIDE_OPT_TEXT, 0, 0, 0, NULL},
    {"export", "FILE", NULL,
     "The rows as CSV: set, time, fraud, score, and each input as it was read; compressed by its ending .gz or .zst", TIDE_OPT_TEXT, 0, 0,
     0, NULL},
    TIDE_SETTING_OPTIONS,
    TIDE_KEY_OPTIONS,
    {"json", NULL, NULL, "The report as one JSON object", TIDE_OPT_SWITCH, 0, 0, 0, NULL},
};

/* "0.01,0.1,1": numbers above 0, sorted here; each once. */
static enum tide_err candidates_of(const char *text, struct tide_train_options *ret, struct tide_error *error) {
  for (const char *at = text; at;) {
    const char *comma = strchr(at, ',');
    struct tide_span word = {at, comma ? (size_t)(comma - at) : strlen(at)};
    double c;
    if (ret->c_count == TIDE_CHOOSE_MAX)
      return tide_fail_at(error, TIDE_E_USAGE, 0, 0, "c", "--c takes at most %d values", TIDE_CHOOSE_MAX);
    if (tide_double_parse(word, &c) || !(c >= 1e-9 && c <= 1e9))
      return tide_fail_at(error, TIDE_E_USAGE, 0, 0, "c", "--c is a list of numbers from 1e-9 to 1e9, like 0.01,0.1,1,10; \"%.*s\" is none",
                          (int)(word.len > 40 ? 40 : word.len), word.ptr);
    uint32_t k = ret->c_count++;
    for (; k > 0 && ret->c[k - 1] > c; k--) ret->c[k] = ret->c[k - 1];
    if (k > 0 && ret->c[k - 1] == c) return tide_fail_at(error, TIDE_E_USAGE, 0, 0, "c", "--c has %g twice", c);
    ret->c[k] = c;
    at = comma ? comma + 1 : NULL;
  }
  return TIDE_OK;
}

static enum tide_err weight_of(const char *text, struct tide_train_how *ret, struct tide_error *error) {
  ret->fraud_weight = 1;
  if (!text) return TIDE_OK;
  if (strcmp(text, "balanced") == 0) {
    ret->fraud_weight = TIDE_TRAIN_BALANCED;
    return TIDE_OK;
  }
  if (tide_double_parse(tide_span_of(text), &ret->fraud_weight) || !(ret->fraud_weight >= 1e-6 && ret->fraud_weight <= 1e6))
    return tide_fail_at(error, TIDE_E_USAGE, 0, 0, "class-weight",
                        "--class-weight is balanced, or a number from 0.000001 to 1000000, not \"%.40s\"", text);
  return TIDE_OK;
}

static enum tide_err options_of(const struct tide_args *args, const struct tide_spec *spec, struct tide_train_options *ret,
                                struct tide_error *error) {
  ret->name = tide_args_text(args, "name") ? tide_args_text(args, "name") : spec->name ? spec->name : "model";
  ret->version = tide_args_text(args, "model-version");
  ret->how.l2 = tide_args_double(args, "l2");
  ret->folds = (uint32_t)tide_args_int(args, "folds");
  ret->split = tide_args_double(args, "split");
  ret->gap_ms = tide_args_duration_ms(args, "gap");
  ret->top_cards = (uint32_t)tide_args_int(args, "top-cards");
  if (!(ret->how.l2 >= 1e-9))
    return tide_fail_at(error, TIDE_E_USAGE, 0, 0, "l2",
                        "--l2 must be above 0: without a penalty collinear inputs have no best coefficients");
  if (!(ret->split > 0))
    return tide_fail_at(error, TIDE_E_USAGE, 0, 0, "split", "--split must be above 0: there would be nothing to fit to");
  if (!tide_model_name_fits(ret->name) || strlen(ret->version) > TIDE_MODEL_NAME_MAX)
    return tide_fail_at(error, TIDE_E_USAGE, 0, 0, "name",
                        "--name is made of letters, digits, dots, dashes and underscores, and like --model-version at most %d long",
                        TIDE_MODEL_NAME_MAX);
  enum tide_err err = weight_of(tide_args_text(args, "class-weight"), &ret->how, error);
  if (!err && tide_args_text(args, "c")) err = candidates_of(tide_args_text(args, "c"), ret, error);
  return err;
}

static enum tide_err write_outputs(const struct tide_args *args, const struct tide_spec *spec, const struct tide_train_run *run,
                                   struct tide_error *error) {
  const char *export = tide_args_text(args, "export"), *report = tide_args_text(args, "report");
  struct tide_rows_csv_options csv = {.path = export, .score = run->score, .sets = true, .train = run->train, .test = run->test};
  enum tide_err err = export ? tide_rows_csv_write(&run->set, &csv, error) : TIDE_OK;
  if (!err && report) {
    struct tide_buf page = TIDE_BUF_INIT;
    tide_train_report(spec, run, &page);
    err = tide_file_replace(report, tide_buf_span(&page), error);
    tide_buf_release(&page);
  }
  if (!err) err = tide_model_save(tide_args_text(args, "output"), run->set.model, error);
  return err;
}

static int train(const struct tide_args *args, const struct tide_spec *spec) {
  struct tide_error error = {0};
  struct tide_train_options *options_given = tide_alloc(sizeof *options_given);
  struct tide_train_run run = {0};
  enum tide_err err = options_of(args, spec, options_given, &error);
  if (!err) err = tide_train_rows_from_args(args, spec, "train", &options_given->rows, &error);
  if (!err) err = tide_train_run(options_given, &run, &error);
  tide_train_say_rejected(&run.set);
  if (!err) err = write_outputs(args, spec, &run, &error);
  if (!err && tide_args_on(args, "json")) tide_train_json(&run);
  else if (!err) tide_train_print(spec, &run);
  tide_train_run_release(&run);
  explicit_bzero(&options_given->rows.keys, sizeof options_given->rows.keys);
  tide_free(options_given);
  return err ? tide_exit_report(&error) : TIDE_EXIT_OK;
}

static int run(const struct tide_args *args) {
  struct tide_spec *spec;
  int exit;
  if (!tide_spec_open(tide_args_text(args, "features"), &spec, &exit)) return exit;
  exit = train(args, spec);
  tide_spec_free(spec);
  return exit;
}

const struct tide_verb tide_verb_train = {
    .name = "train",
    .summary = "Fold a log with labels and fit a model to what was known at each decision",
    .about =
        "A row is a decision with the values of its features at that moment, as the fold had them; its label is what the log brings later: a transaction that "
        "was never labelled fraud counts as genuine. Missing values are imputed with the median, values transformed and standardised, and an L2 logistic regression "
        "fitted to the earlier rows; the later ones measure it. The same log, files and options give the same bytes.",
    .example =
        "tidemark train --features config/defaults/features.yaml --inputs config/defaults/model.inputs --input log.jsonl --dev-key --output model.json",
    .opt = options,
    .opt_count = sizeof options / sizeof options[0],
    .run = run};
