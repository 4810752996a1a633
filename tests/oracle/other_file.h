/* Another feature file takes over in a case, now and again: one that says the same, so that nothing of what the oracle says may change. */
#ifndef TIDE_ORACLE_OTHER_FILE_H
#define TIDE_ORACLE_OTHER_FILE_H

#include "core/fold.h"
#include "tests/oracle/case.h"

/* The journal so far: a follower counts it again. */
struct or_log {
  struct or_log_entry { struct tide_position at; struct tide_buf bytes; } *entry;
  size_t count, cap;
};
void or_log_add(struct or_log *log, struct tide_position at, struct tide_span bytes);
void or_log_release(struct or_log *log);

/* Does another file come before the entry that begins with record i? */
bool or_other_file_before(const struct or_case *c, int i);
/* The records that bring the number-th file and put it in force; returns how many. */
unsigned or_other_file(struct tide_span file, uint64_t number, struct tide_buf *ret);
/* A fold that waits goes over to the file that it waits for. */
bool or_take_over(const struct or_log *log, struct tide_fold *fold, struct tide_error *error);

#endif
