/* Tiles of one entity: rows of exact integers in as few bytes as they need (tile.h draws them).
 *
 * Everything that changes a tile goes through `add`, which works out the new cells first, then the widths that hold them, lays the rows out
 * anew where a width, the base or the room does not do, and only then writes. There are at most TIDE_TILES_MAX tiles an entity (plan_tile.c), so a
 * window over them is a short scan. */
#include "feature/tile.h"

static bool is_signed(const struct tide_kind *kind, unsigned c) { return c && kind->tile[c].what != TIDE_TILE_COUNT; }

static unsigned width_for(__int128 value, bool with_sign) {
  for (unsigned width = 1; width < 16; width *= 2) {
    __int128 top = (__int128)1 << (8 * width - with_sign);
    if (value < top && value >= (with_sign ? -top : 0)) return width;
  }
  return 16;
}

static __int128 load_cell(const uint8_t *at, unsigned width, bool with_sign) {
  switch (width) {
    case 1: return with_sign ? (__int128)(int8_t)*at : (__int128)*at;
    case 2: {
      uint16_t v;
      memcpy(&v, at, sizeof v);
      return with_sign ? (__int128)(int16_t)v : (__int128)v;
    }
    case 4: {
      uint32_t v;
      memcpy(&v, at, sizeof v);
      return with_sign ? (__int128)(int32_t)v : (__int128)v;
    }
    case 8: {
      uint64_t v;
      memcpy(&v, at, sizeof v);
      return with_sign ? (__int128)(int64_t)v : (__int128)v;
    }
    default: {
      __int128 v;
      memcpy(&v, at, sizeof v);
      return v;
    }
  }
}

static void store_cell(uint8_t *at, unsigned width, __int128 value) {
  uint16_t two = (uint16_t)value;
  uint32_t four = (uint32_t)value;
  uint64_t eight = (uint64_t)value;
  switch (width) {
    case 1: *at = (uint8_t)value; break;
    case 2: memcpy(at, &two, sizeof two); break;
    case 4: memcpy(at, &four, sizeof four); break;
    case 8: memcpy(at, &eight, sizeof eight); break;
    default: memcpy(at, &value, sizeof value);
  }
}

static const uint8_t *row_at(const struct tide_tiles *tiles, unsigned i) { return (const uint8_t *)(tiles + 1) + (size_t)i * tiles->row; }
static uint8_t *row_of(struct tide_tiles *tiles, unsigned i) { return (uint8_t *)(tiles + 1) + (size_t)i * tiles->row; }

static size_t cell_at(const struct tide_tiles *tiles, unsigned c) {
  size_t at = 0;
  for (unsigned k = 0; k < c; k++) at += tiles->width[k];
  return at;
}

static int64_t number_at(const struct tide_tiles *tiles, unsigned i) {
  return tiles->base + (int64_t)tide_load((const char *)row_at(tiles, i), tiles->width[0]); /* it fits 8 bytes */
}

static __int128 get(const struct tide_kind *kind, const struct tide_tiles *tiles, unsigned i, unsigned c) {
  return load_cell(row_at(tiles, i) + cell_at(tiles, c), tiles->width[c], is_signed(kind, c));
}

/* The first tile with a number >= number. */
static unsigned find(const struct tide_tiles *tiles, int64_t number) {
  unsigned lo = 0, n = tiles->n;
  if (n && number <= number_at(tiles, 0)) return 0;
  while (n) {
    unsigned half = n / 2;
    bool right = number_at(tiles, lo + half) < number;
    lo += right ? half + 1 : 0;
    n = right ? n - half - 1 : half;
  }
  return lo;
}

/* (number * tile_ms, (number + 1) * tile_ms] holds ms. */
static int64_t number_of(const struct tide_kind *kind, int64_t ms) { return tide_tile_floor(kind, ms - 1) / kind->tile_ms; }

struct tide_tiles *tide_tiles_new(const struct tide_kind *kind, uintptr_t log, int64_t until_ms) {
  struct tide_tiles *tiles = tide_alloc(sizeof *tiles);
  tiles->log = log;
  tiles->until_ms = until_ms;
  for (unsigned c = 0; c < kind->tile_cells; c++) tiles->width[c] = 1;
  tiles->row = kind->tile_cells;
  return tiles;
}

