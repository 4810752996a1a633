/* Names in expressions (expr_names.h says which mean what).
 *
 * Tables are walked one by one: a feature file is parsed once, has hundreds of names at most, and a walk needs no index that could be
 * stale while the parser of the file is still filling the tables. */
#include "feature/expr_names.h"

#include "base/buf.h"
#include "base/utf8.h"

static uint32_t find_derived(const struct tide_spec *spec, struct tide_span name) {
  for (uint32_t i = 0; i < spec->derived_count; i++)
    if (tide_span_is(name, spec->derived[i].name)) return i;
  return TIDE_NONE;
}

static uint32_t find_field(const struct tide_spec *spec, struct tide_span name) {
  for (uint32_t i = 0; i < spec->field_count; i++)
    if (!spec->field[i].fact && tide_span_is(name, spec->field[i].name)) return i;
  return TIDE_NONE;
}

static uint32_t find_slot(const struct tide_spec *spec, struct tide_span name) {
  for (uint32_t i = 0; i < spec->slot_count; i++)
    if (tide_span_is(name, spec->slot[i].name)) return i;
  return TIDE_NONE;
}

static uint32_t find_dyn(struct tide_span name) {
  for (uint32_t d = 0; d < TIDE_DYN_COUNT; d++)
    if (tide_span_is(name, tide_dyn_name((enum tide_dyn)d))) return d;
  return TIDE_NONE;
}

uint32_t tide_name_list(const struct tide_spec *spec, struct tide_span name) {
  for (uint32_t i = 0; i < spec->list_count; i++)
    if (tide_span_is(name, spec->list[i].name)) return i;
  return TIDE_NONE;
}

uint32_t tide_name_entity(const struct tide_spec *spec, struct tide_span name) {
  for (uint32_t i = 0; i < spec->entity_count; i++)
    if (tide_span_is(name, spec->entity[i].name)) return i;
  return TIDE_NONE;
}

static enum tide_vtype field_type(const struct tide_field *field) {
  return field->type == TIDE_F_TEXT ? TIDE_V_TEXT : field->type == TIDE_F_BOOL ? TIDE_V_BOOL : TIDE_V_NUM;
}

static enum tide_vtype dyn_type(uint32_t dyn) {
  return dyn == TIDE_DYN_disputed ? TIDE_V_BOOL : dyn == TIDE_DYN_amount_now ? TIDE_V_NUM : TIDE_V_TEXT;
}

static bool found(enum tide_op op, enum tide_vtype type, uint32_t ref, struct tide_name *ret) {
  *ret = (struct tide_name){.op = op, .type = type, .ref = ref};
  return true;
}

static bool find(const struct tide_spec *spec, unsigned allow, struct tide_span name, struct tide_name *ret) {
  if (memchr(name.ptr, '.', name.len)) {
    uint32_t slot = allow & TIDE_ALLOW_FEATURES ? find_slot(spec, name) : TIDE_NONE;
    return slot != TIDE_NONE && found(TIDE_X_FEATURE, (enum tide_vtype)spec->slot[slot].type, slot, ret);
  }
  if ((allow & TIDE_ALLOW_SCORE) && tide_span_is(name, "score")) return found(TIDE_X_SCORE, TIDE_V_NUM, 0, ret);
  uint32_t derived = allow & TIDE_ALLOW_DERIVED ? find_derived(spec, name) : TIDE_NONE;
  if (derived != TIDE_NONE) return found(TIDE_X_DERIVED, (enum tide_vtype)spec->derived[derived].expr->type, derived, ret);
  if ((allow & TIDE_ALLOW_FIELDS) && spec->f_amount != TIDE_NONE && tide_span_is(name, "requested"))
    return found(TIDE_X_FIELD, TIDE_V_NUM, spec->f_amount, ret);
  uint32_t field = allow & TIDE_ALLOW_FIELDS ? find_field(spec, name) : TIDE_NONE;
  if (field != TIDE_NONE) {
    if (field == spec->f_amount && (allow & (TIDE_ALLOW_DYN | TIDE_ALLOW_DERIVED)))
      return found(TIDE_X_DYN, TIDE_V_NUM, TIDE_DYN_amount_now, ret);
    if (field == spec->f_time) return (allow & TIDE_ALLOW_TIME) && found(TIDE_X_EVENT_TIME, TIDE_V_NUM, 0, ret);
    return found(TIDE_X_FIELD, field_type(&spec->field[field]), field, ret);
  }
  uint32_t dyn = allow & TIDE_ALLOW_DYN ? find_dyn(name) : TIDE_NONE;
  return dyn != TIDE_NONE && found(TIDE_X_DYN, dyn_type(dyn), dyn, ret);
}

bool tide_name_find(const struct tide_scope *scope, struct tide_span name, struct tide_name *ret) {
  return find(scope->spec, scope->allow, name, ret);
}

const char *tide_name_elsewhere(const struct tide_scope *scope, struct tide_span name) {
  struct tide_name what;
  if (!find(scope->spec, ~0u, name, &what) || find(scope->spec, scope->allow, name, &what)) return NULL;
  switch (what.op) {
    case TIDE_X_FEATURE: return "a feature";
    case TIDE_X_DERIVED: return "a derived value";
    case TIDE_X_DYN: return "an outcome column";
    case TIDE_X_SCORE: return "the model's score";
    case TIDE_X_EVENT_TIME: return "the event time";
    default: return "a field";
  }
}

const char *tide_name_nearest(const struct tide_scope *scope, struct tide_span name) {
  const struct tide_spec *spec = scope->spec;
  unsigned allow = scope->allow;
  size_t max = (size_t)spec->field_count + spec->slot_count + spec->derived_count + spec->list_count + spec->entity_count + TIDE_DYN_COUNT +
               2,
         n = 0;
  const char **names = tide_alloc(max * sizeof *names);
  if (allow & TIDE_ALLOW_FIELDS)
    for (uint32_t i = 0; i < spec->field_count; i++)
      if (!spec->field[i].fact && (i != spec->f_time || (allow & TIDE_ALLOW_TIME))) names[n++] = spec->field[i].name;
  if (allow & TIDE_ALLOW_DERIVED)
    for (uint32_t i = 0; i < spec->derived_count; i++) names[n++] = spec->derived[i].name;
  if (allow & TIDE_ALLOW_FEATURES)
    for (uint32_t i = 0; i < spec->slot_count; i++) names[n++] = spec->slot[i].name;
  if (allow & TIDE_ALLOW_LISTS) {
    for (uint32_t i = 0; i < spec->list_count; i++) names[n++] = spec->list[i].name;
    for (uint32_t i = 0; i < spec->entity_count; i++) names[n++] = spec->entity[i].name;
  }
  if (allow & TIDE_ALLOW_DYN)
    for (int d = 0; d < TIDE_DYN_COUNT; d++) names[n++] = tide_dyn_name((enum tide_dyn)d);
  if (allow & TIDE_ALLOW_SCORE) names[n++] = "score";
  if ((allow & TIDE_ALLOW_FIELDS) && spec->f_amount != TIDE_NONE) names[n++] = "requested";
  TIDE_CHECK(n <= max);
  const char *best = tide_nearest(name, names, n);
  tide_free(names);
  return best;
}
