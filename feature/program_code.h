/* The instructions of a program: shared by what makes them (program_build.c) and what runs them (program.c), and by nobody else.
 *
 * An operand is a place: the lowest byte says in which array, the others at which byte of it. Registers, constants and tests are numbered from 0 within their bounds; a
 * root that would pass them is left to the tree. */
#ifndef TIDE_PROGRAM_CODE_H
#define TIDE_PROGRAM_CODE_H

#include "feature/program.h"

enum tide_place { TIDE_AT_CONSTANT, TIDE_AT_FIELD, TIDE_AT_DYN, TIDE_AT_SLOT, TIDE_AT_DERIVED, TIDE_AT_REGISTER, TIDE_AT_SCORE, TIDE_PLACES };
#define TIDE_OPERAND(PLACE, INDEX) ((uint32_t)(PLACE) | (uint32_t)((INDEX) * sizeof(struct tide_value)) << 8)
static inline enum tide_place tide_operand_place(uint32_t operand) { return (enum tide_place)(operand & 0xff); }
static inline uint32_t tide_operand_at(uint32_t operand) { return operand >> 8; }
#define TIDE_REGISTERS_MAX 512
#define TIDE_TESTS_MAX 4096
#define TIDE_PARTS_MAX 16384 /* of all nodes together */

/* ---- values ---- */

enum tide_code {
  TIDE_I_EQ, TIDE_I_NE, TIDE_I_LT, TIDE_I_LE, TIDE_I_GT, TIDE_I_GE,  /* of two numbers */
  TIDE_I_ADD, TIDE_I_SUB, TIDE_I_MUL, TIDE_I_DIV, TIDE_I_MIN, TIDE_I_MAX,
  TIDE_I_LOCAL, /* the event's time on the clocks of a zone, in seconds: what hour and weekday are taken from */
  TIDE_I_HOUR, TIDE_I_WEEKDAY,
  TIDE_I_APPLY, /* any node, of its operands */
  TIDE_I_TREE,  /* the whole expression, by walking it */
  TIDE_I_GIVE   /* operand 0 as it is */
};

struct tide_insn {
  uint8_t code;  /* enum tide_code */
  uint8_t parts; /* of them operands count */
  bool derives;  /* `to` is in what is derived, else in registers */
  uint32_t to;   /* in bytes */
  uint32_t operand[3];
  const struct tide_expr *expr; /* the node; of GIVE: NULL */
};

/* ---- conditions ---- */

/* Kinds of tests, from cheap to dear: that is their order in a program. */
enum tide_test_code {
  TIDE_T_CODE,    /* a text or bool is `code` */
  TIDE_T_RANGE,   /* a number lies in [least, most] */
  TIDE_T_KNOWN,   /* it is there and known */
  TIDE_T_TEXT_IN, /* a text stands in the node's set */
  TIDE_T_COMPARE, /* two numbers: `how` is an enum tide_code */
  TIDE_T_LIST,    /* on a list */
  TIDE_T_APPLY,   /* any node, of its operands */
  TIDE_T_NODE,    /* and, or of other tests: operand 0 is the number of the node */
  TIDE_T_TREE,    /* the whole expression, by walking it */
  TIDE_TEST_CODES
};

struct tide_test {
  uint8_t code;     /* enum tide_test_code */
  uint8_t parts;    /* of them operands count */
  uint8_t type;     /* CODE, RANGE, TEXT_IN: of what is tested, enum tide_vtype */
  uint8_t how;      /* CODE, RANGE: 1 where what is plain must not be that (!=) */
  uint32_t operand[3];
  union { struct { double least, most; }; uint64_t text; };
  const struct tide_expr *expr; /* NULL: the operand itself is the condition */
};

/* A test and the roots that need it: to be true, not to be true. */
struct tide_conjunct { uint64_t roots, yes, no; struct tide_test test; };
/* A rule that needs a value to be so much as it seldom is. All of these are tried, since that takes no branch, and they stand close together. */
struct tide_lead { double least; uint64_t roots; uint32_t operand, conjunct; };
/* The conjuncts of up to 64 roots. First, in rules, those that are leads, one for each root that has any. Then the others: those of kind c end at end[c], and none is
 * needed once no root of `others` is left. Those of `listed` need something to be on a list. A root that is not in `alive` is false from the beginning, one in `doubt`
 * never true. */
struct tide_bank {
  struct tide_conjunct *conjunct;
  struct tide_lead *lead;
  uint32_t count, leads, end[TIDE_TEST_CODES];
  uint64_t alive, doubt, others, listed;
};

/* A part of a node: number of a test, times two, plus 1 where it is negated. */
struct tide_node { bool all, neither; uint16_t count; uint32_t first; }; /* `and`, else `or`; neither: one more part is so in any case */

struct tide_program {
  bool rule;
  struct tide_insn *insn;
  uint32_t insns;
  const struct tide_value *constant;
  uint32_t banks; /* of conditions: as many as have roots */
  struct tide_bank bank[TIDE_PROGRAM_TRUTHS / 64];
  struct tide_node *node;  /* and what they are made of */
  const struct tide_test *test;
  const uint16_t *part;
};

#endif
