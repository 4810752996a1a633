/* How many requests a client may make: one token bucket each, in the form that stores a single time (the virtual scheduling of the generic cell rate algorithm, ITU-T I.371,
 * annex A). A client's `ahead` time is when its bucket will be full again; it may go on while that lies less than burst/rate ahead.
 *
 * A pure policy: it is told the time and locks nothing. Memory is fixed: 16384 sets of four; where five clients fall into one set the one whose bucket is fullest is
 * forgotten, who loses nothing by it. Which set a client falls into depends on a seed that outsiders do not know. */
#ifndef TIDE_RATE_H
#define TIDE_RATE_H

#include <stdbool.h>
#include <stdint.h>

struct tide_rate_slot {
  uint64_t client;    /* 0: free */
  int64_t ahead_ns;
};
struct tide_rate {
  struct tide_rate_slot *slot; /* TIDE_RATE_SLOTS of them, the owner's memory, zeroed */
  int64_t interval_ns;         /* between two requests of a steady client; 0: no limit */
  int64_t burst_ns;            /* interval * burst */
};
#define TIDE_RATE_SLOTS 65536

/* per_s: requests a second, 0: no limit; burst: so many at once after a rest, at least 1 (0 is taken for per_s). Buckets stay as they are. */
void tide_rate_set(struct tide_rate *rate, int64_t per_s, int64_t burst);
/* A request of the client, at a monotonic time: true, and paid for; or false, and *ret_wait_ns tells after how long one would be taken. client: any number that is the
 * same for the same client. */
bool tide_rate_take(struct tide_rate *rate, uint64_t client, int64_t now_ns, int64_t *ret_wait_ns);
/* So many more on one that was let in: it may go into debt, which it pays by waiting. */
void tide_rate_charge(struct tide_rate *rate, uint64_t client, int64_t count, int64_t now_ns);

#endif
