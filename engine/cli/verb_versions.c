/* tidemark model|policy|features push | list | diff, and tidemark engines: what a registry has, and who is there.
 *
 * push is the only one that writes, and it writes what nobody can change afterwards: content under its hash. A model is pushed in its canonical bytes, so white space
 * makes no other version. */
#include "cli/verb_registry.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/json_out.h"
#include "cli/registry_diff.h"
#include "cli/registry_plan.h"
#include "cli/spec_file.h"
#include "config/yaml.h"
#include "core/rollout.h"
#include "feature/spec_compose.h"

/* ---- push ---- */

/* The bytes of the version and the name that the file gives itself. False: why is printed. */
static bool read_version(enum tide_artifact_kind kind, const char *path, struct tide_buf *bytes, struct tide_buf *name, int *ret_exit) {
  struct tide_error error = {0};
  struct tide_model *model = NULL;
  struct tide_spec *spec = NULL;
  if (kind == TIDE_ARTIFACT_features) {
    if (!tide_spec_open(path, &spec, ret_exit)) return false;
    tide_buf_put(bytes, spec->text, spec->text_len);
    tide_buf_str(name, spec->name);
    tide_spec_free(spec);
    return true;
  }
  enum tide_err err;
  if (kind == TIDE_ARTIFACT_model) {
    err = tide_model_load(path, &model, &error);
    if (!err) tide_model_write(model, bytes);
    if (!err) tide_buf_printf(name, "%s-%s", model->name, model->version);
    tide_model_free(model);
  } else {
    err = tide_yaml_read(path, "policy", bytes, &error);
    if (!err) err = tide_policy_name(tide_buf_span(bytes), name, &error);
  }
  if (err && kind == TIDE_ARTIFACT_policy && error.line) fprintf(stderr, "%s:%d:%d: %s\n", path, error.line, error.column, error.text);
  if (err) *ret_exit = kind == TIDE_ARTIFACT_policy && error.line ? (int)tide_exit_of(err) : tide_exit_report(&error);
  return !err;
}

static bool is_name(const char *name) {
  size_t len = strlen(name);
  bool good = len > 0 && len < TIDE_ARTIFACT_NAME;
  for (size_t i = 0; i < len && good; i++) {
    char c = name[i];
    good = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.';
  }
  return good;
}

static void print_pushed(const struct tide_registry_cli *cli, const struct tide_registry_version *version, bool there) {
  char label[TIDE_VERSION_TEXT], hash[TIDE_CONTENT_HASH_TEXT];
  const char *kind = tide_registry_kind_name(cli->kind);
  tide_version_text(tide_span_of(version->name), version->hash, label);
  if (cli->json)
    printf("{\"kind\":\"%s\",\"name\":\"%s\",\"hash\":\"%s\",\"bytes\":%" PRIu64 ",\"new\":%s}\n", kind, version->name,
           tide_content_hash_text(version->hash, hash), version->bytes, there ? "false" : "true");
  else if (there) printf("%s %s is there already, pushed by %s: %s\n", kind, label, version->pushed.who, version->pushed.why);
  else printf("%s %s, %" PRIu64 " bytes%s\n", kind, label, version->bytes, cli->dry_run ? " (--dry-run: nothing was written)" : "");
}

static int push_bytes(const struct tide_registry_cli *cli, const char *name, struct tide_span bytes) {
  struct tide_error error = {0};
  struct tide_registry_version version = {.kind = (uint8_t)cli->kind, .hash = tide_content_hash(bytes), .bytes = bytes.len};
  enum tide_err err = TIDE_OK;
  if (!is_name(name))
    err = tide_fail(&error, TIDE_E_USAGE, "a version needs a name of 1 to %d letters, digits, - _ and . : give one with --name",
                    TIDE_ARTIFACT_NAME - 1);
  else if (bytes.len > TIDE_ARTIFACT_BYTES_MAX)
    err = tide_fail(&error, TIDE_E_LIMIT, "it has %zu bytes, and an entry of the journal can hold %d", bytes.len, TIDE_ARTIFACT_BYTES_MAX);
  else if (cli->dry_run) snprintf(version.name, sizeof version.name, "%s", name);
  else err = tide_registry_push(cli->registry, cli->kind, name, bytes, &cli->act, &version, &error);
  bool there = err == TIDE_E_EXISTS;
  if (err && !there) return tide_exit_report(&error);
  print_pushed(cli, &version, there);
  return TIDE_EXIT_OK;
}

