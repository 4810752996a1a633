/* Keyed BLAKE2b (RFC 7693) of short texts, 16 bytes of hash: what becomes of every card number that comes in.
 *
 * A keyed hash compresses the key, padded to a block, and then the text. What stands behind the key is the same for every text, so it is kept; and of a text of
 * at most 32 bytes twelve of the sixteen words of its block are zero, so most of what a round adds falls away. That takes a third of the instructions that a library
 * needs, which knows neither. Longer texts, and machines without AVX2, take the library (hash.c). Same bits; a test compares them. */
#ifndef TIDE_BLAKE2B_SHORT_H
#define TIDE_BLAKE2B_SHORT_H

#include "base/hash.h"

#define TIDE_BLAKE2B_SHORT_MAX 32
/* The state behind the block of a key of 32 bytes. As secret as the key. */
void tide_blake2b_behind(const uint8_t key[TIDE_SECRET_KEY_BYTES], uint64_t ret[8]);
/* Of 1 to TIDE_BLAKE2B_SHORT_MAX bytes. False where this machine has not what it takes. */
bool tide_blake2b_short(const uint64_t behind[8], const void *ptr, size_t len, struct tide_u128 *ret);

#endif
