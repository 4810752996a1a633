/* What may change between two feature files, and records moved from one to the other (recast.h).
 *
 * Names are what ties the two together: a name that both files use means the same thing in both, or the change is refused and another name is asked for. So what
 * was counted under a name before the change can be told from what is counted behind it. */
#include "feature/recast.h"

#include "base/buf.h"

#define X(name, text) #name,
static const char *const carry_names[] = {TIDE_CARRIES(X)};
#undef X
const char *tide_carry_name(enum tide_carry carry) { return carry_names[carry]; }

/* ---- reasons ---- */

struct reasons {
  struct tide_error *error;
  size_t max, count;
};

#define REFUSE(reasons, line, column, field, ...)                                                                                          \
  do {                                                                                                                                     \
    struct reasons *r_ = (reasons);                                                                                                        \
    (void)tide_fail_at(r_->count < r_->max ? &r_->error[r_->count] : NULL, TIDE_E_CONFIG, line, column, field, __VA_ARGS__);               \
    r_->count++;                                                                                                                           \
  } while (0)

static const char *field_name(const struct tide_spec *spec, uint32_t field) {
  return field == TIDE_NONE ? "nothing" : spec->field[field].name;
}

static bool same_field(const struct tide_spec *a, uint32_t i, const struct tide_spec *b, uint32_t k) {
  return i == TIDE_NONE || k == TIDE_NONE ? i == k : strcmp(a->field[i].name, b->field[k].name) == 0;
}

/* ---- expressions ---- */

static bool same_expr(const struct tide_spec *a, const struct tide_expr *x, const struct tide_spec *b, const struct tide_expr *y);

static bool same_leaf(const struct tide_spec *a, const struct tide_expr *x, const struct tide_spec *b, const struct tide_expr *y) {
  switch ((enum tide_op)x->op) {
    case TIDE_X_NUM: return memcmp(&x->num, &y->num, sizeof x->num) == 0;
    case TIDE_X_TEXT: return x->code == y->code;
    case TIDE_X_FIELD: return same_field(a, x->ref, b, y->ref);
    case TIDE_X_DYN: return x->ref == y->ref;
    case TIDE_X_FEATURE: return strcmp(a->slot[x->ref].name, b->slot[y->ref].name) == 0;
    case TIDE_X_DERIVED: return strcmp(a->derived[x->ref].name, b->derived[y->ref].name) == 0;
    case TIDE_X_ENTITY: return strcmp(a->entity[x->ref].name, b->entity[y->ref].name) == 0;
    case TIDE_X_IN_LIST: return strcmp(a->list[x->ref].name, b->list[y->ref].name) == 0;
    case TIDE_X_IN: return x->set_count == y->set_count && memcmp(x->set, y->set, x->set_count * sizeof *x->set) == 0;
    case TIDE_X_HOUR:
    case TIDE_X_WEEKDAY: return x->zone == y->zone; /* zones live as long as the process: the same one is found by the same name */
    default: return true;
  }
}

/* Depth is bounded by the expression parser. */
static bool same_expr(const struct tide_spec *a, const struct tide_expr *x, const struct tide_spec *b, const struct tide_expr *y) {
  if (!x || !y) return x == y;
  return x->op == y->op && x->type == y->type && same_leaf(a, x, b, y) && same_expr(a, x->a, b, y->a) && same_expr(a, x->b, b, y->b) &&
         same_expr(a, x->c, b, y->c);
}

static uint64_t fields_read(const struct tide_spec *spec, const struct tide_expr *expr) {
  uint64_t mask = 0;
  if (!expr) return 0;
  for (uint32_t f = 0; f < spec->field_count; f++)
    if (tide_expr_reads_ref(expr, TIDE_X_FIELD, f)) mask |= UINT64_C(1) << f;
  return mask;
}

/* ---- fields ---- */

static const char *type_name(const struct tide_field *field) {
  static const char *const name[] = {[TIDE_F_TEXT] = "a text",
                                     [TIDE_F_NUMBER] = "a number",
                                     [TIDE_F_BOOL] = "a bool",
                                     [TIDE_F_MONEY] = "an amount",
                                     [TIDE_F_TIME] = "a time"};
  return name[field->type];
}

static bool same_derivation(const struct tide_spec *a, const struct tide_field *x, const struct tide_spec *b, const struct tide_field *y) {
  if (x->derived != y->derived) return false;
  if (!x->derived) return true;
  if (x->derive_fn != y->derive_fn) return false;
  if (x->derive_fn == TIDE_DERIVE_EXPR) return same_expr(a, x->derive, b, y->derive);
  return same_field(a, x->derive_of, b, y->derive_of) && x->derive_arg[0] == y->derive_arg[0] && x->derive_arg[1] == y->derive_arg[1];
}

