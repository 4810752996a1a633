/* Compiling a feature file: conditions, atoms, columns, edges and steps (plan.h says what they are).
 *
 * Everything is bounded by the TIDE_*_MAX constants and refused by name when it does not fit, never truncated. The order of conditions,
 * columns and steps is the order of the file, so a plan is a pure function of its text and settings: two engines agree on every bit. */
#include "feature/plan.h"

#include "base/num.h"

/* Same tree: conditions that analysts wrote twice are computed once. */
static bool expr_equal(const struct tide_expr *a, const struct tide_expr *b) {
  if (a == b) return true;
  if (!a || !b || a->op != b->op || a->ref != b->ref || a->set_count != b->set_count) return false;
  if (a->op == TIDE_X_IN) {
    if (memcmp(a->set, b->set, a->set_count * sizeof *a->set) != 0) return false;
  } else if (a->code != b->code) { /* the widest member of the union: numbers, codes and zones alike */
    return false;
  }
  return expr_equal(a->a, b->a) && expr_equal(a->b, b->b) && expr_equal(a->c, b->c);
}

static const struct tide_expr *expr_and(struct tide_plan *plan, const struct tide_expr *a, const struct tide_expr *b) {
  if (!a) return b;
  if (!b) return a;
  struct tide_expr *node = tide_arena_alloc(&plan->arena, sizeof *node);
  *node = (struct tide_expr){.op = TIDE_X_AND, .type = TIDE_V_BOOL, .a = a, .b = b, .line = a->line, .column = a->column};
  return node;
}

static const struct tide_expr *expr_slot(struct tide_plan *plan, const struct tide_expr *from, uint32_t ref) {
  struct tide_expr *node = tide_arena_alloc(&plan->arena, sizeof *node);
  *node = (struct tide_expr){.op = TIDE_X_DYN, .type = from->type, .ref = ref, .line = from->line, .column = from->column};
  return node;
}

/* Rewrites an expression so that it reads only env->dyn: outcome columns, then atoms, then residual fields. */
static enum tide_err rewrite(struct tide_plan *plan, const struct tide_expr *expr, const struct tide_expr **ret, struct tide_error *error) {
  if (!expr) {
    *ret = NULL;
    return TIDE_OK;
  }
  bool dynamic = tide_expr_reads(expr, TIDE_X_DYN);
  if (!dynamic && expr->type == TIDE_V_BOOL && expr->op != TIDE_X_TRUE && expr->op != TIDE_X_FALSE) {
    uint32_t atom = 0;
    while (atom < plan->atom_count && !expr_equal(plan->atom[atom], expr)) atom++;
    if (atom == TIDE_ATOMS_MAX)
      return tide_fail_at(error, TIDE_E_CONFIG, expr->line, expr->column, "",
                          "more than %d different conditions stand beside outcome columns; simplify or derive them", TIDE_ATOMS_MAX);
    if (atom == plan->atom_count) plan->atom[plan->atom_count++] = expr;
    *ret = expr_slot(plan, expr, TIDE_DYN_COUNT + atom);
    return TIDE_OK;
  }
  if (expr->op == TIDE_X_FIELD) {
    uint32_t i = 0;
    while (i < plan->residual_count && plan->residual[i] != expr->ref) i++;
    if (i == TIDE_RESIDUALS_MAX)
      return tide_fail_at(error, TIDE_E_CONFIG, expr->line, expr->column, "", "more than %d fields are compared with outcome columns",
                          TIDE_RESIDUALS_MAX);
    if (i == plan->residual_count) plan->residual[plan->residual_count++] = expr->ref;
    *ret = expr_slot(plan, expr, TIDE_DYN_COUNT + TIDE_ATOMS_MAX + i);
    return TIDE_OK;
  }
  if (!expr->a && !expr->b && !expr->c) { /* literals and outcome columns stand for themselves */
    *ret = expr;
    return TIDE_OK;
  }
  struct tide_expr *copy = tide_arena_alloc(&plan->arena, sizeof *copy);
  *copy = *expr;
  enum tide_err err = rewrite(plan, expr->a, &copy->a, error);
  if (!err) err = rewrite(plan, expr->b, &copy->b, error);
  if (!err) err = rewrite(plan, expr->c, &copy->c, error);
  if (!err) *ret = copy;
  return err;
}

