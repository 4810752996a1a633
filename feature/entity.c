/* Tables of entities: index, slots, sweep, shards on disk (entity.h).
 *
 * A cell of the index holds 32 bits of the key beside the slot, so a probe touches an entity only when it is almost surely the right one.
 * Removal shifts cells back instead of leaving tombstones. Slots are never moved: events of other entities refer to them. An entity that is given another
 * key leaves an alias in its old slot, which leads both its old key and its old number to where it is now. */
#include "feature/log_parts.h"

#define SLOT_BITS 26
#define SLOTS_MAX ((1u << SLOT_BITS) - 1)
#define SWEEP_AHEAD 16

static uint32_t number_of(unsigned shard, uint32_t slot) { return (uint32_t)shard << SLOT_BITS | slot; }
static uint64_t cell_of(struct tide_u128 key, uint32_t slot) { return (key.hi & UINT32_MAX) << 32 | (slot + 1); }
static uint32_t print_of(uint64_t cell) { return (uint32_t)(cell >> 32); }
/* Where the search for a fingerprint begins. It hangs on nothing that stands in the entity, so cells move without a look at it. */
static uint32_t home_cell(const struct tide_table *table, uint32_t print) { return print & (table->cell_cap - 1); }
static struct tide_ent *ent_of(const struct tide_table *table, uint32_t slot) {
  return (struct tide_ent *)(void *)(table->page[slot / TIDE_PAGE] + (size_t)(slot % TIDE_PAGE) * table->stride);
}

void tide_store_init(struct tide_store *store, const struct tide_kind *kind) {
  *store = (struct tide_store){.kind = kind};
  size_t stride = sizeof(struct tide_ent) + (kind->has_first ? sizeof(struct tide_first) : 0) + (kind->has_code ? sizeof(uint64_t) : 0) +
                  (kind->fact_count ? sizeof(struct tide_facts *) : 0);
  for (unsigned s = 0; s < TIDE_STORE_SHARDS; s++) store->shard[s].stride = (uint32_t)stride;
}

void tide_store_release_shard(struct tide_store *store, unsigned shard) {
  struct tide_table *table = &store->shard[shard];
  for (uint32_t slot = 0; slot < table->slots; slot++) {
    tide_ent_release(ent_of(table, slot));
    if (store->kind->fact_count) tide_facts_release(tide_store_facts_at(store, number_of(shard, slot)));
  }
  for (uint32_t page = 0; page * TIDE_PAGE < table->slots; page++) {
    tide_free(table->page[page]);
    if (table->alias_page) tide_free(table->alias_page[page]);
    if (table->home_page) tide_free(table->home_page[page]);
  }
  tide_free(table->alias_page);
  tide_free(table->home_page);
  tide_free(table->page);
  tide_free(table->free_slot);
  tide_free(table->cell);
  *table = (struct tide_table){0};
}

void tide_store_release(struct tide_store *store) {
  for (unsigned s = 0; s < TIDE_STORE_SHARDS; s++) tide_store_release_shard(store, s);
  *store = (struct tide_store){0};
}

const void *tide_store_cell_of(const struct tide_store *store, struct tide_u128 key) {
  const struct tide_table *table = &store->shard[tide_shard_of(key)];
  return table->cell_cap ? &table->cell[home_cell(table, (uint32_t)key.hi)] : NULL;
}

const struct tide_ent *tide_store_guess(const struct tide_store *store, struct tide_u128 key, uint32_t *ret_number) {
  unsigned shard = tide_shard_of(key);
  const struct tide_table *table = &store->shard[shard];
  if (!table->cell_cap) return NULL;
  uint32_t print = (uint32_t)key.hi, at = home_cell(table, print);
  while (table->cell[at] && print_of(table->cell[at]) != print) at = (at + 1) & (table->cell_cap - 1);
  if (table->cell[at]) {
    uint32_t slot = (uint32_t)table->cell[at] - 1;
    *ret_number = number_of(shard, slot);
    return ent_of(table, slot);
  }
  if (table->free_count) return ent_of(table, table->free_slot[table->free_count - 1]);
  return table->slots % TIDE_PAGE ? ent_of(table, table->slots) : NULL;
}

