/* The oracle: what must come out of a case, recounted the slow and obvious way.
 *
 * It keeps every record, and for every event at its position looks through all earlier ones. Written from the contract and the rulings of
 * feature/README.md; the numbers in comments are those rulings. No index, no column, no incremental sum: a reader can check it line by line.
 *
 *   eval.c     one expression over one event: three-valued, states and causes (18, 19, 30, 31)
 *   window.c   one feature of one event over the events before it (3-9, 13-21)
 *   fact.c     what was told about an entity (P1-P7)
 *   recount.c  the walk over the stream: watermark, lateness, currency, identity, parents, outcomes, stubs, rules (11, 12, 22-29, 32, 33) */
#ifndef TIDE_ORACLE_RECOUNT_H
#define TIDE_ORACLE_RECOUNT_H

#include "tests/oracle/case.h"

enum or_vtype { OV_NULL, OV_NUM, OV_TEXT, OV_BOOL };
struct or_value {
  enum or_vtype type;
  int state, cause;   /* enum tide_vstate, enum tide_cause */
  bool unknown;       /* should be there and must not be trusted */
  double num;
  const char *text;
  bool yes;
};

/* One event as the oracle remembers it. Columns change as outcomes come. */
struct or_event {
  int record;                 /* index in the case */
  int64_t time_ms, lead_ms;   /* its own windows end so much later (47) */
  const struct or_datum *field;
  bool has_key[OR_ENTITIES_MAX];
  char key[OR_ENTITIES_MAX][96];
  bool in[OR_ENTITIES_MAX];   /* the entity took it; without: its kind was full, or the event counts nowhere */
  bool full[OR_ENTITIES_MAX]; /* its kind is full and does not have this key */
  bool has_identity;
  char identity[48];
  bool scored;                /* its kind satisfies score: */
  bool counts;                /* is in the windows of its entities */
  bool has_requested, has_amount;
  int64_t requested, amount_now; /* minor units of the counting currency */
  int result, reversed, refunded, disputed, label;
  const char *reason;         /* NULL: none */
  int64_t watermark_ms;       /* when it was counted */
  int answer;                 /* index of its first answer, -1: it asked for none */
};

/* How the values of an entity stand at an event. */
struct or_standing {
  int state;
  int64_t age_ms;       /* INT64_MAX: not known */
  bool has_facts;       /* some was read */
  int64_t facts_age_ms; /* the oldest of them */
};

/* What the journal told of the sources so far (gate.c). */
struct or_world {
  const struct or_case *c;
  struct { bool known, started, fed; int64_t newest_ms, seen_ms, drained_ms, delay_ms, settled_drained_ms, settled_delay_ms, waived_until_ms; } part[OR_SOURCES_MAX][OR_PARTS_MAX];
  struct { bool declared; int64_t alive_ms; } source[OR_SOURCES_MAX];
  struct or_home { char card[96]; int source, partition, partitions; } home[OR_RECORDS_MAX];
  int homes;
};
void or_world_begin(struct or_world *w, const struct or_case *c);
/* FACTS, DECLARE, START, WAIVE as they come; an event or heartbeat of a partition, with min(its time, commit time). */
void or_world_take(struct or_world *w, const struct or_record *r, int64_t commit_ms);
/* The end of an entry. */
void or_world_settle(struct or_world *w);
void or_world_pass(struct or_world *w, int source, int partition, int64_t passed_ms);
/* Where the card's events come is known from this one on; the card goes on under another key. */
void or_world_home(struct or_world *w, const struct or_record *r, const char *card);
void or_world_rename(struct or_world *w, const char *from, const char *to);
bool or_world_gates(const struct or_world *w);
/* INT64_MIN: not known. */
int64_t or_world_watermark(const struct or_world *w, int64_t commit_ms);
/* The standing of entity n at an event that came as r; card NULL: its card is not there, or not known. */
struct or_standing or_world_stand(const struct or_world *w, int n, const struct or_record *r, const char *card, int64_t time_ms, int64_t commit_ms);
/* The value as its group's policy wants it. */
struct or_value or_stale_value(const struct or_case *c, int n, struct or_standing standing, bool is_text, struct or_value v);

