/* The feature file that ships: it parses, its own tests pass, and it holds what it promises: entities, the ladder of counts, and a test for
 * every rule that decides. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdio.h>

#include "cli/selftest.h"

#define FEATURES "config/defaults/features.yaml"

static struct tide_spec *spec;

static void test_its_own_tests_pass(void **state) {
  (void)state;
  struct tide_selftest_result result = {0};
  struct tide_error error = {0};
  if (tide_selftest(spec, FEATURES, false, stdout, &result, &error)) fail_msg("%s", error.text);
  assert_int_equal(result.failed, 0);
  assert_true(result.run >= 20);
}

static void test_entities_and_features(void **state) {
  (void)state;
  const char *const entity[] = {"card", "account", "merchant", "terminal", "device", "ip", "email", "card_merchant", "bin", "net"};
  for (size_t i = 0; i < sizeof entity / sizeof *entity; i++) assert_true(tide_spec_entity(spec, entity[i]) != TIDE_NONE);
  assert_int_equal(tide_spec_entity(spec, "card"), 0); /* primary */
  assert_true(spec->slot_count >= 60);
  const char *const who[] = {"card", "device", "ip", "email"}, *const what[] = {"attempts", "approvals", "declines"};
  const char *const window[] = {"1m", "5m", "10m", "1h", "12h", "24h", "7d", "30d"};
  for (size_t a = 0; a < 4; a++)
    for (size_t b = 0; b < 3; b++)
      for (size_t c = 0; c < 8; c++) {
        char name[64];
        snprintf(name, sizeof name, "%s.%s_%s", who[a], what[b], window[c]);
        if (tide_spec_slot(spec, name) == TIDE_NONE) fail_msg("%s is missing", name);
      }
  const char *const slot[] = {"card.usual_30d",
                              "card.spread_30d",
                              "card.highest_30d",
                              "ip.cards_24h",
                              "device.cards_24h",
                              "email.cards_30d",
                              "merchant.cards_1h",
                              "card.merchants_24h",
                              "card.countries_30d",
                              "card.emails_30d",
                              "card_merchant.new",
                              "card.idle",
                              "card.age",
                              "card.speed",
                              "card.streak_7d",
                              "card.burst_14d",
                              "merchant.decline_rate_1h",
                              "bin.guessed_1h",
                              "terminal.fraud_rate_1d",
                              "terminal.fraud_rate_7d",
                              "terminal.fraud_rate_30d"};
  for (size_t i = 0; i < sizeof slot / sizeof *slot; i++)
    if (tide_spec_slot(spec, slot[i]) == TIDE_NONE) fail_msg("%s is missing", slot[i]);
}

/* Every rule that decides is the answer of some test. */
static void test_every_deciding_rule_is_tested(void **state) {
  (void)state;
  for (uint32_t r = 0; r < spec->rule_count; r++) {
    const struct tide_rule *rule = &spec->rule[r];
    bool tested = rule->shadow;
    for (uint32_t t = 0; t < spec->test_count && !tested; t++)
      for (uint32_t e = 0; e < spec->test[t].expect_count; e++) {
        const struct tide_test_pair *expect = &spec->test[t].expect[e];
        tested |= strcmp(expect->name, "rule") == 0 && expect->value && strcmp(expect->value, rule->code) == 0;
      }
    if (!tested) fail_msg("no test expects rule %s", rule->code);
  }
  assert_true(spec->rule_count >= 15);
}

static int setup(void **state) {
  (void)state;
  struct tide_error error[4];
  size_t errors;
  enum tide_err err = tide_spec_load(FEATURES, &spec, error, 4, &errors);
  if (err) fprintf(stderr, FEATURES ":%d:%d: %s\n", error[0].line, error[0].column, error[0].text);
  return err ? -1 : 0;
}

static int teardown(void **state) {
  (void)state;
  tide_spec_free(spec);
  return 0;
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_its_own_tests_pass),
      cmocka_unit_test(test_entities_and_features),
      cmocka_unit_test(test_every_deciding_rule_is_tested),
  };
  return cmocka_run_group_tests_name("shipped_features", tests, setup, teardown);
}
