/* tidemark model|policy|features validate: is a version good enough to be rolled out?
 *
 * What can be told from the version itself: it is whole, parses, has every feature it reads defined as in training, and its own tests pass. What only events can tell: its
 * scores are those of training's code, and it does not move scores and decisions further from what is in force than the limits allow. The result is stored with the version,
 * passed or not, with its figures; `rollout` asks for it. */
#include "cli/verb_registry.h"

#include <stdio.h>

#include "base/json_out.h"
#include "cli/registry_judge.h"
#include "cli/registry_plan.h"
#include "cli/registry_validate.h"
#include "cli/selftest.h"
#include "cli/spec_file.h"

#define FILES_MAX 256

struct validate {
  struct tide_registry_cli cli;
  struct tide_registry_version version;
  struct tide_rollout_document document;
  struct tide_content_hash features, policy; /* under which the version is validated */
  struct tide_spec *now_spec, *spec;         /* in force (NULL: nothing is), and with the version */
  struct tide_model *now_model, *model;
  struct tide_selftest_result tests;
  struct tide_validation result;
  struct tide_buf why; /* what does not pass, a line each; empty: it passes */
};

/* ---- the two sides ---- */

static enum tide_err read_model(const struct tide_registry_cli *cli, struct tide_content_hash hash, const struct tide_spec *spec,
                                struct tide_model **ret, struct tide_error *error) {
  struct tide_buf bytes = TIDE_BUF_INIT;
  enum tide_err err = tide_registry_content(cli->registry, TIDE_ARTIFACT_model, hash, &bytes, error);
  if (!err) err = tide_model_parse(tide_buf_span(&bytes), ret, error);
  if (!err) err = tide_model_bind(*ret, spec, error);
  tide_buf_release(&bytes);
  return err;
}

static bool find_live(const struct tide_rollout *rollout, struct tide_content_hash *ret) {
  for (uint32_t i = 0; i < rollout->model_count; i++)
    if (rollout->model[i].role == TIDE_ROLE_live) {
      *ret = rollout->model[i].hash;
      return true;
    }
  return false;
}

/* What is wrong with the version itself fails it; what is wrong with the registry ends the verb. */
static bool is_verdict(enum tide_err err) {
  return err != TIDE_E_AGAIN && err != TIDE_E_IO && err != TIDE_E_NOT_FOUND && err != TIDE_E_CORRUPT;
}

static enum tide_err fail_version(struct validate *v, enum tide_err err, const struct tide_error *error) {
  if (!err || !is_verdict(err)) return err;
  tide_buf_printf(&v->why, "%s\n", error->text);
  return TIDE_OK;
}

/* Which feature file and policy the version would decide with. */
static enum tide_err choose_sides(struct validate *v, struct tide_error *error) {
  const struct tide_rollout *rollout = &v->document.rollout;
  const char *word = v->cli.kind == TIDE_ARTIFACT_features ? NULL : tide_args_text(v->cli.args, "features");
  struct tide_registry_version features;
  v->features = v->cli.kind == TIDE_ARTIFACT_features ? v->version.hash : rollout->features;
  v->policy = v->cli.kind == TIDE_ARTIFACT_policy ? v->version.hash : rollout->policy;
  if (word) {
    enum tide_err err = tide_registry_cli_find(&v->cli, TIDE_ARTIFACT_features, word, &features, error);
    if (err) return err;
    v->features = features.hash;
  }
  if (tide_content_hash_is_zero(v->features))
    return tide_fail(error, TIDE_E_CONFIG, "nothing is rolled out to cell %.48s: name the feature file to validate with (--features)",
                     v->cli.cell);
  return TIDE_OK;
}

static enum tide_err open_sides(struct validate *v, struct tide_error *error) {
  const struct tide_rollout *rollout = &v->document.rollout;
  struct tide_content_hash live;
  enum tide_err err = TIDE_OK;
  if (v->document.index) err = tide_judge_spec(v->cli.registry, rollout->features, rollout->policy, &v->now_spec, error);
  if (!err && v->now_spec && find_live(rollout, &live)) err = read_model(&v->cli, live, v->now_spec, &v->now_model, error);
  if (err) return err;
  err = fail_version(v, tide_judge_spec(v->cli.registry, v->features, v->policy, &v->spec, error), error);
  if (err || !v->spec) return err;
  bool scores = v->cli.kind == TIDE_ARTIFACT_model || find_live(rollout, &live);
  if (v->cli.kind == TIDE_ARTIFACT_model) live = v->version.hash;
  return scores ? fail_version(v, read_model(&v->cli, live, v->spec, &v->model, error), error) : TIDE_OK;
}

/* ---- judging ---- */

