/* Aggregates over ranges (window.h). The inner loops run over one block's columns and are kept free of branches on data.
 *
 * Sums of whole blocks come from their cache (tide_chunk_sums), partial blocks are scanned; both add integers, so which of the two was
 * taken can never show in a value. */
#include "feature/window.h"

#include <math.h>

#define COUNT_LOOP(type)                                                                                                                   \
  {                                                                                                                                        \
    const type *mask = base;                                                                                                               \
    for (unsigned i = from; i < to; i++) n += (mask[i] >> bit) & 1;                                                                        \
  }

static unsigned count_bit(const struct tide_kind *kind, const struct tide_block *block, unsigned bit, unsigned from, unsigned to) {
  unsigned column = kind->col_of[TIDE_COL_MASK];
  const void *base = tide_block_column(kind, block, column);
  uint64_t n = 0;
  switch (kind->column[column].width[0]) {
    case 1: COUNT_LOOP(uint8_t) break;
    case 2: COUNT_LOOP(uint16_t) break;
    case 4: COUNT_LOOP(uint32_t) break;
    default: COUNT_LOOP(uint64_t) break;
  }
  return (unsigned)n;
}

/* Sums of a narrow block: 32-bit values, 256 of which cannot overflow 64 bits. A bit is set only where the value is there. */
#define SUM_LOOP(type)                                                                                                                     \
  {                                                                                                                                        \
    const type *mask = base;                                                                                                               \
    for (unsigned i = from; i < to; i++) {                                                                                                 \
      uint64_t bit = (mask[i] >> step->bit) & 1;                                                                                           \
      n += bit;                                                                                                                            \
      sum += bit * value[i];                                                                                                               \
    }                                                                                                                                      \
  }

static void sum_narrow(const struct tide_kind *kind, const struct tide_block *block, const struct tide_step *step, unsigned from,
                       unsigned to, struct tide_acc *acc) {
  unsigned column = kind->col_of[TIDE_COL_MASK];
  const void *base = tide_block_column(kind, block, column);
  const uint32_t *value = tide_block_column(kind, block, step->column);
  uint64_t n = 0, sum = 0;
  switch (kind->column[column].width[0]) {
    case 1: SUM_LOOP(uint8_t) break;
    case 2: SUM_LOOP(uint16_t) break;
    case 4: SUM_LOOP(uint32_t) break;
    default: SUM_LOOP(uint64_t) break;
  }
  acc->count += n;
  acc->sum += (__int128)sum;
}

static void add_numbers(const struct tide_kind *kind, const struct tide_block *block, const struct tide_step *step, unsigned from,
                        unsigned to, struct tide_acc *acc) {
  bool sums_only = step->agg == TIDE_AGG_SUM || step->agg == TIDE_AGG_MEAN; /* nobody reads the squares, min and max of their accumulator */
  const struct tide_column *column = &kind->column[step->column];
  if (sums_only && !tide_block_wide(block) && !column->young && column->number && column->width[0] == 4) {
    sum_narrow(kind, block, step, from, to, acc);
    return;
  }
  for (unsigned i = from; i < to; i++)
    if ((tide_block_mask(kind, block, i) >> step->bit) & 1) tide_window_add_one(acc, tide_block_num(kind, block, step->column, i));
}

static void add_sums(const struct tide_sums *sums, const struct tide_step *step, struct tide_acc *acc) {
  const struct tide_pairsum *pair = &sums->pair[step->pair];
  acc->count += sums->count[step->bit];
  acc->sum += pair->sum;
  acc->squares += pair->squares;
  if (pair->min < acc->min) acc->min = pair->min;
  if (pair->max > acc->max) acc->max = pair->max;
}

static void add_whole(const struct tide_sums *sums, const struct tide_step *step, struct tide_acc *acc) {
  switch ((enum tide_agg)step->agg) {
    case TIDE_AGG_COUNT: acc->count += sums->count[step->bit]; break;
    case TIDE_AGG_DISTINCT: acc->count += sums->count[step->latest]; break;
    case TIDE_AGG_RATE:
      acc->count += sums->count[step->bit];
      acc->count2 += sums->count[step->bit2];
      break;
    default: add_sums(sums, step, acc);
  }
}

