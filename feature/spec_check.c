/* Whether the shapes of `inputs:` carry what `event:` and `entities:` need, once these are known.
 *
 * An event needs its time and its id; an outcome must be able to find its event: the id (or alias) and the primary key. What an outcome shape does not say about
 * these it takes from the shape `default`, because messages of one system name their transaction alike; a profile likewise the key of its entity and the
 * time. Other records need their own few columns. */
#include "feature/spec_build.h"

static const struct tide_shape *default_shape(const struct tide_spec *spec) {
  for (uint32_t i = 0; i < spec->shape_count; i++)
    if (strcmp(spec->shape[i].name, "default") == 0) return &spec->shape[i];
  return NULL;
}

static const struct tide_input_field *column_of(const struct tide_shape *shape, uint32_t field) {
  for (uint32_t i = 0; shape && i < shape->field_count; i++)
    if (shape->field[i].field == field) return &shape->field[i];
  return NULL;
}

static void inherit(struct tide_build *b, struct tide_shape *shape, const uint32_t *field, uint32_t count) {
  const struct tide_shape *dflt = default_shape(b->spec);
  for (uint32_t i = 0; i < count; i++) {
    const struct tide_input_field *in = column_of(dflt, field[i]);
    if (in && dflt != shape && !tide_build_carries(shape, field[i])) tide_build_column_add(b, shape, in);
  }
}

static bool carries_all(const struct tide_spec *spec, const struct tide_shape *shape, const uint32_t *field, uint32_t count) {
  for (uint32_t i = 0; i < count; i++)
    if (!spec->field[field[i]].derived && !tide_build_carries(shape, field[i])) return false;
  return true;
}

/* The plain fields of an entity's key, entities in it resolved: at most 4 per level and each level names earlier entities only. */
static uint32_t key_fields(const struct tide_spec *spec, uint32_t entity, uint32_t *ret, uint32_t count) {
  const struct tide_entity *e = &spec->entity[entity];
  for (uint32_t i = 0; i < e->part_count; i++) {
    if (e->part[i].is_entity) {
      count = key_fields(spec, e->part[i].ref, ret, count);
      continue;
    }
    uint32_t field = e->part[i].ref;
    bool seen = false;
    for (uint32_t k = 0; k < count; k++) seen = seen || ret[k] == field;
    if (!seen && count < TIDE_FIELDS_MAX) ret[count++] = field;
  }
  return count;
}

static void check_outcome(struct tide_build *b, struct tide_shape *shape) {
  const struct tide_spec *spec = b->spec;
  bool by_alias = spec->alias_count && carries_all(spec, shape, spec->alias, spec->alias_count);
  if (!by_alias) inherit(b, shape, spec->id, spec->id_count);
  if (spec->entity_count) {
    /* The primary entity has an earlier one in its key never: it is the first. */
    const struct tide_entity *primary = &spec->entity[0];
    uint32_t key[TIDE_FIELDS_MAX], count = key_fields(spec, 0, key, 0), have = 0;
    for (uint32_t i = 0; i < count; i++) have += spec->field[key[i]].derived || tide_build_carries(shape, key[i]);
    if (have == 0 || !primary->first_of) inherit(b, shape, key, count);
    have = 0;
    for (uint32_t i = 0; i < count; i++) have += spec->field[key[i]].derived || tide_build_carries(shape, key[i]);
    if (count > 0 && (primary->first_of ? have == 0 : have < count))
      tide_build_fail(b, shape->line, shape->column, shape->name, "inputs.%s: an outcome must carry the key of `%s` to find its event",
                      shape->name, primary->name);
  }
  if (spec->id_count && !by_alias && !carries_all(spec, shape, spec->id, spec->id_count))
    tide_build_fail(b, shape->line, shape->column, shape->name, "inputs.%s: an outcome must carry the id of its event (event.id)",
                    shape->name);
  bool sets = false;
  for (uint32_t i = 0; i < shape->field_count; i++) sets = sets || shape->field[i].dyn != TIDE_NONE;
  if (!sets)
    tide_build_fail(b, shape->line, shape->column, shape->name,
                    "inputs.%s: an outcome must carry one of result, reason, reversed, refunded, disputed, label, amount_now", shape->name);
}

