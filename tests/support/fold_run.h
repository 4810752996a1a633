/* A fold that is fed by hand, one event or control record an entry: for tests of models, policies and rollouts over the feature file of model_fixture.h.
 *
 * Events of cards at shops, a second after one another; what the last answer was stands in `last`. Each helper that can fail for a reason of the test has a form that says why. */
#ifndef TIDE_FOLD_RUN_H
#define TIDE_FOLD_RUN_H

#include <stdio.h>

#include "core/control.h"
#include "core/fold.h"
#include "tests/support/model_fixture.h"

#define T0 INT64_C(1700000000000)

struct seen {
  double score; /* -1: null */
  char by[32], cause[32], model[TIDE_MODEL_ID], slot[64], policy[TIDE_POLICY_LABEL], decision[32];
  bool duplicate, refused;
  struct tide_buf json, full; /* the answer, and with features */
};

struct run {
  struct tide_spec *spec;
  struct tide_fold *fold;
  struct tide_position at;
  struct tide_buf entry;
  struct tide_batch batch;
  struct seen last;
  uint64_t answers;
  uint32_t number;
  uint64_t rollouts;
  struct tide_u128 key, alt; /* of the card, where it is secret; alt zero: none travels */
};

static inline void emit(void *ctx, const struct tide_answer *answer) {
  struct run *r = ctx;
  r->answers++;
  r->last.score = answer->score.type == TIDE_V_NUM ? answer->score.num : -1;
  r->last.duplicate = answer->duplicate;
  snprintf(r->last.by, sizeof r->last.by, "%s", tide_verdict_by(answer->spec, &answer->verdict));
  snprintf(r->last.cause, sizeof r->last.cause, "%s", tide_cause_name((enum tide_cause)answer->verdict.cause));
  snprintf(r->last.model, sizeof r->last.model, "%s", answer->model ? answer->model->id : "");
  snprintf(r->last.slot, sizeof r->last.slot, "%s",
           answer->verdict.cause_slot == TIDE_NONE ? "" : answer->spec->slot[answer->verdict.cause_slot].name);
  r->last.refused = answer->status == TIDE_STATUS_REFUSED;
  snprintf(r->last.policy, sizeof r->last.policy, "%s", answer->policy->label);
  snprintf(r->last.decision, sizeof r->last.decision, "%s", answer->spec->decision[answer->verdict.decision]);
  tide_buf_clear(&r->last.full);
  tide_answer_json(answer, TIDE_ANSWER_FEATURES, &r->last.full);
  (void)tide_buf_cstr(&r->last.full);
  tide_buf_clear(&r->last.json);
  tide_answer_json(answer, 0, &r->last.json);
  (void)tide_buf_cstr(&r->last.json);
}

static inline void begin(struct run *r) {
  struct tide_entry_header header = {.fence_nonce = 7, .commit_ms = T0 + (int64_t)r->number * 1000};
  tide_batch_begin(&r->batch, &r->entry, &header, NULL, 0);
}

static inline enum tide_err end(struct run *r, struct tide_error *error) {
  tide_batch_end(&r->batch);
  struct tide_position at = {1, r->at.epoch ? r->at.seq + 1 : 0};
  enum tide_err err = tide_fold_entry(r->fold, at, tide_buf_span(&r->entry), emit, r, error);
  if (!err) r->at = at;
  return err;
}

static inline void must_end(struct run *r) {
  struct tide_error error = {0};
  if (end(r, &error)) fail_msg("%s", error.text);
}

static inline struct run *started(struct tide_spec *spec) {
  struct run *r = tide_alloc(sizeof *r);
  r->spec = spec;
  r->fold = tide_fold_new();
  struct tide_fence fence = {.nonce = 7, .epoch = 1, .engine_id = 1};
  struct tide_settings settings = tide_settings_default();
  begin(r);
  assert_int_equal(tide_batch_add_fence(&r->batch, &fence), TIDE_OK);
  must_end(r);
  begin(r);
  assert_int_equal(tide_batch_add_config(&r->batch, &settings, (struct tide_span){spec->text, spec->text_len}), TIDE_OK);
  must_end(r);
  return r;
}

static inline void stop(struct run *r) {
  tide_fold_free(r->fold);
  tide_spec_free(r->spec);
  tide_buf_release(&r->entry);
  tide_buf_release(&r->last.json);
  tide_buf_release(&r->last.full);
  tide_free(r);
}

/* A rollout of this model alone, or of none. */
static inline enum tide_err activate(struct run *r, const struct tide_model *model, struct tide_error *error) {
  struct tide_buf bytes = TIDE_BUF_INIT, records = TIDE_BUF_INIT;
  struct tide_content_hash features =
      r->spec ? tide_content_hash((struct tide_span){r->spec->text, r->spec->text_len}) : tide_content_hash(TIDE_SPAN("x"));
  struct tide_rollout none = {.number = ++r->rollouts, .features = features};
  if (model) {
    tide_model_write(model, &bytes);
    assert_int_equal(tide_rollout_of_file(r->rollouts, features, tide_span_of(model->name), tide_buf_span(&bytes), &records), TIDE_OK);
  } else {
    tide_rollout_encode(&none, &records);
  }
  begin(r);
  assert_int_equal(tide_batch_add_encoded(&r->batch, tide_buf_span(&records), model ? 2 : 1), TIDE_OK);
  tide_buf_release(&bytes);
  tide_buf_release(&records);
  return end(r, error);
}

static inline void must_activate(struct run *r, const struct tide_model *model) {
  struct tide_error error = {0};
  if (activate(r, model, &error)) fail_msg("%s", error.text);
}

static inline void text(struct run *r, struct tide_record *record, const char *field, const char *value) {
  struct tide_datum *datum = &record->field[tide_spec_field(r->spec, field)];
  datum->kind = TIDE_D_TEXT;
  datum->text = tide_span_of(value);
}

/* Event number n of the card at the shop; each is a second after the one before. id NULL: its own. */
static inline void event(struct run *r, const char *card, const char *shop, const char *id) {
  struct tide_record *record = tide_alloc(sizeof *record);
  char own[16];
  snprintf(own, sizeof own, "e%u", r->number);
  record->type = TIDE_REC_EVENT;
  record->time.ms = T0 + (int64_t)++r->number * 1000;
  text(r, record, "id", id ? id : own);
  if (card) text(r, record, "card", card);
  if (r->key.lo) record->field[tide_spec_field(r->spec, "card")] = (struct tide_datum){.kind = TIDE_D_KEY, .key = r->key, .alt = r->alt};
  if (shop) text(r, record, "shop", shop);
  text(r, record, "entry", "chip");
  *(&record->field[tide_spec_field(r->spec, "online")]) = (struct tide_datum){.kind = TIDE_D_INT, .num = 0};
  struct tide_datum *amount = &record->field[r->spec->f_amount];
  *amount = (struct tide_datum){.kind = TIDE_D_INT, .exponent = 2, .num = 1000};
  memcpy(amount->currency, "EUR", 4);
  begin(r);
  assert_int_equal(tide_batch_add(&r->batch, r->spec, record), TIDE_OK);
  tide_free(record);
  must_end(r);
}

#endif
