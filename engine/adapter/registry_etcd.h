/* The registry in etcd 3.4 or newer, through its JSON gateway (registry_etcd.c).
 *
 * Keys stand under /PREFIX/. etcd's own guarantees carry the port's: a transaction compares and writes at once, a range is linearizable, a watch tells every change
 * behind a revision or says that it cannot. */
#ifndef TIDE_REGISTRY_ETCD_H
#define TIDE_REGISTRY_ETCD_H

#include "port/registry.h"

struct tide_etcd_options {
  const char *endpoints;  /* HOST:PORT,HOST:PORT... */
  const char *prefix;     /* without slashes at its ends */
  bool tls;
  const char *ca;         /* authorities, PEM; NULL or "": the system's */
  const char *cert, *key; /* client certificate, PEM; NULL or "": none */
  const char *user, *password; /* NULL or "": none is shown. Never printed */
  int64_t timeout_ms;     /* of one request at one endpoint */
};

/* Everything is copied. Nothing is asked yet. Error: CONFIG. */
enum tide_err tide_registry_etcd_open(const struct tide_etcd_options *options, struct tide_registry **ret, struct tide_error *error) TIDE_WARN_UNUSED;

#endif
