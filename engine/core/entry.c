/* Decoding entries (batch.h draws the bytes). An entry may come from a disk or a network: every length, kind and enumeration is checked, an
 * unknown version or type stops, and nothing is allocated from a length that was read. */
#include "core/batch.h"

#define HEADER_BYTES 48
#define CRC_BYTES 4
#define KIND_MONEY 0x82
#define KIND_KEY_ALT 0x83

static enum tide_err corrupt(struct tide_error *error, const char *what) {
  return tide_fail(error, TIDE_E_CORRUPT, "the journal entry is broken: %s", what);
}

enum tide_err tide_entry_open(struct tide_entry_reader *reader, struct tide_span entry, struct tide_cursor_part *part, struct tide_error *error) {
  if (entry.len < HEADER_BYTES + CRC_BYTES || entry.len > TIDE_ENTRY_MAX) return corrupt(error, "impossible length");
  if (memcmp(entry.ptr, "TDE1", 4) != 0) return corrupt(error, "it does not begin with TDE1");
  struct tide_reader tail = tide_reader_of((struct tide_span){entry.ptr + entry.len - CRC_BYTES, CRC_BYTES});
  struct tide_reader at = tide_reader_of((struct tide_span){entry.ptr + 4, entry.len - 4 - CRC_BYTES});
  struct tide_entry_header header = {0};
  header.format = tide_get_u16(&at);
  header.fold = tide_get_u16(&at);
  if (tide_get_u32(&tail) != tide_crc32c(0, entry.ptr, entry.len - CRC_BYTES)) return corrupt(error, "its CRC does not match");
  if (header.format != TIDE_ENTRY_FORMAT || header.fold != TIDE_FOLD_VERSION)
    return tide_fail(error, TIDE_E_VERSION, "the journal entry has format %u and fold version %u, this version knows %u and %u: use the release that wrote it or a newer one",
                     header.format, header.fold, TIDE_ENTRY_FORMAT, TIDE_FOLD_VERSION);
  header.engine_id = tide_get_u32(&at);
  header.flags = tide_get_u32(&at);
  header.fence_nonce = tide_get_u64(&at);
  header.attempt_nonce = tide_get_u64(&at);
  header.commit_ms = (int64_t)tide_get_u64(&at);
  header.generation = tide_get_u32(&at);
  header.cursor_count = tide_get_u16(&at);
  header.record_count = tide_get_u16(&at);
  if (header.flags) return tide_fail(error, TIDE_E_VERSION, "the journal entry has flags %x that this version does not know", header.flags);
  if (header.cursor_count > TIDE_PARTS_MAX) return corrupt(error, "too many cursor parts");
  for (uint16_t i = 0; i < header.cursor_count; i++) {
    part[i].source = tide_get_u16(&at);
    part[i].partition = tide_get_u16(&at);
    (void)tide_get_u32(&at);
    part[i].from = tide_get_u64(&at);
    part[i].next = tide_get_u64(&at);
    part[i].seen = (int64_t)tide_get_u64(&at);
    part[i].drained = (int64_t)tide_get_u64(&at);
    part[i].delay = (int64_t)tide_get_u64(&at);
    part[i].checksum = tide_get_u64(&at);
  }
  if (at.bad) return corrupt(error, "its cursor parts are cut off");
  *reader = (struct tide_entry_reader){.header = header, .part = part, .at = at, .index = UINT32_MAX, .left = header.record_count};
  return TIDE_OK;
}

enum tide_err tide_entry_next(struct tide_entry_reader *reader, struct tide_raw_record *ret, struct tide_error *error) {
  if (!reader->left) return reader->at.ptr == reader->at.end ? TIDE_E_END : corrupt(error, "bytes behind the last record");
  struct tide_raw_record raw;
  raw.type = tide_get_u8(&reader->at);
  raw.flags = tide_get_u8(&reader->at);
  size_t len = tide_get_u16(&reader->at);
  len |= (size_t)tide_get_u8(&reader->at) << 16;
  raw.payload = tide_get_bytes(&reader->at, len);
  if (reader->at.bad) return corrupt(error, "a record is cut off");
  reader->left--;
  reader->index++;
  *ret = raw;
  return TIDE_OK;
}

static bool get_currency(struct tide_reader *at, char currency[4]) {
  struct tide_span code = tide_get_bytes(at, 3);
  if (at->bad) return false;
  memcpy(currency, code.ptr, 3);
  currency[3] = 0;
  return true;
}

static bool get_datum(struct tide_reader *at, const struct tide_field *field, struct tide_datum *ret) {
  uint8_t kind = tide_get_u8(at);
  switch (kind) {
    case TIDE_D_TEXT:
      ret->kind = TIDE_D_TEXT;
      ret->text = tide_get_span(at);
      return field->type == TIDE_F_TEXT && !field->secret && ret->text.len > 0 && ret->text.len <= UINT16_MAX;
    case TIDE_D_INT:
      ret->kind = TIDE_D_INT;
      ret->num = tide_get_zigzag(at);
      return field->type == TIDE_F_NUMBER || field->type == TIDE_F_TIME || (field->type == TIDE_F_BOOL && (ret->num == 0 || ret->num == 1));
    case KIND_MONEY:
      ret->kind = TIDE_D_INT;
      ret->num = tide_get_zigzag(at);
      ret->exponent = tide_get_u8(at);
      return field->type == TIDE_F_MONEY && ret->exponent <= 4 && ret->num >= 0 && get_currency(at, ret->currency);
    case TIDE_D_KEY:
    case KIND_KEY_ALT:
      ret->kind = TIDE_D_KEY;
      ret->key.lo = tide_get_u64(at);
      ret->key.hi = tide_get_u64(at);
      ret->alt = (struct tide_u128){0, 0};
      if (kind == KIND_KEY_ALT) {
        ret->alt.lo = tide_get_u64(at);
        ret->alt.hi = tide_get_u64(at);
      }
      return field->secret;
    default: return false;
  }
}

