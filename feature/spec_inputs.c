/* `inputs:`: one mapping per shape of message, from JSON pointers or CSV columns to fields, outcome columns and the columns of other records.
 *
 * Three passes. First each shape's type, parent and name. Then every shape's own text in order of the file, which declares the fields: the index of a field
 * is its first appearance, its type comes from `as`, and all shapes must agree on it. Last the columns of each shape: what its parent has, replaced or removed by
 * its own. An outcome shape that says nothing about the id and the primary key takes them from `default`, since it has to name its event anyhow. */
#include <stdio.h>

#include "base/clock.h"
#include "base/num.h"
#include "feature/spec_build.h"

struct extra_row { const char *name; uint8_t type; uint32_t extra; };
static const struct extra_row extras[] = {
    {"currency", TIDE_REC_RATE, TIDE_XTRA_RATE_CURRENCY}, {"rate", TIDE_REC_RATE, TIDE_XTRA_RATE},     {"list", TIDE_REC_LIST, TIDE_XTRA_LIST},
    {"expires", TIDE_REC_LIST, TIDE_XTRA_EXPIRES},        {"remove", TIDE_REC_LIST, TIDE_XTRA_REMOVE}, {"source", TIDE_REC_HEARTBEAT, TIDE_XTRA_SOURCE},
};
static const char *const shape_keys[] = {"when", "type", "extends", "known_at"};
static const char *const time_forms[] = {"rfc3339", "epoch_s", "epoch_ms", "epoch_us"}; /* by enum tide_time_form */

/* What `as:` says. */
struct as { uint8_t type; uint8_t decimals; uint8_t time_form; bool minor; };

struct column { struct tide_input_field in; struct as as; };

static bool is_shape_key(const char *key) {
  for (size_t i = 0; i < sizeof shape_keys / sizeof shape_keys[0]; i++)
    if (strcmp(shape_keys[i], key) == 0) return true;
  return false;
}

static uint32_t extra_find(uint8_t shape_type, const char *name) {
  for (size_t i = 0; i < sizeof extras / sizeof extras[0]; i++)
    if (extras[i].type == shape_type && strcmp(extras[i].name, name) == 0) return extras[i].extra;
  return TIDE_NONE;
}

static bool read_as(struct tide_build *b, const struct tide_yaml_node *node, struct as *ret) {
  static const char *const words[] = {"text", "int", "decimal(n)", "bool", "rfc3339", "epoch_s", "epoch_ms", "epoch_us", "minor"};
  if (!tide_build_scalar(b, node, "as")) return false;
  struct as as = {.type = TIDE_F_TEXT};
  const char *text = node->text.ptr;
  int64_t n;
  if (strcmp(text, "int") == 0) {
    as.type = TIDE_F_NUMBER;
  } else if (strcmp(text, "bool") == 0) {
    as.type = TIDE_F_BOOL;
  } else if (strcmp(text, "minor") == 0) {
    as.type = TIDE_F_MONEY;
    as.minor = true;
  } else if (strncmp(text, "decimal(", 8) == 0 && node->text.len > 9 && text[node->text.len - 1] == ')' &&
             !tide_int_parse(tide_span_trim((struct tide_span){text + 8, node->text.len - 9}), &n)) {
    if (n < 0 || n > 9) {
      tide_build_fail_node(b, node, "as", "as: decimal(n) keeps 0 to 9 decimals, not %lld", (long long)n);
      return false;
    }
    as.type = TIDE_F_NUMBER;
    as.decimals = (uint8_t)n;
  } else if (strcmp(text, "text") != 0) {
    size_t form = 0;
    while (form < 4 && strcmp(text, time_forms[form]) != 0) form++;
    if (form == 4) {
      tide_build_fail_node(b, node, "as", "as: there is no form `%.40s`%s", text, tide_build_suggest(b, text, words, sizeof words / sizeof words[0]));
      return false;
    }
    as.type = TIDE_F_TIME;
    as.time_form = (uint8_t)form;
  }
  *ret = as;
  return true;
}

/* A JSON pointer or a column. RFC 6901: ~ only as ~0 and ~1. */
static const char *read_at(struct tide_build *b, const struct tide_yaml_node *node, const char *what) {
  if (!tide_build_scalar(b, node, what)) return NULL;
  const char *text = node->text.ptr;
  bool good = node->text.len > 0;
  for (size_t i = 0; good && text[0] == '/' && i < node->text.len; i++) good = text[i] != '~' || text[i + 1] == '0' || text[i + 1] == '1';
  if (!good) {
    tide_build_fail_node(b, node, what, "%s: `%.64s` is not a JSON pointer; in names write ~0 for ~ and ~1 for /", what, text);
    return NULL;
  }
  return tide_build_dup(b, node->text);
}

