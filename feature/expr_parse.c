/* Parsing expressions: recursive descent over the grammar drawn in expr.h; names are resolved and types checked on the way.
 *
 * A bare word that names nothing stays undecided (struct term) until its neighbour is known: beside a text it is a literal, anywhere else an error
 * at its own place with the nearest name. The first error ends the parse: every function returns at once while p->err is set, so there is one
 * sentence, about the first mistake. Length, nesting and depth of the tree are bounded, so hostile files cost little and evaluation may recurse. */
#include "feature/expr_parse.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "base/buf.h"
#include "base/num.h"
#include "base/utf8.h"
#include "config/yaml.h"
#include "feature/expr_lex.h"
#include "feature/expr_names.h"

#define TEXT_MAX 4096 /* bytes of one expression */
#define NEST_MAX 64   /* parentheses, calls, not, - */
#define TREE_MAX 128  /* levels of the tree; a chain of n operators has n */
#define SET_MAX 1000
#define ARGS_MAX 16

struct parser {
  const struct tide_scope *scope;
  struct tide_lexer lexer;
  struct tide_token now;
  int line, column;
  int nest;
  struct tide_error *error;
  enum tide_err err; /* the first error */
};

/* What a rule of the grammar gives: a node, or an undecided bare word. `token` is where it began. */
struct term {
  struct tide_expr *node;
  bool bare;
  struct tide_token token;
};

static struct term parse_or(struct parser *p);

/* ---- errors ---- */

static int column_of(const struct parser *p, struct tide_token token) { return p->column ? p->column + (int)token.at : 0; }

static struct term fail(struct parser *p, struct tide_token where, const char *fmt, ...) TIDE_PRINTF(3, 4);
static struct term fail(struct parser *p, struct tide_token where, const char *fmt, ...) {
  if (!p->err) {
    char text[sizeof p->error->text];
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    p->err = tide_fail_at(p->error, TIDE_E_CONFIG, p->line, column_of(p, where), "", "%s", text);
  }
  return (struct term){0};
}

/* Names are cut in messages: a hostile one must not push the advice out of the sentence. */
#define SHOWN(span) (int)((span).len < 64 ? (span).len : 64), (span).ptr

static const char *type_name(unsigned type) { return type == TIDE_V_NUM ? "a number" : type == TIDE_V_TEXT ? "a text" : "a condition"; }

static struct term unknown_name(struct parser *p, struct tide_token where) {
  const char *elsewhere = tide_name_elsewhere(p->scope, where.text);
  if (elsewhere) return fail(p, where, "`%.*s` is %s, which cannot be read here", SHOWN(where.text), elsewhere);
  if (tide_name_entity(p->scope->spec, where.text) != TIDE_NONE)
    return fail(p, where, "`%.*s` is an entity: it can be looked up on a list (`%.*s in LIST`), but it has no value here",
                SHOWN(where.text), SHOWN(where.text));
  for (uint32_t i = 0; p->scope->derived && i < p->scope->derived->count; i++)
    if (tide_span_is(where.text, p->scope->derived->pair[i].key))
      return fail(p, where,
                  p->scope->allow & TIDE_ALLOW_DERIVED
                      ? "`%.*s` does not stand above this derived value: each reads only those above it, so none can need itself"
                      : "`%.*s` is a derived value, which cannot be read here",
                  SHOWN(where.text));
  const char *best = tide_name_nearest(p->scope, where.text);
  if (best) return fail(p, where, "`%.*s` is not known here; did you mean `%s`?", SHOWN(where.text), best);
  return fail(p, where, "`%.*s` is not known here; a text that is no name stands beside a text field, or in quotes", SHOWN(where.text));
}

