/* The walk of the oracle over the stream: one record after the other, everything looked up by scanning.
 *
 * The order inside one event: time and watermark, identity, lateness, currency, features and rules, then counting: into the entities, onto a parent, waiting
 * outcomes, the remembered answer. */
#include <stdio.h>
#include <string.h>

#include "feature/expr.h"
#include "tests/oracle/random.h"
#include "tests/oracle/recount.h"

struct stub {
  bool waiting;
  char card[96], identity[48];
  int64_t born_ms;
  const struct or_record *outcome;
  bool sets_amount;
  int64_t amount_now;
};

struct walk {
  const struct or_case *c;
  struct or_event event[OR_RECORDS_MAX]; /* remembered ones, by position; those with `counts` are in windows */
  int count;
  struct stub stub[OR_RECORDS_MAX];
  int stub_count;
  const struct or_record *list[OR_RECORDS_MAX];
  int list_count;
  const struct or_record *rate[OR_RECORDS_MAX];
  int rate_count;
  struct or_world world;
  struct or_facts facts;
  int64_t watermark_ms, commit_ms, stamp_ms, history_from_ms;
  struct or_answer *answer;
  int answer_count;
  struct or_end_state seen;
};

/* ---- keys and identities, as texts ---- */

static bool key_part(const struct or_datum *field, int f, char *out, size_t cap) {
  if (!field[f].has) return false;
  if (or_field_info[f].type == OT_TEXT) (void)snprintf(out, cap, "%s", field[f].text);
  else (void)snprintf(out, cap, "#%lld", (long long)field[f].num);
  return true;
}

static bool entity_key(const struct or_case *c, int n, const struct or_datum *field, char out[96]) {
  const struct or_entity *entity = &c->entity[n];
  char a[96], b[40];
  out[0] = 0;
  if (entity->key == OK_FIELD) return key_part(field, entity->part[0], out, 96);
  if (entity->key == OK_FIRST_OF) return key_part(field, entity->part[0], out, 96) || key_part(field, entity->part[1], out, 96);
  bool first = entity->part_entity ? entity_key(c, 0, field, a) : key_part(field, entity->part[0], a, sizeof a);
  if (!first || !key_part(field, entity->part[1], b, sizeof b)) return false;
  (void)snprintf(out, 96, "%.50s|%.40s", a, b);
  return true;
}

static bool tuple(const struct or_case *c, const struct or_datum *field, int first, int second, char out[48]) {
  if (!field[first].has || (c->id_tuple && !field[second].has)) return false;
  (void)snprintf(out, 48, "%.20s|%.20s", field[first].text, c->id_tuple ? field[second].text : "");
  return true;
}
static bool identity_of(const struct or_case *c, const struct or_datum *field, char out[48]) { /* 22 */
  return (c->alias && tuple(c, field, OF_AL1, OF_AL2, out)) || tuple(c, field, OF_ID1, OF_ID2, out);
}

static bool same_amount(const struct or_datum *a, const struct or_datum *b) { /* as sent */
  if (!a->has || !b->has) return a->has == b->has;
  return a->num == b->num && strcmp(a->currency, b->currency) == 0;
}
static bool same_text(const struct or_datum *a, const struct or_datum *b) {
  return a->has && b->has ? strcmp(a->text, b->text) == 0 : a->has == b->has;
}

/* ---- entities: which keys are there, and under which key ---- */

static bool entity_exists(const struct walk *w, int n, const char *key) {
  for (int i = 0; i < w->count; i++)
    if (w->event[i].in[n] && strcmp(w->event[i].key[n], key) == 0) return true;
  return or_facts_known(&w->facts, n, key, w->watermark_ms);
}
static bool has_events(const struct walk *w, int n, const char *key) {
  for (int i = 0; i < w->count; i++)
    if (w->event[i].in[n] && strcmp(w->event[i].key[n], key) == 0) return true;
  return false;
}
static int entities(const struct walk *w, int n) {
  int different = 0;
  for (int i = 0; i < w->count; i++) {
    bool seen = !w->event[i].in[n];
    for (int k = 0; k < i && !seen; k++) seen = w->event[k].in[n] && strcmp(w->event[k].key[n], w->event[i].key[n]) == 0;
    different += !seen;
  }
  for (int i = 0; i < w->facts.about_count; i++) /* known by profiles alone */
    different += !w->facts.about[i].gone && w->facts.about[i].entity == n && !has_events(w, n, w->facts.about[i].key);
  return different;
}

