/* What the sections of the feature file share: noting mistakes with their place and a suggestion, and reading nodes as what they should be.
 *
 * Errors are collected, not thrown: an analyst fixes a file in one round. To keep one mistake from raising ten, a declaration that failed marks its name as
 * broken, and a text that mentions a broken name is not blamed for what the parser makes of it. */
#include "feature/spec_build.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/num.h"
#include "base/utf8.h"

/* A mistake that several shapes inherit is one mistake. */
static bool noted(const struct tide_build *b, int line, int column, const char *field) {
  for (size_t i = 0; i < b->error_count && i < TIDE_BUILD_ERRORS_MAX; i++)
    if (b->errors[i].line == line && b->errors[i].column == column &&
        strncmp(b->errors[i].field, field ? field : "", sizeof b->errors[i].field - 1) == 0)
      return true;
  return false;
}

static void note(struct tide_build *b, enum tide_err code, int line, int column, const char *field, const char *text) {
  if (noted(b, line, column, field)) return;
  if (b->error_count < TIDE_BUILD_ERRORS_MAX) (void)tide_fail_at(&b->errors[b->error_count], code, line, column, field, "%s", text);
  b->error_count++;
}

#define FORMATTED(text, fmt)                                                                                                               \
  char text[384];                                                                                                                          \
  va_list args;                                                                                                                            \
  va_start(args, fmt);                                                                                                                     \
  (void)vsnprintf(text, sizeof text, fmt, args);                                                                                           \
  va_end(args)

void tide_build_fail(struct tide_build *b, int line, int column, const char *field, const char *fmt, ...) {
  FORMATTED(text, fmt);
  note(b, TIDE_E_CONFIG, line, column, field, text);
}

void tide_build_fail_node(struct tide_build *b, const struct tide_yaml_node *node, const char *field, const char *fmt, ...) {
  FORMATTED(text, fmt);
  note(b, TIDE_E_CONFIG, node->line, node->column, field, text);
}

static int column_at(const struct tide_yaml_node *node, size_t offset) {
  if (!node->exact) return node->column;
  int column = node->text_column;
  for (size_t i = 0; i < offset && i < node->text.len; i++) column += ((unsigned char)node->text.ptr[i] & 0xC0) != 0x80;
  return column;
}

void tide_build_fail_text(struct tide_build *b, const struct tide_yaml_node *node, size_t offset, const char *field, const char *fmt, ...) {
  FORMATTED(text, fmt);
  note(b, TIDE_E_CONFIG, node->line, column_at(node, offset), field, text);
}

void tide_build_broken(struct tide_build *b, const char *name) {
  TIDE_CHECK(b->error_count > 0);
  if (b->broken_count == b->broken_cap) {
    uint32_t cap = b->broken_cap ? b->broken_cap * 2 : 16;
    const char **grown = tide_arena_alloc(&b->scratch, cap * sizeof *grown);
    for (uint32_t i = 0; i < b->broken_count; i++) grown[i] = b->broken[i];
    b->broken = grown;
    b->broken_cap = cap;
  }
  b->broken[b->broken_count++] = tide_arena_strdup(&b->scratch, tide_span_of(name));
}

static bool mentions_broken(const struct tide_build *b, struct tide_span text) {
  for (uint32_t i = 0; i < b->broken_count; i++)
    if (memmem(text.ptr, text.len, b->broken[i], strlen(b->broken[i]))) return true;
  return false;
}

const char *tide_build_suggest(struct tide_build *b, const char *name, const char *const *candidates, size_t count) {
  char text[256];
  const char *near = tide_nearest(tide_span_of(name), candidates, count);
  if (near) {
    (void)snprintf(text, sizeof text, "; did you mean `%.80s`?", near);
  } else if (count == 0 || count > 16) {
    return "";
  } else {
    int at = snprintf(text, sizeof text, "; expected %s", count > 1 ? "one of " : "");
    for (size_t i = 0; i < count && at < (int)sizeof text - 1; i++)
      at += snprintf(text + at, sizeof text - (size_t)at, "%s%s", i ? ", " : "", candidates[i]);
  }
  return tide_arena_strdup(&b->scratch, tide_span_of(text));
}

