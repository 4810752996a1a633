/* The artifact: written, read and written again it is the same bytes; every mistake in a file is an error that names it; a feature file that defines an input
 * otherwise is refused with the names of all that differ. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>

#include "tests/support/model_fixture.h"

static struct tide_spec *spec;
static struct tide_buf small; /* the canonical bytes of the small model */

static int setup(void **state) {
  (void)state;
  spec = model_spec_of(model_features);
  struct tide_model *model = model_small(spec);
  tide_model_write(model, &small);
  tide_model_free(model);
  return 0;
}

static int teardown(void **state) {
  (void)state;
  tide_buf_release(&small);
  tide_spec_free(spec);
  return 0;
}

static struct tide_model *parsed(struct tide_span text) {
  struct tide_error error = {0};
  struct tide_model *model = NULL;
  if (tide_model_parse(text, &model, &error)) fail_msg("%s", error.text);
  return model;
}

static void same_bytes_again(void **state) {
  (void)state;
  struct tide_model *model = parsed(tide_buf_span(&small));
  struct tide_buf again = TIDE_BUF_INIT, lines = TIDE_BUF_INIT;
  tide_model_write(model, &again);
  assert_true(tide_span_eq(tide_buf_span(&again), tide_buf_span(&small)));
  tide_model_write_lines(model, &lines);
  assert_true(lines.len > small.len && lines.ptr[lines.len - 1] == '\n');
  struct tide_model *from_lines = parsed(tide_buf_span(&lines));
  tide_buf_clear(&again);
  tide_model_write(from_lines, &again);
  assert_true(tide_span_eq(tide_buf_span(&again), tide_buf_span(&small)));
  assert_string_equal(model->id, from_lines->id);
  assert_memory_equal(model->id, "small@", 6);
  assert_int_equal(strlen(model->id), 14);
  tide_model_free(from_lines);
  tide_model_free(model);
  tide_buf_release(&again);
  tide_buf_release(&lines);
}

static void everything_is_read(void **state) {
  (void)state;
  struct tide_model *m = parsed(tide_buf_span(&small));
  assert_string_equal(m->name, "small");
  assert_string_equal(m->version, "7");
  assert_string_equal(m->features, "modelled");
  assert_int_equal(m->input_count, 5);
  assert_true(m->intercept == -2 && m->l2 == 1 && m->rows == 100 && m->fraud == 3 && m->test_rows == 20 && m->card_precision_k == 10);
  assert_true(m->from_ms == 1700000000000 && m->to_ms == 1700000100000 && m->roc_auc == 0.75 && m->card_precision == 0.125);
  assert_string_equal(m->input[0].feature, "card.attempts_10m");
  assert_string_equal(m->input[0].text, "{value} attempts in {{value}");
  assert_true(m->input[0].mean == 1 && m->input[0].scale == 2 && m->input[0].coefficient == 0.5);
  assert_true(m->input[1].transform == TIDE_TRANSFORM_CLIP && m->input[1].lo == 0 && m->input[1].hi == 4);
  assert_true(m->input[2].transform == TIDE_TRANSFORM_LOG1P && m->input[2].has_empty && !m->input[2].has_absent);
  assert_true(m->input[2].median == 0.5 && m->input[2].absent == 0.5 && m->input[2].empty == 2);
  assert_true(m->input[4].quantile[10] == 10);
  tide_model_free(m);
}

static void measures_may_be_undefined(void **state) {
  (void)state;
  struct tide_model *model = model_small(spec);
  model->roc_auc = model->average_precision = model->card_precision = (double)NAN;
  tide_model_seal(model);
  struct tide_buf bytes = TIDE_BUF_INIT;
  tide_model_write(model, &bytes);
  struct tide_model *again = parsed(tide_buf_span(&bytes));
  assert_true(isnan(again->roc_auc) && isnan(again->average_precision) && isnan(again->card_precision));
  tide_model_free(again);
  tide_model_free(model);
  tide_buf_release(&bytes);
}

/* The bytes with the first `from` replaced. */
static void with(const char *from, const char *to, struct tide_buf *out) {
  const char *text = tide_buf_cstr(&small), *at = strstr(text, from);
  if (!at) fail_msg("the model has no %s", from);
  tide_buf_clear(out);
  tide_buf_put(out, text, (size_t)(at - text));
  tide_buf_str(out, to);
  tide_buf_str(out, at + strlen(from));
}

