/* Schemas by number over HTTP, by libcurl (schema_registry.h).
 *
 * Transfers run in one multi handle and have no thread of their own: each `get` moves all of them on, and the one that begins a transfer waits a moment for it. So a
 * registry that hangs costs the caller that moment once and not the time-out, and other partitions go on.
 *
 * Only what the registry says itself counts as "there is no such schema": status 404 with its error code 40403. The 404 of a wrong address, a proxy's
 * page, an answer cut off are trouble with the registry; if they were taken for an answer, good messages would become dead letters. After trouble the registry is left
 * alone for a while, and everybody is told the same. No redirects, no proxies of the environment; a password in the address is never shown. */
#include "adapter/schema_registry.h"

#include "base/clock.h"

#include <curl/curl.h>
#include <jansson.h>
#include <pthread.h>

#define BODY_MAX (4u << 20)
#define TRANSFERS_MAX 64
#define UNKNOWN_MAX 1024 /* numbers remembered as unknown; a power of two */
#define NO_SUCH_SCHEMA 40403

struct transfer {
  struct transfer *next;
  struct tide_schema_registry *registry;
  CURL *curl;
  uint32_t id;
  bool done, too_long;
  CURLcode code;
  long status;
  struct tide_buf body;
  char why[CURL_ERROR_SIZE];
};

struct unknown {
  uint32_t id;
  bool used;
  struct tide_mono until;
};

struct tide_schema_registry {
  struct tide_schema_registry_options options;
  char *url;   /* without a slash at the end */
  char *shown; /* the same without user and password */
  CURLM *multi;
  struct transfer *transfer;
  unsigned transfer_count;
  struct tide_mono pause_until; /* after trouble: nothing is asked before */
  struct tide_error trouble;    /* what it was */
  struct unknown unknown[UNKNOWN_MAX];
};

static void begin_curl(void) { TIDE_CHECK(curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK); }

static struct tide_mono after(int64_t ms) { return (struct tide_mono){tide_mono_now().ns + ms * 1000000}; }

/* ---- one transfer ---- */

static size_t on_bytes(char *bytes, size_t size, size_t count, void *ctx) {
  struct transfer *t = ctx;
  if (t->body.len + size * count > BODY_MAX) {
    t->too_long = true;
    return 0;
  }
  tide_buf_put(&t->body, bytes, size * count);
  return size * count;
}

/* Quick exit: a look-up of a name that hangs is left behind with its thread, else whoever drops the transfer would wait for it. */
static bool set_up(struct transfer *t, const char *url, int64_t timeout_ms) {
  CURL *c = t->curl;
  return curl_easy_setopt(c, CURLOPT_URL, url) == CURLE_OK && curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "http,https") == CURLE_OK &&
         curl_easy_setopt(c, CURLOPT_PROXY, "") == CURLE_OK && curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L) == CURLE_OK &&
         curl_easy_setopt(c, CURLOPT_QUICK_EXIT, 1L) == CURLE_OK && curl_easy_setopt(c, CURLOPT_TIMEOUT_MS, (long)timeout_ms) == CURLE_OK &&
         curl_easy_setopt(c, CURLOPT_ERRORBUFFER, t->why) == CURLE_OK && curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, on_bytes) == CURLE_OK &&
         curl_easy_setopt(c, CURLOPT_WRITEDATA, t) == CURLE_OK && curl_easy_setopt(c, CURLOPT_PRIVATE, t) == CURLE_OK;
}

static void drop(struct tide_schema_registry *r, struct transfer *t) {
  struct transfer **at = &r->transfer;
  while (*at != t) at = &(*at)->next;
  *at = t->next;
  r->transfer_count--;
  TIDE_CHECK(curl_multi_remove_handle(r->multi, t->curl) == CURLM_OK);
  curl_easy_cleanup(t->curl);
  tide_buf_release(&t->body);
  tide_free(t);
}

/* Those that nobody asked for again make room. */
static void drop_done(struct tide_schema_registry *r) {
  for (struct transfer *next, *t = r->transfer; t; t = next) {
    next = t->next;
    if (t->done) drop(r, t);
  }
}

