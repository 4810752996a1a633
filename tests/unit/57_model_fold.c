/* The fold that scores: a rollout puts a model in force from its place on; without one nothing is different; a refused score is unknown to rules and says
 * which feature refused; snapshots carry the model; answers have the score and its reasons. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/support/fold_run.h"

static struct tide_digest digest(const struct run *r) { return tide_fold_digest(r->fold); }

static void without_a_model_a_rule_that_reads_the_score_is_unknown(void **state) {
  (void)state;
  struct run *r = started(model_spec_of(model_features));
  event(r, "c1", "s1", NULL);
  assert_true(r->last.score == -1);
  assert_string_equal(r->last.cause, "score");
  assert_string_equal(r->last.by, "fallback.else");
  assert_string_equal(r->last.slot, "");
  assert_string_equal(r->last.model, "");
  assert_null(tide_fold_versions(r->fold)->router.live);
  stop(r);
}

static void a_model_scores_from_its_record_on(void **state) {
  (void)state;
  struct run *r = started(model_spec_of(model_features));
  struct tide_model *model = model_small(r->spec);
  event(r, "c1", "s1", NULL);
  must_activate(r, model);
  assert_string_equal(tide_fold_versions(r->fold)->router.live->id, model->id);
  event(r, "c1", "s1", NULL); /* attempts 2, over 1, shops 1 and cards 1 in the hour before */
  /* -2 + 0.5 (2 - 1) / 2 + 0.25 + ln 2 + 0.125 = -0.68185 */
  assert_true(r->last.score == 0.335848);
  assert_string_equal(r->last.by, "else");
  assert_string_equal(r->last.model, model->id);
  assert_non_null(strstr(r->last.json.ptr, "\"score\":0.335848,\"reasons\":[]")); /* `else` has none, and did not read it */
  for (int i = 0; i < 3; i++) event(r, "c1", "s1", NULL);
  assert_string_equal(r->last.by, "M1"); /* attempts 5: logit 0.068 */
  assert_non_null(strstr(r->last.json.ptr,
                         "{\"code\":\"M1\",\"text\":\"the model says 0.51703\"},"
                         "{\"code\":\"card.attempts_10m\",\"text\":\"5 attempts in {5\",\"feature\":\"card.attempts_10m\",\"value\":5}"));
  tide_model_free(model);
  stop(r);
}

static void a_duplicate_has_the_stored_score(void **state) {
  (void)state;
  struct run *r = started(model_spec_of(model_features));
  struct tide_model *model = model_small(r->spec);
  must_activate(r, model);
  event(r, "c1", "s1", "x");
  double score = r->last.score;
  must_activate(r, NULL); /* retired: the first answer stands */
  event(r, "c1", "s1", "x");
  assert_true(r->last.duplicate && score > 0 && r->last.score == score);
  event(r, "c1", "s1", NULL);
  assert_true(r->last.score == -1);
  assert_string_equal(r->last.cause, "score");
  tide_model_free(model);
  stop(r);
}

static void a_refused_group_refuses_the_score(void **state) {
  (void)state;
  /* warming of the card is not trusted now */
  struct run *r = started(model_spec_with("  card: {warming: mark}", "  card: {warming: fallback}"));
  struct tide_model *model = model_small(r->spec);
  must_activate(r, model);
  event(r, "c1", "s1", NULL);
  assert_true(r->last.score == -1);
  assert_string_equal(r->last.by, "fallback.else");
  assert_string_equal(r->last.cause, "warming"); /* R1 is unknown before M1 and stricter */
  assert_string_equal(r->last.model, model->id);
  tide_model_free(model);
  stop(r);
}

static void a_refused_score_names_the_feature(void **state) {
  (void)state;
  struct tide_buf file = TIDE_BUF_INIT;
  tide_buf_str(&file, model_features);
  char *at = strstr(tide_buf_cstr(&file), "    - R1: decline when card.attempts_10m > 40\n");
  memmove(at, at + 46, strlen(at + 46) + 1);
  at = strstr(file.ptr, "card: {warming: mark}");
  struct tide_buf whole = TIDE_BUF_INIT;
  tide_buf_put(&whole, file.ptr, (size_t)(at - file.ptr));
  tide_buf_str(&whole, "card: {warming: fallback}");
  tide_buf_str(&whole, at + strlen("card: {warming: mark}"));
  struct run *r = started(model_spec_of(tide_buf_cstr(&whole)));
  struct tide_model *model = model_small(r->spec);
  must_activate(r, model);
  event(r, "c1", "s1", NULL);
  assert_string_equal(r->last.cause, "score");
  assert_string_equal(r->last.slot, "card.attempts_10m");
  assert_non_null(
      strstr(r->last.json.ptr,
             "\"status\":\"refused\",\"decision\":\"decline\",\"by\":\"fallback.else\",\"score\":null,\"cause\":\"score\",\"detail\":"
             "\"card.attempts_10m: the model's score was refused; rule M1 could not be answered\""));
  tide_model_free(model);
  stop(r);
  tide_buf_release(&file);
  tide_buf_release(&whole);
}

static void a_stale_group_refuses_the_score_and_says_who_is_behind(void **state) {
  (void)state;
  struct tide_sources sources = {.count = 1, .source = {{.number = 7, .name = "auths", .gates = true}}};
  struct run *r = started(model_spec_with("    - R1: decline when card.attempts_10m > 40\n", ""));
  struct tide_model *model = model_small(r->spec);
  must_activate(r, model);
  event(r, "c1", "s1", NULL);
  assert_true(r->last.score >= 0);
  begin(r);
  assert_int_equal(tide_batch_add_sources(&r->batch, &sources), TIDE_OK);
  must_end(r);
  event(r, "c1", "s1", NULL);
  assert_true(r->last.score == -1);
  assert_string_equal(r->last.cause, "score");
  assert_string_equal(r->last.slot, "card.attempts_10m");
  assert_non_null(
      strstr(r->last.json.ptr,
             "\"card.attempts_10m: the model's score was refused (auths has no partition that is known yet, budget of card 15s); "
             "rule M1 could not be answered\""));
  sources.count = 0; /* the cell has none any more */
  begin(r);
  assert_int_equal(tide_batch_add_sources(&r->batch, &sources), TIDE_OK);
  must_end(r);
  event(r, "c1", "s1", NULL);
  assert_true(r->last.score >= 0);
  tide_model_free(model);
  stop(r);
}

