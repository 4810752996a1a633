/* Blocks: insertion, expiry, widening, splitting (block.h draws the layout).
 *
 * Everything that changes the shape of a block goes through `reshape`, which copies column by column into a new allocation: one place that
 * knows how two layouts correspond, and the one where dictionaries are given a form and lose entries that no event has any more. The steady state
 * of an entity is insert-at-end with room, which touches one cell per column. */
#include "feature/block.h"

static const uint16_t capacities[] = {1,  2,  3,  4,  6,  8,  10, 12,  14,  16,  20,  24,  28,
                                      32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256};

unsigned tide_block_capacity(unsigned n) {
  for (size_t i = 0; i < sizeof capacities / sizeof *capacities; i++)
    if (capacities[i] >= n) return capacities[i];
  TIDE_NEVER("a block holds at most 256 events");
  return 0;
}

/* ---- numbers that are narrow or not ---- */

static uint64_t all_ones(unsigned width) { return width == 8 ? UINT64_MAX : (UINT64_C(1) << (8 * width)) - 1; }

/* Does the value fit a narrow block's cell? */
static bool fits(const struct tide_column *column, int64_t value) {
  uint64_t limit = all_ones(column->width[0]);
  if (!column->narrowable) return true;
  if (column->number) return value == TIDE_NULL_NUM || (value >= 0 && (uint64_t)value < limit);
  return (uint64_t)value <= limit;
}

static uint64_t raw_of(const struct tide_column *column, int wide, int64_t value) {
  return column->number && column->narrowable && !wide && value == TIDE_NULL_NUM ? all_ones(column->width[0]) : (uint64_t)value;
}

static int64_t value_of(const struct tide_column *column, int wide, uint64_t raw) {
  return column->number && column->narrowable && !wide && raw == all_ones(column->width[0]) ? TIDE_NULL_NUM : (int64_t)raw;
}

/* ---- dictionaries ---- */

#define ENTRY_MAX (TIDE_DICT_COLUMNS_MAX * 8)

/* Where the entries of a dictionary stand, which event of its strip has which, and how large they are. */
struct dict {
  struct tide_dict_head *head;
  char *entry;
  uint8_t *index;           /* NULL: plain, or one for all */
  unsigned row, count, cap; /* count, cap: of the strip */
};

static struct dict dict_at(const struct tide_kind *kind, const struct tide_block *block, unsigned d, char *at) {
  bool young = kind->dict[d].young;
  struct dict dict = {.head = tide_block_head(kind, block, d),
                      .entry = at,
                      .row = kind->dict[d].row[tide_block_wide(block)],
                      .count = young ? block->yn : block->n,
                      .cap = young ? block->ycap : block->cap};
  if (dict.head->cap > 1) dict.index = (uint8_t *)at + (size_t)dict.head->cap * dict.row;
  return dict;
}

/* One of them; who needs several takes dicts_of. */
static struct dict dict_of(const struct tide_kind *kind, const struct tide_block *block, unsigned d) {
  return dict_at(kind, block, d, (char *)(uintptr_t)block + tide_block_dict_at(kind, block, d));
}

/* All of them, each behind the one before. */
static void dicts_of(const struct tide_kind *kind, const struct tide_block *block, struct dict *ret) {
  if (!kind->dict_count) return;
  char *at = (char *)(uintptr_t)block + tide_block_dict_at(kind, block, 0);
  for (unsigned d = 0; d < kind->dict_count; d++) {
    ret[d] = dict_at(kind, block, d, at);
    at += tide_dict_bytes(ret[d].row, ret[d].head->cap, ret[d].cap);
  }
}

static bool is_plain(const struct dict *dict) { return !dict->head->cap; }
static char *entry_of(const struct dict *dict, unsigned j) {
  unsigned at = dict->index ? dict->index[j] : is_plain(dict) ? j : 0;
  return dict->entry + (size_t)at * dict->row;
}

static void encode(const struct tide_kind *kind, unsigned d, int wide, const struct tide_row *row, char *out) {
  for (unsigned k = 0; k < kind->dict[d].column_count; k++) {
    const struct tide_column *column = &kind->column[kind->dict[d].column[k]];
    tide_store_cell(out + column->before[wide], column->width[wide], raw_of(column, wide, row->value[kind->dict[d].column[k]]));
  }
}

