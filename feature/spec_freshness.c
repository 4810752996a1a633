/* `freshness:`: how old the features of each entity may be and what to do when they are older.
 *
 * Group 0 is `default` and always there. An entity that is named has a group of its own, which takes from `default` what it does not say,
 * wherever `default` stands in the file; all other entities belong to group 0. */
#include "base/num.h"
#include "feature/settings.h"
#include "feature/spec_build.h"

#define GROUP_SOURCES_MAX 64

/* fallback | mark | default VALUE | recompute (stale only) */
static void read_stale(struct tide_build *b, const struct tide_yaml_node *node, const char *what, bool recompute, uint8_t *ret,
                       double *ret_default) {
  static const char *const words[] = {"fallback", "mark", "default VALUE", "recompute"}; /* by enum tide_stale */
  if (!tide_build_scalar(b, node, what)) return;
  struct tide_span text = tide_span_trim(node->text);
  if (text.len > 7 && memcmp(text.ptr, "default", 7) == 0 && (text.ptr[7] == ' ' || text.ptr[7] == '\t')) {
    struct tide_span value = tide_span_trim((struct tide_span){text.ptr + 7, text.len - 7});
    if (tide_double_parse(value, ret_default)) {
      tide_build_fail_text(b, node, (size_t)(value.ptr - node->text.ptr), what, "%s: `%.40s` is not a number", what, value.ptr);
      return;
    }
    *ret = TIDE_STALE_DEFAULT;
    return;
  }
  int word = tide_build_word(b, node, what, words, recompute ? 4 : 3);
  if (word >= 0) *ret = (uint8_t)word;
  if (word == TIDE_STALE_DEFAULT) tide_build_fail_node(b, node, what, "%s: `default` needs a value, like `default 0`", what);
}

static void read_group(struct tide_build *b, const struct tide_yaml_node *map, struct tide_group *group) {
  static const char *const keys[] = {"budget", "stale", "warming", "consistency", "sources", "facts"};
  static const char *const levels[] = {"strong", "quorum", "eventual"}; /* by enum tide_consistency */
  if (!tide_build_keys(b, map, group->name, keys, 6)) return;
  struct tide_yaml_node *node;
  if ((node = tide_yaml_get(map, "budget"))) (void)tide_build_duration(b, node, "budget", &group->budget_ms);
  if ((node = tide_yaml_get(map, "facts"))) (void)tide_build_duration(b, node, "facts", &group->facts_ms);
  if ((node = tide_yaml_get(map, "stale"))) read_stale(b, node, "stale", true, &group->stale, &group->stale_default);
  if ((node = tide_yaml_get(map, "warming"))) read_stale(b, node, "warming", false, &group->warming, &group->warming_default);
  if ((node = tide_yaml_get(map, "consistency"))) {
    int level = tide_build_word(b, node, "consistency", levels, 3);
    if (level >= 0) group->consistency = (uint8_t)level;
  }
  if ((node = tide_yaml_get(map, "sources"))) {
    const struct tide_yaml_node *part[GROUP_SOURCES_MAX];
    uint32_t count = tide_build_list(b, node, "sources", GROUP_SOURCES_MAX, part);
    const char **source = tide_arena_alloc(&b->spec->arena, (count + 1) * sizeof *source);
    for (uint32_t i = 0; i < count; i++) source[i] = tide_build_dup(b, part[i]->text);
    group->source = source;
    group->source_count = count;
  }
}

void tide_build_freshness(struct tide_build *b) {
  struct tide_spec *spec = b->spec;
  const struct tide_yaml_node *map = tide_yaml_get(b->root, "freshness");
  spec->group[spec->group_count++] = (struct tide_group){.name = "default",
                                                         .budget_ms = 15000,
                                                         .facts_ms = TIDE_D(400),
                                                         .stale = TIDE_STALE_FALLBACK,
                                                         .warming = TIDE_STALE_FALLBACK,
                                                         .consistency = TIDE_CONSISTENCY_QUORUM};
  if (!map) return;
  if (map->kind != TIDE_YAML_MAP) {
    tide_build_fail_node(b, map, "freshness", "freshness must be a mapping of entities to budgets, not %s", tide_yaml_kind_name(map));
    return;
  }
  const struct tide_yaml_node *dflt = tide_yaml_get(map, "default");
  if (dflt) read_group(b, dflt, &spec->group[0]);
  for (uint32_t i = 0; i < map->count; i++) {
    const struct tide_yaml_pair *pair = &map->pair[i];
    if (strcmp(pair->key, "default") == 0) continue;
    uint32_t entity = tide_spec_entity(spec, pair->key);
    if (entity == TIDE_NONE) {
      const char *names[TIDE_ENTITIES_MAX + 1];
      uint32_t count = 0;
      for (uint32_t k = 0; k < spec->entity_count; k++) names[count++] = spec->entity[k].name;
      names[count++] = "default";
      bool broken = false;
      for (uint32_t k = 0; k < b->broken_count; k++) broken = broken || strcmp(b->broken[k], pair->key) == 0;
      if (!broken)
        tide_build_fail(b, pair->line, pair->column, pair->key, "freshness: no entity is named `%.64s`%s", pair->key,
                        tide_build_suggest(b, pair->key, names, count));
      continue;
    }
    TIDE_CHECK(spec->group_count <= TIDE_ENTITIES_MAX);
    struct tide_group *group = &spec->group[spec->group_count];
    *group = spec->group[0];
    group->name = spec->entity[entity].name;
    spec->entity[entity].group = spec->group_count++;
    read_group(b, pair->value, group);
  }
}
