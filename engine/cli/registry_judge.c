/* Judging a rollout (registry_judge.h): a library of versions is filled as the journal would fill the fold's, and the rollout applied to it.
 *
 * So there is no second opinion about what fits: feature file parsed, policy put into it, models bound, weights summed by the fold's own functions. */
#include "cli/registry_judge.h"

#include "cli/registry_plan.h"
#include "core/versions.h"
#include "feature/spec_compose.h"

#include <stdio.h>

/* "model cards-1@1f2e3d4c" */
static const char *label(const struct tide_registry_version *version, char out[TIDE_VERSION_TEXT + 16]) {
  char text[TIDE_VERSION_TEXT];
  snprintf(out, TIDE_VERSION_TEXT + 16, "%s %s", tide_registry_kind_name((enum tide_artifact_kind)version->kind),
           tide_version_text(tide_span_of(version->name), version->hash, text));
  return out;
}

struct judge {
  struct tide_registry *registry;
  const struct tide_rollout *before, *next;
  bool checked;
  struct tide_versions *versions;
  struct tide_error *error;
};

/* In force before this, under the same feature file. */
static bool was_there(const struct judge *j, const struct tide_registry_version *version) {
  return j->before->number && tide_content_hash_eq(j->before->features, j->next->features) &&
         tide_plan_state(j->before, (enum tide_artifact_kind)version->kind, version->hash);
}

static enum tide_err judge_check(const struct judge *j, const struct tide_registry_version *version) {
  char name[TIDE_VERSION_TEXT + 16];
  const char *kind = tide_registry_kind_name((enum tide_artifact_kind)version->kind);
  struct tide_version_check check = {0};
  enum tide_err err = tide_registry_check(j->registry, version, &check, j->error);
  if (err == TIDE_E_NOT_FOUND)
    return tide_fail(j->error, TIDE_E_CONFIG, "%s was never validated: tidemark %s validate", label(version, name), kind);
  if (err) return err;
  tide_buf_release(&check.figures);
  if (!check.passed)
    return tide_fail(j->error, TIDE_E_CONFIG, "%s did not pass its validation: see tidemark %s list --json", label(version, name), kind);
  if (tide_content_hash_eq(check.features, j->next->features)) return TIDE_OK;
  return tide_fail(j->error, TIDE_E_CONFIG,
                   "%s was validated with another feature file than the rollout's: validate it with this one (--features)",
                   label(version, name));
}

static enum tide_err judge_version(const struct judge *j, enum tide_artifact_kind kind, struct tide_content_hash hash) {
  struct tide_registry_version version;
  struct tide_act retired;
  struct tide_buf bytes = TIDE_BUF_INIT;
  char name[TIDE_VERSION_TEXT + 16];
  if (tide_content_hash_is_zero(hash)) return TIDE_OK;
  enum tide_err err = tide_registry_about(j->registry, kind, hash, &version, j->error);
  if (err) return err;
  enum tide_err found = was_there(j, &version) ? TIDE_E_NOT_FOUND : tide_registry_retired(j->registry, &version, &retired, j->error);
  if (found == TIDE_OK)
    return tide_fail(j->error, TIDE_E_CONFIG, "%s was retired by %s: %.100s", label(&version, name), retired.who, retired.why);
  if (found != TIDE_E_NOT_FOUND) return found;
  if (j->checked && !was_there(j, &version)) err = judge_check(j, &version);
  if (!err) err = tide_registry_content(j->registry, kind, hash, &bytes, j->error);
  struct tide_artifact artifact = {(uint8_t)kind, hash, tide_span_of(version.name), tide_buf_span(&bytes)};
  if (!err) tide_versions_put(j->versions, &artifact);
  tide_buf_release(&bytes);
  return err;
}

static enum tide_err judge_all(const struct judge *j) {
  const struct tide_rollout *next = j->next;
  enum tide_err err = judge_version(j, TIDE_ARTIFACT_features, next->features);
  if (!err) err = judge_version(j, TIDE_ARTIFACT_policy, next->policy);
  if (!err) err = judge_version(j, TIDE_ARTIFACT_policy, next->shadow_policy);
  for (uint32_t i = 0; i < next->model_count && !err; i++) err = judge_version(j, TIDE_ARTIFACT_model, next->model[i].hash);
  if (!err && tide_versions_apply(j->versions, next, 0) != TIDE_ROLLOUT_DONE)
    err = tide_fail(j->error, TIDE_E_CONFIG, "these versions cannot be in force together: %.250s", j->versions->void_why);
  return err;
}

enum tide_err tide_judge_spec(struct tide_registry *registry, struct tide_content_hash features, struct tide_content_hash policy,
                              struct tide_spec **ret, struct tide_error *error) {
  struct tide_buf text = TIDE_BUF_INIT, rules = TIDE_BUF_INIT;
  struct tide_error why = {0};
  enum tide_err err = tide_registry_content(registry, TIDE_ARTIFACT_features, features, &text, error);
  bool own = tide_content_hash_is_zero(policy);
  if (!err && !own) err = tide_registry_content(registry, TIDE_ARTIFACT_policy, policy, &rules, error);
  if (!err) {
    err = own ? tide_spec_parse("features", tide_buf_span(&text), ret, &why, 1, NULL)
              : tide_spec_parse_composed(tide_buf_span(&text), tide_buf_span(&rules), ret, &why, 1, NULL);
    if (err)
      err = tide_fail(error, err, "line %d of the %s version: %.250s", why.line, own ? "feature file's" : "policy's or feature file's",
                      why.text);
  }
  tide_buf_release(&text);
  tide_buf_release(&rules);
  return err;
}

enum tide_err tide_judge_rollout(struct tide_registry *registry, const struct tide_rollout *before, const struct tide_rollout *next,
                                 bool checked, struct tide_error *error) {
  static const struct tide_content_hash own;
  struct tide_spec *spec = NULL;
  const char *fault = tide_rollout_fault(next);
  if (fault) return tide_fail(error, TIDE_E_CONFIG, "this cannot be rolled out: %s", fault);
  enum tide_err err = tide_judge_spec(registry, next->features, own, &spec, error);
  if (err) return err;
  struct judge j = {registry, before, next, checked, tide_alloc(sizeof *j.versions), error};
  tide_versions_init(j.versions, spec);
  err = judge_all(&j);
  tide_versions_release(j.versions);
  tide_free(j.versions);
  tide_spec_free(spec);
  return err;
}
