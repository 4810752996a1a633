/* Decode rates: messages of about 340 bytes, the same transactions as JSON lines, as CSV rows and in Avro, one core.
 *
 * Usage: bench_decode [LINES]. Prints lines/s and MB/s and a hash over everything that was decoded, so that a run that did less
 * work, or other work, shows. The row "no secret" leaves out the keyed hash of the card number (BLAKE2b), the row "yajl walk" is
 * the floor: the parse alone, with nothing captured. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "adapter/decode.h"
#include "base/clock.h"
#include "tests/support/avro_bytes.h"
#include "tests/support/mini_spec.h"

#define DISTINCT 1000

static uint64_t mix(uint64_t *seed) {
  uint64_t z = *seed += UINT64_C(0x9E3779B97F4A7C15);
  z = (z ^ z >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
  z = (z ^ z >> 27) * UINT64_C(0x94D049BB133111EB);
  return z ^ z >> 31;
}

static void make_json(struct tide_buf *out, uint64_t seed, unsigned i) {
  uint64_t a = mix(&seed), b = mix(&seed);
  tide_buf_printf(out,
                  "{\"id\":\"%012" PRIu64 "/%06u\",\"type\":\"auth\",\"transmitted_at\":\"2026-03-%02uT%02u:%02u:%02u.%03uZ\","
                  "\"billing\":{\"amount\":%u.%02u,\"currency\":\"EUR\"},\"card\":{\"number\":\"4%015" PRIu64 "\",\"expiry\":\"2812\"},"
                  "\"merchant\":{\"id\":\"M%09" PRIu64 "\",\"mcc\":%u,\"country\":\"NL\"},\"place\":[52.%06u,4.%06u],\"chip\":%s,"
                  "\"ip\":\"203.0.%u.%u\",\"email\":\"user%u@example.com\",\"pos\":{\"entry\":\"05\",\"terminal\":\"T%07u\"}}",
                  a % 1000000000000, i, i % 28 + 1, i % 24, i % 60, (unsigned)(b % 60), (unsigned)(a % 1000), (unsigned)(b % 900),
                  (unsigned)(a % 100), b % 1000000000000000, a % 1000000000, 3000 + i % 6000, (unsigned)(a % 1000000),
                  (unsigned)(b % 1000000), i % 2 ? "true" : "false", (unsigned)(a % 256), (unsigned)(b % 256), (unsigned)(a % 100000),
                  (unsigned)(b % 10000000));
}

static void make_csv(struct tide_buf *out, uint64_t seed, unsigned i) {
  uint64_t a = mix(&seed), b = mix(&seed);
  tide_buf_printf(out, "%012" PRIu64 "/%06u,%" PRIu64 ",auth,%u,4%015" PRIu64 ",M%09" PRIu64 ",%s,%s,,", a % 1000000000000, i,
                  UINT64_C(1772359200000) + b % 86400000, (unsigned)(b % 90000), b % 1000000000000000, a % 1000000000, i % 2 ? "yes" : "no",
                  i % 7 ? "approved" : "declined");
  for (int k = 0; k < 16; k++) tide_buf_printf(out, k == 8 ? ",\"a cell, quoted\"" : ",%012" PRIu64, mix(&seed) % 1000000000000);
}
#define CSV_HEADER "id,ts,kind,minor,pan,merchant,chip,result,label,u0,u1,u2,u3,u4,u5,u6,u7,u8,u9,u10,u11,u12,u13,u14,u15,u16"

#define FIELD(name, type) "{\"name\":\"" name "\",\"type\":" type "}"
#define RECORD(name, fields) "{\"type\":\"record\",\"name\":\"" name "\",\"fields\":[" fields "]}"
#define TEXT "\"string\""
static const char avro_schema[] = RECORD(
    "Auth",
    FIELD("id", TEXT) "," FIELD("type", TEXT) "," FIELD("transmitted_at", "{\"type\":\"long\",\"logicalType\":\"timestamp-millis\"}") "," FIELD(
        "billing",
        RECORD("Billing", FIELD("amount", "{\"type\":\"bytes\",\"logicalType\":\"decimal\",\"precision\":12,\"scale\":2}") "," FIELD(
                              "currency", TEXT))) ","                                                                   //
    FIELD("card", RECORD("Card", FIELD("number", TEXT) "," FIELD("expiry", TEXT))) ","                                  //
    FIELD("merchant", RECORD("Merchant", FIELD("id", TEXT) "," FIELD("mcc", "\"int\"") "," FIELD("country", TEXT))) "," //
    FIELD("place", "{\"type\":\"array\",\"items\":\"double\"}") "," FIELD("chip", "[\"null\",\"boolean\"]") "," FIELD("ip", TEXT) "," FIELD(
        "email", TEXT) "," FIELD("pos", RECORD("Pos", FIELD("entry", TEXT) "," FIELD("terminal", TEXT))));

static void make_avro(struct tide_buf *out, uint64_t seed, unsigned i) {
  uint64_t a = mix(&seed), b = mix(&seed);
  char text[64];
  uint8_t amount[4];
  tide_buf_put(out, "\0\0\0\0\1", 5);
  snprintf(text, sizeof text, "%012" PRIu64 "/%06u", a % 1000000000000, i);
  wire_text(out, text);
  wire_text(out, "auth");
  wire_long(out, INT64_C(1772359200000) + (int64_t)(b % 86400000));
  wire_unscaled(amount, 4, (int64_t)(b % 90000));
  wire_run(out, amount, 4);
  wire_text(out, "EUR");
  snprintf(text, sizeof text, "4%015" PRIu64, b % 1000000000000000);
  wire_text(out, text);
  wire_text(out, "2812");
  snprintf(text, sizeof text, "M%09" PRIu64, a % 1000000000);
  wire_text(out, text);
  wire_long(out, 3000 + i % 6000);
  wire_text(out, "NL");
  wire_long(out, 2);
  wire_double(out, (double)(52000000 + a % 1000000) / 1e6);
  wire_double(out, (double)(4000000 + b % 1000000) / 1e6);
  wire_long(out, 0);
  wire_long(out, 1);
  tide_buf_char(out, i % 2);
  snprintf(text, sizeof text, "203.0.%u.%u", (unsigned)(a % 256), (unsigned)(b % 256));
  wire_text(out, text);
  snprintf(text, sizeof text, "user%u@example.com", (unsigned)(a % 100000));
  wire_text(out, text);
  wire_text(out, "05");
  snprintf(text, sizeof text, "T%07u", (unsigned)(b % 10000000));
  wire_text(out, text);
}

/* The schema's file is gone again before the first message: what was read is kept. */
static struct tide_schemas *make_schemas(void) {
  char dir[] = "/tmp/bench-decode-XXXXXX", path[64];
  TIDE_CHECK(mkdtemp(dir));
  wire_store(dir, 1, avro_schema);
  struct tide_schemas *schemas = wire_open(dir);
  snprintf(path, sizeof path, "%s/1.avsc", dir);
  TIDE_CHECK(unlink(path) == 0 && rmdir(dir) == 0);
  return schemas;
}

