/* The event log of one entity: views, search, outcome changes, latest bits, bytes on disk (entity.h; insertion: log_insert.c).
 *
 * Latest bits. For a distinct group (column F, condition bit P) the event that is the last in (time, position) order among those that satisfy P and
 * have F = v carries the latest bit of v. A window that ends at the log's end contains v exactly if it contains that event: so
 * `distinct` is a count of bits, like any count. Insertions and outcomes keep the invariant; windows that end earlier recount (window.c). */
#include "feature/running.h"
#include "feature/log_parts.h"

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

/* An event of a kind that keeps nothing but time and conditions, as ent->log; 0 where it does not fit. */
uintptr_t tide_ent_log_single(const struct tide_kind *kind, int64_t time_ms, uint64_t mask) {
  if (!kind->single || time_ms < 0 || time_ms >> INLINE_TIME_BITS) return 0;
  return (uintptr_t)(mask << (INLINE_TIME_BITS + 2) | (uint64_t)time_ms << 2 | 3);
}

/* The block that it stands for. */
static void single_block(const struct tide_kind *kind, const struct tide_ent *ent, union tide_single *ret) {
  int64_t time_ms = (int64_t)(ent->log >> 2 & ((UINT64_C(1) << INLINE_TIME_BITS) - 1));
  struct tide_block *block = (struct tide_block *)(void *)ret->byte;
  *block = (struct tide_block){.n = 1, .cap = 1, .base_ms2 = time_ms * 2};
  tide_block_set(kind, block, kind->col_of[TIDE_COL_TIME], 0, 0);
  tide_block_set(kind, block, kind->col_of[TIDE_COL_MASK], 0, ent->log >> (INLINE_TIME_BITS + 2));
}

struct tide_block *tide_ent_log_take_single(const struct tide_kind *kind, const struct tide_ent *ent) {
  union tide_single single;
  single_block(kind, ent, &single);
  struct tide_block *block = tide_alloc(tide_block_bytes(kind, &single.block));
  memcpy(block, &single, tide_block_bytes(kind, &single.block));
  return block;
}

