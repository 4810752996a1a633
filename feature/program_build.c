/* Making programs (program.h): expressions are numbered node by node, equal ones once, and what is constant is computed here.
 *
 * Parts come before what is made of them, so values can be run from the first to the last. A root that does not fit any more is taken back whole
 * and left to the tree; nothing is cut. Equal instructions are searched from the first on: files are made once and have a few hundred. */
#include <math.h>

#include "base/buf.h"
#include "feature/program_code.h"

#define NEEDS_WORDS (TIDE_PROGRAM_TRUTHS / 64)

/* The roots that need a test to be true, not to be true; how far in front it stands in one of them. */
struct needs {
  uint64_t yes[NEEDS_WORDS], no[NEEDS_WORDS];
  uint32_t place;
};

struct build {
  const struct tide_known_dyn *dyn;
  bool rule, values_only;
  bool full;                   /* the root being compiled does not fit */
  struct tide_value *constant; /* [TIDE_REGISTERS_MAX] */
  uint32_t constants, registers;
  struct tide_insn *insn; /* with room for all registers, and GIVE and TREE of each root */
  uint32_t insns;
  struct tide_test *test; /* with room for one TREE of each root */
  uint32_t tests;
  struct needs *needs; /* of each test */
  struct tide_node *node;
  uint32_t nodes;
  uint16_t *part; /* of nodes */
  uint32_t parts;
  const uint32_t *root; /* values: the operands of earlier roots */
};

static bool is_constant(uint32_t operand) { return tide_operand_place(operand) == TIDE_AT_CONSTANT; }
static struct tide_value constant_of(const struct build *b, uint32_t operand) {
  return b->constant[tide_operand_at(operand) / sizeof *b->constant];
}

static uint32_t constant(struct build *b, struct tide_value value) {
  for (uint32_t i = 0; i < b->constants; i++)
    if (memcmp(&b->constant[i], &value, sizeof value) == 0) return TIDE_OPERAND(TIDE_AT_CONSTANT, i);
  if (b->constants == TIDE_REGISTERS_MAX) {
    b->full = true;
    return 0;
  }
  b->constant[b->constants] = value;
  return TIDE_OPERAND(TIDE_AT_CONSTANT, b->constants++);
}

/* Do the nodes themselves, apart from their parts, say the same? */
static bool same_node(const struct tide_expr *x, const struct tide_expr *y) {
  if (x == y) return true;
  if (!x || !y || x->op != y->op || x->ref != y->ref || x->set_count != y->set_count) return false;
  if (x->op == TIDE_X_IN) return memcmp(x->set, y->set, x->set_count * sizeof *x->set) == 0;
  if (x->op == TIDE_X_IN_LIST) return x->a->op == y->a->op && x->a->ref == y->a->ref;
  return x->op != TIDE_X_HOUR && x->op != TIDE_X_WEEKDAY ? true : x->zone == y->zone;
}

static bool same(const struct tide_insn *x, const struct tide_insn *y) {
  if (x->code != y->code || x->code == TIDE_I_TREE || x->code == TIDE_I_GIVE) return false;
  if (x->code == TIDE_I_LOCAL) return x->expr->zone == y->expr->zone;
  return x->parts == y->parts && memcmp(x->operand, y->operand, sizeof x->operand) == 0 &&
         (x->code != TIDE_I_APPLY || same_node(x->expr, y->expr));
}

static uint32_t result_of(const struct tide_insn *insn) {
  return TIDE_OPERAND(insn->derives ? TIDE_AT_DERIVED : TIDE_AT_REGISTER, insn->to / sizeof(struct tide_value));
}

/* Where an equal instruction puts its result, or this one, put at the end. */
static uint32_t put(struct build *b, struct tide_insn insn) {
  for (uint32_t i = 0; i < b->insns; i++)
    if (same(&b->insn[i], &insn)) return result_of(&b->insn[i]);
  if (b->registers == TIDE_REGISTERS_MAX) {
    b->full = true;
    return 0;
  }
  insn.to = (uint32_t)(b->registers++ * sizeof(struct tide_value));
  b->insn[b->insns++] = insn;
  return result_of(&insn);
}

/* ---- values ---- */

static uint32_t value_of(struct build *b, const struct tide_expr *expr);

