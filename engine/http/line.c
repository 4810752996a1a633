/* Those who wait before they are worked on: the policy of admit.h under a mutex, and the thread that refuses in time (parts.h).
 *
 * A connection is suspended before its ticket can be seen by others, under the mutex: whoever takes it out of the line may wake it at once. The tickets that come out
 * of a call are chained and woken after the mutex is free, since waking takes the library's own lock.
 *
 * The kernel keeps when the last bytes of a connection came. So a request that lay in the socket's buffer while this thread was busy with others has that time counted
 * against its deadline, as its sender does. The kernel counts in ticks; one tick is given back, or an idle server would take it for waiting. */
#include "http/parts.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <time.h>

#define LOOK_EVERY_MS 5
#define GONE_AT_ONCE 512 /* so many connections are looked at in a round: about 50 us */

static void lock(struct tide_line *line) {
  int failed = pthread_mutex_lock(&line->mutex);
  TIDE_CHECK(failed == 0);
}
static void unlock(struct tide_line *line) {
  int failed = pthread_mutex_unlock(&line->mutex);
  TIDE_CHECK(failed == 0);
}

int64_t tide_line_unread_ns(const struct tide_http *http, int fd) {
  struct tcp_info info;
  socklen_t len = sizeof info;
  if (fd < 0 || getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len) != 0) return 0;
  int64_t ns = INT64_C(1000000) * info.tcpi_last_data_recv - http->line.tick_ns;
  return ns > 0 ? ns : 0;
}

bool tide_line_is_gone(int fd) {
  char byte;
  ssize_t n = recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
  return n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR);
}

/* Called without the mutex: each request belongs to its HTTP thread from here on. */
static void wake(struct tide_ticket *first) {
  for (struct tide_ticket *next; first; first = next) {
    struct tide_http_request *request = first->owner;
    next = first->newer;
    first->newer = NULL;
    MHD_resume_connection(request->connection);
  }
}

static void chain(struct tide_ticket **first, struct tide_ticket *ticket) {
  ticket->newer = *first;
  *first = ticket;
}

static struct tide_ticket *take_next(struct tide_line *line, int64_t now_ns) {
  struct tide_ticket *first = NULL;
  for (struct tide_ticket *ticket; (ticket = tide_admit_next(&line->admit, now_ns));) chain(&first, ticket);
  return first;
}

enum tide_admit_state tide_line_enter(struct tide_http_request *request) {
  struct tide_http *http = request->http;
  struct tide_line *line = &http->line;
  lock(line);
  enum tide_admit_state state = tide_admit_enter(&line->admit, &request->ticket, tide_mono_now().ns);
  if (state == TIDE_ADMIT_WAITING) {
    request->stage = TIDE_IN_LINE;
    tide_peer_set(request->peer, TIDE_PEER_waiting);
    atomic_fetch_add(&http->waiting, 1);
    MHD_suspend_connection(request->connection);
    if (tide_admit_waiting(&line->admit) == 1) (void)pthread_cond_signal(&line->filled);
  }
  unlock(line); /* a request that waits may be gone from here on */
  return state;
}

void tide_line_leave(struct tide_http_request *request, int64_t delay_ns) {
  struct tide_line *line = &request->http->line;
  if (request->ticket.state != TIDE_ADMIT_WORKING) return;
  int64_t now_ns = tide_mono_now().ns;
  lock(line);
  tide_admit_leave(&line->admit, &request->ticket, delay_ns, now_ns);
  struct tide_ticket *first = take_next(line, now_ns);
  unlock(line);
  wake(first);
}

void tide_line_show(struct tide_http *http, struct tide_meter *meter) {
  struct tide_line *line = &http->line;
  lock(line);
  struct tide_admit admit = line->admit;
  unlock(line);
  tide_meter_set(meter, TIDE_METER_ROW_http_line_waiting, TIDE_METER_PLAIN, tide_admit_waiting(&admit));
  tide_meter_set(meter, TIDE_METER_ROW_http_line_working, TIDE_METER_PLAIN, admit.working);
  tide_meter_set(meter, TIDE_METER_ROW_http_line_limit, TIDE_METER_PLAIN, admit.limit);
}

