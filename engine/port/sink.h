/* The sink port: where decisions go.
 *
 * Each carries its journal position, so that a sink can be idempotent: after a crash decisions are
 * offered again from an earlier position and what is already there is passed over. */
#ifndef TIDE_PORT_SINK_H
#define TIDE_PORT_SINK_H

#include "base/buf.h"
#include "base/err.h"
#include "port/journal.h"

struct tide_sink;
struct tide_sink_ops {
  const char *name;
  /* `index` is the record's place in its entry. The bytes are one JSON document without newline. Errors: IO, FULL. */
  enum tide_err (*put)(struct tide_sink *, struct tide_position position, uint32_t index, struct tide_span json, struct tide_error *);
  /* Everything put so far is with the operating system (file) or acknowledged (Kafka). */
  enum tide_err (*flush)(struct tide_sink *, struct tide_error *);
  enum tide_err (*close)(struct tide_sink *, struct tide_error *); /* flushes and frees */
};
struct tide_sink { const struct tide_sink_ops *ops; };

#endif
