/* Splitting, choosing, fitting, measuring (train_run.h).
 *
 * The comparison with the rules is at equal alerts, since that is what an investigating team has: of the thresholds that the scores offer the lowest that stops no
 * more transactions than the rules did. A threshold cannot part equal scores, so the model may get fewer alerts, never more. */
#include "cli/train_run.h"

#include <math.h>
#include <stdlib.h>

#include "model/evaluate.h"
#include "model/logistic.h"

static enum tide_err split(const struct tide_train_options *options, struct tide_train_run *run, struct tide_error *error) {
  const struct tide_rows *rows = &run->set.rows;
  size_t test = (size_t)((double)rows->count * options->split), train;
  if (test < rows->count) { /* rows of one moment stay together */
    while (test > 0 && rows->time_ms[test - 1] == rows->time_ms[test]) test--;
    run->split_ms = rows->time_ms[test];
  }
  for (train = test; options->gap_ms && test < rows->count && train > 0; train--)
    if (rows->time_ms[train - 1] < rows->time_ms[test] - options->gap_ms) break;
  run->train = train;
  run->test = test;
  return train == 0 ? tide_train_set_empty(&run->set, error) : TIDE_OK;
}

static double measured(double value) { return isnan(value) ? value : round(value * 1e6) / 1e6; }

static void measure(struct tide_train_run *run, uint32_t top_cards) {
  const struct tide_rows *rows = &run->set.rows;
  struct tide_model *m = run->set.model;
  size_t test = run->test, n = rows->count - test;
  const double *score = run->score + test;
  m->test_rows = n;
  m->test_fraud = 0;
  for (size_t r = test; r < rows->count; r++) m->test_fraud += rows->fraud[r];
  m->roc_auc = measured(tide_roc_auc(score, rows->fraud + test, n));
  m->average_precision = measured(tide_average_precision(score, rows->fraud + test, n));
  m->card_precision_k = top_cards;
  m->card_precision = measured(tide_card_precision(score, rows->fraud + test, rows->card + test, rows->time_ms + test, n, top_cards,
                                                   &run->card_days, &run->card_best));
}

/* ---- beside the rules ---- */

struct ranked {
  double score;
  int64_t value_minor; /* of a fraud, else 0 */
  uint8_t fraud;
};

static int falling(const void *a, const void *b) {
  double x = ((const struct ranked *)a)->score, y = ((const struct ranked *)b)->score;
  return x > y ? -1 : x < y;
}

static void beside(struct tide_train_run *run) {
  const struct tide_rows *rows = &run->set.rows;
  struct tide_train_beside *out = &run->beside;
  size_t decisions, n = rows->count - run->test;
  const struct tide_tally_row *decided = tide_tally_rows(run->set.tally, &decisions);
  struct ranked *ranked = tide_alloc((n + 1) * sizeof *ranked);
  *out = (struct tide_train_beside){.rows = n, .threshold = 1.000001};
  for (size_t i = 0; i < n; i++) {
    size_t r = run->test + i;
    const struct tide_tally_row *row = &decided[rows->number[r]];
    ranked[i] = (struct ranked){run->score[r], rows->fraud[r] ? row->amount_minor : 0, rows->fraud[r]};
    out->fraud += rows->fraud[r];
    out->fraud_minor += ranked[i].value_minor;
    out->fallbacks += row->by == TIDE_BY_FALLBACK;
    if (row->by == TIDE_BY_NONE || row->decision == 0) continue;
    out->rules.alerts++;
    out->rules.fraud += rows->fraud[r];
    out->rules.fraud_minor += ranked[i].value_minor;
  }
  if (n) qsort(ranked, n, sizeof *ranked, falling);
  struct tide_train_alerts so_far = {0};
  for (size_t i = 0; i < n;) {
    double score = ranked[i].score;
    for (; i < n && ranked[i].score == score; i++) {
      so_far.alerts++;
      so_far.fraud += ranked[i].fraud;
      so_far.fraud_minor += ranked[i].value_minor;
    }
    if (so_far.alerts > out->rules.alerts) break;
    out->model = so_far;
    out->threshold = score;
  }
  tide_free(ranked);
}

/* ---- the run ---- */

static void drop_constants(struct tide_train_run *run) {
  bool *given = run->set.given;
  for (uint32_t i = run->set.model->input_count; i-- > 0;) {
    if (!tide_rows_constant(&run->set.rows, i, run->train)) continue;
    tide_rows_drop(&run->set.rows, run->set.model, i);
    memmove(&given[i], &given[i + 1], (TIDE_MODEL_INPUTS_MAX - i - 1) * sizeof *given);
    run->constant++;
  }
}

static enum tide_err choose(const struct tide_train_options *options, struct tide_train_run *run, struct tide_train_how *how,
                            struct tide_error *error) {
  if (!options->c_count) return TIDE_OK;
  struct tide_choose_how choose = {
      .c = options->c, .c_count = options->c_count, .folds = options->folds, .gap_ms = options->gap_ms, .fit = options->how};
  run->choice = tide_alloc(sizeof *run->choice);
  enum tide_err err = tide_choose(run->set.model, &run->set.rows, run->train, run->set.given, &choose, run->choice, error);
  if (!err) how->l2 = 1 / run->choice->candidate[run->choice->chosen].c;
  return err;
}

static enum tide_err fit(const struct tide_train_options *options, struct tide_train_run *run, struct tide_error *error) {
  struct tide_train_how how = options->how;
  struct tide_rows *rows = &run->set.rows;
  enum tide_err err = split(options, run, error);
  if (err) return err;
  drop_constants(run);
  err = choose(options, run, &how, error);
  if (err) return err;
  tide_train_transforms(run->set.model, rows, run->train, run->set.given);
  err = tide_train(run->set.model, rows, run->train, &how, &run->fit, error);
  if (err) return err;
  run->score = tide_alloc((rows->count + 1) * sizeof *run->score);
  for (size_t r = 0; r < rows->count; r++)
    run->score[r] = tide_score_of_logit(tide_model_logit(run->set.model, &rows->x[r * rows->inputs], &rows->cause[r * rows->inputs]));
  measure(run, options->top_cards);
  beside(run);
  tide_model_seal(run->set.model);
  return TIDE_OK;
}

enum tide_err tide_train_run(const struct tide_train_options *options, struct tide_train_run *run, struct tide_error *error) {
  TIDE_CHECK(options->split > 0 && options->split <= 1 && options->how.l2 > 0 && options->top_cards > 0);
  enum tide_err err = tide_train_rows(&options->rows, &run->set, error);
  if (err) return err;
  struct tide_model *model = run->set.model;
  model->name = tide_arena_strdup(&model->arena, tide_span_of(options->name));
  model->version = tide_arena_strdup(&model->arena, tide_span_of(options->version));
  return fit(options, run, error);
}

void tide_train_run_release(struct tide_train_run *run) {
  tide_model_free(run->set.model);
  run->set.model = NULL;
  tide_train_set_release(&run->set);
  tide_free(run->score);
  tide_free(run->choice);
  run->score = NULL;
  run->choice = NULL;
}
