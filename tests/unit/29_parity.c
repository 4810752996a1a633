/* A model against its rows: every parameter of preprocessing is changed, one at a time, and each change is seen and named; and an imported pipeline. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>

#include "model/import.h"
#include "model/logistic.h"
#include "model/parity.h"
#include "tests/support/model_fixture.h"

enum { INPUTS = 3, ROWS = 900, TRAINED = 600 };

struct fixture {
  struct tide_model *model;
  struct tide_rows rows;
  double score[ROWS];
};

static int setup(void **state) {
  static const char *const name[INPUTS] = {"plain", "clipped", "logged"};
  struct fixture *f = tide_alloc(sizeof *f);
  f->model = tide_alloc(sizeof *f->model);
  f->model->name = f->model->version = f->model->features = "t";
  f->model->input = tide_arena_alloc(&f->model->arena, INPUTS * sizeof *f->model->input);
  f->model->input_count = INPUTS;
  for (uint32_t i = 0; i < INPUTS; i++)
    f->model->input[i] = (struct tide_model_input){.feature = name[i], .definition = name[i], .code = name[i], .text = ""};
  f->model->input[1].transform = TIDE_TRANSFORM_CLIP;
  f->model->input[1].lo = 10, f->model->input[1].hi = 90;
  f->model->input[1].has_empty = true, f->model->input[1].empty = 40;
  f->model->input[2].transform = TIDE_TRANSFORM_LOG1P;
  tide_rows_init(&f->rows, INPUTS);
  uint64_t seed = 5;
  for (int k = 0; k < ROWS; k++) {
    size_t r = tide_rows_add(&f->rows);
    for (uint32_t i = 0; i < INPUTS; i++) {
      seed = seed * 6364136223846793005u + 1442695040888963407u;
      f->rows.x[r * INPUTS + i] = (double)(seed >> 40 & 0xfff) / 41;
      f->rows.cause[r * INPUTS + i] = (uint8_t)(k % 7 == 3 ? i == 1 ? TIDE_C_empty : TIDE_C_absent : TIDE_C_none);
    }
    f->rows.time_ms[r] = 1000 + k;
    f->rows.fraud[r] = (seed >> 20 & 3) == 0 || f->rows.x[r * INPUTS] > 90;
  }
  struct tide_error error = {0};
  struct tide_train_result result;
  struct tide_train_how how = {.l2 = 1};
  if (tide_train(f->model, &f->rows, TRAINED, &how, &result, &error)) fail_msg("%s", error.text);
  for (size_t r = 0; r < ROWS; r++)
    f->score[r] = tide_score_of_logit(tide_model_logit(f->model, &f->rows.x[r * INPUTS], &f->rows.cause[r * INPUTS]));
  *state = f;
  return 0;
}

static int teardown(void **state) {
  struct fixture *f = *state;
  tide_model_free(f->model);
  tide_rows_release(&f->rows);
  tide_free(f);
  return 0;
}

static struct tide_parity check(const struct fixture *f, struct tide_buf *out) {
  struct tide_parity parity;
  tide_buf_clear(out);
  tide_parity_check(f->model, &f->rows, f->score, 1e-9, out, &parity);
  return parity;
}

static void the_model_of_these_rows_passes(void **state) {
  const struct fixture *f = *state;
  struct tide_buf out = TIDE_BUF_INIT;
  struct tide_parity parity = check(f, &out);
  assert_true(parity.scored == ROWS && parity.different == 0 && parity.most == 0);
  assert_true(parity.fitted && parity.between == TRAINED && parity.parameters == 0);
  assert_int_equal(out.len, 0);
  tide_buf_release(&out);
}

static void every_parameter_that_is_changed_is_named(void **state) {
  struct fixture *f = *state;
  struct tide_model_input *in = f->model->input;
  const struct {
    double *parameter;
    const char *named;
    bool scores; /* shows in the scores, too */
  } change[] = {
      {&in[0].median, "plain: median", false},    {&in[0].mean, "plain: mean", true},
      {&in[0].scale, "plain: scale", true},       {&in[0].absent, "plain: mean", true},
      {&in[1].lo, "clipped: mean", true},         {&in[1].hi, "clipped: mean", true},
      {&in[1].empty, "clipped: mean", true},      {&in[1].mean, "clipped: mean", true},
      {&in[2].mean, "logged: mean", true},        {&in[2].scale, "logged: scale", true},
      {&in[2].absent, "logged: mean", true},      {&in[2].quantile[3], "logged: quantile 0.1", false},
      {&in[1].share[5], "clipped: share", false}, {&in[1].missing, "clipped: share of missing", false},
  };
  struct tide_buf out = TIDE_BUF_INIT;
  for (size_t i = 0; i < sizeof change / sizeof *change; i++) {
    double was = *change[i].parameter;
    bool own[INPUTS] = {in[0].has_absent, in[1].has_absent, in[2].has_absent};
    *change[i].parameter = was * 1.01;
    /* an imputation of its own that was changed stays its own: fitting does not put the median there */
    if (change[i].parameter == &in[0].absent) in[0].has_absent = true;
    if (change[i].parameter == &in[2].absent) in[2].has_absent = true;
    struct tide_parity parity = check(f, &out);
    if (!strstr(tide_buf_cstr(&out), change[i].named)) fail_msg("%s is not named in: %s", change[i].named, tide_buf_cstr(&out));
    assert_true(parity.fitted && parity.parameters > 0);
    assert_true((parity.different > 0) == change[i].scores);
    *change[i].parameter = was;
    for (int k = 0; k < INPUTS; k++) in[k].has_absent = own[k];
  }
  double was = in[0].coefficient;
  in[0].coefficient = was * 1.01;
  struct tide_parity parity = check(f, &out);
  assert_true(parity.parameters == 0 && parity.different > 0); /* no preprocessing: only the scores tell */
  in[0].coefficient = was;
  tide_buf_release(&out);
}

