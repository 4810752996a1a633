/* The plots of a training run, each one an SVG that says all it shows in words as well.
 *
 * Data come from model/curve.h (ranking, calibration), the model itself (effects) and model/drift.h (windows against training). train_report.h puts them onto a page. */
#ifndef TIDE_TRAIN_PLOTS_H
#define TIDE_TRAIN_PLOTS_H

#include "cli/train_run.h"

/* On rows [test, count), which must hold frauds and genuine rows. The dot of the rules is where the policy stands by itself. */
void tide_plot_roc(const struct tide_train_run *run, struct tide_buf *out);
void tide_plot_precision_recall(const struct tide_train_run *run, struct tide_buf *out);
void tide_plot_scores(const struct tide_train_run *run, struct tide_buf *out);
void tide_plot_calibration(const struct tide_train_run *run, struct tide_buf *out);
/* What each input adds to the logit between a low and a high value, the largest coefficients first. */
void tide_plot_effects(const struct tide_train_run *run, struct tide_buf *out);
/* What one input adds over its values from the 1st to the 99th percentile. `number` is unique in the page. */
void tide_plot_effect(const struct tide_model_input *input, unsigned number, struct tide_buf *out);
/* Loss by candidate, with the error that the rule allows. */
void tide_plot_choice(const struct tide_choice *choice, struct tide_buf *out);

#endif