/* Most entries are one cell: no call for those. */
static bool same_entry(const char *a, const char *b, unsigned row) {
  if (row == 8 || row == 4 || row <= 2) return row == 8 ? tide_load(a, 8) == tide_load(b, 8) : tide_load(a, row) == tide_load(b, row);
  return memcmp(a, b, row) == 0;
}

/* The entry with these bytes, among the first `n`; n if there is none. */
static unsigned find_entry(const char *entry, unsigned n, unsigned row, const char *wanted) {
  unsigned at = 0;
  while (at < n && !same_entry(entry + (size_t)at * row, wanted, row)) at++;
  return at;
}

/* Entries for so many different ones over a strip of this capacity; 0: plain takes no more. */
static unsigned dict_cap(unsigned row, unsigned used, unsigned strip_cap) {
  if (!used || used > TIDE_DICT_ENTRIES_MAX) return 0;
  unsigned cap = used <= 4 ? used : tide_block_capacity(used);
  return tide_dict_bytes(row, cap, strip_cap) < tide_dict_bytes(row, 0, strip_cap) ? cap : 0;
}

/* How a dictionary is built anew from the events [first, first + count) of the strip that it had: which entry each gets, and from which
 * event an entry is copied. */
struct rebuild {
  bool plain;
  unsigned used;
  uint8_t index[TIDE_BLOCK_MAX];
  uint16_t from[TIDE_DICT_ENTRIES_MAX];
};

/* strip_cap: of the strip to be. Plain as soon as the entries are too many for anything else. */
static void plan_rebuild(const struct dict *old, unsigned first, unsigned count, unsigned strip_cap, struct rebuild *ret) {
  uint8_t seen[TIDE_DICT_ENTRIES_MAX]; /* by old entry: the new one + 1 */
  memset(seen, 0, sizeof seen);
  ret->plain = false;
  ret->used = 0;
  for (unsigned j = 0; j < count; j++) {
    unsigned at = ret->used;
    if (old->index || !is_plain(old)) {
      uint8_t *known = &seen[old->index ? old->index[first + j] : 0];
      if (*known) at = *known - 1u;
      else *known = (uint8_t)(at + 1);
    } else {
      const char *entry = entry_of(old, first + j);
      at = 0;
      while (at < ret->used && !same_entry(entry_of(old, ret->from[at]), entry, old->row)) at++;
    }
    if (at == ret->used) {
      if (!dict_cap(old->row, ret->used + 1, strip_cap)) {
        ret->plain = true;
        return;
      }
      ret->from[ret->used++] = (uint16_t)(first + j);
    }
    ret->index[j] = (uint8_t)at;
  }
}

/* Copies an entry into a block that may be wide where the old one was narrow. */
static void copy_entry(const struct tide_kind *kind, unsigned d, const char *src, int old_wide, char *dst, int wide) {
  if (old_wide == wide) {
    memcpy(dst, src, kind->dict[d].row[wide]);
    return;
  }
  for (unsigned k = 0; k < kind->dict[d].column_count; k++) {
    const struct tide_column *column = &kind->column[kind->dict[d].column[k]];
    int64_t value = value_of(column, old_wide, tide_load(src + column->before[old_wide], column->width[old_wide]));
    tide_store_cell(dst + column->before[wide], column->width[wide], raw_of(column, wide, value));
  }
}

/* ---- shape ---- */

struct shape {
  unsigned cap, ycap;
  int wide;
  int64_t base_ms;
};

static struct shape shape_of(const struct tide_block *block) {
  return (struct shape){block->cap, block->ycap, tide_block_wide(block), tide_block_base_ms(block)};
}

