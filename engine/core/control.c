/* Control records of ingestion as bytes (control.h has the drawing).
 *
 * They are rare and small, so they are built in a buffer and added as a whole; decoding checks everything, because an entry may come from a damaged disk or from
 * a newer version. */
#include "core/control.h"

static enum tide_err corrupt(struct tide_error *error, const char *what) {
  return tide_fail(error, TIDE_E_CORRUPT, "journal record: %s; the entry is damaged", what);
}

static enum tide_err add(struct tide_batch *batch, uint8_t type, struct tide_buf *payload) {
  enum tide_err err = tide_batch_add_control(batch, type, tide_buf_span(payload));
  tide_buf_release(payload);
  return err;
}

/* The reader of a record of this type; what is left unread is the caller's to refuse. */
static enum tide_err begin(const struct tide_raw_record *raw, unsigned type, struct tide_reader *ret, struct tide_error *error) {
  TIDE_CHECK(raw->type == type);
  if (raw->flags) return tide_fail(error, TIDE_E_VERSION, "journal record: unknown flags %u", raw->flags);
  *ret = tide_reader_of(raw->payload);
  return TIDE_OK;
}

static enum tide_err end(const struct tide_reader *r, struct tide_error *error) {
  return r->bad || r->ptr != r->end ? corrupt(error, "a control record's length and its content disagree") : TIDE_OK;
}

static uint8_t get_flags(struct tide_reader *r, uint8_t known) {
  struct tide_span byte = tide_get_bytes(r, 1);
  if (r->bad) return 0;
  uint8_t flags = (uint8_t)byte.ptr[0];
  if (flags & ~known) r->bad = true;
  return flags;
}

static void put_flags(struct tide_buf *out, unsigned flags) {
  uint8_t byte = (uint8_t)flags;
  tide_buf_put(out, &byte, 1);
}

void tide_sources_write(const struct tide_sources *sources, struct tide_buf *out) {
  put_flags(out, (sources->scores ? 1u : 0) | (sources->features ? 2u : 0));
  tide_put_varint(out, sources->count);
  for (uint32_t i = 0; i < sources->count; i++) {
    const struct tide_source_info *source = &sources->source[i];
    tide_put_u16(out, source->number);
    tide_put_span(out, (struct tide_span){source->name, strlen(source->name)});
    put_flags(out, (source->gates ? 1u : 0) | (source->keyed ? 2u : 0));
    tide_put_zigzag(out, source->out_of_orderness_ms);
    tide_put_zigzag(out, source->silence_ms);
  }
}

enum tide_err tide_batch_add_sources(struct tide_batch *batch, const struct tide_sources *sources) {
  struct tide_buf payload = TIDE_BUF_INIT;
  tide_sources_write(sources, &payload);
  return add(batch, TIDE_REC_SOURCES, &payload);
}

static void get_source(struct tide_reader *r, struct tide_source_info *source) {
  *source = (struct tide_source_info){.number = tide_get_u16(r)};
  struct tide_span name = tide_get_span(r);
  uint8_t flags = get_flags(r, 3);
  source->out_of_orderness_ms = tide_get_zigzag(r);
  source->silence_ms = tide_get_zigzag(r);
  if (r->bad || name.len < 1 || name.len >= TIDE_SOURCE_NAME || !source->number || source->out_of_orderness_ms < 0 ||
      source->silence_ms < 0) {
    r->bad = true;
    return;
  }
  memcpy(source->name, name.ptr, name.len);
  source->gates = flags & 1;
  source->keyed = flags & 2;
}

enum tide_err tide_sources_decode(const struct tide_raw_record *raw, struct tide_sources *ret, struct tide_error *error) {
  struct tide_reader r;
  enum tide_err err = begin(raw, TIDE_REC_SOURCES, &r, error);
  if (err) return err;
  struct tide_sources sources = {0};
  uint8_t flags = get_flags(&r, 3);
  sources.scores = flags & 1;
  sources.features = flags & 2;
  uint64_t count = tide_get_varint(&r);
  if (r.bad || count > TIDE_SOURCES_MAX) return corrupt(error, "a number of sources that cannot be");
  sources.count = (uint32_t)count;
  for (uint32_t i = 0; i < count; i++) {
    get_source(&r, &sources.source[i]);
    for (uint32_t k = 0; k < i; k++) r.bad |= sources.source[k].number == sources.source[i].number;
  }
  err = end(&r, error);
  if (!err) *ret = sources;
  return err;
}

/* A record of its own: type, no flags, length in three bytes, payload. */
static void encode(uint8_t type, struct tide_buf *payload, struct tide_buf *out) {
  uint8_t head[5] = {type, 0, (uint8_t)payload->len, (uint8_t)(payload->len >> 8), (uint8_t)(payload->len >> 16)};
  tide_buf_put(out, head, sizeof head);
  tide_buf_put(out, payload->ptr, payload->len);
  tide_buf_release(payload);
}

static void start_write(const struct tide_start *start, struct tide_buf *out) {
  tide_put_u16(out, start->source);
  tide_put_u16(out, start->partition);
  tide_put_u64(out, start->cursor);
  put_flags(out, start->jump);
  if (start->jump) tide_put_u64(out, start->from);
}

enum tide_err tide_batch_add_start(struct tide_batch *batch, const struct tide_start *start) {
  struct tide_buf payload = TIDE_BUF_INIT;
  start_write(start, &payload);
  return add(batch, TIDE_REC_START, &payload);
}

