/* The HTTP client for snapshots, by libcurl (snapshot_peer.h).
 *
 * One GET gives one snapshot as a stream, MANIFEST first, so that what does not fit the journal is refused before the rest is sent, and nothing is held in memory
 * but a chunk. */
#include "adapter/snapshot_peer.h"

#include <curl/curl.h>
#include <stdlib.h>

#define PIECE (1u << 16)

struct transfer {
  CURL *curl;
  struct tide_snapshot_import *import;
  struct tide_error *error;
  enum tide_err err; /* what the import said */
};

static size_t on_bytes(char *bytes, size_t size, size_t count, void *ctx) {
  struct transfer *transfer = ctx;
  long status = 0;
  (void)curl_easy_getinfo(transfer->curl, CURLINFO_RESPONSE_CODE, &status);
  if (status != 200) return size * count; /* the text of a refusal; its status is told below */
  transfer->err = tide_snapshot_import_take(transfer->import, (struct tide_span){bytes, size * count}, transfer->error);
  return transfer->err ? 0 : size * count;
}

static enum tide_err set_up(struct transfer *transfer, const char *url, const struct tide_admin_access *access, int64_t timeout_ms,
                            struct tide_error *error) {
  CURL *curl = transfer->curl;
  long seconds = (long)((timeout_ms + 999) / 1000);
  bool good = tide_admin_access_set(curl, url, access, timeout_ms) && curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, 1L) == CURLE_OK &&
              curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME, seconds) == CURLE_OK &&
              curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_bytes) == CURLE_OK &&
              curl_easy_setopt(curl, CURLOPT_WRITEDATA, transfer) == CURLE_OK;
  return good ? TIDE_OK : tide_fail(error, TIDE_E_CONFIG, "libcurl refuses the address of the peer (%s)", url);
}

enum tide_err tide_snapshot_fetch(const char *address, const struct tide_admin_access *access, int64_t timeout_ms, const char *dir,
                                  tide_snapshot_wanted_fn wanted, void *ctx, struct tide_error *error) {
  struct tide_buf url = TIDE_BUF_INIT;
  struct transfer transfer = {.error = error, .import = tide_snapshot_import_new(dir, wanted, ctx)};
  tide_admin_curl_begin();
  transfer.curl = curl_easy_init();
  TIDE_CHECK(transfer.curl);
  tide_buf_printf(&url, "%s://%s/snapshot", tide_admin_scheme(access), address);
  enum tide_err err = set_up(&transfer, tide_buf_cstr(&url), access, timeout_ms, error);
  if (err == TIDE_OK) {
    long status = 0;
    CURLcode code = curl_easy_perform(transfer.curl);
    (void)curl_easy_getinfo(transfer.curl, CURLINFO_RESPONSE_CODE, &status);
    if (transfer.err != TIDE_OK) err = transfer.err;
    else if (code != CURLE_OK) err = tide_fail(error, TIDE_E_AGAIN, "the peer %s gives no snapshot: %s", address, curl_easy_strerror(code));
    else if (status != 200)
      err = tide_fail(error, TIDE_E_AGAIN, "the peer %s gives no snapshot (status %ld): %s", address, status,
                      status == 401 || status == 403
                          ? "it asks for a token of the scope `snapshot` (snapshot.peer_token_file) or a certificate (snapshot.peer_cert)"
                          : "it has none yet, or no snapshot.peers of its own");
    else err = tide_snapshot_import_end(transfer.import, error);
  }
  curl_easy_cleanup(transfer.curl);
  tide_snapshot_import_free(transfer.import);
  tide_buf_release(&url);
  return err;
}

enum tide_err tide_snapshot_copy(const char *from, struct tide_position position, const char *dir, tide_snapshot_wanted_fn wanted,
                                 void *ctx, struct tide_error *error) {
  struct tide_snapshot_stream *stream;
  enum tide_err err = tide_snapshot_stream_open(from, position, &stream, error);
  if (err != TIDE_OK) return err;
  struct tide_snapshot_import *import = tide_snapshot_import_new(dir, wanted, ctx);
  char *piece = tide_alloc(PIECE);
  for (size_t got = 1; err == TIDE_OK && got > 0;) {
    err = tide_snapshot_stream_read(stream, piece, PIECE, &got, error);
    if (err == TIDE_OK && got > 0) err = tide_snapshot_import_take(import, (struct tide_span){piece, got}, error);
  }
  if (err == TIDE_OK) err = tide_snapshot_import_end(import, error);
  tide_snapshot_import_free(import);
  tide_snapshot_stream_close(stream);
  tide_free(piece);
  return err;
}
