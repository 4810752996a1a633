/* The library and the rollout in force (versions.h).
 *
 * Applying works on the side: models are bound and policies parsed into a fresh struct, and what is in force already is taken over by its hash; only when all of it is there does
 * it replace what counts. What fails is told in words that are part of the state, so every engine gives the same reason. */
#include "core/versions.h"

#include <stdio.h>

#include "feature/spec_compose.h"

void tide_versions_init(struct tide_versions *versions, struct tide_spec *spec) {
  *versions = (struct tide_versions){.policy = tide_alloc(TIDE_POLICIES_MAX * sizeof *versions->policy)};
  versions->features = tide_content_hash((struct tide_span){spec->text, spec->text_len});
  versions->policy[0].spec = spec;
  versions->policy[0].features = spec->hash;
  tide_version_text(tide_span_of(spec->name), versions->features, versions->policy[0].label);
}

static void free_version(struct tide_version *version) {
  tide_buf_release(&version->bytes);
  tide_free(version);
}

void tide_versions_release(struct tide_versions *versions) {
  for (uint32_t i = 0; i < versions->count; i++) free_version(versions->item[i]);
  for (uint32_t i = 0; i < TIDE_ROLLOUT_MODELS_MAX; i++) tide_model_free(versions->model[i]);
  for (uint32_t p = 1; versions->policy && p < TIDE_POLICIES_MAX; p++) tide_spec_free(versions->policy[p].spec);
  tide_spec_free(versions->shadow.spec);
  tide_free(versions->policy);
  *versions = (struct tide_versions){0};
}

/* ---- the library ---- */

static uint32_t place_of(const struct tide_versions *versions, enum tide_artifact_kind kind, struct tide_content_hash hash) {
  for (uint32_t i = 0; i < versions->count; i++)
    if (versions->item[i]->kind == kind && tide_content_hash_eq(versions->item[i]->hash, hash)) return i;
  return UINT32_MAX;
}

const struct tide_version *tide_versions_find(const struct tide_versions *versions, enum tide_artifact_kind kind,
                                              struct tide_content_hash hash) {
  uint32_t i = place_of(versions, kind, hash);
  return i == UINT32_MAX ? NULL : versions->item[i];
}

static bool is_named_by(const struct tide_rollout *rollout, const struct tide_version *version) {
  if (version->kind == TIDE_ARTIFACT_features) return tide_content_hash_eq(version->hash, rollout->features);
  if (version->kind == TIDE_ARTIFACT_policy)
    return tide_content_hash_eq(version->hash, rollout->policy) || tide_content_hash_eq(version->hash, rollout->shadow_policy);
  for (uint32_t i = 0; i < rollout->model_count; i++)
    if (tide_content_hash_eq(version->hash, rollout->model[i].hash)) return true;
  return false;
}

/* The fold waits, and what it waits for was looked for and found. The feature file it has parsed already. */
static bool is_awaited(const struct tide_versions *versions, const struct tide_version *version) {
  return version->kind != TIDE_ARTIFACT_features && is_named_by(&versions->awaited, version);
}

/* From the newest back, beyond its share of each kind. */
static void drop_spare(struct tide_versions *versions) {
  uint32_t spare[TIDE_ARTIFACT_KIND_COUNT] = {0};
  for (uint32_t i = versions->count; i-- > 0;) {
    struct tide_version *version = versions->item[i];
    uint32_t most = version->kind == TIDE_ARTIFACT_features ? TIDE_VERSIONS_SPARE_FEATURES : TIDE_VERSIONS_SPARE;
    if (is_named_by(&versions->rollout, version) || spare[version->kind]++ < most || is_awaited(versions, version)) continue;
    free_version(version);
    versions->count--;
    memmove(&versions->item[i], &versions->item[i + 1], (versions->count - i) * sizeof versions->item[0]);
  }
}
_Static_assert(2 * (TIDE_ROLLOUT_MODELS_MAX + 3) + 2 * TIDE_VERSIONS_SPARE + TIDE_VERSIONS_SPARE_FEATURES < TIDE_VERSIONS_MAX,
               "room for one more");

static struct tide_version *version_new(uint8_t kind, struct tide_content_hash hash, struct tide_span name, struct tide_span bytes) {
  struct tide_version *version = tide_alloc(sizeof *version);
  version->kind = kind;
  version->hash = hash;
  memcpy(version->name, name.len ? name.ptr : "", name.len);
  tide_buf_put(&version->bytes, bytes.ptr, bytes.len);
  return version;
}

