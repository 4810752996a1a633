/* Hashes and checksums, each for one purpose.
 *
 * xxh3: in-memory tables, state hashes, checksums of content (XXH3, xxHash 0.8; seeded). BLAKE2b: card numbers and other secrets
 * (keyed, RFC 7693, libsodium; short ones blake2b_short.h), 128 bits. CRC32C: entries and files (Castagnoli, RFC 3720 appendix B.4). */
#ifndef TIDE_HASH_H
#define TIDE_HASH_H

#include "base/span.h"

struct tide_u128 { uint64_t lo, hi; };
static inline bool tide_u128_eq(struct tide_u128 a, struct tide_u128 b) { return a.lo == b.lo && a.hi == b.hi; }

/* SipHash-2-4 (Aumasson and Bernstein 2012, libsodium) under a key made of the seed: for texts that somebody outside chooses and whose collisions
 * would pay, so that nobody who does not know the seed can make any. */
uint64_t tide_keyed_hash64(const void *ptr, size_t len, uint64_t seed);
uint64_t tide_hash64(const void *ptr, size_t len, uint64_t seed);
struct tide_u128 tide_hash128(const void *ptr, size_t len, uint64_t seed);
/* The same by calls of the library, whatever the length: for what is long, and public for the test that compares them. */
uint64_t tide_hash64_library(const void *ptr, size_t len, uint64_t seed);
struct tide_u128 tide_hash128_library(const void *ptr, size_t len, uint64_t seed);
uint32_t tide_crc32c(uint32_t crc, const void *ptr, size_t len); /* start with 0; chains */
uint32_t tide_crc32c_portable(uint32_t crc, const void *ptr, size_t len); /* the same without instructions for it, public for the test that compares them */

#define TIDE_SECRET_KEY_BYTES 32
struct tide_secret_key { uint8_t bytes[TIDE_SECRET_KEY_BYTES]; uint32_t id; /* first 4 bytes of BLAKE2b("tidemark key id", key), never 0 */ };
/* 128-bit keyed BLAKE2b of the bytes. */
struct tide_u128 tide_secret_hash(const struct tide_secret_key *key, struct tide_span s);
/* A seed for tide_keyed_hash64 that follows from the key and tells nothing about it: the upper 63 bits of the first 8 bytes
 * of BLAKE2b("tidemark hash seed", key), never 0. */
uint64_t tide_secret_seed(const struct tide_secret_key *key);
/* SHA-256 (FIPS 180-4, libsodium): of tokens, which are random and so need no slow hash, and whose hash people can make with other programs. */
#define TIDE_SHA256_BYTES 32
void tide_sha256(struct tide_span s, uint8_t ret[TIDE_SHA256_BYTES]);
/* What names a version of a model, a policy or a feature file: unkeyed BLAKE2b-256 of its bytes (RFC 7693, libsodium; `b2sum -l 256` prints the same). All zero: none. */
#define TIDE_CONTENT_HASH_BYTES 32
struct tide_content_hash { uint8_t byte[TIDE_CONTENT_HASH_BYTES]; };
struct tide_content_hash tide_content_hash(struct tide_span s);
bool tide_content_hash_eq(struct tide_content_hash a, struct tide_content_hash b);
bool tide_content_hash_is_zero(struct tide_content_hash hash);
/* 64 hex digits and a zero byte; returns out. */
#define TIDE_CONTENT_HASH_TEXT (2 * TIDE_CONTENT_HASH_BYTES + 1)
const char *tide_content_hash_text(struct tide_content_hash hash, char out[TIDE_CONTENT_HASH_TEXT]);
/* From 64 hex digits; false for anything else. */
bool tide_content_hash_read(struct tide_span text, struct tide_content_hash *ret);
/* The bytes are the same; takes a time that depends on len only. */
bool tide_same_bytes(const void *a, const void *b, size_t len);
/* Computes key->id from key->bytes. */
void tide_secret_key_seal(struct tide_secret_key *key);

#endif
