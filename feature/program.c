/* Running programs (program.h): three loops over flat lists, values, tests, and what is made of tests.
 *
 * A value is plain when its first four bytes say so at one look: type in the lowest, then state, cause, `unknown`. */
#include <math.h>
#include <stddef.h>

#include "feature/program_code.h"

_Static_assert(offsetof(struct tide_value, state) == 1 && offsetof(struct tide_value, cause) == 2 && offsetof(struct tide_value, unknown) == 3,
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

struct frame { const void *at[TIDE_PLACES]; };

static inline const struct tide_value *part(const struct frame *frame, uint32_t operand) {
  return (const struct tide_value *)((const char *)frame->at[tide_operand_place(operand)] + tide_operand_at(operand));
}

static __attribute__((noinline)) struct tide_value apply(const struct tide_insn *insn, const struct frame *frame, const struct tide_env *env) {
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

static void compute(const struct tide_program *program, const struct frame *frame, const struct tide_env *env, struct tide_value *registers,
                    struct tide_value *root) {
  for (const struct tide_insn *insn = program->values.insn, *end = insn + program->values.count; insn < end; insn++) {
    const struct tide_value *a = part(frame, insn->operand[0]);
    if (insn->code == TIDE_I_GIVE) {
      root[insn->to] = *a;
      continue;
    }
    if (insn->code > TIDE_I_MAX || !calculate((enum tide_code)insn->code, a, part(frame, insn->operand[1]), &registers[insn->to]))
      registers[insn->to] = apply(insn, frame, env);
  }
}

static inline uint8_t trit(bool yes) { return yes ? TIDE_TRIT_TRUE : TIDE_TRIT_FALSE; }

static uint8_t trit_of(struct tide_value value, bool rule) {
  if (value.type == TIDE_V_BOOL && !value.unknown) return trit(value.yes);
  return rule && !value.unknown ? TIDE_TRIT_FALSE : TIDE_TRIT_NEITHER;
}

static void test(const struct tide_program *program, const struct frame *frame, const struct tide_env *env, uint8_t *trits) {
  const uint8_t missing = program->rule ? TIDE_TRIT_FALSE : TIDE_TRIT_NEITHER; /* what a comparison with nothing is */
  for (const struct tide_insn *insn = program->tests.insn, *end = insn + program->tests.count; insn < end; insn++) {
    const struct tide_value *a = part(frame, insn->operand[0]);
    uint32_t head = head_of(a);
#define COMPARED(CODE, YES)                                                       \
  case CODE:                                                                      \
    if (TIDE_UNLIKELY(lacks(head))) {                                             \
      trits[insn->to] = head & HEAD_UNKNOWN ? (uint8_t)TIDE_TRIT_NEITHER : missing; \
      continue;                                                                   \
    }                                                                             \
    if (TIDE_UNLIKELY(is_bound(head))) break;                                     \
    trits[insn->to] = trit(YES);                                                  \
    continue;
    switch ((enum tide_code)insn->code) {
      COMPARED(TIDE_I_EQ, a->num == insn->num)
      COMPARED(TIDE_I_NE, a->num != insn->num)
      COMPARED(TIDE_I_LT, a->num < insn->num)
      COMPARED(TIDE_I_LE, a->num <= insn->num)
      COMPARED(TIDE_I_GT, a->num > insn->num)
      COMPARED(TIDE_I_GE, a->num >= insn->num)
      COMPARED(TIDE_I_TEXT_EQ, a->code == insn->text)
      COMPARED(TIDE_I_TEXT_NE, a->code != insn->text)
      COMPARED(TIDE_I_TEXT_IN, tide_expr_has_code(insn->expr, a->code))
      case TIDE_I_BOOL: trits[insn->to] = trit_of(*a, program->rule); continue;
      case TIDE_I_KNOWN: trits[insn->to] = trit(!lacks(head)); continue;
      default: break;
    }
#undef COMPARED
    trits[insn->to] = trit_of(apply(insn, frame, env), program->rule);
  }
}

static void combine(const struct tide_program *program, uint8_t *trits) {
  for (const struct tide_insn *insn = program->nodes.insn, *end = insn + program->nodes.count; insn < end; insn++) {
    unsigned a = trits[insn->operand[0]], b = trits[insn->operand[1]];
    switch ((enum tide_code)insn->code) {
      case TIDE_I_AND: a &= b; break;
      case TIDE_I_OR: a |= b; break;
      default: a = TIDE_TRIT_TRUE ^ ((a & 1) << 1 | a >> 1); break; /* not */
    }
    trits[insn->to] = (uint8_t)a;
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
  combine(program, trits);
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