static void add_part(const struct tide_kind *kind, const struct tide_block *block, const struct tide_step *step, unsigned from, unsigned to,
                     struct tide_acc *acc) {
  switch ((enum tide_agg)step->agg) {
    case TIDE_AGG_COUNT: acc->count += count_bit(kind, block, step->bit, from, to); break;
    case TIDE_AGG_DISTINCT: acc->count += count_bit(kind, block, step->latest, from, to); break;
    case TIDE_AGG_RATE:
      acc->count += count_bit(kind, block, step->bit, from, to);
      acc->count2 += count_bit(kind, block, step->bit2, from, to);
      break;
    default: add_numbers(kind, block, step, from, to, acc);
  }
}

void tide_window_add(const struct tide_view *view, const struct tide_step *step, struct tide_at from, struct tide_at to,
                     struct tide_acc *acc) {
  const struct tide_kind *kind = view->kind;
  uint32_t c = from.chunk;
  while (c <= to.chunk && c < view->count) {
    /* The last chunk changes with every event: its sums would be made anew each time, so neither it nor its row is taken whole. */
    bool begins_whole = view->big && (c > from.chunk || from.i == 0) && c + 1 < view->count;
    if (begins_whole && c % TIDE_SUPER == 0 && c + TIDE_SUPER <= to.chunk && c + TIDE_SUPER < view->count) {
      add_whole(tide_super_sums(kind, view->big, c), step, acc);
      c += TIDE_SUPER;
      continue;
    }
    struct tide_chunk *chunk = &view->chunk[c];
    unsigned lo = c == from.chunk ? from.i : 0, hi = c == to.chunk ? to.i : chunk->block->n;
    if (begins_whole && hi == chunk->block->n && hi > 32) add_whole(tide_chunk_sums(kind, chunk), step, acc);
    else if (lo < hi) add_part(kind, chunk->block, step, lo, hi, acc);
    c++;
  }
}

/* ---- sets of values ---- */

void tide_valueset_clear(struct tide_valueset *set) {
  set->used = 0;
  if (++set->now == 0) { /* the stamp wrapped: forget all old ones once in 2^32 uses */
    memset(set->stamp, 0, set->cap * sizeof *set->stamp);
    set->now = 1;
  }
}

static void valueset_grow(struct tide_valueset *set) {
  struct tide_valueset bigger = {.cap = set->cap ? set->cap * 2 : 256, .now = 1};
  bigger.cell = tide_alloc(bigger.cap * sizeof *bigger.cell);
  bigger.stamp = tide_alloc(bigger.cap * sizeof *bigger.stamp);
  for (uint32_t i = 0; i < set->cap; i++)
    if (set->stamp[i] == set->now) tide_valueset_add(&bigger, set->cell[i]);
  tide_valueset_release(set);
  *set = bigger;
}

bool tide_valueset_add(struct tide_valueset *set, uint64_t value) {
  if (set->used * 2 >= set->cap) valueset_grow(set);
  uint32_t at = (uint32_t)tide_hash64(&value, sizeof value, 0) & (set->cap - 1);
  while (set->stamp[at] == set->now) {
    if (set->cell[at] == value) return false;
    at = (at + 1) & (set->cap - 1);
  }
  set->stamp[at] = set->now;
  set->cell[at] = value;
  set->used++;
  return true;
}

void tide_valueset_release(struct tide_valueset *set) {
  tide_free(set->cell);
  tide_free(set->stamp);
  *set = (struct tide_valueset){0};
}

/* Calls `body` for each event in the range with the step's bit, oldest first. */
#define EACH_EVENT(view, step, from, to, body)                                                                                             \
  for (uint32_t c = (from).chunk; c <= (to).chunk && c < (view)->count; c++) {                                                             \
    const struct tide_block *block = (view)->chunk[c].block;                                                                               \
    unsigned lo = c == (from).chunk ? (from).i : 0, hi = c == (to).chunk ? (to).i : block->n;                                              \
    for (unsigned i = lo; i < hi; i++) {                                                                                                   \
      if ((tide_block_mask((view)->kind, block, i) >> (step)->bit) & 1) {                                                                  \
        body                                                                                                                               \
      }                                                                                                                                    \
    }                                                                                                                                      \
  }

