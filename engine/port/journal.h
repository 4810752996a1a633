/* The journal port: one totally ordered, append-only log of entries per cell.
 *
 * Backends (adapter/journal_*.c): memory, file, redis. One contract suite runs on all of them. Positions are (epoch, seq), dense
 * inside an epoch; x-0 is always a fence. An entry is opaque bytes here (core/batch.h), at most TIDE_ENTRY_MAX.
 *
 * Calls block; one thread uses a journal (run/engine.c gives it one of its own). Durable is what sync reported: it has reached the backend's
 * promised durability, and only that may be folded and acknowledged. */
#ifndef TIDE_PORT_JOURNAL_H
#define TIDE_PORT_JOURNAL_H

#include "base/buf.h"
#include "base/err.h"
#include "base/hash.h"

#define TIDE_ENTRY_MAX (1u << 20)

struct tide_position { uint64_t epoch, seq; };
static inline int tide_position_cmp(struct tide_position a, struct tide_position b) {
  if (a.epoch != b.epoch) return a.epoch < b.epoch ? -1 : 1;
  return a.seq == b.seq ? 0 : a.seq < b.seq ? -1 : 1;
}

/* One life of the server that keeps the log, as far as its promises carry: what was appended and made durable in one session stays in the log as long as the
 * session lasts. A fence names the session that it was written in. */
struct tide_session {
  struct tide_u128 id;   /* equal: the same session, for every engine of the cell; never zero */
  uint64_t epoch_min;    /* no epoch at or below it can be opened any more; 0: unknown */
};

/* How the copies of the log stand, as a backend with replicas knows it behind each sync. */
struct tide_journal_health {
  bool known;               /* there is a session, and online is what was said last */
  uint32_t replicas;        /* that there should be; 0: the store has none */
  uint32_t quorum, online;  /* that must have a commit; that could acknowledge one when last asked */
  uint64_t shorts;          /* times that fewer than the quorum acknowledged in time */
};

struct tide_journal;
struct tide_journal_ops {
  const char *name;
  /* Begins a session, or finds that the one before still holds. Everything below works in the session begun last; after an error that ends it
   * only this helps. Errors: AGAIN (not now: try later), CONFIG (this store cannot be used as it is set up: says what to do), FULL (no room yet), IO. */
  enum tide_err (*begin)(struct tide_journal *, struct tide_session *ret, struct tide_error *);
  /* Appends one entry to the epoch; its position is known at once. Errors: STALE (`epoch` is not the last one), LIMIT (too long),
   * FULL: nothing is appended. INDETERMINATE, IO: it may be, and the session is over. */
  enum tide_err (*append)(struct tide_journal *, uint64_t epoch, struct tide_span entry, struct tide_position *ret, struct tide_error *);
  /* Opens `epoch`, which must be above every epoch that exists (numbers may be skipped), with a fence entry at epoch-0:
   * compare-and-set, exactly one
   * opener wins. Errors: STALE when this epoch or a newer one exists; LIMIT, FULL, IO. Like an append it is durable after sync. */
  enum tide_err (*open_epoch)(struct tide_journal *, uint64_t epoch, struct tide_span fence, struct tide_position *ret, struct tide_error *);
  /* Makes everything appended so far durable (fdatasync, WAIT), by whichever engine; *ret_durable is the last durable position. It may stay where it
   * was: not yet, ask again. After an error the session is over. A store with a clock of its own (Redis; memory and files have none) has compared it with this machine's in
   * between; one that is too far off is an error, and of one that is not the adapter tells which it was (tide_journal_redis_clock): what the wall clock had above the
   * monotonic one (tide_clock_offset_ms) when it was compared. That clock, and no other, is known to be right. */
  enum tide_err (*sync)(struct tide_journal *, struct tide_position *ret_durable, struct tide_error *);
  /* Reads the first entry after `from` (exclusive), or at or after it (inclusive). The bytes are put into out (cleared first). What
   * was trimmed is passed over: a caller
   * that needs a gapless log compares *ret with where it stood. Errors: END when there is none, CORRUPT, IO. */
  enum tide_err (*read)(struct tide_journal *, struct tide_position from, bool inclusive, struct tide_buf *out, struct tide_position *ret, struct tide_error *);
  /* First and last position; both {0,0} when empty. Errors: IO (a store on this machine knows it and never fails). */
  enum tide_err (*range)(struct tide_journal *, struct tide_position *ret_first, struct tide_position *ret_last, struct tide_error *);
  /* Removes entries before `keep` (keep itself, and always the last durable entry, stays) once the archive holds them. `entry`: what the caller
   * believes stands at keep; MISMATCH, and nothing removed, when a store that others write to holds something else there. Empty: do not look. Backends may
   * keep more (whole segments). Safe to repeat after a crash or an error. */
  enum tide_err (*trim)(struct tide_journal *, struct tide_position keep, struct tide_span entry, struct tide_error *);
  void (*close)(struct tide_journal *);
};
/* Every backend's struct begins with this. */
struct tide_journal { const struct tide_journal_ops *ops; };

/* What may stand directly behind `a` in one log: the next of its epoch, or the fence of any later epoch. {0,0} is before everything. */
static inline bool tide_position_follows(struct tide_position a, struct tide_position b) {
  return b.epoch == a.epoch ? b.epoch > 0 && b.seq == a.seq + 1 : b.epoch > a.epoch && b.seq == 0;
}

#endif
