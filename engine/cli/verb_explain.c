/* tidemark explain: one decision with everything behind it, from the journal alone.
 *
 * The first pass reads records without folding and finds where the id stands (several times when it was sent twice or reused). The second folds
 * up to that entry, with the trace on for it, and so sees exactly the state in which the decision was made. Where a rollout names another feature file, only the fold can tell
 * whether it took effect and how the records behind it are to be read: then the first pass folds as well. */
#include "cli/verbs.h"

#include "cli/follow.h"
#include "cli/key_file.h"
#include "cli/receipt.h"
#include "cli/scan.h"
#include "cli/snapshot.h"
#include "cli/summary.h"
#include "core/answer.h"
#include "core/explain.h"
#include "core/ledger.h"
#include "core/rollout.h"

#include <inttypes.h>
#include <stdlib.h>

static const struct tide_opt options[] = {
    {"journal", "WHERE", NULL, "The journal: file:DIRECTORY", TIDE_OPT_TEXT, TIDE_OPT_REQUIRED, 0, 0, NULL},
    {"position", "POSITION", NULL, "Which one, when the id stands several times (as in the output's position); left out: the first",
     TIDE_OPT_TEXT, 0, 0, 0, NULL},
    {"events", "N", "20", "At most so many past events are listed per entity, the newest", TIDE_OPT_INT, 0, 0, 100000, NULL},
    TIDE_KEY_OPTIONS,
    {"start-from", "DIR", NULL, "The result of backfill that the journal began with", TIDE_OPT_TEXT, 0, 0, 0, NULL},
    {"receipt", "FILE", NULL, "Also write a receipt, from which `verify` proves the decision", TIDE_OPT_TEXT, TIDE_OPT_WRITTEN, 0, 0, NULL},
    {"json", NULL, NULL, "Everything as one JSON object", TIDE_OPT_SWITCH, 0, 0, 0, NULL},
};
static const struct tide_positional positional[] = {
    {"TRANSACTION_ID", "The id as in the output: its parts joined by /; secret parts in clear (then the key is needed) or as their hash",
     false, false}};

#define PLACES_MAX 64
struct place {
  struct tide_position position;
  uint32_t index;
};

struct explain {
  const char *id; /* as given */
  const struct tide_keys *keys;
  const char *wanted; /* --position, or NULL */
  /* first pass */
  const char *dir;
  struct tide_spec *spec;
  struct tide_content_hash features; /* of spec */
  bool changes;                      /* a rollout names another feature file */
  struct tide_record *record;
  struct place place[PLACES_MAX];
  uint32_t place_count;
  uint64_t total; /* places, also those beyond PLACES_MAX */
  /* second pass */
  struct tide_fold *fold;
  struct place target;
  struct tide_buf out;     /* the report */
  struct tide_buf receipt; /* if it is wanted */
  bool json, found, wants_receipt;
  struct tide_explain *past; /* events that the windows hold */
};

/* --- first pass: where is it */

/* The i-th part of an id as given, by '/'. The last part keeps what is left. */
static struct tide_span part_of(const char *id, uint32_t index, uint32_t count) {
  for (uint32_t i = 0; i < index && id; i++) {
    id = strchr(id, '/');
    if (id) id++;
  }
  if (!id) return (struct tide_span){"", 0};
  return (struct tide_span){id, index + 1 == count ? strlen(id) : strcspn(id, "/")};
}

static const struct tide_spec *spec_of(const struct explain *explain) {
  return explain->fold ? tide_fold_spec(explain->fold) : explain->spec;
}

static bool part_matches(const struct explain *explain, uint32_t i) {
  const struct tide_spec *spec = spec_of(explain);
  const struct tide_datum *datum = &explain->record->field[spec->id[i]];
  struct tide_span part = part_of(explain->id, i, spec->id_count);
  if (datum->kind == TIDE_D_KEY) {
    const struct tide_keys *keys = explain->keys;
    if (keys->has_now && tide_u128_eq(tide_secret_hash(&keys->now, part), datum->key)) return true;
    if (keys->has_previous && tide_u128_eq(tide_secret_hash(&keys->previous, part), datum->key)) return true;
  }
  struct tide_buf text = TIDE_BUF_INIT;
  tide_datum_text(&spec->field[spec->id[i]], datum, &text);
  bool same = tide_span_eq(tide_buf_span(&text), part);
  tide_buf_release(&text);
  return same;
}