/* The cell that holds the key, or the empty one where it would go. */
static uint32_t probe(const struct tide_table *table, struct tide_u128 key) {
  uint32_t print = (uint32_t)key.hi, at = home_cell(table, print);
  while (table->cell[at]) {
    if (print_of(table->cell[at]) == print && tide_u128_eq(ent_of(table, (uint32_t)table->cell[at] - 1)->key, key)) break;
    at = (at + 1) & (table->cell_cap - 1);
  }
  return at;
}

/* ---- aliases: slots of entities that were given another key ---- */

#define ALIAS_HOPS 16 /* rotations that one entity can live through and be found under its first key */

static bool is_zero(struct tide_u128 key) { return !key.lo && !key.hi; }

static struct tide_u128 alias_of(const struct tide_table *table, uint32_t slot) {
  if (!table->alias_page || !table->alias_page[slot / TIDE_PAGE]) return (struct tide_u128){0, 0};
  return table->alias_page[slot / TIDE_PAGE][slot % TIDE_PAGE];
}

static void alias_set(struct tide_table *table, uint32_t slot, struct tide_u128 to) {
  uint32_t page = slot / TIDE_PAGE;
  if (!table->alias_page) {
    if (is_zero(to)) return;
    uint32_t pages = (table->slots + TIDE_PAGE - 1) / TIDE_PAGE;
    table->alias_page = tide_alloc(pages * sizeof *table->alias_page);
  }
  if (!table->alias_page[page]) {
    if (is_zero(to)) return;
    table->alias_page[page] = tide_alloc(TIDE_PAGE * sizeof **table->alias_page);
  }
  table->alias_page[page][slot % TIDE_PAGE] = to;
}

/* ---- homes: where events come from, for stores that are told ---- */

static uint32_t home_of(const struct tide_table *table, uint32_t slot) {
  if (!table->home_page || !table->home_page[slot / TIDE_PAGE]) return 0;
  return table->home_page[slot / TIDE_PAGE][slot % TIDE_PAGE];
}

static void home_set(struct tide_table *table, uint32_t slot, uint32_t home) {
  uint32_t page = slot / TIDE_PAGE;
  if (!home && (!table->home_page || !table->home_page[page])) return;
  if (!table->home_page) table->home_page = tide_alloc((table->slots + TIDE_PAGE - 1) / TIDE_PAGE * sizeof *table->home_page);
  if (!table->home_page[page]) table->home_page[page] = tide_alloc(TIDE_PAGE * sizeof **table->home_page);
  table->home_page[page][slot % TIDE_PAGE] = home;
}

uint32_t tide_store_home(const struct tide_store *store, uint32_t number) {
  return home_of(&store->shard[number >> SLOT_BITS], number & SLOTS_MAX);
}

void tide_store_set_home(struct tide_store *store, uint32_t number, uint32_t home) {
  home_set(&store->shard[number >> SLOT_BITS], number & SLOTS_MAX, home);
}

uint32_t tide_store_find(const struct tide_store *store, struct tide_u128 key) {
  for (int hop = 0; hop < ALIAS_HOPS; hop++) {
    unsigned shard = tide_shard_of(key);
    const struct tide_table *table = &store->shard[shard];
    if (!table->cell_cap) return TIDE_NO_ENTITY;
    uint64_t cell = table->cell[probe(table, key)];
    if (!cell) return TIDE_NO_ENTITY;
    uint32_t slot = (uint32_t)cell - 1;
    if (TIDE_LIKELY(!table->alias_page)) return number_of(shard, slot);
    key = alias_of(table, slot);
    if (is_zero(key)) return number_of(shard, slot);
  }
  return TIDE_NO_ENTITY;
}

uint32_t tide_store_follow(const struct tide_store *store, uint32_t number) {
  const struct tide_table *table = &store->shard[number >> SLOT_BITS];
  uint32_t slot = number & SLOTS_MAX;
  if (slot >= table->slots) return TIDE_NO_ENTITY;
  struct tide_u128 to = alias_of(table, slot);
  return is_zero(to) ? number : tide_store_find(store, to);
}

