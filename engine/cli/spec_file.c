/* Loading a feature file for a verb (spec_file.h).
 *
 * The parser gives all mistakes at once; they are printed in the form FILE:LINE:COLUMN that editors jump to, and the first one's class
 * decides the exit code. */
#include "cli/spec_file.h"

#include "feature/spec_compose.h"

static int report_all(const char *path, const struct tide_error *error, size_t count) {
  size_t shown = count < TIDE_SPEC_ERRORS_MAX ? count : TIDE_SPEC_ERRORS_MAX;
  for (size_t i = 0; i < shown; i++) {
    if (error[i].line) fprintf(stderr, "%s:%d:%d: %s\n", path, error[i].line, error[i].column, error[i].text);
    else fprintf(stderr, "%s: %s\n", path, error[i].text);
  }
  if (count > shown) fprintf(stderr, "%s: and %zu more\n", path, count - shown);
  return (int)tide_exit_of(count ? error[0].code : TIDE_E_CONFIG);
}

bool tide_spec_open(const char *path, struct tide_spec **ret, int *ret_exit) {
  struct tide_error error[TIDE_SPEC_ERRORS_MAX] = {{0}};
  size_t count = 0;
  enum tide_err err = tide_spec_load(path, ret, error, TIDE_SPEC_ERRORS_MAX, &count);
  if (err == TIDE_OK) return true;
  *ret_exit = report_all(path, error, count);
  return false;
}

bool tide_spec_open_text(const char *path, struct tide_span text, struct tide_spec **ret, int *ret_exit) {
  struct tide_error error[TIDE_SPEC_ERRORS_MAX] = {{0}};
  size_t count = 0;
  enum tide_err err = tide_spec_parse(path, text, ret, error, TIDE_SPEC_ERRORS_MAX, &count);
  if (err == TIDE_OK) return true;
  *ret_exit = report_all(path, error, count);
  return false;
}

/* A mistake begins with the name of the file it stands in. */
static void print_composed(const struct tide_error *error, const char *policy_path, const char *features_path) {
  static const char policy[] = "policy: ", features[] = "feature file: ";
  bool of_policy = strncmp(error->text, policy, sizeof policy - 1) == 0;
  const char *text = error->text + (of_policy ? sizeof policy - 1 : sizeof features - 1);
  fprintf(stderr, "%s:%d:%d: %s\n", of_policy ? policy_path : features_path, error->line, error->column, text);
}

bool tide_spec_open_composed(const char *features_path, struct tide_span features, const char *policy_path, struct tide_span policy,
                             struct tide_spec **ret, int *ret_exit) {
  struct tide_error error[TIDE_SPEC_ERRORS_MAX] = {{0}};
  size_t count = 0;
  if (tide_spec_parse_composed(features, policy, ret, error, TIDE_SPEC_ERRORS_MAX, &count) == TIDE_OK) return true;
  for (size_t i = 0; i < count && i < TIDE_SPEC_ERRORS_MAX; i++) print_composed(&error[i], policy_path, features_path);
  if (count > TIDE_SPEC_ERRORS_MAX) fprintf(stderr, "%s: and %zu more\n", policy_path, count - TIDE_SPEC_ERRORS_MAX);
  *ret_exit = (int)tide_exit_of(error[0].code);
  return false;
}

enum tide_err tide_settings_from_args(const struct tide_args *args, struct tide_settings *ret, struct tide_error *error) {
  struct tide_settings settings = tide_settings_default();
  settings.replay = 1;
  settings.lateness_ms = tide_args_duration_ms(args, "lateness");
  settings.duplicates_for_ms = tide_args_duration_ms(args, "duplicates-for");
  settings.grace_ms = tide_args_duration_ms(args, "grace");
  const char *history = tide_args_text(args, "history-from");
  if (history) TIDE_CHECK(tide_args_time_parse(history, &settings.history_from_ms) == TIDE_OK);
  enum tide_err err = tide_settings_check(&settings, error);
  if (err != TIDE_OK) return err;
  *ret = settings;
  return TIDE_OK;
}

enum tide_err tide_model_from_args(const struct tide_args *args, const char *option, const struct tide_spec *spec, struct tide_model **ret,
                                   struct tide_error *error) {
  const char *path = tide_args_text(args, option);
  struct tide_model *model = NULL;
  enum tide_err err = path ? tide_model_load(path, &model, error) : TIDE_OK;
  if (err == TIDE_OK && model) err = tide_model_bind(model, spec, error);
  if (err != TIDE_OK) {
    tide_model_free(model);
    return err;
  }
  *ret = model;
  return TIDE_OK;
}