void tide_window_values(const struct tide_view *view, const struct tide_step *step, struct tide_at from, struct tide_at to,
                        struct tide_valueset *set) {
  EACH_EVENT(view, step, from, to, tide_valueset_add(set, tide_block_get(view->kind, block, step->column, i));)
}

/* Is there an event of the range with the step's bit and this value? */
static bool occurs(const struct tide_view *view, const struct tide_step *step, struct tide_at from, struct tide_at to, uint64_t value) {
  const struct tide_kind *kind = view->kind;
  for (uint32_t c = to.chunk < view->count ? to.chunk + 1 : view->count; c-- > from.chunk;) {
    const struct tide_block *block = view->chunk[c].block;
    struct tide_cells cells = tide_block_cells(kind, block, step->column);
    unsigned lo = c == from.chunk ? from.i : 0, i = c == to.chunk ? to.i : block->n;
    if (lo < cells.first) lo = cells.first;
    bool plain = !cells.entry && cells.width == 8 && cells.stride == 8;
    while (i > lo) {
      const char *at = cells.cell + ((size_t)i - cells.first) * 8; /* four at a time where they stand side by side, as a shop's cards do */
      if (plain && i >= lo + 4 && tide_load(at - 8, 8) != value && tide_load(at - 16, 8) != value && tide_load(at - 24, 8) != value &&
          tide_load(at - 32, 8) != value) {
        i -= 4;
        continue;
      }
      i--;
      if (tide_cells_get(&cells, i) == value && ((tide_block_mask(kind, block, i) >> step->bit) & 1)) return true;
    }
  }
  return false;
}

#define BEHIND_MAX 16 /* different values behind a range, and events times 4 */

/* A value is in the range if its latest bit is, or if that stands behind the range and an event of the range has the value as well. */
bool tide_window_distinct(const struct tide_view *view, const struct tide_step *step, struct tide_at from, struct tide_at to,
                          uint64_t latest, const int64_t *current, uint64_t *ret) {
  uint64_t behind[BEHIND_MAX], n = latest;
  bool inside[BEHIND_MAX];
  unsigned count = 0, events = 0;
  EACH_EVENT(view, step, to, tide_view_end(view), {
    if (count == BEHIND_MAX || ++events > 4 * BEHIND_MAX) return false;
    behind[count] = tide_block_get(view->kind, block, step->column, i);
    unsigned k = 0;
    while (behind[k] != behind[count]) k++;
    count += k == count;
  })
  for (unsigned k = 0; k < count; k++) n += inside[k] = occurs(view, step, from, to, behind[k]);
  if (current) {
    unsigned k = 0;
    while (k < count && behind[k] != (uint64_t)*current) k++;
    struct tide_at holder;
    bool held = k < count ? inside[k]
                          : tide_view_latest(view, step->latest - view->kind->cond_count, (uint64_t)*current, &holder) &&
                                !tide_at_less(holder, from);
    n += !held;
  }
  *ret = n;
  return true;
}

#define HLL_BITS 12
#define HLL_REGISTERS (1u << HLL_BITS)

static void hll_add(uint8_t *registers, uint64_t value, uint64_t seed) {
  uint64_t hash = tide_hash64(&value, sizeof value, seed + 0x6c6c48); /* its own seed: tables hash values with seed 0 */
  uint32_t at = (uint32_t)(hash >> (64 - HLL_BITS));
  uint64_t rest = hash << HLL_BITS | (UINT64_C(1) << (HLL_BITS - 1));
  uint8_t rank = (uint8_t)(__builtin_clzll(rest) + 1);
  if (rank > registers[at]) registers[at] = rank;
}

