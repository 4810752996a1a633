/* Putting an event into the log of an entity: expiry and tiles first, then its latest bits, then the row.
 *
 * A small log is one block and the event nearly always its newest, so the place and what is old enough to go are known from the ends of the
 * block. Big logs keep sums and maps of their blocks, which are told of every change. */
#include "feature/block_dict.h"
#include "feature/running.h"
#include "feature/log_parts.h"

void tide_ent_log_note_chunk(const struct tide_kind *kind, struct tide_chunk *chunk) {
  chunk->last_ms = tide_block_time(kind, chunk->block, chunk->block->n - 1u);
  chunk->sums_valid = false;
}

void tide_ent_log_add_chunk(struct tide_big *big, uint32_t at, struct tide_chunk chunk) {
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
  if (at + 1 < big->count) tide_ent_log_stale_supers(big, at); /* behind all others it is in no sum of sums yet */
}

struct tide_big *tide_ent_log_grow(const struct tide_kind *kind, struct tide_ent *ent) {
  struct tide_big *big = tide_alloc(sizeof *big);
  struct tide_chunk chunk = {.block = (struct tide_block *)tide_ent_log_raw(ent)};
  tide_ent_log_note_chunk(kind, &chunk);
  tide_ent_log_add_chunk(big, 0, chunk);
  tide_ent_log_set_raw(ent, (uintptr_t)big | 1);
  for (unsigned g = 0; g < kind->distinct_count; g++) tide_ent_log_map_rebuild(kind, big, g);
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
    tide_ent_log_stale_supers(big, 0);
  }
  for (uint32_t c = 0; c + 1 < big->count && big->chunk[c].last_ms <= watermark_ms - kind->young_ms; c++) {
    struct tide_block **block = &big->chunk[c].block;
    if (!(*block)->yn && !(*block)->ycap) continue;
    tide_block_expire(kind, *block, INT64_MIN, watermark_ms - kind->young_ms);
    tide_block_fit(kind, block, 0);
    tide_ent_log_stale(big, &big->chunk[c]);
    tide_running_drop(big);
  }
}

/* ---- tiles ---- */

/* Tiles the events [from, to) of a block: those with time in (dead_ms, until_ms]; older ones can no longer be asked for. */
static void tile_events(const struct tide_kind *kind, struct tide_ent *ent, const struct tide_block *block, unsigned from, unsigned to) {
  struct tide_tiles *tiles = tide_ent_log_tiles(ent);
  tide_tiles_add_block(kind, &tiles, block, from, to);
  tide_ent_log_set_tiles(ent, tiles);
}

static void tile_block(const struct tide_kind *kind, struct tide_ent *ent, const struct tide_block *block, int64_t dead_ms,
                       int64_t until_ms) {
  tile_events(kind, ent, block, tide_block_after(kind, block, dead_ms), tide_block_after(kind, block, until_ms));
}

static void tiles_begin(const struct tide_kind *kind, struct tide_ent *ent, int64_t dead_ms, int64_t until_ms) {
  if (!tide_ent_log_tiles(ent)) {
    tide_ent_log_set_tiles(ent, tide_tiles_new(kind, ent->log, until_ms));
    return;
  }
  tide_ent_log_tiles(ent)->until_ms = until_ms;
  tide_tiles_expire(kind, tide_ent_log_tiles(ent), dead_ms);
}

