/* `tests:`: small streams with what they must come to.
 *
 * Names and words are checked here, so that a test cannot pass because of a typing error; values are kept as texts. Running them is
 * somebody else's: they go through the same decoder and fold as everything. */
#include "base/clock.h"
#include "feature/spec_build.h"

/* What a test may expect besides features and derived values. */
static const char *const answer_names[] = {"decision", "rule", "by", "cause", "status", "duplicate", "id_conflict"};
#define ANSWER_NAMES (sizeof answer_names / sizeof answer_names[0])

static bool is_broken(const struct tide_build *b, const char *name) {
  for (uint32_t i = 0; i < b->broken_count; i++)
    if (strncmp(b->broken[i], name, strlen(b->broken[i])) == 0) return true;
  return false;
}

static bool value_of(struct tide_build *b, const struct tide_yaml_pair *pair, const char **ret) {
  if (tide_yaml_is_null(pair->value)) {
    *ret = "";
    return true;
  }
  if (!tide_build_scalar(b, pair->value, pair->key)) return false;
  *ret = tide_build_dup(b, pair->value->text);
  return true;
}

/* A field of the key, or a fact. */
static bool tellable(struct tide_build *b, const struct tide_yaml_pair *pair, uint32_t entity) {
  const struct tide_spec *spec = b->spec;
  if (tide_spec_fact(spec, entity, pair->key) != TIDE_NONE) return true;
  bool needed[TIDE_FIELDS_MAX];
  tide_spec_profile_needs(spec, entity, needed);
  uint32_t field = tide_spec_field(spec, pair->key);
  if (field != TIDE_NONE && needed[field] && field != spec->f_time) return true;
  if (is_broken(b, pair->key)) return false;
  const char *names[TIDE_FIELDS_MAX];
  size_t count = 0;
  for (uint32_t i = 0; i < spec->field_count; i++)
    if (i != spec->f_time && (spec->field[i].fact ? spec->field[i].fact_of == entity : needed[i])) names[count++] = spec->field[i].name;
  tide_build_fail(b, pair->line, pair->column, pair->key, "tests: a profile of %s tells no `%.64s`%s", spec->entity[entity].name, pair->key,
                  tide_build_suggest(b, pair->key, names, count));
  return false;
}

static bool settable(struct tide_build *b, const struct tide_yaml_pair *pair) {
  const struct tide_spec *spec = b->spec;
  uint32_t field = tide_spec_field(spec, pair->key), dyn = tide_dyn_find(pair->key);
  if (field != TIDE_NONE && spec->field[field].derived) {
    tide_build_fail(b, pair->line, pair->column, pair->key, "tests: `%s` is derived; set the fields it is derived from", pair->key);
    return false;
  }
  if (field != TIDE_NONE && field == spec->f_time) {
    tide_build_fail(b, pair->line, pair->column, pair->key, "tests: the time of an event is its `at:`");
    return false;
  }
  if (field != TIDE_NONE) return true;
  if (dyn != TIDE_NONE) {
    const char *const *words = tide_dyn_words((enum tide_dyn)dyn);
    size_t count = 0;
    while (words && words[count]) count++;
    return !words || tide_build_word(b, pair->value, pair->key, words, count) >= 0;
  }
  if (is_broken(b, pair->key)) return false;
  size_t count;
  const char *const *fields = tide_build_field_names(b, false, &count);
  const char **names = tide_arena_alloc(&b->scratch, (count + TIDE_DYN_COUNT + 7) * sizeof *names);
  memcpy(names, fields, count * sizeof *names);
  for (int i = 0; i < TIDE_DYN_COUNT; i++) names[count++] = tide_dyn_name((enum tide_dyn)i);
  names[count++] = "at";
  names[count++] = "repeat";
  names[count++] = "every";
  names[count++] = "list";
  names[count++] = "expires";
  names[count++] = "remove";
  names[count++] = "profile";
  tide_build_fail(b, pair->line, pair->column, pair->key, "tests: no field or outcome column is named `%.64s`%s", pair->key,
                  tide_build_suggest(b, pair->key, names, count));
  return false;
}

/* `list:` makes the event a list record, `expires:` and `remove:` belong to it. A field of that name is the field. True when the key was one of them. */
static bool read_list_key(struct tide_build *b, const struct tide_yaml_pair *pair, struct tide_test_event *event) {
  const struct tide_spec *spec = b->spec;
  if (tide_spec_field(spec, pair->key) != TIDE_NONE) return false;
  if (strcmp(pair->key, "list") == 0) {
    const char **names = tide_arena_alloc(&b->scratch, (spec->list_count + 1) * sizeof *names);
    for (uint32_t i = 0; i < spec->list_count; i++) names[i] = spec->list[i].name;
    int index = tide_build_word(b, pair->value, "list", names, spec->list_count);
    if (index >= 0) event->list = spec->list[index].name;
  } else if (strcmp(pair->key, "expires") == 0) {
    int64_t *expires_ms = tide_arena_alloc(&b->spec->arena, sizeof *expires_ms);
    if (tide_build_duration(b, pair->value, "expires", expires_ms)) event->expires_ms = expires_ms;
  } else if (strcmp(pair->key, "remove") == 0) {
    (void)tide_build_bool(b, pair->value, "remove", &event->remove);
  } else {
    return false;
  }
  return true;
}

