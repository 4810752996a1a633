/* Directories and entries for the journal tests.
 *
 * Places that vanish afterwards, and bytes that prove themselves. */
#ifndef TEST_JOURNAL_DIR_H
#define TEST_JOURNAL_DIR_H

#include "base/buf.h"
#include "port/journal.h"

/* A fresh empty directory under TIDE_TMP (or /tmp), named after `topic`; free with tide_free. */
char *test_dir(const char *topic);
/* The same in memory where there is /dev/shm: for thousands of runs whose disk is simulated anyway. */
char *test_dir_fast(const char *topic);
/* Removes it and everything below. */
void test_dir_remove(const char *dir);
/* DIR/NAME; free with tide_free. */
char *test_path(const char *dir, const char *name);

/* A small fast generator (splitmix64): the same seed gives the same test. */
uint64_t test_random(uint64_t *state);

/* An entry whose bytes follow from its number: `len` bytes beginning with the number, checked by test_entry_is. */
void test_entry(uint64_t number, size_t len, struct tide_buf *out);
bool test_entry_is(struct tide_span entry, uint64_t number);
/* The number an intact entry claims, UINT64_MAX when it is damaged. */
uint64_t test_entry_number(struct tide_span entry);

#endif
