/* The listeners: start, drain, stop, and the way of a request through the library's callbacks (server.h, parts.h).
 *
 *   on_uri        a marker whether the target had a query: the library would hide it from us
 *   on_request    first call: the headers are there; middle calls: bytes of the body; last call: the body is there, or we have been woken
 *   on_done       the answer is out, or the connection is gone
 *
 * What is wrong with the headers is only answered once the body has been read and thrown away: a client that is still sending would see a broken pipe and no
 * answer. But a body that waits to be asked for, or that says that it is many times too long, is answered at once.
 *
 * Suspending comes before offering, since the answer may be there before tide_engine_offer has returned. `pending` begins with one share for the thread that
 * offers: nobody wakes the connection before all items have been offered. */
#include "http/parts.h"

#include "base/json_out.h"
#include "base/log.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define BODY_FACTOR 4 /* times what is accepted: so much of a body is read to be thrown away */

/* ---- limits and addresses ---- */

struct tide_http_limits tide_http_limits_default(void) {
  return (struct tide_http_limits){
#define X(name, dflt, lo, hi, help) .name = dflt,
      TIDE_HTTP_LIMITS(X)
#undef X
  };
}

enum tide_err tide_http_limits_check(const struct tide_http_limits *limits, struct tide_error *error) {
#define X(name, dflt, lo, hi, help)                                                                                                        \
  if (limits->name < (lo) || limits->name > (hi))                                                                                          \
    return tide_fail_at(error, TIDE_E_CONFIG, 0, 0, #name, "the HTTP limit %s is %lld, outside %lld to %lld", #name,                       \
                        (long long)limits->name, (long long)(lo), (long long)(hi));
  TIDE_HTTP_LIMITS(X)
#undef X
  if (limits->deadline_ms > limits->deadline_max_ms || limits->batch_deadline_ms > limits->deadline_max_ms)
    return tide_fail_at(error, TIDE_E_CONFIG, 0, 0, "deadline_max_ms", "the longest deadline is below a default deadline");
  return TIDE_OK;
}

enum tide_err tide_http_address_parse(const char *text, struct tide_http_address *ret, struct tide_error *error) {
  struct tide_http_address address = {.port = 0};
  const char *colon = strrchr(text, ':'), *host = text;
  size_t len = colon ? (size_t)(colon - text) : 0;
  if (len >= 2 && host[0] == '[' && host[len - 1] == ']') host++, len -= 2;
  char *end = NULL;
  unsigned long port = colon && colon[1] >= '0' && colon[1] <= '9' ? strtoul(colon + 1, &end, 10) : 65536;
  unsigned char binary[16];
  bool good = len > 0 && len < sizeof address.host && port <= 65535 && end && !*end;
  if (good) {
    memcpy(address.host, host, len);
    if (strcmp(address.host, "localhost") == 0) memcpy(address.host, "127.0.0.1", sizeof "127.0.0.1");
    good = inet_pton(strchr(address.host, ':') ? AF_INET6 : AF_INET, address.host, binary) == 1;
  }
  if (!good)
    return tide_fail(error, TIDE_E_USAGE,
                     "\"%.80s\" is not an address to listen on; write 127.0.0.1:8080 or [::1]:8080, port 0 for any free one", text);
  address.port = (uint16_t)port;
  *ret = address;
  return TIDE_OK;
}

bool tide_http_is_loopback(const struct tide_http_address *address) {
  return strncmp(address->host, "127.", 4) == 0 || strcmp(address->host, "::1") == 0;
}

/* ---- what a request's headers say ---- */

static const char *header(const struct tide_http_request *request, const char *name) {
  return MHD_lookup_connection_value(request->connection, MHD_HEADER_KIND, name);
}

static enum MHD_Result add_header_bytes(void *cls, enum MHD_ValueKind kind, const char *key, const char *value) {
  size_t *bytes = cls;
  (void)kind;
  *bytes += strlen(key) + (value ? strlen(value) : 0) + 4;
  return MHD_YES;
}

