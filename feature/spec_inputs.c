/* `inputs:`: one mapping per shape of message, from JSON pointers or CSV columns to fields, outcome columns and the columns of other records.
 *
 * Three passes. First each shape's type, parent and name. Then every shape's own text in order of the file, which declares the fields: the index of a field
 * is its first appearance, its type comes from `as`, and all shapes must agree on it. Last the columns of each shape: what its parent has, replaced or removed by
 * its own. An outcome shape that says nothing about the id and the primary key takes them from `default`, since it has to name its event anyhow. */
#include "base/clock.h"
#include "feature/spec_build.h"

static const char *const shape_keys[] = {"when", "type", "extends", "known_at", "entity", "facts"}; /* the last two: profiles */
bool tide_build_shape_key(uint8_t shape_type, const char *key) {
  size_t count = sizeof shape_keys / sizeof shape_keys[0] - (shape_type == TIDE_REC_PROFILE ? 0 : 2);
  for (size_t i = 0; i < count; i++)
    if (strcmp(shape_keys[i], key) == 0) return true;
  return false;
}

/* The field a column declares or repeats; TIDE_NONE when it cannot be (noted). */
static uint32_t field_for(struct tide_build *b, const struct tide_yaml_pair *pair, const char *shape, const struct tide_build_column *c,
                          bool broken) {
  struct tide_spec *spec = b->spec;
  static const char *const type_names[] = {"text", "number", "bool", "money", "time"};
  static const char *const reserved[] = {"requested", "score", "true", "false",   "and", "or",  "not",  "in",  "is", "of",
                                         "over",      "where", "with", "delayed", "hop", "cap", "when", "say", "if", "else"};
  uint32_t field = tide_spec_field(spec, pair->key);
  if (field != TIDE_NONE) {
    const struct tide_field *f = &spec->field[field];
    if ((f->type == c->as.type && f->decimals == c->as.decimals) || broken || b->field_place[field].broken) return field;
    tide_build_fail(b, pair->line, pair->column, pair->key,
                    "`%s` is %s%s here and %s%s in inputs.%s, line %d: a field has one form in all shapes; say `as:` alike", pair->key,
                    type_names[c->as.type], c->as.decimals ? " with decimals" : "", type_names[f->type],
                    f->decimals ? " with decimals" : "", b->field_place[field].shape, b->field_place[field].line);
    return TIDE_NONE;
  }
  if (!tide_build_name(b, pair->key, pair->line, pair->column, "a field")) return TIDE_NONE;
  for (size_t i = 0; i < sizeof reserved / sizeof reserved[0]; i++)
    if (strcmp(reserved[i], pair->key) == 0) {
      tide_build_fail(b, pair->line, pair->column, pair->key, "`%s` is a word of the language and cannot name a field", pair->key);
      return TIDE_NONE;
    }
  if (strcmp(pair->key, "amount") == 0 && c->as.type != TIDE_F_MONEY) {
    tide_build_fail(b, pair->line, pair->column, pair->key,
                    "a field named `amount` must be the amount: declare `amount: amount in EUR` in event");
    return TIDE_NONE;
  }
  if (strcmp(pair->key, "time") == 0 && b->time_name && strcmp(b->time_name, "time") != 0) {
    tide_build_fail(b, pair->line, pair->column, pair->key,
                    "`time` means the event time, which is `%.40s` here: give this field another name", b->time_name);
    return TIDE_NONE;
  }
  if (spec->field_count == TIDE_FIELDS_MAX) {
    tide_build_fail(b, pair->line, pair->column, pair->key, "more than %d fields", TIDE_FIELDS_MAX);
    return TIDE_NONE;
  }
  field = spec->field_count++;
  spec->field[field] = (struct tide_field){.name = tide_build_dup(b, tide_span_of(pair->key)),
                                           .type = c->as.type,
                                           .decimals = c->as.decimals,
                                           .derive_of = TIDE_NONE,
                                           .line = pair->line,
                                           .column = pair->column};
  b->field_place[field] = (struct tide_field_place){pair->line, shape, broken};
  return field;
}

/* --- shapes --- */
struct draft {
  const struct tide_yaml_node *map;
  uint32_t index;
  uint32_t parent; /* index, or TIDE_NONE */
  bool typed, done;
  struct tide_build_column *column; /* own ones, one per pair; at NULL when broken or removed */
  bool *removed;
};

