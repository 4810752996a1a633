/* Deciding: the walk, the stricter unknown, whom the fallback blames, and the reason texts; compared at the end with the contract's own words
 * written down once more, slowly. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "feature/policy.h"
#include "tests/support/expr_fixture.h"

enum { APPROVE, CHALLENGE, REVIEW, DECLINE };

static struct tide_rule rules[TIDE_RULES_MAX], fallbacks[8];

static int setup(void **state) {
  static struct world w;
  world_init(&w);
  memset(rules, 0, sizeof rules);
  memset(fallbacks, 0, sizeof fallbacks);
  w.spec->rule = rules;
  w.spec->fallback = fallbacks;
  *state = &w;
  return 0;
}

static int teardown(void **state) {
  world_release(*state);
  return 0;
}

/* `when` NULL: else. A code that begins with s is a shadow rule. */
static void rule(struct world *w, const char *code, uint32_t decision, const char *when) {
  rules[w->spec->rule_count++] =
      (struct tide_rule){.code = code, .decision = decision, .when = when ? parse(w, when) : NULL, .shadow = *code == 's', .say = ""};
}

static void fallback(struct world *w, const char *code, uint32_t decision, const char *when) {
  fallbacks[w->spec->fallback_count++] =
      (struct tide_rule){.code = code, .decision = decision, .when = when ? parse(w, when) : NULL, .say = ""};
}

static struct tide_arena compiled;

static struct tide_verdict decide(struct world *w) {
  struct tide_verdict verdict;
  tide_arena_reset(&compiled);
  tide_policy_compile(w->spec, &compiled);
  w->env.rule = false;
  tide_policy_derive(w->spec, &w->env, w->derived);
  tide_policy_decide(w->spec, &w->env, &verdict);
  assert_false(w->env.rule); /* the caller's env is his */
  return verdict;
}

static void decided(struct world *w, const char *by, uint32_t decision, enum tide_cause cause) {
  struct tide_verdict v = decide(w);
  assert_string_equal(tide_verdict_by(w->spec, &v), by);
  assert_int_equal(v.decision, decision);
  if (v.cause != cause) fail_msg("cause %s, not %s", tide_cause_name((enum tide_cause)v.cause), tide_cause_name(cause));
  assert_int_equal(v.by, strncmp(by, "F", 1) == 0 || strncmp(by, "fallback", 8) == 0 ? TIDE_BY_FALLBACK : TIDE_BY_RULE);
}

static void standard(struct world *w) {
  rule(w, "V01", DECLINE, "card.declines_10m >= 5");
  rule(w, "V02", CHALLENGE, "card.spend_24h > 1000");
  rule(w, "sh1", DECLINE, "ip.cards_1h > 3");
  rule(w, "V03", REVIEW, "card.idle < 2");
  rule(w, "else", APPROVE, NULL);
  fallback(w, "F02", APPROVE, "not cnp and amount <= 50.00");
  fallback(w, "else", DECLINE, NULL);
  for (int i = 0; i < S_COUNT; i++) w->slot[i] = tide_num(0);
  w->slot[S_IDLE] = tide_num(500);
  w->dyn[TIDE_DYN_amount_now] = tide_num(20);
}

static void first_match(void **state) {
  struct world *w = *state;
  standard(w);
  decided(w, "else", APPROVE, TIDE_C_none);
  w->slot[S_IDLE] = tide_num(1);
  decided(w, "V03", REVIEW, TIDE_C_none);
  w->slot[S_SPEND] = tide_num(1001); /* the first that is true, though a later one is stricter */
  decided(w, "V02", CHALLENGE, TIDE_C_none);
  w->slot[S_DECLINES] = tide_num(5);
  decided(w, "V01", DECLINE, TIDE_C_none);
  struct tide_verdict v = decide(w);
  assert_int_equal(v.yes, 0x1b); /* every rule is answered, not only the first */
  assert_int_equal(v.unknown, 0);
  assert_int_equal(v.blocked_by, UINT16_MAX);
  assert_int_equal(v.cause_slot, TIDE_NONE);
}

static void shadow_rules_only_count(void **state) {
  struct world *w = *state;
  standard(w);
  w->slot[S_CARDS] = tide_num(9);
  decided(w, "else", APPROVE, TIDE_C_none);
  assert_int_equal(decide(w).yes >> 2 & 1, 1);
  w->slot[S_CARDS] = too_late_value(); /* an unknown shadow rule blocks nobody */
  decided(w, "else", APPROVE, TIDE_C_none);
  assert_int_equal(decide(w).unknown >> 2 & 1, 1);
}