static void check_event(struct tide_build *b, const struct tide_shape *shape) {
  const struct tide_spec *spec = b->spec;
  if (spec->f_time != TIDE_NONE && !tide_build_carries(shape, spec->f_time))
    tide_build_fail(b, shape->line, shape->column, spec->field[spec->f_time].name, "inputs.%s: the event time `%s` is not mapped",
                    shape->name, spec->field[spec->f_time].name);
  for (uint32_t i = 0; i < spec->id_count; i++) {
    const struct tide_field *field = &spec->field[spec->id[i]];
    const struct tide_input_field *in = column_of(shape, spec->id[i]);
    if (field->derived) continue;
    if (!in)
      tide_build_fail(b, shape->line, shape->column, field->name, "inputs.%s: the id field `%s` is not mapped", shape->name, field->name);
    else if (in->optional && !in->dflt)
      tide_build_fail(b, in->line, in->column, field->name,
                      "inputs.%s: the id field `%s` cannot be optional: without it an event has no identity", shape->name, field->name);
  }
}

static void check_profile(struct tide_build *b, struct tide_shape *shape) {
  const struct tide_spec *spec = b->spec;
  bool needed[TIDE_FIELDS_MAX], facts = false;
  tide_spec_profile_needs(spec, shape->entity, needed);
  const struct tide_entity *entity = &spec->entity[shape->entity];
  uint32_t key[TIDE_FIELDS_MAX] = {0}, count = 0, have = 0;
  for (uint32_t i = 0; i < spec->field_count; i++)
    if (needed[i] && i != spec->f_time) key[count++] = i;
  for (uint32_t i = 0; i < count; i++) have += tide_build_carries(shape, key[i]);
  if (have == 0 || !entity->first_of) inherit(b, shape, key, count);
  have = 0;
  for (uint32_t i = 0; i < count; i++) have += tide_build_carries(shape, key[i]);
  if (count > 0 && (entity->first_of ? have == 0 : have < count))
    tide_build_fail(b, shape->line, shape->column, shape->name, "inputs.%s: a profile must carry the key of `%s`, which it is about",
                    shape->name, entity->name);
  if (spec->f_time != TIDE_NONE) {
    inherit(b, shape, &spec->f_time, 1);
    if (!tide_build_carries(shape, spec->f_time))
      tide_build_fail(b, shape->line, shape->column, spec->field[spec->f_time].name,
                      "inputs.%s: the time `%s` is not mapped: since when is true what the profile tells?", shape->name,
                      spec->field[spec->f_time].name);
  }
  for (uint32_t i = 0; i < shape->field_count; i++)
    facts = facts || (shape->field[i].field != TIDE_NONE && spec->field[shape->field[i].field].fact);
  bool broken = tide_yaml_get(tide_yaml_get(tide_yaml_get(b->root, "inputs"), shape->name), "facts") && b->error_count;
  if (!facts && !broken)
    tide_build_fail(b, shape->line, shape->column, shape->name,
                    "inputs.%s: a profile must tell something: name it under `facts:`, like {limit: {at: /limit, as: amount}}",
                    shape->name);
}

static void need_extra(struct tide_build *b, const struct tide_shape *shape, const char *name, uint32_t extra) {
  for (uint32_t i = 0; i < shape->field_count; i++)
    if (shape->field[i].extra == extra) return;
  tide_build_fail(b, shape->line, shape->column, name, "inputs.%s: `%s` is missing", shape->name, name);
}

void tide_build_inputs_check(struct tide_build *b) {
  struct tide_spec *spec = b->spec;
  bool event = spec->shape_count == 0;
  for (uint32_t i = 0; i < spec->shape_count; i++) {
    struct tide_shape *shape = &spec->shape[i];
    if (b->shape_broken[i]) {
      event = true;
      continue;
    }
    switch (shape->type) {
      case TIDE_REC_EVENT:
        event = true;
        check_event(b, shape);
        break;
      case TIDE_REC_OUTCOME: check_outcome(b, shape); break;
      case TIDE_REC_PROFILE: check_profile(b, shape); break;
      case TIDE_REC_RATE:
        need_extra(b, shape, "currency", TIDE_XTRA_RATE_CURRENCY);
        need_extra(b, shape, "rate", TIDE_XTRA_RATE);
        break;
      case TIDE_REC_LIST: need_extra(b, shape, "list", TIDE_XTRA_LIST); break;
      case TIDE_REC_HEARTBEAT:
        if (spec->f_time != TIDE_NONE && !tide_build_carries(shape, spec->f_time))
          tide_build_fail(b, shape->line, shape->column, spec->field[spec->f_time].name, "inputs.%s: the time `%s` is not mapped",
                          shape->name, spec->field[spec->f_time].name);
        break;
      default: break;
    }
  }
  if (!event)
    tide_build_fail_node(b, tide_yaml_get(b->root, "inputs"), "inputs", "inputs: no shape is of type event: nothing would be counted");
}
