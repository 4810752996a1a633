/* Inside of the core: shared by core.c (the protocol with the journal), core_entry.c (what stands in our entries), core_queue.c (offers), core_clock.c and core_ingest.c
 * (sources), and by nobody else.
 *
 * Three places hold entries and offers, and every offer is in exactly one of them: `queue` (nothing of it is in the log), `flight` (its entry is
 * being appended; whether it is in the log is not known), `held` (its entry stands in the log as far as we know, and waits to be durable and
 * folded). */
#ifndef TIDE_CORE_STATE_H
#define TIDE_CORE_STATE_H

#include "core/core.h"

struct tide_offer_list {
  struct tide_offer *first, *last;
  uint32_t count;
};

/* An entry in the log behind the folded position. */
struct tide_held {
  struct tide_position position;
  struct tide_buf bytes;
  uint64_t nonce; /* of the fence it was written under */
  bool own;
  bool claims;        /* a CLAIM of ours stands in it */
  uint64_t append_no; /* of ours: how many appends had been begun with it */
  struct tide_cursor_part *part; /* [parts], of ours */
  uint32_t parts, parts_cap;
  struct tide_offer_list offers;
  struct tide_mono durable;   /* when it became so; 0: it is not known to be */
  bool copies;                /* a request in it has a copy to be sent */
  struct tide_offer **by_record; /* [records]: whose it is; NULL: nobody's any more */
  uint32_t records, records_cap;
  struct tide_held *next;
};

enum tide_flight_kind { TIDE_FLIGHT_NONE, TIDE_FLIGHT_FENCE, TIDE_FLIGHT_ENTRY };

struct tide_core_ingest {
  uint64_t claim;      /* the number of our claim; 0: this core has won none */
  uint64_t turn;       /* of the last INGEST */
  bool on;             /* the driver reads */
  bool ends_asked, has_ends;
  uint64_t ends_turn;  /* of the last ENDS */
  uint64_t own_epoch;  /* of the last entry of ours that was folded and not void */
  uint64_t opened_epoch, opening_epoch; /* the last that we opened; that opening_ns is about */
  int64_t opening_ns;  /* since when the epoch lacks targets; 0: it does not */
  uint64_t emit_turn;  /* that answers are handed out under: the first in this epoch, or since they were to leave again */
  uint64_t emit_epoch, emit_jumps; /* epoch, and the ledger's jumps, when it began */
  uint64_t emitting;   /* the last answer handed out under it */
  uint64_t left;       /* the last that has left, and all before it */
  uint64_t writing;    /* EMITTED in the log or on its way */
  uint64_t jumps;      /* of the ledger, that were minded */
  struct tide_target *target; /* [TIDE_PARTITIONS_MAX], to be appended */
  uint32_t target_count;
};

struct tide_core {
  struct tide_core_options options;
  enum tide_core_state state;
  struct tide_fold *fold;
  struct tide_core_now now;

  /* the log as far as we know it */
  struct tide_position known;   /* the last entry that is held or folded */
  struct tide_position durable; /* everything up to there survives */
  uint64_t nonce;               /* of the last fence up to known */
  struct tide_entry_mark mark;    /* of the entry at known */
  struct tide_u128 fenced;        /* the session that the last fence names */
  struct tide_session session;    /* the one that we are in */
  uint64_t epoch_seen;            /* the highest that is known, here or elsewhere, standing or lost: what is acknowledged is of no lower one */
  bool session_asked;             /* for a new one */
  int64_t lost_ns;                /* when the last one was lost */
  bool waits;                     /* the fold, for its follower */
  int64_t waits_ns;               /* since when */
  bool at_end;                    /* the session has read to the end once */
  struct tide_held *held, *held_last;

  /* under way */
  enum tide_flight_kind flight;
  struct tide_held *flying;     /* what is being appended */
  uint64_t attempt;             /* of the last APPEND or OPEN */
  bool appended;                /* its position is known, but not yet what stands before it */
  uint64_t flight_epoch;        /* that it is to stand in */
  bool syncing, fetching, must_fetch;
  bool verify;                  /* the next FETCH begins at known, to see that it is still there */
  bool verifying;               /* this one did */
  bool pressed;                 /* the store is nearly full */
  bool retry_at_tick;           /* the journal was full when it was needed to open or to stop */

