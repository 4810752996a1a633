/* Putting an event into a block.
 *
 * The row is encoded once, as the block has its cells (its image). Nearly every event is the newest of its entity, and all that it holds nearly always
 * fits a narrow block: then it stands behind the others if there is room, or goes into a block one step larger, which is written in one pass from the
 * old one and from the image (block_append.c). Late events, values that do not fit and dictionaries that must lose entries first go through a
 * reshape and are then put in place. */
#include "feature/block_dict.h"

/* ---- the image of a row ---- */

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

/* Does it fit, and is no number missing, as mostly? False also of the largest that would fit. */
static inline bool fits_surely(const struct tide_kind *kind, const struct tide_row *row) {
  const struct tide_image *plan = &kind->image;
  uint64_t over = 0;
  for (unsigned k = 0; k < plan->narrow_count; k++) {
    uint64_t value = (uint64_t)row->value[plan->narrow[k].origin];
    over |= (value | (value + 1)) >> (8 * plan->narrow[k].width); /* -1 has no bits left where one is added */
  }
  return !over;
}

/* The cells of a row as a block with this base has them, one behind the other. The last may be written past its end. */
#define IMAGE_BYTES (TIDE_IMAGE_MAX + 8)
static inline void make_cells(const struct tide_kind *kind, int wide, const struct tide_row *row, char *image) {
  const struct tide_image *plan = &kind->image;
  const int64_t *value = row->value;
  for (const struct tide_image_cell *cell = plan->cell[wide], *end = cell + plan->cell_count[wide]; cell < end; cell++)
    memcpy(image + cell->at, &value[cell->origin], 8); /* the next one takes what is too much */
  tide_store_cell(image + kind->mask_before[wide], kind->mask_width, row->mask);
}

