/* Connections and their clocks (parts.h).
 *
 * The library's own time-out looks at silence only: a peer that sends one byte a second is never silent and would hold its connection for ever. So a
 * thread looks at all connections a few times a second and shuts down those whose request did not come in, or whose answer was not taken, in time.
 *
 * It only ever calls shutdown(2) on the descriptor, under the mutex, and the library reports a closing connection before it closes the descriptor: so the number
 * cannot belong to another connection yet. The library then sees the end of the stream and cleans up on its own thread. */
#include "http/parts.h"

#include "base/clock.h"

#include <stdio.h>
#include <sys/socket.h>

#define LOOK_EVERY_MS 100

static void lock(struct tide_http *http) {
  int failed = pthread_mutex_lock(&http->peers_mutex);
  TIDE_CHECK(failed == 0);
}
static void unlock(struct tide_http *http) {
  int failed = pthread_mutex_unlock(&http->peers_mutex);
  TIDE_CHECK(failed == 0);
}

static int64_t due_in(int64_t ms) { return tide_mono_now().ns + ms * 1000000; }

static void set(struct tide_peer *peer, enum tide_peer_state state) {
  const struct tide_http_limits *limits = &peer->http->limits;
  peer->state = (uint8_t)state;
  switch (state) {
    case TIDE_PEER_fresh:
    case TIDE_PEER_reading: peer->due_ns = due_in(limits->read_timeout_ms); break;
    case TIDE_PEER_waiting: peer->due_ns = INT64_MAX; break;
    case TIDE_PEER_writing: peer->due_ns = due_in(limits->write_timeout_ms); break;
    /* The next request may begin at the last moment, and then has its own time. */
    case TIDE_PEER_idle: peer->due_ns = due_in(limits->idle_timeout_ms + limits->read_timeout_ms); break;
  }
}

struct tide_peer *tide_peer_of(struct MHD_Connection *connection) {
  const union MHD_ConnectionInfo *info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
  return info ? info->socket_context : NULL;
}

void tide_peer_set(struct tide_peer *peer, enum tide_peer_state state) {
  if (!peer) return;
  lock(peer->http);
  set(peer, state);
  unlock(peer->http);
}

void tide_peer_notify(void *cls, struct MHD_Connection *connection, void **socket_context, enum MHD_ConnectionNotificationCode code) {
  const struct tide_http_side *side = cls;
  struct tide_http *http = side->http;
  if (code == MHD_CONNECTION_NOTIFY_STARTED) {
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    struct tide_peer *peer = tide_alloc(sizeof *peer);
    peer->http = http;
    peer->fd = info ? info->connect_fd : -1;
    peer->tls = tide_guard_tls(http, (enum tide_listener)side->listener);
    if (peer->tls) tide_tls_attach(peer->tls, connection);
    set(peer, TIDE_PEER_fresh);
    lock(http);
    peer->next = http->peers;
    if (peer->next) peer->next->previous = peer;
    http->peers = peer;
    unlock(http);
    *socket_context = peer;
    tide_http_count(http->meters, TIDE_METER_ROW_http_connections_total);
    tide_http_count(http->meters, TIDE_METER_ROW_http_connections);
    return;
  }
  struct tide_peer *peer = *socket_context;
  lock(http);
  if (peer->previous) peer->previous->next = peer->next;
  else http->peers = peer->next;
  if (peer->next) peer->next->previous = peer->previous;
  unlock(http);
  tide_tls_release(peer->tls);
  tide_free(peer);
  *socket_context = NULL;
  tide_meter_add(tide_meters_shared(http->meters), TIDE_METER_ROW_http_connections, TIDE_METER_PLAIN, -1);
}

/* What a client that is cut while it sends gets to read, if it reads. The library sends nothing in these states, so the bytes stand alone. */
static void say_timeout(int fd) {
  struct tide_trouble trouble = {0};
  struct tide_buf body = TIDE_BUF_INIT, all = TIDE_BUF_INIT;
  tide_trouble_set(&trouble, TIDE_PROBLEM_read_timeout, "the request was not complete in time; send it again as a whole");
  tide_trouble_json(&trouble, &body);
  tide_buf_printf(
      &all,
      "HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Type: application/problem+json\r\nCache-Control: no-store\r\n"
      "Content-Length: %zu\r\n\r\n%.*s",
      body.len, (int)body.len, body.ptr);
  ssize_t sent = send(fd, all.ptr, all.len, MSG_DONTWAIT | MSG_NOSIGNAL);
  (void)sent; /* it is being closed: there is nobody to tell */
  tide_buf_release(&all);
  tide_buf_release(&body);
}

static void cut(struct tide_peer *peer) {
  struct tide_meters *meters = peer->http->meters;
  peer->cut = true;
  switch ((enum tide_peer_state)peer->state) {
    case TIDE_PEER_fresh:
    case TIDE_PEER_reading:
      tide_http_count_cut(meters, TIDE_CUT_request_timeout);
      tide_http_count_problem(meters, TIDE_PROBLEM_read_timeout);
      if (!peer->tls) say_timeout(peer->fd); /* in the middle of TLS it would be noise */
      break;
    case TIDE_PEER_writing: tide_http_count_cut(meters, TIDE_CUT_write_timeout); break;
    case TIDE_PEER_idle: tide_http_count_cut(meters, TIDE_CUT_idle_timeout); break;
    case TIDE_PEER_waiting: TIDE_NEVER("it has no clock");
  }
  (void)shutdown(peer->fd, SHUT_RDWR);
}

static void *watch_main(void *arg) {
  struct tide_http *http = arg;
  lock(http);
  while (!http->quit) {
    struct tide_mono now = tide_mono_now();
    for (struct tide_peer *peer = http->peers; peer; peer = peer->next)
      if (!peer->cut && peer->due_ns <= now.ns) cut(peer);
    int64_t wake = now.ns + INT64_C(1000000) * LOOK_EVERY_MS;
    struct timespec when = {.tv_sec = wake / 1000000000, .tv_nsec = wake % 1000000000};
    (void)pthread_cond_timedwait(&http->peers_changed, &http->peers_mutex, &when);
  }
  unlock(http);
  return NULL;
}

void tide_peers_init(struct tide_http *http) {
  pthread_condattr_t attr;
  TIDE_CHECK(pthread_mutex_init(&http->peers_mutex, NULL) == 0);
  TIDE_CHECK(pthread_condattr_init(&attr) == 0);
  TIDE_CHECK(pthread_condattr_setclock(&attr, CLOCK_MONOTONIC) == 0);
  TIDE_CHECK(pthread_cond_init(&http->peers_changed, &attr) == 0);
  (void)pthread_condattr_destroy(&attr);
  TIDE_CHECK(pthread_create(&http->watch, NULL, watch_main, http) == 0);
}

void tide_peers_release(struct tide_http *http) {
  lock(http);
  http->quit = true;
  (void)pthread_cond_signal(&http->peers_changed);
  unlock(http);
  TIDE_CHECK(pthread_join(http->watch, NULL) == 0);
  TIDE_CHECK(!http->peers);
  (void)pthread_mutex_destroy(&http->peers_mutex);
  (void)pthread_cond_destroy(&http->peers_changed);
}