/* What stands where something else was wanted: other languages' words get their translation. */
static struct term unexpected(struct parser *p, const char *wanted) {
  static const struct { const char *theirs, *ours; } words[] = {{"&&", "and"}, {"||", "or"}, {"!", "not"}, {"<>", "!="}, {"==", "="}};
  static const char *const keywords[] = {"and", "or", "not", "in", "is"};
  static const char *const comparisons[] = {"=", "!=", "<", "<=", ">", ">="};
  struct tide_token token = p->now;
  if (token.kind == TIDE_TOKEN_OPEN_TEXT) return fail(p, token, "this quoted text is not closed");
  for (size_t i = 0; token.kind == TIDE_TOKEN_PUNCT && i < sizeof words / sizeof *words; i++)
    if (tide_span_is(token.text, words[i].theirs)) return fail(p, token, "write `%s` instead of `%s`", words[i].ours, words[i].theirs);
  for (size_t i = 0; token.kind == TIDE_TOKEN_NAME && i < sizeof keywords / sizeof *keywords; i++)
    if (token.text.len == strlen(keywords[i]) && !strncasecmp(token.text.ptr, keywords[i], token.text.len) &&
        !tide_span_is(token.text, keywords[i]))
      return fail(p, token, "write `%s` in small letters", keywords[i]);
  for (size_t i = 0; token.kind == TIDE_TOKEN_PUNCT && i < sizeof comparisons / sizeof *comparisons; i++)
    if (tide_span_is(token.text, comparisons[i]))
      return fail(p, token, "`%s` cannot stand here: join comparisons with and (`1 < x and x < 5`)", comparisons[i]);
  if (token.kind == TIDE_TOKEN_END) return fail(p, token, "the expression ends here, but %s", wanted);
  return fail(p, token, "`%.*s` cannot stand here: %s", SHOWN(token.text), wanted);
}

/* ---- tokens ---- */

static void next(struct parser *p) { p->now = tide_lex(&p->lexer); }

static struct tide_token peek(const struct parser *p) {
  struct tide_lexer ahead = p->lexer;
  return tide_lex(&ahead);
}

static bool at_word(const struct parser *p, const char *word) { return p->now.kind == TIDE_TOKEN_NAME && tide_span_is(p->now.text, word); }

static bool take_word(struct parser *p, const char *word) {
  if (p->err || !at_word(p, word)) return false;
  next(p);
  return true;
}

static bool take_punct(struct parser *p, const char *punct) {
  if (p->err || p->now.kind != TIDE_TOKEN_PUNCT || !tide_span_is(p->now.text, punct)) return false;
  next(p);
  return true;
}

static bool close_bracket(struct parser *p) {
  if (!p->err && !take_punct(p, ")")) unexpected(p, "`)` is missing");
  return !p->err;
}

static bool enter(struct parser *p, struct tide_token where) {
  if (++p->nest > NEST_MAX) fail(p, where, "the expression is nested more than %d deep: move a part to derived values", NEST_MAX);
  return !p->err;
}

/* ---- nodes ---- */

static struct tide_expr *node(struct parser *p, struct tide_token where, enum tide_op op, enum tide_vtype type, struct tide_expr *a,
                              struct tide_expr *b) {
  struct tide_expr *expr = tide_arena_alloc(&p->scope->spec->arena, sizeof *expr);
  *expr = (struct tide_expr){.op = (uint8_t)op, .type = (uint8_t)type, .a = a, .b = b, .line = p->line, .column = column_of(p, where)};
  return expr;
}

static struct tide_expr *node_ref(struct parser *p, struct tide_token where, enum tide_op op, enum tide_vtype type, uint32_t ref) {
  struct tide_expr *expr = node(p, where, op, type, NULL, NULL);
  expr->ref = ref;
  return expr;
}

static struct term done(struct tide_expr *expr, struct tide_token token) { return (struct term){.node = expr, .token = token}; }

static struct term negated(struct parser *p, bool negate, struct tide_expr *expr, struct tide_token token) {
  return done(negate ? node(p, token, TIDE_X_NOT, TIDE_V_BOOL, expr, NULL) : expr, token);
}

/* The words of an enumerated outcome column, NULL for anything else. */
static const char *const *words_of(const struct tide_expr *expr) {
  return expr && expr->op == TIDE_X_DYN ? tide_dyn_words((enum tide_dyn)expr->ref) : NULL;
}

