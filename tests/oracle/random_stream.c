/* The random stream of a case: events with ties, late ones, duplicates and conflicts, advices, parents, outcomes before and after their events,
 * rates, lists, heartbeats, cut into entries.
 *
 * Ids come from a counter and most of an event follows from its id (card, merchant), so that outcomes, parents and aliases that name an id find it, also when they
 * come before it. */
#include <stdio.h>
#include <string.h>

#include "tests/oracle/random.h"

#define IDS_MAX 3000
/* Texts of ids live as long as the program. */
static const char *id_text(int id) {
  static char text[IDS_MAX][12];
  if (!text[id][0]) (void)snprintf(text[id], sizeof text[id], id % 3 ? "i%d" : "identity%d", id);
  return text[id];
}

const char *or_duration(int64_t ms, char *out) {
  static const struct {
    int64_t ms;
    const char *unit;
  } units[] = {{86400000, "d"}, {3600000, "h"}, {60000, "m"}, {1000, "s"}, {1, "ms"}};
  for (size_t i = 0; i < sizeof units / sizeof *units; i++)
    if (ms % units[i].ms == 0) {
      (void)snprintf(out, 16, "%lld%s", (long long)(ms / units[i].ms), units[i].unit);
      break;
    }
  return out;
}

/* Long streams need more different things than a pool of words has. */
static const char *many_text(int n) {
  static char text[64][12];
  if (!text[n][0]) (void)snprintf(text[n], sizeof text[n], n % 2 ? "x%d" : "thing-%d", n);
  return text[n];
}

struct stream {
  struct or_case *c;
  struct or_rng *rng;
  int64_t now_ms;
  int next_id;
};

static struct or_datum text(const char *t) { return (struct or_datum){.has = true, .text = t}; }
static struct or_datum num(int64_t n) { return (struct or_datum){.has = true, .num = n}; }

static const struct {
  const char *code;
  int exponent;
} currencies[] = {{"EUR", 2}, {"JPY", 0}, {"BHD", 3}, {"USD", 2}};

static struct or_datum some_amount(struct stream *s) {
  struct or_datum datum = {.has = true, .currency = s->c->currency, .exponent = s->c->exponent};
  int what = or_below(s->rng, 20);
  datum.num = what < 10 ? 100 * (1 + or_below(s->rng, 5)) : what < 17 ? or_below(s->rng, 10000) : what < 19 ? what * INT64_C(50000003) : 0;
  if (what == 19)
    datum.num = or_percent(s->rng, 50) ? INT64_C(2147483647) + or_below(s->rng, 3) : INT64_C(1000000000000) - or_below(s->rng, 3);
  if (or_percent(s->rng, 15)) {
    int k = or_below(s->rng, 4);
    datum.currency = currencies[k].code;
    datum.exponent = currencies[k].exponent;
  }
  return datum;
}

static void set_id(const struct or_case *c, struct or_record *r, int first, int second, int id) {
  r->field[first] = text(id_text(id));
  if (c->id_tuple) r->field[second] = text(id % 2 ? "x" : "y");
}

static void set_card(struct stream *s, struct or_record *r, int id) {
  bool other = or_percent(s->rng, 5);
  int p = other ? or_below(s->rng, 4) : s->c->hot && id % 16 ? 0 : id % 3;
  if (!or_percent(s->rng, 2)) r->field[OF_PAN] = text(or_pool_pan[p]);
  if (s->c->uses[OF_PAR] && p % 2 == 0) r->field[OF_PAR] = text(or_pool_par[p / 2]);
  if (s->c->uses[OF_COUNTRY] && s->c->entity[0].key == OK_TUPLE) r->field[OF_COUNTRY] = text(or_pool_country[id % 2]);
}

static struct or_record *add(struct stream *s, enum or_record_type type) {
  struct or_record *r = &s->c->record[s->c->record_count++];
  *r = (struct or_record){.type = type, .time_ms = s->now_ms};
  return r;
}

/* An earlier event of the stream, or NULL. */
static struct or_record *earlier_event(struct stream *s) {
  for (int tries = 0; tries < 8 && s->c->record_count; tries++) {
    int back = or_percent(s->rng, s->c->tiles ? 30 : 60) ? 8 : s->c->record_count;
    int at = s->c->record_count - 1 - or_below(s->rng, back < s->c->record_count ? back : s->c->record_count);
    if (s->c->record[at].type == OR_EVENT) return &s->c->record[at];
  }
  return NULL;
}

