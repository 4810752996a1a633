/* The running engine: the core on its thread, the journal on another, and a door for offers from any thread.
 *
 *   any thread --offer--> inbox --> core thread --requests--> journal thread
 *                                       ^-------events-----------+
 *        release(offer) <---------------+
 *
 * The core thread is the only one that touches the state (single writer). The journal thread does what blocks: append, sync, read. Both
 * queues are bounded by the core's own limits: at most queue_max offers and one request of each kind are under way. */
#ifndef TIDE_ENGINE_H
#define TIDE_ENGINE_H

#include "base/meter.h"
#include "core/core.h"
#include "port/journal.h"
#include "run/in_force.h"

struct tide_engine_options {
  struct tide_core_options core;
  struct tide_journal *journal;  /* borrowed until tide_engine_join returned; used by the journal thread alone */
  /* Called on the journal's thread behind every sync: the journal's store is nearly full. NULL: it cannot tell. */
  bool (*pressed)(const struct tide_journal *journal);
  /* Called on the journal's thread behind every sync and every attempt to begin a session: how its replicas stand. NULL: it has none. */
  void (*health)(const struct tide_journal *journal, struct tide_journal_health *ret);
  /* Called on the journal's thread behind every sync that succeeded: which clock it compared (port/journal.h). NULL: its store has none, and core.compares_clocks is false. */
  int64_t (*clock)(const struct tide_journal *journal);
  /* Called on the journal's thread before an epoch is opened: takes its number. False: it is not to be had, and *ret_highest is the highest that is taken. NULL: nobody keeps a
   * register of them. */
  bool (*take_epoch)(void *ctx, uint64_t epoch, uint64_t *ret_highest);
  /* Called on the core thread with an offer that ended. It must be short and must not block: it hands the offer on. */
  void (*release)(void *ctx, struct tide_offer *offer);
  /* Called on the core thread between steps, at most once per tick, with the fold and the bytes of the entry at its position (NULL span: not
   * known). For snapshots and metrics. NULL: none. */
  void (*between)(void *ctx, struct tide_fold *fold, struct tide_span entry);
  /* Called on the core thread between steps while the fold waits for its follower (core/fold.h): the follower, or NULL: it is not there yet. NULL: nobody makes one, and the engine
   * stays without answers behind a change of its feature file. */
  struct tide_fold *(*follower)(void *ctx, const struct tide_fold *fold);
  /* Called on the core thread with every entry that was folded, own and foreign, in order. It must be short. NULL: none. */
  void (*folded)(void *ctx, struct tide_position at, struct tide_span entry);
  /* Called on the core thread with every action about sources: INGEST, INGEST_STOP, ENDS, EMIT, LOG (core.h). What they borrow is gone after the call. It must be short. NULL: the
   * core was told that there are none. */
  void (*sources)(void *ctx, const struct tide_core_action *action);
  void *ctx;
  const char *begins_again;      /* borrowed; not NULL: where the engine ends with TIDE_E_HISTORY the caller begins again at once, and this sentence says so (status) */
  struct tide_meter *meter;      /* the core thread's shard, borrowed until tide_engine_join returned; its axes are those of the feature file. NULL: none */
  uint32_t inbox_max;            /* offers that may wait to be looked at; above, tide_engine_offer says no. Those that do not fit into the core's queue should still
                                  * fit here, so that the core refuses them with a decision. 0: queue_max */
  int64_t tick_ms;               /* how often time is looked at when nothing happens; 1..1000 */
};

/* What anyone may know of a running engine; a copy, at most a tick old. */
struct tide_engine_status {
  enum tide_core_state state;
  struct tide_position folded;
  int64_t watermark_ms;
  struct tide_core_stats stats;
  bool ingests;              /* it reads the sources */
  struct tide_engine_barrier {
    uint32_t behind;
    uint16_t source, partition;
    uint64_t cursor, target;
    bool targets;
  } barrier;                 /* partitions that the epoch waits for, and the first of them;
                              * targets: they are known */
  bool absent;               /* there is no engine yet (tide_engine_absent); trouble says why */
  bool waits;                /* behind a change of the feature file, for the fold under the next one */
  struct tide_journal_health health; /* of the journal's replicas; zero where it has none */
  uint64_t diverged;         /* positions at which another engine has decided otherwise */
  struct tide_error trouble; /* what the journal said last when it could not do something; code OK: nothing in this session */
  struct tide_error error;   /* code not OK: the engine ended because of this */
  const char *begins_again;  /* of the options, when it has ended and somebody begins again; else NULL */
};

