/* Requests to etcd (registry_etcd_http.h).
 *
 * What an answer means is judged by etcd's own words: the gateway's statuses are those of gRPC mapped to HTTP, and several causes share one. Three outcomes matter: the
 * request was answered; this endpoint cannot answer now, so the next one is asked; it will never be answered so, and an operator must change something.
 *
 * Authentication: a token is asked for with user and password and shown with each request. Tokens expire, and every change of users makes older ones invalid: then one new token
 * is asked for and the request repeated. Passwords and tokens are in no message, no redirect is followed, no proxy of the environment is used. */
#include "adapter/registry_etcd_http.h"

#include "base/clock.h"
#include "base/json_out.h"

#include <curl/curl.h>
#include <jansson.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>

#define ANSWER_MAX (64u << 20)
#define STREAM_LINE_MAX (4u << 20)
#define WORDS 160
#define HURRY_MS 300

struct answer {
  struct tide_buf body;
  bool too_long;
};

struct stream {
  CURLM *multi;
  CURL *curl; /* NULL: off */
  struct curl_slist *headers;
  size_t endpoint;
  struct answer answer; /* bytes of the line that has not ended yet */
  bool done;
  CURLcode code;
  char why[CURL_ERROR_SIZE];
};

struct tide_etcd_http {
  char *endpoint[TIDE_ETCD_ENDPOINTS_MAX]; /* http://HOST:PORT */
  size_t endpoint_count, current;
  char *ca, *cert, *key, *user, *password;
  int64_t timeout_ms;
  unsigned rounds; /* each endpoint is asked so often before it is given up */
  atomic_bool interrupted;
  CURL *curl;
  struct tide_buf token; /* empty: none */
  struct stream stream;
};

enum outcome { ANSWERED, ELSEWHERE, TOKEN };

static void begin_curl(void) { TIDE_CHECK(curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK); }

static size_t on_bytes(char *bytes, size_t size, size_t count, void *ctx) {
  struct answer *answer = ctx;
  answer->too_long = answer->body.len + size * count > ANSWER_MAX;
  if (answer->too_long) return 0;
  tide_buf_put(&answer->body, bytes, size * count);
  return size * count;
}

/* Asked by libcurl while it works, about once a second and with every piece of data. */
static int on_progress(void *ctx, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d) {
  const struct tide_etcd_http *http = ctx;
  (void)a;
  (void)b;
  (void)c;
  (void)d;
  return atomic_load(&http->interrupted);
}

/* ---- one request ---- */

static struct curl_slist *headers_of(const struct tide_etcd_http *http) {
  struct curl_slist *headers = curl_slist_append(NULL, "Content-Type: application/json");
  headers = curl_slist_append(headers, "Expect:"); /* or a large body would wait for a "100 Continue" */
  if (http->token.len) {
    struct tide_buf line = TIDE_BUF_INIT;
    tide_buf_printf(&line, "Authorization: %.*s", (int)http->token.len, http->token.ptr);
    headers = curl_slist_append(headers, tide_buf_cstr(&line));
    explicit_bzero(line.ptr, line.len);
    tide_buf_release(&line);
  }
  return headers;
}

static bool has(const char *text) { return text && text[0]; }

