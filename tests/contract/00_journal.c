/* The journal port's contract, one suite for every backend: a backend is one row in `backends`.
 *
 * What a row must offer: a fresh log, another handle on it, and a crash after which only what was synced is there. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "adapter/file.h"
#include "../support/journal_dir.h"

struct fixture;
struct backend {
  const char *name;
  uint64_t segment_bytes;
  struct tide_journal *(*open)(struct fixture *fixture);
  /* Another handle that only reads. */
  struct tide_journal *(*second)(struct fixture *fixture);
  /* The store loses what was not synced; fixture->journal is a handle on the rest. */
  void (*crash)(struct fixture *fixture);
};

struct fixture {
  const struct backend *backend;
  struct tide_journal *journal;
  char *dir;
  struct tide_buf out, entry;
  struct tide_error error;
};

static struct tide_journal *memory_open(struct fixture *fixture) {
  (void)fixture;
  return tide_journal_memory_new();
}
static struct tide_journal *memory_second(struct fixture *fixture) { return tide_journal_memory_attach(fixture->journal); }
static void memory_crash(struct fixture *fixture) { tide_journal_memory_crash(fixture->journal); }

static struct tide_journal *file_open(struct fixture *fixture) {
  struct tide_journal *journal = NULL;
  struct tide_journal_file_options options = {.dir = fixture->dir, .create = true, .segment_bytes = fixture->backend->segment_bytes};
  enum tide_err err = tide_journal_file_open(&options, &journal, &fixture->error);
  if (err) {
    print_error("%s\n", fixture->error.text);
  }
  assert_int_equal(err, TIDE_OK);
  return journal;
}
static struct tide_journal *file_second(struct fixture *fixture) {
  struct tide_journal *journal = NULL;
  struct tide_journal_file_options options = {.dir = fixture->dir, .read_only = true};
  assert_int_equal(tide_journal_file_open(&options, &journal, &fixture->error), TIDE_OK);
  return journal;
}
/* What a handle has not synced is in its memory only. */
static void file_crash(struct fixture *fixture) {
  fixture->journal->ops->close(fixture->journal);
  fixture->journal = file_open(fixture);
}

static const struct backend backends[] = {
    {"memory", 0, memory_open, memory_second, memory_crash},
    {"file", 0, file_open, file_second, file_crash},
    {"file, small segments", 700, file_open, file_second, file_crash},
};

static int setup(void **state) {
  struct fixture *fixture = tide_alloc(sizeof *fixture);
  fixture->backend = *state;
  fixture->dir = test_dir("journal");
  fixture->journal = fixture->backend->open(fixture);
  *state = fixture;
  return 0;
}

static int teardown(void **state) {
  struct fixture *fixture = *state;
  fixture->journal->ops->close(fixture->journal);
  test_dir_remove(fixture->dir);
  tide_free(fixture->dir);
  tide_buf_release(&fixture->out);
  tide_buf_release(&fixture->entry);
  tide_free(fixture);
  return 0;
}

/* Short forms */

static struct tide_position at(uint64_t epoch, uint64_t seq) { return (struct tide_position){epoch, seq}; }
static void assert_position(struct tide_position found, uint64_t epoch, uint64_t seq) {
  if (found.epoch != epoch || found.seq != seq) {
    fail_msg("position %llu-%llu instead of %llu-%llu", (unsigned long long)found.epoch, (unsigned long long)found.seq,
             (unsigned long long)epoch, (unsigned long long)seq);
  }
}
static enum tide_err append(struct fixture *f, uint64_t epoch, uint64_t number, size_t len, struct tide_position *ret) {
  test_entry(number, len, &f->entry);
  return f->journal->ops->append(f->journal, epoch, tide_buf_span(&f->entry), ret, &f->error);
}
static enum tide_err open_epoch(struct fixture *f, uint64_t epoch, uint64_t number, struct tide_position *ret) {
  test_entry(number, 40, &f->entry);
  return f->journal->ops->open_epoch(f->journal, epoch, tide_buf_span(&f->entry), ret, &f->error);
}
static struct tide_position sync_all(struct fixture *f) {
  struct tide_position durable = {9, 9};
  assert_int_equal(f->journal->ops->sync(f->journal, &durable, &f->error), TIDE_OK);
  return durable;
}
/* Reads through `journal` and checks that it is entry `number` at this position. */
static void assert_read(struct fixture *f, struct tide_journal *journal, struct tide_position from, bool inclusive,
                        struct tide_position want, uint64_t number) {
  struct tide_position found;
  assert_int_equal(journal->ops->read(journal, from, inclusive, &f->out, &found, &f->error), TIDE_OK);
  assert_position(found, want.epoch, want.seq);
  assert_true(test_entry_is(tide_buf_span(&f->out), number));
}
static void assert_end(struct fixture *f, struct tide_journal *journal, struct tide_position from, bool inclusive) {
  struct tide_position found = {7, 7};
  assert_int_equal(journal->ops->read(journal, from, inclusive, &f->out, &found, &f->error), TIDE_E_END);
  assert_position(found, 7, 7);
}
static void assert_range(struct tide_journal *journal, struct tide_position first, struct tide_position last) {
  struct tide_position a, b;
  journal->ops->range(journal, &a, &b, NULL);
  assert_position(a, first.epoch, first.seq);
  assert_position(b, last.epoch, last.seq);
}
/* Epoch 1 with entries 0 (the fence) to n, number i at 1-i. */
static void fill(struct fixture *f, uint64_t n) {
  struct tide_position p;
  assert_int_equal(open_epoch(f, 1, 0, &p), TIDE_OK);
  for (uint64_t i = 1; i <= n; i++) {
    assert_int_equal(append(f, 1, i, 20 + (size_t)(i * 37 % 200), &p), TIDE_OK);
    assert_position(p, 1, i);
  }
}

