/* What expressions become, and where and how mistakes are told. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/support/expr_fixture.h"

static int setup(void **state) {
  static struct world w;
  world_init(&w);
  world_derive(&w, "jump", "card.spend_24h / max(items, 1)");
  world_derive(&w, "night", "hour(time, \"UTC\") < 6");
  *state = &w;
  return 0;
}

static int teardown(void **state) {
  world_release(*state);
  return 0;
}

static void becomes(struct world *w, const char *text, const char *expected) {
  const struct tide_expr *expr = parse(w, text);
  assert_non_null(expr);
  struct tide_buf out = TIDE_BUF_INIT;
  print_expr(w->spec, expr, &out);
  assert_string_equal(tide_buf_cstr(&out), expected);
  tide_buf_release(&out);
}

/* `marked` holds one @ where the mistake is; the sentence must hold `says`. */
static void refused_in(struct world *w, unsigned allow, const char *marked, const char *says) {
  char text[8192];
  const char *at = strchr(marked, '@');
  assert_non_null(at);
  (void)snprintf(text, sizeof text, "%.*s%s", (int)(at - marked), marked, at + 1);
  struct tide_error error;
  const struct tide_expr *expr = parse_in(w, text, allow, &error);
  if (expr) fail_msg("accepted: %s", text);
  if (!strstr(error.text, says)) fail_msg("%s: \"%s\" does not say \"%s\"", text, error.text, says);
  if (error.column != 1 + (int)(at - marked))
    fail_msg("%s: column %d, not %d (%s)", text, error.column, 1 + (int)(at - marked), error.text);
  assert_int_equal(error.line, 7);
  assert_int_equal(error.code, TIDE_E_CONFIG);
}

static void refused(struct world *w, const char *marked, const char *says) { refused_in(w, EVERYTHING, marked, says); }

static void precedence(void **state) {
  struct world *w = *state;
  becomes(w, "cnp or cnp and cnp", "(or field:cnp (and field:cnp field:cnp))");
  becomes(w, "(cnp or cnp) and cnp", "(and (or field:cnp field:cnp) field:cnp)");
  becomes(w, "not cnp and cnp", "(and (not field:cnp) field:cnp)");
  becomes(w, "not not cnp", "(not (not field:cnp))");
  becomes(w, "not items = 1", "(not (= field:items 1))");
  becomes(w, "1 + 2 * 3 - 4", "(- (+ 1 (* 2 3)) 4)");
  becomes(w, "8 / 4 / 2", "(/ (/ 8 4) 2)");
  becomes(w, "-2 * -items", "(* (neg 2) (neg field:items))");
  becomes(w, "items + 1 > 2 * 3", "(> (+ field:items 1) (* 2 3))");
  becomes(w, "(items > 1) = cnp", "(= (> field:items 1) field:cnp)");
}

static void names_mean(void **state) {
  struct world *w = *state;
  becomes(w, "amount > 50.00", "(> amount_now 50)");
  becomes(w, "requested > 50.00", "(> field:amount 50)");
  becomes(w, "card.declines_10m >= 5", "(>= card.declines_10m 5)");
  becomes(w, "jump > 2 and night", "(and (> jump 2) night)");
  becomes(w, "score >= 0.90", "(>= score 0.9)");
  becomes(w, "disputed", "disputed");
  becomes(w, "time - opened < 30d", "(< (- time field:opened) 2.592e+06)");
  becomes(w, "card.idle < 90s", "(< card.idle 90)");
  becomes(w, "card.idle < 500ms", "(< card.idle 0.5)");
  becomes(w, "hour(time, \"UTC\") < 6", "(< (hour UTC) 6)");
  becomes(w, "weekday(time, 'UTC') in (6, 7)", "(in (weekday UTC) [6, 7])");
  struct tide_error error;
  const struct tide_expr *amount =
      parse_in(w, "amount > 1", TIDE_ALLOW_FIELDS, &error); /* where no outcome can be read, the amount is the first */
  assert_non_null(amount);
  assert_int_equal(amount->a->op, TIDE_X_FIELD);
}

