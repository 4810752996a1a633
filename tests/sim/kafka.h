/* A model of Kafka for the simulator: partitions, the tail that a deposed leader loses, letters on their way, the scores topic.
 *
 * A partition is an array of messages. Readers and the question for its end see what lies below `hwm`; what lies above may still vanish. `begin` moves when retention
 * passes. Producers are the world itself (events, outcomes, messages that do not decode) and the nodes (copies of requests, decisions): a node's letter lands, is
 * written twice, or is lost, and is reported sooner, later, wrongly as lost, or to nobody, because its node crashed meanwhile. */
#ifndef TIDE_SIM_KAFKA_H
#define TIDE_SIM_KAFKA_H

#include "port/journal.h"

#define KAFKA_PARTITIONS 5
#define KAFKA_MESSAGES 500
#define KAFKA_AUTHS 11    /* source of events: it gates, and takes the copies of requests */
#define KAFKA_OUTCOMES 12 /* source of outcomes: one partition, the last */

enum kafka_kind { KAFKA_EVENT, KAFKA_OUTCOME, KAFKA_COPY, KAFKA_BAD, KAFKA_MARKER };
struct kafka_message {
  uint8_t kind;
  uint8_t result;   /* EVENT: of the outcome behind it in its row, 0: none; OUTCOME: its */
  uint16_t txn, attempt; /* attempt: COPY */
  int64_t append_ms;
  unsigned acked;   /* how much had been acknowledged when it was produced */
};

struct kafka_partition {
  uint16_t source, number;
  bool there;              /* it exists */
  bool stuck;              /* nobody can read it */
  unsigned begin, hwm, count;
  struct kafka_message message[KAFKA_MESSAGES];
};

enum kafka_letter_state { KAFKA_FREE, KAFKA_SENT, KAFKA_APPENDED, KAFKA_ARRIVED, KAFKA_FAILED };
struct kafka_letter {
  uint8_t state;
  bool score;           /* else: a copy */
  unsigned life;        /* of the node that sent it (sim_node.life): who is to be told */
  uint64_t turn, number;
  uint16_t attempt;     /* copy */
  unsigned partition, offset; /* copy: where it stands; score: what it is about */
  struct tide_position position;
  uint32_t index;
  bool superseded;
  uint64_t epoch;       /* under which it was let go */
  uint64_t hash;        /* of id, model and words */
};

struct kafka {
  struct kafka_partition partition[KAFKA_PARTITIONS];
  struct kafka_letter *letter;
  size_t letters, letter_cap;
  struct kafka_letter *score; /* the scores topic */
  size_t scores, score_cap;
};

#endif
