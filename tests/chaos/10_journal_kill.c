/* kill -9 and power loss against the file journal.
 *
 * A child appends, syncs, rotates, opens epochs and trims, and reports each durable position through a pipe; the parent kills it at a
 * random moment, mostly while it is inside a system call, and looks: everything reported is there, nothing torn is seen, the sequence
 * is dense. Meanwhile the parent reads the same journal without a lock, as audit and inspect do.
 *
 * A killed process loses nothing that it wrote; a power cut does. So the second half writes through a disk of its own that forgets,
 * at the cut, any subset of the sectors that no fdatasync covered, whatever their order. */
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "../support/journal_check.h"
#include "adapter/archive.h"

enum { KILLS = 220, CUTS = 400, SECTOR = 512 };

static void nap(uint64_t us) { nanosleep(&(struct timespec){(time_t)(us / 1000000), (long)(us % 1000000) * 1000}, NULL); }

/* The child. Any failure that is not the parent's kill ends it with a code, which the parent takes as a failed test. */
static _Noreturn void write_for_ever(const char *dir, int report, uint64_t seed) {
  struct tide_journal *journal;
  struct tide_error error;
  struct tide_buf entry = TIDE_BUF_INIT;
  struct tide_position first, last, at, durable;
  struct tide_journal_file_options options = {.dir = dir, .create = true, .segment_bytes = 40000};
  if (tide_journal_file_open(&options, &journal, &error) != TIDE_OK) {
    fprintf(stderr, "# child: %s\n", error.text);
    _exit(10);
  }
  for (;;) {
    unsigned batch = 1 + (unsigned)(test_random(&seed) % 30);
    for (unsigned i = 0; i < batch; i++) {
      journal->ops->range(journal, &first, &last, NULL);
      bool fence = last.epoch == 0 || test_random(&seed) % 300 == 0;
      struct tide_position next = fence ? (struct tide_position){last.epoch + 1, 0} : (struct tide_position){last.epoch, last.seq + 1};
      test_entry(test_number(next), 8 + test_random(&seed) % 700, &entry);
      enum tide_err err = fence ? journal->ops->open_epoch(journal, next.epoch, tide_buf_span(&entry), &at, &error)
                                : journal->ops->append(journal, last.epoch, tide_buf_span(&entry), &at, &error);
      if (err || tide_position_cmp(at, next) != 0) {
        _exit(11);
      }
    }
    if (journal->ops->sync(journal, &durable, &error) != TIDE_OK || tide_position_cmp(durable, at) != 0) {
      _exit(12);
    }
    if (write(report, &durable, sizeof durable) != (ssize_t)sizeof durable) {
      _exit(13);
    }
    if (test_random(&seed) % 40 == 0 && journal->ops->trim(journal, durable, (struct tide_span){NULL, 0}, &error) != TIDE_OK) {
      fprintf(stderr, "# child: %s\n", error.text);
      _exit(14);
    }
  }
}

/* Reads on from `at` without the lock, as far as there is something. */
static void follow(const char *dir, struct tide_position *at) {
  struct tide_journal *journal;
  struct tide_error error = {0};
  struct tide_buf out = TIDE_BUF_INIT;
  enum tide_err err = tide_journal_chain_open(&(struct tide_journal_file_options){.dir = dir}, &journal, &error);
  if (err == TIDE_E_NOT_FOUND) {
    return;
  }
  if (err) {
    fail_msg("reading beside the writer: %s", error.text);
  }
  for (int i = 0; i < 200; i++) {
    struct tide_position found;
    err = journal->ops->read(journal, *at, false, &out, &found, &error);
    if (err) {
      break;
    }
    assert_true(tide_position_follows(*at, found));
    assert_true(test_entry_is(tide_buf_span(&out), test_number(found)));
    *at = found;
  }
  if (err && err != TIDE_E_END) {
    fail_msg("reading beside the writer: %s", error.text);
  }
  journal->ops->close(journal);
  tide_buf_release(&out);
}

