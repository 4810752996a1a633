/* The page of a training run (train_report.h): sections of tables and plots, in the order in which questions come up.
 *
 * What is it, is it better than the rules, how good by itself, are its scores probabilities, why does it say what it says, and was the past alike.
 * Windows of drift are cut by number of rows, so each is as sure as the others. */
#include "cli/train_report.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "cli/model_table.h"
#include "cli/plot.h"
#include "cli/summary.h"
#include "cli/train_plots.h"
#include "model/curve.h"
#include "model/drift.h"

static const char style[] =
    ":root{--ink:#1c2733;--soft:#5b6875;--line:#dde3e8;--paper:#fff;--panel:#f6f8fa;--model:#0b62a4;--fraud:#b3261e;\n"
    "--genuine:#2e7d4f;--rules:#9a5b00;--warn:#f6dfa8;--bad:#f2b8b5}\n"
    "@media (prefers-color-scheme:dark){:root{--ink:#e6ebf0;--soft:#a3b0bc;--line:#34414d;--paper:#12181e;--panel:#1a222a;\n"
    "--model:#6db3ee;--fraud:#ff8a80;--genuine:#7fd1a0;--rules:#f0b35a;--warn:#5a4613;--bad:#6b2420}}*{box-sizing:border-box}\n"
    "body{margin:0 auto;max-width:1020px;padding:24px 20px 60px;font:15px/1.5 system-ui,sans-serif;color:var(--ink);\n"
    "background:var(--paper)}h1{font-size:24px;margin:0}h2{font-size:18px;margin:36px 0 6px}p{margin:6px 0;max-width:90ch}\n"
    ".soft{color:var(--soft)}\n"
    ".facts{display:grid;grid-template-columns:repeat(auto-fit,minmax(150px,1fr));gap:10px;margin:18px 0 0;padding:0}\n"
    ".facts div{background:var(--panel);border:1px solid var(--line);border-radius:8px;padding:8px 12px}\n"
    ".facts dt{color:var(--soft);font-size:13px}.facts dd{margin:0;font-size:20px;font-variant-numeric:tabular-nums}\n"
    ".pair{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,420px),1fr));gap:18px}\n"
    ".three{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,270px),1fr));gap:10px}figure{margin:10px 0}\n"
    "figcaption{color:var(--soft);font-size:14px;max-width:70ch}h3{font-size:15px;margin:0}\n"
    "svg{width:100%;height:auto;display:block}.wide{overflow-x:auto}.wide svg{min-width:640px}\n"
    "table{border-collapse:collapse;font-size:14px;font-variant-numeric:tabular-nums;margin:8px 0}\n"
    "th,td{padding:3px 10px;border-bottom:1px solid var(--line);text-align:right;white-space:nowrap}\n"
    "th:first-child,td:first-child{text-align:left}thead th{color:var(--soft);font-weight:600}\n"
    "td.moderate{background:var(--warn)}td.severe{background:var(--bad);font-weight:700}\n"
    "text{fill:var(--ink);font:12px system-ui,sans-serif}.tick{fill:var(--soft);font-size:11px}.label{fill:var(--soft)}\n"
    ".grid{stroke:var(--line)}.frame{fill:none;stroke:var(--line)}polyline{fill:none;stroke-width:2}\n"
    ".model{stroke:var(--model)}.chance,.zero{stroke:var(--soft);stroke-dasharray:4 4}.fraud{stroke:var(--fraud)}\n"
    ".genuine{stroke:var(--genuine);stroke-dasharray:6 3}.fraud-text{fill:var(--fraud);font-weight:600}\n"
    ".genuine-text{fill:var(--genuine);font-weight:600}.rules-text{fill:var(--rules);font-weight:600}\n"
    ".rules{fill:var(--rules)}.model-dot{fill:var(--model)}.chosen{fill:var(--rules)}\n"
    ".interval,.span{stroke:var(--model);stroke-width:2;opacity:.55}\n"
    ".low{fill:var(--paper);stroke:var(--model);stroke-width:2}.high{fill:var(--model)}\n"
    "@media print{body{max-width:none}h2{break-after:avoid}figure{break-inside:avoid}}\n";

/* ---- small parts ---- */

