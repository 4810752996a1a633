/* May this rollout be in force? Asked before it is written into the registry, by the same code that asks it again at its place in the journal.
 *
 * The fold passes over a rollout that cannot take effect; an operator should hear of it before. */
#ifndef TIDE_REGISTRY_JUDGE_H
#define TIDE_REGISTRY_JUDGE_H

#include "adapter/registry_store.h"
#include "feature/spec.h"

/* Everything that `next` names is there with its bytes, is not retired, and can be in force together (core/versions.h). With `checked`: each version that
 * `before` does not name under the same feature file was validated with that feature file, and passed. Errors: of the store; CONFIG: what is wrong and what to do. */
enum tide_err tide_judge_rollout(struct tide_registry *registry, const struct tide_rollout *before, const struct tide_rollout *next, bool checked,
                                 struct tide_error *error) TIDE_WARN_UNUSED;

/* The feature file with the policy in it (zero: its own), parsed. Errors: of the store and the parser, naming the version. */
enum tide_err tide_judge_spec(struct tide_registry *registry, struct tide_content_hash features, struct tide_content_hash policy, struct tide_spec **ret,
                              struct tide_error *error) TIDE_WARN_UNUSED;

#endif
