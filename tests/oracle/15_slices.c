/* History folded by phases on several threads is history folded record by record: every chunk of the snapshot has the same bytes.
 *
 * The cases are the oracle's, so that whatever its generator thinks of stands here too: duplicates, conflicts, outcomes before their events, increments, late
 * events, limits, retention, tiles, currencies, lists, profiles, keys that rotate. Records go into entries of sizes of their own, without the control
 * records, which history has not. TIDE_CASES and TIDE_SEED as for 10_oracle. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "core/fold_slice.h"
#include "tests/oracle/render.h"

#define CASES_DEFAULT 400
#define FOLDS 4 /* the first plainly */

static const unsigned threads[FOLDS] = {1, 1, 2, 4};

static struct tide_slice_use seen;
static uint64_t folded; /* records of all cases */

struct all {
  struct tide_fold *fold[FOLDS];
  struct tide_team *team[FOLDS];
};

static void begin(struct all *all, uint64_t seed) {
  for (int i = 0; i < FOLDS; i++) {
    all->fold[i] = tide_fold_new();
    all->team[i] = tide_team_new(threads[i]);
    tide_fold_quiet(all->fold[i], true);
    if (!i) continue;
    tide_fold_team(all->fold[i], all->team[i]);
    tide_slices_least(all->fold[i]->slices, seed % 3 ? 1 : TIDE_SLICE_LEAST);
  }
}

static void end(struct all *all) {
  for (int i = 0; i < FOLDS; i++) {
    if (i) {
      struct tide_slice_use use = tide_slices_use(all->fold[i]->slices);
      seen.records += use.records;
      seen.closed += use.closed;
      seen.waited += use.waited;
    }
    tide_fold_free(all->fold[i]);
    tide_team_free(all->team[i]);
  }
}

static void fold_all(struct all *all, uint64_t seed, struct tide_position position, struct tide_buf *entry) {
  for (int i = 0; i < FOLDS; i++) {
    struct tide_error error = {0};
    if (tide_fold_entry(all->fold[i], position, tide_buf_span(entry), NULL, NULL, &error))
      fail_msg("seed %llu, %u threads: %s", (unsigned long long)seed, threads[i], error.text);
  }
}

static void assert_same(struct all *all, uint64_t seed, struct tide_position position) {
  struct tide_buf want = TIDE_BUF_INIT, got = TIDE_BUF_INIT;
  for (unsigned chunk = 0; chunk < TIDE_CHUNKS; chunk++) {
    tide_buf_clear(&want);
    tide_fold_save(all->fold[0], chunk, &want);
    for (int i = 1; i < FOLDS; i++) {
      tide_buf_clear(&got);
      tide_fold_save(all->fold[i], chunk, &got);
      if (!tide_span_eq(tide_buf_span(&want), tide_buf_span(&got)))
        fail_msg("seed %llu: chunk %u differs with %u threads behind entry %llu", (unsigned long long)seed, chunk, threads[i],
                 (unsigned long long)position.seq);
    }
  }
  tide_buf_release(&want);
  tide_buf_release(&got);
}

static bool is_history(const struct or_record *r) { return r->type <= OR_HEARTBEAT || r->type == OR_PROFILE; }

static void one_case(const struct or_case *c) {
  static const int sizes[] = {7, 60, 500, TIDE_SLICE};
  struct tide_buf file = TIDE_BUF_INIT, entry = TIDE_BUF_INIT;
  struct tide_error error = {0};
  struct tide_spec *spec;
  struct tide_batch batch;
  struct tide_record *record = tide_alloc(sizeof *record);
  struct tide_position position = {0, 0};
  struct tide_settings settings = or_settings(c);
  struct all all;
  size_t errors;
  int64_t commit_ms = c->record[0].time_ms;
  or_render_file(c, &file);
  assert_int_equal(tide_spec_parse("slices", tide_buf_span(&file), &spec, &error, 1, &errors), TIDE_OK);
  begin(&all, c->seed);
  int size = sizes[c->seed % 4];
  for (int i = 0; i < c->record_count;) {
    int to = i + size < c->record_count ? i + size : c->record_count;
    for (int k = i; k < to; k++)
      if (c->record[k].type == OR_EVENT && !c->record[k].stamped && c->record[k].time_ms > commit_ms) commit_ms = c->record[k].time_ms;
    struct tide_entry_header header = {.commit_ms = c->seed % 5 ? commit_ms : commit_ms - 60000}; /* some come from the future */
    tide_batch_begin(&batch, &entry, &header, NULL, 0);
    if (!position.seq) assert_int_equal(tide_batch_add_config(&batch, &settings, tide_buf_span(&file)), TIDE_OK);
    for (; i < to; i++) {
      if (!is_history(&c->record[i])) continue;
      or_render_record(c, spec, &c->record[i], record);
      record->source = 0;
      folded++;
      assert_int_equal(tide_batch_add(&batch, spec, record), TIDE_OK);
    }
    tide_batch_end(&batch);
    position.seq++;
    fold_all(&all, c->seed, position, &entry);
    if (size >= 500) assert_same(&all, c->seed, position);
  }
  assert_same(&all, c->seed, position);
  end(&all);
  tide_free(record);
  tide_spec_free(spec);
  tide_buf_release(&file);
  tide_buf_release(&entry);
}

static uint64_t number_from(const char *name, uint64_t otherwise) {
  const char *text = getenv(name);
  return text && *text ? strtoull(text, NULL, 0) : otherwise;
}

static void any_number_of_threads_gives_the_same_bytes(void **state) {
  (void)state;
  static struct or_case c;
  uint64_t cases = number_from("TIDE_CASES", CASES_DEFAULT), seed = number_from("TIDE_SEED", 1);
  for (uint64_t i = 0; i < cases; i++) {
    or_case_make(seed + i, &c);
    one_case(&c);
  }
  fprintf(stdout, "# %llu records, by phases %llu of 3 x %llu, %llu of them closed in order, %llu outcomes had waited\n",
          (unsigned long long)folded, (unsigned long long)seen.records, (unsigned long long)folded, (unsigned long long)seen.closed,
          (unsigned long long)seen.waited);
  if (cases < CASES_DEFAULT) return;
  assert_true(seen.records > folded); /* a third of what three folds were given */
  assert_true(seen.closed > 0 && seen.waited > cases);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(any_number_of_threads_gives_the_same_bytes)};
  return cmocka_run_group_tests_name("slices", tests, NULL, NULL);
}