static void copy_column(const struct tide_kind *kind, const struct tide_block *old, unsigned c, unsigned first, unsigned count,
                        const struct tide_block *block) {
  const struct tide_column *column = &kind->column[c];
  int old_wide = tide_block_wide(old), wide = tide_block_wide(block);
  unsigned at = column->young ? first - ((unsigned)old->n - old->yn) : first;
  const char *src = (const char *)tide_block_column(kind, old, c) + (size_t)at * column->width[old_wide];
  char *dst = tide_block_column(kind, block, c);
  bool is_time = column->what == TIDE_COL_TIME, same_base = wide || tide_block_base_ms(block) == tide_block_base_ms(old);
  if (column->width[old_wide] == column->width[wide] && (!is_time || same_base)) {
    memcpy(dst, src, (size_t)count * column->width[wide]);
    return;
  }
  for (unsigned i = 0; i < count; i++) {
    uint64_t raw;
    if (is_time) raw = (uint64_t)tide_block_time(kind, old, first + i) - (wide ? 0 : (uint64_t)tide_block_base_ms(block));
    else
      raw = raw_of(column, wide, value_of(column, old_wide, tide_load(src + (size_t)i * column->width[old_wide], column->width[old_wide])));
    tide_store_cell(dst + (size_t)i * column->width[wide], column->width[wide], raw);
  }
}

static void fill_dict(const struct tide_kind *kind, unsigned d, const struct dict *from, int old_wide, unsigned first, unsigned count,
                      const struct rebuild *rebuild, const struct dict *to, int wide) {
  if (is_plain(to)) {
    for (unsigned j = 0; j < count; j++) copy_entry(kind, d, entry_of(from, first + j), old_wide, to->entry + (size_t)j * to->row, wide);
    return;
  }
  to->head->n = (uint8_t)rebuild->used;
  for (unsigned e = 0; e < rebuild->used; e++)
    copy_entry(kind, d, entry_of(from, rebuild->from[e]), old_wide, to->entry + (size_t)e * to->row, wide);
  if (to->index) memcpy(to->index, rebuild->index, count);
}

/* A new block with the events [from, from + n) of `old`, the newest yn of them young, in the given shape. `spare`: for each dictionary the
 * entries that it gets room for beside those that it has; NULL: none. */
static struct tide_block *reshape(const struct tide_kind *kind, const struct tide_block *old, unsigned from, unsigned n, unsigned yn,
                                  struct shape shape, const uint8_t *spare) {
  struct rebuild rebuild[TIDE_DICTS_MAX];
  struct dict had[TIDE_DICTS_MAX], has[TIDE_DICTS_MAX];
  uint8_t cap[TIDE_DICTS_MAX] = {0};
  unsigned old_young = old ? (unsigned)old->n - old->yn : 0;
  size_t bytes = tide_strips_bytes(kind, shape.wide, shape.cap, shape.ycap) + kind->dict_count * sizeof(struct tide_dict_head);
  if (old) dicts_of(kind, old, had);
  for (unsigned d = 0; d < kind->dict_count; d++) {
    bool young = kind->dict[d].young;
    unsigned count = young ? yn : n, strip = young ? shape.ycap : shape.cap, row = kind->dict[d].row[shape.wide];
    rebuild[d].used = 0;
    rebuild[d].plain = !count;
    if (old && count) plan_rebuild(&had[d], young ? from + n - yn - old_young : from, count, strip, &rebuild[d]);
    if (!rebuild[d].plain) cap[d] = (uint8_t)dict_cap(row, rebuild[d].used + (spare ? spare[d] : 0), strip);
    bytes += tide_dict_bytes(row, cap[d], strip);
  }
  struct tide_block *block = tide_alloc(bytes);
  *block = (struct tide_block){.n = (uint16_t)n,
                               .cap = (uint16_t)shape.cap,
                               .yn = (uint16_t)yn,
                               .ycap = (uint16_t)shape.ycap,
                               .base_ms2 = shape.base_ms * 2 + shape.wide};
  struct tide_dict_head *head = tide_block_head(kind, block, 0);
  for (unsigned d = 0; d < kind->dict_count; d++) head[d] = (struct tide_dict_head){0, cap[d]};
  dicts_of(kind, block, has);
  for (unsigned c = 0; old && c < kind->column_count; c++) {
    const struct tide_column *column = &kind->column[c];
    unsigned count = column->young ? yn : n;
    if (count && column->dict == TIDE_NO_DICT) copy_column(kind, old, c, column->young ? from + n - yn : from, count, block);
  }
  for (unsigned d = 0; old && d < kind->dict_count; d++) {
    bool young = kind->dict[d].young;
    unsigned count = young ? yn : n;
    if (count)
      fill_dict(kind, d, &had[d], tide_block_wide(old), young ? from + n - yn - old_young : from, count, &rebuild[d], &has[d], shape.wide);
  }
  return block;
}

