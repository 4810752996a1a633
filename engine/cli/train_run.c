/* Folding, joining, splitting, fitting, measuring (train_run.h).
 *
 * One pass over the log; a row is a few numbers per input. The split is by time, never at random: rows of one card on both sides would let the
 * model recognise the card. Everything is in order of time and journal, so the same log gives the same bytes. */
#include "cli/train_run.h"

#include <errno.h>
#include <math.h>

#include "base/json_out.h"
#include "cli/tally.h"
#include "cli/train_inputs.h"
#include "model/evaluate.h"
#include "model/preprocess.h"

struct collect {
  const struct tide_train_options *options;
  struct tide_model *model;
  struct tide_tally *tally;
  struct tide_rows rows;
  size_t *decision; /* of each row: its number among the tally's rows */
  size_t decision_cap, decisions;
  int64_t log_end_ms;
  struct tide_train_report report;
};

static void note_time(struct collect *c, int64_t ms) {
  if (ms > c->log_end_ms) c->log_end_ms = ms;
}

/* False when some value is not to be trusted: the model would refuse to score it, so it does not learn from it. */
static bool read_row(struct collect *c, const struct tide_env *env, double *x, uint8_t *cause) {
  for (uint32_t i = 0; i < c->model->input_count; i++) {
    enum tide_cause why = TIDE_C_none;
    enum tide_reading reading = tide_input_read(&c->model->input[i], env, &x[i], &why);
    if (reading == TIDE_READ_REFUSED) {
      c->report.unknown_by[why]++;
      return false;
    }
    cause[i] = (uint8_t)(reading == TIDE_READ_MISSING ? why : TIDE_C_none);
  }
  return true;
}

static void on_answer(void *ctx, const struct tide_answer *answer) {
  struct collect *c = ctx;
  tide_tally_answer(c->tally, answer);
  c->report.decisions++;
  note_time(c, answer->time.ms);
  if (answer->duplicate) {
    c->report.duplicates++;
    return;
  }
  size_t decision = c->decisions++;
  if (!answer->features_known) {
    c->report.unknown++;
    return;
  }
  if (answer->advised || !answer->counted) { /* decided elsewhere, or asked only */
    c->report.advised += answer->advised;
    c->report.uncounted += !answer->advised;
    return;
  }
  size_t r = tide_rows_add(&c->rows);
  size_t at = r * c->rows.inputs;
  if (!read_row(c, answer->env, &c->rows.x[at], &c->rows.cause[at])) {
    c->rows.count--;
    c->report.unknown++;
    return;
  }
  if (r >= c->decision_cap) {
    c->decision_cap = c->rows.cap;
    c->decision = tide_realloc(c->decision, c->decision_cap * sizeof *c->decision);
  }
  c->decision[r] = decision;
  c->rows.time_ms[r] = answer->time.ms;
}

static void on_outcome(void *ctx, const struct tide_spec *spec, const struct tide_record *record) {
  struct collect *c = ctx;
  note_time(c, record->time.ms);
  tide_tally_outcome(c->tally, spec, record);
}

/* Labels and cards from the tally; then what is too early or too young goes. */
static void settle(struct collect *c) {
  struct tide_effects *effects = tide_alloc(sizeof *effects);
  tide_tally_effects(c->tally, effects);
  size_t count, to = 0;
  const struct tide_tally_row *decided = tide_tally_rows(c->tally, &count);
  int64_t from_ms = effects->first_ms == INT64_MAX ? 0 : effects->first_ms + c->options->skip_ms;
  int64_t until_ms = c->log_end_ms == INT64_MIN ? 0 : c->log_end_ms - c->options->label_delay_ms; /* no message: no row either */
  struct tide_rows *rows = &c->rows;
  for (size_t r = 0; r < rows->count; r++) {
    const struct tide_tally_row *row = &decided[c->decision[r]];
    bool skipped = rows->time_ms[r]<from_ms, immature = rows->time_ms[r]> until_ms;
    c->report.skipped += skipped;
    c->report.immature += !skipped && immature;
    if (skipped || immature) continue;
    memmove(&rows->x[to * rows->inputs], &rows->x[r * rows->inputs], rows->inputs * sizeof *rows->x);
    memmove(&rows->cause[to * rows->inputs], &rows->cause[r * rows->inputs], rows->inputs);
    rows->time_ms[to] = rows->time_ms[r];
    rows->fraud[to] = row->label == TIDE_LABEL_fraud;
    rows->card[to++] = row->card;
  }
  rows->count = to;
  c->report.rows = to;
  c->report.labels = effects->labels;
  c->report.labels_unmatched = effects->labels_unmatched;
  c->report.log_end_ms = c->log_end_ms;
  tide_free(effects);
  tide_rows_sort(rows);
}