static void unknown_and_stricter_blocks(void **state) {
  struct world *w = *state;
  standard(w);
  w->slot[S_DECLINES] = stale_value(0);
  decided(w, "F02", APPROVE, TIDE_C_stale);
  struct tide_verdict v = decide(w);
  assert_int_equal(v.blocked_by, 0);
  assert_int_equal(v.cause_slot, S_DECLINES);
  w->field[F_CNP] = tide_bool(true);
  decided(w, "fallback.else", DECLINE, TIDE_C_stale);
}

static void a_known_decline_decides(void **state) {
  struct world *w = *state;
  standard(w);
  w->slot[S_DECLINES] = tide_num(7);
  w->slot[S_SPEND] = too_late_value();
  w->slot[S_IDLE] = stale_value(1);
  decided(w, "V01", DECLINE, TIDE_C_none);
}

static void unknown_but_milder_or_equal_does_not_block(void **state) {
  struct world *w = *state;
  standard(w);
  w->slot[S_SPEND] = too_late_value(); /* V02 challenge */
  w->slot[S_IDLE] = tide_num(1);       /* V03 review */
  decided(w, "V03", REVIEW, TIDE_C_none);
  rules[1].decision = REVIEW; /* equally strict */
  decided(w, "V03", REVIEW, TIDE_C_none);
  rules[1].decision = DECLINE;
  decided(w, "F02", APPROVE, TIDE_C_too_late);
}

static void unknown_behind_the_decider_does_not_block(void **state) {
  struct world *w = *state;
  standard(w);
  w->slot[S_SPEND] = tide_num(2000);
  w->slot[S_IDLE] = stale_value(1);
  decided(w, "V02", CHALLENGE, TIDE_C_none);
}

static void nothing_true(void **state) {
  struct world *w = *state;
  standard(w);
  w->spec->rule_count--; /* no else */
  decided(w, "F02", APPROVE, TIDE_C_none);
  assert_int_equal(decide(w).blocked_by, UINT16_MAX);
  w->slot[S_IDLE] = stale_value(0);
  decided(w, "F02", APPROVE, TIDE_C_stale);
  assert_int_equal(decide(w).blocked_by, 3);
  w->slot[S_SPEND] = too_late_value();
  decided(w, "F02", APPROVE, TIDE_C_too_late); /* the first unknown rule */
}

static void missing_is_false_not_unknown(void **state) {
  struct world *w = *state;
  standard(w);
  for (int i = 0; i < S_COUNT; i++) w->slot[i] = absent_value(); /* no device in the message: no reason to refuse */
  decided(w, "else", APPROVE, TIDE_C_none);
  w->dyn[TIDE_DYN_amount_now] = absent_value();
  tide_policy_fallback(w->spec, &w->env, TIDE_C_late, &(struct tide_verdict){0});
  w->slot[S_DECLINES] = stale_value(0);
  decided(w, "fallback.else", DECLINE, TIDE_C_stale); /* F02 reads an amount that is not there */
}

/* The blame falls on the first operand, left to right, that mattered. */
static void blamed(struct world *w, const char *when, enum tide_cause cause, uint32_t slot) {
  w->spec->rule_count = w->spec->fallback_count = 0;
  rule(w, "V01", DECLINE, when);
  rule(w, "else", APPROVE, NULL);
  fallback(w, "else", DECLINE, NULL);
  struct tide_verdict v = decide(w);
  assert_int_equal(v.unknown, 1);
  if (v.cause != cause) fail_msg("%s: cause %s, not %s", when, tide_cause_name((enum tide_cause)v.cause), tide_cause_name(cause));
  if (v.cause_slot != slot) fail_msg("%s: slot %u, not %u", when, v.cause_slot, slot);
  struct tide_value value = eval(w, when, true); /* and it is the cause that the value itself carries */
  assert_int_equal(value.cause, cause);
  w->env.rule = false;
}

