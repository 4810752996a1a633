/* Tiles: what is left of the old events of an entity when only sums over hops can still ask for them.
 *
 *   struct tide_tiles {log, until_ms, base, n, cap, row, width[]} | n rows of `row` bytes, oldest first
 *   row: number of the tile - base | a counter per condition bit | a sum (and a sum of squares) per amount
 *
 * Tile k holds the events with time in (k * tile_ms, (k + 1) * tile_ms]. Every event with time <= until_ms is in a tile, every later one a row of the
 * raw log; until_ms is a border. Which windows may read tiles, and why that is exact, stands in README.md ("Tiles").
 *
 * A cell takes 1, 2, 4, 8 or 16 bytes, the same for all tiles of an entity, as many as its largest value needs: most shops sell little a day.
 * Values are exact integers, so corrections by outcomes subtract exactly what was added. */
#ifndef TIDE_TILE_H
#define TIDE_TILE_H

#include "feature/window.h"

#ifndef TIDE_TILE_MIN /* an entity begins to have tiles when they replace this many rows: a header costs a few rows as well */
#define TIDE_TILE_MIN 8
#endif

struct tide_tiles {
  uintptr_t log;    /* the raw log, as tide_ent.log without tiles */
  int64_t until_ms; /* events up to here are in tiles; a multiple of tile_ms */
  int64_t base;     /* number of the tile whose cell 0 is 0 */
  uint16_t n, cap, row;
  uint8_t width[TIDE_TILE_CELLS];
};

/* The greatest border <= ms. */
static inline int64_t tide_tile_floor(const struct tide_kind *kind, int64_t ms) {
  int64_t rest = ms % kind->tile_ms;
  return ms - (rest < 0 ? rest + kind->tile_ms : rest);
}

/* A new, empty one around a raw log; owned by the caller (tide_free after the log was released). */
struct tide_tiles *tide_tiles_new(const struct tide_kind *kind, uintptr_t log, int64_t until_ms);
/* Adds the events [from, to) of a block. May move *tiles. */
void tide_tiles_add_block(const struct tide_kind *kind, struct tide_tiles **tiles, const struct tide_block *block, unsigned from, unsigned to);
/* Adds an event that comes after its time was tiled. May move *tiles. */
void tide_tiles_add_row(const struct tide_kind *kind, struct tide_tiles **tiles, const struct tide_row *row);
/* An outcome changes an event at time_ms: its dynamic bits (local) and its amount (TIDE_NULL_NUM: none) before and after. May move *tiles. */
void tide_tiles_correct(const struct tide_kind *kind, struct tide_tiles **tiles, int64_t time_ms, uint64_t old_bits, int64_t old_amount,
                        uint64_t new_bits, int64_t new_amount);
/* Drops tiles that end at or before keep_after_ms. */
void tide_tiles_expire(const struct tide_kind *kind, struct tide_tiles *tiles, int64_t keep_after_ms);
/* Adds the tiles in (left_ms, right_ms], both borders, to acc as the step reads them. */
void tide_tiles_sum(const struct tide_kind *kind, const struct tide_tiles *tiles, const struct tide_step *step, int64_t left_ms, int64_t right_ms,
                    struct tide_acc *acc);
/* Number and end of tile i, and its events that satisfy the step's main condition (for people). */
int64_t tide_tiles_end_ms(const struct tide_kind *kind, const struct tide_tiles *tiles, unsigned i);
uint64_t tide_tiles_count(const struct tide_tiles *tiles, const struct tide_step *step, unsigned i);
uint64_t tide_tiles_bytes(const struct tide_tiles *tiles);

/* until, n, then per tile the distance to the one before and the cells; the raw log is not included. */
void tide_tiles_save(const struct tide_kind *kind, const struct tide_tiles *tiles, struct tide_buf *out);
/* NULL when the bytes cannot be tiles of this kind. */
struct tide_tiles *tide_tiles_load(const struct tide_kind *kind, struct tide_reader *reader);

#endif
