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

#include "tests/oracle/render.h"
#include "tests/support/slice_folds.h"

#define CASES_DEFAULT 1000

static struct tide_slice_use seen;
static uint64_t folded; /* records of all cases */

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
  char name[40];
  snprintf(name, sizeof name, "seed %llu", (unsigned long long)c->seed);
  begin_all(&all, c->seed % 3 ? 1 : TIDE_SLICE_LEAST);
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
    fold_all(&all, name, position, &entry);
    if (size >= 500) assert_same(&all, name, position);
  }
  assert_same(&all, name, position);
  end_all(&all, &seen);
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
  fprintf(
      stdout,
      "# %llu records, by phases %llu of 3 x %llu, %llu of them closed in order, %llu outcomes had waited, %llu came with their event\n",
      (unsigned long long)folded, (unsigned long long)seen.records, (unsigned long long)folded, (unsigned long long)seen.closed,
      (unsigned long long)seen.waited, (unsigned long long)seen.with_event);
  if (cases < CASES_DEFAULT) return;
  assert_true(seen.records > folded); /* a third of what three folds were given */
  assert_true(seen.closed > 0 && seen.waited > cases && seen.with_event > cases);
}

/* Outcomes that come with their event: one from behind the tiles, one with an amount that makes a block wide which a late event had moved. */
static void what_comes_with_its_event_finds_the_block_that_it_would_have_found(void **state) {
  (void)state;
  static struct or_case c;
  or_case_make(5054, &c);
  one_case(&c);
  or_case_make(5870, &c);
  one_case(&c);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(any_number_of_threads_gives_the_same_bytes),
                                     cmocka_unit_test(what_comes_with_its_event_finds_the_block_that_it_would_have_found)};
  return cmocka_run_group_tests_name("slices", tests, NULL, NULL);
}
