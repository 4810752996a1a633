/* The registry in etcd (registry_etcd.h): the port's calls as documents of the JSON gateway.
 *
 *   get, list    /v3/kv/range           linearizable; revision of a row: mod_revision
 *   put          /v3/kv/txn             compares create_revision = 0 or mod_revision = expect, writes, or tells what stands there
 *   announce     /v3/lease/grant, keepalive, /v3/kv/put with the lease
 *   watch        /v3/kv/range, then /v3/watch from its revision on
 *
 * A transaction that got no answer may have been carried out, and is then repeated at the next endpoint: if it finds its own value there, it was. A watch says only that there
 * is something to look at, so a stream that breaks, or a revision that was compacted away, costs one look and never a change.
 *
 * The gateway writes keys and values in base64, 64-bit numbers as strings, and leaves out what is zero. */
#include "adapter/registry_etcd.h"

#include "adapter/registry_etcd_http.h"
#include "base/base64.h"
#include "base/json_out.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

struct registry_etcd {
  struct tide_registry base;
  struct tide_etcd_http *http;
  char *root; /* "/tidemark/" */
  struct tide_buf body, answer, text;
  uint64_t revision;
  uint64_t lease; /* 0: none */
  int64_t lease_ttl_ms;
  struct tide_buf announced; /* key, zero byte, value: what stands under the lease */
  char watched[TIDE_REGISTRY_KEY_MAX + 1];
};

static struct registry_etcd *self(struct tide_registry *r) { return (struct registry_etcd *)r; }

/* ---- documents ---- */

/* "NAME":"BASE64 of the parts" */
static void put_bytes(struct registry_etcd *e, const char *name, const char *prefix, struct tide_span s) {
  tide_buf_clear(&e->text);
  tide_buf_str(&e->text, prefix);
  tide_buf_put(&e->text, s.ptr, s.len);
  struct tide_span bytes = tide_buf_span(&e->text);
  tide_json_key(&e->body, name);
  tide_buf_char(&e->body, '"');
  tide_base64_put(&e->body, bytes);
  tide_buf_char(&e->body, '"');
}

static void put_number(struct registry_etcd *e, const char *name, uint64_t n) {
  char text[24];
  snprintf(text, sizeof text, "%" PRIu64, n);
  tide_json_key(&e->body, name);
  tide_json_cstr(&e->body, text);
}

static void put_word(struct registry_etcd *e, const char *name, const char *word) {
  tide_json_key(&e->body, name);
  tide_json_cstr(&e->body, word);
}

static void open_body(struct registry_etcd *e) {
  tide_buf_clear(&e->body);
  tide_json_open(&e->body, '{');
}

/* 64-bit numbers come as strings; what is left out is 0. */
static uint64_t number_of(json_t *json, const char *name) {
  json_t *value = json_object_get(json, name);
  const char *text = json_string_value(value);
  return text ? strtoull(text, NULL, 10) : (uint64_t)json_integer_value(value);
}

static enum tide_err no_etcd(struct registry_etcd *e, const char *what, struct tide_error *error) {
  return tide_fail(error, TIDE_E_CORRUPT, "the registry at %.60s answers, but not as etcd would: %.120s", e->root, what);
}

/* Sends the body; *ret is the answer's document, to be released. */
static enum tide_err ask(struct registry_etcd *e, const char *path, bool *ret_maybe, json_t **ret, struct tide_error *error) {
  bool maybe = false;
  tide_json_close(&e->body, '}');
  (void)tide_buf_cstr(&e->body);
  enum tide_err err = tide_etcd_ask(e->http, path, tide_buf_span(&e->body), &e->answer, &maybe, error);
  if (ret_maybe) *ret_maybe = maybe;
  if (err) return err;
  json_t *json = json_loadb(e->answer.len ? e->answer.ptr : "", e->answer.len, JSON_DISABLE_EOF_CHECK, NULL);
  json_t *inner = json_object_get(json, "result"); /* of a stream with one line */
  json_t *header = json_object_get(inner ? inner : json, "header");
  if (!json_is_object(header)) {
    json_decref(json);
    return no_etcd(e, "a document without a header", error);
  }
  uint64_t revision = number_of(header, "revision");
  if (revision > e->revision) e->revision = revision;
  *ret = json;
  return TIDE_OK;
}

