/* Damage and refusals: every byte of the tail torn or flipped, every system call failing, a full disk, a directory that may not be
 * written.
 *
 * The answers are always the same three: what was acknowledged is there, what is shown is whole, and what cannot be done is said. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "../support/journal_check.h"
#include "adapter/archive.h"

static struct tide_error error;
static struct tide_buf entry;

static struct tide_journal *open_writer(const char *dir, uint64_t segment_bytes) {
  struct tide_journal *journal = NULL;
  struct tide_journal_file_options options = {.dir = dir, .create = true, .segment_bytes = segment_bytes};
  if (tide_journal_file_open(&options, &journal, &error) != TIDE_OK) {
    fail_msg("%s", error.text);
  }
  return journal;
}

/* The entry that comes next, of `len` bytes; opens epoch 1 first. */
static enum tide_err add(struct tide_journal *journal, size_t len) {
  struct tide_position first, last, at;
  journal->ops->range(journal, &first, &last, NULL);
  struct tide_position next = last.epoch ? (struct tide_position){last.epoch, last.seq + 1} : (struct tide_position){1, 0};
  test_entry(test_number(next), len, &entry);
  return last.epoch ? journal->ops->append(journal, next.epoch, tide_buf_span(&entry), &at, &error)
                    : journal->ops->open_epoch(journal, 1, tide_buf_span(&entry), &at, &error);
}
static struct tide_position sync_all(struct tide_journal *journal) {
  struct tide_position durable;
  assert_int_equal(journal->ops->sync(journal, &durable, &error), TIDE_OK);
  return durable;
}

static void read_file(const char *path, struct tide_buf *out) {
  int fd = open(path, O_RDONLY);
  struct stat stat;
  assert_true(fd >= 0 && fstat(fd, &stat) == 0);
  tide_buf_clear(out);
  tide_buf_reserve(out, (size_t)stat.st_size + 1);
  assert_int_equal(read(fd, out->ptr, (size_t)stat.st_size), stat.st_size);
  out->len = (size_t)stat.st_size;
  close(fd);
}
static void write_file(const char *path, const char *bytes, size_t len) {
  int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0640);
  assert_true(fd >= 0);
  assert_int_equal(write(fd, bytes, len), (ssize_t)len);
  close(fd);
}

/* Opens as a writer, checks that exactly the entries up to 1-seq are there and that the log goes on. */
static void assert_holds_exactly(const char *dir, uint64_t seq) {
  struct tide_journal *journal = open_writer(dir, 0);
  struct tide_position first, last;
  const char *wrong = test_journal_walk(journal, &first, &last, &error);
  if (wrong || last.seq != seq) {
    fail_msg("%s; last is 1-%llu instead of 1-%llu", wrong ? wrong : "wrong end", (unsigned long long)last.seq, (unsigned long long)seq);
  }
  assert_int_equal(add(journal, 30), TIDE_OK);
  assert_int_equal(sync_all(journal).seq, seq + 1);
  journal->ops->close(journal);
}

/* Four synced entries, each in a group of its own, then three in one group that was written but, as far as the file can tell, never
 * covered by a later sync. Offsets of the frames' ends are returned. */
enum { ALONE = 4, TOGETHER = 3, FRAMES = 1 + ALONE + TOGETHER };
static void make_tail(const char *dir, size_t end[FRAMES + 1]) {
  struct tide_journal *journal = open_writer(dir, 0);
  size_t at = TIDE_SEGMENT_HEADER_BYTES;
  end[0] = at;
  for (int i = 0; i < FRAMES; i++) {
    assert_int_equal(add(journal, 9 + (size_t)i), TIDE_OK);
    at += TIDE_FRAME_HEADER_BYTES + entry.len;
    end[i + 1] = at;
    if (i <= ALONE) {
      (void)sync_all(journal);
    }
  }
  (void)sync_all(journal);
  journal->ops->close(journal);
}

