/* How much memory a feature file takes, before it runs: per event, per entity, per kind, for so many cards with so many transactions.
 *
 * What an event costs at most is exact: it is the layout that the plan compiled. How many entities there are, how events spread over them and
 * how often their values repeat is a matter of the business, so it is assumed; the numbers are said with the result and can be given.
 * Events of an entity are taken as Poisson around their mean, which is what makes small logs small: most devices and pairs are seen once or
 * twice. */
#ifndef TIDE_SIZE_H
#define TIDE_SIZE_H

#include "feature/plan.h"

/* What is known or assumed of one entity kind. */
struct tide_population {
  double entities; /* alive at a time */
  double share;    /* of all transactions that carry its key, 0..1 */
};

/* The assumptions where nothing is said, of a kind of this file, for `cards` cards and `per_month` transactions a card in 30 days:
 *   primary               one entity a card, every transaction
 *   contains the primary  a new pair in 60 % of the transactions that have one, for as long as it is remembered, at most the kind's limit
 *   key always there      one entity for 20 cards
 *   key optional          one entity a card, 30 % of the transactions */
struct tide_population tide_size_assume(const struct tide_plan *plan, uint32_t entity, double cards, double per_month);

struct tide_kind_size {
  double events_each;     /* mean events of one entity that are rows */
  double event_bytes;     /* of one event, columns only, in the mix of young and old, what repeats shared */
  double log_bytes;       /* mean bytes of one entity's events, as allocated, with their tiles */
  double entity_bytes;    /* key, index, first seen, code: what an entity costs without events */
  double bytes;           /* all entities of the kind */
};
/* per_month: transactions of the whole cell in 30 days. */
struct tide_kind_size tide_size_kind(const struct tide_plan *plan, uint32_t entity, const struct tide_population *population, double per_month);

/* Name of a column, for people: "amount", "code of country". Appended to out. */
void tide_size_column(const struct tide_plan *plan, const struct tide_column *column, struct tide_buf *out);
/* Appends "at most 30 B an event: time 4, ..." of a kind, and "amount 4 B an event for 30d, one bit" of a slot; without newline. */
void tide_size_tell_kind(const struct tide_plan *plan, uint32_t entity, struct tide_buf *out);
void tide_size_tell_slot(const struct tide_plan *plan, uint32_t slot, struct tide_buf *out);

#endif
