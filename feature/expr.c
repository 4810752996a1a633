/* Evaluating expressions, three-valued (expr.h has the grammar, LANGUAGE.md the tables of truth).
 *
 * What a node makes of its parts stands here once (tide_expr_apply). The tree is walked by plain recursion, whose depth the parser bounds; what is evaluated for
 * every event is compiled into a program (program.h), which takes shorter ways where values are plain and comes here for all others. No allocation, no string, no clock.
 * Invariant: a null says why it is null (state, cause), and `unknown` on it says whether that was legitimate. Unknown wins over missing,
 * left wins over right, so the cause that comes out is the cause of the first operand that could not be trusted. */
#include "feature/expr.h"

#include <math.h>

#include "feature/spec.h"

size_t tide_text_of_code(uint64_t code, char out[8]) {
  if (code & TIDE_CODE_HASHED) return 0;
  size_t len = (size_t)(code >> 56);
  for (size_t i = 0; i < len; i++) out[i] = (char)(uint8_t)(code >> (8 * i));
  return len;
}

const char *tide_vstate_name(enum tide_vstate state) {
  static const char *const name[] = {
#define X(name) #name,
      TIDE_VSTATES(X)
#undef X
  };
  TIDE_CHECK(state < TIDE_S_COUNT);
  return name[state];
}

static const struct {
  const char *name, *text;
} causes[] = {
#define X(name, text, counted, then) {#name, text},
    TIDE_CAUSES(X)
#undef X
};

const char *tide_cause_name(enum tide_cause cause) {
  TIDE_CHECK(cause < TIDE_C_COUNT);
  return causes[cause].name;
}

const char *tide_cause_text(enum tide_cause cause) {
  TIDE_CHECK(cause < TIDE_C_COUNT);
  return causes[cause].text;
}

static inline bool missing(struct tide_value value) { return value.type == TIDE_V_NULL; }
static inline bool usable(struct tide_value value) { return value.type != TIDE_V_NULL && !value.unknown; }
static inline bool is(struct tide_value value, bool yes) { return value.type == TIDE_V_BOOL && !value.unknown && value.yes == yes; }

/* A count that stopped at its cap and stands for any number above it. Arithmetic never gives one: it marks its result unknown. */
static inline bool saturated(struct tide_value value) { return value.state == TIDE_S_saturated && usable(value); }

static struct tide_value undecided(void) {
  struct tide_value value = tide_null(TIDE_S_saturated, TIDE_C_saturated);
  value.unknown = true;
  return value;
}

/* A condition as part of a larger one. In a rule a bool that is legitimately not there is false, as its comparison with true would be
 * (ruling 30): `not cnp` and `not (cnp = true)` must not differ. */
static inline struct tide_value condition(struct tide_value value, bool rule) {
  return rule && missing(value) && !value.unknown ? tide_bool(false) : value;
}

/* Which of two operands explains why there is no result: unknown before missing, left before right. */
static struct tide_value why(struct tide_value a, struct tide_value b) {
  struct tide_value from = a.unknown ? a : b.unknown ? b : missing(a) ? a : b;
  struct tide_value value = tide_null((enum tide_vstate)from.state, (enum tide_cause)from.cause);
  value.unknown = from.unknown;
  return value;
}

/* ---- comparisons ---- */

/* A comparison that cannot be made: false in a rule when an operand is legitimately not there, else null with its reason. */
static struct tide_value no_comparison(struct tide_value a, struct tide_value b, bool rule) {
  struct tide_value value = why(a, b);
  return rule && !value.unknown ? tide_bool(false) : value;
}

static inline bool compare_num(enum tide_op op, double a, double b) {
  switch (op) {
    case TIDE_X_EQ: return a == b;
    case TIDE_X_NE: return a != b;
    case TIDE_X_LT: return a < b;
    case TIDE_X_LE: return a <= b;
    case TIDE_X_GT: return a > b;
    case TIDE_X_GE: return a >= b;
    default: tide_panic(__FILE__, __LINE__, __func__, "a comparison");
  }
}

