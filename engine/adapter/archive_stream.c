/* The bytes of one archived segment, in order (layout: archive.h).
 *
 * zstd unpacks forward only, which is how a walk asks. A plain segment file goes through the same door, so that `inspect` and the
 * archive's own reading-back do not care which of the two they have. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <unistd.h>
#include <zstd.h>

#include "adapter/archive.h"
#include "base/hash.h"

enum {
  SKIP_MAGIC = 0x184D2A54,
  SKIP_HEAD = 8,
  SUMMARY_FORMAT = 1,
  SEGMENT_AT = 16,
  LAST_AT = 64,
  SUMMARY_CRC_AT = TIDE_ARCHIVE_SUMMARY_BYTES - 4,
  IN_BYTES = 1 << 17
};

struct tide_archive_stream {
  int fd;
  char *path;
  bool packed;
  ZSTD_DStream *zstd;
  uint8_t *in;
  size_t in_pos, in_len;
  uint64_t in_off;  /* in the file, of the next read */
  uint64_t out_off; /* in the segment, of the next byte */
  bool ended;
};

static uint8_t *put32(uint8_t *p, uint32_t v) {
  for (unsigned i = 0; i < 4; i++) {
    *p++ = (uint8_t)(v >> (8 * i));
  }
  return p;
}
static uint8_t *put64(uint8_t *p, uint64_t v) { return put32(put32(p, (uint32_t)v), (uint32_t)(v >> 32)); }

void tide_archive_summary_put(const struct tide_archive_summary *summary, uint8_t out[TIDE_ARCHIVE_SUMMARY_BYTES]) {
  uint8_t *p = put32(out, SKIP_MAGIC);
  p = put32(p, TIDE_ARCHIVE_SUMMARY_BYTES - SKIP_HEAD);
  memcpy(p, "TDA1", 4);
  put32(p + 4, SUMMARY_FORMAT);
  struct tide_segment_header header = summary->header;
  tide_segment_header_put(&header, out + SEGMENT_AT);
  TIDE_CHECK(header.seed == summary->header.seed);
  p = put64(out + LAST_AT, summary->last.epoch);
  p = put64(p, summary->last.seq);
  p = put32(p, summary->last_crc);
  p = put32(p, 0);
  p = put64(p, summary->entries);
  p = put32(p, 0);
  p = put32(p, tide_crc32c(0, out + SKIP_HEAD, SUMMARY_CRC_AT - SKIP_HEAD));
  TIDE_CHECK(p == out + TIDE_ARCHIVE_SUMMARY_BYTES);
}

enum tide_err tide_archive_summary_get(struct tide_span bytes, const char *what, struct tide_archive_summary *ret,
                                       struct tide_error *error) {
  struct tide_reader r = tide_reader_of(bytes);
  uint32_t magic = tide_get_u32(&r), length = tide_get_u32(&r);
  struct tide_span name = tide_get_bytes(&r, 4);
  uint32_t format = tide_get_u32(&r);
  struct tide_span segment = tide_get_bytes(&r, TIDE_SEGMENT_HEADER_BYTES);
  struct tide_archive_summary summary = {0};
  summary.last.epoch = tide_get_u64(&r);
  summary.last.seq = tide_get_u64(&r);
  summary.last_crc = tide_get_u32(&r);
  (void)tide_get_u32(&r);
  summary.entries = tide_get_u64(&r);
  (void)tide_get_u32(&r);
  uint32_t crc = tide_get_u32(&r);
  if (r.bad || magic != SKIP_MAGIC || length != TIDE_ARCHIVE_SUMMARY_BYTES - SKIP_HEAD || !tide_span_eq(name, TIDE_SPAN("TDA1"))) {
    return tide_fail(error, TIDE_E_CORRUPT, "%s is not an archive file of ours (no TDA1 in its first frame)", what);
  }
  if (crc != tide_crc32c(0, bytes.ptr + SKIP_HEAD, SUMMARY_CRC_AT - SKIP_HEAD)) {
    return tide_fail(error, TIDE_E_CORRUPT, "%s: the checksum of its first frame is wrong; bring the file back from a backup", what);
  }
  if (format != SUMMARY_FORMAT) {
    return tide_fail(error, TIDE_E_VERSION, "%s has archive format %u, this program knows %u; use the version that wrote it or a newer one",
                     what, format, (unsigned)SUMMARY_FORMAT);
  }
  enum tide_err err = tide_segment_header_get(segment, what, &summary.header, error);
  if (!err) {
    *ret = summary;
  }
  return err;
}

