/* Running programs (program.h): three loops over flat lists, values, tests, and what is made of tests.
 *
 * A value is plain when its first four bytes say so at one look: type in the lowest, then state, cause, `unknown`. */
#include <math.h>
#include <stddef.h>

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
static inline bool lacks(uint32_t head) { return (head & HEAD_UNKNOWN) || !(head & HEAD_TYPE); }
static inline bool is_bound(uint32_t head) { return (head >> 8 & 0xff) == TIDE_S_saturated; }

struct frame {
  const void *at[TIDE_PLACES];
};

static inline const struct tide_value *part(const struct frame *frame, uint32_t operand) {
  return (const struct tide_value *)((const char *)frame->at[tide_operand_place(operand)] + tide_operand_at(operand));
}

static __attribute__((noinline)) struct tide_value apply(const struct tide_insn *insn, const struct frame *frame,
                                                         const struct tide_env *env) {
  struct tide_value parts[3];
  if (insn->code == TIDE_I_TREE) return tide_expr_eval(insn->expr, env);
  for (unsigned i = 0; i < insn->parts; i++) parts[i] = *part(frame, insn->operand[i]);
  return tide_expr_apply(insn->expr, parts, env);
}

/* a and b may be null, but must be known and no bounds; otherwise false. What comes out carries the state of the first part that has one. */
static inline bool calculate(enum tide_code code, const struct tide_value *a, const struct tide_value *b, struct tide_value *ret) {
  uint32_t left = head_of(a), right = head_of(b);
  if (TIDE_UNLIKELY((left | right) & HEAD_UNKNOWN) || is_bound(left) || is_bound(right)) return false;
  bool null = !(left & HEAD_TYPE) || !(right & HEAD_TYPE);
  uint32_t head = !(left & HEAD_TYPE) ? left : !(right & HEAD_TYPE) || a->state == TIDE_S_fresh ? right : left;
  double x = a->num, y = b->num, num = 0;
  if (!null) {
    switch (code) {
      case TIDE_I_ADD: num = x + y; break;
      case TIDE_I_SUB: num = x - y; break;
      case TIDE_I_MUL: num = x * y; break;
      case TIDE_I_DIV: num = y == 0 ? (double)NAN : x / y; break;
      case TIDE_I_MIN: num = y < x ? y : x; break;
      default: num = y > x ? y : x; break;
    }
    if (TIDE_UNLIKELY(!isfinite(num))) return false;
  }
  *ret = tide_num(num);
  memcpy(ret, &head, sizeof head);
  return true;
}

/* Numbers compared for their own sake. False: not here. */
static inline bool compare(enum tide_code code, const struct tide_value *a, const struct tide_value *b, struct tide_value *ret) {
  uint32_t left = head_of(a), right = head_of(b);
  if ((left & right & HEAD_TYPE) != TIDE_V_NUM || ((left | right) & HEAD_UNKNOWN) || is_bound(left) || is_bound(right)) return false;
  double x = a->num, y = b->num;
  *ret = tide_bool(code == TIDE_I_EQ   ? x == y
                   : code == TIDE_I_NE ? x != y
                   : code == TIDE_I_LT ? x < y
                   : code == TIDE_I_LE ? x <= y
                   : code == TIDE_I_GT ? x > y
                                       : x >= y);
  return true;
}

static void compute(const struct tide_program *program, const struct frame *frame, const struct tide_env *env, struct tide_value *registers,
                    struct tide_value *derived) {
  for (const struct tide_insn *insn = program->values.insn, *end = insn + program->values.count; insn < end; insn++) {
    const struct tide_value *a = part(frame, insn->operand[0]), *b = part(frame, insn->operand[1]);
    struct tide_value *to = tide_operand_place(insn->to) == TIDE_AT_DERIVED ? derived : registers;
    enum tide_code code = (enum tide_code)insn->code;
    to += tide_operand_at(insn->to) / sizeof *to;
    if (code <= TIDE_I_MAX && calculate(code, a, b, to)) continue;
    if (code >= TIDE_I_EQ && code <= TIDE_I_GE && compare(code, a, b, to)) continue;
    *to = code == TIDE_I_GIVE ? *a : apply(insn, frame, env);
  }
}

static inline uint8_t trit(bool yes) { return yes ? TIDE_TRIT_TRUE : TIDE_TRIT_FALSE; }

static uint8_t trit_of(struct tide_value value, bool rule) {
  if (value.type == TIDE_V_BOOL && !value.unknown) return trit(value.yes);
  return rule && !value.unknown ? TIDE_TRIT_FALSE : TIDE_TRIT_NEITHER;
}

/* A comparison that is not plain: nothing or something unknown is compared, or a bound. */
static __attribute__((noinline)) uint8_t compare_otherwise(const struct tide_program *program, const struct frame *frame,
                                                           const struct tide_env *env, const struct tide_insn *insn, uint32_t head) {
  if (head & HEAD_UNKNOWN) return TIDE_TRIT_NEITHER;
  if (!(head & HEAD_TYPE)) return program->rule ? TIDE_TRIT_FALSE : TIDE_TRIT_NEITHER;
  return trit_of(apply(insn, frame, env), program->rule);
}

