/* Writing and reading snapshot directories (format and promise: snapshot_file.h).
 *
 * Order of writing: tmp-E-S/ with the chunks, all synced; MANIFEST, synced; the directory, synced; rename to snap-E-S; the parent, synced; only then
 * older generations go, MANIFEST first, so that a removal that is cut short leaves nothing that looks whole. */
#include "adapter/snapshot_file.h"

#include "adapter/segment.h"
#include "base/hash.h"
#include "base/parallel.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zstd.h>

enum { FORMAT = 1, HEAD_BYTES = 72, CHUNK_BYTES = 24, LEVEL = 3 };
/* A chunk is a 64th of the state; a length beyond this is a damaged manifest, not a state. */
#define CHUNK_MAX (UINT64_C(1) << 36)
#define PATH_BYTES 4096

void tide_snapshot_manifest_encode(const struct tide_snapshot_manifest *manifest, struct tide_buf *out) {
  tide_buf_clear(out);
  tide_buf_put(out, "TDS1", 4);
  tide_put_u32(out, FORMAT);
  tide_put_u32(out, manifest->chunk_count);
  tide_put_u32(out, 0);
  tide_put_u64(out, manifest->position.epoch);
  tide_put_u64(out, manifest->position.seq);
  tide_put_u64(out, manifest->nonce);
  tide_put_u64(out, manifest->released.epoch);
  tide_put_u64(out, manifest->released.seq);
  tide_put_u32(out, manifest->released_index);
  tide_put_u32(out, 0);
  tide_put_u64(out, manifest->entry_hash);
  for (uint32_t i = 0; i < manifest->chunk_count; i++) {
    tide_put_u64(out, manifest->chunk[i].bytes);
    tide_put_u64(out, manifest->chunk[i].packed);
    tide_put_u32(out, manifest->chunk[i].crc);
    tide_put_u32(out, 0);
  }
  tide_put_u32(out, tide_crc32c(0, out->ptr, out->len));
}

enum tide_err tide_snapshot_manifest_decode(struct tide_span bytes, struct tide_snapshot_manifest *ret, struct tide_error *error) {
  struct tide_reader r = tide_reader_of(bytes);
  struct tide_span magic = tide_get_bytes(&r, 4);
  if (r.bad || memcmp(magic.ptr, "TDS1", 4) != 0) return tide_fail(error, TIDE_E_CORRUPT, "its MANIFEST is not one of a snapshot");
  uint32_t format = tide_get_u32(&r);
  if (!r.bad && format != FORMAT)
    return tide_fail(error, TIDE_E_VERSION, "its MANIFEST has format %u and this version knows %d", format, FORMAT);
  if (bytes.len < HEAD_BYTES + 4) return tide_fail(error, TIDE_E_CORRUPT, "its MANIFEST is cut short");
  struct tide_reader tail = tide_reader_of((struct tide_span){bytes.ptr + bytes.len - 4, 4});
  if (tide_get_u32(&tail) != tide_crc32c(0, bytes.ptr, bytes.len - 4))
    return tide_fail(error, TIDE_E_CORRUPT, "the checksum of its MANIFEST is wrong");
  struct tide_snapshot_manifest got = {.chunk_count = tide_get_u32(&r)};
  (void)tide_get_u32(&r);
  got.position.epoch = tide_get_u64(&r);
  got.position.seq = tide_get_u64(&r);
  got.nonce = tide_get_u64(&r);
  got.released.epoch = tide_get_u64(&r);
  got.released.seq = tide_get_u64(&r);
  got.released_index = tide_get_u32(&r);
  (void)tide_get_u32(&r);
  got.entry_hash = tide_get_u64(&r);
  if (got.chunk_count > TIDE_SNAPSHOT_CHUNKS_MAX || bytes.len != HEAD_BYTES + (size_t)got.chunk_count * CHUNK_BYTES + 4)
    return tide_fail(error, TIDE_E_CORRUPT, "its MANIFEST has an impossible number of chunks");
  for (uint32_t i = 0; i < got.chunk_count; i++) {
    got.chunk[i].bytes = tide_get_u64(&r);
    got.chunk[i].packed = tide_get_u64(&r);
    got.chunk[i].crc = tide_get_u32(&r);
    (void)tide_get_u32(&r);
    if (got.chunk[i].bytes > CHUNK_MAX || got.chunk[i].packed > CHUNK_MAX)
      return tide_fail(error, TIDE_E_CORRUPT, "its MANIFEST has an impossible length");
  }
  *ret = got;
  return TIDE_OK;
}

