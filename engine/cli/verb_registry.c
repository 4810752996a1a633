/* tidemark model|policy|features rollout | promote | rollback | retire: what shall be in force in a cell.
 *
 * Each reads the cell's last rollout, makes the next one (registry_plan.h), has it judged as the journal will judge it (registry_judge.h) and writes it under the next index, which
 * somebody else may take first: then nothing is written. Engines bring it into the journal (serve_registry.c); what counts is there. */
#include "cli/verb_registry.h"

#include <stdio.h>

#include "base/clock.h"
#include "cli/registry_judge.h"
#include "cli/registry_plan.h"

/* Above every number that the cell has seen: a journal may have rollouts that no registry knows of (a model file given at the start). A card that
 * cannot be read keeps nobody from rolling back in an incident: the engines, who know what is in force, will say if the number is too low. */
static enum tide_err next_number(const struct tide_registry_cli *cli, const struct tide_rollout_document *before, uint64_t *ret,
                                 struct tide_error *error) {
  struct tide_engine_card *card = NULL;
  size_t count = 0;
  uint64_t number = before->rollout.number;
  enum tide_err err = tide_registry_engines(cli->registry, cli->cell, &card, &count, error);
  if (err == TIDE_E_CORRUPT) {
    fprintf(stderr, "tidemark: warning: %s\n", error->text);
    err = TIDE_OK;
  }
  for (size_t i = 0; i < count && !err; i++) number = card[i].rollout > number ? card[i].rollout : number;
  tide_free(card);
  if (number < before->index) number = before->index;
  if (!err) *ret = number + 1;
  return err;
}

/* Judges `next`, numbers it and writes it. */
static enum tide_err write_next(const struct tide_registry_cli *cli, const struct tide_rollout_document *before, struct tide_rollout *next,
                                bool checked, struct tide_error *error) {
  struct tide_rollout_document document = {.index = before->index + 1, .at_ms = cli->act.at_ms};
  enum tide_err err = next_number(cli, before, &next->number, error);
  if (err) return err;
  memcpy(next->who, cli->act.who, sizeof next->who);
  memcpy(next->why, cli->act.why, sizeof next->why);
  err = tide_judge_rollout(cli->registry, &before->rollout, next, checked, error);
  document.rollout = *next;
  if (!err && !cli->dry_run) err = tide_registry_roll_out(cli->registry, cli->cell, &document, error);
  if (err) return err;
  tide_registry_cli_print(cli, &document);
  if (cli->dry_run && !cli->json) printf("nothing was written (--dry-run)\n");
  return TIDE_OK;
}

static enum tide_err need_features(const struct tide_registry_cli *cli, const struct tide_rollout_document *before,
                                   struct tide_error *error) {
  if (cli->kind == TIDE_ARTIFACT_features || before->index) return TIDE_OK;
  return tide_fail(
      error, TIDE_E_CONFIG,
      "nothing was rolled out to cell %.48s yet: begin with the feature file that its engines run (features push, validate, rollout)",
      cli->cell);
}

/* One of the switches, or LIVE. */
static enum tide_err how_of(const struct tide_args *args, enum tide_artifact_kind kind, enum tide_plan_how *ret, struct tide_error *error) {
  enum tide_plan_how how = TIDE_PLAN_LIVE;
  unsigned given = 0;
  if (kind == TIDE_ARTIFACT_model && tide_args_on(args, "canary")) how = TIDE_PLAN_CANARY, given++;
  if (kind == TIDE_ARTIFACT_model && tide_args_on(args, "fallback")) how = TIDE_PLAN_FALLBACK, given++;
  if (kind != TIDE_ARTIFACT_features && tide_args_on(args, "shadow")) how = TIDE_PLAN_SHADOW, given++;
  if (kind != TIDE_ARTIFACT_features && tide_args_on(args, "off")) how = TIDE_PLAN_OFF, given++;
  if (given > 1) return tide_fail(error, TIDE_E_USAGE, "a version has one role: give one of the switches");
  *ret = how;
  return TIDE_OK;
}

