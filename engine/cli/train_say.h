/* What train says of a run: for people, and as JSON.
 *
 * The page with plots is train_report.h's; here is what fits a terminal: which rows were left out and why, the measures on the test rows, the comparison with
 * the rules, the table of coefficients. */
#ifndef TIDE_TRAIN_SAY_H
#define TIDE_TRAIN_SAY_H

#include "cli/train_run.h"

/* On stdout. */
void tide_train_print(const struct tide_spec *spec, const struct tide_train_run *run);
/* One JSON object on stdout. */
void tide_train_json(const struct tide_train_run *run);

#endif