/* --- names */

static enum tide_err join(char out[PATH_BYTES], const char *dir, const char *kind, struct tide_position p, const char *file,
                          struct tide_error *error) {
  int n = snprintf(out, PATH_BYTES, "%s/%s-%llu-%llu%s%s", dir, kind, (unsigned long long)p.epoch, (unsigned long long)p.seq,
                   *file ? "/" : "", file);
  if (n >= 0 && n < PATH_BYTES) return TIDE_OK;
  return tide_fail(error, TIDE_E_TOO_LONG, "the path of the snapshot directory is too long: %.100s...", dir);
}

static void chunk_name(unsigned index, unsigned count, char out[24]) {
  if (index + 1 == count) snprintf(out, 24, "globals.zst");
  else snprintf(out, 24, "%02u.zst", index);
}

static bool parse_name(const char *name, const char *kind, struct tide_position *ret) {
  size_t len = strlen(kind);
  unsigned long long epoch, seq;
  int used = 0;
  char again[64];
  if (strncmp(name, kind, len) != 0 || name[len] != '-' || sscanf(name + len + 1, "%20llu-%20llu%n", &epoch, &seq, &used) != 2 ||
      name[len + 1 + (size_t)used])
    return false;
  snprintf(again, sizeof again, "%s-%llu-%llu", kind, epoch, seq);
  if (strcmp(again, name) != 0) return false; /* 007 is not a name we gave */
  *ret = (struct tide_position){epoch, seq};
  return true;
}

static int newest_first(const void *a, const void *b) {
  struct tide_position x, y;
  memcpy(&x, a, sizeof x);
  memcpy(&y, b, sizeof y);
  return tide_position_cmp(y, x);
}

static enum tide_err list_kind(const char *dir, const char *kind, struct tide_position **ret, size_t *ret_count, struct tide_error *error) {
  DIR *d = opendir(dir);
  if (!d && errno != ENOENT) return tide_sys_fail(error, "listing", dir);
  struct tide_position *found = NULL;
  size_t count = 0;
  for (struct dirent *entry; d && (entry = readdir(d)) != NULL;) {
    struct tide_position position;
    if (!parse_name(entry->d_name, kind, &position)) continue;
    found = tide_realloc(found, (count + 1) * sizeof *found);
    found[count++] = position;
  }
  if (d) closedir(d);
  if (count) qsort(found, count, sizeof *found, newest_first);
  *ret = found;
  *ret_count = count;
  return TIDE_OK;
}

enum tide_err tide_snapshot_list(const char *dir, struct tide_position **ret, size_t *ret_count, struct tide_error *error) {
  return list_kind(dir, "snap", ret, ret_count, error);
}

/* --- removing */

static enum tide_err remove_one(const char *dir, const char *kind, struct tide_position position, struct tide_error *error) {
  char path[PATH_BYTES], name[24];
  enum tide_err err = join(path, dir, kind, position, "MANIFEST", error);
  if (err) return err;
  if (unlink(path) != 0 && errno != ENOENT) return tide_sys_fail(error, "removing", path);
  for (unsigned i = 0; i <= TIDE_SNAPSHOT_CHUNKS_MAX; i++) {
    chunk_name(i, TIDE_SNAPSHOT_CHUNKS_MAX + 1, name);
    err = join(path, dir, kind, position, name, error);
    if (err) return err;
    if (unlink(path) != 0 && errno != ENOENT) return tide_sys_fail(error, "removing", path);
  }
  err = join(path, dir, kind, position, "", error);
  if (!err && rmdir(path) != 0 && errno != ENOENT) err = tide_sys_fail(error, "removing", path);
  return err;
}

/* All but the `keep` newest up to `last`. What is newer than `last` was refused when this run began, or belongs to a log that was rolled back. */
static enum tide_err remove_all(const char *dir, const char *kind, size_t keep, struct tide_position last, struct tide_error *error) {
  struct tide_position *found;
  size_t count, kept = 0;
  enum tide_err err = list_kind(dir, kind, &found, &count, error);
  if (err) return err;
  for (size_t i = 0; i < count && !err; i++) {
    if (kept < keep && tide_position_cmp(found[i], last) <= 0) kept++;
    else err = remove_one(dir, kind, found[i], error);
  }
  tide_free(found);
  return err;
}

