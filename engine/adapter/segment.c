/* Headers, frames, the walk over them, and what a broken frame means (layout: segment.h).
 *
 * The walk reads through a window that holds any frame, so a frame is looked at once and copied once. It never moves past something
 * it has not verified, and it forgets what it read ahead whenever that did not verify: a writer may be completing those bytes. */
#include "adapter/segment.h"

#include <inttypes.h>
#include <sys/stat.h>

#include "base/hash.h"

/* A frame always fits; reading ahead pays in few system calls. */
enum { WINDOW_BYTES = (1 << 20) + (1 << 20), TAIL_BYTES = 1 << 20 };
_Static_assert(WINDOW_BYTES >= TIDE_ENTRY_MAX + TIDE_FRAME_HEADER_BYTES, "a window holds any frame");

static const char magic[4] = {'T', 'D', 'J', '1'};
enum { SEGMENT_FORMAT = 1, SEGMENT_CRC_AT = TIDE_SEGMENT_HEADER_BYTES - 4 };

static void put32(uint8_t *p, uint32_t v) {
  for (unsigned i = 0; i < 4; i++) {
    p[i] = (uint8_t)(v >> (8 * i));
  }
}
static void put64(uint8_t *p, uint64_t v) {
  for (unsigned i = 0; i < 8; i++) {
    p[i] = (uint8_t)(v >> (8 * i));
  }
}
static uint32_t get32(const uint8_t *p) { return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24; }
static uint64_t get64(const uint8_t *p) { return (uint64_t)get32(p) | (uint64_t)get32(p + 4) << 32; }

void tide_segment_header_put(struct tide_segment_header *header, uint8_t out[TIDE_SEGMENT_HEADER_BYTES]) {
  memcpy(out, magic, 4);
  put32(out + 4, SEGMENT_FORMAT);
  put64(out + 8, header->log_id);
  put64(out + 16, header->number);
  put64(out + 24, header->prev.epoch);
  put64(out + 32, header->prev.seq);
  put32(out + 40, header->prev_crc);
  header->seed = tide_crc32c(0, out, SEGMENT_CRC_AT);
  put32(out + SEGMENT_CRC_AT, header->seed);
}

enum tide_err tide_segment_header_get(struct tide_span bytes, const char *what, struct tide_segment_header *ret, struct tide_error *error) {
  const uint8_t *p = (const uint8_t *)bytes.ptr;
  if (bytes.len < TIDE_SEGMENT_HEADER_BYTES || memcmp(p, magic, 4) != 0) {
    return tide_fail(error, TIDE_E_CORRUPT,
                     "%s is not a journal segment (it does not begin with TDJ1); bring it back from archive or backup", what);
  }
  uint32_t seed = get32(p + SEGMENT_CRC_AT);
  if (seed != tide_crc32c(0, p, SEGMENT_CRC_AT)) {
    return tide_fail(error, TIDE_E_CORRUPT,
                     "%s: the segment header's checksum is wrong (byte 44); bring the file back from archive or backup", what);
  }
  if (get32(p + 4) != SEGMENT_FORMAT) {
    return tide_fail(error, TIDE_E_VERSION, "%s has segment format %u, this program knows %u; use the version that wrote it or a newer one",
                     what, get32(p + 4), (unsigned)SEGMENT_FORMAT);
  }
  *ret = (struct tide_segment_header){
      .log_id = get64(p + 8), .number = get64(p + 16), .prev = {get64(p + 24), get64(p + 32)}, .prev_crc = get32(p + 40), .seed = seed};
  return TIDE_OK;
}

uint32_t tide_frame_put(uint32_t seed, struct tide_position at, uint64_t durable, struct tide_span entry, struct tide_buf *out) {
  TIDE_CHECK(entry.len <= TIDE_ENTRY_MAX);
  tide_buf_reserve(out, TIDE_FRAME_HEADER_BYTES + entry.len);
  uint8_t *p = (uint8_t *)out->ptr + out->len;
  put32(p, (uint32_t)entry.len);
  put64(p + 8, at.epoch);
  put64(p + 16, at.seq);
  put64(p + 24, durable);
  if (entry.len > 0) {
    memcpy(p + TIDE_FRAME_HEADER_BYTES, entry.ptr, entry.len);
  }
  uint32_t crc = tide_crc32c(seed, p, 4);
  crc = tide_crc32c(crc, p + 8, TIDE_FRAME_HEADER_BYTES - 8 + entry.len);
  put32(p + 4, crc);
  out->len += TIDE_FRAME_HEADER_BYTES + entry.len;
  return crc;
}

static struct tide_frame frame_of(const uint8_t *p) {
  return (struct tide_frame){.length = get32(p), .crc = get32(p + 4), .at = {get64(p + 8), get64(p + 16)}, .durable = get64(p + 24)};
}

static bool frame_crc_fits(uint32_t seed, const uint8_t *p, const struct tide_frame *frame) {
  uint32_t crc = tide_crc32c(seed, p, 4);
  return frame->crc == tide_crc32c(crc, p + 8, TIDE_FRAME_HEADER_BYTES - 8 + (size_t)frame->length);
}

