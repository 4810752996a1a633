/* What the decision does without an entity, by evaluation (budget.h), and how that is said, to people and to programs.
 *
 * The quiet event is made once per entity: every value known and nothing suspicious, and then the freshness policy takes the entity's away, by the code that does it live. */
#include "feature/budget.h"

#include "base/clock.h"
#include "base/json_out.h"
#include "feature/describe.h"
#include "feature/freshness.h"
#include "feature/reads.h"

static const char *const level_name[] = {
    [TIDE_CONSISTENCY_STRONG] = "strong", [TIDE_CONSISTENCY_QUORUM] = "quorum", [TIDE_CONSISTENCY_EVENTUAL] = "eventual"};
static const char *const stale_name[] = {
    [TIDE_STALE_FALLBACK] = "fallback", [TIDE_STALE_MARK] = "mark", [TIDE_STALE_DEFAULT] = "default", [TIDE_STALE_RECOMPUTE] = "recompute"};
static const char *const without_name[] = {[TIDE_WITHOUT_decides] = "decides",
                                           [TIDE_WITHOUT_gives_way] = "gives_way",
                                           [TIDE_WITHOUT_depends] = "depends",
                                           [TIDE_WITHOUT_unanswered] = "unanswered",
                                           [TIDE_WITHOUT_used] = "used"};

/* An event of which nothing is known; `stale`: the entity beyond its budget, TIDE_NONE: none. */
struct quiet {
  struct tide_value field[TIDE_FIELDS_MAX], dyn[TIDE_DYN_COUNT], slot[TIDE_SLOTS_MAX], derived[TIDE_DERIVED_MAX];
  struct tide_env env;
};

static bool on_no_list(const void *ctx, uint32_t list, const struct tide_expr *operand, bool *ret_missing) {
  (void)ctx, (void)list, (void)operand;
  *ret_missing = true;
  return false;
}

static void make_quiet(const struct tide_spec *spec, uint32_t stale, bool score_refused, struct quiet *q) {
  struct tide_standing standing[TIDE_ENTITIES_MAX];
  bool has_key[TIDE_ENTITIES_MAX];
  for (uint32_t f = 0; f < spec->field_count; f++) q->field[f] = tide_null(TIDE_S_absent, TIDE_C_absent);
  for (int d = 0; d < TIDE_DYN_COUNT; d++) q->dyn[d] = tide_null(TIDE_S_absent, TIDE_C_absent);
  for (uint32_t s = 0; s < spec->slot_count; s++)
    q->slot[s] = spec->slot[s].type == TIDE_V_TEXT ? tide_null(TIDE_S_empty, TIDE_C_empty) : tide_num(0);
  for (uint32_t e = 0; e < spec->entity_count; e++) {
    standing[e] = (struct tide_standing){.state = e == stale ? TIDE_S_stale : TIDE_S_fresh};
    has_key[e] = true;
  }
  tide_freshness_apply(spec, standing, has_key, q->slot);
  q->env = (struct tide_env){
      .field = q->field, .dyn = q->dyn, .slot = q->slot, .derived = q->derived, .in_list = on_no_list, .score = tide_num(0)};
  if (score_refused) {
    q->env.score = tide_null(TIDE_S_absent, TIDE_C_score);
    q->env.score.unknown = true;
  }
  tide_policy_derive(spec, &q->env, q->derived);
}

static bool reads(const struct tide_spec *spec, const struct tide_rule *rule, uint32_t score_reads, uint32_t entity) {
  struct tide_reads all = tide_expr_entities(spec, rule->when);
  if (all.score) all.entities |= score_reads;
  return (all.entities >> entity) & 1;
}

/* The first stricter rule before it that needs the entity. */
static uint16_t blocker(const struct tide_spec *spec, const struct tide_budget *budget, uint32_t rule) {
  for (uint32_t r = 0; r < rule; r++) {
    bool needs = budget->rule[r] == TIDE_WITHOUT_unanswered || budget->rule[r] == TIDE_WITHOUT_depends;
    if (needs && !spec->rule[r].shadow && spec->rule[r].decision > spec->rule[rule].decision) return (uint16_t)r;
  }
  return UINT16_MAX;
}

void tide_budget_of(const struct tide_spec *spec, uint32_t score_reads, uint32_t entity, struct tide_budget *ret) {
  TIDE_CHECK(entity < spec->entity_count);
  uint8_t stale = spec->group[spec->entity[entity].group].stale;
  bool uses = stale == TIDE_STALE_MARK || stale == TIDE_STALE_DEFAULT;
  struct quiet *q = tide_alloc(sizeof *q);
  make_quiet(spec, entity, !uses && ((score_reads >> entity) & 1), q);
  tide_policy_decide(spec, &q->env, &ret->quiet);
  ret->refuses = ret->quiet.by == TIDE_BY_FALLBACK;
  for (uint32_t r = 0; r < spec->rule_count; r++) {
    ret->rule[r] = TIDE_WITHOUT_decides;
    ret->blocked_by[r] = UINT16_MAX;
    if (tide_verdict_truth(&ret->quiet, r) == TIDE_UNKNOWN) ret->rule[r] = TIDE_WITHOUT_unanswered;
    else if (reads(spec, &spec->rule[r], score_reads, entity)) ret->rule[r] = uses ? TIDE_WITHOUT_used : TIDE_WITHOUT_depends;
    if (ret->rule[r] != TIDE_WITHOUT_decides || spec->rule[r].shadow)
      continue; /* a shadow rule decides nothing that it could give way with */
    ret->blocked_by[r] = blocker(spec, ret, r);
    if (ret->blocked_by[r] != UINT16_MAX) ret->rule[r] = TIDE_WITHOUT_gives_way;
  }
  tide_free(q);
}

