/* Parsing expressions: a recursive descent over the grammar drawn in expr.h, with names resolved and types checked on the way.
 *
 * A bare word that names nothing stays undecided until its neighbour is known: beside a text it is a literal, anywhere else it is an error at its own place with
 * the nearest name. Depth and length are bounded, so hostile files cost little. */
#include "feature/expr_parse.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/buf.h"
#include "base/num.h"
#include "base/utf8.h"

#define DEPTH_MAX 64
#define TEXT_MAX 4096
#define SET_MAX 1000

enum token_kind { T_END, T_NUMBER, T_DURATION, T_STRING, T_NAME, T_PUNCT };

struct token {
  enum token_kind kind;
  struct tide_span text;
  size_t at;
};

struct parser {
  const struct tide_scope *scope;
  struct tide_span text;
  int line, column;
  size_t at; /* behind the current token */
  struct token now;
  int depth;
  struct tide_error *error;
  enum tide_err err; /* the first error; everything after it is skipped */
};

/* What a rule of the grammar gives: a node, or an undecided bare word. */
struct term {
  struct tide_expr *node;
  bool bare;
  struct token token;
};

static struct term fail(struct parser *p, struct token where, const char *fmt, ...) TIDE_PRINTF(3, 4);
static struct term parse_or(struct parser *p);

static struct term fail(struct parser *p, struct token where, const char *fmt, ...) {
  if (!p->err) {
    char text[384];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    p->err = tide_fail_at(p->error, TIDE_E_CONFIG, p->line, p->column ? p->column + (int)where.at : 0, "", "%s", text);
  }
  return (struct term){0};
}

/* ---- tokens ---- */

static bool is_alpha(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }
static bool is_digit(char c) { return c >= '0' && c <= '9'; }

static void next(struct parser *p) {
  while (p->at < p->text.len && (p->text.ptr[p->at] == ' ' || p->text.ptr[p->at] == '\t' || p->text.ptr[p->at] == '\n')) p->at++;
  struct token token = {.kind = T_END, .at = p->at};
  const char *s = p->text.ptr;
  size_t i = p->at, n = p->text.len;
  if (i < n && is_alpha(s[i])) {
    token.kind = T_NAME;
    while (i < n && (is_alpha(s[i]) || is_digit(s[i]))) i++;
  } else if (i < n && is_digit(s[i])) {
    token.kind = T_NUMBER;
    while (i < n && is_digit(s[i])) i++;
    if (i + 1 < n && s[i] == '.' && is_digit(s[i + 1])) {
      i++;
      while (i < n && is_digit(s[i])) i++;
    }
    if (i < n && is_alpha(s[i])) {
      token.kind = T_DURATION;
      while (i < n && (is_alpha(s[i]) || is_digit(s[i]))) i++;
    }
  } else if (i < n && (s[i] == '"' || s[i] == '\'')) {
    char quote = s[i++];
    token.kind = T_STRING;
    size_t from = i;
    while (i < n && s[i] != quote) i++;
    token.text = (struct tide_span){s + from, i - from};
    p->now = token;
    if (i == n) {
      fail(p, token, "a quoted text is not closed: add %c", quote);
      p->at = n;
      return;
    }
    p->at = i + 1;
    return;
  } else if (i < n) {
    token.kind = T_PUNCT;
    bool two = i + 1 < n && s[i + 1] == '=' && (s[i] == '!' || s[i] == '<' || s[i] == '>' || s[i] == '=');
    i += two ? 2 : 1;
  }
  token.text = (struct tide_span){s + p->at, i - p->at};
  p->at = i;
  p->now = token;
}

static bool at_word(const struct parser *p, const char *word) { return p->now.kind == T_NAME && tide_span_is(p->now.text, word); }
static bool at_punct(const struct parser *p, const char *punct) { return p->now.kind == T_PUNCT && tide_span_is(p->now.text, punct); }

static bool take_word(struct parser *p, const char *word) {
  if (p->err || !at_word(p, word)) return false;
  next(p);
  return true;
}

static bool take_punct(struct parser *p, const char *punct) {
  if (p->err || !at_punct(p, punct)) return false;
  next(p);
  return true;
}

static struct token peek(const struct parser *p) {
  struct parser ahead = *p;
  struct tide_error ignored;
  ahead.error = &ignored;
  next(&ahead);
  return ahead.now;
}

/* ---- nodes ---- */

