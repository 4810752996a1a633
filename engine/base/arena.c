/* Bump allocation: a list of blocks, each twice the size of the one before (up to 1 MiB), newest first.
 *
 * Memory is handed out from the head only. Reset frees all blocks but the head, which is the largest that was needed lately, so a batch
 * loop comes to rest with one block and no malloc. Each block is a malloc of its own: AddressSanitizer sees an overrun of the block. */
#include "base/arena.h"

#include "base/buf.h"

enum { BLOCK_FIRST = 4096, BLOCK_MAX = 1 << 20, ALIGN = 16 };

struct tide_arena_block {
  struct tide_arena_block *next; /* older */
  size_t size;                   /* usable bytes behind the header */
  _Alignas(ALIGN) char bytes[];
};
_Static_assert(sizeof(struct tide_arena_block) % ALIGN == 0, "the bytes are aligned");

static void grow(struct tide_arena *arena, size_t bytes) {
  size_t size = arena->head ? arena->head->size * 2 : BLOCK_FIRST;
  if (size > BLOCK_MAX) {
    size = BLOCK_MAX;
  }
  if (size < bytes) {
    size = bytes;
  }
  struct tide_arena_block *block = tide_realloc(NULL, sizeof *block + size);
  block->next = arena->head;
  block->size = size;
  arena->head = block;
  arena->used = 0;
}

void *tide_arena_alloc(struct tide_arena *arena, size_t bytes) {
  TIDE_CHECK(bytes < SIZE_MAX / 2);
  size_t need = (bytes + ALIGN - 1) / ALIGN * ALIGN;
  if (!arena->head || arena->head->size - arena->used < need) {
    grow(arena, need);
  }
  char *ptr = arena->head->bytes + arena->used;
  arena->used += need;
  TIDE_CHECK(arena->used <= arena->head->size);
  memset(ptr, 0, need);
  return ptr;
}

char *tide_arena_strdup(struct tide_arena *arena, struct tide_span s) {
  char *copy = tide_arena_alloc(arena, s.len + 1);
  if (s.len > 0) {
    memcpy(copy, s.ptr, s.len);
  }
  return copy;
}

static void free_from(struct tide_arena_block *block) {
  while (block) {
    struct tide_arena_block *next = block->next;
    tide_free(block);
    block = next;
  }
}

void tide_arena_reset(struct tide_arena *arena) {
  if (arena->head) {
    free_from(arena->head->next);
    arena->head->next = NULL;
  }
  arena->used = 0;
}

void tide_arena_release(struct tide_arena *arena) {
  free_from(arena->head);
  *arena = TIDE_ARENA_INIT;
}
