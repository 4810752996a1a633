/* Rendering of cases (render.h). Expressions are written with all their brackets, so precedence is the parser's own test. */
#include "tests/oracle/render.h"

#include "port/source.h"

#include <string.h>

#include "base/hash.h"
#include "tests/oracle/random.h"

/* ---- expressions ---- */

static void expr_text(const struct or_case *c, const struct or_expr *e, struct tide_buf *out) {
  static const char *const infix[] = {[OX_EQ] = "=",    [OX_NE] = "!=", [OX_LT] = "<",  [OX_LE] = "<=", [OX_GT] = ">",  [OX_GE] = ">=",
                                      [OX_AND] = "and", [OX_OR] = "or", [OX_ADD] = "+", [OX_SUB] = "-", [OX_MUL] = "*", [OX_DIV] = "/"};
  static const char *const call[] = {[OX_LOG1P] = "log1p", [OX_ABS] = "abs", [OX_MIN] = "min", [OX_MAX] = "max", [OX_IF] = "if"};
  static const char *const is[] = {[OX_IS_EMPTY] = "empty", [OX_IS_ABSENT] = "absent", [OX_IS_KNOWN] = "known"};
  switch (e->op) {
    case OX_NUM: tide_buf_printf(out, "%g", e->num); return;
    case OX_TEXT: tide_buf_printf(out, "\"%s\"", e->text); return;
    case OX_TRUE: tide_buf_str(out, "true"); return;
    case OX_FALSE: tide_buf_str(out, "false"); return;
    case OX_FIELD: tide_buf_str(out, or_field_info[e->ref].name); return;
    case OX_AMOUNT: tide_buf_str(out, "amount"); return;
    case OX_REQUESTED: tide_buf_str(out, "requested"); return;
    case OX_DYN: tide_buf_str(out, or_dyn_name[e->ref]); return;
    case OX_SLOT: tide_buf_str(out, c->slot[e->ref].name); return;
    case OX_DERIVED: tide_buf_str(out, c->derived[e->ref].name); return;
    case OX_SCORE: tide_buf_str(out, "score"); return;
    case OX_TIME: tide_buf_str(out, "time"); return;
    case OX_HOUR:
    case OX_WEEKDAY:
      tide_buf_printf(out, "%s(time, \"%s\")", e->op == OX_HOUR ? "hour" : "weekday", e->ref ? "Europe/Amsterdam" : "UTC");
      return;
    case OX_IN:
      tide_buf_char(out, '(');
      expr_text(c, e->a, out);
      for (int i = 0; i < e->set_count; i++)
        if (e->set_text[i]) tide_buf_printf(out, "%s\"%s\"", i ? ", " : " in (", e->set_text[i]);
        else tide_buf_printf(out, "%s%g", i ? ", " : " in (", e->set_num[i]);
      tide_buf_str(out, "))");
      return;
    case OX_IN_LIST: {
      const struct or_list *list = &c->list[e->ref];
      tide_buf_printf(out, "(%s in %s)", list->is_entity ? c->entity[list->ref].name : or_field_info[list->ref].name, list->name);
      return;
    }
    case OX_IS_EMPTY:
    case OX_IS_ABSENT:
    case OX_IS_KNOWN:
      tide_buf_char(out, '(');
      expr_text(c, e->a, out);
      tide_buf_printf(out, " is %s)", is[e->op]);
      return;
    case OX_NOT:
    case OX_NEG:
      tide_buf_str(out, e->op == OX_NOT ? "(not " : "(-");
      expr_text(c, e->a, out);
      tide_buf_char(out, ')');
      return;
    case OX_LOG1P:
    case OX_ABS:
    case OX_MIN:
    case OX_MAX:
    case OX_IF:
      tide_buf_printf(out, "%s(", call[e->op]);
      expr_text(c, e->a, out);
      if (e->b) tide_buf_str(out, ", "), expr_text(c, e->b, out);
      if (e->c) tide_buf_str(out, ", "), expr_text(c, e->c, out);
      tide_buf_char(out, ')');
      return;
    default:
      tide_buf_char(out, '(');
      expr_text(c, e->a, out);
      tide_buf_printf(out, " %s ", infix[e->op]);
      expr_text(c, e->b, out);
      tide_buf_char(out, ')');
      return;
  }
}

static void quoted_expr(const struct or_case *c, const char *key, const struct or_expr *e, struct tide_buf *out) {
  tide_buf_printf(out, "%s: '", key);
  expr_text(c, e, out);
  tide_buf_str(out, "'\n");
}

