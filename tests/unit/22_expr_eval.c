/* Three-valued evaluation: the tables of LANGUAGE.md, bounds, states that travel, and the law that what is known does not depend on what is not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/support/expr_fixture.h"

#include <math.h>

static int setup(void **state) {
  static struct world w;
  world_init(&w);
  *state = &w;
  return 0;
}

static int teardown(void **state) {
  world_release(*state);
  return 0;
}

/* A value as a short text: "5", "true", "'NL'", "null(empty)", "unknown(stale)", "5?stale" for a number not to be trusted, "5~warming" for a marked one. */
static const char *shown(struct tide_value v) {
  static char out[64];
  char text[8] = "";
  const char *cause = tide_cause_name((enum tide_cause)v.cause);
  switch ((enum tide_vtype)v.type) {
    case TIDE_V_NULL: (void)snprintf(out, sizeof out, "%s(%s)", v.unknown ? "unknown" : "null", cause); break;
    case TIDE_V_BOOL: (void)snprintf(out, sizeof out, "%s", v.yes ? "true" : "false"); break;
    case TIDE_V_TEXT: (void)snprintf(out, sizeof out, "'%.*s'", (int)tide_text_of_code(v.code, text), text); break;
    case TIDE_V_NUM:
      if (v.unknown) (void)snprintf(out, sizeof out, "%g?%s", v.num, cause);
      else if (v.state != TIDE_S_fresh) (void)snprintf(out, sizeof out, "%g~%s", v.num, tide_vstate_name((enum tide_vstate)v.state));
      else (void)snprintf(out, sizeof out, "%g", v.num);
  }
  return out;
}

static void gives(struct world *w, bool rule, const char *text, const char *expected) {
  const char *got = shown(eval(w, text, rule));
  if (strcmp(got, expected) != 0) fail_msg("%s in a %s: %s, not %s", text, rule ? "rule" : "derived value", got, expected);
}
static void in_rule(struct world *w, const char *text, const char *expected) { gives(w, true, text, expected); }
static void in_derived(struct world *w, const char *text, const char *expected) { gives(w, false, text, expected); }
static void in_both(struct world *w, const char *text, const char *expected) { in_rule(w, text, expected), in_derived(w, text, expected); }

static void text_codes(void **state) {
  (void)state;
  char out[8];
  static const char *const texts[] = {"A", "NL", "card_ad", "6011", "\xc3\xab"};
  for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
    uint64_t code = tide_text_code(tide_span_of(texts[i]));
    assert_int_equal(tide_text_of_code(code, out), strlen(texts[i]));
    assert_memory_equal(out, texts[i], strlen(texts[i]));
    assert_int_equal(code >> 63, 0);
  }
  assert_int_equal(tide_text_code(TIDE_SPAN("")), 0);
  assert_int_equal(tide_text_of_code(0, out), 0);
  assert_true(tide_text_code(TIDE_SPAN("a")) != tide_text_code((struct tide_span){"a\0", 2})); /* the length counts */
  uint64_t declined = tide_text_code(TIDE_SPAN("declined"));
  assert_int_equal(declined >> 63, 1);
  assert_int_equal(tide_text_of_code(declined, out), 0);
  assert_true(declined != tide_text_code(TIDE_SPAN("approved")));
  assert_int_equal(tide_text(0).type, TIDE_V_NULL);
}

static void comparisons(void **state) {
  struct world *w = *state;
  w->field[F_ITEMS] = tide_num(5);
  w->field[F_COUNTRY] = text_value("NL");
  w->field[F_KIND] = text_value("card_added"); /* longer than a short code */
  w->field[F_CNP] = tide_bool(true);
  in_both(w, "items = 5", "true"), in_both(w, "items != 5", "false"), in_both(w, "items < 5", "false");
  in_both(w, "items <= 5", "true"), in_both(w, "items > 4.5", "true"), in_both(w, "items >= 5.5", "false");
  in_both(w, "country = NL", "true"), in_both(w, "country != NL", "false"), in_both(w, "country = nl", "false");
  in_both(w, "kind = card_added", "true"), in_both(w, "kind = card_adder", "false");
  in_both(w, "cnp", "true"), in_both(w, "not cnp", "false"), in_both(w, "cnp = false", "false"), in_both(w, "cnp != false", "true");
  in_both(w, "country in (BE, NL)", "true"), in_both(w, "country not in (BE, NL)", "false"), in_both(w, "items in (1, 2)", "false");
  in_both(w, "items in (1, 2, 5)", "true");
}

