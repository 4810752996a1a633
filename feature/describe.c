/* The definitions in words (describe.h).
 *
 * One table of sentences, a row for each aggregation; around it the window's edges, what counts and how far it looks, from the parsed feature.
 * Predicates are printed as they were written: a feature's from its own text, score and derived from the file that the spec keeps. */
#include "feature/describe.h"

#include <stdio.h>

#include "base/clock.h"
#include "feature/size.h"
#include "feature/spec_build.h"

struct telling {
  const struct tide_spec *spec;
  const struct tide_yaml_node *root; /* the file again, for texts as written */
  struct tide_plan *plan;            /* for bytes; NULL: the file is beyond a bound of the plan, which is said when it is used */
  struct tide_arena arena;
  struct tide_buf *out;
};

static struct telling telling_of(const struct tide_spec *spec, struct tide_buf *out) {
  struct telling t = {.spec = spec, .out = out};
  struct tide_yaml_node *root;
  enum tide_err err = tide_yaml_parse((struct tide_span){spec->text, spec->text_len}, &t.arena, &root, NULL);
  TIDE_CHECK(err == TIDE_OK); /* it was parsed before */
  t.root = root;
  struct tide_settings settings = tide_settings_default();
  if (tide_plan_new(spec, &settings, &t.plan, NULL) != TIDE_OK) t.plan = NULL;
  return t;
}

static void telling_end(struct telling *t) {
  tide_plan_free(t->plan);
  tide_arena_release(&t->arena);
}

static const char *written(const struct tide_yaml_node *map, const char *key) {
  const struct tide_yaml_node *node = tide_yaml_get(map, key);
  return node && node->kind == TIDE_YAML_SCALAR ? node->text.ptr : "";
}

static void row(const struct telling *t, const char *label) { tide_buf_printf(t->out, "  %-10s", label); }

static void part_name(const struct telling *t, struct tide_key_part part) {
  tide_buf_str(t->out, part.is_entity ? t->spec->entity[part.ref].name : t->spec->field[part.ref].name);
}

static const char *of_name(const struct telling *t, const struct tide_feature *f) {
  switch (f->of) {
    case TIDE_OF_FIELD: return t->spec->field[f->of_ref].name;
    case TIDE_OF_AMOUNT: return "amount";
    case TIDE_OF_REQUESTED: return "requested";
    case TIDE_OF_ENTITY: return t->spec->entity[f->of_ref].name;
    default: return "";
  }
}

/* "%1" in a template is the operand, "%2" the entity, "%3" the predicate of rate, "%4" the inner window. */
static void template(const struct telling *t, const char *text, const struct tide_feature *f, const struct tide_clauses *c) {
  char time[TIDE_TIME_TEXT];
  for (; *text; text++) {
    if (*text != '%') {
      tide_buf_char(t->out, *text);
      continue;
    }
    switch (*++text) {
      case '1': tide_buf_str(t->out, of_name(t, f)); break;
      case '2': tide_buf_str(t->out, t->spec->entity[f->entity].name); break;
      case '3': tide_buf_put(t->out, c->of.ptr, c->of.len); break;
      case '4': tide_buf_str(t->out, tide_duration_format(f->inner_ms, time)); break;
      default: tide_panic(__FILE__, __LINE__, __func__, "a template knows 1 to 4");
    }
  }
}