static void torn_at_every_byte(void **state) {
  (void)state;
  char *dir = test_dir_fast("torn"), *path = tide_segment_path(dir, 1, TIDE_SEGMENT_SUFFIX);
  size_t end[FRAMES + 1];
  struct tide_buf whole = TIDE_BUF_INIT;
  make_tail(dir, end);
  read_file(path, &whole);
  assert_int_equal(whole.len, end[FRAMES]);
  for (size_t len = TIDE_SEGMENT_HEADER_BYTES + 1; len <= whole.len; len++) {
    uint64_t frames = 0;
    while (frames < FRAMES && end[frames + 1] <= len) {
      frames++;
    }
    write_file(path, whole.ptr, len);
    if (frames > 0) {
      /* A reader without the lock sees the same and changes nothing. */
      struct tide_journal *reader;
      struct tide_position first, last;
      struct stat stat_after;
      assert_int_equal(tide_journal_file_open(&(struct tide_journal_file_options){.dir = dir, .read_only = true}, &reader, &error),
                       TIDE_OK);
      assert_null(test_journal_walk(reader, &first, &last, &error));
      assert_int_equal(last.seq, frames - 1);
      reader->ops->close(reader);
      assert_int_equal(stat(path, &stat_after), 0);
      assert_int_equal(stat_after.st_size, len);
      assert_holds_exactly(dir, frames - 1);
    }
  }
  tide_buf_release(&whole);
  test_dir_remove(dir);
  tide_free(path);
  tide_free(dir);
}

static void flipped_at_every_byte(void **state) {
  (void)state;
  char *dir = test_dir_fast("flip"), *path = tide_segment_path(dir, 1, TIDE_SEGMENT_SUFFIX);
  size_t end[FRAMES + 1];
  struct tide_buf whole = TIDE_BUF_INIT;
  make_tail(dir, end);
  read_file(path, &whole);
  int corrupt = 0, cut = 0;
  for (size_t at = 0; at < whole.len; at++) {
    whole.ptr[at] ^= 0x11;
    write_file(path, whole.ptr, whole.len);
    whole.ptr[at] ^= 0x11;
    size_t frame = 0;
    while (at >= end[frame]) {
      frame++;
    }
    struct tide_journal *journal = NULL;
    struct tide_journal_file_options options = {.dir = dir};
    if (frame <= ALONE + 1) {
      /* The header, or an entry behind which another was written after its sync: never cut, named with its byte. */
      char where[40];
      snprintf(where, sizeof where, "byte %zu,", frame ? end[frame - 1] : 44);
      assert_int_equal(tide_journal_file_open(&options, &journal, &error), TIDE_E_CORRUPT);
      assert_non_null(strstr(error.text, "000000000001.tdj"));
      if (frame > 0) {
        assert_non_null(strstr(error.text, where));
      }
      assert_true(strstr(error.text, "archive") != NULL);
      corrupt++;
    } else {
      assert_holds_exactly(dir, frame - 2);
      cut++;
    }
  }
  assert_true(corrupt > 200 && cut > 100);
  tide_buf_release(&whole);
  test_dir_remove(dir);
  tide_free(path);
  tide_free(dir);
}

/* A frame that is whole and comes next, but was written into another log: it does not count here, neither as an entry nor as proof. */
static void frames_of_another_log_mean_nothing(void **state) {
  (void)state;
  char *dir = test_dir_fast("mine"), *theirs = test_dir_fast("theirs");
  char *path = tide_segment_path(dir, 1, TIDE_SEGMENT_SUFFIX), *other = tide_segment_path(theirs, 1, TIDE_SEGMENT_SUFFIX);
  struct tide_buf bytes = TIDE_BUF_INIT, mine = TIDE_BUF_INIT;
  for (int count = 5; count <= 7; count += 2) {
    struct tide_journal *journal = open_writer(count == 5 ? dir : theirs, 0);
    for (int i = 0; i < count; i++) {
      assert_int_equal(add(journal, 50), TIDE_OK);
      (void)sync_all(journal);
    }
    journal->ops->close(journal);
  }
  size_t frame = TIDE_FRAME_HEADER_BYTES + 50;
  read_file(path, &mine);
  read_file(other, &bytes);
  size_t own = mine.len;
  /* Their next frame behind mine; the same with the first of the two damaged, so that the second would prove damage. */
  tide_buf_put(&mine, bytes.ptr + own, 2 * frame);
  write_file(path, mine.ptr, mine.len);
  assert_holds_exactly(dir, 4);
  mine.ptr[own + 40] ^= 1;
  write_file(path, mine.ptr, mine.len);
  assert_holds_exactly(dir, 4);
  test_dir_remove(dir);
  test_dir_remove(theirs);
  char *strings[] = {dir, theirs, path, other};
  for (size_t i = 0; i < sizeof strings / sizeof strings[0]; i++) {
    tide_free(strings[i]);
  }
  tide_buf_release(&bytes);
  tide_buf_release(&mine);
}