static bool id_matches(const struct explain *explain) {
  const struct tide_spec *spec = spec_of(explain);
  struct tide_buf whole = TIDE_BUF_INIT;
  tide_record_id(spec, explain->record, &whole);
  bool same = tide_span_eq(tide_buf_span(&whole), tide_span_of(explain->id));
  tide_buf_release(&whole);
  if (same) return true;
  for (uint32_t i = 0; i < spec->id_count; i++)
    if (!part_matches(explain, i)) return false;
  return spec->id_count > 0;
}

static enum tide_err take_config(struct explain *explain, const struct tide_raw_record *raw, struct tide_error *error) {
  if (explain->spec) return TIDE_OK; /* the first counts */
  struct tide_settings settings;
  struct tide_span features;
  enum tide_err err = tide_config_decode(raw, &settings, &features, error);
  if (err != TIDE_OK) return err;
  explain->features = tide_content_hash(features);
  size_t errors;
  return tide_spec_parse("the journal's feature file", features, &explain->spec, error, 1, &errors);
}

static enum tide_err take_rollout(struct explain *explain, const struct tide_raw_record *raw, struct tide_error *error) {
  struct tide_rollout rollout;
  enum tide_err err = tide_rollout_decode(raw, &rollout, error);
  if (err == TIDE_OK) explain->changes = !tide_content_hash_eq(rollout.features, explain->features);
  return err == TIDE_OK && explain->changes ? TIDE_E_END : err;
}

static void note_place(struct explain *explain, struct tide_position position, uint32_t index) {
  if (!id_matches(explain)) return;
  explain->total++;
  if (explain->place_count < PLACES_MAX) explain->place[explain->place_count++] = (struct place){position, index};
}

static enum tide_err look_for(void *ctx, struct tide_position position, struct tide_span entry, struct tide_error *error) {
  struct explain *explain = ctx;
  static struct tide_cursor_part part[TIDE_PARTS_MAX];
  struct tide_entry_reader reader;
  struct tide_raw_record raw;
  enum tide_err err = tide_entry_open(&reader, entry, part, error);
  if (err != TIDE_OK) return err;
  while ((err = tide_entry_next(&reader, &raw, error)) == TIDE_OK) {
    if (raw.type == TIDE_REC_CONFIG) err = take_config(explain, &raw, error);
    if (raw.type == TIDE_REC_ROLLOUT) err = take_rollout(explain, &raw, error);
    if (err != TIDE_OK) return err;
    if (raw.type != TIDE_REC_EVENT || !explain->spec) continue;
    err = tide_record_decode(explain->spec, &raw, explain->record, error);
    if (err != TIDE_OK) return err;
    note_place(explain, position, reader.index);
  }
  return err == TIDE_E_END ? TIDE_OK : err;
}

static enum tide_err fold_and_look_for(void *ctx, struct tide_position position, struct tide_span entry, struct tide_error *error) {
  struct explain *explain = ctx;
  static struct tide_cursor_part part[TIDE_PARTS_MAX];
  struct tide_entry_reader reader;
  struct tide_raw_record raw;
  enum tide_err err = tide_follow_entry(explain->dir, explain->fold, position, entry, NULL, NULL, error);
  if (err == TIDE_OK) err = tide_entry_open(&reader, entry, part, error);
  while (err == TIDE_OK && (err = tide_entry_next(&reader, &raw, error)) == TIDE_OK) {
    bool skip;
    if (raw.type != TIDE_REC_EVENT) continue;
    err = tide_fold_decode(explain->fold, reader.header.generation, &raw, explain->record, &skip, error);
    if (err == TIDE_OK && !skip) note_place(explain, position, reader.index);
  }
  return err == TIDE_E_END ? TIDE_OK : err;
}

/* Where the id stands. */
static enum tide_err find(struct explain *explain, const char *start_from, struct tide_error *error) {
  struct tide_scan_result scan;
  enum tide_err err = tide_scan(explain->dir, "find", look_for, explain, &scan, error);
  if (err != TIDE_OK || !explain->changes) return err;
  explain->place_count = 0;
  explain->total = 0;
  err = tide_base_load(start_from, &explain->fold, error);
  if (err != TIDE_OK) return err;
  err = tide_scan(explain->dir, "find", fold_and_look_for, explain, &scan, error);
  tide_fold_free(explain->fold);
  explain->fold = NULL;
  return err;
}

