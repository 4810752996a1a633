/* Which entity kinds keep tiles instead of old rows, and of what length (README.md, "Tiles", has the argument; tile.h the layout).
 *
 * A step is a *reader* if it is additive, has a hop, and an outcome can mend its tiles from what the primary keeps. It asks for rows only near its
 * right edge, at most keep - window behind the watermark; every other step asks for rows as far as it is kept. The largest of these is raw_ms. Where
 * nothing reaches further than raw_ms, or a bound would be exceeded, rows are kept: that is never wrong. */
#include "feature/plan.h"

static bool additive(uint8_t agg) {
  return agg == TIDE_AGG_COUNT || agg == TIDE_AGG_RATE || agg == TIDE_AGG_SUM || agg == TIDE_AGG_MEAN || agg == TIDE_AGG_STDDEV;
}

static bool has_sum(const struct tide_step *step) { return step->agg != TIDE_AGG_COUNT && step->agg != TIDE_AGG_RATE; }

/* Does the key hold a secret field? Its entity may move to another number when the secret key is rotated, and an outcome that goes by number must not
 * mend the tiles of whoever got the old one (rows are found by time and rank, and whoever got the number has none so old). */
static bool key_moves(const struct tide_spec *spec, uint32_t entity) {
  const struct tide_entity *ent = &spec->entity[entity];
  for (uint32_t i = 0; i < ent->part_count; i++) /* entities refer to earlier ones only */
    if (ent->part[i].is_entity ? key_moves(spec, ent->part[i].ref) : spec->field[ent->part[i].ref].secret) return true;
  return false;
}

/* Can an outcome that comes later still change what tiles of this step hold, and if so, correctly? */
static bool mendable(const struct tide_plan *plan, const struct tide_kind *kind, const struct tide_step *step) {
  uint64_t bits = UINT64_C(1) << step->bit | (step->agg == TIDE_AGG_RATE ? UINT64_C(1) << step->bit2 : 0);
  if (!(bits & kind->dynamic_bits)) return true;
  if (has_sum(step) && kind->column[step->column].what != TIDE_COL_AMOUNT) return false; /* the primary keeps no other number */
  return kind->primary || !key_moves(plan->spec, kind->entity);
}

/* How far behind the watermark it asks for events; 0: for none. */
static int64_t keep_of(const struct tide_plan *plan, const struct tide_kind *kind, const struct tide_step *step) {
  if (step->agg == TIDE_AGG_SINCE_FIRST || step->agg == TIDE_AGG_NEW || step->agg == TIDE_AGG_FACT) return 0; /* stands beside the log */
  return step->edge == 0xff ? kind->span_ms + plan->settings.grace_ms : kind->edge[step->edge].keep_ms;
}

static int64_t gcd(int64_t a, int64_t b) {
  while (b) {
    int64_t rest = a % b;
    a = b;
    b = rest;
  }
  return a;
}

/* The index of a cell, made if it is new; 0 when there is no room. */
static uint8_t cell_of(struct tide_kind *kind, enum tide_tile_what what, uint8_t of) {
  for (uint8_t c = 1; c < kind->tile_cells; c++)
    if (kind->tile[c].what == what && kind->tile[c].of == of) return c;
  if (kind->tile_cells == TIDE_TILE_CELLS) return 0;
  kind->tile[kind->tile_cells] = (struct tide_tile_cell){(uint8_t)what, of};
  return kind->tile_cells++;
}

static bool step_cells(struct tide_kind *kind, struct tide_step *step) {
  step->tile_count = cell_of(kind, TIDE_TILE_COUNT, step->bit);
  if (step->agg == TIDE_AGG_RATE) step->tile_count2 = cell_of(kind, TIDE_TILE_COUNT, step->bit2);
  if (has_sum(step) && step->agg != TIDE_AGG_RATE) step->tile_sum = cell_of(kind, TIDE_TILE_SUM, step->pair);
  if (step->agg == TIDE_AGG_STDDEV) step->tile_squares = cell_of(kind, TIDE_TILE_SQUARES, step->pair);
  return step->tile_count && (step->agg != TIDE_AGG_RATE || step->tile_count2) && (!has_sum(step) || step->tile_sum) &&
         (step->agg != TIDE_AGG_STDDEV || step->tile_squares);
}

static void none(struct tide_kind *kind, const char *why) {
  for (uint32_t s = 0; s < kind->step_count; s++) {
    struct tide_step *step = &kind->step[s];
    step->tile_count = step->tile_count2 = step->tile_sum = step->tile_squares = 0;
  }
  kind->tile_ms = 0;
  kind->tile_cells = 0;
  kind->raw_ms = kind->keep_ms;
  kind->tile_why = why;
}

void tide_plan_tiles(struct tide_plan *plan, struct tide_kind *kind) {
  const struct tide_settings *settings = &plan->settings;
  int64_t raw_ms = 0, tile_ms = 0;
  if (kind->primary) { /* identities and what outcomes change stand in its rows */
    raw_ms = settings->duplicates_for_ms + settings->grace_ms + 1;
    if (plan->outcome_ms > raw_ms) raw_ms = plan->outcome_ms;
  }
  bool any_hop = false;
  for (uint32_t s = 0; s < kind->step_count; s++) {
    const struct tide_step *step = &kind->step[s];
    int64_t need_ms = keep_of(plan, kind, step);
    if (step->edge != 0xff && kind->edge[step->edge].hop_ms && additive(step->agg) && mendable(plan, kind, step)) {
      need_ms -= kind->edge[step->edge].window_ms;
      any_hop = true;
    }
    if (need_ms > raw_ms) raw_ms = need_ms;
  }
  if (!any_hop) {
    none(kind, "no sum with a hop that outcomes can mend");
    return;
  }
  kind->tile_cells = 1;
  bool room = true;
  for (uint32_t s = 0; s < kind->step_count; s++) {
    struct tide_step *step = &kind->step[s];
    if (keep_of(plan, kind, step) <= raw_ms) continue;
    tile_ms = gcd(kind->edge[step->edge].hop_ms, tile_ms);
    room = room && step_cells(kind, step);
  }
  if (!tile_ms || kind->keep_ms - raw_ms <= tile_ms) none(kind, "something else asks for the rows as long");
  else if (!room) none(kind, "too many different sums");
  else if (kind->keep_ms / tile_ms > TIDE_TILES_MAX) none(kind, "too many tiles in the longest window");
  else {
    kind->tile_ms = tile_ms;
    kind->raw_ms = raw_ms;
    if (kind->has_dynamic && !kind->primary) plan->mends_tiles = true;
  }
}