/* The value of a pair, appended to out. */
static enum tide_err value_of(struct registry_etcd *e, json_t *pair, const char *name, struct tide_buf *out, struct tide_error *error) {
  json_t *value = json_object_get(pair, name);
  if (!value) return TIDE_OK; /* empty */
  struct tide_span text = {json_string_value(value), json_string_length(value)};
  if (json_is_string(value) && tide_base64_get(text, out)) return TIDE_OK;
  return no_etcd(e, "a key or value that is no base64", error);
}

/* ---- reading ---- */

static enum tide_err get(struct tide_registry *r, const char *key, struct tide_buf *out, uint64_t *ret_revision, struct tide_error *error) {
  struct registry_etcd *e = self(r);
  json_t *json = NULL;
  open_body(e);
  put_bytes(e, "key", e->root, tide_span_of(key));
  enum tide_err err = ask(e, "/v3/kv/range", NULL, &json, error);
  if (err) return err;
  json_t *pair = json_array_get(json_object_get(json, "kvs"), 0);
  uint64_t revision = number_of(pair, "mod_revision");
  if (!pair) err = tide_fail(error, TIDE_E_NOT_FOUND, "the registry %.60s has no %.120s", e->root, key);
  else if (!revision) err = no_etcd(e, "a key without a revision", error);
  else err = value_of(e, pair, "value", out, error);
  json_decref(json);
  if (!err) *ret_revision = revision;
  return err;
}

static void range_of(struct registry_etcd *e, const char *dir) {
  size_t len = strlen(dir);
  TIDE_CHECK(len > 0 && len <= TIDE_REGISTRY_KEY_MAX && dir[len - 1] == '/');
  char end[TIDE_REGISTRY_KEY_MAX + 1];
  snprintf(end, sizeof end, "%s", dir);
  end[len - 1]++; /* the first key behind the directory */
  put_bytes(e, "key", e->root, tide_span_of(dir));
  put_bytes(e, "range_end", e->root, tide_span_of(end));
}

static enum tide_err take_row(struct registry_etcd *e, json_t *pair, size_t dir_len, struct tide_registry_rows *rows,
                              struct tide_error *error) {
  struct tide_buf text = TIDE_BUF_INIT;
  size_t root = strlen(e->root);
  struct tide_registry_row row = {.revision = number_of(pair, "mod_revision")};
  enum tide_err err = value_of(e, pair, "key", &text, error);
  if (!err && (text.len <= root + dir_len || memcmp(text.ptr, e->root, root) != 0 || !row.revision))
    err = no_etcd(e, "a key that was not asked for", error);
  bool deeper = !err && memchr(text.ptr + root + dir_len, '/', text.len - root - dir_len);
  if (!err) row.key = tide_arena_strdup(&rows->arena, (struct tide_span){text.ptr + root, text.len - root});
  tide_buf_clear(&text);
  if (!err) err = value_of(e, pair, "value", &text, error);
  if (!err && text.len) row.value = (struct tide_span){tide_arena_strdup(&rows->arena, tide_buf_span(&text)), text.len};
  if (!err && !deeper) rows->row[rows->count++] = row;
  tide_buf_release(&text);
  return err;
}

static enum tide_err list(struct tide_registry *r, const char *dir, enum tide_registry_list what, struct tide_registry_rows *ret,
                          struct tide_error *error) {
  struct registry_etcd *e = self(r);
  struct tide_registry_rows rows = {0};
  json_t *json = NULL;
  open_body(e);
  range_of(e, dir);
  put_word(e, "sort_target", "KEY");
  put_word(e, "sort_order", what == TIDE_REGISTRY_LAST ? "DESCEND" : "ASCEND");
  if (what == TIDE_REGISTRY_LAST) put_number(e, "limit", 1);
  if (what == TIDE_REGISTRY_KEYS) {
    tide_json_key(&e->body, "keys_only");
    tide_json_bool(&e->body, true);
  }
  enum tide_err err = ask(e, "/v3/kv/range", NULL, &json, error);
  if (err) return err;
  json_t *pairs = json_object_get(json, "kvs");
  size_t count = json_array_size(pairs);
  rows.row = tide_arena_alloc(&rows.arena, (count + 1) * sizeof *rows.row);
  for (size_t i = 0; i < count && !err; i++) err = take_row(e, json_array_get(pairs, i), strlen(dir), &rows, error);
  json_decref(json);
  if (err) tide_registry_rows_release(&rows);
  else *ret = rows;
  return err;
}

