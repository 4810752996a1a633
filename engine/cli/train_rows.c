/* Folding, joining, leaving out (train_rows.h).
 *
 * One pass over the log; a row is a few numbers per input. What is left out is counted by its reason, in the order of the reasons below, so that the sums of a
 * report add up. Everything is in order of time and journal: the same log gives the same rows. */
#include "cli/train_rows.h"

#include "cli/spec_file.h"
#include "cli/train_inputs.h"
#include "model/preprocess.h"

struct collect {
  const struct tide_train_rows_options *options;
  struct tide_train_set *set;
  size_t decisions, score_cap;
  int64_t log_end_ms;
};

static void note_time(struct collect *c, int64_t ms) {
  if (ms > c->log_end_ms) c->log_end_ms = ms;
}

/* False when some value is not to be trusted: the model would refuse to score it, so it does not learn from it. */
static bool read_row(struct collect *c, const struct tide_env *env, size_t r) {
  struct tide_rows *rows = &c->set->rows;
  const struct tide_model *model = c->set->model;
  size_t at = r * rows->inputs;
  for (uint32_t i = 0; i < model->input_count; i++) {
    enum tide_cause why = TIDE_C_none;
    enum tide_reading reading = tide_input_read(&model->input[i], env, &rows->x[at + i], &why);
    if (reading == TIDE_READ_REFUSED) {
      c->set->counts.unknown_by[why]++;
      return false;
    }
    rows->cause[at + i] = (uint8_t)(reading == TIDE_READ_MISSING ? why : TIDE_C_none);
    if (rows->state) rows->state[at + i] = tide_expr_eval(&model->input[i].leaf, env).state;
  }
  return true;
}

static void note_score(struct collect *c, size_t decision, struct tide_value score) {
  if (!c->options->replay.model) return;
  if (decision >= c->score_cap) {
    c->score_cap = c->score_cap ? c->score_cap * 2 : 1024;
    c->set->score = tide_realloc(c->set->score, c->score_cap * sizeof *c->set->score);
  }
  c->set->score[decision] = score.type == TIDE_V_NUM ? score.num : -1;
}

static void on_answer(void *ctx, const struct tide_answer *answer) {
  struct collect *c = ctx;
  struct tide_train_counts *counts = &c->set->counts;
  tide_tally_answer(c->set->tally, answer);
  counts->decisions++;
  note_time(c, answer->time.ms);
  if (answer->duplicate) {
    counts->duplicates++;
    return;
  }
  size_t decision = c->decisions++;
  note_score(c, decision, answer->score);
  if (!answer->features_known) {
    counts->unknown++;
    return;
  }
  if (answer->advised || !answer->counted) { /* decided elsewhere, or asked only */
    counts->advised += answer->advised;
    counts->uncounted += !answer->advised;
    return;
  }
  size_t r = tide_rows_add(&c->set->rows);
  if (!read_row(c, answer->env, r)) {
    c->set->rows.count--;
    counts->unknown++;
    return;
  }
  c->set->rows.number[r] = (uint32_t)decision;
  c->set->rows.time_ms[r] = answer->time.ms;
}

static void on_outcome(void *ctx, const struct tide_spec *spec, const struct tide_record *record) {
  struct collect *c = ctx;
  note_time(c, record->time.ms);
  tide_tally_outcome(c->set->tally, spec, record);
}

/* Labels and cards from the tally; then what is too early or too young goes. */
static void settle(struct collect *c) {
  struct tide_effects *effects = tide_alloc(sizeof *effects);
  struct tide_train_counts *counts = &c->set->counts;
  tide_tally_effects(c->set->tally, effects);
  size_t count, to = 0;
  const struct tide_tally_row *decided = tide_tally_rows(c->set->tally, &count);
  int64_t from_ms = effects->first_ms == INT64_MAX ? 0 : effects->first_ms + c->options->skip_ms;
  int64_t until_ms = c->log_end_ms == INT64_MIN ? 0 : c->log_end_ms - c->options->label_delay_ms; /* no message: no row either */
  struct tide_rows *rows = &c->set->rows;
  for (size_t r = 0; r < rows->count; r++) {
    const struct tide_tally_row *row = &decided[rows->number[r]];
    int64_t ms = rows->time_ms[r];
    bool skipped = ms < from_ms, immature = !skipped && ms > until_ms;
    bool outside = !skipped && !immature && (ms < c->options->from_ms || ms >= c->options->until_ms);
    counts->skipped += skipped;
    counts->immature += immature;
    counts->outside += outside;
    if (skipped || immature || outside) continue;
    tide_rows_copy(rows, to, rows, r);
    rows->fraud[to] = row->label == TIDE_LABEL_fraud;
    rows->card[to++] = row->card;
  }
  rows->count = to;
  counts->rows = to;
  counts->labels = effects->labels;
  counts->labels_unmatched = effects->labels_unmatched;
  counts->log_end_ms = c->log_end_ms;
  tide_free(effects);
  tide_rows_sort(rows);
}

