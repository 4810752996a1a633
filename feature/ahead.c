/* Asking for the memory of a group of events (ahead.h).
 *
 * Each pass leaves a list of addresses; `touch` is the only place that waits. A number is known for certain once its entity is here and has the key: the
 * cells alone say it with 32 bits of it. */
#include "feature/ahead.h"

#include "feature/log_parts.h"

#define LINE 64

struct places {
  const char *at[2 * TIDE_AHEAD_MAX];
  uint32_t count;
};

static inline void add(struct places *places, const void *at) { places->at[places->count++] = at; }

static void touch(struct places *places) {
  for (uint32_t i = 0; i < places->count; i++) (void)*(const volatile char *)places->at[i];
  places->count = 0;
}

/* The end of a long log is where events are added and short windows end. */
static void ask_big(const struct tide_big *big, struct places *places) {
  if (big->count) add(places, &big->chunk[big->count - 1]);
}

void tide_ahead(const struct tide_want *want, uint32_t count) {
  struct places places;
  const struct tide_ent *ent[TIDE_AHEAD_MAX];
  TIDE_CHECK(count <= TIDE_AHEAD_MAX);
  places.count = 0;
  for (uint32_t k = 0; k < count; k++) {
    const void *cell = *want[k].number == TIDE_NO_ENTITY ? tide_store_cell_of(want[k].store, *want[k].key) : NULL;
    if (cell) add(&places, cell);
  }
  touch(&places);
  uint32_t guess[TIDE_AHEAD_MAX];
  for (uint32_t k = 0; k < count; k++) {
    guess[k] = *want[k].number;
    ent[k] =
        guess[k] == TIDE_NO_ENTITY ? tide_store_guess(want[k].store, *want[k].key, &guess[k]) : tide_store_ent(want[k].store, guess[k]);
    if (ent[k]) add(&places, ent[k]);
  }
  touch(&places);
  const char *log[TIDE_AHEAD_MAX];
  uint32_t logs = 0;
  for (uint32_t k = 0; k < count; k++) {
    if (*want[k].number == TIDE_NO_ENTITY && guess[k] != TIDE_NO_ENTITY) {
      bool right = tide_store_holds(want[k].store, guess[k], *want[k].key);
      *want[k].number = right ? guess[k] : tide_store_find(want[k].store, *want[k].key);
    }
    if (*want[k].number == TIDE_NO_ENTITY) continue;
    const struct tide_ent *found = *want[k].number == guess[k] ? ent[k] : tide_store_ent(want[k].store, *want[k].number);
    uint32_t stride = want[k].store->shard[0].stride;
    if (((uintptr_t)found & (LINE - 1)) + stride > LINE) __builtin_prefetch((const char *)found + LINE);
    if (!found->log || tide_ent_log_is_single(found)) continue;
    log[logs++] = (const char *)found->log;
    add(&places, (const void *)(found->log & ~(uintptr_t)3));
  }
  touch(&places);
  uint32_t firm = 0; /* blocks by now behind their tiles */
  for (uint32_t l = 0; l < logs; l++) {
    uintptr_t raw = (uintptr_t)log[l];
    if ((raw & 3) == 2) {
      const struct tide_tiles *tiles = (const struct tide_tiles *)(raw & ~(uintptr_t)2);
      raw = tiles->log;
      if (!raw) continue;
      add(&places, (const void *)(raw & ~(uintptr_t)3));
    }
    log[firm++] = (const char *)raw;
  }
  touch(&places);
  for (uint32_t l = 0; l < firm; l++) {
    uintptr_t raw = (uintptr_t)log[l];
    if (raw & 1) {
      ask_big((const struct tide_big *)(raw & ~(uintptr_t)1), &places);
      continue;
    }
    __builtin_prefetch(log[l] + LINE);
    __builtin_prefetch(log[l] + (ptrdiff_t)2 * LINE);
  }
  touch(&places);
}