static void fact(struct tide_buf *out, const char *what, const char *value) {
  tide_buf_str(out, "<div><dt>");
  tide_html_text(out, what);
  tide_buf_str(out, "</dt><dd>");
  tide_html_text(out, value);
  tide_buf_str(out, "</dd></div>\n");
}

static void fact_number(struct tide_buf *out, const char *what, double value, const char *format) {
  char text[40];
  if (isnan(value)) snprintf(text, sizeof text, "–");
  else snprintf(text, sizeof text, format, value);
  fact(out, what, text);
}

static void heading(struct tide_buf *out, const char *text) {
  tide_buf_str(out, "<h2>");
  tide_html_text(out, text);
  tide_buf_str(out, "</h2>\n");
}

static void paragraph(struct tide_buf *out, const char *text) {
  tide_buf_str(out, "<p>");
  tide_html_text(out, text);
  tide_buf_str(out, "</p>\n");
}

static void figure(struct tide_buf *out, const char *title, const char *caption, const struct tide_train_run *run,
                   void (*draw)(const struct tide_train_run *run, struct tide_buf *out)) {
  tide_buf_str(out, "<figure><h3>");
  tide_html_text(out, title);
  tide_buf_str(out, "</h3>\n");
  draw(run, out);
  tide_buf_str(out, "<figcaption>");
  tide_html_text(out, caption);
  tide_buf_str(out, "</figcaption></figure>\n");
}

/* ---- sections ---- */

static void top(const struct tide_train_run *run, struct tide_buf *out) {
  const struct tide_model *m = run->set.model;
  char from[TIDE_TIME_TEXT], to[TIDE_TIME_TEXT], a[TIDE_AMOUNT_TEXT], text[160];
  tide_buf_str(out, "<h1>");
  tide_html_text(out, m->id);
  tide_buf_str(out, "</h1>\n<p class=\"soft\">version ");
  tide_html_text(out, m->version);
  tide_buf_str(out, ", for the feature file ");
  tide_html_text(out, m->features);
  tide_buf_printf(out, ", trained on %s to %s</p>\n<dl class=\"facts\">\n", tide_time_format((struct tide_etime){m->from_ms}, from),
                  tide_time_format((struct tide_etime){m->to_ms}, to));
  fact(out, "training rows", tide_count_text(m->rows, a));
  fact(out, "of them fraud", tide_count_text(m->fraud, a));
  fact(out, "test rows", tide_count_text(m->test_rows, a));
  fact(out, "of them fraud", tide_count_text(m->test_fraud, a));
  snprintf(text, sizeof text, "%u", m->input_count);
  fact(out, "inputs", text);
  fact_number(out, "penalty l2 (C = 1 / l2)", m->l2, "%g");
  if (m->weighted) {
    snprintf(text, sizeof text, "%.4g : %.4g", m->genuine_weight, m->fraud_weight);
    fact(out, "weight genuine : fraud", text);
  }
  fact_number(out, "ROC AUC", m->roc_auc, "%.4f");
  fact_number(out, "average precision", m->average_precision, "%.4f");
  snprintf(text, sizeof text, "card precision@%u", m->card_precision_k);
  fact_number(out, text, m->card_precision, "%.4f");
  tide_buf_str(out, "</dl>\n");
}

static void cell(struct tide_buf *out, const char *text) {
  tide_buf_str(out, "<td>");
  tide_html_text(out, text);
  tide_buf_str(out, "</td>");
}

static void cell_number(struct tide_buf *out, double value, const char *format) {
  char text[48];
  if (isnan(value)) snprintf(text, sizeof text, "–");
  else snprintf(text, sizeof text, format, value);
  cell(out, text);
}

static double share(uint64_t part, uint64_t whole) { return whole ? (double)part / (double)whole : (double)NAN; }

static void alerts_row(struct tide_buf *out, const char *what, const struct tide_train_beside *b, const struct tide_train_alerts *alerts,
                       const struct tide_spec *spec) {
  char a[TIDE_AMOUNT_TEXT];
  tide_buf_str(out, "<tr>");
  cell(out, what);
  cell(out, tide_count_text(alerts->alerts, a));
  cell(out, tide_count_text(alerts->fraud, a));
  cell_number(out, share(alerts->fraud, alerts->alerts), "%.4f");
  cell_number(out, share(alerts->fraud, b->fraud), "%.4f");
  cell(out, tide_money_text(alerts->fraud_minor, spec->exponent, a));
  cell_number(out, b->fraud_minor > 0 ? (double)alerts->fraud_minor / (double)b->fraud_minor : (double)NAN, "%.4f");
  tide_buf_str(out, "</tr>\n");
}

