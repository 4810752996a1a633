/* XXH3 of a few bytes, which is what tables and keys are made of: libxxhash's own code, compiled in from its header.
 *
 * A call of the library picks the instructions of this machine first, which costs as much as the hash of a short text. Short inputs need none of them; what is long goes
 * to the library (hash.c). The shortest texts need no registers saved, so what is longer is hashed in another function. All give the same bits; a test compares them. */
#include "base/hash.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/check.h"

#define FEWEST 16 /* up to here XXH3 is one or two multiplications, */
#define FEW 128   /* up to here some more */

static __attribute__((noinline)) uint64_t hash64_of_more(const void *ptr, size_t len, uint64_t seed) {
  return len > FEW ? tide_hash64_library(ptr, len, seed) : XXH3_64bits_withSeed(ptr, len, seed);
}

uint64_t tide_hash64(const void *ptr, size_t len, uint64_t seed) {
  return TIDE_UNLIKELY(len > FEWEST) ? hash64_of_more(ptr, len, seed) : XXH3_64bits_withSeed(ptr ? ptr : "", len, seed);
}

struct tide_u128 tide_hash128(const void *ptr, size_t len, uint64_t seed) {
  if (TIDE_UNLIKELY(len > FEW)) return tide_hash128_library(ptr, len, seed);
  XXH128_hash_t h = XXH3_128bits_withSeed(ptr ? ptr : "", len, seed);
  return (struct tide_u128){h.low64, h.high64};
}