/* The same log taken up twice from one copy of its first segment, as after a restore: both second segments fit by position, and only the
 * checksum of the entry before tells which one belongs here. */
static void another_history(const char *dir, const char *second, const struct tide_buf *whole) {
  char *twin = test_dir_fast("twin"), *from = tide_segment_path(dir, 1, TIDE_SEGMENT_SUFFIX),
       *first = tide_segment_path(twin, 1, TIDE_SEGMENT_SUFFIX);
  struct tide_buf bytes = TIDE_BUF_INIT;
  struct tide_position a, b;
  read_file(from, &bytes);
  write_file(first, bytes.ptr, bytes.len - 1); /* its last entry is torn, and then written anew with other content */
  struct tide_journal *journal = open_writer(twin, 400);
  for (int i = 0; i < 5; i++) {
    test_entry(1000 + (uint64_t)i, 60, &entry);
    assert_int_equal(journal->ops->append(journal, 1, tide_buf_span(&entry), &a, &error), TIDE_OK);
  }
  (void)sync_all(journal);
  journal->ops->close(journal);
  char *other = tide_segment_path(twin, 2, TIDE_SEGMENT_SUFFIX);
  read_file(other, &bytes);
  write_file(second, bytes.ptr, bytes.len);
  journal = open_writer(dir, 400);
  assert_string_equal(test_journal_walk(journal, &a, &b, &error), "an entry cannot be read");
  assert_int_equal(error.code, TIDE_E_CORRUPT);
  journal->ops->close(journal);
  write_file(second, whole->ptr, whole->len);
  test_dir_remove(twin);
  char *strings[] = {twin, from, first, other};
  for (size_t i = 0; i < sizeof strings / sizeof strings[0]; i++) {
    tide_free(strings[i]);
  }
  tide_buf_release(&bytes);
}