/* An instruction that applies the node to its parts. */
static struct tide_insn node_of(struct build *b, const struct tide_expr *expr) {
  struct tide_insn insn = {.code = TIDE_I_APPLY, .expr = expr};
  const struct tide_expr *part[3] = {expr->a, expr->b, expr->c};
  if (expr->op == TIDE_X_IN_LIST) return insn; /* looks at its operand by itself */
  for (; insn.parts < 3 && part[insn.parts]; insn.parts++) insn.operand[insn.parts] = value_of(b, part[insn.parts]);
  return insn;
}

/* What the node is worth if nothing of the event decides it. */
static bool is_known(const struct build *b, const struct tide_insn *insn, struct tide_value *ret) {
  enum tide_op op = (enum tide_op)insn->expr->op;
  if (op == TIDE_X_IN_LIST || op == TIDE_X_HOUR || op == TIDE_X_WEEKDAY || op == TIDE_X_EVENT_TIME || b->full) return false;
  struct tide_value part[3];
  for (unsigned i = 0; i < insn->parts; i++) {
    if (!is_constant(insn->operand[i])) return false;
    part[i] = constant_of(b, insn->operand[i]);
  }
  const struct tide_env env = {.rule = b->rule};
  *ret = tide_expr_apply(insn->expr, part, &env);
  return true;
}

static enum tide_code code_of(enum tide_op op) {
  switch (op) {
    case TIDE_X_ADD: return TIDE_I_ADD;
    case TIDE_X_SUB: return TIDE_I_SUB;
    case TIDE_X_MUL: return TIDE_I_MUL;
    case TIDE_X_DIV: return TIDE_I_DIV;
    case TIDE_X_MIN: return TIDE_I_MIN;
    case TIDE_X_MAX: return TIDE_I_MAX;
    case TIDE_X_EQ: return TIDE_I_EQ;
    case TIDE_X_NE: return TIDE_I_NE;
    case TIDE_X_LT: return TIDE_I_LT;
    case TIDE_X_LE: return TIDE_I_LE;
    case TIDE_X_GT: return TIDE_I_GT;
    case TIDE_X_GE: return TIDE_I_GE;
    case TIDE_X_HOUR: return TIDE_I_HOUR;
    case TIDE_X_WEEKDAY: return TIDE_I_WEEKDAY;
    default: return TIDE_I_APPLY;
  }
}

static uint32_t value_of(struct build *b, const struct tide_expr *expr) {
  switch ((enum tide_op)expr->op) {
    case TIDE_X_FIELD: return TIDE_OPERAND(TIDE_AT_FIELD, expr->ref);
    case TIDE_X_FEATURE: return TIDE_OPERAND(TIDE_AT_SLOT, expr->ref);
    case TIDE_X_SCORE: return TIDE_OPERAND(TIDE_AT_SCORE, 0);
    case TIDE_X_DERIVED: return b->values_only ? b->root[expr->ref] : TIDE_OPERAND(TIDE_AT_DERIVED, expr->ref);
    case TIDE_X_DYN:
      if (b->dyn && expr->ref < 32 && (b->dyn->known >> expr->ref & 1)) return constant(b, b->dyn->value[expr->ref]);
      return TIDE_OPERAND(TIDE_AT_DYN, expr->ref);
    default: break;
  }
  struct tide_insn insn = node_of(b, expr);
  struct tide_value known;
  if (is_known(b, &insn, &known)) return constant(b, known);
  enum tide_code code = code_of((enum tide_op)expr->op);
  if (code == TIDE_I_HOUR || code == TIDE_I_WEEKDAY) { /* of the local time, which all of one zone share */
    insn.parts = 1;
    insn.operand[0] = put(b, (struct tide_insn){.code = TIDE_I_LOCAL, .expr = expr});
  }
  if (code > TIDE_I_GE || expr->a->type == TIDE_V_NUM) insn.code = (uint8_t)code;
  return put(b, insn);
}

/* ---- tests ---- */

/* A condition as part of others: twice the number of a test, plus 1 where it is negated, or what is known of it. */
enum { LITERAL_FALSE = 0xfffd, LITERAL_NEITHER = 0xfffe, LITERAL_TRUE = 0xffff };
_Static_assert(2 * (TIDE_TESTS_MAX + TIDE_PROGRAM_TRUTHS) < LITERAL_FALSE, "tests and known ones are told apart");

static uint16_t literal_of(struct tide_value value, bool rule) {
  if (value.type == TIDE_V_BOOL && !value.unknown) return value.yes ? LITERAL_TRUE : LITERAL_FALSE;
  return rule && !value.unknown ? LITERAL_FALSE : LITERAL_NEITHER;
}