static struct tide_expr *node(struct parser *p, struct token where, enum tide_op op, enum tide_vtype type) {
  struct tide_expr *expr = tide_arena_alloc(&p->scope->spec->arena, sizeof *expr);
  *expr =
      (struct tide_expr){.op = (uint8_t)op, .type = (uint8_t)type, .line = p->line, .column = p->column ? p->column + (int)where.at : 0};
  return expr;
}

static struct term done(struct tide_expr *expr, struct token token) { return (struct term){.node = expr, .token = token}; }

static struct tide_expr *ref(struct parser *p, struct token where, enum tide_op op, enum tide_vtype type, uint32_t index) {
  struct tide_expr *expr = node(p, where, op, type);
  expr->ref = index;
  return expr;
}

static const char *type_name(unsigned type) {
  return type == TIDE_V_NUM ? "a number" : type == TIDE_V_TEXT ? "a text" : type == TIDE_V_BOOL ? "a condition" : "anything";
}

static enum tide_vtype field_vtype(const struct tide_field *field) {
  return field->type == TIDE_F_TEXT ? TIDE_V_TEXT : field->type == TIDE_F_BOOL ? TIDE_V_BOOL : TIDE_V_NUM;
}

static enum tide_vtype dyn_vtype(enum tide_dyn dyn) {
  return dyn == TIDE_DYN_disputed ? TIDE_V_BOOL : dyn == TIDE_DYN_amount_now ? TIDE_V_NUM : TIDE_V_TEXT;
}

/* ---- names ---- */

/* The nearest name in scope, for "did you mean". */
static const char *nearest(const struct parser *p, struct tide_span name) {
  const struct tide_spec *spec = p->scope->spec;
  unsigned allow = p->scope->allow;
  size_t max = spec->field_count + spec->slot_count + spec->derived_count + spec->list_count + TIDE_DYN_COUNT + 4, n = 0;
  const char **names = tide_alloc(max * sizeof *names);
  if (allow & TIDE_ALLOW_FIELDS)
    for (uint32_t i = 0; i < spec->field_count; i++) names[n++] = spec->field[i].name;
  if (allow & TIDE_ALLOW_FEATURES)
    for (uint32_t i = 0; i < spec->slot_count; i++) names[n++] = spec->slot[i].name;
  if (allow & TIDE_ALLOW_DERIVED)
    for (uint32_t i = 0; i < spec->derived_count; i++) names[n++] = spec->derived[i].name;
  if (allow & TIDE_ALLOW_DYN)
    for (int d = 0; d < TIDE_DYN_COUNT; d++) names[n++] = tide_dyn_name((enum tide_dyn)d);
  if (allow & TIDE_ALLOW_LISTS)
    for (uint32_t i = 0; i < spec->list_count; i++) names[n++] = spec->list[i].name;
  if (allow & TIDE_ALLOW_SCORE) names[n++] = "score";
  if (spec->f_amount != TIDE_NONE) names[n++] = "requested";
  const char *best = tide_nearest(name, names, n);
  tide_free(names);
  return best;
}

static struct term unknown_name(struct parser *p, struct token where, struct tide_span name) {
  const char *best = nearest(p, name);
  if (best) return fail(p, where, "\"%.*s\" is not known here; did you mean \"%s\"?", TIDE_SPAN_FMT(name), best);
  return fail(p, where, "\"%.*s\" is not known here; texts that are not names may be quoted", TIDE_SPAN_FMT(name));
}

static uint32_t find_derived(const struct tide_spec *spec, struct tide_span name) {
  for (uint32_t i = 0; i < spec->derived_count; i++)
    if (tide_span_is(name, spec->derived[i].name)) return i;
  return TIDE_NONE;
}

static uint32_t find_list(const struct tide_spec *spec, struct tide_span name) {
  for (uint32_t i = 0; i < spec->list_count; i++)
    if (tide_span_is(name, spec->list[i].name)) return i;
  return TIDE_NONE;
}

static uint32_t find_field(const struct tide_spec *spec, struct tide_span name) {
  for (uint32_t i = 0; i < spec->field_count; i++)
    if (tide_span_is(name, spec->field[i].name)) return i;
  return TIDE_NONE;
}