static bool read_currency(struct tide_build *b, const struct tide_yaml_node *node, struct tide_input_field *in) {
  if (!tide_build_scalar(b, node, "currency")) return false;
  const char *t = node->text.ptr;
  bool code = node->text.len == 3;
  for (int i = 0; i < 3 && code; i++) code = t[i] >= 'A' && t[i] <= 'Z';
  if (!code) return (in->currency = read_at(b, node, "currency")) != NULL;
  char canonical[4];
  int exponent;
  if (tide_currency_get(node->text, canonical, &exponent)) {
    tide_build_fail_node(b, node, "currency", "currency: `%s` is not an ISO 4217 currency; a column is written in other than three capitals, or as /POINTER", t);
    return false;
  }
  in->currency_fixed = tide_build_dup(b, node->text);
  return true;
}

static bool word_of_dyn(struct tide_build *b, const struct tide_yaml_node *node, uint32_t dyn) {
  if (tide_yaml_is_null(node)) return true;
  if (dyn == TIDE_DYN_reason && node->text.len > 8) {
    tide_build_fail_node(b, node, "reason", "reason: `%.40s` is longer than 8 bytes", node->text.ptr);
    return false;
  }
  const char *const *words = tide_dyn_words((enum tide_dyn)dyn);
  if (!words) return true;
  if (dyn == TIDE_DYN_disputed && (tide_span_is(node->text, "true") || tide_span_is(node->text, "false"))) return true;
  size_t count = 0;
  while (words[count]) count++;
  return tide_build_word(b, node, tide_dyn_name((enum tide_dyn)dyn), words, count) >= 0;
}

static bool read_map(struct tide_build *b, const struct tide_yaml_node *map, struct tide_input_field *in) {
  if (map->kind != TIDE_YAML_MAP || map->count == 0) {
    tide_build_fail_node(b, map, "map", "map must be a mapping from received texts to values, like {\"00\": approved, \"*\": declined}");
    return false;
  }
  if (map->count > TIDE_MAP_MAX) {
    tide_build_fail_node(b, map, "map", "map has more than %d pairs", TIDE_MAP_MAX);
    return false;
  }
  const char **from = tide_arena_alloc(&b->spec->arena, map->count * sizeof *from);
  const char **to = tide_arena_alloc(&b->spec->arena, map->count * sizeof *to);
  bool good = true;
  for (uint32_t i = 0; i < map->count; i++) {
    const struct tide_yaml_node *value = map->pair[i].value;
    bool null = tide_yaml_is_null(value);
    if (!null && !tide_build_scalar(b, value, "map")) {
      good = false;
      continue;
    }
    if (in->dyn != TIDE_NONE && !word_of_dyn(b, value, in->dyn)) good = false;
    from[i] = tide_build_dup(b, tide_span_of(map->pair[i].key));
    to[i] = null ? "" : tide_build_dup(b, value->text); /* the empty text is a missing value */
  }
  in->map_from = from;
  in->map_to = to;
  in->map_count = map->count;
  return good;
}

/* Would the text be accepted as a value of this type? */
static bool value_fits(const struct as *as, struct tide_span text) {
  int64_t n;
  struct tide_etime t;
  switch (as->type) {
    case TIDE_F_NUMBER: return tide_decimal_parse(text, as->decimals, &n) == TIDE_OK;
    case TIDE_F_BOOL: return tide_span_is(text, "true") || tide_span_is(text, "false");
    case TIDE_F_MONEY: return tide_decimal_parse(text, as->minor ? 0 : 4, &n) == TIDE_OK;
    case TIDE_F_TIME: return tide_time_parse(text, (enum tide_time_form)as->time_form, &t) == TIDE_OK;
    default: return true;
  }
}

