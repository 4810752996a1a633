/* Running programs (program.h): a loop over values, and one over tests that strikes out the roots that became false.
 *
 * A value is plain when its first four bytes say so at one look: type in the lowest, then state, cause, `unknown`. What is not plain is what
 * tide_expr_apply says it is. */
#include <math.h>
#include <stddef.h>

#include "base/calendar.h"
#include "feature/program_code.h"

_Static_assert(offsetof(struct tide_value, state) == 1 && offsetof(struct tide_value, cause) == 2 &&
                   offsetof(struct tide_value, unknown) == 3,
               "a value's head is its first four bytes");

static inline uint32_t head_of(const struct tide_value *value) {
  uint32_t head;
  memcpy(&head, value, sizeof head);
  return head;
}

#define HEAD_TYPE 0xffu
#define HEAD_UNKNOWN 0xff000000u
#define HEAD_NUM ((uint32_t)TIDE_V_NUM) /* a fresh number */
static inline bool lacks(uint32_t head) { return (head & HEAD_UNKNOWN) || !(head & HEAD_TYPE); }
static inline bool is_bound(uint32_t head) { return (head >> 8 & 0xff) == TIDE_S_saturated; }

struct run {
  const struct tide_program *program;
  const struct tide_env *env;
  const void *at[TIDE_PLACES];
};

static inline const struct tide_value *part(const struct run *run, uint32_t operand) {
  return (const struct tide_value *)((const char *)run->at[tide_operand_place(operand)] + tide_operand_at(operand));
}

static __attribute__((noinline)) struct tide_value apply(const struct run *run, const struct tide_expr *expr, const uint32_t *operand,
                                                         unsigned count) {
  struct tide_value parts[3];
  for (unsigned i = 0; i < count; i++) parts[i] = *part(run, operand[i]);
  return tide_expr_apply(expr, parts, run->env);
}

static struct run enter(const struct tide_program *program, const struct tide_env *env, const struct tide_value *registers) {
  return (struct run){.program = program,
                      .env = env,
                      .at = {[TIDE_AT_CONSTANT] = program->constant,
                             [TIDE_AT_FIELD] = env->field,
                             [TIDE_AT_DYN] = env->dyn,
                             [TIDE_AT_SLOT] = env->slot,
                             [TIDE_AT_DERIVED] = env->derived,
                             [TIDE_AT_REGISTER] = registers,
                             [TIDE_AT_SCORE] = &env->score}};
}

/* ---- values ---- */

/* What is computed of two numbers carries the head of the first that is missing, else of the first that has a state. */
static inline uint32_t head_of_two(uint32_t left, uint32_t right) {
  if (left == HEAD_NUM) return right;
  return (right & HEAD_TYPE) || !(left & HEAD_TYPE) ? left : right;
}

static inline void put(struct tide_value *to, uint32_t head, double num) {
  memcpy(to, &head, sizeof head);
  to->reserved = 0;
  to->num = num;
}

static inline void put_bool(struct tide_value *to, bool yes) { *to = tide_bool(yes); }

/* Arithmetic and comparisons of two numbers that may be missing; false where one is unknown or a bound, or nothing comes of them. */
static inline __attribute__((always_inline)) bool of_two(enum tide_code code, const struct tide_value *a, const struct tide_value *b,
                                                         struct tide_value *to) {
  uint32_t left = head_of(a), right = head_of(b), head = HEAD_NUM;
  if (left != HEAD_NUM || right != HEAD_NUM) {
    head = head_of_two(left, right);
    if (TIDE_UNLIKELY((left | right) & HEAD_UNKNOWN) || is_bound(left) || is_bound(right)) return false;
    if (!(head & HEAD_TYPE)) {
      if (code <= TIDE_I_GE) return false;
      put(to, head, 0);
      return true;
    }
  }
  double x = a->num, y = b->num, num;
  switch (code) {
    case TIDE_I_EQ: put_bool(to, x == y); return true;
    case TIDE_I_NE: put_bool(to, x != y); return true;
    case TIDE_I_LT: put_bool(to, x < y); return true;
    case TIDE_I_LE: put_bool(to, x <= y); return true;
    case TIDE_I_GT: put_bool(to, x > y); return true;
    case TIDE_I_GE: put_bool(to, x >= y); return true;
    case TIDE_I_ADD: num = x + y; break;
    case TIDE_I_SUB: num = x - y; break;
    case TIDE_I_MUL: num = x * y; break;
    case TIDE_I_DIV: num = x / y; break; /* by zero: not finite */
    case TIDE_I_MIN: num = y < x ? y : x; break;
    default: num = y > x ? y : x; break;
  }
  if (TIDE_UNLIKELY(!isfinite(num))) return false;
  put(to, head, num);
  return true;
}