/* Segments that are not the last are whole by construction; whatever happens to one is noticed, at the latest when it is read. */
static void damaged_segments_are_named(void **state) {
  (void)state;
  char *dir = test_dir_fast("segments");
  struct tide_journal *journal = open_writer(dir, 400);
  for (int i = 0; i < 60; i++) {
    assert_int_equal(add(journal, 60), TIDE_OK);
  }
  (void)sync_all(journal);
  journal->ops->close(journal);
  uint64_t *number;
  size_t count;
  assert_int_equal(tide_segment_list(dir, TIDE_SEGMENT_SUFFIX, NULL, &number, &count, &error), TIDE_OK);
  assert_true(count > 10);
  tide_free(number);
  char *second = tide_segment_path(dir, 2, TIDE_SEGMENT_SUFFIX), *third = tide_segment_path(dir, 3, TIDE_SEGMENT_SUFFIX);
  struct tide_buf whole = TIDE_BUF_INIT, other = TIDE_BUF_INIT;
  struct tide_position first, last;
  read_file(second, &whole);
  read_file(third, &other);
  size_t frame = TIDE_FRAME_HEADER_BYTES + 60;
  for (size_t len = TIDE_SEGMENT_HEADER_BYTES; len < whole.len; len += 5) {
    write_file(second, whole.ptr, len);
    journal = open_writer(dir, 400);
    assert_string_equal(test_journal_walk(journal, &first, &last, &error), "an entry cannot be read");
    assert_non_null(strstr(error.text, "000000000002.tdj"));
    journal->ops->close(journal);
  }
  for (size_t at = TIDE_SEGMENT_HEADER_BYTES; at < whole.len; at += 3) {
    whole.ptr[at] ^= 1;
    write_file(second, whole.ptr, whole.len);
    whole.ptr[at] ^= 1;
    journal = open_writer(dir, 400);
    assert_string_equal(test_journal_walk(journal, &first, &last, &error), "an entry cannot be read");
    /* What stands before is still readable. */
    assert_true(last.seq + 1 >= (TIDE_SEGMENT_HEADER_BYTES + frame * 3) / frame);
    journal->ops->close(journal);
  }
  /* The files of two segments exchanged, one of another log, one gone. */
  struct tide_journal_file_options options = {.dir = dir};
  another_history(dir, second, &whole);
  write_file(second, other.ptr, other.len);
  assert_int_equal(tide_journal_file_open(&options, &journal, &error), TIDE_E_CORRUPT);
  char *elsewhere = test_dir_fast("elsewhere");
  journal = open_writer(elsewhere, 400);
  for (int i = 0; i < 60; i++) {
    assert_int_equal(add(journal, 60), TIDE_OK);
  }
  (void)sync_all(journal);
  journal->ops->close(journal);
  char *foreign = tide_segment_path(elsewhere, 2, TIDE_SEGMENT_SUFFIX);
  read_file(foreign, &other);
  write_file(second, other.ptr, other.len);
  assert_int_equal(tide_journal_file_open(&options, &journal, &error), TIDE_E_CORRUPT);
  assert_non_null(strstr(error.text, "another log"));
  assert_int_equal(unlink(second), 0);
  assert_int_equal(tide_journal_file_open(&options, &journal, &error), TIDE_E_CORRUPT);
  write_file(second, whole.ptr, whole.len);
  journal = open_writer(dir, 400);
  assert_null(test_journal_walk(journal, &first, &last, &error));
  assert_int_equal(last.seq, 59);
  journal->ops->close(journal);
  test_dir_remove(dir);
  test_dir_remove(elsewhere);
  char *strings[] = {dir, elsewhere, second, third, foreign};
  for (size_t i = 0; i < sizeof strings / sizeof strings[0]; i++) {
    tide_free(strings[i]);
  }
  tide_buf_release(&whole);
  tide_buf_release(&other);
}

/* The Nth call fails, for all N */

enum mode { FAIL_EIO, FAIL_ENOSPC, SHORT_WRITE, CRASH, MODES };
static struct {
  enum mode mode;
  int at, calls;
  bool sync_failed;
} fault;

/* True when this call is to fail; errno is set. */
static bool fails(void) {
  fault.calls++;
  bool now = fault.mode == CRASH ? fault.calls >= fault.at : fault.calls == fault.at;
  errno = fault.mode == FAIL_ENOSPC ? ENOSPC : EIO;
  return now && fault.mode != SHORT_WRITE;
}
static int fault_open(const char *path, int flags, mode_t mode) { return fails() ? -1 : tide_sys_real.open(path, flags, mode); }
static ssize_t fault_pwrite(int fd, const void *ptr, size_t len, off_t at) {
  bool now = fails(), torn = fault.calls == fault.at && len > 1;
  int was = errno;
  if (torn) {
    ssize_t half = pwrite(fd, ptr, len / 2, at);
    if (!now) {
      return half;
    }
    errno = was;
  }
  return now ? -1 : pwrite(fd, ptr, len, at);
}
static int fault_fdatasync(int fd) {
  bool now = fails();
  fault.sync_failed |= now;
  return now ? -1 : fdatasync(fd);
}
static int fault_fsync(int fd) { return fails() ? -1 : fsync(fd); }
static int fault_ftruncate(int fd, off_t len) { return fails() ? -1 : ftruncate(fd, len); }
static int fault_rename(const char *from, const char *to) { return fails() ? -1 : rename(from, to); }
static int fault_unlink(const char *path) { return fails() ? -1 : unlink(path); }
static int fault_mkdir(const char *path, mode_t mode) { return fails() ? -1 : mkdir(path, mode); }
static const struct tide_sys fault_sys = {fault_open,      fault_pwrite, fault_fdatasync, fault_fsync,
                                          fault_ftruncate, fault_rename, fault_unlink,    fault_mkdir};

