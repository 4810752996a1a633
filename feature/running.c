/* Windows of big logs from one event to the next (running.h).
 *
 * Everything goes through `pass`: it adds the events of a range to what an edge holds, or takes them away. Whole blocks come from their sums, so a window that is
 * not known yet or that jumps costs what window.c would take for it; as a rule a range is one event. */
#include "feature/running.h"

static void pass_event(const struct tide_kind *kind, struct tide_running *running, unsigned edge, const struct tide_block *block,
                       unsigned i, int sign) {
  const struct tide_carried *of = &kind->carried[edge];
  uint64_t mask = tide_block_mask(kind, block, i);
  for (unsigned c = of->first_count; c < of->count_end; c++) running->count[c] += (int64_t)((mask >> kind->carry_bit[c]) & 1) * sign;
  for (unsigned s = of->first_sum; s < of->sum_end; s++) {
    const struct tide_pair *pair = &kind->pair[kind->carry_pair[s]];
    if (!((mask >> pair->bit) & 1)) continue;
    if (kind->column[pair->column].young && !tide_block_is_young(block, i)) continue; /* nothing asks for it here any more */
    int64_t x = tide_block_num(kind, block, pair->column, i);
    running->sum[s].sum += (__int128)x * sign;
    running->sum[s].squares += (__int128)x * x * sign;
  }
}

static void pass_sums(const struct tide_kind *kind, struct tide_running *running, unsigned edge, const struct tide_sums *sums, int sign) {
  const struct tide_carried *of = &kind->carried[edge];
  for (unsigned c = of->first_count; c < of->count_end; c++) running->count[c] += (int64_t)sums->count[kind->carry_bit[c]] * sign;
  for (unsigned s = of->first_sum; s < of->sum_end; s++) {
    const struct tide_pairsum *pair = &sums->pair[kind->carry_pair[s]];
    running->sum[s].sum += pair->sum * sign;
    running->sum[s].squares += pair->squares * sign;
  }
}

/* The events of [from, to); sign 1: come in, -1: go. */
static void pass(const struct tide_view *view, struct tide_running *running, unsigned edge, struct tide_at from, struct tide_at to,
                 int sign) {
  for (uint32_t c = from.chunk; c <= to.chunk && c < view->count;) {
    bool whole = (c > from.chunk || from.i == 0) && c < to.chunk && c + 1 < view->count; /* the sums of the last change with every event */
    if (whole && c % TIDE_SUPER == 0 && c + TIDE_SUPER <= to.chunk && c + TIDE_SUPER < view->count) {
      pass_sums(view->kind, running, edge, tide_super_sums(view->kind, view->big, c), sign);
      c += TIDE_SUPER;
      continue;
    }
    struct tide_chunk *chunk = &view->chunk[c];
    unsigned lo = c == from.chunk ? from.i : 0, hi = c == to.chunk ? to.i : chunk->block->n;
    if (whole && hi > lo + 32) pass_sums(view->kind, running, edge, tide_chunk_sums(view->kind, chunk), sign);
    else
      for (unsigned i = lo; i < hi; i++) pass_event(view->kind, running, edge, chunk->block, i, sign);
    c++;
  }
}

static size_t window_bytes(const struct tide_kind *kind) { return kind->edge_count * sizeof(struct tide_span_at); }
static size_t sum_bytes(const struct tide_kind *kind) { return kind->carry_sums * sizeof(struct tide_carried_sum); }

uint64_t tide_running_bytes(const struct tide_kind *kind) {
  return sizeof(struct tide_running) + sum_bytes(kind) + window_bytes(kind) + kind->carry_counts * sizeof(int64_t);
}

struct tide_running *tide_running_of(const struct tide_kind *kind, struct tide_big *big) {
  if (big->running) return big->running;
  struct tide_running *running = tide_alloc(tide_running_bytes(kind));
  char *behind = (char *)running->sum + sum_bytes(kind);
  running->window = (struct tide_span_at *)(void *)behind;
  running->count = (int64_t *)(void *)(behind + window_bytes(kind));
  big->running = running;
  return running;
}

#define STEPS 16

