/* The same content in Avro and in JSON gives the same records, or the same error.
 *
 * A generator writes one message three times, side by side: the schema, the value in Avro's encoding, the value as JSON. Fields of the feature file are there or
 * not, in any type that can hold them, in unions, enums, decimals, maps, arrays of several blocks, with values that are right and values that are not. Both decoders
 * must agree on code and field of the error or on every field of the records; the masked messages must be equal as JSON. libavro must be able to
 * read what the generator wrote, so that its encoding is Avro's and not a mistake that generator and decoder share. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <avro.h>
#include <ctype.h>
#include <jansson.h>

#include "adapter/decode.h"
#include "base/json_out.h"
#include "tests/oracle/rng.h"
#include "tests/support/avro_bytes.h"
#include "tests/support/journal_dir.h"
#include "tests/support/mini_spec.h"

struct gen {
  struct or_rng rng;
  struct tide_buf schema, json, avro;
  int names;  /* of types, so far */
  bool times; /* some time is written in another form than in JSON */
};

static bool chance(struct gen *g, int percent) { return or_percent(&g->rng, percent); }

static void name(struct gen *g, const char *key) {
  if (g->schema.ptr[g->schema.len - 1] != '[') tide_buf_char(&g->schema, ',');
  tide_buf_printf(&g->schema, "{\"name\":\"%s\",\"type\":", key);
  tide_json_key(&g->json, key);
}
static void json_number(struct gen *g, const char *text) { tide_json_raw(&g->json, tide_span_of(text)); }

/* ---- scalars: one value in any type that holds it ---- */

static bool is_symbol(const char *text) {
  if (!isalpha((unsigned char)text[0]) && text[0] != '_') return false;
  for (; *text; text++)
    if (!isalnum((unsigned char)*text) && *text != '_') return false;
  return true;
}

static void put_text(struct gen *g, const char *text, bool textual) {
  int how = or_below(&g->rng, 8);
  tide_json_cstr(&g->json, text);
  if (how == 0 && is_symbol(text)) {
    bool second = chance(g, 50) && strcmp(text, "other") != 0;
    tide_buf_printf(&g->schema, "{\"type\":\"enum\",\"name\":\"N%d\",\"symbols\":[%s\"%s\",\"last\"]}", g->names++,
                    second ? "\"other\"," : "", text);
    wire_long(&g->avro, second);
  } else if (how == 1 && textual) {
    tide_buf_str(&g->schema, "\"bytes\"");
    wire_text(&g->avro, text);
  } else if (how == 2 && textual && text[0]) {
    tide_buf_printf(&g->schema, "{\"type\":\"fixed\",\"name\":\"N%d\",\"size\":%zu}", g->names++, strlen(text));
    tide_buf_str(&g->avro, text);
  } else {
    tide_buf_str(&g->schema, how == 3 ? "{\"type\":\"string\",\"avro.java.string\":\"String\"}" : "\"string\"");
    wire_text(&g->avro, text);
  }
}

static void put_int(struct gen *g, int64_t v) {
  char text[32];
  snprintf(text, sizeof text, "%" PRId64, v);
  int how = or_below(&g->rng, 5);
  if (how == 0) {
    put_text(g, text, false);
    return;
  }
  json_number(g, text);
  if (how == 1 && v > -(INT64_C(1) << 53) && v < INT64_C(1) << 53 && v != 0 && strlen(text) < 15) {
    tide_buf_str(&g->schema, "\"double\"");
    wire_double(&g->avro, (double)v);
  } else if (how == 2 && v >= INT32_MIN && v <= INT32_MAX) {
    tide_buf_str(&g->schema, "\"int\"");
    wire_long(&g->avro, v);
  } else {
    tide_buf_str(&g->schema, "\"long\"");
    wire_long(&g->avro, v);
  }
}

