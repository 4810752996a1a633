/* `windows:`, `features:` and `derived:`: what is computed.
 *
 * A feature's text is cut into clauses (spec_clause.c) and checked against what its aggregation takes (the table below). Each window makes one slot, named
 * entity.name_window with the window as written. The first `time since first` of an entity is followed by its companion ENTITY.new. */
#include <stdio.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/num.h"
#include "feature/describe.h"
#include "feature/spec_build.h"

enum { OVER = 1, HOP = 2, CURRENT = 4, DELAYED = 8, CAP = 16, WHERE = 32, WHERE_MUST = 64 };
enum of_kind { OF_NONE, OF_NUMBER, OF_ANY, OF_KEY, OF_PREDICATE, OF_WINDOW, OF_FACT };
struct agg_row {
  uint8_t of;
  uint8_t takes;
};
#define WINDOWED (OVER | CURRENT | DELAYED | WHERE)
static const struct agg_row agg_rows[TIDE_AGG_NAMED] = {
    [TIDE_AGG_COUNT] = {OF_NONE, WINDOWED | HOP},
    [TIDE_AGG_SUM] = {OF_NUMBER, WINDOWED | HOP},
    [TIDE_AGG_MEAN] = {OF_NUMBER, WINDOWED | HOP},
    [TIDE_AGG_STDDEV] = {OF_NUMBER, WINDOWED | HOP},
    [TIDE_AGG_MIN] = {OF_NUMBER, WINDOWED | HOP},
    [TIDE_AGG_MAX] = {OF_NUMBER, WINDOWED | HOP},
    [TIDE_AGG_DISTINCT] = {OF_KEY, WINDOWED | HOP | CAP},
    [TIDE_AGG_APPROX_DISTINCT] = {OF_KEY, WINDOWED},
    [TIDE_AGG_RATE] = {OF_PREDICATE, WINDOWED | HOP},
    [TIDE_AGG_MAX_COUNT] = {OF_WINDOW, WINDOWED},
    [TIDE_AGG_STREAK] = {OF_NONE, OVER | DELAYED | WHERE | WHERE_MUST},
    [TIDE_AGG_SINCE_PREVIOUS] = {OF_NONE, WHERE},
    [TIDE_AGG_SINCE_FIRST] = {OF_NONE, 0},
    [TIDE_AGG_LAST] = {OF_ANY, WHERE},
    [TIDE_AGG_CHANGED] = {OF_ANY, WHERE},
    [TIDE_AGG_DISTANCE] = {OF_NONE, WHERE},
    [TIDE_AGG_SPEED] = {OF_NONE, WHERE},
    [TIDE_AGG_FACT] = {OF_FACT, 0},
};

/* What one feature's text is about, while it is read. */
struct reading {
  struct tide_build *b;
  const struct tide_yaml_node *node;
  const char *name; /* entity.feature */
  struct tide_clauses c;
};

static size_t offset_of(const struct reading *r, struct tide_span part) { return (size_t)(part.ptr - r->node->text.ptr); }

#define REFUSE(r, part, ...) (tide_build_fail_text((r)->b, (r)->node, offset_of(r, part), (r)->name, __VA_ARGS__), false)

static bool duration(const struct reading *r, struct tide_span text, const char *what, int64_t *ret) {
  if (tide_duration_parse(text, ret) || *ret == 0)
    return REFUSE(r, text, "%s: %s: `%.*s` is not a duration; write a whole number above 0 and one of ms s m h d, like 10m, at most 3650d",
                  r->name, what, text.len > 40 ? 40 : (int)text.len, text.ptr);
  return true;
}

