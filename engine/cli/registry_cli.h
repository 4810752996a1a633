/* What the verbs about versions share: options, opening the registry, finding the version that a word means, printing a rollout.
 *
 * A verb about versions is called `model list`, `policy rollout`, ...: its first word is the kind, so that one function serves all three. */
#ifndef TIDE_REGISTRY_CLI_H
#define TIDE_REGISTRY_CLI_H

#include "adapter/registry_store.h"
#include "cli/args.h"
#include "cli/config_file.h"

#define TIDE_REGISTRY_OPTIONS                                                                                                        \
  {"registry", "URL", NULL, "etcd://HOST:PORT,.../PREFIX, etcds://..., or dir:DIRECTORY (registry.url)", TIDE_OPT_TEXT, 0, 0, 0, NULL}, \
  {"cell", "NAME", NULL, "The cell (cell.name)", TIDE_OPT_TEXT, 0, 0, 0, NULL},                                                    \
  TIDE_CONFIG_OPTIONS,                                                                                                              \
  {"json", NULL, NULL, "The result as JSON", TIDE_OPT_SWITCH, 0, 0, 0, NULL}

/* Rows of verbs that write. */
#define TIDE_REGISTRY_ACT_OPTIONS                                                                                                    \
  {"who", "NAME", NULL, "Who does this; left out: the name of the user", TIDE_OPT_TEXT, 0, 0, 0, NULL},                             \
  {"why", "TEXT", NULL, "Why, for those who look it up later", TIDE_OPT_TEXT, TIDE_OPT_REQUIRED, 0, 0, NULL},                       \
  {"dry-run", NULL, NULL, "Check everything and say what would be written, but write nothing", TIDE_OPT_SWITCH, 0, 0, 0, NULL}

struct tide_registry_cli {
  const struct tide_args *args;
  struct tide_config *config;
  struct tide_registry *registry;
  enum tide_artifact_kind kind; /* of the verb's first word */
  const char *cell;
  bool json, dry_run;
  struct tide_act act;          /* of verbs with TIDE_REGISTRY_ACT_OPTIONS */
};

/* False: why is printed, *ret_exit is the exit code, nothing is open. */
bool tide_registry_cli_open(const struct tide_args *args, struct tide_registry_cli *ret, int *ret_exit);
void tide_registry_cli_close(struct tide_registry_cli *cli);

/* The last rollout of the cell; index 0 where there is none. */
enum tide_err tide_registry_cli_document(const struct tide_registry_cli *cli, struct tide_rollout_document *ret, struct tide_error *error) TIDE_WARN_UNUSED;
/* As tide_registry_find; `live`, `canary`, `shadow` and `fallback` mean the version in that state in the cell. */
enum tide_err tide_registry_cli_find(const struct tide_registry_cli *cli, enum tide_artifact_kind kind, const char *word, struct tide_registry_version *ret,
                                     struct tide_error *error) TIDE_WARN_UNUSED;
/* "cards-1@1f2e3d4c"; of a version that the registry cannot tell about, the hash alone. Returns out. */
#define TIDE_VERSION_LABEL 112
const char *tide_registry_cli_label(const struct tide_registry_cli *cli, enum tide_artifact_kind kind, struct tide_content_hash hash,
                                    char out[TIDE_VERSION_LABEL]);
/* Prints the document, as JSON where asked for. */
void tide_registry_cli_print(const struct tide_registry_cli *cli, const struct tide_rollout_document *document);

#endif
