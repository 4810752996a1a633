/* What a registry holds, and under which keys: versions, what was found out about them, rollouts of cells, engines.
 *
 *   content/KIND/HASH            the bytes of a version: a model, a policy, a feature file. HASH: 64 hex digits, BLAKE2b-256 of the bytes
 *   about/KIND/HASH              its name, who pushed it, when and why. A version is there when this is there
 *   checks/KIND/HASH             the last validation: passed or not, with what, and its figures
 *   retired/KIND/HASH            it shall not be rolled out any more: who, when, why
 *   cells/CELL/rollouts/INDEX    a rollout (port/rollout.h), 1, 2, 3.. in 20 digits; the last one is the statement of what shall be in force
 *   cells/CELL/engines/ID        an engine that is there, under a lease
 *   cells/CELL/epoch             the highest number that an epoch of the cell's journal was to be opened under; it only rises
 *
 * All but the first and the last two lines of that are never changed once written: content and about, because a version is its content; a rollout, because the next one has the
 * next index, which only one writer can take. So two people who roll out at the same time cannot overwrite each other: the second is told. (A rollout's number
 * is at least its index; it is higher where a journal had rollouts of its own, which a registry's must exceed.) Values are JSON, read strictly:
 * what is not exactly such a document is CORRUPT and names its key, and so is content that is not its hash's. A wrong version can not come out of here. */
#ifndef TIDE_REGISTRY_STORE_H
#define TIDE_REGISTRY_STORE_H

#include "port/registry.h"
#include "port/rollout.h"

/* Words about a person's act. */
struct tide_act {
  char who[TIDE_ROLLOUT_WHO], why[TIDE_ROLLOUT_WHY]; /* UTF-8 */
  int64_t at_ms;
};

struct tide_registry_version {
  uint8_t kind; /* enum tide_artifact_kind */
  struct tide_content_hash hash;
  char name[TIDE_ARTIFACT_NAME];
  uint64_t bytes;
  struct tide_act pushed;
};

/* A validation holds for a feature file and a policy (zero: the feature file's own). */
struct tide_version_check {
  bool passed;
  struct tide_act by;
  struct tide_content_hash features, policy;
  struct tide_buf figures; /* one JSON object */
};

struct tide_rollout_document {
  uint64_t index; /* 1.. without holes; 0: there is none */
  struct tide_rollout rollout;
  int64_t at_ms;
};

struct tide_engine_card {
  uint32_t engine_id;
  char address[280], admin[280], version[24], position[48], state[24];
  uint64_t epoch, rollout; /* rollout: number in force there; 0: none */
  char prepared[20];       /* the first digits of the hash of the feature file that it can go over to at once; "": none */
  bool ready, ingests;
  int64_t started_ms, told_ms;
};

const char *tide_registry_kind_name(enum tide_artifact_kind kind);
/* "model" -> TIDE_ARTIFACT_model; false when there is none. */
bool tide_registry_kind_find(struct tide_span word, enum tide_artifact_kind *ret);

/* Errors of all: those of the port; CORRUPT names the key. */

/* Puts content and about; the hash is worked out here. EXISTS: this content is there already, *ret is what is known of it. LIMIT: longer than
 * TIDE_REGISTRY_VALUE_MAX. Safe to repeat after an error. */
enum tide_err tide_registry_push(struct tide_registry *registry, enum tide_artifact_kind kind, const char *name, struct tide_span bytes,
                              const struct tide_act *act, struct tide_registry_version *ret, struct tide_error *error) TIDE_WARN_UNUSED;
/* What is known of a version. NOT_FOUND. */
enum tide_err tide_registry_about(struct tide_registry *registry, enum tide_artifact_kind kind, struct tide_content_hash hash, struct tide_registry_version *ret,
                               struct tide_error *error) TIDE_WARN_UNUSED;
/* Its bytes, appended to out, checked against the hash. NOT_FOUND, CORRUPT. */
enum tide_err tide_registry_content(struct tide_registry *registry, enum tide_artifact_kind kind, struct tide_content_hash hash, struct tide_buf *out,
                                 struct tide_error *error) TIDE_WARN_UNUSED;