static void every_mistake_is_named(void **state) {
  (void)state;
  static const struct {
    const char *from, *to;
    enum tide_err err;
    const char *says;
  } mistakes[] = {
      {"{\"tidemark_model\":1", "{\"tidemark_model\":2", TIDE_E_VERSION, "tidemark_model"},
      {"{\"tidemark_model\":1,", "{", TIDE_E_MISSING, "not a model"},
      {"\"name\":\"small\"", "\"name\":\"sm all\"", TIDE_E_TYPE, "letters"},
      {"\"name\":\"small\"", "\"name\":\"\"", TIDE_E_TYPE, "letters"},
      {"\"name\":\"small\"", "\"name\":7", TIDE_E_TYPE, "text"},
      {"\"name\":\"small\",", "\"name\":\"small\",\"name\":\"small\",", TIDE_E_DUPLICATE_KEY, "name"},
      {"\"name\":\"small\",", "\"name\":\"small\",\"nmae\":\"small\",", TIDE_E_UNKNOWN_NAME, "nmae"},
      {"\"version\":\"7\",", "", TIDE_E_MISSING, "version"},
      {"\"intercept\":-2", "\"intercept\":NaN", TIDE_E_SYNTAX, "JSON"},
      {"\"intercept\":-2", "\"intercept\":1e999", TIDE_E_SYNTAX, "JSON"},
      {"\"intercept\":-2", "\"intercept\":1e99", TIDE_E_RANGE, "intercept"},
      {"\"intercept\":-2", "\"intercept\":null", TIDE_E_TYPE, "intercept"},
      {"\"intercept\":-2", "\"intercept\":-2.5", TIDE_E_CORRUPT, "checksum"},
      {"\"scale\":2", "\"scale\":0", TIDE_E_RANGE, "scale"},
      {"\"scale\":2", "\"scale\":-1", TIDE_E_RANGE, "card.attempts_10m"},
      {"\"scale\":2", "\"scale\":1e-300", TIDE_E_RANGE, "scale"},
      {"\"scale\":2,", "", TIDE_E_MISSING, "scale"},
      {"\"mean\":1", "\"mean\":\"1\"", TIDE_E_TYPE, "mean"},
      {"\"coefficient\":0.5", "\"coefficient\":0.5,\"weight\":1", TIDE_E_UNKNOWN_NAME, "weight"},
      {"\"kind\":\"none\"", "\"kind\":\"sqrt\"", TIDE_E_UNKNOWN_NAME, "none, log1p or clip"},
      {"\"kind\":\"none\"", "\"kind\":\"none\",\"lo\":1", TIDE_E_UNKNOWN_NAME, "lo"},
      {"\"kind\":\"clip\",\"lo\":0,\"hi\":4", "\"kind\":\"clip\",\"lo\":5,\"hi\":4", TIDE_E_RANGE, "above"},
      {"\"kind\":\"clip\",\"lo\":0,\"hi\":4", "\"kind\":\"clip\",\"lo\":0", TIDE_E_MISSING, "hi"},
      {"\"impute\":{\"median\":0}", "\"impute\":{}", TIDE_E_MISSING, "median"},
      {"\"impute\":{\"median\":0}", "\"impute\":{\"median\":0,\"stale\":0}", TIDE_E_UNKNOWN_NAME, "stale"},
      {"\"impute\":{\"median\":0}", "\"impute\":[0]", TIDE_E_TYPE, "impute"},
      {"\"quantiles\":[0,1,", "\"quantiles\":[1,", TIDE_E_TYPE, "11"},
      {"\"quantiles\":[0,1,", "\"quantiles\":[2,1,", TIDE_E_RANGE, "fall"},
      {"\"missing\":0", "\"missing\":1.5", TIDE_E_RANGE, "missing"},
      {"\"feature\":\"card.shops_1h\"", "\"feature\":\"card.attempts_10m\"", TIDE_E_DUPLICATE_KEY, "twice"},
      {"\"rows\":100", "\"rows\":-1", TIDE_E_TYPE, "rows"},
      {"\"rows\":100", "\"rows\":1.5", TIDE_E_TYPE, "rows"},
      {"\"from\":\"2023", "\"from\":\"20x3", TIDE_E_TYPE, "time"},
      {"\"definition\":\"card.attempts_10m = count", "\"definition\":\"card.attempts_10m = sum", TIDE_E_CORRUPT, "definitions"},
      {"\"definitions\":\"", "\"definitions\":\"0", TIDE_E_TOO_LONG, "definitions"},
      {"\"roc_auc\":0.75", "\"roc_auc\":1.75", TIDE_E_RANGE, "roc_auc"},
      {"\"checksum\":\"", "\"checksum\":\"x", TIDE_E_TOO_LONG, "checksum"},
      {"\"inputs\":[", "\"inputs\":[3,", TIDE_E_TYPE, "object"},
      {"\"reason\":{", "\"reason\":{\"level\":1,", TIDE_E_UNKNOWN_NAME, "level"},
      {"it is {value}", "it was {value}", TIDE_E_CORRUPT, "by hand"},
  };
  struct tide_buf bytes = TIDE_BUF_INIT;
  for (size_t i = 0; i < sizeof mistakes / sizeof *mistakes; i++) {
    struct tide_error error = {0};
    struct tide_model *model = NULL;
    with(mistakes[i].from, mistakes[i].to, &bytes);
    enum tide_err err = tide_model_parse(tide_buf_span(&bytes), &model, &error);
    if (err != mistakes[i].err || !strstr(error.text, mistakes[i].says))
      fail_msg("%s: %s (%s), not %s and \"%s\"", mistakes[i].to, tide_err_name(err), error.text, tide_err_name(mistakes[i].err),
               mistakes[i].says);
    assert_null(model);
    assert_int_equal(error.code, err);
  }
  tide_buf_release(&bytes);
}