static void replace(struct tide_block **block, struct tide_block *with) {
  tide_free(*block);
  *block = with;
}

unsigned tide_block_after(const struct tide_kind *kind, const struct tide_block *block, int64_t ms) {
  const void *at = tide_block_column(kind, block, kind->col_of[TIDE_COL_TIME]);
  unsigned lo = 0, n = block->n;
  if (tide_block_wide(block)) {
    const int64_t *time = at;
    while (n) {
      unsigned half = n / 2;
      bool right = time[lo + half] <= ms;
      lo += right ? half + 1 : 0;
      n = right ? n - half - 1 : half;
    }
    return lo;
  }
  if (ms < tide_block_base_ms(block)) return 0;
  uint64_t rel = (uint64_t)ms - (uint64_t)tide_block_base_ms(block);
  if (rel >= UINT32_MAX) return n;
  const uint32_t *time = at;
  uint32_t limit = (uint32_t)rel;
  if (n && time[n - 1] <= limit) return n; /* most events are the newest of their entity */
  while (n) {
    unsigned half = n / 2;
    bool right = time[lo + half] <= limit;
    lo += right ? half + 1 : 0;
    n = right ? n - half - 1 : half;
  }
  return lo;
}

static bool row_fits(const struct tide_kind *kind, const struct tide_row *row) {
  for (unsigned c = 0; c < kind->column_count; c++)
    if (kind->column[c].what != TIDE_COL_TIME && !fits(&kind->column[c], row->value[c])) return false;
  return true;
}

/* The shape in which the block (not empty) has room for one more event with these values. */
static struct shape shape_for(const struct tide_kind *kind, const struct tide_block *block, bool young, const struct tide_row *row) {
  int64_t ms = row->value[kind->col_of[TIDE_COL_TIME]];
  struct shape shape = shape_of(block);
  if (!shape.wide) {
    int64_t low = tide_block_time(kind, block, 0), high = tide_block_time(kind, block, block->n - 1u);
    if (ms < low) low = ms;
    if (ms > high) high = ms;
    if (!row_fits(kind, row) || high - low >= UINT32_MAX) shape.wide = 1;
    else if (low < shape.base_ms || high - shape.base_ms >= UINT32_MAX) shape.base_ms = low;
  }
  if (block->n == block->cap) shape.cap = tide_block_capacity(block->n + 1u);
  if (young && block->yn == block->ycap) shape.ycap = tide_block_capacity(block->yn + 1u);
  return shape;
}

/* Where the row's part of a dictionary stands among the entries; head->n if it is not there. Of a plain one an event that has it, or count. */
static unsigned look_up(const struct tide_kind *kind, unsigned d, const struct dict *dict, int wide, const struct tide_row *row) {
  char wanted[ENTRY_MAX];
  encode(kind, d, wide, row, wanted);
  return find_entry(dict->entry, is_plain(dict) ? dict->count : dict->head->n, dict->row, wanted);
}

/* Does some event have the row's part of a dictionary? Entries that nobody has are gone when the block is built anew. */
static bool some_event_has(const struct tide_kind *kind, unsigned d, const struct dict *dict, int wide, const struct tide_row *row) {
  unsigned at = look_up(kind, d, dict, wide, row);
  if (is_plain(dict)) return at < dict->count;
  return at < dict->head->n && (dict->index ? memchr(dict->index, (int)at, dict->count) != NULL : dict->count > 0);
}

