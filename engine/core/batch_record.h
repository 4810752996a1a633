/* What both directions of the entry format hold a record to.
 *
 * The encoder asserts it (a record that breaks it is our bug), the decoder checks it (bytes that break it are corrupt): one predicate
 * each, so the two cannot drift apart. Layout: batch.h. */
#ifndef TIDE_BATCH_RECORD_H
#define TIDE_BATCH_RECORD_H

#include "base/clock.h"
#include "base/num.h"
#include "core/batch.h"

/* Kinds on the wire beyond enum tide_datum_kind: the bit marks the longer form. */
enum { WIRE_LONG = 0x80, WIRE_MONEY = WIRE_LONG | TIDE_D_INT, WIRE_KEY_ALT = WIRE_LONG | TIDE_D_KEY };

enum {
  TIDE_ENTRY_HEADER_BYTES = 48,
  TIDE_PART_BYTES = 56,
  TIDE_ENTRY_CRC_BYTES = 4,
  TIDE_RECORD_LENGTH_BYTES = 3, /* TIDE_ENTRY_MAX needs no more, and a fixed length is put in front of what it measures */
  TIDE_RECORD_HEAD_BYTES = 2 + TIDE_RECORD_LENGTH_BYTES,
  TIDE_CURRENCY_BYTES = 3,
  TIDE_TEXT_BYTES_MAX = 65535,
  TIDE_EXPONENT_MAX = 9
};

/* Records that carry source, offset and time. */
static inline bool tide_record_type_is_data(unsigned type) {
  return type >= TIDE_REC_EVENT && type <= TIDE_REC_PROFILE;
}
static inline bool tide_record_type_has_fields(unsigned type) {
  return type == TIDE_REC_EVENT || type == TIDE_REC_OUTCOME || type == TIDE_REC_LIST || type == TIDE_REC_PROFILE;
}
enum { TIDE_REC_FLAGS = TIDE_REC_NOCOUNT | TIDE_REC_SAME_ROW | TIDE_REC_STAMPED };

/* All ASCII; len is not 0. Pieces of one length may overlap, so no byte is taken alone but those of the shortest. */
static inline bool tide_is_ascii(const uint8_t *at, size_t len) {
  uint64_t first, last = 0, bits = 0;
  if (len >= 8) {
    for (; len > 16; len -= 8, at += 8) {
      memcpy(&first, at, 8);
      bits |= first;
    }
    memcpy(&first, at, 8);
    memcpy(&last, at + len - 8, 8);
    bits |= first | last;
  } else if (len >= 4) {
    uint32_t low, high;
    memcpy(&low, at, 4);
    memcpy(&high, at + len - 4, 4);
    bits = low | high;
  } else {
    bits = at[0] | at[len / 2] | at[len - 1];
  }
  return (bits & UINT64_C(0x8080808080808080)) == 0;
}
static inline bool tide_time_fits(int64_t ms) { return ms >= TIDE_TIME_MIN_MS && ms <= TIDE_TIME_MAX_MS; }
/* Three capital letters and a zero byte. */
static inline bool tide_currency_fits(const char currency[4]) {
  for (unsigned i = 0; i < TIDE_CURRENCY_BYTES; i++) {
    if (currency[i] < 'A' || currency[i] > 'Z') {
      return false;
    }
  }
  return currency[TIDE_CURRENCY_BYTES] == '\0';
}
static inline bool tide_amount_fits(int64_t minor, uint8_t exponent, const char currency[4]) {
  return minor >= 0 && minor <= TIDE_AMOUNT_MAX && exponent <= TIDE_EXPONENT_MAX && tide_currency_fits(currency);
}
/* NULL when the datum fits a field of this declaration (NULL: any declaration), else what is wrong with it. */
const char *tide_datum_misfit(const struct tide_field *field, const struct tide_datum *datum);
/* The same for what stands outside the fields: times, outcome columns, rate, list. `list_count` UINT32_MAX: not known. */
const char *tide_record_misfit(uint32_t list_count, const struct tide_record *record);

#endif
