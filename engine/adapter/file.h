/* Constructors of the file and memory backends.
 *
 * What they make is used through the ports (port/journal.h, source.h, sink.h); only the wiring knows which one it is. */
#ifndef TIDE_ADAPTER_FILE_H
#define TIDE_ADAPTER_FILE_H

#include "port/journal.h"
#include "port/sink.h"
#include "port/source.h"

/* An empty journal in memory. Several handles on one log: attach gives another handle to the same log (simulator, tests); the log dies with
 * the last handle. Not thread-safe. `durable_on_sync`: entries not yet synced are lost by tide_journal_memory_crash. */
struct tide_journal *tide_journal_memory_new(void);
struct tide_journal *tide_journal_memory_attach(struct tide_journal *journal);
/* What a crash of the store leaves: entries after the last sync vanish. */
void tide_journal_memory_crash(struct tide_journal *journal);
/* Begins another session without losing anything: whoever is in the one before is outdated. */
void tide_journal_memory_new_session(struct tide_journal *journal);

struct tide_journal_file_options {
  const char *dir;
  bool create;             /* make a new one when the directory is empty or missing */
  bool read_only;          /* no lock, no repair; append fails */
  uint64_t segment_bytes;  /* a new segment file above this; 0: 256 MiB */
  const char *archive_dir; /* where trim puts segments before it removes them; NULL: dir/archive */
};
/* Append-only segments, CRC per entry, fdatasync in sync, torn tail cut on open (never a complete entry), exclusive lock. Errors: NOT_FOUND,
 * LOCKED, CORRUPT (a broken entry that is not the tail: what, where, what to do), IO, FULL. */
enum tide_err tide_journal_file_open(const struct tide_journal_file_options *options, struct tide_journal **ret, struct tide_error *error)
    TIDE_WARN_UNUSED;

/* Appends an entry at the position that another log has given it: for a copy of a log. In an empty journal it may be any position, behind that only what may
 * follow. Errors: as append's; MISMATCH: it cannot stand there. */
enum tide_err tide_journal_file_put(struct tide_journal *journal, struct tide_position at, struct tide_span entry, struct tide_error *error)
    TIDE_WARN_UNUSED;

/* Takes away what stands behind `last`: of a copy, when the log that it copies has lost it. Durable on return. Errors: MISMATCH (no such entry; it may be in the archive), IO;
 * after IO only opening again tells. */
enum tide_err tide_journal_file_cut(struct tide_journal *journal, struct tide_position last, struct tide_error *error) TIDE_WARN_UNUSED;

/* Lines of a file, "-" for standard input; plain, gzip or zstd by content (several files in order). CSV header handling is the caller's.
 * All of them are partition 0 of `source`; nothing is given before it is sought. A line that is too long counts as a message without bytes for `before`. `ends`
 * reads everything (compression does not tell); it and `before` fail with IO for standard input. */
enum tide_err tide_source_file_open(const char *const *path, size_t path_count, uint16_t source, struct tide_source **ret, struct tide_error *error)
    TIDE_WARN_UNUSED;
/* Bytes read from the (compressed) files so far and in all (0 if unknown), for progress. */
void tide_source_file_progress(struct tide_source *source, uint64_t *ret_done, uint64_t *ret_total);

/* Which of the files the last message stood in: its index; *ret_path its path, *ret_line its line number there (a message's `offset` counts over
 * all files). So a caller sees that another file begins, and with it another CSV header. */
size_t tide_source_file_place(const struct tide_source *source, const char **ret_path, uint64_t *ret_line);

/* JSON lines into a file, "-" for standard output. With resume: a torn last line is cut, the last line's "position" is read and everything
 * up to it is passed over when offered again. Without: the file is truncated. */
enum tide_err tide_sink_file_open(const char *path, bool resume, struct tide_sink **ret, struct tide_error *error) TIDE_WARN_UNUSED;
/* The last decision that the file held when it was opened with resume; false when it held none. */
bool tide_sink_file_last(const struct tide_sink *sink, struct tide_position *ret, uint32_t *ret_index);

#endif