static void lay_out(const struct tide_kind *kind, struct tide_tiles **ref, const uint8_t *width, unsigned cap, int64_t base) {
  const struct tide_tiles *old = *ref;
  struct tide_tiles head = *old;
  head.cap = (uint16_t)cap;
  head.base = base;
  head.row = 0;
  memcpy(head.width, width, sizeof head.width);
  for (unsigned c = 0; c < kind->tile_cells; c++) head.row = (uint16_t)(head.row + width[c]);
  struct tide_tiles *tiles = tide_alloc(sizeof *tiles + (size_t)cap * head.row);
  *tiles = head;
  bool as_is = base == old->base && memcmp(width, old->width, sizeof head.width) == 0;
  if (as_is) memcpy(row_of(tiles, 0), row_at(old, 0), (size_t)old->n * old->row);
  for (unsigned i = 0; !as_is && i < old->n; i++) {
    uint8_t *at = row_of(tiles, i);
    for (unsigned c = 0; c < kind->tile_cells; c++) {
      store_cell(at, width[c], c ? get(kind, old, i, c) : (__int128)(number_at(old, i) - base));
      at += width[c];
    }
  }
  tide_free_sized(*ref, tide_tiles_bytes(old));
  *ref = tiles;
}

/* delta[c] is added to cell c >= 1 of the tile with this number; it is made if it is not there. */
static void add(const struct tide_kind *kind, struct tide_tiles **ref, int64_t number, const __int128 *delta) {
  bool nothing = true;
  for (unsigned c = 1; c < kind->tile_cells; c++) nothing = nothing && !delta[c];
  if (nothing) return;
  struct tide_tiles *tiles = *ref;
  unsigned i = find(tiles, number);
  bool there = i < tiles->n && number_at(tiles, i) == number;
  int64_t base = !tiles->n ? number : number < tiles->base ? number : tiles->base;
  int64_t highest = tiles->n && number_at(tiles, tiles->n - 1u) > number ? number_at(tiles, tiles->n - 1u) : number;
  __int128 cell[TIDE_TILE_CELLS];
  uint8_t width[TIDE_TILE_CELLS] = {0};
  cell[0] = number - base;
  bool fits = base == tiles->base;
  const uint8_t *old = row_at(tiles, i);
  for (unsigned c = 0; c < kind->tile_cells; c++) {
    if (c) cell[c] = delta[c] + (there ? load_cell(old, tiles->width[c], is_signed(kind, c)) : 0);
    old += tiles->width[c];
    TIDE_CHECK(is_signed(kind, c) || cell[c] >= 0); /* an outcome takes away what the event had added, never more */
    unsigned need = width_for(c ? cell[c] : (__int128)(highest - base), is_signed(kind, c));
    width[c] = tiles->width[c] >= need ? tiles->width[c] : (uint8_t)need;
    fits = fits && width[c] == tiles->width[c];
  }
  bool empty = there;
  for (unsigned c = 1; c < kind->tile_cells; c++) empty = empty && !cell[c];
  if (empty) { /* all taken away again: as if it had never been, so that equal content has one form */
    memmove(row_of(tiles, i), row_of(tiles, i + 1), (size_t)(tiles->n - i - 1u) * tiles->row);
    tiles->n--;
    return;
  }
  unsigned cap = there || tiles->n < tiles->cap ? tiles->cap : tiles->n + 2u + tiles->n / 8u;
  TIDE_CHECK(cap <= UINT16_MAX);
  if (!fits || cap != tiles->cap) lay_out(kind, ref, width, cap, base);
  tiles = *ref;
  uint8_t *at = row_of(tiles, i);
  if (!there) {
    memmove(at + tiles->row, at, (size_t)(tiles->n - i) * tiles->row);
    tiles->n++;
  }
  for (unsigned c = 0; c < kind->tile_cells; c++) {
    store_cell(at, tiles->width[c], cell[c]);
    at += tiles->width[c];
  }
}

/* What an event with this mask brings to each cell; pair_value[p] is read for the pairs whose bit it has. */
static void contribute(const struct tide_kind *kind, uint64_t mask, const int64_t *pair_value, __int128 *delta) {
  for (unsigned c = 1; c < kind->tile_cells; c++) {
    const struct tide_tile_cell *cell = &kind->tile[c];
    if (cell->what == TIDE_TILE_COUNT) {
      delta[c] += (mask >> cell->of) & 1;
      continue;
    }
    if (!((mask >> kind->pair[cell->of].bit) & 1)) continue;
    __int128 x = pair_value[cell->of];
    delta[c] += cell->what == TIDE_TILE_SUM ? x : x * x;
  }
}

