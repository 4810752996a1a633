/* The YAML layer: places of nodes and keys, what counts as a text and what as nothing.
 *
 * Everything that a feature file may not do is refused where it stands, and every bound is met and passed by one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/buf.h"
#include "config/yaml.h"

static void places_of_keys_and_values(void **state) {
  (void)state;
  struct tide_arena arena = TIDE_ARENA_INIT;
  struct tide_yaml_node *root;
  struct tide_error error = {0};
  const char *text = "a: 1\nb:\n  - x\n  - 'y z'\nc: {d: \"e\\n\", \xc3\xa9: f}\n";
  assert_int_equal(tide_yaml_parse(tide_span_of(text), &arena, &root, &error), TIDE_OK);
  assert_int_equal(root->kind, TIDE_YAML_MAP);
  assert_int_equal(root->count, 3);
  assert_int_equal(root->pair[1].line, 2);
  assert_int_equal(root->pair[1].column, 1);
  struct tide_yaml_node *list = tide_yaml_get(root, "b");
  assert_int_equal(list->kind, TIDE_YAML_LIST);
  assert_int_equal(list->count, 2);
  assert_string_equal(list->item[1]->text.ptr, "y z");
  assert_int_equal(list->item[1]->line, 4);
  assert_int_equal(list->item[1]->column, 5);
  assert_int_equal(list->item[1]->text_column, 6);
  assert_true(list->item[1]->exact);
  assert_false(list->item[1]->plain);
  struct tide_yaml_node *map = tide_yaml_get(root, "c");
  assert_true(map->flow);
  assert_string_equal(map->pair[0].value->text.ptr, "e\n");
  assert_false(map->pair[0].value->exact); /* the escape is longer than its value */
  assert_int_equal(map->pair[1].column, 15);
  assert_int_equal(map->pair[1].value->column, 18); /* characters, not bytes */
  assert_null(tide_yaml_get(root, "z"));
  tide_arena_release(&arena);
}

static void nothing_is_a_value(void **state) {
  (void)state;
  struct tide_arena arena = TIDE_ARENA_INIT;
  struct tide_yaml_node *root;
  assert_int_equal(tide_yaml_parse(TIDE_SPAN("a:\nb: ~\nc: null\nd: ''\ne: no\n"), &arena, &root, NULL), TIDE_OK);
  for (int i = 0; i < 3; i++) {
    assert_true(tide_yaml_is_null(root->pair[i].value));
  }
  assert_false(tide_yaml_is_null(root->pair[3].value));
  assert_string_equal(root->pair[4].value->text.ptr, "no"); /* a text, not false */
  const char *empty[] = {"", "\n", "# only a comment\n", "---\n", "~\n"};
  for (size_t i = 0; i < sizeof empty / sizeof empty[0]; i++) {
    assert_int_equal(tide_yaml_parse(tide_span_of(empty[i]), &arena, &root, NULL), TIDE_OK);
    assert_int_equal(root->kind, TIDE_YAML_MAP);
    assert_int_equal(root->count, 0);
  }
  tide_arena_release(&arena);
}

struct refusal {
  const char *text;
  enum tide_err code;
  int line, column;
  const char *says;
};

