/* Plots of a training run (train_plots.h).
 *
 * Scores of rare fraud crowd near 0, so they are drawn on the scale of their logit; shares of frauds and predictions on logarithmic ones. Logarithms here are the library's:
 * nothing of a plot is ever compared or scored. */
#include "cli/train_plots.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "cli/model_table.h"
#include "cli/plot.h"
#include "model/curve.h"
#include "model/preprocess.h"

enum { WIDTH = 460, HEIGHT = 330 };
#define COUNT(array) (sizeof(array) / sizeof *(array))

static const struct tide_tick share_ticks[] = {{0, "0"}, {0.2, "0.2"}, {0.4, "0.4"}, {0.6, "0.6"}, {0.8, "0.8"}, {1, "1"}};

struct tested {
  const double *score;
  const uint8_t *fraud;
  size_t count;
  double frauds, genuine;
};

static struct tested tested_of(const struct tide_train_run *run) {
  struct tested t = {run->score + run->test, run->set.rows.fraud + run->test, run->set.rows.count - run->test, 0, 0};
  for (size_t i = 0; i < t.count; i++) t.frauds += t.fraud[i];
  t.genuine = (double)t.count - t.frauds;
  TIDE_CHECK(t.frauds > 0 && t.genuine > 0);
  return t;
}

/* ---- ranking ---- */

static void rules_dot(struct tide_plot *plot, const struct tide_train_run *run, double x, double y) {
  char say[160];
  const struct tide_train_beside *b = &run->beside;
  if (!b->rules.alerts) return;
  snprintf(say, sizeof say, "the rules by themselves: %llu alerts, %llu of them fraud", (unsigned long long)b->rules.alerts,
           (unsigned long long)b->rules.fraud);
  tide_plot_dot(plot, "rules", x, y, 5, say);
  double px = tide_plot_x(plot, x), py = tide_plot_y(plot, y);
  bool right = px < plot->left + plot->width * 0.7;
  tide_plot_text(plot, "rules-text", px + (right ? 10 : -10), py + 4, right ? "start" : "end", "rules alone");
}

void tide_plot_roc(const struct tide_train_run *run, struct tide_buf *out) {
  struct tested t = tested_of(run);
  char say[240];
  struct tide_rank_step *step;
  size_t steps = tide_rank_steps(t.score, t.fraud, t.count, &step);
  snprintf(
      say, sizeof say,
      "Of all frauds the share that scores above a threshold, against that of genuine transactions. Area %.4f of 1; chance is the diagonal, 0.5.",
      run->set.model->roc_auc);
  struct tide_plot plot = tide_plot_begin(out, "roc", "ROC curve", say, WIDTH, HEIGHT);
  tide_plot_axes(&plot, share_ticks, COUNT(share_ticks), "genuine transactions stopped (share)", share_ticks, COUNT(share_ticks),
                 "fraud caught (share)");
  tide_plot_segment(&plot, "chance", 0, 0, 1, 1);
  struct tide_plot_line line = tide_plot_line_begin(&plot, "model");
  tide_plot_line_to(&line, 0, 0);
  for (size_t i = 0; i < steps; i++)
    tide_plot_line_to(&line, (double)(step[i].alerts - step[i].fraud) / t.genuine, (double)step[i].fraud / t.frauds);
  tide_plot_line_end(&line);
  const struct tide_train_alerts *rules = &run->beside.rules;
  rules_dot(&plot, run, (double)(rules->alerts - rules->fraud) / t.genuine, (double)rules->fraud / t.frauds);
  tide_plot_end(&plot);
  tide_free(step);
}

void tide_plot_precision_recall(const struct tide_train_run *run, struct tide_buf *out) {
  struct tested t = tested_of(run);
  char say[240];
  struct tide_rank_step *step;
  size_t steps = tide_rank_steps(t.score, t.fraud, t.count, &step);
  snprintf(say, sizeof say,
           "The share of fraud among the alerts, against the share of all fraud that they catch. Average precision %.4f; chance is %.4f.",
           run->set.model->average_precision, t.frauds / (double)t.count);
  struct tide_plot plot = tide_plot_begin(out, "pr", "Precision and recall", say, WIDTH, HEIGHT);
  tide_plot_axes(&plot, share_ticks, COUNT(share_ticks), "recall: fraud caught (share)", share_ticks, COUNT(share_ticks),
                 "precision: alerts that are fraud");
  tide_plot_segment(&plot, "chance", 0, t.frauds / (double)t.count, 1, t.frauds / (double)t.count);
  struct tide_plot_line line = tide_plot_line_begin(&plot, "model");
  for (size_t i = 0; i < steps; i++)
    tide_plot_line_to(&line, (double)step[i].fraud / t.frauds, (double)step[i].fraud / (double)step[i].alerts);
  tide_plot_line_end(&line);
  const struct tide_train_alerts *rules = &run->beside.rules;
  if (rules->alerts) rules_dot(&plot, run, (double)rules->fraud / t.frauds, (double)rules->fraud / (double)rules->alerts);
  tide_plot_end(&plot);
  tide_free(step);
}