static void words_beside_texts(void **state) {
  struct world *w = *state;
  becomes(w, "kind = login", "(= field:kind 'login')");
  becomes(w, "login = kind", "(= 'login' field:kind)");
  becomes(w, "kind in (auth, advice)", "(in field:kind [auth, advice])");
  becomes(w, "kind not in (auth)", "(not (in field:kind [auth]))");
  becomes(w, "kind in (country, \"card add\")", "(in field:kind [country, card add])"); /* in a set every word is a word */
  becomes(w, "result = declined", "(= result 'declined')");
  becomes(w, "result in (approved, partial, pending)", "(in result [approved, partial, pending])");
  becomes(w, "mcc = 6011", "(= field:mcc '6011')");
  becomes(w, "mcc in (6011, 0742, 5b)", "(in field:mcc [6011, 0742, 5b])");
  becomes(w, "mcc = 0742", "(= field:mcc '0742')");
  becomes(w, "reason in (14, 54)", "(in reason [14, 54])");
  becomes(w, "reason = 05", "(= reason '05')");
  becomes(w, "country = card.last_country", "(= field:country card.last_country)");
  becomes(w, "if(cnp, online, country) = kind", "(= (if field:cnp 'online' field:country) field:kind)");
  becomes(w, "items in (3, -1, 2)", "(in field:items [3, -1, 2])");
  const struct tide_expr *set = parse(w, "items in (3, -1, 2)");
  assert_true(set->set_count == 3 && set->set[0].num == -1 && set->set[1].num == 2 && set->set[2].num == 3);
  world_derive(w, "declined", "amount > 1"); /* an outcome's words win beside it */
  becomes(w, "result = declined", "(= result 'declined')");
  becomes(w, "declined and cnp", "(and declined field:cnp)");
}

static void functions(void **state) {
  struct world *w = *state;
  becomes(w, "min(1, 2, items)", "(min (min 1 2) field:items)");
  becomes(w, "max(1, 2)", "(max 1 2)");
  becomes(w, "log1p(abs(-items))", "(log1p (abs (neg field:items)))");
  becomes(w, "if(cnp, 1, 2) + 1", "(+ (if field:cnp 1 2) 1)");
  becomes(w, "items is known and not (card.idle is empty)", "(and (known field:items) (not (empty card.idle)))");
  becomes(w, "country is not absent", "(not (absent field:country))");
}

static void lists(void **state) {
  struct world *w = *state;
  becomes(w, "card in blocked_cards", "(on entity:card blocked_cards)");
  becomes(w, "merchant not in trusted", "(not (on entity:merchant trusted))"); /* field and entity: the entity */
  assert_true(w->spec->list[0].is_entity && w->spec->list[0].ref == E_CARD);
  assert_true(w->spec->list[1].is_entity && w->spec->list[1].ref == E_MERCHANT);
  refused(w, "@country in trusted", "already holds values of the entity `merchant`");
  refused(w, "card in @blocked_crads", "did you mean `blocked_cards`?");
  refused(w, "card in @NL", "there is no list `NL`");
  refused(w, "@crad in blocked_cards", "did you mean `card`?");
  refused(w, "@items in blocked_cards", "only a text field or an entity");
  refused(w, "@card = 5", "`card` is an entity");
  refused_in(w, TIDE_ALLOW_FIELDS, "country in @trusted", "in rules only");
}

static void lists_of_a_field(void **state) {
  struct world *w = *state;
  becomes(w, "country in trusted", "(on field:country trusted)");
  assert_false(w->spec->list[1].is_entity);
  refused(w, "@merchant in trusted", "already holds values of the field `country`");
}

