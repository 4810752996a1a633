/* The watch behind a mutex, for looks only (watcher.h); the file beside the snapshot.
 *
 * SNAPSHOTS/watch.tdw holds one state of it (core/watch.h has the bytes), written whole under a temporary name. It is of one position; a start that takes an older snapshot, or one
 * from a peer, finds that it does not fit and begins anew: drift has filled its windows again after a day, and labels of decisions before that are told as unmatched. */
#include "run/watcher.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>

#include "adapter/segment.h"
#include "adapter/sys.h"
#include "base/clock.h"
#include "base/log.h"

#define LOOK_EVERY_NS INT64_C(1000000000)
#define FILE_BYTES_MAX (UINT64_C(2) << 30)

struct tide_watcher {
  struct tide_watch *watch;
  struct tide_watch_options options;
  struct tide_mono next;
  pthread_mutex_t mutex;
  struct tide_watch_look *look; /* under the mutex */
};

struct tide_watcher *tide_watcher_new(const struct tide_watch_options *options) {
  struct tide_watcher *watcher = tide_alloc(sizeof *watcher);
  watcher->options = *options;
  watcher->watch = tide_watch_new(options);
  TIDE_CHECK(pthread_mutex_init(&watcher->mutex, NULL) == 0);
  return watcher;
}

void tide_watcher_free(struct tide_watcher *watcher) {
  if (!watcher) return;
  tide_watch_free(watcher->watch);
  tide_watch_look_free(watcher->look);
  (void)pthread_mutex_destroy(&watcher->mutex);
  tide_free(watcher);
}

static char *path_in(const char *dir) {
  struct tide_buf path = TIDE_BUF_INIT;
  tide_buf_printf(&path, "%s/watch.tdw", dir);
  return tide_buf_take(&path);
}

static enum tide_err read_file(const char *path, struct tide_buf *out, struct tide_error *error) {
  FILE *file = fopen(path, "re");
  if (!file) return tide_fail_errno(error, errno == ENOENT ? TIDE_E_NOT_FOUND : TIDE_E_IO, "cannot read %s", path);
  size_t n;
  do {
    tide_buf_reserve(out, 1u << 16);
    n = fread(out->ptr + out->len, 1, 1u << 16, file);
    out->len += n;
  } while (n > 0 && out->len < FILE_BYTES_MAX);
  enum tide_err err = ferror(file) ? tide_fail_errno(error, TIDE_E_IO, "cannot read %s", path) : TIDE_OK;
  (void)fclose(file);
  return err;
}

static void take_up(struct tide_watcher *watcher, struct tide_position at, const char *dir) {
  struct tide_buf bytes = TIDE_BUF_INIT;
  struct tide_error error = {0};
  char *path = path_in(dir);
  enum tide_err err = read_file(path, &bytes, &error);
  if (err == TIDE_OK && !tide_watch_load(watcher->watch, at, tide_buf_span(&bytes))) {
    err = tide_fail(&error, TIDE_E_MISMATCH, "%s is not of the snapshot's position, or is damaged", path);
    tide_watch_free(watcher->watch);
    watcher->watch = tide_watch_new(&watcher->options);
  }
  if (err == TIDE_OK)
    tide_log(TIDE_LOG_INFO, "watch_taken_up", "position=%llu-%llu", (unsigned long long)at.epoch, (unsigned long long)at.seq);
  else tide_log(TIDE_LOG_WARN, "watch_begins_anew", "why=%s note=%s", error.text, "drift and feedback are of what is folded from here on");
  tide_buf_release(&bytes);
  tide_free(path);
}

void tide_watcher_attach(struct tide_watcher *watcher, struct tide_fold *fold, const char *dir) {
  struct tide_position at = tide_fold_position(fold);
  if (dir && at.epoch != 0) take_up(watcher, at, dir);
  struct tide_fold_watch hooks = tide_watch_hooks(watcher->watch);
  tide_fold_watch(fold, &hooks);
}

struct tide_watch_options tide_watcher_options(const struct tide_watcher *watcher) {
  return watcher->options;
}

void tide_watcher_turn(struct tide_watcher *watcher) {
  struct tide_mono now = tide_mono_now();
  if (now.ns < watcher->next.ns || pthread_mutex_trylock(&watcher->mutex) != 0) return;
  struct tide_watch_look *old = watcher->look;
  watcher->look = tide_watch_look(watcher->watch);
  TIDE_CHECK(pthread_mutex_unlock(&watcher->mutex) == 0);
  tide_watch_look_free(old);
  watcher->next.ns = now.ns + LOOK_EVERY_NS;
}

const struct tide_watch_look *tide_watcher_borrow(struct tide_watcher *watcher) {
  TIDE_CHECK(pthread_mutex_lock(&watcher->mutex) == 0);
  return watcher->look;
}

void tide_watcher_give_back(struct tide_watcher *watcher) { TIDE_CHECK(pthread_mutex_unlock(&watcher->mutex) == 0); }

enum tide_err tide_watcher_keep(const struct tide_watcher *watcher, const char *dir, struct tide_position position,
                                struct tide_error *error) {
  struct tide_buf bytes = TIDE_BUF_INIT;
  char *path = path_in(dir);
  tide_watch_save(watcher->watch, position, &bytes);
  enum tide_err err = tide_sys_publish(&tide_sys_real, dir, path, tide_buf_span(&bytes), error);
  tide_buf_release(&bytes);
  tide_free(path);
  return err;
}
