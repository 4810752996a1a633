/* Control records of ingestion: what the cell's sources are, who reads them, how far they must be read before a new epoch is open, what has left.
 *
 * They are journaled because each of them changes what an answer may say: a fold that does not know that a source exists cannot say that it is
 * late. Little-endian as batch.h, whose drawing they continue:
 *   SOURCES: flags u8 (1: answers to messages leave through the outbox, 2: with their features), count varint; each: number u16, name span, flags u8 (1 gates, 2 keyed by
 *            the primary entity), out_of_orderness zigzag, silence zigzag
 *   START:   source u16, partition u16, cursor u64, flags u8 (1: an operator's jump over a gap); of a jump: from u64
 *   CLAIM:   engine id u32, patience zigzag (ms), flags u8 (1: given up)
 *   TARGETS: count varint; each: source u16, partition u16, end u64, delivered u64
 *   EMITTED: number varint
 *   WAIVE:   source u16, partition u16 (65535: all), until zigzag (ms; at or before the commit time: the waiver ends) */
#ifndef TIDE_CONTROL_H
#define TIDE_CONTROL_H

#include "config/source.h"
#include "core/batch.h"

#define TIDE_SOURCE_NAME 49 /* with the zero byte */
#define TIDE_PARTITIONS_MAX 1024
#define TIDE_PARTITION_ALL 65535

struct tide_source_info {
  uint16_t number; /* tide_source_number of its name */
  char name[TIDE_SOURCE_NAME];
  bool gates;      /* what it has not delivered can hold scores back */
  bool keyed;      /* partitioned by the primary entity's key: one partition hides only its own cards' events */
  int64_t out_of_orderness_ms, silence_ms;
};
struct tide_sources {
  bool scores, features; /* answers leave through the outbox; with feature values */
  uint32_t count;
  struct tide_source_info source[TIDE_SOURCES_MAX];
};
/* The first cursor of a partition; jump: an operator's word to leave the cursor `from`, where the log has nothing to read, and go on at `cursor`, be it
 * further on (a gap) or back (the
 * log was begun anew). Where the partition stands elsewhere by now the word was about something else: messages counted meanwhile must not be counted again. */
struct tide_start { uint16_t source, partition; uint64_t cursor; bool jump; uint64_t from; };
/* An engine reads the sources from here on, unless another does that has written something within `patience_ms`. release: it does not any more. */
struct tide_claim { uint32_t engine_id; int64_t patience_ms; bool release; };
/* A log's end after an epoch was opened. delivered: decisions on messages below it may have left in a history that is lost; 0: no failover takes anything back. So it is never 0 where one can, also of an empty log. */
struct tide_target { uint16_t source, partition; uint64_t end, delivered; };
static inline uint64_t tide_target_delivered(uint64_t end) { return end ? end : 1; }
struct tide_waive { uint16_t source, partition; int64_t until_ms; };

/* LIMIT (and nothing added) when the entry is full. */
enum tide_err tide_batch_add_sources(struct tide_batch *batch, const struct tide_sources *sources) TIDE_WARN_UNUSED;
enum tide_err tide_batch_add_start(struct tide_batch *batch, const struct tide_start *start) TIDE_WARN_UNUSED;
enum tide_err tide_batch_add_claim(struct tide_batch *batch, const struct tide_claim *claim) TIDE_WARN_UNUSED;
enum tide_err tide_batch_add_targets(struct tide_batch *batch, const struct tide_target *target, uint32_t count) TIDE_WARN_UNUSED;
enum tide_err tide_batch_add_emitted(struct tide_batch *batch, uint64_t number) TIDE_WARN_UNUSED;
enum tide_err tide_batch_add_waive(struct tide_batch *batch, const struct tide_waive *waive) TIDE_WARN_UNUSED;

/* The same as the bytes of a record, for an offer of kind CONTROL. */
void tide_start_encode(const struct tide_start *start, struct tide_buf *out);
void tide_waive_encode(const struct tide_waive *waive, struct tide_buf *out);

/* Errors: CORRUPT, VERSION. `ret` of targets has room for TIDE_PARTITIONS_MAX. */
enum tide_err tide_sources_decode(const struct tide_raw_record *raw, struct tide_sources *ret, struct tide_error *error) TIDE_WARN_UNUSED;
enum tide_err tide_start_decode(const struct tide_raw_record *raw, struct tide_start *ret, struct tide_error *error) TIDE_WARN_UNUSED;
enum tide_err tide_claim_decode(const struct tide_raw_record *raw, struct tide_claim *ret, struct tide_error *error) TIDE_WARN_UNUSED;
enum tide_err tide_targets_decode(const struct tide_raw_record *raw, struct tide_target *ret, uint32_t *ret_count, struct tide_error *error) TIDE_WARN_UNUSED;
enum tide_err tide_emitted_decode(const struct tide_raw_record *raw, uint64_t *ret_number, struct tide_error *error) TIDE_WARN_UNUSED;
enum tide_err tide_waive_decode(const struct tide_raw_record *raw, struct tide_waive *ret, struct tide_error *error) TIDE_WARN_UNUSED;
/* Appends the record's payload: what equality of two declarations is decided by, and what a snapshot keeps. */
void tide_sources_write(const struct tide_sources *sources, struct tide_buf *out);

#endif