struct words {
  const char *is, *empty;
};
static const struct words agg_words[] = {
    [TIDE_AGG_COUNT] = {"the number of events", "0"},
    [TIDE_AGG_SUM] = {"the exact sum of %1; events without it are skipped", "0"},
    [TIDE_AGG_MEAN] = {"the exact sum of %1 divided by the number of events that have it", "null"},
    [TIDE_AGG_STDDEV] = {"the sample standard deviation of %1, sqrt((n*S2 - S1^2) / (n*(n-1))), numerator exact",
                         "null for less than 2 events with %1"},
    [TIDE_AGG_MIN] = {"the least %1", "null"},
    [TIDE_AGG_MAX] = {"the largest %1", "null"},
    [TIDE_AGG_DISTINCT] = {"the exact number of different values of %1; events without it are skipped", "0"},
    [TIDE_AGG_APPROX_DISTINCT] = {"an estimate of the number of different values of %1; events without it are skipped", "0"},
    [TIDE_AGG_RATE] = {"the number of events with %3, divided by the number of events", "null"},
    [TIDE_AGG_MAX_COUNT] = {"the largest number of events in any stretch (u - %4, u] whose end u lies in the window", "0"},
    [TIDE_AGG_STREAK] = {"how many of the latest events in a row satisfy the condition, walking back to the first that does not", "0"},
    [TIDE_AGG_SINCE_PREVIOUS] = {"seconds since the latest earlier event", "null"},
    [TIDE_AGG_SINCE_FIRST] = {"seconds since the earliest event ever seen", "null, and %2.new is 1"},
    [TIDE_AGG_LAST] = {"%1 of the latest earlier event", "null"},
    [TIDE_AGG_CHANGED] = {"1 if %1 differs from that of the latest earlier event, else 0", "null"},
    [TIDE_AGG_DISTANCE] = {"kilometres (great circle, R = 6371.0088 km, to 1 m) from the latest earlier event that has a place", "null"},
    [TIDE_AGG_SPEED] = {"kilometres from the latest earlier event that has a place, per hour between them (at least 1 s)", "null"},
    [TIDE_AGG_FACT] = {"%1 as profiles of this %2 tell it: what was true at the event's time, of what stands before the event",
                       "null (absent)"},
    [TIDE_AGG_NEW] = {"1 when no earlier event was ever seen, else 0", "1"},
};
_Static_assert(sizeof agg_words / sizeof agg_words[0] == TIDE_AGG_NEW + 1, "words for each aggregation");

static void tell_window(const struct telling *t, const struct tide_slot *slot, const struct tide_feature *f) {
  char w[TIDE_TIME_TEXT], d[TIDE_TIME_TEXT], h[TIDE_TIME_TEXT];
  struct tide_buf *out = t->out;
  if (f->agg == TIDE_AGG_FACT) { /* no window, and no events */
    row(t, "age");
    tide_buf_printf(out, "at most %s at the event, then stale; ",
                    tide_duration_format(t->spec->group[t->spec->entity[f->entity].group].facts_ms, w));
    tide_buf_printf(out, "forgotten %s after the last event or profile of the %s\n",
                    tide_duration_format(t->spec->entity[f->entity].forget_after_ms, w), t->spec->entity[f->entity].name);
    return;
  }
  row(t, "window");
  if (slot->window_ms == 0) {
    tide_buf_printf(out, "none: events before this one, kept for %s\n",
                    tide_duration_format(f->agg == TIDE_AGG_SINCE_FIRST || f->agg == TIDE_AGG_NEW
                                             ? t->spec->entity[f->entity].forget_after_ms
                                             : t->spec->entity[f->entity].keep_ms,
                                         w));
    return;
  }
  (void)tide_duration_format(slot->window_ms, w);
  (void)tide_duration_format(f->delayed_ms, d);
  if (f->hop_ms) {
    (void)tide_duration_format(f->hop_ms, h);
    tide_buf_printf(out, "(floor((t - %s%s%s) / %s) * %s, t%s%s]", f->delayed_ms ? d : "", f->delayed_ms ? " - " : "", w, h, h,
                    f->delayed_ms ? " - " : "", f->delayed_ms ? d : "");
  } else if (f->delayed_ms) {
    tide_buf_printf(out, "(t - %s - %s, t - %s]", d, w, d);
  } else {
    tide_buf_printf(out, "(t - %s, t]", w);
  }
  tide_buf_printf(out, ", t being the event's time; the event itself is %s\n", f->with_current ? "counted where it qualifies" : "left out");
}

static void tell_counted(const struct telling *t, const struct tide_feature *f, const struct tide_clauses *c) {
  struct tide_buf *out = t->out;
  const char *score = written(tide_yaml_get(t->root, "event"), "score");
  bool streak = f->agg == TIDE_AGG_STREAK;
  row(t, "counts");
  tide_buf_printf(out, "events of the same %s that stand before this one%s", t->spec->entity[f->entity].name,
                  f->with_current ? " and this one" : "");
  if (f->mentions_kind) tide_buf_str(out, ", of every kind because the condition reads it");
  else if (t->spec->score) tide_buf_printf(out, ", with (%s)", score);
  if (c->where.ptr && !streak)
    tide_buf_printf(out, "%s (%.*s)", !f->mentions_kind && t->spec->score ? " and" : ", with", TIDE_SPAN_FMT(c->where));
  tide_buf_char(out, '\n');
  if (c->where.ptr && streak) {
    row(t, "condition");
    tide_buf_printf(out, "%.*s\n", TIDE_SPAN_FMT(c->where));
  }
}

