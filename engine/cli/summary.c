/* The report of a run for people, and as JSON (summary.h).
 *
 * Widths are fixed so that two runs can be laid side by side; the numbers are those of tally.h. "Ratio" is genuine transactions touched per
 * fraud caught, what fraud teams call the false-positive ratio. */
#include "cli/summary.h"

#include "base/json_out.h"

#include <inttypes.h>

const char *tide_count_text(uint64_t count, char out[TIDE_AMOUNT_TEXT]) {
  char digits[24];
  int len = snprintf(digits, sizeof digits, "%" PRIu64, count), at = 0;
  for (int i = 0; i < len; i++) {
    if (i && (len - i) % 3 == 0) out[at++] = ',';
    out[at++] = digits[i];
  }
  out[at] = '\0';
  return out;
}

const char *tide_money_text(int64_t minor, int exponent, char out[TIDE_AMOUNT_TEXT]) {
  uint64_t magnitude = minor < 0 ? (uint64_t)0 - (uint64_t)minor : (uint64_t)minor, unit = 1;
  char whole[TIDE_AMOUNT_TEXT];
  for (int i = 0; i < exponent; i++) unit *= 10;
  tide_count_text(magnitude / unit, whole);
  if (exponent)
    snprintf(out, TIDE_AMOUNT_TEXT, "%s%.30s.%0*" PRIu64, minor < 0 ? "-" : "", whole, exponent > 9 ? 9 : exponent, magnitude % unit);
  else snprintf(out, TIDE_AMOUNT_TEXT, "%s%.40s", minor < 0 ? "-" : "", whole);
  return out;
}

static double percent(uint64_t part, uint64_t whole) { return whole ? 100.0 * (double)part / (double)whole : 0.0; }

/* One genuine transaction touched per fraud caught is 1.0: what fraud teams call the false-positive ratio. */
static void ratio_text(const struct tide_effect *effect, char out[24]) {
  if (effect->fraud == 0) snprintf(out, 24, "%s", effect->genuine ? "no fraud" : "-");
  else snprintf(out, 24, "%.1f : 1", (double)effect->genuine / (double)effect->fraud);
}

static void print_span(const struct tide_effects *effects, FILE *out) {
  char first[TIDE_TIME_TEXT], last[TIDE_TIME_TEXT];
  if (effects->all.hits == 0) return;
  fprintf(out, "  time span      %s to %s (%.1f days)\n", tide_time_format((struct tide_etime){effects->first_ms}, first),
          tide_time_format((struct tide_etime){effects->last_ms}, last), (double)(effects->last_ms - effects->first_ms) / 86400000.0);
}

static void print_counts(const struct tide_replay_stats *stats, const struct tide_effects *effects, FILE *out) {
  char a[TIDE_AMOUNT_TEXT], b[TIDE_AMOUNT_TEXT], c[TIDE_AMOUNT_TEXT], d[TIDE_AMOUNT_TEXT];
  const int64_t *metric = stats->metrics.value;
  fprintf(out, "  transactions   %s scored, from %s messages\n", tide_count_text(effects->all.hits + effects->duplicates, a),
          tide_count_text(stats->messages, b));
  print_span(effects, out);
  fprintf(out, "  of them        %s duplicates, %s with a reused id, %s too late, %s messages rejected\n",
          tide_count_text(effects->duplicates, a), tide_count_text(effects->conflicts, b), tide_count_text(effects->late, c),
          tide_count_text(stats->rejected, d));
  for (int err = 0; err < TIDE_ERR_COUNT; err++)
    if (stats->rejected_by[err])
      fprintf(out, "                 rejected: %s %s\n", tide_count_text(stats->rejected_by[err], a), tide_err_text((enum tide_err)err));
  fprintf(out, "  outcomes       %s applied, %s before their transaction, %s without one\n",
          tide_count_text((uint64_t)metric[TIDE_M_outcomes_applied_total], a),
          tide_count_text((uint64_t)metric[TIDE_M_outcomes_stubbed_total], b),
          tide_count_text((uint64_t)metric[TIDE_M_outcomes_dropped_total], c));
  double rate = stats->seconds > 0 ? (double)stats->messages / stats->seconds : 0;
  fprintf(out, "  throughput     %s messages/s (%.2f s), %s journal entries written, %s found\n", tide_count_text((uint64_t)rate, a),
          stats->seconds, tide_count_text(stats->entries, b), tide_count_text(stats->entries_resumed, c));
}

