/* Entries and records: what goes in comes out, and nothing else is ever accepted.
 *
 * A hand-made spec with 64 fields of every type; random records of every kind. Then every truncation, every flipped bit and every
 * wrong value, each of which must be an error and never a crash. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "../support/journal_dir.h"
#include "../support/mini_spec.h"
#include "base/clock.h"
#include "base/hash.h"
#include "base/num.h"
#include "core/batch.h"

static const char *const currencies[] = {"EUR", "USD", "JPY", "TND"};

static struct tide_spec *spec_of_every_type(void) {
  struct tide_spec *spec = mini_new();
  static char name[TIDE_FIELDS_MAX][16];
  static const enum tide_ftype types[] = {TIDE_F_TEXT, TIDE_F_NUMBER, TIDE_F_BOOL, TIDE_F_MONEY, TIDE_F_TIME, TIDE_F_TEXT};
  for (unsigned i = 0; i < TIDE_FIELDS_MAX; i++) {
    snprintf(name[i], sizeof name[i], "field%u", i);
    mini_field(spec, name[i], types[i % 6])->secret = i % 6 == 5;
  }
  spec->list[0] = (struct tide_list){.name = "blocked"};
  spec->list[1] = (struct tide_list){.name = "trusted"};
  spec->list_count = 2;
  return spec;
}

static int64_t any_time(uint64_t *seed) {
  return TIDE_TIME_MIN_MS + (int64_t)(test_random(seed) % (uint64_t)(TIDE_TIME_MAX_MS - TIDE_TIME_MIN_MS + 1));
}
/* Magnitudes of every size, both signs. */
static int64_t any_number(uint64_t *seed) {
  uint64_t v = test_random(seed) >> (test_random(seed) % 64);
  return test_random(seed) & 1 ? (int64_t)(v >> 1) : -(int64_t)(v >> 1);
}
static int64_t any_amount(uint64_t *seed) {
  return (int64_t)(test_random(seed) % ((uint64_t)TIDE_AMOUNT_MAX + 1)) >> (test_random(seed) % 40);
}
static void any_currency(uint64_t *seed, char out[4], uint8_t *ret_exponent) {
  memcpy(out, currencies[test_random(seed) % 4], 4);
  *ret_exponent = (uint8_t)(test_random(seed) % 5);
}

static char letters[65536]; /* texts of the records point in here */
static struct tide_span any_text(uint64_t *seed) {
  static const char *const marks[] = {"é", "€", "𝄞", "a\0b"};
  size_t len = 1 + test_random(seed) % (test_random(seed) % 50 ? 30 : 3000);
  if (test_random(seed) % 5 == 0) {
    const char *mark = marks[test_random(seed) % 3];
    return (struct tide_span){mark, strlen(mark)};
  }
  return (struct tide_span){letters + test_random(seed) % 1000, len};
}

static void any_datum(uint64_t *seed, const struct tide_field *field, struct tide_datum *datum) {
  memset(datum, 0, sizeof *datum);
  if (test_random(seed) % 4 == 0) {
    return;
  }
  if (field->secret) {
    datum->kind = TIDE_D_KEY;
    datum->key = (struct tide_u128){test_random(seed), test_random(seed)};
    if (test_random(seed) & 1) {
      datum->alt = (struct tide_u128){test_random(seed), test_random(seed)};
    }
    return;
  }
  datum->kind = field->type == TIDE_F_TEXT ? TIDE_D_TEXT : TIDE_D_INT;
  switch (field->type) {
    case TIDE_F_TEXT: datum->text = any_text(seed); break;
    case TIDE_F_NUMBER: datum->num = any_number(seed); break;
    case TIDE_F_BOOL: datum->num = (int64_t)(test_random(seed) & 1); break;
    case TIDE_F_MONEY:
      datum->num = any_amount(seed);
      any_currency(seed, datum->currency, &datum->exponent);
      break;
    default: datum->num = any_time(seed);
  }
}

