/* All features of one event as the state stands (rulings 7-21 of README.md).
 *
 * Per entity: find the log, turn each distinct pair of window edges into places in it, then run the steps. Windows of one feature follow each other
 * from short to long and share an accumulator, so the cost is that of the longest one. A value is judged in a fixed order: key missing, entity not
 * admitted, window begins before retention, window begins before history, then the number itself.
 *
 * Nearly all logs hold a few dozen events at most. Of such a one each condition is a word, a bit an event (`words`), so a count over a window is a
 * mask and a population count. What is rarer than counts and sums takes the way of large logs, which gives the same. */
#include <math.h>

#include "base/num.h"
#include "feature/state.h"
#include "feature/tile.h"

struct place {
  struct tide_at from, to;
  int64_t left_ms, right_ms;
  uint64_t events; /* of a small log: those in the window */
};

static int64_t floor_to(int64_t ms, int64_t hop_ms) {
  int64_t rest = ms % hop_ms;
  return ms - (rest < 0 ? rest + hop_ms : rest);
}

/* `now`: behind all events up to t + lead, where windows that are not delayed end. */
static struct place find_place(const struct tide_view *view, const struct tide_edge *edge, int64_t t_ms, int64_t lead_ms,
                               struct tide_at now) {
  struct place place = {.events = 0};
  place.right_ms = edge->delayed_ms ? t_ms - edge->delayed_ms : t_ms + lead_ms;
  place.left_ms = t_ms - edge->delayed_ms - edge->window_ms - edge->inner_ms;
  if (edge->hop_ms) place.left_ms = floor_to(place.left_ms, edge->hop_ms);
  place.from = tide_view_after(view, place.left_ms);
  place.to = edge->delayed_ms ? tide_view_after(view, place.right_ms) : now;
  return place;
}

/* The current event's operand as the column would hold it; false when it is missing. */
static bool current_operand(const struct tide_state *state, const struct tide_txn *txn, const struct tide_step *step, int64_t *ret) {
  switch ((enum tide_operand)step->of) {
    case TIDE_OF_NONE: return false;
    case TIDE_OF_AMOUNT: *ret = txn->amount_now; return *ret != TIDE_NULL_NUM;
    case TIDE_OF_REQUESTED: *ret = txn->requested; return *ret != TIDE_NULL_NUM;
    case TIDE_OF_ENTITY: {
      uint32_t e = step->operand_field, number = txn->number[e];
      if (!txn->has_key[e]) return false;
      *ret = (int64_t)(number == TIDE_NO_ENTITY ? tide_key_code(txn->key[e]) : tide_store_code(&state->store[e], number));
      return true;
    }
    case TIDE_OF_FIELD: {
      const struct tide_value *value = &txn->field[step->operand_field];
      if (value->type == TIDE_V_NULL) return false;
      uint8_t type = state->plan->spec->field[step->operand_field].type;
      if (type == TIDE_F_NUMBER || type == TIDE_F_TIME) *ret = txn->record->field[step->operand_field].num;
      else if (value->type != TIDE_V_TEXT) *ret = 1 + value->yes;
      else *ret = (int64_t)txn->thing[step->operand_field];
      return true;
    }
  }
  return false;
}

struct judge {
  struct tide_state *state;
  const struct tide_txn *txn;
  const struct tide_kind *kind;
  struct tide_view view;
  struct tide_at now;  /* visible events before e stand before it */
  struct words *words; /* of a log of at most WORD events; NULL: of a larger one, or one with tiles */
};

/* ---- small logs ---- */

#define WORD 64

/* For each condition the events that satisfy it, oldest in the lowest bit; made when first asked for. */
struct words {
  unsigned n;
  uint64_t made;
  uint64_t of[TIDE_CONDS_MAX];
  const void *mask; /* the column */
  unsigned width;
};

#define GATHER(type)                                                                                                                       \
  {                                                                                                                                        \
    const type *mask = words->mask;                                                                                                        \
    for (unsigned i = 0; i < words->n; i++) word |= (uint64_t)((mask[i] >> bit) & 1) << i;                                                 \
  }

