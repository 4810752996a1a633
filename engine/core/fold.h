/* The fold: state as a deterministic function of the journal.
 *
 * tide_fold_entry takes the next entry and gives a decision for every event in it that asks for one. It reads no clock, opens nothing and
 * keeps no global: the same entries give the same answers, bit for bit, in serve, replay, audit and the simulator. Entries must come in journal order, each once;
 * a violation is our bug and panics, broken bytes are errors. */
#ifndef TIDE_FOLD_H
#define TIDE_FOLD_H

#include "base/metric.h"
#include "core/batch.h"
#include "core/versions.h"
#include "feature/freshness.h"
#include "feature/policy.h"
#include "model/logistic.h"

enum tide_status { TIDE_STATUS_SCORED, TIDE_STATUS_REFUSED };

/* What a shadow model said. */
struct tide_shadow_score {
  const struct tide_model *model;
  struct tide_value value; /* as env's score: NUM, or NULL and unknown */
};

/* How many values of an entity are in each state. */
struct tide_states {
  unsigned seen; /* states that there are, a bit each */
  uint16_t count[TIDE_S_COUNT];
};

/* One decision. Pointers are borrowed and valid during the callback only. */
struct tide_answer {
  struct tide_position position;  /* of the entry */
  uint32_t index;                 /* of the record in it */
  const struct tide_spec *spec;     /* the feature file with the policy that decided; of a duplicate, that of the first answer */
  const struct tide_policy_version *policy; /* which that is; NULL: not from a fold */
  const struct tide_record *record; /* the event as journaled */
  struct tide_etime time;           /* its event time (stamped if it came without) */
  enum tide_status status;
  bool counted, duplicate, id_conflict;
  bool supersedes;                /* the decision may take the place of another, told in a history that is lost */
  bool unplaced;                  /* never journaled: it has no position */
  bool maybe;                     /* unplaced, and it may be in the log all the same: `counted` is not known */
  bool advised;                   /* decided elsewhere: the decision is for information */
  bool recompute;                 /* refused for features that, by their policy, would be judged again after the journal's end was read */
  int64_t late_ms;                /* not 0: the fallback in the place of a decision that took so long from its commit until it could be told */
  uint32_t late_entity;           /* and whose budget did not admit that */
  bool features_known;            /* false for duplicates and late events: slot, derived and standing are not filled */
  struct tide_verdict verdict;    /* decision, by, cause, rule states (feature/policy.h) */
  struct tide_value score;        /* the model's, NUM in [0, 1]; NULL: no model, or refused (score_detail says why) */
  const struct tide_model *model; /* that was asked (of the models in force, the one that the card is routed to, or the fallback model where that decided); NULL: none
                                   * is in force, or no features were computed */
  const struct tide_score *score_detail; /* reasons, or what refused; NULL like model */
  const char *features;             /* the feature file that decided, as answers name it; NULL: not known */
  const struct tide_value *slot;    /* spec->slot_count */
  const struct tide_value *derived; /* spec->derived_count */
  const struct tide_standing *standing; /* spec->entity_count, with features: how fresh each entity's are (feature/freshness.h) */
  const struct tide_states *states; /* [entity_count], with features, where somebody has counted them already (tide_answer_states); else NULL */
  const struct tide_env *env;       /* what the rules read, for reason texts; NULL: the record's fields are all there is */
  const struct tide_shadow_score *shadow; /* [shadow_count], with features: what the shadow models said */
  uint32_t shadow_count;
  const struct tide_verdict *shadow_verdict;        /* of the shadow policy, with features; NULL: there is none */
  const struct tide_policy_version *shadow_policy;
  /* A duplicate carries the place of the first answer. */
  struct tide_position first_position;
  uint32_t first_index;
};
typedef void (*tide_emit_fn)(void *ctx, const struct tide_answer *answer);

/* Formats "7-48213.5" and returns out. */
#define TIDE_POSITION_TEXT 56 /* any three numbers */
const char *tide_position_text(struct tide_position position, uint32_t index, char out[TIDE_POSITION_TEXT]);

