/* The event log of one entity: views, search, insertion, outcome changes, latest bits (entity.h).
 *
 * Latest bits. For a distinct group (column F, condition bit P) the event that is the last in (time, position) order among those that satisfy P and
 * have F = v carries the latest bit of v. A window that ends at the log's end contains v exactly if it contains that event: so
 * `distinct` is a count of bits, like any count. Insertions and outcomes keep the invariant; windows that end earlier recount (window.c). */
#include "feature/block_dict.h"
#include "feature/tile.h"

/* Open addressing map value -> time of the event that carries the latest bit; rebuilt from the blocks when it is three quarters full. */
struct tide_lastmap {
  uint32_t used, cap;
  struct {
    uint64_t value;
    int64_t time_ms;
  } cell[];
};

/* ---- one event without a block ---- */

#define INLINE_TIME_BITS 44 /* five centuries from 1970 on */

static bool is_inline(const struct tide_ent *ent) { return (ent->log & 3) == 3; }

/* An event of a kind that keeps nothing but time and conditions, as ent->log; 0 where it does not fit. */
static uintptr_t inline_of(const struct tide_kind *kind, int64_t time_ms, uint64_t mask) {
  if (!kind->single || time_ms < 0 || time_ms >> INLINE_TIME_BITS) return 0;
  return (uintptr_t)(mask << (INLINE_TIME_BITS + 2) | (uint64_t)time_ms << 2 | 3);
}

/* The block that it stands for. */
static void inline_block(const struct tide_kind *kind, const struct tide_ent *ent, union tide_single *ret) {
  int64_t time_ms = (int64_t)(ent->log >> 2 & ((UINT64_C(1) << INLINE_TIME_BITS) - 1));
  struct tide_block *block = (struct tide_block *)(void *)ret->byte;
  *block = (struct tide_block){.n = 1, .cap = 1, .base_ms2 = time_ms * 2};
  tide_block_set(kind, block, kind->col_of[TIDE_COL_TIME], 0, 0);
  tide_block_set(kind, block, kind->col_of[TIDE_COL_MASK], 0, ent->log >> (INLINE_TIME_BITS + 2));
}

static struct tide_block *inline_take(const struct tide_kind *kind, const struct tide_ent *ent) {
  union tide_single single;
  inline_block(kind, ent, &single);
  struct tide_block *block = tide_alloc(tide_block_bytes(kind, &single.block));
  memcpy(block, &single, tide_block_bytes(kind, &single.block));
  return block;
}

static struct tide_tiles *tiles_of(const struct tide_ent *ent) {
  return (ent->log & 3) == 2 ? (struct tide_tiles *)(ent->log & ~(uintptr_t)2) : NULL;
}
static void set_tiles(struct tide_ent *ent, struct tide_tiles *tiles) { ent->log = (uintptr_t)tiles | 2; }
/* The raw log: the entity's own, or behind its tiles. */
static uintptr_t raw_of(const struct tide_ent *ent) { return tiles_of(ent) ? tiles_of(ent)->log : ent->log; }
static void set_raw(struct tide_ent *ent, uintptr_t log) {
  if (tiles_of(ent)) tiles_of(ent)->log = log;
  else ent->log = log;
}
static struct tide_big *big_of(const struct tide_ent *ent) {
  uintptr_t log = raw_of(ent);
  return (log & 3) == 1 ? (struct tide_big *)(log & ~(uintptr_t)1) : NULL;
}

void tide_view_of(const struct tide_kind *kind, const struct tide_ent *ent, struct tide_view *ret) {
  ret->kind = kind;
  ret->big = NULL;
  ret->tiles = NULL;
  ret->chunk = &ret->one;
  ret->count = 0;
  if (!ent || !ent->log) return;
  if (is_inline(ent)) {
    inline_block(kind, ent, &ret->single);
    ret->one = (struct tide_chunk){.block = &ret->single.block, .last_ms = tide_block_base_ms(&ret->single.block)};
    ret->count = 1;
    return;
  }
  uintptr_t log = ent->log;
  if ((log & 3) == 2) {
    ret->tiles = (const struct tide_tiles *)(log & ~(uintptr_t)2);
    log = ret->tiles->log;
  }
  if ((log & 3) == 1) {
    ret->big = (struct tide_big *)(log & ~(uintptr_t)1);
    ret->chunk = ret->big->chunk;
    ret->count = ret->big->count;
    return;
  }
  struct tide_block *block = (struct tide_block *)log;
  if (!block || !block->n) return;
  ret->one = (struct tide_chunk){.block = block, .last_ms = tide_block_time(kind, block, block->n - 1u)};
  ret->count = 1;
}

struct tide_at tide_view_after(const struct tide_view *view, int64_t ms) {
  uint32_t lo = 0, n = view->count;
  if (n && view->chunk[n - 1].last_ms <= ms) return tide_view_end(view);
  while (n > 1) { /* the first chunk whose last event is after ms; small logs have one */
    uint32_t half = n / 2;
    if (view->chunk[lo + half - 1].last_ms <= ms) lo += half, n -= half;
    else n = half;
  }
  if (lo == view->count) return tide_view_end(view);
  return (struct tide_at){lo, tide_block_after(view->kind, view->chunk[lo].block, ms)};
}