bool tide_http_is_json(const char *type) {
  static const char json[] = "application/json";
  size_t len = sizeof json - 1;
  if (!type || strncasecmp(type, json, len) != 0) return false;
  type += len;
  while (*type == ' ' || *type == '\t') type++;
  if (!*type) return true;
  if (*type++ != ';') return false;
  while (*type == ' ' || *type == '\t') type++;
  return strcasecmp(type, "charset=utf-8") == 0 || strcasecmp(type, "charset=\"utf-8\"") == 0;
}

static bool is_hex(const char *text, size_t len, bool *ret_zero) {
  *ret_zero = true;
  for (size_t i = 0; i < len; i++) {
    if (!((text[i] >= '0' && text[i] <= '9') || (text[i] >= 'a' && text[i] <= 'f'))) return false;
    if (text[i] != '0') *ret_zero = false;
  }
  return true;
}

/* W3C Trace Context, version 00. A header that is not understood is left out, as that document asks. */
static bool is_traceparent(const char *text) {
  bool zero;
  if (strlen(text) != TIDE_TRACEPARENT || text[2] != '-' || text[35] != '-' || text[52] != '-') return false;
  if (strncmp(text, "00", 2) != 0 || !is_hex(text + 3, 32, &zero) || zero || !is_hex(text + 36, 16, &zero) || zero) return false;
  return is_hex(text + 53, 2, &zero);
}

static bool read_timeout(struct tide_http_request *request) {
  const struct tide_http_limits *limits = &request->http->limits;
  bool batch = request->route && request->route->id == TIDE_ROUTE_score_batch;
  request->timeout_ms = batch ? limits->batch_deadline_ms : limits->deadline_ms;
  const char *text = header(request, "Tidemark-Timeout-Ms");
  if (!text) return true;
  char *end = NULL;
  size_t len = strlen(text);
  unsigned long long ms = len > 0 && len <= 9 && text[0] >= '0' && text[0] <= '9' ? strtoull(text, &end, 10) : 0;
  if (!end || *end || ms < 1 || ms > (unsigned long long)limits->deadline_max_ms)
    return tide_trouble_set(&request->trouble, TIDE_PROBLEM_bad_header, "Tidemark-Timeout-Ms must be a whole number from 1 to %lld",
                            (long long)limits->deadline_max_ms);
  request->timeout_ms = (int64_t)ms;
  return true;
}

static size_t body_max(const struct tide_http_request *request) {
  const struct tide_http_limits *limits = &request->http->limits;
  bool batch = request->route && request->route->id == TIDE_ROUTE_score_batch;
  return (size_t)(batch ? limits->batch_bytes_max : limits->body_bytes_max);
}

static bool too_long(struct tide_http_request *request) {
  return tide_trouble_set(&request->trouble, TIDE_PROBLEM_body_too_large, "the body is longer than the %zu bytes that are accepted here",
                          body_max(request));
}

static bool asks_decision(const struct tide_route *route) { return route->id == TIDE_ROUTE_score || route->id == TIDE_ROUTE_score_batch; }

/* A client that asks too often gets the fallback where there is a decision to give, so that its body is read; otherwise it is refused here. */
static bool check_guard(struct tide_http_request *request) {
  struct tide_http *http = request->http;
  struct tide_http_guest guest = {.connection = request->connection, .route = request->route, .trouble = &request->trouble};
  bool good = tide_guard_admits(http, &guest);
  request->caller = guest.caller;
  memcpy(request->challenge, guest.challenge, sizeof guest.challenge);
  if (!good || tide_guard_lets(http, &request->caller, &request->wait_ns)) return good;
  tide_log(TIDE_LOG_WARN, "http_rate", "route=%s from=%s client=%s", request->route->name, guest.from,
           guest.caller.name[0] ? guest.caller.name : "unknown");
  return asks_decision(request->route) ||
         tide_trouble_set(&request->trouble, TIDE_PROBLEM_rate_limited,
                          "more requests than http.rate and http.burst allow came from this client; send it again later");
}

