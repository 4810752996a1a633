/* Words of the expression language: one token at a time from a borrowed text.
 *
 *   NAME      letter { letter | digit | "_" | "." letter or digit or "_" }   card.attempts_10m is one name
 *   NUMBER    digits [ "." digits ] [ e [+-] digits ]                        50.00
 *   WORD      what begins with a digit and is no number                      10m, 5b: a duration, or a text beside a text
 *   TEXT      "..." or '...', no escapes                                     the span is what stands between the quotes
 *   PUNCT     one of ( ) , . + - * / = != < <= > >= and what people write instead (== <> && || !), so that errors can name it
 *
 * Tokens never overlap and the lexer always moves on, so a parser that takes tokens until END terminates on any bytes. */
#ifndef TIDE_EXPR_LEX_H
#define TIDE_EXPR_LEX_H

#include "base/span.h"

enum tide_token_kind {
  TIDE_TOKEN_END,
  TIDE_TOKEN_NAME,
  TIDE_TOKEN_NUMBER,
  TIDE_TOKEN_WORD,
  TIDE_TOKEN_TEXT,
  TIDE_TOKEN_OPEN_TEXT, /* a quote that is never closed */
  TIDE_TOKEN_PUNCT
};

struct tide_token {
  enum tide_token_kind kind;
  struct tide_span text; /* TEXT: without its quotes */
  size_t at;             /* where it begins, bytes from the start of the text */
};

struct tide_lexer {
  struct tide_span text;
  size_t at; /* behind the last token */
};

/* The next token; END for ever once the text is used up. */
struct tide_token tide_lex(struct tide_lexer *lexer);

#endif