static void print_decisions(const struct tide_spec *spec, const struct tide_effects *effects, FILE *out) {
  char a[TIDE_AMOUNT_TEXT], b[TIDE_AMOUNT_TEXT];
  fprintf(out, "\nDecisions%18s%9s%16s %s\n", "count", "share", "value", spec->currency);
  for (uint32_t i = 0; i < spec->decision_count; i++) {
    const struct tide_effect *effect = &effects->decision[i];
    fprintf(out, "  %-14s%11s%7.2f %%%16s\n", spec->decision[i], tide_count_text(effect->hits, a), percent(effect->hits, effects->all.hits),
            tide_money_text(effect->value_minor, spec->exponent, b));
  }
  if (effects->refused == 0) return;
  fprintf(out, "  by fallback   %11s%7.2f %%  ", tide_count_text(effects->refused, a), percent(effects->refused, effects->all.hits));
  const char *comma = "";
  for (int cause = 0; cause < TIDE_C_COUNT; cause++) {
    if (effects->cause[cause] == 0) continue;
    fprintf(out, "%s%s %s", comma, tide_cause_name((enum tide_cause)cause), tide_count_text(effects->cause[cause], b));
    comma = ", ";
  }
  fputc('\n', out);
}

static void print_rule(const struct tide_spec *spec, const char *code, bool shadow, const char *decision, uint64_t decided,
                       const struct tide_effect *effect, FILE *out) {
  char a[TIDE_AMOUNT_TEXT], b[TIDE_AMOUNT_TEXT], c[TIDE_AMOUNT_TEXT], d[TIDE_AMOUNT_TEXT], e[TIDE_AMOUNT_TEXT], f[TIDE_AMOUNT_TEXT],
      ratio[24];
  char name[40];
  ratio_text(effect, ratio);
  snprintf(name, sizeof name, "%.12s %.12s%s", code, decision, shadow ? " (shadow)" : "");
  fprintf(out, "  %-25s%9s%9s%9s%15s%10s%10s%11s\n", name, tide_count_text(effect->hits, a), tide_count_text(decided, b),
          tide_count_text(effect->fraud, c), tide_money_text(effect->fraud_minor, spec->exponent, d), tide_count_text(effect->genuine, e),
          tide_count_text(effect->customers, f), ratio);
}

static void print_rules(const struct tide_spec *spec, const struct tide_effects *effects, FILE *out) {
  char head[TIDE_AMOUNT_TEXT];
  snprintf(head, sizeof head, "value %s", spec->currency);
  fprintf(out, "\nRules%31s%9s%9s%15s%10s%10s%11s\n", "true", "decided", "fraud", head, "genuine", "customers", "ratio");
  for (uint32_t i = 0; i < spec->rule_count; i++) {
    const struct tide_rule *rule = &spec->rule[i];
    if (rule->when) print_rule(spec, rule->code, rule->shadow, spec->decision[rule->decision], effects->decided[i], &effects->rule[i], out);
  }
  for (uint32_t i = 0; i < spec->fallback_count; i++) {
    const struct tide_rule *rule = &spec->fallback[i];
    const struct tide_effect *effect = &effects->fallback[i];
    char code[32];
    snprintf(code, sizeof code, "%.20s", rule->when ? rule->code : "fallback");
    if (effect->hits) print_rule(spec, code, false, spec->decision[rule->decision], effect->hits, effect, out);
  }
}