void tide_start_encode(const struct tide_start *start, struct tide_buf *out) {
  struct tide_buf payload = TIDE_BUF_INIT;
  start_write(start, &payload);
  encode(TIDE_REC_START, &payload, out);
}

enum tide_err tide_start_decode(const struct tide_raw_record *raw, struct tide_start *ret, struct tide_error *error) {
  struct tide_reader r;
  enum tide_err err = begin(raw, TIDE_REC_START, &r, error);
  if (err) return err;
  struct tide_start start = {.source = tide_get_u16(&r)};
  start.partition = tide_get_u16(&r);
  start.cursor = tide_get_u64(&r);
  start.jump = get_flags(&r, 1);
  if (start.jump) start.from = tide_get_u64(&r);
  err = end(&r, error);
  if (!err && (!start.source || start.partition == TIDE_PARTITION_ALL)) err = corrupt(error, "a start of no partition");
  if (!err) *ret = start;
  return err;
}

enum tide_err tide_batch_add_claim(struct tide_batch *batch, const struct tide_claim *claim) {
  struct tide_buf payload = TIDE_BUF_INIT;
  tide_put_u32(&payload, claim->engine_id);
  tide_put_zigzag(&payload, claim->patience_ms);
  put_flags(&payload, claim->release);
  return add(batch, TIDE_REC_CLAIM, &payload);
}

enum tide_err tide_claim_decode(const struct tide_raw_record *raw, struct tide_claim *ret, struct tide_error *error) {
  struct tide_reader r;
  enum tide_err err = begin(raw, TIDE_REC_CLAIM, &r, error);
  if (err) return err;
  struct tide_claim claim = {.engine_id = tide_get_u32(&r)};
  claim.patience_ms = tide_get_zigzag(&r);
  claim.release = get_flags(&r, 1);
  err = end(&r, error);
  if (!err && (!claim.engine_id || claim.patience_ms < 0)) err = corrupt(error, "a claim of no engine");
  if (!err) *ret = claim;
  return err;
}

enum tide_err tide_batch_add_targets(struct tide_batch *batch, const struct tide_target *target, uint32_t count) {
  struct tide_buf payload = TIDE_BUF_INIT;
  tide_put_varint(&payload, count);
  for (uint32_t i = 0; i < count; i++) {
    tide_put_u16(&payload, target[i].source);
    tide_put_u16(&payload, target[i].partition);
    tide_put_u64(&payload, target[i].end);
    tide_put_u64(&payload, target[i].delivered);
  }
  return add(batch, TIDE_REC_TARGETS, &payload);
}

enum tide_err tide_targets_decode(const struct tide_raw_record *raw, struct tide_target *ret, uint32_t *ret_count,
                                  struct tide_error *error) {
  struct tide_reader r;
  enum tide_err err = begin(raw, TIDE_REC_TARGETS, &r, error);
  if (err) return err;
  uint64_t count = tide_get_varint(&r);
  if (r.bad || count > TIDE_PARTITIONS_MAX) return corrupt(error, "a number of targets that cannot be");
  for (uint32_t i = 0; i < count; i++) {
    ret[i].source = tide_get_u16(&r);
    ret[i].partition = tide_get_u16(&r);
    ret[i].end = tide_get_u64(&r);
    ret[i].delivered = tide_get_u64(&r);
    r.bad |= !ret[i].source || ret[i].partition == TIDE_PARTITION_ALL;
  }
  err = end(&r, error);
  if (!err) *ret_count = (uint32_t)count;
  return err;
}

enum tide_err tide_batch_add_emitted(struct tide_batch *batch, uint64_t number) {
  struct tide_buf payload = TIDE_BUF_INIT;
  tide_put_varint(&payload, number);
  return add(batch, TIDE_REC_EMITTED, &payload);
}

enum tide_err tide_emitted_decode(const struct tide_raw_record *raw, uint64_t *ret_number, struct tide_error *error) {
  struct tide_reader r;
  enum tide_err err = begin(raw, TIDE_REC_EMITTED, &r, error);
  if (err) return err;
  uint64_t number = tide_get_varint(&r);
  err = end(&r, error);
  if (!err) *ret_number = number;
  return err;
}

static void waive_write(const struct tide_waive *waive, struct tide_buf *out) {
  tide_put_u16(out, waive->source);
  tide_put_u16(out, waive->partition);
  tide_put_zigzag(out, waive->until_ms);
}

enum tide_err tide_batch_add_waive(struct tide_batch *batch, const struct tide_waive *waive) {
  struct tide_buf payload = TIDE_BUF_INIT;
  waive_write(waive, &payload);
  return add(batch, TIDE_REC_WAIVE, &payload);
}

void tide_waive_encode(const struct tide_waive *waive, struct tide_buf *out) {
  struct tide_buf payload = TIDE_BUF_INIT;
  waive_write(waive, &payload);
  encode(TIDE_REC_WAIVE, &payload, out);
}

enum tide_err tide_waive_decode(const struct tide_raw_record *raw, struct tide_waive *ret, struct tide_error *error) {
  struct tide_reader r;
  enum tide_err err = begin(raw, TIDE_REC_WAIVE, &r, error);
  if (err) return err;
  struct tide_waive waive = {.source = tide_get_u16(&r)};
  waive.partition = tide_get_u16(&r);
  waive.until_ms = tide_get_zigzag(&r);
  err = end(&r, error);
  if (!err && !waive.source) err = corrupt(error, "a waiver of no source");
  if (!err) *ret = waive;
  return err;
}
