/* `event:`: which fields identify, time, price, link and hide an event, and what is derived from them at decode.
 *
 * It is read in two steps around `inputs:`: first the names of the time and the amount, because they decide the types of those fields; then, once all
 * fields are known, everything that refers to fields. */
#include <stdio.h>

#include "base/num.h"
#include "feature/spec_build.h"

static struct tide_yaml_node *section(struct tide_build *b) { return tide_yaml_get(b->root, "event"); }

/* "amount in EUR" */
static void amount_names(struct tide_build *b, struct tide_yaml_node *node) {
  b->amount_node = node;
  if (!tide_build_scalar(b, node, "event.amount")) return;
  size_t in = tide_text_find_word(node->text, 0, "in");
  struct tide_span field = tide_span_trim((struct tide_span){node->text.ptr, in == SIZE_MAX ? node->text.len : in});
  if (in == SIZE_MAX || field.len == 0) {
    tide_build_fail_node(b, node, "amount", "event.amount: say in which currency is counted, like `amount: amount in EUR`");
    if (field.len) b->amount_name = tide_arena_strdup(&b->scratch, field);
    return;
  }
  b->amount_name = tide_arena_strdup(&b->scratch, field);
  struct tide_span currency = tide_span_trim((struct tide_span){node->text.ptr + in + 2, node->text.len - in - 2});
  if (currency.len != 3 || currency.ptr[0] < 'A' || tide_currency_get(currency, b->spec->currency, &b->spec->exponent))
    tide_build_fail_text(b, node, currency.len ? (size_t)(currency.ptr - node->text.ptr) : in, "amount",
                         "event.amount: `%.*s` is not an ISO 4217 currency; write a code like EUR",
                         currency.len > 40 ? 40 : (int)currency.len, currency.ptr);
}

void tide_build_event_names(struct tide_build *b) {
  static const char *const keys[] = {"id",   "time",     "amount", "score", "advise", "key",        "derive",
                                     "kind", "merchant", "parent", "alias", "place",  "on_conflict"};
  struct tide_yaml_node *event = section(b);
  if (!event) {
    tide_build_fail(b, 1, 1, "event", "`event:` is missing: it says which fields are the id and the time");
    return;
  }
  if (!tide_build_keys(b, event, "event", keys, sizeof keys / sizeof keys[0])) return;
  struct tide_yaml_node *time = tide_yaml_get(event, "time"), *amount = tide_yaml_get(event, "amount");
  if (!time) tide_build_fail_node(b, event, "time", "event.time is missing: name the field that holds the event time");
  else if (tide_build_scalar(b, time, "event.time")) b->time_name = time->text.ptr;
  b->time_node = time;
  if (amount) amount_names(b, amount);
}

/* FIELD, or a tuple of fields; 0 when wrong (noted). */
static uint32_t tuple(struct tide_build *b, struct tide_yaml_node *node, const char *what, uint32_t ret[TIDE_TUPLE_MAX]) {
  const struct tide_yaml_node *part[TIDE_TUPLE_MAX];
  uint32_t count = tide_build_list(b, node, what, TIDE_TUPLE_MAX, part);
  for (uint32_t i = 0; i < count; i++) {
    ret[i] = tide_build_field(b, part[i], what);
    if (ret[i] == TIDE_NONE) return 0;
    for (uint32_t j = 0; j < i; j++)
      if (ret[j] == ret[i]) {
        tide_build_fail_node(b, part[i], what, "%s names `%.64s` twice", what, part[i]->text.ptr);
        return 0;
      }
  }
  return count;
}

/* Secret fields. They are hashed as text, so they must be text, and derived ones would have shown the text already. */
static void secrets(struct tide_build *b, struct tide_yaml_node *node) {
  const struct tide_yaml_node *part[TIDE_FIELDS_MAX];
  uint32_t count = tide_build_list(b, node, "event.key", TIDE_FIELDS_MAX, part);
  for (uint32_t i = 0; i < count; i++) {
    uint32_t field = tide_build_field(b, part[i], "event.key");
    if (field == TIDE_NONE) continue;
    if (b->spec->field[field].type != TIDE_F_TEXT)
      tide_build_fail_node(b, part[i], "key", "event.key: `%.64s` is not a text field; only texts can be kept secret", part[i]->text.ptr);
    b->spec->field[field].secret = true;
  }
}

