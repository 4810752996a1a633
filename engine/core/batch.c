/* Building journal entries (layout: batch.h).
 *
 * The hot path of ingestion: nothing is allocated per record and only texts are checked for room. `begin` reserves a whole entry plus
 * the largest fixed part that one record can have; a record is written behind the end, its length put in front when it is known, and
 * it is taken back by not moving `len` if the entry grew too long. */
#include "core/batch.h"

#include "base/hash.h"
#include "core/batch_record.h"
#include "core/batch_wire.h"

enum {
  /* common 40, presence 8, 64 fields of at most 1 + 32, outcome 40: what a record takes without its texts */
  RECORD_FIXED_MAX = 4096,
  RECORD_HEAD = TIDE_RECORD_HEAD_BYTES,
  TEXTS_COMMON = 4096 /* what nearly all records have room for their texts in */
};
static const size_t payload_end_max = TIDE_ENTRY_MAX - TIDE_ENTRY_CRC_BYTES;

static uint8_t *base_of(const struct tide_batch *batch) { return (uint8_t *)batch->out->ptr; }

void tide_batch_begin(struct tide_batch *batch, struct tide_buf *out, const struct tide_entry_header *header,
                      const struct tide_cursor_part *part, uint16_t part_count) {
  TIDE_CHECK(part_count <= TIDE_PARTS_MAX);
  *batch = (struct tide_batch){.out = out, .header = *header};
  batch->header.format = TIDE_ENTRY_FORMAT;
  batch->header.fold = TIDE_FOLD_VERSION;
  batch->header.cursor_count = part_count;
  batch->header.record_count = 0;
  tide_buf_clear(out);
  tide_buf_reserve(out, TIDE_ENTRY_MAX + RECORD_FIXED_MAX);
  uint8_t *p = base_of(batch);
  p = wire_put_bytes(p, "TDE1", 4);
  p = wire_put_u16(p, batch->header.format);
  p = wire_put_u16(p, batch->header.fold);
  p = wire_put_u32(p, header->engine_id);
  p = wire_put_u32(p, header->flags);
  p = wire_put_u64(p, header->fence_nonce);
  p = wire_put_u64(p, header->attempt_nonce);
  p = wire_put_u64(p, (uint64_t)header->commit_ms);
  p = wire_put_u32(p, header->generation);
  p = wire_put_u16(p, part_count);
  p = wire_put_u16(p, 0); /* patched by end */
  for (unsigned i = 0; i < part_count; i++) {
    TIDE_CHECK(part[i].from <= part[i].next);
    p = wire_put_u16(p, part[i].source);
    p = wire_put_u16(p, part[i].partition);
    p = wire_put_u32(p, 0);
    p = wire_put_u64(p, part[i].from);
    p = wire_put_u64(p, part[i].next);
    p = wire_put_u64(p, (uint64_t)part[i].seen);
    p = wire_put_u64(p, (uint64_t)part[i].drained);
    p = wire_put_u64(p, (uint64_t)part[i].delay);
    p = wire_put_u64(p, part[i].checksum);
  }
  out->len = (size_t)(p - base_of(batch));
  TIDE_CHECK(out->len == TIDE_ENTRY_HEADER_BYTES + (size_t)part_count * TIDE_PART_BYTES);
}

static uint8_t *put_currency(uint8_t *p, const char currency[4]) { return wire_put_bytes(p, currency, TIDE_CURRENCY_BYTES); }

/* Returns NULL when a text does not fit before `limit`. */
static uint8_t *put_text(uint8_t *p, const uint8_t *limit, struct tide_span text) {
  if (p >= limit || (size_t)(limit - p) < text.len) {
    return NULL;
  }
  p = wire_put_varint(p, text.len);
  return wire_put_short(p, text.ptr, text.len);
}

static uint8_t *put_key(uint8_t *p, struct tide_u128 key) {
  p = wire_put_u64(p, key.lo);
  return wire_put_u64(p, key.hi);
}

static uint8_t *put_datum(uint8_t *p, const uint8_t *limit, const struct tide_datum *datum) {
  bool money = datum->kind == TIDE_D_INT && datum->currency[0] != '\0';
  bool alt = datum->kind == TIDE_D_KEY && (datum->alt.lo | datum->alt.hi) != 0;
  *p++ = (uint8_t)(money || alt ? WIRE_LONG | datum->kind : datum->kind);
  switch (datum->kind) {
    case TIDE_D_TEXT: return put_text(p, limit, datum->text);
    case TIDE_D_INT:
      p = wire_put_zigzag(p, datum->num);
      if (money) {
        *p++ = datum->exponent;
        p = put_currency(p, datum->currency);
      }
      return p;
    default: p = put_key(p, datum->key); return alt ? put_key(p, datum->alt) : p;
  }
}

