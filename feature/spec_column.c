/* One column of a shape of message: where it stands (`at`), its form (`as`), and what is done to it (`default`, `optional`, `map`, `currency`).
 *
 * A column is a field, an outcome column, or one of the columns that records other than events have; the first passes through here to become a field
 * of the table in spec_inputs.c. What a field's values may look like is decided by its form alone, so a default that could never be read is
 * refused here. */
#include "base/clock.h"
#include "base/num.h"
#include "feature/spec_build.h"

struct extra_row {
  const char *name;
  uint8_t type;
  uint32_t extra;
};
static const struct extra_row extras[] = {
    {"currency", TIDE_REC_RATE, TIDE_XTRA_RATE_CURRENCY},
    {"rate", TIDE_REC_RATE, TIDE_XTRA_RATE},
    {"list", TIDE_REC_LIST, TIDE_XTRA_LIST},
    {"expires", TIDE_REC_LIST, TIDE_XTRA_EXPIRES},
    {"remove", TIDE_REC_LIST, TIDE_XTRA_REMOVE},
    {"source", TIDE_REC_HEARTBEAT, TIDE_XTRA_SOURCE},
};
static const char *const time_forms[] = {"rfc3339", "epoch_s", "epoch_ms", "epoch_us"}; /* by enum tide_time_form */

uint32_t tide_build_extra(uint8_t shape_type, const char *name) {
  for (size_t i = 0; i < sizeof extras / sizeof extras[0]; i++)
    if (extras[i].type == shape_type && strcmp(extras[i].name, name) == 0) return extras[i].extra;
  return TIDE_NONE;
}

bool tide_build_as_read(struct tide_build *b, const struct tide_yaml_node *node, struct tide_build_as *ret) {
  static const char *const words[] = {"text", "int", "decimal(n)", "bool", "rfc3339", "epoch_s", "epoch_ms", "epoch_us", "minor", "amount"};
  if (!tide_build_scalar(b, node, "as")) return false;
  struct tide_build_as as = {.type = TIDE_F_TEXT};
  const char *text = node->text.ptr;
  int64_t n;
  if (strcmp(text, "int") == 0) {
    as.type = TIDE_F_NUMBER;
  } else if (strcmp(text, "bool") == 0) {
    as.type = TIDE_F_BOOL;
  } else if (strcmp(text, "minor") == 0 || strcmp(text, "amount") == 0) {
    as.type = TIDE_F_MONEY;
    as.minor = text[0] == 'm';
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
      tide_build_fail_node(b, node, "as", "as: there is no form `%.40s`%s", text,
                           tide_build_suggest(b, text, words, sizeof words / sizeof words[0]));
      return false;
    }
    as.type = TIDE_F_TIME;
    as.time_form = (uint8_t)form;
  }
  *ret = as;
  return true;
}