void tide_tiles_add_block(const struct tide_kind *kind, struct tide_tiles **tiles, const struct tide_block *block, unsigned from,
                          unsigned to) {
  __int128 delta[TIDE_TILE_CELLS] = {0};
  int64_t number = 0, end_ms = 0;
  for (unsigned i = from; i < to; i++) {
    int64_t time_ms = tide_block_time(kind, block, i);
    if (i == from || time_ms > end_ms) { /* another tile than that of the event before */
      if (i > from) {
        add(kind, tiles, number, delta);
        memset(delta, 0, sizeof delta);
      }
      number = number_of(kind, time_ms);
      end_ms = (number + 1) * kind->tile_ms;
    }
    uint64_t mask = tide_block_mask(kind, block, i);
    int64_t value[TIDE_PAIRS_MAX];
    memset(value, 0, kind->pair_count * sizeof value[0]);
    for (unsigned c = 1; c < kind->tile_cells; c++) {
      if (kind->tile[c].what != TIDE_TILE_SUM) continue;
      const struct tide_pair *pair = &kind->pair[kind->tile[c].of];
      if (!((mask >> pair->bit) & 1)) continue;
      /* A young column that is gone is older than all its readers can ask for: no window takes this tile for it any more. */
      if (kind->column[pair->column].young && !tide_block_is_young(block, i)) continue;
      value[kind->tile[c].of] = tide_block_num(kind, block, pair->column, i);
    }
    contribute(kind, mask, value, delta);
  }
  if (from < to) add(kind, tiles, number, delta);
}

void tide_tiles_add_row(const struct tide_kind *kind, struct tide_tiles **tiles, const struct tide_row *row) {
  __int128 delta[TIDE_TILE_CELLS] = {0};
  int64_t value[TIDE_PAIRS_MAX] = {0};
  for (unsigned p = 0; p < kind->pair_count; p++) value[p] = row->value[kind->origin[kind->pair[p].column]];
  contribute(kind, row->mask, value, delta);
  add(kind, tiles, number_of(kind, row->value[TIDE_COL_TIME]), delta);
}

void tide_tiles_correct(const struct tide_kind *kind, struct tide_tiles **tiles, int64_t time_ms, uint64_t old_bits, int64_t old_amount,
                        uint64_t new_bits, int64_t new_amount) {
  __int128 before[TIDE_TILE_CELLS] = {0}, delta[TIDE_TILE_CELLS] = {0};
  int64_t value[TIDE_PAIRS_MAX] = {0}; /* a pair with a dynamic bit is one of the amount (plan_tile.c), others stay as they are */
  for (unsigned p = 0; p < kind->pair_count; p++) value[p] = old_amount;
  contribute(kind, old_bits & kind->dynamic_bits, value, before);
  for (unsigned p = 0; p < kind->pair_count; p++) value[p] = new_amount;
  contribute(kind, new_bits & kind->dynamic_bits, value, delta);
  for (unsigned c = 1; c < kind->tile_cells; c++) delta[c] -= before[c];
  add(kind, tiles, number_of(kind, time_ms), delta);
}

int64_t tide_tiles_end_ms(const struct tide_kind *kind, const struct tide_tiles *tiles, unsigned i) {
  return (number_at(tiles, i) + 1) * kind->tile_ms;
}

uint64_t tide_tiles_count(const struct tide_tiles *tiles, const struct tide_step *step, unsigned i) {
  return (uint64_t)load_cell(row_at(tiles, i) + cell_at(tiles, step->tile_count), tiles->width[step->tile_count], false);
}

void tide_tiles_expire(const struct tide_kind *kind, struct tide_tiles *tiles, int64_t keep_after_ms) {
  unsigned gone = 0;
  while (gone < tiles->n && tide_tiles_end_ms(kind, tiles, gone) <= keep_after_ms) gone++;
  if (!gone) return;
  memmove(row_of(tiles, 0), row_of(tiles, gone), (size_t)(tiles->n - gone) * tiles->row);
  tiles->n = (uint16_t)(tiles->n - gone);
}

/* Of cells of so many bytes, at most TIDE_TILES_MAX of them, which cannot overflow 64 bits. */
#define SUM_ROWS(type)                                                                                                                     \
  {                                                                                                                                        \
    int64_t sum = 0;                                                                                                                       \
    for (unsigned i = from; i < to; i++, at += tiles->row) {                                                                               \
      type x;                                                                                                                              \
      memcpy(&x, at, sizeof x);                                                                                                            \
      sum += x;                                                                                                                            \
    }                                                                                                                                      \
    return sum;                                                                                                                            \
  }