static uint64_t hash_record(const struct tide_spec *spec, const struct tide_record *r, uint64_t h) {
  h = tide_hash64(&r->time.ms, sizeof r->time.ms, h ^ r->type);
  for (uint32_t i = 0; i < spec->field_count; i++) {
    const struct tide_datum *d = &r->field[i];
    h ^= d->kind;
    if (d->kind == TIDE_D_TEXT) h = tide_hash64(d->text.ptr, d->text.len, h);
    if (d->kind == TIDE_D_INT) h = tide_hash64(&d->num, sizeof d->num, h);
    if (d->kind == TIDE_D_KEY) h = tide_hash64(&d->key, sizeof d->key, h);
  }
  return tide_hash64(&r->outcome.set, sizeof r->outcome.set, h);
}

static int run(const char *name, const struct tide_spec *spec, const char *shape, enum tide_format format, size_t lines) {
  struct tide_secret_key key = mini_key(9);
  struct tide_error error;
  struct tide_decoder *decoder;
  struct tide_decode_options options = {
      .spec = spec, .key = &key, .shape = shape, .format = format, .schemas = format == TIDE_FORMAT_AVRO ? make_schemas() : NULL};
  struct tide_buf text = TIDE_BUF_INIT;
  size_t begin[DISTINCT + 1];
  for (unsigned i = 0; i < DISTINCT; i++) {
    begin[i] = text.len;
    if (format == TIDE_FORMAT_CSV) make_csv(&text, i, i);
    else if (format == TIDE_FORMAT_AVRO) make_avro(&text, i, i);
    else make_json(&text, i, i);
  }
  begin[DISTINCT] = text.len;
  if (tide_decoder_new(&options, &decoder, &error) ||
      (format == TIDE_FORMAT_CSV && tide_decode_header(decoder, tide_span_of(CSV_HEADER), &error))) {
    fprintf(stderr, "%s\n", error.text);
    return 1;
  }
  static struct tide_record record[2];
  uint64_t hash = 0;
  size_t bytes = 0;
  int count, status = 0;
  for (unsigned i = 0; i < DISTINCT; i++) { /* untimed: the hash of every distinct result, and warm caches */
    struct tide_span line = {text.ptr + begin[i], begin[i + 1] - begin[i]};
    if (tide_decode(decoder, line, record, &count, &error)) {
      fprintf(stderr, "%s: %s\n", name, error.text);
      status = 1;
      break;
    }
    for (int k = 0; k < count; k++) hash = hash_record(spec, &record[k], hash);
  }
  struct tide_mono from = tide_mono_now();
  uint64_t sum = 0;
  for (size_t i = 0; i < lines && !status; i++) {
    size_t at = i % DISTINCT;
    struct tide_span line = {text.ptr + begin[at], begin[at + 1] - begin[at]};
    status = tide_decode(decoder, line, record, &count, &error) != TIDE_OK;
    sum += (uint64_t)record[0].time.ms;
    bytes += line.len + 1;
  }
  double s = (double)(tide_mono_now().ns - from.ns) / 1e9;
  printf("%-18s %9.0f lines/s %8.1f MB/s %6.0f ns/line %5zu B/line   hash %016" PRIx64 " sum %" PRIu64 "\n", name, (double)lines / s,
         (double)bytes / 1e6 / s, s * 1e9 / (double)lines, bytes / lines, hash, sum);
  tide_decoder_free(decoder);
  tide_schemas_close(options.schemas);
  tide_buf_release(&text);
  return status;
}