static bool check_headers(struct tide_http_request *request, const char *method, bool query) {
  size_t bytes = 0;
  struct tide_trouble *trouble = &request->trouble;
  (void)MHD_get_connection_values(request->connection, MHD_HEADER_KIND, add_header_bytes, &bytes);
  if (bytes > (size_t)request->http->limits.header_bytes_max)
    return tide_trouble_set(trouble, TIDE_PROBLEM_header_too_large, "the header lines have %zu bytes, at most %lld are accepted", bytes,
                            (long long)request->http->limits.header_bytes_max);
  if (!request->route) return tide_trouble_set(trouble, TIDE_PROBLEM_not_found, "see /v1/openapi.yaml for the paths there are");
  if (query)
    return tide_trouble_set(trouble, TIDE_PROBLEM_query,
                            "nothing is read from a query, because addresses end up in logs; put everything into the body");
  if (!tide_route_takes(request->route, method))
    return tide_trouble_set(trouble, TIDE_PROBLEM_method, "this path takes %s only", tide_route_allow(request->route));
  if (!check_guard(request)) return false;
  if (!read_timeout(request)) return false;
  if (strcmp(request->route->method, "POST") != 0) return true;
  const char *encoding = header(request, MHD_HTTP_HEADER_CONTENT_ENCODING);
  if (encoding && strcasecmp(encoding, "identity") != 0)
    return tide_trouble_set(trouble, TIDE_PROBLEM_media_type, "a body must not be compressed (Content-Encoding)");
  if (!tide_http_is_json(header(request, MHD_HTTP_HEADER_CONTENT_TYPE)))
    return tide_trouble_set(trouble, TIDE_PROBLEM_media_type, "Content-Type must be application/json, in UTF-8");
  return true;
}

/* ---- the way of a request ---- */

static const char query_marker, plain_marker;

static void *on_uri(void *cls, const char *uri, struct MHD_Connection *connection) {
  (void)cls, (void)connection;
  return (void *)(uintptr_t)(strchr(uri, '?') ? &query_marker : &plain_marker);
}

static bool is_marker(const void *context) { return !context || context == &query_marker || context == &plain_marker; }

/* What of its time a request spent in queues that are the longer, the more is worked on at once: not the wait for the commit before, nor its own. */
static int64_t queueing_ns(const struct tide_http_request *request, int64_t now_ns) {
  const struct tide_offer *offer = request->item_count > 0 ? request->item[0].offer : NULL;
  if (!offer || (offer->end == TIDE_END_refused && offer->cause != TIDE_C_deadline)) return 0;
  int64_t from_ns = offer->offered.ns + offer->again_ns; /* who waits for fresher facts stands in no queue */
  if (!offer->durable.ns) return now_ns - from_ns;
  int64_t before_ns = (offer->begun.ns - from_ns) - (offer->durable.ns - offer->begun.ns);
  return (before_ns > 0 ? before_ns : 0) + now_ns - offer->durable.ns;
}

static enum MHD_Result send_reply(struct tide_http_request *request) {
  struct tide_http *http = request->http;
  tide_line_leave(request, queueing_ns(request, tide_mono_now().ns));
  struct tide_http_reply reply;
  tide_http_reply_make(request, &reply);
  request->stage = TIDE_ANSWERED;
  int64_t ns = tide_mono_now().ns - request->begun.ns;
  tide_http_measure_total(http->meters, request->route, ns);
  tide_log(TIDE_LOG_DEBUG, "http_request", "route=%s status=%u took_us=%lld trace=%s", request->route ? request->route->name : "none",
           reply.status, (long long)(ns / 1000), request->traceparent[0] ? request->traceparent : "none");
  tide_peer_set(request->peer, TIDE_PEER_writing);
  bool close = atomic_load(&http->draining) || tide_guard_is_old(http, TIDE_LISTENER_api, request->peer);
  enum MHD_Result result = tide_http_reply_send(http, request->connection, request->route, &reply, request->traceparent, close);
  tide_buf_release(&reply.body);
  return result;
}