static bool alt_key(const struct or_case *c, int n, const struct or_record *r, const char *key, char out[96]) {
  if (!r->alt_pan || !r->field[OF_PAN].has) return false;
  struct or_datum field[OF_COUNT];
  memcpy(field, r->field, sizeof field);
  field[OF_PAN].text = r->alt_pan;
  return entity_key(c, n, field, out) && strcmp(key, out) != 0;
}

/* 46: an entity that is known under the previous key only goes on under the new one, wherever it is named. */
static void meet(struct walk *w, const struct or_record *r) {
  char key[96], alt[96];
  for (int n = 0; n < w->c->entity_count; n++) {
    if (!entity_key(w->c, n, r->field, key) || !alt_key(w->c, n, r, key, alt) || entity_exists(w, n, key) || !entity_exists(w, n, alt))
      continue;
    w->seen.moved_entities++;
    if (n == 0) or_world_rename(&w->world, alt, key);
    or_facts_rename(&w->facts, n, alt, key);
    for (int i = 0; i < w->count; i++)
      if (w->event[i].has_key[n] && strcmp(w->event[i].key[n], alt) == 0) memcpy(w->event[i].key[n], key, sizeof key);
  }
}

/* ---- money: the last rate at this position, half to even ---- */
static bool convert(const struct walk *w, int64_t minor, const char *currency, int exponent, int64_t *ret) {
  if (strcmp(currency, w->c->currency) == 0) return *ret = minor, true;
  const struct or_record *rate = NULL;
  for (int i = 0; i < w->rate_count; i++)
    if (strcmp(w->rate[i]->currency, currency) == 0) rate = w->rate[i];
  if (!rate) return false;
  __int128 top = (__int128)minor * rate->rate_e10, bottom = 1;
  for (int i = 0; i < 10 + exponent; i++) bottom *= 10;
  for (int i = 0; i < w->c->exponent; i++) top *= 10;
  __int128 whole = top / bottom, rest = top % bottom;
  if (2 * rest > bottom || (2 * rest == bottom && whole % 2 == 1)) whole++;
  if (whole > INT64_C(1000000000000)) return false; /* 3 */
  *ret = (int64_t)whole;
  return true;
}

/* ---- outcomes ---- */

static bool reads_outcome(const struct or_feature *f) {
  return f->of == OO_AMOUNT || or_expr_reads(f->where, OX_DYN, -1) || or_expr_reads(f->rate_of, OX_DYN, -1) ||
         or_expr_reads(f->where, OX_AMOUNT, -1) || or_expr_reads(f->rate_of, OX_AMOUNT, -1);
}

/* 26: events at or before this are not reached any more. */
static int64_t outcome_horizon(const struct walk *w) {
  int64_t reach_ms = w->c->duplicates_for_ms;
  for (int s = 0; s < w->c->slot_count; s++) {
    const struct or_feature *f = &w->c->feature[w->c->slot[s].feature];
    if (!f->dropped && reads_outcome(f) && or_reach_ms(w->c, &w->c->slot[s]) > reach_ms) reach_ms = or_reach_ms(w->c, &w->c->slot[s]);
  }
  return w->watermark_ms == INT64_MIN ? INT64_MIN : w->watermark_ms - reach_ms - w->c->grace_ms;
}

/* The latest event by position with this identity at the card; `amount` may narrow it. */
static struct or_event *find_event(struct walk *w, const char *card, const char *identity, const struct or_datum *amount, bool counted) {
  struct or_event *found = NULL;
  for (int i = 0; i < w->count; i++) {
    struct or_event *ev = &w->event[i];
    if (!ev->has_identity || strcmp(ev->key[0], card) != 0 || strcmp(ev->identity, identity) != 0 || ev->time_ms <= outcome_horizon(w))
      continue;
    if (counted && !ev->counts) continue;
    if (!amount || same_amount(&ev->field[OF_AMOUNT], amount)) found = ev;
  }
  return found;
}

