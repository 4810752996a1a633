/* `entities:`: whose events are counted together.
 *
 * A key is a field, a tuple [a, b] of which all must be there, or first_of(a, b): the first that is there. Parts may be entities declared before,
 * whose whole key is then the part; so keys cannot run in circles. The first entity is primary: it holds identities and decisions. */
#include "base/clock.h"
#include "feature/settings.h"
#include "feature/spec_build.h"

bool tide_build_operand(struct tide_build *b, const struct tide_yaml_node *node, struct tide_span name, const char *what,
                        struct tide_key_part *ret) {
  const struct tide_spec *spec = b->spec;
  const char *text = tide_arena_strdup(&b->scratch, name);
  uint32_t field = tide_spec_field(spec, text), entity = tide_spec_entity(spec, text);
  if (field != TIDE_NONE && entity != TIDE_NONE) {
    const struct tide_entity *e = &spec->entity[entity];
    if (e->part_count == 1 && !e->part[0].is_entity && e->part[0].ref == field) entity = TIDE_NONE;
  }
  if (entity != TIDE_NONE) {
    *ret = (struct tide_key_part){true, entity};
    return true;
  }
  if (field != TIDE_NONE) {
    *ret = (struct tide_key_part){false, field};
    return true;
  }
  for (uint32_t i = 0; i < b->broken_count; i++)
    if (tide_span_is(name, b->broken[i])) return false;
  size_t count;
  const char *const *names = tide_build_field_names(b, true, &count);
  tide_build_fail_text(b, node, (size_t)(name.ptr - node->text.ptr), text, "%s: no field or entity is named `%.64s`%s", what, text,
                       tide_build_suggest(b, text, names, count));
  return false;
}

static bool add_part(struct tide_build *b, const struct tide_yaml_node *node, struct tide_span name, struct tide_entity *entity) {
  if (entity->part_count == TIDE_TUPLE_MAX) {
    tide_build_fail_text(b, node, (size_t)(name.ptr - node->text.ptr), entity->name, "%s: a key has at most %d parts", entity->name,
                         TIDE_TUPLE_MAX);
    return false;
  }
  struct tide_key_part part;
  if (!tide_build_operand(b, node, name, entity->name, &part)) return false;
  if (!part.is_entity && (b->spec->field[part.ref].type == TIDE_F_MONEY || b->spec->field[part.ref].type == TIDE_F_TIME)) {
    tide_build_fail_text(b, node, (size_t)(name.ptr - node->text.ptr), entity->name, "%s: an amount or a time cannot be part of a key",
                         entity->name);
    return false;
  }
  for (uint32_t i = 0; i < entity->part_count; i++)
    if (entity->part[i].is_entity == part.is_entity && entity->part[i].ref == part.ref) {
      tide_build_fail_text(b, node, (size_t)(name.ptr - node->text.ptr), entity->name, "%s: `%.*s` stands in the key twice", entity->name,
                           TIDE_SPAN_FMT(name));
      return false;
    }
  entity->part[entity->part_count++] = part;
  return true;
}

/* FIELD, or first_of(a, b) */
static bool key_of_text(struct tide_build *b, const struct tide_yaml_node *node, struct tide_entity *entity) {
  struct tide_span text = tide_span_trim(node->text);
  const char *open = memchr(text.ptr, '(', text.len);
  if (!open) return add_part(b, node, text, entity);
  struct tide_span call = tide_span_trim((struct tide_span){text.ptr, (size_t)(open - text.ptr)});
  if (!tide_span_is(call, "first_of") || text.ptr[text.len - 1] != ')') {
    tide_build_fail_text(b, node, 0, entity->name, "%s: a key is FIELD, [FIELD, FIELD] or first_of(FIELD, FIELD), not `%.64s`",
                         entity->name, node->text.ptr);
    return false;
  }
  entity->first_of = true;
  struct tide_span inner = {open + 1, (size_t)(text.ptr + text.len - open) - 2};
  for (;;) {
    const char *comma = memchr(inner.ptr, ',', inner.len);
    struct tide_span name = tide_span_trim((struct tide_span){inner.ptr, comma ? (size_t)(comma - inner.ptr) : inner.len});
    if (name.len == 0) {
      tide_build_fail_text(b, node, (size_t)(inner.ptr - node->text.ptr), entity->name, "%s: a name is missing in first_of(...)",
                           entity->name);
      return false;
    }
    if (!add_part(b, node, name, entity)) return false;
    if (!comma) return true;
    inner = (struct tide_span){comma + 1, inner.len - (size_t)(comma + 1 - inner.ptr)};
  }
}