static void give_up_share(struct tide_http_request *request) {
  struct tide_http *http = request->http;
  struct MHD_Connection *connection = request->connection;
  if (atomic_fetch_sub(&request->pending, 1) != 1) return;
  MHD_resume_connection(connection); /* from here on the request may be gone */
  atomic_fetch_sub(&http->waiting, 1);
}

void tide_http_release(void *ctx, struct tide_offer *offer) {
  (void)ctx;
  if (offer->kind == TIDE_OFFER_CONTROL || offer->kind == TIDE_OFFER_EXPLAIN) {
    tide_order_release(offer);
    return;
  }
  struct tide_http_item *item = offer->ctx;
  tide_http_measure_offer(item->request->http->meters, offer);
  give_up_share(item->request);
}

/* The engine could not be asked for the decision: it did not take the offer, or gave it back without having judged it. */
static void decide_what_is_left(struct tide_http_request *request) {
  for (uint32_t i = 0; i < request->item_count; i++) {
    struct tide_http_item *item = &request->item[i];
    struct tide_offer *offer = item->offer;
    bool left = offer && item->scores && offer->kind == TIDE_OFFER_COMMIT && !offer->told.given &&
                (offer->end == TIDE_END_refused || offer->end == TIDE_END_maybe);
    if (left) tide_http_decide_locally(request->http, offer, (enum tide_offer_end)offer->end, (enum tide_cause)offer->cause);
  }
}

static void offer_one(struct tide_http_request *request, struct tide_http_item *item) {
  struct tide_engine *engine = request->http->engine;
  if (tide_engine_offer(engine, item->offer)) return;
  struct tide_engine_status status = tide_engine_status(engine);
  bool ended = status.absent || status.error.code != TIDE_OK || status.state == TIDE_CORE_stopped || status.state == TIDE_CORE_draining;
  tide_http_count(request->http->meters, TIDE_METER_ROW_inbox_refused_total);
  item->offer->end = TIDE_END_refused;
  item->offer->cause = (uint8_t)(ended ? TIDE_C_unavailable : TIDE_C_overload);
  give_up_share(request);
}

/* `refuse` other than none: nothing is journaled; the engine only gives the fallback, which may ask lists that it alone knows. */
static enum MHD_Result ask_engine(struct tide_http_request *request, enum tide_cause refuse) {
  unsigned offers = 0;
  tide_http_take(request);
  for (uint32_t i = 0; i < request->item_count; i++) {
    struct tide_offer *offer = request->item[i].offer;
    if (!offer) continue;
    offer->refuse = (uint8_t)refuse;
    offers++;
  }
  if (refuse == TIDE_C_none && request->item_count > 1) tide_guard_charge(request->http, &request->caller, request->item_count - 1);
  if (request->trouble.problem != TIDE_PROBLEM_none || offers == 0) return send_reply(request);
  request->stage = TIDE_WAITING;
  tide_peer_set(request->peer, TIDE_PEER_waiting);
  atomic_fetch_add(&request->http->waiting, 1);
  atomic_store(&request->pending, offers + 1);
  MHD_suspend_connection(request->connection);
  uint32_t count = request->item_count;
  for (uint32_t i = 0; i < count; i++)
    if (request->item[i].offer) offer_one(request, &request->item[i]);
  give_up_share(request);
  return MHD_YES;
}

/* A decision for one that asks too often: by the message alone, so that neither the engine nor those who wait for it notice. */
static enum MHD_Result answer_limited(struct tide_http_request *request) {
  tide_http_take(request);
  for (uint32_t i = 0; i < request->item_count; i++) {
    struct tide_offer *offer = request->item[i].offer;
    if (offer) offer->end = TIDE_END_refused, offer->cause = TIDE_C_overload;
  }
  decide_what_is_left(request);
  return send_reply(request);
}