/* ---- the file ---- */

static void feature_text(const struct or_case *c, const struct or_feature *f, struct tide_buf *out) {
  static const char *const agg[] = {[OA_COUNT] = "count",
                                    [OA_SUM] = "sum of",
                                    [OA_MEAN] = "mean of",
                                    [OA_STDDEV] = "stddev of",
                                    [OA_MIN] = "min of",
                                    [OA_MAX] = "max of",
                                    [OA_DISTINCT] = "distinct of",
                                    [OA_APPROX] = "approx_distinct of",
                                    [OA_RATE] = "rate of",
                                    [OA_MAX_COUNT] = "max_count of",
                                    [OA_STREAK] = "streak",
                                    [OA_SINCE_PREVIOUS] = "time since previous",
                                    [OA_SINCE_FIRST] = "time since first",
                                    [OA_LAST] = "last",
                                    [OA_CHANGED] = "changed",
                                    [OA_DISTANCE] = "distance_km from previous",
                                    [OA_SPEED] = "speed_kmh from previous",
                                    [OA_FACT] = "fact"};
  char ms[16];
  tide_buf_printf(out, "    %s: '%s", f->name, agg[f->agg]);
  if (f->of == OO_FIELD) tide_buf_printf(out, " %s", or_field_info[f->of_ref].name);
  else if (f->of == OO_ENTITY) tide_buf_printf(out, " %s", c->entity[f->of_ref].name);
  else if (f->of == OO_FACT) tide_buf_printf(out, " %s", c->fact[f->of_ref].name);
  else if (f->of != OO_NONE) tide_buf_str(out, f->of == OO_AMOUNT ? " amount" : " requested");
  if (f->rate_of) tide_buf_char(out, ' '), expr_text(c, f->rate_of, out);
  if (f->inner_ms) tide_buf_printf(out, " %s", or_duration(f->inner_ms, ms));
  for (int w = 0; w < f->window_count; w++) tide_buf_printf(out, "%s%s", w ? ", " : " over ", or_duration(f->window_ms[w], ms));
  if (f->where) tide_buf_str(out, " where "), expr_text(c, f->where, out);
  if (f->with_current) tide_buf_str(out, " with current");
  if (f->delayed_ms) tide_buf_printf(out, " delayed %s", or_duration(f->delayed_ms, ms));
  if (f->hop_ms) tide_buf_printf(out, " hop %s", or_duration(f->hop_ms, ms));
  if (f->cap) tide_buf_printf(out, " cap %d", f->cap);
  tide_buf_str(out, "'\n");
}

static void id_text(const struct or_case *c, const char *key, int first, int second, struct tide_buf *out) {
  if (c->id_tuple) tide_buf_printf(out, "  %s: [%s, %s]\n", key, or_field_info[first].name, or_field_info[second].name);
  else tide_buf_printf(out, "  %s: %s\n", key, or_field_info[first].name);
}

/* One shape of message: the fields of that kind of record under their own names. */
static void shape(const struct or_case *c, const char *name, const char *type, struct tide_buf *out) {
  bool event = strcmp(type, "event") == 0, list = strcmp(type, "list") == 0;
  tide_buf_printf(out, "  %s:\n", name);
  if (!event) tide_buf_printf(out, "    type: %s\n    when: {t: %s}\n", type, type);
  for (int f = 0; f < OF_COUNT; f++) {
    bool id = f == OF_ID1 || f == OF_ID2;
    bool outcomes_own = id || f == OF_TIME || f == OF_AL1 || f == OF_AL2 || f == OF_PAN || f == OF_PAR || f == OF_COUNTRY || f == OF_AMOUNT;
    bool lists_own = f == OF_TIME || f == OF_PAN || f == OF_PAR || f == OF_COUNTRY || f == OF_MERCHANT || f == OF_DEVICE;
    if (!c->uses[f] || f == OF_CNP || (!event && !(list ? lists_own : outcomes_own))) continue;
    const char *field = or_field_info[f].name;
    static const char *const form[] = {[0] = "int", [3] = "decimal(3)", [4] = "decimal(4)"};
    switch (or_field_info[f].type) {
      case OT_TIME: tide_buf_printf(out, "    %s: {at: %s, as: epoch_ms%s}\n", field, field, f == OF_TIME ? "" : ", optional: true"); break;
      case OT_TEXT: tide_buf_printf(out, "    %s: {at: %s%s}\n", field, field, id ? "" : ", optional: true"); break;
      case OT_MONEY: tide_buf_printf(out, "    %s: {at: %s, currency: currency, optional: true}\n", field, field); break;
      case OT_BOOL: tide_buf_printf(out, "    %s: {at: %s, as: bool, optional: true}\n", field, field); break;
      case OT_NUM: tide_buf_printf(out, "    %s: {at: %s, as: %s, optional: true}\n", field, field, form[or_field_info[f].decimals]); break;
    }
  }
  if (list)
    tide_buf_str(out,
                 "    list: list\n    expires: {at: expires, as: epoch_ms, optional: true}\n    remove: {at: remove, optional: true}\n");
  if (list || !c->json) return;
  for (int d = 0; d < OD_AMOUNT; d++) tide_buf_printf(out, "    %s: {at: %s, optional: true}\n", or_dyn_name[d], or_dyn_name[d]);
  if (c->amount) tide_buf_str(out, "    amount_now: {at: amount_now, currency: currency_now, optional: true}\n");
}