/* All of a kind, the oldest first. Free *ret with tide_free. */
enum tide_err tide_registry_versions(struct tide_registry *registry, enum tide_artifact_kind kind, struct tide_registry_version **ret, size_t *ret_count,
                                  struct tide_error *error) TIDE_WARN_UNUSED;
/* The version that people mean by `word`: a hash or its beginning (6 digits at least), NAME@HASH, or a name (then the newest of that name). UNKNOWN_NAME: none,
 * or more than one. */
enum tide_err tide_registry_find(struct tide_registry *registry, enum tide_artifact_kind kind, const char *word, struct tide_registry_version *ret,
                              struct tide_error *error) TIDE_WARN_UNUSED;

/* NOT_FOUND: never validated. ret->figures is the caller's to release. */
enum tide_err tide_registry_check(struct tide_registry *registry, const struct tide_registry_version *version, struct tide_version_check *ret,
                               struct tide_error *error) TIDE_WARN_UNUSED;
/* In place of the one before. STALE: another was written meanwhile. */
enum tide_err tide_registry_set_check(struct tide_registry *registry, const struct tide_registry_version *version, const struct tide_version_check *check,
                                   struct tide_error *error) TIDE_WARN_UNUSED;
/* NOT_FOUND: it is not. */
enum tide_err tide_registry_retired(struct tide_registry *registry, const struct tide_registry_version *version, struct tide_act *ret, struct tide_error *error)
    TIDE_WARN_UNUSED;
/* EXISTS: it is already. */
enum tide_err tide_registry_retire(struct tide_registry *registry, const struct tide_registry_version *version, const struct tide_act *act,
                                struct tide_error *error) TIDE_WARN_UNUSED;

/* number 0: the last one. NOT_FOUND. */
enum tide_err tide_registry_rollout(struct tide_registry *registry, const char *cell, uint64_t number, struct tide_rollout_document *ret,
                                 struct tide_error *error) TIDE_WARN_UNUSED;
/* All of a cell, the oldest first. Free *ret with tide_free. */
enum tide_err tide_registry_rollouts(struct tide_registry *registry, const char *cell, struct tide_rollout_document **ret, size_t *ret_count,
                                  struct tide_error *error) TIDE_WARN_UNUSED;
/* Under the document's index, one more than that of the document it was made from. STALE: the index is taken: somebody else rolled out meanwhile. */
enum tide_err tide_registry_roll_out(struct tide_registry *registry, const char *cell, const struct tide_rollout_document *document,
                                  struct tide_error *error) TIDE_WARN_UNUSED;
/* Names of the cells that have a rollout are not listed by a registry: who asks knows the cell. The directory to watch for a cell's rollouts, into `out`. */
const char *tide_registry_rollouts_dir(const char *cell, char out[TIDE_REGISTRY_KEY_MAX + 1]);

/* The highest epoch number that was taken; 0: none. */
enum tide_err tide_registry_epoch(struct tide_registry *registry, const char *cell, uint64_t *ret, struct tide_error *error) TIDE_WARN_UNUSED;
/* Takes a number, for one opener. STALE: it is not above the highest, *ret_highest is that. Where a put may have been written it is looked again; then the number may be STALE
 * for whoever has it. */
enum tide_err tide_registry_take_epoch(struct tide_registry *registry, const char *cell, uint64_t number, uint64_t *ret_highest, struct tide_error *error)
    TIDE_WARN_UNUSED;

enum tide_err tide_registry_announce(struct tide_registry *registry, const char *cell, const struct tide_engine_card *card, int64_t ttl_ms,
                                  struct tide_error *error) TIDE_WARN_UNUSED;
/* Those that are there, by number. Free *ret with tide_free. */
enum tide_err tide_registry_engines(struct tide_registry *registry, const char *cell, struct tide_engine_card **ret, size_t *ret_count,
                                 struct tide_error *error) TIDE_WARN_UNUSED;

#endif