bool tide_view_back(const struct tide_view *view, struct tide_at *at) {
  if (at->i) {
    at->i--;
    return true;
  }
  if (!at->chunk) return false;
  at->chunk--;
  at->i = view->chunk[at->chunk].block->n - 1u;
  return true;
}

bool tide_view_find(const struct tide_view *view, int64_t time_ms, uint32_t rank, struct tide_at *ret) {
  struct tide_at at = tide_view_after(view, time_ms - 1);
  while (at.chunk < view->count) { /* events of one time may fill several chunks */
    const struct tide_block *block = view->chunk[at.chunk].block;
    unsigned left = block->n - at.i;
    if (rank < left) {
      at.i += rank;
      *ret = at;
      return tide_block_time(view->kind, block, at.i) == time_ms;
    }
    rank -= left;
    at = (struct tide_at){at.chunk + 1, 0};
  }
  return false;
}

uint32_t tide_ent_rank(const struct tide_kind *kind, const struct tide_ent *ent, int64_t time_ms) {
  if (!(ent->log & 3)) { /* a small log, or none: nearly always the event is the newest */
    const struct tide_block *block = (const struct tide_block *)ent->log;
    if (!block || !block->n || tide_block_time(kind, block, block->n - 1u) < time_ms) return 0;
  }
  struct tide_view view;
  tide_view_of(kind, ent, &view);
  struct tide_at at = tide_view_after(&view, time_ms);
  uint32_t rank = 0;
  while (tide_view_back(&view, &at) && tide_block_time(kind, view.chunk[at.chunk].block, at.i) == time_ms) rank++;
  return rank;
}

const struct tide_sums *tide_chunk_sums(const struct tide_kind *kind, struct tide_chunk *chunk) {
  if (chunk->sums_valid) return chunk->sums;
  size_t bytes = sizeof *chunk->sums + kind->pair_count * sizeof chunk->sums->pair[0];
  if (!chunk->sums) chunk->sums = tide_alloc(bytes);
  memset(chunk->sums, 0, bytes);
  for (unsigned p = 0; p < kind->pair_count; p++) {
    chunk->sums->pair[p].min = INT64_MAX;
    chunk->sums->pair[p].max = INT64_MIN;
  }
  const struct tide_block *block = chunk->block;
  for (unsigned i = 0; i < block->n; i++) {
    uint64_t mask = tide_block_mask(kind, block, i);
    for (unsigned bit = 0; bit < kind->bit_count; bit++)
      chunk->sums->count[bit] = (uint16_t)(chunk->sums->count[bit] + ((mask >> bit) & 1));
    for (unsigned p = 0; p < kind->pair_count; p++) {
      if (!((mask >> kind->pair[p].bit) & 1)) continue;
      if (kind->column[kind->pair[p].column].young && !tide_block_is_young(block, i)) continue; /* nothing asks for it here any more */
      int64_t x = tide_block_num(kind, block, kind->pair[p].column, i);
      struct tide_pairsum *sum = &chunk->sums->pair[p];
      sum->sum += x;
      sum->squares += (__int128)x * x;
      if (x < sum->min) sum->min = x;
      if (x > sum->max) sum->max = x;
    }
  }
  chunk->sums_valid = true;
  return chunk->sums;
}

const struct tide_sums *tide_super_sums(const struct tide_kind *kind, struct tide_big *big, uint32_t first) {
  struct tide_super *super = &big->super[first / TIDE_SUPER];
  TIDE_CHECK(first % TIDE_SUPER == 0 && first + TIDE_SUPER <= big->count);
  if (super->valid) return super->sums;
  size_t bytes = sizeof *super->sums + kind->pair_count * sizeof super->sums->pair[0];
  if (!super->sums) super->sums = tide_alloc(bytes);
  memset(super->sums, 0, bytes);
  for (unsigned p = 0; p < kind->pair_count; p++) {
    super->sums->pair[p].min = INT64_MAX;
    super->sums->pair[p].max = INT64_MIN;
  }
  for (uint32_t c = first; c < first + TIDE_SUPER; c++) { /* at most 64 * 256 events: the counts fit their 16 bits */
    const struct tide_sums *sums = tide_chunk_sums(kind, &big->chunk[c]);
    for (unsigned bit = 0; bit < kind->bit_count; bit++) super->sums->count[bit] = (uint16_t)(super->sums->count[bit] + sums->count[bit]);
    for (unsigned p = 0; p < kind->pair_count; p++) {
      struct tide_pairsum *to = &super->sums->pair[p];
      to->sum += sums->pair[p].sum;
      to->squares += sums->pair[p].squares;
      if (sums->pair[p].min < to->min) to->min = sums->pair[p].min;
      if (sums->pair[p].max > to->max) to->max = sums->pair[p].max;
    }
  }
  super->valid = true;
  return super->sums;
}

/* Every change of a chunk's content goes through here: what was summed up is no longer true. */
static void stale_sums(struct tide_big *big, struct tide_chunk *chunk) {
  chunk->sums_valid = false;
  if (big) big->super[(size_t)(chunk - big->chunk) / TIDE_SUPER].valid = false;
}

