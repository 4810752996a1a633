/* The documents of a registry (registry_document.h): who did what and when, and the rollout, field by field as port/rollout.h has it.
 *
 * Times are RFC 3339 in UTC and hashes 64 hex digits, because people read these with etcdctl. Numbers above 2^53 do not occur: a rollout's number counts acts of people. */
#include "adapter/registry_document.h"

#include "base/clock.h"
#include "base/json_out.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>

#define NUMBER_MAX INT64_C(9007199254740992)

/* ---- writing ---- */

static void put_text(struct tide_buf *out, const char *name, const char *text) {
  tide_json_key(out, name);
  tide_json_cstr(out, text);
}
static void put_int(struct tide_buf *out, const char *name, uint64_t n) {
  tide_json_key(out, name);
  tide_json_int(out, (int64_t)n);
}
static void put_bool(struct tide_buf *out, const char *name, bool v) {
  tide_json_key(out, name);
  tide_json_bool(out, v);
}
static void put_time(struct tide_buf *out, const char *name, int64_t ms) {
  char text[TIDE_TIME_TEXT];
  put_text(out, name, tide_time_format((struct tide_etime){ms}, text));
}
/* Zero: left out. */
static void put_hash(struct tide_buf *out, const char *name, struct tide_content_hash hash) {
  char text[TIDE_CONTENT_HASH_TEXT];
  if (!tide_content_hash_is_zero(hash)) put_text(out, name, tide_content_hash_text(hash, text));
}
static void put_act(struct tide_buf *out, const char *who, const char *why, int64_t at_ms) {
  put_text(out, "who", who);
  put_text(out, "why", why);
  put_time(out, "at", at_ms);
}

void tide_document_about(const struct tide_registry_version *version, struct tide_buf *out) {
  tide_json_open(out, '{');
  put_text(out, "name", version->name);
  put_int(out, "bytes", version->bytes);
  put_act(out, version->pushed.who, version->pushed.why, version->pushed.at_ms);
  tide_json_close(out, '}');
}

void tide_document_act(const struct tide_act *act, struct tide_buf *out) {
  tide_json_open(out, '{');
  put_act(out, act->who, act->why, act->at_ms);
  tide_json_close(out, '}');
}

void tide_document_check(const struct tide_version_check *check, struct tide_buf *out) {
  tide_json_open(out, '{');
  put_bool(out, "passed", check->passed);
  put_act(out, check->by.who, check->by.why, check->by.at_ms);
  put_hash(out, "features", check->features);
  put_hash(out, "policy", check->policy);
  tide_json_key(out, "figures");
  tide_json_raw(out, tide_buf_span(&check->figures));
  tide_json_close(out, '}');
}

static const char *const role_names[] = {
#define X(name, text) #name,
    TIDE_ROLES(X)
#undef X
};

void tide_document_rollout(const struct tide_rollout_document *document, struct tide_buf *out) {
  const struct tide_rollout *rollout = &document->rollout;
  tide_json_open(out, '{');
  put_int(out, "number", rollout->number);
  put_act(out, rollout->who, rollout->why, document->at_ms);
  put_hash(out, "features", rollout->features);
  put_hash(out, "policy", rollout->policy);
  put_hash(out, "shadow_policy", rollout->shadow_policy);
  tide_json_key(out, "models");
  tide_json_open(out, '[');
  for (uint32_t i = 0; i < rollout->model_count; i++) {
    const struct tide_rollout_model *model = &rollout->model[i];
    TIDE_CHECK(model->role < TIDE_ROLE_COUNT);
    tide_json_open(out, '{');
    put_hash(out, "hash", model->hash);
    put_text(out, "role", role_names[model->role]);
    put_int(out, "weight", model->weight);
    tide_json_close(out, '}');
  }
  tide_json_close(out, ']');
  tide_json_close(out, '}');
}

void tide_document_card(const struct tide_engine_card *card, struct tide_buf *out) {
  tide_json_open(out, '{');
  put_int(out, "engine", card->engine_id);
  put_text(out, "address", card->address);
  put_text(out, "admin", card->admin);
  put_text(out, "version", card->version);
  put_text(out, "state", card->state);
  put_bool(out, "ready", card->ready);
  put_bool(out, "ingests", card->ingests);
  put_text(out, "position", card->position);
  put_text(out, "prepared", card->prepared);
  put_int(out, "epoch", card->epoch);
  put_int(out, "rollout", card->rollout);
  put_time(out, "started", card->started_ms);
  put_time(out, "told", card->told_ms);
  tide_json_close(out, '}');
}