/* Without zeros at the end of a fraction: a double does not keep them. */
static const char *shortest(char *text) {
  size_t len = strlen(text);
  if (!strchr(text, '.')) return text;
  while (text[len - 1] == '0') len--;
  if (text[len - 1] == '.') len--;
  text[len] = 0;
  return text;
}

/* unscaled / 10^scale */
static void put_decimal(struct gen *g, int64_t unscaled, int scale) {
  char text[64];
  int64_t power = 1;
  for (int i = 0; i < scale; i++) power *= 10;
  uint64_t size = unscaled < 0 ? 0 - (uint64_t)unscaled : (uint64_t)unscaled;
  int len = snprintf(text, sizeof text, "%s%" PRIu64, unscaled < 0 ? "-" : "", size / (uint64_t)power);
  if (scale) snprintf(text + len, sizeof text - (size_t)len, ".%0*" PRIu64, scale, size % (uint64_t)power);
  uint8_t bytes[16];
  int how = or_below(&g->rng, 6);
  size_t width = how == 0 ? 9 + (size_t)or_below(&g->rng, 8) : 8;
  wire_unscaled(bytes, width, unscaled);
  if (how <= 1) {
    json_number(g, text);
    tide_buf_printf(&g->schema, "{\"type\":\"bytes\",\"logicalType\":\"decimal\",\"precision\":19,\"scale\":%d}", scale);
    wire_run(&g->avro, bytes, width);
  } else if (how == 2) {
    json_number(g, text);
    tide_buf_printf(&g->schema,
                    "{\"type\":\"fixed\",\"name\":\"N%d\",\"size\":8,\"logicalType\":\"decimal\",\"precision\":18,\"scale\":%d}",
                    g->names++, scale);
    tide_buf_put(&g->avro, bytes, 8);
  } else if (how == 3 && size < 1000000 && strtof(text, NULL) != 0) {
    json_number(g, shortest(text)); /* up to 6 digits survive a float */
    tide_buf_str(&g->schema, "\"float\"");
    wire_float(&g->avro, strtof(text, NULL));
  } else if (how == 4 && size < INT64_C(1000000000000000) && size) {
    json_number(g, shortest(text)); /* and up to 15 a double */
    tide_buf_str(&g->schema, "\"double\"");
    wire_double(&g->avro, strtod(text, NULL));
  } else {
    put_text(g, text, false);
  }
}

static void put_bool(struct gen *g, bool v) {
  if (chance(g, 30)) {
    put_text(g, v ? "yes" : "0", false);
    return;
  }
  tide_json_bool(&g->json, v);
  tide_buf_str(&g->schema, "\"boolean\"");
  tide_buf_char(&g->avro, v);
}

static void put_null(struct gen *g) {
  tide_json_null(&g->json);
  tide_buf_str(&g->schema, "\"null\"");
}

/* A time of the form that the feature file wants in JSON. */
static void put_time(struct gen *g, bool epoch_ms) {
  int64_t ms = INT64_C(1700000000000) + (int64_t)(or_next(&g->rng) % UINT64_C(100000000000));
  char text[TIDE_TIME_TEXT];
  int how = or_below(&g->rng, 4);
  if (chance(g, 5)) ms = chance(g, 50) ? -ms : 0;
  tide_time_format((struct tide_etime){ms}, text);
  if (how == 0) {
    if (epoch_ms) put_int(g, ms);
    else put_text(g, text, false);
    return;
  }
  if (epoch_ms) tide_json_int(&g->json, ms);
  else tide_json_cstr(&g->json, text);
  g->times = true;
  tide_buf_printf(&g->schema, "{\"type\":\"long\",\"logicalType\":\"timestamp-%s\"}", how == 1 ? "micros" : "millis");
  wire_long(&g->avro, how == 1 ? ms * 1000 : ms);
}

/* ---- what is not right, and what nobody reads ---- */

static void put_any(struct gen *g, int depth);

