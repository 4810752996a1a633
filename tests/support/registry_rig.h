/* A registry for tests: a directory, or a real etcd with a proxy before it (tests/support/etcd_cell.py), and the proxy's controls.
 *
 * The server is started once per program and dies with it. Each case takes a prefix of its own. */
#ifndef TEST_REGISTRY_RIG_H
#define TEST_REGISTRY_RIG_H

#include <arpa/inet.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../support/journal_dir.h"
#include "adapter/registry_dir.h"
#include "adapter/registry_etcd.h"

struct registry_rig {
  char *dir;
  pid_t pid;
  unsigned port, proxy;
  unsigned prefix; /* the number of the last one given */
};

static inline void rig_start(struct registry_rig *rig) {
  int out[2];
  pid_t parent = getpid();
  rig->dir = test_dir_fast("registry");
  char *data = test_path(rig->dir, "etcd");
  assert_int_equal(pipe(out), 0);
  rig->pid = fork();
  assert_true(rig->pid >= 0);
  if (rig->pid == 0) {
    if (dup2(out[1], 1) < 0 || prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || getppid() != parent) _exit(121);
    close(out[0]);
    close(out[1]);
    execlp("python3", "python3", "tests/support/etcd_cell.py", data, (char *)NULL);
    _exit(122);
  }
  close(out[1]);
  tide_free(data);
  FILE *told = fdopen(out[0], "r");
  if (fscanf(told, "%u %u", &rig->port, &rig->proxy) != 2) fail_msg("tests/support/etcd_cell.py does not start: is etcd-server installed?");
  fclose(told);
}

static inline void rig_stop(struct registry_rig *rig) {
  assert_int_equal(kill(rig->pid, SIGKILL), 0);
  assert_int_equal(waitpid(rig->pid, NULL, 0), rig->pid);
  test_dir_remove(rig->dir);
  tide_free(rig->dir);
}

/* The proxy's GET /control/WORDS; its number. */
static inline long rig_control(const struct registry_rig *rig, const char *words) {
  struct sockaddr_in address = {
      .sin_family = AF_INET, .sin_port = htons((uint16_t)rig->proxy), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  char request[200], answer[1024];
  size_t len = 0;
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
  int sent = snprintf(request, sizeof request, "GET /control/%s HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", words);
  assert_int_equal(write(fd, request, (size_t)sent), sent);
  for (ssize_t got; len < sizeof answer - 1 && (got = read(fd, answer + len, sizeof answer - 1 - len)) > 0;) len += (size_t)got;
  close(fd);
  answer[len] = 0;
  const char *body = strstr(answer, "\r\n\r\n");
  if (!body) fail_msg("the proxy does not answer to %s: %s", words, answer);
  return atol(body);
}

/* What every handle of a case is opened with; endpoints and prefix stand in the buffers. */
struct rig_address { char endpoints[80], prefix[40]; };
static inline void rig_address(struct registry_rig *rig, struct rig_address *ret) {
  snprintf(ret->endpoints, sizeof ret->endpoints, "127.0.0.1:%u", rig->proxy);
  snprintf(ret->prefix, sizeof ret->prefix, "t/%u", ++rig->prefix);
}
static inline struct tide_registry *rig_open(const struct rig_address *address, const char *user, const char *password, int64_t timeout_ms) {
  struct tide_etcd_options options = {
      .endpoints = address->endpoints, .prefix = address->prefix, .user = user, .password = password, .timeout_ms = timeout_ms};
  struct tide_registry *registry;
  struct tide_error error;
  if (tide_registry_etcd_open(&options, &registry, &error)) fail_msg("%s", error.text);
  return registry;
}

#endif