static void beside(const struct tide_spec *spec, const struct tide_train_run *run, struct tide_buf *out) {
  const struct tide_train_beside *b = &run->beside;
  char text[320], a[TIDE_AMOUNT_TEXT];
  if (!b->rows || !b->rules.alerts) return;
  heading(out, "Beside the rules");
  snprintf(text, sizeof text,
           "On the test rows, the policy as it decides without a score, and the model at the lowest threshold that stops no more "
           "transactions: score ≥ %.6f. An alert is any decision but "
           "the mildest.",
           b->threshold);
  paragraph(out, text);
  tide_buf_str(
      out,
      "<div class=\"wide\"><table><thead><tr><th>who</th><th>alerts</th><th>fraud caught</th><th>precision</th><th>recall</th><th>fraud caught, ");
  tide_html_text(out, spec->currency);
  tide_buf_str(out, "</th><th>of its value</th></tr></thead><tbody>\n");
  alerts_row(out, "rules", b, &b->rules, spec);
  alerts_row(out, "model", b, &b->model, spec);
  tide_buf_str(out, "</tbody></table></div>\n");
  if (b->fallbacks) {
    snprintf(text, sizeof text, "%s of the rules' decisions were the fallback's: rules that read a score have none here.",
             tide_count_text(b->fallbacks, a));
    paragraph(out, text);
  }
}

static void ranking(const struct tide_train_run *run, struct tide_buf *out) {
  const struct tide_model *m = run->set.model;
  heading(out, "How good on rows it has not seen");
  if (isnan(m->roc_auc)) {
    paragraph(out, "Curves need fraud and genuine rows behind the split (--split); there are none.");
    return;
  }
  tide_buf_str(out, "<div class=\"pair\">\n");
  figure(out, "ROC", "Fraud caught against genuine transactions stopped, over all thresholds.", run, tide_plot_roc);
  figure(out, "Precision and recall", "With rare fraud the more telling of the two: what share of the alerts is fraud.", run,
         tide_plot_precision_recall);
  figure(out, "Scores by class", "The farther apart, the better. The scale stretches both ends.", run, tide_plot_scores);
  figure(out, "Calibration",
         m->weighted
             ? "Classes were weighed in training, so scores are no probabilities and lie off the diagonal; their order is what counts."
             : "On the diagonal a score of 0.2 means that one in five is fraud. Bars are 95 % intervals.",
         run, tide_plot_calibration);
  tide_buf_str(out, "</div>\n");
}

static void choice(const struct tide_train_run *run, struct tide_buf *out) {
  if (!run->choice) return;
  char text[320];
  heading(out, "Choice of the penalty");
  snprintf(
      text, sizeof text,
      "%u folds in order of time, each fitted to what came before it. Chosen is the strongest penalty that is not behind the best by more than one standard error of "
      "that difference.",
      run->choice->folds);
  paragraph(out, text);
  tide_buf_str(out, "<div class=\"pair\"><figure>\n");
  tide_plot_choice(run->choice, out);
  tide_buf_str(
      out,
      "</figure><div class=\"wide\"><table><thead><tr><th>C</th><th>log loss</th><th>behind</th><th>its error</th><th></th></tr></thead><tbody>\n");
  for (uint32_t k = 0; k < run->choice->count; k++) {
    tide_buf_str(out, "<tr>");
    cell_number(out, run->choice->candidate[k].c, "%g");
    cell_number(out, run->choice->candidate[k].mean, "%.6f");
    cell_number(out, run->choice->candidate[k].behind, "%.6f");
    cell_number(out, run->choice->candidate[k].error, "%.6f");
    snprintf(text, sizeof text, "%s%s", k == run->choice->best ? "best " : "", k == run->choice->chosen ? "chosen" : "");
    cell(out, text);
    tide_buf_str(out, "</tr>\n");
  }
  tide_buf_str(out, "</tbody></table></div></div>\n");
}