/* A duration at which something changes in this case: a limit, or how far a value looks back; or a millisecond beside it. */
static int64_t exact(struct stream *s) {
  const struct or_case *c = s->c;
  const int64_t limits[] = {c->lateness_ms, c->duplicates_for_ms, c->grace_ms, c->lateness_ms + c->grace_ms,
                            c->duplicates_for_ms + c->grace_ms};
  int64_t ms = OR_PICK(s->rng, limits);
  if (c->slot_count && or_percent(s->rng, 70)) {
    const struct or_slot *slot = &c->slot[or_below(s->rng, c->slot_count)];
    ms = or_reach_ms(c, slot) + (or_percent(s->rng, 70) ? 0 : c->grace_ms);
    if (or_percent(s->rng, 15)) ms = c->entity[c->feature[slot->feature].entity].forget_ms;
  }
  return ms + (or_percent(s->rng, 60) ? 0 : or_below(s->rng, 3) - 1);
}

/* In calm streams time runs in minutes, so nothing comes near the end of a month's retention. */
static int64_t calm_step(struct stream *s) {
  static const int64_t steps[] = {0, 0, 0, 1, 500, 1000, 4999, 5000, 5001, 10000, 30000};
  return OR_PICK(s->rng, steps);
}

static void step(struct stream *s) {
  if (s->c->calm) {
    s->now_ms += calm_step(s);
    return;
  }
  static const int64_t steps[] = {0, 0, 0, 0, 1, 500, 1000, 1000, 4999, 5000, 5001, 10000, 30000, 60000};
  static const int64_t leaps[] = {300000, 3600000, 3600000, 86400000, 86400000 * 3, INT64_C(86400000) * 45, INT64_C(86400000) * 370};
  static const int64_t small[] = {0, 0, 0, 1, 200, 1000};
  int what = or_below(s->rng, 100);
  int64_t by = what < 5 ? exact(s) : what < 94 ? OR_PICK(s->rng, steps) : what < 98 ? leaps[or_below(s->rng, 4)] : OR_PICK(s->rng, leaps);
  if (s->c->hot && what > 1) by = OR_PICK(s->rng, small);
  if (s->c->tiles && what > 1 && what < 98) by = OR_PICK(s->rng, steps); /* long enough without a gap that would empty every log */
  if (by > 0) s->now_ms += by;
}

/* A time at an edge of a window of an event that would come now, or a millisecond beside it. */
static int64_t at_edge(struct stream *s) {
  const struct or_slot *slot = &s->c->slot[or_below(s->rng, s->c->slot_count)];
  const struct or_feature *f = &s->c->feature[slot->feature];
  int64_t right_ms = s->now_ms - f->delayed_ms, left_ms = right_ms - slot->window_ms - (or_percent(s->rng, 50) ? f->inner_ms : 0);
  if (f->hop_ms) left_ms -= left_ms % f->hop_ms;
  return (or_percent(s->rng, 70) ? left_ms : right_ms) + or_below(s->rng, 3) - 1;
}

/* A time at the border of a hop shortly before now, or a millisecond beside it. */
static int64_t at_border(struct stream *s) {
  const struct or_feature *f = &s->c->feature[s->c->slot[or_below(s->rng, s->c->slot_count)].feature];
  int64_t hop_ms = f->hop_ms ? f->hop_ms : 1;
  return s->now_ms - s->now_ms % hop_ms + or_below(s->rng, 3) - 1;
}

static int64_t some_time(struct stream *s) {
  static const int64_t back[] = {1, 1000, 5000, 10000, 60000, 300000, 3600000, 86400000, 7 * 86400000};
  if (s->c->tiles && s->c->slot_count && or_percent(s->rng, 15)) return at_border(s);
  if (or_percent(s->rng, 78)) return s->now_ms;
  if (or_percent(s->rng, 10)) return s->now_ms + 1 + or_below(s->rng, 3000);
  if (s->c->calm) return s->now_ms - back[or_below(s->rng, 6)];
  if (or_percent(s->rng, 20)) return s->now_ms - exact(s);
  if (s->c->slot_count && or_percent(s->rng, 25)) return at_edge(s);
  int64_t by = or_percent(s->rng, 75) ? back[or_below(s->rng, 5)] : OR_PICK(s->rng, back);
  return s->now_ms - by + (or_percent(s->rng, 30) ? or_below(s->rng, 3) - 1 : 0);
}

