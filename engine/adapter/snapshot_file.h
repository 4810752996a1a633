/* Snapshots as directories: DIR/snap-EPOCH-SEQ/{00,01,...,globals}.zst and a MANIFEST.
 *
 *   MANIFEST, little-endian, CRC32C of everything before it at the end:
 *     0   4  magic "TDS1"
 *     4   4  format version (1)
 *     8   4  number of chunks n
 *     12  4  0
 *     16  16 position: epoch, seq
 *     32  8  fence nonce
 *     40  16 position of the last decision that was given to the sink (0-0: none)
 *     56  4  its index
 *     60  4  0
 *     64  8  XXH3 of the journal entry at the position. Not its CRC: an entry ends with its CRC32C, and the CRC32C of such bytes is the
 *            same for all of them
 *     72     n times: bytes u64, packed bytes u64, CRC32C of the bytes u32, 0 u32
 *
 * A snapshot is written under a temporary name, every file and the directory synced, then renamed: what is called snap-* was complete once.
 * Reading believes nothing: lengths and CRCs are checked, and the caller compares the entry's hash with its journal, as a file outlives a
 * rollback of the log. What a chunk means is the caller's; here it is bytes. */
#ifndef TIDE_ADAPTER_SNAPSHOT_FILE_H
#define TIDE_ADAPTER_SNAPSHOT_FILE_H

#include "port/journal.h"

#define TIDE_SNAPSHOT_CHUNKS_MAX 256
#define TIDE_SNAPSHOT_GENERATIONS 2

struct tide_snapshot_chunk { uint64_t bytes, packed; uint32_t crc; };
struct tide_snapshot_manifest {
  struct tide_position position;
  uint64_t nonce;
  uint64_t entry_hash;
  struct tide_position released; /* the last decision the sink has */
  uint32_t released_index;
  uint32_t chunk_count;
  struct tide_snapshot_chunk chunk[TIDE_SNAPSHOT_CHUNKS_MAX]; /* filled by write */
};

/* Puts chunk `index` into out (cleared before). Called from `threads` threads at once. */
typedef void (*tide_snapshot_chunk_fn)(void *ctx, unsigned index, struct tide_buf *out);
/* Writes one and, when it is durable, removes all but the newest generations. One at the same position is replaced. Chunks are written on `threads` threads (1 to
 * TIDE_THREADS_MAX), with the same bytes. Errors: IO, FULL; then the older ones stand as they were. */
enum tide_err tide_snapshot_write(const char *dir, unsigned threads, struct tide_snapshot_manifest *manifest, tide_snapshot_chunk_fn chunk,
                                  void *ctx, struct tide_error *error) TIDE_WARN_UNUSED;

/* Positions of what is called a snapshot, newest first; *ret_count is 0 when there is no such directory. Free with tide_free. */
enum tide_err tide_snapshot_list(const char *dir, struct tide_position **ret, size_t *ret_count, struct tide_error *error) TIDE_WARN_UNUSED;
/* Removes one: of a history that is lost. */
enum tide_err tide_snapshot_remove(const char *dir, struct tide_position position, struct tide_error *error) TIDE_WARN_UNUSED;
/* Errors: NOT_FOUND, CORRUPT, VERSION, IO. */
enum tide_err tide_snapshot_manifest_read(const char *dir, struct tide_position position, struct tide_snapshot_manifest *ret, struct tide_error *error)
    TIDE_WARN_UNUSED;
/* One chunk, checked against the manifest, into out (cleared first). Errors: NOT_FOUND, CORRUPT, IO. */
enum tide_err tide_snapshot_chunk_read(const char *dir, const struct tide_snapshot_manifest *manifest, unsigned index, struct tide_buf *out,
                                       struct tide_error *error) TIDE_WARN_UNUSED;

/* Reads one from end to end: the MANIFEST and every chunk. Errors: NOT_FOUND, CORRUPT, VERSION, IO. */
enum tide_err tide_snapshot_check(const char *dir, struct tide_position position, uint64_t *ret_entry_hash, struct tide_error *error) TIDE_WARN_UNUSED;

/* A snapshot as one stream, for whoever fetches it: the MANIFEST's bytes, then each chunk as its file has it. The files are opened at once, so that the
 * stream stays whole when its generation is removed meanwhile. Errors: NOT_FOUND (no snapshot, or it went away just now), CORRUPT, IO. */
struct tide_snapshot_stream;
enum tide_err tide_snapshot_stream_open(const char *dir, struct tide_position position, struct tide_snapshot_stream **ret, struct tide_error *error)
    TIDE_WARN_UNUSED;
uint64_t tide_snapshot_stream_bytes(const struct tide_snapshot_stream *stream);
/* Up to len bytes, in order; 0 at the end. IO: a file is shorter than it was. */
enum tide_err tide_snapshot_stream_read(struct tide_snapshot_stream *stream, void *out, size_t len, size_t *ret_len, struct tide_error *error)
    TIDE_WARN_UNUSED;
void tide_snapshot_stream_close(struct tide_snapshot_stream *stream);

/* Takes such a stream in, piece by piece as it comes. Each chunk is checked before it is written; the snapshot gets its name when all is there and durable. */
struct tide_snapshot_import;
/* Asked once, with the manifest, before anything is written: any error ends the import with it. */
typedef enum tide_err (*tide_snapshot_wanted_fn)(void *ctx, const struct tide_snapshot_manifest *manifest, struct tide_error *error);
struct tide_snapshot_import *tide_snapshot_import_new(const char *dir, tide_snapshot_wanted_fn wanted, void *ctx);
/* Errors: CORRUPT, VERSION, FULL, IO, or wanted's; then it can only be freed. */
enum tide_err tide_snapshot_import_take(struct tide_snapshot_import *import, struct tide_span bytes, struct tide_error *error) TIDE_WARN_UNUSED;
/* CORRUPT: the stream ended early. */
enum tide_err tide_snapshot_import_end(struct tide_snapshot_import *import, struct tide_error *error) TIDE_WARN_UNUSED;
void tide_snapshot_import_free(struct tide_snapshot_import *import);

/* The MANIFEST's bytes, for tests and the fuzzer. decode errors: CORRUPT, VERSION. */
void tide_snapshot_manifest_encode(const struct tide_snapshot_manifest *manifest, struct tide_buf *out);
enum tide_err tide_snapshot_manifest_decode(struct tide_span bytes, struct tide_snapshot_manifest *ret, struct tide_error *error) TIDE_WARN_UNUSED;

#endif