/* One shape for each entity that profiles tell about; its key and the time stand where `default` has them. */
static void profile_shapes(const struct or_case *c, struct tide_buf *out) {
  static const char *const as[] = {[OT_BOOL] = "bool", [OT_MONEY] = "amount", [OT_TIME] = "epoch_ms"};
  for (int n = 0; n < c->entity_count; n++) {
    const char *between = "{";
    for (int k = 0; k < c->fact_count; k++) {
      const struct or_fact *fact = &c->fact[k];
      if (fact->entity != n) continue;
      if (between[0] == '{')
        tide_buf_printf(out, "  prof%d:\n    type: profile\n    when: {t: prof%d}\n    entity: %s\n    facts: ", n, n, c->entity[n].name);
      tide_buf_printf(out, "%s%s: {at: fact%d", between, fact->name, k);
      if (fact->type == OT_NUM) tide_buf_printf(out, ", as: decimal(%d)", fact->decimals);
      else if (fact->type != OT_TEXT) tide_buf_printf(out, ", as: %s", as[fact->type]);
      if (fact->type == OT_MONEY) tide_buf_printf(out, ", currency: fact%d_currency", k);
      tide_buf_char(out, '}');
      between = ", ";
    }
    if (between[0] == ',') tide_buf_str(out, "}\n");
  }
}

static void event_section(const struct or_case *c, struct tide_buf *out) {
  tide_buf_str(out, "tidemark: 1\nname: oracle\nevent:\n  time: time\n");
  id_text(c, "id", OF_ID1, OF_ID2, out);
  if (c->alias) id_text(c, "alias", OF_AL1, OF_AL2, out);
  if (c->parent && !c->parent_counts) id_text(c, "parent", OF_PA1, OF_PA2, out);
  if (c->parent && c->parent_counts) tide_buf_printf(out, "  parent: {id: %s, count: true}\n", c->id_tuple ? "[pa1, pa2]" : "pa1");
  if (c->amount) tide_buf_printf(out, "  amount: amount in %s\n", c->currency);
  if (c->place) tide_buf_str(out, "  place: [lat, lon]\n");
  if (c->pan_secret) tide_buf_str(out, "  key: pan\n");
  if (c->conflict_rejects) tide_buf_str(out, "  on_conflict: reject\n");
  if (c->score) quoted_expr(c, "  score", c->score, out);
  if (c->advise) quoted_expr(c, "  advise", c->advise, out);
  if (c->cnp) tide_buf_str(out, "  derive:\n"), quoted_expr(c, "    cnp", c->cnp, out);
  tide_buf_str(out, "inputs:\n");
  shape(c, "default", "event", out);
  profile_shapes(c, out);
  if (!c->json) return;
  shape(c, "outcomes", "outcome", out);
  tide_buf_str(out, "  rates: {type: rate, when: {t: rate}, time: {at: time, as: epoch_ms}, currency: currency, rate: rate}\n"
                    "  beats: {type: heartbeat, when: {t: heartbeat}, time: {at: time, as: epoch_ms}}\n");
  if (c->list_count) shape(c, "lists", "list", out);
}

