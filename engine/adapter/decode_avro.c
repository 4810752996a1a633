/* Avro messages in the framing of the Schema Registry: a zero byte, the number of the writer's schema (32 bits, big-endian), the value in Avro's
 * binary encoding (specification 1.11, "Binary Encoding").
 *
 * The value is walked along its writer's schema, and what stands at a place is captured as the equal JSON message would give it: records and maps are objects, a
 * union is what it holds, an enum its symbol, numbers their digits. A double or float gives the shortest digits that read back the same, as JSON writers do. A
 * decimal gives its exact digits, a timestamp says which time it is. Other bytes are texts at most. What the schema lacks is missing; there is no reader's schema.
 *
 * Nothing is believed. A length is compared with the bytes that are left before anything is done with it. The depth is JSON's. A message may have values that take
 * no bytes (nulls), so values are counted: FREE_MAX more than 32 per byte end it. Strict as JSON: texts are UTF-8 without U+0000, a map has a key once, nothing
 * stands behind the value. */
#include "adapter/decode_avro_plan.h"
#include "adapter/decode_parts.h"
#include "adapter/schemas.h"
#include "base/json_out.h"
#include "base/num.h"
#include "base/utf8.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define FRAME 5         /* bytes before the value */
#define FREE_MAX 65536u /* values that may cost no bytes */

struct avro_reader {
  struct tide_format_reader reader; /* first: a reader is one of these */
  struct tide_schemas *schemas;
  uint32_t place_count;
  struct tide_avro_trie trie;
  struct tide_avro_plan **plan; /* by id */
  uint32_t plan_count, plan_cap;
  /* of the message being read */
  const struct tide_avro_plan *with;
  const uint8_t *begin, *at, *end;
  uint64_t values_left;
  uint32_t depth;
  struct tide_capture *capture;
  struct tide_arena *scratch;
  bool scratch_used;
  struct tide_buf key; /* struct tide_span: the keys of the maps around, innermost last */
  /* what stopped it */
  enum tide_err code;
  const char *why;
  size_t why_at;  /* byte of the message */
  char path[160]; /* where in the schema, built from its end */
  size_t path_begin;
  /* showing it as JSON with secrets masked */
  struct tide_buf *out; /* NULL: capturing */
  uint32_t quiet;       /* containers around that are masked whole */
};

/* ---- schemas ---- */

static enum tide_err plan_of(struct avro_reader *r, uint32_t id, const struct tide_avro_plan **ret, struct tide_error *error) {
  uint32_t low = 0, high = r->plan_count;
  while (low < high) {
    uint32_t middle = low + (high - low) / 2;
    if (r->plan[middle]->id < id) low = middle + 1;
    else high = middle;
  }
  if (low == r->plan_count || r->plan[low]->id != id) {
    const struct tide_avro_schema *schema;
    struct tide_avro_plan *plan = NULL;
    enum tide_err err = tide_schemas_get(r->schemas, id, &schema, error);
    if (!err) err = tide_avro_plan_new(&r->trie, id, schema, &plan, error);
    if (err) return err;
    if (r->plan_count == r->plan_cap) {
      r->plan_cap = r->plan_cap ? r->plan_cap * 2 : 8;
      r->plan = tide_realloc(r->plan, r->plan_cap * sizeof *r->plan);
    }
    memmove(&r->plan[low + 1], &r->plan[low], (r->plan_count - low) * sizeof *r->plan);
    r->plan[low] = plan;
    r->plan_count++;
  }
  *ret = r->plan[low];
  return TIDE_OK;
}

/* ---- bytes ---- */

static size_t left(const struct avro_reader *r) { return (size_t)(r->end - r->at); }

/* False, with the reason. */
static bool stop(struct avro_reader *r, enum tide_err code, const char *why) {
  r->code = code;
  r->why = why;
  r->why_at = (size_t)(r->at - r->begin);
  return false;
}

static bool cut_off(struct avro_reader *r) { return stop(r, TIDE_E_SYNTAX, "the message ends too early"); }

static bool get_long(struct avro_reader *r, int64_t *ret) {
  uint64_t v = 0;
  for (unsigned shift = 0; shift < 70; shift += 7) {
    if (r->at == r->end) return cut_off(r);
    uint64_t byte = *r->at++;
    if (shift == 63 && byte > 1) break;
    v |= (byte & 0x7F) << shift;
    if (byte & 0x80) continue;
    uint64_t value = v >> 1 ^ (0 - (v & 1)); /* zigzag */
    memcpy(ret, &value, sizeof *ret);
    return true;
  }
  return stop(r, TIDE_E_SYNTAX, "a number of more than 64 bits");
}