static void print_top_reasons(const struct tide_spec *spec, const struct tide_effects *effects, FILE *out) {
  bool shown[TIDE_RULES_MAX] = {false};
  char a[TIDE_AMOUNT_TEXT];
  fprintf(out, "\nTop reasons, each as it was first given\n");
  for (int n = 0; n < 5; n++) {
    uint32_t best = TIDE_NONE;
    for (uint32_t i = 0; i < spec->rule_count; i++) {
      const struct tide_rule *rule = &spec->rule[i];
      if (shown[i] || !rule->when || rule->shadow || effects->decided[i] == 0) continue;
      if (best == TIDE_NONE || effects->decided[i] > effects->decided[best]) best = i;
    }
    if (best == TIDE_NONE) break;
    shown[best] = true;
    fprintf(out, "  %9s  %s  %s\n", tide_count_text(effects->decided[best], a), spec->rule[best].code,
            effects->example[best] ? effects->example[best] : "");
  }
}

static void print_labels(const struct tide_spec *spec, const struct tide_effects *effects, FILE *out) {
  char a[TIDE_AMOUNT_TEXT], b[TIDE_AMOUNT_TEXT], c[TIDE_AMOUNT_TEXT], d[TIDE_AMOUNT_TEXT];
  const struct tide_effect *all = &effects->all, *stopped = &effects->stopped;
  if (effects->labels == 0) {
    fprintf(out, "\nNo labels in this log, so nothing can be said about fraud caught.\n");
    return;
  }
  fprintf(out, "\nFraud            %s of %s transactions caught (%.1f %%), %s of %s %s\n", tide_count_text(stopped->fraud, a),
          tide_count_text(all->fraud, b), percent(stopped->fraud, all->fraud), tide_money_text(stopped->fraud_minor, spec->exponent, c),
          tide_money_text(all->fraud_minor, spec->exponent, d), spec->currency);
  fprintf(out, "Genuine          %s of %s transactions disturbed (%.2f %%), %s of %s customers\n", tide_count_text(stopped->genuine, a),
          tide_count_text(all->genuine, b), percent(stopped->genuine, all->genuine), tide_count_text(stopped->customers, c),
          tide_count_text(all->customers, d));
}

void tide_summary_print(const struct tide_spec *spec, const struct tide_replay_stats *stats, const struct tide_effects *effects,
                        FILE *out) {
  fprintf(out, "Replay of %s\n", spec->name ? spec->name : "a feature file without name");
  print_counts(stats, effects, out);
  if (spec->decision_count == 0) return;
  print_decisions(spec, effects, out);
  print_labels(spec, effects, out);
  print_rules(spec, effects, out);
  print_top_reasons(spec, effects, out);
}

/* --- JSON */

static void put_int(struct tide_buf *out, const char *key, uint64_t value) {
  tide_json_key(out, key);
  tide_json_int(out, (int64_t)value);
}

static void put_money(const struct tide_spec *spec, struct tide_buf *out, const char *key, int64_t minor) {
  tide_json_key(out, key);
  tide_json_money(out, minor, spec->exponent);
}

void tide_effect_json(const struct tide_spec *spec, const struct tide_effect *effect, struct tide_buf *out) {
  put_int(out, "hits", effect->hits);
  put_money(spec, out, "value", effect->value_minor);
  put_int(out, "fraud", effect->fraud);
  put_money(spec, out, "fraud_value", effect->fraud_minor);
  put_int(out, "genuine", effect->genuine);
  put_int(out, "customers", effect->customers);
  tide_json_key(out, "false_positive_ratio");
  if (effect->fraud) tide_json_double(out, (double)effect->genuine / (double)effect->fraud);
  else tide_json_null(out);
}

