/* Plain, gzip and zstd files as plain bytes. See source_inflate.h.
 *
 * Invariant of the gzip and zstd states: `raw` holds [at, len) not yet given to the library; `inside` is true while a member or frame has
 * begun and not ended, so the end of the file is legal exactly when it is false. */
#include "adapter/source_inflate.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

#define RAW_BYTES (256u * 1024)

enum form { FORM_PLAIN, FORM_GZIP, FORM_ZSTD };

struct tide_inflate {
  char *path;
  int fd;
  bool eof, inside;
  enum form form;
  char *raw;
  size_t at, len;
  uint64_t consumed; /* from the file, including what waits in raw */
  z_stream gzip;
  ZSTD_DStream *zstd;
};

static enum tide_err read_some(struct tide_inflate *in, char *out, size_t room, size_t *ret, struct tide_error *error) {
  ssize_t n;
  do n = read(in->fd, out, room);
  while (n < 0 && errno == EINTR);
  if (n < 0) return tide_fail_errno(error, TIDE_E_IO, "cannot read %s at byte %llu", in->path, (unsigned long long)in->consumed);
  *ret = (size_t)n;
  in->consumed += (uint64_t)n;
  in->eof = n == 0;
  return TIDE_OK;
}

/* Enough bytes for the magic number, which a pipe may deliver one by one. */
static enum tide_err sniff(struct tide_inflate *in, struct tide_error *error) {
  while (in->len < 4 && !in->eof) {
    size_t n;
    enum tide_err err = read_some(in, in->raw + in->len, RAW_BYTES - in->len, &n, error);
    if (err) return err;
    in->len += n;
  }
  const uint8_t *b = (const uint8_t *)in->raw;
  if (in->len >= 2 && b[0] == 0x1f && b[1] == 0x8b) {
    in->form = FORM_GZIP;
    if (inflateInit2(&in->gzip, 15 + 16) != Z_OK) return tide_fail(error, TIDE_E_IO, "cannot start zlib for %s: out of memory", in->path);
  } else if (in->len >= 4 &&
             ((b[0] == 0x28 && b[1] == 0xb5 && b[2] == 0x2f && b[3] == 0xfd) ||
              (b[0] >> 4 == 5 && b[1] == 0x2a && b[2] == 0x4d && b[3] == 0x18))) { /* a skippable frame: pzstd begins with one */
    in->form = FORM_ZSTD;
    in->zstd = ZSTD_createDStream();
    TIDE_CHECK(in->zstd != NULL);
  }
  return TIDE_OK;
}

enum tide_err tide_inflate_open(const char *path, struct tide_inflate **ret, struct tide_error *error) {
  int fd = 0;
  if (strcmp(path, "-") != 0) {
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT)
      return tide_fail(error, TIDE_E_NOT_FOUND, "there is no file %s; check the path, or use - for standard input", path);
    if (fd < 0) return tide_fail_errno(error, TIDE_E_IO, "cannot open %s for reading; check its permissions", path);
    (void)posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL);
  }
  struct tide_inflate *in = tide_alloc(sizeof *in);
  in->path = tide_strdup(fd ? path : "standard input");
  in->fd = fd;
  in->raw = tide_alloc(RAW_BYTES);
  enum tide_err err = sniff(in, error);
  if (err) {
    tide_inflate_close(in);
    return err;
  }
  *ret = in;
  return TIDE_OK;
}

void tide_inflate_close(struct tide_inflate *in) {
  if (!in) return;
  if (in->form == FORM_GZIP) inflateEnd(&in->gzip);
  if (in->form == FORM_ZSTD) ZSTD_freeDStream(in->zstd);
  if (in->fd > 0) close(in->fd);
  tide_free(in->raw);
  tide_free(in->path);
  tide_free(in);
}

uint64_t tide_inflate_consumed(const struct tide_inflate *in) { return in->consumed; }

static enum tide_err corrupt(const struct tide_inflate *in, const char *why, struct tide_error *error) {
  return tide_fail(error, TIDE_E_CORRUPT,
                   "%s is broken at byte %llu of its %s stream: %s; restore the file or cut it into what can be read", in->path,
                   (unsigned long long)(in->consumed - (in->len - in->at)), in->form == FORM_GZIP ? "gzip" : "zstd", why);
}

/* Runs the library once over what is in raw. *ret_len may be 0 while it only reads headers. */
static enum tide_err step(struct tide_inflate *in, char *out, size_t room, size_t *ret_len, struct tide_error *error) {
  if (in->form == FORM_GZIP) {
    if (!in->inside && inflateReset(&in->gzip) != Z_OK) return corrupt(in, "cannot begin a member", error);
    in->inside = true;
    z_stream *z = &in->gzip;
    z->next_in = (Bytef *)in->raw + in->at;
    z->avail_in = (uInt)(in->len - in->at);
    z->next_out = (Bytef *)out;
    z->avail_out = (uInt)room;
    int rc = inflate(z, Z_NO_FLUSH);
    in->at = in->len - z->avail_in;
    *ret_len = room - z->avail_out;
    if (rc == Z_STREAM_END) in->inside = false;
    else if (rc != Z_OK && rc != Z_BUF_ERROR) return corrupt(in, z->msg ? z->msg : "it cannot be inflated", error);
    return TIDE_OK;
  }
  ZSTD_inBuffer from = {in->raw, in->len, in->at};
  ZSTD_outBuffer to = {out, room, 0};
  size_t rc = ZSTD_decompressStream(in->zstd, &to, &from);
  in->at = from.pos;
  *ret_len = to.pos;
  if (ZSTD_isError(rc)) return corrupt(in, ZSTD_getErrorName(rc), error);
  in->inside = rc != 0;
  return TIDE_OK;
}

enum tide_err tide_inflate_read(struct tide_inflate *in, char *out, size_t room, size_t *ret_len, struct tide_error *error) {
  TIDE_CHECK(room > 0);
  if (room > (1u << 30)) room = 1u << 30;
  if (in->form == FORM_PLAIN) {
    if (in->at == in->len && !in->eof) return read_some(in, out, room, ret_len, error);
    size_t len = in->len - in->at < room ? in->len - in->at : room;
    memcpy(out, in->raw + in->at, len); /* what was sniffed */
    in->at += len;
    *ret_len = len;
    return TIDE_OK;
  }
  bool flushed = false; /* at the end of the file the library may still hold plain bytes: it is asked once more */
  for (;;) {
    if (in->at == in->len && !in->eof) {
      size_t n;
      enum tide_err err = read_some(in, in->raw, RAW_BYTES, &n, error);
      if (err) return err;
      in->at = 0;
      in->len = n;
    }
    if (in->at == in->len && in->eof) {
      if (!in->inside) break;
      if (flushed) return corrupt(in, "it ends too early", error);
      flushed = true;
    }
    size_t n = 0;
    enum tide_err err = step(in, out, room, &n, error);
    if (err) return err;
    if (n) {
      *ret_len = n;
      return TIDE_OK;
    }
  }
  *ret_len = 0;
  return TIDE_OK;
}