static __attribute__((noinline)) void index_grow(struct tide_table *table) {
  uint64_t *old = table->cell;
  uint32_t old_cap = table->cell_cap;
  table->cell_cap = old_cap ? old_cap * 2 : 16;
  /* Written before it is read: of fresh memory, reading a page first takes a fault of its own. */
  table->cell = tide_alloc_bare(table->cell_cap * sizeof *table->cell);
  memset(table->cell, 0, table->cell_cap * sizeof *table->cell);
  for (uint32_t i = 0; i < old_cap; i++) {
    if (!old[i]) continue;
    uint32_t at = home_cell(table, print_of(old[i]));
    while (table->cell[at]) at = (at + 1) & (table->cell_cap - 1);
    table->cell[at] = old[i];
  }
  tide_free(old);
}

/* A key that is not there yet. */
static inline void index_put(struct tide_table *table, struct tide_u128 key, uint32_t slot) {
  if ((uint64_t)(table->live + 1) * 4 > (uint64_t)table->cell_cap * 3) index_grow(table);
  uint32_t at = home_cell(table, (uint32_t)key.hi);
  while (table->cell[at]) at = (at + 1) & (table->cell_cap - 1);
  table->cell[at] = cell_of(key, slot);
  table->live++;
}

/* Removal by backward shift: no tombstones, so a table that churns stays as fast as a new one. */
static void index_remove(struct tide_table *table, struct tide_u128 key) {
  uint32_t mask = table->cell_cap - 1, hole = probe(table, key);
  TIDE_CHECK(table->cell[hole]);
  for (uint32_t at = (hole + 1) & mask; table->cell[at]; at = (at + 1) & mask) {
    uint32_t home = home_cell(table, print_of(table->cell[at]));
    if (((at - home) & mask) >= ((at - hole) & mask)) {
      table->cell[hole] = table->cell[at];
      hole = at;
    }
  }
  table->cell[hole] = 0;
  table->live--;
}

static __attribute__((noinline)) void add_page(struct tide_table *table) {
  uint32_t page = table->slots / TIDE_PAGE;
  table->page = tide_realloc(table->page, (page + 1) * sizeof *table->page);
  table->page[page] = tide_alloc((size_t)TIDE_PAGE * table->stride);
  if (table->alias_page) {
    table->alias_page = tide_realloc(table->alias_page, (page + 1) * sizeof *table->alias_page);
    table->alias_page[page] = NULL;
  }
  if (table->home_page) {
    table->home_page = tide_realloc(table->home_page, (page + 1) * sizeof *table->home_page);
    table->home_page[page] = NULL;
  }
}

static inline uint32_t slot_take(struct tide_table *table) {
  if (table->free_count) return table->free_slot[--table->free_count];
  TIDE_CHECK(table->slots < SLOTS_MAX);
  if (table->slots % TIDE_PAGE == 0) add_page(table);
  uint32_t slot = table->slots++;
  if (table->slots % TIDE_PAGE)
    __builtin_prefetch((const char *)ent_of(table, slot + 1) + table->stride - 1, 1); /* where the next one ends */
  return slot;
}

static void slot_give(struct tide_table *table, uint32_t slot) {
  if (table->free_count == table->free_cap) {
    table->free_cap = table->free_cap ? table->free_cap * 2 : 16;
    table->free_slot = tide_realloc(table->free_slot, table->free_cap * sizeof *table->free_slot);
  }
  table->free_slot[table->free_count++] = slot;
}

static inline void entity_begin(struct tide_store *store, uint32_t number, struct tide_u128 key) {
  const struct tide_kind *kind = store->kind;
  struct tide_table *table = &store->shard[number >> SLOT_BITS];
  uint32_t slot = number & SLOTS_MAX;
  struct tide_ent *ent = ent_of(table, slot);
  *ent = (struct tide_ent){.key = key};
  if (table->home_page) home_set(table, slot, 0);
  char *behind = (char *)(ent + 1); /* as tide_store_first, code_at, facts_at say */
  if (kind->has_first) {
    *(struct tide_first *)(void *)behind = (struct tide_first){INT64_MAX, INT64_MIN};
    behind += sizeof(struct tide_first);
  }
  if (kind->has_code) {
    *(uint64_t *)(void *)behind = tide_key_code(key);
    behind += sizeof(uint64_t);
  }
  if (kind->fact_count) *(struct tide_facts **)(void *)behind = NULL;
}

