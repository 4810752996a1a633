/* BLAKE2b of a key's block once, and of one short last block with AVX2 (blake2b_short.h).
 *
 * RFC 7693: the sixteen words of the state are four rows of four; a round mixes the columns, then the diagonals, which are columns once the rows are turned against
 * each other. Four columns stand in one register each way. The rounds are written out, so that the compiler knows which words of the message are zero. */
#include "base/blake2b_short.h"

#include <endian.h>
#include <string.h>

static const uint64_t iv[8] = {UINT64_C(0x6a09e667f3bcc908), UINT64_C(0xbb67ae8584caa73b), UINT64_C(0x3c6ef372fe94f82b),
                               UINT64_C(0xa54ff53a5f1d36f1), UINT64_C(0x510e527fade682d1), UINT64_C(0x9b05688c2b3e6c1f),
                               UINT64_C(0x1f83d9abfb41bd6b), UINT64_C(0x5be0cd19137e2179)};
#define BLOCK_BYTES 128
#define HASH_BYTES 16

/* The permutations of the message's words, by round; the last two rounds take the first two again. */
#define SIGMAS(X)                                                                                                                          \
  X(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15)                                                                                  \
  X(14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3)                                                                                  \
  X(11, 8, 12, 0, 5, 2, 15, 13, 10, 14, 3, 6, 7, 1, 9, 4)                                                                                  \
  X(7, 9, 3, 1, 13, 12, 11, 14, 2, 6, 5, 10, 4, 0, 15, 8)                                                                                  \
  X(9, 0, 5, 7, 2, 4, 10, 15, 14, 1, 11, 12, 6, 8, 3, 13)                                                                                  \
  X(2, 12, 6, 10, 0, 11, 8, 3, 4, 13, 7, 5, 15, 14, 1, 9)                                                                                  \
  X(12, 5, 1, 15, 14, 13, 4, 10, 0, 7, 6, 3, 9, 2, 8, 11)                                                                                  \
  X(13, 11, 7, 14, 12, 1, 3, 9, 5, 0, 15, 4, 8, 6, 2, 10)                                                                                  \
  X(6, 15, 14, 9, 11, 3, 0, 8, 12, 2, 13, 7, 1, 4, 10, 5)                                                                                  \
  X(10, 2, 8, 4, 7, 6, 1, 5, 15, 11, 9, 14, 3, 12, 13, 0)

static uint64_t turned(uint64_t x, unsigned by) { return x >> by | x << (64 - by); }

static void mix(uint64_t v[16], const unsigned at[4], uint64_t x, uint64_t y) {
  uint64_t *a = &v[at[0]], *b = &v[at[1]], *c = &v[at[2]], *d = &v[at[3]];
  *a += *b + x;
  *d = turned(*d ^ *a, 32);
  *c += *d;
  *b = turned(*b ^ *c, 24);
  *a += *b + y;
  *d = turned(*d ^ *a, 16);
  *c += *d;
  *b = turned(*b ^ *c, 63);
}

void tide_blake2b_behind(const uint8_t key[TIDE_SECRET_KEY_BYTES], uint64_t ret[8]) {
#define X(...) {__VA_ARGS__},
  static const uint8_t sigma[10][16] = {SIGMAS(X)};
#undef X
  static const unsigned place[8][4] = {{0, 4, 8, 12},  {1, 5, 9, 13},  {2, 6, 10, 14}, {3, 7, 11, 15},
                                       {0, 5, 10, 15}, {1, 6, 11, 12}, {2, 7, 8, 13},  {3, 4, 9, 14}};
  uint64_t v[16], m[16] = {0};
  memcpy(m, key, TIDE_SECRET_KEY_BYTES);
  for (unsigned i = 0; i < 4; i++) m[i] = le64toh(m[i]);
  for (unsigned i = 0; i < 8; i++) v[i] = ret[i] = v[8 + i] = iv[i];
  v[0] = ret[0] ^= UINT64_C(0x01010000) ^ TIDE_SECRET_KEY_BYTES << 8 ^ HASH_BYTES;
  v[12] ^= BLOCK_BYTES; /* bytes so far; it is not the last block */
  for (unsigned round = 0; round < 12; round++)
    for (unsigned g = 0; g < 8; g++) mix(v, place[g], m[sigma[round % 10][2 * g]], m[sigma[round % 10][2 * g + 1]]);
  for (unsigned i = 0; i < 8; i++) ret[i] ^= v[i] ^ v[8 + i];
}

#if defined(__x86_64__)
#include <immintrin.h>

#define AVX2 __attribute__((target("avx2")))

struct rows {
  __m256i a, b, c, d;
};

