/* Reading the rows, comparing, saying (parity_say.h).
 *
 * Scores in a file have six decimals, as ours have, so a tolerance of one step forgives a rounding and nothing else; a little is added for the decimal
 * representation itself. */
#include "cli/parity_say.h"

#include "cli/rows_csv.h"
#include "cli/summary.h"
#include "model/logistic.h"
#include "model/parity.h"

static void say_scores(const struct tide_model *model, const struct tide_rows *rows, const double *score,
                       const struct tide_parity *parity) {
  char a[TIDE_AMOUNT_TEXT], b[TIDE_AMOUNT_TEXT];
  size_t r = parity->worst;
  if (!parity->different) {
    printf("scores: all %s are the same, at most %.1e apart\n", tide_count_text(parity->scored, a), parity->most);
    return;
  }
  double ours = tide_score_of_logit(tide_model_logit(model, &rows->x[r * rows->inputs], &rows->cause[r * rows->inputs]));
  printf("scores: %s of %s differ, most on line %zu: the model says %.6f, the file %.6f\n", tide_count_text(parity->different, a),
         tide_count_text(parity->scored, b), r + 2, ours, score[r]);
}

static void say_columns(const struct tide_model *model, const struct tide_parity *parity, const struct tide_buf *text) {
  char a[TIDE_AMOUNT_TEXT], b[TIDE_AMOUNT_TEXT];
  if (!parity->fitted) {
    printf("preprocessing: not computed again, the rows are not those it was fitted to: it had %s, and %s lie between its first and last\n",
           tide_count_text(model->rows, a), tide_count_text(parity->between, b));
  } else if (parity->parameters) {
    printf("preprocessing: %u parameters are not those of the %s training rows\n%.*s", parity->parameters,
           tide_count_text(parity->between, a), (int)text->len, text->ptr);
  } else {
    printf("preprocessing: that of the %s training rows%s\n", tide_count_text(parity->between, a),
           parity->different ? "; so coefficients or the intercept are others" : "");
  }
}

enum tide_err tide_parity_from_args(const struct tide_args *args, const struct tide_model *model, uint32_t *count,
                                    struct tide_error *error) {
  const char *path = tide_args_text(args, "rows");
  if (!path) return TIDE_OK;
  struct tide_rows rows;
  double *score;
  enum tide_err err = tide_rows_csv_read(path, model, &rows, &score, error);
  if (err) return err;
  struct tide_buf text = TIDE_BUF_INIT;
  struct tide_parity parity;
  tide_parity_check(model, &rows, score, tide_args_double(args, "tolerance") + 1e-12, &text, &parity);
  if (parity.scored) {
    say_scores(model, &rows, score, &parity);
    say_columns(model, &parity, &text);
    *count += parity.parameters + (parity.different > 0);
  } else {
    err = tide_fail(error, TIDE_E_MISSING, "no row of %.200s has a score: it needs a column \"score\"", path);
  }
  tide_buf_release(&text);
  tide_rows_release(&rows);
  tide_free(score);
  return err;
}