static bool set_up(struct tide_etcd_http *http, CURL *c, const char *url, struct tide_span body, const struct curl_slist *headers,
                   struct answer *answer, char *why) {
  curl_easy_reset(c);
  bool good =
      curl_easy_setopt(c, CURLOPT_URL, url) == CURLE_OK && curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "http,https") == CURLE_OK &&
      curl_easy_setopt(c, CURLOPT_PROXY, "") == CURLE_OK && curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L) == CURLE_OK &&
      curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT_MS, (long)http->timeout_ms) == CURLE_OK &&
      curl_easy_setopt(c, CURLOPT_POSTFIELDSIZE, (long)body.len) == CURLE_OK &&
      curl_easy_setopt(c, CURLOPT_COPYPOSTFIELDS, body.ptr) == CURLE_OK && curl_easy_setopt(c, CURLOPT_HTTPHEADER, headers) == CURLE_OK &&
      curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, on_bytes) == CURLE_OK && curl_easy_setopt(c, CURLOPT_WRITEDATA, answer) == CURLE_OK &&
      curl_easy_setopt(c, CURLOPT_ERRORBUFFER, why) == CURLE_OK && curl_easy_setopt(c, CURLOPT_XFERINFOFUNCTION, on_progress) == CURLE_OK &&
      curl_easy_setopt(c, CURLOPT_XFERINFODATA, http) == CURLE_OK && curl_easy_setopt(c, CURLOPT_NOPROGRESS, 0L) == CURLE_OK;
  if (good && has(http->ca)) good = curl_easy_setopt(c, CURLOPT_CAINFO, http->ca) == CURLE_OK;
  if (good && has(http->cert))
    good = curl_easy_setopt(c, CURLOPT_SSLCERT, http->cert) == CURLE_OK && curl_easy_setopt(c, CURLOPT_SSLKEY, http->key) == CURLE_OK;
  return good;
}

/* Nothing of the request can have reached etcd. */
static bool was_not_sent(CURLcode code) {
  return code == CURLE_COULDNT_CONNECT || code == CURLE_COULDNT_RESOLVE_HOST || code == CURLE_SSL_CONNECT_ERROR ||
         code == CURLE_PEER_FAILED_VERIFICATION || code == CURLE_SSL_CERTPROBLEM || code == CURLE_SSL_CACERT_BADFILE;
}

static bool is_certificate(CURLcode code) {
  return code == CURLE_PEER_FAILED_VERIFICATION || code == CURLE_SSL_CERTPROBLEM || code == CURLE_SSL_CACERT_BADFILE;
}

/* What etcd says in an answer that is no success; "" when it is not etcd's way of saying anything. */
static void words_of(const struct tide_buf *body, char out[WORDS]) {
  json_t *json = json_loadb(body->len ? body->ptr : "", body->len, JSON_DISABLE_EOF_CHECK, NULL);
  const char *says = json_string_value(json_object_get(json, "error"));
  json_t *nested = json_object_get(json, "error"); /* of a stream: {"error":{"message":...}} */
  if (!says) says = json_string_value(json_object_get(nested, "message"));
  snprintf(out, WORDS, "%s", says ? says : "");
  json_decref(json);
}

static bool says(const char *words, const char *piece) { return strstr(words, piece) != NULL; }

/* Where the words ask an operator for something. OK: they do not. */
static enum tide_err refused_for(const struct tide_etcd_http *http, const char *words, struct tide_error *error) {
  if (says(words, "user name is empty"))
    return tide_fail(error, TIDE_E_CONFIG, "etcd asks for a user: set registry.user and registry.password_file");
  if (says(words, "authentication failed"))
    return tide_fail(error, TIDE_E_CONFIG,
                     "etcd does not accept user %.60s with this password: look at registry.user and registry.password_file", http->user);
  if (says(words, "authentication is not enabled"))
    return tide_fail(error, TIDE_E_CONFIG,
                     "registry.user is set, but etcd has authentication switched off: enable it, or leave the user out");
  if (says(words, "permission denied"))
    return tide_fail(error, TIDE_E_CONFIG, "etcd does not let user %.60s do this: grant its role readwrite on the prefix",
                     has(http->user) ? http->user : "(none)");
  if (says(words, "database space exceeded"))
    return tide_fail(error, TIDE_E_FULL, "etcd is full (%.80s): compact and defragment it, then disarm its alarm; nothing was written",
                     words);
  if (says(words, "request is too large"))
    return tide_fail(error, TIDE_E_LIMIT, "etcd refuses the size of this value: raise its --max-request-bytes (1.5 MiB by default)");
  if (says(words, "lease not found")) return tide_fail(error, TIDE_E_NOT_FOUND, "etcd knows the lease no more");
  return TIDE_OK;
}