/* Makes room for one more event with this time and these values. */
static void make_room(const struct tide_kind *kind, struct tide_block **ref, bool young, const struct tide_row *row) {
  if (*ref && !(*ref)->n) { /* emptied by expiry: begin anew, so that base and width do not depend on what was here */
    tide_free(*ref);
    *ref = NULL;
  }
  struct tide_block *block = *ref;
  if (!block) {
    struct shape first = {1, young ? 1 : 0, !row_fits(kind, row), row->value[kind->col_of[TIDE_COL_TIME]]};
    *ref = reshape(kind, NULL, 0, 0, 0, first, NULL);
    return;
  }
  struct shape shape = shape_for(kind, block, young, row);
  bool room = shape.cap == block->cap && shape.ycap == block->ycap && shape.wide == tide_block_wide(block) &&
              shape.base_ms == tide_block_base_ms(block);
  struct dict dict[TIDE_DICTS_MAX];
  dicts_of(kind, block, dict);
  int wide = tide_block_wide(block);
  for (unsigned d = 0; d < kind->dict_count && room; d++) {
    const struct tide_dict_head *head = dict[d].head;
    if (!head->cap || head->n < head->cap || (kind->dict[d].young && !young)) continue;
    room = look_up(kind, d, &dict[d], wide, row) < head->n;
  }
  if (room) return;
  uint8_t spare[TIDE_DICTS_MAX];
  memset(spare, shape.wide != wide, sizeof spare); /* what makes it wide is in no narrow cell */
  for (unsigned d = 0; d < kind->dict_count && shape.wide == wide; d++)
    if (young || !kind->dict[d].young) spare[d] = !some_event_has(kind, d, &dict[d], wide, row);
  replace(ref, reshape(kind, block, 0, block->n, block->yn, shape, spare));
}

/* Puts the row's part of a dictionary at index j of its strip; make_room was here. */
static void dict_insert(const struct tide_kind *kind, unsigned d, const struct dict *dict, int wide, unsigned j,
                        const struct tide_row *row) {
  if (is_plain(dict)) {
    char *at = dict->entry + (size_t)j * dict->row;
    if (j < dict->count) memmove(at + dict->row, at, (size_t)(dict->count - j) * dict->row);
    encode(kind, d, wide, row, at);
    return;
  }
  char wanted[ENTRY_MAX];
  encode(kind, d, wide, row, wanted);
  unsigned at = find_entry(dict->entry, dict->head->n, dict->row, wanted);
  if (at == dict->head->n) {
    TIDE_CHECK(at < dict->head->cap);
    memcpy(dict->entry + (size_t)at * dict->row, wanted, dict->row);
    dict->head->n++;
  }
  if (!dict->index) return;
  if (j < dict->count) memmove(dict->index + j + 1, dict->index + j, dict->count - j);
  dict->index[j] = (uint8_t)at;
}

void tide_block_insert(const struct tide_kind *kind, struct tide_block **ref, unsigned i, const struct tide_row *row) {
  bool young = kind->has_young && (!*ref || i >= (unsigned)(*ref)->n - (*ref)->yn);
  make_room(kind, ref, young, row);
  struct tide_block *block = *ref;
  TIDE_CHECK(i <= block->n && block->n < block->cap);
  int wide = tide_block_wide(block);
  unsigned old_young = (unsigned)block->n - block->yn;
  for (unsigned c = 0; c < kind->column_count; c++) {
    const struct tide_column *column = &kind->column[c];
    if (column->dict != TIDE_NO_DICT || (column->young && !young)) continue;
    unsigned at = column->young ? i - old_young : i, count = column->young ? block->yn : block->n;
    size_t width = column->width[wide];
    char *base = tide_block_column(kind, block, c);
    if (at < count) memmove(base + (at + 1) * width, base + at * width, (count - at) * width);
    uint64_t raw = raw_of(column, wide, row->value[c]);
    if (column->what == TIDE_COL_TIME && !wide) raw -= (uint64_t)tide_block_base_ms(block);
    tide_store_cell(base + at * width, (unsigned)width, raw);
  }
  struct dict dict[TIDE_DICTS_MAX];
  dicts_of(kind, block, dict);
  for (unsigned d = 0; d < kind->dict_count; d++)
    if (young || !kind->dict[d].young) dict_insert(kind, d, &dict[d], wide, kind->dict[d].young ? i - old_young : i, row);
  block->n++;
  if (young) block->yn++;
}

