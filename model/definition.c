/* Definitions as text (definition.h).
 *
 * Expressions are printed from their trees with every operation in parentheses, so two ways of writing the same tree are the same text. What an
 * expression reads is noted on the way (one bit per field, derived value, slot, entity) and defined behind it, each once, in order of
 * the file; that ends because derived values and entities refer to earlier ones only. */
#include "model/definition.h"

#include "base/json_out.h"
#include "feature/expr_names.h"

struct writer {
  const struct tide_spec *spec;
  struct tide_buf *out;
  bool field[TIDE_FIELDS_MAX], derived[TIDE_DERIVED_MAX], slot[TIDE_SLOTS_MAX], entity[TIDE_ENTITIES_MAX];
  bool score; /* something counts only the kinds under `score:` */
  bool money; /* something is in the counting currency */
};

enum tide_err tide_input_find(const struct tide_spec *spec, const char *name, struct tide_expr *ret_expr, struct tide_error *error) {
  /* The scope's spec is writable for the parser; looking a name up only reads. */
  struct tide_scope scope = {.spec = (struct tide_spec *)spec, .allow = TIDE_ALLOW_FIELDS | TIDE_ALLOW_FEATURES | TIDE_ALLOW_DERIVED};
  struct tide_name what;
  if (!tide_name_find(&scope, tide_span_of(name), &what)) {
    const char *nearest = tide_name_nearest(&scope, tide_span_of(name));
    return tide_fail_at(error, TIDE_E_UNKNOWN_NAME, 0, 0, name, "the feature file has no value named \"%.100s\"%s%s%s", name,
                        nearest ? "; did you mean " : "", nearest ? nearest : "", nearest ? "?" : "");
  }
  if (what.type == TIDE_V_TEXT || (what.op == TIDE_X_FIELD && what.ref != spec->f_amount && spec->field[what.ref].type == TIDE_F_TIME))
    return tide_fail_at(error, TIDE_E_TYPE, 0, 0, name, "\"%.100s\" is %s; a model reads numbers and conditions", name,
                        what.type == TIDE_V_TEXT ? "a text" : "a time");
  *ret_expr = (struct tide_expr){.op = (uint8_t)what.op, .type = (uint8_t)what.type, .ref = what.ref};
  return TIDE_OK;
}

double tide_input_bound(const struct tide_spec *spec, const struct tide_expr *leaf) {
  if (leaf->op != TIDE_X_FEATURE) return 0;
  uint32_t cap = spec->feature[spec->slot[leaf->ref].feature].cap;
  return cap ? (double)cap + 1 : 0;
}

/* ---- expressions ---- */

static void put_num(struct writer *w, double num) {
  struct tide_buf text = TIDE_BUF_INIT;
  tide_json_double(&text, num);
  tide_buf_put(w->out, text.ptr, text.len);
  tide_buf_release(&text);
}

static const char *word_of(enum tide_op op) {
  switch (op) {
    case TIDE_X_EQ: return "=";
    case TIDE_X_NE: return "!=";
    case TIDE_X_LT: return "<";
    case TIDE_X_LE: return "<=";
    case TIDE_X_GT: return ">";
    case TIDE_X_GE: return ">=";
    case TIDE_X_AND: return "and";
    case TIDE_X_OR: return "or";
    case TIDE_X_ADD: return "+";
    case TIDE_X_SUB: return "-";
    case TIDE_X_MUL: return "*";
    case TIDE_X_DIV: return "/";
    case TIDE_X_NOT: return "not";
    case TIDE_X_NEG: return "-";
    case TIDE_X_LOG1P: return "log1p";
    case TIDE_X_ABS: return "abs";
    case TIDE_X_MIN: return "min";
    case TIDE_X_MAX: return "max";
    case TIDE_X_IF: return "if";
    case TIDE_X_HOUR: return "hour";
    case TIDE_X_WEEKDAY: return "weekday";
    case TIDE_X_IS_EMPTY: return "is empty";
    case TIDE_X_IS_ABSENT: return "is absent";
    case TIDE_X_IS_KNOWN: return "is known";
    default: TIDE_NEVER("an operator with a word"); return "";
  }
}