static bool among(const char *const *words, struct tide_span word, size_t *ret_count) {
  bool yes = false;
  *ret_count = 0;
  for (; words[*ret_count]; ++*ret_count) yes = yes || tide_span_is(word, words[*ret_count]);
  return yes;
}

/* A text beside an enumerated outcome column must be one of its words; beside anything else every text may occur. */
static bool may_occur(struct parser *p, const struct tide_expr *beside, struct tide_token token) {
  const char *const *words = words_of(beside);
  size_t count;
  if (!words || among(words, token.text, &count)) return true;
  const char *best = tide_nearest(token.text, words, count), *name = tide_dyn_name((enum tide_dyn)beside->ref);
  struct tide_buf all = TIDE_BUF_INIT;
  for (size_t i = 0; i < count; i++) tide_buf_printf(&all, "%s%s", i ? ", " : "", words[i]);
  if (best) fail(p, token, "%s is never `%.*s`: did you mean `%s`? It is one of %s", name, SHOWN(token.text), best, tide_buf_cstr(&all));
  else fail(p, token, "%s is never `%.*s`: it is one of %s", name, SHOWN(token.text), tide_buf_cstr(&all));
  tide_buf_release(&all);
  return false;
}

static struct tide_expr *text_literal(struct parser *p, const struct tide_expr *beside, struct tide_token token) {
  if (!token.text.len) fail(p, token, "an empty text is a missing value: ask `is absent`");
  if (p->err || !may_occur(p, beside, token)) return NULL;
  struct tide_expr *expr = node(p, token, TIDE_X_TEXT, TIDE_V_TEXT, NULL, NULL);
  expr->code = tide_text_code(token.text);
  expr->text = tide_arena_strdup(&p->scope->spec->arena, token.text);
  return expr;
}

/* Settles an undecided word beside `beside` (NULL: nothing that could make it a text). Digits beside a text are its digits (mcc = 6011). */
static struct tide_expr *settle(struct parser *p, struct term term, const struct tide_expr *beside) {
  if (p->err) return NULL;
  bool text = beside && beside->type == TIDE_V_TEXT;
  if (text && (term.bare || term.node->op == TIDE_X_NUM)) return text_literal(p, beside, term.token);
  if (term.bare) return unknown_name(p, term.token).node;
  if (text && term.node->op == TIDE_X_TEXT && !may_occur(p, beside, term.token)) return NULL;
  return term.node;
}

static struct tide_expr *want(struct parser *p, struct term term, enum tide_vtype type, const char *role) {
  struct tide_expr *expr = settle(p, term, NULL);
  if (!expr || expr->type == type) return expr;
  return fail(p, term.token, "%s must be %s, this is %s", role, type_name(type), type_name(expr->type)).node;
}

/* ---- atoms ---- */

/* A number or a duration; what is neither (5b, 007) may still be a text beside a text. */
static struct term parse_number(struct parser *p) {
  struct tide_token token = p->now;
  double value = 0;
  int64_t ms = 0;
  bool word = token.kind == TIDE_TOKEN_WORD;
  enum tide_err err = word ? tide_duration_parse(token.text, &ms) : tide_double_parse(token.text, &value);
  if (err && memchr(token.text.ptr, '.', token.text.len)) return fail(p, token, "`%.*s` is not a number", SHOWN(token.text));
  next(p);
  if (err) return (struct term){.bare = true, .token = token};
  struct tide_expr *expr = node(p, token, TIDE_X_NUM, TIDE_V_NUM, NULL, NULL);
  expr->num = word ? (double)ms / 1000.0 : value;
  expr->text = tide_arena_strdup(&p->scope->spec->arena, token.text);
  return done(expr, token);
}