double tide_window_approx(const struct tide_view *view, const struct tide_step *step, struct tide_at from, struct tide_at to,
                          const int64_t *current) {
  uint8_t registers[HLL_REGISTERS] = {0};
  EACH_EVENT(view, step, from, to, hll_add(registers, tide_block_get(view->kind, block, step->column, i), step->seed);)
  if (current) hll_add(registers, (uint64_t)*current, step->seed);
  double sum = 0;
  unsigned zero = 0;
  for (unsigned r = 0; r < HLL_REGISTERS; r++) {
    sum += ldexp(1.0, -(int)registers[r]);
    zero += registers[r] == 0;
  }
  double m = HLL_REGISTERS, estimate = 0.7213 / (1 + 1.079 / m) * m * m / sum;
  if (estimate <= 2.5 * m && zero) estimate = m * log(m / zero);
  return round(estimate);
}

uint64_t tide_window_max_count(const struct tide_view *view, const struct tide_step *step, struct tide_at from, struct tide_at to,
                               int64_t t_ms, int64_t outer_ms, const int64_t *current) {
  /* Two fingers over the events: the count of (u - inner, u] can only grow where u is an event's time, or stand highest at the first u. */
  struct tide_at tail = from, head = from;
  uint64_t in = 0, best = 0;
  int64_t first_u = t_ms - outer_ms + 1;
  bool first_done = false;
#define DROP_BEFORE(u)                                                                                                                     \
  while (tide_at_less(tail, head)) {                                                                                                       \
    const struct tide_block *old = view->chunk[tail.chunk].block;                                                                          \
    if (tide_block_time(view->kind, old, tail.i) > (u)-step->inner_ms) break;                                                              \
    in -= (tide_block_mask(view->kind, old, tail.i) >> step->bit) & 1;                                                                     \
    if (++tail.i == old->n) tail = (struct tide_at){tail.chunk + 1, 0};                                                                    \
  }
  while (tide_at_less(head, to)) {
    const struct tide_block *block = view->chunk[head.chunk].block;
    int64_t time_ms = tide_block_time(view->kind, block, head.i);
    if (!first_done && time_ms > first_u) {
      DROP_BEFORE(first_u)
      if (in > best) best = in;
      first_done = true;
    }
    in += (tide_block_mask(view->kind, block, head.i) >> step->bit) & 1;
    if (++head.i == block->n) head = (struct tide_at){head.chunk + 1, 0};
    if (time_ms >= first_u) {
      DROP_BEFORE(time_ms)
      if (in > best) best = in;
    }
  }
  if (!first_done) {
    DROP_BEFORE(first_u)
    if (in > best) best = in;
  }
#undef DROP_BEFORE
  if (!current) return best;
  /* Windows that hold the current event as well: those that end with it, and with each event behind it (there are few: a lead is seconds). */
  for (struct tide_at last = to;;) {
    struct tide_at before = last;
    bool behind = tide_at_less(from, before) && tide_view_back(view, &before) &&
                  tide_block_time(view->kind, view->chunk[before.chunk].block, before.i) > *current;
    int64_t u = behind ? tide_block_time(view->kind, view->chunk[before.chunk].block, before.i) : *current;
    if (u - step->inner_ms < *current) {
      in = 1;
      for (struct tide_at at = last; tide_at_less(from, at) && tide_view_back(view, &at);) {
        if (tide_block_time(view->kind, view->chunk[at.chunk].block, at.i) <= u - step->inner_ms) break;
        in += (tide_block_mask(view->kind, view->chunk[at.chunk].block, at.i) >> step->bit) & 1;
      }
      if (in > best) best = in;
    }
    if (!behind) return best;
    last = before;
  }
}

uint64_t tide_window_streak(const struct tide_view *view, const struct tide_step *step, struct tide_at from, struct tide_at to) {
  uint64_t n = 0;
  while (tide_at_less(from, to) && tide_view_back(view, &to)) {
    uint64_t mask = tide_block_mask(view->kind, view->chunk[to.chunk].block, to.i);
    if (!((mask >> step->bit2) & 1)) continue;
    if (!((mask >> step->bit) & 1)) break;
    n++;
  }
  return n;
}

bool tide_window_previous(const struct tide_view *view, const struct tide_step *step, struct tide_at from, struct tide_at to,
                          struct tide_at *ret) {
  while (tide_at_less(from, to) && tide_view_back(view, &to)) {
    if ((tide_block_mask(view->kind, view->chunk[to.chunk].block, to.i) >> step->bit) & 1) {
      *ret = to;
      return true;
    }
  }
  return false;
}