static uint16_t negated(uint16_t literal) {
  if (literal == LITERAL_NEITHER) return LITERAL_NEITHER;
  return literal < LITERAL_FALSE ? literal ^ 1 : (uint16_t)(LITERAL_FALSE + LITERAL_TRUE - literal);
}

static bool same_test(const struct tide_test *x, const struct tide_test *y) {
  if (x->code != y->code || x->parts != y->parts || x->type != y->type || x->how != y->how || x->code == TIDE_T_TREE ||
      memcmp(x->operand, y->operand, sizeof x->operand) != 0)
    return false;
  bool by_node = x->code == TIDE_T_TEXT_IN || x->code == TIDE_T_LIST || x->code == TIDE_T_APPLY;
  return by_node ? same_node(x->expr, y->expr) : memcmp(&x->least, &y->least, 2 * sizeof x->least) == 0;
}

static uint16_t put_test(struct build *b, struct tide_test test) {
  for (uint32_t i = 0; i < b->tests; i++)
    if (same_test(&b->test[i], &test)) return (uint16_t)(2 * i);
  if (b->tests >= TIDE_TESTS_MAX) {
    b->full = true;
    return LITERAL_FALSE;
  }
  b->needs[b->tests] = (struct needs){.place = UINT32_MAX};
  b->test[b->tests] = test;
  return (uint16_t)(2 * b->tests++);
}

/* A number compared with one that is known lies in a range, or not. */
static void bound(struct tide_test *test, enum tide_code code, double with) {
  test->code = TIDE_T_RANGE;
  test->how = code == TIDE_I_NE;
  test->least = code == TIDE_I_LT || code == TIDE_I_LE ? (double)-INFINITY : code == TIDE_I_GT ? nextafter(with, (double)INFINITY) : with;
  test->most = code == TIDE_I_GT || code == TIDE_I_GE ? (double)INFINITY : code == TIDE_I_LT ? nextafter(with, (double)-INFINITY) : with;
}

/* The kind of test that the node is; apply's if there is no shorter one. */
static struct tide_test test_of(const struct build *b, const struct tide_insn *insn) {
  const struct tide_expr *expr = insn->expr;
  struct tide_test test = {.code = TIDE_T_APPLY, .parts = insn->parts, .expr = expr};
  enum tide_code code = code_of((enum tide_op)expr->op);
  memcpy(test.operand, insn->operand, sizeof test.operand);
  if (expr->op == TIDE_X_IN_LIST) test.code = TIDE_T_LIST;
  if (expr->op == TIDE_X_IS_KNOWN) test.code = TIDE_T_KNOWN;
  if (expr->op == TIDE_X_IN && expr->a->type == TIDE_V_TEXT) test.code = TIDE_T_TEXT_IN, test.type = TIDE_V_TEXT;
  if (code > TIDE_I_GE) return test;
  const struct tide_value with = is_constant(insn->operand[1]) ? constant_of(b, insn->operand[1]) : tide_null(TIDE_S_empty, TIDE_C_empty);
  bool plain = !with.unknown && with.state != TIDE_S_saturated;
  if (plain && with.type == TIDE_V_TEXT)
    test.code = TIDE_T_CODE, test.type = TIDE_V_TEXT, test.text = with.code, test.how = code == TIDE_I_NE;
  else if (plain && with.type == TIDE_V_NUM) test.type = TIDE_V_NUM, bound(&test, code, with.num);
  else if (expr->a->type == TIDE_V_NUM) test.code = TIDE_T_COMPARE, test.how = (uint8_t)code;
  return test;
}

static uint16_t leaf(struct build *b, const struct tide_expr *expr) {
  struct tide_insn insn;
  struct tide_value known;
  switch ((enum tide_op)expr->op) {
    case TIDE_X_FIELD:
    case TIDE_X_DYN:
    case TIDE_X_FEATURE:
    case TIDE_X_DERIVED:
    case TIDE_X_IF: {
      uint32_t value = value_of(b, expr);
      if (is_constant(value)) return literal_of(constant_of(b, value), b->rule);
      struct tide_test test = {.code = TIDE_T_CODE, .type = TIDE_V_BOOL, .parts = 1, .operand = {value}};
      test.text = tide_bool(true).code;
      return put_test(b, test);
    }
    default: break;
  }
  insn = node_of(b, expr);
  if (is_known(b, &insn, &known)) return literal_of(known, b->rule);
  return put_test(b, test_of(b, &insn));
}

/* ---- and, or, not of them ---- */

