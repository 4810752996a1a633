/* The predicted memory against the memory that a folded population takes: within a quarter, for each entity kind.
 *
 * The population is what the prediction is told: cards with a Poisson number of transactions at random times, few shops with many. Measured are
 * the bytes that the stores asked the allocator for, so the prediction may be above by what the allocator rounds. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <string.h>

#include "feature/size.h"
#include "tests/support/journal_dir.h"
#include "tests/support/small_fold.h"

#define CARDS 4000
#define SHOPS 40
#define EVENTS 40000

static void fill(struct tide_fold *fold, const struct tide_spec *spec, uint64_t seed) {
  struct tide_error error = {0};
  struct tide_buf entry = TIDE_BUF_INIT;
  struct tide_batch batch;
  struct tide_settings settings = tide_settings_default();
  struct tide_record *record = tide_alloc(sizeof *record);
  struct tide_fence fence = {.nonce = 7, .epoch = 1};
  tide_batch_begin(&batch, &entry, &(struct tide_entry_header){.fence_nonce = 7}, NULL, 0);
  assert_int_equal(tide_batch_add_fence(&batch, &fence), TIDE_OK);
  assert_int_equal(tide_batch_add_config(&batch, &settings, (struct tide_span){spec->text, spec->text_len}), TIDE_OK);
  tide_batch_end(&batch);
  assert_int_equal(tide_fold_entry(fold, (struct tide_position){1, 0}, tide_buf_span(&entry), NULL, NULL, &error), TIDE_OK);
  uint64_t seq = 0;
  for (unsigned i = 0; i < EVENTS;) {
    struct tide_entry_header header = {.fence_nonce = 7};
    int64_t step_ms = TIDE_D(30) / EVENTS;
    header.commit_ms = 1700000000000 + (int64_t)(i + 100) * step_ms;
    tide_batch_begin(&batch, &entry, &header, NULL, 0);
    for (unsigned end = i + 100; i < end; i++) {
      char id[32], card[32], shop[32];
      memset(record, 0, sizeof *record);
      record->type = TIDE_REC_EVENT;
      record->time.ms = 1700000000000 + (int64_t)i * step_ms;
      snprintf(id, sizeof id, "t%u", i);
      snprintf(card, sizeof card, "c%u", (unsigned)(test_random(&seed) % CARDS));
      snprintf(shop, sizeof shop, "s%u", (unsigned)(test_random(&seed) % SHOPS));
      small_text(spec, record, "id", id);
      small_text(spec, record, "card", card);
      small_text(spec, record, "shop", shop);
      struct tide_datum *amount = &record->field[spec->f_amount];
      *amount = (struct tide_datum){.kind = TIDE_D_INT, .exponent = 2, .num = (int64_t)(test_random(&seed) % 90000)};
      memcpy(amount->currency, "EUR", 4);
      assert_int_equal(tide_batch_add(&batch, spec, record), TIDE_OK);
    }
    tide_batch_end(&batch);
    assert_int_equal(tide_fold_entry(fold, (struct tide_position){1, ++seq}, tide_buf_span(&entry), NULL, NULL, &error), TIDE_OK);
  }
  tide_free(record);
  tide_buf_release(&entry);
}

static void near(const char *what, double predicted, double measured) {
  print_message("# %s: predicted %.0f, measured %.0f, ratio %.2f\n", what, predicted, measured, predicted / measured);
  assert_true(predicted > measured * 0.75 && predicted < measured * 1.25);
}

static void prediction_and_measurement(void **state) {
  (void)state;
  struct tide_spec *spec = small_spec();
  struct tide_settings settings = tide_settings_default();
  struct tide_plan *plan;
  struct tide_error error = {0};
  assert_int_equal(tide_plan_new(spec, &settings, &plan, &error), TIDE_OK);
  struct tide_fold *fold = tide_fold_new();
  fill(fold, spec, 5);
  for (uint32_t e = 0; e < spec->entity_count; e++) {
    struct tide_usage usage = tide_fold_usage(fold, e);
    struct tide_population population = {e == 0 ? CARDS : SHOPS, 1};
    struct tide_kind_size size = tide_size_kind(plan, e, &population, EVENTS);
    near(spec->entity[e].name, size.bytes, (double)usage.bytes);
  }
  tide_fold_free(fold);
  tide_plan_free(plan);
  tide_spec_free(spec);
}

/* More cards, more transactions and longer windows never take less. */
static void grows(void **state) {
  (void)state;
  struct tide_spec *spec = small_spec();
  struct tide_settings settings = tide_settings_default();
  struct tide_plan *plan;
  struct tide_error error = {0};
  assert_int_equal(tide_plan_new(spec, &settings, &plan, &error), TIDE_OK);
  double before = 0;
  for (double per_month = 0.5; per_month < 5000; per_month *= 1.7) {
    struct tide_population population = tide_size_assume(plan, 0, 1000, per_month);
    assert_true(population.entities == 1000 && population.share == 1);
    double bytes = tide_size_kind(plan, 0, &population, 1000 * per_month).bytes;
    assert_true(bytes > before);
    before = bytes;
  }
  struct tide_population shops = tide_size_assume(plan, 1, 1000, 10);
  assert_true(shops.entities == 1000 && fabs(shops.share - 0.3) < 1e-9); /* the shop is optional in this file */
  tide_plan_free(plan);
  tide_spec_free(spec);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(prediction_and_measurement), cmocka_unit_test(grows)};
  return cmocka_run_group_tests_name("size", tests, NULL, NULL);
}