static void blame(void **state) {
  struct world *w = *state;
  w->slot[S_DECLINES] = stale_value(1);
  w->slot[S_SPEND] = too_late_value();
  w->slot[S_CARDS] = capped_value(100);
  w->slot[S_IDLE] = tide_num(4);
  w->env.score = tide_null(TIDE_S_stale, TIDE_C_score);
  w->env.score.unknown = true;
  blamed(w, "card.declines_10m > 1", TIDE_C_stale, S_DECLINES);
  blamed(w, "card.idle > 1 and card.spend_24h > 1", TIDE_C_too_late, S_SPEND);
  blamed(w, "card.spend_24h + card.declines_10m > 1", TIDE_C_too_late, S_SPEND);
  blamed(w, "(card.idle > 9 and card.spend_24h > 1) or card.declines_10m > 1", TIDE_C_stale,
         S_DECLINES);                                                                /* the first `and` is false: spend is innocent */
  blamed(w, "ip.cards_1h > 50 and card.declines_10m > 1", TIDE_C_stale, S_DECLINES); /* the bound could answer */
  blamed(w, "ip.cards_1h > 500", TIDE_C_saturated, S_CARDS);
  blamed(w, "500 < ip.cards_1h", TIDE_C_saturated, S_CARDS);
  blamed(w, "ip.cards_1h > card.declines_10m", TIDE_C_stale, S_DECLINES);
  blamed(w, "ip.cards_1h in (500)", TIDE_C_saturated, S_CARDS);
  blamed(w, "ip.cards_1h * 2 > 5", TIDE_C_saturated, S_CARDS);
  blamed(w, "not (max(card.idle, ip.cards_1h) > 5)", TIDE_C_saturated, S_CARDS);
  blamed(w, "score > 0.5 or card.spend_24h > 1", TIDE_C_score, TIDE_NONE);
  blamed(w, "if(card.idle > 9, card.spend_24h, card.declines_10m) > 1", TIDE_C_stale, S_DECLINES);
  blamed(w, "if(card.declines_10m > 9, card.spend_24h, 1) > 1", TIDE_C_stale, S_DECLINES);
  world_derive(w, "ratio", "card.idle / card.spend_24h");
  world_derive(w, "high", "ratio > 2");
  blamed(w, "cnp or high", TIDE_C_too_late, S_SPEND); /* through two derived values */
  blamed(w, "ratio > 2 and card.declines_10m > 0", TIDE_C_too_late, S_SPEND);
  world_derive(w, "mixed",
               "if(not cnp, card.spend_24h, 1) + card.declines_10m"); /* cnp is missing: in a derived value neither branch is taken */
  blamed(w, "mixed > 1", TIDE_C_stale, S_DECLINES);
}

static void fallback_for_a_cause(void **state) {
  struct world *w = *state;
  standard(w);
  fallbacks[0].when = parse(w, "card in blocked_cards");
  fallbacks[0].decision = DECLINE;
  fallbacks[1].decision = REVIEW;
  struct tide_verdict v;
  memset(&v, 0xff, sizeof v);
  tide_policy_fallback(w->spec, &w->env, TIDE_C_late, &v);
  assert_int_equal(v.by, TIDE_BY_FALLBACK);
  assert_int_equal(v.decision, REVIEW);
  assert_int_equal(v.cause, TIDE_C_late);
  assert_int_equal(v.blocked_by, UINT16_MAX);
  assert_int_equal(v.cause_slot, TIDE_NONE);
  w->listed = true;
  tide_policy_fallback(w->spec, &w->env, TIDE_C_quorum, &v);
  assert_int_equal(v.decision, DECLINE);
  assert_string_equal(tide_verdict_by(w->spec, &v), "F02");
}

static void says(struct world *w, const char *text, const char *expected) {
  struct tide_scope scope = {.spec = w->spec, .allow = EVERYTHING};
  struct tide_error error;
  struct tide_rule r = {.code = "V01", .say = text};
  assert_int_equal(tide_say_parse(&scope, tide_span_of(text), 1, 1, &r.parts, &r.say_count, &error), TIDE_OK);
  struct tide_buf out = TIDE_BUF_INIT;
  tide_policy_say(w->spec, &r, &w->env, &out);
  assert_string_equal(tide_buf_cstr(&out), expected);
  tide_buf_release(&out);
}

/* A late event has no features and no derived values, but its fallback may read derived values that need none. */
static void fallback_without_features(void **state) {
  struct world *w = *state;
  world_derive(w, "jump", "card.spend_24h * 2");
  world_derive(w, "double_items", "items * 2");
  world_derive(w, "many", "double_items > 6");
  fallback(w, "F01", APPROVE, "not many and country = NL");
  fallback(w, "else", DECLINE, NULL);
  w->env.slot = NULL;
  w->env.derived = NULL;
  w->field[F_COUNTRY] = text_value("NL");
  struct tide_verdict v;
  for (int items = 0; items < 8; items++) {
    w->field[F_ITEMS] = tide_num(items);
    tide_policy_fallback(w->spec, &w->env, TIDE_C_late, &v);
    assert_int_equal(v.decision, items > 3 ? DECLINE : APPROVE);
  }
  w->field[F_ITEMS] = absent_value();
  tide_policy_fallback(w->spec, &w->env, TIDE_C_late, &v);
  assert_int_equal(v.decision, APPROVE); /* missing: false, and its opposite true */
  w->env.in_list = NULL;
  w->field[F_ITEMS] = tide_num(4);
  says(w, "{double_items} items, {many}, {card in blocked_cards}", "8 items, yes, unknown");
}