static void put_record(struct gen *g, int fields, int depth) {
  char key[16];
  tide_buf_printf(&g->schema, "{\"type\":\"record\",\"name\":\"N%d\",\"fields\":[", g->names++);
  tide_json_open(&g->json, '{');
  for (int i = 0; i < fields; i++) {
    snprintf(key, sizeof key, "u%d", i);
    name(g, key);
    put_any(g, depth + 1);
    tide_buf_char(&g->schema, '}');
  }
  tide_json_close(&g->json, '}');
  tide_buf_str(&g->schema, "]}");
}

static void put_any(struct gen *g, int depth) {
  static const char *const texts[] = {"",     "a",  "\"quoted\\\"", "tab\there", "\x01", "\xF0\x9F\x98\x80 and \xC3\xA9",
                                      "true", "12", "1e3",          " x "};
  switch (or_below(&g->rng, depth < 4 ? 9 : 6)) {
    case 0: put_null(g); break;
    case 1: put_bool(g, chance(g, 50)); break;
    case 2: put_int(g, (int64_t)or_next(&g->rng)); break;
    case 3: put_decimal(g, (int64_t)(or_next(&g->rng) >> 20), or_below(&g->rng, 7)); break;
    case 4: put_text(g, OR_PICK(&g->rng, texts), false); break;
    case 5: /* where a time may be asked for, it would be in its form */
      if (depth > 0) put_time(g, true);
      else put_bool(g, true);
      break;
    case 6: put_record(g, or_below(&g->rng, 4), depth); break;
    case 7:
      tide_buf_str(&g->schema, "{\"type\":\"array\",\"items\":\"long\"}");
      tide_json_open(&g->json, '[');
      for (int n = or_below(&g->rng, 5); n > 0; n--) {
        tide_json_int(&g->json, n);
        wire_long(&g->avro, 1);
        wire_long(&g->avro, n);
      }
      wire_long(&g->avro, 0);
      tide_json_close(&g->json, ']');
      break;
    default:
      tide_buf_str(&g->schema, "{\"type\":\"map\",\"values\":[\"string\",\"null\"]}");
      tide_json_open(&g->json, '{');
      if (chance(g, 70)) {
        bool again = chance(g, 3); /* a key twice is refused in both */
        wire_long(&g->avro, 2);
        for (int i = 0; i < 2; i++) {
          const char *key = i && !again ? "k\xC3\xA9y" : "number";
          tide_json_key(&g->json, key);
          tide_json_null(&g->json);
          wire_text(&g->avro, key);
          wire_long(&g->avro, 1);
        }
      }
      wire_long(&g->avro, 0);
      tide_json_close(&g->json, '}');
  }
}

/* ---- fields ---- */

enum class { TEXT, AMOUNT, DIGITS, WORD, CODE, YES, TIME_TEXT, TIME_MS, COORDINATE, RATE, CURRENCY, LIST };

