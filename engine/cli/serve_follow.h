/* The fold under the next feature file, made beside a serving engine (core/fold.h, followers).
 *
 * As soon as the journal brings a feature file that could follow the one in force, a thread folds the engine's own log under it, from the first entry on and then along
 * with the live
 * fold, so that a rollout of that file finds it ready. The log is read as audit reads it: archive and journal, or archive and mirror of a shared one. */
#ifndef TIDE_SERVE_FOLLOW_H
#define TIDE_SERVE_FOLLOW_H

#include "core/fold.h"

struct tide_follow;
/* dir: where the log is; NULL: it is nowhere (a journal in memory), and no other file can be served before a restart. Copied. Starts the thread. */
struct tide_follow *tide_follow_new(const char *dir);
void tide_follow_free(struct tide_follow *follow);

/* On the thread that owns the fold, between two steps: sees which file is next, and how far the log may be read. */
void tide_follow_turn(struct tide_follow *follow, const struct tide_fold *fold);
/* The same thread, while the fold waits: its follower, which is the caller's now, or NULL: not yet. */
struct tide_fold *tide_follow_take(struct tide_follow *follow, const struct tide_fold *fold);

/* Any thread. */
struct tide_follow_status {
  bool on;                 /* a file is being prepared */
  bool ready;              /* the log is folded as far as it was the last time it was looked at */
  bool never;              /* the log here does not begin with its first entry: it cannot be prepared on this engine */
  struct tide_content_hash features;
  struct tide_position at; /* the log is folded up to there */
  char why[200];           /* it could not be, "" */
};
struct tide_follow_status tide_follow_status(struct tide_follow *follow);

#endif
