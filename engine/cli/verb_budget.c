/* tidemark features budget: the consistency budget as a document (feature/budget.h), with a running engine's last hour beside it (GET /budget).
 *
 * The one half is what the feature file promises, worked out from it; the other what an engine has seen. They belong together only where the engine runs this very file,
 * so another one is an error and not a footnote. */
#include "cli/verbs.h"

#include "base/json_out.h"
#include "cli/admin_args.h"
#include "cli/spec_file.h"
#include "core/rollout.h"
#include "feature/budget.h"

#include <inttypes.h>
#include <stdlib.h>

static const struct tide_positional file[] = {{"FILE", "The feature file", false, false}};
static const struct tide_opt options[] = {TIDE_MODEL_OPTION,
                                          {"engine", "HOST:PORT", NULL,
                                           "Admin listener of an engine that runs this file: with what its last hour looked like",
                                           TIDE_OPT_TEXT, 0, 0, 0, NULL},
                                          TIDE_ADMIN_OPTIONS};

static const char *version_of(const struct tide_spec *spec, char out[TIDE_VERSION_TEXT]) {
  return tide_version_text(tide_span_of(spec->name), tide_content_hash((struct tide_span){spec->text, spec->text_len}), out);
}

/* The group's part of the engine's answer; NULL: there is none. */
static const json_t *hour_of(const json_t *hour, const char *entity) {
  const json_t *group;
  size_t i;
  json_array_foreach(json_object_get(hour, "groups"), i, group) {
    const char *name = json_string_value(json_object_get(group, "entity"));
    if (name && strcmp(name, entity) == 0) return group;
  }
  return NULL;
}

static int64_t number(const json_t *object, const char *key) { return json_integer_value(json_object_get(object, key)); }

static void say_age(const json_t *ages, const char *key, struct tide_buf *out) {
  const json_t *age = json_object_get(ages, key);
  if (json_is_integer(age)) tide_buf_printf(out, "%s%s %.1f s", key[0] == 'n' ? "" : ", ", key, (double)json_integer_value(age) / 1000);
  else tide_buf_printf(out, "%s%s unknown", key[0] == 'n' ? "" : ", ", key);
}

static void say_hour(const json_t *hour, const json_t *group, struct tide_buf *out) {
  const json_t *ages = json_object_get(group, "age_ms"), *values = json_object_get(group, "values"), *value;
  int64_t looks = number(hour, "looks"), beyond = number(group, "beyond"), all = 0;
  const char *state;
  tide_buf_str(out, "  last hour     age ");
  say_age(ages, "now", out);
  say_age(ages, "p50", out);
  say_age(ages, "p99", out);
  say_age(ages, "max", out);
  tide_buf_printf(out, "; beyond the budget %.1f %% of the time\n", looks ? 100.0 * (double)beyond / (double)looks : 0.0);
  json_object_foreach((json_t *)(uintptr_t)values, state, value) all += json_integer_value(value);
  tide_buf_printf(
      out, "                values read by decisions: %" PRId64 ", of them stale %" PRId64 ", waived %" PRId64 ", defaulted %" PRId64 "\n",
      all, number(values, "stale"), number(values, "waived"), number(values, "defaulted"));
}

static void say_answers(const json_t *hour, struct tide_buf *out) {
  const json_t *answers = json_object_get(hour, "answers"), *causes = json_object_get(answers, "causes"), *count;
  const char *cause, *since = json_string_value(json_object_get(hour, "since"));
  tide_buf_printf(out, "Engine %" PRId64 " since %s, in %" PRId64 " looks: %" PRId64 " answers scored, %" PRId64 " refused",
                  number(hour, "engine"), since ? since : "?", number(hour, "looks"), number(answers, "scored"),
                  number(answers, "refused"));
  json_object_foreach((json_t *)(uintptr_t)causes, cause, count)
      tide_buf_printf(out, "; %s %" PRId64, cause, (int64_t)json_integer_value(count));
  tide_buf_printf(out, "; too old when they could be told %" PRId64 "\n", number(answers, "late"));
}

static void put_raw(const char *key, const json_t *value, struct tide_buf *out) {
  char *text = value ? json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY) : NULL;
  tide_json_key(out, key);
  if (text) tide_json_raw(out, tide_span_of(text));
  else tide_json_null(out);
  free(text);
}

static void put_text(const struct tide_spec *spec, uint32_t score_reads, const json_t *hour, struct tide_buf *out) {
  struct tide_budget budget;
  char version[TIDE_VERSION_TEXT];
  tide_buf_printf(out, "Consistency budget of %s\n", version_of(spec, version));
  tide_buf_str(
      out,
      "A score takes the strongest level among what it reads. Rules are those that count, in their order; shadow rules decide nothing.\n\n");
  for (uint32_t e = 0; e < spec->entity_count; e++) {
    const json_t *group = hour_of(hour, spec->entity[e].name);
    tide_budget_of(spec, score_reads, e, &budget);
    tide_budget_say(spec, e, &budget, out);
    if (group) say_hour(hour, group, out);
    tide_buf_char(out, '\n');
  }
  if (spec->decision_count) tide_budget_fallback_say(spec, out);
  if (hour) {
    tide_buf_char(out, '\n');
    say_answers(hour, out);
  }
}

