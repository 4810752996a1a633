/* From a log to a model: the driver of train.
 *
 * The rows are what the fold itself answers (engine/cli/replay_run.h), taken in the callback of each decision: at that moment the values are those of the
 * journal prefix, so a row cannot know what came later. Labels are joined afterwards, by the same rules as the summary of a replay
 * (tally.h). Rows too young for their label to have come by the end of the log are left out, whatever they are labelled: keeping only the
 * quick frauds among them would teach that new means fraud. */
#ifndef TIDE_TRAIN_RUN_H
#define TIDE_TRAIN_RUN_H

#include "cli/replay_run.h"
#include "model/train.h"

struct tide_train_options {
  struct tide_replay_options replay; /* what is folded; its observers and outputs are train's */
  const char *inputs;                /* list of inputs, NULL: everything */
  const char *name, *version;
  struct tide_train_how how;
  double split;                      /* share of rows, by time, that the model is fitted to; 1: all */
  int64_t label_delay_ms, skip_ms, gap_ms;
  uint32_t top_cards;
  const char *export;                /* CSV of the rows, NULL: none */
};

struct tide_train_report {
  uint64_t decisions, duplicates, advised, uncounted, unknown, skipped, immature, gap; /* of them left out */
  uint64_t unknown_by[TIDE_C_COUNT];                                       /* why a value was not to be trusted */
  uint64_t rows, train, test;
  int64_t split_ms, log_end_ms;
  uint64_t labels, labels_unmatched;
  uint32_t constant;                 /* inputs that never vary and were dropped */
  unsigned card_days;
  double card_best;
  struct tide_train_result fit;
};

/* Trains. *ret_model is sealed and bound, the caller's to free. Errors: of the files, the inputs, the fit (model/train.h). */
enum tide_err tide_train_run(const struct tide_train_options *options, struct tide_model **ret_model, struct tide_train_report *ret_report,
                             struct tide_error *error) TIDE_WARN_UNUSED;

#endif