static void any_record(uint64_t *seed, const struct tide_spec *spec, struct tide_record *record) {
  static const uint8_t types[] = {TIDE_REC_EVENT, TIDE_REC_OUTCOME, TIDE_REC_RATE, TIDE_REC_LIST, TIDE_REC_HEARTBEAT, TIDE_REC_PROFILE};
  memset(record, 0, sizeof *record);
  record->type = types[test_random(seed) % sizeof types];
  record->flags = (uint8_t)(test_random(seed) & 7);
  record->source = (uint16_t)test_random(seed);
  record->partition = (uint16_t)(test_random(seed) % 200);
  record->offset = test_random(seed) >> (test_random(seed) % 64);
  record->time.ms = any_time(seed);
  record->key_id = (uint32_t)test_random(seed);
  if (record->type == TIDE_REC_RATE) {
    any_currency(seed, record->rate.currency, &(uint8_t){0});
    record->rate.rate_e10 = 1 + (int64_t)(test_random(seed) >> 2);
  } else if (record->type == TIDE_REC_LIST) {
    record->list.list = (uint32_t)(test_random(seed) % spec->list_count);
    record->list.expires_ms = test_random(seed) & 1 ? any_time(seed) : 0;
    record->list.remove = test_random(seed) & 1;
  } else if (record->type == TIDE_REC_OUTCOME) {
    struct tide_outcome *outcome = &record->outcome;
    outcome->set = (uint32_t)(test_random(seed) % (1u << TIDE_DYN_COUNT));
    outcome->result = (uint8_t)(test_random(seed) % 4);
    outcome->reversed = (uint8_t)(test_random(seed) % 3);
    outcome->refunded = (uint8_t)(test_random(seed) % 3);
    outcome->disputed = (uint8_t)(test_random(seed) % 2);
    outcome->label = (uint8_t)(test_random(seed) % 3);
    memcpy(outcome->reason, "14,abcde", test_random(seed) % 9);
    if (outcome->set >> TIDE_DYN_amount_now & 1) {
      outcome->amount_now = any_amount(seed);
      any_currency(seed, outcome->currency, &outcome->exponent);
    }
  }
  if (record->type != TIDE_REC_RATE && record->type != TIDE_REC_HEARTBEAT) {
    for (uint32_t i = 0; i < spec->field_count; i++) {
      any_datum(seed, &spec->field[i], &record->field[i]);
    }
  }
}

static void assert_same_datum(const struct tide_datum *a, const struct tide_datum *b) {
  assert_int_equal(a->kind, b->kind);
  if (a->kind == TIDE_D_TEXT) {
    assert_true(tide_span_eq(a->text, b->text));
  } else if (a->kind == TIDE_D_INT) {
    assert_true(a->num == b->num && a->exponent == b->exponent && memcmp(a->currency, b->currency, 4) == 0);
  } else if (a->kind == TIDE_D_KEY) {
    assert_true(tide_u128_eq(a->key, b->key) && tide_u128_eq(a->alt, b->alt));
  }
}

static void assert_same_record(const struct tide_spec *spec, const struct tide_record *a, const struct tide_record *b) {
  assert_int_equal(a->type, b->type);
  assert_int_equal(a->flags, b->flags);
  assert_int_equal(a->source, b->source);
  assert_int_equal(a->partition, b->partition);
  assert_true(a->offset == b->offset && a->time.ms == b->time.ms && a->key_id == b->key_id);
  for (uint32_t i = 0; i < spec->field_count; i++) {
    assert_same_datum(&a->field[i], &b->field[i]);
    assert_int_equal(b->present >> i & 1, b->field[i].kind != TIDE_D_NONE);
  }
  assert_memory_equal(&a->rate.currency, &b->rate.currency, 4);
  assert_true(a->rate.rate_e10 == b->rate.rate_e10 && a->list.list == b->list.list && a->list.expires_ms == b->list.expires_ms &&
              a->list.remove == b->list.remove);
  const struct tide_outcome *x = &a->outcome, *y = &b->outcome;
  assert_true(x->set == y->set && x->result == y->result && x->reversed == y->reversed && x->refunded == y->refunded &&
              x->disputed == y->disputed && x->label == y->label && x->amount_now == y->amount_now && x->exponent == y->exponent);
  assert_memory_equal(x->reason, y->reason, sizeof x->reason);
  assert_memory_equal(x->currency, y->currency, sizeof x->currency);
}

