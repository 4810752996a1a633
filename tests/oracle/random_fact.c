/* Facts for a part of the cases: which are told about whom, features that read them, derived values and a rule made of those, and the profiles that tell them.
 *
 * It has random numbers of its own and comes last, like the sources, so that a seed without facts is the case it always was. A profile names the key of an event of
 * the stream, so that somebody asks for what it tells; its time lies before or after that of later events by exactly the age that is allowed, or a millisecond
 * beside it. While keys rotate a profile stands near the event whose key it has, among records under the same hashes. */
#include <stdio.h>
#include <string.h>

#include "tests/oracle/random.h"

static const int64_t ages[] = {1000, 5000, 10000, 60000, 300000, 3600000, OR_DAY_MS};

static struct or_expr *make(struct or_case *c, enum or_op op, const struct or_expr *a, const struct or_expr *b) {
  struct or_expr *expr = &c->expr[c->expr_count++];
  *expr = (struct or_expr){.op = op, .a = a, .b = b};
  return expr;
}
static struct or_expr *leaf(struct or_case *c, enum or_op op, int ref) {
  struct or_expr *expr = make(c, op, NULL, NULL);
  expr->ref = ref;
  return expr;
}

/* ---- the file ---- */

/* Fields that name the entity. */
static int key_parts(const struct or_case *c, int entity, int ret[4]) {
  int count = 0;
  const struct or_entity *e = &c->entity[entity];
  for (int p = 0; p < e->part_count; p++) {
    if (e->part_entity && p == 0) count = key_parts(c, 0, ret);
    else ret[count++] = e->part[p];
  }
  return count;
}

static void make_feature(struct or_case *c, int fact, const char *suffix) {
  if (c->feature_count == OR_FEATURES_MAX || c->slot_count == OR_SLOTS_MAX) return;
  struct or_feature *f = &c->feature[c->feature_count];
  *f = (struct or_feature){
      .entity = c->fact[fact].entity, .agg = OA_FACT, .of = OO_FACT, .of_ref = fact, .first_slot = c->slot_count, .companion = -1};
  (void)snprintf(f->name, sizeof f->name, "t%d%s", fact, suffix);
  struct or_slot *slot = &c->slot[c->slot_count++];
  (void)snprintf(slot->name, sizeof slot->name, "%s.t%d%s", c->entity[f->entity].name, fact, suffix);
  slot->feature = c->feature_count++;
}

static void make_facts(struct or_case *c, struct or_rng *rng) {
  static const enum or_type types[] = {OT_TEXT, OT_TEXT, OT_NUM, OT_NUM, OT_BOOL, OT_MONEY, OT_MONEY, OT_TIME};
  int want = 1 + or_below(rng, OR_FACTS_MAX);
  for (int k = 0; k < want; k++) {
    struct or_fact *fact = &c->fact[c->fact_count];
    fact->entity = or_percent(rng, 60) ? 0 : or_below(rng, c->entity_count);
    fact->type = OR_PICK(rng, types);
    if (fact->type == OT_MONEY && !c->amount) fact->type = OT_NUM;
    fact->decimals = fact->type == OT_NUM && or_percent(rng, 50) ? 3 : 0;
    if (k == 0 && or_percent(rng, 30)) (void)snprintf(fact->name, sizeof fact->name, "kind"); /* a field has that name too */
    else (void)snprintf(fact->name, sizeof fact->name, "k%d", k);
    c->fact_count++;
    if (or_percent(rng, 92)) make_feature(c, k, "");
    if (or_percent(rng, 8)) make_feature(c, k, "b");
  }
  if (or_percent(rng, 50)) c->facts_ms = OR_PICK(rng, ages);
  if (!c->sourced) c->stale = or_percent(rng, 50) ? or_below(rng, 4) : -1, c->stale_default = or_below(rng, 4);
  for (int n = 0; n < c->entity_count; n++) {
    if (or_percent(rng, 40)) c->entity[n].facts_ms = OR_PICK(rng, ages);
    if (!c->sourced && or_percent(rng, 40)) c->entity[n].stale = or_below(rng, 4), c->entity[n].stale_default = or_below(rng, 5) - 0.5;
  }
}

