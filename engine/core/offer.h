/* An offer: one message on its way through the core, from the thread that decoded it and back.
 *
 * Whoever makes it (an HTTP thread, the ingester, a test) fills the upper part, hands it over and does not touch it again until it comes
 * back in a RELEASE action with the lower part filled. The records are encoded where they were decoded: the core copies bytes, and the same
 * bytes go into the journal, so that what is judged is what is kept. */
#ifndef TIDE_OFFER_H
#define TIDE_OFFER_H

#include "base/clock.h"
#include "core/fold.h"

enum tide_offer_kind {
  TIDE_OFFER_COMMIT, /* its records are journaled; an event that asks for a decision gets it when the entry is durable and folded */
  TIDE_OFFER_JUDGE,  /* an event judged as the state stands, not journaled and not counted: features of a key */
  TIDE_OFFER_LOOKUP, /* the stored decision of an event's identity, as a retry of it would get it; not journaled */
  TIDE_OFFER_EXPLAIN, /* the same with the events and values behind it, as the state shows them now (core/explain.h); the answer is large */
  TIDE_OFFER_MESSAGE, /* of a source: journaled with its cursor part; its answer goes to the outbox. Without records only the cursor moves */
  TIDE_OFFER_CONTROL  /* its records are control records (START, WAIVE), journaled as they are; also while the epoch is opening */
};

/* Low priority is served only when nothing of high priority waits, and has a quarter of the queue. */
enum tide_priority { TIDE_PRIORITY_HIGH, TIDE_PRIORITY_LOW, TIDE_PRIORITY_COUNT };

/* How an offer ended. Each but the first two carries a fallback decision in `answer` if its record asks for one. */
#define TIDE_OFFER_ENDS(X)                                                                                    \
  X(done, "journaled, durable, folded; an event that asks for a decision has its answer")                     \
  X(answered, "judged or looked up; nothing was journaled; no answer: the identity is not known")             \
  X(refused, "nothing was journaled; the cause says why")                                                     \
  X(maybe, "appended, but whether the log keeps it is not known: it counts if it does; a retry will tell")
enum tide_offer_end {
#define X(name, text) TIDE_END_##name,
  TIDE_OFFER_ENDS(X)
#undef X
};
const char *tide_offer_end_name(enum tide_offer_end end);

#define TIDE_RULE_CODE 65 /* with the zero byte */

/* The answer in numbers, for whoever counts decisions; what `answer` says in words. */
#define TIDE_WORD 65 /* of a decision; longer ones are cut */
struct tide_told {
  bool given;             /* an answer is there */
  bool counted, duplicate;
  uint8_t status;         /* enum tide_status */
  uint8_t by, cause;      /* enum tide_by, enum tide_cause */
  uint16_t rule, decision;
  uint32_t score_e6;         /* millionths; TIDE_NO_SCORE: none was given */
  char code[TIDE_RULE_CODE]; /* of the rule or fallback rule; "" none */
  /* Of a MESSAGE none of the following is told: its words are in the outbox. */
  char model[TIDE_MODEL_ID]; /* the model that scored it, "" none */
  char policy[TIDE_POLICY_LABEL]; /* that decided; "": the feature file's own, as far as is known */
  char features[TIDE_VERSION_TEXT]; /* the feature file that decided; "": not known */
  char word[TIDE_WORD]; /* the decision; "" none */
};
#define TIDE_NO_SCORE UINT32_MAX

#define TIDE_OFFER_RECORDS 2 /* an event and the outcome of its row */

/* What the core looks at in every message stands together at the front, and what it never touches of one at the end: thousands are under way, and each look at one is a wait for
 * memory. */