/* ---- scores ---- */

#define LOGIT_LO (-14.0)
#define LOGIT_HI 14.0
#define SCORE_BINS 56

static double logit_of(double score) {
  double p = score < 1e-6 ? 5e-7 : score > 1 - 1e-6 ? 1 - 5e-7 : score;
  double logit = log(p / (1 - p));
  return logit < LOGIT_LO ? LOGIT_LO : logit > LOGIT_HI ? LOGIT_HI : logit;
}

static void outline(struct tide_plot *plot, const char *class, const double share[SCORE_BINS]) {
  struct tide_plot_line line = tide_plot_line_begin(plot, class);
  double wide = (LOGIT_HI - LOGIT_LO) / SCORE_BINS;
  tide_plot_line_to(&line, LOGIT_LO, 0);
  for (unsigned b = 0; b < SCORE_BINS; b++) {
    tide_plot_line_to(&line, LOGIT_LO + b * wide, share[b]);
    tide_plot_line_to(&line, LOGIT_LO + (b + 1) * wide, share[b]);
  }
  tide_plot_line_to(&line, LOGIT_HI, 0);
  tide_plot_line_end(&line);
}

void tide_plot_scores(const struct tide_train_run *run, struct tide_buf *out) {
  static const double at[] = {1e-6, 1e-4, 1e-2, 0.1, 0.5, 0.9, 0.99, 0.9999};
  static const char *const text[] = {"1e-6", "0.0001", "0.01", "0.1", "0.5", "0.9", "0.99", "0.9999"};
  struct tested t = tested_of(run);
  double share[2][SCORE_BINS] = {{0}}, most = 0;
  for (size_t i = 0; i < t.count; i++) {
    unsigned b = (unsigned)((logit_of(t.score[i]) - LOGIT_LO) / (LOGIT_HI - LOGIT_LO) * SCORE_BINS);
    if (b >= SCORE_BINS) b = SCORE_BINS - 1;
    share[t.fraud[i]][b] += 1 / (t.fraud[i] ? t.frauds : t.genuine);
  }
  for (unsigned k = 0; k < 2; k++)
    for (unsigned b = 0; b < SCORE_BINS; b++)
      if (share[k][b] > most) most = share[k][b];
  struct tide_plot plot = tide_plot_begin(
      out, "scores", "Scores by class",
      "How the scores of genuine and of fraudulent transactions are spread, each as shares of its class, on a scale that stretches both ends.",
      WIDTH, HEIGHT);
  struct tide_tick x[COUNT(at)], y[TIDE_TICKS_MAX];
  char words[TIDE_TICKS_MAX][TIDE_TICK_TEXT];
  for (size_t i = 0; i < COUNT(at); i++) x[i] = (struct tide_tick){logit_of(at[i]), text[i]};
  tide_plot_limits(&plot, LOGIT_LO, LOGIT_HI, 0, most * 1.2);
  tide_plot_axes(&plot, x, COUNT(at), "score", y, tide_plot_round_ticks(0, most * 1.2, y, words), "share of the class");
  outline(&plot, "genuine", share[0]);
  outline(&plot, "fraud", share[1]);
  tide_plot_text(&plot, "genuine-text", plot.left + 10, plot.top + 18, "start", "genuine");
  tide_plot_text(&plot, "fraud-text", plot.left + plot.width - 10, plot.top + 18, "end", "fraud");
  tide_plot_end(&plot);
}

/* ---- calibration ---- */

#define DECADES 4 /* from 1e-4 to 1 */
static double decade_of(double share) { return share < 1e-4 ? -(double)DECADES : log10(share); }

