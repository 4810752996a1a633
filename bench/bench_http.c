/* The HTTP path under load, open loop: requests leave at their intended times whatever the server does.
 *
 * A closed loop (one request per client at a time, the next after the answer) slows down with the server and so hides what its clients would
 * have felt (Tene, "coordinated omission"). Here a schedule of arrivals is drawn first (Poisson, fixed seed). One thread, epoll, keep-alive; the
 * server is a process of its own on the embedded file journal with fdatasync, on the same two cores as the generator.
 *
 * Latency: 1k, 5k and 10k/s over 64 connections, 2.5k/s over 10,000; counted from the intended time, waiting for a free connection included.
 * Overload: the peak, then three times the peak over more and more connections. Goodput is what was scored within the deadline, counted from
 * send(2) having taken the whole request: what no connection was free for never reached the server, but its socket buffers are its own. A client
 * gives up after PATIENCE_MS, closes and connects again. Each row is the median of interleaved runs. `--quick` is a short form that a test can run. */
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
#define DEADLINE_MS 100
#define PATIENCE_MS 200 /* of a client under overload: twice what it asked for */
#define SEND_AT_ONCE 64 /* then answers are looked at: a stamp of receipt must not wait for a crowd of sends */
#define LOG_DAYS 60

static void die(const char *what) {
  fprintf(stderr, "bench_http: %s: %s\n", what, errno ? strerror(errno) : "failed");
  exit(1);
}

/* ---- messages ---- */

static struct {
  char **line;
  size_t count, next;
} log_lines;

/* The authorizations of a generated log, in its order. */
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

/* The next message. When the log is used up it begins again, as many days later: the same times again would be late, and refused for that. */
static const char *next_message(void) {
  size_t at = log_lines.next++;
  char *line = log_lines.line[at % log_lines.count], *time = strstr(line, "\"at\":\"");
  if (at < log_lines.count) return line;
  struct tide_etime t;
  char text[TIDE_TIME_TEXT];
  if (!time || tide_time_parse((struct tide_span){time + 6, 24}, TIDE_TIME_RFC3339, &t) != TIDE_OK) die("a message without a time");
  t.ms += INT64_C(86400000) * LOG_DAYS;
  memcpy(time + 6, tide_time_format(t, text), 24); /* in place: so the next round begins where this one ended */
  return line;
}

/* ---- one run ---- */

enum { IDLE, CONNECTING, SENDING, WAITING, CLOSED };
#define NOBODY UINT32_MAX

struct connection {
  int fd, state;
  int64_t intended_ns, sent_ns;
  uint32_t older, newer; /* in the order in which their requests were sent */
  size_t out_len, out_at, in_len;
  char out[REQUEST_MAX];
  char *in; /* RESPONSE_MAX, made when first needed */
};

struct load {
  const char *name;
  unsigned connections;
  double rate;
  int deadline_ms;
  bool overload; /* clients give up; what finds no connection is not sent; latency counts from the sending */
};

struct result {
  uint64_t offered, sent, good, late, refused, full, other, errors, given_up;
  double p50_ms, p99_ms, p999_ms, max_ms, seconds, own_cpu;
};

struct run {
  struct load load;
  int port, epoll_fd;
  struct connection *connection;
  unsigned *idle, idle_count;
  uint32_t oldest, newest; /* of those that wait */
  uint64_t waiting;
  float *latency_ms;
  size_t latencies, latencies_cap;
  struct result result;
};

static void open_connection(struct run *run, unsigned index) {
  struct connection *c = &run->connection[index];
  c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (c->fd < 0) die("socket");
  struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)run->port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  if (connect(c->fd, (struct sockaddr *)&to, sizeof to) != 0 && errno != EINPROGRESS) die("connect");
  int one = 1;
  (void)setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  struct epoll_event event = {.events = EPOLLIN | EPOLLOUT, .data.u32 = index};
  if (epoll_ctl(run->epoll_fd, EPOLL_CTL_ADD, c->fd, &event) != 0) die("epoll_ctl");
  c->state = CONNECTING;
}

static void stand_in_line(struct run *run, uint32_t index) {
  struct connection *c = &run->connection[index];
  c->older = run->newest;
  c->newer = NOBODY;
  if (run->newest != NOBODY) run->connection[run->newest].newer = index;
  else run->oldest = index;
  run->newest = index;
  run->waiting++;
}

