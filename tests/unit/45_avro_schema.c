/* Avro schemas: what their text becomes, what is refused, and where a directory keeps them. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <unistd.h>

#include "tests/support/avro_bytes.h"
#include "tests/support/journal_dir.h"

static struct tide_error error;

static struct tide_avro_schema *parse(const char *text) {
  struct tide_avro_schema *schema;
  if (tide_avro_schema_parse(tide_span_of(text), &schema, &error)) fail_msg("%s: %s", text, error.text);
  return schema;
}
static void refused(const char *text, const char *why) {
  struct tide_avro_schema *schema;
  assert_int_equal(tide_avro_schema_parse(tide_span_of(text), &schema, &error), TIDE_E_SYNTAX);
  if (!strstr(error.text, why)) fail_msg("%s: got \"%s\", want \"%s\"", text, error.text, why);
}

#define RECORD(fields) "{\"type\":\"record\",\"name\":\"R\",\"namespace\":\"a.b\",\"fields\":[" fields "]}"
#define FIELD(name, type) "{\"name\":\"" name "\",\"type\":" type "}"

static void test_types(void **state) {
  (void)state;
  struct tide_avro_schema *s =
      parse(RECORD(FIELD("n", "\"null\"") "," FIELD("e", "{\"type\":\"enum\",\"name\":\"E\",\"symbols\":[\"A\",\"B\"]}") "," FIELD(
          "u", "[\"null\",\"E\",\"long\"]") "," FIELD("a", "{\"type\":\"array\",\"items\":{\"type\":\"map\",\"values\":\"a.b.E\"}}")));
  const struct tide_avro_type *r = &s->type[0];
  assert_int_equal(r->kind, TIDE_AVRO_IS_RECORD);
  assert_int_equal(r->size, 4);
  assert_string_equal(r->name[3], "a");
  assert_int_equal(s->type[r->child[0]].kind, TIDE_AVRO_IS_NULL);
  const struct tide_avro_type *e = &s->type[r->child[1]], *u = &s->type[r->child[2]], *a = &s->type[r->child[3]];
  assert_int_equal(e->kind, TIDE_AVRO_IS_ENUM);
  assert_int_equal(e->size, 2);
  assert_string_equal(e->name[1], "B");
  assert_int_equal(u->kind, TIDE_AVRO_IS_UNION);
  assert_int_equal(u->size, 3);
  assert_int_equal(u->child[1], r->child[1]); /* a name is the type itself */
  assert_int_equal(s->type[u->child[2]].kind, TIDE_AVRO_IS_LONG);
  assert_int_equal(a->kind, TIDE_AVRO_IS_ARRAY);
  assert_int_equal(s->type[a->child[0]].kind, TIDE_AVRO_IS_MAP);
  assert_int_equal(s->type[a->child[0]].child[0], r->child[1]);
  tide_avro_schema_free(s);
  s = parse(RECORD(FIELD("next", "[\"null\",\"R\"]")));
  assert_int_equal(s->type[s->type[0].child[0]].child[1], 0); /* it contains itself */
  tide_avro_schema_free(s);
}

static const struct tide_avro_type *only(struct tide_avro_schema *s) { return &s->type[s->type[0].child[0]]; }

static void logical_is(const char *type, enum tide_avro_logical want, unsigned scale) {
  struct tide_buf text = TIDE_BUF_INIT;
  tide_buf_printf(&text, RECORD(FIELD("x", "%s")), type);
  struct tide_avro_schema *s = parse(tide_buf_cstr(&text));
  if (only(s)->logical != want || only(s)->scale != scale) fail_msg("%s: %u, scale %u", type, only(s)->logical, only(s)->scale);
  tide_avro_schema_free(s);
  tide_buf_release(&text);
}