/* Chunks from `at` on changed places. */
static void stale_supers(struct tide_big *big, uint32_t at) {
  for (uint32_t i = at / TIDE_SUPER; i <= big->cap / TIDE_SUPER; i++) big->super[i].valid = false;
}

/* ---- latest bits ---- */

static uint32_t map_cell(const struct tide_lastmap *map, uint64_t value) {
  uint32_t at = (uint32_t)tide_hash64(&value, sizeof value, 0) & (map->cap - 1);
  while (map->cell[at].value != value && map->cell[at].time_ms != INT64_MIN) at = (at + 1) & (map->cap - 1);
  return at;
}

static struct tide_lastmap *map_new(uint32_t cap) {
  struct tide_lastmap *map = tide_alloc(sizeof *map + cap * sizeof map->cell[0]);
  map->cap = cap;
  for (uint32_t i = 0; i < cap; i++) map->cell[i].time_ms = INT64_MIN;
  return map;
}

static void map_put(struct tide_lastmap *map, uint64_t value, int64_t time_ms) {
  uint32_t at = map_cell(map, value);
  if (map->cell[at].time_ms == INT64_MIN) map->used++;
  map->cell[at].value = value;
  map->cell[at].time_ms = time_ms;
}

static void map_rebuild(const struct tide_kind *kind, struct tide_big *big, unsigned group) {
  const struct tide_distinct *distinct = &kind->distinct[group];
  uint32_t live = 0;
  for (uint32_t c = 0; c < big->count; c++) {
    const struct tide_block *block = big->chunk[c].block;
    for (unsigned i = 0; i < block->n; i++) live += (uint32_t)((tide_block_mask(kind, block, i) >> distinct->latest) & 1);
  }
  uint32_t cap = 64;
  while (cap < live * 2) cap *= 2;
  struct tide_lastmap *map = map_new(cap);
  bool young = kind->column[distinct->column].young;
  for (uint32_t c = 0; c < big->count; c++) {
    const struct tide_block *block = big->chunk[c].block;
    for (unsigned i = young ? (unsigned)block->n - block->yn : 0; i < block->n; i++)
      if ((tide_block_mask(kind, block, i) >> distinct->latest) & 1)
        map_put(map, tide_block_get(kind, block, distinct->column, i), tide_block_time(kind, block, i));
  }
  tide_free(big->map[group]);
  big->map[group] = map;
}

static bool is_latest(const struct tide_view *view, const struct tide_distinct *distinct, uint64_t value, struct tide_at at) {
  const struct tide_block *block = view->chunk[at.chunk].block;
  if (!((tide_block_mask(view->kind, block, at.i) >> distinct->latest) & 1)) return false;
  if (view->kind->column[distinct->column].young && !tide_block_is_young(block, at.i)) return false;
  return tide_block_get(view->kind, block, distinct->column, at.i) == value;
}

bool tide_view_latest(const struct tide_view *view, unsigned group, uint64_t value, struct tide_at *ret) {
  const struct tide_distinct *distinct = &view->kind->distinct[group];
  if (view->big) {
    const struct tide_lastmap *map = view->big->map[group];
    uint32_t cell = map_cell(map, value);
    if (map->cell[cell].time_ms == INT64_MIN) return false;
    struct tide_at at = tide_view_after(view, map->cell[cell].time_ms);
    while (tide_view_back(view, &at) && tide_block_time(view->kind, view->chunk[at.chunk].block, at.i) == map->cell[cell].time_ms) {
      if (is_latest(view, distinct, value, at)) {
        *ret = at;
        return true;
      }
    }
    return false; /* expired, or no longer the latest */
  }
  if (!view->count) return false;
  const struct tide_block *block = view->chunk[0].block; /* a small log is one */
  struct tide_cells values = tide_block_cells(view->kind, block, distinct->column),
                    masks = tide_block_cells(view->kind, block, view->kind->col_of[TIDE_COL_MASK]);
  for (unsigned i = block->n; i > values.first; i--) {
    if (!((tide_cells_get(&masks, i - 1) >> distinct->latest) & 1) || tide_cells_get(&values, i - 1) != value) continue;
    *ret = (struct tide_at){0, i - 1};
    return true;
  }
  return false;
}

static void flip(const struct tide_view *view, unsigned bit, struct tide_at at) {
  struct tide_chunk *chunk = &view->chunk[at.chunk];
  unsigned column = view->kind->col_of[TIDE_COL_MASK];
  uint64_t mask = tide_block_get(view->kind, chunk->block, column, at.i);
  tide_block_set(view->kind, chunk->block, column, at.i, mask ^ (UINT64_C(1) << bit));
  /* A latest bit is counted and nothing is summed under it: what was counted is put right, not thrown away. */
  int change = (mask >> bit) & 1 ? -1 : 1;
  if (chunk->sums_valid) chunk->sums->count[bit] = (uint16_t)(chunk->sums->count[bit] + change);
  if (!view->big) return;
  struct tide_super *super = &view->big->super[at.chunk / TIDE_SUPER];
  if (super->valid) super->sums->count[bit] = (uint16_t)(super->sums->count[bit] + change);
}

static void note_latest(const struct tide_view *view, unsigned group, uint64_t value, int64_t time_ms) {
  if (!view->big) return;
  map_put(view->big->map[group], value, time_ms);
  if (view->big->map[group]->used / 3 > view->big->map[group]->cap / 4) map_rebuild(view->kind, view->big, group);
}