static void big_sets(void **state) {
  struct world *w = *state;
  struct tide_buf text = TIDE_BUF_INIT;
  tide_buf_str(&text, "items in (0");
  for (int i = 700; i > 1; i--) tide_buf_printf(&text, ",%d", i * 2);
  tide_buf_char(&text, ')');
  const struct tide_expr *expr = parse(w, tide_buf_cstr(&text));
  for (int i = -1; i < 2002; i++) {
    w->field[F_ITEMS] = tide_num(i);
    assert_int_equal(tide_expr_eval(expr, &w->env).yes, i == 0 || (i >= 4 && i <= 1400 && i % 2 == 0));
  }
  tide_buf_clear(&text);
  tide_buf_str(&text, "mcc in (0");
  for (int i = 1; i < 300; i++) tide_buf_printf(&text, ",%d", i * 7 % 1000 + 5000);
  tide_buf_char(&text, ')');
  expr = parse(w, tide_buf_cstr(&text));
  for (int m = 5000; m < 6000; m++) {
    bool there = false;
    for (int i = 1; i < 300; i++) there = there || i * 7 % 1000 + 5000 == m;
    char code[8];
    (void)snprintf(code, sizeof code, "%d", m);
    w->field[F_MCC] = text_value(code);
    assert_int_equal(tide_expr_eval(expr, &w->env).yes, there);
  }
  tide_buf_release(&text);
}

/* Ruling 30: what is legitimately not there. */
static void missing_operands(void **state) {
  struct world *w = *state;
  static const char *const comparisons[] = {"items > 3",        "items = items", "items != 3",    "3 < items",  "items in (3)",
                                            "items not in (3)", "country = NL",  "country != NL", "cnp = true", "cnp = false"};
  for (size_t i = 0; i < sizeof comparisons / sizeof *comparisons; i++) {
    in_derived(w, comparisons[i], "null(absent)");
    if (strstr(comparisons[i], "not in")) in_rule(w, comparisons[i], "true"); /* not of a comparison that is false */
    else in_rule(w, comparisons[i], "false");
  }
  in_rule(w, "not (items > 3)", "true");
  in_rule(w, "not cnp", "true"); /* as not (cnp = true) */
  in_derived(w, "not cnp", "null(absent)");
  in_rule(w, "card.idle > 3", "false"), in_derived(w, "card.idle > 3", "null(empty)");
  in_derived(w, "items > card.idle", "null(absent)"); /* the first operand says why */
  in_derived(w, "card.idle > items", "null(empty)");
}

static void untrusted_operands(void **state) {
  struct world *w = *state;
  w->slot[S_DECLINES] = stale_value(9);
  w->slot[S_IDLE] = too_late_value();
  in_both(w, "card.declines_10m > 3", "unknown(stale)");
  in_both(w, "not (card.declines_10m > 3)", "unknown(stale)");
  in_both(w, "card.declines_10m in (9)", "unknown(stale)");
  in_both(w, "card.idle = 1", "unknown(too_late)");
  in_both(w, "card.declines_10m > card.idle", "unknown(stale)");
  in_both(w, "card.idle > card.declines_10m", "unknown(too_late)");
  in_both(w, "items > card.idle", "unknown(too_late)"); /* unknown before missing */
  in_both(w, "card.declines_10m", "9?stale");
}

