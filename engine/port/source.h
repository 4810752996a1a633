/* The source port: where messages come from.
 *
 * A message is bytes with a place; decoding is adapter/decode_*. */
#ifndef TIDE_PORT_SOURCE_H
#define TIDE_PORT_SOURCE_H

#include "base/buf.h"
#include "base/err.h"

struct tide_message {
  struct tide_span bytes;      /* borrowed until the next call */
  uint16_t source, partition;
  uint64_t offset;             /* file: line number from 1; Kafka: offset */
  uint64_t next;               /* cursor after this message; file: uncompressed byte offset behind it; Kafka: offset + 1 */
};

struct tide_source;
struct tide_source_ops {
  const char *name;
  /* Next message. Errors: END (file: finished; Kafka: nothing now), IO, CORRUPT (broken compression), LIMIT (line above 1 MiB: the message's place is set, the line is skipped). */
  enum tide_err (*next)(struct tide_source *, struct tide_message *ret, struct tide_error *);
  /* Continues at a cursor (a message's `next`, or 0). */
  enum tide_err (*seek)(struct tide_source *, uint16_t partition, uint64_t cursor, struct tide_error *);
  void (*close)(struct tide_source *);
};
struct tide_source { const struct tide_source_ops *ops; };

#endif