static void assert_said(enum tide_err err) {
  assert_true(err == TIDE_E_IO || err == TIDE_E_FULL);
  assert_int_equal(error.code, err);
  assert_true(strlen(error.text) > 20);
}

/* Everything that a journal does in its life; returns the last position that was acknowledged. */
static struct tide_position live(const char *dir, struct tide_position acked) {
  struct tide_journal *journal;
  struct tide_journal_file_options options = {.dir = dir, .create = true, .segment_bytes = 300};
  fault.sync_failed = false;
  enum tide_err err = tide_journal_file_open_sys(&options, &fault_sys, &journal, &error);
  if (err) {
    assert_said(err);
    return acked;
  }
  for (int i = 0; i < 14; i++) {
    struct tide_position first, before, after, durable = {0, 0};
    journal->ops->range(journal, &first, &before, NULL);
    err = add(journal, 10 + (size_t)(i * 53 % 130)); /* a small one may fit where a large one did not */
    journal->ops->range(journal, &first, &after, NULL);
    if (err) {
      assert_said(err);
      assert_int_equal(tide_position_cmp(before, after), 0);
    }
    if (fault.sync_failed) {
      assert_int_equal(add(journal, 20), TIDE_E_IO);
      assert_int_equal(journal->ops->sync(journal, &durable, &error), TIDE_E_IO);
      assert_int_equal(journal->ops->trim(journal, acked, (struct tide_span){NULL, 0}, &error), TIDE_E_IO);
      assert_int_equal(journal->ops->read(journal, acked, true, &entry, &durable, &error), TIDE_E_IO);
      assert_non_null(strstr(error.text, "again"));
      break;
    }
    if (i % 2 == 1) {
      err = journal->ops->sync(journal, &durable, &error);
      if (err) {
        assert_said(err);
      } else {
        assert_int_equal(tide_position_cmp(durable, after), 0);
        acked = durable;
      }
    }
    if (i == 7 || i == 13) {
      err = journal->ops->trim(journal, acked, (struct tide_span){NULL, 0}, &error);
      if (err) {
        assert_said(err);
      }
    }
  }
  journal->ops->close(journal);
  return acked;
}

static void every_call_may_fail(void **state) {
  (void)state;
  int runs = 0;
  for (enum mode mode = 0; mode < MODES; mode++) {
    for (int at = 1;; at++) {
      char *dir = test_dir_fast("fault");
      struct tide_position acked = {0, 0}, last;
      fault.mode = mode;
      fault.at = at;
      fault.calls = 0;
      /* Twice: the second life begins with what the first left, and the call may fail there. */
      for (int life = 0; life < 2; life++) {
        acked = live(dir, acked);
      }
      bool reached = fault.calls >= at;
      struct tide_journal *journal = open_writer(dir, 300);
      const char *wrong = test_journal_whole(dir, acked, &last, &error);
      if (wrong) {
        fail_msg("mode %d, call %d: %s (%s)", (int)mode, at, wrong, error.text);
      }
      assert_int_equal(add(journal, 50), TIDE_OK);
      acked = sync_all(journal);
      assert_int_equal(journal->ops->trim(journal, acked, (struct tide_span){NULL, 0}, &error), TIDE_OK);
      wrong = test_journal_whole(dir, acked, &last, &error);
      if (wrong) {
        fail_msg("mode %d, call %d, afterwards: %s (%s)", (int)mode, at, wrong, error.text);
      }
      journal->ops->close(journal);
      test_dir_remove(dir);
      tide_free(dir);
      runs++;
      if (!reached) {
        break;
      }
    }
  }
  print_message("# %d runs\n", runs);
  assert_true(runs > 4 * 50);
}

