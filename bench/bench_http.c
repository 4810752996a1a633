/* The HTTP path under load, open loop: requests leave at their intended times whatever the server does, and latency counts from the intended time.
 *
 * A closed loop (one request per client at a time, the next after the answer) slows down with the server and so hides what its clients would
 * have felt (Tene, "coordinated omission"). Here a schedule of arrivals is drawn first (Poisson, fixed seed); when no connection is free the
 * request waits in the generator and its waiting counts. One thread, epoll, keep-alive. The server runs as a process of its own on the
 * embedded file journal with fdatasync, on the same two cores as the generator.
 *
 * Rows: rates 1k, 5k and 10k/s over 64 connections, 2.5k/s over 10,000 connections, then the peak rate, and three times that rate with a deadline: goodput is
 * what was scored in time. Each row is the median of interleaved runs. `--quick` is a short form that a test can run. */
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"

#define CONNECTIONS_MAX 10000
#define REQUEST_MAX 4096
#define RESPONSE_MAX 65536
#define RUNS_MAX 5

static void die(const char *what) {
  fprintf(stderr, "bench_http: %s: %s\n", what, errno ? strerror(errno) : "failed");
  exit(1);
}

/* ---- messages ---- */

static struct {
  char **line;
  size_t count, next;
} log_lines;

/* The authorizations of a generated log, in its order; they are sent once each, so none is a duplicate. */
static void load_messages(const char *path) {
  FILE *file = fopen(path, "r");
  if (!file) die(path);
  char *line = NULL;
  size_t cap = 0;
  ssize_t len;
  while ((len = getline(&line, &cap, file)) > 0) {
    if (!strstr(line, "\"type\":\"auth\"") || len > REQUEST_MAX - 512) continue;
    line[len - 1] = '\0';
    log_lines.line = tide_realloc(log_lines.line, (log_lines.count + 1) * sizeof *log_lines.line);
    log_lines.line[log_lines.count++] = tide_strdup(line);
  }
  free(line);
  fclose(file);
  if (log_lines.count < 1000) die("the generated log holds too few authorizations");
}

/* ---- one run ---- */

enum { IDLE, SENDING, WAITING, CLOSED };

struct connection {
  int fd, state;
  int64_t intended_ns;
  size_t out_len, out_at, in_len;
  char out[REQUEST_MAX];
  char *in; /* RESPONSE_MAX, shared memory is too much for 10,000: made when first needed */
};

struct result {
  uint64_t sent, scored, refused, other, errors, unsent;
  double p50_ms, p95_ms, p99_ms, p999_ms, max_ms, seconds;
};

struct run {
  const char *host;
  int port, epoll_fd;
  unsigned connections;
  double rate;
  int deadline_ms;
  struct connection *connection;
  unsigned *idle, idle_count;
  float *latency_ms;
  size_t latencies, latencies_cap;
  struct result result;
};

static void open_connection(struct run *run, unsigned index) {
  struct connection *c = &run->connection[index];
  c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (c->fd < 0) die("socket");
  struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)run->port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  if (connect(c->fd, (struct sockaddr *)&to, sizeof to) != 0) die("connect");
  int one = 1;
  (void)setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  if (fcntl(c->fd, F_SETFL, O_NONBLOCK) != 0) die("fcntl");
  struct epoll_event event = {.events = EPOLLIN, .data.u32 = index};
  if (epoll_ctl(run->epoll_fd, EPOLL_CTL_ADD, c->fd, &event) != 0) die("epoll_ctl");
  c->state = IDLE;
  run->idle[run->idle_count++] = index;
}

static void close_connection(struct run *run, struct connection *c) {
  if (c->state == WAITING || c->state == SENDING) run->result.errors++;
  (void)close(c->fd);
  c->state = CLOSED;
}

static void want_write(struct run *run, struct connection *c, unsigned index, bool on) {
  struct epoll_event event = {.events = on ? EPOLLIN | EPOLLOUT : EPOLLIN, .data.u32 = index};
  (void)epoll_ctl(run->epoll_fd, EPOLL_CTL_MOD, c->fd, &event);
}