/* Which clauses the aggregation takes. */
static bool check_clauses(const struct reading *r) {
  const struct tide_clauses *c = &r->c;
  const struct agg_row *row = &agg_rows[c->agg];
  const char *agg = tide_agg_names[c->agg];
  struct tide_span front = {r->node->text.ptr, 0};
  if (row->of == OF_NONE && c->of.ptr) return REFUSE(r, c->of, "%s: `%s` takes no `of`", r->name, agg);
  if (row->of != OF_NONE && !c->of.ptr) {
    static const char *const usage[] = {
        [OF_NUMBER] = "of amount", [OF_ANY] = "merchant",     [OF_KEY] = "of merchant", [OF_PREDICATE] = "of result = declined",
        [OF_WINDOW] = "of 1h",     [OF_FACT] = "credit_limit"};
    return REFUSE(r, front, "%s: `%s` needs to know of what, like `%s %s`", r->name, agg, agg, usage[row->of]);
  }
  if ((row->takes & OVER) && !c->over.ptr) return REFUSE(r, front, "%s: `%s` needs a window, like `over 10m, 24h`", r->name, agg);
  if (row->of == OF_FACT && c->over.ptr)
    return REFUSE(r, c->over, "%s: a fact has no window: leave `over` out (how old it may be is `facts:` under freshness)", r->name);
  if (!(row->takes & OVER) && c->over.ptr)
    return REFUSE(r, c->over, "%s: `%s` has no window: leave `over` out (how far back it looks is the entity's `keep`)", r->name, agg);
  if ((row->takes & WHERE_MUST) && !c->where.ptr)
    return REFUSE(r, front, "%s: `%s` needs `where`, like `streak over 7d where result = declined`", r->name, agg);
  if (!(row->takes & WHERE) && c->where.ptr) return REFUSE(r, c->where, "%s: `%s` takes no `where`", r->name, agg);
  if (!(row->takes & CURRENT) && c->current) return REFUSE(r, front, "%s: `with current` means nothing for `%s`", r->name, agg);
  if (!(row->takes & DELAYED) && c->delayed.ptr)
    return REFUSE(r, c->delayed, "%s: `%s` takes no `delayed`: it has no window", r->name, agg);
  if (!(row->takes & HOP) && c->hop.ptr)
    return REFUSE(r, c->hop, "%s: `%s` takes no `hop`: only count, sum, mean, stddev, min, max, rate and distinct do", r->name, agg);
  if (!(row->takes & CAP) && c->cap.ptr) return REFUSE(r, c->cap, "%s: `cap` is for `distinct` only", r->name);
  return true;
}

static bool operand(const struct reading *r, struct tide_feature *f) {
  struct tide_spec *spec = r->b->spec;
  struct tide_span of = r->c.of;
  uint8_t kind = agg_rows[r->c.agg].of;
  const char *agg = tide_agg_names[r->c.agg];
  bool has_amount = spec->f_amount != TIDE_NONE;
  bool amount = tide_span_is(of, "amount"), requested = tide_span_is(of, "requested");
  if ((amount || requested) && !has_amount)
    return REFUSE(r, of, "%s: no amount is declared; write `amount: FIELD in EUR` in event", r->name);
  if (has_amount && !amount && tide_span_is(of, spec->field[spec->f_amount].name)) requested = true; /* the field as sent */
  if (amount || requested) {
    if (kind == OF_KEY) return REFUSE(r, of, "%s: `%s` counts texts and keys, not amounts", r->name, agg);
    f->of = amount ? TIDE_OF_AMOUNT : TIDE_OF_REQUESTED;
    f->of_ref = spec->f_amount;
    return true;
  }
  struct tide_key_part part;
  if (kind == OF_NUMBER) {
    part = (struct tide_key_part){false, tide_build_field_text(r->b, r->node, of, r->name)};
    if (part.ref == TIDE_NONE) return false;
    if (spec->field[part.ref].type != TIDE_F_NUMBER)
      return REFUSE(r, of, "%s: `%s` needs a number and `%s` is none; declare it in inputs with `as: int` or `as: decimal(n)`", r->name,
                    agg, spec->field[part.ref].name);
  } else if (!tide_build_operand(r->b, r->node, of, r->name, &part)) {
    return false;
  }
  if (!part.is_entity) {
    const struct tide_field *field = &spec->field[part.ref];
    if (field->type == TIDE_F_TIME) return REFUSE(r, of, "%s: `%s` cannot read the time field `%s`", r->name, agg, field->name);
    if (r->c.agg == TIDE_AGG_LAST && field->secret)
      return REFUSE(r, of, "%s: `%s` is secret: its text is nowhere; `changed %s` tells whether it is another", r->name, field->name,
                    field->name);
  } else if (r->c.agg == TIDE_AGG_LAST) {
    return REFUSE(r, of, "%s: `last` reads a field, and `%s` is an entity; `changed` and `distinct` read entities", r->name,
                  spec->entity[part.ref].name);
  }
  f->of = part.is_entity ? TIDE_OF_ENTITY : TIDE_OF_FIELD;
  f->of_ref = part.ref;
  return true;
}

