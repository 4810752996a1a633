/* A feature file built by hand, with one of everything that expressions and rules can read, and an expression printer.
 *
 * Values stand in `struct world`; tests set what they need and parse or evaluate texts against it. Nothing here depends on the parser of
 * the feature file. */
#ifndef TIDE_EXPR_FIXTURE_H
#define TIDE_EXPR_FIXTURE_H

#include "base/buf.h"
#include "feature/expr_parse.h"
#include "tests/support/mini_spec.h"

#include <stdio.h>

enum { F_TIME, F_KIND, F_AMOUNT, F_COUNTRY, F_CNP, F_ITEMS, F_MCC, F_MERCHANT, F_OPENED };
enum { S_DECLINES, S_SPEND, S_CARDS, S_LAST, S_IDLE, S_COUNT };
enum { E_CARD, E_MERCHANT };
enum { D_JUMP, D_NIGHT };

#define EVERYTHING                                                                                                              \
  (TIDE_ALLOW_FIELDS | TIDE_ALLOW_DYN | TIDE_ALLOW_FEATURES | TIDE_ALLOW_DERIVED | TIDE_ALLOW_SCORE | TIDE_ALLOW_LISTS | \
   TIDE_ALLOW_TIME)

struct world {
  struct tide_spec *spec;
  struct tide_value field[16], dyn[TIDE_DYN_COUNT], slot[S_COUNT], derived[8];
  struct tide_env env;
  bool listed, list_missing; /* what every list says */
};

static inline bool world_in_list(const void *ctx, uint32_t list, const struct tide_expr *operand, bool *ret_missing) {
  const struct world *w = ctx;
  (void)list, (void)operand;
  *ret_missing = w->list_missing;
  return w->listed;
}

static inline void world_init(struct world *w) {
  static const char *const decisions[] = {"approve", "challenge", "review", "decline"};
  *w = (struct world){.spec = mini_new()};
  struct tide_spec *s = w->spec;
  mini_field(s, "time", TIDE_F_TIME);
  mini_field(s, "kind", TIDE_F_TEXT);
  mini_field(s, "amount", TIDE_F_MONEY);
  mini_field(s, "country", TIDE_F_TEXT);
  mini_field(s, "cnp", TIDE_F_BOOL);
  mini_field(s, "items", TIDE_F_NUMBER);
  mini_field(s, "mcc", TIDE_F_TEXT);
  mini_field(s, "merchant", TIDE_F_TEXT);
  mini_field(s, "opened", TIDE_F_TIME);
  s->f_time = F_TIME, s->f_kind = F_KIND, s->f_amount = F_AMOUNT, s->f_merchant = F_MERCHANT;
  s->entity[s->entity_count++] = (struct tide_entity){.name = "card"};
  s->entity[s->entity_count++] = (struct tide_entity){.name = "merchant"};
  static struct tide_slot slots[S_COUNT];
  slots[S_DECLINES] = (struct tide_slot){.name = "card.declines_10m", .type = TIDE_V_NUM};
  slots[S_SPEND] = (struct tide_slot){.name = "card.spend_24h", .type = TIDE_V_NUM, .money = true};
  slots[S_CARDS] = (struct tide_slot){.name = "ip.cards_1h", .type = TIDE_V_NUM};
  slots[S_LAST] = (struct tide_slot){.name = "card.last_country", .type = TIDE_V_TEXT};
  slots[S_IDLE] = (struct tide_slot){.name = "card.idle", .type = TIDE_V_NUM};
  s->slot = slots, s->slot_count = S_COUNT;
  s->list[s->list_count++] = (struct tide_list){.name = "blocked_cards", .ref = TIDE_NONE};
  s->list[s->list_count++] = (struct tide_list){.name = "trusted", .ref = TIDE_NONE};
  s->decision = tide_arena_alloc(&s->arena, sizeof decisions);
  memcpy(s->decision, decisions, sizeof decisions);
  s->decision_count = 4;
  s->derived = tide_arena_alloc(&s->arena, 8 * sizeof *s->derived);
  w->env = (struct tide_env){.field = w->field, .dyn = w->dyn, .slot = w->slot, .derived = w->derived, .in_list = world_in_list, .in_list_ctx = w};
  for (size_t i = 0; i < 16; i++) w->field[i] = tide_null(TIDE_S_absent, TIDE_C_absent);
  for (size_t i = 0; i < TIDE_DYN_COUNT; i++) w->dyn[i] = tide_null(TIDE_S_absent, TIDE_C_absent);
  for (size_t i = 0; i < S_COUNT; i++) w->slot[i] = tide_null(TIDE_S_empty, TIDE_C_empty);
}

static inline void world_release(struct world *w) { mini_free(w->spec); }

/* Values of every kind. */
static inline struct tide_value text_value(const char *text) { return tide_text(tide_text_code(tide_span_of(text))); }
static inline struct tide_value empty_value(void) { return tide_null(TIDE_S_empty, TIDE_C_empty); }
static inline struct tide_value absent_value(void) { return tide_null(TIDE_S_absent, TIDE_C_absent); }
static inline struct tide_value capped_value(double n) {
  struct tide_value v = tide_num(n);
  v.state = TIDE_S_saturated, v.cause = TIDE_C_saturated;
  return v;
}
/* A number that is there and must not be trusted. */
static inline struct tide_value stale_value(double n) {
  struct tide_value v = tide_num(n);
  v.state = TIDE_S_stale, v.cause = TIDE_C_stale, v.unknown = true;
  return v;
}
static inline struct tide_value too_late_value(void) {
  struct tide_value v = tide_null(TIDE_S_stale, TIDE_C_too_late);
  v.unknown = true;
  return v;
}

