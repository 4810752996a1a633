/* Hashes and checksums over three libraries' worth of primitives.
 *
 * xxHash and BLAKE2b are libxxhash's and libsodium's. CRC32C (polynomial 0x1EDC6F41, reflected 0x82F63B78, RFC 3720 appendix B.4) is
 * ours: the instruction of SSE 4.2, long inputs in three lanes, where the machine has it and PCLMUL; eight tables ("slicing by 8", Kounavis and Berry 2005) elsewhere. Both
 * give the same bits; a test compares them. */
#include "base/hash.h"

#include <endian.h>
#include <pthread.h>
#include <sodium.h>
#if defined(__x86_64__)
#include <immintrin.h>
#include <xxh_x86dispatch.h> /* the same hashes, for long inputs by the widest instructions of this machine */
#else
#include <xxhash.h>
#endif

#include "base/check.h"

enum { SECRET_BYTES = 16, SLICES = 8 };

static struct tide_u128 u128_of(const uint8_t bytes[SECRET_BYTES]) {
  struct tide_u128 v = {0, 0};
  for (unsigned i = 0; i < 8; i++) {
    v.lo |= (uint64_t)bytes[i] << (8 * i);
    v.hi |= (uint64_t)bytes[8 + i] << (8 * i);
  }
  return v;
}

uint64_t tide_hash64_library(const void *ptr, size_t len, uint64_t seed) { return XXH3_64bits_withSeed(ptr ? ptr : "", len, seed); }

struct tide_u128 tide_hash128_library(const void *ptr, size_t len, uint64_t seed) {
  XXH128_hash_t h = XXH3_128bits_withSeed(ptr ? ptr : "", len, seed);
  return (struct tide_u128){h.low64, h.high64};
}

/* Keyed hashing */

static pthread_once_t sodium_once = PTHREAD_ONCE_INIT;

/* sodium_init picks the fastest BLAKE2b of this machine; without it the portable one is used. */
static void sodium_start(void) { TIDE_CHECK(sodium_init() >= 0); }

static void blake2b(uint8_t *out, size_t out_len, const void *in, size_t in_len, const uint8_t key[TIDE_SECRET_KEY_BYTES]) {
  pthread_once(&sodium_once, sodium_start);
  int rc = crypto_generichash(out, out_len, in, in_len, key, TIDE_SECRET_KEY_BYTES);
  TIDE_CHECK(rc == 0);
}

struct tide_u128 tide_secret_hash(const struct tide_secret_key *key, struct tide_span s) {
  uint8_t out[SECRET_BYTES];
  blake2b(out, sizeof out, s.len ? s.ptr : "", s.len, key->bytes);
  return u128_of(out);
}

void tide_sha256(struct tide_span s, uint8_t ret[TIDE_SHA256_BYTES]) {
  _Static_assert(TIDE_SHA256_BYTES == crypto_hash_sha256_BYTES, "one length");
  int rc = crypto_hash_sha256(ret, (const unsigned char *)(s.len ? s.ptr : ""), s.len);
  TIDE_CHECK(rc == 0);
}

struct tide_content_hash tide_content_hash(struct tide_span s) {
  struct tide_content_hash hash;
  int rc = crypto_generichash_blake2b(hash.byte, sizeof hash.byte, (const unsigned char *)s.ptr, s.len, NULL, 0);
  TIDE_CHECK(rc == 0);
  return hash;
}

bool tide_content_hash_eq(struct tide_content_hash a, struct tide_content_hash b) { return memcmp(a.byte, b.byte, sizeof a.byte) == 0; }

bool tide_content_hash_is_zero(struct tide_content_hash hash) { return tide_content_hash_eq(hash, (struct tide_content_hash){{0}}); }

const char *tide_content_hash_text(struct tide_content_hash hash, char out[TIDE_CONTENT_HASH_TEXT]) {
  return sodium_bin2hex(out, TIDE_CONTENT_HASH_TEXT, hash.byte, sizeof hash.byte);
}

bool tide_content_hash_read(struct tide_span text, struct tide_content_hash *ret) {
  struct tide_content_hash hash;
  size_t len;
  if (text.len != 2 * sizeof hash.byte || sodium_hex2bin(hash.byte, sizeof hash.byte, text.ptr, text.len, NULL, &len, NULL) != 0 ||
      len != sizeof hash.byte)
    return false;
  *ret = hash;
  return true;
}

bool tide_same_bytes(const void *a, const void *b, size_t len) { return sodium_memcmp(a, b, len) == 0; }

uint64_t tide_secret_seed(const struct tide_secret_key *key) {
  static const char label[] = "tidemark hash seed";
  uint8_t out[SECRET_BYTES];
  blake2b(out, sizeof out, label, sizeof label - 1, key->bytes);
  uint64_t seed = u128_of(out).lo >> 1; /* settings are int64 and not negative */
  return seed ? seed : 1;
}