/* A name without a dot, or NULL when it names nothing here. */
static struct tide_expr *resolve(struct parser *p, struct token token) {
  struct tide_spec *spec = p->scope->spec;
  unsigned allow = p->scope->allow;
  struct tide_span name = token.text;
  if (tide_span_is(name, "true")) return node(p, token, TIDE_X_TRUE, TIDE_V_BOOL);
  if (tide_span_is(name, "false")) return node(p, token, TIDE_X_FALSE, TIDE_V_BOOL);
  if ((allow & TIDE_ALLOW_SCORE) && tide_span_is(name, "score")) return node(p, token, TIDE_X_SCORE, TIDE_V_NUM);
  uint32_t derived = allow & TIDE_ALLOW_DERIVED ? find_derived(spec, name) : TIDE_NONE;
  if (derived != TIDE_NONE) return ref(p, token, TIDE_X_DERIVED, (enum tide_vtype)spec->derived[derived].expr->type, derived);
  if ((allow & TIDE_ALLOW_FIELDS) && spec->f_amount != TIDE_NONE && tide_span_is(name, "requested"))
    return ref(p, token, TIDE_X_FIELD, TIDE_V_NUM, spec->f_amount);
  uint32_t field = allow & TIDE_ALLOW_FIELDS ? find_field(spec, name) : TIDE_NONE;
  if ((allow & TIDE_ALLOW_DYN) && field != TIDE_NONE && field == spec->f_amount)
    return ref(p, token, TIDE_X_DYN, TIDE_V_NUM, TIDE_DYN_amount_now);
  if (field != TIDE_NONE) return ref(p, token, TIDE_X_FIELD, field_vtype(&spec->field[field]), field);
  if (allow & TIDE_ALLOW_DYN)
    for (uint32_t d = 0; d < TIDE_DYN_COUNT; d++)
      if (tide_span_is(name, tide_dyn_name((enum tide_dyn)d))) return ref(p, token, TIDE_X_DYN, dyn_vtype((enum tide_dyn)d), d);
  return NULL;
}

/* ---- literals beside a text ---- */

static bool word_allowed(struct parser *p, const struct tide_expr *beside, struct token token) {
  if (beside->op != TIDE_X_DYN) return true;
  const char *const *words = tide_dyn_words((enum tide_dyn)beside->ref);
  if (!words) return true;
  size_t count = 0;
  for (; words[count]; count++)
    if (tide_span_is(token.text, words[count])) return true;
  const char *best = tide_nearest(token.text, words, count);
  struct tide_buf all = TIDE_BUF_INIT;
  for (size_t i = 0; i < count; i++) tide_buf_printf(&all, "%s%s", i ? ", " : "", words[i]);
  fail(p, token, "%s is never \"%.*s\"%s%s%s (it is one of %s)", tide_dyn_name((enum tide_dyn)beside->ref), TIDE_SPAN_FMT(token.text),
       best ? "; did you mean \"" : "", best ? best : "", best ? "\"?" : "", tide_buf_cstr(&all));
  tide_buf_release(&all);
  return false;
}

static struct tide_expr *text_literal(struct parser *p, const struct tide_expr *beside, struct token token) {
  if (!word_allowed(p, beside, token)) return NULL;
  struct tide_expr *expr = node(p, token, TIDE_X_TEXT, TIDE_V_TEXT);
  if (!token.text.len) fail(p, token, "an empty text never occurs: use \"is absent\"");
  expr->code = tide_text_code(token.text);
  expr->text = tide_arena_strdup(&p->scope->spec->arena, token.text);
  return expr;
}

/* Settles an undecided word beside `beside` (NULL: nothing that could make it a text). */
static struct tide_expr *settle(struct parser *p, struct term term, const struct tide_expr *beside) {
  if (p->err) return NULL;
  bool literal = term.token.kind == T_NUMBER || term.token.kind == T_DURATION;
  if (beside && beside->type == TIDE_V_TEXT && (term.bare || (literal && term.node && term.node->op == TIDE_X_NUM)))
    return text_literal(p, beside, term.token); /* mcc = 6011: digits beside a text are its digits */
  if (term.bare) {
    unknown_name(p, term.token, term.token.text);
    return NULL;
  }
  if (beside && term.node->op == TIDE_X_TEXT && !word_allowed(p, beside, term.token)) return NULL;
  return term.node;
}

static struct tide_expr *want(struct parser *p, struct term term, enum tide_vtype type, const char *role) {
  struct tide_expr *expr = settle(p, term, NULL);
  if (!expr) return NULL;
  if (expr->type == type) return expr;
  fail(p, term.token, "%s must be %s, this is %s", role, type_name(type), type_name(expr->type));
  return NULL;
}

