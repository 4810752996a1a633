/* The mirror of a shared journal: every folded entry stands in it at its own position, whatever the queue held; what is trimmed is in it; and a journal that
 * is not the one it mirrors is refused. On a journal in memory, with time handed in. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "../support/journal_check.h"
#include "adapter/archive.h"
#include "adapter/mirror.h"
#include "adapter/snapshot_file.h"

#define SECOND INT64_C(1000000000)

struct fixture {
  char *dir, *mirror_dir, *snapshots;
  struct tide_journal *journal;
  struct tide_mirror *mirror;
  struct tide_mirror_options options;
  struct tide_position last;
  struct tide_mono now;
  struct tide_buf entry, out;
  struct tide_error error;
};

static int setup(void **state) {
  struct fixture *f = tide_alloc(sizeof *f);
  f->dir = test_dir_fast("mirror");
  f->mirror_dir = test_path(f->dir, "mirror");
  f->snapshots = test_path(f->dir, "snapshots");
  f->journal = tide_journal_memory_new();
  f->now.ns = 100 * SECOND;
  f->options =
      (struct tide_mirror_options){.dir = f->mirror_dir, .segment_bytes = 16384, .snapshots = f->snapshots, .trim = true, .keep_ms = 10000};
  *state = f;
  return 0;
}

static int teardown(void **state) {
  struct fixture *f = *state;
  tide_mirror_close(f->mirror);
  f->journal->ops->close(f->journal);
  test_dir_remove(f->dir);
  tide_free(f->dir);
  tide_free(f->mirror_dir);
  tide_free(f->snapshots);
  tide_buf_release(&f->entry);
  tide_buf_release(&f->out);
  tide_free(f);
  return 0;
}

static enum tide_err open_it(struct fixture *f, bool accept_loss) {
  f->options.source = tide_journal_memory_attach(f->journal);
  return tide_mirror_open(&f->options, f->journal, accept_loss, &f->mirror, &f->error);
}
static void close_it(struct fixture *f) {
  tide_mirror_close(f->mirror);
  f->mirror = NULL;
}

/* n more entries in the journal, a new epoch every 50; each is told to the mirror when `noted`. */
static void grow(struct fixture *f, int n, uint32_t engine, bool noted) {
  for (int i = 0; i < n; i++) {
    bool fence = f->last.epoch == 0 || f->last.seq == 50;
    struct tide_position next =
        fence ? (struct tide_position){f->last.epoch + 1, 0} : (struct tide_position){f->last.epoch, f->last.seq + 1};
    test_entry(test_number(next), 30 + (size_t)i % 200, &f->entry);
    enum tide_err err = fence ? f->journal->ops->open_epoch(f->journal, next.epoch, tide_buf_span(&f->entry), &f->last, &f->error)
                              : f->journal->ops->append(f->journal, next.epoch, tide_buf_span(&f->entry), &f->last, &f->error);
    assert_int_equal(err, TIDE_OK);
    if (noted) tide_mirror_note(f->mirror, f->now, f->last, engine, tide_buf_span(&f->entry));
  }
}

static void turns(struct fixture *f, int n) {
  for (int i = 0; i < n; i++) {
    f->now.ns += SECOND;
    (void)tide_mirror_turn(f->mirror, f->now);
  }
}

/* Archive and segments together: no hole, every byte, from `first` to the last entry of the journal. */
static void assert_whole(struct fixture *f, uint64_t epoch, uint64_t seq) {
  struct tide_journal *chain;
  struct tide_position first, last;
  assert_int_equal(tide_journal_chain_open(&(struct tide_journal_file_options){.dir = f->mirror_dir}, &chain, &f->error), TIDE_OK);
  const char *wrong = test_journal_walk(chain, &first, &last, &f->error);
  chain->ops->close(chain);
  if (wrong) fail_msg("%s: %s", wrong, f->error.text);
  assert_true(first.epoch == epoch && first.seq == seq);
  assert_int_equal(tide_position_cmp(last, f->last), 0);
  assert_int_equal(tide_position_cmp(tide_mirror_durable(f->mirror), f->last), 0);
}

