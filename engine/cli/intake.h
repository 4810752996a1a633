/* Messages of files as records: a source and a decoder together.
 *
 * The format is told from the first line and CSV headers are taken care of. A message that cannot be used is an answer, not the end: its place
 * is given, so that the caller can reject it and go on. */
#ifndef TIDE_INTAKE_H
#define TIDE_INTAKE_H

#include "adapter/decode.h"
#include "adapter/file.h"

struct tide_intake;
struct tide_intake_options {
  const struct tide_spec *spec;            /* borrowed */
  const struct tide_secret_key *key, *key_previous;
  const char *shape;                       /* NULL: default */
  const char *format;                      /* "auto", "json", "csv" */
  bool known_at;                           /* fill taken.known_at; a message without it is bad */
  const char *known_at_place;              /* as in decode.h */
  const char *const *input;
  size_t input_count;
};
struct tide_taken {
  struct tide_record record[2];
  int count;
  struct tide_etime known_at; /* when it became known, if that was asked for */
  uint16_t source, partition;
  uint64_t line, next;      /* line number over all files; cursor behind the message */
  const char *file;         /* borrowed; the file it stands in and */
  uint64_t file_line;       /* the line there */
  struct tide_span message; /* as read, for the rejects file; borrowed until the next call */
};
enum tide_err tide_intake_open(const struct tide_intake_options *options, struct tide_intake **ret, struct tide_error *error) TIDE_WARN_UNUSED;
/* The next message. ret is written (but for the records) also when the message is bad: an error of class INPUT, or LIMIT for a line that is
 * too long; the run goes on. END behind the last. Anything else ends the run. */
enum tide_err tide_intake_next(struct tide_intake *intake, struct tide_taken *ret, struct tide_error *error) TIDE_WARN_UNUSED;
/* The two halves of next, for decoding on several threads. read: the message and its place, without records; one thread at a time. decode: taken->message into
 * records, with a decoder of the caller's thread; it touches nothing else of the intake. Errors as next. */
enum tide_err tide_intake_read(struct tide_intake *intake, struct tide_taken *ret, struct tide_error *error) TIDE_WARN_UNUSED;
enum tide_err tide_intake_decode(const struct tide_intake *intake, struct tide_decoder *decoder, struct tide_taken *taken, struct tide_error *error)
    TIDE_WARN_UNUSED;
/* Another decoder for the same messages, CSV header and all. Free with tide_decoder_free. */
enum tide_err tide_intake_decoder(const struct tide_intake *intake, struct tide_decoder **ret, struct tide_error *error) TIDE_WARN_UNUSED;
/* Goes on at a cursor. Errors: MISMATCH, IO. */
enum tide_err tide_intake_seek(struct tide_intake *intake, uint64_t cursor, struct tide_error *error) TIDE_WARN_UNUSED;
void tide_intake_mask(struct tide_intake *intake, struct tide_span message, struct tide_buf *out);
void tide_intake_progress(struct tide_intake *intake, uint64_t *ret_done, uint64_t *ret_total);
void tide_intake_close(struct tide_intake *intake);

#endif