static bool get_bytes(struct avro_reader *r, size_t len, struct tide_span *ret) {
  if (len > left(r)) return cut_off(r);
  *ret = (struct tide_span){len ? (const char *)r->at : "", len};
  r->at += len;
  return true;
}

static bool get_run(struct avro_reader *r, struct tide_span *ret) {
  int64_t len;
  if (!get_long(r, &len)) return false;
  if (len < 0) return stop(r, TIDE_E_SYNTAX, "a negative length");
  if ((uint64_t)len > left(r)) return stop(r, TIDE_E_SYNTAX, "a length beyond the end of the message");
  return get_bytes(r, (size_t)len, ret);
}

static bool get_text(struct avro_reader *r, struct tide_span *ret) {
  if (!get_run(r, ret)) return false;
  if (!tide_utf8_valid(*ret)) return stop(r, TIDE_E_UTF8, "the text is not valid UTF-8");
  if (ret->len && memchr(ret->ptr, 0, ret->len)) return stop(r, TIDE_E_SYNTAX, "the character U+0000 is not accepted");
  return true;
}

static uint64_t little_endian(struct tide_span bytes) {
  uint64_t v = 0;
  for (size_t i = bytes.len; i > 0; i--) v = v << 8 | (uint8_t)bytes.ptr[i - 1];
  return v;
}

/* ---- values as text ---- */

/* Digits of v / 10^scale, as JSON writes numbers; returns the length. */
static size_t put_decimal(char out[128], __int128 v, unsigned scale) {
  char digit[128], *end = digit + sizeof digit, *from = end;
  bool negative = v < 0;
  unsigned __int128 wide = negative ? 0 - (unsigned __int128)v : (unsigned __int128)v;
  unsigned n = 0;
  for (; wide > UINT64_MAX; wide /= 10, n++) {
    if (n == scale && scale > 0) *--from = '.';
    *--from = (char)('0' + (int)(wide % 10));
  }
  for (uint64_t rest = (uint64_t)wide; rest > 0 || n <= scale; rest /= 10, n++) { /* the rest at a tenth of the price */
    if (n == scale && scale > 0) *--from = '.';
    *--from = (char)('0' + (int)(rest % 10));
  }
  if (negative) *--from = '-';
  memcpy(out, from, (size_t)(end - from));
  return (size_t)(end - from);
}

/* The shortest digits that read back the same. Nearly every double in a message has few decimals: then a quotient of two exact integers, correctly rounded, is
 * the double itself, and its at most 15 digits are the only ones so short. */
static size_t put_double(char out[128], double v, bool single) {
  int len = 0;
  for (unsigned scale = 0; scale <= 9 && !single; scale++) {
    double power = (double)tide_pow10[scale], unscaled = rint(v * power);
    if (!(fabs(unscaled) < 1e15)) break;
    if (unscaled / power == v) return put_decimal(out, (int64_t)unscaled, scale);
  }
  for (int precision = single ? 6 : 15; precision <= 17; precision++) {
    len = snprintf(out, 128, "%.*g", precision, v);
    if (single ? strtof(out, NULL) == (float)v : strtod(out, NULL) == v) break;
  }
  return (size_t)len;
}

static struct tide_span keep(struct avro_reader *r, const char *text, size_t len) {
  char *copy = tide_arena_alloc(r->scratch, len);
  memcpy(copy, text, len);
  r->scratch_used = true;
  return (struct tide_span){copy, len};
}

/* ---- scalars ---- */

static bool is_asked(const struct avro_reader *r, const struct tide_avro_step *s) { return r->out ? r->quiet == 0 : s->place != TIDE_NONE; }

