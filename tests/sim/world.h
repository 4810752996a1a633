/* The simulated world: several cores over one log, one seed, and everything that can go wrong between two steps.
 *
 * Nothing here runs by itself. Each request of a core waits in the world until the world carries it out, each result until the world
 * delivers it, and the world decides by its random numbers alone; so a seed is a run, and a failing one is reproduced by its number. */
#ifndef TIDE_SIM_WORLD_H
#define TIDE_SIM_WORLD_H

#include "core/core.h"
#include "port/journal.h"
#include "tests/oracle/rng.h"

#define SIM_NODES 4
#define SIM_TXNS 400
#define SIM_ATTEMPTS 4000

/* What happened, over all runs: a rule that never fired in a clean campaign was not tested. */
#define SIM_COUNTS(X)                                                                                              \
  X(steps) X(offers) X(done) X(refused) X(maybe) X(answered) X(duplicates) X(conflicts) X(outcomes) X(afters)      \
  X(crashes) X(sessions) X(verified) X(store_crashes) X(lost_entries) X(drops) X(zombies) X(restarts) X(from_snapshot) X(full)             \
  X(stale) X(foreign) X(epochs) X(entries) X(retried) X(expired) X(overloads) X(settled)
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
  struct tide_position position;
  uint32_t index;
  char *answer;
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

struct sim_node {
  struct tide_core *core; /* NULL: crashed */
  unsigned number;
  int64_t skew_ms;
  bool needs_session;
  bool knew_spec; /* before this step: a refusal needs it for its decision */
  struct sim_request request[SIM_CHANNELS];
  struct sim_mail *mail[SIM_CHANNELS]; /* delivered in order within a channel, in any order between them */
  size_t mail_count[SIM_CHANNELS], mail_cap[SIM_CHANNELS], mail_first[SIM_CHANNELS];
  struct tide_position digested; /* the last position whose digest was looked at */
};

struct sim_world {
  struct or_rng rng;
  uint64_t seed;
  unsigned nodes;
  bool faults;
  int64_t mono_ns, wall_ms;
  struct tide_spec *spec;
  struct tide_record *record; /* scratch */
  struct tide_journal *journal;
  struct tide_position durable; /* of the log, as its last sync left it */
  bool full;
  struct sim_node node[SIM_NODES];
  struct sim_request zombie[8]; /* sent on a connection that is gone; may still arrive */
  struct sim_txn txn[SIM_TXNS];
  unsigned txns;
  struct sim_attempt attempt[SIM_ATTEMPTS];
  unsigned attempts;
  struct { struct tide_position position; struct tide_digest digest; } *seen;
  size_t seen_count, seen_cap;
  struct tide_offer *buried; /* offers that were ended, kept: nobody may write to them any more */
  struct { struct tide_buf chunk[TIDE_CHUNKS]; struct tide_position position; bool there; } snapshot;
  struct sim_counts *counts;
  bool failed;
  char why[512];
};

/* Runs one seed for `steps` steps with faults and then without them until everything has settled. False, and world->why, at the first
 * violation. Free with sim_free in either case. */
struct sim_world *sim_new(uint64_t seed, struct sim_counts *counts);
bool sim_run(struct sim_world *world, unsigned steps);
void sim_free(struct sim_world *world);

/* Inside: the pieces. */
void sim_fail(struct sim_world *world, const char *fmt, ...) TIDE_PRINTF(2, 3);
void sim_step(struct sim_world *world, struct sim_node *node, const struct tide_core_event *event);
void sim_offer(struct sim_world *world, struct sim_node *node);            /* client.c: something random */
void sim_released(struct sim_world *world, struct sim_node *node, struct tide_offer *offer); /* client.c */
void sim_node_gone(struct sim_world *world, struct sim_node *node);        /* client.c: its offers will not come back */
void sim_dig_up(struct sim_world *world);                                  /* client.c: looks at the buried offers and frees them */
void sim_verdict(struct sim_world *world);                                 /* verdict.c: the log against what was said */
void sim_digest(struct sim_world *world, struct tide_position position, struct tide_digest digest, const char *who); /* verdict.c */

#endif
