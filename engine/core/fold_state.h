/* Inside of the fold: shared by fold.c (entries), fold_event.c, fold_stretch.c, fold_outcome.c and fold_save.c, and by nobody else.
 *
 * struct tide_fold is all there is: no global, no clock. What is saved and hashed is everything above the line `scratch`; what stands below
 * it lives for one event or one entry and may be anything in between. */
#ifndef TIDE_FOLD_STATE_H
#define TIDE_FOLD_STATE_H

#include "core/fold.h"
#include "core/gate.h"
#include "core/memo.h"
#include "core/outbox.h"
#include "core/stale_watch.h"
#include "feature/recast.h"
#include "feature/state.h"

/* Positions whose decisions are remembered, for CHECK records: more than an engine can be behind another and still be heard of. */
#define TIDE_POINTS 1024

/* A feature file that was in force before the present one. Its answers are those that it gave and that a repetition may still ask for: its primary entities as they
 * stood at the switch; NULL: nothing of them is remembered any more. */
struct tide_answers { struct tide_plan *plan; struct tide_store store; struct tide_versions versions; /* their policies */ };
struct tide_generation {
  struct tide_spec *spec;
  struct tide_recast *recast;   /* to the file behind it */
  struct tide_position until;   /* the last entry under it */
  int64_t until_ms;             /* no event under it is newer */
  struct tide_answers *answers; /* NULL: forgotten */
};
/* Stores that nobody asks any more, freed a shard at a time: not part of the state. */
struct tide_retired { struct tide_plan *plan; struct tide_store *store; uint32_t count, shard; struct tide_retired *next; };

struct tide_fold {
  struct tide_spec *spec;
  struct tide_plan *plan;
  struct tide_settings settings;
  struct tide_state state;
  struct tide_generation *generation; /* [TIDE_GENERATIONS_MAX], oldest first */
  uint32_t generations;               /* of them: the number that entries name as theirs */
  struct tide_spec *next;             /* waits for a follower under this file, for versions.awaited; NULL: it does not */
  bool follows;                       /* prepares a switch: counts what others have decided; not part of the state */
  bool begun;                         /* the log that it is given has a configuration: of a follower, it begins with its beginning */
  bool based;                         /* history stood before the first entry */
  struct tide_retired *retired;       /* not part of the state */
  struct tide_position position;
  uint64_t nonce;              /* of the last fence */
  struct tide_u128 session;    /* that it names */
  struct tide_entry_mark mark; /* of the entry at position */
  int64_t commit_ms;           /* non-decreasing commit time */
  int64_t stamp_ms;            /* last stamp given */
  struct tide_ledger ledger;
  struct tide_lists lists;
  struct tide_rates rates;
  struct tide_stubs stubs;
  uint32_t tag;                /* running number of counted events, wraps */
  struct tide_digest digest;   /* of the decisions so far; state_hash unused here */
  struct tide_versions versions; /* with a spec */
  uint64_t rule_hits[TIDE_RULES_MAX]; /* of the policy in force */
  struct tide_metrics metrics;
  struct tide_check_point *point; /* [TIDE_POINTS] of the last entries, by seq; not part of the state */
  bool quiet;                  /* history: nothing is judged; not part of the state */
  struct tide_slices *slices;  /* history is folded many records at once (fold_slice.h); NULL: it is not; not part of the state */
  struct tide_outbox outbox;   /* saved, not hashed: the decisions' digest says it all */
  struct tide_buf id, json;    /* scratch of an answer that goes there */
  struct tide_states states[TIDE_ENTITIES_MAX]; /* of the answer that is put into the outbox */
  struct tide_stale_watch *stale_watch; /* since the feature file is known; not part of the state */
  /* scratch of one event */
  struct tide_value slot[TIDE_SLOTS_MAX];
  struct tide_value *derived;
  struct tide_score score, fallback_score;
  struct tide_shadow_score shadow[TIDE_SHADOWS_MAX];
  struct tide_verdict shadow_verdict;
  struct tide_gate gate;
  struct tide_standing standing[TIDE_ENTITIES_MAX];
  struct tide_cursor_part *part;
  struct tide_group_item *group; /* the records being prefetched, [group_max] */
  uint32_t group_max;
  struct tide_old_record *old;   /* a repetition in the shape of the file under which it was decided; NULL until there is one */
  struct tide_trace_hook { tide_trace_fn fn; void *ctx; } trace;
  struct tide_fold_watch watch; /* decided NULL: nobody */
  struct tide_stretch *stretch; /* events under way */
};