static const struct tide_expr *field_known(struct tide_plan *plan, uint32_t field) {
  struct tide_expr *read = tide_arena_alloc(&plan->arena, sizeof *read), *known = tide_arena_alloc(&plan->arena, sizeof *known);
  *read =
      (struct tide_expr){.op = TIDE_X_FIELD, .type = plan->spec->field[field].type == TIDE_F_BOOL ? TIDE_V_BOOL : TIDE_V_NUM, .ref = field};
  *known = (struct tide_expr){.op = TIDE_X_IS_KNOWN, .type = TIDE_V_BOOL, .a = read};
  return known;
}

/* Is the key there? Entities refer to earlier ones only, so the depth is bounded by their number. */
static const struct tide_expr *entity_known(struct tide_plan *plan, uint32_t entity) {
  const struct tide_entity *ent = &plan->spec->entity[entity];
  const struct tide_expr *all = NULL;
  for (uint32_t i = 0; i < ent->part_count; i++) {
    const struct tide_expr *part = ent->part[i].is_entity ? entity_known(plan, ent->part[i].ref) : field_known(plan, ent->part[i].ref);
    all = expr_and(plan, all, part);
    if (ent->first_of && i > 0) {
      struct tide_expr *any = tide_arena_alloc(&plan->arena, sizeof *any);
      *any = *all;
      any->op = TIDE_X_OR;
      all = any;
    }
  }
  return all;
}

/* What a condition needs of the event itself, as an expression: an outcome changes the condition later, when only its atoms are left, and
 * must not make an event count that lacks the operand. The amount is an outcome column and is looked at each time. */
static const struct tide_expr *needs_known(struct tide_plan *plan, enum tide_needs needs, uint32_t needs_ref) {
  const struct tide_spec *spec = plan->spec;
  switch (needs) {
    case TIDE_NEEDS_FIELD: return field_known(plan, needs_ref);
    case TIDE_NEEDS_ENTITY: return entity_known(plan, needs_ref);
    case TIDE_NEEDS_PLACE: return expr_and(plan, field_known(plan, spec->f_lat), field_known(plan, spec->f_lon));
    case TIDE_NEEDS_REQUESTED: return field_known(plan, spec->f_amount);
    case TIDE_NEEDS_NOTHING:
    case TIDE_NEEDS_AMOUNT: break;
  }
  return NULL;
}

static enum tide_err cond_add(struct tide_plan *plan, const struct tide_expr *expr, enum tide_needs needs, uint32_t needs_ref,
                              uint32_t *ret, struct tide_error *error) {
  for (uint32_t i = 0; i < plan->cond_count; i++) {
    const struct tide_cond *cond = &plan->cond[i];
    if (cond->needs == needs && (cond->needs_ref == needs_ref) && expr_equal(cond->expr, expr)) {
      *ret = i;
      return TIDE_OK;
    }
  }
  if (plan->cond_count == TIDE_CONDS_MAX)
    return tide_fail_at(error, TIDE_E_CONFIG, expr ? expr->line : 0, expr ? expr->column : 0, "features",
                        "the features use more than %d different conditions (where, kind filter, operand); use fewer variants",
                        TIDE_CONDS_MAX);
  struct tide_cond cond = {.expr = expr, .needs = (uint8_t)needs, .needs_ref = needs_ref};
  cond.dynamic = needs == TIDE_NEEDS_AMOUNT || (expr && tide_expr_reads(expr, TIDE_X_DYN));
  if (cond.dynamic) {
    plan->cond_dynamic |= UINT64_C(1) << plan->cond_count;
    cond.whole = expr_and(plan, needs_known(plan, needs, needs_ref), expr);
    enum tide_err err = rewrite(plan, cond.whole, &cond.dynexpr, error);
    if (err) return err;
    if (expr && tide_expr_reads_ref(expr, TIDE_X_DYN, TIDE_DYN_reason)) plan->reads_reason = true;
  }
  *ret = plan->cond_count;
  plan->cond[plan->cond_count++] = cond;
  return TIDE_OK;
}

static enum tide_err kind_bit(struct tide_plan *plan, struct tide_kind *kind, const struct tide_expr *expr, enum tide_needs needs,
                              uint32_t needs_ref, uint8_t *ret, struct tide_error *error) {
  uint32_t cond = 0;
  enum tide_err err = cond_add(plan, expr, needs, needs_ref, &cond, error);
  if (err) return err;
  uint8_t bit = 0;
  while (bit < kind->cond_count && kind->cond[bit] != cond) bit++;
  if (bit == kind->cond_count) {
    kind->cond[kind->cond_count++] = (uint8_t)cond;
    if (plan->cond[cond].dynamic) {
      kind->dynamic_bits |= UINT64_C(1) << bit;
      kind->has_dynamic = true;
    }
  }
  *ret = bit;
  return TIDE_OK;
}