/* Could it be live as the cell stands? Asked as the journal will ask it. */
static enum tide_err run_judge(struct validate *v, struct tide_error *error) {
  struct tide_rollout next = v->document.rollout;
  uint32_t live = 0;
  next.number++;
  next.features = v->features;
  next.policy = v->policy;
  if (tide_content_hash_eq(next.policy, next.shadow_policy)) next.shadow_policy = (struct tide_content_hash){{0}};
  while (live < next.model_count && next.model[live].role != TIDE_ROLE_live) live++;
  bool has_role = tide_plan_state(&next, TIDE_ARTIFACT_model, v->version.hash) != NULL;
  if (v->cli.kind == TIDE_ARTIFACT_model && !has_role) {
    if (live == TIDE_ROLLOUT_MODELS_MAX) return TIDE_OK; /* sixteen others: `rollout` will say so */
    if (live == next.model_count)
      next.model[next.model_count++] = (struct tide_rollout_model){.role = TIDE_ROLE_live, .weight = TIDE_WEIGHT_ALL};
    next.model[live].hash = v->version.hash;
  }
  return fail_version(v, tide_judge_rollout(v->cli.registry, &v->document.rollout, &next, false, error), error);
}

static enum tide_err run_tests(struct validate *v, struct tide_error *error) {
  if (v->cli.kind == TIDE_ARTIFACT_model || !v->spec || !v->spec->test_count) return TIDE_OK;
  enum tide_err err = tide_selftest(v->spec, v->version.name, false, stderr, &v->tests, error);
  if (!err && v->tests.failed) tide_buf_printf(&v->why, "%u of its %u tests fail\n", v->tests.failed, v->tests.run);
  return fail_version(v, err, error);
}

static enum tide_err replay(struct validate *v, struct tide_error *error) {
  const struct tide_args *args = v->cli.args;
  const char *input[FILES_MAX];
  struct tide_keys keys = {0};
  struct tide_validation_log log = {.input = input,
                                    .format = tide_args_text(args, "format"),
                                    .shape = tide_args_text(args, "input-shape"),
                                    .keys = &keys,
                                    .since_ms = INT64_MIN};
  const char *since = tide_args_text(args, "since");
  if (since) TIDE_CHECK(tide_args_time_parse(since, &log.since_ms) == TIDE_OK); /* it was checked with the command line */
  for (const char *path; (path = tide_args_nth(args, "log", log.input_count)) != NULL; log.input_count++) {
    if (log.input_count == FILES_MAX) return tide_fail(error, TIDE_E_USAGE, "validate reads at most %d files in one run", FILES_MAX);
    input[log.input_count] = path;
  }
  const char *journal = tide_args_text(args, "journal");
  enum tide_err err = journal ? tide_journal_arg(journal, &log.journal_dir, error) : TIDE_OK;
  if (!err && (log.input_count > 0) == (log.journal_dir != NULL))
    err = tide_fail(error, TIDE_E_USAGE,
                    "events are needed: give either --journal file:DIRECTORY (an engine's journal or mirror) or --log FILE");
  if (!err && log.input_count) err = tide_settings_from_args(args, &log.settings, error);
  if (!err && log.input_count) err = tide_keys_from_args(args, v->spec, &keys, error);
  struct tide_validation_side now = {v->now_spec, v->now_model}, fresh = {v->spec, v->model};
  if (!err) err = tide_validate(&log, now, fresh, &v->result, error);
  explicit_bzero(&keys, sizeof keys);
  return err;
}

static void judge(struct validate *v) {
  const struct tide_validation *r = &v->result;
  double score_most = tide_args_double(v->cli.args, "max-score-shift"), decision_most = tide_args_double(v->cli.args, "max-decision-shift");
  int64_t least = tide_args_int(v->cli.args, "min-events");
  if (r->events < (uint64_t)least)
    tide_buf_printf(&v->why, "%llu events were judged, at least %lld are needed (--min-events)\n", (unsigned long long)r->events,
                    (long long)least);
  if (v->cli.kind == TIDE_ARTIFACT_model && !r->scored) tide_buf_printf(&v->why, "no event got a score\n");
  if (r->parity_different)
    tide_buf_printf(&v->why, "%llu of %llu scores are not what training's code works out, by up to %.6f\n",
                    (unsigned long long)r->parity_different, (unsigned long long)r->parity_checked, r->parity_max);
  if (r->compared && 100 * r->score_shift > score_most)
    tide_buf_printf(&v->why, "scores shift by %.2f %%, above %.2f %% (--max-score-shift)\n", 100 * r->score_shift, score_most);
  if (r->compared && 100 * r->decision_shift > decision_most)
    tide_buf_printf(&v->why, "%.2f %% of decisions change, above %.2f %% (--max-decision-shift)\n", 100 * r->decision_shift, decision_most);
}

