/* Compiled expressions against a plain recursive evaluation written here from LANGUAGE.md: random conditions and values, many to a program, over values of
 * every kind. What is compared is everything that comes out: truth, and of values the number, state, cause and `unknown`. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "feature/program.h"
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

/* ---- the plain evaluation ---- */

typedef struct tide_value value;

static bool lacks(value v) { return v.type == TIDE_V_NULL || v.unknown; }
static bool capped(value v) { return !lacks(v) && v.state == TIDE_S_saturated; }

static value nothing(value a, value b) {
  value from = a.unknown ? a : b.unknown ? b : a.type == TIDE_V_NULL ? a : b;
  value v = tide_null((enum tide_vstate)from.state, (enum tide_cause)from.cause);
  v.unknown = from.unknown;
  return v;
}

static value too_little(void) {
  value v = tide_null(TIDE_S_saturated, TIDE_C_saturated);
  v.unknown = true;
  return v;
}

static bool holds(enum tide_op op, double x, double y) {
  return op == TIDE_X_EQ   ? x == y
         : op == TIDE_X_NE ? x != y
         : op == TIDE_X_LT ? x < y
         : op == TIDE_X_LE ? x <= y
         : op == TIDE_X_GT ? x > y
                           : x >= y;
}

/* "More than n", a whole number: what holds for n + 1 and for one beyond all others alike is known. With equality, also where it could not be reached. */
static value beyond(enum tide_op op, double n, double y) {
  bool least = holds(op, n + 1, y), most = holds(op, INFINITY, y);
  if (op == TIDE_X_EQ || op == TIDE_X_NE) return y < n + 1 ? tide_bool(op == TIDE_X_NE) : too_little();
  return least == most ? tide_bool(least) : too_little();
}

static enum tide_op turned(enum tide_op op) {
  return op == TIDE_X_LT ? TIDE_X_GT : op == TIDE_X_LE ? TIDE_X_GE : op == TIDE_X_GT ? TIDE_X_LT : op == TIDE_X_GE ? TIDE_X_LE : op;
}

static value compared(enum tide_op op, value a, value b, bool rule) {
  if (lacks(a) || lacks(b)) {
    value v = nothing(a, b);
    return rule && !v.unknown ? tide_bool(false) : v;
  }
  if (a.type == TIDE_V_TEXT) return tide_bool((a.code == b.code) == (op == TIDE_X_EQ));
  if (a.type == TIDE_V_BOOL) return tide_bool((a.yes == b.yes) == (op == TIDE_X_EQ));
  if (capped(a) && capped(b)) return too_little();
  if (capped(a)) return beyond(op, a.num, b.num);
  if (capped(b)) return beyond(turned(op), b.num, a.num);
  return tide_bool(holds(op, a.num, b.num));
}

static value in_set(const struct tide_expr *e, value a, bool rule) {
  value v = tide_bool(false);
  if (lacks(a)) return compared(TIDE_X_EQ, a, a, rule);
  for (uint32_t i = 0; i < e->set_count; i++) {
    value member = a.type == TIDE_V_TEXT ? tide_text(e->set[i].code) : tide_num(e->set[i].num);
    v = compared(TIDE_X_EQ, a, member, rule);
    if (v.unknown || v.yes) return v;
  }
  return v;
}

static value calculated(enum tide_op op, value a, value b) {
  value *part[] = {&a, &b};
  for (int i = 0; i < 2; i++)
    if (capped(*part[i])) part[i]->unknown = true, part[i]->cause = TIDE_C_saturated;
  if (a.type == TIDE_V_NULL || b.type == TIDE_V_NULL) return nothing(a, b);
  double x = a.num, y = b.num, n = NAN;
  switch (op) {
    case TIDE_X_ADD: n = x + y; break;
    case TIDE_X_SUB: n = x - y; break;
    case TIDE_X_MUL: n = x * y; break;
    case TIDE_X_DIV: n = y == 0 ? (double)NAN : x / y; break;
    case TIDE_X_MIN: n = y < x ? y : x; break;
    case TIDE_X_MAX: n = y > x ? y : x; break;
    case TIDE_X_NEG: n = -x; break;
    case TIDE_X_ABS: n = fabs(x); break;
    default: n = x <= -1 ? (double)NAN : round(log1p(x) * 1e9) / 1e9; break;
  }
  if (!isfinite(n)) return a.unknown || b.unknown ? nothing(a, b) : empty_value();
  value v = a.unknown ? a : b.unknown ? b : a.state != TIDE_S_fresh ? a : b;
  v.num = n;
  return v;
}

