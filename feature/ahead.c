/* Asking for the memory of a group of events (ahead.h).
 *
 * Each pass leaves a list of addresses; `touch` is the only place that waits. A number is known for certain once its entity is here and
 * has the key: the cells alone say it with 32 bits of it. */
#include "feature/ahead.h"

#include "feature/log_parts.h"

#define LINE 64
#define MEMORY_PAGE 4096
#define BLOCK_BYTES 1024 /* of larger ones the beginning; the hardware follows whoever goes on */

struct places {
  const char *at[TIDE_AHEAD_MAX];
  uint32_t count;
};

static inline void add(struct places *places, const void *at) { places->at[places->count++] = at; }

static void touch(struct places *places) {
  for (uint32_t i = 0; i < places->count; i++) (void)*(const volatile char *)places->at[i];
  places->count = 0;
}

static void ask_cells(const struct tide_want *want, uint32_t count, struct places *places) {
  for (uint32_t k = 0; k < count; k++) {
    const void *cell = *want[k].number == TIDE_NO_ENTITY ? tide_store_cell_of(want[k].store, *want[k].key) : NULL;
    if (!cell) continue;
    add(places, cell);
    __builtin_prefetch(want[k].store->shard[tide_shard_of(*want[k].key)].page);
    if ((uintptr_t)cell % LINE > LINE - 24) __builtin_prefetch((const char *)cell + LINE / 2); /* where the search may go on */
  }
  touch(places);
}

struct guess {
  const struct tide_ent *ent;
  uint32_t number;
};

static void ask_entities(const struct tide_want *want, uint32_t count, struct places *places, struct guess *ret) {
  for (uint32_t k = 0; k < count; k++) {
    ret[k].number = *want[k].number;
    ret[k].ent = ret[k].number == TIDE_NO_ENTITY ? tide_store_guess(want[k].store, *want[k].key, &ret[k].number)
                                                 : tide_store_ent(want[k].store, ret[k].number);
    if (!ret[k].ent) continue;
    if (ret[k].number == TIDE_NO_ENTITY)
      __builtin_prefetch(ret[k].ent, 1); /* reading its page before it is written to would map it twice */
    else add(places, ret[k].ent);
  }
  touch(places);
}

/* As tide_ent.log. */
struct log {
  const struct tide_kind *kind;
  uintptr_t log;
};
static const void *address(uintptr_t log) { return (const void *)(log & ~(uintptr_t)3); }

/* Asks for cells and entities and looks up the numbers that were not known; of wants without an entity no guess stays. */
static void look_up(const struct tide_want *want, uint32_t count, struct places *places, struct guess *guess) {
  TIDE_CHECK(count <= TIDE_AHEAD_MAX);
  places->count = 0;
  ask_cells(want, count, places);
  ask_entities(want, count, places, guess);
  for (uint32_t k = 0; k < count; k++) {
    if (*want[k].number != TIDE_NO_ENTITY) continue;
    const struct tide_store *store = want[k].store;
    bool right = guess[k].number != TIDE_NO_ENTITY && tide_store_holds(store, guess[k].number, *want[k].key);
    if (right) *want[k].number = guess[k].number;
    else if (guess[k].number != TIDE_NO_ENTITY) *want[k].number = tide_store_find(store, *want[k].key);
    if (!right) guess[k].ent = *want[k].number == TIDE_NO_ENTITY ? NULL : tide_store_ent(store, *want[k].number);
  }
}

/* Returns how many there are. */
static uint32_t ask_logs(const struct tide_want *want, uint32_t count, const struct guess *guess, struct places *places, struct log *ret) {
  uint32_t logs = 0;
  for (uint32_t k = 0; k < count; k++) {
    const struct tide_store *store = want[k].store;
    const struct tide_ent *ent = guess[k].ent;
    if (!ent) continue;
    if (((uintptr_t)ent & (LINE - 1)) + store->shard[0].stride > LINE) __builtin_prefetch((const char *)ent + LINE);
    if (!ent->log || tide_ent_log_is_single(ent)) continue;
    ret[logs++] = (struct log){store->kind, ent->log};
    add(places, address(ent->log));
  }
  touch(places);
  return logs;
}

/* What stands behind tiles. */
static void ask_behind(struct log *log, uint32_t count, struct places *places) {
  for (uint32_t l = 0; l < count; l++) {
    if ((log[l].log & 3) != 2) continue;
    const struct tide_tiles *tiles = address(log[l].log);
    __builtin_prefetch((const char *)tiles + LINE);
    log[l].log = tiles->log;
    if (tiles->log) add(places, address(tiles->log));
  }
  touch(places);
}

/* All of a small block, as far as its header tells (the heads of its dictionaries are on their way themselves): its values are counted from all events, and as a
 * rule it is copied into one with room for the next. */
static void ask_block(const struct tide_kind *kind, const struct tide_block *block, struct places *places) {
  size_t bytes = tide_block_bytes_least(kind, block) - 1;
  const char *at = (const char *)block, *last = at + (bytes < BLOCK_BYTES ? bytes : BLOCK_BYTES);
  if (((uintptr_t)at ^ (uintptr_t)last) / MEMORY_PAGE) add(places, last);
  for (at += LINE; at <= last + LINE; at += LINE) __builtin_prefetch(at); /* and of the dictionaries the first */
}

void tide_ahead(const struct tide_want *want, uint32_t count) {
  struct places places;
  struct guess guess[TIDE_AHEAD_MAX];
  struct log log[TIDE_AHEAD_MAX];
  look_up(want, count, &places, guess);
  uint32_t logs = ask_logs(want, count, guess, &places, log);
  ask_behind(log, logs, &places);
  for (uint32_t l = 0; l < logs; l++) {
    if (!log[l].log) continue;
    if (log[l].log & 1) { /* of a long one the end, where events come in and short windows end */
      const struct tide_big *big = address(log[l].log);
      if (big->count) add(&places, &big->chunk[big->count - 1]);
    } else {
      ask_block(log[l].kind, address(log[l].log), &places);
    }
  }
  touch(&places);
}

void tide_ahead_numbers(const struct tide_want *want, uint32_t count) {
  struct places places;
  struct guess guess[TIDE_AHEAD_MAX];
  look_up(want, count, &places, guess);
  for (uint32_t k = 0; k < count; k++)
    if (guess[k].ent && !tide_ent_log_is_single(guess[k].ent)) __builtin_prefetch(address(guess[k].ent->log));
}
