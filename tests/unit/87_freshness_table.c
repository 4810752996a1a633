/* Every cell of (how a group stands) x (stale policy) x (warming policy) x (consistency level): the value's state, whether it may be trusted, what the decision does.
 *
 * The table below is the ruling spelled out, not computed: a change of the code that changes a cell has to change it here. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "tests/support/by_hand.h"

#define NOW INT64_C(1795255131000)

enum standing { FRESH, STALE, WAIVED, STANDINGS };
enum { POLICIES = 4, WARMINGS = 3, LEVELS = 3 };
static const char *const stale_word[POLICIES] = {"fallback", "mark", "default 41", "recompute"};
static const char *const warming_word[WARMINGS] = {"fallback", "mark", "default 42"};
static const char *const level_word[LEVELS] = {"strong", "quorum", "eventual"};

static const char features[] =
    "tidemark: 1\n"
    "name: cells\n"
    "event: {id: id, time: time}\n"
    "inputs: {default: {id: /id, time: {at: /time, as: epoch_ms}, card: {at: /card, optional: true}, shop: {at: /shop, optional: true}}}\n"
    "entities: {card: card}\n"
    "features:\n"
    "  card:\n"
    "    n: count over 10m\n"
    "    shops: distinct of shop over 10m cap 1\n"
    "    idle: time since previous\n"
    "    shop: last shop\n"
    "    rate: rate of shop = x over 10m\n"
    "freshness: {card: {budget: 10s, stale: %s, warming: %s, consistency: %s}}\n"
    "policy:\n"
    "  decisions: [approve, review, decline]\n"
    "  rules:\n"
    "    - R1: decline when card.n_10m > 100\n"
    "    - else: approve\n"
    "  fallback:\n"
    "    - else: review\n";
enum { N, SHOPS, IDLE, SHOP, RATE };

static struct hand h;

/* A card with two events, and the group as wanted for a request of NOW. */
static void make(int stale, int warming, int level, enum standing standing, bool warms) {
  char text[sizeof features + 64];
  snprintf(text, sizeof text, features, stale_word[stale], warming_word[warming], level_word[level]);
  hand_open(&h, text);
  h.settings.history_from_ms = warms ? NOW - 60000 : 0;
  struct tide_source_info source = hand_source("auths", true, false);
  hand_declare(&h, &source, 1);
  hand_start(&h, "auths", 0);
  hand_fold(&h, NOW - 30000);
  hand_facts(&h, "auths", 0, 2, NOW - 20000, standing == FRESH ? NOW : NOW - 20000, 0);
  hand_event(&h, "auths", 0, NOW - 20000, "c", "x");
  hand_event(&h, "auths", 0, NOW - 20000, "c", "long name of a shop");
  hand_event(&h, "auths", 0, NOW - 20000, "one", "x");
  if (standing == WAIVED) hand_waive(&h, "auths", 0, NOW + 1000);
  hand_fold(&h, NOW);
}

/* "state cause [?] value": ? unknown; value: its number, text or null. */
static const char *told(const struct tide_value *value, char out[80]) {
  char what[40], code[8];
  size_t len = value->type == TIDE_V_TEXT ? tide_text_of_code(value->code, code) : 0;
  if (value->type == TIDE_V_NUM) snprintf(what, sizeof what, "%g", value->num);
  else if (value->type == TIDE_V_TEXT) snprintf(what, sizeof what, "%.*s", len ? (int)len : 4, len ? code : "long");
  else snprintf(what, sizeof what, "null");
  snprintf(out, 80, "%s %s%s %s", tide_vstate_name((enum tide_vstate)value->state), tide_cause_name((enum tide_cause)value->cause),
           value->unknown ? " ?" : "", what);
  return out;
}

/* n, by standing and whether its window begins before the history; then by warming policy (columns) and stale policy (rows). */
static const char *const cells[STANDINGS][2][POLICIES][WARMINGS] = {
    [FRESH] = {{{"fresh none 2", "fresh none 2", "fresh none 2"},
                {"fresh none 2", "fresh none 2", "fresh none 2"},
                {"fresh none 2", "fresh none 2", "fresh none 2"},
                {"fresh none 2", "fresh none 2", "fresh none 2"}},
               {{"warming warming ? 2", "warming warming 2", "defaulted warming 42"},
                {"warming warming ? 2", "warming warming 2", "defaulted warming 42"},
                {"warming warming ? 2", "warming warming 2", "defaulted warming 42"},
                {"warming warming ? 2", "warming warming 2", "defaulted warming 42"}}},
    [STALE] = {{{"stale stale ? 2", "stale stale ? 2", "stale stale ? 2"},
                {"stale stale 2", "stale stale 2", "stale stale 2"},
                {"defaulted stale 41", "defaulted stale 41", "defaulted stale 41"},
                {"stale stale ? 2", "stale stale ? 2", "stale stale ? 2"}},
               {{"warming warming ? 2", "stale stale ? 2", "defaulted warming 42"},
                {"warming warming ? 2", "stale stale 2", "defaulted warming 42"},
                {"warming warming ? 2", "defaulted stale 41", "defaulted warming 42"},
                {"warming warming ? 2", "stale stale ? 2", "defaulted warming 42"}}},
    [WAIVED] = {{{"waived none 2", "waived none 2", "waived none 2"},
                 {"waived none 2", "waived none 2", "waived none 2"},
                 {"waived none 2", "waived none 2", "waived none 2"},
                 {"waived none 2", "waived none 2", "waived none 2"}},
                {{"warming warming ? 2", "warming warming 2", "defaulted warming 42"},
                 {"warming warming ? 2", "warming warming 2", "defaulted warming 42"},
                 {"warming warming ? 2", "warming warming 2", "defaulted warming 42"},
                 {"warming warming ? 2", "warming warming 2", "defaulted warming 42"}}},
};

