/* Windows of large logs (vector.h): an edge is a place in the log, a window a range of events.
 *
 * A big log carries what its windows hold from one event to the next (running.h), which is nearly all that is asked for. What it does not carry (least and greatest
 * numbers, orders), what is asked for long ago, and logs of one block are summed up by window.c: windows of one feature follow
 * each other from short to long and share an accumulator, and whole blocks come from their cached sums. */
#include "feature/running.h"
#include "feature/vector.h"

static void find_places(struct tide_look *look) {
  const struct tide_kind *kind = look->kind;
  for (unsigned e = 0; e < kind->edge_count; e++) {
    const struct tide_edge *edge = &kind->edge[e];
    look->from[e] = tide_view_after(&look->view, tide_look_left_ms(look, edge));
    look->to[e] = edge->delayed_ms ? tide_view_after(&look->view, tide_look_right_ms(look, edge)) : look->now;
  }
}

/* The same by the log's posts. */
static void move_posts(struct tide_look *look, struct tide_running *running) {
  const struct tide_kind *kind = look->kind;
  for (unsigned d = 0; d < kind->delay_count; d++) {
    const struct tide_delay *delay = &kind->delay[d];
    struct tide_at to = tide_running_move(&look->view, running, kind->edge_count + d, tide_look_right_ms(look, &kind->edge[delay->first]));
    for (unsigned e = delay->first; e < delay->end; e++) {
      look->from[e] = tide_running_move(&look->view, running, e, tide_look_left_ms(look, &kind->edge[e]));
      look->to[e] = to;
    }
  }
}

void tide_look_tiles(const struct tide_look *look, const struct tide_step *step, int64_t *tiled_ms, struct tide_acc *acc) {
  int64_t left_ms = tide_look_left_ms(look, &look->kind->edge[step->edge]);
  if (left_ms >= *tiled_ms) return;
  tide_tiles_sum(look->kind, look->view.tiles, step, left_ms, *tiled_ms, acc);
  *tiled_ms = left_ms;
  look->state->tile_use.read++;
}

static struct tide_value distinct_value(const struct tide_look *look, const struct tide_step *step, const int64_t *current,
                                        uint64_t latest) {
  struct tide_at from = look->from[step->edge], to = look->to[step->edge];
  uint64_t n;
  if (!tide_window_distinct(&look->view, step, from, to, latest, current, &n)) return tide_value_recounted(look, step, from, to, current);
  return tide_value_distinct(step, n);
}

/* acc holds what the window holds of additive aggregations. */
static struct tide_value window_value(const struct tide_look *look, const struct tide_step *step, const struct tide_acc *acc,
                                      const int64_t *operand) {
  uint8_t e = step->edge;
  const struct tide_edge *edge = &look->kind->edge[e];
  bool with = step->with_current && tide_look_satisfies(look, step->bit);
  switch ((enum tide_agg)step->agg) {
    case TIDE_AGG_COUNT: return tide_num((double)(acc->count + with));
    case TIDE_AGG_RATE:
      return tide_value_rate(acc->count + with, acc->count2 + (step->with_current && tide_look_satisfies(look, step->bit2)));
    case TIDE_AGG_DISTINCT: return distinct_value(look, step, operand, acc->count);
    case TIDE_AGG_APPROX_DISTINCT: return tide_value_recounted(look, step, look->from[e], look->to[e], operand);
    case TIDE_AGG_MAX_COUNT: {
      int64_t right_ms = tide_look_right_ms(look, edge);
      return tide_num((double)tide_window_max_count(&look->view, step, look->from[e], look->to[e], right_ms,
                                                    right_ms - tide_look_left_ms(look, edge) - step->inner_ms,
                                                    with ? &look->txn->time_ms : NULL));
    }
    case TIDE_AGG_STREAK: return tide_num((double)tide_window_streak(&look->view, step, look->from[e], look->to[e]));
    default: return tide_value_of_sum(step, acc);
  }
}

static bool is_sum(const struct tide_step *step) {
  return step->agg == TIDE_AGG_SUM || step->agg == TIDE_AGG_MEAN || step->agg == TIDE_AGG_STDDEV || step->agg == TIDE_AGG_MIN ||
         step->agg == TIDE_AGG_MAX;
}