/* Fills the place that `dir` is on until nothing more goes in; everything acknowledged must be there, and with room it goes on. */
static void fill_up(const char *dir, void (*make_room)(const char *dir)) {
  struct tide_journal *journal = open_writer(dir, 100000);
  struct tide_position acked = {0, 0}, durable, last;
  enum tide_err err = TIDE_OK;
  for (int i = 0; i < 10000 && !err; i++) {
    err = add(journal, 5000);
    if (!err) {
      err = journal->ops->sync(journal, &durable, &error);
    }
    if (!err) {
      acked = durable;
    }
  }
  assert_int_equal(err, TIDE_E_FULL);
  assert_non_null(strstr(error.text, "room"));
  assert_true(acked.seq > 20);
  /* Still full: still said, and nothing is pretended. */
  assert_int_equal(journal->ops->sync(journal, &durable, &error), TIDE_E_FULL);
  const char *wrong = test_journal_whole(dir, acked, &last, &error);
  if (wrong) {
    fail_msg("%s (%s)", wrong, error.text);
  }
  make_room(dir);
  acked = sync_all(journal);
  assert_int_equal(add(journal, 100), TIDE_OK);
  acked = sync_all(journal);
  journal->ops->close(journal);
  wrong = test_journal_whole(dir, acked, &last, &error);
  if (wrong) {
    fail_msg("with room again: %s (%s)", wrong, error.text);
  }
}