static void show(struct avro_reader *r, const struct tide_avro_step *s, enum tide_capture_kind kind, struct tide_span text) {
  struct tide_buf hex = TIDE_BUF_INIT;
  if (kind != TIDE_CAP_NULL && s->hidden) {
    tide_json_cstr(r->out, "***");
    return;
  }
  switch (kind) {
    case TIDE_CAP_NULL: tide_json_null(r->out); break;
    case TIDE_CAP_TRUE:
    case TIDE_CAP_FALSE: tide_json_bool(r->out, kind == TIDE_CAP_TRUE); break;
    case TIDE_CAP_NUMBER: tide_json_raw(r->out, text); break;
    case TIDE_CAP_TEXT: tide_json_str(r->out, text); break;
    case TIDE_CAP_BYTES:
      if (tide_utf8_valid(text) && !(text.len && memchr(text.ptr, 0, text.len))) {
        tide_json_str(r->out, text);
        break;
      }
      tide_buf_str(&hex, "0x");
      for (size_t i = 0; i < text.len; i++) tide_buf_printf(&hex, "%02x", (uint8_t)text.ptr[i]);
      tide_json_str(r->out, tide_buf_span(&hex));
      break;
    case TIDE_CAP_NONE:
    case TIDE_CAP_COMPOUND: TIDE_NEVER("a scalar is there, and is one value");
  }
  tide_buf_release(&hex);
}

/* A scalar that is asked for. */
static bool put(struct avro_reader *r, const struct tide_avro_step *s, enum tide_capture_kind kind, uint8_t time_form,
                struct tide_span text) {
  if (r->out) show(r, s, kind, text);
  else r->capture[s->place] = (struct tide_capture){.kind = kind, .time_form = time_form, .text = text};
  return true;
}

static bool put_int(struct avro_reader *r, const struct tide_avro_step *s, int64_t v) {
  static const uint8_t form[] = {
      [TIDE_AVRO_PLAIN] = 0, [TIDE_AVRO_DECIMAL] = 0, [TIDE_AVRO_TIME_MS] = TIDE_TIME_EPOCH_MS, [TIDE_AVRO_TIME_US] = TIDE_TIME_EPOCH_US};
  char text[128];
  if (!is_asked(r, s)) return true;
  return put(r, s, TIDE_CAP_NUMBER, form[s->type->logical], keep(r, text, put_decimal(text, v, 0)));
}

/* Numbers that JSON does not have are texts, and so refused wherever a number is wanted. */
static bool put_float(struct avro_reader *r, const struct tide_avro_step *s, double v, bool single) {
  char text[128];
  if (!is_asked(r, s)) return true;
  if (!isfinite(v))
    return put(r, s, TIDE_CAP_TEXT, 0, isnan(v) ? TIDE_SPAN("NaN") : v > 0 ? TIDE_SPAN("Infinity") : TIDE_SPAN("-Infinity"));
  return put(r, s, TIDE_CAP_NUMBER, 0, keep(r, text, put_double(text, v, single)));
}

static bool put_bytes(struct avro_reader *r, const struct tide_avro_step *s, struct tide_span bytes) {
  char text[128];
  if (s->type->logical != TIDE_AVRO_DECIMAL) return !is_asked(r, s) || put(r, s, TIDE_CAP_BYTES, 0, bytes);
  if (bytes.len == 0) return stop(r, TIDE_E_SYNTAX, "a decimal of no bytes");
  if (!is_asked(r, s)) return true;
  uint8_t sign = (uint8_t)bytes.ptr[0] & 0x80 ? 0xFF : 0;
  while (bytes.len > 16 && (uint8_t)bytes.ptr[0] == sign && (((uint8_t)bytes.ptr[1] ^ sign) & 0x80) == 0)
    bytes = (struct tide_span){bytes.ptr + 1, bytes.len - 1};
  if (bytes.len > 16 && r->out) return put(r, s, TIDE_CAP_BYTES, 0, bytes);
  if (bytes.len > 16) return stop(r, TIDE_E_RANGE, "a decimal of more than 128 bits");
  unsigned __int128 bits = sign ? ~(unsigned __int128)0 : 0;
  for (size_t i = 0; i < bytes.len; i++) bits = bits << 8 | (uint8_t)bytes.ptr[i];
  __int128 v;
  memcpy(&v, &bits, sizeof v);
  return put(r, s, TIDE_CAP_NUMBER, 0, keep(r, text, put_decimal(text, v, s->type->scale)));
}