struct tide_offer {
  struct tide_offer *next;
  /* the maker's */
  void *ctx;
  uint8_t kind;     /* enum tide_offer_kind */
  uint8_t priority; /* enum tide_priority */
  struct tide_u128 features;     /* hash of the feature file under which its records are encoded (tide_spec.hash); zero: of the one in force */
  uint8_t record_count;          /* 1..TIDE_OFFER_RECORDS; JUDGE and LOOKUP: 1; MESSAGE: also 0 */
  bool barrier; /* JUDGE, LOOKUP: not answered before an entry of this engine that was begun after the offer came is durable and folded. What anyone had
                 * acknowledged before stands before that entry, so the answer counts it. Without: as this engine's state stands, which may be behind others.
                 * Where nobody else writes to the journal the state is never behind, and it is not waited for */
  unsigned answer_flags;         /* TIDE_ANSWER_* for tide_answer_json */
  struct tide_buf records;       /* encoded one behind the other, each by tide_record_encode */
  struct tide_mono deadline;     /* 0: none. Past it the fallback answers */
  struct tide_position after;    /* read your writes: wait until this is folded; {0,0}: do not wait */
  uint8_t refuse;   /* enum tide_cause: other than none, it is refused for that, with the fallback, as one of the queue would be */
  struct tide_mono offered;      /* when it was made, for the metrics */
  uint64_t turn;                 /* MESSAGE: of the INGEST action it was read under */
  struct tide_cursor_part part;  /* MESSAGE: from, next and the facts as of it */
  struct tide_span copy, copy_key; /* COMMIT with log: the message as it came, and the key of its copy; borrowed until it is released */
  bool log;                      /* COMMIT: released only when a commit that was begun after its copy had arrived in the sources' log is durable */

  /* the core's */
  uint8_t end;      /* enum tide_offer_end */
  uint8_t cause;    /* enum tide_cause: why refused or maybe */
  struct tide_buf answer;        /* one JSON object without newline; empty: no decision was asked for or none is known */
  struct tide_position position; /* of the entry; {0,0}: none */
  uint32_t index;                /* of its first record there */
  struct tide_mono begun, durable, folded; /* put into an entry, entry durable, answer there; 0: never came so far */
  bool left;        /* already answered with `maybe` while its entry is under way */
  uint64_t log_number; /* of its LOG action, kept for it when it is put into an entry; 0: none yet */
  bool log_sent;       /* the action was given out: a copy may be in the sources' log */
  uint64_t logged_at;  /* appends begun when its copy had arrived; 0: it has not */
  struct tide_mono again_until; /* would be refused as stale and waits for fresher facts, at most until then (core_again.c); 0: does not */
  struct tide_mono again_from;  /* since when */
  int64_t again_ns;             /* how long it waited for that: no queue, however long it took */
  int64_t way_ms;      /* of a score: how long it may take from its commit until it is released (core_release.c); INT64_MAX: no limit */
  int64_t commit_ms;   /* commit time of its entry */
  uint32_t way_entity; /* whose budget way_ms is made of */
  struct tide_etime time; /* event time of the answer */
  bool late;           /* it took longer: the answer is the fallback's, and the journal has another */
  struct tide_told told;
};

/* How many of its records go into the journal. */
static inline uint32_t tide_offer_journaled(const struct tide_offer *offer) {
  bool asks = offer->kind == TIDE_OFFER_JUDGE || offer->kind == TIDE_OFFER_LOOKUP || offer->kind == TIDE_OFFER_EXPLAIN;
  return asks ? 0 : offer->record_count;
}

/* Writes the answer into the offer in numbers and short names only; of a message, only what is counted of it. */
void tide_offer_note(struct tide_offer *offer, const struct tide_answer *answer);
/* Writes the answer into the offer, in words and in numbers. */
void tide_offer_tell(struct tide_offer *offer, const struct tide_answer *answer);
/* Zeroed buffers, nothing set. Free with tide_offer_free. */
struct tide_offer *tide_offer_new(void);
/* Makes a MESSAGE or CONTROL that came back as new, its buffers kept. */
void tide_offer_again(struct tide_offer *offer);
void tide_offer_free(struct tide_offer *offer);

#endif
