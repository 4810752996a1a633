/* The sort (history_sort.h).
 *
 * An item in memory and on disk: known_at i64, number u64, event i64, length u32, count u8, records. Numbers are given in order of input and break ties, so
 * the order is total. Runs are merged by a binary heap over their next items; with more runs than MERGE_MAX the first ones are merged into one first. */
#include "cli/history_sort.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define MERGE_MAX 256

struct head {
  int64_t known_ms;
  uint64_t number;
  int64_t event_ms;
  uint32_t len;
  uint8_t count;
};

struct run {
  FILE *file;
  struct head head;
  struct tide_buf bytes;
};

struct tide_history_sort {
  char *dir;
  size_t memory_bytes;
  uint64_t number;
  struct tide_buf bytes; /* records of the run in memory */
  struct slot {
    struct head head;
    size_t at;
  } * slot;
  size_t slots, slots_cap, next;
  struct run *run;
  size_t runs, runs_cap, written;
  size_t *heap; /* indices of runs that have an item, least first */
  size_t heap_count;
  bool reading;
};

struct tide_history_sort *tide_history_sort_new(const char *dir, size_t memory_bytes) {
  struct tide_history_sort *sort = tide_alloc(sizeof *sort);
  sort->dir = tide_strdup(dir);
  sort->memory_bytes = memory_bytes;
  return sort;
}

void tide_history_sort_free(struct tide_history_sort *sort) {
  if (!sort) return;
  for (size_t i = 0; i < sort->runs; i++) {
    if (sort->run[i].file) (void)fclose(sort->run[i].file);
    tide_buf_release(&sort->run[i].bytes);
  }
  tide_buf_release(&sort->bytes);
  tide_free(sort->run);
  tide_free(sort->heap);
  tide_free(sort->slot);
  tide_free(sort->dir);
  tide_free(sort);
}

size_t tide_history_sort_runs(const struct tide_history_sort *sort) { return sort->written; }

static bool head_less(const struct head *a, const struct head *b) {
  return a->known_ms != b->known_ms ? a->known_ms < b->known_ms : a->number < b->number;
}

static int by_order(const void *a, const void *b) {
  const struct slot *x = a, *y = b;
  return head_less(&x->head, &y->head) ? -1 : head_less(&y->head, &x->head) ? 1 : 0;
}

