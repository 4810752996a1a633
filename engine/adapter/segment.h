/* Segment files of the file journal, byte by byte. Drawn here and nowhere else. Little-endian.
 *
 *   DIR/000000000001.tdj, 000000000002.tdj, ...   numbered without a gap; only the last one grows
 *
 *   header, 48 bytes
 *     0   4  magic "TDJ1"
 *     4   2  format version (1)
 *     6   2  flags (0)
 *     8   8  log id: random, the same in all segments of one log
 *     16  8  number of this segment, as in its name
 *     24  16 epoch and seq of the last entry before this segment; 0, 0 when it begins the log. The first segment of a copy that begins in the middle of
 *            another log names the position before its first entry
 *     40  4  CRC of that entry's frame; 0 in the first segment
 *     44  4  CRC32C of all before; every frame's checksum starts from it
 *   frames
 *     0   4  length of the entry
 *     4   4  CRC32C of the rest of the frame and the entry, started from the header's
 *     8   16 epoch and seq of the entry
 *     24  8  durable: this file's length up to which an fdatasync had succeeded when the frame was made
 *     32     the entry
 *
 * Why a frame's checksum starts from the header's: bytes of another log, another segment, or bytes that a client made look like a
 * frame are never valid here. Why `durable`: see adapter/README.md, "the torn tail". */
#ifndef TIDE_ADAPTER_SEGMENT_H
#define TIDE_ADAPTER_SEGMENT_H

#include "adapter/sys.h"
#include "port/journal.h"

enum { TIDE_SEGMENT_HEADER_BYTES = 48, TIDE_FRAME_HEADER_BYTES = 32, TIDE_SEGMENT_NAME = 32 };
#define TIDE_SEGMENT_SUFFIX ".tdj"
#define TIDE_ARCHIVE_SUFFIX ".tdz"
#define TIDE_TEMP_SUFFIX ".tmp"

struct tide_segment_header {
  uint64_t log_id, number;
  struct tide_position prev;
  uint32_t prev_crc;
  uint32_t seed; /* the header's CRC */
};
/* Computes header->seed and writes the bytes. */
void tide_segment_header_put(struct tide_segment_header *header, uint8_t out[TIDE_SEGMENT_HEADER_BYTES]);
/* `what` names the file in errors: CORRUPT, VERSION. */
enum tide_err tide_segment_header_get(struct tide_span bytes, const char *what, struct tide_segment_header *ret, struct tide_error *error)
    TIDE_WARN_UNUSED;

struct tide_frame {
  uint32_t length, crc;
  struct tide_position at;
  uint64_t durable;
};
/* Appends frame header and entry to out; returns the frame's CRC. */
uint32_t tide_frame_put(uint32_t seed, struct tide_position at, uint64_t durable, struct tide_span entry, struct tide_buf *out);

/* A walk over the frames of one segment, from wherever its bytes come. fetch gives up to `len` bytes at `off`, fewer only at the end;
 * a forward-only source is asked for ascending offsets without gaps. */
struct tide_segment_walk {
  enum tide_err (*fetch)(void *ctx, uint64_t off, uint8_t *out, size_t len, size_t *ret_len, struct tide_error *error);
  void *ctx;
  uint32_t seed;
  uint64_t off;              /* of the next frame in the segment */
  struct tide_position prev; /* of the frame before it */
  uint32_t prev_crc;
  uint8_t *window;           /* bytes [window_off, window_off + len) of the segment; the next frame begins at `pos` in it */
  size_t pos, len;
};
/* Begins behind the header. The window is allocated once and kept. */
void tide_segment_walk_begin(struct tide_segment_walk *walk, const struct tide_segment_header *header);
void tide_segment_walk_release(struct tide_segment_walk *walk);
/* The next frame and its entry (borrowed until the next call). Errors: END when no byte is left; AGAIN when what stands at walk->off
 * is incomplete, broken or not the successor of walk->prev (the walk does not move and reads afresh next time); IO. */
enum tide_err tide_segment_walk_next(struct tide_segment_walk *walk, struct tide_frame *ret, struct tide_span *ret_entry, struct tide_error *error)
    TIDE_WARN_UNUSED;

/* What a broken frame at `off` of an open file means. True in *ret_torn: the tail of writes that no fdatasync covered; false:
 * something behind it was written after an fdatasync that covered `off`, so the log itself is damaged. */
enum tide_err tide_segment_tail(int fd, uint32_t seed, uint64_t off, struct tide_position prev, bool *ret_torn, struct tide_error *error)
    TIDE_WARN_UNUSED;

/* Small things shared by journal and archive. */
/* DIR/000000000012.tdj; free with tide_free. */
char *tide_segment_path(const char *dir, uint64_t number, const char *suffix);
/* Numbers of the files with this suffix in ascending order; free with tide_free. With `sys`, left-over SUFFIX.tmp files are removed.
 * NOT_FOUND when there is no such directory; CORRUPT when a number between the first and the last is missing. */
enum tide_err tide_segment_list(const char *dir, const char *suffix, const struct tide_sys *sys, uint64_t **ret, size_t *ret_count,
                                struct tide_error *error) TIDE_WARN_UNUSED;
/* FULL for a full disk, a quota or a file size limit, IO for the rest, with strerror(errno). */
enum tide_err tide_sys_fail(struct tide_error *error, const char *doing, const char *path);
/* Writes all of it or fails; a short write is continued. */
enum tide_err tide_sys_write(const struct tide_sys *sys, int fd, const void *ptr, size_t len, uint64_t at, const char *path, struct tide_error *error)
    TIDE_WARN_UNUSED;
/* Makes a created, renamed or removed name durable. */
enum tide_err tide_sys_sync_dir(const struct tide_sys *sys, const char *dir, struct tide_error *error) TIDE_WARN_UNUSED;
/* Puts `bytes` under `path` so that it is there whole and durable, or not at all. */
enum tide_err tide_sys_publish(const struct tide_sys *sys, const char *dir, const char *path, struct tide_span bytes, struct tide_error *error)
    TIDE_WARN_UNUSED;
/* Up to len bytes at `at`, fewer only at the end of the file. */
enum tide_err tide_sys_read(int fd, void *out, size_t len, uint64_t at, size_t *ret_len, const char *path, struct tide_error *error) TIDE_WARN_UNUSED;

#endif
