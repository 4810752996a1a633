/* A model of Redis servers in the test's own process: streams, asynchronous replication, failover. No socket, no clock, no thread, no chance but the seed.
 *
 * It stands behind the same table as hiredis (adapter/journal_redis_link.h), so the very protocol code of the journal runs against it, and every order of replication,
 * promotion, crash and lost reply can be tried. Nothing moves by itself: a test takes each step, or leaves it to `automatic`.
 *
 * A node's data is the list of writes that made it, its offset the length of that list. A replica has a prefix of its primary's list, as long as their histories
 * (replid) are one; the rules of partial and full resync are those of Redis 7. WAIT counts replicas that acknowledged the last accepted write *of its connection*,
 * and so is vacuous where there was none: what Redis documents, and never more than it promises. tests/contract/21_redis_model.c compares with real servers.
 *
 * Not modelled: offsets in bytes, backlog length, AOF and RDB as files, users, time-outs of replication links. */
#ifndef TEST_REDIS_MODEL_H
#define TEST_REDIS_MODEL_H

#include <hiredis/hiredis.h>

#include "base/buf.h"
#include "base/err.h"
#include "port/journal.h"

#define REDIS_NODES_MAX 5
#define REDIS_PORT 7000           /* node i is at "127.0.0.1", 7000 + i */
#define REDIS_SENTINEL_PORT 26379 /* any sentinel: says model->announced */
#define REDIS_NOBODY UINT32_MAX
#define REDIS_WIRE_ARGS 16

/* Data */

enum redis_op_kind { REDIS_OP_CREATE, REDIS_OP_ADD, REDIS_OP_SET, REDIS_OP_TRIM, REDIS_OP_REMOVE };
struct redis_op { /* immutable; shared by the nodes that have it */
  unsigned refs;
  enum redis_op_kind kind;
  struct tide_position at; /* ADD: of the entry; TRIM: the first that stays */
  char *bytes;
  size_t len;
};
struct redis_data {
  struct redis_op **op;
  size_t count, cap;
  /* What follows from the ops: the journal's stream. */
  bool exists;
  struct tide_position generated; /* last-generated-id */
  struct redis_op **entry;
  size_t first, entries, entry_cap; /* entry[first .. entries) */
  size_t added;
};

/* Nodes */

enum redis_link_state { REDIS_LINK_DOWN, REDIS_LINK_FILLING, REDIS_LINK_ONLINE };
struct redis_node {
  bool up, primary;
  bool frozen;  /* SIGSTOP: keeps everything, answers nothing */
  bool loading; /* answers INFO and little else */
  uint64_t life; /* of the process; connections of another life are broken */
  char run_id[41], replid[41], replid2[41];
  size_t second_offset; /* replid2 is good below it */
  uint64_t sync_full, sync_partial;
  struct redis_data data;
  /* Its RDB file, where redis_model_save wrote one. */
  size_t saved_ops;
  char saved_replid[41];
  /* As a replica. */
  uint32_t follows;
  enum redis_link_state link;
  struct redis_data filling; /* on its way */
  size_t acked;              /* what its primary has heard */
  /* As set up. */
  uint32_t min_replicas;
  uint64_t memory_used, memory_max;
  bool out_of_memory; /* refuses what needs memory */
  const char *policy, *version;
  int64_t skew_ms; /* of its clock */
};

struct redis_conn;
struct redis_model {
  uint64_t seed;
  uint32_t nodes;
  struct redis_node node[REDIS_NODES_MAX];
  bool cut[REDIS_NODES_MAX][REDIS_NODES_MAX]; /* replication between the two does not move */
  uint32_t announced; /* by the sentinels; REDIS_NOBODY: they know none */
  int64_t now_ms;     /* wall clock of the world */
  uint64_t replies;   /* made so far, by all servers: the order in which things were said */
  bool automatic;     /* replicas receive and acknowledge everything they can whenever somebody waits */
  /* Called when a client asks for a reply that is not there yet, instead of `automatic`: may take steps. If there is still none, the WAIT runs into its time-out. */
  void (*on_block)(void *ctx);
  void *on_block_ctx;
  struct redis_conn *conns; /* also closed ones whose commands are still under way */
  const char *journal_key;  /* the only stream that there is */
};

/* `nodes` nodes, the first of them primary with all others online behind it, no stream. Free with redis_model_free, after all connections were closed. */
struct redis_model *redis_model_new(uint32_t nodes, const char *cell, uint64_t seed);
void redis_model_free(struct redis_model *model);
/* Time goes on: a WAIT may run out. */
void redis_model_advance(struct redis_model *model, int64_t ms);

/* Replication, one step each; a step that is not possible now (down, frozen, cut off) does nothing and gives false. */
bool redis_model_attach(struct redis_model *model, uint32_t replica);                /* PSYNC: partial, or a full resync begins */
bool redis_model_fill(struct redis_model *model, uint32_t replica);                  /* the full resync arrives */
bool redis_model_replicate(struct redis_model *model, uint32_t replica, size_t max); /* up to max writes */
bool redis_model_ack(struct redis_model *model, uint32_t replica);
bool redis_model_blocked(const struct redis_model *model); /* a client waits in WAIT */
void redis_model_settle(struct redis_model *model); /* all of these for all replicas, until nothing moves */

