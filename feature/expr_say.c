/* Reason texts: "{card.declines_10m} declines" as literals and expressions in turn (expr_parse.h).
 *
 * Inside braces stands any expression, parsed in the scope of the rule, so a reason cannot name what the rule could not read. "{{" and "}}" are
 * braces. The parts live in the spec's arena; printing them is policy.c's. */
#include "base/buf.h"
#include "feature/expr_lex.h"
#include "feature/expr_parse.h"

#define PARTS_MAX 64

struct say {
  const struct tide_scope *scope;
  struct tide_span text;
  int line, column;
  struct tide_error *error;
  struct tide_say part[PARTS_MAX];
  uint32_t count;
  struct tide_buf literal; /* characters that are not yet a part */
};

static enum tide_err fail_at(const struct say *say, size_t at, const char *text) {
  return tide_fail_at(say->error, TIDE_E_CONFIG, say->line, say->column ? say->column + (int)at : 0, "", "%s", text);
}

static enum tide_err put(struct say *say, size_t at, struct tide_say part) {
  if (say->count == PARTS_MAX) return fail_at(say, at, "a reason text has too many values in braces: at most 31");
  say->part[say->count++] = part;
  return TIDE_OK;
}

static enum tide_err put_literal(struct say *say, size_t at) {
  if (!say->literal.len) return TIDE_OK;
  const char *literal = tide_arena_strdup(&say->scope->spec->arena, tide_buf_span(&say->literal));
  tide_buf_clear(&say->literal);
  return put(say, at, (struct tide_say){.literal = literal});
}

/* The brace that closes the expression from `from` on; braces in quotes do not count. The end of the text if there is none. */
static size_t closing(const struct say *say, size_t from) {
  struct tide_lexer lexer = {.text = {say->text.ptr + from, say->text.len - from}};
  for (;;) {
    struct tide_token token = tide_lex(&lexer);
    if (token.kind == TIDE_TOKEN_END || token.kind == TIDE_TOKEN_OPEN_TEXT) break;
    if (token.kind == TIDE_TOKEN_PUNCT && tide_span_is(token.text, "}")) return from + token.at;
  }
  const char *brace = memchr(say->text.ptr + from, '}', say->text.len - from); /* an open quote: let the parser point at it */
  return brace ? (size_t)(brace - say->text.ptr) : say->text.len;
}

static enum tide_err put_value(struct say *say, size_t open, size_t *ret_end) {
  size_t close = closing(say, open + 1);
  if (close == say->text.len) return fail_at(say, open, "`{` is not closed; write `{{` for a brace");
  struct tide_say part = {0};
  struct tide_span inside = {say->text.ptr + open + 1, close - open - 1};
  int column = say->column ? say->column + (int)open + 1 : 0;
  enum tide_err err = tide_expr_parse(say->scope, inside, say->line, column, TIDE_V_NULL, &part.value, say->error);
  if (!err) err = put(say, open, part);
  if (!err) *ret_end = close + 1;
  return err;
}

enum tide_err tide_say_parse(const struct tide_scope *scope, struct tide_span text, int line, int column, const struct tide_say **ret,
                             uint32_t *ret_count, struct tide_error *error) {
  struct say say = {.scope = scope, .text = text, .line = line, .column = column, .error = error};
  enum tide_err err = TIDE_OK;
  for (size_t i = 0; i < text.len && !err;) {
    char c = text.ptr[i];
    bool twice = i + 1 < text.len && text.ptr[i + 1] == c;
    if (c == '{' && !twice) {
      err = put_literal(&say, i);
      if (!err) err = put_value(&say, i, &i);
    } else if (c == '}' && !twice) {
      err = fail_at(&say, i, "`}` without `{`; write `}}` for a brace");
    } else {
      tide_buf_char(&say.literal, c);
      i += c == '{' || c == '}' ? 2 : 1;
    }
  }
  if (!err) err = put_literal(&say, text.len);
  tide_buf_release(&say.literal);
  if (err) return err;
  struct tide_say *kept = tide_arena_alloc(&scope->spec->arena, (say.count + 1) * sizeof *kept);
  memcpy(kept, say.part, say.count * sizeof *kept);
  *ret = kept;
  *ret_count = say.count;
  return TIDE_OK;
}