static value plain(const struct tide_expr *e, const struct tide_env *env);

/* A part of and, or, not, if. */
static value side(const struct tide_expr *e, const struct tide_env *env) {
  value v = plain(e, env);
  return env->rule && v.type == TIDE_V_NULL && !v.unknown ? tide_bool(false) : v;
}

static value plain(const struct tide_expr *e, const struct tide_env *env) {
  enum tide_op op = (enum tide_op)e->op;
  value a = {0}, b = {0};
  bool missing = false;
  switch (op) {
    case TIDE_X_NUM: return tide_num(e->num);
    case TIDE_X_TEXT: return tide_text(e->code);
    case TIDE_X_TRUE: return tide_bool(true);
    case TIDE_X_FALSE: return tide_bool(false);
    case TIDE_X_FIELD: return env->field[e->ref];
    case TIDE_X_DYN: return env->dyn[e->ref];
    case TIDE_X_FEATURE: return env->slot[e->ref];
    case TIDE_X_DERIVED: return env->derived[e->ref];
    case TIDE_X_SCORE: return env->score;
    case TIDE_X_EVENT_TIME: return tide_num((double)env->time.ms / 1000.0);
    case TIDE_X_HOUR: return tide_num(tide_zone_hour(e->zone, env->time));
    case TIDE_X_WEEKDAY: return tide_num(tide_zone_weekday(e->zone, env->time));
    case TIDE_X_EQ:
    case TIDE_X_NE:
    case TIDE_X_LT:
    case TIDE_X_LE:
    case TIDE_X_GT:
    case TIDE_X_GE: return compared(op, plain(e->a, env), plain(e->b, env), env->rule);
    case TIDE_X_IN: return in_set(e, plain(e->a, env), env->rule);
    case TIDE_X_IN_LIST: {
      bool on = env->in_list(env->in_list_ctx, e->ref, e->a, &missing);
      return !missing ? tide_bool(on) : env->rule ? tide_bool(false) : absent_value();
    }
    case TIDE_X_IS_EMPTY:
    case TIDE_X_IS_ABSENT:
      a = plain(e->a, env);
      return tide_bool(a.type == TIDE_V_NULL && a.cause == (op == TIDE_X_IS_EMPTY ? TIDE_C_empty : TIDE_C_absent));
    case TIDE_X_IS_KNOWN: return tide_bool(!lacks(plain(e->a, env)));
    case TIDE_X_AND:
    case TIDE_X_OR:
      a = side(e->a, env), b = side(e->b, env);
      if ((!lacks(a) && a.yes == (op == TIDE_X_OR)) || (!lacks(b) && b.yes == (op == TIDE_X_OR))) return tide_bool(op == TIDE_X_OR);
      return lacks(a) || lacks(b) ? nothing(a, b) : tide_bool(op == TIDE_X_AND);
    case TIDE_X_NOT: a = side(e->a, env); return lacks(a) ? nothing(a, a) : tide_bool(!a.yes);
    case TIDE_X_IF: a = side(e->a, env); return lacks(a) ? nothing(a, a) : plain(a.yes ? e->b : e->c, env);
    default: a = plain(e->a, env); return calculated(op, a, e->b ? plain(e->b, env) : a);
  }
}

/* ---- random expressions and values ---- */

static uint64_t seed = 88172645463325252ull;
static unsigned roll(unsigned n) {
  seed ^= seed << 13, seed ^= seed >> 7, seed ^= seed << 17;
  return (unsigned)(seed >> 33) % n;
}

