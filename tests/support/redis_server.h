/* Real Redis servers for tests: started on a free port of this machine, with a directory of their own, gone when the test is.
 *
 * A server is a child of the test and dies with it, however it ends (the kernel sends it SIGKILL). Everything here fails the test when it does
 * not succeed. */
#ifndef TEST_REDIS_SERVER_H
#define TEST_REDIS_SERVER_H

#include <hiredis/hiredis.h>
#include <sys/types.h>

#include "base/buf.h"

struct test_redis {
  pid_t pid; /* 0: not running */
  uint16_t port;
  char *dir;
};

/* Starts one in a new directory; `option` is a list of arguments ("--appendonly", "yes", ...) that ends with NULL, or NULL; its first may be
 * the path of a configuration file (a sentinel needs one). No RDB file is written unless it says so, replication starts without delay. It answers when this returns. */
void test_redis_start(struct test_redis *redis, const char *const *option);
/* The same server again after test_redis_kill: port and directory as before. */
void test_redis_restart(struct test_redis *redis, const char *const *option);
/* SIGKILL; the directory stays. */
void test_redis_kill(struct test_redis *redis);
/* SIGSTOP and SIGCONT: the connections stand, nothing answers. */
void test_redis_freeze(struct test_redis *redis);
void test_redis_thaw(struct test_redis *redis);
/* Kills it and removes the directory. Nothing happens where none was started. */
void test_redis_stop(struct test_redis *redis);

/* A connection; redisFree it. */
redisContext *test_redis_connect(const struct test_redis *redis);
/* One command on a connection of its own; an error of the server fails the test. freeReplyObject it. */
redisReply *test_redis_do(const struct test_redis *redis, const char *format, ...) TIDE_PRINTF(2, 3);
/* The same without a look at the reply. */
void test_redis_run(const struct test_redis *redis, const char *format, ...) TIDE_PRINTF(2, 3);
/* The number behind "name:" in INFO. */
long long test_redis_info(const struct test_redis *redis, const char *name);
/* Makes `replica` follow `primary` and waits until it is online and `primary` counts `replicas` of them. */
void test_redis_follow(const struct test_redis *replica, const struct test_redis *primary, unsigned replicas);
/* Does the server refuse to start with these options? Its log goes to `out`. */
bool test_redis_refuses(const char *const *option, struct tide_buf *out);

#endif