static void apply(struct or_event *ev, const struct or_record *outcome, bool sets_amount, int64_t amount_now) {
  if (outcome->set & 1u << OD_RESULT) ev->result = outcome->result;
  if (outcome->set & 1u << OD_REASON) ev->reason = outcome->reason;
  if (outcome->set & 1u << OD_REVERSED) ev->reversed = outcome->reversed;
  if (outcome->set & 1u << OD_REFUNDED) ev->refunded = outcome->refunded;
  if (outcome->set & 1u << OD_DISPUTED) ev->disputed = outcome->disputed;
  if (outcome->set & 1u << OD_LABEL) ev->label = outcome->label;
  if (sets_amount) ev->has_amount = true, ev->amount_now = amount_now;
}

static void walk_outcome(struct walk *w, const struct or_record *r) {
  char card[96], identity[48];
  if (!entity_key(w->c, 0, r->field, card) || !identity_of(w->c, r->field, identity)) return; /* 24 */
  int64_t amount_now = 0;
  meet(w, r);
  bool sets_amount = (r->set & 1u << OD_AMOUNT) && convert(w, r->amount_now, r->currency, r->exponent, &amount_now);
  struct or_event *ev = r->field[OF_AMOUNT].has ? find_event(w, card, identity, &r->field[OF_AMOUNT], false) : NULL;
  if (!ev) ev = find_event(w, card, identity, NULL, false);
  if (ev) {
    apply(ev, r, sets_amount, amount_now);
    return;
  }
  int same = 0;
  for (int i = 0; i < w->stub_count; i++)
    same += w->stub[i].waiting && strcmp(w->stub[i].card, card) == 0 && strcmp(w->stub[i].identity, identity) == 0;
  if (same == 64) { /* 27 */
    w->seen.crowded_stubs++;
    return;
  }
  struct stub *stub = &w->stub[w->stub_count++];
  *stub = (struct stub){.waiting = true, .born_ms = w->watermark_ms, .outcome = r, .sets_amount = sets_amount, .amount_now = amount_now};
  memcpy(stub->card, card, sizeof card);
  memcpy(stub->identity, identity, sizeof identity);
}

/* ---- watermark: never falling ---- */
static void raise_watermark(struct walk *w, int64_t to_ms) {
  bool first = w->watermark_ms == INT64_MIN;
  if (to_ms <= w->watermark_ms) return;
  w->watermark_ms = to_ms;
  if (first) or_facts_begin(&w->facts, to_ms);
  for (int i = 0; i < w->stub_count; i++) {
    struct stub *stub = &w->stub[i];
    if (first) stub->born_ms = w->watermark_ms; /* born before there was a watermark: its life begins with it */
    if (w->watermark_ms > stub->born_ms + w->c->lateness_ms) stub->waiting = false;
  }
}

static void advance(struct walk *w, const struct or_record *r,
                    int64_t time_ms) { /* 11; in replay the commit time is never behind the event */
  int64_t passed = !w->c->replay && w->commit_ms < time_ms ? w->commit_ms : time_ms;
  or_world_pass(&w->world, r->source, r->partition, passed);
  raise_watermark(w, or_world_watermark(&w->world, w->commit_ms));
  if (w->watermark_ms == INT64_MIN) raise_watermark(w, passed);
}

/* What an entry's header and control records tell. */
static void tell(struct walk *w, const struct or_record *r) { or_world_take(&w->world, r, w->commit_ms); }
static void tell_time(struct walk *w) {
  if (or_world_gates(&w->world)) raise_watermark(w, or_world_watermark(&w->world, w->commit_ms));
}

static void end_entry(struct walk *w) {
  or_world_settle(&w->world);
  tell_time(w);
}

/* ---- rules ---- */