static void put_expr(struct writer *w, const struct tide_expr *expr);

/* word(a, b, c) */
static void put_call(struct writer *w, const struct tide_expr *expr) {
  const struct tide_expr *part[3] = {expr->a, expr->b, expr->c};
  tide_buf_printf(w->out, "%s(", word_of((enum tide_op)expr->op));
  for (int i = 0; i < 3 && part[i]; i++) {
    if (i) tide_buf_str(w->out, ", ");
    put_expr(w, part[i]);
  }
  tide_buf_char(w->out, ')');
}

/* Texts in the order of the file: longer ones are known to the tree by their hash only, and a definition must not hang on how texts are hashed. */
static void put_set(struct writer *w, const struct tide_expr *expr) {
  tide_buf_char(w->out, '(');
  put_expr(w, expr->a);
  tide_buf_str(w->out, " in (");
  if (expr->a->type == TIDE_V_TEXT) tide_buf_str(w->out, expr->text);
  for (uint32_t i = 0; expr->a->type != TIDE_V_TEXT && i < expr->set_count; i++) {
    if (i) tide_buf_str(w->out, ", ");
    put_num(w, expr->set[i].num);
  }
  tide_buf_str(w->out, "))");
}

static void put_expr(struct writer *w, const struct tide_expr *expr) {
  const struct tide_spec *spec = w->spec;
  switch ((enum tide_op)expr->op) {
    case TIDE_X_NUM: put_num(w, expr->num); return;
    case TIDE_X_TEXT: tide_buf_printf(w->out, "\"%s\"", expr->text); return;
    case TIDE_X_TRUE: tide_buf_str(w->out, "true"); return;
    case TIDE_X_FALSE: tide_buf_str(w->out, "false"); return;
    case TIDE_X_FIELD:
      w->field[expr->ref] = true;
      w->money |= expr->ref == spec->f_amount;
      tide_buf_str(w->out, expr->ref == spec->f_amount ? "requested" : spec->field[expr->ref].name);
      return;
    case TIDE_X_DYN:
      w->money |= expr->ref == TIDE_DYN_amount_now;
      tide_buf_str(w->out, expr->ref == TIDE_DYN_amount_now ? "amount" : tide_dyn_name((enum tide_dyn)expr->ref));
      return;
    case TIDE_X_FEATURE:
      w->slot[expr->ref] = true;
      tide_buf_str(w->out, spec->slot[expr->ref].name);
      return;
    case TIDE_X_DERIVED:
      w->derived[expr->ref] = true;
      tide_buf_str(w->out, spec->derived[expr->ref].name);
      return;
    case TIDE_X_SCORE: tide_buf_str(w->out, "score"); return;
    case TIDE_X_EVENT_TIME: tide_buf_str(w->out, "time"); return;
    case TIDE_X_ENTITY:
      w->entity[expr->ref] = true;
      tide_buf_str(w->out, spec->entity[expr->ref].name);
      return;
    case TIDE_X_IN: put_set(w, expr); return;
    case TIDE_X_IN_LIST:
      tide_buf_char(w->out, '(');
      put_expr(w, expr->a);
      tide_buf_printf(w->out, " in list %s)", spec->list[expr->ref].name);
      return;
    case TIDE_X_IS_EMPTY:
    case TIDE_X_IS_ABSENT:
    case TIDE_X_IS_KNOWN:
      tide_buf_char(w->out, '(');
      put_expr(w, expr->a);
      tide_buf_printf(w->out, " %s)", word_of((enum tide_op)expr->op));
      return;
    case TIDE_X_HOUR:
    case TIDE_X_WEEKDAY: tide_buf_printf(w->out, "%s(time, \"%s\")", word_of((enum tide_op)expr->op), expr->text); return;
    case TIDE_X_NOT:
    case TIDE_X_NEG:
    case TIDE_X_LOG1P:
    case TIDE_X_ABS:
    case TIDE_X_MIN:
    case TIDE_X_MAX:
    case TIDE_X_IF: put_call(w, expr); return;
    default:
      tide_buf_char(w->out, '(');
      put_expr(w, expr->a);
      tide_buf_printf(w->out, " %s ", word_of((enum tide_op)expr->op));
      put_expr(w, expr->b);
      tide_buf_char(w->out, ')');
  }
}

