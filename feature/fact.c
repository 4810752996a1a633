/* A short sorted array of rows, grown and cut by one at a time (fact.h).
 *
 * Profiles are told rarely and read with every event, so the array is exactly as long as it must be: most entities have a row for each fact, and a second one
 * for what has changed. A walk over a handful of rows needs no index. */
#include "feature/fact.h"

#include "base/err.h"

#define TIME_BIAS (INT64_C(1) << 55)

static uint64_t key_of(unsigned fact, int64_t time_ms) {
  TIDE_CHECK(fact < 256 && time_ms > -TIME_BIAS && time_ms < TIME_BIAS);
  return (uint64_t)fact << 56 | (uint64_t)(time_ms + TIME_BIAS);
}
static unsigned fact_of(const struct tide_fact_row *row) { return (unsigned)(row->key >> 56); }

static size_t size_of(uint32_t count) { return sizeof(struct tide_facts) + count * sizeof(struct tide_fact_row); }

/* The first row behind key. */
static uint32_t behind(const struct tide_facts *facts, uint64_t key) {
  uint32_t i = 0;
  while (i < facts->count && facts->row[i].key <= key) i++;
  return i;
}

static void insert(struct tide_facts **facts, uint32_t at, struct tide_fact_row row) {
  struct tide_facts *grown = tide_realloc(*facts, size_of((*facts)->count + 1));
  memmove(&grown->row[at + 1], &grown->row[at], (grown->count - at) * sizeof row);
  grown->row[at] = row;
  grown->count++;
  *facts = grown;
}

bool tide_facts_tell(struct tide_facts **facts, unsigned fact, int64_t time_ms, uint64_t value) {
  struct tide_fact_row row = {key_of(fact, time_ms), value};
  if (!*facts) {
    *facts = tide_alloc(size_of(0));
    (*facts)->last_ms = INT64_MIN;
  }
  struct tide_facts *old = *facts;
  uint32_t at = behind(old, row.key);
  if (at > 0 && old->row[at - 1].key == row.key) {
    old->row[at - 1].value = value;
    return true;
  }
  uint32_t newer = 0, older = 0;
  while (at + newer < old->count && fact_of(&old->row[at + newer]) == fact) newer++;
  while (older < at && fact_of(&old->row[at - older - 1]) == fact) older++;
  TIDE_CHECK(newer + older <= TIDE_FACTS_KEPT);
  if (newer == TIDE_FACTS_KEPT) return false;
  if (newer + older < TIDE_FACTS_KEPT) {
    insert(facts, at, row);
    return true;
  }
  /* The oldest goes; those between move up. */
  memmove(&old->row[at - older], &old->row[at - older + 1], (older - 1) * sizeof row);
  old->row[at - 1] = row;
  return true;
}

const struct tide_fact_row *tide_facts_at(const struct tide_facts *facts, unsigned fact, int64_t time_ms) {
  if (!facts) return NULL;
  uint32_t at = behind(facts, key_of(fact, time_ms));
  return at > 0 && fact_of(&facts->row[at - 1]) == fact ? &facts->row[at - 1] : NULL;
}

void tide_facts_release(struct tide_facts **facts) {
  tide_free(*facts);
  *facts = NULL;
}

uint64_t tide_facts_bytes(const struct tide_facts *facts) { return facts ? size_of(facts->count) : 0; }

void tide_facts_save(const struct tide_facts *facts, struct tide_buf *out) {
  tide_put_varint(out, facts ? facts->count : 0);
  if (!facts || !facts->count) return;
  tide_put_u64(out, (uint64_t)facts->last_ms);
  for (uint32_t i = 0; i < facts->count; i++) {
    tide_put_u64(out, facts->row[i].key);
    tide_put_u64(out, facts->row[i].value);
  }
}

bool tide_facts_load(struct tide_facts **facts, unsigned fact_count, struct tide_reader *reader) {
  uint64_t count = tide_get_varint(reader);
  if (reader->bad || count > (uint64_t)fact_count * TIDE_FACTS_KEPT) return false;
  if (!count) return true;
  *facts = tide_alloc(size_of((uint32_t)count));
  (*facts)->count = (uint32_t)count;
  (*facts)->last_ms = (int64_t)tide_get_u64(reader);
  uint32_t same = 0; /* rows of the same fact before this one */
  for (uint32_t i = 0; i < count; i++) {
    struct tide_fact_row *row = &(*facts)->row[i];
    row->key = tide_get_u64(reader);
    row->value = tide_get_u64(reader);
    if (reader->bad || fact_of(row) >= fact_count) return false;
    if (i > 0 && row->key <= row[-1].key) return false;
    same = i > 0 && fact_of(row) == fact_of(row - 1) ? same + 1 : 0;
    if (same == TIDE_FACTS_KEPT) return false;
  }
  return true;
}