/* Shared by all cases: the spec, a buffer, a parts array. */
struct fixture {
  struct tide_spec *spec;
  struct tide_buf out;
  struct tide_cursor_part part[TIDE_PARTS_MAX];
  struct tide_batch batch;
  struct tide_error error;
};

static int setup(void **state) {
  struct fixture *f = tide_alloc(sizeof *f);
  f->spec = spec_of_every_type();
  for (size_t i = 0; i < sizeof letters; i++) {
    letters[i] = (char)('a' + i % 26);
  }
  *state = f;
  return 0;
}
static int teardown(void **state) {
  struct fixture *f = *state;
  mini_free(f->spec);
  tide_buf_release(&f->out);
  tide_free(f);
  return 0;
}

static const struct tide_entry_header some_header = {.engine_id = 7,
                                                     .fence_nonce = UINT64_C(0x1122334455667788),
                                                     .attempt_nonce = UINT64_MAX,
                                                     .commit_ms = INT64_C(1795255200123),
                                                     .generation = 3};

static void records_come_back_as_they_were(void **state) {
  struct fixture *f = *state;
  struct tide_record *in = tide_alloc(64 * sizeof *in), *back = tide_alloc(sizeof *back);
  uint64_t seed = 1;
  for (int round = 0; round < 300; round++) {
    uint16_t parts = (uint16_t)(test_random(&seed) % 5), count = 0;
    struct tide_cursor_part part[5];
    for (unsigned i = 0; i < parts; i++) {
      part[i] = (struct tide_cursor_part){
          (uint16_t)i,       (uint16_t)test_random(&seed), 5, 5 + test_random(&seed) % 100, any_number(&seed), INT64_MIN, any_number(&seed),
          test_random(&seed)};
    }
    tide_batch_begin(&f->batch, &f->out, &some_header, part, parts);
    for (unsigned i = test_random(&seed) % 64; i > 0; i--) {
      any_record(&seed, f->spec, &in[count]);
      assert_int_equal(tide_batch_add(&f->batch, f->spec, &in[count]), TIDE_OK);
      count++;
    }
    tide_batch_end(&f->batch);

    struct tide_entry_reader reader;
    struct tide_raw_record raw;
    assert_int_equal(tide_entry_open(&reader, tide_buf_span(&f->out), f->part, &f->error), TIDE_OK);
    assert_true(reader.header.engine_id == 7 && reader.header.fence_nonce == some_header.fence_nonce &&
                reader.header.attempt_nonce == UINT64_MAX && reader.header.commit_ms == some_header.commit_ms &&
                reader.header.generation == 3);
    assert_int_equal(reader.header.cursor_count, parts);
    assert_int_equal(reader.header.record_count, count);
    for (unsigned i = 0; i < parts; i++) {
      const struct tide_cursor_part *a = &part[i], *b = &reader.part[i];
      assert_true(a->source == b->source && a->partition == b->partition && a->from == b->from && a->next == b->next &&
                  a->seen == b->seen && a->drained == b->drained && a->delay == b->delay && a->checksum == b->checksum);
    }
    for (unsigned i = 0; i < count; i++) {
      assert_int_equal(tide_entry_next(&reader, &raw, &f->error), TIDE_OK);
      assert_int_equal(reader.index, i);
      memset(back, 0xA5, sizeof *back); /* nothing may be taken from what was there before */
      assert_int_equal(tide_record_decode(f->spec, &raw, back, &f->error), TIDE_OK);
      assert_same_record(f->spec, &in[i], back);
      assert_int_equal(tide_record_decode(NULL, &raw, back, &f->error), TIDE_OK);
      assert_same_record(f->spec, &in[i], back);
    }
    assert_int_equal(tide_entry_next(&reader, &raw, &f->error), TIDE_E_END);
    assert_int_equal(tide_entry_next(&reader, &raw, &f->error), TIDE_E_END);
  }
  tide_free(in);
  tide_free(back);
}

