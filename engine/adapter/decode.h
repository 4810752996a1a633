/* From the bytes of one message to records, through the mapping that the feature file declares: the same for every format.
 *
 * One message gives one record, or two when an event's row carries outcome columns (the outcome stands directly behind it, flag
 * TIDE_REC_SAME_ROW). Secret fields are hashed here and their text goes nowhere else (where a file is read, the last few stay
 * in the decoder's memory with their hashes, options.repeats). Derived fields are computed here.
 *
 * Strict: everything that is not exactly right is an error naming field and reason; nothing is guessed. */
#ifndef TIDE_DECODE_H
#define TIDE_DECODE_H

#include "base/buf.h"
#include "base/hash.h"
#include "feature/record.h"

/* The formats, a row each: the name in configuration, and the reader `tide_format_NAME` (decode_parts.h) in decode_NAME.c. */
#define TIDE_FORMATS(X) X(JSON, json) X(CSV, csv) X(AVRO, avro)
enum tide_format {
#define X(constant, name) TIDE_FORMAT_##constant,
  TIDE_FORMATS(X)
#undef X
      TIDE_FORMAT_COUNT
};
/* "json". */
const char *tide_format_name(enum tide_format format);
/* False when there is no format of that name. */
bool tide_format_named(struct tide_span name, enum tide_format *ret);

struct tide_decoder;
struct tide_schemas;
struct tide_decode_options {
  const struct tide_spec *spec;          /* borrowed */
  const struct tide_secret_key *key;     /* borrowed; may be NULL when no field is secret */
  const struct tide_secret_key *key_alt; /* the previous key while keys rotate, or NULL */
  const char *shape;                     /* the shape for messages that no `when` picks; NULL: "default" */
  enum tide_format format;
  struct tide_schemas *schemas;          /* borrowed; AVRO: where schemas are found (schemas.h). Decoders of several threads may share it */
  bool time_optional;  /* whoever journals it stamps it: the time may be missing whatever the mapping says (a heartbeat's may not) */
  bool all_optional;   /* a question about keys: no mapped field has to be there */
  bool known_at;       /* read `known_at` where a shape declares it: tide_decode_known_at */
  const char *known_at_place; /* for all shapes instead of their own; written as the shape's known_at, else as its event time. NULL: their own */
  bool repeats;        /* a file: the same secret texts come again soon, and their hashes are kept for a while (decode_secret.c) */
  const char *beside;  /* a JSON pointer that no shape reads but the caller does, or NULL: tide_decode_beside */
};
/* CONFIG when the shape does not exist, a secret field has no key, or AVRO has no schemas. */
enum tide_err tide_decoder_new(const struct tide_decode_options *options, struct tide_decoder **ret, struct tide_error *error) TIDE_WARN_UNUSED;
void tide_decoder_free(struct tide_decoder *decoder);

/* Formats with a header (CSV) only: the header row, once, before any row; a byte order mark is skipped. Errors: SYNTAX, UTF8, DUPLICATE_KEY, MISSING (a required
 * column is not there, named), CONFIG (a shape that rows can take reads from below the top level). */
enum tide_err tide_decode_header(struct tide_decoder *decoder, struct tide_span line, struct tide_error *error) TIDE_WARN_UNUSED;
/* Decodes one message. Spans in the records point into `bytes`, the spec or memory of the decoder, until the next call. On error nothing is
 * written and error->field names the field ("" when the message as a whole is broken). source, partition, offset are the caller's to
 * set. Fields beyond spec->field_count are not written. The event time stands in `time` and in its field. Errors: class INPUT: the message is bad. AGAIN (AVRO): its schema
 * cannot be had now; nothing is known about the message, which is to be given again, soon and until the answer is another one. */
enum tide_err tide_decode(struct tide_decoder *decoder, struct tide_span bytes, struct tide_record ret[2], int *ret_count, struct tide_error *error)
    TIDE_WARN_UNUSED;
/* When the message decoded last became known: `known_at` of its shape, for histories. Errors: CONFIG (its shape declares none), MISSING, SYNTAX, RANGE.
 * Only with options.known_at, which makes the column of a CSV header required. */
enum tide_err tide_decode_known_at(const struct tide_decoder *decoder, struct tide_etime *ret, struct tide_error *error) TIDE_WARN_UNUSED;
/* Whether the message decoded last has anything at options.beside. */
bool tide_decode_beside(const struct tide_decoder *decoder);
/* Where the shape of the message decoded last keeps a field: "/billing/amount", or a column; NULL when it has no such field or no shape was found. */
const char *tide_decode_place(const struct tide_decoder *decoder, const char *field);
/* The message with the values of secret fields replaced by "***", as well as it can be told apart; a message that does not parse is
 * replaced by {"masked":"<n> bytes, not well-formed"}. For rejects files and dead letters. */
void tide_decode_mask(struct tide_decoder *decoder, struct tide_span bytes, struct tide_buf *out);

#endif
