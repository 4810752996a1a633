/* Any journal in readable form: one JSON object per entry or per record.
 *
 * Works on whatever the port can read; adapter/archive.h's tide_journal_any_open opens a journal directory, an archive, a single
 * segment or archive file, or one bare entry. Secrets stand in a journal as keyed hashes only, and so they are shown. Field names
 * come from the last CONFIG record passed; before one, fields go by their index ("f3"). */
#ifndef TIDE_INSPECT_H
#define TIDE_INSPECT_H

#include "base/buf.h"
#include "port/journal.h"

struct tide_inspect_options {
  bool records;              /* an object per record instead of one per entry */
  struct tide_position from; /* the first entry wanted; {0,0}: from the beginning */
  uint64_t limit;            /* at most so many entries; 0: all */
};

/* Gets one object without newline, valid during the call. False: stop (tide_inspect then returns TIDE_OK). */
typedef bool (*tide_inspect_fn)(void *ctx, struct tide_span json);

/* Entries that do not decode are shown with "error" and passed over; the first such error is returned at the end. Errors of reading
 * the journal (CORRUPT, IO) stop at once. *ret_entries, *ret_records: how many were seen (may be NULL; written in any case). */
enum tide_err tide_inspect(struct tide_journal *journal, const struct tide_inspect_options *options, tide_inspect_fn emit, void *ctx,
                           uint64_t *ret_entries, uint64_t *ret_records, struct tide_error *error) TIDE_WARN_UNUSED;

#endif