/* ---- insertion ---- */

static void chunk_note(const struct tide_kind *kind, struct tide_chunk *chunk) {
  chunk->last_ms = tide_block_time(kind, chunk->block, chunk->block->n - 1u);
  chunk->sums_valid = false;
}

static void big_insert_chunk(struct tide_big *big, uint32_t at, struct tide_chunk chunk) {
  if (big->count == big->cap) {
    uint32_t old = big->cap ? big->cap / TIDE_SUPER + 1 : 0;
    big->cap = big->cap ? big->cap * 2 : 8;
    big->chunk = tide_realloc(big->chunk, big->cap * sizeof *big->chunk);
    big->super = tide_realloc(big->super, (big->cap / TIDE_SUPER + 1) * sizeof *big->super);
    for (uint32_t i = old; i <= big->cap / TIDE_SUPER; i++) big->super[i] = (struct tide_super){0};
  }
  memmove(big->chunk + at + 1, big->chunk + at, (big->count - at) * sizeof *big->chunk);
  big->chunk[at] = chunk;
  big->count++;
  stale_supers(big, at);
}

static struct tide_big *grow_big(const struct tide_kind *kind, struct tide_ent *ent) {
  struct tide_big *big = tide_alloc(sizeof *big);
  struct tide_chunk chunk = {.block = (struct tide_block *)raw_of(ent)};
  chunk_note(kind, &chunk);
  big_insert_chunk(big, 0, chunk);
  set_raw(ent, (uintptr_t)big | 1);
  for (unsigned g = 0; g < kind->distinct_count; g++) map_rebuild(kind, big, g);
  return big;
}

static void big_expire(const struct tide_kind *kind, struct tide_big *big, int64_t watermark_ms) {
  uint32_t gone = 0;
  while (gone + 1 < big->count && big->chunk[gone].last_ms <= watermark_ms - kind->keep_ms) {
    tide_free(big->chunk[gone].block);
    tide_free(big->chunk[gone].sums);
    gone++;
  }
  if (gone) {
    memmove(big->chunk, big->chunk + gone, (big->count - gone) * sizeof *big->chunk);
    big->count -= gone;
    stale_supers(big, 0);
  }
  for (uint32_t c = 0; c + 1 < big->count && big->chunk[c].last_ms <= watermark_ms - kind->young_ms; c++) {
    struct tide_block **block = &big->chunk[c].block;
    if (!(*block)->yn && !(*block)->ycap) continue;
    tide_block_expire(kind, *block, INT64_MIN, watermark_ms - kind->young_ms);
    tide_block_fit(kind, block, 0);
    stale_sums(big, &big->chunk[c]);
  }
}

/* ---- tiles ---- */

/* Tiles the events of a block with time in (dead_ms, until_ms]; older ones can no longer be asked for. */
static void tile_block(const struct tide_kind *kind, struct tide_ent *ent, const struct tide_block *block, int64_t dead_ms,
                       int64_t until_ms) {
  struct tide_tiles *tiles = tiles_of(ent);
  tide_tiles_add_block(kind, &tiles, block, tide_block_after(kind, block, dead_ms), tide_block_after(kind, block, until_ms));
  set_tiles(ent, tiles);
}

static void tiles_begin(const struct tide_kind *kind, struct tide_ent *ent, int64_t dead_ms, int64_t until_ms) {
  if (!tiles_of(ent)) {
    set_tiles(ent, tide_tiles_new(kind, ent->log, until_ms));
    return;
  }
  tiles_of(ent)->until_ms = until_ms;
  tide_tiles_expire(kind, tiles_of(ent), dead_ms);
}

/* Moves old rows of a small log into tiles, at a full step of its content as expiry. */
static void small_settle(const struct tide_kind *kind, struct tide_ent *ent, int64_t watermark_ms) {
  struct tide_block *block = (struct tide_block *)raw_of(ent);
  if (!block || !block->n || block->n != tide_block_capacity(block->n)) return;
  int64_t dead_ms = watermark_ms - kind->keep_ms, young_ms = watermark_ms - kind->young_ms;
  if (!tiles_of(ent) && tide_block_time(kind, block, 0) > watermark_ms - kind->raw_ms) return; /* nothing is old enough to begin */
  int64_t until_ms = tide_tile_floor(kind, watermark_ms - kind->raw_ms);
  unsigned dead = tide_block_after(kind, block, dead_ms), gone = tide_block_after(kind, block, until_ms);
  if (!tiles_of(ent) && gone < dead + TIDE_TILE_MIN) return; /* few rows cost less than tiles */
  tiles_begin(kind, ent, dead_ms, until_ms);
  tile_block(kind, ent, block, dead_ms, until_ms);
  tide_block_expire(kind, block, until_ms, young_ms);
  if (block->n) {
    tide_block_fit(kind, &block, 1);
  } else {
    tide_free(block);
    block = NULL;
  }
  set_raw(ent, (uintptr_t)block);
}

