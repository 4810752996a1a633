/* Checksums against the vectors of their standards and against a second way to compute them;
 * hashes against published values (xxHash) and another implementation (Python's hashlib for BLAKE2b). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include <stdio.h>

#include "base/hash.h"

static void crc32c_of_rfc_3720(void **state) {
  (void)state;
  /* RFC 3720 appendix B.4: 32 zeros, 32 ones, rising, falling, and a SCSI read command */
  uint8_t zeros[32] = {0}, ones[32], rising[32], falling[32];
  for (unsigned i = 0; i < 32; i++) {
    ones[i] = 0xff;
    rising[i] = (uint8_t)i;
    falling[i] = (uint8_t)(31 - i);
  }
  static const uint8_t command[48] = {0x01, 0xc0, 0, 0,    0, 0, 0, 0,    0,    0, 0, 0, 0, 0, 0, 0, 0x14, 0, 0, 0, 0, 0, 0x04, 0,
                                      0,    0,    0, 0x14, 0, 0, 0, 0x18, 0x28, 0, 0, 0, 0, 0, 0, 0, 0x02, 0, 0, 0, 0, 0, 0,    0};
  static uint32_t (*const ways[])(uint32_t, const void *, size_t) = {tide_crc32c, tide_crc32c_portable};
  for (size_t w = 0; w < 2; w++) {
    assert_int_equal(ways[w](0, zeros, 32), 0x8a9136aa);
    assert_int_equal(ways[w](0, ones, 32), 0x62a8ab43);
    assert_int_equal(ways[w](0, rising, 32), 0x46dd794e);
    assert_int_equal(ways[w](0, falling, 32), 0x113fdb5c);
    assert_int_equal(ways[w](0, command, 48), 0xd9963a56);
    assert_int_equal(ways[w](0, "123456789", 9), 0xe3069283);
    assert_int_equal(ways[w](0, "", 0), 0);
  }
}

/* A bit at a time, as the polynomial is defined: no table, no instruction. */
static uint32_t crc_slow(const uint8_t *p, size_t len) {
  uint32_t crc = ~0u;
  for (size_t i = 0; i < len; i++) {
    crc ^= p[i];
    for (int bit = 0; bit < 8; bit++) {
      crc = crc & 1 ? (crc >> 1) ^ 0x82F63B78u : crc >> 1;
    }
  }
  return ~crc;
}

static void crc32c_ways_agree_at_every_length_and_split(void **state) {
  (void)state;
  uint8_t bytes[300];
  for (size_t i = 0; i < sizeof bytes; i++) {
    bytes[i] = (uint8_t)(i * 151 + (i >> 3));
  }
  for (size_t from = 0; from < 9; from++) {
    for (size_t len = 0; len + from <= sizeof bytes; len++) {
      uint32_t want = crc_slow(bytes + from, len);
      assert_int_equal(tide_crc32c(0, bytes + from, len), want);
      assert_int_equal(tide_crc32c_portable(0, bytes + from, len), want);
      size_t cut = len / 3;
      assert_int_equal(tide_crc32c(tide_crc32c(0, bytes + from, cut), bytes + from + cut, len - cut), want);
      assert_int_equal(tide_crc32c_portable(tide_crc32c(0, bytes + from, cut), bytes + from + cut, len - cut), want);
    }
  }
}

/* Long ones are taken in three lanes. */
static void crc32c_ways_agree_on_what_is_long(void **state) {
  (void)state;
  uint8_t bytes[5000];
  for (size_t i = 0; i < sizeof bytes; i++) {
    bytes[i] = (uint8_t)(i * 151 + (i >> 3) * 7 + (i >> 9));
  }
  for (size_t len = 1400; len <= sizeof bytes - 8; len += 13) {
    size_t from = len % 8;
    uint32_t want = crc_slow(bytes + from, len);
    assert_int_equal(tide_crc32c(0, bytes + from, len), want);
    assert_int_equal(tide_crc32c(tide_crc32c(0, bytes + from, len / 9), bytes + from + len / 9, len - len / 9), want);
    assert_int_equal(tide_crc32c_portable(0, bytes + from, len), want);
  }
}

static void xxh3_is_the_published_one(void **state) {
  (void)state;
  /* XXH3 0.8 of the empty input: 64 bits and 128 bits, seed 0 */
  assert_true(tide_hash64("", 0, 0) == UINT64_C(0x2d06800538d394c2));
  assert_true(tide_hash64(NULL, 0, 0) == UINT64_C(0x2d06800538d394c2));
  struct tide_u128 h = tide_hash128("", 0, 0);
  assert_true(h.hi == UINT64_C(0x99aa06d3014798d8) && h.lo == UINT64_C(0x6001c324468d497f));
  assert_true(tide_u128_eq(h, tide_hash128(NULL, 0, 0)));
  assert_true(tide_hash64("abc", 3, 1) != tide_hash64("abc", 3, 2));
  assert_true(tide_hash64("abc", 3, 1) == tide_hash64("abcd", 3, 1));
  assert_false(tide_u128_eq(tide_hash128("abc", 3, 1), tide_hash128("abc", 3, 2)));
}

