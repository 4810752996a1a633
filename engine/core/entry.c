/* Reading journal entries back (layout: batch.h).
 *
 * An entry may come from a disk or a network, so everything is checked before it is used: checksum, counts, every value against its
 * declaration, and that no byte is left over. The checksum stands in the last four bytes of every format version, so a damaged
 * version number is told from a real one: with a right checksum it is VERSION, otherwise CORRUPT. */
#include "core/batch.h"

#include "base/clock.h"
#include "base/hash.h"
#include "core/batch_record.h"
#include "core/batch_wire.h"

static enum tide_err corrupt(struct tide_error *error, const char *what) {
  return tide_fail(error, TIDE_E_CORRUPT, "journal entry: %s; restore this part of the log from archive or snapshot", what);
}

static enum tide_err version(struct tide_error *error, const char *what, unsigned found) {
  return tide_fail(error, TIDE_E_VERSION, "journal entry: %s %u is not known to this program; use the version that wrote it or a newer one",
                   what, found);
}

static struct tide_cursor_part part_of(struct tide_reader *r, bool *ret_fits) {
  uint32_t place = wire_u32(r), reserved = wire_u32(r);
  struct tide_cursor_part part = {.source = (uint16_t)place, .partition = (uint16_t)(place >> 16)};
  part.from = wire_u64(r);
  part.next = wire_u64(r);
  part.seen = (int64_t)wire_u64(r);
  part.drained = (int64_t)wire_u64(r);
  part.delay = (int64_t)wire_u64(r);
  part.checksum = wire_u64(r);
  *ret_fits = reserved == 0 && part.from <= part.next;
  return part;
}

enum tide_err tide_entry_open(struct tide_entry_reader *reader, struct tide_span entry, struct tide_cursor_part *part,
                              struct tide_error *error) {
  if (entry.len < TIDE_ENTRY_HEADER_BYTES + TIDE_ENTRY_CRC_BYTES || entry.len > TIDE_ENTRY_MAX) {
    return corrupt(error, "its length is impossible");
  }
  if (memcmp(entry.ptr, "TDE1", 4) != 0) {
    return corrupt(error, "it does not begin with TDE1");
  }
  size_t body = entry.len - TIDE_ENTRY_CRC_BYTES;
  struct tide_reader tail = tide_reader_of((struct tide_span){entry.ptr + body, TIDE_ENTRY_CRC_BYTES});
  if (wire_u32(&tail) != tide_crc32c(0, entry.ptr, body)) {
    return corrupt(error, "its checksum is wrong");
  }
  struct tide_reader r = tide_reader_of((struct tide_span){entry.ptr + 4, body - 4});
  uint32_t versions = wire_u32(&r);
  struct tide_entry_header header = {.format = (uint16_t)versions, .fold = (uint16_t)(versions >> 16)};
  if (header.format != TIDE_ENTRY_FORMAT) {
    return version(error, "format version", header.format);
  }
  if (header.fold != TIDE_FOLD_VERSION) {
    return version(error, "fold version", header.fold);
  }
  header.engine_id = wire_u32(&r);
  header.flags = wire_u32(&r);
  header.fence_nonce = wire_u64(&r);
  header.attempt_nonce = wire_u64(&r);
  header.commit_ms = (int64_t)wire_u64(&r);
  header.generation = wire_u32(&r);
  uint32_t counts = wire_u32(&r);
  header.cursor_count = (uint16_t)counts;
  header.record_count = (uint16_t)(counts >> 16);
  if (header.flags != 0) {
    return version(error, "entry flag", header.flags);
  }
  if (header.cursor_count > TIDE_PARTS_MAX || !wire_has(&r, (size_t)header.cursor_count * TIDE_PART_BYTES)) {
    return corrupt(error, "it has more cursor parts than bytes");
  }
  for (unsigned i = 0; i < header.cursor_count; i++) {
    bool fits;
    part[i] = part_of(&r, &fits);
    if (!fits) {
      return corrupt(error, "a cursor part runs backwards or uses reserved bytes");
    }
  }
  *reader = (struct tide_entry_reader){.header = header, .part = part, .at = r, .left = header.record_count};
  return TIDE_OK;
}

#define AHEAD_BYTES 512

/* One record off the reader. */
static enum tide_err take_raw(struct tide_reader *r, struct tide_raw_record *ret, struct tide_error *error) {
  const uint8_t *head = wire_bytes(r, TIDE_RECORD_HEAD_BYTES);
  size_t len = head ? (size_t)head[2] | (size_t)head[3] << 8 | (size_t)head[4] << 16 : 0;
  const uint8_t *payload = wire_bytes(r, len);
  if (!payload) {
    return corrupt(error, "it ends inside a record");
  }
  __builtin_prefetch(payload + len + AHEAD_BYTES); /* of the records behind it, where there are any */
  *ret = (struct tide_raw_record){.type = head[0], .flags = head[1], .payload = {(const char *)payload, len}};
  return TIDE_OK;
}