static void entity_section(const struct or_case *c, struct tide_buf *out) {
  char ms[16];
  tide_buf_str(out, "entities:\n");
  for (int n = 0; n < c->entity_count; n++) {
    const struct or_entity *e = &c->entity[n];
    const char *a = e->part_entity ? c->entity[0].name : or_field_info[e->part[0]].name;
    tide_buf_printf(out, "  %s: {key: ", e->name);
    if (e->key == OK_FIELD) tide_buf_str(out, a);
    else if (e->key == OK_FIRST_OF) tide_buf_printf(out, "\"first_of(%s, %s)\"", a, or_field_info[e->part[1]].name);
    else tide_buf_printf(out, "[%s, %s]", a, or_field_info[e->part[1]].name);
    if (e->max) tide_buf_printf(out, ", max: %d", e->max);
    if (e->keep_ms) tide_buf_printf(out, ", keep: %s", or_duration(e->keep_ms, ms));
    if (e->forget_ms) tide_buf_printf(out, ", forget_after: %s", or_duration(e->forget_ms, ms));
    tide_buf_str(out, "}\n");
  }
  bool any = false;
  for (int n = 0; n < c->entity_count; n++) {
    bool own = false;
    for (int i = 0; i < c->feature_count; i++) {
      const struct or_feature *f = &c->feature[i];
      if (f->dropped || f->agg == OA_NEW || f->entity != n) continue;
      if (!any) tide_buf_str(out, "features:\n");
      if (!own) tide_buf_printf(out, "  %s:\n", c->entity[n].name);
      any = true;
      own = true;
      feature_text(c, f, out);
    }
  }
  any = false;
  for (int d = 0; d < c->derived_count; d++) {
    if (c->derived[d].dropped) continue;
    if (!any) tide_buf_str(out, "derived:\n");
    any = true;
    tide_buf_str(out, "  ");
    quoted_expr(c, c->derived[d].name, c->derived[d].expr, out);
  }
}

static void warming_text(int policy, double value, struct tide_buf *out) {
  if (policy == 2) tide_buf_printf(out, "warming: default %g", value);
  else tide_buf_printf(out, "warming: %s", policy ? "mark" : "fallback");
}

static void stale_text(const struct or_case *c, int64_t budget_ms, int stale, double value, unsigned waits, int64_t facts_ms,
                       struct tide_buf *out) {
  static const char *const word[] = {"fallback", "mark", "default", "recompute"};
  char ms[16];
  if (!c->sourced && !c->fact_count) return;
  if (budget_ms) tide_buf_printf(out, ", budget: %s", or_duration(budget_ms, ms));
  if (stale == 2) tide_buf_printf(out, ", stale: default %g", value);
  else if (stale >= 0) tide_buf_printf(out, ", stale: %s", word[stale]);
  if (facts_ms) tide_buf_printf(out, ", facts: %s", or_duration(facts_ms, ms));
  if (!waits) return;
  const char *between = ", sources: [";
  for (int s = 1; s < OR_SOURCES_MAX; s++) {
    if (!((waits >> s) & 1)) continue;
    tide_buf_printf(out, "%s%s", between, or_source_name[s]);
    between = ", ";
  }
  tide_buf_char(out, ']');
}

static void rules_section(const struct or_case *c, int policy, bool fallback, struct tide_buf *out) {
  bool any = false;
  int count = fallback ? c->fallback_count : c->rule_count;
  for (int r = 0; r < count; r++) {
    struct or_rule rule = or_policy_rule(c, policy, fallback, r);
    if (rule.dropped) continue;
    if (!any) tide_buf_printf(out, "  %s:\n", fallback ? "fallback" : "rules");
    any = true;
    tide_buf_printf(out, "    - %s: '%s%s", rule.code, rule.shadow ? "shadow " : "", or_decision_name[rule.decision]);
    if (rule.when) tide_buf_str(out, " when "), expr_text(c, rule.when, out);
    tide_buf_str(out, "'\n");
  }
}

void or_render_policy(const struct or_case *c, int policy, struct tide_buf *out) {
  tide_buf_str(out, "policy:\n  decisions: [");
  for (int d = 0; d < c->decision_count; d++) tide_buf_printf(out, "%s%s", d ? ", " : "", or_decision_name[d]);
  tide_buf_str(out, "]\n");
  for (int n = 0; n < c->list_count; n++)
    tide_buf_printf(out, "%s%s%s", n ? ", " : "  lists: [", c->list[n].name, n + 1 == c->list_count ? "]\n" : "");
  rules_section(c, policy, false, out);
  rules_section(c, policy, true, out);
}

