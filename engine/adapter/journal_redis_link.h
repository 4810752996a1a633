/* One connection to a Redis server, as the journal's protocol needs it: queue a command, take the next reply.
 *
 * The protocol (journal_redis.c) judges replies and does no I/O of its own; what moves bytes stands behind this table. So the simulator and the fault tests
 * put a model of a server behind the very code that runs in production, and can end any connection at any reply. */
#ifndef TIDE_JOURNAL_REDIS_LINK_H
#define TIDE_JOURNAL_REDIS_LINK_H

#include <hiredis/hiredis.h>

#include "base/clock.h"
#include "base/err.h"

struct tide_redis_address {
  char host[256]; /* name or address; a path where it begins with '/' */
  uint16_t port;  /* 0 with a path */
};

/* Both clocks of this machine, read one behind the other: where the first is set, the second is not. */
struct tide_redis_now { struct tide_wall wall; struct tide_mono mono; };

struct tide_redis_link;
struct tide_redis_link_ops {
  /* Opens a connection; every wait on it is bounded by timeout_ms. AGAIN: not reachable now. */
  enum tide_err (*connect)(void *ctx, const struct tide_redis_address *address, int64_t timeout_ms, struct tide_redis_link **ret, struct tide_error *error);
  /* Queues a command; argument i has len[i] bytes. Nothing is sent before the next reply is asked for, at the latest. */
  void (*send)(struct tide_redis_link *link, int argc, const char *const *argv, const size_t *len);
  /* The reply to the oldest command that has none yet, in order; freed by freeReplyObject. An error of the server is a reply. IO: the connection is
   * over, and what was sent may have been carried out. */
  enum tide_err (*receive)(struct tide_redis_link *link, redisReply **ret, struct tide_error *error);
  void (*close)(struct tide_redis_link *link);
  struct tide_redis_now (*now)(void *ctx);
};
/* hiredis on sockets; ctx: struct tide_redis_tls, or NULL for plain connections. */
extern const struct tide_redis_link_ops tide_redis_link_hiredis;

#endif