static struct tide_position first_of(struct fixture *f) {
  struct tide_position first, last;
  assert_int_equal(f->journal->ops->range(f->journal, &first, &last, &f->error), TIDE_OK);
  return first;
}

static void snapshot_at(struct fixture *f, struct tide_position at) {
  char path[512];
  (void)mkdir(f->snapshots, 0700);
  snprintf(path, sizeof path, "%s/snap-%llu-%llu", f->snapshots, (unsigned long long)at.epoch, (unsigned long long)at.seq);
  assert_int_equal(mkdir(path, 0700), 0);
}

static void holds_what_was_folded(void **state) {
  struct fixture *f = *state;
  assert_int_equal(open_it(f, false), TIDE_OK);
  grow(f, 120, 1, true);
  turns(f, 3);
  assert_whole(f, 1, 0);
  close_it(f);
  assert_int_equal(open_it(f, false), TIDE_OK);
  grow(f, 400, 1, true);
  turns(f, 3);
  assert_whole(f, 1, 0);
}

/* A full queue is no loss and no wait: what did not fit is read from the journal. */
static void reads_what_did_not_fit(void **state) {
  struct fixture *f = *state;
  f->options.queue_bytes = 500;
  assert_int_equal(open_it(f, false), TIDE_OK);
  grow(f, 3000, 1, true);
  assert_true(tide_mirror_turn(f->mirror, f->now));
  turns(f, 8);
  assert_whole(f, 1, 0);
  assert_false(tide_mirror_turn(f->mirror, f->now));
}

/* What is in the journal and was not folded here may still be taken back. */
static void never_runs_ahead_of_the_fold(void **state) {
  struct fixture *f = *state;
  grow(f, 60, 1, false);
  assert_int_equal(open_it(f, false), TIDE_OK);
  grow(f, 5, 1, true);
  struct tide_position folded = f->last;
  grow(f, 20, 1, false);
  turns(f, 5);
  assert_int_equal(tide_position_cmp(tide_mirror_durable(f->mirror), folded), 0);
}

static void another_journal_is_refused(void **state) {
  struct fixture *f = *state;
  struct tide_position lost;
  assert_int_equal(open_it(f, false), TIDE_OK);
  grow(f, 30, 1, true);
  turns(f, 3);
  close_it(f);
  lost = f->last;
  f->journal->ops->close(f->journal);
  f->journal = tide_journal_memory_new();
  f->last = (struct tide_position){0, 0};
  assert_int_equal(open_it(f, false), TIDE_E_HISTORY); /* emptied */
  assert_non_null(strstr(f->error.text, "restore"));
  grow(f, 10, 1, false);
  assert_int_equal(open_it(f, false), TIDE_E_HISTORY); /* rolled back */
  test_entry(77, 40, &f->entry);
  while (tide_position_cmp(f->last, lost) < 0)
    assert_int_equal(f->journal->ops->append(f->journal, 1, tide_buf_span(&f->entry), &f->last, &f->error), TIDE_OK);
  assert_int_equal(open_it(f, false), TIDE_E_HISTORY); /* another entry there */
  assert_int_equal(open_it(f, true), TIDE_OK);
  struct stat st;
  char *aside = test_path(f->dir, "mirror.lost-1-29");
  assert_int_equal(stat(aside, &st), 0);
  tide_free(aside);
  tide_mirror_note(f->mirror, f->now, f->last, 1, tide_buf_span(&f->entry));
  turns(f, 3);
  assert_int_equal(tide_position_cmp(tide_mirror_durable(f->mirror), f->last), 0);
}

