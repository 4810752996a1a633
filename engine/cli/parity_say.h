/* Checking a model against rows, from the command line: the option and what is said of the result.
 *
 * `model check` and `model import` share it; the comparison is model/parity.h's. */
#ifndef TIDE_PARITY_SAY_H
#define TIDE_PARITY_SAY_H

#include "cli/args.h"
#include "model/artifact.h"

#define TIDE_PARITY_OPTIONS                                                                                                           \
  {"rows", "FILE", NULL, "Rows with scores, a CSV of export or of another program: scores and preprocessing are computed again and compared", \
   TIDE_OPT_TEXT, 0, 0, 0, NULL},                                                                                                     \
  {"tolerance", "X", "0.000001", "By how much scores may differ", TIDE_OPT_PERCENT, 0, 0, 1, NULL}

/* Compares if --rows was given, prints what was found on stdout, and adds to *count what differs. Errors: of the file, MISSING (no row has a score). */
enum tide_err tide_parity_from_args(const struct tide_args *args, const struct tide_model *model, uint32_t *count, struct tide_error *error)
    TIDE_WARN_UNUSED;

#endif
