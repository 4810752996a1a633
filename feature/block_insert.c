/* Putting an event into a block.
 *
 * Nearly every event is the newest of its entity, and nearly every block is full, because most logs are short and grow in fine steps. So the
 * usual insertion is `append`: a new block one step larger, filled in one pass from the old one and from the row, which was encoded once (its
 * image). Late events, values that do not fit a narrow block and dictionaries that must lose entries first go through a reshape and are then
 * put in place. */
#include "feature/block_dict.h"

/* A row that comes before event i. */
struct added {
  const char *image;
  unsigned i;
  bool young;
};

static bool row_fits(const struct tide_kind *kind, const struct tide_row *row) {
  const struct tide_image *plan = &kind->image;
  bool fits = true;
  for (unsigned k = 0; k < plan->narrow_count; k++) {
    int64_t value = row->value[plan->narrow[k].origin];
    fits &= (uint64_t)value < plan->narrow[k].limit || (k < plan->number_count && value == TIDE_NULL_NUM);
  }
  return fits;
}

/* The cells of a row as a block with this base has them, one behind the other. The last may be written past its end. */
#define IMAGE_BYTES (TIDE_IMAGE_MAX + 8)
static inline void make_image(const struct tide_kind *kind, int wide, int64_t base_ms, const struct tide_row *row, char *image) {
  const struct tide_image *plan = &kind->image;
  const int64_t *value = row->value;
  for (const struct tide_image_cell *cell = plan->cell[wide], *end = cell + plan->cell_count[wide]; cell < end; cell++)
    memcpy(image + cell->at, &value[cell->origin], 8); /* the next one takes what is too much */
  tide_store_cell(image + kind->mask_before[wide], kind->mask_width, row->mask);
  if (wide) return;
  tide_store_cell(image + kind->time_before[0], 4, (uint64_t)row->value[TIDE_COL_TIME] - (uint64_t)base_ms);
  for (unsigned k = 0; k < plan->number_count; k++)
    if (row->value[plan->narrow[k].origin] == TIDE_NULL_NUM) tide_store_cell(image + plan->narrow[k].at, plan->narrow[k].width, UINT64_MAX);
}

/* The width and base with which the block (not empty) can hold one more event, whose values fit narrow cells or not. */
static struct tide_block_shape shape_for(const struct tide_kind *kind, const struct tide_block *block, int64_t ms, bool fits) {
  struct tide_block_shape shape = tide_block_shape_of(block);
  if (shape.wide) return shape;
  if (fits && ms >= shape.base_ms && ms - shape.base_ms < UINT32_MAX) return shape;
  int64_t low = tide_block_time(kind, block, 0), high = tide_block_time(kind, block, block->n - 1u);
  if (ms < low) low = ms;
  if (ms > high) high = ms;
  if (!fits || high - low >= UINT32_MAX) shape.wide = 1;
  else if (low < shape.base_ms || high - shape.base_ms >= UINT32_MAX) shape.base_ms = low;
  return shape;
}

/* ---- at the end of a full block ---- */

/* A block of one event: its image, with heads between strips and entries. */
static struct tide_block *block_of_one(const struct tide_kind *kind, const char *image, int wide, int64_t time_ms) {
  bool young = kind->has_young;
  size_t strips = tide_strips_bytes(kind, wide, 1, young), heads = kind->dict_count * sizeof(struct tide_dict_head);
  struct tide_block *block = tide_alloc_bare(strips + heads + kind->image.entry_bytes[wide]);
  *block = (struct tide_block){.n = 1, .cap = 1, .yn = young, .ycap = young, .base_ms2 = time_ms * 2 + wide};
  unsigned row = kind->row[wide], young_row = kind->young_row[wide];
  tide_copy_few((char *)(block + 1), image, row);
  if (young_row) tide_copy_few((char *)block + tide_block_young_at(kind, wide, 1), image + row, young_row);
  if (!heads) return block;
  memset((char *)block + strips, 0, heads);
  tide_copy_few((char *)block + strips + heads, image + row + young_row, kind->image.entry_bytes[wide]);
  return block;
}

