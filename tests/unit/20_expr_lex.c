/* The words of the expression language: kinds, places, and that every byte string ends. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "feature/expr_lex.h"

#include <stdio.h>

/* One letter per kind, then the text and the place: "N:card@0". */
static void words_are(const char *text, const char *expected) {
  static const char letter[] = {[TIDE_TOKEN_NAME] = 'N', [TIDE_TOKEN_NUMBER] = '1',    [TIDE_TOKEN_WORD] = 'W',
                                [TIDE_TOKEN_TEXT] = 'T', [TIDE_TOKEN_OPEN_TEXT] = 'O', [TIDE_TOKEN_PUNCT] = 'P'};
  struct tide_lexer lexer = {.text = tide_span_of(text)};
  char out[512] = "";
  size_t len = 0;
  for (struct tide_token t; (t = tide_lex(&lexer)).kind != TIDE_TOKEN_END;)
    len += (size_t)snprintf(out + len, sizeof out - len, "%s%c:%.*s@%zu", len ? " " : "", letter[t.kind], TIDE_SPAN_FMT(t.text), t.at);
  assert_string_equal(out, expected);
}

static void names(void **state) {
  (void)state;
  words_are("card", "N:card@0");
  words_are("  _a1 Z_9 ", "N:_a1@2 N:Z_9@6");
  words_are("card.declines_10m>=5", "N:card.declines_10m@0 P:>=@17 1:5@19");
  words_are("a.", "N:a@0 P:.@1"); /* a dot belongs to a name only if a name goes on */
  words_are("a.5m", "N:a.5m@0");
}

static void numbers(void **state) {
  (void)state;
  words_are("0 50.00 1e3 1E-3 2.5e+10", "1:0@0 1:50.00@2 1:1e3@8 1:1E-3@12 1:2.5e+10@17");
  words_are("10m 500ms 5b 1e 1e5x", "W:10m@0 W:500ms@4 W:5b@10 W:1e@13 W:1e5x@16");
  words_are("1.5.2", "1:1.5@0 P:.@3 1:2@4");
  words_are("007", "1:007@0");
}

static void texts(void **state) {
  (void)state;
  words_are("\"a b\"='c\"d'", "T:a b@0 P:=@5 T:c\"d@6");
  words_are("\"\"", "T:@0");
  words_are("a \"open", "N:a@0 O:open@2");
  words_are("\"Zo\xc3\xab\"", "T:Zo\xc3\xab@0");
}

static void punctuation(void **state) {
  (void)state;
  words_are("<=<>!=! = == && & || |", "P:<=@0 P:<>@2 P:!=@4 P:!@6 P:=@8 P:==@10 P:&&@13 P:&@16 P:||@18 P:|@21");
  words_are("(a,-b)*c/d+{", "P:(@0 N:a@1 P:,@2 P:-@3 N:b@4 P:)@5 P:*@6 N:c@7 P:/@8 N:d@9 P:+@10 P:{@11");
  words_are("\xe2\x89\xa5 5", "P:\xe2\x89\xa5@0 1:5@4"); /* a sequence stays together, so that an error can show it */
}

static void every_byte_ends(void **state) {
  (void)state;
  char text[8];
  for (unsigned a = 0; a < 256; a++)
    for (unsigned b = 0; b < 256; b++) {
      text[0] = (char)a, text[1] = (char)b;
      struct tide_lexer lexer = {.text = {text, 2}};
      int count = 0;
      size_t at = 0;
      for (struct tide_token t; (t = tide_lex(&lexer)).kind != TIDE_TOKEN_END; count++) {
        assert_true(t.at >= at && lexer.at > t.at && lexer.at <= 2);
        at = lexer.at;
      }
      assert_true(count <= 2);
      assert_int_equal(tide_lex(&lexer).kind, TIDE_TOKEN_END); /* for ever */
    }
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(names), cmocka_unit_test(numbers), cmocka_unit_test(texts),
                                     cmocka_unit_test(punctuation), cmocka_unit_test(every_byte_ends)};
  return cmocka_run_group_tests_name("expr_lex", tests, NULL, NULL);
}
