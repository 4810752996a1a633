/* Rows as CSV: what train and export write, and what a model is checked against.
 *
 *   set,time_ms,fraud,score,card.attempts_10m,card.idle,card.idle:state,...       train: where the row was, and its score
 *   event,card,time_ms,fraud,score,card.attempts_10m,...                          export
 *
 * What is known of the row stands first, then the values, as they were read, before imputation: a number that reads back the same, a condition as 0 or 1, empty
 * where nothing was there. Why it was not there, the state behind the value tells (absent, empty). `event` and `card` are hashes under the
 * key for secret fields, so nobody without it can tell of which card a row is, and rows of one card can be told together; a feature file without secret fields
 * has no key, and its hashes are not keyed. Plain, gzip or zstd by the name of the file. */
#ifndef TIDE_ROWS_CSV_H
#define TIDE_ROWS_CSV_H

#include "cli/train_rows.h"

struct tide_rows_csv_options {
  const char *path;      /* "-": standard output */
  bool values_only;      /* nothing of the row but its values */
  const double *score;   /* of each row, NULL: no column */
  /* With these, `set` instead of `event` and `card`: rows [0, train) are "train", [test, count) "test", between them "gap". */
  bool sets;
  size_t train, test;
  const struct tide_keys *keys; /* for the hashes of event and card; not looked at with `sets` */
};

/* Writes all rows of the set. Errors: IO, FULL, CONFIG (a value is named like one of the first columns). */
enum tide_err tide_rows_csv_write(const struct tide_train_set *set, const struct tide_rows_csv_options *options, struct tide_error *error)
    TIDE_WARN_UNUSED;

/* Reads rows of the model's inputs, by the names in the header; other values are passed over. *ret_score[r] is the row's score or NaN (no such column). An
 * empty value is missing, for the cause that its state tells; without states for absence, which an input that imputes absent and empty differently does not allow.
 * The caller releases the rows and frees the scores. Errors: NOT_FOUND, IO; with line: SYNTAX, MISSING (an input without column, a needed state), TYPE. */
enum tide_err tide_rows_csv_read(const char *path, const struct tide_model *model, struct tide_rows *ret, double **ret_score,
                                 struct tide_error *error) TIDE_WARN_UNUSED;

#endif