void tide_versions_put(struct tide_versions *versions, const struct tide_artifact *artifact) {
  uint32_t i = place_of(versions, (enum tide_artifact_kind)artifact->kind, artifact->hash);
  struct tide_version *version;
  if (i == UINT32_MAX) {
    version = version_new(artifact->kind, artifact->hash, artifact->name, artifact->bytes);
  } else {
    version = versions->item[i];
    versions->count--;
    memmove(&versions->item[i], &versions->item[i + 1], (versions->count - i) * sizeof versions->item[0]);
  }
  TIDE_CHECK(versions->count < TIDE_VERSIONS_MAX);
  versions->item[versions->count++] = version;
  drop_spare(versions);
}

/* ---- a rollout ---- */

/* What is made of a rollout before it counts. */
struct making {
  struct tide_versions *versions;
  const struct tide_rollout *rollout;
  struct tide_model *model[TIDE_ROLLOUT_MODELS_MAX]; /* by place; `taken`: those in force are only borrowed */
  bool taken[TIDE_ROLLOUT_MODELS_MAX];
  struct tide_router router;
  uint32_t policy;              /* its place */
  struct tide_spec *new_policy; /* NULL: it stands at its place already */
  struct tide_spec *shadow;     /* NULL: none, or the one that is there */
  struct tide_error error;
};

static enum tide_err missing(struct making *m, enum tide_artifact_kind kind, struct tide_content_hash hash) {
  char text[TIDE_CONTENT_HASH_TEXT];
  return tide_fail(&m->error, TIDE_E_NOT_FOUND, "the journal has no %s %.16s", tide_artifact_kind_name(kind),
                   tide_content_hash_text(hash, text));
}

static enum tide_err make_model(struct making *m, uint32_t i) {
  const struct tide_rollout_model *wanted = &m->rollout->model[i];
  const struct tide_versions *versions = m->versions;
  for (uint32_t k = 0; k < versions->rollout.model_count; k++)
    if (tide_content_hash_eq(versions->rollout.model[k].hash, wanted->hash)) {
      m->model[i] = versions->model[k];
      m->taken[i] = true;
      return TIDE_OK;
    }
  const struct tide_version *version = tide_versions_find(versions, TIDE_ARTIFACT_model, wanted->hash);
  if (!version) return missing(m, TIDE_ARTIFACT_model, wanted->hash);
  enum tide_err err = tide_model_parse(tide_buf_span(&version->bytes), &m->model[i], &m->error);
  return err ? err : tide_model_bind(m->model[i], versions->policy[0].spec, &m->error);
}

static void route_model(struct making *m, uint32_t i) {
  struct tide_router *router = &m->router;
  const struct tide_rollout_model *wanted = &m->rollout->model[i];
  switch ((enum tide_role)wanted->role) {
    case TIDE_ROLE_live: router->live = m->model[i]; break;
    case TIDE_ROLE_canary: {
      int place = router->canary[0] ? 1 : 0;
      router->canary[place] = m->model[i];
      router->weight[place] = wanted->weight;
      break;
    }
    case TIDE_ROLE_shadow: router->shadow[router->shadows++] = m->model[i]; break;
    case TIDE_ROLE_fallback:
      router->fallback = m->model[i];
      router->fallback_entities = tide_model_entities(m->model[i], m->versions->policy[0].spec);
      break;
    default: TIDE_NEVER("a rollout without fault has roles that are known");
  }
}

static bool same_words(const struct tide_spec *a, const struct tide_spec *b) {
  bool same = a->decision_count == b->decision_count;
  for (uint32_t i = 0; same && i < a->decision_count; i++) same = strcmp(a->decision[i], b->decision[i]) == 0;
  return same;
}

/* Records about lists name them by place, and are read under the feature file's own declaration. */
static bool same_lists(const struct tide_spec *own, const struct tide_spec *other) {
  bool same = own->list_count == other->list_count;
  for (uint32_t i = 0; same && i < own->list_count; i++) {
    const struct tide_list *a = &own->list[i], *b = &other->list[i];
    same = strcmp(a->name, b->name) == 0 && (b->ref == TIDE_NONE || (a->ref == b->ref && a->is_entity == b->is_entity));
  }
  return same;
}

