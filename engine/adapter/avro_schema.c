/* Avro schemas from text (avro_schema.h).
 *
 * libavro reads the text and finds what names mean. It forgets logical types, so the same text is walked beside its result as JSON: both have the same
 * shape, record fields and union branches in the same order. What libavro lets pass and Avro does not is refused here: a field twice in a record, a union
 * directly in a union, a fixed of negative size. (libavro 1.11.1 loses some 80 bytes over a schema that defines a name twice, which it refuses; whoever asks
 * for schemas remembers those that were refused.)
 *
 * Only schemas are read with libavro. Messages are not (decode_avro.c): its reader allocates what a length says before it looks whether so much is there,
 * and repeats an array of nulls as often as a message likes. */
#include "adapter/avro_schema.h"

#include "base/arena.h"
#include "base/buf.h"

#include <avro.h>
#include <jansson.h>
#include <math.h>
#include <stdlib.h>

#define DEPTH_MAX 64 /* of types in types */

struct schema {
  struct tide_avro_schema schema; /* first: what the caller sees */
  struct tide_arena arena;        /* the tables and names */
};

struct builder {
  struct tide_arena *arena;
  struct tide_avro_type *type;
  const void **named; /* by type: libavro's own of a named type, else NULL */
  uint32_t count, cap;
  struct tide_error *error;
};

static enum tide_err bad(const struct builder *b, const char *what) {
  return tide_fail(b->error, TIDE_E_SYNTAX, "not an Avro schema: %.250s", what);
}

static enum tide_err add(struct builder *b, enum tide_avro_kind kind, avro_schema_t named, uint32_t *ret) {
  if (b->count == TIDE_AVRO_TYPES_MAX) return bad(b, "it has more than 16384 types");
  if (b->count == b->cap) {
    b->cap = b->cap ? b->cap * 2 : 64;
    b->type = tide_realloc(b->type, b->cap * sizeof *b->type);
    b->named = tide_realloc(b->named, b->cap * sizeof *b->named);
  }
  b->type[b->count] = (struct tide_avro_type){.kind = (uint8_t)kind};
  b->named[b->count] = named;
  *ret = b->count++;
  return TIDE_OK;
}

/* The most digits that every integer of so many bytes can have: what a fixed of that size may promise as precision. */
static double digits_of(uint32_t bytes) { return floor(((double)bytes * 8 - 1) * log10(2)); }

/* The logical type, if it is one we know and its attributes are right. The specification wants a wrong one ignored. */
static void logical(struct tide_avro_type *type, json_t *json) {
  const char *name = json_string_value(json_object_get(json, "logicalType"));
  if (!name) return;
  if (type->kind == TIDE_AVRO_IS_LONG && strcmp(name, "timestamp-millis") == 0) type->logical = TIDE_AVRO_TIME_MS;
  if (type->kind == TIDE_AVRO_IS_LONG && strcmp(name, "timestamp-micros") == 0) type->logical = TIDE_AVRO_TIME_US;
  if ((type->kind != TIDE_AVRO_IS_BYTES && type->kind != TIDE_AVRO_IS_FIXED) || strcmp(name, "decimal") != 0) return;
  json_t *scale = json_object_get(json, "scale"), *precision = json_object_get(json, "precision");
  if (!json_is_integer(precision) || (scale && !json_is_integer(scale))) return;
  json_int_t places = scale ? json_integer_value(scale) : 0, digits = json_integer_value(precision);
  if (digits < 1 || places < 0 || places > digits || places > TIDE_AVRO_SCALE_MAX) return;
  if (type->kind == TIDE_AVRO_IS_FIXED && (double)digits > digits_of(type->size)) return;
  type->logical = TIDE_AVRO_DECIMAL;
  type->scale = (uint8_t)places;
}

static enum tide_err build(struct builder *b, avro_schema_t avro, json_t *json, int depth, uint32_t *ret);

