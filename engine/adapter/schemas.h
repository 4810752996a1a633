/* The schemas that messages name by number: found once, kept for ever, because a number never gets another schema.
 *
 * They come from a directory (ID.avsc) or from a Schema Registry (schema_registry.h). One store serves the decoders of all threads. What is not there is told in two
 * ways that must not be mixed up. UNKNOWN_NAME, SYNTAX, TYPE: there is no such schema, or it is of no use, and never will be: the message is bad. AGAIN: it
 * cannot be said now (registry out of reach, a file that is not whole): nothing may be concluded about the message, and whoever has it waits with it. */
#ifndef TIDE_SCHEMAS_H
#define TIDE_SCHEMAS_H

#include "adapter/avro_schema.h"

struct tide_schemas;
struct tide_schemas_options {
  const char *from;      /* a directory, or http://HOST[:PORT][/PATH], or https://...; with USER:PASSWORD@ before the host where the registry asks for it */
  int64_t timeout_ms;    /* of one request; 0: 5 s */
  int64_t wait_ms;       /* how long one call of `get` waits for the registry; 0: 100 ms. A request goes on between calls */
  int64_t pause_ms;      /* how long the registry is left alone after it failed; 0: 1 s */
};
/* A directory has to be there, and every ID.avsc in it a schema; a registry is not asked before it is needed. Error: CONFIG. */
enum tide_err tide_schemas_open(const struct tide_schemas_options *options, struct tide_schemas **ret, struct tide_error *error) TIDE_WARN_UNUSED;
/* Thread-safe. The schema lives as long as the store. Errors: as above. AGAIN wants the same question again, soon. */
enum tide_err tide_schemas_get(struct tide_schemas *schemas, uint32_t id, const struct tide_avro_schema **ret, struct tide_error *error)
    TIDE_WARN_UNUSED;
void tide_schemas_close(struct tide_schemas *schemas);

#endif
