/* The registry in a directory: a file for each key, for one machine or a shared mount.
 *
 *   ROOT/LOCK                        held while something is written
 *   ROOT/about/model/3f...           the value, byte for byte
 *   ROOT/cells/eu/engines/7.lease    "EXPIRES_MS\n" and the value: an announcement, which counts until then
 *   ROOT/.../3f....tmp               being written, by the holder of the lock alone
 *
 * A change takes the lock, compares what stands there with what the writer expects, writes the file beside, syncs it, renames it and syncs the directory; so a
 * reader, who takes no lock, sees a whole value, the old or the new. The revision of a value is a hash of it. `watch` looks at names, times and lengths. */
#include "adapter/registry_dir.h"

#include "adapter/segment.h"
#include "base/clock.h"
#include "base/hash.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define LEASE ".lease"
#define POLL_MS 50

struct registry_dir {
  struct tide_registry base;
  const struct tide_sys *sys;
  char *root;
  char watched[TIDE_REGISTRY_KEY_MAX + 1];
  atomic_bool interrupted;
  uint64_t seen; /* what the watched directory looked like; 0: look */
};

static struct registry_dir *self(struct tide_registry *r) { return (struct registry_dir *)r; }

/* ROOT/KEY SUFFIX. Keys are our own. */
static const char *path_of(struct registry_dir *d, const char *key, const char *suffix, struct tide_buf *out) {
  TIDE_CHECK(strlen(key) <= TIDE_REGISTRY_KEY_MAX && key[0] != '/' && key[0] != '.' && !strstr(key, "/.") && !strstr(key, "//"));
  tide_buf_clear(out);
  tide_buf_printf(out, "%s/%s%s", d->root, key, suffix);
  return tide_buf_cstr(out);
}

static uint64_t revision_of(struct tide_span value) { return tide_hash64(value.ptr, value.len, 1) | 1; }

/* NOT_FOUND where there is no such file. */
static enum tide_err read_file(const char *path, struct tide_buf *out, struct tide_error *error) {
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return tide_fail_errno(error, errno == ENOENT || errno == ENOTDIR ? TIDE_E_NOT_FOUND : TIDE_E_IO, "cannot open %.200s", path);
  size_t begin = out->len;
  ssize_t n = 1;
  while (n > 0 && out->len - begin <= TIDE_REGISTRY_VALUE_MAX + 64) {
    tide_buf_reserve(out, 65536);
    n = read(fd, out->ptr + out->len, 65536);
    if (n > 0) out->len += (size_t)n;
  }
  enum tide_err err = TIDE_OK;
  if (n < 0) err = tide_fail_errno(error, TIDE_E_IO, "cannot read %.200s", path);
  else if (out->len - begin > TIDE_REGISTRY_VALUE_MAX + 64)
    err = tide_fail(error, TIDE_E_CORRUPT, "%.200s is longer than a value can be", path);
  (void)close(fd);
  if (err) out->len = begin;
  return err;
}

/* An announcement: NOT_FOUND when it has expired. */
static enum tide_err read_lease(const char *path, struct tide_buf *out, struct tide_error *error) {
  struct tide_buf text = TIDE_BUF_INIT;
  enum tide_err err = read_file(path, &text, error);
  if (!err) {
    char *end = NULL;
    long long expires_ms = strtoll(tide_buf_cstr(&text), &end, 10);
    if (end == text.ptr || *end != '\n')
      err = tide_fail(error, TIDE_E_CORRUPT, "%.200s does not begin with the time at which it expires", path);
    else if (expires_ms < tide_wall_now().ms) err = tide_fail(error, TIDE_E_NOT_FOUND, "%.200s has expired", path);
    else tide_buf_put(out, end + 1, text.len - (size_t)(end + 1 - text.ptr));
  }
  tide_buf_release(&text);
  return err;
}