static enum tide_err choose(struct explain *explain, struct tide_error *error) {
  char text[TIDE_POSITION_TEXT];
  if (explain->place_count == 0)
    return tide_fail(error, TIDE_E_NOT_FOUND,
                     "no transaction %.100s in this journal; ids are written like in the output, parts joined by /", explain->id);
  explain->target = explain->place[0];
  if (!explain->wanted) return TIDE_OK;
  for (uint32_t i = 0; i < explain->place_count; i++) {
    if (strcmp(tide_position_text(explain->place[i].position, explain->place[i].index, text), explain->wanted) != 0) continue;
    explain->target = explain->place[i];
    return TIDE_OK;
  }
  return tide_fail(error, TIDE_E_NOT_FOUND, "transaction %.100s does not stand at position %.40s; it stands at %s", explain->id,
                   explain->wanted, tide_position_text(explain->place[0].position, explain->place[0].index, text));
}

/* --- second pass: what was known */

static void put_number(struct tide_buf *out, const struct tide_value *value) {
  char code[8];
  size_t len;
  switch ((enum tide_vtype)value->type) {
    case TIDE_V_NULL: tide_buf_str(out, "null"); return;
    case TIDE_V_BOOL: tide_buf_str(out, value->yes ? "true" : "false"); return;
    case TIDE_V_NUM: tide_buf_printf(out, "%.10g", value->num); return;
    case TIDE_V_TEXT:
      len = tide_text_of_code(value->code, code);
      if (len) tide_buf_printf(out, "%.*s", (int)len, code);
      else tide_buf_printf(out, "#%016" PRIx64, value->code);
      return;
  }
}

static void value_line(struct tide_buf *out, const char *name, const struct tide_value *value, const char *definition) {
  struct tide_buf text = TIDE_BUF_INIT;
  put_number(&text, value);
  tide_buf_printf(out, "  %-30s %14s", name, tide_buf_cstr(&text));
  tide_buf_clear(&text);
  if (value->state != TIDE_S_fresh) tide_buf_str(&text, tide_vstate_name(value->state));
  if (value->cause != TIDE_C_none && strcmp(tide_cause_name(value->cause), tide_vstate_name(value->state)) != 0)
    tide_buf_printf(&text, "%s%s", text.len ? ", " : "", tide_cause_name(value->cause));
  tide_buf_printf(out, "  %-10s  %s\n", tide_buf_cstr(&text), definition);
  tide_buf_release(&text);
}

static void print_message(const struct tide_answer *answer, struct tide_buf *out) {
  const struct tide_spec *spec = answer->spec;
  tide_buf_str(out, "\nMessage\n");
  for (uint32_t i = 0; i < spec->field_count; i++) {
    const struct tide_datum *datum = &answer->record->field[i];
    if (datum->kind == TIDE_D_NONE) continue;
    tide_buf_printf(out, "  %-30s ", spec->field[i].name);
    tide_datum_text(&spec->field[i], datum, out);
    if (spec->field[i].type == TIDE_F_MONEY) tide_buf_printf(out, " %s", datum->currency);
    if (datum->kind == TIDE_D_KEY) tide_buf_str(out, "  (keyed hash)");
    tide_buf_char(out, '\n');
  }
}

static void print_rules(const struct tide_answer *answer, struct tide_buf *out) {
  const struct tide_spec *spec = answer->spec;
  if (spec->rule_count == 0 || !answer->features_known) return;
  tide_buf_str(out, "\nRules, in order\n");
  for (uint32_t i = 0; i < spec->rule_count; i++) {
    const struct tide_rule *rule = &spec->rule[i];
    bool decided = tide_verdict_is_rule(&answer->verdict) && answer->verdict.rule == i;
    tide_buf_printf(out, "  %-6s %-10s %-8s%s%s  %s\n", rule->code, spec->decision[rule->decision],
                    tide_truth_name(tide_verdict_truth(&answer->verdict, i)), rule->shadow ? " (shadow)" : "",
                    decided                           ? " <- decided"
                    : answer->verdict.blocked_by == i ? " <- could not be answered"
                                                      : "",
                    rule->say);
  }
}

static void print_values(const struct tide_answer *answer, struct tide_buf *out) {
  const struct tide_spec *spec = answer->spec;
  if (!answer->features_known) {
    tide_buf_str(out, answer->duplicate ? "\nA duplicate: it was given the stored decision, no feature was computed.\n"
                                        : "\nNo feature was computed.\n");
    return;
  }
  tide_buf_printf(out, "\nFeatures %43s  %-10s  %s\n", "value", "state", "definition");
  for (uint32_t i = 0; i < spec->slot_count; i++)
    value_line(out, spec->slot[i].name, &answer->slot[i], spec->feature[spec->slot[i].feature].text);
  if (spec->derived_count) tide_buf_str(out, "\nDerived\n");
  for (uint32_t i = 0; i < spec->derived_count; i++) value_line(out, spec->derived[i].name, &answer->derived[i], "");
}