static void put_class(struct gen *g, enum class class) {
  static const char *const texts[] = {
      "a1", "M7", "4111111111111111", " 5500000000000004 ", "203.0.113.9", "Jo.Doe+x@Gmail.com", "\xC3\x84", "", "x y", "99"};
  static const char *const words[] = {"approved", "declined", "fraud", "genuine", "full", "none", "partial", "pending", "Fraud"};
  static const char *const codes[] = {"00", "10", "51", "99", "approved"};
  static const char *const currencies[] = {"EUR", "USD", "JPY", "978", "eur", "XYZ", ""};
  static const char *const lists[] = {"blocked_cards", "trusted_merchants", "trusted"};
  switch (class) {
    case TEXT:
      if (chance(g, 15)) put_int(g, (int64_t)(or_next(&g->rng) >> (1 + or_below(&g->rng, 62))));
      else put_text(g, OR_PICK(&g->rng, texts), true);
      break;
    case AMOUNT:
      put_decimal(g, chance(g, 4) ? -5 : (int64_t)(or_next(&g->rng) >> (24 + or_below(&g->rng, 36))), or_below(&g->rng, 4));
      break;
    case DIGITS: put_int(g, (int64_t)or_next(&g->rng) >> (or_below(&g->rng, 60))); break;
    case WORD: put_text(g, OR_PICK(&g->rng, words), true); break;
    case CODE: put_text(g, OR_PICK(&g->rng, codes), true); break;
    case YES: put_bool(g, chance(g, 50)); break;
    case TIME_TEXT: put_time(g, false); break;
    case TIME_MS: put_time(g, true); break;
    case COORDINATE: put_decimal(g, (int64_t)(or_next(&g->rng) % 180000000) - 90000000, 4 + or_below(&g->rng, 3)); break;
    case RATE: put_decimal(g, (int64_t)(or_next(&g->rng) >> 34), or_below(&g->rng, 9)); break;
    case CURRENCY: put_text(g, OR_PICK(&g->rng, currencies), true); break;
    case LIST: put_text(g, OR_PICK(&g->rng, lists), true); break;
  }
}

/* A value, sometimes in a union, sometimes null, sometimes of a type that nobody expects there. */
static void put_value(struct gen *g, enum class class) {
  int how = or_below(&g->rng, 10);
  bool odd = chance(g, 2);
  if (how >= 3) {
    if (odd) put_any(g, 0);
    else put_class(g, class);
    return;
  }
  bool null = chance(g, 25), first = how == 0;
  size_t json = g->json.len, avro;
  tide_buf_str(&g->schema, first ? "[\"null\"," : "[");
  wire_long(&g->avro, first ? 1 : 0);
  avro = g->avro.len;
  if (how == 1 && chance(g, 20)) put_text(g, "5411", false);
  else put_class(g, class);
  tide_buf_str(&g->schema, first ? "]" : ",\"null\"]");
  if (!null) return;
  g->json.len = json; /* the type stays, the value was not there */
  tide_json_null(&g->json);
  g->avro.len = avro - 1;
  wire_long(&g->avro, first ? 0 : 1);
}

static void field(struct gen *g, const char *key, enum class class, int percent) {
  if (!chance(g, percent)) return;
  name(g, key);
  put_value(g, class);
  tide_buf_char(&g->schema, '}');
}

static void object(struct gen *g, const char *key) {
  name(g, key);
  tide_buf_printf(&g->schema, "{\"type\":\"record\",\"name\":\"N%d\",\"fields\":[", g->names++);
  tide_json_open(&g->json, '{');
}
static void object_end(struct gen *g) {
  tide_buf_str(&g->schema, "]}}");
  tide_json_close(&g->json, '}');
}

static void place(struct gen *g) {
  int count = or_below(&g->rng, 4);
  name(g, "place");
  tide_buf_str(&g->schema, "{\"type\":\"array\",\"items\":{\"type\":\"bytes\",\"logicalType\":\"decimal\",\"precision\":9,\"scale\":6}}}");
  tide_json_open(&g->json, '[');
  for (int i = 0; i < count; i++) {
    int32_t unscaled = (int32_t)(or_next(&g->rng) % 90000000);
    char text[32];
    uint8_t bytes[4];
    snprintf(text, sizeof text, "%" PRId32 ".%06" PRId32, unscaled / 1000000, unscaled % 1000000);
    json_number(g, text);
    wire_unscaled(bytes, 4, unscaled);
    bool sized = chance(g, 50); /* each item a block of its own, half of them with their size */
    wire_long(&g->avro, sized ? -1 : 1);
    if (sized) wire_long(&g->avro, 5);
    wire_run(&g->avro, bytes, 4);
  }
  wire_long(&g->avro, 0);
  tide_json_close(&g->json, ']');
}

