/* Blocks: insertion, expiry, widening, splitting (block.h draws the layout).
 *
 * Everything that changes the shape of a block goes through `reshape`, which copies column by column into a new allocation: one place that
 * knows how two layouts correspond, and the one where dictionaries are given a form and lose entries that no event has any more. The steady state
 * of an entity is insert-at-end with room, which touches one cell per column. */
#include "feature/block_dict.h"

unsigned tide_block_capacity(unsigned n) {
  TIDE_CHECK(n <= 256);
  if (n <= 4) return n;
  unsigned step = n <= 16 ? 2 : 1u << (29 - __builtin_clz(n - 1)); /* an eighth of the next power of two */
  return (n + step - 1) & ~(step - 1);
}

/* Does the value fit a narrow block's cell? */
static bool fits(const struct tide_column *column, int64_t value) {
  uint64_t limit = tide_all_ones(column->width[0]);
  if (!column->narrowable) return true;
  if (column->number) return value == TIDE_NULL_NUM || (value >= 0 && (uint64_t)value < limit);
  return (uint64_t)value <= limit;
}

/* ---- shape ---- */

struct shape {
  unsigned cap, ycap;
  int wide;
  int64_t base_ms;
};

static struct shape shape_of(const struct tide_block *block) {
  return (struct shape){block->cap, block->ycap, tide_block_wide(block), tide_block_base_ms(block)};
}

/* Cells of a column, which is none of a dictionary, from one block to another of other width or base. */
static void convert_cells(const struct tide_column *column, const struct tide_block *old, const char *src, unsigned count,
                          const struct tide_block *block, char *dst) {
  int old_wide = tide_block_wide(old), wide = tide_block_wide(block);
  int64_t shift_ms = (old_wide ? 0 : tide_block_base_ms(old)) - (wide ? 0 : tide_block_base_ms(block));
  for (unsigned i = 0; i < count; i++) {
    uint64_t raw = tide_load(src + (size_t)i * column->width[old_wide], column->width[old_wide]);
    if (column->what == TIDE_COL_TIME) raw += (uint64_t)shift_ms;
    else raw = tide_raw_of(column, wide, tide_value_of(column, old_wide, raw));
    tide_store_cell(dst + (size_t)i * column->width[wide], column->width[wide], raw);
  }
}

static char *strip_of(const struct tide_kind *kind, const struct tide_block *block, unsigned young) {
  return (char *)(uintptr_t)block + (young ? tide_block_young_at(kind, tide_block_wide(block), block->cap) : sizeof *block);
}

/* All cells outside of dictionaries. */
static void fill_strips(const struct tide_kind *kind, const struct tide_block *old, const struct tide_taken *taken,
                        struct tide_block *block) {
  int wide = tide_block_wide(block), old_wide = tide_block_wide(old);
  bool as_is = old->base_ms2 == block->base_ms2 || (old_wide && wide);
  char *to[2] = {strip_of(kind, block, 0), strip_of(kind, block, 1)};
  const char *from[2] = {strip_of(kind, old, 0), strip_of(kind, old, 1)};
  unsigned old_cap[2] = {old->cap, old->ycap};
  for (unsigned k = 0; k < kind->image.strip_count; k++) {
    const struct tide_column *column = &kind->column[kind->image.strip[k]];
    unsigned y = column->young, count = taken->count[y], before = taken->adds[y] ? taken->place[y] : count;
    size_t width = column->width[wide], old_width = column->width[old_wide];
    char *dst = to[y] + (size_t)taken->cap[y] * column->before[wide];
    const char *src = from[y] + (size_t)old_cap[y] * column->before[old_wide] + taken->first[y] * old_width;
    if (!as_is) {
      TIDE_CHECK(!taken->image);
      convert_cells(column, old, src, count, block, dst);
      continue;
    }
    tide_copy_few(dst, src, before * width);
    if (!taken->adds[y]) continue;
    tide_copy_few(dst + before * width, taken->image + column->image[wide], width);
    if (before < count) tide_copy_few(dst + (before + 1) * width, src + before * width, (count - before) * width);
  }
}

/* A row that comes before event i. */
struct added {
  const char *image;
  unsigned i;
  bool young;
};

/* A new block with the events [from, from + n) of `old` (NULL: cells are left to the caller), the newest yn of them young, in the given shape, and the added row (NULL:
 * none), which comes into a larger block and not into one of another width or base. `spare`: a dictionary that gets room for another entry, TIDE_NO_DICT: none. */
