/* The operator's console: its files, and who is logged in (parts.h). GET /console and its style and script; POST /console/login and /console/logout.
 *
 * The files stand in the program byte for byte, so a console never differs from its engine, and the page may take nothing from anywhere else (reply.c:
 * the headers of a page). They say nothing of the cell: what is shown comes from GET /status, GET /status/history and POST /explain, which ask for a
 * token as any other client would show it, or for the session that a login has opened.
 *
 * A login is a form with the token. It is taken over TLS or on a loopback address only: elsewhere the token would travel in clear. Where the engine has
 * no tokens there is nothing to log in to, and the listener answers on a loopback address only; a page of another site whose name leads here (DNS
 * rebinding) shows that name as Host and is refused. */
#include "base/log.h"
#include "http/order.h"

#include <arpa/inet.h>
#include <stdio.h>

__asm__(".section .rodata\n"
        "tide_console_html_begin:\n"
        ".incbin \"engine/http/console/console.html\"\n"
        "tide_console_html_end:\n"
        "tide_console_css_begin:\n"
        ".incbin \"engine/http/console/console.css\"\n"
        "tide_console_css_end:\n"
        "tide_console_js_begin:\n" /* one script of several files, in the order in which they need each other */
        ".incbin \"engine/http/console/dom.js\"\n"
        ".incbin \"engine/http/console/chart.js\"\n"
        ".incbin \"engine/http/console/panels.js\"\n"
        ".incbin \"engine/http/console/explain.js\"\n"
        ".incbin \"engine/http/console/main.js\"\n"
        "tide_console_js_end:\n"
        ".byte 0\n"
        ".previous\n");
extern const char tide_console_html_begin[], tide_console_html_end[], tide_console_css_begin[], tide_console_css_end[],
    tide_console_js_begin[], tide_console_js_end[];

void tide_console_file(const struct tide_http *http, enum tide_route_id route, struct tide_http_reply *reply) {
  (void)http;
  const char *begin = tide_console_html_begin, *end = tide_console_html_end;
  reply->media_type = "text/html; charset=utf-8";
  if (route == TIDE_ROUTE_console_style)
    begin = tide_console_css_begin, end = tide_console_css_end, reply->media_type = "text/css; charset=utf-8";
  if (route == TIDE_ROUTE_console_script)
    begin = tide_console_js_begin, end = tide_console_js_end, reply->media_type = "text/javascript; charset=utf-8";
  reply->borrowed = begin;
  reply->borrowed_len = (size_t)(end - begin);
  reply->status = MHD_HTTP_OK;
  reply->page = true;
}

static const char *header(struct MHD_Connection *connection, const char *name) {
  return MHD_lookup_connection_value(connection, MHD_HEADER_KIND, name);
}

/* Browsers tell cookies apart by host, not by port: two engines on one machine must not overwrite each other's. */
static void cookie_name(const struct tide_http *http, char ret[32]) { snprintf(ret, 32, "tidemark_%u", http->admin_port); }

struct tide_span tide_console_cookie(const struct tide_http *http, struct MHD_Connection *connection) {
  char name[32];
  cookie_name(http, name);
  const char *text = MHD_lookup_connection_value(connection, MHD_COOKIE_KIND, name);
  return text ? tide_span_of(text) : (struct tide_span){NULL, 0};
}

/* ---- whose page asks ---- */

static bool is_literal(const char *host) {
  char name[64];
  unsigned char binary[16];
  size_t len = host[0] == '[' ? strcspn(host, "]") : strcspn(host, ":");
  if (host[0] == '[') host++, len = len ? len - 1 : 0;
  if (len == 0 || len >= sizeof name) return false;
  memcpy(name, host, len);
  name[len] = '\0';
  return strcasecmp(name, "localhost") == 0 || inet_pton(AF_INET, name, binary) == 1 || inet_pton(AF_INET6, name, binary) == 1;
}

static bool has_tokens(const struct tide_http *http) {
  struct tide_http *own = (struct tide_http *)http; /* a lock is taken, nothing is changed */
  TIDE_CHECK(pthread_rwlock_rdlock(&own->guard.lock) == 0);
  bool has = own->guard.secrets->tokens != NULL;
  TIDE_CHECK(pthread_rwlock_unlock(&own->guard.lock) == 0);
  return has;
}

bool tide_console_is_own(const struct tide_http *http, struct MHD_Connection *connection) {
  const char *host = header(connection, MHD_HTTP_HEADER_HOST), *origin = header(connection, "Origin");
  const char *site = header(connection, "Sec-Fetch-Site");
  if (!host || (site && strcmp(site, "same-origin") != 0 && strcmp(site, "none") != 0)) return false;
  if (!is_literal(host) && !has_tokens(http)) return false;
  if (!origin) return true;
  const char *name = strstr(origin, "://");
  return name && strcasecmp(name + 3, host) == 0;
}

