/* The simulated world: several cores over one log, one seed, and everything that can go wrong between two steps.
 *
 * Kinds with sources have a Kafka of their own (kafka.h): nodes read it through the core's claim and cursors (ingest.c), let answers leave for its scores topic, and write copies
 * of
 * requests into it. What every entry says about it is counted again without the fold (shadow.c).
 *
 * The log is one in memory (world.c), or a Redis group (redis.c): the journal's own protocol code over a model of servers that replicate late, are cut apart,
 * frozen, killed, promoted, emptied and rolled back between any two replies.
 *
 * Nothing here runs by itself. Each request of a core waits in the world until the world carries it out, each result until the world
 * delivers it, and the world decides by its random numbers alone; so a seed is a run, and a failing one is reproduced by its number. */
#ifndef TIDE_SIM_WORLD_H
#define TIDE_SIM_WORLD_H

#include "core/core.h"
#include "port/journal.h"
#include "tests/oracle/rng.h"
#include "tests/sim/kafka.h"
#include "tests/sim/rollout.h"
#include "tests/support/redis_model.h"

#define SIM_NODES 4
#define SIM_TXNS 400
#define SIM_BUDGET_MS 4
#define SIM_ATTEMPTS 4000

/* What happened, over all runs: a rule that never fired in a clean campaign was not tested. */
#define SIM_COUNTS(X)                                                                                              \
  X(steps) X(offers) X(done) X(refused) X(maybe) X(answered) X(duplicates) X(conflicts) X(outcomes) X(afters) X(questions) X(checked) \
  X(crashes) X(sessions) X(verified) X(store_crashes) X(lost_entries) X(drops) X(zombies) X(restarts) X(from_snapshot) X(full)             \
  X(server_crashes) X(server_restarts) X(promotions) X(losses) X(freezes) X(cuts) X(conn_faults) X(wipes) X(refills) X(flaps)       \
  X(sessions_lost) X(no_session) X(history_lost) X(skewed) X(clock_steps) X(clock_asked) X(pressed) X(shorts)                                    \
  X(produced) X(deposed) X(gaps) X(appeared) X(stuck) X(pauses) X(leaps)                                              \
  X(ingests) X(ingest_stops) X(claims) X(rereads) X(starts) X(jumps) X(jumps_late) X(ends) X(targets) X(targets_late) X(openings) \
  X(parts) X(parts_overlap) X(parts_passed) X(parts_gap) X(messages) X(read_again) X(offered_late)                      \
  X(unfenced) X(emits) X(scores) X(scores_again) X(superseded) X(changed) X(lefts) X(emitted_records) X(let_go_again)                                \
  X(logs) X(logged) X(log_failed) X(unlogged) X(recounted) X(vouched)                                   \
  X(rollouts) X(rollouts_past) X(rollouts_void) X(rollouts_deaf) X(rollouts_moved) X(canaries) X(switches) X(switches_early)            \
  X(stale) X(foreign) X(epochs) X(epochs_taken) X(epochs_passed) X(entries) X(retried) X(expired) X(overloads) X(late) X(recomputed) X(recomputed_fresh) X(settled)
struct sim_counts {
#define X(name) uint64_t name;
  SIM_COUNTS(X)
#undef X
};

enum sim_status { SIM_PENDING, SIM_DONE, SIM_REFUSED, SIM_MAYBE, SIM_GONE /* its core crashed with it */ };

/* One offer of one transaction. The record's `offset` is its index here, so that it is found again in the log. */
struct sim_attempt {
  uint8_t status;
  uint16_t txn;
  uint8_t outcome; /* an outcome alone, without an answer */
  uint8_t records; /* in the log: counted at the end */
  bool late;       /* its answer was refused at release: the log has another */
  bool event, log; /* an event stands in it; it was to be copied */
  uint8_t result;  /* of the outcome in it; 0: none */
  unsigned asked;  /* how much had been acknowledged when it was offered */
  struct tide_entry_mark mark; /* of the entry it was acknowledged in */
  struct tide_position position;
  uint32_t index;
  char *answer;
  char by[TIDE_MODEL_ID + TIDE_POLICY_LABEL]; /* the model and the policy that it was said to be decided by */
};

struct sim_txn { uint16_t id, card, shop, amount; };

struct sim_mail {
  struct tide_core_event event;
  struct tide_buf bytes;
};

struct sim_request {
  bool on;
  struct tide_core_action action;
  struct tide_buf bytes;
};

enum { SIM_APPEND, SIM_SYNC, SIM_FETCH, SIM_CHANNELS };