/* The digest covers the score itself: a model that differs so little that no rule notices has another digest, the same model has the same. */
static void a_model_shows_in_the_digest(void **state) {
  (void)state;
  struct tide_digest after[4];
  uint64_t hits[4];
  for (int i = 0; i < 4; i++) {
    struct run *r = started(model_spec_of(model_features));
    struct tide_model *model = model_small(r->spec);
    if (i == 3) model->intercept = -2.0001;
    tide_model_seal(model);
    if (i) must_activate(r, model);
    if (!i) { /* an empty record retires nothing */
      struct tide_digest before = digest(r);
      must_activate(r, NULL);
      assert_true(digest(r).decisions == before.decisions && tide_u128_eq(digest(r).digest, before.digest));
    }
    for (int e = 0; e < 20; e++) event(r, e % 2 ? "c1" : "c2", "s1", NULL);
    after[i] = digest(r);
    hits[i] = tide_fold_rule_hits(r->fold)[1];
    tide_model_free(model);
    stop(r);
  }
  assert_false(tide_u128_eq(after[0].digest, after[1].digest));
  assert_int_not_equal(after[0].state_hash, after[1].state_hash);
  assert_true(tide_u128_eq(after[1].digest, after[2].digest) && after[1].state_hash == after[2].state_hash);
  assert_int_equal(after[0].decisions, after[1].decisions);
  assert_true(hits[1] > 0 && hits[1] == hits[3]);
  assert_false(tide_u128_eq(after[1].digest, after[3].digest));
}

static void a_snapshot_carries_the_model(void **state) {
  (void)state;
  for (int with = 0; with < 2; with++) {
    struct run *r = started(model_spec_of(model_features));
    struct tide_model *model = model_small(r->spec);
    if (with) must_activate(r, model);
    for (int e = 0; e < 12; e++) event(r, e % 2 ? "c1" : "c2", "s1", NULL);
    struct tide_fold *loaded = tide_fold_new();
    struct tide_buf bytes = TIDE_BUF_INIT;
    for (unsigned i = 0; i < TIDE_CHUNKS; i++) {
      struct tide_error error = {0};
      unsigned chunk = i == 0 ? TIDE_SHARDS : i - 1;
      tide_buf_clear(&bytes);
      tide_fold_save(r->fold, chunk, &bytes);
      if (tide_fold_load(loaded, chunk, tide_buf_span(&bytes), &error)) fail_msg("%s", error.text);
    }
    assert_int_equal(tide_fold_digest(loaded).state_hash, digest(r).state_hash);
    tide_fold_free(r->fold);
    r->fold = loaded;
    event(r, "c1", "s1", NULL);
    assert_string_equal(r->last.model, with ? model->id : "");
    assert_int_equal(r->last.score > 0, with);
    tide_buf_release(&bytes);
    tide_model_free(model);
    stop(r);
  }
}

/* It is void: the model before it goes on, and the state says why. */
static void what_does_not_fit_is_void(void **state) {
  (void)state;
  struct tide_error error = {0};
  struct run *r = started(model_spec_with("cap 3", "cap 5"));
  struct tide_spec *other = model_spec_of(model_features);
  struct tide_model *good = model_small(r->spec), *model = model_small(other);
  must_activate(r, good);
  must_activate(r, model);
  const struct tide_versions *versions = tide_fold_versions(r->fold);
  assert_int_equal(versions->rollout.number, 1);
  assert_int_equal(versions->void_number, 2);
  assert_non_null(strstr(versions->void_why, "card.shops_1h"));
  assert_int_equal(tide_fold_metrics(r->fold)->value[TIDE_M_rollouts_void_total], 1);
  event(r, "c1", "s1", NULL);
  assert_string_equal(r->last.model, good->id);
  tide_model_free(good);
  stop(r);
  /* before the feature file */
  r = tide_alloc(sizeof *r);
  r->fold = tide_fold_new();
  struct tide_fence fence = {.nonce = 7, .epoch = 1, .engine_id = 1};
  begin(r);
  assert_int_equal(tide_batch_add_fence(&r->batch, &fence), TIDE_OK);
  must_end(r);
  assert_int_equal(activate(r, model, &error), TIDE_E_CORRUPT);
  tide_fold_free(r->fold);
  tide_buf_release(&r->entry);
  tide_free(r);
  tide_model_free(model);
  tide_spec_free(other);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(without_a_model_a_rule_that_reads_the_score_is_unknown),
      cmocka_unit_test(a_model_scores_from_its_record_on),
      cmocka_unit_test(a_duplicate_has_the_stored_score),
      cmocka_unit_test(a_refused_group_refuses_the_score),
      cmocka_unit_test(a_refused_score_names_the_feature),
      cmocka_unit_test(a_model_shows_in_the_digest),
      cmocka_unit_test(a_snapshot_carries_the_model),
      cmocka_unit_test(what_does_not_fit_is_void),
      cmocka_unit_test(a_stale_group_refuses_the_score_and_says_who_is_behind),
  };
  return cmocka_run_group_tests_name("model_fold", tests, NULL, NULL);
}
