/* exp, log1p and what is made of them, in a fixed order of IEEE operations (arith.h says why).
 *
 * ln 2 is split so that k * LN2_HI is exact for |k| < 2^11: its last 21 bits are zero. Powers of two are made from their bits, not by a
 * library call. */
#include "model/arith.h"

#include <stdint.h>
#include <string.h>

#include "base/check.h"

#define LN2_HI 0x1.62e42fee00000p-1  /* 6.93147180369123816490e-01 */
#define LN2_LO 0x1.a39ef35793c76p-33 /* ln 2 - LN2_HI: 1.90821492927058770002e-10 */
#define LOG2_E 0x1.71547652b82fep+0
#define SQRT_2 0x1.6a09e667f3bcdp+0

/* 2^k for normal results. */
static double power_of_two(int k) {
  TIDE_CHECK(k >= -1022 && k <= 1023);
  uint64_t bits = (uint64_t)(k + 1023) << 52;
  double out;
  memcpy(&out, &bits, sizeof out);
  return out;
}

/* floor(x + 1/2) for |x| < 2^31. */
static int nearest(double x) {
  int k = (int)(x + 0.5);
  return (double)k > x + 0.5 ? k - 1 : k;
}

double tide_exp(double x) {
  TIDE_CHECK(x == x);
  if (x > TIDE_EXP_MAX) x = TIDE_EXP_MAX;
  if (x < -TIDE_EXP_MAX) x = -TIDE_EXP_MAX;
  int k = nearest(x * LOG2_E);
  double r = x - (double)k * LN2_HI;
  r = r - (double)k * LN2_LO;
  static const double factor[] = {1.0 / 6227020800, 1.0 / 479001600, 1.0 / 39916800, 1.0 / 3628800, 1.0 / 362880, 1.0 / 40320, 1.0 / 5040,
                                  1.0 / 720,        1.0 / 120,       1.0 / 24,       1.0 / 6,       0.5,          1.0,         1.0};
  double sum = factor[0]; /* of r^13, 1 / 13!, down to 1 */
  for (unsigned i = 1; i < sizeof factor / sizeof *factor; i++) sum = sum * r + factor[i];
  return sum * power_of_two(k);
}

double tide_log1p(double x) {
  TIDE_CHECK(x >= 0 && x < 0x1p1000);
  double u = 1.0 + x;
  double lost = x - (u - 1.0); /* exact: u - 1 and the difference are representable for x >= 0 */
  uint64_t bits;
  memcpy(&bits, &u, sizeof bits);
  int k = (int)(bits >> 52) - 1023;
  bits = (bits & UINT64_C(0x000fffffffffffff)) | UINT64_C(0x3ff0000000000000);
  double m;
  memcpy(&m, &bits, sizeof m);
  if (m >= SQRT_2) {
    m = m * 0.5;
    k++;
  }
  static const double factor[] = {1.0 / 23, 1.0 / 21, 1.0 / 19, 1.0 / 17, 1.0 / 15, 1.0 / 13, 1.0 / 11, 1.0 / 9, 1.0 / 7, 1.0 / 5, 1.0 / 3};
  double s = (m - 1.0) / (m + 1.0), square = s * s, sum = 0;
  for (unsigned i = 0; i < sizeof factor / sizeof *factor; i++) sum = (sum + factor[i]) * square;
  double log_m = 2.0 * s + 2.0 * s * sum;
  return (double)k * LN2_HI + (log_m + ((double)k * LN2_LO + lost / u));
}

double tide_softplus(double x) { return (x > 0 ? x : 0.0) + tide_log1p(tide_exp(x > 0 ? -x : x)); }

double tide_logistic(double x) {
  double e = tide_exp(x > 0 ? -x : x); /* in (0, 1] */
  return x > 0 ? 1.0 / (1.0 + e) : e / (1.0 + e);
}