/* One JSON object as the HTTP answer and the replay output want it, without newline. */
/* With "features" {name: number|null}, "states" of those that are not fresh, and what was judged beside it: "shadow" [{model, score}], "shadow_policy". */
#define TIDE_ANSWER_FEATURES 1
#define TIDE_ANSWER_NO_REASONS 2 /* without "reasons" */
/* With "freshness": {entity: {"state", "age_ms"}} of those that features read; empty where no features are known. Of a stale entity also "source" (which
 * partition is furthest behind) and "as_of"; of one whose level is eventual, "consistency". */
#define TIDE_ANSWER_FRESHNESS 4
#define TIDE_ANSWER_RECEIPT 8    /* no decision: what became of the message, from "counted" on, and its id */
#define TIDE_ANSWER_VALUES 16    /* neither id nor decision: position, time, features, states, and freshness if asked for */
void tide_answer_json(const struct tide_answer *answer, unsigned flags, struct tide_buf *out);
/* The states of the values of each entity: ret[spec->entity_count]. Only with features. */
void tide_answer_states(const struct tide_answer *answer, struct tide_states *ret);

struct tide_fold;
/* An empty fold; the first record of the first entry after the fence must be a CONFIG. */
struct tide_fold *tide_fold_new(void);
void tide_fold_free(struct tide_fold *fold);

/* Folds one entry. Errors leave the fold unusable except for free: CORRUPT, VERSION, CONFIG (a feature file that does not parse), MISMATCH (a DIGEST
 * record that differs from this fold's: another arithmetic or a broken log). A rollout that cannot take effect is no error: it is void (core/versions.h). */
enum tide_err tide_fold_entry(struct tide_fold *fold, struct tide_position position, struct tide_span entry, tide_emit_fn emit, void *ctx,
                              struct tide_error *error) TIDE_WARN_UNUSED;

struct tide_position tide_fold_position(const struct tide_fold *fold);   /* of the last folded entry; {0,0} before any */
const struct tide_spec *tide_fold_spec(const struct tide_fold *fold);    /* NULL before the first CONFIG */
const struct tide_settings *tide_fold_settings(const struct tide_fold *fold);
/* Did history stand before the first entry (backfill), and nothing in the entries that it was given says so? */
bool tide_fold_is_unannounced(const struct tide_fold *fold);
/* What is in force, and what there is (core/versions.h). Only with a feature file. */
const struct tide_versions *tide_fold_versions(const struct tide_fold *fold);
uint64_t tide_fold_cursor(const struct tide_fold *fold, uint16_t source, uint16_t partition); /* 0 when none */
/* The cell's sources as they stand (core/ledger.h), and the answers to messages that have not left (core/outbox.h). */
struct tide_ledger;
struct tide_outbox;
const struct tide_ledger *tide_fold_ledger(const struct tide_fold *fold);
const struct tide_outbox *tide_fold_outbox(const struct tide_fold *fold);
/* The epoch is open: the sources have been read as far as they went when it began, or there are none. */
bool tide_fold_is_open(const struct tide_fold *fold);
/* How the features of each entity would stand for a request of time_ms whose card was never seen: ret[spec->entity_count]. For metrics; changes nothing. */
void tide_fold_standings(struct tide_fold *fold, int64_t time_ms, struct tide_standing *ret);
int64_t tide_fold_commit_ms(const struct tide_fold *fold);               /* commit time of the last entry, made non-decreasing; INT64_MIN before any */
int64_t tide_fold_watermark(const struct tide_fold *fold);               /* ms; INT64_MIN before any event */
/* While on, events are counted and remembered as always but none is judged and no answer is given: history. Their duplicates get no answer either. */
void tide_fold_quiet(struct tide_fold *fold, bool on);
/* While it is quiet, the records of an entry are folded many at once on the team's threads (fold_slice.h): the state is the same, bit by bit. Once a fold; the team is
 * borrowed until the fold is freed. */
