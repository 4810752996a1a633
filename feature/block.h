/* A block: up to 256 events of one entity, structure of arrays, sorted by (event time, journal position).
 *
 *   header 16 B | long strip: each column cap entries, widest first | young strip: the same with ycap | a head per dictionary | dictionaries
 *
 * The young strip holds the newest yn of the n events: columns that nothing can ask for any more once an event has some age (plan.h). Event i
 * stands at young index i - (n - yn). Capacities grow in fine steps, because most devices, addresses and pairs are
 * seen once or twice, and by what the allocator gives away (block_append.c).
 *
 * A dictionary holds columns whose values repeat together (plan.h): the different combinations, one after the other, and for each event of its
 * strip which of them it has. It has one of three forms, whichever is smallest when the block is built anew:
 *
 *   cap == 0   plain: one entry per event, no index
 *   cap == 1   one entry for all events, no index
 *   cap >= 2   cap entries, then one byte per event of the strip
 *
 * Times, amounts and some more take fewer bytes in a narrow block (times as offset from the block's base) than in a wide one; a block turns
 * wide when a value does not fit, and stays so. Both variants are laid out by the plan. What is saved are the values, not these forms. */
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

/* What stands behind the header, one for each dictionary of the kind. */
struct tide_dict_head { uint8_t n, cap; };
#define TIDE_DICT_ENTRIES_MAX 32 /* beyond that, searching costs more than the bytes are worth: plain */

static inline size_t tide_round8(size_t bytes) { return (bytes + 7) & ~(size_t)7; }
static inline size_t tide_block_young_at(const struct tide_kind *kind, int wide, unsigned cap) {
  return sizeof(struct tide_block) + (((size_t)cap * kind->row[wide] + 7) & ~(size_t)7);
}
/* Bytes of a block without its dictionaries and their heads. */
static inline size_t tide_strips_bytes(const struct tide_kind *kind, int wide, unsigned cap, unsigned ycap) {
  size_t young_row = kind->young_row[wide], rest = young_row ? 7 : 0; /* no branch: kinds with and without take turns */
  return sizeof(struct tide_block) + (((size_t)cap * kind->row[wide] + rest) & ~rest) + ycap * young_row;
}
static inline struct tide_dict_head *tide_block_head(const struct tide_kind *kind, const struct tide_block *block, unsigned dict) {
  char *at = (char *)(uintptr_t)block + tide_strips_bytes(kind, tide_block_wide(block), block->cap, block->ycap);
  return (struct tide_dict_head *)(void *)at + dict;
}
/* Bytes of a dictionary of this form over a strip of so many events. */
static inline size_t tide_dict_bytes(size_t row, unsigned dict_cap, unsigned strip_cap) {
  size_t entries = dict_cap ? dict_cap : strip_cap, index = dict_cap > 1 ? strip_cap : 0; /* no branch: forms take turns */
  return entries * row + index;
}
/* Where dictionary `dict` begins; dict_count: where the block ends. */
static inline size_t tide_block_dict_at(const struct tide_kind *kind, const struct tide_block *block, unsigned dict) {
  int wide = tide_block_wide(block);
  size_t at = tide_strips_bytes(kind, wide, block->cap, block->ycap);
  const struct tide_dict_head *head = (const struct tide_dict_head *)(const void *)((const char *)block + at);
  at += kind->dict_count * sizeof *head;
  for (unsigned d = 0; d < dict; d++)
    at += tide_dict_bytes(kind->dict[d].row[wide], head[d].cap, kind->dict[d].young ? block->ycap : block->cap);
  return at;
}
static inline size_t tide_block_bytes(const struct tide_kind *kind, const struct tide_block *block) {
  return tide_block_dict_at(kind, block, kind->dict_count);
}

/* At least so many: all but what dictionaries of more than one entry take. Looks at the header alone. */
static inline size_t tide_block_bytes_least(const struct tide_kind *kind, const struct tide_block *block) {
  return tide_strips_bytes(kind, tide_block_wide(block), block->cap, block->ycap) + kind->dict_count * sizeof(struct tide_dict_head);
}

/* NULL is nothing. */
static inline void tide_block_free(const struct tide_kind *kind, struct tide_block *block) {
  if (block) tide_free_sized(block, tide_block_bytes(kind, block));
}

