/* tidemark features check | describe | compare.
 *
 * check is what analysts run after every change: mistakes with line and column, then the file's own tests on the real fold. describe says in
 * words what every value is; its text is feature/describe.c's. */
#include "cli/verbs.h"

#include "cli/features_compare.h"
#include "cli/selftest.h"
#include "cli/spec_file.h"
#include "feature/describe.h"

static const struct tide_positional file[] = {{"FILE", "The feature file", false, false}};

static const struct tide_opt check_options[] = {
    {"verbose", NULL, NULL, "Name the tests that pass as well", TIDE_OPT_SWITCH, 0, 0, 0, NULL},
    {"against", "FILE", NULL, "The feature file in force: can this one follow it in a running journal? Exit code 1 when it cannot",
     TIDE_OPT_TEXT, 0, 0, 0, NULL},
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

static int compare_with(const char *path, const struct tide_spec *to, const struct tide_compare_options *options) {
  struct tide_spec *from;
  struct tide_error error = {0};
  struct tide_buf out = TIDE_BUF_INIT;
  int exit;
  bool possible = false;
  if (!tide_spec_open(path, &from, &exit)) return exit;
  enum tide_err err = tide_features_compare(from, to, options, &out, &possible, &error);
  bool written = fwrite(out.ptr ? out.ptr : "", 1, out.len, stdout) == out.len && fflush(stdout) == 0;
  tide_buf_release(&out);
  tide_spec_free(from);
  if (err != TIDE_OK) return tide_exit_report(&error);
  return !written ? TIDE_EXIT_IO : possible ? TIDE_EXIT_OK : TIDE_EXIT_DIFFERENT;
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
  struct tide_compare_options options = {.settings = tide_settings_default()};
  const char *against = tide_args_text(args, "against");
  int followed = against ? compare_with(against, spec, &options) : TIDE_EXIT_OK;
  if (exit == TIDE_EXIT_OK) exit = followed;
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

static const struct tide_positional two_files[] = {{"FILE", "The feature file in force", false, false},
                                                   {"NEXT", "The one that shall follow it", false, false}};

static const struct tide_opt compare_options[] = {
    {"cards", "N", NULL, "Entities of the primary kind: says how much memory both need side by side", TIDE_OPT_INT, 0, 1, 100000000000,
     NULL},
    {"per-month", "N", "10", "Transactions a card in 30 days", TIDE_OPT_PERCENT, 0, 0, 1000000, NULL},
    TIDE_SETTING_OPTIONS,
    {"json", NULL, NULL, "As one JSON object", TIDE_OPT_SWITCH, 0, 0, 0, NULL},
};

static int compare(const struct tide_args *args) {
  struct tide_spec *to;
  struct tide_error error = {0};
  struct tide_compare_options options = {.json = tide_args_on(args, "json")};
  int exit;
  if (tide_args_on(args, "cards")) {
    options.cards = (double)tide_args_int(args, "cards");
    options.per_month = tide_args_double(args, "per-month");
  }
  if (tide_settings_from_args(args, &options.settings, &error) != TIDE_OK) return tide_exit_report(&error);
  if (!tide_spec_open(tide_args_at(args, 1), &to, &exit)) return exit;
  exit = compare_with(tide_args_at(args, 0), to, &options);
  tide_spec_free(to);
  return exit;
}

const struct tide_verb tide_verb_features_compare = {
    .name = "features compare",
    .summary = "Say what becomes of every value when one feature file follows another in a running journal",
    .about =
        "The state under the next file is counted from the whole log, so a value is carried, back-filled from the events, or warming where it reads a field that older events "
        "lack. What events are known by (identity, amount, merchant, keys of entities, types of fields) cannot change: exit code 1, with every reason.",
    .example = "tidemark features compare features.yaml next.yaml --cards 1000000",
    .opt = compare_options,
    .opt_count = sizeof compare_options / sizeof compare_options[0],
    .positional = two_files,
    .positional_count = 2,
    .run = compare};