static void every_cut_is_refused(void **state) {
  (void)state;
  for (size_t len = 0; len < small.len; len += len < 64 ? 1 : 37) {
    struct tide_error error = {0};
    struct tide_model *model = NULL;
    assert_int_not_equal(tide_model_parse((struct tide_span){small.ptr, len}, &model, &error), TIDE_OK);
    assert_true(error.text[0] != '\0');
  }
  struct tide_error error = {0};
  struct tide_model *model = NULL;
  char *large = tide_alloc(TIDE_MODEL_BYTES_MAX + 1);
  assert_int_equal(tide_model_parse((struct tide_span){large, TIDE_MODEL_BYTES_MAX + 1}, &model, &error), TIDE_E_TOO_LONG);
  tide_free(large);
  assert_int_equal(tide_model_load("/nowhere/model.json", &model, &error), TIDE_E_NOT_FOUND);
  assert_non_null(strstr(error.text, "/nowhere/model.json"));
}

/* --- binding */

static void differs(const char *from, const char *to, unsigned count, const char *names) {
  struct tide_spec *other = model_spec_with(from, to);
  struct tide_model *model = parsed(tide_buf_span(&small));
  struct tide_error error = {0};
  struct tide_buf report = TIDE_BUF_INIT;
  enum tide_err err = tide_model_bind(model, other, &error);
  unsigned found = tide_model_differences(model, other, &report);
  if (err != (count ? TIDE_E_MISMATCH : TIDE_OK) || found != count) fail_msg("%s -> %s: %u differences, %s", from, to, found, error.text);
  if (count && !strstr(error.text, names)) fail_msg("%s -> %s: %s, not %s", from, to, error.text, names);
  assert_int_equal(model->bound, count == 0);
  assert_int_equal(report.len > 0, count > 0);
  tide_buf_release(&report);
  tide_model_free(model);
  tide_spec_free(other);
}

static void what_differs_is_named(void **state) {
  (void)state;
  differs("windows: {short: \"10m, 1h\"}", "windows: {short: \"10m,  60m\"}  # a comment", 0, "");
  differs("    attempts: count over short with current", "    attempts: count over short", 1, "card.attempts_10m;");
  differs("cap 3", "cap 4", 1, "card.shops_1h;");
  differs("amount / card.usual_1h", "card.usual_1h / amount", 1, "over;");
  differs("usual: mean of amount over 1h", "usual: mean of amount over 1h hop 1m", 1, "over;");
  differs("amount in EUR", "amount in USD", 1, "over;");
  differs("entry = ecom", "entry in (ecom, moto)", 1, "online;");
  differs("  card: card\n", "  card: [card, entry]\n", 4, "card.attempts_10m, card.shops_1h, over, shop.cards_1h;");
  differs("  time: time\n", "  time: time\n  score: entry = ecom\n", 4, "card.attempts_10m, card.shops_1h, over, shop.cards_1h;");
  differs("    cards: distinct of card over 1h\n", "    others: distinct of card over 1h\n", 1, "shop.cards_1h;");
  differs("attempts_10m > 40", "attempts_10m > 50", 0, "");                                     /* rules are policy */
  differs("shop: {at: /shop, optional: true}", "shop: {at: /merchant, optional: true}", 0, ""); /* so is where a message keeps a field */
}