void tide_block_expire(const struct tide_kind *kind, struct tide_block *block, int64_t keep_after_ms, int64_t young_after_ms) {
  unsigned gone = tide_block_after(kind, block, keep_after_ms);
  unsigned old = tide_block_after(kind, block, young_after_ms);
  unsigned young_gone = 0, young_at = (unsigned)block->n - block->yn;
  if (old > young_at) young_gone = old - young_at;
  if (gone > young_at + young_gone) young_gone = gone - young_at;
  if (!gone && !young_gone) return;
  int wide = tide_block_wide(block);
  for (unsigned c = 0; c < kind->column_count; c++) {
    const struct tide_column *column = &kind->column[c];
    unsigned drop = column->young ? young_gone : gone, count = column->young ? block->yn : block->n;
    if (column->dict != TIDE_NO_DICT || !drop || drop >= count) continue;
    char *base = tide_block_column(kind, block, c);
    memmove(base, base + (size_t)drop * column->width[wide], (size_t)(count - drop) * column->width[wide]);
  }
  for (unsigned d = 0; d < kind->dict_count; d++) { /* entries that no event has any more go when the block is built anew */
    struct dict dict = dict_of(kind, block, d);
    unsigned drop = kind->dict[d].young ? young_gone : gone;
    if (!drop || drop >= dict.count) continue;
    if (dict.index) memmove(dict.index, dict.index + drop, dict.count - drop);
    else if (is_plain(&dict)) memmove(dict.entry, dict.entry + (size_t)drop * dict.row, (size_t)(dict.count - drop) * dict.row);
  }
  block->n = (uint16_t)(block->n - gone);
  block->yn = (uint16_t)(block->yn - young_gone);
}

void tide_block_set_num(const struct tide_kind *kind, struct tide_block **ref, unsigned column, unsigned i, int64_t value) {
  struct tide_block *block = *ref;
  const struct tide_column *c = &kind->column[column];
  if (c->young && !tide_block_is_young(block, i)) return; /* nothing can ask for it any more */
  if (!tide_block_wide(block) && !fits(c, value)) {
    struct shape shape = shape_of(block);
    shape.wide = 1;
    replace(ref, reshape(kind, block, 0, block->n, block->yn, shape, NULL));
    block = *ref;
  }
  tide_block_set(kind, block, column, i, raw_of(c, tide_block_wide(block), value));
}

void tide_block_put(const struct tide_kind *kind, struct tide_block **ref, unsigned column, unsigned i, uint64_t value) {
  struct tide_block *block = *ref;
  const struct tide_column *c = &kind->column[column];
  TIDE_CHECK(c->what != TIDE_COL_TIME && !c->number);
  if (c->young && !tide_block_is_young(block, i)) return;
  if (!tide_block_wide(block) && !fits(c, (int64_t)value)) {
    struct shape shape = shape_of(block);
    shape.wide = 1;
    replace(ref, reshape(kind, block, 0, block->n, block->yn, shape, NULL));
    block = *ref;
  }
  if (c->dict == TIDE_NO_DICT) {
    tide_block_set(kind, block, column, i, value);
    return;
  }
  int wide = tide_block_wide(block);
  unsigned j = c->young ? i - ((unsigned)block->n - block->yn) : i;
  struct dict dict = dict_of(kind, block, c->dict);
  char wanted[ENTRY_MAX];
  memcpy(wanted, entry_of(&dict, j), dict.row);
  tide_store_cell(wanted + c->before[wide], c->width[wide], value);
  if (!memcmp(wanted, entry_of(&dict, j), dict.row)) return;
  unsigned at = is_plain(&dict) ? 0 : find_entry(dict.entry, dict.head->n, dict.row, wanted);
  if (!is_plain(&dict) && at == dict.head->n) {
    if (at == dict.head->cap) {
      uint8_t spare[TIDE_DICTS_MAX] = {0};
      spare[c->dict] = 1;
      replace(ref, reshape(kind, block, 0, block->n, block->yn, shape_of(block), spare));
      dict = dict_of(kind, *ref, c->dict);
    }
    if (!is_plain(&dict)) {
      at = dict.head->n++;
      TIDE_CHECK(at < dict.head->cap);
      memcpy(dict.entry + (size_t)at * dict.row, wanted, dict.row);
    }
  }
  if (is_plain(&dict)) memcpy(entry_of(&dict, j), wanted, dict.row);
  else dict.index[j] = (uint8_t)at;
}