enum tide_err tide_entry_next(struct tide_entry_reader *reader, struct tide_raw_record *ret, struct tide_error *error) {
  struct tide_reader *r = &reader->at;
  if (reader->left == 0) {
    return r->ptr == r->end ? TIDE_E_END : corrupt(error, "bytes are left behind its last record");
  }
  enum tide_err err = take_raw(r, ret, error);
  if (err != TIDE_OK) return err;
  reader->index = reader->header.record_count - reader->left;
  reader->left--;
  return TIDE_OK;
}

enum tide_err tide_raw_take(struct tide_span *bytes, struct tide_raw_record *ret, struct tide_error *error) {
  struct tide_reader r = tide_reader_of(*bytes);
  if (r.ptr == r.end) return TIDE_E_END;
  enum tide_err err = take_raw(&r, ret, error);
  if (err == TIDE_OK) *bytes = (struct tide_span){(const char *)r.ptr, (size_t)(r.end - r.ptr)};
  return err;
}

static void get_currency(struct tide_reader *r, char currency[4]) {
  const uint8_t *at = wire_bytes(r, TIDE_CURRENCY_BYTES);
  memset(currency, 0, 4);
  if (at) {
    memcpy(currency, at, TIDE_CURRENCY_BYTES);
  }
}

static struct tide_u128 get_key(struct tide_reader *r) {
  struct tide_u128 key;
  key.lo = wire_u64(r);
  key.hi = wire_u64(r);
  return key;
}

/* NULL, or what is wrong. Running out of bytes is left to the reader's `bad`. */
static const char *get_datum(struct tide_reader *r, const struct tide_field *field, struct tide_datum *datum) {
  unsigned wire = wire_u8(r);
  datum->kind = (uint8_t)(wire & ~(unsigned)WIRE_LONG);
  datum->exponent = 0;
  memset(datum->currency, 0, sizeof datum->currency);
  switch (wire) {
    case TIDE_D_TEXT: {
      uint64_t len = wire_varint(r);
      const uint8_t *at = wire_bytes(r, len);
      datum->text = (struct tide_span){(const char *)at, at ? len : 0};
      break;
    }
    case TIDE_D_INT: datum->num = wire_zigzag(r); break;
    case WIRE_MONEY:
      datum->num = wire_zigzag(r);
      datum->exponent = wire_u8(r);
      get_currency(r, datum->currency);
      if (datum->currency[0] == '\0') {
        return "money without a currency";
      }
      break;
    case TIDE_D_KEY:
      datum->key = get_key(r);
      datum->alt = (struct tide_u128){0, 0};
      break;
    case WIRE_KEY_ALT:
      datum->key = get_key(r);
      datum->alt = get_key(r);
      if ((datum->alt.lo | datum->alt.hi) == 0) {
        return "an empty second hash";
      }
      break;
    default: return "an unknown kind";
  }
  return r->bad ? NULL : tide_datum_misfit(field, datum);
}

/* get_datum for what nearly every datum is, with all of its checks in one look: a short ASCII text, a number, money, one hash. Returns what stands behind it; NULL: what
 * it is, or is wrong with it, get_datum says. */
static inline const uint8_t *get_plain(const uint8_t *at, const uint8_t *end, const struct tide_field *field, struct tide_datum *datum) {
  size_t room = (size_t)(end - at);
  if (TIDE_UNLIKELY(room < 2)) return NULL;
  unsigned wire = *at++;
  uint64_t bits;
  if (wire == TIDE_D_TEXT) {
    size_t len = *at++;
    if (len - 1 >= 0x7f || len > room - 2 || field->type != TIDE_F_TEXT || field->secret || !tide_is_ascii(at, len)) return NULL;
    datum->text = (struct tide_span){(const char *)at, len};
    at += len;
  } else if (wire == TIDE_D_KEY) {
    if (!field->secret || room < 1 + sizeof datum->key) return NULL;
    struct tide_reader r = {.ptr = at, .end = end};
    datum->key = get_key(&r);
    datum->alt = (struct tide_u128){0, 0};
    at = r.ptr;
  } else if (wire == TIDE_D_INT) {
    at = wire_quick_varint(at, end, &bits);
    if (TIDE_UNLIKELY(!at || field->secret)) return NULL;
    datum->num = wire_unzigzag(bits);
    switch (field->type) {
      case TIDE_F_NUMBER: break;
      case TIDE_F_TIME:
        if (!tide_time_fits(datum->num)) return NULL;
        break;
      case TIDE_F_BOOL:
        if (datum->num != 0 && datum->num != 1) return NULL;
        break;
      default: return NULL;
    }
  } else {
    if (wire != WIRE_MONEY || field->type != TIDE_F_MONEY || field->secret) return NULL;
    at = wire_quick_varint(at, end, &bits);
    if (TIDE_UNLIKELY(!at || (size_t)(end - at) < 1 + TIDE_CURRENCY_BYTES)) return NULL;
    datum->kind = TIDE_D_INT;
    datum->exponent = at[0];
    memcpy(datum->currency, at + 1, TIDE_CURRENCY_BYTES);
    datum->currency[TIDE_CURRENCY_BYTES] = '\0';
    datum->num = wire_unzigzag(bits);
    return tide_amount_fits(datum->num, datum->exponent, datum->currency) ? at + 1 + TIDE_CURRENCY_BYTES : NULL;
  }
  datum->kind = (uint8_t)wire;
  datum->exponent = 0;
  memset(datum->currency, 0, sizeof datum->currency);
  return at;
}

