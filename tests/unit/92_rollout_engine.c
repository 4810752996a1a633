/* Rollouts through a running engine: brought in as control offers, shown to other threads, named by answers, and not undone by a model file at the next start. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

#include "adapter/file.h"
#include "run/engine.h"
#include "tests/support/model_fixture.h"

struct fixture {
  struct tide_engine *engine;
  atomic_int back;
  enum tide_offer_end end; /* of the last */
  struct tide_told told;
};

static void on_release(void *ctx, struct tide_offer *offer) {
  struct fixture *f = ctx;
  f->end = (enum tide_offer_end)offer->end;
  f->told = offer->told;
  tide_offer_free(offer);
  atomic_fetch_add(&f->back, 1);
}

static void start(struct fixture *f, struct tide_journal *journal, const struct tide_model *model, uint64_t seed, struct tide_buf *bytes) {
  tide_buf_clear(bytes);
  if (model) tide_model_write(model, bytes);
  struct tide_engine_options options = {.core = {.engine_id = 1,
                                                 .seed = seed,
                                                 .settings = tide_settings_default(),
                                                 .features = tide_span_of(model_features),
                                                 .model = tide_buf_span(bytes),
                                                 .batch_records_max = 64,
                                                 .queue_max = 10},
                                        .journal = journal,
                                        .release = on_release,
                                        .ctx = f,
                                        .tick_ms = 5};
  f->engine = tide_engine_start(&options, tide_fold_new());
  assert_true(tide_engine_wait_open(f->engine, 30000));
}

static void stop(struct fixture *f) {
  tide_engine_stop(f->engine);
  assert_int_equal(tide_engine_join(f->engine, NULL), TIDE_OK);
  tide_engine_free(f->engine);
}

static void give(struct fixture *f, enum tide_offer_kind kind, struct tide_span records, uint8_t count) {
  struct tide_offer *offer = tide_offer_new();
  int before = atomic_load(&f->back);
  offer->kind = (uint8_t)kind;
  offer->record_count = count;
  tide_buf_put(&offer->records, records.ptr, records.len);
  assert_true(tide_engine_offer(f->engine, offer));
  while (atomic_load(&f->back) == before) usleep(500);
  assert_int_equal(f->end, TIDE_END_done);
}

static void ask(struct fixture *f, const struct tide_spec *spec, unsigned number) {
  struct tide_record *record = tide_alloc(sizeof *record);
  struct tide_buf bytes = TIDE_BUF_INIT;
  char id[16];
  snprintf(id, sizeof id, "t%u", number);
  record->type = TIDE_REC_EVENT;
  record->time.ms = 1700000000000 + number;
  record->field[tide_spec_field(spec, "id")] = (struct tide_datum){.kind = TIDE_D_TEXT, .text = tide_span_of(id)};
  record->field[tide_spec_field(spec, "card")] = (struct tide_datum){.kind = TIDE_D_TEXT, .text = TIDE_SPAN("c1")};
  assert_int_equal(tide_record_encode(spec, record, &bytes), TIDE_OK);
  give(f, TIDE_OFFER_COMMIT, tide_buf_span(&bytes), 1);
  tide_buf_release(&bytes);
  tide_free(record);
}

/* Shown at the next tick. */
static void wait_for(struct fixture *f, uint64_t number, bool is_void, struct tide_engine_rollout *ret) {
  for (int i = 0; i < 60000; i++) {
    tide_engine_rollout(f->engine, ret);
    if ((is_void ? ret->void_number : ret->rollout.number) == number) return;
    usleep(1000);
  }
  fail_msg("rollout %llu was never shown", (unsigned long long)number);
}