/* The value of a list's operand in a record, and what it was under the previous key: "" where there is none. */
static bool list_keys(const struct or_case *c, const struct or_list *list, const struct or_record *r, char key[96], char alt[96]) {
  alt[0] = 0;
  if (!list->is_entity) return key_part(r->field, list->ref, key, 96); /* no list is about the secret field itself */
  if (!entity_key(c, list->ref, r->field, key)) return false;
  if (!alt_key(c, list->ref, r, key, alt)) alt[0] = 0;
  return true;
}

static void fill_lists(struct walk *w, const struct or_event *e, struct or_env *env) {
  for (int n = 0; n < w->c->list_count; n++) {
    const struct or_list *list = &w->c->list[n];
    char key[96], alt[96], other[96], other_alt[96];
    env->on_list[n] = false;
    env->list_missing[n] = !list_keys(w->c, list, &w->c->record[e->record], key, alt);
    if (env->list_missing[n]) continue;
    for (int i = 0; i < w->list_count; i++) { /* the last record about this value counts (44) */
      const struct or_record *r = w->list[i];
      if (r->list != n || !list_keys(w->c, list, r, other, other_alt)) continue;
      bool same = strcmp(key, other) == 0 || (alt[0] && strcmp(alt, other) == 0) || strcmp(key, other_alt) == 0;
      if (same) env->on_list[n] = !r->remove && (r->expires_ms == 0 || e->time_ms < r->expires_ms);
    }
    w->seen.listed += env->on_list[n];
  }
}

static void fallback(const struct walk *w, struct or_env *env, int cause, struct or_answer *answer) {
  env->rule = true;
  answer->refused = true;
  answer->cause = cause;
  answer->by = OR_BY_NONE;
  answer->policy = w->seen.policy;
  for (int r = 0; r < w->c->fallback_count; r++) {
    struct or_rule rule = or_policy_rule(w->c, w->seen.policy, true, r);
    if (rule.dropped || (rule.when && !or_is_true(rule.when, env))) continue;
    answer->by = OR_BY_FALLBACK;
    answer->rule = r;
    answer->decision = rule.decision;
    return;
  }
}

static void decide(const struct walk *w, struct or_env *env, struct or_answer *answer) { /* 32 */
  const struct or_case *c = w->c;
  struct or_rule rule[OR_RULES_MAX];
  env->rule = true;
  answer->policy = w->seen.policy;
  int decider = -1, unsure = -1;
  for (int r = 0; r < c->rule_count; r++) {
    rule[r] = or_policy_rule(c, w->seen.policy, false, r);
    if (rule[r].dropped) continue;
    struct or_value v = rule[r].when ? or_eval(rule[r].when, env) : or_bool(true);
    answer->truth[r] = v.unknown ? OR_UNKNOWN : v.type == OV_BOOL && v.yes ? OR_TRUE : OR_FALSE;
    if (!rule[r].shadow && decider < 0 && answer->truth[r] == OR_TRUE) decider = r;
  }
  answer->by = OR_BY_NONE;
  if (!c->decision_count) return;
  for (int r = 0; r < c->rule_count && unsure < 0 && (decider < 0 || r < decider); r++)
    if (!rule[r].dropped && !rule[r].shadow && answer->truth[r] == OR_UNKNOWN && (decider < 0 || rule[r].decision > rule[decider].decision))
      unsure = r;
  if (decider >= 0 && unsure < 0) {
    answer->by = OR_BY_RULE;
    answer->rule = decider;
    answer->decision = rule[decider].decision;
    return;
  }
  fallback(w, env, unsure >= 0 ? or_eval(rule[unsure].when, env).cause : TIDE_C_none,
           answer); /* an unknown result carries its first unknown operand's cause */
}

/* ---- facts ---- */