/* ---- reading ---- */

/* The first thing that is wrong stays. */
struct read {
  json_t *json;
  const char *fault;
};

static struct read begin(struct tide_span text) {
  struct read r = {.json = json_loadb(text.len ? text.ptr : "", text.len, JSON_REJECT_DUPLICATES, NULL)};
  if (!json_is_object(r.json)) r.fault = "it is no JSON object";
  return r;
}

static void fault(struct read *r, const char *what) {
  if (!r->fault) r->fault = what;
}

static void get_text(struct read *r, const char *name, char *out, size_t size, const char *otherwise) {
  json_t *value = json_object_get(r->json, name);
  if (!json_is_string(value) || json_string_length(value) >= size || strlen(json_string_value(value)) != json_string_length(value)) {
    fault(r, otherwise);
    return;
  }
  memcpy(out, json_string_value(value), json_string_length(value) + 1);
}

static uint64_t get_int(struct read *r, const char *name, int64_t most, const char *otherwise) {
  json_t *value = json_object_get(r->json, name);
  int64_t n = json_integer_value(value);
  if (!json_is_integer(value) || n < 0 || n > most) fault(r, otherwise);
  return n < 0 || n > most ? 0 : (uint64_t)n;
}

static bool get_bool(struct read *r, const char *name, const char *otherwise) {
  json_t *value = json_object_get(r->json, name);
  if (!json_is_boolean(value)) fault(r, otherwise);
  return json_is_true(value);
}

static int64_t get_time(struct read *r, const char *name, const char *otherwise) {
  json_t *value = json_object_get(r->json, name);
  struct tide_etime t = {0};
  struct tide_span text = {json_string_value(value), json_string_length(value)};
  if (!json_is_string(value) || tide_time_parse(text, TIDE_TIME_RFC3339, &t) != TIDE_OK) fault(r, otherwise);
  return t.ms;
}

/* Left out: zero, where that is allowed. */
static struct tide_content_hash get_hash(struct read *r, const char *name, bool optional, const char *otherwise) {
  json_t *value = json_object_get(r->json, name);
  struct tide_content_hash hash = {{0}};
  if (!value && optional) return hash;
  struct tide_span text = {json_string_value(value), json_string_length(value)};
  if (!json_is_string(value) || !tide_content_hash_read(text, &hash) || tide_content_hash_is_zero(hash)) fault(r, otherwise);
  return hash;
}

static void get_act(struct read *r, char who[TIDE_ROLLOUT_WHO], char why[TIDE_ROLLOUT_WHY], int64_t *at_ms) {
  get_text(r, "who", who, TIDE_ROLLOUT_WHO, "`who` is no text of at most 64 bytes");
  get_text(r, "why", why, TIDE_ROLLOUT_WHY, "`why` is no text of at most 240 bytes");
  *at_ms = get_time(r, "at", "`at` is no time");
}

const char *tide_document_about_read(struct tide_span json, struct tide_registry_version *ret) {
  struct read r = begin(json);
  struct tide_registry_version version = {.kind = ret->kind, .hash = ret->hash};
  get_text(&r, "name", version.name, sizeof version.name, "`name` is no text of at most 96 bytes");
  version.bytes = get_int(&r, "bytes", TIDE_REGISTRY_VALUE_MAX, "`bytes` is no length");
  get_act(&r, version.pushed.who, version.pushed.why, &version.pushed.at_ms);
  json_decref(r.json);
  if (!r.fault) *ret = version;
  return r.fault;
}

const char *tide_document_act_read(struct tide_span json, struct tide_act *ret) {
  struct read r = begin(json);
  struct tide_act act = {0};
  get_act(&r, act.who, act.why, &act.at_ms);
  json_decref(r.json);
  if (!r.fault) *ret = act;
  return r.fault;
}

