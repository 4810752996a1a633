/* Expressions: the small language of where, score, advise, derive, derived, rules and fallback.
 *
 *   or    := and { "or" and }                      lowest
 *   and   := not { "and" not }
 *   not   := "not" not | cmp
 *   cmp   := sum [ ("=" | "!=" | "<" | "<=" | ">" | ">=") sum ]
 *          | sum ["not"] "in" ( "(" literal { "," literal } ")" | LIST )
 *          | sum "is" ["not"] ("empty" | "absent" | "known")
 *   sum   := term { ("+" | "-") term }
 *   term  := unary { ("*" | "/") unary }
 *   unary := "-" unary | atom
 *   atom  := NUMBER | DURATION | "text" | NAME | ENTITY "." FEATURE | FUNCTION "(" args ")" | "true" | "false" | "(" or ")"
 *
 * A bare word that names nothing is a text literal where a text stands on the other side (result = declined); anywhere else it is an error with
 * the nearest name. A DURATION (10m) is its number of seconds. Types are checked when parsed: number, text, bool; a money field is a
 * number in major units.
 *
 * The tree is evaluated three-valued. Text is compared by code (below), so no string is touched while scoring. */
#ifndef TIDE_EXPR_H
#define TIDE_EXPR_H

#include "base/clock.h"
#include "base/hash.h"

/* Text as 64 bits. 0: missing. Up to 7 bytes: the bytes themselves, little-endian, length in the top byte (1..7), so short codes
 * (countries, MCCs, response codes) can be printed back. Longer: bit 63 set and 63 bits of XXH3. */
#define TIDE_CODE_HASHED (UINT64_C(1) << 63)
static inline uint64_t tide_text_four(const char *at) {
  const uint8_t *byte = (const uint8_t *)at;
  return (uint64_t)((uint32_t)byte[0] | (uint32_t)byte[1] << 8 | (uint32_t)byte[2] << 16 | (uint32_t)byte[3] << 24);
}
static inline uint64_t tide_text_code(struct tide_span text) {
  if (text.len > 7) return tide_hash64(text.ptr, text.len, 0) | TIDE_CODE_HASHED;
  uint64_t code = 0;
  if (text.len >= 4) { /* two pieces that may overlap */
    code = tide_text_four(text.ptr) | tide_text_four(text.ptr + text.len - 4) << (8 * (text.len - 4));
  } else if (text.len) {
    size_t mid = text.len / 2, last = text.len - 1;
    code = (uint64_t)(uint8_t)text.ptr[0] | (uint64_t)(uint8_t)text.ptr[mid] << (8 * mid) | (uint64_t)(uint8_t)text.ptr[last] << (8 * last);
  }
  return code | (uint64_t)text.len << 56;
}
/* Writes the text of a short code and returns its length, or 0 when the code is a hash or missing. out needs 8 bytes. */
size_t tide_text_of_code(uint64_t code, char out[8]);

enum tide_vtype { TIDE_V_NULL, TIDE_V_NUM, TIDE_V_TEXT, TIDE_V_BOOL };

#define TIDE_VSTATES(X) X(fresh) X(stale) X(warming) X(absent) X(empty) X(saturated) X(defaulted) X(waived)
enum tide_vstate {
#define X(name) TIDE_S_##name,
  TIDE_VSTATES(X)
#undef X
      TIDE_S_COUNT
};

/* Why a value is null or a decision fell back: X(name, meaning, whether a transaction with such a decision counts, what then). One table for values, answers, metrics and the
 * documentation. */
