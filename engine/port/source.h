/* The source port: where messages come from, and how far they go.
 *
 * A source is a set of partitions, each a log of messages with a place (its cursor) that one can return to. A file is one partition; Kafka gives those of all
 * configured topics through one client. A message is bytes with a place; decoding is adapter/decode_*. Nothing is remembered here between two
 * runs: the cursors are in the journal, and a source begins where it is told to.
 *
 * `next`, `seek` and `stop` belong to one thread, `before` to one that may be another, at the same time; `places` and `ends` may be called by any. */
#ifndef TIDE_PORT_SOURCE_H
#define TIDE_PORT_SOURCE_H

#include "base/buf.h"
#include "base/err.h"
#include "base/source_number.h"

#define TIDE_MESSAGE_BYTES_MAX (1u << 20) /* a longer one is not given: LIMIT */

enum tide_message_kind {
  TIDE_MESSAGE_DATA,
  TIDE_MESSAGE_END,    /* everything before `next` was given, and there is no more now: once after a seek, and again after messages that came later. Also
                        * moves over what is no message (markers of transactions) */
  TIDE_MESSAGE_TROUBLE /* `trouble` says what. If `stopped`, the partition gives nothing more until it is sought; else it goes on by itself */
};

struct tide_message {
  uint8_t kind;                /* enum tide_message_kind */
  bool stopped;                /* TROUBLE */
  uint16_t source, partition;  /* source: its number (tide_source_number); a file: what it was opened as. TROUBLE: 0 if it concerns all */
  struct tide_span bytes;      /* DATA: borrowed until the next call */
  uint64_t offset;             /* file: line number from 1; Kafka: offset */
  uint64_t next;               /* cursor after this message; file: uncompressed byte offset behind it; Kafka: offset + 1 */
  int64_t append_ms;           /* when the log took it, by the log's clock; INT64_MIN: it does not say */
  struct tide_span trace;      /* traceparent that came with it; may be empty. Borrowed like bytes */
  bool copy;                   /* of an HTTP request that an engine answers itself (outlet.h) */
  bool mark;                   /* DATA that an engine wrote to find the log's end: no message, it only moves the cursor; bytes are empty */
  const struct tide_error *trouble; /* TROUBLE: NOT_FOUND: unknown topic or partition; MISMATCH: a gap, the cursor is not in the log any more or not yet;
                                     * CONFIG: not authorized; IO: out of reach. Borrowed like bytes */
};

/* A partition and one cursor in it. */
struct tide_place { uint16_t source, partition; uint64_t cursor; };

struct tide_source;
struct tide_source_ops {
  const char *name;
  /* Next message of any partition that was sought, those of one partition in their order. A live source waits up to its poll time for one, but not before
   * it has said END once since it gave the last: who collects messages to act upon them all at once then does so. Errors: END (file: finished; live:
   * nothing at hand), IO, CORRUPT (broken compression), LIMIT (line above 1 MiB: the message's place is set, the line is skipped). */
  enum tide_err (*next)(struct tide_source *, struct tide_message *ret, struct tide_error *);
  /* The partition gives messages from this cursor on (a message's `next`, or the log's beginning or end as `ends` tells). Messages of the partition that were read
   * ahead before are not given any more. Errors: NOT_FOUND (no such partition; where that is not known at once, a TROUBLE says it), MISMATCH (file: not a place between
   * two messages), IO. */
  enum tide_err (*seek)(struct tide_source *, uint16_t source, uint16_t partition, uint64_t cursor, struct tide_error *);
  /* The partition gives nothing more until it is sought again. */
  void (*stop)(struct tide_source *, uint16_t source, uint16_t partition);
  /* Every partition of every configured topic that exists now, cursor = where its log begins. *ret is the caller's to tide_free. Errors: IO (not all could be asked), NOT_FOUND
   * (names the topic). */
  enum tide_err (*places)(struct tide_source *, struct tide_place **ret, size_t *ret_count, struct tide_error *);
  /* Sets each cursor to the end of its log, as it was at some moment after the call. Errors: IO (then none is set), NOT_FOUND. */
  enum tide_err (*ends)(struct tide_source *, struct tide_place *place, size_t count, struct tide_error *);
  /* The bytes of the message directly before `cursor`, whatever is being read: the check that a log is still the one that was read. Errors: END (there is none: the log begins
   * at the cursor), MISMATCH (the log ends before it), NOT_FOUND, IO. */
  enum tide_err (*before)(struct tide_source *, struct tide_place place, struct tide_buf *out, struct tide_error *);
  void (*close)(struct tide_source *);
};
struct tide_source { const struct tide_source_ops *ops; };

#endif