/* % a number, & a condition, anything else as it is. */
static void put(struct tide_buf *out, const char *const *form, unsigned forms, int depth);

static void number(struct tide_buf *out, int depth) {
  static const char *const leaf[] = {"card.declines_10m",
                                     "card.spend_24h",
                                     "ip.cards_1h",
                                     "card.idle",
                                     "items",
                                     "amount",
                                     "score",
                                     "0",
                                     "1",
                                     "3",
                                     "5",
                                     "101",
                                     "high",
                                     "jump"};
  static const char *const form[] = {"(%+%)",
                                     "(%-%)",
                                     "(%*%)",
                                     "(%/%)",
                                     "max(%,%)",
                                     "min(%,%)",
                                     "abs(-%)",
                                     "log1p(%)",
                                     "if(&, %, %)",
                                     "hour(time, \"UTC\")",
                                     "weekday(time, \"Europe/Amsterdam\")",
                                     "(time - 1700000000)"};
  if (depth <= 0 || roll(2)) put(out, leaf, sizeof leaf / sizeof *leaf, depth);
  else put(out, form, sizeof form / sizeof *form, depth);
}

static void condition(struct tide_buf *out, int depth) {
  static const char *const leaf[] = {"% > %",
                                     "% >= 3",
                                     "% < %",
                                     "5 <= %",
                                     "% = %",
                                     "% != 3",
                                     "% in (1, 3, 101)",
                                     "% not in (1, 5)",
                                     "cnp",
                                     "cnp = true",
                                     "late",
                                     "true",
                                     "country = NL",
                                     "country != NL",
                                     "country in (NL, BE)",
                                     "kind in (auth, card_added)",
                                     "result = declined",
                                     "result not in (approved, pending)",
                                     "label = fraud",
                                     "reason = \"05\"",
                                     "disputed",
                                     "reversed != full",
                                     "amount <= 2.00",
                                     "card in blocked_cards",
                                     "% is empty",
                                     "% is absent",
                                     "% is known",
                                     "card.last_country = country"};
  static const char *const form[] = {
      "(& and &)",           "(& or &)", "not &", "(& and & and &)", "(& or & or not &)", "if(&, &, &)", "(& and &) is empty",
      "(& or cnp) is absent"};
  if (depth <= 0 || roll(3) == 0) put(out, leaf, sizeof leaf / sizeof *leaf, depth - 1);
  else put(out, form, sizeof form / sizeof *form, depth);
}

static void put(struct tide_buf *out, const char *const *form, unsigned forms, int depth) {
  for (const char *c = form[roll(forms)]; *c; c++)
    if (*c == '%') number(out, depth - 1);
    else if (*c == '&') condition(out, depth - 1);
    else tide_buf_char(out, *c);
}

static const struct tide_expr *random_expr(struct world *w, bool wants_number, int depth) {
  struct tide_buf text = TIDE_BUF_INIT;
  if (wants_number) number(&text, depth);
  else condition(&text, depth);
  const struct tide_expr *expr = parse(w, tide_buf_cstr(&text));
  assert_non_null(expr);
  tide_buf_release(&text);
  return expr;
}

static value random_number(void) {
  switch (roll(9)) {
    case 0: return empty_value();
    case 1: return absent_value();
    case 2: return stale_value(roll(6));
    case 3: return too_late_value();
    case 4: return capped_value(roll(2) ? 100 : 3);
    case 5: {
      value v = tide_num(roll(6));
      v.state = TIDE_S_warming, v.cause = TIDE_C_warming;
      return v;
    }
    default: return tide_num(roll(7) - 1.0);
  }
}

