/* tidemark backtest: what another policy would have done on a log whose labels are known, beside what the current one does.
 *
 * Both files are replayed over the whole log by the engine itself, so a backtest cannot differ from what live would do. The new file may be
 * a whole feature file, or a policy of its own (feature/spec_compose.h): then the rest is the current file's. Decisions are
 * laid side by side by the line of the event. */
#include "cli/verbs.h"

#include "base/json_out.h"
#include "cli/replay_run.h"
#include "cli/spec_file.h"
#include "cli/summary.h"
#include "cli/whole_file.h"

#include <stdlib.h>

static const struct tide_opt options[] = {
    {"rules", "FILE", NULL, "The new policy: a feature file, or only its `policy:` section (then --features is needed)", TIDE_OPT_TEXT,
     TIDE_OPT_REQUIRED, 0, 0, NULL},
    {"input", "FILE", NULL, "The log, with labels; several are read in order", TIDE_OPT_TEXT, TIDE_OPT_REQUIRED | TIDE_OPT_REPEAT, 0, 0,
     NULL},
    {"features", "FILE", NULL, "The current feature file, to compare with", TIDE_OPT_TEXT, 0, 0, 0, NULL},
    {"input-shape", "NAME", NULL, "The shape of messages that no `when` picks; left out: default", TIDE_OPT_TEXT, 0, 0, 0, NULL},
    {"format", "FORMAT", "auto", "Format of the log; auto looks at the first line", TIDE_OPT_CHOICE, 0, 0, 0, "auto|json|csv"},
    TIDE_MODEL_OPTION,
    {"current-model", "FILE", NULL, "The model beside the current feature file; left out: none", TIDE_OPT_TEXT, 0, 0, 0, NULL},
    TIDE_SETTING_OPTIONS,
    TIDE_KEY_OPTIONS,
    {"json", NULL, NULL, "The result as one JSON object", TIDE_OPT_SWITCH, 0, 0, 0, NULL},
};

/* --- reading the new file */

/* A policy of its own has no inputs. */
static bool is_whole(struct tide_span text) {
  static const char inputs[] = "\ninputs:";
  return (text.len >= sizeof inputs - 2 && memcmp(text.ptr, inputs + 1, sizeof inputs - 2) == 0) ||
         memmem(text.ptr, text.len, inputs, sizeof inputs - 1);
}

static bool open_new(const char *path, const char *current_path, const struct tide_spec *current, struct tide_spec **ret, int *ret_exit) {
  struct tide_buf text = TIDE_BUF_INIT;
  struct tide_error error = {0};
  bool good = false;
  if (tide_file_read(path, 1u << 20, &text, &error) != TIDE_OK) {
    *ret_exit = tide_exit_report(&error);
  } else if (is_whole(tide_buf_span(&text))) {
    good = tide_spec_open_text(path, tide_buf_span(&text), ret, ret_exit);
  } else if (!current) {
    (void)tide_fail(&error, TIDE_E_USAGE, "%s is not a whole feature file (it has no `inputs:`); give the rest of it with --features",
                    path);
    *ret_exit = tide_exit_report(&error);
  } else {
    good = tide_spec_open_composed(current_path, (struct tide_span){current->text, current->text_len}, path, tide_buf_span(&text), ret,
                                   ret_exit);
  }
  tide_buf_release(&text);
  return good;
}

/* --- running and comparing */

struct side {
  const struct tide_spec *spec;
  const char *model_option;
  struct tide_tally *tally;
  struct tide_replay_stats stats;
  struct tide_effects effects;
};

