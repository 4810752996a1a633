/* The next rollout (registry_plan.h).
 *
 * Models stand in the order live, canaries, others; canaries keep their order, because they share the cards in it: raising one's weight then moves cards from the live model
 * to it and no others. */
#include "cli/registry_plan.h"

#include <string.h>

#define NONE UINT32_MAX

static uint32_t find_model(const struct tide_rollout *rollout, struct tide_content_hash hash) {
  for (uint32_t i = 0; i < rollout->model_count; i++)
    if (tide_content_hash_eq(rollout->model[i].hash, hash)) return i;
  return NONE;
}

static uint32_t find_role(const struct tide_rollout *rollout, enum tide_role role) {
  for (uint32_t i = 0; i < rollout->model_count; i++)
    if (rollout->model[i].role == role) return i;
  return NONE;
}

static uint32_t count_role(const struct tide_rollout *rollout, enum tide_role role) {
  uint32_t n = 0;
  for (uint32_t i = 0; i < rollout->model_count; i++) n += rollout->model[i].role == role;
  return n;
}

static void take_out(struct tide_rollout *rollout, uint32_t at) {
  rollout->model_count--;
  memmove(&rollout->model[at], &rollout->model[at + 1], (rollout->model_count - at) * sizeof rollout->model[0]);
  rollout->model[rollout->model_count] = (struct tide_rollout_model){0};
}

static enum tide_err put_in(struct tide_rollout *rollout, uint32_t at, struct tide_rollout_model model, struct tide_error *error) {
  if (rollout->model_count == TIDE_ROLLOUT_MODELS_MAX)
    return tide_fail(error, TIDE_E_USAGE, "a rollout names at most %d models: take one out first (--off)", TIDE_ROLLOUT_MODELS_MAX);
  memmove(&rollout->model[at + 1], &rollout->model[at], (rollout->model_count - at) * sizeof rollout->model[0]);
  rollout->model[at] = model;
  rollout->model_count++;
  return TIDE_OK;
}

/* The live model has what the canaries leave. */
static enum tide_err share_out(struct tide_rollout *rollout, struct tide_error *error) {
  unsigned canaries = 0;
  uint32_t live = find_role(rollout, TIDE_ROLE_live);
  for (uint32_t i = 0; i < rollout->model_count; i++)
    if (rollout->model[i].role == TIDE_ROLE_canary) canaries += rollout->model[i].weight;
  if (canaries >= TIDE_WEIGHT_ALL)
    return tide_fail(error, TIDE_E_USAGE, "the canaries would have %u of 10000 and leave the live model nothing: promote one instead",
                     canaries);
  if (live != NONE) rollout->model[live].weight = (uint16_t)(TIDE_WEIGHT_ALL - canaries);
  return TIDE_OK;
}

static enum tide_err make_live(struct tide_rollout *next, struct tide_content_hash hash, struct tide_error *error) {
  uint32_t at = find_model(next, hash);
  if (at != NONE && next->model[at].role == TIDE_ROLE_live && count_role(next, TIDE_ROLE_canary) == 0)
    return tide_fail(error, TIDE_E_USAGE, "it is live already, for all cards");
  if (at != NONE) take_out(next, at);
  for (uint32_t i = next->model_count; i-- > 0;)
    if (next->model[i].role == TIDE_ROLE_live || next->model[i].role == TIDE_ROLE_canary) take_out(next, i);
  return put_in(next, 0, (struct tide_rollout_model){hash, TIDE_ROLE_live, TIDE_WEIGHT_ALL}, error);
}

static enum tide_err make_canary(struct tide_rollout *next, struct tide_content_hash hash, uint16_t weight, struct tide_error *error) {
  uint32_t at = find_model(next, hash), live = find_role(next, TIDE_ROLE_live);
  if (live == NONE) return tide_fail(error, TIDE_E_USAGE, "a canary needs a live model beside it: roll one out first");
  if (at == live) return tide_fail(error, TIDE_E_USAGE, "it is the live model: a canary is another one");
  if (at != NONE && next->model[at].role == TIDE_ROLE_fallback)
    return tide_fail(error, TIDE_E_USAGE, "it is the fallback model: take it out of that first (--off)");
  if (at != NONE && next->model[at].role == TIDE_ROLE_canary) {
    if (next->model[at].weight == weight) return tide_fail(error, TIDE_E_USAGE, "it is a canary with this weight already");
    next->model[at].weight = weight;
    return share_out(next, error);
  }
  if (at != NONE) take_out(next, at);
  live = find_role(next, TIDE_ROLE_live);
  uint32_t behind = live + 1;
  while (behind < next->model_count && next->model[behind].role == TIDE_ROLE_canary) behind++;
  enum tide_err err = put_in(next, behind, (struct tide_rollout_model){hash, TIDE_ROLE_canary, weight}, error);
  return err ? err : share_out(next, error);
}

