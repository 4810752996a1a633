/* Blocks: shapes, search, expiry, changes of single cells, splitting, bytes on disk (block.h draws the layout; insertion is block_insert.c).
 *
 * Everything that changes the shape of a block, but for want of room at its end, goes through `reshape`, which copies column by column into a
 * new allocation: one place that knows how two layouts correspond, and the one where dictionaries lose entries that no event has any more. */
#include "feature/block_dict.h"

/* Cells of a column, which is none of a dictionary, from one block to another of other width or base. */
static void convert_cells(const struct tide_column *column, const struct tide_block *old, const char *src, unsigned count,
                          const struct tide_block *block, char *dst) {
  int old_wide = tide_block_wide(old), wide = tide_block_wide(block);
  if (column->width[old_wide] == column->width[wide] && (column->what != TIDE_COL_TIME || wide || old->base_ms2 == block->base_ms2)) {
    memcpy(dst, src, (size_t)count * column->width[wide]);
    return;
  }
  int64_t shift_ms = (old_wide ? 0 : tide_block_base_ms(old)) - (wide ? 0 : tide_block_base_ms(block));
  for (unsigned i = 0; i < count; i++) {
    uint64_t raw = tide_load(src + (size_t)i * column->width[old_wide], column->width[old_wide]);
    if (column->what == TIDE_COL_TIME) raw += (uint64_t)shift_ms;
    else raw = tide_raw_of(column, wide, tide_value_of(column, old_wide, raw));
    tide_store_cell(dst + (size_t)i * column->width[wide], column->width[wide], raw);
  }
}

/* A new block with the events [from, from + n) of `old` (NULL: cells are left to the caller), the newest yn of them young, in the given
 * shape. `spare`: a bit for each dictionary that gets room for one more entry. */
static struct tide_block *reshape(const struct tide_kind *kind, const struct tide_block *old, unsigned from, unsigned n, unsigned yn,
                                  struct tide_block_shape shape, uint32_t spare) {
  struct tide_rebuild rebuild[TIDE_DICTS_MAX];
  struct tide_entries had[TIDE_DICTS_MAX], has[TIDE_DICTS_MAX];
  uint8_t cap[TIDE_DICTS_MAX] = {0};
  unsigned old_young = old ? (unsigned)old->n - old->yn : 0;
  unsigned first[2] = {from, old ? from + n - yn - old_young : 0}, count[2] = {n, yn}, strip_cap[2] = {shape.cap, shape.ycap};
  size_t bytes = tide_strips_bytes(kind, shape.wide, shape.cap, shape.ycap) + kind->dict_count * sizeof(struct tide_dict_head);
  if (old) tide_block_entries(kind, old, kind->dict_count, had);
  for (unsigned d = 0; d < kind->dict_count; d++) {
    unsigned y = kind->dict[d].young, row = kind->dict[d].row[shape.wide];
    if (old) tide_dict_plan(&had[d], row, first[y], count[y], strip_cap[y], spare >> d & 1, &rebuild[d]);
    if (old) cap[d] = rebuild[d].cap;
    bytes += tide_dict_bytes(row, cap[d], strip_cap[y]);
  }
  struct tide_block *block = tide_alloc(bytes);
  *block = (struct tide_block){.n = (uint16_t)n,
                               .cap = (uint16_t)shape.cap,
                               .yn = (uint16_t)yn,
                               .ycap = (uint16_t)shape.ycap,
                               .base_ms2 = shape.base_ms * 2 + shape.wide};
  if (!old) return block; /* all plain: their heads are zero */
  struct tide_dict_head *head = tide_block_head(kind, block, 0);
  for (unsigned d = 0; d < kind->dict_count; d++) head[d] = (struct tide_dict_head){0, cap[d]};
  tide_block_entries(kind, block, kind->dict_count, has);
  int old_wide = tide_block_wide(old);
  for (unsigned k = 0; k < kind->image.piece_count; k++) {
    unsigned c = kind->image.piece[shape.wide][k].column, y = kind->column[c].young;
    const char *src = (const char *)tide_block_column(kind, old, c) + (size_t)first[y] * kind->column[c].width[old_wide];
    convert_cells(&kind->column[c], old, src, count[y], block, tide_block_column(kind, block, c));
  }
  for (unsigned d = 0; d < kind->dict_count; d++) {
    unsigned y = kind->dict[d].young;
    tide_dict_fill(kind, d, &had[d], old_wide, first[y], count[y], &rebuild[d], &has[d], shape.wide);
  }
  return block;
}

void tide_block_reshape(const struct tide_kind *kind, struct tide_block **ref, struct tide_block_shape shape, uint32_t spare) {
  struct tide_block *block = *ref;
  *ref = reshape(kind, block, 0, block->n, block->yn, shape, spare);
  tide_block_free(kind, block);
}

