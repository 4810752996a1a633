/* The state of all entities, and the event being judged against it.
 *
 * A tide_txn is one event resolved under the plan: its values, its keys, the truth of every condition. tide_vector_kind reads the state of one kind of entity, tide_state_count
 * changes it: first the features, then the insertion, so an event never counts itself by accident. Neither looks at another kind, so many events can be taken kind by kind. */
#ifndef TIDE_STATE_H
#define TIDE_STATE_H

#include "feature/record.h"
#include "feature/vector_era.h"
#include "feature/window.h"

struct tide_txn {
  const struct tide_record *record;
  int64_t time_ms;
  int64_t watermark_ms;                       /* where it comes: that of the state behind everything before it, and itself */
  int64_t lead_ms;                            /* windows end so much later than time_ms (ruling 47) */
  int64_t requested, amount_now;              /* counting currency, minor units; TIDE_NULL_NUM when missing */
  uint64_t conds;                             /* truth of plan->cond as the event comes in */
  struct tide_value field[TIDE_FIELDS_MAX];
  uint64_t thing[TIDE_FIELDS_MAX];            /* of the fields in plan->thing, as TIDE_COL_THING has them: short texts as they
                                               * are, longer ones hashed under the journal's seed, so that nobody can choose texts
                                               * that count as one; 0: missing */
  uint64_t atoms;                             /* two bits an atom: 1 true, 2 false, 0 null because something is absent, 3 null because of an
                                               * empty result (`is empty` can tell) */
  struct tide_value dyn[TIDE_DYN_COUNT];      /* outcome columns as the event comes in, and its amount */
  struct tide_u128 key[TIDE_ENTITIES_MAX], alt[TIDE_ENTITIES_MAX]; /* alt: under the previous secret key; zero if none */
  bool rotates;                               /* one of alt is not zero */
  bool has_key[TIDE_ENTITIES_MAX];
  uint32_t number[TIDE_ENTITIES_MAX];         /* entity, or TIDE_NO_ENTITY */
  uint32_t rank[TIDE_ENTITIES_MAX];           /* how many events of the same time stand before it there; set when it is inserted */
};

/* How often tiles were taken for a value, were changed by an outcome, took an event that came late. */
struct tide_tile_use { uint64_t read, mended, late; };

struct tide_state {
  const struct tide_plan *plan;  /* borrowed */
  struct tide_store store[TIDE_ENTITIES_MAX];
  int64_t watermark_ms;          /* INT64_MIN before any event */
  int64_t history_from_ms;       /* TIDE_HISTORY_FIRST until known */
  int64_t *field_from_ms;        /* by field: events not after it may lack the field; NULL: none ever did */
  int64_t *slot_from_ms;         /* by slot, of the fields that it reads: what history_from_ms is to all; NULL like field_from_ms. Worked out, not saved */
  struct tide_valueset scratch;
  struct tide_era era;           /* of the last event that was asked for: a cache */
  struct tide_tile_use tile_use; /* for tests and people: not part of the state, not saved */
};

void tide_state_init(struct tide_state *state, const struct tide_plan *plan);
void tide_state_release(struct tide_state *state);
/* Takes when each field began to be there: from_ms[spec->field_count], INT64_MIN: it always was. */
void tide_state_fields_from(struct tide_state *state, const int64_t *from_ms);

/* Resolves fields and keys of a record that was read from an entry (event, outcome, list): txn->field, key, has_key. number is not looked up. */
void tide_txn_resolve(const struct tide_plan *plan, const struct tide_record *record, struct tide_txn *txn);
/* Sets amounts and evaluates all conditions for a pending event. `requested` in the counting currency or TIDE_NULL_NUM. */
void tide_txn_conditions(const struct tide_plan *plan, struct tide_txn *txn, int64_t requested, int64_t amount_now);
/* Evaluates the dynamic conditions again after dyn changed; the others keep their bits. amount TIDE_NULL_NUM: missing. */
uint64_t tide_txn_dynamic(const struct tide_plan *plan, const struct tide_value *dyn, uint64_t conds);
/* The outcome columns as values, from their packed form (TIDE_COL_DYN). */
void tide_dyn_values(const struct tide_plan *plan, uint16_t packed, uint64_t reason, int64_t amount_now, struct tide_value *ret_dyn);

/* Looks up the entities of the event, where a number stands already first there; moves those found under a previous secret key. */
void tide_state_lookup(struct tide_state *state, struct tide_txn *txn);

/* All features of the event as the state stands: ret[spec->slot_count]. */
void tide_vector_eval(struct tide_state *state, const struct tide_txn *txn, struct tide_value *ret);
/* Those of one entity of it, for who takes many events kind by kind: ret is that of all slots, and only those of this kind are written. */
void tide_vector_kind(struct tide_state *state, const struct tide_txn *txn, uint32_t e, struct tide_value *ret);

/* What the primary keeps of an event beyond its features. */
struct tide_memory {
  uint64_t id;           /* hash of the identity */
  uint64_t fp_amount, fp_merchant;
  uint64_t epoch, seq;   /* of the first answer */
  uint64_t verdict, truth;
  uint32_t verdict2, score;
  uint16_t index;
  uint32_t tag;          /* running number of the event: the order of position among those that bear one id */
  bool uncounted;        /* an incremental authorization: remembered, counted nowhere */
};
/* What its rows hold, worked out once it has been looked up (ret has room for TIDE_NO_ORIGIN + 1): in all kinds; and what the primary's holds besides, the answer and where the
 * event stands in the others, once it stands there. */