static enum MHD_Result enter(struct tide_http_request *request) {
  enum tide_route_id route = request->route->id;
  request->ticket.owner = request;
  request->ticket.deadline_ns = request->deadline.ns;
  request->ticket.priority = tide_http_priority(route);
  return tide_line_enter(request) == TIDE_ADMIT_WORKING ? ask_engine(request, TIDE_C_none) : MHD_YES;
}

static enum MHD_Result leave_line(struct tide_http_request *request) {
  atomic_fetch_sub(&request->http->waiting, 1);
  if (request->ticket.state == TIDE_ADMIT_WORKING) return ask_engine(request, TIDE_C_none);
  if (request->deadline.ns < tide_mono_now().ns && request->peer && tide_line_is_gone(request->peer->fd)) {
    tide_http_count_cut(request->http->meters, TIDE_CUT_gave_up);
    return MHD_NO;
  }
  return ask_engine(request, request->ticket.crowded_out ? TIDE_C_overload : TIDE_C_deadline);
}

static enum MHD_Result begin_request(struct tide_http *http, struct MHD_Connection *connection, const char *url, const char *method,
                                     bool query, void **context) {
  struct tide_http_request *request = tide_alloc(sizeof *request);
  request->http = http;
  request->connection = connection;
  request->peer = tide_peer_of(connection);
  request->begun.ns = tide_mono_now().ns - (request->peer ? tide_line_unread_ns(http, request->peer->fd) : 0);
  request->route = tide_route_find(TIDE_LISTENER_api, url);
  *context = request;
  tide_peer_set(request->peer, TIDE_PEER_reading);
  bool good = check_headers(request, method, query);
  request->deadline.ns = request->begun.ns + request->timeout_ms * 1000000;
  const char *trace = header(request, "traceparent");
  if (trace && is_traceparent(trace)) memcpy(request->traceparent, trace, TIDE_TRACEPARENT);
  else if (trace) tide_http_count(http->meters, TIDE_METER_ROW_http_traceparent_invalid_total);
  const char *length = header(request, MHD_HTTP_HEADER_CONTENT_LENGTH);
  unsigned long long body = length ? strtoull(length, NULL, 10) : 0;
  if (good && body > body_max(request)) good = too_long(request);
  if (!good && (body > BODY_FACTOR * body_max(request) || header(request, MHD_HTTP_HEADER_EXPECT))) return send_reply(request);
  return MHD_YES;
}

/* Beyond that it is not worth reading what will not be used: the connection is closed without a word. */
static enum MHD_Result take_body(struct tide_http_request *request, const char *data, size_t *size) {
  size_t max = body_max(request);
  request->seen += *size;
  if (request->seen > BODY_FACTOR * max) {
    tide_http_count_cut(request->http->meters, TIDE_CUT_body_too_large);
    return MHD_NO;
  }
  if (request->seen > max && request->trouble.problem == TIDE_PROBLEM_none) {
    (void)too_long(request);
    tide_buf_release(&request->body);
  }
  if (request->trouble.problem == TIDE_PROBLEM_none) tide_buf_put(&request->body, data, *size);
  *size = 0;
  return MHD_YES;
}

static enum MHD_Result on_request(void *cls, struct MHD_Connection *connection, const char *url, const char *method, const char *version,
                                  const char *data, size_t *size, void **context) {
  (void)version;
  if (is_marker(*context)) return begin_request(cls, connection, url, method, *context == &query_marker, context);
  struct tide_http_request *request = *context;
  if (request->stage == TIDE_IN_LINE) return leave_line(request);
  if (request->stage == TIDE_WAITING) {
    decide_what_is_left(request);
    return send_reply(request);
  }
  if (request->stage == TIDE_ANSWERED) { /* answered at the headers: what still comes is passed over */
    *size = 0;
    return MHD_YES;
  }
  if (*size > 0) return take_body(request, data, size);
  if (request->trouble.problem != TIDE_PROBLEM_none || request->route->id == TIDE_ROUTE_openapi) return send_reply(request);
  return request->wait_ns ? answer_limited(request) : enter(request);
}

