/* All verbs, in the order in which help shows them.
 *
 * A new verb is a file verb_NAME.c with its row and one line in TIDE_VERBS; help, the reference page and the tests of both find it
 * there. */
#ifndef TIDE_VERBS_H
#define TIDE_VERBS_H

#include "cli/args.h"

#define TIDE_VERBS(X)                                                                                                          \
  X(generate) X(init) X(restore) X(serve) X(replay) X(backfill) X(backtest) X(train) X(export) X(model_check) X(model_describe) X(model_import)           \
  X(drift) X(explain) X(verify) X(audit) X(features_check) X(features_describe) X(features_budget) X(features_compare) TIDE_VERSION_VERBS(X) X(engines)      \
  X(size) X(inspect) X(keys_generate) X(keys_check) X(keys_rotate) X(tokens_generate) X(tokens_line)                                  \
  X(source_list) X(source_accept_gap) X(source_waive) X(config_check) X(config_print) X(doctor) X(docs_options) X(docs_routes) X(version)
/* Of versions in a registry, for each kind of them (verb_registry.h). */
#define TIDE_VERSION_VERBS(X)                                                                                                  \
  X(model_push) X(model_validate) X(model_list) X(model_diff) X(model_rollout) X(model_promote) X(model_rollback) X(model_retire)              \
  X(policy_check) X(policy_push) X(policy_validate) X(policy_list) X(policy_diff) X(policy_rollout) X(policy_promote) X(policy_rollback) X(policy_retire)      \
  X(features_push) X(features_validate) X(features_list) X(features_diff) X(features_rollout) X(features_promote) X(features_rollback) X(features_retire)

#define X(name) extern const struct tide_verb tide_verb_##name;
TIDE_VERBS(X)
#undef X

extern const struct tide_verb *const tide_verbs[];
extern const size_t tide_verb_count;

/* The program: finds the verb in argv[1..], parses, runs, and returns the exit code. */
int tide_cli_main(int argc, char **argv);

/* --journal memory | file:DIR. *ret_dir is NULL for memory. Error: USAGE. */
enum tide_err tide_journal_arg(const char *text, const char **ret_dir, struct tide_error *error) TIDE_WARN_UNUSED;

#define TIDE_VERSION "0.1.0"

#endif