/* A condition, or a number, over one value that is a fact. */
static const struct or_expr *read_one(struct or_case *c, struct or_rng *rng, int slot, bool boolean) {
  static const enum or_op ops[] = {OX_GT, OX_GE, OX_LT, OX_EQ, OX_NE}, is[] = {OX_IS_ABSENT, OX_IS_KNOWN, OX_IS_EMPTY};
  const struct or_fact *fact = &c->fact[c->feature[c->slot[slot].feature].of_ref];
  const struct or_expr *read = leaf(c, OX_SLOT, slot);
  if (boolean && or_percent(rng, 20)) return make(c, OR_PICK(rng, is), read, NULL);
  if (fact->type == OT_TEXT) {
    struct or_expr *word = make(c, OX_TEXT, NULL, NULL);
    word->text = OR_PICK(rng, or_pool_country);
    return make(c, or_percent(rng, 70) ? OX_EQ : OX_NE, read, word);
  }
  if (fact->type == OT_TIME) read = make(c, OX_SUB, leaf(c, OX_TIME, 0), read);
  if (fact->type == OT_MONEY && or_percent(rng, 60)) read = make(c, OX_DIV, leaf(c, OX_AMOUNT, 0), read);
  struct or_expr *number = make(c, OX_NUM, NULL, NULL);
  number->num = or_below(rng, 5);
  return boolean ? make(c, OR_PICK(rng, ops), read, number) : make(c, OX_ADD, read, number);
}

static int some_fact_slot(const struct or_case *c, struct or_rng *rng) {
  for (int tries = 0; tries < 30; tries++) {
    int s = or_below(rng, c->slot_count);
    if (c->feature[c->slot[s].feature].agg == OA_FACT) return s;
  }
  return -1;
}

static void make_readers(struct or_case *c, struct or_rng *rng) {
  int slot = c->slot_count ? some_fact_slot(c, rng) : -1;
  if (slot < 0 || c->expr_count > OR_EXPRS_MAX - 40) return;
  if (c->derived_count < OR_DERIVED_MAX) {
    bool text = c->fact[c->feature[c->slot[slot].feature].of_ref].type == OT_TEXT;
    struct or_derived *derived = &c->derived[c->derived_count++];
    *derived = (struct or_derived){.name = "vf", .boolean = text || or_percent(rng, 40)};
    derived->expr = read_one(c, rng, slot, derived->boolean);
  }
  slot = some_fact_slot(c, rng);
  if (slot < 0 || !c->decision_count || c->rule_count == OR_RULES_MAX) return;
  int at = or_below(rng, c->rule_count);
  memmove(&c->rule[at + 1], &c->rule[at], (size_t)(c->rule_count - at) * sizeof *c->rule);
  c->rule_count++;
  c->rule[at] = (struct or_rule){
      .code = "RF", .decision = or_below(rng, c->decision_count), .shadow = or_percent(rng, 10), .when = read_one(c, rng, slot, true)};
}

/* ---- the stream ---- */

static struct or_datum some_value(const struct or_case *c, struct or_rng *rng, const struct or_fact *fact, int64_t now_ms) {
  static const char *const currencies[] = {"EUR", "JPY", "BHD", "USD"};
  static const int exponents[] = {2, 0, 3, 2};
  struct or_datum datum = {.has = true};
  int other;
  switch (fact->type) {
    case OT_TEXT: datum.text = or_percent(rng, 75) ? OR_PICK(rng, or_pool_country) : OR_PICK(rng, or_pool_merchant); break;
    case OT_BOOL: datum.num = or_below(rng, 2); break;
    case OT_TIME: datum.num = now_ms - OR_PICK(rng, ages) * or_below(rng, 3); break;
    case OT_NUM: datum.num = or_percent(rng, 90) ? or_below(rng, 9) - 2 : INT64_C(999999999999998) + or_below(rng, 3); break;
    case OT_MONEY:
      datum.num = or_percent(rng, 90) ? 100 * or_below(rng, 6) : INT64_C(1000000000000);
      datum.currency = c->currency;
      datum.exponent = c->exponent;
      if (!or_percent(rng, 20)) break;
      other = or_below(rng, 4);
      datum.currency = currencies[other];
      datum.exponent = exponents[other];
      break;
  }
  return datum;
}

