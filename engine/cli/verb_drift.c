/* tidemark drift: how far the model's inputs and score are from its training, or with --feedback what labels say of the decisions.
 *
 * Of a running engine (its admin listener), of a journal (folded from its beginning), or of a log (replayed): the same code counts in all three, and the same objects come out
 * (core/watch.h), as JSON or as a table made of it. */
#include "cli/verbs.h"

#include "cli/admin_args.h"
#include "cli/key_file.h"
#include "cli/replay_run.h"
#include "cli/follow.h"
#include "cli/scan.h"
#include "cli/snapshot.h"
#include "cli/spec_file.h"
#include "core/watch.h"

#include <stdlib.h>

static const struct tide_opt options[] = {
    {"admin", "HOST:PORT", NULL, "Ask a running engine: its admin listener (http.admin_listen, http.admin_port)", TIDE_OPT_TEXT, 0, 0, 0,
     NULL},
    TIDE_ADMIN_OPTIONS,
    {"journal", "WHERE", NULL, "Or fold a journal: file:DIRECTORY", TIDE_OPT_TEXT, 0, 0, 0, NULL},
    {"start-from", "DIR", NULL, "The result of backfill that the journal began with", TIDE_OPT_TEXT, 0, 0, 0, NULL},
    {"input", "FILE", NULL, "Or replay a log, with --features and --model; several are read in order", TIDE_OPT_TEXT, TIDE_OPT_REPEAT, 0, 0,
     NULL},
    {"features", "FILE", NULL, "The feature file, for --input", TIDE_OPT_TEXT, 0, 0, 0, NULL},
    TIDE_MODEL_OPTION,
    {"input-shape", "NAME", NULL, "The shape of messages that no `when` picks; left out: default", TIDE_OPT_TEXT, 0, 0, 0, NULL},
    {"format", "FORMAT", "auto", "Format of the log; auto looks at the first line", TIDE_OPT_CHOICE, 0, 0, 0, "auto|json|csv"},
    TIDE_SETTING_OPTIONS,
    TIDE_KEY_OPTIONS,
    {"feedback", NULL, NULL, "What labels say of the decisions, instead: AUC and precision by model, precision by rule", TIDE_OPT_SWITCH, 0,
     0, 0, NULL},
    {"window", "DURATION", "1h", "The short window of event time, of a journal or log", TIDE_OPT_DURATION, 0, 0, 0, NULL},
    {"long-window", "DURATION", "24h", "The long one; at most 64 times the short one", TIDE_OPT_DURATION, 0, 0, 0, NULL},
    {"max-rows", "N", "5000", "Decisions looked at in a twelfth of the short window", TIDE_OPT_INT, 0, 100, 1000000, NULL},
    {"keep", "DURATION", "120d", "How long decisions wait for their labels", TIDE_OPT_DURATION, 0, 0, 0, NULL},
    {"genuine-after", "DURATION", "30d", "From what age on a decision without a label counts as genuine", TIDE_OPT_DURATION, 0, 0, 0, NULL},
    {"fail-on", "SEVERITY", "never", "Exit code 1 when an input or the score has drifted that far in one of the windows", TIDE_OPT_CHOICE,
     0, 0, 0, "never|moderate|severe"},
};

#define ROWS_MAX (1u << 20) /* decisions that wait for labels: offline there is memory for more of them */

/* ---- counting ---- */

static enum tide_err options_of(const struct tide_args *args, struct tide_watch_options *ret, struct tide_error *error) {
  *ret = (struct tide_watch_options){
      .drift = {.window_ms = {tide_args_duration_ms(args, "window"), tide_args_duration_ms(args, "long-window")},
                .rows_max = (uint32_t)tide_args_int(args, "max-rows")},
      .feedback = {
          .rows_max = ROWS_MAX, .keep_ms = tide_args_duration_ms(args, "keep"), .mature_ms = tide_args_duration_ms(args, "genuine-after")}};
  int64_t shorter = ret->drift.window_ms[0], longer = ret->drift.window_ms[1];
  if (shorter < 60000) return tide_fail(error, TIDE_E_USAGE, "--window is at least 1m");
  if (longer < shorter || longer / shorter > TIDE_DRIFT_LONG_MAX)
    return tide_fail(error, TIDE_E_USAGE, "--long-window is from --window to %d times that", TIDE_DRIFT_LONG_MAX);
  if (ret->feedback.keep_ms <= ret->feedback.mature_ms)
    return tide_fail(error, TIDE_E_USAGE, "--genuine-after must be below --keep: nothing would ever count as genuine");
  return TIDE_OK;
}