/* ---- login, logout ---- */

static bool is_private(const struct tide_order *order) {
  return (order->peer && order->peer->tls) || tide_http_is_loopback(&order->http->options.admin);
}

static int hex(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  c = (char)(c | 0x20);
  return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The member `token` of a form (application/x-www-form-urlencoded) that has no other. */
static bool read_form(const struct tide_order *order, char ret[TIDE_TOKEN_MOST + 1]) {
  static const char name[] = "token=";
  size_t len = 0;
  if (order->body.len < sizeof name - 1 || memcmp(order->body.ptr, name, sizeof name - 1) != 0) return false;
  const char *end = order->body.ptr + order->body.len;
  for (const char *at = order->body.ptr + sizeof name - 1; at < end; at++) {
    int c = (unsigned char)*at;
    if (c == '&' || len == TIDE_TOKEN_MOST) return false;
    if (c == '+') c = ' ';
    if (c == '%') {
      int high = end - at > 2 ? hex(at[1]) : -1, low = high < 0 ? -1 : hex(at[2]);
      if (low < 0) return false;
      c = high * 16 + low;
      at += 2;
    }
    ret[len++] = (char)c;
  }
  while (len > 0 && (ret[len - 1] == ' ' || ret[len - 1] == '\n' || ret[len - 1] == '\r')) len--; /* as it is pasted */
  ret[len] = '\0';
  return true;
}

/* The token's line, if it may look at the engine. */
static bool find_token(struct tide_order *order, struct tide_token *ret) {
  char text[TIDE_TOKEN_MOST + 1];
  struct tide_guard *guard = &order->http->guard;
  bool good = read_form(order, text);
  TIDE_CHECK(pthread_rwlock_rdlock(&guard->lock) == 0);
  const struct tide_tokens *tokens = guard->secrets->tokens;
  const struct tide_token *found =
      good && tokens && tide_token_is_good(tide_span_of(text)) ? tide_tokens_find(tokens, tide_span_of(text)) : NULL;
  if (found) *ret = *found;
  TIDE_CHECK(pthread_rwlock_unlock(&guard->lock) == 0);
  explicit_bzero(text, sizeof text);
  if (!good)
    return tide_trouble_set(&order->trouble, TIDE_PROBLEM_malformed,
                            "a login is a form with the member token and no other, of at most %d bytes", TIDE_TOKEN_MOST);
  if (!found) return tide_trouble_set(&order->trouble, TIDE_PROBLEM_unauthorized, "the token is not known here");
  if (found && ret->scopes & 1u << TIDE_SCOPE_monitor) return true;
  return tide_trouble_set(&order->trouble, TIDE_PROBLEM_forbidden,
                          "the token does not have the scope monitor, without which there is nothing to see");
}

static void set_cookie(struct tide_order *order, const char *value, int64_t max_age_s) {
  char name[32];
  cookie_name(order->http, name);
  snprintf(order->cookie, sizeof order->cookie, "%s=%s; Path=/; HttpOnly; SameSite=Strict; Max-Age=%lld%s", name, value,
           (long long)max_age_s, order->peer && order->peer->tls ? "; Secure" : "");
}

static void login(struct tide_order *order) {
  struct tide_token token;
  char session[TIDE_SESSION_TEXT];
  if (!is_private(order)) {
    tide_trouble_set(&order->trouble, TIDE_PROBLEM_forbidden,
                     "the token would travel in clear: log in over TLS (http.admin_tls_cert) or on a loopback address");
  } else if (has_tokens(order->http) && find_token(order, &token)) {
    tide_sessions_open(&order->http->sessions, token.hash, tide_mono_now(), session);
    set_cookie(order, session, TIDE_SESSION_MAX_MS / 1000);
    explicit_bzero(session, sizeof session);
    tide_log(TIDE_LOG_INFO, "console_login", "client=%s", token.name);
  }
  if (order->trouble.problem != TIDE_PROBLEM_none) tide_log(TIDE_LOG_WARN, "console_refused", "why=%s", order->trouble.detail);
  else order->location = "/console";
}

void tide_console_session(struct tide_order *order) {
  if (!tide_console_is_own(order->http, order->connection)) {
    tide_trouble_set(&order->trouble, TIDE_PROBLEM_forbidden, "this listener takes nothing from pages of other sites");
    return;
  }
  if (order->route->id == TIDE_ROUTE_console_login) {
    login(order);
    return;
  }
  struct tide_span cookie = tide_console_cookie(order->http, order->connection);
  if (cookie.len) tide_sessions_close(&order->http->sessions, cookie);
  set_cookie(order, "", 0);
  order->location = "/console";
}
