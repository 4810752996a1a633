/* Collecting what the trace tells, and the document of a decision (explain.h).
 *
 * Members are only ever added: programs read this document. Windows are given for every feature that has one, so that a picture needs nothing but the
 * document; contributions are those of all inputs of the model, in its order, so that their sum and the intercept are the logit. */
#include "core/explain.h"

#include "base/json_out.h"
#include "core/answer.h"

#include <stdio.h>

struct tide_explain *tide_explain_new(int64_t events_max) {
  struct tide_explain *explain = tide_alloc(sizeof *explain);
  explain->events_max = events_max;
  return explain;
}

void tide_explain_free(struct tide_explain *explain) {
  if (!explain) return;
  tide_free(explain->past);
  tide_free(explain->slot);
  tide_free(explain);
}

void tide_explain_clear(struct tide_explain *explain) { explain->past_count = explain->slot_count = 0; }

void tide_explain_note(void *ctx, const struct tide_trace_event *event) {
  struct tide_explain *explain = ctx;
  if (explain->past_count == explain->past_cap) {
    explain->past_cap = explain->past_cap ? explain->past_cap * 2 : 256;
    explain->past = tide_realloc(explain->past, explain->past_cap * sizeof *explain->past);
  }
  while (explain->slot_count + event->slot_count > explain->slot_cap) {
    explain->slot_cap = explain->slot_cap ? explain->slot_cap * 2 : 1024;
    explain->slot = tide_realloc(explain->slot, explain->slot_cap * sizeof *explain->slot);
  }
  explain->past[explain->past_count++] = (struct tide_explain_past){.entity = event->entity,
                                                                    .time_ms = event->time_ms,
                                                                    .amount_minor = event->amount_minor,
                                                                    .has_amount = event->has_amount,
                                                                    .has_result = event->has_result,
                                                                    .result = event->result,
                                                                    .summed = event->summed,
                                                                    .slot_first = (uint32_t)explain->slot_count,
                                                                    .slot_count = event->slot_count};
  if (event->slot_count) memcpy(explain->slot + explain->slot_count, event->slot, event->slot_count * sizeof *event->slot);
  explain->slot_count += event->slot_count;
}

size_t tide_explain_newest(const struct tide_explain *explain, size_t from, size_t *ret_end) {
  size_t end = from;
  while (end < explain->past_count && strcmp(explain->past[end].entity, explain->past[from].entity) == 0) end++;
  *ret_end = end;
  return end - from > (size_t)explain->events_max ? end - (size_t)explain->events_max : from;
}

/* ---- the document ---- */

static void put_text(struct tide_buf *out, const char *key, const char *value) {
  tide_json_key(out, key);
  tide_json_cstr(out, value);
}
static void put_int(struct tide_buf *out, const char *key, int64_t value) {
  tide_json_key(out, key);
  tide_json_int(out, value);
}
static void put_time(struct tide_buf *out, const char *key, int64_t ms) {
  char time[TIDE_TIME_TEXT];
  put_text(out, key, tide_time_format((struct tide_etime){ms}, time));
}

static void put_message(const struct tide_answer *answer, unsigned flags, struct tide_buf *out) {
  const struct tide_spec *spec = answer->spec;
  struct tide_buf text = TIDE_BUF_INIT;
  tide_json_key(out, "message");
  tide_json_open(out, '{');
  for (uint32_t i = 0; i < spec->field_count; i++) {
    const struct tide_datum *datum = &answer->record->field[i];
    if (datum->kind == TIDE_D_NONE) continue;
    tide_buf_clear(&text);
    tide_datum_text(&spec->field[i], datum, &text);
    if (datum->kind == TIDE_D_KEY && (flags & TIDE_EXPLAIN_MASKED)) {
      text.len = 8;
      tide_buf_str(&text, "\xe2\x80\xa6"); /* an ellipsis */
    }
    tide_json_key(out, spec->field[i].name);
    tide_json_str(out, tide_buf_span(&text));
  }
  tide_json_close(out, '}');
  tide_buf_release(&text);
}

static void put_policy(const struct tide_answer *answer, struct tide_buf *out) {
  const struct tide_spec *spec = answer->spec;
  const struct tide_verdict *verdict = &answer->verdict;
  tide_json_key(out, "rules");
  tide_json_open(out, '{');
  for (uint32_t i = 0; answer->features_known && i < spec->rule_count; i++)
    put_text(out, spec->rule[i].code, tide_truth_name(tide_verdict_truth(verdict, i)));
  tide_json_close(out, '}');
  tide_json_key(out, "rule_details");
  tide_json_open(out, '[');
  for (uint32_t i = 0; answer->features_known && i < spec->rule_count; i++) {
    const struct tide_rule *rule = &spec->rule[i];
    tide_json_open(out, '{');
    put_text(out, "code", rule->code);
    put_text(out, "decision", spec->decision[rule->decision]);
    put_text(out, "truth", tide_truth_name(tide_verdict_truth(verdict, i)));
    tide_json_key(out, "shadow");
    tide_json_bool(out, rule->shadow);
    tide_json_key(out, "decided");
    tide_json_bool(out, tide_verdict_is_rule(verdict) && verdict->rule == i);
    put_text(out, "say", rule->say);
    tide_json_close(out, '}');
  }
  tide_json_close(out, ']');
}

