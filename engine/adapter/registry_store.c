/* The keys of a registry and what stands under them (registry_store.h).
 *
 * Content is written before what is known about it, so whoever finds a version finds its bytes; a push that was cut off between the two is repeated and finds its content
 * there. A rollout takes its place by creating its key. */
#include "adapter/registry_store.h"

#include "adapter/registry_document.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define KEY (TIDE_REGISTRY_KEY_MAX + 1)

static const char *const kind_names[] = {
#define X(name) #name,
    TIDE_ARTIFACT_KINDS(X)
#undef X
};

const char *tide_registry_kind_name(enum tide_artifact_kind kind) {
  TIDE_CHECK(kind < TIDE_ARTIFACT_KIND_COUNT);
  return kind_names[kind];
}

bool tide_registry_kind_find(struct tide_span word, enum tide_artifact_kind *ret) {
  for (unsigned i = 0; i < TIDE_ARTIFACT_KIND_COUNT; i++)
    if (tide_span_is(word, kind_names[i])) {
      *ret = (enum tide_artifact_kind)i;
      return true;
    }
  return false;
}

static const char *version_key(const char *what, unsigned kind, struct tide_content_hash hash, char out[KEY]) {
  char text[TIDE_CONTENT_HASH_TEXT];
  TIDE_CHECK(kind < TIDE_ARTIFACT_KIND_COUNT);
  snprintf(out, KEY, "%s/%s/%s", what, kind_names[kind], tide_content_hash_text(hash, text));
  return out;
}

static enum tide_err corrupt(const char *key, const char *fault, struct tide_error *error) {
  return tide_fail(error, TIDE_E_CORRUPT, "the registry's %.120s is corrupt: %.100s; nothing of it is used: write it anew or remove it",
                   key, fault);
}

/* ---- versions ---- */

enum tide_err tide_registry_about(struct tide_registry *r, enum tide_artifact_kind kind, struct tide_content_hash hash,
                                  struct tide_registry_version *ret, struct tide_error *error) {
  char key[KEY];
  struct tide_buf json = TIDE_BUF_INIT;
  struct tide_registry_version version = {.kind = (uint8_t)kind, .hash = hash};
  uint64_t revision;
  version_key("about", kind, hash, key);
  enum tide_err err = r->ops->get(r, key, &json, &revision, error);
  const char *fault = err ? NULL : tide_document_about_read(tide_buf_span(&json), &version);
  if (fault) err = corrupt(key, fault, error);
  if (!err) *ret = version;
  tide_buf_release(&json);
  return err;
}

enum tide_err tide_registry_content(struct tide_registry *r, enum tide_artifact_kind kind, struct tide_content_hash hash,
                                    struct tide_buf *out, struct tide_error *error) {
  char key[KEY];
  size_t begin = out->len;
  uint64_t revision;
  enum tide_err err = r->ops->get(r, version_key("content", kind, hash, key), out, &revision, error);
  if (!err && !tide_content_hash_eq(hash, tide_content_hash((struct tide_span){out->ptr + begin, out->len - begin})))
    err = corrupt(key, "its bytes do not have this hash", error);
  if (err) out->len = begin;
  return err;
}

enum tide_err tide_registry_push(struct tide_registry *r, enum tide_artifact_kind kind, const char *name, struct tide_span bytes,
                                 const struct tide_act *act, struct tide_registry_version *ret, struct tide_error *error) {
  char key[KEY];
  struct tide_registry_version version = {.kind = (uint8_t)kind, .hash = tide_content_hash(bytes), .bytes = bytes.len, .pushed = *act};
  TIDE_CHECK(strlen(name) < sizeof version.name);
  snprintf(version.name, sizeof version.name, "%s", name);
  enum tide_err err = r->ops->put(r, version_key("content", kind, version.hash, key), bytes, 0, error);
  if (err == TIDE_E_EXISTS) { /* the same bytes, unless something else wrote there */
    struct tide_buf there = TIDE_BUF_INIT;
    err = tide_registry_content(r, kind, version.hash, &there, error);
    tide_buf_release(&there);
  }
  if (err) return err;
  struct tide_buf json = TIDE_BUF_INIT;
  tide_document_about(&version, &json);
  err = r->ops->put(r, version_key("about", kind, version.hash, key), tide_buf_span(&json), 0, error);
  tide_buf_release(&json);
  if (err == TIDE_E_EXISTS) {
    enum tide_err known = tide_registry_about(r, kind, version.hash, &version, error);
    if (known) return known;
  }
  if (!err || err == TIDE_E_EXISTS) *ret = version;
  return err;
}