/* The fact of the feature's entity. */
static bool fact_operand(const struct reading *r, struct tide_feature *f) {
  struct tide_build *b = r->b;
  const struct tide_spec *spec = b->spec;
  const char *name = tide_arena_strdup(&b->scratch, r->c.of), *entity = spec->entity[f->entity].name;
  f->of = TIDE_OF_FIELD;
  f->of_ref = tide_spec_fact(spec, f->entity, name);
  if (f->of_ref != TIDE_NONE) return true;
  for (uint32_t i = 0; i < b->broken_count; i++)
    if (strcmp(b->broken[i], name) == 0) return false;
  const char *names[TIDE_FIELDS_MAX];
  size_t count = 0;
  for (uint32_t i = 0; i < spec->field_count; i++)
    if (spec->field[i].fact && spec->field[i].fact_of == f->entity) names[count++] = spec->field[i].name;
  const char *hint = tide_build_suggest(b, name, names, count);
  return REFUSE(r, r->c.of, "%s: no profile tells a fact `%.64s` about %s%s", r->name, name, entity,
                *hint ? hint : "; facts stand in inputs, under `facts:` of a shape with `type: profile`");
}

/* --- windows --- */
struct window {
  struct tide_span text;
  int64_t ms;
};

static bool add_window(const struct reading *r, struct tide_span text, struct tide_span blame, struct window *window, uint32_t *count) {
  if (*count == TIDE_FEATURE_WINDOWS_MAX) return REFUSE(r, blame, "%s: more than %d windows", r->name, TIDE_FEATURE_WINDOWS_MAX);
  int64_t ms;
  if (tide_duration_parse(text, &ms) || ms == 0)
    return REFUSE(r, blame, "%s: `%.*s` is not a window; write a whole number above 0 and one of ms s m h d, like 10m, at most 3650d",
                  r->name, text.len > 40 ? 40 : (int)text.len, text.ptr);
  for (uint32_t i = 0; i < *count; i++)
    if (window[i].ms == ms) return REFUSE(r, blame, "%s: the window %.*s stands here twice", r->name, TIDE_SPAN_FMT(text));
  window[(*count)++] = (struct window){text, ms};
  return true;
}

/* The next of "a, b, c". False at the end. */
static bool next_item(struct tide_span *rest, struct tide_span *ret) {
  if (!rest->ptr) return false;
  const char *comma = memchr(rest->ptr, ',', rest->len);
  *ret = tide_span_trim((struct tide_span){rest->ptr, comma ? (size_t)(comma - rest->ptr) : rest->len});
  *rest = comma ? (struct tide_span){comma + 1, rest->len - (size_t)(comma + 1 - rest->ptr)} : (struct tide_span){NULL, 0};
  return true;
}

