/* The ingester of a serving engine: its sources, its outlet and its options, made of the configuration.
 *
 * Without `sources:` in the configuration there is none, and the engine claims nothing. */
#ifndef TIDE_SERVE_INGEST_H
#define TIDE_SERVE_INGEST_H

#include "cli/key_file.h"
#include "config/config.h"
#include "cli/serve_epoch.h"
#include "run/ingest.h"

struct tide_serve_ingest {
  struct tide_ingest *ingest;   /* NULL: no sources */
  struct tide_sources declared; /* for the core */
  /* what the ingester borrows */
  struct tide_source *source;
  struct tide_outlet *outlet;
  struct tide_kafka_marks *marks; /* NULL: ingest.barrier is log_end */
  struct tide_ingest_source *from;
  struct tide_schemas **schemas;
  size_t count;
};

/* epoch: of the registry, NULL: none; borrowed. meter: a shared one, whose sources are those of the configuration in their order; borrowed.
 * Opens clients and decoders; no broker is
 * asked. Errors: CONFIG (a source's `input` that the feature file does not have; a setting of Kafka). */
enum tide_err tide_serve_ingest_open(const struct tide_config *config, const struct tide_spec *spec, const struct tide_keys *keys,
                                     struct tide_meter *meter, struct tide_serve_epoch *epoch, struct tide_serve_ingest *ret, struct tide_error *error) TIDE_WARN_UNUSED;
/* After the engine has ended. */
void tide_serve_ingest_close(struct tide_serve_ingest *serve);

#endif
