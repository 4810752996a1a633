/* The instructions of a program: shared by what makes them (program_build.c) and what runs them (program.c), and by nobody else.
 *
 * An operand is a place: the top byte says in which array, the others at which byte of it. Registers and constants are numbered from 0 within their bounds; a root
 * that would pass them is left to the tree. */
#ifndef TIDE_PROGRAM_CODE_H
#define TIDE_PROGRAM_CODE_H

#include "feature/program.h"

enum tide_place { TIDE_AT_CONSTANT, TIDE_AT_FIELD, TIDE_AT_DYN, TIDE_AT_SLOT, TIDE_AT_DERIVED, TIDE_AT_REGISTER, TIDE_AT_SCORE, TIDE_PLACES };
#define TIDE_PLACE_BITS 24
#define TIDE_OPERAND(PLACE, INDEX) ((uint32_t)(PLACE) << TIDE_PLACE_BITS | (uint32_t)((INDEX) * sizeof(struct tide_value)))
static inline enum tide_place tide_operand_place(uint32_t operand) { return (enum tide_place)(operand >> TIDE_PLACE_BITS); }
static inline uint32_t tide_operand_at(uint32_t operand) { return operand & ((1u << TIDE_PLACE_BITS) - 1); }
#define TIDE_REGISTERS_MAX 512
#define TIDE_TRITS_MAX 4096
#define TIDE_PARTS_MAX 16384 /* of all nodes together */

/* Trits whose value is known: `neither` can stand beside others, false and true never do. */
enum { TIDE_FALSE_TRIT, TIDE_NEITHER_TRIT, TIDE_TRUE_TRIT, TIDE_FIRST_TRIT };

enum tide_code {
  /* values */
  TIDE_I_ADD, TIDE_I_SUB, TIDE_I_MUL, TIDE_I_DIV, TIDE_I_MIN, TIDE_I_MAX,
  TIDE_I_APPLY, /* any node, of its operands */
  TIDE_I_TREE,  /* the whole expression, by walking it */
  TIDE_I_GIVE,  /* operand 0 as it is */
  /* tests: a number compared with a constant (as values: with any number), a text likewise; APPLY and TREE as above */
  TIDE_I_EQ, TIDE_I_NE, TIDE_I_LT, TIDE_I_LE, TIDE_I_GT, TIDE_I_GE, TIDE_I_TEXT_EQ, TIDE_I_TEXT_NE, TIDE_I_TEXT_IN, TIDE_I_BOOL, TIDE_I_KNOWN,
  /* of tests */
  TIDE_I_AND, TIDE_I_OR, TIDE_I_NOT,
  TIDE_CODES
};

struct tide_insn {
  uint8_t code;             /* enum tide_code */
  uint8_t parts;            /* of them operands count */
  uint32_t to;              /* a value: operand, in registers or what is derived; a test: number of the trit */
  uint32_t operand[3];
  union { double num; uint64_t text; };
  const struct tide_expr *expr; /* the node; of GIVE: NULL */
};
struct tide_code_list { struct tide_insn *insn; uint32_t count; };

/* AND, OR of all its trits, NOT of its only one. */
struct tide_node { uint8_t code; uint16_t to, count; uint32_t first; };
struct tide_node_list { struct tide_node *node; uint32_t count; uint16_t *trit; uint32_t trits; };

struct tide_program {
  bool rule;
  struct tide_code_list values, tests;  /* tests by code: those of code c end at test_end[c] */
  uint32_t test_end[TIDE_CODES];
  struct tide_node_list nodes;
  const struct tide_value *constant;
  uint32_t root_count;
  struct tide_truths given;      /* conditions: roots whose result is known */
  struct { uint16_t trit, bit; } *open; /* the others, those of the first word first */
  uint32_t open_end[TIDE_PROGRAM_TRUTHS / 64];
};

#endif