static enum tide_err build_record(struct builder *b, avro_schema_t avro, json_t *json, int depth, uint32_t index) {
  json_t *fields = json_object_get(json, "fields");
  size_t count = avro_schema_record_size(avro);
  if (!json_is_array(fields) || json_array_size(fields) != count) return bad(b, "the fields of a record are not a list");
  const char **name = tide_arena_alloc(b->arena, (count + 1) * sizeof *name);
  uint32_t *child = tide_arena_alloc(b->arena, (count + 1) * sizeof *child);
  for (size_t i = 0; i < count; i++) {
    const char *text = avro_schema_record_field_name(avro, (int)i);
    /* libavro's own index of names holds the last field of a name, so the first one of two is found out. */
    if (!text || avro_schema_record_field_get_index(avro, text) != (int)i) return bad(b, "a record has two fields of one name");
    name[i] = tide_arena_strdup(b->arena, tide_span_of(text));
    enum tide_err err = build(b, avro_schema_record_field_get_by_index(avro, (int)i), json_object_get(json_array_get(fields, i), "type"),
                              depth + 1, &child[i]);
    if (err) return err;
  }
  b->type[index].size = (uint32_t)count;
  b->type[index].name = name;
  b->type[index].child = child;
  return TIDE_OK;
}

static enum tide_err build_union(struct builder *b, avro_schema_t avro, json_t *json, int depth, uint32_t index) {
  size_t count = avro_schema_union_size(avro);
  if (!json_is_array(json) || json_array_size(json) != count) return bad(b, "a union is not a list");
  uint32_t *child = tide_arena_alloc(b->arena, (count + 1) * sizeof *child);
  for (size_t i = 0; i < count; i++) {
    avro_schema_t branch = avro_schema_union_branch(avro, (int)i);
    if (is_avro_union(branch)) return bad(b, "a union stands directly in a union");
    enum tide_err err = build(b, branch, json_array_get(json, i), depth + 1, &child[i]);
    if (err) return err;
  }
  b->type[index].size = (uint32_t)count;
  b->type[index].child = child;
  return TIDE_OK;
}

static enum tide_err build_items(struct builder *b, avro_schema_t items, json_t *json, int depth, uint32_t index) {
  uint32_t *child = tide_arena_alloc(b->arena, sizeof *child);
  enum tide_err err = build(b, items, json, depth + 1, child);
  b->type[index].size = 1;
  b->type[index].child = child;
  return err;
}

static void build_enum(struct builder *b, avro_schema_t avro, uint32_t index) {
  int count = avro_schema_enum_number_of_symbols(avro);
  TIDE_CHECK(count >= 0);
  const char **name = tide_arena_alloc(b->arena, ((size_t)count + 1) * sizeof *name);
  for (int i = 0; i < count; i++) name[i] = tide_arena_strdup(b->arena, tide_span_of(avro_schema_enum_get(avro, i)));
  b->type[index].size = (uint32_t)count;
  b->type[index].name = name;
}

static enum tide_err build_link(struct builder *b, avro_schema_t avro, uint32_t *ret) {
  const void *target = avro_schema_link_target(avro);
  for (uint32_t i = 0; i < b->count; i++) {
    if (b->named[i] != target) continue;
    *ret = i;
    return TIDE_OK;
  }
  return bad(b, "a name refers to a type that is not in it");
}

