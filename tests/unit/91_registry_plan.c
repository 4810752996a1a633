/* From one rollout to the next: every change that makes sense, and every one that does not; and what differs between two versions.
 *
 * After each random change the rollout must be one that the fold would take as far as it alone can tell (tide_rollout_fault). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "cli/registry_diff.h"
#include "cli/registry_plan.h"
#include "core/rollout.h"

static struct tide_error error;

static struct tide_content_hash hash(unsigned n) {
  struct tide_content_hash h = {{0}};
  h.byte[0] = (uint8_t)n;
  h.byte[31] = 1;
  return h;
}

static struct tide_rollout begin(void) { return (struct tide_rollout){.number = 1, .features = hash(200)}; }

static void set(struct tide_rollout *r, unsigned n, enum tide_plan_how how, unsigned weight) {
  if (tide_plan_model(r, hash(n), how, (uint16_t)weight, &error)) fail_msg("%s", error.text);
  const char *fault = tide_rollout_fault(r);
  if (fault) fail_msg("%s", fault);
}
static void refuse(const struct tide_rollout *r, unsigned n, enum tide_plan_how how, unsigned weight, const char *says) {
  struct tide_rollout next = *r;
  assert_int_equal(tide_plan_model(&next, hash(n), how, (uint16_t)weight, &error), TIDE_E_USAGE);
  assert_true(tide_rollout_eq(&next, r));
  if (!strstr(error.text, says)) fail_msg("got \"%s\", want \"%s\"", error.text, says);
}
static void is(const struct tide_rollout *r, uint32_t at, unsigned n, enum tide_role role, unsigned weight) {
  assert_true(at < r->model_count);
  assert_true(tide_content_hash_eq(r->model[at].hash, hash(n)));
  assert_int_equal(r->model[at].role, role);
  assert_int_equal(r->model[at].weight, weight);
}

static void a_model_goes_from_shadow_to_canary_to_live(void **state) {
  (void)state;
  struct tide_rollout r = begin();
  refuse(&r, 2, TIDE_PLAN_CANARY, 500, "needs a live model");
  set(&r, 1, TIDE_PLAN_LIVE, 0);
  refuse(&r, 1, TIDE_PLAN_LIVE, 0, "live already");
  set(&r, 2, TIDE_PLAN_SHADOW, 0);
  is(&r, 1, 2, TIDE_ROLE_shadow, 0);
  set(&r, 2, TIDE_PLAN_CANARY, 500);
  assert_int_equal(r.model_count, 2);
  is(&r, 0, 1, TIDE_ROLE_live, 9500);
  is(&r, 1, 2, TIDE_ROLE_canary, 500);
  set(&r, 2, TIDE_PLAN_CANARY, 2000);
  refuse(&r, 2, TIDE_PLAN_CANARY, 2000, "already");
  refuse(&r, 1, TIDE_PLAN_CANARY, 2000, "the live model");
  set(&r, 3, TIDE_PLAN_CANARY, 1000);
  is(&r, 0, 1, TIDE_ROLE_live, 7000);
  is(&r, 1, 2, TIDE_ROLE_canary, 2000); /* canaries keep their order */
  is(&r, 2, 3, TIDE_ROLE_canary, 1000);
  refuse(&r, 3, TIDE_PLAN_CANARY, 8000, "nothing");
  struct tide_content_hash none = {{0}};
  assert_int_equal(tide_plan_promote(&r, TIDE_ARTIFACT_model, none, &error), TIDE_E_USAGE); /* which of the two? */
  assert_int_equal(tide_plan_promote(&r, TIDE_ARTIFACT_model, hash(3), &error), TIDE_OK);
  assert_int_equal(r.model_count, 1);
  is(&r, 0, 3, TIDE_ROLE_live, TIDE_WEIGHT_ALL);
  assert_int_equal(tide_plan_promote(&r, TIDE_ARTIFACT_model, hash(3), &error), TIDE_E_USAGE);
}

