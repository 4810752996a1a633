/* Windows of big logs from one event to the next (running.h).
 *
 * A post that is near walks an event at a time. One that is far jumps, and takes whole blocks from their sums, so that posts that are not known yet, or an event
 * that comes from far behind, cost what window.c would take. */
#include "feature/running.h"

/* What stands before the post now stands one event more before it (sign 1), or less (-1). */
static inline __attribute__((always_inline)) void pass_event(const struct tide_kind *kind, struct tide_running *running,
                                                             const struct tide_post *post, const struct tide_block *block, unsigned i,
                                                             int sign) {
  const struct tide_column *column = &kind->column[kind->col_of[TIDE_COL_MASK]]; /* outside of dictionaries, and as long as its event */
  int wide = tide_block_wide(block);
  unsigned width = column->width[wide];
  uint64_t mask = tide_load((const char *)(block + 1) + (size_t)block->cap * column->before[wide] + (size_t)i * width, width);
  for (unsigned c = post->first_count, end = post->count_end; c < end; c++)
    running->count[c] += sign * (int64_t)((mask >> kind->post_bit[c]) & 1);
  for (unsigned s = post->first_sum, end = post->sum_end; s < end; s++) {
    const struct tide_pair *pair = &kind->pair[kind->post_pair[s]];
    if (!((mask >> pair->bit) & 1)) continue;
    if (kind->column[pair->column].young && !tide_block_is_young(block, i)) continue; /* nothing asks for it here any more */
    __int128 x = tide_block_num(kind, block, pair->column, i), square = x * x;
    running->sum[s].sum += sign > 0 ? x : -x;
    running->sum[s].squares += sign > 0 ? square : -square;
  }
}

static void pass_sums(const struct tide_kind *kind, struct tide_running *running, const struct tide_post *post,
                      const struct tide_sums *sums, int sign) {
  for (unsigned c = post->first_count; c < post->count_end; c++) running->count[c] += (int64_t)sums->count[kind->post_bit[c]] * sign;
  for (unsigned s = post->first_sum; s < post->sum_end; s++) {
    const struct tide_pairsum *pair = &sums->pair[kind->post_pair[s]];
    running->sum[s].sum += pair->sum * sign;
    running->sum[s].squares += pair->squares * sign;
  }
}

/* The events of [from, to). */
static void pass(const struct tide_view *view, struct tide_running *running, const struct tide_post *post, struct tide_at from,
                 struct tide_at to, int sign) {
  const struct tide_kind *kind = view->kind;
  for (uint32_t c = from.chunk; c <= to.chunk && c < view->count;) {
    bool whole = (c > from.chunk || from.i == 0) && c < to.chunk && c + 1 < view->count; /* the sums of the last change with every event */
    if (whole && c % TIDE_SUPER == 0 && c + TIDE_SUPER <= to.chunk && c + TIDE_SUPER < view->count) {
      pass_sums(kind, running, post, tide_super_sums(kind, view->big, c), sign);
      c += TIDE_SUPER;
      continue;
    }
    struct tide_chunk *chunk = &view->chunk[c];
    unsigned lo = c == from.chunk ? from.i : 0, hi = c == to.chunk ? to.i : chunk->block->n;
    if (whole) pass_sums(kind, running, post, tide_chunk_sums(kind, chunk), sign);
    else
      for (unsigned i = lo; i < hi; i++) pass_event(kind, running, post, chunk->block, i, sign);
    c++;
  }
}

static size_t sums_bytes(const struct tide_kind *kind) { return kind->post_sums * sizeof(struct tide_running_sum); }
static size_t places_bytes(const struct tide_kind *kind) { return kind->post_count * sizeof(struct tide_at); }
static size_t counts_bytes(const struct tide_kind *kind) { return kind->post_counts * sizeof(int64_t); }

uint64_t tide_running_bytes(const struct tide_kind *kind) {
  return sizeof(struct tide_running) + sums_bytes(kind) + places_bytes(kind) + counts_bytes(kind);
}

/* The log's end, to stay where it is when the log grows. */
static struct tide_at kept(const struct tide_view *view, struct tide_at at) {
  return at.chunk < view->count ? at : (struct tide_at){view->count - 1, view->chunk[view->count - 1].block->n};
}

