/* A block of one event, and a block one event longer (block_insert.c).
 *
 * Capacities grow in fine steps, and by what the allocator would give away anyway: it hands out memory in classes (16, 32, 48 ... bytes), and the rest of a
 * class is room for the next events. A dictionary is judged first, which says how long the new block is, and is written second, into its place. As a
 * rule it stays what it was: one entry for all, which the row has too, or plain. */
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

struct growing {
  const char *from, *wanted; /* the entries that there were; what the row has */
  uint16_t row;
  uint16_t count;            /* of the strip, without the row */
  struct tide_dict_head had;
  uint8_t used, cap, at;     /* of the new one; the row's entry */
};

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

/* One event's one entry is plain and one for all in one. */
static inline bool was_plain(const struct growing *dict) { return !dict->had.cap || (dict->had.cap == 1 && dict->count == 1); }

/* The form that it takes over a strip of at least this capacity. False: entries were lost that take room. */
static __attribute__((noinline)) bool judge_changed(struct growing *dict, unsigned strip_cap, bool look) {
  unsigned row = dict->row, used = 1, cap = 1;
  if (dict->count && !dict->had.cap) {
    used = look ? repeats(dict, strip_cap) : 0;
    cap = tide_dict_cap(row, used, strip_cap);
  } else if (dict->count) {
    dict->at = (uint8_t)tide_find_entry(dict->from, dict->had.n, row, dict->wanted);
    used = dict->at == dict->had.n ? dict->had.n + 1u : dict->had.n;
    cap = dict->had.cap;
    if (used > cap) {
      if (cap > 1 && !tide_all_used((const uint8_t *)dict->from + (size_t)cap * row, dict->count, cap)) return false;
      cap = tide_dict_cap(row, used, strip_cap);
    }
  }
  dict->used = (uint8_t)used;
  dict->cap = (uint8_t)cap;
  return true;
}

static inline bool judge(struct growing *dict, unsigned strip_cap, bool look) {
  bool plain = !dict->had.cap, lone = dict->had.cap <= 1 && dict->count == 1, one = lone || (dict->had.cap == 1 && dict->count);
  dict->used = dict->cap = one && tide_same_entry(dict->from, dict->wanted, dict->row);
  if (dict->cap || lone || (plain && dict->count && !look)) return true; /* two that differ are plain until there are more */
  return judge_changed(dict, strip_cap, look);
}

/* Entries and index of what was plain until now, and of the row. */
static void fold_plain(const struct growing *dict, char *to) {
  unsigned row = dict->row, used = 0;
  uint8_t *index = (uint8_t *)to + (size_t)dict->cap * row;
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
  for (unsigned j = 0; j < dict->count; j++, to += row) tide_copy_few(to, dict->from + (dict->had.cap > 1 ? (size_t)index[j] * row : 0), row);
  tide_copy_few(to, dict->wanted, row);
}

/* The entries that there were, and the row's. */
static void fill_on(const struct growing *dict, char *to) {
  unsigned row = dict->row;
  tide_copy_few(to, dict->from, (size_t)dict->had.n * row);
  if (dict->at == dict->had.n) tide_copy_few(to + (size_t)dict->at * row, dict->wanted, row);
  char *index = to + (size_t)dict->cap * row;
  if (dict->had.cap > 1) tide_copy_few(index, dict->from + (size_t)dict->had.cap * row, dict->count);
  else memset(index, 0, dict->count);
  index[dict->count] = (char)dict->at;
}

static __attribute__((noinline)) void fill_changed(const struct growing *dict, char *to) {
  if (!dict->cap) unfold(dict, to);
  else if (!dict->had.cap) fold_plain(dict, to);
  else fill_on(dict, to);
}

static inline void fill(const struct growing *dict, char *to) {
  if (dict->cap == 1) {
    tide_copy_few(to, dict->wanted, dict->row);
  } else if (!dict->cap && was_plain(dict)) {
    size_t bytes = (size_t)dict->count * dict->row;
    tide_copy_few(to, dict->from, bytes);
    tide_copy_few(to + bytes, dict->wanted, dict->row);
  } else {
    fill_changed(dict, to);
  }
}

/* ---- the block ---- */