/* One pair of a shape: short ("/pointer") or a mapping. *ret says what it is even when it is wrong. */
static bool read_column(struct tide_build *b, const struct tide_yaml_pair *pair, uint8_t shape_type, struct column *ret) {
  static const char *const keys[] = {"at", "as", "default", "optional", "map", "currency"};
  struct column c = {.in = {.field = TIDE_NONE, .dyn = tide_dyn_find(pair->key), .extra = extra_find(shape_type, pair->key), .line = pair->line, .column = pair->column}};
  struct tide_yaml_node *node = pair->value;
  bool is_amount = c.in.dyn == TIDE_DYN_amount_now || (c.in.dyn == TIDE_NONE && c.in.extra == TIDE_NONE && b->amount_name && strcmp(b->amount_name, pair->key) == 0);
  bool is_time = c.in.extra == TIDE_XTRA_EXPIRES || (c.in.dyn == TIDE_NONE && c.in.extra == TIDE_NONE && b->time_name && strcmp(b->time_name, pair->key) == 0);
  c.as.type = is_amount ? TIDE_F_MONEY : is_time ? TIDE_F_TIME : c.in.extra == TIDE_XTRA_REMOVE ? TIDE_F_BOOL : TIDE_F_TEXT;
  if (node->kind == TIDE_YAML_SCALAR) {
    c.in.at = read_at(b, node, pair->key);
    *ret = c;
    return c.in.at != NULL;
  }
  *ret = c;
  if (!tide_build_keys(b, node, pair->key, keys, sizeof keys / sizeof keys[0])) return false;
  const struct tide_yaml_node *at = tide_yaml_get(node, "at"), *as = tide_yaml_get(node, "as"), *dflt = tide_yaml_get(node, "default"),
                              *optional = tide_yaml_get(node, "optional"), *map = tide_yaml_get(node, "map"), *currency = tide_yaml_get(node, "currency");
  bool good = true;
  if (!at) {
    tide_build_fail_node(b, node, pair->key, "%s: `at:` is missing: the JSON pointer or the column", pair->key);
    good = false;
  } else if (!(c.in.at = read_at(b, at, "at"))) {
    good = false;
  }
  if (as) {
    struct as said;
    if (!read_as(b, as, &said)) {
      good = false;
    } else if (is_amount && !said.minor) {
      tide_build_fail_node(b, as, "as", "%s: the decimals of an amount come from its currency; leave `as` out, or write `as: minor` for whole minor units", pair->key);
      good = false;
    } else if (!is_amount && said.minor) {
      tide_build_fail_node(b, as, "as", "%s: `as: minor` is for the amount (event.amount) only; use int or decimal(n)", pair->key);
      good = false;
    } else if (is_time && said.type != TIDE_F_TIME) {
      tide_build_fail_node(b, as, "as", "%s is a time: write as: rfc3339, epoch_s, epoch_ms or epoch_us", pair->key);
      good = false;
    } else if (c.in.dyn != TIDE_NONE && !is_amount) {
      tide_build_fail_node(b, as, "as", "%s is an outcome column: its form is fixed; use `map:` to translate", pair->key);
      good = false;
    } else if (c.in.extra != TIDE_NONE && said.type != c.as.type) {
      tide_build_fail_node(b, as, "as", "%s has a fixed form here; leave `as` out", pair->key);
      good = false;
    } else {
      c.as = said;
    }
  }
  if (optional && !tide_build_bool(b, optional, "optional", &c.in.optional)) good = false;
  if (map && !read_map(b, map, &c.in)) good = false;
  if (currency) {
    if (!is_amount) {
      tide_build_fail_node(b, currency, "currency", "%s: `currency:` is for the amount (event.amount) only", pair->key);
      good = false;
    } else if (!read_currency(b, currency, &c.in)) {
      good = false;
    }
  }
  if (dflt) {
    if (!tide_build_scalar(b, dflt, "default")) {
      good = false;
    } else if ((c.in.dyn != TIDE_NONE && !word_of_dyn(b, dflt, c.in.dyn)) || !value_fits(&c.as, dflt->text)) {
      if (!value_fits(&c.as, dflt->text)) tide_build_fail_node(b, dflt, "default", "%s: the default `%.64s` is not a value of this field's form", pair->key, dflt->text.ptr);
      good = false;
    } else {
      c.in.dflt = tide_build_dup(b, dflt->text);
    }
  }
  c.in.time_form = c.as.time_form;
  c.in.minor = c.as.minor;
  *ret = c;
  return good;
}