/* The drawing in batch.h, byte by byte. */
static void the_bytes_are_those_of_the_drawing(void **state) {
  struct fixture *f = *state;
  struct tide_entry_header header = {.engine_id = 0x01020304, .fence_nonce = 5, .attempt_nonce = 6, .commit_ms = 7, .generation = 8};
  struct tide_cursor_part part = {1, 2, 3, 4, -1, 6, 7, 8};
  struct tide_record *record = tide_alloc(sizeof *record);
  *record = (struct tide_record){
      .type = TIDE_REC_EVENT, .flags = TIDE_REC_NOCOUNT, .source = 1, .partition = 2, .offset = 300, .time = {-1}, .key_id = 9};
  record->field[0] = (struct tide_datum){.kind = TIDE_D_TEXT, .text = TIDE_SPAN("hi")};
  record->field[3] = (struct tide_datum){.kind = TIDE_D_INT, .num = 5000, .exponent = 2, .currency = "EUR"};
  tide_batch_begin(&f->batch, &f->out, &header, &part, 1);
  assert_int_equal(tide_batch_add(&f->batch, f->spec, record), TIDE_OK);
  assert_int_equal(tide_batch_add_fence(&f->batch, &(struct tide_fence){1, 2, 3, {4, 5}}), TIDE_OK);
  tide_batch_end(&f->batch);
  static const uint8_t want[] = {
      'T', 'D', 'E',  '1', 1,    0,    3,    0,   4,   3,   2,   1, 0, 0, 0, 0, /* magic, versions, engine, flags */
      5,   0,   0,    0,   0,    0,    0,    0,   6,   0,   0,   0, 0, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0,
      8,   0,   0,    0,   1,    0,    2,    0, /* nonces, commit, generation, counts */
      1,   0,   2,    0,   0,    0,    0,    0,   3,   0,   0,   0, 0, 0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, /* part: place, from, next */
      255, 255, 255,  255, 255,  255,  255,  255, 6,   0,   0,   0, 0, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0,
      8,   0,   0,    0,   0,    0,    0,    0,                                    /* seen, drained, delay, checksum */
      1,   1,   29,   0,   0,                                                      /* event, nocount, length */
      1,   2,   0xac, 2,   1,    9,    0,    0,   0,   9,   0,   0, 0, 0, 0, 0, 0, /* common, presence */
      1,   2,   'h',  'i', 0x82, 0x90, 0x4e, 2,   'E', 'U', 'R',                   /* text, money */
  };
  size_t text_end = sizeof want;
  assert_true(f->out.len > text_end);
  /* The length is what the payload took. */
  assert_int_equal(text_end - 48 - 56 - 5, 28);
  uint8_t fixed[sizeof want];
  memcpy(fixed, want, sizeof want);
  fixed[48 + 56 + 2] = 28;
  assert_memory_equal(f->out.ptr, fixed, text_end);
  static const uint8_t fence[] = {18, 0, 36, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0,
                                  3,  0, 0,  0, 4, 0, 0, 0, 0, 0, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0};
  assert_memory_equal(f->out.ptr + text_end, fence, sizeof fence);
  assert_int_equal(f->out.len, text_end + sizeof fence + 4);
  uint32_t crc = tide_crc32c(0, f->out.ptr, f->out.len - 4);
  for (unsigned i = 0; i < 4; i++) {
    assert_int_equal((uint8_t)f->out.ptr[f->out.len - 4 + i], (uint8_t)(crc >> (8 * i)));
  }
  tide_free(record);
}

