/* The archive: a segment comes back byte for byte, archive and journal read as one log while a writer trims, and what is missing,
 * damaged or foreign is said. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zstd.h>

#include <cmocka.h>

#include "../support/journal_check.h"
#include "adapter/archive.h"

static struct tide_error error;

struct fixture {
  char *dir, *archive;
  struct tide_buf entry, out;
};

static int setup(void **state) {
  struct fixture *f = tide_alloc(sizeof *f);
  f->dir = test_dir_fast("archive");
  f->archive = test_path(f->dir, "archive");
  *state = f;
  return 0;
}
static int teardown(void **state) {
  struct fixture *f = *state;
  test_dir_remove(f->dir);
  tide_free(f->dir);
  tide_free(f->archive);
  tide_buf_release(&f->entry);
  tide_buf_release(&f->out);
  tide_free(f);
  return 0;
}

static struct tide_journal *open_writer(const char *dir) {
  struct tide_journal *journal = NULL;
  struct tide_journal_file_options options = {.dir = dir, .create = true, .segment_bytes = 3000};
  if (tide_journal_file_open(&options, &journal, &error) != TIDE_OK) {
    fail_msg("%s", error.text);
  }
  return journal;
}

/* n more entries, a new epoch every 37. */
static struct tide_position grow(struct fixture *f, struct tide_journal *journal, int n) {
  struct tide_position first, last, at = {0, 0}, durable;
  for (int i = 0; i < n; i++) {
    journal->ops->range(journal, &first, &last, NULL);
    bool fence = last.epoch == 0 || last.seq == 37;
    struct tide_position next = fence ? (struct tide_position){last.epoch + 1, 0} : (struct tide_position){last.epoch, last.seq + 1};
    test_entry(test_number(next), 20 + (size_t)(i * 31 % 300), &f->entry);
    enum tide_err err = fence ? journal->ops->open_epoch(journal, next.epoch, tide_buf_span(&f->entry), &at, &error)
                              : journal->ops->append(journal, next.epoch, tide_buf_span(&f->entry), &at, &error);
    assert_int_equal(err, TIDE_OK);
  }
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

static struct tide_journal *open_chain(const char *dir) {
  struct tide_journal *chain = NULL;
  if (tide_journal_chain_open(&(struct tide_journal_file_options){.dir = dir}, &chain, &error) != TIDE_OK) {
    fail_msg("%s", error.text);
  }
  return chain;
}

/* What any zstd tool makes of an archive file is the segment. */
static void zstd_gives_the_segment_back(void **state) {
  struct fixture *f = *state;
  struct tide_journal *journal = open_writer(f->dir);
  struct tide_position last = grow(f, journal, 100);
  char *segment = tide_segment_path(f->dir, 1, TIDE_SEGMENT_SUFFIX), *archived = tide_segment_path(f->archive, 1, TIDE_ARCHIVE_SUFFIX);
  struct tide_buf was = TIDE_BUF_INIT, packed = TIDE_BUF_INIT;
  read_file(segment, &was);
  assert_int_equal(journal->ops->trim(journal, last, (struct tide_span){NULL, 0}, &error), TIDE_OK);
  assert_int_equal(access(segment, F_OK), -1);
  read_file(archived, &packed);
  char *plain = tide_alloc(was.len + 1);
  assert_int_equal(ZSTD_decompress(plain, was.len + 1, packed.ptr, packed.len), was.len);
  assert_memory_equal(plain, was.ptr, was.len);
  journal->ops->close(journal);
  tide_free(plain);
  tide_buf_release(&was);
  tide_buf_release(&packed);
  tide_free(segment);
  tide_free(archived);
}

static void archive_and_journal_are_one_log(void **state) {
  struct fixture *f = *state;
  struct tide_journal *journal = open_writer(f->dir), *chain, *archive;
  struct tide_position all[600], first, last, at = {0, 0}, found;
  size_t count = 0;
  (void)grow(f, journal, 1);
  chain = open_chain(f->dir); /* opened before anything is archived, and following all the way */
  for (int round = 0; round < 10; round++) {
    struct tide_position end = grow(f, journal, 50);
    while (chain->ops->read(chain, at, false, &f->out, &found, &error) == TIDE_OK) {
      assert_true(tide_position_follows(at, found));
      assert_true(test_entry_is(tide_buf_span(&f->out), test_number(found)));
      all[count++] = at = found;
      /* Trimmed under the reader's feet. */
      if (count % 33 == 0) {
        assert_int_equal(journal->ops->trim(journal, end, (struct tide_span){NULL, 0}, &error), TIDE_OK);
      }
    }
    if (tide_position_cmp(at, end) != 0) {
      fail_msg("stopped at %llu-%llu: %s", (unsigned long long)at.epoch, (unsigned long long)at.seq, error.text);
    }
  }
  assert_int_equal(count, 501);
  chain->ops->range(chain, &first, &last, NULL);
  assert_true(first.epoch == 1 && first.seq == 0);
  /* Random places, from a fresh reader and from one that has been everywhere. */
  struct tide_journal *fresh = open_chain(f->dir);
  uint64_t seed = 3;
  for (int i = 0; i < 1000; i++) {
    struct tide_journal *reader = i % 2 ? chain : fresh;
    size_t n = test_random(&seed) % count;
    assert_int_equal(reader->ops->read(reader, all[n], true, &f->out, &found, &error), TIDE_OK);
    assert_int_equal(tide_position_cmp(found, all[n]), 0);
    enum tide_err err = reader->ops->read(reader, all[n], false, &f->out, &found, &error);
    assert_int_equal(err, n + 1 < count ? TIDE_OK : TIDE_E_END);
    assert_true(err || tide_position_cmp(found, all[n + 1]) == 0);
  }
  /* The archive alone. */
  assert_int_equal(tide_archive_open(f->archive, &archive, &error), TIDE_OK);
  assert_null(test_journal_walk(archive, &first, &last, &error));
  assert_true(first.epoch == 1 && first.seq == 0 && tide_position_cmp(last, all[count - 1]) < 0 && last.epoch > 5);
  assert_int_equal(archive->ops->append(archive, 1, TIDE_SPAN("x"), &found, &error), TIDE_E_USAGE);
  assert_int_equal(chain->ops->trim(chain, last, (struct tide_span){NULL, 0}, &error), TIDE_E_USAGE);
  archive->ops->close(archive);
  fresh->ops->close(fresh);
  chain->ops->close(chain);
  journal->ops->close(journal);
}

static void gaps_and_strangers_are_said(void **state) {
  struct fixture *f = *state;
  struct tide_journal *journal = open_writer(f->dir), *chain;
  struct tide_position first, last;
  assert_int_equal(journal->ops->trim(journal, grow(f, journal, 300), (struct tide_span){NULL, 0}, &error), TIDE_OK);
  journal->ops->close(journal);
  uint64_t *number;
  size_t count;
  assert_int_equal(tide_segment_list(f->archive, TIDE_ARCHIVE_SUFFIX, NULL, &number, &count, &error), TIDE_OK);
  assert_true(count > 5);
  char *newest = tide_segment_path(f->archive, number[count - 1], TIDE_ARCHIVE_SUFFIX);
  char *middle = tide_segment_path(f->archive, number[count / 2], TIDE_ARCHIVE_SUFFIX);
  struct tide_buf kept = TIDE_BUF_INIT;
  tide_free(number);
  /* The archive's last file gone: a hole between it and the journal, not an end. */
  read_file(newest, &kept);
  assert_int_equal(unlink(newest), 0);
  chain = open_chain(f->dir);
  assert_string_equal(test_journal_walk(chain, &first, &last, &error), "an entry cannot be read");
  assert_non_null(strstr(error.text, "neither in archive"));
  chain->ops->close(chain);
  write_file(newest, kept.ptr, kept.len);
  /* A hole in the middle. */
  read_file(middle, &kept);
  assert_int_equal(unlink(middle), 0);
  assert_int_equal(tide_journal_chain_open(&(struct tide_journal_file_options){.dir = f->dir}, &chain, &error), TIDE_E_CORRUPT);
  /* Bytes flipped: an error when opened or when read, never wrong entries. (A few bits of a zstd frame mean nothing.) */
  int noticed = 0, tried = 0;
  for (size_t i = 0; i < kept.len; i += 7) {
    kept.ptr[i] ^= 0x20;
    write_file(middle, kept.ptr, kept.len);
    kept.ptr[i] ^= 0x20;
    if (tide_journal_chain_open(&(struct tide_journal_file_options){.dir = f->dir}, &chain, &error) == TIDE_OK) {
      const char *wrong = test_journal_walk(chain, &first, &last, &error);
      assert_true(!wrong || strcmp(wrong, "an entry cannot be read") == 0);
      chain->ops->close(chain);
      noticed += wrong != NULL;
    } else {
      noticed++;
    }
    tried++;
    assert_int_equal(error.code, TIDE_E_CORRUPT);
    assert_non_null(strstr(error.text, ".tdz"));
  }
  assert_true(noticed >= tried - 2);
  for (size_t len = 0; len < kept.len; len += 11) {
    write_file(middle, kept.ptr, len);
    if (tide_journal_chain_open(&(struct tide_journal_file_options){.dir = f->dir}, &chain, &error) == TIDE_OK) {
      assert_string_equal(test_journal_walk(chain, &first, &last, &error), "an entry cannot be read");
      chain->ops->close(chain);
    }
    assert_int_equal(error.code, TIDE_E_CORRUPT);
  }
  write_file(middle, kept.ptr, kept.len);
  chain = open_chain(f->dir);
  assert_null(test_journal_walk(chain, &first, &last, &error));
  chain->ops->close(chain);
  /* The archive of another journal. */
  char *other = test_dir_fast("other");
  journal = open_writer(other);
  struct tide_position end = grow(f, journal, 300);
  struct tide_journal_file_options mixed = {.dir = other, .archive_dir = f->archive};
  assert_int_equal(tide_journal_chain_open(&mixed, &chain, &error), TIDE_E_CORRUPT);
  assert_non_null(strstr(error.text, "different logs"));
  journal->ops->close(journal);
  mixed.segment_bytes = 3000;
  assert_int_equal(tide_journal_file_open(&mixed, &journal, &error), TIDE_OK);
  assert_int_equal(journal->ops->trim(journal, end, (struct tide_span){NULL, 0}, &error), TIDE_E_EXISTS);
  assert_null(test_journal_walk(journal, &first, &last, &error));
  assert_true(first.epoch == 1 && first.seq == 0); /* nothing was removed */
  journal->ops->close(journal);
  test_dir_remove(other);
  tide_free(other);
  tide_free(newest);
  tide_free(middle);
  tide_buf_release(&kept);
}

/* A crash may leave an archive file beside the segment, a torn one, or only a temporary one. */
static void trim_repairs_what_a_crash_left(void **state) {
  struct fixture *f = *state;
  struct tide_journal *journal = open_writer(f->dir);
  struct tide_position end = grow(f, journal, 60), last;
  char *segment = tide_segment_path(f->dir, 1, TIDE_SEGMENT_SUFFIX), *archived = tide_segment_path(f->archive, 1, TIDE_ARCHIVE_SUFFIX);
  char *temp = test_path(f->archive, "000000000001.tdz.tmp");
  char *second = tide_segment_path(f->dir, 2, TIDE_SEGMENT_SUFFIX);
  struct tide_buf plain = TIDE_BUF_INIT, packed = TIDE_BUF_INIT;
  struct tide_segment_header header;
  read_file(second, &packed);
  assert_int_equal(tide_segment_header_get(tide_buf_span(&packed), second, &header, &error), TIDE_OK);
  struct tide_position keep = {header.prev.epoch, header.prev.seq + 1}; /* only the first segment goes */
  read_file(segment, &plain);
  assert_int_equal(journal->ops->trim(journal, keep, (struct tide_span){NULL, 0}, &error), TIDE_OK);
  assert_int_equal(access(second, F_OK), 0);
  journal->ops->close(journal);
  read_file(archived, &packed);
  for (size_t len = 0; len <= packed.len; len += packed.len / 9) {
    write_file(segment, plain.ptr, plain.len);
    write_file(archived, packed.ptr, len);
    write_file(temp, packed.ptr, len / 2);
    journal = open_writer(f->dir);
    assert_int_equal(journal->ops->trim(journal, keep, (struct tide_span){NULL, 0}, &error), TIDE_OK);
    journal->ops->close(journal);
    assert_int_equal(access(segment, F_OK), -1);
    const char *wrong = test_journal_whole(f->dir, end, &last, &error);
    if (wrong) {
      fail_msg("%zu bytes archived: %s (%s)", len, wrong, error.text);
    }
  }
  tide_buf_release(&plain);
  tide_buf_release(&packed);
  tide_free(segment);
  tide_free(archived);
  tide_free(temp);
  tide_free(second);
}

static void anything_can_be_opened_by_its_path(void **state) {
  struct fixture *f = *state;
  struct tide_journal *journal = open_writer(f->dir), *any;
  struct tide_position first, last;
  assert_int_equal(journal->ops->trim(journal, grow(f, journal, 200), (struct tide_span){NULL, 0}, &error), TIDE_OK);
  (void)grow(f, journal, 5);
  journal->ops->range(journal, &first, &last, NULL);
  journal->ops->close(journal);
  uint64_t *number;
  size_t count;
  assert_int_equal(tide_segment_list(f->dir, TIDE_SEGMENT_SUFFIX, NULL, &number, &count, &error), TIDE_OK);
  char *paths[] = {tide_strdup(f->dir), tide_strdup(f->archive), tide_segment_path(f->dir, number[count - 1], TIDE_SEGMENT_SUFFIX),
                   tide_segment_path(f->archive, 2, TIDE_ARCHIVE_SUFFIX)};
  tide_free(number);
  for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
    if (tide_journal_any_open(paths[i], &any, &error) != TIDE_OK) {
      fail_msg("%s: %s", paths[i], error.text);
    }
    struct tide_position a, b, c, d;
    assert_null(test_journal_walk(any, &a, &b, &error));
    any->ops->range(any, &c, &d, NULL);
    assert_true(a.epoch != 0 && tide_position_cmp(a, c) == 0 && tide_position_cmp(b, d) == 0);
    any->ops->close(any);
    tide_free(paths[i]);
  }
  char *entry = test_path(f->dir, "entry"), *text = test_path(f->dir, "text");
  write_file(entry, "TDE1 and more", 13);
  write_file(text, "hello", 5);
  assert_int_equal(tide_journal_any_open(entry, &any, &error), TIDE_OK);
  assert_int_equal(any->ops->read(any, (struct tide_position){1, 0}, true, &f->out, &first, &error), TIDE_OK);
  assert_int_equal(f->out.len, 13);
  any->ops->close(any);
  assert_int_equal(tide_journal_any_open(text, &any, &error), TIDE_E_USAGE);
  assert_int_equal(tide_journal_any_open("/nowhere/at/all", &any, &error), TIDE_E_NOT_FOUND);
  tide_free(entry);
  tide_free(text);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(zstd_gives_the_segment_back, setup, teardown),
      cmocka_unit_test_setup_teardown(archive_and_journal_are_one_log, setup, teardown),
      cmocka_unit_test_setup_teardown(gaps_and_strangers_are_said, setup, teardown),
      cmocka_unit_test_setup_teardown(trim_repairs_what_a_crash_left, setup, teardown),
      cmocka_unit_test_setup_teardown(anything_can_be_opened_by_its_path, setup, teardown),
  };
  return cmocka_run_group_tests_name("archive", tests, NULL, NULL);
}