static enum tide_err make_policy(struct making *m, struct tide_content_hash hash, struct tide_spec **ret) {
  const struct tide_spec *own = m->versions->policy[0].spec;
  const struct tide_version *version = tide_versions_find(m->versions, TIDE_ARTIFACT_policy, hash);
  if (!version) return missing(m, TIDE_ARTIFACT_policy, hash);
  struct tide_spec *spec;
  size_t errors;
  enum tide_err err =
      tide_spec_parse_composed((struct tide_span){own->text, own->text_len}, tide_buf_span(&version->bytes), &spec, &m->error, 1, &errors);
  if (err) return err;
  TIDE_CHECK(spec->field_count == own->field_count && spec->entity_count == own->entity_count && spec->slot_count == own->slot_count &&
             spec->derived_count == own->derived_count && spec->group_count == own->group_count);
  if (!same_words(own, spec))
    err = tide_fail(&m->error, TIDE_E_MISMATCH, "policy: its decisions are not those of the feature file, word by word in their order");
  else if (!same_lists(own, spec))
    err = tide_fail(&m->error, TIDE_E_MISMATCH,
                    "policy: its lists are not those of the feature file, in their order and about the same fields");
  if (err) tide_spec_free(spec);
  else *ret = spec;
  return err;
}

/* The place of the policy that shall decide: where it stands, or a free one. */
static enum tide_err place_policy(struct making *m, int64_t kept_ms) {
  struct tide_versions *versions = m->versions;
  if (tide_content_hash_is_zero(m->rollout->policy)) return TIDE_OK; /* place 0 */
  for (uint32_t p = 1; p < TIDE_POLICIES_MAX; p++)
    if (versions->policy[p].spec && tide_content_hash_eq(versions->policy[p].hash, m->rollout->policy)) {
      m->policy = p;
      return TIDE_OK;
    }
  for (uint32_t p = 1; p < TIDE_POLICIES_MAX; p++) {
    struct tide_policy_version *policy = &versions->policy[p];
    if (policy->spec && (p == versions->now || policy->last_ms >= kept_ms)) continue;
    m->policy = p;
    return make_policy(m, m->rollout->policy, &m->new_policy);
  }
  return tide_fail(&m->error, TIDE_E_LIMIT, "answers under %d policies are still remembered (duplicates_for)", TIDE_POLICIES_MAX - 1);
}

static enum tide_err make(struct making *m, int64_t kept_ms) {
  const struct tide_rollout *rollout = m->rollout;
  const char *fault = tide_rollout_fault(rollout);
  if (fault) return tide_fail(&m->error, TIDE_E_CONFIG, "%s", fault);
  if (!tide_content_hash_eq(rollout->features, m->versions->features))
    return tide_fail(&m->error, TIDE_E_MISMATCH, "it is for another feature file than the one in force");
  for (uint32_t i = 0; i < rollout->model_count; i++) {
    enum tide_err err = make_model(m, i);
    if (err) return err;
    route_model(m, i);
  }
  enum tide_err err = place_policy(m, kept_ms);
  bool shadow = !tide_content_hash_is_zero(rollout->shadow_policy);
  if (!err && shadow) err = make_policy(m, rollout->shadow_policy, &m->shadow);
  return err;
}

static void label_policy(const struct tide_versions *versions, struct tide_content_hash hash, uint64_t number,
                         struct tide_policy_version *ret) {
  char text[TIDE_VERSION_TEXT];
  const struct tide_version *version = tide_versions_find(versions, TIDE_ARTIFACT_policy, hash);
  tide_version_text(tide_span_of(version->name), hash, text);
  ret->hash = hash;
  ret->features = versions->policy[0].spec->hash;
  ret->number = number;
  ret->last_ms = INT64_MIN;
  snprintf(ret->label, sizeof ret->label, "p-%llu/%s", (unsigned long long)number, text);
}

/* A model is called what whoever put it in force calls it: by the registry's name and hash of the version, or as its file does. */
static void name_model(const struct tide_versions *versions, const struct tide_rollout *rollout, uint32_t i) {
  const struct tide_version *version = tide_versions_find(versions, TIDE_ARTIFACT_model, rollout->model[i].hash);
  struct tide_model *model = versions->model[i];
  _Static_assert(TIDE_MODEL_ID >= TIDE_VERSION_TEXT, "room for a version's name");
  if (strcmp(rollout->who, TIDE_ROLLOUT_BY_FILE) != 0) tide_version_text(tide_span_of(version->name), version->hash, model->id);
  else tide_model_name(model);
}