static struct transfer *begin(struct tide_schema_registry *r, uint32_t id) {
  struct transfer *t = tide_alloc(sizeof *t);
  struct tide_buf url = TIDE_BUF_INIT;
  t->registry = r;
  t->id = id;
  t->curl = curl_easy_init();
  TIDE_CHECK(t->curl);
  tide_buf_printf(&url, "%s/schemas/ids/%u", r->url, id);
  bool good = set_up(t, tide_buf_cstr(&url), r->options.timeout_ms);
  tide_buf_release(&url);
  TIDE_CHECK(good); /* every option is one that this libcurl knows, and the address was parsed at the start */
  TIDE_CHECK(curl_multi_add_handle(r->multi, t->curl) == CURLM_OK);
  t->next = r->transfer;
  r->transfer = t;
  r->transfer_count++;
  return t;
}

/* Moves all transfers on, as far as they go without waiting. */
static void move(struct tide_schema_registry *r) {
  int running, left;
  TIDE_CHECK(curl_multi_perform(r->multi, &running) == CURLM_OK);
  for (CURLMsg *m; (m = curl_multi_info_read(r->multi, &left));) {
    char *mine = NULL;
    if (m->msg != CURLMSG_DONE) continue;
    TIDE_CHECK(curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, &mine) == CURLE_OK && mine);
    struct transfer *t = (struct transfer *)(void *)mine;
    t->done = true;
    t->code = m->data.result;
    (void)curl_easy_getinfo(t->curl, CURLINFO_RESPONSE_CODE, &t->status);
  }
}

/* ---- what an answer means ---- */

static enum tide_err in_trouble(struct tide_schema_registry *r, const struct transfer *t, const char *what, const char *hint) {
  return tide_fail(&r->trouble, TIDE_E_AGAIN, "schema %u is not to be had from the schema registry %.120s: %.120s%.80s", t->id, r->shown,
                   what, hint);
}

static enum tide_err judge_schema(const struct tide_schema_registry *r, const struct transfer *t, json_t *json, struct tide_buf *out,
                                  struct tide_error *error) {
  const char *type = json_string_value(json_object_get(json, "schemaType"));
  json_t *schema = json_object_get(json, "schema"), *references = json_object_get(json, "references");
  if (type && strcmp(type, "AVRO") != 0)
    return tide_fail(error, TIDE_E_TYPE, "schema %u of %.120s is a schema of %.20s, Avro is expected", t->id, r->shown, type);
  if (json_array_size(references) > 0)
    return tide_fail(error, TIDE_E_TYPE,
                     "schema %u of %.120s refers to schemas of other subjects, which is not supported: register it in one piece", t->id,
                     r->shown);
  tide_buf_put(out, json_string_value(schema), json_string_length(schema));
  return TIDE_OK;
}

/* The end of a transfer: the schema, a reason why there is none, or trouble. */
static enum tide_err judge(struct tide_schema_registry *r, const struct transfer *t, struct tide_buf *out, struct tide_error *error) {
  char what[96];
  if (t->too_long) return in_trouble(r, t, "the answer has more than 4 MiB", "");
  if (t->code != CURLE_OK) return in_trouble(r, t, t->why[0] ? t->why : curl_easy_strerror(t->code), "");
  snprintf(what, sizeof what, "it answers with status %ld", t->status);
  if (t->status == 401 || t->status == 403) return in_trouble(r, t, what, ": the address needs a user and password that may read schemas");
  if (t->status != 200 && t->status != 404) return in_trouble(r, t, what, "");
  json_t *json = json_loadb(t->body.len ? t->body.ptr : "", t->body.len, 0, NULL);
  enum tide_err err;
  if (t->status == 404 && json_integer_value(json_object_get(json, "error_code")) == NO_SUCH_SCHEMA)
    err = tide_fail(error, TIDE_E_UNKNOWN_NAME, "the schema registry %.120s has no schema %u", r->shown, t->id);
  else if (t->status == 200 && json_is_string(json_object_get(json, "schema"))) err = judge_schema(r, t, json, out, error);
  else err = in_trouble(r, t, what, " and not as a schema registry would: is the address right?");
  json_decref(json);
  return err;
}

/* ---- asking ---- */

static bool is_over(struct tide_mono until) { return tide_mono_now().ns >= until.ns; }

static struct unknown *unknown_place(struct tide_schema_registry *r, uint32_t id) {
  return &r->unknown[(id * UINT32_C(0x9E3779B1)) >> 16 & (UNKNOWN_MAX - 1)];
}

static struct transfer *find(struct tide_schema_registry *r, uint32_t id) {
  struct transfer *t = r->transfer;
  while (t && t->id != id) t = t->next;
  return t;
}

