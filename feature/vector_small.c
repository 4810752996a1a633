/* Windows of small logs (vector.h): conditions and windows as words, a bit an event.
 *
 * The conditions of an event stand side by side in its mask. To turn them, eight masks at a time are taken apart into bytes, and of eight such bytes in one word
 * a multiplication gathers the same bit of each (Warren, Hacker's Delight, 7-3). Then all counts of the kind are one loop over (word, window, slot). A distinct
 * count is one as well: of the latest bits but that of the current event's value, and the current event. Windows of a feature are nested, so sums walk each event
 * once. */
#include "feature/vector.h"

/* ---- conditions ---- */

#define LOW_BITS UINT64_C(0x0101010101010101)
#define GATHER UINT64_C(0x0102040810204080)
#define EIGHTS ((TIDE_SMALL_EVENTS + 7) / 8)

/* bytes[b][i / 8] has byte b of mask i in its byte i % 8. */
#define TAKE_APART(type, width)                                                                                                            \
  {                                                                                                                                        \
    const type *mask = column;                                                                                                             \
    for (unsigned c = 0; 8 * c < n; c++) {                                                                                                 \
      uint64_t byte[width] = {0};                                                                                                          \
      for (unsigned i = 8 * c, shift = 0; i < n && shift < 64; i++, shift += 8) {                                                          \
        uint64_t x = mask[i];                                                                                                              \
        for (unsigned b = 0; b < width; b++) byte[b] |= ((x >> (8 * b)) & 0xff) << shift;                                                  \
      }                                                                                                                                    \
      for (unsigned b = 0; b < width; b++) bytes[b][c] = byte[b];                                                                          \
    }                                                                                                                                      \
  }

static inline uint64_t gather(uint64_t eight, unsigned bit) { return (((eight >> bit) & LOW_BITS) * GATHER) >> 56; }
#define EACH_OF_8(X) X(0) X(1) X(2) X(3) X(4) X(5) X(6) X(7)

/* Makes look->word from the column of masks. */
static void turn(struct tide_look *look, const void *column, unsigned width) {
  uint64_t bytes[8][EIGHTS];
  unsigned n = look->n;
  switch (width) {
    case 1:
      bytes[0][(n - 1) / 8] = 0;
      memcpy(bytes[0], column, n); /* blocks are little-endian, like what they are saved as */
      break;
    case 2: TAKE_APART(uint16_t, 2) break;
    case 4: TAKE_APART(uint32_t, 4) break;
    default: TAKE_APART(uint64_t, 8) break;
  }
  for (unsigned b = 0; 8 * b < look->kind->bit_count; b++) {
    uint64_t *word = &look->word[8 * b], eight = bytes[b][0];
#define FIRST(j) word[j] = gather(eight, j);
#define NEXT(j) word[j] |= gather(eight, j) << shift;
    EACH_OF_8(FIRST)
    for (unsigned c = 1, shift = 8; 8 * c < n; c++, shift += 8) {
      eight = bytes[b][c];
      EACH_OF_8(NEXT)
    }
  }
}

/* Bits that are set (Warren, 5-1); the instruction is not in every x86-64. */
static inline unsigned ones(uint64_t x) {
  x -= (x >> 1) & UINT64_C(0x5555555555555555);
  x = (x & UINT64_C(0x3333333333333333)) + ((x >> 2) & UINT64_C(0x3333333333333333));
  x = (x + (x >> 4)) & UINT64_C(0x0f0f0f0f0f0f0f0f);
  return (unsigned)((x * LOW_BITS) >> 56);
}

/* ---- windows ---- */

static uint64_t below(unsigned n) { return (UINT64_C(1) << n) - 1; }
static unsigned highest(uint64_t x) { return 63u - (unsigned)__builtin_clzll(x); }

/* Edges of one delay come from the youngest to the oldest, so the places are found in one walk; behind an edge that a hop took back it goes forward a
 * little. */
static void windows_narrow(struct tide_look *look, const struct tide_block *block) {
  const struct tide_kind *kind = look->kind;
  const uint32_t *time = tide_block_column(kind, block, kind->col_of[TIDE_COL_TIME]);
  int64_t base_ms = tide_block_base_ms(block), delayed_ms = 0;
  unsigned to = look->now.i, at = to;
  uint64_t upto = below(to);
  look->ends = to == look->n ? UINT64_MAX : 0;
  for (unsigned e = 0; e < kind->edge_count; e++) {
    const struct tide_edge *edge = &kind->edge[e];
    if (edge->delayed_ms != delayed_ms) {
      delayed_ms = edge->delayed_ms;
      at = to = tide_block_after(kind, block, look->txn->time_ms - delayed_ms);
      upto = below(to);
      uint64_t from_here = UINT64_MAX << e;
      look->ends = to == look->n ? look->ends | from_here : look->ends & ~from_here;
    }
    int64_t left = tide_look_left_ms(look, edge) - base_ms;
    if (left < 0) {
      at = 0;
    } else if (left < UINT32_MAX) {
      while (at && time[at - 1] > left) at--;
      while (at < to && time[at] <= left) at++; /* the one before may have gone further back by its hop */
    } else {
      at = to;
    }
    look->in[e] = (upto & (UINT64_MAX << at)) | TIDE_CURRENT;
  }
}

