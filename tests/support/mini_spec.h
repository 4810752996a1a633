/* A small feature file built by hand, for tests of the decoder that must not depend on the parser.
 *
 * Add fields with mini_field, shapes with mini_shape, mappings with mini_in; the result is a struct tide_spec whose tables live
 * in its arena. */
#ifndef TIDE_MINI_SPEC_H
#define TIDE_MINI_SPEC_H

#include "feature/record.h"

#include <stdlib.h>

#define MINI_SHAPES 16
#define MINI_INPUTS 64

static inline struct tide_spec *mini_new(void) {
  struct tide_spec *s = calloc(1, sizeof *s);
  s->name = "mini";
  s->field = tide_arena_alloc(&s->arena, TIDE_FIELDS_MAX * sizeof *s->field);
  s->shape = tide_arena_alloc(&s->arena, MINI_SHAPES * sizeof *s->shape);
  s->entity = tide_arena_alloc(&s->arena, TIDE_ENTITIES_MAX * sizeof *s->entity);
  s->list = tide_arena_alloc(&s->arena, 8 * sizeof *s->list);
  s->f_time = s->f_kind = s->f_amount = s->f_merchant = s->f_lat = s->f_lon = TIDE_NONE;
  memcpy(s->currency, "EUR", 4);
  s->exponent = 2;
  return s;
}

static inline void mini_free(struct tide_spec *s) {
  tide_arena_release(&s->arena);
  free(s);
}

static inline struct tide_field *mini_field(struct tide_spec *s, const char *name, enum tide_ftype type) {
  struct tide_field *f = &s->field[s->field_count++];
  *f = (struct tide_field){.name = name, .type = (uint8_t)type, .derive_of = TIDE_NONE};
  return f;
}

static inline uint32_t mini_index(const struct tide_spec *s, const char *name) {
  for (uint32_t i = 0; i < s->field_count; i++)
    if (strcmp(s->field[i].name, name) == 0) return i;
  abort();
}

static inline struct tide_shape *mini_shape(struct tide_spec *s, const char *name, enum tide_record_type type) {
  struct tide_shape *shape = &s->shape[s->shape_count++];
  *shape = (struct tide_shape){.name = name, .type = (uint8_t)type};
  shape->field = tide_arena_alloc(&s->arena, MINI_INPUTS * sizeof *shape->field);
  return shape;
}

static inline struct tide_input_field *mini_add(struct tide_shape *shape, const char *at) {
  struct tide_input_field *in = &shape->field[shape->field_count++];
  *in = (struct tide_input_field){.field = TIDE_NONE, .dyn = TIDE_NONE, .extra = TIDE_NONE, .at = at};
  return in;
}
static inline struct tide_input_field *mini_in(struct tide_spec *s, struct tide_shape *shape, const char *field, const char *at) {
  struct tide_input_field *in = mini_add(shape, at);
  in->field = mini_index(s, field);
  return in;
}
static inline struct tide_input_field *mini_dyn(struct tide_shape *shape, enum tide_dyn dyn, const char *at) {
  struct tide_input_field *in = mini_add(shape, at);
  in->dyn = dyn;
  return in;
}
static inline struct tide_input_field *mini_extra(struct tide_shape *shape, enum tide_extra extra, const char *at) {
  struct tide_input_field *in = mini_add(shape, at);
  in->extra = extra;
  return in;
}
static inline struct tide_input_field *mini_opt(struct tide_input_field *in) {
  in->optional = true;
  return in;
}

static inline void mini_derive(struct tide_spec *s, const char *name, enum tide_derive_fn fn, const char *of, int arg0, int arg1) {
  struct tide_field *f = mini_field(s, name, TIDE_F_TEXT);
  f->derived = true;
  f->derive_fn = (uint8_t)fn;
  f->derive_of = mini_index(s, of);
  f->derive_arg[0] = arg0;
  f->derive_arg[1] = arg1;
}

/* A fact about an entity. */
static inline struct tide_field *mini_fact(struct tide_spec *s, const char *name, enum tide_ftype type, uint32_t entity) {
  struct tide_field *f = mini_field(s, name, type);
  f->fact = true;
  f->fact_of = entity;
  s->fact_count++;
  return f;
}

static inline struct tide_secret_key mini_key(uint8_t fill) {
  struct tide_secret_key key = {.id = 0};
  memset(key.bytes, fill, sizeof key.bytes);
  tide_secret_key_seal(&key);
  return key;
}

