/* How an engine's admin listener is asked: by operators' verbs (admin_client.h) and by other engines (snapshot_peer.h).
 *
 * Only the address that was written, no redirects and no proxies of the environment, because a token must not travel on. Plain HTTP, or HTTPS under one authority alone: a
 * certificate that some public authority has issued is nobody's here. */
#ifndef TIDE_ADMIN_ACCESS_H
#define TIDE_ADMIN_ACCESS_H

#include <stdbool.h>
#include <stdint.h>

/* All paths are PEM files; "" where there is none. */
struct tide_admin_access {
  const char *ca;         /* of the authority under which the listener's certificate is issued: it is asked by HTTPS. "": by plain HTTP */
  const char *cert, *key; /* shown to it */
  const char *token;      /* itself, not a path; sent as Authorization: Bearer */
};

/* libcurl made ready, once a process; any thread. */
void tide_admin_curl_begin(void);
/* Sets url, access and the time to connect of a handle of libcurl. False: libcurl refuses one of them. */
bool tide_admin_access_set(void *curl, const char *url, const struct tide_admin_access *access, int64_t timeout_ms);
/* "http" or "https". */
const char *tide_admin_scheme(const struct tide_admin_access *access);

#endif
