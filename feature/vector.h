/* What the parts of the vector share: one entity of one event, looked at.
 *
 *   vector.c        which values there are, states
 *   vector_words.c  a small log as words
 *   vector_small.c  windows of small logs, and of no log
 *   vector_large.c  windows of large logs
 *   vector_value.c  numbers made of what was counted, the current event's part, values of single events before it
 *
 * A log is small when it is at most TIDE_SMALL_EVENTS in one block, and nearly all are. Of such a one each condition is a word, a bit an event, oldest lowest,
 * and so is each window: counts are population counts, and the events of a sum are found without looking at others. The current event stands above all others:
 * every window has its bit, and those words where it counts. Values do not depend on which way was taken. */
#ifndef TIDE_VECTOR_H
#define TIDE_VECTOR_H

#include "feature/state.h"
#include "feature/tile.h"

#ifndef TIDE_SMALL_EVENTS
#define TIDE_SMALL_EVENTS 63 /* so that every shift by an index or a number of events is defined */
#endif
#define TIDE_CURRENT (UINT64_C(1) << TIDE_SMALL_EVENTS)

struct tide_look {
  struct tide_state *state;
  const struct tide_txn *txn;
  const struct tide_kind *kind;
  struct tide_view view;
  struct tide_at now;                      /* visible events before e stand before it */
  struct tide_at far_at;                   /* a place whose distance is known: far_km */
  double far_km;
  bool small;
  uint64_t late;                           /* edges that begin before what columns answer: a bit each */
  struct tide_at from[TIDE_EDGES_MAX], to[TIDE_EDGES_MAX]; /* large logs: the events of its window */
  /* small logs */
  unsigned n;
  uint64_t ends;                           /* edges whose window ends where the log does */
  _Alignas(16) uint64_t in[TIDE_LIMITS_MAX]; /* by edge: the events of its window, and TIDE_CURRENT */
  uint64_t word[TIDE_CONDS_MAX + TIDE_LINES_MAX]; /* by local bit: the events that satisfy the condition; then lines */
};

static inline int64_t tide_look_left_ms(const struct tide_look *look, const struct tide_edge *edge) {
  return edge->hop_ms ? look->state->era.left_ms[edge->border] : look->txn->time_ms - edge->back_ms;
}
static inline int64_t tide_look_right_ms(const struct tide_look *look, const struct tide_edge *edge) {
  return edge->delayed_ms ? look->txn->time_ms - edge->delayed_ms : look->txn->time_ms + look->txn->lead_ms;
}
static inline bool tide_look_late(const struct tide_look *look, uint8_t edge) { return (look->late >> edge) & 1; }
static inline bool tide_look_satisfies(const struct tide_look *look, uint8_t bit) { return (look->txn->conds >> look->kind->cond[bit]) & 1; }

/* Adds the tiles that the step's window begins with, as far as they are not in acc; *tiled_ms moves there. */
void tide_look_tiles(const struct tide_look *look, const struct tide_step *step, int64_t *tiled_ms, struct tide_acc *acc);

/* ---- vector_words.c ---- */

/* Of a small log that holds something: look->n, now, ends, in, word. */
void tide_small_words(struct tide_look *look);
/* The same where nothing stands before the event. */
void tide_small_nothing(struct tide_look *look);
/* Of a larger log of one block, look->now known: look->from, to; false where its times take eight bytes. */
bool tide_block_places(struct tide_look *look);
/* in and word of a piece of it, at most TIDE_SMALL_EVENTS, by from and to; the newest piece holds the current event. */
void tide_piece_words(struct tide_look *look, unsigned first, unsigned n, bool newest);

/* ---- vector_small.c ---- */

/* Values of all steps with windows: writes ret[slot] of each, but where it is late and nothing can be said. ret holds what the era knows. */
void tide_small_values(struct tide_look *look, struct tide_value *ret);
/* Where nothing stands before the event, neither rows nor tiles: those that count it and are no counts. */
void tide_lone_others(struct tide_look *look, struct tide_value *ret);
/* COUNT of a larger log of one block, look->from and to known. */
void tide_piece_counts(struct tide_look *look, struct tide_value *ret);
/* The latest visible event after `horizon_ms` that satisfies the step's bit; false if there is none. */
bool tide_small_previous(const struct tide_look *look, const struct tide_step *step, int64_t horizon_ms, struct tide_at *ret);

/* ---- vector_large.c ---- */

/* As tide_small_values; look->now as well. */
void tide_large_values(struct tide_look *look, struct tide_value *ret);

/* ---- vector_value.c ---- */

/* The current event's operand as the column would hold it; false when it is missing. */
bool tide_look_operand(const struct tide_look *look, const struct tide_step *step, int64_t *ret);
/* Is it there? */
static inline bool tide_look_has_operand(const struct tide_look *look, const struct tide_step *step) {
  if (step->of == TIDE_OF_FIELD) return look->txn->field[step->operand_field].type != TIDE_V_NULL;
  if (step->of == TIDE_OF_ENTITY) return look->txn->has_key[step->operand_field];
  int64_t operand;
  return tide_look_operand(look, step, &operand);
}
/* The same where the step counts the current event; false: it does not, or the operand is missing. */
bool tide_look_current(const struct tide_look *look, const struct tide_step *step, int64_t *ret);
/* Of SUM, MEAN, STDDEV, MIN, MAX. */
struct tide_value tide_value_of_sum(const struct tide_step *step, const struct tide_acc *acc);
/* Of DISTINCT, APPROX_DISTINCT over a range that is looked at event by event; current NULL: without. */
struct tide_value tide_value_recounted(const struct tide_look *look, const struct tide_step *step, struct tide_at from, struct tide_at to,
                                       const int64_t *current);
/* Of SINCE_PREVIOUS, LAST, CHANGED, DISTANCE, SPEED. */
struct tide_value tide_value_previous(struct tide_look *look, const struct tide_step *step);
/* Of SINCE_FIRST and NEW. */
struct tide_value tide_value_first(const struct tide_look *look, const struct tide_step *step);

/* Writes what a window holds. Where it begins before history, the mark that stands there stays (vector_era.h); a null keeps its own cause. */
static inline void tide_put(struct tide_value *at, struct tide_value value) {
  if (at->state == TIDE_S_warming) {
    value.state = TIDE_S_warming;
    if (value.type != TIDE_V_NULL) value.cause = TIDE_C_warming;
  }
  *at = value;
}

static inline struct tide_value tide_value_empty(void) { return tide_null(TIDE_S_empty, TIDE_C_empty); }
static inline struct tide_value tide_value_rate(uint64_t hits, uint64_t n) { return n ? tide_num((double)hits / (double)n) : tide_value_empty(); }
static inline struct tide_value tide_value_distinct(const struct tide_step *step, uint64_t n) {
  struct tide_value value = tide_num((double)n);
  if (!step->cap || n <= step->cap) return value;
  value = tide_num((double)step->cap);
  value.state = TIDE_S_saturated;
  value.cause = TIDE_C_saturated;
  return value;
}

#endif
