/* Decoding ahead: one thread or many give the same items in the same order, what cannot be used is counted, and where the input breaks everything before it has
 * been given. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "cli/intake_ahead.h"
#include "feature/spec.h"
#include "tests/support/journal_dir.h"

#define ROWS 6000u /* a dozen chunks */

static const char features[] = "tidemark: 1\n"
                               "name: ahead\n"
                               "event: {id: id, time: time, amount: amount in EUR}\n"
                               "inputs:\n"
                               "  default:\n"
                               "    id: id\n"
                               "    time: {at: time, as: epoch_ms}\n"
                               "    amount: {at: amount}\n"
                               "    card: card\n"
                               "    result: {at: result, optional: true, map: {\"00\": approved, \"*\": declined}}\n"
                               "    known_at: known\n"
                               "entities: {card: card}\n"
                               "features: {card: {attempts: \"count over 1h\"}}\n"
                               "policy: {decisions: [approve, decline], rules: [{else: approve}], fallback: [{else: decline}]}\n";

struct world {
  struct tide_spec *spec;
  char *dir, *a, *b;
};

struct given {
  uint64_t items, records, rejected, hash;
  enum tide_err end;
  struct tide_error error;
};

/* Every 97th row has an amount that is none, every 2501st is longer than a line may be. Rows differ in length, so chunks are not cut at round numbers. */
static void write_rows(const char *path, const char *header, unsigned from, unsigned to) {
  FILE *file = fopen(path, "w");
  assert_non_null(file);
  fprintf(file, "%s\n", header);
  for (unsigned i = from; i < to; i++) {
    if (i % 2501 == 2500) {
      for (unsigned k = 0; k < (1u << 20) + 10; k++) fputc('x', file);
      fputc('\n', file);
      continue;
    }
    fprintf(file, "t%u,%u,%s,card %.*s%u,%s,%u\n", i, 1700000000u + i, i % 97 == 96 ? "much" : "12.50", (int)(i % 60),
            "............................................................", i % 300, i % 3 ? "00" : "", 1700000000u + i);
  }
  assert_int_equal(fclose(file), 0);
}

static int open_world(void **state) {
  struct world *w = calloc(1, sizeof *w);
  struct tide_error error[4];
  size_t errors = 0;
  enum tide_err err = tide_spec_parse("ahead", (struct tide_span){features, sizeof features - 1}, &w->spec, error, 4, &errors);
  if (err) fprintf(stderr, "%s\n", error[0].text);
  assert_int_equal(err, TIDE_OK);
  w->dir = test_dir("ahead");
  w->a = test_path(w->dir, "a.csv");
  w->b = test_path(w->dir, "b.csv");
  *state = w;
  return 0;
}

static int close_world(void **state) {
  struct world *w = *state;
  test_dir_remove(w->dir);
  tide_spec_free(w->spec);
  tide_free(w->dir);
  tide_free(w->a);
  tide_free(w->b);
  free(w);
  return 0;
}

static struct tide_intake *open_intake(const struct world *w) {
  const char *input[] = {w->a, w->b};
  struct tide_intake_options options = {.spec = w->spec, .format = "auto", .known_at = true, .input = input, .input_count = 2};
  struct tide_intake *intake;
  struct tide_error error = {0};
  enum tide_err err = tide_intake_open(&options, &intake, &error);
  if (err) fprintf(stderr, "%s\n", error.text);
  assert_int_equal(err, TIDE_OK);
  return intake;
}

