/* Putting segments into the archive (layout: archive.h).
 *
 * A segment is walked first (every checksum, and that it ends where the next one begins), packed into a temporary file that is synced
 * and renamed, and then read back from its final name and compared before the caller may remove the original. Every step can be
 * repeated: what is already there whole is kept, anything less is replaced. */
#include "adapter/archive.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <unistd.h>
#include <zstd.h>

enum { LEVEL = 3, CHUNK_BYTES = 1 << 20 };

/* Walks a segment or archive file from end to end: what its summary must say. */
static enum tide_err survey(const char *path, struct tide_archive_summary *ret, struct tide_error *error) {
  struct tide_archive_stream *stream;
  struct tide_archive_summary told;
  enum tide_err err = tide_archive_stream_open(path, &stream, &told, error);
  if (err) {
    return err;
  }
  struct tide_segment_walk walk = {.fetch = tide_archive_stream_fetch, .ctx = stream};
  tide_segment_walk_begin(&walk, &told.header);
  struct tide_archive_summary seen = {.header = told.header};
  struct tide_frame frame;
  struct tide_span entry;
  while ((err = tide_segment_walk_next(&walk, &frame, &entry, error)) == TIDE_OK) {
    seen.entries++;
  }
  seen.last = walk.prev;
  seen.last_crc = walk.prev_crc;
  if (err == TIDE_E_AGAIN) {
    err =
        tide_fail(error, TIDE_E_CORRUPT, "%s: the entry at byte %" PRIu64 " is damaged; bring the file back from a backup", path, walk.off);
  } else if (err == TIDE_E_END) {
    err = TIDE_OK;
  }
  bool same = told.last.epoch == seen.last.epoch && told.last.seq == seen.last.seq && told.last_crc == seen.last_crc &&
              told.entries == seen.entries;
  if (!err && tide_archive_stream_packed(stream) && !same) {
    err = tide_fail(error, TIDE_E_CORRUPT, "%s holds other entries than its first frame says; bring the file back from a backup", path);
  }
  tide_segment_walk_release(&walk);
  tide_archive_stream_close(stream);
  if (!err) {
    *ret = seen;
  }
  return err;
}

struct packer {
  const struct tide_sys *sys;
  const char *from, *temp;
  int in, out;
  uint64_t wrote;
  ZSTD_CCtx *zstd;
  uint8_t *plain, *packed;
};

static enum tide_err emit(struct packer *packer, const void *ptr, size_t len, struct tide_error *error) {
  enum tide_err err = tide_sys_write(packer->sys, packer->out, ptr, len, packer->wrote, packer->temp, error);
  packer->wrote += len;
  return err;
}

static enum tide_err pack_chunk(struct packer *packer, size_t len, bool last, struct tide_error *error) {
  ZSTD_inBuffer from = {packer->plain, len, 0};
  for (;;) {
    ZSTD_outBuffer to = {packer->packed, CHUNK_BYTES, 0};
    size_t left = ZSTD_compressStream2(packer->zstd, &to, &from, last ? ZSTD_e_end : ZSTD_e_continue);
    TIDE_CHECK(!ZSTD_isError(left)); /* only memory or misuse */
    enum tide_err err = emit(packer, packer->packed, to.pos, error);
    if (err || (last ? left == 0 : from.pos == from.size)) {
      return err;
    }
  }
}

static enum tide_err pack_all(struct packer *packer, struct tide_error *error) {
  uint64_t at = 0;
  for (;;) {
    size_t got;
    enum tide_err err = tide_sys_read(packer->in, packer->plain, CHUNK_BYTES, at, &got, packer->from, error);
    if (!err) {
      err = pack_chunk(packer, got, got < CHUNK_BYTES, error);
    }
    if (err || got < CHUNK_BYTES) {
      return err;
    }
    at += got;
  }
}