/* The field a column declares or repeats; TIDE_NONE when it cannot be (noted). */
static uint32_t field_for(struct tide_build *b, const struct tide_yaml_pair *pair, const char *shape, const struct column *c, bool broken) {
  struct tide_spec *spec = b->spec;
  static const char *const type_names[] = {"text", "number", "bool", "money", "time"};
  static const char *const reserved[] = {"requested", "score", "true", "false", "and", "or", "not", "in", "is", "of", "over", "where", "with", "delayed", "hop", "cap", "when", "say", "if", "else"};
  uint32_t field = tide_spec_field(spec, pair->key);
  if (field != TIDE_NONE) {
    const struct tide_field *f = &spec->field[field];
    if ((f->type == c->as.type && f->decimals == c->as.decimals) || broken || b->field_place[field].broken) return field;
    tide_build_fail(b, pair->line, pair->column, pair->key, "`%s` is %s%s here and %s%s in inputs.%s, line %d: a field has one form in all shapes; say `as:` alike",
                    pair->key, type_names[c->as.type], c->as.decimals ? " with decimals" : "", type_names[f->type], f->decimals ? " with decimals" : "",
                    b->field_place[field].shape, b->field_place[field].line);
    return TIDE_NONE;
  }
  if (!tide_build_name(b, pair->key, pair->line, pair->column, "a field")) return TIDE_NONE;
  for (size_t i = 0; i < sizeof reserved / sizeof reserved[0]; i++)
    if (strcmp(reserved[i], pair->key) == 0) {
      tide_build_fail(b, pair->line, pair->column, pair->key, "`%s` is a word of the language and cannot name a field", pair->key);
      return TIDE_NONE;
    }
  if (strcmp(pair->key, "amount") == 0 && c->as.type != TIDE_F_MONEY) {
    tide_build_fail(b, pair->line, pair->column, pair->key, "a field named `amount` must be the amount: declare `amount: amount in EUR` in event");
    return TIDE_NONE;
  }
  if (strcmp(pair->key, "time") == 0 && b->time_name && strcmp(b->time_name, "time") != 0) {
    tide_build_fail(b, pair->line, pair->column, pair->key, "`time` means the event time, which is `%.40s` here: give this field another name", b->time_name);
    return TIDE_NONE;
  }
  if (spec->field_count == TIDE_FIELDS_MAX) {
    tide_build_fail(b, pair->line, pair->column, pair->key, "more than %d fields", TIDE_FIELDS_MAX);
    return TIDE_NONE;
  }
  field = spec->field_count++;
  spec->field[field] = (struct tide_field){.name = tide_build_dup(b, tide_span_of(pair->key)), .type = c->as.type, .decimals = c->as.decimals,
                                           .derive_of = TIDE_NONE, .line = pair->line, .column = pair->column};
  b->field_place[field] = (struct tide_field_place){pair->line, shape, broken};
  return field;
}

/* --- shapes --- */
struct draft {
  const struct tide_yaml_node *map;
  uint32_t index;
  uint32_t parent;         /* index, or TIDE_NONE */
  bool typed, done;
  struct column *column;   /* own ones, one per pair; at NULL when broken or removed */
  bool *removed;
};

static bool read_type(struct tide_build *b, const struct tide_yaml_node *node, uint8_t *ret) {
  static const char *const words[] = {"event", "outcome", "label", "profile", "rate", "list", "heartbeat"};
  static const uint8_t types[] = {TIDE_REC_EVENT, TIDE_REC_OUTCOME, TIDE_REC_OUTCOME, TIDE_REC_PROFILE, TIDE_REC_RATE, TIDE_REC_LIST, TIDE_REC_HEARTBEAT};
  if (node->kind == TIDE_YAML_MAP) {
    tide_build_fail_node(b, node, "type", "`type:` in a shape says which record it becomes; a field needs another name");
    return false;
  }
  int word = tide_build_word(b, node, "type", words, sizeof words / sizeof words[0]);
  if (word < 0) return false;
  *ret = types[word];
  if (*ret == TIDE_REC_PROFILE) {
    tide_build_fail_node(b, node, "type", "type: profile records (facts about an entity) are not supported by this version: remove this shape");
    return false;
  }
  return true;
}