/* What profiles told, in order. */
struct or_told { int about, fact; int64_t time_ms; struct or_value value; };
struct or_about { bool gone; int entity; char key[96]; int64_t last_ms; /* INT64_MIN: time had not begun */ };
struct or_facts {
  const struct or_case *c;
  struct or_told told[OR_RECORDS_MAX];
  int told_count;
  struct or_about about[OR_RECORDS_MAX];
  int about_count;
};
/* Does a feature read it? What none reads is not kept. */
bool or_fact_is_read(const struct or_case *c, int fact);
/* Is something known about this entity, not counting what is forgotten by now? */
bool or_facts_known(const struct or_facts *f, int entity, const char *key, int64_t watermark_ms);
void or_facts_tell(struct or_facts *f, int entity, const char *key, int fact, int64_t time_ms, struct or_value value, int64_t watermark_ms);
/* A counted event of the entity. */
void or_facts_remind(struct or_facts *f, int entity, const char *key, int64_t time_ms, int64_t watermark_ms);
void or_facts_rename(struct or_facts *f, int entity, const char *from, const char *to);
/* The first watermark. */
void or_facts_begin(struct or_facts *f, int64_t watermark_ms);
/* What an event at time_ms reads, and how old it is; absent: nothing. */
struct or_value or_fact_value(const struct or_facts *f, int entity, const char *key, int fact, int64_t time_ms, int64_t watermark_ms, int64_t *ret_age_ms);

enum or_truth { OR_FALSE, OR_TRUE, OR_UNKNOWN };
enum or_by { OR_BY_RULE, OR_BY_FALLBACK, OR_BY_NONE };
struct or_answer {
  int record;
  int64_t time_ms;
  bool refused, counted, duplicate, id_conflict, advised, features_known;
  enum or_by by;
  int rule, decision, cause;
  int policy;                 /* whose rule it is */
  int first_record;           /* of a duplicate */
  struct or_value slot[OR_SLOTS_MAX];
  struct or_value derived[OR_DERIVED_MAX];
  enum or_truth truth[OR_RULES_MAX];
  struct or_standing standing[OR_ENTITIES_MAX];
  int facts_read;
};

/* What an expression may read. */
struct or_env {
  const struct or_case *c;
  const struct or_datum *field;
  struct or_value amount, requested;
  const struct or_event *event;   /* for outcome columns, in `where` */
  const struct or_value *slot, *derived;
  int64_t time_ms;
  bool rule;                      /* a comparison with something legitimately missing is false (30) */
  bool list_missing[OR_LISTS_MAX], on_list[OR_LISTS_MAX];
};
struct or_value or_eval(const struct or_expr *expr, const struct or_env *env);
bool or_is_true(const struct or_expr *expr, const struct or_env *env);
struct or_value or_null(int state, int cause);
struct or_value or_num(double num);
struct or_value or_bool(bool yes);
struct or_value or_text(const char *text);
struct or_value or_money(const struct or_case *c, bool has, int64_t minor);
struct or_value or_field_value(const struct or_case *c, const struct or_datum *field, int f);

/* One value of `e`, which stands behind the `count` events of `past` in the journal. */
struct or_value or_slot_value(const struct or_case *c, const struct or_event *past, int count, const struct or_event *e, int slot, int64_t watermark_ms,
                              int64_t history_from_ms);
/* What a case leads to beside its answers. */
struct or_end_state {
  int64_t watermark_ms;
  int crowded_stubs;  /* outcomes for which their event's place was full */
  int moved_entities; /* under another key since the rotation */
  int policy, policy_from; /* in force at the end, and from which answer on */
  int listed;         /* times that a value was found on a list */
};
/* Fills answers in order of the stream and returns how many; `answer` has room for OR_RECORDS_MAX. */
int or_recount(const struct or_case *c, struct or_answer *answer, struct or_end_state *ret);

#endif