static void tell_slot(const struct telling *t, uint32_t index) {
  const struct tide_spec *spec = t->spec;
  const struct tide_slot *slot = &spec->slot[index];
  const struct tide_feature *f = &spec->feature[slot->feature];
  struct tide_buf *out = t->out;
  struct tide_clauses c = {0};
  size_t at;
  const char *problem;
  struct tide_span word;
  char time[TIDE_TIME_TEXT];
  if (f->agg != TIDE_AGG_NEW) {
    bool good = tide_clauses_cut(tide_span_of(f->text), &c, &at, &problem, &word);
    TIDE_CHECK(good);
  }
  tide_buf_printf(out, "%s\n", slot->name);
  row(t, "written");
  tide_buf_printf(out, "%s (line %d)\n", f->agg == TIDE_AGG_NEW ? "by itself, beside `time since first`" : f->text, f->line);
  row(t, "is");
  template(t, agg_words[f->agg].is, f, &c);
  if (slot->money) tide_buf_printf(out, ", in %s", spec->currency);
  tide_buf_char(out, '\n');
  tell_window(t, slot, f);
  if (f->agg != TIDE_AGG_FACT) tell_counted(t, f, &c);
  if (f->of == TIDE_OF_AMOUNT) {
    row(t, "amount");
    tide_buf_str(out, "as it stands now: after partial approvals, reversals and increments known at this position\n");
  }
  if (f->cap) {
    row(t, "cap");
    tide_buf_printf(out, "exact up to %u; above it the value is %u and its state `saturated`\n", f->cap, f->cap);
  }
  if (f->agg == TIDE_AGG_APPROX_DISTINCT) {
    row(t, "error");
    tide_buf_str(out, "HyperLogLog with 4096 registers: standard error 1.04 / sqrt(4096) = 1.6 %\n");
  }
  row(t, "empty");
  template(t, agg_words[f->agg].empty, f, &c);
  tide_buf_char(out, '\n');
  if (f->agg != TIDE_AGG_FACT) {
    row(t, "reach");
    tide_buf_printf(out, "%s\n", tide_duration_format(tide_slot_reach_ms(spec, slot), time));
  }
  if (t->plan) {
    row(t, "bytes");
    tide_size_tell_slot(t->plan, index, out);
    tide_buf_char(out, '\n');
  }
  row(t, "group");
  tide_buf_printf(out, "%s\n\n", spec->group[spec->entity[f->entity].group].name);
}

static void tell_group(const struct telling *t, const struct tide_group *g) {
  static const char *const stale[] = {"fallback", "mark", "default", "recompute"};
  static const char *const level[] = {"strong", "quorum", "eventual"};
  struct tide_buf *out = t->out;
  char time[TIDE_TIME_TEXT];
  tide_buf_printf(out, "  %s: budget %s, stale: %s", g->name, tide_duration_format(g->budget_ms, time), stale[g->stale]);
  if (g->stale == TIDE_STALE_DEFAULT) tide_buf_printf(out, " %.6g", g->stale_default);
  tide_buf_printf(out, ", warming: %s", stale[g->warming]);
  if (g->warming == TIDE_STALE_DEFAULT) tide_buf_printf(out, " %.6g", g->warming_default);
  if (g->facts_ms != TIDE_D(400)) tide_buf_printf(out, ", facts: %s", tide_duration_format(g->facts_ms, time));
  tide_buf_printf(out, ", consistency: %s, sources:", level[g->consistency]);
  for (uint32_t i = 0; i < g->source_count; i++) tide_buf_printf(out, "%s %s", i ? "," : "", g->source[i]);
  tide_buf_str(out, g->source_count ? "\n" : " all that gate\n");
}

/* What becomes of old events, under the default limits. */
static void tell_tiles(const struct telling *t, const struct tide_kind *kind) {
  char a[TIDE_TIME_TEXT], b[TIDE_TIME_TEXT];
  if (!kind->tile_ms) tide_buf_printf(t->out, "    no tiles, every event is a row: %s\n", kind->tile_why);
  else
    tide_buf_printf(t->out, "    rows for %s, older events summed in tiles of %s\n", tide_duration_format(kind->raw_ms, a),
                    tide_duration_format(kind->tile_ms, b));
}