void or_render_file(const struct or_case *c, struct tide_buf *out) {
  event_section(c, out);
  entity_section(c, out);
  tide_buf_str(out, "freshness:\n  default: {");
  warming_text(c->warming, c->warming_default, out);
  stale_text(c, c->budget_ms, c->stale, c->stale_default, c->waits, c->facts_ms, out);
  tide_buf_str(out, "}\n");
  for (int n = 0; n < c->entity_count; n++) {
    const struct or_entity *e = &c->entity[n];
    if (e->warming < 0 && !e->facts_ms && e->stale < 0 && (!c->sourced || (!e->budget_ms && !e->waits))) continue;
    tide_buf_printf(out, "  %s: {", e->name);
    if (e->warming >= 0) warming_text(e->warming, e->warming_default, out);
    else warming_text(c->warming, c->warming_default, out);
    stale_text(c, e->budget_ms, e->stale, e->stale_default, e->waits, e->facts_ms, out);
    tide_buf_str(out, "}\n");
  }
  if (c->decision_count) or_render_policy(c, 0, out);
}

/* ---- the stream ---- */

static void line_fields(const struct or_record *r, struct tide_buf *out) {
  for (int f = 0; f < OF_COUNT; f++) {
    const struct or_datum *datum = &r->field[f];
    if (!datum->has) continue;
    if (or_field_info[f].type == OT_TEXT) tide_buf_printf(out, " %s=%s", or_field_info[f].name, datum->text);
    else if (or_field_info[f].type == OT_MONEY) tide_buf_printf(out, " amount=%lld%s", (long long)datum->num, datum->currency);
    else tide_buf_printf(out, " %s=%lld", or_field_info[f].name, (long long)datum->num);
  }
}

static void line_facts(const struct or_case *c, const struct or_record *r, struct tide_buf *out) {
  tide_buf_printf(out, " about %s", c->entity[r->about].name);
  for (int k = 0; k < c->fact_count; k++) {
    const struct or_datum *datum = &r->fact[k];
    if (!datum->has) continue;
    if (c->fact[k].type == OT_TEXT) tide_buf_printf(out, " %s:%s", c->fact[k].name, datum->text);
    else tide_buf_printf(out, " %s:%lld%s", c->fact[k].name, (long long)datum->num, datum->currency ? datum->currency : "");
  }
}

static void line_outcome(const struct or_record *r, struct tide_buf *out) {
  if (r->set & 1u << OD_RESULT) tide_buf_printf(out, " result:%s", or_result_word[r->result]);
  if (r->set & 1u << OD_REASON) tide_buf_printf(out, " reason:%s", r->reason);
  if (r->set & 1u << OD_REVERSED) tide_buf_printf(out, " reversed:%s", or_extent_word[r->reversed]);
  if (r->set & 1u << OD_REFUNDED) tide_buf_printf(out, " refunded:%s", or_extent_word[r->refunded]);
  if (r->set & 1u << OD_DISPUTED) tide_buf_printf(out, " disputed:%d", r->disputed);
  if (r->set & 1u << OD_LABEL) tide_buf_printf(out, " label:%s", or_label_word[r->label]);
  if (r->set & 1u << OD_AMOUNT) tide_buf_printf(out, " amount_now:%lld%s", (long long)r->amount_now, r->currency);
}

void or_render_decimal(int64_t num, int decimals, struct tide_buf *out) {
  int64_t one = 1, part = num < 0 ? -num : num;
  for (int i = 0; i < decimals; i++) one *= 10;
  tide_buf_printf(out, "%s%lld", num < 0 ? "-" : "", (long long)(part / one));
  if (decimals) tide_buf_printf(out, ".%0*lld", decimals, (long long)(part % one));
}

static void json_outcome(const struct or_record *r, struct tide_buf *out) {
  if (r->set & 1u << OD_RESULT) tide_buf_printf(out, ",\"result\":\"%s\"", or_result_word[r->result]);
  if (r->set & 1u << OD_REASON) tide_buf_printf(out, ",\"reason\":\"%s\"", r->reason);
  if (r->set & 1u << OD_REVERSED) tide_buf_printf(out, ",\"reversed\":\"%s\"", or_extent_word[r->reversed]);
  if (r->set & 1u << OD_REFUNDED) tide_buf_printf(out, ",\"refunded\":\"%s\"", or_extent_word[r->refunded]);
  if (r->set & 1u << OD_DISPUTED) tide_buf_printf(out, ",\"disputed\":%s", r->disputed ? "true" : "false");
  if (r->set & 1u << OD_LABEL) tide_buf_printf(out, ",\"label\":\"%s\"", or_label_word[r->label]);
  if (!(r->set & 1u << OD_AMOUNT)) return;
  tide_buf_str(out, ",\"amount_now\":");
  or_render_decimal(r->amount_now, r->exponent, out);
  tide_buf_printf(out, ",\"currency_now\":\"%s\"", r->currency);
}

