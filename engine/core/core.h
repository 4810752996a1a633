/* The core: one engine as a deterministic machine, sans I/O. tide_core_step(now, event) -> actions.
 *
 * It owns the fold and everything between an offered message and its released answer: batching, one commit under way at a time, catching up
 * with entries of others, folding in order what is durable, deadlines, refusals. It opens nothing, reads no clock, starts no thread and draws
 * no random number: a driver (engine/cli/serve*.c, tests/sim) does what the actions say and reports what came of it. The same
 * machine runs on the file journal, on Redis and in the simulator, in which every order of events, crash and delay is tried.
 *
 * What it promises (README.md has the argument, tests/sim the proof by search):
 *   - an answer is released only when its entry is durable and every entry before it has been folded;
 *   - entries are folded in journal order, each once, own or foreign alike, and never before they are durable: a lost tail never has to be
 *     taken back out of the state;
 *   - where the store's clock can be compared, no entry is written with a clock that was stepped since;
 *   - a store that is nearly full gets fences and heartbeats and no offers: these end refused, cause journal_full;
 *   - an offer ends exactly once; `refused` means that nothing of it is or will be in the log, nor a copy in the sources' log; everything else that is not `done` is `maybe`.
 *
 * The journal seen from here is a set of asynchronous requests. At most one APPEND (or OPEN), one SYNC and one FETCH are under way; the driver may
 * answer them in any order, later, or never (then TIDE_CORE_SESSION_OVER or TIDE_CORE_SESSION ends the wait).
 *
 * A session (port/journal.h) is one life of the server that keeps the log. In a new one nothing is taken for granted: the entry at the folded position is
 * read again and must be the one that was folded (VERIFY), and an epoch is opened unless the last fence names this very session (OPEN). An
 * engine whose folded entry is missing has given answers that the log has forgotten: it ends with TIDE_E_HISTORY and decides nothing more.
 *
 * Where a rollout changes the feature file, the fold waits for its follower (fold.h), which the driver makes beside the core and gives by FOLLOWER. Until then nothing is folded,
 * committed or answered; what waits longer than a lost session would be waited for ends refused, cause unavailable. */
#ifndef TIDE_CORE_H
#define TIDE_CORE_H

#include "core/ledger.h"
#include "core/offer.h"
#include "core/outbox.h"

/* X(name, what it does) */
#define TIDE_CORE_STATES(X)                                                                                 \
  X(following, "reads the journal up to its end")                                                           \
  X(opening, "opens an epoch of its own and waits until its fence is durable")                              \
  X(barrier, "waits until the sources have been read as far as they went when the epoch was opened")        \
  X(open, "commits")                                                                                        \
  X(draining, "stops: takes nothing more and ends what is under way")                                       \
  X(stopped, "done")                                                                                        \
  X(lost, "the session to the journal is gone: refuses everything until there is a new one")
enum tide_core_state {
#define X(name, text) TIDE_CORE_##name,
  TIDE_CORE_STATES(X)
#undef X
      TIDE_CORE_STATE_COUNT
};
const char *tide_core_state_name(enum tide_core_state state);
const char *tide_core_state_text(enum tide_core_state state);

struct tide_core_options {
  uint32_t engine_id;
  uint64_t seed;              /* random, of this start: attempt and fence nonces are made of it */
  struct tide_settings settings;
  struct tide_span features;  /* the feature file; borrowed for the core's life. What a new journal is begun with; one that has never had this one is an error. After
                               * a rollout changed it this may be an earlier one, or the one in force */
  struct tide_span model;     /* a model that shall score, borrowed like features: opening puts it in force by a rollout of its own, unless it is live already or a
                               * rollout made by
                               * other means is in force (stats.model_ignored). Empty: whatever the journal says, also none */
  uint32_t batch_records_max; /* records in one entry; 1..32767 */
  uint32_t queue_max;         /* offers that may wait; above, they are refused with cause `overload` */
  int64_t heartbeat_ms;       /* an empty entry when none was written for so long; 0: never */
  bool shared;                /* others may write to this journal: look for their entries at every tick */
  bool compares_clocks;       /* a SYNC that succeeds has compared this machine's clock with the store's (port/journal.h): nothing is appended behind a step of the
                               * wall clock before one has */
  /* Sources: what this engine says the cell's are. count 0: it has none and says nothing. */
  struct tide_sources sources;
  bool ingests;               /* it can read them: it may claim */
  int64_t claim_timeout_ms;   /* a claimant that wrote nothing for so long is passed over */
  uint64_t epoch_seen;        /* the highest epoch that this engine's disk remembers, be it of a history that is lost: an epoch up to it is not gone on with, another is opened */
  uint32_t outbox_max;        /* answers that have not left, above which no message is taken; 0: no limit */
};