static uint64_t word_of(struct words *words, uint8_t bit) {
  if ((words->made >> bit) & 1) return words->of[bit];
  uint64_t word = 0;
  switch (words->width) {
    case 1: GATHER(uint8_t) break;
    case 2: GATHER(uint16_t) break;
    case 4: GATHER(uint32_t) break;
    default: GATHER(uint64_t) break;
  }
  words->made |= UINT64_C(1) << bit;
  return words->of[bit] = word;
}

static void words_begin(struct words *words, const struct tide_view *view) {
  words->n = 0;
  words->made = 0;
  if (!view->count) return;
  const struct tide_block *block = view->chunk[0].block;
  unsigned column = view->kind->col_of[TIDE_COL_MASK];
  words->n = block->n;
  words->mask = tide_block_column(view->kind, block, column);
  words->width = view->kind->column[column].width[tide_block_wide(block)];
}

static bool is_small(const struct tide_view *view) {
  return !view->tiles && !view->big && (!view->count || view->chunk[0].block->n <= WORD);
}

/* Places of a small log are indexes: its end is n. */
static unsigned index_of(const struct words *words, struct tide_at at) { return at.chunk ? words->n : at.i; }

/* The bits [from, to). */
static uint64_t between(unsigned from, unsigned to) {
  uint64_t below = to >= WORD ? UINT64_MAX : (UINT64_C(1) << to) - 1;
  return from >= WORD ? 0 : below & ~((UINT64_C(1) << from) - 1);
}

/* Bits that are set (Warren, Hacker's Delight, 5-1); the instruction is not in every x86-64. */
static unsigned ones(uint64_t x) {
  if (!x) return 0;
  x -= (x >> 1) & UINT64_C(0x5555555555555555);
  x = (x & UINT64_C(0x3333333333333333)) + ((x >> 2) & UINT64_C(0x3333333333333333));
  x = (x + (x >> 4)) & UINT64_C(0x0f0f0f0f0f0f0f0f);
  return (unsigned)((x * UINT64_C(0x0101010101010101)) >> 56);
}

/* How many events of the window satisfy the condition. */
static unsigned ones_in(struct words *words, uint8_t bit, const struct place *place) {
  return place->events ? ones(word_of(words, bit) & place->events) : 0;
}

/* Adds the events of [from, to) that satisfy the step's bit, by what its accumulator is read for. */
static void add_small(const struct judge *judge, const struct tide_step *step, unsigned from, unsigned to, struct tide_acc *acc) {
  if (from >= to) return;
  const struct tide_kind *kind = judge->kind;
  const struct tide_block *block = judge->view.chunk[0].block;
  uint64_t left = word_of(judge->words, step->bit) & between(from, to);
  if (!left) return;
  struct tide_cells cells = tide_block_cells(kind, block, step->column);
  bool sums_only = step->agg == TIDE_AGG_SUM || step->agg == TIDE_AGG_MEAN; /* nobody reads the squares, min and max */
  if (sums_only && cells.width == 4 && kind->column[step->column].number) { /* a bit is set only where the value is there */
    uint64_t sum = 0;
    acc->count += ones(left);
    for (; left; left &= left - 1) sum += tide_cells_get(&cells, (unsigned)__builtin_ctzll(left));
    acc->sum += (__int128)sum;
    return;
  }
  for (; left; left &= left - 1) tide_window_add_one(acc, tide_block_num(kind, block, step->column, (unsigned)__builtin_ctzll(left)));
}

static struct tide_value empty(void) { return tide_null(TIDE_S_empty, TIDE_C_empty); }
static bool current_satisfies(const struct judge *judge, uint8_t bit) { return (judge->txn->conds >> judge->kind->cond[bit]) & 1; }

static void add_window(const struct judge *judge, const struct tide_step *step, struct tide_at from, struct tide_at to,
                       struct tide_acc *acc) {
  if (judge->words) add_small(judge, step, index_of(judge->words, from), index_of(judge->words, to), acc);
  else tide_window_add(&judge->view, step, from, to, acc);
}