static void flush_out(struct run *run, unsigned index) {
  struct connection *c = &run->connection[index];
  while (c->out_at < c->out_len) {
    ssize_t n = send(c->fd, c->out + c->out_at, c->out_len - c->out_at, MSG_NOSIGNAL);
    if (n < 0 && errno == EAGAIN) {
      if (c->state != SENDING) want_write(run, c, index, true);
      c->state = SENDING;
      return;
    }
    if (n <= 0) {
      close_connection(run, c);
      return;
    }
    c->out_at += (size_t)n;
  }
  if (c->state == SENDING) want_write(run, c, index, false);
  c->state = WAITING;
}

static void send_request(struct run *run, unsigned index, int64_t intended_ns) {
  struct connection *c = &run->connection[index];
  const char *body = log_lines.line[log_lines.next++ % log_lines.count];
  int n = snprintf(
      c->out, sizeof c->out,
      "POST /v1/score HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nTidemark-Timeout-Ms: %d\r\nContent-Length: %zu\r\n\r\n%s",
      run->deadline_ms, strlen(body), body);
  c->out_len = (size_t)n;
  c->out_at = c->in_len = 0;
  c->intended_ns = intended_ns;
  c->state = WAITING;
  run->result.sent++;
  flush_out(run, index);
}

static void finish(struct run *run, unsigned index) {
  struct connection *c = &run->connection[index];
  if (run->latencies == run->latencies_cap) {
    run->latencies_cap = run->latencies_cap ? run->latencies_cap * 2 : 4096;
    run->latency_ms = tide_realloc(run->latency_ms, run->latencies_cap * sizeof *run->latency_ms);
  }
  double ms = (double)(tide_mono_now().ns - c->intended_ns) / 1e6;
  run->latency_ms[run->latencies++] = (float)ms;
  bool ok = strncmp(c->in, "HTTP/1.1 200", 12) == 0;
  if (ok && strstr(c->in, "\"status\":\"scored\"")) run->result.scored++;
  else if (strstr(c->in, "\"status\":\"refused\"")) run->result.refused++;
  else run->result.other++;
  c->state = IDLE;
  run->idle[run->idle_count++] = index;
}

static void receive(struct run *run, unsigned index) {
  struct connection *c = &run->connection[index];
  if (!c->in) c->in = tide_alloc(RESPONSE_MAX);
  for (;;) {
    ssize_t n = recv(c->fd, c->in + c->in_len, RESPONSE_MAX - 1 - c->in_len, 0);
    if (n < 0 && errno == EAGAIN) return;
    if (n <= 0) {
      close_connection(run, c);
      return;
    }
    c->in_len += (size_t)n;
    c->in[c->in_len] = '\0';
    char *end = strstr(c->in, "\r\n\r\n"), *length = strcasestr(c->in, "\r\nContent-Length:");
    if (!end || !length) continue;
    if ((size_t)(end + 4 - c->in) + strtoull(length + 17, NULL, 10) <= c->in_len) {
      finish(run, index);
      return;
    }
  }
}

static uint64_t random_state = 88172645463325252u;
static double next_gap_s(double rate) { /* exponential: Poisson arrivals (xorshift64, Marsaglia 2003) */
  random_state ^= random_state << 13;
  random_state ^= random_state >> 7;
  random_state ^= random_state << 17;
  return -log(((double)(random_state >> 11) + 0.5) * 0x1p-53) / rate;
}

static int by_size(const void *a, const void *b) {
  float x = *(const float *)a, y = *(const float *)b;
  return (x > y) - (x < y);
}

static double quantile(const struct run *run, double q) {
  return run->latencies ? (double)run->latency_ms[(size_t)(q * (double)(run->latencies - 1))] : 0;
}