/* How fresh each entity's features were, and which partition was furthest behind: only cells that are fed by sources have more to say than "fresh". */
static void print_freshness(const struct tide_answer *answer, struct tide_buf *out) {
  const struct tide_spec *spec = answer->spec;
  char age[TIDE_TIME_TEXT];
  bool any = false;
  for (uint32_t e = 0; answer->features_known && e < spec->entity_count; e++)
    any |= answer->standing[e].source || answer->standing[e].state != TIDE_S_fresh;
  if (!any) return;
  tide_buf_str(out, "\nFreshness\n");
  for (uint32_t e = 0; e < spec->entity_count; e++) {
    const struct tide_standing *standing = &answer->standing[e];
    tide_buf_printf(out, "  %-30s %-8s ", spec->entity[e].name, tide_vstate_name((enum tide_vstate)standing->state));
    if (standing->age_ms == TIDE_AGE_UNKNOWN) tide_buf_str(out, "age not known");
    else tide_buf_printf(out, "%s behind", tide_duration_format(standing->age_ms, age));
    tide_buf_str(out, ": ");
    if (standing->source) tide_standing_say(spec, e, standing, answer->time.ms, out);
    else tide_buf_str(out, "no partition is waited for");
    tide_buf_char(out, '\n');
  }
}

static void print_past(const struct tide_explain *past, const struct tide_spec *spec, struct tide_buf *out) {
  char time[TIDE_TIME_TEXT], money[TIDE_AMOUNT_TEXT];
  for (size_t from = 0, end; from < past->past_count; from = end) {
    size_t first = tide_explain_newest(past, from, &end);
    tide_buf_printf(out, "\nEvents of this %s that were remembered: %zu", past->past[from].entity, end - from);
    if (first > from) tide_buf_printf(out, ", the newest %zu are", end - first);
    tide_buf_char(out, '\n');
    for (size_t i = first; i < end; i++) {
      const struct tide_explain_past *one = &past->past[i];
      char summed[48];
      snprintf(summed, sizeof summed, "%" PRIu64 " event%s in a tile", one->summed, one->summed == 1 ? "" : "s");
      tide_buf_printf(out, "  %s %14s  in ", tide_time_format((struct tide_etime){one->time_ms}, time),
                      one->summed       ? summed
                      : one->has_amount ? tide_money_text(one->amount_minor, spec->exponent, money)
                                        : "-");
      for (uint32_t k = 0; k < one->slot_count && k < 6; k++)
        tide_buf_printf(out, "%s%s", k ? ", " : "", spec->slot[past->slot[one->slot_first + k]].name);
      if (one->slot_count > 6) tide_buf_printf(out, " and %u more", one->slot_count - 6);
      if (one->slot_count == 0) tide_buf_str(out, "no window any more");
      tide_buf_char(out, '\n');
    }
  }
}

/* Where the message came from: a source of the cell, a request, or the file of a replay. */
static void print_origin(const struct explain *explain, const struct tide_record *record, struct tide_buf *out) {
  const struct tide_ledger_source *source = tide_ledger_source((struct tide_ledger *)tide_fold_ledger(explain->fold), record->source);
  if (source) tide_buf_printf(out, "offset %" PRIu64 " of %s/%u", record->offset, source->info.name, record->partition);
  else if (record->offset) tide_buf_printf(out, "line %" PRIu64 " of the input", record->offset);
  else tide_buf_str(out, "a request");
}

static void print_head(const struct explain *explain, const struct tide_answer *answer, struct tide_buf *out) {
  const struct tide_spec *spec = answer->spec;
  const struct tide_verdict *verdict = &answer->verdict;
  char position[TIDE_POSITION_TEXT], time[TIDE_TIME_TEXT];
  tide_buf_str(out, "Transaction ");
  tide_record_id(spec, answer->record, out);
  tide_buf_printf(out, "\n  at %s, position %s, ", tide_time_format(answer->time, time),
                  tide_position_text(answer->position, answer->index, position));
  print_origin(explain, answer->record, out);
  tide_buf_char(out, '\n');
  if (explain->total > 1)
    tide_buf_printf(out, "  the id stands %" PRIu64 " times in this journal; --position chooses another\n", explain->total);
  if (verdict->by == TIDE_BY_NONE) tide_buf_str(out, "  no policy, features only\n");
  else
    tide_buf_printf(out, "  %s, by %s%s%s%s%s\n", spec->decision[verdict->decision],
                    verdict->by == TIDE_BY_FALLBACK_MODEL ? "the fallback model's score and " : "", tide_verdict_by(spec, verdict),
                    answer->duplicate ? ", a duplicate" : "", answer->id_conflict ? ", a reused id" : "",
                    answer->advised ? ", decided elsewhere (for information)" : "");
}