static void unknown_names(void **state) {
  struct world *w = *state;
  refused(w, "@itmes > 5", "`itmes` is not known here; did you mean `items`?");
  refused(w, "cnp and @card.declines_10 > 5", "did you mean `card.declines_10m`?");
  refused(w, "kind = @card.x_1h", "not known here"); /* a dotted name is never a text */
  refused(w, "items > @abc", "not known here");
  refused(w, "@cuntry = NL", "did you mean `country`?");
  refused(w, "@foo", "not known here");
  refused(w, "result = @declned", "did you mean `declined`? It is one of pending, approved, partial, declined");
  refused(w, "result in (approved, @\"refused\")", "result is never `refused`");
  refused(w, "label = @maybe", "it is one of unknown, fraud, genuine");
  refused_in(w, TIDE_ALLOW_FIELDS, "kind = login and @score > 1", "the model's score, which cannot be read here");
  refused_in(w, TIDE_ALLOW_FIELDS, "@card.declines_10m > 1", "a feature, which cannot be read here");
  refused_in(w, TIDE_ALLOW_FIELDS, "@result = declined", "an outcome column, which cannot be read here");
  refused_in(w, TIDE_ALLOW_FIELDS, "@jump > 1", "a derived value, which cannot be read here");
  refused_in(w, TIDE_ALLOW_FIELDS, "@time > 1", "the event time, which cannot be read here");
}

static void wrong_types(void **state) {
  struct world *w = *state;
  refused(w, "@kind > 5", "has no order");
  refused(w, "@mcc < 6000", "`as: int`");
  refused(w, "items = @\"5\"", "a number is compared with a text");
  refused(w, "cnp = @1", "compare it with true or false");
  refused(w, "kind = @true", "put quotes around a text");
  refused(w, "@items and cnp", "must be a condition, this is a number");
  refused(w, "cnp or @kind", "must be a condition, this is a text");
  refused(w, "not @items", "the operand of not must be a condition");
  refused(w, "@kind + 1", "must be a number, this is a text");
  refused(w, "1 + @cnp", "must be a number, this is a condition");
  refused(w, "if(@items, 1, 2) > 0", "the first argument of if must be a condition");
  refused(w, "if(cnp, items, @kind) > 0", "must be of one type");
  refused(w, "@cnp in (a)", "no member of a set");
  refused(w, "items in (1, @a)", "a set holds numbers here");
  refused(w, "kind in (a, @-1)", "a set holds texts here");
  refused(w, "log1p(@kind)", "must be a number");
  const struct tide_expr *expr;
  struct tide_error error;
  struct tide_scope scope = {.spec = w->spec, .allow = EVERYTHING};
  assert_int_equal(tide_expr_parse(&scope, TIDE_SPAN("items + 1"), 3, 9, TIDE_V_BOOL, &expr, &error), TIDE_E_CONFIG);
  assert_non_null(strstr(error.text, "a condition is wanted here, this is a number"));
  assert_int_equal(error.column, 9);
}

static void grammar(void **state) {
  struct world *w = *state;
  refused(w, "@", "a value is missing");
  refused(w, "items >@", "the expression ends here, but a value is missing");
  refused(w, "items > @and cnp", "`and` cannot stand here: a value is missing before it");
  refused(w, "(items > 1@", "`)` is missing");
  refused(w, "items > 1@)", "complete before it");
  refused(w, "items @1", "complete before it");
}