/* As many as follow each other in `presence`, which loses them. Apart from the rest, so that all of it stands in registers. */
static __attribute__((noinline)) const uint8_t *get_plain_ones(const uint8_t *at, const uint8_t *end, const struct tide_field *field,
                                                               struct tide_datum *datum, uint64_t *presence) {
  uint64_t left = *presence;
  for (; left; left &= left - 1) {
    uint32_t i = (uint32_t)__builtin_ctzll(left);
    const uint8_t *behind = get_plain(at, end, field + i, datum + i);
    if (!behind) break;
    at = behind;
  }
  *presence = left;
  return at;
}

/* Fills ret->field for every declared field; those that are not there are NONE. */
static const char *get_fields(struct tide_reader *r, const struct tide_spec *spec, struct tide_record *ret, uint32_t *ret_index) {
  uint64_t presence = ret->present = wire_u64(r);
  uint32_t count = spec ? spec->field_count : TIDE_FIELDS_MAX;
  if (count < TIDE_FIELDS_MAX && presence >> count != 0) {
    return "a field that is not declared";
  }
  _Static_assert(TIDE_FIELDS_MAX % 4 == 0, "by fours, some beyond the last");
  for (struct tide_datum *datum = ret->field, *end = datum + count; datum < end; datum += 4)
    datum[0].kind = datum[1].kind = datum[2].kind = datum[3].kind = TIDE_D_NONE;
  for (; presence; presence &= presence - 1) {
    if (spec) r->ptr = get_plain_ones(r->ptr, r->end, spec->field, ret->field, &presence);
    if (!presence) break;
    uint32_t i = (uint32_t)__builtin_ctzll(presence);
    const char *misfit = get_datum(r, spec ? &spec->field[i] : NULL, &ret->field[i]);
    if (misfit || r->bad) {
      *ret_index = i;
      return misfit;
    }
  }
  return NULL;
}

static void get_outcome(struct tide_reader *r, struct tide_outcome *outcome) {
  uint64_t set = wire_varint(r);
  outcome->set = set > UINT32_MAX ? UINT32_MAX : (uint32_t)set;
  outcome->result = wire_u8(r);
  outcome->reversed = wire_u8(r);
  outcome->refunded = wire_u8(r);
  outcome->disputed = wire_u8(r);
  outcome->label = wire_u8(r);
  const uint8_t *reason = wire_bytes(r, sizeof outcome->reason);
  if (reason) {
    memcpy(outcome->reason, reason, sizeof outcome->reason);
  }
  outcome->amount_now = wire_zigzag(r);
  outcome->exponent = wire_u8(r);
  get_currency(r, outcome->currency);
}

static enum tide_err misfit_of_field(const struct tide_spec *spec, uint32_t index, const char *what, struct tide_error *error) {
  return tide_fail_at(error, TIDE_E_CORRUPT, 0, 0, spec && index < spec->field_count ? spec->field[index].name : NULL,
                      "journal record: field %u holds %s; the entry was written under another feature file or is damaged", index, what);
}