static enum tide_err run_side(const struct tide_args *args, struct side *side, const char *what, struct tide_error *error) {
  struct tide_keys keys;
  const char *input[256];
  struct tide_replay_options replay = {.spec = side->spec,
                                       .keys = &keys,
                                       .input = input,
                                       .shape = tide_args_text(args, "input-shape"),
                                       .format = tide_args_text(args, "format"),
                                       .batch_records = TIDE_REPLAY_BATCH_DEFAULT,
                                       .progress = what,
                                       .on_answer = tide_tally_answer,
                                       .on_outcome = tide_tally_outcome};
  for (const char *path; (path = tide_args_nth(args, "input", replay.input_count)) != NULL; replay.input_count++) {
    if (replay.input_count == 256) return tide_fail(error, TIDE_E_USAGE, "backtest reads at most 256 files in one run");
    if (strcmp(path, "-") == 0 && tide_args_text(args, "features"))
      return tide_fail(error, TIDE_E_USAGE, "the log is read twice to compare two policies, so it cannot be standard input");
    input[replay.input_count] = path;
  }
  side->tally = tide_tally_new();
  replay.ctx = side->tally;
  struct tide_model *model = NULL;
  enum tide_err err = tide_model_from_args(args, side->model_option, side->spec, &model, error);
  replay.model = model;
  if (err == TIDE_OK) err = tide_settings_from_args(args, &replay.settings, error);
  if (err == TIDE_OK) err = tide_keys_from_args(args, side->spec, &keys, error);
  if (err == TIDE_OK) err = tide_replay_run(&replay, &side->stats, error);
  if (err == TIDE_OK) tide_tally_effects(side->tally, &side->effects);
  explicit_bzero(&keys, sizeof keys);
  tide_model_free(model);
  return err;
}

struct change {
  uint64_t count, fraud;
  int64_t value_minor;
};
#define DECISIONS 64
struct changes {
  struct change from_to[DECISIONS][DECISIONS];
  uint64_t same, different, unpaired;
};

static const char *decision_name(const struct tide_spec *spec, const struct tide_tally_row *row) {
  return row->by == TIDE_BY_NONE ? "none" : spec->decision[row->decision];
}

static void add_change(struct changes *changes, const struct side *old, const struct tide_tally_row *was, const struct side *fresh,
                       const struct tide_tally_row *is) {
  if (strcmp(decision_name(old->spec, was), decision_name(fresh->spec, is)) == 0) {
    changes->same++;
    return;
  }
  changes->different++;
  struct change *change = &changes->from_to[was->decision % DECISIONS][is->decision % DECISIONS];
  change->count++;
  change->fraud += is->label == TIDE_LABEL_fraud;
  change->value_minor += is->amount_minor;
}

/* Rows are in order of line on both sides; the two files may ask for decisions on different kinds. */
static void compare(const struct side *old, const struct side *fresh, struct changes *ret) {
  size_t old_count, fresh_count;
  const struct tide_tally_row *was = tide_tally_rows(old->tally, &old_count), *is = tide_tally_rows(fresh->tally, &fresh_count);
  size_t i = 0, k = 0;
  while (i < old_count && k < fresh_count) {
    if (was[i].line == is[k].line) add_change(ret, old, &was[i++], fresh, &is[k++]);
    else if (was[i].line < is[k].line) i++, ret->unpaired++;
    else k++, ret->unpaired++;
  }
  ret->unpaired += old_count - i + fresh_count - k;
}

static void print_changes(const struct side *old, const struct side *fresh, const struct changes *changes, FILE *out) {
  char a[TIDE_AMOUNT_TEXT], b[TIDE_AMOUNT_TEXT], c[TIDE_AMOUNT_TEXT];
  fprintf(out, "\nCompared with %s: %s decisions are the same, %s differ\n", old->spec->name ? old->spec->name : "the current file",
          tide_count_text(changes->same, a), tide_count_text(changes->different, b));
  if (changes->unpaired) fprintf(out, "  %s transactions are decided by one of the two only\n", tide_count_text(changes->unpaired, a));
  for (uint32_t i = 0; i < old->spec->decision_count && i < DECISIONS; i++) {
    for (uint32_t k = 0; k < fresh->spec->decision_count && k < DECISIONS; k++) {
      const struct change *change = &changes->from_to[i][k];
      if (change->count)
        fprintf(out, "  %-12s -> %-12s %9s transactions, %s of them fraud, %s %s\n", old->spec->decision[i], fresh->spec->decision[k],
                tide_count_text(change->count, a), tide_count_text(change->fraud, b),
                tide_money_text(change->value_minor, fresh->spec->exponent, c), fresh->spec->currency);
    }
  }
  const struct tide_effect *was = &old->effects.stopped, *is = &fresh->effects.stopped;
  fprintf(out, "  fraud caught        %9s -> %9s\n", tide_count_text(was->fraud, a), tide_count_text(is->fraud, b));
  fprintf(out, "  fraud value caught  %9s -> %9s %s\n", tide_money_text(was->fraud_minor, old->spec->exponent, a),
          tide_money_text(is->fraud_minor, fresh->spec->exponent, b), fresh->spec->currency);
  fprintf(out, "  genuine disturbed   %9s -> %9s\n", tide_count_text(was->genuine, a), tide_count_text(is->genuine, b));
}