/* The contract */

static void empty_has_nothing(void **state) {
  struct fixture *f = *state;
  struct tide_position p = {7, 7};
  assert_range(f->journal, at(0, 0), at(0, 0));
  assert_end(f, f->journal, at(0, 0), false);
  assert_end(f, f->journal, at(0, 0), true);
  assert_position(sync_all(f), 0, 0);
  assert_int_equal(append(f, 0, 1, 20, &p), TIDE_E_STALE);
  assert_int_equal(append(f, 1, 1, 20, &p), TIDE_E_STALE);
  assert_position(p, 7, 7);
  assert_int_equal(f->journal->ops->trim(f->journal, at(3, 3), (struct tide_span){NULL, 0}, &f->error), TIDE_OK);
  f->backend->crash(f);
  assert_range(f->journal, at(0, 0), at(0, 0));
}

static void epochs_are_compare_and_set(void **state) {
  struct fixture *f = *state;
  struct tide_position p = {7, 7};
  assert_int_equal(open_epoch(f, 0, 1, &p), TIDE_E_STALE);
  assert_int_equal(open_epoch(f, 1, 1, &p), TIDE_OK);
  assert_position(p, 1, 0);
  assert_int_equal(open_epoch(f, 1, 2, &p), TIDE_E_STALE);
  assert_int_equal(append(f, 2, 2, 30, &p), TIDE_E_STALE);
  assert_int_equal(append(f, 1, 2, 30, &p), TIDE_OK);
  assert_position(p, 1, 1);
  assert_int_equal(open_epoch(f, 5, 3, &p), TIDE_OK);
  assert_position(p, 5, 0);
  p = at(7, 7);
  assert_int_equal(append(f, 1, 4, 30, &p), TIDE_E_STALE);
  assert_int_equal(open_epoch(f, 3, 4, &p), TIDE_E_STALE);
  assert_position(p, 7, 7);
  assert_int_equal(append(f, 5, 4, 30, &p), TIDE_OK);
  assert_position(p, 5, 1);
  assert_position(sync_all(f), 5, 1);
  /* What was refused left nothing behind. */
  assert_read(f, f->journal, at(0, 0), false, at(1, 0), 1);
  assert_read(f, f->journal, at(1, 0), false, at(1, 1), 2);
  assert_read(f, f->journal, at(1, 1), false, at(5, 0), 3);
  assert_read(f, f->journal, at(5, 0), false, at(5, 1), 4);
  assert_end(f, f->journal, at(5, 1), false);
  f->backend->crash(f);
  assert_int_equal(open_epoch(f, 5, 9, &p), TIDE_E_STALE);
  assert_int_equal(append(f, 5, 5, 30, &p), TIDE_OK);
  assert_position(p, 5, 2);
}

static void reads_find_every_position(void **state) {
  struct fixture *f = *state;
  enum { N = 60 };
  fill(f, N);
  for (int synced = 0; synced < 2; synced++) {
    assert_range(f->journal, at(1, 0), at(1, N));
    assert_read(f, f->journal, at(0, 0), false, at(1, 0), 0);
    assert_read(f, f->journal, at(0, 0), true, at(1, 0), 0);
    for (uint64_t i = 0; i < N; i++) {
      assert_read(f, f->journal, at(1, i), false, at(1, i + 1), i + 1);
    }
    for (uint64_t i = N; i > 0; i--) {
      assert_read(f, f->journal, at(1, i), true, at(1, i), i);
      assert_read(f, f->journal, at(1, i - 1), false, at(1, i), i);
    }
    assert_end(f, f->journal, at(1, N), false);
    assert_end(f, f->journal, at(1, N + 1), true);
    assert_end(f, f->journal, at(2, 0), true);
    assert_read(f, f->journal, at(0, 55), false, at(1, 0), 0);
    (void)sync_all(f);
  }
}

