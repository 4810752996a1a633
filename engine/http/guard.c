/* The guard before the routes (guard.h, parts.h).
 *
 * What is in force stands behind a lock that requests take for reading and a reload for writing. A certificate is judged once a connection and its end of validity
 * at every request, so a connection that is kept open for weeks does not outlive it. A client is counted by its token, or by its address where it has none (of IPv6 the
 * first 64 bits, which one household has). Refusals say in the log who, from where and why; a token is never repeated anywhere. */
#include "http/guard.h"

#include "base/log.h"
#include "http/parts.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/random.h>

/* ---- the bundle ---- */

static enum tide_err load_listener(const struct tide_http_files *files, int listener, struct tide_tls **ret, struct tide_error *error) {
  static const char *const prefix[] = {[TIDE_LISTENER_api] = "http.tls", [TIDE_LISTENER_admin] = "http.admin_tls"};
  const char *cert = files->tls_cert[listener], *key = files->tls_key[listener], *client_ca = files->tls_client_ca[listener];
  if (!cert[0] && !key[0] && !client_ca[0]) return TIDE_OK;
  if (!cert[0] || !key[0])
    return tide_fail(error, TIDE_E_CONFIG, "%s_cert and %s_key go together, and %s_client_ca needs both", prefix[listener],
                     prefix[listener], prefix[listener]);
  return tide_tls_load(cert, key, client_ca, ret, error);
}

enum tide_err tide_http_secrets_load(const struct tide_http_files *files, struct tide_http_secrets **ret, struct tide_error *error) {
  struct tide_http_secrets *secrets = tide_alloc(sizeof *secrets);
  enum tide_err err = TIDE_OK;
  for (int i = 0; i < TIDE_LISTENER_COUNT && err == TIDE_OK; i++) err = load_listener(files, i, &secrets->tls[i], error);
  if (err == TIDE_OK && files->tokens[0]) err = tide_tokens_read(files->tokens, &secrets->tokens, error);
  if (err == TIDE_OK) *ret = secrets;
  else tide_http_secrets_free(secrets);
  return err;
}

void tide_http_secrets_free(struct tide_http_secrets *secrets) {
  if (!secrets) return;
  for (int i = 0; i < TIDE_LISTENER_COUNT; i++) tide_tls_release(secrets->tls[i]);
  tide_free(secrets->tokens);
  tide_free(secrets);
}

/* ---- in force ---- */

void tide_guard_init(struct tide_http *http, struct tide_http_secrets *secrets) {
  struct tide_guard *guard = &http->guard;
  TIDE_CHECK(pthread_rwlock_init(&guard->lock, NULL) == 0 && pthread_mutex_init(&guard->rate_mutex, NULL) == 0);
  TIDE_CHECK(getrandom(&guard->seed, sizeof guard->seed, 0) == (ssize_t)sizeof guard->seed);
  guard->secrets = secrets ? secrets : tide_alloc(sizeof *secrets);
  guard->rate.slot = tide_alloc(TIDE_RATE_SLOTS * sizeof *guard->rate.slot);
  tide_rate_set(&guard->rate, http->limits.rate, http->limits.burst);
  atomic_store(&guard->limited, http->limits.rate > 0);
}

void tide_guard_release(struct tide_http *http) {
  struct tide_guard *guard = &http->guard;
  tide_http_secrets_free(guard->secrets);
  tide_free(guard->rate.slot);
  (void)pthread_rwlock_destroy(&guard->lock);
  (void)pthread_mutex_destroy(&guard->rate_mutex);
}

void tide_http_renew(struct tide_http *http, struct tide_http_secrets *secrets, int64_t rate, int64_t burst) {
  struct tide_guard *guard = &http->guard;
  TIDE_CHECK(pthread_rwlock_wrlock(&guard->lock) == 0);
  struct tide_http_secrets *old = guard->secrets;
  for (int i = 0; i < TIDE_LISTENER_COUNT; i++)
    TIDE_CHECK(!old->tls[i] == !secrets->tls[i]); /* a listener does not change between plain and TLS */
  guard->secrets = secrets;
  TIDE_CHECK(pthread_rwlock_unlock(&guard->lock) == 0);
  tide_http_secrets_free(old); /* connections have shares of their own */
  TIDE_CHECK(pthread_mutex_lock(&guard->rate_mutex) == 0);
  tide_rate_set(&guard->rate, rate, burst);
  TIDE_CHECK(pthread_mutex_unlock(&guard->rate_mutex) == 0);
  atomic_store(&guard->limited, rate > 0);
}