struct tide_core_now {
  struct tide_wall wall; /* commit times are made of it */
  struct tide_mono mono; /* deadlines */
};

enum tide_core_event_kind {
  TIDE_CORE_OFFER,         /* offer: one, or several linked by `next`, in their order */
  TIDE_CORE_APPENDED,      /* attempt, position: the entry (or fence) of the last APPEND or OPEN stands there */
  TIDE_CORE_APPEND_FAILED, /* attempt, err, number: the highest epoch that is known elsewhere, 0: none.
                            * STALE, LIMIT, FULL: it is certainly not in the log. INDETERMINATE, IO: it may be */
  TIDE_CORE_DURABLE,       /* position: everything up to there, as of the last SYNC; pressed: the store is nearly full; clock_ms: which clock it compared with
                            * the store's (tide_clock_offset_ms), where it compares clocks */
  TIDE_CORE_SESSION_OVER,  /* err: nothing can be asked of this session any more; what was appended and is not durable may be lost */
  TIDE_CORE_ENTRY,         /* position, bytes (borrowed): answer to FETCH, in order */
  TIDE_CORE_FETCH_END,     /* the FETCH found no more */
  TIDE_CORE_SESSION,       /* session: a new connection to the journal, to a new session or the same; whatever was asked before will not be answered */
  TIDE_CORE_ENDS,          /* target, target_count (borrowed), turn: answer to ENDS: where the logs of all partitions end; number: the highest
                            * epoch that was known elsewhere then, 0: none */
  TIDE_CORE_LEFT,          /* turn, number: the answers up to it have left and arrived (EMIT of this turn) */
  TIDE_CORE_LOGGED,        /* number, err: the copy of a LOG action has arrived, or will not */
  TIDE_CORE_FOLLOWER,      /* follower (taken): the fold under the next feature file, as far as the core's own (core/fold.h). Where it is not the one that is awaited, or
                            * none is, it is freed */
  TIDE_CORE_REREAD,        /* read on from the cursors again: something of what was read is not to be used */
  TIDE_CORE_GO_ON,         /* nothing happened; fold what is durable. Given as long as tide_core_busy() */
  TIDE_CORE_TICK,          /* time passed */
  TIDE_CORE_STOP           /* drain */
};
struct tide_core_event {
  enum tide_core_event_kind kind;
  struct tide_offer *offer;
  struct tide_fold *follower;
  uint64_t attempt;
  struct tide_position position;
  struct tide_span bytes;
  struct tide_session session;
  bool pressed;
  int64_t clock_ms;
  enum tide_err err;
  uint64_t turn, number;
  const struct tide_target *target;
  uint32_t target_count;
};

/* Where a partition is to be read on. */
struct tide_core_place {
  uint16_t source, partition;
  bool started;
  uint64_t cursor, checksum;
  struct tide_cursor_part last; /* the facts that the journal has of it; its from and next mean nothing */
};

enum tide_core_action_kind {
  TIDE_DO_APPEND,  /* epoch, attempt, bytes (borrowed until APPENDED or APPEND_FAILED of this attempt, or SESSION) */
  TIDE_DO_OPEN,    /* the same as the fence of a new epoch */
  TIDE_DO_SYNC,
  TIDE_DO_FETCH,   /* every entry after position (`inclusive`: at or after it) that is there, in order, then FETCH_END */
  TIDE_DO_SESSION, /* begin a session, now and again until there is one, then SESSION. What else was asked for and is not answered is void */
  TIDE_DO_RELEASE, /* offer: it is the driver's again */
  TIDE_DO_INGEST,  /* turn, place, place_count: read the sources from these cursors on and offer their messages under this turn; whatever was read before is void. A
                    * partition that is not started (or not listed) needs a START first: a CONTROL offer. emit_turn: answers that were given out under another than this are
                    * the driver's no more; number: the last that is known to have left */
  TIDE_DO_INGEST_STOP, /* do not read any more */
  TIDE_DO_ENDS,    /* turn: ask where the logs of all partitions end, from now on, and say it by ENDS */
  TIDE_DO_EMIT,    /* turn, outgoing (borrowed until the next step): let this answer leave. It is given out once under this turn, and left to the driver until it has arrived */
  TIDE_DO_LOG,     /* number, offer (borrowed until the next step; only its ctx and records may be looked at): write a copy of its message to the sources' log */
  TIDE_DO_STOPPED  /* nothing is under way any more */
};
struct tide_core_action {
  enum tide_core_action_kind kind;
  bool inclusive; /* FETCH */
  uint64_t epoch, attempt;
  struct tide_span bytes;
  struct tide_position position;
  uint32_t records; /* APPEND: those of offers in it */
  uint64_t turn, emit_turn, number;
  const struct tide_core_place *place;
  uint32_t place_count;
  struct tide_outgoing outgoing;
  struct tide_offer *offer;
};