const char *tide_document_check_read(struct tide_span json, struct tide_version_check *ret) {
  struct read r = begin(json);
  struct tide_version_check check = {.passed = get_bool(&r, "passed", "`passed` is neither true nor false")};
  get_act(&r, check.by.who, check.by.why, &check.by.at_ms);
  check.features = get_hash(&r, "features", true, "`features` is no hash");
  check.policy = get_hash(&r, "policy", true, "`policy` is no hash");
  json_t *figures = json_object_get(r.json, "figures");
  char *text = json_is_object(figures) ? json_dumps(figures, JSON_COMPACT) : NULL;
  if (!text) fault(&r, "`figures` is no object");
  else tide_buf_str(&check.figures, text);
  free(text);
  json_decref(r.json);
  if (r.fault) tide_buf_release(&check.figures);
  else *ret = check;
  return r.fault;
}

static void get_model(struct read *r, json_t *json, struct tide_rollout_model *ret) {
  struct read model = {.json = json};
  char role[16] = "";
  ret->hash = get_hash(&model, "hash", false, "a model's `hash` is no hash");
  ret->weight = (uint16_t)get_int(&model, "weight", TIDE_WEIGHT_ALL, "a model's `weight` is not from 0 to 10000");
  get_text(&model, "role", role, sizeof role, "a model's `role` is no word");
  ret->role = TIDE_ROLE_COUNT;
  for (uint8_t i = 0; i < TIDE_ROLE_COUNT; i++)
    if (strcmp(role, role_names[i]) == 0) ret->role = i;
  if (ret->role == TIDE_ROLE_COUNT) fault(&model, "a model's `role` is none of live, canary, shadow, fallback");
  if (model.fault) fault(r, model.fault);
}

const char *tide_document_rollout_read(struct tide_span json, struct tide_rollout_document *ret) {
  struct read r = begin(json);
  struct tide_rollout_document document = {.rollout.number = get_int(&r, "number", NUMBER_MAX, "`number` is no number")};
  struct tide_rollout *rollout = &document.rollout;
  get_act(&r, rollout->who, rollout->why, &document.at_ms);
  rollout->features = get_hash(&r, "features", false, "`features` is no hash");
  rollout->policy = get_hash(&r, "policy", true, "`policy` is no hash");
  rollout->shadow_policy = get_hash(&r, "shadow_policy", true, "`shadow_policy` is no hash");
  json_t *models = json_object_get(r.json, "models");
  if (!json_is_array(models) || json_array_size(models) > TIDE_ROLLOUT_MODELS_MAX) fault(&r, "`models` is no list of at most 16");
  for (size_t i = 0; !r.fault && i < json_array_size(models); i++)
    get_model(&r, json_array_get(models, i), &rollout->model[rollout->model_count++]);
  json_decref(r.json);
  if (!r.fault) *ret = document;
  return r.fault;
}

const char *tide_document_card_read(struct tide_span json, struct tide_engine_card *ret) {
  struct read r = begin(json);
  struct tide_engine_card card = {.engine_id = (uint32_t)get_int(&r, "engine", UINT32_MAX, "`engine` is no number of an engine")};
  get_text(&r, "address", card.address, sizeof card.address, "`address` is no address");
  get_text(&r, "admin", card.admin, sizeof card.admin, "`admin` is no address");
  get_text(&r, "version", card.version, sizeof card.version, "`version` is no word");
  get_text(&r, "state", card.state, sizeof card.state, "`state` is no word");
  get_text(&r, "position", card.position, sizeof card.position, "`position` is no position");
  get_text(&r, "prepared", card.prepared, sizeof card.prepared, "`prepared` is no word");
  card.ready = get_bool(&r, "ready", "`ready` is neither true nor false");
  card.ingests = get_bool(&r, "ingests", "`ingests` is neither true nor false");
  card.epoch = get_int(&r, "epoch", NUMBER_MAX, "`epoch` is no number");
  card.rollout = get_int(&r, "rollout", NUMBER_MAX, "`rollout` is no number");
  card.started_ms = get_time(&r, "started", "`started` is no time");
  card.told_ms = get_time(&r, "told", "`told` is no time");
  json_decref(r.json);
  if (!r.fault) *ret = card;
  return r.fault;
}

void tide_document_epoch(uint64_t epoch, struct tide_buf *out) {
  tide_json_open(out, '{');
  put_int(out, "epoch", epoch);
  tide_json_close(out, '}');
}

const char *tide_document_epoch_read(struct tide_span json, uint64_t *ret) {
  struct read r = begin(json);
  uint64_t epoch = get_int(&r, "epoch", NUMBER_MAX, "`epoch` is no number");
  json_decref(r.json);
  if (!r.fault) *ret = epoch;
  return r.fault;
}