/* ---- atoms ---- */

static struct term parse_number(struct parser *p) {
  struct token token = p->now;
  double value;
  int64_t ms;
  bool duration = token.kind == T_DURATION;
  enum tide_err err = duration ? tide_duration_parse(token.text, &ms) : tide_double_parse(token.text, &value);
  if (err) {
    bool plain = true; /* 007 and 5b may still be texts beside a text */
    for (size_t i = 0; i < token.text.len; i++) plain = plain && (is_alpha(token.text.ptr[i]) || is_digit(token.text.ptr[i]));
    next(p);
    if (plain) return (struct term){.bare = true, .token = token};
    return fail(p, token, "\"%.*s\" is not a number", TIDE_SPAN_FMT(token.text));
  }
  struct tide_expr *expr = node(p, token, TIDE_X_NUM, TIDE_V_NUM);
  expr->num = duration ? (double)ms / 1000.0 : value;
  expr->text = tide_arena_strdup(&p->scope->spec->arena, token.text);
  next(p);
  return done(expr, token);
}

static struct term parse_time_call(struct parser *p, struct token name, enum tide_op op) {
  if (!(p->scope->allow & TIDE_ALLOW_TIME)) return fail(p, name, "%.*s() cannot be used here", TIDE_SPAN_FMT(name.text));
  if (!take_word(p, "time") || !take_punct(p, ",") || p->now.kind != T_STRING)
    return fail(p, p->now, "write %.*s(time, \"Europe/Amsterdam\"): the zone is required", TIDE_SPAN_FMT(name.text));
  struct tide_expr *expr = node(p, name, op, TIDE_V_NUM);
  char *zone = tide_arena_strdup(&p->scope->spec->arena, p->now.text);
  struct tide_error error = {0};
  if (tide_zone_get(zone, &expr->zone, &error)) return fail(p, p->now, "%s", error.text);
  expr->text = zone;
  next(p);
  if (!take_punct(p, ")")) return fail(p, p->now, "\")\" is missing");
  return done(expr, name);
}

static struct term parse_call(struct parser *p, struct token name) {
  static const struct {
    const char *name;
    enum tide_op op;
    unsigned least, most;
  } functions[] = {{"log1p", TIDE_X_LOG1P, 1, 1}, {"abs", TIDE_X_ABS, 1, 1},   {"min", TIDE_X_MIN, 2, 16},       {"max", TIDE_X_MAX, 2, 16},
                   {"if", TIDE_X_IF, 3, 3},       {"hour", TIDE_X_HOUR, 2, 2}, {"weekday", TIDE_X_WEEKDAY, 2, 2}};
  static const char *const names[] = {"log1p", "abs", "min", "max", "if", "hour", "weekday"};
  size_t f = 0, count = sizeof functions / sizeof *functions;
  while (f < count && !tide_span_is(name.text, functions[f].name)) f++;
  if (f == count) {
    const char *best = tide_nearest(name.text, names, count);
    return fail(p, name, "there is no function \"%.*s\"; %s%s%s", TIDE_SPAN_FMT(name.text), best ? "did you mean \"" : "",
                best ? best : "there are log1p abs min max if hour weekday", best ? "\"?" : "");
  }
  next(p); /* ( */
  enum tide_op op = functions[f].op;
  if (op == TIDE_X_HOUR || op == TIDE_X_WEEKDAY) return parse_time_call(p, name, op);
  struct term arg[16];
  unsigned n = 0;
  do {
    if (n == functions[f].most)
      return fail(p, p->now, "%s takes %u argument%s", functions[f].name, functions[f].most, functions[f].most == 1 ? "" : "s at most");
    arg[n++] = parse_or(p);
  } while (take_punct(p, ","));
  if (p->err) return (struct term){0};
  if (!take_punct(p, ")")) return fail(p, p->now, "\")\" is missing");
  if (n < functions[f].least) return fail(p, name, "%s takes %u arguments", functions[f].name, functions[f].least);
  if (op == TIDE_X_IF) {
    struct tide_expr *condition = want(p, arg[0], TIDE_V_BOOL, "the first argument of if");
    const struct tide_expr *beside = arg[2].node;
    struct tide_expr *yes = settle(p, arg[1], beside);
    struct tide_expr *no = settle(p, arg[2], yes);
    if (p->err) return (struct term){0};
    if (yes->type != no->type)
      return fail(p, name, "both results of if must be of one type, these are %s and %s", type_name(yes->type), type_name(no->type));
    struct tide_expr *expr = node(p, name, op, (enum tide_vtype)yes->type);
    expr->a = condition;
    expr->b = yes;
    expr->c = no;
    return done(expr, name);
  }
  struct tide_expr *left = want(p, arg[0], TIDE_V_NUM, functions[f].name);
  if (n == 1 && left) {
    struct tide_expr *expr = node(p, name, op, TIDE_V_NUM);
    expr->a = left;
    return done(expr, name);
  }
  for (unsigned i = 1; i < n && !p->err; i++) {
    struct tide_expr *expr = node(p, name, op, TIDE_V_NUM);
    expr->a = left;
    expr->b = want(p, arg[i], TIDE_V_NUM, functions[f].name);
    left = expr;
  }
  return p->err ? (struct term){0} : done(left, name);
}

