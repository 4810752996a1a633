/* Encoding entries (batch.h draws the bytes). Encoding asserts what decoding (entry.c) checks as an error. */
#include "core/batch.h"

#define HEADER_BYTES 48
#define CRC_BYTES 4
#define KIND_MONEY 0x82
#define KIND_KEY_ALT 0x83

void tide_batch_begin(struct tide_batch *batch, struct tide_buf *out, const struct tide_entry_header *header, const struct tide_cursor_part *part,
                      uint16_t part_count) {
  TIDE_CHECK(part_count <= TIDE_PARTS_MAX);
  batch->out = out;
  batch->header = *header;
  batch->header.cursor_count = part_count;
  batch->header.record_count = 0;
  tide_buf_clear(out);
  tide_buf_put(out, "TDE1", 4);
  tide_put_u16(out, TIDE_ENTRY_FORMAT);
  tide_put_u16(out, TIDE_FOLD_VERSION);
  tide_put_u32(out, header->engine_id);
  tide_put_u32(out, header->flags);
  tide_put_u64(out, header->fence_nonce);
  tide_put_u64(out, header->attempt_nonce);
  tide_put_u64(out, (uint64_t)header->commit_ms);
  tide_put_u32(out, header->generation);
  tide_put_u16(out, part_count);
  tide_put_u16(out, 0); /* records: patched by end */
  for (uint16_t i = 0; i < part_count; i++) {
    tide_put_u16(out, part[i].source);
    tide_put_u16(out, part[i].partition);
    tide_put_u32(out, 0);
    tide_put_u64(out, part[i].from);
    tide_put_u64(out, part[i].next);
    tide_put_u64(out, (uint64_t)part[i].seen);
    tide_put_u64(out, (uint64_t)part[i].drained);
    tide_put_u64(out, (uint64_t)part[i].delay);
    tide_put_u64(out, part[i].checksum);
  }
}

/* The payload is written in place behind its length (3 bytes: an entry is at most 1 MiB): no second copy of every record. */
#define LENGTH_BYTES 3

static size_t record_begin(struct tide_batch *batch, uint8_t type, uint8_t flags) {
  tide_put_u8(batch->out, type);
  tide_put_u8(batch->out, flags);
  size_t at = batch->out->len;
  tide_buf_put(batch->out, "\0\0\0", LENGTH_BYTES);
  return at;
}

static enum tide_err record_end(struct tide_batch *batch, size_t at) {
  struct tide_buf *out = batch->out;
  size_t len = out->len - at - LENGTH_BYTES;
  if (out->len + CRC_BYTES > TIDE_ENTRY_MAX || batch->header.record_count == TIDE_BATCH_RECORDS_MAX) {
    out->len = at - 2;
    return TIDE_E_LIMIT;
  }
  out->ptr[at] = (char)(uint8_t)len;
  out->ptr[at + 1] = (char)(uint8_t)(len >> 8);
  out->ptr[at + 2] = (char)(uint8_t)(len >> 16);
  batch->header.record_count++;
  return TIDE_OK;
}

static void put_fields(struct tide_buf *out, const struct tide_spec *spec, const struct tide_record *record) {
  uint64_t present = 0;
  for (uint32_t f = 0; f < spec->field_count; f++)
    if (record->field[f].kind != TIDE_D_NONE) present |= UINT64_C(1) << f;
  tide_put_u64(out, present);
  for (uint32_t f = 0; f < spec->field_count; f++) {
    const struct tide_datum *datum = &record->field[f];
    switch ((enum tide_datum_kind)datum->kind) {
      case TIDE_D_NONE: break;
      case TIDE_D_TEXT:
        TIDE_CHECK(datum->text.len > 0 && datum->text.len <= UINT16_MAX && !spec->field[f].secret);
        tide_put_u8(out, TIDE_D_TEXT);
        tide_put_span(out, datum->text);
        break;
      case TIDE_D_INT:
        if (spec->field[f].type == TIDE_F_MONEY) {
          tide_put_u8(out, KIND_MONEY);
          tide_put_zigzag(out, datum->num);
          tide_put_u8(out, datum->exponent);
          tide_buf_put(out, datum->currency, 3);
        } else {
          tide_put_u8(out, TIDE_D_INT);
          tide_put_zigzag(out, datum->num);
        }
        break;
      case TIDE_D_KEY: {
        bool alt = datum->alt.lo || datum->alt.hi;
        tide_put_u8(out, alt ? KIND_KEY_ALT : TIDE_D_KEY);
        tide_put_u64(out, datum->key.lo);
        tide_put_u64(out, datum->key.hi);
        if (alt) {
          tide_put_u64(out, datum->alt.lo);
          tide_put_u64(out, datum->alt.hi);
        }
        break;
      }
    }
  }
}