static int run_push(const struct tide_args *args) {
  struct tide_registry_cli cli;
  struct tide_buf bytes = TIDE_BUF_INIT, name = TIDE_BUF_INIT;
  int exit = TIDE_EXIT_OK;
  if (!tide_registry_cli_open(args, &cli, &exit)) return exit;
  const char *given = tide_args_text(args, "name");
  if (read_version(cli.kind, tide_args_at(args, 0), &bytes, &name, &exit))
    exit = push_bytes(&cli, given ? given : tide_buf_cstr(&name), tide_buf_span(&bytes));
  tide_registry_cli_close(&cli);
  tide_buf_release(&bytes);
  tide_buf_release(&name);
  return exit;
}

/* ---- list ---- */

struct listed {
  const struct tide_registry_version *version;
  const char *state; /* live canary shadow fallback, else retired validated failed draft */
  bool checked, is_retired;
  struct tide_version_check check;
  struct tide_act retired;
};

static enum tide_err look_up(const struct tide_registry_cli *cli, const struct tide_rollout_document *document,
                             const struct tide_registry_version *version, struct listed *ret, struct tide_error *error) {
  struct listed row = {.version = version};
  enum tide_err err = tide_registry_check(cli->registry, version, &row.check, error);
  if (err && err != TIDE_E_NOT_FOUND) return err;
  row.checked = !err;
  err = tide_registry_retired(cli->registry, version, &row.retired, error);
  row.is_retired = !err;
  if (err && err != TIDE_E_NOT_FOUND) {
    tide_buf_release(&row.check.figures);
    return err;
  }
  row.state = document->index ? tide_plan_state(&document->rollout, cli->kind, version->hash) : NULL;
  if (!row.state) row.state = row.is_retired ? "retired" : !row.checked ? "draft" : row.check.passed ? "validated" : "failed";
  *ret = row;
  return TIDE_OK;
}

static void json_act(const struct tide_act *act, struct tide_buf *out) {
  char time[TIDE_TIME_TEXT];
  tide_json_key(out, "who");
  tide_json_cstr(out, act->who);
  tide_json_key(out, "why");
  tide_json_cstr(out, act->why);
  tide_json_key(out, "at");
  tide_json_cstr(out, tide_time_format((struct tide_etime){act->at_ms}, time));
}

static void json_row(const struct listed *row, struct tide_buf *out) {
  char hash[TIDE_CONTENT_HASH_TEXT];
  tide_json_open(out, '{');
  tide_json_key(out, "name");
  tide_json_cstr(out, row->version->name);
  tide_json_key(out, "hash");
  tide_json_cstr(out, tide_content_hash_text(row->version->hash, hash));
  tide_json_key(out, "state");
  tide_json_cstr(out, row->state);
  tide_json_key(out, "bytes");
  tide_json_int(out, (int64_t)row->version->bytes);
  json_act(&row->version->pushed, out);
  tide_json_key(out, "validation");
  if (row->checked) {
    tide_json_open(out, '{');
    tide_json_key(out, "passed");
    tide_json_bool(out, row->check.passed);
    json_act(&row->check.by, out);
    tide_json_key(out, "figures");
    tide_json_raw(out, tide_buf_span(&row->check.figures));
    tide_json_close(out, '}');
  } else tide_json_null(out);
  tide_json_key(out, "retired");
  if (row->is_retired) {
    tide_json_open(out, '{');
    json_act(&row->retired, out);
    tide_json_close(out, '}');
  } else tide_json_null(out);
  tide_json_close(out, '}');
}