static void leave_line(struct run *run, uint32_t index) {
  struct connection *c = &run->connection[index];
  if (c->older != NOBODY) run->connection[c->older].newer = c->newer;
  else run->oldest = c->newer;
  if (c->newer != NOBODY) run->connection[c->newer].older = c->older;
  else run->newest = c->older;
  run->waiting--;
}

static void close_connection(struct run *run, unsigned index) {
  struct connection *c = &run->connection[index];
  if (c->state == WAITING || c->state == SENDING) leave_line(run, index);
  (void)close(c->fd);
  c->state = CLOSED;
}

/* The server closed it: a client connects again. */
static void lose_connection(struct run *run, unsigned index) {
  if (run->connection[index].state != IDLE) run->result.errors++;
  if (run->connection[index].state == IDLE)
    for (unsigned i = 0; i < run->idle_count; i++)
      if (run->idle[i] == index) run->idle[i--] = run->idle[--run->idle_count];
  close_connection(run, index);
  open_connection(run, index);
}

static void want_write(struct run *run, struct connection *c, unsigned index, bool on) {
  struct epoll_event event = {.events = on ? EPOLLIN | EPOLLOUT : EPOLLIN, .data.u32 = index};
  (void)epoll_ctl(run->epoll_fd, EPOLL_CTL_MOD, c->fd, &event);
}

static void set_idle(struct run *run, unsigned index) {
  run->connection[index].state = IDLE;
  run->idle[run->idle_count++] = index;
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
      lose_connection(run, index);
      return;
    }
    c->out_at += (size_t)n;
  }
  if (c->state == SENDING) want_write(run, c, index, false);
  c->state = WAITING;
  c->sent_ns = tide_mono_now().ns;
}

static void send_request(struct run *run, unsigned index, int64_t intended_ns) {
  struct connection *c = &run->connection[index];
  const char *body = next_message();
  int n = snprintf(
      c->out, sizeof c->out,
      "POST /v1/score HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nTidemark-Timeout-Ms: %d\r\nContent-Length: %zu\r\n\r\n%s",
      run->load.deadline_ms, strlen(body), body);
  c->out_len = (size_t)n;
  c->out_at = c->in_len = 0;
  c->intended_ns = c->sent_ns = intended_ns;
  c->state = WAITING;
  stand_in_line(run, index);
  run->result.sent++;
  flush_out(run, index);
}

static void finish(struct run *run, unsigned index) {
  struct connection *c = &run->connection[index];
  struct result *result = &run->result;
  if (run->latencies == run->latencies_cap) {
    run->latencies_cap = run->latencies_cap ? run->latencies_cap * 2 : 4096;
    run->latency_ms = tide_realloc(run->latency_ms, run->latencies_cap * sizeof *run->latency_ms);
  }
  double ms = (double)(tide_mono_now().ns - (run->load.overload ? c->sent_ns : c->intended_ns)) / 1e6;
  run->latency_ms[run->latencies++] = (float)ms;
  bool in_time = ms <= run->load.deadline_ms;
  if (strstr(c->in, "\"status\":\"scored\"")) *(in_time ? &result->good : &result->late) += 1;
  else if (!strstr(c->in, "\"status\":\"refused\"")) result->other++;
  else *(strncmp(c->in, "HTTP/1.1 503", 12) == 0 ? &result->full : &result->refused) += 1;
  leave_line(run, index);
  set_idle(run, index);
}