static void compute(const struct run *run, struct tide_value *registers, struct tide_value *derived) {
  struct tide_value *const base[2] = {registers, derived};
  for (const struct tide_insn *insn = run->program->insn, *end = insn + run->program->insns; insn < end; insn++) {
    enum tide_code code = (enum tide_code)insn->code;
    const struct tide_value *a = part(run, insn->operand[0]);
    struct tide_value *to = (struct tide_value *)((char *)base[insn->derives] + insn->to);
    if (code <= TIDE_I_MAX && of_two(code, a, part(run, insn->operand[1]), to)) continue;
    switch (code) {
      case TIDE_I_LOCAL: *to = tide_num((double)tide_zone_local_s(insn->expr->zone, run->env->time)); break;
      case TIDE_I_HOUR: *to = tide_num(tide_hour_of((int64_t)a->num)); break;
      case TIDE_I_WEEKDAY: *to = tide_num(tide_weekday_of(tide_floor_div((int64_t)a->num, 86400))); break;
      case TIDE_I_GIVE: *to = *a; break;
      case TIDE_I_TREE: *to = tide_expr_eval(insn->expr, run->env); break;
      default: *to = apply(run, insn->expr, insn->operand, insn->parts); break;
    }
  }
}

void tide_program_derive(const struct tide_program *program, const struct tide_env *env, struct tide_value *ret) {
  struct tide_value registers[TIDE_REGISTERS_MAX];
  if (!program->insns) return;
  const struct run run = enter(program, env, registers);
  TIDE_CHECK(env->derived == ret);
  compute(&run, registers, ret);
}

/* ---- conditions ---- */

static inline unsigned trit(bool yes) { return yes ? TIDE_TRIT_TRUE : TIDE_TRIT_FALSE; }
static inline unsigned negation(unsigned trit) { return TIDE_TRIT_TRUE ^ ((trit & 1) << 1 | trit >> 1); }

static unsigned trit_of(struct tide_value value, bool rule) {
  if (value.type == TIDE_V_BOOL && !value.unknown) return trit(value.yes);
  return rule && !value.unknown ? TIDE_TRIT_FALSE : TIDE_TRIT_NEITHER;
}

/* A test of something that is not plain: missing, unknown, or a bound. */
static __attribute__((noinline)) unsigned otherwise(const struct run *run, const struct tide_test *test, const struct tide_value *a) {
  uint32_t head = head_of(a);
  if (head & HEAD_UNKNOWN) return TIDE_TRIT_NEITHER;
  if (!(head & HEAD_TYPE)) return run->program->rule ? TIDE_TRIT_FALSE : TIDE_TRIT_NEITHER;
  return trit_of(test->expr ? apply(run, test->expr, test->operand, test->parts) : *a, run->program->rule);
}

static inline bool is_plain(const struct tide_value *a, uint32_t type) {
  uint32_t head = head_of(a);
  return (head & (HEAD_UNKNOWN | HEAD_TYPE)) == type && !is_bound(head);
}
static inline bool is_code(const struct tide_test *test, const struct tide_value *a) { return (a->code == test->text) != test->how; }
static inline bool is_within(const struct tide_test *test, const struct tide_value *a) {
  return ((a->num >= test->least) & (a->num <= test->most)) != test->how;
}

static unsigned on_list(const struct run *run, const struct tide_expr *expr) {
  bool missing = false;
  bool yes = run->env->in_list(run->env->in_list_ctx, expr->ref, expr->a, &missing);
  if (!missing) return trit(yes);
  return run->program->rule ? TIDE_TRIT_FALSE : TIDE_TRIT_NEITHER;
}

static unsigned compared(const struct run *run, const struct tide_test *test) {
  struct tide_value value;
  if (!of_two((enum tide_code)test->how, part(run, test->operand[0]), part(run, test->operand[1]), &value))
    value = apply(run, test->expr, test->operand, test->parts);
  return trit_of(value, run->program->rule);
}

static unsigned of_node(const struct run *run, const struct tide_node *node);