/* Kleene's tables; in a rule a missing bool counts as false. F T M (missing) U (unknown). */
static void truth_tables(void **state) {
  struct world *w = *state;
  static const char *const part[] = {"false", "true", "cnp", "(card.idle > 1)"};
  static const char *const and_rule[4][4] = {{"F", "F", "F", "F"}, {"F", "T", "F", "U"}, {"F", "F", "F", "F"}, {"F", "U", "F", "U"}};
  static const char *const or_rule[4][4] = {{"F", "T", "F", "U"}, {"T", "T", "T", "T"}, {"F", "T", "F", "U"}, {"U", "T", "U", "U"}};
  static const char *const and_derived[4][4] = {{"F", "F", "F", "F"}, {"F", "T", "M", "U"}, {"F", "M", "M", "U"}, {"F", "U", "U", "U"}};
  static const char *const or_derived[4][4] = {{"F", "T", "M", "U"}, {"T", "T", "T", "T"}, {"M", "T", "M", "U"}, {"U", "T", "U", "U"}};
  w->slot[S_IDLE] = too_late_value();
  for (int rule = 0; rule < 2; rule++)
    for (int a = 0; a < 4; a++)
      for (int b = 0; b < 4; b++)
        for (int is_or = 0; is_or < 2; is_or++) {
          char text[64];
          (void)snprintf(text, sizeof text, "%s %s %s", part[a], is_or ? "or" : "and", part[b]);
          const char *want = rule ? (is_or ? or_rule : and_rule)[a][b] : (is_or ? or_derived : and_derived)[a][b];
          gives(w, rule, text, *want == 'F' ? "false" : *want == 'T' ? "true" : *want == 'M' ? "null(absent)" : "unknown(too_late)");
        }
}

static void asking(void **state) {
  struct world *w = *state;
  w->field[F_ITEMS] = tide_num(1);
  w->slot[S_DECLINES] = stale_value(9);
  w->slot[S_SPEND] = too_late_value();
  w->slot[S_CARDS] = capped_value(100);
  in_both(w, "items is known", "true"), in_both(w, "items is empty", "false"), in_both(w, "items is absent", "false");
  in_both(w, "country is known", "false"), in_both(w, "country is absent", "true"), in_both(w, "country is empty", "false");
  in_both(w, "card.idle is empty", "true"), in_both(w, "card.idle is not empty", "false"), in_both(w, "card.idle is absent", "false");
  in_both(w, "card.declines_10m is known", "false"), in_both(w, "card.declines_10m is empty", "false");
  in_both(w, "card.spend_24h is known", "false"), in_both(w, "card.spend_24h is empty", "false");
  in_both(w, "ip.cards_1h is known", "true");
  in_both(w, "(1 / 0) is empty", "true");
}