static enum tide_err plan(const struct tide_registry_cli *cli, enum tide_plan_how how, struct tide_rollout *next,
                          struct tide_error *error) {
  const char *word = tide_args_at(cli->args, 0);
  struct tide_registry_version version = {0};
  bool own = cli->kind == TIDE_ARTIFACT_policy && strcmp(word, "own") == 0;
  enum tide_err err = own ? TIDE_OK : tide_registry_cli_find(cli, cli->kind, word, &version, error);
  if (err) return err;
  if (own && how != TIDE_PLAN_LIVE) return tide_fail(error, TIDE_E_USAGE, "the feature file's own policy can only be in force");
  switch (cli->kind) {
    case TIDE_ARTIFACT_model:
      return tide_plan_model(next, version.hash, how, how == TIDE_PLAN_CANARY ? (uint16_t)tide_args_int(cli->args, "canary") : 0, error);
    case TIDE_ARTIFACT_policy: return tide_plan_policy(next, version.hash, how, error);
    case TIDE_ARTIFACT_features:
    case TIDE_ARTIFACT_KIND_COUNT: break;
  }
  return tide_plan_features(next, version.hash, error);
}

/* Opens, lets `change` do its work, reports. */
static int with_registry(const struct tide_args *args, enum tide_err (*change)(struct tide_registry_cli *cli, struct tide_error *error)) {
  struct tide_registry_cli cli;
  struct tide_error error = {0};
  int exit;
  if (!tide_registry_cli_open(args, &cli, &exit)) return exit;
  enum tide_err err = change(&cli, &error);
  tide_registry_cli_close(&cli);
  error.code = err;
  if (err) return tide_exit_report(&error);
  return fflush(stdout) == 0 ? TIDE_EXIT_OK : TIDE_EXIT_IO;
}

static enum tide_err roll_out(struct tide_registry_cli *cli, struct tide_error *error) {
  struct tide_rollout_document before;
  enum tide_plan_how how = TIDE_PLAN_LIVE;
  enum tide_err err = how_of(cli->args, cli->kind, &how, error);
  if (!err) err = tide_registry_cli_document(cli, &before, error);
  if (!err) err = need_features(cli, &before, error);
  if (err) return err;
  struct tide_rollout next = before.rollout;
  err = plan(cli, how, &next, error);
  return err ? err : write_next(cli, &before, &next, true, error);
}

static enum tide_err promote(struct tide_registry_cli *cli, struct tide_error *error) {
  struct tide_rollout_document before;
  struct tide_registry_version version = {0};
  const char *word = tide_args_at(cli->args, 0);
  enum tide_err err = tide_registry_cli_document(cli, &before, error);
  if (!err) err = need_features(cli, &before, error);
  if (!err && word) err = tide_registry_cli_find(cli, cli->kind, word, &version, error);
  if (err) return err;
  struct tide_rollout next = before.rollout;
  err = tide_plan_promote(&next, cli->kind, version.hash, error);
  return err ? err : write_next(cli, &before, &next, true, error);
}

/* The rollout to go back to: the one that --to names, or the one before the last. Without --to the last must have been about this kind, so that nobody takes back what
 * somebody else has done about another. */
static enum tide_err find_earlier(const struct tide_registry_cli *cli, const struct tide_rollout_document *last,
                                  struct tide_rollout_document *ret, struct tide_error *error) {
  struct tide_rollout_document *all = NULL;
  size_t count = 0;
  uint64_t to = (uint64_t)tide_args_int(cli->args, "to");
  bool named = tide_args_on(cli->args, "to");
  enum tide_err err = tide_registry_rollouts(cli->registry, cli->cell, &all, &count, error);
  if (err) return err;
  const struct tide_rollout_document *found = NULL;
  for (size_t i = 0; i < count; i++)
    if (named ? all[i].rollout.number == to : all[i].index + 1 == last->index) found = &all[i];
  const char *kind = tide_registry_kind_name(cli->kind);
  if (!found && named)
    err = tide_fail(error, TIDE_E_NOT_FOUND, "cell %.48s has no rollout with number %llu", cli->cell, (unsigned long long)to);
  else if (!found)
    err = tide_fail(error, TIDE_E_USAGE, "cell %.48s has no rollout before the last: there is nothing to go back to", cli->cell);
  else if (!named && !tide_plan_differs(&found->rollout, &last->rollout, cli->kind))
    err =
        tide_fail(error, TIDE_E_USAGE, "the last rollout, %llu by %.64s, did not change the %s: name the number to go back to (--to %llu)",
                  (unsigned long long)last->rollout.number, last->rollout.who, kind, (unsigned long long)found->rollout.number);
  else if (found->index == last->index)
    err = tide_fail(error, TIDE_E_USAGE, "rollout %llu is the last one: it is in force", (unsigned long long)to);
  else *ret = *found;
  tide_free(all);
  return err;
}