static bool is_additive(const struct tide_step *step) {
  return step->agg == TIDE_AGG_COUNT || step->agg == TIDE_AGG_RATE || step->agg == TIDE_AGG_DISTINCT || is_sum(step);
}

static void large_windows(const struct tide_look *look, const struct tide_step *step, struct tide_value *ret) {
  struct tide_acc acc = TIDE_ACC_EMPTY;
  struct tide_at done = look->to[step->edge];
  int64_t current, tiled_ms = look->view.tiles ? look->view.tiles->until_ms : INT64_MIN;
  bool with = tide_look_current(look, step, &current);
  if (with && is_sum(step)) tide_window_add_one(&acc, current);
  for (const struct tide_step *end = step + step->windows; step < end; step++) {
    if (tide_look_late(look, step->edge)) continue;
    if (look->view.tiles) tide_look_tiles(look, step, &tiled_ms, &acc);
    if (is_additive(step)) tide_window_add(&look->view, step, look->from[step->edge], done, &acc);
    done = look->from[step->edge];
    tide_put(&ret[step->slot], window_value(look, step, &acc, with ? &current : NULL));
  }
}

#define COUNT_OF(posts) (running->count[(posts).to] - running->count[(posts).from])

static void carried_windows(const struct tide_look *look, const struct tide_running *running, const struct tide_step *step,
                            struct tide_value *ret) {
  struct tide_acc tiled = TIDE_ACC_EMPTY;
  int64_t current, tiled_ms = look->view.tiles ? look->view.tiles->until_ms : INT64_MIN;
  if (step->agg == TIDE_AGG_COUNT && !look->view.tiles) { /* nearly all of them */
    int64_t more = step->with_current && tide_look_satisfies(look, step->bit);
    for (const struct tide_step *end = step + step->windows; step < end; step++)
      ret[step->slot].num = (double)(COUNT_OF(step->posts_count) + more);
    return;
  }
  bool with = step->with_current && tide_look_current(look, step, &current), sum = is_sum(step);
  if (with && sum) tide_window_add_one(&tiled, current);
  for (const struct tide_step *end = step + step->windows; step < end; step++) {
    if (look->view.tiles) tide_look_tiles(look, step, &tiled_ms, &tiled);
    struct tide_acc acc = tiled;
    acc.count += (uint64_t)COUNT_OF(step->posts_count);
    if (step->agg == TIDE_AGG_RATE) acc.count2 += (uint64_t)COUNT_OF(step->posts_count2);
    if (sum) {
      const struct tide_running_sum *from = &running->sum[step->posts_sum.from], *to = &running->sum[step->posts_sum.to];
      acc.sum += to->sum - from->sum;
      acc.squares += to->squares - from->squares;
    }
    tide_put(&ret[step->slot], window_value(look, step, &acc, with ? &current : NULL));
  }
}

void tide_large_values(struct tide_look *look, struct tide_value *ret) {
  const struct tide_kind *kind = look->kind;
  look->now = tide_view_after(&look->view, look->txn->time_ms + look->txn->lead_ms);
  bool near = look->now.chunk + 2 >= look->view.count; /* who asks for what was long ago leaves alone what those carry who ask for now */
  struct tide_running *running = NULL;
  if (look->view.big && near && !look->late) running = tide_running_of(&look->view, look->txn->time_ms - kind->reach_ms[0]);
  bool pieces = !look->view.big && look->view.count && tide_block_places(look);
  if (running) move_posts(look, running);
  else if (!pieces) find_places(look);
  if (pieces && kind->distinct_at) tide_piece_counts(look, ret);
  for (uint32_t s = 0; s < kind->windowless_at; s += kind->step[s].windows) {
    const struct tide_step *step = &kind->step[s];
    if (pieces && s < kind->distinct_at && !(look->view.tiles && step[step->windows - 1].tile_count)) continue;
    if (running && step->carried) carried_windows(look, running, step, ret);
    else large_windows(look, step, ret);
  }
}