/* The card as a map: its key is data, not schema. */
static void card_map(struct gen *g) {
  static const char *const keys[] = {"number", "numbers", "expiry", "x"};
  name(g, "card");
  tide_buf_str(&g->schema, "{\"type\":\"map\",\"values\":\"string\"}}");
  tide_json_open(&g->json, '{');
  wire_long(&g->avro, 2);
  for (int i = 0; i < 2; i++) {
    const char *key = keys[i ? 1 + or_below(&g->rng, 3) : 0];
    tide_json_key(&g->json, key);
    tide_json_cstr(&g->json, "4111111111111111");
    wire_text(&g->avro, key);
    wire_text(&g->avro, "4111111111111111");
  }
  wire_long(&g->avro, 0);
  tide_json_close(&g->json, '}');
}

static const char *const types[] = {"auth", "auth", "auth", "advice",    "outcome", "outcome",
                                    "rate", "list", "list", "heartbeat", "profile", "profile"};

static void kind(struct gen *g, const char *type) {
  name(g, "type");
  put_text(g, type, true);
  tide_buf_char(&g->schema, '}');
}

static void message(struct gen *g, uint32_t id) {
  const char *type = OR_PICK(&g->rng, types);
  tide_buf_clear(&g->schema);
  tide_buf_clear(&g->json);
  wire_frame(&g->avro, id);
  g->names = 0;
  g->times = false;
  tide_buf_str(&g->schema, "{\"type\":\"record\",\"name\":\"Message\",\"namespace\":\"test\",\"fields\":[");
  tide_json_open(&g->json, '{');
  if (chance(g, 30)) field(g, "noise", TEXT, 100);
  if (chance(g, 97)) kind(g, type);
  field(g, "id", TEXT, 98);
  field(g, "transmitted_at", TIME_TEXT, 97);
  field(g, "at", TIME_TEXT, 90);
  if (chance(g, 90)) {
    object(g, "billing");
    field(g, "amount", AMOUNT, 95);
    field(g, "currency", CURRENCY, 95);
    object_end(g);
  }
  if (chance(g, 15)) {
    card_map(g);
  } else if (chance(g, 98)) {
    object(g, "card");
    field(g, "x", TEXT, 50);
    field(g, "number", TEXT, 98);
    object_end(g);
  }
  if (chance(g, 80)) {
    object(g, "merchant");
    field(g, "id", TEXT, 90);
    field(g, "mcc", DIGITS, 60);
    object_end(g);
  }
  if (chance(g, 60)) place(g);
  else if (chance(g, 50)) {
    object(g, "place"); /* an object with the keys of an array */
    object_end(g);
  }
  field(g, "chip", YES, 60);
  field(g, "ip", TEXT, 60);
  field(g, "email", TEXT, 60);
  field(g, "response_code", CODE, 50);
  field(g, "reason", TEXT, 40);
  field(g, "disputed", YES, 30);
  field(g, "label", WORD, 40);
  field(g, "reversed", WORD, 30);
  field(g, "amount_now", DIGITS, 30);
  field(g, "currency", CURRENCY, 90);
  field(g, "rate", RATE, 95);
  field(g, "list", LIST, 90);
  field(g, "expires", TIME_MS, 50);
  field(g, "remove", YES, 30);
  field(g, "limit", AMOUNT, 50);
  field(g, "segment", TEXT, 50);
  field(g, "risk", DIGITS, 30);
  field(g, "staff", YES, 30);
  field(g, "opened", TIME_TEXT, 40);
  if (chance(g, 50)) {
    name(g, "rest");
    put_any(g, 0);
    tide_buf_char(&g->schema, '}');
  }
  tide_buf_str(&g->schema, "]}");
  tide_json_close(&g->json, '}');
}

/* ---- comparing ---- */