static enum tide_err roll_back(struct tide_registry_cli *cli, struct tide_error *error) {
  struct tide_rollout_document last, earlier;
  enum tide_err err = tide_registry_cli_document(cli, &last, error);
  if (!err) err = need_features(cli, &last, error);
  if (!err) err = find_earlier(cli, &last, &earlier, error);
  if (err) return err;
  struct tide_rollout next = earlier.rollout;
  return write_next(cli, &last, &next, false, error);
}

static enum tide_err retire(struct tide_registry_cli *cli, struct tide_error *error) {
  struct tide_rollout_document document;
  struct tide_registry_version version;
  char label[TIDE_VERSION_LABEL];
  enum tide_err err = tide_registry_cli_find(cli, cli->kind, tide_args_at(cli->args, 0), &version, error);
  if (!err) err = tide_registry_cli_document(cli, &document, error);
  if (err) return err;
  const char *state = tide_plan_state(&document.rollout, cli->kind, version.hash);
  tide_registry_cli_label(cli, cli->kind, version.hash, label);
  if (state) return tide_fail(error, TIDE_E_CONFIG, "%s is %s in cell %.48s: take it out first", label, state, cli->cell);
  if (!cli->dry_run) err = tide_registry_retire(cli->registry, &version, &cli->act, error);
  if (err == TIDE_E_EXISTS) return tide_fail(error, TIDE_E_USAGE, "%s is retired already", label);
  if (err) return err;
  if (cli->json) printf("{\"retired\":\"%s\"}\n", label);
  else
    printf("%s %s is retired: it cannot be rolled out any more%s\n", tide_registry_kind_name(cli->kind), label,
           cli->dry_run ? " (--dry-run: nothing was written)" : "");
  return TIDE_OK;
}

/* ---- rows ---- */

static int run_rollout(const struct tide_args *args) { return with_registry(args, roll_out); }
static int run_promote(const struct tide_args *args) { return with_registry(args, promote); }
static int run_rollback(const struct tide_args *args) { return with_registry(args, roll_back); }
static int run_retire(const struct tide_args *args) { return with_registry(args, retire); }

#define VERSION_HELP "The version: NAME, NAME@HASH, or the first digits of its hash"
static const struct tide_positional one[] = {{"VERSION", VERSION_HELP, false, false}};
static const struct tide_positional one_or_own[] = {
    {"VERSION", VERSION_HELP "; `own`: the policy that stands in the feature file", false, false}};
static const struct tide_positional maybe_one[] = {{"VERSION", VERSION_HELP "; left out: the only one that is tried out", true, false}};

#define SHADOW_OPTION                                                                                                                      \
  { "shadow", NULL, NULL, "Beside the others: judged and compared, deciding nothing", TIDE_OPT_SWITCH, 0, 0, 0, NULL }
#define OFF_OPTION                                                                                                                         \
  { "off", NULL, NULL, "Out of its role beside the live one", TIDE_OPT_SWITCH, 0, 0, 0, NULL }
static const struct tide_opt model_rollout_options[] = {
    {"canary", "WEIGHT", NULL, "For so many of 10000 cards; the live model has the rest", TIDE_OPT_INT, 0, 1, TIDE_WEIGHT_ALL - 1, NULL},
    SHADOW_OPTION,
    {"fallback", NULL, NULL, "For decisions that the live model cannot make because features are not fresh", TIDE_OPT_SWITCH, 0, 0, 0,
     NULL},
    OFF_OPTION,
    TIDE_REGISTRY_ACT_OPTIONS,
    TIDE_REGISTRY_OPTIONS,
};
static const struct tide_opt policy_rollout_options[] = {SHADOW_OPTION, OFF_OPTION, TIDE_REGISTRY_ACT_OPTIONS, TIDE_REGISTRY_OPTIONS};
static const struct tide_opt act_options[] = {TIDE_REGISTRY_ACT_OPTIONS, TIDE_REGISTRY_OPTIONS};
static const struct tide_opt rollback_options[] = {
    {"to", "NUMBER", NULL, "The rollout to go back to; left out: the one before the last, which must have been about this kind",
     TIDE_OPT_INT, 0, 1, INT64_MAX, NULL},
    TIDE_REGISTRY_ACT_OPTIONS,
    TIDE_REGISTRY_OPTIONS,
};