static void fill_event(struct stream *s, struct or_record *r, int id) {
  struct or_case *c = s->c;
  struct or_rng *rng = s->rng;
  set_id(c, r, OF_ID1, OF_ID2, id);
  set_card(s, r, id);
  if (!or_percent(rng, 3)) r->field[OF_KIND] = text(or_percent(rng, 70) ? "auth" : OR_PICK(rng, or_pool_kind));
  if (c->amount && !or_percent(rng, 8)) r->field[OF_AMOUNT] = some_amount(s);
  if (c->uses[OF_MERCHANT] && !or_percent(rng, 10))
    r->field[OF_MERCHANT] = text(or_pool_merchant[or_percent(rng, 70) ? id % 2 : or_below(rng, 4)]);
  if (c->uses[OF_DEVICE] && or_percent(rng, 65)) r->field[OF_DEVICE] = text(OR_PICK(rng, or_pool_device));
  if (c->uses[OF_COUNTRY] && !r->field[OF_COUNTRY].has && or_percent(rng, 75)) r->field[OF_COUNTRY] = text(OR_PICK(rng, or_pool_country));
  if (c->uses[OF_ITEMS] && or_percent(rng, 80))
    r->field[OF_ITEMS] = num(or_percent(rng, 98) ? or_below(rng, 7) - 1 : INT64_C(999999999999998) + or_below(rng, 3));
  if (c->uses[OF_WEIGHT] && or_percent(rng, 80)) r->field[OF_WEIGHT] = num(250 * (or_below(rng, 9) - 2) + or_below(rng, 2));
  if (c->uses[OF_GIFT] && or_percent(rng, 75)) r->field[OF_GIFT] = num(or_below(rng, 2));
  if (c->hot && c->uses[OF_MERCHANT] && or_percent(rng, 60)) r->field[OF_MERCHANT] = text(many_text(or_below(rng, 64)));
  if (c->hot && c->uses[OF_DEVICE] && or_percent(rng, 60)) r->field[OF_DEVICE] = text(many_text(or_below(rng, 20)));
  if (c->uses[OF_OPENED] && or_percent(rng, 70)) r->field[OF_OPENED] = num(s->now_ms - or_below(rng, 20) * 1500);
  static const int64_t lat[] = {523702, 524000, -338688, 0}, lon[] = {48952, 47000, 1512093, 0};
  if (c->place && or_percent(rng, 85)) {
    int p = or_below(rng, 4);
    if (or_percent(rng, 95)) r->field[OF_LAT] = num(lat[p]);
    if (or_percent(rng, 95)) r->field[OF_LON] = num(lon[p]);
  }
}

/* The other id columns name an event of the same card where they can: ids three apart share it. */
static int related(struct stream *s, int id) {
  int back = 3 * (1 + or_below(s->rng, 4));
  return or_percent(s->rng, 85) && id >= back ? id - back : or_below(s->rng, s->next_id + 1);
}

static void some_outcome_columns(struct stream *s, struct or_record *r) {
  struct or_rng *rng = s->rng;
  static const unsigned one[] = {1u << OD_RESULT,   1u << OD_RESULT,   (1u << OD_RESULT) | (1u << OD_REASON),
                                 1u << OD_REVERSED, 1u << OD_REFUNDED, 1u << OD_DISPUTED,
                                 1u << OD_LABEL,    1u << OD_LABEL,    1u << OD_AMOUNT};
  r->set = OR_PICK(rng, one);
  if (or_percent(rng, 20)) r->set |= OR_PICK(rng, one);
  if (!s->c->amount) r->set &= ~(1u << OD_AMOUNT);
  if (!r->set) r->set = 1u << OD_RESULT;
  r->result = or_percent(rng, 45) ? 3 : or_below(rng, 4);
  r->reason = OR_PICK(rng, or_pool_reason);
  r->reversed = or_below(rng, 3);
  r->refunded = or_below(rng, 3);
  r->disputed = or_below(rng, 4) > 0;
  r->label = or_percent(rng, 60) ? 1 : or_below(rng, 3);
  struct or_datum amount = some_amount(s);
  r->amount_now = amount.num;
  r->currency = amount.currency;
  r->exponent = amount.exponent;
}

