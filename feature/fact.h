/* What profiles told about one entity: for each fact the values of the two latest times.
 *
 *   facts -> last_ms | count | row 0 | row 1 | ...        16 bytes and 16 a row, none where nothing was told
 *   row      key: number of the fact (8 bits) | time in ms + 2^55 (56 bits);  value (64 bits)
 *
 * Rows ascend by key, so those of one fact stand together, oldest first. Of one fact and one time there is one row: what was told later replaces it, because
 * no event could tell them apart. Two times are kept and not one, so that an event that is older than the latest change still gets what was true before it.
 * The value is the bits of an int64 (numbers, minor units, milliseconds, 0 or 1) or a text code: the plan knows which. */
#ifndef TIDE_FACT_H
#define TIDE_FACT_H

#include "base/buf.h"

#define TIDE_FACTS_KEPT 2 /* times of one fact */

struct tide_fact_row { uint64_t key, value; };
struct tide_facts {
  int64_t last_ms;  /* the watermark when something was told last, or the latest counted event; INT64_MIN: time had not begun */
  uint32_t count, reserved;
  struct tide_fact_row row[];
};

static inline int64_t tide_fact_time_ms(const struct tide_fact_row *row) {
  return (int64_t)(row->key & ((UINT64_C(1) << 56) - 1)) - (INT64_C(1) << 55);
}

/* Adds one, or replaces that of the same time. False: two that are newer are known, and nothing has changed. *facts NULL: the first. */
bool tide_facts_tell(struct tide_facts **facts, unsigned fact, int64_t time_ms, uint64_t value);
/* The latest that is not newer than time_ms; NULL: none is kept. facts may be NULL. */
const struct tide_fact_row *tide_facts_at(const struct tide_facts *facts, unsigned fact, int64_t time_ms);
/* Neither told nor reminded of since then. */
static inline bool tide_facts_forgotten(const struct tide_facts *facts, int64_t horizon_ms) {
  return facts->last_ms != INT64_MIN && facts->last_ms <= horizon_ms;
}
void tide_facts_release(struct tide_facts **facts);
uint64_t tide_facts_bytes(const struct tide_facts *facts);

void tide_facts_save(const struct tide_facts *facts, struct tide_buf *out);
/* Into *facts, which is NULL. False when the bytes are no facts of a kind that has `fact_count` of them. */
bool tide_facts_load(struct tide_facts **facts, unsigned fact_count, struct tide_reader *reader);

#endif