static void random_values(struct world *w) {
  static const char *const country[] = {"NL", "BE", "US"}, *const kind[] = {"auth", "card_added", "advice"},
                           *const result[] = {"pending", "approved", "declined"};
  for (int i = 0; i < S_COUNT; i++) w->slot[i] = random_number();
  w->slot[S_LAST] = roll(3) ? text_value(country[roll(3)]) : roll(2) ? empty_value() : too_late_value();
  w->field[F_ITEMS] = roll(4) ? tide_num(roll(6)) : absent_value();
  w->field[F_CNP] = roll(3) ? tide_bool(roll(2)) : absent_value();
  w->field[F_COUNTRY] = roll(4) ? text_value(country[roll(3)]) : absent_value();
  w->field[F_KIND] = text_value(kind[roll(3)]);
  w->dyn[TIDE_DYN_result] = text_value(result[roll(3)]);
  w->dyn[TIDE_DYN_label] = text_value(roll(2) ? "fraud" : "unknown");
  w->dyn[TIDE_DYN_reason] = roll(2) ? text_value("05") : absent_value();
  w->dyn[TIDE_DYN_disputed] = tide_bool(roll(2));
  w->dyn[TIDE_DYN_reversed] = text_value(roll(2) ? "full" : "none");
  w->dyn[TIDE_DYN_amount_now] = roll(5) ? tide_num(roll(5)) : absent_value();
  w->env.score = roll(2) ? tide_num(roll(3) / 2.0) : too_late_value();
  w->env.time.ms = INT64_C(1700000000000) + roll(100000) * INT64_C(1000003);
  w->listed = roll(2), w->list_missing = roll(4) == 0;
}

static void names(struct world *w) {
  world_derive(w, "high", "card.spend_24h / max(items, 1)");
  world_derive(w, "jump", "high + card.idle");
  world_derive(w, "late", "jump > 2 or cnp");
}

static void derive_plainly(struct world *w) {
  w->env.rule = false;
  for (uint32_t d = 0; d < w->spec->derived_count; d++) w->derived[d] = plain(w->spec->derived[d].expr, &w->env);
}

/* ---- tests ---- */

#define ROOTS 24

static void check_truths(struct world *w, const struct tide_program *program, const struct tide_expr *const *root, unsigned count,
                         bool rule, unsigned tally[3]) {
  struct tide_truths got;
  derive_plainly(w);
  w->env.rule = rule;
  tide_program_test(program, &w->env, &got);
  for (unsigned r = 0; r < count; r++) {
    bool is = got.yes[r / 64] >> (r % 64) & 1, is_neither = got.neither[r / 64] >> (r % 64) & 1;
    value v = plain(root[r], &w->env);
    bool yes = v.type == TIDE_V_BOOL && v.yes && !v.unknown, neither = v.unknown || (v.type == TIDE_V_NULL && !rule);
    if (yes != is || neither != is_neither) {
      struct tide_buf text = TIDE_BUF_INIT;
      print_expr(w->spec, root[r], &text);
      fail_msg("%s in a %s: %s, program %d %d", tide_buf_cstr(&text), rule ? "rule" : "condition",
               yes       ? "true"
               : neither ? "neither"
                         : "false",
               is, is_neither);
    }
    tally[yes ? 1 : neither ? 2 : 0]++;
    value tree = tide_expr_eval(root[r], &w->env);
    assert_int_equal(tree.type == TIDE_V_BOOL && tree.yes && !tree.unknown, yes);
    assert_int_equal(tree.unknown, v.unknown);
  }
  for (unsigned r = count; r < TIDE_PROGRAM_TRUTHS; r++) assert_int_equal((got.yes[r / 64] | got.neither[r / 64]) >> (r % 64) & 1, 0);
}

static void conditions(void **state) {
  struct world *w = *state;
  names(w);
  unsigned tally[3] = {0};
  for (int round = 0; round < 400; round++) {
    const struct tide_expr *root[ROOTS];
    struct tide_arena arena = TIDE_ARENA_INIT;
    bool rule = round % 2;
    for (int r = 0; r < ROOTS; r++) root[r] = random_expr(w, false, 1 + (int)roll(4));
    struct tide_program *program = tide_program_conditions(&arena, root, ROOTS, rule, NULL);
    for (int k = 0; k < 20; k++) random_values(w), check_truths(w, program, root, ROOTS, rule, tally);
    tide_arena_release(&arena);
  }
  for (int t = 0; t < 3; t++) assert_true(tally[t] > 20000);
}

