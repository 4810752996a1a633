/* From the fields of a record to the values that expressions read: the one place where a datum becomes a tide_value, used by the
 * decoder (derive) and by the fold, so that both see the same numbers (ruling 2). */
#ifndef TIDE_FIELDS_H
#define TIDE_FIELDS_H

#include "feature/record.h"

/* One datum. Text: its code. Key: a code with bit 63 set and the low 63 bits of the hash, so that keys compare like long texts.
 * Numbers and money: scaled / 10^n, one correctly rounded division. Bool: bool. Time: seconds, ms / 1000. Missing: null, absent. */
struct tide_value tide_field_value(const struct tide_field *field, const struct tide_datum *datum);

/* All fields: field[] and ret[] have spec->field_count elements. */
void tide_fields_values(const struct tide_spec *spec, const struct tide_datum *field, struct tide_value *ret);
/* The same where it is known which are not NONE (bits by field): most are. */
void tide_fields_present(const struct tide_spec *spec, const struct tide_datum *field, uint64_t present, struct tide_value *ret);

#endif