#define SMALL_EFFECTS 6
static void effects(const struct tide_train_run *run, struct tide_buf *out) {
  const struct tide_model *m = run->set.model;
  heading(out, "Why it says what it says");
  paragraph(out, "A score is the logistic of a sum, so what an input adds does not depend on the others.");
  tide_buf_str(out, "<div class=\"wide\">\n");
  figure(out, "Effects of the inputs",
         "From a low value (hollow dot) to a high one (full dot): 5th and 95th percentile of the training rows, "
         "farther out where these are the same.",
         run, tide_plot_effects);
  tide_buf_str(out, "</div>\n<div class=\"three\">\n");
  const struct tide_model_input **table = tide_model_by_weight(m);
  for (unsigned k = 0; k < SMALL_EFFECTS && k < m->input_count; k++) {
    tide_buf_str(out, "<figure>");
    tide_plot_effect(table[k], k, out);
    tide_buf_str(out, "</figure>\n");
  }
  tide_buf_str(out, "</div>\n");
  char text[TIDE_TRANSFORM_TEXT];
  tide_buf_str(out, "<div class=\"wide\"><table><thead><tr><th>input</th><th>coefficient</th><th>odds</th><th>transform</th>"
                    "<th>mean</th><th>scale</th><th>missing</th><th>imputed</th></tr></thead><tbody>\n");
  for (uint32_t i = 0; i < m->input_count; i++) {
    tide_buf_str(out, "<tr>");
    cell(out, table[i]->feature);
    cell_number(out, table[i]->coefficient, "%+.4f");
    cell_number(out, exp(table[i]->coefficient), "%.3g");
    cell(out, tide_transform_text(table[i], text));
    cell_number(out, table[i]->mean, "%.6g");
    cell_number(out, table[i]->scale, "%.6g");
    cell_number(out, 100 * table[i]->missing, "%.2f %%");
    cell_number(out, table[i]->median, "%.6g");
    tide_buf_str(out, "</tr>\n");
  }
  tide_buf_str(out, "</tbody></table></div>\n");
  tide_free(table);
}

/* ---- drift of the windows ---- */

#define WINDOWS 6
#define DRIFTING_MAX 20

struct window {
  size_t from, to;
  uint64_t fraud;
  struct tide_drift_measure *measure; /* of each input, then the score */
};

static void measure_window(const struct tide_train_run *run, struct window *w) {
  const struct tide_rows *rows = &run->set.rows;
  const struct tide_model *m = run->set.model;
  for (size_t r = w->from; r < w->to; r++) w->fraud += rows->fraud[r];
  for (uint32_t i = 0; i <= m->input_count; i++) {
    struct tide_drift_bins bins;
    struct tide_drift_counts counts = {0};
    bool score = i == m->input_count;
    tide_drift_bins_of(score ? m->score_quantile : m->input[i].quantile, score ? m->score_share : m->input[i].share,
                       score ? 0 : m->input[i].missing, m->rows, &bins);
    for (size_t r = w->from; r < w->to; r++) {
      size_t at = r * rows->inputs + i;
      if (!score && rows->cause[at]) counts.missing++;
      else counts.bin[tide_drift_bin(&bins, score ? run->score[r] : rows->x[at])]++;
    }
    tide_drift_measure_of(&bins, &counts, (double)(w->to - w->from), &w->measure[i]);
  }
}

static double most_of(const struct window *window, uint32_t input) {
  double most = 0;
  for (unsigned w = 0; w <= WINDOWS; w++)
    if (window[w].to > window[w].from) most = fmax(most, window[w].measure[input].psi);
  return most;
}

static void drift_head(const struct tide_train_run *run, const struct window *window, struct tide_buf *out) {
  char text[TIDE_TIME_TEXT + 16], time[TIDE_TIME_TEXT];
  tide_buf_str(out, "<div class=\"wide\"><table><thead><tr><th>PSI</th>");
  for (unsigned w = 0; w <= WINDOWS; w++) {
    if (window[w].to == window[w].from) continue;
    snprintf(text, sizeof text, "%s%.10s", w == WINDOWS ? "test, " : "",
             tide_time_format((struct tide_etime){run->set.rows.time_ms[window[w].from]}, time));
    tide_buf_printf(out, "<th>%s</th>", text);
  }
  tide_buf_str(out, "</tr></thead><tbody>\n<tr><td>fraud in 10,000</td>");
  for (unsigned w = 0; w <= WINDOWS; w++)
    if (window[w].to > window[w].from) cell_number(out, 1e4 * (double)window[w].fraud / (double)(window[w].to - window[w].from), "%.1f");
  tide_buf_str(out, "</tr>\n");
}

