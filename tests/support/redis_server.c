/* See redis_server.h.
 *
 * A port is free when it is chosen and may be taken when the server binds it: then the server ends, and another port is tried. */
#include "redis_server.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "journal_dir.h"

enum { ARGS_MAX = 64, PORT_TRIES = 20, READY_TRIES = 12000 };

static void nap_ms(long ms) { nanosleep(&(struct timespec){ms / 1000, ms % 1000 * 1000000}, NULL); }

static bool is_free(uint16_t port) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons(port)};
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  assert_true(fd >= 0);
  bool bound = bind(fd, (struct sockaddr *)&address, sizeof address) == 0;
  close(fd);
  return bound;
}

/* As processes.py picks them: none that the kernel may give to an outgoing connection while the server is down, and of the others only the share of
 * TIDE_PORTS=I/N, so that a program beside this one has others. */
static uint16_t free_port(void) {
  unsigned low = 0, high = 0, share = 0, shares = 1;
  FILE *range = fopen("/proc/sys/net/ipv4/ip_local_port_range", "r");
  assert_non_null(range);
  assert_int_equal(fscanf(range, "%u %u", &low, &high), 2);
  fclose(range);
  const char *ports = getenv("TIDE_PORTS");
  if (ports) assert_int_equal(sscanf(ports, "%u/%u", &share, &shares), 2);
  assert_true(shares > 0);
  for (;;) {
    uint16_t port;
    assert_int_equal(getrandom(&port, sizeof port, 0), (int)sizeof port);
    if (port < 10240 || port >= 65000 || (port >= low && port <= high) || port % shares != share || !is_free(port)) continue;
    return port;
  }
}

static _Noreturn void become_server(const struct test_redis *redis, const char *const *option, pid_t parent) {
  char port[8];
  snprintf(port, sizeof port, "%u", redis->port);
  const char *common[] = {"--port",
                          port,
                          "--bind",
                          "127.0.0.1",
                          "--dir",
                          redis->dir,
                          "--save",
                          "",
                          "--repl-diskless-sync",
                          "yes",
                          "--repl-diskless-sync-delay",
                          "0",
                          "--repl-ping-replica-period",
                          "1"};
  const char *argv[ARGS_MAX] = {"redis-server"};
  size_t count = 1;
  if (option && option[0] && option[0][0] != '-') argv[count++] = *option++; /* a file of configuration stands in front */
  for (size_t i = 0; i < sizeof common / sizeof common[0]; i++) argv[count++] = common[i];
  for (size_t i = 0; option && option[i] && count + 1 < ARGS_MAX; i++) argv[count++] = option[i];
  char *path = test_path(redis->dir, "log");
  int log = open(path, O_WRONLY | O_CREAT | O_APPEND, 0600);
  if (log < 0 || dup2(log, 1) < 0 || dup2(log, 2) < 0) _exit(120);
  if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || getppid() != parent) _exit(121);
  execvp("redis-server", (char *const *)(uintptr_t)argv);
  fprintf(stderr, "redis-server cannot be started: run make deps\n");
  _exit(122);
}

static void spawn(struct test_redis *redis, const char *const *option) {
  pid_t parent = getpid();
  fflush(NULL);
  redis->pid = fork();
  assert_true(redis->pid >= 0);
  if (redis->pid == 0) become_server(redis, option, parent);
}

static void read_log(const struct test_redis *redis, struct tide_buf *out) {
  char *path = test_path(redis->dir, "log");
  FILE *file = fopen(path, "r");
  char chunk[4096];
  size_t got;
  while (file && (got = fread(chunk, 1, sizeof chunk, file)) > 0) tide_buf_put(out, chunk, got);
  if (file) fclose(file);
  tide_free(path);
}

/* Any answer will do, also one that asks for a password. False: the process has ended. */
static bool ready(struct test_redis *redis) {
  for (int i = 0; i < READY_TRIES; i++) {
    if (waitpid(redis->pid, NULL, WNOHANG) == redis->pid) {
      redis->pid = 0;
      return false;
    }
    redisContext *context = redisConnectWithTimeout("127.0.0.1", redis->port, (struct timeval){1, 0});
    redisReply *reply = context && !context->err ? redisCommand(context, "PING") : NULL;
    bool loading = reply && reply->type == REDIS_REPLY_ERROR && strncmp(reply->str, "LOADING", 7) == 0;
    bool answered = reply && !loading;
    if (reply) freeReplyObject(reply);
    if (context) redisFree(context);
    if (answered) return true;
    nap_ms(5);
  }
  return false;
}

