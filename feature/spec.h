/* The feature file as parsed: what analysts declared, checked, with every name resolved to an index.
 *
 * A spec is immutable after tide_spec_parse and owned by one arena. Nothing here knows how values are computed (plan.h) or how
 * bytes arrive (adapter/decode_*). Tables are arrays with counts; an index into them is what records, expressions and plans carry.
 *
 * Built-in field names: `kind` and `time` and `amount` are fields like others, declared in `event:` and `inputs:`. `requested` reads the
 * first amount. The outcome columns (enum tide_dyn) are names in expressions and inputs but not fields of an event: they change. */
#ifndef TIDE_SPEC_H
#define TIDE_SPEC_H

#include "base/arena.h"
#include "base/err.h"
#include "base/hash.h"
#include "feature/expr.h"

#define TIDE_FIELDS_MAX 64   /* a presence bitmap is one word */
#define TIDE_ENTITIES_MAX 16
#define TIDE_SLOTS_MAX 512
#define TIDE_DERIVED_MAX 256
#define TIDE_RULES_MAX 64
#define TIDE_TUPLE_MAX 4
#define TIDE_DEPTH_MAX 32    /* levels of a message, and so of a pointer into one */
#define TIDE_NONE UINT32_MAX /* no index */

/* Outcome columns (contract 5). `amount` in expressions is AMOUNT_NOW. */
#define TIDE_DYNS(X) X(result) X(reason) X(reversed) X(refunded) X(disputed) X(label) X(amount_now)
enum tide_dyn {
#define X(name) TIDE_DYN_##name,
  TIDE_DYNS(X)
#undef X
      TIDE_DYN_COUNT
};
enum tide_result { TIDE_RESULT_pending, TIDE_RESULT_approved, TIDE_RESULT_partial, TIDE_RESULT_declined };
enum tide_extent { TIDE_EXTENT_none, TIDE_EXTENT_partial, TIDE_EXTENT_full };      /* reversed, refunded */
enum tide_label { TIDE_LABEL_unknown, TIDE_LABEL_fraud, TIDE_LABEL_genuine };
/* The words of an enumerated outcome column in order of value; NULL-terminated. reason, amount_now: NULL. disputed: no yes (a bool). */
const char *const *tide_dyn_words(enum tide_dyn dyn);
const char *tide_dyn_name(enum tide_dyn dyn);

enum tide_ftype {
  TIDE_F_TEXT,
  TIDE_F_NUMBER, /* int64 scaled by 10^decimals; `int` is decimals 0 */
  TIDE_F_BOOL,
  TIDE_F_MONEY,  /* the amount: int64 minor units and a currency */
  TIDE_F_TIME    /* ms; of the event time itself, and of other fields declared with a time form */
};

/* Functions that only `derive` may use: they see the raw text, also of secret fields. */
enum tide_derive_fn { TIDE_DERIVE_EXPR, TIDE_DERIVE_PREFIX, TIDE_DERIVE_IP_PREFIX, TIDE_DERIVE_EMAIL_KEY, TIDE_DERIVE_LOWER };

struct tide_field {
  const char *name;
  uint8_t type;      /* enum tide_ftype */
  uint8_t decimals;  /* NUMBER */
  bool secret;       /* in event.key: hashed at decode, text nowhere else */
  bool derived;      /* from event.derive, computed at decode */
  bool fact;         /* told by profiles about an entity: no field of events, and found by tide_spec_fact alone */
  uint32_t fact_of;  /* fact: which entity */
  uint8_t derive_fn; /* enum tide_derive_fn */
  uint32_t derive_of;           /* the field read by PREFIX, IP_PREFIX, EMAIL_KEY, LOWER */
  int derive_arg[2];            /* PREFIX: length; IP_PREFIX: v4 bits, v6 bits */
  const struct tide_expr *derive; /* DERIVE_EXPR, over fields only */
  int line, column;
};

