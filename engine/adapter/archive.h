/* The archive: segments of the file journal after trim, one zstd file each, and readers over archive and journal.
 *
 *   ARCHIVE/000000000001.tdz, ...   numbered like the segments, without a gap
 *
 *   a skippable zstd frame (RFC 8878, 3.1.2), so that `zstd -d` of the file gives the segment back byte for byte:
 *     0   4  0x184D2A54
 *     4   4  length of what follows (96)
 *     8   4  magic "TDA1"
 *     12  4  format version (1)
 *     16  48 the segment's header (segment.h)
 *     64  16 epoch and seq of its last entry
 *     80  4  CRC of that entry's frame
 *     84  4  0
 *     88  8  number of entries
 *     96  4  0
 *     100 4  CRC32C of bytes 8..99
 *   a zstd frame with content checksum: the segment file
 *
 * Archive files are written whole under a temporary name, synced, renamed, read back and compared, and never changed. */
#ifndef TIDE_ADAPTER_ARCHIVE_H
#define TIDE_ADAPTER_ARCHIVE_H

#include "adapter/file.h"
#include "adapter/segment.h"
#include "base/clock.h"

enum { TIDE_ARCHIVE_SUMMARY_BYTES = 104 };
struct tide_archive_summary {
  struct tide_segment_header header;
  struct tide_position last;
  uint32_t last_crc;
  uint64_t entries;
};
void tide_archive_summary_put(const struct tide_archive_summary *summary, uint8_t out[TIDE_ARCHIVE_SUMMARY_BYTES]);
enum tide_err tide_archive_summary_get(struct tide_span bytes, const char *what, struct tide_archive_summary *ret, struct tide_error *error)
    TIDE_WARN_UNUSED;

/* One segment's bytes in ascending order, from an archive file or (plain) a segment file; the fetch of a walk. */
struct tide_archive_stream;
enum tide_err tide_archive_stream_open(const char *path, struct tide_archive_stream **ret, struct tide_archive_summary *ret_summary,
                                       struct tide_error *error) TIDE_WARN_UNUSED;
void tide_archive_stream_close(struct tide_archive_stream *stream);
enum tide_err tide_archive_stream_fetch(void *stream, uint64_t off, uint8_t *out, size_t len, size_t *ret_len, struct tide_error *error);
/* False for a plain segment, whose summary then has only the header. */
bool tide_archive_stream_packed(const struct tide_archive_stream *stream);

/* The archive as a read-only journal: append, open_epoch, sync and trim fail with USAGE. Errors: NOT_FOUND, CORRUPT, VERSION, IO. */
enum tide_err tide_archive_open(const char *dir, struct tide_journal **ret, struct tide_error *error) TIDE_WARN_UNUSED;

/* Archive and journal as one read-only log, for audit and explain: what was trimmed is read from the archive, the rest from the
 * journal, and the two must connect (else CORRUPT). A writer may be active, and may trim meanwhile. options->read_only is taken as
 * true, create as false; a missing archive is an empty one. */
enum tide_err tide_journal_chain_open(const struct tide_journal_file_options *options, struct tide_journal **ret, struct tide_error *error)
    TIDE_WARN_UNUSED;

/* Whatever stands at path, by content, as a read-only journal: a journal directory, an archive directory, one segment (.tdj), one
 * archive file (.tdz), or one bare entry ("TDE1", at position 1-0). For inspect. Errors: NOT_FOUND, CORRUPT, VERSION, USAGE (none of
 * these). */
enum tide_err tide_journal_any_open(const char *path, struct tide_journal **ret, struct tide_error *error) TIDE_WARN_UNUSED;

/* For the file journal's trim: puts the segment at `path` into `dir` (created if missing) and reads it back. What already stands
 * there whole is left. Errors: CORRUPT (the segment does not end at `last`), FULL, IO. */
enum tide_err tide_archive_put(const struct tide_sys *sys, const char *dir, const char *path, struct tide_position last, struct tide_error *error)
    TIDE_WARN_UNUSED;
/* Last archived position, {0,0} when there is no archive. */
enum tide_err tide_archive_last(const char *dir, struct tide_position *ret, struct tide_error *error) TIDE_WARN_UNUSED;

/* Pruning, in two steps so that a caller can look at a snapshot in between. `expired`: the end of the last file that may go, {0,0} for none: it was written more
 * than keep_ms ago, it and all before it end at or before `behind`, what follows begins with no fence, and it is not the newest. `prune` removes the files that
 * end there or before; what it has removed is told also with an error. Errors: IO, CORRUPT. */
enum tide_err tide_archive_expired(const char *dir, struct tide_wall now, int64_t keep_ms, struct tide_position behind, struct tide_position *ret,
                                   struct tide_error *error) TIDE_WARN_UNUSED;
struct tide_archive_pruned { uint64_t files, bytes; };
enum tide_err tide_archive_prune(const struct tide_sys *sys, const char *dir, struct tide_position until, struct tide_archive_pruned *ret,
                                 struct tide_error *error) TIDE_WARN_UNUSED;

/* Tells one log from another; 0 for an archive without files. */
uint64_t tide_archive_log_id(struct tide_journal *archive);
uint64_t tide_journal_file_log_id(struct tide_journal *journal);

/* For tests: as tide_journal_file_open, over other system calls. */
enum tide_err tide_journal_file_open_sys(const struct tide_journal_file_options *options, const struct tide_sys *sys, struct tide_journal **ret,
                                         struct tide_error *error) TIDE_WARN_UNUSED;

#endif
