/* The client of a Schema Registry: the text of a schema by its number, GET /schemas/ids/ID.
 *
 * It never makes anybody wait for long: a request goes on between calls, whoever asks next moves it. One thread at a time (schemas.c sees to that). */
#ifndef TIDE_SCHEMA_REGISTRY_H
#define TIDE_SCHEMA_REGISTRY_H

#include "base/buf.h"
#include "base/err.h"

struct tide_schema_registry;
struct tide_schema_registry_options {
  const char *url;  /* http:// or https://, with a path and USER:PASSWORD@ where needed; copied */
  int64_t timeout_ms, wait_ms, pause_ms; /* as in schemas.h, not 0 */
};
/* Error: CONFIG (not such an address). Nothing is asked yet. */
enum tide_err tide_schema_registry_open(const struct tide_schema_registry_options *options, struct tide_schema_registry **ret, struct tide_error *error)
    TIDE_WARN_UNUSED;
/* The schema as JSON text, appended to out. Errors: UNKNOWN_NAME (the registry says that it has no such schema), TYPE (it is no Avro schema, or one in several pieces),
 * AGAIN (under way; out of reach; not allowed; an answer that no registry gives). */
enum tide_err tide_schema_registry_get(struct tide_schema_registry *registry, uint32_t id, struct tide_buf *out, struct tide_error *error)
    TIDE_WARN_UNUSED;
void tide_schema_registry_close(struct tide_schema_registry *registry);

#endif