/* How many events of the window satisfy the bit; `sofar` is that of the accumulator, which only large logs need. */
static uint64_t count_window(const struct judge *judge, uint8_t bit, const struct place *place, uint64_t sofar) {
  return judge->words ? ones_in(judge->words, bit, place) : sofar;
}

static struct tide_value distinct_value(const struct judge *judge, const struct tide_step *step, const struct place *place,
                                        struct tide_acc *acc, struct tide_at chained_to) {
  int64_t current = 0;
  bool with = step->with_current && current_satisfies(judge, step->bit) && current_operand(judge->state, judge->txn, step, &current);
  uint64_t n;
  if (tide_at_eq(place->to, tide_view_end(&judge->view))) {
    if (!judge->words) tide_window_add(&judge->view, step, place->from, chained_to, acc);
    n = count_window(judge, step->latest, place, acc->count);
    unsigned group = step->latest - judge->kind->cond_count;
    struct tide_at holder;
    if (with && !(tide_view_latest(&judge->view, group, (uint64_t)current, &holder) && !tide_at_less(holder, place->from))) n++;
  } else { /* the window ends before the log does: its latest bits say nothing, so count again */
    struct tide_valueset *set = &judge->state->scratch;
    tide_valueset_clear(set);
    tide_window_values(&judge->view, step, place->from, place->to, set);
    n = set->used;
    if (with && (set->cap == 0 || tide_valueset_add(set, (uint64_t)current))) n = set->cap ? set->used : 1;
  }
  struct tide_value value = tide_num((double)n);
  if (step->cap && n > step->cap) {
    value = tide_num((double)step->cap);
    value.state = TIDE_S_saturated;
    value.cause = TIDE_C_saturated;
  }
  return value;
}

static struct tide_value stddev_value(const struct tide_step *step, const struct tide_acc *acc) {
  if (acc->count < 2) return empty();
  __int128 n = (__int128)acc->count, a, b, numerator;
  double top;
  if (__builtin_mul_overflow(n, acc->squares, &a) || __builtin_mul_overflow(acc->sum, acc->sum, &b) ||
      __builtin_sub_overflow(a, b, &numerator))
    top = (double)n * (double)acc->squares - (double)acc->sum * (double)acc->sum; /* beyond 10^7 events of 10^12 minor units */
  else top = (double)numerator;
  if (top < 0) top = 0;
  return tide_num(sqrt(top / ((double)n * (double)(n - 1))) / step->scale);
}

static struct tide_value sum_value(const struct judge *judge, const struct tide_step *step, const struct tide_acc *sofar) {
  struct tide_acc acc = *sofar;
  int64_t x;
  if (step->with_current && current_satisfies(judge, step->bit) && current_operand(judge->state, judge->txn, step, &x))
    tide_window_add_one(&acc, x);
  switch ((enum tide_agg)step->agg) {
    case TIDE_AGG_SUM: return tide_num((double)acc.sum / step->scale);
    case TIDE_AGG_MEAN: return acc.count ? tide_num((double)acc.sum / ((double)acc.count * step->scale)) : empty();
    case TIDE_AGG_STDDEV: return stddev_value(step, &acc);
    case TIDE_AGG_MIN: return acc.count ? tide_num((double)acc.min / step->scale) : empty();
    case TIDE_AGG_MAX: return acc.count ? tide_num((double)acc.max / step->scale) : empty();
    default: TIDE_NEVER("sum"); return empty();
  }
}