  /* offers */
  struct tide_offer_list queue[TIDE_PRIORITY_COUNT];
  struct tide_offer_list waiting; /* for their `after` */
  struct tide_offer_list again;   /* for fresher facts */
  int64_t again_due_ns, again_look_ns;  /* the first of them has waited long enough; last looked at */
  struct tide_position again_looked;    /* folded then */
  struct tide_offer_list messages; /* of sources, in their order */
  struct tide_offer_list unlogged; /* folded and durable; their copy has not arrived, or not before the last commit of ours was begun */
  uint64_t logs, appends;          /* LOG actions, appends begun so far */
  struct tide_offer **logging;     /* [logging_cap], a power of two: by number of the LOG action; NULL: ended */
  uint64_t logging_cap;
  struct tide_core_ingest ingest;
  struct tide_cursor_part part[TIDE_PARTS_MAX]; /* of the entry being built */
  struct tide_core_place *place;   /* [TIDE_PARTITIONS_MAX], of the last INGEST */
  int64_t next_deadline_ns;       /* no deadline of an offer of ours is earlier */
  bool asked_to_stop, said_stopped, digest_due;

  struct { bool told; int64_t told_ms; } clock; /* the clock that the store's was last found to agree with (tide_clock_offset_ms) */
  int64_t commit_ms;    /* of the last entry we wrote or saw; never falls */
  int64_t last_entry_ns;
  uint64_t drawn;       /* numbers drawn from the seed */
  struct tide_held *spare;
  struct tide_held *last; /* the entry folded last, NULL: none yet */

  struct tide_core_action *action;
  size_t action_count, action_cap;
  bool step_failed; /* the actions of the last step were not handed out */
  struct tide_core_stats stats;
  struct tide_core_reads reads;
  struct tide_held *folding;
};

/* core_queue.c */
void tide_offers_push(struct tide_offer_list *list, struct tide_offer *offer);
struct tide_offer *tide_offers_pop(struct tide_offer_list *list);
/* Takes an offer in: answers it at once, refuses it, or puts it where it waits. */
enum tide_err tide_core_take(struct tide_core *core, struct tide_offer *offer, struct tide_error *error);
/* Answers a question from the state as it stands; refuses it where the core is not open. */
enum tide_err tide_core_answer(struct tide_core *core, struct tide_offer *offer, struct tide_error *error);
/* Those whose `after` is folded now go on. */
enum tide_err tide_core_wake(struct tide_core *core, struct tide_error *error);
/* Ends those whose deadline has passed, wherever they are. */
enum tide_err tide_core_expire(struct tide_core *core, struct tide_error *error);
/* Ends an offer with the fallback. It must not be in any list any more. */
enum tide_err tide_core_refuse(struct tide_core *core, struct tide_offer *offer, enum tide_offer_end end, enum tide_cause cause,
                               struct tide_error *error);
enum tide_err tide_core_refuse_all(struct tide_core *core, struct tide_offer_list *list, enum tide_offer_end end, enum tide_cause cause,
                                   struct tide_error *error);
/* No session for longer than an offer should wait for one. */
#define TIDE_CORE_GRACE_NS (INT64_C(250) * 1000000)
static inline bool tide_core_is_gone(const struct tide_core *core) {
  if (core->waits && core->now.mono.ns - core->waits_ns >= TIDE_CORE_GRACE_NS) return true;
  return core->state == TIDE_CORE_lost && core->now.mono.ns - core->lost_ns >= TIDE_CORE_GRACE_NS;
}
uint32_t tide_core_queued(const struct tide_core *core);
/* The states of what the decision read. */
void tide_core_note(struct tide_core *core, const struct tide_answer *answer);

/* core_release.c */
/* How long the answer that an offer was just told may be on its way. */
void tide_core_bound(const struct tide_core *core, struct tide_offer *offer, const struct tide_answer *answer);
/* Ends an offer that is journaled, durable and folded, with its answer, or with the fallback where that has become too old. */
enum tide_err tide_core_done(struct tide_core *core, struct tide_offer *offer, struct tide_error *error);

/* core_clock.c */
/* The wall clock has gone on as it went when the store's was last compared: entries may be stamped with it. */
bool tide_core_clock_holds(const struct tide_core *core);
/* A SYNC has succeeded, and this is the clock that it compared. */
void tide_core_clock_told(struct tide_core *core, int64_t clock_ms);
/* A step begins: notes where the clock was set. */
void tide_core_clock_look(struct tide_core *core);
/* Asks for a SYNC where the clock does not hold. */
void tide_core_clock_go_on(struct tide_core *core);

