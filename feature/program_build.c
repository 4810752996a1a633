/* Making programs (program.h): expressions are numbered node by node, equal ones once, and what is constant is computed here.
 *
 * Parts come before what is made of them, so each list can be run from its beginning to its end. A root that does not fit any more is taken back whole
 * and left to the tree; nothing is cut. Equal instructions are searched from the first on: files are made once and have a few hundred. */
#include "base/buf.h"
#include "feature/program_code.h"

struct build {
  const struct tide_known_dyn *dyn;
  bool rule, values_only;
  bool full;                   /* the root being compiled does not fit */
  struct tide_value *constant; /* [TIDE_REGISTERS_MAX] */
  uint32_t constants, registers, trits;
  struct tide_code_list values, tests; /* with room for all registers and trits */
  struct tide_node_list nodes;
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
  if (x->code == TIDE_I_TREE || x->code == TIDE_I_GIVE) return false;
  return x->code == y->code && x->parts == y->parts && memcmp(x->operand, y->operand, sizeof x->operand) == 0 && x->text == y->text &&
         ((x->code != TIDE_I_APPLY && x->code != TIDE_I_TEXT_IN) || same_node(x->expr, y->expr));
}

/* Where the result of an equal instruction is, or of this one, put at the end. */
static uint32_t put(struct build *b, struct tide_code_list *list, struct tide_insn insn, uint32_t *next, uint32_t max) {
  for (uint32_t i = 0; i < list->count; i++)
    if (same(&list->insn[i], &insn)) return list->insn[i].to;
  if (*next == max) {
    b->full = true;
    return 0;
  }
  insn.to = list == &b->values ? TIDE_OPERAND(TIDE_AT_REGISTER, *next) : *next;
  ++*next;
  list->insn[list->count++] = insn;
  return insn.to;
}

/* ---- values ---- */

static uint32_t value_of(struct build *b, const struct tide_expr *expr);

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
  bool compares = code >= TIDE_I_EQ && code <= TIDE_I_GE && expr->a->type == TIDE_V_NUM;
  if (code <= TIDE_I_MAX || compares) insn.code = (uint8_t)code;
  return put(b, &b->values, insn, &b->registers, TIDE_REGISTERS_MAX);
}

/* ---- conditions ---- */

static uint16_t known_trit(const struct build *b, struct tide_value value) {
  if (value.type == TIDE_V_BOOL && !value.unknown) return value.yes ? TIDE_TRUE_TRIT : TIDE_FALSE_TRIT;
  return b->rule && !value.unknown ? TIDE_FALSE_TRIT : TIDE_NEITHER_TRIT;
}

static uint16_t put_test(struct build *b, struct tide_insn insn) { return (uint16_t)put(b, &b->tests, insn, &b->trits, TIDE_TRITS_MAX); }

/* What a node is made of, while it is collected. */
struct parts {
  uint16_t trit[32], count;
};

static uint16_t put_node(struct build *b, enum tide_code code, const struct parts *parts) {
  struct tide_node_list *list = &b->nodes;
  for (uint32_t i = 0; i < list->count; i++)
    if (list->node[i].code == code && list->node[i].count == parts->count &&
        memcmp(&list->trit[list->node[i].first], parts->trit, parts->count * sizeof *parts->trit) == 0)
      return list->node[i].to;
  if (b->trits == TIDE_TRITS_MAX || list->trits + parts->count > TIDE_PARTS_MAX) {
    b->full = true;
    return 0;
  }
  memcpy(&list->trit[list->trits], parts->trit, parts->count * sizeof *parts->trit);
  struct tide_node node = {.code = (uint8_t)code, .to = (uint16_t)b->trits++, .count = parts->count, .first = list->trits};
  list->trits += parts->count;
  list->node[list->count++] = node;
  return node.to;
}

static uint16_t trit_of(struct build *b, const struct tide_expr *expr);

/* Collects the sides of `and` (`or`), and theirs if they are the same; returns whether one of them decides whatever the others are. */
static bool collect(struct build *b, const struct tide_expr *expr, enum tide_op op, struct parts *parts) {
  if (expr->op == op) return collect(b, expr->a, op, parts) || collect(b, expr->b, op, parts);
  const uint16_t neutral = op == TIDE_X_AND ? TIDE_TRUE_TRIT : TIDE_FALSE_TRIT, trit = trit_of(b, expr);
  if (trit == neutral) return false;
  if (trit == TIDE_FALSE_TRIT || trit == TIDE_TRUE_TRIT) return true;
  for (uint16_t i = 0; i < parts->count; i++)
    if (parts->trit[i] == trit) return false;
  if (parts->count == sizeof parts->trit / sizeof *parts->trit) {
    parts->trit[0] = put_node(b, op == TIDE_X_AND ? TIDE_I_AND : TIDE_I_OR, parts);
    parts->count = 1;
  }
  parts->trit[parts->count++] = trit;
  return false;
}