/* ---- what becomes of an event, in steps that fold_stretch.c takes for a few events at once and fold_slice.c for many ---- */

/* A record as it comes, before it is compared with what is known: all but the identity hangs on its place in the journal. */
struct tide_came {
  struct tide_memory memory; /* identity and fingerprints: also of an outcome */
  bool has_identity;
  bool no_rate;              /* it has an amount, and that has no rate here */
  bool advised;
  bool asks;                 /* for a decision, and somebody wants one */
  int64_t requested;         /* counting currency; TIDE_NULL_NUM: none, or no_rate; of an outcome amount_now */
};
/* Is there one of the same identity? With other amounts or merchants only, or one that agrees (ruling 23)? */
enum tide_known { TIDE_KNOWN_NOT, TIDE_KNOWN_CONFLICT, TIDE_KNOWN_DUPLICATE };
enum tide_fate { TIDE_FATE_COUNTS, TIDE_FATE_DUPLICATE, TIDE_FATE_LATE, TIDE_FATE_NO_RATE, TIDE_FATE_CONFLICT };

/* Records of an entry are taken in groups so that the memory they need is on its way before it is touched. */
#define TIDE_GROUP 16
struct tide_group_item {
  struct tide_raw_record raw;
  struct tide_record record;
  struct tide_txn txn;
  uint32_t index;
  bool skip;             /* counted before, or of nothing that the present file has */
  struct tide_came came;
};
/* The record of a group's item, from its bytes, resolved. The cursor parts of its entry stand in fold->part. */
enum tide_err tide_fold_read(struct tide_fold *fold, const struct tide_entry_header *header, struct tide_group_item *item, struct tide_error *error) TIDE_WARN_UNUSED;
/* Folds items of the group that have been read, one after the other. */
void tide_fold_plainly(struct tide_fold *fold, uint32_t from, uint32_t to, tide_emit_fn emit, void *ctx);
void tide_fold_record(struct tide_fold *fold, struct tide_group_item *item, tide_emit_fn emit, void *ctx);
/* The watermark rose to this: stubs that waited too long are dropped. */
void tide_fold_expire(struct tide_fold *fold, int64_t watermark_ms);

/* What an expression of the event reads; no model's score. `lists` is filled and borrowed. */
struct tide_list_ctx;
void tide_event_env(const struct tide_fold *fold, const struct tide_txn *txn, struct tide_list_ctx *lists, struct tide_env *ret);
/* Identity and fingerprints of a resolved event or outcome. */
void tide_event_identify(const struct tide_fold *fold, struct tide_group_item *item);
/* Its time, the watermark, history, its amount. Returns its partition's index in the ledger. `env` is that of tide_event_env. */
uint32_t tide_event_come(struct tide_fold *fold, struct tide_group_item *item, struct tide_env *env);
/* Looks at the card's events; *ret_at: the one that is repeated. */
enum tide_known tide_event_known(const struct tide_fold *fold, const struct tide_group_item *item, struct tide_at *ret_at);
/* By what is known and how late it is. Pure. */
enum tide_fate tide_event_fate(const struct tide_fold *fold, const struct tide_group_item *item, enum tide_known known);
void tide_event_meter(struct tide_fold *fold, const struct tide_group_item *item, enum tide_known known, enum tide_fate fate);
/* Is it an incremental authorization whose parent is there? *ret_at: the parent's place. Only for fate COUNTS. */
bool tide_event_parent(const struct tide_fold *fold, const struct tide_txn *txn, struct tide_at *ret_at);
/* Conditions and amounts; parent_amount: amount_now of the parent, for an increment. Returns the total that the parent comes to. */
int64_t tide_event_conditions(const struct tide_fold *fold, struct tide_group_item *item, bool incremental, int64_t parent_amount);
int64_t tide_event_amount_at(const struct tide_fold *fold, uint32_t number, struct tide_at at);
/* An answer that says nothing yet; env is borrowed. */
struct tide_answer tide_event_answer(const struct tide_fold *fold, const struct tide_group_item *item, enum tide_known known, const struct tide_env *env);
/* What the primary keeps of the answer. */
void tide_event_pack(const struct tide_fold *fold, const struct tide_answer *answer, bool scored, struct tide_memory *memory);
/* The answer leaves: digest, counters, outbox, whoever watches, emit. */
void tide_event_out(struct tide_fold *fold, const struct tide_group_item *item, struct tide_answer *answer, tide_emit_fn emit, void *ctx);
/* Answers an event that changes nothing: of another fate than COUNTS. at: what it repeats. */
void tide_event_pass(struct tide_fold *fold, const struct tide_group_item *item, enum tide_known known, enum tide_fate fate, struct tide_at at,
                     struct tide_env *env, tide_emit_fn emit, void *ctx);
