/* Records of versions and rollouts: what a model, a policy or a feature file is, and which of them are in force from here on.
 *
 * The journal carries versions whole, so an engine that reaches no registry switches where the others do, and an audit years later needs nothing else. Little-endian, as in
 * batch.h whose drawing this continues:
 *   ARTIFACT: kind u8, hash 32 bytes (BLAKE2b-256 of the content), name span, content span
 *   ROLLOUT:  number u64, who span, why span, features hash, policy hash, shadow policy hash (32 bytes each, zeroes: none),
 *             count u8; each: hash 32 bytes, role u8, weight u16
 * Decoding refuses what cannot have been written; whether a rollout makes sense is asked of tide_rollout_fault, by who writes one and again by the fold, which
 * passes over one that does not. */
#ifndef TIDE_ROLLOUT_H
#define TIDE_ROLLOUT_H

#include "core/batch.h"
#include "port/rollout.h"

/* Content that fits an entry of its own. */
#define TIDE_ARTIFACT_BYTES_MAX (TIDE_ENTRY_MAX - 4096)

struct tide_artifact {
  uint8_t kind;                  /* enum tide_artifact_kind */
  struct tide_content_hash hash; /* of bytes */
  struct tide_span name, bytes;  /* borrowed; the name is for people */
};

const char *tide_artifact_kind_name(enum tide_artifact_kind kind);
const char *tide_role_name(enum tide_role role);
/* "name@" and the first 8 digits of the hash: how answers name a version. Returns out. */
#define TIDE_VERSION_TEXT (TIDE_ARTIFACT_NAME + 9)
const char *tide_version_text(struct tide_span name, struct tide_content_hash hash, char out[TIDE_VERSION_TEXT]);

/* NULL when it can be in force as far as it alone can tell; else what is wrong with it, as a clause. Rules: number above 0; the feature file named; each model once; roles
 * known; live and canary weights sum to TIDE_WEIGHT_ALL where there is a live model, and there is no canary without one; at most one live, one fallback and two canaries; no
 * weight elsewhere; the shadow policy is another than the policy. */
const char *tide_rollout_fault(const struct tide_rollout *rollout);
bool tide_rollout_eq(const struct tide_rollout *a, const struct tide_rollout *b);

/* Appends a record's bytes (head and payload), for an offer of kind CONTROL or tide_batch_add_encoded. The artifact's hash is worked out here. LIMIT, and `out` as before: the
 * content is longer than TIDE_ARTIFACT_BYTES_MAX, or the name is longer than TIDE_ARTIFACT_NAME allows. */
enum tide_err tide_artifact_encode(enum tide_artifact_kind kind, struct tide_span name, struct tide_span bytes, struct tide_buf *out) TIDE_WARN_UNUSED;
void tide_rollout_encode(const struct tide_rollout *rollout, struct tide_buf *out);
/* Both records, one behind the other, of a rollout of nothing but one live model: what a model file given to this program becomes. `model`: its canonical bytes. LIMIT: as
 * above. */
#define TIDE_ROLLOUT_BY_FILE "model.file"
enum tide_err tide_rollout_of_file(uint64_t number, struct tide_content_hash features, struct tide_span name, struct tide_span model, struct tide_buf *out)
    TIDE_WARN_UNUSED;
/* The payload of a ROLLOUT alone: what a snapshot keeps. */
void tide_rollout_write(const struct tide_rollout *rollout, struct tide_buf *out);

/* Errors: CORRUPT (also a content that is not its hash's), VERSION (unknown flags or kind). */
enum tide_err tide_artifact_decode(const struct tide_raw_record *raw, struct tide_artifact *ret, struct tide_error *error) TIDE_WARN_UNUSED;
enum tide_err tide_rollout_decode(const struct tide_raw_record *raw, struct tide_rollout *ret, struct tide_error *error) TIDE_WARN_UNUSED;

#endif