static bool read_windows(const struct reading *r, struct window *window, uint32_t *ret_count) {
  const struct tide_build *b = r->b;
  struct tide_span rest = r->c.over, item;
  uint32_t count = 0;
  while (next_item(&rest, &item)) {
    if (item.len == 0) return REFUSE(r, item, "%s: a window is missing here", r->name);
    bool digit = item.ptr[0] >= '0' && item.ptr[0] <= '9';
    if (digit) {
      if (!add_window(r, item, item, window, &count)) return false;
      continue;
    }
    const struct tide_window_name *named = NULL;
    const char *names[TIDE_WINDOWS_MAX];
    for (uint32_t i = 0; i < b->window_count; i++) {
      names[i] = b->window[i].name;
      if (tide_span_is(item, names[i])) named = &b->window[i];
    }
    if (!named) {
      const char *text = tide_arena_strdup(&r->b->scratch, item);
      for (uint32_t i = 0; i < b->broken_count; i++)
        if (strcmp(b->broken[i], text) == 0) return false;
      return REFUSE(r, item, "%s: `%.64s` is neither a duration nor a name in `windows:`%s", r->name, text,
                    tide_build_suggest(r->b, text, names, b->window_count));
    }
    struct tide_span inner = named->text, one;
    while (next_item(&inner, &one))
      if (!add_window(r, one, item, window, &count)) return false;
  }
  *ret_count = count;
  return true;
}

static void read_window_names(struct tide_build *b) {
  const struct tide_yaml_node *map = tide_yaml_get(b->root, "windows");
  if (!map) return;
  if (map->kind != TIDE_YAML_MAP) {
    tide_build_fail_node(b, map, "windows", "windows must be a mapping of names to lists, like {short: \"1m, 10m, 1h\"}, not %s",
                         tide_yaml_kind_name(map));
    return;
  }
  for (uint32_t i = 0; i < map->count; i++) {
    const struct tide_yaml_pair *pair = &map->pair[i];
    const struct tide_yaml_node *node = pair->value;
    if (b->window_count == TIDE_WINDOWS_MAX) {
      tide_build_fail(b, pair->line, pair->column, pair->key, "more than %d named windows", TIDE_WINDOWS_MAX);
      return;
    }
    if (!tide_build_name(b, pair->key, pair->line, pair->column, "a window")) continue;
    struct tide_buf text = TIDE_BUF_INIT;
    bool good = true;
    if (node->kind == TIDE_YAML_LIST) {
      for (uint32_t k = 0; k < node->count && good; k++) {
        good = tide_build_scalar(b, node->item[k], pair->key);
        if (good) tide_buf_printf(&text, "%s%s", k ? "," : "", node->item[k]->text.ptr);
      }
    } else {
      good = tide_build_scalar(b, node, pair->key);
      if (good) tide_buf_str(&text, node->text.ptr);
    }
    struct tide_span copy = {tide_arena_strdup(&b->scratch, tide_buf_span(&text)), text.len}, rest = copy, item;
    tide_buf_release(&text);
    while (good && next_item(&rest, &item)) {
      int64_t ms;
      if (!tide_duration_parse(item, &ms) && ms > 0) continue;
      const struct tide_yaml_node *blame = node;
      size_t at = (size_t)(item.ptr - copy.ptr);
      for (uint32_t k = 0; node->kind == TIDE_YAML_LIST && k < node->count; k++)
        if (tide_span_eq(tide_span_trim(node->item[k]->text), item)) blame = node->item[k], at = 0;
      tide_build_fail_text(
          b, blame, at, pair->key,
          "windows.%s: `%.*s` is not a window; write a whole number above 0 and one of ms s m h d, like 10m, at most 3650d", pair->key,
          item.len > 40 ? 40 : (int)item.len, item.ptr);
      good = false;
    }
    if (!good) {
      if (b->error_count) tide_build_broken(b, pair->key);
      continue;
    }
    b->window[b->window_count++] = (struct tide_window_name){pair->key, copy, node};
  }
}