bool or_render_fact(const struct or_case *c, const struct or_record *r, int fact, struct tide_buf *out) {
  const struct or_datum *datum = &r->fact[fact];
  if (r->type != OR_PROFILE || !datum->has) return false;
  switch (c->fact[fact].type) {
    case OT_TEXT: tide_buf_str(out, datum->text); break;
    case OT_BOOL: tide_buf_str(out, datum->num ? "true" : "false"); break;
    case OT_MONEY: or_render_decimal(datum->num, datum->exponent, out); break;
    default: or_render_decimal(datum->num, c->fact[fact].decimals, out); break;
  }
  return true;
}

static void json_facts(const struct or_case *c, const struct or_record *r, struct tide_buf *out) {
  struct tide_buf text = TIDE_BUF_INIT;
  for (int k = 0; k < c->fact_count; k++) {
    tide_buf_clear(&text);
    if (!or_render_fact(c, r, k, &text)) continue;
    const char *quote = c->fact[k].type == OT_TEXT ? "\"" : "";
    tide_buf_printf(out, ",\"fact%d\":%s%s%s", k, quote, tide_buf_cstr(&text), quote);
    if (r->fact[k].currency) tide_buf_printf(out, ",\"fact%d_currency\":\"%s\"", k, r->fact[k].currency);
  }
  tide_buf_release(&text);
}

void or_render_type(const struct or_record *r, struct tide_buf *out) {
  static const char *const type[] = {"event", "outcome", "rate", "list", "heartbeat"};
  if (r->type == OR_PROFILE) tide_buf_printf(out, "prof%d", r->about);
  else tide_buf_str(out, type[r->type]);
}

void or_render_json(const struct or_case *c, const struct or_record *r, const struct or_record *row, struct tide_buf *out) {
  tide_buf_str(out, "{\"t\":\"");
  or_render_type(r, out);
  tide_buf_printf(out, "\",\"time\":%lld", (long long)r->time_ms);
  for (int f = 0; f < OF_COUNT; f++) {
    const struct or_datum *datum = &r->field[f];
    if (!datum->has || f == OF_TIME || f == OF_CNP) continue;
    tide_buf_printf(out, ",\"%s\":", or_field_info[f].name);
    switch (or_field_info[f].type) {
      case OT_TEXT: tide_buf_printf(out, "\"%s\"", datum->text); break;
      case OT_BOOL: tide_buf_str(out, datum->num ? "true" : "false"); break;
      case OT_MONEY:
        or_render_decimal(datum->num, datum->exponent, out);
        tide_buf_printf(out, ",\"currency\":\"%s\"", datum->currency);
        break;
      default: or_render_decimal(datum->num, or_field_info[f].decimals, out); break;
    }
  }
  if (r->type == OR_PROFILE) json_facts(c, r, out);
  if (r->type == OR_OUTCOME) json_outcome(r, out);
  if (row) json_outcome(row, out);
  if (r->type == OR_RATE) {
    tide_buf_printf(out, ",\"currency\":\"%s\",\"rate\":", r->currency);
    or_render_decimal(r->rate_e10, 10, out);
  }
  if (r->type == OR_LIST) {
    tide_buf_printf(out, ",\"list\":\"%s\"", c->list[r->list].name);
    if (r->expires_ms) tide_buf_printf(out, ",\"expires\":%lld", (long long)r->expires_ms);
    if (r->remove) tide_buf_str(out, ",\"remove\":true");
  }
  tide_buf_char(out, '}');
}