enum tide_err tide_record_decode(const struct tide_spec *spec, const struct tide_raw_record *raw, struct tide_record *ret,
                                 struct tide_error *error) {
  if (!tide_record_type_is_data(raw->type)) {
    return version(error, "record type", raw->type);
  }
  if (raw->flags & ~TIDE_REC_FLAGS) {
    return version(error, "record flags", raw->flags);
  }
  struct tide_reader r = tide_reader_of(raw->payload);
  ret->type = raw->type;
  ret->flags = raw->flags;
  uint64_t source = wire_varint(&r), partition = wire_varint(&r);
  ret->source = (uint16_t)source;
  ret->partition = (uint16_t)partition;
  ret->offset = wire_varint(&r);
  ret->time.ms = wire_zigzag(&r);
  ret->key_id = wire_u32(&r);
  memset(&ret->outcome, 0, sizeof ret->outcome);
  memset(&ret->rate, 0, sizeof ret->rate);
  memset(&ret->list, 0, sizeof ret->list);
  if (tide_record_type_has_fields(raw->type)) {
    uint32_t index = TIDE_NONE;
    const char *misfit = get_fields(&r, spec, ret, &index);
    if (misfit) {
      return misfit_of_field(spec, index, misfit, error);
    }
  } else {
    for (uint32_t i = 0; i < TIDE_FIELDS_MAX; i++) {
      ret->field[i].kind = TIDE_D_NONE;
    }
    ret->present = 0;
  }
  if (raw->type == TIDE_REC_OUTCOME) {
    get_outcome(&r, &ret->outcome);
  } else if (raw->type == TIDE_REC_RATE) {
    get_currency(&r, ret->rate.currency);
    ret->rate.rate_e10 = wire_zigzag(&r);
  } else if (raw->type == TIDE_REC_LIST) {
    uint64_t list = wire_varint(&r);
    ret->list.list = list > UINT32_MAX ? UINT32_MAX : (uint32_t)list;
    ret->list.expires_ms = wire_zigzag(&r);
    uint8_t removes = wire_u8(&r);
    r.bad |= removes > 1;
    ret->list.remove = removes == 1;
  }
  if (r.bad || r.ptr != r.end || source > UINT16_MAX || partition > UINT16_MAX) {
    return corrupt(error, "a record's length and its content disagree");
  }
  const char *misfit = tide_record_misfit(spec ? spec->list_count : UINT32_MAX, ret);
  return misfit ? corrupt(error, misfit) : TIDE_OK;
}

/* Control records: their type is the caller's to dispatch on. */
static enum tide_err control_check(const struct tide_raw_record *raw, unsigned type, struct tide_error *error) {
  TIDE_CHECK(raw->type == type);
  return raw->flags ? version(error, "record flags", raw->flags) : TIDE_OK;
}

enum tide_err tide_config_decode(const struct tide_raw_record *raw, struct tide_settings *ret_settings, struct tide_span *ret_features,
                                 struct tide_error *error) {
  enum tide_err err = control_check(raw, TIDE_REC_CONFIG, error);
  if (err) {
    return err;
  }
  struct tide_reader r = tide_reader_of(raw->payload);
  struct tide_span settings = tide_get_span(&r), features = tide_get_span(&r);
  if (r.bad || r.ptr != r.end) {
    return corrupt(error, "a configuration record's length and its content disagree");
  }
  struct tide_settings parsed;
  err = tide_settings_read(settings, &parsed, error);
  if (err) {
    return err;
  }
  *ret_settings = parsed;
  *ret_features = features;
  return TIDE_OK;
}

enum tide_err tide_digest_decode(const struct tide_raw_record *raw, struct tide_digest *ret, struct tide_error *error) {
  enum tide_err err = control_check(raw, TIDE_REC_DIGEST, error);
  if (err) {
    return err;
  }
  struct tide_reader r = tide_reader_of(raw->payload);
  struct tide_digest digest = {.decisions = wire_varint(&r)};
  digest.digest = get_key(&r);
  digest.state_hash = wire_u64(&r);
  if (r.bad || r.ptr != r.end) {
    return corrupt(error, "a digest record's length and its content disagree");
  }
  *ret = digest;
  return TIDE_OK;
}

enum tide_err tide_check_decode(const struct tide_raw_record *raw, struct tide_check_point *ret, struct tide_error *error) {
  enum tide_err err = control_check(raw, TIDE_REC_CHECK, error);
  if (err) {
    return err;
  }
  struct tide_reader r = tide_reader_of(raw->payload);
  struct tide_check_point point = {.position = {.epoch = wire_varint(&r)}};
  point.position.seq = wire_varint(&r);
  point.decisions = wire_varint(&r);
  point.digest = get_key(&r);
  if (r.bad || r.ptr != r.end) {
    return corrupt(error, "a check record's length and its content disagree");
  }
  *ret = point;
  return TIDE_OK;
}

enum tide_err tide_fence_decode(const struct tide_raw_record *raw, struct tide_fence *ret, struct tide_error *error) {
  enum tide_err err = control_check(raw, TIDE_REC_FENCE, error);
  if (err) {
    return err;
  }
  struct tide_reader r = tide_reader_of(raw->payload);
  struct tide_fence fence = {.nonce = wire_u64(&r)};
  fence.epoch = wire_u64(&r);
  fence.engine_id = wire_u32(&r);
  fence.session = get_key(&r);
  if (r.bad || r.ptr != r.end) {
    return corrupt(error, "a fence record's length and its content disagree");
  }
  *ret = fence;
  return TIDE_OK;
}