static void tell_entities(const struct telling *t) {
  const struct tide_spec *spec = t->spec;
  struct tide_buf *out = t->out;
  char a[TIDE_TIME_TEXT], c[TIDE_TIME_TEXT], d[TIDE_TIME_TEXT];
  tide_buf_str(out, "Entities\n");
  for (uint32_t i = 0; i < spec->entity_count; i++) {
    const struct tide_entity *e = &spec->entity[i];
    int64_t reach = 0;
    uint32_t values = 0;
    for (uint32_t s = 0; s < spec->slot_count; s++) {
      if (spec->feature[spec->slot[s].feature].entity != i) continue;
      int64_t r = tide_slot_reach_ms(spec, &spec->slot[s]);
      if (r > reach) reach = r;
      values++;
    }
    tide_buf_printf(out, "  %s: key %s", e->name, e->first_of ? "first_of(" : e->part_count > 1 ? "[" : "");
    for (uint32_t p = 0; p < e->part_count; p++) {
      if (p) tide_buf_str(out, ", ");
      part_name(t, e->part[p]);
    }
    tide_buf_printf(out, "%s%s; %u values, events kept %s and grace, keep %s, forget_after %s",
                    e->first_of         ? ")"
                    : e->part_count > 1 ? "]"
                                        : "",
                    i == 0 ? "; primary" : "", values, tide_duration_format(reach, a), tide_duration_format(e->keep_ms, c),
                    tide_duration_format(e->forget_after_ms, d));
    if (e->max_entities) tide_buf_printf(out, ", max %lld", (long long)e->max_entities);
    if (t->plan) {
      tide_buf_str(out, "\n    ");
      tide_size_tell_kind(t->plan, i, out);
    }
    tide_buf_char(out, '\n');
    if (t->plan) tell_tiles(t, &t->plan->kind[i]);
  }
}

static void tell_rules(const struct telling *t, const char *section, const struct tide_rule *rule, uint32_t count) {
  const struct tide_yaml_node *list = tide_yaml_get(tide_yaml_get(t->root, "policy"), section);
  for (uint32_t i = 0; i < count; i++) {
    const char *text = NULL;
    for (uint32_t k = 0; list && list->kind == TIDE_YAML_LIST && k < list->count; k++)
      if (list->item[k]->count == 1 && strcmp(list->item[k]->pair[0].key, rule[i].code) == 0) text = list->item[k]->pair[0].value->text.ptr;
    if (text) tide_buf_printf(t->out, "  %s: %s\n", rule[i].code, text);
    else tide_buf_printf(t->out, "  %s: %s (not written: the strictest)\n", rule[i].code, t->spec->decision[rule[i].decision]);
  }
}

void tide_describe_slot(const struct tide_spec *spec, uint32_t slot, struct tide_buf *out) {
  TIDE_CHECK(slot < spec->slot_count);
  struct telling t = telling_of(spec, out);
  tell_slot(&t, slot);
  telling_end(&t);
}

void tide_describe_fallback(const struct tide_spec *spec, struct tide_buf *out) {
  struct telling t = telling_of(spec, out);
  tell_rules(&t, "fallback", spec->fallback, spec->fallback_count);
  telling_end(&t);
}

void tide_describe(const struct tide_spec *spec, struct tide_buf *out) {
  struct telling t = telling_of(spec, out);
  tide_buf_printf(out, "%s: %u fields, ", spec->name, spec->field_count - spec->fact_count);
  if (spec->fact_count) tide_buf_printf(out, "%u facts, ", spec->fact_count);
  tide_buf_printf(out, "%u entities, %u features with %u values, %u rules\n\n", spec->entity_count, spec->feature_count, spec->slot_count,
                  spec->rule_count);
  tell_entities(&t);
  tide_buf_str(out, "\nFreshness groups\n");
  for (uint32_t i = 0; i < spec->group_count; i++) tell_group(&t, &spec->group[i]);
  tide_buf_str(out, "\nValues\n\n");
  for (uint32_t i = 0; i < spec->slot_count; i++) tell_slot(&t, i);
  if (spec->derived_count) tide_buf_str(out, "Derived values\n");
  for (uint32_t i = 0; i < spec->derived_count; i++)
    tide_buf_printf(out, "  %s = %s\n", spec->derived[i].name, written(tide_yaml_get(t.root, "derived"), spec->derived[i].name));
  if (spec->decision_count) {
    tide_buf_str(out, "\nRules, in order; the first that is true decides\n");
    tell_rules(&t, "rules", spec->rule, spec->rule_count);
    tide_buf_str(out, "\nFallback\n");
    tell_rules(&t, "fallback", spec->fallback, spec->fallback_count);
  }
  telling_end(&t);
}