/* Times relative to the first record, so that gaps can be read. */
void or_render_stream(const struct or_case *c, struct tide_buf *out) {
  static const char *const type[] = {"event",   "outcome", "rate",  "list",    "heartbeat", "facts",
                                     "declare", "start",   "waive", "rollout", "profile"};
  char ms[16];
  int64_t zero = c->record[0].time_ms;
  tide_buf_printf(out, "# limits: lateness %s, duplicates_for %s, grace %s, %s; times from %lld ms\n", or_duration(c->lateness_ms, ms),
                  or_duration(c->duplicates_for_ms, (char[16]){0}), or_duration(c->grace_ms, (char[16]){0}), c->replay ? "replay" : "live",
                  (long long)zero);
  for (int s = 1; s < 3 && c->sourced; s++)
    tide_buf_printf(out, "# source %s:%s%s, out of order by %s, silence %s\n", or_source_name[s], c->source[s].gates ? " gates" : "",
                    c->source[s].keyed ? " keyed" : "", or_duration(c->source[s].disorder_ms, (char[16]){0}),
                    or_duration(c->source[s].silence_ms, (char[16]){0}));
  if (c->lead_ms) tide_buf_printf(out, "# lead %s\n", or_duration(c->lead_ms, ms));
  if (c->history_from_ms != INT64_MIN) tide_buf_printf(out, "# history_from %+lld\n", (long long)(c->history_from_ms - zero));
  for (int i = 0; i < c->record_count; i++) {
    const struct or_record *r = &c->record[i];
    if (r->dropped) continue;
    if (or_entry_begins(c, i))
      tide_buf_printf(out, "-- entry, commit %+lld%s\n", (long long)(or_entry_commit(c, i) - zero), c->reload_at >= 0 ? " (reloads)" : "");
    tide_buf_printf(out, "#%d %s", i, type[r->type]);
    if (r->source) tide_buf_printf(out, " %s/%d", or_source_name[r->source], r->partition);
    else if (c->partitions > 1) tide_buf_printf(out, " partition %d", r->partition);
    if (r->type == OR_DECLARE)
      for (int s = 1; s < OR_SOURCES_MAX; s++)
        if ((r->declared >> s) & 1) tide_buf_printf(out, " %s", or_source_name[s]);
    if (r->type == OR_ROLLOUT) tide_buf_printf(out, " of policy %d", r->policy);
    if (r->type == OR_WAIVE) tide_buf_printf(out, " until %+lld", (long long)(r->until_ms - zero));
    if (r->type == OR_FACTS) {
      if (r->messages) tide_buf_str(out, " messages");
      if (r->seen_ms != INT64_MIN) tide_buf_printf(out, " seen %+lld", (long long)(r->seen_ms - zero));
      if (r->drained_ms != INT64_MIN) tide_buf_printf(out, " drained %+lld", (long long)(r->drained_ms - zero));
      tide_buf_printf(out, " delay %lld", (long long)r->delay_ms);
    }
    if (r->type == OR_EVENT || r->type == OR_HEARTBEAT || r->type == OR_PROFILE)
      tide_buf_printf(out, " t=%+lld", (long long)(r->time_ms - zero));
    line_fields(r, out);
    if (r->type == OR_PROFILE) line_facts(c, r, out);
    if (r->type == OR_OUTCOME) line_outcome(r, out);
    if (r->type == OR_RATE) tide_buf_printf(out, " %s %lld e-10", r->currency, (long long)r->rate_e10);
    if (r->type == OR_LIST)
      tide_buf_printf(out, " %s %s expires %lld", r->remove ? "off" : "on", c->list[r->list].name,
                      (long long)(r->expires_ms ? r->expires_ms - zero : 0));
    if (r->alt_pan) tide_buf_printf(out, " before: pan=%s", r->alt_pan);
    tide_buf_printf(out, "%s%s%s\n", r->stamped ? " STAMPED" : "", r->nocount ? " NOCOUNT" : "", r->same_row ? " SAME_ROW" : "");
  }
}

bool or_entry_begins(const struct or_case *c, int record) {
  bool begins = false, first = true;
  for (int i = 0; i <= record; i++) {
    begins = begins || c->record[i].new_entry;
    if (i == record) return begins || first;
    if (!c->record[i].dropped) begins = first = false;
  }
  return false;
}

int64_t or_entry_commit(const struct or_case *c, int record) {
  if (c->replay) { /* the largest event time up to the end of this entry */
    int64_t newest = INT64_MIN;
    for (int i = 0; i < c->record_count; i++) {
      if (c->record[i].dropped) continue;
      if (i > record && or_entry_begins(c, i)) break;
      if (c->record[i].type == OR_EVENT && c->record[i].time_ms > newest) newest = c->record[i].time_ms;
    }
    return newest == INT64_MIN ? c->record[record].time_ms : newest;
  }
  int64_t commit_ms = 0;
  for (int i = 0; i <= record; i++)
    if (c->record[i].new_entry) commit_ms = c->record[i].commit_ms;
  return commit_ms;
}

struct tide_settings or_settings(const struct or_case *c) {
  struct tide_settings settings = tide_settings_default();
  settings.lateness_ms = c->lateness_ms;
  settings.duplicates_for_ms = c->duplicates_for_ms;
  settings.grace_ms = c->grace_ms;
  settings.lead_ms = c->lead_ms;
  settings.history_from_ms = c->history_from_ms;
  settings.replay = c->replay;
  settings.max_future_skew_ms = OR_DAY_MS;     /* some events are far ahead */
  settings.hash_seed = (int64_t)(c->seed % 3); /* nothing may depend on it */
  return settings;
}

