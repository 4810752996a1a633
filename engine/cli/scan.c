/* Reading a file journal from its beginning (scan.h).
 *
 * It is opened read-only and takes no lock, so a running writer is not disturbed; what the writer appends meanwhile may or may not
 * be seen. */
#include "cli/scan.h"

#include "adapter/archive.h"
#include "cli/progress.h"

static enum tide_err lacks_its_beginning(const char *dir, struct tide_position first, struct tide_error *error) {
  return tide_fail(
      error, TIDE_E_NOT_FOUND,
      "the log in %s begins at %llu-%llu: what stood before was removed from the archive (journal.archive_keep) or trimmed before there was one, and without it "
      "nothing here can be folded; bring the archive's files back from a backup, name another engine's mirror, or prove single decisions by `verify --snapshots`",
      dir, (unsigned long long)first.epoch, (unsigned long long)first.seq);
}

static enum tide_err scan(const char *dir, const char *what, bool whole, tide_scan_fn fn, void *ctx, struct tide_scan_result *ret,
                          struct tide_error *error) {
  struct tide_journal_file_options options = {.dir = dir, .read_only = true};
  struct tide_journal *journal;
  enum tide_err err = tide_journal_chain_open(&options, &journal, error);
  if (err != TIDE_OK) return err;
  struct tide_scan_result result = {0};
  struct tide_position at, last;
  struct tide_progress progress;
  struct tide_buf entry = TIDE_BUF_INIT;
  err = journal->ops->range(journal, &at, &last, error);
  result.first = at;
  if (err == TIDE_OK && whole && at.seq > 0) err = lacks_its_beginning(dir, at, error); /* an epoch begins with its fence */
  tide_progress_begin(&progress, what ? what : "");
  if (!what) progress.on = false;
  for (bool inclusive = true; err == TIDE_OK && last.epoch != 0; inclusive = false) {
    err = journal->ops->read(journal, at, inclusive, &entry, &at, error);
    if (err != TIDE_OK) break;
    err = fn(ctx, at, tide_buf_span(&entry), error);
    if (err != TIDE_OK) break;
    result.entries++;
    result.bytes += entry.len;
    result.last = at;
    /* Entries of an epoch are dense; replay writes one epoch, so the sequence tells how far it is. */
    tide_progress_step(&progress, at.seq, at.epoch == last.epoch ? last.seq : 0, result.entries, "entries");
  }
  tide_progress_end(&progress);
  tide_buf_release(&entry);
  journal->ops->close(journal);
  if (err != TIDE_OK && err != TIDE_E_END) return err;
  *ret = result;
  return TIDE_OK;
}

enum tide_err tide_scan(const char *dir, const char *what, tide_scan_fn fn, void *ctx, struct tide_scan_result *ret,
                        struct tide_error *error) {
  return scan(dir, what, true, fn, ctx, ret, error);
}

enum tide_err tide_scan_part(const char *dir, const char *what, tide_scan_fn fn, void *ctx, struct tide_scan_result *ret,
                             struct tide_error *error) {
  return scan(dir, what, false, fn, ctx, ret, error);
}