/* Rows [0, *ret_train) are fitted to, [*ret_test, count) measured on; what lies between is the gap. */
static enum tide_err split(struct collect *c, size_t *ret_train, size_t *ret_test, struct tide_error *error) {
  const struct tide_rows *rows = &c->rows;
  size_t test = (size_t)((double)rows->count * c->options->split), train;
  if (test < rows->count) { /* rows of one moment stay together */
    while (test > 0 && rows->time_ms[test - 1] == rows->time_ms[test]) test--;
    c->report.split_ms = rows->time_ms[test];
  }
  for (train = test; c->options->gap_ms && test < rows->count && train > 0; train--)
    if (rows->time_ms[train - 1] < rows->time_ms[test] - c->options->gap_ms) break;
  c->report.gap = test - train;
  c->report.train = train;
  c->report.test = rows->count - test;
  if (train == 0)
    return tide_fail(
        error, TIDE_E_RANGE,
        "no row is left to train on: of %llu decisions %llu have values that are not to be trusted, %llu are from the first days, "
        "%llu are too young for their label (--label-delay)",
        (unsigned long long)c->report.decisions, (unsigned long long)c->report.unknown, (unsigned long long)c->report.skipped,
        (unsigned long long)c->report.immature);
  *ret_train = train;
  *ret_test = test;
  return TIDE_OK;
}

static void score_rows(const struct collect *c, double *ret) {
  for (size_t r = 0; r < c->rows.count; r++)
    ret[r] = tide_score_of_logit(tide_model_logit(c->model, &c->rows.x[r * c->rows.inputs], &c->rows.cause[r * c->rows.inputs]));
}

static double measured(double value) { return isnan(value) ? value : round(value * 1e6) / 1e6; }

static void measure(struct collect *c, const double *score, size_t test) {
  const struct tide_rows *rows = &c->rows;
  struct tide_model *m = c->model;
  size_t n = rows->count - test;
  m->test_rows = n;
  m->test_fraud = 0;
  for (size_t r = test; r < rows->count; r++) m->test_fraud += rows->fraud[r];
  m->roc_auc = measured(tide_roc_auc(score + test, rows->fraud + test, n));
  m->average_precision = measured(tide_average_precision(score + test, rows->fraud + test, n));
  m->card_precision_k = c->options->top_cards;
  m->card_precision = measured(tide_card_precision(score + test, rows->fraud + test, rows->card + test, rows->time_ms + test, n,
                                                   m->card_precision_k, &c->report.card_days, &c->report.card_best));
}