static void lift_limit(const char *dir) {
  (void)dir;
  struct rlimit limit;
  assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
  limit.rlim_cur = limit.rlim_max;
  assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

static void a_file_size_limit_is_said(void **state) {
  (void)state;
  char *dir = test_dir("limit");
  struct rlimit limit;
  signal(SIGXFSZ, SIG_IGN);
  assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
  limit.rlim_cur = 300000;
  struct tide_journal *journal = open_writer(dir, 0);
  journal->ops->close(journal);
  assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
  /* One segment larger than the limit. */
  journal = open_writer(dir, 0);
  struct tide_position acked = {0, 0}, durable, last;
  enum tide_err err = TIDE_OK;
  while (!err) {
    err = add(journal, 7001);
    if (!err) {
      err = journal->ops->sync(journal, &durable, &error);
    }
    if (!err) {
      acked = durable;
    }
  }
  assert_int_equal(err, TIDE_E_FULL);
  assert_true(acked.seq > 20);
  const char *wrong = test_journal_whole(dir, acked, &last, &error);
  lift_limit(dir);
  assert_null(wrong);
  /* As after a crash: the torn write is there, no sync came. */
  journal->ops->close(journal);
  assert_null(test_journal_whole(dir, acked, &last, &error));
  journal = open_writer(dir, 0);
  assert_int_equal(add(journal, 50), TIDE_OK);
  acked = sync_all(journal);
  journal->ops->close(journal);
  assert_null(test_journal_whole(dir, acked, &last, &error));
  test_dir_remove(dir);
  tide_free(dir);
}

/* Not even the header of the next segment: what stands is durable, nothing is appended, and there is no session before there is room. */
static void no_session_before_the_next_segment_has_room(void **state) {
  (void)state;
  char *dir = test_dir("roll");
  struct tide_session session;
  struct tide_position last;
  struct rlimit limit;
  signal(SIGXFSZ, SIG_IGN);
  struct tide_journal *journal = open_writer(dir, 3000);
  for (int i = 0; i < 2; i++) assert_int_equal(add(journal, 1000), TIDE_OK);
  struct tide_position acked = sync_all(journal);
  assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
  limit.rlim_cur = 0;
  assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
  enum tide_err added = add(journal, 2000), begun = journal->ops->begin(journal, &session, &error), again = add(journal, 10);
  lift_limit(dir);
  assert_int_equal(added, TIDE_E_FULL);
  assert_int_equal(begun, TIDE_E_FULL);
  assert_non_null(strstr(error.text, "room"));
  assert_int_equal(again, TIDE_E_FULL);
  assert_int_equal(journal->ops->begin(journal, &session, &error), TIDE_OK);
  assert_int_equal(add(journal, 2000), TIDE_OK);
  assert_int_equal(tide_position_cmp(sync_all(journal), (struct tide_position){acked.epoch, acked.seq + 1}), 0);
  journal->ops->close(journal);
  assert_null(test_journal_whole(dir, (struct tide_position){acked.epoch, acked.seq + 1}, &last, &error));
  test_dir_remove(dir);
  tide_free(dir);
}

static void remove_ballast(const char *dir) {
  char *path = test_path(dir, "ballast");
  assert_int_equal(unlink(path), 0);
  tide_free(path);
}

/* A tmpfs of one megabyte. Where mounting is not allowed, the same through the file size limit alone, which always runs. */
static void a_full_disk_is_said(void **state) {
  (void)state;
  char *dir = test_dir("full");
  if (mount("none", dir, "tmpfs", 0, "size=1m") != 0) {
    print_message("# mounting is not allowed here; the file size limit stands in\n");
    test_dir_remove(dir);
    tide_free(dir);
    a_file_size_limit_is_said(state);
    return;
  }
  char *ballast = test_path(dir, "ballast"), *zeros = tide_alloc(200000);
  write_file(ballast, zeros, 200000);
  tide_free(zeros);
  fill_up(dir, remove_ballast);
  tide_free(ballast);
  assert_int_equal(umount(dir), 0);
  test_dir_remove(dir);
  tide_free(dir);
}

/* In a child without privileges, because root may write everywhere. It stands in `root` and names what is there, because the way to it may lead through a directory
 * that only root may enter, as /root is. Its exit code is the number of the check that failed. */
static int without_rights(const char *root) {
  struct tide_journal *journal;
  struct tide_position first, last;
  const char *dir = "journal", *missing = "other";
  if (chdir(root) != 0 || (geteuid() == 0 && seteuid(65534) != 0)) {
    return 1;
  }
  struct tide_journal_file_options write = {.dir = dir, .create = true}, reading = {.dir = dir, .read_only = true};
  struct tide_journal_file_options create = {.dir = missing, .create = true};
  if (tide_journal_file_open(&write, &journal, &error) != TIDE_E_IO || !strstr(error.text, dir) || !strstr(error.text, "not allowed")) {
    return 2;
  }
  if (tide_journal_file_open(&create, &journal, &error) != TIDE_E_IO || !strstr(error.text, "not allowed")) {
    return 3;
  }
  if (tide_journal_file_open(&reading, &journal, &error) != TIDE_OK) {
    return 4;
  }
  const char *wrong = test_journal_walk(journal, &first, &last, &error);
  journal->ops->close(journal);
  return wrong ? 5 : last.seq == 9 ? 0 : 6;
}

static void a_read_only_directory_is_said(void **state) {
  (void)state;
  char *root = test_dir("readonly"), *dir = test_path(root, "journal");
  struct tide_journal *journal = open_writer(dir, 0);
  for (int i = 0; i < 10; i++) {
    assert_int_equal(add(journal, 50), TIDE_OK);
  }
  (void)sync_all(journal);
  journal->ops->close(journal);
  char *segment = tide_segment_path(dir, 1, TIDE_SEGMENT_SUFFIX), *lock = test_path(dir, "LOCK");
  assert_int_equal(chmod(segment, 0444) | chmod(lock, 0444) | chmod(dir, 0555) | chmod(root, 0555), 0);
  fflush(NULL);
  pid_t child = fork();
  if (child == 0) {
    _exit(without_rights(root));
  }
  int status;
  assert_int_equal(waitpid(child, &status, 0), child);
  assert_true(WIFEXITED(status));
  assert_int_equal(WEXITSTATUS(status), 0);
  assert_int_equal(chmod(root, 0755) | chmod(dir, 0755), 0);
  test_dir_remove(root);
  char *strings[] = {root, dir, segment, lock};
  for (size_t i = 0; i < sizeof strings / sizeof strings[0]; i++) {
    tide_free(strings[i]);
  }
}

static void the_second_writer_learns_the_first_ones_pid(void **state) {
  (void)state;
  char *dir = test_dir("lock");
  int ready[2], done[2];
  assert_int_equal(pipe(ready) | pipe(done), 0);
  fflush(NULL);
  pid_t child = fork();
  char byte = 0;
  if (child == 0) {
    close(done[1]);
    struct tide_journal *journal = open_writer(dir, 0);
    bool good = add(journal, 20) == TIDE_OK && write(ready[1], &byte, 1) == 1;
    _exit(good && read(done[0], &byte, 1) == 0 ? 0 : 1); /* ends without closing, like a crash */
  }
  assert_int_equal(read(ready[0], &byte, 1), 1);
  struct tide_journal *journal;
  struct tide_journal_file_options options = {.dir = dir, .create = true};
  assert_int_equal(tide_journal_file_open(&options, &journal, &error), TIDE_E_LOCKED);
  char pid[32];
  snprintf(pid, sizeof pid, "process %ld;", (long)child);
  assert_non_null(strstr(error.text, pid));
  close(done[1]);
  int status;
  assert_int_equal(waitpid(child, &status, 0), child);
  assert_int_equal(status, 0);
  journal = open_writer(dir, 0);
  /* Nor may two handles of one process write. */
  struct tide_journal *second;
  assert_int_equal(tide_journal_file_open(&options, &second, &error), TIDE_E_LOCKED);
  journal->ops->close(journal);
  close(ready[0]);
  close(ready[1]);
  close(done[0]);
  test_dir_remove(dir);
  tide_free(dir);
}

static void what_is_not_there_is_not_made(void **state) {
  (void)state;
  char *root = test_dir("missing"), *dir = test_path(root, "journal");
  struct tide_journal *journal;
  struct tide_journal_file_options plain = {.dir = dir}, reading = {.dir = dir, .read_only = true, .create = true};
  assert_int_equal(tide_journal_file_open(&plain, &journal, &error), TIDE_E_NOT_FOUND);
  assert_int_equal(tide_journal_file_open(&reading, &journal, &error), TIDE_E_NOT_FOUND);
  assert_int_equal(access(dir, F_OK), -1);
  assert_int_equal(mkdir(dir, 0755), 0);
  assert_int_equal(tide_journal_file_open(&plain, &journal, &error), TIDE_E_NOT_FOUND);
  assert_int_equal(tide_journal_file_open(&reading, &journal, &error), TIDE_E_NOT_FOUND);
  /* With an archive but no segments, a new log would begin the history a second time. */
  journal = open_writer(dir, 200);
  for (int i = 0; i < 20; i++) {
    assert_int_equal(add(journal, 60), TIDE_OK);
  }
  assert_int_equal(journal->ops->trim(journal, sync_all(journal), (struct tide_span){NULL, 0}, &error), TIDE_OK);
  journal->ops->close(journal);
  uint64_t *number;
  size_t count;
  assert_int_equal(tide_segment_list(dir, TIDE_SEGMENT_SUFFIX, NULL, &number, &count, &error), TIDE_OK);
  for (size_t i = 0; i < count; i++) {
    char *path = tide_segment_path(dir, number[i], TIDE_SEGMENT_SUFFIX);
    assert_int_equal(unlink(path), 0);
    tide_free(path);
  }
  tide_free(number);
  struct tide_journal_file_options create = {.dir = dir, .create = true};
  assert_int_equal(tide_journal_file_open(&create, &journal, &error), TIDE_E_CORRUPT);
  assert_non_null(strstr(error.text, "archive"));
  test_dir_remove(root);
  tide_free(dir);
  tide_free(root);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(torn_at_every_byte),
      cmocka_unit_test(flipped_at_every_byte),
      cmocka_unit_test(damaged_segments_are_named),
      cmocka_unit_test(frames_of_another_log_mean_nothing),
      cmocka_unit_test(every_call_may_fail),
      cmocka_unit_test(a_file_size_limit_is_said),
      cmocka_unit_test(a_full_disk_is_said),
      cmocka_unit_test(no_session_before_the_next_segment_has_room),
      cmocka_unit_test(a_read_only_directory_is_said),
      cmocka_unit_test(the_second_writer_learns_the_first_ones_pid),
      cmocka_unit_test(what_is_not_there_is_not_made),
  };
  int failed = cmocka_run_group_tests_name("journal_faults", tests, NULL, NULL);
  tide_buf_release(&entry);
  return failed;
}