/* `profile: ENTITY` makes it a profile. Nothing of that name may be a field. */
static void read_profile(struct tide_build *b, const struct tide_yaml_node *map, struct tide_test_event *event) {
  const struct tide_spec *spec = b->spec;
  const struct tide_yaml_node *node = tide_spec_field(spec, "profile") == TIDE_NONE ? tide_yaml_get(map, "profile") : NULL;
  if (!node) return;
  const char *names[TIDE_ENTITIES_MAX];
  for (uint32_t i = 0; i < spec->entity_count; i++) names[i] = spec->entity[i].name;
  int entity = tide_build_word(b, node, "profile", names, spec->entity_count);
  event->profile = entity >= 0;
  event->entity = entity >= 0 ? (uint32_t)entity : 0;
}

static void read_event(struct tide_build *b, const struct tide_yaml_node *map, struct tide_test_event *event) {
  if (map->kind != TIDE_YAML_MAP) {
    tide_build_fail_node(b, map, "events", "tests: an event is a mapping, like {at: 0s, amount: 20.00}, not %s", tide_yaml_kind_name(map));
    return;
  }
  *event = (struct tide_test_event){.repeat = 1,
                                    .line = map->line,
                                    .column = map->column,
                                    .set = tide_arena_alloc(&b->spec->arena, (map->count + 1) * sizeof *event->set)};
  read_profile(b, map, event);
  bool at = false;
  for (uint32_t i = 0; i < map->count; i++) {
    const struct tide_yaml_pair *pair = &map->pair[i];
    int64_t n;
    if (strcmp(pair->key, "profile") == 0 && tide_spec_field(b->spec, "profile") == TIDE_NONE) continue;
    if (strcmp(pair->key, "at") == 0) {
      at = true;
      (void)tide_build_duration(b, pair->value, "at", &event->at_ms);
    } else if (strcmp(pair->key, "every") == 0) {
      (void)tide_build_duration(b, pair->value, "every", &event->every_ms);
    } else if (strcmp(pair->key, "repeat") == 0) {
      if (tide_build_int(b, pair->value, "repeat", 1, 100000, &n)) event->repeat = (uint32_t)n;
    } else if (event->profile || !read_list_key(b, pair, event)) {
      const char *value;
      bool good = event->profile ? tellable(b, pair, event->entity) : settable(b, pair);
      if (!good || !value_of(b, pair, &value)) continue;
      event->set[event->set_count++] = (struct tide_test_pair){tide_build_dup(b, tide_span_of(pair->key)), value, pair->line, pair->column};
    }
  }
  if ((event->remove || event->expires_ms) && !tide_yaml_get(map, "list"))
    tide_build_fail_node(b, map, "list",
                         "tests: `expires:` and `remove:` belong to a list record: write `list:` with the name of the list");
  if (!at)
    tide_build_fail_node(b, map, "at",
                         "tests: `at:` is missing: when the event happens, counted from the beginning of the test, like `at: 90s`");
}

static void check_word(struct tide_build *b, const struct tide_yaml_pair *pair, const char *const *words, size_t count) {
  if (tide_build_scalar(b, pair->value, pair->key) && !is_broken(b, pair->value->text.ptr))
    (void)tide_build_word(b, pair->value, pair->key, words, count);
}

static void check_answer(struct tide_build *b, const struct tide_yaml_pair *pair) {
  const struct tide_spec *spec = b->spec;
  static const char *const statuses[] = {"scored", "refused"}, *const yes_no[] = {"false", "true"};
  const char **names = tide_arena_alloc(&b->scratch, (2 * TIDE_RULES_MAX + TIDE_C_COUNT + 4) * sizeof *names);
  size_t count = 0;
  if (strcmp(pair->key, "decision") == 0) {
    check_word(b, pair, spec->decision, spec->decision_count);
  } else if (strcmp(pair->key, "status") == 0) {
    check_word(b, pair, statuses, 2);
  } else if (strcmp(pair->key, "duplicate") == 0 || strcmp(pair->key, "id_conflict") == 0) {
    check_word(b, pair, yes_no, 2);
  } else if (strcmp(pair->key, "cause") == 0) {
    static const char *const causes[] = {
#define X(name, text, counted, then) #name,
        TIDE_CAUSES(X)
#undef X
    };
    check_word(b, pair, causes, TIDE_C_COUNT);
  } else {
    for (uint32_t i = 0; i < spec->rule_count; i++) names[count++] = spec->rule[i].code;
    for (uint32_t i = 0; i < spec->fallback_count; i++)
      if (spec->fallback[i].when) names[count++] = spec->fallback[i].code;
    names[count++] = "fallback.else";
    check_word(b, pair, names, count);
  }
}

