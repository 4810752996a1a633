/* Values of small logs, made of words (vector.h, vector_words.c).
 *
 * All counts of the kind are one loop over (word, window, slot). A distinct count is one as well: of the latest bits but that of the current event's value, and
 * the current event. Windows of a feature are nested, so sums walk each event once. Where nothing stands before the event, only what counts the event itself
 * differs from what the plan knows. */
#include "feature/block_dict.h"
#include "feature/vector.h"

/* Bits that are set (Warren, Hacker's Delight, 5-1); the instruction is not in every x86-64. */
static inline unsigned ones(uint64_t x) {
  x -= (x >> 1) & UINT64_C(0x5555555555555555);
  x = (x & UINT64_C(0x3333333333333333)) + ((x >> 2) & UINT64_C(0x3333333333333333));
  x = (x + (x >> 4)) & UINT64_C(0x0f0f0f0f0f0f0f0f);
  return (unsigned)((x * UINT64_C(0x0101010101010101)) >> 56);
}

static uint64_t below(unsigned n) { return (UINT64_C(1) << n) - 1; }
static unsigned highest(uint64_t x) { return 63u - (unsigned)__builtin_clzll(x); }

/* ---- counts ---- */

/* The event that carries the latest bit of this value, as a bit; 0 if none does. */
static uint64_t holder(const struct tide_kind *kind, const struct tide_entries *dict, const struct tide_block *block,
                       const struct tide_step *step, uint64_t left, uint64_t value) {
  const struct tide_column *column = &kind->column[step->column];
  int wide = tide_block_wide(block);
  unsigned width = column->width[wide], first = column->young ? (unsigned)block->n - block->yn : 0;
  const struct tide_entries *entries = column->dict == TIDE_NO_DICT ? NULL : &dict[column->dict];
  const char *cell = entries ? entries->entry + column->before[wide] : tide_block_column(kind, block, step->column);
  unsigned stride = entries ? entries->row : width;
  left &= UINT64_MAX << first; /* what is older has the column no more */
  if (entries && !tide_entries_plain(entries)) {
    uint32_t same = 0; /* entries with this value: other columns of theirs may differ */
    for (unsigned k = 0; k < entries->head->n; k++) same |= (uint32_t)(tide_load(cell + (size_t)k * stride, width) == value) << k;
    for (; same && left; left ^= UINT64_C(1) << highest(left))
      if ((same >> (entries->index ? entries->index[highest(left) - first] : 0)) & 1) return UINT64_C(1) << highest(left);
    return 0;
  }
  for (; left; left ^= UINT64_C(1) << highest(left))
    if (tide_load(cell + (size_t)(highest(left) - first) * stride, width) == value) return UINT64_C(1) << highest(left);
  return 0;
}

/* Lines of distinct counts: the event that has the current one's value gives way to it. */
static __attribute__((noinline)) void distinct_lines(struct tide_look *look) {
  const struct tide_kind *kind = look->kind;
  uint64_t *word = &look->word[TIDE_CONDS_MAX];
  struct tide_entries dict[TIDE_DICTS_MAX];
  bool found = false;
  for (unsigned l = kind->distinct_line; l < kind->line_count; l++) {
    const struct tide_step *step = &kind->step[kind->line[l].step];
    uint64_t carry = look->word[kind->line[l].bit];
    int64_t current;
    word[l] = carry;
    if (!((look->txn->conds >> kind->line[l].cond) & 1) || !tide_look_operand(look, step, &current)) continue;
    if (carry) {
      const struct tide_block *block = look->view.one.block;
      if (!found) tide_block_entries(kind, block, kind->distinct_dicts, dict);
      found = true;
      carry &= ~holder(kind, dict, block, step, carry, (uint64_t)current);
    }
    word[l] = carry | TIDE_CURRENT;
  }
}

