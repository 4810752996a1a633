/* Features of the oracle: for one event, look at every event before it and count what the definition says.
 *
 * Members of a window are collected into an array in order of (time, position); each aggregation then reads that array. */
#include <math.h>
#include <string.h>

#include "feature/expr.h"
#include "tests/oracle/random.h"
#include "tests/oracle/recount.h"

struct look {
  const struct or_case *c;
  const struct or_event *past;
  int count;
  const struct or_event *e;
  const struct or_feature *f;
  int64_t horizon_ms; /* events at or before it are gone */
};

static struct or_env env_of(const struct or_case *c, const struct or_event *ev) {
  struct or_env env = {.c = c, .field = ev->field, .event = ev, .time_ms = ev->time_ms};
  env.amount = or_money(c, ev->has_amount, ev->amount_now); /* 19 */
  env.requested = or_money(c, ev->has_requested, ev->requested);
  return env;
}

/* 16, 18, 20: does the event belong to S? */
static bool in_s(const struct look *l, const struct or_event *ev) {
  const struct or_feature *f = l->f;
  bool streak = f->agg == OA_STREAK; /* its predicate does not choose, it stops */
  bool names_kind = or_expr_reads(f->where, OX_FIELD, OF_KIND) || or_expr_reads(f->rate_of, OX_FIELD, OF_KIND);
  if (!names_kind && !ev->scored) return false;
  struct or_env env = env_of(l->c, ev);
  return !f->where || streak || or_is_true(f->where, &env);
}

static bool same_entity(const struct look *l, const struct or_event *ev) {
  int n = l->f->entity;
  return ev->counts && ev->in[n] && strcmp(ev->key[n], l->e->key[n]) == 0;
}

/* S in (left, right], sorted by (time, position): the current event, if it counts itself, stands last of its time. */
static int members(const struct look *l, int64_t left_ms, int64_t right_ms, const struct or_event **ret) {
  int n = 0;
  for (int i = 0; i <= l->count; i++) {
    const struct or_event *ev = i < l->count ? &l->past[i] : l->e;
    if (i == l->count && !(l->f->with_current && ev->counts)) break;
    if (i < l->count && !same_entity(l, ev)) continue;
    if (ev->time_ms <= left_ms || ev->time_ms > right_ms || ev->time_ms <= l->horizon_ms || !in_s(l, ev)) continue;
    int at = n++;
    for (; at > 0 && ret[at - 1]->time_ms > ev->time_ms; at--) ret[at] = ret[at - 1];
    ret[at] = ev;
  }
  return n;
}

/* The operand as an exact integer and its scale; false when the event has none. */
static bool operand(const struct look *l, const struct or_event *ev, int64_t *ret, double *ret_scale) {
  const struct or_feature *f = l->f;
  int decimals = f->of == OO_FIELD ? or_field_info[f->of_ref].decimals : l->c->exponent;
  for (*ret_scale = 1; decimals > 0; decimals--) *ret_scale *= 10;
  if (f->of == OO_AMOUNT) return *ret = ev->amount_now, ev->has_amount;
  if (f->of == OO_REQUESTED) return *ret = ev->requested, ev->has_requested;
  return *ret = ev->field[f->of_ref].num, ev->field[f->of_ref].has;
}

/* Do two events have the same thing there? Both have it. */
static bool same_thing(const struct look *l, const struct or_event *a, const struct or_event *b) {
  const struct or_feature *f = l->f;
  if (f->of == OO_ENTITY) return strcmp(a->key[f->of_ref], b->key[f->of_ref]) == 0;
  if (f->of == OO_FIELD && or_field_info[f->of_ref].type == OT_TEXT) return strcmp(a->field[f->of_ref].text, b->field[f->of_ref].text) == 0;
  int64_t x = 0, y = 0;
  double scale;
  (void)operand(l, a, &x, &scale);
  (void)operand(l, b, &y, &scale);
  return x == y;
}
static bool has_thing(const struct look *l, const struct or_event *ev) {
  int64_t x;
  double scale;
  return l->f->of == OO_ENTITY ? ev->has_key[l->f->of_ref] : operand(l, ev, &x, &scale);
}

static struct or_value empty(void) { return or_null(TIDE_S_empty, TIDE_C_empty); }

/* 4: sum, mean, stddev, min, max over what is there, exact in integers. */
static struct or_value statistics(const struct look *l, const struct or_event **m, int n) {
  __int128 sum = 0, squares = 0;
  int64_t least = 0, most = 0, x, count = 0;
  double scale = 1;
  for (int i = 0; i < n; i++) {
    if (!operand(l, m[i], &x, &scale)) continue;
    if (count == 0 || x < least) least = x;
    if (count == 0 || x > most) most = x;
    sum += x;
    squares += (__int128)x * x;
    count++;
  }
  if (n == 0) (void)operand(l, l->e, &x, &scale);
  double dn = (double)count;
  switch (l->f->agg) {
    case OA_SUM: return or_num((double)sum / scale);
    case OA_MEAN: return count ? or_num((double)sum / (dn * scale)) : empty();
    case OA_MIN: return count ? or_num((double)least / scale) : empty();
    case OA_MAX: return count ? or_num((double)most / scale) : empty();
    default: return count < 2 ? empty() : or_num(sqrt((double)((__int128)count * squares - sum * sum) / (dn * (dn - 1))) / scale);
  }
}

