/* Command lines against tables: what is accepted, what is refused and with which words, and that every verb's table is sane.
 *
 * The tables are data, so a mistake in one (a default out of its own range, a name twice) would only show when somebody types it; here all
 * of them are walked. The rows of `generate` are compared with generate.h's, which they must not contradict. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>

#include "cli/generate.h"
#include "cli/verbs.h"

static const struct tide_opt toy_options[] = {
    {"input", "FILE", NULL, "in", TIDE_OPT_TEXT, TIDE_OPT_REQUIRED | TIDE_OPT_REPEAT, 0, 0, NULL},
    {"count", "N", "5", "how many", TIDE_OPT_INT, 0, 1, 10, NULL},
    {"share", "PCT", "2.5", "how much", TIDE_OPT_PERCENT, 0, 0, 100, NULL},
    {"wait", "DURATION", "10m", "how long", TIDE_OPT_DURATION, 0, 0, 0, NULL},
    {"since", "TIME", NULL, "from when", TIDE_OPT_TIME, 0, 0, 0, NULL},
    {"colour", "NAME", "red", "which", TIDE_OPT_CHOICE, 0, 0, 0, "red|green"},
    {"loud", NULL, NULL, "more words", TIDE_OPT_SWITCH, 0, 0, 0, NULL},
};
static const struct tide_positional toy_positional[] = {{"ID", "the id", false, false}, {"MORE", "more", true, false}};
static const struct tide_verb toy = {.name = "toy",
                                     .summary = "A toy",
                                     .example = "tidemark toy",
                                     .opt = toy_options,
                                     .opt_count = sizeof toy_options / sizeof toy_options[0],
                                     .positional = toy_positional,
                                     .positional_count = 2};

static enum tide_err parse(struct tide_args *args, bool *help, struct tide_error *error, ...) {
  char *argv[16];
  int argc = 0;
  va_list words;
  va_start(words, error);
  for (char *word; (word = va_arg(words, char *)) != NULL;) argv[argc++] = word;
  va_end(words);
  return tide_args_parse(&toy, argc, argv, args, help, error);
}

static void reads_values_and_defaults(void **state) {
  (void)state;
  struct tide_args args;
  struct tide_error error = {0};
  bool help;
  int64_t ms = 0;
  assert_int_equal(parse(&args, &help, &error, "x", "--input", "-", "--count=7", "--loud", "--input", "b", "--since",
                         "1970-01-01T00:00:01Z", (char *)NULL),
                   TIDE_OK);
  assert_false(help);
  assert_string_equal(tide_args_at(&args, 0), "x");
  assert_null(tide_args_at(&args, 1));
  assert_string_equal(tide_args_nth(&args, "input", 0), "-");
  assert_string_equal(tide_args_nth(&args, "input", 1), "b");
  assert_null(tide_args_nth(&args, "input", 2));
  assert_int_equal(tide_args_int(&args, "count"), 7);
  assert_true(tide_args_double(&args, "share") == 2.5);
  assert_int_equal(tide_args_duration_ms(&args, "wait"), 600000);
  assert_string_equal(tide_args_text(&args, "colour"), "red");
  assert_true(tide_args_on(&args, "loud"));
  assert_false(tide_args_on(&args, "wait"));
  assert_int_equal(tide_args_time_parse(tide_args_text(&args, "since"), &ms), TIDE_OK);
  assert_int_equal(ms, 1000);
  assert_int_equal(tide_args_time_parse("1500", &ms), TIDE_OK);
  assert_int_equal(ms, 1500);
  tide_args_release(&args);
}

static void two_dashes_end_the_options(void **state) {
  (void)state;
  struct tide_args args;
  struct tide_error error = {0};
  bool help;
  assert_int_equal(parse(&args, &help, &error, "--input", "a", "--", "--loud", "--help", (char *)NULL), TIDE_OK);
  assert_false(help);
  assert_false(tide_args_on(&args, "loud"));
  assert_string_equal(tide_args_at(&args, 0), "--loud");
  assert_string_equal(tide_args_at(&args, 1), "--help");
  tide_args_release(&args);
}

static void help_wins_over_mistakes(void **state) {
  (void)state;
  struct tide_args args;
  struct tide_error error = {0};
  bool help = false;
  assert_int_equal(parse(&args, &help, &error, "--nonsense", "--help", (char *)NULL), TIDE_OK);
  assert_true(help);
  tide_args_release(&args);
}

/* Each line: what is typed, and a piece of the answer. */
static void refuses_with_words(void **state) {
  (void)state;
  static const struct {
    const char *word[5];
    const char *says;
  } line[] = {
      {{"x"}, "needs --input FILE"},
      {{"--input", "a"}, "needs ID"},
      {{"x", "--input"}, "--input needs a FILE"},
      {{"x", "--input", "--loud"}, "--input needs a FILE"},
      {{"x", "--input", ""}, "not empty"},
      {{"x", "--input", "a", "--cuont", "3"}, "did you mean --count"},
      {{"x", "--input", "a", "--zzzzzzzzzzz"}, "see tidemark toy --help"},
      {{"x", "--input", "a", "--count=0"}, "must be 1 to 10"},
      {{"x", "--input", "a", "--count=1x"}, "whole number"},
      {{"x", "--input", "a", "--share=101"}, "must be 0 to 100"},
      {{"x", "--input", "a", "--share=nan"}, "needs a number"},
      {{"x", "--input", "a", "--wait=10"}, "duration"},
      {{"x", "--input", "a", "--since=today"}, "time"},
      {{"x", "--input", "a", "--colour=re"}, "red|green"},
      {{"x", "--input", "a", "--colour=red|green"}, "red|green"},
      {{"x", "--input", "a", "--loud=1"}, "takes no value"},
      {{"x", "--input", "a", "--loud", "--loud"}, "given twice"},
      {{"x", "y", "z", "--input", "a"}, "\"z\""},
      {{"x", "--input", "a", "-l"}, "two dashes"},
  };
  for (size_t i = 0; i < sizeof line / sizeof line[0]; i++) {
    char *argv[5];
    int argc = 0;
    while (argc < 5 && line[i].word[argc]) argv[argc] = (char *)(uintptr_t)line[i].word[argc], argc++;
    struct tide_args args;
    struct tide_error error = {0};
    bool help;
    assert_int_equal(tide_args_parse(&toy, argc, argv, &args, &help, &error), TIDE_E_USAGE);
    if (!strstr(error.text, line[i].says)) fail_msg("line %zu: \"%s\" does not say \"%s\"", i, error.text, line[i].says);
    assert_int_equal(tide_exit_of(error.code), TIDE_EXIT_USAGE);
    tide_args_release(&args);
  }
}

