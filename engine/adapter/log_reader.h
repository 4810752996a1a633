/* Reading a log that is spread over numbered segments: the part that the file journal, its read-only openers and the archive share.
 *
 * Reading forward costs no search: the walk stands behind the entry it gave last. Any other position is found by the segments' `prev`
 * and a walk through one segment. At a segment's end the next header must name exactly the entry and checksum just seen, so a lost or
 * cut segment is noticed. */
#ifndef TIDE_ADAPTER_LOG_READER_H
#define TIDE_ADAPTER_LOG_READER_H

#include "adapter/segment.h"

struct tide_log_reader {
  struct tide_segment_header *segment; /* ascending numbers without a gap */
  size_t count, cap;
  struct tide_segment_walk walk;       /* fetch and ctx are the owner's */
  size_t index;                        /* of the segment the walk is in */
  bool walking;
  void *owner;
  /* Makes walk.fetch read segment[index]. AGAIN: the list was loaded anew, search again. */
  enum tide_err (*open_segment)(void *owner, size_t index, struct tide_error *error);
  /* The walk came to the end of the last segment, cleanly or at something `broken`. OK: there may be more now, go on; END; AGAIN as
   * above; or an error. */
  enum tide_err (*at_end)(void *owner, bool broken, struct tide_error *error);
  /* Names segment[index] in errors; valid until the next call. */
  const char *(*name)(void *owner, size_t index);
};

void tide_log_reader_add(struct tide_log_reader *reader, const struct tide_segment_header *header);
/* Forgets the segments and the place (not the callbacks). */
void tide_log_reader_clear(struct tide_log_reader *reader);
void tide_log_reader_release(struct tide_log_reader *reader);
/* As the port's read, but the entry is borrowed until the next call. */
enum tide_err tide_log_reader_read(struct tide_log_reader *reader, struct tide_position from, bool inclusive, struct tide_frame *ret,
                                   struct tide_span *ret_entry, struct tide_error *error) TIDE_WARN_UNUSED;
/* Puts the walk at the beginning of segment[index]. */
enum tide_err tide_log_reader_enter(struct tide_log_reader *reader, size_t index, struct tide_error *error) TIDE_WARN_UNUSED;
/* CORRUPT, naming segment, byte and what to do. */
enum tide_err tide_log_reader_corrupt(const struct tide_log_reader *reader, struct tide_error *error);
/* One header must be able to stand behind the other: numbers dense, the same log, positions not falling. */
enum tide_err tide_log_reader_chain_check(const struct tide_segment_header *a, const struct tide_segment_header *b, const char *name,
                                          struct tide_error *error) TIDE_WARN_UNUSED;

#endif
