/* A block: up to 256 events of one entity, structure of arrays, sorted by (event time, journal position).
 *
 *   header 16 B | long strip: each column cap entries, widest first | young strip: each column ycap entries, widest first
 *
 * The young strip holds the newest yn of the n events: columns that nothing can ask for any more once an event has some age (plan.h). Event i
 * stands at young index i - (n - yn). Capacities grow in fine steps (1 2 3 4 6 8 12 16 ...), because most devices, addresses and pairs are
 * seen once or twice.
 *
 * Times and amounts take 4 bytes in a narrow block (times as offset from the block's base) and 8 in a wide one; a block turns wide when a
 * value does not fit, and stays so. Both variants are laid out by the plan. */
#ifndef TIDE_BLOCK_H
#define TIDE_BLOCK_H

#include "feature/plan.h"

#ifndef TIDE_BLOCK_MAX /* SAN=small builds with tiny ones, so that what happens at their ends happens often */
#define TIDE_BLOCK_MAX 256
#endif

struct tide_block {
  uint16_t n, cap, yn, ycap;
  int64_t base_ms2; /* base_ms * 2 + wide */
};
_Static_assert(sizeof(struct tide_block) == 16, "header of every block");

static inline int tide_block_wide(const struct tide_block *block) { return (int)(block->base_ms2 & 1); }
static inline int64_t tide_block_base_ms(const struct tide_block *block) { return block->base_ms2 >> 1; }

static inline size_t tide_block_young_at(const struct tide_kind *kind, int wide, unsigned cap) {
  return sizeof(struct tide_block) + (((size_t)cap * kind->row[wide] + 7) & ~(size_t)7);
}
static inline size_t tide_block_bytes(const struct tide_kind *kind, const struct tide_block *block) {
  int wide = tide_block_wide(block);
  return tide_block_young_at(kind, wide, block->cap) + (((size_t)block->ycap * kind->young_row[wide] + 7) & ~(size_t)7);
}

/* Start of a column; for a young column index 0 is event n - yn. */
static inline void *tide_block_column(const struct tide_kind *kind, const struct tide_block *block, unsigned column) {
  int wide = tide_block_wide(block);
  const struct tide_column *c = &kind->column[column];
  size_t at = c->young ? tide_block_young_at(kind, wide, block->cap) + (size_t)block->ycap * c->before[wide]
                       : sizeof *block + (size_t)block->cap * c->before[wide];
  return (char *)(uintptr_t)block + at;
}

/* True if event i still has its young columns. */
static inline bool tide_block_is_young(const struct tide_block *block, unsigned i) { return i >= (unsigned)block->n - block->yn; }

/* Raw value of a column, zero-extended. A young column of an event that is no longer young is a bug of the caller. */
static inline uint64_t tide_block_get(const struct tide_kind *kind, const struct tide_block *block, unsigned column, unsigned i) {
  const struct tide_column *c = &kind->column[column];
  if (c->young) {
    TIDE_CHECK(tide_block_is_young(block, i));
    i -= (unsigned)block->n - block->yn;
  }
  const char *at = tide_block_column(kind, block, column);
  switch (c->width[tide_block_wide(block)]) {
    case 1: return ((const uint8_t *)at)[i];
    case 2: return ((const uint16_t *)(const void *)at)[i];
    case 4: return ((const uint32_t *)(const void *)at)[i];
    default: return ((const uint64_t *)(const void *)at)[i];
  }
}

static inline void tide_block_set(const struct tide_kind *kind, struct tide_block *block, unsigned column, unsigned i, uint64_t value) {
  const struct tide_column *c = &kind->column[column];
  if (c->young) {
    TIDE_CHECK(tide_block_is_young(block, i));
    i -= (unsigned)block->n - block->yn;
  }
  char *at = tide_block_column(kind, block, column);
  switch (c->width[tide_block_wide(block)]) {
    case 1: ((uint8_t *)at)[i] = (uint8_t)value; break;
    case 2: ((uint16_t *)(void *)at)[i] = (uint16_t)value; break;
    case 4: ((uint32_t *)(void *)at)[i] = (uint32_t)value; break;
    default: ((uint64_t *)(void *)at)[i] = value; break;
  }
}

static inline int64_t tide_block_time(const struct tide_kind *kind, const struct tide_block *block, unsigned i) {
  unsigned column = kind->col_of[TIDE_COL_TIME];
  const void *at = tide_block_column(kind, block, column);
  return tide_block_wide(block) ? ((const int64_t *)at)[i] : tide_block_base_ms(block) + ((const uint32_t *)at)[i];
}

static inline uint64_t tide_block_mask(const struct tide_kind *kind, const struct tide_block *block, unsigned i) {
  return tide_block_get(kind, block, kind->col_of[TIDE_COL_MASK], i);
}

/* A number column (amount, requested, number) as int64, TIDE_NULL_NUM when missing. */
static inline int64_t tide_block_num(const struct tide_kind *kind, const struct tide_block *block, unsigned column, unsigned i) {
  uint64_t raw = tide_block_get(kind, block, column, i);
  if (kind->column[column].width[tide_block_wide(block)] == 4) return raw == UINT32_MAX ? TIDE_NULL_NUM : (int64_t)raw;
  return (int64_t)raw;
}

/* The capacity step that holds n events (n at most TIDE_BLOCK_MAX). */
unsigned tide_block_capacity(unsigned n);
/* Index of the first event with time > ms (all events at or before ms are below it). */
unsigned tide_block_after(const struct tide_kind *kind, const struct tide_block *block, int64_t ms);

/* The values of one event in order of kind->column; amounts as int64 with TIDE_NULL_NUM. */
struct tide_row { int64_t value[TIDE_COLUMNS_MAX]; };

/* Inserts a row before index i (time order is the caller's), growing or widening as needed. *block may be NULL (empty) and may move. */
void tide_block_insert(const struct tide_kind *kind, struct tide_block **block, unsigned i, const struct tide_row *row);
/* Drops events with time <= keep_after_ms from the front, and young columns of those with time <= young_after_ms. Does not shrink. */
void tide_block_expire(const struct tide_kind *kind, struct tide_block *block, int64_t keep_after_ms, int64_t young_after_ms);
/* Writes a number that may not fit a narrow block. May move *block. */
void tide_block_set_num(const struct tide_kind *kind, struct tide_block **block, unsigned column, unsigned i, int64_t value);
/* Splits off the events from index i on into a new block (i between 1 and n - 1). */
struct tide_block *tide_block_split(const struct tide_kind *kind, struct tide_block *block, unsigned i);
/* Reallocates to exactly what is used. May move *block. */
void tide_block_fit(const struct tide_kind *kind, struct tide_block **block);

/* Logical content: n, yn, wide, base, then each column's used entries. */
void tide_block_save(const struct tide_kind *kind, const struct tide_block *block, struct tide_buf *out);
/* NULL with reader->bad set when the bytes cannot be a block of this kind. */
struct tide_block *tide_block_load(const struct tide_kind *kind, struct tide_reader *reader);

#endif