bool tide_build_keys(struct tide_build *b, const struct tide_yaml_node *map, const char *what, const char *const *keys, size_t count) {
  if (map->kind != TIDE_YAML_MAP) {
    tide_build_fail_node(b, map, what, "%s must be a mapping (`key: value` lines), not %s", what, tide_yaml_kind_name(map));
    return false;
  }
  for (uint32_t i = 0; i < map->count; i++) {
    const struct tide_yaml_pair *pair = &map->pair[i];
    bool known = false;
    for (size_t k = 0; k < count && !known; k++) known = strcmp(pair->key, keys[k]) == 0;
    if (known) continue;
    /* {key: first_of(par, pan)}: inside braces the comma ends the value, and `pan)` becomes a key. */
    const char *quote = map->flow && strchr(pair->key, ')') ? "; a text with commas inside { } must be quoted" : NULL;
    tide_build_fail(b, pair->line, pair->column, pair->key, "unknown key `%.64s` in %s%s", pair->key, what,
                    quote ? quote : tide_build_suggest(b, pair->key, keys, count));
  }
  return true;
}

bool tide_build_scalar(struct tide_build *b, const struct tide_yaml_node *node, const char *what) {
  if (node->kind == TIDE_YAML_SCALAR && !tide_yaml_is_null(node)) return true;
  tide_build_fail_node(b, node, what, "%s must be a text, not %s", what, tide_yaml_kind_name(node));
  return false;
}

uint32_t tide_build_list(struct tide_build *b, struct tide_yaml_node *node, const char *what, uint32_t max,
                         const struct tide_yaml_node **ret) {
  if (node->kind == TIDE_YAML_SCALAR) {
    if (!tide_build_scalar(b, node, what)) return 0;
    ret[0] = node;
    return 1;
  }
  if (node->kind != TIDE_YAML_LIST || node->count == 0) {
    tide_build_fail_node(b, node, what, "%s must be a name or a list of names, not %s", what,
                         node->kind == TIDE_YAML_LIST ? "an empty list" : tide_yaml_kind_name(node));
    return 0;
  }
  if (node->count > max) {
    tide_build_fail_node(b, node->item[max], what, "%s has %u parts, at most %u are possible", what, node->count, max);
    return 0;
  }
  for (uint32_t i = 0; i < node->count; i++) {
    if (!tide_build_scalar(b, node->item[i], what)) return 0;
    ret[i] = node->item[i];
  }
  return node->count;
}

static bool is_name(const char *name) {
  size_t n = 0;
  for (; name[n]; n++) {
    char c = name[n];
    bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
    if (!letter && (n == 0 || c < '0' || c > '9')) return false;
  }
  return n > 0 && n <= TIDE_NAME_MAX;
}

bool tide_build_name(struct tide_build *b, const char *name, int line, int column, const char *what) {
  if (is_name(name)) return true;
  tide_build_fail(b, line, column, name,
                  "`%.64s` cannot name %s: names are letters, digits and _, begin with a letter and have at most %d characters", name, what,
                  TIDE_NAME_MAX);
  return false;
}

bool tide_build_read_name(struct tide_build *b, const char *name, int line, int column, const char *what) {
  static const char *const reserved[] = {"score", "true", "false", "and", "or", "not", "in", "is"};
  if (!tide_build_name(b, name, line, column, what)) return false;
  for (size_t i = 0; i < sizeof reserved / sizeof reserved[0]; i++) {
    if (strcmp(reserved[i], name) != 0) continue;
    tide_build_fail(b, line, column, name, "`%s` is a word of the language and cannot name %s", name, what);
    return false;
  }
  return true;
}

