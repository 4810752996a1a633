/* The journal in a Redis stream (journal_redis.c says how and why).
 *
 *   redis://[USER[:PASSWORD]@]HOST[:PORT]                   one node, taken for the primary
 *   redis+sentinel://[USER[:PASSWORD]@]HOST[:PORT],.../NAME  the primary that the sentinels name NAME
 *   rediss://, rediss+sentinel://                           the same with TLS, the sentinels too (journal_redis_tls.h)
 *   unix:/PATH or redis+unix:/PATH                          the same on a socket of this machine */
#ifndef TIDE_JOURNAL_REDIS_H
#define TIDE_JOURNAL_REDIS_H

#include "adapter/journal_redis_link.h"
#include "adapter/journal_redis_tls.h"
#include "port/journal.h"

#define TIDE_REDIS_ADDRESSES_MAX 8

struct tide_redis_target {
  bool sentinel, tls;
  struct tide_redis_address address[TIDE_REDIS_ADDRESSES_MAX]; /* of the node, or of the sentinels */
  uint32_t address_count;
  char name[128];               /* the sentinels' name of the primary */
  char user[128], password[512]; /* "" none */
};
/* Takes a URL apart. Errors: CONFIG, with what is wrong and never with the password; rediss:// in a build without TLS. */
enum tide_err tide_redis_target_parse(const char *url, struct tide_redis_target *ret, struct tide_error *error) TIDE_WARN_UNUSED;

struct tide_redis_options {
  struct tide_redis_target target;
  struct tide_redis_tls_options tls; /* where target.tls; the caller's until open returned */
  const char *cell;          /* the stream is tidemark:{CELL}:journal */
  const char *part;          /* NULL: the journal; else the stream is tidemark:{CELL}:journal:PART, for restore */
  uint32_t engine_id;
  uint32_t replicas, quorum; /* N and q: at most N replicas may follow the primary, q of them have a commit before it is acknowledged; 0 and 0: development */
  struct tide_redis_address node[TIDE_REDIS_ADDRESSES_MAX]; /* the only addresses at which replicas may be */
  uint32_t node_count;       /* 0: anywhere */
  int64_t wait_ms;           /* how long one WAIT waits; after three that came back short the session is over */
  int64_t timeout_ms;        /* of every exchange with a node; above wait_ms */
  int64_t clock_skew_max_ms; /* between this machine and the node */
  uint32_t memory_percent;   /* of the node's maxmemory; above it tide_journal_redis_pressed() says so */
  const struct tide_redis_link_ops *link; /* NULL: hiredis, whose ctx is made here */
  void *link_ctx;
};
/* Checks the options; connects only in begin(). CONFIG: 2(q+1) <= N+1, or what else cannot work. */
enum tide_err tide_journal_redis_open(const struct tide_redis_options *options, struct tide_journal **ret, struct tide_error *error) TIDE_WARN_UNUSED;

/* Creates the empty stream of a new cell. Errors: EXISTS when there is one (it is left as it is), CONFIG, AGAIN, IO as begin(). */
enum tide_err tide_journal_redis_init(const struct tide_redis_options *options, struct tide_error *error) TIDE_WARN_UNUSED;

/* For restore, in a session. Appends entries at positions that they have already, in one write; durable after sync. STALE: the stream has something at or behind one
 * of them. FULL; other errors as append's. */
struct tide_redis_entry { struct tide_position at; struct tide_span bytes; };
enum tide_err tide_journal_redis_put(struct tide_journal *journal, const struct tide_redis_entry *entry, size_t count, struct tide_error *error)
    TIDE_WARN_UNUSED;
/* One command whose reply is a number, on the connection that writes. A sync behind one that writes waits for the quorum to have it. */
enum tide_err tide_journal_redis_command(struct tide_journal *journal, int argc, const char *const *argv, long long *ret, struct tide_error *error)
    TIDE_WARN_UNUSED;

/* The node's memory was above the share when last looked at. */
bool tide_journal_redis_pressed(const struct tide_journal *journal);
/* The clock that the last successful sync or begin compared with the node's, by tide_clock_offset_ms. It was off by at most clock_skew_max_ms and what the comparison
 * took, and that is at most 100 ms where it could make a difference. */
int64_t tide_journal_redis_clock(const struct tide_journal *journal);
/* Of its replicas, as of the last sync or the beginning of the session. */
void tide_journal_redis_health(const struct tide_journal *journal, struct tide_journal_health *ret);

/* What begin() found, for people: one line each, into out. */
void tide_journal_redis_describe(const struct tide_journal *journal, struct tide_buf *out);

#endif