static void put_json(const struct tide_spec *spec, uint32_t score_reads, const json_t *hour, struct tide_buf *out) {
  struct tide_budget budget;
  char version[TIDE_VERSION_TEXT];
  tide_json_open(out, '{');
  tide_json_key(out, "features");
  tide_json_cstr(out, version_of(spec, version));
  tide_json_key(out, "groups");
  tide_json_open(out, '[');
  for (uint32_t e = 0; e < spec->entity_count; e++) {
    tide_budget_of(spec, score_reads, e, &budget);
    tide_json_open(out, '{');
    tide_budget_json(spec, e, &budget, out);
    if (hour) put_raw("last_hour", hour_of(hour, spec->entity[e].name), out);
    tide_json_close(out, '}');
  }
  tide_json_close(out, ']');
  tide_json_key(out, "fallback");
  tide_budget_fallback_json(spec, out);
  if (hour) put_raw("answers", json_object_get(hour, "answers"), out);
  if (hour) put_raw("since", json_object_get(hour, "since"), out);
  if (hour) put_raw("looks", json_object_get(hour, "looks"), out);
  tide_json_close(out, '}');
  tide_buf_char(out, '\n');
}

/* The engine's hour, of this very file. */
static int ask_engine(const struct tide_args *args, const struct tide_spec *spec, json_t **ret) {
  const char *engine = tide_args_text(args, "engine");
  char version[TIDE_VERSION_TEXT];
  if (!engine) return TIDE_EXIT_OK;
  int exit = tide_admin_call(args, engine, "/budget", NULL, ret);
  if (exit != TIDE_EXIT_OK) return exit;
  const char *theirs = json_string_value(json_object_get(*ret, "features")), *policy = json_string_value(json_object_get(*ret, "policy"));
  (void)version_of(spec, version);
  if (theirs && policy && strcmp(theirs, version) == 0 && strcmp(policy, version) != 0)
    fprintf(stderr, "tidemark: the engine decides by another policy than the one in this file, %.100s: the rules below are the file's\n",
            policy);
  if (theirs && strcmp(theirs, version) == 0) return TIDE_EXIT_OK;
  fprintf(stderr, "tidemark: the engine at %s runs the feature file %.100s, and this one is %s: give the one that it runs\n", engine,
          theirs ? theirs : "?", version);
  return TIDE_EXIT_DIFFERENT;
}

static int budget(const struct tide_args *args) {
  struct tide_spec *spec;
  struct tide_model *model = NULL;
  struct tide_error error = {0};
  json_t *hour = NULL;
  int exit;
  if (!tide_spec_open(tide_args_at(args, 0), &spec, &exit)) return exit;
  enum tide_err err = tide_model_from_args(args, "model", spec, &model, &error);
  exit = err == TIDE_OK ? ask_engine(args, spec, &hour) : tide_exit_report(&error);
  if (exit == TIDE_EXIT_OK) {
    uint32_t score_reads = model ? tide_model_entities(model, spec) : UINT32_MAX;
    struct tide_buf text = TIDE_BUF_INIT;
    if (tide_args_on(args, "json")) put_json(spec, score_reads, hour, &text);
    else put_text(spec, score_reads, hour, &text);
    bool written = fwrite(text.ptr, 1, text.len, stdout) == text.len && fflush(stdout) == 0;
    if (!written) exit = TIDE_EXIT_IO;
    tide_buf_release(&text);
  }
  json_decref(hour);
  tide_model_free(model);
  tide_spec_free(spec);
  return exit;
}

const struct tide_verb tide_verb_features_budget = {
    .name = "features budget",
    .summary = "Print the consistency budget: how far each group may be behind, and what is decided without it",
    .about =
        "For each entity: its budget and level, what is done beyond it, and, by evaluating the policy, which rules cannot be answered without it, which still decide, "
        "which give way to the fallback, and what is decided on an event with nothing else against it; at the end what the fallback decides. A model's inputs are "
        "needed to know what the score reads: without --model it is taken to read everything. With --engine also what that engine's last hour looked like: ages, stale "
        "values, refusals by cause.",
    .example =
        "tidemark features budget config/defaults/features.yaml --model config/defaults/model.json\ntidemark features budget features.yaml --engine 10.0.0.7:9090 --json",
    .opt = options,
    .opt_count = sizeof options / sizeof options[0],
    .positional = file,
    .positional_count = 1,
    .run = budget};