static int64_t reach_ms(const struct tide_feature *feature, int64_t window_ms) {
  return feature->delayed_ms + window_ms + feature->hop_ms + feature->inner_ms;
}

/* Adds a column, or lengthens the life of the one that is there. */
static uint8_t column_add(struct tide_kind *kind, enum tide_column_what what, uint32_t ref, uint8_t narrow, uint8_t wide, int64_t keep_ms) {
  for (uint8_t i = 0; i < kind->column_count; i++) {
    if (kind->column[i].what == what && kind->column[i].ref == ref) {
      if (keep_ms > kind->column[i].keep_ms) kind->column[i].keep_ms = keep_ms;
      return i;
    }
  }
  if (kind->column_count == TIDE_COLUMNS_MAX) { /* the feature file is refused at the end of tide_plan_new */
    kind->full = true;
    return 0;
  }
  kind->column[kind->column_count] =
      (struct tide_column){.what = (uint8_t)what, .ref = ref, .width = {narrow, wide}, .narrowable = narrow != wide, .keep_ms = keep_ms};
  kind->column[kind->column_count].number = what == TIDE_COL_AMOUNT || what == TIDE_COL_REQUESTED || what == TIDE_COL_NUMBER;
  if (kind->col_of[what] == 0xff) kind->col_of[what] = kind->column_count;
  return kind->column_count++;
}

static uint8_t operand_column(const struct tide_plan *plan, struct tide_kind *kind, const struct tide_feature *feature, int64_t keep_ms) {
  const struct tide_spec *spec = plan->spec;
  switch ((enum tide_operand)feature->of) {
    case TIDE_OF_NONE: return 0xff;
    case TIDE_OF_AMOUNT: return column_add(kind, TIDE_COL_AMOUNT, TIDE_NONE, 4, 8, keep_ms);
    case TIDE_OF_REQUESTED: return column_add(kind, TIDE_COL_REQUESTED, TIDE_NONE, 4, 8, keep_ms);
    case TIDE_OF_ENTITY: return column_add(kind, TIDE_COL_ENTITY, feature->of_ref, 8, 8, keep_ms);
    case TIDE_OF_FIELD: {
      uint8_t type = spec->field[feature->of_ref].type;
      bool number = type == TIDE_F_NUMBER || type == TIDE_F_TIME;
      if (type == TIDE_F_TEXT && feature->agg != TIDE_AGG_LAST) return column_add(kind, TIDE_COL_THING, feature->of_ref, 8, 8, keep_ms);
      return column_add(kind, number ? TIDE_COL_NUMBER : TIDE_COL_CODE, feature->of_ref, 8, 8, keep_ms);
    }
  }
  TIDE_NEVER("operand");
  return 0xff;
}

static enum tide_needs operand_needs(const struct tide_feature *feature) {
  switch ((enum tide_operand)feature->of) {
    case TIDE_OF_NONE: return TIDE_NEEDS_NOTHING;
    case TIDE_OF_AMOUNT: return TIDE_NEEDS_AMOUNT;
    case TIDE_OF_REQUESTED: return TIDE_NEEDS_REQUESTED;
    case TIDE_OF_ENTITY: return TIDE_NEEDS_ENTITY;
    case TIDE_OF_FIELD: return TIDE_NEEDS_FIELD;
  }
  return TIDE_NEEDS_NOTHING;
}

static uint8_t edge_add(struct tide_kind *kind, const struct tide_feature *feature, int64_t window_ms, int64_t keep_ms) {
  struct tide_edge edge = {.delayed_ms = feature->delayed_ms,
                           .window_ms = window_ms,
                           .hop_ms = feature->hop_ms,
                           .inner_ms = feature->inner_ms,
                           .back_ms = feature->delayed_ms + window_ms + feature->inner_ms,
                           .keep_ms = keep_ms};
  for (uint8_t i = 0; i < kind->edge_count; i++)
    if (memcmp(&kind->edge[i], &edge, sizeof edge) == 0) return i;
  if (kind->edge_count == TIDE_EDGES_MAX) {
    kind->full = true;
    return 0;
  }
  kind->edge[kind->edge_count] = edge;
  return kind->edge_count++;
}

