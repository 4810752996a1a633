/* Memory that a group of events will need, asked for before the first of them is folded.
 *
 * An event touches an index cell, an entity and a log in each of its entities, all of them anywhere in hundreds of megabytes: each a miss of the cache and of
 * the TLB. So a group goes in passes: all cells, all entities, all logs, what hangs on long logs. A pass works out addresses from what the pass before brought, then
 * loads a byte of each in a loop that does nothing else, so that the processor waits for two dozen at a time and not for one. Loads and not prefetch
 * instructions, because those brought next to nothing where it was measured (a processor may drop them where the page is in no TLB); they follow for the other
 * lines of a page that is known by then.
 * Nothing is changed: with and without, the fold gives the same. */
#ifndef TIDE_AHEAD_H
#define TIDE_AHEAD_H

#include "feature/entity.h"

/* An event's entity in a store: its key and where its number stands, TIDE_NO_ENTITY as long as it was not looked up. Both borrowed. */
struct tide_want {
  const struct tide_store *store;
  const struct tide_u128 *key; /* not read where the number is known */
  uint32_t *number;
};

#define TIDE_AHEAD_MAX 512 /* wants at once; beyond, what was asked for first is gone before it is used */

/* Looks up the numbers that are not known and asks for entities and logs; TIDE_NO_ENTITY stays where there is none, and the place where it would be made is asked for.
 * Reads the entities of all wants and no other. */
void tide_ahead(const struct tide_want *want, uint32_t count);
/* The same for who needs numbers now and rows much later: of logs the beginnings only, and without waiting for them. As a whole they would have left the near cache
 * again when the rows come. */
void tide_ahead_numbers(const struct tide_want *want, uint32_t count);

#endif
