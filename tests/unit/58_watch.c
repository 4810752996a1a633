/* The watch on a fold: what it counts and what it leaves out, labels that come first, and that the fold does not notice it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/watch.h"
#include "tests/support/small_fold.h"

static const struct tide_watch_options options = {
    .drift = {.window_ms = {3600000, 86400000}, .rows_max = 1000},
    .feedback = {.rows_max = 4096, .keep_ms = INT64_C(1) << 40, .mature_ms = INT64_C(1) << 39}};

static struct tide_watch *watched(struct tide_fold *fold) {
  struct tide_watch *watch = tide_watch_new(&options);
  struct tide_fold_watch hooks = tide_watch_hooks(watch);
  tide_fold_watch(fold, &hooks);
  return watch;
}

static struct tide_feedback_look feedback(const struct tide_watch *watch) {
  struct tide_watch_look *look = tide_watch_look(watch);
  struct tide_feedback_look ret = look->feedback;
  tide_watch_look_free(look);
  return ret;
}

/* One entry with one label, about event number i of small_fold. */
static void label(struct tide_fold *fold, const struct tide_spec *spec, uint32_t i, uint8_t value, bool names_amount) {
  struct tide_buf entry = TIDE_BUF_INIT;
  struct tide_batch batch;
  struct tide_error error = {0};
  struct tide_record *record = tide_alloc(sizeof *record);
  struct tide_position at = tide_fold_position(fold);
  char id[32], card[32];
  snprintf(id, sizeof id, "t%u", i);
  snprintf(card, sizeof card, "c%u", i * 7 % 41);
  record->type = TIDE_REC_OUTCOME;
  record->outcome.set = 1u << TIDE_DYN_label;
  record->outcome.label = value;
  small_text(spec, record, "id", id);
  small_text(spec, record, "card", card);
  if (names_amount) {
    record->field[spec->f_amount] = (struct tide_datum){.kind = TIDE_D_INT, .exponent = 2, .num = 100 + (int64_t)(i * 37 % 9000)};
    memcpy(record->field[spec->f_amount].currency, "EUR", 4);
  }
  tide_batch_begin(&batch, &entry, &(struct tide_entry_header){.fence_nonce = 7}, NULL, 0);
  assert_int_equal(tide_batch_add(&batch, spec, record), TIDE_OK);
  tide_batch_end(&batch);
  at.seq++;
  assert_int_equal(tide_fold_entry(fold, at, tide_buf_span(&entry), NULL, NULL, &error), TIDE_OK);
  tide_free(record);
  tide_buf_release(&entry);
}

struct tally {
  uint64_t rows, stopped;
};
static void count(void *ctx, const struct tide_answer *answer) {
  struct tally *tally = ctx;
  bool row = answer->counted && !answer->duplicate;
  tally->rows += row;
  tally->stopped += row && answer->verdict.decision != 0;
}

static void it_counts_decisions_once_and_changes_nothing(void **state) {
  (void)state;
  struct tide_spec *spec = small_spec();
  struct tide_fold *fold = tide_fold_new(), *alone = tide_fold_new();
  struct tide_watch *watch = watched(fold);
  struct tally tally = {0, 0};
  small_fold_on(fold, spec, 0, 500, count, &tally);
  small_fold_on(alone, spec, 0, 500, NULL, NULL);
  assert_true(tally.rows > 400 && tally.rows < 500); /* without those that have no rate, and were not counted */
  assert_int_equal(feedback(watch).decisions, tally.rows);
  assert_int_equal(feedback(watch).rows, tally.rows);
  struct tide_digest a = tide_fold_digest(fold), b = tide_fold_digest(alone);
  assert_memory_equal(&a, &b, sizeof a);
  tide_fold_watch(fold, NULL);
  small_fold_on(fold, spec, 500, 20, NULL, NULL);
  assert_int_equal(feedback(watch).decisions, tally.rows);
  tide_watch_free(watch);
  tide_fold_free(fold);
  tide_fold_free(alone);
  tide_spec_free(spec);
}