/* Room for more than the next where there are few: the memory of most events is that of longer logs. */
static inline unsigned grown(unsigned n) {
  if (n >= 4) return tide_block_capacity(n + 1);
  unsigned cap = n ? 2 * n + (n == 1) : 1;
  return cap < TIDE_BLOCK_MAX ? cap : TIDE_BLOCK_MAX;
}

/* Values that did not repeat so far may do so now: looked at again where the strip has doubled. */
static inline bool worth_a_look(unsigned had, unsigned strip_cap) { return strip_cap <= 8 || __builtin_clz(had | 1) != __builtin_clz(strip_cap); }

struct tide_block *tide_block_append(const struct tide_kind *kind, const struct tide_block *old, const char *image) {
  int wide = tide_block_wide(old);
  unsigned count[2] = {old->n, old->yn}, had[2] = {old->cap, old->ycap}, cap[2] = {old->cap, old->ycap};
  if (cap[0] == count[0]) cap[0] = grown(count[0]);
  if (kind->has_young && cap[1] == count[1]) cap[1] = grown(count[1]);
  struct growing dict[TIDE_DICTS_MAX];
  unsigned dict_count = kind->dict_count;
  size_t entry_bytes = dict_count * sizeof(struct tide_dict_head), each[2] = {0, 0};
  if (dict_count) {
    const struct tide_dict_head *was = tide_block_head(kind, old, 0);
    const char *from = (const char *)(was + dict_count);
    bool look[2] = {worth_a_look(had[0], cap[0]), worth_a_look(had[1], cap[1])};
    for (unsigned d = 0; d < dict_count; d++) {
      const struct tide_dict *plan = &kind->dict[d];
      unsigned y = plan->young, row = plan->row[wide];
      dict[d].from = from;
      dict[d].wanted = image + plan->image[wide];
      dict[d].row = (uint16_t)row;
      dict[d].count = (uint16_t)count[y];
      dict[d].had = was[d];
      if (!judge(&dict[d], cap[y], look[y])) return NULL;
      entry_bytes += (size_t)dict[d].cap * row;
      each[y] += dict[d].cap ? dict[d].cap > 1 : row;
      from += tide_dict_bytes(row, was[d].cap, had[y]);
    }
  }
  size_t strips = tide_strips_bytes(kind, wide, cap[0], cap[1]);
  unsigned spare = spare_events(kind, strips + entry_bytes + cap[0] * each[0] + cap[1] * each[1], (size_t)kind->row[wide] + kind->young_row[wide] + each[0] + each[1]);
  if (spare) {
    if (spare > TIDE_BLOCK_MAX - cap[0]) spare = TIDE_BLOCK_MAX - cap[0];
    cap[0] += spare;
    if (kind->has_young) cap[1] += spare;
    strips = tide_strips_bytes(kind, wide, cap[0], cap[1]);
  }
  struct tide_block *block = tide_alloc_bare(strips + entry_bytes + cap[0] * each[0] + cap[1] * each[1]); /* nobody reads cells behind the last event */
  *block = (struct tide_block){.n = (uint16_t)(count[0] + 1),
                               .cap = (uint16_t)cap[0],
                               .yn = (uint16_t)(count[1] + kind->has_young),
                               .ycap = (uint16_t)cap[1],
                               .base_ms2 = old->base_ms2};
  char *to_strip[2] = {(char *)(block + 1), (char *)block + tide_block_young_at(kind, wide, cap[0])};
  const char *from_strip[2] = {(const char *)(old + 1), (const char *)old + tide_block_young_at(kind, wide, had[0])};
  const struct tide_piece *piece = kind->image.piece[wide], *end = piece + kind->image.piece_count;
  for (; piece < end; piece++) {
    unsigned y = piece->young, bytes = count[y] * piece->width;
    char *to = to_strip[y] + (size_t)cap[y] * piece->before;
    tide_copy_few(to, from_strip[y] + (size_t)had[y] * piece->before, bytes);
    tide_copy_cell(to + bytes, image + piece->image, piece->width);
  }
  struct tide_dict_head *head = (struct tide_dict_head *)(void *)((char *)block + strips);
  char *to = (char *)(head + dict_count);
  for (unsigned d = 0; d < dict_count; d++) {
    head[d] = (struct tide_dict_head){dict[d].cap ? dict[d].used : 0, dict[d].cap};
    fill(&dict[d], to);
    to += tide_dict_bytes(dict[d].row, dict[d].cap, cap[kind->dict[d].young]);
  }
  return block;
}
