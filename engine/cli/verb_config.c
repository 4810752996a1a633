/* tidemark config check | print.
 *
 * check is what an operator runs before a start or a reload: every mistake with its place, and with --running what a reload would do. print shows what
 * serving would use and where each value came from; its output is a configuration file again. */
#include "cli/verbs.h"

#include "cli/config_file.h"

static const struct tide_opt check_options[] = {
    TIDE_CONFIG_OPTIONS,
    {"running", "FILE", NULL, "Also compare with this file: which options differ, and does a reload take them", TIDE_OPT_TEXT, 0, 0, 0,
     NULL},
};

static void print_change(const struct tide_config *from, const struct tide_config *to, enum tide_option_row row) {
  const struct tide_option *option = &tide_options[row];
  struct tide_buf text = TIDE_BUF_INIT;
  tide_buf_printf(&text, "%s: ", option->name);
  tide_option_format(option, tide_config_value(from, row), &text);
  tide_buf_str(&text, " -> ");
  tide_option_format(option, tide_config_value(to, row), &text);
  printf("%s%s\n", tide_buf_cstr(&text), option->reloadable ? "" : " (needs a restart)");
  tide_buf_release(&text);
}

static void print_other(void *ctx, const char *name, const char *was, const char *is) {
  (void)ctx;
  printf("%s: %s -> %s (needs a restart)\n", name, was ? was : "none", is ? is : "none");
}

static int compare(const char *path, const struct tide_config *to) {
  struct tide_config *from;
  int exit;
  if (!tide_config_open_file(path, &from, &exit)) return exit;
  struct tide_config_diff diff = tide_config_diff(from, to);
  for (size_t i = 0; i < diff.row_count; i++) print_change(from, to, (enum tide_option_row)diff.row[i]);
  tide_config_diff_others(from, to, print_other, NULL);
  struct tide_error error = {0};
  exit = TIDE_EXIT_OK;
  if (tide_config_diff_check(&diff, &error) != TIDE_OK) {
    printf("a reload is refused: %zu of %zu changes need a restart\n", diff.fixed_count, diff.count);
    exit = TIDE_EXIT_DIFFERENT;
  } else {
    printf("a reload takes all %zu changes\n", diff.count);
  }
  tide_config_free(from);
  return exit;
}

static int check(const struct tide_args *args) {
  struct tide_config *config;
  int exit;
  if (!tide_config_open(args, &config, &exit)) return exit;
  if (tide_config_check_kafka(config) > 0) {
    tide_config_free(config);
    return (int)tide_exit_of(TIDE_E_CONFIG);
  }
  size_t set = 0;
  for (int row = 0; row < TIDE_OPTION_COUNT; row++) set += config->origin[row].from != TIDE_FROM_DEFAULT;
  printf("%s: %d options, %zu of them set; %zu sources; %zu settings of Kafka\n", config->path ? config->path : "defaults",
         TIDE_OPTION_COUNT, set, config->source_count, config->kafka_count);
  const char *running = tide_args_text(args, "running");
  if (running) exit = compare(running, config);
  else exit = TIDE_EXIT_OK;
  tide_config_free(config);
  return exit;
}

const struct tide_verb tide_verb_config_check = {
    .name = "config check",
    .summary = "Find every mistake in the operator's configuration; say what a reload would do",
    .about =
        "Mistakes are printed as FILE:LINE:COLUMN with what to write instead (exit code 3). With --running, exit code 1 when the difference needs a "
        "restart. Files that the configuration names are not opened.",
    .example = "tidemark config check --config config/defaults/tidemark.yaml",
    .opt = check_options,
    .opt_count = sizeof check_options / sizeof check_options[0],
    .run = check};

static const struct tide_opt print_options[] = {
    TIDE_CONFIG_OPTIONS,
    {"describe", NULL, NULL, "With description, bounds and whether it can be reloaded", TIDE_OPT_SWITCH, 0, 0, 0, NULL},
};

static int print(const struct tide_args *args) {
  struct tide_config *config;
  int exit;
  if (!tide_config_open(args, &config, &exit)) return exit;
  exit = tide_config_show(config, tide_args_on(args, "describe"));
  tide_config_free(config);
  return exit;
}

const struct tide_verb tide_verb_config_print = {
    .name = "config print",
    .summary = "Print the effective configuration and where each value comes from",
    .about = "The output is YAML that loads to the same values; comments tell file and line, environment, --set or default.",
    .example = "tidemark config print --config config/defaults/tidemark.yaml --set http.port=9090\n"
               "tidemark config print --describe > tidemark.yaml",
    .opt = print_options,
    .opt_count = sizeof print_options / sizeof print_options[0],
    .run = print};