static int distinct(const struct look *l, const struct or_event **m, int n) {
  int different = 0;
  for (int i = 0; i < n; i++) {
    bool seen = !has_thing(l, m[i]);
    for (int k = 0; k < i && !seen; k++) seen = has_thing(l, m[k]) && same_thing(l, m[k], m[i]);
    different += !seen;
  }
  return different;
}

/* 15: the count in (u - W1, u] changes upwards only where an event stands, so these u and the first one are enough. */
static int max_count(const struct look *l, const struct or_event **m, int n, int64_t first_u_ms) {
  int most = 0;
  for (int k = -1; k < n; k++) {
    int64_t u = k < 0 ? first_u_ms : m[k]->time_ms;
    if (u < first_u_ms) continue;
    int inside = 0;
    for (int i = 0; i < n; i++) inside += m[i]->time_ms > u - l->f->inner_ms && m[i]->time_ms <= u;
    if (inside > most) most = inside;
  }
  return most;
}

static struct or_value windowed(const struct look *l, int64_t left_ms, int64_t right_ms) {
  const struct or_event *m[OR_RECORDS_MAX + 1];
  int n = members(l, left_ms, right_ms, m), hits = 0;
  switch (l->f->agg) {
    case OA_COUNT: return or_num(n);
    case OA_RATE:
      for (int i = 0; i < n; i++) {
        struct or_env env = env_of(l->c, m[i]);
        hits += or_is_true(l->f->rate_of, &env);
      }
      return n ? or_num((double)hits / (double)n) : empty();
    case OA_DISTINCT:
    case OA_APPROX: {
      int different = distinct(l, m, n);
      if (!l->f->cap || different <= l->f->cap) return or_num(different);
      return (struct or_value){.type = OV_NUM, .num = l->f->cap, .state = TIDE_S_saturated, .cause = TIDE_C_saturated};
    }
    case OA_MAX_COUNT: return or_num(max_count(l, m, n, left_ms + l->f->inner_ms + 1));
    case OA_STREAK:
      for (int i = n - 1; i >= 0; i--) {
        struct or_env env = env_of(l->c, m[i]);
        if (!or_is_true(l->f->where, &env)) break;
        hits++;
      }
      return or_num(hits);
    default: return statistics(l, m, n);
  }
}

/* 5 */
static double distance_km(const struct or_datum *a, const struct or_datum *b) {
  const double radian = 3.14159265358979323846 / 180.0;
  double lat1 = (double)a[OF_LAT].num / 1e4, lat2 = (double)b[OF_LAT].num / 1e4, lon1 = (double)a[OF_LON].num / 1e4,
         lon2 = (double)b[OF_LON].num / 1e4;
  double y = sin((lat2 - lat1) * radian / 2), x = sin((lon2 - lon1) * radian / 2);
  double h = y * y + cos(lat1 * radian) * cos(lat2 * radian) * x * x;
  return round(2 * 6371.0088 * asin(sqrt(h < 1 ? h : 1)) * 1000) / 1000;
}
static bool has_place(const struct or_event *ev) { return ev->field[OF_LAT].has && ev->field[OF_LON].has; }

/* 17: of the latest event of S before e. */
static struct or_value of_previous(const struct look *l) {
  const struct or_event *e = l->e, *m[OR_RECORDS_MAX + 1], *previous = NULL;
  bool wants_place = l->f->agg == OA_DISTANCE || l->f->agg == OA_SPEED;
  if (wants_place && !has_place(e)) return or_null(TIDE_S_absent, TIDE_C_absent);
  int n = members(l, INT64_MIN, e->time_ms + e->lead_ms, m);
  for (int i = 0; i < n; i++)
    if (!wants_place || has_place(m[i])) previous = m[i];
  if (!previous) return empty();
  int64_t x, dt_ms = e->time_ms > previous->time_ms ? e->time_ms - previous->time_ms : 0;
  double seconds = (double)dt_ms / 1000.0, scale;
  switch (l->f->agg) {
    case OA_SINCE_PREVIOUS: return or_num(seconds); /* 6 */
    case OA_DISTANCE: return or_num(distance_km(previous->field, e->field));
    case OA_SPEED: return or_num(distance_km(previous->field, e->field) / ((double)(dt_ms > 1000 ? dt_ms : 1000) / 3600000.0));
    case OA_CHANGED:
      if (!has_thing(l, e) || !has_thing(l, previous)) return or_null(TIDE_S_absent, TIDE_C_absent);
      return or_num(!same_thing(l, previous, e));
    default:
      if (!has_thing(l, previous)) return or_null(TIDE_S_absent, TIDE_C_absent);
      if (l->f->of == OO_FIELD && or_field_info[l->f->of_ref].type == OT_TEXT) return or_text(previous->field[l->f->of_ref].text);
      (void)operand(l, previous, &x, &scale);
      return or_num((double)x / scale);
  }
}

