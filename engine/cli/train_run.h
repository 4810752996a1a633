/* From rows to a model: the driver of train. Splitting, choosing the penalty, fitting, measuring, and the comparison with the rules.
 *
 * The split is by time, never at random: rows of one card on both sides would let the model recognise the card. The earlier rows are fitted to, the later ones
 * measure; what lies between is the gap. */
#ifndef TIDE_TRAIN_RUN_H
#define TIDE_TRAIN_RUN_H

#include "cli/train_rows.h"
#include "model/choose.h"

struct tide_train_options {
  struct tide_train_rows_options rows;
  const char *name, *version;
  struct tide_train_how how;         /* l2: where no candidates are given */
  double c[TIDE_CHOOSE_MAX];         /* candidates to choose the penalty from, sorted; scikit-learn's C */
  uint32_t c_count, folds;
  double split;                      /* share of rows, by time, that the model is fitted to; 1: all */
  int64_t gap_ms;
  uint32_t top_cards;
};

/* What was stopped by somebody: alerts are decisions other than the mildest. */
struct tide_train_alerts { uint64_t alerts, fraud; int64_t fraud_minor; };
/* On the test rows, the policy as it decides without a score, and the model at a threshold that makes at most as many alerts. */
struct tide_train_beside {
  uint64_t rows, fraud;
  int64_t fraud_minor;               /* value of all fraud */
  uint64_t fallbacks;                /* of the rules' decisions, made by the fallback */
  struct tide_train_alerts rules, model;
  double threshold;                  /* of the model, 1.000001: none makes so few */
};

struct tide_train_run {
  struct tide_train_set set;
  double *score;                     /* of each row */
  size_t train, test;                /* rows [0, train) were fitted to, [test, rows.count) measure */
  int64_t split_ms;
  uint32_t constant;                 /* inputs that never vary and were dropped */
  unsigned card_days;
  double card_best;
  struct tide_train_result fit;
  struct tide_choice *choice;        /* NULL: the penalty was given */
  struct tide_train_beside beside;
};

/* Trains. run->set.model is sealed and bound. Release the run in every case. Errors: of the files, the inputs, the fit (model/train.h, choose.h). */
enum tide_err tide_train_run(const struct tide_train_options *options, struct tide_train_run *run, struct tide_error *error) TIDE_WARN_UNUSED;
void tide_train_run_release(struct tide_train_run *run);

#endif