static struct tide_block *reshape(const struct tide_kind *kind, const struct tide_block *old, unsigned from, unsigned n, unsigned yn,
                                  struct shape shape, const struct added *added, unsigned spare) {
  struct tide_rebuild rebuild[TIDE_DICTS_MAX];
  struct tide_entries had[TIDE_DICTS_MAX];
  unsigned old_young = old ? (unsigned)old->n - old->yn : 0;
  struct tide_taken taken = {.first = {from, old ? from + n - yn - old_young : 0}, .count = {n, yn}, .cap = {shape.cap, shape.ycap}};
  if (added) {
    taken.image = added->image;
    taken.adds[0] = true;
    taken.adds[1] = added->young;
    taken.place[0] = added->i;
    taken.place[1] = added->i - (n - yn);
  }
  if (old) tide_block_entries(kind, old, had);
  size_t bytes = tide_strips_bytes(kind, shape.wide, shape.cap, shape.ycap) +
                 tide_dicts_plan(kind, old ? had : NULL, &taken, shape.wide, spare, rebuild);
  struct tide_block *block = tide_alloc(bytes);
  *block = (struct tide_block){.n = (uint16_t)(n + taken.adds[0]),
                               .cap = (uint16_t)shape.cap,
                               .yn = (uint16_t)(yn + taken.adds[1]),
                               .ycap = (uint16_t)shape.ycap,
                               .base_ms2 = shape.base_ms * 2 + shape.wide};
  if (!old) return block; /* all plain: their heads are zero */
  fill_strips(kind, old, &taken, block);
  tide_dicts_fill(kind, had, tide_block_wide(old), &taken, rebuild, block);
  return block;
}

/* A block of one event: its image, with heads between strips and entries. */
static struct tide_block *block_of_one(const struct tide_kind *kind, const char *image, int wide, int64_t time_ms) {
  bool young = kind->has_young;
  size_t strips = tide_strips_bytes(kind, wide, 1, young), heads = kind->dict_count * sizeof(struct tide_dict_head);
  struct tide_block *block = tide_alloc(strips + heads + kind->image.entry_bytes[wide]);
  *block = (struct tide_block){.n = 1, .cap = 1, .yn = young, .ycap = young, .base_ms2 = time_ms * 2 + wide};
  unsigned row = kind->row[wide], young_row = kind->young_row[wide];
  tide_copy_few(strip_of(kind, block, 0), image, row);
  tide_copy_few(strip_of(kind, block, 1), image + row, young_row);
  memcpy((char *)block + strips + heads, image + row + young_row, kind->image.entry_bytes[wide]);
  return block;
}