static void put_outcome(struct tide_buf *out, const struct tide_outcome *outcome) {
  tide_put_varint(out, outcome->set);
  tide_put_u8(out, outcome->result);
  tide_put_u8(out, outcome->reversed);
  tide_put_u8(out, outcome->refunded);
  tide_put_u8(out, outcome->disputed);
  tide_put_u8(out, outcome->label);
  tide_buf_put(out, outcome->reason, sizeof outcome->reason);
  tide_put_zigzag(out, outcome->amount_now);
  tide_put_u8(out, outcome->exponent);
  tide_buf_put(out, outcome->currency, 3);
}

enum tide_err tide_batch_add(struct tide_batch *batch, const struct tide_spec *spec, const struct tide_record *record) {
  struct tide_buf *out = batch->out;
  size_t at = record_begin(batch, record->type, record->flags);
  tide_put_varint(out, record->source);
  tide_put_varint(out, record->partition);
  tide_put_varint(out, record->offset);
  tide_put_zigzag(out, record->time.ms);
  tide_put_u32(out, record->key_id);
  switch ((enum tide_record_type)record->type) {
    case TIDE_REC_EVENT: put_fields(out, spec, record); break;
    case TIDE_REC_OUTCOME:
      put_fields(out, spec, record);
      put_outcome(out, &record->outcome);
      break;
    case TIDE_REC_RATE:
      tide_buf_put(out, record->rate.currency, 3);
      tide_put_zigzag(out, record->rate.rate_e10);
      break;
    case TIDE_REC_LIST:
      put_fields(out, spec, record);
      tide_put_varint(out, record->list.list);
      tide_put_zigzag(out, record->list.expires_ms);
      tide_put_u8(out, record->list.remove);
      break;
    case TIDE_REC_HEARTBEAT: break;
    default: TIDE_CHECK(!"control records have functions of their own; profiles are refused when the feature file is parsed");
  }
  return record_end(batch, at);
}

enum tide_err tide_batch_add_config(struct tide_batch *batch, const struct tide_settings *settings, struct tide_span features) {
  struct tide_buf text = TIDE_BUF_INIT;
  tide_settings_write(settings, &text);
  size_t at = record_begin(batch, TIDE_REC_CONFIG, 0);
  tide_put_span(batch->out, tide_buf_span(&text));
  tide_put_span(batch->out, features);
  tide_buf_release(&text);
  return record_end(batch, at);
}

enum tide_err tide_batch_add_digest(struct tide_batch *batch, const struct tide_digest *digest) {
  size_t at = record_begin(batch, TIDE_REC_DIGEST, 0);
  tide_put_varint(batch->out, digest->decisions);
  tide_put_u64(batch->out, digest->digest.lo);
  tide_put_u64(batch->out, digest->digest.hi);
  tide_put_u64(batch->out, digest->state_hash);
  return record_end(batch, at);
}

enum tide_err tide_batch_add_fence(struct tide_batch *batch, const struct tide_fence *fence) {
  size_t at = record_begin(batch, TIDE_REC_FENCE, 0);
  tide_put_u64(batch->out, fence->nonce);
  tide_put_u64(batch->out, fence->epoch);
  tide_put_u32(batch->out, fence->engine_id);
  return record_end(batch, at);
}

void tide_batch_end(struct tide_batch *batch) {
  struct tide_buf *out = batch->out;
  TIDE_CHECK(out->len >= HEADER_BYTES && out->len + CRC_BYTES <= TIDE_ENTRY_MAX);
  out->ptr[46] = (char)(uint8_t)batch->header.record_count;
  out->ptr[47] = (char)(uint8_t)(batch->header.record_count >> 8);
  tide_put_u32(out, tide_crc32c(0, out->ptr, out->len));
}
