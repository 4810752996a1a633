/* The mirror of a shared journal: every folded entry, at its own position, in a file journal on this engine's disk.
 *
 * A store in memory (Redis) can keep only the end of a journal. The mirror keeps all of it, in the format of the file journal, so that inspect, audit and explain
 * read it as they are; and with what is durable there this engine trims the store. It runs behind the engine on a thread of its own and never holds
 * the fold up: where its queue is full, it drops what it was given and reads it later from the journal, over a handle of its own.
 *
 * What was trimmed stands in the mirror's archive. A file of it that is older than archive_keep_ms is removed, if this engine can begin again without it: the older of its two
 * snapshots is behind the file's end, reads back whole, and is of the entry that the mirror holds there. Nothing is removed while the store was not spoken with, so
 * not by a clock that it does not agree with.
 *
 * What may be trimmed (mirror.c says why): nothing behind the older snapshot of this engine, nothing that is not durable in this mirror, and
 * nothing that was folded less than keep_ms ago, or less than keep_ms before the last entry of any engine that wrote one within keep_ms. */
#ifndef TIDE_ADAPTER_MIRROR_H
#define TIDE_ADAPTER_MIRROR_H

#include "base/clock.h"
#include "port/journal.h"

struct tide_mirror_options {
  const char *dir;             /* of the mirror; its archive is DIR/archive */
  uint64_t segment_bytes;      /* 0: 256 MiB */
  struct tide_journal *source; /* a handle of its own on the journal, taken and closed with the mirror; in a session of its own */
  const char *snapshots;       /* where this engine's snapshots are; NULL: nothing is trimmed */
  bool trim;
  int64_t keep_ms;
  int64_t archive_keep_ms;     /* files of the mirror's archive go when they are older; 0: never */
  size_t queue_bytes;          /* entries that wait for the disk; 0: 16 MiB */
  bool lossy;                  /* a failover may take back what stands here (q < N): then it is cut back to what both hold, and the rest put aside */
  struct tide_position common; /* an entry that the journal is known to hold as it was folded, from which on to compare then; {0,0}: none */
};

struct tide_mirror;
/* Opens or creates the mirror and compares its end with `journal`, which has a session. Where the store holds another entry there, or nothing: HISTORY, as for
 * snapshots. Where the mirror is lossy, what both hold stays, and the entries behind it go to DIR.lost-EPOCH-SEQ, for audit; nothing in common is HISTORY as well.
 * With accept_loss the mirror is moved aside (DIR.lost-EPOCH-SEQ, never deleted) and a new one begun. Where the store was trimmed beyond the mirror's
 * end, it is moved aside too (DIR.until-EPOCH-SEQ), since a log with a hole is none. Errors: HISTORY, LOCKED, CORRUPT, IO. The source is taken in any case. */
enum tide_err tide_mirror_open(const struct tide_mirror_options *options, struct tide_journal *journal, bool accept_loss, struct tide_mirror **ret,
                               struct tide_error *error) TIDE_WARN_UNUSED;
/* An entry was folded, by whoever wrote it. Any one thread, in order of positions; copies the bytes, never blocks. */
void tide_mirror_note(struct tide_mirror *mirror, struct tide_mono now, struct tide_position at, uint32_t engine_id, struct tide_span entry);
/* Does what there is to do: writes, catches up, syncs at least once a second, trims. False when everything noted is durable. For the thread, and for
 * tests without one. */
bool tide_mirror_turn(struct tide_mirror *mirror, struct tide_mono now);
/* The thread that takes turns. */
void tide_mirror_start(struct tide_mirror *mirror);
/* The epoch in which the mirror ended when it was opened, also where that was cut off then. */
uint64_t tide_mirror_epoch(const struct tide_mirror *mirror);
/* The last position that is durable in the mirror; any thread. */
struct tide_position tide_mirror_durable(struct tide_mirror *mirror);
/* Files of the archive that were removed since it was opened; any thread. */
uint64_t tide_mirror_pruned(struct tide_mirror *mirror);
/* Ends the thread when everything noted is durable, or after five seconds, and frees. */
void tide_mirror_close(struct tide_mirror *mirror);

#endif