/* A card message: the fields most tests use, read from JSON ("default", nested) and CSV ("flat"), plus the other kinds of record. */
static inline struct tide_spec *mini_cards(void) {
  struct tide_spec *s = mini_new();
  mini_field(s, "id", TIDE_F_TEXT);
  s->f_time = s->field_count;
  mini_field(s, "time", TIDE_F_TIME);
  s->f_kind = s->field_count;
  mini_field(s, "kind", TIDE_F_TEXT);
  s->f_amount = s->field_count;
  mini_field(s, "amount", TIDE_F_MONEY);
  mini_field(s, "pan", TIDE_F_TEXT)->secret = true;
  s->f_merchant = s->field_count;
  mini_field(s, "merchant", TIDE_F_TEXT);
  mini_field(s, "mcc", TIDE_F_NUMBER);
  mini_field(s, "lat", TIDE_F_NUMBER)->decimals = 6;
  mini_field(s, "chip", TIDE_F_BOOL);
  mini_field(s, "ip", TIDE_F_TEXT);
  mini_field(s, "email", TIDE_F_TEXT);
  mini_derive(s, "bin", TIDE_DERIVE_PREFIX, "pan", 8, 0);
  mini_derive(s, "net", TIDE_DERIVE_IP_PREFIX, "ip", 24, 56);
  mini_derive(s, "mail", TIDE_DERIVE_EMAIL_KEY, "email", 0, 0);
  mini_derive(s, "low", TIDE_DERIVE_LOWER, "merchant", 0, 0);
  s->id[0] = 0;
  s->id_count = 1;
  s->entity[0] = (struct tide_entity){.name = "card", .part = {{false, mini_index(s, "pan")}}, .part_count = 1};
  s->entity[1] = (struct tide_entity){.name = "card_merchant", .part = {{true, 0}, {false, mini_index(s, "merchant")}}, .part_count = 2};
  s->entity_count = 2;
  s->list[0] = (struct tide_list){"blocked_cards", true, 0};
  s->list[1] = (struct tide_list){"trusted_merchants", false, mini_index(s, "merchant")};
  s->list_count = 2;
  mini_fact(s, "limit", TIDE_F_MONEY, 0);
  mini_fact(s, "segment", TIDE_F_TEXT, 0);
  mini_fact(s, "risk", TIDE_F_NUMBER, 0)->decimals = 2;
  mini_fact(s, "staff", TIDE_F_BOOL, 0);
  mini_fact(s, "opened", TIDE_F_TIME, 0);

  struct tide_shape *d = mini_shape(s, "default", TIDE_REC_EVENT);
  mini_in(s, d, "id", "/id");
  mini_in(s, d, "time", "/transmitted_at");
  mini_in(s, d, "kind", "/type")->dflt = "auth";
  struct tide_input_field *amount = mini_opt(mini_in(s, d, "amount", "/billing/amount"));
  amount->currency = "/billing/currency";
  mini_in(s, d, "pan", "/card/number");
  mini_opt(mini_in(s, d, "merchant", "/merchant/id"));
  mini_opt(mini_in(s, d, "mcc", "/merchant/mcc"));
  mini_opt(mini_in(s, d, "lat", "/place/0"));
  mini_opt(mini_in(s, d, "chip", "/chip"));
  mini_opt(mini_in(s, d, "ip", "/ip"));
  mini_opt(mini_in(s, d, "email", "email"));
  static const char *const from[] = {"00", "10", "51"}, *const to[] = {"approved", "partial", "declined"};
  struct tide_input_field *result = mini_dyn(d, TIDE_DYN_result, "/response_code");
  result->map_from = from;
  result->map_to = to;
  result->map_count = 3;
  mini_dyn(d, TIDE_DYN_reason, "/reason");
  mini_dyn(d, TIDE_DYN_disputed, "/disputed");

  struct tide_shape *o = mini_shape(s, "outcomes", TIDE_REC_OUTCOME);
  o->when_at = "/type";
  o->when_value = "outcome";
  mini_in(s, o, "id", "/id");
  mini_in(s, o, "pan", "/card/number");
  mini_opt(mini_in(s, o, "time", "/at"));
  mini_opt(mini_dyn(o, TIDE_DYN_label, "/label"));
  mini_opt(mini_dyn(o, TIDE_DYN_reversed, "/reversed"));
  mini_opt(mini_dyn(o, TIDE_DYN_amount_now, "/amount_now"))->currency_fixed = "JPY";

  struct tide_shape *r = mini_shape(s, "rates", TIDE_REC_RATE);
  r->when_at = "/type";
  r->when_value = "rate";
  mini_opt(mini_in(s, r, "time", "/at"));
  mini_extra(r, TIDE_XTRA_RATE_CURRENCY, "/currency");
  mini_extra(r, TIDE_XTRA_RATE, "/rate");

  struct tide_shape *l = mini_shape(s, "lists", TIDE_REC_LIST);
  l->when_at = "/type";
  l->when_value = "list";
  mini_extra(l, TIDE_XTRA_LIST, "/list");
  mini_opt(mini_extra(l, TIDE_XTRA_EXPIRES, "/expires"))->time_form = TIDE_TIME_EPOCH_MS;
  mini_opt(mini_extra(l, TIDE_XTRA_REMOVE, "/remove"));
  mini_in(s, l, "pan", "/card/number");
  mini_in(s, l, "merchant", "/merchant/id");

  struct tide_shape *h = mini_shape(s, "beats", TIDE_REC_HEARTBEAT);
  h->when_at = "/type";
  h->when_value = "heartbeat";
  mini_in(s, h, "time", "/at");

  struct tide_shape *p = mini_shape(s, "profiles", TIDE_REC_PROFILE);
  p->when_at = "/type";
  p->when_value = "profile";
  mini_in(s, p, "pan", "/card/number");
  mini_in(s, p, "time", "/at");
  mini_in(s, p, "limit", "/limit")->currency = "/currency";
  mini_in(s, p, "segment", "/segment");
  mini_in(s, p, "risk", "/risk");
  mini_in(s, p, "staff", "/staff");
  mini_in(s, p, "opened", "/opened");

  struct tide_shape *f = mini_shape(s, "flat", TIDE_REC_EVENT);
  mini_in(s, f, "id", "id");
  mini_in(s, f, "time", "/ts")->time_form = TIDE_TIME_EPOCH_MS;
  mini_in(s, f, "kind", "kind")->dflt = "auth";
  mini_opt(mini_in(s, f, "amount", "minor"))->minor = true;
  mini_in(s, f, "pan", "pan");
  mini_opt(mini_in(s, f, "merchant", "merchant"));
  mini_opt(mini_in(s, f, "chip", "chip"));
  mini_dyn(f, TIDE_DYN_result, "result");
  mini_dyn(f, TIDE_DYN_label, "label");
  return s;
}

#endif
