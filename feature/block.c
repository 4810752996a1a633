/* Blocks: insertion, expiry, widening, splitting (block.h draws the layout).
 *
 * Everything that changes the shape of a block goes through `reshape`, which copies column by column into a new allocation: one place that
 * knows how two layouts correspond. The steady state of an entity is insert-at-end with room, which touches one cell per column. */
#include "feature/block.h"

static const uint16_t capacities[] = {1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256};

unsigned tide_block_capacity(unsigned n) {
  for (size_t i = 0; i < sizeof capacities / sizeof *capacities; i++)
    if (capacities[i] >= n) return capacities[i];
  TIDE_NEVER("a block holds at most 256 events");
  return 0;
}

static uint64_t narrow_num(int64_t value) { return value == TIDE_NULL_NUM ? UINT32_MAX : (uint64_t)value; }
static bool num_fits(int64_t value) { return value == TIDE_NULL_NUM || (value >= 0 && value < UINT32_MAX); }

/* A new block with the events [from, from + n) of `old`, the newest yn of them young, in the given shape. */
static struct tide_block *reshape(const struct tide_kind *kind, const struct tide_block *old, unsigned from, unsigned n, unsigned yn,
                                  unsigned cap, unsigned ycap, int wide, int64_t base_ms) {
  struct tide_block shape = {
      .n = (uint16_t)n, .cap = (uint16_t)cap, .yn = (uint16_t)yn, .ycap = (uint16_t)ycap, .base_ms2 = base_ms * 2 + wide};
  struct tide_block *block = tide_alloc(tide_block_bytes(kind, &shape));
  *block = shape;
  if (!old || !n) return block;
  int old_wide = tide_block_wide(old);
  unsigned old_young = (unsigned)old->n - old->yn;
  for (unsigned c = 0; c < kind->column_count; c++) {
    const struct tide_column *column = &kind->column[c];
    unsigned first = column->young ? from + n - yn : from, count = column->young ? yn : n;
    if (!count) continue;
    const char *src = tide_block_column(kind, old, c);
    char *dst = tide_block_column(kind, block, c);
    unsigned at = column->young ? first - old_young : first;
    bool same_base = column->what != TIDE_COL_TIME || wide || base_ms == tide_block_base_ms(old);
    if (column->width[old_wide] == column->width[wide] && same_base) {
      memcpy(dst, src + (size_t)at * column->width[wide], (size_t)count * column->width[wide]);
      continue;
    }
    for (unsigned i = 0; i < count; i++) {
      if (column->what == TIDE_COL_TIME) {
        int64_t ms = tide_block_time(kind, old, first + i);
        if (wide) ((int64_t *)(void *)dst)[i] = ms;
        else ((uint32_t *)(void *)dst)[i] = (uint32_t)(ms - base_ms);
      } else {
        ((int64_t *)(void *)dst)[i] = tide_block_num(kind, old, c, first + i);
      }
    }
  }
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
  for (unsigned c = 0; c < kind->column_count; c++)
    if (kind->column[c].narrowable && kind->column[c].what != TIDE_COL_TIME && !num_fits(row->value[c])) return false;
  return true;
}

/* Makes room for one more event with this time and these values. */
static void make_room(const struct tide_kind *kind, struct tide_block **ref, bool young, const struct tide_row *row) {
  int64_t ms = row->value[kind->col_of[TIDE_COL_TIME]];
  if (*ref && !(*ref)->n) { /* emptied by expiry: begin anew, so that base and width do not depend on what was here */
    tide_free(*ref);
    *ref = NULL;
  }
  struct tide_block *block = *ref;
  if (!block) {
    *ref = reshape(kind, NULL, 0, 0, 0, 1, young ? 1 : 0, !row_fits(kind, row), ms);
    return;
  }
  int wide = tide_block_wide(block);
  int64_t base_ms = tide_block_base_ms(block);
  if (!wide) {
    int64_t low = block->n ? tide_block_time(kind, block, 0) : ms, high = block->n ? tide_block_time(kind, block, block->n - 1u) : ms;
    if (ms < low) low = ms;
    if (ms > high) high = ms;
    if (!row_fits(kind, row) || high - low >= UINT32_MAX) wide = 1;
    else if (low < base_ms || high - base_ms >= UINT32_MAX) base_ms = low;
  }
  unsigned cap = block->n == block->cap ? tide_block_capacity(block->n + 1u) : block->cap;
  unsigned ycap = young && block->yn == block->ycap ? tide_block_capacity(block->yn + 1u) : block->ycap;
  if (cap == block->cap && ycap == block->ycap && wide == tide_block_wide(block) && base_ms == tide_block_base_ms(block)) return;
  replace(ref, reshape(kind, block, 0, block->n, block->yn, cap, ycap, wide, base_ms));
}

