/* Messages of files decoded ahead by several threads and given in the order of the input, as encoded records.
 *
 * The fold takes messages in one order, but what it is fed with need not be made in it: reading is cheap and one at a time, decoding and encoding a message depends on that
 * message alone. So whoever is free reads the next chunk of lines (under a lock, which gives it its number), decodes it with a decoder of its own, and puts it
 * into the ring; the caller takes chunks by number. What comes out is the same whatever the number of threads, also where the input breaks: everything before the
 * break, then the error. The caller decodes as well where nothing is ready, so with one thread there is no other. */
#ifndef TIDE_INTAKE_AHEAD_H
#define TIDE_INTAKE_AHEAD_H

#include "base/parallel.h"
#include "cli/intake.h"

/* One message that could be decoded. */
struct tide_ahead_item {
  struct tide_etime known_at; /* if the intake was asked for it */
  struct tide_etime first;    /* time of its first record */
  int64_t event_ms;           /* largest event time in it; INT64_MIN: it has none */
  uint64_t line;              /* over all files */
  struct tide_span records;   /* as tide_record_encode puts them, one behind the other */
  uint8_t count;              /* of records */
};
struct tide_ahead_chunk {
  const struct tide_ahead_item *item;
  size_t count;
  uint64_t rejected;    /* messages among them that could not be used; the first of them, if there is one: */
  uint64_t rejected_line;
  struct tide_error rejected_why;
  uint64_t done, total; /* of the files, for progress */
};

struct tide_ahead;
/* `intake` is borrowed and not to be used until close. threads 1 to TIDE_THREADS_MAX, the caller's among them; one that the system refuses is done without.
 * Errors: those of a decoder. */
enum tide_err tide_ahead_open(struct tide_intake *intake, const struct tide_spec *spec, unsigned threads, struct tide_ahead **ret,
                              struct tide_error *error) TIDE_WARN_UNUSED;
/* The next chunk, valid until the next call; END behind the last. A message of class INPUT or LIMIT is counted in `rejected`; any other error ends the input, after
 * the chunk with what stood before it. */
enum tide_err tide_ahead_next(struct tide_ahead *ahead, const struct tide_ahead_chunk **ret, struct tide_error *error) TIDE_WARN_UNUSED;
/* Stops the threads, also in the middle. */
void tide_ahead_close(struct tide_ahead *ahead);

#endif