/* 21: the smallest time of S ever seen; the entity is forgotten whenever its newest event, of S or not, is no newer than watermark - forget_after. */
static struct or_value of_first(const struct look *l, int64_t watermark_ms) {
  const struct or_entity *entity = &l->c->entity[l->f->entity];
  int64_t forget_ms = entity->forget_ms ? entity->forget_ms : OR_DAY_MS * 400, first_ms = 0, newest_ms = 0;
  bool seen = false, alive = false;
  for (int i = 0; i < l->count; i++) {
    const struct or_event *ev = &l->past[i];
    if (!same_entity(l, ev)) continue;
    if (alive && newest_ms <= ev->watermark_ms - forget_ms) seen = alive = false;
    if (!alive || ev->time_ms > newest_ms) newest_ms = ev->time_ms;
    alive = true;
    if (!ev->scored) continue;
    if (!seen || ev->time_ms < first_ms) first_ms = ev->time_ms;
    seen = true;
  }
  if (alive && newest_ms <= watermark_ms - forget_ms) seen = false;
  if (seen && first_ms > l->e->time_ms + l->e->lead_ms) seen = false; /* later than e: not before it */
  if (l->f->agg == OA_NEW) return or_num(!seen);
  if (seen && first_ms > l->e->time_ms) return or_num(0);
  return seen ? or_num((double)(l->e->time_ms - first_ms) / 1000.0) : empty();
}

static struct or_value warming(const struct or_case *c, const struct or_entity *entity, struct or_value v) {
  int policy = entity->warming >= 0 ? entity->warming : c->warming;
  if (policy == 2) {
    v = or_num(entity->warming >= 0 ? entity->warming_default : c->warming_default);
    v.state = TIDE_S_defaulted;
    v.cause = TIDE_C_warming;
    return v;
  }
  v.state = TIDE_S_warming;
  v.unknown = policy == 0;
  if (policy == 0 || v.type != OV_NULL) v.cause = TIDE_C_warming;
  return v;
}

struct or_value or_slot_value(const struct or_case *c, const struct or_event *past, int count, const struct or_event *e, int slot,
                              int64_t watermark_ms, int64_t history_from_ms) {
  const struct or_feature *f = &c->feature[c->slot[slot].feature];
  if (!e->has_key[f->entity]) return or_null(TIDE_S_absent, TIDE_C_absent); /* 14 */
  if (e->full[f->entity]) {                                                 /* 45 */
    struct or_value v = or_null(TIDE_S_absent, TIDE_C_capacity);
    v.unknown = true;
    return v;
  }
  int64_t span_ms = 0;
  for (int s = 0; s < c->slot_count; s++) /* 9 */
    if (!c->feature[c->slot[s].feature].dropped && c->feature[c->slot[s].feature].entity == f->entity &&
        or_reach_ms(c, &c->slot[s]) > span_ms)
      span_ms = or_reach_ms(c, &c->slot[s]);
  struct look l = {c, past, count, e, f, watermark_ms - span_ms - c->grace_ms};
  if (f->agg == OA_SINCE_FIRST || f->agg == OA_NEW) return of_first(&l, watermark_ms);
  if (f->window_count == 0) return of_previous(&l);
  int64_t window_ms = c->slot[slot].window_ms, right_ms = f->delayed_ms ? e->time_ms - f->delayed_ms : e->time_ms + e->lead_ms; /* 47 */
  int64_t left_ms = e->time_ms - f->delayed_ms - window_ms - f->inner_ms;
  if (f->hop_ms) { /* 8: floor towards minus infinity */
    int64_t rest = left_ms % f->hop_ms;
    left_ms -= rest < 0 ? rest + f->hop_ms : rest;
  }
  int64_t reach_ms = c->lateness_ms + or_reach_ms(c, &c->slot[slot]); /* 10: only an advice older than lateness can ask further back */
  if (reach_ms > span_ms) reach_ms = span_ms;
  if (left_ms < watermark_ms - reach_ms - c->grace_ms) {
    struct or_value v = or_null(TIDE_S_stale, TIDE_C_too_late);
    v.unknown = true;
    return v;
  }
  struct or_value v = windowed(&l, left_ms, right_ms);
  return left_ms < history_from_ms ? warming(c, &c->entity[f->entity], v) : v; /* 13 */
}
