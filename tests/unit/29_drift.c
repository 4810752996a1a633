/* Drift against numbers worked out by hand (in another language, from the formulas of the header), and counts that slide. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>

#include "model/drift.h"
#include "tests/support/model_fixture.h"

static bool near(double a, double b) { return fabs(a - b) <= 1e-9 * (1 + fabs(b)); }

/* Half of the values are at most 0, three quarters at most 2, the largest is 9: edges 0 and 2. */
static struct tide_drift_bins three_bins(void) {
  const double quantile[TIDE_QUANTILES] = {0, 0, 0, 0, 0, 0, 2, 9, 9, 9, 9};
  const double share[TIDE_QUANTILES] = {.5, .5, .5, .5, .5, .5, .75, 1, 1, 1, 1};
  struct tide_drift_bins bins;
  tide_drift_bins_of(quantile, share, 0.2, 1000, &bins);
  return bins;
}

static void quantiles_that_are_the_same_make_one_edge(void **state) {
  (void)state;
  struct tide_drift_bins bins = three_bins();
  assert_int_equal(bins.edges, 2);
  assert_true(bins.edge[0] == 0 && bins.edge[1] == 2 && bins.below[0] == .5 && bins.below[1] == .75);
  assert_int_equal(tide_drift_bin(&bins, -5), 0);
  assert_int_equal(tide_drift_bin(&bins, 0), 0);
  assert_int_equal(tide_drift_bin(&bins, 0.5), 1);
  assert_int_equal(tide_drift_bin(&bins, 2), 1);
  assert_int_equal(tide_drift_bin(&bins, 1e15), 2);
}

static void old_artifacts_have_the_shares_that_quantiles_prove(void **state) {
  (void)state;
  const double quantile[TIDE_QUANTILES] = {0, 0, 0, 1, 1, 1, 1, 2, 3, 4, 4};
  const double proven[TIDE_QUANTILES] = {.05, .05, .05, .75, .75, .75, .75, .9, .95, 1, 1};
  double share[TIDE_QUANTILES];
  tide_quantile_shares(quantile, share);
  for (unsigned i = 0; i < TIDE_QUANTILES; i++) assert_true(share[i] == proven[i]);
}

static void psi_and_ks_are_the_formulas(void **state) {
  (void)state;
  struct tide_drift_bins bins = three_bins();
  struct tide_drift_counts counts = {.bin = {100, 50, 150}, .missing = 100};
  struct tide_drift_measure measure;
  tide_drift_measure_of(&bins, &counts, 400, &measure);
  assert_true(near(measure.psi, 0.2252068222207187));
  assert_true(near(measure.ks, 0.25));
  assert_true(fabs(measure.ks_p / 1.7838631345046621e-12 - 1) < 1e-6);
  assert_true(near(measure.psi_chance, 0.05792748390332549));
  assert_true(near(measure.missing, 0.25) && measure.expected_missing == 0.2 && measure.rows == 400);
  assert_int_equal(measure.severity, TIDE_DRIFT_moderate);
}

static void what_is_as_in_training_is_no_drift(void **state) {
  (void)state;
  struct tide_drift_bins bins = three_bins();
  struct tide_drift_counts counts = {.bin = {40000, 20000, 20000}, .missing = 20000};
  struct tide_drift_measure measure;
  tide_drift_measure_of(&bins, &counts, 100000, &measure);
  assert_true(measure.psi < 1e-4 && measure.ks == 0 && measure.ks_p == 1);
  assert_int_equal(measure.severity, TIDE_DRIFT_none);
}

/* Everything in one bin: with many rows severe, with three nothing that chance does not do. */
static void few_rows_prove_nothing(void **state) {
  (void)state;
  struct tide_drift_bins bins = three_bins();
  struct tide_drift_counts many = {.bin = {0, 0, 1000}}, few = {.bin = {0, 0, 3}};
  struct tide_drift_measure measure;
  tide_drift_measure_of(&bins, &many, 1000, &measure);
  assert_int_equal(measure.severity, TIDE_DRIFT_severe);
  assert_true(measure.ks == 0.75 && measure.ks_p < 1e-9);
  tide_drift_measure_of(&bins, &few, 3, &measure);
  assert_true(measure.psi > TIDE_DRIFT_SEVERE);
  assert_int_equal(measure.severity, TIDE_DRIFT_none);
  tide_drift_measure_of(&bins, &many, 3, &measure); /* three rows that stand for a thousand are three */
  assert_int_equal(measure.severity, TIDE_DRIFT_none);
}

/* A column that loses its field: nothing but the bin of what is missing tells. */
static void missing_has_a_bin(void **state) {
  (void)state;
  struct tide_drift_bins bins = three_bins();
  struct tide_drift_counts counts = {.bin = {200, 100, 100}, .missing = 600};
  struct tide_drift_measure measure;
  tide_drift_measure_of(&bins, &counts, 1000, &measure);
  assert_true(measure.ks == 0);
  assert_int_equal(measure.severity, TIDE_DRIFT_severe);
}

/* ---- sliding ---- */

#define MINUTE INT64_C(60000)
static const struct tide_drift_options hour_and_day = {.window_ms = {60 * MINUTE, 24 * 60 * MINUTE}, .rows_max = 1000};

struct rig {
  struct tide_spec *spec;
  struct tide_model *model;
  struct tide_drift *drift;
  struct tide_value field[TIDE_FIELDS_MAX], dyn[TIDE_DYN_COUNT], slot[TIDE_SLOTS_MAX], derived[16];
  struct tide_env env;
};