static struct tide_value window_value(const struct judge *judge, const struct tide_step *step, const struct place *place,
                                      struct tide_acc *acc, struct tide_at chained_to) {
  switch ((enum tide_agg)step->agg) {
    case TIDE_AGG_COUNT:
      if (!judge->words) tide_window_add(&judge->view, step, place->from, chained_to, acc);
      return tide_num(
          (double)(count_window(judge, step->bit, place, acc->count) + (step->with_current && current_satisfies(judge, step->bit))));
    case TIDE_AGG_RATE: {
      if (!judge->words) tide_window_add(&judge->view, step, place->from, chained_to, acc);
      uint64_t n = count_window(judge, step->bit2, place, acc->count2) + (step->with_current && current_satisfies(judge, step->bit2));
      uint64_t hits = count_window(judge, step->bit, place, acc->count) + (step->with_current && current_satisfies(judge, step->bit));
      return n ? tide_num((double)hits / (double)n) : empty();
    }
    case TIDE_AGG_DISTINCT: return distinct_value(judge, step, place, acc, chained_to);
    case TIDE_AGG_APPROX_DISTINCT: {
      int64_t current;
      bool with = step->with_current && current_satisfies(judge, step->bit) && current_operand(judge->state, judge->txn, step, &current);
      return tide_num(tide_window_approx(&judge->view, step, place->from, place->to, with ? &current : NULL));
    }
    case TIDE_AGG_MAX_COUNT:
      return tide_num((double)tide_window_max_count(
          &judge->view, step, place->from, place->to, place->right_ms, place->right_ms - place->left_ms - step->inner_ms,
          step->with_current && current_satisfies(judge, step->bit) ? &judge->txn->time_ms : NULL));
    case TIDE_AGG_STREAK: return tide_num((double)tide_window_streak(&judge->view, step, place->from, place->to));
    default: add_window(judge, step, place->from, chained_to, acc); return sum_value(judge, step, acc);
  }
}

#define EARTH_RADIUS_KM 6371.0088 /* mean radius R1, Moritz 2000 */

/* Haversine (Sinnott 1984), rounded to 1 m so that math libraries agree. Degrees in, km out. */
static double haversine_km(double lat1, double lon1, double lat2, double lon2) {
  const double radian = 3.14159265358979323846 / 180.0;
  double s = sin((lat2 - lat1) * radian / 2), t = sin((lon2 - lon1) * radian / 2);
  double h = s * s + cos(lat1 * radian) * cos(lat2 * radian) * t * t;
  double km = 2 * EARTH_RADIUS_KM * asin(h >= 1 ? 1 : sqrt(h));
  return round(km * 1000) / 1000;
}

static struct tide_value place_value(const struct judge *judge, const struct tide_step *step, const struct tide_block *block, unsigned i) {
  const struct tide_spec *spec = judge->state->plan->spec;
  double lat_scale = (double)tide_pow10[spec->field[spec->f_lat].decimals],
         lon_scale = (double)tide_pow10[spec->field[spec->f_lon].decimals];
  double lat = (double)(int32_t)(uint32_t)tide_block_get(judge->kind, block, step->column, i) / lat_scale;
  double lon = (double)(int32_t)(uint32_t)tide_block_get(judge->kind, block, step->column2, i) / lon_scale;
  double km = haversine_km(lat, lon, judge->txn->field[spec->f_lat].num, judge->txn->field[spec->f_lon].num);
  if (step->agg == TIDE_AGG_DISTANCE) return tide_num(km);
  int64_t dt_ms = judge->txn->time_ms - tide_block_time(judge->kind, block, i);
  return tide_num(km / ((double)(dt_ms < 1000 ? 1000 : dt_ms) / 3600000.0));
}

static struct tide_value column_to_value(const struct judge *judge, const struct tide_step *step, const struct tide_block *block,
                                         unsigned i) {
  const struct tide_column *column = &judge->kind->column[step->column];
  if (column->what == TIDE_COL_CODE || column->what == TIDE_COL_ENTITY) {
    uint64_t code = tide_block_get(judge->kind, block, step->column, i);
    bool boolean = column->what == TIDE_COL_CODE && judge->state->plan->spec->field[column->ref].type == TIDE_F_BOOL;
    if (!boolean) return tide_text(code);
    return code ? tide_num((double)(code - 1)) : tide_null(TIDE_S_absent, TIDE_C_absent);
  }
  int64_t num = tide_block_num(judge->kind, block, step->column, i);
  return num == TIDE_NULL_NUM ? tide_null(TIDE_S_absent, TIDE_C_absent) : tide_num((double)num / step->scale);
}