/* A status other than 200. */
static enum outcome judge(const struct tide_etcd_http *http, long status, const struct tide_buf *body, enum tide_err *ret_err,
                          struct tide_error *error) {
  char words[WORDS];
  words_of(body, words);
  if (says(words, "invalid auth token") || says(words, "revision of auth store is old")) return TOKEN;
  enum tide_err err = refused_for(http, words, error);
  if (err) {
    *ret_err = err;
    return ANSWERED;
  }
  bool waits = status >= 500 || status == 408 || status == 429 || says(words, "too many requests") || !words[0];
  *ret_err = tide_fail(error, waits ? TIDE_E_AGAIN : TIDE_E_IO, "etcd at %.100s answers with status %ld: %.150s",
                       http->endpoint[http->current], status, words[0] ? words : "not in etcd's words; is the address right?");
  return waits ? ELSEWHERE : ANSWERED;
}

static enum outcome ask_once(struct tide_etcd_http *http, const char *path, struct tide_span body, struct answer *answer, bool *maybe,
                             enum tide_err *ret_err, struct tide_error *error) {
  char why[CURL_ERROR_SIZE] = "";
  struct tide_buf url = TIDE_BUF_INIT;
  struct curl_slist *headers = headers_of(http);
  const char *endpoint = http->endpoint[http->current];
  tide_buf_printf(&url, "%s%s", endpoint, path);
  tide_buf_clear(&answer->body);
  answer->too_long = false;
  bool good = set_up(http, http->curl, tide_buf_cstr(&url), body, headers, answer, why) &&
              curl_easy_setopt(http->curl, CURLOPT_TIMEOUT_MS, (long)http->timeout_ms) == CURLE_OK;
  /* On a connection that it has used before libcurl repeats a request that got no answer, and says nothing of it: a transaction would be carried out twice. */
  if (strcmp(path, TIDE_ETCD_TXN) == 0) good = good && curl_easy_setopt(http->curl, CURLOPT_FRESH_CONNECT, 1L) == CURLE_OK;
  TIDE_CHECK(good); /* every option is one that this libcurl knows, and the address was parsed at the start */
  CURLcode code = curl_easy_perform(http->curl);
  long status = 0;
  (void)curl_easy_getinfo(http->curl, CURLINFO_RESPONSE_CODE, &status);
  curl_easy_reset(http->curl); /* it keeps the connection and forgets the token */
  curl_slist_free_all(headers);
  tide_buf_release(&url);
  if (code == CURLE_OK && status == 200) {
    *ret_err = TIDE_OK;
    return ANSWERED;
  }
  if (code == CURLE_OK) {
    enum outcome outcome = judge(http, status, &answer->body, ret_err, error);
    *maybe |= outcome == ELSEWHERE;
    return outcome;
  }
  *maybe |= !was_not_sent(code);
  *ret_err =
      answer->too_long ? tide_fail(error, TIDE_E_CORRUPT, "etcd at %.100s answers with more than 64 MiB", endpoint)
      : is_certificate(code)
          ? tide_fail(error, TIDE_E_CONFIG, "no trust between us and etcd at %.100s: %.120s (registry.ca, registry.cert, registry.key)",
                      endpoint, why[0] ? why : curl_easy_strerror(code))
          : tide_fail(error, TIDE_E_AGAIN, "no answer from etcd at %.100s: %.150s", endpoint, why[0] ? why : curl_easy_strerror(code));
  return ELSEWHERE;
}

/* ---- authentication and failover ---- */

static enum tide_err take_token(struct tide_etcd_http *http, const struct answer *answer, struct tide_error *error) {
  json_t *json = json_loadb(answer->body.len ? answer->body.ptr : "", answer->body.len, 0, NULL);
  const char *token = json_string_value(json_object_get(json, "token"));
  enum tide_err err = TIDE_OK;
  tide_buf_clear(&http->token);
  if (!has(token) || strlen(token) > 4096 || strpbrk(token, "\r\n"))
    err = tide_fail(error, TIDE_E_CORRUPT, "the answer of etcd at %.100s to user and password has no token", http->endpoint[http->current]);
  else tide_buf_str(&http->token, token);
  json_decref(json);
  return err;
}