static double operand_scale(const struct tide_spec *spec, const struct tide_feature *feature) {
  if (feature->of == TIDE_OF_AMOUNT || feature->of == TIDE_OF_REQUESTED) return (double)tide_pow10[spec->exponent];
  if (feature->of != TIDE_OF_FIELD) return 1.0;
  const struct tide_field *field = &spec->field[feature->of_ref];
  if (field->type == TIDE_F_MONEY) return (double)tide_pow10[spec->exponent]; /* a fact: kept in the counting currency */
  return field->type == TIDE_F_NUMBER ? (double)tide_pow10[field->decimals] : field->type == TIDE_F_TIME ? 1000.0 : 1.0;
}

/* A fact stands beside the log and needs nothing of it. */
static void plan_fact(struct tide_plan *plan, struct tide_kind *kind, const struct tide_feature *feature) {
  uint8_t number = 0;
  while (number < kind->fact_count && kind->fact[number] != feature->of_ref) number++;
  if (number == kind->fact_count) kind->fact[kind->fact_count++] = (uint8_t)feature->of_ref;
  plan->keeps_facts = true;
  kind->step[kind->step_count++] = (struct tide_step){.slot = feature->first_slot,
                                                      .windows = 1,
                                                      .agg = feature->agg,
                                                      .column = number,
                                                      .column2 = 0xff,
                                                      .edge = 0xff,
                                                      .group = plan->spec->entity[kind->entity].group,
                                                      .operand_field = feature->of_ref,
                                                      .of = feature->of,
                                                      .scale = operand_scale(plan->spec, feature),
                                                      .money = plan->spec->slot[feature->first_slot].money};
}