struct tide_block *tide_block_split(const struct tide_kind *kind, struct tide_block *block, unsigned i) {
  TIDE_CHECK(i > 0 && i < block->n);
  unsigned n = block->n - i, yn = block->yn < n ? block->yn : n;
  struct shape shape = shape_of(block);
  shape.cap = tide_block_capacity(n);
  shape.ycap = yn ? tide_block_capacity(yn) : 0;
  struct tide_block *tail = reshape(kind, block, i, n, yn, shape, NULL);
  block->n = (uint16_t)i;
  block->yn = (uint16_t)(block->yn - yn);
  return tail;
}

void tide_block_fit(const struct tide_kind *kind, struct tide_block **ref) {
  struct tide_block *block = *ref;
  if (block->cap == block->n && block->ycap == block->yn) return;
  struct shape shape = shape_of(block);
  shape.cap = block->n;
  shape.ycap = block->yn;
  replace(ref, reshape(kind, block, 0, block->n, block->yn, shape, NULL));
}

void tide_block_save(const struct tide_kind *kind, const struct tide_block *block, struct tide_buf *out) {
  int wide = tide_block_wide(block);
  tide_put_u16(out, block->n);
  tide_put_u16(out, block->yn);
  tide_put_u64(out, (uint64_t)block->base_ms2);
  for (unsigned c = 0; c < kind->column_count; c++) {
    const struct tide_column *column = &kind->column[c];
    unsigned width = column->width[wide], from = column->young ? (unsigned)block->n - block->yn : 0;
    if (column->dict == TIDE_NO_DICT) {
      tide_buf_put(out, tide_block_column(kind, block, c), (size_t)(block->n - from) * width);
      continue;
    }
    struct tide_cells cells = tide_block_cells(kind, block, c);
    char bytes[TIDE_BLOCK_MAX * 8];
    for (unsigned i = from; i < block->n; i++) tide_store_cell(bytes + (size_t)(i - from) * width, width, tide_cells_get(&cells, i));
    tide_buf_put(out, bytes, (size_t)(block->n - from) * width);
  }
}

struct tide_block *tide_block_load(const struct tide_kind *kind, struct tide_reader *reader) {
  unsigned n = tide_get_u16(reader), yn = tide_get_u16(reader);
  int64_t base_ms2 = (int64_t)tide_get_u64(reader);
  if (reader->bad || n == 0 || n > TIDE_BLOCK_MAX || yn > n) {
    reader->bad = true;
    return NULL;
  }
  struct shape shape = {tide_block_capacity(n), yn ? tide_block_capacity(yn) : 0, (int)(base_ms2 & 1), base_ms2 >> 1};
  struct tide_block *block = reshape(kind, NULL, 0, n, yn, shape, NULL); /* all plain */
  for (unsigned c = 0; c < kind->column_count; c++) {
    const struct tide_column *column = &kind->column[c];
    unsigned count = column->young ? yn : n, width = column->width[shape.wide];
    struct tide_span span = tide_get_bytes(reader, (size_t)count * width);
    if (!count || reader->bad) continue;
    struct tide_cells cells = tide_block_cells(kind, block, c);
    if (column->dict == TIDE_NO_DICT) memcpy((char *)(uintptr_t)cells.cell, span.ptr, (size_t)count * width);
    else
      for (unsigned j = 0; j < count; j++)
        memcpy((char *)(uintptr_t)cells.cell + (size_t)j * cells.stride, span.ptr + (size_t)j * width, width);
  }
  for (unsigned i = 1; i < n && !reader->bad; i++)
    if (tide_block_time(kind, block, i) < tide_block_time(kind, block, i - 1)) reader->bad = true;
  if (reader->bad) {
    tide_free(block);
    return NULL;
  }
  if (kind->dict_count) replace(&block, reshape(kind, block, 0, n, yn, shape, NULL));
  return block;
}