static void other_rows_say_nothing_of_preprocessing(void **state) {
  struct fixture *f = *state;
  struct tide_buf out = TIDE_BUF_INIT;
  f->rows.time_ms[10] = 0; /* one training row less */
  struct tide_parity parity = check(f, &out);
  assert_true(!parity.fitted && parity.between == TRAINED - 1 && parity.different == 0 && parity.parameters == 0);
  f->rows.time_ms[10] = 1010;
  double was = f->score[17];
  f->score[17] = (double)NAN;
  f->score[18] += 0.25;
  parity = check(f, &out);
  assert_true(parity.scored == ROWS - 1 && parity.different == 1 && parity.worst == 18 && fabs(parity.most - 0.25) < 1e-12);
  f->score[17] = was;
  f->score[18] -= 0.25;
  tide_buf_release(&out);
}

/* ---- import ---- */

static const char pipeline[] =
    "{\"tidemark_pipeline\":1,\"name\":\"p\",\"version\":\"2\",\"inputs\":[{\"feature\":\"card.attempts_10m\",\"impute\":{\"median\":1},"
    "\"transform\":{\"kind\":\"log1p\"},\"mean\":0.5,\"scale\":0.25,\"coefficient\":2.125,\"training\":{\"missing\":0,"
    "\"quantiles\":[0,0,0,0,1,1,1,2,3,4,9],\"shares\":[0.1,0.1,0.1,0.1,0.5,0.5,0.5,0.9,0.95,0.99,1]}}],\"intercept\":-3,\"training\":"
    "{\"rows\":100,\"fraud\":7,\"from\":\"2026-01-05T00:00:00.000Z\",\"to\":\"2026-02-05T00:00:00.000Z\",\"l2\":0.5,"
    "\"score_quantiles\":[0,0,0,0,0,0,0,0,0,0,1],\"score_shares\":[0.9,0.9,0.9,0.9,0.9,0.9,0.9,0.9,0.9,0.9,1]}}";