/* A slot for a key that leads to no entity: that of an alias whose entity is gone, or a new one. */
static inline uint32_t entity_new(struct tide_store *store, struct tide_u128 key) {
  unsigned shard = tide_shard_of(key);
  struct tide_table *table = &store->shard[shard];
  uint64_t cell = table->alias_page ? table->cell[probe(table, key)] : 0;
  uint32_t slot = cell ? (uint32_t)cell - 1 : slot_take(table);
  if (cell) alias_set(table, slot, (struct tide_u128){0, 0});
  entity_begin(store, number_of(shard, slot), key);
  if (!cell) index_put(table, key, slot);
  return number_of(shard, slot);
}

uint32_t tide_store_make(struct tide_store *store, struct tide_u128 key) {
  uint32_t number = tide_store_find(store, key);
  return number != TIDE_NO_ENTITY ? number : tide_store_add(store, key);
}

uint32_t tide_store_add(struct tide_store *store, struct tide_u128 key) {
  if (store->live >= store->kind->max_entities) return TIDE_NO_ENTITY;
  tide_store_made(store, 1);
  return entity_new(store, key);
}

uint32_t tide_store_make_apart(struct tide_store *store, struct tide_u128 key, uint32_t *made) {
  uint32_t number = tide_store_find(store, key);
  if (number != TIDE_NO_ENTITY) return number;
  ++*made;
  return entity_new(store, key);
}

void tide_store_made(struct tide_store *store, uint32_t count) {
  store->made += count;
  store->live += count;
}

bool tide_store_has_aliases(const struct tide_store *store) {
  bool any = false;
  for (unsigned s = 0; s < TIDE_STORE_SHARDS; s++) any |= store->shard[s].alias_page != NULL;
  return any;
}

static void slot_drop(struct tide_store *store, uint32_t number) {
  struct tide_table *table = &store->shard[number >> SLOT_BITS];
  uint32_t slot = number & SLOTS_MAX;
  struct tide_ent *ent = ent_of(table, slot);
  index_remove(table, ent->key);
  tide_ent_release(ent);
  if (store->kind->fact_count) tide_facts_release(tide_store_facts_at(store, number));
  *ent = (struct tide_ent){0};
  alias_set(table, slot, (struct tide_u128){0, 0});
  slot_give(table, slot);
}

uint32_t tide_store_rekey(struct tide_store *store, uint32_t number, struct tide_u128 key) {
  TIDE_CHECK(tide_store_find(store, key) == TIDE_NO_ENTITY);
  struct tide_ent moved = *tide_store_ent(store, number);
  struct tide_first first = store->kind->has_first ? *tide_store_first(store, number) : (struct tide_first){0};
  uint64_t code = store->kind->has_code ? tide_store_code(store, number) : 0;
  struct tide_facts *facts = store->kind->fact_count ? *tide_store_facts_at(store, number) : NULL;
  uint32_t home = tide_store_home(store, number), to = entity_new(store, key); /* one more, and the old slot is none any more */
  tide_store_ent(store, to)->log = moved.log;
  tide_store_set_home(store, to, home);
  if (store->kind->has_first) *tide_store_first(store, to) = first;
  if (store->kind->has_code) *tide_store_code_at(store, to) = code;
  if (store->kind->fact_count) *tide_store_facts_at(store, to) = facts;
  entity_begin(store, number, moved.key);
  alias_set(&store->shard[number >> SLOT_BITS], number & SLOTS_MAX, key);
  return to;
}

static bool holds_nothing(const struct tide_store *store, uint32_t number, int64_t watermark_ms) {
  const struct tide_kind *kind = store->kind;
  if (watermark_ms == INT64_MIN) return false; /* what was told before the first event */
  if (kind->fact_count) {
    const struct tide_facts *facts = *tide_store_facts_at(store, number);
    if (facts && !tide_facts_forgotten(facts, watermark_ms - kind->forget_ms)) return false;
  }
  /* What stands in the entity itself comes before its log, which is somewhere else. */
  if (kind->has_first && tide_store_first(store, number)->last_ms > watermark_ms - kind->forget_ms) return false;
  return tide_ent_last_ms(kind, tide_store_ent(store, number)) <= watermark_ms - kind->keep_ms;
}