/* --- one feature --- */
static bool cut(struct reading *r) {
  size_t at;
  const char *problem;
  struct tide_span word;
  if (tide_clauses_cut(r->node->text, &r->c, &at, &problem, &word)) return true;
  if (at == 0 || word.ptr == tide_span_trim(r->node->text).ptr) {
    const char *name = tide_arena_strdup(&r->b->scratch, word);
    /* `time since prev`: the nearest by the whole front, else by its first word */
    struct tide_span front = r->node->text;
    size_t end = tide_text_find_word(front, 0, "over"), where = tide_text_find_word(front, 0, "where"),
           of = tide_text_find_word(front, 0, "of");
    if (where < end) end = where;
    if (of < end) end = of;
    if (end != SIZE_MAX) front.len = end;
    front = tide_span_trim(front);
    const char *whole = tide_arena_strdup(&r->b->scratch, front);
    const char *hint = tide_build_suggest(r->b, whole, tide_agg_names, TIDE_AGG_NAMED);
    if (!*hint) hint = tide_build_suggest(r->b, name, tide_agg_names, TIDE_AGG_NAMED);
    tide_build_fail_text(r->b, r->node, at, r->name, "%s: `%.64s` is not an aggregation%s", r->name, word.len ? name : whole,
                         *hint ? hint : "; a feature begins like `count over 1h` or `sum of amount over 24h`");
    return false;
  }
  static const char *const words[] = {"of", "over", "where", "with current", "delayed", "hop", "cap"};
  const char *name = tide_arena_strdup(&r->b->scratch, word);
  bool known = false;
  for (size_t i = 0; i < 7; i++) known = known || strcmp(words[i], name) == 0;
  const char *hint = word.len && !known ? tide_build_suggest(r->b, name, words, 7) : "";
  tide_build_fail_text(r->b, r->node, at, r->name, "%s: %s%s%.40s%s%s", r->name, problem, word.len ? ", found `" : "", name,
                       word.len ? "`" : "", strncmp(hint, "; did", 5) == 0 ? hint : "");
  return false;
}

static bool reads_kind(const struct tide_spec *spec, const struct tide_expr *expr) {
  return expr && spec->f_kind != TIDE_NONE && tide_expr_reads_ref(expr, TIDE_X_FIELD, spec->f_kind);
}

static bool read_feature(struct reading *r, struct tide_feature *f, struct window *window, uint32_t *window_count) {
  struct tide_build *b = r->b;
  *window_count = 0;
  if (!cut(r) || !check_clauses(r)) return false;
  const struct tide_clauses *c = &r->c;
  f->agg = (uint8_t)c->agg;
  f->of_ref = TIDE_NONE;
  f->with_current = c->current;
  uint8_t kind = agg_rows[c->agg].of;
  if ((c->agg == TIDE_AGG_DISTANCE || c->agg == TIDE_AGG_SPEED) && b->spec->f_lat == TIDE_NONE) {
    if (b->error_count && tide_yaml_get(tide_yaml_get(b->root, "event"), "place")) return false; /* noted there */
    return REFUSE(r, r->node->text, "%s: no place is declared; write `place: [lat, lon]` in event, with number fields", r->name);
  }
  if ((kind == OF_NUMBER || kind == OF_ANY || kind == OF_KEY) && !operand(r, f)) return false;
  if (kind == OF_FACT && !fact_operand(r, f)) return false;
  if (kind == OF_PREDICATE && !(f->rate_of = tide_build_expr(b, r->node, c->of, TIDE_ALLOW_FIELDS | TIDE_ALLOW_DYN, TIDE_V_BOOL, r->name)))
    return false;
  if (kind == OF_WINDOW && !duration(r, c->of, "max_count of", &f->inner_ms)) return false;
  if (c->where.ptr && !(f->where = tide_build_expr(b, r->node, c->where, TIDE_ALLOW_FIELDS | TIDE_ALLOW_DYN, TIDE_V_BOOL, r->name)))
    return false;
  if (c->delayed.ptr && !duration(r, c->delayed, "delayed", &f->delayed_ms)) return false;
  if (c->hop.ptr && !duration(r, c->hop, "hop", &f->hop_ms)) return false;
  if (c->cap.ptr) {
    int64_t cap;
    if (tide_int_parse(c->cap, &cap) || cap < 1 || cap > 1000000)
      return REFUSE(r, c->cap, "%s: cap must be a whole number from 1 to 1000000", r->name);
    f->cap = (uint32_t)cap;
  }
  if (c->over.ptr && !read_windows(r, window, window_count)) return false;
  for (uint32_t i = 0; i < *window_count; i++) {
    if (f->hop_ms > window[i].ms)
      return REFUSE(r, c->hop, "%s: hop %.*s is longer than the window %.*s", r->name, TIDE_SPAN_FMT(c->hop),
                    TIDE_SPAN_FMT(window[i].text));
    if (f->inner_ms > window[i].ms)
      return REFUSE(r, c->of, "%s: the inner window %.*s is longer than the outer %.*s", r->name, TIDE_SPAN_FMT(c->of),
                    TIDE_SPAN_FMT(window[i].text));
  }
  f->mentions_kind = reads_kind(b->spec, f->where) || reads_kind(b->spec, f->rate_of);
  return true;
}