/* Start of a column outside of dictionaries; for a young column index 0 is event n - yn. */
static inline void *tide_block_column(const struct tide_kind *kind, const struct tide_block *block, unsigned column) {
  int wide = tide_block_wide(block);
  const struct tide_column *c = &kind->column[column];
  TIDE_CHECK(c->dict == TIDE_NO_DICT);
  size_t at = c->young ? tide_block_young_at(kind, wide, block->cap) + (size_t)block->ycap * c->before[wide]
                       : sizeof *block + (size_t)block->cap * c->before[wide];
  return (char *)(uintptr_t)block + at;
}

/* True if event i still has its young columns. */
static inline bool tide_block_is_young(const struct tide_block *block, unsigned i) { return i >= (unsigned)block->n - block->yn; }

/* The cells of one column, for those who read many. */
struct tide_cells {
  const char *cell;     /* of entry 0 */
  const uint8_t *entry; /* of each event of the strip; NULL: entry j is event j, or all are entry 0 where stride is 0 */
  uint32_t stride, first; /* first: events before the strip */
  uint8_t width;
};

static inline uint64_t tide_load(const char *at, unsigned width) {
  switch (width) {
    case 1: return *(const uint8_t *)at;
    case 2: {
      uint16_t x;
      memcpy(&x, at, sizeof x);
      return x;
    }
    case 4: {
      uint32_t x;
      memcpy(&x, at, sizeof x);
      return x;
    }
    default: {
      uint64_t x;
      memcpy(&x, at, sizeof x);
      return x;
    }
  }
}
static inline void tide_store_cell(char *at, unsigned width, uint64_t value) {
  switch (width) {
    case 1: *(uint8_t *)at = (uint8_t)value; break;
    case 2: {
      uint16_t x = (uint16_t)value;
      memcpy(at, &x, sizeof x);
      break;
    }
    case 4: {
      uint32_t x = (uint32_t)value;
      memcpy(at, &x, sizeof x);
      break;
    }
    default: memcpy(at, &value, sizeof value); break;
  }
}

static inline struct tide_cells tide_block_cells(const struct tide_kind *kind, const struct tide_block *block, unsigned column) {
  int wide = tide_block_wide(block);
  const struct tide_column *c = &kind->column[column];
  struct tide_cells cells = {.width = c->width[wide], .first = c->young ? (uint32_t)block->n - block->yn : 0};
  if (c->dict == TIDE_NO_DICT) {
    cells.cell = tide_block_column(kind, block, column);
    cells.stride = cells.width;
    return cells;
  }
  const char *at = (const char *)block + tide_block_dict_at(kind, block, c->dict);
  unsigned cap = tide_block_head(kind, block, c->dict)->cap, row = kind->dict[c->dict].row[wide];
  cells.cell = at + c->before[wide];
  cells.stride = cap == 1 ? 0 : row;
  if (cap > 1) cells.entry = (const uint8_t *)at + (size_t)cap * row;
  return cells;
}
/* Raw value of event i, zero-extended. A young column of an event that is no longer young is a bug of the caller. */
static inline uint64_t tide_cells_get(const struct tide_cells *cells, unsigned i) {
  TIDE_CHECK(i >= cells->first);
  unsigned j = i - cells->first;
  if (cells->entry) j = cells->entry[j];
  return tide_load(cells->cell + (size_t)j * cells->stride, cells->width);
}
static inline uint64_t tide_block_get(const struct tide_kind *kind, const struct tide_block *block, unsigned column, unsigned i) {
  if (TIDE_LIKELY(kind->column[column].dict == TIDE_NO_DICT && !kind->column[column].young)) {
    unsigned width = kind->column[column].width[tide_block_wide(block)];
    return tide_load((const char *)tide_block_column(kind, block, column) + (size_t)i * width, width);
  }
  struct tide_cells cells = tide_block_cells(kind, block, column);
  return tide_cells_get(&cells, i);
}

/* Writes a cell outside of dictionaries that is as wide as the value. */
static inline void tide_block_set(const struct tide_kind *kind, struct tide_block *block, unsigned column, unsigned i, uint64_t value) {
  const struct tide_column *c = &kind->column[column];
  if (c->young) {
    TIDE_CHECK(tide_block_is_young(block, i));
    i -= (unsigned)block->n - block->yn;
  }
  unsigned width = c->width[tide_block_wide(block)];
  tide_store_cell((char *)tide_block_column(kind, block, column) + (size_t)i * width, width, value);
}

static inline int64_t tide_block_time(const struct tide_kind *kind, const struct tide_block *block, unsigned i) {
  int wide = tide_block_wide(block);
  const char *at = (const char *)(block + 1) + (size_t)block->cap * kind->time_before[wide];
  return wide ? (int64_t)tide_load(at + (size_t)i * 8, 8) : tide_block_base_ms(block) + (int64_t)tide_load(at + (size_t)i * 4, 4);
}

