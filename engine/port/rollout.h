/* A rollout: which versions are in force in a cell, and for whom. The document of a registry and the record in the journal say the same, field by field.
 *
 * It is the complete statement and never a delta: who reads one knows everything, and going back is one more of them. Versions are named by the hash of
 * their content, so a rollout means the same bytes everywhere and for ever. */
#ifndef TIDE_PORT_ROLLOUT_H
#define TIDE_PORT_ROLLOUT_H

#include "base/hash.h"

/* What a version is of: numbers are those of the journal. */
#define TIDE_ARTIFACT_KINDS(X) X(model) X(policy) X(features)
enum tide_artifact_kind {
#define X(name) TIDE_ARTIFACT_##name,
  TIDE_ARTIFACT_KINDS(X)
#undef X
      TIDE_ARTIFACT_KIND_COUNT
};

/* X(name, what such a model does) */
#define TIDE_ROLES(X)                                                                                      \
  X(live, "scores the cards that no canary has")                                                           \
  X(canary, "scores its share of the cards")                                                               \
  X(shadow, "scores every judged event beside the others and decides nothing")                             \
  X(fallback, "scores what the live model or a rule could not answer, from features that can be trusted")
enum tide_role {
#define X(name, text) TIDE_ROLE_##name,
  TIDE_ROLES(X)
#undef X
      TIDE_ROLE_COUNT
};

#define TIDE_WEIGHT_ALL 10000      /* weights are in 1/10000 */
#define TIDE_ROLLOUT_MODELS_MAX 16 /* of all roles */
#define TIDE_ROLLOUT_CANARIES_MAX 2 /* the first has the lowest buckets, the second the highest: neither moves the other's cards */
#define TIDE_ROLLOUT_WHO 65        /* with the zero byte */
#define TIDE_ROLLOUT_WHY 241
#define TIDE_ARTIFACT_NAME 97      /* of a version: with the zero byte */

struct tide_rollout_model {
  struct tide_content_hash hash;
  uint8_t role;    /* enum tide_role */
  uint16_t weight; /* of live and canaries; 0 of the others */
};

struct tide_rollout {
  uint64_t number; /* 1.. and strictly increasing in a cell: of two with the same number the first in the journal counts */
  char who[TIDE_ROLLOUT_WHO], why[TIDE_ROLLOUT_WHY]; /* UTF-8, for people */
  struct tide_content_hash features;      /* the feature file */
  struct tide_content_hash policy;        /* zero: the policy that stands in the feature file */
  struct tide_content_hash shadow_policy; /* judged beside and compared; zero: none */
  uint32_t model_count;
  struct tide_rollout_model model[TIDE_ROLLOUT_MODELS_MAX];
};

#endif