static void refusals_name_their_place(void **state) {
  (void)state;
  static const struct refusal cases[] = {
      {"a: 1\nb: 2\na: 3\n", TIDE_E_DUPLICATE_KEY, 3, 1, "line 1"},
      {"a: {b: 1, b: 2}\n", TIDE_E_DUPLICATE_KEY, 1, 11, "duplicate key `b`"},
      {"a: &x 1\n", TIDE_E_TYPE, 1, 4, "anchors"},
      {"a: 1\nb: *x\n", TIDE_E_TYPE, 2, 4, "aliases"},
      {"a: !!str 1\n", TIDE_E_TYPE, 1, 4, "tags"},
      {"a: ! 1\n", TIDE_E_TYPE, 1, 4, "tags"},
      {"a: 1\n---\nb: 2\n", TIDE_E_TRAILING, 2, 1, "second document"},
      {"? [a]\n: 1\n", TIDE_E_TYPE, 1, 3, "key must be a name"},
      {"a: \"\\0\"\n", TIDE_E_SYNTAX, 1, 4, "zero byte"},
      {"a: [1\n", TIDE_E_SYNTAX, 2, 1, "YAML"},
      {"a: 1\n\tb: 2\n", TIDE_E_SYNTAX, 2, 0, "YAML"},
      {"a: 1\nb: \xff\n", TIDE_E_UTF8, 2, 4, "UTF-8"},
      {"a: 1\nb: \xc3\xa9\xc3\n", TIDE_E_UTF8, 2, 5, "UTF-8"},
      {"\xe9", TIDE_E_UTF8, 1, 1, "UTF-8"},
      {"a: 1\nb: \x01\n", TIDE_E_SYNTAX, 2, 4, "YAML"},
      {"a: 1\nb: \xc3\xa9 \x01\n", TIDE_E_SYNTAX, 2, 6, "YAML"},
      {"a: \xc3\xa9\xe2\x82\xac\xc3\n", TIDE_E_UTF8, 1, 6, "UTF-8"}, /* characters are counted, as everywhere */
      {"a: 1\nb: \xc3\xa9\x01\n", TIDE_E_SYNTAX, 2, 5, "YAML"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct tide_arena arena = TIDE_ARENA_INIT;
    struct tide_yaml_node *root = NULL;
    struct tide_error error = {0};
    enum tide_err err = tide_yaml_parse(tide_span_of(cases[i].text), &arena, &root, &error);
    if (err != cases[i].code || error.line != cases[i].line || (cases[i].column && error.column != cases[i].column) ||
        !strstr(error.text, cases[i].says))
      fail_msg("case %zu: %s at %d:%d: %s", i, tide_err_name(err), error.line, error.column, error.text);
    assert_null(root);
    tide_arena_release(&arena);
  }
}

static void a_mark_in_front_is_passed_over(void **state) {
  (void)state;
  struct tide_arena arena = TIDE_ARENA_INIT;
  struct tide_yaml_node *root = NULL;
  struct tide_error error = {0};
  assert_int_equal(tide_yaml_parse(TIDE_SPAN("\xEF\xBB\xBF"
                                             "a: 1\nb: 2\n"),
                                   &arena, &root, &error),
                   TIDE_OK);
  assert_int_equal(root->count, 2);
  assert_string_equal(root->pair[0].key, "a");
  assert_int_equal(root->pair[0].value->column, 4);
  tide_arena_release(&arena);
}

static void bounds_hold(void **state) {
  (void)state;
  struct tide_arena arena = TIDE_ARENA_INIT;
  struct tide_yaml_node *root;
  struct tide_error error;
  struct tide_buf text = TIDE_BUF_INIT;
  for (int depth = TIDE_YAML_DEPTH_MAX; depth <= TIDE_YAML_DEPTH_MAX + 1; depth++) {
    tide_buf_clear(&text);
    for (int i = 0; i < depth; i++) {
      tide_buf_char(&text, '[');
    }
    for (int i = 0; i < depth; i++) {
      tide_buf_char(&text, ']');
    }
    assert_int_equal(tide_yaml_parse(tide_buf_span(&text), &arena, &root, &error), depth == TIDE_YAML_DEPTH_MAX ? TIDE_OK : TIDE_E_LIMIT);
  }
  for (int width = TIDE_YAML_WIDTH_MAX; width <= TIDE_YAML_WIDTH_MAX + 1; width++) {
    tide_buf_clear(&text);
    for (int i = 0; i < width; i++) {
      tide_buf_printf(&text, "- %d\n", i);
    }
    assert_int_equal(tide_yaml_parse(tide_buf_span(&text), &arena, &root, &error), width == TIDE_YAML_WIDTH_MAX ? TIDE_OK : TIDE_E_LIMIT);
  }
  tide_buf_clear(&text);
  for (int i = 0; i < 17; i++) {
    tide_buf_str(&text, "- [");
    for (int k = 0; k < 4000; k++) {
      tide_buf_str(&text, "1,");
    }
    tide_buf_str(&text, "]\n");
  }
  assert_int_equal(tide_yaml_parse(tide_buf_span(&text), &arena, &root, &error), TIDE_E_LIMIT);
  tide_buf_clear(&text);
  tide_buf_str(&text, "a: '");
  while (text.len <= TIDE_YAML_BYTES_MAX) {
    tide_buf_char(&text, 'x');
  }
  tide_buf_char(&text, '\'');
  assert_int_equal(tide_yaml_parse(tide_buf_span(&text), &arena, &root, &error), TIDE_E_LIMIT);
  tide_buf_release(&text);
  tide_arena_release(&arena);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(places_of_keys_and_values),      cmocka_unit_test(nothing_is_a_value), cmocka_unit_test(refusals_name_their_place),
      cmocka_unit_test(a_mark_in_front_is_passed_over), cmocka_unit_test(bounds_hold),
  };
  return cmocka_run_group_tests_name("yaml", tests, NULL, NULL);
}