static struct rig *rig_new(const struct tide_drift_options *options) {
  struct rig *rig = tide_alloc(sizeof *rig);
  rig->spec = model_spec_of(model_features);
  rig->model = model_small(rig->spec);
  for (uint32_t i = 0; i < rig->spec->slot_count; i++) rig->slot[i] = tide_num(1);
  for (uint32_t i = 0; i < rig->spec->derived_count && i < 16; i++) rig->derived[i] = tide_num(1);
  for (uint32_t i = 0; i < TIDE_FIELDS_MAX; i++) rig->field[i] = tide_num(1);
  for (uint32_t i = 0; i < TIDE_DYN_COUNT; i++) rig->dyn[i] = tide_num(1);
  rig->env = (struct tide_env){.field = rig->field, .dyn = rig->dyn, .slot = rig->slot, .derived = rig->derived};
  rig->drift = tide_drift_new(rig->model, options);
  return rig;
}

static void rig_free(struct rig *rig) {
  tide_drift_free(rig->drift);
  tide_model_free(rig->model);
  tide_spec_free(rig->spec);
  tide_free(rig);
}

static void add(struct rig *rig, int64_t time_ms, uint64_t pick) {
  tide_drift_add(rig->drift, rig->model, &rig->env, tide_num(0.5), time_ms, pick);
}

static uint64_t look(const struct rig *rig, unsigned window, struct tide_drift_measure *ret_score) {
  struct tide_drift_measure measure[TIDE_MODEL_INPUTS_MAX + 1];
  uint64_t rows = tide_drift_look(rig->drift, window, measure);
  *ret_score = measure[tide_drift_inputs(rig->drift)];
  return rows;
}

static void windows_slide_with_event_time(void **state) {
  (void)state;
  struct rig *rig = rig_new(&hour_and_day);
  struct tide_drift_measure score;
  assert_int_equal(look(rig, 0, &score), 0);
  for (int64_t minute = 0; minute < 180; minute++) add(rig, minute * MINUTE, 0);
  assert_int_equal(look(rig, 0, &score), 60); /* 12 buckets of 5 minutes, the last one full */
  assert_int_equal(look(rig, 1, &score), 180);
  add(rig, 10 * MINUTE, 0); /* late, and still of the day */
  assert_int_equal(look(rig, 0, &score), 60);
  assert_int_equal(look(rig, 1, &score), 181);
  add(rig, (25 * 60) * MINUTE, 0);
  assert_int_equal(look(rig, 0, &score), 1);
  assert_int_equal(look(rig, 1, &score), 116); /* minutes 65 to 179, and the last */
  add(rig, 10 * MINUTE, 0);                    /* older than the day */
  assert_int_equal(tide_drift_left_out(rig->drift), 1);
  add(rig, -400 * 60 * MINUTE, 0);
  assert_int_equal(tide_drift_left_out(rig->drift), 2);
  rig_free(rig);
}

/* Ten times as many as are looked at: the counts are about right, and chance is that of those looked at. */
static void crowds_are_sampled(void **state) {
  (void)state;
  struct rig *rig = rig_new(&hour_and_day);
  struct tide_drift_measure score;
  uint64_t pick = 88172645463325252u;
  for (int i = 0; i < 120000; i++) {
    pick ^= pick << 13, pick ^= pick >> 7, pick ^= pick << 17;
    add(rig, (int64_t)i * (60 * MINUTE - 1) / 120000, pick);
  }
  uint64_t rows = look(rig, 0, &score);
  assert_in_range(rows, 105000, 135000);
  assert_true(score.rows > 6000 && score.rows < 24000);
  rig_free(rig);
}

static void it_comes_back_from_bytes(void **state) {
  (void)state;
  struct rig *rig = rig_new(&hour_and_day);
  struct tide_buf bytes = TIDE_BUF_INIT, again = TIDE_BUF_INIT;
  for (int64_t minute = 0; minute < 300; minute++) add(rig, minute * MINUTE, (uint64_t)minute);
  tide_drift_save(rig->drift, &bytes);
  struct tide_reader reader = tide_reader_of(tide_buf_span(&bytes));
  struct tide_drift *other = tide_drift_load(&hour_and_day, &reader);
  assert_non_null(other);
  tide_drift_save(other, &again);
  assert_true(tide_span_eq(tide_buf_span(&bytes), tide_buf_span(&again)));
  tide_drift_free(rig->drift);
  rig->drift = other;
  struct tide_drift_measure score;
  add(rig, 301 * MINUTE, 0); /* it goes on */
  assert_int_equal(look(rig, 1, &score), 301);
  assert_string_equal(tide_drift_input(other, 0), "card.attempts_10m");
  const struct tide_drift_options wider = {.window_ms = {120 * MINUTE, 24 * 60 * MINUTE}, .rows_max = 1000};
  reader = tide_reader_of(tide_buf_span(&bytes));
  assert_null(tide_drift_load(&wider, &reader));
  for (size_t len = 0; len < bytes.len; len += len < 400 ? 1 : 97) { /* cut anywhere */
    struct tide_reader part = tide_reader_of((struct tide_span){bytes.ptr, len});
    assert_null(tide_drift_load(&hour_and_day, &part));
  }
  tide_buf_release(&bytes);
  tide_buf_release(&again);
  rig_free(rig);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(quantiles_that_are_the_same_make_one_edge),
                                     cmocka_unit_test(old_artifacts_have_the_shares_that_quantiles_prove),
                                     cmocka_unit_test(psi_and_ks_are_the_formulas),
                                     cmocka_unit_test(what_is_as_in_training_is_no_drift),
                                     cmocka_unit_test(few_rows_prove_nothing),
                                     cmocka_unit_test(missing_has_a_bin),
                                     cmocka_unit_test(windows_slide_with_event_time),
                                     cmocka_unit_test(crowds_are_sampled),
                                     cmocka_unit_test(it_comes_back_from_bytes)};
  return cmocka_run_group_tests_name("drift", tests, NULL, NULL);
}