static void walk_profile(struct walk *w, const struct or_record *r) {
  const struct or_case *c = w->c;
  int64_t time_ms = r->time_ms;
  if (r->stamped) time_ms = w->stamp_ms = w->commit_ms > w->stamp_ms ? w->commit_ms : w->stamp_ms;
  meet(w, r);
  for (int k = 0; k < c->fact_count; k++) {
    const struct or_fact *fact = &c->fact[k];
    const struct or_datum *datum = &r->fact[k];
    char key[96];
    int64_t minor = 0;
    if (!datum->has || !or_fact_is_read(c, k)) continue;
    if (fact->type == OT_MONEY && !convert(w, datum->num, datum->currency, datum->exponent, &minor)) continue;
    if (!entity_key(c, fact->entity, r->field, key)) continue;
    if (c->entity[fact->entity].max && !entity_exists(w, fact->entity, key) && entities(w, fact->entity) >= c->entity[fact->entity].max)
      continue;
    double scale = 1;
    for (int i = 0; i < fact->decimals; i++) scale *= 10;
    struct or_value value = fact->type == OT_TEXT    ? or_text(datum->text)
                            : fact->type == OT_MONEY ? or_money(c, true, minor)
                            : fact->type == OT_TIME  ? or_num((double)datum->num / 1000.0)
                                                     : or_num((double)datum->num / scale);
    or_facts_tell(&w->facts, fact->entity, key, k, time_ms, value, w->watermark_ms);
  }
}

/* P4: a fact has an age of its own. */
static struct or_value read_fact(const struct walk *w, const struct or_event *e, const struct or_feature *f, struct or_standing *standing) {
  const struct or_case *c = w->c;
  int n = f->entity;
  if (!e->has_key[n]) return or_null(TIDE_S_absent, TIDE_C_absent);
  if (e->full[n]) {
    struct or_value v = or_null(TIDE_S_absent, TIDE_C_capacity);
    v.unknown = true;
    return v;
  }
  int64_t age_ms = 0, most_ms = c->entity[n].facts_ms ? c->entity[n].facts_ms : c->facts_ms ? c->facts_ms : OR_DAY_MS * 400;
  struct or_value v = or_fact_value(&w->facts, n, e->key[n], f->of_ref, e->time_ms, w->watermark_ms, &age_ms);
  if (v.type == OV_NULL) return v;
  if (!standing->has_facts || age_ms > standing->facts_age_ms) standing->facts_age_ms = age_ms;
  standing->has_facts = true;
  w->answer[w->answer_count].facts_read++;
  if (age_ms <= most_ms) return v;
  return or_stale_value(c, n, (struct or_standing){.state = TIDE_S_stale}, v.type == OV_TEXT, v);
}

/* ---- one event ---- */

static bool duplicate_of(const struct walk *w, const struct or_event *e, int *ret_first, bool *ret_conflict) { /* 23 */
  *ret_conflict = false;
  for (int i = 0; i < w->count && e->has_identity; i++) {
    const struct or_event *old = &w->event[i];
    if (!old->has_identity || strcmp(old->key[0], e->key[0]) != 0 || strcmp(old->identity, e->identity) != 0) continue;
    if (old->time_ms < w->watermark_ms - w->c->duplicates_for_ms) continue;
    *ret_conflict = true;
    if (!same_amount(&old->field[OF_AMOUNT], &e->field[OF_AMOUNT]) || !same_text(&old->field[OF_MERCHANT], &e->field[OF_MERCHANT]))
      continue;
    *ret_first = i;
    return true;
  }
  return false;
}