void tide_line_open(struct tide_http *http) {
  struct tide_line *line = &http->line;
  lock(line);
  line->admit.open = true;
  struct tide_ticket *first = take_next(line, tide_mono_now().ns);
  unlock(line);
  wake(first);
}

/* Of those that are late already, whose client has closed the connection? They hold it open, and the client may have opened another. */
static void drop_gone(struct tide_line *line, int64_t now_ns, struct tide_ticket **first) {
  struct pollfd look[GONE_AT_ONCE];
  struct tide_ticket *ticket[GONE_AT_ONCE];
  nfds_t count = 0;
  for (struct tide_ticket *t = line->admit.hopeless.oldest; t && count < GONE_AT_ONCE; t = t->newer) {
    const struct tide_http_request *request = t->owner;
    if (t->deadline_ns > now_ns || !request->peer) continue;
    ticket[count] = t;
    look[count++] = (struct pollfd){.fd = request->peer->fd, .events = POLLRDHUP};
  }
  if (count == 0 || poll(look, count, 0) <= 0) return;
  for (nfds_t i = 0; i < count; i++) {
    if (!(look[i].revents & (POLLRDHUP | POLLHUP | POLLERR))) continue;
    tide_admit_drop(&line->admit, ticket[i]);
    chain(first, ticket[i]);
  }
}

static void *line_main(void *arg) {
  struct tide_line *line = arg;
  lock(line);
  while (!line->quit) {
    if (tide_admit_waiting(&line->admit) == 0) {
      (void)pthread_cond_wait(&line->filled, &line->mutex);
      continue;
    }
    int64_t now_ns = tide_mono_now().ns, wake_ns = now_ns + INT64_C(1000000) * LOOK_EVERY_MS;
    struct tide_ticket *first = take_next(line, now_ns);
    tide_admit_sift(&line->admit, now_ns);
    drop_gone(line, now_ns, &first);
    for (struct tide_ticket *ticket; (ticket = tide_admit_refuse(&line->admit, now_ns));) chain(&first, ticket);
    unlock(line);
    wake(first);
    lock(line);
    struct timespec when = {.tv_sec = wake_ns / 1000000000, .tv_nsec = wake_ns % 1000000000};
    while (!line->quit && tide_mono_now().ns < wake_ns) (void)pthread_cond_timedwait(&line->filled, &line->mutex, &when);
  }
  unlock(line);
  return NULL;
}

void tide_line_init(struct tide_http *http) {
  struct tide_line *line = &http->line;
  struct timespec tick;
  pthread_condattr_t attr;
  TIDE_CHECK(clock_getres(CLOCK_MONOTONIC_COARSE, &tick) == 0);
  line->tick_ns = tick.tv_nsec;
  line->admit = tide_admit_new(INT64_C(10000) * http->limits.deadline_ms * TIDE_ADMIT_TARGET_PERCENT, (uint32_t)http->limits.queue_max,
                               tide_mono_now().ns);
  TIDE_CHECK(pthread_mutex_init(&line->mutex, NULL) == 0);
  TIDE_CHECK(pthread_condattr_init(&attr) == 0);
  TIDE_CHECK(pthread_condattr_setclock(&attr, CLOCK_MONOTONIC) == 0);
  TIDE_CHECK(pthread_cond_init(&line->filled, &attr) == 0);
  (void)pthread_condattr_destroy(&attr);
  TIDE_CHECK(pthread_create(&line->thread, NULL, line_main, line) == 0);
}

void tide_line_release(struct tide_http *http) {
  struct tide_line *line = &http->line;
  lock(line);
  line->quit = true;
  (void)pthread_cond_signal(&line->filled);
  unlock(line);
  TIDE_CHECK(pthread_join(line->thread, NULL) == 0);
  TIDE_CHECK(tide_admit_waiting(&line->admit) == 0 && line->admit.working == 0);
  (void)pthread_mutex_destroy(&line->mutex);
  (void)pthread_cond_destroy(&line->filled);
}