void or_render_record(const struct or_case *c, const struct tide_spec *spec, const struct or_record *r, struct tide_record *ret) {
  static const uint8_t type[] = {[OR_EVENT] = TIDE_REC_EVENT, [OR_OUTCOME] = TIDE_REC_OUTCOME,     [OR_RATE] = TIDE_REC_RATE,
                                 [OR_LIST] = TIDE_REC_LIST,   [OR_HEARTBEAT] = TIDE_REC_HEARTBEAT, [OR_PROFILE] = TIDE_REC_PROFILE};
  memset(ret, 0, sizeof *ret);
  ret->type = type[r->type];
  ret->partition = (uint16_t)r->partition;
  if (r->source) {
    ret->source = tide_source_number(tide_span_of(or_source_name[r->source]));
    ret->offset = UINT64_C(1) << 40; /* beyond every cursor: it counts */
  }
  ret->time.ms = r->stamped ? 0 : r->time_ms;
  ret->flags = (uint8_t)((r->nocount ? TIDE_REC_NOCOUNT : 0) | (r->same_row ? TIDE_REC_SAME_ROW : 0) | (r->stamped ? TIDE_REC_STAMPED : 0));
  for (int f = 0; f < OF_COUNT; f++) {
    const struct or_datum *datum = &r->field[f];
    uint32_t at = tide_spec_field(spec, or_field_info[f].name);
    if (!datum->has || at == TIDE_NONE) continue;
    struct tide_datum *out = &ret->field[at];
    if (spec->field[at].secret) {
      out->kind = TIDE_D_KEY;
      out->key = tide_hash128(datum->text, strlen(datum->text), 1234);
      if (r->alt_pan) out->alt = tide_hash128(r->alt_pan, strlen(r->alt_pan), 1234);
      ret->key_id = 1;
    } else if (or_field_info[f].type == OT_TEXT) {
      out->kind = TIDE_D_TEXT;
      out->text = tide_span_of(datum->text);
    } else {
      out->kind = TIDE_D_INT;
      out->num = datum->num;
      out->exponent = (uint8_t)datum->exponent;
      if (datum->currency) memcpy(out->currency, datum->currency, 4);
    }
  }
  for (int k = 0; k < c->fact_count && r->type == OR_PROFILE; k++) {
    const struct or_datum *datum = &r->fact[k];
    uint32_t at = tide_spec_fact(spec, (uint32_t)c->fact[k].entity, c->fact[k].name);
    if (!datum->has || at == TIDE_NONE) continue;
    struct tide_datum *out = &ret->field[at];
    *out = (struct tide_datum){.kind = datum->text ? TIDE_D_TEXT : TIDE_D_INT, .exponent = (uint8_t)datum->exponent};
    if (datum->text) out->text = tide_span_of(datum->text);
    else out->num = datum->num;
    if (datum->currency) memcpy(out->currency, datum->currency, 4);
  }
  if ((r->type == OR_EVENT || r->type == OR_PROFILE) && !r->stamped)
    ret->field[spec->f_time] = (struct tide_datum){.kind = TIDE_D_INT, .num = r->time_ms};
  static const uint8_t dyn[OD_COUNT] = {TIDE_DYN_result,   TIDE_DYN_reason, TIDE_DYN_reversed,  TIDE_DYN_refunded,
                                        TIDE_DYN_disputed, TIDE_DYN_label,  TIDE_DYN_amount_now};
  for (int d = 0; d < OD_COUNT; d++)
    if (r->set & 1u << d) ret->outcome.set |= 1u << dyn[d];
  if (r->type == OR_OUTCOME) {
    ret->outcome.result = (uint8_t)r->result;
    ret->outcome.reversed = (uint8_t)r->reversed;
    ret->outcome.refunded = (uint8_t)r->refunded;
    ret->outcome.disputed = (uint8_t)r->disputed;
    ret->outcome.label = (uint8_t)r->label;
    memcpy(ret->outcome.reason, r->reason, strlen(r->reason));
    ret->outcome.amount_now = r->amount_now;
    ret->outcome.exponent = (uint8_t)r->exponent;
    memcpy(ret->outcome.currency, r->currency, 4);
  }
  if (r->type == OR_RATE) {
    memcpy(ret->rate.currency, r->currency, 4);
    ret->rate.rate_e10 = r->rate_e10;
  }
  if (r->type == OR_LIST) {
    ret->list.list = (uint32_t)r->list;
    ret->list.expires_ms = r->expires_ms;
    ret->list.remove = r->remove;
  }
}