static enum tide_err get(struct tide_registry *r, const char *key, struct tide_buf *out, uint64_t *ret_revision, struct tide_error *error) {
  struct registry_dir *d = self(r);
  struct tide_buf path = TIDE_BUF_INIT;
  size_t begin = out->len;
  enum tide_err err = read_file(path_of(d, key, "", &path), out, error);
  if (err == TIDE_E_NOT_FOUND) err = read_lease(path_of(d, key, LEASE, &path), out, error);
  tide_buf_release(&path);
  if (err == TIDE_E_NOT_FOUND) return tide_fail(error, err, "the registry %.120s has no %.120s", d->root, key);
  if (!err) *ret_revision = revision_of((struct tide_span){out->ptr + begin, out->len - begin});
  return err;
}

/* ---- listing ---- */

static int by_key(const void *a, const void *b) {
  const struct tide_registry_row *x = a, *y = b;
  return strcmp(x->key, y->key);
}

static bool ends_with(const char *name, const char *suffix) {
  size_t len = strlen(name), tail = strlen(suffix);
  return len > tail && strcmp(name + len - tail, suffix) == 0;
}

/* Names in the directory, leases without their suffix, in order. None where it is missing. */
static enum tide_err read_names(struct registry_dir *d, const char *dir, struct tide_registry_rows *rows, struct tide_error *error) {
  struct tide_buf path = TIDE_BUF_INIT;
  struct tide_buf key = TIDE_BUF_INIT;
  enum tide_err err = TIDE_OK;
  size_t cap = 0;
  DIR *stream = opendir(path_of(d, dir, "", &path));
  if (!stream && errno != ENOENT) err = tide_fail_errno(error, TIDE_E_IO, "cannot read the directory %.200s", path.ptr);
  struct tide_registry_row *row = NULL;
  size_t count = 0;
  for (const struct dirent *entry; stream && (errno = 0, entry = readdir(stream)) != NULL;) {
    if (entry->d_name[0] == '.' || entry->d_type == DT_DIR || ends_with(entry->d_name, TIDE_TEMP_SUFFIX)) continue;
    size_t len = strlen(entry->d_name) - (ends_with(entry->d_name, LEASE) ? sizeof LEASE - 1 : 0);
    if (count == cap) row = tide_realloc(row, (cap = cap ? 2 * cap : 64) * sizeof *row);
    tide_buf_clear(&key);
    tide_buf_str(&key, dir);
    tide_buf_put(&key, entry->d_name, len);
    row[count++] = (struct tide_registry_row){.key = tide_arena_strdup(&rows->arena, tide_buf_span(&key))};
  }
  if (stream && errno) err = tide_fail_errno(error, TIDE_E_IO, "cannot read the directory %.200s", path.ptr);
  if (stream) (void)closedir(stream);
  if (!err && count) {
    qsort(row, count, sizeof *row, by_key);
    rows->row = tide_arena_alloc(&rows->arena, count * sizeof *row);
    memcpy(rows->row, row, count * sizeof *row);
    rows->count = count;
  }
  tide_free(row);
  tide_buf_release(&key);
  tide_buf_release(&path);
  return err;
}

static enum tide_err list(struct tide_registry *r, const char *dir, enum tide_registry_list what, struct tide_registry_rows *ret,
                          struct tide_error *error) {
  struct tide_registry_rows rows = {0};
  struct tide_buf value = TIDE_BUF_INIT;
  enum tide_err err = read_names(self(r), dir, &rows, error);
  if (!err && what == TIDE_REGISTRY_LAST && rows.count > 1) {
    rows.row += rows.count - 1;
    rows.count = 1;
  }
  size_t kept = 0;
  for (size_t i = 0; !err && i < rows.count; i++) {
    struct tide_registry_row row = rows.row[i];
    tide_buf_clear(&value);
    err = get(r, row.key, &value, &row.revision, error);
    if (err == TIDE_E_NOT_FOUND) { /* expired, or gone meanwhile */
      err = TIDE_OK;
      continue;
    }
    if (what != TIDE_REGISTRY_KEYS && !err)
      row.value = (struct tide_span){tide_arena_strdup(&rows.arena, tide_buf_span(&value)), value.len};
    rows.row[kept++] = row;
  }
  rows.count = kept;
  tide_buf_release(&value);
  if (err) tide_registry_rows_release(&rows);
  else *ret = rows;
  return err;
}