/* As tide_view_after, where the place is probably near `at`: a little behind, or before, for an event that comes a little late. */
static struct tide_at after(const struct tide_view *view, struct tide_at at, int64_t ms) {
  const struct tide_chunk *chunk = &view->chunk[at.chunk];
  for (unsigned steps = 0; steps < STEPS; steps++) { /* back to where the one before is not after ms */
    if (!at.i) {
      if (!at.chunk || chunk[-1].last_ms <= ms) break;
      chunk--;
      at = (struct tide_at){at.chunk - 1, chunk->block->n};
    }
    if (tide_block_time(view->kind, chunk->block, at.i - 1) <= ms) break;
    at.i--;
    if (steps + 1 == STEPS) return tide_view_after(view, ms);
  }
  for (unsigned steps = 0; steps < STEPS; steps++) {
    if (at.i == chunk->block->n) {
      at = (struct tide_at){at.chunk + 1, 0};
      if (at.chunk == view->count) return at;
      chunk++;
    }
    if (tide_block_time(view->kind, chunk->block, at.i) > ms) return at;
    at.i++;
  }
  return tide_view_after(view, ms);
}

static struct tide_at kept(const struct tide_view *view, struct tide_at at) {
  return at.chunk < view->count ? at : (struct tide_at){view->count - 1, view->chunk[view->count - 1].block->n};
}

static void move(const struct tide_view *view, struct tide_running *running, unsigned edge, struct tide_at *place, struct tide_at to,
                 int sign) {
  if (tide_at_less(*place, to)) pass(view, running, edge, *place, to, sign);
  else pass(view, running, edge, to, *place, -sign);
  *place = to;
}

void tide_running_move(const struct tide_view *view, struct tide_running *running, unsigned edge, int64_t left_ms, int64_t right_ms,
                       struct tide_at *ret_from, struct tide_at *ret_to) {
  struct tide_span_at *window = &running->window[edge];
  const struct tide_kind *kind = view->kind;
  if (!((running->known >> edge) & 1)) {
    const struct tide_carried *of = &kind->carried[edge];
    for (unsigned c = of->first_count; c < of->count_end; c++) running->count[c] = 0;
    for (unsigned s = of->first_sum; s < of->sum_end; s++) running->sum[s] = (struct tide_carried_sum){0};
    window->from = window->to = kept(view, tide_view_after(view, left_ms));
    running->known |= UINT64_C(1) << edge;
  }
  *ret_from = after(view, window->from, left_ms);
  *ret_to = view->chunk[view->count - 1].last_ms <= right_ms ? tide_view_end(view) : after(view, window->to, right_ms);
  move(view, running, edge, &window->to, kept(view, *ret_to), 1);
  move(view, running, edge, &window->from, kept(view, *ret_from), -1);
}

static void pass_changed(const struct tide_kind *kind, struct tide_big *big, struct tide_at at, int sign) {
  struct tide_running *running = big->running;
  for (uint64_t known = running ? running->known : 0; known; known &= known - 1) {
    unsigned edge = (unsigned)__builtin_ctzll(known);
    const struct tide_span_at *window = &running->window[edge];
    if (tide_at_less(at, window->to) && !tide_at_less(at, window->from))
      pass_event(kind, running, edge, big->chunk[at.chunk].block, at.i, sign);
  }
}

void tide_running_leave(const struct tide_kind *kind, struct tide_big *big, struct tide_at at) { pass_changed(kind, big, at, -1); }
void tide_running_enter(const struct tide_kind *kind, struct tide_big *big, struct tide_at at) { pass_changed(kind, big, at, 1); }

/* A place behind the new event in its block is one further now. At the place itself the event stands behind it. */
static void shift(struct tide_at *place, struct tide_at at) { place->i += place->chunk == at.chunk && place->i > at.i; }

void tide_running_inserted(const struct tide_kind *kind, struct tide_big *big, struct tide_at at) {
  struct tide_running *running = big->running;
  if (!running || !running->known) return;
  if (at.chunk + 1 == big->count && at.i + 1u == big->chunk[at.chunk].block->n) return; /* behind all windows */
  for (uint64_t known = running->known; known; known &= known - 1) {
    struct tide_span_at *window = &running->window[__builtin_ctzll(known)];
    shift(&window->from, at);
    shift(&window->to, at);
  }
  tide_running_enter(kind, big, at);
}
