/* See journal_dir.h.
 *
 * Entries are made from their number alone, so that a log can be checked without keeping what was written. */
#include "journal_dir.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static char *dir_under(const char *root, const char *topic) {
  struct tide_buf path = TIDE_BUF_INIT;
  tide_buf_printf(&path, "%s/%s-XXXXXX", root, topic);
  char *dir = tide_buf_take(&path);
  TIDE_CHECK(mkdtemp(dir) != NULL);
  return dir;
}

char *test_dir(const char *topic) {
  const char *root = getenv("TIDE_TMP");
  return dir_under(root && root[0] ? root : "/tmp", topic);
}

char *test_dir_fast(const char *topic) { return access("/dev/shm", W_OK | X_OK) == 0 ? dir_under("/dev/shm", topic) : test_dir(topic); }

static int remove_one(const char *path, const struct stat *stat, int type, struct FTW *ftw) {
  (void)stat, (void)type, (void)ftw;
  return remove(path);
}

void test_dir_remove(const char *dir) { nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS); }

char *test_path(const char *dir, const char *name) {
  struct tide_buf path = TIDE_BUF_INIT;
  tide_buf_printf(&path, "%s/%s", dir, name);
  return tide_buf_take(&path);
}

uint64_t test_random(uint64_t *state) {
  uint64_t z = *state += UINT64_C(0x9E3779B97F4A7C15);
  z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
  z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
  return z ^ (z >> 31);
}

void test_entry(uint64_t number, size_t len, struct tide_buf *out) {
  tide_buf_clear(out);
  tide_put_u64(out, number);
  uint64_t state = number;
  while (out->len < len) {
    tide_put_u64(out, test_random(&state));
  }
  out->len = len < 8 ? 8 : len;
}

uint64_t test_entry_number(struct tide_span entry) {
  struct tide_reader r = tide_reader_of(entry);
  uint64_t number = tide_get_u64(&r);
  struct tide_buf again = TIDE_BUF_INIT;
  test_entry(number, entry.len, &again);
  bool same = tide_span_eq(tide_buf_span(&again), entry);
  tide_buf_release(&again);
  return same ? number : UINT64_MAX;
}

bool test_entry_is(struct tide_span entry, uint64_t number) { return test_entry_number(entry) == number; }