/* What `and`, or `or`, is made of, while it is collected. */
struct parts {
  bool all, neither, decided; /* neither: some part is so in any case; decided: the whole is, whatever the others are */
  uint16_t literal[64], count;
};

static void gather(struct build *b, const struct tide_expr *expr, bool negative, struct parts *parts);

static uint16_t put_node(struct build *b, const struct parts *parts) {
  struct tide_node node = {.all = parts->all, .neither = parts->neither, .count = parts->count, .first = b->parts};
  if (b->parts + parts->count > TIDE_PARTS_MAX || b->nodes == TIDE_TESTS_MAX) {
    b->full = true;
    return LITERAL_FALSE;
  }
  uint32_t i = 0;
  for (; i < b->nodes; i++)
    if (b->node[i].all == node.all && b->node[i].neither == node.neither && b->node[i].count == node.count &&
        memcmp(&b->part[b->node[i].first], parts->literal, parts->count * sizeof *parts->literal) == 0)
      break;
  if (i == b->nodes) {
    memcpy(&b->part[b->parts], parts->literal, parts->count * sizeof *parts->literal);
    b->parts += parts->count;
    b->node[b->nodes++] = node;
  }
  return put_test(b, (struct tide_test){.code = TIDE_T_NODE, .operand = {i}});
}

static uint16_t literal_of_parts(struct build *b, const struct parts *parts) {
  if (parts->decided) return parts->all ? LITERAL_FALSE : LITERAL_TRUE;
  if (!parts->count) return parts->neither ? LITERAL_NEITHER : parts->all ? LITERAL_TRUE : LITERAL_FALSE;
  return parts->count == 1 && !parts->neither ? parts->literal[0] : put_node(b, parts);
}

static void add_part(struct build *b, struct parts *parts, uint16_t literal) {
  if (literal == (parts->all ? LITERAL_TRUE : LITERAL_FALSE)) return;
  parts->decided |= literal == (parts->all ? LITERAL_FALSE : LITERAL_TRUE);
  parts->neither |= literal == LITERAL_NEITHER;
  if (literal >= LITERAL_FALSE) return;
  for (uint16_t i = 0; i < parts->count; i++)
    if (parts->literal[i] == literal) return;
  if (parts->count == sizeof parts->literal / sizeof *parts->literal) b->full = true;
  else parts->literal[parts->count++] = literal;
}

/* Adds a condition, or its negation: the sides of `and` to those of `and`, likewise `or`, for which `not` makes one the other. */
static void gather(struct build *b, const struct tide_expr *expr, bool negative, struct parts *parts) {
  while (expr->op == TIDE_X_NOT) expr = expr->a, negative = !negative;
  if (expr->op != TIDE_X_AND && expr->op != TIDE_X_OR) {
    uint16_t literal = leaf(b, expr);
    add_part(b, parts, negative ? negated(literal) : literal);
    return;
  }
  bool all = (expr->op == TIDE_X_AND) != negative;
  struct parts inside = {.all = all}, *to = all == parts->all ? parts : &inside;
  gather(b, expr->a, negative, to);
  gather(b, expr->b, negative, to);
  if (to == &inside) add_part(b, parts, literal_of_parts(b, &inside));
}

/* ---- roots ---- */

static struct build begin(const struct tide_known_dyn *dyn, bool rule, bool values_only) {
  struct build b = {.dyn = dyn, .rule = rule, .values_only = values_only};
  b.constant = tide_alloc(TIDE_REGISTERS_MAX * sizeof *b.constant);
  b.insn = tide_alloc((TIDE_REGISTERS_MAX + 2 * TIDE_PROGRAM_ROOTS) * sizeof *b.insn);
  b.test = tide_alloc((TIDE_TESTS_MAX + TIDE_PROGRAM_TRUTHS) * sizeof *b.test);
  b.needs = tide_alloc((TIDE_TESTS_MAX + TIDE_PROGRAM_TRUTHS) * sizeof *b.needs);
  b.node = tide_alloc(TIDE_TESTS_MAX * sizeof *b.node);
  b.part = tide_alloc(TIDE_PARTS_MAX * sizeof *b.part);
  return b;
}

/* `from` of count elements as the arena keeps it. */
static void *kept(struct tide_arena *arena, void *from, size_t count, size_t size) {
  void *to = tide_arena_alloc(arena, (count + 1) * size);
  memcpy(to, from, count * size);
  tide_free(from);
  return to;
}

