/* Entities: one table per kind and shard, and the event log of each entity.
 *
 *   shard = top 6 bits of the key;  cell = (fingerprint 32 | slot + 1)  open addressing, linear probing from the fingerprint's low bits on, so that
 *   cells are moved without a look at what they name
 *   slot -> page of 1024 entities {key, log}; slots are stable while an entity lives, events of other entities refer to them
 *
 * A log is one block until 256 events, then a `big`: a row of blocks with cached sums (so a merchant with half of all traffic costs two partial
 * blocks and a few additions) and, per distinct group, a map from value to its latest event. Both are caches of the blocks: they are not saved.
 *
 * Dropping is deterministic: blocks expire when something is inserted, entities when the sweep passes them; both depend on the watermark and on the
 * journal alone, and snapshots keep slots, free lists and the sweep's place, so every engine admits and drops the same entities. */
#ifndef TIDE_ENTITY_H
#define TIDE_ENTITY_H

#include "feature/block.h"
#include "feature/fact.h"

#define TIDE_STORE_SHARDS 64
#define TIDE_PAGE 1024

struct tide_pairsum { __int128 sum, squares; int64_t min, max; };
struct tide_sums { uint16_t count[64]; struct tide_pairsum pair[]; }; /* by local bit, by kind->pair */
struct tide_chunk { struct tide_block *block; int64_t last_ms; struct tide_sums *sums; bool sums_valid; };

/* Sums of TIDE_SUPER whole chunks in a row, from a multiple of it on: a month of the busiest merchant is dozens of additions, not thousands. */
#ifndef TIDE_SUPER
#define TIDE_SUPER 64
#endif
struct tide_super { struct tide_sums *sums; bool valid; };

struct tide_tiles;   /* sums of the oldest events, tile.h */
struct tide_lastmap; /* value -> time of the latest event that carries the latest bit */
struct tide_running;   /* what its windows held last, running.h */
struct tide_big {
  uint32_t count, cap;
  struct tide_chunk *chunk;
  struct tide_super *super; /* cap / TIDE_SUPER + 1 */
  struct tide_lastmap *map[16];
  struct tide_running *running; /* NULL until a value was asked for */
};

struct tide_ent {
  struct tide_u128 key;
  /* 0: empty; struct tide_block *, struct tide_big * with bit 0 set, or struct tide_tiles * (holding one of these) with bit 1 set; both bits set: no
   * pointer but the one event itself, in kinds that keep nothing but its time and conditions (kind->single). */
  uintptr_t log;
};
_Static_assert(sizeof(struct tide_ent) == 24, "entities are many");

/* Survives retention: first and last event time. first INT64_MAX: none counted yet. */
struct tide_first { int64_t first_ms, last_ms; };

/* What a search reads comes first. */
struct tide_table {
  uint64_t *cell;
  char **page;        /* TIDE_PAGE entities of `stride` bytes each */
  uint32_t cell_cap;
  uint32_t stride;    /* an entity and behind it, where the kind has them, its first, its code, its facts: one look, one line of the cache */
  uint32_t live, slots;
  struct tide_u128 **alias_page;  /* NULL, or for each slot the key that its entity was given; zero: none */
  uint32_t **home_page;           /* NULL, or for each slot where the entity's events come from; 0: not known */
  uint32_t *free_slot, free_count, free_cap;
};
_Static_assert(sizeof(struct tide_table) == 64, "there are 64 in each store, and a search in each of several stores comes to one of them by chance");

struct tide_store {
  const struct tide_kind *kind;
  struct tide_table shard[TIDE_STORE_SHARDS];
  uint64_t live;
  uint32_t made; /* since the last sweep */
  uint32_t sweep_shard, sweep_slot;
};

#define TIDE_NO_ENTITY UINT32_MAX
/* An entity by number: shard in the top 6 bits, slot below. */
static inline unsigned tide_shard_of(struct tide_u128 key) { return (unsigned)(key.hi >> 58); }

void tide_store_init(struct tide_store *store, const struct tide_kind *kind);
void tide_store_release(struct tide_store *store);
/* One of its TIDE_STORE_SHARDS shards: what is large is freed a piece at a time. */
void tide_store_release_shard(struct tide_store *store, unsigned shard);

