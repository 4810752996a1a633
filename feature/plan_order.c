/* In which order the vector goes through a kind: its edges, its steps, and flat lists of what goes where (plan.h says what they are).
 *
 * Edges of one delay stand from the youngest to the oldest, so that the places of all of them in a log are found in one walk. Counts stand before everything
 * else: nearly all values are counts, and a small log takes them in one loop that knows nothing but a line, an edge and a slot of each. */
#include "feature/plan.h"

static bool edge_before(const struct tide_edge *a, const struct tide_edge *b) {
  return a->delayed_ms != b->delayed_ms ? a->delayed_ms < b->delayed_ms : a->back_ms < b->back_ms;
}

static int64_t reach_of(const struct tide_edge *edge) { return edge->back_ms + edge->hop_ms; }

static uint32_t narrow_ms(int64_t ms) { return ms < UINT32_MAX ? (uint32_t)ms : UINT32_MAX; }

/* Orders the edges as plan.h says. */
static void plan_edges(struct tide_plan *plan, struct tide_kind *kind) {
  uint8_t place[TIDE_EDGES_MAX]; /* of each edge as it was added */
  struct tide_edge ordered[TIDE_EDGES_MAX];
  kind->spare_ms = INT64_MAX;
  for (uint8_t i = 0; i < kind->edge_count; i++) {
    const struct tide_edge *edge = &kind->edge[i];
    place[i] = 0;
    for (uint8_t k = 0; k < kind->edge_count; k++)
      place[i] = (uint8_t)(place[i] + (edge_before(&kind->edge[k], edge) || (!edge_before(edge, &kind->edge[k]) && k < i)));
    ordered[place[i]] = *edge;
    int64_t spare_ms = edge->keep_ms - reach_of(edge);
    if (spare_ms < kind->spare_ms) kind->spare_ms = spare_ms;
  }
  memcpy(kind->edge, ordered, kind->edge_count * sizeof ordered[0]);
  for (uint8_t i = 0; i < kind->edge_count; i++) {
    uint8_t at = i;
    for (; at > 0 && reach_of(&kind->edge[kind->oldest[at - 1]]) < reach_of(&kind->edge[i]); at--) kind->oldest[at] = kind->oldest[at - 1];
    kind->oldest[at] = i;
  }
  for (uint8_t i = 0; i < kind->edge_count; i++) {
    const struct tide_edge *edge = &kind->edge[i];
    kind->limit_back_ms[kind->limit_count++] = narrow_ms(edge->back_ms);
    if (edge->hop_ms) kind->edge[i].border = plan->border_count++;
    if (edge->hop_ms) kind->hop[kind->hop_count++] = i;
    kind->reach_ms[i] = reach_of(&kind->edge[kind->oldest[i]]);
    if (!i || edge->delayed_ms != edge[-1].delayed_ms)
      kind->delay[kind->delay_count++] = (struct tide_delay){.delayed_ms = edge->delayed_ms, .first = i, .end = i};
    struct tide_delay *delay = &kind->delay[kind->delay_count - 1];
    delay->end++;
    delay->edges |= UINT64_C(1) << i;
  }
  for (uint8_t d = 0; d < kind->delay_count; d++) {
    if (!kind->delay[d].delayed_ms) kind->delayed_at = 1;
    if (!kind->delay[d].delayed_ms) continue;
    kind->delay[d].limit = kind->limit_count;
    kind->limit_back_ms[kind->limit_count++] = narrow_ms(kind->delay[d].delayed_ms);
  }
  for (uint32_t s = 0; s < kind->step_count; s++)
    if (kind->step[s].edge != 0xff) kind->step[s].edge = place[kind->step[s].edge];
}

static unsigned rank_of(const struct tide_kind *kind, const struct tide_step *step) {
  if (step->agg == TIDE_AGG_COUNT) return 0;
  if (step->agg == TIDE_AGG_DISTINCT) return step->cap ? 2 : 1;
  if (step->edge == 0xff) return 6;
  if (step->with_current) return 3;
  const struct tide_column *column = step->column == 0xff ? NULL : &kind->column[step->column];
  bool sum = step->agg == TIDE_AGG_SUM || step->agg == TIDE_AGG_MEAN;
  return sum && column->number && column->width[0] == 4 ? 4 : 5;
}