void tide_state_values(const struct tide_state *state, const struct tide_txn *txn, const struct tide_memory *memory, int64_t *ret);
void tide_state_refer(const struct tide_state *state, const struct tide_txn *txn, const struct tide_memory *memory, int64_t *ret);
/* Inserts the event into one entity, which is made where it has none and there is room: txn->number, rank. An uncounted one goes into the primary alone, with no bits. */
void tide_state_count(struct tide_state *state, uint32_t e, struct tide_txn *txn, const struct tide_memory *memory, const int64_t *value);
/* Its parts, for who makes the entities of many events first (core/fold_slice.c): its place among those of its time in one entity, which it is not in yet
 * (txn->rank), and the insertion there. They touch nothing but that entity, so several threads may work in different ones. */
uint32_t tide_state_rank(const struct tide_state *state, uint32_t e, const struct tide_txn *txn);
void tide_state_insert_in(struct tide_state *state, uint32_t e, const struct tide_txn *txn, const struct tide_memory *memory, const int64_t *value);

/* Features of every kind that were dropped for want of room are metered here. */
bool tide_txn_capacity(const struct tide_state *state, const struct tide_txn *txn, uint32_t entity);

/* ---- facts (state_fact.c; rulings P1 to P7) ---- */

/* A fact by its number in the kind, told about an entity that is there: true since time_ms. False: two that are newer are known. */
bool tide_state_tell(struct tide_state *state, uint32_t entity, uint32_t number, unsigned fact, int64_t time_ms, uint64_t value);
/* A counted event of the entity keeps what is known about it from being forgotten. */
void tide_state_keep_facts(struct tide_state *state, uint32_t entity, uint32_t number, int64_t time_ms, int64_t watermark_ms);
/* Time begins: what was told before counts as told now. */
void tide_state_begin(struct tide_state *state, int64_t watermark_ms);
/* What was known at the event's time, by its own age fresh or not. The key is there, and room for it. */
struct tide_value tide_fact_value(const struct tide_state *state, const struct tide_txn *txn, const struct tide_kind *kind, const struct tide_step *step);
/* The age of the oldest fact that the event's features read, by entity. */
struct tide_standing;
void tide_facts_stand(const struct tide_state *state, const struct tide_txn *txn, struct tide_standing *standing);

/* Packed outcome columns (conditions.c, as all that is about conditions). */
#define TIDE_DYN_UNCOUNTED 0x8000u
/* A field that conditions compare with outcome columns, when it is missing: a NaN that no arithmetic of ours makes. */
#define TIDE_RESIDUAL_MISSING UINT64_C(0x7ff8dead00000000)
uint16_t tide_dyn_pack(uint8_t result, uint8_t reversed, uint8_t refunded, uint8_t disputed, uint8_t label);

/* Applies a set of outcome columns to the event at `at` of the primary entity `number` and to all its other entities. */
void tide_state_outcome(struct tide_state *state, uint32_t number, struct tide_at at, const struct tide_outcome *outcome, int64_t amount_now, bool sets_amount);
/* Its parts: what is changed at the primary, and what that means for the event's other entities. As of insertion, each touches its own entity only. */
struct tide_change {
  int64_t time_ms;
  uint64_t old_conds, conds; /* dynamic conditions before, where tiles must be mended, and after */
  int64_t old_amount, amount;
  uint32_t number[TIDE_ENTITIES_MAX], rank[TIDE_ENTITIES_MAX]; /* where else the event stands; [0] is TIDE_NO_ENTITY */
};
/* False: it stands nowhere else. The watermark where the outcome comes. */
bool tide_state_change(struct tide_state *state, uint32_t number, struct tide_at at, int64_t watermark_ms, const struct tide_outcome *outcome, int64_t amount_now,
                       bool sets_amount, struct tide_change *ret);
/* The same before the event is inserted anywhere, for who knows that nothing reads or changes it between: what its rows will hold (tide_state_values) and its conditions
 * become what the outcome would make of them. False, and nothing changed, where that might not give the same bytes: a distinct count would lose or gain the event (the
 * latest bit is handed on among the rows that are there), some of its row may be gone or in tiles when the outcome comes, or a block turns wide (what it was based on before
 * stays to be seen). */
struct tide_coming {
  int64_t back_ms;      /* rows newer than the watermark - this are whole */
  uint64_t fixed_conds; /* no outcome may change these: conditions of distinct counts */
  bool amount_moves;    /* every kind with an amount learns of another one */
};
struct tide_coming tide_coming_of(const struct tide_plan *plan);
bool tide_state_change_coming(const struct tide_plan *plan, const struct tide_coming *coming, struct tide_txn *txn, int64_t *value, int64_t watermark_ms,
                              const struct tide_outcome *outcome, int64_t amount_now, bool sets_amount);
/* number[e] is an entity; the same watermark. */
void tide_state_change_in(struct tide_state *state, uint32_t e, int64_t watermark_ms, const struct tide_change *change);

#endif
