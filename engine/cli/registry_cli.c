/* What the verbs about versions share (registry_cli.h).
 *
 * The registry's address comes from --registry, the operator's file or the environment, which are one setting: --registry URL is --set registry.url=URL. */
#include "cli/registry_cli.h"

#include <pwd.h>
#include <stdio.h>
#include <unistd.h>

#include "adapter/registry_document.h"
#include "base/clock.h"
#include "base/utf8.h"
#include "cli/registry_open.h"
#include "cli/registry_plan.h"
#include "core/rollout.h"

static bool has_option(const struct tide_args *args, const char *name) {
  for (size_t i = 0; i < args->verb->opt_count; i++)
    if (strcmp(args->verb->opt[i].name, name) == 0) return true;
  return false;
}

static bool copy_words(const char *text, char *out, size_t size) {
  size_t len = strlen(text);
  if (len == 0 || len >= size || !tide_utf8_valid(tide_span_of(text))) return false;
  for (size_t i = 0; i < len; i++)
    if ((unsigned char)text[i] < ' ') return false;
  memcpy(out, text, len + 1);
  return true;
}

static enum tide_err read_act(const struct tide_args *args, struct tide_act *ret, struct tide_error *error) {
  const char *who = tide_args_text(args, "who"), *why = tide_args_text(args, "why");
  if (!who) {
    const struct passwd *user = getpwuid(getuid());
    who = user ? user->pw_name : "";
  }
  ret->at_ms = tide_wall_now().ms;
  if (!copy_words(who, ret->who, sizeof ret->who))
    return tide_fail_at(error, TIDE_E_USAGE, 0, 0, "who", "--who must be a name of 1 to %d bytes", TIDE_ROLLOUT_WHO - 1);
  if (strcmp(ret->who, TIDE_ROLLOUT_BY_FILE) == 0)
    return tide_fail_at(error, TIDE_E_USAGE, 0, 0, "who", "--who: `%s` is what engines call themselves that were started with a model file",
                        TIDE_ROLLOUT_BY_FILE);
  if (!copy_words(why, ret->why, sizeof ret->why))
    return tide_fail_at(error, TIDE_E_USAGE, 0, 0, "why", "--why must be one line of 1 to %d bytes", TIDE_ROLLOUT_WHY - 1);
  return TIDE_OK;
}

/* The short options as settings. */
static bool open_config(const struct tide_args *args, struct tide_config **ret, int *ret_exit) {
  struct tide_buf url = TIDE_BUF_INIT, cell = TIDE_BUF_INIT;
  const char *set[2];
  size_t count = 0;
  tide_buf_printf(&url, "registry.url=%s", tide_args_text(args, "registry") ? tide_args_text(args, "registry") : "");
  tide_buf_printf(&cell, "cell.name=%s", tide_args_text(args, "cell") ? tide_args_text(args, "cell") : "");
  if (tide_args_on(args, "registry")) set[count++] = tide_buf_cstr(&url);
  if (tide_args_on(args, "cell")) set[count++] = tide_buf_cstr(&cell);
  bool good = tide_config_open_with(args, set, count, ret, ret_exit);
  tide_buf_release(&url);
  tide_buf_release(&cell);
  return good;
}

bool tide_registry_cli_open(const struct tide_args *args, struct tide_registry_cli *ret, int *ret_exit) {
  struct tide_registry_cli cli = {.args = args};
  struct tide_error error = {0};
  struct tide_span word = {args->verb->name, strcspn(args->verb->name, " ")};
  if (!tide_registry_kind_find(word, &cli.kind)) cli.kind = TIDE_ARTIFACT_model; /* a verb about all of them */
  if (!open_config(args, &cli.config, ret_exit)) return false;
  cli.cell = cli.config->cell_name;
  cli.json = tide_args_on(args, "json");
  cli.dry_run = has_option(args, "dry-run") && tide_args_on(args, "dry-run");
  enum tide_err err = has_option(args, "why") ? read_act(args, &cli.act, &error) : TIDE_OK;
  if (!err) err = tide_registry_open(cli.config, &cli.registry, &error);
  if (err) {
    tide_config_free(cli.config);
    *ret_exit = tide_exit_report(&error);
    return false;
  }
  *ret = cli;
  return true;
}

void tide_registry_cli_close(struct tide_registry_cli *cli) {
  cli->registry->ops->close(cli->registry);
  tide_config_free(cli->config);
}

