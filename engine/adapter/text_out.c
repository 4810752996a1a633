/* Text into a plain, gzip or zstd file; see text_out.h.
 *
 * One buffer in front, so that many short lines make few calls. The compressors write no name and no time, so equal input gives equal
 * files under equal library versions. After a failed write nothing more is written: close only frees. */
#include "adapter/text_out.h"

#include "base/buf.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

#define GATHER_BYTES (256u << 10)
#define GZIP_WINDOW (15 + 16) /* zlib: 15 bits, gzip wrapper */

enum form { PLAIN, GZIP, ZSTD };

struct tide_text_out {
  char *path;
  int fd;
  bool own_fd;
  enum form form;
  bool failed;
  size_t len; /* gathered in raw */
  char *raw, *packed;
  z_stream gzip;
  ZSTD_CCtx *zstd;
};

static bool ends_with(const char *s, const char *end) {
  size_t n = strlen(s), m = strlen(end);
  return n >= m && strcmp(s + n - m, end) == 0;
}

enum tide_err tide_text_out_open(const char *path, struct tide_text_out **ret, struct tide_error *error) {
  TIDE_CHECK(path && ret);
  bool standard = strcmp(path, "-") == 0;
  int fd = standard ? STDOUT_FILENO : open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  if (fd < 0) return tide_fail_errno(error, TIDE_E_IO, "cannot open %s for writing", path);
  struct tide_text_out *out = tide_alloc(sizeof *out);
  out->path = tide_strdup(standard ? "standard output" : path);
  out->fd = fd;
  out->own_fd = !standard;
  out->form = ends_with(path, ".gz") ? GZIP : ends_with(path, ".zst") ? ZSTD : PLAIN;
  out->raw = tide_alloc(GATHER_BYTES);
  if (out->form != PLAIN) out->packed = tide_alloc(GATHER_BYTES);
  if (out->form == GZIP) TIDE_CHECK(deflateInit2(&out->gzip, 3, Z_DEFLATED, GZIP_WINDOW, 8, Z_DEFAULT_STRATEGY) == Z_OK);
  if (out->form == ZSTD) TIDE_CHECK((out->zstd = ZSTD_createCCtx()) != NULL);
  *ret = out;
  return TIDE_OK;
}

static enum tide_err write_all(struct tide_text_out *out, const char *ptr, size_t len, struct tide_error *error) {
  while (len) {
    ssize_t n = write(out->fd, ptr, len);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) {
      out->failed = true;
      return tide_fail_errno(error, errno == ENOSPC || errno == EDQUOT ? TIDE_E_FULL : TIDE_E_IO, "writing %s failed", out->path);
    }
    ptr += n;
    len -= (size_t)n;
  }
  return TIDE_OK;
}

static enum tide_err flush_gzip(struct tide_text_out *out, bool last, struct tide_error *error) {
  out->gzip.next_in = (Bytef *)out->raw;
  out->gzip.avail_in = (uInt)out->len;
  int rc;
  do {
    out->gzip.next_out = (Bytef *)out->packed;
    out->gzip.avail_out = GATHER_BYTES;
    rc = deflate(&out->gzip, last ? Z_FINISH : Z_NO_FLUSH);
    TIDE_CHECK(rc == Z_OK || rc == Z_STREAM_END || rc == Z_BUF_ERROR);
    enum tide_err err = write_all(out, out->packed, GATHER_BYTES - out->gzip.avail_out, error);
    if (err) return err;
  } while (last ? rc != Z_STREAM_END : out->gzip.avail_out == 0);
  return TIDE_OK;
}

static enum tide_err flush_zstd(struct tide_text_out *out, bool last, struct tide_error *error) {
  ZSTD_inBuffer in = {out->raw, out->len, 0};
  for (;;) {
    ZSTD_outBuffer packed = {out->packed, GATHER_BYTES, 0};
    size_t left = ZSTD_compressStream2(out->zstd, &packed, &in, last ? ZSTD_e_end : ZSTD_e_continue);
    TIDE_CHECK(!ZSTD_isError(left));
    enum tide_err err = write_all(out, out->packed, packed.pos, error);
    if (err) return err;
    if (last ? left == 0 : in.pos == in.size) return TIDE_OK;
  }
}

static enum tide_err flush(struct tide_text_out *out, bool last, struct tide_error *error) {
  enum tide_err err = TIDE_OK;
  if (out->form == GZIP) err = flush_gzip(out, last, error);
  else if (out->form == ZSTD) err = flush_zstd(out, last, error);
  else err = write_all(out, out->raw, out->len, error);
  out->len = 0;
  return err;
}

enum tide_err tide_text_out_put(struct tide_text_out *out, struct tide_span bytes, struct tide_error *error) {
  while (bytes.len) {
    size_t n = GATHER_BYTES - out->len < bytes.len ? GATHER_BYTES - out->len : bytes.len;
    memcpy(out->raw + out->len, bytes.ptr, n);
    out->len += n;
    bytes = (struct tide_span){bytes.ptr + n, bytes.len - n};
    if (out->len < GATHER_BYTES) break;
    enum tide_err err = flush(out, false, error);
    if (err) return err;
  }
  return TIDE_OK;
}

enum tide_err tide_text_out_close(struct tide_text_out *out, struct tide_error *error) {
  enum tide_err err = out->failed ? TIDE_OK : flush(out, true, error);
  if (out->own_fd && close(out->fd) != 0 && !err && !out->failed) err = tide_fail_errno(error, TIDE_E_IO, "closing %s failed", out->path);
  if (out->form == GZIP) deflateEnd(&out->gzip);
  ZSTD_freeCCtx(out->zstd);
  tide_free(out->path);
  tide_free(out->raw);
  tide_free(out->packed);
  tide_free(out);
  return err;
}