/* Asks for the logs of the next entities. */
static void logs_ahead(const struct tide_table *table, uint32_t slot, uint32_t count) {
  if (count > SWEEP_AHEAD) count = SWEEP_AHEAD;
  for (uint32_t end = table->slots - slot < count ? table->slots : slot + count; slot < end; slot++) {
    const struct tide_ent *ent = ent_of(table, slot);
    if (ent->log && !tide_ent_log_is_single(ent)) (void)*(const volatile char *)(ent->log & ~(uintptr_t)3);
  }
}

void tide_store_sweep(struct tide_store *store, int64_t watermark_ms) {
  unsigned look = store->made + 1, ahead = 0;
  store->made = 0;
  for (unsigned empty = 0; look && empty <= TIDE_STORE_SHARDS;) {
    const struct tide_table *table = &store->shard[store->sweep_shard];
    if (store->sweep_slot >= table->slots) {
      store->sweep_shard = (store->sweep_shard + 1) % TIDE_STORE_SHARDS;
      store->sweep_slot = ahead = 0;
      empty++;
      continue;
    }
    uint32_t slot = store->sweep_slot++;
    if (ahead-- == 0) {
      if (!store->kind->has_first) logs_ahead(table, slot, look); /* otherwise, as a rule, no log is looked at */
      ahead = SWEEP_AHEAD - 1;
    }
    const struct tide_ent *ent = ent_of(table, slot);
    look--;
    if (is_zero(ent->key)) continue; /* free */
    uint32_t number = number_of(store->sweep_shard, slot);
    struct tide_u128 to = alias_of(table, slot);
    if (!is_zero(to)) { /* an alias goes when its entity has gone */
      if (tide_store_find(store, to) == TIDE_NO_ENTITY) slot_drop(store, number);
    } else if (holds_nothing(store, number, watermark_ms)) {
      slot_drop(store, number);
      store->live--;
    }
  }
}

void tide_store_begin(struct tide_store *store, int64_t watermark_ms) {
  for (unsigned s = 0; s < TIDE_STORE_SHARDS; s++)
    for (uint32_t slot = 0; slot < store->shard[s].slots; slot++) {
      struct tide_facts *facts = *tide_store_facts_at(store, number_of(s, slot));
      if (facts && facts->last_ms == INT64_MIN) facts->last_ms = watermark_ms;
    }
}

#define HAS_ALIAS 1u /* flags of a saved entity */
#define HAS_HOME 2u

void tide_table_save(const struct tide_store *store, unsigned shard, struct tide_buf *out) {
  const struct tide_table *table = &store->shard[shard];
  tide_put_varint(out, table->slots);
  tide_put_varint(out, table->free_count);
  for (uint32_t i = 0; i < table->free_count; i++) tide_put_varint(out, table->free_slot[i]);
  for (uint32_t slot = 0; slot < table->slots; slot++) {
    const struct tide_ent *ent = ent_of(table, slot);
    if (slot % SWEEP_AHEAD == 0) logs_ahead(table, slot, SWEEP_AHEAD);
    if (is_zero(ent->key)) continue;
    tide_put_varint(out, slot);
    tide_put_u64(out, ent->key.lo);
    tide_put_u64(out, ent->key.hi);
    struct tide_u128 to = alias_of(table, slot);
    uint32_t home = is_zero(to) ? home_of(table, slot) : 0;
    tide_put_u8(out, (uint8_t)((is_zero(to) ? 0 : HAS_ALIAS) | (home ? HAS_HOME : 0)));
    if (home) tide_put_u32(out, home);
    if (!is_zero(to)) {
      tide_put_u64(out, to.lo);
      tide_put_u64(out, to.hi);
      continue;
    }
    if (store->kind->has_first) {
      const struct tide_first *first = tide_store_first(store, number_of(shard, slot));
      tide_put_u64(out, (uint64_t)first->first_ms);
      tide_put_u64(out, (uint64_t)first->last_ms);
    }
    if (store->kind->has_code) tide_put_u64(out, tide_store_code(store, number_of(shard, slot)));
    if (store->kind->fact_count) tide_facts_save(*tide_store_facts_at(store, number_of(shard, slot)), out);
    tide_ent_save(store->kind, ent, out);
  }
}