static void habits_of_other_languages(void **state) {
  struct world *w = *state;
  refused(w, "items @== 1", "write `=` instead of `==`");
  refused(w, "items @<> 1", "write `!=` instead of `<>`");
  refused(w, "cnp @&& cnp", "write `and` instead of `&&`");
  refused(w, "(cnp @|| cnp)", "write `or` instead of `||`");
  refused(w, "@!cnp", "write `not` instead of `!`");
  refused(w, "cnp @AND cnp", "write `and` in small letters");
  refused(w, "1 < items @< 5", "join comparisons with and");
  refused(w, "kind = @\"login", "not closed");
  refused(w, "kind = @\"\"", "`is absent`");
  refused(w, "items is @null", "empty, absent or known");
  refused(w, "@mim(1, 2) > 0", "did you mean `min`?");
  refused(w, "@median(1, 2) > 0", "there are log1p abs min max if hour weekday");
  refused(w, "abs(1, @2)", "too many arguments: write abs(x)");
  refused(w, "@if(cnp, 1) > 1", "too few arguments: write if(condition, then, else)");
  refused(w, "@min(1) > 1", "too few arguments");
  refused(w, "hour(@) < 6", "a zone in quotes");
  refused(w, "hour(time@) < 6", "a zone in quotes");
  refused(w, "hour(time, @\"Mars/Olympus\") < 6", "Mars/Olympus");
  refused_in(w, TIDE_ALLOW_FIELDS, "@hour(time, \"UTC\") < 6", "derived values and rules only");
  refused(w, "items > @1.5x", "not a number");
  refused(w, "items @\xe2\x89\xa5 5", "\xe2\x89\xa5");
}

static void bounds(void **state) {
  struct world *w = *state;
  struct tide_buf text = TIDE_BUF_INIT;
  for (int i = 0; i < 63; i++) tide_buf_char(&text, '(');
  tide_buf_str(&text, "cnp");
  for (int i = 0; i < 63; i++) tide_buf_char(&text, ')');
  becomes(w, tide_buf_cstr(&text), "field:cnp");
  tide_buf_clear(&text);
  for (int i = 0; i < 64; i++) tide_buf_char(&text, '(');
  tide_buf_str(&text, "@cnp");
  refused(w, tide_buf_cstr(&text), "nested more than 64 deep");
  tide_buf_clear(&text);
  for (int i = 0; i < 4000; i++) tide_buf_char(&text, '-');
  tide_buf_str(&text, "1");
  struct tide_error error;
  assert_null(parse_in(w, tide_buf_cstr(&text), EVERYTHING, &error));
  tide_buf_clear(&text);
  tide_buf_str(&text, "@1"); /* a chain is as deep as it is long */
  for (int i = 0; i < 128; i++) tide_buf_str(&text, "+1");
  refused(w, tide_buf_cstr(&text), "more than 128 operators");
  tide_buf_clear(&text);
  tide_buf_str(&text, "1");
  for (int i = 0; i < 127; i++) tide_buf_str(&text, "+1");
  assert_non_null(parse(w, tide_buf_cstr(&text)));
  tide_buf_clear(&text);
  tide_buf_str(&text, "items in (");
  for (int i = 0; i < 1000; i++) tide_buf_printf(&text, "%d,", i % 10);
  tide_buf_str(&text, "@1)");
  refused(w, tide_buf_cstr(&text), "at most 1000 values");
  tide_buf_clear(&text);
  for (int i = 0; i < 4094; i++) tide_buf_char(&text, ' ');
  tide_buf_str(&text, "cnp");
  assert_null(parse_in(w, tide_buf_cstr(&text), EVERYTHING, &error));
  assert_non_null(strstr(error.text, "4096"));
  tide_buf_release(&text);
}

static void places(void **state) {
  struct world *w = *state;
  const struct tide_expr *expr;
  struct tide_error error;
  struct tide_scope scope = {.spec = w->spec, .allow = EVERYTHING};
  assert_int_equal(tide_expr_parse(&scope, TIDE_SPAN("cnp and items > 5"), 40, 12, TIDE_V_BOOL, &expr, &error), TIDE_OK);
  assert_int_equal(expr->b->line, 40);
  assert_int_equal(expr->b->column, 20);
  assert_int_equal(tide_expr_parse(&scope, TIDE_SPAN("cnp and itmes > 5"), 40, 12, TIDE_V_BOOL, &expr, &error), TIDE_E_CONFIG);
  assert_int_equal(error.line, 40);
  assert_int_equal(error.column, 20);
  assert_int_equal(tide_expr_parse(&scope, TIDE_SPAN("cnp and itmes > 5"), 40, 0, TIDE_V_BOOL, &expr, &error), TIDE_E_CONFIG);
  assert_int_equal(error.column, 0);                                                                            /* unknown stays unknown */
  assert_int_equal(tide_expr_parse(&scope, TIDE_SPAN("itmes"), 1, 1, TIDE_V_BOOL, &expr, NULL), TIDE_E_CONFIG); /* nobody listens */
}