static void nothing_acknowledged_is_lost_by_kill(void **state) {
  (void)state;
  char *dir = test_dir("kill");
  uint64_t seed = 42, rounds_with_reports = 0;
  struct tide_position acked = {0, 0}, last, followed = {0, 0};
  struct tide_error error = {0};
  for (int kills = 0; kills < KILLS; kills++) {
    int report[2];
    assert_int_equal(pipe(report), 0);
    fflush(NULL);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
      close(report[0]);
      write_for_ever(dir, report[1], (uint64_t)kills * 7919);
    }
    close(report[1]);
    if (kills % 4 == 3) {
      follow(dir, &followed);
    }
    /* Every other writer is killed some time after its first acknowledgement, however slow the machine is; the others at any moment. */
    if (kills % 2 == 0) {
      struct pollfd first_report = {.fd = report[0], .events = POLLIN};
      assert_int_equal(poll(&first_report, 1, 60000), 1);
    }
    nap(test_random(&seed) % (kills % 10 == 0 ? 60000 : 12000));
    assert_int_equal(kill(child, SIGKILL), 0);
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    if (!WIFSIGNALED(status)) {
      fail_msg("the writer ended by itself with code %d", WEXITSTATUS(status));
    }
    struct tide_position got;
    bool any = false;
    while (read(report[0], &got, sizeof got) == (ssize_t)sizeof got) {
      acked = got;
      any = true;
    }
    close(report[0]);
    rounds_with_reports += any;
    /* The whole log is read now and then; its end always. */
    if (kills % 10 == 9 || kills + 1 == KILLS) {
      const char *wrong = test_journal_whole(dir, acked, &last, &error);
      if (wrong) {
        fail_msg("after kill %d: %s (%s); acknowledged %llu-%llu", kills, wrong, error.text, (unsigned long long)acked.epoch,
                 (unsigned long long)acked.seq);
      }
      assert_true(tide_position_cmp(followed, last) <= 0);
    } else if (acked.epoch != 0) {
      struct tide_journal *journal;
      struct tide_buf out = TIDE_BUF_INIT;
      struct tide_journal_file_options options = {.dir = dir, .read_only = true};
      assert_int_equal(tide_journal_file_open(&options, &journal, &error), TIDE_OK);
      assert_int_equal(journal->ops->read(journal, acked, true, &out, &got, &error), TIDE_OK);
      assert_int_equal(tide_position_cmp(got, acked), 0);
      assert_true(test_entry_is(tide_buf_span(&out), test_number(acked)));
      journal->ops->close(journal);
      tide_buf_release(&out);
    }
  }
  print_message("# %d kills, %llu rounds acknowledged something, last position %llu-%llu\n", KILLS, (unsigned long long)rounds_with_reports,
                (unsigned long long)last.epoch, (unsigned long long)last.seq);
  assert_true(rounds_with_reports >= KILLS / 2);
  test_dir_remove(dir);
  tide_free(dir);
}

/* A disk that forgets: of every file, how much of it a sync has covered. */
enum { DISK_FILES = 4096 };
static struct {
  ino_t inode[DISK_FILES];
  size_t synced[DISK_FILES];
  size_t count;
} disk;

static size_t *disk_synced(ino_t inode) {
  size_t i = disk.count;
  while (i > 0 && disk.inode[i - 1] != inode) {
    i--;
  }
  if (i == 0) {
    assert_true(disk.count < DISK_FILES);
    disk.inode[disk.count] = inode;
    disk.synced[disk.count++] = 0;
    i = disk.count;
  }
  return &disk.synced[i - 1];
}
static int disk_sync(int fd) {
  struct stat stat;
  int rc = fsync(fd);
  if (rc == 0 && fstat(fd, &stat) == 0 && S_ISREG(stat.st_mode)) {
    *disk_synced(stat.st_ino) = (size_t)stat.st_size;
  }
  return rc;
}

/* What a power cut leaves of a file: what was synced, and of each younger sector either its content or nothing, up to any length. True if
 * there was something to forget. */