/* A token from the current endpoint. */
static enum outcome authenticate(struct tide_etcd_http *http, struct answer *answer, enum tide_err *ret_err, struct tide_error *error) {
  struct tide_buf body = TIDE_BUF_INIT;
  bool maybe = false;
  tide_buf_clear(&http->token);
  tide_json_open(&body, '{');
  tide_json_key(&body, "name");
  tide_json_cstr(&body, http->user);
  tide_json_key(&body, "password");
  tide_json_cstr(&body, http->password ? http->password : "");
  tide_json_close(&body, '}');
  (void)tide_buf_cstr(&body);
  enum outcome outcome = ask_once(http, "/v3/auth/authenticate", tide_buf_span(&body), answer, &maybe, ret_err, error);
  explicit_bzero(body.ptr, body.len);
  tide_buf_release(&body);
  if (outcome == TOKEN) return ELSEWHERE;
  if (outcome == ANSWERED && *ret_err == TIDE_OK) *ret_err = take_token(http, answer, error);
  return outcome;
}

/* At the current endpoint; a token that has become invalid is replaced once. */
static enum outcome ask_here(struct tide_etcd_http *http, const char *path, struct tide_span body, struct answer *answer, bool *maybe,
                             enum tide_err *ret_err, struct tide_error *error) {
  for (int tries = 0; tries < 2; tries++) {
    if (has(http->user) && !http->token.len) {
      enum outcome outcome = authenticate(http, answer, ret_err, error);
      if (outcome != ANSWERED || *ret_err != TIDE_OK) return outcome;
    }
    enum outcome outcome = ask_once(http, path, body, answer, maybe, ret_err, error);
    if (outcome != TOKEN) return outcome;
    tide_buf_clear(&http->token);
    *ret_err = tide_fail(error, has(http->user) ? TIDE_E_AGAIN : TIDE_E_CONFIG, "etcd at %.100s does not accept the token%s",
                         http->endpoint[http->current], has(http->user) ? "" : ": set registry.user and registry.password_file");
  }
  return ELSEWHERE;
}

enum tide_err tide_etcd_ask(struct tide_etcd_http *http, const char *path, struct tide_span body, struct tide_buf *out, bool *ret_maybe,
                            struct tide_error *error) {
  struct answer answer = {0};
  enum tide_err err = TIDE_E_AGAIN;
  enum outcome outcome = ELSEWHERE;
  *ret_maybe = false;
  for (size_t i = 0; i < http->rounds * http->endpoint_count && outcome != ANSWERED && !atomic_load(&http->interrupted); i++) {
    outcome = ask_here(http, path, body, &answer, ret_maybe, &err, error);
    if (outcome != ANSWERED) http->current = (http->current + 1) % http->endpoint_count;
  }
  if (err && atomic_load(&http->interrupted)) err = tide_fail(error, TIDE_E_AGAIN, "interrupted while asking etcd");
  if (err == TIDE_OK) {
    tide_buf_release(out);
    *out = answer.body;
  } else {
    tide_buf_release(&answer.body);
  }
  return err;
}

/* ---- the stream ---- */

bool tide_etcd_stream_is_on(const struct tide_etcd_http *http) { return http->stream.curl != NULL; }

void tide_etcd_stream_end(struct tide_etcd_http *http) {
  struct stream *s = &http->stream;
  if (!s->curl) return;
  TIDE_CHECK(curl_multi_remove_handle(s->multi, s->curl) == CURLM_OK);
  curl_easy_cleanup(s->curl);
  curl_slist_free_all(s->headers);
  tide_buf_release(&s->answer.body);
  *s = (struct stream){.multi = s->multi};
}