bool tide_build_bool(struct tide_build *b, const struct tide_yaml_node *node, const char *what, bool *ret) {
  static const char *const words[] = {"false", "true"};
  int word = tide_build_word(b, node, what, words, 2);
  if (word < 0) return false;
  *ret = word == 1;
  return true;
}

bool tide_build_duration(struct tide_build *b, const struct tide_yaml_node *node, const char *what, int64_t *ret_ms) {
  if (!tide_build_scalar(b, node, what)) return false;
  int64_t ms;
  if (tide_duration_parse(node->text, &ms)) {
    tide_build_fail_node(b, node, what,
                         "%s: `%.40s` is not a duration; write a whole number and one of ms s m h d, like 15s or 30d, at most 3650d", what,
                         node->text.ptr);
    return false;
  }
  *ret_ms = ms;
  return true;
}

bool tide_build_int(struct tide_build *b, const struct tide_yaml_node *node, const char *what, int64_t lo, int64_t hi, int64_t *ret) {
  if (!tide_build_scalar(b, node, what)) return false;
  int64_t v;
  if (tide_int_parse(node->text, &v) || v < lo || v > hi) {
    tide_build_fail_node(b, node, what, "%s: `%.40s` is not a whole number from %lld to %lld", what, node->text.ptr, (long long)lo,
                         (long long)hi);
    return false;
  }
  *ret = v;
  return true;
}

int tide_build_word(struct tide_build *b, const struct tide_yaml_node *node, const char *what, const char *const *words, size_t count) {
  if (!tide_build_scalar(b, node, what)) return -1;
  for (size_t i = 0; i < count; i++)
    if (tide_span_is(node->text, words[i])) return (int)i;
  tide_build_fail_node(b, node, what, "%s cannot be `%.64s`%s", what, node->text.ptr, tide_build_suggest(b, node->text.ptr, words, count));
  return -1;
}

const char *tide_build_dup(struct tide_build *b, struct tide_span text) { return tide_arena_strdup(&b->spec->arena, text); }

const char *const *tide_build_field_names(struct tide_build *b, bool entities, size_t *ret_count) {
  const struct tide_spec *spec = b->spec;
  const char **names = tide_arena_alloc(&b->scratch, (spec->field_count + spec->entity_count + 1) * sizeof *names);
  size_t n = 0;
  for (uint32_t i = 0; i < spec->field_count; i++)
    if (!spec->field[i].fact) names[n++] = spec->field[i].name;
  for (uint32_t i = 0; entities && i < spec->entity_count; i++) names[n++] = spec->entity[i].name;
  *ret_count = n;
  return names;
}

uint32_t tide_build_field_text(struct tide_build *b, const struct tide_yaml_node *node, struct tide_span name, const char *what) {
  const char *text = tide_arena_strdup(&b->scratch, name);
  uint32_t field = tide_spec_field(b->spec, text);
  if (field != TIDE_NONE || mentions_broken(b, name)) return field;
  size_t count;
  const char *const *names = tide_build_field_names(b, false, &count);
  tide_build_fail_text(b, node, name.ptr >= node->text.ptr ? (size_t)(name.ptr - node->text.ptr) : 0, text,
                       "%s: no field is named `%.64s`%s", what, text, tide_build_suggest(b, text, names, count));
  return TIDE_NONE;
}

uint32_t tide_build_field(struct tide_build *b, const struct tide_yaml_node *node, const char *what) {
  if (!tide_build_scalar(b, node, what)) return TIDE_NONE;
  return tide_build_field_text(b, node, node->text, what);
}

/* A secret field is a keyed hash when expressions see it: they may ask whether it is there or on a list, nothing else. Depth is bounded by the expression parser. */
static const struct tide_expr *secret_read(const struct tide_spec *spec, const struct tide_expr *expr) {
  if (!expr) return NULL;
  if (expr->op == TIDE_X_FIELD) return spec->field[expr->ref].secret ? expr : NULL;
  if (expr->op == TIDE_X_IN_LIST || expr->op == TIDE_X_IS_EMPTY || expr->op == TIDE_X_IS_ABSENT || expr->op == TIDE_X_IS_KNOWN)
    if (expr->a && expr->a->op == TIDE_X_FIELD) return NULL;
  const struct tide_expr *found = secret_read(spec, expr->a);
  if (!found) found = secret_read(spec, expr->b);
  return found ? found : secret_read(spec, expr->c);
}