enum tide_err tide_train_rows(const struct tide_train_rows_options *options, struct tide_train_set *set, struct tide_error *error) {
  const struct tide_spec *spec = options->replay.spec;
  struct collect c = {.options = options, .set = set, .log_end_ms = INT64_MIN};
  set->tally = tide_tally_new();
  if (!set->model) {
    set->model = tide_alloc(sizeof *set->model);
    set->model->features = tide_arena_strdup(&set->model->arena, tide_span_of(spec->name ? spec->name : ""));
    enum tide_err err = tide_train_inputs(options->inputs, spec, set->model, set->given, error);
    if (err) return err;
  }
  if (options->states) tide_rows_init_states(&set->rows, set->model->input_count);
  else tide_rows_init(&set->rows, set->model->input_count);
  struct tide_replay_options replay = options->replay;
  replay.on_answer = on_answer;
  replay.on_outcome = on_outcome;
  replay.ctx = &c;
  struct tide_replay_stats *stats = tide_alloc(sizeof *stats);
  enum tide_err err = tide_replay_run(&replay, stats, error);
  set->counts.rejected = stats->rejected;
  tide_free(stats);
  if (!err) settle(&c);
  return err;
}

void tide_train_set_release(struct tide_train_set *set) {
  tide_tally_free(set->tally);
  tide_rows_release(&set->rows);
  tide_free(set->score);
  set->tally = NULL;
  set->score = NULL;
}

void tide_train_say_rejected(const struct tide_train_set *set) {
  if (set->counts.rejected)
    fprintf(stderr, "tidemark: %llu messages were rejected; replay --rejects FILE says why\n", (unsigned long long)set->counts.rejected);
}

enum tide_err tide_train_set_empty(const struct tide_train_set *set, struct tide_error *error) {
  const struct tide_train_counts *counts = &set->counts;
  return tide_fail(error, TIDE_E_RANGE,
                   "no row is left: of %llu decisions %llu have values that are not to be trusted, %llu are from the first days, "
                   "%llu are too young for their label (--label-delay), %llu are outside of --from and --until",
                   (unsigned long long)counts->decisions, (unsigned long long)counts->unknown, (unsigned long long)counts->skipped,
                   (unsigned long long)counts->immature, (unsigned long long)counts->outside);
}

/* ---- options ---- */

enum tide_err tide_train_rows_from_args(const struct tide_args *args, const struct tide_spec *spec, const char *progress,
                                        struct tide_train_rows_options *ret, struct tide_error *error) {
  *ret = (struct tide_train_rows_options){.inputs = tide_args_text(args, "inputs"),
                                          .label_delay_ms = tide_args_duration_ms(args, "label-delay"),
                                          .skip_ms = tide_args_duration_ms(args, "skip"),
                                          .from_ms = INT64_MIN,
                                          .until_ms = INT64_MAX,
                                          .states = tide_args_on(args, "states")};
  ret->replay = (struct tide_replay_options){.spec = spec,
                                             .keys = &ret->keys,
                                             .input = ret->file,
                                             .shape = tide_args_text(args, "input-shape"),
                                             .format = tide_args_text(args, "format"),
                                             .batch_records = TIDE_REPLAY_BATCH_DEFAULT,
                                             .progress = progress};
  for (const char *path; (path = tide_args_nth(args, "input", ret->replay.input_count)) != NULL; ret->replay.input_count++) {
    if (ret->replay.input_count == TIDE_ROWS_FILES_MAX)
      return tide_fail(error, TIDE_E_USAGE, "%s reads at most %d files in one run", progress, TIDE_ROWS_FILES_MAX);
    ret->file[ret->replay.input_count] = path;
  }
  const char *from = tide_args_text(args, "from"), *until = tide_args_text(args, "until");
  if (from) TIDE_CHECK(tide_args_time_parse(from, &ret->from_ms) == TIDE_OK);
  if (until) TIDE_CHECK(tide_args_time_parse(until, &ret->until_ms) == TIDE_OK);
  enum tide_err err = tide_settings_from_args(args, &ret->replay.settings, error);
  if (!err) err = tide_keys_from_args(args, spec, &ret->keys, error);
  return err;
}
