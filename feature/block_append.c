/* A block of one event, and a block one event longer (block_insert.c).
 *
 * Capacities grow in fine steps, and by what the allocator would give away anyway: it hands out memory in classes (16, 32, 48 ... bytes), and the rest of a
 * class is room for the next events. Dictionaries are written first, since their forms say how long the new block is; as a rule one stays what it was: one entry
 * for all, which the row has too, or plain. */
#include "feature/block_dict.h"

/* Bytes that an allocator hands out for so many, as jemalloc and those like it do: multiples of 16, beyond 128 four classes for each doubling. */
static inline size_t handed_out(size_t bytes) {
  size_t step = bytes <= 128 ? 16 : (size_t)1 << (61 - __builtin_clzll(bytes - 1));
  return (bytes + step - 1) & ~(step - 1);
}

/* How many more events a block of so many bytes has room for, each of which takes `each`, without more memory. The young strip begins at a multiple of 8. */
static inline unsigned spare_events(const struct tide_kind *kind, size_t bytes, size_t each) {
  size_t room = handed_out(bytes) - bytes, lost = kind->has_young ? 7 : 0;
  return room < each + lost ? 0 : (unsigned)((room - lost) / each);
}

struct tide_block *tide_block_first(const struct tide_kind *kind, const char *image, int wide, int64_t time_ms) {
  unsigned row = kind->row[wide], young_row = kind->young_row[wide], entry_bytes = kind->image.entry_bytes[wide];
  size_t heads = kind->dict_count * sizeof(struct tide_dict_head);
  unsigned cap = 1 + spare_events(kind, tide_strips_bytes(kind, wide, 1, 1) + heads + entry_bytes, row + young_row);
  if (cap > TIDE_BLOCK_MAX) cap = TIDE_BLOCK_MAX;
  size_t strips = tide_strips_bytes(kind, wide, cap, cap);
  struct tide_block *block = tide_alloc_bare(strips + heads + entry_bytes);
  tide_block_write_first(kind, block, image, (struct tide_block_shape){cap, kind->has_young ? cap : 0, wide, time_ms});
  return block;
}

/* ---- a dictionary with one event more ---- */

/* What it was over `count` events, and what the row has. */
struct growing {
  const char *from, *wanted;
  unsigned row, count;
  struct tide_dict_head had;
};

/* One event's one entry is plain and one for all in one. */
static inline bool is_lone(struct tide_dict_head had, unsigned count) { return count == 1 && had.cap <= 1; }

/* How many different entries there are, if the row repeats one and anything but plain pays for them; 0: it does not. */
static unsigned repeats(const struct growing *dict, unsigned strip_cap) {
  unsigned row = dict->row, used = 0;
  if (tide_find_entry(dict->from, dict->count, row, dict->wanted) == dict->count) return 0;
  for (unsigned j = 0; j < dict->count; j++) {
    const char *one = dict->from + (size_t)j * row;
    if (tide_find_entry(dict->from, j, row, one) < j) continue;
    if (!tide_dict_cap(row, ++used, strip_cap)) return 0;
  }
  return used;
}

/* Entries and index of what was plain until now, and of the row. */
static void fold_plain(const struct growing *dict, unsigned cap, char *to) {
  unsigned row = dict->row, used = 0;
  uint8_t *index = (uint8_t *)to + (size_t)cap * row;
  for (unsigned j = 0; j <= dict->count; j++) {
    const char *entry = j < dict->count ? dict->from + (size_t)j * row : dict->wanted;
    unsigned at = tide_find_entry(to, used, row, entry);
    if (at == used) tide_copy_few(to + (size_t)used++ * row, entry, row);
    index[j] = (uint8_t)at;
  }
}

/* Every event's entry, of what had an index or one entry for all. */
static void unfold(const struct growing *dict, char *to) {
  unsigned row = dict->row;
  const uint8_t *index = (const uint8_t *)dict->from + (size_t)dict->had.cap * row;
  for (unsigned j = 0; j < dict->count; j++, to += row)
    tide_copy_few(to, dict->from + (dict->had.cap > 1 ? (size_t)index[j] * row : 0), row);
  tide_copy_few(to, dict->wanted, row);
}

