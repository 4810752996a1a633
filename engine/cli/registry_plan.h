/* From one rollout to the next: what `rollout`, `promote` and `rollback` change in the document of a cell.
 *
 * Pure functions on the document. Nothing is asked of the registry and nothing is checked but that the change makes sense; whether what comes out may be in force is judged by
 * registry_judge.h. */
#ifndef TIDE_REGISTRY_PLAN_H
#define TIDE_REGISTRY_PLAN_H

#include "base/err.h"
#include "port/rollout.h"

enum tide_plan_how {
  TIDE_PLAN_LIVE,     /* a model: for all cards, instead of the live model and its canaries. A policy, a feature file: in force */
  TIDE_PLAN_CANARY,   /* a model: for `weight` 1/10000 of the cards; the live model has the rest */
  TIDE_PLAN_SHADOW,   /* beside the others */
  TIDE_PLAN_FALLBACK, /* a model: instead of the fallback model */
  TIDE_PLAN_OFF       /* out of its role as canary, shadow or fallback */
};

/* Errors of all: USAGE (what makes no sense, and why); nothing changes then. */
enum tide_err tide_plan_model(struct tide_rollout *rollout, struct tide_content_hash hash, enum tide_plan_how how, uint16_t weight,
                              struct tide_error *error) TIDE_WARN_UNUSED;
/* hash zero: the policy that stands in the feature file. LIVE, SHADOW, OFF. */
enum tide_err tide_plan_policy(struct tide_rollout *rollout, struct tide_content_hash hash, enum tide_plan_how how, struct tide_error *error)
    TIDE_WARN_UNUSED;
enum tide_err tide_plan_features(struct tide_rollout *rollout, struct tide_content_hash hash, struct tide_error *error) TIDE_WARN_UNUSED;
/* The version that is tried out takes over: a model's canary (or a shadow, where there is no canary), the shadow policy. hash zero: the only one there is. */
enum tide_err tide_plan_promote(struct tide_rollout *rollout, enum tide_artifact_kind kind, struct tide_content_hash hash, struct tide_error *error)
    TIDE_WARN_UNUSED;

/* "live", "canary", "shadow", "fallback"; NULL: the rollout does not name it. */
const char *tide_plan_state(const struct tide_rollout *rollout, enum tide_artifact_kind kind, struct tide_content_hash hash);
/* The version in that state; false: none, or several. */
bool tide_plan_find(const struct tide_rollout *rollout, enum tide_artifact_kind kind, const char *state, struct tide_content_hash *ret);
/* Whether the two say something else about versions of the kind. */
bool tide_plan_differs(const struct tide_rollout *a, const struct tide_rollout *b, enum tide_artifact_kind kind);

#endif