static inline const struct tide_expr *parse_in(struct world *w, const char *text, unsigned allow, struct tide_error *error) {
  const struct tide_expr *expr = NULL;
  struct tide_scope scope = {.spec = w->spec, .allow = allow};
  *error = (struct tide_error){0};
  return tide_expr_parse(&scope, tide_span_of(text), 7, 1, TIDE_V_NULL, &expr, error) == TIDE_OK ? expr : NULL;
}

static inline const struct tide_expr *parse(struct world *w, const char *text) {
  struct tide_error error;
  const struct tide_expr *expr = parse_in(w, text, EVERYTHING, &error);
  if (!expr) fprintf(stderr, "%s\n  column %d: %s\n", text, error.column, error.text);
  return expr;
}

static inline void world_derive(struct world *w, const char *name, const char *text) {
  const struct tide_expr *expr = parse(w, text);
  if (!expr) abort();
  w->spec->derived[w->spec->derived_count++] = (struct tide_derived){.name = name, .expr = expr};
}

/* Evaluates in a rule or as a derived value; derived values first, in their order. */
static inline struct tide_value eval(struct world *w, const char *text, bool rule) {
  const struct tide_expr *expr = parse(w, text);
  if (!expr) abort();
  w->env.rule = false;
  for (uint32_t d = 0; d < w->spec->derived_count; d++) w->derived[d] = tide_expr_eval(w->spec->derived[d].expr, &w->env);
  w->env.rule = rule;
  return tide_expr_eval(expr, &w->env);
}

/* The tree as (op part part), names as they are, texts in quotes. */
static inline void print_expr(const struct tide_spec *spec, const struct tide_expr *e, struct tide_buf *out) {
  static const char *const name[] = {[TIDE_X_EQ] = "=", [TIDE_X_NE] = "!=", [TIDE_X_LT] = "<", [TIDE_X_LE] = "<=", [TIDE_X_GT] = ">", [TIDE_X_GE] = ">=",
                                     [TIDE_X_IN] = "in", [TIDE_X_IN_LIST] = "on", [TIDE_X_IS_EMPTY] = "empty", [TIDE_X_IS_ABSENT] = "absent",
                                     [TIDE_X_IS_KNOWN] = "known", [TIDE_X_AND] = "and", [TIDE_X_OR] = "or", [TIDE_X_NOT] = "not", [TIDE_X_ADD] = "+",
                                     [TIDE_X_SUB] = "-", [TIDE_X_MUL] = "*", [TIDE_X_DIV] = "/", [TIDE_X_NEG] = "neg", [TIDE_X_LOG1P] = "log1p",
                                     [TIDE_X_ABS] = "abs", [TIDE_X_MIN] = "min", [TIDE_X_MAX] = "max", [TIDE_X_IF] = "if", [TIDE_X_HOUR] = "hour",
                                     [TIDE_X_WEEKDAY] = "weekday"};
  switch ((enum tide_op)e->op) {
    case TIDE_X_NUM: tide_buf_printf(out, "%g", e->num); return;
    case TIDE_X_TEXT: tide_buf_printf(out, "'%s'", e->text); return;
    case TIDE_X_TRUE: tide_buf_str(out, "true"); return;
    case TIDE_X_FALSE: tide_buf_str(out, "false"); return;
    case TIDE_X_FIELD: tide_buf_printf(out, "field:%s", spec->field[e->ref].name); return;
    case TIDE_X_DYN: tide_buf_str(out, tide_dyn_name((enum tide_dyn)e->ref)); return;
    case TIDE_X_FEATURE: tide_buf_str(out, spec->slot[e->ref].name); return;
    case TIDE_X_DERIVED: tide_buf_str(out, spec->derived[e->ref].name); return;
    case TIDE_X_SCORE: tide_buf_str(out, "score"); return;
    case TIDE_X_EVENT_TIME: tide_buf_str(out, "time"); return;
    case TIDE_X_ENTITY: tide_buf_printf(out, "entity:%s", spec->entity[e->ref].name); return;
    default: break;
  }
  tide_buf_printf(out, "(%s", name[e->op]);
  const struct tide_expr *part[3] = {e->a, e->b, e->c};
  for (int i = 0; i < 3; i++)
    if (part[i]) tide_buf_char(out, ' '), print_expr(spec, part[i], out);
  if (e->op == TIDE_X_IN) tide_buf_printf(out, " [%s]", e->text);
  if (e->op == TIDE_X_IN_LIST) tide_buf_printf(out, " %s", spec->list[e->ref].name);
  if (e->op == TIDE_X_HOUR || e->op == TIDE_X_WEEKDAY) tide_buf_printf(out, " %s", e->text);
  tide_buf_char(out, ')');
}

#endif