static bool walk_scalar(struct avro_reader *r, const struct tide_avro_step *s) {
  const struct tide_avro_type *type = s->type;
  struct tide_span bytes;
  int64_t v = 0;
  if (r->depth == 0) return stop(r, TIDE_E_TYPE, "a message must be a record");
  switch ((enum tide_avro_kind)type->kind) {
    case TIDE_AVRO_IS_NULL: return !is_asked(r, s) || put(r, s, TIDE_CAP_NULL, 0, TIDE_SPAN(""));
    case TIDE_AVRO_IS_BOOLEAN:
      if (!get_bytes(r, 1, &bytes)) return false;
      if ((uint8_t)bytes.ptr[0] > 1) return stop(r, TIDE_E_SYNTAX, "a boolean that is neither 0 nor 1");
      return !is_asked(r, s) || put(r, s, bytes.ptr[0] ? TIDE_CAP_TRUE : TIDE_CAP_FALSE, 0, TIDE_SPAN(""));
    case TIDE_AVRO_IS_INT:
      if (!get_long(r, &v)) return false;
      if (v < INT32_MIN || v > INT32_MAX) return stop(r, TIDE_E_SYNTAX, "an int of more than 32 bits");
      return put_int(r, s, v);
    case TIDE_AVRO_IS_LONG: return get_long(r, &v) && put_int(r, s, v);
    case TIDE_AVRO_IS_FLOAT: {
      float f;
      if (!get_bytes(r, 4, &bytes)) return false;
      uint32_t bits = (uint32_t)little_endian(bytes);
      memcpy(&f, &bits, sizeof f);
      return put_float(r, s, (double)f, true);
    }
    case TIDE_AVRO_IS_DOUBLE: {
      double d;
      if (!get_bytes(r, 8, &bytes)) return false;
      uint64_t bits = little_endian(bytes);
      memcpy(&d, &bits, sizeof d);
      return put_float(r, s, d, false);
    }
    case TIDE_AVRO_IS_BYTES: return get_run(r, &bytes) && put_bytes(r, s, bytes);
    case TIDE_AVRO_IS_FIXED: return get_bytes(r, type->size, &bytes) && put_bytes(r, s, bytes);
    case TIDE_AVRO_IS_STRING:
      if (!get_text(r, &bytes)) return false;
      return !is_asked(r, s) || put(r, s, TIDE_CAP_TEXT, 0, bytes);
    case TIDE_AVRO_IS_ENUM:
      if (!get_long(r, &v)) return false;
      if (v < 0 || v >= type->size) return stop(r, TIDE_E_SYNTAX, "a symbol that the enum does not have");
      return !is_asked(r, s) || put(r, s, TIDE_CAP_TEXT, 0, tide_span_of(type->name[v]));
    case TIDE_AVRO_IS_ARRAY:
    case TIDE_AVRO_IS_MAP:
    case TIDE_AVRO_IS_UNION:
    case TIDE_AVRO_IS_RECORD: break;
  }
  TIDE_NEVER("containers are walked by walk");
}

/* ---- containers ---- */

static bool walk(struct avro_reader *r, uint32_t step);

/* Where it stopped, from the inside out: "/billing/amount". A name too many is left out. */
static bool within(struct avro_reader *r, const char *name) {
  size_t len = strlen(name) + 1;
  if (len > r->path_begin) return false;
  r->path_begin -= len;
  r->path[r->path_begin] = '/';
  memcpy(r->path + r->path_begin + 1, name, len - 1);
  return false;
}

static bool walk_record(struct avro_reader *r, const struct tide_avro_step *s) {
  for (uint32_t i = 0; i < s->type->size; i++) {
    if (r->out && !r->quiet) tide_json_key(r->out, s->type->name[i]);
    if (!walk(r, r->with->child[s->child + i])) return within(r, s->type->name[i]);
  }
  return true;
}

static uint32_t element(const struct avro_reader *r, const struct tide_avro_step *s, uint64_t index) {
  for (uint32_t i = 0; i < s->pick_count; i++)
    if (r->with->pick[s->pick + i].index == index) return r->with->pick[s->pick + i].step;
  return r->with->child[s->child];
}

static uint32_t member(const struct avro_reader *r, const struct tide_avro_step *s, struct tide_span key) {
  for (uint32_t i = 0; i < s->pick_count; i++)
    if (tide_span_eq(r->with->pick[s->pick + i].key, key)) return r->with->pick[s->pick + i].step;
  return r->with->child[s->child];
}

static int by_text(const void *a, const void *b) {
  struct tide_span x, y;
  memcpy(&x, a, sizeof x);
  memcpy(&y, b, sizeof y);
  int order = memcmp(x.ptr, y.ptr, x.len < y.len ? x.len : y.len);
  return order ? order : (x.len > y.len) - (x.len < y.len);
}