/* A failover took the end back, and what came instead stands in another epoch: both hold the beginning, and the rest is kept beside. */
static void goes_back_to_what_both_hold(void **state) {
  struct fixture *f = *state;
  struct tide_position durable, first, last, common;
  struct tide_journal *lost;
  f->options.lossy = true;
  assert_int_equal(open_it(f, false), TIDE_OK);
  grow(f, 30, 1, true);
  assert_int_equal(f->journal->ops->sync(f->journal, &durable, &f->error), TIDE_OK);
  common = f->last;
  grow(f, 400, 1, true); /* some segments */
  turns(f, 3);
  char *aside = test_path(f->dir, "mirror.lost-9-21");
  assert_true(f->last.epoch == 9 && f->last.seq == 21);
  close_it(f);
  tide_journal_memory_crash(f->journal);
  f->last = (struct tide_position){common.epoch, 50}; /* then another epoch */
  grow(f, 1, 2, false);
  assert_int_equal(f->last.epoch, common.epoch + 1);
  f->options.lossy = false;
  assert_int_equal(open_it(f, false), TIDE_E_HISTORY);
  f->options.lossy = true;
  f->options.common = (struct tide_position){1, 20}; /* a snapshot's */
  assert_int_equal(open_it(f, false), TIDE_OK);
  assert_int_equal(tide_position_cmp(tide_mirror_durable(f->mirror), common), 0);
  assert_int_equal(tide_mirror_epoch(f->mirror), 9);
  assert_int_equal(tide_journal_chain_open(&(struct tide_journal_file_options){.dir = aside}, &lost, &f->error), TIDE_OK);
  assert_int_equal(lost->ops->range(lost, &first, &last, &f->error), TIDE_OK);
  assert_true(first.epoch == 1 && first.seq == 30 && last.epoch == 9 && last.seq == 21);
  lost->ops->close(lost);
  tide_free(aside);
  grow(f, 60, 2, true);
  turns(f, 3);
  assert_whole(f, 1, 0);
  close_it(f);
  f->options.common = (struct tide_position){0, 0};
  assert_int_equal(open_it(f, false), TIDE_OK); /* nothing was lost since */
  assert_whole(f, 1, 0);
}

/* Nothing in common, in the mirror or in a snapshot: it is no failover, and not this cell's journal. */
static void nothing_in_common_is_refused(void **state) {
  struct fixture *f = *state;
  f->options.lossy = true;
  assert_int_equal(open_it(f, false), TIDE_OK);
  grow(f, 30, 1, true);
  turns(f, 3);
  close_it(f);
  f->journal->ops->close(f->journal);
  f->journal = tide_journal_memory_new();
  test_entry(77, 40, &f->entry);
  assert_int_equal(f->journal->ops->open_epoch(f->journal, 1, tide_buf_span(&f->entry), &f->last, &f->error), TIDE_OK);
  assert_int_equal(open_it(f, false), TIDE_E_HISTORY);
  assert_non_null(strstr(f->error.text, "restore"));
  assert_int_equal(open_it(f, true), TIDE_OK);
}

/* Others trimmed while this engine was away: the hole cannot be filled, so another mirror begins. */
static void begins_anew_behind_a_trim(void **state) {
  struct fixture *f = *state;
  struct tide_position durable;
  assert_int_equal(open_it(f, false), TIDE_OK);
  grow(f, 20, 1, true);
  turns(f, 3);
  close_it(f);
  grow(f, 40, 1, false);
  assert_int_equal(f->journal->ops->sync(f->journal, &durable, &f->error), TIDE_OK);
  assert_int_equal(f->journal->ops->trim(f->journal, (struct tide_position){1, 40}, (struct tide_span){NULL, 0}, &f->error), TIDE_OK);
  assert_int_equal(open_it(f, false), TIDE_OK);
  grow(f, 3, 1, true);
  turns(f, 3);
  assert_whole(f, 1, 40);
  char *aside = test_path(f->dir, "mirror.until-1-19");
  assert_int_equal(access(aside, F_OK), 0);
  tide_free(aside);
}