static struct term parse_name(struct parser *p) {
  struct token name = p->now;
  next(p);
  if (at_punct(p, "(")) return parse_call(p, name);
  if (take_punct(p, ".")) {
    struct token second = p->now;
    if (second.kind != T_NAME) return fail(p, second, "a feature is written entity.name_window");
    next(p);
    struct tide_span full = {name.text.ptr, (size_t)(second.text.ptr + second.text.len - name.text.ptr)};
    if (!(p->scope->allow & TIDE_ALLOW_FEATURES))
      return fail(p, name, "features cannot be read here (\"%.*s\"): only fields of the message", TIDE_SPAN_FMT(full));
    for (uint32_t s = 0; s < p->scope->spec->slot_count; s++)
      if (tide_span_is(full, p->scope->spec->slot[s].name))
        return done(ref(p, name, TIDE_X_FEATURE, (enum tide_vtype)p->scope->spec->slot[s].type, s), name);
    return unknown_name(p, name, full);
  }
  struct tide_expr *expr = resolve(p, name);
  if (expr) return done(expr, name);
  return (struct term){.bare = true, .token = name};
}

static struct term parse_atom(struct parser *p) {
  if (p->err) return (struct term){0};
  struct token token = p->now;
  switch (token.kind) {
    case T_NUMBER:
    case T_DURATION: return parse_number(p);
    case T_STRING: {
      struct tide_expr *expr = node(p, token, TIDE_X_TEXT, TIDE_V_TEXT);
      if (!token.text.len) return fail(p, token, "an empty text never occurs: use \"is absent\"");
      expr->code = tide_text_code(token.text);
      expr->text = tide_arena_strdup(&p->scope->spec->arena, token.text);
      next(p);
      return done(expr, token);
    }
    case T_NAME: return parse_name(p);
    case T_PUNCT:
      if (take_punct(p, "(")) {
        struct term inner = parse_or(p);
        if (!p->err && !take_punct(p, ")")) return fail(p, p->now, "\")\" is missing");
        return inner;
      }
      return fail(p, token, "\"%.*s\" cannot stand here", TIDE_SPAN_FMT(token.text));
    case T_END: return fail(p, token, "the expression ends too early");
  }
  return (struct term){0};
}

static struct term parse_unary(struct parser *p) {
  struct token token = p->now;
  if (!take_punct(p, "-")) return parse_atom(p);
  if (++p->depth > DEPTH_MAX) return fail(p, token, "the expression is nested more than %d deep", DEPTH_MAX);
  struct tide_expr *operand = want(p, parse_unary(p), TIDE_V_NUM, "the operand of -");
  p->depth--;
  if (p->err) return (struct term){0};
  struct tide_expr *expr = node(p, token, TIDE_X_NEG, TIDE_V_NUM);
  expr->a = operand;
  return done(expr, token);
}

/* A chain of binary operators, left to right. Each link deepens the tree by one, so links count against the depth. */
static struct term parse_chain(struct parser *p, struct term (*operand)(struct parser *), const char *first, enum tide_op first_op,
                               const char *second, enum tide_op second_op) {
  struct term left = operand(p);
  int links = 0;
  for (;;) {
    struct token token = p->now;
    enum tide_op op;
    if (take_punct(p, first)) op = first_op;
    else if (take_punct(p, second)) op = second_op;
    else break;
    if (++links > DEPTH_MAX) return fail(p, token, "more than %d operators in a row: use derived values", DEPTH_MAX);
    struct tide_expr *a = want(p, left, TIDE_V_NUM, "the left side of an arithmetic operator");
    struct tide_expr *b = want(p, operand(p), TIDE_V_NUM, "the right side of an arithmetic operator");
    if (p->err) return (struct term){0};
    struct tide_expr *expr = node(p, token, op, TIDE_V_NUM);
    expr->a = a;
    expr->b = b;
    left = done(expr, left.token);
  }
  return p->err ? (struct term){0} : left;
}

