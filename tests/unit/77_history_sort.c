/* The external sort against a stable sort in memory: any memory, from everything at once to hundreds of runs, gives the same order and the same bytes. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "cli/history_sort.h"
#include "tests/support/journal_dir.h"

#define ITEMS 20000

static void text_of(unsigned i, char out[64]) {
  snprintf(out, 64, "item %u%.*s", i, (int)(i % 40), "........................................");
}

/* Times with many ties; known[i] in order of input. */
static void order_is_that_of_a_stable_sort(size_t memory_bytes, size_t least_runs) {
  char *dir = test_dir("sort");
  struct tide_history_sort *sort = tide_history_sort_new(dir, memory_bytes);
  struct tide_error error = {0};
  static int64_t known[ITEMS];
  static bool seen[ITEMS];
  uint64_t random = 11;
  char text[64];
  memset(seen, 0, sizeof seen);
  for (unsigned i = 0; i < ITEMS; i++) {
    known[i] = (int64_t)(test_random(&random) % 3000) - 1500;
    text_of(i, text);
    struct tide_history_item item = {.known_at = {known[i]}, .event_ms = i, .count = (uint8_t)(1 + i % 2), .records = tide_span_of(text)};
    assert_int_equal(tide_history_sort_put(sort, &item, &error), TIDE_OK);
  }
  struct tide_history_item item;
  unsigned before = 0;
  for (unsigned n = 0; n < ITEMS; n++) {
    assert_int_equal(tide_history_sort_next(sort, &item, &error), TIDE_OK);
    unsigned i = (unsigned)item.event_ms;
    text_of(i, text);
    assert_false(seen[i]);
    seen[i] = true;
    assert_int_equal(item.known_at.ms, known[i]);
    assert_int_equal(item.count, 1 + i % 2);
    assert_true(tide_span_eq(item.records, tide_span_of(text)));
    if (n > 0) assert_true(known[before] < known[i] || (known[before] == known[i] && before < i));
    before = i;
  }
  assert_int_equal(tide_history_sort_next(sort, &item, &error), TIDE_E_END);
  assert_true(tide_history_sort_runs(sort) >= least_runs);
  if (least_runs == 0) assert_int_equal(tide_history_sort_runs(sort), 0);
  tide_history_sort_free(sort);
  test_dir_remove(dir);
  tide_free(dir);
}

static void in_memory(void **state) {
  (void)state;
  order_is_that_of_a_stable_sort(64 << 20, 0);
}
static void a_few_runs(void **state) {
  (void)state;
  order_is_that_of_a_stable_sort(300000, 2);
}
/* More than can be merged at once. */
static void many_runs(void **state) {
  (void)state;
  order_is_that_of_a_stable_sort(2000, 600);
}

static void nothing(void **state) {
  (void)state;
  struct tide_history_sort *sort = tide_history_sort_new("/tmp", 1000);
  struct tide_history_item item;
  struct tide_error error = {0};
  assert_int_equal(tide_history_sort_next(sort, &item, &error), TIDE_E_END);
  tide_history_sort_free(sort);
}

static void no_directory(void **state) {
  (void)state;
  struct tide_history_sort *sort = tide_history_sort_new("/nonexistent/place", 100);
  struct tide_history_item item = {.count = 1, .records = TIDE_SPAN("some bytes")};
  struct tide_error error = {0};
  enum tide_err err = TIDE_OK;
  for (int i = 0; i < 100 && err == TIDE_OK; i++) err = tide_history_sort_put(sort, &item, &error);
  assert_int_equal(err, TIDE_E_IO);
  assert_non_null(strstr(error.text, "/nonexistent/place"));
  tide_history_sort_free(sort);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(in_memory), cmocka_unit_test(a_few_runs), cmocka_unit_test(many_runs),
                                     cmocka_unit_test(nothing), cmocka_unit_test(no_directory)};
  return cmocka_run_group_tests_name("history sort", tests, NULL, NULL);
}