static void control_records_come_back(void **state) {
  struct fixture *f = *state;
  struct tide_settings settings = tide_settings_default(), back;
  settings.lateness_ms = 5;
  settings.replay = 1;
  struct tide_digest digest = {12345678901, {1, UINT64_MAX}, 99}, digest_back;
  struct tide_fence fence = {UINT64_MAX, 7, 8, {9, 10}}, fence_back;
  struct tide_span features;
  struct tide_entry_reader reader;
  struct tide_raw_record raw;
  tide_batch_begin(&f->batch, &f->out, &some_header, NULL, 0);
  assert_int_equal(tide_batch_add_fence(&f->batch, &fence), TIDE_OK);
  assert_int_equal(tide_batch_add_config(&f->batch, &settings, TIDE_SPAN("tidemark: 1\n")), TIDE_OK);
  assert_int_equal(tide_batch_add_digest(&f->batch, &digest), TIDE_OK);
  tide_batch_end(&f->batch);
  assert_int_equal(tide_entry_open(&reader, tide_buf_span(&f->out), f->part, &f->error), TIDE_OK);
  assert_int_equal(tide_entry_next(&reader, &raw, &f->error), TIDE_OK);
  assert_int_equal(raw.type, TIDE_REC_FENCE);
  assert_int_equal(tide_fence_decode(&raw, &fence_back, &f->error), TIDE_OK);
  assert_memory_equal(&fence, &fence_back, sizeof fence.nonce + sizeof fence.epoch + sizeof fence.engine_id);
  assert_true(tide_u128_eq(fence.session, fence_back.session));
  for (size_t len = 0; len < raw.payload.len; len++) {
    struct tide_raw_record cut = {raw.type, 0, {raw.payload.ptr, len}};
    assert_int_equal(tide_fence_decode(&cut, &fence_back, &f->error), TIDE_E_CORRUPT);
  }
  raw.flags = 1;
  assert_int_equal(tide_fence_decode(&raw, &fence_back, &f->error), TIDE_E_VERSION);

  assert_int_equal(tide_entry_next(&reader, &raw, &f->error), TIDE_OK);
  assert_int_equal(tide_config_decode(&raw, &back, &features, &f->error), TIDE_OK);
  assert_true(tide_span_is(features, "tidemark: 1\n"));
  assert_int_equal(back.lateness_ms, 5);
  assert_int_equal(back.replay, 1);
  for (size_t len = 0; len < raw.payload.len; len++) {
    struct tide_raw_record cut = {raw.type, 0, {raw.payload.ptr, len}};
    assert_int_not_equal(tide_config_decode(&cut, &back, &features, &f->error), TIDE_OK);
  }

  assert_int_equal(tide_entry_next(&reader, &raw, &f->error), TIDE_OK);
  assert_int_equal(tide_digest_decode(&raw, &digest_back, &f->error), TIDE_OK);
  assert_true(digest_back.decisions == digest.decisions && tide_u128_eq(digest.digest, digest_back.digest) && digest_back.state_hash == 99);
  for (size_t len = 0; len < raw.payload.len; len++) {
    struct tide_raw_record cut = {raw.type, 0, {raw.payload.ptr, len}};
    assert_int_equal(tide_digest_decode(&cut, &digest_back, &f->error), TIDE_E_CORRUPT);
  }
}

/* An entry with one random record of every type. */
static void make_entry(struct fixture *f, uint64_t seed) {
  struct tide_record *record = tide_alloc(sizeof *record);
  struct tide_cursor_part part = {.next = 9};
  tide_batch_begin(&f->batch, &f->out, &some_header, &part, 1);
  for (int i = 0; i < 6; i++) {
    any_record(&seed, f->spec, record);
    assert_int_equal(tide_batch_add(&f->batch, f->spec, record), TIDE_OK);
  }
  tide_batch_end(&f->batch);
  tide_free(record);
}

static void seal(char *entry, size_t len) {
  uint32_t crc = tide_crc32c(0, entry, len - 4);
  for (unsigned i = 0; i < 4; i++) {
    entry[len - 4 + i] = (char)(uint8_t)(crc >> (8 * i));
  }
}