static _Noreturn void give_up(struct test_redis *redis, const char *what) {
  struct tide_buf log = TIDE_BUF_INIT;
  read_log(redis, &log);
  print_error("redis-server on port %u %s\n%s\n", redis->port, what, tide_buf_cstr(&log));
  tide_buf_release(&log);
  fail();
  abort();
}

void test_redis_start(struct test_redis *redis, const char *const *option) {
  *redis = (struct test_redis){.dir = test_dir("redis")};
  for (int tries = 0; tries < PORT_TRIES; tries++) {
    redis->port = free_port();
    spawn(redis, option);
    if (ready(redis)) return;
    if (redis->pid) break;
    struct tide_buf log = TIDE_BUF_INIT;
    read_log(redis, &log);
    bool taken = strstr(tide_buf_cstr(&log), "Address already in use") != NULL;
    tide_buf_release(&log);
    if (!taken) break;
  }
  give_up(redis, "does not start");
}

void test_redis_restart(struct test_redis *redis, const char *const *option) {
  assert_int_equal(redis->pid, 0);
  spawn(redis, option);
  if (!ready(redis)) give_up(redis, "does not start again");
}

void test_redis_kill(struct test_redis *redis) {
  assert_true(redis->pid > 0);
  assert_int_equal(kill(redis->pid, SIGKILL), 0);
  assert_int_equal(waitpid(redis->pid, NULL, 0), redis->pid);
  redis->pid = 0;
}

void test_redis_freeze(struct test_redis *redis) {
  int status;
  assert_int_equal(kill(redis->pid, SIGSTOP), 0);
  assert_int_equal(waitpid(redis->pid, &status, WUNTRACED), redis->pid);
  assert_true(WIFSTOPPED(status));
}

void test_redis_thaw(struct test_redis *redis) { assert_int_equal(kill(redis->pid, SIGCONT), 0); }

void test_redis_stop(struct test_redis *redis) {
  if (redis->pid > 0) test_redis_kill(redis);
  if (redis->dir) test_dir_remove(redis->dir);
  tide_free(redis->dir);
  redis->dir = NULL;
}

redisContext *test_redis_connect(const struct test_redis *redis) {
  redisContext *context = redisConnectWithTimeout("127.0.0.1", redis->port, (struct timeval){10, 0});
  assert_non_null(context);
  assert_int_equal(context->err, 0);
  assert_int_equal(redisSetTimeout(context, (struct timeval){20, 0}), REDIS_OK);
  return context;
}

static redisReply *run(const struct test_redis *redis, const char *format, va_list args) {
  redisContext *context = test_redis_connect(redis);
  redisReply *reply = redisvCommand(context, format, args);
  if (!reply) fail_msg("%s: no reply: %s", format, context->errstr);
  if (reply->type == REDIS_REPLY_ERROR) fail_msg("%s: %s", format, reply->str);
  redisFree(context);
  return reply;
}

redisReply *test_redis_do(const struct test_redis *redis, const char *format, ...) {
  va_list args;
  va_start(args, format);
  redisReply *reply = run(redis, format, args);
  va_end(args);
  return reply;
}

void test_redis_run(const struct test_redis *redis, const char *format, ...) {
  va_list args;
  va_start(args, format);
  freeReplyObject(run(redis, format, args));
  va_end(args);
}

long long test_redis_info(const struct test_redis *redis, const char *name) {
  redisReply *reply = test_redis_do(redis, "INFO");
  char line[80];
  snprintf(line, sizeof line, "\n%s:", name);
  const char *at = strstr(reply->str, line);
  if (!at) fail_msg("INFO has no %s", name);
  long long value = strtoll(at + strlen(line), NULL, 10);
  freeReplyObject(reply);
  return value;
}

void test_redis_follow(const struct test_redis *replica, const struct test_redis *primary, unsigned replicas) {
  test_redis_run(replica, "REPLICAOF 127.0.0.1 %u", (unsigned)primary->port);
  for (int i = 0; i < READY_TRIES; i++) {
    redisReply *reply = test_redis_do(primary, "INFO replication");
    unsigned online = 0;
    for (const char *at = reply->str; (at = strstr(at, "state=online")) != NULL; at++) online++;
    freeReplyObject(reply);
    if (online == replicas) return;
    nap_ms(5);
  }
  fail_msg("the replica on port %u does not come online", replica->port);
}

bool test_redis_refuses(const char *const *option, struct tide_buf *out) {
  struct test_redis redis = {.dir = test_dir("redis"), .port = free_port()};
  spawn(&redis, option);
  bool answers = ready(&redis);
  read_log(&redis, out);
  test_redis_stop(&redis);
  return !answers;
}
