/* What serve begins with: the journal of its configuration, a session to it, and the fold of the newest snapshot that fits it. */
#ifndef TIDE_SERVE_JOURNAL_H
#define TIDE_SERVE_JOURNAL_H

#include "cli/key_file.h"
#include "cli/snapshot.h"
#include "adapter/mirror.h"
#include "config/config.h"

struct tide_serve_journal {
  struct tide_journal *journal;
  struct tide_fold *fold;      /* empty, or of a snapshot */
  struct tide_mirror *mirror;  /* of a shared journal; started by the caller; NULL: the journal is on disk itself */
  struct tide_position verified; /* of the own snapshot that was loaded; {0,0}: none was */
  char *log;                   /* the directory in which the whole log can be read again; NULL: none, for a journal in memory */
  char *snapshots;             /* where snapshots go; NULL: nowhere, for a journal in memory */
  const char *durability;      /* of what is acknowledged, as answers say it */
  bool shared;                 /* other engines write to it */
  bool lossy;                  /* a failover may take back what was acknowledged (q < N); everything that counts is in the sources, and comes back from there */
  bool unproven;               /* no snapshot of this engine fits: only its mirror can tell that it is the same cell's journal */
  uint64_t epoch_seen;         /* the highest epoch of what this engine's disk remembers, standing or lost */
  bool (*pressed)(const struct tide_journal *journal); /* NULL: it cannot tell */
  void (*health)(const struct tide_journal *journal, struct tide_journal_health *ret); /* NULL: it has no replicas */
  int64_t (*clock)(const struct tide_journal *journal); /* NULL: its store has none */
};
/* Asked between two attempts to reach the store, with the time to wait; false: do not go on. */
typedef bool (*tide_serve_wait_fn)(void *ctx, int64_t ms);

/* Opens it, waits for a session, loads the snapshot. Errors: CONFIG (also: written under a key that was not given), LOCKED, HISTORY (what an engine with these
 * snapshots had answered from is not in the journal; `accept_loss` goes on all the same; where the journal is lossy only if
 * nothing at all of it is), AGAIN (wait said no), IO. On an error *ret is to be freed too. */
enum tide_err tide_serve_journal_open(const struct tide_config *config, const struct tide_spec *spec, const struct tide_keys *keys, bool accept_loss,
                                      tide_serve_wait_fn wait, void *ctx, struct tide_serve_journal *ret, struct tide_error *error) TIDE_WARN_UNUSED;
/* What the rows say of the Redis journal, the password read from its file: wipe ret->target after use. CONFIG. */
struct tide_redis_options;
enum tide_err tide_serve_redis(const struct tide_config *config, struct tide_redis_options *ret, struct tide_error *error) TIDE_WARN_UNUSED;
/* Closes the journal and frees what is left; the fold only if it is still there. */
void tide_serve_journal_close(struct tide_serve_journal *serve);

/* An engine ended with HISTORY at this fold: written down beside the snapshots, so that no later start goes on as if nothing had happened. */
void tide_serve_history_lost(const struct tide_serve_journal *serve, const struct tide_fold *fold);

#endif