/* Decodes everything; a copy of exact size lets the address sanitizer see the first byte too far. */
static enum tide_err decode_all(struct fixture *f, const char *bytes, size_t len) {
  char *copy = malloc(len ? len : 1);
  memcpy(copy, bytes, len);
  struct tide_record *record = tide_alloc(sizeof *record);
  struct tide_entry_reader reader;
  struct tide_raw_record raw;
  enum tide_err err = tide_entry_open(&reader, (struct tide_span){copy, len}, f->part, &f->error);
  while (!err) {
    err = tide_entry_next(&reader, &raw, &f->error);
    if (!err) {
      err = tide_record_decode(f->spec, &raw, record, &f->error);
    }
  }
  tide_free(record);
  free(copy);
  return err;
}

static void every_truncation_is_corrupt(void **state) {
  struct fixture *f = *state;
  for (uint64_t seed = 1; seed < 4; seed++) {
    make_entry(f, seed);
    char *bytes = malloc(f->out.len);
    for (size_t len = 0; len < f->out.len; len++) {
      memcpy(bytes, f->out.ptr, len);
      assert_int_equal(decode_all(f, bytes, len), TIDE_E_CORRUPT);
      /* Even with a checksum that is right for what is left. */
      if (len >= 52) {
        seal(bytes, len);
        assert_int_equal(decode_all(f, bytes, len), TIDE_E_CORRUPT);
      }
    }
    assert_int_equal(decode_all(f, f->out.ptr, f->out.len), TIDE_E_END);
    free(bytes);
  }
}

static void every_flipped_bit_is_corrupt(void **state) {
  struct fixture *f = *state;
  make_entry(f, 5);
  for (size_t bit = 0; bit < f->out.len * 8; bit++) {
    f->out.ptr[bit / 8] ^= (char)(1 << (bit % 8));
    assert_int_equal(decode_all(f, f->out.ptr, f->out.len), TIDE_E_CORRUPT);
    f->out.ptr[bit / 8] ^= (char)(1 << (bit % 8));
  }
}

/* Resealed after the change: the checksum is right, so every other check has to stand on its own. Most values are legal somewhere. */
static void resealed_garbage_never_crashes(void **state) {
  struct fixture *f = *state;
  unsigned seen[TIDE_ERR_COUNT] = {0};
  uint64_t seed = 9;
  for (int round = 0; round < 60; round++) {
    make_entry(f, (uint64_t)round + 100);
    for (int i = 0; i < 400; i++) {
      size_t at = test_random(&seed) % (f->out.len - 4);
      char was = f->out.ptr[at];
      f->out.ptr[at] = (char)(uint8_t)test_random(&seed);
      seal(f->out.ptr, f->out.len);
      seen[decode_all(f, f->out.ptr, f->out.len)]++;
      f->out.ptr[at] = was;
    }
  }
  assert_int_equal(seen[TIDE_OK], 0);
  assert_true(seen[TIDE_E_END] > 0 && seen[TIDE_E_CORRUPT] > 0);
  assert_int_equal(seen[TIDE_E_END] + seen[TIDE_E_CORRUPT] + seen[TIDE_E_VERSION], 60 * 400);
}

static void unknown_versions_stop(void **state) {
  struct fixture *f = *state;
  static const struct {
    size_t at;
    char value;
    enum tide_err want;
  } cases[] = {
      {0, 'X', TIDE_E_CORRUPT},      {4, 2, TIDE_E_VERSION},           {6, 1, TIDE_E_VERSION},       {12, 1, TIDE_E_VERSION},
      {52, 1, TIDE_E_CORRUPT},       {56, 11, TIDE_E_CORRUPT},         {48 + 56, 7, TIDE_E_VERSION}, {48 + 56, 0, TIDE_E_VERSION},
      {48 + 56, 16, TIDE_E_VERSION}, {48 + 56 + 1, 8, TIDE_E_VERSION}, {46, 7, TIDE_E_CORRUPT},      {46, 5, TIDE_E_CORRUPT},
      {45, 5, TIDE_E_CORRUPT},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    make_entry(f, 3);
    f->out.ptr[cases[i].at] = cases[i].value;
    seal(f->out.ptr, f->out.len);
    enum tide_err err = decode_all(f, f->out.ptr, f->out.len);
    if (err != cases[i].want) {
      fail_msg("byte %zu set to %d gives %s", cases[i].at, cases[i].value, tide_err_name(err));
    }
    assert_true(f->error.text[0] != '\0');
  }
}

