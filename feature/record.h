/* A record in memory: what a decoder makes of one message, and what the fold reads back from the journal.
 *
 * Texts are borrowed spans (from the line while decoding, from the entry while folding). Secret fields never appear as text: the decoder
 * puts their keyed hash. The byte form is engine/core/batch.h. */
#ifndef TIDE_RECORD_H
#define TIDE_RECORD_H

#include "feature/spec.h"

enum tide_datum_kind {
  TIDE_D_NONE,  /* missing */
  TIDE_D_TEXT,  /* text: 1..65535 bytes of valid UTF-8 */
  TIDE_D_INT,   /* num: scaled number, bool 0/1, time in ms, or amount in minor units of `currency` */
  TIDE_D_KEY    /* key: keyed hash of a secret field; alt is its hash under the previous key while keys rotate, else zero */
};

struct tide_datum {
  uint8_t kind;
  uint8_t exponent;  /* MONEY: minor units of currency */
  char currency[4];  /* MONEY: "EUR" */
  union {
    struct tide_span text;
    int64_t num;
    struct { struct tide_u128 key, alt; };
  };
};

#define TIDE_REC_NOCOUNT 0x01 /* score without counting */
#define TIDE_REC_SAME_ROW 0x02 /* an outcome that stood in the same row as the event directly before it */
#define TIDE_REC_STAMPED 0x04 /* the event came without a time: the fold stamps it */

/* An outcome: bits say which columns it sets. */
struct tide_outcome {
  uint32_t set;              /* 1 << enum tide_dyn */
  uint8_t result, reversed, refunded, disputed, label;
  char reason[8];            /* zero-padded, at most 8 bytes */
  int64_t amount_now;        /* in the outcome's currency: minor units */
  char currency[4];
  uint8_t exponent;
};

struct tide_record {
  uint8_t type;   /* enum tide_record_type */
  uint8_t flags;  /* TIDE_REC_* flags */
  uint16_t source, partition; /* which configured source it came from */
  uint64_t offset;            /* line number or Kafka offset there: for people, not for the fold */
  struct tide_etime time;     /* EVENT, HEARTBEAT: event time; others: time of the message or 0 */
  uint32_t key_id;            /* of the secret key, 0 when no secret field is present */
  /* EVENT and OUTCOME, by spec->field index; an outcome fills id and primary key fields, and amount where it names one; a LIST fills the
   * fields of its operand */
  struct tide_datum field[TIDE_FIELDS_MAX];
  uint64_t present; /* bit f: field[f] is not NONE. Of a record that was read from an entry; whoever fills in fields otherwise need not tell */
  struct tide_outcome outcome;              /* OUTCOME */
  struct { char currency[4]; int64_t rate_e10; } rate;             /* RATE */
  struct { uint32_t list; int64_t expires_ms; bool remove; } list; /* LIST: index into spec->list; expires 0 = never */
};

#endif