/* The same for a big log; its last chunk stays as it is, so that there is always one. */
static void big_settle(const struct tide_kind *kind, struct tide_ent *ent, struct tide_big *big, int64_t watermark_ms) {
  int64_t dead_ms = watermark_ms - kind->keep_ms;
  int64_t until_ms = tide_tile_floor(kind, watermark_ms - kind->raw_ms);
  int64_t last_ms = tide_tile_floor(kind, tide_block_time(kind, big->chunk[big->count - 1].block, 0) - 1);
  if (last_ms < until_ms) until_ms = last_ms;
  bool has = tiles_of(ent) != NULL;
  if (has ? until_ms <= tiles_of(ent)->until_ms : tide_block_time(kind, big->chunk[0].block, 0) > until_ms) return;
  tiles_begin(kind, ent, dead_ms, until_ms);
  uint32_t gone = 0;
  while (big->chunk[gone].last_ms <= until_ms) {
    tile_block(kind, ent, big->chunk[gone].block, dead_ms, until_ms);
    tide_free(big->chunk[gone].block);
    tide_free(big->chunk[gone].sums);
    gone++;
  }
  struct tide_chunk *first = &big->chunk[gone];
  if (tide_block_time(kind, first->block, 0) <= until_ms) {
    tile_block(kind, ent, first->block, dead_ms, until_ms);
    tide_block_expire(kind, first->block, until_ms, INT64_MIN);
    tide_block_fit(kind, &first->block, 0);
    chunk_note(kind, first);
  } else if (!gone) {
    return;
  }
  memmove(big->chunk, big->chunk + gone, (big->count - gone) * sizeof *big->chunk);
  big->count -= gone;
  stale_supers(big, 0);
}

/* Where the row goes in a big log: a chunk with room and the index in it. */
static struct tide_chunk *big_place(const struct tide_kind *kind, struct tide_ent *ent, struct tide_big *big, int64_t time_ms,
                                    int64_t watermark_ms, unsigned *ret_i) {
  struct tide_view view = {.kind = kind, .count = big->count, .chunk = big->chunk, .big = big};
  struct tide_at at = tide_view_after(&view, time_ms);
  if (at.chunk == big->count) at = (struct tide_at){big->count - 1, big->chunk[big->count - 1].block->n};
  if (big->chunk[at.chunk].block->n == TIDE_BLOCK_MAX) {
    struct tide_block *block = big->chunk[at.chunk].block;
    if (at.chunk + 1 == big->count && at.i == block->n) { /* the usual way to grow: a fresh block at the end */
      if (kind->tile_ms) big_settle(kind, ent, big, watermark_ms);
      big_expire(kind, big, watermark_ms);
      big_insert_chunk(big, big->count, (struct tide_chunk){0});
      *ret_i = 0;
      return &big->chunk[big->count - 1];
    }
    struct tide_chunk tail = {.block = tide_block_split(kind, block, TIDE_BLOCK_MAX / 2)};
    chunk_note(kind, &tail);
    chunk_note(kind, &big->chunk[at.chunk]);
    stale_sums(big, &big->chunk[at.chunk]); /* also where the tail begins the next sum of sums */
    big_insert_chunk(big, at.chunk + 1, tail);
    if (at.i > TIDE_BLOCK_MAX / 2) at = (struct tide_at){at.chunk + 1, at.i - TIDE_BLOCK_MAX / 2};
  }
  *ret_i = at.i;
  return &big->chunk[at.chunk];
}

/* Among plain cells of 8 bytes, which a merchant has hundreds of: four at a time. */
static unsigned latest_of_8(const char *cell, uint64_t value, unsigned n, unsigned first, const char *masks, unsigned mask_width,
                            unsigned bit) {
  const char *at = cell + (size_t)(n - first) * 8;
  unsigned i = n;
  while (i > first) {
    if (i >= first + 4 && tide_load(at - 8, 8) != value && tide_load(at - 16, 8) != value && tide_load(at - 24, 8) != value &&
        tide_load(at - 32, 8) != value) {
      at -= 32;
      i -= 4;
      continue;
    }
    at -= 8;
    i--;
    if (tide_load(at, 8) == value && ((tide_load(masks + (size_t)i * mask_width, mask_width) >> bit) & 1)) return i;
  }
  return n;
}

/* The event of a small log that carries the latest bit for the row's value; block->n if none does. */
static unsigned latest_in(const struct tide_kind *kind, const struct tide_block *block, const struct tide_entries *dict,
                          const struct tide_distinct *distinct, uint64_t value) {
  const struct tide_column *column = &kind->column[distinct->column], *mask = &kind->column[kind->col_of[TIDE_COL_MASK]];
  int wide = tide_block_wide(block);
  unsigned n = block->n, first = column->young ? n - block->yn : 0, mask_width = mask->width[wide];
  const char *masks = (const char *)(block + 1) + (size_t)block->cap * mask->before[wide];
  TIDE_CHECK(!mask->young);
#define CARRIES(i) ((tide_load(masks + (size_t)(i)*mask_width, mask_width) >> distinct->latest) & 1)
  if (column->dict == TIDE_NO_DICT) {
    struct tide_cells cells = tide_block_cells(kind, block, distinct->column);
    for (unsigned i = n; i > first; i--)
      if (tide_cells_get(&cells, i - 1) == value && CARRIES(i - 1)) return i - 1;
    return n;
  }
  const struct tide_entries *entries = &dict[column->dict];
  unsigned width = column->width[wide], row = entries->row;
  const char *cell = entries->entry + column->before[wide];
  if (tide_entries_plain(entries)) {
    if (row == 8) return latest_of_8(cell, value, n, first, masks, mask_width, distinct->latest);
    for (unsigned i = n; i > first; i--)
      if (tide_load(cell + (size_t)(i - 1 - first) * row, width) == value && CARRIES(i - 1)) return i - 1;
    return n;
  }
  uint32_t same = 0; /* entries with this value: other columns of theirs may differ */
  for (unsigned e = 0; e < entries->head->n; e++) same |= (uint32_t)(tide_load(cell + (size_t)e * row, width) == value) << e;
  for (unsigned i = same ? n : first; i > first; i--)
    if ((same >> (entries->index ? entries->index[i - 1 - first] : 0) & 1) && CARRIES(i - 1)) return i - 1;
  return n;
#undef CARRIES
}

