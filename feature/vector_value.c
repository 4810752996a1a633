/* Values that do not depend on how a log is walked (vector.h): what the current event adds, what a sum becomes, what single events before it tell.
 *
 * A mean, a deviation, a distance is made of exact integers by the same few operations in the same order everywhere, so two engines agree on every bit; distances
 * are rounded to 1 m because the functions of two math libraries may differ in the last one (ruling 5). */
#include <math.h>

#include "base/num.h"
#include "feature/vector.h"

bool tide_look_operand(const struct tide_look *look, const struct tide_step *step, int64_t *ret) {
  const struct tide_state *state = look->state;
  const struct tide_txn *txn = look->txn;
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

bool tide_look_current(const struct tide_look *look, const struct tide_step *step, int64_t *ret) {
  return step->with_current && tide_look_satisfies(look, step->bit) && tide_look_operand(look, step, ret);
}

static struct tide_value stddev_value(const struct tide_step *step, const struct tide_acc *acc) {
  if (acc->count < 2) return tide_value_empty();
  __int128 n = (__int128)acc->count, a, b, numerator;
  double top;
  if (__builtin_mul_overflow(n, acc->squares, &a) || __builtin_mul_overflow(acc->sum, acc->sum, &b) ||
      __builtin_sub_overflow(a, b, &numerator))
    top = (double)n * (double)acc->squares - (double)acc->sum * (double)acc->sum; /* beyond 10^7 events of 10^12 minor units */
  else top = (double)numerator;
  if (top < 0) top = 0;
  return tide_num(sqrt(top / ((double)n * (double)(n - 1))) / step->scale);
}

/* Nearly all sums fit eight bytes, of which the machine makes a double by itself. */
static double to_double(__int128 sum) { return sum == (int64_t)sum ? (double)(int64_t)sum : (double)sum; }

struct tide_value tide_value_of_sum(const struct tide_step *step, const struct tide_acc *acc) {
  switch ((enum tide_agg)step->agg) {
    case TIDE_AGG_SUM: return tide_num(to_double(acc->sum) / step->scale);
    case TIDE_AGG_MEAN: return acc->count ? tide_num(to_double(acc->sum) / ((double)acc->count * step->scale)) : tide_value_empty();
    case TIDE_AGG_STDDEV: return stddev_value(step, acc);
    case TIDE_AGG_MIN: return acc->count ? tide_num((double)acc->min / step->scale) : tide_value_empty();
    case TIDE_AGG_MAX: return acc->count ? tide_num((double)acc->max / step->scale) : tide_value_empty();
    default: TIDE_NEVER("sum"); return tide_value_empty();
  }
}

struct tide_value tide_value_recounted(const struct tide_look *look, const struct tide_step *step, struct tide_at from, struct tide_at to,
                                       const int64_t *current) {
  if (step->agg == TIDE_AGG_APPROX_DISTINCT) return tide_num(tide_window_approx(&look->view, step, from, to, current));
  struct tide_valueset *set = &look->state->scratch;
  tide_valueset_clear(set);
  tide_window_values(&look->view, step, from, to, set);
  if (current) (void)tide_valueset_add(set, (uint64_t)*current);
  return tide_value_distinct(step, set->used);
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

/* From the event at `at`; values of one previous event share it. */
static double distance_km(struct tide_look *look, const struct tide_step *step, struct tide_at at) {
  if (tide_at_eq(look->far_at, at)) return look->far_km;
  const struct tide_spec *spec = look->state->plan->spec;
  const struct tide_block *block = look->view.chunk[at.chunk].block;
  double lat_scale = (double)tide_pow10[spec->field[spec->f_lat].decimals],
         lon_scale = (double)tide_pow10[spec->field[spec->f_lon].decimals];
  const struct tide_column *a = &look->kind->column[step->column], *b = &look->kind->column[step->column2];
  struct tide_cells lats = tide_block_cells(look->kind, block, step->column), lons = lats; /* as a rule they stand side by side */
  int wide = tide_block_wide(block);
  if (a->dict != TIDE_NO_DICT && a->dict == b->dict && a->width[wide] == b->width[wide]) lons.cell += b->before[wide] - a->before[wide];
  else lons = tide_block_cells(look->kind, block, step->column2);
  double lat = (double)(int32_t)(uint32_t)tide_cells_get(&lats, at.i) / lat_scale;
  double lon = (double)(int32_t)(uint32_t)tide_cells_get(&lons, at.i) / lon_scale;
  look->far_at = at;
  return look->far_km = haversine_km(lat, lon, look->txn->field[spec->f_lat].num, look->txn->field[spec->f_lon].num);
}

static struct tide_value place_value(struct tide_look *look, const struct tide_step *step, struct tide_at at) {
  double km = distance_km(look, step, at);
  if (step->agg == TIDE_AGG_DISTANCE) return tide_num(km);
  int64_t dt_ms = look->txn->time_ms - tide_block_time(look->kind, look->view.chunk[at.chunk].block, at.i);
  return tide_num(km / ((double)(dt_ms < 1000 ? 1000 : dt_ms) / 3600000.0));
}

static struct tide_value column_to_value(const struct tide_look *look, const struct tide_step *step, const struct tide_block *block,
                                         unsigned i) {
  const struct tide_column *column = &look->kind->column[step->column];
  if (column->what == TIDE_COL_CODE || column->what == TIDE_COL_ENTITY) {
    uint64_t code = tide_block_get(look->kind, block, step->column, i);
    bool boolean = column->what == TIDE_COL_CODE && look->state->plan->spec->field[column->ref].type == TIDE_F_BOOL;
    if (!boolean) return tide_text(code);
    return code ? tide_num((double)(code - 1)) : tide_null(TIDE_S_absent, TIDE_C_absent);
  }
  int64_t num = tide_block_num(look->kind, block, step->column, i);
  return num == TIDE_NULL_NUM ? tide_null(TIDE_S_absent, TIDE_C_absent) : tide_num((double)num / step->scale);
}

static struct tide_value changed_value(const struct tide_look *look, const struct tide_step *step, const struct tide_block *block,
                                       unsigned i) {
  const struct tide_column *column = &look->kind->column[step->column];
  int64_t current, old;
  if (!tide_look_operand(look, step, &current)) return tide_null(TIDE_S_absent, TIDE_C_absent);
  if (column->what == TIDE_COL_CODE || column->what == TIDE_COL_THING || column->what == TIDE_COL_ENTITY) {
    old = (int64_t)tide_block_get(look->kind, block, step->column, i);
    if (!old) return tide_null(TIDE_S_absent, TIDE_C_absent);
  } else {
    old = tide_block_num(look->kind, block, step->column, i);
    if (old == TIDE_NULL_NUM) return tide_null(TIDE_S_absent, TIDE_C_absent);
  }
  return tide_num(old != current);
}

/* Seconds; an event that the lead lets in is not in the past: 0. */
static struct tide_value since(int64_t now_ms, int64_t then_ms) {
  return tide_num(then_ms > now_ms ? 0.0 : (double)(now_ms - then_ms) / 1000.0);
}

struct tide_value tide_value_first(const struct tide_look *look, const struct tide_step *step) {
  const struct tide_txn *txn = look->txn;
  uint32_t number = txn->number[look->kind->entity];
  bool seen = false;
  int64_t first_ms = 0;
  if (number != TIDE_NO_ENTITY) {
    const struct tide_first *first = tide_store_first(&look->state->store[look->kind->entity], number);
    first_ms = first->first_ms;
    seen = first_ms <= txn->time_ms + txn->lead_ms && first->last_ms > look->txn->watermark_ms - look->kind->forget_ms;
  }
  if (step->agg == TIDE_AGG_NEW) return tide_num(!seen);
  return seen ? since(txn->time_ms, first_ms) : tide_value_empty();
}

struct tide_value tide_value_previous(struct tide_look *look, const struct tide_step *step) {
  const struct tide_spec *spec = look->state->plan->spec;
  bool wants_place = step->agg == TIDE_AGG_DISTANCE || step->agg == TIDE_AGG_SPEED;
  if (wants_place && (look->txn->field[spec->f_lat].type == TIDE_V_NULL || look->txn->field[spec->f_lon].type == TIDE_V_NULL))
    return tide_null(TIDE_S_absent, TIDE_C_absent);
  if (!look->view.count) return tide_value_empty();
  int64_t horizon_ms = look->txn->watermark_ms - look->kind->span_ms - look->state->plan->settings.grace_ms;
  struct tide_at at;
  bool found = look->small ? tide_small_previous(look, step, horizon_ms, &at)
                           : tide_window_previous(&look->view, step, tide_view_after(&look->view, horizon_ms), look->now, &at);
  if (!found) return tide_value_empty();
  const struct tide_block *block = look->view.chunk[at.chunk].block;
  switch ((enum tide_agg)step->agg) {
    case TIDE_AGG_SINCE_PREVIOUS: return since(look->txn->time_ms, tide_block_time(look->kind, block, at.i));
    case TIDE_AGG_LAST: return column_to_value(look, step, block, at.i);
    case TIDE_AGG_CHANGED: return changed_value(look, step, block, at.i);
    default: return place_value(look, step, at);
  }
}