/* The words in which the current event counts, of plain counts. */
static inline void count_lines(struct tide_look *look) {
  const struct tide_kind *kind = look->kind;
  uint64_t conds = look->txn->conds, *word = &look->word[TIDE_CONDS_MAX];
  for (unsigned l = 0; l < kind->distinct_line; l++)
    word[l] = look->word[kind->line[l].bit] | (conds >> kind->line[l].cond) << TIDE_SMALL_EVENTS;
}

/* Of the values [0, end) of kind->spot; ret holds numbers already. */
#define TALLY(is, ONES)                                                                                                                    \
  for (const struct tide_spot *spot = look->kind->spot, *last = spot + end; spot < last; spot++)                                           \
    ret[spot->slot].num is (double)(int)ONES(look->word[spot->word] & look->in[spot->edge]);

static void tally(const struct tide_look *look, uint32_t end, struct tide_value *ret) { TALLY(=, ones) }
static void tally_more(const struct tide_look *look, uint32_t end, struct tide_value *ret) { TALLY(+=, ones) }

#ifdef __x86_64__
__attribute__((target("popcnt"))) static void tally_popcnt(const struct tide_look *look, uint32_t end, struct tide_value *ret) {
  TALLY(=, __builtin_popcountll)
}
__attribute__((target("popcnt"))) static void tally_more_popcnt(const struct tide_look *look, uint32_t end, struct tide_value *ret) {
  TALLY(+=, __builtin_popcountll)
}
#define HAS_POPCNT __builtin_cpu_supports("popcnt")
#else
#define HAS_POPCNT false
#define tally_popcnt tally
#define tally_more_popcnt tally_more
#endif

static struct tide_at at_of(unsigned i) { return (struct tide_at){0, i}; }

/* APPROX_DISTINCT, and distinct counts where the log goes on behind a window: its latest bits do not say all then. */
static void recount(const struct tide_look *look, const struct tide_step *step, const struct tide_spot *spot, struct tide_value *ret) {
  uint64_t in = look->in[spot->edge] & ~TIDE_CURRENT;
  struct tide_at from = at_of(in ? (unsigned)__builtin_ctzll(in) : 0), to = at_of(in ? highest(in) + 1 : 0);
  int64_t current;
  const int64_t *with = tide_look_current(look, step, &current) ? &current : NULL;
  uint64_t n;
  if (!in) tide_put(&ret[spot->slot], tide_num(with != NULL));
  else if (step->agg == TIDE_AGG_DISTINCT &&
           tide_window_distinct(&look->view, step, from, to, ones(look->word[step->latest] & in), with, &n))
    tide_put(&ret[spot->slot], tide_value_distinct(step, n));
  else tide_put(&ret[spot->slot], tide_value_recounted(look, step, from, to, with));
}

static uint64_t word_with(const struct tide_look *look, const struct tide_step *step, uint8_t bit) {
  return look->word[bit] | (step->with_current && tide_look_satisfies(look, bit) ? TIDE_CURRENT : 0);
}

static void rates(const struct tide_look *look, const struct tide_step *step, const struct tide_spot *spot, struct tide_value *ret) {
  uint64_t hits = word_with(look, step, step->bit), all = word_with(look, step, step->bit2);
  for (unsigned k = 0; k < step->windows; k++) {
    uint64_t in = look->in[spot[k].edge];
    tide_put(&ret[spot[k].slot], tide_value_rate(ones(hits & in), ones(all & in)));
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
    tide_put(&ret[spot[k].slot], rate ? tide_value_rate(n, acc.count2 + ones(all & in)) : tide_num((double)n));
  }
}