/* --- writing */

/* Only starts the writing: all files are waited for together (sync_file), which costs one commit of the file system instead of one each. */
static enum tide_err put_file(const char *path, struct tide_span bytes, struct tide_error *error) {
  int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
  if (fd < 0) return tide_sys_fail(error, "creating", path);
  enum tide_err err = tide_sys_write(&tide_sys_real, fd, bytes.ptr, bytes.len, 0, path, error);
  if (!err) (void)sync_file_range(fd, 0, 0, SYNC_FILE_RANGE_WRITE); /* a hint */
  if (close(fd) != 0 && !err) err = tide_sys_fail(error, "closing", path);
  return err;
}

static enum tide_err sync_file(const char *path, struct tide_error *error) {
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return tide_sys_fail(error, "opening", path);
  enum tide_err err = fdatasync(fd) == 0 ? TIDE_OK : tide_sys_fail(error, "syncing", path);
  close(fd);
  return err;
}

struct writing {
  const char *dir;
  struct tide_snapshot_manifest *manifest; /* each job fills its own chunk */
  tide_snapshot_chunk_fn chunk;
  void *ctx;
};

static enum tide_err chunk_path(const struct writing *w, size_t index, char path[PATH_BYTES], struct tide_error *error) {
  char name[24];
  chunk_name((unsigned)index, w->manifest->chunk_count, name);
  return join(path, w->dir, "tmp", w->manifest->position, name, error);
}

static enum tide_err put_chunk(void *ctx, size_t index, struct tide_error *error) {
  const struct writing *w = ctx;
  struct tide_buf bytes = TIDE_BUF_INIT, packed = TIDE_BUF_INIT;
  char path[PATH_BYTES];
  enum tide_err err = TIDE_OK;
  w->chunk(w->ctx, (unsigned)index, &bytes);
  size_t room = ZSTD_compressBound(bytes.len);
  tide_buf_reserve(&packed, room);
  size_t n = ZSTD_compress(packed.ptr, room, bytes.ptr, bytes.len, LEVEL);
  if (ZSTD_isError(n)) err = tide_fail(error, TIDE_E_IO, "compressing a snapshot failed: %s", ZSTD_getErrorName(n));
  else packed.len = n;
  w->manifest->chunk[index] = (struct tide_snapshot_chunk){bytes.len, packed.len, tide_crc32c(0, bytes.ptr, bytes.len)};
  if (!err) err = chunk_path(w, index, path, error);
  if (!err) err = put_file(path, tide_buf_span(&packed), error);
  tide_buf_release(&bytes);
  tide_buf_release(&packed);
  return err;
}

static enum tide_err sync_chunk(void *ctx, size_t index, struct tide_error *error) {
  char path[PATH_BYTES];
  enum tide_err err = chunk_path(ctx, index, path, error);
  return err ? err : sync_file(path, error);
}

static enum tide_err put_all(struct writing *w, unsigned threads, struct tide_error *error) {
  struct tide_buf bytes = TIDE_BUF_INIT;
  char path[PATH_BYTES];
  enum tide_err err = tide_parallel(threads, w->manifest->chunk_count, put_chunk, w, error);
  if (!err) err = tide_parallel(threads, w->manifest->chunk_count, sync_chunk, w, error);
  if (!err) err = join(path, w->dir, "tmp", w->manifest->position, "MANIFEST", error);
  if (!err) {
    tide_snapshot_manifest_encode(w->manifest, &bytes);
    err = put_file(path, tide_buf_span(&bytes), error);
  }
  if (!err) err = sync_file(path, error);
  tide_buf_release(&bytes);
  return err;
}

