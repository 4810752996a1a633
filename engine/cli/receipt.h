/* Receipts: one decision with everything that is needed to find again, years later, that it was so (`explain --receipt`, `verify`).
 *
 *   {"tidemark_receipt":1, "transaction":ID, "position":"7-48213.5", "fold":1,
 *    "entry":{"sha256":H, "engine":N, "fence":HEX, "attempt":HEX, "committed":TIME},        the journal entry it stands in, byte for byte
 *    "features":{"name":N, "hash":B}, "rollout":N, "policy":{"name":N, "hash":B} | null,     BLAKE2b-256 of the contents, as the registry names versions; null: the policy that
 *    "model":{"name":N, "hash":B} | null,                                                    stands in the feature file; no model was asked
 *    "key":HEX | null,                                                                       id of the key that secret fields were hashed under
 *    "before":{"decisions":N, "digest":HEX}, "after":{"decisions":N, "digest":HEX, "state":HEX},   the chain of decisions around the entry, and all that is counted
 *    "answer":{...},                                                                         as explain --json has it, with every feature
 *    "checksum":H}                                                                           SHA-256 of all bytes before `,"checksum"`
 *
 * One line. The checksum tells a damaged receipt from a sound one; it is no signature: whoever forges a receipt can seal it, and then the journal contradicts him.
 * What proves a receipt is that folding the journal gives it again, byte for byte: so verifying is making it a second time, and comparing. It holds no card number and no key. */
#ifndef TIDE_RECEIPT_H
#define TIDE_RECEIPT_H

#include "core/fold.h"

#define TIDE_RECEIPT_FORMAT 1
#define TIDE_RECEIPT_BYTES_MAX (4u << 20)

/* Folds the entry at `position` and appends the receipt of the decision on its record `index`, if it makes one: then *ret_made is true. Answers go on to emit (NULL:
 * nobody). Errors: tide_fold_entry's. */
enum tide_err tide_receipt_fold(struct tide_fold *fold, struct tide_position position, uint32_t index, struct tide_span entry, tide_emit_fn emit, void *ctx,
                                struct tide_buf *out, bool *ret_made, struct tide_error *error) TIDE_WARN_UNUSED;

/* Writes it, with a line feed, under a new or an existing name. IO. */
enum tide_err tide_receipt_write(const char *path, struct tide_span receipt, struct tide_error *error) TIDE_WARN_UNUSED;

/* A receipt as read from a file: sound, but not proven. Release in every case. */
struct tide_receipt {
  struct tide_buf text; /* without the line feed */
  struct tide_position position;
  uint32_t index;
};
/* Errors: NOT_FOUND, IO, TOO_LONG, SYNTAX (no receipt), VERSION, CORRUPT (the checksum does not fit: it was changed or is damaged). */
enum tide_err tide_receipt_read(const char *path, struct tide_receipt *ret, struct tide_error *error) TIDE_WARN_UNUSED;
/* The same from ret->text; `what` names it in errors. */
enum tide_err tide_receipt_parse(const char *what, struct tide_receipt *ret, struct tide_error *error) TIDE_WARN_UNUSED;
void tide_receipt_release(struct tide_receipt *receipt);

/* Appends one line "place: the receipt says A, the journal gives B" for each member in which two receipts differ, at most `max`; returns how many differ. */
size_t tide_receipt_compare(struct tide_span claimed, struct tide_span made, size_t max, struct tide_buf *out);

#endif
