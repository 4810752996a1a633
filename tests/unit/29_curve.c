/* Curves of scores, counted by hand: steps of a ranking with ties, bins of reliability with their intervals, the Brier score. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>

#include "base/buf.h"
#include "model/curve.h"

static const double score[] = {0.2, 0.9, 0.8, 0.0004, 0.8, 1};
static const uint8_t fraud[] = {0, 1, 0, 0, 1, 1};

static void equal_scores_are_one_step(void **state) {
  (void)state;
  struct tide_rank_step *step;
  assert_int_equal(tide_rank_steps(score, fraud, 6, &step), 5);
  const struct tide_rank_step expected[] = {{1, 1, 1}, {0.9, 2, 2}, {0.8, 4, 3}, {0.2, 5, 3}, {0.0004, 6, 3}};
  for (int i = 0; i < 5; i++)
    assert_true(step[i].score == expected[i].score && step[i].alerts == expected[i].alerts && step[i].fraud == expected[i].fraud);
  tide_free(step);
  assert_int_equal(tide_rank_steps(score, fraud, 0, &step), 0);
  tide_free(step);
}

static void reliability_has_intervals(void **state) {
  (void)state;
  struct tide_reliability bin[TIDE_RELIABILITY_BINS];
  assert_int_equal(tide_reliability_of(score, fraud, 6, bin), 4); /* 0..; .2...3; .7...9; .9..1 */
  assert_true(bin[0].rows == 1 && bin[0].lo == 0 && bin[0].share == 0 && bin[0].low == 0);
  assert_true(bin[1].lo == 0.2 && bin[1].rows == 1 && bin[1].mean == 0.2);
  assert_true(bin[2].rows == 2 && bin[2].fraud == 1 && bin[2].mean == 0.8 && bin[2].share == 0.5);
  assert_true(bin[3].rows == 2 && bin[3].fraud == 2 && bin[3].mean == 0.95 && bin[3].high == 1);
  /* Wilson, 1 of 2: (1 + 1.92073 -+ 1.96 sqrt(0.5 + 0.96036)) / (2 + 3.84146) */
  assert_true(fabs(bin[2].low - 0.0945312) < 1e-6 && fabs(bin[2].high - 0.9054688) < 1e-6);
  assert_true(fabs(tide_brier(score, fraud, 6) - (0.04 + 0.01 + 0.64 + 0.00000016 + 0.04 + 0) / 6) < 1e-12);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(equal_scores_are_one_step),
      cmocka_unit_test(reliability_has_intervals),
  };
  return cmocka_run_group_tests_name("curve", tests, NULL, NULL);
}
