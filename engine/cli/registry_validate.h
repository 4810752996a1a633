/* What a version would change: decisions and scores of a log under it, beside those under what is in force.
 *
 * Both sides are replayed by the engine itself, over a log file, or over the events of a journal that were really counted. Besides: does the score that serving gave
 * equal the one that training's code works out of the same values (replay parity)? */
#ifndef TIDE_REGISTRY_VALIDATE_H
#define TIDE_REGISTRY_VALIDATE_H

#include "cli/key_file.h"
#include "feature/settings.h"
#include "model/artifact.h"

struct tide_validation_log {
  const char *const *input; /* log files; 0 of them: the journal */
  size_t input_count;
  const char *format, *shape;
  const char *journal_dir;
  struct tide_settings settings; /* of log files; a journal has its own */
  const struct tide_keys *keys;  /* of log files */
  int64_t since_ms;              /* only events of this time and later are compared; all are counted. INT64_MIN: all */
};
/* What decides on one side. */
struct tide_validation_side {
  const struct tide_spec *spec;   /* NULL: there is no such side */
  const struct tide_model *model; /* bound to spec; NULL: none */
};
struct tide_validation {
  uint64_t events;          /* judged under the new version, repetitions left out */
  uint64_t scored;          /* of them with a score */
  uint64_t parity_checked, parity_different;
  double parity_max;        /* largest difference of two scores of one event */
  bool compared;            /* there was another side */
  uint64_t pairs, decisions_different; /* events judged on both sides */
  uint64_t score_pairs;     /* with a score on both */
  double decision_shift;    /* share of pairs, 0..1 */
  double score_shift;       /* Kolmogorov-Smirnov: the largest distance between the two distributions of scores, 0..1 */
  double score_change;      /* mean of |new - old| over score_pairs */
};

/* Errors: of the log (IO, NOT_FOUND, CORRUPT); MISMATCH: the journal's records cannot be read with the new feature file: use log files; CONFIG. */
enum tide_err tide_validate(const struct tide_validation_log *log, struct tide_validation_side now, struct tide_validation_side fresh,
                            struct tide_validation *ret, struct tide_error *error) TIDE_WARN_UNUSED;

#endif
