/* A policy put into a feature file: the text that results, and the right file and line of each mistake.
 *
 * The composed text is compared byte by byte where it is small, and by what it parses to where it is the contract's example. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "feature/spec_compose.h"

static char *contract; /* the contract's example */

static int setup(void **state) {
  (void)state;
  struct tide_buf buf = TIDE_BUF_INIT;
  FILE *file = fopen("tests/golden/features/contract.yaml", "re");
  if (!file) return -1;
  tide_buf_reserve(&buf, 65536);
  buf.len = fread(buf.ptr, 1, 65536, file);
  (void)fclose(file);
  contract = tide_buf_take(&buf);
  return 0;
}
static int teardown(void **state) {
  (void)state;
  tide_free(contract);
  return 0;
}

static void compose(const char *features, const char *policy, const char *expect) {
  struct tide_buf out = TIDE_BUF_INIT;
  struct tide_composed composed;
  struct tide_error error = {0};
  tide_buf_str(&out, "kept:");
  if (tide_spec_compose(tide_span_of(features), tide_span_of(policy), &out, &composed, &error))
    fail_msg("%d:%d %s", error.line, error.column, error.text);
  assert_string_equal(tide_buf_cstr(&out) + 5, expect);
  tide_buf_release(&out);
}

static void the_section_is_replaced_and_nothing_else(void **state) {
  (void)state;
  compose("a: 1\npolicy:\n  old: 1\n\n# about b\nb: 2\n", "name: p\n# words\npolicy:\n  new: 1\n  more: 2\n",
          "a: 1\npolicy:\n  new: 1\n  more: 2\n\n# about b\nb: 2\n");
  compose("policy: {old: 1}\nb: 2", "policy: {new: 1} # why", "policy: {new: 1} # why\nb: 2\n");
  compose("a: 1", "policy:\n  new: 1\n# the end\n", "a: 1\npolicy:\n  new: 1\n");
  compose("a: 1\n\"policy\":\n  old: 1", "tidemark: 1\n'policy':\n  new: 1\nname: p\n", "a: 1\n'policy':\n  new: 1\n");
  compose("a: 1\r\npolicy:\r\n  old: 1\r\nb: 2\r\n", "policy:\n  new: 1\n", "a: 1\r\npolicy:\n  new: 1\nb: 2\r\n");
}

static void tests_go_with_their_policy(void **state) {
  (void)state;
  compose("a: 1\ntests:\n  - t\npolicy: {old: 1}\nb: 2\n", "policy: {new: 1}\ntests:\n  - u\n  - v\n",
          "a: 1\ntests:\n  - u\n  - v\npolicy: {new: 1}\nb: 2\n");
  compose("policy: {old: 1}\ntests:\n  - t\nb: 2\n", "policy: {new: 1}\n", "policy: {new: 1}\nb: 2\n");
  compose("b: 2\n", "tests: [t]\npolicy: {new: 1}\n", "b: 2\npolicy: {new: 1}\ntests: [t]\n");
}

static void refuse(const char *features, const char *policy, enum tide_err code, int line, const char *says) {
  struct tide_buf out = TIDE_BUF_INIT;
  struct tide_composed composed;
  struct tide_error error = {0};
  assert_int_equal(tide_spec_compose(tide_span_of(features), tide_span_of(policy), &out, &composed, &error), code);
  assert_int_equal(error.line, line);
  assert_int_equal(strncmp(error.text, says, strlen(says)), 0);
  assert_int_equal(out.len, 0);
  tide_buf_release(&out);
}

static void what_is_no_policy_is_refused_at_its_place(void **state) {
  (void)state;
  refuse("a: 1\n", "name: p\n", TIDE_E_MISSING, 1, "policy: `policy:` is missing");
  refuse("a: 1\n", "policy:\n  x: 1\nfreshness: {}\n", TIDE_E_UNKNOWN_NAME, 3, "policy: `freshness:` does not belong here");
  refuse("a: 1\n", "policy: [1]\n", TIDE_E_TYPE, 1, "policy: policy must be a mapping");
  refuse("a: 1\n", "tidemark: 2\npolicy: {}\n", TIDE_E_VERSION, 1, "policy: this program reads");
  refuse("a: 1\n", "name: []\npolicy: {}\n", TIDE_E_TYPE, 1, "policy: name");
  refuse("a: 1\n", "{policy: {}}\n", TIDE_E_TYPE, 1, "policy: the file must be");
  refuse("a: 1\n", "policy: {}\npolicy: {}\n", TIDE_E_DUPLICATE_KEY, 2, "policy: duplicate key");
  refuse("a: 1\n", " policy:\n   x: 1\n", TIDE_E_TYPE, 1, "policy: `policy:` does not begin its line");
  refuse("a: 1\n", "? policy\n: {}\n", TIDE_E_TYPE, 1, "policy: `policy:` does not begin its line");
  refuse("a: 1\n&x b: 2\n", "policy: {}\n", TIDE_E_TYPE, 2, "feature file: anchors");
  refuse("{a: 1}\n", "policy: {}\n", TIDE_E_TYPE, 1, "feature file: the file must be");
  /* libyaml takes a carriage return for the end of a line, this file's lines end with newlines */
  refuse("# one\r# two\na: 1\npolicy: {}\n", "policy: {}\n", TIDE_E_TYPE, 4, "feature file: `policy:` does not begin its line");
}