/* The time of a later event less the age that a fact may have, a millisecond to either side of it; or about now, ahead, long ago. */
static int64_t some_time(const struct or_case *c, struct or_rng *rng, int record, int entity) {
  int64_t now_ms = c->record[record].time_ms, most_ms = c->entity[entity].facts_ms ? c->entity[entity].facts_ms : c->facts_ms;
  int what = or_below(rng, 100), later = record + or_below(rng, c->record_count - record);
  if (what < 30 && most_ms) return c->record[later].time_ms - most_ms + or_below(rng, 3) - 1;
  if (what < 55) return now_ms;
  if (what < 65) return c->record[later].time_ms + or_below(rng, 3) - 1;
  if (what < 75) return now_ms + OR_PICK(rng, ages);
  return now_ms - OR_PICK(rng, ages) * (1 + or_below(rng, 3));
}

/* While keys rotate: 0 the old key alone, 1 both, 2 the new one. */
static int phase(const struct or_record *r) { return r->alt_pan ? 1 : strncmp(r->field[OF_PAN].text, "new-", 4) == 0 ? 2 : 0; }

/* The event whose key it has; -1: none that has one. */
static int some_event(const struct or_case *c, struct or_rng *rng, int record, int entity) {
  int part[4], count = key_parts(c, entity, part);
  for (int tries = 0; tries < 12; tries++) {
    int i = c->rotates ? record + or_below(rng, 6) : or_below(rng, c->record_count), have = 0;
    if (i >= c->record_count || c->record[i].type != OR_EVENT) continue;
    bool secret = c->record[record].field[OF_PAN].has && c->record[i].field[OF_PAN].has; /* only then its phase is known */
    if (c->rotates && i != record && (!secret || phase(&c->record[i]) != phase(&c->record[record]))) continue;
    for (int p = 0; p < count; p++) have += c->record[i].field[part[p]].has;
    if (have == count || (have && c->entity[entity].key == OK_FIRST_OF)) return i;
  }
  return -1;
}

static bool make_profile(const struct or_case *c, struct or_rng *rng, int record, struct or_record *ret) {
  int entity = c->fact[or_below(rng, c->fact_count)].entity, event = some_event(c, rng, record, entity), part[4];
  if (event < 0) return false;
  *ret = (struct or_record){.type = OR_PROFILE, .time_ms = some_time(c, rng, record, entity), .about = entity};
  int count = key_parts(c, entity, part);
  for (int p = 0; p < count; p++) ret->field[part[p]] = c->record[event].field[part[p]];
  if (ret->field[OF_PAN].has) ret->alt_pan = c->record[event].alt_pan;
  if (!c->json && or_percent(rng, 3)) ret->field[part[0]] = (struct or_datum){0}; /* about nobody, perhaps */
  bool any = false;
  for (int k = 0; k < c->fact_count; k++) {
    if (c->fact[k].entity != entity || (any && !or_percent(rng, 70))) continue;
    ret->fact[k] = some_value(c, rng, &c->fact[k], ret->time_ms);
    any = true;
  }
  ret->stamped = !c->json && !c->replay && or_percent(rng, 10);
  ret->partition = or_below(rng, c->partitions ? c->partitions : 1);
  if (c->sourced) ret->partition = 0;
  return true;
}

void or_make_facts(struct or_case *c) {
  static struct or_record out[OR_RECORDS_MAX];
  struct or_rng rng = {c->seed * UINT64_C(0xd6e8feb86659fd93) + 11};
  if (c->hot || (c->rotates && !c->calm) || !or_percent(&rng, 40)) return;
  make_facts(c, &rng);
  make_readers(c, &rng);
  int count = 0, often = 5 + or_below(&rng, 40);
  if (or_percent(&rng, 40) && make_profile(c, &rng, 0, &out[0])) { /* before there is time */
    out[0].new_entry = true;
    out[0].commit_ms = c->record[0].commit_ms;
    c->record[0].new_entry = false;
    if (c->reload_at >= 0) c->reload_at++;
    count = 1;
  }
  int reload_at = c->reload_at - count;
  for (int i = 0; i < c->record_count; i++) {
    if (i == reload_at) c->reload_at = count;
    out[count++] = c->record[i];
    bool with_row = i + 1 < c->record_count && c->record[i + 1].same_row;
    bool room = count + c->record_count - i < OR_RECORDS_MAX - 1;
    if (!with_row && room && or_percent(&rng, often) && make_profile(c, &rng, i, &out[count])) count++;
  }
  memcpy(c->record, out, sizeof *out * (size_t)count);
  c->record_count = count;
}
