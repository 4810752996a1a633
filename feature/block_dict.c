/* Building dictionaries anew (block_dict.h).
 *
 * Entries that no event has any more are lost on the way, equal events of a plain one are found out, and the form is chosen that takes least. Most often the
 * entries are all in use and stay what they are: then they are copied as they stand. */
#include "feature/block_dict.h"

/* Entries for so many different ones over a strip of this capacity; 0: plain takes no more. */
static unsigned dict_cap(unsigned row, unsigned used, unsigned strip_cap) {
  if (!used || used > TIDE_DICT_ENTRIES_MAX) return 0;
  unsigned cap = used <= 4 ? used : tide_block_capacity(used);
  return tide_dict_bytes(row, cap, strip_cap) < tide_dict_bytes(row, 0, strip_cap) ? cap : 0;
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

/* Equal ones among plain entries; as soon as they are too many for anything else, plain. */
static void find_equal(const struct tide_entries *old, unsigned first, unsigned count, unsigned strip_cap, struct tide_rebuild *ret) {
  for (unsigned j = 0; j < count; j++) {
    const char *entry = old->entry + (size_t)(first + j) * old->row;
    unsigned at = 0;
    while (at < ret->used && !tide_same_entry(old->entry + (size_t)ret->from[at] * old->row, entry, old->row)) at++;
    if (at == ret->used) {
      if (!dict_cap(old->row, at + 1, strip_cap)) {
        ret->plain = true;
        return;
      }
      ret->from[ret->used++] = (uint16_t)(first + j);
    }
    ret->index[j] = (uint8_t)at;
  }
}

unsigned tide_dict_plan(const struct tide_entries *old, unsigned first, unsigned count, const char *wanted, unsigned row,
                        unsigned strip_cap, unsigned spare, struct tide_rebuild *ret) {
  ret->plain = ret->same = false;
  ret->kept = ret->used = ret->at = 0;
  if (count) {
    if (tide_entries_plain(old)) {
      find_equal(old, first, count, strip_cap, ret);
    } else if (all_used(old, first, count)) {
      ret->same = true;
      ret->used = old->head->n;
    } else {
      drop_unused(old, first, count, ret);
    }
  }
  if (ret->plain) return 0;
  ret->kept = ret->used;
  if (wanted) {
    if (ret->same) ret->at = tide_find_entry(old->entry, ret->used, row, wanted);
    else
      while (ret->at < ret->used && !tide_same_entry(tide_entries_get(old, ret->from[ret->at]), wanted, row)) ret->at++;
    if (ret->at == ret->used) ret->used++;
  }
  unsigned cap = dict_cap(row, ret->used + spare, strip_cap);
  ret->plain = !cap;
  return cap;
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

void tide_dict_fill(const struct tide_kind *kind, unsigned d, const struct tide_entries *from, int old_wide, unsigned first, unsigned count,
                    const struct tide_rebuild *rebuild, const char *wanted, unsigned place, const struct tide_entries *to, int wide) {
  unsigned before = wanted ? place : count, row = to->row;
  char *at = to->entry;
  if (tide_entries_plain(to)) {
    if (before) fill_plain(kind, d, from, old_wide, first, before, at, wide);
    if (!wanted) return;
    at += (size_t)before * row;
    tide_copy_few(at, wanted, row);
    if (before < count) fill_plain(kind, d, from, old_wide, first + before, count - before, at + row, wide);
    return;
  }
  to->head->n = (uint8_t)rebuild->used;
  if (rebuild->same && old_wide == wide) {
    tide_copy_few(at, from->entry, (size_t)rebuild->kept * row);
  } else {
    for (unsigned e = 0; e < rebuild->kept; e++) {
      const char *entry = rebuild->same ? from->entry + (size_t)e * from->row : tide_entries_get(from, rebuild->from[e]);
      copy_entry(kind, d, entry, old_wide, at + (size_t)e * row, wide);
    }
  }
  if (rebuild->used > rebuild->kept) tide_copy_few(at + (size_t)rebuild->kept * row, wanted, row);
  if (!to->index) return;
  fill_index(from, first, rebuild, 0, before, to->index);
  if (!wanted) return;
  to->index[before] = (uint8_t)rebuild->at;
  fill_index(from, first, rebuild, before, count - before, to->index + before + 1);
}