AVX2 static inline __attribute__((always_inline)) void mix_rows(struct rows *v, __m256i x, __m256i y) {
  const __m256i by_24 = _mm256_setr_epi8(3, 4, 5, 6, 7, 0, 1, 2, 11, 12, 13, 14, 15, 8, 9, 10, 3, 4, 5, 6, 7, 0, 1, 2, 11, 12, 13, 14, 15,
                                         8, 9, 10),
                by_16 = _mm256_setr_epi8(2, 3, 4, 5, 6, 7, 0, 1, 10, 11, 12, 13, 14, 15, 8, 9, 2, 3, 4, 5, 6, 7, 0, 1, 10, 11, 12, 13, 14,
                                         15, 8, 9);
  v->a = _mm256_add_epi64(_mm256_add_epi64(v->a, x), v->b);
  v->d = _mm256_shuffle_epi32(_mm256_xor_si256(v->d, v->a), _MM_SHUFFLE(2, 3, 0, 1));
  v->c = _mm256_add_epi64(v->c, v->d);
  v->b = _mm256_shuffle_epi8(_mm256_xor_si256(v->b, v->c), by_24);
  v->a = _mm256_add_epi64(_mm256_add_epi64(v->a, y), v->b);
  v->d = _mm256_shuffle_epi8(_mm256_xor_si256(v->d, v->a), by_16);
  v->c = _mm256_add_epi64(v->c, v->d);
  __m256i b = _mm256_xor_si256(v->b, v->c);
  v->b = _mm256_or_si256(_mm256_srli_epi64(b, 63), _mm256_add_epi64(b, b));
}

AVX2 static void last_short(const uint64_t behind[8], const uint64_t word[4], uint64_t bytes, uint64_t ret[2]) {
  const uint64_t m0 = word[0], m1 = word[1], m2 = word[2], m3 = word[3];
  const __m256i *at = (const __m256i *)(const void *)behind, *of = (const __m256i *)(const void *)iv;
  const __m256i low = _mm256_loadu_si256(at), high = _mm256_loadu_si256(at + 1);
  struct rows v = {low, high, _mm256_loadu_si256(of),
                   _mm256_xor_si256(_mm256_loadu_si256(of + 1), _mm256_set_epi64x(0, -1, 0, (long long)bytes))};
#define M(i) ((long long)((i) == 0 ? m0 : (i) == 1 ? m1 : (i) == 2 ? m2 : (i) == 3 ? m3 : 0))
#define X(s0, s1, s2, s3, s4, s5, s6, s7, s8, s9, s10, s11, s12, s13, s14, s15)                                                            \
  mix_rows(&v, _mm256_set_epi64x(M(s6), M(s4), M(s2), M(s0)), _mm256_set_epi64x(M(s7), M(s5), M(s3), M(s1)));                              \
  v.b = _mm256_permute4x64_epi64(v.b, _MM_SHUFFLE(0, 3, 2, 1));                                                                            \
  v.c = _mm256_permute4x64_epi64(v.c, _MM_SHUFFLE(1, 0, 3, 2));                                                                            \
  v.d = _mm256_permute4x64_epi64(v.d, _MM_SHUFFLE(2, 1, 0, 3));                                                                            \
  mix_rows(&v, _mm256_set_epi64x(M(s14), M(s12), M(s10), M(s8)), _mm256_set_epi64x(M(s15), M(s13), M(s11), M(s9)));                        \
  v.b = _mm256_permute4x64_epi64(v.b, _MM_SHUFFLE(2, 1, 0, 3));                                                                            \
  v.c = _mm256_permute4x64_epi64(v.c, _MM_SHUFFLE(1, 0, 3, 2));                                                                            \
  v.d = _mm256_permute4x64_epi64(v.d, _MM_SHUFFLE(0, 3, 2, 1));
  SIGMAS(X)
  X(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15)
  X(14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3)
#undef X
#undef M
  __m256i hash = _mm256_xor_si256(low, _mm256_xor_si256(v.a, v.c));
  _mm_storeu_si128((__m128i *)(void *)ret, _mm256_castsi256_si128(hash));
}

bool tide_blake2b_short(const uint64_t behind[8], const void *ptr, size_t len, struct tide_u128 *ret) {
  if (!__builtin_cpu_supports("avx2")) return false;
  uint64_t word[4] = {0}, hash[2];
  memcpy(word, ptr, len);
  last_short(behind, word, BLOCK_BYTES + len, hash);
  *ret = (struct tide_u128){hash[0], hash[1]};
  return true;
}
#else
bool tide_blake2b_short(const uint64_t behind[8], const void *ptr, size_t len, struct tide_u128 *ret) {
  (void)behind, (void)ptr, (void)len, (void)ret;
  return false;
}
#endif