/* ---- writing ---- */

static enum tide_err check_value(struct tide_span value, const char *key, struct tide_error *error) {
  if (value.len <= TIDE_REGISTRY_VALUE_MAX) return TIDE_OK;
  return tide_fail(error, TIDE_E_LIMIT, "%.120s has %zu bytes, and the registry takes at most %u", key, value.len, TIDE_REGISTRY_VALUE_MAX);
}

/* The pair that the range in the failed branch of a transaction found; NULL: none. */
static json_t *found_instead(json_t *json) {
  json_t *range = json_object_get(json_array_get(json_object_get(json, "responses"), 0), "response_range");
  return json_array_get(json_object_get(range, "kvs"), 0);
}

static void write_txn(struct registry_etcd *e, const char *key, struct tide_span value, uint64_t expect) {
  struct tide_buf *body = &e->body;
  open_body(e);
  tide_json_key(body, "compare");
  tide_json_open(body, '[');
  tide_json_open(body, '{');
  put_bytes(e, "key", e->root, tide_span_of(key));
  put_word(e, "result", "EQUAL");
  put_word(e, "target", expect ? "MOD" : "CREATE");
  put_number(e, expect ? "mod_revision" : "create_revision", expect);
  tide_json_close(body, '}');
  tide_json_close(body, ']');
  tide_json_key(body, "success");
  tide_json_open(body, '[');
  tide_json_open(body, '{');
  tide_json_key(body, "request_put");
  tide_json_open(body, '{');
  put_bytes(e, "key", e->root, tide_span_of(key));
  put_bytes(e, "value", "", value);
  tide_json_close(body, '}');
  tide_json_close(body, '}');
  tide_json_close(body, ']');
  tide_json_key(body, "failure");
  tide_json_open(body, '[');
  tide_json_open(body, '{');
  tide_json_key(body, "request_range");
  tide_json_open(body, '{');
  put_bytes(e, "key", e->root, tide_span_of(key));
  tide_json_close(body, '}');
  tide_json_close(body, '}');
  tide_json_close(body, ']');
}

static enum tide_err put(struct tide_registry *r, const char *key, struct tide_span value, uint64_t expect, struct tide_error *error) {
  struct registry_etcd *e = self(r);
  json_t *json = NULL;
  bool maybe = false;
  enum tide_err err = check_value(value, key, error);
  if (err) return err;
  write_txn(e, key, value, expect);
  err = ask(e, TIDE_ETCD_TXN, &maybe, &json, error);
  if (err && maybe && err == TIDE_E_AGAIN)
    return tide_fail(error, TIDE_E_INDETERMINATE, "%.100s may be written: etcd did not answer in time; look, or do the same again", key);
  if (err) return err;
  if (!json_is_true(json_object_get(json, "succeeded"))) {
    json_t *pair = found_instead(json);
    struct tide_buf now = TIDE_BUF_INIT;
    if (pair) err = value_of(e, pair, "value", &now, error);
    bool ours = !err && maybe && pair && tide_span_eq(tide_buf_span(&now), value); /* by an attempt that got no answer */
    tide_buf_release(&now);
    if (err || ours) (void)0;
    else if (!expect) err = tide_fail(error, TIDE_E_EXISTS, "the registry %.60s has %.120s already", e->root, key);
    else err = tide_fail(error, TIDE_E_STALE, "%.120s in the registry %.60s was changed meanwhile", key, e->root);
  }
  json_decref(json);
  return err;
}

/* ---- announcements ---- */

