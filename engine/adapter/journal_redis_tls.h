/* TLS on connections to Redis (journal_redis_tls.c), where hiredis has it.
 *
 * The build has it where pkg-config finds hiredis_ssl and openssl (the Makefile then sets TIDE_REDIS_TLS); otherwise everything here refuses in words. A node is known by its
 * certificate: it must come from the authority that is configured and bear the name or address under which the node was called, or the one name that is configured for
 * all nodes (where sentinels name them by address and their certificates do not). */
#ifndef TIDE_JOURNAL_REDIS_TLS_H
#define TIDE_JOURNAL_REDIS_TLS_H

#include <hiredis/hiredis.h>

#include "base/err.h"

struct tide_redis_tls_options {
  const char *ca;          /* PEM; NULL or "": the authorities of this machine */
  const char *cert, *key;  /* of this client, PEM; both or none */
  const char *server_name; /* of all nodes and sentinels; NULL or "": the host by which each is called */
};

struct tide_redis_tls;
/* CONFIG where this build has no TLS for Redis, with what to do; else OK. */
enum tide_err tide_redis_tls_known(struct tide_error *error) TIDE_WARN_UNUSED;
/* Reads the files; nothing of the options is kept. One for any number of connections, of one thread at a time. Errors: CONFIG, naming the file, or as above. */
enum tide_err tide_redis_tls_open(const struct tide_redis_tls_options *options, struct tide_redis_tls **ret, struct tide_error *error) TIDE_WARN_UNUSED;
/* Shakes hands on a connection that has been made and has its time-outs; from then on the context owns what belongs to it. Errors: AGAIN (the handshake failed: why), and then
 * the context is only good for redisFree. */
enum tide_err tide_redis_tls_begin(const struct tide_redis_tls *tls, redisContext *context, const char *host, struct tide_error *error) TIDE_WARN_UNUSED;
void tide_redis_tls_close(struct tide_redis_tls *tls); /* NULL: nothing */

#endif