/* Until t is done, at most wait_ms. */
static void wait_for(struct tide_schema_registry *r, const struct transfer *t) {
  struct tide_mono end = after(r->options.wait_ms);
  for (move(r); !t->done && !is_over(end); move(r)) {
    int64_t left_ms = (end.ns - tide_mono_now().ns) / 1000000 + 1;
    TIDE_CHECK(curl_multi_poll(r->multi, NULL, 0, (int)left_ms, NULL) == CURLM_OK);
  }
}

enum tide_err tide_schema_registry_get(struct tide_schema_registry *r, uint32_t id, struct tide_buf *out, struct tide_error *error) {
  struct unknown *unknown = unknown_place(r, id);
  if (unknown->used && unknown->id == id && !is_over(unknown->until))
    return tide_fail(error, TIDE_E_UNKNOWN_NAME, "the schema registry %.120s has no schema %u", r->shown, id);
  struct transfer *t = find(r, id);
  if (!t && !is_over(r->pause_until)) {
    if (error) *error = r->trouble;
    return TIDE_E_AGAIN;
  }
  if (!t && r->transfer_count == TRANSFERS_MAX) {
    move(r);
    drop_done(r);
    if (r->transfer_count == TRANSFERS_MAX)
      return tide_fail(error, TIDE_E_AGAIN, "schema %u waits: %u others are asked for at %.120s", id, TRANSFERS_MAX, r->shown);
  }
  if (t) {
    move(r);
  } else {
    t = begin(r, id);
    wait_for(r, t);
  }
  if (!t->done) return tide_fail(error, TIDE_E_AGAIN, "schema %u is on its way from the schema registry %.120s", id, r->shown);
  enum tide_err err = judge(r, t, out, error);
  drop(r, t);
  if (err == TIDE_E_AGAIN) {
    r->pause_until = after(r->options.pause_ms);
    if (error) *error = r->trouble;
  } else if (err == TIDE_E_UNKNOWN_NAME) {
    *unknown = (struct unknown){id, true, after(r->options.pause_ms)};
  }
  return err;
}

/* ---- opening ---- */

/* The address without what only the registry may know. NULL: it is no address. */
static char *without_secrets(const char *url) {
  char *shown = NULL, *text = NULL;
  CURLU *parts = curl_url();
  TIDE_CHECK(parts);
  bool good = curl_url_set(parts, CURLUPART_URL, url, CURLU_NON_SUPPORT_SCHEME) == CURLUE_OK &&
              curl_url_set(parts, CURLUPART_USER, NULL, 0) == CURLUE_OK && curl_url_set(parts, CURLUPART_PASSWORD, NULL, 0) == CURLUE_OK &&
              curl_url_set(parts, CURLUPART_QUERY, NULL, 0) == CURLUE_OK && curl_url_get(parts, CURLUPART_URL, &text, 0) == CURLUE_OK;
  if (good) shown = tide_strdup(text);
  curl_free(text);
  curl_url_cleanup(parts);
  return shown;
}

enum tide_err tide_schema_registry_open(const struct tide_schema_registry_options *options, struct tide_schema_registry **ret,
                                        struct tide_error *error) {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  TIDE_CHECK(options->timeout_ms > 0 && options->wait_ms > 0 && options->pause_ms > 0);
  TIDE_CHECK(pthread_once(&once, begin_curl) == 0);
  bool http = strncmp(options->url, "http://", 7) == 0 || strncmp(options->url, "https://", 8) == 0;
  char *shown = http ? without_secrets(options->url) : NULL;
  if (!shown || strpbrk(options->url, "?#")) {
    tide_free(shown);
    return tide_fail(error, TIDE_E_CONFIG,
                     "the address of the schema registry is not one like http://HOST:PORT or https://USER:PASSWORD@HOST/PATH");
  }
  struct tide_schema_registry *r = tide_alloc(sizeof *r);
  size_t len = strlen(options->url);
  while (options->url[len - 1] == '/') len--;
  r->options = *options;
  r->url = tide_strndup(options->url, len);
  r->options.url = r->url;
  r->shown = shown;
  r->multi = curl_multi_init();
  TIDE_CHECK(r->multi);
  r->pause_until = tide_mono_now();
  *ret = r;
  return TIDE_OK;
}

void tide_schema_registry_close(struct tide_schema_registry *r) {
  if (!r) return;
  while (r->transfer) drop(r, r->transfer);
  TIDE_CHECK(curl_multi_cleanup(r->multi) == CURLM_OK);
  tide_free(r->url);
  tide_free(r->shown);
  tide_free(r);
}
