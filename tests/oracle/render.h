/* Writing a case: as the feature file that the engine parses, as lines for people, and as records and entries for the fold. */
#ifndef TIDE_ORACLE_RENDER_H
#define TIDE_ORACLE_RENDER_H

#include "base/buf.h"
#include "feature/record.h"
#include "feature/settings.h"
#include "tests/oracle/recount.h"

void or_render_file(const struct or_case *c, struct tide_buf *out);
/* A policy alone, as a version of its own. */
void or_render_policy(const struct or_case *c, int policy, struct tide_buf *out);
void or_render_stream(const struct or_case *c, struct tide_buf *out);
struct tide_settings or_settings(const struct or_case *c);
/* The record as a decoder would make it. Texts are borrowed from the case. */
void or_render_record(const struct or_case *c, const struct tide_spec *spec, const struct or_record *r, struct tide_record *ret);
/* The record as a JSON line of one of the shapes that the file declares; `row`: the outcome that stands in the same row, or NULL. */
void or_render_json(const struct or_case *c, const struct or_record *r, const struct or_record *row, struct tide_buf *out);
/* The same as a row of CSV, and the header that goes before all rows. */
void or_render_csv(const struct or_case *c, const struct or_record *r, const struct or_record *row, struct tide_buf *out);
void or_render_csv_header(const struct or_case *c, struct tide_buf *out);
/* How a message says what it is: "event", "prof0". */
void or_render_type(const struct or_record *r, struct tide_buf *out);
/* A fact as a message has it; false when the record does not tell it. */
bool or_render_fact(const struct or_case *c, const struct or_record *r, int fact, struct tide_buf *out);
/* "12.345" of 12345 and 3. */
void or_render_decimal(int64_t num, int decimals, struct tide_buf *out);
/* Does an entry begin at this record? (The records of an entry may have been dropped.) */
bool or_entry_begins(const struct or_case *c, int record);
/* The commit time in the header of the entry that begins at this record. */
int64_t or_entry_commit(const struct or_case *c, int record);

#endif