#define ROLLOUT_ABOUT                                                                                                                                              \
  "Writes the cell's next rollout into the registry, if it can be in force: the version was validated with the feature file in force and passed, is not retired, " \
  "and fits what is live beside it. Engines bring it into the journal, and all of them switch at the same position there. If somebody else has rolled out "        \
  "meanwhile, nothing is written."
#define ROLLOUT(kind, words, options, more)                                                                                                \
  const struct tide_verb tide_verb_##kind##_rollout = {.name = #kind " rollout",                                                           \
                                                       .summary = "Say that a version shall be in force in a cell",                        \
                                                       .about = ROLLOUT_ABOUT,                                                             \
                                                       .example = "tidemark " #kind " rollout cards-2026-11 " more                         \
                                                                  "--cell eu --registry etcd://10.0.0.1:2379 --why \"better on chip\"",    \
                                                       TIDE_ROWS(options),                                                                 \
                                                       TIDE_WORDS(words),                                                                  \
                                                       .run = run_rollout}
ROLLOUT(model, one, model_rollout_options, "--canary 500 ");
ROLLOUT(policy, one_or_own, policy_rollout_options, "--shadow ");
ROLLOUT(features, one, act_options, "");

#define PROMOTE(kind)                                                                                                                      \
  const struct tide_verb tide_verb_##kind##_promote = {                                                                                    \
      .name = #kind " promote",                                                                                                            \
      .summary = "Put the version in force that is tried out beside the live one",                                                         \
      .about = "A canary takes over all cards; a shadow decides from now on. " ROLLOUT_ABOUT,                                              \
      .example = "tidemark " #kind " promote --cell eu --registry etcd://10.0.0.1:2379 --why \"a week without surprises\"",                \
      TIDE_ROWS(act_options),                                                                                                              \
      TIDE_WORDS(maybe_one),                                                                                                               \
      .run = run_promote}
PROMOTE(model);
PROMOTE(policy);
const struct tide_verb tide_verb_features_promote = {
    .name = "features promote",
    .summary = "Put a validated feature file in force",
    .about =
        "Nothing of a feature file is tried out beside the live one, so this is `features rollout` under the name that models and policies have for "
        "their last step. " ROLLOUT_ABOUT,
    .example = "tidemark features promote 1f2e3d4c --cell eu --registry etcd://10.0.0.1:2379 --why \"counts by device\"",
    TIDE_ROWS(act_options),
    TIDE_WORDS(one),
    .run = run_rollout};

#define ROLLBACK(kind)                                                                                                                              \
  const struct tide_verb tide_verb_##kind##_rollback = {                                                                                            \
      .name = #kind " rollback",                                                                                                                    \
      .summary = "Go back to an earlier rollout of a cell",                                                                                         \
      .about =                                                                                                                                      \
          "The earlier rollout is said again, whole, under a new number: one record in the journal. Versions that were retired since are refused.", \
      .example = "tidemark " #kind " rollback --cell eu --registry etcd://10.0.0.1:2379 --why \"declines doubled\"",                                \
      TIDE_ROWS(rollback_options),                                                                                                                  \
      .run = run_rollback}
ROLLBACK(model);
ROLLBACK(policy);
ROLLBACK(features);

#define RETIRE(kind)                                                                                                                       \
  const struct tide_verb tide_verb_##kind##_retire = {                                                                                     \
      .name = #kind " retire",                                                                                                             \
      .summary = "Say that a version shall not be rolled out any more",                                                                    \
      .about = "It stays in the registry, for those who look things up. A version that is in force in the cell (--cell) is refused; in "   \
               "other cells it may be, and stays.",                                                                                        \
      .example = "tidemark " #kind " retire 1f2e3d4c --registry etcd://10.0.0.1:2379 --why \"trained on wrong labels\"",                   \
      TIDE_ROWS(act_options),                                                                                                              \
      TIDE_WORDS(one),                                                                                                                     \
      .run = run_retire}
RETIRE(model);
RETIRE(policy);
RETIRE(features);