/* Decides the latest bits of a new event, which goes before event `place` of a small log: set in the row; the event that loses a bit is mended at once. */
static void latest_before_small(const struct tide_kind *kind, struct tide_block *block, unsigned place, struct tide_row *row) {
  uint8_t mask_column = kind->col_of[TIDE_COL_MASK];
  uint64_t mask = (uint64_t)row->value[mask_column];
  struct tide_entries dict[TIDE_DICTS_MAX];
  if (block && block->n) tide_block_entries(kind, block, kind->distinct_dicts, dict);
  for (unsigned g = 0; g < kind->distinct_count; g++) {
    const struct tide_distinct *distinct = &kind->distinct[g];
    if (!((mask >> distinct->bit) & 1)) continue;
    unsigned holder = block && block->n ? latest_in(kind, block, dict, distinct, (uint64_t)row->value[distinct->column]) : 0;
    if (block && holder < block->n) {
      if (holder >= place) continue;
      tide_block_set(kind, block, mask_column, holder, tide_block_mask(kind, block, holder) ^ (UINT64_C(1) << distinct->latest));
    }
    mask |= UINT64_C(1) << distinct->latest;
  }
  row->value[mask_column] = (int64_t)mask;
}

/* The same for a big log. */
static void latest_before_big(const struct tide_kind *kind, const struct tide_ent *ent, struct tide_row *row, int64_t time_ms) {
  uint8_t mask_column = kind->col_of[TIDE_COL_MASK];
  uint64_t mask = (uint64_t)row->value[mask_column];
  struct tide_view view;
  tide_view_of(kind, ent, &view);
  struct tide_at place = tide_view_after(&view, time_ms);
  for (unsigned g = 0; g < kind->distinct_count; g++) {
    const struct tide_distinct *distinct = &kind->distinct[g];
    if (!((mask >> distinct->bit) & 1)) continue;
    uint64_t value = (uint64_t)row->value[distinct->column];
    struct tide_at holder;
    if (tide_view_latest(&view, g, value, &holder)) {
      if (!tide_at_less(holder, place)) continue;
      flip(&view, distinct->latest, holder);
    }
    mask |= UINT64_C(1) << distinct->latest;
  }
  row->value[mask_column] = (int64_t)mask;
}

/* Before which event of a small log it goes; nearly always behind all. */
static unsigned place_in(const struct tide_kind *kind, const struct tide_block *block, int64_t time_ms) {
  if (!block || !block->n) return 0;
  return tide_block_time(kind, block, block->n - 1u) <= time_ms ? block->n : tide_block_after(kind, block, time_ms);
}

bool tide_ent_insert(const struct tide_kind *kind, struct tide_ent *ent, struct tide_row *row, int64_t watermark_ms) {
  int64_t time_ms = row->value[kind->col_of[TIDE_COL_TIME]];
  if (kind->single) {
    if (!ent->log) ent->log = inline_of(kind, time_ms, (uint64_t)row->value[kind->col_of[TIDE_COL_MASK]]);
    else if (is_inline(ent)) ent->log = (uintptr_t)inline_take(kind, ent);
    if (is_inline(ent)) return false;
  }
  struct tide_big *big = big_of(ent);
  if (kind->tile_ms) {
    if (!big) small_settle(kind, ent, watermark_ms);
    struct tide_tiles *tiles = tiles_of(ent);
    if (tiles && time_ms <= tiles->until_ms) { /* a late one, older than any row that can be asked for */
      tide_tiles_add_row(kind, &tiles, row);
      set_tiles(ent, tiles);
      return true;
    }
  }
  if (big) {
    if (kind->distinct_count) latest_before_big(kind, ent, row, time_ms);
  } else {
    struct tide_block *block = (struct tide_block *)raw_of(ent);
    unsigned place = place_in(kind, block, time_ms);
    if (kind->distinct_count) latest_before_small(kind, block, place, row);
    /* Expiry happens at a full step of the content, not of the allocation: a log that came from a snapshot behaves the same. */
    if (block && block->n && block->n == tide_block_capacity(block->n) &&
        tide_block_expire(kind, block, watermark_ms - kind->keep_ms, watermark_ms - kind->young_ms))
      place = place_in(kind, block, time_ms);
    if (!block || block->n < TIDE_BLOCK_MAX) {
      tide_block_insert(kind, &block, place, row);
      set_raw(ent, (uintptr_t)block);
      return false;
    }
    big = grow_big(kind, ent);
  }
  unsigned i;
  struct tide_chunk *chunk = big_place(kind, ent, big, time_ms, watermark_ms, &i);
  tide_block_insert(kind, &chunk->block, i, row);
  chunk_note(kind, chunk);
  stale_sums(big, chunk);
  struct tide_view view;
  tide_view_of(kind, ent, &view);
  uint64_t mask = (uint64_t)row->value[kind->col_of[TIDE_COL_MASK]];
  for (unsigned g = 0; g < kind->distinct_count; g++)
    if ((mask >> kind->distinct[g].latest) & 1) note_latest(&view, g, (uint64_t)row->value[kind->distinct[g].column], time_ms);
  return false;
}

