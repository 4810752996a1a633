/* The lexer of expressions (expr_lex.h has the words).
 *
 * One pass, no allocation, spans into the caller's text. It refuses nothing: what cannot be a token becomes a PUNCT of one character (whole
 * UTF-8 sequences stay together), and the parser says what is wrong with it at its place. */
#include "feature/expr_lex.h"

static bool is_alpha(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }

static bool is_digit(char c) { return c >= '0' && c <= '9'; }

static bool is_word(char c) { return is_alpha(c) || is_digit(c); }

/* The character at i, or a zero byte behind the end. */
static char peek(const struct tide_lexer *lexer, size_t i) { return i < lexer->text.len ? lexer->text.ptr[i] : '\0'; }

static size_t skip_digits(const struct tide_lexer *lexer, size_t i) {
  while (is_digit(peek(lexer, i))) i++;
  return i;
}

static size_t skip_name(const struct tide_lexer *lexer, size_t i) {
  while (is_word(peek(lexer, i)) || (peek(lexer, i) == '.' && is_word(peek(lexer, i + 1)))) i++;
  return i;
}

static size_t skip_number(const struct tide_lexer *lexer, size_t i, enum tide_token_kind *ret_kind) {
  i = skip_digits(lexer, i);
  if (peek(lexer, i) == '.' && is_digit(peek(lexer, i + 1))) i = skip_digits(lexer, i + 1);
  if (peek(lexer, i) == 'e' || peek(lexer, i) == 'E') {
    size_t exponent = i + 1 + (peek(lexer, i + 1) == '+' || peek(lexer, i + 1) == '-');
    size_t end = skip_digits(lexer, exponent);
    if (end > exponent && !is_word(peek(lexer, end))) i = end;
  }
  *ret_kind = is_alpha(peek(lexer, i)) ? TIDE_TOKEN_WORD : TIDE_TOKEN_NUMBER;
  while (is_word(peek(lexer, i))) i++;
  return i;
}

static size_t skip_punct(const struct tide_lexer *lexer, size_t i) {
  char c = peek(lexer, i), d = peek(lexer, i + 1);
  bool two = (d == '=' && (c == '!' || c == '<' || c == '>' || c == '=')) || (c == '<' && d == '>') || (c == '&' && d == '&') ||
             (c == '|' && d == '|');
  i += two ? 2 : 1;
  if ((unsigned char)c >= 0xC0) /* the rest of a UTF-8 sequence */
    while (((unsigned char)peek(lexer, i) & 0xC0) == 0x80) i++;
  return i;
}

struct tide_token tide_lex(struct tide_lexer *lexer) {
  size_t i = lexer->at;
  while (i < lexer->text.len && (peek(lexer, i) == ' ' || peek(lexer, i) == '\t' || peek(lexer, i) == '\n' || peek(lexer, i) == '\r')) i++;
  struct tide_token token = {.kind = TIDE_TOKEN_END, .at = i};
  char c = peek(lexer, i);
  if (i >= lexer->text.len) {
    token.text = (struct tide_span){lexer->text.ptr + i, 0};
  } else if (c == '"' || c == '\'') {
    size_t from = ++i;
    while (i < lexer->text.len && lexer->text.ptr[i] != c) i++;
    token.kind = i < lexer->text.len ? TIDE_TOKEN_TEXT : TIDE_TOKEN_OPEN_TEXT;
    token.text = (struct tide_span){lexer->text.ptr + from, i - from};
    i += i < lexer->text.len;
  } else {
    if (is_alpha(c)) {
      token.kind = TIDE_TOKEN_NAME;
      i = skip_name(lexer, i);
    } else if (is_digit(c)) {
      i = skip_number(lexer, i, &token.kind);
    } else {
      token.kind = TIDE_TOKEN_PUNCT;
      i = skip_punct(lexer, i);
    }
    token.text = (struct tide_span){lexer->text.ptr + token.at, i - token.at};
  }
  lexer->at = i;
  return token;
}