struct derive_call {
  enum tide_derive_fn fn;
  const char *name;
  int args;
  int lo[2], hi[2];
};
static const struct derive_call derive_calls[] = {
    {TIDE_DERIVE_PREFIX, "prefix", 1, {1, 0}, {64, 0}},
    {TIDE_DERIVE_IP_PREFIX, "ip_prefix", 2, {0, 0}, {32, 128}},
    {TIDE_DERIVE_EMAIL_KEY, "email_key", 0, {0, 0}, {0, 0}},
    {TIDE_DERIVE_LOWER, "lower", 0, {0, 0}, {0, 0}},
};

/* What the card schemes let stand in clear of a card number, and what is a network and no longer an address. */
enum { CLEAR_PREFIX_MAX = 8, CLEAR_V4_MAX = 24, CLEAR_V6_MAX = 64 };

/* Does it show so little of a secret that it may stand in clear? All else of a secret is one itself. */
static bool shows_little(const struct tide_field *field) {
  if (field->derive_fn == TIDE_DERIVE_PREFIX) return field->derive_arg[0] <= CLEAR_PREFIX_MAX;
  return field->derive_fn == TIDE_DERIVE_IP_PREFIX && field->derive_arg[0] <= CLEAR_V4_MAX && field->derive_arg[1] <= CLEAR_V6_MAX;
}

/* The call whose name stands before a bracket at the front of text, and its arguments' span. */
static const struct derive_call *derive_call_of(struct tide_span text, struct tide_span *ret_args) {
  for (size_t i = 0; i < sizeof derive_calls / sizeof derive_calls[0]; i++) {
    size_t len = strlen(derive_calls[i].name);
    if (text.len < len || memcmp(text.ptr, derive_calls[i].name, len) != 0) continue;
    struct tide_span rest = tide_span_trim((struct tide_span){text.ptr + len, text.len - len});
    if (rest.len == 0 || rest.ptr[0] != '(') continue;
    *ret_args = (struct tide_span){rest.ptr + 1, rest.len - 1};
    return &derive_calls[i];
  }
  return NULL;
}

static bool derive_by_call(struct tide_build *b, const struct tide_yaml_node *node, const struct derive_call *call, struct tide_span args,
                           struct tide_field *field) {
  size_t at = (size_t)(args.ptr - node->text.ptr);
  struct tide_span part[4];
  int count = 0;
  const char *close = memchr(args.ptr, ')', args.len);
  if (!close || close + 1 != args.ptr + args.len) {
    tide_build_fail_text(b, node, at, field->name,
                         "event.derive: %s(...) must be the whole value; derive a second field from this one to go on from it", call->name);
    return false;
  }
  struct tide_span inner = {args.ptr, args.len - 1};
  while (count < 4) {
    const char *comma = memchr(inner.ptr, ',', inner.len);
    part[count++] = tide_span_trim((struct tide_span){inner.ptr, comma ? (size_t)(comma - inner.ptr) : inner.len});
    if (!comma) break;
    inner = (struct tide_span){comma + 1, inner.len - (size_t)(comma + 1 - inner.ptr)};
  }
  if (count != call->args + 1) {
    static const char *const usage[] = {[TIDE_DERIVE_PREFIX] = "prefix(FIELD, LENGTH)",
                                        [TIDE_DERIVE_IP_PREFIX] = "ip_prefix(FIELD, V4BITS, V6BITS)",
                                        [TIDE_DERIVE_EMAIL_KEY] = "email_key(FIELD)",
                                        [TIDE_DERIVE_LOWER] = "lower(FIELD)"};
    tide_build_fail_text(b, node, at, field->name, "event.derive: write %s", usage[call->fn]);
    return false;
  }
  uint32_t of = tide_build_field_text(b, node, part[0], "event.derive");
  if (of == TIDE_NONE) return false;
  if (b->spec->field[of].type != TIDE_F_TEXT) {
    tide_build_fail_text(b, node, at, field->name, "event.derive: %s reads a text, and `%s` is none", call->name, b->spec->field[of].name);
    return false;
  }
  field->derive_fn = (uint8_t)call->fn;
  field->derive_of = of;
  for (int i = 0; i < call->args; i++) {
    int64_t v;
    if (tide_int_parse(part[i + 1], &v) || v < call->lo[i] || v > call->hi[i]) {
      tide_build_fail_text(b, node, (size_t)(part[i + 1].ptr - node->text.ptr), field->name,
                           "event.derive: %s takes a whole number from %d to %d here", call->name, call->lo[i], call->hi[i]);
      return false;
    }
    field->derive_arg[i] = (int)v;
  }
  field->type = TIDE_F_TEXT;
  field->secret = b->spec->field[of].secret && !shows_little(field);
  return true;
}