/* ---- outcomes ---- */

/* The event lost its condition while it carried the latest bit: the one before it with the same value inherits. */
static void inherit(const struct tide_view *view, unsigned group, uint64_t value, struct tide_at at) {
  const struct tide_distinct *distinct = &view->kind->distinct[group];
  bool young = view->kind->column[distinct->column].young;
  while (tide_view_back(view, &at)) {
    const struct tide_block *block = view->chunk[at.chunk].block;
    if (young && !tide_block_is_young(block, at.i)) return;
    if (!((tide_block_mask(view->kind, block, at.i) >> distinct->bit) & 1)) continue;
    if (tide_block_get(view->kind, block, distinct->column, at.i) != value) continue;
    flip(view, distinct->latest, at);
    note_latest(view, group, value, tide_block_time(view->kind, block, at.i));
    return;
  }
}

void tide_ent_set_bits(const struct tide_kind *kind, struct tide_ent *ent, struct tide_at at, uint64_t dynamic) {
  struct tide_view view;
  tide_view_of(kind, ent, &view);
  struct tide_chunk *chunk = &view.chunk[at.chunk];
  uint8_t column = kind->col_of[TIDE_COL_MASK];
  uint64_t old = tide_block_get(kind, chunk->block, column, at.i);
  uint64_t mask = (old & ~kind->dynamic_bits) | (dynamic & kind->dynamic_bits);
  if (mask == old) return;
  stale_sums(view.big, chunk);
  tide_block_set(kind, chunk->block, column, at.i, mask);
  for (unsigned g = 0; g < kind->distinct_count; g++) {
    const struct tide_distinct *distinct = &kind->distinct[g];
    bool was = (old >> distinct->bit) & 1, is = (mask >> distinct->bit) & 1;
    if (was == is) continue;
    if (kind->column[distinct->column].young && !tide_block_is_young(chunk->block, at.i)) continue;
    uint64_t value = tide_block_get(kind, chunk->block, distinct->column, at.i);
    if (is) {
      struct tide_at holder;
      if (tide_view_latest(&view, g, value, &holder)) {
        if (!tide_at_less(holder, at)) continue;
        flip(&view, distinct->latest, holder);
      }
      flip(&view, distinct->latest, at);
      note_latest(&view, g, value, tide_block_time(kind, chunk->block, at.i));
    } else if ((old >> distinct->latest) & 1) {
      flip(&view, distinct->latest, at);
      inherit(&view, g, value, at);
    }
  }
}

void tide_ent_set_num(const struct tide_kind *kind, struct tide_ent *ent, struct tide_at at, unsigned column, int64_t value) {
  struct tide_big *big = big_of(ent);
  if (big) {
    tide_block_set_num(kind, &big->chunk[at.chunk].block, column, at.i, value);
    stale_sums(big, &big->chunk[at.chunk]);
    return;
  }
  struct tide_block *block = (struct tide_block *)raw_of(ent);
  tide_block_set_num(kind, &block, column, at.i, value);
  set_raw(ent, (uintptr_t)block);
}

void tide_ent_set(const struct tide_kind *kind, struct tide_ent *ent, struct tide_at at, unsigned column, uint64_t value) {
  struct tide_big *big = big_of(ent);
  if (big) { /* nothing is summed up of such a column */
    tide_block_put(kind, &big->chunk[at.chunk].block, column, at.i, value);
    return;
  }
  struct tide_block *block = (struct tide_block *)raw_of(ent);
  tide_block_put(kind, &block, column, at.i, value);
  set_raw(ent, (uintptr_t)block);
}

void tide_ent_mend_tile(const struct tide_kind *kind, struct tide_ent *ent, int64_t time_ms, uint64_t old_bits, int64_t old_amount,
                        uint64_t new_bits, int64_t new_amount) {
  struct tide_tiles *tiles = tiles_of(ent);
  TIDE_CHECK(tiles && time_ms <= tiles->until_ms);
  tide_tiles_correct(kind, &tiles, time_ms, old_bits, old_amount, new_bits, new_amount);
  set_tiles(ent, tiles);
}

int64_t tide_ent_last_ms(const struct tide_kind *kind, const struct tide_ent *ent) {
  struct tide_view view;
  tide_view_of(kind, ent, &view);
  if (view.count) return view.chunk[view.count - 1].last_ms;
  return view.tiles && view.tiles->n ? tide_tiles_end_ms(kind, view.tiles, view.tiles->n - 1u) : INT64_MIN;
}