static void every_cell(void **state) {
  (void)state;
  char text[80];
  for (int standing = 0; standing < STANDINGS; standing++)
    for (int warms = 0; warms < 2; warms++)
      for (int stale = 0; stale < POLICIES; stale++)
        for (int warming = 0; warming < WARMINGS; warming++)
          for (int level = 0; level < LEVELS; level++) {
            make(stale, warming, level, (enum standing)standing, warms);
            const struct hand_answer *answer = hand_ask(&h, NOW, "c", "y");
            const char *want = cells[standing][warms][stale][warming];
            if (strcmp(told(&answer->slot[N], text), want) != 0)
              fail_msg("standing %d, %s, stale: %s, warming: %s: %s, not %s", standing, warms ? "warms" : "whole", stale_word[stale],
                       warming_word[warming], text, want);
            bool unknown = strchr(want, '?') != NULL;
            assert_int_equal(answer->refused, unknown);
            assert_string_equal(answer->decision, unknown ? "review" : "approve");
            if (unknown) assert_int_equal(answer->cause, answer->slot[N].cause);
            assert_int_equal(answer->recompute, unknown && standing == STALE && stale == TIDE_STALE_RECOMPUTE);
            assert_int_equal(answer->standing[0].state, standing == STALE    ? TIDE_S_stale
                                                        : standing == WAIVED ? TIDE_S_waived
                                                                             : TIDE_S_fresh);
            const char *json = tide_buf_cstr(&((struct hand_answer *)answer)->json);
            assert_int_equal(strstr(json, "\"consistency\":\"eventual\"") != NULL, level == TIDE_CONSISTENCY_EVENTUAL);
            assert_int_equal(strstr(json, "\"source\":\"auths/0\"") != NULL, standing == STALE);
            hand_close(&h);
          }
}

/* Values that are not plain numbers: a count beyond its cap, nothing in the window, a text, a key that is not in the message. */
static const struct {
  const char *card;
  int slot;
  const char *want[STANDINGS][POLICIES];
} others[] = {
    {"c",
     SHOPS,
     {[FRESH] = {"saturated saturated 1", "saturated saturated 1", "saturated saturated 1", "saturated saturated 1"},
      [STALE] = {"stale stale ? 1", "saturated saturated 1", "defaulted stale 41", "stale stale ? 1"},
      [WAIVED] = {"saturated saturated 1", "saturated saturated 1", "saturated saturated 1", "saturated saturated 1"}}},
    {"new",
     IDLE,
     {[FRESH] = {"empty empty null", "empty empty null", "empty empty null", "empty empty null"},
      [STALE] = {"stale stale ? null", "stale empty null", "defaulted stale 41", "stale stale ? null"},
      [WAIVED] = {"waived empty null", "waived empty null", "waived empty null", "waived empty null"}}},
    {"new",
     RATE,
     {[FRESH] = {"empty empty null", "empty empty null", "empty empty null", "empty empty null"},
      [STALE] = {"stale stale ? null", "stale empty null", "defaulted stale 41", "stale stale ? null"},
      [WAIVED] = {"waived empty null", "waived empty null", "waived empty null", "waived empty null"}}},
    {"one",
     SHOP,
     {[FRESH] = {"fresh none x", "fresh none x", "fresh none x", "fresh none x"},
      [STALE] = {"stale stale ? x", "stale stale x", "stale stale ? x", "stale stale ? x"}, /* a number is no default for a text */
      [WAIVED] = {"waived none x", "waived none x", "waived none x", "waived none x"}}},
    {NULL,
     N,
     {[FRESH] = {"absent absent null", "absent absent null", "absent absent null", "absent absent null"},
      [STALE] = {"absent absent null", "absent absent null", "absent absent null", "absent absent null"},
      [WAIVED] = {"absent absent null", "absent absent null", "absent absent null", "absent absent null"}}},
};

static void values_that_are_no_plain_numbers(void **state) {
  (void)state;
  char text[80];
  for (size_t i = 0; i < sizeof others / sizeof *others; i++)
    for (int standing = 0; standing < STANDINGS; standing++)
      for (int stale = 0; stale < POLICIES; stale++) {
        make(stale, 0, TIDE_CONSISTENCY_QUORUM, (enum standing)standing, false);
        const struct hand_answer *answer = hand_ask(&h, NOW, others[i].card, "x");
        if (strcmp(told(&answer->slot[others[i].slot], text), others[i].want[standing][stale]) != 0)
          fail_msg("value %zu, standing %d, stale: %s: %s, not %s", i, standing, stale_word[stale], text, others[i].want[standing][stale]);
        hand_close(&h);
      }
}

/* What the budget itself admits is fresh; one millisecond more is not. */
static void the_budget_is_the_last_that_is_fresh(void **state) {
  (void)state;
  make(TIDE_STALE_FALLBACK, 0, 0, FRESH, false); /* complete as of NOW - 2 s */
  assert_false(hand_ask(&h, NOW + 8000, "c", "x")->refused);
  assert_true(hand_ask(&h, NOW + 8001, "c", "x")->refused);
  hand_close(&h);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(every_cell),
      cmocka_unit_test(values_that_are_no_plain_numbers),
      cmocka_unit_test(the_budget_is_the_last_that_is_fresh),
  };
  return cmocka_run_group_tests_name("freshness table", tests, NULL, NULL);
}