/* Where one shape of message keeps one field. */
struct tide_input_field {
  uint32_t field;        /* index into spec->field, or TIDE_NONE */
  uint32_t dyn;          /* enum tide_dyn, or TIDE_NONE: a result, reason, ... in the row */
  uint32_t extra;        /* enum tide_extra, or TIDE_NONE: fields of rate, list, profile records */
  const char *at;        /* "/billing/amount" (JSON pointer, RFC 6901) or a column / top-level member name */
  const char *currency;  /* MONEY: pointer to the currency; NULL: the counting currency */
  const char *currency_fixed; /* MONEY: a constant currency code, or NULL */
  uint8_t time_form;     /* enum tide_time_form, for TIME */
  bool optional;         /* may be missing; otherwise a missing field is a rejected message */
  bool minor;            /* MONEY `as: minor`: the number is already in minor units */
  const char *dflt;      /* text used when missing (parsed like a value), or NULL */
  const char *const *map_from; /* `map:` pairs; "*" matches what no other matched; NULL-free arrays of map_count */
  const char *const *map_to;
  uint32_t map_count;
  int line, column;
};

/* Columns of the records that are not events. */
enum tide_extra {
  TIDE_XTRA_RATE_CURRENCY, TIDE_XTRA_RATE,           /* rate: currency, rate (counting currency per unit, up to 10 decimals) */
  TIDE_XTRA_LIST, TIDE_XTRA_EXPIRES, TIDE_XTRA_REMOVE, /* list: list (its name), expires (time, optional), remove (bool, optional) */
  TIDE_XTRA_SOURCE,                                  /* heartbeat: source (optional) */
  TIDE_XTRA_COUNT
};

/* Types on the journal: their numbers are part of the entry format and never change. */
enum tide_record_type {
  TIDE_REC_EVENT = 1, TIDE_REC_OUTCOME = 2, TIDE_REC_RATE = 3, TIDE_REC_LIST = 4, TIDE_REC_HEARTBEAT = 5, TIDE_REC_PROFILE = 6,
  TIDE_REC_CONFIG = 16,  /* control: feature file text and settings become effective here */
  TIDE_REC_DIGEST = 17,  /* control: digest of decisions and state up to here, for audit */
  TIDE_REC_FENCE = 18,   /* control: opens an epoch; always x-0 */
  TIDE_REC_CHECK = 20,   /* 19 is not used any more; control: what its writer had decided up to a position; changes nothing */
  TIDE_REC_SOURCES = 21, /* control: the cell's sources (core/control.h) */
  TIDE_REC_START = 22,   /* control: a partition is read from this cursor on */
  TIDE_REC_CLAIM = 23,   /* control: which engine reads the sources */
  TIDE_REC_TARGETS = 24, /* control: how far the sources must be read until the epoch is open */
  TIDE_REC_EMITTED = 25, /* control: how many answers to messages have left */
  TIDE_REC_WAIVE = 26,   /* control: an operator's word that a partition is not to be waited for */
  TIDE_REC_ARTIFACT = 27, /* control: a version of a model, a policy or a feature file (core/rollout.h) */
  TIDE_REC_ROLLOUT = 28   /* control: which versions are in force from here on */
};

struct tide_shape {
  const char *name;
  uint8_t type;           /* TIDE_REC_EVENT .. TIDE_REC_PROFILE; outcome and label are both TIDE_REC_OUTCOME */
  const char *when_at;    /* picks the shape: pointer or column, and its text value; NULL: picked by name or as `default` */
  const char *when_value;
  const char *known_at;   /* column or pointer with the time at which a row of history became known, or NULL */
  uint8_t known_at_form;  /* enum tide_time_form */
  uint32_t entity;        /* PROFILE: whom it tells about */
  struct tide_input_field *field;
  uint32_t field_count;
  int line, column;
};

/* A part of an entity key: a field, or an entity (its whole key). */
struct tide_key_part { bool is_entity; uint32_t ref; };
struct tide_entity {
  const char *name;
  struct tide_key_part part[TIDE_TUPLE_MAX]; /* tuple: all must be there; first_of: the first that is there */
  uint32_t part_count;
  bool first_of;
  int64_t keep_ms;         /* `keep`: reach of features without window, 30d */
  int64_t forget_after_ms; /* 400d */
  int64_t max_entities;    /* `max`: 0 means the operator's limit */
  uint32_t group;          /* index into spec->group: its freshness declaration */
  int line, column;
};

enum tide_agg {
  TIDE_AGG_COUNT, TIDE_AGG_SUM, TIDE_AGG_MEAN, TIDE_AGG_STDDEV, TIDE_AGG_MIN, TIDE_AGG_MAX, TIDE_AGG_DISTINCT, TIDE_AGG_APPROX_DISTINCT,
  TIDE_AGG_RATE, TIDE_AGG_MAX_COUNT, TIDE_AGG_STREAK, TIDE_AGG_SINCE_PREVIOUS, TIDE_AGG_SINCE_FIRST, TIDE_AGG_LAST, TIDE_AGG_CHANGED,
  TIDE_AGG_DISTANCE, TIDE_AGG_SPEED,
  TIDE_AGG_FACT, /* of: FIELD, the fact */
  TIDE_AGG_NEW /* the companion of SINCE_FIRST, generated by the parser as ENTITY.new */
};
const char *tide_agg_name(enum tide_agg agg); /* as written: "time since previous" */