static enum tide_err make_other(struct tide_rollout *next, struct tide_content_hash hash, enum tide_role role, struct tide_error *error) {
  uint32_t at = find_model(next, hash);
  if (at != NONE && next->model[at].role == role) return tide_fail(error, TIDE_E_USAGE, "it has this role already");
  if (at != NONE && next->model[at].role == TIDE_ROLE_live)
    return tide_fail(error, TIDE_E_USAGE, "it is the live model: one model has one role, so make another one live first");
  if (at != NONE) take_out(next, at);
  uint32_t fallback = role == TIDE_ROLE_fallback ? find_role(next, role) : NONE;
  if (fallback != NONE) take_out(next, fallback);
  enum tide_err err = put_in(next, next->model_count, (struct tide_rollout_model){hash, (uint8_t)role, 0}, error);
  return err ? err : share_out(next, error); /* it may have been a canary */
}

static enum tide_err make_off(struct tide_rollout *next, struct tide_content_hash hash, struct tide_error *error) {
  uint32_t at = find_model(next, hash);
  if (at == NONE) return tide_fail(error, TIDE_E_USAGE, "it has no role in this cell");
  if (next->model[at].role == TIDE_ROLE_live)
    return tide_fail(error, TIDE_E_USAGE, "it is the live model: roll out another one, or go back (rollback)");
  take_out(next, at);
  return share_out(next, error);
}

enum tide_err tide_plan_model(struct tide_rollout *rollout, struct tide_content_hash hash, enum tide_plan_how how, uint16_t weight,
                              struct tide_error *error) {
  struct tide_rollout next = *rollout;
  enum tide_err err = TIDE_OK;
  switch (how) {
    case TIDE_PLAN_LIVE: err = make_live(&next, hash, error); break;
    case TIDE_PLAN_CANARY: err = make_canary(&next, hash, weight, error); break;
    case TIDE_PLAN_SHADOW: err = make_other(&next, hash, TIDE_ROLE_shadow, error); break;
    case TIDE_PLAN_FALLBACK: err = make_other(&next, hash, TIDE_ROLE_fallback, error); break;
    case TIDE_PLAN_OFF: err = make_off(&next, hash, error); break;
  }
  if (!err) *rollout = next;
  return err;
}

enum tide_err tide_plan_policy(struct tide_rollout *rollout, struct tide_content_hash hash, enum tide_plan_how how,
                               struct tide_error *error) {
  static const struct tide_content_hash none;
  TIDE_CHECK(how == TIDE_PLAN_LIVE || how == TIDE_PLAN_SHADOW || how == TIDE_PLAN_OFF);
  bool live = tide_content_hash_eq(rollout->policy, hash), shadow = tide_content_hash_eq(rollout->shadow_policy, hash);
  if (how == TIDE_PLAN_LIVE && live) return tide_fail(error, TIDE_E_USAGE, "this policy is in force already");
  if (how != TIDE_PLAN_LIVE && live) return tide_fail(error, TIDE_E_USAGE, "this policy is in force; a shadow policy is another one");
  if (how == TIDE_PLAN_SHADOW && shadow) return tide_fail(error, TIDE_E_USAGE, "it is the shadow policy already");
  if (how == TIDE_PLAN_OFF && !shadow) return tide_fail(error, TIDE_E_USAGE, "it is not the shadow policy");
  if (how == TIDE_PLAN_LIVE) rollout->policy = hash;
  if (how == TIDE_PLAN_SHADOW) rollout->shadow_policy = hash;
  else if (shadow) rollout->shadow_policy = none;
  return TIDE_OK;
}