/* The keys behind `from`, of one map, sorted: equal ones stand together. They are forgotten. */
static bool check_keys(struct avro_reader *r, size_t from) {
  size_t count = (r->key.len - from) / sizeof(struct tide_span);
  r->key.len = from;
  if (count < 2) return true;
  char *keys = r->key.ptr + from;
  qsort(keys, count, sizeof(struct tide_span), by_text);
  for (size_t i = 1; i < count; i++)
    if (by_text(keys + (i - 1) * sizeof(struct tide_span), keys + i * sizeof(struct tide_span)) == 0)
      return stop(r, TIDE_E_DUPLICATE_KEY, "a key stands twice in the map");
  return true;
}

static bool walk_item(struct avro_reader *r, const struct tide_avro_step *s, uint64_t index) {
  if (s->type->kind == TIDE_AVRO_IS_ARRAY) return walk(r, element(r, s, index)) || within(r, "*");
  struct tide_span key;
  if (!get_text(r, &key)) return within(r, "*");
  tide_buf_put(&r->key, &key, sizeof key);
  if (r->out && !r->quiet) {
    char *text = tide_strndup(key.ptr, key.len);
    tide_json_key(r->out, text);
    tide_free(text);
  }
  return walk(r, member(r, s, key)) || within(r, "*");
}

/* Blocks of items until one of none. A block may say its bytes (count negative); then they must be as many. */
static bool walk_blocks(struct avro_reader *r, const struct tide_avro_step *s) {
  size_t keys = r->key.len;
  for (uint64_t index = 0;;) {
    int64_t count, size = -1;
    if (!get_long(r, &count)) return false;
    if (count == 0) return check_keys(r, keys);
    if (count < 0) {
      if (count == INT64_MIN) return stop(r, TIDE_E_SYNTAX, "a block of 2^63 items");
      count = -count;
      if (!get_long(r, &size)) return false;
      if (size < 0 || (uint64_t)size > left(r)) return stop(r, TIDE_E_SYNTAX, "a block that is longer than the message");
    }
    const uint8_t *begin = r->at;
    for (; count > 0; count--)
      if (!walk_item(r, s, index++)) return false;
    if (size >= 0 && r->at - begin != size) return stop(r, TIDE_E_SYNTAX, "a block is not as long as it says");
  }
}

static bool walk_container(struct avro_reader *r, const struct tide_avro_step *s) {
  bool array = s->type->kind == TIDE_AVRO_IS_ARRAY;
  bool masked = r->out && s->hidden;
  if (r->depth == 0 && array) return stop(r, TIDE_E_TYPE, "a message must be a record");
  if (r->depth == TIDE_DEPTH_MAX) return stop(r, TIDE_E_SYNTAX, "nested deeper than 32 levels");
  r->depth++;
  if (r->out && !r->quiet) {
    if (masked) tide_json_cstr(r->out, "***");
    else tide_json_open(r->out, array ? '[' : '{');
  }
  if (!r->out && s->place != TIDE_NONE) r->capture[s->place].kind = TIDE_CAP_COMPOUND;
  r->quiet += masked;
  if (!(s->type->kind == TIDE_AVRO_IS_RECORD ? walk_record(r, s) : walk_blocks(r, s))) return false;
  r->quiet -= masked;
  if (r->out && !r->quiet && !masked) tide_json_close(r->out, array ? ']' : '}');
  r->depth--;
  return true;
}

/* One value. Bounded: a container is at most TIDE_DEPTH_MAX deep, and a union holds no union. */
static bool walk(struct avro_reader *r, uint32_t step) {
  const struct tide_avro_step *s = &r->with->step[step];
  if (r->values_left-- == 0) return stop(r, TIDE_E_SYNTAX, "too many values that take no bytes");
  switch ((enum tide_avro_kind)s->type->kind) {
    case TIDE_AVRO_IS_RECORD:
    case TIDE_AVRO_IS_ARRAY:
    case TIDE_AVRO_IS_MAP: return walk_container(r, s);
    case TIDE_AVRO_IS_UNION: {
      int64_t branch;
      if (!get_long(r, &branch)) return false;
      if (branch < 0 || branch >= s->type->size) return stop(r, TIDE_E_SYNTAX, "a branch that the union does not have");
      return walk(r, r->with->child[s->child + (uint32_t)branch]);
    }
    default: return walk_scalar(r, s);
  }
}

/* ---- a message ---- */