/* Operators and failures. */
void redis_model_promote(struct redis_model *model, uint32_t node);                 /* REPLICAOF NO ONE; the sentinels announce it by `announced` */
void redis_model_follow(struct redis_model *model, uint32_t node, uint32_t primary); /* REPLICAOF primary; attach is a step of its own */
void redis_model_crash(struct redis_model *model, uint32_t node);
void redis_model_save(struct redis_model *model, uint32_t node); /* SAVE: an RDB file for redis_model_restart */
enum redis_restart { REDIS_AS_PRIMARY, REDIS_AS_REPLICA };
/* The process again with the first `ops` of its writes (0: empty, SIZE_MAX: all). from_rdb: from an RDB file, which remembers its history's name (the one of
 * redis_model_save, otherwise one of the moment of the crash); else from an AOF, which does not. */
void redis_model_restart(struct redis_model *model, uint32_t node, size_t ops, bool from_rdb, enum redis_restart as);
void redis_model_freeze(struct redis_model *model, uint32_t node);
void redis_model_thaw(struct redis_model *model, uint32_t node); /* runs what had arrived meanwhile, also of clients that have gone */
void redis_model_remove(struct redis_model *model, uint32_t node); /* somebody deletes the stream */
/* Commands of closed connections that are still under way arrive now. */
void redis_model_deliver(struct redis_model *model);

/* What is true, for checks. */
/* How many nodes hold these very bytes at this position, `except` left out. */
unsigned redis_model_holders(const struct redis_model *model, struct tide_position at, struct tide_span bytes, uint32_t except);
/* The entry at the position, NULL where the node has none. */
const struct redis_op *redis_model_entry(const struct redis_model *model, uint32_t node, struct tide_position at);

/* Clients: who holds connections, with faults of its own. `ctx` of the link is a struct redis_client. */

#define REDIS_FAULTS(X)                                                                                                    \
  X(NONE) X(ERROR) X(NIL) X(SHORT) X(WRONG_TYPE)  /* the command is carried out, the reply replaced */                     \
  X(CUT_BEFORE) /* the connection ends, nothing that was sent and not answered arrives */                                   \
  X(CUT_AFTER)  /* it ends after everything that was sent has been carried out */                                           \
  X(CUT_LATE)   /* it ends, and what was sent arrives at redis_model_deliver */                                             \
  X(STALL)      /* nothing comes until the time-out; what was sent was carried out */
enum redis_fault {
#define X(name) REDIS_FAULT_##name,
  REDIS_FAULTS(X)
#undef X
      REDIS_FAULT_COUNT
};
const char *redis_fault_name(enum redis_fault fault);

struct redis_client {
  struct redis_model *model;
  int64_t skew_ms;                  /* of its clock */
  bool cut[REDIS_NODES_MAX];        /* this node is not reached */
  uint64_t receives, connects;      /* so far */
  uint64_t proven;                  /* model->replies when the server made the WAIT reply that was enough and was taken last, however late it was taken */
  uint64_t fault_at, connect_fault_at; /* the one of them, from 1, that goes wrong; 0: none */
  enum redis_fault fault;
  bool misled;                      /* its sentinels say `announced` of its own, not the model's */
  uint32_t announced;
  uint64_t divert_at;               /* the connect, from 1, that another node takes; 0: none */
  uint32_t divert_to;
  void (*before)(void *ctx, uint64_t receive); /* called before each receive, with its number; NULL: not */
  void *before_ctx;
};

/* The link's functions in the model's own types; redis_model_ops.h makes the table of them. */
enum tide_err redis_conn_open(struct redis_client *client, uint16_t port, int64_t timeout_ms, struct redis_conn **ret, struct tide_error *error);
void redis_conn_send(struct redis_conn *conn, int argc, const char *const *argv, const size_t *len);
enum tide_err redis_conn_receive(struct redis_conn *conn, redisReply **ret, struct tide_error *error);
void redis_conn_close(struct redis_conn *conn);

/* Inside */

struct redis_words { int count; struct tide_span word[REDIS_WIRE_ARGS]; };
/* One command on a node: its reply as bytes of the protocol (RESP2), appended to out. *ret_wrote: it was a write and was accepted. Not WAIT. */
void redis_model_command(struct redis_model *model, uint32_t node, const struct redis_words *words, struct tide_buf *out, bool *ret_wrote);
void redis_model_write(struct redis_model *model, uint32_t node, enum redis_op_kind kind, struct tide_position at, struct tide_span bytes);
/* Replicas of a node that are in its list, in whatever state; `online` of them acknowledged `offset` at least. */
unsigned redis_model_replicas(const struct redis_model *model, uint32_t node, unsigned *ret_online);
unsigned redis_model_acknowledged(const struct redis_model *model, uint32_t node, size_t offset);
/* Blocked connections of the node look again. `kicked`: the node is no primary any more, they get UNBLOCKED. */
void redis_model_wake(struct redis_model *model, uint32_t node, bool kicked);

#endif
