/* Validation by replay (registry_validate.h).
 *
 * Over a journal: its entries are folded again with one change, the feature file in the CONFIG record, and a rollout of the side's model behind it; records of versions, and
 * digests of what was decided then, are left out. So what is judged is what was really counted, at its own commit times.
 *
 * Answers of the two sides are paired by source, partition and offset (of a log: its line); repetitions are left out on both. */
#include "cli/registry_validate.h"

#include <math.h>
#include <stdlib.h>

#include "cli/replay_run.h"
#include "cli/scan.h"
#include "core/rollout.h"
#include "model/logistic.h"
#include "model/preprocess.h"

struct judged {
  uint64_t place, index; /* of the event: source and partition, offset; without a source the entry's number and the record's place */
  double score;          /* NaN: none */
  const char *decision;  /* the spec's; "" none */
};

struct side {
  struct tide_validation_side of;
  int64_t since_ms;
  struct judged *row;
  size_t count, cap;
  uint64_t scored, parity_checked, parity_different;
  double parity_max;
};

/* ---- one side ---- */

/* The score by training's way: values read into a row, the row's logit. False: training would not use this event. */
static bool score_as_trained(const struct tide_model *model, const struct tide_env *env, double *ret) {
  double x[TIDE_MODEL_INPUTS_MAX];
  uint8_t cause[TIDE_MODEL_INPUTS_MAX];
  for (uint32_t i = 0; i < model->input_count; i++) {
    enum tide_cause why = TIDE_C_none;
    enum tide_reading reading = tide_input_read(&model->input[i], env, &x[i], &why);
    if (reading == TIDE_READ_REFUSED) return false;
    cause[i] = (uint8_t)(reading == TIDE_READ_MISSING ? why : TIDE_C_none);
  }
  *ret = tide_score_of_logit(tide_model_logit(model, x, cause));
  return true;
}

static void check_parity(struct side *side, const struct tide_answer *answer) {
  double trained = 0;
  bool scored = answer->score.type == TIDE_V_NUM;
  if (!side->of.model || !answer->features_known || !answer->env) return;
  bool trains = score_as_trained(side->of.model, answer->env, &trained);
  if (!trains && !scored) return;
  double difference = trains && scored ? fabs(trained - answer->score.num) : 1; /* one of the two refuses */
  side->parity_checked++;
  side->parity_different += difference > 0;
  if (difference > side->parity_max) side->parity_max = difference;
}

static void on_answer(void *ctx, const struct tide_answer *answer) {
  struct side *side = ctx;
  const struct tide_record *record = answer->record;
  if (answer->duplicate || answer->time.ms < side->since_ms) return;
  bool scored = answer->score.type == TIDE_V_NUM, sourced = record->source || record->offset;
  if (side->count == side->cap) side->row = tide_realloc(side->row, (side->cap = side->cap ? 2 * side->cap : 4096) * sizeof *side->row);
  side->row[side->count++] =
      (struct judged){.place = sourced ? (uint64_t)record->source << 16 | record->partition : UINT64_C(1) << 40 | answer->position.epoch,
                      .index = sourced ? record->offset : answer->position.seq << 16 | answer->index,
                      .score = scored ? answer->score.num : (double)NAN,
                      .decision = answer->verdict.by == TIDE_BY_NONE ? "" : side->of.spec->decision[answer->verdict.decision]};
  side->scored += scored;
  check_parity(side, answer);
}

static enum tide_err run_log(const struct tide_validation_log *log, struct side *side, struct tide_error *error) {
  struct tide_replay_stats *stats = tide_alloc(sizeof *stats);
  struct tide_replay_options options = {.spec = side->of.spec,
                                        .settings = log->settings,
                                        .model = side->of.model,
                                        .keys = log->keys,
                                        .input = log->input,
                                        .input_count = log->input_count,
                                        .shape = log->shape,
                                        .format = log->format,
                                        .batch_records = TIDE_REPLAY_BATCH_DEFAULT,
                                        .progress = "validate",
                                        .on_answer = on_answer,
                                        .ctx = side};
  enum tide_err err = tide_replay_run(&options, stats, error);
  tide_free(stats);
  return err;
}