/* A record is held against the declaration of its fields, so an entry of another feature file does not pass. */
static void another_spec_does_not_fit(void **state) {
  struct fixture *f = *state;
  struct tide_record *record = tide_alloc(sizeof *record), *back = tide_alloc(sizeof *back);
  struct tide_entry_reader reader;
  struct tide_raw_record raw;
  uint64_t seed = 17;
  any_record(&seed, f->spec, record);
  record->type = TIDE_REC_EVENT;
  for (uint32_t i = 0; i < TIDE_FIELDS_MAX; i++) {
    do {
      any_datum(&seed, &f->spec->field[i], &record->field[i]);
    } while (record->field[i].kind == TIDE_D_NONE);
  }
  tide_batch_begin(&f->batch, &f->out, &some_header, NULL, 0);
  assert_int_equal(tide_batch_add(&f->batch, f->spec, record), TIDE_OK);
  tide_batch_end(&f->batch);
  assert_int_equal(tide_entry_open(&reader, tide_buf_span(&f->out), f->part, &f->error), TIDE_OK);
  assert_int_equal(tide_entry_next(&reader, &raw, &f->error), TIDE_OK);
  for (uint32_t i = 0; i < TIDE_FIELDS_MAX; i++) {
    struct tide_field was = f->spec->field[i];
    for (unsigned type = TIDE_F_TEXT; type <= TIDE_F_TIME; type++) {
      for (unsigned secret = 0; secret < 2; secret++) {
        f->spec->field[i].type = (uint8_t)type;
        f->spec->field[i].secret = secret;
        enum tide_err err = tide_record_decode(f->spec, &raw, back, &f->error);
        bool same = secret == was.secret && (secret || type == was.type);
        bool plain =
            !secret && !was.secret && type != TIDE_F_TEXT && type != TIDE_F_MONEY && was.type != TIDE_F_TEXT && was.type != TIDE_F_MONEY;
        assert_true(same ? err == TIDE_OK : err == TIDE_E_CORRUPT || (plain && err == TIDE_OK));
        if (err) {
          assert_string_equal(f->error.field, was.name);
        }
      }
    }
    f->spec->field[i] = was;
  }
  f->spec->field_count = TIDE_FIELDS_MAX - 1;
  assert_int_equal(tide_record_decode(f->spec, &raw, back, &f->error), TIDE_E_CORRUPT);
  f->spec->field_count = TIDE_FIELDS_MAX;
  tide_free(record);
  tide_free(back);
}