static void text_row(const struct listed *row) {
  char hash[TIDE_CONTENT_HASH_TEXT], time[TIDE_TIME_TEXT], validated[TIDE_ROLLOUT_WHO + 16];
  snprintf(validated, sizeof validated, row->checked ? "%s by %s" : "no", row->check.passed ? "passed" : "failed", row->check.by.who);
  printf("%-10s %-28s %.8s  %-12s %-20.20s %s\n", row->state, row->version->name, tide_content_hash_text(row->version->hash, hash),
         row->version->pushed.who, tide_time_format((struct tide_etime){row->version->pushed.at_ms}, time), validated);
}

static enum tide_err list(const struct tide_registry_cli *cli, struct tide_error *error) {
  struct tide_rollout_document document;
  struct tide_registry_version *version = NULL;
  struct tide_buf out = TIDE_BUF_INIT;
  size_t count = 0;
  enum tide_err err = tide_registry_cli_document(cli, &document, error);
  if (!err) err = tide_registry_versions(cli->registry, cli->kind, &version, &count, error);
  if (!err && !cli->json && document.index) tide_registry_cli_print(cli, &document);
  if (!err && !cli->json) printf("%-10s %-28s %-8s  %-12s %-20s %s\n", "state", "name", "hash", "pushed by", "at", "validated");
  if (cli->json) tide_json_open(&out, '[');
  for (size_t i = 0; !err && i < count; i++) {
    struct listed row;
    err = look_up(cli, &document, &version[i], &row, error);
    if (err) break;
    if (cli->json) json_row(&row, &out);
    else text_row(&row);
    tide_buf_release(&row.check.figures);
  }
  if (cli->json) tide_json_close(&out, ']');
  if (!err && cli->json) printf("%.*s\n", (int)out.len, out.ptr);
  tide_buf_release(&out);
  tide_free(version);
  return err;
}

static int run_list(const struct tide_args *args) {
  struct tide_registry_cli cli;
  struct tide_error error = {0};
  int exit;
  if (!tide_registry_cli_open(args, &cli, &exit)) return exit;
  enum tide_err err = list(&cli, &error);
  tide_registry_cli_close(&cli);
  error.code = err;
  return err ? tide_exit_report(&error) : TIDE_EXIT_OK;
}

/* ---- diff ---- */

static enum tide_err diff_models(struct tide_span a, struct tide_span b, struct tide_buf *out, uint32_t *ret_count,
                                 struct tide_error *error) {
  struct tide_model *x = NULL, *y = NULL;
  enum tide_err err = tide_model_parse(a, &x, error);
  if (!err) err = tide_model_parse(b, &y, error);
  if (!err) *ret_count = tide_diff_models(x, y, out);
  tide_model_free(x);
  tide_model_free(y);
  return err;
}

static enum tide_err diff_features(struct tide_span a, struct tide_span b, struct tide_buf *out, uint32_t *ret_count,
                                   struct tide_error *error) {
  struct tide_spec *x = NULL, *y = NULL;
  enum tide_err err = tide_spec_parse("first", a, &x, error, 1, NULL);
  if (!err) err = tide_spec_parse("second", b, &y, error, 1, NULL);
  if (!err) {
    tide_buf_str(out, "definitions of values:\n");
    size_t before = out->len;
    *ret_count = tide_diff_definitions(x, y, out);
    if (out->len == before) tide_buf_str(out, "  the same\n");
    tide_buf_str(out, "lines:\n");
    *ret_count += tide_diff_lines(a, b, out);
  }
  tide_spec_free(x);
  tide_spec_free(y);
  return err;
}