enum tide_err tide_snapshot_write(const char *dir, unsigned threads, struct tide_snapshot_manifest *manifest, tide_snapshot_chunk_fn chunk,
                                  void *ctx, struct tide_error *error) {
  TIDE_CHECK(manifest->chunk_count > 0 && manifest->chunk_count <= TIDE_SNAPSHOT_CHUNKS_MAX);
  char tmp[PATH_BYTES], path[PATH_BYTES];
  enum tide_err err = join(tmp, dir, "tmp", manifest->position, "", error);
  if (!err) err = join(path, dir, "snap", manifest->position, "", error);
  if (err) return err;
  if (mkdir(dir, 0750) != 0 && errno != EEXIST) return tide_sys_fail(error, "creating", dir);
  err = remove_all(dir, "tmp", 0, manifest->position, error); /* of a run that was stopped here */
  if (err) return err;
  if (mkdir(tmp, 0750) != 0) return tide_sys_fail(error, "creating", tmp);
  struct writing writing = {dir, manifest, chunk, ctx};
  err = put_all(&writing, threads, error);
  if (!err) err = tide_sys_sync_dir(&tide_sys_real, tmp, error);
  if (!err) err = remove_one(dir, "snap", manifest->position, error);
  if (!err && rename(tmp, path) != 0) err = tide_sys_fail(error, "renaming", tmp);
  if (!err) err = tide_sys_sync_dir(&tide_sys_real, dir, error);
  return err ? err : remove_all(dir, "snap", TIDE_SNAPSHOT_GENERATIONS, manifest->position, error);
}

/* --- reading */

static enum tide_err get_file(const char *path, uint64_t most, struct tide_buf *out, struct tide_error *error) {
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return errno == ENOENT ? tide_fail(error, TIDE_E_NOT_FOUND, "%s is missing", path) : tide_sys_fail(error, "opening", path);
  struct stat st;
  enum tide_err err = TIDE_OK;
  size_t got = 0;
  tide_buf_clear(out);
  if (fstat(fd, &st) != 0) err = tide_sys_fail(error, "reading", path);
  else if (!S_ISREG(st.st_mode) || (uint64_t)st.st_size > most) err = tide_fail(error, TIDE_E_CORRUPT, "%s has an impossible length", path);
  if (!err) {
    tide_buf_reserve(out, (size_t)st.st_size + 1);
    err = tide_sys_read(fd, out->ptr, (size_t)st.st_size, 0, &got, path, error);
    out->len = got;
  }
  close(fd);
  return err;
}

enum tide_err tide_snapshot_manifest_read(const char *dir, struct tide_position position, struct tide_snapshot_manifest *ret,
                                          struct tide_error *error) {
  char path[PATH_BYTES];
  struct tide_buf bytes = TIDE_BUF_INIT;
  enum tide_err err = join(path, dir, "snap", position, "MANIFEST", error);
  if (!err) err = get_file(path, HEAD_BYTES + TIDE_SNAPSHOT_CHUNKS_MAX * CHUNK_BYTES + 4, &bytes, error);
  struct tide_snapshot_manifest got;
  if (!err) err = tide_snapshot_manifest_decode(tide_buf_span(&bytes), &got, error);
  tide_buf_release(&bytes);
  if (!err && tide_position_cmp(got.position, position) != 0) err = tide_fail(error, TIDE_E_CORRUPT, "its MANIFEST is of another position");
  if (!err) *ret = got;
  return err;
}

enum tide_err tide_snapshot_chunk_read(const char *dir, const struct tide_snapshot_manifest *manifest, unsigned index, struct tide_buf *out,
                                       struct tide_error *error) {
  TIDE_CHECK(index < manifest->chunk_count);
  const struct tide_snapshot_chunk *chunk = &manifest->chunk[index];
  char path[PATH_BYTES], name[24];
  struct tide_buf packed = TIDE_BUF_INIT;
  chunk_name(index, manifest->chunk_count, name);
  enum tide_err err = join(path, dir, "snap", manifest->position, name, error);
  if (!err) err = get_file(path, chunk->packed, &packed, error);
  if (!err && packed.len != chunk->packed) err = tide_fail(error, TIDE_E_CORRUPT, "%s is cut short", name);
  /* The frame's own claim first: nothing is reserved on the word of a damaged file. */
  if (!err && ZSTD_getFrameContentSize(packed.ptr, packed.len) != chunk->bytes)
    err = tide_fail(error, TIDE_E_CORRUPT, "%s is damaged", name);
  if (!err) {
    tide_buf_clear(out);
    tide_buf_reserve(out, (size_t)chunk->bytes + 1);
    size_t n = ZSTD_decompress(out->ptr, (size_t)chunk->bytes, packed.ptr, packed.len);
    out->len = ZSTD_isError(n) ? 0 : n;
    if (ZSTD_isError(n) || n != chunk->bytes || tide_crc32c(0, out->ptr, out->len) != chunk->crc)
      err = tide_fail(error, TIDE_E_CORRUPT, "%s is damaged", name);
  }
  tide_buf_release(&packed);
  return err;
}