static void features_only(void **state) {
  struct world *w = *state;
  w->spec->decision_count = 0;
  struct tide_verdict v = decide(w);
  assert_int_equal(v.by, TIDE_BY_NONE);
  assert_non_null(tide_verdict_by(w->spec, &v));
  tide_policy_fallback(w->spec, &w->env, TIDE_C_late, &v);
  assert_int_equal(v.by, TIDE_BY_NONE);
  assert_int_equal(v.cause, TIDE_C_late);
}

static void saying(void **state) {
  struct world *w = *state;
  w->slot[S_DECLINES] = tide_num(6);
  w->slot[S_SPEND] = tide_num(1234.5);
  w->slot[S_LAST] = text_value("NL");
  w->field[F_CNP] = tide_bool(true);
  w->field[F_AMOUNT] = tide_num(7);
  w->dyn[TIDE_DYN_amount_now] = tide_num(50);
  says(w, "{card.declines_10m} declines on this card", "6 declines on this card");
  says(w, "{card.spend_24h} spent, {amount} now, {requested} asked", "1234.50 spent, 50.00 now, 7.00 asked");
  says(w, "{card.last_country}/{country}", "NL/unknown");
  says(w, "{card.declines_10m / 7} {{{cnp}}}", "0.857143 {yes}");
  says(w, "{card.idle}", "unknown");
  w->spec->exponent = 0;
  says(w, "{card.spend_24h}", "1234");
}

/* ---- the contract once more, slowly ---- */

static uint64_t seed = 2463534242u;
static unsigned roll(unsigned n) {
  seed ^= seed << 13, seed ^= seed >> 7, seed ^= seed << 17;
  return (unsigned)(seed >> 33) % n;
}

/* "Walk the rules in order. A true rule decides, unless an earlier rule was unknown and would have been stricter: then the fallback decides." */
static void against_the_contract(void **state) {
  struct world *w = *state;
  static const char *const when[] = {[TIDE_FALSE] = "false", [TIDE_TRUE] = "true", [TIDE_UNKNOWN] = "card.idle > 1"};
  w->slot[S_IDLE] = stale_value(1);
  unsigned by_rule = 0, by_fallback = 0;
  const struct tide_expr *expr[3];
  for (int t = 0; t < 3; t++) expr[t] = parse(w, when[t]);
  fallback(w, "else", REVIEW, NULL);
  for (int round = 0; round < 50000; round++) {
    uint32_t count = 1 + roll(6);
    uint8_t truth[6];
    for (uint32_t r = 0; r < count; r++) {
      truth[r] = (uint8_t)roll(3);
      rules[r] = (struct tide_rule){.code = "R", .decision = roll(4), .when = expr[truth[r]], .shadow = roll(4) == 0, .say = ""};
    }
    w->spec->rule_count = count;
    int by = -1;
    bool refused = false;
    for (uint32_t r = 0; r < count && by < 0 && !refused; r++) {
      if (rules[r].shadow || truth[r] != TIDE_TRUE) continue;
      for (uint32_t earlier = 0; earlier < r; earlier++)
        refused = refused || (!rules[earlier].shadow && truth[earlier] == TIDE_UNKNOWN && rules[earlier].decision > rules[r].decision);
      if (!refused) by = (int)r;
    }
    struct tide_verdict v = decide(w);
    for (uint32_t r = 0; r < count; r++) assert_int_equal(tide_verdict_truth(&v, r), truth[r]);
    if (by >= 0) {
      by_rule++;
      assert_int_equal(v.by, TIDE_BY_RULE);
      assert_int_equal(v.rule, by);
      assert_int_equal(v.decision, rules[by].decision);
      assert_int_equal(v.cause, TIDE_C_none);
    } else {
      by_fallback++;
      assert_int_equal(v.by, TIDE_BY_FALLBACK);
      assert_int_equal(v.decision, REVIEW);
      if (refused) {
        assert_int_equal(v.cause, TIDE_C_stale);
        assert_true(v.blocked_by < count && truth[v.blocked_by] == TIDE_UNKNOWN && !rules[v.blocked_by].shadow);
      }
    }
  }
  assert_true(by_rule > 10000 && by_fallback > 10000);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
  const struct CMUnitTest tests[] = {T(first_match),
                                     T(shadow_rules_only_count),
                                     T(unknown_and_stricter_blocks),
                                     T(a_known_decline_decides),
                                     T(unknown_but_milder_or_equal_does_not_block),
                                     T(unknown_behind_the_decider_does_not_block),
                                     T(nothing_true),
                                     T(missing_is_false_not_unknown),
                                     T(blame),
                                     T(fallback_for_a_cause),
                                     T(fallback_without_features),
                                     T(features_only),
                                     T(saying),
                                     T(against_the_contract)};
  return cmocka_run_group_tests_name("policy", tests, NULL, NULL);
}
