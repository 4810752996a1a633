/* `policy:`: the words of decision, lists, rules and the fallback.
 *
 *   - CODE: [shadow] DECISION when EXPR [say "TEXT"]
 *   - else: DECISION
 *
 * Rules read everything but an event's own outcome, which is not known yet when it is judged. The fallback decides when features cannot be trusted,
 * so it reads the message, lists, time and what is derived from these alone; it always ends in an else, the strictest decision where none is written. */
#include "feature/spec_build.h"

#define RULE_ALLOW (TIDE_ALLOW_FIELDS | TIDE_ALLOW_FEATURES | TIDE_ALLOW_DERIVED | TIDE_ALLOW_SCORE | TIDE_ALLOW_LISTS | TIDE_ALLOW_TIME)
#define FALLBACK_ALLOW (TIDE_ALLOW_FIELDS | TIDE_ALLOW_DERIVED | TIDE_ALLOW_LISTS | TIDE_ALLOW_TIME)

static void read_decisions(struct tide_build *b, const struct tide_yaml_node *policy) {
  struct tide_spec *spec = b->spec;
  struct tide_yaml_node *node = tide_yaml_get(policy, "decisions");
  if (!node) {
    tide_build_fail_node(b, policy, "decisions",
                         "policy: `decisions:` is missing: list them from mild to strict, like [approve, review, decline]");
    return;
  }
  const struct tide_yaml_node *part[TIDE_DECISIONS_MAX];
  uint32_t count = tide_build_list(b, node, "decisions", TIDE_DECISIONS_MAX, part);
  for (uint32_t i = 0; i < count; i++) {
    const char *name = part[i]->text.ptr;
    bool taken = strcmp(name, "shadow") == 0 || strcmp(name, "when") == 0 || strcmp(name, "say") == 0;
    for (uint32_t k = 0; k < spec->decision_count; k++) taken = taken || strcmp(spec->decision[k], name) == 0;
    if (taken)
      tide_build_fail_node(b, part[i], "decisions",
                           "decisions: `%.64s` is taken: each stands once, and shadow, when and say are words of the language", name);
    else if (tide_build_name(b, name, part[i]->line, part[i]->column, "a decision"))
      spec->decision[spec->decision_count++] = tide_build_dup(b, part[i]->text);
  }
}

static void read_lists(struct tide_build *b, struct tide_yaml_node *node) {
  struct tide_spec *spec = b->spec;
  const struct tide_yaml_node *part[TIDE_LISTS_MAX];
  uint32_t count = tide_build_list(b, node, "lists", TIDE_LISTS_MAX, part);
  for (uint32_t i = 0; i < count; i++) {
    const char *name = part[i]->text.ptr;
    bool twice = false;
    for (uint32_t k = 0; k < spec->list_count; k++) twice = twice || strcmp(spec->list[k].name, name) == 0;
    if (twice) tide_build_fail_node(b, part[i], "lists", "lists: `%.64s` stands here twice", name);
    else if (tide_build_name(b, name, part[i]->line, part[i]->column, "a list"))
      spec->list[spec->list_count++] = (struct tide_list){.name = tide_build_dup(b, part[i]->text), .ref = TIDE_NONE};
  }
}

/* The first slot that the expression itself reads, in order of writing; with `through`, also what its derived values read. Those that read no feature are
 * passed over, so every step down finds one: without that, values that double each other would take for ever. */
static uint32_t first_slot(const struct tide_build *b, const struct tide_expr *expr, bool through) {
  if (!expr) return TIDE_NONE;
  if (expr->op == TIDE_X_FEATURE) return expr->ref;
  if (expr->op == TIDE_X_DERIVED)
    return through && !b->derived_plain[expr->ref] ? first_slot(b, b->spec->derived[expr->ref].expr, true) : TIDE_NONE;
  uint32_t slot = first_slot(b, expr->a, through);
  if (slot == TIDE_NONE) slot = first_slot(b, expr->b, through);
  return slot != TIDE_NONE ? slot : first_slot(b, expr->c, through);
}

static uint32_t rule_slot(const struct tide_build *b, const struct tide_rule *rule) {
  for (int through = 0; through < 2; through++) {
    uint32_t slot = first_slot(b, rule->when, through);
    for (uint32_t i = 0; i < rule->say_count && slot == TIDE_NONE; i++) slot = first_slot(b, rule->parts[i].value, through);
    if (slot != TIDE_NONE) return slot;
  }
  return TIDE_NONE;
}

/* The first derived value below expr that reads features, or TIDE_NONE. */
static uint32_t impure(const struct tide_build *b, const struct tide_expr *expr) {
  for (uint32_t i = 0; expr && i < b->spec->derived_count; i++)
    if (!b->derived_plain[i] && tide_expr_reads_ref(expr, TIDE_X_DERIVED, i)) return i;
  return TIDE_NONE;
}

struct reading {
  struct tide_build *b;
  const struct tide_yaml_node *node;
  const char *what;
  bool fallback;
};