static bool is_money(const struct tide_spec *spec, const struct tide_feature *f) {
  if (f->agg == TIDE_AGG_FACT) return spec->field[f->of_ref].type == TIDE_F_MONEY;
  if (f->of != TIDE_OF_AMOUNT && f->of != TIDE_OF_REQUESTED) return false;
  return f->agg == TIDE_AGG_SUM || f->agg == TIDE_AGG_MEAN || f->agg == TIDE_AGG_STDDEV || f->agg == TIDE_AGG_MIN ||
         f->agg == TIDE_AGG_MAX || f->agg == TIDE_AGG_LAST;
}

/* Adds the feature and its slots. False: a bound or a name stands against it (noted). */
static bool add_feature(struct tide_build *b, struct tide_feature *f, const struct window *window, uint32_t window_count) {
  struct tide_spec *spec = b->spec;
  uint32_t slots = window_count ? window_count : 1;
  if (spec->slot_count + slots > TIDE_SLOTS_MAX || spec->feature_count == TIDE_FEATURES_MAX) {
    tide_build_fail(b, f->line, f->column, f->name, "more than %d feature values (each window of each feature is one)", TIDE_SLOTS_MAX);
    return false;
  }
  f->first_slot = spec->slot_count;
  f->slot_count = slots;
  for (uint32_t i = 0; i < slots; i++) {
    char name[2 * TIDE_NAME_MAX + 64];
    if (window_count)
      (void)snprintf(name, sizeof name, "%s.%s_%.*s", spec->entity[f->entity].name, f->name, (int)window[i].text.len, window[i].text.ptr);
    else (void)snprintf(name, sizeof name, "%s.%s", spec->entity[f->entity].name, f->name);
    uint32_t other = tide_spec_slot(spec, name);
    if (other != TIDE_NONE) {
      tide_build_fail(b, f->line, f->column, f->name, "the value %.150s would exist twice: line %d makes it too", name,
                      spec->feature[spec->slot[other].feature].line);
      spec->slot_count = f->first_slot;
      return false;
    }
    bool given = f->agg == TIDE_AGG_LAST || f->agg == TIDE_AGG_FACT;
    bool text = given && f->of == TIDE_OF_FIELD && spec->field[f->of_ref].type == TIDE_F_TEXT;
    spec->slot[spec->slot_count++] = (struct tide_slot){.name = tide_build_dup(b, tide_span_of(name)),
                                                        .feature = spec->feature_count,
                                                        .window_ms = window_count ? window[i].ms : 0,
                                                        .type = text ? TIDE_V_TEXT : TIDE_V_NUM,
                                                        .money = is_money(spec, f)};
  }
  spec->feature[spec->feature_count++] = *f;
  return true;
}