static void receive(struct run *run, unsigned index) {
  struct connection *c = &run->connection[index];
  if (!c->in) c->in = tide_alloc(RESPONSE_MAX);
  for (;;) {
    ssize_t n = recv(c->fd, c->in + c->in_len, RESPONSE_MAX - 1 - c->in_len, 0);
    if (n < 0 && errno == EAGAIN) return;
    if (n <= 0 || c->state != WAITING) {
      lose_connection(run, index);
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

static void on_event(struct run *run, const struct epoll_event *event) {
  unsigned index = event->data.u32;
  struct connection *c = &run->connection[index];
  if (c->state == CONNECTING) {
    if (event->events & (EPOLLERR | EPOLLHUP)) die("the server refused a connection");
    want_write(run, c, index, false);
    set_idle(run, index);
    return;
  }
  if (c->state == SENDING && (event->events & EPOLLOUT)) flush_out(run, index);
  if (event->events & (EPOLLIN | EPOLLHUP | EPOLLERR)) receive(run, index);
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

static double cpu_seconds(void) {
  struct rusage usage;
  if (getrusage(RUSAGE_SELF, &usage) != 0) die("getrusage");
  return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) + (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

static void poll_once(struct run *run, int timer, int64_t until) {
  struct itimerspec when = {.it_value = {.tv_sec = until / 1000000000, .tv_nsec = until % 1000000000}};
  struct epoll_event events[256];
  (void)timerfd_settime(timer, TFD_TIMER_ABSTIME, &when, NULL);
  int count = epoll_wait(run->epoll_fd, events, 256, 1000);
  for (int i = 0; i < count; i++) {
    uint64_t ticks;
    if (events[i].data.u32 != NOBODY) on_event(run, &events[i]);
    else if (read(timer, &ticks, sizeof ticks) < 0 && errno != EAGAIN) die("timer");
  }
}

static void give_up_old(struct run *run, int64_t now) {
  while (run->oldest != NOBODY && run->connection[run->oldest].sent_ns + INT64_C(1000000) * PATIENCE_MS < now) {
    uint32_t index = run->oldest;
    run->result.given_up++;
    close_connection(run, index);
    open_connection(run, index);
  }
}

static void connect_all(struct run *run, int timer) {
  for (unsigned i = 0; i < run->load.connections; i++) { /* in portions that the backlog of the listener holds */
    open_connection(run, i);
    while (i % 256 == 255 && run->idle_count <= i) poll_once(run, timer, tide_mono_now().ns + 1000000);
  }
  while (run->idle_count < run->load.connections) poll_once(run, timer, tide_mono_now().ns + 1000000);
}

/* From `begin` to `end` requests leave; then until `last` answers may come. */
static void drive(struct run *run, int timer, int64_t begin, int64_t end, int64_t last) {
  const struct load *load = &run->load;
  for (int64_t due = begin;;) {
    int64_t now = tide_mono_now().ns;
    for (int burst = 0; due <= now && due < end && burst < SEND_AT_ONCE && (run->idle_count > 0 || load->overload); burst++) {
      if (run->idle_count > 0) send_request(run, run->idle[--run->idle_count], due);
      run->result.offered++;
      due += (int64_t)(next_gap_s(load->rate) * 1e9);
    }
    if (load->overload) give_up_old(run, now);
    if (now > last || (due >= end && run->waiting == 0)) return;
    bool stuck = due <= now && run->idle_count == 0; /* an answer wakes us */
    poll_once(run, timer, due >= end ? now + 10000000 : stuck ? now + 1000000 : due);
  }
}

static struct result measure(int port, const struct load *load, double seconds) {
  struct run run = {.port = port, .load = *load, .oldest = NOBODY, .newest = NOBODY};
  run.epoll_fd = epoll_create1(EPOLL_CLOEXEC);
  int timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
  if (run.epoll_fd < 0 || timer < 0) die("epoll");
  run.connection = tide_alloc(load->connections * sizeof *run.connection);
  run.idle = tide_alloc(load->connections * sizeof *run.idle);
  struct epoll_event event = {.events = EPOLLIN, .data.u32 = NOBODY};
  if (epoll_ctl(run.epoll_fd, EPOLL_CTL_ADD, timer, &event) != 0) die("epoll_ctl");
  connect_all(&run, timer);
  int64_t begin = tide_mono_now().ns, end = begin + (int64_t)(seconds * 1e9);
  double cpu = cpu_seconds();
  drive(&run, timer, begin, end, end + 3000000000);
  run.result.own_cpu = (cpu_seconds() - cpu) / ((double)(tide_mono_now().ns - begin) / 1e9);
  run.result.errors += run.waiting;
  run.result.seconds = seconds;
  qsort(run.latency_ms, run.latencies, sizeof *run.latency_ms, by_size);
  run.result.p50_ms = quantile(&run, 0.5);
  run.result.p99_ms = quantile(&run, 0.99);
  run.result.p999_ms = quantile(&run, 0.999);
  run.result.max_ms = quantile(&run, 1);
  for (unsigned i = 0; i < load->connections; i++) {
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

/* ---- the tables ---- */

static int by_p99(const void *a, const void *b) {
  const struct result *x = a, *y = b;
  return (x->p99_ms > y->p99_ms) - (x->p99_ms < y->p99_ms);
}
static int by_good(const void *a, const void *b) {
  const struct result *x = a, *y = b;
  return (x->good > y->good) - (x->good < y->good);
}

static void heading(const char *text) {
  printf("%-38s %7s %7s %7s %6s %7s %6s %7s %6s %7s %7s %8s %8s %5s\n", text, "offer/s", "sent/s", "good/s", "late", "refused", "503",
         "gave up", "errors", "p50 ms", "p99 ms", "p99.9 ms", "max ms", "own");
}

static void row(const char *name, const struct result *r) {
  double s = r->seconds;
  printf("%-38s %7.0f %7.0f %7.0f %6.0f %7.0f %6.0f %7.0f %6.0f %7.2f %7.2f %8.2f %8.2f %4.0f%%\n", name, (double)r->offered / s,
         (double)r->sent / s, (double)r->good / s, (double)r->late / s, (double)r->refused / s, (double)r->full / s,
         (double)r->given_up / s, (double)(r->other + r->errors), r->p50_ms, r->p99_ms, r->p999_ms, r->max_ms, 100 * r->own_cpu);
  fflush(stdout);
}

static void latency(int port, bool quick, double seconds, int runs) {
  static const struct load loads[] = {
      {"1,000/s, 64 connections", 64, 1000, DEADLINE_MS, false},
      {"5,000/s, 64 connections", 64, 5000, DEADLINE_MS, false},
      {"10,000/s, 64 connections", 64, 10000, DEADLINE_MS, false},
      {"2,500/s, 10,000 connections", CONNECTIONS_MAX, 2500, 1000, false},
  };
  enum { ROWS = sizeof loads / sizeof loads[0] };
  static struct result results[ROWS][RUNS_MAX];
  for (int run = 0; run < runs; run++)
    for (unsigned r = 0; r < ROWS; r++) {
      struct load load = loads[r];
      if (quick && load.connections > 500) load.connections = 500;
      results[r][run] = measure(port, &load, seconds);
    }
  heading("from the intended time");
  for (unsigned r = 0; r < ROWS; r++) {
    qsort(results[r], (size_t)runs, sizeof results[r][0], by_p99);
    row(loads[r].name, &results[r][runs / 2]);
  }
}

/* What the server does when it is asked for more than it can: as much as it can, in time. */
static void overload(int port, double seconds, int runs) {
  static const unsigned connections[] = {512, 1024, 2048, 4096, CONNECTIONS_MAX};
  enum { ROWS = sizeof connections / sizeof connections[0] };
  static struct result results[ROWS][RUNS_MAX];
  double peak = 0;
  char name[64];
  heading("from the sending");
  for (double rate = 9000; rate <= 72000; rate *= 1.25) {
    struct load load = {name, 512, rate, DEADLINE_MS, true};
    struct result r = measure(port, &load, seconds);
    snprintf(name, sizeof name, "search for the peak: %.0f/s", rate);
    row(name, &r);
    double goodput = (double)r.good / r.seconds;
    if (goodput > peak) peak = goodput;
    if (goodput < 0.7 * rate) break;
  }
  for (int run = 0; run < runs; run++)
    for (unsigned c = 0; c < ROWS; c++) {
      struct load load = {name, connections[c], 3 * peak, DEADLINE_MS, true};
      results[c][run] = measure(port, &load, seconds);
    }
  for (unsigned c = 0; c < ROWS; c++) {
    qsort(results[c], (size_t)runs, sizeof results[c][0], by_good);
    struct result *r = &results[c][runs / 2];
    snprintf(name, sizeof name, "3x peak, %u connections: %.2f", connections[c], (double)r->good / r->seconds / peak);
    row(name, r);
  }
}

int main(int argc, char **argv) {
  bool quick = argc > 1 && strcmp(argv[1], "--quick") == 0, only_overload = argc > 1 && strcmp(argv[1], "--overload") == 0;
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
  const char *const generate[] = {
      "tidemark", "generate", "--seed", "5", "--transactions", quick ? "20000" : "600000", "--start", "2020-01-05T00:00:00Z",
      "--output", path,       NULL};
  int status = 0;
  if (waitpid(spawn(log, generate), &status, 0) < 0 || status != 0) die("generate");
  load_messages(path);
  server_start(&server);
  if (!only_overload) latency(server.port, quick, quick ? 1 : 5, runs);
  if (!quick) overload(server.port, 3, runs);
  server_stop(&server);
  char command[160];
  snprintf(command, sizeof command, "rm -r -- '%s'", server.dir);
  return system(command) == 0 ? 0 : 1;
}