static void add_same_row(struct stream *s) {
  if (s->c->record_count == OR_RECORDS_MAX) return;
  const struct or_record *event = &s->c->record[s->c->record_count - 1];
  struct or_record *r = add(s, OR_OUTCOME);
  r->time_ms = event->time_ms;
  r->same_row = true;
  static const int same[] = {OF_ID1, OF_ID2, OF_AL1, OF_AL2, OF_PAN, OF_PAR, OF_AMOUNT};
  for (size_t i = 0; i < sizeof same / sizeof *same; i++) r->field[same[i]] = event->field[same[i]];
  if (s->c->entity[0].key == OK_TUPLE) r->field[OF_COUNTRY] = event->field[OF_COUNTRY];
  some_outcome_columns(s, r);
}

static void add_event(struct stream *s) {
  struct or_case *c = s->c;
  struct or_rng *rng = s->rng;
  struct or_record *old = or_percent(rng, c->hot ? 6 : 22) ? earlier_event(s) : NULL;
  struct or_record *r = add(s, OR_EVENT);
  if (old) { /* the same message again, or one that only claims to be */
    memcpy(r->field, old->field, sizeof r->field);
    if (or_percent(rng, 35)) {
      if (c->amount && or_percent(rng, 60)) r->field[OF_AMOUNT] = or_percent(rng, 10) ? (struct or_datum){0} : some_amount(s);
      if (c->uses[OF_MERCHANT] && or_percent(rng, 50))
        r->field[OF_MERCHANT] = or_percent(rng, 20) ? (struct or_datum){0} : text(OR_PICK(rng, or_pool_merchant));
    }
    if (or_percent(rng, 15)) r->field[OF_KIND] = text(OR_PICK(rng, or_pool_kind));
  } else {
    int id = s->next_id < IDS_MAX - 1 ? s->next_id++ : or_below(rng, IDS_MAX);
    if (or_percent(rng, 8)) id = or_below(rng, id + 1);
    fill_event(s, r, id);
    if (c->alias && or_percent(rng, 15)) set_id(c, r, OF_AL1, OF_AL2, related(s, id));
    if (c->parent && or_percent(rng, 22)) set_id(c, r, OF_PA1, OF_PA2, related(s, id));
    if (c->id_tuple && or_percent(rng, 5)) r->field[OF_AL2] = r->field[OF_PA2] = (struct or_datum){0};
  }
  r->time_ms = some_time(s);
  r->nocount = or_percent(rng, 5);
  if (or_percent(rng, c->hot ? 8 : 22)) add_same_row(s);
}

static void add_outcome(struct stream *s) {
  struct or_record *event = or_percent(s->rng, s->c->rotates ? 40 : 75) ? earlier_event(s) : NULL; /* more wait while keys rotate */
  struct or_record *r = add(s, OR_OUTCOME);
  if (event) {
    static const int same[] = {OF_ID1, OF_ID2, OF_PAN, OF_PAR};
    for (size_t i = 0; i < sizeof same / sizeof *same; i++) r->field[same[i]] = event->field[same[i]];
    if (s->c->entity[0].key == OK_TUPLE) r->field[OF_COUNTRY] = event->field[OF_COUNTRY];
  } else { /* an event to come, or one long gone */
    int id = or_percent(s->rng, 80) ? s->next_id + or_below(s->rng, 3) : or_below(s->rng, s->next_id + 1);
    if (id >= IDS_MAX) id = IDS_MAX - 1;
    set_id(s->c, r, OF_ID1, OF_ID2, id);
    set_card(s, r, id);
  }
  if (s->c->amount && or_percent(s->rng, 35))
    r->field[OF_AMOUNT] = event && event->field[OF_AMOUNT].has && or_percent(s->rng, 80) ? event->field[OF_AMOUNT] : some_amount(s);
  some_outcome_columns(s, r);
}