static bool load_free(struct tide_table *table, uint64_t slots, uint64_t free_count, struct tide_reader *reader) {
  for (uint64_t i = 0; i < free_count; i++) {
    uint64_t slot = tide_get_varint(reader);
    if (reader->bad || slot >= slots) return false;
    slot_give(table, (uint32_t)slot);
  }
  return true;
}

bool tide_table_load(struct tide_store *store, unsigned shard, struct tide_reader *reader) {
  struct tide_table *table = &store->shard[shard];
  uint64_t slots = tide_get_varint(reader), free_count = tide_get_varint(reader);
  size_t left = (size_t)(reader->end - reader->ptr);
  if (reader->bad || slots > SLOTS_MAX || free_count > slots || slots > left) return false;
  if (!load_free(table, slots, free_count, reader)) return false;
  while (table->slots < slots) {
    if (table->slots % TIDE_PAGE == 0) add_page(table);
    table->slots++;
  }
  for (uint64_t i = 0; i < slots - free_count; i++) {
    uint64_t slot = tide_get_varint(reader);
    struct tide_u128 key = {.lo = tide_get_u64(reader)};
    key.hi = tide_get_u64(reader);
    if (reader->bad || slot >= slots || is_zero(key) || tide_shard_of(key) != shard) return false;
    struct tide_ent *ent = ent_of(table, (uint32_t)slot);
    if (!is_zero(ent->key) || (table->cell_cap && table->cell[probe(table, key)])) return false;
    uint32_t number = number_of(shard, (uint32_t)slot);
    entity_begin(store, number, key);
    index_put(table, key, (uint32_t)slot);
    unsigned flags = tide_get_u8(reader);
    uint32_t home = flags & HAS_HOME ? tide_get_u32(reader) : 0;
    if (flags > HAS_HOME || (flags & HAS_HOME && !home)) return false;
    home_set(table, (uint32_t)slot, home);
    if (flags & HAS_ALIAS) {
      struct tide_u128 to = {.lo = tide_get_u64(reader)};
      to.hi = tide_get_u64(reader);
      if (reader->bad || is_zero(to)) return false;
      alias_set(table, (uint32_t)slot, to);
      continue;
    }
    store->live++;
    if (store->kind->has_first) {
      struct tide_first *first = tide_store_first(store, number);
      first->first_ms = (int64_t)tide_get_u64(reader);
      first->last_ms = (int64_t)tide_get_u64(reader);
    }
    if (store->kind->has_code) *tide_store_code_at(store, number) = tide_get_u64(reader);
    if (store->kind->fact_count && !tide_facts_load(tide_store_facts_at(store, number), store->kind->fact_count, reader)) return false;
    if (!tide_ent_load(store->kind, ent, reader)) return false;
  }
  return !reader->bad;
}

uint64_t tide_store_bytes(const struct tide_store *store) {
  uint64_t bytes = 0;
  for (unsigned s = 0; s < TIDE_STORE_SHARDS; s++) {
    const struct tide_table *table = &store->shard[s];
    uint64_t pages = (table->slots + TIDE_PAGE - 1) / TIDE_PAGE;
    bytes += (uint64_t)table->cell_cap * 8 + (uint64_t)table->free_cap * 4;
    bytes += pages * TIDE_PAGE * table->stride;
    for (uint64_t page = 0; table->alias_page && page < pages; page++)
      bytes += table->alias_page[page] ? TIDE_PAGE * sizeof **table->alias_page : 0;
    for (uint64_t page = 0; table->home_page && page < pages; page++)
      bytes += table->home_page[page] ? TIDE_PAGE * sizeof **table->home_page : 0;
    for (uint32_t slot = 0; slot < table->slots; slot++) {
      bytes += tide_ent_bytes(store->kind, ent_of(table, slot));
      if (store->kind->fact_count) bytes += tide_facts_bytes(*tide_store_facts_at(store, number_of(s, slot)));
    }
  }
  return bytes;
}