static enum tide_err plan_feature(struct tide_plan *plan, struct tide_kind *kind, const struct tide_feature *feature,
                                  struct tide_error *error) {
  const struct tide_spec *spec = plan->spec;
  if (feature->agg == TIDE_AGG_FACT) {
    plan_fact(plan, kind, feature);
    return TIDE_OK;
  }
  const struct tide_expr *filter = feature->mentions_kind ? NULL : spec->score;
  const struct tide_expr *base = expr_and(plan, filter, feature->where);
  struct tide_step proto = {.agg = feature->agg,
                            .column = 0xff,
                            .column2 = 0xff,
                            .edge = 0xff,
                            .with_current = feature->with_current && !feature->delayed_ms, /* e stands outside a delayed window */
                            .cap = feature->cap,
                            .group = spec->entity[kind->entity].group,
                            .operand_field = feature->of_ref,
                            .seed = (uint64_t)plan->settings.hash_seed,
                            .of = feature->of,
                            .scale = operand_scale(spec, feature),
                            .inner_ms = feature->inner_ms,
                            .money = feature->of == TIDE_OF_AMOUNT || feature->of == TIDE_OF_REQUESTED};
  enum tide_needs needs = operand_needs(feature);
  if (feature->agg == TIDE_AGG_LAST || feature->agg == TIDE_AGG_CHANGED)
    needs = TIDE_NEEDS_NOTHING; /* the previous event, whatever it holds */
  if (feature->agg == TIDE_AGG_DISTANCE || feature->agg == TIDE_AGG_SPEED) needs = TIDE_NEEDS_PLACE;
  enum tide_err err;
  if (feature->agg == TIDE_AGG_RATE) {
    err = kind_bit(plan, kind, expr_and(plan, base, feature->rate_of), TIDE_NEEDS_NOTHING, TIDE_NONE, &proto.bit, error);
    if (!err) err = kind_bit(plan, kind, base, TIDE_NEEDS_NOTHING, TIDE_NONE, &proto.bit2, error);
  } else if (feature->agg == TIDE_AGG_STREAK) {
    err = kind_bit(plan, kind, base, TIDE_NEEDS_NOTHING, TIDE_NONE, &proto.bit, error);
    if (!err) err = kind_bit(plan, kind, filter, TIDE_NEEDS_NOTHING, TIDE_NONE, &proto.bit2, error);
  } else {
    err = kind_bit(plan, kind, base, needs, needs == TIDE_NEEDS_FIELD || needs == TIDE_NEEDS_ENTITY ? feature->of_ref : TIDE_NONE,
                   &proto.bit, error);
  }
  if (err) return err;
  if (feature->agg == TIDE_AGG_SINCE_FIRST || feature->agg == TIDE_AGG_NEW) kind->has_first = true;
  if (feature->of == TIDE_OF_AMOUNT) kind->has_dynamic = true; /* outcomes change it, also where no condition reads it (last, changed) */

  /* Windows from short to long, so that each goes on from the one before. */
  uint32_t order[TIDE_SLOTS_MAX];
  for (uint32_t i = 0; i < feature->slot_count; i++) {
    uint32_t at = i;
    while (at > 0 && spec->slot[order[at - 1]].window_ms > spec->slot[feature->first_slot + i].window_ms) order[at] = order[at - 1], at--;
    order[at] = feature->first_slot + i;
  }
  int64_t lateness_ms = plan->settings.lateness_ms, grace_ms = plan->settings.grace_ms;
  for (uint32_t i = 0; i < feature->slot_count; i++) {
    struct tide_step *step = &kind->step[kind->step_count++];
    int64_t window_ms = spec->slot[order[i]].window_ms;
    *step = proto;
    step->slot = order[i];
    step->windows = i ? 0 : (uint16_t)feature->slot_count;
    int64_t reach = reach_ms(feature, window_ms);
    int64_t keep_ms = window_ms && lateness_ms + reach < kind->span_ms ? lateness_ms + reach : kind->span_ms;
    step->column = operand_column(plan, kind, feature, keep_ms + grace_ms);
    step->thing = step->column != 0xff && kind->column[step->column].what == TIDE_COL_THING;
    if (window_ms) step->edge = edge_add(kind, feature, window_ms, keep_ms + grace_ms);
    if (feature->agg == TIDE_AGG_DISTANCE || feature->agg == TIDE_AGG_SPEED) {
      step->column = column_add(kind, TIDE_COL_LAT, spec->f_lat, 4, 4, keep_ms + grace_ms);
      step->column2 = column_add(kind, TIDE_COL_LON, spec->f_lon, 4, 4, keep_ms + grace_ms);
    }
  }
  struct tide_step *begin = &kind->step[kind->step_count - feature->slot_count];
  if (feature->agg == TIDE_AGG_SUM || feature->agg == TIDE_AGG_MEAN || feature->agg == TIDE_AGG_STDDEV || feature->agg == TIDE_AGG_MIN ||
      feature->agg == TIDE_AGG_MAX) {
    uint8_t pair = 0;
    while (pair < kind->pair_count && (kind->pair[pair].bit != begin->bit || kind->pair[pair].column != begin->column)) pair++;
    if (pair == TIDE_PAIRS_MAX)
      return tide_fail_at(error, TIDE_E_CONFIG, feature->line, feature->column, feature->name, "an entity has more than %d different sums",
                          TIDE_PAIRS_MAX);
    if (pair == kind->pair_count) kind->pair[kind->pair_count++] = (struct tide_pair){begin->bit, begin->column};
    for (uint32_t i = 0; i < feature->slot_count; i++) begin[i].pair = pair;
  }
  if (feature->agg == TIDE_AGG_DISTINCT) {
    struct tide_step *first = begin;
    uint8_t group = 0;
    while (group < kind->distinct_count && (kind->distinct[group].column != first->column || kind->distinct[group].bit != first->bit))
      group++;
    if (group == 16)
      return tide_fail_at(error, TIDE_E_CONFIG, feature->line, feature->column, feature->name,
                          "an entity has more than 16 different distinct counts");
    if (group == kind->distinct_count)
      kind->distinct[kind->distinct_count++] = (struct tide_distinct){.column = first->column, .bit = first->bit};
    for (uint32_t i = 0; i < feature->slot_count; i++) first[i].latest = group; /* bit assigned when all conditions are known */
  }
  return TIDE_OK;
}