static void trims_what_is_kept_elsewhere(void **state) {
  struct fixture *f = *state;
  assert_int_equal(open_it(f, false), TIDE_OK);
  grow(f, 20, 1, true);
  snapshot_at(f, f->last); /* 1-19 */
  turns(f, 1);
  grow(f, 1, 1, true);
  turns(f, 30);
  grow(f, 200, 1, true);
  turns(f, 5);
  assert_int_equal(first_of(f).seq, 0); /* one snapshot: nothing to fall back to if it is damaged */
  snapshot_at(f, f->last);
  turns(f, 5);
  assert_int_equal(first_of(f).epoch, 1);
  assert_int_equal(first_of(f).seq, 19); /* the older one; the entry at it stays */
  assert_whole(f, 1, 0);
  grow(f, 1, 1, true);
  snapshot_at(f, f->last);
  turns(f, 5);
  assert_true(tide_position_cmp(first_of(f), (struct tide_position){1, 21}) <=
              0); /* the rest was folded within keep_ms of the last entry */
  turns(f, 20);
  grow(f, 1, 1, true); /* engine 1 lives, and its last entry is what is kept before */
  turns(f, 11);
  struct tide_position then = first_of(f);
  assert_true(tide_position_cmp(then, (struct tide_position){1, 19}) > 0);
  assert_whole(f, 1, 0);
  close_it(f); /* and after a start with a mirror that is there */
  assert_int_equal(open_it(f, false), TIDE_OK);
  grow(f, 5, 1, true);
  snapshot_at(f, f->last);
  turns(f, 2);
  grow(f, 5, 1, true);
  snapshot_at(f, f->last);
  turns(f, 30);
  assert_true(tide_position_cmp(first_of(f), then) > 0);
  assert_whole(f, 1, 0);
}

/* An engine that wrote within keep_ms holds the trim where it stood keep_ms before that. */
static void waits_for_a_slow_engine(void **state) {
  struct fixture *f = *state;
  assert_int_equal(open_it(f, false), TIDE_OK);
  grow(f, 10, 2, true); /* of engine 2, at 1-9 the last */
  for (int i = 0; i < 9; i++) {
    grow(f, 1, 1, true);
    turns(f, 1);
  }
  snapshot_at(f, (struct tide_position){1, 15});
  snapshot_at(f, (struct tide_position){1, 17});
  turns(f, 1);
  assert_int_equal(first_of(f).seq, 0);
  turns(f, 12); /* engine 2 has been silent for longer than it is waited for */
  turns(f, 12);
  assert_int_equal(first_of(f).seq, 15);
}

/* A fence would look like the beginning of a log. */
static void never_trims_to_a_fence(void **state) {
  struct fixture *f = *state;
  assert_int_equal(open_it(f, false), TIDE_OK);
  grow(f, 120, 1, true);
  snapshot_at(f, (struct tide_position){2, 0});
  snapshot_at(f, f->last);
  turns(f, 40);
  assert_int_equal(first_of(f).epoch, 1);
  assert_int_equal(first_of(f).seq, 0);
}

static void on_a_thread(void **state) {
  struct fixture *f = *state;
  f->options.trim = false;
  assert_int_equal(open_it(f, false), TIDE_OK);
  grow(f, 1, 1, true);
  turns(f, 1);
  tide_mirror_start(f->mirror);
  grow(f, 2000, 1, true); /* all fits into the queue: the journal in memory is not for two threads */
  close_it(f);
  assert_int_equal(open_it(f, false), TIDE_OK);
  assert_whole(f, 1, 0);
}