void tide_etcd_stream_begin(struct tide_etcd_http *http, const char *path, struct tide_span body) {
  struct stream *s = &http->stream;
  struct tide_buf url = TIDE_BUF_INIT;
  tide_etcd_stream_end(http);
  s->curl = curl_easy_init();
  TIDE_CHECK(s->curl);
  s->headers = headers_of(http);
  s->endpoint = http->current;
  tide_buf_printf(&url, "%s%s", http->endpoint[s->endpoint], path);
  /* a peer that vanished without a word is noticed by the system */
  bool good = set_up(http, s->curl, tide_buf_cstr(&url), body, s->headers, &s->answer, s->why) &&
              curl_easy_setopt(s->curl, CURLOPT_TCP_KEEPALIVE, 1L) == CURLE_OK &&
              curl_easy_setopt(s->curl, CURLOPT_TCP_KEEPIDLE, 10L) == CURLE_OK &&
              curl_easy_setopt(s->curl, CURLOPT_TCP_KEEPINTVL, 5L) == CURLE_OK;
  tide_buf_release(&url);
  TIDE_CHECK(good);
  TIDE_CHECK(curl_multi_add_handle(s->multi, s->curl) == CURLM_OK);
}

static void move(struct stream *s) {
  int running, left;
  TIDE_CHECK(curl_multi_perform(s->multi, &running) == CURLM_OK);
  for (const CURLMsg *m; (m = curl_multi_info_read(s->multi, &left));) {
    s->done |= m->msg == CURLMSG_DONE;
    if (m->msg == CURLMSG_DONE) s->code = m->data.result;
  }
}

/* Moves the lines that have ended to out; false: none has. */
static bool take_lines(struct stream *s, struct tide_buf *out) {
  struct tide_buf *body = &s->answer.body;
  const char *end = body->len ? memrchr(body->ptr, '\n', body->len) : NULL;
  if (!end) return false;
  size_t whole = (size_t)(end - body->ptr) + 1;
  tide_buf_put(out, body->ptr, whole);
  memmove(body->ptr, body->ptr + whole, body->len - whole);
  body->len -= whole;
  return true;
}

/* It ended: what is left of an answer that was no stream, or of a connection. */
static enum tide_err why_ended(struct tide_etcd_http *http, struct tide_error *error) {
  struct stream *s = &http->stream;
  long status = 0;
  char words[WORDS];
  (void)curl_easy_getinfo(s->curl, CURLINFO_RESPONSE_CODE, &status);
  words_of(&s->answer.body, words);
  if (says(words, "invalid auth token") || says(words, "revision of auth store is old")) tide_buf_clear(&http->token);
  enum tide_err err = refused_for(http, words, error);
  if (!err)
    err = tide_fail(error, TIDE_E_AGAIN, "the watch at etcd %.100s has ended: %.150s", http->endpoint[s->endpoint],
                    s->code != CURLE_OK ? (s->why[0] ? s->why : curl_easy_strerror(s->code))
                    : words[0]          ? words
                                        : "it closed the stream");
  tide_etcd_stream_end(http);
  return err;
}

enum tide_err tide_etcd_stream_wait(struct tide_etcd_http *http, int64_t wait_ms, struct tide_buf *out, struct tide_error *error) {
  struct stream *s = &http->stream;
  TIDE_CHECK(s->curl);
  int64_t end_ns = tide_mono_now().ns + wait_ms * 1000000;
  for (;;) {
    move(s);
    bool lines = take_lines(s, out);
    if (s->done || s->answer.body.len > STREAM_LINE_MAX) return lines ? TIDE_OK : why_ended(http, error);
    if (s->endpoint != http->current) {
      tide_etcd_stream_end(http);
      return tide_fail(error, TIDE_E_AGAIN, "the watch goes on at another endpoint of etcd");
    }
    int64_t left_ms = (end_ns - tide_mono_now().ns) / 1000000;
    if (lines || left_ms <= 0 || atomic_load(&http->interrupted)) return TIDE_OK;
    TIDE_CHECK(curl_multi_poll(s->multi, NULL, 0, (int)(left_ms < 100 ? left_ms : 100), NULL) == CURLM_OK);
  }
}