/* Looking ahead (ahead.h): where a search for the key begins; NULL: nowhere. */
const void *tide_store_cell_of(const struct tide_store *store, struct tide_u128 key);
/* The entity that it is by all that the index alone can tell, with its number; or, the number untouched, the place that a new one would probably get; or NULL. */
const struct tide_ent *tide_store_guess(const struct tide_store *store, struct tide_u128 key, uint32_t *ret_number);
/* The entity's number, or TIDE_NO_ENTITY. */
uint32_t tide_store_find(const struct tide_store *store, struct tide_u128 key);
/* Finds or makes; TIDE_NO_ENTITY when the kind is at its limit. */
uint32_t tide_store_make(struct tide_store *store, struct tide_u128 key);
/* Makes; tide_store_find knows no entity of the key. */
uint32_t tide_store_add(struct tide_store *store, struct tide_u128 key);
/* The same where there is room for certain and nothing has an alias: several threads may do so at once, each for keys of shards of its own. *made grows by 1 for each
 * new one, and tide_store_made tells the store, alone again, how many there were. */
uint32_t tide_store_make_apart(struct tide_store *store, struct tide_u128 key, uint32_t *made);
void tide_store_made(struct tide_store *store, uint32_t count);
/* Has an entity of it ever been given another key, as far as the store remembers? */
bool tide_store_has_aliases(const struct tide_store *store);
/* Gives an entity a new key (rotation of secret keys), which no entity may have: events, code, facts and first times move to another slot. The old slot becomes an
 * alias: the old key and the old number lead to the entity as long as it lives, because other entities' events hold that number and a message that
 * knows the old key only may still come. An alias does not count as an entity. Returns the new number. */
uint32_t tide_store_rekey(struct tide_store *store, uint32_t number, struct tide_u128 key);
/* Where the entity that had this number is now: the same number unless it was given another key; TIDE_NO_ENTITY when it is gone. */
uint32_t tide_store_follow(const struct tide_store *store, uint32_t number);
/* Looks at as many slots as entities were made since the last sweep, and one more, from where that stopped, and drops entities that hold
 * nothing any more. */
void tide_store_sweep(struct tide_store *store, int64_t watermark_ms);

/* Time begins: facts that were told before count as told then. */
void tide_store_begin(struct tide_store *store, int64_t watermark_ms);

/* Where the entity's events come from, as the fold notes it; 0: it never did. It lives and moves with the entity and takes no memory in a store that
 * has none. */
uint32_t tide_store_home(const struct tide_store *store, uint32_t number);
void tide_store_set_home(struct tide_store *store, uint32_t number, uint32_t home);

static inline struct tide_ent *tide_store_ent(const struct tide_store *store, uint32_t number) {
  const struct tide_table *table = &store->shard[number >> 26];
  uint32_t slot = number & ((1u << 26) - 1);
  return (struct tide_ent *)(void *)(table->page[slot / TIDE_PAGE] + (size_t)(slot % TIDE_PAGE) * table->stride);
}
/* Is that still what tide_store_find says of the key? A quick look, which may say no of what it does not see at once. */
static inline bool tide_store_holds(const struct tide_store *store, uint32_t number, struct tide_u128 key) {
  const struct tide_table *table = &store->shard[number >> 26];
  if (table->alias_page || (number & ((1u << 26) - 1)) >= table->slots) return false;
  return tide_u128_eq(tide_store_ent(store, number)->key, key);
}
/* Of kinds with has_first. */
static inline struct tide_first *tide_store_first(const struct tide_store *store, uint32_t number) {
  return (struct tide_first *)(void *)(tide_store_ent(store, number) + 1);
}
static inline uint64_t tide_key_code(struct tide_u128 key) { return key.lo | UINT64_C(1) << 63; }
/* Of kinds with has_code. */
static inline uint64_t *tide_store_code_at(const struct tide_store *store, uint32_t number) {
  char *behind = (char *)(tide_store_ent(store, number) + 1);
  return (uint64_t *)(void *)(behind + (store->kind->has_first ? sizeof(struct tide_first) : 0));
}
static inline uint64_t tide_store_code(const struct tide_store *store, uint32_t number) { return *tide_store_code_at(store, number); }
/* Of kinds with facts: what is known about the entity, NULL: nothing. */
static inline struct tide_facts **tide_store_facts_at(const struct tide_store *store, uint32_t number) {
  char *behind = (char *)(tide_store_ent(store, number) + 1);
  const struct tide_kind *kind = store->kind;
  return (struct tide_facts **)(void *)(behind + (kind->has_first ? sizeof(struct tide_first) : 0) + (kind->has_code ? sizeof(uint64_t) : 0));
}

/* ---- the log of one entity ---- */

/* The block of an event that stands in its entity, made for those who look at it. */
union tide_single {
  struct tide_block block;
  char byte[sizeof(struct tide_block) + 16]; /* with time and conditions */
};