static struct given take_all(const struct world *w, unsigned threads) {
  struct tide_intake *intake = open_intake(w);
  struct tide_ahead *ahead;
  struct given given = {0};
  const struct tide_ahead_chunk *chunk;
  uint64_t line = 0;
  assert_int_equal(tide_ahead_open(intake, w->spec, threads, &ahead, &given.error), TIDE_OK);
  while ((given.end = tide_ahead_next(ahead, &chunk, &given.error)) == TIDE_OK) {
    given.rejected += chunk->rejected;
    for (size_t i = 0; i < chunk->count; i++) {
      const struct tide_ahead_item *item = &chunk->item[i];
      assert_true(item->line > line);
      line = item->line;
      int64_t numbers[] = {item->known_at.ms, item->first.ms, item->event_ms, (int64_t)item->line, item->count};
      given.items++;
      given.records += item->count;
      given.hash = tide_hash64(numbers, sizeof numbers, given.hash);
      given.hash = tide_hash64(item->records.ptr, item->records.len, given.hash);
    }
  }
  assert_int_equal(tide_ahead_next(ahead, &chunk, &given.error), given.end); /* and stays so */
  tide_ahead_close(ahead);
  tide_intake_close(intake);
  return given;
}

static void threads_do_not_show(void **state) {
  const struct world *w = *state;
  write_rows(w->a, "id,time,amount,card,result,known", 0, ROWS / 2);
  write_rows(w->b, "id,time,amount,card,result,known", ROWS / 2, ROWS);
  struct given one = take_all(w, 1);
  assert_int_equal(one.end, TIDE_E_END);
  uint64_t too_long = ROWS / 2501, bad = 0, with_result = 0;
  for (unsigned i = 0; i < ROWS; i++) {
    if (i % 2501 == 2500) continue;
    bad += i % 97 == 96;
    with_result += i % 97 != 96 && i % 3 != 0;
  }
  assert_int_equal(one.rejected, bad + too_long);
  assert_int_equal(one.items, ROWS - bad - too_long);
  assert_int_equal(one.records, one.items + with_result); /* the outcome in the row is a record of its own */
  for (unsigned threads = 2; threads <= 5; threads++) {
    struct given many = take_all(w, threads);
    assert_int_equal(many.end, TIDE_E_END);
    assert_int_equal(many.items, one.items);
    assert_int_equal(many.rejected, one.rejected);
    assert_int_equal(many.hash, one.hash);
  }
}

/* The second file has other columns: an error, but not before all rows of the first. */
static void a_break_comes_after_what_stood_before_it(void **state) {
  const struct world *w = *state;
  write_rows(w->a, "id,time,amount,card,result,known", 0, 2000);
  write_rows(w->b, "id,time,amount,card,known,result", 2000, 2100);
  struct given one = take_all(w, 1);
  assert_int_equal(one.end, TIDE_E_CONFIG);
  assert_int_equal(one.items + one.rejected, 2000);
  assert_non_null(strstr(one.error.text, "b.csv"));
  for (unsigned threads = 2; threads <= 4; threads++) {
    struct given many = take_all(w, threads);
    assert_int_equal(many.end, one.end);
    assert_int_equal(many.items, one.items);
    assert_int_equal(many.hash, one.hash);
    assert_string_equal(many.error.text, one.error.text);
  }
}

static void closing_in_the_middle_stops_the_threads(void **state) {
  const struct world *w = *state;
  write_rows(w->a, "id,time,amount,card,result,known", 0, ROWS);
  write_rows(w->b, "id,time,amount,card,result,known", ROWS, ROWS + 1);
  for (unsigned taken = 0; taken < 3; taken++) {
    struct tide_intake *intake = open_intake(w);
    struct tide_ahead *ahead;
    const struct tide_ahead_chunk *chunk;
    struct tide_error error = {0};
    assert_int_equal(tide_ahead_open(intake, w->spec, 4, &ahead, &error), TIDE_OK);
    for (unsigned i = 0; i < taken; i++) {
      assert_int_equal(tide_ahead_next(ahead, &chunk, &error), TIDE_OK);
      assert_true(chunk->count > 0 && chunk->item[0].line > 0);
    }
    tide_ahead_close(ahead);
    tide_intake_close(intake);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(threads_do_not_show), cmocka_unit_test(a_break_comes_after_what_stood_before_it),
                                     cmocka_unit_test(closing_in_the_middle_stops_the_threads)};
  return cmocka_run_group_tests_name("intake_ahead", tests, open_world, close_world);
}
