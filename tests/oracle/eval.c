/* Expressions of the oracle: Kleene logic over a tree, with the reason why something is not known.
 *
 * A null has a cause. `unknown` marks what should be there; it wins over what is legitimately missing, and the left operand over the right one. In
 * rules (ruling 30) a comparison with a missing operand is false; a bool standing alone is a comparison with true. */
#include <math.h>
#include <string.h>
#include <time.h>

#include "feature/expr.h"
#include "tests/oracle/recount.h"

struct or_value or_null(int state, int cause) {
  return (struct or_value){.type = OV_NULL, .state = state, .cause = cause};
}
struct or_value or_num(double num) {
  return (struct or_value){.type = OV_NUM, .num = num};
}
struct or_value or_bool(bool yes) {
  return (struct or_value){.type = OV_BOOL, .yes = yes};
}
struct or_value or_text(const char *text) {
  return text ? (struct or_value){.type = OV_TEXT, .text = text} : or_null(TIDE_S_absent, TIDE_C_absent);
}

static double power_of_ten(int n) {
  double p = 1;
  while (n-- > 0) p *= 10;
  return p;
}

struct or_value or_money(const struct or_case *c, bool has, int64_t minor) {
  return has ? or_num((double)minor / power_of_ten(c->exponent)) : or_null(TIDE_S_absent, TIDE_C_absent);
}

struct or_value or_field_value(const struct or_case *c, const struct or_datum *field, int f) {
  (void)c;
  if (!field[f].has) return or_null(TIDE_S_absent, TIDE_C_absent);
  switch (or_field_info[f].type) {
    case OT_TEXT: return or_text(field[f].text);
    case OT_BOOL: return or_bool(field[f].num != 0);
    case OT_TIME: return or_num((double)field[f].num / 1000.0); /* 6 */
    default: return or_num((double)field[f].num / power_of_ten(or_field_info[f].decimals));
  }
}

static struct or_value dyn_value(const struct or_env *env, int dyn) {
  const struct or_event *e = env->event;
  switch (dyn) {
    case OD_RESULT: return or_text(or_result_word[e->result]);
    case OD_REASON: return or_text(e->reason);
    case OD_REVERSED: return or_text(or_extent_word[e->reversed]);
    case OD_REFUNDED: return or_text(or_extent_word[e->refunded]);
    case OD_DISPUTED: return or_bool(e->disputed != 0);
    default: return or_text(or_label_word[e->label]);
  }
}

/* ---- the calendar: UTC, or Amsterdam by the rule of the European Union (Directive 2000/84/EC) ---- */

static int64_t days_of(int year, int month, int day) { /* since 1970-01-01 */
  struct tm tm = {.tm_year = year - 1900, .tm_mon = month - 1, .tm_mday = day};
  return (int64_t)timegm(&tm) / 86400;
}
static int iso_weekday(int64_t days) { return (int)((days + 3) % 7) + 1; } /* 1970-01-01 was a Thursday */
static int64_t last_sunday_1h(int year, int month) {
  int64_t day = days_of(year, month, 31);
  return (day - iso_weekday(day) % 7) * 86400 + 3600;
}
static int64_t local_seconds(int64_t time_ms, int zone) {
  int64_t seconds = time_ms / 1000;
  if (zone == 0) return seconds;
  time_t t = (time_t)seconds;
  struct tm tm;
  gmtime_r(&t, &tm);
  int year = tm.tm_year + 1900;
  bool summer = seconds >= last_sunday_1h(year, 3) && seconds < last_sunday_1h(year, 10);
  return seconds + (summer ? 7200 : 3600);
}

/* ---- three values ---- */

static bool missing(struct or_value v) { return v.type == OV_NULL; }
static bool known(struct or_value v) { return v.type != OV_NULL && !v.unknown; }
static bool more_than(struct or_value v) { return v.type == OV_NUM && !v.unknown && v.state == TIDE_S_saturated; }

/* No result: because of the first unknown operand, else of the first missing one. */
static struct or_value because(struct or_value a, struct or_value b) {
  struct or_value from = a.unknown ? a : b.unknown ? b : missing(a) ? a : b;
  struct or_value v = or_null(from.state, from.cause);
  v.unknown = from.unknown;
  return v;
}
static struct or_value undecided_bound(void) {
  struct or_value v = or_null(TIDE_S_saturated, TIDE_C_saturated);
  v.unknown = true;
  return v;
}

