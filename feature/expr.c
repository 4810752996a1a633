/* Evaluating expressions, three-valued (expr.h has the grammar, LANGUAGE.md the tables).
 *
 * Plain recursion over an immutable tree; no allocation, no string. A null carries why it is null; `unknown` marks what should be there and must not
 * be trusted, and wins over what is legitimately missing. */
#include "feature/expr.h"

#include <math.h>

#include "base/hash.h"
#include "feature/spec.h"

#define CODE_HASHED (UINT64_C(1) << 63)

uint64_t tide_text_code(struct tide_span text) {
  if (text.len == 0) return 0;
  if (text.len > 7) return tide_hash64(text.ptr, text.len, 0) | CODE_HASHED;
  uint64_t code = 0;
  for (size_t i = 0; i < text.len; i++) code |= (uint64_t)(uint8_t)text.ptr[i] << (8 * i);
  return code | (uint64_t)text.len << 56;
}

size_t tide_text_of_code(uint64_t code, char out[8]) {
  if (code & CODE_HASHED) return 0;
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
#define X(name, text) {#name, text},
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

static struct tide_value unknown(enum tide_vstate state, enum tide_cause cause) {
  struct tide_value value = tide_null(state, cause);
  value.unknown = true;
  return value;
}

static bool missing(struct tide_value value) { return value.type == TIDE_V_NULL; }
static bool usable(struct tide_value value) { return value.type != TIDE_V_NULL && !value.unknown; }
static bool is(struct tide_value value, bool yes) { return value.type == TIDE_V_BOOL && !value.unknown && value.yes == yes; }

/* Which of two operands explains why there is no result: unknown before missing, left before right. */
static struct tide_value why(struct tide_value a, struct tide_value b) {
  struct tide_value from = a.unknown ? a : b.unknown ? b : missing(a) ? a : b;
  struct tide_value value = tide_null((enum tide_vstate)from.state, (enum tide_cause)from.cause);
  value.unknown = from.unknown;
  return value;
}

/* A comparison that cannot be made: false in rules when the operand is legitimately not there, else null with its reason. */
static struct tide_value no_comparison(struct tide_value a, struct tide_value b, bool rule) {
  struct tide_value value = why(a, b);
  return rule && !value.unknown ? tide_bool(false) : value;
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

/* A saturated count N stands for N + 1 or more (ruling 31). */
static struct tide_value compare_saturated(enum tide_op op, double n, double b) {
  bool above = n + 1 > b, reaches = n + 1 >= b;
  switch (op) {
    case TIDE_X_GT:
      if (above) return tide_bool(true);
      break;
    case TIDE_X_GE:
      if (reaches) return tide_bool(true);
      break;
    case TIDE_X_LT:
      if (reaches) return tide_bool(false);
      break;
    case TIDE_X_LE:
      if (above) return tide_bool(false);
      break;
    case TIDE_X_EQ:
      if (above) return tide_bool(false);
      break;
    case TIDE_X_NE:
      if (above) return tide_bool(true);
      break;
    default: break;
  }
  return unknown(TIDE_S_saturated, TIDE_C_saturated);
}

static bool saturated(const struct tide_expr *expr, struct tide_value value) {
  return expr->op == TIDE_X_FEATURE && value.state == TIDE_S_saturated && usable(value);
}

static bool compare_num(enum tide_op op, double a, double b) {
  switch (op) {
    case TIDE_X_EQ: return a == b;
    case TIDE_X_NE: return a != b;
    case TIDE_X_LT: return a < b;
    case TIDE_X_LE: return a <= b;
    case TIDE_X_GT: return a > b;
    case TIDE_X_GE: return a >= b;
    default: TIDE_NEVER("comparison"); return false;
  }
}

static struct tide_value compare(const struct tide_expr *expr, const struct tide_env *env) {
  struct tide_value a = tide_expr_eval(expr->a, env), b = tide_expr_eval(expr->b, env);
  if (!usable(a) || !usable(b)) return no_comparison(a, b, env->rule);
  enum tide_op op = (enum tide_op)expr->op;
  if (a.type == TIDE_V_NUM) {
    bool left = saturated(expr->a, a), right = saturated(expr->b, b);
    if (left && right) return unknown(TIDE_S_saturated, TIDE_C_saturated);
    if (left) return compare_saturated(op, a.num, b.num);
    if (right) return compare_saturated(mirrored(op), b.num, a.num);
    return tide_bool(compare_num(op, a.num, b.num));
  }
  bool equal = a.type == TIDE_V_TEXT ? a.code == b.code : a.yes == b.yes;
  return tide_bool(op == TIDE_X_EQ ? equal : !equal);
}

static struct tide_value in_set(const struct tide_expr *expr, const struct tide_env *env) {
  struct tide_value a = tide_expr_eval(expr->a, env);
  if (!usable(a)) return no_comparison(a, a, env->rule);
  bool maybe = false;
  for (uint16_t i = 0; i < expr->set_count; i++) {
    if (a.type == TIDE_V_TEXT) {
      if (expr->set[i].code == a.code) return tide_bool(true);
    } else if (saturated(expr->a, a)) {
      maybe = maybe || expr->set[i].num > a.num;
    } else if (expr->set[i].num == a.num) {
      return tide_bool(true);
    }
  }
  return maybe ? unknown(TIDE_S_saturated, TIDE_C_saturated) : tide_bool(false);
}

static struct tide_value in_list(const struct tide_expr *expr, const struct tide_env *env) {
  bool absent = false;
  bool yes = env->in_list(env->in_list_ctx, expr->ref, expr->a, &absent);
  if (!absent) return tide_bool(yes);
  return env->rule ? tide_bool(false) : tide_null(TIDE_S_absent, TIDE_C_absent);
}

static struct tide_value both(const struct tide_expr *expr, const struct tide_env *env, bool decisive) {
  struct tide_value a = tide_expr_eval(expr->a, env);
  if (is(a, decisive)) return tide_bool(decisive);
  struct tide_value b = tide_expr_eval(expr->b, env);
  if (is(b, decisive)) return tide_bool(decisive);
  if (usable(a) && usable(b)) return tide_bool(!decisive);
  return why(a, b);
}

/* Arithmetic passes on what it was made of: a saturated or marked part marks the whole. */
static struct tide_value number(double num, struct tide_value a, struct tide_value b) {
  if (!isfinite(num)) return tide_null(TIDE_S_empty, TIDE_C_empty);
  struct tide_value value = tide_num(num);
  struct tide_value from = a.unknown ? a : b.unknown ? b : a.state != TIDE_S_fresh ? a : b;
  value.state = from.state;
  value.cause = from.cause;
  value.unknown = a.unknown || b.unknown;
  if (a.state == TIDE_S_saturated || b.state == TIDE_S_saturated) {
    if (!value.unknown) value.state = TIDE_S_saturated, value.cause = TIDE_C_saturated;
    value.unknown = true;
  }
  return value;
}

static struct tide_value arithmetic(const struct tide_expr *expr, const struct tide_env *env) {
  struct tide_value a = tide_expr_eval(expr->a, env), b = expr->b ? tide_expr_eval(expr->b, env) : tide_num(0);
  if (missing(a) || missing(b)) return why(a, b);
  switch ((enum tide_op)expr->op) {
    case TIDE_X_ADD: return number(a.num + b.num, a, b);
    case TIDE_X_SUB: return number(a.num - b.num, a, b);
    case TIDE_X_MUL: return number(a.num * b.num, a, b);
    case TIDE_X_DIV:
      if (b.num == 0) return a.unknown || b.unknown ? why(a, b) : tide_null(TIDE_S_empty, TIDE_C_empty);
      return number(a.num / b.num, a, b);
    case TIDE_X_NEG: return number(-a.num, a, a);
    case TIDE_X_ABS: return number(fabs(a.num), a, a);
    case TIDE_X_LOG1P: return a.num <= -1 ? tide_null(TIDE_S_empty, TIDE_C_empty) : number(round(log1p(a.num) * 1e9) / 1e9, a, a);
    case TIDE_X_MIN: return number(b.num < a.num ? b.num : a.num, a, b);
    case TIDE_X_MAX: return number(b.num > a.num ? b.num : a.num, a, b);
    default: TIDE_NEVER("arithmetic"); return a;
  }
}

static struct tide_value choose(const struct tide_expr *expr, const struct tide_env *env) {
  struct tide_value condition = tide_expr_eval(expr->a, env);
  if (!usable(condition)) return why(condition, condition);
  return tide_expr_eval(condition.yes ? expr->b : expr->c, env);
}

struct tide_value tide_expr_eval(const struct tide_expr *expr, const struct tide_env *env) {
  switch ((enum tide_op)expr->op) {
    case TIDE_X_NUM: return tide_num(expr->num);
    case TIDE_X_TEXT: return tide_text(expr->code);
    case TIDE_X_TRUE: return tide_bool(true);
    case TIDE_X_FALSE: return tide_bool(false);
    case TIDE_X_FIELD: return env->field[expr->ref];
    case TIDE_X_DYN: return env->dyn[expr->ref];
    case TIDE_X_FEATURE: return env->slot[expr->ref];
    case TIDE_X_DERIVED: return env->derived[expr->ref];
    case TIDE_X_SCORE: return env->score;
    case TIDE_X_EVENT_TIME: return tide_num((double)env->time.ms / 1000.0);
    case TIDE_X_EQ:
    case TIDE_X_NE:
    case TIDE_X_LT:
    case TIDE_X_LE:
    case TIDE_X_GT:
    case TIDE_X_GE: return compare(expr, env);
    case TIDE_X_IN: return in_set(expr, env);
    case TIDE_X_IN_LIST: return in_list(expr, env);
    case TIDE_X_ENTITY: TIDE_NEVER("an entity stands only under `in LIST`"); return tide_null(TIDE_S_absent, TIDE_C_absent);
    case TIDE_X_IS_EMPTY: {
      struct tide_value a = tide_expr_eval(expr->a, env);
      return tide_bool(missing(a) && a.cause == TIDE_C_empty);
    }
    case TIDE_X_IS_ABSENT: {
      struct tide_value a = tide_expr_eval(expr->a, env);
      return tide_bool(missing(a) && a.cause == TIDE_C_absent);
    }
    case TIDE_X_IS_KNOWN: return tide_bool(usable(tide_expr_eval(expr->a, env)));
    case TIDE_X_AND: return both(expr, env, false);
    case TIDE_X_OR: return both(expr, env, true);
    case TIDE_X_NOT: {
      struct tide_value a = tide_expr_eval(expr->a, env);
      if (usable(a)) return tide_bool(!a.yes);
      /* A bool that is legitimately not there, standing alone, is a comparison with true: false in a rule, and its negation true. */
      if (env->rule && !a.unknown) return tide_bool(true);
      return why(a, a);
    }
    case TIDE_X_ADD:
    case TIDE_X_SUB:
    case TIDE_X_MUL:
    case TIDE_X_DIV:
    case TIDE_X_NEG:
    case TIDE_X_LOG1P:
    case TIDE_X_ABS:
    case TIDE_X_MIN:
    case TIDE_X_MAX: return arithmetic(expr, env);
    case TIDE_X_IF: return choose(expr, env);
    case TIDE_X_HOUR: return tide_num(tide_zone_hour(expr->zone, env->time));
    case TIDE_X_WEEKDAY: return tide_num(tide_zone_weekday(expr->zone, env->time));
  }
  TIDE_NEVER("op");
  return tide_null(TIDE_S_absent, TIDE_C_absent);
}

bool tide_expr_reads(const struct tide_expr *expr, enum tide_op op) {
  return expr && (expr->op == op || tide_expr_reads(expr->a, op) || tide_expr_reads(expr->b, op) || tide_expr_reads(expr->c, op));
}

bool tide_expr_reads_ref(const struct tide_expr *expr, enum tide_op op, uint32_t ref) {
  return expr && ((expr->op == op && expr->ref == ref) || tide_expr_reads_ref(expr->a, op, ref) || tide_expr_reads_ref(expr->b, op, ref) ||
                  tide_expr_reads_ref(expr->c, op, ref));
}
