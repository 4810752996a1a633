/* The id of a transaction as people write it: the parts of the id tuple joined by '/'.
 *
 * Secret parts appear as the hex of their hash, missing parts as nothing: what is printed never says more than the journal holds. Used
 * for answers, explain and reports. */
#ifndef TIDE_ANSWER_H
#define TIDE_ANSWER_H

#include "base/buf.h"
#include "feature/expr.h"
#include "feature/record.h"

/* Appends the id of the record (its `id:` fields, whatever the alias). */
void tide_record_id(const struct tide_spec *spec, const struct tide_record *record, struct tide_buf *out);
/* Appends one field as text: texts as they are, numbers with their decimals, times in RFC 3339, keys as 32 hex digits. */
void tide_datum_text(const struct tide_field *field, const struct tide_datum *datum, struct tide_buf *out);
/* Appends a value as JSON: numbers, conditions as 0 and 1, texts, null where there is none. */
void tide_value_json(const struct tide_value *value, struct tide_buf *out);

#endif