static enum tide_err grant(struct registry_etcd *e, int64_t ttl_ms, struct tide_error *error) {
  json_t *json = NULL;
  open_body(e);
  put_number(e, "TTL", (uint64_t)((ttl_ms + 999) / 1000));
  enum tide_err err = ask(e, "/v3/lease/grant", NULL, &json, error);
  if (err) return err;
  uint64_t lease = number_of(json, "ID");
  json_decref(json);
  if (!lease) return no_etcd(e, "a lease without a number", error);
  e->lease = lease;
  e->lease_ttl_ms = ttl_ms;
  tide_buf_clear(&e->announced);
  return TIDE_OK;
}

/* Forgets a lease that has run out. */
static enum tide_err keep_alive(struct registry_etcd *e, struct tide_error *error) {
  json_t *json = NULL;
  open_body(e);
  put_number(e, "ID", e->lease);
  enum tide_err err = ask(e, "/v3/lease/keepalive", NULL, &json, error);
  if (err == TIDE_E_NOT_FOUND) e->lease = 0;
  if (err) return err == TIDE_E_NOT_FOUND ? TIDE_OK : err;
  if (number_of(json_object_get(json, "result"), "TTL") == 0) e->lease = 0;
  json_decref(json);
  return TIDE_OK;
}

static enum tide_err put_leased(struct registry_etcd *e, const char *key, struct tide_span value, struct tide_error *error) {
  json_t *json = NULL;
  open_body(e);
  put_bytes(e, "key", e->root, tide_span_of(key));
  put_bytes(e, "value", "", value);
  put_number(e, "lease", e->lease);
  enum tide_err err = ask(e, "/v3/kv/put", NULL, &json, error);
  if (err == TIDE_E_NOT_FOUND) {
    e->lease = 0;
    return tide_fail(error, TIDE_E_AGAIN, "the lease of %.100s ran out just now", key);
  }
  if (err) return err;
  json_decref(json);
  tide_buf_clear(&e->announced);
  tide_buf_put(&e->announced, key, strlen(key) + 1);
  tide_buf_put(&e->announced, value.ptr, value.len);
  return TIDE_OK;
}

/* The lease is kept alive each time; the value is written only where it differs, because each write is a revision that etcd keeps until it is compacted. */
static enum tide_err announce(struct tide_registry *r, const char *key, struct tide_span value, int64_t ttl_ms, struct tide_error *error) {
  struct registry_etcd *e = self(r);
  size_t key_len = strlen(key) + 1;
  TIDE_CHECK(ttl_ms > 0);
  enum tide_err err = check_value(value, key, error);
  if (!err && e->lease && e->lease_ttl_ms == ttl_ms) err = keep_alive(e, error);
  if (!err && (!e->lease || e->lease_ttl_ms != ttl_ms)) err = grant(e, ttl_ms, error);
  if (err) return err;
  bool same = e->announced.len == key_len + value.len && memcmp(e->announced.ptr, key, key_len) == 0 &&
              tide_span_eq((struct tide_span){e->announced.ptr + key_len, value.len}, value);
  return same ? TIDE_OK : put_leased(e, key, value, error);
}

static void revoke(struct registry_etcd *e) {
  struct tide_error error;
  json_t *json = NULL;
  if (!e->lease) return;
  open_body(e);
  put_number(e, "ID", e->lease);
  if (ask(e, "/v3/lease/revoke", NULL, &json, &error) == TIDE_OK) json_decref(json); /* else it runs out by itself */
  e->lease = 0;
}

/* ---- watching ---- */

/* One look at the directory tells a revision that holds all that was said before it; the stream tells what comes behind. */
static enum tide_err begin_watch(struct registry_etcd *e, const char *dir, struct tide_error *error) {
  json_t *json = NULL;
  open_body(e);
  range_of(e, dir);
  tide_json_key(&e->body, "count_only");
  tide_json_bool(&e->body, true);
  enum tide_err err = ask(e, "/v3/kv/range", NULL, &json, error);
  if (err) return err;
  uint64_t revision = number_of(json_object_get(json, "header"), "revision");
  json_decref(json);
  open_body(e);
  tide_json_key(&e->body, "create_request");
  tide_json_open(&e->body, '{');
  range_of(e, dir);
  put_number(e, "start_revision", revision + 1);
  tide_json_close(&e->body, '}');
  tide_json_close(&e->body, '}');
  (void)tide_buf_cstr(&e->body);
  tide_etcd_stream_begin(e->http, "/v3/watch", tide_buf_span(&e->body));
  snprintf(e->watched, sizeof e->watched, "%s", dir);
  return TIDE_OK;
}

