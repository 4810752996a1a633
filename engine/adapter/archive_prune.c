/* Removing what an archive has kept long enough (archive.h).
 *
 * Only whole files go, the oldest first, each unlink on its own: whatever is interrupted, the rest is an archive without a gap. What is left must not begin with a
 * fence, for a log that does looks like a whole one and would be folded from there as if nothing had stood before; and the newest file stays, so that the archive says how
 * far it reaches.
 *
 * A file's age is that of its name: it was written when its segment was trimmed, after the last of its entries, so no entry is removed before its time. */
#include <inttypes.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "adapter/archive.h"

struct file {
  uint64_t number, bytes;
  int64_t age_ms;
  struct tide_position last;
};

static enum tide_err look(const char *dir, uint64_t number, struct tide_wall now, struct file *ret, struct tide_error *error) {
  struct tide_archive_stream *stream;
  struct tide_archive_summary summary;
  struct stat stat_of;
  char *path = tide_segment_path(dir, number, TIDE_ARCHIVE_SUFFIX);
  enum tide_err err = stat(path, &stat_of) == 0 ? TIDE_OK : tide_sys_fail(error, "looking at", path);
  if (err == TIDE_OK) err = tide_archive_stream_open(path, &stream, &summary, error);
  if (err == TIDE_OK) {
    tide_archive_stream_close(stream);
    int64_t written_ms = (int64_t)stat_of.st_mtim.tv_sec * 1000 + stat_of.st_mtim.tv_nsec / 1000000;
    *ret = (struct file){.number = number, .bytes = (uint64_t)stat_of.st_size, .age_ms = now.ms - written_ms, .last = summary.last};
  }
  tide_free(path);
  return err;
}

/* What stands behind `last` is no fence. */
static enum tide_err may_begin_behind(const char *dir, struct tide_position last, bool *ret, struct tide_error *error) {
  struct tide_journal *archive;
  struct tide_position next;
  struct tide_buf entry = TIDE_BUF_INIT;
  enum tide_err err = tide_archive_open(dir, &archive, error);
  if (err != TIDE_OK) return err;
  err = archive->ops->read(archive, last, false, &entry, &next, error);
  if (err == TIDE_OK) *ret = next.seq > 0;
  archive->ops->close(archive);
  tide_buf_release(&entry);
  return err;
}

enum tide_err tide_archive_expired(const char *dir, struct tide_wall now, int64_t keep_ms, struct tide_position behind,
                                   struct tide_position *ret, struct tide_error *error) {
  uint64_t *number;
  size_t count, old = 0;
  struct tide_position until = {0, 0};
  enum tide_err err = tide_segment_list(dir, TIDE_ARCHIVE_SUFFIX, NULL, &number, &count, error);
  if (err == TIDE_E_NOT_FOUND) { /* nothing was trimmed yet */
    *ret = until;
    return TIDE_OK;
  }
  if (err != TIDE_OK) return err;
  struct tide_position *last = tide_alloc((count + 1) * sizeof *last);
  for (struct file file; err == TIDE_OK && old + 1 < count; old++) {
    err = look(dir, number[old], now, &file, error);
    if (err != TIDE_OK || file.age_ms <= keep_ms || tide_position_cmp(file.last, behind) > 0) break;
    last[old] = file.last;
  }
  for (bool may = false; err == TIDE_OK && old > 0 && !may; old--) {
    err = may_begin_behind(dir, last[old - 1], &may, error);
    if (may) until = last[old - 1];
  }
  tide_free(last);
  tide_free(number);
  if (err == TIDE_OK) *ret = until;
  return err;
}

enum tide_err tide_archive_prune(const struct tide_sys *sys, const char *dir, struct tide_position until, struct tide_archive_pruned *ret,
                                 struct tide_error *error) {
  uint64_t *number;
  size_t count;
  struct tide_archive_pruned pruned = {0};
  enum tide_err err = tide_segment_list(dir, TIDE_ARCHIVE_SUFFIX, NULL, &number, &count, error);
  if (err != TIDE_OK) return err;
  for (size_t i = 0; i + 1 < count && err == TIDE_OK; i++) {
    struct file file;
    err = look(dir, number[i], (struct tide_wall){0}, &file, error);
    if (err != TIDE_OK || tide_position_cmp(file.last, until) > 0) break;
    char *path = tide_segment_path(dir, number[i], TIDE_ARCHIVE_SUFFIX);
    if (sys->unlink(path) != 0) err = tide_sys_fail(error, "removing", path);
    else pruned.files++, pruned.bytes += file.bytes;
    tide_free(path);
  }
  if (pruned.files) {
    enum tide_err synced = tide_sys_sync_dir(sys, dir, err == TIDE_OK ? error : NULL);
    if (err == TIDE_OK) err = synced;
  }
  tide_free(number);
  *ret = pruned;
  return err;
}