void tide_segment_walk_begin(struct tide_segment_walk *walk, const struct tide_segment_header *header) {
  walk->seed = header->seed;
  walk->off = TIDE_SEGMENT_HEADER_BYTES;
  walk->prev = header->prev;
  walk->prev_crc = header->prev_crc;
  walk->pos = walk->len = 0;
  if (!walk->window) {
    walk->window = tide_realloc(NULL, WINDOW_BYTES);
  }
}

void tide_segment_walk_release(struct tide_segment_walk *walk) {
  tide_free(walk->window);
  walk->window = NULL;
}

/* Makes `need` bytes stand at the window's pos if the segment has them; says how many there are. */
static enum tide_err fill(struct tide_segment_walk *walk, size_t need, size_t *ret_have, struct tide_error *error) {
  size_t have = walk->len - walk->pos;
  if (have < need) {
    memmove(walk->window, walk->window + walk->pos, have);
    walk->pos = 0;
    walk->len = have;
    size_t got;
    enum tide_err err = walk->fetch(walk->ctx, walk->off + have, walk->window + have, WINDOW_BYTES - have, &got, error);
    if (err) {
      return err;
    }
    walk->len += got;
    have = walk->len;
  }
  *ret_have = have;
  return TIDE_OK;
}

enum tide_err tide_segment_walk_next(struct tide_segment_walk *walk, struct tide_frame *ret, struct tide_span *ret_entry,
                                     struct tide_error *error) {
  TIDE_CHECK(walk->window && walk->pos <= walk->len);
  size_t have;
  struct tide_frame frame = {0};
  enum tide_err err = fill(walk, TIDE_FRAME_HEADER_BYTES, &have, error);
  bool whole = false;
  if (!err && have >= TIDE_FRAME_HEADER_BYTES) {
    frame = frame_of(walk->window + walk->pos);
    if (frame.length <= TIDE_ENTRY_MAX && tide_position_follows(walk->prev, frame.at) && frame.durable <= walk->off) {
      err = fill(walk, TIDE_FRAME_HEADER_BYTES + (size_t)frame.length, &have, error);
      whole =
          !err && have >= TIDE_FRAME_HEADER_BYTES + (size_t)frame.length && frame_crc_fits(walk->seed, walk->window + walk->pos, &frame);
    }
  }
  if (!whole) {
    walk->pos = walk->len = 0; /* a writer may be completing these very bytes */
    return err ? err : have == 0 ? TIDE_E_END : TIDE_E_AGAIN;
  }
  *ret = frame;
  *ret_entry = (struct tide_span){(const char *)walk->window + walk->pos + TIDE_FRAME_HEADER_BYTES, frame.length};
  walk->pos += TIDE_FRAME_HEADER_BYTES + (size_t)frame.length;
  walk->off += TIDE_FRAME_HEADER_BYTES + (uint64_t)frame.length;
  walk->prev = frame.at;
  walk->prev_crc = frame.crc;
  return TIDE_OK;
}

/* Is there a frame at `at` that was made after bytes beyond `off` were durable? The cheap tests come first: almost no offset passes. */
static enum tide_err covers(int fd, uint32_t seed, uint64_t off, struct tide_position prev, uint64_t at, uint64_t size, const uint8_t *head,
                            uint8_t *scratch, bool *ret, struct tide_error *error) {
  struct tide_frame frame = frame_of(head);
  *ret = false;
  if (frame.durable <= off || frame.durable > at || frame.length > TIDE_ENTRY_MAX || at + TIDE_FRAME_HEADER_BYTES + frame.length > size ||
      tide_position_cmp(frame.at, prev) <= 0) {
    return TIDE_OK;
  }
  size_t got, len = TIDE_FRAME_HEADER_BYTES + (size_t)frame.length;
  enum tide_err err = tide_sys_read(fd, scratch, len, at, &got, "segment", error);
  if (!err) {
    *ret = got == len && frame_crc_fits(seed, scratch, &frame);
  }
  return err;
}

enum tide_err tide_segment_tail(int fd, uint32_t seed, uint64_t off, struct tide_position prev, bool *ret_torn, struct tide_error *error) {
  struct stat stat;
  if (fstat(fd, &stat) != 0) {
    return tide_fail_errno(error, TIDE_E_IO, "looking at the segment's tail");
  }
  uint64_t size = (uint64_t)stat.st_size, at = off + 1;
  uint8_t *window = tide_realloc(NULL, TAIL_BYTES), *scratch = tide_realloc(NULL, TIDE_FRAME_HEADER_BYTES + TIDE_ENTRY_MAX);
  enum tide_err err = TIDE_OK;
  bool covered = false;
  while (!err && !covered && at + TIDE_FRAME_HEADER_BYTES <= size) {
    size_t got;
    err = tide_sys_read(fd, window, TAIL_BYTES, at, &got, "segment", error);
    if (err || got < TIDE_FRAME_HEADER_BYTES) {
      break;
    }
    size_t steps = got - TIDE_FRAME_HEADER_BYTES + 1;
    for (size_t i = 0; i < steps && !err && !covered; i++) {
      err = covers(fd, seed, off, prev, at + i, size, window + i, scratch, &covered, error);
    }
    at += steps;
  }
  tide_free(window);
  tide_free(scratch);
  if (!err) {
    *ret_torn = !covered;
  }
  return err;
}