static bool read_type(struct tide_build *b, const struct tide_yaml_node *node, uint8_t *ret) {
  static const char *const words[] = {"event", "outcome", "label", "profile", "rate", "list", "heartbeat"};
  static const uint8_t types[] = {TIDE_REC_EVENT, TIDE_REC_OUTCOME, TIDE_REC_OUTCOME,  TIDE_REC_PROFILE,
                                  TIDE_REC_RATE,  TIDE_REC_LIST,    TIDE_REC_HEARTBEAT};
  if (node->kind == TIDE_YAML_MAP) {
    tide_build_fail_node(b, node, "type", "`type:` in a shape says which record it becomes; a field needs another name");
    return false;
  }
  int word = tide_build_word(b, node, "type", words, sizeof words / sizeof words[0]);
  if (word < 0) return false;
  *ret = types[word];
  return true;
}

static void read_head(struct tide_build *b, struct draft *draft, uint32_t index) {
  struct tide_shape *shape = &b->spec->shape[index];
  struct draft *d = &draft[index];
  struct tide_yaml_node *type = tide_yaml_get(d->map, "type"), *when = tide_yaml_get(d->map, "when"),
                        *extends = tide_yaml_get(d->map, "extends");
  if (type) d->typed = read_type(b, type, &shape->type);
  b->shape_broken[index] = type && !d->typed;
  if (when) {
    if (when->kind != TIDE_YAML_MAP || when->count != 1 || when->pair[0].value->kind != TIDE_YAML_SCALAR) {
      tide_build_fail_node(b, when, "when", "when must be one pair of pointer or column and value, like `when: {/type: outcome}`");
    } else {
      shape->when_at = tide_build_dup(b, tide_span_of(when->pair[0].key));
      shape->when_value = tide_build_dup(b, when->pair[0].value->text);
      for (uint32_t i = 0; i < index; i++)
        if (b->spec->shape[i].when_at && strcmp(b->spec->shape[i].when_at, shape->when_at) == 0 &&
            strcmp(b->spec->shape[i].when_value, shape->when_value) == 0)
          tide_build_fail_node(b, when, "when", "the shape `%s` is picked by the same value already", b->spec->shape[i].name);
    }
  }
  if (extends && tide_build_scalar(b, extends, "extends")) {
    const char *names[TIDE_SHAPES_MAX];
    uint32_t count = 0;
    for (uint32_t i = 0; i < b->spec->shape_count; i++) {
      if (strcmp(b->spec->shape[i].name, extends->text.ptr) == 0 && i != index) d->parent = i;
      if (i != index) names[count++] = b->spec->shape[i].name;
    }
    if (d->parent == TIDE_NONE) b->shape_broken[index] = true;
    if (d->parent == TIDE_NONE)
      tide_build_fail_node(b, extends, "extends", "extends: no other shape is named `%.64s`%s", extends->text.ptr,
                           tide_build_suggest(b, extends->text.ptr, names, count));
  }
}

/* Breaks cycles (noted), then types pass from parent to child. */
static void resolve_types(struct tide_build *b, struct draft *draft) {
  struct tide_spec *spec = b->spec;
  for (uint32_t i = 0; i < spec->shape_count; i++) {
    uint32_t at = i;
    for (uint32_t steps = 0; at != TIDE_NONE; steps++, at = draft[at].parent)
      if (steps > spec->shape_count) {
        tide_build_fail(b, spec->shape[i].line, spec->shape[i].column, "extends", "extends: `%s` ends in a circle", spec->shape[i].name);
        draft[i].parent = TIDE_NONE;
        b->shape_broken[i] = true;
        break;
      }
  }
  for (uint32_t i = 0; i < spec->shape_count; i++) {
    uint32_t at = i;
    while (!draft[at].typed && draft[at].parent != TIDE_NONE) at = draft[at].parent;
    spec->shape[i].type = draft[at].typed ? spec->shape[at].type : TIDE_REC_EVENT;
  }
}