static void take_effect(struct making *m) {
  struct tide_versions *versions = m->versions;
  for (uint32_t k = 0; k < versions->rollout.model_count; k++) {
    bool stays = false;
    for (uint32_t i = 0; i < m->rollout->model_count; i++) stays |= m->taken[i] && m->model[i] == versions->model[k];
    if (!stays) tide_model_free(versions->model[k]);
  }
  memcpy(versions->model, m->model, sizeof versions->model);
  versions->router = m->router;
  versions->rollout = *m->rollout;
  for (uint32_t i = 0; i < m->rollout->model_count; i++) name_model(versions, m->rollout, i);
  versions->now = m->policy;
  if (m->new_policy) {
    struct tide_policy_version *policy = &versions->policy[m->policy];
    tide_spec_free(policy->spec);
    policy->spec = m->new_policy;
    label_policy(versions, m->rollout->policy, m->rollout->number, policy);
  }
  tide_spec_free(versions->shadow.spec);
  versions->shadow = (struct tide_policy_version){.spec = m->shadow};
  if (m->shadow) label_policy(versions, m->rollout->shadow_policy, m->rollout->number, &versions->shadow);
  drop_spare(versions);
}

static void unmake(struct making *m) {
  for (uint32_t i = 0; i < TIDE_ROLLOUT_MODELS_MAX; i++)
    if (!m->taken[i]) tide_model_free(m->model[i]);
  tide_spec_free(m->new_policy);
  tide_spec_free(m->shadow);
}

enum tide_rollout_end tide_versions_apply(struct tide_versions *versions, const struct tide_rollout *rollout, int64_t kept_ms) {
  if (rollout->number <= versions->rollout.number) return TIDE_ROLLOUT_PAST;
  struct making m = {.versions = versions, .rollout = rollout};
  if (make(&m, kept_ms) == TIDE_OK) {
    take_effect(&m);
    return TIDE_ROLLOUT_DONE;
  }
  unmake(&m);
  tide_versions_void(versions, rollout->number, m.error.text);
  return TIDE_ROLLOUT_VOID;
}

void tide_versions_void(struct tide_versions *versions, uint64_t number, const char *why) {
  versions->void_number = number;
  snprintf(versions->void_why, sizeof versions->void_why, "%.*s", TIDE_VOID_WHY - 1, why);
}

/* ---- over another feature file ---- */

enum tide_err tide_versions_can(const struct tide_versions *versions, struct tide_spec *spec, const struct tide_rollout *rollout,
                                struct tide_error *error) {
  struct tide_versions other;
  tide_versions_init(&other, spec);
  memcpy(other.item, versions->item, sizeof other.item); /* lent */
  other.count = versions->count;
  struct making m = {.versions = &other, .rollout = rollout};
  enum tide_err err = make(&m, INT64_MIN);
  if (err && error) *error = m.error;
  unmake(&m);
  tide_free(other.policy);
  return err;
}

void tide_versions_hand_over(struct tide_versions *from, struct tide_versions *to) {
  TIDE_CHECK(!to->count && !to->rollout.number);
  memcpy(to->item, from->item, sizeof to->item);
  to->count = from->count;
  to->void_number = from->void_number;
  memcpy(to->void_why, from->void_why, sizeof to->void_why);
  for (uint32_t i = 0; i < TIDE_ROLLOUT_MODELS_MAX; i++) tide_model_free(from->model[i]);
  tide_spec_free(from->shadow.spec);
  *from = (struct tide_versions){.features = from->features, .policy = from->policy};
}

/* ---- snapshots ---- */

static void put_hash(struct tide_buf *out, struct tide_content_hash hash) { tide_buf_put(out, hash.byte, sizeof hash.byte); }

static struct tide_content_hash get_hash(struct tide_reader *reader) {
  struct tide_content_hash hash = {{0}};
  struct tide_span bytes = tide_get_bytes(reader, sizeof hash.byte);
  if (!reader->bad) memcpy(hash.byte, bytes.ptr, sizeof hash.byte);
  return hash;
}

void tide_versions_save(const struct tide_versions *versions, struct tide_buf *out) {
  tide_put_varint(out, versions->count);
  for (uint32_t i = 0; i < versions->count; i++) {
    const struct tide_version *version = versions->item[i];
    tide_put_u8(out, version->kind);
    put_hash(out, version->hash);
    tide_put_span(out, tide_span_of(version->name));
    tide_put_span(out, tide_buf_span(&version->bytes));
  }
  struct tide_buf rollout = TIDE_BUF_INIT;
  if (versions->rollout.number) tide_rollout_write(&versions->rollout, &rollout);
  tide_put_span(out, tide_buf_span(&rollout));
  tide_buf_release(&rollout);
  tide_put_u64(out, versions->void_number);
  tide_put_span(out, tide_span_of(versions->void_why));
  tide_put_varint(out, versions->now);
  tide_versions_save_policies(versions, out);
}

