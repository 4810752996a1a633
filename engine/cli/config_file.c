/* Loading the operator's configuration for a verb (config_file.h).
 *
 * All mistakes are printed, those of the file in the form FILE:LINE:COLUMN that editors jump to; the first one's class decides the exit
 * code, as for feature files. */
#include "cli/config_file.h"

#include <unistd.h>

#include "adapter/client_kafka.h"
#include "base/log.h"

enum { ERRORS_MAX = 20, SET_MAX = 256 };

static bool open_input(const struct tide_config_input *input, struct tide_config **ret, int *ret_exit) {
  struct tide_error error[ERRORS_MAX] = {{0}};
  size_t count = 0;
  enum tide_err err = tide_config_load(input, ret, error, ERRORS_MAX, &count);
  if (err == TIDE_OK) return true;
  size_t shown = count < ERRORS_MAX ? count : ERRORS_MAX;
  for (size_t i = 0; i < shown; i++) {
    if (error[i].line) fprintf(stderr, "%s:%d:%d: %s\n", input->path, error[i].line, error[i].column, error[i].text);
    else fprintf(stderr, "tidemark: %s\n", error[i].text);
  }
  if (count > shown) fprintf(stderr, "tidemark: and %zu more mistakes\n", count - shown);
  *ret_exit = (int)tide_exit_of(err);
  return false;
}

bool tide_config_open(const struct tide_args *args, struct tide_config **ret, int *ret_exit) {
  return tide_config_open_with(args, NULL, 0, ret, ret_exit);
}

bool tide_config_open_with(const struct tide_args *args, const char *const *more, size_t more_count, struct tide_config **ret,
                           int *ret_exit) {
  const char *set[SET_MAX];
  size_t count = 0;
  TIDE_CHECK(more_count < SET_MAX / 2);
  while (count < more_count) set[count] = more[count], count++;
  for (const char *text; (text = tide_args_nth(args, "set", count - more_count)) != NULL;) {
    if (count == SET_MAX) {
      fprintf(stderr, "tidemark: more than %d --set: write a file\n", SET_MAX);
      *ret_exit = TIDE_EXIT_USAGE;
      return false;
    }
    set[count++] = text;
  }
  struct tide_config_input input = {tide_args_text(args, "config"), (const char *const *)environ, set, count};
  return open_input(&input, ret, ret_exit);
}

bool tide_config_open_file(const char *path, struct tide_config **ret, int *ret_exit) {
  struct tide_config_input input = {.path = path};
  return open_input(&input, ret, ret_exit);
}

enum tide_err tide_config_ready(const struct tide_config *config, struct tide_error *error) {
  if (config->features_file[0]) return TIDE_OK;
  return tide_fail_at(error, TIDE_E_CONFIG, 0, 0, "features.file",
                      "features.file is not set: name the feature file, as in --set features.file=config/defaults/features.yaml");
}

size_t tide_config_check_kafka(const struct tide_config *config) {
  size_t count = 0;
  for (size_t i = 0; i < config->kafka_count; i++) {
    const struct tide_config_kafka *kafka = &config->kafka[i];
    struct tide_error error = {0};
    char env[TIDE_KAFKA_ENV_BYTES];
    if (tide_kafka_check(kafka->name, kafka->value, &error) == TIDE_OK) continue;
    count++;
    /* A variable's value is not repeated, as in config/. */
    if (kafka->origin.from == TIDE_FROM_FILE)
      fprintf(stderr, "%s:%d:%d: %s\n", config->path ? config->path : "file", kafka->origin.line, kafka->origin.column, error.text);
    else if (kafka->origin.from == TIDE_FROM_ENVIRONMENT)
      fprintf(stderr, "tidemark: environment %s: librdkafka does not take kafka.%s, or not this value\n", tide_kafka_env_name(kafka, env),
              kafka->name);
    else fprintf(stderr, "tidemark: --set: %s\n", error.text);
  }
  return count;
}

void tide_config_apply_log(const struct tide_config *config, const struct tide_args *args) {
  if (!tide_args_on(args, "log-level")) tide_log_level_set((enum tide_log_level)config->log_level);
  tide_log_format_set((enum tide_log_format)config->log_format);
  tide_log_limit_set((uint32_t)config->log_limit);
}

struct tide_settings tide_settings_from_config(const struct tide_config *config) {
  struct tide_settings settings = {.lateness_ms = config->fold_lateness_ms,
                                   .duplicates_for_ms = config->fold_duplicates_for_ms,
                                   .grace_ms = config->fold_grace_ms,
                                   .out_of_orderness_ms = config->fold_out_of_orderness_ms,
                                   .max_future_skew_ms = config->fold_max_future_skew_ms,
                                   .lead_ms = config->fold_lead_ms,
                                   .history_from_ms = config->fold_history_from_ms,
                                   .max_entities = config->fold_max_entities,
                                   .replay = 0};
  TIDE_CHECK(tide_settings_check(&settings, NULL) == TIDE_OK); /* the two tables have the same bounds */
  return settings;
}

int tide_config_show(const struct tide_config *config, bool describe) {
  struct tide_buf text = TIDE_BUF_INIT;
  tide_config_print(config, describe, &text);
  bool written = fwrite(text.ptr, 1, text.len, stdout) == text.len && fflush(stdout) == 0;
  tide_buf_release(&text);
  if (!written) perror("tidemark: cannot write");
  return written ? TIDE_EXIT_OK : TIDE_EXIT_IO;
}
