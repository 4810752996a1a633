/* Building dictionaries anew (block_dict.h).
 *
 * Entries that no event has any more are lost on the way, equal events of a plain one are found out, and the form is chosen that takes least.
 * Where all entries are in use they stay what they are and keep their order. */
#include "feature/block_dict.h"

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
      if (!tide_dict_cap(old->row, at + 1, strip_cap)) return false;
      ret->from[ret->used++] = (uint16_t)(first + j);
    }
    ret->index[j] = (uint8_t)at;
  }
  return true;
}

void tide_dict_plan(const struct tide_entries *old, unsigned row, unsigned first, unsigned count, unsigned strip_cap, unsigned spare,
                    struct tide_rebuild *ret) {
  ret->same = false;
  ret->used = ret->cap = 0;
  if (!count) return;
  if (tide_entries_plain(old)) {
    if (!find_equal(old, first, count, strip_cap, ret)) return;
  } else if (!old->index || tide_all_used(old->index + first, count, old->head->n)) {
    ret->same = true;
    ret->used = old->head->n;
  } else {
    drop_unused(old, first, count, ret);
  }
  ret->cap = (uint8_t)tide_dict_cap(row, ret->used + spare, strip_cap);
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

void tide_dict_fill(const struct tide_kind *kind, unsigned d, const struct tide_entries *from, int old_wide, unsigned first, unsigned count,
                    const struct tide_rebuild *rebuild, const struct tide_entries *to, int wide) {
  if (!rebuild->cap) {
    for (unsigned j = 0; j < count; j++)
      copy_entry(kind, d, tide_entries_get(from, first + j), old_wide, to->entry + (size_t)j * to->row, wide);
    return;
  }
  to->head->n = (uint8_t)rebuild->used;
  for (unsigned e = 0; e < rebuild->used; e++) {
    const char *entry = rebuild->same ? from->entry + (size_t)e * from->row : tide_entries_get(from, rebuild->from[e]);
    copy_entry(kind, d, entry, old_wide, to->entry + (size_t)e * to->row, wide);
  }
  if (!to->index) return;
  if (!rebuild->same) memcpy(to->index, rebuild->index, count);
  else if (from->index) memcpy(to->index, from->index + first, count);
  else memset(to->index, 0, count);
}