/* ---- a journal under another version ---- */

struct again {
  struct side *side;
  struct tide_fold *fold;
  struct tide_buf entry, model, records;
  struct tide_spec *was; /* the journal's feature file */
};

/* Records hold fields and lists by their place in the feature file. */
static bool reads_alike(const struct tide_spec *a, const struct tide_spec *b) {
  bool same = a->field_count == b->field_count && a->list_count <= b->list_count && strcmp(a->currency, b->currency) == 0;
  for (uint32_t i = 0; same && i < a->field_count; i++)
    same = strcmp(a->field[i].name, b->field[i].name) == 0 && a->field[i].type == b->field[i].type &&
           a->field[i].decimals == b->field[i].decimals && a->field[i].secret == b->field[i].secret;
  for (uint32_t i = 0; same && i < a->list_count; i++)
    same =
        strcmp(a->list[i].name, b->list[i].name) == 0 && a->list[i].is_entity == b->list[i].is_entity && a->list[i].ref == b->list[i].ref;
  return same;
}

static enum tide_err add_config(struct again *again, struct tide_batch *batch, const struct tide_raw_record *raw,
                                struct tide_error *error) {
  const struct tide_spec *spec = again->side->of.spec;
  struct tide_span text = {spec->text, spec->text_len}, was;
  struct tide_settings settings;
  enum tide_err err = tide_config_decode(raw, &settings, &was, error);
  if (!err && !again->was) err = tide_spec_parse("journal", was, &again->was, error, 1, NULL);
  if (!err && !reads_alike(again->was, spec))
    err = tide_fail(
        error, TIDE_E_MISMATCH,
        "the journal's records were written with other fields or lists than this version has: validate it with log files (--log)");
  if (!err) err = tide_batch_add_config(batch, &settings, text);
  if (err || !again->side->of.model) return err;
  tide_buf_clear(&again->records);
  err = tide_rollout_of_file(1, tide_content_hash(text), tide_span_of(again->side->of.model->name), tide_buf_span(&again->model),
                             &again->records);
  return err ? err : tide_batch_add_encoded(batch, tide_buf_span(&again->records), 2);
}

/* `bytes`: the record as it stands in the entry. */
static enum tide_err add_record(struct again *again, struct tide_batch *batch, const struct tide_raw_record *raw, struct tide_span bytes,
                                struct tide_error *error) {
  switch (raw->type) {
    case TIDE_REC_CONFIG: return add_config(again, batch, raw, error);
    case TIDE_REC_DIGEST:
    case TIDE_REC_CHECK:
    case TIDE_REC_ARTIFACT:
    case TIDE_REC_ROLLOUT: return TIDE_OK;
    default: return tide_batch_add_encoded(batch, bytes, 1);
  }
}

static enum tide_err on_entry(void *ctx, struct tide_position position, struct tide_span entry, struct tide_error *error) {
  struct again *again = ctx;
  struct tide_cursor_part *part = tide_alloc(TIDE_PARTS_MAX * sizeof *part);
  struct tide_entry_reader reader = {0};
  struct tide_raw_record raw;
  struct tide_batch batch;
  enum tide_err err = tide_entry_open(&reader, entry, part, error);
  if (!err) tide_batch_begin(&batch, &again->entry, &reader.header, part, reader.header.cursor_count);
  for (const uint8_t *begin = reader.at.ptr; !err && (err = tide_entry_next(&reader, &raw, error)) == TIDE_OK; begin = reader.at.ptr) {
    struct tide_span bytes = {(const char *)begin, (size_t)(reader.at.ptr - begin)};
    err = add_record(again, &batch, &raw, bytes, error);
    if (err == TIDE_E_LIMIT)
      err = tide_fail(error, err, "the entry that holds the journal's settings has no room for this version: use --log");
  }
  tide_free(part);
  if (err != TIDE_E_END) return err;
  tide_batch_end(&batch);
  return tide_fold_entry(again->fold, position, tide_buf_span(&again->entry), on_answer, again->side, error);
}