struct tide_tls *tide_guard_tls(struct tide_http *http, enum tide_listener listener) {
  struct tide_guard *guard = &http->guard;
  TIDE_CHECK(pthread_rwlock_rdlock(&guard->lock) == 0);
  struct tide_tls *tls = guard->secrets->tls[listener];
  if (tls) tls = tide_tls_share(tls);
  TIDE_CHECK(pthread_rwlock_unlock(&guard->lock) == 0);
  return tls;
}

bool tide_guard_is_old(struct tide_http *http, enum tide_listener listener, const struct tide_peer *peer) {
  if (!peer || !peer->tls) return false;
  struct tide_guard *guard = &http->guard;
  TIDE_CHECK(pthread_rwlock_rdlock(&guard->lock) == 0);
  bool old = guard->secrets->tls[listener] != peer->tls;
  TIDE_CHECK(pthread_rwlock_unlock(&guard->lock) == 0);
  return old;
}

/* ---- who asks ---- */

/* The bytes by which an address is counted, and its text. */
static size_t address_of(struct MHD_Connection *connection, uint8_t ret_key[16], char ret_text[INET6_ADDRSTRLEN]) {
  const union MHD_ConnectionInfo *info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
  static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
  struct sockaddr_in v4;
  struct sockaddr_in6 v6;
  snprintf(ret_text, INET6_ADDRSTRLEN, "unknown");
  if (!info || !info->client_addr) return 0;
  if (info->client_addr->sa_family == AF_INET) {
    memcpy(&v4, info->client_addr, sizeof v4);
    memcpy(ret_key, &v4.sin_addr, 4);
    (void)inet_ntop(AF_INET, &v4.sin_addr, ret_text, INET6_ADDRSTRLEN);
    return 4;
  }
  memcpy(&v6, info->client_addr, sizeof v6);
  (void)inet_ntop(AF_INET6, &v6.sin6_addr, ret_text, INET6_ADDRSTRLEN);
  bool is_v4 = memcmp(&v6.sin6_addr, mapped, sizeof mapped) == 0;
  memcpy(ret_key, (const uint8_t *)&v6.sin6_addr + (is_v4 ? 12 : 0), is_v4 ? 4 : 8);
  return is_v4 ? 4 : 8;
}

static bool refuse(const struct tide_http_guest *guest, enum tide_problem problem, const char *why) {
  tide_log(TIDE_LOG_WARN, "http_refused", "route=%s from=%s client=%s why=%s", guest->route->name, guest->from,
           guest->caller.name[0] ? guest->caller.name : "unknown", why);
  return tide_trouble_set(guest->trouble, problem, "%s", why);
}

static bool has_certificate(struct tide_http_guest *guest) {
  struct tide_peer *peer = tide_peer_of(guest->connection);
  const char *why = "the client certificate has expired since the connection was made";
  if (!peer || !peer->tls || !tide_tls_wants_client(peer->tls)) return true;
  if (!peer->judged) peer->good = tide_tls_client_is_good(guest->connection, &peer->good_until_s, &why);
  else if (!peer->good) why = "the client certificate of this connection was refused before";
  peer->judged = true;
  if (peer->good && tide_wall_now().ms / 1000 <= peer->good_until_s) return true;
  peer->good = false;
  return refuse(guest, TIDE_PROBLEM_certificate, why);
}

/* The token of `Authorization: Bearer TOKEN`; empty where there is none. */
static struct tide_span bearer(struct MHD_Connection *connection) {
  static const char scheme[] = "Bearer ";
  const char *text = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_AUTHORIZATION);
  if (!text || strncasecmp(text, scheme, sizeof scheme - 1) != 0) return (struct tide_span){NULL, 0};
  text += sizeof scheme - 1;
  while (*text == ' ') text++;
  return tide_span_of(text);
}

/* What a person looks at: by a session of the console too, and never without a token from another machine. */
static bool is_looked_at(const struct tide_route *route) {
  return route->id == TIDE_ROUTE_status || route->id == TIDE_ROUTE_status_history || route->id == TIDE_ROUTE_explain;
}