static void walk_event(struct walk *w, int index) {
  const struct or_case *c = w->c;
  const struct or_record *r = &c->record[index];
  struct or_event e = {.record = index, .time_ms = r->time_ms, .field = r->field, .answer = -1, .counts = true};
  e.lead_ms = r->stamped ? 0 : c->lead_ms;
  if (r->stamped) e.time_ms = w->stamp_ms = w->commit_ms > w->stamp_ms ? w->commit_ms : w->stamp_ms;
  advance(w, r, e.time_ms);
  if (w->history_from_ms == INT64_MIN) w->history_from_ms = e.time_ms; /* 13 */
  for (int n = 0; n < c->entity_count; n++) e.has_key[n] = entity_key(c, n, r->field, e.key[n]);
  e.has_identity = e.has_key[0] && identity_of(c, r->field, e.identity); /* 24 */
  meet(w, r);
  for (int n = 0; n < c->entity_count; n++)
    e.full[n] = c->entity[n].max && e.has_key[n] && !entity_exists(w, n, e.key[n]) && entities(w, n) >= c->entity[n].max;
  const char *card = e.has_key[0] && entity_exists(w, 0, e.key[0]) ? e.key[0] : NULL;
  if (card) or_world_home(&w->world, r, card);
  const struct or_datum *amount = &r->field[OF_AMOUNT];
  bool no_rate = amount->has && !convert(w, amount->num, amount->currency, amount->exponent, &e.requested);
  e.has_requested = e.has_amount = amount->has && !no_rate;
  e.amount_now = e.requested;

  struct or_env env = {.c = c, .field = r->field, .time_ms = e.time_ms};
  env.amount = env.requested = or_money(c, e.has_requested, e.requested);
  e.scored = !c->score || or_is_true(c->score, &env);
  fill_lists(w, &e, &env);
  struct or_answer *answer = &w->answer[w->answer_count];
  memset(answer, 0, sizeof *answer);
  answer->record = index;
  answer->time_ms = e.time_ms;
  answer->advised = c->advise && or_is_true(c->advise, &env);
  env.derived = answer->derived;
  for (int d = 0; d < c->derived_count; d++) /* what fallback rules may read needs no features */
    if (c->derived[d].pure && !c->derived[d].dropped) answer->derived[d] = or_eval(c->derived[d].expr, &env);

  int first = -1;
  bool late = e.time_ms < w->watermark_ms - c->lateness_ms && !answer->advised; /* 12 */
  if (duplicate_of(w, &e, &first, &answer->id_conflict)) {                      /* whatever its time says */
    if (w->event[first].answer < 0) return;                                     /* the first asked for no decision */
    struct or_answer *told = &w->answer[w->event[first].answer];
    bool advised = told->advised;
    *answer = *told;
    answer->record = index;
    answer->time_ms = e.time_ms;
    answer->first_record = told->record;
    answer->duplicate = true;
    answer->counted = answer->features_known = false;
    answer->advised = advised;
    w->answer_count++;
    return;
  }
  if (late || no_rate || (answer->id_conflict && c->conflict_rejects)) {
    if (!e.scored) return;
    fallback(w, &env, late ? TIDE_C_late : no_rate ? TIDE_C_no_rate : TIDE_C_id_conflict, answer);
    w->answer_count++;
    return;
  }
  char parent_identity[48], alt[96];
  struct or_event *parent = NULL; /* 25 */
  if (c->parent && !c->parent_counts && e.has_key[0] && tuple(c, r->field, OF_PA1, OF_PA2, parent_identity))
    parent = find_event(w, e.key[0], parent_identity, NULL, true);
  if (parent) {
    e.counts = false;
    if (parent->has_amount) {
      e.amount_now = parent->amount_now + (e.has_amount ? e.requested : 0);
      e.has_amount = true;
    }
    env.amount = or_money(c, e.has_amount, e.amount_now);
  }
  if (e.scored) {
    env.slot = answer->slot;
    for (int n = 0; n < c->entity_count; n++) answer->standing[n] = or_world_stand(&w->world, n, r, card, e.time_ms, w->commit_ms);
    for (int s = 0; s < c->slot_count; s++) {
      const struct or_feature *f = &c->feature[c->slot[s].feature];
      if (f->dropped) continue;
      if (f->agg == OA_FACT) answer->slot[s] = read_fact(w, &e, f, &answer->standing[f->entity]);
      else answer->slot[s] = or_slot_value(c, w->event, w->count, &e, s, w->watermark_ms, w->history_from_ms);
      bool is_text = f->agg == OA_FACT ? c->fact[f->of_ref].type == OT_TEXT
                                       : f->agg == OA_LAST && (f->of == OO_ENTITY || or_field_info[f->of_ref].type == OT_TEXT);
      if (e.has_key[f->entity]) answer->slot[s] = or_stale_value(c, f->entity, answer->standing[f->entity], is_text, answer->slot[s]);
    }
    for (int d = 0; d < c->derived_count; d++)
      if (!c->derived[d].dropped) answer->derived[d] = or_eval(c->derived[d].expr, &env);
    decide(w, &env, answer);
    answer->features_known = true;
    answer->counted = !r->nocount;
    e.answer = w->answer_count++;
  }
  if (r->nocount) return;
  if (parent && e.has_requested) { /* grows by its amount */
    parent->amount_now = e.amount_now;
    parent->has_amount = true;
  }
  if (parent) e.has_amount = e.has_requested, e.amount_now = e.requested;
  e.watermark_ms = w->watermark_ms;
  for (int n = 0; n < c->entity_count; n++) e.in[n] = e.has_key[n] && !e.full[n] && (e.counts || n == 0);
  e.has_identity = e.has_identity && e.in[0]; /* who has no room is not remembered (45) */
  if (e.in[0]) or_world_home(&w->world, r, e.key[0]);
  for (int n = 0; n < c->entity_count && e.counts; n++)
    if (e.in[n]) or_facts_remind(&w->facts, n, e.key[n], e.time_ms, w->watermark_ms);
  w->event[w->count++] = e;
  for (int i = 0; i < w->stub_count && e.has_identity && e.counts; i++) { /* 27 */
    struct stub *stub = &w->stub[i];
    bool this_card = strcmp(stub->card, e.key[0]) == 0 || (alt_key(c, 0, r, e.key[0], alt) && strcmp(stub->card, alt) == 0);
    if (!stub->waiting || !this_card || strcmp(stub->identity, e.identity) != 0) continue;
    stub->waiting = false;
    if (e.time_ms <= outcome_horizon(w)) continue; /* an advice so old that no outcome would find it (26) */
    apply(&w->event[w->count - 1], stub->outcome, stub->sets_amount, stub->amount_now);
  }
}

