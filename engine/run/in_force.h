/* What other threads may know of the versions in force: a copy for the registry's driver and for people, and the policy by which this engine's
 * listeners decide what the core cannot.
 *
  * The core's thread writes it when a record about versions was folded, anyone reads it. A policy that was shown is kept until the end, so that
  * who holds a pointer to it needs no lock; there are as many as policies were rolled out since the start. */
#ifndef TIDE_IN_FORCE_H
#define TIDE_IN_FORCE_H

#include <pthread.h>
#include <stdatomic.h>

#include "core/fold.h"

struct tide_engine_rollout {
  struct tide_rollout rollout;       /* number 0: there was none */
  uint64_t void_number;              /* of the last that could not take effect, 0: none; above rollout.number: it waits for a better one */
  char void_why[TIDE_VOID_WHY];
  struct tide_content_hash features; /* of the feature file in force; zero: not known yet */
  uint32_t generation;               /* how many feature files the journal had before */
  char file[TIDE_VERSION_TEXT];      /* the feature file in force, as answers name it */
  char model[TIDE_MODEL_ID];         /* that is live, "" none */
  char policy[TIDE_POLICY_LABEL];
  uint32_t version_count;            /* what the journal has brought and need not be brought again */
  struct { uint8_t kind; struct tide_content_hash hash; } version[TIDE_VERSIONS_MAX];
};

struct tide_in_force {
  pthread_mutex_t mutex;
  struct tide_engine_rollout shown; /* under mutex */
  struct tide_u128 features;        /* hash of the feature file in force (tide_spec.hash), and its text; under mutex */
  struct tide_buf features_text;
  _Atomic(const struct tide_policy_version *) policy;
  /* the core thread's own */
  struct tide_in_force_policy { struct tide_policy_version version; struct tide_in_force_policy *next; } *kept;
  int64_t seen;
};

void tide_in_force_init(struct tide_in_force *in_force);
void tide_in_force_release(struct tide_in_force *in_force);
/* The core's thread, as often as it likes: shows what changed. */
void tide_in_force_look(struct tide_in_force *in_force, const struct tide_fold *fold);
/* Any thread. */
void tide_in_force_copy(struct tide_in_force *in_force, struct tide_engine_rollout *ret);
/* True where the feature file in force is another than *have: then its hash stands there and its text in `text`. */
bool tide_in_force_features(struct tide_in_force *in_force, struct tide_u128 *have, struct tide_buf *text);
const struct tide_policy_version *tide_in_force_policy(struct tide_in_force *in_force); /* NULL: not known yet */

#endif