static enum tide_err damaged(const struct tide_archive_stream *stream, const char *why, struct tide_error *error) {
  return tide_fail(error, TIDE_E_CORRUPT,
                   "%s: the archived segment is damaged near byte %" PRIu64 " (%s); bring the file back from a backup", stream->path,
                   stream->out_off, why);
}

static enum tide_err unpack(struct tide_archive_stream *stream, uint8_t *out, size_t len, size_t *ret_len, struct tide_error *error) {
  ZSTD_outBuffer to = {out, len, 0};
  while (to.pos < to.size && !stream->ended) {
    if (stream->in_pos == stream->in_len) {
      enum tide_err err = tide_sys_read(stream->fd, stream->in, IN_BYTES, stream->in_off, &stream->in_len, stream->path, error);
      if (err) {
        return err;
      }
      stream->in_off += stream->in_len;
      stream->in_pos = 0;
      if (stream->in_len == 0) {
        return damaged(stream, "it ends too early", error);
      }
    }
    ZSTD_inBuffer from = {stream->in, stream->in_len, stream->in_pos};
    size_t left = ZSTD_decompressStream(stream->zstd, &to, &from);
    stream->in_pos = from.pos;
    if (ZSTD_isError(left)) {
      return damaged(stream, ZSTD_getErrorName(left), error);
    }
    stream->ended = left == 0; /* the content checksum has been compared */
  }
  *ret_len = to.pos;
  return TIDE_OK;
}

enum tide_err tide_archive_stream_fetch(void *ctx, uint64_t off, uint8_t *out, size_t len, size_t *ret_len, struct tide_error *error) {
  struct tide_archive_stream *stream = ctx;
  if (!stream->packed) {
    return tide_sys_read(stream->fd, out, len, off, ret_len, stream->path, error);
  }
  if (off != stream->out_off) {
    /* Only behind a frame that was broken: the walk reads it afresh, here nothing can have changed. */
    return damaged(stream, "an entry's checksum is wrong", error);
  }
  enum tide_err err = unpack(stream, out, len, ret_len, error);
  if (!err) {
    stream->out_off += *ret_len;
  }
  return err;
}

void tide_archive_stream_close(struct tide_archive_stream *stream) {
  if (!stream) {
    return;
  }
  if (stream->fd >= 0) {
    close(stream->fd);
  }
  ZSTD_freeDStream(stream->zstd);
  tide_free(stream->in);
  tide_free(stream->path);
  tide_free(stream);
}

bool tide_archive_stream_packed(const struct tide_archive_stream *stream) { return stream->packed; }

/* Reads what stands before the frames and leaves the stream behind the segment header. */
static enum tide_err begin(struct tide_archive_stream *stream, struct tide_archive_summary *ret, struct tide_error *error) {
  uint8_t head[TIDE_ARCHIVE_SUMMARY_BYTES], again[TIDE_SEGMENT_HEADER_BYTES];
  size_t got;
  enum tide_err err = tide_sys_read(stream->fd, head, sizeof head, 0, &got, stream->path, error);
  if (err) {
    return err;
  }
  struct tide_span bytes = {(const char *)head, got};
  stream->packed = !(got >= 4 && memcmp(head, "TDJ1", 4) == 0);
  if (!stream->packed) {
    *ret = (struct tide_archive_summary){0};
    return tide_segment_header_get(bytes, stream->path, &ret->header, error);
  }
  struct tide_archive_summary summary;
  err = tide_archive_summary_get(bytes, stream->path, &summary, error);
  if (err) {
    return err;
  }
  stream->zstd = ZSTD_createDStream();
  TIDE_CHECK(stream->zstd && "out of memory");
  stream->in = tide_realloc(NULL, IN_BYTES);
  stream->in_off = TIDE_ARCHIVE_SUMMARY_BYTES;
  err = tide_archive_stream_fetch(stream, 0, again, sizeof again, &got, error);
  if (!err && (got != sizeof again || memcmp(again, head + SEGMENT_AT, sizeof again) != 0)) {
    err = damaged(stream, "its segment header is not the one in its first frame", error);
  }
  if (!err) {
    *ret = summary;
  }
  return err;
}

enum tide_err tide_archive_stream_open(const char *path, struct tide_archive_stream **ret, struct tide_archive_summary *ret_summary,
                                       struct tide_error *error) {
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) {
    return errno == ENOENT ? tide_fail(error, TIDE_E_NOT_FOUND, "there is no file %s", path) : tide_sys_fail(error, "opening", path);
  }
  struct tide_archive_stream *stream = tide_alloc(sizeof *stream);
  stream->fd = fd;
  stream->path = tide_strdup(path);
  enum tide_err err = begin(stream, ret_summary, error);
  if (err) {
    tide_archive_stream_close(stream);
    return err;
  }
  *ret = stream;
  return TIDE_OK;
}