/* A uniform view: a small log is one chunk. Valid until the log changes, and where it is. */
struct tide_view {
  const struct tide_kind *kind;
  uint32_t count;
  struct tide_chunk *chunk;
  struct tide_big *big; /* NULL for small ones */
  const struct tide_tiles *tiles; /* what stands before the rows; NULL: nothing */
  struct tide_chunk one;
  union tide_single single;
};
void tide_view_of(const struct tide_kind *kind, const struct tide_ent *ent, struct tide_view *ret); /* ent NULL: empty */

struct tide_at { uint32_t chunk, i; }; /* the end is {count, 0} */
static inline bool tide_at_less(struct tide_at a, struct tide_at b) { return a.chunk != b.chunk ? a.chunk < b.chunk : a.i < b.i; }
static inline bool tide_at_eq(struct tide_at a, struct tide_at b) { return a.chunk == b.chunk && a.i == b.i; }
static inline struct tide_at tide_view_end(const struct tide_view *view) { return (struct tide_at){view->count, 0}; }
/* The first event with time > ms. */
struct tide_at tide_view_after(const struct tide_view *view, int64_t ms);
/* Steps back by one; false at the beginning. */
bool tide_view_back(const struct tide_view *view, struct tide_at *at);
/* The event with this time that has `rank` others of it before it; false if there is none. */
bool tide_view_find(const struct tide_view *view, int64_t time_ms, uint32_t rank, struct tide_at *ret);
/* The sums of a whole chunk of a big log, computed when needed. */
const struct tide_sums *tide_chunk_sums(const struct tide_kind *kind, struct tide_chunk *chunk);
/* The sums of the chunks [first, first + TIDE_SUPER), first a multiple of TIDE_SUPER, all of them there. */
const struct tide_sums *tide_super_sums(const struct tide_kind *kind, struct tide_big *big, uint32_t first);
/* For a value of a distinct group: the event that carries its latest bit; false if none does. */
bool tide_view_latest(const struct tide_view *view, unsigned group, uint64_t value, struct tide_at *ret);

/* Inserts an event behind all with time <= its own; sets latest bits, in the row as well. Expires what is behind the watermark and tiles what is old enough
 * first. True if the event itself is that old and went into a tile. */
bool tide_ent_insert(const struct tide_kind *kind, struct tide_ent *ent, struct tide_row *row, int64_t watermark_ms);
/* How many events of this time it holds: none, as a rule, since the one that asks is the newest. */
uint32_t tide_ent_rank_among(const struct tide_kind *kind, const struct tide_ent *ent, int64_t time_ms);
static inline uint32_t tide_ent_rank(const struct tide_kind *kind, const struct tide_ent *ent, int64_t time_ms) {
  if (!(ent->log & 3)) { /* a small log, or none */
    const struct tide_block *block = (const struct tide_block *)ent->log;
    if (!block || !block->n || tide_block_time(kind, block, block->n - 1u) < time_ms) return 0;
  }
  return tide_ent_rank_among(kind, ent, time_ms);
}
/* Gives the event at `at` other dynamic bits and mends the latest bits. `dynamic` holds the new values of kind->dynamic_bits. */
void tide_ent_set_bits(const struct tide_kind *kind, struct tide_ent *ent, struct tide_at at, uint64_t dynamic);
/* Writes a cell of any column but time, conditions and numbers. */
void tide_ent_set(const struct tide_kind *kind, struct tide_ent *ent, struct tide_at at, unsigned column, uint64_t value);
/* Writes a number column. */
void tide_ent_set_num(const struct tide_kind *kind, struct tide_ent *ent, struct tide_at at, unsigned column, int64_t value);
/* The event at time_ms stands in a tile: gives it other dynamic bits and another amount (local bits; TIDE_NULL_NUM: none). */
void tide_ent_mend_tile(const struct tide_kind *kind, struct tide_ent *ent, int64_t time_ms, uint64_t old_bits, int64_t old_amount,
                        uint64_t new_bits, int64_t new_amount);
/* The newest time at which it may hold an event; INT64_MIN when it holds none. */
int64_t tide_ent_last_ms(const struct tide_kind *kind, const struct tide_ent *ent);
void tide_ent_release(struct tide_ent *ent);
uint64_t tide_ent_bytes(const struct tide_kind *kind, const struct tide_ent *ent);

void tide_ent_save(const struct tide_kind *kind, const struct tide_ent *ent, struct tide_buf *out);
/* False when the bytes are not a log of this kind. */
bool tide_ent_load(const struct tide_kind *kind, struct tide_ent *ent, struct tide_reader *reader);

/* One shard of a store, for snapshots: slots, free list and logs as they are. */
void tide_table_save(const struct tide_store *store, unsigned shard, struct tide_buf *out);
bool tide_table_load(struct tide_store *store, unsigned shard, struct tide_reader *reader);
uint64_t tide_store_bytes(const struct tide_store *store);

#endif