static void read_head(struct tide_build *b, struct draft *draft, uint32_t index) {
  struct tide_shape *shape = &b->spec->shape[index];
  struct draft *d = &draft[index];
  struct tide_yaml_node *type = tide_yaml_get(d->map, "type"), *when = tide_yaml_get(d->map, "when"), *extends = tide_yaml_get(d->map, "extends");
  if (type) d->typed = read_type(b, type, &shape->type);
  b->shape_broken[index] = type && !d->typed;
  if (when) {
    if (when->kind != TIDE_YAML_MAP || when->count != 1 || when->pair[0].value->kind != TIDE_YAML_SCALAR) {
      tide_build_fail_node(b, when, "when", "when must be one pair of pointer or column and value, like `when: {/type: outcome}`");
    } else {
      shape->when_at = tide_build_dup(b, tide_span_of(when->pair[0].key));
      shape->when_value = tide_build_dup(b, when->pair[0].value->text);
      for (uint32_t i = 0; i < index; i++)
        if (b->spec->shape[i].when_at && strcmp(b->spec->shape[i].when_at, shape->when_at) == 0 && strcmp(b->spec->shape[i].when_value, shape->when_value) == 0)
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
    struct column *c = &d->column[i];
    if (is_shape_key(pair->key)) continue;
    if (tide_yaml_is_null(pair->value)) {
      if (d->parent == TIDE_NONE && !b->shape_broken[d->index]) tide_build_fail(b, pair->line, pair->column, pair->key, "`%.64s` has no place: write a JSON pointer or a column", pair->key);
      d->removed[i] = true;
      continue;
    }
    bool broken = !read_column(b, pair, shape->type, c);
    if (broken) { /* it takes its place all the same, so that what needs it is not blamed */
      tide_build_broken(b, pair->key);
      c->in.at = "";
    }
    if (c->in.dyn != TIDE_NONE || c->in.extra != TIDE_NONE) {
      if (c->in.dyn != TIDE_NONE && shape->type != TIDE_REC_EVENT && shape->type != TIDE_REC_OUTCOME) {
        tide_build_fail(b, pair->line, pair->column, pair->key, "`%s` is an outcome column: it belongs into a shape of type event, outcome or label", pair->key);
        c->in.at = NULL;
      }
      continue;
    }
    bool plain_record = shape->type == TIDE_REC_RATE || shape->type == TIDE_REC_HEARTBEAT;
    if (plain_record && (!b->time_name || strcmp(b->time_name, pair->key) != 0)) {
      const char *known[] = {b->time_name ? b->time_name : "time", shape->type == TIDE_REC_RATE ? "currency" : "source", "rate"};
      tide_build_fail(b, pair->line, pair->column, pair->key, "a %s record has no `%.64s`%s", shape->type == TIDE_REC_RATE ? "rate" : "heartbeat", pair->key,
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

static bool carries(const struct tide_shape *shape, uint32_t field) {
  for (uint32_t i = 0; i < shape->field_count; i++)
    if (shape->field[i].field == field) return true;
  return false;
}

static void add_column(struct tide_build *b, struct tide_shape *shape, const struct tide_input_field *in) {
  if (!shape->field) shape->field = tide_arena_alloc(&b->spec->arena, (TIDE_FIELDS_MAX + TIDE_DYN_COUNT + TIDE_XTRA_COUNT) * sizeof *shape->field);
  for (uint32_t i = 0; i < shape->field_count; i++)
    if (same_target(&shape->field[i], in)) {
      shape->field[i] = *in;
      return;
    }
  TIDE_CHECK(shape->field_count < TIDE_FIELDS_MAX + TIDE_DYN_COUNT + TIDE_XTRA_COUNT);
  shape->field[shape->field_count++] = *in;
}

static void remove_column(struct tide_build *b, struct tide_shape *shape, const struct tide_yaml_pair *pair) {
  uint32_t field = tide_spec_field(b->spec, pair->key), dyn = tide_dyn_find(pair->key), extra = extra_find(shape->type, pair->key);
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
    struct as said;
    if (as && read_as(b, as, &said)) {
      if (said.type == TIDE_F_TIME)
        form = said.time_form;
      else
        tide_build_fail_node(b, as, "known_at", "known_at is a time: write as: rfc3339, epoch_s, epoch_ms or epoch_us");
    }
    if (!at) {
      tide_build_fail_node(b, node, "known_at", "known_at: `at:` is missing: the JSON pointer or the column");
      return;
    }
    node = at;
  }
  shape->known_at = read_at(b, node, "known_at");
  shape->known_at_form = form;
}

/* What the shape carries in the end. Parents first; the chain is at most TIDE_SHAPES_MAX long. */
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
      add_column(b, shape, in);
    }
    shape->known_at = parent->known_at;
    shape->known_at_form = parent->known_at_form;
  }
  for (uint32_t i = 0; i < d->map->count; i++) {
    if (d->removed[i]) {
      if (d->parent != TIDE_NONE) remove_column(b, shape, &d->map->pair[i]);
    } else if (d->column[i].in.at) {
      add_column(b, shape, &d->column[i].in);
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
    tide_build_fail_node(b, inputs, "inputs", "inputs must be a mapping of shape names to their fields, not %s", tide_yaml_kind_name(inputs));
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
      tide_build_fail_node(b, pair->value, pair->key, "inputs.%.64s must be a mapping of fields, not %s", pair->key, tide_yaml_kind_name(pair->value));
      continue;
    }
    draft[spec->shape_count] = (struct draft){.map = pair->value, .index = spec->shape_count, .parent = TIDE_NONE};
    spec->shape[spec->shape_count++] = (struct tide_shape){.name = tide_build_dup(b, tide_span_of(pair->key)), .type = TIDE_REC_EVENT, .line = pair->line, .column = pair->column};
  }
  for (uint32_t i = 0; i < spec->shape_count; i++) read_head(b, draft, i);
  resolve_types(b, draft);
  for (uint32_t i = 0; i < spec->shape_count; i++) read_own(b, &draft[i], &spec->shape[i]);
  for (uint32_t i = 0; i < spec->shape_count; i++) finish(b, draft, i);
}

/* --- after event: and entities: --- */
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
    if (in && dflt != shape && !carries(shape, field[i])) add_column(b, shape, in);
  }
}