static void entries_have_a_limit(void **state) {
  struct fixture *f = *state;
  struct tide_position p = {7, 7};
  char *big = tide_alloc(TIDE_ENTRY_MAX + 1);
  assert_int_equal(open_epoch(f, 1, 0, &p), TIDE_OK);
  assert_int_equal(f->journal->ops->append(f->journal, 1, (struct tide_span){big, TIDE_ENTRY_MAX + 1}, &p, &f->error), TIDE_E_LIMIT);
  assert_int_equal(f->journal->ops->open_epoch(f->journal, 2, (struct tide_span){big, TIDE_ENTRY_MAX + 1}, &p, &f->error), TIDE_E_LIMIT);
  assert_position(p, 1, 0);
  static const size_t len[] = {TIDE_ENTRY_MAX, 0, 1, TIDE_ENTRY_MAX, TIDE_ENTRY_MAX - 1};
  for (size_t i = 0; i < sizeof len / sizeof len[0]; i++) {
    assert_int_equal(f->journal->ops->append(f->journal, 1, (struct tide_span){big, len[i]}, &p, &f->error), TIDE_OK);
    assert_position(p, 1, i + 1);
  }
  (void)sync_all(f);
  for (size_t i = 0; i < sizeof len / sizeof len[0]; i++) {
    assert_int_equal(f->journal->ops->read(f->journal, at(1, i), false, &f->out, &p, &f->error), TIDE_OK);
    assert_int_equal(f->out.len, len[i]);
  }
  tide_free(big);
}

static void sync_is_what_survives(void **state) {
  struct fixture *f = *state;
  struct tide_position p;
  fill(f, 10);
  assert_position(sync_all(f), 1, 10);
  assert_position(sync_all(f), 1, 10);
  assert_int_equal(append(f, 1, 11, 50, &p), TIDE_OK);
  assert_int_equal(open_epoch(f, 2, 12, &p), TIDE_OK);
  assert_range(f->journal, at(1, 0), at(2, 0));
  f->backend->crash(f);
  struct tide_position first, last;
  f->journal->ops->range(f->journal, &first, &last, NULL);
  /* A store may keep more than it promised, but only a prefix. */
  assert_true(tide_position_cmp(last, at(1, 10)) >= 0);
  if (last.epoch == 1 && last.seq == 10) {
    assert_end(f, f->journal, at(1, 10), false);
    assert_int_equal(append(f, 1, 111, 50, &p), TIDE_OK);
    assert_position(p, 1, 11);
    assert_read(f, f->journal, at(1, 10), false, at(1, 11), 111);
  }
  for (uint64_t i = 1; i <= 10; i++) {
    assert_read(f, f->journal, at(1, i), true, at(1, i), i);
  }
}

static void a_second_handle_follows(void **state) {
  struct fixture *f = *state;
  struct tide_position p;
  fill(f, 5);
  (void)sync_all(f);
  struct tide_journal *other = f->backend->second(f);
  assert_range(other, at(1, 0), at(1, 5));
  struct tide_position seen = {0, 0};
  for (uint64_t i = 0; i < 120; i++) {
    if (i > 5) {
      assert_int_equal(append(f, 1, i, 90, &p), TIDE_OK);
      (void)sync_all(f);
    }
    assert_read(f, other, seen, false, at(1, i), i);
    seen = at(1, i);
    if (i >= 5) {
      assert_end(f, other, seen, false);
    }
  }
  other->ops->close(other);
}

static void trim_keeps_what_it_must(void **state) {
  struct fixture *f = *state;
  struct tide_position p, first, last;
  fill(f, 50);
  (void)sync_all(f);
  for (int twice = 0; twice < 2; twice++) {
    assert_int_equal(f->journal->ops->trim(f->journal, at(1, 30), (struct tide_span){NULL, 0}, &f->error), TIDE_OK);
    f->journal->ops->range(f->journal, &first, &last, NULL);
    assert_true(tide_position_cmp(first, at(1, 30)) <= 0);
    assert_position(last, 1, 50);
    for (uint64_t i = 30; i <= 50; i++) {
      assert_read(f, f->journal, at(1, i), true, at(1, i), i);
    }
    /* From before the beginning the first that is there comes. */
    assert_read(f, f->journal, at(0, 0), false, first, first.seq);
  }
  /* Not durable, so not to be trimmed; and the last durable one stays in any case. */
  assert_int_equal(append(f, 1, 51, 60, &p), TIDE_OK);
  assert_int_equal(f->journal->ops->trim(f->journal, at(9, 9), (struct tide_span){NULL, 0}, &f->error), TIDE_OK);
  assert_read(f, f->journal, at(1, 50), true, at(1, 50), 50);
  assert_read(f, f->journal, at(1, 50), false, at(1, 51), 51);
  f->backend->crash(f);
  assert_read(f, f->journal, at(1, 50), true, at(1, 50), 50);
  f->journal->ops->range(f->journal, &first, &last, NULL);
  assert_int_equal(append(f, 1, last.seq + 1, 60, &p), TIDE_OK);
  assert_position(p, 1, last.seq + 1);
}

