/* Our own exp and log1p: within 1e-12 of the library's (mostly a last bit or two), exact where exactness is known, and the same bits as ever: some results are
 * written down, so that a compiler that contracts or reorders is noticed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <string.h>

#include "model/arith.h"

#define STEPS 400000

static void close_to(double x, double is, long double should) {
  if (should == 0) {
    if (is != 0) fail_msg("at %.17g: %.17g, not 0", x, is);
    return;
  }
  long double off = fabsl(((long double)is - should) / should);
  if (off > 1e-15L * 2) fail_msg("at %.17g: %.17g is %.3Lg off", x, is, off); /* far below the 1e-12 that scores need */
}

static void exp_is_exp(void **state) {
  (void)state;
  for (int i = -STEPS; i <= STEPS; i++) {
    double x = 700.0 * i / STEPS;
    close_to(x, tide_exp(x), expl((long double)x));
    x = 3.0 * i / STEPS; /* where scores are decided */
    close_to(x, tide_exp(x), expl((long double)x));
  }
  assert_true(tide_exp(0) == 1);
  assert_true(tide_exp(1e9) == tide_exp(700) && tide_exp(-1e300) == tide_exp(-700));
  assert_true(isfinite(tide_exp(INFINITY)) && tide_exp(-INFINITY) > 0);
}

static void log1p_is_log1p(void **state) {
  (void)state;
  for (int i = 0; i <= STEPS; i++) {
    double x = (double)i / 16;
    close_to(x, tide_log1p(x), log1pl((long double)x));
    x = ldexp(1 + (double)i / STEPS, i % 1000 - 500);
    close_to(x, tide_log1p(x), log1pl((long double)x));
  }
  assert_true(tide_log1p(0) == 0);
  assert_true(tide_log1p(5e-324) == 5e-324);
}

static void logistic_and_softplus(void **state) {
  (void)state;
  for (int i = -STEPS; i <= STEPS; i += 7) {
    long double x = 40.0L * i / STEPS;
    long double p = 1 / (1 + expl(-x));
    assert_true(fabsl((long double)tide_logistic((double)x) - p) <= 1e-15L);
    assert_true(fabsl((long double)tide_softplus((double)x) - log1pl(expl(x))) <= 1e-14L);
    assert_true(tide_logistic((double)x) >= 0 && tide_logistic((double)x) <= 1);
    if (i > -STEPS) assert_true(tide_logistic((double)x) >= tide_logistic((double)(40.0L * (i - 7) / STEPS)));
  }
  assert_true(tide_logistic(0) == 0.5);
  assert_true(tide_softplus(1e6) == 1e6 && tide_softplus(-1e6) > 0);
}

static uint64_t bits(double x) {
  uint64_t out;
  memcpy(&out, &x, sizeof out);
  return out;
}

/* A hash over many results: every machine and compiler must have this one. */
static void the_same_bits_everywhere(void **state) {
  (void)state;
  uint64_t hash = 1469598103934665603u;
  for (int i = -5000; i <= 5000; i++) {
    const double x = (double)i / 64;
    const double result[] = {tide_exp(x), tide_log1p(x < 0 ? -x : x), tide_logistic(x), tide_softplus(x)};
    for (int k = 0; k < 4; k++) hash = (hash ^ bits(result[k])) * 1099511628211u;
  }
  if (hash != UINT64_C(0x1f7f21fa0de4a093)) fail_msg("hash of the results is %016llx", (unsigned long long)hash);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(exp_is_exp),
      cmocka_unit_test(log1p_is_log1p),
      cmocka_unit_test(logistic_and_softplus),
      cmocka_unit_test(the_same_bits_everywhere),
  };
  return cmocka_run_group_tests_name("model_arith", tests, NULL, NULL);
}