static void counts(struct tide_look *look, struct tide_value *ret) {
  const struct tide_kind *kind = look->kind;
  count_lines(look);
  if (kind->distinct_line < kind->line_count) distinct_lines(look);
  if (HAS_POPCNT) tally_popcnt(look, kind->other_at, ret);
  else tally(look, kind->other_at, ret);
  if (TIDE_UNLIKELY(kind->distinct_edges & ~look->ends)) {
    for (uint32_t s = kind->distinct_at; s < kind->other_at; s++)
      if (!((look->ends >> kind->step[s].edge) & 1)) recount(look, &kind->step[s], &kind->spot[s], ret);
  }
  for (uint32_t s = kind->capped_at; look->n >= kind->least_cap && s < kind->other_at; s++) {
    struct tide_value *value = &ret[kind->spot[s].slot];
    if (value->num > kind->step[s].cap) tide_put(value, tide_value_distinct(&kind->step[s], kind->step[s].cap + UINT64_C(1)));
  }
  if (!look->view.tiles) return;
  for (uint32_t s = 0; s < kind->distinct_at; s += kind->step[s].windows) /* the longest window reaches tiles if any does */
    if (kind->step[s + kind->step[s].windows - 1].tile_count) counts_tiled(look, &kind->step[s], &kind->spot[s], ret);
}

/* ---- sums ---- */

/* Numbers of four bytes, which as a rule they are: where they begin and how many events before have none any more. A bit is set only where the number is. */
struct narrow {
  const uint32_t *value;
  unsigned first;
};

static inline struct narrow narrow_of(const struct tide_look *look, const struct tide_step *step) {
  const struct tide_block *block = look->view.one.block;
  unsigned first = look->kind->column[step->column].young ? (unsigned)block->n - block->yn : 0;
  return (struct narrow){tide_block_column(look->kind, block, step->column), first};
}

static bool is_narrow(const struct tide_look *look, const struct tide_step *step) {
  const struct tide_column *column = &look->kind->column[step->column];
  return look->n && !tide_block_wide(look->view.one.block) && column->width[0] == 4 && column->number;
}

/* Adds the step's number of each event in `left`. */
static inline void add_numbers(const struct tide_look *look, const struct tide_step *step, const struct narrow *narrow, uint64_t left,
                               struct tide_acc *acc) {
  const struct tide_block *block = look->view.one.block;
  for (; left; left &= left - 1) {
    unsigned i = (unsigned)__builtin_ctzll(left);
    TIDE_CHECK(!narrow || i >= narrow->first);
    tide_window_add_one(acc, narrow ? (int64_t)narrow->value[i - narrow->first] : tide_block_num(look->kind, block, step->column, i));
  }
}

/* SUM and MEAN of such numbers, of which 63 fit. */
static inline void sums_narrow(const struct tide_look *look, struct tide_value *ret) {
  const struct tide_kind *kind = look->kind;
  const struct tide_spot *spot = &kind->spot[kind->sum_at];
  for (const struct tide_step *step = &kind->step[kind->sum_at], *end = &kind->step[kind->plain_at]; step < end;) {
    struct narrow narrow = narrow_of(look, step);
    uint64_t todo = look->word[step->bit];
    int64_t sum = 0;
    unsigned n = 0;
    double scale = step->scale;
    bool mean = step->agg == TIDE_AGG_MEAN;
    for (unsigned k = step->windows; k > 0; k--, spot++, step++) {
      uint64_t left = todo & look->in[spot->edge];
      todo ^= left;
      for (; left; left &= left - 1, n++) {
        unsigned i = (unsigned)__builtin_ctzll(left);
        TIDE_CHECK(i >= narrow.first); /* a window that asks for a column that is gone is late */
        sum += narrow.value[i - narrow.first];
      }
      if (!mean) ret[spot->slot].num = (double)sum / scale;
      else if (n) tide_put(&ret[spot->slot], tide_num((double)sum / ((double)n * scale)));
    }
  }
}