/* hour(time, "Zone"): the name, `(`, `time` and the zone; hours without a zone are a mistake that nobody sees until summer. */
static struct term parse_clock(struct parser *p, struct tide_token name, enum tide_op op) {
  struct tide_name what;
  if (!(p->scope->allow & TIDE_ALLOW_TIME)) return fail(p, name, "%.*s() can be used in derived values and rules only", SHOWN(name.text));
  bool event_time = at_word(p, "time") ||
                    (p->now.kind == TIDE_TOKEN_NAME && tide_name_find(p->scope, p->now.text, &what) && what.op == TIDE_X_EVENT_TIME);
  if (event_time) next(p);
  if (!event_time || !take_punct(p, ",") || p->now.kind != TIDE_TOKEN_TEXT)
    return fail(p, p->now, "write %.*s(time, \"Europe/Amsterdam\"): the event time and a zone in quotes", SHOWN(name.text));
  struct tide_expr *expr = node(p, name, op, TIDE_V_NUM, NULL, NULL);
  char *zone = tide_arena_strdup(&p->scope->spec->arena, p->now.text);
  struct tide_error error = {0};
  if (tide_zone_get(zone, &expr->zone, &error)) return fail(p, p->now, "%s", error.text);
  expr->text = zone;
  next(p);
  return close_bracket(p) ? done(expr, name) : (struct term){0};
}

static struct term make_if(struct parser *p, struct tide_token name, const struct term arg[3]) {
  struct tide_expr *condition = want(p, arg[0], TIDE_V_BOOL, "the first argument of if");
  struct tide_expr *yes = settle(p, arg[1], arg[2].node);
  struct tide_expr *no = settle(p, arg[2], yes);
  if (p->err) return (struct term){0};
  if (yes->type != no->type)
    return fail(p, arg[2].token, "both results of if must be of one type, these are %s and %s", type_name(yes->type), type_name(no->type));
  struct tide_expr *expr = node(p, name, TIDE_X_IF, (enum tide_vtype)yes->type, condition, yes);
  expr->c = no;
  return done(expr, name);
}

static const struct function {
  const char *name, *usage;
  enum tide_op op;
  unsigned least, most;
} functions[] = {{"log1p", "log1p(x)", TIDE_X_LOG1P, 1, 1},
                 {"abs", "abs(x)", TIDE_X_ABS, 1, 1},
                 {"min", "min(a, b, ...)", TIDE_X_MIN, 2, ARGS_MAX},
                 {"max", "max(a, b, ...)", TIDE_X_MAX, 2, ARGS_MAX},
                 {"if", "if(condition, then, else)", TIDE_X_IF, 3, 3},
                 {"hour", "hour(time, \"Zone\")", TIDE_X_HOUR, 2, 2},
                 {"weekday", "weekday(time, \"Zone\")", TIDE_X_WEEKDAY, 2, 2}};
#define FUNCTIONS (sizeof functions / sizeof *functions)

static const struct function *function_of(struct parser *p, struct tide_token name) {
  const char *names[FUNCTIONS];
  for (size_t f = 0; f < FUNCTIONS; f++) {
    if (tide_span_is(name.text, functions[f].name)) return &functions[f];
    names[f] = functions[f].name;
  }
  const char *best = tide_nearest(name.text, names, FUNCTIONS);
  if (best) fail(p, name, "there is no function `%.*s`; did you mean `%s`?", SHOWN(name.text), best);
  else fail(p, name, "there is no function `%.*s`; there are log1p abs min max if hour weekday", SHOWN(name.text));
  return NULL;
}

static struct term parse_call(struct parser *p, struct tide_token name) {
  const struct function *function = function_of(p, name);
  if (!function) return (struct term){0};
  next(p); /* ( */
  if (function->op == TIDE_X_HOUR || function->op == TIDE_X_WEEKDAY) return parse_clock(p, name, function->op);
  struct term arg[ARGS_MAX];
  unsigned count = 0;
  do {
    if (count == function->most) return fail(p, p->now, "too many arguments: write %s", function->usage);
    arg[count++] = parse_or(p);
  } while (take_punct(p, ","));
  if (!close_bracket(p)) return (struct term){0};
  if (count < function->least) return fail(p, name, "too few arguments: write %s", function->usage);
  if (function->op == TIDE_X_IF) return make_if(p, name, arg);
  struct tide_expr *expr = want(p, arg[0], TIDE_V_NUM, function->usage);
  if (count == 1 && expr) return done(node(p, name, function->op, TIDE_V_NUM, expr, NULL), name);
  for (unsigned i = 1; i < count && !p->err; i++)
    expr = node(p, name, function->op, TIDE_V_NUM, expr, want(p, arg[i], TIDE_V_NUM, function->usage));
  return p->err ? (struct term){0} : done(expr, name);
}