/* Any test. The kinds that most are of have loops of their own (strike). */
static unsigned tried(const struct run *run, const struct tide_test *test) {
  const struct tide_value *a = test->parts ? part(run, test->operand[0]) : NULL;
  switch ((enum tide_test_code)test->code) {
    case TIDE_T_CODE: return is_plain(a, test->type) ? trit(is_code(test, a)) : otherwise(run, test, a);
    case TIDE_T_RANGE: return is_plain(a, test->type) ? trit(is_within(test, a)) : otherwise(run, test, a);
    case TIDE_T_TEXT_IN: return is_plain(a, test->type) ? trit(tide_expr_has_code(test->expr, a->code)) : otherwise(run, test, a);
    case TIDE_T_KNOWN: return trit(!lacks(head_of(a)));
    case TIDE_T_COMPARE: return compared(run, test);
    case TIDE_T_LIST: return on_list(run, test->expr);
    case TIDE_T_APPLY: return trit_of(apply(run, test->expr, test->operand, test->parts), run->program->rule);
    case TIDE_T_NODE: return of_node(run, &run->program->node[test->operand[0]]);
    case TIDE_T_TREE: return trit_of(tide_expr_eval(test->expr, run->env), run->program->rule);
    case TIDE_TEST_CODES: break;
  }
  tide_panic(__FILE__, __LINE__, __func__, "a test");
}

static unsigned of_node(const struct run *run, const struct tide_node *node) {
  const uint16_t *at = run->program->part + node->first, *end = at + node->count;
  unsigned result = node->neither ? TIDE_TRIT_NEITHER : trit(node->all), decisive = trit(!node->all);
  for (; at < end && result != decisive; at++) {
    unsigned one = tried(run, &run->program->test[*at / 2]);
    if (*at & 1) one = negation(one);
    result = node->all ? result & one : result | one;
  }
  return result;
}

/* The roots of a bank that are not false, and of them those that are not true either. */
struct left {
  uint64_t alive, doubt;
};

static inline void settle(const struct tide_conjunct *c, unsigned trit, struct left *left) {
  if (trit == TIDE_TRIT_NEITHER) left->doubt |= c->roots;
  else left->alive &= ~(trit == TIDE_TRIT_TRUE ? c->no : c->yes);
}

/* Numbers that are there or legitimately not, which is as good as not enough: no branch depends on them. */
static inline struct left lead(const struct run *run, const struct tide_bank *bank) {
  struct left left = {bank->alive, bank->doubt};
  for (const struct tide_lead *c = bank->lead, *end = c + bank->leads; c < end; c++) {
    const struct tide_value *a = part(run, c->operand);
    uint32_t head = head_of(a);
    if (TIDE_UNLIKELY((head & HEAD_UNKNOWN) || is_bound(head))) {
      const struct tide_conjunct *conjunct = &bank->conjunct[c->conjunct];
      settle(conjunct, otherwise(run, &conjunct->test, a), &left);
      continue;
    }
    uint64_t enough = (uint64_t)((head & HEAD_TYPE) == HEAD_NUM) & (uint64_t)(a->num >= c->least);
    left.alive &= ~c->roots | (0 - enough);
  }
  return left;
}

static struct left strike(const struct run *run, const struct tide_bank *bank) {
  struct left left = lead(run, bank);
  const struct tide_conjunct *c = bank->conjunct + bank->leads, *end;
  if (run->env->lists_empty && run->program->rule) left.alive &= ~bank->listed;
  if (!(left.alive & bank->others)) return left;
#define EACH(CODE)                                                                                                                         \
  for (end = bank->conjunct + bank->end[CODE]; c < end; c++)                                                                               \
    if (c->roots & left.alive)
#define PLAINLY(CODE, YES)                                                                                                                 \
  EACH(CODE) {                                                                                                                             \
    const struct tide_value *a = part(run, c->test.operand[0]);                                                                            \
    if (TIDE_LIKELY(is_plain(a, c->test.type))) left.alive &= ~((YES) ? c->no : c->yes);                                                   \
    else settle(c, otherwise(run, &c->test, a), &left);                                                                                    \
  }
  PLAINLY(TIDE_T_CODE, is_code(&c->test, a))
  PLAINLY(TIDE_T_RANGE, is_within(&c->test, a))
  EACH(TIDE_T_KNOWN) left.alive &= ~(lacks(head_of(part(run, c->test.operand[0]))) ? c->yes : c->no);
  PLAINLY(TIDE_T_TEXT_IN, tide_expr_has_code(c->test.expr, a->code))
  EACH(TIDE_TEST_CODES - 1) settle(c, tried(run, &c->test), &left);
#undef PLAINLY
#undef EACH
  return left;
}

void tide_program_test(const struct tide_program *program, const struct tide_env *env, struct tide_truths *ret) {
  struct tide_value registers[TIDE_REGISTERS_MAX];
  const struct run run = enter(program, env, registers);
  TIDE_CHECK(env->rule == program->rule);
  if (program->insns) compute(&run, registers, NULL);
  *ret = (struct tide_truths){0};
  for (uint32_t word = 0; word < program->banks; word++) {
    struct left left = strike(&run, &program->bank[word]);
    ret->yes[word] = left.alive & ~left.doubt;
    ret->neither[word] = left.alive & left.doubt;
  }
}
