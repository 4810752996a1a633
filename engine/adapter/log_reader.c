/* Sequential and random reads over segments (log_reader.h).
 *
 * A position is found by binary search over the segments' `prev` and a walk through one of them; reading on is one step of that walk.
 * The list of segments only changes when the owner loads it anew, and then the walk is void and the position is searched again. */
#include "adapter/log_reader.h"

#include <inttypes.h>

/* A reader without the lock sees segments being trimmed under it and loads the list anew; more often than this in one read is an
 * error. */
enum { RELOADS_MAX = 100 };

void tide_log_reader_add(struct tide_log_reader *reader, const struct tide_segment_header *header) {
  if (reader->count == reader->cap) {
    reader->cap = reader->cap ? reader->cap * 2 : 16;
    reader->segment = tide_realloc(reader->segment, reader->cap * sizeof *reader->segment);
  }
  reader->segment[reader->count++] = *header;
}

void tide_log_reader_clear(struct tide_log_reader *reader) {
  reader->count = 0;
  reader->walking = false;
}

void tide_log_reader_release(struct tide_log_reader *reader) {
  tide_segment_walk_release(&reader->walk);
  tide_free(reader->segment);
  reader->segment = NULL;
  reader->count = reader->cap = 0;
  reader->walking = false;
}

enum tide_err tide_log_reader_corrupt(const struct tide_log_reader *reader, struct tide_error *error) {
  const struct tide_segment_walk *walk = &reader->walk;
  return tide_fail(error, TIDE_E_CORRUPT,
                   "%s: the entry at byte %" PRIu64 ", behind position %" PRIu64 "-%" PRIu64
                   ", is damaged; bring the file back from the archive or a "
                   "backup, or start from a snapshot behind it",
                   reader->name(reader->owner, reader->index), walk->off, walk->prev.epoch, walk->prev.seq);
}

enum tide_err tide_log_reader_chain_check(const struct tide_segment_header *a, const struct tide_segment_header *b, const char *name,
                                          struct tide_error *error) {
  if (b->log_id != a->log_id) {
    return tide_fail(error, TIDE_E_CORRUPT, "%s belongs to another log than the segment before it; take it away", name);
  }
  if (b->number != a->number + 1 || tide_position_cmp(b->prev, a->prev) < 0) {
    return tide_fail(error, TIDE_E_CORRUPT,
                     "%s does not continue the segment before it; bring the missing file back from the archive or a backup", name);
  }
  return TIDE_OK;
}

enum tide_err tide_log_reader_enter(struct tide_log_reader *reader, size_t index, struct tide_error *error) {
  TIDE_CHECK(index < reader->count);
  reader->walking = false;
  reader->index = index;
  tide_segment_walk_begin(&reader->walk, &reader->segment[index]);
  enum tide_err err = reader->open_segment(reader->owner, index, error);
  reader->walking = err == TIDE_OK;
  return err;
}

/* Where an entry behind (or at) `from` is: the last segment that begins before it. */
static size_t locate(const struct tide_log_reader *reader, struct tide_position from, bool inclusive) {
  size_t low = 0, high = reader->count;
  while (high - low > 1) {
    size_t middle = low + (high - low) / 2;
    int order = tide_position_cmp(reader->segment[middle].prev, from);
    if (order < 0 || (order == 0 && !inclusive)) {
      low = middle;
    } else {
      high = middle;
    }
  }
  return low;
}

/* Stands the walk where reading on finds the entry. */
static enum tide_err stand(struct tide_log_reader *reader, struct tide_position from, bool inclusive, struct tide_error *error) {
  size_t index = locate(reader, from, inclusive);
  int order = tide_position_cmp(reader->walk.prev, from);
  bool before = order < 0 || (order == 0 && !inclusive);
  /* Reading on goes through the end of the segment, where the next one is held against it, and not around it. */
  bool next = order == 0 && !inclusive;
  if (reader->walking && (next || (before && reader->index >= index))) {
    return TIDE_OK;
  }
  return tide_log_reader_enter(reader, index, error);
}

/* The next frame, across segments. */
static enum tide_err step(struct tide_log_reader *reader, struct tide_frame *ret, struct tide_span *ret_entry, struct tide_error *error) {
  for (;;) {
    enum tide_err err = tide_segment_walk_next(&reader->walk, ret, ret_entry, error);
    if (err != TIDE_E_END && err != TIDE_E_AGAIN) {
      return err;
    }
    if (reader->index + 1 == reader->count) {
      err = reader->at_end(reader->owner, err == TIDE_E_AGAIN, error);
      if (err) {
        return err;
      }
      continue;
    }
    const struct tide_segment_header *next = &reader->segment[reader->index + 1];
    if (err == TIDE_E_AGAIN || tide_position_cmp(next->prev, reader->walk.prev) != 0 || next->prev_crc != reader->walk.prev_crc) {
      return tide_log_reader_corrupt(reader, error);
    }
    err = tide_log_reader_enter(reader, reader->index + 1, error);
    if (err) {
      return err;
    }
  }
}

enum tide_err tide_log_reader_read(struct tide_log_reader *reader, struct tide_position from, bool inclusive, struct tide_frame *ret,
                                   struct tide_span *ret_entry, struct tide_error *error) {
  for (unsigned reloads = 0; reloads < RELOADS_MAX; reloads++) {
    if (reader->count == 0) {
      return TIDE_E_END;
    }
    enum tide_err err = stand(reader, from, inclusive, error);
    while (!err) {
      err = step(reader, ret, ret_entry, error);
      int order = err ? 0 : tide_position_cmp(ret->at, from);
      if (!err && (order > 0 || (order == 0 && inclusive))) {
        return TIDE_OK;
      }
    }
    if (err != TIDE_E_AGAIN) {
      return err;
    }
  }
  return tide_fail(error, TIDE_E_IO, "the segments change faster than they can be read; try again");
}
