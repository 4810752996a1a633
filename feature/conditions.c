/* The conditions of an event: which `where` it satisfies, as it comes in and after every outcome (state.h; plan.h says what atoms are).
 *
 * An event that comes in has no outcome yet, so all that is said about outcomes is known when the plan is made and most conditions are a few tests of fields
 * (program.h). Afterwards only the dynamic ones can change, and they are worked out from what the primary keeps: outcome columns, atoms, residual fields. */
#include <stddef.h>

#include "base/num.h"
#include "feature/program.h"
#include "feature/state.h"

/* ---- outcome columns ---- */

uint16_t tide_dyn_pack(uint8_t result, uint8_t reversed, uint8_t refunded, uint8_t disputed, uint8_t label) {
  return (uint16_t)(result | reversed << 2 | refunded << 4 | disputed << 6 | label << 7);
}

static struct tide_value word(enum tide_dyn dyn, unsigned index) {
  static uint64_t code[TIDE_DYN_COUNT][4]; /* text codes of the fixed vocabulary: same values whoever computes them first */
  uint64_t known = __atomic_load_n(&code[dyn][index], __ATOMIC_RELAXED);
  if (!known) {
    known = tide_text_code(tide_span_of(tide_dyn_words(dyn)[index]));
    __atomic_store_n(&code[dyn][index], known, __ATOMIC_RELAXED);
  }
  return tide_text(known);
}

static struct tide_value amount_value(const struct tide_plan *plan, int64_t amount_now) {
  return amount_now == TIDE_NULL_NUM ? tide_null(TIDE_S_absent, TIDE_C_absent)
                                     : tide_num((double)amount_now / (double)tide_pow10[plan->spec->exponent]);
}

void tide_dyn_values(const struct tide_plan *plan, uint16_t packed, uint64_t reason, int64_t amount_now, struct tide_value *ret_dyn) {
  ret_dyn[TIDE_DYN_result] = word(TIDE_DYN_result, packed & 3);
  ret_dyn[TIDE_DYN_reason] = tide_text(reason);
  ret_dyn[TIDE_DYN_reversed] = word(TIDE_DYN_reversed, packed >> 2 & 3);
  ret_dyn[TIDE_DYN_refunded] = word(TIDE_DYN_refunded, packed >> 4 & 3);
  ret_dyn[TIDE_DYN_disputed] = tide_bool(packed >> 6 & 1);
  ret_dyn[TIDE_DYN_label] = word(TIDE_DYN_label, packed >> 7 & 3);
  ret_dyn[TIDE_DYN_amount_now] = amount_value(plan, amount_now);
}

/* ---- compiling ---- */

static bool calculates(const struct tide_expr *expr) {
  if (!expr) return false;
  return (expr->op >= TIDE_X_ADD && expr->op <= TIDE_X_MAX) || calculates(expr->a) || calculates(expr->b) || calculates(expr->c);
}

/* What is not zero in a field's value that is there, and where. */
static size_t byte_of_field(uint32_t field) {
  _Static_assert(TIDE_V_NULL == 0, "a value that is not there has no type");
  return offsetof(struct tide_txn, field) + field * sizeof(struct tide_value) + offsetof(struct tide_value, type);
}

static void add_need(struct tide_plan *plan, size_t at, uint64_t conds) {
  uint32_t i = 0;
  while (i < plan->need_count && plan->need[i].at != at) i++;
  if (i == plan->need_count) plan->need[plan->need_count++] = (struct tide_need){.at = (uint32_t)at};
  plan->need[i].conds |= conds;
}

static void add_needs(struct tide_plan *plan, const struct tide_cond *cond, uint64_t bit) {
  const struct tide_spec *spec = plan->spec;
  switch ((enum tide_needs)cond->needs) {
    case TIDE_NEEDS_NOTHING: break;
    case TIDE_NEEDS_FIELD: add_need(plan, byte_of_field(cond->needs_ref), bit); break;
    case TIDE_NEEDS_AMOUNT: plan->needs_amount |= bit; break;
    case TIDE_NEEDS_REQUESTED: plan->needs_requested |= bit; break;
    case TIDE_NEEDS_ENTITY: add_need(plan, offsetof(struct tide_txn, has_key) + cond->needs_ref * sizeof(bool), bit); break;
    case TIDE_NEEDS_PLACE:
      add_need(plan, byte_of_field(spec->f_lat), bit);
      add_need(plan, byte_of_field(spec->f_lon), bit);
      break;
  }
}