static void classes_have_exit_codes(void **state) {
  (void)state;
  assert_int_equal(tide_exit_of(TIDE_OK), 0);
  assert_int_equal(tide_exit_of(TIDE_E_USAGE), 2);
  assert_int_equal(tide_exit_of(TIDE_E_CONFIG), 3);
  assert_int_equal(tide_exit_of(TIDE_E_VERSION), 3);
  assert_int_equal(tide_exit_of(TIDE_E_NOT_FOUND), 4);
  assert_int_equal(tide_exit_of(TIDE_E_FULL), 4);
  assert_int_equal(tide_exit_of(TIDE_E_LOCKED), 4);
  assert_int_equal(tide_exit_of(TIDE_E_CORRUPT), 5);
  assert_int_equal(tide_exit_of(TIDE_E_MISMATCH), 5);
}

/* A default must pass the check of its own row, and a name stand once. */
static void every_table_is_sane(void **state) {
  (void)state;
  for (size_t v = 0; v < tide_verb_count; v++) {
    const struct tide_verb *verb = tide_verbs[v];
    assert_non_null(verb->run);
    assert_true(strncmp(verb->example, "tidemark ", 9) == 0 || strstr(verb->example, "| tidemark ") != NULL);
    assert_true(strstr(verb->example, verb->name) != NULL);
    assert_true(verb->summary[strlen(verb->summary) - 1] != '.');
    for (size_t i = 0; i < verb->opt_count; i++) {
      const struct tide_opt *opt = &verb->opt[i];
      assert_true((opt->kind == TIDE_OPT_SWITCH) == (opt->arg == NULL));
      assert_true((opt->kind == TIDE_OPT_CHOICE) == (opt->choices != NULL));
      assert_false(opt->dflt && (opt->flags & TIDE_OPT_REQUIRED));
      for (size_t k = 0; k < i; k++) assert_string_not_equal(opt->name, verb->opt[k].name);
      if (!opt->dflt) continue;
      struct tide_opt row = *opt;
      struct tide_verb alone = {.name = "alone", .opt = &row, .opt_count = 1};
      char word[160];
      snprintf(word, sizeof word, "--%s=%s", opt->name, opt->dflt);
      char *argv[] = {word};
      struct tide_args args;
      struct tide_error error = {0};
      bool help;
      if (tide_args_parse(&alone, 1, argv, &args, &help, &error) != TIDE_OK) fail_msg("%s --%s: %s", verb->name, opt->name, error.text);
      tide_args_release(&args);
    }
  }
}

static const struct tide_opt *generate_row(const char *name) {
  for (size_t i = 0; i < tide_verb_generate.opt_count; i++)
    if (strcmp(tide_verb_generate.opt[i].name, name) == 0) return &tide_verb_generate.opt[i];
  fail_msg("generate has no --%s", name);
  return NULL;
}

/* generate.h's out_of_order_pct is --out-of-order here, start_ms is --start. */
static void generate_agrees_with_its_header(void **state) {
  (void)state;
  static const struct {
    const char *name;
    double dflt, lo, hi;
  } row[] = {
#define X(type, name, dflt, lo, hi, help) {#name, (double)(dflt), (double)(lo), (double)(hi)},
      TIDE_GENERATE_OPTIONS(X)
#undef X
  };
  for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
    char name[64];
    snprintf(name, sizeof name, "%s", row[i].name);
    char *unit = strstr(name, "_pct") ? strstr(name, "_pct") : strstr(name, "_ms");
    if (unit) *unit = '\0';
    for (char *at = name; *at; at++)
      if (*at == '_') *at = '-';
    const struct tide_opt *opt = generate_row(name);
    int64_t ms;
    if (opt->kind == TIDE_OPT_TIME) {
      assert_int_equal(tide_args_time_parse(opt->dflt, &ms), TIDE_OK);
      assert_true((double)ms == row[i].dflt);
      continue;
    }
    assert_true(strtod(opt->dflt, NULL) == row[i].dflt);
    assert_true((double)opt->lo == row[i].lo && (double)opt->hi == row[i].hi);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(reads_values_and_defaults),      cmocka_unit_test(two_dashes_end_the_options),
                                     cmocka_unit_test(help_wins_over_mistakes),        cmocka_unit_test(refuses_with_words),
                                     cmocka_unit_test(classes_have_exit_codes),        cmocka_unit_test(every_table_is_sane),
                                     cmocka_unit_test(generate_agrees_with_its_header)};
  return cmocka_run_group_tests_name("args", tests, NULL, NULL);
}