/* Leading tests before all others; cheap before dear ones; of one kind those that may strike out most roots, and then what stands in front in its root. */
static bool is_before(const struct build *b, const bool *leading, uint32_t i, uint32_t k, unsigned word) {
  const struct needs *x = &b->needs[i], *y = &b->needs[k];
  if (leading[i] != leading[k]) return leading[i];
  if (b->test[i].code != b->test[k].code) return b->test[i].code < b->test[k].code;
  int more = __builtin_popcountll(x->yes[word] | x->no[word]) - __builtin_popcountll(y->yes[word] | y->no[word]);
  return more ? more > 0 : x->place < y->place;
}

/* Is it a test that most events fail: a feature, or what is made of it, being at least so much, which is more than nothing? */
static bool leads(const struct build *b, uint32_t i, unsigned word) {
  const struct tide_test *test = &b->test[i];
  return test->code == TIDE_T_RANGE && !test->how && test->least > 0 && isinf(test->most) && !b->needs[i].no[word] &&
         tide_operand_place(test->operand[0]) >= TIDE_AT_SLOT;
}

/* More than 1 before 1, which may be an answer and no count; then what stands in front. */
static bool leads_before(const struct build *b, uint32_t i, uint32_t k) {
  bool more = b->test[i].least > 1, other = b->test[k].least > 1;
  return more != other ? more : b->needs[i].place < b->needs[k].place;
}

/* Marks one leading test of every root of the bank that has any. */
static void mark_leading(const struct build *b, unsigned word, bool *leading) {
  for (uint32_t r = 0; b->rule && r < 64; r++) {
    uint32_t best = b->tests;
    for (uint32_t i = 0; i < b->tests; i++)
      if (b->needs[i].yes[word] >> r & 1 && leads(b, i, word) && (best == b->tests || leads_before(b, i, best))) best = i;
    if (best < b->tests) leading[best] = true;
  }
}

static void fill_bank(const struct build *b, struct tide_arena *arena, unsigned word, struct tide_bank *bank) {
  uint32_t *number = tide_alloc((b->tests + 1) * sizeof *number);
  bool *leading = tide_alloc((b->tests + 1) * sizeof *leading);
  mark_leading(b, word, leading);
  bank->conjunct = tide_arena_alloc(arena, (b->tests + 1) * sizeof *bank->conjunct);
  for (uint32_t i = 0; i < b->tests; i++) {
    const struct needs *needs = &b->needs[i];
    struct tide_conjunct c = {
        .roots = needs->yes[word] | needs->no[word], .yes = needs->yes[word], .no = needs->no[word], .test = b->test[i]};
    if (!c.roots) continue;
    uint32_t at = bank->count++;
    if (!leading[i]) bank->others |= c.roots;
    if (c.test.code == TIDE_T_LIST) bank->listed |= c.yes;
    for (; at > 0 && is_before(b, leading, i, number[at - 1], word); at--)
      bank->conjunct[at] = bank->conjunct[at - 1], number[at] = number[at - 1];
    bank->conjunct[at] = c, number[at] = i;
  }
  bank->lead = tide_arena_alloc(arena, (bank->count + 1) * sizeof *bank->lead);
  for (; bank->leads < bank->count && leading[number[bank->leads]]; bank->leads++) {
    const struct tide_conjunct *c = &bank->conjunct[bank->leads];
    bank->lead[bank->leads] =
        (struct tide_lead){.least = c->test.least, .roots = c->yes, .operand = c->test.operand[0], .conjunct = bank->leads};
  }
  for (uint32_t i = bank->leads, code = 0; code < TIDE_TEST_CODES; code++) {
    while (i < bank->count && bank->conjunct[i].test.code == code) i++;
    bank->end[code] = i;
  }
  tide_free(leading);
  tide_free(number);
}

/* How many instructions stand below this one: it may run once those have. A tree reads whatever was derived before it. */
static uint32_t depth_of(const struct build *b, const uint32_t *depth, uint32_t i) {
  const struct tide_insn *insn = &b->insn[i];
  uint32_t below = 0;
  for (uint32_t k = 0; k < i; k++) {
    bool reads = insn->code == TIDE_I_TREE || b->insn[k].code == TIDE_I_TREE;
    for (unsigned part = 0; part < insn->parts; part++) reads |= insn->operand[part] == result_of(&b->insn[k]);
    if (reads && depth[k] >= below) below = depth[k] + 1;
  }
  return below;
}