/* ---- telling ---- */

static void put_int(struct tide_buf *out, const char *name, uint64_t n) {
  tide_json_key(out, name);
  tide_json_int(out, (int64_t)n);
}
static void put_double(struct tide_buf *out, const char *name, double x) {
  tide_json_key(out, name);
  tide_json_double(out, x);
}

static void figures(const struct validate *v, struct tide_buf *out) {
  const struct tide_validation *r = &v->result;
  tide_json_open(out, '{');
  put_int(out, "tests", v->tests.run);
  put_int(out, "tests_failed", v->tests.failed);
  put_int(out, "events", r->events);
  put_int(out, "scored", r->scored);
  put_int(out, "parity_checked", r->parity_checked);
  put_int(out, "parity_different", r->parity_different);
  tide_json_key(out, "compared_with");
  if (r->compared) tide_json_int(out, (int64_t)v->document.rollout.number);
  else tide_json_null(out);
  put_int(out, "pairs", r->pairs);
  put_int(out, "decisions_different", r->decisions_different);
  put_double(out, "decision_shift", r->decision_shift);
  put_double(out, "score_shift", r->score_shift);
  put_double(out, "score_change", r->score_change);
  tide_json_key(out, "problems");
  tide_json_open(out, '[');
  for (size_t at = 0; at < v->why.len;) {
    const char *end = memchr(v->why.ptr + at, '\n', v->why.len - at);
    size_t len = (size_t)(end - v->why.ptr) - at;
    tide_json_str(out, (struct tide_span){v->why.ptr + at, len});
    at += len + 1;
  }
  tide_json_close(out, ']');
  tide_json_close(out, '}');
}

static void tell(const struct validate *v, const struct tide_buf *json) {
  const struct tide_validation *r = &v->result;
  char label[TIDE_VERSION_LABEL];
  bool passed = v->why.len == 0;
  if (v->cli.json) {
    printf("{\"passed\":%s,\"figures\":%.*s}\n", passed ? "true" : "false", (int)json->len, json->ptr);
    return;
  }
  tide_registry_cli_label(&v->cli, v->cli.kind, v->version.hash, label);
  printf("%s %s %s\n", tide_registry_kind_name(v->cli.kind), label, passed ? "passed" : "did not pass");
  if (v->tests.run) printf("  tests              %u of %u pass\n", v->tests.run - v->tests.failed, v->tests.run);
  printf("  events             %llu judged, %llu with a score\n", (unsigned long long)r->events, (unsigned long long)r->scored);
  printf("  replay parity      %llu scores worked out again by training's code, %llu differ\n", (unsigned long long)r->parity_checked,
         (unsigned long long)r->parity_different);
  if (r->compared) {
    printf("  compared with      rollout %llu, %llu events judged by both\n", (unsigned long long)v->document.rollout.number,
           (unsigned long long)r->pairs);
    printf("  decisions          %.2f %% change (%llu)\n", 100 * r->decision_shift, (unsigned long long)r->decisions_different);
    printf("  scores             shift by %.2f %% (largest distance of the distributions), by %.4f on average, over %llu\n",
           100 * r->score_shift, r->score_change, (unsigned long long)r->score_pairs);
  } else printf("  compared with      nothing: nothing is rolled out to cell %s\n", v->cli.cell);
  for (size_t at = 0; at < v->why.len;) {
    const char *end = memchr(v->why.ptr + at, '\n', v->why.len - at);
    printf("  NOT: %.*s\n", (int)(end - (v->why.ptr + at)), v->why.ptr + at);
    at = (size_t)(end - v->why.ptr) + 1;
  }
  if (v->cli.dry_run) printf("the result was not stored (--dry-run)\n");
}

static enum tide_err validate(struct validate *v, struct tide_error *error) {
  const struct tide_registry_cli *cli = &v->cli;
  struct tide_version_check check = {.by = cli->act};
  enum tide_err err = tide_registry_cli_find(cli, cli->kind, tide_args_at(cli->args, 0), &v->version, error);
  if (!err) err = tide_registry_cli_document(cli, &v->document, error);
  if (!err) err = choose_sides(v, error);
  if (!err) err = open_sides(v, error);
  if (!err && !v->why.len) err = run_judge(v, error);
  if (!err) err = run_tests(v, error);
  if (!err && !v->why.len) {
    err = replay(v, error);
    if (!err) judge(v);
  }
  if (err) return err;
  check.passed = v->why.len == 0;
  check.features = v->features;
  check.policy = v->policy;
  figures(v, &check.figures);
  if (!cli->dry_run) err = tide_registry_set_check(cli->registry, &v->version, &check, error);
  if (!err) tell(v, &check.figures);
  tide_buf_release(&check.figures);
  return err;
}