static void on_done(void *cls, struct MHD_Connection *connection, void **context, enum MHD_RequestTerminationCode code) {
  (void)cls, (void)code;
  tide_peer_set(tide_peer_of(connection), TIDE_PEER_idle);
  if (is_marker(*context)) return;
  struct tide_http_request *request = *context;
  *context = NULL;
  TIDE_CHECK(atomic_load(&request->pending) == 0);
  tide_line_leave(request, 0); /* the connection broke before its answer was made */
  for (uint32_t i = 0; i < request->item_count; i++) tide_offer_free(request->item[i].offer);
  if (request->item != &request->one) tide_free(request->item);
  if (request->body.len) explicit_bzero(request->body.ptr, request->body.len); /* card numbers */
  tide_buf_release(&request->body);
  tide_free(request);
}

/* The library's complaints may carry bytes of a request: only that there was one is kept. */
static void on_complaint(void *cls, const char *fmt, va_list args) {
  struct tide_http *http = cls;
  (void)args;
  tide_http_count(http->meters, TIDE_METER_ROW_http_protocol_errors_total);
  tide_log(TIDE_LOG_DEBUG, "http_protocol", "what=%.*s", (int)strcspn(fmt, "\n"), fmt);
}

/* ---- start and stop ---- */

static void *on_admin_uri(void *cls, const char *uri, struct MHD_Connection *connection) {
  (void)cls, (void)uri, (void)connection;
  return NULL;
}

struct socket_address {
  union {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
  };
  bool is_v6;
};

static struct socket_address socket_address_of(const struct tide_http_address *from) {
  struct socket_address to = {.is_v6 = strchr(from->host, ':') != NULL};
  if (to.is_v6) {
    to.v6 = (struct sockaddr_in6){.sin6_family = AF_INET6, .sin6_port = htons(from->port)};
    TIDE_CHECK(inet_pton(AF_INET6, from->host, &to.v6.sin6_addr) == 1);
  } else {
    to.v4 = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(from->port)};
    TIDE_CHECK(inet_pton(AF_INET, from->host, &to.v4.sin_addr) == 1);
  }
  return to;
}

static uint16_t port_of(struct MHD_Daemon *daemon) {
  const union MHD_DaemonInfo *info = MHD_get_daemon_info(daemon, MHD_DAEMON_INFO_BIND_PORT);
  return info ? info->port : 0;
}