static enum tide_err plan_kind(struct tide_plan *plan, uint32_t entity, struct tide_error *error) {
  const struct tide_spec *spec = plan->spec;
  struct tide_kind *kind = &plan->kind[entity];
  memset(kind->col_of, 0xff, sizeof kind->col_of);
  memset(kind->ref_col, 0xff, sizeof kind->ref_col);
  memset(kind->rank_col, 0xff, sizeof kind->rank_col);
  kind->entity = entity;
  kind->primary = entity == 0;
  kind->forget_ms = spec->entity[entity].forget_after_ms;
  kind->max_entities = (uint64_t)(spec->entity[entity].max_entities ? spec->entity[entity].max_entities : plan->settings.max_entities);
  uint32_t slots = 0;
  for (uint32_t i = 0; i < spec->feature_count; i++) {
    const struct tide_feature *feature = &spec->feature[i];
    if (feature->of == TIDE_OF_ENTITY && feature->of_ref == entity) kind->has_code = true;
    if (feature->entity != entity) continue;
    slots += feature->slot_count;
    for (uint32_t s = 0; s < feature->slot_count; s++) {
      int64_t window_ms = spec->slot[feature->first_slot + s].window_ms;
      int64_t reach = window_ms ? reach_ms(feature, window_ms) : spec->entity[entity].keep_ms;
      if (feature->agg == TIDE_AGG_SINCE_FIRST || feature->agg == TIDE_AGG_NEW) reach = 0; /* survives retention by itself */
      if (feature->agg == TIDE_AGG_FACT) reach = 0;
      if (reach > kind->span_ms) kind->span_ms = reach;
    }
  }
  kind->step = tide_arena_alloc(&plan->arena, (slots + 1) * sizeof *kind->step);
  kind->score_bit = UINT64_C(1) << plan->score_cond;
  for (uint32_t i = 0; i < spec->feature_count; i++) {
    if (spec->feature[i].entity != entity) continue;
    enum tide_err err = plan_feature(plan, kind, &spec->feature[i], error);
    if (err) return err;
  }
  if (kind->cond_count + kind->distinct_count > 64)
    return tide_fail_at(error, TIDE_E_CONFIG, spec->entity[entity].line, spec->entity[entity].column, spec->entity[entity].name,
                        "an entity needs more than 64 condition bits");
  kind->bit_count = kind->cond_count;
  for (uint8_t g = 0; g < kind->distinct_count; g++) kind->distinct[g].latest = kind->bit_count++;
  for (uint32_t s = 0; s < kind->step_count; s++)
    if (kind->step[s].agg == TIDE_AGG_DISTINCT) kind->step[s].latest = kind->distinct[kind->step[s].latest].latest;
  kind->keep_ms = kind->span_ms + plan->settings.grace_ms;
  tide_plan_order(plan, kind);
  return TIDE_OK;
}

/* What only the primary keeps: identity, outcome columns, atoms, references, the first answer. */
static void plan_primary(struct tide_plan *plan) {
  const struct tide_spec *spec = plan->spec;
  struct tide_kind *kind = &plan->kind[0];
  int64_t remember_ms =
      plan->settings.duplicates_for_ms + plan->settings.grace_ms + 1; /* ruling 23: an event at watermark - duplicates_for is remembered */
  int64_t outcome_ms = plan->outcome_ms;
  if (outcome_ms > kind->keep_ms) kind->keep_ms = outcome_ms;
  if (remember_ms > kind->keep_ms) kind->keep_ms = remember_ms;
  int64_t id_ms = outcome_ms > remember_ms ? outcome_ms : remember_ms;
  column_add(kind, TIDE_COL_ID, TIDE_NONE, 8, 8, id_ms);
  column_add(kind, TIDE_COL_DYN, TIDE_NONE, 2, 2, id_ms);
  if (plan->reads_reason) column_add(kind, TIDE_COL_REASON, TIDE_NONE, 8, 8, id_ms);
  if (spec->f_amount != TIDE_NONE) column_add(kind, TIDE_COL_AMOUNT, TIDE_NONE, 4, 8, id_ms);
  if (plan->atom_count) {
    uint8_t width = plan->atom_count <= 4 ? 1 : plan->atom_count <= 8 ? 2 : plan->atom_count <= 16 ? 4 : 8;
    column_add(kind, TIDE_COL_ATOMS, TIDE_NONE, width, width, id_ms);
  }
  for (uint32_t i = 0; i < plan->residual_count; i++) column_add(kind, TIDE_COL_RESIDUAL, i, 8, 8, id_ms);
  for (uint32_t e = 1; e < spec->entity_count; e++) {
    if (!plan->kind[e].has_dynamic) continue;
    kind->ref_col[e] = column_add(kind, TIDE_COL_REF, e, 4, 4, id_ms);
    kind->rank_col[e] = column_add(kind, TIDE_COL_RANK, e, 1, 4, id_ms);
  }
  column_add(kind, TIDE_COL_FP_LOW, TIDE_NONE, 4, 4, id_ms); /* outcomes may name the amount */
  column_add(kind, TIDE_COL_FP_HIGH, TIDE_NONE, 4, 4, id_ms);
  bool text = spec->f_merchant != TIDE_NONE && spec->field[spec->f_merchant].type == TIDE_F_TEXT && !spec->field[spec->f_merchant].secret;
  kind->fp_merchant_col = text ? column_add(kind, TIDE_COL_THING, spec->f_merchant, 8, 8, remember_ms)
                               : column_add(kind, TIDE_COL_FP_MERCHANT, TIDE_NONE, 8, 8, remember_ms);
  column_add(kind, TIDE_COL_EPOCH, TIDE_NONE, 8, 8, remember_ms);
  column_add(kind, TIDE_COL_SEQ, TIDE_NONE, 4, 8, remember_ms);
  column_add(kind, TIDE_COL_INDEX, TIDE_NONE, 2, 2, remember_ms);
  column_add(kind, TIDE_COL_VERDICT, TIDE_NONE, 8, 8, remember_ms);
  column_add(kind, TIDE_COL_VERDICT2, TIDE_NONE, 4, 4, remember_ms);
  column_add(kind, TIDE_COL_SCORE, TIDE_NONE, 4, 4, remember_ms);
  column_add(kind, TIDE_COL_TRUTH, TIDE_NONE, 8, 8, remember_ms);
}