uint64_t tide_keyed_hash64(const void *ptr, size_t len, uint64_t seed) {
  static const uint64_t pi = UINT64_C(0x243f6a8885a308d3); /* the halves of the key differ */
  uint8_t key[crypto_shorthash_KEYBYTES], out[crypto_shorthash_BYTES];
  _Static_assert(sizeof key == 16 && sizeof out == 8, "SipHash");
  const uint64_t halves[2] = {htole64(seed), htole64(seed ^ pi)};
  memcpy(key, halves, sizeof key);
  (void)crypto_shorthash(out, ptr ? ptr : (const void *)"", len, key); /* cannot fail and needs no sodium_init */
  uint64_t hash;
  memcpy(&hash, out, sizeof hash);
  return le64toh(hash);
}

void tide_secret_key_seal(struct tide_secret_key *key) {
  static const char label[] = "tidemark key id";
  uint8_t out[32];
  blake2b(out, sizeof out, label, sizeof label - 1, key->bytes);
  uint32_t id = (uint32_t)out[0] | (uint32_t)out[1] << 8 | (uint32_t)out[2] << 16 | (uint32_t)out[3] << 24;
  key->id = id ? id : 1;
}

/* CRC32C */

static uint32_t slices[SLICES][256];
static pthread_once_t slices_once = PTHREAD_ONCE_INIT;

static void slices_make(void) {
  for (uint32_t i = 0; i < 256; i++) {
    uint32_t crc = i;
    for (int bit = 0; bit < 8; bit++) {
      crc = crc & 1 ? (crc >> 1) ^ 0x82F63B78u : crc >> 1;
    }
    slices[0][i] = crc;
  }
  for (uint32_t i = 0; i < 256; i++) {
    for (int k = 1; k < SLICES; k++) {
      slices[k][i] = (slices[k - 1][i] >> 8) ^ slices[0][slices[k - 1][i] & 0xff];
    }
  }
}

static uint64_t load_little(const uint8_t *p) {
  uint64_t v;
  memcpy(&v, p, sizeof v);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
  v = __builtin_bswap64(v);
#endif
  return v;
}

uint32_t tide_crc32c_portable(uint32_t crc, const void *ptr, size_t len) {
  pthread_once(&slices_once, slices_make);
  const uint8_t *p = ptr;
  crc = ~crc;
  for (; len >= 8; len -= 8, p += 8) {
    uint64_t word = load_little(p) ^ crc;
    crc = 0;
    for (unsigned k = 0; k < SLICES; k++) {
      crc ^= slices[SLICES - 1 - k][(word >> (8 * k)) & 0xff];
    }
  }
  for (; len > 0; len--, p++) {
    crc = (crc >> 8) ^ slices[0][(crc ^ *p) & 0xff];
  }
  return ~crc;
}

#if defined(__x86_64__)
/* The instruction gives a result every cycle and takes three, so long inputs go in three lanes that do not wait for each other. What stands before n bytes is worth
 * their checksum times x^(8n): crc32 itself multiplies by x^32 and a product of reflected numbers by x. */
#define LANE 512
#define OVER_ONE UINT32_C(0xdd7e3b0c) /* x^(8 LANE - 33) modulo the polynomial, reflected */
#define OVER_TWO UINT32_C(0x170076fa) /* x^(16 LANE - 33) */

__attribute__((target("sse4.2,pclmul"))) static uint32_t over(uint64_t crc, uint32_t power) {
  __m128i product = _mm_clmulepi64_si128(_mm_cvtsi64_si128((long long)crc), _mm_cvtsi64_si128((long long)power), 0);
  return (uint32_t)__builtin_ia32_crc32di(0, (unsigned long long)_mm_cvtsi128_si64(product));
}

__attribute__((target("sse4.2,pclmul"))) static uint32_t crc_sse42(uint32_t crc, const uint8_t *p, size_t len) {
  uint64_t wide = (uint32_t)~crc;
  for (; len >= 3 * LANE; len -= 3 * LANE, p += 3 * LANE) {
    uint64_t second = 0, third = 0;
    for (size_t i = 0; i < LANE; i += 8) {
      wide = __builtin_ia32_crc32di(wide, load_little(p + i));
      second = __builtin_ia32_crc32di(second, load_little(p + LANE + i));
      third = __builtin_ia32_crc32di(third, load_little(p + 2 * LANE + i));
    }
    wide = over(wide, OVER_TWO) ^ over(second, OVER_ONE) ^ third;
  }
  for (; len >= 8; len -= 8, p += 8) {
    wide = __builtin_ia32_crc32di(wide, load_little(p));
  }
  uint32_t narrow = (uint32_t)wide;
  for (; len > 0; len--, p++) {
    narrow = __builtin_ia32_crc32qi(narrow, *p);
  }
  return ~narrow;
}
#endif

uint32_t tide_crc32c(uint32_t crc, const void *ptr, size_t len) {
#if defined(__x86_64__)
  if (TIDE_LIKELY(__builtin_cpu_supports("sse4.2") && __builtin_cpu_supports("pclmul"))) {
    return crc_sse42(crc, ptr, len);
  }
#endif
  return tide_crc32c_portable(crc, ptr, len);
}