static void windows_wide(struct tide_look *look, const struct tide_block *block) {
  const struct tide_kind *kind = look->kind;
  look->ends = 0;
  for (unsigned e = 0; e < kind->edge_count; e++) {
    const struct tide_edge *edge = &kind->edge[e];
    unsigned to = edge->delayed_ms ? tide_block_after(kind, block, look->txn->time_ms - edge->delayed_ms) : look->now.i;
    look->in[e] = (below(to) & (UINT64_MAX << tide_block_after(kind, block, tide_look_left_ms(look, edge)))) | TIDE_CURRENT;
    look->ends |= (uint64_t)(to == look->n) << e;
  }
}

static void begin(struct tide_look *look) {
  const struct tide_kind *kind = look->kind;
  if (!look->view.count) {
    look->n = 0;
    look->now = (struct tide_at){0, 0};
    look->ends = UINT64_MAX;
    for (unsigned e = 0; e < kind->edge_count; e++) look->in[e] = TIDE_CURRENT;
    memset(look->word, 0, kind->bit_count * sizeof look->word[0]);
    return;
  }
  const struct tide_block *block = look->view.chunk[0].block;
  unsigned column = kind->col_of[TIDE_COL_MASK];
  look->n = block->n;
  int64_t now_ms = look->txn->time_ms + look->txn->lead_ms;
  look->now = (struct tide_at){0, look->view.one.last_ms <= now_ms ? look->n : tide_block_after(kind, block, now_ms)};
  turn(look, tide_block_column(kind, block, column), kind->column[column].width[tide_block_wide(block)]);
  if (tide_block_wide(block)) windows_wide(look, block);
  else windows_narrow(look, block);
}

/* ---- counts ---- */

/* The event that carries the latest bit of this value, as a bit; 0 if none does. */
static uint64_t holder(const struct tide_look *look, const struct tide_step *step, uint64_t value) {
  uint64_t left = look->word[step->latest];
  if (!left) return 0;
  struct tide_cells cells = tide_block_cells(look->kind, look->view.chunk[0].block, step->column);
  left &= UINT64_MAX << cells.first; /* what is older has the column no more */
  while (left) {
    unsigned i = highest(left);
    uint64_t bit = UINT64_C(1) << i;
    if (tide_cells_get(&cells, i) == value) return bit;
    left ^= bit;
  }
  return 0;
}

/* The words in which the current event counts. */
static void lines(struct tide_look *look) {
  const struct tide_kind *kind = look->kind;
  uint64_t conds = look->txn->conds, *word = &look->word[TIDE_CONDS_MAX];
  unsigned l = 0;
  for (; l < kind->distinct_line; l++) word[l] = look->word[kind->line[l].bit] | (conds >> kind->line[l].cond) << TIDE_SMALL_EVENTS;
  for (; l < kind->line_count; l++) {
    const struct tide_step *step = &kind->step[kind->line[l].step];
    int64_t current;
    word[l] = look->word[kind->line[l].bit];
    if (((conds >> kind->line[l].cond) & 1) && tide_look_operand(look, step, &current))
      word[l] = (word[l] & ~holder(look, step, (uint64_t)current)) | TIDE_CURRENT;
  }
}

#define TALLY(ONES)                                                                                                                        \
  for (const struct tide_spot *spot = look->kind->spot, *end = spot + look->kind->other_at; spot < end; spot++)                            \
    ret[spot->slot] = tide_num((double)(int)ONES(look->word[spot->word] & look->in[spot->edge]));

static void tally(const struct tide_look *look, struct tide_value *ret) { TALLY(ones) }

#ifdef __x86_64__
__attribute__((target("popcnt"))) static void tally_popcnt(const struct tide_look *look, struct tide_value *ret) {
  TALLY(__builtin_popcountll)
}
#endif

static struct tide_at at_of(unsigned i) { return (struct tide_at){0, i}; }

/* APPROX_DISTINCT, and distinct counts where the log goes on behind a window: its latest bits say nothing then. */
static void recount(const struct tide_look *look, const struct tide_step *step, const struct tide_spot *spot, struct tide_value *ret) {
  if (tide_look_late(look, spot->edge)) return;
  uint64_t in = look->in[spot->edge] & ~TIDE_CURRENT;
  struct tide_at from = at_of(in ? (unsigned)__builtin_ctzll(in) : 0), to = at_of(in ? highest(in) + 1 : 0);
  int64_t current;
  bool with = tide_look_current(look, step, &current);
  ret[spot->slot] = tide_value_recounted(look, step, from, to, with ? &current : NULL);
}