/* Orders the steps as plan.h says; those of a feature stay behind each other. */
static void plan_steps(struct tide_plan *plan, struct tide_kind *kind) {
  struct tide_step *ordered = tide_arena_alloc(&plan->arena, (kind->step_count + 1) * sizeof *ordered);
  uint32_t n = 0, at[7];
  for (unsigned rank = 0; rank < 7; rank++) {
    at[rank] = n;
    for (uint32_t s = 0; s < kind->step_count; s++)
      if (rank_of(kind, &kind->step[s]) == rank) ordered[n++] = kind->step[s];
  }
  kind->step = ordered;
  kind->distinct_at = at[1];
  kind->capped_at = at[2];
  kind->other_at = at[3];
  kind->sum_at = at[4];
  kind->plain_at = at[5];
  kind->windowless_at = at[6];
  kind->windowless = ordered + at[6];
  kind->last = ordered + n;
  kind->least_cap = UINT32_MAX;
  for (uint32_t s = at[2]; s < at[3]; s++)
    if (ordered[s].cap < kind->least_cap) kind->least_cap = ordered[s].cap;
}

/* The word of a count; what several features count alike is one line. */
static uint8_t word_of(struct tide_kind *kind, uint32_t s) {
  const struct tide_step *step = &kind->step[s];
  bool distinct = step->agg == TIDE_AGG_DISTINCT;
  uint8_t bit = distinct ? step->latest : step->bit, l = 0;
  if (!step->with_current) return bit;
  while (l < kind->line_count && kind->line[l].bit != bit) l++;
  if (l == kind->line_count) {
    kind->line[kind->line_count++] = (struct tide_line){bit, kind->cond[step->bit], (uint16_t)s};
    if (!distinct) kind->distinct_line = kind->line_count;
  }
  return (uint8_t)(TIDE_CONDS_MAX + l);
}

static void plan_spots(struct tide_plan *plan, struct tide_kind *kind) {
  kind->spot = tide_arena_alloc(&plan->arena, (kind->step_count + 1) * sizeof *kind->spot);
  kind->edge_slot = tide_arena_alloc(&plan->arena, (kind->step_count + 1) * sizeof *kind->edge_slot);
  for (uint32_t s = 0; s < kind->step_count; s++) {
    const struct tide_step *step = &kind->step[s];
    kind->spot[s] = (struct tide_spot){(uint16_t)step->slot, step->edge, s < kind->other_at ? word_of(kind, s) : 0xff};
    if (step->agg == TIDE_AGG_DISTINCT) kind->distinct_edges |= UINT64_C(1) << step->edge;
  }
  kind->slots = tide_arena_alloc(&plan->arena, (kind->step_count + 1) * sizeof *kind->slots); /* zeroed: so is the last */
  bool mine[TIDE_SLOTS_MAX] = {false};
  uint32_t slots_count = 0;
  for (uint32_t s = 0; s < kind->step_count; s++) mine[kind->step[s].slot] = true;
  for (uint32_t slot = 0; slot < TIDE_SLOTS_MAX; slot++) {
    if (!mine[slot]) continue;
    if (!slot || !mine[slot - 1]) kind->slots[slots_count++] = (struct tide_slots){slot, 0};
    kind->slots[slots_count - 1].count++;
  }
  uint32_t n = 0;
  for (uint8_t i = 0; i < kind->edge_count; i++) {
    kind->edge[i].first_at = n;
    for (uint32_t s = 0; s < kind->step_count; s++)
      if (kind->step[s].edge == i) kind->edge_slot[n++] = (uint16_t)kind->step[s].slot;
    kind->edge[i].slot_count = n - kind->edge[i].first_at;
  }
}

/* Where `wanted` stands among what a post carries, from `first` on; added where it is not. */
static uint16_t carry(uint8_t *list, uint16_t first, uint16_t *count, uint8_t wanted) {
  uint16_t at = first;
  while (at < *count && list[at] != wanted) at++;
  if (at == *count) list[(*count)++] = wanted;
  return at;
}

