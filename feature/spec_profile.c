/* Shapes of `type: profile`: whom a message tells about (`entity:`), and what (`facts:`).
 *
 * A fact is a row of the table of fields, behind all fields of events and derived ones, so that records carry both alike; it belongs to an entity and is found
 * by no name but its own under that entity. Shapes may tell different facts, or the same from different places, but in one form. Of the fields of events a
 * profile reads the key of its entity and the time, nothing else: what is not under `facts:` would be told and kept by nobody, so it is refused. */
#include "feature/spec_build.h"

struct profiles {
  struct tide_build *b;
  const struct tide_yaml_node *inputs;
  bool done[TIDE_SHAPES_MAX];
  bool own[TIDE_SHAPES_MAX]; /* names an entity that is there */
};

static void need(const struct tide_spec *spec, uint32_t entity, bool ret[TIDE_FIELDS_MAX]) {
  const struct tide_entity *e = &spec->entity[entity];
  for (uint32_t i = 0; i < e->part_count; i++)
    if (e->part[i].is_entity) need(spec, e->part[i].ref, ret); /* entities refer to earlier ones only */
    else ret[e->part[i].ref] = true;
}

void tide_spec_profile_needs(const struct tide_spec *spec, uint32_t entity, bool ret[TIDE_FIELDS_MAX]) {
  memset(ret, 0, TIDE_FIELDS_MAX * sizeof *ret);
  need(spec, entity, ret);
  for (uint32_t i = spec->field_count; i-- > 0;) { /* derived fields refer to earlier ones only */
    const struct tide_field *field = &spec->field[i];
    if (!ret[i] || !field->derived) continue;
    ret[i] = false;
    if (field->derive_fn != TIDE_DERIVE_EXPR) ret[field->derive_of] = true;
    for (uint32_t k = 0; field->derive_fn == TIDE_DERIVE_EXPR && k < i; k++)
      if (tide_expr_reads_ref(field->derive, TIDE_X_FIELD, k)) ret[k] = true;
  }
  if (spec->f_time != TIDE_NONE) ret[spec->f_time] = true;
}

/* The field of a fact, declared here or by a shape before; TIDE_NONE when it cannot be (noted). */
static uint32_t fact_for(struct tide_build *b, const struct tide_yaml_pair *pair, const struct tide_shape *shape,
                         const struct tide_build_column *c) {
  struct tide_spec *spec = b->spec;
  const char *entity = spec->entity[shape->entity].name;
  uint32_t fact = tide_spec_fact(spec, shape->entity, pair->key);
  if (fact != TIDE_NONE) {
    const struct tide_field *f = &spec->field[fact];
    if (f->type == c->as.type && f->decimals == c->as.decimals) return fact;
    tide_build_fail(b, pair->line, pair->column, pair->key,
                    "the fact `%s` of %s has another form in line %d: a fact has one form in all shapes; say `as:` alike", pair->key,
                    entity, f->line);
    return TIDE_NONE;
  }
  if (!tide_build_name(b, pair->key, pair->line, pair->column, "a fact")) return TIDE_NONE;
  bool needed[TIDE_FIELDS_MAX];
  tide_spec_profile_needs(spec, shape->entity, needed);
  fact = tide_spec_field(spec, pair->key);
  if (fact != TIDE_NONE && needed[fact]) {
    tide_build_fail(b, pair->line, pair->column, pair->key,
                    "`%s` is read to know which %s the profile is about, and when: give the fact another name", pair->key, entity);
    return TIDE_NONE;
  }
  if (spec->field_count == TIDE_FIELDS_MAX) {
    tide_build_fail(b, pair->line, pair->column, pair->key, "more than %d fields and facts", TIDE_FIELDS_MAX);
    return TIDE_NONE;
  }
  spec->field[spec->field_count] = (struct tide_field){.name = tide_build_dup(b, tide_span_of(pair->key)),
                                                       .type = c->as.type,
                                                       .decimals = c->as.decimals,
                                                       .fact = true,
                                                       .fact_of = shape->entity,
                                                       .derive_of = TIDE_NONE,
                                                       .line = pair->line,
                                                       .column = pair->column};
  spec->fact_count++;
  return spec->field_count++;
}

static void remove_fact(struct tide_build *b, const struct tide_yaml_pair *pair, struct tide_shape *shape) {
  uint32_t fact = tide_spec_fact(b->spec, shape->entity, pair->key);
  for (uint32_t i = 0; fact != TIDE_NONE && i < shape->field_count; i++) {
    if (shape->field[i].field != fact) continue;
    memmove(&shape->field[i], &shape->field[i + 1], (shape->field_count - i - 1) * sizeof *shape->field);
    shape->field_count--;
    return;
  }
  tide_build_fail(b, pair->line, pair->column, pair->key, "`%.64s` is removed here, but the extended shape does not tell it", pair->key);
}