#define TIDE_CAUSES(X)                                                                                                              \
  X(none, "nothing is wrong", "yes", "nothing falls back")                                                                              \
  X(absent, "the entity's key is not in the message, or nothing was told of it", "yes",                                             \
    "a comparison with it is false; `is absent` asks for it")                                                                        \
  X(empty, "no event in the window, or division by zero", "yes", "a comparison with it is false; `is empty` asks for it")               \
  X(too_late, "the window begins before the entity's retention", "yes", "unknown: the event is older than what its entity still keeps") \
  X(warming, "the window begins before the history does", "yes", "as `warming:` of the group says; a back-fill, or time, mends it")     \
  X(capacity, "the entity kind is at its limit and this entity was not admitted", "yes", "unknown; see `max:` of the entity")           \
  X(stale, "features or facts are staler than their budget", "yes", "as `stale:` of the group says; the detail names who is behind")    \
  X(saturated, "a capped distinct count cannot answer the comparison", "yes", "unknown where the bound decides nothing; see `cap`")     \
  X(score, "the model's score was refused", "yes", "the detail has the cause of the input that refused it")                             \
  X(late, "the event is older than the watermark less lateness", "no", "an advice is never late; see fold.lateness")                    \
  X(id_conflict, "the id is remembered with another amount or merchant, and on_conflict is reject", "no", "send it under its own id")   \
  X(no_rate, "no currency rate is known at this position", "no", "send a `rate` record for the currency, then the message again")       \
  X(deadline, "the deadline passed", "no, or maybe", "a retry gets the journal's decision, if there is one")                            \
  X(quorum, "the commit did not reach its quorum", "maybe", "a retry finds out; see to the replicas")                                   \
  X(journal_full, "the journal is near its memory limit", "no", "see journal.keep and the store's memory")                              \
  X(unavailable, "the engine cannot commit now", "no, or maybe", "/readyz says what it waits for")                                                \
  X(overload, "more is waiting than can be answered in time", "no", "send again after Retry-After; add an engine")                      \
  X(unlogged, "it is counted, and could not be written to the sources' log, without which it is not safe", "maybe",                     \
    "a retry gets the decision; see to the broker")
enum tide_cause {
#define X(name, text, counted, then) TIDE_C_##name,
  TIDE_CAUSES(X)
#undef X
      TIDE_C_COUNT
};
const char *tide_vstate_name(enum tide_vstate state);
const char *tide_cause_name(enum tide_cause cause);
const char *tide_cause_text(enum tide_cause cause);

/* One value: 16 bytes, and equal values are equal bytes: `reserved` and what a type does not use of the union are zero (null: all of it).
 * `unknown` marks what should be there and must not be trusted (rulings 30, 31): an operand with unknown set makes a rule's comparison
 * unknown. A null with unknown clear is legitimately not there. */
struct tide_value {
  uint8_t type;  /* enum tide_vtype */
  uint8_t state; /* enum tide_vstate */
  uint8_t cause; /* enum tide_cause */
  bool unknown;
  uint32_t reserved;
  union {
    double num;
    uint64_t code; /* TIDE_V_TEXT */
    bool yes;      /* TIDE_V_BOOL */
  };
};
_Static_assert(sizeof(struct tide_value) == 16, "values travel in registers");

enum tide_op {
  TIDE_X_NUM, TIDE_X_TEXT, TIDE_X_TRUE, TIDE_X_FALSE,             /* literals */
  TIDE_X_FIELD,                                                   /* ref: index into spec->field */
  TIDE_X_DYN,                                                     /* ref: enum tide_dyn */
  TIDE_X_FEATURE,                                                 /* ref: index into spec->slot */
  TIDE_X_DERIVED,                                                 /* ref: index into spec->derived */
  TIDE_X_SCORE,                                                   /* the model's score */
  TIDE_X_EVENT_TIME,                                              /* the event's time, in seconds: also of events that were stamped */
  TIDE_X_EQ, TIDE_X_NE, TIDE_X_LT, TIDE_X_LE, TIDE_X_GT, TIDE_X_GE, /* a, b */
  TIDE_X_IN,                                                      /* a; set, set_count: literals (num or code by operand type), ascending */
  TIDE_X_IN_LIST,                                                 /* a is FIELD or ENTITY; ref: index into spec->list */
  TIDE_X_ENTITY,                                                  /* only under IN_LIST: ref: index into spec->entity */
  TIDE_X_IS_EMPTY, TIDE_X_IS_ABSENT, TIDE_X_IS_KNOWN,             /* a */
  TIDE_X_AND, TIDE_X_OR, TIDE_X_NOT,
  TIDE_X_ADD, TIDE_X_SUB, TIDE_X_MUL, TIDE_X_DIV, TIDE_X_NEG,
  TIDE_X_LOG1P, TIDE_X_ABS, TIDE_X_MIN, TIDE_X_MAX, TIDE_X_IF,    /* IF: a condition, b then, c else */
  TIDE_X_HOUR, TIDE_X_WEEKDAY                                     /* of the event time, zone */
};

