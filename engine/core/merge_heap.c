/* The heap of merge_heap.h: sifting up and down with a hole instead of swaps, and a slot per number kept in step with every move. */
#include "core/merge_heap.h"

void tide_heap_reserve(struct tide_heap *heap, uint32_t room) {
  if (room <= heap->room) return;
  heap->at = tide_realloc(heap->at, room * sizeof *heap->at);
  heap->slot = tide_realloc(heap->slot, room * sizeof *heap->slot);
  for (uint32_t i = heap->room; i < room; i++) heap->slot[i] = TIDE_HEAP_NOWHERE;
  heap->room = room;
}

void tide_heap_release(struct tide_heap *heap) {
  tide_free(heap->at);
  tide_free(heap->slot);
  *heap = (struct tide_heap){0};
}

void tide_heap_clear(struct tide_heap *heap) {
  for (uint32_t i = 0; i < heap->count; i++) heap->slot[heap->at[i].index] = TIDE_HEAP_NOWHERE;
  heap->count = 0;
}

static bool before(const struct tide_heap_entry *a, const struct tide_heap_entry *b) {
  return a->key != b->key ? a->key < b->key : a->tie < b->tie;
}

static void stand(struct tide_heap *heap, uint32_t slot, struct tide_heap_entry entry) {
  heap->at[slot] = entry;
  heap->slot[entry.index] = slot;
}

/* Puts the entry where it belongs, beginning at a hole. */
static void sift(struct tide_heap *heap, uint32_t hole, struct tide_heap_entry entry) {
  while (hole > 0 && before(&entry, &heap->at[(hole - 1) / 2])) {
    stand(heap, hole, heap->at[(hole - 1) / 2]);
    hole = (hole - 1) / 2;
  }
  for (uint32_t child; (child = 2 * hole + 1) < heap->count; hole = child) {
    if (child + 1 < heap->count && before(&heap->at[child + 1], &heap->at[child])) child++;
    if (!before(&heap->at[child], &entry)) break;
    stand(heap, hole, heap->at[child]);
  }
  stand(heap, hole, entry);
}

void tide_heap_put(struct tide_heap *heap, uint32_t index, int64_t key, uint32_t tie) {
  TIDE_CHECK(index < heap->room);
  uint32_t hole = heap->slot[index] == TIDE_HEAP_NOWHERE ? heap->count++ : heap->slot[index];
  sift(heap, hole, (struct tide_heap_entry){key, tie, index});
}

void tide_heap_remove(struct tide_heap *heap, uint32_t index) {
  TIDE_CHECK(index < heap->room);
  uint32_t hole = heap->slot[index];
  if (hole == TIDE_HEAP_NOWHERE) return;
  heap->slot[index] = TIDE_HEAP_NOWHERE;
  struct tide_heap_entry last = heap->at[--heap->count];
  if (hole < heap->count) sift(heap, hole, last);
}