static void reading(void **state) {
  struct world *w = *state;
  const struct tide_expr *expr = parse(w, "if(cnp, items, abs(card.idle)) > 5 and kind in (a)");
  assert_true(tide_expr_reads(expr, TIDE_X_FEATURE));
  assert_false(tide_expr_reads(expr, TIDE_X_SCORE));
  assert_true(tide_expr_reads_ref(expr, TIDE_X_FIELD, F_KIND));
  assert_true(tide_expr_reads_ref(expr, TIDE_X_FEATURE, S_IDLE));
  assert_false(tide_expr_reads_ref(expr, TIDE_X_FEATURE, S_CARDS));
}

/* ---- reason texts ---- */

static void say(struct world *w, const char *text, const char *expected) {
  const struct tide_say *part;
  uint32_t count;
  struct tide_error error;
  struct tide_scope scope = {.spec = w->spec, .allow = EVERYTHING};
  assert_int_equal(tide_say_parse(&scope, tide_span_of(text), 5, 10, &part, &count, &error), TIDE_OK);
  struct tide_buf out = TIDE_BUF_INIT;
  for (uint32_t i = 0; i < count; i++) {
    assert_true(!part[i].literal != !part[i].value);
    if (part[i].literal) tide_buf_printf(&out, "<%s>", part[i].literal);
    else print_expr(w->spec, part[i].value, &out);
  }
  assert_string_equal(tide_buf_cstr(&out), expected);
  tide_buf_release(&out);
}

static void say_refused(struct world *w, const char *text, int column, const char *says) {
  const struct tide_say *part = NULL;
  uint32_t count = 77;
  struct tide_error error;
  struct tide_scope scope = {.spec = w->spec, .allow = EVERYTHING};
  assert_int_equal(tide_say_parse(&scope, tide_span_of(text), 5, 10, &part, &count, &error), TIDE_E_CONFIG);
  if (!strstr(error.text, says)) fail_msg("\"%s\" does not say \"%s\"", error.text, says);
  assert_int_equal(error.column, column);
  assert_true(!part && count == 77); /* written only on success */
}

static void reasons(void **state) {
  struct world *w = *state;
  say(w, "", "");
  say(w, "plain", "<plain>");
  say(w, "{card.declines_10m} declines", "card.declines_10m< declines>");
  say(w, "{items}{cnp}!", "field:itemsfield:cnp<!>");
  say(w, "{{{items}}}", "<{>field:items<}>");
  say(w, "{items * 2} of {amount}", "(* field:items 2)< of >amount_now");
  say(w, "{if(kind = \"}\", 1, 2)}", "(if (= field:kind '}') 1 2)"); /* a brace in quotes closes nothing */
  say_refused(w, "a {itmes} b", 13, "did you mean `items`?");
  say_refused(w, "a {items", 12, "`{` is not closed");
  say_refused(w, "a } b", 12, "`}` without `{`");
  say_refused(w, "{}", 11, "a value is missing");
  struct tide_buf text = TIDE_BUF_INIT;
  for (int i = 0; i < 65; i++) tide_buf_str(&text, "{items}");
  say_refused(w, tide_buf_cstr(&text), 10 + 64 * 7, "too many values");
  tide_buf_release(&text);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
  const struct CMUnitTest tests[] = {
      T(precedence),  T(names_mean), T(words_beside_texts),        T(functions), T(lists),  T(lists_of_a_field), T(unknown_names),
      T(wrong_types), T(grammar),    T(habits_of_other_languages), T(bounds),    T(places), T(reading),          T(reasons)};
  return cmocka_run_group_tests_name("expr_parse", tests, NULL, NULL);
}