/* Of cell c in the rows [from, to). */
static __int128 sum_rows(const struct tide_kind *kind, const struct tide_tiles *tiles, unsigned c, unsigned from, unsigned to) {
  const uint8_t *at = row_at(tiles, from) + cell_at(tiles, c);
  bool with_sign = is_signed(kind, c);
  switch (tiles->width[c]) {
    case 1:
      if (with_sign) SUM_ROWS(int8_t)
      SUM_ROWS(uint8_t)
    case 2:
      if (with_sign) SUM_ROWS(int16_t)
      SUM_ROWS(uint16_t)
    case 4:
      if (with_sign) SUM_ROWS(int32_t)
      SUM_ROWS(uint32_t)
    default: {
      __int128 sum = 0;
      for (unsigned i = from; i < to; i++, at += tiles->row) sum += load_cell(at, tiles->width[c], with_sign);
      return sum;
    }
  }
}

void tide_tiles_sum(const struct tide_kind *kind, const struct tide_tiles *tiles, const struct tide_step *step, int64_t left_ms,
                    int64_t right_ms, struct tide_acc *acc) {
  TIDE_CHECK(step->tile_count); /* only readers of tiles begin before them (README.md) */
  TIDE_CHECK(left_ms % kind->tile_ms == 0 && right_ms % kind->tile_ms == 0);
  unsigned from = find(tiles, left_ms / kind->tile_ms), to = right_ms == tiles->until_ms ? tiles->n : find(tiles, right_ms / kind->tile_ms);
  if (from == to) return;
  acc->count += (uint64_t)sum_rows(kind, tiles, step->tile_count, from, to);
  if (step->tile_count2) acc->count2 += (uint64_t)sum_rows(kind, tiles, step->tile_count2, from, to);
  if (step->tile_sum) acc->sum += sum_rows(kind, tiles, step->tile_sum, from, to);
  if (step->tile_squares) acc->squares += sum_rows(kind, tiles, step->tile_squares, from, to);
}

uint64_t tide_tiles_bytes(const struct tide_tiles *tiles) { return sizeof *tiles + (uint64_t)tiles->cap * tiles->row; }

void tide_tiles_save(const struct tide_kind *kind, const struct tide_tiles *tiles, struct tide_buf *out) {
  int64_t last = tiles->until_ms / kind->tile_ms;
  tide_put_zigzag(out, last);
  tide_put_varint(out, tiles->n);
  for (unsigned i = 0; i < tiles->n; i++) {
    int64_t number = number_at(tiles, i);
    tide_put_varint(out, (uint64_t)(i ? number - last : last - number));
    last = number;
    for (unsigned c = 1; c < kind->tile_cells; c++) {
      __int128 value = get(kind, tiles, i, c);
      if (is_signed(kind, c)) {
        tide_put_zigzag(out, (int64_t)(value >> 64));
        tide_put_u64(out, (uint64_t)value);
      } else {
        tide_put_varint(out, (uint64_t)value);
      }
    }
  }
}

static bool load_tile(const struct tide_kind *kind, struct tide_tiles **tiles, int64_t number, struct tide_reader *reader) {
  __int128 cell[TIDE_TILE_CELLS] = {0};
  for (unsigned c = 1; c < kind->tile_cells; c++) {
    if (is_signed(kind, c)) {
      __int128 high = tide_get_zigzag(reader);
      cell[c] = high * ((__int128)1 << 64) + (__int128)tide_get_u64(reader);
    } else {
      cell[c] = (__int128)tide_get_varint(reader);
    }
  }
  if (!reader->bad) add(kind, tiles, number, cell);
  return !reader->bad;
}

struct tide_tiles *tide_tiles_load(const struct tide_kind *kind, struct tide_reader *reader) {
  int64_t end = tide_get_zigzag(reader), bound = INT64_MAX / 4 / kind->tile_ms;
  uint64_t n = tide_get_varint(reader);
  if (reader->bad || end > bound || end < -bound || n > TIDE_TILES_MAX + 2) return NULL;
  struct tide_tiles *tiles = tide_tiles_new(kind, 0, end * kind->tile_ms);
  int64_t number = end;
  bool good = true;
  for (uint64_t i = 0; i < n && good; i++) {
    uint64_t by = tide_get_varint(reader);
    good = by > 0 && by <= UINT32_MAX && number > -2 * bound;
    if (!good) break;
    number = i ? number + (int64_t)by : number - (int64_t)by;
    good = number < end && load_tile(kind, &tiles, number, reader);
  }
  if (good && tiles->n == n) return tiles;
  tide_free(tiles);
  return NULL;
}