/* A comparison with a constant in the short form, the constant on the right. */
static void shorten(const struct build *b, struct tide_insn *insn) {
  enum tide_code code = code_of((enum tide_op)insn->expr->op);
  if (insn->expr->op == TIDE_X_IN && insn->expr->a->type == TIDE_V_TEXT) insn->code = TIDE_I_TEXT_IN;
  if (insn->expr->op == TIDE_X_IS_KNOWN) insn->code = TIDE_I_KNOWN;
  if (code < TIDE_I_EQ || code > TIDE_I_GE || !is_constant(insn->operand[1])) return;
  const struct tide_value with = constant_of(b, insn->operand[1]);
  if (with.unknown || with.state == TIDE_S_saturated) return;
  if (with.type == TIDE_V_NUM) insn->code = (uint8_t)code, insn->num = with.num;
  if (with.type == TIDE_V_TEXT && code <= TIDE_I_NE)
    insn->code = code == TIDE_I_EQ ? TIDE_I_TEXT_EQ : TIDE_I_TEXT_NE, insn->text = with.code;
}

static uint16_t trit_of(struct build *b, const struct tide_expr *expr) {
  switch ((enum tide_op)expr->op) {
    case TIDE_X_AND:
    case TIDE_X_OR: {
      bool and = expr->op == TIDE_X_AND;
      struct parts parts = {.count = 0};
      if (collect(b, expr, (enum tide_op)expr->op, &parts)) return and? TIDE_FALSE_TRIT : TIDE_TRUE_TRIT;
      if (parts.count == 0) return and? TIDE_TRUE_TRIT : TIDE_FALSE_TRIT;
      return parts.count == 1 ? parts.trit[0] : put_node(b, and? TIDE_I_AND : TIDE_I_OR, &parts);
    }
    case TIDE_X_NOT: {
      struct parts parts = {{trit_of(b, expr->a)}, 1};
      return parts.trit[0] < TIDE_FIRST_TRIT ? (uint16_t)(TIDE_TRUE_TRIT - parts.trit[0]) : put_node(b, TIDE_I_NOT, &parts);
    }
    case TIDE_X_FIELD:
    case TIDE_X_DYN:
    case TIDE_X_FEATURE:
    case TIDE_X_DERIVED:
    case TIDE_X_IF: {
      uint32_t value = value_of(b, expr);
      if (is_constant(value)) return known_trit(b, constant_of(b, value));
      struct tide_insn insn = {.code = TIDE_I_BOOL, .parts = 1, .operand = {value}};
      return put_test(b, insn);
    }
    default: break;
  }
  struct tide_insn insn = node_of(b, expr);
  struct tide_value known;
  if (is_known(b, &insn, &known)) return known_trit(b, known);
  shorten(b, &insn);
  return put_test(b, insn);
}

/* ---- roots ---- */

static struct build begin(const struct tide_known_dyn *dyn, bool rule, bool values_only) {
  struct build b = {.dyn = dyn, .rule = rule, .values_only = values_only, .trits = TIDE_FIRST_TRIT};
  b.constant = tide_alloc(TIDE_REGISTERS_MAX * sizeof *b.constant);
  b.values.insn = tide_alloc((TIDE_REGISTERS_MAX + 2 * TIDE_PROGRAM_ROOTS) * sizeof *b.values.insn); /* and GIVE and TREE of each root */
  b.tests.insn = tide_alloc((TIDE_TRITS_MAX + TIDE_PROGRAM_TRUTHS) * sizeof *b.tests.insn);
  b.nodes.node = tide_alloc(TIDE_TRITS_MAX * sizeof *b.nodes.node);
  b.nodes.trit = tide_alloc(TIDE_PARTS_MAX * sizeof *b.nodes.trit);
  return b;
}

/* `from` of count elements as the arena keeps it. */
static void *kept(struct tide_arena *arena, void *from, size_t count, size_t size) {
  void *to = tide_arena_alloc(arena, (count + 1) * size);
  memcpy(to, from, count * size);
  tide_free(from);
  return to;
}

