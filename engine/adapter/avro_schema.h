/* An Avro schema as the walk over a message wants it: a table of types that refer to each other by index.
 *
 * Of the logical types, decimal, timestamp-millis and timestamp-micros are kept; every other one is what it is written as, as the specification of Avro
 * wants it for logical types that a reader does not know. A type that contains itself is an index that leads back. */
#ifndef TIDE_AVRO_SCHEMA_H
#define TIDE_AVRO_SCHEMA_H

#include "base/err.h"
#include "base/span.h"

enum tide_avro_kind {
  TIDE_AVRO_IS_NULL, TIDE_AVRO_IS_BOOLEAN, TIDE_AVRO_IS_INT, TIDE_AVRO_IS_LONG, TIDE_AVRO_IS_FLOAT, TIDE_AVRO_IS_DOUBLE, TIDE_AVRO_IS_BYTES,
  TIDE_AVRO_IS_STRING, TIDE_AVRO_IS_FIXED, TIDE_AVRO_IS_ENUM, TIDE_AVRO_IS_ARRAY, TIDE_AVRO_IS_MAP, TIDE_AVRO_IS_UNION, TIDE_AVRO_IS_RECORD
};
enum tide_avro_logical {
  TIDE_AVRO_PLAIN,
  TIDE_AVRO_DECIMAL, /* BYTES, FIXED: a big-endian integer in two's complement, divided by 10^scale */
  TIDE_AVRO_TIME_MS, /* LONG: since 1970 */
  TIDE_AVRO_TIME_US
};

struct tide_avro_type {
  uint8_t kind;             /* enum tide_avro_kind */
  uint8_t logical;          /* enum tide_avro_logical */
  uint8_t scale;            /* DECIMAL: 0..TIDE_AVRO_SCALE_MAX */
  uint32_t size;            /* FIXED: bytes; ENUM: symbols; UNION: branches; RECORD: fields; ARRAY, MAP: 1 */
  const char *const *name;  /* ENUM: symbols; RECORD: fields */
  const uint32_t *child;    /* UNION, RECORD, ARRAY, MAP: `size` indices of types */
};

#define TIDE_AVRO_SCALE_MAX 64
#define TIDE_AVRO_TEXT_MAX (1u << 20)  /* bytes of a schema */
#define TIDE_AVRO_TYPES_MAX (1u << 14) /* types of a schema */
#define TIDE_AVRO_FIXED_MAX (1u << 20) /* bytes of a fixed */

struct tide_avro_schema {
  const struct tide_avro_type *type; /* type[0]: the message */
  uint32_t type_count;
};

/* A schema from its JSON text. Free with tide_avro_schema_free; never changes, so threads may share it. Error: SYNTAX, with the reason. */
enum tide_err tide_avro_schema_parse(struct tide_span text, struct tide_avro_schema **ret, struct tide_error *error) TIDE_WARN_UNUSED;
void tide_avro_schema_free(struct tide_avro_schema *schema);

#endif