/* A dictionary as it was, over `count` events, and what the row has. */
struct growing {
  const char *from, *wanted;
  unsigned row, count;
  struct tide_dict_head had;
};

/* Values that did not repeat so far may do so now: looked at again where the strip has doubled. */
static bool worth_a_look(unsigned strip_cap) { return strip_cap <= 8 || !(strip_cap & (strip_cap - 1)); }

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
    if (cap > 1) index[j] = (uint8_t)at;
  }
}

/* Every event's entry, of what was none until now. */
static void unfold(const struct growing *dict, char *to) {
  unsigned row = dict->row;
  const uint8_t *index = (const uint8_t *)dict->from + (size_t)dict->had.cap * row;
  for (unsigned j = 0; j < dict->count; j++)
    tide_copy_few(to + (size_t)j * row, dict->from + (dict->had.cap > 1 ? (size_t)index[j] * row : 0), row);
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

/* Writes the dictionary with one event more over a strip of this capacity, and its head. Returns where it ends; NULL where entries were lost that
 * take room. */
static char *grow_dict(const struct growing *dict, unsigned strip_cap, struct tide_dict_head *head, char *to) {
  unsigned row = dict->row, at = 0, used = 1, cap = 0;
  if (!dict->count || !dict->had.cap) { /* nothing, or plain */
    if (dict->count) used = worth_a_look(strip_cap) ? repeats(dict, strip_cap) : 0;
    cap = tide_dict_cap(row, used, strip_cap);
  } else {
    at = tide_find_entry(dict->from, dict->had.n, row, dict->wanted);
    used = at == dict->had.n ? dict->had.n + 1u : dict->had.n;
    cap = dict->had.cap;
    if (used > cap) {
      if (cap > 1 && !tide_all_used((const uint8_t *)dict->from + (size_t)cap * row, dict->count, cap)) return NULL;
      cap = tide_dict_cap(row, used, strip_cap);
    }
  }
  *head = (struct tide_dict_head){cap ? (uint8_t)used : 0, (uint8_t)cap};
  if (cap == 1) {
    tide_copy_few(to, dict->wanted, row);
  } else if (!cap) {
    if (dict->count && dict->had.cap) unfold(dict, to);
    else tide_copy_few(to, dict->from, (size_t)dict->count * row);
    tide_copy_few(to + (size_t)dict->count * row, dict->wanted, row);
  } else if (!dict->had.cap) {
    fold_plain(dict, cap, to);
  } else {
    fill_on(dict, at, cap, to);
  }
  return to + tide_dict_bytes(row, cap, strip_cap);
}

/* Room for the largest block: no dictionary takes more than its cells would. */
#define BLOCK_BYTES_MAX (sizeof(struct tide_block) + 8 + TIDE_DICTS_MAX * sizeof(struct tide_dict_head) + TIDE_IMAGE_MAX * TIDE_BLOCK_MAX)

/* A new block with the row behind all events; NULL where a dictionary must lose entries first. It is written where there is room for any, since how many bytes
 * its dictionaries take is known when they stand. */
static struct tide_block *append(const struct tide_kind *kind, const struct tide_block *old, const char *image) {
  _Alignas(16) char bytes[BLOCK_BYTES_MAX];
  int wide = tide_block_wide(old);
  unsigned count[2] = {old->n, old->yn}, old_cap[2] = {old->cap, old->ycap}, cap[2] = {old->cap, old->ycap};
  if (cap[0] == count[0]) cap[0] = tide_block_capacity(count[0] + 1);
  if (kind->has_young && cap[1] == count[1]) cap[1] = tide_block_capacity(count[1] + 1);
  char *to_strip[2] = {bytes + sizeof *old, bytes + tide_block_young_at(kind, wide, cap[0])};
  const char *from_strip[2] = {(const char *)(old + 1), (const char *)old + tide_block_young_at(kind, wide, old_cap[0])};
  const struct tide_piece *piece = kind->image.piece[wide], *end = piece + kind->image.piece_count;
  for (; piece < end; piece++) {
    unsigned y = piece->young, n = count[y] * piece->width;
    char *to = to_strip[y] + (size_t)cap[y] * piece->before;
    tide_copy_few(to, from_strip[y] + (size_t)old_cap[y] * piece->before, n);
    tide_copy_cell(to + n, image + piece->image, piece->width);
  }
  char *to = bytes + tide_strips_bytes(kind, wide, cap[0], cap[1]);
  if (kind->dict_count) {
    const struct tide_dict *plan = kind->dict, *last = plan + kind->dict_count;
    const struct tide_dict_head *was = tide_block_head(kind, old, 0);
    const char *from = (const char *)(was + kind->dict_count);
    struct tide_dict_head *head = (struct tide_dict_head *)(void *)to;
    to = (char *)(head + kind->dict_count);
    for (; plan < last; plan++, head++, was++) {
      unsigned y = plan->young, row = plan->row[wide];
      struct tide_dict_head had = *was;
      const char *wanted = image + plan->image[wide];
      if ((had.cap ? had.cap == 1 && count[y] : count[y] == 1) && tide_same_entry(from, wanted, row)) { /* as mostly: one for all */
        *head = (struct tide_dict_head){1, 1};
        tide_copy_few(to, wanted, row);
        to += row;
      } else {
        struct growing dict = {.from = from, .wanted = wanted, .row = row, .count = count[y], .had = had};
        to = grow_dict(&dict, cap[y], head, to);
        if (!to) return NULL;
      }
      from += tide_dict_bytes(row, had.cap, old_cap[y]);
    }
  }
  struct tide_block *block = tide_alloc_bare((size_t)(to - bytes)); /* cells behind the last event are read by nobody */
  memcpy(block, bytes, (size_t)(to - bytes));
  *block = (struct tide_block){.n = (uint16_t)(count[0] + 1),
                               .cap = (uint16_t)cap[0],
                               .yn = (uint16_t)(count[1] + kind->has_young),
                               .ycap = (uint16_t)cap[1],
                               .base_ms2 = old->base_ms2};
  return block;
}

/* ---- anywhere in a block with room ---- */

/* Puts the row's part of a dictionary at index j of its strip: `at` is its entry, or room for it. */
static void dict_insert(const struct tide_entries *dict, unsigned at, unsigned j, const char *wanted) {
  if (tide_entries_plain(dict)) {
    char *cell = dict->entry + (size_t)j * dict->row;
    if (j < dict->count) memmove(cell + dict->row, cell, (size_t)(dict->count - j) * dict->row);
    tide_copy_few(cell, wanted, dict->row);
    return;
  }
  if (at == dict->head->n) {
    tide_copy_few(dict->entry + (size_t)at * dict->row, wanted, dict->row);
    dict->head->n++;
  }
  if (!dict->index) return;
  if (j < dict->count) memmove(dict->index + j + 1, dict->index + j, dict->count - j);
  dict->index[j] = (uint8_t)at;
}

/* Puts the row into a block whose strips have room; false where a dictionary has none. */
static bool insert_in_place(const struct tide_kind *kind, struct tide_block *block, const struct added *row) {
  int wide = tide_block_wide(block);
  unsigned place[2] = {row->i, row->i - ((unsigned)block->n - block->yn)}; /* by strip */
  struct tide_entries dict[TIDE_DICTS_MAX];
  uint8_t at[TIDE_DICTS_MAX];
  tide_block_entries(kind, block, kind->dict_count, dict);
  for (unsigned d = 0; d < kind->dict_count; d++) {
    if (tide_entries_plain(&dict[d]) || (kind->dict[d].young && !row->young)) continue;
    at[d] = (uint8_t)tide_find_entry(dict[d].entry, dict[d].head->n, dict[d].row, row->image + kind->dict[d].image[wide]);
    if (at[d] == dict[d].head->cap) return false;
  }
  char *strip[2] = {(char *)(block + 1), (char *)block + tide_block_young_at(kind, wide, block->cap)};
  const struct tide_piece *piece = kind->image.piece[wide], *end = piece + kind->image.piece_count;
  for (; piece < end; piece++) {
    unsigned y = piece->young, count = y ? block->yn : block->n, width = piece->width;
    if (y && !row->young) continue;
    char *cell = strip[y] + (size_t)(y ? block->ycap : block->cap) * piece->before + (size_t)place[y] * width;
    if (place[y] < count) memmove(cell + width, cell, (size_t)(count - place[y]) * width);
    tide_copy_cell(cell, row->image + piece->image, width);
  }
  for (unsigned d = 0; d < kind->dict_count; d++)
    if (row->young || !kind->dict[d].young)
      dict_insert(&dict[d], at[d], place[kind->dict[d].young], row->image + kind->dict[d].image[wide]);
  block->n++;
  if (row->young) block->yn++;
  return true;
}

/* A bit for each dictionary that does not have the row's entry. */
static uint32_t lacking(const struct tide_kind *kind, const struct tide_block *block, const struct added *row) {
  uint32_t lack = 0;
  for (unsigned d = 0; d < kind->dict_count; d++) {
    if (kind->dict[d].young && !row->young) continue;
    struct tide_entries dict = tide_block_entries_of(kind, block, d);
    unsigned n = tide_entries_plain(&dict) ? dict.count : dict.head->n;
    if (tide_find_entry(dict.entry, n, dict.row, row->image + kind->dict[d].image[tide_block_wide(block)]) == n) lack |= UINT32_C(1) << d;
  }
  return lack;
}
_Static_assert(TIDE_DICTS_MAX <= 32, "a bit for each dictionary");

void tide_block_insert(const struct tide_kind *kind, struct tide_block **ref, unsigned i, const struct tide_row *row) {
  char image[IMAGE_BYTES];
  int64_t time_ms = row->value[TIDE_COL_TIME];
  struct tide_block *block = *ref;
  if (block && !block->n) { /* emptied by expiry: begin anew, so that base and width do not depend on what was here */
    tide_free(block);
    block = NULL;
  }
  bool fits = row_fits(kind, row);
  struct tide_block_shape shape = {.wide = !fits, .base_ms = time_ms};
  if (block) shape = shape_for(kind, block, time_ms, fits);
  if (block && (shape.wide != tide_block_wide(block) || shape.base_ms != tide_block_base_ms(block))) {
    tide_block_reshape(kind, ref, shape, 0);
    block = *ref;
  }
  make_image(kind, shape.wide, shape.base_ms, row, image);
  if (!block) {
    *ref = block_of_one(kind, image, shape.wide, time_ms);
    return;
  }
  TIDE_CHECK(i <= block->n && block->n < TIDE_BLOCK_MAX);
  struct added added = {.image = image, .i = i, .young = kind->has_young && i >= (unsigned)block->n - block->yn};
  bool full = block->n == block->cap || (added.young && block->yn == block->ycap);
  if (!full && insert_in_place(kind, block, &added)) return;
  if (i == block->n && (*ref = append(kind, block, image))) {
    tide_free(block);
    return;
  }
  *ref = block;
  if (block->n == block->cap) shape.cap = tide_block_capacity(block->n + 1u);
  if (added.young && block->yn == block->ycap) shape.ycap = tide_block_capacity(block->yn + 1u);
  tide_block_reshape(kind, ref, shape, lacking(kind, block, &added));
  if (insert_in_place(kind, *ref, &added)) return;
  tide_block_reshape(kind, ref, shape, lacking(kind, *ref, &added)); /* what the row has was there, but no event had it any more */
  TIDE_CHECK(insert_in_place(kind, *ref, &added));
}