static bool read_decision(const struct reading *r, struct tide_span word, uint32_t *ret) {
  const struct tide_spec *spec = r->b->spec;
  for (uint32_t i = 0; i < spec->decision_count; i++)
    if (tide_span_is(word, spec->decision[i])) {
      *ret = i;
      return true;
    }
  const char *text = tide_arena_strdup(&r->b->scratch, word);
  if (spec->decision_count)
    tide_build_fail_text(r->b, r->node, (size_t)(word.ptr - r->node->text.ptr), r->what, "%s: `%.64s` is not one of the decisions%s",
                         r->what, text, tide_build_suggest(r->b, text, spec->decision, spec->decision_count));
  return false;
}

/* The text between the quotes behind `say`, with \" and \\ made plain. */
static bool read_say(const struct reading *r, struct tide_span say, struct tide_rule *rule) {
  struct tide_build *b = r->b;
  size_t at = (size_t)(say.ptr - r->node->text.ptr);
  if (say.len < 2 || say.ptr[0] != '"' || say.ptr[say.len - 1] != '"') {
    tide_build_fail_text(b, r->node, at, r->what, "%s: the text behind `say` must stand in double quotes and end the rule", r->what);
    return false;
  }
  struct tide_span inner = {say.ptr + 1, say.len - 2};
  char *plain = tide_arena_strdup(&b->spec->arena, inner);
  size_t n = 0;
  bool escaped = false;
  for (size_t i = 0; i < inner.len; i++) {
    if (inner.ptr[i] == '"') {
      tide_build_fail_text(b, r->node, at + 1 + i, r->what, "%s: a quote inside the text is written \\\"", r->what);
      return false;
    }
    if (inner.ptr[i] == '\\' && i + 1 < inner.len && (inner.ptr[i + 1] == '"' || inner.ptr[i + 1] == '\\')) i++, escaped = true;
    plain[n++] = inner.ptr[i];
  }
  plain[n] = 0;
  rule->say = plain;
  unsigned allow = r->fallback ? FALLBACK_ALLOW : RULE_ALLOW;
  if (!escaped) return tide_build_say(b, r->node, inner, allow, rule);
  struct tide_yaml_node shifted = *r->node; /* places inside a text with escapes are those of the rule */
  shifted.text = (struct tide_span){plain, n};
  shifted.exact = false;
  return tide_build_say(b, &shifted, shifted.text, allow, rule);
}

static bool check_fallback(const struct reading *r, const struct tide_rule *rule) {
  uint32_t bad = impure(r->b, rule->when);
  for (uint32_t i = 0; i < rule->say_count && bad == TIDE_NONE; i++) bad = impure(r->b, rule->parts[i].value);
  if (bad == TIDE_NONE) return true;
  tide_build_fail_node(r->b, r->node, r->what,
                       "%s: `%s` reads features: the fallback decides when they cannot be trusted, so it reads only fields, lists and time",
                       r->what, r->b->spec->derived[bad].name);
  return false;
}

/* [shadow] DECISION when EXPR [say "TEXT"] */
static bool read_rule(const struct reading *r, struct tide_rule *rule) {
  struct tide_span text = r->node->text;
  size_t when = tide_text_find_word(text, 0, "when");
  if (when == SIZE_MAX) {
    tide_build_fail_node(r->b, r->node, r->what,
                         "%s: write `DECISION when CONDITION`, like `decline when amount > 500`; only else has no condition", r->what);
    return false;
  }
  struct tide_span head = tide_span_trim((struct tide_span){text.ptr, when});
  if (head.len >= 6 && memcmp(head.ptr, "shadow", 6) == 0 && (head.len == 6 || head.ptr[6] == ' ')) {
    rule->shadow = true;
    head = tide_span_trim((struct tide_span){head.ptr + 6, head.len - 6});
  }
  if (rule->shadow && r->fallback) {
    tide_build_fail_node(r->b, r->node, r->what, "%s: a fallback rule cannot be a shadow: it would decide nothing and count nothing",
                         r->what);
    return false;
  }
  bool good = read_decision(r, head, &rule->decision);
  size_t say = tide_text_find_word(text, when, "say");
  size_t end = say == SIZE_MAX ? text.len : say;
  struct tide_span cond = tide_span_trim((struct tide_span){text.ptr + when + 4, end - when - 4});
  rule->when = tide_build_expr(r->b, r->node, cond, r->fallback ? FALLBACK_ALLOW : RULE_ALLOW, TIDE_V_BOOL, r->what);
  good = rule->when && good;
  if (say != SIZE_MAX && !read_say(r, tide_span_trim((struct tide_span){text.ptr + say + 3, text.len - say - 3}), rule)) good = false;
  if (good && r->fallback) good = check_fallback(r, rule);
  return good;
}