static void read_facts(struct tide_build *b, const struct tide_yaml_node *map, struct tide_shape *shape) {
  if (map->kind != TIDE_YAML_MAP) {
    tide_build_fail_node(b, map, "facts",
                         "inputs.%s: facts must be a mapping of names to columns, like {limit: {at: /limit, as: amount}}, not %s",
                         shape->name, tide_yaml_kind_name(map));
    return;
  }
  for (uint32_t i = 0; i < map->count; i++) {
    const struct tide_yaml_pair *pair = &map->pair[i];
    struct tide_build_column c;
    if (tide_yaml_is_null(pair->value)) {
      remove_fact(b, pair, shape);
      continue;
    }
    if (!tide_build_fact_read(b, pair, &c)) {
      tide_build_broken(b, pair->key);
      continue;
    }
    c.in.field = fact_for(b, pair, shape, &c);
    if (c.in.field != TIDE_NONE) tide_build_column_add(b, shape, &c.in);
    else tide_build_broken(b, pair->key);
  }
}

/* Columns of the shape's own text that a profile has no use for are mistakes; those of its parent are left out. */
static void keep_needed(struct tide_build *b, const struct tide_yaml_node *map, struct tide_shape *shape) {
  const struct tide_spec *spec = b->spec;
  bool needed[TIDE_FIELDS_MAX];
  tide_spec_profile_needs(spec, shape->entity, needed);
  uint32_t kept = 0;
  for (uint32_t i = 0; i < shape->field_count; i++) {
    const struct tide_input_field *in = &shape->field[i];
    if (in->field != TIDE_NONE && (needed[in->field] || spec->field[in->field].fact)) {
      shape->field[kept++] = *in;
      continue;
    }
    const struct tide_yaml_node *own = in->field == TIDE_NONE ? NULL : tide_yaml_get(map, spec->field[in->field].name);
    if (own)
      tide_build_fail(b, in->line, in->column, spec->field[in->field].name,
                      "inputs.%s: `%s` is neither in the key of `%s` nor the time: what a profile tells stands under `facts:`", shape->name,
                      spec->field[in->field].name, spec->entity[shape->entity].name);
  }
  shape->field_count = kept;
}

static uint32_t shape_named(const struct tide_spec *spec, const char *name) {
  for (uint32_t i = 0; i < spec->shape_count; i++)
    if (strcmp(spec->shape[i].name, name) == 0) return i;
  return TIDE_NONE;
}

/* Whom it is about: as it says, else as the shape that it extends, else the primary entity. */
static bool read_entity(struct tide_build *b, const struct tide_yaml_node *map, const struct tide_shape *parent, struct tide_shape *shape) {
  const struct tide_spec *spec = b->spec;
  const struct tide_yaml_node *node = tide_yaml_get(map, "entity");
  shape->entity = parent ? parent->entity : 0;
  if (!node) return spec->entity_count > 0; /* an entity is missing: noted there */
  if (node->kind == TIDE_YAML_MAP) {
    tide_build_fail_node(b, node, "entity", "`entity:` in a profile says whom it is about; a field needs another name");
    return false;
  }
  if (!tide_build_scalar(b, node, "entity")) return false;
  uint32_t entity = tide_spec_entity(spec, node->text.ptr);
  if (entity != TIDE_NONE) {
    shape->entity = entity;
    return true;
  }
  for (uint32_t i = 0; i < b->broken_count; i++)
    if (tide_span_is(node->text, b->broken[i])) return false;
  const char *names[TIDE_ENTITIES_MAX];
  for (uint32_t i = 0; i < spec->entity_count; i++) names[i] = spec->entity[i].name;
  tide_build_fail_node(b, node, "entity", "inputs.%s: no entity is named `%.64s`%s", shape->name, node->text.ptr,
                       tide_build_suggest(b, node->text.ptr, names, spec->entity_count));
  return false;
}

/* Parents first; the chain is at most TIDE_SHAPES_MAX long. */
static void finish(struct profiles *p, uint32_t index) {
  struct tide_build *b = p->b;
  struct tide_spec *spec = b->spec;
  struct tide_shape *shape = &spec->shape[index];
  if (p->done[index] || b->shape_broken[index] || shape->type != TIDE_REC_PROFILE) return;
  p->done[index] = true;
  const struct tide_yaml_node *map = tide_yaml_get(p->inputs, shape->name), *extends = tide_yaml_get(map, "extends"),
                              *facts = tide_yaml_get(map, "facts");
  uint32_t parent = extends && extends->kind == TIDE_YAML_SCALAR ? shape_named(spec, extends->text.ptr) : TIDE_NONE;
  if (parent != TIDE_NONE) finish(p, parent);
  bool heir = parent != TIDE_NONE && p->own[parent];
  if (!read_entity(b, map, heir ? &spec->shape[parent] : NULL, shape)) {
    b->shape_broken[index] = true; /* nothing more is asked of it */
    for (uint32_t i = 0; facts && facts->kind == TIDE_YAML_MAP && i < facts->count; i++) tide_build_broken(b, facts->pair[i].key);
    return;
  }
  p->own[index] = true;
  for (uint32_t i = 0; heir && spec->shape[parent].entity == shape->entity && i < spec->shape[parent].field_count; i++) {
    const struct tide_input_field *in = &spec->shape[parent].field[i];
    if (in->field != TIDE_NONE && spec->field[in->field].fact) tide_build_column_add(b, shape, in);
  }
  if (facts) read_facts(b, facts, shape);
  keep_needed(b, map, shape);
}

void tide_build_profiles(struct tide_build *b) {
  struct profiles p = {.b = b, .inputs = tide_yaml_get(b->root, "inputs")};
  for (uint32_t i = 0; i < b->spec->shape_count; i++) finish(&p, i);
}