void tide_plan_conditions(struct tide_plan *plan) {
  static const struct tide_expr no = {.op = TIDE_X_FALSE, .type = TIDE_V_BOOL};
  const struct tide_expr *coming[TIDE_CONDS_MAX + TIDE_ATOMS_MAX], *changed[TIDE_CONDS_MAX];
  _Static_assert(TIDE_CONDS_MAX == 64 && TIDE_CONDS_MAX + TIDE_ATOMS_MAX <= TIDE_PROGRAM_TRUTHS,
                 "conditions are in the first word, atoms behind them or in the second");
  plan->need = tide_arena_alloc(&plan->arena, 2 * TIDE_CONDS_MAX * sizeof *plan->need);
  for (uint32_t c = 0; c < plan->cond_count; c++) {
    const struct tide_cond *cond = &plan->cond[c];
    coming[c] = cond->dynamic ? cond->whole : cond->expr;
    changed[c] = cond->dynexpr;
    add_needs(plan, cond, UINT64_C(1) << c);
  }
  plan->atom_root = plan->cond_count + plan->atom_count <= TIDE_CONDS_MAX ? plan->cond_count : TIDE_CONDS_MAX;
  for (uint32_t c = plan->cond_count; c < plan->atom_root; c++) coming[c] = &no;
  for (uint32_t a = 0; a < plan->atom_count; a++) {
    coming[plan->atom_root + a] = plan->atom[a];
    plan->atom_calculates |= (uint32_t)calculates(plan->atom[a]) << a;
  }
  tide_dyn_values(plan, 0, 0, TIDE_NULL_NUM, plan->pending);
  const struct tide_known_dyn known = {((1u << TIDE_DYN_COUNT) - 1) & ~(1u << TIDE_DYN_amount_now), plan->pending};
  plan->coming = tide_program_conditions(&plan->arena, coming, plan->atom_root + plan->atom_count, false, &known);
  plan->changed = tide_program_conditions(&plan->arena, changed, plan->cond_count, false, NULL);
}

/* ---- an event that comes in ---- */

/* Conditions that want for something that they need. */
static uint64_t lacking(const struct tide_plan *plan, const struct tide_txn *txn) {
  const uint8_t *byte = (const uint8_t *)txn;
  uint64_t conds = txn->amount_now == TIDE_NULL_NUM ? plan->needs_amount : 0;
  if (txn->requested == TIDE_NULL_NUM) conds |= plan->needs_requested;
  for (const struct tide_need *need = plan->need, *end = need + plan->need_count; need < end; need++)
    conds |= need->conds & (0 - (uint64_t)(byte[need->at] == 0));
  return conds;
}

/* Bit i to bit 2i. */
static uint64_t spread(uint64_t bits) {
  bits = (bits | bits << 16) & UINT64_C(0x0000ffff0000ffff);
  bits = (bits | bits << 8) & UINT64_C(0x00ff00ff00ff00ff);
  bits = (bits | bits << 4) & UINT64_C(0x0f0f0f0f0f0f0f0f);
  bits = (bits | bits << 2) & UINT64_C(0x3333333333333333);
  return (bits | bits << 1) & UINT64_C(0x5555555555555555);
}

static uint64_t atoms_of(const struct tide_plan *plan, const struct tide_env *env, const struct tide_truths *truths) {
  unsigned word = plan->atom_root / 64, bit = plan->atom_root % 64;
  uint64_t all = (UINT64_C(1) << plan->atom_count) - 1, yes = truths->yes[word] >> bit & all, neither = truths->neither[word] >> bit & all;
  uint64_t packed = spread(yes) | spread(all & ~yes & ~neither) << 1;
  for (uint64_t left = neither & plan->atom_calculates; left; left &= left - 1) {
    unsigned a = (unsigned)__builtin_ctzll(left);
    if (tide_expr_eval(plan->atom[a], env).cause == TIDE_C_empty) packed |= UINT64_C(3) << (2 * a);
  }
  return packed;
}

void tide_txn_conditions(const struct tide_plan *plan, struct tide_txn *txn, int64_t requested, int64_t amount_now) {
  struct tide_truths truths;
  txn->requested = requested;
  txn->amount_now = amount_now;
  memcpy(txn->dyn, plan->pending, sizeof txn->dyn);
  txn->dyn[TIDE_DYN_amount_now] = amount_value(plan, amount_now);
  const struct tide_env env = {.field = txn->field, .dyn = txn->dyn, .time = {txn->time_ms}};
  tide_program_test(plan->coming, &env, &truths);
  txn->conds = truths.yes[0];
  if (plan->atom_root < TIDE_CONDS_MAX) txn->conds &= (UINT64_C(1) << plan->atom_root) - 1;
  txn->conds &= ~lacking(plan, txn);
  txn->atoms = plan->atom_count ? atoms_of(plan, &env, &truths) : 0;
}

/* ---- after an outcome ---- */

uint64_t tide_txn_dynamic(const struct tide_plan *plan, const struct tide_value *dyn, uint64_t conds) {
  struct tide_truths truths;
  const struct tide_env env = {.dyn = dyn};
  tide_program_test(plan->changed, &env, &truths);
  if (dyn[TIDE_DYN_amount_now].type == TIDE_V_NULL) truths.yes[0] &= ~plan->needs_amount;
  return (conds & ~plan->cond_dynamic) | (truths.yes[0] & plan->cond_dynamic);
}
