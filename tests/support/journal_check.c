/* See journal_check.h: the checks every journal test shares, one function each. */
#include "journal_check.h"

#include "adapter/archive.h"

const char *test_journal_walk(struct tide_journal *journal, struct tide_position *ret_first, struct tide_position *ret_last,
                              struct tide_error *error) {
  struct tide_buf out = TIDE_BUF_INIT;
  struct tide_position at = {0, 0}, found;
  const char *wrong = NULL;
  enum tide_err err;
  bool first = true;
  *ret_first = at;
  while (!wrong && (err = journal->ops->read(journal, at, false, &out, &found, error)) != TIDE_E_END) {
    if (err) {
      wrong = "an entry cannot be read";
    } else if (!first && !tide_position_follows(at, found)) {
      wrong = "the sequence is not dense";
    } else if (!test_entry_is(tide_buf_span(&out), test_number(found))) {
      wrong = "an entry is not what was written there";
    }
    if (first) {
      *ret_first = found;
    }
    first = false;
    at = found;
  }
  tide_buf_release(&out);
  *ret_last = at;
  return wrong;
}

const char *test_journal_whole(const char *dir, struct tide_position acked, struct tide_position *ret_last, struct tide_error *error) {
  struct tide_journal *journal;
  struct tide_position first;
  if (tide_journal_chain_open(&(struct tide_journal_file_options){.dir = dir}, &journal, error) != TIDE_OK) {
    return "archive and journal cannot be opened";
  }
  const char *wrong = test_journal_walk(journal, &first, ret_last, error);
  journal->ops->close(journal);
  if (!wrong && ret_last->epoch != 0 && (first.epoch != 1 || first.seq != 0)) {
    wrong = "the log does not begin with its first fence";
  }
  if (!wrong && tide_position_cmp(*ret_last, acked) < 0) {
    wrong = "something acknowledged is lost";
  }
  return wrong;
}