static void drift_row(const struct tide_model *m, const struct window *window, uint32_t input, struct tide_buf *out) {
  tide_buf_str(out, "<tr>");
  cell(out, input == m->input_count ? "score" : m->input[input].feature);
  for (unsigned w = 0; w <= WINDOWS; w++) {
    if (window[w].to == window[w].from) continue;
    const struct tide_drift_measure *measure = &window[w].measure[input];
    tide_buf_printf(out, "<td class=\"%s\">%.3f</td>", tide_drift_severity_name(measure->severity), measure->psi);
  }
  tide_buf_str(out, "</tr>\n");
}

static void drift(const struct tide_train_run *run, struct tide_buf *out) {
  const struct tide_model *m = run->set.model;
  struct window window[WINDOWS + 1] = {{0}};
  heading(out, "Was the past alike");
  paragraph(out, "The training rows cut by time into windows of equal size, and the test rows, each against all training rows: population "
                 "stability index of the inputs that moved most. From 0.1 on (marked) "
                 "an input moved, from 0.25 on (marked and bold) much; what chance alone explains is not marked.");
  for (unsigned w = 0; w <= WINDOWS; w++) {
    window[w].from = w == WINDOWS ? run->test : run->train * w / WINDOWS;
    window[w].to = w == WINDOWS ? run->set.rows.count : run->train * (w + 1) / WINDOWS;
    window[w].measure = tide_alloc((m->input_count + 1) * sizeof *window[w].measure);
    if (window[w].to > window[w].from) measure_window(run, &window[w]);
  }
  drift_head(run, window, out);
  drift_row(m, window, m->input_count, out);
  bool *shown = tide_alloc(m->input_count + 1);
  for (unsigned n = 0; n < DRIFTING_MAX && n < m->input_count; n++) {
    uint32_t most = TIDE_NONE;
    for (uint32_t i = 0; i < m->input_count; i++)
      if (!shown[i] && (most == TIDE_NONE || most_of(window, i) > most_of(window, most))) most = i;
    shown[most] = true;
    drift_row(m, window, most, out);
  }
  tide_buf_str(out, "</tbody></table></div>\n");
  for (unsigned w = 0; w <= WINDOWS; w++) tide_free(window[w].measure);
  tide_free(shown);
}

static void rows_section(const struct tide_train_run *run, struct tide_buf *out) {
  const struct tide_train_counts *n = &run->set.counts;
  const struct {
    const char *what;
    uint64_t count;
  } row[] = {
      {"decisions in the log", n->decisions},
      {"duplicates", n->duplicates},
      {"advices, decided elsewhere", n->advised},
      {"asked without counting", n->uncounted},
      {"with a value that is not to be trusted, or none", n->unknown},
      {"from the first days (--skip)", n->skipped},
      {"too young for their label (--label-delay)", n->immature},
      {"outside of --from and --until", n->outside},
      {"between training and test (--gap)", run->test - run->train},
      {"training rows", run->train},
      {"test rows", run->set.rows.count - run->test},
  };
  char a[TIDE_AMOUNT_TEXT];
  heading(out, "Which rows");
  paragraph(out, "A row is a decision with the values of that moment; a transaction that was never labelled fraud counts as genuine.");
  tide_buf_str(out, "<div class=\"wide\"><table><tbody>\n");
  for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
    if (!row[i].count) continue;
    tide_buf_str(out, "<tr>");
    cell(out, row[i].what);
    cell(out, tide_count_text(row[i].count, a));
    tide_buf_str(out, "</tr>\n");
  }
  tide_buf_str(out, "</tbody></table></div>\n");
}

void tide_train_report(const struct tide_spec *spec, const struct tide_train_run *run, struct tide_buf *out) {
  tide_buf_str(
      out,
      "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n"
      "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n<title>");
  tide_html_text(out, run->set.model->id);
  tide_buf_str(out, "</title>\n<style>\n");
  tide_buf_str(out, style);
  tide_buf_str(out, "</style></head><body>\n<main>\n");
  top(run, out);
  beside(spec, run, out);
  ranking(run, out);
  choice(run, out);
  effects(run, out);
  drift(run, out);
  rows_section(run, out);
  tide_buf_str(out, "</main>\n</body></html>\n");
}