static enum tide_err frame(struct avro_reader *r, struct tide_span bytes, uint32_t *ret_id, struct tide_error *error) {
  const uint8_t *p = (const uint8_t *)bytes.ptr;
  if (bytes.len < FRAME)
    return tide_fail_at(error, TIDE_E_SYNTAX, 0, 0, "", "the message has %zu bytes, too few for a zero byte and the number of a schema",
                        bytes.len);
  if (p[0] != 0)
    return tide_fail_at(error, TIDE_E_SYNTAX, 0, 1, "",
                        "the message begins with byte 0x%02x, not with the zero byte of the Schema Registry's framing%s", p[0],
                        p[0] == '{' ? ": is the format json?" : "");
  *ret_id = (uint32_t)p[1] << 24 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 8 | p[4];
  return plan_of(r, *ret_id, &r->with, error);
}

static enum tide_err walk_message(struct avro_reader *r, struct tide_span bytes, struct tide_error *error) {
  uint32_t id = 0;
  enum tide_err err = frame(r, bytes, &id, error);
  if (err) return err;
  r->begin = (const uint8_t *)bytes.ptr;
  r->at = r->begin + FRAME;
  r->end = r->begin + bytes.len;
  r->values_left = FREE_MAX + UINT64_C(32) * bytes.len;
  r->depth = 0;
  r->quiet = 0;
  r->key.len = 0;
  r->path_begin = sizeof r->path;
  bool good = walk(r, 0);
  if (good && r->at != r->end) good = stop(r, TIDE_E_TRAILING, "something stands behind the value");
  if (good) return TIDE_OK;
  struct tide_span path = {r->path + r->path_begin, sizeof r->path - r->path_begin};
  if (path.len == 0) path = TIDE_SPAN("the message");
  return tide_fail_at(error, r->code, 0, (int)r->why_at + 1, "", "at byte %zu of the Avro message, in %.*s: %s (schema %u)", r->why_at + 1,
                      TIDE_SPAN_FMT(path), r->why, id);
}

static enum tide_err avro_read(struct tide_format_reader *reader, struct tide_span bytes, struct tide_capture *capture,
                               struct tide_arena *scratch, bool *scratch_used, struct tide_error *error) {
  struct avro_reader *r = (struct avro_reader *)reader;
  for (uint32_t i = 0; i < r->place_count; i++) capture[i].kind = TIDE_CAP_NONE;
  r->out = NULL;
  r->capture = capture;
  r->scratch = scratch;
  r->scratch_used = false;
  enum tide_err err = walk_message(r, bytes, error);
  *scratch_used = r->scratch_used;
  return err;
}

/* As JSON, because a secret that is a number or fixed has no bytes to put "***" into. */
static bool avro_mask(struct tide_format_reader *reader, struct tide_span bytes, struct tide_buf *out) {
  struct avro_reader *r = (struct avro_reader *)reader;
  struct tide_arena scratch = TIDE_ARENA_INIT;
  struct tide_buf json = TIDE_BUF_INIT;
  r->out = &json;
  r->scratch = &scratch;
  bool good = walk_message(r, bytes, NULL) == TIDE_OK;
  if (good) tide_buf_put(out, json.ptr, json.len);
  r->out = NULL;
  tide_buf_release(&json);
  tide_arena_release(&scratch);
  return good;
}

static enum tide_err avro_open(const struct tide_decode_options *options, const struct tide_place *place, uint32_t place_count,
                               struct tide_format_reader **ret, struct tide_error *error) {
  if (!options->schemas)
    return tide_fail_at(error, TIDE_E_CONFIG, 0, 0, "schemas",
                        "messages in Avro need `schemas`: a directory, or the address of a Schema Registry");
  struct avro_reader *r = tide_alloc(sizeof *r);
  r->reader.ops = &tide_format_avro;
  r->schemas = options->schemas;
  r->place_count = place_count;
  tide_avro_trie_init(&r->trie, place, place_count);
  *ret = &r->reader;
  return TIDE_OK;
}

static void avro_close(struct tide_format_reader *reader) {
  struct avro_reader *r = (struct avro_reader *)reader;
  for (uint32_t i = 0; i < r->plan_count; i++) tide_avro_plan_free(r->plan[i]);
  tide_free(r->plan);
  tide_avro_trie_release(&r->trie);
  tide_buf_release(&r->key);
  tide_free(r);
}

const struct tide_format_ops tide_format_avro = {.open = avro_open, .close = avro_close, .read = avro_read, .mask = avro_mask};