static inline char *tide_block_mask_at(const struct tide_kind *kind, const struct tide_block *block, unsigned i) {
  return (char *)(uintptr_t)(block + 1) + (size_t)block->cap * kind->mask_before[tide_block_wide(block)] + (size_t)i * kind->mask_width;
}
static inline uint64_t tide_block_mask(const struct tide_kind *kind, const struct tide_block *block, unsigned i) {
  return tide_load(tide_block_mask_at(kind, block, i), kind->mask_width);
}

/* A number column (amount, requested, number) as int64, TIDE_NULL_NUM when missing; never in a dictionary. */
static inline int64_t tide_block_num(const struct tide_kind *kind, const struct tide_block *block, unsigned column, unsigned i) {
  uint64_t raw = tide_block_get(kind, block, column, i);
  if (kind->column[column].width[tide_block_wide(block)] == 4) return raw == UINT32_MAX ? TIDE_NULL_NUM : (int64_t)raw;
  return (int64_t)raw;
}

/* The step of the content that n events are in (n at most TIDE_BLOCK_MAX): fine ones up to 16, then eighths of the next power of two. Logs are looked through for what is too
 * old at full steps, so they are part of what a state means. */
static inline unsigned tide_block_capacity(unsigned n) {
  if (n <= 4) return n;
  unsigned step = n <= 16 ? 2 : 1u << (29 - __builtin_clz(n - 1));
  return (n + step - 1) & ~(step - 1);
}
/* Index of the first event with time > ms (all events at or before ms are below it). */
unsigned tide_block_after(const struct tide_kind *kind, const struct tide_block *block, int64_t ms);

/* The same, looked for one by one from event `from` on, of which all before are at or before ms: for who expects few. */
static inline unsigned tide_block_count_until(const struct tide_kind *kind, const struct tide_block *block, unsigned from, int64_t ms) {
  while (from < block->n && tide_block_time(kind, block, from) <= ms) from++;
  return from;
}

/* One event as a kind takes it: what all kinds have of it, by kind->origin of a column (plan.h), amounts as int64 with TIDE_NULL_NUM; and its
 * conditions and latest bits in this kind. */
struct tide_row { const int64_t *value; uint64_t mask; };

/* Inserts a row before index i (time order is the caller's), growing or widening as needed. *block may be NULL (empty) and may move. */
void tide_block_insert(const struct tide_kind *kind, struct tide_block **block, unsigned i, const struct tide_row *row);
/* Drops events with time <= keep_after_ms from the front, and young columns of those with time <= young_after_ms. Does not shrink. */
void tide_block_drop(const struct tide_kind *kind, struct tide_block *block, int64_t keep_after_ms, int64_t young_after_ms);
/* The same where there are some; false: there are none. */
static inline bool tide_block_expire(const struct tide_kind *kind, struct tide_block *block, int64_t keep_after_ms, int64_t young_after_ms) {
  if (!block->n || (tide_block_time(kind, block, 0) > keep_after_ms &&
                    (!block->yn || tide_block_time(kind, block, (unsigned)block->n - block->yn) > young_after_ms)))
    return false;
  tide_block_drop(kind, block, keep_after_ms, young_after_ms);
  return true;
}
/* Writes a number that may not fit a narrow block. May move *block. */
void tide_block_set_num(const struct tide_kind *kind, struct tide_block **block, unsigned column, unsigned i, int64_t value);
/* Writes a cell of any column but the time and numbers; dictionaries may need room. May move *block. */
void tide_block_put(const struct tide_kind *kind, struct tide_block **block, unsigned column, unsigned i, uint64_t value);
/* Splits off the events from index i on into a new block (i between 1 and n - 1). */
struct tide_block *tide_block_split(const struct tide_kind *kind, struct tide_block *block, unsigned i);
/* Gives back what is allocated beyond its events and `more` of them, none or one. May move *block. */
void tide_block_fit(const struct tide_kind *kind, struct tide_block **block, unsigned more);

/* Logical content: n, yn, wide, base, then each column's value for each event; the same whatever form its dictionaries have. */
void tide_block_save(const struct tide_kind *kind, const struct tide_block *block, struct tide_buf *out);
/* NULL with reader->bad set when the bytes cannot be a block of this kind. */
struct tide_block *tide_block_load(const struct tide_kind *kind, struct tide_reader *reader);

#endif
