/* The child that writes a snapshot (serve_snapshot.h).
 *
 * A fork of a process with threads has one thread and whatever locks the others held. The allocator's own handlers see to its locks; the child
 * takes no other: it does not log, it tells its error through a page that both share. */
#include "cli/serve_snapshot.h"

#include <errno.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"

struct tide_snapshotter {
  char *dir;
  pid_t child; /* 0: none */
  struct tide_mono begun;
  struct tide_position position, saved; /* of the child's fold; of the last that was written */
  struct tide_error *told;              /* shared with the child; code OK: it was written */
  bool failing;                         /* said so already */
  bool turned;
  uint32_t generation;   /* of the fold, at the last turn */
  tide_beside_fn beside; /* NULL: nothing */
  void *beside_ctx;
};

struct tide_snapshotter *tide_snapshotter_new(const char *dir) {
  struct tide_snapshotter *s = tide_alloc(sizeof *s);
  s->dir = tide_strdup(dir);
  s->begun = tide_mono_now();
  void *page = mmap(NULL, sizeof *s->told, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  TIDE_CHECK(page != MAP_FAILED);
  s->told = page;
  return s;
}

static void tell(struct tide_snapshotter *s, const struct tide_error *error) {
  double seconds = (double)(tide_mono_now().ns - s->begun.ns) / 1e9;
  if (error->code == TIDE_OK) {
    s->saved = s->position;
    tide_log(TIDE_LOG_INFO, "snapshot", "position=%llu-%llu seconds=%.1f", (unsigned long long)s->position.epoch,
             (unsigned long long)s->position.seq, seconds);
  } else if (!s->failing) {
    tide_log(TIDE_LOG_ERROR, "snapshot_failed", "why=%s next=%s", error->text, "the journal is whole; tried again at the next");
  }
  s->failing = error->code != TIDE_OK;
}

static void reap(struct tide_snapshotter *s, int flags) {
  int status = 0;
  if (s->child == 0) return;
  pid_t ended = waitpid(s->child, &status, flags);
  if (ended == 0) return;
  struct tide_error error = *s->told;
  if (ended < 0 || !WIFEXITED(status)) (void)tide_fail(&error, TIDE_E_IO, "the process that wrote the snapshot died (status %d)", status);
  s->child = 0;
  tell(s, &error);
}

static _Noreturn void child_main(struct tide_snapshotter *s, struct tide_fold *fold, struct tide_span entry) {
  struct tide_error error = {0};
  struct tide_released released = {.position = tide_fold_position(fold)};
  (void)close_range(
      3, ~0u,
      0); /* locks and ports are not this process's: whoever takes its parent's place must get them, also while this one still writes */
  tide_log_level_set((enum tide_log_level)(TIDE_LOG_ERROR + 1)); /* a line would take the lock that another thread may have held */
  enum tide_err err = tide_snapshot_save(s->dir, fold, entry, released, &error);
  if (err == TIDE_OK && s->beside) err = s->beside(s->beside_ctx, s->dir, tide_fold_position(fold), &error);
  error.code = err;
  *s->told = error;
  _exit(0);
}

static void begin(struct tide_snapshotter *s, struct tide_fold *fold, struct tide_span entry) {
  struct tide_mono before = tide_mono_now();
  s->begun = before;
  s->position = tide_fold_position(fold);
  *s->told = (struct tide_error){.code = TIDE_E_INDETERMINATE, .text = "the process that wrote it did not say why it ended"};
  pid_t pid = fork();
  if (pid == 0) child_main(s, fold, entry);
  if (pid < 0) {
    struct tide_error error = {0};
    (void)tide_fail_errno(&error, TIDE_E_IO, "cannot fork for a snapshot");
    tell(s, &error);
    return;
  }
  s->child = pid;
  tide_log(TIDE_LOG_DEBUG, "snapshot_begun", "pause_ms=%.2f", (double)(tide_mono_now().ns - before.ns) / 1e6);
}

void tide_snapshotter_turn(struct tide_snapshotter *s, struct tide_fold *fold, struct tide_span entry, int64_t every_ms) {
  reap(s, WNOHANG);
  if (every_ms == 0 || s->child != 0 || !entry.ptr || !tide_fold_spec(fold)) return;
  bool other_file = s->turned && s->generation != tide_fold_generation(fold); /* whoever cannot follow needs one from behind the change */
  s->turned = true;
  s->generation = tide_fold_generation(fold);
  if ((tide_mono_now().ns - s->begun.ns < every_ms * 1000000 && !other_file) || tide_position_cmp(tide_fold_position(fold), s->saved) == 0)
    return;
  begin(s, fold, entry);
}

void tide_snapshotter_beside(struct tide_snapshotter *s, tide_beside_fn beside, void *ctx) {
  s->beside = beside;
  s->beside_ctx = ctx;
}

void tide_snapshotter_end(struct tide_snapshotter *s) { reap(s, 0); }

void tide_snapshotter_free(struct tide_snapshotter *s) {
  if (!s) return;
  reap(s, 0);
  (void)munmap(s->told, sizeof *s->told);
  tide_free(s->dir);
  tide_free(s);
}