/* A model of the contract: the entries, how many are durable, how many are trimmed at most. */
struct model {
  struct {
    struct tide_position at;
    uint64_t number;
  } entry[4096];
  size_t count, durable, trimmed;
};

static void check_model(struct fixture *f, const struct model *m, uint64_t *seed) {
  struct tide_position first, last, p;
  f->journal->ops->range(f->journal, &first, &last, NULL);
  if (m->count == 0) {
    assert_position(last, 0, 0);
    return;
  }
  assert_position(last, m->entry[m->count - 1].at.epoch, m->entry[m->count - 1].at.seq);
  size_t from = test_random(seed) % m->count, steps = test_random(seed) % 12;
  if (from < m->trimmed) {
    from = m->trimmed;
  }
  p = m->entry[from].at;
  assert_read(f, f->journal, p, true, p, m->entry[from].number);
  for (size_t i = from + 1; i < m->count && i <= from + steps; i++) {
    assert_read(f, f->journal, p, false, m->entry[i].at, m->entry[i].number);
    p = m->entry[i].at;
  }
}

static void random_histories_agree_with_the_model(void **state) {
  struct fixture *f = *state;
  struct model *m = tide_alloc(sizeof *m);
  uint64_t seed = 20261121, number = 1;
  for (int i = 0; i < 3000; i++) {
    struct tide_position last = m->count ? m->entry[m->count - 1].at : at(0, 0), p;
    unsigned dice = (unsigned)(test_random(&seed) % 100);
    enum tide_err err = TIDE_E_AGAIN;
    if (dice < 60 && last.epoch > 0) {
      err = append(f, last.epoch, number, 8 + test_random(&seed) % 300, &p);
    } else if (dice < 64 || last.epoch == 0) {
      err = open_epoch(f, last.epoch + 1 + test_random(&seed) % 2, number, &p);
    } else if (dice < 74) {
      struct tide_position durable = sync_all(f);
      assert_position(durable, last.epoch, last.seq);
      m->durable = m->count;
    } else if (dice < 78 && m->durable > 0) {
      size_t keep = test_random(&seed) % m->durable;
      assert_int_equal(f->journal->ops->trim(f->journal, m->entry[keep].at, (struct tide_span){NULL, 0}, &f->error), TIDE_OK);
      m->trimmed = keep > m->trimmed ? keep : m->trimmed;
    } else if (dice < 80) {
      f->backend->crash(f);
      struct tide_position first;
      f->journal->ops->range(f->journal, &first, &last, NULL);
      /* Anything from the durable prefix up to everything. */
      while (m->count > m->durable && tide_position_cmp(m->entry[m->count - 1].at, last) > 0) {
        m->count--;
      }
      m->durable = m->count;
    }
    if (err != TIDE_E_AGAIN) {
      assert_int_equal(err, TIDE_OK);
      m->entry[m->count].at = p;
      m->entry[m->count++].number = number++;
    }
    check_model(f, m, &seed);
  }
  assert_true(m->count > 1000 && m->trimmed > 100);
  tide_free(m);
}

int main(void) {
  static const struct {
    const char *name;
    CMUnitTestFunction run;
  } cases[] = {
      {"empty_has_nothing", empty_has_nothing},
      {"epochs_are_compare_and_set", epochs_are_compare_and_set},
      {"reads_find_every_position", reads_find_every_position},
      {"entries_have_a_limit", entries_have_a_limit},
      {"sync_is_what_survives", sync_is_what_survives},
      {"a_second_handle_follows", a_second_handle_follows},
      {"trim_keeps_what_it_must", trim_keeps_what_it_must},
      {"random_histories_agree_with_the_model", random_histories_agree_with_the_model},
  };
  enum { CASES = sizeof cases / sizeof cases[0], BACKENDS = sizeof backends / sizeof backends[0] };
  static char name[CASES * BACKENDS][96];
  static struct CMUnitTest tests[CASES * BACKENDS];
  for (size_t b = 0; b < BACKENDS; b++) {
    for (size_t c = 0; c < CASES; c++) {
      size_t i = b * CASES + c;
      snprintf(name[i], sizeof name[i], "%s: %s", backends[b].name, cases[c].name);
      tests[i] = (struct CMUnitTest){name[i], cases[c].run, setup, teardown, (void *)(uintptr_t)&backends[b]};
    }
  }
  return cmocka_run_group_tests_name("journal", tests, NULL, NULL);
}