/* libavro forgets them; a wrong one is no error but nothing. */
static void test_logical_types(void **state) {
  (void)state;
  logical_is("{\"type\":\"bytes\",\"logicalType\":\"decimal\",\"precision\":9,\"scale\":2}", TIDE_AVRO_DECIMAL, 2);
  logical_is("{\"type\":\"bytes\",\"logicalType\":\"decimal\",\"precision\":9}", TIDE_AVRO_DECIMAL, 0);
  logical_is("{\"type\":\"fixed\",\"name\":\"F\",\"size\":4,\"logicalType\":\"decimal\",\"precision\":9,\"scale\":9}", TIDE_AVRO_DECIMAL,
             9);
  logical_is("{\"type\":\"fixed\",\"name\":\"F\",\"size\":4,\"logicalType\":\"decimal\",\"precision\":10,\"scale\":9}", TIDE_AVRO_PLAIN, 0);
  logical_is("{\"type\":\"bytes\",\"logicalType\":\"decimal\",\"precision\":2,\"scale\":3}", TIDE_AVRO_PLAIN, 0);
  logical_is("{\"type\":\"bytes\",\"logicalType\":\"decimal\",\"precision\":2,\"scale\":-1}", TIDE_AVRO_PLAIN, 0);
  logical_is("{\"type\":\"bytes\",\"logicalType\":\"decimal\",\"scale\":1}", TIDE_AVRO_PLAIN, 0);
  logical_is("{\"type\":\"bytes\",\"logicalType\":\"decimal\",\"precision\":\"9\"}", TIDE_AVRO_PLAIN, 0);
  logical_is("{\"type\":\"string\",\"logicalType\":\"decimal\",\"precision\":9}", TIDE_AVRO_PLAIN, 0);
  logical_is("{\"type\":\"long\",\"logicalType\":\"timestamp-millis\"}", TIDE_AVRO_TIME_MS, 0);
  logical_is("{\"type\":\"long\",\"logicalType\":\"timestamp-micros\"}", TIDE_AVRO_TIME_US, 0);
  logical_is("{\"type\":\"int\",\"logicalType\":\"timestamp-millis\"}", TIDE_AVRO_PLAIN, 0);
  logical_is("{\"type\":\"long\",\"logicalType\":\"local-timestamp-millis\"}", TIDE_AVRO_PLAIN, 0);
  logical_is("{\"type\":\"int\",\"logicalType\":\"date\"}", TIDE_AVRO_PLAIN, 0);
}

static void test_a_named_type_keeps_its_logical_type(void **state) {
  (void)state;
  struct tide_avro_schema *s = parse(RECORD(
      FIELD("x", "{\"type\":\"fixed\",\"name\":\"M\",\"size\":8,\"logicalType\":\"decimal\",\"precision\":12,\"scale\":2}") "," FIELD(
          "y", "[\"null\",\"M\"]")));
  assert_int_equal(s->type[s->type[s->type[0].child[1]].child[1]].logical, TIDE_AVRO_DECIMAL);
  tide_avro_schema_free(s);
}

static void test_refused(void **state) {
  (void)state;
  refused("", "");
  refused("{", "line 1");
  refused("nothing", "invalid token");
  refused("{}", "type");
  refused("12", "type");
  refused(RECORD(FIELD("x", "\"nope\"")), "nope");
  refused(RECORD(FIELD("x", "\"int\"") "," FIELD("x", "\"long\"")), "two fields of one name");
  refused(RECORD(FIELD("x", "[\"null\",[\"int\"]]")), "union");
  refused(RECORD(FIELD("x", "{\"type\":\"fixed\",\"name\":\"F\",\"size\":-1}")), "fixed");
  refused(RECORD(FIELD("x", "{\"type\":\"fixed\",\"name\":\"F\",\"size\":1048577}")), "fixed");
  refused("{\"type\":\"record\",\"name\":\"R\",\"name\":\"S\",\"fields\":[]}", "duplicate");
  struct tide_buf deep = TIDE_BUF_INIT;
  for (int i = 0; i < 66; i++) tide_buf_str(&deep, "{\"type\":\"array\",\"items\":");
  tide_buf_str(&deep, "\"int\"");
  for (int i = 0; i < 66; i++) tide_buf_char(&deep, '}');
  refused(tide_buf_cstr(&deep), "deeper than 64");
  tide_buf_clear(&deep);
  tide_buf_str(&deep, "[");
  for (int i = 0; i < 16384; i++) tide_buf_str(&deep, i ? ",\"int\"" : "\"int\"");
  tide_buf_str(&deep, "]");
  refused(tide_buf_cstr(&deep), "16384 types");
  tide_buf_clear(&deep);
  while (deep.len <= TIDE_AVRO_TEXT_MAX) tide_buf_str(&deep, "        ");
  refused(tide_buf_cstr(&deep), "1 MiB");
  tide_buf_release(&deep);
}