/* ---- writing ---- */

/* Every directory above the file, ROOT included. `path` is written into and comes out as it was. */
static enum tide_err make_dirs(struct registry_dir *d, char *path, struct tide_error *error) {
  for (char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
    *slash = 0;
    bool good = d->sys->mkdir(path, 0755) == 0 || errno == EEXIST;
    enum tide_err err = good ? TIDE_OK : tide_fail_errno(error, TIDE_E_IO, "cannot make the directory %.200s", path);
    *slash = '/';
    if (err) return err;
  }
  return TIDE_OK;
}

static enum tide_err lock(struct registry_dir *d, int *ret_fd, struct tide_error *error) {
  struct tide_buf path = TIDE_BUF_INIT;
  path_of(d, "LOCK", "", &path);
  enum tide_err err = make_dirs(d, path.ptr, error);
  int fd = err ? -1 : open(path.ptr, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (!err && (fd < 0 || flock(fd, LOCK_EX) != 0)) {
    err = tide_fail_errno(error, TIDE_E_IO, "cannot lock the registry %.200s", d->root);
    if (fd >= 0) (void)close(fd);
  }
  tide_buf_release(&path);
  if (!err) *ret_fd = fd;
  return err;
}

/* The file appears whole or not at all. With the lock held. */
static enum tide_err replace(struct registry_dir *d, const char *path, struct tide_span value, struct tide_error *error) {
  struct tide_buf now = TIDE_BUF_INIT;
  char *dir = tide_strndup(path, (size_t)(strrchr(path, '/') - path));
  enum tide_err err = tide_sys_publish(d->sys, dir, path, value, error);
  if (err && read_file(path, &now, NULL) == TIDE_OK && tide_span_eq(tide_buf_span(&now), value))
    err = tide_fail(error, TIDE_E_INDETERMINATE, "%.200s is written, but may not survive a crash of the machine: repeat it", path);
  tide_buf_release(&now);
  tide_free(dir);
  return err;
}

static enum tide_err check_value(struct tide_span value, const char *key, struct tide_error *error) {
  if (value.len <= TIDE_REGISTRY_VALUE_MAX) return TIDE_OK;
  return tide_fail(error, TIDE_E_LIMIT, "%.120s has %zu bytes, and the registry takes at most %u", key, value.len, TIDE_REGISTRY_VALUE_MAX);
}

static enum tide_err put_locked(struct registry_dir *d, const char *key, struct tide_span value, uint64_t expect,
                                struct tide_error *error) {
  struct tide_buf path = TIDE_BUF_INIT, now = TIDE_BUF_INIT;
  struct tide_error why = {0};
  path_of(d, key, "", &path);
  enum tide_err err = make_dirs(d, path.ptr, error), found = TIDE_E_NOT_FOUND;
  if (!err) found = read_file(path.ptr, &now, &why);
  if (err) (void)0;
  else if (found != TIDE_OK && found != TIDE_E_NOT_FOUND) {
    if (error) *error = why;
    err = found;
  } else if (expect == 0 && found == TIDE_OK) err = tide_fail(error, TIDE_E_EXISTS, "the registry %.120s has %.120s already", d->root, key);
  else if (expect != 0 && (found != TIDE_OK || revision_of(tide_buf_span(&now)) != expect))
    err = tide_fail(error, TIDE_E_STALE, "%.120s in the registry %.120s was changed meanwhile", key, d->root);
  else err = replace(d, path.ptr, value, error);
  tide_buf_release(&path);
  tide_buf_release(&now);
  return err;
}

static enum tide_err put(struct tide_registry *r, const char *key, struct tide_span value, uint64_t expect, struct tide_error *error) {
  struct registry_dir *d = self(r);
  int fd = -1;
  enum tide_err err = check_value(value, key, error);
  if (!err) err = lock(d, &fd, error);
  if (!err) err = put_locked(d, key, value, expect, error);
  if (fd >= 0) (void)close(fd);
  return err;
}

static enum tide_err announce(struct tide_registry *r, const char *key, struct tide_span value, int64_t ttl_ms, struct tide_error *error) {
  struct registry_dir *d = self(r);
  struct tide_buf path = TIDE_BUF_INIT, text = TIDE_BUF_INIT;
  int fd = -1;
  TIDE_CHECK(ttl_ms > 0);
  enum tide_err err = check_value(value, key, error);
  if (!err) err = lock(d, &fd, error);
  path_of(d, key, LEASE, &path);
  if (!err) err = make_dirs(d, path.ptr, error);
  tide_buf_printf(&text, "%lld\n", (long long)(tide_wall_now().ms + ttl_ms));
  tide_buf_put(&text, value.ptr, value.len);
  if (!err) err = replace(d, path.ptr, tide_buf_span(&text), error);
  if (fd >= 0) (void)close(fd);
  tide_buf_release(&path);
  tide_buf_release(&text);
  return err;
}

/* ---- watching ---- */

/* A number that changes with names, times and lengths of the directory's files; never 0. */
static enum tide_err look(struct registry_dir *d, uint64_t *ret, struct tide_error *error) {
  struct tide_registry_rows rows = {0};
  struct tide_buf path = TIDE_BUF_INIT, facts = TIDE_BUF_INIT;
  enum tide_err err = read_names(d, d->watched, &rows, error);
  for (size_t i = 0; !err && i < rows.count; i++) {
    struct stat st = {0};
    (void)stat(path_of(d, rows.row[i].key, "", &path), &st);
    tide_buf_printf(&facts, "%s %lld.%09ld %lld %llu\n", rows.row[i].key, (long long)st.st_mtim.tv_sec, st.st_mtim.tv_nsec,
                    (long long)st.st_size, (unsigned long long)st.st_ino);
  }
  if (!err) *ret = revision_of(tide_buf_span(&facts));
  tide_registry_rows_release(&rows);
  tide_buf_release(&path);
  tide_buf_release(&facts);
  return err;
}

static enum tide_err watch(struct tide_registry *r, const char *dir, int64_t wait_ms, bool *ret_changed, struct tide_error *error) {
  struct registry_dir *d = self(r);
  int64_t end_ns = tide_mono_now().ns + wait_ms * 1000000;
  if (strcmp(d->watched, dir) != 0) {
    snprintf(d->watched, sizeof d->watched, "%s", dir);
    d->seen = 0;
  }
  for (;;) {
    uint64_t now;
    enum tide_err err = look(d, &now, error);
    if (err) {
      d->seen = 0;
      return err;
    }
    bool changed = now != d->seen;
    d->seen = now;
    int64_t left_ms = atomic_load(&d->interrupted) ? 0 : (end_ns - tide_mono_now().ns) / 1000000;
    if (changed || left_ms <= 0) {
      *ret_changed = changed;
      return TIDE_OK;
    }
    nanosleep(&(struct timespec){0, (left_ms < POLL_MS ? left_ms : POLL_MS) * 1000000}, NULL);
  }
}

static uint64_t revision(const struct tide_registry *r) {
  (void)r;
  return 0;
}

static void interrupt(struct tide_registry *r) { atomic_store(&self(r)->interrupted, true); }

static void close_dir(struct tide_registry *r) {
  tide_free(self(r)->root);
  tide_free(r);
}

static const struct tide_registry_ops ops = {"dir", get, list, put, announce, watch, revision, interrupt, close_dir};

struct tide_registry *tide_registry_dir_new(const char *root, const struct tide_sys *sys) {
  struct registry_dir *d = tide_alloc(sizeof *d);
  size_t len = strlen(root);
  while (len > 1 && root[len - 1] == '/') len--;
  *d = (struct registry_dir){.base = {&ops}, .sys = sys ? sys : &tide_sys_real, .root = tide_strndup(root, len)};
  return &d->base;
}