unsigned tide_block_after(const struct tide_kind *kind, const struct tide_block *block, int64_t ms) {
  const void *at = tide_block_column(kind, block, kind->col_of[TIDE_COL_TIME]);
  unsigned lo = 0, n = block->n;
  if (tide_block_wide(block)) {
    const int64_t *time = at;
    while (n) {
      unsigned half = n / 2;
      bool right = time[lo + half] <= ms;
      lo += right ? half + 1 : 0;
      n = right ? n - half - 1 : half;
    }
    return lo;
  }
  if (ms < tide_block_base_ms(block)) return 0;
  uint64_t rel = (uint64_t)ms - (uint64_t)tide_block_base_ms(block);
  if (rel >= UINT32_MAX) return n;
  const uint32_t *time = at;
  uint32_t limit = (uint32_t)rel;
  if (n && time[n - 1] <= limit) return n; /* most events are the newest of their entity */
  while (n) {
    unsigned half = n / 2;
    bool right = time[lo + half] <= limit;
    lo += right ? half + 1 : 0;
    n = right ? n - half - 1 : half;
  }
  return lo;
}

void tide_block_drop(const struct tide_kind *kind, struct tide_block *block, int64_t keep_after_ms, int64_t young_after_ms) {
  unsigned gone = tide_block_count_until(kind, block, 0, keep_after_ms), young_at = (unsigned)block->n - block->yn;
  if (gone == block->n) {
    block->n = block->yn = 0;
    return;
  }
  unsigned young_gone =
      young_after_ms > keep_after_ms ? tide_block_count_until(kind, block, young_at > gone ? young_at : gone, young_after_ms) : gone;
  young_gone = young_gone > young_at ? young_gone - young_at : 0;
  int wide = tide_block_wide(block);
  for (const struct tide_piece *piece = kind->image.piece[wide], *end = piece + kind->image.piece_count; piece < end; piece++) {
    unsigned drop = piece->young ? young_gone : gone, count = piece->young ? block->yn : block->n;
    if (!drop || drop >= count) continue;
    char *base = tide_block_strip(kind, block, piece->young) + (size_t)(piece->young ? block->ycap : block->cap) * piece->before;
    memmove(base, base + (size_t)drop * piece->width, (size_t)(count - drop) * piece->width);
  }
  struct tide_entries dicts[TIDE_DICTS_MAX];
  tide_block_entries(kind, block, kind->dict_count, dicts);
  for (unsigned d = 0; d < kind->dict_count; d++) { /* entries that no event has any more go when the block is built anew */
    const struct tide_entries *dict = &dicts[d];
    unsigned drop = kind->dict[d].young ? young_gone : gone;
    if (!drop || drop >= dict->count) continue;
    if (dict->index) memmove(dict->index, dict->index + drop, dict->count - drop);
    else if (tide_entries_plain(dict))
      memmove(dict->entry, dict->entry + (size_t)drop * dict->row, (size_t)(dict->count - drop) * dict->row);
  }
  block->n = (uint16_t)(block->n - gone);
  block->yn = (uint16_t)(block->yn - young_gone);
}

void tide_block_set_num(const struct tide_kind *kind, struct tide_block **ref, unsigned column, unsigned i, int64_t value) {
  struct tide_block *block = *ref;
  const struct tide_column *c = &kind->column[column];
  if (c->young && !tide_block_is_young(block, i)) return; /* nothing can ask for it any more */
  if (!tide_block_wide(block) && !tide_fits_narrow(c, value)) {
    struct tide_block_shape shape = tide_block_shape_of(block);
    shape.wide = 1;
    tide_block_reshape(kind, ref, shape, 0);
    block = *ref;
  }
  tide_block_set(kind, block, column, i, tide_raw_of(c, tide_block_wide(block), value));
}

void tide_block_put(const struct tide_kind *kind, struct tide_block **ref, unsigned column, unsigned i, uint64_t value) {
  struct tide_block *block = *ref;
  const struct tide_column *c = &kind->column[column];
  TIDE_CHECK(c->what != TIDE_COL_TIME && !c->number);
  if (c->young && !tide_block_is_young(block, i)) return;
  if (!tide_block_wide(block) && !tide_fits_narrow(c, (int64_t)value)) {
    struct tide_block_shape shape = tide_block_shape_of(block);
    shape.wide = 1;
    tide_block_reshape(kind, ref, shape, 0);
    block = *ref;
  }
  if (c->dict == TIDE_NO_DICT) {
    tide_block_set(kind, block, column, i, value);
    return;
  }
  int wide = tide_block_wide(block);
  unsigned j = c->young ? i - ((unsigned)block->n - block->yn) : i;
  struct tide_entries dict = tide_block_entries_of(kind, block, c->dict);
  char wanted[TIDE_DICT_COLUMNS_MAX * 8];
  memcpy(wanted, tide_entries_get(&dict, j), dict.row);
  tide_store_cell(wanted + c->before[wide], c->width[wide], value);
  if (!memcmp(wanted, tide_entries_get(&dict, j), dict.row)) return;
  unsigned at = tide_entries_plain(&dict) ? 0 : tide_find_entry(dict.entry, dict.head->n, dict.row, wanted);
  if (!tide_entries_plain(&dict) && at == dict.head->n) {
    if (at == dict.head->cap) {
      tide_block_reshape(kind, ref, tide_block_shape_of(block), UINT32_C(1) << c->dict);
      dict = tide_block_entries_of(kind, *ref, c->dict);
    }
    if (!tide_entries_plain(&dict)) {
      at = dict.head->n++;
      TIDE_CHECK(at < dict.head->cap);
      memcpy(dict.entry + (size_t)at * dict.row, wanted, dict.row);
    }
  }
  if (tide_entries_plain(&dict)) memcpy(tide_entries_get(&dict, j), wanted, dict.row);
  else dict.index[j] = (uint8_t)at;
}