/* ---- opening ---- */

static bool is_address(struct tide_span s) {
  if (s.len == 0 || s.len > 255 || !memchr(s.ptr, ':', s.len)) return false;
  for (size_t i = 0; i < s.len; i++)
    if ((unsigned char)s.ptr[i] <= ' ' || strchr("/@?#\\\"", s.ptr[i])) return false;
  return true;
}

static enum tide_err read_endpoints(struct tide_etcd_http *http, const struct tide_etcd_options *options, struct tide_error *error) {
  for (const char *at = options->endpoints; *at;) {
    struct tide_span s = {at, strcspn(at, ",")};
    if (!is_address(s) || http->endpoint_count == TIDE_ETCD_ENDPOINTS_MAX)
      return tide_fail(error, TIDE_E_CONFIG,
                       "the registry's address must be etcd://HOST:PORT,HOST:PORT.../PREFIX with at most %d endpoints",
                       TIDE_ETCD_ENDPOINTS_MAX);
    struct tide_buf url = TIDE_BUF_INIT;
    tide_buf_printf(&url, "http%s://%.*s", options->tls ? "s" : "", (int)s.len, s.ptr);
    http->endpoint[http->endpoint_count++] = tide_buf_take(&url);
    at += s.len + (at[s.len] == ',');
  }
  if (http->endpoint_count) return TIDE_OK;
  return tide_fail(error, TIDE_E_CONFIG, "the registry's address names no endpoint: etcd://HOST:PORT/PREFIX");
}

enum tide_err tide_etcd_http_open(const struct tide_etcd_options *options, struct tide_etcd_http **ret, struct tide_error *error) {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  TIDE_CHECK(pthread_once(&once, begin_curl) == 0);
  TIDE_CHECK(options->timeout_ms > 0);
  struct tide_etcd_http *http = tide_alloc(sizeof *http);
  http->timeout_ms = options->timeout_ms;
  http->rounds = 2;
  http->ca = tide_strdup(options->ca);
  http->cert = tide_strdup(options->cert);
  http->key = tide_strdup(options->key);
  http->user = tide_strdup(options->user);
  http->password = tide_strdup(options->password);
  http->curl = curl_easy_init();
  http->stream.multi = curl_multi_init();
  TIDE_CHECK(http->curl && http->stream.multi);
  enum tide_err err = read_endpoints(http, options, error);
  if (err) tide_etcd_http_close(http);
  else *ret = http;
  return err;
}

void tide_etcd_http_interrupt(struct tide_etcd_http *http) { atomic_store(&http->interrupted, true); }

void tide_etcd_http_hurry(struct tide_etcd_http *http) {
  atomic_store(&http->interrupted, false);
  http->timeout_ms = http->timeout_ms < HURRY_MS ? http->timeout_ms : HURRY_MS;
  for (size_t i = 0; i < http->endpoint_count; i++)
    if (i != http->current) tide_free(http->endpoint[i]);
  http->endpoint[0] = http->endpoint[http->current];
  http->endpoint_count = 1;
  http->current = 0;
  http->rounds = 1;
}

static void wipe(char *text) {
  if (text) explicit_bzero(text, strlen(text));
  tide_free(text);
}

void tide_etcd_http_close(struct tide_etcd_http *http) {
  tide_etcd_stream_end(http);
  curl_easy_cleanup(http->curl);
  TIDE_CHECK(curl_multi_cleanup(http->stream.multi) == CURLM_OK);
  for (size_t i = 0; i < http->endpoint_count; i++) tide_free(http->endpoint[i]);
  if (http->token.ptr) explicit_bzero(http->token.ptr, http->token.len);
  tide_buf_release(&http->token);
  tide_free(http->ca);
  tide_free(http->cert);
  tide_free(http->key);
  tide_free(http->user);
  wipe(http->password);
  tide_free(http);
}
