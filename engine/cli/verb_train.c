/* tidemark train: a log with labels in, a model out.
 *
 * The work is train_run.c's; here are its options, the report, and the file: written beside its place and moved there when it is whole, so a
 * model file is never half of one. */
#include "cli/verbs.h"

#include "base/json_out.h"
#include "cli/spec_file.h"
#include "cli/tally.h"
#include "cli/summary.h"
#include "cli/train_run.h"

#include <math.h>

static const struct tide_opt options[] = {
    {"features", "FILE", NULL, "The feature file", TIDE_OPT_TEXT, TIDE_OPT_REQUIRED, 0, 0, NULL},
    {"input", "FILE", NULL, "The log, with labels; several are read in order", TIDE_OPT_TEXT, TIDE_OPT_REQUIRED | TIDE_OPT_REPEAT, 0, 0,
     NULL},
    {"output", "FILE", NULL, "Where the model goes", TIDE_OPT_TEXT, TIDE_OPT_REQUIRED, 0, 0, NULL},
    {"inputs", "FILE", NULL,
     "What the model reads: a line per input, NAME [absent=N] [empty=N] [transform=none|log1p|clip:LO:HI] [reason text]; left out: every "
     "number and condition among features and derived values",
     TIDE_OPT_TEXT, 0, 0, 0, NULL},
    {"name", "NAME", NULL, "Name of the model; left out: that of the feature file", TIDE_OPT_TEXT, 0, 0, 0, NULL},
    {"model-version", "TEXT", "1", "Its version", TIDE_OPT_TEXT, 0, 0, 0, NULL},
    {"l2", "X", "1", "Strength of the penalty on coefficients (scikit-learn's C is 1 / X)", TIDE_OPT_PERCENT, 0, 0, 1000000000, NULL},
    {"split", "SHARE", "0.8", "Share of the rows, from the earliest on, to fit to; the rest measures. 1: fit to all", TIDE_OPT_PERCENT, 0,
     0, 1, NULL},
    {"label-delay", "DURATION", "30d", "How long labels take: rows younger than that at the end of the log are left out", TIDE_OPT_DURATION,
     0, 0, 0, NULL},
    {"gap", "DURATION", "0s", "Leave out the rows so long before the split: labels that were not known then", TIDE_OPT_DURATION, 0, 0, 0,
     NULL},
    {"skip", "DURATION", "0s", "Leave out the rows of the first so long, while windows fill", TIDE_OPT_DURATION, 0, 0, 0, NULL},
    {"top-cards", "K", "100", "K of card precision@k: how many cards a day can be looked at", TIDE_OPT_INT, 0, 1, 1000000, NULL},
    {"export", "FILE", NULL, "The rows as CSV: set, time, fraud, score, and each input as it was read", TIDE_OPT_TEXT, 0, 0, 0, NULL},
    {"input-shape", "NAME", NULL, "The shape of messages that no `when` picks; left out: default", TIDE_OPT_TEXT, 0, 0, 0, NULL},
    {"format", "FORMAT", "auto", "Format of the log; auto looks at the first line", TIDE_OPT_CHOICE, 0, 0, 0, "auto|json|csv"},
    TIDE_SETTING_OPTIONS,
    TIDE_KEY_OPTIONS,
    {"json", NULL, NULL, "The report as one JSON object", TIDE_OPT_SWITCH, 0, 0, 0, NULL},
};

static enum tide_err write_model(const char *path, const struct tide_model *model, struct tide_error *error) {
  struct tide_buf text = TIDE_BUF_INIT, beside = TIDE_BUF_INIT;
  tide_model_write_lines(model, &text);
  tide_buf_printf(&beside, "%s.new", path);
  const char *name = tide_buf_cstr(&beside);
  enum tide_err err = TIDE_OK;
  if (text.len > TIDE_MODEL_BYTES_MAX) {
    err = tide_fail(error, TIDE_E_LIMIT, "the model is longer than %u bytes: choose fewer inputs", TIDE_MODEL_BYTES_MAX);
  } else {
    FILE *file = fopen(name, "we");
    bool written = file && fwrite(text.ptr, 1, text.len, file) == text.len;
    if (file && fclose(file) != 0) written = false;
    if (!written || rename(name, path) != 0) {
      err = tide_fail_errno(error, TIDE_E_IO, "cannot write %.200s", path);
      (void)remove(name);
    }
  }
  tide_buf_release(&text);
  tide_buf_release(&beside);
  return err;
}