static void xxh3_of_few_bytes_is_that_of_the_library(void **state) {
  (void)state;
  static const uint64_t seeds[] = {0, 1, 60, UINT64_C(0x9e3779b97f4a7c15), UINT64_MAX};
  uint8_t bytes[600];
  for (size_t i = 0; i < sizeof bytes; i++) bytes[i] = (uint8_t)(i * 197 + (i >> 4));
  for (size_t s = 0; s < sizeof seeds / sizeof *seeds; s++)
    for (size_t len = 0; len <= sizeof bytes; len++) {
      assert_true(tide_hash64(bytes, len, seeds[s]) == tide_hash64_library(bytes, len, seeds[s]));
      assert_true(tide_u128_eq(tide_hash128(bytes, len, seeds[s]), tide_hash128_library(bytes, len, seeds[s])));
    }
}

static void blake2b_is_keyed(void **state) {
  (void)state;
  struct tide_secret_key key = {0}, other = {0};
  for (unsigned i = 0; i < TIDE_SECRET_KEY_BYTES; i++) {
    key.bytes[i] = (uint8_t)i;
    other.bytes[i] = (uint8_t)(i + 1);
  }
  /* Python: hashlib.blake2b(b"4111111111111111", digest_size=16, key=bytes(range(32))) and the same for b"" */
  struct tide_u128 h = tide_secret_hash(&key, TIDE_SPAN("4111111111111111"));
  assert_true(h.lo == UINT64_C(0x611f278d1375497b) && h.hi == UINT64_C(0xbe68639732729a12));
  h = tide_secret_hash(&key, (struct tide_span){NULL, 0});
  assert_true(h.lo == UINT64_C(0xd58f88e7bc97af3d) && h.hi == UINT64_C(0x9c4547f66bc67397));
  assert_false(tide_u128_eq(tide_secret_hash(&key, TIDE_SPAN("4111")), tide_secret_hash(&other, TIDE_SPAN("4111"))));
  assert_false(tide_u128_eq(tide_secret_hash(&key, TIDE_SPAN("4111")), tide_secret_hash(&key, TIDE_SPAN("4112"))));
  tide_secret_key_seal(&key);
  tide_secret_key_seal(&other);
  assert_true(key.id == 0x41d2a8d5u);
  assert_true(key.id != 0 && other.id != 0 && key.id != other.id);
}

static void siphash_is_keyed_by_the_seed(void **state) {
  (void)state;
  /* SipHash-2-4 with the key (seed, seed ^ 0x243f6a8885a308d3), by an implementation of its own that gives the paper's test vector */
  uint8_t bytes[15];
  for (unsigned i = 0; i < sizeof bytes; i++) bytes[i] = (uint8_t)i;
  assert_true(tide_keyed_hash64("", 0, 0) == UINT64_C(0x364f6d899cd80dda));
  assert_true(tide_keyed_hash64(NULL, 0, 0) == UINT64_C(0x364f6d899cd80dda));
  assert_true(tide_keyed_hash64("abc", 3, 0) == UINT64_C(0x86a6cb9ae1ad0856));
  assert_true(tide_keyed_hash64(bytes, sizeof bytes, UINT64_C(0x0123456789abcdef)) == UINT64_C(0x169e66d59955713a));
  struct tide_secret_key key = {0}, other = {.bytes = {1}};
  for (unsigned i = 0; i < TIDE_SECRET_KEY_BYTES; i++) key.bytes[i] = (uint8_t)i;
  /* Python: hashlib.blake2b(b"tidemark hash seed", digest_size=16, key=bytes(range(32))).digest()[:8], little-endian, >> 1 */
  assert_true(tide_secret_seed(&key) == UINT64_C(0x11d97595d2310b93) >> 1);
  assert_true(tide_secret_seed(&key) != tide_secret_seed(&other));
}

static void secrets_are_compared(void **state) {
  (void)state;
  assert_true(tide_same_bytes("0123456789abcdef", "0123456789abcdef", 16));
  assert_false(tide_same_bytes("0123456789abcdef", "0123456789abcdeF", 16));
  assert_false(tide_same_bytes("0123456789abcdef", "1123456789abcdef", 16));
  assert_true(tide_same_bytes("0", "1", 0));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(crc32c_of_rfc_3720),
      cmocka_unit_test(crc32c_ways_agree_at_every_length_and_split),
      cmocka_unit_test(crc32c_ways_agree_on_what_is_long),
      cmocka_unit_test(xxh3_is_the_published_one),
      cmocka_unit_test(xxh3_of_few_bytes_is_that_of_the_library),
      cmocka_unit_test(blake2b_is_keyed),
      cmocka_unit_test(siphash_is_keyed_by_the_seed),
      cmocka_unit_test(secrets_are_compared),
  };
  return cmocka_run_group_tests_name("hash", tests, NULL, NULL);
}
