/* Folds in order of time, a fit for each candidate, the one-standard-error rule (choose.h).
 *
 * A fold's columns are fitted once and its matrix serves all candidates. An input that does not vary yet in an early fold takes part with a
 * coefficient of 0: it may vary later. Losses are those of the finished arithmetic, coefficients rounded and scores by preprocess.c, as a model would
 * have scored. */
#include "model/choose.h"

#include <math.h>

#include "model/arith.h"
#include "model/logistic.h"
#include "model/train_parts.h"

/* Where block `index` of `blocks` begins; rows of one moment stay together. */
static size_t block_at(const struct tide_rows *rows, size_t count, uint32_t index, uint32_t blocks) {
  size_t at = (size_t)((double)count * index / blocks);
  while (at > 0 && at < count && rows->time_ms[at - 1] == rows->time_ms[at]) at--;
  return at;
}

static double loss_of(const struct tide_model *model, const struct tide_rows *rows, size_t from, size_t to) {
  double sum = 0, weights = 0;
  for (size_t r = from; r < to; r++) {
    double logit = tide_model_logit(model, &rows->x[r * rows->inputs], &rows->cause[r * rows->inputs]);
    double weight = !model->weighted ? 1 : rows->fraud[r] ? model->fraud_weight : model->genuine_weight;
    sum += weight * tide_softplus(rows->fraud[r] ? -logit : logit);
    weights += weight;
  }
  return sum / weights;
}

static size_t frauds_in(const struct tide_rows *rows, size_t from, size_t to) {
  size_t sum = 0;
  for (size_t r = from; r < to; r++) sum += rows->fraud[r];
  return sum;
}

static enum tide_err run_fold(struct tide_model *model, const struct tide_rows *rows, size_t count, const bool *given,
                              const struct tide_choose_how *how, uint32_t fold, struct tide_choice *choice, struct tide_error *error) {
  size_t from = block_at(rows, count, fold + 1, how->folds + 1), to = block_at(rows, count, fold + 2, how->folds + 1), train = from;
  while (how->gap_ms && train > 0 && from < to && rows->time_ms[train - 1] >= rows->time_ms[from] - how->gap_ms) train--;
  size_t fraud = frauds_in(rows, 0, train);
  if (from == to || fraud == 0 || fraud == train)
    return tide_fail(
        error, TIDE_E_RANGE,
        "fold %u of %u has %zu rows to learn from, %zu of them fraud, and %zu to measure on: choose C with fewer --folds or more rows",
        fold + 1, how->folds, train, fraud, to - from);
  choice->fold[fold].train = train;
  choice->fold[fold].fraud = fraud;
  choice->fold[fold].test = to - from;
  choice->fold[fold].test_fraud = frauds_in(rows, from, to);
  choice->fold[fold].from_ms = rows->time_ms[from];
  choice->fold[fold].to_ms = rows->time_ms[to - 1];
  tide_train_transforms(model, rows, train, given);
  struct tide_matrix matrix;
  double w[TIDE_MODEL_INPUTS_MAX + 1];
  enum tide_err err = tide_matrix_fit(model, rows, train, &how->fit, &matrix, error);
  for (uint32_t k = 0; k < how->c_count && !err; k++) {
    struct tide_train_result result;
    err = tide_regress(&matrix, 1 / how->c[k], w, &result, error);
    if (err) break;
    tide_regress_keep(model, w);
    choice->candidate[k].loss[fold] = loss_of(model, rows, from, to);
  }
  tide_matrix_release(&matrix);
  return err;
}

static void judge(struct tide_choice *choice) {
  double folds = choice->folds;
  for (uint32_t k = 0; k < choice->count; k++) {
    double sum = 0;
    for (uint32_t f = 0; f < choice->folds; f++) sum += choice->candidate[k].loss[f];
    choice->candidate[k].mean = sum / folds;
    if (choice->candidate[k].mean < choice->candidate[choice->best].mean) choice->best = k;
  }
  choice->chosen = choice->best;
  for (uint32_t k = choice->count; k-- > 0;) {
    double squares = 0, behind = choice->candidate[k].mean - choice->candidate[choice->best].mean;
    for (uint32_t f = 0; f < choice->folds; f++) {
      double off = choice->candidate[k].loss[f] - choice->candidate[choice->best].loss[f] - behind;
      squares += off * off;
    }
    choice->candidate[k].behind = behind;
    choice->candidate[k].error = choice->folds > 1 ? sqrt(squares / (folds - 1) / folds) : 0;
    if (behind <= choice->candidate[k].error && k < choice->chosen) choice->chosen = k;
  }
}

enum tide_err tide_choose(const struct tide_model *model, const struct tide_rows *rows, size_t count, const bool *given,
                          const struct tide_choose_how *how, struct tide_choice *ret, struct tide_error *error) {
  TIDE_CHECK(how->c_count > 0 && how->c_count <= TIDE_CHOOSE_MAX && how->folds > 0 && how->folds <= TIDE_CHOOSE_FOLDS_MAX);
  struct tide_choice *choice = tide_alloc(sizeof *choice);
  struct tide_choose_how fold_how = *how;
  fold_how.fit.constant = true;
  choice->count = how->c_count;
  choice->folds = how->folds;
  for (uint32_t k = 0; k < how->c_count; k++) {
    TIDE_CHECK(how->c[k] > 0 && (k == 0 || how->c[k] > how->c[k - 1]));
    choice->candidate[k].c = how->c[k];
  }
  enum tide_err err = TIDE_OK;
  struct tide_model trial = *model; /* its own inputs, so that nothing of a fold stays behind */
  size_t bytes = (model->input_count + 1) * sizeof *trial.input;
  trial.input = tide_alloc(bytes);
  for (uint32_t f = 0; f < how->folds && !err; f++) {
    memcpy(trial.input, model->input, model->input_count * sizeof *trial.input);
    err = run_fold(&trial, rows, count, given, &fold_how, f, choice, error);
  }
  tide_free(trial.input);
  if (!err) {
    judge(choice);
    *ret = *choice;
  }
  tide_free(choice);
  return err;
}
