/* tidemark features check | describe.
 *
 * check is what analysts run after every change: mistakes with line and column, then the file's own tests on the real fold. describe says in
 * words what every value is; its text is feature/describe.c's. */
#include "cli/verbs.h"

#include "cli/selftest.h"
#include "cli/spec_file.h"
#include "feature/describe.h"

static const struct tide_positional file[] = {{"FILE", "The feature file", false, false}};

static const struct tide_opt check_options[] = {
    {"verbose", NULL, NULL, "Name the tests that pass as well", TIDE_OPT_SWITCH, 0, 0, 0, NULL},
    {"no-tests", NULL, NULL, "Check the file, but do not run its tests", TIDE_OPT_SWITCH, 0, 0, 0, NULL},
};

static int run_tests(const struct tide_args *args, const struct tide_spec *spec, const char *path) {
  struct tide_error error = {0};
  struct tide_selftest_result result = {0};
  if (tide_selftest(spec, path, tide_args_on(args, "verbose"), stdout, &result, &error) != TIDE_OK) {
    fprintf(stderr, "%s:%d:%d: %s\n", path, error.line, error.column, error.text);
    return (int)tide_exit_of(error.code);
  }
  printf("%u of %u tests passed\n", result.run - result.failed, result.run);
  return result.failed ? TIDE_EXIT_DIFFERENT : TIDE_EXIT_OK;
}

static int check(const struct tide_args *args) {
  const char *path = tide_args_at(args, 0);
  struct tide_spec *spec;
  int exit;
  if (!tide_spec_open(path, &spec, &exit)) return exit;
  printf("%s: %u fields, %u shapes, %u entities, %u features (%u values), %u derived, %u rules\n", spec->name ? spec->name : path,
         spec->field_count - spec->fact_count, spec->shape_count, spec->entity_count, spec->feature_count, spec->slot_count,
         spec->derived_count, spec->rule_count);
  exit = tide_args_on(args, "no-tests") ? TIDE_EXIT_OK : run_tests(args, spec, path);
  tide_spec_free(spec);
  return exit;
}

const struct tide_verb tide_verb_features_check = {
    .name = "features check",
    .summary = "Find every mistake in a feature file and run its tests",
    .about =
        "Mistakes are printed as FILE:LINE:COLUMN with what to write instead (exit code 3). Failed tests are printed with what was expected and what came "
        "(exit code 1). Test events are relative to Monday 2026-01-05T12:00:00Z; required fields that a test leaves out get a stand-in.",
    .example = "tidemark features check config/defaults/features.yaml",
    .opt = check_options,
    .opt_count = sizeof check_options / sizeof check_options[0],
    .positional = file,
    .positional_count = 1,
    .run = check};

static int describe(const struct tide_args *args) {
  struct tide_spec *spec;
  int exit;
  if (!tide_spec_open(tide_args_at(args, 0), &spec, &exit)) return exit;
  struct tide_buf text = TIDE_BUF_INIT;
  tide_describe(spec, &text);
  bool written = fwrite(text.ptr, 1, text.len, stdout) == text.len && fflush(stdout) == 0;
  tide_buf_release(&text);
  tide_spec_free(spec);
  return written ? TIDE_EXIT_OK : TIDE_EXIT_IO;
}

const struct tide_verb tide_verb_features_describe = {.name = "features describe",
                                                      .summary = "Print the exact definition of every feature, rule and entity",
                                                      .example = "tidemark features describe config/defaults/features.yaml",
                                                      .positional = file,
                                                      .positional_count = 1,
                                                      .run = describe};