static bool disk_cut(const char *path, uint64_t *seed) {
  struct stat before;
  int fd = open(path, O_RDWR);
  assert_true(fd >= 0 && fstat(fd, &before) == 0);
  size_t size = (size_t)before.st_size, synced = *disk_synced(before.st_ino);
  assert_true(size >= synced && synced >= TIDE_SEGMENT_HEADER_BYTES);
  char *bytes = tide_alloc(size + SECTOR);
  assert_int_equal(pread(fd, bytes, size, 0), before.st_size);
  unsigned keep = (unsigned)(test_random(seed) % 5); /* 0: almost nothing, 4: almost everything */
  for (size_t at = synced / SECTOR * SECTOR; at < size; at += SECTOR) {
    if (test_random(seed) % 5 < keep) {
      continue;
    }
    for (size_t i = at < synced ? synced : at; i < at + SECTOR && i < size; i++) {
      bytes[i] = 0;
    }
  }
  size_t left = test_random(seed) % 3 ? size : synced + test_random(seed) % (size - synced + 1);
  assert_int_equal(pwrite(fd, bytes, left, 0), (ssize_t)left);
  assert_int_equal(ftruncate(fd, (off_t)left), 0);
  close(fd);
  tide_free(bytes);
  return size > synced;
}

static void nothing_acknowledged_is_lost_by_power(void **state) {
  (void)state;
  char *dir = test_dir_fast("power");
  uint64_t seed = 7, cut_some = 0;
  struct tide_sys sys = tide_sys_real;
  sys.fsync = disk_sync;
  sys.fdatasync = disk_sync;
  struct tide_position acked = {0, 0};
  struct tide_error error = {0};
  struct tide_buf entry = TIDE_BUF_INIT;
  for (int cut = 0; cut < CUTS; cut++) {
    struct tide_journal *journal;
    struct tide_position first, last, at, durable;
    struct tide_journal_file_options options = {.dir = dir, .create = true, .segment_bytes = 60000};
    enum tide_err err = tide_journal_file_open_sys(&options, &sys, &journal, &error);
    if (err) {
      fail_msg("after cut %d: %s", cut, error.text);
    }
    journal->ops->range(journal, &first, &last, NULL);
    assert_true(tide_position_cmp(last, acked) >= 0);
    const char *wrong = test_journal_walk(journal, &first, &last, &error);
    if (wrong) {
      fail_msg("after cut %d: %s (%s)", cut, wrong, error.text);
    }
    for (unsigned batches = 1 + (unsigned)(test_random(&seed) % 4); batches > 0; batches--) {
      for (unsigned i = 1 + (unsigned)(test_random(&seed) % 12); i > 0; i--) {
        journal->ops->range(journal, &first, &last, NULL);
        struct tide_position next = last.epoch == 0 ? (struct tide_position){1, 0} : (struct tide_position){last.epoch, last.seq + 1};
        test_entry(test_number(next), 8 + test_random(&seed) % 900, &entry);
        err = last.epoch == 0 ? journal->ops->open_epoch(journal, 1, tide_buf_span(&entry), &at, &error)
                              : journal->ops->append(journal, 1, tide_buf_span(&entry), &at, &error);
        assert_int_equal(err, TIDE_OK);
      }
      if (batches > 1) {
        assert_int_equal(journal->ops->sync(journal, &durable, &error), TIDE_OK);
        acked = durable;
      }
    }
    /* The last batch comes to the kernel, but no sync of the disk's covers it. */
    sys.fdatasync = fdatasync;
    uint64_t *numbers;
    size_t count;
    assert_int_equal(journal->ops->sync(journal, &durable, &error), TIDE_OK);
    journal->ops->close(journal);
    assert_int_equal(tide_segment_list(dir, TIDE_SEGMENT_SUFFIX, NULL, &numbers, &count, &error), TIDE_OK);
    bool forgot = false;
    for (size_t i = 0; i < count; i++) {
      char *path = tide_segment_path(dir, numbers[i], TIDE_SEGMENT_SUFFIX);
      forgot |= disk_cut(path, &seed);
      tide_free(path);
    }
    cut_some += forgot;
    tide_free(numbers);
    sys.fdatasync = disk_sync;
  }
  assert_true(cut_some > CUTS / 4);
  assert_true(acked.seq > CUTS);
  tide_buf_release(&entry);
  test_dir_remove(dir);
  tide_free(dir);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(nothing_acknowledged_is_lost_by_kill),
      cmocka_unit_test(nothing_acknowledged_is_lost_by_power),
  };
  return cmocka_run_group_tests_name("journal_kill", tests, NULL, NULL);
}