/* Moves old rows of a small log (not empty) into tiles, at a full step of its content as expiry. Returns its block, NULL where all events went. */
static struct tide_block *small_settle(const struct tide_kind *kind, struct tide_ent *ent, struct tide_block *block, int64_t watermark_ms) {
  int64_t dead_ms = watermark_ms - kind->keep_ms, young_ms = watermark_ms - kind->young_ms;
  if (!tide_ent_log_tiles(ent) && tide_block_time(kind, block, 0) > watermark_ms - kind->raw_ms)
    return block; /* nothing is old enough to begin */
  int64_t until_ms = tide_tile_floor(kind, watermark_ms - kind->raw_ms);
  unsigned dead = tide_block_count_until(kind, block, 0, dead_ms), gone = tide_block_count_until(kind, block, dead, until_ms);
  if (!tide_ent_log_tiles(ent) && gone < dead + TIDE_TILE_MIN) return block; /* few rows cost less than tiles */
  tiles_begin(kind, ent, dead_ms, until_ms);
  if (gone) tile_events(kind, ent, block, dead, gone);
  tide_block_expire(kind, block, until_ms, young_ms);
  if (!block->n) {
    tide_free(block);
    block = NULL;
  } else if (2 * tide_block_capacity(block->n + 1u) <= block->cap) { /* less than that is soon filled again */
    tide_block_fit(kind, &block, 1);
  }
  tide_ent_log_set_raw(ent, (uintptr_t)block);
  return block;
}

/* The same for a big log; its last chunk stays as it is, so that there is always one. */
static void big_settle(const struct tide_kind *kind, struct tide_ent *ent, struct tide_big *big, int64_t watermark_ms) {
  int64_t dead_ms = watermark_ms - kind->keep_ms;
  int64_t until_ms = tide_tile_floor(kind, watermark_ms - kind->raw_ms);
  int64_t last_ms = tide_tile_floor(kind, tide_block_time(kind, big->chunk[big->count - 1].block, 0) - 1);
  if (last_ms < until_ms) until_ms = last_ms;
  bool has = tide_ent_log_tiles(ent) != NULL;
  if (has ? until_ms <= tide_ent_log_tiles(ent)->until_ms : tide_block_time(kind, big->chunk[0].block, 0) > until_ms) return;
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
    tide_ent_log_note_chunk(kind, first);
  } else if (!gone) {
    return;
  }
  memmove(big->chunk, big->chunk + gone, (big->count - gone) * sizeof *big->chunk);
  big->count -= gone;
  tide_ent_log_stale_supers(big, 0);
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
      tide_ent_log_add_chunk(big, big->count, (struct tide_chunk){0});
      *ret_i = 0;
      return &big->chunk[big->count - 1];
    }
    struct tide_chunk tail = {.block = tide_block_split(kind, block, TIDE_BLOCK_MAX / 2)};
    tide_ent_log_note_chunk(kind, &tail);
    tide_ent_log_note_chunk(kind, &big->chunk[at.chunk]);
    tide_running_drop(big);
    tide_ent_log_stale(big, &big->chunk[at.chunk]); /* also where the tail begins the next sum of sums */
    tide_ent_log_add_chunk(big, at.chunk + 1, tail);
    if (at.i > TIDE_BLOCK_MAX / 2) at = (struct tide_at){at.chunk + 1, at.i - TIDE_BLOCK_MAX / 2};
  }
  *ret_i = at.i;
  return &big->chunk[at.chunk];
}

/* The latest bit of a distinct group in the events of a block: a byte of each of their masks. */
struct latest {
  uint8_t *byte; /* of event 0 */
  unsigned stride, bit;
};
static inline bool carries(const struct latest *latest, unsigned i) { return latest->byte[(size_t)i * latest->stride] >> latest->bit & 1; }

/* Where the event stands that carries the latest bit for a value, among those [first, n) whose cells are plain; n if none does. Of a merchant there are hundreds: four at a
 * time. */
static inline unsigned latest_of_plain(const struct latest *latest, const char *cell, unsigned row, uint64_t value, unsigned first,
                                       unsigned n) {
  const char *at = cell + (size_t)(n - first) * row;
  unsigned i = n;
  while (i > first) {
    if (i >= first + 4 && tide_load(at - row, 8) != value && tide_load(at - 2 * (size_t)row, 8) != value &&
        tide_load(at - 3 * (size_t)row, 8) != value && tide_load(at - 4 * (size_t)row, 8) != value) {
      at -= 4 * (size_t)row;
      i -= 4;
      continue;
    }
    at -= row;
    i--;
    if (tide_load(at, 8) == value && carries(latest, i)) return i;
  }
  return n;
}

