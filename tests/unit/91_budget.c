/* The consistency budget against the decisions themselves: what the document says of each rule is what the policy does.
 *
 * The table below was worked out by hand from the rules; the second test decides events on which the rules are true that the document speaks of. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "feature/budget.h"

static const char features[] =
    "tidemark: 1\n"
    "name: budget\n"
    "event: {id: id, time: time}\n"
    "inputs: {default: {id: /id, time: {at: /time, as: epoch_ms}, card: /card, "
    "shop: {at: /shop, optional: true}, ip: {at: /ip, optional: true}, cnp: {at: /cnp, as: bool, optional: true}}}\n"
    "entities: {card: card, shop: shop, ip: ip}\n"
    "features:\n"
    "  card: {n: count over 10m}\n"
    "  shop: {n: count over 10m}\n"
    "  ip: {n: count over 10m}\n"
    "derived: {ratio: \"card.n_10m / max(shop.n_10m, 1)\"}\n"
    "freshness:\n"
    "  default: {budget: 15s}\n"
    "  shop: {budget: 5m, stale: mark, consistency: eventual}\n"
    "  ip: {budget: 1m, stale: default 2, sources: [auths]}\n"
    "policy:\n"
    "  decisions: [approve, review, decline]\n"
    "  lists: [bad]\n"
    "  rules:\n"
    "    - L1: decline when card in bad\n"
    "    - R1: review when shop.n_10m > 5\n"
    "    - D1: decline when cnp and card.n_10m > 3\n"
    "    - D2: decline when ratio > 9\n"
    "    - S1: shadow decline when card.n_10m > 2\n"
    "    - R2: review when ip.n_10m > 1\n"
    "    - M1: decline when score > 0.9\n"
    "    - else: approve\n"
    "  fallback:\n"
    "    - F1: review when cnp is absent\n"
    "    - else: decline\n";
enum { CARD, SHOP, IP };
enum { L1, R1, D1, D2, S1, R2, M1, ELSE, RULES };

static struct tide_spec *spec;

static int open_spec(void **state) {
  (void)state;
  struct tide_error error = {0};
  size_t errors = 0;
  if (tide_spec_parse("budget", tide_span_of(features), &spec, &error, 1, &errors) != TIDE_OK) fail_msg("%d: %s", error.line, error.text);
  return 0;
}
static int close_spec(void **state) {
  (void)state;
  tide_spec_free(spec);
  return 0;
}

#define A TIDE_WITHOUT_decides
#define G TIDE_WITHOUT_gives_way
#define D TIDE_WITHOUT_depends
#define U TIDE_WITHOUT_unanswered
#define M TIDE_WITHOUT_used

static void what_is_said_of_each_rule(void **state) {
  (void)state;
  static const struct {
    uint32_t score_reads, entity;
    uint8_t rule[RULES];
    const char *decision, *by;
  } cell[] = {
      {0, CARD, {A, A, D, U, U, G, G, G}, "review", "F1"},    {1u << CARD, CARD, {A, A, D, U, U, G, U, G}, "review", "F1"},
      {0, SHOP, {A, M, A, M, A, A, A, A}, "approve", "else"}, {UINT32_MAX, SHOP, {A, M, A, M, A, A, M, A}, "approve", "else"},
      {0, IP, {A, A, A, A, A, M, A, A}, "review", "R2"}, /* the default is above the bound */
  };
  for (size_t i = 0; i < sizeof cell / sizeof *cell; i++) {
    struct tide_budget budget;
    tide_budget_of(spec, cell[i].score_reads, cell[i].entity, &budget);
    for (uint32_t r = 0; r < RULES; r++) {
      /* M1 declines: nothing before it is stricter, so it never gives way. */
      uint8_t want = cell[i].rule[r] == G && r == M1 ? A : cell[i].rule[r];
      if (budget.rule[r] != want) fail_msg("cell %zu, %s: %d, not %d", i, spec->rule[r].code, budget.rule[r], want);
    }
    assert_string_equal(spec->decision[budget.quiet.decision], cell[i].decision);
    assert_string_equal(tide_verdict_by(spec, &budget.quiet), cell[i].by);
  }
}

static bool on_every_list(const void *ctx, uint32_t list, const struct tide_expr *operand, bool *ret_missing) {
  (void)list, (void)operand;
  *ret_missing = false;
  return *(const bool *)ctx;
}