static struct term parse_name(struct parser *p) {
  static const char *const keywords[] = {"and", "or", "not", "in", "is"};
  struct tide_token name = p->now;
  for (size_t i = 0; i < sizeof keywords / sizeof *keywords; i++)
    if (at_word(p, keywords[i])) return unexpected(p, "a value is missing before it");
  next(p);
  if (p->now.kind == TIDE_TOKEN_PUNCT && tide_span_is(p->now.text, "(")) return parse_call(p, name);
  if (tide_span_is(name.text, "true")) return done(node(p, name, TIDE_X_TRUE, TIDE_V_BOOL, NULL, NULL), name);
  if (tide_span_is(name.text, "false")) return done(node(p, name, TIDE_X_FALSE, TIDE_V_BOOL, NULL, NULL), name);
  struct tide_name what;
  if (tide_name_find(p->scope, name.text, &what)) return done(node_ref(p, name, what.op, what.type, what.ref), name);
  if (memchr(name.text.ptr, '.', name.text.len))
    return unknown_name(p, name); /* never a literal: declines_10m misspelt must not pass as text */
  return (struct term){.bare = true, .token = name};
}

static struct term parse_atom(struct parser *p) {
  if (p->err) return (struct term){0};
  struct tide_token token = p->now;
  switch (token.kind) {
    case TIDE_TOKEN_NUMBER:
    case TIDE_TOKEN_WORD: return parse_number(p);
    case TIDE_TOKEN_NAME: return parse_name(p);
    case TIDE_TOKEN_TEXT: {
      struct tide_expr *expr = text_literal(p, NULL, token);
      next(p);
      return done(expr, token);
    }
    case TIDE_TOKEN_PUNCT:
      if (take_punct(p, "(")) {
        struct term inner = parse_or(p);
        return close_bracket(p) ? inner : (struct term){0};
      }
      return unexpected(p, "a value is missing before it");
    case TIDE_TOKEN_OPEN_TEXT:
    case TIDE_TOKEN_END: break;
  }
  return unexpected(p, "a value is missing");
}

/* ---- arithmetic ---- */

static struct term parse_unary(struct parser *p) {
  struct tide_token token = p->now;
  if (!take_punct(p, "-")) return parse_atom(p);
  if (!enter(p, token)) return (struct term){0};
  struct tide_expr *operand = want(p, parse_unary(p), TIDE_V_NUM, "the operand of -");
  p->nest--;
  return p->err ? (struct term){0} : done(node(p, token, TIDE_X_NEG, TIDE_V_NUM, operand, NULL), token);
}

struct link {
  const char *word;
  enum tide_op op;
};

/* Operators of one level in a row, left to right, both sides numbers. */
static struct term parse_chain(struct parser *p, struct term (*operand)(struct parser *), const struct link link[2]) {
  struct term left = operand(p);
  for (;;) {
    struct tide_token token = p->now;
    int which = take_punct(p, link[0].word) ? 0 : take_punct(p, link[1].word) ? 1 : -1;
    if (which < 0) return p->err ? (struct term){0} : left;
    struct tide_expr *a = want(p, left, TIDE_V_NUM, "what is calculated with");
    struct tide_expr *b = want(p, operand(p), TIDE_V_NUM, "what is calculated with");
    if (p->err) return (struct term){0};
    left = done(node(p, token, link[which].op, TIDE_V_NUM, a, b), left.token);
  }
}

static struct term parse_product(struct parser *p) {
  static const struct link link[2] = {{"*", TIDE_X_MUL}, {"/", TIDE_X_DIV}};
  return parse_chain(p, parse_unary, link);
}

static struct term parse_sum(struct parser *p) {
  static const struct link link[2] = {{"+", TIDE_X_ADD}, {"-", TIDE_X_SUB}};
  return parse_chain(p, parse_product, link);
}