/* tide_datum_misfit, of a short ASCII text, a plain number and a hash in place. */
static inline bool fits(const struct tide_field *field, const struct tide_datum *datum) {
  if (datum->kind == TIDE_D_KEY) return field->secret;
  if (datum->kind == TIDE_D_INT && field->type == TIDE_F_NUMBER) return !field->secret && datum->currency[0] == '\0';
  bool is_short = datum->kind == TIDE_D_TEXT && datum->text.len - 1 < 0x7f && field->type == TIDE_F_TEXT && !field->secret;
  return (is_short && tide_is_ascii((const uint8_t *)datum->text.ptr, datum->text.len)) || tide_datum_misfit(field, datum) == NULL;
}

static uint8_t *put_fields(uint8_t *p, const uint8_t *limit, const struct tide_spec *spec, const struct tide_record *record) {
  TIDE_CHECK(spec->field_count <= TIDE_FIELDS_MAX);
  uint8_t *presence_at = p;
  uint64_t presence = 0;
  p += 8;
  for (uint32_t i = 0; i < spec->field_count; i++) {
    const struct tide_datum *datum = &record->field[i];
    if (datum->kind == TIDE_D_NONE) {
      continue;
    }
    TIDE_CHECK(fits(&spec->field[i], datum));
    presence |= UINT64_C(1) << i;
    p = put_datum(p, limit, datum);
    if (!p) {
      return NULL;
    }
  }
  wire_put_u64(presence_at, presence);
  return p;
}

static uint8_t *put_outcome(uint8_t *p, const struct tide_outcome *outcome) {
  p = wire_put_varint(p, outcome->set);
  *p++ = outcome->result;
  *p++ = outcome->reversed;
  *p++ = outcome->refunded;
  *p++ = outcome->disputed;
  *p++ = outcome->label;
  p = wire_put_bytes(p, outcome->reason, sizeof outcome->reason);
  p = wire_put_zigzag(p, outcome->amount_now);
  *p++ = outcome->exponent;
  return put_currency(p, outcome->currency);
}

static uint8_t *put_payload(uint8_t *p, const uint8_t *limit, const struct tide_spec *spec, const struct tide_record *record) {
  p = wire_put_varint(p, record->source);
  p = wire_put_varint(p, record->partition);
  p = wire_put_varint(p, record->offset);
  p = wire_put_zigzag(p, record->time.ms);
  p = wire_put_u32(p, record->key_id);
  if (tide_record_type_has_fields(record->type)) {
    p = put_fields(p, limit, spec, record);
  }
  if (!p) {
    return NULL;
  }
  switch (record->type) {
    case TIDE_REC_OUTCOME: return put_outcome(p, &record->outcome);
    case TIDE_REC_RATE: p = put_currency(p, record->rate.currency); return wire_put_zigzag(p, record->rate.rate_e10);
    case TIDE_REC_LIST:
      p = wire_put_varint(p, record->list.list);
      p = wire_put_zigzag(p, record->list.expires_ms);
      *p++ = record->list.remove ? 1 : 0;
      return p;
    default: return p;
  }
}

/* A record whose payload stands behind its head becomes part of the entry, or LIMIT and the entry is as before. */
static enum tide_err commit_record(struct tide_batch *batch, uint8_t *payload, const uint8_t *end) {
  if (!end || batch->header.record_count == TIDE_BATCH_RECORDS_MAX || (size_t)(end - base_of(batch)) > payload_end_max) {
    return TIDE_E_LIMIT;
  }
  size_t len = (size_t)(end - payload);
  uint8_t *length = payload - TIDE_RECORD_LENGTH_BYTES;
  for (unsigned i = 0; i < TIDE_RECORD_LENGTH_BYTES; i++) {
    length[i] = (uint8_t)(len >> (8 * i));
  }
  batch->out->len = (size_t)(end - base_of(batch));
  batch->header.record_count++;
  return TIDE_OK;
}

/* Writes type and flags and returns where the payload goes. */
static uint8_t *start_record(const struct tide_batch *batch, unsigned type, unsigned flags) {
  TIDE_CHECK(batch->out->cap >= TIDE_ENTRY_MAX + RECORD_FIXED_MAX && batch->out->len >= TIDE_ENTRY_HEADER_BYTES);
  uint8_t *p = base_of(batch) + batch->out->len;
  p[0] = (uint8_t)type;
  p[1] = (uint8_t)flags;
  return p + RECORD_HEAD;
}

enum tide_err tide_batch_add(struct tide_batch *batch, const struct tide_spec *spec, const struct tide_record *record) {
  TIDE_CHECK(tide_record_type_is_data(record->type) && (record->flags & ~TIDE_REC_FLAGS) == 0);
  TIDE_CHECK(tide_record_misfit(spec->list_count, record) == NULL);
  uint8_t *payload = start_record(batch, record->type, record->flags);
  return commit_record(batch, payload, put_payload(payload, base_of(batch) + payload_end_max, spec, record));
}