/* Instructions of one code behind each other wherever their operands allow it, so that the processor foresees what comes next. */
static void sort_instructions(struct build *b) {
  uint32_t *depth = tide_alloc((b->insns + 1) * sizeof *depth);
  for (uint32_t i = 0; i < b->insns; i++) depth[i] = depth_of(b, depth, i);
  for (uint32_t i = 1; i < b->insns; i++) {
    struct tide_insn insn = b->insn[i];
    uint32_t at = i, own = depth[i];
    for (; at > 0 && (depth[at - 1] > own || (depth[at - 1] == own && b->insn[at - 1].code > insn.code)); at--)
      b->insn[at] = b->insn[at - 1], depth[at] = depth[at - 1];
    b->insn[at] = insn, depth[at] = own;
  }
  tide_free(depth);
}

static void finish(struct build *b, struct tide_arena *arena, struct tide_program *program) {
  sort_instructions(b);
  program->rule = b->rule;
  program->constant = kept(arena, b->constant, b->constants, sizeof *b->constant);
  program->insn = kept(arena, b->insn, b->insns, sizeof *b->insn);
  program->insns = b->insns;
  for (unsigned word = 0; word < NEEDS_WORDS; word++) fill_bank(b, arena, word, &program->bank[word]);
  program->test = kept(arena, b->test, b->tests, sizeof *b->test);
  program->node = kept(arena, b->node, b->nodes, sizeof *b->node);
  program->part = kept(arena, b->part, b->parts, sizeof *b->part);
  tide_free(b->needs);
}

/* Notes that root r is true exactly if all parts are. */
static void need(struct build *b, struct tide_program *program, uint32_t r, const struct parts *parts) {
  uint64_t bit = UINT64_C(1) << (r % 64);
  if (parts->decided) return;
  program->bank[r / 64].alive |= bit;
  if (parts->neither) program->bank[r / 64].doubt |= bit;
  for (uint16_t i = 0; i < parts->count; i++) {
    struct needs *needs = &b->needs[parts->literal[i] / 2];
    *(parts->literal[i] & 1 ? &needs->no[r / 64] : &needs->yes[r / 64]) |= bit;
    if (i < needs->place) needs->place = i;
  }
}

struct tide_program *tide_program_conditions(struct tide_arena *arena, const struct tide_expr *const *root, uint32_t count, bool rule,
                                             const struct tide_known_dyn *dyn) {
  struct tide_program *program = tide_arena_alloc(arena, sizeof *program);
  TIDE_CHECK(count <= TIDE_PROGRAM_TRUTHS);
  program->banks = (count + 63) / 64;
  struct build b = begin(dyn, rule, false);
  for (uint32_t r = 0; r < count; r++) {
    struct build before = b;
    struct parts parts = {.all = true};
    if (root[r]) gather(&b, root[r], false, &parts);
    if (b.full) {
      b = before;
      b.needs[b.tests] = (struct needs){.place = UINT32_MAX};
      b.test[b.tests] = (struct tide_test){.code = TIDE_T_TREE, .expr = root[r]};
      parts = (struct parts){.all = true, .literal = {(uint16_t)(2 * b.tests++)}, .count = 1};
    }
    need(&b, program, r, &parts);
  }
  finish(&b, arena, program);
  return program;
}

struct tide_program *tide_program_values(struct tide_arena *arena, const struct tide_expr *const *root, uint32_t count) {
  struct tide_program *program = tide_arena_alloc(arena, sizeof *program);
  TIDE_CHECK(count <= TIDE_PROGRAM_ROOTS);
  uint32_t given[TIDE_PROGRAM_ROOTS];
  struct build b = begin(NULL, false, true);
  b.root = given;
  for (uint32_t r = 0; r < count; r++) {
    struct build before = b;
    given[r] = value_of(&b, root[r]);
    struct tide_insn *last = b.insns > before.insns ? &b.insn[b.insns - 1] : NULL;
    if (b.full) {
      b = before;
      b.insn[b.insns++] = (struct tide_insn){.code = TIDE_I_TREE, .expr = root[r]};
    } else if (!last || result_of(last) != given[r]) {
      b.insn[b.insns++] = (struct tide_insn){.code = TIDE_I_GIVE, .parts = 1, .operand = {given[r]}};
    } /* else it goes where it belongs at once */
    b.insn[b.insns - 1].derives = true, b.insn[b.insns - 1].to = (uint32_t)(r * sizeof(struct tide_value));
    given[r] = result_of(&b.insn[b.insns - 1]);
  }
  finish(&b, arena, program);
  return program;
}