static bool is_sum(const struct tide_step *step) {
  return step->agg == TIDE_AGG_SUM || step->agg == TIDE_AGG_MEAN || step->agg == TIDE_AGG_STDDEV;
}

/* The post of edges [first, end), to the left or the right of their windows. */
static void plan_post(struct tide_kind *kind, unsigned first, unsigned end, bool right) {
  struct tide_post *post = &kind->post[kind->post_count++];
  *post = (struct tide_post){.first_count = kind->post_counts, .first_sum = kind->post_sums};
#define CARRY(list, count, wanted, member)                                                                                                 \
  {                                                                                                                                        \
    uint16_t at = carry(kind->list, post->first_##count, &kind->post_##count##s, wanted);                                                  \
    *(right ? &step->member.to : &step->member.from) = at;                                                                                 \
  }
  for (uint32_t s = 0; s < kind->windowless_at; s++) {
    struct tide_step *step = &kind->step[s];
    bool distinct = step->agg == TIDE_AGG_DISTINCT;
    step->carried = is_sum(step) || distinct || step->agg == TIDE_AGG_COUNT || step->agg == TIDE_AGG_RATE;
    if (!step->carried || step->edge < first || step->edge >= end) continue;
    CARRY(post_bit, count, distinct ? step->latest : step->bit, posts_count)
    if (step->agg == TIDE_AGG_RATE) CARRY(post_bit, count, step->bit2, posts_count2)
    if (is_sum(step)) CARRY(post_pair, sum, step->pair, posts_sum)
  }
#undef CARRY
  post->count_end = kind->post_counts;
  post->sum_end = kind->post_sums;
}

static void plan_posts(struct tide_plan *plan, struct tide_kind *kind) {
  kind->post_bit = tide_arena_alloc(&plan->arena, 4 * kind->step_count + 1); /* two bits a step, on either side */
  kind->post_pair = tide_arena_alloc(&plan->arena, 2 * kind->step_count + 1);
  for (unsigned e = 0; e < kind->edge_count; e++) plan_post(kind, e, e + 1, false);
  for (unsigned d = 0; d < kind->delay_count; d++) plan_post(kind, kind->delay[d].first, kind->delay[d].end, true);
}

static struct tide_value nothing_of(const struct tide_step *step) {
  switch ((enum tide_agg)step->agg) {
    case TIDE_AGG_COUNT:
    case TIDE_AGG_SUM:
    case TIDE_AGG_DISTINCT:
    case TIDE_AGG_APPROX_DISTINCT:
    case TIDE_AGG_MAX_COUNT:
    case TIDE_AGG_STREAK: return tide_num(0);
    default: return tide_null(TIDE_S_empty, TIDE_C_empty);
  }
}

/* What values are that need no look at a log. */
static void plan_constants(struct tide_plan *plan, const struct tide_kind *kind) {
  size_t bytes = (plan->spec->slot_count + 1) * sizeof(struct tide_value);
  if (!plan->nothing) {
    plan->nothing = tide_arena_alloc(&plan->arena, bytes);
    plan->absent = tide_arena_alloc(&plan->arena, bytes);
    plan->refused = tide_arena_alloc(&plan->arena, bytes);
  }
  for (uint32_t s = 0; s < kind->step_count; s++) {
    uint32_t slot = kind->step[s].slot;
    plan->nothing[slot] = nothing_of(&kind->step[s]);
    plan->absent[slot] = tide_null(TIDE_S_absent, TIDE_C_absent);
    plan->refused[slot] = tide_null(TIDE_S_absent, TIDE_C_capacity);
    plan->refused[slot].unknown = true;
  }
}

void tide_plan_order(struct tide_plan *plan, struct tide_kind *kind) {
  plan_edges(plan, kind);
  plan_steps(plan, kind);
  plan_spots(plan, kind);
  plan_constants(plan, kind);
  plan_posts(plan, kind);
  kind->warming_marks = plan->spec->group[plan->spec->entity[kind->entity].group].warming == TIDE_STALE_MARK;
}
