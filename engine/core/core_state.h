/* Inside of the core: shared by core.c (the protocol with the journal) and core_queue.c (offers), and by nobody else.
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
  struct tide_offer_list offers;
  struct tide_offer **by_record; /* [records]: whose it is; NULL: nobody's any more */
  uint32_t records, records_cap;
  struct tide_held *next;
};

enum tide_flight_kind { TIDE_FLIGHT_NONE, TIDE_FLIGHT_FENCE, TIDE_FLIGHT_ENTRY };

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
  bool session_asked;             /* for a new one */
  int64_t lost_ns;                /* when the last one was lost */
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
  int64_t next_deadline_ns;       /* no deadline of an offer of ours is earlier */
  bool asked_to_stop, said_stopped, digest_due;

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
  return core->state == TIDE_CORE_lost && core->now.mono.ns - core->lost_ns >= TIDE_CORE_GRACE_NS;
}
uint32_t tide_core_queued(const struct tide_core *core);
/* The states of what the decision read. */
void tide_core_note(struct tide_core *core, const struct tide_answer *answer);

/* core.c */
struct tide_core_action *tide_core_act(struct tide_core *core, enum tide_core_action_kind kind);

#endif
