/* A random case of the oracle: a feature file and a stream of records, as plain structs of their own.
 *
 * The generator (random_*.c) fills a case from a seed; render.c writes it as a feature file and as records for the engine; recount.c computes from it what
 * must come out. Nothing here is shared with the engine: no plan, no expression tree, no state. The only engine headers the recount knows are
 * those of answers (states and causes are compared by number). Shrinking sets `dropped` marks; indices never move. */
#ifndef TIDE_ORACLE_CASE_H
#define TIDE_ORACLE_CASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The fields that a file may declare; which of them it does is in or_case.uses. */
enum or_field {
  OF_TIME, OF_KIND, OF_ID1, OF_ID2, OF_AL1, OF_AL2, OF_PA1, OF_PA2, OF_AMOUNT, OF_MERCHANT, OF_PAN, OF_PAR, OF_DEVICE, OF_COUNTRY, OF_ITEMS, OF_WEIGHT,
  OF_GIFT, OF_LAT, OF_LON,
  OF_OPENED,
  OF_CNP, /* derived from the others at decode */
  OF_COUNT
};
enum or_type { OT_TEXT, OT_NUM, OT_BOOL, OT_MONEY, OT_TIME };
struct or_field_info { const char *name; enum or_type type; int decimals; };
extern const struct or_field_info or_field_info[OF_COUNT];

/* Outcome columns, in the order of their words. */
enum or_dyn { OD_RESULT, OD_REASON, OD_REVERSED, OD_REFUNDED, OD_DISPUTED, OD_LABEL, OD_AMOUNT, OD_COUNT };
extern const char *const or_dyn_name[OD_COUNT];
extern const char *const or_result_word[4], *const or_extent_word[3], *const or_label_word[3];

enum or_op {
  OX_NUM, OX_TEXT, OX_TRUE, OX_FALSE, OX_FIELD, OX_AMOUNT, OX_REQUESTED, OX_DYN, OX_SLOT, OX_DERIVED, OX_SCORE,
  OX_TIME, OX_HOUR, OX_WEEKDAY,
  OX_EQ, OX_NE, OX_LT, OX_LE, OX_GT, OX_GE, OX_IN, OX_IN_LIST, OX_IS_EMPTY, OX_IS_ABSENT, OX_IS_KNOWN, OX_AND, OX_OR, OX_NOT,
  OX_ADD, OX_SUB, OX_MUL, OX_DIV, OX_NEG, OX_LOG1P, OX_ABS, OX_MIN, OX_MAX, OX_IF
};
#define OR_SET_MAX 3
struct or_expr {
  enum or_op op;
  int ref;            /* field, dyn, slot, derived or list; HOUR, WEEKDAY: 0 UTC, 1 Europe/Amsterdam */
  double num;
  const char *text;
  const struct or_expr *a, *b, *c;
  int set_count;
  double set_num[OR_SET_MAX];
  const char *set_text[OR_SET_MAX];
};

enum or_agg {
  OA_COUNT, OA_SUM, OA_MEAN, OA_STDDEV, OA_MIN, OA_MAX, OA_DISTINCT, OA_APPROX, OA_RATE, OA_MAX_COUNT, OA_STREAK, OA_SINCE_PREVIOUS, OA_SINCE_FIRST, OA_LAST,
  OA_CHANGED, OA_DISTANCE, OA_SPEED, OA_FACT, OA_NEW, OA_AGGS
};
enum or_of { OO_NONE, OO_FIELD, OO_AMOUNT, OO_REQUESTED, OO_ENTITY, OO_FACT };

enum or_key { OK_FIELD, OK_FIRST_OF, OK_TUPLE };
struct or_entity {
  const char *name;
  enum or_key key;
  int part[2];             /* fields; a tuple's first part is entity 0 when part_entity */
  int part_count;
  bool part_entity;
  int64_t keep_ms;         /* 0: not written, 30 days */
  int64_t forget_ms;       /* 0: not written, 400 days */
  int max;                 /* entities of this kind; 0: not written, more than any case has */
  int warming;             /* 0 fallback, 1 mark, 2 default; -1: not written, the file's default */
  double warming_default;
  int64_t budget_ms;       /* 0: not written */
  int stale;               /* 0 fallback, 1 mark, 2 default, 3 recompute; -1: not written */
  double stale_default;
  unsigned waits;          /* 1 << source that it names; 0: not written */
  int64_t facts_ms;        /* 0: not written */
};

/* What profiles tell about an entity. */
#define OR_FACTS_MAX 4
struct or_fact { char name[24]; int entity; enum or_type type; int decimals; };

/* Sources: 0 is the cell itself (requests), the others are declared by number from 1 on. */
#define OR_SOURCES_MAX 4   /* the last one is never declared */
#define OR_PARTS_MAX 4
struct or_source { bool gates, keyed; int64_t disorder_ms, silence_ms; };
extern const char *const or_source_name[OR_SOURCES_MAX];

#define OR_ENTITIES_MAX 4
#define OR_FEATURES_MAX 16
#define OR_WINDOWS_MAX 3
#define OR_SLOTS_MAX 48
#define OR_DERIVED_MAX 5
#define OR_RULES_MAX 8
#define OR_FALLBACK_MAX 3
#define OR_LISTS_MAX 2
#define OR_RECORDS_MAX 2600
#define OR_EXPRS_MAX 1500
#define OR_NAME 24