void tide_budget_fallback(const struct tide_spec *spec, struct tide_verdict *ret) {
  struct quiet *q = tide_alloc(sizeof *q);
  make_quiet(spec, TIDE_NONE, true, q);
  tide_policy_fallback(spec, &q->env, TIDE_C_stale, ret);
  tide_free(q);
}

/* ---- in words ---- */

static void say_rules(const struct tide_spec *spec, const struct tide_budget *budget, enum tide_without what, const char *label,
                      struct tide_buf *out) {
  uint32_t said = 0;
  for (uint32_t r = 0; r < spec->rule_count; r++) {
    const struct tide_rule *rule = &spec->rule[r];
    if (budget->rule[r] != what) continue;
    if (said == 0) tide_buf_printf(out, "    %-12s", label);
    else tide_buf_str(out, said % (what == TIDE_WITHOUT_gives_way ? 4 : 6) ? ", " : ",\n                ");
    tide_buf_printf(out, "%s %s%s", rule->code, spec->decision[rule->decision], rule->shadow ? " (shadow)" : "");
    if (what == TIDE_WITHOUT_gives_way) tide_buf_printf(out, " (to %s)", spec->rule[budget->blocked_by[r]].code);
    said++;
  }
  if (said) tide_buf_char(out, '\n');
}

static void say_verdict(const struct tide_spec *spec, const struct tide_verdict *verdict, struct tide_buf *out) {
  if (verdict->by == TIDE_BY_NONE) {
    tide_buf_str(out, "nothing: there is no policy");
    return;
  }
  tide_buf_printf(out, "%s, by %s", spec->decision[verdict->decision], tide_verdict_by(spec, verdict));
  if (verdict->by == TIDE_BY_FALLBACK) tide_buf_printf(out, ", cause %s", tide_cause_name((enum tide_cause)verdict->cause));
  if (verdict->by == TIDE_BY_FALLBACK && verdict->blocked_by != UINT16_MAX)
    tide_buf_printf(out, " (%s could not be answered)", spec->rule[verdict->blocked_by].code);
}

static uint32_t values_of(const struct tide_spec *spec, uint32_t entity) {
  uint32_t values = 0;
  for (uint32_t s = 0; s < spec->slot_count; s++) values += spec->feature[spec->slot[s].feature].entity == entity;
  return values;
}

static void say_facts(const struct tide_spec *spec, uint32_t entity, struct tide_buf *out) {
  char text[TIDE_TIME_TEXT];
  uint32_t count = 0;
  for (uint32_t i = 0; i < spec->feature_count; i++) {
    if (spec->feature[i].entity != entity || spec->feature[i].agg != TIDE_AGG_FACT) continue;
    if (count == 0)
      tide_buf_printf(out, "  facts         at most %s old by their own times:",
                      tide_duration_format(spec->group[spec->entity[entity].group].facts_ms, text));
    tide_buf_printf(out, "%s %s", count++ ? "," : "", spec->feature[i].name);
  }
  if (count) tide_buf_char(out, '\n');
}

void tide_budget_say(const struct tide_spec *spec, uint32_t entity, const struct tide_budget *budget, struct tide_buf *out) {
  static const char *const action[] = {
      [TIDE_STALE_FALLBACK] = "its values are not used: what cannot be answered without them goes to the fallback",
      [TIDE_STALE_MARK] = "its values are used, and marked stale in the answer",
      [TIDE_STALE_DEFAULT] = "its values are replaced by %.6g, and marked defaulted in the answer",
      [TIDE_STALE_RECOMPUTE] =
          "a request waits for fresher facts, at most for half of its time, and is judged again; then its values are not used"};
  const struct tide_group *group = &spec->group[spec->entity[entity].group];
  char text[TIDE_TIME_TEXT];
  tide_buf_printf(out, "%s: %u values, %s\n", spec->entity[entity].name, values_of(spec, entity),
                  strcmp(group->name, spec->entity[entity].name) == 0 ? "a budget of its own" : "the default budget");
  tide_buf_printf(out, "  budget        %s behind an event, level %s; looks at", tide_duration_format(group->budget_ms, text),
                  level_name[group->consistency]);
  for (uint32_t i = 0; i < group->source_count; i++) tide_buf_printf(out, "%s %s", i ? "," : "", group->source[i]);
  tide_buf_str(out, group->source_count ? "\n" : " all sources that gate\n");
  say_facts(spec, entity, out);
  tide_buf_printf(out, "  beyond it     %s: ", stale_name[group->stale]);
  if (group->stale == TIDE_STALE_DEFAULT) tide_buf_printf(out, action[TIDE_STALE_DEFAULT], group->stale_default);
  else tide_buf_str(out, action[group->stale]);
  tide_buf_printf(out, "\n  warming       %s\n", stale_name[group->warming]);
  tide_buf_str(out, "  without it    (of events that bear its key)\n");
  say_rules(spec, budget, TIDE_WITHOUT_unanswered, "unanswered", out);
  say_rules(spec, budget, TIDE_WITHOUT_depends, "may be so", out);
  say_rules(spec, budget, TIDE_WITHOUT_used, "marked", out);
  say_rules(spec, budget, TIDE_WITHOUT_decides, "as always", out);
  say_rules(spec, budget, TIDE_WITHOUT_gives_way, "gives way", out);
  tide_buf_str(out, "    an event with nothing else against it: ");
  say_verdict(spec, &budget->quiet, out);
  tide_buf_char(out, '\n');
}