static int run_diff(const struct tide_args *args) {
  struct tide_registry_cli cli;
  struct tide_error error = {0};
  struct tide_registry_version version[2];
  struct tide_buf bytes[2] = {TIDE_BUF_INIT, TIDE_BUF_INIT}, out = TIDE_BUF_INIT;
  uint32_t count = 0;
  int exit;
  enum tide_err err = TIDE_OK;
  if (!tide_registry_cli_open(args, &cli, &exit)) return exit;
  for (size_t i = 0; i < 2 && !err; i++) {
    err = tide_registry_cli_find(&cli, cli.kind, tide_args_at(args, i), &version[i], &error);
    if (!err) err = tide_registry_content(cli.registry, cli.kind, version[i].hash, &bytes[i], &error);
  }
  struct tide_span a = tide_buf_span(&bytes[0]), b = tide_buf_span(&bytes[1]);
  if (err) (void)0;
  else if (cli.kind == TIDE_ARTIFACT_model) err = diff_models(a, b, &out, &count, &error);
  else if (cli.kind == TIDE_ARTIFACT_features) err = diff_features(a, b, &out, &count, &error);
  else count = tide_diff_lines(a, b, &out);
  if (!err && cli.json) {
    struct tide_buf json = TIDE_BUF_INIT;
    tide_json_open(&json, '{');
    tide_json_key(&json, "differences");
    tide_json_int(&json, count);
    tide_json_key(&json, "text");
    tide_json_str(&json, tide_buf_span(&out));
    tide_json_close(&json, '}');
    printf("%.*s\n", (int)json.len, json.ptr);
    tide_buf_release(&json);
  } else if (!err) printf("%.*s", (int)out.len, out.len ? out.ptr : "");
  tide_registry_cli_close(&cli);
  tide_buf_release(&bytes[0]);
  tide_buf_release(&bytes[1]);
  tide_buf_release(&out);
  error.code = err;
  return err ? tide_exit_report(&error) : count ? TIDE_EXIT_DIFFERENT : TIDE_EXIT_OK;
}

/* ---- engines ---- */

static void json_engine(const struct tide_engine_card *card, struct tide_buf *out) {
  char time[TIDE_TIME_TEXT];
  tide_json_open(out, '{');
  tide_json_key(out, "engine");
  tide_json_int(out, card->engine_id);
  tide_json_key(out, "address");
  tide_json_cstr(out, card->address);
  tide_json_key(out, "admin");
  tide_json_cstr(out, card->admin);
  tide_json_key(out, "version");
  tide_json_cstr(out, card->version);
  tide_json_key(out, "state");
  tide_json_cstr(out, card->state);
  tide_json_key(out, "ready");
  tide_json_bool(out, card->ready);
  tide_json_key(out, "ingests");
  tide_json_bool(out, card->ingests);
  tide_json_key(out, "rollout");
  tide_json_int(out, (int64_t)card->rollout);
  tide_json_key(out, "position");
  tide_json_cstr(out, card->position);
  tide_json_key(out, "told");
  tide_json_cstr(out, tide_time_format((struct tide_etime){card->told_ms}, time));
  tide_json_close(out, '}');
}

static int run_engines(const struct tide_args *args) {
  struct tide_registry_cli cli;
  struct tide_error error = {0};
  struct tide_engine_card *card = NULL;
  struct tide_buf out = TIDE_BUF_INIT;
  size_t count = 0;
  int exit;
  if (!tide_registry_cli_open(args, &cli, &exit)) return exit;
  enum tide_err err = tide_registry_engines(cli.registry, cli.cell, &card, &count, &error);
  if (!err && !cli.json)
    printf("%-7s %-22s %-22s %-8s %-8s %8s  %-16s %s\n", "engine", "address", "admin", "version", "state", "rollout", "position",
           "told at");
  tide_json_open(&out, '[');
  for (size_t i = 0; !err && i < count; i++) {
    char time[TIDE_TIME_TEXT];
    json_engine(&card[i], &out);
    if (!cli.json)
      printf("%-7u %-22s %-22s %-8s %-8s %8" PRIu64 "  %-16s %s\n", card[i].engine_id, card[i].address, card[i].admin, card[i].version,
             card[i].state, card[i].rollout, card[i].position, tide_time_format((struct tide_etime){card[i].told_ms}, time));
  }
  tide_json_close(&out, ']');
  if (!err && cli.json) printf("%.*s\n", (int)out.len, out.ptr);
  tide_buf_release(&out);
  tide_free(card);
  tide_registry_cli_close(&cli);
  error.code = err;
  return err ? tide_exit_report(&error) : TIDE_EXIT_OK;
}