/* A JSON pointer or a column. RFC 6901: ~ only as ~0 and ~1. */
const char *tide_build_at_read(struct tide_build *b, const struct tide_yaml_node *node, const char *what) {
  if (!tide_build_scalar(b, node, what)) return NULL;
  const char *text = node->text.ptr;
  bool good = node->text.len > 0;
  size_t levels = 0;
  for (size_t i = 0; text[0] == '/' && i < node->text.len; i++) levels += text[i] == '/';
  if (levels > TIDE_DEPTH_MAX) {
    tide_build_fail_node(b, node, what, "%s: the pointer leads %zu levels down; no message is read deeper than %d", what, levels,
                         TIDE_DEPTH_MAX);
    return NULL;
  }
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
  if (!code) return (in->currency = tide_build_at_read(b, node, "currency")) != NULL;
  char canonical[4];
  int exponent;
  if (tide_currency_get(node->text, canonical, &exponent)) {
    tide_build_fail_node(b, node, "currency",
                         "currency: `%s` is not an ISO 4217 currency; a column is written in other than three capitals, or as /POINTER", t);
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

/* Would the text be accepted as a value of this type? */
static bool value_fits(const struct tide_build_as *as, struct tide_span text) {
  int64_t n;
  bool yes;
  struct tide_etime t;
  switch (as->type) {
    case TIDE_F_NUMBER: return tide_decimal_parse(text, as->decimals, &n) == TIDE_OK && tide_number_fits(n);
    case TIDE_F_BOOL: return tide_bool_parse(text, &yes);
    case TIDE_F_MONEY: return tide_decimal_parse(text, as->minor ? 0 : 4, &n) == TIDE_OK;
    case TIDE_F_TIME: return tide_time_parse(text, (enum tide_time_form)as->time_form, &t) == TIDE_OK;
    default: return true;
  }
}

static bool read_map(struct tide_build *b, const struct tide_yaml_node *map, const struct tide_build_as *as, struct tide_input_field *in) {
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
    if (in->dyn == TIDE_NONE && !null && value->text.len && !value_fits(as, value->text)) {
      tide_build_fail_node(b, value, "map", "map: `%.64s` is not a value of this field's form", value->text.ptr);
      good = false;
    }
    from[i] = tide_build_dup(b, tide_span_of(map->pair[i].key));
    to[i] = null ? "" : tide_build_dup(b, value->text); /* the empty text is a missing value */
  }
  in->map_from = from;
  in->map_to = to;
  in->map_count = map->count;
  return good;
}

/* What `as:` says of a column of this kind, into c->as; false: it cannot be (noted). */
static bool read_as(struct tide_build *b, const struct tide_yaml_pair *pair, const struct tide_yaml_node *as, bool is_amount, bool is_time,
                    bool is_fact, struct tide_build_column *c) {
  struct tide_build_as said;
  if (!tide_build_as_read(b, as, &said)) return false;
  if (is_amount && !said.minor)
    tide_build_fail_node(b, as, "as",
                         "%s: the decimals of an amount come from its currency; leave `as` out, or write `as: minor` for whole minor units",
                         pair->key);
  else if (!is_amount && !is_fact && said.type == TIDE_F_MONEY)
    tide_build_fail_node(b, as, "as", "%s: `as: %s` is for the amount (event.amount) and for facts only; use int or decimal(n)", pair->key,
                         as->text.ptr);
  else if (is_fact && said.type == TIDE_F_MONEY && !b->amount_name)
    tide_build_fail_node(
        b, as, "as", "%s: no amount is declared, so there is no currency to count in; write `amount: FIELD in EUR` in event", pair->key);
  else if (is_time && said.type != TIDE_F_TIME)
    tide_build_fail_node(b, as, "as", "%s is a time: write as: rfc3339, epoch_s, epoch_ms or epoch_us", pair->key);
  else if (c->in.dyn != TIDE_NONE && !is_amount)
    tide_build_fail_node(b, as, "as", "%s is an outcome column: its form is fixed; use `map:` to translate", pair->key);
  else if (c->in.extra != TIDE_NONE && said.type != c->as.type)
    tide_build_fail_node(b, as, "as", "%s has a fixed form here; leave `as` out", pair->key);
  else {
    c->as = said;
    return true;
  }
  return false;
}

/* A column, short ("/pointer") or a mapping, of which is known what it will be. *ret says what it is even when it is wrong. */
static bool read_column(struct tide_build *b, const struct tide_yaml_pair *pair, struct tide_build_column c, bool is_amount, bool is_time,
                        bool is_fact, struct tide_build_column *ret) {
  static const char *const keys[] = {"at", "as", "default", "optional", "map", "currency"};
  struct tide_yaml_node *node = pair->value;
  if (node->kind == TIDE_YAML_SCALAR) {
    c.in.at = tide_build_at_read(b, node, pair->key);
    *ret = c;
    return c.in.at != NULL;
  }
  *ret = c;
  if (!tide_build_keys(b, node, pair->key, keys, sizeof keys / sizeof keys[0])) return false;
  const struct tide_yaml_node *at = tide_yaml_get(node, "at"), *as = tide_yaml_get(node, "as"), *dflt = tide_yaml_get(node, "default"),
                              *optional = tide_yaml_get(node, "optional"), *map = tide_yaml_get(node, "map"),
                              *currency = tide_yaml_get(node, "currency");
  bool good = true;
  if (!at) {
    tide_build_fail_node(b, node, pair->key, "%s: `at:` is missing: the JSON pointer or the column", pair->key);
    good = false;
  } else if (!(c.in.at = tide_build_at_read(b, at, "at"))) {
    good = false;
  }
  if (as && !read_as(b, pair, as, is_amount, is_time, is_fact, &c)) good = false;
  if (optional && !tide_build_bool(b, optional, "optional", &c.in.optional)) good = false;
  if (map && !read_map(b, map, &c.as, &c.in)) good = false;
  if (currency) {
    if (!is_amount && !(is_fact && c.as.type == TIDE_F_MONEY)) {
      tide_build_fail_node(b, currency, "currency", "%s: `currency:` is for the amount (event.amount)%s", pair->key,
                           is_fact ? " and for facts with `as: amount` or `as: minor`" : " only");
      good = false;
    } else if (!read_currency(b, currency, &c.in)) {
      good = false;
    }
  }
  if (dflt) {
    if (!tide_build_scalar(b, dflt, "default")) {
      good = false;
    } else if ((c.in.dyn != TIDE_NONE && !word_of_dyn(b, dflt, c.in.dyn)) || !value_fits(&c.as, dflt->text)) {
      if (!value_fits(&c.as, dflt->text))
        tide_build_fail_node(b, dflt, "default", "%s: the default `%.64s` is not a value of this field's form", pair->key, dflt->text.ptr);
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

bool tide_build_column_read(struct tide_build *b, const struct tide_yaml_pair *pair, uint8_t shape_type, struct tide_build_column *ret) {
  struct tide_build_column c = {.in = {.field = TIDE_NONE,
                                       .dyn = tide_dyn_find(pair->key),
                                       .extra = tide_build_extra(shape_type, pair->key),
                                       .line = pair->line,
                                       .column = pair->column}};
  bool plain = c.in.dyn == TIDE_NONE && c.in.extra == TIDE_NONE;
  bool is_amount = c.in.dyn == TIDE_DYN_amount_now || (plain && b->amount_name && strcmp(b->amount_name, pair->key) == 0);
  bool is_time = c.in.extra == TIDE_XTRA_EXPIRES || (plain && b->time_name && strcmp(b->time_name, pair->key) == 0);
  c.as.type = is_amount ? TIDE_F_MONEY : is_time ? TIDE_F_TIME : c.in.extra == TIDE_XTRA_REMOVE ? TIDE_F_BOOL : TIDE_F_TEXT;
  return read_column(b, pair, c, is_amount, is_time, false, ret);
}

bool tide_build_fact_read(struct tide_build *b, const struct tide_yaml_pair *pair, struct tide_build_column *ret) {
  struct tide_build_column c = {
      .in = {.field = TIDE_NONE, .dyn = TIDE_NONE, .extra = TIDE_NONE, .optional = true, .line = pair->line, .column = pair->column}};
  c.as.type = TIDE_F_TEXT;
  return read_column(b, pair, c, false, false, true, ret);
}
