/* The rows that a model is fitted to (train.h): arrays side by side, grown by doubling.
 *
 * Sorting is by an index and one pass, so that a row of hundreds of numbers is moved once. The order of rows of equal time is that of the journal:
 * the split of a log is the same on every run. */
#include <stdlib.h>

#include "model/train.h"

void tide_rows_init(struct tide_rows *rows, uint32_t inputs) { *rows = (struct tide_rows){.inputs = inputs}; }

void tide_rows_init_states(struct tide_rows *rows, uint32_t inputs) {
  tide_rows_init(rows, inputs);
  rows->state = tide_alloc(1);
}

void tide_rows_release(struct tide_rows *rows) {
  tide_free(rows->x);
  tide_free(rows->cause);
  tide_free(rows->fraud);
  tide_free(rows->time_ms);
  tide_free(rows->card);
  tide_free(rows->number);
  tide_free(rows->state);
  *rows = (struct tide_rows){0};
}

size_t tide_rows_add(struct tide_rows *rows) {
  if (rows->count == rows->cap) {
    rows->cap = rows->cap ? rows->cap * 2 : 1024;
    size_t cells = rows->cap * (rows->inputs ? rows->inputs : 1);
    rows->x = tide_realloc(rows->x, cells * sizeof *rows->x);
    rows->cause = tide_realloc(rows->cause, cells);
    rows->fraud = tide_realloc(rows->fraud, rows->cap);
    rows->time_ms = tide_realloc(rows->time_ms, rows->cap * sizeof *rows->time_ms);
    rows->card = tide_realloc(rows->card, rows->cap * sizeof *rows->card);
    rows->number = tide_realloc(rows->number, rows->cap * sizeof *rows->number);
    if (rows->state) rows->state = tide_realloc(rows->state, cells);
  }
  size_t r = rows->count++;
  for (uint32_t i = 0; i < rows->inputs; i++) {
    rows->x[r * rows->inputs + i] = 0;
    rows->cause[r * rows->inputs + i] = TIDE_C_absent;
    if (rows->state) rows->state[r * rows->inputs + i] = TIDE_S_absent;
  }
  rows->fraud[r] = 0;
  rows->time_ms[r] = 0;
  rows->card[r] = 0;
  rows->number[r] = 0;
  return r;
}

void tide_rows_copy(struct tide_rows *rows, size_t to, const struct tide_rows *other, size_t from) {
  size_t n = rows->inputs;
  TIDE_CHECK(n == other->inputs && to < rows->count && from < other->count && (!rows->state || other->state));
  if (n) {
    memmove(&rows->x[to * n], &other->x[from * n], n * sizeof *rows->x);
    memmove(&rows->cause[to * n], &other->cause[from * n], n);
    if (rows->state) memmove(&rows->state[to * n], &other->state[from * n], n);
  }
  rows->fraud[to] = other->fraud[from];
  rows->time_ms[to] = other->time_ms[from];
  rows->card[to] = other->card[from];
  rows->number[to] = other->number[from];
}

struct place {
  int64_t time_ms;
  size_t row;
};

static int by_time(const void *a, const void *b) {
  const struct place *x = a, *y = b;
  if (x->time_ms != y->time_ms) return x->time_ms < y->time_ms ? -1 : 1;
  return x->row < y->row ? -1 : x->row > y->row;
}

void tide_rows_sort(struct tide_rows *rows) {
  if (rows->count < 2) return;
  struct place *order = tide_alloc(rows->count * sizeof *order);
  for (size_t r = 0; r < rows->count; r++) order[r] = (struct place){rows->time_ms[r], r};
  qsort(order, rows->count, sizeof *order, by_time);
  struct tide_rows sorted;
  if (rows->state) tide_rows_init_states(&sorted, rows->inputs);
  else tide_rows_init(&sorted, rows->inputs);
  for (size_t k = 0; k < rows->count; k++) tide_rows_copy(&sorted, tide_rows_add(&sorted), rows, order[k].row);
  tide_free(order);
  tide_rows_release(rows);
  *rows = sorted;
}

void tide_rows_drop(struct tide_rows *rows, struct tide_model *model, uint32_t index) {
  TIDE_CHECK(index < rows->inputs && rows->inputs == model->input_count);
  size_t to = 0;
  for (size_t r = 0; r < rows->count; r++)
    for (uint32_t i = 0; i < rows->inputs; i++) {
      if (i == index) continue;
      rows->x[to] = rows->x[r * rows->inputs + i];
      if (rows->state) rows->state[to] = rows->state[r * rows->inputs + i];
      rows->cause[to++] = rows->cause[r * rows->inputs + i];
    }
  rows->inputs--;
  for (uint32_t i = index; i < rows->inputs; i++) model->input[i] = model->input[i + 1];
  model->input_count--;
}

bool tide_rows_constant(const struct tide_rows *rows, uint32_t index, size_t count) {
  bool any = false;
  double first = 0;
  for (size_t r = 0; r < count; r++) {
    size_t at = r * rows->inputs + index;
    if (rows->cause[at]) continue;
    if (any && rows->x[at] != first) return false;
    first = rows->x[at];
    any = true;
  }
  return true;
}
