/* Building dictionaries anew (block_dict.h).
 *
 * Entries that no event has any more are lost on the way, equal events of a plain one are found out, and the form is chosen that takes least. Most often the
 * entries are all in use and stay what they are: then they are copied as they stand. */
#include "feature/block_dict.h"

/* Entries for so many different ones over a strip of this capacity; 0: plain takes no more. */
static unsigned dict_cap(unsigned row, unsigned used, unsigned strip_cap) {
  if (!used || used > TIDE_DICT_ENTRIES_MAX) return 0;
  unsigned cap = used <= 4 ? used : tide_block_capacity(used);
  return tide_dict_bytes(row, cap, strip_cap) < strip_cap * row ? cap : 0;
}

/* Are all entries in use? */
static bool all_used(const struct tide_entries *old, unsigned first, unsigned count) {
  if (!old->index) return true;
  uint32_t used = 0, all = (uint32_t)((UINT64_C(1) << old->head->n) - 1);
  for (unsigned j = 0; j < count && used != all; j++) used |= UINT32_C(1) << old->index[first + j];
  return used == all;
}
_Static_assert(TIDE_DICT_ENTRIES_MAX <= 32, "a bit for each entry");

/* The entries of a dictionary that lost some. */
static void drop_unused(const struct tide_entries *old, unsigned first, unsigned count, struct tide_rebuild *ret) {
  uint8_t seen[TIDE_DICT_ENTRIES_MAX] = {0}; /* by old entry: the new one + 1 */
  for (unsigned j = 0; j < count; j++) {
    uint8_t *known = &seen[old->index[first + j]];
    if (!*known) {
      ret->from[ret->used] = (uint16_t)(first + j);
      *known = (uint8_t)++ret->used;
    }
    ret->index[j] = (uint8_t)(*known - 1);
  }
}

/* Equal ones among plain entries; false as soon as they are too many for anything but plain. */
static bool find_equal(const struct tide_entries *old, unsigned first, unsigned count, unsigned strip_cap, struct tide_rebuild *ret) {
  const char *entry = old->entry + (size_t)first * old->row;
  for (unsigned j = 0; j < count; j++, entry += old->row) {
    unsigned at = 0;
    while (at < ret->used && !tide_same_entry(old->entry + (size_t)ret->from[at] * old->row, entry, old->row)) at++;
    if (at == ret->used) {
      if (!dict_cap(old->row, at + 1, strip_cap)) return false;
      ret->from[ret->used++] = (uint16_t)(first + j);
    }
    ret->index[j] = (uint8_t)at;
  }
  return true;
}

/* Values that did not repeat so far may do so now: looked at again where the strip has doubled. */
static bool worth_a_look(unsigned strip_cap) { return strip_cap <= 8 || !(strip_cap & (strip_cap - 1)); }

static void plan_one(const struct tide_entries *old, unsigned row, unsigned first, unsigned count, const char *wanted, unsigned strip_cap,
                     unsigned spare, struct tide_rebuild *ret) {
  ret->same = false;
  ret->kept = ret->used = ret->at = ret->cap = 0;
  if (count) {
    if (tide_entries_plain(old)) {
      if (!worth_a_look(strip_cap) || !find_equal(old, first, count, strip_cap, ret)) return;
    } else if (all_used(old, first, count)) {
      ret->same = true;
      ret->used = old->head->n;
    } else {
      drop_unused(old, first, count, ret);
    }
  }
  ret->kept = ret->used;
  if (wanted) {
    if (ret->same) ret->at = tide_find_entry(old->entry, ret->used, row, wanted);
    else
      while (ret->at < ret->used && !tide_same_entry(tide_entries_get(old, ret->from[ret->at]), wanted, row)) ret->at++;
    if (ret->at == ret->used) ret->used++;
  }
  ret->cap = (uint8_t)dict_cap(row, ret->used + spare, strip_cap);
}

size_t tide_dicts_plan(const struct tide_kind *kind, const struct tide_entries *had, const struct tide_taken *taken, int wide,
                       unsigned spare, struct tide_rebuild *ret) {
  size_t bytes = kind->dict_count * sizeof(struct tide_dict_head);
  for (unsigned d = 0; d < kind->dict_count; d++) {
    const struct tide_dict *dict = &kind->dict[d];
    unsigned y = dict->young, row = dict->row[wide];
    const char *wanted = taken->adds[y] ? taken->image + dict->image[wide] : NULL;
    plan_one(had ? &had[d] : NULL, row, taken->first[y], had ? taken->count[y] : 0, wanted, taken->cap[y], d == spare, &ret[d]);
    bytes += tide_dict_bytes(row, ret[d].cap, taken->cap[y]);
  }
  return bytes;
}