static bool carries_all(const struct tide_spec *spec, const struct tide_shape *shape, const uint32_t *field, uint32_t count) {
  for (uint32_t i = 0; i < count; i++)
    if (!spec->field[field[i]].derived && !carries(shape, field[i])) return false;
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
    for (uint32_t i = 0; i < count; i++) have += spec->field[key[i]].derived || carries(shape, key[i]);
    if (have == 0 || !primary->first_of) inherit(b, shape, key, count);
    have = 0;
    for (uint32_t i = 0; i < count; i++) have += spec->field[key[i]].derived || carries(shape, key[i]);
    if (count > 0 && (primary->first_of ? have == 0 : have < count))
      tide_build_fail(b, shape->line, shape->column, shape->name, "inputs.%s: an outcome must carry the key of `%s` to find its event", shape->name, primary->name);
  }
  if (spec->id_count && !by_alias && !carries_all(spec, shape, spec->id, spec->id_count))
    tide_build_fail(b, shape->line, shape->column, shape->name, "inputs.%s: an outcome must carry the id of its event (event.id)", shape->name);
  bool sets = false;
  for (uint32_t i = 0; i < shape->field_count; i++) sets = sets || shape->field[i].dyn != TIDE_NONE;
  if (!sets)
    tide_build_fail(b, shape->line, shape->column, shape->name,
                    "inputs.%s: an outcome must carry one of result, reason, reversed, refunded, disputed, label, amount_now", shape->name);
}

static void check_event(struct tide_build *b, const struct tide_shape *shape) {
  const struct tide_spec *spec = b->spec;
  if (spec->f_time != TIDE_NONE && !carries(shape, spec->f_time))
    tide_build_fail(b, shape->line, shape->column, spec->field[spec->f_time].name, "inputs.%s: the event time `%s` is not mapped", shape->name, spec->field[spec->f_time].name);
  for (uint32_t i = 0; i < spec->id_count; i++) {
    const struct tide_field *field = &spec->field[spec->id[i]];
    const struct tide_input_field *in = column_of(shape, spec->id[i]);
    if (field->derived) continue;
    if (!in)
      tide_build_fail(b, shape->line, shape->column, field->name, "inputs.%s: the id field `%s` is not mapped", shape->name, field->name);
    else if (in->optional && !in->dflt)
      tide_build_fail(b, in->line, in->column, field->name, "inputs.%s: the id field `%s` cannot be optional: without it an event has no identity", shape->name, field->name);
  }
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
      case TIDE_REC_RATE:
        need_extra(b, shape, "currency", TIDE_XTRA_RATE_CURRENCY);
        need_extra(b, shape, "rate", TIDE_XTRA_RATE);
        break;
      case TIDE_REC_LIST: need_extra(b, shape, "list", TIDE_XTRA_LIST); break;
      case TIDE_REC_HEARTBEAT:
        if (spec->f_time != TIDE_NONE && !carries(shape, spec->f_time))
          tide_build_fail(b, shape->line, shape->column, spec->field[spec->f_time].name, "inputs.%s: the time `%s` is not mapped", shape->name, spec->field[spec->f_time].name);
        break;
      default: break;
    }
  }
  if (!event) tide_build_fail_node(b, tide_yaml_get(b->root, "inputs"), "inputs", "inputs: no shape is of type event: nothing would be counted");
}
