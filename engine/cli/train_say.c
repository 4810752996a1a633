/* The text and the JSON of a training run (train_say.h).
 *
 * Rows that were left out are counted in the order in which they are left out, so the column of numbers adds up to the decisions. */
#include "cli/train_say.h"

#include <math.h>

#include "base/json_out.h"
#include "cli/model_table.h"
#include "cli/summary.h"

static void row(const char *what, uint64_t count, const char *more) {
  char text[TIDE_AMOUNT_TEXT];
  if (count) printf("  %-15s%10s  %s\n", what, tide_count_text(count, text), more);
}

static void measure(const char *what, double value, const char *more) {
  if (isnan(value)) printf("  %-24s     -    %s\n", what, "not defined: it needs fraud and genuine rows behind the split");
  else printf("  %-24s %8.4f %s\n", what, value, more);
}

static void print_rows(const struct tide_train_run *run) {
  const struct tide_train_counts *n = &run->set.counts;
  const struct tide_model *m = run->set.model;
  char time[TIDE_TIME_TEXT], a[TIDE_AMOUNT_TEXT], text[160];
  uint64_t test = run->set.rows.count - run->test;
  row("decisions", n->decisions, "");
  row("  left out", n->duplicates, "duplicates");
  row("", n->advised, "advices: decided elsewhere");
  row("", n->uncounted, "that asked without counting");
  struct tide_buf why = TIDE_BUF_INIT;
  tide_buf_str(&why, "with values that are not to be trusted, or none (late, refused)");
  for (int c = 0; c < TIDE_C_COUNT; c++)
    if (n->unknown_by[c]) tide_buf_printf(&why, "; %s %s", tide_count_text(n->unknown_by[c], a), tide_cause_name((enum tide_cause)c));
  row("", n->unknown, tide_buf_cstr(&why));
  tide_buf_release(&why);
  row("", n->skipped, "from the first days (--skip)");
  row("", n->immature, "too young for their label at the end of the log (--label-delay)");
  row("", n->outside, "outside of --from and --until");
  row("", run->test - run->train, "between training and test (--gap)");
  snprintf(text, sizeof text, "%s of them fraud, to %s", tide_count_text(m->fraud, a),
           tide_time_format((struct tide_etime){m->to_ms}, time));
  row("training rows", run->train, text);
  snprintf(text, sizeof text, "%s of them fraud, from %s", tide_count_text(m->test_fraud, a),
           test ? tide_time_format((struct tide_etime){run->split_ms}, time) : "");
  row("test rows", test, text);
  snprintf(text, sizeof text, "%u dropped that never vary; %u L-BFGS and %u Newton steps, gradient %.1e", run->constant,
           run->fit.lbfgs_steps, run->fit.newton_steps, run->fit.gradient);
  row("inputs", m->input_count, text);
}

static void print_choice(const struct tide_choice *choice) {
  printf("\nC by %u folds in order of time: the strongest penalty within one standard error of the best\n", choice->folds);
  printf("  %12s %12s %14s %14s\n", "C", "log loss", "behind", "its error");
  for (uint32_t k = 0; k < choice->count; k++)
    printf("  %12g %12.6f %14.6f %14.6f%s%s\n", choice->candidate[k].c, choice->candidate[k].mean, choice->candidate[k].behind,
           choice->candidate[k].error, k == choice->best ? "  best" : "", k == choice->chosen ? "  chosen" : "");
}

static double share(uint64_t part, uint64_t whole) { return whole ? (double)part / (double)whole : (double)NAN; }

static void print_alerts(const char *what, const struct tide_train_beside *b, const struct tide_train_alerts *alerts,
                         const struct tide_spec *spec, const char *more) {
  char a[TIDE_AMOUNT_TEXT], money[TIDE_AMOUNT_TEXT];
  printf("  %-10s %8s alerts  precision %6.4f  recall %6.4f  %14s %s of fraud%s\n", what, tide_count_text(alerts->alerts, a),
         share(alerts->fraud, alerts->alerts), share(alerts->fraud, b->fraud), tide_money_text(alerts->fraud_minor, spec->exponent, money),
         spec->currency, more);
}

static void print_beside(const struct tide_spec *spec, const struct tide_train_beside *b) {
  char text[160], money[TIDE_AMOUNT_TEXT], a[TIDE_AMOUNT_TEXT];
  if (!b->rows || !b->rules.alerts) return;
  printf("\nBeside the rules of %s without a score, at no more alerts, of %s %s of fraud\n", spec->name ? spec->name : "the feature file",
         tide_money_text(b->fraud_minor, spec->exponent, money), spec->currency);
  print_alerts("rules", b, &b->rules, spec, "");
  snprintf(text, sizeof text, ", at score >= %.6f", b->threshold);
  print_alerts("model", b, &b->model, spec, text);
  if (b->fallbacks)
    printf("  %s of the rules' decisions were the fallback's: rules that read a score have none here\n", tide_count_text(b->fallbacks, a));
}

