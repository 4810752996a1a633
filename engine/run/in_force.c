/* Showing what is in force (in_force.h).
 *
 * Whether anything changed is told by the fold's counters of such records, which never fall; so the usual look costs four additions. The policy is parsed once more for the
 * readers: the fold may let go of its own when nothing remembered needs it. */
#include "run/in_force.h"

#include <stdio.h>

void tide_in_force_init(struct tide_in_force *in_force) {
  *in_force = (struct tide_in_force){.seen = -1};
  TIDE_CHECK(pthread_mutex_init(&in_force->mutex, NULL) == 0);
}

void tide_in_force_release(struct tide_in_force *in_force) {
  for (struct tide_in_force_policy *next, *at = in_force->kept; at; at = next) {
    next = at->next;
    tide_spec_free(at->version.spec);
    tide_free(at);
  }
  tide_buf_release(&in_force->features_text);
  (void)pthread_mutex_destroy(&in_force->mutex);
}

static int64_t changes(const struct tide_fold *fold) {
  const int64_t *value = tide_fold_metrics(fold)->value;
  int64_t records = value[TIDE_M_artifacts_total] + value[TIDE_M_rollouts_total] + value[TIDE_M_rollouts_void_total];
  return records * (TIDE_GENERATIONS_MAX + 1) + tide_fold_generation(fold); /* another feature file comes in force behind its record */
}

static const struct tide_policy_version *keep(struct tide_in_force *in_force, const struct tide_policy_version *now) {
  for (const struct tide_in_force_policy *at = in_force->kept; at; at = at->next)
    if (strcmp(at->version.label, now->label) == 0) return &at->version;
  struct tide_in_force_policy *kept = tide_alloc(sizeof *kept);
  kept->version = *now;
  size_t errors;
  enum tide_err err =
      tide_spec_parse("policy", (struct tide_span){now->spec->text, now->spec->text_len}, &kept->version.spec, NULL, 0, &errors);
  TIDE_CHECK(err == TIDE_OK); /* the fold has parsed it */
  kept->next = in_force->kept;
  in_force->kept = kept;
  return &kept->version;
}

static void show(struct tide_engine_rollout *shown, const struct tide_fold *fold) {
  const struct tide_versions *versions = tide_fold_versions(fold);
  shown->generation = tide_fold_generation(fold);
  shown->rollout = versions->rollout;
  shown->void_number = versions->void_number;
  memcpy(shown->void_why, versions->void_why, sizeof shown->void_why);
  shown->features = versions->features;
  snprintf(shown->file, sizeof shown->file, "%.*s", (int)sizeof shown->file - 1, versions->policy[0].label);
  snprintf(shown->model, sizeof shown->model, "%s", versions->router.live ? versions->router.live->id : "");
  memcpy(shown->policy, tide_versions_policy(versions)->label, sizeof shown->policy);
  shown->version_count = versions->count;
  for (uint32_t i = 0; i < versions->count; i++) {
    shown->version[i].kind = versions->item[i]->kind;
    shown->version[i].hash = versions->item[i]->hash;
  }
}

void tide_in_force_look(struct tide_in_force *in_force, const struct tide_fold *fold) {
  if (!tide_fold_spec(fold) || in_force->seen == changes(fold)) return;
  in_force->seen = changes(fold);
  const struct tide_versions *versions = tide_fold_versions(fold);
  atomic_store_explicit(&in_force->policy, keep(in_force, tide_versions_policy(versions)), memory_order_release);
  pthread_mutex_lock(&in_force->mutex);
  show(&in_force->shown, fold);
  const struct tide_spec *spec = tide_fold_spec(fold);
  if (!tide_u128_eq(in_force->features, spec->hash)) {
    in_force->features = spec->hash;
    tide_buf_clear(&in_force->features_text);
    tide_buf_put(&in_force->features_text, spec->text, spec->text_len);
  }
  pthread_mutex_unlock(&in_force->mutex);
}

void tide_in_force_copy(struct tide_in_force *in_force, struct tide_engine_rollout *ret) {
  pthread_mutex_lock(&in_force->mutex);
  *ret = in_force->shown;
  pthread_mutex_unlock(&in_force->mutex);
}

bool tide_in_force_features(struct tide_in_force *in_force, struct tide_u128 *have, struct tide_buf *text) {
  pthread_mutex_lock(&in_force->mutex);
  bool known = in_force->features.lo || in_force->features.hi, other = known && !tide_u128_eq(in_force->features, *have);
  if (other) {
    *have = in_force->features;
    tide_buf_clear(text);
    tide_buf_put(text, in_force->features_text.ptr, in_force->features_text.len);
  }
  pthread_mutex_unlock(&in_force->mutex);
  return other;
}

const struct tide_policy_version *tide_in_force_policy(struct tide_in_force *in_force) {
  return atomic_load_explicit(&in_force->policy, memory_order_acquire);
}