void tide_ent_release(struct tide_ent *ent) {
  if (is_inline(ent)) ent->log = 0;
  struct tide_big *big = big_of(ent);
  if (!big) {
    tide_free((void *)raw_of(ent));
  } else {
    for (uint32_t c = 0; c < big->count; c++) {
      tide_free(big->chunk[c].block);
      tide_free(big->chunk[c].sums);
    }
    for (unsigned g = 0; g < 16; g++) tide_free(big->map[g]);
    for (uint32_t i = 0; i <= big->cap / TIDE_SUPER; i++) tide_free(big->super[i].sums);
    tide_free(big->super);
    tide_free(big->chunk);
    tide_free(big);
  }
  tide_free(tiles_of(ent));
  ent->log = 0;
}

uint64_t tide_ent_bytes(const struct tide_kind *kind, const struct tide_ent *ent) {
  struct tide_big *big = big_of(ent);
  if (!ent->log || is_inline(ent)) return 0;
  uint64_t tile_bytes = tiles_of(ent) ? tide_tiles_bytes(tiles_of(ent)) : 0;
  if (!big) return tile_bytes + (raw_of(ent) ? tide_block_bytes(kind, (const struct tide_block *)raw_of(ent)) : 0);
  uint64_t sums_bytes = sizeof(struct tide_sums) + kind->pair_count * sizeof(struct tide_pairsum);
  uint64_t bytes = tile_bytes + sizeof *big + big->cap * sizeof *big->chunk + (big->cap / TIDE_SUPER + 1) * sizeof *big->super;
  for (uint32_t i = 0; i <= big->cap / TIDE_SUPER; i++) bytes += big->super[i].sums ? sums_bytes : 0;
  for (uint32_t c = 0; c < big->count; c++) {
    bytes += tide_block_bytes(kind, big->chunk[c].block);
    if (big->chunk[c].sums) bytes += sums_bytes;
  }
  for (unsigned g = 0; g < kind->distinct_count; g++) bytes += sizeof(struct tide_lastmap) + (uint64_t)big->map[g]->cap * 16;
  return bytes;
}

/* A log on disk: in kinds with tiles 1 and the tiles, or 0; number of blocks * 2 + (1 if big), then the blocks. An emptied small block is saved
 * as none. */
void tide_ent_save(const struct tide_kind *kind, const struct tide_ent *ent, struct tide_buf *out) {
  struct tide_view view;
  tide_view_of(kind, ent, &view);
  if (kind->tile_ms) tide_put_u8(out, view.tiles != NULL);
  if (view.tiles) tide_tiles_save(kind, view.tiles, out);
  tide_put_varint(out, (uint64_t)view.count * 2 + (view.big ? 1 : 0));
  for (uint32_t c = 0; c < view.count; c++) tide_block_save(kind, view.chunk[c].block, out);
}

static bool load_raw(const struct tide_kind *kind, struct tide_ent *ent, struct tide_reader *reader) {
  uint64_t head = tide_get_varint(reader);
  uint64_t count = head / 2;
  if (reader->bad || (!(head & 1) && count > 1) || ((head & 1) && !count)) return false;
  if (!count) return true;
  struct tide_block *block = tide_block_load(kind, reader);
  if (!block) return false;
  set_raw(ent, (uintptr_t)block);
  if (!(head & 1)) {
    if (kind->single && block->n == 1 && !tide_block_wide(block) && tide_block_time(kind, block, 0) == tide_block_base_ms(block)) {
      uintptr_t log = inline_of(kind, tide_block_base_ms(block), tide_block_mask(kind, block, 0));
      if (log) { /* saved again it has the same bytes */
        tide_free(block);
        set_raw(ent, log);
      }
    }
    return true;
  }
  struct tide_big *big = grow_big(kind, ent);
  while (big->count < count) {
    struct tide_chunk chunk = {.block = tide_block_load(kind, reader)};
    if (!chunk.block) break;
    chunk_note(kind, &chunk);
    if (tide_block_time(kind, chunk.block, 0) < big->chunk[big->count - 1].last_ms) reader->bad = true;
    big_insert_chunk(big, big->count, chunk);
    if (reader->bad) break;
  }
  if (big->count < count || reader->bad) return false;
  for (unsigned g = 0; g < kind->distinct_count; g++) map_rebuild(kind, big, g);
  return true;
}

bool tide_ent_load(const struct tide_kind *kind, struct tide_ent *ent, struct tide_reader *reader) {
  ent->log = 0;
  unsigned has = kind->tile_ms ? tide_get_u8(reader) : 0;
  if (reader->bad || has > 1) return false;
  if (has) {
    struct tide_tiles *tiles = tide_tiles_load(kind, reader);
    if (!tiles) return false;
    set_tiles(ent, tiles);
  }
  bool good = load_raw(kind, ent, reader);
  if (good && has) { /* rows begin where tiles end */
    struct tide_view view;
    tide_view_of(kind, ent, &view);
    good = !view.count || tide_block_time(kind, view.chunk[0].block, 0) > view.tiles->until_ms;
  }
  if (!good) tide_ent_release(ent);
  return good;
}