struct folding {
  const char *dir;
  struct tide_fold *fold;
};

static enum tide_err fold_one(void *ctx, struct tide_position position, struct tide_span entry, struct tide_error *error) {
  const struct folding *folding = ctx;
  return tide_follow_entry(folding->dir, folding->fold, position, entry, NULL, NULL, error);
}

static enum tide_err watch_journal(const struct tide_args *args, struct tide_watch *watch, struct tide_error *error) {
  struct tide_fold_watch hooks = tide_watch_hooks(watch);
  struct tide_scan_result scan;
  struct tide_fold *fold = NULL;
  const char *dir;
  enum tide_err err = tide_journal_arg(tide_args_text(args, "journal"), &dir, error);
  if (err == TIDE_OK && !dir) err = tide_fail(error, TIDE_E_USAGE, "drift needs --journal file:DIRECTORY: a journal in memory is gone");
  if (err == TIDE_OK) err = tide_base_load(tide_args_text(args, "start-from"), &fold, error);
  if (err == TIDE_OK) tide_fold_watch(fold, &hooks);
  struct folding folding = {dir, fold};
  if (err == TIDE_OK) err = tide_scan(dir, "fold", fold_one, &folding, &scan, error);
  tide_fold_free(fold);
  return err;
}

static enum tide_err watch_log(const struct tide_args *args, const struct tide_spec *spec, struct tide_watch *watch,
                               struct tide_error *error) {
  struct tide_fold_watch hooks = tide_watch_hooks(watch);
  struct tide_keys keys = {0};
  const char *input[256];
  struct tide_replay_options replay = {.spec = spec,
                                       .keys = &keys,
                                       .input = input,
                                       .shape = tide_args_text(args, "input-shape"),
                                       .format = tide_args_text(args, "format"),
                                       .batch_records = TIDE_REPLAY_BATCH_DEFAULT,
                                       .progress = "drift",
                                       .watch = &hooks};
  for (const char *path; (path = tide_args_nth(args, "input", replay.input_count)) != NULL; replay.input_count++) {
    if (replay.input_count == sizeof input / sizeof input[0])
      return tide_fail(error, TIDE_E_USAGE, "drift reads at most 256 files in one run");
    input[replay.input_count] = path;
  }
  struct tide_model *model = NULL;
  struct tide_replay_stats *stats = tide_alloc(sizeof *stats);
  enum tide_err err = tide_model_from_args(args, "model", spec, &model, error);
  replay.model = model;
  if (err == TIDE_OK) err = tide_settings_from_args(args, &replay.settings, error);
  if (err == TIDE_OK) err = tide_keys_from_args(args, spec, &keys, error);
  if (err == TIDE_OK) err = tide_replay_run(&replay, stats, error);
  if (err == TIDE_OK) tide_replay_say_rejected(stats);
  explicit_bzero(&keys, sizeof keys);
  tide_model_free(model);
  tide_free(stats);
  return err;
}

static int count_offline(const struct tide_args *args, json_t **ret) {
  struct tide_watch_options watched;
  struct tide_error error = {0};
  struct tide_spec *spec = NULL;
  struct tide_watch *watch = NULL;
  struct tide_buf text = TIDE_BUF_INIT;
  int exit = TIDE_EXIT_OK;
  const char *features = tide_args_text(args, "features");
  enum tide_err err = options_of(args, &watched, &error);
  if (err == TIDE_OK && tide_args_on(args, "input") && !features)
    err = tide_fail(&error, TIDE_E_USAGE, "--input needs --features, and --model for drift");
  if (err == TIDE_OK && features && !tide_spec_open(features, &spec, &exit)) return exit;
  if (err == TIDE_OK) watch = tide_watch_new(&watched);
  if (err == TIDE_OK) err = spec ? watch_log(args, spec, watch, &error) : watch_journal(args, watch, &error);
  if (err == TIDE_OK) {
    struct tide_watch_look *look = tide_watch_look(watch);
    if (tide_args_on(args, "feedback")) tide_watch_feedback_json(look, &text);
    else tide_watch_drift_json(look, &text);
    tide_watch_look_free(look);
    if (tide_args_on(args, "json")) printf("%.*s\n", (int)text.len, text.ptr);
    *ret = json_loadb(text.ptr, text.len, 0, NULL);
    TIDE_CHECK(*ret); /* we wrote it */
  }
  tide_watch_free(watch);
  tide_spec_free(spec);
  tide_buf_release(&text);
  return err == TIDE_OK ? TIDE_EXIT_OK : tide_exit_report(&error);
}