static struct MHD_Daemon *listen_on(struct tide_http *http, const struct tide_http_address *address, bool api) {
  const struct tide_http_limits *limits = &http->limits;
  struct socket_address where = socket_address_of(address);
  unsigned flags =
      MHD_USE_EPOLL_INTERNAL_THREAD | MHD_USE_ERROR_LOG | MHD_USE_ITC | (where.is_v6 ? MHD_USE_IPv6 : 0) | MHD_ALLOW_SUSPEND_RESUME;
  /* Headers above our own limit must still fit, so that they can be answered by us. */
  size_t memory = (size_t)limits->header_bytes_max * 3 + 8192;
  /* The library closes a silent connection without a word: peer.c, which has one, must come first. */
  int64_t silence_ms = (limits->idle_timeout_ms > limits->read_timeout_ms ? limits->idle_timeout_ms : limits->read_timeout_ms) + 1000;
  struct tide_http_side *side = &http->side[api ? TIDE_LISTENER_api : TIDE_LISTENER_admin];
  *side = (struct tide_http_side){http, api ? TIDE_LISTENER_api : TIDE_LISTENER_admin};
  bool tls = http->guard.secrets->tls[side->listener] != NULL;
  if (tls) flags |= MHD_USE_TLS;
  struct MHD_OptionItem option[] = {
      {MHD_OPTION_CONNECTION_LIMIT, api ? (intptr_t)limits->connections_max : 64, NULL},
      {MHD_OPTION_PER_IP_CONNECTION_LIMIT, api ? (intptr_t)limits->connections_per_ip_max : 0, NULL},
      {MHD_OPTION_CONNECTION_TIMEOUT, (intptr_t)((silence_ms + 999) / 1000), NULL},
      {MHD_OPTION_CONNECTION_MEMORY_LIMIT, (intptr_t)memory, NULL},
      {MHD_OPTION_STRICT_FOR_CLIENT, 1, NULL},
      {MHD_OPTION_LISTEN_BACKLOG_SIZE, 1024, NULL},
      {MHD_OPTION_NOTIFY_CONNECTION, (intptr_t)tide_peer_notify, side},
      {MHD_OPTION_NOTIFY_COMPLETED, (intptr_t)(api ? on_done : tide_http_admin_done), http},
      {MHD_OPTION_URI_LOG_CALLBACK, (intptr_t)(api ? on_uri : on_admin_uri), NULL},
      {api && limits->threads > 1 ? MHD_OPTION_THREAD_POOL_SIZE : MHD_OPTION_END, (intptr_t)limits->threads, NULL},
      {MHD_OPTION_END, 0, NULL},
  };
  /* Each connection is given its certificate when it begins: the one in force then. */
  struct MHD_OptionItem tls_option[] = {{tls ? MHD_OPTION_HTTPS_PRIORITIES : MHD_OPTION_END, 0, (void *)(uintptr_t)TIDE_TLS_PRIORITIES},
                                        {MHD_OPTION_HTTPS_CERT_CALLBACK, 0, tide_tls_no_certificate()},
                                        {MHD_OPTION_END, 0, NULL}};
  return MHD_start_daemon(flags, 0, NULL, NULL, api ? on_request : tide_http_admin, http, MHD_OPTION_EXTERNAL_LOGGER, on_complaint, http,
                          MHD_OPTION_SOCK_ADDR, &where.any, MHD_OPTION_ARRAY, option, MHD_OPTION_ARRAY, tls_option, MHD_OPTION_END);
}

static enum tide_err check_spec(const struct tide_spec *spec, struct tide_error *error) {
  for (uint32_t i = 0; i < spec->shape_count; i++)
    for (uint32_t k = 0; k < spec->shape[i].field_count; k++) {
      const struct tide_input_field *in = &spec->shape[i].field[k];
      const char *at = in->at[0] == '/' ? in->at + 1 : in->at;
      if (strcspn(at, "/") == 7 && strncmp(at, "options", 7) == 0)
        return tide_fail_at(
            error, TIDE_E_CONFIG, in->line, in->column, "inputs",
            "shape \"%s\" reads from \"options\", which over HTTP says how a message is to be answered; choose another member",
            spec->shape[i].name);
    }
  return TIDE_OK;
}

/* {"cell":C,"model":  and  ,"durability":D}; between them the versions of each answer. */
static void make_provenance(struct tide_http *http) {
  struct tide_buf *out = &http->cell;
  tide_json_open(out, '{');
  tide_json_key(out, "cell");
  tide_json_cstr(out, http->options.cell);
  tide_json_key(out, "model");
  out = &http->versions;
  tide_buf_char(out, ',');
  tide_json_key(out, "durability");
  tide_json_cstr(out, http->options.durability);
  tide_json_close(out, '}');
}

static void free_http(struct tide_http *http) {
  for (struct tide_http_decoder *next, *decoder = http->decoders; decoder; decoder = next) {
    next = decoder->next;
    tide_http_decoder_free(decoder);
  }
  (void)pthread_mutex_destroy(&http->decoders_mutex);
  tide_buf_release(&http->cell);
  tide_buf_release(&http->versions);
  tide_free(http);
}

enum tide_err tide_http_features(struct tide_http *http, const struct tide_spec *spec, struct tide_error *error) {
  enum tide_err err = check_spec(spec, error);
  if (err != TIDE_OK) return err;
  const struct tide_spec *was = atomic_exchange(&http->spec, spec);
  struct tide_http_decoder *decoder = tide_http_decoder_take(http, error); /* as one is made for every request from now on */
  if (decoder) tide_http_decoder_give(http, decoder);
  else atomic_store(&http->spec, was);
  return decoder ? TIDE_OK : TIDE_E_CONFIG;
}