static void add_companion(struct tide_build *b, const struct tide_feature *first) {
  struct tide_spec *spec = b->spec;
  for (uint32_t i = 0; i < spec->feature_count; i++)
    if (spec->feature[i].entity == first->entity && spec->feature[i].agg == TIDE_AGG_NEW) return;
  struct tide_feature f = {.name = "new",
                           .entity = first->entity,
                           .agg = TIDE_AGG_NEW,
                           .of_ref = TIDE_NONE,
                           .text = "1 when there is no earlier event, else 0",
                           .line = first->line,
                           .column = first->column};
  (void)add_feature(b, &f, NULL, 0);
}

static void read_entity_features(struct tide_build *b, uint32_t entity, const struct tide_yaml_node *map) {
  struct tide_spec *spec = b->spec;
  for (uint32_t i = 0; i < map->count; i++) {
    const struct tide_yaml_pair *pair = &map->pair[i];
    if (!tide_build_name(b, pair->key, pair->line, pair->column, "a feature")) continue;
    char name[2 * TIDE_NAME_MAX + 2];
    (void)snprintf(name, sizeof name, "%s.%s", spec->entity[entity].name, pair->key);
    struct reading r = {.b = b, .node = pair->value, .name = tide_arena_strdup(&b->scratch, tide_span_of(name))};
    struct tide_feature f = {
        .name = tide_build_dup(b, tide_span_of(pair->key)), .entity = entity, .line = pair->line, .column = pair->column};
    struct window window[TIDE_FEATURE_WINDOWS_MAX];
    uint32_t window_count;
    bool good = tide_build_scalar(b, pair->value, r.name) && read_feature(&r, &f, window, &window_count);
    if (good) {
      f.text = tide_build_dup(b, pair->value->text);
      good = add_feature(b, &f, window, window_count);
    }
    if (!good) {
      if (b->error_count) tide_build_broken(b, name);
      continue;
    }
    if (f.agg == TIDE_AGG_SINCE_FIRST) add_companion(b, &f);
  }
}

int64_t tide_slot_reach_ms(const struct tide_spec *spec, const struct tide_slot *slot) {
  const struct tide_feature *f = &spec->feature[slot->feature];
  if (f->agg == TIDE_AGG_FACT) return 0;                                  /* reads no event */
  if (f->agg == TIDE_AGG_SINCE_FIRST || f->agg == TIDE_AGG_NEW) return 0; /* survives retention by itself, for forget_after */
  if (slot->window_ms == 0) return spec->entity[f->entity].keep_ms;
  return slot->window_ms + f->delayed_ms + f->hop_ms + f->inner_ms;
}

static void check_forget(struct tide_build *b) {
  struct tide_spec *spec = b->spec;
  for (uint32_t i = 0; i < spec->slot_count; i++) {
    struct tide_entity *e = &spec->entity[spec->feature[spec->slot[i].feature].entity];
    int64_t reach = tide_slot_reach_ms(spec, &spec->slot[i]);
    if (e->forget_after_ms >= reach) continue;
    if (b->forget_given[e - spec->entity]) {
      char a[TIDE_TIME_TEXT], c[TIDE_TIME_TEXT];
      tide_build_fail(b, e->line, e->column, e->name, "%s: forget_after %s is shorter than %s, which %.100s looks back", e->name,
                      tide_duration_format(e->forget_after_ms, a), tide_duration_format(reach, c), spec->slot[i].name);
      e->forget_after_ms = INT64_MAX; /* once per entity */
    } else {
      e->forget_after_ms = reach;
    }
  }
}