/* ---- features ---- */

static void put_duration(struct writer *w, const char *word, int64_t ms) {
  char text[TIDE_TIME_TEXT];
  if (ms) tide_buf_printf(w->out, " %s %s", word, tide_duration_format(ms, text));
}

static void put_operand(struct writer *w, const struct tide_feature *f) {
  switch ((enum tide_operand)f->of) {
    case TIDE_OF_NONE: return;
    case TIDE_OF_FIELD:
      w->field[f->of_ref] = true;
      tide_buf_printf(w->out, " of %s", w->spec->field[f->of_ref].name);
      return;
    case TIDE_OF_AMOUNT:
    case TIDE_OF_REQUESTED:
      w->money = true;
      tide_buf_str(w->out, f->of == TIDE_OF_AMOUNT ? " of amount" : " of requested");
      return;
    case TIDE_OF_ENTITY:
      w->entity[f->of_ref] = true;
      tide_buf_printf(w->out, " of %s", w->spec->entity[f->of_ref].name);
      return;
  }
}

/* What was told, in its unit; how old it may be is freshness, like budgets. */
static void put_fact(struct writer *w, const struct tide_slot *slot, const struct tide_feature *f) {
  const struct tide_field *fact = &w->spec->field[f->of_ref];
  static const char *const unit[] = {
      [TIDE_F_TEXT] = "text", [TIDE_F_NUMBER] = "number", [TIDE_F_BOOL] = "0 or 1", [TIDE_F_MONEY] = "amount", [TIDE_F_TIME] = "seconds"};
  tide_buf_printf(w->out, "%s = fact %s, %s", slot->name, fact->name, unit[fact->type]);
  put_duration(w, "forgotten after", w->spec->entity[f->entity].forget_after_ms);
  w->money |= slot->money;
}

static void put_slot(struct writer *w, const struct tide_slot *slot) {
  const struct tide_spec *spec = w->spec;
  const struct tide_feature *f = &spec->feature[slot->feature];
  const struct tide_entity *entity = &spec->entity[f->entity];
  w->entity[f->entity] = true;
  if (f->agg == TIDE_AGG_FACT) {
    put_fact(w, slot, f);
    return;
  }
  tide_buf_printf(w->out, "%s = %s", slot->name, f->agg == TIDE_AGG_NEW ? "new" : tide_agg_name((enum tide_agg)f->agg));
  put_operand(w, f);
  if (f->rate_of) {
    tide_buf_str(w->out, " of ");
    put_expr(w, f->rate_of);
  }
  put_duration(w, "of", f->inner_ms);
  put_duration(w, "over", slot->window_ms);
  if (!slot->window_ms) {
    bool ever = f->agg == TIDE_AGG_SINCE_FIRST || f->agg == TIDE_AGG_NEW;
    put_duration(w, ever ? "within" : "kept", ever ? entity->forget_after_ms : entity->keep_ms);
  }
  if (f->where) {
    tide_buf_str(w->out, " where ");
    put_expr(w, f->where);
  }
  if (f->with_current) tide_buf_str(w->out, " with current");
  put_duration(w, "delayed", f->delayed_ms);
  put_duration(w, "hop", f->hop_ms);
  if (f->cap) tide_buf_printf(w->out, " cap %u", f->cap);
  if (f->mentions_kind) tide_buf_str(w->out, " of any kind");
  else w->score = w->score || spec->score;
  w->money |= slot->money;
  if ((f->agg == TIDE_AGG_DISTANCE || f->agg == TIDE_AGG_SPEED) && spec->f_lat != TIDE_NONE)
    w->field[spec->f_lat] = w->field[spec->f_lon] = true;
}