static enum tide_err build(struct builder *b, avro_schema_t avro, json_t *json, int depth, uint32_t *ret) {
  static const uint8_t scalar[] = {
      [AVRO_STRING] = TIDE_AVRO_IS_STRING, [AVRO_BYTES] = TIDE_AVRO_IS_BYTES,    [AVRO_INT32] = TIDE_AVRO_IS_INT,
      [AVRO_INT64] = TIDE_AVRO_IS_LONG,    [AVRO_FLOAT] = TIDE_AVRO_IS_FLOAT,    [AVRO_DOUBLE] = TIDE_AVRO_IS_DOUBLE,
      [AVRO_NULL] = TIDE_AVRO_IS_NULL,     [AVRO_BOOLEAN] = TIDE_AVRO_IS_BOOLEAN};
  avro_type_t is = avro_typeof(avro);
  if (depth > DEPTH_MAX) return bad(b, "its types are nested deeper than 64 levels");
  if (is == AVRO_LINK) return build_link(b, avro, ret);
  enum tide_avro_kind kind = is == AVRO_RECORD  ? TIDE_AVRO_IS_RECORD
                             : is == AVRO_ENUM  ? TIDE_AVRO_IS_ENUM
                             : is == AVRO_FIXED ? TIDE_AVRO_IS_FIXED
                             : is == AVRO_MAP   ? TIDE_AVRO_IS_MAP
                             : is == AVRO_ARRAY ? TIDE_AVRO_IS_ARRAY
                             : is == AVRO_UNION ? TIDE_AVRO_IS_UNION
                                                : (enum tide_avro_kind)scalar[is];
  bool named = is == AVRO_RECORD || is == AVRO_ENUM || is == AVRO_FIXED;
  uint32_t index = 0;
  enum tide_err err = add(b, kind, named ? avro : NULL, &index);
  if (err) return err;
  *ret = index;
  if (is == AVRO_RECORD) return build_record(b, avro, json, depth, index);
  if (is == AVRO_UNION) return build_union(b, avro, json, depth, index);
  if (is == AVRO_ARRAY) return build_items(b, avro_schema_array_items(avro), json_object_get(json, "items"), depth, index);
  if (is == AVRO_MAP) return build_items(b, avro_schema_map_values(avro), json_object_get(json, "values"), depth, index);
  if (is == AVRO_ENUM) build_enum(b, avro, index);
  if (is == AVRO_FIXED) {
    int64_t size = avro_schema_fixed_size(avro);
    if (size < 0 || size > TIDE_AVRO_FIXED_MAX) return bad(b, "the size of a fixed is not 0 to 1048576 bytes");
    b->type[index].size = (uint32_t)size;
  }
  logical(&b->type[index], json);
  return TIDE_OK;
}

static enum tide_err build_all(struct schema *schema, avro_schema_t avro, json_t *json, struct tide_error *error) {
  struct builder b = {.arena = &schema->arena, .error = error};
  uint32_t root;
  enum tide_err err = build(&b, avro, json, 0, &root);
  if (!err) {
    TIDE_CHECK(root == 0);
    struct tide_avro_type *type = tide_arena_alloc(&schema->arena, b.count * sizeof *type);
    memcpy(type, b.type, b.count * sizeof *type);
    schema->schema = (struct tide_avro_schema){type, b.count};
  }
  tide_free(b.type);
  tide_free(b.named);
  return err;
}

enum tide_err tide_avro_schema_parse(struct tide_span text, struct tide_avro_schema **ret, struct tide_error *error) {
  json_error_t why;
  if (text.len > TIDE_AVRO_TEXT_MAX) return tide_fail(error, TIDE_E_SYNTAX, "not an Avro schema: it has more than 1 MiB");
  json_t *json = json_loadb(text.len ? text.ptr : "", text.len, JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, &why);
  if (!json)
    return tide_fail_at(error, TIDE_E_SYNTAX, why.line, why.column, "", "not an Avro schema: line %d, column %d: %.160s", why.line,
                        why.column, why.text);
  struct schema *schema = tide_alloc(sizeof *schema);
  avro_schema_t avro = NULL;
  enum tide_err err;
  if (avro_schema_from_json_length(text.ptr, text.len, &avro) != 0) {
    err = tide_fail(error, TIDE_E_SYNTAX, "not an Avro schema: %.250s", avro_strerror());
  } else {
    err = build_all(schema, avro, json, error);
    avro_schema_decref(avro);
  }
  json_decref(json);
  if (err) {
    tide_avro_schema_free(&schema->schema);
    return err;
  }
  *ret = &schema->schema;
  return TIDE_OK;
}

void tide_avro_schema_free(struct tide_avro_schema *seen) {
  struct schema *schema = (struct schema *)seen;
  if (!schema) return;
  tide_arena_release(&schema->arena);
  tide_free(schema);
}