static bool same_datum(const struct tide_datum *a, const struct tide_datum *b) {
  if (a->kind != b->kind) return false;
  switch ((enum tide_datum_kind)a->kind) {
    case TIDE_D_NONE: return true;
    case TIDE_D_TEXT: return tide_span_eq(a->text, b->text);
    case TIDE_D_INT: return a->num == b->num && a->exponent == b->exponent && memcmp(a->currency, b->currency, 4) == 0;
    case TIDE_D_KEY: return tide_u128_eq(a->key, b->key) && tide_u128_eq(a->alt, b->alt);
  }
  return false;
}

static bool same_record(const struct tide_spec *spec, const struct tide_record *a, const struct tide_record *b) {
  const struct tide_outcome *x = &a->outcome, *y = &b->outcome;
  bool same = a->type == b->type && a->flags == b->flags && a->time.ms == b->time.ms && a->key_id == b->key_id;
  for (uint32_t i = 0; i < spec->field_count; i++) same = same && same_datum(&a->field[i], &b->field[i]);
  return same && x->set == y->set && x->result == y->result && x->reversed == y->reversed && x->refunded == y->refunded &&
         x->disputed == y->disputed && x->label == y->label && memcmp(x->reason, y->reason, 8) == 0 && x->amount_now == y->amount_now &&
         memcmp(x->currency, y->currency, 4) == 0 && x->exponent == y->exponent && a->rate.rate_e10 == b->rate.rate_e10 &&
         memcmp(a->rate.currency, b->rate.currency, 4) == 0 && a->list.list == b->list.list && a->list.expires_ms == b->list.expires_ms &&
         a->list.remove == b->list.remove;
}

/* False when libavro cannot read all of it. */
static bool libavro_reads(const struct gen *g) {
  avro_schema_t schema;
  avro_value_t value;
  if (avro_schema_from_json_length(g->schema.ptr, g->schema.len, &schema) != 0) return false;
  avro_value_iface_t *class = avro_generic_class_from_schema(schema);
  assert_int_equal(avro_generic_value_new(class, &value), 0);
  avro_reader_t reader = avro_reader_memory(g->avro.ptr + 5, (int64_t)g->avro.len - 5);
  bool good = avro_value_read(reader, &value) == 0;
  char more;
  if (good) good = avro_read(reader, &more, 1) != 0; /* nothing is left */
  avro_reader_free(reader);
  avro_value_decref(&value);
  avro_value_iface_decref(class);
  avro_schema_decref(schema);
  return good;
}

struct decoders {
  struct tide_decoder *avro, *json;
  struct tide_schemas *schemas;
};

static void same_mask(const struct decoders *d, const struct gen *g, uint64_t seed) {
  struct tide_buf a = TIDE_BUF_INIT, j = TIDE_BUF_INIT;
  tide_decode_mask(d->avro, tide_buf_span(&g->avro), &a);
  tide_decode_mask(d->json, tide_buf_span(&g->json), &j);
  json_t *x = json_loadb(a.ptr, a.len, JSON_REJECT_DUPLICATES | JSON_DECODE_INT_AS_REAL, NULL),
         *y = json_loadb(j.ptr, j.len, JSON_REJECT_DUPLICATES | JSON_DECODE_INT_AS_REAL, NULL);
  if (!g->times && !json_equal(x, y)) fail_msg("seed %" PRIu64 ": masked\n%s\n%s", seed, tide_buf_cstr(&a), tide_buf_cstr(&j));
  assert_non_null(x);
  json_decref(x);
  json_decref(y);
  tide_buf_release(&a);
  tide_buf_release(&j);
}

static struct tide_record ra[2], rj[2];