static bool compare(enum or_op op, double a, double b) {
  switch (op) {
    case OX_EQ: return a == b;
    case OX_NE: return a != b;
    case OX_LT: return a < b;
    case OX_LE: return a <= b;
    case OX_GT: return a > b;
    default: return a >= b;
  }
}

/* 31: v stands for n + 1 or more. True or false where that is so for every such number. */
static struct or_value compare_more_than(enum or_op op, double n, double b) {
  if (op == OX_GT || op == OX_GE) return compare(op, n + 1, b) ? or_bool(true) : undecided_bound();
  if (op == OX_LT) return n + 1 >= b ? or_bool(false) : undecided_bound();
  if (n + 1 > b) return or_bool(op == OX_NE); /* not <=, not =, but != */
  return undecided_bound();
}
static enum or_op turned(enum or_op op) {
  return op == OX_LT ? OX_GT : op == OX_LE ? OX_GE : op == OX_GT ? OX_LT : op == OX_GE ? OX_LE : op;
}

static struct or_value compare_values(enum or_op op, struct or_value a, struct or_value b, bool rule) {
  if (!known(a) || !known(b)) {
    struct or_value v = because(a, b);
    return rule && !v.unknown ? or_bool(false) : v;
  }
  if (a.type == OV_TEXT) return or_bool((strcmp(a.text, b.text) == 0) == (op == OX_EQ));
  if (a.type == OV_BOOL) return or_bool((a.yes == b.yes) == (op == OX_EQ));
  if (more_than(a) && more_than(b)) return undecided_bound();
  if (more_than(a)) return compare_more_than(op, a.num, b.num);
  if (more_than(b)) return compare_more_than(turned(op), b.num, a.num);
  return or_bool(compare(op, a.num, b.num));
}

/* x in (a, b) is x = a or x = b. */
static struct or_value in_set(const struct or_expr *expr, struct or_value a, bool rule) {
  struct or_value sofar = or_bool(false);
  for (int i = 0; i < expr->set_count; i++) {
    struct or_value literal = expr->set_text[i] ? or_text(expr->set_text[i]) : or_num(expr->set_num[i]);
    struct or_value one = compare_values(OX_EQ, a, literal, rule);
    if (one.type == OV_BOOL && one.yes) return one;
    if (one.type == OV_NULL) sofar = one;
  }
  return sofar;
}

/* A condition: in rules a bool that is legitimately not there is false. */
static struct or_value condition(const struct or_expr *expr, const struct or_env *env) {
  struct or_value v = or_eval(expr, env);
  return env->rule && missing(v) && !v.unknown ? or_bool(false) : v;
}

static struct or_value and_or(const struct or_expr *expr, const struct or_env *env, bool decisive) {
  struct or_value a = condition(expr->a, env), b = condition(expr->b, env);
  if ((known(a) && a.yes == decisive) || (known(b) && b.yes == decisive)) return or_bool(decisive);
  if (known(a) && known(b)) return or_bool(!decisive);
  return because(a, b);
}

static struct or_value negation(const struct or_expr *expr, const struct or_env *env) {
  struct or_value a = condition(expr->a, env);
  return known(a) ? or_bool(!a.yes) : because(a, a);
}

/* A number made of numbers carries their states on: unknown ones first, then the first that is not fresh. Without a finite number it is empty, unless a part is unknown. */
static struct or_value made_of(double num, struct or_value a, struct or_value b) {
  if (!isfinite(num)) return a.unknown || b.unknown ? because(a, b) : or_null(TIDE_S_empty, TIDE_C_empty);
  struct or_value v = a.unknown ? a : b.unknown ? b : a.state != TIDE_S_fresh ? a : b;
  v.type = OV_NUM;
  v.num = num;
  return v;
}

/* 31: a bound is no number to calculate with. */
static struct or_value part(const struct or_expr *expr, const struct or_env *env) {
  struct or_value v = or_eval(expr, env);
  if (more_than(v)) v.unknown = true;
  return v;
}

