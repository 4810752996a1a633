/* A fold as bytes and back: identical bytes, identical answers from there on, and files that are refused when anything in them changed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <unistd.h>

#include "cli/snapshot.h"
#include "tests/support/small_fold.h"

static void collect(void *ctx, const struct tide_answer *answer) {
  tide_answer_json(answer, TIDE_ANSWER_FEATURES, ctx);
  tide_buf_char(ctx, '\n');
}

static struct tide_fold *copy_of(struct tide_fold *fold) {
  struct tide_fold *copy = tide_fold_new();
  struct tide_buf bytes = TIDE_BUF_INIT;
  struct tide_error error = {0};
  for (unsigned i = 0; i < TIDE_CHUNKS; i++) {
    unsigned chunk = i == 0 ? TIDE_SHARDS : TIDE_SHARDS - i; /* the shards in another order than they were saved */
    tide_buf_clear(&bytes);
    tide_fold_save(fold, chunk, &bytes);
    if (tide_fold_load(copy, chunk, tide_buf_span(&bytes), &error)) fail_msg("chunk %u: %s", chunk, error.text);
  }
  tide_buf_release(&bytes);
  return copy;
}

static void assert_same(struct tide_fold *a, struct tide_fold *b) {
  struct tide_buf x = TIDE_BUF_INIT, y = TIDE_BUF_INIT;
  for (unsigned chunk = 0; chunk < TIDE_CHUNKS; chunk++) {
    tide_buf_clear(&x);
    tide_buf_clear(&y);
    tide_fold_save(a, chunk, &x);
    tide_fold_save(b, chunk, &y);
    assert_int_equal(x.len, y.len);
    if (x.len) assert_memory_equal(x.ptr, y.ptr, x.len);
  }
  struct tide_digest p = tide_fold_digest(a), q = tide_fold_digest(b);
  assert_memory_equal(&p.digest, &q.digest, sizeof p.digest);
  assert_true(p.state_hash == q.state_hash && p.decisions == q.decisions);
  tide_buf_release(&x);
  tide_buf_release(&y);
}

static void same_bytes_and_answers(void **state) {
  (void)state;
  struct tide_spec *spec = small_spec();
  struct tide_fold *fold = tide_fold_new();
  struct tide_buf all = TIDE_BUF_INIT, rest = TIDE_BUF_INIT;
  for (uint32_t at = 0; at < 600; at += 120) {
    small_fold_on(fold, spec, at, 120, NULL, NULL);
    struct tide_fold *copy = copy_of(fold);
    assert_same(fold, copy);
    struct tide_fold *other = copy_of(copy);
    tide_buf_clear(&all);
    tide_buf_clear(&rest);
    small_fold_on(copy, spec, at + 120, 300, collect, &all);
    small_fold_on(other, spec, at + 120, 300, collect, &rest);
    assert_true(all.len > 1000);
    assert_true(tide_span_eq(tide_buf_span(&all), tide_buf_span(&rest)));
    assert_same(copy, other);
    tide_fold_free(copy);
    tide_fold_free(other);
  }
  /* And against one that never stopped. */
  struct tide_fold *whole = tide_fold_new();
  small_fold_on(whole, spec, 0, 600, NULL, NULL);
  assert_same(whole, fold);
  tide_buf_release(&all);
  tide_buf_release(&rest);
  tide_fold_free(whole);
  tide_fold_free(fold);
  tide_spec_free(spec);
}

static void quiet_counts_the_same(void **state) {
  (void)state;
  struct tide_spec *spec = small_spec();
  struct tide_fold *loud = tide_fold_new(), *quiet = tide_fold_new();
  struct tide_buf a = TIDE_BUF_INIT, b = TIDE_BUF_INIT;
  tide_fold_quiet(quiet, true);
  small_fold_on(loud, spec, 0, 230, NULL, NULL);
  small_fold_on(quiet, spec, 0, 230, collect, &b);
  assert_int_equal(b.len, 0);
  tide_fold_quiet(quiet, false);
  small_fold_on(loud, spec, 230, 230, collect, &a);
  small_fold_on(quiet, spec, 230, 230, collect, &b);
  assert_true(a.len > 1000);
  assert_true(tide_span_eq(tide_buf_span(&a), tide_buf_span(&b)));
  tide_buf_release(&a);
  tide_buf_release(&b);
  tide_fold_free(loud);
  tide_fold_free(quiet);
  tide_spec_free(spec);
}