static void add_rate(struct stream *s) {
  static const int64_t rates[] = {5000000000, 9200000000, 10867000001, 66666667, 25000000000, 1500000000000};
  struct or_record *r = add(s, OR_RATE);
  r->currency = currencies[or_below(s->rng, 4)].code;
  if (strcmp(r->currency, s->c->currency) == 0) r->currency = "USD";
  r->rate_e10 = OR_PICK(s->rng, rates);
}

static void add_list(struct stream *s) {
  struct or_record *r = add(s, OR_LIST);
  r->list = or_below(s->rng, s->c->list_count);
  int id = or_below(s->rng, 3);
  if (s->c->list[r->list].is_entity) {
    set_card(s, r, id);
    if (!r->field[OF_PAN].has) r->field[OF_PAN] = text(or_pool_pan[id]); /* a list record without its value is refused */
  } else if (s->c->list[r->list].ref == OF_MERCHANT) r->field[OF_MERCHANT] = text(OR_PICK(s->rng, or_pool_merchant));
  else r->field[OF_DEVICE] = text(OR_PICK(s->rng, or_pool_device));
  r->remove = or_percent(s->rng, 20);
  static const int64_t lives[] = {-1000, 0, 1000, 5000, 60000, 3600000};
  if (or_percent(s->rng, 50)) r->expires_ms = s->now_ms + OR_PICK(s->rng, lives);
}

/* Cuts the stream into entries. Live, a commit stands near the newest event and may fall behind it; in replay it is the largest event time so far. */
static void cut(struct stream *s) {
  struct or_case *c = s->c;
  int left = 0, longest = or_percent(s->rng, 30) ? 1 : 1 + or_below(s->rng, 20);
  for (int i = 0; i < c->record_count; i++) {
    struct or_record *r = &c->record[i];
    if (left == 0) {
      left = 1 + or_below(s->rng, longest);
      r->new_entry = true;
      static const int64_t off[] = {0, 0, 0, 500, 5000, 60000, -1000, -60000, -3600000};
      r->commit_ms = r->time_ms + OR_PICK(s->rng, off);
    }
    left--;
  }
}

/* More outcomes for one event to come than a place may hold, and then the event. */
static void add_storm(struct stream *s) {
  int id = s->next_id < IDS_MAX - 1 ? s->next_id++ : IDS_MAX - 1, n = 50 + or_below(s->rng, 40);
  struct or_record first = {0};
  set_id(s->c, &first, OF_ID1, OF_ID2, id);
  set_card(s, &first, id);
  for (int i = 0; i < n && s->c->record_count < OR_RECORDS_MAX - 2; i++) {
    struct or_record *r = add(s, OR_OUTCOME);
    memcpy(r->field, first.field, sizeof r->field);
    some_outcome_columns(s, r);
    if (or_percent(s->rng, 5)) step(s);
  }
  struct or_record *event = add(s, OR_EVENT);
  fill_event(s, event, id);
  memcpy(event->field, first.field, sizeof *event->field * OF_AMOUNT); /* id columns; then the card */
  event->field[OF_KIND].has = true;
  event->field[OF_KIND].text = "auth";
  event->field[OF_PAN] = first.field[OF_PAN];
  event->field[OF_PAR] = first.field[OF_PAR];
  if (s->c->entity[0].key == OK_TUPLE) event->field[OF_COUNTRY] = first.field[OF_COUNTRY];
  int at = s->c->record_count - 1;
  for (int i = 0; i < 4 && s->c->record_count < OR_RECORDS_MAX - 2 && s->next_id < IDS_MAX - 1; i++) { /* the same card looks back at it */
    if (or_percent(s->rng, 40)) step(s);
    struct or_record *next = add(s, OR_EVENT);
    memcpy(next->field, s->c->record[at].field, sizeof next->field);
    set_id(s->c, next, OF_ID1, OF_ID2, s->next_id++);
  }
}

/* From one record on both hashes of the secret field travel, and later only the new one. */
static void rotate(struct stream *s) {
  struct or_case *c = s->c;
  static const char *const new_pan[4] = {"new-4000000000000001", "new-4000000000000002", "new-p3", "new-p4"};
  int both = 1 + or_below(s->rng, c->record_count), last = both + or_below(s->rng, c->record_count);
  for (int i = both; i < c->record_count; i++) {
    struct or_datum *pan = &c->record[i].field[OF_PAN];
    for (int p = 0; p < 4 && pan->has; p++) {
      if (strcmp(pan->text, or_pool_pan[p]) != 0) continue;
      c->record[i].alt_pan = i < last ? pan->text : NULL;
      pan->text = new_pan[p];
      break;
    }
  }
}