/* The same of a dictionary with entries; other columns of those with the value may differ. */
static inline unsigned latest_of_entries(const struct latest *latest, const struct tide_entries *entries, const char *cell, uint64_t value,
                                         unsigned first, unsigned n) {
  uint32_t same = 0;
  for (unsigned e = 0; e < entries->head->n; e++) same |= (uint32_t)(tide_load(cell + (size_t)e * entries->row, 8) == value) << e;
  if (!same) return n;
  const uint8_t *index = entries->index;
  for (unsigned i = n; i > first; i--)
    if ((same >> (index ? index[i - 1 - first] : 0) & 1) && carries(latest, i - 1)) return i - 1;
  return n;
}

/* A number, or what found no room in a dictionary. */
static __attribute__((noinline)) unsigned latest_of_column(const struct tide_kind *kind, const struct tide_block *block,
                                                           const struct latest *latest, unsigned column, uint64_t value, unsigned first) {
  struct tide_cells cells = tide_block_cells(kind, block, column);
  for (unsigned i = block->n; i > first; i--)
    if (tide_cells_get(&cells, i - 1) == value && carries(latest, i - 1)) return i - 1;
  return block->n;
}

/* Decides the latest bits of a new event, which goes before event `place` of a small log: set in the row; the event that loses a bit is mended
 * at once. */
static void latest_before_small(const struct tide_kind *kind, struct tide_block *block, unsigned place, struct tide_row *row) {
  uint64_t mask = row->mask;
  if (!block || !block->n) {
    for (unsigned g = 0; g < kind->distinct_count; g++) mask |= (mask >> kind->distinct[g].bit & 1) << kind->distinct[g].latest;
    row->mask = mask;
    return;
  }
  struct tide_entries dict[TIDE_DICTS_MAX];
  tide_block_entries(kind, block, kind->distinct_dicts, dict);
  int wide = tide_block_wide(block);
  unsigned n = block->n;
  uint8_t *masks = (uint8_t *)tide_block_mask_at(kind, block, 0);
  for (const struct tide_distinct *distinct = kind->distinct, *end = distinct + kind->distinct_count; distinct < end; distinct++) {
    if (!((mask >> distinct->bit) & 1)) continue;
    const struct tide_column *column = &kind->column[distinct->column];
    struct latest latest = {masks + distinct->latest / 8, kind->mask_width, distinct->latest % 8};
    uint64_t value = (uint64_t)row->value[distinct->origin];
    unsigned first = column->young ? n - block->yn : 0, holder;
    if (column->dict == TIDE_NO_DICT) {
      holder = latest_of_column(kind, block, &latest, distinct->column, value, first);
    } else {
      const struct tide_entries *entries = &dict[column->dict];
      const char *cell = entries->entry + column->before[wide];
      holder = tide_entries_plain(entries) ? latest_of_plain(&latest, cell, entries->row, value, first, n)
                                           : latest_of_entries(&latest, entries, cell, value, first, n);
    }
    if (holder < n) {
      if (holder >= place) continue;
      latest.byte[(size_t)holder * latest.stride] ^= (uint8_t)(1u << latest.bit);
    }
    mask |= UINT64_C(1) << distinct->latest;
  }
  row->mask = mask;
}

/* The same for a big log. */
static void latest_before_big(const struct tide_kind *kind, const struct tide_ent *ent, struct tide_row *row, int64_t time_ms) {
  uint64_t mask = row->mask;
  struct tide_view view;
  tide_view_of(kind, ent, &view);
  struct tide_at place = tide_view_after(&view, time_ms);
  for (unsigned g = 0; g < kind->distinct_count; g++) {
    const struct tide_distinct *distinct = &kind->distinct[g];
    if (!((mask >> distinct->bit) & 1)) continue;
    uint64_t value = (uint64_t)row->value[distinct->origin];
    struct tide_at holder;
    if (tide_view_latest(&view, g, value, &holder)) {
      if (!tide_at_less(holder, place)) continue;
      tide_ent_log_flip(&view, distinct->latest, holder);
    }
    mask |= UINT64_C(1) << distinct->latest;
  }
  row->mask = mask;
}