static enum tide_err pack(const struct tide_sys *sys, const char *from, const char *temp, const struct tide_archive_summary *summary,
                          struct tide_error *error) {
  struct packer packer = {.sys = sys, .from = from, .temp = temp, .in = -1, .out = -1};
  uint8_t head[TIDE_ARCHIVE_SUMMARY_BYTES];
  tide_archive_summary_put(summary, head);
  packer.zstd = ZSTD_createCCtx();
  packer.plain = tide_realloc(NULL, CHUNK_BYTES);
  packer.packed = tide_realloc(NULL, CHUNK_BYTES);
  TIDE_CHECK(packer.zstd && "out of memory");
  ZSTD_CCtx_setParameter(packer.zstd, ZSTD_c_compressionLevel, LEVEL);
  ZSTD_CCtx_setParameter(packer.zstd, ZSTD_c_checksumFlag, 1);
  enum tide_err err = TIDE_OK;
  packer.in = open(from, O_RDONLY | O_CLOEXEC);
  if (packer.in < 0) {
    err = tide_sys_fail(error, "opening", from);
  }
  if (!err) {
    packer.out = sys->open(temp, O_WRONLY | O_CREAT | O_TRUNC, 0640);
    err = packer.out < 0 ? tide_sys_fail(error, "creating", temp) : emit(&packer, head, sizeof head, error);
  }
  if (!err) {
    err = pack_all(&packer, error);
  }
  if (!err && sys->fsync(packer.out) != 0) {
    err = tide_sys_fail(error, "syncing", temp);
  }
  if (packer.in >= 0) {
    close(packer.in);
  }
  if (packer.out >= 0) {
    close(packer.out);
  }
  ZSTD_freeCCtx(packer.zstd);
  tide_free(packer.plain);
  tide_free(packer.packed);
  return err;
}

static enum tide_err make_dir(const struct tide_sys *sys, const char *dir, struct tide_error *error) {
  if (sys->mkdir(dir, 0750) != 0) {
    return errno == EEXIST ? TIDE_OK : tide_sys_fail(error, "creating directory", dir);
  }
  struct tide_buf parent = TIDE_BUF_INIT;
  tide_buf_printf(&parent, "%s/..", dir);
  enum tide_err err = tide_sys_sync_dir(sys, tide_buf_cstr(&parent), error);
  tide_buf_release(&parent);
  return err;
}

static bool same_content(const struct tide_archive_summary *a, const struct tide_archive_summary *b) {
  return a->header.seed == b->header.seed && a->header.log_id == b->header.log_id && a->last.epoch == b->last.epoch &&
         a->last.seq == b->last.seq && a->last_crc == b->last_crc && a->entries == b->entries;
}

/* Packs into the temporary name, publishes, reads back. */
static enum tide_err store(const struct tide_sys *sys, const char *dir, const char *path, const char *target,
                           const struct tide_archive_summary *summary, struct tide_error *error) {
  struct tide_buf temp = TIDE_BUF_INIT;
  tide_buf_printf(&temp, "%s%s", target, TIDE_TEMP_SUFFIX);
  const char *name = tide_buf_cstr(&temp);
  enum tide_err err = pack(sys, path, name, summary, error);
  if (!err && sys->rename(name, target) != 0) {
    err = tide_sys_fail(error, "renaming into", target);
  }
  if (err) {
    (void)sys->unlink(name);
  }
  tide_buf_release(&temp);
  if (!err) {
    err = tide_sys_sync_dir(sys, dir, error);
  }
  struct tide_archive_summary back;
  if (!err) {
    err = survey(target, &back, error);
  }
  if (!err && !same_content(&back, summary)) {
    err = tide_fail(error, TIDE_E_IO, "%s reads back differently from what was written; the segment stays in the journal, check the disk",
                    target);
  }
  return err;
}

enum tide_err tide_archive_put(const struct tide_sys *sys, const char *dir, const char *path, struct tide_position last,
                               struct tide_error *error) {
  struct tide_archive_summary summary, there;
  enum tide_err err = survey(path, &summary, error);
  if (!err && tide_position_cmp(summary.last, last) != 0) {
    err = tide_fail(error, TIDE_E_CORRUPT, "%s ends before the next segment begins; bring the file back from a backup", path);
  }
  if (!err) {
    err = make_dir(sys, dir, error);
  }
  if (err) {
    return err;
  }
  char *target = tide_segment_path(dir, summary.header.number, TIDE_ARCHIVE_SUFFIX);
  struct tide_error ignored;
  enum tide_err found = access(target, F_OK) == 0 ? survey(target, &there, &ignored) : TIDE_E_NOT_FOUND;
  if (found == TIDE_OK && there.header.log_id != summary.header.log_id) {
    err = tide_fail(error, TIDE_E_EXISTS, "%s belongs to another log; give this journal an archive directory of its own", target);
  } else if (found == TIDE_OK && same_content(&there, &summary)) {
    err = tide_sys_sync_dir(sys, dir, error); /* it may have been renamed just before a crash */
  } else {
    err = store(sys, dir, path, target, &summary, error);
  }
  tide_free(target);
  return err;
}