static void judge_field(const struct tide_spec *a, const struct tide_field *x, const struct tide_spec *b, const struct tide_field *y,
                        struct reasons *reasons) {
  if (x->type != y->type)
    REFUSE(reasons, y->line, y->column, y->name, "field `%s` was %s and would be %s: give it another name", y->name, type_name(x),
           type_name(y));
  else if (x->type == TIDE_F_NUMBER && x->decimals != y->decimals)
    REFUSE(reasons, y->line, y->column, y->name, "field `%s` has %u decimals and would have %u: give it another name", y->name, x->decimals,
           y->decimals);
  else if (x->secret != y->secret)
    REFUSE(reasons, y->line, y->column, y->name, "field `%s` %s secret (event.key): its old values are %s; give it another name", y->name,
           y->secret ? "would become" : "would no longer be", y->secret ? "in clear" : "hashes");
  else if (!same_derivation(a, x, b, y))
    REFUSE(reasons, y->line, y->column, y->name,
           "field `%s` is derived otherwise (event.derive), and its old values stay what they were: give it another name", y->name);
}

/* A field by its name; a fact by its name and the entity that it is about. */
static uint32_t find_field(const struct tide_spec *a, const struct tide_field *field, const struct tide_spec *b) {
  if (!field->fact) return tide_spec_field(b, field->name);
  uint32_t entity = tide_spec_entity(b, a->entity[field->fact_of].name);
  return entity == TIDE_NONE ? TIDE_NONE : tide_spec_fact(b, entity, field->name);
}

static void judge_fields(struct tide_recast *recast, struct reasons *reasons) {
  const struct tide_spec *a = recast->from, *b = recast->to;
  recast->added = b->field_count == TIDE_FIELDS_MAX ? UINT64_MAX : (UINT64_C(1) << b->field_count) - 1;
  for (uint32_t f = 0; f < a->field_count; f++) {
    uint32_t to = recast->field[f] = find_field(a, &a->field[f], b);
    if (to != f) recast->same = false;
    if (to == TIDE_NONE) continue;
    recast->added &= ~(UINT64_C(1) << to);
    judge_field(a, &a->field[f], b, &b->field[to], reasons);
  }
}

/* ---- what an event is known by ---- */

static void judge_tuple(const struct tide_recast *recast, const char *what, const uint32_t *from, uint32_t from_count, const uint32_t *to,
                        uint32_t to_count, struct reasons *reasons) {
  bool same = from_count == to_count;
  for (uint32_t i = 0; same && i < to_count; i++) same = same_field(recast->from, from[i], recast->to, to[i]);
  if (!same)
    REFUSE(reasons, 0, 0, what,
           "%s names other fields: a retry of what was counted before would be another transaction; begin a new journal", what);
}

static void judge_name(const struct tide_recast *recast, const char *what, uint32_t from, uint32_t to, struct reasons *reasons) {
  if (!same_field(recast->from, from, recast->to, to))
    REFUSE(reasons, 0, 0, what,
           "%s was `%s` and would be `%s`: what was counted before could not be told from its retries; begin a new journal", what,
           field_name(recast->from, from), field_name(recast->to, to));
}

static void judge_event(const struct tide_recast *recast, struct reasons *reasons) {
  const struct tide_spec *a = recast->from, *b = recast->to;
  judge_tuple(recast, "event.id", a->id, a->id_count, b->id, b->id_count, reasons);
  judge_tuple(recast, "event.alias", a->alias, a->alias_count, b->alias, b->alias_count, reasons);
  judge_tuple(recast, "event.parent", a->parent, a->parent_count, b->parent, b->parent_count, reasons);
  judge_name(recast, "event.time", a->f_time, b->f_time, reasons);
  judge_name(recast, "event.amount", a->f_amount, b->f_amount, reasons);
  judge_name(recast, "event.merchant", a->f_merchant, b->f_merchant, reasons);
  if (strcmp(a->currency, b->currency) != 0 || a->exponent != b->exponent)
    REFUSE(reasons, 0, 0, "event.amount", "amounts are counted in %s and would be in %s: begin a new journal",
           a->currency[0] ? a->currency : "no currency", b->currency[0] ? b->currency : "no currency");
}

/* ---- entities and lists ---- */

static bool same_parts(const struct tide_spec *a, const struct tide_entity *x, const struct tide_spec *b, const struct tide_entity *y) {
  if (x->part_count != y->part_count || (x->part_count > 1 && x->first_of != y->first_of)) return false;
  for (uint32_t i = 0; i < x->part_count; i++) {
    const struct tide_key_part *p = &x->part[i], *q = &y->part[i];
    if (p->is_entity != q->is_entity) return false;
    if (p->is_entity ? strcmp(a->entity[p->ref].name, b->entity[q->ref].name) != 0 : !same_field(a, p->ref, b, q->ref)) return false;
  }
  return true;
}

