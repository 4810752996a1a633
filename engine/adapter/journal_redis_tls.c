/* TLS for Redis by hiredis_ssl over OpenSSL (journal_redis_tls.h).
 *
 * Why not redisCreateSSLContext: it checks that a certificate comes from the authority, and not whose it is. Its server_name is only what the client asks for, so any node of
 * the company could stand in for the primary. Here OpenSSL is told the name (RFC 6125) or the address that the certificate must bear, and verification cannot be
 * switched off. TLS 1.2 is the least. Blocking like everything about these connections: the socket's time-outs bound the handshake too. */
#include "adapter/journal_redis_tls.h"

#include "base/buf.h"

#ifdef TIDE_REDIS_TLS

#include <arpa/inet.h>
#include <hiredis/hiredis_ssl.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <signal.h>

struct tide_redis_tls {
  SSL_CTX *ctx;
  char *server_name; /* NULL: each by its host */
};

enum tide_err tide_redis_tls_known(struct tide_error *error) {
  (void)error;
  return TIDE_OK;
}

static bool given(const char *text) { return text && *text; }

static const char *why(void) {
  const char *reason = ERR_reason_error_string(ERR_peek_last_error());
  return reason ? reason : "OpenSSL does not say why";
}

static enum tide_err read_files(SSL_CTX *ctx, const struct tide_redis_tls_options *options, struct tide_error *error) {
  if (given(options->cert) != given(options->key))
    return tide_fail(error, TIDE_E_CONFIG, "journal.tls_cert and journal.tls_key belong together: set both or none");
  if (given(options->ca) ? !SSL_CTX_load_verify_locations(ctx, options->ca, NULL) : !SSL_CTX_set_default_verify_paths(ctx))
    return tide_fail(error, TIDE_E_CONFIG, "journal.tls_ca %.200s holds no authority that can be used: %s", options->ca, why());
  if (!given(options->cert)) return TIDE_OK;
  if (!SSL_CTX_use_certificate_chain_file(ctx, options->cert))
    return tide_fail(error, TIDE_E_CONFIG, "journal.tls_cert %.200s is no certificate in PEM: %s", options->cert, why());
  if (!SSL_CTX_use_PrivateKey_file(ctx, options->key, SSL_FILETYPE_PEM))
    return tide_fail(error, TIDE_E_CONFIG, "journal.tls_key %.200s is no key in PEM without a password that fits the certificate: %s",
                     options->key, why());
  return TIDE_OK;
}

/* A key with a password would ask for it on the terminal. */
static int no_password(char *buf, int size, int rw, void *ctx) {
  (void)buf;
  (void)size;
  (void)rw;
  (void)ctx;
  return 0;
}

enum tide_err tide_redis_tls_open(const struct tide_redis_tls_options *options, struct tide_redis_tls **ret, struct tide_error *error) {
  ERR_clear_error();
  SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
  if (!ctx) return tide_fail(error, TIDE_E_LIMIT, "OpenSSL gives no context: %s", why());
  SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
  SSL_CTX_set_default_passwd_cb(ctx, no_password);
  enum tide_err err = SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION)
                          ? read_files(ctx, options, error)
                          : tide_fail(error, TIDE_E_CONFIG, "OpenSSL has no TLS 1.2: %s", why());
  if (err != TIDE_OK) {
    SSL_CTX_free(ctx);
    return err;
  }
  (void)signal(SIGPIPE, SIG_IGN); /* OpenSSL writes to sockets without MSG_NOSIGNAL, and a node may be gone */
  struct tide_redis_tls *tls = tide_alloc(sizeof *tls);
  tls->ctx = ctx;
  tls->server_name = given(options->server_name) ? tide_strdup(options->server_name) : NULL;
  *ret = tls;
  return TIDE_OK;
}

static bool expect(SSL *ssl, const char *name) {
  unsigned char address[16];
  if (inet_pton(AF_INET, name, address) == 1 || inet_pton(AF_INET6, name, address) == 1)
    return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), name);
  SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
  return SSL_set1_host(ssl, name) && SSL_set_tlsext_host_name(ssl, name);
}

enum tide_err tide_redis_tls_begin(const struct tide_redis_tls *tls, redisContext *context, const char *host, struct tide_error *error) {
  const char *name = tls->server_name ? tls->server_name : host;
  ERR_clear_error();
  SSL *ssl = SSL_new(tls->ctx);
  if (!ssl || !expect(ssl, name)) {
    SSL_free(ssl);
    return tide_fail(error, TIDE_E_AGAIN, "redis %.200s: TLS cannot be begun: %s", host, why());
  }
  if (redisInitiateSSL(context, ssl) == REDIS_OK) return TIDE_OK;
  long verdict = SSL_get_verify_result(ssl);
  enum tide_err err =
      verdict == X509_V_OK
          ? tide_fail(error, TIDE_E_AGAIN, "redis %.200s: no TLS: %.200s", host, context->errstr)
          : tide_fail(error, TIDE_E_AGAIN,
                      "redis %.200s: its certificate is refused: %s (expected for %.200s; see journal.tls_ca and journal.tls_server_name)",
                      host, X509_verify_cert_error_string(verdict), name);
  SSL_free(ssl);
  return err;
}

void tide_redis_tls_close(struct tide_redis_tls *tls) {
  if (!tls) return;
  SSL_CTX_free(tls->ctx);
  tide_free(tls->server_name);
  tide_free(tls);
}

#else

enum tide_err tide_redis_tls_known(struct tide_error *error) {
  return tide_fail(
      error, TIDE_E_CONFIG,
      "rediss:// asks for TLS, and this build's hiredis has none (hiredis_ssl was not found): use a private network, a unix socket or a TLS tunnel, "
      "and redis://; or build where pkg-config finds hiredis_ssl");
}

enum tide_err tide_redis_tls_open(const struct tide_redis_tls_options *options, struct tide_redis_tls **ret, struct tide_error *error) {
  (void)options;
  (void)ret;
  return tide_redis_tls_known(error);
}

enum tide_err tide_redis_tls_begin(const struct tide_redis_tls *tls, redisContext *context, const char *host, struct tide_error *error) {
  (void)tls;
  (void)context;
  (void)host;
  return tide_redis_tls_known(error);
}

void tide_redis_tls_close(struct tide_redis_tls *tls) { TIDE_CHECK(!tls); }

#endif