/* What the primary keeps of an event that was not judged. */
void tide_event_unjudged(const struct tide_fold *fold, struct tide_group_item *item, enum tide_known known);
/* fold_stretch.c: events under way. tide_free frees them. */
struct tide_stretch *tide_stretch_new(void);
/* They are judged, counted and emitted: before any record that is no event, and when there are no more. */
void tide_stretch_end(struct tide_fold *fold, tide_emit_fn emit, void *ctx);
/* One event is begun; it is finished here or, with others, by tide_stretch_end. */
void tide_fold_event(struct tide_fold *fold, struct tide_group_item *item, tide_emit_fn emit, void *ctx);
/* Tells the trace which events of the past the windows of a resolved event hold; of each entity those that came last, at most `newest` of them (and its tiles). */
void tide_fold_trace_txn(struct tide_fold *fold, const struct tide_txn *txn, uint32_t newest);
/* A record at time_ms came from its partition: the watermark may move. Returns the partition's index in the ledger. */
uint32_t tide_fold_pass(struct tide_fold *fold, const struct tide_record *record, int64_t time_ms);
/* Facts of partitions changed: the watermark may move. */
void tide_fold_facts(struct tide_fold *fold);
/* A heartbeat moves its partition's watermark, and its source lives. */
void tide_fold_heartbeat(struct tide_fold *fold, const struct tide_record *record);
/* The feature file and limits become effective; once per journal. */
enum tide_err tide_fold_configure(struct tide_fold *fold, const struct tide_settings *settings, struct tide_span features, struct tide_error *error)
    TIDE_WARN_UNUSED;
/* fold_judge.c: derived values, score, shadows and verdict of an event by its slots and fold->standing; fills env and answer. */
void tide_fold_judge(struct tide_fold *fold, const struct tide_txn *txn, const struct tide_value *slot, struct tide_env *env, struct tide_answer *answer);
/* The decision on an event that comes to no features, for `cause`: its features are unknown. Changes nothing of the state. */
void tide_fold_refuse(struct tide_fold *fold, struct tide_env *env, enum tide_cause cause, struct tide_answer *answer);
/* An outcome as it comes, its identity known: its amount. False: it names no event. */
bool tide_outcome_come(struct tide_fold *fold, struct tide_group_item *item);
/* The event that it means, at its card (ruling 26). */
bool tide_outcome_find(const struct tide_fold *fold, const struct tide_group_item *item, struct tide_at *ret_at);
/* There is none: it waits for it. */
void tide_outcome_stub(struct tide_fold *fold, const struct tide_group_item *item);
/* The event just counted, for an outcome that waited for it; false: it was too old to be kept. */
bool tide_stub_find(const struct tide_fold *fold, const struct tide_txn *txn, uint64_t id, struct tide_at *ret_at);
/* One outcome: find its event, or leave a stub. */
void tide_fold_outcome(struct tide_fold *fold, struct tide_group_item *item);
/* One profile: what it tells is known from here on. */
void tide_fold_profile(struct tide_fold *fold, struct tide_group_item *item);
/* The time of a record: its own, or the next stamp where it came without. */
int64_t tide_fold_stamp(struct tide_fold *fold, const struct tide_record *record);
/* What is watched of an event or label: by card, the card under its previous key, identity and fingerprint of the amount. */
struct tide_watched tide_fold_watched(const struct tide_txn *txn, bool has_identity, uint64_t id, uint64_t print);
/* Applies waiting stubs to the event just counted. */
void tide_fold_stubs(struct tide_fold *fold, const struct tide_txn *txn, uint64_t id);