static void judge_entities(const struct tide_recast *recast, struct reasons *reasons) {
  const struct tide_spec *a = recast->from, *b = recast->to;
  if (strcmp(a->entity[0].name, b->entity[0].name) != 0)
    REFUSE(reasons, b->entity[0].line, b->entity[0].column, b->entity[0].name,
           "the primary entity (the first) was `%s` and would be `%s`: it holds what is remembered of every event; begin a new journal",
           a->entity[0].name, b->entity[0].name);
  for (uint32_t e = 0; e < b->entity_count; e++) {
    const struct tide_entity *now = &b->entity[e];
    uint32_t was = tide_spec_entity(a, now->name);
    if (was != TIDE_NONE && !same_parts(a, &a->entity[was], b, now))
      REFUSE(reasons, now->line, now->column, now->name, "entity `%s` has another key: give it another name%s", now->name,
             e == 0 ? ", which for the primary entity means a new journal" : "");
  }
}

static void judge_lists(struct tide_recast *recast, struct reasons *reasons) {
  const struct tide_spec *a = recast->from, *b = recast->to;
  recast->list = tide_alloc((a->list_count + 1) * sizeof *recast->list);
  for (uint32_t i = 0; i < a->list_count; i++) {
    const struct tide_list *was = &a->list[i];
    uint32_t to = 0;
    while (to < b->list_count && strcmp(b->list[to].name, was->name) != 0) to++;
    recast->list[i] = to < b->list_count ? to : TIDE_NONE;
    if (recast->list[i] != i) recast->same = false;
    if (to == b->list_count) continue;
    const struct tide_list *now = &b->list[to];
    bool read = was->ref != TIDE_NONE && now->ref != TIDE_NONE;
    bool same = read && was->is_entity == now->is_entity &&
                (was->is_entity ? strcmp(a->entity[was->ref].name, b->entity[now->ref].name) == 0 : same_field(a, was->ref, b, now->ref));
    if (read && !same) REFUSE(reasons, 0, 0, now->name, "list `%s` holds something else than before: give it another name", now->name);
  }
}

enum tide_err tide_recast_new(const struct tide_spec *from, const struct tide_spec *to, struct tide_recast **ret, struct tide_error *error,
                              size_t error_max, size_t *ret_errors) {
  struct reasons reasons = {error, error ? error_max : 0, 0};
  struct tide_recast *recast = tide_alloc(sizeof *recast);
  *recast = (struct tide_recast){.from = from, .to = to, .same = from->field_count <= to->field_count};
  judge_fields(recast, &reasons);
  judge_event(recast, &reasons);
  judge_entities(recast, &reasons);
  judge_lists(recast, &reasons);
  *ret_errors = reasons.count;
  if (reasons.count) {
    tide_recast_free(recast);
    return TIDE_E_CONFIG;
  }
  *ret = recast;
  return TIDE_OK;
}

void tide_recast_free(struct tide_recast *recast) {
  if (!recast) return;
  tide_free(recast->list);
  tide_free(recast);
}

/* ---- records ---- */

bool tide_recast_record(const struct tide_recast *recast, struct tide_record *record) {
  uint32_t count = recast->from->field_count;
  if (record->type == TIDE_REC_LIST) {
    uint32_t to = recast->list[record->list.list];
    if (to == TIDE_NONE) return false;
    record->list.list = to;
  }
  if (recast->same) { /* the places behind were not decoded */
    for (uint32_t f = count; f < recast->to->field_count; f++) record->field[f] = (struct tide_datum){.kind = TIDE_D_NONE};
    return true;
  }
  struct tide_datum was[TIDE_FIELDS_MAX];
  memcpy(was, record->field, count * sizeof *was);
  for (uint32_t f = 0; f < recast->to->field_count; f++) record->field[f] = (struct tide_datum){.kind = TIDE_D_NONE};
  record->present = 0;
  for (uint32_t f = 0; f < count; f++) {
    uint32_t to = recast->field[f];
    if (to == TIDE_NONE) continue;
    record->field[to] = was[f];
    record->present |= (uint64_t)(was[f].kind != TIDE_D_NONE) << to;
  }
  return true;
}

void tide_recast_back(const struct tide_recast *recast, const struct tide_datum *field, struct tide_datum *ret) {
  for (uint32_t f = 0; f < recast->from->field_count; f++)
    ret[f] = recast->field[f] == TIDE_NONE ? (struct tide_datum){.kind = TIDE_D_NONE} : field[recast->field[f]];
}