/* Whose rules, and what was judged beside them; nothing in a journal without rollouts. */
static void print_versions(const struct explain *explain, const struct tide_answer *answer, struct tide_buf *out) {
  const struct tide_rollout *rollout = &tide_fold_versions(explain->fold)->rollout;
  if (!rollout->number) return;
  tide_buf_printf(out, "  policy %s, ", answer->policy->label);
  if (answer->duplicate) tide_buf_str(out, "of the first answer\n");
  else tide_buf_printf(out, "by rollout %" PRIu64 " of %s: %s\n", rollout->number, rollout->who, rollout->why);
  for (uint32_t i = 0; i < answer->shadow_count; i++) {
    const struct tide_shadow_score *shadow = &answer->shadow[i];
    if (shadow->value.type == TIDE_V_NUM) tide_buf_printf(out, "  shadow model %s: score %.6g\n", shadow->model->id, shadow->value.num);
    else tide_buf_printf(out, "  shadow model %s: refused\n", shadow->model->id);
  }
  if (answer->shadow_verdict)
    tide_buf_printf(out, "  shadow policy %s: %s, by %s\n", answer->shadow_policy->label,
                    answer->shadow_policy->spec->decision[answer->shadow_verdict->decision],
                    tide_verdict_by(answer->shadow_policy->spec, answer->shadow_verdict));
}

/* What the model said and why, or which of its inputs refused. */
static void print_score(const struct tide_answer *answer, struct tide_buf *out) {
  const struct tide_score *score = answer->score_detail;
  if (!score) return;
  if (score->value.type == TIDE_V_NULL) {
    tide_buf_printf(out, "  model %s: refused, %s cannot be trusted (%s)\n", answer->model->id,
                    answer->model->input[score->refused_by].feature, tide_cause_name(score->refused_cause));
    return;
  }
  tide_buf_printf(out, "  model %s: score %.6g\n", answer->model->id, score->value.num);
  for (uint32_t i = 0; i < score->reason_count; i++) {
    tide_buf_printf(out, "    %+.3f  ", score->reason[i].contribution);
    tide_score_say(answer->model, answer->spec, &score->reason[i], out);
    tide_buf_char(out, '\n');
  }
}

/* The reasons as the answer's JSON has them: the texts are filled in there. */
static void print_reasons(const struct tide_answer *answer, struct tide_buf *out) {
  const struct tide_verdict *verdict = &answer->verdict;
  if (tide_verdict_is_refusal(verdict)) {
    tide_buf_printf(out, "  the fallback%s decided: %s", verdict->by == TIDE_BY_FALLBACK_MODEL ? " model" : "",
                    tide_cause_text((enum tide_cause)verdict->cause));
    if (verdict->cause_slot != TIDE_NONE) tide_buf_printf(out, " (%s)", answer->spec->slot[verdict->cause_slot].name);
    tide_buf_char(out, '\n');
  }
  if (!answer->env) return;
  for (uint32_t i = 0; i < answer->spec->rule_count; i++) {
    const struct tide_rule *rule = &answer->spec->rule[i];
    if (!answer->features_known || tide_verdict_truth(verdict, i) != TIDE_TRUE || rule->say_count == 0) continue;
    tide_buf_printf(out, "  %s%s: ", rule->code, rule->shadow ? " (shadow)" : "");
    tide_policy_say(answer->spec, rule, answer->env, out);
    tide_buf_char(out, '\n');
  }
}

static void on_answer(void *ctx, const struct tide_answer *answer) {
  struct explain *explain = ctx;
  bool target = tide_position_cmp(answer->position, explain->target.position) == 0 && answer->index == explain->target.index;
  if (target) {
    explain->found = true;
    if (explain->json) {
      explain->past->rollout = tide_fold_versions(explain->fold)->rollout.number;
      tide_explain_json(explain->past, answer, 0, &explain->out);
      tide_buf_char(&explain->out, '\n');
    } else {
      print_head(explain, answer, &explain->out);
      print_versions(explain, answer, &explain->out);
      print_reasons(answer, &explain->out);
      print_score(answer, &explain->out);
      print_message(answer, &explain->out);
      print_rules(answer, &explain->out);
      print_freshness(answer, &explain->out);
      print_values(answer, &explain->out);
      print_past(explain->past, answer->spec, &explain->out);
    }
  }
  tide_explain_clear(explain->past); /* the trace so far was this event's */
}

