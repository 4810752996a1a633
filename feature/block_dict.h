/* The dictionaries of a block: where their entries stand, which event has which, and how one is built anew (block.h draws them).
 *
 * A dictionary has one of three forms: plain (an entry per event), one (an entry for all) or indexed (entries, and a byte per event that says which).
 * `tide_dict_plan` looks at the events that are to stand in a new block and takes the smallest; `tide_dict_fill` writes it. Both take one row more than the
 * old block has, because nearly all blocks are built anew for want of room for one. Private to block.c and those who insert. */
#ifndef TIDE_BLOCK_DICT_H
#define TIDE_BLOCK_DICT_H

#include "feature/block.h"

/* A dictionary of a block, in place. */
struct tide_entries {
  struct tide_dict_head *head;
  char *entry;
  uint8_t *index;           /* NULL: plain, or one for all */
  unsigned row, count, cap; /* count, cap: of the strip */
};

static inline struct tide_entries tide_entries_at(const struct tide_kind *kind, const struct tide_block *block, unsigned d,
                                                  struct tide_dict_head *head, char *at) {
  bool young = kind->dict[d].young;
  struct tide_entries dict = {.head = head,
                              .entry = at,
                              .row = kind->dict[d].row[tide_block_wide(block)],
                              .count = young ? block->yn : block->n,
                              .cap = young ? block->ycap : block->cap};
  if (head->cap > 1) dict.index = (uint8_t *)at + (size_t)head->cap * dict.row;
  return dict;
}

/* One of them; who needs several takes tide_block_entries. */
static inline struct tide_entries tide_block_entries_of(const struct tide_kind *kind, const struct tide_block *block, unsigned d) {
  return tide_entries_at(kind, block, d, tide_block_head(kind, block, d),
                         (char *)(uintptr_t)block + tide_block_dict_at(kind, block, d));
}

/* All of them, each behind the one before: ret[kind->dict_count]. */
static inline void tide_block_entries(const struct tide_kind *kind, const struct tide_block *block, struct tide_entries *ret) {
  if (!kind->dict_count) return;
  struct tide_dict_head *head = tide_block_head(kind, block, 0);
  char *at = (char *)(head + kind->dict_count);
  for (unsigned d = 0; d < kind->dict_count; d++, head++) {
    ret[d] = tide_entries_at(kind, block, d, head, at);
    at += tide_dict_bytes(ret[d].row, head->cap, ret[d].cap);
  }
}

static inline bool tide_entries_plain(const struct tide_entries *dict) { return !dict->head->cap; }
/* What the event at index j of the strip has. */
static inline char *tide_entries_get(const struct tide_entries *dict, unsigned j) {
  unsigned at = dict->index ? dict->index[j] : tide_entries_plain(dict) ? j : 0;
  return dict->entry + (size_t)at * dict->row;
}

/* A few bytes, as entries and cells are: no call for those. */
static inline void tide_copy_few(char *to, const char *from, size_t bytes) {
  if (bytes > 64) {
    memcpy(to, from, bytes);
  } else if (bytes >= 8) {
    for (size_t at = 0; at + 8 < bytes; at += 8) memcpy(to + at, from + at, 8);
    memcpy(to + bytes - 8, from + bytes - 8, 8);
  } else if (bytes >= 4) {
    uint32_t first, last;
    memcpy(&first, from, 4);
    memcpy(&last, from + bytes - 4, 4);
    memcpy(to, &first, 4);
    memcpy(to + bytes - 4, &last, 4);
  } else {
    for (size_t at = 0; at < bytes; at++) to[at] = from[at];
  }
}

static inline bool tide_same_entry(const char *a, const char *b, unsigned row) {
  if (row >= 8) {
    uint64_t differs = tide_load(a + row - 8, 8) ^ tide_load(b + row - 8, 8);
    for (unsigned at = 0; at + 8 < row; at += 8) differs |= tide_load(a + at, 8) ^ tide_load(b + at, 8);
    return !differs;
  }
  if (row >= 4) return tide_load(a, 4) == tide_load(b, 4) && tide_load(a + row - 4, 4) == tide_load(b + row - 4, 4);
  for (unsigned at = 0; at < row; at++)
    if (a[at] != b[at]) return false;
  return true;
}

/* The first of n entries with these bytes; n if there is none. */
static inline unsigned tide_find_entry(const char *entry, unsigned n, unsigned row, const char *wanted) {
  unsigned at = 0;
  while (at < n && !tide_same_entry(entry + (size_t)at * row, wanted, row)) at++;
  return at;
}

/* Which events a new block takes of an old one, by strip (0 long, 1 young): `count` from index `first` of the strip on, and a row that is added before those from
 * `place` on. */
struct tide_taken {
  unsigned first[2], count[2], place[2], cap[2]; /* cap: of the new strip */
  bool adds[2];
  const char *image; /* of the row; NULL: none is added */
};

/* How a dictionary is built anew. */
struct tide_rebuild {
  uint8_t cap;             /* of the new one: 0 plain, 1 one for all */
  bool same;               /* the entries that there were, in their order, and each event has the one that it had */
  unsigned kept, used, at; /* entries of old events, all entries, the row's: one of the kept ones, or behind them */
  uint8_t index[TIDE_BLOCK_MAX];
  uint16_t from[TIDE_DICT_ENTRIES_MAX]; /* by kept entry: an event that has it */
};

/* Decides about all dictionaries of a new block, and returns their bytes. had: those of the old block, NULL where nothing is taken. `spare`: one that gets room for another
 * entry, TIDE_NO_DICT: none. An added row comes into no other width than the old block had. */
size_t tide_dicts_plan(const struct tide_kind *kind, const struct tide_entries *had, const struct tide_taken *taken, int wide, unsigned spare,
                       struct tide_rebuild *ret);
/* Writes them behind the strips of the new block, as planned. */
void tide_dicts_fill(const struct tide_kind *kind, const struct tide_entries *had, int old_wide, const struct tide_taken *taken,
                     const struct tide_rebuild *rebuild, struct tide_block *block);

/* ---- numbers that are narrow or not ---- */

static inline uint64_t tide_all_ones(unsigned width) { return width == 8 ? UINT64_MAX : (UINT64_C(1) << (8 * width)) - 1; }

static inline uint64_t tide_raw_of(const struct tide_column *column, int wide, int64_t value) {
  return column->number && column->narrowable && !wide && value == TIDE_NULL_NUM ? tide_all_ones(column->width[0]) : (uint64_t)value;
}

static inline int64_t tide_value_of(const struct tide_column *column, int wide, uint64_t raw) {
  return column->number && column->narrowable && !wide && raw == tide_all_ones(column->width[0]) ? TIDE_NULL_NUM : (int64_t)raw;
}

#endif