/* What the entries folded so far say of the sources, counted without the fold. */
struct sim_shadow {
  uint64_t nonce;
  bool declared, opening, targeted;
  struct { bool started; uint64_t cursor, target; } place[KAFKA_PARTITIONS];
  uint64_t emitted;
  uint8_t accepted[KAFKA_PARTITIONS][KAFKA_MESSAGES]; /* times that it counted; SIM_JUMPED: an operator gave it up */
  uint8_t stands[SIM_ATTEMPTS];                       /* the attempt, or a copy of it, stands in the log */
};
#define SIM_JUMPED 0x80

/* An entry that a node has folded in this life; open: its requests could be acknowledged. */
struct sim_folded { struct tide_position position; struct tide_entry_mark mark; bool open; };

/* Entries up to `position` are durable, and when the server said so (redis_model.replies). */
struct sim_proof { struct tide_position position; uint64_t when; };

/* The driver's side of the sources in a node. */
struct sim_reader {
  bool on, reread; /* reread: the core is to be told to begin anew */
  uint64_t turn, emit_turn;
  struct { bool begun, starting; uint64_t at, offered; int64_t seen, drained; } place[KAFKA_PARTITIONS]; /* read up to `at`, offered up to `offered` */
  struct { uint64_t number; bool arrived; } *emit; /* of emit_turn, in their order */
  size_t emits, emit_cap, lefts;
  struct tide_offer *late; /* made, and not offered yet: perhaps not before another turn has begun */
  uint64_t last;   /* number handed out last */
  bool ends_asked, ends_there;
  uint64_t ends_turn, ends_epoch; /* ends_epoch: in the registry, then */
  struct tide_target target[KAFKA_PARTITIONS];
  uint32_t targets;
};

struct sim_node {
  struct tide_core *core; /* NULL: crashed */
  struct tide_journal *journal; /* its handle; borrowed from the world where that is in memory */
  struct redis_client client;
  unsigned bit;                 /* of this memory in sim_world.seen */
  bool ended;                   /* it has lost its history and decides nothing more */
  struct { struct tide_position position; struct tide_entry_mark mark; } disk; /* what the node's disk remembers having folded */
  bool met; /* a journal in this life that holds what the disk remembers: before, it may stand on another's snapshot, and the disk keeps what it has */
  struct sim_proof *proof; /* each time that more was proven to be durable in this life, in order */
  size_t proofs, proof_cap;
  unsigned number;
  int64_t skew_ms;
  bool needs_session;
  uint64_t reserved;            /* the attempt to open an epoch whose number is taken */
  bool knew_spec; /* before this step: a refusal needs it for its decision */
  struct sim_request request[SIM_CHANNELS];
  struct sim_mail *mail[SIM_CHANNELS]; /* delivered in order within a channel, in any order between them */
  size_t mail_count[SIM_CHANNELS], mail_cap[SIM_CHANNELS], mail_first[SIM_CHANNELS];
  struct tide_position reached, digested; /* the last position that was seen, and the last whose digest was looked at */
  unsigned life;               /* which start of which node */
  unsigned paused;             /* steps for which it is stopped, and knows nothing of it */
  bool ingests;
  struct { unsigned heard; bool deaf, offering; } news; /* the last rollout that it has heard of; it hears of none; a record of it is under way */
  struct sim_reader reader;
  struct sim_shadow *shadow;
  struct tide_position shadowed;
  struct sim_folded *folded;
  size_t folded_count, folded_cap;
  unsigned vouched;            /* of world->vouch: known to stand in what it has folded */
};

