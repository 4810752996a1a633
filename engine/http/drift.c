/* GET /drift, GET /feedback and their metrics (parts.h): what the watch saw within the last second (core/watch.h).
 *
 * The pages tell of every model that the engine has seen lately. The metrics tell of one, the model that scored last: its inputs are names of the feature file, so
 * that the label `input` has its values at start, whatever models come. Nothing of a transaction is here: names of features, numbers and codes of rules. */
#include <math.h>

#include "base/json_out.h"
#include "http/parts.h"

/* A listener without a watcher (tests) has these pages as well, empty. */
void tide_http_drift_put(struct tide_http *http, enum tide_route_id route, struct tide_buf *out) {
  struct tide_watcher *watcher = http->options.watcher;
  const struct tide_watch_look *look = watcher ? tide_watcher_borrow(watcher) : NULL;
  struct tide_watch_look *none = look ? NULL : tide_alloc(sizeof *none); /* nothing was seen yet */
  if (none && watcher) none->options = tide_watcher_options(watcher);
  if (route == TIDE_ROUTE_drift) tide_watch_drift_json(look ? look : none, out);
  else tide_watch_feedback_json(look ? look : none, out);
  if (watcher) tide_watcher_give_back(watcher);
  tide_free(none);
}

/* ---- metrics ---- */

static void set_ratio(struct tide_meter *meter, enum tide_meter_row row, struct tide_meter_at at, double part, double of) {
  if (of > 0) tide_meter_set(meter, row, at, (int64_t)llround(part / of * 1e9));
  else tide_meter_unset(meter, row, at);
}

/* Inputs of another model are not there any more, so every cell is told what it is. */
static void meter_window(const struct tide_http *http, struct tide_meter *meter, const struct tide_watch_model *model, unsigned w) {
  uint32_t place; /* of a name that a later feature file or model brought */
  for (uint32_t i = 0; model && i <= model->inputs; i++) (void)tide_meters_place(http->meters, TIDE_AXIS_input, model->input[i], &place);
  for (uint32_t n = 0; n < tide_meters_count(http->meters, TIDE_AXIS_input); n++) {
    const char *name = tide_meters_name(http->meters, TIDE_AXIS_input, n);
    struct tide_meter_at at = {.a = w, .b = n};
    const struct tide_drift_measure *measure = NULL;
    if (!name) continue;
    for (uint32_t i = 0; model && i <= model->inputs && !measure; i++)
      if (strcmp(model->input[i], name) == 0) measure = &model->measure[w][i];
    bool known = measure && measure->rows > 0;
    set_ratio(meter, TIDE_METER_ROW_drift_psi, at, known ? measure->psi : 0, known ? 1 : 0);
    set_ratio(meter, TIDE_METER_ROW_drift_ks, at, known ? measure->ks : 0, known ? 1 : 0);
    if (known) tide_meter_set(meter, TIDE_METER_ROW_drift_severity, at, measure->severity);
    else tide_meter_unset(meter, TIDE_METER_ROW_drift_severity, at);
  }
  struct tide_meter_at at = {.a = w};
  if (model) tide_meter_set(meter, TIDE_METER_ROW_drift_rows, at, (int64_t)model->rows[w]);
  else tide_meter_unset(meter, TIDE_METER_ROW_drift_rows, at);
}

static const struct tide_feedback_model *feedback_of(const struct tide_watch_look *look) {
  for (uint32_t m = 0; look->model_count && m < look->feedback.model_count; m++)
    if (strcmp(look->feedback.model[m].id, look->model[0].id) == 0) return &look->feedback.model[m];
  return NULL;
}

static void meter_feedback(const struct tide_http *http, struct tide_meter *meter, const struct tide_watch_look *look) {
  const struct tide_feedback_look *feedback = &look->feedback;
  const struct tide_feedback_model *model = feedback_of(look);
  bool known = model && !isnan(model->auc);
  set_ratio(meter, TIDE_METER_ROW_feedback_auc, TIDE_METER_PLAIN, known ? model->auc : 0, known ? 1 : 0);
  set_ratio(meter, TIDE_METER_ROW_feedback_precision, TIDE_METER_PLAIN, feedback->stopped.fraud,
            feedback->stopped.fraud + feedback->stopped.genuine);
  set_ratio(meter, TIDE_METER_ROW_feedback_recall, TIDE_METER_PLAIN, feedback->stopped.fraud, feedback->all.fraud);
  tide_meter_set(meter, TIDE_METER_ROW_feedback_weight, (struct tide_meter_at){.a = 0}, (int64_t)feedback->all.fraud);
  tide_meter_set(meter, TIDE_METER_ROW_feedback_weight, (struct tide_meter_at){.a = 1}, (int64_t)feedback->all.genuine);
  for (uint32_t r = 0; r < tide_meters_count(http->meters, TIDE_AXIS_rule); r++) {
    const char *code = tide_meters_name(http->meters, TIDE_AXIS_rule, r);
    struct tide_feedback_class truth = {0, 0};
    for (uint32_t k = 0; code && k < look->rule_count; k++)
      if (strcmp(look->rule[k], code) == 0) truth = feedback->rule[k].truth;
    set_ratio(meter, TIDE_METER_ROW_feedback_rule_precision, (struct tide_meter_at){.a = r}, truth.fraud, truth.fraud + truth.genuine);
  }
  const uint64_t labels[] = {feedback->labels - feedback->unmatched - feedback->outside, feedback->unmatched, feedback->outside};
  for (uint32_t i = 0; i < 3; i++)
    tide_meter_set(meter, TIDE_METER_ROW_feedback_labels, (struct tide_meter_at){.a = i}, (int64_t)labels[i]);
}

void tide_http_drift_meter(struct tide_http *http, struct tide_meter *meter) {
  if (!http->options.watcher) return;
  const struct tide_watch_look *look = tide_watcher_borrow(http->options.watcher);
  for (unsigned w = 0; look && w < TIDE_DRIFT_WINDOWS; w++) meter_window(http, meter, look->model_count ? &look->model[0] : NULL, w);
  if (look) meter_feedback(http, meter, look);
  tide_watcher_give_back(http->options.watcher);
}