/* The file journal's own part: an entry anywhere first, then only what follows. */
static void a_copy_begins_anywhere(void **state) {
  struct fixture *f = *state;
  struct tide_journal *copy;
  struct tide_journal_file_options options = {.dir = f->mirror_dir, .create = true, .segment_bytes = 4096};
  struct tide_position at = {7, 300}, found, first, last, durable;
  assert_int_equal(tide_journal_file_open(&options, &copy, &f->error), TIDE_OK);
  for (; at.seq < 400; at.seq++) {
    test_entry(test_number(at), 100, &f->entry);
    assert_int_equal(tide_journal_file_put(copy, at, tide_buf_span(&f->entry), &f->error), TIDE_OK);
  }
  assert_int_equal(tide_journal_file_put(copy, (struct tide_position){7, 402}, tide_buf_span(&f->entry), &f->error), TIDE_E_MISMATCH);
  assert_int_equal(tide_journal_file_put(copy, (struct tide_position){7, 399}, tide_buf_span(&f->entry), &f->error), TIDE_E_MISMATCH);
  assert_int_equal(tide_journal_file_put(copy, (struct tide_position){9, 1}, tide_buf_span(&f->entry), &f->error), TIDE_E_MISMATCH);
  assert_int_equal(tide_journal_file_put(copy, (struct tide_position){9, 0}, tide_buf_span(&f->entry), &f->error), TIDE_OK);
  assert_int_equal(copy->ops->sync(copy, &durable, &f->error), TIDE_OK);
  assert_int_equal(copy->ops->trim(copy, (struct tide_position){7, 390}, (struct tide_span){NULL, 0}, &f->error), TIDE_OK);
  copy->ops->close(copy);
  assert_int_equal(tide_journal_file_open(&options, &copy, &f->error), TIDE_OK);
  assert_int_equal(copy->ops->range(copy, &first, &last, &f->error), TIDE_OK);
  assert_true(first.epoch == 7 && first.seq > 300 && last.epoch == 9 && last.seq == 0);
  copy->ops->close(copy);
  assert_int_equal(tide_journal_chain_open(&(struct tide_journal_file_options){.dir = f->mirror_dir}, &copy, &f->error), TIDE_OK);
  assert_int_equal(copy->ops->read(copy, (struct tide_position){7, 300}, true, &f->out, &found, &f->error), TIDE_OK);
  assert_true(found.epoch == 7 && found.seq == 300 && test_entry_is(tide_buf_span(&f->out), test_number(found)));
  copy->ops->close(copy);
}

static void nothing_in(void *ctx, unsigned index, struct tide_buf *out) {
  (void)ctx;
  tide_buf_printf(out, "chunk %u", index);
}

/* A snapshot that reads back, of what stands in the journal at `at`. */
static void real_snapshot_at(struct fixture *f, struct tide_position at) {
  struct tide_snapshot_manifest *manifest = tide_alloc(sizeof *manifest);
  struct tide_position found;
  assert_int_equal(f->journal->ops->read(f->journal, at, true, &f->out, &found, &f->error), TIDE_OK);
  *manifest = (struct tide_snapshot_manifest){.position = at, .entry_hash = tide_hash64(f->out.ptr, f->out.len, 0), .chunk_count = 3};
  assert_int_equal(tide_snapshot_write(f->snapshots, 1, manifest, nothing_in, NULL, &f->error), TIDE_OK);
  tide_free(manifest);
}

static size_t archive_files(struct fixture *f, uint64_t *ret_first) {
  char *dir = test_path(f->mirror_dir, "archive");
  uint64_t *number;
  size_t count = 0;
  assert_int_equal(tide_segment_list(dir, TIDE_ARCHIVE_SUFFIX, NULL, &number, &count, &f->error), TIDE_OK);
  if (count) *ret_first = number[0];
  tide_free(number);
  tide_free(dir);
  return count;
}

/* All files of the archive were written so long ago. */
static void age_archive(struct fixture *f, int64_t seconds) {
  uint64_t first = 0;
  size_t count = archive_files(f, &first);
  char *dir = test_path(f->mirror_dir, "archive");
  struct timespec at = {.tv_sec = tide_wall_now().ms / 1000 - seconds}, both[2] = {at, at};
  for (uint64_t number = first; number < first + count; number++) {
    char *path = tide_segment_path(dir, number, TIDE_ARCHIVE_SUFFIX);
    assert_int_equal(utimensat(AT_FDCWD, path, both, 0), 0);
    tide_free(path);
  }
  tide_free(dir);
}

/* Grows, takes two snapshots at the end and trims; a minute passes. */
static void grow_and_trim(struct fixture *f, bool real) {
  for (int i = 0; i < 2; i++) {
    grow(f, 30, 1, true);
    turns(f, 2);
    if (f->last.seq == 0) grow(f, 1, 1, true), turns(f, 1);
    if (real) real_snapshot_at(f, f->last);
    else snapshot_at(f, f->last);
  }
  f->now.ns += 61 * SECOND;
  turns(f, 3);
}

