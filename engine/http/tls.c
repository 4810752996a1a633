/* Credentials of a listener and the judgement of a client's certificate (tls.h), the only file that speaks to GnuTLS.
 *
 * The bundle is immutable once loaded and counted by its owners: the listener, and each connection. The bytes of the key are wiped from the buffer that read them;
 * GnuTLS has its own copy, which ends with the bundle. A certificate is judged by gnutls_certificate_verify_peers with the purpose of TLS clients, so a server's certificate of
 * the same authority does not do. */
#include "http/tls.h"

#include "base/buf.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"

#include <errno.h>
#include <gnutls/abstract.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <microhttpd.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define FILE_MAX (1u << 20)
#define WARN_BEFORE_S (INT64_C(14) * 86400)

struct tide_tls {
  atomic_uint owners;
  gnutls_certificate_credentials_t credentials;
  bool wants_client;
};

static enum tide_err read_file(const char *path, const char *what, struct tide_buf *out, bool *ret_open, struct tide_error *error) {
  struct stat st;
  FILE *file = fopen(path, "re");
  if (!file) return tide_fail_errno(error, errno == ENOENT ? TIDE_E_NOT_FOUND : TIDE_E_IO, "cannot open %s %.200s", what, path);
  char *piece = tide_alloc(FILE_MAX);
  size_t len = fread(piece, 1, FILE_MAX, file);
  enum tide_err err = TIDE_OK;
  if (ferror(file) || fstat(fileno(file), &st) != 0) err = tide_fail_errno(error, TIDE_E_IO, "cannot read %s %.200s", what, path);
  else if (len == 0 || len == FILE_MAX)
    err = tide_fail(error, TIDE_E_CONFIG, "%s %.200s is %s; it must be a PEM file", what, path, len ? "longer than 1 MiB" : "empty");
  else {
    tide_buf_put(out, piece, len);
    *ret_open = (st.st_mode & S_IROTH) != 0;
  }
  (void)fclose(file);
  explicit_bzero(piece, len);
  tide_free(piece);
  return err;
}

static gnutls_datum_t datum_of(struct tide_buf *text) { return (gnutls_datum_t){(unsigned char *)text->ptr, (unsigned)text->len}; }

/* An expired certificate is told and not refused: at a start in the middle of a night, the clients that do not look are better than none. */
static void look_at_expiry(gnutls_certificate_credentials_t credentials, const char *path) {
  gnutls_x509_crt_t *chain = NULL;
  unsigned count = 0;
  if (gnutls_certificate_get_x509_crt(credentials, 0, &chain, &count) < 0) return;
  int64_t left_s = count > 0 ? (int64_t)gnutls_x509_crt_get_expiration_time(chain[0]) - tide_wall_now().ms / 1000 : 0;
  if (left_s < WARN_BEFORE_S)
    tide_log(TIDE_LOG_WARN, "tls_certificate", "file=%s days=%lld note=%s", path, (long long)(left_s / 86400),
             left_s < 0 ? "it has expired: clients refuse it; put a new one in its place and send SIGHUP"
                        : "it expires soon: put a new one in its place and send SIGHUP");
  for (unsigned i = 0; i < count; i++) gnutls_x509_crt_deinit(chain[i]);
  gnutls_free(chain);
}

static enum tide_err load_pair(struct tide_tls *tls, const char *cert, const char *key, struct tide_error *error) {
  struct tide_buf cert_text = TIDE_BUF_INIT, key_text = TIDE_BUF_INIT;
  bool open = false, ignored;
  enum tide_err err = read_file(cert, "the certificate", &cert_text, &ignored, error);
  if (err == TIDE_OK) err = read_file(key, "the key of the certificate", &key_text, &open, error);
  if (err == TIDE_OK) {
    gnutls_datum_t cert_pem = datum_of(&cert_text), key_pem = datum_of(&key_text);
    int rc = gnutls_certificate_set_x509_key_mem2(tls->credentials, &cert_pem, &key_pem, GNUTLS_X509_FMT_PEM, NULL, 0);
    if (rc < 0)
      err = tide_fail(error, TIDE_E_CONFIG, "%.140s and %.140s are no pair of certificate and unencrypted key in PEM: %s", cert, key,
                      gnutls_strerror(rc));
  }
  if (err == TIDE_OK && open)
    tide_log(TIDE_LOG_WARN, "tls_key_readable", "file=%s note=%s", key, "everybody on this machine can read the key: chmod 600");
  if (err == TIDE_OK) look_at_expiry(tls->credentials, cert);
  if (key_text.len) explicit_bzero(key_text.ptr, key_text.len);
  tide_buf_release(&key_text);
  tide_buf_release(&cert_text);
  return err;
}