/* ---- rows ---- */

static const struct tide_positional file[] = {{"FILE", "The file", false, false}};
static const struct tide_positional two[] = {
    {"A", "A version: NAME, NAME@HASH, the first digits of its hash, or live, canary, shadow", false, false},
    {"B", "Another one", false, false}};
static const struct tide_opt push_options[] = {
    {"name", "NAME", NULL, "Name of the version, for people; left out: the one that the file gives itself", TIDE_OPT_TEXT, 0, 0, 0, NULL},
    TIDE_REGISTRY_ACT_OPTIONS,
    TIDE_REGISTRY_OPTIONS,
};
static const struct tide_opt look_options[] = {TIDE_REGISTRY_OPTIONS};

#define PUSH(kind, path)                                                                                                                   \
  const struct tide_verb tide_verb_##kind##_push = {                                                                                       \
      .name = #kind " push",                                                                                                               \
      .summary = "Put a version into the registry, under the hash of its content",                                                         \
      .about = "It can never be changed afterwards, and decides nothing: state draft. What is there already is told, and stays as it is.", \
      .example = "tidemark " #kind " push " path " --registry etcd://10.0.0.1:2379 --why \"retrained on October\"",                        \
      TIDE_ROWS(push_options),                                                                                                             \
      TIDE_WORDS(file),                                                                                                                    \
      .run = run_push}
PUSH(model, "model.json");
PUSH(policy, "policy.yaml");
PUSH(features, "features.yaml");

#define LIST(kind)                                                                                                                         \
  const struct tide_verb tide_verb_##kind##_list = {                                                                                       \
      .name = #kind " list",                                                                                                               \
      .summary = "Show the versions that the registry has, and their state in a cell",                                                     \
      .about =                                                                                                                             \
          "States: live, canary, shadow, fallback (the cell's last rollout says so), retired, validated, failed (validation), draft.",     \
      .example = "tidemark " #kind " list --cell eu --registry etcd://10.0.0.1:2379",                                                      \
      TIDE_ROWS(look_options),                                                                                                             \
      .run = run_list}
LIST(model);
LIST(policy);
LIST(features);

#define DIFF(kind)                                                                                                                                        \
  const struct tide_verb tide_verb_##kind##_diff = {                                                                                                      \
      .name = #kind " diff",                                                                                                                              \
      .summary = "Show what differs between two versions",                                                                                                \
      .about =                                                                                                                                            \
          "Models: inputs, coefficients, preprocessing. Feature files: definitions of values, and lines. Policies: lines. Exit code 1 when they differ.", \
      .example = "tidemark " #kind " diff live 1f2e3d4c --cell eu --registry etcd://10.0.0.1:2379",                                                       \
      TIDE_ROWS(look_options),                                                                                                                            \
      TIDE_WORDS(two),                                                                                                                                    \
      .run = run_diff}
DIFF(model);
DIFF(policy);
DIFF(features);

const struct tide_verb tide_verb_engines = {
    .name = "engines",
    .summary = "Show the engines of a cell as they tell of themselves in the registry",
    .about =
        "An engine that was not heard of for registry.lease is not shown. Who is shown is no proof of anything: the journal decides without this.",
    .example = "tidemark engines --cell eu --registry etcd://10.0.0.1:2379",
    TIDE_ROWS(look_options),
    .run = run_engines};