/* Of a row with numbers missing, too. */
static void make_image(const struct tide_kind *kind, int wide, int64_t base_ms, const struct tide_row *row, char *image) {
  const struct tide_image *plan = &kind->image;
  make_cells(kind, wide, row, image);
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

/* ---- behind all others ---- */

#define FEW 8 /* an emptied block with more room than that is given back */

/* The row's entries behind those of a block; false where one has no room. What was written is behind the last event, where nobody reads, or an
 * entry that no event has. */
static inline bool put_entries(const struct tide_kind *kind, struct tide_block *block, int wide, const char *image) {
  unsigned count[2] = {block->n, block->yn}, cap[2] = {block->cap, block->ycap};
  struct tide_dict_head *head = (struct tide_dict_head *)(void *)((char *)block + tide_strips_bytes(kind, wide, cap[0], cap[1]));
  char *to = (char *)(head + kind->dict_count);
  for (const struct tide_dict *plan = kind->dict, *last = plan + kind->dict_count; plan < last; plan++, head++) {
    unsigned y = plan->young, row = plan->row[wide];
    const char *wanted = image + plan->image[wide];
    if (head->cap == 1) {
      if (!tide_same_entry(to, wanted, row)) return false;
      to += row;
    } else if (!head->cap) {
      tide_copy_few(to + (size_t)count[y] * row, wanted, row);
      to += (size_t)cap[y] * row;
    } else {
      unsigned at = tide_find_entry(to, head->n, row, wanted);
      if (at == head->n) {
        if (at == head->cap) return false;
        tide_copy_few(to + (size_t)at * row, wanted, row);
        head->n++;
      }
      to += (size_t)head->cap * row;
      to[count[y]] = (char)at;
      to += cap[y];
    }
  }
  return true;
}

static inline bool put_behind(const struct tide_kind *kind, struct tide_block *block, int wide, const char *image) {
  if (block->n == block->cap || (kind->has_young && block->yn == block->ycap)) return false;
  if (kind->dict_count && !put_entries(kind, block, wide, image)) return false;
  char *strip[2] = {(char *)(block + 1), (char *)block + tide_block_young_at(kind, wide, block->cap)};
  unsigned count[2] = {block->n, block->yn}, cap[2] = {block->cap, block->ycap};
  const struct tide_piece *piece = kind->image.piece[wide], *end = piece + kind->image.piece_count;
  for (; piece < end; piece++) {
    unsigned y = piece->young, width = piece->width;
    tide_copy_cell(strip[y] + (size_t)cap[y] * piece->before + (size_t)count[y] * width, image + piece->image, width);
  }
  block->n++;
  block->yn = (uint16_t)(block->yn + kind->has_young);
  return true;
}

/* A row for a block with events that may be late, or hold what does not fit a narrow block or is missing. */
static __attribute__((noinline)) void insert_any(const struct tide_kind *kind, struct tide_block **ref, unsigned i,
                                                 const struct tide_row *row) {
  char image[IMAGE_BYTES];
  int64_t time_ms = row->value[TIDE_COL_TIME];
  struct tide_block *block = *ref;
  bool fits = row_fits(kind, row);
  struct tide_block_shape shape = shape_for(kind, block, time_ms, fits);
  if (shape.wide != tide_block_wide(block) || shape.base_ms != tide_block_base_ms(block)) {
    tide_block_reshape(kind, ref, shape, 0);
    block = *ref;
  }
  make_image(kind, shape.wide, shape.base_ms, row, image);
  TIDE_CHECK(i <= block->n && block->n < TIDE_BLOCK_MAX);
  struct added added = {.image = image, .i = i, .young = kind->has_young && i >= (unsigned)block->n - block->yn};
  bool full = block->n == block->cap || (added.young && block->yn == block->ycap);
  if (!full && insert_in_place(kind, block, &added)) return;
  if (i == block->n && tide_block_append(kind, ref, image)) return;
  if (block->n == block->cap) shape.cap = tide_block_capacity(block->n + 1u);
  if (added.young && block->yn == block->ycap) shape.ycap = tide_block_capacity(block->yn + 1u);
  tide_block_reshape(kind, ref, shape, lacking(kind, block, &added));
  if (insert_in_place(kind, *ref, &added)) return;
  tide_block_reshape(kind, ref, shape, lacking(kind, *ref, &added)); /* what the row has was there, but no event had it any more */
  TIDE_CHECK(insert_in_place(kind, *ref, &added));
}

/* Can an emptied block hold a first event as it is, with one entry in each dictionary, and of what size it is be told by its form? */
static inline bool can_begin_anew(const struct tide_kind *kind, const struct tide_block *block) {
  return block && !tide_block_wide(block) && block->cap <= FEW && (block->ycap || !kind->has_young) &&
         (!kind->dict_count || (kind->dict_count == 1 && tide_block_head(kind, block, 0)->cap == 1));
}

void tide_block_insert(const struct tide_kind *kind, struct tide_block **ref, unsigned i, const struct tide_row *row) {
  int64_t time_ms = row->value[TIDE_COL_TIME];
  struct tide_block *block = *ref;
  char image[IMAGE_BYTES];
  bool surely = fits_surely(kind, row);
  if (!block || !block->n) { /* emptied by expiry: base and width do not depend on what was here */
    bool narrow = surely || row_fits(kind, row);
    make_image(kind, !narrow, time_ms, row, image);
    if (narrow && can_begin_anew(kind, block)) {
      tide_block_write_first(kind, block, image, (struct tide_block_shape){block->cap, block->ycap, 0, time_ms});
    } else {
      tide_block_free(kind, block);
      *ref = tide_block_first(kind, image, !narrow, time_ms);
    }
    return;
  }
  int64_t base_ms = tide_block_base_ms(block);
  if (TIDE_UNLIKELY(!surely || (uint64_t)time_ms - (uint64_t)base_ms >= UINT32_MAX || i < block->n || tide_block_wide(block))) {
    insert_any(kind, ref, i, row);
    return;
  }
  make_cells(kind, 0, row, image);
  tide_store_cell(image + kind->time_before[0], 4, (uint64_t)time_ms - (uint64_t)base_ms);
  if (put_behind(kind, block, 0, image)) return;
  TIDE_CHECK(i == block->n && block->n < TIDE_BLOCK_MAX);
  if (!tide_block_append(kind, ref, image)) insert_any(kind, ref, i, row);
}