/* Tests wait for no other, so they can stand by code. */
static void sort_tests(const struct tide_code_list *list, struct tide_program *program) {
  struct tide_insn *sorted = tide_alloc((list->count + 1) * sizeof *sorted);
  uint32_t count = 0;
  for (unsigned code = 0; code < TIDE_CODES; code++) {
    for (uint32_t i = 0; i < list->count; i++)
      if (list->insn[i].code == code) sorted[count++] = list->insn[i];
    program->test_end[code] = count;
  }
  memcpy(list->insn, sorted, count * sizeof *sorted);
  tide_free(sorted);
}

static void finish(struct build *b, struct tide_arena *arena, struct tide_program *program) {
  program->rule = b->rule;
  program->constant = kept(arena, b->constant, b->constants, sizeof *b->constant);
  program->values = b->values;
  program->values.insn = kept(arena, b->values.insn, b->values.count, sizeof *b->values.insn);
  sort_tests(&b->tests, program);
  program->tests = b->tests;
  program->tests.insn = kept(arena, b->tests.insn, b->tests.count, sizeof *b->tests.insn);
  program->nodes = b->nodes;
  program->nodes.node = kept(arena, b->nodes.node, b->nodes.count, sizeof *b->nodes.node);
  program->nodes.trit = kept(arena, b->nodes.trit, b->nodes.trits, sizeof *b->nodes.trit);
}

struct tide_program *tide_program_conditions(struct tide_arena *arena, const struct tide_expr *const *root, uint32_t count, bool rule,
                                             const struct tide_known_dyn *dyn) {
  struct tide_program *program = tide_arena_alloc(arena, sizeof *program);
  TIDE_CHECK(count <= TIDE_PROGRAM_TRUTHS);
  program->root_count = count;
  program->open = tide_arena_alloc(arena, (count + 1) * sizeof *program->open);
  struct build b = begin(dyn, rule, false);
  uint32_t open = 0;
  for (uint32_t r = 0; r < count; r++) {
    struct build before = b;
    uint16_t trit = root[r] ? trit_of(&b, root[r]) : TIDE_TRUE_TRIT;
    if (b.full || b.trits + (count - r - 1) > TIDE_TRITS_MAX) { /* every root behind this one may need one for its tree */
      b = before;
      trit = (uint16_t)b.trits++;
      b.tests.insn[b.tests.count++] = (struct tide_insn){.code = TIDE_I_TREE, .to = trit, .expr = root[r]};
    }
    if (trit == TIDE_TRUE_TRIT) program->given.yes[r / 64] |= UINT64_C(1) << (r % 64);
    else if (trit == TIDE_NEITHER_TRIT) program->given.neither[r / 64] |= UINT64_C(1) << (r % 64);
    else if (trit != TIDE_FALSE_TRIT) program->open[open].trit = trit, program->open[open++].bit = (uint16_t)(r % 64);
    for (uint32_t word = r / 64; word < TIDE_PROGRAM_TRUTHS / 64; word++) program->open_end[word] = open;
  }
  finish(&b, arena, program);
  return program;
}

struct tide_program *tide_program_values(struct tide_arena *arena, const struct tide_expr *const *root, uint32_t count) {
  struct tide_program *program = tide_arena_alloc(arena, sizeof *program);
  TIDE_CHECK(count <= TIDE_PROGRAM_ROOTS);
  program->root_count = count;
  uint32_t given[TIDE_PROGRAM_ROOTS];
  struct build b = begin(NULL, false, true);
  b.root = given;
  for (uint32_t r = 0; r < count; r++) {
    struct build before = b;
    const uint32_t own = TIDE_OPERAND(TIDE_AT_DERIVED, r);
    given[r] = value_of(&b, root[r]);
    struct tide_insn *last = b.values.count > before.values.count ? &b.values.insn[b.values.count - 1] : NULL;
    if (b.full) {
      b = before;
      b.values.insn[b.values.count++] = (struct tide_insn){.code = TIDE_I_TREE, .to = own, .expr = root[r]};
    } else if (last && last->to == given[r]) { /* goes where it belongs at once */
      last->to = own;
    } else {
      b.values.insn[b.values.count++] = (struct tide_insn){.code = TIDE_I_GIVE, .parts = 1, .to = own, .operand = {given[r]}};
    }
    given[r] = own;
  }
  finish(&b, arena, program);
  return program;
}
