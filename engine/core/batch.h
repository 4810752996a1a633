/* The journal entry, byte by byte. Drawn here and nowhere else. Little-endian; CRC32C over everything before it.
 *
 *   offset size
 *   0      4   magic "TDE1"
 *   4      2   format version (1)
 *   6      2   fold version (2): arithmetic of fold, policy and model
 *   8      4   engine id
 *   12     4   flags (0)
 *   16     8   fence nonce: the fence this writer believes in
 *   24     8   attempt nonce: random per append attempt, never reused
 *   32     8   commit time, ms
 *   40     4   generation: how many feature files the journal had before the one that the records are encoded under (fold.h)
 *   44     2   number of cursor parts
 *   46     2   number of records (at most 65,535)
 *   48         cursor parts, 56 bytes each:
 *                source u16, partition u16, reserved u32, from u64, next u64, seen i64, drained i64, delay i64, message checksum u64
 *              records: type u8, flags u8, length 3 bytes, payload
 *   end-4  4   CRC32C of all before
 *
 * Record payloads (varint = LEB128, zigzag for signed):
 *   common to EVENT OUTCOME RATE LIST HEARTBEAT PROFILE: source varint, partition varint, offset varint, time zigzag, key id u32
 *   fields (EVENT OUTCOME LIST PROFILE): presence u64; for each present field in order of index: kind u8, then
 *     TEXT: span; INT: zigzag; INT of a money field (kind 0x82): zigzag, exponent u8, currency 3 bytes; KEY: 16 bytes; KEY with alt
 * (kind 0x83): 32 bytes
 *   OUTCOME then: set varint, result u8, reversed u8, refunded u8, disputed u8, label u8, reason 8 bytes, amount_now zigzag, exponent
 * u8, currency 3 bytes
 *   RATE: currency 3 bytes, rate_e10 zigzag
 *   LIST: list varint, expires zigzag, remove u8
 *   CONFIG: settings span, feature file span
 *   DIGEST: decisions so far varint, digest of decisions 16 bytes, state hash u64
 *   FENCE: nonce u64, epoch u64, engine id u32, session 16 bytes
 *   CHECK: epoch varint, seq varint of a position, decisions up to there varint, digest of them 16 bytes
 *   SOURCES START CLAIM TARGETS EMITTED WAIVE: control.h
 *   ARTIFACT ROLLOUT: rollout.h
 *
 * The CRC stays in the last four bytes in every version, so that a damaged version number is told from a new one.
 * Decoding checks everything (an entry may come from a disk or a network); an unknown version or type stops with TIDE_E_VERSION, it is
 * never skipped. */
#ifndef TIDE_BATCH_H
#define TIDE_BATCH_H

#include "base/buf.h"
#include "feature/record.h"
#include "feature/settings.h"
#include "port/journal.h"

#define TIDE_ENTRY_FORMAT 1
/* 2: versions and rollouts; before, a record of type 19 held the one model that scored. 3: the digest of decisions takes values and truths as they stand in memory,
 * in one hash; before, each value was mixed in behind the one before it, which took longer than deciding. */
#define TIDE_FOLD_VERSION 3
#define TIDE_BATCH_RECORDS_MAX 65535

struct tide_cursor_part {
  uint16_t source, partition;
  uint64_t from, next;
  int64_t seen, drained, delay;
  uint64_t checksum;
};

struct tide_entry_header {
  uint16_t format, fold;
  uint32_t engine_id, flags;
  uint64_t fence_nonce, attempt_nonce;
  int64_t commit_ms;
  uint32_t generation;
  uint16_t cursor_count, record_count;
};

/* What an engine had decided when it had folded the entry at `position`: any other engine has decided the same there, or one of the two is wrong. */
struct tide_check_point { struct tide_position position; uint64_t decisions; struct tide_u128 digest; };

/* What tells an entry from any other that could stand at its position in another history: no two attempts share a nonce. */
struct tide_entry_mark { uint64_t attempt_nonce; uint32_t crc; };
static inline bool tide_entry_mark_eq(struct tide_entry_mark a, struct tide_entry_mark b) {
  return a.attempt_nonce == b.attempt_nonce && a.crc == b.crc;
}
/* Of an entry that tide_entry_open has read. */
static inline struct tide_entry_mark tide_entry_mark_of(struct tide_span entry, const struct tide_entry_header *header) {
  struct tide_reader tail = tide_reader_of((struct tide_span){entry.ptr + entry.len - 4, 4});
  return (struct tide_entry_mark){header->attempt_nonce, tide_get_u32(&tail)};
}

/* Which engine wrote it; of an entry that tide_entry_open has read. */
static inline uint32_t tide_entry_engine(struct tide_span entry) {
  struct tide_reader head = tide_reader_of((struct tide_span){entry.ptr + 8, 4});
  return tide_get_u32(&head);
}

