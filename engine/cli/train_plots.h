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
/* What each input adds to the logit between its 5th and 95th percentile, widest first. */
void tide_plot_effects(const struct tide_train_run *run, struct tide_buf *out);
/* What one input adds over its values from the 1st to the 99th percentile. `index`: of the input, `number`: unique in the page. */
void tide_plot_effect(const struct tide_train_run *run, uint32_t index, unsigned number, struct tide_buf *out);
/* Loss by candidate, with the error that the rule allows. */
void tide_plot_choice(const struct tide_choice *choice, struct tide_buf *out);

/* The inputs by falling width of their effect between the 5th and 95th percentile; equal ones in the model's order. The caller frees the list. */
uint32_t *tide_inputs_by_effect(const struct tide_model *model);
/* The widest part of that: [*ret_lo, *ret_hi] is what the input adds at the two percentiles. */
void tide_effect_of(const struct tide_model_input *input, double *ret_lo, double *ret_hi);

#endif