void tide_budget_fallback_say(const struct tide_spec *spec, struct tide_buf *out) {
  struct tide_verdict verdict;
  tide_buf_str(out, "Fallback, in order; it reads the message and the lists alone\n");
  tide_describe_fallback(spec, out);
  tide_budget_fallback(spec, &verdict);
  tide_buf_str(out, "  an event of which nothing is known: ");
  verdict.blocked_by = UINT16_MAX;
  say_verdict(spec, &verdict, out);
  tide_buf_char(out, '\n');
}

/* ---- for programs ---- */

static void json_text(struct tide_buf *out, const char *key, const char *value) {
  tide_json_key(out, key);
  if (value) tide_json_cstr(out, value);
  else tide_json_null(out);
}

static void json_verdict(const struct tide_spec *spec, const struct tide_verdict *verdict, struct tide_buf *out) {
  bool none = verdict->by == TIDE_BY_NONE, fallback = verdict->by == TIDE_BY_FALLBACK;
  tide_json_open(out, '{');
  json_text(out, "decision", none ? NULL : spec->decision[verdict->decision]);
  json_text(out, "by", none ? NULL : tide_verdict_by(spec, verdict));
  json_text(out, "cause", fallback ? tide_cause_name((enum tide_cause)verdict->cause) : NULL);
  json_text(out, "unanswered", fallback && verdict->blocked_by != UINT16_MAX ? spec->rule[verdict->blocked_by].code : NULL);
  tide_json_close(out, '}');
}

void tide_budget_json(const struct tide_spec *spec, uint32_t entity, const struct tide_budget *budget, struct tide_buf *out) {
  const struct tide_group *group = &spec->group[spec->entity[entity].group];
  json_text(out, "entity", spec->entity[entity].name);
  json_text(out, "group", group->name);
  tide_json_key(out, "values");
  tide_json_int(out, values_of(spec, entity));
  tide_json_key(out, "budget_ms");
  tide_json_int(out, group->budget_ms);
  json_text(out, "consistency", level_name[group->consistency]);
  json_text(out, "stale", stale_name[group->stale]);
  json_text(out, "warming", stale_name[group->warming]);
  tide_json_key(out, "sources"); /* null: all that gate */
  if (!group->source_count) tide_json_null(out);
  else tide_json_open(out, '[');
  for (uint32_t i = 0; i < group->source_count; i++) tide_json_cstr(out, group->source[i]);
  if (group->source_count) tide_json_close(out, ']');
  tide_json_key(out, "rules");
  tide_json_open(out, '[');
  for (uint32_t r = 0; r < spec->rule_count; r++) {
    tide_json_open(out, '{');
    json_text(out, "code", spec->rule[r].code);
    json_text(out, "decision", spec->decision[spec->rule[r].decision]);
    tide_json_key(out, "shadow");
    tide_json_bool(out, spec->rule[r].shadow);
    json_text(out, "without", without_name[budget->rule[r]]);
    json_text(out, "gives_way_to", budget->rule[r] == TIDE_WITHOUT_gives_way ? spec->rule[budget->blocked_by[r]].code : NULL);
    tide_json_close(out, '}');
  }
  tide_json_close(out, ']');
  tide_json_key(out, "nothing_else");
  json_verdict(spec, &budget->quiet, out);
}

void tide_budget_fallback_json(const struct tide_spec *spec, struct tide_buf *out) {
  struct tide_verdict verdict;
  tide_json_open(out, '{');
  tide_json_key(out, "rules");
  tide_json_open(out, '[');
  for (uint32_t r = 0; r < spec->fallback_count; r++) {
    tide_json_open(out, '{');
    json_text(out, "code", spec->fallback[r].code);
    json_text(out, "decision", spec->decision[spec->fallback[r].decision]);
    tide_json_close(out, '}');
  }
  tide_json_close(out, ']');
  tide_budget_fallback(spec, &verdict);
  verdict.blocked_by = UINT16_MAX;
  tide_json_key(out, "nothing_known");
  json_verdict(spec, &verdict, out);
  tide_json_close(out, '}');
}