/* --- the report */

static void row(const char *what, uint64_t count, const char *more) {
  char text[TIDE_AMOUNT_TEXT];
  if (count) printf("  %-15s%10s  %s\n", what, tide_count_text(count, text), more);
}

static void measure(const char *what, double value, const char *more) {
  if (isnan(value)) printf("  %-24s     -    %s\n", what, "not defined: it needs fraud and genuine rows behind the split");
  else printf("  %-24s %8.4f %s\n", what, value, more);
}

static void print_report(const struct tide_model *m, const struct tide_train_report *r) {
  char time[TIDE_TIME_TEXT], a[TIDE_AMOUNT_TEXT], b[TIDE_AMOUNT_TEXT], text[160];
  printf("Model %s, version %s, for %s\n", m->id, m->version, m->features);
  row("decisions", r->decisions, "");
  row("  left out", r->duplicates, "duplicates");
  row("", r->advised, "advices: decided elsewhere");
  row("", r->uncounted, "that asked without counting");
  struct tide_buf why = TIDE_BUF_INIT;
  tide_buf_str(&why, "with values that are not to be trusted, or none (late, refused)");
  for (int c = 0; c < TIDE_C_COUNT; c++)
    if (r->unknown_by[c]) tide_buf_printf(&why, "; %s %s", tide_count_text(r->unknown_by[c], a), tide_cause_name((enum tide_cause)c));
  row("", r->unknown, tide_buf_cstr(&why));
  tide_buf_release(&why);
  row("", r->skipped, "from the first days (--skip)");
  row("", r->immature, "too young for their label at the end of the log (--label-delay)");
  row("", r->gap, "between training and test (--gap)");
  snprintf(text, sizeof text, "%s of them fraud, to %s", tide_count_text(m->fraud, a),
           tide_time_format((struct tide_etime){m->to_ms}, time));
  row("training rows", r->train, text);
  snprintf(text, sizeof text, "%s of them fraud, from %s", tide_count_text(m->test_fraud, b),
           r->test ? tide_time_format((struct tide_etime){r->split_ms}, time) : "");
  row("test rows", r->test, text);
  snprintf(text, sizeof text, "%u dropped that never vary; %u L-BFGS and %u Newton steps, gradient %.1e", r->constant, r->fit.lbfgs_steps,
           r->fit.newton_steps, r->fit.gradient);
  row("inputs", m->input_count, text);
  printf("\nOn the test rows\n");
  measure("ROC AUC", m->roc_auc, "");
  snprintf(text, sizeof text, "(chance: %.4f)", r->test ? (double)m->test_fraud / (double)r->test : 0);
  measure("average precision", m->average_precision, text);
  snprintf(text, sizeof text, "of the %u cards of a day with the highest score, over %u days; a perfect ranking: %.4f", m->card_precision_k,
           r->card_days, isnan(r->card_best) ? 0 : r->card_best);
  measure("card precision", m->card_precision, text);
}

static void key_count(struct tide_buf *out, const char *key, uint64_t value) {
  tide_json_key(out, key);
  tide_json_int(out, (int64_t)value);
}

static void key_measure(struct tide_buf *out, const char *key, double value) {
  tide_json_key(out, key);
  if (isnan(value)) tide_json_null(out);
  else tide_json_double(out, value);
}

