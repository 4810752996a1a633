/* Who may ask what, and how much: the files that say so, as one bundle that is loaded whole and put into force whole.
 *
 * Three questions stand before every route but those whose scope is `open`: has the client shown a good certificate (where the listener's client_ca asks for one); does its
 * token give the route's scope (where there is a file of tokens); has it asked too often. The first two are answered before anything of a body is kept. */
#ifndef TIDE_GUARD_H
#define TIDE_GUARD_H

#include "http/rate.h"
#include "http/routes.h"
#include "http/tls.h"

/* Paths by listener (enum tide_listener); "" none. A certificate and its key go together; client_ca needs them. */
struct tide_http_files {
  const char *tls_cert[TIDE_LISTENER_COUNT], *tls_key[TIDE_LISTENER_COUNT], *tls_client_ca[TIDE_LISTENER_COUNT];
  const char *tokens;
};
struct tide_http_secrets {
  struct tide_tls *tls[TIDE_LISTENER_COUNT]; /* NULL: plain HTTP */
  struct tide_tokens *tokens;                /* NULL: none are asked for */
};
/* All of the files, or nothing. Errors of tls.h and token.h; CONFIG where one of a pair is missing. */
enum tide_err tide_http_secrets_load(const struct tide_http_files *files, struct tide_http_secrets **ret, struct tide_error *error) TIDE_WARN_UNUSED;
void tide_http_secrets_free(struct tide_http_secrets *secrets);

#endif