struct sim_world {
  struct or_rng rng;
  uint64_t seed;
  unsigned nodes;
  bool faults;
  int64_t mono_ns, wall_ms, began_ms; /* began_ms: what the wall said at first */
  bool stalls; /* the clock of whose entry is under way was set, and it will be a while until it hears of it */
  bool tight;      /* budgets of SIM_BUDGET_MS, beyond which requests wait to be judged again, and answers are refused at release */
  struct tide_spec *spec;
  struct tide_record *record; /* scratch */
  struct tide_journal *journal;  /* in memory; in Redis: a reader, at the end */
  struct redis_model *model;     /* NULL: the log is in memory */
  uint32_t replicas, quorum;
  bool split;
  uint32_t laggard;              /* a replica that gets little, and is promoted one day; REDIS_NOBODY: none */
  unsigned starts;
  unsigned torn;                 /* steps for which two primaries stay, and a replica goes back and forth between them */
  uint64_t registry;             /* the highest epoch that anyone has tried to open: what etcd remembers where the servers forget */
  bool ruinous;                  /* data that was acknowledged may be destroyed: then nobody may go on as if nothing had happened */
  bool ruined;                   /* and it was */
  struct tide_position durable; /* of the log, as its last sync left it */
  bool full;
  struct sim_node node[SIM_NODES];
  struct sim_request zombie[8]; /* sent on a connection that is gone; may still arrive */
  struct sim_txn txn[SIM_TXNS];
  unsigned txns;
  struct sim_attempt attempt[SIM_ATTEMPTS];
  unsigned attempts, pending; /* made; not ended */
  struct { struct tide_position position; struct tide_digest digest; unsigned nodes; /* that were in this state: bits */ } *seen;
  size_t seen_count, seen_cap;
  struct { struct tide_position position; struct tide_entry_mark mark; uint64_t when; } *acked; /* entries of which an answer was released; proven last then */
  size_t acked_count, acked_cap;
  struct { const struct tide_offer *offer; struct tide_position acked; unsigned asked; } question[64]; /* under way, and what had been acknowledged when they were asked */
  struct tide_position acked_last; /* the furthest entry of which an answer was released */
  struct { uint64_t epoch; struct tide_position behind; uint64_t when; } fence[64]; /* epochs that were opened and folded, with the entry before the fence */
  uint64_t said; /* in memory, where nothing lies between a proof and whoever hears it: the order of all that was said */
  unsigned fences;
  struct tide_offer *buried; /* offers that were ended, kept: nobody may write to them any more */
  struct { struct tide_buf chunk[TIDE_CHUNKS]; struct tide_position position; bool there; struct sim_shadow *shadow; } snapshot;
  struct sim_registry *versions; /* NULL: there are no rollouts */
  struct sim_files *files;       /* NULL: there is one feature file */
  struct kafka *kafka; /* NULL: the cell has no sources */
  struct { bool message; unsigned partition, number; } *vouch; /* what was acknowledged and must be counted from then on: messages whose answer left, attempts */
  unsigned vouches;
  size_t vouch_cap;
  struct sim_counts *counts;
  bool failed;
  char why[512];
};

/* Runs one seed for `steps` steps with faults and then without them until everything has settled. False, and world->why, at the first
 * violation. Free with sim_free in either case. */
/* SPLIT: a quorum below the number of replicas. A promotion may lose what was acknowledged, as documented: nodes that had folded it begin anew. What must never be is that
 * two servers acknowledge two entries at one position, or one of an epoch that was fenced off. */
/* KAFKA*: with sources, on the log in memory, on Redis, and on Redis with a quorum below the number of replicas; there every request is copied, and what a promotion loses comes
 * back from Kafka before the epoch is open. */
/* ROLLOUT: with a registry of models and policies, on the log in memory; KAFKA_ROLLOUT: with sources as well. FEATURES: with feature files that follow one another. */
enum sim_kind { SIM_MEMORY, SIM_REDIS, SIM_RUIN, SIM_SPLIT, SIM_ROLLOUT, SIM_FEATURES, SIM_KAFKA, SIM_KAFKA_REDIS, SIM_KAFKA_SPLIT, SIM_KAFKA_ROLLOUT };
struct sim_world *sim_new(enum sim_kind kind, uint64_t seed, struct sim_counts *counts);
bool sim_run(struct sim_world *world, unsigned steps);
void sim_free(struct sim_world *world);

