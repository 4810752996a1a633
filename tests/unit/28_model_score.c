/* Scoring by hand: which values enter, which are imputed and which refuse; transforms; the rounding; the reasons and their texts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>

#include "model/logistic.h"
#include "model/preprocess.h"
#include "tests/support/model_fixture.h"

struct world {
  struct tide_spec *spec;
  struct tide_model *model;
  struct tide_value slot[TIDE_SLOTS_MAX], derived[TIDE_DERIVED_MAX], field[TIDE_FIELDS_MAX], dyn[TIDE_DYN_COUNT];
  struct tide_env env;
};

static struct tide_value *slot(struct world *w, const char *name) { return &w->slot[tide_spec_slot(w->spec, name)]; }

static int setup(void **state) {
  struct world *w = tide_alloc(sizeof *w);
  w->spec = model_spec_of(model_features);
  w->model = model_small(w->spec);
  w->env = (struct tide_env){.field = w->field, .dyn = w->dyn, .slot = w->slot, .derived = w->derived};
  *slot(w, "card.attempts_10m") = tide_num(3);
  *slot(w, "card.shops_1h") = tide_num(2);
  *slot(w, "shop.cards_1h") = tide_num(8);
  w->derived[0] = tide_num(1.5);
  w->field[tide_spec_field(w->spec, "online")] = tide_bool(true);
  *state = w;
  return 0;
}

static int teardown(void **state) {
  struct world *w = *state;
  tide_model_free(w->model);
  tide_spec_free(w->spec);
  tide_free(w);
  return 0;
}

static struct tide_score score(struct world *w) {
  struct tide_score out;
  tide_model_score(w->model, w->spec, &w->env, &out);
  return out;
}

/* What the small model must give for a logit, from the library's exp. */
static double of(double logit) { return round(1e6 / (1 + exp(-logit))) / 1e6; }

static void refused(struct world *w, const char *feature, const char *by, enum tide_cause cause) {
  struct tide_score s = score(w);
  assert_int_equal(s.value.type, TIDE_V_NULL);
  assert_true(s.value.unknown);
  assert_int_equal(s.value.cause, TIDE_C_score);
  assert_int_equal(s.refused_cause, cause);
  assert_string_equal(w->model->input[s.refused_by].feature, feature);
  if (by) assert_string_equal(w->spec->slot[s.refused_slot].name, by);
  else assert_int_equal(s.refused_slot, TIDE_NONE);
  assert_int_equal(s.reason_count, 0);
}

static void a_score_is_the_formula(void **state) {
  struct world *w = *state;
  /* -2 + 0.5 (3 - 1) / 2 + 0.25 * 2 + ln(1 + 1.5) + 0.125 * 8 - 0.5 */
  double logit = -2 + 0.5 + 0.5 + log1p(1.5) + 1 - 0.5;
  struct tide_score s = score(w);
  assert_int_equal(s.value.type, TIDE_V_NUM);
  assert_true(fabs(s.logit - logit) < 1e-14);
  assert_true(s.value.num == of(logit));
  assert_int_equal(s.refused_by, TIDE_NONE);
}

static void states_that_enter(void **state) {
  struct world *w = *state;
  double fresh = score(w).value.num;
  static const uint8_t good[] = {TIDE_S_fresh, TIDE_S_stale, TIDE_S_warming, TIDE_S_defaulted, TIDE_S_waived};
  for (size_t i = 0; i < sizeof good; i++) {
    slot(w, "card.attempts_10m")->state = good[i];
    assert_true(score(w).value.num == fresh);
  }
}

static void states_that_refuse(void **state) {
  struct world *w = *state;
  static const struct {
    uint8_t state, cause;
  } bad[] = {
      {TIDE_S_stale, TIDE_C_stale}, {TIDE_S_warming, TIDE_C_warming}, {TIDE_S_stale, TIDE_C_too_late}, {TIDE_S_absent, TIDE_C_capacity}};
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
    for (int number = 0; number < 2; number++) {
      struct tide_value *value = slot(w, "card.shops_1h");
      *value = number ? tide_num(2) : tide_null(TIDE_S_absent, TIDE_C_none);
      value->state = bad[i].state;
      value->cause = bad[i].cause;
      value->unknown = true;
      refused(w, "card.shops_1h", "card.shops_1h", (enum tide_cause)bad[i].cause);
    }
}

static void a_derived_value_refuses_with_its_slot(void **state) {
  struct world *w = *state;
  *slot(w, "card.usual_1h") = tide_null(TIDE_S_stale, TIDE_C_too_late);
  slot(w, "card.usual_1h")->unknown = true;
  w->derived[0] = *slot(w, "card.usual_1h");
  refused(w, "over", "card.usual_1h", TIDE_C_too_late);
  /* the first in the artifact's order refuses */
  *slot(w, "card.attempts_10m") = w->derived[0];
  refused(w, "card.attempts_10m", "card.attempts_10m", TIDE_C_too_late);
}

