/* Keyed hashes of secret texts, and which of them are kept for a while.
 *
 * The hash of a card number is the dearest step of decoding a row. In a history the outcome of a transaction mostly stands in the row behind it, with the same
 * number, so the last few hashes save half of them. Kept is the text itself, compared byte by byte: a hash that is given again is the one that would be
 * worked out. Only where messages come from a file, which has all the texts anyway: an engine that answers callers keeps none in memory. */
#include "adapter/decode_parts.h"

#include "base/copy.h"

#define KEPT 256      /* a power of two */
#define TEXT_BYTES 24 /* a card number has 19 at most */

struct kept {
  uint8_t len; /* 0: nothing */
  char text[TEXT_BYTES];
  struct tide_secret_hashes hashes;
};

struct tide_secrets {
  struct kept kept[KEPT];
};

struct tide_secrets *tide_secrets_new(void) {
  return tide_alloc(sizeof(struct tide_secrets));
}

void tide_secrets_free(struct tide_secrets *secrets) {
  if (secrets) explicit_bzero(secrets, sizeof *secrets);
  tide_free(secrets);
}

static struct tide_secret_hashes work_out(const struct tide_secret_key *key, const struct tide_secret_key *alt, struct tide_span text) {
  return (struct tide_secret_hashes){tide_secret_hash(key, text), alt ? tide_secret_hash(alt, text) : (struct tide_u128){0, 0}};
}

struct tide_secret_hashes tide_secret_hashes(struct tide_secrets *secrets, const struct tide_secret_key *key,
                                             const struct tide_secret_key *alt, struct tide_span text) {
  if (!secrets || text.len > TEXT_BYTES) return work_out(key, alt, text);
  struct kept *kept = &secrets->kept[tide_hash64(text.ptr, text.len, 0) % KEPT];
  if (kept->len != text.len || memcmp(kept->text, text.ptr, text.len) != 0) {
    kept->hashes = work_out(key, alt, text);
    tide_copy_few(kept->text, text.ptr, text.len);
    kept->len = (uint8_t)text.len;
  }
  return kept->hashes;
}