static int oldest_first(const void *a, const void *b) {
  const struct tide_registry_version *x = a, *y = b;
  if (x->pushed.at_ms != y->pushed.at_ms) return x->pushed.at_ms < y->pushed.at_ms ? -1 : 1;
  return memcmp(x->hash.byte, y->hash.byte, sizeof x->hash.byte);
}

enum tide_err tide_registry_versions(struct tide_registry *r, enum tide_artifact_kind kind, struct tide_registry_version **ret,
                                     size_t *ret_count, struct tide_error *error) {
  char dir[KEY];
  struct tide_registry_rows rows;
  int len = snprintf(dir, sizeof dir, "about/%s/", tide_registry_kind_name(kind));
  enum tide_err err = r->ops->list(r, dir, TIDE_REGISTRY_ALL, &rows, error);
  if (err) return err;
  struct tide_registry_version *version = tide_alloc((rows.count + 1) * sizeof *version);
  for (size_t i = 0; !err && i < rows.count; i++) {
    version[i].kind = (uint8_t)kind;
    const char *fault = "its key ends in no hash";
    if (tide_content_hash_read(tide_span_of(rows.row[i].key + len), &version[i].hash))
      fault = tide_document_about_read(rows.row[i].value, &version[i]);
    if (fault) err = corrupt(rows.row[i].key, fault, error);
  }
  if (err) tide_free(version);
  else {
    qsort(version, rows.count, sizeof *version, oldest_first);
    *ret = version;
    *ret_count = rows.count;
  }
  tide_registry_rows_release(&rows);
  return err;
}

/* Six digits are enough for people and too many for a name to be taken for a hash by chance; a name that is hex digits is found by NAME@HASH. */
static bool is_hash_part(struct tide_span word) {
  bool hex = word.len >= 6 && word.len <= 64;
  for (size_t i = 0; i < word.len && hex; i++) hex = strchr("0123456789abcdef", word.ptr[i]) != NULL;
  return hex;
}

enum tide_err tide_registry_find(struct tide_registry *r, enum tide_artifact_kind kind, const char *word, struct tide_registry_version *ret,
                                 struct tide_error *error) {
  struct tide_registry_version *version;
  size_t count, hits = 0, at = 0;
  const char *sign = strrchr(word, '@');
  struct tide_span name = {word, sign ? (size_t)(sign - word) : strlen(word)}, digits = {0};
  if (sign) digits = tide_span_of(sign + 1);
  else if (is_hash_part(name)) digits = name;
  if (sign && !is_hash_part(digits))
    return tide_fail(error, TIDE_E_UNKNOWN_NAME, "\"%.100s\": behind the @ stand 6 to 64 hex digits of a hash", word);
  enum tide_err err = tide_registry_versions(r, kind, &version, &count, error);
  if (err) return err;
  for (size_t i = 0; i < count; i++) {
    char text[TIDE_CONTENT_HASH_TEXT];
    tide_content_hash_text(version[i].hash, text);
    bool named = tide_span_is(name, version[i].name), hashed = digits.len && memcmp(text, digits.ptr, digits.len) == 0;
    if (sign ? named && hashed : digits.len ? hashed : named) {
      hits = digits.len ? hits + 1 : 1; /* of one name the newest */
      at = i;
    }
  }
  if (hits == 1) *ret = version[at];
  else if (hits) err = tide_fail(error, TIDE_E_UNKNOWN_NAME, "%zu versions begin with \"%.100s\": write more of the hash", hits, word);
  else
    err = tide_fail(error, TIDE_E_UNKNOWN_NAME, "the registry has no %s \"%.100s\"; `tidemark %s list` shows what it has",
                    tide_registry_kind_name(kind), word, tide_registry_kind_name(kind));
  tide_free(version);
  return err;
}

/* ---- what was found out about a version ---- */

enum tide_err tide_registry_check(struct tide_registry *r, const struct tide_registry_version *version, struct tide_version_check *ret,
                                  struct tide_error *error) {
  char key[KEY];
  struct tide_buf json = TIDE_BUF_INIT;
  uint64_t revision;
  enum tide_err err = r->ops->get(r, version_key("checks", version->kind, version->hash, key), &json, &revision, error);
  const char *fault = err ? NULL : tide_document_check_read(tide_buf_span(&json), ret);
  if (fault) err = corrupt(key, fault, error);
  tide_buf_release(&json);
  return err;
}