/* Each is hashed once an event, however many kinds keep it. */
static void plan_things(struct tide_plan *plan) {
  plan->thing = tide_arena_alloc(&plan->arena, TIDE_FIELDS_MAX * sizeof *plan->thing);
  for (uint32_t e = 0; e < plan->spec->entity_count; e++) {
    for (uint8_t c = 0; c < plan->kind[e].column_count; c++) {
      const struct tide_column *column = &plan->kind[e].column[c];
      uint32_t i = 0;
      while (i < plan->thing_count && plan->thing[i] != column->ref) i++;
      if (column->what == TIDE_COL_THING && i == plan->thing_count) plan->thing[plan->thing_count++] = column->ref;
    }
  }
}

/* The same for everything that rows are made of. */
static void plan_origins(struct tide_plan *plan) {
  uint32_t most = TIDE_ORIGINS_NUMBER - TIDE_ORIGINS_REF;
  plan->origin = tide_arena_alloc(&plan->arena, most * sizeof *plan->origin);
  for (uint32_t e = 0; e < plan->spec->entity_count; e++) {
    struct tide_kind *kind = &plan->kind[e];
    for (uint8_t c = 0; c < kind->column_count; c++) {
      const struct tide_column *column = &kind->column[c];
      kind->origin[c] = column->what;
      if (column->what == TIDE_COL_MASK) kind->origin[c] = TIDE_NO_ORIGIN;
      else if (column->what == TIDE_COL_REF) kind->origin[c] = (uint8_t)(TIDE_ORIGINS_NUMBER + column->ref);
      else if (column->what == TIDE_COL_RANK) kind->origin[c] = (uint8_t)(TIDE_ORIGINS_RANK + column->ref);
      else if (column->ref != TIDE_NONE) {
        uint32_t i = 0;
        while (i < plan->origin_count && (plan->origin[i].what != column->what || plan->origin[i].ref != column->ref)) i++;
        TIDE_CHECK(i < most); /* two for each field, one for each entity, a few */
        if (i == plan->origin_count) plan->origin[plan->origin_count++] = (struct tide_origin){column->what, column->ref};
        kind->origin[c] = (uint8_t)(TIDE_ORIGINS_REF + i);
      }
    }
  }
}
_Static_assert(TIDE_COL_TRUTH < TIDE_ORIGINS_REF, "one place for each");

/* What every kind keeps. */
static void plan_common(struct tide_kind *kind) {
  column_add(kind, TIDE_COL_TIME, TIDE_NONE, 4, 8, kind->keep_ms);
  uint8_t mask = kind->bit_count <= 8 ? 1 : kind->bit_count <= 16 ? 2 : kind->bit_count <= 32 ? 4 : 8;
  column_add(kind, TIDE_COL_MASK, TIDE_NONE, mask, mask, kind->keep_ms);
  if (kind->primary) column_add(kind, TIDE_COL_TAG, TIDE_NONE, 4, 4, kind->keep_ms);
}

static bool reads_outcome(const struct tide_plan *plan, const struct tide_feature *feature) {
  if (feature->of == TIDE_OF_AMOUNT) return true;
  if (feature->where && tide_expr_reads(feature->where, TIDE_X_DYN)) return true;
  if (feature->rate_of && tide_expr_reads(feature->rate_of, TIDE_X_DYN)) return true;
  (void)plan;
  return false;
}

