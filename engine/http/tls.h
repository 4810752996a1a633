/* TLS of a listener: certificate, key and the authorities of clients, by GnuTLS through libmicrohttpd.
 *
 * The library gets no certificate of its own. Each new connection is given the credentials that are in force at that moment (tide_tls_attach), so a reload is a swap of one
 * pointer: connections that are open keep what they began with, and the bundle goes when the last of them does. TLS 1.2 and 1.3 with forward secrecy and
 * authenticated ciphers; no resumption, so every connection is judged by the certificates of its time.
 *
 * Where clients must show a certificate the handshake only asks for one: who has none, or a wrong one, is told so by an answer of HTTP before anything of its request
 * is used (guard.h), because an alert is often lost when the connection is closed behind it. */
#ifndef TIDE_TLS_H
#define TIDE_TLS_H

#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>

struct tide_tls;
struct MHD_Connection;

/* What libmicrohttpd is told about protocols and ciphers. */
#define TIDE_TLS_PRIORITIES                                                                                                                 \
  "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2:-KX-ALL:+ECDHE-RSA:+ECDHE-ECDSA:-CIPHER-ALL:+AES-256-GCM:+CHACHA20-POLY1305:+AES-128-GCM:"     \
  "-SIGN-RSA-SHA1:-SIGN-ECDSA-SHA1:%SERVER_PRECEDENCE"

/* cert: PEM, the server's first, then what leads to its authority; key: PEM, unencrypted; client_ca: PEM, or "" where clients need no certificate. Errors: NOT_FOUND, IO; CONFIG:
 * not PEM, a key of another certificate, no authority in client_ca. Warns in the log of a certificate that has expired or will within 14 days, and of a key that everybody can
 * read. */
enum tide_err tide_tls_load(const char *cert, const char *key, const char *client_ca, struct tide_tls **ret, struct tide_error *error) TIDE_WARN_UNUSED;
struct tide_tls *tide_tls_share(struct tide_tls *tls); /* one more owner */
void tide_tls_release(struct tide_tls *tls);           /* NULL is nothing */
bool tide_tls_wants_client(const struct tide_tls *tls);
/* A new connection takes these credentials. Before its handshake. The caller keeps its share of `tls` until the connection is closed. */
void tide_tls_attach(struct tide_tls *tls, struct MHD_Connection *connection);
/* Whether the client has shown a certificate that is good now: issued under client_ca, for clients, not expired. Otherwise *ret_why is a sentence for it. *ret_until: seconds
 * since 1970 until when. */
bool tide_tls_client_is_good(struct MHD_Connection *connection, int64_t *ret_until_s, const char **ret_why);
/* For MHD_OPTION_HTTPS_CERT_CALLBACK, without which the library does not start: it is never reached, and gives nothing. */
void *tide_tls_no_certificate(void);

#endif