/* "More than n" compared with b (ruling 31): counts are whole, so it is n + 1 at least. */
static struct tide_value compare_above(enum tide_op op, double n, double b) {
  bool above = n + 1 > b, reaches = n + 1 >= b;
  switch (op) {
    case TIDE_X_GT: return above ? tide_bool(true) : undecided();
    case TIDE_X_GE: return reaches ? tide_bool(true) : undecided();
    case TIDE_X_LT: return reaches ? tide_bool(false) : undecided();
    case TIDE_X_LE: return above ? tide_bool(false) : undecided();
    case TIDE_X_EQ: return above ? tide_bool(false) : undecided();
    case TIDE_X_NE: return above ? tide_bool(true) : undecided();
    default: tide_panic(__FILE__, __LINE__, __func__, "a comparison");
  }
}

static enum tide_op mirrored(enum tide_op op) {
  switch (op) {
    case TIDE_X_LT: return TIDE_X_GT;
    case TIDE_X_LE: return TIDE_X_GE;
    case TIDE_X_GT: return TIDE_X_LT;
    case TIDE_X_GE: return TIDE_X_LE;
    default: return op;
  }
}

static struct tide_value compare(enum tide_op op, struct tide_value a, struct tide_value b, bool rule) {
  if (TIDE_UNLIKELY(!usable(a) || !usable(b))) return no_comparison(a, b, rule);
  if (a.type == TIDE_V_NUM) {
    if (TIDE_LIKELY(!saturated(a) && !saturated(b))) return tide_bool(compare_num(op, a.num, b.num));
    if (saturated(a) && saturated(b)) return undecided();
    return saturated(a) ? compare_above(op, a.num, b.num) : compare_above(mirrored(op), b.num, a.num);
  }
  bool equal = a.type == TIDE_V_TEXT ? a.code == b.code : a.yes == b.yes;
  return tide_bool((op == TIDE_X_EQ) == equal);
}

/* Sets are sorted by the parser; short ones are quicker to walk. */
#define WALK_MAX 16

bool tide_expr_has_code(const struct tide_expr *expr, uint64_t code) {
  const union tide_literal *set = expr->set;
  uint32_t count = expr->set_count;
  while (count > WALK_MAX) {
    uint32_t half = count / 2;
    if (set[half].code <= code) set += half, count -= half;
    else count = half;
  }
  for (uint32_t i = 0; i < count; i++)
    if (set[i].code == code) return true;
  return false;
}

static bool has_num(const union tide_literal *set, uint32_t count, double num) {
  while (count > WALK_MAX) {
    uint32_t half = count / 2;
    if (set[half].num <= num) set += half, count -= half;
    else count = half;
  }
  for (uint32_t i = 0; i < count; i++)
    if (set[i].num == num) return true;
  return false;
}

static struct tide_value in_set(const struct tide_expr *expr, struct tide_value a, bool rule) {
  if (TIDE_UNLIKELY(!usable(a))) return no_comparison(a, a, rule);
  if (a.type == TIDE_V_TEXT) return tide_bool(tide_expr_has_code(expr, a.code));
  TIDE_CHECK(a.type == TIDE_V_NUM);
  if (TIDE_LIKELY(!saturated(a))) return tide_bool(has_num(expr->set, expr->set_count, a.num));
  return compare_above(TIDE_X_EQ, a.num, expr->set[expr->set_count - 1].num); /* unequal to the largest is unequal to all */
}

static struct tide_value in_list(const struct tide_expr *expr, const struct tide_env *env) {
  bool absent = false;
  bool yes = env->in_list(env->in_list_ctx, expr->ref, expr->a, &absent);
  if (!absent) return tide_bool(yes);
  return env->rule ? tide_bool(false) : tide_null(TIDE_S_absent, TIDE_C_absent);
}

