/* A fold of history many records at once: by phases instead of record by record, each phase by shards on several threads (README.md, "History before the journal").
 *
 * The steps are those of fold_event.c and fold_outcome.c, on the same state; only their order differs: first what hangs on the place in the journal, for all records of
 * a slice; then what becomes of each, card by card; then numbers, primary entities, all others. The result is that of tide_fold_plainly, bit by bit, for any number of
 * threads, because each step reads only what the steps before it in journal order have written, and no two steps that run at once touch the same entity. */
#ifndef TIDE_FOLD_SLICE_H
#define TIDE_FOLD_SLICE_H

#include "base/team.h"
#include "core/fold_state.h"

struct tide_slices;
/* first: the fold has folded no event yet. The team is borrowed. */
struct tide_slices *tide_slices_new(struct tide_team *team, bool first);
/* How many records to give it at once. What a record is read into takes 7 KiB, which every phase goes through again: a slice of one thread stays in the cache that
 * the processor has for itself; several threads need more records, to have work for all of them until they wait for each other. */
uint32_t tide_slices_records(const struct tide_team *team);
/* Fewer records than this are faster one by one; tests set it to 1. */
#define TIDE_SLICE_LEAST 32
void tide_slices_least(struct tide_slices *slices, uint32_t records);
/* Records folded by phases so far, those of them that were closed in order, outcomes that had waited, and outcomes that came with their event: for tests and people. */
struct tide_slice_use { uint64_t records, closed, waited, with_event; };
struct tide_slice_use tide_slices_use(const struct tide_slices *slices);
void tide_slices_free(struct tide_slices *slices); /* NULL: nothing */
/* True while the records of a slice come one after the other: what the watermark drops waits for its turn. NULL: false. */
bool tide_slices_coming(const struct tide_slices *slices);
/* Reads and folds the first `count` items of fold->group, whose raw records and index are set. Errors: of the first record that cannot be read; nothing was folded. */
enum tide_err tide_slices_fold(struct tide_fold *fold, const struct tide_entry_header *header, uint32_t count, tide_emit_fn emit, void *ctx,
                               struct tide_error *error) TIDE_WARN_UNUSED;

#endif