static bool has_scope(struct tide_http *http, struct tide_http_guest *guest) {
  enum tide_scope scope = (enum tide_scope)guest->route->scope;
  struct tide_span text = bearer(guest->connection), cookie = {NULL, 0};
  struct tide_token token = {.scopes = 0};
  uint8_t hash[TIDE_SHA256_BYTES];
  bool session = false, listener = guest->route->listener == TIDE_LISTENER_admin;
  if (!text.len && listener && (scope == TIDE_SCOPE_monitor || scope == TIDE_SCOPE_read))
    cookie = tide_console_cookie(http, guest->connection);
  if (cookie.len) session = tide_sessions_find(&http->sessions, cookie, tide_mono_now(), hash);
  TIDE_CHECK(pthread_rwlock_rdlock(&http->guard.lock) == 0);
  const struct tide_tokens *tokens = http->guard.secrets->tokens;
  const struct tide_token *found = tokens && tide_token_is_good(text) ? tide_tokens_find(tokens, text) : NULL;
  if (tokens && session) found = tide_tokens_find_hash(tokens, hash);
  bool asked = tokens != NULL;
  if (found) token = *found;
  TIDE_CHECK(pthread_rwlock_unlock(&http->guard.lock) == 0);
  if (!asked) {
    if ((scope != TIDE_SCOPE_operate && !is_looked_at(guest->route)) || tide_http_is_loopback(&http->options.admin)) return true;
    return refuse(guest, TIDE_PROBLEM_forbidden,
                  "this listener can be reached from other machines and there are no tokens: set http.tokens_file");
  }
  if (!found) {
    snprintf(guest->challenge, TIDE_CHALLENGE, "Bearer realm=\"tidemark\"%s", text.len ? ", error=\"invalid_token\"" : "");
    return refuse(guest, TIDE_PROBLEM_unauthorized,
                  text.len     ? "the token is not known here"
                  : cookie.len ? "the session is over: log in again"
                               : "a token is asked for: send it as Authorization: Bearer TOKEN");
  }
  memcpy(guest->caller.name, token.name, sizeof token.name);
  if (token.scopes & 1u << scope) return true;
  char why[160];
  snprintf(guest->challenge, TIDE_CHALLENGE, "Bearer realm=\"tidemark\", error=\"insufficient_scope\", scope=\"%s\"",
           tide_scope_name(scope));
  snprintf(why, sizeof why, "the token does not have the scope %s: %s", tide_scope_name(scope), tide_scope_text(scope));
  return refuse(guest, TIDE_PROBLEM_forbidden, why);
}

bool tide_guard_admits(struct tide_http *http, struct tide_http_guest *guest) {
  uint8_t key[16];
  size_t len = address_of(guest->connection, key, guest->from);
  guest->caller = (struct tide_http_caller){.client = 0};
  if (guest->route->scope == TIDE_SCOPE_open) return true;
  if (!has_certificate(guest) || !has_scope(http, guest)) return false;
  const char *name = guest->caller.name;
  guest->caller.client = name[0] ? tide_keyed_hash64(name, strlen(name), http->guard.seed) : tide_keyed_hash64(key, len, http->guard.seed);
  return true;
}

/* ---- how much ---- */

bool tide_guard_lets(struct tide_http *http, const struct tide_http_caller *caller, int64_t *ret_wait_ns) {
  struct tide_guard *guard = &http->guard;
  if (!caller->client || !atomic_load_explicit(&guard->limited, memory_order_relaxed)) return true;
  TIDE_CHECK(pthread_mutex_lock(&guard->rate_mutex) == 0);
  bool lets = tide_rate_take(&guard->rate, caller->client, tide_mono_now().ns, ret_wait_ns);
  TIDE_CHECK(pthread_mutex_unlock(&guard->rate_mutex) == 0);
  return lets;
}

void tide_guard_charge(struct tide_http *http, const struct tide_http_caller *caller, uint32_t more) {
  struct tide_guard *guard = &http->guard;
  if (!caller->client || more == 0 || !atomic_load_explicit(&guard->limited, memory_order_relaxed)) return;
  TIDE_CHECK(pthread_mutex_lock(&guard->rate_mutex) == 0);
  tide_rate_charge(&guard->rate, caller->client, more, tide_mono_now().ns);
  TIDE_CHECK(pthread_mutex_unlock(&guard->rate_mutex) == 0);
}
