/* Loading a feature file for a verb: all its mistakes are printed, not only the first.
 *
 * Also the settings that a replay may set, as option rows: they are journaled with the feature file, because a decision depends on
 * them. */
#ifndef TIDE_SPEC_FILE_H
#define TIDE_SPEC_FILE_H

#include "cli/args.h"
#include "feature/settings.h"
#include "feature/spec.h"
#include "model/artifact.h"

#define TIDE_SPEC_ERRORS_MAX 20

/* Loads; on failure prints every mistake as path:line:column: text to stderr and returns the exit code in *ret_exit. */
bool tide_spec_open(const char *path, struct tide_spec **ret, int *ret_exit);
/* The same from text in memory; path only names it. */
bool tide_spec_open_text(const char *path, struct tide_span text, struct tide_spec **ret, int *ret_exit);
/* A feature file with the policy of another file in place of its own (feature/spec_compose.h); each mistake is printed with the file it stands in. */
bool tide_spec_open_composed(const char *features_path, struct tide_span features, const char *policy_path, struct tide_span policy,
                             struct tide_spec **ret, int *ret_exit);

/* Rows of the settings that a replay may set. */
#define TIDE_SETTING_OPTIONS                                                                                                      \
  {"history-from", "TIME", NULL, "Event time from which the log is complete; windows that begin earlier are warming. Otherwise the first event's time", \
   TIDE_OPT_TIME, 0, 0, 0, NULL},                                                                                                 \
  {"lateness", "DURATION", "7d", "An event older than the watermark by more is counted nowhere", TIDE_OPT_DURATION, 0, 0, 0, NULL}, \
  {"duplicates-for", "DURATION", "7d", "How long an identity and its decision are remembered", TIDE_OPT_DURATION, 0, 0, 0, NULL}, \
  {"grace", "DURATION", "1h", "Retention beyond the longest window", TIDE_OPT_DURATION, 0, 0, 0, NULL}

/* The model that scores. */
#define TIDE_MODEL_OPTION \
  {"model", "FILE", NULL, "The model whose score the rules read, as train wrote it; left out: rules that read it are unknown", TIDE_OPT_TEXT, 0, 0, 0, NULL}

/* Loads the model that the option names and binds it to the feature file. *ret is NULL when the option was not given. Errors: tide_model_load's, and MISMATCH
 * (a feature file with other definitions). */
enum tide_err tide_model_from_args(const struct tide_args *args, const char *option, const struct tide_spec *spec, struct tide_model **ret,
                                   struct tide_error *error) TIDE_WARN_UNUSED;

/* Settings of a replay from those options, checked. */
enum tide_err tide_settings_from_args(const struct tide_args *args, struct tide_settings *ret, struct tide_error *error) TIDE_WARN_UNUSED;

#endif