void tide_train_print(const struct tide_spec *spec, const struct tide_train_run *run) {
  const struct tide_model *m = run->set.model;
  uint64_t test = run->set.rows.count - run->test;
  char text[160];
  printf("Model %s, version %s, for %s\n", m->id, m->version, m->features);
  print_rows(run);
  if (run->choice) print_choice(run->choice);
  printf("\nOn the test rows\n");
  measure("ROC AUC", m->roc_auc, "");
  snprintf(text, sizeof text, "(chance: %.4f)", test ? (double)m->test_fraud / (double)test : 0);
  measure("average precision", m->average_precision, text);
  snprintf(text, sizeof text, "of the %u cards of a day with the highest score, over %u days; a perfect ranking: %.4f", m->card_precision_k,
           run->card_days, isnan(run->card_best) ? 0 : run->card_best);
  measure("card precision", m->card_precision, text);
  print_beside(spec, &run->beside);
  printf("\n");
  tide_model_table_print(m, stdout);
}

/* ---- JSON ---- */

static void key_count(struct tide_buf *out, const char *key, uint64_t value) {
  tide_json_key(out, key);
  tide_json_int(out, (int64_t)value);
}

static void key_measure(struct tide_buf *out, const char *key, double value) {
  tide_json_key(out, key);
  if (isnan(value)) tide_json_null(out);
  else tide_json_double(out, value);
}

static void json_alerts(const char *what, const struct tide_train_beside *b, const struct tide_train_alerts *alerts, struct tide_buf *out) {
  tide_json_key(out, what);
  tide_json_open(out, '{');
  key_count(out, "alerts", alerts->alerts);
  key_count(out, "fraud", alerts->fraud);
  key_measure(out, "precision", share(alerts->fraud, alerts->alerts));
  key_measure(out, "recall", share(alerts->fraud, b->fraud));
  key_measure(out, "value_recall", b->fraud_minor > 0 ? (double)alerts->fraud_minor / (double)b->fraud_minor : (double)NAN);
  if (alerts == &b->model) key_measure(out, "threshold", b->threshold);
  tide_json_close(out, '}');
}

static void json_choice(const struct tide_choice *choice, struct tide_buf *out) {
  tide_json_key(out, "choice");
  tide_json_open(out, '{');
  key_measure(out, "c", choice->candidate[choice->chosen].c);
  key_measure(out, "best", choice->candidate[choice->best].c);
  key_count(out, "folds", choice->folds);
  tide_json_key(out, "candidates");
  tide_json_open(out, '[');
  for (uint32_t k = 0; k < choice->count; k++) {
    tide_json_open(out, '{');
    key_measure(out, "c", choice->candidate[k].c);
    key_measure(out, "loss", choice->candidate[k].mean);
    key_measure(out, "behind", choice->candidate[k].behind);
    key_measure(out, "error", choice->candidate[k].error);
    tide_json_close(out, '}');
  }
  tide_json_close(out, ']');
  tide_json_close(out, '}');
}

void tide_train_json(const struct tide_train_run *run) {
  const struct tide_train_counts *n = &run->set.counts;
  const struct tide_model *m = run->set.model;
  struct tide_buf out = TIDE_BUF_INIT;
  tide_json_open(&out, '{');
  tide_json_key(&out, "model");
  tide_json_cstr(&out, m->id);
  tide_json_key(&out, "version");
  tide_json_cstr(&out, m->version);
  key_count(&out, "decisions", n->decisions);
  key_count(&out, "duplicates", n->duplicates);
  key_count(&out, "advised", n->advised);
  key_count(&out, "uncounted", n->uncounted);
  key_count(&out, "unknown", n->unknown);
  key_count(&out, "skipped", n->skipped);
  key_count(&out, "immature", n->immature);
  key_count(&out, "outside", n->outside);
  key_count(&out, "gap", run->test - run->train);
  key_count(&out, "rows", n->rows);
  key_count(&out, "train", run->train);
  key_count(&out, "train_fraud", m->fraud);
  key_count(&out, "test", m->test_rows);
  key_count(&out, "test_fraud", m->test_fraud);
  key_count(&out, "inputs", m->input_count);
  key_count(&out, "constant", run->constant);
  key_measure(&out, "l2", m->l2);
  if (run->choice) json_choice(run->choice, &out);
  key_measure(&out, "roc_auc", m->roc_auc);
  key_measure(&out, "average_precision", m->average_precision);
  key_count(&out, "card_precision_k", m->card_precision_k);
  key_measure(&out, "card_precision", m->card_precision);
  key_measure(&out, "card_precision_best", run->card_best);
  tide_json_key(&out, "beside");
  tide_json_open(&out, '{');
  key_count(&out, "rows", run->beside.rows);
  key_count(&out, "fraud", run->beside.fraud);
  key_count(&out, "fallbacks", run->beside.fallbacks);
  json_alerts("rules", &run->beside, &run->beside.rules, &out);
  json_alerts("model", &run->beside, &run->beside.model, &out);
  tide_json_close(&out, '}');
  tide_model_table_json(m, &out);
  tide_json_close(&out, '}');
  printf("%.*s\n", (int)out.len, out.ptr);
  tide_buf_release(&out);
}