/* ---- and, or, not ---- */

/* `and` is decided by a false, `or` by a true, whatever the other side is (Kleene). */
static struct tide_value both(struct tide_value a, struct tide_value b, bool decisive) {
  if (is(a, decisive) || is(b, decisive)) return tide_bool(decisive);
  return usable(a) && usable(b) ? tide_bool(!decisive) : why(a, b);
}

static struct tide_value negation(struct tide_value a) { return usable(a) ? tide_bool(!a.yes) : why(a, a); }

/* ---- arithmetic ---- */

/* A bound is no number to calculate with: what is made of it is unknown (ruling 31). */
static inline struct tide_value operand(struct tide_value value) {
  if (TIDE_UNLIKELY(saturated(value))) {
    value.unknown = true;
    value.cause = TIDE_C_saturated;
  }
  return value;
}

/* The result of calculating with a and b. It carries the state of what it was made of; where there is no finite number it is empty,
 * unless one of its parts was not to be trusted anyway. */
static struct tide_value result(double num, struct tide_value a, struct tide_value b) {
  if (!isfinite(num)) return a.unknown || b.unknown ? why(a, b) : tide_null(TIDE_S_empty, TIDE_C_empty);
  struct tide_value from = a.unknown ? a : b.unknown ? b : a.state != TIDE_S_fresh ? a : b;
  from.type = TIDE_V_NUM;
  from.num = num;
  return from;
}

static struct tide_value arithmetic(enum tide_op op, struct tide_value a, struct tide_value b) {
  a = operand(a), b = operand(b);
  if (missing(a) || missing(b)) return why(a, b);
  switch (op) {
    case TIDE_X_ADD: return result(a.num + b.num, a, b);
    case TIDE_X_SUB: return result(a.num - b.num, a, b);
    case TIDE_X_MUL: return result(a.num * b.num, a, b);
    case TIDE_X_DIV: return result(b.num == 0 ? (double)NAN : a.num / b.num, a, b);
    case TIDE_X_MIN: return result(b.num < a.num ? b.num : a.num, a, b);
    case TIDE_X_MAX: return result(b.num > a.num ? b.num : a.num, a, b);
    case TIDE_X_NEG: return result(-a.num, a, a);
    case TIDE_X_ABS: return result(fabs(a.num), a, a);
    case TIDE_X_LOG1P: return result(a.num <= -1 ? (double)NAN : round(log1p(a.num) * 1e9) / 1e9, a, a); /* ruling 5 */
    default: tide_panic(__FILE__, __LINE__, __func__, "arithmetic");
  }
}

/* ---- nodes ---- */