static int run(const struct tide_args *args) {
  struct validate v = {0};
  struct tide_error error = {0};
  int exit;
  if (!tide_registry_cli_open(args, &v.cli, &exit)) return exit;
  enum tide_err err = validate(&v, &error);
  exit = v.why.len ? TIDE_EXIT_DIFFERENT : TIDE_EXIT_OK;
  tide_registry_cli_close(&v.cli);
  tide_model_free(v.now_model);
  tide_model_free(v.model);
  tide_spec_free(v.now_spec);
  tide_spec_free(v.spec);
  tide_buf_release(&v.why);
  error.code = err;
  return err ? tide_exit_report(&error) : exit;
}

/* ---- rows ---- */

#define EVENT_OPTIONS                                                                                                                      \
  {"journal",                                                                                                                              \
   "WHERE",                                                                                                                                \
   NULL,                                                                                                                                   \
   "file:DIRECTORY: the events of an engine's journal, or of its mirror (DIR/mirror), with what its archive holds",                        \
   TIDE_OPT_TEXT,                                                                                                                          \
   0,                                                                                                                                      \
   0,                                                                                                                                      \
   0,                                                                                                                                      \
   NULL},                                                                                                                                  \
      {"log", "FILE", NULL, "A log instead, as replay reads it; several are read in order", TIDE_OPT_TEXT, TIDE_OPT_REPEAT, 0, 0, NULL},   \
      {"input-shape", "NAME", NULL, "The shape of messages of the log that no `when` picks; left out: default", TIDE_OPT_TEXT, 0, 0, 0,    \
       NULL},                                                                                                                              \
      {"format", "FORMAT", "auto", "Format of the log; auto looks at the first line", TIDE_OPT_CHOICE, 0, 0, 0, "auto|json|csv"},          \
      {"since", "TIME", NULL, "Judge only what happened from then on; all of it is counted", TIDE_OPT_TIME, 0, 0, 0, NULL},                \
      {"max-score-shift",                                                                                                                  \
       "PERCENT",                                                                                                                          \
       "20",                                                                                                                               \
       "Largest distance of the distributions of scores, new against live",                                                                \
       TIDE_OPT_PERCENT,                                                                                                                   \
       0,                                                                                                                                  \
       0,                                                                                                                                  \
       100,                                                                                                                                \
       NULL},                                                                                                                              \
      {"max-decision-shift", "PERCENT", "5", "Largest share of decisions that may change", TIDE_OPT_PERCENT, 0, 0, 100, NULL},             \
      {"min-events", "N", "1000", "Fewer judged events than this prove nothing", TIDE_OPT_INT, 0, 1, INT64_C(1000000000), NULL},           \
      TIDE_SETTING_OPTIONS, TIDE_KEY_OPTIONS, TIDE_REGISTRY_ACT_OPTIONS, TIDE_REGISTRY_OPTIONS
#define FEATURES_OPTION                                                                                                                    \
  { "features", "VERSION", NULL, "The feature file to validate with; left out: the cell's", TIDE_OPT_TEXT, 0, 0, 0, NULL }

static const struct tide_opt with_features[] = {FEATURES_OPTION, EVENT_OPTIONS};
static const struct tide_opt without[] = {EVENT_OPTIONS};
static const struct tide_positional version[] = {{"VERSION", "NAME, NAME@HASH, or the first digits of its hash", false, false}};

#define VALIDATE(kind, options)                                                                                                                                \
  const struct tide_verb tide_verb_##kind##_validate = {                                                                                                       \
      .name = #kind " validate",                                                                                                                               \
      .summary = "Find out whether a version may be rolled out, and store what was found",                                                                     \
      .about =                                                                                                                                                 \
          "The version is checked by itself (whole, every feature there and defined as in training, its tests), then events are judged with it and with what " \
          "is in force in the cell: scores must be exactly those of training's code, and scores and decisions may not shift further than the limits. "         \
          "Exit code 1 when it does not pass; the result is stored either way.",                                                                               \
      .example =                                                                                                                                               \
          "tidemark " #kind                                                                                                                                    \
          " validate 1f2e3d4c --cell eu --journal file:tidemark-data/journal --registry etcd://10.0.0.1:2379 --why \"for Monday\"\n"                           \
          "tidemark " #kind                                                                                                                                    \
          " validate 1f2e3d4c --cell eu --log october.jsonl --key-file card.key --registry dir:registry --why \"for Monday\"",                                 \
      TIDE_ROWS(options),                                                                                                                                      \
      TIDE_WORDS(version),                                                                                                                                     \
      .run = run}
VALIDATE(model, with_features);
VALIDATE(policy, with_features);
VALIDATE(features, without);
