/* The dictionaries of a block: where their entries stand, which event has which, and how one is built anew (block.h draws them).
 *
 * A dictionary has one of three forms: plain (an entry per event), one (an entry for all) or indexed (entries, and a byte per event that says
 * which). `tide_dict_plan` looks at the events that are to stand in a new block and takes the smallest; `tide_dict_fill` writes it. Private to
 * blocks and to those who insert. */
#ifndef TIDE_BLOCK_DICT_H
#define TIDE_BLOCK_DICT_H

#include "base/copy.h"
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

/* The first `count` of them, each behind the one before. */
static inline void tide_block_entries(const struct tide_kind *kind, const struct tide_block *block, unsigned count,
                                      struct tide_entries *ret) {
  if (!count) return;
  struct tide_dict_head *head = tide_block_head(kind, block, 0);
  char *at = (char *)(head + kind->dict_count);
  for (unsigned d = 0; d < count; d++, head++) {
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

static inline void tide_copy_cell(char *to, const char *from, unsigned width) {
  switch (width) {
    case 4: memcpy(to, from, 4); break;
    case 1: *to = *from; break;
    case 2: memcpy(to, from, 2); break;
    default: memcpy(to, from, 8); break;
  }
}

static inline bool tide_same_entry(const char *a, const char *b, unsigned row) {
  if (row >= 8) {
    uint64_t differs = (tide_load(a, 8) ^ tide_load(b, 8)) | (tide_load(a + row - 8, 8) ^ tide_load(b + row - 8, 8)); /* nearly all are no longer than both */
    for (unsigned at = 8; at + 8 < row; at += 8) differs |= tide_load(a + at, 8) ^ tide_load(b + at, 8);
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

/* Entries for so many different ones over a strip of this capacity; 0: plain takes no more. */
static inline unsigned tide_dict_cap(unsigned row, unsigned used, unsigned strip_cap) {
  if (!used || used > TIDE_DICT_ENTRIES_MAX) return 0;
  unsigned cap = used <= 4 ? used : tide_block_capacity(used);
  return tide_dict_bytes(row, cap, strip_cap) < strip_cap * row ? cap : 0;
}

/* Does each of so many entries have an event? */
static inline bool tide_all_used(const uint8_t *index, unsigned count, unsigned entries) {
  uint32_t used = 0, all = (uint32_t)((UINT64_C(1) << entries) - 1);
  for (unsigned j = 0; j < count && used != all; j++) used |= UINT32_C(1) << index[j];
  return used == all;
}
_Static_assert(TIDE_DICT_ENTRIES_MAX <= 32, "a bit for each entry");

/* How a dictionary is built anew from the events [first, first + count) of the strip that it had. */
struct tide_rebuild {
  uint8_t cap;   /* of the new one: 0 plain, 1 one for all */
  bool same;     /* the entries that there were, in their order, and each event has the one that it had */
  unsigned used; /* entries */
  uint8_t index[TIDE_BLOCK_MAX];
  uint16_t from[TIDE_DICT_ENTRIES_MAX]; /* by entry: an event that has it */
};

/* Decides for a strip of so many events and entries of `row` bytes; entries that no event has any more are lost. `spare`: room for so many
 * beside those in use. */
void tide_dict_plan(const struct tide_entries *old, unsigned row, unsigned first, unsigned count, unsigned strip_cap, unsigned spare,
                    struct tide_rebuild *ret);
/* Writes dictionary `d` of a new block as planned; its head knows its cap. */
void tide_dict_fill(const struct tide_kind *kind, unsigned d, const struct tide_entries *from, int old_wide, unsigned first, unsigned count,
                    const struct tide_rebuild *rebuild, const struct tide_entries *to, int wide);

/* ---- numbers that are narrow or not ---- */

static inline uint64_t tide_all_ones(unsigned width) { return width == 8 ? UINT64_MAX : (UINT64_C(1) << (8 * width)) - 1; }

static inline uint64_t tide_raw_of(const struct tide_column *column, int wide, int64_t value) {
  return column->number && column->narrowable && !wide && value == TIDE_NULL_NUM ? tide_all_ones(column->width[0]) : (uint64_t)value;
}

static inline int64_t tide_value_of(const struct tide_column *column, int wide, uint64_t raw) {
  return column->number && column->narrowable && !wide && raw == tide_all_ones(column->width[0]) ? TIDE_NULL_NUM : (int64_t)raw;
}

/* ---- shapes (block.c), for those who insert ---- */

struct tide_block_shape {
  unsigned cap, ycap;
  int wide;
  int64_t base_ms;
};

static inline struct tide_block_shape tide_block_shape_of(const struct tide_block *block) {
  return (struct tide_block_shape){block->cap, block->ycap, tide_block_wide(block), tide_block_base_ms(block)};
}

/* Where a strip begins: the long one or the young one. */
static inline char *tide_block_strip(const struct tide_kind *kind, const struct tide_block *block, unsigned young) {
  return (char *)(uintptr_t)block + (young ? tide_block_young_at(kind, tide_block_wide(block), block->cap) : sizeof *block);
}

/* Does the value fit a narrow block's cell? */
static inline bool tide_fits_narrow(const struct tide_column *column, int64_t value) {
  uint64_t limit = tide_all_ones(column->width[0]);
  if (!column->narrowable) return true;
  if (column->number) return value == TIDE_NULL_NUM || (value >= 0 && (uint64_t)value < limit);
  return (uint64_t)value <= limit;
}

/* Writes a block of one event in memory of at least that size: strips of this capacity, one entry in each dictionary. Its image has the entries one behind the
 * other, as the block has them then. */
static inline void tide_block_write_first(const struct tide_kind *kind, struct tide_block *block, const char *image, struct tide_block_shape shape) {
  int wide = shape.wide;
  *block = (struct tide_block){.n = 1,
                               .cap = (uint16_t)shape.cap,
                               .yn = kind->has_young,
                               .ycap = (uint16_t)shape.ycap,
                               .base_ms2 = shape.base_ms * 2 + wide};
  char *strip[2] = {(char *)(block + 1), (char *)block + tide_block_young_at(kind, wide, shape.cap)};
  unsigned cap[2] = {shape.cap, shape.ycap};
  const struct tide_piece *piece = kind->image.piece[wide], *end = piece + kind->image.piece_count;
  for (; piece < end; piece++) tide_copy_cell(strip[piece->young] + (size_t)cap[piece->young] * piece->before, image + piece->image, piece->width);
  if (!kind->dict_count) return;
  struct tide_dict_head *head = tide_block_head(kind, block, 0);
  for (unsigned d = 0; d < kind->dict_count; d++) head[d] = (struct tide_dict_head){1, 1};
  tide_copy_few((char *)(head + kind->dict_count), image + kind->row[wide] + kind->young_row[wide], kind->image.entry_bytes[wide]);
}

/* A block of one event (block_append.c). */
struct tide_block *tide_block_first(const struct tide_kind *kind, const char *image, int wide, int64_t time_ms);
/* Puts in its place a new block with the row behind all events; false, and nothing is done, where a dictionary must lose entries first. */
bool tide_block_append(const struct tide_kind *kind, struct tide_block **block, const char *image);

/* The block in another shape, in another place. `spare`: a bit for each dictionary that gets room for one more entry. */
void tide_block_reshape(const struct tide_kind *kind, struct tide_block **block, struct tide_block_shape shape, uint32_t spare);

#endif