static enum tide_err load_trust(struct tide_tls *tls, const char *path, struct tide_error *error) {
  struct tide_buf text = TIDE_BUF_INIT;
  bool ignored;
  enum tide_err err = read_file(path, "the authorities of clients", &text, &ignored, error);
  if (err == TIDE_OK) {
    gnutls_datum_t pem = datum_of(&text);
    int count = gnutls_certificate_set_x509_trust_mem(tls->credentials, &pem, GNUTLS_X509_FMT_PEM);
    if (count <= 0)
      err = tide_fail(error, TIDE_E_CONFIG, "%.200s holds no certificate of an authority in PEM%s%s", path, count < 0 ? ": " : "",
                      count < 0 ? gnutls_strerror(count) : "");
  }
  tide_buf_release(&text);
  return err;
}

enum tide_err tide_tls_load(const char *cert, const char *key, const char *client_ca, struct tide_tls **ret, struct tide_error *error) {
  struct tide_tls *tls = tide_alloc(sizeof *tls);
  atomic_init(&tls->owners, 1);
  TIDE_CHECK(gnutls_certificate_allocate_credentials(&tls->credentials) == 0);
  enum tide_err err = load_pair(tls, cert, key, error);
  if (err == TIDE_OK && client_ca[0]) err = load_trust(tls, client_ca, error);
  if (err != TIDE_OK) {
    tide_tls_release(tls);
    return err;
  }
  tls->wants_client = client_ca[0] != 0;
  *ret = tls;
  return TIDE_OK;
}

struct tide_tls *tide_tls_share(struct tide_tls *tls) {
  atomic_fetch_add(&tls->owners, 1);
  return tls;
}

void tide_tls_release(struct tide_tls *tls) {
  if (!tls || atomic_fetch_sub(&tls->owners, 1) != 1) return;
  gnutls_certificate_free_credentials(tls->credentials);
  tide_free(tls);
}

bool tide_tls_wants_client(const struct tide_tls *tls) { return tls->wants_client; }

static gnutls_session_t session_of(struct MHD_Connection *connection) {
  const union MHD_ConnectionInfo *info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_GNUTLS_SESSION);
  TIDE_CHECK(info && info->tls_session); /* of a listener with TLS */
  return info->tls_session;
}

void tide_tls_attach(struct tide_tls *tls, struct MHD_Connection *connection) {
  gnutls_session_t session = session_of(connection);
  TIDE_CHECK(gnutls_credentials_set(session, GNUTLS_CRD_CERTIFICATE, tls->credentials) == 0);
  gnutls_certificate_server_set_request(session, tls->wants_client ? GNUTLS_CERT_REQUEST : GNUTLS_CERT_IGNORE);
}

static const char *why_not(unsigned status) {
  if (status & (GNUTLS_CERT_EXPIRED | GNUTLS_CERT_NOT_ACTIVATED)) return "the client certificate has expired or is not yet valid";
  if (status & GNUTLS_CERT_PURPOSE_MISMATCH) return "the certificate is not one for clients (extended key usage clientAuth)";
  if (status & (GNUTLS_CERT_SIGNER_NOT_FOUND | GNUTLS_CERT_SIGNER_NOT_CA))
    return "the client certificate is of an authority that is not trusted here";
  return "the client certificate cannot be verified";
}

bool tide_tls_client_is_good(struct MHD_Connection *connection, int64_t *ret_until_s, const char **ret_why) {
  gnutls_session_t session = session_of(connection);
  gnutls_typed_vdata_st purpose = {.type = GNUTLS_DT_KEY_PURPOSE_OID, .data = (unsigned char *)(uintptr_t)GNUTLS_KP_TLS_WWW_CLIENT};
  unsigned status = 0, count = 0;
  const gnutls_datum_t *shown = gnutls_certificate_get_peers(session, &count);
  if (!shown || count == 0) {
    *ret_why = "a client certificate is asked for here, and none was shown";
    return false;
  }
  if (gnutls_certificate_verify_peers(session, &purpose, 1, &status) < 0 || status != 0) {
    *ret_why = why_not(status);
    return false;
  }
  time_t until = gnutls_certificate_expiration_time_peers(session);
  *ret_until_s = until == (time_t)-1 ? 0 : (int64_t)until;
  return true;
}

static int no_certificate(gnutls_session_t session, const gnutls_datum_t *authority, int authorities,
                          const gnutls_pk_algorithm_t *algorithm, int algorithms, gnutls_pcert_st **ret_cert, unsigned *ret_count,
                          gnutls_privkey_t *ret_key) {
  (void)session, (void)authority, (void)authorities, (void)algorithm, (void)algorithms, (void)ret_cert, (void)ret_count, (void)ret_key;
  return -1;
}
void *tide_tls_no_certificate(void) {
  gnutls_certificate_retrieve_function2 *function = no_certificate;
  void *pointer;
  memcpy(&pointer, &function, sizeof pointer); /* POSIX: both are of one size */
  return pointer;
}