/* What an aggregation reads of an event. */
enum tide_operand { TIDE_OF_NONE, TIDE_OF_FIELD, TIDE_OF_AMOUNT /* amount_now */, TIDE_OF_REQUESTED, TIDE_OF_ENTITY /* the key of an entity, for distinct/last/changed */ };

/* One declared feature: all its windows share everything else. */
struct tide_feature {
  const char *name;         /* without entity */
  uint32_t entity;
  uint8_t agg;              /* enum tide_agg */
  uint8_t of;               /* enum tide_operand */
  uint32_t of_ref;          /* field or entity index */
  const struct tide_expr *rate_of; /* RATE: P */
  const struct tide_expr *where;   /* or NULL */
  bool mentions_kind;       /* where (or P of rate) reads `kind`: the score filter does not apply */
  bool with_current;
  int64_t inner_ms;         /* MAX_COUNT: W1 */
  int64_t delayed_ms, hop_ms; /* 0: none */
  uint32_t cap;             /* DISTINCT: 0 means none */
  uint32_t first_slot, slot_count; /* its values in spec->slot */
  const char *text;         /* as written */
  int line, column;
};

/* One value: a feature over one window. Slots are what vectors, rules, outputs and models index. */
struct tide_slot {
  const char *name;         /* "card.attempts_10m" */
  uint32_t feature;         /* index into spec->feature */
  int64_t window_ms;        /* 0: no window */
  uint8_t type;             /* enum tide_vtype: NUM, except last and fact of a text (TEXT) */
  bool money;               /* printed with the counting currency's decimals */
};

/* A list holds values of one field or keys of one entity: whatever the rules compare it with (one operand per list). Its records carry
 * the fields of that operand under their usual names, so secrets in a list are hashed like everywhere. */
struct tide_list { const char *name; bool is_entity; uint32_t ref; /* field or entity index; TIDE_NONE when no rule uses it */ };

struct tide_derived { const char *name; const struct tide_expr *expr; int line, column; };

enum tide_stale { TIDE_STALE_FALLBACK, TIDE_STALE_MARK, TIDE_STALE_DEFAULT, TIDE_STALE_RECOMPUTE };
enum tide_consistency { TIDE_CONSISTENCY_STRONG, TIDE_CONSISTENCY_QUORUM, TIDE_CONSISTENCY_EVENTUAL };
/* Freshness of one entity's features (contract 6). group 0 is `default`. */
struct tide_group {
  const char *name;
  int64_t budget_ms;
  uint8_t stale, warming;   /* enum tide_stale; warming knows fallback, mark, default */
  double stale_default, warming_default; /* for *_DEFAULT */
  uint8_t consistency;
  int64_t facts_ms;         /* the largest age of a fact at the event */
  const char *const *source; /* gating sources by name; count 0: all that gate */
  uint32_t source_count;
};

struct tide_rule {
  const char *code;         /* "V01"; "else" has code "else" */
  uint32_t decision;        /* index into spec->decision */
  const struct tide_expr *when; /* NULL: always (else) */
  bool shadow;
  const char *say;          /* reason text as written, "" if none */
  const struct tide_say *parts; /* say split into literals and values; say_count */
  uint32_t say_count;
  uint32_t first_slot;      /* the first feature slot that `when` or `say` reads, TIDE_NONE if none: "feature" and "value" of the reason */
  int line, column;
};
struct tide_say { const char *literal; const struct tide_expr *value; }; /* exactly one of the two */

/* `tests:`: kept as parsed; feature/selftest runs them. Values are texts by field or outcome name. */
struct tide_test_pair { const char *name; const char *value; int line, column; };
struct tide_test_event {
  int64_t at_ms, every_ms;
  uint32_t repeat;
  const char *list;                /* a list record about the fields set: the name of the list; NULL: an event */
  bool remove;                     /* list: the entry is taken off */
  const int64_t *expires_ms;       /* list: from the beginning of the test; NULL: never */
  bool profile;                    /* a profile about `entity`: its pairs are fields of the key, and facts */
  uint32_t entity;
  struct tide_test_pair *set; uint32_t set_count;
  int line, column;
};
struct tide_test {
  const char *name;
  struct tide_test_event *event; uint32_t event_count;
  struct tide_test_pair *expect; uint32_t expect_count;
  int line, column;
};