static struct term parse_product(struct parser *p) { return parse_chain(p, parse_unary, "*", TIDE_X_MUL, "/", TIDE_X_DIV); }
static struct term parse_sum(struct parser *p) { return parse_chain(p, parse_product, "+", TIDE_X_ADD, "-", TIDE_X_SUB); }

/* ---- comparisons ---- */

static struct term negate(struct parser *p, struct tide_expr *expr, bool negated, struct token token) {
  if (p->err || !negated) return done(expr, token);
  struct tide_expr *not = node(p, token, TIDE_X_NOT, TIDE_V_BOOL);
  not ->a = expr;
  return done(not, token);
}

static struct term parse_set(struct parser *p, struct term left, bool negated) {
  struct tide_expr *operand = settle(p, left, NULL);
  if (!operand) return (struct term){0};
  if (operand->type == TIDE_V_BOOL) return fail(p, left.token, "a condition cannot be looked up in a set");
  static const uint16_t step = 32;
  union tide_literal *set = NULL;
  uint16_t count = 0, cap = 0;
  struct tide_buf text = TIDE_BUF_INIT;
  do {
    struct tide_expr *literal = settle(p, parse_unary(p), operand->type == TIDE_V_TEXT ? operand : NULL);
    if (p->err) break;
    bool number = literal->op == TIDE_X_NUM || (literal->op == TIDE_X_NEG && literal->a->op == TIDE_X_NUM);
    if (literal->type != operand->type || !(number || literal->op == TIDE_X_TEXT)) {
      fail(p, p->now, "a set holds literals of the type of its left side, which is %s", type_name(operand->type));
      break;
    }
    if (count == SET_MAX) {
      fail(p, p->now, "a set holds at most %d literals: use a list", SET_MAX);
      break;
    }
    if (count == cap) set = tide_realloc(set, (size_t)(cap = (uint16_t)(cap + step)) * sizeof *set);
    if (operand->type == TIDE_V_TEXT) set[count].code = literal->code;
    else set[count].num = literal->op == TIDE_X_NUM ? literal->num : -literal->a->num;
    tide_buf_printf(&text, "%s%s", count ? ", " : "", literal->text ? literal->text : literal->a->text);
    count++;
  } while (take_punct(p, ","));
  struct tide_expr *expr = node(p, left.token, TIDE_X_IN, TIDE_V_BOOL);
  if (!p->err && !take_punct(p, ")")) fail(p, p->now, "\")\" is missing at the end of the set");
  if (!p->err) {
    union tide_literal *kept = tide_arena_alloc(&p->scope->spec->arena, count * sizeof *kept);
    memcpy(kept, set, count * sizeof *kept);
    expr->a = operand;
    expr->set = kept;
    expr->set_count = count;
    expr->text = tide_arena_strdup(&p->scope->spec->arena, tide_buf_span(&text));
  }
  tide_free(set);
  tide_buf_release(&text);
  return p->err ? (struct term){0} : negate(p, expr, negated, left.token);
}

static struct term parse_in_list(struct parser *p, struct term left, bool negated) {
  struct tide_spec *spec = p->scope->spec;
  struct token token = p->now;
  uint32_t list = token.kind == T_NAME ? find_list(spec, token.text) : TIDE_NONE;
  if (!(p->scope->allow & TIDE_ALLOW_LISTS)) return fail(p, token, "lists can be used in rules only; a set is written in (a, b)");
  if (list == TIDE_NONE)
    return token.kind == T_NAME ? unknown_name(p, token, token.text) : fail(p, token, "a list name or a set (a, b) must follow \"in\"");
  next(p);
  uint32_t entity = TIDE_NONE;
  for (uint32_t e = 0; e < spec->entity_count; e++)
    if (tide_span_is(left.token.text, spec->entity[e].name)) entity = e;
  struct tide_expr *operand = left.node;
  if (entity != TIDE_NONE && (left.bare || (operand && operand->op == TIDE_X_FIELD)))
    operand = ref(p, left.token, TIDE_X_ENTITY, TIDE_V_TEXT, entity);
  else if (left.bare) return unknown_name(p, left.token, left.token.text);
  if (operand->op != TIDE_X_ENTITY && !(operand->op == TIDE_X_FIELD && operand->type == TIDE_V_TEXT))
    return fail(p, left.token, "only a text field or an entity can be on a list");
  struct tide_list *held = &spec->list[list];
  bool is_entity = operand->op == TIDE_X_ENTITY;
  if (held->ref == TIDE_NONE) {
    held->is_entity = is_entity;
    held->ref = operand->ref;
  } else if (held->is_entity != is_entity || held->ref != operand->ref) {
    return fail(p, left.token, "list %s already holds %s \"%s\": one list, one kind of value", held->name,
                held->is_entity ? "keys of" : "values of", held->is_entity ? spec->entity[held->ref].name : spec->field[held->ref].name);
  }
  struct tide_expr *expr = ref(p, left.token, TIDE_X_IN_LIST, TIDE_V_BOOL, list);
  expr->a = operand;
  return negate(p, expr, negated, left.token);
}