/* ---- a directory ---- */

static void get_is(struct tide_schemas *schemas, uint32_t id, enum tide_err want, const char *why) {
  const struct tide_avro_schema *schema = NULL;
  enum tide_err err = tide_schemas_get(schemas, id, &schema, &error);
  if (err != want) fail_msg("schema %" PRIu32 ": got %s (%s), want %s", id, tide_err_name(err), err ? error.text : "", tide_err_name(want));
  if (err && !strstr(error.text, why)) fail_msg("got \"%s\", want \"%s\"", error.text, why);
  if (!err) assert_int_equal(schema->type[0].kind, TIDE_AVRO_IS_RECORD);
}

static void test_directory(void **state) {
  (void)state;
  char *dir = test_dir("schemas");
  wire_store(dir, 7, RECORD(""));
  char *path = test_path(dir, "README.avsc");
  FILE *other = fopen(path, "w"); /* not a number: nobody's business */
  assert_non_null(other);
  fclose(other);
  struct tide_schemas *schemas = wire_open(dir);
  get_is(schemas, 7, TIDE_OK, "");
  get_is(schemas, 8, TIDE_E_UNKNOWN_NAME, "no schema 8");
  wire_store(dir, 8, "{\"type\":\"rec"); /* being written */
  get_is(schemas, 8, TIDE_E_AGAIN, "8.avsc");
  wire_store(dir, 8, RECORD(FIELD("x", "\"int\"")));
  get_is(schemas, 8, TIDE_OK, "");
  wire_store(dir, UINT32_MAX, RECORD(""));
  get_is(schemas, UINT32_MAX, TIDE_OK, "");
  test_dir_remove(dir);
  get_is(schemas, 7, TIDE_OK, "");            /* for ever */
  get_is(schemas, 9, TIDE_E_AGAIN, "9.avsc"); /* a mount that went away says nothing about its schemas */
  tide_schemas_close(schemas);
  tide_free(path);
  tide_free(dir);
}

static void open_refused(const char *from, const char *why) {
  struct tide_schemas *schemas;
  struct tide_schemas_options options = {.from = from};
  assert_int_equal(tide_schemas_open(&options, &schemas, &error), TIDE_E_CONFIG);
  if (!strstr(error.text, why)) fail_msg("%s: got \"%s\", want \"%s\"", from, error.text, why);
  assert_null(strstr(error.text, "secret"));
}

static void test_open(void **state) {
  (void)state;
  char *dir = test_dir("schemas");
  wire_store(dir, 3, "{}");
  open_refused(dir, "3.avsc");
  test_dir_remove(dir);
  open_refused(dir, "No such file");
  tide_free(dir);
  open_refused("ftp://u:secret@registry", "http://HOST:PORT");
  open_refused("http://", "http://HOST:PORT");
  open_refused("http://u:secret@host/?a=b", "http://HOST:PORT");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_types),   cmocka_unit_test(test_logical_types), cmocka_unit_test(test_a_named_type_keeps_its_logical_type),
      cmocka_unit_test(test_refused), cmocka_unit_test(test_directory),     cmocka_unit_test(test_open),
  };
  return cmocka_run_group_tests_name("avro_schema", tests, NULL, NULL);
}
