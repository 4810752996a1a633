/* What the watch sees, as JSON (watch.h): GET /drift, GET /feedback and `tidemark drift --json` print the same objects.
 *
 * Numbers are rounded to six digits behind the point: they are estimates, and people compare them. What is not defined (an AUC without fraud) is null. */
#include <math.h>

#include "base/clock.h"
#include "base/json_out.h"
#include "core/watch.h"

static void put_int(struct tide_buf *out, const char *key, uint64_t value) {
  tide_json_key(out, key);
  tide_json_int(out, (int64_t)value);
}

static void put_double(struct tide_buf *out, const char *key, double value) {
  tide_json_key(out, key);
  if (isnan(value)) tide_json_null(out);
  else tide_json_double(out, round(value * 1e6) / 1e6);
}

static void put_text(struct tide_buf *out, const char *key, const char *value) {
  tide_json_key(out, key);
  tide_json_cstr(out, value);
}

static void put_duration(struct tide_buf *out, const char *key, int64_t ms) {
  char text[TIDE_TIME_TEXT];
  put_text(out, key, tide_duration_format(ms, text));
}

static double share(double part, double of) { return of > 0 ? part / of : (double)NAN; }

/* ---- drift ---- */

static const char *const window_name[TIDE_DRIFT_WINDOWS] = {"short", "long"};

static void put_measure(const struct tide_drift_measure *measure, const char *input, struct tide_buf *out) {
  tide_json_open(out, '{');
  put_text(out, "input", input);
  put_text(out, "severity", tide_drift_severity_name(measure->severity));
  put_double(out, "psi", measure->psi);
  put_double(out, "psi_by_chance", measure->psi_chance);
  put_double(out, "ks", measure->ks);
  put_double(out, "ks_p", measure->ks_p);
  put_double(out, "rows", floor(measure->rows));
  put_double(out, "missing", measure->missing);
  put_double(out, "missing_in_training", measure->expected_missing);
  put_double(out, "untrusted", measure->untrusted);
  tide_json_close(out, '}');
}

static void put_window(const struct tide_watch_look *look, const struct tide_watch_model *model, unsigned w, struct tide_buf *out) {
  uint32_t count[TIDE_DRIFT_SEVERITY_COUNT] = {0};
  for (uint32_t i = 0; i < model->inputs; i++) count[model->measure[w][i].severity]++;
  tide_json_key(out, window_name[w]);
  tide_json_open(out, '{');
  put_duration(out, "window", look->options.drift.window_ms[w]);
  put_int(out, "rows", model->rows[w]);
  tide_json_key(out, "inputs_by_severity");
  tide_json_open(out, '{');
  for (unsigned s = 0; s < TIDE_DRIFT_SEVERITY_COUNT; s++) put_int(out, tide_drift_severity_name((enum tide_drift_severity)s), count[s]);
  tide_json_close(out, '}');
  tide_json_key(out, "score");
  put_measure(&model->measure[w][model->inputs], model->input[model->inputs], out);
  tide_json_key(out, "inputs");
  tide_json_open(out, '[');
  for (uint32_t i = 0; i < model->inputs; i++) put_measure(&model->measure[w][i], model->input[i], out);
  tide_json_close(out, ']');
  tide_json_close(out, '}');
}

void tide_watch_drift_json(const struct tide_watch_look *look, struct tide_buf *out) {
  char time[TIDE_TIME_TEXT];
  tide_json_open(out, '{');
  tide_json_key(out, "models");
  tide_json_open(out, '[');
  for (uint32_t m = 0; m < look->model_count; m++) {
    const struct tide_watch_model *model = &look->model[m];
    tide_json_open(out, '{');
    put_text(out, "model", model->id);
    tide_json_key(out, "shadow");
    tide_json_bool(out, model->shadow);
    tide_json_key(out, "until");
    if (model->newest_ms == INT64_MIN) tide_json_null(out);
    else tide_json_cstr(out, tide_time_format((struct tide_etime){model->newest_ms}, time));
    put_int(out, "rows", model->rows_ever);
    put_int(out, "too_old", model->left_out);
    for (unsigned w = 0; w < TIDE_DRIFT_WINDOWS; w++) put_window(look, model, w, out);
    tide_json_close(out, '}');
  }
  tide_json_close(out, ']');
  tide_json_close(out, '}');
}

/* ---- feedback ---- */

static void put_class(struct tide_buf *out, const char *key, struct tide_feedback_class of, double all_fraud) {
  tide_json_key(out, key);
  tide_json_open(out, '{');
  put_double(out, "fraud", of.fraud);
  put_double(out, "genuine", of.genuine);
  put_double(out, "precision", share(of.fraud, of.fraud + of.genuine));
  put_double(out, "recall", share(of.fraud, all_fraud));
  tide_json_close(out, '}');
}

void tide_watch_feedback_json(const struct tide_watch_look *look, struct tide_buf *out) {
  const struct tide_feedback_look *feedback = &look->feedback;
  tide_json_open(out, '{');
  put_int(out, "decisions", feedback->decisions);
  put_int(out, "kept", feedback->rows);
  put_int(out, "one_of", UINT64_C(1) << feedback->level);
  put_int(out, "labels", feedback->labels);
  put_int(out, "labels_corrected", feedback->corrected);
  put_int(out, "labels_unmatched", feedback->unmatched);
  put_int(out, "labels_outside_sample", feedback->outside);
  put_duration(out, "genuine_after", look->options.feedback.mature_ms);
  put_duration(out, "kept_for", look->options.feedback.keep_ms);
  tide_json_key(out, "all");
  tide_json_open(out, '{');
  put_double(out, "fraud", feedback->all.fraud);
  put_double(out, "genuine", feedback->all.genuine);
  tide_json_close(out, '}');
  put_class(out, "stopped", feedback->stopped, feedback->all.fraud);
  tide_json_key(out, "models");
  tide_json_open(out, '[');
  for (uint32_t m = 0; m < feedback->model_count; m++) {
    const struct tide_feedback_model *model = &feedback->model[m];
    tide_json_open(out, '{');
    put_text(out, "model", model->id);
    put_int(out, "kept", model->rows);
    put_double(out, "fraud", model->scored.fraud);
    put_double(out, "genuine", model->scored.genuine);
    put_double(out, "auc", model->auc);
    put_double(out, "auc_error", model->auc_error);
    put_class(out, "stopped", model->stopped, model->decided.fraud);
    tide_json_close(out, '}');
  }
  tide_json_close(out, ']');
  tide_json_key(out, "rules");
  tide_json_open(out, '[');
  for (uint32_t r = 0; r < look->rule_count; r++) {
    tide_json_open(out, '{');
    put_text(out, "rule", look->rule[r]);
    tide_json_key(out, "shadow");
    tide_json_bool(out, look->shadow[r]);
    put_class(out, "true", feedback->rule[r].truth, feedback->all.fraud);
    put_class(out, "decided", feedback->rule[r].decided, feedback->all.fraud);
    tide_json_close(out, '}');
  }
  tide_json_close(out, ']');
  tide_json_close(out, '}');
}