static void read_expect(struct tide_build *b, const struct tide_yaml_node *map, struct tide_test *test) {
  const struct tide_spec *spec = b->spec;
  if (map->kind != TIDE_YAML_MAP || map->count == 0) {
    tide_build_fail_node(b, map, "expect", "tests: expect is a mapping of names to values, like {card.attempts_1h: 3, decision: approve}");
    return;
  }
  test->expect = tide_arena_alloc(&b->spec->arena, map->count * sizeof *test->expect);
  for (uint32_t i = 0; i < map->count; i++) {
    const struct tide_yaml_pair *pair = &map->pair[i];
    bool known = tide_spec_slot(spec, pair->key) != TIDE_NONE, answer = false;
    for (uint32_t k = 0; k < spec->derived_count && !known; k++) known = strcmp(spec->derived[k].name, pair->key) == 0;
    for (size_t k = 0; k < ANSWER_NAMES && !known; k++) known = answer = strcmp(answer_names[k], pair->key) == 0;
    if (!known) {
      if (is_broken(b, pair->key)) continue;
      const char **names = tide_arena_alloc(&b->scratch, (spec->slot_count + spec->derived_count + ANSWER_NAMES) * sizeof *names);
      size_t count = 0;
      for (uint32_t k = 0; k < spec->slot_count; k++) names[count++] = spec->slot[k].name;
      for (uint32_t k = 0; k < spec->derived_count; k++) names[count++] = spec->derived[k].name;
      for (size_t k = 0; k < ANSWER_NAMES; k++) names[count++] = answer_names[k];
      tide_build_fail(b, pair->line, pair->column, pair->key, "tests: nothing is named `%.100s`%s", pair->key,
                      tide_build_suggest(b, pair->key, names, count));
      continue;
    }
    const char *value;
    if (answer) check_answer(b, pair);
    if (tide_yaml_is_null(pair->value)) value = "null";
    else if (!value_of(b, pair, &value)) continue;
    test->expect[test->expect_count++] =
        (struct tide_test_pair){tide_build_dup(b, tide_span_of(pair->key)), value, pair->line, pair->column};
  }
}

static void read_test(struct tide_build *b, const struct tide_yaml_node *map, struct tide_test *test) {
  static const char *const keys[] = {"name", "events", "expect"};
  if (!tide_build_keys(b, map, "a test", keys, 3)) return;
  const struct tide_yaml_node *name = tide_yaml_get(map, "name"), *events = tide_yaml_get(map, "events"),
                              *expect = tide_yaml_get(map, "expect");
  *test = (struct tide_test){.name = "", .line = map->line, .column = map->column};
  if (!name) tide_build_fail_node(b, map, "name", "tests: `name:` is missing: what the test shows");
  else if (tide_build_scalar(b, name, "name")) test->name = tide_build_dup(b, name->text);
  if (!events || events->kind != TIDE_YAML_LIST || events->count == 0) {
    tide_build_fail_node(b, events ? events : map, "events", "tests: `events:` must be a list of at least one event, like [{at: 0s}]");
  } else if (events->count > TIDE_TEST_EVENTS_MAX) {
    tide_build_fail_node(b, events, "events", "tests: more than %d events; use `repeat:`", TIDE_TEST_EVENTS_MAX);
  } else {
    test->event = tide_arena_alloc(&b->spec->arena, events->count * sizeof *test->event);
    for (uint32_t i = 0; i < events->count; i++) read_event(b, events->item[i], &test->event[i]);
    test->event_count = events->count;
  }
  if (!expect) tide_build_fail_node(b, map, "expect", "tests: `expect:` is missing: a test without it cannot fail");
  else read_expect(b, expect, test);
}

void tide_build_tests(struct tide_build *b) {
  struct tide_spec *spec = b->spec;
  const struct tide_yaml_node *list = tide_yaml_get(b->root, "tests");
  if (!list) return;
  if (list->kind != TIDE_YAML_LIST) {
    tide_build_fail_node(b, list, "tests", "tests must be a list, not %s", tide_yaml_kind_name(list));
    return;
  }
  for (uint32_t i = 0; i < list->count; i++) {
    if (spec->test_count == TIDE_TESTS_MAX) {
      tide_build_fail_node(b, list->item[i], "tests", "more than %d tests", TIDE_TESTS_MAX);
      return;
    }
    read_test(b, list->item[i], &spec->test[spec->test_count++]);
  }
}