void tide_build_features(struct tide_build *b) {
  struct tide_spec *spec = b->spec;
  read_window_names(b);
  const struct tide_yaml_node *map = tide_yaml_get(b->root, "features");
  if (!map) return; /* rules over fields alone are possible */
  if (map->kind != TIDE_YAML_MAP) {
    tide_build_fail_node(b, map, "features", "features must be a mapping of entities to their features, not %s", tide_yaml_kind_name(map));
    return;
  }
  for (uint32_t i = 0; i < map->count; i++) {
    const struct tide_yaml_pair *pair = &map->pair[i];
    uint32_t entity = tide_spec_entity(spec, pair->key);
    if (entity == TIDE_NONE) {
      bool known = false;
      for (uint32_t k = 0; k < b->broken_count; k++) known = known || strcmp(b->broken[k], pair->key) == 0;
      const char *names[TIDE_ENTITIES_MAX];
      for (uint32_t k = 0; k < spec->entity_count; k++) names[k] = spec->entity[k].name;
      if (!known) {
        tide_build_fail(b, pair->line, pair->column, pair->key, "no entity is named `%.64s`%s", pair->key,
                        tide_build_suggest(b, pair->key, names, spec->entity_count));
        tide_build_broken(b, pair->key);
      }
      continue;
    }
    if (pair->value->kind != TIDE_YAML_MAP) {
      tide_build_fail_node(b, pair->value, pair->key, "features.%s must be a mapping of names to texts, not %s", pair->key,
                           tide_yaml_kind_name(pair->value));
      tide_build_broken(b, pair->key);
      continue;
    }
    read_entity_features(b, entity, pair->value);
  }
  check_forget(b);
}

/* --- derived: --- */
static bool plain(const struct tide_build *b, const struct tide_expr *expr) {
  if (tide_expr_reads(expr, TIDE_X_FEATURE) || tide_expr_reads(expr, TIDE_X_SCORE)) return false;
  for (uint32_t i = 0; i < b->spec->derived_count; i++)
    if (!b->derived_plain[i] && tide_expr_reads_ref(expr, TIDE_X_DERIVED, i)) return false;
  return true;
}

void tide_build_derived(struct tide_build *b) {
  struct tide_spec *spec = b->spec;
  const struct tide_yaml_node *map = tide_yaml_get(b->root, "derived");
  if (!map) return;
  if (map->kind != TIDE_YAML_MAP) {
    tide_build_fail_node(b, map, "derived", "derived must be a mapping of names to expressions, not %s", tide_yaml_kind_name(map));
    return;
  }
  for (uint32_t i = 0; i < map->count; i++) {
    const struct tide_yaml_pair *pair = &map->pair[i];
    if (!tide_build_read_name(b, pair->key, pair->line, pair->column, "a derived value")) continue;
    if (tide_spec_field(spec, pair->key) != TIDE_NONE || tide_dyn_find(pair->key) != TIDE_NONE) {
      tide_build_fail(b, pair->line, pair->column, pair->key, "derived: a field named `%s` is there already", pair->key);
      continue;
    }
    if (spec->derived_count == TIDE_DERIVED_MAX) {
      tide_build_fail(b, pair->line, pair->column, pair->key, "more than %d derived values", TIDE_DERIVED_MAX);
      return;
    }
    const struct tide_expr *expr = NULL;
    if (tide_build_scalar(b, pair->value, pair->key))
      expr = tide_build_expr(b, pair->value, pair->value->text,
                             TIDE_ALLOW_FIELDS | TIDE_ALLOW_FEATURES | TIDE_ALLOW_DERIVED | TIDE_ALLOW_TIME, TIDE_V_NULL, pair->key);
    if (!expr) {
      if (b->error_count) tide_build_broken(b, pair->key);
      continue;
    }
    b->derived_plain[spec->derived_count] = plain(b, expr);
    spec->derived[spec->derived_count++] =
        (struct tide_derived){.name = tide_build_dup(b, tide_span_of(pair->key)), .expr = expr, .line = pair->line, .column = pair->column};
  }
}