/* ---- comparisons ---- */

static int by_code(const void *x, const void *y) {
  const union tide_literal *a = x, *b = y;
  return a->code < b->code ? -1 : a->code > b->code;
}

static int by_num(const void *x, const void *y) {
  const union tide_literal *a = x, *b = y;
  return a->num < b->num ? -1 : a->num > b->num;
}

/* One literal of a set. Every word is a literal here, also one that names something elsewhere. */
static struct tide_expr *parse_literal(struct parser *p, const struct tide_expr *operand) {
  struct tide_token token = p->now;
  bool word =
      token.kind == TIDE_TOKEN_NAME || token.kind == TIDE_TOKEN_NUMBER || token.kind == TIDE_TOKEN_WORD || token.kind == TIDE_TOKEN_TEXT;
  if (operand->type == TIDE_V_TEXT) {
    if (!word) return unexpected(p, "a set holds texts here, separated by commas").node;
    struct tide_expr *expr = text_literal(p, operand, token);
    next(p);
    return expr;
  }
  bool minus = take_punct(p, "-");
  if (p->now.kind != TIDE_TOKEN_NUMBER && p->now.kind != TIDE_TOKEN_WORD)
    return unexpected(p, "a set holds numbers here, separated by commas").node;
  struct tide_expr *expr = want(p, parse_number(p), TIDE_V_NUM, "a literal of this set");
  if (expr && minus) expr->num = -expr->num;
  return expr;
}

static struct tide_expr *parse_set(struct parser *p, struct tide_expr *operand, struct tide_token where) {
  union tide_literal set[SET_MAX];
  uint16_t count = 0;
  struct tide_buf text = TIDE_BUF_INIT;
  bool texts = operand->type == TIDE_V_TEXT;
  do {
    struct tide_token token = p->now;
    if (count == SET_MAX) fail(p, token, "a set holds at most %d values: use a list", SET_MAX);
    struct tide_expr *literal = p->err ? NULL : parse_literal(p, operand);
    if (!literal) break;
    if (texts) set[count].code = literal->code;
    else set[count].num = literal->num;
    tide_buf_printf(&text, "%s%s%s", count ? ", " : "", !texts && literal->num < 0 ? "-" : "", literal->text);
    count++;
  } while (take_punct(p, ","));
  struct tide_expr *expr = NULL;
  if (close_bracket(p)) {
    qsort(set, count, sizeof *set, texts ? by_code : by_num);
    union tide_literal *kept = tide_arena_alloc(&p->scope->spec->arena, count * sizeof *kept);
    memcpy(kept, set, count * sizeof *kept);
    expr = node(p, where, TIDE_X_IN, TIDE_V_BOOL, operand, NULL);
    expr->set = kept;
    expr->set_count = count;
    expr->text = tide_arena_strdup(&p->scope->spec->arena, tide_buf_span(&text));
  }
  tide_buf_release(&text);
  return expr;
}

/* What may be on a list: an entity, which wins over a field of its name, or a text field. */
static struct tide_expr *list_operand(struct parser *p, struct term left) {
  uint32_t entity = tide_name_entity(p->scope->spec, left.token.text);
  if (entity != TIDE_NONE && (left.bare || left.node->op == TIDE_X_FIELD))
    return node_ref(p, left.token, TIDE_X_ENTITY, TIDE_V_TEXT, entity);
  if (left.bare) return unknown_name(p, left.token).node;
  if (left.node->op != TIDE_X_FIELD || left.node->type != TIDE_V_TEXT)
    return fail(p, left.token, "only a text field or an entity can be on a list").node;
  return left.node;
}