void tide_plot_calibration(const struct tide_train_run *run, struct tide_buf *out) {
  static const struct tide_tick ticks[] = {{-4, "≤ 0.0001"}, {-3, "0.001"}, {-2, "0.01"}, {-1, "0.1"}, {0, "1"}};
  struct tested t = tested_of(run);
  struct tide_reliability bin[TIDE_RELIABILITY_BINS];
  size_t bins = tide_reliability_of(t.score, t.fraud, t.count, bin);
  char say[320];
  snprintf(
      say, sizeof say,
      "The share of fraud among transactions with about the same score, with its 95 %% interval; on the diagonal a score is a probability. Brier score %.6f, that of always "
      "saying %.4f: %.6f.",
      tide_brier(t.score, t.fraud, t.count), t.frauds / (double)t.count, t.frauds * t.genuine / (double)t.count / (double)t.count);
  struct tide_plot plot = tide_plot_begin(out, "calibration", "Calibration", say, WIDTH, HEIGHT);
  tide_plot_limits(&plot, -DECADES, 0, -DECADES, 0);
  tide_plot_axes(&plot, ticks, COUNT(ticks), "mean score", ticks, COUNT(ticks), "share that was fraud");
  tide_plot_segment(&plot, "chance", -DECADES, -DECADES, 0, 0);
  for (size_t b = 0; b < bins; b++) {
    double x = decade_of(bin[b].mean);
    snprintf(say, sizeof say, "scores from %g to %g: mean %.4g, %llu of %llu rows fraud", bin[b].lo, bin[b].hi, bin[b].mean,
             (unsigned long long)bin[b].fraud, (unsigned long long)bin[b].rows);
    tide_plot_segment(&plot, "interval", x, decade_of(bin[b].low), x, decade_of(bin[b].high));
    tide_plot_dot(&plot, "model-dot", x, decade_of(bin[b].share), 4, say);
  }
  tide_plot_end(&plot);
}

/* ---- effects ---- */

static double adds(const struct tide_model_input *input, double x) { return input->coefficient * tide_input_standardise(input, x); }

enum { Q01 = 1, Q05 = 2, Q95 = 8, Q99 = 9 };

/* What the input adds at its low and its high value. A value that hardly ever differs is there for the rare cases, so then the high one lies farther out. */
static void effect_of(const struct tide_model_input *input, double *ret_lo, double *ret_hi) {
  const double *q = input->quantile;
  *ret_lo = adds(input, q[Q05]);
  *ret_hi = adds(input, q[Q95] > q[Q05] ? q[Q95] : q[Q99] > q[Q05] ? q[Q99] : q[TIDE_QUANTILES - 1]);
}

#define EFFECTS_MAX 20
#define BEYOND 6.0 /* an effect beyond changes the odds by more than 400: drawn at the edge, with its number */

static void effect_row(struct tide_plot *plot, const struct tide_model_input *input, double y) {
  char say[240];
  double lo, hi;
  effect_of(input, &lo, &hi);
  tide_plot_text(plot, "tick", plot->left - 8, tide_plot_y(plot, y) + 4, "end", input->feature);
  tide_plot_segment(plot, "span", lo, y, hi, y);
  snprintf(say, sizeof say, "%s, low: adds %+.3f", input->feature, lo);
  tide_plot_dot(plot, "low", lo, y, 4, say);
  snprintf(say, sizeof say, "%s, high: adds %+.3f", input->feature, hi);
  tide_plot_dot(plot, "high", hi, y, 4, say);
  if (hi <= plot->x1 && hi >= plot->x0) return;
  snprintf(say, sizeof say, "%+.1f", hi);
  tide_plot_text(plot, "tick", tide_plot_x(plot, hi) + (hi > 0 ? -10 : 10), tide_plot_y(plot, y) - 4, hi > 0 ? "end" : "start", say);
}

void tide_plot_effects(const struct tide_train_run *run, struct tide_buf *out) {
  const struct tide_model *m = run->set.model;
  const struct tide_model_input **order = tide_model_by_weight(m);
  uint32_t shown = m->input_count < EFFECTS_MAX ? m->input_count : EFFECTS_MAX;
  double least = 0, most = 0;
  char words[TIDE_TICKS_MAX][TIDE_TICK_TEXT];
  for (uint32_t k = 0; k < shown; k++) {
    double lo, hi;
    effect_of(order[k], &lo, &hi);
    least = fmax(fmin(least, fmin(lo, hi)), -BEYOND);
    most = fmin(fmax(most, fmax(lo, hi)), BEYOND);
  }
  struct tide_plot plot = tide_plot_begin(
      out, "effects", "Effects of the inputs",
      "What each input adds to the logit of the score between a low value, the hollow dot, and a high one, the full dot: its 5th and "
      "95th percentile, or where these are the same the 99th or the largest. The largest coefficients first.",
      940, 60 + 22.0 * shown);
  plot.left = 230;
  plot.width = 940 - 230 - 14;
  tide_plot_limits(&plot, least * 1.05, most * 1.05, 0, shown);
  struct tide_tick x[TIDE_TICKS_MAX];
  tide_plot_axes(&plot, x, tide_plot_round_ticks(least * 1.05, most * 1.05, x, words),
                 "added to the logit: below 0 towards genuine, above towards fraud", NULL, 0, "");
  tide_plot_segment(&plot, "zero", 0, 0, 0, shown);
  for (uint32_t k = 0; k < shown; k++) effect_row(&plot, order[k], shown - k - 0.5);
  tide_plot_end(&plot);
  tide_free(order);
}

