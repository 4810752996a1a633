/* The waiting and the waking of a team (team.h).
 *
 * One lock guards the row. A helper joins while the row is open and is counted as long as it takes jobs; the caller takes jobs as well, closes the row when none is
 * left, and waits for those who are still at one. Indices are taken without the lock: jobs are short and many. */
#include "base/team.h"

#include "base/buf.h"

#include <pthread.h>
#include <stdatomic.h>

struct tide_team {
  pthread_mutex_t lock;
  pthread_cond_t begun, left;
  pthread_t helper[TIDE_THREADS_MAX];
  unsigned helpers, busy; /* busy: helpers that take jobs of this row */
  bool open, stop;
  tide_team_fn job;
  void *ctx;
  size_t count;
  atomic_size_t next;
};

static void take_jobs(struct tide_team *team) {
  for (size_t index; (index = atomic_fetch_add(&team->next, 1)) < team->count;) team->job(team->ctx, index);
}

static void *help(void *arg) {
  struct tide_team *team = arg;
  pthread_mutex_lock(&team->lock);
  while (!team->stop) {
    if (!team->open || atomic_load(&team->next) >= team->count) {
      pthread_cond_wait(&team->begun, &team->lock);
      continue;
    }
    team->busy++;
    pthread_mutex_unlock(&team->lock);
    take_jobs(team);
    pthread_mutex_lock(&team->lock);
    if (--team->busy == 0) pthread_cond_signal(&team->left);
  }
  pthread_mutex_unlock(&team->lock);
  return NULL;
}

struct tide_team *tide_team_new(unsigned threads) {
  TIDE_CHECK(threads >= 1 && threads <= TIDE_THREADS_MAX);
  struct tide_team *team = tide_alloc(sizeof *team);
  TIDE_CHECK(pthread_mutex_init(&team->lock, NULL) == 0 && pthread_cond_init(&team->begun, NULL) == 0 &&
             pthread_cond_init(&team->left, NULL) == 0);
  while (team->helpers + 1 < threads && pthread_create(&team->helper[team->helpers], NULL, help, team) == 0) team->helpers++;
  return team;
}

void tide_team_free(struct tide_team *team) {
  if (!team) return;
  pthread_mutex_lock(&team->lock);
  team->stop = true;
  pthread_cond_broadcast(&team->begun);
  pthread_mutex_unlock(&team->lock);
  for (unsigned i = 0; i < team->helpers; i++) TIDE_CHECK(pthread_join(team->helper[i], NULL) == 0);
  pthread_cond_destroy(&team->begun);
  pthread_cond_destroy(&team->left);
  pthread_mutex_destroy(&team->lock);
  tide_free(team);
}

unsigned tide_team_size(const struct tide_team *team) { return team->helpers + 1; }

void tide_team_run(struct tide_team *team, size_t count, tide_team_fn job, void *ctx) {
  if (!team->helpers || count <= 1) {
    for (size_t i = 0; i < count; i++) job(ctx, i);
    return;
  }
  pthread_mutex_lock(&team->lock);
  team->job = job;
  team->ctx = ctx;
  team->count = count;
  atomic_store(&team->next, 0);
  team->open = true;
  pthread_cond_broadcast(&team->begun);
  pthread_mutex_unlock(&team->lock);
  take_jobs(team);
  pthread_mutex_lock(&team->lock);
  team->open = false;
  while (team->busy) pthread_cond_wait(&team->left, &team->lock);
  pthread_mutex_unlock(&team->lock);
}