static void json_changes(const struct side *old, const struct side *fresh, const struct changes *changes, struct tide_buf *out) {
  tide_json_key(out, "same");
  tide_json_int(out, (int64_t)changes->same);
  tide_json_key(out, "different");
  tide_json_int(out, (int64_t)changes->different);
  tide_json_key(out, "unpaired");
  tide_json_int(out, (int64_t)changes->unpaired);
  tide_json_key(out, "changes");
  tide_json_open(out, '[');
  for (uint32_t i = 0; i < old->spec->decision_count && i < DECISIONS; i++) {
    for (uint32_t k = 0; k < fresh->spec->decision_count && k < DECISIONS; k++) {
      const struct change *change = &changes->from_to[i][k];
      if (change->count == 0) continue;
      tide_json_open(out, '{');
      tide_json_key(out, "from");
      tide_json_cstr(out, old->spec->decision[i]);
      tide_json_key(out, "to");
      tide_json_cstr(out, fresh->spec->decision[k]);
      tide_json_key(out, "count");
      tide_json_int(out, (int64_t)change->count);
      tide_json_key(out, "fraud");
      tide_json_int(out, (int64_t)change->fraud);
      tide_json_key(out, "value");
      tide_json_money(out, change->value_minor, fresh->spec->exponent);
      tide_json_close(out, '}');
    }
  }
  tide_json_close(out, ']');
}

static void report(const struct side *old, const struct side *fresh, bool json) {
  struct changes *changes = tide_alloc(sizeof *changes);
  if (old->spec) compare(old, fresh, changes);
  if (json) {
    struct tide_buf out = TIDE_BUF_INIT;
    tide_json_open(&out, '{');
    tide_json_key(&out, "new");
    tide_summary_json(fresh->spec, &fresh->stats, &fresh->effects, &out);
    if (old->spec) {
      tide_json_key(&out, "current");
      tide_summary_json(old->spec, &old->stats, &old->effects, &out);
      json_changes(old, fresh, changes, &out);
    }
    tide_json_close(&out, '}');
    printf("%.*s\n", (int)out.len, out.ptr);
    tide_buf_release(&out);
  } else {
    tide_summary_print(fresh->spec, &fresh->stats, &fresh->effects, stdout);
    if (old->spec) print_changes(old, fresh, changes, stdout);
  }
  tide_free(changes);
}

static int run(const struct tide_args *args) {
  struct tide_error error = {0};
  struct tide_spec *current = NULL, *fresh_spec = NULL;
  const char *features = tide_args_text(args, "features");
  int exit = TIDE_EXIT_OK;
  if (features && !tide_spec_open(features, &current, &exit)) return exit;
  if (open_new(tide_args_text(args, "rules"), tide_args_text(args, "features"), current, &fresh_spec, &exit)) {
    struct side *side = tide_alloc(2 * sizeof *side); /* [0] current, [1] new */
    side[0].spec = current;
    side[0].model_option = "current-model";
    side[1].spec = fresh_spec;
    side[1].model_option = "model";
    enum tide_err err = current ? run_side(args, &side[0], "current policy", &error) : TIDE_OK;
    if (err == TIDE_OK) err = run_side(args, &side[1], "new policy", &error);
    if (err == TIDE_OK) report(&side[0], &side[1], tide_args_on(args, "json"));
    else exit = tide_exit_report(&error);
    tide_tally_free(side[0].tally);
    tide_tally_free(side[1].tally);
    tide_free(side);
  }
  tide_spec_free(fresh_spec);
  tide_spec_free(current);
  return exit;
}

const struct tide_verb tide_verb_backtest = {
    .name = "backtest",
    .summary = "Try another policy on a log with labels: what it catches, whom it disturbs, what changes",
    .about =
        "Per rule: how often it was true and decided, value, fraud caught, genuine transactions and customers disturbed, false-positive ratio. With "
        "--features also every change of decision from the current policy to the new one. Labels are joined from label records anywhere in the log. A "
        "transaction that was never labelled fraud counts as genuine.",
    .example = "tidemark backtest --rules new-policy.yaml --features config/defaults/features.yaml --input log.jsonl --dev-key",
    .opt = options,
    .opt_count = sizeof options / sizeof options[0],
    .run = run};
