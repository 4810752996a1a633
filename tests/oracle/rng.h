/* Random choices of the generator: SplitMix64 (Steele, Lea, Flood 2014), so that a seed means the same case on every machine. */
#ifndef TIDE_ORACLE_RNG_H
#define TIDE_ORACLE_RNG_H

#include <stdbool.h>
#include <stdint.h>

struct or_rng { uint64_t state; };

static inline uint64_t or_next(struct or_rng *rng) {
  uint64_t z = (rng->state += UINT64_C(0x9e3779b97f4a7c15));
  z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
  z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
  return z ^ (z >> 31);
}
/* 0 .. n-1 */
static inline int or_below(struct or_rng *rng, int n) { return (int)(or_next(rng) % (uint64_t)n); }
static inline bool or_percent(struct or_rng *rng, int percent) { return or_below(rng, 100) < percent; }
#define OR_PICK(rng, array) ((array)[or_below(rng, (int)(sizeof(array) / sizeof((array)[0])))])

#endif