static void files(void **state) {
  (void)state;
  char dir[] = "/tmp/tidemark-snapshot-XXXXXX";
  assert_non_null(mkdtemp(dir));
  struct tide_spec *spec = small_spec();
  struct tide_fold *fold = tide_fold_new(), *back = NULL;
  struct tide_error error = {0};
  struct tide_released released = {{1, 3}, 4}, got, have = {{1, 3}, 4}, less = {{1, 3}, 3};
  small_fold_on(fold, spec, 0, 100, NULL, NULL);
  /* Of a journal that is not there, so there is nothing to compare the entry with: refused. */
  assert_int_equal(tide_snapshot_save(dir, fold, TIDE_SPAN("entry"), released, &error), TIDE_OK);
  assert_int_equal(tide_snapshot_load(dir, NULL, &have, &back, &got, &error), TIDE_OK);
  assert_null(back);
  struct tide_position *position;
  size_t count;
  assert_int_equal(tide_snapshot_list(dir, &position, &count, &error), TIDE_OK);
  assert_int_equal(count, 1);
  assert_int_equal(tide_position_cmp(position[0], tide_fold_position(fold)), 0);
  struct tide_snapshot_manifest *manifest = tide_alloc(sizeof *manifest), *again = tide_alloc(sizeof *again);
  assert_int_equal(tide_snapshot_manifest_read(dir, position[0], manifest, &error), TIDE_OK);
  assert_int_equal(manifest->chunk_count, TIDE_CHUNKS);
  assert_true(manifest->entry_hash == tide_hash64("entry", 5, 0));
  assert_int_equal(manifest->released_index, 4);
  /* Every byte of the manifest is covered by its checksum. */
  struct tide_buf bytes = TIDE_BUF_INIT;
  tide_snapshot_manifest_encode(manifest, &bytes);
  assert_int_equal(tide_snapshot_manifest_decode(tide_buf_span(&bytes), again, &error), TIDE_OK);
  for (size_t i = 0; i < bytes.len; i++) {
    bytes.ptr[i] ^= 0x20;
    assert_int_not_equal(tide_snapshot_manifest_decode(tide_buf_span(&bytes), again, &error), TIDE_OK);
    bytes.ptr[i] ^= 0x20;
    assert_int_not_equal(tide_snapshot_manifest_decode((struct tide_span){bytes.ptr, i}, again, &error), TIDE_OK);
  }
  /* Three saves leave two generations; one of a later position than the newest save is of another log and goes. */
  for (uint32_t i = 1; i <= 2; i++) {
    small_fold_on(fold, spec, 100 * i, 100, NULL, NULL);
    assert_int_equal(tide_snapshot_save(dir, fold, TIDE_SPAN("entry"), released, &error), TIDE_OK);
  }
  tide_free(position);
  assert_int_equal(tide_snapshot_list(dir, &position, &count, &error), TIDE_OK);
  assert_int_equal(count, TIDE_SNAPSHOT_GENERATIONS);
  assert_true(position[0].seq == 30 && position[1].seq == 20);
  struct tide_fold *early = tide_fold_new();
  small_fold_on(early, spec, 0, 250, NULL, NULL);
  assert_int_equal(tide_snapshot_save(dir, early, TIDE_SPAN("entry"), released, &error), TIDE_OK);
  tide_free(position);
  assert_int_equal(tide_snapshot_list(dir, &position, &count, &error), TIDE_OK);
  assert_true(count == 2 && position[0].seq == 25 && position[1].seq == 20);
  assert_int_equal(tide_snapshot_load(dir, NULL, &less, &back, &got, &error), TIDE_OK);
  assert_null(back);
  char command[128];
  snprintf(command, sizeof command, "rm -r %s", dir);
  assert_int_equal(system(command), 0);
  tide_free(position);
  tide_free(manifest);
  tide_free(again);
  tide_buf_release(&bytes);
  tide_fold_free(fold);
  tide_fold_free(early);
  tide_spec_free(spec);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(same_bytes_and_answers),
      cmocka_unit_test(quiet_counts_the_same),
      cmocka_unit_test(files),
  };
  return cmocka_run_group_tests_name("snapshot", tests, NULL, NULL);
}