static void many_differences_are_counted(void **state) {
  (void)state;
  struct tide_buf text = TIDE_BUF_INIT;
  const char *at = strstr(model_features, "    spend:");
  tide_buf_put(&text, model_features, (size_t)(at - model_features));
  for (int i = 0; i < 12; i++) tide_buf_printf(&text, "    a_feature_with_a_long_name_%d: count over short\n", i);
  tide_buf_str(&text, at);
  struct tide_spec *wide = model_spec_of(tide_buf_cstr(&text));
  struct tide_model *model = model_empty();
  char name[12][64];
  for (int i = 0; i < 12; i++) {
    snprintf(name[i], sizeof name[i], "card.a_feature_with_a_long_name_%d_1h", i);
    (void)model_add(model, wide, name[i], 1);
  }
  tide_model_seal(model);
  struct tide_error error = {0};
  assert_int_equal(tide_model_bind(model, spec, &error), TIDE_E_MISMATCH);
  assert_non_null(strstr(error.text, "of 12 of its features"));
  assert_non_null(strstr(error.text, " more; `model check`"));
  tide_model_free(model);
  tide_spec_free(wide);
  tide_buf_release(&text);
}

static void what_is_no_number_is_no_input(void **state) {
  (void)state;
  static const struct {
    const char *name;
    enum tide_err err;
    const char *says;
  } names[] = {{"card.attempts_10", TIDE_E_UNKNOWN_NAME, "did you mean card.attempts_10m"},
               {"card.before", TIDE_E_TYPE, "a text"},
               {"shop", TIDE_E_TYPE, "a text"},
               {"time", TIDE_E_UNKNOWN_NAME, "no value"},
               {"result", TIDE_E_UNKNOWN_NAME, "no value"},
               {"score", TIDE_E_UNKNOWN_NAME, "no value"}};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    struct tide_expr leaf;
    struct tide_error error = {0};
    enum tide_err err = tide_input_find(spec, names[i].name, &leaf, &error);
    if (err != names[i].err || !strstr(error.text, names[i].says)) fail_msg("%s: %s (%s)", names[i].name, tide_err_name(err), error.text);
  }
}

static void definitions_say_what_counts(void **state) {
  (void)state;
  static const struct {
    const char *name, *is;
  } golden[] = {
      {"card.attempts_10m", "card.attempts_10m = count over 10m with current; card: [card]"},
      {"card.spend_1h", "card.spend_1h = sum of amount over 1h where (result in (approved, pending)); card: [card]; in EUR"},
      {"card.shops_1h", "card.shops_1h = distinct of shop over 1h cap 3; card: [card]"},
      {"over", "over = (amount / card.usual_1h); card.usual_1h = mean of amount over 1h; card: [card]; in EUR"},
      {"late", "late = (hour(time, \"Europe/Amsterdam\") >= 22)"},
      {"online", "online; online: (entry = \"ecom\")"},
      {"requested", "requested; in EUR"},
  };
  struct tide_buf text = TIDE_BUF_INIT;
  for (size_t i = 0; i < sizeof golden / sizeof *golden; i++) {
    struct tide_expr leaf;
    struct tide_error error = {0};
    if (tide_input_find(spec, golden[i].name, &leaf, &error)) fail_msg("%s", error.text);
    tide_buf_clear(&text);
    tide_input_define(spec, &leaf, &text);
    assert_string_equal(tide_buf_cstr(&text), golden[i].is);
  }
  tide_buf_release(&text);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(same_bytes_again),
      cmocka_unit_test(everything_is_read),
      cmocka_unit_test(measures_may_be_undefined),
      cmocka_unit_test(every_mistake_is_named),
      cmocka_unit_test(every_cut_is_refused),
      cmocka_unit_test(what_differs_is_named),
      cmocka_unit_test(many_differences_are_counted),
      cmocka_unit_test(what_is_no_number_is_no_input),
      cmocka_unit_test(definitions_say_what_counts),
  };
  return cmocka_run_group_tests_name("model_artifact", tests, setup, teardown);
}