/* core_again.c */
/* A request that would be refused for a group with `stale: recompute` waits (*ret_waits: it is in `again`). */
enum tide_err tide_core_again_take(struct tide_core *core, struct tide_offer *offer, bool *ret_waits, struct tide_error *error);
/* Those whose groups are fresh by now, or who have waited long enough, go on into the queue. */
enum tide_err tide_core_again_go_on(struct tide_core *core, struct tide_error *error);
int64_t tide_core_again_due(const struct tide_core *core);

/* Ends a message: it is the driver's again, nothing was said about it. */
void tide_core_drop(struct tide_core *core, struct tide_offer *offer, enum tide_offer_end end);

/* core_entry.c: an entry of our own: `fill` says what stands in it besides offers. */
enum tide_core_fill {
  TIDE_FILL_OFFERS,
  TIDE_FILL_CONFIG,
  TIDE_FILL_DIGEST,
  TIDE_FILL_CHECK,
  TIDE_FILL_SOURCES,
  TIDE_FILL_CLAIM,
  TIDE_FILL_RELEASE,
  TIDE_FILL_TARGETS,
  TIDE_FILL_ROLLOUT /* two records: a version and its rollout */
};
enum tide_err tide_core_append(struct tide_core *core, enum tide_core_fill fill, struct tide_span records, struct tide_error *error);
void tide_core_open_epoch(struct tide_core *core);
/* The position of this entry of ours is known: copies of its requests go to the sources' log. */
void tide_core_send_copies(struct tide_core *core, const struct tide_held *held);
/* Something stands in a queue that may be appended now. */
bool tide_core_has_offers(const struct tide_core *core);
/* Messages wait for room in the outbox, and the log does not know yet that there is some. */
bool tide_core_must_make_room(const struct tide_core *core);
/* Held entries are reused: an empty one; one that holds no offers any more; a list of them, with offers and all. */
struct tide_held *tide_core_held_new(struct tide_core *core);
void tide_core_held_spare(struct tide_core *core, struct tide_held *held);
void tide_core_held_free(struct tide_held *held);

/* It follows the journal and has an epoch: it commits what it may, be it only what the sources give. */
static inline bool tide_core_is_up(const struct tide_core *core) {
  return core->state == TIDE_CORE_open || core->state == TIDE_CORE_barrier;
}

/* core_ingest.c */
/* The epoch is open as far as is folded, and no fence stands in what is not. */
bool tide_core_epoch_is_open(const struct tide_core *core);
/* The driver reads no more; what it has offered and does not stand in the log goes back to it. */
void tide_core_ingest_stop(struct tide_core *core);
/* The session is over: what was read is read again. */
void tide_core_ingest_lost(struct tide_core *core);
/* The last entry of ours counts for nothing: what it said of answers that have left is to be said again. */
void tide_core_ingest_unwritten(struct tide_core *core);
/* An entry was folded: `held` is ours unless it is another's. */
void tide_core_ingest_folded(struct tide_core *core, const struct tide_held *held, bool is_void);
/* Claims, tells the driver to read or to stop, asks for the ends; appends a claim or targets if it may. */
enum tide_err tide_core_ingest_go_on(struct tide_core *core, bool may_append, struct tide_error *error);
/* Hands out answers that may leave. */
void tide_core_emit(struct tide_core *core);
void tide_core_ends(struct tide_core *core, const struct tide_core_event *event);
void tide_core_left(struct tide_core *core, const struct tide_core_event *event);
void tide_core_reread(struct tide_core *core, const struct tide_core_event *event);
/* The next time at which the above has something to do without an event. */
int64_t tide_core_ingest_due(const struct tide_core *core);
/* Releases what waited for its copy and for a commit begun after it; `append_no` of the entry of ours that was just folded. */
enum tide_err tide_core_logged_release(struct tide_core *core, uint64_t append_no, struct tide_error *error);
enum tide_err tide_core_logged(struct tide_core *core, const struct tide_core_event *event, struct tide_error *error);

/* core.c */
void tide_core_sync(struct tide_core *core);
/* Asks for what others wrote, unless that is under way or a commit is, which will tell. */
void tide_core_look(struct tide_core *core);
struct tide_core_action *tide_core_act(struct tide_core *core, enum tide_core_action_kind kind);

#endif