/* A file that is gone when it is closed, also when the process is killed. */
static FILE *open_run(const struct tide_history_sort *sort) {
  int fd = open(sort->dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
  if (fd < 0 && (errno == EOPNOTSUPP || errno == EISDIR)) { /* a file system without files that have no name */
    struct tide_buf path = TIDE_BUF_INIT;
    tide_buf_printf(&path, "%s/.history-XXXXXX", sort->dir);
    char *name = tide_buf_take(&path);
    fd = mkostemp(name, O_CLOEXEC);
    if (fd >= 0) (void)unlink(name);
    tide_free(name);
  }
  return fd < 0 ? NULL : fdopen(fd, "w+");
}

static enum tide_err io_fail(const struct tide_history_sort *sort, struct tide_error *error) {
  return tide_fail_errno(error, errno == ENOSPC ? TIDE_E_FULL : TIDE_E_IO,
                         "sorting the history needs room for all of it beside the output, in %s", sort->dir);
}

static enum tide_err write_item(const struct tide_history_sort *sort, FILE *file, const struct head *head, const char *bytes,
                                struct tide_error *error) {
  if (fwrite(head, sizeof *head, 1, file) == 1 && fwrite(bytes, 1, head->len, file) == head->len) return TIDE_OK;
  return io_fail(sort, error);
}

static enum tide_err add_run(struct tide_history_sort *sort, FILE *file, struct tide_error *error) {
  if (fflush(file) != 0) {
    enum tide_err err = io_fail(sort, error);
    (void)fclose(file);
    return err;
  }
  rewind(file);
  if (sort->runs == sort->runs_cap) {
    sort->runs_cap = sort->runs_cap ? sort->runs_cap * 2 : 16;
    sort->run = tide_realloc(sort->run, sort->runs_cap * sizeof *sort->run);
  }
  sort->run[sort->runs++] = (struct run){.file = file};
  sort->written++;
  return TIDE_OK;
}

static enum tide_err spill(struct tide_history_sort *sort, struct tide_error *error) {
  FILE *file = open_run(sort);
  if (!file) return io_fail(sort, error);
  qsort(sort->slot, sort->slots, sizeof *sort->slot, by_order);
  for (size_t i = 0; i < sort->slots; i++) {
    enum tide_err err = write_item(sort, file, &sort->slot[i].head, sort->bytes.ptr + sort->slot[i].at, error);
    if (err == TIDE_OK) continue;
    (void)fclose(file);
    return err;
  }
  sort->slots = 0;
  tide_buf_clear(&sort->bytes);
  return add_run(sort, file, error);
}

enum tide_err tide_history_sort_put(struct tide_history_sort *sort, const struct tide_history_item *item, struct tide_error *error) {
  TIDE_CHECK(!sort->reading);
  size_t used = sort->bytes.len + sort->slots * sizeof *sort->slot;
  if (sort->slots > 0 && used + item->records.len + sizeof *sort->slot > sort->memory_bytes) {
    enum tide_err err = spill(sort, error);
    if (err != TIDE_OK) return err;
  }
  if (sort->slots == sort->slots_cap) {
    sort->slots_cap = sort->slots_cap ? sort->slots_cap * 2 : 1024;
    sort->slot = tide_realloc(sort->slot, sort->slots_cap * sizeof *sort->slot);
  }
  struct slot *slot = &sort->slot[sort->slots++];
  memset(slot, 0, sizeof *slot); /* padding goes to disk as well */
  slot->head.known_ms = item->known_at.ms;
  slot->head.number = sort->number++;
  slot->head.event_ms = item->event_ms;
  slot->head.len = (uint32_t)item->records.len;
  slot->head.count = item->count;
  slot->at = sort->bytes.len;
  tide_buf_put(&sort->bytes, item->records.ptr, item->records.len);
  return TIDE_OK;
}

/* ---- merging ---- */

/* END when the run has no more. */
static enum tide_err advance(const struct tide_history_sort *sort, struct run *run, struct tide_error *error) {
  tide_buf_clear(&run->bytes);
  if (fread(&run->head, sizeof run->head, 1, run->file) != 1) {
    if (feof(run->file)) return TIDE_E_END;
    return io_fail(sort, error);
  }
  tide_buf_reserve(&run->bytes, run->head.len);
  if (fread(run->bytes.ptr, 1, run->head.len, run->file) != run->head.len) return io_fail(sort, error);
  run->bytes.len = run->head.len;
  return TIDE_OK;
}

static bool run_less(const struct tide_history_sort *sort, size_t a, size_t b) {
  return head_less(&sort->run[sort->heap[a]].head, &sort->run[sort->heap[b]].head);
}

static void sift_down(struct tide_history_sort *sort, size_t at) {
  for (;;) {
    size_t least = at, left = 2 * at + 1, right = left + 1;
    if (left < sort->heap_count && run_less(sort, left, least)) least = left;
    if (right < sort->heap_count && run_less(sort, right, least)) least = right;
    if (least == at) return;
    size_t other = sort->heap[at];
    sort->heap[at] = sort->heap[least];
    sort->heap[least] = other;
    at = least;
  }
}

static enum tide_err heap_begin(struct tide_history_sort *sort, size_t count, struct tide_error *error) {
  tide_free(sort->heap);
  sort->heap = tide_alloc((count + 1) * sizeof *sort->heap);
  sort->heap_count = 0;
  for (size_t i = 0; i < count; i++) {
    enum tide_err err = advance(sort, &sort->run[i], error);
    if (err == TIDE_OK) sort->heap[sort->heap_count++] = i;
    else if (err != TIDE_E_END) return err;
  }
  for (size_t i = sort->heap_count; i-- > 0;) sift_down(sort, i);
  return TIDE_OK;
}

/* The least item has been taken: its run gives the next. */
static enum tide_err heap_pop(struct tide_history_sort *sort, struct tide_error *error) {
  enum tide_err err = advance(sort, &sort->run[sort->heap[0]], error);
  if (err == TIDE_E_END) sort->heap[0] = sort->heap[--sort->heap_count];
  else if (err != TIDE_OK) return err;
  sift_down(sort, 0);
  return TIDE_OK;
}

/* Merges the first MERGE_MAX runs into one. */
static enum tide_err merge_some(struct tide_history_sort *sort, struct tide_error *error) {
  FILE *file = open_run(sort);
  if (!file) return io_fail(sort, error);
  enum tide_err err = heap_begin(sort, MERGE_MAX, error);
  while (err == TIDE_OK && sort->heap_count > 0) {
    const struct run *least = &sort->run[sort->heap[0]];
    err = write_item(sort, file, &least->head, least->bytes.ptr, error);
    if (err == TIDE_OK) err = heap_pop(sort, error);
  }
  if (err != TIDE_OK) {
    (void)fclose(file);
    return err;
  }
  for (size_t i = 0; i < MERGE_MAX; i++) {
    (void)fclose(sort->run[i].file);
    tide_buf_release(&sort->run[i].bytes);
  }
  memmove(sort->run, sort->run + MERGE_MAX, (sort->runs - MERGE_MAX) * sizeof *sort->run);
  sort->runs -= MERGE_MAX;
  return add_run(sort, file, error);
}

static enum tide_err begin_reading(struct tide_history_sort *sort, struct tide_error *error) {
  enum tide_err err = TIDE_OK;
  sort->reading = true;
  if (sort->runs == 0) { /* everything is in memory */
    if (sort->slots > 0) qsort(sort->slot, sort->slots, sizeof *sort->slot, by_order);
    return TIDE_OK;
  }
  if (sort->slots > 0) err = spill(sort, error);
  while (err == TIDE_OK && sort->runs > MERGE_MAX) err = merge_some(sort, error);
  return err == TIDE_OK ? heap_begin(sort, sort->runs, error) : err;
}

static struct tide_history_item item_of(const struct head *head, const char *bytes) {
  return (struct tide_history_item){
      .known_at = {head->known_ms}, .event_ms = head->event_ms, .count = head->count, .records = {bytes, head->len}};
}

enum tide_err tide_history_sort_next(struct tide_history_sort *sort, struct tide_history_item *ret, struct tide_error *error) {
  enum tide_err err = TIDE_OK;
  bool first = !sort->reading;
  if (first) err = begin_reading(sort, error);
  if (err != TIDE_OK) return err;
  if (sort->runs == 0) {
    if (sort->next == sort->slots) return TIDE_E_END;
    const struct slot *slot = &sort->slot[sort->next++];
    *ret = item_of(&slot->head, sort->bytes.ptr + slot->at);
    return TIDE_OK;
  }
  if (!first && sort->heap_count > 0) err = heap_pop(sort, error);
  if (err != TIDE_OK) return err;
  if (sort->heap_count == 0) return TIDE_E_END;
  const struct run *least = &sort->run[sort->heap[0]];
  *ret = item_of(&least->head, least->bytes.ptr);
  return TIDE_OK;
}
