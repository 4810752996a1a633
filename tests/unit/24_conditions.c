/* Conditions and atoms of an event as it comes in, against the tree of each: in a plan whose atoms stand in the word of the conditions, and in one with
 * more than a word of both. Atoms are parts of conditions that outcomes can change; they are kept beside the event. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/buf.h"
#include "feature/fields.h"
#include "feature/state.h"

static struct tide_spec *spec_of(unsigned changing, unsigned fixed) {
  struct tide_buf text = TIDE_BUF_INIT;
  struct tide_error error = {0};
  struct tide_spec *spec = NULL;
  size_t errors;
  tide_buf_str(&text,
               "tidemark: 1\nname: conditions\nevent: {id: id, time: time, amount: amount in EUR, key: pan}\n"
               "inputs:\n  default: {id: id, time: {at: time, as: epoch_ms}, amount: {at: amount}, pan: pan, items: {at: items, as: int},\n"
               "    country: {at: country, optional: true}}\n"
               "entities: {card: pan}\nfeatures:\n  card:\n");
  for (unsigned i = 0; i < changing; i++) tide_buf_printf(&text, "    c%u: count over 1h where result != declined and items > %u\n", i, i);
  for (unsigned i = 0; i < fixed; i++) tide_buf_printf(&text, "    f%u: count over 1h where items <= %u or country = NL\n", i, i);
  if (tide_spec_parse("test", tide_buf_span(&text), &spec, &error, 1, &errors)) fail_msg("line %d: %s", error.line, error.text);
  tide_buf_release(&text);
  return spec;
}

static bool holds(const struct tide_expr *expr, const struct tide_env *env) {
  struct tide_value value = expr ? tide_expr_eval(expr, env) : tide_bool(true);
  return value.type == TIDE_V_BOOL && value.yes && !value.unknown;
}

static void check_event(const struct tide_plan *plan, int64_t items, const char *country) {
  const struct tide_spec *spec = plan->spec;
  static struct tide_record record;
  static struct tide_txn txn;
  record.type = TIDE_REC_EVENT;
  for (uint32_t f = 0; f < spec->field_count; f++) record.field[f].kind = TIDE_D_NONE;
  if (items >= 0) record.field[tide_spec_field(spec, "items")] = (struct tide_datum){.kind = TIDE_D_INT, .num = items};
  if (country) record.field[tide_spec_field(spec, "country")] = (struct tide_datum){.kind = TIDE_D_TEXT, .text = tide_span_of(country)};
  txn.record = &record;
  tide_fields_values(spec, record.field, txn.field);
  tide_txn_conditions(plan, &txn, 100, 100);
  const struct tide_env env = {.field = txn.field, .dyn = txn.dyn};
  for (uint32_t c = 0; c < plan->cond_count; c++) {
    const struct tide_cond *cond = &plan->cond[c];
    assert_int_equal(txn.conds >> c & 1, holds(cond->dynamic ? cond->whole : cond->expr, &env));
  }
  assert_true(plan->cond_count == 64 || txn.conds >> plan->cond_count == 0);
  for (uint32_t a = 0; a < plan->atom_count; a++) {
    struct tide_value value = tide_expr_eval(plan->atom[a], &env);
    assert_int_equal(txn.atoms >> (2 * a) & 3, value.type == TIDE_V_NULL ? 0 : value.yes ? 1 : 2);
  }
}

static void check(unsigned changing, unsigned fixed, bool one_word) {
  struct tide_settings settings = tide_settings_default();
  struct tide_error error = {0};
  struct tide_spec *spec = spec_of(changing, fixed);
  struct tide_plan *plan;
  if (tide_plan_new(spec, &settings, &plan, &error)) fail_msg("%s", error.text);
  assert_true(plan->atom_count >= changing && plan->cond_count > changing + fixed);
  assert_int_equal(plan->cond_count + plan->atom_count <= 64, one_word);
  for (int64_t items = -1; items < 40; items++) {
    check_event(plan, items, NULL);
    check_event(plan, items, "NL");
    check_event(plan, items, "BE");
  }
  tide_plan_free(plan);
  tide_spec_free(spec);
}

static void in_one_word(void **state) {
  (void)state;
  check(3, 5, true);
  check(1, 1, true);
}

static void in_two_words(void **state) {
  (void)state;
  check(30, 20, false);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(in_one_word), cmocka_unit_test(in_two_words)};
  return cmocka_run_group_tests_name("conditions", tests, NULL, NULL);
}