static const struct tide_rule *code_taken(const struct tide_spec *spec, const char *code) {
  for (uint32_t i = 0; i < spec->rule_count; i++)
    if (strcmp(spec->rule[i].code, code) == 0) return &spec->rule[i];
  for (uint32_t i = 0; i < spec->fallback_count; i++)
    if (strcmp(spec->fallback[i].code, code) == 0) return &spec->fallback[i];
  return NULL;
}

static bool code_good(struct tide_build *b, const struct tide_yaml_pair *pair) {
  char c = pair->key[0];
  if (c == '_' || !tide_build_name(b, pair->key, pair->line, pair->column, "a rule")) {
    if (c == '_') tide_build_fail(b, pair->line, pair->column, pair->key, "the code of a rule begins with a letter");
    return false;
  }
  const struct tide_rule *other = code_taken(b->spec, pair->key);
  if (other)
    tide_build_fail(b, pair->line, pair->column, pair->key, "the code `%s` is taken by the rule in line %d", pair->key, other->line);
  return !other;
}

static void read_rules(struct tide_build *b, const struct tide_yaml_node *list, bool fallback) {
  struct tide_spec *spec = b->spec;
  const char *section = fallback ? "fallback" : "rules";
  if (list->kind != TIDE_YAML_LIST) {
    tide_build_fail_node(b, list, section, "%s must be a list of `- CODE: DECISION when CONDITION`, not %s", section,
                         tide_yaml_kind_name(list));
    return;
  }
  struct tide_rule *table = fallback ? spec->fallback : spec->rule;
  uint32_t *count = fallback ? &spec->fallback_count : &spec->rule_count;
  for (uint32_t i = 0; i < list->count; i++) {
    const struct tide_yaml_node *item = list->item[i];
    if (item->kind != TIDE_YAML_MAP || item->count != 1) {
      tide_build_fail_node(b, item, section, "%s: each entry is one pair, like `- V01: decline when amount > 500`", section);
      continue;
    }
    const struct tide_yaml_pair *pair = &item->pair[0];
    if (*count == TIDE_RULES_MAX) {
      tide_build_fail(b, pair->line, pair->column, pair->key, "more than %d %s", TIDE_RULES_MAX, fallback ? "fallback rules" : "rules");
      return;
    }
    bool is_else = strcmp(pair->key, "else") == 0;
    struct tide_rule rule = {.say = "", .first_slot = TIDE_NONE, .line = pair->line, .column = pair->column};
    if (!is_else && !code_good(b, pair)) {
      tide_build_broken(b, pair->key);
      continue;
    }
    rule.code = tide_build_dup(b, tide_span_of(pair->key));
    if (!tide_build_scalar(b, pair->value, pair->key)) continue;
    struct reading r = {b, pair->value, rule.code, fallback};
    if (is_else) {
      if (i + 1 != list->count) {
        tide_build_fail(b, pair->line, pair->column, pair->key, "else must be the last entry of %s: what follows it is never reached",
                        section);
        continue;
      }
      if (!read_decision(&r, tide_span_trim(pair->value->text), &rule.decision)) continue;
    } else if (!read_rule(&r, &rule)) {
      if (b->error_count) tide_build_broken(b, pair->key);
      continue;
    }
    rule.first_slot = rule_slot(b, &rule);
    spec->reads_score = spec->reads_score || (rule.when && tide_expr_reads(rule.when, TIDE_X_SCORE));
    for (uint32_t k = 0; k < rule.say_count; k++)
      spec->reads_score = spec->reads_score || (rule.parts[k].value && tide_expr_reads(rule.parts[k].value, TIDE_X_SCORE));
    table[(*count)++] = rule;
  }
}

void tide_build_policy(struct tide_build *b) {
  static const char *const keys[] = {"decisions", "lists", "rules", "fallback"};
  struct tide_spec *spec = b->spec;
  const struct tide_yaml_node *policy = tide_yaml_get(b->root, "policy");
  if (!policy || !tide_build_keys(b, policy, "policy", keys, 4)) return;
  struct tide_yaml_node *lists = tide_yaml_get(policy, "lists"), *rules = tide_yaml_get(policy, "rules"),
                        *fallback = tide_yaml_get(policy, "fallback");
  read_decisions(b, policy);
  if (lists && !(lists->kind == TIDE_YAML_LIST && lists->count == 0)) read_lists(b, lists);
  if (!rules || (rules->kind == TIDE_YAML_LIST && rules->count == 0))
    tide_build_fail_node(b, rules ? rules : policy, "rules", "policy: `rules:` needs at least one rule, like `- else: approve`");
  else read_rules(b, rules, false);
  if (fallback) read_rules(b, fallback, true);
  bool closed = spec->fallback_count && !spec->fallback[spec->fallback_count - 1].when;
  if (!closed && spec->decision_count) /* fail closed */
    spec->fallback[spec->fallback_count++] = (struct tide_rule){.code = "else",
                                                                .decision = spec->decision_count - 1,
                                                                .say = "",
                                                                .first_slot = TIDE_NONE,
                                                                .line = fallback ? fallback->line : policy->line,
                                                                .column = fallback ? fallback->column : policy->column};
}