static struct result measure(int port, unsigned connections, double rate, double seconds, int deadline_ms) {
  struct run run = {.port = port, .connections = connections, .rate = rate, .deadline_ms = deadline_ms};
  run.epoll_fd = epoll_create1(EPOLL_CLOEXEC);
  int timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
  if (run.epoll_fd < 0 || timer < 0) die("epoll");
  run.connection = tide_alloc(connections * sizeof *run.connection);
  run.idle = tide_alloc(connections * sizeof *run.idle);
  for (unsigned i = 0; i < connections; i++) open_connection(&run, i);
  struct epoll_event event = {.events = EPOLLIN, .data.u32 = UINT32_MAX};
  if (epoll_ctl(run.epoll_fd, EPOLL_CTL_ADD, timer, &event) != 0) die("epoll_ctl");
  int64_t begin = tide_mono_now().ns, end = begin + (int64_t)(seconds * 1e9), give_up = end + 3000000000;
  int64_t due = begin;
  for (;;) {
    int64_t now = tide_mono_now().ns;
    while (due <= now && due < end && run.idle_count > 0) {
      send_request(&run, run.idle[--run.idle_count], due);
      due += (int64_t)(next_gap_s(rate) * 1e9);
    }
    bool quiet = due >= end && run.result.sent == run.latencies + run.result.errors;
    if (quiet || now > give_up) break;
    struct itimerspec when = {0};
    int64_t at = due >= end ? give_up : due > now ? due : now + 1000000; /* past and no connection free: an answer wakes us */
    when.it_value.tv_sec = at / 1000000000;
    when.it_value.tv_nsec = at % 1000000000;
    (void)timerfd_settime(timer, TFD_TIMER_ABSTIME, &when, NULL);
    struct epoll_event events[256];
    int count = epoll_wait(run.epoll_fd, events, 256, 1000);
    for (int i = 0; i < count; i++) {
      if (events[i].data.u32 == UINT32_MAX) {
        uint64_t ticks;
        ssize_t ignored = read(timer, &ticks, sizeof ticks);
        (void)ignored;
        continue;
      }
      struct connection *c = &run.connection[events[i].data.u32];
      if (c->state != CLOSED && (events[i].events & EPOLLOUT)) flush_out(&run, events[i].data.u32);
      if (c->state != CLOSED && (events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR))) receive(&run, events[i].data.u32);
    }
  }
  while (due < end) { /* never sent: no connection was free until the end */
    run.result.unsent++;
    due += (int64_t)(next_gap_s(rate) * 1e9);
  }
  run.result.seconds = seconds;
  qsort(run.latency_ms, run.latencies, sizeof *run.latency_ms, by_size);
  run.result.p50_ms = quantile(&run, 0.5);
  run.result.p95_ms = quantile(&run, 0.95);
  run.result.p99_ms = quantile(&run, 0.99);
  run.result.p999_ms = quantile(&run, 0.999);
  run.result.max_ms = quantile(&run, 1);
  for (unsigned i = 0; i < connections; i++) {
    if (run.connection[i].state != CLOSED) (void)close(run.connection[i].fd);
    tide_free(run.connection[i].in);
  }
  tide_free(run.connection);
  tide_free(run.idle);
  tide_free(run.latency_ms);
  (void)close(timer);
  (void)close(run.epoll_fd);
  return run.result;
}

/* ---- the server ---- */

struct server {
  pid_t pid;
  int port;
  char dir[64];
};

/* Runs `tidemark WORDS...`, output to the file `log`. */
static pid_t spawn(const char *log, const char *const words[]) {
  pid_t pid = fork();
  if (pid < 0) die("fork");
  if (pid > 0) return pid;
  int fd = open(log, O_CREAT | O_WRONLY | O_TRUNC | O_CLOEXEC, 0600);
  if (fd < 0 || dup2(fd, 1) < 0 || dup2(fd, 2) < 0) _exit(126);
  const char *program = getenv("TIDE_BIN") ? getenv("TIDE_BIN") : "build/tidemark";
  execv(program, (char *const *)(uintptr_t)words);
  _exit(127);
}

static int wait_for_port(const char *log, pid_t pid) {
  static const char mark[] = "http://127.0.0.1:";
  for (int i = 0; i < 3000; i++) {
    char text[8192] = {0};
    FILE *file = fopen(log, "r");
    size_t n = file ? fread(text, 1, sizeof text - 1, file) : 0;
    if (file) fclose(file);
    text[n] = '\0';
    char *at = strstr(text, mark), *line_end = at ? strchr(at, '\n') : NULL;
    if (line_end) return atoi(at + sizeof mark - 1);
    if (waitpid(pid, NULL, WNOHANG) == pid) {
      fprintf(stderr, "%s", text);
      die("the server ended");
    }
    (void)usleep(10000);
  }
  die("the server did not get ready");
  return 0;
}

static void server_start(struct server *server) {
  char log[128], journal[128];
  snprintf(log, sizeof log, "%s/server.log", server->dir);
  snprintf(journal, sizeof journal, "file:%s/journal", server->dir);
  const char *const words[] = {"tidemark",    "serve",     "--features",  "config/defaults/features.yaml",
                               "--dev-key",   "--journal", journal,       "--listen",
                               "127.0.0.1:0", "--admin",   "127.0.0.1:0", NULL};
  server->pid = spawn(log, words);
  server->port = wait_for_port(log, server->pid);
}