/* Hash of an identity; false when a part is missing. */
bool tide_fold_identity(uint64_t seed, const struct tide_record *record, const uint32_t *field, uint32_t count, uint64_t *ret);
/* The identity of a record: its alias if that is there, else its id. */
bool tide_record_identity(const struct tide_fold *fold, const struct tide_record *record, uint64_t *ret);
/* Fingerprint of amount and currency as sent, exact for every amount that decoding admits; of a missing amount: 1. Never 0. */
uint64_t tide_amount_fingerprint(const struct tide_fold *fold, const struct tide_record *record);
/* Converts an amount into the counting currency with the rate at this position. False when there is no rate or it does not fit. */
bool tide_fold_convert(const struct tide_fold *fold, int64_t minor, const char currency[4], int exponent, int64_t *ret);
/* The event of the card with this identity that comes last by position among those newer than after_ms; with fp non-zero only those that bear it. */
bool tide_find_identity(const struct tide_fold *fold, uint32_t number, uint64_t id, int64_t after_ms, uint64_t fp, bool counted_only, struct tide_at *ret);
/* Fills the first answer of the event at row `i` of a block of the primary into a duplicate's, in the shape of the file that gave it; false when the first
 * asked for none. `txn` is the duplicate, with the entity in which the row stands. */
bool tide_fold_unpack(struct tide_fold *fold, const struct tide_txn *txn, const struct tide_block *block, unsigned i, struct tide_answer *answer);
/* The same from a row of any plan, decided under these policies. */
bool tide_answer_unpack(const struct tide_plan *plan, const struct tide_versions *versions, const struct tide_block *block, unsigned i,
                        struct tide_answer *answer);

/* ---- fold_switch.c: feature files that follow one another ---- */

struct tide_old_record { struct tide_record record; struct tide_value field[TIDE_FIELDS_MAX], dyn[TIDE_DYN_COUNT]; struct tide_env env; };
/* A rollout with another feature file: from the end of the entry being folded on the fold waits for its follower, or the rollout is void. */
enum tide_rollout_end tide_fold_await(struct tide_fold *fold, const struct tide_rollout *rollout);
/* The file under which a position was decided; NULL: the present one. */
const struct tide_generation *tide_fold_generation_at(const struct tide_fold *fold, struct tide_position position);
/* What that file answered to the event at answer->first_position; `txn` is a repetition of it. */
bool tide_generation_unpack(struct tide_fold *fold, const struct tide_generation *generation, const struct tide_txn *txn, struct tide_answer *answer);
/* Keys that rotate move what was remembered as well. */
void tide_generations_rekey(struct tide_fold *fold, const struct tide_txn *txn);
/* The entities of a resolved record. Whatever record is the first that names a card under its new key, all of the card moves with it. */
static inline void tide_fold_look_up(struct tide_fold *fold, struct tide_txn *txn) {
  tide_state_lookup(&fold->state, txn);
  if (fold->generations) tide_generations_rekey(fold, txn);
}
/* After an entry: what can be asked no more is forgotten, and a piece of what was forgotten freed. */
void tide_generations_sweep(struct tide_fold *fold);
void tide_generations_release(struct tide_fold *fold);
/* Snapshots: which files there were; the same as it is hashed; their answers by shard. */
void tide_generations_save(const struct tide_fold *fold, struct tide_buf *out);
bool tide_generations_load(struct tide_fold *fold, struct tide_reader *reader, enum tide_err *ret_err, struct tide_error *error);
void tide_generations_save_hashed(const struct tide_fold *fold, struct tide_buf *out);
bool tide_generations_load_hashed(struct tide_fold *fold, struct tide_reader *reader);
/* tide_env.in_list of an event under judgement. */
struct tide_list_ctx { const struct tide_fold *fold; const struct tide_txn *txn; };
bool tide_fold_in_list(const void *ctx, uint32_t list, const struct tide_expr *operand, bool *ret_missing);
/* The key of a list's operand in a resolved record; false when it is missing. previous: under the previous secret key. */
bool tide_list_key(const struct tide_fold *fold, const struct tide_txn *txn, bool is_entity, uint32_t ref, bool previous, struct tide_u128 *ret);

#endif