static void fallback_and_shadows_stay_beside(void **state) {
  (void)state;
  struct tide_rollout r = begin();
  set(&r, 1, TIDE_PLAN_LIVE, 0);
  set(&r, 2, TIDE_PLAN_FALLBACK, 0);
  set(&r, 3, TIDE_PLAN_SHADOW, 0);
  set(&r, 4, TIDE_PLAN_FALLBACK, 0); /* in place of 2 */
  assert_int_equal(r.model_count, 3);
  assert_null(tide_plan_state(&r, TIDE_ARTIFACT_model, hash(2)));
  refuse(&r, 1, TIDE_PLAN_SHADOW, 0, "one role");
  refuse(&r, 4, TIDE_PLAN_CANARY, 100, "fallback");
  refuse(&r, 1, TIDE_PLAN_OFF, 0, "live model");
  refuse(&r, 9, TIDE_PLAN_OFF, 0, "no role");
  set(&r, 5, TIDE_PLAN_LIVE, 0);
  assert_string_equal(tide_plan_state(&r, TIDE_ARTIFACT_model, hash(3)), "shadow");
  assert_string_equal(tide_plan_state(&r, TIDE_ARTIFACT_model, hash(4)), "fallback");
  assert_null(tide_plan_state(&r, TIDE_ARTIFACT_model, hash(1)));
  struct tide_content_hash none = {{0}}, found;
  assert_true(tide_plan_find(&r, TIDE_ARTIFACT_model, "shadow", &found));
  assert_int_equal(tide_plan_promote(&r, TIDE_ARTIFACT_model, none, &error), TIDE_OK); /* no canary: the shadow */
  is(&r, 0, 3, TIDE_ROLE_live, TIDE_WEIGHT_ALL);
  set(&r, 4, TIDE_PLAN_OFF, 0);
  assert_int_equal(r.model_count, 1);
}

static void policies_and_feature_files(void **state) {
  (void)state;
  struct tide_rollout r = begin(), before = begin();
  struct tide_content_hash none = {{0}};
  assert_int_equal(tide_plan_policy(&r, none, TIDE_PLAN_LIVE, &error), TIDE_E_USAGE);
  assert_int_equal(tide_plan_promote(&r, TIDE_ARTIFACT_policy, none, &error), TIDE_E_USAGE);
  assert_int_equal(tide_plan_policy(&r, hash(1), TIDE_PLAN_SHADOW, &error), TIDE_OK);
  assert_string_equal(tide_plan_state(&r, TIDE_ARTIFACT_policy, hash(1)), "shadow");
  assert_true(tide_plan_differs(&before, &r, TIDE_ARTIFACT_policy));
  assert_false(tide_plan_differs(&before, &r, TIDE_ARTIFACT_model));
  assert_int_equal(tide_plan_promote(&r, TIDE_ARTIFACT_policy, none, &error), TIDE_OK);
  assert_string_equal(tide_plan_state(&r, TIDE_ARTIFACT_policy, hash(1)), "live");
  assert_true(tide_content_hash_is_zero(r.shadow_policy));
  assert_int_equal(tide_plan_policy(&r, hash(1), TIDE_PLAN_SHADOW, &error), TIDE_E_USAGE);
  assert_int_equal(tide_plan_policy(&r, hash(2), TIDE_PLAN_OFF, &error), TIDE_E_USAGE);
  assert_int_equal(tide_plan_policy(&r, hash(2), TIDE_PLAN_SHADOW, &error), TIDE_OK);
  assert_int_equal(tide_plan_policy(&r, hash(2), TIDE_PLAN_OFF, &error), TIDE_OK);
  assert_int_equal(tide_plan_policy(&r, none, TIDE_PLAN_LIVE, &error), TIDE_OK); /* the feature file's own again */
  assert_true(tide_content_hash_is_zero(r.policy));
  assert_int_equal(tide_plan_features(&r, hash(200), &error), TIDE_E_USAGE);
  assert_int_equal(tide_plan_features(&r, hash(201), &error), TIDE_OK);
  assert_true(tide_plan_differs(&before, &r, TIDE_ARTIFACT_features));
}