struct tide_value tide_expr_apply(const struct tide_expr *expr, const struct tide_value part[3], const struct tide_env *env) {
  enum tide_op op = (enum tide_op)expr->op;
  switch (op) {
    case TIDE_X_NUM: return tide_num(expr->num);
    case TIDE_X_TEXT: return (struct tide_value){.type = TIDE_V_TEXT, .code = expr->code};
    case TIDE_X_TRUE: return tide_bool(true);
    case TIDE_X_FALSE: return tide_bool(false);
    case TIDE_X_FIELD: return env->field[expr->ref];
    case TIDE_X_DYN: return env->dyn[expr->ref];
    case TIDE_X_FEATURE: return env->slot[expr->ref];
    case TIDE_X_DERIVED: return env->derived[expr->ref];
    case TIDE_X_SCORE: return env->score;
    case TIDE_X_EVENT_TIME: return tide_num((double)env->time.ms / 1000.0); /* ruling 6 */
    case TIDE_X_EQ:
    case TIDE_X_NE:
    case TIDE_X_LT:
    case TIDE_X_LE:
    case TIDE_X_GT:
    case TIDE_X_GE: return compare(op, part[0], part[1], env->rule);
    case TIDE_X_IN: return in_set(expr, part[0], env->rule);
    case TIDE_X_IN_LIST: return in_list(expr, env);
    case TIDE_X_ENTITY: break; /* stands only under IN_LIST, which does not evaluate it */
    case TIDE_X_IS_EMPTY: return tide_bool(missing(part[0]) && part[0].cause == TIDE_C_empty);
    case TIDE_X_IS_ABSENT: return tide_bool(missing(part[0]) && part[0].cause == TIDE_C_absent);
    case TIDE_X_IS_KNOWN: return tide_bool(usable(part[0]));
    case TIDE_X_AND: return both(condition(part[0], env->rule), condition(part[1], env->rule), false);
    case TIDE_X_OR: return both(condition(part[0], env->rule), condition(part[1], env->rule), true);
    case TIDE_X_NOT: return negation(condition(part[0], env->rule));
    case TIDE_X_ADD:
    case TIDE_X_SUB:
    case TIDE_X_MUL:
    case TIDE_X_DIV:
    case TIDE_X_MIN:
    case TIDE_X_MAX: return arithmetic(op, part[0], part[1]);
    case TIDE_X_NEG:
    case TIDE_X_LOG1P:
    case TIDE_X_ABS: return arithmetic(op, part[0], part[0]);
    case TIDE_X_IF: {
      const struct tide_value a = condition(part[0], env->rule);
      return usable(a) ? part[a.yes ? 1 : 2] : why(a, a);
    }
    case TIDE_X_HOUR: return tide_num(tide_zone_hour(expr->zone, env->time));
    case TIDE_X_WEEKDAY: return tide_num(tide_zone_weekday(expr->zone, env->time));
  }
  tide_panic(__FILE__, __LINE__, __func__, "a node that can be evaluated");
}

/* The leaves that most nodes stand above are read in place; everything else is a call. */
static inline struct tide_value load(const struct tide_expr *expr, const struct tide_env *env) {
  if (expr->op == TIDE_X_FIELD) return env->field[expr->ref];
  if (expr->op == TIDE_X_NUM) return tide_num(expr->num);
  if (expr->op == TIDE_X_TEXT) return (struct tide_value){.type = TIDE_V_TEXT, .code = expr->code};
  return tide_expr_eval(expr, env);
}

struct tide_value tide_expr_eval(const struct tide_expr *expr, const struct tide_env *env) {
  struct tide_value part[3];
  switch ((enum tide_op)expr->op) {
    case TIDE_X_AND:
    case TIDE_X_OR: { /* the right side only where the left one does not decide */
      part[0] = tide_expr_eval(expr->a, env);
      if (is(condition(part[0], env->rule), expr->op == TIDE_X_OR)) return tide_bool(expr->op == TIDE_X_OR);
      part[1] = tide_expr_eval(expr->b, env);
      break;
    }
    case TIDE_X_IF: {
      part[0] = tide_expr_eval(expr->a, env);
      const struct tide_value a = condition(part[0], env->rule);
      if (usable(a)) return tide_expr_eval(a.yes ? expr->b : expr->c, env);
      break;
    }
    case TIDE_X_IN_LIST: break;
    default:
      if (expr->a) part[0] = load(expr->a, env);
      if (expr->b) part[1] = load(expr->b, env);
  }
  return tide_expr_apply(expr, part, env);
}

bool tide_expr_reads(const struct tide_expr *expr, enum tide_op op) {
  return expr && (expr->op == op || tide_expr_reads(expr->a, op) || tide_expr_reads(expr->b, op) || tide_expr_reads(expr->c, op));
}

bool tide_expr_reads_ref(const struct tide_expr *expr, enum tide_op op, uint32_t ref) {
  return expr && ((expr->op == op && expr->ref == ref) || tide_expr_reads_ref(expr->a, op, ref) || tide_expr_reads_ref(expr->b, op, ref) ||
                  tide_expr_reads_ref(expr->c, op, ref));
}