struct or_feature {
  bool dropped;
  char name[OR_NAME];
  int entity;
  enum or_agg agg;
  enum or_of of;
  int of_ref;
  const struct or_expr *rate_of, *where;
  bool with_current;
  int64_t inner_ms, delayed_ms, hop_ms;
  int cap;
  int64_t window_ms[OR_WINDOWS_MAX];
  int window_count;        /* 0: no window, one slot */
  int first_slot;
  int companion;           /* NEW: the `time since first` that brings it */
};
struct or_slot { char name[48]; int feature; int64_t window_ms; };
struct or_derived { bool dropped; char name[OR_NAME]; const struct or_expr *expr; bool boolean, pure; };
struct or_rule { bool dropped; char code[OR_NAME]; int decision; bool shadow; const struct or_expr *when; /* NULL: else */ };
struct or_list { const char *name; bool is_entity; int ref; };

/* FACTS stand in the header of their entry; DECLARE, START, WAIVE are control records. */
enum or_record_type { OR_EVENT, OR_OUTCOME, OR_RATE, OR_LIST, OR_HEARTBEAT, OR_FACTS, OR_DECLARE, OR_START, OR_WAIVE, OR_ROLLOUT, OR_PROFILE };
struct or_datum { bool has; const char *text; int64_t num; const char *currency; int exponent; };
struct or_record {
  enum or_record_type type;
  bool dropped;
  bool new_entry;          /* begins an entry */
  int64_t commit_ms;       /* of the entry that it begins */
  int64_t time_ms;
  bool stamped, nocount, same_row;
  int source, partition;   /* WAIVE: partition -1 is all */
  struct or_datum field[OF_COUNT];
  const char *alt_pan;     /* keys rotate: what the secret field was under the previous key; NULL: only one key travels */
  unsigned set;            /* outcome: 1 << or_dyn */
  int result, reversed, refunded, disputed, label;
  const char *reason;
  int64_t amount_now;
  const char *currency;    /* of amount_now, or of the rate */
  int exponent;
  int64_t rate_e10;
  int list;
  int64_t expires_ms;      /* 0: never */
  bool remove;
  unsigned declared;       /* DECLARE: 1 << source */
  bool messages;           /* FACTS: with messages, a sign of life */
  int64_t seen_ms, drained_ms, delay_ms; /* FACTS; INT64_MIN: not told */
  int64_t until_ms;        /* WAIVE */
  int policy;              /* ROLLOUT: that decides from here on */
  int about;               /* PROFILE: entity */
  struct or_datum fact[OR_FACTS_MAX];
};

struct or_case {
  uint64_t seed;
  /* the file */
  bool uses[OF_COUNT];
  bool id_tuple, alias, parent, parent_counts, conflict_rejects, amount, place, pan_secret;
  const char *currency;
  int exponent;
  const struct or_expr *score, *advise, *cnp;
  struct or_entity entity[OR_ENTITIES_MAX];
  int entity_count;
  struct or_feature feature[OR_FEATURES_MAX];
  int feature_count;
  struct or_slot slot[OR_SLOTS_MAX];
  int slot_count;
  struct or_derived derived[OR_DERIVED_MAX];
  int derived_count;
  int warming;             /* of the file's default group: 0 fallback, 1 mark, 2 default */
  double warming_default;
  int64_t budget_ms;       /* likewise; 0: not written, 15 s */
  int stale;               /* -1: not written, fallback */
  double stale_default;
  unsigned waits;          /* 0: not written, all that gate */
  int64_t facts_ms;        /* 0: not written, 400 days */
  struct or_fact fact[OR_FACTS_MAX];
  int fact_count;
  int decision_count;      /* 0: no policy */
  struct or_list list[OR_LISTS_MAX];
  int list_count;
  struct or_rule rule[OR_RULES_MAX], fallback[OR_FALLBACK_MAX];
  int rule_count, fallback_count;
  /* limits */
  int64_t lateness_ms, duplicates_for_ms, grace_ms, lead_ms, history_from_ms; /* INT64_MIN: the first event tells */
  bool replay;
  /* the stream */
  struct or_record record[OR_RECORDS_MAX];
  int record_count;
  int reload_at;           /* save and load before the entry in which this record stands; -1: never */
  bool config_alone;
  bool hot;                /* a long stream, most of it on one card: many blocks of events */
  bool tiles;              /* most features are sums with a hop, limits are short: old events become tiles */
  bool calm;               /* nothing is ever forgotten, so that the number of entities is the number of keys seen */
  bool rotates;            /* the secret key changes on the way: first one hash travels, then both, then the new one */
  bool digests;            /* DIGEST records stand between the entries */
  int partitions;
  bool sourced;            /* messages come from sources */
  struct or_source source[OR_SOURCES_MAX];
  bool rolls;              /* policies change on the way */
  bool json;               /* the records go to the engine as JSON lines through its decoder, and as CSV rows beside */
  struct or_expr expr[OR_EXPRS_MAX];
  int expr_count;
};
extern const char *const or_decision_name[4];

/* Gives a case sources, facts and budgets, for a part of the seeds (random_source.c). */
void or_make_sources(struct or_case *c);
/* Changes of policy, for a part of the seeds; and the rule at place r of a policy, of the fallback or not (random_rollout.c). */
#define OR_POLICIES 3
void or_make_rollouts(struct or_case *c);
struct or_rule or_policy_rule(const struct or_case *c, int policy, bool fallback, int r);
/* Gives a case facts about entities and profiles that tell them, for a part of the seeds (random_fact.c). */
void or_make_facts(struct or_case *c);
/* The same seed gives the same case. */
void or_case_make(uint64_t seed, struct or_case *ret);
/* Computes the derived field of every event again, after fields were changed. */
void or_case_derive(struct or_case *c);
/* What the shrinker may drop depends on what still reads it. */
bool or_expr_reads(const struct or_expr *expr, enum or_op op, int ref);

#endif
