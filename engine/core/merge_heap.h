/* A binary heap of numbered things (partitions), least key first, that knows where each of them stands: a key is changed and a thing
 * taken out in O(log n).
 *
 * Equal keys are ordered by `tie`, so what is at the root does not depend on the order of insertion. The heap owns its arrays; it holds
 * each number once. */
#ifndef TIDE_MERGE_HEAP_H
#define TIDE_MERGE_HEAP_H

#include "base/buf.h"

#define TIDE_HEAP_NOWHERE UINT32_MAX

struct tide_heap_entry { int64_t key; uint32_t tie, index; };
struct tide_heap {
  struct tide_heap_entry *at; /* at[0] is the least */
  uint32_t *slot;             /* of each number below `room`, or TIDE_HEAP_NOWHERE */
  uint32_t count, room;
};

/* Makes room for numbers below `room`; what is inside stays. */
void tide_heap_reserve(struct tide_heap *heap, uint32_t room);
void tide_heap_release(struct tide_heap *heap);
/* Puts the number in, or gives it another key. */
void tide_heap_put(struct tide_heap *heap, uint32_t index, int64_t key, uint32_t tie);
/* Takes the number out if it is inside. */
void tide_heap_remove(struct tide_heap *heap, uint32_t index);
void tide_heap_clear(struct tide_heap *heap);

#endif
