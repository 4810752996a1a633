/* File operations of journal and archive over the table of sys.h: whole writes, published files, durable names.
 *
 * Short writes and interrupted calls are continued here and nowhere else. Errors say what was being done to which file and what to do
 * about it; no room is told from the rest, because it goes away by itself. */
#include "adapter/sys.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "adapter/segment.h"

static int real_open(const char *path, int flags, mode_t mode) { return open(path, flags | O_CLOEXEC, mode); }

const struct tide_sys tide_sys_real = {
    .open = real_open,
    .pwrite = pwrite,
    .fdatasync = fdatasync,
    .fsync = fsync,
    .ftruncate = ftruncate,
    .rename = rename,
    .unlink = unlink,
    .mkdir = mkdir,
};

enum tide_err tide_sys_fail(struct tide_error *error, const char *doing, const char *path) {
  if (errno == ENOSPC || errno == EDQUOT || errno == EFBIG) {
    return tide_fail_errno(error, TIDE_E_FULL, "%s %s: no room; nothing that was acknowledged is lost, make room and try again", doing,
                           path);
  }
  if (errno == EACCES || errno == EPERM || errno == EROFS) {
    return tide_fail_errno(error, TIDE_E_IO, "%s %s: not allowed; check owner, mode and mount of the directory", doing, path);
  }
  return tide_fail_errno(error, TIDE_E_IO, "%s %s", doing, path);
}

enum tide_err tide_sys_write(const struct tide_sys *sys, int fd, const void *ptr, size_t len, uint64_t at, const char *path,
                             struct tide_error *error) {
  const char *from = ptr;
  while (len > 0) {
    ssize_t wrote = sys->pwrite(fd, from, len, (off_t)at);
    if (wrote < 0 && errno == EINTR) {
      continue;
    }
    if (wrote <= 0) {
      errno = wrote == 0 ? EIO : errno;
      return tide_sys_fail(error, "writing", path);
    }
    from += wrote;
    at += (uint64_t)wrote;
    len -= (size_t)wrote;
  }
  return TIDE_OK;
}

enum tide_err tide_sys_read(int fd, void *out, size_t len, uint64_t at, size_t *ret_len, const char *path, struct tide_error *error) {
  size_t have = 0;
  while (have < len) {
    ssize_t got = pread(fd, (char *)out + have, len - have, (off_t)(at + have));
    if (got < 0 && errno == EINTR) {
      continue;
    }
    if (got < 0) {
      return tide_fail_errno(error, TIDE_E_IO, "reading %s at byte %" PRIu64, path, at + have);
    }
    if (got == 0) {
      break;
    }
    have += (size_t)got;
  }
  *ret_len = have;
  return TIDE_OK;
}

enum tide_err tide_sys_sync_dir(const struct tide_sys *sys, const char *dir, struct tide_error *error) {
  int fd = sys->open(dir, O_RDONLY | O_DIRECTORY, 0);
  if (fd < 0) {
    return tide_sys_fail(error, "opening directory", dir);
  }
  enum tide_err err = sys->fsync(fd) == 0 ? TIDE_OK : tide_sys_fail(error, "syncing directory", dir);
  close(fd);
  return err;
}

enum tide_err tide_sys_publish(const struct tide_sys *sys, const char *dir, const char *path, struct tide_span bytes,
                               struct tide_error *error) {
  struct tide_buf temp = TIDE_BUF_INIT;
  tide_buf_printf(&temp, "%s%s", path, TIDE_TEMP_SUFFIX);
  const char *name = tide_buf_cstr(&temp);
  enum tide_err err = TIDE_OK;
  int fd = sys->open(name, O_WRONLY | O_CREAT | O_TRUNC, 0640);
  if (fd < 0) {
    err = tide_sys_fail(error, "creating", name);
  }
  if (!err) {
    err = tide_sys_write(sys, fd, bytes.ptr, bytes.len, 0, name, error);
  }
  if (!err && sys->fsync(fd) != 0) {
    err = tide_sys_fail(error, "syncing", name);
  }
  if (fd >= 0) {
    close(fd);
  }
  if (!err && sys->rename(name, path) != 0) {
    err = tide_sys_fail(error, "renaming into", path);
  }
  if (err && fd >= 0) {
    (void)sys->unlink(name);
  }
  tide_buf_release(&temp);
  return err ? err : tide_sys_sync_dir(sys, dir, error);
}

char *tide_segment_path(const char *dir, uint64_t number, const char *suffix) {
  struct tide_buf path = TIDE_BUF_INIT;
  tide_buf_printf(&path, "%s/%012" PRIu64 "%s", dir, number, suffix);
  return tide_buf_take(&path);
}

/* The number of a name that is exactly digits and suffix, or 0. */
static uint64_t number_of(const char *name, const char *suffix) {
  uint64_t number = 0;
  size_t digits = 0;
  for (; name[digits] >= '0' && name[digits] <= '9' && digits < 18; digits++) {
    number = number * 10 + (uint64_t)(name[digits] - '0');
  }
  return digits >= 12 && strcmp(name + digits, suffix) == 0 ? number : 0;
}

static int by_number(const void *a, const void *b) {
  uint64_t x, y;
  memcpy(&x, a, sizeof x);
  memcpy(&y, b, sizeof y);
  return x < y ? -1 : x > y;
}

enum tide_err tide_segment_list(const char *dir, const char *suffix, const struct tide_sys *sys, uint64_t **ret, size_t *ret_count,
                                struct tide_error *error) {
  DIR *stream = opendir(dir);
  if (!stream) {
    return errno == ENOENT ? tide_fail(error, TIDE_E_NOT_FOUND, "there is no directory %s", dir)
                           : tide_sys_fail(error, "opening directory", dir);
  }
  char temp_suffix[16];
  snprintf(temp_suffix, sizeof temp_suffix, "%s%s", suffix, TIDE_TEMP_SUFFIX);
  uint64_t *number = NULL;
  size_t count = 0, cap = 0;
  for (const struct dirent *entry; (entry = readdir(stream)) != NULL;) {
    uint64_t found = number_of(entry->d_name, suffix);
    if (found) {
      if (count == cap) {
        cap = cap ? cap * 2 : 16;
        number = tide_realloc(number, cap * sizeof *number);
      }
      number[count++] = found;
    } else if (sys && number_of(entry->d_name, temp_suffix)) {
      struct tide_buf path = TIDE_BUF_INIT;
      tide_buf_printf(&path, "%s/%s", dir, entry->d_name);
      (void)sys->unlink(tide_buf_cstr(&path)); /* never published; if it stays it does no harm */
      tide_buf_release(&path);
    }
  }
  closedir(stream);
  if (count > 1) {
    qsort(number, count, sizeof *number, by_number);
  }
  for (size_t i = 1; i < count; i++) {
    if (number[i] != number[i - 1] + 1) {
      enum tide_err err = tide_fail(error, TIDE_E_CORRUPT,
                                    "%s holds segments %" PRIu64 " and %" PRIu64 " but none between; bring the missing files back "
                                    "from a backup, or the archive",
                                    dir, number[i - 1], number[i]);
      tide_free(number);
      return err;
    }
  }
  *ret = number;
  *ret_count = count;
  return TIDE_OK;
}