enum tide_err tide_registry_set_check(struct tide_registry *r, const struct tide_registry_version *version,
                                      const struct tide_version_check *check, struct tide_error *error) {
  char key[KEY];
  struct tide_buf json = TIDE_BUF_INIT;
  uint64_t revision = 0;
  enum tide_err err = r->ops->get(r, version_key("checks", version->kind, version->hash, key), &json, &revision, error);
  if (err == TIDE_E_NOT_FOUND) err = TIDE_OK;
  tide_buf_clear(&json);
  tide_document_check(check, &json);
  if (!err) err = r->ops->put(r, key, tide_buf_span(&json), revision, error);
  tide_buf_release(&json);
  return err == TIDE_E_EXISTS ? TIDE_E_STALE : err;
}

enum tide_err tide_registry_retired(struct tide_registry *r, const struct tide_registry_version *version, struct tide_act *ret,
                                    struct tide_error *error) {
  char key[KEY];
  struct tide_buf json = TIDE_BUF_INIT;
  uint64_t revision;
  enum tide_err err = r->ops->get(r, version_key("retired", version->kind, version->hash, key), &json, &revision, error);
  const char *fault = err ? NULL : tide_document_act_read(tide_buf_span(&json), ret);
  if (fault) err = corrupt(key, fault, error);
  tide_buf_release(&json);
  return err;
}

enum tide_err tide_registry_retire(struct tide_registry *r, const struct tide_registry_version *version, const struct tide_act *act,
                                   struct tide_error *error) {
  char key[KEY];
  struct tide_buf json = TIDE_BUF_INIT;
  tide_document_act(act, &json);
  enum tide_err err = r->ops->put(r, version_key("retired", version->kind, version->hash, key), tide_buf_span(&json), 0, error);
  tide_buf_release(&json);
  return err;
}

/* ---- rollouts ---- */

const char *tide_registry_rollouts_dir(const char *cell, char out[TIDE_REGISTRY_KEY_MAX + 1]) {
  snprintf(out, KEY, "cells/%s/rollouts/", cell);
  return out;
}

static enum tide_err read_rollout(const char *key, struct tide_span json, struct tide_rollout_document *ret, struct tide_error *error) {
  const char *last = strrchr(key, '/') + 1;
  char *end;
  struct tide_rollout_document document = {0};
  const char *fault = tide_document_rollout_read(json, &document);
  document.index = strtoull(last, &end, 10);
  if (!fault && (strlen(last) != 20 || *end || !document.index)) fault = "its key does not end in a number of 20 digits";
  if (!fault && document.rollout.number < document.index) fault = "its number is below its place";
  if (fault) return corrupt(key, fault, error);
  *ret = document;
  return TIDE_OK;
}

enum tide_err tide_registry_rollout(struct tide_registry *r, const char *cell, uint64_t number, struct tide_rollout_document *ret,
                                    struct tide_error *error) {
  char dir[KEY];
  struct tide_registry_rows rows;
  bool found = false;
  enum tide_err err = r->ops->list(r, tide_registry_rollouts_dir(cell, dir), number ? TIDE_REGISTRY_ALL : TIDE_REGISTRY_LAST, &rows, error);
  if (err) return err;
  for (size_t i = 0; !err && !found && i < rows.count; i++) {
    struct tide_rollout_document document;
    err = read_rollout(rows.row[i].key, rows.row[i].value, &document, error);
    found = !err && (!number || document.rollout.number == number);
    if (found) *ret = document;
  }
  tide_registry_rows_release(&rows);
  if (err || found) return err;
  if (number) return tide_fail(error, TIDE_E_NOT_FOUND, "cell %.48s has no rollout with number %" PRIu64, cell, number);
  return tide_fail(error, TIDE_E_NOT_FOUND, "nothing was ever rolled out to cell %.48s", cell);
}

enum tide_err tide_registry_rollouts(struct tide_registry *r, const char *cell, struct tide_rollout_document **ret, size_t *ret_count,
                                     struct tide_error *error) {
  char dir[KEY];
  struct tide_registry_rows rows;
  enum tide_err err = r->ops->list(r, tide_registry_rollouts_dir(cell, dir), TIDE_REGISTRY_ALL, &rows, error);
  if (err) return err;
  struct tide_rollout_document *document = tide_alloc((rows.count + 1) * sizeof *document);
  for (size_t i = 0; !err && i < rows.count; i++) err = read_rollout(rows.row[i].key, rows.row[i].value, &document[i], error);
  if (err) tide_free(document);
  else {
    *ret = document;
    *ret_count = rows.count;
  }
  tide_registry_rows_release(&rows);
  return err;
}