/* Returns the error that both gave. */
static enum tide_err compare(const struct decoders *d, const struct tide_spec *spec, const struct gen *g, uint64_t seed) {
  struct tide_error ea = {.field = ""}, ej = {.field = ""};
  int ca = 0, cj = 0;
  enum tide_err a = tide_decode(d->avro, tide_buf_span(&g->avro), ra, &ca, &ea);
  enum tide_err j = tide_decode(d->json, tide_buf_span(&g->json), rj, &cj, &ej);
  bool same = a == j && strcmp(ea.field, ej.field) == 0 && ca == cj;
  for (int i = 0; same && i < ca; i++) same = same_record(spec, &ra[i], &rj[i]);
  if (!same) {
    print_error("%.*s\n", TIDE_SPAN_FMT(tide_buf_span(&g->schema)));
    print_error("%.*s\n", TIDE_SPAN_FMT(tide_buf_span(&g->json)));
    fail_msg("seed %" PRIu64 "\nAvro: %s %s %s\nJSON: %s %s %s", seed, tide_err_name(a), ea.field, a ? ea.text : "", tide_err_name(j),
             ej.field, j ? ej.text : "");
  }
  return a;
}

/* How many of each must have been met for the run to prove something. */
static void check_met(const int met[TIDE_ERR_COUNT], const int records[8], int cases) {
  static const enum tide_err wanted[] = {TIDE_E_TYPE,   TIDE_E_RANGE,    TIDE_E_DECIMALS, TIDE_E_MISSING,      TIDE_E_UNKNOWN_NAME,
                                         TIDE_E_SYNTAX, TIDE_E_CURRENCY, TIDE_E_TOO_LONG, TIDE_E_DUPLICATE_KEY};
  for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++)
    if (met[wanted[i]] == 0) fail_msg("no message of %d gave the error \"%s\"", cases, tide_err_name(wanted[i]));
  if (met[TIDE_OK] < cases / 4) fail_msg("only %d of %d messages were good", met[TIDE_OK], cases);
  for (int type = TIDE_REC_EVENT; type <= TIDE_REC_PROFILE; type++)
    if (records[type] == 0) fail_msg("no record of type %d was read", type);
}

static void test_same(void **state) {
  (void)state;
  const char *asked = getenv("TIDE_CASES"), *from = getenv("TIDE_SEED");
  int cases = asked && *asked ? atoi(asked) : 4000;
  uint64_t first = from && *from ? strtoull(from, NULL, 10) : 1;
  int met[TIDE_ERR_COUNT] = {0}, records[8] = {0};
  struct tide_spec *spec = mini_cards();
  struct tide_secret_key key = mini_key(7), old = mini_key(8);
  char *dir = test_dir_fast("avro");
  struct decoders d = {.schemas = wire_open(dir)};
  struct tide_error error;
  struct tide_decode_options options = {.spec = spec, .key = &key, .key_alt = &old};
  assert_int_equal(tide_decoder_new(&options, &d.json, &error), TIDE_OK);
  options.format = TIDE_FORMAT_AVRO;
  options.schemas = d.schemas;
  assert_int_equal(tide_decoder_new(&options, &d.avro, &error), TIDE_OK);
  for (int i = 0; i < cases; i++) {
    uint64_t seed = first + (uint64_t)i;
    struct gen g = {.rng = {seed}};
    message(&g, (uint32_t)i);
    wire_store(dir, (uint32_t)i, tide_buf_cstr(&g.schema));
    if (!libavro_reads(&g)) fail_msg("seed %" PRIu64 ": libavro: %s\n%s", seed, avro_strerror(), g.schema.ptr);
    enum tide_err err = compare(&d, spec, &g, seed);
    met[err]++;
    if (err == TIDE_OK) records[ra[0].type & 7]++;
    if (err != TIDE_E_DUPLICATE_KEY) same_mask(&d, &g, seed);
    tide_buf_release(&g.schema);
    tide_buf_release(&g.json);
    tide_buf_release(&g.avro);
  }
  if (cases >= 4000) check_met(met, records, cases);
  tide_decoder_free(d.avro);
  tide_decoder_free(d.json);
  tide_schemas_close(d.schemas);
  test_dir_remove(dir);
  tide_free(dir);
  mini_free(spec);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_same)};
  return cmocka_run_group_tests_name("avro_as_json", tests, NULL, NULL);
}
