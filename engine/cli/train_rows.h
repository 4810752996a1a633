/* From a log to rows: what was known at each decision, and what became of it. train fits to them, export writes them.
 *
 * The rows are what the fold itself answers (engine/cli/replay_run.h), taken in the callback of each decision: at that moment the values are those of the
 * journal prefix, so a row cannot know what came later. Labels are joined afterwards, by the same rules as the summary of a replay
 * (tally.h). Rows too young for their label to have come by the end of the log are left out, whatever they are labelled: keeping only the
 * quick frauds among them would teach that new means fraud. */
#ifndef TIDE_TRAIN_ROWS_H
#define TIDE_TRAIN_ROWS_H

#include "cli/replay_run.h"
#include "cli/tally.h"
#include "model/train.h"

/* Rows of every verb that makes rows. */
#define TIDE_ROWS_OPTIONS                                                                                                               \
  {"features", "FILE", NULL, "The feature file", TIDE_OPT_TEXT, TIDE_OPT_REQUIRED, 0, 0, NULL},                                         \
  {"input", "FILE", NULL, "The log, with labels; several are read in order", TIDE_OPT_TEXT, TIDE_OPT_REQUIRED | TIDE_OPT_REPEAT, 0, 0,  \
   NULL},                                                                                                                               \
  {"inputs", "FILE", NULL,                                                                                                              \
   "The values to take: a line each, NAME [absent=N] [empty=N] [transform=none|log1p|clip:LO:HI] [reason text]; left out: every "       \
   "number and condition among features and derived values",                                                                            \
   TIDE_OPT_TEXT, 0, 0, 0, NULL},                                                                                                       \
  {"label-delay", "DURATION", "30d", "How long labels take: rows younger than that at the end of the log are left out", TIDE_OPT_DURATION, \
   0, 0, 0, NULL},                                                                                                                      \
  {"skip", "DURATION", "0s", "Leave out the rows of the first so long, while windows fill", TIDE_OPT_DURATION, 0, 0, 0, NULL},          \
  {"from", "TIME", NULL, "Rows from this event time on", TIDE_OPT_TIME, 0, 0, 0, NULL},                                                 \
  {"until", "TIME", NULL, "Rows before this event time", TIDE_OPT_TIME, 0, 0, 0, NULL},                                                 \
  {"states", NULL, NULL, "In the CSV beside each value its state: fresh, stale, warming, absent, empty, saturated, defaulted, waived",  \
   TIDE_OPT_SWITCH, 0, 0, 0, NULL},                                                                                                     \
  {"input-shape", "NAME", NULL, "The shape of messages that no `when` picks; left out: default", TIDE_OPT_TEXT, 0, 0, 0, NULL},         \
  {"format", "FORMAT", "auto", "Format of the log; auto looks at the first line", TIDE_OPT_CHOICE, 0, 0, 0, "auto|json|csv"}

#define TIDE_ROWS_FILES_MAX 256
struct tide_train_rows_options {
  struct tide_replay_options replay; /* what is folded; its observers and outputs are the collector's. .model: only scores */
  const char *file[TIDE_ROWS_FILES_MAX];
  struct tide_keys keys;
  const char *inputs;                /* list of inputs, NULL: everything. Not looked at when the set begins with a model */
  int64_t label_delay_ms, skip_ms, from_ms, until_ms;
  bool states;
};
/* From the rows above and the options of settings and keys. `ret` must stay where it is: replay points into it. Errors: USAGE, CONFIG. */
enum tide_err tide_train_rows_from_args(const struct tide_args *args, const struct tide_spec *spec, const char *progress,
                                        struct tide_train_rows_options *ret, struct tide_error *error) TIDE_WARN_UNUSED;

struct tide_train_counts {
  uint64_t decisions, duplicates, advised, uncounted, unknown, skipped, immature; /* of them left out */
  uint64_t unknown_by[TIDE_C_COUNT];                                              /* why a value was not to be trusted */
  uint64_t outside;                  /* before --from or not before --until */
  uint64_t rows;
  uint64_t rejected;                                                              /* messages that could not be used */
  int64_t log_end_ms;
  uint64_t labels, labels_unmatched;
};

struct tide_train_set {
  struct tide_model *model;          /* what the rows are read with: features, transforms, imputations, bound */
  bool given[TIDE_MODEL_INPUTS_MAX]; /* the transform of the input was given */
  struct tide_rows rows;             /* sorted by time; number: index into tide_tally_rows and score */
  struct tide_tally *tally;
  double *score;                     /* of each decision, where the fold had a model; -1: none */
  struct tide_train_counts counts;
};

/* Collects. With set->model given its inputs are read, otherwise a model is made of options->inputs. Release the set in every case. Errors: of the files,
 * the inputs. */
enum tide_err tide_train_rows(const struct tide_train_rows_options *options, struct tide_train_set *set, struct tide_error *error) TIDE_WARN_UNUSED;
/* Frees all but the model. */
void tide_train_set_release(struct tide_train_set *set);
/* Tells on stderr that messages were rejected, if any were: rows that are missing for that must not be missing in silence. */
void tide_train_say_rejected(const struct tide_train_set *set);
/* RANGE: no row is left, with the reasons. */
enum tide_err tide_train_set_empty(const struct tide_train_set *set, struct tide_error *error);

#endif