static void the_archive_is_pruned(void **state) {
  struct fixture *f = *state;
  uint64_t first = 0, then = 0;
  f->options.archive_keep_ms = INT64_C(400) * 86400000;
  assert_int_equal(open_it(f, false), TIDE_OK);
  grow(f, 2000, 1, true);
  turns(f, 3);
  grow_and_trim(f, true);
  size_t files = archive_files(f, &first);
  assert_true(files > 5);
  age_archive(f, 399 * 86400); /* not yet */
  grow_and_trim(f, true);
  assert_true(archive_files(f, &then) >= files);
  assert_int_equal(then, first);
  assert_int_equal(tide_mirror_pruned(f->mirror), 0);
  age_archive(f, 401 * 86400);
  grow_and_trim(f, true);
  size_t left = archive_files(f, &then);
  assert_true(then > first && left >= 1);
  assert_int_equal(tide_mirror_pruned(f->mirror), then - first);
  /* What is left is one log without a gap, up to its end, and begins with no fence. */
  struct tide_journal *chain;
  struct tide_position from, to;
  assert_int_equal(tide_journal_chain_open(&(struct tide_journal_file_options){.dir = f->mirror_dir}, &chain, &f->error), TIDE_OK);
  const char *wrong = test_journal_walk(chain, &from, &to, &f->error);
  chain->ops->close(chain);
  if (wrong) fail_msg("%s: %s", wrong, f->error.text);
  assert_true(from.epoch > 1 && from.seq > 0);
  assert_int_equal(tide_position_cmp(to, f->last), 0);
  /* And the mirror goes on from it. */
  close_it(f);
  assert_int_equal(open_it(f, false), TIDE_OK);
  grow_and_trim(f, true);
}

/* One that does not read back, and one of another entry: nothing goes. */
static void only_behind_a_snapshot_that_reads_back(void **state) {
  struct fixture *f = *state;
  uint64_t first = 0, then = 0;
  f->options.archive_keep_ms = 1000;
  assert_int_equal(open_it(f, false), TIDE_OK);
  grow(f, 2000, 1, true);
  turns(f, 3);
  grow_and_trim(f, false); /* empty directories: trimmed by, as before */
  (void)archive_files(f, &first);
  age_archive(f, 86400);
  grow_and_trim(f, false);
  assert_true(archive_files(f, &then) > 3);
  assert_int_equal(then, first);
  assert_int_equal(tide_mirror_pruned(f->mirror), 0);
  grow_and_trim(f, true);
  (void)archive_files(f, &then);
  assert_true(then > first);
}

static void for_ever_is_for_ever(void **state) {
  struct fixture *f = *state;
  uint64_t first = 0, then = 0;
  assert_int_equal(open_it(f, false), TIDE_OK);
  grow(f, 2000, 1, true);
  turns(f, 3);
  grow_and_trim(f, true);
  size_t files = archive_files(f, &first);
  age_archive(f, INT64_C(4000) * 86400);
  grow_and_trim(f, true);
  assert_true(archive_files(f, &then) >= files);
  assert_int_equal(then, first);
}

int main(void) {
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
  const struct CMUnitTest tests[] = {
      CASE(a_copy_begins_anywhere),       CASE(holds_what_was_folded),
      CASE(reads_what_did_not_fit),       CASE(never_runs_ahead_of_the_fold),
      CASE(another_journal_is_refused),   CASE(begins_anew_behind_a_trim),
      CASE(goes_back_to_what_both_hold),  CASE(nothing_in_common_is_refused),
      CASE(trims_what_is_kept_elsewhere), CASE(waits_for_a_slow_engine),
      CASE(never_trims_to_a_fence),       CASE(on_a_thread),
      CASE(the_archive_is_pruned),        CASE(only_behind_a_snapshot_that_reads_back),
      CASE(for_ever_is_for_ever),
  };
  return cmocka_run_group_tests_name("mirror", tests, NULL, NULL);
}
