/* Connections by hiredis (journal_redis_link.h). Blocking, because the journal has a thread of its own; every wait has a time-out, so a server that is
 * stopped, and not gone, is noticed too. */
#include "adapter/journal_redis_link.h"

#include <string.h>
#include <sys/time.h>

#include "adapter/journal_redis_tls.h"

#include "base/buf.h"

struct tide_redis_link {
  redisContext *context;
  struct tide_redis_address address;
};

static enum tide_err hiredis_connect(void *ctx, const struct tide_redis_address *address, int64_t timeout_ms, struct tide_redis_link **ret,
                                     struct tide_error *error) {
  struct timeval timeout = {.tv_sec = timeout_ms / 1000, .tv_usec = (timeout_ms % 1000) * 1000};
  redisContext *context =
      address->port ? redisConnectWithTimeout(address->host, address->port, timeout) : redisConnectUnixWithTimeout(address->host, timeout);
  if (!context) return tide_fail(error, TIDE_E_LIMIT, "redis %s: no memory for a connection", address->host);
  if (context->err || redisSetTimeout(context, timeout) != REDIS_OK) {
    enum tide_err err = tide_fail(error, TIDE_E_AGAIN, "redis %s:%u cannot be reached: %s", address->host, address->port, context->errstr);
    redisFree(context);
    return err;
  }
  enum tide_err err = ctx && address->port ? tide_redis_tls_begin(ctx, context, address->host, error) : TIDE_OK;
  if (err != TIDE_OK) {
    redisFree(context);
    return err;
  }
  (void)redisEnableKeepAlive(context); /* of no use on a unix socket, and refused there */
  context->err = 0;
  struct tide_redis_link *link = tide_alloc(sizeof *link);
  link->context = context;
  link->address = *address;
  *ret = link;
  return TIDE_OK;
}

static void hiredis_send(struct tide_redis_link *link, int argc, const char *const *argv, const size_t *len) {
  const char *arg[16];
  TIDE_CHECK(argc > 0 && (size_t)argc <= sizeof arg / sizeof arg[0]);
  memcpy(arg, argv, (size_t)argc * sizeof *argv);
  (void)redisAppendCommandArgv(link->context, argc, arg, len); /* out of memory shows at the next reply: context->err stays set */
}

static enum tide_err hiredis_receive(struct tide_redis_link *link, redisReply **ret, struct tide_error *error) {
  void *reply = NULL;
  if (link->context->err || redisGetReply(link->context, &reply) != REDIS_OK || !reply)
    return tide_fail(error, TIDE_E_IO, "redis %s:%u: the connection is over: %s", link->address.host, link->address.port,
                     link->context->errstr[0] ? link->context->errstr : "no reply");
  *ret = reply;
  return TIDE_OK;
}

static void hiredis_close(struct tide_redis_link *link) {
  redisFree(link->context);
  tide_free(link);
}

static struct tide_redis_now hiredis_now(void *ctx) {
  (void)ctx;
  struct tide_redis_now now;
  tide_clocks_now(&now.wall, &now.mono);
  return now;
}

const struct tide_redis_link_ops tide_redis_link_hiredis = {
    .connect = hiredis_connect, .send = hiredis_send, .receive = hiredis_receive, .close = hiredis_close, .now = hiredis_now};