static void test(const struct tide_program *program, const struct frame *frame, const struct tide_env *env, uint8_t *trits) {
  const struct tide_insn *insn = program->tests.insn, *end;
#define EACH(CODE) for (end = program->tests.insn + program->test_end[CODE]; insn < end; insn++)
#define COMPARED(CODE, TYPE, YES)                                                                                                          \
  EACH(CODE) {                                                                                                                             \
    const struct tide_value *a = part(frame, insn->operand[0]);                                                                            \
    uint32_t head = head_of(a);                                                                                                            \
    bool plain = (head & (HEAD_UNKNOWN | HEAD_TYPE)) == (TYPE) && a->state != TIDE_S_saturated;                                            \
    trits[insn->to] = TIDE_LIKELY(plain) ? trit(YES) : compare_otherwise(program, frame, env, insn, head);                                 \
  }
  EACH(TIDE_I_TREE) trits[insn->to] = trit_of(apply(insn, frame, env), program->rule);
  COMPARED(TIDE_I_EQ, TIDE_V_NUM, a->num == insn->num)
  COMPARED(TIDE_I_NE, TIDE_V_NUM, a->num != insn->num)
  COMPARED(TIDE_I_LT, TIDE_V_NUM, a->num < insn->num)
  COMPARED(TIDE_I_LE, TIDE_V_NUM, a->num <= insn->num)
  COMPARED(TIDE_I_GT, TIDE_V_NUM, a->num > insn->num)
  COMPARED(TIDE_I_GE, TIDE_V_NUM, a->num >= insn->num)
  COMPARED(TIDE_I_TEXT_EQ, TIDE_V_TEXT, a->code == insn->text)
  COMPARED(TIDE_I_TEXT_NE, TIDE_V_TEXT, a->code != insn->text)
  COMPARED(TIDE_I_TEXT_IN, TIDE_V_TEXT, tide_expr_has_code(insn->expr, a->code))
  EACH(TIDE_I_BOOL) trits[insn->to] = trit_of(*part(frame, insn->operand[0]), program->rule);
  EACH(TIDE_I_KNOWN) trits[insn->to] = trit(!lacks(head_of(part(frame, insn->operand[0]))));
#undef COMPARED
#undef EACH
}

static void combine(const struct tide_node_list *nodes, uint8_t *trits) {
  for (const struct tide_node *node = nodes->node, *end = node + nodes->count; node < end; node++) {
    const uint16_t *at = nodes->trit + node->first, *behind = at + node->count;
    unsigned result = trits[*at++];
    if (node->code == TIDE_I_AND)
      for (; at < behind; at++) result &= trits[*at];
    else if (node->code == TIDE_I_OR)
      for (; at < behind; at++) result |= trits[*at];
    else result = TIDE_TRIT_TRUE ^ ((result & 1) << 1 | result >> 1);
    trits[node->to] = (uint8_t)result;
  }
}

static void enter(const struct tide_program *program, const struct tide_env *env, const struct tide_value *registers, struct frame *frame) {
  *frame = (struct frame){.at = {[TIDE_AT_CONSTANT] = program->constant,
                                 [TIDE_AT_FIELD] = env->field,
                                 [TIDE_AT_DYN] = env->dyn,
                                 [TIDE_AT_SLOT] = env->slot,
                                 [TIDE_AT_DERIVED] = env->derived,
                                 [TIDE_AT_REGISTER] = registers,
                                 [TIDE_AT_SCORE] = &env->score}};
}

void tide_program_test(const struct tide_program *program, const struct tide_env *env, struct tide_truths *ret) {
  struct tide_value registers[TIDE_REGISTERS_MAX];
  uint8_t trits[TIDE_TRITS_MAX];
  struct frame frame;
  TIDE_CHECK(env->rule == program->rule);
  trits[TIDE_NEITHER_TRIT] = TIDE_TRIT_NEITHER;
  enter(program, env, registers, &frame);
  compute(program, &frame, env, registers, NULL);
  test(program, &frame, env, trits);
  combine(&program->nodes, trits);
  *ret = program->given;
  for (uint32_t i = 0, word = 0; word < TIDE_PROGRAM_TRUTHS / 64; word++) {
    uint64_t yes = 0, there = 0; /* the high bit of each, and the low one */
    for (; i < program->open_end[word]; i++) {
      uint64_t result = trits[program->open[i].trit];
      yes |= (result >> 1) << program->open[i].bit;
      there |= (result & 1) << program->open[i].bit;
    }
    ret->yes[word] |= yes;
    ret->neither[word] |= there & ~yes;
  }
}

void tide_program_derive(const struct tide_program *program, const struct tide_env *env, struct tide_value *ret) {
  struct tide_value registers[TIDE_REGISTERS_MAX];
  struct frame frame;
  TIDE_CHECK(!env->rule && env->derived == ret);
  enter(program, env, registers, &frame);
  compute(program, &frame, env, registers, ret);
}