int or_recount(const struct or_case *c, struct or_answer *answer, struct or_end_state *ret) {
  static struct walk walk;
  struct walk *w = &walk;
  memset(w, 0, sizeof *w);
  w->c = c;
  w->answer = answer;
  w->watermark_ms = w->commit_ms = w->stamp_ms = INT64_MIN;
  or_world_begin(&w->world, c);
  w->facts.c = c;
  w->history_from_ms = c->history_from_ms;
  int64_t commit_ms = INT64_MIN;
  bool begins = true;
  for (int i = 0; i < c->record_count; i++) {
    const struct or_record *r = &c->record[i];
    if (r->new_entry) commit_ms = r->commit_ms, begins = true;
    if (r->dropped) continue;
    if (begins && i) end_entry(w);
    if (commit_ms > w->commit_ms) w->commit_ms = commit_ms;                                    /* never decreasing */
    for (int k = i; begins && k < c->record_count && (k == i || !c->record[k].new_entry); k++) /* the header comes before all records */
      if (c->record[k].type == OR_FACTS && !c->record[k].dropped) tell(w, &c->record[k]);
    if (begins) tell_time(w);
    begins = false;
    switch (r->type) {
      case OR_EVENT: walk_event(w, i); break;
      case OR_OUTCOME: walk_outcome(w, r); break;
      case OR_PROFILE: walk_profile(w, r); break;
      case OR_RATE: w->rate[w->rate_count++] = r; break;
      case OR_LIST: w->list[w->list_count++] = r; break;
      case OR_HEARTBEAT:
        tell(w, r);
        advance(w, r, r->time_ms);
        break;
      case OR_FACTS: break;
      case OR_DECLARE:
      case OR_START:
      case OR_WAIVE:
        tell(w, r);
        tell_time(w);
        break;
      case OR_ROLLOUT:
        tell_time(w);
        if (r->policy != w->seen.policy) w->seen.policy_from = w->answer_count;
        w->seen.policy = r->policy;
        break;
    }
  }
  end_entry(w);
  *ret = w->seen;
  ret->watermark_ms = w->watermark_ms;
  return w->answer_count;
}