struct tide_team;
#define TIDE_SLICE 2048 /* at most so many at once: entries of history hold as many where they can */
void tide_fold_team(struct tide_fold *fold, struct tide_team *team);
uint64_t tide_fold_nonce(const struct tide_fold *fold);                  /* of the last fence */
struct tide_u128 tide_fold_session(const struct tide_fold *fold);        /* that the last fence names; zero before any */
struct tide_entry_mark tide_fold_mark(const struct tide_fold *fold);     /* of the last folded entry; zero before any */
struct tide_digest tide_fold_digest(struct tide_fold *fold);             /* costs a walk over the state */
struct tide_check_point tide_fold_point(const struct tide_fold *fold);   /* what was decided up to the last folded entry; costs nothing */
const struct tide_metrics *tide_fold_metrics(const struct tide_fold *fold);
/* Entities of a kind in memory and the bytes they take, as requested from the allocator; index into spec->entity. Costs a walk over them. */
struct tide_usage { uint64_t entities, bytes; };
struct tide_usage tide_fold_usage(const struct tide_fold *fold, uint32_t entity);
/* How many of that kind there are; costs nothing. */
uint64_t tide_fold_entities(const struct tide_fold *fold, uint32_t entity);
/* Times each rule was true since the policy in force is in force; by index into the rules of tide_versions_policy(). Shadow rules included. */
const uint64_t *tide_fold_rule_hits(const struct tide_fold *fold);

/* What became of refusals for staleness since this fold began (core/stale_watch.h); a feature file must be known. */
struct tide_stale_stats;
const struct tide_stale_stats *tide_fold_stale_stats(const struct tide_fold *fold);

/* Questions to the state as it stands, which change nothing of it: no count, no digest, no metric. */
enum tide_ask {
  /* The features of the keys in the record at its time, with no current event; by TIDE_BY_NONE. Of a record with TIDE_REC_STAMPED the time is that of whoever asks, and it
   * is asked as of then or as of the fold's last stamp or commit time, whichever is later. */
  TIDE_ASK_FEATURES,
  TIDE_ASK_LOOKUP,   /* the stored decision of the record's identity, as a duplicate gets it */
  /* The same, with the features, the score and the trace that the state gives for it now: as if it were judged again a millisecond before its time, so that it does
   * not see itself (what bears the same millisecond is left out with it). What came or changed since is in them; the verdict is the stored one. */
  TIDE_ASK_EXPLAIN,
  TIDE_ASK_REFUSE    /* the fallback decision for `cause`, from the message and the lists alone */
};
/* `record` is one event as tide_record_encode made it under the file with that number
 * (tide_fold_generation). Emits one answer, whose position is that of the last folded entry, or none: LOOKUP of
 * what is not remembered (or asked for no decision), REFUSE of an event that asks for no decision, anything before a feature file is known.
 * Errors: CORRUPT, VERSION (not an event of this feature file). */
enum tide_err tide_fold_ask(struct tide_fold *fold, enum tide_ask ask, uint32_t generation, struct tide_span record, enum tide_cause cause, tide_emit_fn emit, void *ctx,
                            struct tide_error *error) TIDE_WARN_UNUSED;

/* Would a decision on this event find a group with `stale: recompute` beyond its budget, were it asked for now? now_ms: by the clock of whoever asks, for an event that is
 * to be stamped. *ret is false for what asks for no decision. `generation`, errors: as of tide_fold_ask. */
enum tide_err tide_fold_recomputes(struct tide_fold *fold, uint32_t generation, struct tide_span record, int64_t now_ms, bool *ret, struct tide_error *error) TIDE_WARN_UNUSED;

/* ---- another feature file in a running journal (README.md, "A switch of the feature file") ----
 *
 * The state under another file is a second fold of the same log, the *follower*: made when the next file is known, it folds the log from its first entry
 * beside the live fold (on another thread if need be: the two share nothing) and takes its place where the journal says so. */

#define TIDE_GENERATIONS_MAX 32 /* feature files of one journal, the present one not counted */
#define TIDE_ANSWERING_MAX 3    /* of them, that may still be asked for what they decided */

/* How many feature files the journal had before the present one: what the header of an entry says whose records are encoded under the present one. */
uint32_t tide_fold_generation(const struct tide_fold *fold);
/* A record of an entry whose header names `generation`, as one under the present file; when the fold has folded that entry. *ret_skip: it is about something that this
 * file does not have. */
enum tide_err tide_fold_decode(struct tide_fold *fold, uint32_t generation, const struct tide_raw_record *raw, struct tide_record *ret, bool *ret_skip,
                               struct tide_error *error) TIDE_WARN_UNUSED;