/* ---- printing ---- */

static double number_of(const json_t *object, const char *key) { return json_number_value(json_object_get(object, key)); }
static const char *text_of(const json_t *object, const char *key) {
  const char *text = json_string_value(json_object_get(object, key));
  return text ? text : "-";
}

/* What is not defined is a dash. */
static const char *share_of(const json_t *object, const char *key, char out[16]) {
  const json_t *value = json_object_get(object, key);
  if (json_is_number(value)) snprintf(out, 16, "%.4f", json_number_value(value));
  else snprintf(out, 16, "-");
  return out;
}

struct line {
  const json_t *shorter, *longer;
};

static int worst_first(const void *a, const void *b) {
  const struct line *x = a, *y = b;
  double p = number_of(x->longer, "psi"), q = number_of(y->longer, "psi");
  return p > q ? -1 : p < q ? 1 : strcmp(text_of(x->longer, "input"), text_of(y->longer, "input"));
}

static void print_line(const struct line *line) {
  const json_t *s = line->shorter, *l = line->longer;
  printf("  %-32s %-8s %8.4f %7.4f   %-8s %8.4f %7.4f %9.2g   %6.4f %6.4f %6.4f\n", text_of(l, "input"), text_of(s, "severity"),
         number_of(s, "psi"), number_of(s, "ks"), text_of(l, "severity"), number_of(l, "psi"), number_of(l, "ks"), number_of(l, "ks_p"),
         number_of(l, "missing"), number_of(l, "missing_in_training"), number_of(l, "untrusted"));
}

static void print_model(const json_t *model) {
  const json_t *shorter = json_object_get(model, "short"), *longer = json_object_get(model, "long");
  const json_t *a = json_object_get(shorter, "inputs"), *b = json_object_get(longer, "inputs");
  size_t count = json_array_size(b);
  struct line *line = tide_alloc((count + 1) * sizeof *line), score = {json_object_get(shorter, "score"), json_object_get(longer, "score")};
  for (size_t i = 0; i < count; i++) line[i] = (struct line){json_array_get(a, i), json_array_get(b, i)};
  qsort(line, count, sizeof *line, worst_first);
  printf("Model %s, until %s: %.0f decisions in %s, %.0f in %s\n", text_of(model, "model"), text_of(model, "until"),
         number_of(shorter, "rows"), text_of(shorter, "window"), number_of(longer, "rows"), text_of(longer, "window"));
  printf("  %-32s %-8s %8s %7s   %-8s %8s %7s %9s   %6s %6s %6s\n", "", text_of(shorter, "window"), "PSI", "KS", text_of(longer, "window"),
         "PSI", "KS", "p", "none", "then", "refused");
  print_line(&score);
  for (size_t i = 0; i < count; i++) print_line(&line[i]);
  tide_free(line);
}

static void print_drift(const json_t *object) {
  const json_t *models = json_object_get(object, "models");
  if (json_array_size(models) == 0) printf("No model has scored a decision here, so there is nothing to compare.\n");
  for (size_t i = 0; i < json_array_size(models); i++) print_model(json_array_get(models, i));
}

static void print_class(const char *name, const json_t *of) {
  char a[16], b[16];
  printf("  %-34s %10.0f %10.0f %9s %9s\n", name, number_of(of, "fraud"), number_of(of, "genuine"), share_of(of, "precision", a),
         share_of(of, "recall", b));
}

