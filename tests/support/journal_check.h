/* What every journal test asks of a log afterwards: dense, whole, and nothing acknowledged missing.
 *
 * The answer is a text or NULL; the caller decides how to fail. */
#ifndef TEST_JOURNAL_CHECK_H
#define TEST_JOURNAL_CHECK_H

#include "journal_dir.h"

/* Entries carry their position as number, so that a checker needs no other record. */
static inline uint64_t test_number(struct tide_position at) {
  return at.epoch << 32 | at.seq;
}

/* Reads the log from its first entry to its last. Returns NULL and *ret_last, or what is wrong (static text; detail in *error). */
const char *test_journal_walk(struct tide_journal *journal, struct tide_position *ret_first, struct tide_position *ret_last, struct tide_error *error);
/* Opens archive and journal as one and walks them; the log must begin with the first fence (1-0) and reach at least `acked`. */
const char *test_journal_whole(const char *dir, struct tide_position acked, struct tide_position *ret_last, struct tide_error *error);

#endif