static void put_rules(const struct tide_spec *spec, const struct tide_rule *rule, uint32_t count, const struct tide_effect *effect,
                      const uint64_t *decided, struct tide_buf *out) {
  tide_json_open(out, '[');
  for (uint32_t i = 0; i < count; i++) {
    tide_json_open(out, '{');
    tide_json_key(out, "code");
    tide_json_cstr(out, rule[i].code);
    tide_json_key(out, "decision");
    tide_json_cstr(out, spec->decision[rule[i].decision]);
    tide_json_key(out, "shadow");
    tide_json_bool(out, rule[i].shadow);
    put_int(out, "decided", decided ? decided[i] : effect[i].hits);
    tide_effect_json(spec, &effect[i], out);
    tide_json_close(out, '}');
  }
  tide_json_close(out, ']');
}

void tide_summary_json(const struct tide_spec *spec, const struct tide_replay_stats *stats, const struct tide_effects *effects,
                       struct tide_buf *out) {
  char time[TIDE_TIME_TEXT], position[TIDE_POSITION_TEXT];
  tide_json_open(out, '{');
  tide_json_key(out, "features");
  tide_json_cstr(out, spec->name ? spec->name : "");
  put_int(out, "messages", stats->messages);
  put_int(out, "records", stats->records);
  put_int(out, "rejected", stats->rejected);
  tide_json_key(out, "rejected_by");
  tide_json_open(out, '{');
  for (int err = 0; err < TIDE_ERR_COUNT; err++)
    if (stats->rejected_by[err]) put_int(out, tide_err_name((enum tide_err)err), stats->rejected_by[err]);
  tide_json_close(out, '}');
  put_int(out, "decisions", effects->all.hits + effects->duplicates);
  put_int(out, "duplicates", effects->duplicates);
  put_int(out, "conflicts", effects->conflicts);
  put_int(out, "late", effects->late);
  put_int(out, "advised", effects->advised);
  put_int(out, "refused", effects->refused);
  if (effects->all.hits) {
    tide_json_key(out, "first_time");
    tide_json_cstr(out, tide_time_format((struct tide_etime){effects->first_ms}, time));
    tide_json_key(out, "last_time");
    tide_json_cstr(out, tide_time_format((struct tide_etime){effects->last_ms}, time));
  }
  put_int(out, "labels", effects->labels);
  put_int(out, "labels_unmatched", effects->labels_unmatched);
  tide_json_key(out, "by_decision");
  tide_json_open(out, '{');
  for (uint32_t i = 0; i < spec->decision_count; i++) put_int(out, spec->decision[i], effects->decision[i].hits);
  tide_json_close(out, '}');
  tide_json_key(out, "by_cause");
  tide_json_open(out, '{');
  for (int cause = 0; cause < TIDE_C_COUNT; cause++)
    if (effects->cause[cause]) put_int(out, tide_cause_name((enum tide_cause)cause), effects->cause[cause]);
  tide_json_close(out, '}');
  tide_json_key(out, "all");
  tide_json_open(out, '{');
  tide_effect_json(spec, &effects->all, out);
  tide_json_close(out, '}');
  tide_json_key(out, "stopped");
  tide_json_open(out, '{');
  tide_effect_json(spec, &effects->stopped, out);
  tide_json_close(out, '}');
  tide_json_key(out, "rules");
  put_rules(spec, spec->rule, spec->rule_count, effects->rule, effects->decided, out);
  tide_json_key(out, "fallback");
  put_rules(spec, spec->fallback, spec->fallback_count, effects->fallback, NULL, out);
  tide_json_key(out, "metrics");
  tide_json_open(out, '{');
#define X(name, help) put_int(out, #name, (uint64_t)stats->metrics.value[TIDE_M_##name]);
  TIDE_METRICS(X)
#undef X
  tide_json_close(out, '}');
  put_int(out, "entries", stats->entries);
  put_int(out, "entries_found", stats->entries_resumed);
  tide_json_key(out, "position");
  tide_json_cstr(out, tide_position_text(stats->last, 0, position));
  tide_json_key(out, "digest");
  snprintf(time, sizeof time, "%016" PRIx64, stats->digest.state_hash);
  tide_json_cstr(out, time);
  tide_json_key(out, "seconds");
  tide_json_double(out, stats->seconds);
  tide_json_close(out, '}');
}