void tide_versions_save_policies(const struct tide_versions *versions, struct tide_buf *out) {
  for (uint32_t p = 1; p < TIDE_POLICIES_MAX; p++) {
    const struct tide_policy_version *policy = &versions->policy[p];
    if (!policy->spec) continue;
    tide_put_varint(out, p);
    put_hash(out, policy->hash);
    tide_put_span(out, tide_span_of(policy->label));
    tide_put_u64(out, policy->number);
    tide_put_u64(out, (uint64_t)policy->last_ms);
    tide_put_span(out, (struct tide_span){policy->spec->text, policy->spec->text_len});
  }
  tide_put_varint(out, 0); /* no place: the end */
}

static bool get_text(struct tide_reader *reader, char *ret, size_t size) {
  struct tide_span text = tide_get_span(reader);
  if (reader->bad || text.len >= size || memchr(text.len ? text.ptr : "x", 0, text.len ? text.len : 1)) return false;
  if (text.len) memcpy(ret, text.ptr, text.len);
  ret[text.len] = 0;
  return true;
}

static bool load_version(struct tide_versions *versions, struct tide_reader *reader) {
  uint8_t kind = tide_get_u8(reader);
  struct tide_content_hash hash = get_hash(reader);
  char name[TIDE_ARTIFACT_NAME];
  if (!get_text(reader, name, sizeof name)) return false;
  struct tide_span bytes = tide_get_span(reader);
  if (reader->bad || kind >= TIDE_ARTIFACT_KIND_COUNT || !tide_content_hash_eq(hash, tide_content_hash(bytes))) return false;
  versions->item[versions->count++] = version_new(kind, hash, tide_span_of(name), bytes);
  return true;
}

bool tide_versions_load_policies(struct tide_versions *versions, struct tide_reader *reader) {
  const struct tide_spec *own = versions->policy[0].spec;
  for (;;) {
    uint64_t p = tide_get_varint(reader);
    if (reader->bad || p >= TIDE_POLICIES_MAX || (p && versions->policy[p].spec)) return false;
    if (!p) return true;
    struct tide_policy_version *policy = &versions->policy[p];
    policy->hash = get_hash(reader);
    if (!get_text(reader, policy->label, sizeof policy->label)) return false;
    policy->number = tide_get_u64(reader);
    policy->features = own->hash;
    policy->last_ms = (int64_t)tide_get_u64(reader);
    struct tide_span text = tide_get_span(reader);
    struct tide_error error;
    size_t errors;
    if (reader->bad || tide_spec_parse("snapshot", text, &policy->spec, &error, 1, &errors) != TIDE_OK) return false;
    if (policy->spec->field_count != own->field_count || policy->spec->slot_count != own->slot_count || !same_words(own, policy->spec) ||
        !same_lists(own, policy->spec))
      return false;
  }
}

/* The rollout once more, from the library that was loaded with it. */
static bool load_rollout(struct tide_versions *versions, const struct tide_rollout *rollout, uint32_t now) {
  struct making m = {.versions = versions, .rollout = rollout};
  bool good = make(&m, INT64_MIN) == TIDE_OK && !m.new_policy && m.policy == now;
  if (good) {
    take_effect(&m);
    return true;
  }
  for (uint32_t i = 0; i < TIDE_ROLLOUT_MODELS_MAX; i++) tide_model_free(m.model[i]);
  tide_spec_free(m.new_policy);
  tide_spec_free(m.shadow);
  return false;
}

bool tide_versions_load(struct tide_versions *versions, struct tide_reader *reader) {
  uint64_t count = tide_get_varint(reader);
  if (reader->bad || count >= TIDE_VERSIONS_MAX) return false;
  for (uint64_t i = 0; i < count; i++)
    if (!load_version(versions, reader)) return false;
  struct tide_span bytes = tide_get_span(reader);
  versions->void_number = tide_get_u64(reader);
  if (!get_text(reader, versions->void_why, sizeof versions->void_why)) return false;
  uint64_t now = tide_get_varint(reader);
  if (reader->bad || now >= TIDE_POLICIES_MAX || !tide_versions_load_policies(versions, reader)) return false;
  if (!bytes.len) return now == 0;
  struct tide_raw_record raw = {.type = TIDE_REC_ROLLOUT, .payload = bytes};
  struct tide_rollout rollout;
  return tide_rollout_decode(&raw, &rollout, NULL) == TIDE_OK && load_rollout(versions, &rollout, (uint32_t)now);
}
