/* The operator's configuration for a verb: the options that name it, loading with every mistake printed, and what the fold needs of it.
 *
 * `serve` and `config` read it in the same way, so what `config check` accepts is what serving accepts. */
#ifndef TIDE_CONFIG_FILE_H
#define TIDE_CONFIG_FILE_H

#include "cli/args.h"
#include "config/config.h"
#include "feature/settings.h"

/* Rows of every verb that reads the operator's configuration. */
#define TIDE_CONFIG_OPTIONS                                                                                                          \
  {"config", "FILE", NULL, "The operator's file (YAML); left out: defaults, environment and --set", TIDE_OPT_TEXT, 0, 0, 0, NULL}, \
  {"set", "NAME=VALUE", NULL, "One option over file and environment, as in http.port=8081", TIDE_OPT_TEXT, TIDE_OPT_REPEAT, 0, 0, NULL}

/* Loads what --config, the environment and --set say. On failure prints every mistake to stderr, those of the file as path:line:column, and
 * returns the exit code in *ret_exit. Free with tide_config_free. Calling it again reads everything again: that is a reload. */
bool tide_config_open(const struct tide_args *args, struct tide_config **ret, int *ret_exit);
/* The same with `count` more settings ("http.port=8081") before those of --set: a verb's own options that stand for rows. */
bool tide_config_open_with(const struct tide_args *args, const char *const *more, size_t count, struct tide_config **ret, int *ret_exit);
/* The same for another file, without environment and --set. */
bool tide_config_open_file(const char *path, struct tide_config **ret, int *ret_exit);
/* What cannot be told from the options alone but serving needs: CONFIG when there is no feature file. */
enum tide_err tide_config_ready(const struct tide_config *config, struct tide_error *error) TIDE_WARN_UNUSED;
/* Settings of Kafka that the client does not know or whose value it does not take; those that Tidemark owns are refused when it is opened. Prints every mistake
 * to stderr like tide_config_open; files that settings name are not read. Returns how many there are. */
size_t tide_config_check_kafka(const struct tide_config *config);
/* Puts log.level, log.format and log.limit into effect; --log-level, when given, wins over log.level. At the start and after each reload. */
void tide_config_apply_log(const struct tide_config *config, const struct tide_args *args);
/* The limits that are journaled with the feature file; replay is 0. Passes tide_settings_check. */
struct tide_settings tide_settings_from_config(const struct tide_config *config);
/* Writes the effective configuration (config.h) to standard output and returns the exit code. */
int tide_config_show(const struct tide_config *config, bool describe);

#endif