struct tide_core;
/* Takes the fold: an empty one, or one loaded from a snapshot. Begins in `lost`: the first step asks for a session. */
struct tide_core *tide_core_new(const struct tide_core_options *options, struct tide_fold *fold);
/* Frees the core and its fold. Offers that are still with it are freed too. */
void tide_core_free(struct tide_core *core);

/* One step. *ret_actions is an array of *ret_count, valid until the next call; to be done in order. Errors mean that this engine must stop and
 * say why (an entry that does not fold, another feature file, an entry that changed under us); nothing can be asked of the core after it. */
enum tide_err tide_core_step(struct tide_core *core, struct tide_core_now now, const struct tide_core_event *event,
                             const struct tide_core_action **ret_actions, size_t *ret_count, struct tide_error *error) TIDE_WARN_UNUSED;

/* After an error, or instead of a stop: takes one offer out, NULL when there is none left. Its end is `maybe` where the log may hold it, else `refused` with cause
 * unavailable, without an answer. */
struct tide_offer *tide_core_abandon(struct tide_core *core);

enum tide_core_state tide_core_state(const struct tide_core *core);
/* Entries are durable and not folded yet: give GO_ON after the actions are under way. So a commit is written while the one before is folded. */
bool tide_core_busy(const struct tide_core *core);
/* The monotonic time at which something is due without an event (a deadline, a heartbeat); INT64_MAX: never. */
struct tide_mono tide_core_due(const struct tide_core *core);
struct tide_fold *tide_core_fold(struct tide_core *core); /* for snapshots and metrics, between steps */
/* The bytes of the last folded entry, until the next step; empty before this core has folded one. */
struct tide_span tide_core_entry(const struct tide_core *core);
/* This engine reads the sources. */
bool tide_core_ingests(const struct tide_core *core);
/* Counters of this core, for metrics and tests. */
struct tide_core_stats {
  uint64_t sessions, verified; /* begun; that had the entry known last */
  uint64_t rolled_back;        /* entries, not acknowledged, that stand no more, or landed where one had stood */
  uint64_t entries_own, entries_foreign, records, voided, stale, fetches, syncs, refused, maybe, retried;
  uint64_t messages, claims, rereads; /* taken of sources; claims won; INGEST actions after the first of a claim */
  uint64_t switches;                  /* of the feature file, in this process */
  uint64_t emitted, unlogged;         /* EMIT actions; offers that ended `maybe` for want of their copy */
  uint64_t clock_steps;               /* times that the wall clock moved against the monotonic one, */
  int64_t clock_step_ms;              /* and by how much the last time */
  uint64_t model_ignored;             /* number of the rollout that rules in place of options.model; 0: none does */
  uint64_t late;                      /* scores that were too old when they could be released */
  uint64_t recomputed, recomputed_fresh; /* requests that waited for fresher facts before they were committed; whose features were fresh then */
  uint32_t queued, in_flight;
};
struct tide_core_stats tide_core_stats(const struct tide_core *core);
/* Feature values that decisions of this engine read, by entity (index into spec->entity) and enum tide_vstate. What was not judged (a duplicate, a
 * refusal, a question) read none. */
struct tide_core_reads {
  uint64_t count[TIDE_ENTITIES_MAX][TIDE_S_COUNT];
};
const struct tide_core_reads *tide_core_reads(const struct tide_core *core);

#endif