static enum tide_err fold_to(void *ctx, struct tide_position position, struct tide_span entry, struct tide_error *error) {
  struct explain *explain = ctx;
  bool target = tide_position_cmp(position, explain->target.position) == 0;
  if (target) tide_fold_trace(explain->fold, tide_explain_note, explain->past);
  bool made;
  enum tide_err err =
      target && explain->wants_receipt
          ? tide_receipt_fold(explain->fold, position, explain->target.index, entry, on_answer, explain, &explain->receipt, &made, error)
          : tide_follow_entry(explain->dir, explain->fold, position, entry, on_answer, explain, error);
  return err == TIDE_OK && target ? TIDE_E_END : err;
}

/* Hashing an id part needs no spec to be known yet: whatever key is there is read, none is no error. */
static enum tide_err read_keys(const struct tide_args *args, struct tide_keys *ret, struct tide_error *error) {
  static const struct tide_spec no_secrets;
  return tide_keys_from_args(args, &no_secrets, ret, error);
}

static int run(const struct tide_args *args) {
  struct tide_error error = {0};
  struct tide_keys keys = {0};
  struct tide_scan_result scan;
  const char *dir;
  struct explain explain = {.id = tide_args_at(args, 0),
                            .keys = &keys,
                            .wanted = tide_args_text(args, "position"),
                            .json = tide_args_on(args, "json"),
                            .past = tide_explain_new(tide_args_int(args, "events")),
                            .wants_receipt = tide_args_on(args, "receipt"),
                            .record = tide_alloc(sizeof *explain.record)};
  enum tide_err err = tide_journal_arg(tide_args_text(args, "journal"), &dir, &error);
  if (err == TIDE_OK && !dir) err = tide_fail(&error, TIDE_E_USAGE, "explain needs --journal file:DIRECTORY: a journal in memory is gone");
  if (err == TIDE_OK) err = read_keys(args, &keys, &error);
  explain.dir = dir;
  if (err == TIDE_OK) err = find(&explain, tide_args_text(args, "start-from"), &error);
  if (err == TIDE_OK) err = choose(&explain, &error);
  if (err == TIDE_OK) err = tide_base_load(tide_args_text(args, "start-from"), &explain.fold, &error);
  if (err == TIDE_OK) err = tide_scan(dir, "fold", fold_to, &explain, &scan, &error);
  if (err == TIDE_OK && !explain.found)
    err = tide_fail(&error, TIDE_E_NOT_FOUND,
                    "transaction %.100s is in the journal, but it is of a kind that `score:` leaves out: it was counted, not decided",
                    explain.id);
  if (err == TIDE_OK && explain.wants_receipt)
    err = tide_receipt_write(tide_args_text(args, "receipt"), tide_buf_span(&explain.receipt), &error);
  if (err == TIDE_OK) fwrite(explain.out.ptr, 1, explain.out.len, stdout);
  int exit = err == TIDE_OK ? TIDE_EXIT_OK : tide_exit_report(&error);
  explicit_bzero(&keys, sizeof keys);
  tide_spec_free(explain.spec);
  tide_fold_free(explain.fold);
  tide_buf_release(&explain.out);
  tide_buf_release(&explain.receipt);
  tide_free(explain.record);
  tide_explain_free(explain.past);
  return exit;
}

const struct tide_verb tide_verb_explain = {
    .name = "explain",
    .summary = "Print one decision with its rules, every feature, and the past events behind them",
    .about =
        "Everything comes from the journal: the state is folded up to the transaction, so what is shown is what the engine knew at that moment. Card numbers "
        "are shown as their keyed hash. With --receipt what proves the decision goes into a file: hashes of the journal entry, the feature file and the model, the chain "
        "of decisions, the answer.",
    .example = "tidemark explain 606413208713/208713/900007 --journal file:build/run/journal\n"
               "tidemark explain 606413208713/208713/900007 --journal file:build/run/journal --receipt decision.json",
    .opt = options,
    .opt_count = sizeof options / sizeof options[0],
    .positional = positional,
    .positional_count = 1,
    .run = run};