/* Columns whose value is known beforehand: the same results where they have it. */
static void known_columns(void **state) {
  struct world *w = *state;
  names(w);
  unsigned tally[3] = {0};
  for (int round = 0; round < 200; round++) {
    const struct tide_expr *root[ROOTS];
    struct tide_arena arena = TIDE_ARENA_INIT;
    for (int r = 0; r < ROOTS; r++) root[r] = random_expr(w, false, 1 + (int)roll(4));
    random_values(w);
    struct tide_value given[TIDE_DYN_COUNT];
    memcpy(given, w->dyn, sizeof given);
    const struct tide_known_dyn known = {((1u << TIDE_DYN_COUNT) - 1) & ~(1u << TIDE_DYN_amount_now), given};
    struct tide_program *program = tide_program_conditions(&arena, root, ROOTS, false, &known);
    for (int k = 0; k < 10; k++) {
      random_values(w);
      for (int d = 0; d < TIDE_DYN_COUNT; d++)
        if (known.known >> d & 1) w->dyn[d] = given[d];
      check_truths(w, program, root, ROOTS, false, tally);
    }
    tide_arena_release(&arena);
  }
  for (int t = 0; t < 3; t++) assert_true(tally[t] > 4000);
}

/* As many roots as there may be: some of them equal, and negated, in both words. */
static void many_roots(void **state) {
  struct world *w = *state;
  names(w);
  unsigned tally[3] = {0};
  for (int round = 0; round < 20; round++) {
    const struct tide_expr *root[TIDE_PROGRAM_TRUTHS];
    struct tide_arena arena = TIDE_ARENA_INIT;
    unsigned count = round % 2 ? TIDE_PROGRAM_TRUTHS : 65 + roll(60);
    for (unsigned r = 0; r < count; r++) root[r] = r > 8 && roll(3) == 0 ? root[roll(r)] : random_expr(w, false, (int)roll(4));
    struct tide_program *program = tide_program_conditions(&arena, root, count, round % 3, NULL);
    for (int k = 0; k < 10; k++) random_values(w), check_truths(w, program, root, count, round % 3, tally);
    tide_arena_release(&arena);
  }
  for (int t = 0; t < 3; t++) assert_true(tally[t] > 2000);
}

/* Numbers on and beside the bound, of either sign, both zeros. */
static void bounds(void **state) {
  struct world *w = *state;
  static const char *const op[] = {"<", "<=", ">", ">=", "=", "!="};
  static const double with[] = {0, -1, 1e-300, 2.5, -1e300};
  for (size_t i = 0; i < sizeof with / sizeof *with; i++) {
    const double x[] = {with[i], nextafter(with[i], INFINITY), nextafter(with[i], -INFINITY), -with[i], 0, -0.0, 1e308, -1e308, 5e-324};
    const struct tide_expr *root[6];
    struct tide_arena arena = TIDE_ARENA_INIT;
    for (int o = 0; o < 6; o++) {
      struct tide_buf text = TIDE_BUF_INIT;
      tide_buf_printf(&text, "card.idle %s %s%.*f", op[o], with[i] < 0 ? "-" : "", fabs(with[i]) < 1 ? 310 : 1, fabs(with[i]));
      root[o] = parse(w, tide_buf_cstr(&text));
      if (!root[o]) fail_msg("%s", tide_buf_cstr(&text));
      tide_buf_release(&text);
    }
    struct tide_program *program = tide_program_conditions(&arena, root, 6, true, NULL);
    unsigned tally[3] = {0};
    for (size_t k = 0; k < sizeof x / sizeof *x; k++) w->slot[S_IDLE] = tide_num(x[k]), check_truths(w, program, root, 6, true, tally);
    tide_arena_release(&arena);
  }
}