static void print_feedback(const json_t *object) {
  char a[16], b[16], name[64];
  const json_t *models = json_object_get(object, "models"), *rules = json_object_get(object, "rules");
  printf(
      "%.0f decisions, %.0f labels (%.0f corrections, %.0f of decisions that are not kept); without one a decision counts as genuine after %s\n",
      number_of(object, "decisions"), number_of(object, "labels"), number_of(object, "labels_corrected"),
      number_of(object, "labels_unmatched"), text_of(object, "genuine_after"));
  if (number_of(object, "one_of") > 1)
    printf("  a sample: one decision of %.0f is kept, and stands for all\n", number_of(object, "one_of"));
  printf("  %-34s %10s %10s %9s %9s\n", "", "fraud", "genuine", "precision", "recall");
  print_class("all that were stopped", json_object_get(object, "stopped"));
  for (size_t i = 0; i < json_array_size(models); i++) {
    const json_t *model = json_array_get(models, i);
    snprintf(name, sizeof name, "stopped under %.40s", text_of(model, "model"));
    print_class(name, json_object_get(model, "stopped"));
    printf("    AUC %s, give or take %s, of %.0f frauds and %.0f genuine\n", share_of(model, "auc", a), share_of(model, "auc_error", b),
           number_of(model, "fraud"), number_of(model, "genuine"));
  }
  for (size_t i = 0; i < json_array_size(rules); i++) {
    const json_t *rule = json_array_get(rules, i);
    snprintf(name, sizeof name, "%.40s%s", text_of(rule, "rule"), json_is_true(json_object_get(rule, "shadow")) ? " (shadow)" : "");
    print_class(name, json_object_get(rule, "true"));
  }
}

/* ---- the verb ---- */

static int severity_of(const json_t *measure) {
  const char *name = text_of(measure, "severity");
  for (int s = 0; s < TIDE_DRIFT_SEVERITY_COUNT; s++)
    if (strcmp(name, tide_drift_severity_name((enum tide_drift_severity)s)) == 0) return s;
  return TIDE_DRIFT_none;
}

static int worst_of(const json_t *object) {
  int worst = TIDE_DRIFT_none;
  size_t m, i;
  const json_t *model, *measure;
  json_array_foreach(json_object_get(object, "models"), m, model) {
    for (int w = 0; w < 2; w++) {
      const json_t *window = json_object_get(model, w ? "long" : "short");
      int severity = severity_of(json_object_get(window, "score"));
      if (severity > worst) worst = severity;
      json_array_foreach(json_object_get(window, "inputs"), i, measure) {
        severity = severity_of(measure);
        if (severity > worst) worst = severity;
      }
    }
  }
  return worst;
}

static int run(const struct tide_args *args) {
  bool feedback = tide_args_on(args, "feedback");
  int places = tide_args_on(args, "admin") + tide_args_on(args, "journal") + tide_args_on(args, "input");
  json_t *object = NULL;
  if (places != 1) {
    fprintf(stderr, "tidemark: drift is of one thing: --admin (a running engine), --journal, or --input (a log)\n");
    return TIDE_EXIT_USAGE;
  }
  int exit =
      tide_args_on(args, "admin") ? tide_admin_tell(args, feedback ? "/feedback" : "/drift", NULL, &object) : count_offline(args, &object);
  if (exit != TIDE_EXIT_OK) return exit;
  if (!tide_args_on(args, "json")) (feedback ? print_feedback : print_drift)(object);
  const char *limit = tide_args_text(args, "fail-on");
  int from = strcmp(limit, "severe") == 0 ? TIDE_DRIFT_severe : TIDE_DRIFT_moderate;
  if (strcmp(limit, "never") != 0 && worst_of(object) >= from) exit = TIDE_EXIT_DIFFERENT;
  json_decref(object);
  return exit;
}

const struct tide_verb tide_verb_drift = {
    .name = "drift",
    .summary = "Show how far a model's inputs and scores are from its training, or what labels say of the decisions",
    .about =
        "PSI (population stability index) and KS (Kolmogorov and Smirnov) of each input and of the score against the training statistics in the model, over two "
        "windows of event time that end with the newest decision. Moderate is a PSI from 0.1, severe from 0.25; what chance explains is none. With --feedback "
        "the labels that came so far: precision and recall of what was stopped, AUC by model version, precision by rule. A label that is corrected changes sides; "
        "a decision without one counts as genuine after a while. model/README.md has the formulas.",
    .example =
        "tidemark drift --admin 127.0.0.1:9090\n"
        "tidemark drift --journal file:tidemark-data/journal --feedback\n"
        "tidemark drift --input log.jsonl --features config/defaults/features.yaml --model config/defaults/model.json --dev-key --fail-on severe",
    .opt = options,
    .opt_count = sizeof options / sizeof options[0],
    .run = run};