/* The entries that there were, and the row's: entry `at`. */
static void fill_on(const struct growing *dict, unsigned at, unsigned cap, char *to) {
  unsigned row = dict->row;
  tide_copy_few(to, dict->from, (size_t)dict->had.n * row);
  if (at == dict->had.n) tide_copy_few(to + (size_t)at * row, dict->wanted, row);
  char *index = to + (size_t)cap * row;
  if (dict->had.cap > 1) tide_copy_few(index, dict->from + (size_t)dict->had.cap * row, dict->count);
  else memset(index, 0, dict->count);
  index[dict->count] = (char)at;
}

/* Writes one that is neither one entry for all nor of one event, over a strip of this capacity, and its head. Returns where it ends; NULL where entries were lost that
 * take room. */
static __attribute__((noinline)) char *grow_dict(const struct growing *dict, unsigned strip_cap, bool look, struct tide_dict_head *head,
                                                 char *to) {
  unsigned row = dict->row, used = 0, cap = 0;
  if (!dict->count) {
    *head = (struct tide_dict_head){1, 1};
    tide_copy_few(to, dict->wanted, row);
    return to + row;
  }
  if (!dict->had.cap) {
    used = look ? repeats(dict, strip_cap) : 0;
    cap = tide_dict_cap(row, used, strip_cap);
    size_t bytes = (size_t)dict->count * row;
    if (cap) fold_plain(dict, cap, to);
    else tide_copy_few(to, dict->from, bytes), tide_copy_few(to + bytes, dict->wanted, row);
  } else {
    unsigned at = tide_find_entry(dict->from, dict->had.n, row, dict->wanted);
    used = at == dict->had.n ? dict->had.n + 1u : dict->had.n;
    cap = dict->had.cap;
    if (used > cap) {
      if (cap > 1 && !tide_all_used((const uint8_t *)dict->from + (size_t)cap * row, dict->count, cap)) return NULL;
      cap = tide_dict_cap(row, used, strip_cap);
    }
    if (cap) fill_on(dict, at, cap, to);
    else unfold(dict, to);
  }
  *head = (struct tide_dict_head){cap ? (uint8_t)used : 0, (uint8_t)cap};
  return to + tide_dict_bytes(row, cap, strip_cap);
}

/* ---- the block ---- */

/* Room for several more where there are few: the memory of most events is that of longer logs. */
static inline unsigned grown(unsigned n) {
  unsigned cap = n < 8 ? 4 + (n & 4) : tide_block_capacity(n + 1);
  return cap < TIDE_BLOCK_MAX ? cap : TIDE_BLOCK_MAX;
}

/* Values that did not repeat so far may do so now: looked at again where the strip has doubled. */
static inline bool worth_a_look(unsigned had, unsigned strip_cap) {
  return strip_cap <= 8 || __builtin_clz(had | 1) != __builtin_clz(strip_cap);
}

/* Makes use of what the allocator gives away, in kinds with one dictionary or none, which will probably keep its form. */
static inline void take_spare(const struct tide_kind *kind, const struct tide_block *old, const char *image, unsigned *cap) {
  int wide = tide_block_wide(old);
  size_t bytes = tide_strips_bytes(kind, wide, cap[0], cap[1]), each = (size_t)kind->row[wide] + kind->young_row[wide];
  if (kind->dict_count) {
    const struct tide_dict *plan = kind->dict;
    const struct tide_dict_head *head = tide_block_head(kind, old, 0);
    unsigned row = plan->row[wide], count = plan->young ? old->yn : old->n, strip_cap = cap[plan->young];
    bytes += sizeof *head;
    if (!count || (head->cap == 1 && tide_same_entry((const char *)(head + 1), image + plan->image[wide], row))) bytes += row;
    else if (head->cap > 1 || (head->cap == 1 && count > 1)) bytes += (head->n + 1u) * row + strip_cap, each++;
    else bytes += (size_t)strip_cap * row, each += row;
  }
  unsigned spare = spare_events(kind, bytes, each);
  if (spare > TIDE_BLOCK_MAX - cap[0]) spare = TIDE_BLOCK_MAX - cap[0];
  cap[0] += spare;
  if (kind->has_young) cap[1] += spare;
}