static __attribute__((noinline)) void insert_big(const struct tide_kind *kind, struct tide_ent *ent, struct tide_big *big,
                                                 const struct tide_row *row, int64_t watermark_ms) {
  unsigned i;
  int64_t time_ms = row->value[TIDE_COL_TIME];
  struct tide_chunk *chunk = big_place(kind, ent, big, time_ms, watermark_ms, &i);
  tide_block_insert(kind, &chunk->block, i, row);
  tide_ent_log_note_chunk(kind, chunk);
  tide_ent_log_stale(big, chunk);
  tide_running_inserted(kind, big, (struct tide_at){(uint32_t)(chunk - big->chunk), i});
  struct tide_view view;
  tide_view_of(kind, ent, &view);
  for (unsigned g = 0; g < kind->distinct_count; g++)
    if ((row->mask >> kind->distinct[g].latest) & 1)
      tide_ent_log_note_latest(&view, g, (uint64_t)row->value[kind->distinct[g].origin], time_ms);
}

/* Expiry happens at a full step of the content, not of the allocation: a log that came from a snapshot behaves the same. */
static inline bool is_full_step(unsigned n) { return n == tide_block_capacity(n); }

bool tide_ent_insert(const struct tide_kind *kind, struct tide_ent *ent, struct tide_row *row, int64_t watermark_ms) {
  int64_t time_ms = row->value[TIDE_COL_TIME], keep_after_ms = watermark_ms - kind->keep_ms;
  if (kind->single) {
    if (!ent->log) ent->log = tide_ent_log_single(kind, time_ms, row->mask);
    else if (tide_ent_log_is_single(ent)) ent->log = (uintptr_t)tide_ent_log_take_single(kind, ent);
    if (tide_ent_log_is_single(ent)) return false;
  }
  struct tide_big *big = tide_ent_log_big(ent);
  struct tide_block *block = big ? NULL : (struct tide_block *)tide_ent_log_raw(ent);
  bool step = block && block->n && is_full_step(block->n);
  if (kind->tile_ms) {
    if (step && (block = small_settle(kind, ent, block, watermark_ms))) step = block->n && is_full_step(block->n);
    struct tide_tiles *tiles = tide_ent_log_tiles(ent);
    if (tiles && time_ms <= tiles->until_ms) { /* a late one, older than any row that can be asked for */
      tide_tiles_add_row(kind, &tiles, row);
      tide_ent_log_set_tiles(ent, tiles);
      return true;
    }
  }
  if (big) {
    if (kind->distinct_count) latest_before_big(kind, ent, row, time_ms);
    insert_big(kind, ent, big, row, watermark_ms);
    return false;
  }
  unsigned place = 0;
  if (block && block->n) {
    int64_t last_ms = tide_block_time(kind, block, block->n - 1u);
    if (step && last_ms <= keep_after_ms) block->n = block->yn = 0, step = false; /* all of them; latest bits of theirs concern nobody */
    place = last_ms <= time_ms ? block->n : tide_block_after(kind, block, time_ms);
  }
  if (kind->distinct_count) latest_before_small(kind, block, place, row);
  if (block && step) {
    unsigned had = block->n;
    tide_block_expire(kind, block, keep_after_ms, watermark_ms - kind->young_ms);
    unsigned gone = had - block->n;
    place = place > gone ? place - gone : 0;
  }
  if (block && block->n == TIDE_BLOCK_MAX) {
    insert_big(kind, ent, tide_ent_log_grow(kind, ent), row, watermark_ms);
    return false;
  }
  tide_block_insert(kind, &block, place, row);
  tide_ent_log_set_raw(ent, (uintptr_t)block);
  return false;
}