static struct term parse_is(struct parser *p, struct term left) {
  bool negated = take_word(p, "not");
  enum tide_op op;
  if (take_word(p, "empty")) op = TIDE_X_IS_EMPTY;
  else if (take_word(p, "absent")) op = TIDE_X_IS_ABSENT;
  else if (take_word(p, "known")) op = TIDE_X_IS_KNOWN;
  else return fail(p, p->now, "\"is\" asks for empty, absent or known");
  struct tide_expr *operand = settle(p, left, NULL);
  if (!operand) return (struct term){0};
  struct tide_expr *expr = node(p, left.token, op, TIDE_V_BOOL);
  expr->a = operand;
  return negate(p, expr, negated, left.token);
}

static struct term parse_comparison(struct parser *p) {
  struct term left = parse_sum(p);
  if (p->err) return left;
  static const struct {
    const char *punct;
    enum tide_op op;
  } ops[] = {{"=", TIDE_X_EQ}, {"!=", TIDE_X_NE}, {"<=", TIDE_X_LE}, {">=", TIDE_X_GE}, {"<", TIDE_X_LT}, {">", TIDE_X_GT}};
  if (at_punct(p, "==")) return fail(p, p->now, "equality is written with one \"=\"");
  for (size_t i = 0; i < sizeof ops / sizeof *ops; i++) {
    struct token token = p->now;
    if (!take_punct(p, ops[i].punct)) continue;
    struct term right = parse_sum(p);
    if (p->err) return right;
    struct tide_expr *b = right.bare ? NULL : right.node;
    struct tide_expr *a = settle(p, left, b);
    if (!p->err) b = settle(p, right, a);
    if (p->err) return (struct term){0};
    if (a->type != b->type)
      return fail(p, token, "%s is compared with %s%s", type_name(a->type), type_name(b->type),
                  a->type == TIDE_V_TEXT || b->type == TIDE_V_TEXT ? ": declare the field \"as: int\" if it is a number" : "");
    if (a->type != TIDE_V_NUM && ops[i].op != TIDE_X_EQ && ops[i].op != TIDE_X_NE)
      return fail(p, token, "%s has no order: use = or !=", type_name(a->type));
    struct tide_expr *expr = node(p, left.token, ops[i].op, TIDE_V_BOOL);
    expr->a = a;
    expr->b = b;
    return done(expr, left.token);
  }
  bool negated = at_word(p, "not") && tide_span_is(peek(p).text, "in") && take_word(p, "not");
  if (take_word(p, "in")) return take_punct(p, "(") ? parse_set(p, left, negated) : parse_in_list(p, left, negated);
  if (take_word(p, "is")) return parse_is(p, left);
  return left;
}

static struct term parse_not(struct parser *p) {
  struct token token = p->now;
  if (!take_word(p, "not")) return parse_comparison(p);
  if (++p->depth > DEPTH_MAX) return fail(p, token, "the expression is nested more than %d deep", DEPTH_MAX);
  struct tide_expr *operand = want(p, parse_not(p), TIDE_V_BOOL, "the operand of not");
  p->depth--;
  return p->err ? (struct term){0} : negate(p, operand, true, token);
}