void or_make_stream(struct or_case *c, struct or_rng *rng) {
  struct stream s = {c, rng, INT64_C(1774738800000) + or_below(rng, 3) * INT64_C(1800000) + or_below(rng, 1000),
                     0}; /* 2026-03-28 23:00 UTC: summer time begins in the night */
  int want = 20 + or_below(rng, 101);
  if (or_percent(rng, 25)) want = 10 + or_below(rng, 20);
  if (c->hot) want = or_percent(rng, 80) ? 400 + or_below(rng, 700) : 1500 + or_below(rng, 1000);
  if (c->tiles) want = 150 + or_below(rng, 250);
  if (or_percent(rng, 60)) add_rate(&s);
  int storm_at = !c->hot && or_percent(rng, 8) ? or_below(rng, want) : -1;
  while (c->record_count < want) {
    step(&s);
    if (storm_at >= 0 && c->record_count >= storm_at) add_storm(&s), storm_at = -1;
    int what = or_below(rng, 100);
    if (c->hot && or_percent(rng, 60)) what = 0;
    if (what < 68) add_event(&s);
    else if (what < 88) add_outcome(&s);
    else if (what < 93) add_rate(&s);
    else if (what < 97) {
      if (c->list_count) add_list(&s);
    } else {
      struct or_record *r = add(&s, OR_HEARTBEAT);
      r->time_ms += c->replay ? 0 : or_percent(rng, 50) ? 0 : 5000;
    }
  }
  if (c->replay) { /* there a heartbeat ahead of every event has nothing to say */
    int64_t newest = INT64_MIN;
    for (int i = 0; i < c->record_count; i++) {
      struct or_record *r = &c->record[i];
      if (r->type == OR_EVENT && r->time_ms > newest) newest = r->time_ms;
      if (r->type == OR_HEARTBEAT && r->time_ms > newest) r->dropped = true;
    }
  } else {
    for (int i = 0; i < c->record_count; i++)
      if (c->record[i].type == OR_EVENT && or_percent(rng, 6)) c->record[i].stamped = true;
    c->partitions = or_percent(rng, 20) ? 2 : 1;
    for (int i = 0; i < c->record_count; i++) c->record[i].partition = or_below(rng, c->partitions);
  }
  c->json = !c->hot && !c->rotates && or_percent(rng, 20);
  for (int i = 0; i < c->record_count && c->json; i++)
    c->record[i].stamped = c->record[i].nocount = false; /* said beside the message, not in it */
  if (c->rotates) rotate(&s);
  cut(&s);
  c->digests = or_percent(rng, 20);
  static const int64_t before[] = {0, 1000, 60000, 3600000, 86400000, INT64_C(86400000) * 400};
  c->history_from_ms = or_percent(rng, 35) ? INT64_MIN : c->record[0].time_ms + (or_percent(rng, 15) ? 30000 : -OR_PICK(rng, before));
  c->reload_at = or_percent(rng, 40) ? or_below(rng, c->record_count) : -1;
  c->config_alone = or_percent(rng, 50);
}

void or_case_make(uint64_t seed, struct or_case *ret) {
  memset(ret, 0, sizeof *ret);
  ret->seed = seed;
  struct or_rng rng = {seed * UINT64_C(0xda942042e4dd58b5) + 1};
  int shape = or_below(&rng, 100);
  ret->hot = shape < 3;
  ret->tiles = shape >= 3 && shape < 11;
  ret->calm = !ret->hot && !ret->tiles && or_percent(&rng, 15);
  ret->rotates = (ret->calm && or_percent(&rng, 50)) || (ret->tiles && or_percent(&rng, 25));
  or_make_file(ret, &rng);
  ret->stale = -1;
  for (int e = 0; e < ret->entity_count; e++) ret->entity[e].stale = -1;
  or_make_stream(ret, &rng);
  or_make_sources(ret);
  or_make_rollouts(ret);
  or_make_facts(ret);
  or_case_derive(ret);
}