void tide_plot_effect(const struct tide_model_input *input, unsigned number, struct tide_buf *out) {
  double lo = input->quantile[Q01], hi = input->quantile[Q99] > lo ? input->quantile[Q99] : input->quantile[TIDE_QUANTILES - 1], least = 0,
         most = 0;
  char name[24], title[200], say[320], xw[TIDE_TICKS_MAX][TIDE_TICK_TEXT], yw[TIDE_TICKS_MAX][TIDE_TICK_TEXT];
  struct tide_tick x[TIDE_TICKS_MAX], y[TIDE_TICKS_MAX];
  enum { POINTS = 120 };
  for (unsigned k = 0; k <= POINTS; k++) {
    double value = adds(input, lo + (hi - lo) * k / POINTS);
    least = fmin(least, value);
    most = fmax(most, value);
  }
  double room = (most - least) * 0.06;
  snprintf(name, sizeof name, "effect%u", number);
  snprintf(title, sizeof title, "Effect of %s", input->feature);
  snprintf(say, sizeof say, "What %s adds to the logit of the score for values from %g to %g: %+.3f to %+.3f.", input->feature, lo, hi,
           adds(input, lo), adds(input, hi));
  struct tide_plot plot = tide_plot_begin(out, name, title, say, 300, 220);
  tide_plot_limits(&plot, lo, hi, least - room, most + room);
  tide_plot_axes(&plot, x, tide_plot_round_ticks(lo, hi, x, xw), input->feature, y, tide_plot_round_ticks(least - room, most + room, y, yw),
                 "adds");
  tide_plot_segment(&plot, "zero", lo, 0, hi, 0);
  struct tide_plot_line line = tide_plot_line_begin(&plot, "model");
  for (unsigned k = 0; k <= POINTS; k++) {
    double value = lo + (hi - lo) * k / POINTS;
    tide_plot_line_to(&line, value, adds(input, value));
  }
  tide_plot_line_end(&line);
  tide_plot_end(&plot);
}

/* ---- the penalty ---- */

void tide_plot_choice(const struct tide_choice *choice, struct tide_buf *out) {
  double least = choice->candidate[choice->best].mean, most = least;
  char say[240], words[TIDE_TICKS_MAX][TIDE_TICK_TEXT], label[TIDE_CHOOSE_MAX][TIDE_TICK_TEXT];
  struct tide_tick x[TIDE_CHOOSE_MAX], y[TIDE_TICKS_MAX];
  for (uint32_t k = 0; k < choice->count; k++) {
    least = fmin(least, choice->candidate[k].mean - choice->candidate[k].error);
    most = fmax(most, choice->candidate[k].mean + choice->candidate[k].error);
    snprintf(label[k], sizeof label[k], "%g", choice->candidate[k].c);
    x[k] = (struct tide_tick){log10(choice->candidate[k].c), label[k]};
  }
  snprintf(
      say, sizeof say,
      "Log loss on later rows, mean of %u folds in order of time, by C = 1 / penalty; bars are one standard error of the difference to the best. Best: C = %g. "
      "Chosen: C = %g.",
      choice->folds, choice->candidate[choice->best].c, choice->candidate[choice->chosen].c);
  struct tide_plot plot = tide_plot_begin(out, "choice", "Choice of the penalty", say, WIDTH, HEIGHT);
  double room = (most - least) * 0.08, wide = x[choice->count - 1].at - x[0].at;
  tide_plot_limits(&plot, x[0].at - wide * 0.04 - 0.01, x[choice->count - 1].at + wide * 0.04 + 0.01, least - room, most + room);
  tide_plot_axes(&plot, x, choice->count, "C (weaker penalty to the right)", y, tide_plot_round_ticks(least - room, most + room, y, words),
                 "log loss on later rows");
  struct tide_plot_line line = tide_plot_line_begin(&plot, "model");
  for (uint32_t k = 0; k < choice->count; k++) tide_plot_line_to(&line, x[k].at, choice->candidate[k].mean);
  tide_plot_line_end(&line);
  for (uint32_t k = 0; k < choice->count; k++) {
    double mean = choice->candidate[k].mean, error = choice->candidate[k].error;
    tide_plot_segment(&plot, "interval", x[k].at, mean - error, x[k].at, mean + error);
    snprintf(say, sizeof say, "C = %g: %.6f%s%s", choice->candidate[k].c, mean, k == choice->best ? ", the best" : "",
             k == choice->chosen ? ", chosen" : "");
    tide_plot_dot(&plot, k == choice->chosen ? "chosen" : "model-dot", x[k].at, mean, k == choice->chosen ? 6 : 4, say);
  }
  tide_plot_end(&plot);
}