/* Building an entry: begin, add parts and records, end. The buffer is the caller's; `begin` clears it. */
struct tide_batch {
  struct tide_buf *out;
  struct tide_entry_header header;
};
void tide_batch_begin(struct tide_batch *batch, struct tide_buf *out, const struct tide_entry_header *header,
                      const struct tide_cursor_part *part, uint16_t part_count);
/* LIMIT (and nothing added) when the entry would exceed TIDE_ENTRY_MAX or the record count. */
enum tide_err tide_batch_add(struct tide_batch *batch, const struct tide_spec *spec, const struct tide_record *record) TIDE_WARN_UNUSED;
/* Appends the record's bytes (head and payload) to `out`: what another thread may do long before the entry is built. LIMIT, and `out` as before,
 * when it could not stand in an entry of its own. */
enum tide_err tide_record_encode(const struct tide_spec *spec, const struct tide_record *record, struct tide_buf *out) TIDE_WARN_UNUSED;
/* Adds `count` records that tide_record_encode made, one behind the other. LIMIT as above: all or none. */
enum tide_err tide_batch_add_encoded(struct tide_batch *batch, struct tide_span records, unsigned count) TIDE_WARN_UNUSED;
/* Control records. */
enum tide_err tide_batch_add_config(struct tide_batch *batch, const struct tide_settings *settings, struct tide_span features) TIDE_WARN_UNUSED;
struct tide_digest { uint64_t decisions; struct tide_u128 digest; uint64_t state_hash; };
enum tide_err tide_batch_add_digest(struct tide_batch *batch, const struct tide_digest *digest) TIDE_WARN_UNUSED;
struct tide_fence { uint64_t nonce, epoch; uint32_t engine_id; struct tide_u128 session; /* it was written in */ };
enum tide_err tide_batch_add_check(struct tide_batch *batch, const struct tide_check_point *point) TIDE_WARN_UNUSED;
enum tide_err tide_batch_add_fence(struct tide_batch *batch, const struct tide_fence *fence) TIDE_WARN_UNUSED;
/* One with its payload as it stands (control.h). */
enum tide_err tide_batch_add_control(struct tide_batch *batch, uint8_t type, struct tide_span payload) TIDE_WARN_UNUSED;
/* Patches counts, writes the CRC. The entry is then batch->out. */
void tide_batch_end(struct tide_batch *batch);

/* Reading an entry: open checks magic, version, CRC, header and parts; next gives record after record. */
struct tide_entry_reader {
  struct tide_entry_header header;
  struct tide_cursor_part *part; /* in the caller's array */
  struct tide_reader at;
  uint32_t index;                /* of the record that next gave last, from 0 */
  uint32_t left;
};
#define TIDE_PARTS_MAX 1024
/* part must have room for TIDE_PARTS_MAX. Errors: CORRUPT, VERSION. */
enum tide_err tide_entry_open(struct tide_entry_reader *reader, struct tide_span entry, struct tide_cursor_part *part, struct tide_error *error)
    TIDE_WARN_UNUSED;
/* One raw record: type, flags, payload borrowed from the entry. END after the last; CORRUPT when bytes are left or missing. */
struct tide_raw_record { uint8_t type, flags; struct tide_span payload; };
enum tide_err tide_entry_next(struct tide_entry_reader *reader, struct tide_raw_record *ret, struct tide_error *error) TIDE_WARN_UNUSED;
/* Takes one record off the front of what tide_record_encode made; *bytes moves behind it. END when nothing is left; CORRUPT. */
enum tide_err tide_raw_take(struct tide_span *bytes, struct tide_raw_record *ret, struct tide_error *error) TIDE_WARN_UNUSED;
/* Payloads. Texts are borrowed. *ret is large and filled as it is read: on error its content is unspecified. Every declared field is
 * set (NONE when it is not
 * there); without a spec (NULL: inspecting) all 64, checked for form only. Errors: CORRUPT (does not fit the spec), VERSION (unknown
 * type or flag). */
enum tide_err tide_record_decode(const struct tide_spec *spec, const struct tide_raw_record *raw, struct tide_record *ret, struct tide_error *error)
    TIDE_WARN_UNUSED;
enum tide_err tide_config_decode(const struct tide_raw_record *raw, struct tide_settings *ret_settings, struct tide_span *ret_features,
                                 struct tide_error *error) TIDE_WARN_UNUSED;
enum tide_err tide_digest_decode(const struct tide_raw_record *raw, struct tide_digest *ret, struct tide_error *error) TIDE_WARN_UNUSED;
enum tide_err tide_check_decode(const struct tide_raw_record *raw, struct tide_check_point *ret, struct tide_error *error) TIDE_WARN_UNUSED;
enum tide_err tide_fence_decode(const struct tide_raw_record *raw, struct tide_fence *ret, struct tide_error *error) TIDE_WARN_UNUSED;

#endif