static bool get_fields(struct tide_reader *at, const struct tide_spec *spec, struct tide_record *ret) {
  uint64_t present = tide_get_u64(at);
  if (spec->field_count < 64 && present >> spec->field_count) return false;
  for (uint32_t f = 0; f < spec->field_count; f++) {
    ret->field[f].kind = TIDE_D_NONE;
    if ((present >> f) & 1 && !get_datum(at, &spec->field[f], &ret->field[f])) return false;
  }
  return !at->bad;
}

static bool get_outcome(struct tide_reader *at, struct tide_outcome *ret) {
  uint64_t set = tide_get_varint(at);
  ret->set = (uint32_t)set;
  ret->result = tide_get_u8(at);
  ret->reversed = tide_get_u8(at);
  ret->refunded = tide_get_u8(at);
  ret->disputed = tide_get_u8(at);
  ret->label = tide_get_u8(at);
  struct tide_span reason = tide_get_bytes(at, sizeof ret->reason);
  if (at->bad) return false;
  memcpy(ret->reason, reason.ptr, sizeof ret->reason);
  ret->amount_now = tide_get_zigzag(at);
  ret->exponent = tide_get_u8(at);
  return get_currency(at, ret->currency) && set < 1u << TIDE_DYN_COUNT && ret->result <= TIDE_RESULT_declined && ret->reversed <= TIDE_EXTENT_full &&
         ret->refunded <= TIDE_EXTENT_full && ret->disputed <= 1 && ret->label <= TIDE_LABEL_genuine && ret->exponent <= 4;
}

enum tide_err tide_record_decode(const struct tide_spec *spec, const struct tide_raw_record *raw, struct tide_record *ret, struct tide_error *error) {
  struct tide_reader at = tide_reader_of(raw->payload);
  ret->type = raw->type;
  ret->flags = raw->flags;
  uint64_t source = tide_get_varint(&at), partition = tide_get_varint(&at);
  ret->offset = tide_get_varint(&at);
  ret->time.ms = tide_get_zigzag(&at);
  ret->key_id = tide_get_u32(&at);
  if (at.bad || source > UINT16_MAX || partition > UINT16_MAX || ret->time.ms < TIDE_TIME_MIN_MS || ret->time.ms > TIDE_TIME_MAX_MS)
    return corrupt(error, "the head of a record");
  ret->source = (uint16_t)source;
  ret->partition = (uint16_t)partition;
  bool good = true;
  switch (raw->type) {
    case TIDE_REC_EVENT: good = get_fields(&at, spec, ret); break;
    case TIDE_REC_OUTCOME: good = get_fields(&at, spec, ret) && get_outcome(&at, &ret->outcome); break;
    case TIDE_REC_RATE:
      good = get_currency(&at, ret->rate.currency);
      ret->rate.rate_e10 = tide_get_zigzag(&at);
      good = good && ret->rate.rate_e10 > 0;
      for (uint32_t f = 0; f < spec->field_count; f++) ret->field[f].kind = TIDE_D_NONE;
      break;
    case TIDE_REC_LIST: {
      good = get_fields(&at, spec, ret);
      uint64_t list = tide_get_varint(&at);
      ret->list.list = (uint32_t)list;
      ret->list.expires_ms = tide_get_zigzag(&at);
      ret->list.remove = tide_get_u8(&at) != 0;
      good = good && list < spec->list_count;
      break;
    }
    case TIDE_REC_HEARTBEAT:
      for (uint32_t f = 0; f < spec->field_count; f++) ret->field[f].kind = TIDE_D_NONE;
      break;
    default: return tide_fail(error, TIDE_E_VERSION, "record type %u is not known to this version", raw->type);
  }
  if (!good || at.bad || at.ptr != at.end) return corrupt(error, "a record does not fit the feature file it was written under");
  return TIDE_OK;
}

enum tide_err tide_config_decode(const struct tide_raw_record *raw, struct tide_settings *ret_settings, struct tide_span *ret_features,
                                 struct tide_error *error) {
  struct tide_reader at = tide_reader_of(raw->payload);
  struct tide_span settings = tide_get_span(&at), features = tide_get_span(&at);
  if (raw->type != TIDE_REC_CONFIG || at.bad || at.ptr != at.end) return corrupt(error, "a configuration record");
  enum tide_err err = tide_settings_read(settings, ret_settings, error);
  if (!err) *ret_features = features;
  return err;
}

enum tide_err tide_digest_decode(const struct tide_raw_record *raw, struct tide_digest *ret, struct tide_error *error) {
  struct tide_reader at = tide_reader_of(raw->payload);
  struct tide_digest digest = {.decisions = tide_get_varint(&at)};
  digest.digest.lo = tide_get_u64(&at);
  digest.digest.hi = tide_get_u64(&at);
  digest.state_hash = tide_get_u64(&at);
  if (raw->type != TIDE_REC_DIGEST || at.bad || at.ptr != at.end) return corrupt(error, "a digest record");
  *ret = digest;
  return TIDE_OK;
}

enum tide_err tide_fence_decode(const struct tide_raw_record *raw, struct tide_fence *ret, struct tide_error *error) {
  struct tide_reader at = tide_reader_of(raw->payload);
  struct tide_fence fence;
  fence.nonce = tide_get_u64(&at);
  fence.epoch = tide_get_u64(&at);
  fence.engine_id = tide_get_u32(&at);
  if (raw->type != TIDE_REC_FENCE || at.bad || at.ptr != at.end) return corrupt(error, "a fence record");
  *ret = fence;
  return TIDE_OK;
}
