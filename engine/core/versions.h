/* What is in force: the library of versions that the journal has brought, the rollout that counts, and what is made of it - models bound to the feature file, policies parsed.
 *
  * Part of the fold: it changes by ARTIFACT and ROLLOUT records alone (rollout.h), stands in snapshots and in the state's hash. A rollout takes
  * effect whole or not at all: everything it names is there, fits the feature file and is parsed before anything of the one before it is let
  * go. */
#ifndef TIDE_VERSIONS_H
#define TIDE_VERSIONS_H

#include "core/rollout.h"
#include "feature/spec.h"
#include "model/router.h"

/* Versions that no rollout in force refers to are kept so far, the newest first: one that went may come back by one record, and what several engines bring at
 * once for the next rollout must not drive itself out. */
#define TIDE_VERSIONS_SPARE 16
#define TIDE_VERSIONS_SPARE_FEATURES 2
#define TIDE_VERSIONS_MAX 80

struct tide_version {
  uint8_t kind; /* enum tide_artifact_kind */
  struct tide_content_hash hash;
  char name[TIDE_ARTIFACT_NAME];
  struct tide_buf bytes;
};

/* "p-12/strict@1f2e3d4c", or the feature file's version where the policy stands in it. */
#define TIDE_POLICY_LABEL (TIDE_VERSION_TEXT + 24)

/* A policy that decided something that is still remembered, or does now. Remembered answers name it by its place. */
struct tide_policy_version {
  struct tide_spec *spec; /* the feature file with this policy in it; NULL: the place is free. Of place 0 the fold's own, not owned */
  struct tide_content_hash hash;
  char label[TIDE_POLICY_LABEL];
  uint64_t number;        /* of the rollout that brought it */
  struct tide_u128 features; /* hash of the feature file in which it stands (tide_spec.hash) */
  int64_t last_ms;        /* the latest event time decided under it */
};
#define TIDE_POLICIES_MAX 256

#define TIDE_VOID_WHY 256

struct tide_versions {
  struct tide_version *item[TIDE_VERSIONS_MAX]; /* oldest first, as the journal named them last */
  uint32_t count;
  struct tide_content_hash features; /* of the feature file in force */
  struct tide_rollout rollout;       /* number 0: there was none */
  struct tide_rollout awaited;       /* will be in force over the feature file that it names; number 0: none */
  uint64_t void_number;              /* of the last rollout that could not take effect; 0: none */
  char void_why[TIDE_VOID_WHY];
  struct tide_policy_version *policy; /* [TIDE_POLICIES_MAX] */
  uint32_t now;                       /* the policy in force */
  struct tide_policy_version shadow;  /* spec NULL: none is judged beside it */
  /* made of the above */
  struct tide_model *model[TIDE_ROLLOUT_MODELS_MAX]; /* by place in rollout.model */
  struct tide_router router;
};

/* Once, when the feature file is known. spec is borrowed for the life of `versions`. */
void tide_versions_init(struct tide_versions *versions, struct tide_spec *spec);
void tide_versions_release(struct tide_versions *versions);

/* NULL: it is not there. */
const struct tide_version *tide_versions_find(const struct tide_versions *versions, enum tide_artifact_kind kind, struct tide_content_hash hash);
/* Takes it in; one that is there already becomes the newest. */
void tide_versions_put(struct tide_versions *versions, const struct tide_artifact *artifact);

enum tide_rollout_end {
  TIDE_ROLLOUT_DONE, /* in force from here on */
  TIDE_ROLLOUT_PAST, /* its number is not above the one in force: nothing changed */
  TIDE_ROLLOUT_VOID  /* it cannot be in force: only void_number and void_why changed */
};
/* `kept_ms`: remembered answers to events of an earlier time are not asked for any more, so a policy that decided none later may be forgotten. */
enum tide_rollout_end tide_versions_apply(struct tide_versions *versions, const struct tide_rollout *rollout, int64_t kept_ms);


/* Could this rollout be in force over another feature file, with the library as it is? CONFIG, MISMATCH, NOT_FOUND and what parsing gives, with the reason. */
enum tide_err tide_versions_can(const struct tide_versions *versions, struct tide_spec *spec, const struct tide_rollout *rollout, struct tide_error *error)
    TIDE_WARN_UNUSED;
/* The rollout with that number cannot take effect. */
void tide_versions_void(struct tide_versions *versions, uint64_t number, const char *why);
/* The feature file gives way to that of `to`, which was just made: the library goes over, and what was void. Of `from` the policies stay, for what they decided. */
void tide_versions_hand_over(struct tide_versions *from, struct tide_versions *to);

static inline const struct tide_policy_version *tide_versions_policy(const struct tide_versions *versions) {
  return &versions->policy[versions->now];
}
/* Nothing was ever brought in: the state is that of a journal without versions, and so are its bytes. */
static inline bool tide_versions_is_plain(const struct tide_versions *versions) {
  return !versions->count && !versions->rollout.number && !versions->void_number;
}

/* load: into what init made, for the same feature file. False: the bytes cannot be. */
void tide_versions_save(const struct tide_versions *versions, struct tide_buf *out);
bool tide_versions_load(struct tide_versions *versions, struct tide_reader *reader);
/* The policies alone, but for the feature file's own: what tide_versions_hand_over leaves. */
void tide_versions_save_policies(const struct tide_versions *versions, struct tide_buf *out);
bool tide_versions_load_policies(struct tide_versions *versions, struct tide_reader *reader);

#endif
