/* tidemark init: creates the journal of a new cell in Redis, once.
 *
 * Engines never create it: a server that was emptied, or a wrong address, must look like what it is and not like a cell without a history. So this is a deed
 * of a person, and refuses where a journal is. */
#include "cli/verbs.h"

#include "adapter/journal_redis.h"
#include "cli/serve_config.h"
#include "cli/serve_journal.h"

#include <string.h>

static const struct tide_opt options[] = {
    TIDE_CONFIG_OPTIONS,
    TIDE_SERVE_SHORTCUTS,
    TIDE_KEY_OPTIONS,
};

static int run(const struct tide_args *args) {
  struct tide_config *config;
  struct tide_redis_options redis = {0};
  struct tide_error error = {0};
  int exit;
  if (!tide_serve_config(args, &config, &exit)) return exit;
  enum tide_err err = TIDE_OK;
  if (config->journal_kind != TIDE_JOURNAL_KIND_redis)
    err = tide_fail(&error, TIDE_E_CONFIG,
                    "journal.kind is not redis: only a journal in Redis is created by hand; file and memory begin by themselves");
  if (err == TIDE_OK) err = tide_serve_redis(config, &redis, &error);
  if (err == TIDE_OK) err = tide_journal_redis_init(&redis, &error);
  explicit_bzero(&redis.target, sizeof redis.target);
  if (err == TIDE_OK)
    printf("the journal of cell %s is there, empty; its engines can start: tidemark serve, with the rights of an engine\n",
           config->cell_name);
  tide_config_free(config);
  return err == TIDE_OK ? TIDE_EXIT_OK : tide_exit_report(&error);
}

const struct tide_verb tide_verb_init = {
    .name = "init",
    .summary = "Create the journal of a new cell in Redis, once",
    .about =
        "Engines never create it: a node that lost its data must not look like a new cell. Refuses where the stream exists, and checks that an engine could begin "
        "a session there: primary, version, eviction, replicas, clocks. The connection's settings are those of serve (journal.*).",
    .example = "tidemark init --journal redis://127.0.0.1:6379 --cell eu\n"
               "tidemark init --config tidemark.yaml",
    .opt = options,
    .opt_count = sizeof options / sizeof options[0],
    .run = run};