enum tide_err tide_registry_cli_document(const struct tide_registry_cli *cli, struct tide_rollout_document *ret, struct tide_error *error) {
  struct tide_rollout_document document = {0};
  enum tide_err err = tide_registry_rollout(cli->registry, cli->cell, 0, &document, error);
  if (err && err != TIDE_E_NOT_FOUND) return err;
  *ret = document;
  return TIDE_OK;
}

enum tide_err tide_registry_cli_find(const struct tide_registry_cli *cli, enum tide_artifact_kind kind, const char *word,
                                     struct tide_registry_version *ret, struct tide_error *error) {
  static const char *const states[] = {"live", "canary", "shadow", "fallback"};
  struct tide_rollout_document document;
  struct tide_content_hash hash;
  bool state = false;
  for (size_t i = 0; i < sizeof states / sizeof states[0]; i++) state = state || strcmp(word, states[i]) == 0;
  if (!state) return tide_registry_find(cli->registry, kind, word, ret, error);
  enum tide_err err = tide_registry_cli_document(cli, &document, error);
  if (err) return err;
  if (!tide_plan_find(&document.rollout, kind, word, &hash))
    return tide_fail(error, TIDE_E_UNKNOWN_NAME, "cell %.48s has not exactly one %s that is %s", cli->cell, tide_registry_kind_name(kind),
                     word);
  return tide_registry_about(cli->registry, kind, hash, ret, error);
}

const char *tide_registry_cli_label(const struct tide_registry_cli *cli, enum tide_artifact_kind kind, struct tide_content_hash hash,
                                    char out[TIDE_VERSION_LABEL]) {
  struct tide_registry_version version;
  char text[TIDE_VERSION_TEXT], digits[TIDE_CONTENT_HASH_TEXT];
  if (tide_registry_about(cli->registry, kind, hash, &version, NULL) == TIDE_OK)
    snprintf(out, TIDE_VERSION_LABEL, "%s", tide_version_text(tide_span_of(version.name), hash, text));
  else snprintf(out, TIDE_VERSION_LABEL, "%s", tide_content_hash_text(hash, digits));
  return out;
}

static void print_row(const struct tide_registry_cli *cli, const char *role, enum tide_artifact_kind kind, struct tide_content_hash hash) {
  char label[TIDE_VERSION_LABEL];
  if (!tide_content_hash_is_zero(hash)) printf("  %-14s %s", role, tide_registry_cli_label(cli, kind, hash, label));
}

void tide_registry_cli_print(const struct tide_registry_cli *cli, const struct tide_rollout_document *document) {
  const struct tide_rollout *rollout = &document->rollout;
  char time[TIDE_TIME_TEXT];
  if (cli->json) {
    struct tide_buf out = TIDE_BUF_INIT;
    tide_document_rollout(document, &out);
    printf("%.*s\n", (int)out.len, out.ptr);
    tide_buf_release(&out);
    return;
  }
  printf("cell %s, rollout %llu by %s, %s: %s\n", cli->cell, (unsigned long long)rollout->number, rollout->who,
         tide_time_format((struct tide_etime){document->at_ms}, time), rollout->why);
  print_row(cli, "features", TIDE_ARTIFACT_features, rollout->features);
  printf("\n");
  if (tide_content_hash_is_zero(rollout->policy)) printf("  %-14s the feature file's own\n", "policy");
  else {
    print_row(cli, "policy", TIDE_ARTIFACT_policy, rollout->policy);
    printf("\n");
  }
  if (!tide_content_hash_is_zero(rollout->shadow_policy)) {
    print_row(cli, "shadow policy", TIDE_ARTIFACT_policy, rollout->shadow_policy);
    printf("\n");
  }
  for (uint32_t i = 0; i < rollout->model_count; i++) {
    const struct tide_rollout_model *model = &rollout->model[i];
    char role[24];
    snprintf(role, sizeof role, "%s model", tide_role_name((enum tide_role)model->role));
    print_row(cli, role, TIDE_ARTIFACT_model, model->hash);
    if (model->role == TIDE_ROLE_live || model->role == TIDE_ROLE_canary)
      printf(", %.2f %% of the cards", 100.0 * model->weight / TIDE_WEIGHT_ALL);
    printf("\n");
  }
}
