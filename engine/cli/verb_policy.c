/* tidemark policy check: what a risk team runs after every change of its rules, before anything is pushed.
 *
 * The policy is put into the feature file as it would be in force (feature/spec_compose.h), so every mistake is found that the fold would find, each told at
 * its line in the file in which it stands; then the policy's own tests run on the real fold. */
#include "cli/verbs.h"

#include "cli/selftest.h"
#include "cli/spec_file.h"
#include "config/yaml.h"
#include "feature/spec_compose.h"

static enum tide_err read_both(const char *policy_path, const char *features_path, struct tide_buf *policy, struct tide_buf *features,
                               struct tide_error *error) {
  enum tide_err err = tide_yaml_read(policy_path, "policy", policy, error);
  return err ? err : tide_yaml_read(features_path, "feature file", features, error);
}

static int run_tests(const struct tide_spec *spec, const char *path) {
  struct tide_error error = {0};
  struct tide_selftest_result result = {0};
  if (tide_selftest(spec, path, false, stdout, &result, &error)) {
    fprintf(stderr, "%s:%d:%d: %s\n", path, error.line, error.column, error.text);
    return (int)tide_exit_of(error.code);
  }
  printf("%s: %u rules, %u of %u tests passed\n", path, spec->rule_count, result.run - result.failed, result.run);
  return result.failed ? TIDE_EXIT_DIFFERENT : TIDE_EXIT_OK;
}

static int check(const struct tide_args *args) {
  struct tide_error error = {0};
  struct tide_buf policy = TIDE_BUF_INIT, features = TIDE_BUF_INIT;
  const char *policy_path = tide_args_at(args, 0), *features_path = tide_args_text(args, "features");
  struct tide_spec *spec = NULL;
  int exit = TIDE_EXIT_OK;
  if (read_both(policy_path, features_path, &policy, &features, &error)) exit = tide_exit_report(&error);
  else if (tide_spec_open_composed(features_path, tide_buf_span(&features), policy_path, tide_buf_span(&policy), &spec, &exit))
    exit = run_tests(spec, policy_path);
  tide_spec_free(spec);
  tide_buf_release(&policy);
  tide_buf_release(&features);
  return exit;
}

static const struct tide_positional file[] = {{"FILE", "The policy: a file with `policy:`, and its `tests:`", false, false}};
static const struct tide_opt options[] = {
    {"features", "FILE", NULL, "The feature file that it shall be put into", TIDE_OPT_TEXT, TIDE_OPT_REQUIRED, 0, 0, NULL},
};

const struct tide_verb tide_verb_policy_check = {
    .name = "policy check",
    .summary = "Find every mistake in a policy of its own, and run its tests",
    .about =
        "Mistakes are printed as FILE:LINE:COLUMN with what to write instead (exit code 3), tests that fail with what was expected and what came (exit code 1). The tests of "
        "the feature file are about its own policy and are left out.",
    .example = "tidemark policy check strict.yaml --features config/defaults/features.yaml",
    .opt = options,
    .opt_count = sizeof options / sizeof options[0],
    .positional = file,
    .positional_count = 1,
    .run = check};