static void whatever_is_planned_can_be_in_force(void **state) {
  (void)state;
  uint64_t seed = 1;
  for (int run = 0; run < 200; run++) {
    struct tide_rollout r = begin();
    for (int step = 0; step < 40; step++) {
      seed = seed * UINT64_C(6364136223846793005) + 1442695040888963407u;
      unsigned n = 1 + (unsigned)(seed >> 33) % 6, weight = 1 + (unsigned)(seed >> 40) % 9999;
      enum tide_plan_how how = (enum tide_plan_how)((seed >> 60) % 5);
      struct tide_rollout before = r;
      enum tide_err err = tide_plan_model(&r, hash(n), how, (uint16_t)weight, &error);
      assert_true(err == TIDE_OK || err == TIDE_E_USAGE);
      if (err) assert_true(tide_rollout_eq(&before, &r));
      uint32_t canaries = 0;
      for (uint32_t i = 0; i < r.model_count; i++) canaries += r.model[i].role == TIDE_ROLE_canary;
      const char *fault = tide_rollout_fault(&r);
      if (fault && canaries <= 2) fail_msg("run %d step %d: %s", run, step, fault);
      if (fault) break; /* more canaries than a rollout may have: said by the judgement, not by the plan */
    }
  }
}

static void diff_is(const char *a, const char *b, const char *expect, uint32_t count) {
  struct tide_buf out = TIDE_BUF_INIT;
  assert_int_equal(tide_diff_lines(tide_span_of(a), tide_span_of(b), &out), count);
  assert_string_equal(tide_buf_cstr(&out), expect);
  tide_buf_release(&out);
}

static void lines_that_differ(void **state) {
  (void)state;
  diff_is("", "", "", 0);
  diff_is("a\nb\n", "a\nb\n", "", 0);
  diff_is("a\nb\nc\n", "a\nc\n", "- b\n", 1);
  diff_is("a\nc", "a\nb\nc", "+ b\n", 1);
  diff_is("a\nx\nc\ny\n", "a\nz\nc\n", "- x\n+ z\n- y\n", 3);
  diff_is("", "a\n", "+ a\n", 1);
  diff_is("a\n", "", "- a\n", 1);
  diff_is("a\na\n", "a\na\na\n", "+ a\n", 1);
}

static void values_that_are_defined_otherwise(void **state) {
  (void)state;
  struct tide_spec *a, *b;
  struct tide_buf text = TIDE_BUF_INIT, out = TIDE_BUF_INIT;
  FILE *file = fopen("tests/golden/features/contract.yaml", "re");
  assert_non_null(file);
  tide_buf_reserve(&text, 65536);
  text.len = fread(text.ptr, 1, 65535, file);
  (void)fclose(file);
  assert_int_equal(tide_spec_parse("a", tide_buf_span(&text), &a, &error, 1, NULL), TIDE_OK);
  char *at = strstr(tide_buf_cstr(&text), "cap 100");
  assert_non_null(at);
  at[4] = '2';
  assert_int_equal(tide_spec_parse("b", tide_buf_span(&text), &b, &error, 1, NULL), TIDE_OK);
  assert_int_equal(tide_diff_definitions(a, a, &out), 0);
  assert_int_equal(tide_diff_definitions(a, b, &out), 2); /* two windows of one feature */
  assert_non_null(strstr(tide_buf_cstr(&out), "- ip.cards_10m"));
  assert_non_null(strstr(tide_buf_cstr(&out), "+ ip.cards_1h"));
  tide_spec_free(a);
  tide_spec_free(b);
  tide_buf_release(&text);
  tide_buf_release(&out);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_model_goes_from_shadow_to_canary_to_live),
      cmocka_unit_test(fallback_and_shadows_stay_beside),
      cmocka_unit_test(policies_and_feature_files),
      cmocka_unit_test(whatever_is_planned_can_be_in_force),
      cmocka_unit_test(lines_that_differ),
      cmocka_unit_test(values_that_are_defined_otherwise),
  };
  return cmocka_run_group_tests_name("registry_plan", tests, NULL, NULL);
}