void tide_view_of(const struct tide_kind *kind, const struct tide_ent *ent, struct tide_view *ret) {
  ret->kind = kind;
  ret->big = NULL;
  ret->tiles = NULL;
  ret->chunk = &ret->one;
  ret->count = 0;
  if (!ent || !ent->log) return;
  if (tide_ent_log_is_single(ent)) {
    single_block(kind, ent, &ret->single);
    ret->one = (struct tide_chunk){.block = &ret->single.block, .last_ms = tide_block_base_ms(&ret->single.block)};
    ret->count = 1;
    return;
  }
  ret->tiles = tide_ent_log_tiles(ent);
  ret->big = tide_ent_log_big(ent);
  if (ret->big) {
    ret->chunk = ret->big->chunk;
    ret->count = ret->big->count;
    return;
  }
  struct tide_block *block = (struct tide_block *)tide_ent_log_raw(ent);
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

uint32_t tide_ent_rank_among(const struct tide_kind *kind, const struct tide_ent *ent, int64_t time_ms) {
  uintptr_t log = tide_ent_log_raw(ent);
  if (!(log & 3)) { /* behind tiles, a small log or none */
    const struct tide_block *block = (const struct tide_block *)log;
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
void tide_ent_log_stale(struct tide_big *big, struct tide_chunk *chunk) {
  chunk->sums_valid = false;
  if (big) big->super[(size_t)(chunk - big->chunk) / TIDE_SUPER].valid = false;
}

/* Chunks from `at` on changed places. */
void tide_ent_log_stale_supers(struct tide_big *big, uint32_t at) {
  tide_running_drop(big);
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

void tide_ent_log_map_rebuild(const struct tide_kind *kind, struct tide_big *big, unsigned group) {
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

void tide_ent_log_flip(const struct tide_view *view, unsigned bit, struct tide_at at) {
  struct tide_chunk *chunk = &view->chunk[at.chunk];
  unsigned column = view->kind->col_of[TIDE_COL_MASK];
  uint64_t mask = tide_block_get(view->kind, chunk->block, column, at.i);
  if (view->big) tide_running_leave(view->kind, view->big, at);
  tide_block_set(view->kind, chunk->block, column, at.i, mask ^ (UINT64_C(1) << bit));
  if (view->big) tide_running_enter(view->kind, view->big, at);
  /* A latest bit is counted and nothing is summed under it: what was counted is put right, not thrown away. */
  int change = (mask >> bit) & 1 ? -1 : 1;
  if (chunk->sums_valid) chunk->sums->count[bit] = (uint16_t)(chunk->sums->count[bit] + change);
  if (!view->big) return;
  struct tide_super *super = &view->big->super[at.chunk / TIDE_SUPER];
  if (super->valid) super->sums->count[bit] = (uint16_t)(super->sums->count[bit] + change);
}

void tide_ent_log_note_latest(const struct tide_view *view, unsigned group, uint64_t value, int64_t time_ms) {
  if (!view->big) return;
  map_put(view->big->map[group], value, time_ms);
  if (view->big->map[group]->used / 3 > view->big->map[group]->cap / 4) tide_ent_log_map_rebuild(view->kind, view->big, group);
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
    tide_ent_log_flip(view, distinct->latest, at);
    tide_ent_log_note_latest(view, group, value, tide_block_time(view->kind, block, at.i));
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
  tide_ent_log_stale(view.big, chunk);
  if (view.big) tide_running_leave(kind, view.big, at);
  tide_block_set(kind, chunk->block, column, at.i, mask);
  if (view.big) tide_running_enter(kind, view.big, at);
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
        tide_ent_log_flip(&view, distinct->latest, holder);
      }
      tide_ent_log_flip(&view, distinct->latest, at);
      tide_ent_log_note_latest(&view, g, value, tide_block_time(kind, chunk->block, at.i));
    } else if ((old >> distinct->latest) & 1) {
      tide_ent_log_flip(&view, distinct->latest, at);
      inherit(&view, g, value, at);
    }
  }
}

void tide_ent_set_num(const struct tide_kind *kind, struct tide_ent *ent, struct tide_at at, unsigned column, int64_t value) {
  struct tide_big *big = tide_ent_log_big(ent);
  if (big) {
    tide_running_leave(kind, big, at);
    tide_block_set_num(kind, &big->chunk[at.chunk].block, column, at.i, value);
    tide_running_enter(kind, big, at);
    tide_ent_log_stale(big, &big->chunk[at.chunk]);
    return;
  }
  struct tide_block *block = (struct tide_block *)tide_ent_log_raw(ent);
  tide_block_set_num(kind, &block, column, at.i, value);
  tide_ent_log_set_raw(ent, (uintptr_t)block);
}

void tide_ent_set(const struct tide_kind *kind, struct tide_ent *ent, struct tide_at at, unsigned column, uint64_t value) {
  struct tide_big *big = tide_ent_log_big(ent);
  if (big) { /* nothing is summed up of such a column */
    tide_block_put(kind, &big->chunk[at.chunk].block, column, at.i, value);
    return;
  }
  struct tide_block *block = (struct tide_block *)tide_ent_log_raw(ent);
  tide_block_put(kind, &block, column, at.i, value);
  tide_ent_log_set_raw(ent, (uintptr_t)block);
}

void tide_ent_mend_tile(const struct tide_kind *kind, struct tide_ent *ent, int64_t time_ms, uint64_t old_bits, int64_t old_amount,
                        uint64_t new_bits, int64_t new_amount) {
  struct tide_tiles *tiles = tide_ent_log_tiles(ent);
  TIDE_CHECK(tiles && time_ms <= tiles->until_ms);
  tide_tiles_correct(kind, &tiles, time_ms, old_bits, old_amount, new_bits, new_amount);
  tide_ent_log_set_tiles(ent, tiles);
}

int64_t tide_ent_last_ms(const struct tide_kind *kind, const struct tide_ent *ent) {
  struct tide_view view;
  tide_view_of(kind, ent, &view);
  if (view.count) return view.chunk[view.count - 1].last_ms;
  /* An event that adds nothing to any tile has none, and an outcome may change that. */
  return view.tiles ? view.tiles->until_ms : INT64_MIN;
}

void tide_ent_release(struct tide_ent *ent) {
  if (tide_ent_log_is_single(ent)) ent->log = 0;
  struct tide_big *big = tide_ent_log_big(ent);
  if (!big) {
    tide_free((void *)tide_ent_log_raw(ent));
  } else {
    for (uint32_t c = 0; c < big->count; c++) {
      tide_free(big->chunk[c].block);
      tide_free(big->chunk[c].sums);
    }
    for (unsigned g = 0; g < 16; g++) tide_free(big->map[g]);
    for (uint32_t i = 0; i <= big->cap / TIDE_SUPER; i++) tide_free(big->super[i].sums);
    tide_free(big->super);
    tide_free(big->running);
    tide_free(big->chunk);
    tide_free(big);
  }
  tide_free(tide_ent_log_tiles(ent));
  ent->log = 0;
}

uint64_t tide_ent_bytes(const struct tide_kind *kind, const struct tide_ent *ent) {
  struct tide_big *big = tide_ent_log_big(ent);
  if (!ent->log || tide_ent_log_is_single(ent)) return 0;
  uint64_t tile_bytes = tide_ent_log_tiles(ent) ? tide_tiles_bytes(tide_ent_log_tiles(ent)) : 0;
  if (!big) return tile_bytes + (tide_ent_log_raw(ent) ? tide_block_bytes(kind, (const struct tide_block *)tide_ent_log_raw(ent)) : 0);
  uint64_t sums_bytes = sizeof(struct tide_sums) + kind->pair_count * sizeof(struct tide_pairsum);
  uint64_t bytes = tile_bytes + sizeof *big + big->cap * sizeof *big->chunk + (big->cap / TIDE_SUPER + 1) * sizeof *big->super;
  for (uint32_t i = 0; i <= big->cap / TIDE_SUPER; i++) bytes += big->super[i].sums ? sums_bytes : 0;
  for (uint32_t c = 0; c < big->count; c++) {
    bytes += tide_block_bytes(kind, big->chunk[c].block);
    if (big->chunk[c].sums) bytes += sums_bytes;
  }
  if (big->running) bytes += tide_running_bytes(kind);
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
  tide_ent_log_set_raw(ent, (uintptr_t)block);
  if (!(head & 1)) {
    if (kind->single && block->n == 1 && !tide_block_wide(block) && tide_block_time(kind, block, 0) == tide_block_base_ms(block)) {
      uintptr_t log = tide_ent_log_single(kind, tide_block_base_ms(block), tide_block_mask(kind, block, 0));
      if (log) { /* saved again it has the same bytes */
        tide_free(block);
        tide_ent_log_set_raw(ent, log);
      }
    }
    return true;
  }
  struct tide_big *big = tide_ent_log_grow(kind, ent);
  while (big->count < count) {
    struct tide_chunk chunk = {.block = tide_block_load(kind, reader)};
    if (!chunk.block) break;
    tide_ent_log_note_chunk(kind, &chunk);
    if (tide_block_time(kind, chunk.block, 0) < big->chunk[big->count - 1].last_ms) reader->bad = true;
    tide_ent_log_add_chunk(big, big->count, chunk);
    if (reader->bad) break;
  }
  if (big->count < count || reader->bad) return false;
  for (unsigned g = 0; g < kind->distinct_count; g++) tide_ent_log_map_rebuild(kind, big, g);
  return true;
}

bool tide_ent_load(const struct tide_kind *kind, struct tide_ent *ent, struct tide_reader *reader) {
  ent->log = 0;
  unsigned has = kind->tile_ms ? tide_get_u8(reader) : 0;
  if (reader->bad || has > 1) return false;
  if (has) {
    struct tide_tiles *tiles = tide_tiles_load(kind, reader);
    if (!tiles) return false;
    tide_ent_log_set_tiles(ent, tiles);
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