/* A ROLLOUT with another feature file stands in the entry folded last, and takes effect behind that entry: nothing can be folded before tide_fold_switch. */
bool tide_fold_waits(const struct tide_fold *fold);
/* The text of the file that it waits for; empty where it does not wait. Borrowed until the switch. */
struct tide_span tide_fold_awaited(const struct tide_fold *fold);
/* The number of the feature file with this hash (tide_spec.hash), the last of them; zero: of the present one. False: the journal has had none such. */
bool tide_fold_generation_of(const struct tide_fold *fold, struct tide_u128 hash, uint32_t *ret);
/* Could `features` follow the present file now? CONFIG with the reason: it does not parse, cannot follow (feature/recast.h), exceeds a bound under this journal's limits, or the
 * journal has had TIDE_GENERATIONS_MAX files, or TIDE_ANSWERING_MAX within duplicates_for, or began with a back-fill that says where sources stand. */
enum tide_err tide_fold_can_follow(const struct tide_fold *fold, struct tide_span features, struct tide_error *error) TIDE_WARN_UNUSED;
/* A new follower of `fold` under `features`, to be given every entry of the log from the first on. It judges nothing and answers nothing. CONFIG as above. */
enum tide_err tide_fold_follower(const struct tide_fold *fold, struct tide_span features, struct tide_fold **ret, struct tide_error *error)
    TIDE_WARN_UNUSED;
/* `fold` becomes what its follower is, with all that does not hang on the feature file taken over: the digest, answers that have not left, cursors, the
 * library of versions; then the rollout that brought the file takes effect. The follower is consumed on success. MISMATCH: it is not the follower that is awaited, or
 * stands elsewhere. Pointers to the spec that was in force stay valid. */
enum tide_err tide_fold_switch(struct tide_fold *fold, struct tide_fold *follower, struct tide_error *error) TIDE_WARN_UNUSED;

/* Snapshot: the whole state at the last folded position, in 64 shard chunks by entity key and one of globals (core/snapshot.h writes files).
 * chunk 0..63: shards, 64: globals. */
#define TIDE_SHARDS 64
#define TIDE_CHUNKS (TIDE_SHARDS + 1)
void tide_fold_save(struct tide_fold *fold, unsigned chunk, struct tide_buf *out);
/* Into a new fold: globals (chunk 64) first, then the shards in any order. Errors: CORRUPT, VERSION, CONFIG. */
enum tide_err tide_fold_load(struct tide_fold *fold, unsigned chunk, struct tide_span bytes, struct tide_error *error) TIDE_WARN_UNUSED;


/* For explain: called while features of an event are judged, once per event of the past that an entity of it still holds, oldest first. Strings and
 * arrays are borrowed. `slots` names the feature slots whose window and condition hold that event. Old events of
 * entities with tiles are no longer known one by one: `summed` of them stand in a tile that ends at time_ms. */
struct tide_trace_event {
  const char *entity;
  int64_t time_ms;
  bool has_amount, has_result;
  uint8_t result;  /* enum tide_result, as it is now; of the first entity's events */
  int64_t amount_minor;
  uint64_t summed; /* 0: one event */
  const uint32_t *slot;
  uint32_t slot_count;
};
typedef void (*tide_trace_fn)(void *ctx, const struct tide_trace_event *event);
/* Set before folding the entry of interest; NULL stops it. Costs time: every judged event is traced. */
void tide_fold_trace(struct tide_fold *fold, tide_trace_fn fn, void *ctx);

/* Somebody who watches: told of every decision when it is made, whoever wrote the event, and of every label when it comes. No part of the state: it changes no answer,
 * and a snapshot does not have it. */
struct tide_watched {
  bool known;      /* the event has an identity and a primary key: only then can a label be about it */
  uint64_t key;    /* a hash of both */
  uint64_t alt;    /* of a label: the same under the key before a rotation; 0: none travels with it */
  uint64_t print;  /* tells events with one identity apart: of the amount as sent; 1: none */
};
struct tide_fold_watch {
  /* The watermark goes with it. */
  void (*decided)(void *ctx, const struct tide_answer *answer, const struct tide_watched *watched, int64_t watermark_ms);
  /* enum tide_label; again: told before, when its event had not come yet. */
  void (*labelled)(void *ctx, const struct tide_watched *watched, uint8_t label, bool again);
  void *ctx;
};
/* Copies it; NULL: nobody watches. */
void tide_fold_watch(struct tide_fold *fold, const struct tide_fold_watch *watch);

#endif