static uint64_t word_with(const struct tide_look *look, const struct tide_step *step, uint8_t bit) {
  return look->word[bit] | (step->with_current && tide_look_satisfies(look, bit) ? TIDE_CURRENT : 0);
}

static void rates(const struct tide_look *look, const struct tide_step *step, const struct tide_spot *spot, struct tide_value *ret) {
  uint64_t hits = word_with(look, step, step->bit), all = word_with(look, step, step->bit2);
  for (unsigned k = 0; k < step->windows; k++) {
    uint64_t in = look->in[spot[k].edge];
    ret[spot[k].slot] = tide_value_rate(ones(hits & in), ones(all & in));
  }
}

/* COUNT and RATE where old events are tiles. */
static void counts_tiled(const struct tide_look *look, const struct tide_step *step, const struct tide_spot *spot, struct tide_value *ret) {
  bool rate = step->agg == TIDE_AGG_RATE;
  uint64_t hits = word_with(look, step, step->bit), all = rate ? word_with(look, step, step->bit2) : 0;
  struct tide_acc acc = TIDE_ACC_EMPTY;
  int64_t tiled_ms = look->view.tiles->until_ms;
  for (unsigned k = 0; k < step->windows; k++) {
    if (tide_look_late(look, spot[k].edge)) continue;
    tide_look_tiles(look, step + k, &tiled_ms, &acc);
    uint64_t in = look->in[spot[k].edge], n = acc.count + ones(hits & in);
    ret[spot[k].slot] = rate ? tide_value_rate(n, acc.count2 + ones(all & in)) : tide_num((double)n);
  }
}

static void counts(struct tide_look *look, struct tide_value *ret) {
  const struct tide_kind *kind = look->kind;
  lines(look);
#ifdef __x86_64__
  if (__builtin_cpu_supports("popcnt")) tally_popcnt(look, ret);
  else
#endif
    tally(look, ret);
  if (kind->distinct_edges & ~look->ends) {
    for (uint32_t s = kind->distinct_at; s < kind->other_at; s++)
      if (!((look->ends >> kind->step[s].edge) & 1)) recount(look, &kind->step[s], &kind->spot[s], ret);
  }
  for (uint32_t s = kind->capped_at; s < kind->other_at; s++) {
    struct tide_value *value = &ret[kind->spot[s].slot];
    if (value->num > kind->step[s].cap) *value = tide_value_distinct(&kind->step[s], kind->step[s].cap + UINT64_C(1));
  }
  if (!look->view.tiles) return;
  for (uint32_t s = 0; s < kind->distinct_at; s += kind->step[s].windows) /* the longest window reaches tiles if any does */
    if (kind->step[s + kind->step[s].windows - 1].tile_count) counts_tiled(look, &kind->step[s], &kind->spot[s], ret);
}

/* ---- sums ---- */

/* SUM and MEAN of a number that takes four bytes: a bit is set only where it is there, and 63 of them fit. */
static void sums_narrow(const struct tide_look *look, const struct tide_step *step, const struct tide_spot *spot, struct tide_value *ret) {
  struct tide_cells cells = {0};
  uint64_t todo = look->word[step->bit];
  if (todo) cells = tide_block_cells(look->kind, look->view.chunk[0].block, step->column);
  int64_t sum = 0, current;
  unsigned n = 0;
  if (tide_look_current(look, step, &current)) {
    sum = current;
    n = 1;
  }
  for (unsigned k = 0; k < step->windows; k++) {
    if (tide_look_late(look, spot[k].edge)) continue;
    uint64_t left = todo & look->in[spot[k].edge];
    todo ^= left;
    for (; left; left &= left - 1, n++) sum += (int64_t)tide_cells_get(&cells, (unsigned)__builtin_ctzll(left));
    if (step->agg == TIDE_AGG_SUM) ret[spot[k].slot] = tide_num((double)sum / step->scale);
    else ret[spot[k].slot] = n ? tide_num((double)sum / ((double)n * step->scale)) : tide_value_empty();
  }
}

static void sums(const struct tide_look *look, const struct tide_step *step, const struct tide_spot *spot, struct tide_value *ret) {
  uint64_t todo = look->word[step->bit];
  struct tide_acc acc = TIDE_ACC_EMPTY;
  int64_t current, tiled_ms = look->view.tiles ? look->view.tiles->until_ms : INT64_MIN;
  if (tide_look_current(look, step, &current)) tide_window_add_one(&acc, current);
  for (unsigned k = 0; k < step->windows; k++) {
    if (tide_look_late(look, spot[k].edge)) continue;
    if (look->view.tiles) tide_look_tiles(look, step + k, &tiled_ms, &acc);
    uint64_t left = todo & look->in[spot[k].edge];
    todo ^= left;
    for (; left; left &= left - 1)
      tide_window_add_one(&acc, tide_block_num(look->kind, look->view.chunk[0].block, step->column, (unsigned)__builtin_ctzll(left)));
    ret[spot[k].slot] = tide_value_of_sum(step, &acc);
  }
}