union tide_literal { double num; uint64_t code; };

/* A node of the tree, owned by the spec's arena. Children are pointers; unused ones NULL. `type` is the static type. */
struct tide_expr {
  uint8_t op;   /* enum tide_op */
  uint8_t type; /* enum tide_vtype; never TIDE_V_NULL */
  uint16_t set_count;
  uint32_t ref;
  const struct tide_expr *a, *b, *c;
  union {
    double num;
    uint64_t code;
    const union tide_literal *set;
    const struct tide_zone *zone;
  };
  const char *text; /* literal texts as written, for describe; else NULL */
  int line, column; /* where it stands in the feature file */
};

/* What an expression may read. Each reader gives the value with its state. Any pointer not needed by the expression may be NULL. */
struct tide_env {
  const struct tide_value *field;    /* by spec->field index */
  const struct tide_value *dyn;      /* by enum tide_dyn */
  const struct tide_value *slot;     /* features, by spec->slot index */
  const struct tide_value *derived;  /* by spec->derived index */
  struct tide_value score;
  uint32_t score_blame;              /* the feature slot that refused the score, plus 1; 0: none did, or there is no model */
  struct tide_etime time;
  bool rule;                         /* ruling 30: comparisons with a legitimately missing operand are false, not null */
  bool lists_empty;                  /* nothing is on any list: nobody need ask */
  bool (*in_list)(const void *ctx, uint32_t list, const struct tide_expr *operand, bool *ret_missing); /* for IN_LIST: is the operand (field or entity) on the list now */
  const void *in_list_ctx;
};

/* Evaluates three-valued. The result of a condition is BOOL, or NULL (unknown or missing: see `unknown`, `cause`). */
struct tide_value tide_expr_eval(const struct tide_expr *expr, const struct tide_env *env);
/* What one node makes of its parts (a, b, c: as many as it has) and of what it reads itself; tide_expr_eval of a node is this of its parts' values. */
struct tide_value tide_expr_apply(const struct tide_expr *expr, const struct tide_value part[3], const struct tide_env *env);
/* Is the value in the set of an IN node about texts? */
bool tide_expr_has_code(const struct tide_expr *expr, uint64_t code);

/* True if any node below reads such a thing. */
bool tide_expr_reads(const struct tide_expr *expr, enum tide_op op);
bool tide_expr_reads_ref(const struct tide_expr *expr, enum tide_op op, uint32_t ref);

static inline struct tide_value tide_num(double num) {
  return (struct tide_value){.type = TIDE_V_NUM, .num = num};
}
static inline struct tide_value tide_bool(bool yes) {
  struct tide_value value = {.type = TIDE_V_BOOL, .num = 0}; /* the whole union, of which `yes` is a byte */
  value.yes = yes;
  return value;
}
static inline struct tide_value tide_text(uint64_t code) {
  return code ? (struct tide_value){.type = TIDE_V_TEXT, .code = code}
              : (struct tide_value){.type = TIDE_V_NULL, .state = TIDE_S_absent, .cause = TIDE_C_absent};
}
static inline struct tide_value tide_null(enum tide_vstate state, enum tide_cause cause) {
  return (struct tide_value){.type = TIDE_V_NULL, .state = (uint8_t)state, .cause = (uint8_t)cause};
}

#endif
