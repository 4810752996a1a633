/* Jobs by index under one lock (parallel.h).
 *
 * The lock is taken twice a job, which is nothing against jobs of milliseconds. Since indices are given in order, every job below one that failed was begun, and
 * is waited for: the lowest failure is the one that a plain loop would have met. */
#include "base/parallel.h"

#include <pthread.h>

struct row {
  pthread_mutex_t lock;
  tide_job_fn job;
  void *ctx;
  size_t next, count; /* next = count: nothing more is begun */
  size_t failed_at;
  enum tide_err err;
  struct tide_error error;
};

static void *work(void *arg) {
  struct row *row = arg;
  pthread_mutex_lock(&row->lock);
  while (row->next < row->count) {
    size_t index = row->next++;
    struct tide_error error = {0};
    pthread_mutex_unlock(&row->lock);
    enum tide_err err = row->job(row->ctx, index, &error);
    pthread_mutex_lock(&row->lock);
    if (err == TIDE_OK) continue;
    row->next = row->count;
    if (row->err != TIDE_OK && row->failed_at < index) continue;
    row->err = err;
    row->error = error;
    row->failed_at = index;
  }
  pthread_mutex_unlock(&row->lock);
  return NULL;
}

enum tide_err tide_parallel(unsigned threads, size_t count, tide_job_fn job, void *ctx, struct tide_error *error) {
  TIDE_CHECK(threads >= 1 && threads <= TIDE_THREADS_MAX && job);
  struct row row = {.job = job, .ctx = ctx, .count = count};
  pthread_t helper[TIDE_THREADS_MAX];
  unsigned helpers = 0;
  TIDE_CHECK(pthread_mutex_init(&row.lock, NULL) == 0);
  while (helpers + 1 < threads && helpers + 1 < count && pthread_create(&helper[helpers], NULL, work, &row) == 0) helpers++;
  (void)work(&row);
  while (helpers > 0) TIDE_CHECK(pthread_join(helper[--helpers], NULL) == 0);
  pthread_mutex_destroy(&row.lock);
  if (row.err != TIDE_OK && error) *error = row.error;
  return row.err;
}