static void replace(struct tide_block **block, struct tide_block *with) {
  tide_free(*block);
  *block = with;
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

static bool row_fits(const struct tide_kind *kind, const struct tide_row *row) {
  for (unsigned k = 0; k < kind->image.narrow_count; k++)
    if (!fits(&kind->column[kind->image.narrow[k]], row->value[kind->image.narrow[k]])) return false;
  return true;
}

/* The cells of a row as a block with this base has them, one behind the other. */
static void make_image(const struct tide_kind *kind, int wide, int64_t base_ms, const struct tide_row *row, char *image) {
  const uint8_t *order = kind->image.order[wide], *end = kind->image.end[wide];
  unsigned k = 0;
  for (; k < end[0]; k++) tide_store_cell(image + kind->column[order[k]].image[wide], 8, (uint64_t)row->value[order[k]]);
  for (; k < end[1]; k++) tide_store_cell(image + kind->column[order[k]].image[wide], 4, (uint64_t)row->value[order[k]]);
  for (; k < end[2]; k++) tide_store_cell(image + kind->column[order[k]].image[wide], 2, (uint64_t)row->value[order[k]]);
  for (; k < end[3]; k++) tide_store_cell(image + kind->column[order[k]].image[wide], 1, (uint64_t)row->value[order[k]]);
  if (wide) return;
  unsigned time = kind->col_of[TIDE_COL_TIME];
  tide_store_cell(image + kind->column[time].image[0], 4, (uint64_t)row->value[time] - (uint64_t)base_ms);
  for (k = 0; k < kind->image.narrow_count; k++) {
    const struct tide_column *column = &kind->column[kind->image.narrow[k]];
    int64_t value = row->value[kind->image.narrow[k]];
    if (value == TIDE_NULL_NUM && column->number)
      tide_store_cell(image + column->image[0], column->width[0], tide_raw_of(column, 0, value));
  }
}

/* The width and base with which the block (not empty) can hold one more event with these values. */
static struct shape shape_for(const struct tide_kind *kind, const struct tide_block *block, const struct tide_row *row) {
  int64_t ms = row->value[kind->col_of[TIDE_COL_TIME]];
  struct shape shape = shape_of(block);
  if (shape.wide) return shape;
  int64_t low = tide_block_time(kind, block, 0), high = tide_block_time(kind, block, block->n - 1u);
  if (ms < low) low = ms;
  if (ms > high) high = ms;
  if (!row_fits(kind, row) || high - low >= UINT32_MAX) shape.wide = 1;
  else if (low < shape.base_ms || high - shape.base_ms >= UINT32_MAX) shape.base_ms = low;
  return shape;
}

/* Puts the row's part of a dictionary at index j of its strip: `at` is its entry, or room for it. */
static void dict_insert(const struct tide_entries *dict, unsigned at, unsigned j, const char *wanted) {
  if (tide_entries_plain(dict)) {
    char *cell = dict->entry + (size_t)j * dict->row;
    if (j < dict->count) memmove(cell + dict->row, cell, (size_t)(dict->count - j) * dict->row);
    tide_copy_few(cell, wanted, dict->row);
    return;
  }
  if (at == dict->head->n) {
    tide_copy_few(dict->entry + (size_t)at * dict->row, wanted, dict->row);
    dict->head->n++;
  }
  if (!dict->index) return;
  if (j < dict->count) memmove(dict->index + j + 1, dict->index + j, dict->count - j);
  dict->index[j] = (uint8_t)at;
}

/* Puts the row into the block if there is room for it. */
static bool insert_in_place(const struct tide_kind *kind, struct tide_block *block, const struct added *row) {
  if (block->n == block->cap || (row->young && block->yn == block->ycap)) return false;
  int wide = tide_block_wide(block);
  unsigned place[2] = {row->i, row->i - ((unsigned)block->n - block->yn)}; /* by strip */
  struct tide_entries dict[TIDE_DICTS_MAX];
  uint8_t at[TIDE_DICTS_MAX];
  tide_block_entries(kind, block, dict);
  for (unsigned d = 0; d < kind->dict_count; d++) {
    if (tide_entries_plain(&dict[d]) || (kind->dict[d].young && !row->young)) continue;
    at[d] = (uint8_t)tide_find_entry(dict[d].entry, dict[d].head->n, dict[d].row, row->image + kind->dict[d].image[wide]);
    if (at[d] == dict[d].head->cap) return false;
  }
  char *strip[2] = {strip_of(kind, block, 0), strip_of(kind, block, 1)};
  for (unsigned k = 0; k < kind->image.strip_count; k++) {
    const struct tide_column *column = &kind->column[kind->image.strip[k]];
    unsigned y = column->young, count = y ? block->yn : block->n, width = column->width[wide], j = place[y];
    if (y && !row->young) continue;
    char *cell = strip[y] + (size_t)(y ? block->ycap : block->cap) * column->before[wide] + (size_t)j * width;
    if (j < count) memmove(cell + width, cell, (size_t)(count - j) * width);
    tide_copy_few(cell, row->image + column->image[wide], width);
  }
  for (unsigned d = 0; d < kind->dict_count; d++)
    if (row->young || !kind->dict[d].young)
      dict_insert(&dict[d], at[d], place[kind->dict[d].young], row->image + kind->dict[d].image[wide]);
  block->n++;
  if (row->young) block->yn++;
  return true;
}

void tide_block_insert(const struct tide_kind *kind, struct tide_block **ref, unsigned i, const struct tide_row *row) {
  char image[TIDE_IMAGE_MAX];
  struct added added = {.image = image, .i = i, .young = kind->has_young && (!*ref || i >= (unsigned)(*ref)->n - (*ref)->yn)};
  if (*ref && !(*ref)->n) { /* emptied by expiry: begin anew, so that base and width do not depend on what was here */
    tide_free(*ref);
    *ref = NULL;
  }
  if (!*ref) {
    int wide = !row_fits(kind, row);
    int64_t time_ms = row->value[kind->col_of[TIDE_COL_TIME]];
    make_image(kind, wide, time_ms, row, image);
    *ref = block_of_one(kind, image, wide, time_ms);
    return;
  }
  struct tide_block *block = *ref;
  TIDE_CHECK(i <= block->n);
  struct shape shape = shape_for(kind, block, row);
  if (shape.wide != tide_block_wide(block) || shape.base_ms != tide_block_base_ms(block)) {
    replace(ref, reshape(kind, block, 0, block->n, block->yn, shape, NULL, TIDE_NO_DICT));
    block = *ref;
  }
  make_image(kind, shape.wide, shape.base_ms, row, image);
  if (insert_in_place(kind, block, &added)) return;
  if (block->n == block->cap) shape.cap = tide_block_capacity(block->n + 1u);
  if (added.young && block->yn == block->ycap) shape.ycap = tide_block_capacity(block->yn + 1u);
  replace(ref, reshape(kind, block, 0, block->n, block->yn, shape, &added, TIDE_NO_DICT));
}

bool tide_block_expire(const struct tide_kind *kind, struct tide_block *block, int64_t keep_after_ms, int64_t young_after_ms) {
  if (!block->n || (tide_block_time(kind, block, 0) > keep_after_ms &&
                    (!block->yn || tide_block_time(kind, block, (unsigned)block->n - block->yn) > young_after_ms)))
    return false;
  unsigned gone = tide_block_after(kind, block, keep_after_ms);
  unsigned old = tide_block_after(kind, block, young_after_ms);
  unsigned young_gone = 0, young_at = (unsigned)block->n - block->yn;
  if (old > young_at) young_gone = old - young_at;
  if (gone > young_at + young_gone) young_gone = gone - young_at;
  int wide = tide_block_wide(block);
  for (unsigned c = 0; c < kind->column_count; c++) {
    const struct tide_column *column = &kind->column[c];
    unsigned drop = column->young ? young_gone : gone, count = column->young ? block->yn : block->n;
    if (column->dict != TIDE_NO_DICT || !drop || drop >= count) continue;
    char *base = tide_block_column(kind, block, c);
    memmove(base, base + (size_t)drop * column->width[wide], (size_t)(count - drop) * column->width[wide]);
  }
  for (unsigned d = 0; d < kind->dict_count; d++) { /* entries that no event has any more go when the block is built anew */
    struct tide_entries dict = tide_block_entries_of(kind, block, d);
    unsigned drop = kind->dict[d].young ? young_gone : gone;
    if (!drop || drop >= dict.count) continue;
    if (dict.index) memmove(dict.index, dict.index + drop, dict.count - drop);
    else if (tide_entries_plain(&dict)) memmove(dict.entry, dict.entry + (size_t)drop * dict.row, (size_t)(dict.count - drop) * dict.row);
  }
  block->n = (uint16_t)(block->n - gone);
  block->yn = (uint16_t)(block->yn - young_gone);
  return true;
}

void tide_block_set_num(const struct tide_kind *kind, struct tide_block **ref, unsigned column, unsigned i, int64_t value) {
  struct tide_block *block = *ref;
  const struct tide_column *c = &kind->column[column];
  if (c->young && !tide_block_is_young(block, i)) return; /* nothing can ask for it any more */
  if (!tide_block_wide(block) && !fits(c, value)) {
    struct shape shape = shape_of(block);
    shape.wide = 1;
    replace(ref, reshape(kind, block, 0, block->n, block->yn, shape, NULL, TIDE_NO_DICT));
    block = *ref;
  }
  tide_block_set(kind, block, column, i, tide_raw_of(c, tide_block_wide(block), value));
}

void tide_block_put(const struct tide_kind *kind, struct tide_block **ref, unsigned column, unsigned i, uint64_t value) {
  struct tide_block *block = *ref;
  const struct tide_column *c = &kind->column[column];
  TIDE_CHECK(c->what != TIDE_COL_TIME && !c->number);
  if (c->young && !tide_block_is_young(block, i)) return;
  if (!tide_block_wide(block) && !fits(c, (int64_t)value)) {
    struct shape shape = shape_of(block);
    shape.wide = 1;
    replace(ref, reshape(kind, block, 0, block->n, block->yn, shape, NULL, TIDE_NO_DICT));
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
      replace(ref, reshape(kind, block, 0, block->n, block->yn, shape_of(block), NULL, c->dict));
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
  struct shape shape = shape_of(block);
  shape.cap = tide_block_capacity(n);
  shape.ycap = yn ? tide_block_capacity(yn) : 0;
  struct tide_block *tail = reshape(kind, block, i, n, yn, shape, NULL, TIDE_NO_DICT);
  block->n = (uint16_t)i;
  block->yn = (uint16_t)(block->yn - yn);
  return tail;
}

void tide_block_fit(const struct tide_kind *kind, struct tide_block **ref) {
  struct tide_block *block = *ref;
  if (block->cap == block->n && block->ycap == block->yn) return;
  struct shape shape = shape_of(block);
  shape.cap = block->n;
  shape.ycap = block->yn;
  replace(ref, reshape(kind, block, 0, block->n, block->yn, shape, NULL, TIDE_NO_DICT));
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
  struct shape shape = {tide_block_capacity(n), yn ? tide_block_capacity(yn) : 0, (int)(base_ms2 & 1), base_ms2 >> 1};
  struct tide_block *block = reshape(kind, NULL, 0, n, yn, shape, NULL, TIDE_NO_DICT); /* all plain */
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
    tide_free(block);
    return NULL;
  }
  if (kind->dict_count) replace(&block, reshape(kind, block, 0, n, yn, shape, NULL, TIDE_NO_DICT));
  return block;
}