/* Does its key change when the secret key does? Entities are made of fields and of entities declared before them. */
static bool rotates(const struct tide_spec *spec, uint32_t entity) {
  bool found[TIDE_ENTITIES_MAX] = {false};
  for (uint32_t e = 0; e <= entity; e++)
    for (uint32_t p = 0; p < spec->entity[e].part_count; p++) {
      const struct tide_key_part *part = &spec->entity[e].part[p];
      if (part->is_entity ? part->ref < e && found[part->ref] : spec->field[part->ref].secret) found[e] = true;
    }
  return found[entity];
}

/* An entity that another one counts as a value lives as long as that count can show it, for only while it lives is it known to be the same under a new secret key
 * (ruling 46). */
static void keep_counted(struct tide_plan *plan, const struct tide_spec *spec) {
  for (uint32_t i = 0; i < spec->feature_count; i++) {
    const struct tide_feature *feature = &spec->feature[i];
    if (feature->of != TIDE_OF_ENTITY || !rotates(spec, feature->of_ref)) continue;
    const struct tide_kind *reader = &plan->kind[feature->entity];
    int64_t keep_ms = reader->span_ms + plan->settings.grace_ms;
    if (keep_ms > plan->kind[feature->of_ref].keep_ms) plan->kind[feature->of_ref].keep_ms = keep_ms;
  }
}

enum tide_err tide_plan_new(const struct tide_spec *spec, const struct tide_settings *settings, struct tide_plan **ret,
                            struct tide_error *error) {
  struct tide_plan *plan = tide_alloc(sizeof *plan);
  plan->spec = spec;
  plan->settings = *settings;
  plan->atom = tide_arena_alloc(&plan->arena, TIDE_ATOMS_MAX * sizeof *plan->atom);
  plan->residual = tide_arena_alloc(&plan->arena, TIDE_RESIDUALS_MAX * sizeof *plan->residual);
  enum tide_err err = cond_add(plan, spec->score, TIDE_NEEDS_NOTHING, TIDE_NONE, &plan->score_cond, error);
  for (uint32_t e = 0; e < spec->entity_count && !err; e++) err = plan_kind(plan, e, error);
  if (!err && spec->f_lat != TIDE_NONE && (spec->field[spec->f_lat].decimals > 7 || spec->field[spec->f_lon].decimals > 7))
    err = tide_fail(error, TIDE_E_CONFIG, "event.place: latitude and longitude may have at most 7 decimals (1 cm)");
  if (err) {
    tide_plan_free(plan);
    return err;
  }
  tide_plan_conditions(plan);
  keep_counted(plan, spec);
  if (rotates(spec, 0)) plan->kind[0].has_code = true; /* what its cards are routed by must outlive the key */
  plan->outcome_ms = settings->duplicates_for_ms;
  for (uint32_t i = 0; i < spec->feature_count; i++) {
    const struct tide_feature *feature = &spec->feature[i];
    if (!reads_outcome(plan, feature)) continue;
    for (uint32_t s = 0; s < feature->slot_count; s++) {
      int64_t window_ms = spec->slot[feature->first_slot + s].window_ms;
      int64_t reach = window_ms ? reach_ms(feature, window_ms) : spec->entity[feature->entity].keep_ms;
      if (reach > plan->outcome_ms) plan->outcome_ms = reach;
    }
  }
  plan->outcome_ms += settings->grace_ms;
  plan_primary(plan);
  plan_things(plan);
  for (uint32_t e = 0; e < spec->entity_count; e++) {
    tide_plan_tiles(plan, &plan->kind[e]);
    plan_common(&plan->kind[e]);
  }
  plan_origins(plan);
  for (uint32_t e = 0; e < spec->entity_count; e++) {
    const struct tide_entity *entity = &spec->entity[e];
    struct tide_kind *kind = &plan->kind[e];
    tide_plan_layout(plan, kind);
    if (!kind->full) continue;
    err = tide_fail_at(error, TIDE_E_CONFIG, entity->line, entity->column, entity->name,
                       "the features of this entity need more than %d columns or %d different windows", TIDE_COLUMNS_MAX, TIDE_EDGES_MAX);
    tide_plan_free(plan);
    return err;
  }
  *ret = plan;
  return TIDE_OK;
}

void tide_plan_free(struct tide_plan *plan) {
  if (!plan) return;
  tide_arena_release(&plan->arena);
  tide_free(plan);
}
