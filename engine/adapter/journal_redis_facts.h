/* What a Redis node says of itself in INFO, and whether a journal may live there (journal_redis_facts.c). Pure. */
#ifndef TIDE_JOURNAL_REDIS_FACTS_H
#define TIDE_JOURNAL_REDIS_FACTS_H

#include "adapter/journal_redis.h"

/* Of the sections replication and stats, read again with every commit. */
struct tide_redis_facts {
  bool primary;
  char replid[48];
  uint64_t sync_full, sync_partial; /* resyncs that the node has given */
  uint32_t replicas;        /* connected, in whatever state */
  uint32_t online;          /* of them, up to date enough to acknowledge */
  bool strangers;           /* a replica at an address that is not configured */
  char stranger[300];
};
/* Of the sections server, memory and persistence, read when a session begins. */
struct tide_redis_node {
  char run_id[48], version[32], policy[32];
  uint32_t major, minor;
  bool loading;
  uint64_t memory_used, memory_max; /* bytes; max 0: none is set */
};
/* CORRUPT: a line that must be there is not, or is not a number. */
enum tide_err tide_redis_facts_parse(struct tide_span info, const struct tide_redis_options *options, struct tide_redis_facts *ret, struct tide_error *error)
    TIDE_WARN_UNUSED;
enum tide_err tide_redis_node_parse(struct tide_span info, struct tide_redis_node *ret, struct tide_error *error) TIDE_WARN_UNUSED;
/* Of the section memory alone. */
enum tide_err tide_redis_memory_parse(struct tide_span info, uint64_t *ret_used, uint64_t *ret_max, struct tide_error *error) TIDE_WARN_UNUSED;

/* May a session begin here? CONFIG: not as it is set up, with what to change; AGAIN: not now. */
enum tide_err tide_redis_admit(const struct tide_redis_options *options, const struct tide_redis_node *node, const struct tide_redis_facts *facts,
                               struct tide_error *error) TIDE_WARN_UNUSED;
/* Does the session still hold? IO: what is different now. */
enum tide_err tide_redis_holds(const struct tide_redis_options *options, const struct tide_redis_facts *begun, const struct tide_redis_facts *now,
                               struct tide_error *error) TIDE_WARN_UNUSED;
struct tide_u128 tide_redis_session_id(const struct tide_redis_node *node, const struct tide_redis_facts *facts);

#endif