static void what_is_not_there_is_imputed_by_cause(void **state) {
  struct world *w = *state;
  double base = -2 + 0.5 + 0.5 + 1 - 0.5;
  w->derived[0] = tide_null(TIDE_S_absent, TIDE_C_absent);
  assert_true(score(w).value.num == of(base + log1p(0.5))); /* the median */
  w->derived[0] = tide_null(TIDE_S_empty, TIDE_C_empty);
  assert_true(score(w).value.num == of(base + log1p(2)));
  w->derived[0].state = TIDE_S_warming; /* marked, and empty */
  assert_true(score(w).value.num == of(base + log1p(2)));
  w->derived[0] = tide_num(1.5);
  *slot(w, "shop.cards_1h") = tide_null(TIDE_S_absent, TIDE_C_absent);
  assert_true(score(w).value.num == of(base + log1p(1.5) - 1 + 3 * 0.125));
  w->field[tide_spec_field(w->spec, "online")] = tide_null(TIDE_S_absent, TIDE_C_absent);
  assert_true(score(w).value.num == of(base + 0.5 + log1p(1.5) - 1 + 3 * 0.125)); /* a condition: median 0 */
}

static void a_bound_enters_through_its_clip(void **state) {
  struct world *w = *state;
  double base = -2 + 0.5 + log1p(1.5) + 1 - 0.5;
  *slot(w, "card.shops_1h") = (struct tide_value){.type = TIDE_V_NUM, .state = TIDE_S_saturated, .cause = TIDE_C_saturated, .num = 3};
  assert_true(score(w).value.num == of(base + 0.25 * 4)); /* more than 3 is at least 4, and no more than 4 is distinguished */
  w->model->input[1].hi = 5;                              /* here 4 and 5 would differ */
  refused(w, "card.shops_1h", "card.shops_1h", TIDE_C_saturated);
  w->model->input[1].hi = 2;
  assert_true(score(w).value.num == of(base + 0.25 * 2));
  w->model->input[1].transform = TIDE_TRANSFORM_NONE;
  refused(w, "card.shops_1h", "card.shops_1h", TIDE_C_saturated);
}

static void transforms(void **state) {
  (void)state;
  struct tide_model_input input = {.transform = TIDE_TRANSFORM_CLIP, .lo = -1, .hi = 2, .mean = 1, .scale = 2};
  assert_true(tide_input_transform(&input, -5) == -1 && tide_input_transform(&input, 9) == 2 && tide_input_transform(&input, 0.5) == 0.5);
  assert_true(tide_input_standardise(&input, 9) == 0.5);
  input.transform = TIDE_TRANSFORM_LOG1P;
  assert_true(tide_input_transform(&input, -5) == 0 && tide_input_transform(&input, 0) == 0);
  assert_true(fabs(tide_input_transform(&input, 20) - log1p(20)) < 1e-15);
  input.transform = TIDE_TRANSFORM_NONE;
  assert_true(tide_input_transform(&input, -5) == -5);
}

static void extremes_stay_finite(void **state) {
  struct world *w = *state;
  for (int sign = -1; sign <= 1; sign += 2) {
    for (uint32_t i = 0; i < w->model->input_count; i++) {
      w->model->input[i].scale = 1e-9;
      w->model->input[i].mean = -1e15 * sign;
      w->model->input[i].coefficient = (i % 2 ? -1e6 : 1e6);
    }
    *slot(w, "card.attempts_10m") = tide_num(sign * 1.7e308);
    w->derived[0] = tide_num(1.7e308);
    *slot(w, "shop.cards_1h") = tide_num(-1.7e308);
    struct tide_score s = score(w);
    assert_true(isfinite(s.logit));
    assert_true(s.value.num >= 0 && s.value.num <= 1);
  }
}

static void scores_are_millionths(void **state) {
  (void)state;
  assert_true(tide_score_of_logit(0) == 0.5);
  assert_true(tide_score_of_logit(800) == 1 && tide_score_of_logit(-800) == 0);
  for (int i = -3000; i <= 3000; i++) {
    double s = tide_score_of_logit(i / 150.0);
    assert_true(s == (double)lround(s * 1e6) / 1e6); /* what a remembered answer keeps, and gives back */
    assert_true(fabs(s - 1 / (1 + exp(-i / 150.0))) <= 0.5000001e-6);
  }
}