static struct tide_expr *parse_list(struct parser *p, struct term left) {
  struct tide_spec *spec = p->scope->spec;
  struct tide_token token = p->now;
  if (token.kind != TIDE_TOKEN_NAME) return unexpected(p, "after `in` comes a set (a, b) or a list").node;
  uint32_t index = tide_name_list(spec, token.text);
  if (!(p->scope->allow & TIDE_ALLOW_LISTS)) return fail(p, token, "lists can be used in rules only; a set is written in (a, b)").node;
  if (index == TIDE_NONE) {
    const char *best = tide_name_nearest(p->scope, token.text);
    if (best && tide_name_list(spec, tide_span_of(best)) != TIDE_NONE)
      return fail(p, token, "there is no list `%.*s`; did you mean `%s`?", SHOWN(token.text), best).node;
    return fail(p, token, "there is no list `%.*s`: name it under policy.lists, or write a set in (a, b)", SHOWN(token.text)).node;
  }
  next(p);
  struct tide_expr *operand = list_operand(p, left);
  if (!operand) return NULL;
  struct tide_list *list = &spec->list[index];
  bool is_entity = operand->op == TIDE_X_ENTITY;
  if (list->ref == TIDE_NONE) {
    list->is_entity = is_entity;
    list->ref = operand->ref;
  } else if (list->is_entity != is_entity || list->ref != operand->ref) {
    const char *held = list->is_entity ? spec->entity[list->ref].name : spec->field[list->ref].name;
    return fail(p, left.token, "the list `%s` already holds values of %s `%s`: a list holds one kind of value", list->name,
                list->is_entity ? "the entity" : "the field", held)
        .node;
  }
  struct tide_expr *expr = node_ref(p, left.token, TIDE_X_IN_LIST, TIDE_V_BOOL, index);
  expr->a = operand;
  return expr;
}

static struct term parse_in(struct parser *p, struct term left, bool negate) {
  struct tide_expr *expr = NULL;
  if (take_punct(p, "(")) {
    struct tide_expr *operand = settle(p, left, NULL);
    if (operand && operand->type == TIDE_V_BOOL) return fail(p, left.token, "a condition is no member of a set");
    if (operand) expr = parse_set(p, operand, left.token);
  } else {
    expr = parse_list(p, left);
  }
  return p->err ? (struct term){0} : negated(p, negate, expr, left.token);
}

static struct term parse_is(struct parser *p, struct term left) {
  static const struct link states[] = {{"empty", TIDE_X_IS_EMPTY}, {"absent", TIDE_X_IS_ABSENT}, {"known", TIDE_X_IS_KNOWN}};
  bool negate = take_word(p, "not");
  struct tide_expr *operand = settle(p, left, NULL);
  if (!operand) return (struct term){0};
  for (size_t i = 0; i < sizeof states / sizeof *states; i++)
    if (take_word(p, states[i].word)) return negated(p, negate, node(p, left.token, states[i].op, TIDE_V_BOOL, operand, NULL), left.token);
  return unexpected(p, "`is` asks for empty, absent or known");
}

static struct tide_expr *make_comparison(struct parser *p, struct link link, struct term left, struct term right) {
  struct tide_expr *a = settle(p, left, right.node);
  struct tide_expr *b = settle(p, right, a);
  if (p->err) return NULL;
  bool text = a->type == TIDE_V_TEXT || b->type == TIDE_V_TEXT, condition = a->type == TIDE_V_BOOL || b->type == TIDE_V_BOOL;
  if (a->type != b->type)
    return fail(p, right.token, "%s is compared with %s%s", type_name(a->type), type_name(b->type),
                text && condition ? ": put quotes around a text"
                : text            ? ": declare the field `as: int` if it holds numbers"
                                  : ": compare it with true or false")
        .node;
  bool ordered = link.op != TIDE_X_EQ && link.op != TIDE_X_NE;
  if (ordered && a->type != TIDE_V_NUM)
    return fail(p, left.token, "%s has no order, use = or !=%s", type_name(a->type),
                text ? "; declare the field `as: int` if it holds numbers" : "")
        .node;
  return node(p, left.token, link.op, TIDE_V_BOOL, a, b);
}

/* The right side. Beside an enumerated outcome column its own words come first: `result = declined` also where something is called declined. */
static struct term parse_right(struct parser *p, struct term left) {
  const char *const *words = words_of(left.node);
  size_t count;
  if (!words || p->now.kind != TIDE_TOKEN_NAME || !among(words, p->now.text, &count)) return parse_sum(p);
  struct term right = {.bare = true, .token = p->now};
  next(p);
  return right;
}