/* Declares the fields that the shape's own text mentions. */
static void read_own(struct tide_build *b, struct draft *d, struct tide_shape *shape) {
  d->column = tide_arena_alloc(&b->scratch, (d->map->count + 1) * sizeof *d->column);
  d->removed = tide_arena_alloc(&b->scratch, (d->map->count + 1) * sizeof *d->removed);
  for (uint32_t i = 0; i < d->map->count; i++) {
    const struct tide_yaml_pair *pair = &d->map->pair[i];
    struct tide_build_column *c = &d->column[i];
    if (tide_build_shape_key(shape->type, pair->key)) continue;
    if (tide_yaml_is_null(pair->value)) {
      if (d->parent == TIDE_NONE && !b->shape_broken[d->index])
        tide_build_fail(b, pair->line, pair->column, pair->key, "`%.64s` has no place: write a JSON pointer or a column", pair->key);
      d->removed[i] = true;
      continue;
    }
    bool broken = !tide_build_column_read(b, pair, shape->type, c);
    if (broken) { /* it takes its place all the same, so that what needs it is not blamed */
      tide_build_broken(b, pair->key);
      c->in.at = "";
    }
    if (c->in.dyn != TIDE_NONE || c->in.extra != TIDE_NONE) {
      if (c->in.dyn != TIDE_NONE && shape->type != TIDE_REC_EVENT && shape->type != TIDE_REC_OUTCOME) {
        tide_build_fail(b, pair->line, pair->column, pair->key,
                        "`%s` is an outcome column: it belongs into a shape of type event, outcome or label", pair->key);
        c->in.at = NULL;
      }
      continue;
    }
    bool plain_record = shape->type == TIDE_REC_RATE || shape->type == TIDE_REC_HEARTBEAT;
    if (plain_record && (!b->time_name || strcmp(b->time_name, pair->key) != 0)) {
      const char *known[] = {b->time_name ? b->time_name : "time", shape->type == TIDE_REC_RATE ? "currency" : "source", "rate"};
      tide_build_fail(b, pair->line, pair->column, pair->key, "a %s record has no `%.64s`%s",
                      shape->type == TIDE_REC_RATE ? "rate" : "heartbeat", pair->key,
                      tide_build_suggest(b, pair->key, known, shape->type == TIDE_REC_RATE ? 3 : 2));
      c->in.at = NULL;
      continue;
    }
    c->in.field = field_for(b, pair, shape->name, c, broken);
    if (c->in.field == TIDE_NONE) c->in.at = NULL;
  }
}

static bool same_target(const struct tide_input_field *a, const struct tide_input_field *b) {
  return a->field == b->field && a->dyn == b->dyn && a->extra == b->extra;
}

bool tide_build_carries(const struct tide_shape *shape, uint32_t field) {
  for (uint32_t i = 0; i < shape->field_count; i++)
    if (shape->field[i].field == field) return true;
  return false;
}

void tide_build_column_add(struct tide_build *b, struct tide_shape *shape, const struct tide_input_field *in) {
  if (!shape->field)
    shape->field = tide_arena_alloc(&b->spec->arena, (TIDE_FIELDS_MAX + TIDE_DYN_COUNT + TIDE_XTRA_COUNT) * sizeof *shape->field);
  for (uint32_t i = 0; i < shape->field_count; i++)
    if (same_target(&shape->field[i], in)) {
      shape->field[i] = *in;
      return;
    }
  TIDE_CHECK(shape->field_count < TIDE_FIELDS_MAX + TIDE_DYN_COUNT + TIDE_XTRA_COUNT);
  shape->field[shape->field_count++] = *in;
}

static void remove_column(struct tide_build *b, struct tide_shape *shape, const struct tide_yaml_pair *pair) {
  uint32_t field = tide_spec_field(b->spec, pair->key), dyn = tide_dyn_find(pair->key), extra = tide_build_extra(shape->type, pair->key);
  for (uint32_t i = 0; i < shape->field_count; i++) {
    const struct tide_input_field *in = &shape->field[i];
    bool hit = dyn != TIDE_NONE ? in->dyn == dyn : extra != TIDE_NONE ? in->extra == extra : field != TIDE_NONE && in->field == field;
    if (!hit) continue;
    memmove(&shape->field[i], &shape->field[i + 1], (shape->field_count - i - 1) * sizeof *shape->field);
    shape->field_count--;
    return;
  }
  tide_build_fail(b, pair->line, pair->column, pair->key, "`%.64s` is removed here, but the extended shape does not have it", pair->key);
}

static void read_known_at(struct tide_build *b, const struct draft *d, struct tide_shape *shape) {
  const struct tide_yaml_node *node = tide_yaml_get(d->map, "known_at");
  if (!node) return;
  /* Without a form of its own it has that of the shape's event time: exports write all times alike. */
  uint8_t form = TIDE_TIME_EPOCH_MS;
  for (uint32_t i = 0; i < shape->field_count; i++)
    if (b->time_name && shape->field[i].field != TIDE_NONE && strcmp(b->spec->field[shape->field[i].field].name, b->time_name) == 0)
      form = shape->field[i].time_form;
  if (node->kind == TIDE_YAML_MAP) {
    static const char *const keys[] = {"at", "as"};
    if (!tide_build_keys(b, node, "known_at", keys, 2)) return;
    const struct tide_yaml_node *as = tide_yaml_get(node, "as"), *at = tide_yaml_get(node, "at");
    struct tide_build_as said;
    if (as && tide_build_as_read(b, as, &said)) {
      if (said.type == TIDE_F_TIME) form = said.time_form;
      else tide_build_fail_node(b, as, "known_at", "known_at is a time: write as: rfc3339, epoch_s, epoch_ms or epoch_us");
    }
    if (!at) {
      tide_build_fail_node(b, node, "known_at", "known_at: `at:` is missing: the JSON pointer or the column");
      return;
    }
    node = at;
  }
  shape->known_at = tide_build_at_read(b, node, "known_at");
  shape->known_at_form = form;
}

