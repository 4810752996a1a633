/* Versions and rollouts, for people (inspect_rollout.h): the members of their JSON objects.
 *
 * Of an artifact its name, hash and length are shown and not its content: it is looked at with the verbs that are made for it. A hash that is not
 * there is null. */
#include "core/inspect_rollout.h"

#include "base/json_out.h"
#include "model/artifact.h"

static void put_hash(struct tide_buf *out, const char *key, struct tide_content_hash hash) {
  char text[TIDE_CONTENT_HASH_TEXT];
  tide_json_key(out, key);
  if (tide_content_hash_is_zero(hash)) tide_json_null(out);
  else tide_json_cstr(out, tide_content_hash_text(hash, text));
}

void tide_rollout_json(const struct tide_rollout *rollout, struct tide_buf *out) {
  tide_json_key(out, "number");
  tide_json_int(out, (int64_t)rollout->number);
  tide_json_key(out, "who");
  tide_json_cstr(out, rollout->who);
  tide_json_key(out, "why");
  tide_json_cstr(out, rollout->why);
  put_hash(out, "features", rollout->features);
  put_hash(out, "policy", rollout->policy);
  put_hash(out, "shadow_policy", rollout->shadow_policy);
  tide_json_key(out, "models");
  tide_json_open(out, '[');
  for (uint32_t i = 0; i < rollout->model_count; i++) {
    const struct tide_rollout_model *model = &rollout->model[i];
    tide_json_open(out, '{');
    put_hash(out, "hash", model->hash);
    tide_json_key(out, "role");
    if (model->role < TIDE_ROLE_COUNT) tide_json_cstr(out, tide_role_name((enum tide_role)model->role));
    else tide_json_int(out, model->role);
    tide_json_key(out, "weight");
    tide_json_int(out, model->weight);
    tide_json_close(out, '}');
  }
  tide_json_close(out, ']');
}

/* As answers name it; nothing where it does not parse, which is no damage of the journal: a rollout of it is void. */
static void put_model(struct tide_span bytes, struct tide_buf *out) {
  struct tide_model *model;
  if (tide_model_parse(bytes, &model, NULL) != TIDE_OK) return;
  tide_json_key(out, "model");
  tide_json_cstr(out, model->id);
  tide_json_key(out, "version");
  tide_json_cstr(out, model->version);
  tide_json_key(out, "inputs");
  tide_json_int(out, model->input_count);
  tide_model_free(model);
}

enum tide_err tide_inspect_rollout(const struct tide_raw_record *raw, struct tide_buf *out, struct tide_error *error) {
  struct tide_artifact artifact;
  struct tide_rollout rollout;
  if (raw->type == TIDE_REC_ROLLOUT) {
    enum tide_err err = tide_rollout_decode(raw, &rollout, error);
    if (err) return err;
    tide_rollout_json(&rollout, out);
    const char *fault = tide_rollout_fault(&rollout);
    if (!fault) return TIDE_OK;
    tide_json_key(out, "void");
    tide_json_cstr(out, fault);
    return TIDE_OK;
  }
  enum tide_err err = tide_artifact_decode(raw, &artifact, error);
  if (err) return err;
  tide_json_key(out, "kind");
  tide_json_cstr(out, tide_artifact_kind_name((enum tide_artifact_kind)artifact.kind));
  tide_json_key(out, "name");
  tide_json_str(out, artifact.name);
  put_hash(out, "hash", artifact.hash);
  tide_json_key(out, "content_bytes");
  tide_json_int(out, (int64_t)artifact.bytes.len);
  if (artifact.kind == TIDE_ARTIFACT_model) put_model(artifact.bytes, out);
  return TIDE_OK;
}
