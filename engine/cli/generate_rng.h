/* Randomness that is the same on every machine.
 *
 * xoshiro256** (Blackman and Vigna, "Scrambled linear pseudorandom number generators", 2018) seeded through splitmix64 (Steele, Lea and
 * Flood, OOPSLA 2014), written from the papers. Distributions are fixed-point: libm differs between machines in the last bits, and
 * one bit is another log. Q16 means scaled by 65536. */
#ifndef TIDE_GENERATE_RNG_H
#define TIDE_GENERATE_RNG_H

#include <stdbool.h>
#include <stdint.h>

struct tide_gen_rng { uint64_t s[4]; };

/* A mixing function: distinct inputs give unrelated outputs. */
uint64_t tide_gen_mix(uint64_t x);
void tide_gen_seed(struct tide_gen_rng *rng, uint64_t seed, uint64_t stream);
uint64_t tide_gen_next(struct tide_gen_rng *rng);
/* Uniform in [0, n); n > 0. The bias is below n / 2^64. */
static inline uint64_t tide_gen_below(struct tide_gen_rng *rng, uint64_t n) { return (uint64_t)(((unsigned __int128)tide_gen_next(rng) * n) >> 64); }
/* Uniform in [lo, hi]. */
static inline int64_t tide_gen_between(struct tide_gen_rng *rng, int64_t lo, int64_t hi) { return lo + (int64_t)tide_gen_below(rng, (uint64_t)(hi - lo) + 1); }
/* True ppm times in a million. */
static inline bool tide_gen_chance(struct tide_gen_rng *rng, uint32_t ppm) { return ppm > 0 && tide_gen_below(rng, 1000000) < ppm; }
/* An index below n, low ones far more often: the share of the first k is sqrt(k / n). */
uint32_t tide_gen_popular(struct tide_gen_rng *rng, uint32_t n);
/* Exponential with mean 1, Q16. */
int64_t tide_gen_exponential_q16(struct tide_gen_rng *rng);
/* Normal(0, 1), Q16: the sum of twelve uniforms, so within six deviations. */
int64_t tide_gen_normal_q16(struct tide_gen_rng *rng);
/* value * 2^(x / 65536), the exponent cut to [-16, 16) and to eight bits behind the point. value in [0, 2^40]. */
int64_t tide_gen_scale_exp2(int64_t value, int64_t x_q16);

#endif