static enum tide_err run_journal(const struct tide_validation_log *log, struct side *side, struct tide_error *error) {
  struct again again = {.side = side, .fold = tide_fold_new()};
  struct tide_scan_result result;
  if (side->of.model) tide_model_write(side->of.model, &again.model);
  enum tide_err err = tide_scan(log->journal_dir, "validate", on_entry, &again, &result, error);
  tide_fold_free(again.fold);
  tide_spec_free(again.was);
  tide_buf_release(&again.entry);
  tide_buf_release(&again.model);
  tide_buf_release(&again.records);
  return err;
}

/* ---- two sides ---- */

static int by_place(const void *a, const void *b) {
  const struct judged *x = a, *y = b;
  if (x->place != y->place) return x->place < y->place ? -1 : 1;
  return x->index < y->index ? -1 : x->index > y->index;
}

static int by_number(const void *a, const void *b) {
  double x, y;
  memcpy(&x, a, sizeof x);
  memcpy(&y, b, sizeof y);
  return x < y ? -1 : x > y;
}

/* sup |F - G| of two samples (Kolmogorov 1933, Smirnov 1948); 0 where one is empty. Sorts both. */
static double distance(double *a, size_t n, double *b, size_t m) {
  double largest = 0;
  size_t i = 0, k = 0;
  if (!n || !m) return 0;
  qsort(a, n, sizeof *a, by_number);
  qsort(b, m, sizeof *b, by_number);
  while (i < n && k < m) {
    double at = a[i] < b[k] ? a[i] : b[k];
    while (i < n && a[i] <= at) i++;
    while (k < m && b[k] <= at) k++;
    double apart = fabs((double)i / (double)n - (double)k / (double)m);
    if (apart > largest) largest = apart;
  }
  return largest;
}

static void compare(struct side *now, struct side *fresh, struct tide_validation *ret) {
  double *was = tide_alloc((now->count + 1) * sizeof *was), *is = tide_alloc((fresh->count + 1) * sizeof *is), change = 0;
  size_t pairs = 0;
  if (now->count) qsort(now->row, now->count, sizeof *now->row, by_place);
  if (fresh->count) qsort(fresh->row, fresh->count, sizeof *fresh->row, by_place);
  for (size_t i = 0, k = 0; i < now->count && k < fresh->count;) {
    int order = by_place(&now->row[i], &fresh->row[k]);
    if (order < 0) i++;
    else if (order > 0) k++;
    else {
      const struct judged *x = &now->row[i++], *y = &fresh->row[k++];
      ret->pairs++;
      ret->decisions_different += strcmp(x->decision, y->decision) != 0;
      if (isnan(x->score) || isnan(y->score)) continue;
      was[pairs] = x->score;
      is[pairs++] = y->score;
      change += fabs(y->score - x->score);
    }
  }
  ret->compared = true;
  ret->score_pairs = pairs;
  ret->decision_shift = ret->pairs ? (double)ret->decisions_different / (double)ret->pairs : 0;
  ret->score_shift = distance(was, pairs, is, pairs);
  ret->score_change = pairs ? change / (double)pairs : 0;
  tide_free(was);
  tide_free(is);
}

enum tide_err tide_validate(const struct tide_validation_log *log, struct tide_validation_side now, struct tide_validation_side fresh,
                            struct tide_validation *ret, struct tide_error *error) {
  struct side side[2] = {{.of = now, .since_ms = log->since_ms}, {.of = fresh, .since_ms = log->since_ms}};
  struct tide_validation result = {0};
  enum tide_err err = TIDE_OK;
  for (int i = 0; i < 2 && !err; i++)
    if (side[i].of.spec) err = log->input_count ? run_log(log, &side[i], error) : run_journal(log, &side[i], error);
  if (!err) {
    result.events = side[1].count;
    result.scored = side[1].scored;
    result.parity_checked = side[1].parity_checked;
    result.parity_different = side[1].parity_different;
    result.parity_max = side[1].parity_max;
    if (now.spec) compare(&side[0], &side[1], &result);
    *ret = result;
  }
  tide_free(side[0].row);
  tide_free(side[1].row);
  return err;
}