static void put_definitions(const struct tide_spec *spec, struct tide_buf *out) {
  tide_json_key(out, "definitions");
  tide_json_open(out, '{');
  for (uint32_t i = 0; i < spec->slot_count; i++) put_text(out, spec->slot[i].name, spec->feature[spec->slot[i].feature].text);
  tide_json_close(out, '}');
  tide_json_key(out, "windows");
  tide_json_open(out, '{');
  for (uint32_t i = 0; i < spec->slot_count; i++) {
    const struct tide_feature *feature = &spec->feature[spec->slot[i].feature];
    if (!spec->slot[i].window_ms) continue;
    tide_json_key(out, spec->slot[i].name);
    tide_json_open(out, '{');
    put_text(out, "entity", spec->entity[feature->entity].name);
    put_int(out, "window_ms", spec->slot[i].window_ms);
    put_int(out, "delayed_ms", feature->delayed_ms);
    tide_json_close(out, '}');
  }
  tide_json_close(out, '}');
}

static void put_contributions(const struct tide_answer *answer, unsigned flags, struct tide_buf *out) {
  const struct tide_model *model = answer->model;
  struct tide_score_reason *all = tide_alloc((model->input_count + 1) * sizeof *all);
  struct tide_buf text = TIDE_BUF_INIT;
  put_text(out, "model", model->id);
  if (answer->env && tide_model_contributions(model, answer->env, all)) {
    tide_json_key(out, "intercept");
    tide_json_double(out, model->intercept);
    if (flags & TIDE_EXPLAIN_AGAIN) {
      tide_json_key(out, "again");
      tide_value_json(&answer->score_detail->value, out);
    }
    tide_json_key(out, "contributions");
    tide_json_open(out, '[');
    for (uint32_t i = 0; i < model->input_count; i++) {
      tide_buf_clear(&text);
      tide_score_say(model, answer->spec, &all[i], &text);
      tide_json_open(out, '{');
      put_text(out, "feature", model->input[i].feature);
      put_text(out, "code", model->input[i].code);
      tide_json_key(out, "text");
      tide_json_str(out, tide_buf_span(&text));
      tide_json_key(out, "value");
      tide_value_json(&all[i].value, out);
      tide_json_key(out, "contribution");
      tide_json_double(out, all[i].contribution);
      tide_json_close(out, '}');
    }
    tide_json_close(out, ']');
  }
  tide_buf_release(&text);
  tide_free(all);
}

static void put_past(const struct tide_explain *explain, const struct tide_explain_past *past, const struct tide_spec *spec,
                     struct tide_buf *out) {
  tide_json_open(out, '{');
  put_text(out, "entity", past->entity);
  put_time(out, "time", past->time_ms);
  if (past->has_amount) {
    tide_json_key(out, "amount");
    tide_json_money(out, past->amount_minor, spec->exponent);
  }
  if (past->has_result) put_text(out, "result", tide_dyn_words(TIDE_DYN_result)[past->result]);
  if (past->summed) put_int(out, "summed", (int64_t)past->summed);
  tide_json_key(out, "in");
  tide_json_open(out, '[');
  for (uint32_t k = 0; k < past->slot_count; k++) tide_json_cstr(out, spec->slot[explain->slot[past->slot_first + k]].name);
  tide_json_close(out, ']');
  tide_json_close(out, '}');
}

void tide_explain_json(const struct tide_explain *explain, const struct tide_answer *answer, unsigned flags, struct tide_buf *out) {
  struct tide_buf inner = TIDE_BUF_INIT;
  bool again = flags & TIDE_EXPLAIN_AGAIN; /* how fresh things were then is not known any more */
  tide_answer_json(answer, TIDE_ANSWER_FEATURES | (again ? 0 : TIDE_ANSWER_FRESHNESS), &inner);
  tide_json_open(out, '{');
  tide_json_key(out, "answer");
  tide_json_raw(out, tide_buf_span(&inner));
  tide_buf_release(&inner);
  if (answer->model) put_contributions(answer, flags, out);
  if (answer->policy) put_text(out, "policy", answer->policy->label);
  put_int(out, "rollout", (int64_t)explain->rollout);
  put_message(answer, flags, out);
  put_policy(answer, out);
  put_definitions(answer->spec, out);
  tide_json_key(out, "events");
  tide_json_open(out, '[');
  for (size_t from = 0, end; from < explain->past_count; from = end)
    for (size_t i = tide_explain_newest(explain, from, &end); i < end; i++) put_past(explain, &explain->past[i], answer->spec, out);
  tide_json_close(out, ']');
  tide_json_close(out, '}');
}
