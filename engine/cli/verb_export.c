/* tidemark export: a log in, point-in-time training rows out, for whoever fits models with other tools.
 *
 * The rows are those that train would fit to (train_rows.h), before any split, and the values those of the decision's
 * moment. A model that was made of them elsewhere comes back with `model import`. */
#include "cli/verbs.h"

#include "cli/rows_csv.h"
#include "cli/spec_file.h"
#include "cli/summary.h"

#include "base/json_out.h"

static const struct tide_opt options[] = {
    TIDE_ROWS_OPTIONS,
    {"output", "FILE", NULL, "Where the CSV goes; - is standard output; compressed by its ending .gz or .zst", TIDE_OPT_TEXT,
     TIDE_OPT_REQUIRED, 0, 0, NULL},
    {"features-only", NULL, NULL, "Only the values: no event, card, time, label and score", TIDE_OPT_SWITCH, 0, 0, 0, NULL},
    {"model", "FILE", NULL, "Take the inputs of this model, and add the score that the fold gives with it", TIDE_OPT_TEXT, 0, 0, 0, NULL},
    TIDE_SETTING_OPTIONS,
    TIDE_KEY_OPTIONS,
    {"json", NULL, NULL, "What was written as one JSON object", TIDE_OPT_SWITCH, 0, 0, 0, NULL},
};

static uint64_t frauds_of(const struct tide_rows *rows) {
  uint64_t sum = 0;
  for (size_t r = 0; r < rows->count; r++) sum += rows->fraud[r];
  return sum;
}

static void say(const struct tide_train_set *set, const char *path) {
  char a[TIDE_AMOUNT_TEXT], b[TIDE_AMOUNT_TEXT], from[TIDE_TIME_TEXT], to[TIDE_TIME_TEXT];
  const struct tide_rows *rows = &set->rows;
  fprintf(strcmp(path, "-") == 0 ? stderr : stdout, "%s rows of %u values, %s of them fraud, %s to %s\n", tide_count_text(rows->count, a),
          rows->inputs, tide_count_text(frauds_of(rows), b), tide_time_format((struct tide_etime){rows->time_ms[0]}, from),
          tide_time_format((struct tide_etime){rows->time_ms[rows->count - 1]}, to));
}

static void say_json(const struct tide_train_set *set, const char *path) {
  const struct tide_train_counts *n = &set->counts;
  const struct {
    const char *key;
    uint64_t count;
  } member[] = {
      {"decisions", n->decisions},
      {"duplicates", n->duplicates},
      {"advised", n->advised},
      {"uncounted", n->uncounted},
      {"unknown", n->unknown},
      {"skipped", n->skipped},
      {"immature", n->immature},
      {"outside", n->outside},
      {"rows", n->rows},
      {"fraud", frauds_of(&set->rows)},
      {"values", set->rows.inputs},
      {"labels", n->labels},
      {"labels_unmatched", n->labels_unmatched},
  };
  struct tide_buf out = TIDE_BUF_INIT;
  tide_json_open(&out, '{');
  for (size_t i = 0; i < sizeof member / sizeof *member; i++) {
    tide_json_key(&out, member[i].key);
    tide_json_int(&out, (int64_t)member[i].count);
  }
  tide_json_close(&out, '}');
  fprintf(strcmp(path, "-") == 0 ? stderr : stdout, "%.*s\n", (int)out.len, out.ptr);
  tide_buf_release(&out);
}

static double *scores_of(const struct tide_train_set *set) {
  if (!set->score) return NULL;
  double *score = tide_alloc((set->rows.count + 1) * sizeof *score);
  for (size_t r = 0; r < set->rows.count; r++) score[r] = set->score[set->rows.number[r]];
  return score;
}

static int export(const struct tide_args *args, const struct tide_spec *spec) {
  struct tide_error error = {0};
  struct tide_train_rows_options *rows = tide_alloc(sizeof *rows);
  struct tide_train_set set = {0};
  const char *path = tide_args_text(args, "output");
  enum tide_err err = tide_train_rows_from_args(args, spec, "export", rows, &error);
  if (!err && rows->inputs && tide_args_text(args, "model"))
    err = tide_fail_at(&error, TIDE_E_USAGE, 0, 0, "inputs", "--model brings its own inputs: leave --inputs out");
  if (!err) err = tide_model_from_args(args, "model", spec, &set.model, &error);
  rows->replay.model = set.model;
  if (!err) err = tide_train_rows(rows, &set, &error);
  tide_train_say_rejected(&set);
  if (!err && !set.rows.count) err = tide_train_set_empty(&set, &error);
  double *score = err ? NULL : scores_of(&set);
  if (!err) {
    struct tide_rows_csv_options csv = {
        .path = path, .values_only = tide_args_on(args, "features-only"), .score = score, .keys = &rows->keys};
    err = tide_rows_csv_write(&set, &csv, &error);
  }
  if (!err && tide_args_on(args, "json")) say_json(&set, path);
  else if (!err) say(&set, path);
  tide_free(score);
  tide_model_free(set.model);
  tide_train_set_release(&set);
  explicit_bzero(&rows->keys, sizeof rows->keys);
  tide_free(rows);
  return err ? tide_exit_report(&error) : TIDE_EXIT_OK;
}

static int run(const struct tide_args *args) {
  struct tide_spec *spec;
  int exit;
  if (!tide_spec_open(tide_args_text(args, "features"), &spec, &exit)) return exit;
  exit = export(args, spec);
  tide_spec_free(spec);
  return exit;
}

const struct tide_verb tide_verb_export = {
    .name = "export",
    .summary = "Fold a log with labels and write what was known at each decision as CSV",
    .about =
        "One row per decision, those that train would fit to: event, card, time_ms, fraud, then each value as it stood at that moment, before its own event was "
        "counted. A value that was not there is an empty cell; --states says why. Rows whose label may not have come yet are left out (--label-delay), as are "
        "decisions with a value that is not to be trusted. event and card are hashes under the key for secret fields: rows of one card can be told together, the card "
        "cannot be told.",
    .example =
        "tidemark export --features config/defaults/features.yaml --input log.jsonl --dev-key --output rows.csv.zst\n"
        "tidemark export --features my.yaml --input log.jsonl --key-file card.key --inputs my.inputs --from 2026-02-01T00:00:00Z --states --output rows.csv",
    .opt = options,
    .opt_count = sizeof options / sizeof options[0],
    .run = run};