enum tide_err tide_http_start(const struct tide_http_options *options, struct tide_http **ret, struct tide_error *error) {
  enum tide_err err = tide_http_limits_check(&options->limits, error);
  if (err == TIDE_OK) err = check_spec(options->spec, error);
  if (err != TIDE_OK) return err;
  struct tide_http *http = tide_alloc(sizeof *http);
  http->options = *options;
  http->limits = options->limits;
  http->engine = options->engine;
  http->spec = options->spec;
  http->meters = options->meters;
  TIDE_CHECK(pthread_mutex_init(&http->decoders_mutex, NULL) == 0);
  struct tide_http_decoder *decoder = tide_http_decoder_take(http, error);
  if (!decoder) {
    free_http(http);
    return error ? error->code : TIDE_E_CONFIG;
  }
  tide_http_decoder_give(http, decoder);
  make_provenance(http);
  tide_guard_init(http, options->secrets);
  tide_line_init(http);
  tide_peers_init(http);
  tide_orders_start(http);
  tide_hour_start(http);
  tide_sessions_init(&http->sessions);
  http->started_ms = tide_wall_now().ms;
  tide_sampler_start(http);
  const struct tide_http_address *failed = NULL;
  if (!(http->api = listen_on(http, &options->listen, true))) failed = &options->listen;
  if (!failed && !(http->admin = listen_on(http, &options->admin, false))) failed = &options->admin;
  if (failed) {
    err = tide_fail_errno(error, TIDE_E_IO, "cannot listen on %s port %u; is it taken? Port 0 takes any free one", failed->host,
                          failed->port);
    if (http->api) MHD_stop_daemon(http->api);
    tide_hour_stop(http);
    tide_orders_stop(http);
    tide_orders_free(http);
    tide_sampler_stop(http);
    tide_sampler_free(http);
    tide_sessions_release(&http->sessions);
    tide_peers_release(http);
    tide_line_release(http);
    if (options->secrets) http->guard.secrets = NULL; /* still the caller's */
    tide_guard_release(http);
    free_http(http);
    return err;
  }
  http->api_port = port_of(http->api);
  http->admin_port = port_of(http->admin);
  *ret = http;
  return TIDE_OK;
}

void tide_http_ports(const struct tide_http *http, uint16_t *ret_listen, uint16_t *ret_admin) {
  *ret_listen = http->api_port;
  *ret_admin = http->admin_port;
}

void tide_http_drain(struct tide_http *http) {
  atomic_store(&http->draining, true);
  tide_line_open(http);
  int fd = MHD_quiesce_daemon(http->api);
  if (fd >= 0) (void)close(fd);
  struct tide_mono until = {tide_mono_now().ns + http->limits.drain_ms * 1000000};
  while (atomic_load(&http->waiting) > 0 && tide_mono_now().ns < until.ns) {
    struct timespec pause = {.tv_nsec = 5000000};
    (void)nanosleep(&pause, NULL);
  }
}

void tide_http_stop(struct tide_http *http) {
  if (!http) return;
  tide_line_open(http); /* also where there was no drain */
  /* A request that came in after the engine had ended is answered on its own thread: that takes no time, but it takes some. */
  while (atomic_load(&http->waiting) > 0) {
    struct timespec pause = {.tv_nsec = 1000000};
    (void)nanosleep(&pause, NULL);
  }
  tide_sampler_stop(http);
  tide_orders_stop(http);
  MHD_stop_daemon(http->api);
  MHD_stop_daemon(http->admin);
  tide_hour_stop(http);
  tide_orders_free(http);
  tide_sampler_free(http);
  tide_sessions_release(&http->sessions);
  tide_peers_release(http);
  tide_line_release(http);
  tide_guard_release(http);
  free_http(http);
}