static void server_stop(struct server *server) {
  int status = 0;
  (void)kill(server->pid, SIGTERM);
  if (waitpid(server->pid, &status, 0) != server->pid || !WIFEXITED(status) || WEXITSTATUS(status) != 0)
    die("the server did not stop cleanly");
}

/* ---- the table ---- */

static int by_p99(const void *a, const void *b) {
  const struct result *x = a, *y = b;
  return (x->p99_ms > y->p99_ms) - (x->p99_ms < y->p99_ms);
}

static void row(const char *name, const struct result *r) {
  printf("%-34s %9.0f %9.0f %8.0f %7.0f %8.2f %8.2f %8.2f %8.2f %9.2f\n", name, (double)r->sent / r->seconds,
         (double)r->scored / r->seconds, (double)r->refused / r->seconds, (double)(r->other + r->errors + r->unsent), r->p50_ms, r->p95_ms,
         r->p99_ms, r->p999_ms, r->max_ms);
  fflush(stdout);
}

/* What the server does when it is asked for more than it can: as much as it can, in time. */
static void overload(int port, double seconds) {
  double peak = 0;
  for (double rate = 4000; rate <= 64000; rate *= 1.5) {
    struct result r = measure(port, 512, rate, seconds, 100);
    char name[64];
    snprintf(name, sizeof name, "search for the peak: %.0f/s", rate);
    row(name, &r);
    double goodput = (double)r.scored / r.seconds;
    if (goodput > peak) peak = goodput;
    if (goodput < 0.8 * rate) break;
  }
  struct result r = measure(port, 512, 3 * peak, 2 * seconds, 100);
  row("three times the peak", &r);
  printf("goodput at three times the peak: %.2f of the peak of %.0f/s\n", (double)r.scored / r.seconds / peak, peak);
}

int main(int argc, char **argv) {
  bool quick = argc > 1 && strcmp(argv[1], "--quick") == 0;
  double seconds = quick ? 1 : 5;
  int runs = quick ? 1 : 3;
  struct rlimit files = {0};
  if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
    files.rlim_cur = files.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &files);
  }
  struct server server = {.dir = "/tmp/tidemark-bench-XXXXXX"};
  if (!mkdtemp(server.dir)) die("mkdtemp");
  char path[128], log[128];
  snprintf(path, sizeof path, "%s/log.jsonl", server.dir);
  snprintf(log, sizeof log, "%s/generate.log", server.dir);
  const char *const generate[] = {"tidemark", "generate", "--seed", "5", "--transactions", quick ? "20000" : "600000",
                                  "--output", path,       NULL};
  int status = 0;
  if (waitpid(spawn(log, generate), &status, 0) < 0 || status != 0) die("generate");
  load_messages(path);
  server_start(&server);
  printf("%-34s %9s %9s %8s %7s %8s %8s %8s %9s\n", "open loop, file journal, 2 cores", "sent/s", "scored/s", "refused", "errors", "p50 ms",
         "p99 ms", "p99.9 ms", "max ms");
  static const struct {
    const char *name;
    unsigned connections;
    double rate;
    int deadline_ms;
  } rows[] = {
      {"1,000/s, 64 connections", 64, 1000, 100},
      {"5,000/s, 64 connections", 64, 5000, 100},
      {"10,000/s, 64 connections", 64, 10000, 100},
      {"2,500/s, 10,000 connections", CONNECTIONS_MAX, 2500, 1000},
  };
  enum { ROWS = sizeof rows / sizeof rows[0] };
  static struct result results[ROWS][RUNS_MAX];
  for (int run = 0; run < runs; run++)
    for (unsigned r = 0; r < ROWS; r++)
      results[r][run] =
          measure(server.port, quick && rows[r].connections > 500 ? 500 : rows[r].connections, rows[r].rate, seconds, rows[r].deadline_ms);
  for (unsigned r = 0; r < ROWS; r++) {
    qsort(results[r], (size_t)runs, sizeof results[r][0], by_p99);
    row(rows[r].name, &results[r][runs / 2]);
  }
  if (!quick) overload(server.port, 3);
  server_stop(&server);
  char command[160];
  snprintf(command, sizeof command, "rm -r -- '%s'", server.dir);
  return system(command) == 0 ? 0 : 1;
}