static void same(const struct world *w, const struct tide_expr *expr, value want, value got) {
  if (want.type == got.type && want.state == got.state && want.cause == got.cause && want.unknown == got.unknown && want.code == got.code &&
      !got.reserved)
    return;
  struct tide_buf text = TIDE_BUF_INIT;
  print_expr(w->spec, expr, &text);
  fail_msg("%s: type %d state %d cause %d unknown %d %g, program type %d state %d cause %d unknown %d %g", tide_buf_cstr(&text), want.type,
           want.state, want.cause, want.unknown, want.num, got.type, got.state, got.cause, got.unknown, got.num);
}

static void values(void **state) {
  struct world *w = *state;
  names(w);
  unsigned kinds[4] = {0}, unknowns = 0;
  for (int round = 0; round < 400; round++) {
    const struct tide_expr *root[8];
    struct tide_arena arena = TIDE_ARENA_INIT;
    w->spec->derived_count = 3;
    for (uint32_t d = 0; d < 8; d++) root[d] = d < 3 ? w->spec->derived[d].expr : random_expr(w, roll(4) > 0, (int)roll(5));
    struct tide_program *program = tide_program_values(&arena, root, 8);
    for (int k = 0; k < 20; k++) {
      struct tide_value got[8];
      random_values(w);
      w->env.rule = false;
      w->env.derived = got;
      tide_program_derive(program, &w->env, got);
      w->env.derived = w->derived;
      for (uint32_t d = 0; d < 8; d++) {
        w->derived[d] = plain(root[d], &w->env);
        same(w, root[d], w->derived[d], got[d]);
        value tree = tide_expr_eval(root[d], &w->env);
        same(w, root[d], w->derived[d], tree);
        kinds[got[d].type]++, unknowns += got[d].unknown;
      }
    }
    tide_arena_release(&arena);
  }
  assert_true(kinds[TIDE_V_NULL] > 4000 && kinds[TIDE_V_NUM] > 4000 && kinds[TIDE_V_BOOL] > 1000 && unknowns > 4000);
}

/* More different values than there are registers: what does not fit is walked as a tree, before and behind it nothing changes. */
static void what_does_not_fit(void **state) {
  struct world *w = *state;
  const struct tide_expr *root[ROOTS];
  struct tide_arena arena = TIDE_ARENA_INIT;
  struct tide_buf text = TIDE_BUF_INIT;
  unsigned tally[3] = {0};
  for (int r = 0; r < ROOTS; r++) {
    tide_buf_clear(&text);
    for (int i = 0; i < 60; i++) tide_buf_printf(&text, "%scard.idle * %d > items + %d", i ? " or " : "", i + 2, 60 * r + i + 40);
    root[r] = parse(w, r == ROOTS - 1 ? "card.idle > 1" : tide_buf_cstr(&text));
    assert_non_null(root[r]);
  }
  for (int rule = 0; rule < 2; rule++) {
    struct tide_program *program = tide_program_conditions(&arena, root, ROOTS, rule, NULL);
    for (int k = 0; k < 300; k++) random_values(w), w->slot[S_IDLE].num *= roll(30), check_truths(w, program, root, ROOTS, rule, tally);
  }
  struct tide_program *program = tide_program_values(&arena, root, ROOTS);
  for (int k = 0; k < 100; k++) {
    struct tide_value got[ROOTS];
    random_values(w);
    w->env.rule = false, w->env.derived = got;
    tide_program_derive(program, &w->env, got);
    w->env.derived = w->derived;
    for (int r = 0; r < ROOTS; r++) same(w, root[r], plain(root[r], &w->env), got[r]);
  }
  for (int t = 0; t < 3; t++) assert_true(tally[t] > 300);
  tide_buf_release(&text);
  tide_arena_release(&arena);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
  const struct CMUnitTest tests[] = {T(conditions), T(known_columns), T(many_roots), T(bounds), T(values), T(what_does_not_fit)};
  return cmocka_run_group_tests_name("program", tests, NULL, NULL);
}