/* What the shape tide_build_carries in the end. Parents first; the chain is at most TIDE_SHAPES_MAX long. */
static void finish(struct tide_build *b, struct draft *draft, uint32_t index) {
  struct draft *d = &draft[index];
  struct tide_shape *shape = &b->spec->shape[index];
  if (d->done) return;
  d->done = true;
  if (d->parent != TIDE_NONE) {
    finish(b, draft, d->parent);
    const struct tide_shape *parent = &b->spec->shape[d->parent];
    for (uint32_t i = 0; i < parent->field_count; i++) {
      const struct tide_input_field *in = &parent->field[i];
      bool rate = shape->type == TIDE_REC_RATE || shape->type == TIDE_REC_HEARTBEAT;
      bool time = in->field != TIDE_NONE && b->time_name && strcmp(b->spec->field[in->field].name, b->time_name) == 0;
      if (in->dyn != TIDE_NONE && shape->type != TIDE_REC_EVENT && shape->type != TIDE_REC_OUTCOME) continue;
      if (in->extra != TIDE_NONE && parent->type != shape->type) continue;
      if (in->field != TIDE_NONE && rate && !time) continue;
      tide_build_column_add(b, shape, in);
    }
    shape->known_at = parent->known_at;
    shape->known_at_form = parent->known_at_form;
  }
  for (uint32_t i = 0; i < d->map->count; i++) {
    if (d->removed[i]) {
      if (d->parent != TIDE_NONE) remove_column(b, shape, &d->map->pair[i]);
    } else if (d->column[i].in.at) {
      tide_build_column_add(b, shape, &d->column[i].in);
    }
  }
  read_known_at(b, d, shape);
}

void tide_build_inputs(struct tide_build *b) {
  struct tide_spec *spec = b->spec;
  const struct tide_yaml_node *inputs = tide_yaml_get(b->root, "inputs");
  if (!inputs) {
    tide_build_fail(b, 1, 1, "inputs", "`inputs:` is missing: it says where the fields stand in a message");
    return;
  }
  if (inputs->kind != TIDE_YAML_MAP) {
    tide_build_fail_node(b, inputs, "inputs", "inputs must be a mapping of shape names to their fields, not %s",
                         tide_yaml_kind_name(inputs));
    return;
  }
  struct draft *draft = tide_arena_alloc(&b->scratch, TIDE_SHAPES_MAX * sizeof *draft);
  for (uint32_t i = 0; i < inputs->count; i++) {
    const struct tide_yaml_pair *pair = &inputs->pair[i];
    if (spec->shape_count == TIDE_SHAPES_MAX) {
      tide_build_fail(b, pair->line, pair->column, pair->key, "more than %d shapes", TIDE_SHAPES_MAX);
      break;
    }
    if (!tide_build_name(b, pair->key, pair->line, pair->column, "a shape")) continue;
    if (pair->value->kind != TIDE_YAML_MAP) {
      tide_build_fail_node(b, pair->value, pair->key, "inputs.%.64s must be a mapping of fields, not %s", pair->key,
                           tide_yaml_kind_name(pair->value));
      continue;
    }
    draft[spec->shape_count] = (struct draft){.map = pair->value, .index = spec->shape_count, .parent = TIDE_NONE};
    spec->shape[spec->shape_count++] = (struct tide_shape){
        .name = tide_build_dup(b, tide_span_of(pair->key)), .type = TIDE_REC_EVENT, .line = pair->line, .column = pair->column};
  }
  for (uint32_t i = 0; i < spec->shape_count; i++) read_head(b, draft, i);
  resolve_types(b, draft);
  for (uint32_t i = 0; i < spec->shape_count; i++) read_own(b, &draft[i], &spec->shape[i]);
  for (uint32_t i = 0; i < spec->shape_count; i++) finish(b, draft, i);
}