/* One line of the stream. A watch that etcd ended, because its revision was compacted away or for another reason, is begun again with a look. */
static enum tide_err take_line(struct registry_etcd *e, struct tide_span line, bool *changed, struct tide_error *error) {
  json_t *json = json_loadb(line.ptr, line.len, 0, NULL);
  json_t *result = json_object_get(json, "result");
  enum tide_err err = TIDE_OK;
  if (!json_is_object(result)) {
    err = json_object_get(json, "error") ? tide_fail(error, TIDE_E_AGAIN, "etcd has ended the watch of %.100s", e->watched)
                                         : no_etcd(e, "a line of a watch that is none", error);
    tide_etcd_stream_end(e->http);
  } else {
    uint64_t revision = number_of(json_object_get(result, "header"), "revision");
    if (revision > e->revision) e->revision = revision;
    bool canceled = json_is_true(json_object_get(result, "canceled"));
    *changed |= canceled || json_array_size(json_object_get(result, "events")) > 0;
    if (canceled) tide_etcd_stream_end(e->http);
  }
  json_decref(json);
  return err;
}

static enum tide_err watch(struct tide_registry *r, const char *dir, int64_t wait_ms, bool *ret_changed, struct tide_error *error) {
  struct registry_etcd *e = self(r);
  if (!tide_etcd_stream_is_on(e->http) || strcmp(e->watched, dir) != 0) {
    enum tide_err err = begin_watch(e, dir, error);
    if (!err) *ret_changed = true;
    return err;
  }
  struct tide_buf lines = TIDE_BUF_INIT;
  bool changed = false;
  enum tide_err err = tide_etcd_stream_wait(e->http, wait_ms, &lines, error);
  for (size_t at = 0; !err && at < lines.len && tide_etcd_stream_is_on(e->http);) {
    const char *end = memchr(lines.ptr + at, '\n', lines.len - at);
    size_t len = (size_t)(end - (lines.ptr + at));
    if (len) err = take_line(e, (struct tide_span){lines.ptr + at, len}, &changed, error);
    at += len + 1;
  }
  tide_buf_release(&lines);
  if (!err) *ret_changed = changed;
  return err;
}

/* ---- opening ---- */

static uint64_t revision(const struct tide_registry *r) { return ((const struct registry_etcd *)r)->revision; }

static void interrupt(struct tide_registry *r) { tide_etcd_http_interrupt(self(r)->http); }

static void close_etcd(struct tide_registry *r) {
  struct registry_etcd *e = self(r);
  tide_etcd_http_hurry(e->http);
  revoke(e);
  tide_etcd_http_close(e->http);
  tide_buf_release(&e->body);
  tide_buf_release(&e->answer);
  tide_buf_release(&e->text);
  tide_buf_release(&e->announced);
  tide_free(e->root);
  tide_free(e);
}

static const struct tide_registry_ops ops = {"etcd", get, list, put, announce, watch, revision, interrupt, close_etcd};

enum tide_err tide_registry_etcd_open(const struct tide_etcd_options *options, struct tide_registry **ret, struct tide_error *error) {
  struct tide_etcd_http *http;
  enum tide_err err = tide_etcd_http_open(options, &http, error);
  if (err) return err;
  struct registry_etcd *e = tide_alloc(sizeof *e);
  struct tide_buf root = TIDE_BUF_INIT;
  tide_buf_printf(&root, "/%s/", options->prefix);
  e->base.ops = &ops;
  e->http = http;
  e->root = tide_buf_take(&root);
  *ret = &e->base;
  return TIDE_OK;
}