enum tide_err tide_registry_roll_out(struct tide_registry *r, const char *cell, const struct tide_rollout_document *document,
                                     struct tide_error *error) {
  char key[KEY];
  struct tide_buf json = TIDE_BUF_INIT;
  TIDE_CHECK(document->index > 0 && document->rollout.number >= document->index);
  snprintf(key, sizeof key, "cells/%s/rollouts/%020" PRIu64, cell, document->index);
  tide_document_rollout(document, &json);
  enum tide_err err = r->ops->put(r, key, tide_buf_span(&json), 0, error);
  tide_buf_release(&json);
  if (err != TIDE_E_EXISTS) return err;
  return tide_fail(error, TIDE_E_STALE,
                   "somebody else has rolled out to cell %.48s meanwhile: look at it (`tidemark model list`), then try again", cell);
}

/* ---- epochs ---- */

static enum tide_err read_epoch(struct tide_registry *r, const char *key, uint64_t *ret, uint64_t *ret_revision, struct tide_error *error) {
  struct tide_buf json = TIDE_BUF_INIT;
  enum tide_err err = r->ops->get(r, key, &json, ret_revision, error);
  const char *fault = err ? NULL : tide_document_epoch_read(tide_buf_span(&json), ret);
  tide_buf_release(&json);
  if (err == TIDE_E_NOT_FOUND) {
    *ret = *ret_revision = 0;
    return TIDE_OK;
  }
  return fault ? corrupt(key, fault, error) : err;
}

enum tide_err tide_registry_epoch(struct tide_registry *r, const char *cell, uint64_t *ret, struct tide_error *error) {
  char key[KEY];
  uint64_t revision, epoch;
  snprintf(key, sizeof key, "cells/%s/epoch", cell);
  enum tide_err err = read_epoch(r, key, &epoch, &revision, error);
  if (!err) *ret = epoch;
  return err;
}

enum tide_err tide_registry_take_epoch(struct tide_registry *r, const char *cell, uint64_t number, uint64_t *ret_highest,
                                       struct tide_error *error) {
  char key[KEY];
  struct tide_buf json = TIDE_BUF_INIT;
  enum tide_err err = TIDE_E_STALE;
  uint64_t highest = 0, revision;
  snprintf(key, sizeof key, "cells/%s/epoch", cell);
  tide_document_epoch(number, &json);
  for (int tries = 0; tries < 8 && (err == TIDE_E_STALE || err == TIDE_E_EXISTS || err == TIDE_E_INDETERMINATE);
       tries++) { /* somebody was faster, or nobody knows */
    err = read_epoch(r, key, &highest, &revision, error);
    if (!err && highest >= number) {
      *ret_highest = highest;
      err = tide_fail(error, TIDE_E_STALE, "epoch %" PRIu64 " of cell %.48s is not above %" PRIu64 ", which was taken", number, cell,
                      highest);
      break;
    }
    if (!err) err = r->ops->put(r, key, tide_buf_span(&json), revision, error);
    if (err == TIDE_E_STALE || err == TIDE_E_EXISTS) *ret_highest = number; /* should it never be quiet */
  }
  tide_buf_release(&json);
  return err == TIDE_E_EXISTS ? TIDE_E_STALE : err;
}

/* ---- engines ---- */

enum tide_err tide_registry_announce(struct tide_registry *r, const char *cell, const struct tide_engine_card *card, int64_t ttl_ms,
                                     struct tide_error *error) {
  char key[KEY];
  struct tide_buf json = TIDE_BUF_INIT;
  snprintf(key, sizeof key, "cells/%s/engines/%u", cell, card->engine_id);
  tide_document_card(card, &json);
  enum tide_err err = r->ops->announce(r, key, tide_buf_span(&json), ttl_ms, error);
  tide_buf_release(&json);
  return err;
}

static int by_number(const void *a, const void *b) {
  const struct tide_engine_card *x = a, *y = b;
  return x->engine_id < y->engine_id ? -1 : x->engine_id > y->engine_id;
}

enum tide_err tide_registry_engines(struct tide_registry *r, const char *cell, struct tide_engine_card **ret, size_t *ret_count,
                                    struct tide_error *error) {
  char dir[KEY];
  struct tide_registry_rows rows;
  snprintf(dir, sizeof dir, "cells/%s/engines/", cell);
  enum tide_err err = r->ops->list(r, dir, TIDE_REGISTRY_ALL, &rows, error);
  if (err) return err;
  struct tide_engine_card *card = tide_alloc((rows.count + 1) * sizeof *card);
  for (size_t i = 0; !err && i < rows.count; i++) {
    const char *fault = tide_document_card_read(rows.row[i].value, &card[i]);
    if (fault) err = corrupt(rows.row[i].key, fault, error);
  }
  if (err) tide_free(card);
  else {
    qsort(card, rows.count, sizeof *card, by_number);
    *ret = card;
    *ret_count = rows.count;
  }
  tide_registry_rows_release(&rows);
  return err;
}