static void labels_find_their_decision_also_if_they_come_first(void **state) {
  (void)state;
  struct tide_spec *spec = small_spec();
  struct tide_fold *fold = tide_fold_new();
  struct tide_watch *watch = watched(fold);
  small_fold_on(fold, spec, 0, 100, NULL, NULL);
  label(fold, spec, 40, TIDE_LABEL_fraud, true);
  label(fold, spec, 41, TIDE_LABEL_genuine, false);
  struct tide_feedback_look look = feedback(watch);
  assert_true(look.labels == 2 && look.unmatched == 0 && look.all.fraud == 1 && look.all.genuine == 1);
  label(fold, spec, 105, TIDE_LABEL_fraud, false); /* of the future */
  look = feedback(watch);
  assert_true(look.labels == 3 && look.unmatched == 1 && look.all.fraud == 1);
  small_fold_on(fold, spec, 100, 20, NULL, NULL);
  look = feedback(watch);
  assert_true(look.labels == 3 && look.unmatched == 0 && look.all.fraud == 2);
  label(fold, spec, 100000, TIDE_LABEL_fraud, false);
  assert_int_equal(feedback(watch).unmatched, 1);
  tide_watch_free(watch);
  tide_fold_free(fold);
  tide_spec_free(spec);
}

static void it_goes_on_where_its_bytes_end(void **state) {
  (void)state;
  struct tide_spec *spec = small_spec();
  struct tide_fold *fold = tide_fold_new();
  struct tide_watch *watch = watched(fold), *again = tide_watch_new(&options);
  struct tide_buf bytes = TIDE_BUF_INIT, same = TIDE_BUF_INIT;
  small_fold_on(fold, spec, 0, 300, NULL, NULL);
  label(fold, spec, 40, TIDE_LABEL_fraud, true);
  tide_watch_save(watch, tide_fold_position(fold), &bytes);
  assert_true(tide_watch_load(again, tide_fold_position(fold), tide_buf_span(&bytes)));
  tide_watch_save(again, tide_fold_position(fold), &same);
  assert_true(tide_span_eq(tide_buf_span(&bytes), tide_buf_span(&same)));
  struct tide_watch_look *look = tide_watch_look(again);
  assert_int_equal(look->rule_count, 2);
  assert_string_equal(look->rule[0], "R1");
  tide_watch_look_free(look);
  tide_watch_free(again);
  for (size_t at = 0; at < bytes.len; at += at < 200 ? 1 : 37) { /* another byte anywhere: not believed, and empty */
    again = tide_watch_new(&options);
    bytes.ptr[at] = (char)(bytes.ptr[at] ^ 4);
    assert_false(tide_watch_load(again, tide_fold_position(fold), tide_buf_span(&bytes)));
    bytes.ptr[at] = (char)(bytes.ptr[at] ^ 4);
    assert_false(tide_watch_load(again, tide_fold_position(fold), (struct tide_span){bytes.ptr, at}));
    assert_int_equal(feedback(again).rows, 0);
    tide_watch_free(again);
  }
  small_fold_on(fold, spec, 300, 10, NULL, NULL); /* the fold is elsewhere now */
  again = tide_watch_new(&options);
  assert_false(tide_watch_load(again, tide_fold_position(fold), tide_buf_span(&bytes)));
  tide_watch_free(again);
  tide_watch_free(watch);
  tide_buf_release(&bytes);
  tide_buf_release(&same);
  tide_fold_free(fold);
  tide_spec_free(spec);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(it_counts_decisions_once_and_changes_nothing),
                                     cmocka_unit_test(labels_find_their_decision_also_if_they_come_first),
                                     cmocka_unit_test(it_goes_on_where_its_bytes_end)};
  return cmocka_run_group_tests_name("watch", tests, NULL, NULL);
}
