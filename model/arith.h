/* Exponential and logarithm of our own, from + - * / alone, so that a score does not depend on the machine's math library.
 *
 * IEEE 754 fixes the result of every single + - * / on doubles, but not those of exp and log: glibc, musl and other versions of each differ in
 * the last bit. A score that is 1e-16 beside another can fall on the other side of a rounding step, and then two engines answer
 * differently. These two use the same operations in the same order everywhere (no FMA: the Makefile says -ffp-contract=off, no fast-math), so
 * they are bit for bit the same on every machine, and a test holds them against libm to 1e-12 relative. */
#ifndef TIDE_ARITH_H
#define TIDE_ARITH_H

/* e^x. x is clamped to [-TIDE_EXP_MAX, TIDE_EXP_MAX]; NaN is our bug. Method: x = k ln 2 + r with |r| <= ln 2 / 2 (Cody and Waite 1980, ln 2 in two
 * parts), Taylor polynomial of degree 13 in r, whose first term left out is below 5e-18; then times 2^k. */
#define TIDE_EXP_MAX 700.0
double tide_exp(double x);

/* ln(1 + x) for x >= 0 (below 0 is our bug; callers clamp). Method: u = 1 + x, what that rounded away is put back as c / u (Kahan 1979);
 * u = 2^k m with m in [sqrt(1/2), sqrt(2)), ln m = 2 artanh((m - 1) / (m + 1)) as its series to the 23rd power. */
double tide_log1p(double x);

/* ln(1 + e^x) without overflow: the loss of logistic regression. */
double tide_softplus(double x);

/* 1 / (1 + e^-x). */
double tide_logistic(double x);

#endif