static void the_limits_hold(void **state) {
  struct fixture *f = *state;
  struct tide_record *record = tide_alloc(sizeof *record), *back = tide_alloc(sizeof *back);
  struct tide_entry_reader reader;
  struct tide_raw_record raw;
  record->type = TIDE_REC_EVENT;
  record->field[0] = (struct tide_datum){.kind = TIDE_D_TEXT, .text = {letters, 65535}};
  record->field[6] = record->field[0];
  tide_batch_begin(&f->batch, &f->out, &some_header, NULL, 0);
  unsigned count = 0;
  while (tide_batch_add(&f->batch, f->spec, record) == TIDE_OK) {
    count++;
  }
  assert_int_equal(count, 7);
  /* What did not fit left nothing; smaller ones still go in until the entry is full to the last byte. */
  size_t before = f->out.len;
  assert_int_equal(tide_batch_add(&f->batch, f->spec, record), TIDE_E_LIMIT);
  assert_int_equal(f->out.len, before);
  record->field[6].kind = TIDE_D_NONE;
  for (record->field[0].text.len = 65535; record->field[0].text.len > 0;) {
    if (tide_batch_add(&f->batch, f->spec, record) != TIDE_OK) {
      record->field[0].text.len--;
    } else {
      count++;
    }
  }
  assert_true(f->out.len <= TIDE_ENTRY_MAX - 4 && f->out.len > TIDE_ENTRY_MAX - 64);
  assert_int_equal(f->batch.header.record_count, count);
  tide_batch_end(&f->batch);
  assert_int_equal(decode_all(f, f->out.ptr, f->out.len), TIDE_E_END);

  /* The number of records. */
  struct tide_record *small = tide_alloc(sizeof *small);
  small->type = TIDE_REC_HEARTBEAT;
  tide_batch_begin(&f->batch, &f->out, &some_header, NULL, 0);
  for (unsigned i = 0; i < TIDE_BATCH_RECORDS_MAX; i++) {
    assert_int_equal(tide_batch_add(&f->batch, f->spec, small), TIDE_OK);
  }
  assert_int_equal(tide_batch_add(&f->batch, f->spec, small), TIDE_E_LIMIT);
  tide_batch_end(&f->batch);
  assert_int_equal(tide_entry_open(&reader, tide_buf_span(&f->out), f->part, &f->error), TIDE_OK);
  for (count = 0; tide_entry_next(&reader, &raw, &f->error) == TIDE_OK; count++) {
    assert_int_equal(tide_record_decode(f->spec, &raw, back, &f->error), TIDE_OK);
  }
  assert_int_equal(count, TIDE_BATCH_RECORDS_MAX);

  /* All cursor parts, and a feature file that is too long. */
  struct tide_cursor_part *part = tide_alloc(TIDE_PARTS_MAX * sizeof *part);
  for (unsigned i = 0; i < TIDE_PARTS_MAX; i++) {
    part[i] = (struct tide_cursor_part){.partition = (uint16_t)i, .from = i, .next = i};
  }
  tide_batch_begin(&f->batch, &f->out, &some_header, part, TIDE_PARTS_MAX);
  struct tide_settings settings = tide_settings_default();
  char *features = tide_alloc(TIDE_ENTRY_MAX);
  assert_int_equal(tide_batch_add_config(&f->batch, &settings, (struct tide_span){features, TIDE_ENTRY_MAX}), TIDE_E_LIMIT);
  assert_int_equal(tide_batch_add_config(&f->batch, &settings, (struct tide_span){features, TIDE_ENTRY_MAX - 60000}), TIDE_OK);
  tide_batch_end(&f->batch);
  assert_int_equal(tide_entry_open(&reader, tide_buf_span(&f->out), f->part, &f->error), TIDE_OK);
  assert_int_equal(f->part[TIDE_PARTS_MAX - 1].partition, TIDE_PARTS_MAX - 1);
  tide_free(features);
  tide_free(part);
  tide_free(small);
  tide_free(record);
  tide_free(back);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(records_come_back_as_they_were, setup, teardown),
      cmocka_unit_test_setup_teardown(the_bytes_are_those_of_the_drawing, setup, teardown),
      cmocka_unit_test_setup_teardown(control_records_come_back, setup, teardown),
      cmocka_unit_test_setup_teardown(every_truncation_is_corrupt, setup, teardown),
      cmocka_unit_test_setup_teardown(every_flipped_bit_is_corrupt, setup, teardown),
      cmocka_unit_test_setup_teardown(resealed_garbage_never_crashes, setup, teardown),
      cmocka_unit_test_setup_teardown(unknown_versions_stop, setup, teardown),
      cmocka_unit_test_setup_teardown(another_spec_does_not_fit, setup, teardown),
      cmocka_unit_test_setup_teardown(the_limits_hold, setup, teardown),
  };
  return cmocka_run_group_tests_name("batch", tests, NULL, NULL);
}