void tide_recast_back_values(const struct tide_recast *recast, const struct tide_value *field, struct tide_value *ret) {
  for (uint32_t f = 0; f < recast->from->field_count; f++)
    ret[f] = recast->field[f] == TIDE_NONE ? tide_null(TIDE_S_absent, TIDE_C_absent) : field[recast->field[f]];
}

/* ---- values ---- */

/* Entities may contain entities that stand before them; each is looked at once. */
static uint64_t key_fields(const struct tide_spec *spec, uint32_t entity) {
  uint64_t fields = 0;
  uint32_t wanted = 1u << entity;
  for (uint32_t looked = 0; (wanted & ~looked) != 0;) {
    uint32_t e = (uint32_t)__builtin_ctz(wanted & ~looked);
    looked |= 1u << e;
    for (uint32_t i = 0; i < spec->entity[e].part_count; i++) {
      const struct tide_key_part *part = &spec->entity[e].part[i];
      if (part->is_entity) wanted |= 1u << part->ref;
      else fields |= UINT64_C(1) << part->ref;
    }
  }
  return fields;
}

static uint64_t field_bit(uint32_t field) { return field == TIDE_NONE ? 0 : UINT64_C(1) << field; }

uint64_t tide_slot_fields(const struct tide_spec *spec, uint32_t slot) {
  const struct tide_feature *feature = &spec->feature[spec->slot[slot].feature];
  if (feature->agg == TIDE_AGG_FACT) return key_fields(spec, feature->entity) | field_bit(feature->of_ref); /* of no events */
  uint64_t fields = key_fields(spec, feature->entity) | fields_read(spec, feature->where) | fields_read(spec, feature->rate_of);
  if (!feature->mentions_kind) fields |= fields_read(spec, spec->score);
  switch ((enum tide_operand)feature->of) {
    case TIDE_OF_NONE: break;
    case TIDE_OF_FIELD: fields |= field_bit(feature->of_ref); break;
    case TIDE_OF_AMOUNT:
    case TIDE_OF_REQUESTED: fields |= field_bit(spec->f_amount); break;
    case TIDE_OF_ENTITY: fields |= key_fields(spec, feature->of_ref); break;
  }
  if (feature->agg == TIDE_AGG_DISTANCE || feature->agg == TIDE_AGG_SPEED) fields |= field_bit(spec->f_lat) | field_bit(spec->f_lon);
  return fields;
}

int64_t tide_slot_reach(const struct tide_spec *spec, uint32_t slot) {
  const struct tide_feature *feature = &spec->feature[spec->slot[slot].feature];
  int64_t window_ms = spec->slot[slot].window_ms;
  return window_ms ? feature->delayed_ms + window_ms + feature->hop_ms + feature->inner_ms : 0;
}

static bool same_operand(const struct tide_spec *a, const struct tide_feature *x, const struct tide_spec *b, const struct tide_feature *y) {
  if (x->of != y->of) return false;
  if (x->of == TIDE_OF_FIELD) return same_field(a, x->of_ref, b, y->of_ref);
  return x->of != TIDE_OF_ENTITY || strcmp(a->entity[x->of_ref].name, b->entity[y->of_ref].name) == 0;
}

static bool same_feature(const struct tide_spec *a, const struct tide_feature *x, const struct tide_spec *b, const struct tide_feature *y) {
  bool place = y->agg != TIDE_AGG_DISTANCE && y->agg != TIDE_AGG_SPEED;
  return x->agg == y->agg && same_operand(a, x, b, y) && same_expr(a, x->rate_of, b, y->rate_of) && same_expr(a, x->where, b, y->where) &&
         x->mentions_kind == y->mentions_kind && (x->mentions_kind || same_expr(a, a->score, b, b->score)) &&
         x->with_current == y->with_current && x->inner_ms == y->inner_ms && x->delayed_ms == y->delayed_ms && x->hop_ms == y->hop_ms &&
         x->cap == y->cap && (place || (same_field(a, a->f_lat, b, b->f_lat) && same_field(a, a->f_lon, b, b->f_lon)));
}

enum tide_carry tide_recast_slot(const struct tide_recast *recast, uint32_t slot) {
  const struct tide_spec *a = recast->from, *b = recast->to;
  if (tide_slot_fields(b, slot) & recast->added) return TIDE_CARRY_warming;
  uint32_t was = tide_spec_slot(a, b->slot[slot].name);
  if (was == TIDE_NONE || a->slot[was].window_ms != b->slot[slot].window_ms) return TIDE_CARRY_backfilled;
  return same_feature(a, &a->feature[a->slot[was].feature], b, &b->feature[b->slot[slot].feature]) ? TIDE_CARRY_carried
                                                                                                   : TIDE_CARRY_backfilled;
}