/* The first operand that is an amount, or NULL. */
static const struct tide_expr *reads_money(const struct tide_spec *spec, const struct tide_expr *expr) {
  if (!expr) return NULL;
  if (expr->op == TIDE_X_FIELD && spec->field[expr->ref].type == TIDE_F_MONEY) return expr;
  const struct tide_expr *found = reads_money(spec, expr->a);
  if (!found) found = reads_money(spec, expr->b);
  return found ? found : reads_money(spec, expr->c);
}

static bool derive_by_expr(struct tide_build *b, const struct tide_yaml_node *node, struct tide_field *field) {
  const struct tide_expr *expr = tide_build_expr(b, node, node->text, TIDE_ALLOW_FIELDS, TIDE_V_NULL, "event.derive");
  if (!expr) return false;
  const struct tide_expr *money = reads_money(b->spec, expr);
  if (money) { /* minor units of whatever currency was sent: no rate is known yet, so a comparison would mix currencies */
    tide_build_fail(
        b, money->line, money->column, field->name,
        "event.derive: `%s` is an amount in whatever currency was sent: a derived field is made before any rate is known; compare "
        "amounts under `derived:`, in `where` or in a rule",
        b->spec->field[money->ref].name);
    return false;
  }
  field->derive_fn = TIDE_DERIVE_EXPR;
  field->derive = expr;
  switch (expr->type) {
    case TIDE_V_BOOL: field->type = TIDE_F_BOOL; break;
    case TIDE_V_NUM: field->type = TIDE_F_NUMBER, field->decimals = 4; break;
    default: field->type = TIDE_F_TEXT; break;
  }
  return true;
}

static void derive(struct tide_build *b, const struct tide_yaml_node *map) {
  struct tide_spec *spec = b->spec;
  if (map->kind != TIDE_YAML_MAP) {
    tide_build_fail_node(b, map, "derive", "event.derive must be a mapping of new names to expressions, not %s", tide_yaml_kind_name(map));
    return;
  }
  for (uint32_t i = 0; i < map->count; i++) {
    const struct tide_yaml_pair *pair = &map->pair[i];
    if (!tide_build_read_name(b, pair->key, pair->line, pair->column, "a field")) continue;
    if (tide_spec_field(spec, pair->key) != TIDE_NONE || tide_dyn_find(pair->key) != TIDE_NONE) {
      tide_build_fail(b, pair->line, pair->column, pair->key, "event.derive: a field named `%s` is there already", pair->key);
      continue;
    }
    if (!tide_build_scalar(b, pair->value, "event.derive")) continue;
    struct tide_field field = {.name = tide_build_dup(b, tide_span_of(pair->key)),
                               .derived = true,
                               .derive_of = TIDE_NONE,
                               .line = pair->line,
                               .column = pair->column};
    struct tide_span args;
    const struct derive_call *call = derive_call_of(pair->value->text, &args);
    bool good = call ? derive_by_call(b, pair->value, call, args, &field) : derive_by_expr(b, pair->value, &field);
    if (!good) {
      if (b->error_count) tide_build_broken(b, pair->key);
      continue;
    }
    if (spec->field_count == TIDE_FIELDS_MAX) {
      tide_build_fail(b, pair->line, pair->column, pair->key, "more than %d fields", TIDE_FIELDS_MAX);
      return;
    }
    spec->field[spec->field_count++] = field;
  }
}

#define PLACE_DECIMALS_MAX 7 /* 180 degrees then fit 32 bits, which is what an event keeps of its place */

static bool degrees(const struct tide_field *field) { return field->type == TIDE_F_NUMBER && field->decimals <= PLACE_DECIMALS_MAX; }

static void place(struct tide_build *b, struct tide_yaml_node *node) {
  uint32_t part[TIDE_TUPLE_MAX];
  uint32_t count = tuple(b, node, "event.place", part);
  if (count == 0) return;
  if (count != 2) {
    tide_build_fail_node(b, node, "place", "event.place needs two fields, like `place: [lat, lon]`");
    return;
  }
  for (int i = 0; i < 2; i++) {
    const struct tide_field *field = &b->spec->field[part[i]];
    if (field->type != TIDE_F_NUMBER) {
      tide_build_fail_node(b, node->item[i], "place", "event.place: `%s` is not a number; declare it in inputs with `as: decimal(6)`",
                           field->name);
      return;
    }
    if (!degrees(field)) {
      tide_build_fail_node(b, node->item[i], "place",
                           "event.place: `%s` has more than %d decimals; declare it in inputs with `as: decimal(6)`, which is 11 cm",
                           field->name, PLACE_DECIMALS_MAX);
      return;
    }
  }
  b->spec->f_lat = part[0];
  b->spec->f_lon = part[1];
}