void tide_block_insert(const struct tide_kind *kind, struct tide_block **ref, unsigned i, const struct tide_row *row) {
  bool young = kind->young_row[0] && (!*ref || i >= (unsigned)(*ref)->n - (*ref)->yn);
  make_room(kind, ref, young, row);
  struct tide_block *block = *ref;
  TIDE_CHECK(i <= block->n && block->n < block->cap);
  int wide = tide_block_wide(block);
  unsigned old_young = (unsigned)block->n - block->yn;
  for (unsigned c = 0; c < kind->column_count; c++) {
    const struct tide_column *column = &kind->column[c];
    if (column->young && !young) continue;
    unsigned at = column->young ? i - old_young : i, count = column->young ? block->yn : block->n;
    size_t width = column->width[wide];
    char *base = tide_block_column(kind, block, c);
    if (at < count) memmove(base + (at + 1) * width, base + at * width, (count - at) * width);
    uint64_t value = (uint64_t)row->value[c];
    if (column->narrowable && !wide)
      value = column->what == TIDE_COL_TIME ? (uint64_t)(row->value[c] - tide_block_base_ms(block)) : narrow_num(row->value[c]);
    switch (width) {
      case 1: ((uint8_t *)base)[at] = (uint8_t)value; break;
      case 2: ((uint16_t *)(void *)base)[at] = (uint16_t)value; break;
      case 4: ((uint32_t *)(void *)base)[at] = (uint32_t)value; break;
      default: ((uint64_t *)(void *)base)[at] = value; break;
    }
  }
  block->n++;
  if (young) block->yn++;
}

void tide_block_expire(const struct tide_kind *kind, struct tide_block *block, int64_t keep_after_ms, int64_t young_after_ms) {
  unsigned gone = tide_block_after(kind, block, keep_after_ms);
  unsigned old = tide_block_after(kind, block, young_after_ms);
  unsigned young_gone = 0, young_at = (unsigned)block->n - block->yn;
  if (old > young_at) young_gone = old - young_at;
  if (gone > young_at + young_gone) young_gone = gone - young_at;
  if (!gone && !young_gone) return;
  int wide = tide_block_wide(block);
  for (unsigned c = 0; c < kind->column_count; c++) {
    const struct tide_column *column = &kind->column[c];
    unsigned drop = column->young ? young_gone : gone, count = column->young ? block->yn : block->n;
    if (!drop || drop >= count) continue;
    char *base = tide_block_column(kind, block, c);
    memmove(base, base + (size_t)drop * column->width[wide], (size_t)(count - drop) * column->width[wide]);
  }
  block->n = (uint16_t)(block->n - gone);
  block->yn = (uint16_t)(block->yn - young_gone);
}

void tide_block_set_num(const struct tide_kind *kind, struct tide_block **ref, unsigned column, unsigned i, int64_t value) {
  struct tide_block *block = *ref;
  if (kind->column[column].young && !tide_block_is_young(block, i)) return; /* nothing can ask for it any more */
  if (!tide_block_wide(block) && kind->column[column].narrowable) {
    if (num_fits(value)) {
      tide_block_set(kind, block, column, i, narrow_num(value));
      return;
    }
    replace(ref, reshape(kind, block, 0, block->n, block->yn, block->cap, block->ycap, 1, tide_block_base_ms(block)));
    block = *ref;
  }
  tide_block_set(kind, block, column, i, (uint64_t)value);
}

struct tide_block *tide_block_split(const struct tide_kind *kind, struct tide_block *block, unsigned i) {
  TIDE_CHECK(i > 0 && i < block->n);
  unsigned n = block->n - i, yn = block->yn < n ? block->yn : n;
  struct tide_block *tail = reshape(kind, block, i, n, yn, tide_block_capacity(n), yn ? tide_block_capacity(yn) : 0, tide_block_wide(block),
                                    tide_block_base_ms(block));
  block->n = (uint16_t)i;
  block->yn = (uint16_t)(block->yn - yn);
  return tail;
}

void tide_block_fit(const struct tide_kind *kind, struct tide_block **ref) {
  struct tide_block *block = *ref;
  if (block->cap == block->n && block->ycap == block->yn) return;
  replace(ref, reshape(kind, block, 0, block->n, block->yn, block->n, block->yn, tide_block_wide(block), tide_block_base_ms(block)));
}

void tide_block_save(const struct tide_kind *kind, const struct tide_block *block, struct tide_buf *out) {
  int wide = tide_block_wide(block);
  tide_put_u16(out, block->n);
  tide_put_u16(out, block->yn);
  tide_put_u64(out, (uint64_t)block->base_ms2);
  for (unsigned c = 0; c < kind->column_count; c++) {
    const struct tide_column *column = &kind->column[c];
    tide_buf_put(out, tide_block_column(kind, block, c), (size_t)(column->young ? block->yn : block->n) * column->width[wide]);
  }
}

struct tide_block *tide_block_load(const struct tide_kind *kind, struct tide_reader *reader) {
  unsigned n = tide_get_u16(reader), yn = tide_get_u16(reader);
  int64_t base_ms2 = (int64_t)tide_get_u64(reader);
  if (reader->bad || n == 0 || n > TIDE_BLOCK_MAX || yn > n) {
    reader->bad = true;
    return NULL;
  }
  struct tide_block *block =
      reshape(kind, NULL, 0, n, yn, tide_block_capacity(n), yn ? tide_block_capacity(yn) : 0, (int)(base_ms2 & 1), base_ms2 >> 1);
  for (unsigned c = 0; c < kind->column_count; c++) {
    const struct tide_column *column = &kind->column[c];
    size_t bytes = (size_t)(column->young ? yn : n) * column->width[tide_block_wide(block)];
    struct tide_span span = tide_get_bytes(reader, bytes);
    if (bytes && !reader->bad) memcpy(tide_block_column(kind, block, c), span.ptr, bytes);
  }
  for (unsigned i = 1; i < n && !reader->bad; i++)
    if (tide_block_time(kind, block, i) < tide_block_time(kind, block, i - 1)) reader->bad = true;
  if (reader->bad) {
    tide_free(block);
    return NULL;
  }
  return block;
}