/* What the fold knows of the cell's sources; a copy, at most TIDE_ENGINE_SHOW_MS old. Nothing in it points elsewhere. */
#define TIDE_ENGINE_SHOW_MS 100
struct tide_engine_sources {
  struct tide_ledger ledger;
  int64_t commit_ms; /* of the last entry; INT64_MIN before any */
};

struct tide_engine;
/* Takes the fold. Starts both threads; the engine follows the journal and opens an epoch. */
struct tide_engine *tide_engine_start(const struct tide_engine_options *options, struct tide_fold *fold);
/* An engine that is not there: in state lost, with this trouble; takes no offer and knows nothing. For listeners whose engine begins again elsewhere. Only free is due. */
struct tide_engine *tide_engine_absent(const char *why);
/* Hands an offer over; any thread. False, and the offer is still the caller's, when the inbox is full or the engine has ended. */
bool tide_engine_offer(struct tide_engine *engine, struct tide_offer *offer);
/* Hands over several, linked by `next`, without asking for room: of the ingester, whose own window bounds them. After the end they come back refused. */
void tide_engine_offer_all(struct tide_engine *engine, struct tide_offer *first);
/* Tells the core what became of an action about sources: ENDS, LEFT, LOGGED, REREAD; any thread. Targets are copied. */
void tide_engine_tell(struct tide_engine *engine, const struct tide_core_event *event);
/* Any thread: true where the feature file in force is another than *have (tide_spec.hash): then its hash stands there and its text in `text`. */
bool tide_engine_features(struct tide_engine *engine, struct tide_u128 *have, struct tide_buf *text);
struct tide_engine_status tide_engine_status(struct tide_engine *engine);
/* *ret is large: not for the stack. */
void tide_engine_sources(struct tide_engine *engine, struct tide_engine_sources *ret);
/* The versions in force, at most a tick old. What a registry asks for that is not there yet goes in as offers of kind CONTROL: the versions
 * that are missing (tide_artifact_encode), then the rollout (tide_rollout_encode). *ret is large: not for the stack of a deep call. */
void tide_engine_rollout(struct tide_engine *engine, struct tide_engine_rollout *ret);
/* The policy in force, until tide_engine_free; NULL: not known yet. */
const struct tide_policy_version *tide_engine_policy(struct tide_engine *engine);
/* Waits until the journal is followed and only sources are waited for (state barrier), or the state is open; false: it ended, or time is up. */
bool tide_engine_wait_up(struct tide_engine *engine, int64_t timeout_ms);
/* Waits until the state is open, or it ended (false). */
bool tide_engine_wait_open(struct tide_engine *engine, int64_t timeout_ms);
/* Reads the journal's entry at a position, on the journal's thread, and waits for it; any thread but the core's and the journal's. Errors: NOT_FOUND (trimmed, or not folded yet),
 * AGAIN (not within timeout_ms, or there is no session), IO, CORRUPT. */
enum tide_err tide_engine_read(struct tide_engine *engine, struct tide_position at, int64_t timeout_ms, struct tide_buf *out, struct tide_error *error) TIDE_WARN_UNUSED;
/* Asks it to drain; returns at once. Every offer handed over before comes back through release. */
void tide_engine_stop(struct tide_engine *engine);
/* Waits for both threads; after a stop, or after an error of its own. Then the fold may be looked at until tide_engine_free. */
enum tide_err tide_engine_join(struct tide_engine *engine, struct tide_error *error);
struct tide_fold *tide_engine_fold(struct tide_engine *engine); /* after join only */
void tide_engine_free(struct tide_engine *engine);              /* after join only */

#endif