int main(int argc, char **argv) {
  size_t lines = argc > 1 ? strtoul(argv[1], NULL, 10) : 300000;
  if (lines == 0) {
    fprintf(stderr, "usage: bench_decode [LINES]\n");
    return 2;
  }
  struct tide_spec *spec = mini_cards();
  int status = run("json", spec, NULL, TIDE_FORMAT_JSON, lines) | run("csv", spec, "flat", TIDE_FORMAT_CSV, lines) |
               run("avro", spec, NULL, TIDE_FORMAT_AVRO, lines);
  uint32_t pan = mini_index(spec, "pan");
  spec->field[pan].secret = false;
  status |= run("json, no secret", spec, NULL, TIDE_FORMAT_JSON, lines) | run("csv, no secret", spec, "flat", TIDE_FORMAT_CSV, lines) |
            run("avro, no secret", spec, NULL, TIDE_FORMAT_AVRO, lines);
  struct tide_spec *none = mini_new();
  mini_field(none, "time", TIDE_F_TIME);
  none->f_time = 0;
  mini_opt(mini_in(none, mini_shape(none, "default", TIDE_REC_EVENT), "time", "/not/there"));
  status |= run("json, yajl walk", none, NULL, TIDE_FORMAT_JSON, lines);
  mini_free(none);
  mini_free(spec);
  return status;
}