static void print_json(const struct tide_model *m, const struct tide_train_report *r) {
  struct tide_buf out = TIDE_BUF_INIT;
  tide_json_open(&out, '{');
  tide_json_key(&out, "model");
  tide_json_cstr(&out, m->id);
  tide_json_key(&out, "version");
  tide_json_cstr(&out, m->version);
  key_count(&out, "decisions", r->decisions);
  key_count(&out, "duplicates", r->duplicates);
  key_count(&out, "advised", r->advised);
  key_count(&out, "uncounted", r->uncounted);
  key_count(&out, "unknown", r->unknown);
  key_count(&out, "skipped", r->skipped);
  key_count(&out, "immature", r->immature);
  key_count(&out, "gap", r->gap);
  key_count(&out, "rows", r->rows);
  key_count(&out, "train", r->train);
  key_count(&out, "train_fraud", m->fraud);
  key_count(&out, "test", r->test);
  key_count(&out, "test_fraud", m->test_fraud);
  key_count(&out, "inputs", m->input_count);
  key_count(&out, "constant", r->constant);
  key_measure(&out, "roc_auc", m->roc_auc);
  key_measure(&out, "average_precision", m->average_precision);
  key_count(&out, "card_precision_k", m->card_precision_k);
  key_measure(&out, "card_precision", m->card_precision);
  key_measure(&out, "card_precision_best", r->card_best);
  tide_json_close(&out, '}');
  printf("%.*s\n", (int)out.len, out.ptr);
  tide_buf_release(&out);
}

/* --- the verb */

static enum tide_err options_of(const struct tide_args *args, const struct tide_spec *spec, struct tide_train_options *ret,
                                struct tide_error *error) {
  ret->inputs = tide_args_text(args, "inputs");
  ret->name = tide_args_text(args, "name") ? tide_args_text(args, "name") : spec->name ? spec->name : "model";
  ret->version = tide_args_text(args, "model-version");
  ret->how.l2 = tide_args_double(args, "l2");
  ret->split = tide_args_double(args, "split");
  ret->label_delay_ms = tide_args_duration_ms(args, "label-delay");
  ret->gap_ms = tide_args_duration_ms(args, "gap");
  ret->skip_ms = tide_args_duration_ms(args, "skip");
  ret->top_cards = (uint32_t)tide_args_int(args, "top-cards");
  ret->export = tide_args_text(args, "export");
  if (!(ret->how.l2 >= 1e-9))
    return tide_fail_at(error, TIDE_E_USAGE, 0, 0, "l2",
                        "--l2 must be above 0: without a penalty collinear inputs have no best coefficients");
  if (!(ret->split > 0))
    return tide_fail_at(error, TIDE_E_USAGE, 0, 0, "split", "--split must be above 0: there would be nothing to fit to");
  if (!tide_model_name_fits(ret->name) || strlen(ret->version) > TIDE_MODEL_NAME_MAX)
    return tide_fail_at(error, TIDE_E_USAGE, 0, 0, "name",
                        "--name is made of letters, digits, dots, dashes and underscores, and like --model-version at most %d long",
                        TIDE_MODEL_NAME_MAX);
  return TIDE_OK;
}

static int train(const struct tide_args *args, const struct tide_spec *spec) {
  struct tide_error error = {0};
  struct tide_keys keys = {0};
  const char *input[256];
  struct tide_train_options train = {.replay = {.spec = spec,
                                                .keys = &keys,
                                                .input = input,
                                                .shape = tide_args_text(args, "input-shape"),
                                                .format = tide_args_text(args, "format"),
                                                .batch_records = TIDE_REPLAY_BATCH_DEFAULT,
                                                .progress = "train"}};
  enum tide_err err = options_of(args, spec, &train, &error);
  for (const char *path; !err && (path = tide_args_nth(args, "input", train.replay.input_count)) != NULL; train.replay.input_count++) {
    if (train.replay.input_count == 256) {
      err = tide_fail(&error, TIDE_E_USAGE, "train reads at most 256 files in one run");
      break;
    }
    input[train.replay.input_count] = path;
  }
  if (!err) err = tide_settings_from_args(args, &train.replay.settings, &error);
  if (!err) err = tide_keys_from_args(args, spec, &keys, &error);
  struct tide_model *model = NULL;
  struct tide_train_report report = {0};
  if (!err) err = tide_train_run(&train, &model, &report, &error);
  if (!err) err = write_model(tide_args_text(args, "output"), model, &error);
  if (!err) {
    if (tide_args_on(args, "json")) print_json(model, &report);
    else print_report(model, &report);
  }
  tide_model_free(model);
  explicit_bzero(&keys, sizeof keys);
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
