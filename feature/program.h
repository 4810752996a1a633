/* Expressions compiled for every event: what derive, rules and conditions say, as flat lists of typed instructions.
 *
 * A program has many roots and computes what they have in common once. First its values are computed (arithmetic, functions), each into a register or what is derived.
 * Then its tests are tried, the conditions that are no `and`, `or` or `not`, each with one of three results. A root is an `and` of tests, so a false one strikes out all
 * roots that need it, and a test of which no root is left is not tried: nodes have no effects, and Kleene's tables do not ask for an order (README.md, Programs).
 *
 * An instruction looks whether its operands are plain (a number that is there and known, a text) and then does the obvious; in all other cases it calls tide_expr_apply,
 * so the meaning of a node stands in expr.c alone. What is too large to be compiled is walked as a tree. */
#ifndef TIDE_PROGRAM_H
#define TIDE_PROGRAM_H

#include "base/arena.h"
#include "feature/expr.h"

#define TIDE_PROGRAM_ROOTS 256
#define TIDE_PROGRAM_TRUTHS 128 /* roots of a program of conditions */

/* Neither: null where a condition selects events, unknown in a rule. */
enum tide_trit { TIDE_TRIT_FALSE = 0, TIDE_TRIT_NEITHER = 1, TIDE_TRIT_TRUE = 3 };

/* The results of all conditions: root r is bit r % 64 of word r / 64. A root in neither word is false. */
struct tide_truths { uint64_t yes[TIDE_PROGRAM_TRUTHS / 64], neither[TIDE_PROGRAM_TRUTHS / 64]; };

struct tide_program;

/* Outcome columns whose value is known when the program is made: bit 1 << enum tide_dyn of `known`, in value[]. */
struct tide_known_dyn { uint32_t known; const struct tide_value *value; };

/* Compiles conditions; `rule` as in tide_env: results are those of tide_expr_eval under it (in a rule what is legitimately missing is false). A root that is NULL is true.
 * `dyn`: NULL where none is known. The program borrows the expressions and lives in the arena. */
struct tide_program *tide_program_conditions(struct tide_arena *arena, const struct tide_expr *const *root, uint32_t count, bool rule,
                                             const struct tide_known_dyn *dyn);
/* Compiles values, evaluated in order and without `rule`: a DERIVED node reads the value of an earlier root. */
struct tide_program *tide_program_values(struct tide_arena *arena, const struct tide_expr *const *root, uint32_t count);

/* env->rule must be the program's. */
void tide_program_test(const struct tide_program *program, const struct tide_env *env, struct tide_truths *ret);
/* ret[count] is where env->derived points. */
void tide_program_derive(const struct tide_program *program, const struct tide_env *env, struct tide_value *ret);

#endif