struct tide_spec {
  struct tide_arena arena;
  const char *name;
  const char *text;          /* the file as read, zero-terminated */
  size_t text_len;
  struct tide_u128 hash;     /* of text: the version that answers name */

  struct tide_field *field;      uint32_t field_count;    /* facts behind all others, fact_count of them */
  uint32_t fact_count;
  struct tide_shape *shape;      uint32_t shape_count;
  struct tide_entity *entity;    uint32_t entity_count;   /* [0] is primary */
  struct tide_feature *feature;  uint32_t feature_count;
  struct tide_slot *slot;        uint32_t slot_count;     /* in order of the file, feature by feature, window by window */
  struct tide_derived *derived;  uint32_t derived_count;  /* each reads only earlier ones */
  struct tide_group *group;      uint32_t group_count;
  const char **decision;         uint32_t decision_count; /* mild to strict */
  struct tide_list *list;        uint32_t list_count;
  struct tide_rule *rule;        uint32_t rule_count;     /* at least one when decisions are declared; the last may be else */
  struct tide_rule *fallback;    uint32_t fallback_count; /* message-only; the last is always else */
  struct tide_test *test;        uint32_t test_count;

  /* event: */
  uint32_t id[TIDE_TUPLE_MAX], id_count;
  uint32_t alias[TIDE_TUPLE_MAX], alias_count;   /* 0: none */
  uint32_t parent[TIDE_TUPLE_MAX], parent_count; /* 0: none */
  bool parent_counts;
  uint32_t f_time, f_kind, f_amount, f_merchant; /* field indices; TIDE_NONE where not declared (f_time always is) */
  uint32_t f_lat, f_lon;                         /* place: [lat, lon], NUMBER fields in degrees; TIDE_NONE */
  char currency[4];                              /* counting currency; "" when no amount is declared */
  int exponent;                                  /* its minor units */
  const struct tide_expr *score, *advise;        /* NULL: score: every event; advise: none */
  bool conflict_rejects;                         /* on_conflict: reject */
  bool reads_score;                              /* some rule reads the model's score */

  const struct tide_program *asking;             /* score and advise, compiled like the next two */
  const struct tide_program *deriving;           /* derived values, compiled (tide_policy_compile) */
  const struct tide_program *deciding;           /* rules; shadow ones too */
  uint64_t live_rules;                           /* rules that are no shadow: bits by index */
  const struct tide_quoted *quoted;              /* names as JSON (feature/quoted.h) */
};

/* Parses and checks a whole feature file. `path` only names it in errors. On success *ret is a new spec (tide_spec_free). On failure up to
 * error_max errors are written in order of line and *ret_errors tells how many there were; the first one's code is returned. Each error
 * has line, column, field and a sentence with the nearest valid name where one is near. Bounds: 1 MiB, the TIDE_*_MAX above. */
enum tide_err tide_spec_parse(const char *path, struct tide_span text, struct tide_spec **ret, struct tide_error *error, size_t error_max,
                              size_t *ret_errors) TIDE_WARN_UNUSED;
/* The same from a file. */
enum tide_err tide_spec_load(const char *path, struct tide_spec **ret, struct tide_error *error, size_t error_max, size_t *ret_errors)
    TIDE_WARN_UNUSED;
void tide_spec_free(struct tide_spec *spec);

/* Index by name, or TIDE_NONE. */
uint32_t tide_spec_field(const struct tide_spec *spec, const char *name);
uint32_t tide_spec_slot(const struct tide_spec *spec, const char *name);
uint32_t tide_spec_entity(const struct tide_spec *spec, const char *name);
/* Index into spec->field of a fact about an entity, or TIDE_NONE. tide_spec_field finds no facts. */
uint32_t tide_spec_fact(const struct tide_spec *spec, uint32_t entity, const char *name);
/* What a profile about the entity must be able to read: the plain fields of its key, also those that parts are derived of, and the time. By field. */
void tide_spec_profile_needs(const struct tide_spec *spec, uint32_t entity, bool ret[TIDE_FIELDS_MAX]);

#endif
