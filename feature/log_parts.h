/* What log.c and log_insert.c share: the forms that an entity's log takes, and what must be told where its content changes. */
#ifndef TIDE_LOG_PARTS_H
#define TIDE_LOG_PARTS_H

#include "feature/tile.h"

static inline bool tide_ent_log_is_single(const struct tide_ent *ent) { return (ent->log & 3) == 3; }
static inline struct tide_tiles *tide_ent_log_tiles(const struct tide_ent *ent) {
  return (ent->log & 3) == 2 ? (struct tide_tiles *)(ent->log & ~(uintptr_t)2) : NULL;
}
static inline void tide_ent_log_set_tiles(struct tide_ent *ent, struct tide_tiles *tiles) { ent->log = (uintptr_t)tiles | 2; }
/* The raw log: the entity's own, or behind its tiles. */
static inline uintptr_t tide_ent_log_raw(const struct tide_ent *ent) { return tide_ent_log_tiles(ent) ? tide_ent_log_tiles(ent)->log : ent->log; }
static inline void tide_ent_log_set_raw(struct tide_ent *ent, uintptr_t log) {
  if (tide_ent_log_tiles(ent)) tide_ent_log_tiles(ent)->log = log;
  else ent->log = log;
}
static inline struct tide_big *tide_ent_log_big(const struct tide_ent *ent) {
  uintptr_t log = tide_ent_log_raw(ent);
  return (log & 3) == 1 ? (struct tide_big *)(log & ~(uintptr_t)1) : NULL;
}

/* An event of a kind that keeps nothing but time and conditions, as ent->log; 0 where it does not fit. */
uintptr_t tide_ent_log_single(const struct tide_kind *kind, int64_t time_ms, uint64_t mask);
/* The block that such an entity needs for a second event. */
struct tide_block *tide_ent_log_take_single(const struct tide_kind *kind, const struct tide_ent *ent);

/* Every change of a chunk's content goes through here: what was summed up is no longer true. big NULL: a small log. */
void tide_ent_log_stale(struct tide_big *big, struct tide_chunk *chunk);
/* Chunks from `at` on changed places. */
void tide_ent_log_stale_supers(struct tide_big *big, uint32_t at);
/* Gives or takes a latest bit. */
void tide_ent_log_flip(const struct tide_view *view, unsigned bit, struct tide_at at);
/* A value's latest bit stands at this time from now on. */
void tide_ent_log_note_latest(const struct tide_view *view, unsigned group, uint64_t value, int64_t time_ms);
/* The map of a big log from its blocks. */
void tide_ent_log_map_rebuild(const struct tide_kind *kind, struct tide_big *big, unsigned group);

/* Makes a log of one block a big one. */
struct tide_big *tide_ent_log_grow(const struct tide_kind *kind, struct tide_ent *ent);
void tide_ent_log_add_chunk(struct tide_big *big, uint32_t at, struct tide_chunk chunk);
/* The chunk's block is new or longer. */
void tide_ent_log_note_chunk(const struct tide_kind *kind, struct tide_chunk *chunk);

#endif