static void sums(const struct tide_look *look, const struct tide_step *step, const struct tide_spot *spot, struct tide_value *ret) {
  struct narrow found, *narrow = NULL;
  if (is_narrow(look, step)) {
    found = narrow_of(look, step);
    narrow = &found;
  }
  uint64_t todo = look->word[step->bit];
  struct tide_acc acc = TIDE_ACC_EMPTY;
  int64_t current, tiled_ms = look->view.tiles ? look->view.tiles->until_ms : INT64_MIN;
  if (step->with_current && tide_look_current(look, step, &current)) tide_window_add_one(&acc, current);
  for (unsigned k = 0; k < step->windows; k++) {
    if (look->view.tiles && tide_look_late(look, spot[k].edge)) continue;
    if (look->view.tiles) tide_look_tiles(look, step + k, &tiled_ms, &acc);
    uint64_t left = todo & look->in[spot[k].edge];
    todo ^= left;
    add_numbers(look, step, narrow, left, &acc);
    tide_put(&ret[spot[k].slot], tide_value_of_sum(step, &acc));
  }
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
    int64_t ms = tide_block_time(look->kind, look->view.one.block, (unsigned)__builtin_ctzll(left));
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

static inline void windows(const struct tide_look *look, const struct tide_step *step, const struct tide_spot *spot, struct tide_value *ret) {
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
        ret[spot[k].slot].num = (double)max_count(look, step, spot + k, step->with_current && tide_look_satisfies(look, step->bit));
      return;
    case TIDE_AGG_STREAK:
      for (unsigned k = 0; k < step->windows; k++) ret[spot[k].slot].num = (double)streak(look, step, spot + k);
      return;
    default: sums(look, step, spot, ret);
  }
}

static __attribute__((noinline)) void others(const struct tide_look *look, uint32_t from, uint32_t to, struct tide_value *ret) {
  const struct tide_step *step = &look->kind->step[from], *end = &look->kind->step[to];
  for (const struct tide_spot *spot = &look->kind->spot[from]; step < end; spot += step->windows, step += step->windows)
    windows(look, step, spot, ret);
}

void tide_small_values(struct tide_look *look, struct tide_value *ret) {
  if (look->view.count) tide_small_words(look);
  else tide_small_nothing(look);
  counts(look, ret);
  const struct tide_kind *kind = look->kind;
  bool narrow = look->n && !look->view.tiles && !tide_block_wide(look->view.one.block);
  if (narrow) sums_narrow(look, ret);
  if (kind->other_at < kind->sum_at) others(look, kind->other_at, kind->sum_at, ret);
  if (!narrow && kind->sum_at < kind->plain_at) others(look, kind->sum_at, kind->plain_at, ret);
  if (kind->plain_at < kind->windowless_at) others(look, kind->plain_at, kind->windowless_at, ret);
}

void tide_piece_counts(struct tide_look *look, struct tide_value *ret) {
  const struct tide_kind *kind = look->kind;
  unsigned end = look->view.one.block->n, oldest = end;
  for (unsigned e = 0; e < kind->edge_count; e++)
    if (!look->from[e].chunk && look->from[e].i < oldest) oldest = look->from[e].i;
  for (bool newest = true; newest || end > oldest; newest = false) {
    unsigned first = end > TIDE_SMALL_EVENTS ? end - TIDE_SMALL_EVENTS : 0;
    tide_piece_words(look, first, end - first, newest);
    count_lines(look);
    if (newest && HAS_POPCNT) tally_popcnt(look, kind->distinct_at, ret);
    else if (newest) tally(look, kind->distinct_at, ret);
    else if (HAS_POPCNT) tally_more_popcnt(look, kind->distinct_at, ret);
    else tally_more(look, kind->distinct_at, ret);
    end = first;
  }
}

void tide_lone_others(struct tide_look *look, struct tide_value *ret) {
  tide_small_nothing(look);
  others(look, look->kind->other_at, look->kind->sum_at, ret);
}

bool tide_small_previous(const struct tide_look *look, const struct tide_step *step, int64_t horizon_ms, struct tide_at *ret) {
  uint64_t left = look->word[step->bit] & below(look->now.i);
  if (!left) return false;
  unsigned i = highest(left);
  if (tide_block_time(look->kind, look->view.one.block, i) <= horizon_ms) return false;
  *ret = at_of(i);
  return true;
}