/* Inside: the pieces. */
void sim_mail(struct sim_node *node, int channel, const struct tide_core_event *event);  /* world.c */
void sim_redis_new(struct sim_world *world);                                             /* redis.c: servers, and a journal for each node */
void sim_redis_carry_out(struct sim_world *world, struct sim_node *node, int channel);
bool sim_redis_begin(struct sim_world *world, struct sim_node *node);                    /* a session: false, and later again */
void sim_redis_fault(struct sim_world *world);
void sim_redis_lose(struct sim_world *world);                                            /* promotes a replica that lacks much */
void sim_redis_move(struct sim_world *world);                                            /* one step of the servers */
void sim_redis_heal(struct sim_world *world);                                            /* faults are over */
bool sim_redis_reader(struct sim_world *world);                                          /* world->journal, on what is left */
bool sim_redis_remembers(struct sim_world *world, struct sim_node *node);                /* does the journal hold what the node's disk remembers? */
uint64_t sim_proven(struct sim_world *world, const struct sim_node *node, struct tide_position position); /* redis.c: when the entry was proven to be durable */
void sim_redis_free(struct sim_world *world);
void sim_fail(struct sim_world *world, const char *fmt, ...) TIDE_PRINTF(2, 3);
void sim_step(struct sim_world *world, struct sim_node *node, const struct tide_core_event *event);
void sim_offer(struct sim_world *world, struct sim_node *node);            /* client.c: something random */
void sim_released(struct sim_world *world, struct sim_node *node, struct tide_offer *offer); /* client.c */
void sim_node_gone(struct sim_world *world, struct sim_node *node);        /* client.c: its offers will not come back */
void sim_dig_up(struct sim_world *world);                                  /* client.c: looks at the buried offers and frees them */
void sim_lost_history(struct sim_world *world, struct sim_node *node);     /* world.c: it finds that what it folded is gone */
/* verdict.c: `when` either was proven (sim_proven) */
void sim_fenced(struct sim_world *world, struct tide_position fence, struct tide_position behind, uint64_t when);
void sim_acked(struct sim_world *world, struct tide_position position, struct tide_entry_mark mark, uint64_t when);
/* shadow.c: the nonce of the fence that this entry is or stands behind; 0: of an epoch without one. `before`: of the entry before it */
uint64_t sim_fence_of(struct tide_position position, struct tide_entry_reader reader, uint64_t before);
/* shadow.c: an entry that `shadow` has next; *ret_open: its requests could be acknowledged. */
void sim_shadow_entry(struct sim_world *world, struct sim_shadow *shadow, struct tide_position position, struct tide_span entry, bool *ret_open);
void sim_shadow_step(struct sim_world *world, struct sim_node *node);                    /* shadow.c: after a step of the node's core */
const struct sim_folded *sim_folded_at(const struct sim_node *node, struct tide_position position); /* shadow.c: NULL: not in this life */
void sim_vouch(struct sim_world *world, bool message, unsigned partition, unsigned number); /* shadow.c: acknowledged: counts from now on */
void sim_must_count(struct sim_world *world, struct sim_node *node, unsigned vouches);   /* shadow.c: what was acknowledged by then stands in what the node has folded */
/* kafka.c */
void sim_kafka_new(struct sim_world *world);
void sim_kafka_free(struct sim_world *world);
void sim_kafka_produce(struct sim_world *world);
void sim_kafka_move(struct sim_world *world);
void sim_kafka_fault(struct sim_world *world);
void sim_kafka_heal(struct sim_world *world);
struct kafka_letter *sim_kafka_letter(struct sim_world *world);
int sim_kafka_find(const struct sim_world *world, uint16_t source, uint16_t number);    /* index of a partition, -1 */
/* ingest.c */
void sim_ingest_action(struct sim_world *world, struct sim_node *node, const struct tide_core_action *action);
void sim_ingest_turn(struct sim_world *world, struct sim_node *node);
void sim_ingest_released(struct sim_world *world, struct sim_node *node, const struct tide_offer *offer);
void sim_ingest_report(struct sim_world *world, struct kafka_letter *letter);           /* to whoever sent it, if it lives */
void sim_ingest_gone(struct sim_world *world, struct sim_node *node);                    /* its core crashed */
bool sim_ingest_settled(const struct sim_world *world);
void sim_kafka_verdict(struct sim_world *world, const struct sim_shadow *shadow, const struct kafka_letter *answer, size_t answers); /* kafka_verdict.c */
/* rollout.c */
struct tide_spec *sim_rollout_spec(void);
void sim_rollout_new(struct sim_world *world);
void sim_rollout_free(struct sim_world *world);
void sim_rollout_make(struct sim_world *world);                                          /* one more in the registry */
void sim_rollout_turn(struct sim_world *world, struct sim_node *node);                   /* it hears of one, or brings what it has heard of */
bool sim_rollout_settled(const struct sim_world *world, const struct sim_node *node);
void sim_rollout_record(struct sim_world *world, const struct tide_raw_record *raw);     /* the verdict: the next record about versions in the log */
void sim_rollout_answer(struct sim_world *world, const struct tide_answer *answer, uint64_t number, unsigned card); /* one, and what is in force at it */
void sim_rollout_verdict(struct sim_world *world);
/* features.c */
void sim_files_new(struct sim_world *world);
void sim_files_free(struct sim_world *world);
void sim_files_turn(struct sim_world *world, struct sim_node *node);                     /* it hears of a file, or brings what it has heard of */
void sim_files_wait(struct sim_world *world, struct sim_node *node);                     /* its fold waits: a follower */
struct tide_fold *sim_follower(struct sim_world *world, struct tide_fold *fold, bool early);
bool sim_files_settled(const struct sim_world *world, const struct sim_node *node);
/* client.c: one attempt's or message's records into an offer */
unsigned sim_pick_txn(struct sim_world *world);
void sim_records(struct sim_world *world, struct tide_offer *offer, unsigned txn, bool event, uint8_t result, uint16_t source, uint16_t partition, uint64_t offset);
/* world.c: time passes, and nobody does anything; somebody sets the clock of a node's machine, wrongly or right, and the monotonic one goes on. */
void sim_leap(struct sim_world *world);
void sim_step_clock(struct sim_world *world, struct sim_node *node);
void sim_verdict(struct sim_world *world);                                 /* verdict.c: the log against what was said */
void sim_digest(struct sim_world *world, struct tide_position position, struct tide_digest digest, unsigned nodes, const char *who); /* verdict.c */

#endif