static void reasons_are_the_largest(void **state) {
  struct world *w = *state;
  struct tide_score s = score(w);
  assert_int_equal(s.reason_count, 3); /* cards 1, over 0.916, attempts and shops 0.5 each: the earlier; online lowers the score */
  assert_string_equal(w->model->input[s.reason[0].input].feature, "shop.cards_1h");
  assert_string_equal(w->model->input[s.reason[1].input].feature, "over");
  assert_string_equal(w->model->input[s.reason[2].input].feature, "card.attempts_10m");
  assert_true(s.reason[0].contribution == 1 && s.reason[2].contribution == 0.5);
  assert_true(s.reason[0].value.num == 8);
  *slot(w, "card.attempts_10m") = tide_num(1); /* z = 0 is no reason */
  *slot(w, "card.shops_1h") = tide_num(0);
  s = score(w);
  assert_int_equal(s.reason_count, 2);
}

static void contributions_add_up_to_the_logit(void **state) {
  struct world *w = *state;
  struct tide_score said = score(w);
  struct tide_score_reason all[TIDE_MODEL_INPUTS_MAX];
  assert_true(tide_model_contributions(w->model, &w->env, all));
  double logit = w->model->intercept;
  for (uint32_t i = 0; i < w->model->input_count; i++) {
    assert_int_equal(all[i].input, i);
    logit += all[i].contribution;
  }
  assert_true(logit == said.logit); /* the same numbers in the same order */
  for (uint32_t r = 0; r < said.reason_count; r++) assert_true(all[said.reason[r].input].contribution == said.reason[r].contribution);
  slot(w, "card.attempts_10m")->unknown = true;
  slot(w, "card.attempts_10m")->type = TIDE_V_NULL;
  slot(w, "card.attempts_10m")->cause = TIDE_C_stale;
  slot(w, "card.attempts_10m")->state = TIDE_S_stale;
  assert_int_equal(tide_model_contributions(w->model, &w->env, all), score(w).value.type == TIDE_V_NUM);
}

static void says(struct world *w, uint32_t input, struct tide_value value, const char *text, const char *is) {
  struct tide_buf out = TIDE_BUF_INIT;
  w->model->input[input].text = text;
  struct tide_score_reason reason = {.input = input, .contribution = 1, .value = value};
  tide_score_say(w->model, w->spec, &reason, &out);
  assert_string_equal(tide_buf_cstr(&out), is);
  tide_buf_release(&out);
}

static void texts_have_values(void **state) {
  struct world *w = *state;
  says(w, 0, tide_num(3), w->model->input[0].text, "3 attempts in {3");
  says(w, 2, tide_num(1.23456789), "{value}x", "1.23457x");
  says(w, 2, tide_null(TIDE_S_empty, TIDE_C_empty), "{value} times", "unknown times");
  says(w, 4, tide_bool(true), "online: {value}", "online: yes");
  says(w, 4, tide_bool(false), "{valu} {", "{valu} {");
  says(w, 1, (struct tide_value){.type = TIDE_V_NUM, .state = TIDE_S_saturated, .num = 3}, "{value} shops", "more than 3 shops");
  struct tide_model_input money = {.feature = "card.spend_1h"};
  struct tide_error error = {0};
  assert_int_equal(tide_input_find(w->spec, "card.spend_1h", &money.leaf, &error), TIDE_OK);
  w->model->input[3] = money;
  says(w, 3, tide_num(12.5), "{value} EUR", "12.50 EUR");
}

static void a_row_gives_the_same_logit(void **state) {
  struct world *w = *state;
  double x[5] = {3, 2, 1.5, 8, 1};
  uint8_t cause[5] = {0};
  assert_true(tide_model_logit(w->model, x, cause) == score(w).logit);
  cause[2] = TIDE_C_empty;
  w->derived[0] = tide_null(TIDE_S_empty, TIDE_C_empty);
  assert_true(tide_model_logit(w->model, x, cause) == score(w).logit);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(a_score_is_the_formula, setup, teardown),
      cmocka_unit_test_setup_teardown(states_that_enter, setup, teardown),
      cmocka_unit_test_setup_teardown(states_that_refuse, setup, teardown),
      cmocka_unit_test_setup_teardown(a_derived_value_refuses_with_its_slot, setup, teardown),
      cmocka_unit_test_setup_teardown(what_is_not_there_is_imputed_by_cause, setup, teardown),
      cmocka_unit_test_setup_teardown(a_bound_enters_through_its_clip, setup, teardown),
      cmocka_unit_test(transforms),
      cmocka_unit_test_setup_teardown(extremes_stay_finite, setup, teardown),
      cmocka_unit_test(scores_are_millionths),
      cmocka_unit_test_setup_teardown(reasons_are_the_largest, setup, teardown),
      cmocka_unit_test_setup_teardown(contributions_add_up_to_the_logit, setup, teardown),
      cmocka_unit_test_setup_teardown(texts_have_values, setup, teardown),
      cmocka_unit_test_setup_teardown(a_row_gives_the_same_logit, setup, teardown),
  };
  return cmocka_run_group_tests_name("model_score", tests, NULL, NULL);
}
