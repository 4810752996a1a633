/* The ledger: what the fold knows of the cell's sources - how far each partition has been read, who reads, whether the epoch is open.
 *
 * It is a part of the fold's state and changes only by what stands in entries: cursor parts of their headers and the records of control.h. Everything that keeps a
 * message from being counted twice or skipped is decided here, so that it holds whoever writes what:
 *   - a part counts from the cursor on: what lies below it was counted; one that begins above it is void as a whole;
 *   - an epoch is open when every partition has been read up to the end that its log had after the epoch was opened: whatever any primary had
 *     acknowledged before is in those logs, or was never promised (README.md has the argument);
 *   - a claim names the engine that reads. It spares work; nothing above depends on it. */
#ifndef TIDE_LEDGER_H
#define TIDE_LEDGER_H

#include "core/control.h"

struct tide_partition {
  uint16_t source, partition;
  bool started;            /* its cursor is a place that a START gave, moved on by parts: offsets */
  uint64_t cursor;         /* the first message that is not counted */
  uint64_t target;         /* the epoch is not open before the cursor has reached it */
  uint64_t superseded;     /* decisions on messages below it had left before, in a history that is lost */
  uint64_t checksum;       /* of the message before the cursor; 0: not known */
  int64_t watermark_ms;    /* largest min(event time, commit time) of its events */
  int64_t seen_ms, drained_ms, delay_ms; /* contract 6; INT64_MIN: never; delay 0 */
  int64_t settled_drained_ms, settled_delay_ms; /* as of the last entry's end: what the watermark goes by. Between entries the same as above, so not saved */
  int64_t waived_until_ms; /* INT64_MIN: not waived */
  uint32_t origin;         /* index into ledger->source, TIDE_NO_SOURCE: never declared; worked out, not saved */
};
#define TIDE_NO_SOURCE UINT32_MAX

struct tide_ledger_source {
  struct tide_source_info info;
  bool declared;    /* by the last SOURCES; one that is not any more keeps its cursors and gates nothing */
  int64_t alive_ms; /* commit time of the last message or heartbeat record of any of its partitions, or else of its first declaration */
  uint32_t partitions; /* of it that are known; worked out, not saved */
};

/* Decisions at these positions may supersede others that left in a history that is lost: made, or let go again, until a lossy epoch was open. */
#define TIDE_AGAIN_MAX 64
struct tide_again { struct tide_position from, to; }; /* both inclusive; to: the greatest there is while the epoch is opening */

struct tide_ledger {
  struct tide_partition partition[TIDE_PARTITIONS_MAX];
  uint32_t partition_count;
  struct tide_ledger_source source[TIDE_SOURCES_MAX * 2];
  uint32_t source_count;
  bool scores, features;    /* of the last SOURCES */
  uint32_t claimant;        /* engine that reads; 0: nobody */
  uint64_t claims;          /* made so far: a claim's number */
  int64_t claim_alive_ms;   /* commit time of the claimant's last entry */
  bool lossy;                /* some targets said that a failover can take entries back */
  bool opening, has_targets; /* a fence came, and not all targets are reached */
  struct tide_again again[TIDE_AGAIN_MAX]; /* [agains], the newest last; of more than so many failovers the two oldest become one, with all between them */
  uint32_t agains;
  uint64_t answers, emitted; /* to messages, so far; left, so far: it goes back where they are to leave again */
  uint64_t jumps;            /* of operators and of `emitted`, so far in this process: whoever reads must begin anew. Not saved */
  uint32_t declared, gating; /* sources that are declared, and of these that gate; worked out, not saved */
  uint32_t hint;             /* where a partition was found last; worked out, not saved */
};

void tide_ledger_init(struct tide_ledger *ledger);
/* NULL when it is not known. */
struct tide_partition *tide_ledger_find(struct tide_ledger *ledger, uint16_t source, uint16_t partition);
/* Made if need be; NULL when there are too many. */
struct tide_partition *tide_ledger_partition(struct tide_ledger *ledger, uint16_t source, uint16_t partition);
/* NULL: never declared. */
struct tide_ledger_source *tide_ledger_source(struct tide_ledger *ledger, uint16_t number);
/* Some source is declared, or a partition has a cursor: messages come that are not an engine's own requests. */
bool tide_ledger_is_sourced(const struct tide_ledger *ledger);

/* Accepts the parts of an entry written by `engine_id` at commit_ms. On return each part's `from` is the first offset that counts (UINT64_MAX: none, the part
 * does not connect). Returns the number of parts that are void, or -1: too many partitions. */
int tide_ledger_parts(struct tide_ledger *ledger, struct tide_cursor_part *part, uint16_t count, int64_t commit_ms);
/* An entry of this engine: it lives. */
void tide_ledger_entry(struct tide_ledger *ledger, uint32_t engine_id, int64_t commit_ms);
/* After an entry's records: what its parts tell holds for the watermark too, and the epoch may be open now. */
void tide_ledger_settle(struct tide_ledger *ledger, const struct tide_cursor_part *part, uint16_t count);

void tide_ledger_fence(struct tide_ledger *ledger);
/* The first sources of a journal are read up to their ends before the epoch is open again: this may be a history that lost its declaration with what was acknowledged
 * under it. LIMIT: more sources over time than can be kept. MISMATCH: two names with one number. */
enum tide_err tide_ledger_declare(struct tide_ledger *ledger, const struct tide_sources *sources, struct tide_error *error) TIDE_WARN_UNUSED;
/* Exactly these are declared. */
bool tide_ledger_declares(const struct tide_ledger *ledger, const struct tide_sources *sources);
/* Sources that were never heard of begin to live: their silence is counted from their declaration on. */
void tide_ledger_wake(struct tide_ledger *ledger, int64_t commit_ms);
/* A message or heartbeat record of this source. */
void tide_ledger_heard(struct tide_ledger *ledger, uint16_t source, int64_t commit_ms);
/* False: it changes nothing (has a cursor already, and is no jump from there; LIMIT of partitions). */
bool tide_ledger_start(struct tide_ledger *ledger, const struct tide_start *start);
/* True: it is the claimant now (or has given up). False: another one lives. */
bool tide_ledger_claim(struct tide_ledger *ledger, const struct tide_claim *claim, int64_t commit_ms);
/* The first ones of an epoch count. True: they do, and decisions may have left in a history that is lost. */
bool tide_ledger_targets(struct tide_ledger *ledger, const struct tide_target *target, uint32_t count);
/* From there on decisions may supersede others, until the epoch is open. */
void tide_ledger_again(struct tide_ledger *ledger, struct tide_position from);
/* The epoch is open as of this entry; where it is not, or was before, this changes nothing. */
void tide_ledger_again_end(struct tide_ledger *ledger, struct tide_position at);
bool tide_ledger_supersedes(const struct tide_ledger *ledger, struct tide_position at);
void tide_ledger_waive(struct tide_ledger *ledger, const struct tide_waive *waive, int64_t commit_ms);

/* As bytes, for snapshots and the state hash. load: false when they cannot be. */
void tide_ledger_save(const struct tide_ledger *ledger, struct tide_buf *out);
bool tide_ledger_load(struct tide_ledger *ledger, struct tide_reader *reader);

#endif