/* Room for the dictionaries of the largest block: none takes more than its cells would. */
#define ENTRIES_MAX (TIDE_DICTS_MAX * sizeof(struct tide_dict_head) + TIDE_IMAGE_MAX * TIDE_BLOCK_MAX)

/* The dictionaries are written where there is room for any, since how many bytes they take is known when they stand. */
bool tide_block_append(const struct tide_kind *kind, struct tide_block **ref, const char *image) {
  _Alignas(16) char entries[ENTRIES_MAX];
  struct tide_block *old = *ref;
  int wide = tide_block_wide(old);
  unsigned count[2] = {old->n, old->yn}, had[2] = {old->cap, old->ycap}, cap[2] = {old->cap, old->ycap}, dict_count = kind->dict_count;
  if (cap[0] == count[0]) cap[0] = grown(count[0]);
  if (kind->has_young && cap[1] == count[1]) cap[1] = grown(count[1]);
  if (dict_count <= 1) take_spare(kind, old, image, cap);
  struct tide_dict_head *head = (struct tide_dict_head *)(void *)entries;
  char *to = (char *)(head + dict_count);
  const struct tide_dict_head *was = tide_block_head(kind, old, 0);
  const char *from = (const char *)(was + dict_count); /* in the end: where the old block ends */
  if (dict_count) {
    for (const struct tide_dict *plan = kind->dict, *last = plan + dict_count; plan < last; plan++, head++, was++) {
      unsigned y = plan->young, row = plan->row[wide];
      const char *wanted = image + plan->image[wide];
      bool lone = is_lone(*was, count[y]);
      if ((lone || (was->cap == 1 && count[y])) && tide_same_entry(from, wanted, row)) { /* as mostly: one for all */
        *head = (struct tide_dict_head){1, 1};
        tide_copy_few(to, wanted, row);
        to += row;
      } else if (lone) { /* two that differ are plain until there are more */
        *head = (struct tide_dict_head){0, 0};
        tide_copy_few(to, from, row);
        tide_copy_few(to + row, wanted, row);
        to += (size_t)cap[y] * row;
      } else {
        struct growing dict = {.from = from, .wanted = wanted, .row = row, .count = count[y], .had = *was};
        to = grow_dict(&dict, cap[y], worth_a_look(had[y], cap[y]), head, to);
        if (!to) return false;
      }
      from += was->cap == 1 ? row : tide_dict_bytes(row, was->cap, had[y]);
    }
  }
  size_t strips = tide_strips_bytes(kind, wide, cap[0], cap[1]), bytes = (size_t)(to - entries);
  struct tide_block *block = tide_alloc_bare(strips + bytes); /* nobody reads cells behind the last event */
  *block = (struct tide_block){.n = (uint16_t)(count[0] + 1),
                               .cap = (uint16_t)cap[0],
                               .yn = (uint16_t)(count[1] + kind->has_young),
                               .ycap = (uint16_t)cap[1],
                               .base_ms2 = old->base_ms2};
  char *to_strip[2] = {(char *)(block + 1), (char *)block + tide_block_young_at(kind, wide, cap[0])};
  const char *from_strip[2] = {(const char *)(old + 1), (const char *)old + tide_block_young_at(kind, wide, had[0])};
  const struct tide_piece *piece = kind->image.piece[wide], *end = piece + kind->image.piece_count;
  for (; piece < end; piece++) {
    unsigned y = piece->young, n = count[y] * piece->width;
    char *cell = to_strip[y] + (size_t)cap[y] * piece->before;
    tide_copy_few(cell, from_strip[y] + (size_t)had[y] * piece->before, n);
    tide_copy_cell(cell + n, image + piece->image, piece->width);
  }
  tide_copy_few((char *)block + strips, entries, bytes);
  tide_free_sized(old, (size_t)(from - (const char *)old));
  *ref = block;
  return true;
}