static bool is_narrow(const struct tide_look *look, const struct tide_step *step) {
  const struct tide_column *column = &look->kind->column[step->column];
  if (step->agg != TIDE_AGG_SUM && step->agg != TIDE_AGG_MEAN) return false; /* squares, min and max are read */
  if (look->view.tiles || !column->number) return false;
  return !look->n || column->width[tide_block_wide(look->view.chunk[0].block)] == 4;
}

/* ---- the rest ---- */

/* Events in order of time, the current one among them: of each the others that its own window holds are those behind the tail. The first u is before the events
 * that only lie in the reach of the inner window. */
static unsigned max_count(const struct tide_look *look, const struct tide_step *step, const struct tide_spot *spot, bool with_current) {
  const struct tide_edge *edge = &look->kind->edge[spot->edge];
  int64_t time_ms[TIDE_SMALL_EVENTS + 1];
  int64_t first_ms = tide_look_left_ms(look, edge) + step->inner_ms + 1;
  unsigned n = 0, best = 0;
  for (uint64_t left = look->word[step->bit] & look->in [spot->edge]; left; left &= left - 1) {
    int64_t ms = tide_block_time(look->kind, look->view.chunk[0].block, (unsigned)__builtin_ctzll(left));
    if (with_current && ms > look->txn->time_ms) {
      time_ms[n++] = look->txn->time_ms;
      with_current = false;
    }
    time_ms[n++] = ms;
  }
  if (with_current) time_ms[n++] = look->txn->time_ms;
  for (unsigned head = 0, tail = 0; head < n; head++) {
    int64_t u = time_ms[head] > first_ms ? time_ms[head] : first_ms;
    while (time_ms[tail] <= u - step->inner_ms && tail < head) tail++;
    unsigned in = head - tail + (time_ms[tail] > u - step->inner_ms);
    if (in > best) best = in;
  }
  return best;
}

/* Consecutive latest events of the window that satisfy both bits, among those that satisfy bit2. */
static unsigned streak(const struct tide_look *look, const struct tide_step *step, const struct tide_spot *spot) {
  uint64_t in = look->in[spot->edge] & look->word[step->bit2], broken = in & ~look->word[step->bit];
  if (broken) in &= UINT64_MAX << highest(broken); /* that one satisfies bit2 and not bit */
  return ones(in & look->word[step->bit]);
}

static void windows(const struct tide_look *look, const struct tide_step *step, const struct tide_spot *spot, struct tide_value *ret) {
  switch ((enum tide_agg)step->agg) {
    case TIDE_AGG_RATE:
      if (look->view.tiles) counts_tiled(look, step, spot, ret);
      else rates(look, step, spot, ret);
      return;
    case TIDE_AGG_APPROX_DISTINCT:
      for (unsigned k = 0; k < step->windows; k++) recount(look, step, spot + k, ret);
      return;
    case TIDE_AGG_MAX_COUNT:
      for (unsigned k = 0; k < step->windows; k++)
        ret[spot[k].slot] = tide_num((double)max_count(look, step, spot + k, step->with_current && tide_look_satisfies(look, step->bit)));
      return;
    case TIDE_AGG_STREAK:
      for (unsigned k = 0; k < step->windows; k++) ret[spot[k].slot] = tide_num((double)streak(look, step, spot + k));
      return;
    default:
      if (is_narrow(look, step)) sums_narrow(look, step, spot, ret);
      else sums(look, step, spot, ret);
  }
}

void tide_small_values(struct tide_look *look, struct tide_value *ret) {
  const struct tide_kind *kind = look->kind;
  begin(look);
  counts(look, ret);
  const struct tide_spot *spot = &kind->spot[kind->other_at];
  const struct tide_step *step = &kind->step[kind->other_at], *end = &kind->step[kind->windowless_at];
  for (; step < end; spot += step->windows, step += step->windows) windows(look, step, spot, ret);
}

bool tide_small_previous(const struct tide_look *look, const struct tide_step *step, int64_t horizon_ms, struct tide_at *ret) {
  uint64_t left = look->word[step->bit] & below(look->now.i);
  if (!left) return false;
  unsigned i = highest(left);
  if (tide_block_time(look->kind, look->view.chunk[0].block, i) <= horizon_ms) return false;
  *ret = at_of(i);
  return true;
}