enum tide_err tide_plan_features(struct tide_rollout *rollout, struct tide_content_hash hash, struct tide_error *error) {
  if (tide_content_hash_eq(rollout->features, hash)) return tide_fail(error, TIDE_E_USAGE, "this feature file is in force already");
  rollout->features = hash;
  return TIDE_OK;
}

enum tide_err tide_plan_promote(struct tide_rollout *rollout, enum tide_artifact_kind kind, struct tide_content_hash hash,
                                struct tide_error *error) {
  TIDE_CHECK(kind != TIDE_ARTIFACT_features);
  bool model = kind == TIDE_ARTIFACT_model;
  if (tide_content_hash_is_zero(hash)) {
    const char *state = model && find_role(rollout, TIDE_ROLE_canary) != NONE ? "canary" : "shadow";
    if (!tide_plan_find(rollout, kind, state, &hash))
      return tide_fail(error, TIDE_E_USAGE,
                       model ? "there is not exactly one canary (or shadow model): name the one to promote"
                             : "there is no shadow policy to promote");
  }
  const char *state = tide_plan_state(rollout, kind, hash);
  if (!state || (strcmp(state, "canary") != 0 && strcmp(state, "shadow") != 0))
    return tide_fail(error, TIDE_E_USAGE,
                     "it is neither canary nor shadow here, so there is nothing to promote; `rollout` makes it live at once");
  return model ? tide_plan_model(rollout, hash, TIDE_PLAN_LIVE, 0, error) : tide_plan_policy(rollout, hash, TIDE_PLAN_LIVE, error);
}

const char *tide_plan_state(const struct tide_rollout *rollout, enum tide_artifact_kind kind, struct tide_content_hash hash) {
  static const char *const names[] = {
#define X(name, text) #name,
      TIDE_ROLES(X)
#undef X
  };
  if (kind == TIDE_ARTIFACT_model) {
    uint32_t at = find_model(rollout, hash);
    return at == NONE ? NULL : names[rollout->model[at].role];
  }
  if (tide_content_hash_eq(hash, kind == TIDE_ARTIFACT_policy ? rollout->policy : rollout->features)) return "live";
  return kind == TIDE_ARTIFACT_policy && tide_content_hash_eq(hash, rollout->shadow_policy) ? "shadow" : NULL;
}

bool tide_plan_find(const struct tide_rollout *rollout, enum tide_artifact_kind kind, const char *state, struct tide_content_hash *ret) {
  struct tide_content_hash found = {{0}};
  unsigned hits = 0;
  for (uint32_t i = 0; kind == TIDE_ARTIFACT_model && i < rollout->model_count; i++) {
    if (strcmp(tide_plan_state(rollout, kind, rollout->model[i].hash), state) != 0) continue;
    found = rollout->model[i].hash;
    hits++;
  }
  if (kind != TIDE_ARTIFACT_model) {
    bool live = strcmp(state, "live") == 0, shadow = kind == TIDE_ARTIFACT_policy && strcmp(state, "shadow") == 0;
    if (live) found = kind == TIDE_ARTIFACT_policy ? rollout->policy : rollout->features;
    if (shadow) found = rollout->shadow_policy;
    hits = !tide_content_hash_is_zero(found);
  }
  if (hits == 1) *ret = found;
  return hits == 1;
}

bool tide_plan_differs(const struct tide_rollout *a, const struct tide_rollout *b, enum tide_artifact_kind kind) {
  switch (kind) {
    case TIDE_ARTIFACT_features: return !tide_content_hash_eq(a->features, b->features);
    case TIDE_ARTIFACT_policy:
      return !tide_content_hash_eq(a->policy, b->policy) || !tide_content_hash_eq(a->shadow_policy, b->shadow_policy);
    case TIDE_ARTIFACT_model:
    case TIDE_ARTIFACT_KIND_COUNT: break;
  }
  if (a->model_count != b->model_count) return true;
  for (uint32_t i = 0; i < a->model_count; i++)
    if (!tide_content_hash_eq(a->model[i].hash, b->model[i].hash) || a->model[i].role != b->model[i].role ||
        a->model[i].weight != b->model[i].weight)
      return true;
  return false;
}