static struct tide_value changed_value(const struct judge *judge, const struct tide_step *step, const struct tide_block *block,
                                       unsigned i) {
  const struct tide_column *column = &judge->kind->column[step->column];
  int64_t current, old;
  if (!current_operand(judge->state, judge->txn, step, &current)) return tide_null(TIDE_S_absent, TIDE_C_absent);
  if (column->what == TIDE_COL_CODE || column->what == TIDE_COL_THING || column->what == TIDE_COL_ENTITY) {
    old = (int64_t)tide_block_get(judge->kind, block, step->column, i);
    if (!old) return tide_null(TIDE_S_absent, TIDE_C_absent);
  } else {
    old = tide_block_num(judge->kind, block, step->column, i);
    if (old == TIDE_NULL_NUM) return tide_null(TIDE_S_absent, TIDE_C_absent);
  }
  return tide_num(old != current);
}

/* Seconds; an event that the lead lets in is not in the past: 0. */
static struct tide_value since(int64_t now_ms, int64_t then_ms) {
  return tide_num(then_ms > now_ms ? 0.0 : (double)(now_ms - then_ms) / 1000.0);
}

static struct tide_value first_value(const struct judge *judge, const struct tide_step *step) {
  const struct tide_txn *txn = judge->txn;
  uint32_t number = txn->number[judge->kind->entity];
  bool seen = false;
  int64_t first_ms = 0;
  if (number != TIDE_NO_ENTITY) {
    const struct tide_first *first = tide_store_first(&judge->state->store[judge->kind->entity], number);
    first_ms = first->first_ms;
    seen = first_ms <= txn->time_ms + txn->lead_ms && first->last_ms > judge->state->watermark_ms - judge->kind->forget_ms;
  }
  if (step->agg == TIDE_AGG_NEW) return tide_num(!seen);
  return seen ? since(txn->time_ms, first_ms) : empty();
}

static struct tide_value previous_value(const struct judge *judge, const struct tide_step *step) {
  const struct tide_spec *spec = judge->state->plan->spec;
  bool wants_place = step->agg == TIDE_AGG_DISTANCE || step->agg == TIDE_AGG_SPEED;
  if (wants_place && (judge->txn->field[spec->f_lat].type == TIDE_V_NULL || judge->txn->field[spec->f_lon].type == TIDE_V_NULL))
    return tide_null(TIDE_S_absent, TIDE_C_absent);
  struct tide_at at, horizon;
  int64_t horizon_ms = judge->state->watermark_ms - judge->kind->span_ms - judge->state->plan->settings.grace_ms;
  if (!judge->view.count) return empty();
  horizon = tide_view_after(&judge->view, horizon_ms);
  if (!tide_window_previous(&judge->view, step, horizon, judge->now, &at)) return empty();
  const struct tide_block *block = judge->view.chunk[at.chunk].block;
  switch ((enum tide_agg)step->agg) {
    case TIDE_AGG_SINCE_PREVIOUS: return since(judge->txn->time_ms, tide_block_time(judge->kind, block, at.i));
    case TIDE_AGG_LAST: return column_to_value(judge, step, block, at.i);
    case TIDE_AGG_CHANGED: return changed_value(judge, step, block, at.i);
    default: return place_value(judge, step, block, at.i);
  }
}

static struct tide_value too_late(void) {
  struct tide_value value = tide_null(TIDE_S_stale, TIDE_C_too_late);
  value.unknown = true;
  return value;
}

static inline struct tide_value warm(const struct tide_group *group, struct tide_value value) {
  if (group->warming == TIDE_STALE_DEFAULT) {
    value = tide_num(group->warming_default);
    value.state = TIDE_S_defaulted;
  } else {
    value.state = TIDE_S_warming;
    if (group->warming == TIDE_STALE_MARK && value.type == TIDE_V_NULL) return value; /* keeps its own cause */
    value.unknown = group->warming == TIDE_STALE_FALLBACK;
  }
  value.cause = TIDE_C_warming;
  return value;
}