/* Without `place:`, number fields named lat and lon are the place, as `kind` and `merchant` are by their names. */
static void place_by_name(struct tide_spec *spec) {
  uint32_t lat = tide_spec_field(spec, "lat"), lon = tide_spec_field(spec, "lon");
  if (lat == TIDE_NONE || lon == TIDE_NONE || !degrees(&spec->field[lat]) || !degrees(&spec->field[lon])) return;
  spec->f_lat = lat;
  spec->f_lon = lon;
}

static void links(struct tide_build *b, struct tide_yaml_node *event) {
  struct tide_spec *spec = b->spec;
  struct tide_yaml_node *id = tide_yaml_get(event, "id"), *alias = tide_yaml_get(event, "alias"), *parent = tide_yaml_get(event, "parent");
  if (!id) tide_build_fail_node(b, event, "id", "event.id is missing: name the field, or the tuple of fields, that identifies an event");
  else spec->id_count = tuple(b, id, "event.id", spec->id);
  if (alias) spec->alias_count = tuple(b, alias, "event.alias", spec->alias);
  if (parent && parent->kind == TIDE_YAML_MAP) {
    static const char *const keys[] = {"id", "count"};
    struct tide_yaml_node *map = parent;
    if (!tide_build_keys(b, map, "event.parent", keys, 2)) return;
    struct tide_yaml_node *count = tide_yaml_get(map, "count");
    if (count) (void)tide_build_bool(b, count, "event.parent.count", &spec->parent_counts);
    parent = tide_yaml_get(map, "id");
    if (!parent) tide_build_fail_node(b, map, "parent", "event.parent: `id:` is missing: name the field that holds the original's id");
  }
  if (parent) spec->parent_count = tuple(b, parent, "event.parent", spec->parent);
  if (spec->id_count && spec->alias_count && spec->alias_count != spec->id_count)
    tide_build_fail_node(b, alias, "alias", "event.alias has %u parts and event.id %u: an alias stands in for the id", spec->alias_count,
                         spec->id_count);
  if (spec->id_count && spec->parent_count && spec->parent_count != spec->id_count)
    tide_build_fail_node(b, parent, "parent", "event.parent has %u parts and event.id %u: it must name another event's id",
                         spec->parent_count, spec->id_count);
}

void tide_build_event(struct tide_build *b) {
  struct tide_spec *spec = b->spec;
  struct tide_yaml_node *event = section(b);
  if (!event || event->kind != TIDE_YAML_MAP) return;
  struct tide_yaml_node *node;
  if (b->time_name && spec->field_count) spec->f_time = tide_build_field(b, b->time_node, "event.time");
  if (b->amount_name && spec->field_count)
    spec->f_amount = tide_build_field_text(
        b, b->amount_node, (struct tide_span){b->amount_node->text.ptr + strspn(b->amount_node->text.ptr, " \t"), strlen(b->amount_name)},
        "event.amount");
  if ((node = tide_yaml_get(event, "key"))) secrets(b, node);
  if ((node = tide_yaml_get(event, "derive"))) derive(b, node);
  node = tide_yaml_get(event, "kind");
  spec->f_kind = node ? tide_build_field(b, node, "event.kind") : tide_spec_field(spec, "kind");
  if (spec->f_kind != TIDE_NONE && spec->field[spec->f_kind].type != TIDE_F_TEXT) {
    tide_build_fail(b, node ? node->line : spec->field[spec->f_kind].line, node ? node->column : spec->field[spec->f_kind].column, "kind",
                    "the kind of an event must be a text field");
    spec->f_kind = TIDE_NONE;
  }
  node = tide_yaml_get(event, "merchant");
  spec->f_merchant = node ? tide_build_field(b, node, "event.merchant") : tide_spec_field(spec, "merchant");
  links(b, event);
  if ((node = tide_yaml_get(event, "place"))) place(b, node);
  else place_by_name(spec);
  if ((node = tide_yaml_get(event, "on_conflict"))) {
    static const char *const words[] = {"count", "reject"};
    spec->conflict_rejects = tide_build_word(b, node, "event.on_conflict", words, 2) == 1;
  }
  if ((node = tide_yaml_get(event, "score")) && tide_build_scalar(b, node, "event.score"))
    spec->score = tide_build_expr(b, node, node->text, TIDE_ALLOW_FIELDS, TIDE_V_BOOL, "event.score");
  if ((node = tide_yaml_get(event, "advise")) && tide_build_scalar(b, node, "event.advise"))
    spec->advise = tide_build_expr(b, node, node->text, TIDE_ALLOW_FIELDS, TIDE_V_BOOL, "event.advise");
}