/* Ruling 31: a capped count of 100 says "101 or more". */
static void bounds_decide(void **state) {
  struct world *w = *state;
  w->slot[S_CARDS] = capped_value(100);
  static const struct {
    const char *text, *result;
  } cases[] = {{"ip.cards_1h > 100", "true"},
               {"ip.cards_1h > 101", "?"},
               {"ip.cards_1h >= 101", "true"},
               {"ip.cards_1h >= 102", "?"},
               {"ip.cards_1h < 101", "false"},
               {"ip.cards_1h < 102", "?"},
               {"ip.cards_1h <= 100", "false"},
               {"ip.cards_1h <= 101", "?"},
               {"ip.cards_1h = 100", "false"},
               {"ip.cards_1h = 101", "?"},
               {"ip.cards_1h != 100", "true"},
               {"ip.cards_1h != 101", "?"},
               {"100 < ip.cards_1h", "true"},
               {"101 < ip.cards_1h", "?"},
               {"101 <= ip.cards_1h", "true"},
               {"101 > ip.cards_1h", "false"},
               {"100 >= ip.cards_1h", "false"},
               {"102 > ip.cards_1h", "?"},
               {"100 = ip.cards_1h", "false"},
               {"ip.cards_1h in (1, 100)", "false"},
               {"ip.cards_1h in (200, 1)", "?"},
               {"ip.cards_1h not in (5)", "true"},
               {"ip.cards_1h > ip.cards_1h", "?"},
               {"ip.cards_1h = ip.cards_1h", "?"},
               {"ip.cards_1h + 1 > 5", "?"},
               {"ip.cards_1h / 2 > 5", "?"},
               {"-ip.cards_1h < 0", "?"},
               {"max(ip.cards_1h, 1) > 5", "?"},
               {"if(true, ip.cards_1h, 0) > 100", "true"},
               {"if(true, ip.cards_1h, 0) > 500", "?"}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
    in_both(w, cases[i].text, *cases[i].result == '?' ? "unknown(saturated)" : cases[i].result);
  in_both(w, "ip.cards_1h", "100~saturated");
  in_both(w, "ip.cards_1h + 1", "101?saturated");
  in_both(w, "ip.cards_1h + card.idle", "unknown(saturated)"); /* unknown wins over empty */
  in_rule(w, "ip.cards_1h > items", "false");                  /* what is missing is missing */
  w->slot[S_DECLINES] = stale_value(1);
  in_both(w, "ip.cards_1h > card.declines_10m", "unknown(stale)");
  world_derive(w, "alias", "ip.cards_1h");
  in_rule(w, "alias > 100", "true");
  in_rule(w, "alias > 500", "unknown(saturated)");
}

static void arithmetic(void **state) {
  struct world *w = *state;
  w->field[F_ITEMS] = tide_num(6);
  in_both(w, "items + 2 * 3 - 1", "11"), in_both(w, "items / 4", "1.5"), in_both(w, "-items", "-6"), in_both(w, "abs(2 - items)", "4");
  in_both(w, "min(items, 2, 9)", "2"), in_both(w, "max(items, 2, 9)", "9");
  in_both(w, "items / 0", "null(empty)"), in_both(w, "0 / 0", "null(empty)"), in_both(w, "items / (items - 6)", "null(empty)");
  in_both(w, "log1p(0)", "0"), in_both(w, "log1p(-1)", "null(empty)"), in_both(w, "log1p(-2)", "null(empty)");
  assert_true(eval(w, "log1p(1.5)", false).num == 0.916290732); /* rounded to 1e-9 */
  assert_true(eval(w, "log1p(-0.999999999999)", false).num == round(log1p(-0.999999999999) * 1e9) / 1e9);
  in_both(w, "opened + 1", "null(absent)"), in_both(w, "card.idle * items", "null(empty)"),
      in_both(w, "opened + card.idle", "null(absent)");
  in_rule(w, "items / 0 > 1", "false"), in_derived(w, "items / 0 > 1", "null(empty)");
}

static void overflow_is_empty(void **state) {
  struct world *w = *state;
  in_both(w, "1e308 * 10", "null(empty)");
  in_both(w, "-1e308 * 10", "null(empty)");
  w->slot[S_DECLINES] = stale_value(0);
  in_both(w, "1 / card.declines_10m", "unknown(stale)"); /* nobody knows whether it is zero */
  in_both(w, "card.declines_10m / 0", "unknown(stale)");
  in_both(w, "log1p(card.declines_10m - 5)", "unknown(stale)");
}

static void states_travel(void **state) {
  struct world *w = *state;
  struct tide_value marked = tide_num(10);
  marked.state = TIDE_S_warming, marked.cause = TIDE_C_warming;
  w->slot[S_SPEND] = marked;
  struct tide_value defaulted = tide_num(2);
  defaulted.state = TIDE_S_defaulted;
  w->slot[S_DECLINES] = defaulted;
  in_both(w, "card.spend_24h + 1", "11~warming"), in_both(w, "1 + card.spend_24h", "11~warming"),
      in_both(w, "-card.spend_24h", "-10~warming");
  in_both(w, "card.declines_10m * card.spend_24h", "20~defaulted"); /* the first one */
  in_both(w, "max(1, card.declines_10m)", "2~defaulted");
  in_both(w, "card.spend_24h > 5", "true"); /* marked values are used */
  w->slot[S_IDLE] = stale_value(3);
  in_both(w, "card.spend_24h + card.idle", "13?stale"); /* unknown before marked */
  in_both(w, "card.idle + 1", "4?stale");
  in_both(w, "card.idle + opened", "unknown(stale)");
}

static void choosing(void **state) {
  struct world *w = *state;
  w->field[F_CNP] = tide_bool(true);
  w->slot[S_IDLE] = too_late_value();
  in_both(w, "if(cnp, 1, 2)", "1"), in_both(w, "if(not cnp, 1, 2)", "2");
  in_both(w, "if(cnp, 1, card.idle)", "1"); /* the other branch does not matter */
  in_both(w, "if(card.idle > 1, 1, 2)", "unknown(too_late)");
  in_derived(w, "if(items > 1, 1, 2)", "null(absent)");
  in_rule(w, "if(items > 1, 1, 2)", "2"); /* in a rule that condition is false */
  w->field[F_CNP] = absent_value();
  in_derived(w, "if(cnp, 1, 2)", "null(absent)");
  in_rule(w, "if(cnp, 1, 2)", "2");
}

static void outcomes_lists_score_time(void **state) {
  struct world *w = *state;
  w->dyn[TIDE_DYN_result] = text_value("declined");
  w->dyn[TIDE_DYN_amount_now] = tide_num(12.5);
  w->dyn[TIDE_DYN_disputed] = tide_bool(false);
  in_both(w, "result = declined", "true"), in_both(w, "result in (approved, partial)", "false"), in_both(w, "amount = 12.50", "true");
  in_both(w, "not disputed", "true");
  w->listed = true;
  in_both(w, "card in blocked_cards", "true"), in_both(w, "card not in blocked_cards", "false");
  w->listed = false, w->list_missing = true;
  in_rule(w, "card in blocked_cards", "false"), in_derived(w, "card in blocked_cards", "null(absent)"),
      in_rule(w, "card not in blocked_cards", "true");
  w->env.score = tide_num(0.93);
  in_both(w, "score >= 0.90", "true");
  w->env.score = tide_null(TIDE_S_stale, TIDE_C_score);
  w->env.score.unknown = true;
  in_both(w, "score >= 0.90", "unknown(score)");
  w->env.time.ms = INT64_C(1700000000000); /* 2023-11-14T22:13:20Z, a Tuesday */
  in_both(w, "hour(time, \"UTC\")", "22"), in_both(w, "weekday(time, \"UTC\")", "2"), in_both(w, "hour(time, \"Europe/Amsterdam\")", "23");
  in_both(w, "time - 1699999000", "1000");
  world_derive(w, "night", "hour(time, \"UTC\") >= 22");
  world_derive(w, "odd", "card.idle > 1");
  in_rule(w, "night", "true"), in_rule(w, "night and odd", "false"), in_rule(w, "not odd", "true"), in_rule(w, "odd = false", "false");
}

/* ---- the law ---- */

static uint64_t seed = 88172645463325252ull;
static unsigned roll(unsigned n) {
  seed ^= seed << 13, seed ^= seed >> 7, seed ^= seed << 17;
  return (unsigned)(seed >> 33) % n;
}

static void random_number(struct tide_buf *out, int depth) {
  static const char *const leaf[] = {"card.declines_10m", "card.spend_24h", "ip.cards_1h", "card.idle", "items", "0", "1", "3", "5", "101"};
  if (depth <= 0 || roll(2)) {
    tide_buf_str(out, leaf[roll(sizeof leaf / sizeof *leaf)]);
    return;
  }
  static const char *const form[] = {
      "(%+%)", "(%-%)", "(%*%)", "(%/%)", "max(%,%)", "min(%,%)", "abs(-%)", "log1p(%)", "if(items > 2, %, %)"};
  for (const char *c = form[roll(sizeof form / sizeof *form)]; *c; c++)
    if (*c == '%') random_number(out, depth - 1);
    else tide_buf_char(out, *c);
}

static void random_condition(struct tide_buf *out, int depth) {
  static const char *const form[] = {"(& and &)", "(& or &)", "not &",          "%>%", "%>=%", "%<%", "%<=%",
                                     "%=%",       "%!=%",     "% in (1,3,101)", "cnp"};
  unsigned f = depth > 0 ? roll(11) : 3 + roll(8);
  for (const char *c = form[f]; *c; c++)
    if (*c == '&') random_condition(out, depth - 1);
    else if (*c == '%') random_number(out, depth - 2);
    else tide_buf_char(out, *c);
}

static struct tide_value random_exact(void) { return roll(5) ? tide_num(roll(7)) : empty_value(); }

/* Whatever the truth behind stale values and bounds is, an answer that was given stays the same. A wrong entry in the tables of and/or,
 * in the bounds or in the rules for arithmetic breaks here. */
static void known_does_not_depend_on_unknown(void **state) {
  struct world *w = *state;
  unsigned decided = 0, undecided = 0;
  struct tide_buf text = TIDE_BUF_INIT;
  for (int round = 0; round < 20000; round++) {
    tide_buf_clear(&text);
    random_condition(&text, 4);
    const struct tide_expr *expr = parse(w, tide_buf_cstr(&text));
    assert_non_null(expr);
    w->env.rule = true;
    for (int i = 0; i < S_COUNT; i++) w->slot[i] = random_exact();
    w->field[F_ITEMS] = roll(4) ? tide_num(roll(6)) : absent_value();
    w->field[F_CNP] = roll(3) ? tide_bool(roll(2)) : absent_value();
    unsigned hidden = roll(16);
    for (int i = 0; i < 4; i++)
      if (hidden >> i & 1) w->slot[i] = i == S_CARDS ? capped_value(100) : roll(2) ? stale_value(roll(9)) : too_late_value();
    struct tide_value answer = tide_expr_eval(expr, &w->env);
    if (answer.unknown) {
      undecided++;
      continue;
    }
    decided++;
    bool yes = answer.type == TIDE_V_BOOL && answer.yes;
    for (int k = 0; k < 8; k++) {
      for (int i = 0; i < 4; i++)
        if (hidden >> i & 1) w->slot[i] = i == S_CARDS ? tide_num(101 + roll(3)) : random_exact();
      struct tide_value truth = tide_expr_eval(expr, &w->env);
      assert_false(truth.unknown);
      if ((truth.type == TIDE_V_BOOL && truth.yes) != yes) fail_msg("%s was answered %d, and is %d", tide_buf_cstr(&text), yes, !yes);
    }
  }
  assert_true(decided > 4000 && undecided > 4000);
  tide_buf_release(&text);
}

/* LANGUAGE.md lists every state and cause, causes with the words of the table. */
static void documented(void **state) {
  (void)state;
  static char page[1 << 16];
  FILE *file = fopen("feature/LANGUAGE.md", "r");
  assert_non_null(file);
  page[fread(page, 1, sizeof page - 1, file)] = '\0';
  (void)fclose(file);
  char row[256];
  for (int c = 0; c < TIDE_C_COUNT; c++) {
    (void)snprintf(row, sizeof row, "| `%s` | %s |\n", tide_cause_name((enum tide_cause)c), tide_cause_text((enum tide_cause)c));
    if (!strstr(page, row)) fail_msg("feature/LANGUAGE.md lacks the row: %s", row);
  }
  for (int s = 0; s < TIDE_S_COUNT; s++) {
    (void)snprintf(row, sizeof row, "\n| `%s` | ", tide_vstate_name((enum tide_vstate)s));
    if (!strstr(page, row)) fail_msg("feature/LANGUAGE.md lacks the state %s", tide_vstate_name((enum tide_vstate)s));
  }
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(text_codes),
                                     T(comparisons),
                                     T(big_sets),
                                     T(missing_operands),
                                     T(untrusted_operands),
                                     T(truth_tables),
                                     T(asking),
                                     T(bounds_decide),
                                     T(arithmetic),
                                     T(overflow_is_empty),
                                     T(states_travel),
                                     T(choosing),
                                     T(outcomes_lists_score_time),
                                     T(known_does_not_depend_on_unknown),
                                     cmocka_unit_test(documented)};
  return cmocka_run_group_tests_name("expr_eval", tests, NULL, NULL);
}
