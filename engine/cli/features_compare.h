/* What going over from one feature file to another in a running journal would mean, for people and programs (feature/recast.h).
 *
 * Per value: the same, counted from the log, or warming and for how long; what goes; what may not be changed, with its reason; and the memory that both need while they
 * stand side by
 * side. */
#ifndef TIDE_FEATURES_COMPARE_H
#define TIDE_FEATURES_COMPARE_H

#include "base/buf.h"
#include "feature/settings.h"
#include "feature/spec.h"

struct tide_compare_options {
  struct tide_settings settings; /* of the journal: they decide the memory */
  double cards, per_month;       /* 0: nothing is said of memory */
  bool json;
};
/* Appends the report. *ret_possible: the second can follow the first. */
enum tide_err tide_features_compare(const struct tide_spec *from, const struct tide_spec *to, const struct tide_compare_options *options,
                                    struct tide_buf *out, bool *ret_possible, struct tide_error *error) TIDE_WARN_UNUSED;

#endif
