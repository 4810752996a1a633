/* The outbox: answers to messages that have not left yet, part of the fold's state.
 *
 * An answer is written once, when its entry is folded, and kept until an EMITTED record says that it has left; so whoever emits after a crash or a takeover
 * emits the same bytes. Every engine keeps the same outbox, because each folds the same entries; it is in snapshots for the same reason. Answers
 * have consecutive numbers from 1 (ledger.answers); what is kept is (emitted, answers], and before it the last TIDE_OUTBOX_KEPT that have left where a failover can take entries
 * back: should this history have been the one that was left behind, others were told something else meanwhile, and its answers leave once more (fold.c). */
#ifndef TIDE_OUTBOX_H
#define TIDE_OUTBOX_H

#include "base/buf.h"
#include "port/journal.h"

/* One answer; spans are borrowed from the outbox and stand until it is dropped. */
struct tide_outgoing {
  uint64_t number;
  uint16_t source, partition;
  uint64_t offset;               /* of the message it answers */
  struct tide_position position; /* of the answer */
  uint32_t index;
  bool superseded;               /* a decision on this message may have left before, in a history that is lost */
  uint64_t epoch;                /* under which it was allowed to leave: of several decisions on a message that of the highest epoch stands. That of its position unless it was
                                  * renewed */
  bool late;                     /* counted nowhere: its message belongs to the dead letters as well */
  struct tide_span id;           /* of the transaction */
  struct tide_span model;        /* "cards-2026-11@9f3c", empty: none */
  struct tide_span policy;       /* "p-12/strict@1f2e3d4c" */
  struct tide_span features;     /* the feature file that decided, "eu-issuing@41d0aa17"; empty: not known */
  struct tide_span json;         /* the answer (tide_answer_json) */
};

#define TIDE_OUTBOX_KEPT 32768

struct tide_outbox {
  struct tide_buf *item;  /* ring of encoded answers */
  size_t cap, first, count;
  uint64_t first_number;  /* of the one at `first` */
  size_t bytes;
};

void tide_outbox_release(struct tide_outbox *outbox);
/* Behind all others; out->number must be the next. The bytes are copied. */
void tide_outbox_put(struct tide_outbox *outbox, const struct tide_outgoing *out);
/* The answer of this number; false when it is not (or no longer) there. */
bool tide_outbox_get(const struct tide_outbox *outbox, uint64_t number, struct tide_outgoing *ret);
/* Forgets those up to this number. */
void tide_outbox_drop(struct tide_outbox *outbox, uint64_t number);
/* All that is there may leave under this epoch, and may supersede what left meanwhile in a history that is lost. */
void tide_outbox_renew(struct tide_outbox *outbox, uint64_t epoch);
void tide_outbox_save(const struct tide_outbox *outbox, struct tide_buf *out);
/* Into an empty one. False: the bytes cannot be. */
bool tide_outbox_load(struct tide_outbox *outbox, struct tide_reader *reader);

#endif