/* Copies an entry into a block that may be wide where the old one was narrow. */
static void copy_entry(const struct tide_kind *kind, unsigned d, const char *src, int old_wide, char *dst, int wide) {
  const struct tide_dict *dict = &kind->dict[d];
  if (old_wide == wide) {
    tide_copy_few(dst, src, dict->row[wide]);
    return;
  }
  for (unsigned k = 0; k < dict->column_count; k++) {
    const struct tide_column *column = &kind->column[dict->column[k]];
    int64_t value = tide_value_of(column, old_wide, tide_load(src + column->before[old_wide], column->width[old_wide]));
    tide_store_cell(dst + column->before[wide], column->width[wide], tide_raw_of(column, wide, value));
  }
}

static void fill_plain(const struct tide_kind *kind, unsigned d, const struct tide_entries *from, int old_wide, unsigned first,
                       unsigned count, char *at, int wide) {
  unsigned row = kind->dict[d].row[wide];
  if (tide_entries_plain(from) && old_wide == wide) {
    tide_copy_few(at, from->entry + (size_t)first * row, (size_t)count * row);
    return;
  }
  for (unsigned j = 0; j < count; j++) copy_entry(kind, d, tide_entries_get(from, first + j), old_wide, at + (size_t)j * row, wide);
}

/* The index as planned; of one for all it is 0. */
static void fill_index(const struct tide_entries *from, unsigned first, const struct tide_rebuild *rebuild, unsigned j, unsigned count,
                       uint8_t *at) {
  if (!count) return;
  if (!rebuild->same) tide_copy_few((char *)at, (const char *)rebuild->index + j, count);
  else if (from->index) tide_copy_few((char *)at, (const char *)from->index + first + j, count);
  else memset(at, 0, count);
}

static void fill_one(const struct tide_kind *kind, unsigned d, const struct tide_entries *from, int old_wide,
                     const struct tide_taken *taken, const struct tide_rebuild *rebuild, struct tide_dict_head *head, char *at, int wide) {
  unsigned y = kind->dict[d].young, row = kind->dict[d].row[wide], first = taken->first[y], count = taken->count[y];
  const char *wanted = taken->adds[y] ? taken->image + kind->dict[d].image[wide] : NULL;
  unsigned before = wanted ? taken->place[y] : count;
  if (!rebuild->cap) {
    if (before) fill_plain(kind, d, from, old_wide, first, before, at, wide);
    if (!wanted) return;
    at += (size_t)before * row;
    tide_copy_few(at, wanted, row);
    if (before < count) fill_plain(kind, d, from, old_wide, first + before, count - before, at + row, wide);
    return;
  }
  head->n = (uint8_t)rebuild->used;
  if (rebuild->same && old_wide == wide) {
    tide_copy_few(at, from->entry, (size_t)rebuild->kept * row);
  } else {
    for (unsigned e = 0; e < rebuild->kept; e++) {
      const char *entry = rebuild->same ? from->entry + (size_t)e * from->row : tide_entries_get(from, rebuild->from[e]);
      copy_entry(kind, d, entry, old_wide, at + (size_t)e * row, wide);
    }
  }
  if (rebuild->used > rebuild->kept) tide_copy_few(at + (size_t)rebuild->kept * row, wanted, row);
  if (rebuild->cap == 1) return;
  uint8_t *index = (uint8_t *)at + (size_t)rebuild->cap * row;
  fill_index(from, first, rebuild, 0, before, index);
  if (!wanted) return;
  index[before] = (uint8_t)rebuild->at;
  fill_index(from, first, rebuild, before, count - before, index + before + 1);
}

void tide_dicts_fill(const struct tide_kind *kind, const struct tide_entries *had, int old_wide, const struct tide_taken *taken,
                     const struct tide_rebuild *rebuild, struct tide_block *block) {
  int wide = tide_block_wide(block);
  struct tide_dict_head *head = tide_block_head(kind, block, 0);
  char *at = (char *)(head + kind->dict_count);
  for (unsigned d = 0; d < kind->dict_count; d++) {
    head[d] = (struct tide_dict_head){0, rebuild[d].cap};
    fill_one(kind, d, &had[d], old_wide, taken, &rebuild[d], &head[d], at, wide);
    at += tide_dict_bytes(kind->dict[d].row[wide], rebuild[d].cap, taken->cap[kind->dict[d].young]);
  }
}
