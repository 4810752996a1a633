/* Bump allocation for things that die together: a parsed file, one batch.
 *
 * No free of single objects; reset keeps one block, the newest and largest, so that a loop over batches stops calling malloc. */
#ifndef TIDE_ARENA_H
#define TIDE_ARENA_H

#include "base/span.h"

struct tide_arena_block;
struct tide_arena {
  struct tide_arena_block *head; /* newest block first */
  size_t used;                   /* bytes used in head */
};

#define TIDE_ARENA_INIT ((struct tide_arena){0})

void *tide_arena_alloc(struct tide_arena *arena, size_t bytes); /* zeroed, 16-byte aligned, owned by the arena */
char *tide_arena_strdup(struct tide_arena *arena, struct tide_span s); /* zero-terminated copy */
void tide_arena_reset(struct tide_arena *arena);
void tide_arena_release(struct tide_arena *arena);

#endif