static struct term parse_comparison(struct parser *p) {
  static const struct link comparisons[] = {{"=", TIDE_X_EQ},  {"!=", TIDE_X_NE}, {"<=", TIDE_X_LE},
                                            {">=", TIDE_X_GE}, {"<", TIDE_X_LT},  {">", TIDE_X_GT}};
  struct term left = parse_sum(p);
  if (p->err) return left;
  for (size_t i = 0; i < sizeof comparisons / sizeof *comparisons; i++) {
    if (!take_punct(p, comparisons[i].word)) continue;
    struct term right = parse_right(p, left);
    if (p->err) return right;
    struct tide_expr *expr = make_comparison(p, comparisons[i], left, right);
    return done(expr, left.token);
  }
  bool negate = at_word(p, "not") && tide_span_is(peek(p).text, "in") && take_word(p, "not");
  if (take_word(p, "in")) return parse_in(p, left, negate);
  if (take_word(p, "is")) return parse_is(p, left);
  return left;
}

/* ---- conditions ---- */

static struct term parse_not(struct parser *p) {
  struct tide_token token = p->now;
  if (!take_word(p, "not")) return parse_comparison(p);
  if (!enter(p, token)) return (struct term){0};
  struct tide_expr *operand = want(p, parse_not(p), TIDE_V_BOOL, "the operand of not");
  p->nest--;
  return p->err ? (struct term){0} : negated(p, true, operand, token);
}

static struct term parse_logic(struct parser *p, struct term (*operand)(struct parser *), struct link link) {
  struct term left = operand(p);
  for (;;) {
    struct tide_token token = p->now;
    if (!take_word(p, link.word)) return p->err ? (struct term){0} : left;
    struct tide_expr *a = want(p, left, TIDE_V_BOOL, "what stands before and/or");
    struct tide_expr *b = want(p, operand(p), TIDE_V_BOOL, "what stands behind and/or");
    if (p->err) return (struct term){0};
    left = done(node(p, token, link.op, TIDE_V_BOOL, a, b), left.token);
  }
}

static struct term parse_and(struct parser *p) { return parse_logic(p, parse_not, (struct link){"and", TIDE_X_AND}); }

static struct term parse_or(struct parser *p) {
  if (p->err || !enter(p, p->now)) return (struct term){0};
  struct term term = parse_logic(p, parse_and, (struct link){"or", TIDE_X_OR});
  p->nest--;
  return term;
}

static int depth_of(const struct tide_expr *expr) {
  if (!expr) return 0;
  int a = depth_of(expr->a), b = depth_of(expr->b), c = depth_of(expr->c);
  return 1 + (a > b ? a > c ? a : c : b > c ? b : c);
}

enum tide_err tide_expr_parse(const struct tide_scope *scope, struct tide_span text, int line, int column, enum tide_vtype type,
                              const struct tide_expr **ret, struct tide_error *error) {
  struct parser p = {.scope = scope, .lexer = {.text = text}, .line = line, .column = column, .error = error};
  if (text.len > TEXT_MAX)
    return tide_fail_at(error, TIDE_E_CONFIG, line, column, "", "an expression has at most %d characters; use derived values", TEXT_MAX);
  next(&p);
  struct term term = parse_or(&p);
  if (!p.err && p.now.kind != TIDE_TOKEN_END) unexpected(&p, "the expression was complete before it");
  struct tide_expr *expr = settle(&p, term, NULL);
  if (!p.err && depth_of(expr) > TREE_MAX)
    fail(&p, term.token, "more than %d operators stand in a row or inside each other: use a set or derived values", TREE_MAX);
  if (!p.err && type != TIDE_V_NULL && expr->type != type)
    fail(&p, term.token, "%s is wanted here, this is %s", type_name(type), type_name(expr->type));
  if (p.err) return p.err;
  *ret = expr;
  return TIDE_OK;
}