/* The parser reports bytes from the column it was given; people count characters, and not at all in a folded text. */
static int part_column(const struct tide_yaml_node *node, struct tide_span part) {
  TIDE_CHECK(part.ptr >= node->text.ptr && part.ptr <= node->text.ptr + node->text.len);
  return column_at(node, (size_t)(part.ptr - node->text.ptr));
}

static void note_parsed(struct tide_build *b, const struct tide_yaml_node *node, struct tide_span part, struct tide_error *error,
                        const char *what) {
  if (mentions_broken(b, part)) return;
  size_t offset = (size_t)(part.ptr - node->text.ptr);
  if (error->column > part_column(node, part)) offset += (size_t)(error->column - part_column(node, part));
  char text[384];
  (void)snprintf(text, sizeof text, "%s: %.340s", what, error->text);
  note(b, error->code, node->line, column_at(node, offset), error->field, text);
}

static struct tide_scope scope_of(const struct tide_build *b, unsigned allow) {
  const struct tide_yaml_node *derived = tide_yaml_get(b->root, "derived");
  return (struct tide_scope){.spec = b->spec, .allow = allow, .derived = derived && derived->kind == TIDE_YAML_MAP ? derived : NULL};
}

const struct tide_expr *tide_build_expr(struct tide_build *b, const struct tide_yaml_node *node, struct tide_span part, unsigned allow,
                                        enum tide_vtype want, const char *what) {
  struct tide_scope scope = scope_of(b, allow);
  struct tide_error error = {0};
  const struct tide_expr *expr = NULL;
  if (tide_expr_parse(&scope, part, node->line, part_column(node, part), want, &expr, &error)) {
    note_parsed(b, node, part, &error, what);
    return NULL;
  }
  const struct tide_expr *secret = secret_read(b->spec, expr);
  if (secret) {
    size_t offset = (size_t)(part.ptr - node->text.ptr);
    if (secret->column > part_column(node, part)) offset += (size_t)(secret->column - part_column(node, part));
    const char *name = b->spec->field[secret->ref].name;
    tide_build_fail_text(
        b, node, offset, name,
        "%s: `%.64s` is secret (event.key): its text cannot be compared; derive what you need (prefix, ip_prefix, email_key, lower) or use a list",
        what, name);
    return NULL;
  }
  return expr;
}

bool tide_build_say(struct tide_build *b, const struct tide_yaml_node *node, struct tide_span part, unsigned allow,
                    struct tide_rule *rule) {
  struct tide_scope scope = scope_of(b, allow);
  struct tide_error error = {0};
  if (tide_say_parse(&scope, part, node->line, part_column(node, part), &rule->parts, &rule->say_count, &error)) {
    note_parsed(b, node, part, &error, "say");
    return false;
  }
  for (uint32_t i = 0; i < rule->say_count; i++) {
    const struct tide_expr *secret = secret_read(b->spec, rule->parts[i].value);
    if (!secret) continue;
    tide_build_fail_text(b, node, (size_t)(part.ptr - node->text.ptr), b->spec->field[secret->ref].name,
                         "say: `%.64s` is secret and cannot be printed", b->spec->field[secret->ref].name);
    return false;
  }
  return true;
}

struct tide_span tide_span_trim(struct tide_span s) {
  while (s.len && (s.ptr[0] == ' ' || s.ptr[0] == '\t' || s.ptr[0] == '\n')) s.ptr++, s.len--;
  while (s.len && (s.ptr[s.len - 1] == ' ' || s.ptr[s.len - 1] == '\t' || s.ptr[s.len - 1] == '\n')) s.len--;
  return s;
}