static bool read_key(struct tide_build *b, const struct tide_yaml_node *node, struct tide_entity *entity) {
  if (node->kind == TIDE_YAML_SCALAR) return tide_build_scalar(b, node, entity->name) && key_of_text(b, node, entity);
  if (node->kind != TIDE_YAML_LIST || node->count == 0) {
    tide_build_fail_node(b, node, entity->name, "%s: the key must be FIELD, [FIELD, FIELD] or first_of(FIELD, FIELD)", entity->name);
    return false;
  }
  for (uint32_t i = 0; i < node->count; i++)
    if (!tide_build_scalar(b, node->item[i], entity->name) || !add_part(b, node->item[i], tide_span_trim(node->item[i]->text), entity))
      return false;
  return true;
}

static bool read_entity(struct tide_build *b, const struct tide_yaml_pair *pair, struct tide_entity *entity) {
  static const char *const keys[] = {"key", "max", "keep", "forget_after"};
  const struct tide_yaml_node *node = pair->value;
  if (node->kind != TIDE_YAML_MAP) return read_key(b, node, entity);
  if (!tide_build_keys(b, node, entity->name, keys, 4)) return false;
  const struct tide_yaml_node *key = tide_yaml_get(node, "key"), *max = tide_yaml_get(node, "max"), *keep = tide_yaml_get(node, "keep"),
                              *forget = tide_yaml_get(node, "forget_after");
  bool good = true;
  if (!key) {
    tide_build_fail_node(b, node, entity->name, "%s: `key:` is missing", entity->name);
    good = false;
  } else {
    good = read_key(b, key, entity);
  }
  if (max && !tide_build_int(b, max, "max", 1, 60000000, &entity->max_entities)) good = false;
  if (keep && !tide_build_duration(b, keep, "keep", &entity->keep_ms)) good = false;
  if (keep && good && entity->keep_ms == 0) {
    tide_build_fail_node(b, keep, "keep", "keep must be longer than 0");
    good = false;
  }
  if (forget && !tide_build_duration(b, forget, "forget_after", &entity->forget_after_ms)) good = false;
  b->forget_given[b->spec->entity_count] = forget != NULL;
  return good;
}

void tide_build_entities(struct tide_build *b) {
  struct tide_spec *spec = b->spec;
  const struct tide_yaml_node *map = tide_yaml_get(b->root, "entities");
  if (!map) {
    tide_build_fail(b, 1, 1, "entities", "`entities:` is missing: it says whose events are counted together, like `card: pan`");
    return;
  }
  if (map->kind != TIDE_YAML_MAP || map->count == 0) {
    tide_build_fail_node(b, map, "entities", "entities must be a mapping of names to keys, not %s",
                         map->count ? tide_yaml_kind_name(map) : "empty");
    return;
  }
  for (uint32_t i = 0; i < map->count; i++) {
    const struct tide_yaml_pair *pair = &map->pair[i];
    if (spec->entity_count == TIDE_ENTITIES_MAX) {
      tide_build_fail(b, pair->line, pair->column, pair->key, "more than %d entities", TIDE_ENTITIES_MAX);
      return;
    }
    if (strcmp(pair->key, "default") == 0) {
      tide_build_fail(b, pair->line, pair->column, pair->key, "an entity cannot be named `default`: freshness uses that word");
      continue;
    }
    if (!tide_build_name(b, pair->key, pair->line, pair->column, "an entity")) continue;
    struct tide_entity entity = {.name = tide_build_dup(b, tide_span_of(pair->key)),
                                 .keep_ms = TIDE_D(30),
                                 .forget_after_ms = TIDE_D(400),
                                 .line = pair->line,
                                 .column = pair->column};
    if (!read_entity(b, pair, &entity)) {
      if (b->error_count) tide_build_broken(b, pair->key);
      if (i == 0) { /* keep its place: the next one must not become primary and be blamed for it */
        entity.part_count = 0;
        spec->entity[spec->entity_count++] = entity;
      }
      continue;
    }
    spec->entity[spec->entity_count++] = entity;
  }
}
