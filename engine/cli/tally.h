/* What the decisions of a run did, once labels are known: every decision is kept as one small row, labels find it by the transaction's id
 * and card, and at the end the effect of each rule and decision is counted.
 *
 * "Caught" and "disturbed" mean a decision other than the mildest: fraud caught, genuine customers disturbed. A transaction is genuine unless it
 * was labelled fraud by the end of the log: banks learn of fraud, seldom of its absence. Duplicates are not counted again. */
#ifndef TIDE_TALLY_H
#define TIDE_TALLY_H

#include "core/fold.h"

struct tide_tally_row {
  uint64_t id_lo, id_hi;   /* of id tuple and primary key */
  uint64_t card;           /* hash of the primary key, 0 when it has none */
  uint64_t truth, unknown; /* rules that were true, unknown: bit by index */
  uint64_t line;           /* of the event in the input */
  int64_t amount_minor;    /* in the counting currency */
  int64_t requested;       /* amount as sent, in minor units of `currency`: what a label may name */
  uint32_t before;         /* the row before with the same identity (a reused id), row number + 1; 0: none */
  char currency[4];
  uint16_t rule;           /* that decided */
  uint8_t by;              /* enum tide_by */
  uint8_t decision, label, cause;
};

struct tide_tally;
struct tide_tally *tide_tally_new(void);
void tide_tally_free(struct tide_tally *tally);
/* Callbacks for a replay (replay_run.h). */
void tide_tally_answer(void *tally, const struct tide_answer *answer);
void tide_tally_outcome(void *tally, const struct tide_spec *spec, const struct tide_record *record);
/* The rows in order of decision; with their labels once tide_tally_effects was called. */
const struct tide_tally_row *tide_tally_rows(const struct tide_tally *tally, size_t *ret_count);

struct tide_effect {
  uint64_t hits;              /* transactions */
  int64_t value_minor;        /* their amounts */
  uint64_t fraud;             /* of them labelled fraud */
  int64_t fraud_minor;
  uint64_t genuine;           /* of them not */
  uint64_t customers;         /* different cards among the genuine */
};
struct tide_effects {
  struct tide_effect rule[TIDE_RULES_MAX];     /* where the rule was true, shadow rules too */
  uint64_t decided[TIDE_RULES_MAX];            /* how often the rule decided */
  const char *example[TIDE_RULES_MAX];         /* its reason with the values of the first transaction it decided; NULL: none. Borrowed from the tally */
  struct tide_effect fallback[TIDE_RULES_MAX]; /* where the fallback rule decided */
  struct tide_effect decision[256];            /* by index into spec->decision */
  uint64_t cause[TIDE_C_COUNT];                /* why the fallback decided */
  struct tide_effect all, stopped;             /* stopped: any decision but the mildest */
  uint64_t refused, duplicates, late, conflicts, advised, labels, labels_unmatched;
  int64_t first_ms, last_ms;                   /* least and largest event time; INT64_MAX and INT64_MIN without any */
};
/* Gives the labels to the rows they mean, then counts everything. */
void tide_tally_effects(struct tide_tally *tally, struct tide_effects *ret);

/* 128-bit hash of id tuple and primary key as the record has them; *ret_card the hash of the primary key alone (0: none). */
struct tide_u128 tide_tally_identity(const struct tide_spec *spec, const struct tide_record *record, uint64_t *ret_card);

#endif