static void put_entity(struct writer *w, uint32_t index) {
  const struct tide_entity *entity = &w->spec->entity[index];
  tide_buf_printf(w->out, "; %s: %s", entity->name, entity->first_of ? "first_of(" : "[");
  for (uint32_t p = 0; p < entity->part_count; p++) {
    struct tide_key_part part = entity->part[p];
    if (part.is_entity) w->entity[part.ref] = true;
    else w->field[part.ref] = true;
    tide_buf_printf(w->out, "%s%s", p ? ", " : "", part.is_entity ? w->spec->entity[part.ref].name : w->spec->field[part.ref].name);
  }
  tide_buf_char(w->out, entity->first_of ? ')' : ']');
}

static void put_field(struct writer *w, uint32_t index) {
  const struct tide_field *field = &w->spec->field[index];
  if (!field->derived) { /* what can be told of a plain field is its unit */
    if (field->type == TIDE_F_NUMBER && field->decimals) tide_buf_printf(w->out, "; %s: decimal(%u)", field->name, field->decimals);
    return;
  }
  const char *of = field->derive_of < w->spec->field_count ? w->spec->field[field->derive_of].name : "";
  tide_buf_printf(w->out, "; %s: ", field->name);
  switch ((enum tide_derive_fn)field->derive_fn) {
    case TIDE_DERIVE_EXPR: put_expr(w, field->derive); break;
    case TIDE_DERIVE_PREFIX: tide_buf_printf(w->out, "prefix(%s, %d)", of, field->derive_arg[0]); break;
    case TIDE_DERIVE_IP_PREFIX: tide_buf_printf(w->out, "ip_prefix(%s, %d, %d)", of, field->derive_arg[0], field->derive_arg[1]); break;
    case TIDE_DERIVE_EMAIL_KEY: tide_buf_printf(w->out, "email_key(%s)", of); break;
    case TIDE_DERIVE_LOWER: tide_buf_printf(w->out, "lower(%s)", of); break;
  }
}

/* ---- the whole ---- */

/* Everything noted, each once; what is noted meanwhile stands earlier in its table (derived, entities) or in a later table. Fields may note one another in
 * any order, so they are walked until nothing is new. */
static void put_noted(struct writer *w) {
  const struct tide_spec *spec = w->spec;
  for (uint32_t d = spec->derived_count; d-- > 0;) {
    if (!w->derived[d]) continue;
    tide_buf_printf(w->out, "; %s = ", spec->derived[d].name);
    put_expr(w, spec->derived[d].expr);
  }
  for (uint32_t s = 0; s < spec->slot_count; s++) {
    if (!w->slot[s]) continue;
    tide_buf_str(w->out, "; ");
    put_slot(w, &spec->slot[s]);
  }
  if (w->score) {
    tide_buf_str(w->out, "; counts ");
    put_expr(w, spec->score);
  }
  for (uint32_t e = spec->entity_count; e-- > 0;)
    if (w->entity[e]) put_entity(w, e);
  bool done[TIDE_FIELDS_MAX] = {false};
  for (bool more = true; more;) {
    more = false;
    for (uint32_t f = 0; f < spec->field_count; f++) {
      if (!w->field[f] || done[f]) continue;
      done[f] = more = true;
      put_field(w, f);
    }
  }
  if (w->money) tide_buf_printf(w->out, "; in %s", spec->currency);
}

void tide_input_define(const struct tide_spec *spec, const struct tide_expr *leaf, struct tide_buf *out) {
  struct writer *w = tide_alloc(sizeof *w);
  w->spec = spec;
  w->out = out;
  switch ((enum tide_op)leaf->op) {
    case TIDE_X_FEATURE: put_slot(w, &spec->slot[leaf->ref]); break;
    case TIDE_X_DERIVED:
      tide_buf_printf(out, "%s = ", spec->derived[leaf->ref].name);
      put_expr(w, spec->derived[leaf->ref].expr);
      break;
    default: put_expr(w, leaf); /* a field or the amount: its name, and its unit behind it */
  }
  put_noted(w);
  tide_free(w);
}
