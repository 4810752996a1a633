/* Expressions and reason texts from any bytes: the parser ends, points into the text, and gives trees whose values keep their promises.
 *
 * The first byte picks what may be read, the second what stands in the values; the rest is the text, parsed both as an expression and as a
 * reason. Every accepted tree is evaluated as a derived value and as a rule, against values of every kind. */
#include "tests/support/expr_fixture.h"

#include "feature/policy.h"

#include <math.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct tide_value number_of(unsigned kind) {
  switch (kind % 6) {
    case 0: return tide_num(0);
    case 1: return tide_num(7);
    case 2: return empty_value();
    case 3: return stale_value(3);
    case 4: return too_late_value();
    default: return capped_value(100);
  }
}

static void evaluate(struct world *w, const struct tide_expr *expr) {
  for (int rule = 0; rule < 2; rule++) {
    w->env.rule = rule;
    struct tide_value v = tide_expr_eval(expr, &w->env);
    TIDE_CHECK(v.type == TIDE_V_NULL || v.type == expr->type);
    TIDE_CHECK(v.type != TIDE_V_NUM || isfinite(v.num));
    TIDE_CHECK(v.type != TIDE_V_NULL || v.cause != TIDE_C_none);
    if (expr->type != TIDE_V_BOOL) continue;
    TIDE_CHECK(!v.unknown || v.type == TIDE_V_NULL);
    if (!rule) continue;
    struct tide_rule rules[2] = {{.code = "R", .decision = 3, .when = expr, .say = ""}, {.code = "else", .say = ""}};
    struct tide_rule otherwise = {.code = "else", .decision = 2, .say = ""};
    struct tide_verdict verdict;
    w->spec->rule = rules, w->spec->rule_count = 2;
    w->spec->fallback = &otherwise, w->spec->fallback_count = 1;
    tide_policy_compile(w->spec, &w->spec->arena);
    tide_policy_decide(w->spec, &w->env, &verdict);
    TIDE_CHECK((tide_verdict_truth(&verdict, 0) == TIDE_UNKNOWN) == v.unknown);
    TIDE_CHECK((verdict.by == TIDE_BY_FALLBACK) == v.unknown);
    TIDE_CHECK(verdict.cause == (v.unknown ? v.cause : TIDE_C_none)); /* the blamed operand is the one whose cause came out */
  }
}

static void check_place(const struct tide_error *error, size_t len) {
  TIDE_CHECK(error->line == 7 && error->column >= 1 && (size_t)error->column <= len + 1);
  TIDE_CHECK(error->text[0] != '\0');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (size < 2 || size > 6000) return 0;
  struct world w;
  world_init(&w);
  world_derive(&w, "jump", "card.spend_24h / max(items, 1)");
  world_derive(&w, "high", "jump > 2 or ip.cards_1h > 50");
  unsigned kind = data[1];
  for (unsigned i = 0; i < S_COUNT; i++) w.slot[i] = number_of(kind >> i);
  w.slot[S_LAST] = kind & 1 ? text_value("NL") : empty_value();
  w.field[F_ITEMS] = kind & 2 ? tide_num(4) : absent_value();
  w.field[F_COUNTRY] = text_value("NL");
  w.field[F_CNP] = kind & 4 ? tide_bool(true) : absent_value();
  w.dyn[TIDE_DYN_result] = text_value("declined");
  w.list_missing = kind & 8;
  w.env.score = number_of(kind >> 3);
  w.env.score.state = w.env.score.state == TIDE_S_saturated ? TIDE_S_fresh : w.env.score.state;
  for (uint32_t d = 0; d < w.spec->derived_count; d++) w.derived[d] = tide_expr_eval(w.spec->derived[d].expr, &w.env);

  struct tide_span text = {(const char *)data + 2, size - 2};
  struct tide_scope scope = {.spec = w.spec, .allow = data[0] & 1 ? EVERYTHING : data[0] >> 1};
  struct tide_error error = {0};
  const struct tide_expr *expr;
  if (tide_expr_parse(&scope, text, 7, 1, TIDE_V_NULL, &expr, &error)) check_place(&error, text.len);
  else evaluate(&w, expr);

  struct tide_rule rule = {.code = "R"};
  if (tide_say_parse(&scope, text, 7, 1, &rule.parts, &rule.say_count, &error)) {
    check_place(&error, text.len);
  } else {
    struct tide_buf out = TIDE_BUF_INIT;
    tide_policy_say(w.spec, &rule, &w.env, &out);
    tide_buf_release(&out);
  }
  world_release(&w);
  return 0;
}