/* CSV: set, time in ms, fraud, score, then the inputs as they were read, before imputation; empty where missing. */
static enum tide_err write_rows(const struct collect *c, const double *score, size_t train, size_t test, struct tide_error *error) {
  const char *path = c->options->export;
  const struct tide_rows *rows = &c->rows;
  FILE *file = fopen(path, "we");
  if (!file) return tide_fail_errno(error, TIDE_E_IO, "cannot write %.200s", path);
  fprintf(file, "set,time_ms,fraud,score");
  for (uint32_t i = 0; i < c->model->input_count; i++) fprintf(file, ",%s", c->model->input[i].feature);
  struct tide_buf number = TIDE_BUF_INIT;
  for (size_t r = 0; r < rows->count; r++) {
    const char *set = r >= test ? "test" : r >= train ? "gap" : "train";
    fprintf(file, "\n%s,%lld,%d,%.6f", set, (long long)rows->time_ms[r], rows->fraud[r], score[r]);
    for (uint32_t i = 0; i < rows->inputs; i++) {
      tide_buf_clear(&number);
      if (!rows->cause[r * rows->inputs + i]) tide_json_double(&number, rows->x[r * rows->inputs + i]);
      fprintf(file, ",%.*s", (int)number.len, number.len ? number.ptr : "");
    }
  }
  fputc('\n', file);
  tide_buf_release(&number);
  bool failed = ferror(file) != 0;
  if (fclose(file) != 0 || failed) return tide_fail_errno(error, TIDE_E_IO, "cannot write %.200s", path);
  return TIDE_OK;
}

static enum tide_err fit(struct collect *c, const bool *given, struct tide_error *error) {
  bool chosen[TIDE_MODEL_INPUTS_MAX];
  memcpy(chosen, given, sizeof chosen);
  size_t train = 0, test = 0;
  enum tide_err err = split(c, &train, &test, error);
  if (err) return err;
  for (uint32_t i = c->model->input_count; i-- > 0;) {
    if (!tide_rows_constant(&c->rows, i, train)) continue;
    tide_rows_drop(&c->rows, c->model, i);
    memmove(&chosen[i], &chosen[i + 1], (TIDE_MODEL_INPUTS_MAX - i - 1) * sizeof *chosen);
    c->report.constant++;
  }
  tide_train_transforms(c->model, &c->rows, train, chosen);
  err = tide_train(c->model, &c->rows, train, &c->options->how, &c->report.fit, error);
  if (err) return err;
  double *score = tide_alloc((c->rows.count + 1) * sizeof *score);
  score_rows(c, score);
  measure(c, score, test);
  tide_model_seal(c->model);
  if (c->options->export) err = write_rows(c, score, train, test, error);
  tide_free(score);
  return err;
}

enum tide_err tide_train_run(const struct tide_train_options *options, struct tide_model **ret_model, struct tide_train_report *ret_report,
                             struct tide_error *error) {
  TIDE_CHECK(options->split > 0 && options->split <= 1 && options->how.l2 > 0 && options->top_cards > 0);
  const struct tide_spec *spec = options->replay.spec;
  struct collect c = {.options = options, .model = tide_alloc(sizeof *c.model), .log_end_ms = INT64_MIN};
  bool chosen[TIDE_MODEL_INPUTS_MAX] = {false};
  c.model->name = tide_arena_strdup(&c.model->arena, tide_span_of(options->name));
  c.model->version = tide_arena_strdup(&c.model->arena, tide_span_of(options->version));
  c.model->features = tide_arena_strdup(&c.model->arena, tide_span_of(spec->name ? spec->name : ""));
  enum tide_err err = tide_train_inputs(options->inputs, spec, c.model, chosen, error);
  if (!err) {
    tide_rows_init(&c.rows, c.model->input_count);
    c.tally = tide_tally_new();
    struct tide_replay_options replay = options->replay;
    replay.on_answer = on_answer;
    replay.on_outcome = on_outcome;
    replay.ctx = &c;
    struct tide_replay_stats *stats = tide_alloc(sizeof *stats);
    err = tide_replay_run(&replay, stats, error);
    tide_free(stats);
  }
  if (!err) {
    settle(&c);
    err = fit(&c, chosen, error);
  }
  tide_tally_free(c.tally);
  tide_rows_release(&c.rows);
  tide_free(c.decision);
  if (err) {
    tide_model_free(c.model);
    return err;
  }
  *ret_model = c.model;
  *ret_report = c.report;
  return TIDE_OK;
}