struct tide_block *tide_block_split(const struct tide_kind *kind, struct tide_block *block, unsigned i) {
  TIDE_CHECK(i > 0 && i < block->n);
  unsigned n = block->n - i, yn = block->yn < n ? block->yn : n;
  struct tide_block_shape shape = tide_block_shape_of(block);
  shape.cap = tide_block_capacity(n);
  shape.ycap = yn ? tide_block_capacity(yn) : 0;
  struct tide_block *tail = reshape(kind, block, i, n, yn, shape, 0);
  block->n = (uint16_t)i;
  block->yn = (uint16_t)(block->yn - yn);
  return tail;
}

void tide_block_fit(const struct tide_kind *kind, struct tide_block **ref, unsigned more) {
  struct tide_block *block = *ref;
  struct tide_block_shape shape = tide_block_shape_of(block);
  TIDE_CHECK(more <= 1);
  shape.cap = more && block->n < TIDE_BLOCK_MAX ? tide_block_capacity(block->n + 1u) : block->n;
  shape.ycap = more && kind->has_young && block->yn < TIDE_BLOCK_MAX ? tide_block_capacity(block->yn + 1u) : block->yn;
  if (block->cap > shape.cap || block->ycap > shape.ycap) tide_block_reshape(kind, ref, shape, 0);
}

void tide_block_save(const struct tide_kind *kind, const struct tide_block *block, struct tide_buf *out) {
  int wide = tide_block_wide(block);
  tide_put_u16(out, block->n);
  tide_put_u16(out, block->yn);
  tide_put_u64(out, (uint64_t)block->base_ms2);
  for (unsigned c = 0; c < kind->column_count; c++) {
    const struct tide_column *column = &kind->column[c];
    unsigned width = column->width[wide], from = column->young ? (unsigned)block->n - block->yn : 0;
    if (column->dict == TIDE_NO_DICT) {
      tide_buf_put(out, tide_block_column(kind, block, c), (size_t)(block->n - from) * width);
      continue;
    }
    struct tide_cells cells = tide_block_cells(kind, block, c);
    char bytes[TIDE_BLOCK_MAX * 8];
    for (unsigned i = from; i < block->n; i++) tide_store_cell(bytes + (size_t)(i - from) * width, width, tide_cells_get(&cells, i));
    tide_buf_put(out, bytes, (size_t)(block->n - from) * width);
  }
}

struct tide_block *tide_block_load(const struct tide_kind *kind, struct tide_reader *reader) {
  unsigned n = tide_get_u16(reader), yn = tide_get_u16(reader);
  int64_t base_ms2 = (int64_t)tide_get_u64(reader);
  if (reader->bad || n == 0 || n > TIDE_BLOCK_MAX || yn > n) {
    reader->bad = true;
    return NULL;
  }
  struct tide_block_shape shape = {tide_block_capacity(n), yn ? tide_block_capacity(yn) : 0, (int)(base_ms2 & 1), base_ms2 >> 1};
  struct tide_block *block = reshape(kind, NULL, 0, n, yn, shape, 0); /* all plain */
  for (unsigned c = 0; c < kind->column_count; c++) {
    const struct tide_column *column = &kind->column[c];
    unsigned count = column->young ? yn : n, width = column->width[shape.wide];
    struct tide_span span = tide_get_bytes(reader, (size_t)count * width);
    if (!count || reader->bad) continue;
    struct tide_cells cells = tide_block_cells(kind, block, c);
    if (column->dict == TIDE_NO_DICT) memcpy((char *)(uintptr_t)cells.cell, span.ptr, (size_t)count * width);
    else
      for (unsigned j = 0; j < count; j++)
        memcpy((char *)(uintptr_t)cells.cell + (size_t)j * cells.stride, span.ptr + (size_t)j * width, width);
  }
  for (unsigned i = 1; i < n && !reader->bad; i++)
    if (tide_block_time(kind, block, i) < tide_block_time(kind, block, i - 1)) reader->bad = true;
  if (reader->bad) {
    tide_block_free(kind, block);
    return NULL;
  }
  if (kind->dict_count) tide_block_reshape(kind, &block, shape, 0);
  return block;
}
