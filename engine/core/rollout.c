/* Records of versions and rollouts as bytes (rollout.h has the drawing).
 *
 * They are rare, and an artifact is long, so they are built in a buffer of the caller and go into an entry as they are. An artifact's hash is worked out where it is written
 * and checked where it is read: a version is its content, and no bytes can pass for another's. */
#include "core/rollout.h"

#include <stdio.h>

#include "base/utf8.h"

static const char *const kind_name[] = {
#define X(name) #name,
    TIDE_ARTIFACT_KINDS(X)
#undef X
};
static const char *const role_name[] = {
#define X(name, text) #name,
    TIDE_ROLES(X)
#undef X
};

const char *tide_artifact_kind_name(enum tide_artifact_kind kind) {
  TIDE_CHECK((unsigned)kind < TIDE_ARTIFACT_KIND_COUNT);
  return kind_name[kind];
}

const char *tide_role_name(enum tide_role role) {
  TIDE_CHECK((unsigned)role < TIDE_ROLE_COUNT);
  return role_name[role];
}

const char *tide_version_text(struct tide_span name, struct tide_content_hash hash, char out[TIDE_VERSION_TEXT]) {
  char digits[TIDE_CONTENT_HASH_TEXT];
  TIDE_CHECK(name.len < TIDE_ARTIFACT_NAME);
  snprintf(out, TIDE_VERSION_TEXT, "%.*s@%.8s", (int)name.len, name.ptr ? name.ptr : "", tide_content_hash_text(hash, digits));
  return out;
}

const char *tide_rollout_fault(const struct tide_rollout *rollout) {
  uint32_t count[TIDE_ROLE_COUNT] = {0}, weight = 0;
  if (!rollout->number) return "it has no number";
  if (tide_content_hash_is_zero(rollout->features)) return "it names no feature file";
  if (!tide_content_hash_is_zero(rollout->shadow_policy) && tide_content_hash_eq(rollout->policy, rollout->shadow_policy))
    return "its shadow policy is the policy itself";
  if (rollout->model_count > TIDE_ROLLOUT_MODELS_MAX) return "it names too many models";
  for (uint32_t i = 0; i < rollout->model_count; i++) {
    const struct tide_rollout_model *model = &rollout->model[i];
    if (tide_content_hash_is_zero(model->hash)) return "it has a model without a hash";
    for (uint32_t k = 0; k < i; k++)
      if (tide_content_hash_eq(model->hash, rollout->model[k].hash)) return "it names a model twice";
    if (model->role >= TIDE_ROLE_COUNT) return "it has a role that is not known";
    count[model->role]++;
    bool routed = model->role == TIDE_ROLE_live || model->role == TIDE_ROLE_canary;
    if (!routed && model->weight) return "only live and canary models have a weight";
    weight += model->weight;
  }
  if (count[TIDE_ROLE_live] > 1) return "it has two live models";
  if (count[TIDE_ROLE_fallback] > 1) return "it has two fallback models";
  if (count[TIDE_ROLE_canary] > TIDE_ROLLOUT_CANARIES_MAX) return "it has more than two canaries";
  if (count[TIDE_ROLE_canary] && !count[TIDE_ROLE_live]) return "it has a canary and no live model";
  if (count[TIDE_ROLE_live] && weight != TIDE_WEIGHT_ALL) return "its weights do not sum to 10000";
  return NULL;
}

bool tide_rollout_eq(const struct tide_rollout *a, const struct tide_rollout *b) {
  struct tide_buf x = TIDE_BUF_INIT, y = TIDE_BUF_INIT;
  tide_rollout_write(a, &x);
  tide_rollout_write(b, &y);
  bool same = tide_span_eq(tide_buf_span(&x), tide_buf_span(&y));
  tide_buf_release(&x);
  tide_buf_release(&y);
  return same;
}

static void put_hash(struct tide_buf *out, struct tide_content_hash hash) { tide_buf_put(out, hash.byte, sizeof hash.byte); }

void tide_rollout_write(const struct tide_rollout *rollout, struct tide_buf *out) {
  TIDE_CHECK(rollout->model_count <= TIDE_ROLLOUT_MODELS_MAX);
  tide_put_u64(out, rollout->number);
  tide_put_span(out, tide_span_of(rollout->who));
  tide_put_span(out, tide_span_of(rollout->why));
  put_hash(out, rollout->features);
  put_hash(out, rollout->policy);
  put_hash(out, rollout->shadow_policy);
  tide_put_u8(out, (uint8_t)rollout->model_count);
  for (uint32_t i = 0; i < rollout->model_count; i++) {
    put_hash(out, rollout->model[i].hash);
    tide_put_u8(out, rollout->model[i].role);
    tide_put_u16(out, rollout->model[i].weight);
  }
}

/* Type, no flags, and the length in three bytes, which is known when the payload stands behind it. */
static size_t begin_record(uint8_t type, struct tide_buf *out) {
  uint8_t head[5] = {type};
  tide_buf_put(out, head, sizeof head);
  return out->len;
}

static void end_record(struct tide_buf *out, size_t payload) {
  size_t len = out->len - payload;
  for (unsigned i = 0; i < 3; i++) out->ptr[payload - 3 + i] = (char)(uint8_t)(len >> (8 * i));
}