static struct or_value arithmetic(const struct or_expr *expr, const struct or_env *env) {
  struct or_value a = part(expr->a, env), b = expr->b ? part(expr->b, env) : a;
  if (missing(a) || missing(b)) return because(a, b);
  switch (expr->op) {
    case OX_ADD: return made_of(a.num + b.num, a, b);
    case OX_SUB: return made_of(a.num - b.num, a, b);
    case OX_MUL: return made_of(a.num * b.num, a, b);
    case OX_DIV: return made_of(b.num == 0 ? (double)INFINITY : a.num / b.num, a, b);
    case OX_NEG: return made_of(-a.num, a, a);
    case OX_ABS: return made_of(fabs(a.num), a, a);
    case OX_LOG1P: return made_of(a.num <= -1 ? (double)INFINITY : round(log1p(a.num) * 1e9) / 1e9, a, a);
    case OX_MIN: return made_of(a.num < b.num ? a.num : b.num, a, b);
    default: return made_of(a.num > b.num ? a.num : b.num, a, b);
  }
}

struct or_value or_eval(const struct or_expr *expr, const struct or_env *env) {
  struct or_value a;
  switch (expr->op) {
    case OX_NUM: return or_num(expr->num);
    case OX_TEXT: return or_text(expr->text);
    case OX_TRUE: return or_bool(true);
    case OX_FALSE: return or_bool(false);
    case OX_FIELD: return or_field_value(env->c, env->field, expr->ref);
    case OX_AMOUNT: return env->amount;
    case OX_REQUESTED: return env->requested;
    case OX_DYN: return dyn_value(env, expr->ref);
    case OX_SLOT: return env->slot[expr->ref];
    case OX_DERIVED: return env->derived[expr->ref];
    case OX_SCORE: /* no model is there */
      a = or_null(TIDE_S_absent, TIDE_C_score);
      a.unknown = true;
      return a;
    case OX_TIME: return or_num((double)env->time_ms / 1000.0);
    case OX_HOUR: return or_num((double)(local_seconds(env->time_ms, expr->ref) / 3600 % 24));
    case OX_WEEKDAY: return or_num(iso_weekday(local_seconds(env->time_ms, expr->ref) / 86400));
    case OX_EQ:
    case OX_NE:
    case OX_LT:
    case OX_LE:
    case OX_GT:
    case OX_GE: a = or_eval(expr->a, env); return compare_values(expr->op, a, or_eval(expr->b, env), env->rule);
    case OX_IN: return in_set(expr, or_eval(expr->a, env), env->rule);
    case OX_IN_LIST:
      return env->list_missing[expr->ref] ? (env->rule ? or_bool(false) : or_null(TIDE_S_absent, TIDE_C_absent))
                                          : or_bool(env->on_list[expr->ref]);
    case OX_IS_EMPTY: a = or_eval(expr->a, env); return or_bool(missing(a) && a.cause == TIDE_C_empty);
    case OX_IS_ABSENT: a = or_eval(expr->a, env); return or_bool(missing(a) && a.cause == TIDE_C_absent);
    case OX_IS_KNOWN: return or_bool(known(or_eval(expr->a, env)));
    case OX_AND: return and_or(expr, env, false);
    case OX_OR: return and_or(expr, env, true);
    case OX_NOT: return negation(expr, env);
    case OX_IF: a = condition(expr->a, env); return known(a) ? or_eval(a.yes ? expr->b : expr->c, env) : because(a, a);
    default: return arithmetic(expr, env);
  }
}

bool or_is_true(const struct or_expr *expr, const struct or_env *env) {
  struct or_value v = or_eval(expr, env);
  return v.type == OV_BOOL && !v.unknown && v.yes;
}

void or_case_derive(struct or_case *c) {
  for (int i = 0; i < c->record_count && c->cnp; i++) {
    struct or_record *r = &c->record[i];
    if (r->type != OR_EVENT) continue;
    struct or_env env = {.c = c, .field = r->field, .time_ms = r->time_ms};
    struct or_value v = or_eval(c->cnp, &env);
    r->field[OF_CNP] = (struct or_datum){.has = v.type == OV_BOOL, .num = v.type == OV_BOOL && v.yes};
  }
}