/* Each rule that the document says something of, made true on an event for which everything that may be open is open: it decides, or the fallback does, as is said. */
static void it_agrees_with_the_decisions(void **state) {
  (void)state;
  struct tide_budget budget;
  tide_budget_of(spec, 0, CARD, &budget);
  const uint32_t rule[] = {L1, R1, R2, M1, ELSE};
  for (size_t i = 0; i < sizeof rule / sizeof *rule; i++) {
    struct tide_value field[TIDE_FIELDS_MAX] = {{0}}, dyn[TIDE_DYN_COUNT] = {{0}}, slot[3], derived[1];
    bool listed = rule[i] == L1;
    for (uint32_t f = 0; f < spec->field_count; f++) field[f] = tide_null(TIDE_S_absent, TIDE_C_absent);
    field[tide_spec_field(spec, "cnp")] = tide_bool(true);
    slot[CARD] = tide_num(0);
    slot[CARD].state = TIDE_S_stale;
    slot[CARD].cause = TIDE_C_stale;
    slot[CARD].unknown = true;
    slot[SHOP] = tide_num(rule[i] == R1 ? 6 : 0);
    slot[IP] = tide_num(rule[i] == R2 ? 2 : 0);
    struct tide_env env = {.field = field,
                           .dyn = dyn,
                           .slot = slot,
                           .derived = derived,
                           .score = tide_num(rule[i] == M1 ? 1 : 0),
                           .in_list = on_every_list,
                           .in_list_ctx = &listed};
    derived[0] = tide_expr_eval(spec->derived[0].expr, &env);
    struct tide_verdict verdict;
    tide_policy_decide(spec, &env, &verdict);
    assert_int_equal(tide_verdict_truth(&verdict, rule[i]), TIDE_TRUE);
    if (budget.rule[rule[i]] == G) {
      assert_int_equal(verdict.by, TIDE_BY_FALLBACK);
      assert_int_equal(verdict.blocked_by, budget.blocked_by[rule[i]]);
    } else {
      assert_int_equal(verdict.by, TIDE_BY_RULE);
      assert_int_equal(verdict.rule, rule[i]);
    }
  }
}

static void as_text_and_as_json(void **state) {
  (void)state;
  struct tide_budget budget;
  struct tide_buf text = TIDE_BUF_INIT, json = TIDE_BUF_INIT;
  tide_budget_of(spec, 0, CARD, &budget);
  tide_budget_say(spec, CARD, &budget, &text);
  tide_budget_fallback_say(spec, &text);
  const char *const says[] = {"card: 1 values, the default budget\n",
                              "15s behind an event, level quorum; looks at all sources that gate\n",
                              "    unanswered  D2 decline, S1 decline (shadow)\n",
                              "    may be so   D1 decline\n",
                              "    gives way   R2 review (to D1), else approve (to D1)\n",
                              "nothing else against it: review, by F1, cause stale (D2 could not be answered)\n",
                              "  F1: review when cnp is absent\n",
                              "nothing is known: review, by F1, cause stale\n"};
  for (size_t i = 0; i < sizeof says / sizeof *says; i++)
    if (!strstr(tide_buf_cstr(&text), says[i])) fail_msg("no \"%s\" in\n%s", says[i], tide_buf_cstr(&text));
  tide_budget_of(spec, 0, IP, &budget);
  tide_buf_clear(&text);
  tide_budget_say(spec, IP, &budget, &text);
  assert_non_null(strstr(tide_buf_cstr(&text), "a budget of its own\n"));
  assert_non_null(strstr(tide_buf_cstr(&text), "level quorum; looks at auths\n"));
  assert_non_null(strstr(tide_buf_cstr(&text), "default: its values are replaced by 2, and marked"));
  tide_buf_char(&json, '{');
  tide_budget_json(spec, IP, &budget, &json);
  tide_buf_str(&json, ",\"fallback\":");
  tide_budget_fallback_json(spec, &json);
  tide_buf_char(&json, '}');
  json_t *root = json_loadb(json.ptr, json.len, JSON_REJECT_DUPLICATES, NULL);
  if (!root) fail_msg("not JSON: %s", tide_buf_cstr(&json));
  assert_int_equal(json_integer_value(json_object_get(root, "budget_ms")), 60000);
  assert_int_equal(json_array_size(json_object_get(root, "rules")), RULES);
  assert_string_equal(json_string_value(json_object_get(json_object_get(json_object_get(root, "fallback"), "nothing_known"), "decision")),
                      "review");
  json_decref(root);
  tide_buf_release(&text);
  tide_buf_release(&json);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(what_is_said_of_each_rule), cmocka_unit_test(it_agrees_with_the_decisions),
                                     cmocka_unit_test(as_text_and_as_json)};
  return cmocka_run_group_tests_name("budget", tests, open_spec, close_spec);
}
