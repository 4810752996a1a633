/* The same entries folded plainly and by phases over slices on one, two and four threads (core/fold_slice.h), and all chunks of their states compared byte by byte. Used by the
 * oracle's cases and by streams made for corners. */
#ifndef TIDE_TEST_SLICE_FOLDS_H
#define TIDE_TEST_SLICE_FOLDS_H

#include "core/fold_slice.h"

#define FOLDS 4 /* the first plainly */

static const unsigned threads[FOLDS] = {1, 1, 2, 4};

struct all {
  struct tide_fold *fold[FOLDS];
  struct tide_team *team[FOLDS];
};

/* least: slices of fewer records are folded plainly; 0: as the program has it. */
static inline void begin_all(struct all *all, uint32_t least) {
  for (int i = 0; i < FOLDS; i++) {
    all->fold[i] = tide_fold_new();
    all->team[i] = tide_team_new(threads[i]);
    tide_fold_quiet(all->fold[i], true);
    if (!i) continue;
    tide_fold_team(all->fold[i], all->team[i]);
    if (least) tide_slices_least(all->fold[i]->slices, least);
  }
}

/* Ends them; adds up what became of the records of those that have slices. */
static inline void end_all(struct all *all, struct tide_slice_use *seen) {
  for (int i = 0; i < FOLDS; i++) {
    if (i) {
      struct tide_slice_use use = tide_slices_use(all->fold[i]->slices);
      seen->records += use.records;
      seen->closed += use.closed;
      seen->waited += use.waited;
      seen->with_event += use.with_event;
    }
    tide_fold_free(all->fold[i]);
    tide_team_free(all->team[i]);
  }
}

static inline void fold_all(struct all *all, const char *name, struct tide_position position, const struct tide_buf *entry) {
  for (int i = 0; i < FOLDS; i++) {
    struct tide_error error = {0};
    if (tide_fold_entry(all->fold[i], position, tide_buf_span(entry), NULL, NULL, &error))
      fail_msg("%s, %u threads: %s", name, threads[i], error.text);
  }
}

static inline void assert_same(const struct all *all, const char *name, struct tide_position position) {
  struct tide_buf want = TIDE_BUF_INIT, got = TIDE_BUF_INIT;
  for (unsigned chunk = 0; chunk < TIDE_CHUNKS; chunk++) {
    tide_buf_clear(&want);
    tide_fold_save(all->fold[0], chunk, &want);
    for (int i = 1; i < FOLDS; i++) {
      tide_buf_clear(&got);
      tide_fold_save(all->fold[i], chunk, &got);
      if (!tide_span_eq(tide_buf_span(&want), tide_buf_span(&got)))
        fail_msg("%s: chunk %u differs with %u threads behind entry %llu", name, chunk, threads[i], (unsigned long long)position.seq);
    }
  }
  tide_buf_release(&want);
  tide_buf_release(&got);
}

#endif