/* Where an entity has no events yet, or few: every count of it, without a step for each. */
static void eval_tallies(const struct judge *judge, const struct place *place, struct tide_value *ret) {
  const struct tide_kind *kind = judge->kind;
  const struct tide_state *state = judge->state;
  const struct tide_group *group = &state->plan->spec->group[state->plan->spec->entity[kind->entity].group];
  uint64_t conds = judge->txn->conds;
  for (uint32_t t = 0; t < kind->tally_count; t++) {
    const struct tide_tally *tally = &kind->tally[t];
    const struct place *at = &place[tally->edge];
    struct tide_value *value = &ret[tally->slot];
    if (at->left_ms < state->watermark_ms - tally->keep_ms) {
      *value = too_late();
      continue;
    }
    unsigned n = ones_in(judge->words, tally->bit, at) + (unsigned)(tally->with_current & (conds >> tally->cond));
    *value = tide_num((double)n);
    if (at->left_ms < state->history_from_ms) *value = warm(group, *value);
  }
}

static void eval_kind(struct tide_state *state, const struct tide_txn *txn, uint32_t e, struct tide_value *ret) {
  const struct tide_kind *kind = &state->plan->kind[e];
  if (!txn->has_key[e]) {
    for (uint32_t s = 0; s < kind->step_count; s++) ret[kind->step[s].slot] = tide_null(TIDE_S_absent, TIDE_C_absent);
    return;
  }
  if (tide_txn_capacity(state, txn, e)) {
    struct tide_value value = tide_null(TIDE_S_absent, TIDE_C_capacity);
    value.unknown = true;
    for (uint32_t s = 0; s < kind->step_count; s++) ret[kind->step[s].slot] = value;
    return;
  }
  struct judge judge = {.state = state, .txn = txn, .kind = kind};
  tide_view_of(kind, txn->number[e] == TIDE_NO_ENTITY ? NULL : tide_store_ent(&state->store[e], txn->number[e]), &judge.view);
  judge.now = tide_view_after(&judge.view, txn->time_ms + txn->lead_ms);
  struct words words;
  if (is_small(&judge.view)) {
    words_begin(&words, &judge.view);
    judge.words = &words;
  }
  struct place place[TIDE_EDGES_MAX];
  for (unsigned i = 0; i < kind->edge_count; i++) {
    place[i] = find_place(&judge.view, &kind->edge[i], txn->time_ms, txn->lead_ms, judge.now);
    if (judge.words) place[i].events = between(index_of(&words, place[i].from), index_of(&words, place[i].to));
  }
  struct tide_acc acc = TIDE_ACC_EMPTY;
  struct tide_at done = {0, 0};
  int64_t tiled_ms = 0; /* tiles from here on are in acc already */
  if (judge.words) eval_tallies(&judge, place, ret);
  for (uint32_t s = judge.words ? kind->tally_count : 0; s < kind->step_count; s++) {
    const struct tide_step *step = &kind->step[s];
    struct tide_value *value = &ret[step->slot];
    if (step->edge == 0xff) {
      bool first = step->agg == TIDE_AGG_SINCE_FIRST || step->agg == TIDE_AGG_NEW;
      if (step->agg == TIDE_AGG_FACT) *value = tide_fact_value(state, txn, kind, step);
      else *value = first ? first_value(&judge, step) : previous_value(&judge, step);
      continue;
    }
    const struct place *at = &place[step->edge];
    if (!step->chained) {
      acc = TIDE_ACC_EMPTY;
      done = at->to;
      if (judge.view.tiles) tiled_ms = judge.view.tiles->until_ms;
    }
    if (at->left_ms < state->watermark_ms - step->keep_ms) {
      *value = too_late();
      continue; /* longer windows of the feature are too late as well */
    }
    if (judge.view.tiles && at->left_ms < tiled_ms) {
      tide_tiles_sum(kind, judge.view.tiles, step, at->left_ms, tiled_ms, &acc);
      tiled_ms = at->left_ms;
      state->tile_use.read++;
    }
    *value = window_value(&judge, step, at, &acc, done);
    done = at->from;
    bool young = state->slot_from_ms && at->left_ms < state->slot_from_ms[step->slot];
    if (young || at->left_ms < state->history_from_ms) *value = warm(&state->plan->spec->group[step->group], *value);
  }
}

void tide_vector_eval(struct tide_state *state, const struct tide_txn *txn, struct tide_value *ret) {
  for (uint32_t e = 0; e < state->plan->spec->entity_count; e++) eval_kind(state, txn, e, ret);
}