/* The payload behind what `out` holds and a head, which begins at *ret; NULL: a text ends more than `room` bytes behind it. */
static const uint8_t *encode_into(const struct tide_spec *spec, const struct tide_record *record, size_t room, struct tide_buf *out,
                                  uint8_t **ret) {
  tide_buf_reserve(out, RECORD_FIXED_MAX + room);
  *ret = (uint8_t *)out->ptr + out->len;
  uint8_t *payload = *ret + RECORD_HEAD;
  return put_payload(payload, payload + room - RECORD_HEAD, spec, record);
}

enum tide_err tide_record_encode(const struct tide_spec *spec, const struct tide_record *record, struct tide_buf *out) {
  TIDE_CHECK(tide_record_type_is_data(record->type) && (record->flags & ~TIDE_REC_FLAGS) == 0);
  TIDE_CHECK(tide_record_misfit(spec->list_count, record) == NULL);
  uint8_t *p;
  const uint8_t *end = encode_into(spec, record, TEXTS_COMMON, out, &p);
  if (!end) {
    size_t room = RECORD_FIXED_MAX;
    for (uint32_t i = 0; i < spec->field_count; i++)
      if (record->field[i].kind == TIDE_D_TEXT) room += record->field[i].text.len;
    end = encode_into(spec, record, room, out, &p);
  }
  const uint8_t *payload = p + RECORD_HEAD;
  if (!end || (size_t)(end - p) > payload_end_max - TIDE_ENTRY_HEADER_BYTES) return TIDE_E_LIMIT;
  size_t len = (size_t)(end - payload);
  *p++ = record->type;
  *p++ = record->flags;
  for (unsigned i = 0; i < TIDE_RECORD_LENGTH_BYTES; i++) *p++ = (uint8_t)(len >> (8 * i));
  out->len += RECORD_HEAD + len;
  return TIDE_OK;
}

enum tide_err tide_batch_add_encoded(struct tide_batch *batch, struct tide_span records, unsigned count) {
  if (batch->header.record_count + count > TIDE_BATCH_RECORDS_MAX || batch->out->len + records.len > payload_end_max) return TIDE_E_LIMIT;
  tide_buf_put(batch->out, records.ptr, records.len);
  batch->header.record_count = (uint16_t)(batch->header.record_count + count);
  return TIDE_OK;
}

enum tide_err tide_batch_add_config(struct tide_batch *batch, const struct tide_settings *settings, struct tide_span features) {
  struct tide_buf text = TIDE_BUF_INIT;
  tide_settings_write(settings, &text);
  uint8_t *payload = start_record(batch, TIDE_REC_CONFIG, 0);
  const uint8_t *limit = base_of(batch) + payload_end_max;
  uint8_t *p = put_text(payload, limit, tide_buf_span(&text));
  if (p) {
    p = put_text(p, limit, features);
  }
  tide_buf_release(&text);
  return commit_record(batch, payload, p);
}

enum tide_err tide_batch_add_digest(struct tide_batch *batch, const struct tide_digest *digest) {
  uint8_t *payload = start_record(batch, TIDE_REC_DIGEST, 0);
  uint8_t *p = wire_put_varint(payload, digest->decisions);
  p = put_key(p, digest->digest);
  return commit_record(batch, payload, wire_put_u64(p, digest->state_hash));
}

enum tide_err tide_batch_add_check(struct tide_batch *batch, const struct tide_check_point *point) {
  uint8_t *payload = start_record(batch, TIDE_REC_CHECK, 0);
  uint8_t *p = wire_put_varint(payload, point->position.epoch);
  p = wire_put_varint(p, point->position.seq);
  p = wire_put_varint(p, point->decisions);
  return commit_record(batch, payload, put_key(p, point->digest));
}

enum tide_err tide_batch_add_fence(struct tide_batch *batch, const struct tide_fence *fence) {
  uint8_t *payload = start_record(batch, TIDE_REC_FENCE, 0);
  uint8_t *p = wire_put_u64(payload, fence->nonce);
  p = wire_put_u64(p, fence->epoch);
  p = wire_put_u32(p, fence->engine_id);
  return commit_record(batch, payload, put_key(p, fence->session));
}

enum tide_err tide_batch_add_control(struct tide_batch *batch, uint8_t type, struct tide_span bytes) {
  uint8_t *payload = start_record(batch, type, 0);
  if (bytes.len > payload_end_max - batch->out->len - RECORD_HEAD) return TIDE_E_LIMIT;
  memcpy(payload, bytes.ptr, bytes.len);
  return commit_record(batch, payload, payload + bytes.len);
}

void tide_batch_end(struct tide_batch *batch) {
  struct tide_buf *out = batch->out;
  TIDE_CHECK(out->len >= TIDE_ENTRY_HEADER_BYTES && out->len <= payload_end_max);
  wire_put_u16(base_of(batch) + TIDE_ENTRY_HEADER_BYTES - 2, batch->header.record_count);
  wire_put_u32(base_of(batch) + out->len, tide_crc32c(0, out->ptr, out->len));
  out->len += TIDE_ENTRY_CRC_BYTES;
}