static void rollouts_come_in_by_offers(void **state) {
  (void)state;
  struct tide_journal *journal = tide_journal_memory_new();
  struct tide_spec *spec = model_spec_of(model_features);
  struct tide_model *first = model_small(spec), *second = model_small(spec);
  second->intercept = -1;
  tide_model_seal(second);
  struct tide_engine_rollout *shown = tide_alloc(sizeof *shown);
  struct tide_buf model = TIDE_BUF_INIT, records = TIDE_BUF_INIT, file = TIDE_BUF_INIT;
  struct fixture f = {0};

  start(&f, journal, first, 1, &file); /* a file's rollout */
  wait_for(&f, 1, false, shown);
  assert_string_equal(shown->rollout.who, TIDE_ROLLOUT_BY_FILE);
  assert_string_equal(shown->model, first->id);
  assert_int_equal(shown->version_count, 1);
  ask(&f, spec, 1);
  assert_string_equal(f.told.model, first->id);
  assert_string_equal(f.told.policy, shown->policy);

  struct tide_rollout rollout = {.number = 2, .who = "anna", .why = "better", .features = shown->features, .model_count = 1};
  tide_model_write(second, &model);
  tide_version_text(TIDE_SPAN("better"), tide_content_hash(tide_buf_span(&model)), second->id);
  rollout.model[0] = (struct tide_rollout_model){tide_content_hash(tide_buf_span(&model)), TIDE_ROLE_live, TIDE_WEIGHT_ALL};
  rollout.policy = tide_content_hash(TIDE_SPAN(
      "policy:\n  decisions: [approve, review, decline]\n  rules:\n    - N1: review when amount is absent\n    - else: approve\n"));
  assert_int_equal(tide_artifact_encode(TIDE_ARTIFACT_model, TIDE_SPAN("better"), tide_buf_span(&model), &records), TIDE_OK);
  tide_rollout_encode(&rollout, &records);
  give(&f, TIDE_OFFER_CONTROL, tide_buf_span(&records), 2); /* the policy is missing */
  wait_for(&f, 2, true, shown);
  assert_non_null(strstr(shown->void_why, "no policy"));
  assert_int_equal(shown->rollout.number, 1);
  tide_buf_clear(&records);
  assert_int_equal(
      tide_artifact_encode(
          TIDE_ARTIFACT_policy, TIDE_SPAN("absent"),
          TIDE_SPAN(
              "policy:\n  decisions: [approve, review, decline]\n  rules:\n    - N1: review when amount is absent\n    - else: approve\n"),
          &records),
      TIDE_OK);
  tide_rollout_encode(&rollout, &records);
  give(&f, TIDE_OFFER_CONTROL, tide_buf_span(&records), 2);
  wait_for(&f, 2, false, shown);
  assert_string_equal(shown->model, second->id);
  assert_int_equal(strncmp(shown->policy, "p-2/absent@", 11), 0);
  const struct tide_policy_version *policy = tide_engine_policy(f.engine);
  assert_string_equal(policy->label, shown->policy);
  assert_string_equal(policy->spec->rule[0].code, "N1");
  ask(&f, spec, 2);
  assert_string_equal(f.told.model, second->id);
  assert_string_equal(f.told.policy, shown->policy);
  assert_string_equal(f.told.code, "N1");
  assert_int_equal(tide_engine_status(f.engine).stats.model_ignored, 0);
  stop(&f);

  start(&f, journal, first, 2, &file); /* its file says nothing any more */
  wait_for(&f, 2, false, shown);
  assert_string_equal(shown->model, second->id);
  assert_int_equal(tide_engine_status(f.engine).stats.model_ignored, 2);
  stop(&f);
  start(&f, journal, second, 3, &file); /* what it asks for is there */
  assert_int_equal(tide_engine_status(f.engine).stats.model_ignored, 0);
  stop(&f);
  tide_buf_release(&model);
  tide_buf_release(&records);
  tide_buf_release(&file);
  tide_free(shown);
  tide_model_free(first);
  tide_model_free(second);
  tide_spec_free(spec);
  journal->ops->close(journal);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(rollouts_come_in_by_offers)};
  return cmocka_run_group_tests_name("rollouts through an engine", tests, NULL, NULL);
}