static struct term parse_logic(struct parser *p, struct term (*operand)(struct parser *), const char *word, enum tide_op op) {
  struct term left = operand(p);
  int links = 0;
  for (;;) {
    struct token token = p->now;
    if (!take_word(p, word)) return p->err ? (struct term){0} : left;
    if (++links > DEPTH_MAX) return fail(p, token, "more than %d conditions in a row: use a set or derived values", DEPTH_MAX);
    struct tide_expr *a = want(p, left, TIDE_V_BOOL, "the left side of and/or");
    struct tide_expr *b = want(p, operand(p), TIDE_V_BOOL, "the right side of and/or");
    if (p->err) return (struct term){0};
    struct tide_expr *expr = node(p, token, op, TIDE_V_BOOL);
    expr->a = a;
    expr->b = b;
    left = done(expr, left.token);
  }
}

static struct term parse_and(struct parser *p) { return parse_logic(p, parse_not, "and", TIDE_X_AND); }

static struct term parse_or(struct parser *p) {
  if (p->err) return (struct term){0};
  if (++p->depth > DEPTH_MAX) return fail(p, p->now, "the expression is nested more than %d deep", DEPTH_MAX);
  struct term term = parse_logic(p, parse_and, "or", TIDE_X_OR);
  p->depth--;
  return term;
}

/* ---- the two entries ---- */

enum tide_err tide_expr_parse(const struct tide_scope *scope, struct tide_span text, int line, int column, enum tide_vtype type,
                              const struct tide_expr **ret, struct tide_error *error) {
  struct parser p = {.scope = scope, .text = text, .line = line, .column = column, .error = error};
  if (text.len > TEXT_MAX) return tide_fail_at(error, TIDE_E_CONFIG, line, column, "", "an expression has at most %d characters", TEXT_MAX);
  next(&p);
  struct term term = parse_or(&p);
  if (!p.err && p.now.kind != T_END)
    fail(&p, p.now, "\"%.*s\" cannot stand here: the expression was complete before it", TIDE_SPAN_FMT(p.now.text));
  struct tide_expr *expr = p.err ? NULL : settle(&p, term, NULL);
  if (!p.err && type != TIDE_V_NULL && expr->type != type)
    fail(&p, term.token, "%s is wanted here, this is %s", type_name(type), type_name(expr->type));
  if (p.err) return p.err;
  *ret = expr;
  return TIDE_OK;
}

enum tide_err tide_say_parse(const struct tide_scope *scope, struct tide_span text, int line, int column, const struct tide_say **ret,
                             uint32_t *ret_count, struct tide_error *error) {
  struct tide_say part[64];
  uint32_t count = 0;
  struct tide_buf literal = TIDE_BUF_INIT;
  enum tide_err err = TIDE_OK;
  for (size_t i = 0; i <= text.len && !err; i++) {
    bool end = i == text.len;
    char c = end ? 0 : text.ptr[i];
    bool twice = !end && (c == '{' || c == '}') && i + 1 < text.len && text.ptr[i + 1] == c;
    if (!end && !(c == '{' && !twice)) {
      if (c == '}' && !twice)
        err = tide_fail_at(error, TIDE_E_CONFIG, line, column ? column + (int)i : 0, "", "\"}\" without \"{\": write \"}}\" for a brace");
      tide_buf_char(&literal, c);
      i += twice;
      continue;
    }
    if (count + 2 > sizeof part / sizeof *part)
      err = tide_fail_at(error, TIDE_E_CONFIG, line, column, "", "a reason text holds at most 31 values");
    if (!err && literal.len) part[count++] = (struct tide_say){.literal = tide_arena_strdup(&scope->spec->arena, tide_buf_span(&literal))};
    tide_buf_clear(&literal);
    if (end || err) break;
    size_t close = i + 1;
    while (close < text.len && text.ptr[close] != '}') close++;
    if (close == text.len) {
      err = tide_fail_at(error, TIDE_E_CONFIG, line, column ? column + (int)i : 0, "", "\"{\" is not closed");
      break;
    }
    const struct tide_expr *value;
    err = tide_expr_parse(scope, (struct tide_span){text.ptr + i + 1, close - i - 1}, line, column ? column + (int)i + 1 : 0, TIDE_V_NULL,
                          &value, error);
    if (!err) part[count++] = (struct tide_say){.value = value};
    i = close;
  }
  tide_buf_release(&literal);
  if (err) return err;
  struct tide_say *kept = tide_arena_alloc(&scope->spec->arena, (count + 1) * sizeof *kept);
  memcpy(kept, part, count * sizeof *kept);
  *ret = kept;
  *ret_count = count;
  return TIDE_OK;
}
