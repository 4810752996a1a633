/* The watch: drift and feedback of a running fold, as one observer (model/drift.h, model/feedback.h do the counting).
 *
 * Every engine folds the whole journal, so each sees all decisions and all labels and says the same. It is no part of the state: a decision does not depend on it, and what it
 * holds is kept beside snapshots (tide_watch_save) so that a restart goes on counting where the snapshot stands and learns the rest by folding. Without that file it begins
 * anew. It is used by the fold's thread alone; what others may see is a copy (tide_watch_look).
 *
 * What counts as a row for drift is what training takes for one: decided from known features, counted, no repetition, not decided elsewhere. */
#ifndef TIDE_WATCH_H
#define TIDE_WATCH_H

#include "core/fold.h"
#include "model/drift.h"
#include "model/feedback.h"

#define TIDE_WATCH_MODELS 8  /* whose inputs are looked at, at once; the one heard of longest ago gives way */
#define TIDE_WATCH_SHADOWS 3 /* of them at a decision, in the order of the rollout */

struct tide_watch_options {
  struct tide_drift_options drift;
  struct tide_feedback_options feedback;
};

struct tide_watch;
struct tide_watch *tide_watch_new(const struct tide_watch_options *options);
void tide_watch_free(struct tide_watch *watch);
/* What the fold is to be given (tide_fold_watch); borrows the watch. */
struct tide_fold_watch tide_watch_hooks(struct tide_watch *watch);

/* Everything at one moment; owned by whoever asked. */
struct tide_watch_model {
  char id[TIDE_MODEL_ID];
  uint64_t rows_ever, heard;        /* rows so far; number of the last one among those of all models */
  bool shadow;                      /* it decides nothing */
  int64_t newest_ms;
  uint64_t left_out;                /* rows too old for the long window */
  uint64_t rows[TIDE_DRIFT_WINDOWS]; /* in the window; about, where they are sampled */
  uint32_t inputs;
  char **input;                     /* [inputs + 1]: names, the last is "score" */
  struct tide_drift_measure *measure[TIDE_DRIFT_WINDOWS]; /* [inputs + 1] each */
};
struct tide_watch_look {
  struct tide_watch_options options;
  uint32_t model_count;             /* those that decide now first, by their rows: the first is the live one */
  struct tide_watch_model model[TIDE_WATCH_MODELS];
  struct tide_feedback_look feedback;
  uint32_t rule_count;
  char *rule[TIDE_RULES_MAX];       /* [rule_count] codes */
  bool shadow[TIDE_RULES_MAX];
};
struct tide_watch_look *tide_watch_look(const struct tide_watch *watch);
void tide_watch_look_free(struct tide_watch_look *look);

/* Appends one JSON object, what GET /drift and GET /feedback answer. */
void tide_watch_drift_json(const struct tide_watch_look *look, struct tide_buf *out);
void tide_watch_feedback_json(const struct tide_watch_look *look, struct tide_buf *out);

/* As bytes, with a checksum and the position that they are of. load, into a new one: false when they are damaged or of another position, and it is to be freed then. Drift that was
 * counted with other windows is left out. */
void tide_watch_save(const struct tide_watch *watch, struct tide_position position, struct tide_buf *out);
bool tide_watch_load(struct tide_watch *watch, struct tide_position position, struct tide_span bytes) TIDE_WARN_UNUSED;

#endif