static enum tide_err import(const char *from, const char *to, struct tide_model **ret, struct tide_error *error) {
  struct tide_spec *spec = model_spec_of(model_features);
  struct tide_buf text = TIDE_BUF_INIT;
  const char *at = from ? strstr(pipeline, from) : NULL;
  assert_true(!from || at);
  tide_buf_put(&text, pipeline, at ? (size_t)(at - pipeline) : strlen(pipeline));
  if (at) {
    tide_buf_str(&text, to);
    tide_buf_str(&text, at + strlen(from));
  }
  enum tide_err err = tide_model_import(tide_buf_span(&text), spec, ret, error);
  tide_buf_release(&text);
  tide_spec_free(spec);
  return err;
}

static void a_pipeline_becomes_a_model(void **state) {
  (void)state;
  struct tide_model *model, *again;
  struct tide_error error = {0};
  assert_int_equal(import(NULL, NULL, &model, &error), TIDE_OK);
  const struct tide_model_input *input = &model->input[0];
  assert_true(model->bound && model->input_count == 1 && model->intercept == -3 && model->rows == 100 && isnan(model->roc_auc));
  assert_true(input->coefficient == 2.125 && input->mean == 0.5 && input->scale == 0.25 && input->absent == 1 && input->share[4] == 0.5);
  assert_non_null(strstr(input->definition, "card.attempts_10m = count over 10m"));
  assert_string_equal(input->text, "card.attempts_10m is {value}");
  double x = 3; /* log1p(3) = 2 ln 2 */
  uint8_t cause = TIDE_C_none;
  assert_true(fabs(tide_model_logit(model, &x, &cause) - (-3 + 2.125 * (2 * log(2) - 0.5) / 0.25)) < 1e-12);
  struct tide_buf bytes = TIDE_BUF_INIT;
  tide_model_write_lines(model, &bytes);
  assert_int_equal(tide_model_parse(tide_buf_span(&bytes), &again, &error), TIDE_OK); /* sealed */
  tide_buf_release(&bytes);
  tide_model_free(model);
  tide_model_free(again);
}

static void what_is_no_pipeline_is_refused(void **state) {
  (void)state;
  const struct {
    const char *from, *to;
    enum tide_err code;
    const char *says;
  } bad[] = {
      {"\"tidemark_pipeline\":1", "\"tidemark_pipeline\":2", TIDE_E_VERSION, "sklearn_export.py"},
      {"card.attempts_10m", "card.attempts_11m", TIDE_E_UNKNOWN_NAME, "card.attempts_10m"},
      {"\"scale\":0.25", "\"scale\":0", TIDE_E_RANGE, "scale"},
      {"\"mean\":0.5,", "", TIDE_E_MISSING, "mean"},
      {"\"mean\"", "\"definition\":\"x\",\"mean\"", TIDE_E_UNKNOWN_NAME, "feature file"},
      {"\"log1p\"", "\"sqrt\"", TIDE_E_UNKNOWN_NAME, "none, log1p or clip"},
      {"\"l2\":0.5,", "\"l2\":0.5,\"solver\":\"saga\",", TIDE_E_UNKNOWN_NAME, "solver"},
      {"{\"tidemark", "{{", TIDE_E_SYNTAX, "not JSON"},
      {"\"feature\":\"card.attempts_10m\",", "", TIDE_E_MISSING, "input 1"},
  };
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    struct tide_model *model = NULL;
    struct tide_error error = {0};
    assert_int_equal(import(bad[i].from, bad[i].to, &model, &error), bad[i].code);
    if (!strstr(error.text, bad[i].says)) fail_msg("\"%s\" is not in: %s", bad[i].says, error.text);
    assert_null(model);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(the_model_of_these_rows_passes),          cmocka_unit_test(every_parameter_that_is_changed_is_named),
      cmocka_unit_test(other_rows_say_nothing_of_preprocessing), cmocka_unit_test(a_pipeline_becomes_a_model),
      cmocka_unit_test(what_is_no_pipeline_is_refused),
  };
  return cmocka_run_group_tests_name("parity", tests, setup, teardown);
}
