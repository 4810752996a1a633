/* The generator's randomness; see generate_rng.h for the sources.
 *
 * Fixed-point throughout: logarithms by repeated squaring, powers of two by multiplying roots, normal deviates as sums. None of it is meant
 * to be precise to the last bit of the mathematics; all of it is the same to the last bit on every machine. */
#include "cli/generate_rng.h"

uint64_t tide_gen_mix(uint64_t x) {
  x += UINT64_C(0x9e3779b97f4a7c15);
  x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
  x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
  return x ^ (x >> 31);
}

void tide_gen_seed(struct tide_gen_rng *rng, uint64_t seed, uint64_t stream) {
  uint64_t x = tide_gen_mix(seed) ^ tide_gen_mix(stream + UINT64_C(0x5851f42d4c957f2d));
  for (int i = 0; i < 4; i++) {
    rng->s[i] = tide_gen_mix(x);
    x += UINT64_C(0x9e3779b97f4a7c15);
  }
}

static uint64_t rotl(uint64_t x, int k) { return (x << k) | (x >> (64 - k)); }

uint64_t tide_gen_next(struct tide_gen_rng *rng) {
  uint64_t *s = rng->s;
  uint64_t result = rotl(s[1] * 5, 7) * 9;
  uint64_t t = s[1] << 17;
  s[2] ^= s[0];
  s[3] ^= s[1];
  s[1] ^= s[2];
  s[0] ^= s[3];
  s[2] ^= t;
  s[3] = rotl(s[3], 45);
  return result;
}

uint32_t tide_gen_popular(struct tide_gen_rng *rng, uint32_t n) {
  uint64_t u = tide_gen_next(rng) >> 32;
  return (uint32_t)((((u * u) >> 32) * n) >> 32);
}

/* log2 of x / 2^32 for x in [1, 2^32], Q16, zero or negative: the classical bit by bit squaring. */
static int64_t log2_q16(uint64_t x) {
  int shift = __builtin_clzll(x) - 31; /* x << shift lies in [2^32, 2^33) */
  uint64_t m = x << shift;
  int64_t result = -(int64_t)shift * 65536;
  for (int bit = 15; bit >= 0; bit--) {
    m = (uint64_t)(((unsigned __int128)m * m) >> 32);
    if (m >= UINT64_C(1) << 33) {
      m >>= 1;
      result += INT64_C(1) << bit;
    }
  }
  return result;
}

int64_t tide_gen_exponential_q16(struct tide_gen_rng *rng) {
  uint64_t u = (tide_gen_next(rng) >> 32) + 1;
  return -log2_q16(u) * 45426 / 65536; /* ln 2 in Q16 */
}

int64_t tide_gen_normal_q16(struct tide_gen_rng *rng) {
  int64_t sum = -6 * 65536;
  for (int i = 0; i < 3; i++) {
    uint64_t x = tide_gen_next(rng);
    sum += (int64_t)(x & 0xffff) + (int64_t)(x >> 16 & 0xffff) + (int64_t)(x >> 32 & 0xffff) + (int64_t)(x >> 48);
  }
  return sum;
}

int64_t tide_gen_scale_exp2(int64_t value, int64_t x_q16) {
  /* 2^(1/2), 2^(1/4), ... in Q30 */
  static const uint32_t root[8] = {1518500250, 1276901417, 1170923762, 1121280436, 1097253708, 1085434106, 1079572136, 1076653033};
  int64_t limit = 16 * 65536;
  x_q16 = x_q16 >= limit ? limit - 1 : x_q16 < -limit ? -limit : x_q16;
  int64_t shifted = x_q16 + limit; /* not negative: shift and mask are what they say */
  int whole = (int)(shifted >> 16) - 16;
  unsigned __int128 v = (unsigned __int128)value << 16;
  for (int i = 0; i < 8; i++)
    if (shifted >> (15 - i) & 1) v = (v * root[i]) >> 30;
  v = whole >= 0 ? v << whole : v >> -whole;
  return (int64_t)(v >> 16);
}