enum tide_err tide_artifact_encode(enum tide_artifact_kind kind, struct tide_span name, struct tide_span bytes, struct tide_buf *out) {
  TIDE_CHECK((unsigned)kind < TIDE_ARTIFACT_KIND_COUNT);
  if (bytes.len > TIDE_ARTIFACT_BYTES_MAX || name.len >= TIDE_ARTIFACT_NAME) return TIDE_E_LIMIT;
  size_t payload = begin_record(TIDE_REC_ARTIFACT, out);
  tide_put_u8(out, (uint8_t)kind);
  put_hash(out, tide_content_hash(bytes));
  tide_put_span(out, name);
  tide_put_span(out, bytes);
  end_record(out, payload);
  return TIDE_OK;
}

void tide_rollout_encode(const struct tide_rollout *rollout, struct tide_buf *out) {
  size_t payload = begin_record(TIDE_REC_ROLLOUT, out);
  tide_rollout_write(rollout, out);
  end_record(out, payload);
}

enum tide_err tide_rollout_of_file(uint64_t number, struct tide_content_hash features, struct tide_span name, struct tide_span model,
                                   struct tide_buf *out) {
  struct tide_rollout rollout = {.number = number, .who = TIDE_ROLLOUT_BY_FILE, .features = features, .model_count = 1};
  snprintf(rollout.why, sizeof rollout.why, "a model file was given at the start");
  rollout.model[0] = (struct tide_rollout_model){tide_content_hash(model), TIDE_ROLE_live, TIDE_WEIGHT_ALL};
  enum tide_err err = tide_artifact_encode(TIDE_ARTIFACT_model, name, model, out);
  if (!err) tide_rollout_encode(&rollout, out);
  return err;
}

static enum tide_err corrupt(struct tide_error *error, const char *what) {
  return tide_fail(error, TIDE_E_CORRUPT, "journal record: %s; the entry is damaged", what);
}

static struct tide_content_hash get_hash(struct tide_reader *r) {
  struct tide_content_hash hash = {{0}};
  struct tide_span bytes = tide_get_bytes(r, sizeof hash.byte);
  if (!r->bad) memcpy(hash.byte, bytes.ptr, sizeof hash.byte);
  return hash;
}

static bool is_plain(struct tide_span text) {
  for (size_t i = 0; i < text.len; i++)
    if ((uint8_t)text.ptr[i] < 0x20 || text.ptr[i] == 0x7f) return false;
  return tide_utf8_valid(text);
}

static void get_text(struct tide_reader *r, char *ret, size_t size) {
  struct tide_span text = tide_get_span(r);
  if (r->bad || text.len >= size || !is_plain(text)) {
    r->bad = true;
    return;
  }
  if (text.len) memcpy(ret, text.ptr, text.len);
  ret[text.len] = 0;
}

enum tide_err tide_artifact_decode(const struct tide_raw_record *raw, struct tide_artifact *ret, struct tide_error *error) {
  TIDE_CHECK(raw->type == TIDE_REC_ARTIFACT);
  if (raw->flags) return tide_fail(error, TIDE_E_VERSION, "journal record: unknown flags %u", raw->flags);
  struct tide_reader r = tide_reader_of(raw->payload);
  struct tide_artifact artifact = {.kind = tide_get_u8(&r)};
  artifact.hash = get_hash(&r);
  artifact.name = tide_get_span(&r);
  artifact.bytes = tide_get_span(&r);
  if (r.bad || r.ptr != r.end || artifact.name.len >= TIDE_ARTIFACT_NAME || !is_plain(artifact.name))
    return corrupt(error, "an artifact's length and its content disagree");
  if (artifact.kind >= TIDE_ARTIFACT_KIND_COUNT)
    return tide_fail(error, TIDE_E_VERSION, "journal record: an artifact of kind %u is not known to this version", artifact.kind);
  if (!tide_content_hash_eq(artifact.hash, tide_content_hash(artifact.bytes)))
    return corrupt(error, "an artifact's content is not that of its hash");
  *ret = artifact;
  return TIDE_OK;
}

enum tide_err tide_rollout_decode(const struct tide_raw_record *raw, struct tide_rollout *ret, struct tide_error *error) {
  TIDE_CHECK(raw->type == TIDE_REC_ROLLOUT);
  if (raw->flags) return tide_fail(error, TIDE_E_VERSION, "journal record: unknown flags %u", raw->flags);
  struct tide_reader r = tide_reader_of(raw->payload);
  struct tide_rollout rollout = {.number = tide_get_u64(&r)};
  get_text(&r, rollout.who, sizeof rollout.who);
  get_text(&r, rollout.why, sizeof rollout.why);
  rollout.features = get_hash(&r);
  rollout.policy = get_hash(&r);
  rollout.shadow_policy = get_hash(&r);
  rollout.model_count = tide_get_u8(&r);
  if (r.bad || rollout.model_count > TIDE_ROLLOUT_MODELS_MAX) return corrupt(error, "a rollout of a form that cannot be");
  for (uint32_t i = 0; i < rollout.model_count; i++) {
    rollout.model[i].hash = get_hash(&r);
    rollout.model[i].role = tide_get_u8(&r);
    rollout.model[i].weight = tide_get_u16(&r);
  }
  if (r.bad || r.ptr != r.end) return corrupt(error, "a rollout's length and its content disagree");
  *ret = rollout;
  return TIDE_OK;
}