static const char good[] = "name: strict-2\n"
                           "policy:\n"
                           "  decisions: [approve, decline]\n"
                           "  rules:\n"
                           "    - S01: decline when card.attempts_1m > 2\n"
                           "    - else: approve\n";

static void a_feature_file_under_another_policy(void **state) {
  (void)state;
  struct tide_spec *spec;
  struct tide_error error[4] = {{0}};
  size_t count = 9;
  if (tide_spec_parse_composed(tide_span_of(contract), tide_span_of(good), &spec, error, 4, &count))
    fail_msg("%d:%d %s", error[0].line, error[0].column, error[0].text);
  assert_int_equal(count, 0);
  assert_int_equal(spec->rule_count, 2);
  assert_string_equal(spec->rule[0].code, "S01");
  assert_int_equal(spec->decision_count, 2);
  assert_int_equal(spec->list_count, 0);
  assert_string_equal(spec->name, "eu-issuing");
  assert_int_equal(spec->test_count, 0);
  tide_spec_free(spec);
}

static void tests_bear_the_lines_of_their_policy(void **state) {
  (void)state;
  struct tide_spec *spec;
  struct tide_error error[4] = {{0}};
  size_t count = 0;
  char policy[512];
  snprintf(policy, sizeof policy, "%s%s", good, /* six lines */
           "tests:\n"
           "  - name: third\n"
           "    events: [{at: 0s, repeat: 3},\n"
           "             {at: 1s,\n"
           "              amount: 5}]\n"
           "    expect: {rule: S01,\n"
           "             decision: decline}\n");
  if (tide_spec_parse_composed(tide_span_of(contract), tide_span_of(policy), &spec, error, 4, &count))
    fail_msg("%d:%d %s", error[0].line, error[0].column, error[0].text);
  assert_int_equal(spec->test_count, 1);
  const struct tide_test *test = &spec->test[0];
  assert_int_equal(test->line, 8);
  assert_int_equal(test->event_count, 2);
  assert_int_equal(test->event[0].line, 9);
  assert_int_equal(test->event[1].line, 10);
  assert_int_equal(test->event[1].set[0].line, 11);
  assert_int_equal(test->expect[0].line, 12);
  assert_int_equal(test->expect[1].line, 13);
  tide_spec_free(spec);
}

static void mistakes_name_the_file_they_stand_in(void **state) {
  (void)state;
  struct tide_spec *spec;
  struct tide_error error[4] = {{0}};
  size_t count = 0;
  static const char wrong[] =
      "policy:\n  decisions: [approve, decline]\n  rules:\n    - S01: decline when card.nothing_1m > 2\n    - else: approve\n";
  assert_int_equal(tide_spec_parse_composed(tide_span_of(contract), tide_span_of(wrong), &spec, error, 4, &count), TIDE_E_CONFIG);
  assert_int_equal(count, 1);
  assert_int_equal(error[0].line, 4);
  assert_non_null(strstr(error[0].text, "policy: "));
  /* in front of the policy and behind it: the line is the feature file's own */
  static const char head[] = "nothing: 1\n", tail[] = "nothing: 1\n";
  struct tide_buf broken = TIDE_BUF_INIT;
  for (int behind = 0; behind < 2; behind++) {
    int line = 1;
    tide_buf_clear(&broken);
    if (!behind) tide_buf_str(&broken, head);
    tide_buf_str(&broken, contract);
    for (size_t i = 0; behind && i < broken.len; i++) line += broken.ptr[i] == '\n';
    if (behind) tide_buf_str(&broken, tail);
    assert_true(tide_spec_parse_composed(tide_buf_span(&broken), tide_span_of(good), &spec, error, 4, &count) != TIDE_OK);
    assert_int_equal(count, 1);
    assert_int_equal(error[0].line, line);
    assert_int_equal(strncmp(error[0].text, "feature file: ", 14), 0);
  }
  tide_buf_release(&broken);
}

static void a_policy_has_a_name(void **state) {
  (void)state;
  struct tide_buf name = TIDE_BUF_INIT;
  struct tide_error error = {0};
  assert_int_equal(tide_policy_name(tide_span_of(good), &name, &error), TIDE_OK);
  assert_string_equal(tide_buf_cstr(&name), "strict-2");
  tide_buf_clear(&name);
  assert_int_equal(tide_policy_name(tide_span_of("policy: {}"), &name, &error), TIDE_OK);
  assert_int_equal(name.len, 0);
  assert_int_equal(tide_policy_name(tide_span_of("name: x"), &name, &error), TIDE_E_MISSING);
  tide_buf_release(&name);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(the_section_is_replaced_and_nothing_else),
      cmocka_unit_test(tests_go_with_their_policy),
      cmocka_unit_test(what_is_no_policy_is_refused_at_its_place),
      cmocka_unit_test(a_feature_file_under_another_policy),
      cmocka_unit_test(tests_bear_the_lines_of_their_policy),
      cmocka_unit_test(mistakes_name_the_file_they_stand_in),
      cmocka_unit_test(a_policy_has_a_name),
  };
  return cmocka_run_group_tests_name("spec_compose", tests, setup, teardown);
}