struct tide_running *tide_running_of(const struct tide_view *view, int64_t oldest_ms) {
  const struct tide_kind *kind = view->kind;
  struct tide_running *running = view->big->running;
  if (!running) {
    running = view->big->running = tide_alloc(tide_running_bytes(kind));
    char *behind = (char *)running->sum + sums_bytes(kind);
    running->place = (struct tide_at *)(void *)behind;
    running->count = (int64_t *)(void *)(behind + places_bytes(kind));
    running->known = false;
  }
  if (running->known) return running;
  struct tide_at from = kept(view, tide_view_after(view, oldest_ms));
  for (unsigned p = 0; p < kind->post_count; p++) running->place[p] = from;
  for (unsigned c = 0; c < kind->post_counts; c++) running->count[c] = 0;
  for (unsigned s = 0; s < kind->post_sums; s++) running->sum[s] = (struct tide_running_sum){0};
  running->known = true;
  return running;
}

#define STEPS 32

/* Goes to the first event with time > ms, an event at a time; false if it is not near. */
static bool walk(const struct tide_view *view, struct tide_running *running, const struct tide_post *post, struct tide_at *place,
                 int64_t ms) {
  const struct tide_chunk *chunk = &view->chunk[place->chunk];
  unsigned steps = 0;
  for (; steps < STEPS; steps++) {
    if (place->i == chunk->block->n) {
      if (place->chunk + 1 == view->count) break;
      *place = (struct tide_at){place->chunk + 1, 0};
      chunk++;
    }
    if (tide_block_time(view->kind, chunk->block, place->i) > ms) break;
    pass_event(view->kind, running, post, chunk->block, place->i++, 1);
  }
  if (steps) return steps < STEPS;
  for (; steps < STEPS; steps++) { /* an event that comes a little late */
    if (!place->i) {
      if (!place->chunk || chunk[-1].last_ms <= ms) return true;
      chunk--;
      *place = (struct tide_at){place->chunk - 1, chunk->block->n};
    }
    if (tide_block_time(view->kind, chunk->block, place->i - 1) <= ms) return true;
    pass_event(view->kind, running, post, chunk->block, --place->i, -1);
  }
  return false;
}

struct tide_at tide_running_move(const struct tide_view *view, struct tide_running *running, unsigned post, int64_t ms) {
  struct tide_at *place = &running->place[post];
  const struct tide_post *of = &view->kind->post[post];
  if (!walk(view, running, of, place, ms)) {
    struct tide_at to = kept(view, tide_view_after(view, ms));
    if (tide_at_less(*place, to)) pass(view, running, of, *place, to, 1);
    else pass(view, running, of, to, *place, -1);
    *place = to;
  }
  return place->i < view->chunk[place->chunk].block->n ? *place : (struct tide_at){place->chunk + 1, 0};
}

static void pass_changed(const struct tide_kind *kind, struct tide_big *big, struct tide_at at, int sign) {
  struct tide_running *running = big->running;
  for (unsigned p = 0; running && running->known && p < kind->post_count; p++)
    if (tide_at_less(at, running->place[p])) pass_event(kind, running, &kind->post[p], big->chunk[at.chunk].block, at.i, sign);
}

void tide_running_leave(const struct tide_kind *kind, struct tide_big *big, struct tide_at at) { pass_changed(kind, big, at, -1); }
void tide_running_enter(const struct tide_kind *kind, struct tide_big *big, struct tide_at at) { pass_changed(kind, big, at, 1); }

void tide_running_inserted(const struct tide_kind *kind, struct tide_big *big, struct tide_at at) {
  struct tide_running *running = big->running;
  if (!running || !running->known) return;
  if (at.chunk + 1 == big->count && at.i + 1u == big->chunk[at.chunk].block->n) return; /* behind all posts */
  for (unsigned p = 0; p < kind->post_count;
       p++) { /* a post at its place stands before it, one further back in the block moves on by one */
    struct tide_at *place = &running->place[p];
    place->i += place->chunk == at.chunk && place->i > at.i;
  }
  tide_running_enter(kind, big, at);
}
