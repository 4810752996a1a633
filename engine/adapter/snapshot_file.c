/* Writing and reading snapshot directories (format and promise: snapshot_file.h).
 *
 * Order of writing: tmp-E-S/ with the chunks, all synced; MANIFEST, synced; the directory, synced; rename to snap-E-S; the parent, synced; only then
 * older generations go, MANIFEST first, so that a removal that is cut short leaves nothing that looks whole. */
#include "adapter/snapshot_file.h"

#include "adapter/segment.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/parallel.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zstd.h>

/* LEVEL: the state is packed tightly already, so that zstd's usual level 3 takes twice the time for 4 % fewer bytes. */
enum { FORMAT = 1, HEAD_BYTES = 72, CHUNK_BYTES = 24, LEVEL = 1 };
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

enum tide_err tide_snapshot_remove(const char *dir, struct tide_position position, struct tide_error *error) {
  return remove_one(dir, "snap", position, error);
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

/* What a chunk is made in; the next chunk is made in the same, for new memory is dearer than the writing of it. */
struct scratch {
  struct scratch *next;
  struct tide_buf bytes, packed;
  ZSTD_CCtx *zstd;
};

struct writing {
  pthread_mutex_t lock;
  struct scratch *idle; /* as many as chunks were made at once */
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

static struct scratch *scratch_take(struct writing *w) {
  TIDE_CHECK(pthread_mutex_lock(&w->lock) == 0);
  struct scratch *scratch = w->idle;
  if (scratch) w->idle = scratch->next;
  TIDE_CHECK(pthread_mutex_unlock(&w->lock) == 0);
  if (scratch) return scratch;
  scratch = tide_alloc(sizeof *scratch);
  scratch->zstd = ZSTD_createCCtx();
  TIDE_CHECK(scratch->zstd != NULL);
  return scratch;
}

static void scratch_give(struct writing *w, struct scratch *scratch) {
  TIDE_CHECK(pthread_mutex_lock(&w->lock) == 0);
  scratch->next = w->idle;
  w->idle = scratch;
  TIDE_CHECK(pthread_mutex_unlock(&w->lock) == 0);
}

static void scratch_free(struct scratch *scratch) {
  while (scratch) {
    struct scratch *next = scratch->next;
    tide_buf_release(&scratch->bytes);
    tide_buf_release(&scratch->packed);
    ZSTD_freeCCtx(scratch->zstd);
    tide_free(scratch);
    scratch = next;
  }
}

static enum tide_err put_chunk(void *ctx, size_t index, struct tide_error *error) {
  struct writing *w = ctx;
  struct scratch *scratch = scratch_take(w);
  struct tide_buf *bytes = &scratch->bytes, *packed = &scratch->packed;
  char path[PATH_BYTES];
  enum tide_err err = TIDE_OK;
  tide_buf_clear(bytes);
  tide_buf_clear(packed);
  w->chunk(w->ctx, (unsigned)index, bytes);
  size_t room = ZSTD_compressBound(bytes->len);
  tide_buf_reserve(packed, room);
  size_t n = ZSTD_compressCCtx(scratch->zstd, packed->ptr, room, bytes->ptr, bytes->len, LEVEL);
  if (ZSTD_isError(n)) err = tide_fail(error, TIDE_E_IO, "compressing a snapshot failed: %s", ZSTD_getErrorName(n));
  else packed->len = n;
  w->manifest->chunk[index] = (struct tide_snapshot_chunk){bytes->len, packed->len, tide_crc32c(0, bytes->ptr, bytes->len)};
  if (!err) err = chunk_path(w, index, path, error);
  if (!err) err = put_file(path, tide_buf_span(packed), error);
  scratch_give(w, scratch);
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
  scratch_free(w->idle);
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

/* All files stand synced under the temporary name: the snapshot gets its own. */
static enum tide_err publish(const char *dir, struct tide_position position, struct tide_error *error) {
  char tmp[PATH_BYTES], path[PATH_BYTES];
  enum tide_err err = join(tmp, dir, "tmp", position, "", error);
  if (!err) err = join(path, dir, "snap", position, "", error);
  if (!err) err = tide_sys_sync_dir(&tide_sys_real, tmp, error);
  if (!err) err = remove_one(dir, "snap", position, error);
  if (!err && rename(tmp, path) != 0) err = tide_sys_fail(error, "renaming", tmp);
  return err ? err : tide_sys_sync_dir(&tide_sys_real, dir, error);
}

enum tide_err tide_snapshot_write(const char *dir, unsigned threads, struct tide_snapshot_manifest *manifest, tide_snapshot_chunk_fn chunk,
                                  void *ctx, struct tide_error *error) {
  TIDE_CHECK(manifest->chunk_count > 0 && manifest->chunk_count <= TIDE_SNAPSHOT_CHUNKS_MAX);
  char tmp[PATH_BYTES];
  enum tide_err err = join(tmp, dir, "tmp", manifest->position, "", error);
  if (err) return err;
  if (mkdir(dir, 0750) != 0 && errno != EEXIST) return tide_sys_fail(error, "creating", dir);
  err = remove_all(dir, "tmp", 0, manifest->position, error); /* of a run that was stopped here */
  if (err) return err;
  if (mkdir(tmp, 0750) != 0) return tide_sys_fail(error, "creating", tmp);
  struct writing writing = {.dir = dir, .manifest = manifest, .chunk = chunk, .ctx = ctx};
  TIDE_CHECK(pthread_mutex_init(&writing.lock, NULL) == 0);
  err = put_all(&writing, threads, error);
  pthread_mutex_destroy(&writing.lock);
  if (!err) err = publish(dir, manifest->position, error);
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

/* A chunk's file as the manifest describes it, unpacked into out. */
static enum tide_err unpack(const struct tide_snapshot_manifest *manifest, unsigned index, struct tide_span packed, struct tide_buf *out,
                            struct tide_error *error) {
  const struct tide_snapshot_chunk *chunk = &manifest->chunk[index];
  char name[24];
  chunk_name(index, manifest->chunk_count, name);
  if (packed.len != chunk->packed) return tide_fail(error, TIDE_E_CORRUPT, "%s is cut short", name);
  /* The frame's own claim first: nothing is reserved on the word of a damaged file. */
  if (ZSTD_getFrameContentSize(packed.ptr, packed.len) != chunk->bytes) return tide_fail(error, TIDE_E_CORRUPT, "%s is damaged", name);
  tide_buf_clear(out);
  tide_buf_reserve(out, (size_t)chunk->bytes + 1);
  size_t n = ZSTD_decompress(out->ptr, (size_t)chunk->bytes, packed.ptr, packed.len);
  out->len = ZSTD_isError(n) ? 0 : n;
  if (ZSTD_isError(n) || n != chunk->bytes || tide_crc32c(0, out->ptr, out->len) != chunk->crc)
    return tide_fail(error, TIDE_E_CORRUPT, "%s is damaged", name);
  return TIDE_OK;
}

enum tide_err tide_snapshot_chunk_read(const char *dir, const struct tide_snapshot_manifest *manifest, unsigned index, struct tide_buf *out,
                                       struct tide_error *error) {
  TIDE_CHECK(index < manifest->chunk_count);
  char path[PATH_BYTES], name[24];
  struct tide_buf packed = TIDE_BUF_INIT;
  chunk_name(index, manifest->chunk_count, name);
  enum tide_err err = join(path, dir, "snap", manifest->position, name, error);
  if (!err) err = get_file(path, manifest->chunk[index].packed, &packed, error);
  if (!err) err = unpack(manifest, index, tide_buf_span(&packed), out, error);
  tide_buf_release(&packed);
  return err;
}

/* --- as one stream */

struct tide_snapshot_stream {
  struct tide_snapshot_manifest manifest;
  struct tide_buf head; /* the MANIFEST */
  int fd[TIDE_SNAPSHOT_CHUNKS_MAX];
  unsigned index; /* of the chunk under way; head.len bytes come before chunk 0 */
  bool in_chunks;
  uint64_t off; /* in the MANIFEST or the chunk */
};

enum tide_err tide_snapshot_stream_open(const char *dir, struct tide_position position, struct tide_snapshot_stream **ret,
                                        struct tide_error *error) {
  struct tide_snapshot_stream *stream = tide_alloc(sizeof *stream);
  char path[PATH_BYTES], name[24];
  for (unsigned i = 0; i < TIDE_SNAPSHOT_CHUNKS_MAX; i++) stream->fd[i] = -1;
  enum tide_err err = tide_snapshot_manifest_read(dir, position, &stream->manifest, error);
  for (unsigned i = 0; !err && i < stream->manifest.chunk_count; i++) {
    chunk_name(i, stream->manifest.chunk_count, name);
    err = join(path, dir, "snap", position, name, error);
    if (!err && (stream->fd[i] = open(path, O_RDONLY | O_CLOEXEC)) < 0)
      err = errno == ENOENT ? tide_fail(error, TIDE_E_NOT_FOUND, "%s is missing", path) : tide_sys_fail(error, "opening", path);
  }
  if (err) {
    tide_snapshot_stream_close(stream);
    return err;
  }
  tide_snapshot_manifest_encode(&stream->manifest, &stream->head);
  *ret = stream;
  return TIDE_OK;
}

uint64_t tide_snapshot_stream_bytes(const struct tide_snapshot_stream *stream) {
  uint64_t bytes = stream->head.len;
  for (unsigned i = 0; i < stream->manifest.chunk_count; i++) bytes += stream->manifest.chunk[i].packed;
  return bytes;
}

enum tide_err tide_snapshot_stream_read(struct tide_snapshot_stream *stream, void *out, size_t len, size_t *ret_len,
                                        struct tide_error *error) {
  *ret_len = 0;
  if (!stream->in_chunks) {
    size_t left = stream->head.len - (size_t)stream->off, n = left < len ? left : len;
    memcpy(out, stream->head.ptr + stream->off, n);
    stream->off += n;
    *ret_len = n;
    stream->in_chunks = stream->off == stream->head.len;
    if (stream->in_chunks) stream->off = 0;
    return TIDE_OK;
  }
  while (stream->index < stream->manifest.chunk_count && stream->off == stream->manifest.chunk[stream->index].packed) {
    stream->index++;
    stream->off = 0;
  }
  if (stream->index == stream->manifest.chunk_count) return TIDE_OK;
  uint64_t left = stream->manifest.chunk[stream->index].packed - stream->off;
  size_t want = left < len ? (size_t)left : len, got = 0;
  enum tide_err err = tide_sys_read(stream->fd[stream->index], out, want, stream->off, &got, "a snapshot's chunk", error);
  if (!err && got < want) err = tide_fail(error, TIDE_E_IO, "a chunk of the snapshot is shorter than its MANIFEST says");
  if (err) return err;
  stream->off += got;
  *ret_len = got;
  return TIDE_OK;
}

void tide_snapshot_stream_close(struct tide_snapshot_stream *stream) {
  if (!stream) return;
  for (unsigned i = 0; i < TIDE_SNAPSHOT_CHUNKS_MAX; i++)
    if (stream->fd[i] >= 0) close(stream->fd[i]);
  tide_buf_release(&stream->head);
  tide_free(stream);
}

struct tide_snapshot_import {
  char *dir;
  tide_snapshot_wanted_fn wanted;
  void *ctx;
  struct tide_snapshot_manifest manifest;
  bool known;            /* the manifest is there */
  bool ended;            /* it has its name */
  unsigned index;        /* of the chunk under way */
  struct tide_buf piece; /* of the MANIFEST or the chunk under way */
  struct tide_buf scratch;
};

struct tide_snapshot_import *tide_snapshot_import_new(const char *dir, tide_snapshot_wanted_fn wanted, void *ctx) {
  struct tide_snapshot_import *import = tide_alloc(sizeof *import);
  import->dir = tide_strdup(dir);
  import->wanted = wanted;
  import->ctx = ctx;
  return import;
}

static enum tide_err import_manifest(struct tide_snapshot_import *import, struct tide_error *error) {
  char tmp[PATH_BYTES];
  enum tide_err err = tide_snapshot_manifest_decode(tide_buf_span(&import->piece), &import->manifest, error);
  if (!err) err = import->wanted(import->ctx, &import->manifest, error);
  if (!err) err = join(tmp, import->dir, "tmp", import->manifest.position, "", error);
  if (err) return err;
  if (mkdir(import->dir, 0750) != 0 && errno != EEXIST) return tide_sys_fail(error, "creating", import->dir);
  err = remove_all(import->dir, "tmp", 0, import->manifest.position, error);
  if (!err && mkdir(tmp, 0750) != 0) err = tide_sys_fail(error, "creating", tmp);
  import->known = !err;
  return err;
}

static enum tide_err import_chunk(struct tide_snapshot_import *import, struct tide_error *error) {
  char path[PATH_BYTES], name[24];
  struct tide_span packed = tide_buf_span(&import->piece);
  chunk_name(import->index, import->manifest.chunk_count, name);
  enum tide_err err = unpack(&import->manifest, import->index, packed, &import->scratch, error);
  if (!err) err = join(path, import->dir, "tmp", import->manifest.position, name, error);
  if (!err) err = put_file(path, packed, error);
  if (!err) err = sync_file(path, error);
  import->index++;
  return err;
}

/* How long the piece under way is; 0: not known yet. CORRUPT: no manifest is so long. */
static enum tide_err piece_bytes(const struct tide_snapshot_import *import, uint64_t *ret, struct tide_error *error) {
  *ret = 0;
  if (import->known) {
    *ret = import->manifest.chunk[import->index].packed;
    return TIDE_OK;
  }
  if (import->piece.len < 12) return TIDE_OK;
  struct tide_reader r = tide_reader_of((struct tide_span){import->piece.ptr + 8, 4});
  uint32_t count = tide_get_u32(&r);
  if (memcmp(import->piece.ptr, "TDS1", 4) != 0 || count == 0 || count > TIDE_SNAPSHOT_CHUNKS_MAX)
    return tide_fail(error, TIDE_E_CORRUPT, "what was sent is no snapshot");
  *ret = HEAD_BYTES + (uint64_t)count * CHUNK_BYTES + 4;
  return TIDE_OK;
}

enum tide_err tide_snapshot_import_take(struct tide_snapshot_import *import, struct tide_span bytes, struct tide_error *error) {
  while (bytes.len > 0) {
    uint64_t whole;
    if (import->known && import->index == import->manifest.chunk_count)
      return tide_fail(error, TIDE_E_CORRUPT, "there is more behind the snapshot's last chunk");
    enum tide_err err = piece_bytes(import, &whole, error);
    if (err) return err;
    uint64_t want = whole ? whole - import->piece.len : 12 - import->piece.len;
    size_t n = want < bytes.len ? (size_t)want : bytes.len;
    tide_buf_put(&import->piece, bytes.ptr, n);
    bytes.ptr += n;
    bytes.len -= n;
    if (!whole || import->piece.len < whole) continue;
    err = import->known ? import_chunk(import, error) : import_manifest(import, error);
    if (err) return err;
    tide_buf_clear(&import->piece);
  }
  return TIDE_OK;
}

enum tide_err tide_snapshot_import_end(struct tide_snapshot_import *import, struct tide_error *error) {
  char path[PATH_BYTES];
  struct tide_position position = import->manifest.position;
  if (!import->known || import->index < import->manifest.chunk_count)
    return tide_fail(error, TIDE_E_CORRUPT, "the snapshot ended early: %u of its chunks came", import->index);
  enum tide_err err = join(path, import->dir, "tmp", position, "MANIFEST", error);
  tide_snapshot_manifest_encode(&import->manifest, &import->scratch);
  if (!err) err = put_file(path, tide_buf_span(&import->scratch), error);
  if (!err) err = sync_file(path, error);
  if (!err) err = publish(import->dir, position, error);
  import->ended = !err;
  return err;
}

void tide_snapshot_import_free(struct tide_snapshot_import *import) {
  if (!import) return;
  struct tide_error why = {0};
  if (import->known && !import->ended && remove_one(import->dir, "tmp", import->manifest.position, &why) != TIDE_OK)
    tide_log(TIDE_LOG_WARN, "snapshot_rest_left", "dir=%s why=%s", import->dir, why.text);
  tide_buf_release(&import->piece);
  tide_buf_release(&import->scratch);
  tide_free(import->dir);
  tide_free(import);
}

enum tide_err tide_snapshot_check(const char *dir, struct tide_position position, uint64_t *ret_entry_hash, struct tide_error *error) {
  struct tide_snapshot_manifest *manifest = tide_alloc(sizeof *manifest);
  struct tide_buf bytes = TIDE_BUF_INIT;
  enum tide_err err = tide_snapshot_manifest_read(dir, position, manifest, error);
  for (unsigned i = 0; err == TIDE_OK && i < manifest->chunk_count; i++) err = tide_snapshot_chunk_read(dir, manifest, i, &bytes, error);
  if (err == TIDE_OK) *ret_entry_hash = manifest->entry_hash;
  tide_buf_release(&bytes);
  tide_free(manifest);
  return err;
}
